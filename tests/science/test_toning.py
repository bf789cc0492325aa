"""What a picture is: photographs in colour are told from toned and faded prints, negatives from photographs."""

import numpy as np
import pytest
import skimage.data
from PIL import Image

from colorjax.science import color, toning

GREYS = ["camera", "moon", "coins"]
COLOURS = ["astronaut", "coffee", "chelsea", "rocket"]


def photograph(name):
    return getattr(skimage.data, name)()


def print_of(name, tone):
    """A toned print of a photograph, with grain: `tone` gives ab (..., 2) of L* and of how far from the middle."""
    grey = np.asarray(Image.fromarray(photograph(name)).convert("L").resize((300, 240)))
    lightness = color.grey_to_lightness(grey / np.float32(255))
    away = np.hypot(*np.mgrid[-1 : 1 : len(grey) * 1j, -1 : 1 : grey.shape[1] * 1j])
    lab = np.concatenate([lightness[..., None], tone(lightness / 100, away)], axis=-1).astype(np.float32)
    rgb = color.lab_to_rgb(color.fit_to_gamut(lab.reshape(-1, 3)).reshape(lab.shape))
    return np.clip(rgb * 255 + np.random.default_rng(0).normal(0, 2, rgb.shape), 0, 255).astype(np.uint8)


def along(hue, chroma):
    return chroma[..., None] * np.array([np.cos(np.radians(hue)), np.sin(np.radians(hue))])


TONES = {
    "sepia": lambda light, away: along(68, 60 * light * (1 - light)),
    "cyanotype": lambda light, away: along(265, 30 * (1 - light) ** 0.6),
    "faded": lambda light, away: along(85, (6 + 8 * away) * (0.4 + 0.6 * light)),
    "split": lambda light, away: along(70, 14 * light) + along(270, 14 * (1 - light)),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", COLOURS)
def test_photographs_in_colour_are_told(name, dtype):
    image = photograph(name).astype(dtype) * (257 if dtype == np.uint16 else 1)
    assert toning.is_in_colour(image)
    assert not toning.is_in_colour(np.repeat(image[..., 1:2], 3, axis=-1))


@pytest.mark.parametrize("tone", TONES)
@pytest.mark.parametrize("name", ["camera", "astronaut", "rocket"])
def test_toned_and_faded_prints_count_as_grey(name, tone):
    assert not toning.is_in_colour(print_of(name, TONES[tone]))


@pytest.mark.parametrize("edge", range(4))
def test_a_colour_card_along_an_edge_does_not_count(edge):
    image = print_of("camera", TONES["sepia"])
    turned = np.ascontiguousarray(np.rot90(image, edge))
    turned[-len(turned) // 10 :] = np.repeat(np.array([[0, 80, 160], [0, 150, 60], [230, 200, 0], [200, 30, 40]]), 80, 0)[
        : turned.shape[1]
    ]
    assert not toning.is_in_colour(turned)


def test_sizes_that_say_nothing():
    for shape in ((1, 1), (1, 1, 3), (2, 500, 3), (500, 3), (40, 41), (97, 193, 3)):
        image = np.full(shape, 200, np.uint8)
        assert not toning.is_in_colour(image)
        assert toning.negative_score(image) == 0


@pytest.mark.parametrize("name", GREYS + COLOURS)
def test_a_negative_is_likelier_one_than_its_photograph(name):
    image = photograph(name)
    assert toning.negative_score(255 - image) > 0 > toning.negative_score(image)


def test_many_are_judged_together():
    scores = [toning.negative_score(photograph(name)) for name in GREYS + COLOURS]
    inverted = [toning.negative_score(255 - photograph(name)) for name in GREYS + COLOURS]
    assert not toning.are_negatives(scores * 2)
    assert toning.are_negatives(inverted * 2)
    assert not toning.are_negatives(inverted)  # seven are too few
