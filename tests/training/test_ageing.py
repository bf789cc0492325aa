"""Photographs made to look old: what each change does to lightness, and that the truth keeps its colours."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from helpers.tiny import config as tiny
from PIL import Image

from colorjax.networks import state
from colorjax.platform import sharding
from colorjax.science import bins, color
from colorjax.training import ageing, optim, steps

KEY = jax.random.key(0)
pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture(scope="module")
def batch():
    """(luma, chroma) of 32 different crops of one photograph."""
    image = Image.fromarray(skimage.data.coffee()).resize((150, 100))
    rng = np.random.default_rng(0)
    crops = [np.asarray(image)[y : y + 64, x : x + 60] for y, x in rng.integers(0, 36, (32, 2))]
    lab = color.rgb_to_lab(np.stack(crops).astype(np.float32) / 255)
    return jnp.asarray(lab[..., :1] / 50 - 1), jnp.asarray(lab[..., 1:] / 110)


@pytest.fixture(scope="module")
def aged(quick_compile, batch):
    """(key, share) -> the batch aged; compiled once."""
    program = jax.jit(ageing.aged)
    return lambda key, share: program(*batch, key, share)


def changed(luma, chroma):
    """(luma, chroma) of the batch where every picture is aged, by what ageing is at this moment; compiled as one program."""
    return jax.jit(lambda luma, chroma: ageing.aged(luma, chroma, KEY, 1.0))(luma, chroma)


def often(name, monkeypatch):
    """Only one change, and that in every picture."""
    for other in ("_blurred", "_grained", "_faded", "_compressed"):
        if other != name:
            monkeypatch.setattr(ageing, other, lambda lightness, key: lightness)
    if name != "_orthochromatic":
        monkeypatch.setattr(ageing, "_orthochromatic", lambda chroma: lambda lightness, key: lightness)
    monkeypatch.setattr(ageing, "_MOUNTED", float(name == "_border"))
    monkeypatch.setattr(ageing, "_OFTEN", 1.0)


def roughness(luma):
    return np.abs(np.diff(np.asarray(luma), axis=2)).mean((1, 2, 3))


def test_so_many_are_aged_and_the_others_are_what_they_were(batch, aged):
    luma, chroma = batch
    seen, truth = aged(KEY, 0.5)
    same = np.asarray((seen == luma).all((1, 2, 3)))
    assert 8 <= same.sum() <= 26
    assert (np.asarray(truth)[same] == np.asarray(chroma)[same]).all()
    assert seen.min() >= -1 and seen.max() <= 1 and np.isfinite(np.asarray(seen)).all()
    assert (np.asarray(aged(KEY, 0.0)[0]) == np.asarray(luma)).all()


def test_chance_is_the_keys_alone(aged):
    first, second, other = (aged(key, 1.0)[0] for key in (KEY, KEY, jax.random.key(1)))
    assert (first == second).all() and not (first == other).all()


def test_red_turns_dark_and_blue_light(monkeypatch):
    often("_orthochromatic", monkeypatch)
    rgb = np.broadcast_to(
        np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.5, 0.5, 0.5]], np.float32)[:, None, None], (3, 16, 16, 3)
    )
    lab = jnp.asarray(color.rgb_to_lab(rgb))
    luma = lab[..., :1] / 50 - 1
    change = np.asarray(changed(luma, lab[..., 1:] / 110)[0] - luma)[:, 0, 0, 0]
    assert change[0] < -0.02 and change[1] > 0.02 and abs(change[2]) < 1e-3


def test_blur_takes_detail_and_grain_adds_it(batch, monkeypatch):
    before = roughness(batch[0])
    with monkeypatch.context() as patch:
        often("_blurred", patch)
        luma, chroma = batch
        blurred = changed(luma, chroma)[0]
        assert (roughness(blurred) <= before + 1e-5).all() and (roughness(blurred) < 0.98 * before).any()
        np.testing.assert_allclose(blurred.mean((1, 2)), luma.mean((1, 2)), atol=0.01)  # no light is lost
    with monkeypatch.context() as patch:
        often("_grained", patch)
        grained = changed(luma, chroma)[0]
        assert (roughness(grained) > before).mean() > 0.9
        assert np.abs(np.asarray((grained - luma).mean((1, 2, 3)))).max() < 0.02


def test_fading_takes_contrast_and_keeps_the_order_of_tones(monkeypatch):
    often("_faded", monkeypatch)
    ramp = jnp.broadcast_to(jnp.linspace(-1, 1, 64)[None, None, :, None], (32, 16, 64, 1))
    faded = np.asarray(changed(ramp, jnp.zeros((32, 16, 64, 2)))[0])[:, 0, :, 0]
    assert (np.diff(faded) > 0).all()
    contrast = faded[:, -1] - faded[:, 0]
    assert contrast.max() <= 2 and contrast.min() >= 0.95 and np.ptp(contrast) > 0.3


def test_a_mount_is_plain_at_the_edge_and_has_no_colour(batch, monkeypatch):
    often("_border", monkeypatch)
    luma, chroma = batch
    seen, truth = (np.asarray(one) for one in changed(luma, chroma))
    np.testing.assert_allclose(seen[:, 6:-6, 6:-6], np.asarray(luma)[:, 6:-6, 6:-6], atol=1e-6)
    covered = (truth == 0).all(-1)
    assert 0.05 < covered.mean() < 0.3
    for picture, where in zip(seen, covered, strict=True):
        if where.any():
            assert np.ptp(picture[where]) == 0 and (picture[where].max() <= -0.6 or picture[where].min() >= 0.6)


@pytest.mark.parametrize("quality", [30, 60, 90, 95])
def test_compression_is_jpegs(quality, monkeypatch):
    """As libjpeg's, by Pillow, of the same quality: its grey is the same within what rounding to 8 bits does."""
    monkeypatch.setattr(ageing, "_uniform", lambda key, batch, low, high: jnp.full((batch, 1, 1, 1), float(quality)))
    grey = np.asarray(Image.fromarray(skimage.data.coffee()).convert("L"))[:61, :77]
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "JPEG", quality=quality)
    theirs = np.asarray(saved := Image.open(stream)).astype(np.float32)
    table = np.asarray(ageing._table(jnp.full((1, 1), float(quality))))
    assert sorted(table.ravel()) == sorted(saved.quantization[0])
    lightness = color.grey_to_lightness(jnp.asarray(grey[None, ..., None] / 255, jnp.float32))
    ours = np.asarray(color.lightness_to_grey(ageing._compressed(lightness, KEY)))[0, ..., 0] * 255
    assert np.abs(ours - theirs).mean() < 0.45
    assert quality > 60 or np.abs(grey - theirs).mean() > 0.7


@pytest.mark.slow
def test_each_step_ages_its_pictures_anew_and_alike_in_every_run():
    """The same pictures step after step, and again from the start: the gradient of a network that stands still tells."""

    def told(aged):
        config = tiny(model__name="shallow", data__aged=aged, learning_rate=1e-9)
        mesh, optimizers = sharding.make_mesh(), optim.make(config, 10)
        now = jax.jit(lambda: state.init(config, optimizers), out_shardings=sharding.replicated(mesh))()
        step, rng = steps.make(config, optimizers, mesh, np.zeros(bins.COUNT)), np.random.default_rng(0)
        one = {
            "luma": rng.uniform(-0.5, 0.5, (4, 32, 32, 1)).astype(np.float32),
            "chroma": rng.uniform(-0.3, 0.3, (4, 32, 32, 2)).astype(np.float32),
            "mask": np.ones(4, np.float32),
        }
        norms = []
        for _ in range(3):
            now, scalars = step(now, sharding.put(one, mesh))
            norms.append(float(scalars["grad_norm"]))
        return norms

    plain, first, again = told(0.0), told(1.0), told(1.0)
    assert first == again and len(set(first)) == 3
    assert np.ptp(plain) < 1e-3 * plain[0] < np.ptp(first)
