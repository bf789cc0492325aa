"""`Colorizer`: every size and type in, the same size, type and lightness out, in vivid colours of random weights."""

import io
import pickle
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import PIL
import pytest
import skimage.data
from flax import nnx
from helpers import ROOT
from helpers.vivid import SIZE, vivid_network
from PIL import Image

from colorjax import checkpoint
from colorjax.inference import framing, pixels
from colorjax.inference.colorizer import Colorizer, NoColorError
from colorjax.networks import state
from colorjax.science import color
from colorjax.science.hints import HintError

LEVELS = {"uint8": 255, "uint16": 65535}
LIGHTNESS_ERROR = {"uint8": 0.5, "uint16": 0.01, "float16": 0.1, "float32": 0.01, "float64": 0.01}


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release") / "weights"
    checkpoint.export(vivid_network(), folder)
    return folder


@pytest.fixture(scope="session")
def paint(release):
    return Colorizer.from_checkpoint(release)


@pytest.fixture(scope="session")
def astronaut():
    return skimage.data.astronaut()[:200, 60:320]  # a face, saturated orange, black and white


def in_dtype(image, dtype):
    """An 8-bit image in another type; in 16 bits and floats with values between the 8-bit ones."""
    if dtype == "uint8":
        return image
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, image.shape)
    values = np.clip((image + noise) / 255, 0, 1)
    return np.round(values * 65535).astype(np.uint16) if dtype == "uint16" else values.astype(dtype)


def lightness(image):
    values = image.astype(np.float64) / LEVELS.get(image.dtype.name, 1)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    return color.grey_to_lightness(values) if values.ndim == 2 else color.rgb_to_lab(values)[..., 0]


def grey_of(image):
    """The grey picture, in float64, of the same lightness."""
    return color.lightness_to_grey(lightness(image))


def chroma_of(image):
    return np.hypot(*np.moveaxis(color.rgb_to_lab(image.astype(np.float64) / LEVELS.get(image.dtype.name, 1)), -1, 0)[1:])


# --- what goes in comes out, in colour ---


@pytest.mark.parametrize("dtype", LIGHTNESS_ERROR)
@pytest.mark.parametrize("channels", [0, 1, 3])
@pytest.mark.parametrize("content", ["photograph", "noise"])
def test_size_type_and_lightness_are_kept(paint, astronaut, content, channels, dtype):
    image = astronaut
    if content == "noise":
        image = np.random.default_rng(3).integers(0, 256, (97, 130, 3), dtype=np.uint8)
        image[:2], image[-2:] = 0, 255
    image = in_dtype(image if channels == 3 else image[..., :1] if channels else image[..., 0], dtype)
    before = image.copy()
    result = paint(image)
    np.testing.assert_array_equal(image, before)
    assert result.shape == (*image.shape[:2], 3)
    assert result.dtype == dtype
    assert np.abs(lightness(result) - lightness(image)).max() <= LIGHTNESS_ERROR[dtype]
    if dtype not in LEVELS:
        assert result.min() >= 0
        assert result.max() <= 1
    chroma = chroma_of(result)
    assert np.percentile(chroma, 90) > 25, "not vivid enough to test anything"


def test_most_of_the_paint_would_be_outside_srgb(paint, astronaut):
    """Or else the tests above say nothing of the gamut: joined and merely clipped, lightness is lost."""
    ab = paint.predict_ab(astronaut)
    assert ab.dtype == np.float32
    assert np.abs(ab).max() <= 110
    grey = jax.image.resize(lightness(astronaut), ab.shape[:2], "linear")
    lab = np.concatenate([np.asarray(grey)[..., None], ab], axis=-1)
    assert color.in_gamut(lab).mean() < 0.5
    assert np.abs(color.rgb_to_lab(color.lab_to_rgb(lab))[..., 0] - lab[..., 0]).max() > 10


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (33, 47), (3000, 40), (2, 2), (64, 64), (65, 63)])
def test_every_size(paint, shape):
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    result = paint(image)
    assert result.shape == (*shape, 3)
    assert np.abs(lightness(result) - lightness(image)).max() <= 0.5
    ab = paint.predict_ab(image)
    assert max(ab.shape[:2]) <= framing.LONGEST * SIZE
    assert min(ab.shape[:2]) >= 1
    assert ab.shape[2:] == (2,)


def test_the_network_sees_lightness(paint):
    """Of a picture of the working size: (L* - 50) / 50 of each pixel, neither scaled nor padded."""
    image = np.random.default_rng(8).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    model = nnx.merge(state.graphdef(paint.network.config.model), paint.network.params, paint.network.stats)
    luma = jnp.asarray((lightness(image) - 50) / 50, jnp.float32)
    np.testing.assert_allclose(paint.predict_ab(image), 110 * model(luma[None, ..., None])[0], atol=0.05)


@pytest.mark.parametrize("transposed", [False, True])
def test_colours_change_where_the_photograph_changes(paint, transposed):
    """Scaling to 67 and padding to 96 pixels leave an edge where it is."""
    image = np.zeros((50, 52), np.uint8)
    image[:, 36:] = 255
    ab = paint.predict_ab(image.T if transposed else image)
    assert ab.shape == ((67, 64, 2) if transposed else (64, 67, 2))
    steps = np.abs(np.diff(ab.mean(axis=1 if transposed else 0), axis=0)).sum(axis=-1)
    steps[[*range(8), *range(-8, 0)]] = 0  # the network pads its rim with zeros
    assert abs(np.argmax(steps) + 1 - 36 / 52 * 67) <= 4  # it works on maps of a quarter of the size


def test_colours_lie_where_they_were_predicted(paint):
    """Scaled up, the prediction neither shifts nor turns: against a plain bicubic by jax.image, which knows no edges."""
    image = skimage.data.chelsea()[:150, 100:310]
    expected = jax.image.resize(paint.predict_ab(image), (*image.shape[:2], 2), "cubic")
    lab = np.concatenate([lightness(image)[..., None], np.asarray(expected)], axis=-1)
    expected = color.rgb_to_lab(color.lab_to_rgb(color.fit_to_gamut(lab)))
    found = color.rgb_to_lab(paint(image) / 255.0)
    here = np.abs(found - expected)[..., 1:].mean()
    assert here < 3.5
    for moved in (found[::-1], found[:, ::-1], np.roll(found, 8, 0), np.roll(found, 8, 1)):
        assert np.abs(moved - expected)[..., 1:].mean() > 1.5 * here


@pytest.mark.parametrize("shape", [(200, 260), (33, 47), (500, 1), (1, 500)])
@pytest.mark.parametrize("strip", [1, 700, 5000])
def test_strips_give_the_same_as_one_piece(paint, astronaut, monkeypatch, shape, strip):
    image = astronaut if shape == (200, 260) else np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    whole = paint(image)
    monkeypatch.setattr(pixels, "_STRIP_PIXELS", strip)
    assert len(list(pixels.strips(shape))) > 1 or shape[0] * shape[1] <= strip or shape[0] == 1
    np.testing.assert_allclose(paint(image).astype(int), whole, atol=1)


def test_of_a_picture_in_colour_only_lightness_is_used(paint, astronaut):
    values = astronaut / 255.0
    of_colour, of_grey = paint(values), paint(grey_of(astronaut))
    assert np.abs(of_colour - of_grey).max() < 2e-3
    assert np.abs(of_colour - values).mean() > 0.05
    eight_bits = np.round(255 * grey_of(astronaut)).astype(np.uint8)
    difference = np.abs(paint(astronaut).astype(int) - paint(eight_bits))
    assert difference.mean() < 1  # grey in 8 bits has another lightness by half a level
    assert np.percentile(difference, 99) <= 2


def test_three_equal_channels_are_grey(paint, astronaut):
    grey = astronaut[..., 0]
    np.testing.assert_allclose(paint(np.dstack([grey] * 3)).astype(int), paint(grey), atol=1)
    np.testing.assert_array_equal(paint(grey[..., None]), paint(grey))


def test_types_agree(paint, astronaut):
    grey = astronaut[..., 0]
    eight, sixteen, real = (paint(x) for x in (grey, grey.astype(np.uint16) * 257, grey / np.float32(255)))
    assert np.abs(sixteen / 257 - eight).max() <= 0.51
    assert np.abs(real * 65535 - sixteen).max() <= 1.5


def test_black_and_white_stay(paint):
    image = np.zeros((40, 60), np.uint8)
    image[:, 30:] = 255
    np.testing.assert_array_equal(paint(image), np.repeat(image[..., None], 3, axis=-1))


def test_a_view_gives_what_its_copy_gives(paint, astronaut):
    view = astronaut[::-2, ::3]
    np.testing.assert_array_equal(paint(view), paint(view.copy()))
    locked = view.copy()
    locked.flags.writeable = False
    np.testing.assert_array_equal(paint(locked), paint(view))


def test_it_is_deterministic(paint, release, astronaut):
    first = paint(astronaut)
    paint(astronaut[:50])  # another shape in between
    np.testing.assert_array_equal(paint(astronaut), first)
    np.testing.assert_array_equal(Colorizer.from_checkpoint(str(release))(astronaut), first)


def test_the_working_size(release, astronaut):
    assert Colorizer.from_checkpoint(release).size == SIZE
    small = Colorizer.from_checkpoint(release, size=32)
    assert small.predict_ab(astronaut).shape == (32, round(32 * 260 / 200), 2)
    assert small(astronaut).shape == astronaut.shape
    with pytest.raises(ValueError, match="size=31 must be at least 32"):
        Colorizer.from_checkpoint(release, size=31)
    with pytest.raises(ValueError, match="size=-5"):
        Colorizer.from_checkpoint(release, size=-5)


def test_a_working_size_of_0_is_refused(release):
    with pytest.raises(ValueError, match="size=0 must be at least 32"):
        Colorizer.from_checkpoint(release, size=0)


# --- strength, mirror, sizes, uncertainty ---


def test_strength_scales_the_colour_and_keeps_lightness(paint, astronaut):
    values = astronaut / np.float32(255)
    ab = [color.rgb_to_lab(paint(values, strength=strength)).astype(np.float64)[..., 1:] for strength in (0.0, 0.25, 0.5)]
    assert np.abs(ab[0]).max() < 0.02
    inside = color.in_gamut(np.concatenate([lightness(values)[..., None], 2 * ab[2]], axis=-1))
    assert inside.mean() > 0.1
    np.testing.assert_allclose(ab[2][inside], 2 * ab[1][inside], atol=0.05)
    for strength in (0, 0.3, 1.5):
        assert np.abs(lightness(paint(astronaut, strength=strength)) - lightness(astronaut)).max() <= 0.5


@pytest.mark.parametrize("strength", [-0.1, 1.51, np.nan, np.inf])
def test_other_strengths_are_refused(paint, astronaut, strength):
    with pytest.raises(ValueError, match=r"strength=.* must be in 0\.\.1\.5"):
        paint(astronaut, strength=strength)


def test_flip_averages_with_the_mirrored_photograph(paint, release, astronaut):
    both = Colorizer.from_checkpoint(release, flip=True)
    expected = (paint.predict_ab(astronaut) + paint.predict_ab(astronaut[:, ::-1])[:, ::-1]) / 2
    np.testing.assert_allclose(both.predict_ab(astronaut), expected, atol=1e-3)
    np.testing.assert_allclose(both.predict_ab(astronaut[:, ::-1])[:, ::-1], both.predict_ab(astronaut), atol=1e-3)
    assert np.abs(both.predict_ab(astronaut) - paint.predict_ab(astronaut)).max() > 1


@pytest.mark.parametrize("size", [64, 128, 512, 1024, 2048])
def test_at_any_working_size_colours_stay_those_of_the_size_of_training(paint, release, astronaut, size):
    """More pixels than a network was trained with make it paint wildly; only fine detail of that is let in."""
    known = paint.predict_ab(astronaut)
    found = Colorizer.from_checkpoint(release, size=size).predict_ab(astronaut)
    assert min(found.shape[:2]) == size
    for channel in range(2):
        assert known[..., channel].min() - 1 <= found[..., channel].min()
        assert found[..., channel].max() <= known[..., channel].max() + 1
    box = np.asarray([jax.image.resize(found[..., i], known.shape[:2], "linear", antialias=True) for i in range(2)])
    assert np.abs(np.moveaxis(box, 0, -1) - known).mean() < 0.65 * np.abs(known - known.mean(axis=(0, 1))).mean()


@pytest.mark.parametrize("side", [64, 256, 700, 2048])
def test_at_any_size_of_photograph_colours_are_the_same(paint, astronaut, side):
    image = np.asarray(Image.fromarray(astronaut).resize((round(side * 1.3), side), Image.Resampling.BICUBIC))
    known, found = paint.predict_ab(astronaut), paint.predict_ab(image)
    assert found.shape == known.shape
    assert np.abs(found - known).mean() < 12  # a random network makes much of a little blur
    blocks = [array[:64, :80].reshape(8, 8, 10, 8, 2).mean(axis=(1, 3)) for array in (known, found)]
    assert np.abs(blocks[0] - blocks[1]).max() < 8  # no patch is of another colour
    assert np.abs(blocks[0] - blocks[0].mean(axis=(0, 1))).max() > 12
    assert np.abs(lightness(paint(image)) - lightness(image)).max() <= 0.5


def test_extreme_shapes_are_padded_not_squashed(paint, monkeypatch):
    seen = []
    ask = paint.engine.predict
    monkeypatch.setattr(paint, "engine", paint.engine._replace(predict=lambda luma: seen.append(luma) or ask(luma)))
    rng = np.random.default_rng(0)
    strip = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 200), dtype=np.uint8)).resize((5000, 25)))
    ab = paint.predict_ab(strip)
    assert ab.shape == (round(25 * framing.LONGEST * SIZE / 5000), framing.LONGEST * SIZE, 2)
    assert {view.shape for view in seen} == {(1, 32, 96, 1)}  # few parts, each at most three times as long as wide
    rows = len(ab)
    np.testing.assert_array_equal(seen[0][0, rows : 2 * rows], seen[0][0, rows - 1 :: -1][:rows])  # mirrored, not stretched


def test_uncertainty_is_the_spread_over_mirror_and_scales(paint, astronaut):
    spread = paint.uncertainty(astronaut)
    assert spread.dtype == np.float32
    assert spread.shape == (round(1.25 * SIZE), round(1.25 * SIZE * 260 / 200))
    assert 1 < spread.mean() < 60
    flat = paint.uncertainty(np.full((100, 100), 128, np.uint8))
    assert flat.mean() < 0.5 * spread.mean()


def test_a_network_without_colour_is_refused_instead_of_passing_grey_off_as_colour(astronaut):
    network = vivid_network()
    network.params["head"]["kernel"] *= 0
    network.params["head"]["bias"] *= 0
    with pytest.raises(NoColorError, match="no colour for it"):
        Colorizer(network)(astronaut)
    page = np.full((60, 90), 253, np.uint8)  # which is empty, as one of a document may be: there is nothing to colour
    np.testing.assert_array_equal(Colorizer(network)(page), np.dstack([page] * 3))


def test_the_result_may_take_the_place_of_the_photograph(paint, astronaut):
    image = in_dtype(astronaut, "uint16")
    expected = paint(image)
    assert paint.paint(image, paint.predict(image), out=image) is image
    np.testing.assert_array_equal(image, expected)


# --- what is refused ---


@pytest.mark.parametrize("shape", [(), (5,), (5, 4, 2), (5, 4, 4), (2, 5, 4, 3), (0, 4), (4, 0, 3), (0, 0)])
def test_other_shapes_are_refused(paint, shape):
    with pytest.raises(ValueError, match=r"image has shape \(.*must be \(H, W\) or \(H, W, 3\)"):
        paint(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="image has shape"):
        paint.predict_ab(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("how", ["r", "r+", "c"])
def test_a_picture_that_lies_on_the_disk_is_one(paint, astronaut, tmp_path, how):
    small = astronaut[::8, ::8]
    np.save(tmp_path / "small.npy", small)
    np.testing.assert_array_equal(paint(np.load(tmp_path / "small.npy", mmap_mode=how)), paint(small))


def test_the_advice_for_files_holds_for_16_bits(paint, astronaut, tmp_path):
    deep = in_dtype(astronaut[::8, ::8, 0], "uint16")
    Image.fromarray(deep).save(tmp_path / "deep.png")
    for given in (tmp_path / "deep.png", (tmp_path / "deep.png").read_bytes()):
        with pytest.raises(TypeError) as caught:
            paint(given)
        advice = re.search(r"PIL\.Image\.open\(.*\)", str(caught.value))[0]
        read = eval(advice, {"PIL": PIL, "io": io, "image": given, "path": given})
        np.testing.assert_array_equal(paint(read), paint(deep))


def test_a_pool_of_processes_can_take_it(release, astronaut):
    small, first = astronaut[::8, ::8], Colorizer.from_checkpoint(release, 96, flip=True, engine="jax")
    again = pickle.loads(pickle.dumps(first))
    assert (again.size, again.flip, again.engine.name) == (96, True, "jax")
    np.testing.assert_array_equal(again(small), first(small))


def test_a_result_of_another_shape_or_type_is_refused(paint, astronaut):
    small = astronaut[::8, ::8]
    prediction = paint.predict(small)
    for out in (np.empty(small.shape, np.float32), np.empty((3, 4, 3), np.uint8), []):
        with pytest.raises(ValueError, match=r"out must be an array of shape \(.*, 3\) and dtype uint8"):
            paint.paint(small, prediction, out=out)


def test_what_is_no_network_and_no_number_is_named(release):
    with pytest.raises(TypeError, match=r"network is 'runs/unet'; Colorizer\.from_checkpoint takes a path"):
        Colorizer("runs/unet")
    for size in ("64", 64.5):
        with pytest.raises(TypeError, match=r"size=.?64.* must be at least 32 pixels and at most 2048, and a whole number"):
            Colorizer.from_checkpoint(release, size=size)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint32", "bool", "complex64", "U3", "O"])
def test_other_types_are_refused(paint, dtype):
    with pytest.raises(TypeError, match=r"image has dtype .*; it must be uint8, uint16 or float"):
        paint(np.zeros((4, 5), dtype))


@pytest.mark.parametrize(("bad", "named"), [(-0.01, "-0.01"), (1.5, "1.5"), (255.0, "255"), (np.nan, "nan"), (np.inf, "inf")])
def test_floats_outside_0_to_1_are_refused(paint, bad, named):
    image = np.full((4, 5), 0.5)
    image[2, 3] = bad
    with pytest.raises(ValueError, match=rf"image has values from .*{named}.*floats must be in 0\.\.1"):
        paint(image)


def test_what_is_refused_says_what_to_do(paint, tmp_path):
    grey, bits = np.zeros((5, 4, 3), np.uint8), Image.new("1", (4, 5))
    for given, error, said in (
        ("x.jpg", TypeError, "'x.jpg'; it must be pixels: colorjax.colorize_file colours a file"),
        (tmp_path / "x.jpg", TypeError, "x.jpg'; it must be pixels"),
        (
            bytes(10_000),
            TypeError,
            "image is the bytes of a file; it must be pixels: PIL.Image.open(io.BytesIO(",
        ),
        (np.zeros((5, 4, 4), np.uint8), ValueError, "of RGBA give image[..., :3]"),
        (np.zeros((5, 4, 2), np.uint8), ValueError, "of grey with alpha give image[..., 0]"),
        (np.zeros((3, 40, 50), np.uint8), ValueError, "of colours first give np.moveaxis(image, 0, -1)"),
        (grey[None], ValueError, "of several give one at a time"),
        (grey.astype(int), TypeError, "give image.astype(np.uint8), if its values are 0..255"),
        (grey + 200.0, ValueError, "give image / 255"),
        (bits, ValueError, "a picture of mode 1; it must be L or RGB: give image.convert('RGB')"),
        (bits.convert("P"), ValueError, "mode P"),  # its array is of places in a palette
        (bits.convert("CMYK"), ValueError, "mode CMYK"),
        (bits.convert("I"), ValueError, "mode I; it must be L or RGB: give np.asarray(image).astype(np.uint16), if its"),
        (np.zeros((5, 4), bool), TypeError, "give image.astype(np.uint8) * 255"),
        (jnp.zeros((5, 4), jnp.bfloat16), TypeError, "give image.astype(np.float32)"),
        (io.BytesIO(b"x"), TypeError, "image is an open file; it must be pixels: PIL.Image.open(image) reads them"),
        (None, TypeError, "image is of type NoneType; it must be the pixels of one photograph"),
        (iter([grey]), TypeError, "it must be the pixels of one photograph, an array"),
        ([grey[..., 0]] * 2, ValueError, "of several give one at a time"),
        ([grey[..., 0], grey[:3, :, 0]], TypeError, "image is a list of unlike parts"),
    ):
        with pytest.raises(error) as caught:
            paint(given)
        assert said in str(caught.value)
        with pytest.raises(error):
            paint.uncertainty(given)


def test_the_other_byte_order(paint, astronaut):
    image = astronaut[..., 0].astype(np.uint16) * 257
    swapped = image.astype(image.dtype.newbyteorder())
    np.testing.assert_array_equal(paint(swapped), paint(image))


def test_a_network_that_is_not_guided_refuses_hints(paint):
    assert not paint.guided
    with pytest.raises(HintError, match="the network takes no hints"):
        paint(np.zeros((4, 5), np.uint8), hints=[(1, 2, (3, 4, 5))])
    with pytest.raises(HintError, match="the network takes no hints"):
        paint.suggest(np.zeros((4, 5), np.uint8), 1, 2)


def test_a_network_of_nan_is_refused(astronaut):
    network = vivid_network()
    network.params["head"]["kernel"] *= jnp.nan
    with pytest.raises(FloatingPointError, match="not finite; its weights are damaged"):
        Colorizer(network)(astronaut)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match=r"nowhere does not exist; --ckpt takes a workdir"):
        Colorizer.from_checkpoint(tmp_path / "nowhere")
    with pytest.raises(checkpoint.CheckpointError, match=f"{tmp_path.name} holds no checkpoint"):
        Colorizer.from_checkpoint(tmp_path)
    (tmp_path / "weights.onnx").write_bytes(b"")
    with pytest.raises(checkpoint.CheckpointError, match=r"weights\.onnx is a file; --ckpt takes a workdir"):
        Colorizer.from_checkpoint(tmp_path / "weights.onnx")


def test_pretrained_without_weights_says_how_to_train(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoint.shipped, "FOLDER", tmp_path / "none")
    message = r"this installation.* has no weights inside.*train\.py --config.*--ckpt DIR.*from_checkpoint"
    for load in (Colorizer.pretrained, lambda: Colorizer.from_checkpoint("pretrained")):
        with pytest.raises(checkpoint.CheckpointError, match=message):
            load()


# --- what need not be installed ---


def test_colouring_needs_nothing_of_training(release):
    """With what only training needs out of reach: `import colorjax` is light, and a Colorizer colours."""
    program = f"""
import sys
absent = {{"tensorflow", "tensorflow_datasets", "matplotlib", "dm_pix", "skimage", "tensorboard", "clu", "array_record"}}
sys.modules.update(dict.fromkeys(absent))  # importing any of them raises ImportError
import colorjax
assert not {{"jax", "numpy", "flax", "PIL"}} & set(sys.modules), "import colorjax must be light"
from colorjax import Colorizer, color
import numpy as np
result = Colorizer.from_checkpoint({str(release)!r})(np.full((20, 30), 128, np.uint8))
assert result.shape == (20, 30, 3)
del colorjax.checkpoint  # as if nothing had imported it yet
assert set(colorjax.__all__) == {{"Colorizer", "__version__", "checkpoint", "color", "colorize_file"}}
assert callable(colorjax.checkpoint.load)
loaded = sorted(name for name in sys.modules if name.startswith("colorjax.") and sys.modules[name])
print(*loaded)
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.split())
    assert "colorjax.inference.colorizer" in loaded
    assert not {name for name in loaded if name.startswith("colorjax.data")} | loaded & {
        "colorjax.training.telemetry",
        "colorjax.training.optim",
    }


def settled(tmp_path, **settings):
    """The same network with other settings."""
    network = vivid_network()
    with network.config.unlocked():
        network.config.update(settings)
    checkpoint.export(network, tmp_path / "settled")
    return Colorizer.from_checkpoint(tmp_path / "settled")


def test_looks_are_averaged_at_the_finest_scale_and_every_second_is_mirrored(paint, tmp_path, astronaut):
    seen = settled(tmp_path, looks=(1.0, 1.5))
    size = seen.size
    view, _ = seen._view(astronaut, None)
    near, fine = view.answer_at(size, (False,)), view.answer_at(round(1.5 * size), (True,))
    found = seen.predict(astronaut)
    assert found.ab.shape == fine.ab.shape and found.lightness.shape == fine.ab.shape[:2]
    expected = (pixels.resized(near.ab, fine.ab.shape[:2], Image.Resampling.BICUBIC) + fine.ab) / 2
    np.testing.assert_allclose(found.ab, expected, atol=1e-4)
    np.testing.assert_allclose(near.ab, paint.predict_ab(astronaut), atol=1e-4)


def test_one_look_is_what_networks_without_the_setting_take(paint, tmp_path, astronaut):
    np.testing.assert_array_equal(settled(tmp_path, looks=(1.0,)).predict_ab(astronaut), paint.predict_ab(astronaut))
