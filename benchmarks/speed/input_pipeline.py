"""How many training examples a second one CPU core makes: five ways in one run.

    python benchmarks/speed/input_pipeline.py                      # JPEGs made from scikit-image's photographs
    python benchmarks/speed/input_pipeline.py --photos=DIR --size=256 --seconds=5

(a) is how small colourisation projects feed a network: Pillow, then scikit-image, one picture after the other.
(b) is the least that tf.data can do with JPEG files: decode and resize, no Lab.
(c) and (d) are what train.py uses, colorjax.data.load(config).train(), without and with its cache: crops, mirroring and Lab.
(e) is (d) with data.lab=device: the pixels as uint8, of which the training step makes Lab.
The process is bound to one core and TensorFlow to one thread, so that the figures are per core. Pictures per second of
processor time are printed too: on an idle machine they are the same, on a busy one they are the ones to compare.
"""

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np  # after the number of its threads is set
from PIL import Image

from benchmarks import common

BATCH = 32
REPEATS = 3
MADE = 200  # pictures, about 500x375 as those of ImageNet and of the TFDS photographs


def pin_to_one_core() -> str:
    """Bind this process to one core, before any library starts its threads -> what could be done."""
    try:
        core = min(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})
    except (AttributeError, OSError) as error:
        return f"NOT bound to one core ({type(error).__name__}: {error}); the figures are not per core"
    return f"bound to core {core} of {os.cpu_count()}"


def make_photos(directory: Path) -> None:
    """JPEG files of about 500x375 pixels: random crops of scikit-image's colour photographs, enlarged where they are small."""
    from skimage import data

    rng = np.random.default_rng(0)
    sources = [Image.fromarray(picture()) for picture in (data.astronaut, data.coffee, data.chelsea, data.rocket)]
    for number in range(MADE):
        source = sources[number % len(sources)]
        width, height = (int(side + rng.integers(-25, 26)) for side in (500, 375))
        share = rng.uniform(0.7, 1.0) * min(source.width / width, source.height / height)
        left, top = rng.uniform(0, source.width - share * width), rng.uniform(0, source.height - share * height)
        box = (left, top, left + share * width, top + share * height)
        picture = source.resize((width, height), Image.Resampling.BICUBIC, box=box)
        picture.save(directory / f"{number:03}.jpg", quality=90)


def by_hand(files: list[Path], size: int) -> Iterator[tuple[int, object]]:
    """(a): Pillow decodes and resizes, scikit-image converts; one picture after the other."""
    from skimage.color import rgb2lab

    for file in itertools.cycle(files):
        rgb = np.asarray(Image.open(file).convert("RGB").resize((size, size)))
        lab = rgb2lab(rgb).astype(np.float32)
        yield 1, ((lab[..., :1] - 50) / 50, lab[..., 1:] / 110)


def decode_only(files: list[Path], size: int) -> Iterator[tuple[int, object]]:
    """(b): tf.data decodes and resizes; no Lab."""
    import tensorflow as tf

    def example(path: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.ensure_shape(tf.image.resize(image, (size, size)) / 255, (size, size, 3))

    paths = tf.data.Dataset.from_tensor_slices([str(file) for file in files]).repeat()
    batches = paths.map(example, tf.data.AUTOTUNE, deterministic=True).batch(BATCH, drop_remainder=True).prefetch(2)
    for batch in batches.as_numpy_iterator():
        yield len(batch), batch


def with_colorjax(files: list[Path], size: int, cache_dir: str, lab: str = "host") -> Iterator[tuple[int, object]]:
    """(c), and (d) and (e) where `cache_dir` names a folder: the batches that train.py trains on."""
    from colorjax import data
    from configs import base

    config = base.get_config()
    config.batch_size, config.image_size = BATCH, size
    config.data.update(source="folder", dir=str(files[0].parent), val_fraction=0.0, min_chroma=0.0)
    config.data.update(cache=bool(cache_dir), cache_dir=cache_dir, lab=lab)
    for batch in data.load(config, progress=False).train():  # load reads each photograph once, and so warms the cache
        yield int(batch["mask"].sum()), batch


def measure(examples: Callable[[], Iterator], seconds: float) -> np.ndarray:
    """Pictures per second by the clock and by processor time, (`REPEATS`, 2), in stretches of `seconds` after a start."""
    stream, rates = examples(), []
    for seen in itertools.accumulate(count for count, _ in stream):
        if seen >= 4 * BATCH:
            break
    for _ in range(REPEATS):
        done, clock, busy = 0, time.perf_counter(), time.process_time()
        while (elapsed := time.perf_counter() - clock) < seconds:
            done += next(stream)[0]
        rates.append((done / elapsed, done / (time.process_time() - busy)))
    return np.array(rates)


def main() -> None:
    """Measure and print the table."""
    parser = common.parser(__doc__)
    parser.add_argument("--photos", type=Path, help=f"a folder of JPEG files (default: {MADE} made from scikit-image's)")
    parser.add_argument("--size", type=common.positive, default=256, help="side of the examples in pixels (default: 256)")
    parser.add_argument("--seconds", type=float, default=5, help="length of each of the 3 stretches (default: 5)")
    args = parser.parse_args()

    bound = pin_to_one_core()
    with tempfile.TemporaryDirectory() as temporary:
        directory = args.photos
        if directory is None:
            directory = Path(temporary, "photos")
            directory.mkdir()
            make_photos(directory)
        files = sorted(path.resolve() for path in directory.glob("*.jp*g"))
        if not files:
            parser.error(f"--photos={directory} holds no JPEG files")

        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        sides = np.mean([Image.open(file).size for file in files], axis=0)
        print(
            f"{len(files)} JPEG files of {sides[0]:.0f}x{sides[1]:.0f} on average, examples of {args.size}x{args.size}, {bound}"
        )
        print(f"median of {REPEATS} stretches of {args.seconds:g} s; load average {os.getloadavg()[0]:.1f}\n")
        ways = {
            "(a) Pillow, skimage.color.rgb2lab": lambda: by_hand(files, args.size),
            "(b) tf.data, decode and resize, no Lab": lambda: decode_only(files, args.size),
            "(c) colorjax.data.load(...).train(), no cache": lambda: with_colorjax(files, args.size, ""),
            "(d) colorjax.data.load(...).train(), cached": lambda: with_colorjax(
                files, args.size, str(Path(temporary, "cache"))
            ),
            "(e) the same, data.lab=device": lambda: with_colorjax(files, args.size, str(Path(temporary, "cache")), "device"),
        }
        print(f"{'':<46}{'img/s':>7}{'lowest':>8}{'highest':>9}{'of (a)':>8}{'img/CPU-s':>12}{'of (a)':>8}")
        reference = None
        for name, examples in ways.items():
            rates = measure(examples, args.seconds)
            wall, busy = np.median(rates, axis=0)
            reference = reference or (wall, busy)
            row = f"{name:<46}{wall:>7.0f}{rates[:, 0].min():>8.0f}{rates[:, 0].max():>9.0f}{wall / reference[0]:>7.1f}x"
            print(f"{row}{busy:>12.0f}{busy / reference[1]:>7.1f}x", flush=True)


if __name__ == "__main__":
    main()
