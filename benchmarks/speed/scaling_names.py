"""The start of a training over the number of its photographs; a part of `scaling.py`.

    python benchmarks/speed/scaling.py --what=names [--counts=100,10000,1000000] [--work=DIR]

What train.py does before its first step is timed, but for the network, in stages: the workdir's files read and written, the
folder listed, what is known of the photographs gathered, these split and put in order, the first batch made. Seconds are by
the clock, from the end of the imports on. Then come their sum, the same in processor time, which others on the machine do not
change, and the seconds of the imports. Memory is the largest resident one, above that of a process that has imported jax and
TensorFlow and nothing else. That is printed, too.

The names are hard links to 30 JPEGs of 100x80 pixels, 1,000 in a folder. There are three starts:
  limit        a first one with data.limit=3000, which decodes as many
  all cached   a first one with every photograph in the cache, but no index of their facts
  later        any after that, of a run that has begun
The cache is filled with `prepare.Store` from the 30. The others are hard links of their cache files, under the names that the
store gives them: decoding a million photographs takes as long as decoding 1,000, a thousand times. All of it is warm, as the
system has read these files before. A million files on a cold disk take the disk's time in addition.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from benchmarks import common

PICTURES, LINKS = 30, 60_000  # a file of ext4 has at most 65,000 names
LIMIT = 3000


def curve(counts: Sequence[int], work: Path) -> None:
    """Print the table. work: a folder that keeps what is made."""
    bare = common.in_a_process(imports_alone)["megabytes"]
    print(f"{os.cpu_count()} processors; jax and TensorFlow alone: {bare:.0f} MB\n")
    stages = ["workdir", "listing", "facts", "split and order", "first batch"]
    common.table("photographs", "start", *stages, "sum, s", "processor, s", "imports, s", "MB above imports")
    for count in counts:
        folder, cache = work / f"names-{count}", work / f"cache-{count}"
        if not folder.exists():
            make_names(folder, count)
        if not cache.exists():
            common.in_a_process(fill_cache, str(folder), str(cache))
        for index in cache.glob("*.facts"):
            index.unlink()
        with tempfile.TemporaryDirectory(dir=work) as fresh:
            starts = {"limit": (f"{fresh}/limit", f"{fresh}/cache", LIMIT)}
            starts |= dict.fromkeys(["all cached", "later", "later again"], (f"{fresh}/run", str(cache), 0))
            for start, rest in starts.items():
                made = common.in_a_process(start_up, str(folder), *rest)
                spent = made["seconds"]
                shown = [spent[stage] for stage in stages] + [sum(spent.values()), made["processor"], made["imports"]]
                common.row(f"{count:,}", start, *shown, round(made["megabytes"] - bare))


def make_names(folder: Path, count: int) -> None:
    """So many JPEG files in ten groups, 1,000 in a folder."""
    import numpy as np
    from PIL import Image

    few = folder.with_name(folder.name + ".few")
    few.mkdir(parents=True)
    for number in range(count):
        place, original = folder / f"group{number // 1000 % 10}" / f"roll{number // 1000:04}", few / f"{which(number)}.jpg"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        if not original.exists():
            pixels = np.random.default_rng(number % PICTURES).integers(0, 256, (5, 6, 3), np.uint8)
            Image.fromarray(pixels).resize((100, 80), Image.Resampling.BICUBIC).save(original, quality=90)
        os.link(original, place / f"IMG_{number:07}.jpg")


def which(number: int) -> str:
    """The picture, and which of its copies where it has too many names."""
    return f"{number % PICTURES}-{number // (PICTURES * LINKS)}"


def settings(folder: str, cache: str, limit: int):
    from configs import base

    config = base.get_config()
    config.image_size, config.pretrained = 32, ""
    config.data.update(source="folder", dir=folder, cache_dir=cache, limit=limit)
    return config


def fill_cache(folder: str, cache: str) -> dict:
    """What a first start would leave in the cache, by links; see the top."""
    from colorjax.data import pipeline, prepare, sources

    config = settings(folder, cache, 0)
    source = sources.make(config)
    held_out = pipeline.split(source.names, config.data.val_fraction)
    store = prepare.Store(source, pipeline._short_sides(config, held_out), Path(cache))
    made: dict[tuple[str, bool], Path] = {}
    for index, name in enumerate(source.names):
        path, kind = store._path(index), (which(int(name[-11:-4])), bool(held_out[index]))
        if kind in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(made[kind], path)
        else:
            store.prepare(index)
            made[kind] = path
    return {}


def imports_alone() -> dict:
    import jax  # noqa: F401
    import tensorflow  # noqa: F401

    return {"megabytes": common.peak_memory()}


def start_up(folder: str, workdir: str, cache: str, limit: int) -> dict:
    """What train.py does before its first step, but for the network."""
    begin = time.perf_counter()
    import jax
    import tensorflow  # noqa: F401

    from colorjax import data
    from colorjax.data import prepare, sources
    from colorjax.platform import sharding
    from colorjax.training import workdirs
    from configs import base

    config, place = settings(folder, cache, limit), Path(workdir)
    mesh = sharding.make_mesh(config.batch_size)
    imports, processor = time.perf_counter() - begin, time.process_time()
    seconds: dict[str, float] = {}

    def timed(stage: str, function: Callable, *arguments, **options):
        start = time.perf_counter()
        result = function(*arguments, **options)
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
        return result

    def time_inside(stage: str, module: ModuleType, name: str) -> None:
        inner = getattr(module, name)
        setattr(module, name, lambda *arguments, **options: timed(stage, inner, *arguments, **options))

    time_inside("listing", sources, "make")
    time_inside("facts", prepare, "scan")
    began = timed("workdir", workdirs.began, place, config, base.get_config())
    mine = (jax.process_index(), jax.process_count())
    photographs = timed("split and order", data.load, config, mine, mesh.size, began=began, progress=False)
    seconds["split and order"] -= seconds["listing"] + seconds["facts"]
    timed("workdir", workdirs.claim, place, config, photographs)
    batch = timed("first batch", lambda: next(photographs.train()))
    if not batch["mask"].all():
        raise SystemExit("a photograph of the first batch could not be read")
    (place / "checkpoints" / "1").mkdir(parents=True, exist_ok=True)  # from now on the run counts as begun
    processor = time.process_time() - processor
    return {"seconds": seconds, "imports": imports, "processor": processor, "megabytes": common.peak_memory()}
