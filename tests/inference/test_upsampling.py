"""Chroma at full size: along edges, within what was predicted, in strips as in one piece."""

import numpy as np
import pytest
import skimage.data
from PIL import Image

from colorjax.inference.upsampling import Upsampler
from colorjax.science import color


def small_of(array, shape, how=Image.Resampling.BICUBIC):
    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(array, -1, 0)]
    return np.stack([np.asarray(plane.resize(shape[::-1], how)) for plane in planes], axis=-1)


def up(lightness, small, step=1000):
    upsampler = Upsampler(small[..., 0], small[..., 1:], lightness.shape)
    tops = range(0, len(lightness), step)
    return np.concatenate([upsampler.rows(slice(t, min(t + step, len(lightness))), lightness[t : t + step]) for t in tops])


@pytest.fixture(scope="module")
def lab():
    return color.rgb_to_lab(skimage.data.astronaut().astype(np.float32) / 255)


def test_an_edge_of_lightness_becomes_an_edge_of_colour():
    """Two flat halves: a bilinear ramp is eight pixels wide, the edge-aware one follows the step."""
    lab = np.zeros((64, 128, 3), np.float32)
    lab[:, :62], lab[:, 62:] = (30, 40, 10), (70, -20, 30)
    small = small_of(lab, (8, 16))
    wrong = np.abs(up(lab[..., 0], small) - lab[..., 1:]).mean(axis=-1)
    plain = np.abs(small_of(small[..., 1:], (64, 128), Image.Resampling.BILINEAR) - lab[..., 1:]).mean(axis=-1)
    assert wrong.mean() < 0.35 * plain.mean()


def test_on_a_photograph_edges_are_nearer_the_truth_and_the_rest_no_worse(lab):
    small = small_of(lab, (128, 128))
    truth = lab[..., 1:]
    steps = sum((step**2).sum(axis=-1) for step in np.gradient(truth, axis=(0, 1)))
    edges = steps >= np.quantile(steps, 0.95)
    ours = np.abs(up(lab[..., 0], small) - truth).mean(axis=-1)
    plain = {
        how: np.abs(small_of(small[..., 1:], (512, 512), how) - truth).mean(axis=-1)
        for how in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    }
    assert ours[edges].mean() < 0.85 * plain[Image.Resampling.BILINEAR][edges].mean()
    assert ours.mean() < plain[Image.Resampling.BICUBIC].mean()


@pytest.mark.parametrize("step", [1, 7, 100])
@pytest.mark.parametrize("shape", [(512, 512), (300, 40), (50, 64)])
def test_strips_give_the_same_as_one_piece(lab, shape, step):
    small = small_of(lab, (64, 80))
    lightness = small_of(lab, shape)[..., 0]
    np.testing.assert_allclose(up(lightness, small, step), up(lightness, small), atol=2e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (700, 3), (97, 61), (512, 512)])
@pytest.mark.parametrize("small_shape", [(1, 1), (1, 32), (32, 1), (33, 47)])
def test_colours_never_leave_the_range_of_what_was_predicted(shape, small_shape):
    """Whatever the lightness does: noise of full range over random colours."""
    rng = np.random.default_rng(0)
    small = rng.uniform(-110, 110, (*small_shape, 3)).astype(np.float32)
    small[..., 0] = rng.uniform(0, 100, small_shape)
    found = up(rng.uniform(0, 100, shape).astype(np.float32), small)
    assert found.shape == (*shape, 2)
    assert np.isfinite(found).all()
    for channel in range(2):
        assert found[..., channel].min() >= small[..., 1 + channel].min() - 1e-3
        assert found[..., channel].max() <= small[..., 1 + channel].max() + 1e-3


def test_one_colour_stays_one_colour(lab):
    small = small_of(lab, (64, 64))
    small[..., 1:] = (12.5, -40)
    found = up(lab[..., 0], small)
    np.testing.assert_allclose(found, np.broadcast_to(np.float32([12.5, -40]), found.shape), atol=1e-3)


def test_lightness_without_colour_brings_none(lab):
    """Detail of the photograph that has nothing to do with chroma leaves chroma alone."""
    small = small_of(lab, (64, 64))
    small[..., 1:] = small_of(
        np.linspace(-30, 30, 64, dtype=np.float32)[:, None, None] * np.ones((1, 64, 2), np.float32), (64, 64)
    )
    noise = np.random.default_rng(1).normal(50, 3, (512, 512)).astype(np.float32)
    small[..., 0] = 50
    smooth = small_of(small[..., 1:], (512, 512))
    assert np.abs(up(noise, small) - smooth).max() < 1
