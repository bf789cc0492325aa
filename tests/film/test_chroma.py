"""Cb and Cr beside an untouched Y'."""

import numpy as np
import pytest

from colorjax.film import chroma
from colorjax.science import color

RNG = np.random.default_rng(0)


def shown(luma, painted, coding):
    """R'G'B' of what was painted (4:4:4), by the formulas of ITU-R BT.601, BT.709 and H.273."""
    _, kr, kb = chroma.MATRICES[coding.matrix]
    scale = 1 if coding.full else 2 ** (coding.bits - 8)
    top = 2**coding.bits - 1
    y = luma / top if coding.full else (luma / scale - 16) / 219
    cb, cr = ((plane.astype(float) - 2 ** (coding.bits - 1)) / (top if coding.full else 224 * scale) for plane in painted[:2])
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    return np.stack([red, (y - kr * red - kb * blue) / (1 - kr - kb), blue], axis=-1)


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize(("full", "bits"), [(False, 8), (True, 8), (False, 10), (True, 16)])
def test_the_colour_is_the_one_that_was_wanted(matrix, full, bits):
    coding = chroma.Coding(matrix, full, bits)
    black, white = coding.luma
    luma = RNG.integers(black + (white - black) // 4, white - (white - black) // 4, (64, 64)).astype(coding.dtype)
    ab = RNG.uniform(-25, 25, (64, 64, 2)).astype(np.float32)
    painted = chroma.paint(luma, ab, coding, "444")
    assert painted.cb.dtype == coding.dtype == painted.cr.dtype
    rgb = shown(luma, painted, coding)
    inside = (rgb > 0.01).all(-1) & (rgb < 0.99).all(-1)
    lab = color.rgb_to_lab(np.clip(rgb, 0, 1).astype(np.float32))
    missed = np.abs(lab[..., 1:] - ab)[inside]
    assert inside.mean() > 0.9 and missed.mean() < (0.5 if bits == 8 else 0.15) and np.quantile(missed, 0.999) < 3
    moved = np.abs(lab[..., 0] - chroma.lightness_table(coding)[luma]).mean()
    assert painted.moved == pytest.approx(moved, abs=0.3) and 0 < painted.moved < 5


@pytest.mark.parametrize("full", [True, False])
def test_chroma_gives_way_and_nothing_leaves_the_legal_range(full):
    coding = chroma.Coding(1, full, 8)
    luma = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 64, axis=1)
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    ab = np.broadcast_to(120 * np.stack([np.cos(angle), np.sin(angle)], -1), (256, 64, 2)).astype(np.float32)
    painted = chroma.paint(luma, ab, coding, "444")
    rgb, (black, white) = shown(luma, painted, coding), coding.luma
    code = 2 / coding.swing  # chroma is rounded to whole codes
    assert rgb[black : white + 1].min() > -code and rgb[black : white + 1].max() < 1 + code
    for row in (*range(black + 1), *range(white, 256)):  # black and white, and what is beyond them, are grey
        assert (painted.cb[row] == 128).all() and (painted.cr[row] == 128).all()
    if not full:
        assert painted.cb.min() >= 16 and painted.cb.max() <= 240 and painted.cr.min() >= 16 and painted.cr.max() <= 240


def test_grey_stays_grey():
    coding = chroma.Coding(1, False, 8)
    luma = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 8, axis=1)
    painted = chroma.paint(luma, np.zeros((256, 8, 2), np.float32), coding, "444")
    assert np.abs(painted.cb.astype(int) - 128).max() <= 1 and np.abs(painted.cr.astype(int) - 128).max() <= 1
    assert painted.moved < 0.01


@pytest.mark.parametrize(("layout", "shape"), [("444", (5, 7)), ("422", (5, 4)), ("420", (3, 4))])
def test_layouts_have_their_sizes_and_the_same_colour(layout, shape):
    coding = chroma.Coding(6, False, 8)
    luma, ab = np.full((5, 7), 120, np.uint8), np.full((5, 7, 2), 20, np.float32)
    whole, painted = (chroma.paint(luma, ab, coding, name) for name in ("444", layout))
    assert painted.cb.shape == painted.cr.shape == shape
    assert (painted.cb == whole.cb[0, 0]).all() and (painted.cr == whole.cr[0, 0]).all()


def test_rgb_becomes_what_the_formulas_say():
    image = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]]], np.uint8)
    y, cb, cr = chroma.of_rgb(image, 8, chroma.Coding(6, False, 8), "444")
    assert y.tolist() == [[235, 16, 81, 41]] and cb.tolist() == [[128, 128, 90, 240]] and cr.tolist() == [[128, 128, 240, 110]]
