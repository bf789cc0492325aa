"""Strength, warmth and saturation: one formula for page, console and Python."""

import numpy as np
import pytest

from colorjax.science.tints import Tint

AB = np.float32([[[0, 0], [5, -5], [40, 30]]])


def test_nothing_asked_for_changes_nothing():
    np.testing.assert_array_equal(Tint().of(AB), AB)


def test_warmth_goes_to_candlelight_where_there_is_colour():
    warm, cool = Tint(warmth=1).of(AB), Tint(warmth=-1).of(AB)
    np.testing.assert_allclose(warm[0, 1:] - AB[0, 1:], [[4, 11.3]] * 2, rtol=1e-5)
    np.testing.assert_allclose(cool[0, 1:] - AB[0, 1:], [[-4, -11.3]] * 2, rtol=1e-5)
    assert not warm[0, 0].any()  # a mount stays grey


def test_saturation_is_of_pale_colours_above_all_and_strength_of_all():
    pale, bold = (np.linalg.norm(Tint(saturation=0.5).of(AB)[0, at]) / np.linalg.norm(AB[0, at]) for at in (1, 2))
    assert 1.3 < pale <= 1.5 and 1 < bold < 1.1
    np.testing.assert_allclose(Tint(0.5, warmth=0.2).of(AB), Tint(warmth=0.2).of(AB) / 2)


@pytest.mark.parametrize("wrong", [{"strength": 1.6}, {"warmth": -1.1}, {"saturation": 2}, {"warmth": float("nan")}])
def test_what_is_out_of_range_is_named(wrong):
    with pytest.raises(ValueError, match=rf"^{next(iter(wrong))}=.* must be in -?\d"):
        Tint(**wrong).check()
    for words in ("1", None, [1, 2]):  # as a form on a web page gives them
        with pytest.raises(TypeError, match=r"^warmth=.* must be in -1\.\.1, and a number"):
            Tint(warmth=words).check()
