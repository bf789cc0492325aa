"""How far hints go: over their object, to its edge, within their radius; and what variants and doubts make of a palette."""

import json

import numpy as np
import pytest
from helpers.vivid import vivid_network
from inference.test_guided import network
from PIL import Image

from colorjax import Colorizer, checkpoint
from colorjax.inference import doubts, reaching, variants
from colorjax.science import bins, color
from colorjax.science.hints import Hint, HintError

RED, BLUE = (200, 30, 30), (30, 60, 200)


@pytest.fixture(scope="module")
def paint():
    return Colorizer(network())


@pytest.fixture(scope="module")
def halves():
    """Two coats side by side, one darker, before a light wall; with grain."""
    picture = np.full((160, 200), 220.0)
    picture[30:, 20:100], picture[30:, 100:180] = 90, 150
    return np.clip(picture + np.random.default_rng(0).normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


def reach_of(hints, grey):
    lightness = color.grey_to_lightness(grey / np.float32(255))
    features = np.asarray(Image.fromarray(lightness).resize((50, 40)))[..., None]
    return reaching.Reach(hints, grey.shape, lightness, features)


def test_a_hint_covers_its_object_and_stops_at_its_edge(halves):
    share = reach_of([Hint(60, 90, BLUE)], halves).share
    assert share[60:150, 30:90].min() > 0.9
    assert share[:, 108:].max() == 0 and share[:24].max() == 0 and share[:, :12].max() == 0


def test_a_radius_bounds_it_too_and_soft_ones_go_where_they_like_within(halves):
    near = reach_of([Hint(60, 90, BLUE, radius=0.1)], halves).share
    assert near[90, 60] == 1 and near[90, 60 + 12] == 1 and near[90, 60 + 22 :].max() == 0
    across = reach_of([Hint(95, 90, BLUE, "soft", 0.1)], halves).share
    assert across[90, 105] == 1 and across[90, 95 + 22 :].max() == 0


def test_where_two_hints_share_an_object_each_has_what_is_nearer(halves):
    hints = [Hint(60, 50, BLUE), Hint(60, 140, RED)]
    reach = reach_of(hints, halves)
    nothing = np.zeros((*halves.shape, 2), np.float32)
    ab = reach.applied(nothing, nothing)
    for hint in hints:
        wanted = color.rgb_to_lab(np.float32(hint.rgb) / 255)[1:]
        np.testing.assert_allclose(ab[hint.y, hint.x], wanted, atol=0.5)
        np.testing.assert_allclose(ab[hint.y, hint.x + 20], wanted, atol=5)
    assert not ab[:, 108:].any()


def test_the_network_is_told_all_of_the_object_and_soft_hints_as_before(halves):
    told = reach_of([Hint(60, 90, BLUE), Hint(150, 90, RED, "soft")], halves).drawn((80, 100))
    chroma = color.rgb_to_lab(np.float32(BLUE) / 255)[1:] / 110
    np.testing.assert_allclose(told[25:70, 15:45], np.broadcast_to((*chroma, 1), (45, 30, 3)), atol=1e-5)
    assert 0 < told[:, 60:, 2].sum() <= 49


def test_a_colorizer_follows_the_hint_exactly_there_and_not_beyond(paint, halves):
    plain = paint.predict(halves)
    hinted = paint.predict(halves, [(60, 90, BLUE)])
    before, after = plain.at(hinted.lightness).ab, hinted.ab
    at = 90 * after.shape[0] // 160, 60 * after.shape[1] // 200
    wanted = color.rgb_to_lab(np.float32(BLUE) / 255)[1:]
    assert np.linalg.norm(after[at] - wanted) < 1
    assert np.linalg.norm(after - before, axis=-1)[:, 110:].max() < 1e-3
    doubt, known = paint.uncertainty(halves), paint.uncertainty(halves, [(60, 90, BLUE)])
    at = 90 * known.shape[0] // 160, 60 * known.shape[1] // 200
    assert known[at] == 0 < doubt[at] and known[:, -4:].min() > 0  # somebody has said what it is
    soft = paint.predict(halves, [(60, 90, BLUE, "soft")]).at(hinted.lightness).ab
    assert np.linalg.norm(soft - before, axis=-1)[:, 60:].max() > 1e-3


def test_variants_differ_visibly_the_first_is_the_answer_and_hints_stay(paint, halves):
    first, *others = paint.variants(halves, 3)
    np.testing.assert_array_equal(first.ab, paint.predict(halves).ab)
    assert len(others) == 2 and np.linalg.norm(others[0].ab - others[1].ab, axis=-1).mean() > 2
    for other in others:
        assert np.linalg.norm(other.ab - first.ab, axis=-1).mean() > 2
    np.testing.assert_array_equal(paint.variant(halves, 2).ab, others[0].ab)  # of however many
    hint = [(60, 90, BLUE)]
    for one in paint.variants(halves, 3, hint):
        at = 90 * one.ab.shape[0] // 160, 60 * one.ab.shape[1] // 200
        assert np.linalg.norm(one.ab[at] - color.rgb_to_lab(np.float32(BLUE) / 255)[1:]) < 1
    for one, same in zip(paint.variants(halves, 3, hint), paint.variants(halves, 3, iter(hint)), strict=True):
        np.testing.assert_array_equal(one.ab, same.ab)  # hints that can be gone through once
    likeliest, doubted = paint.uncertainty(halves), paint.uncertainty(halves, of=others[0])
    assert doubted.shape == likeliest.shape and np.abs(doubted - likeliest).mean() > 0.1
    with pytest.raises(ValueError, match=r"count=7 must be in 1\.\.6"):
        paint.variants(halves, 7)
    for count in ("3", 2.0):
        with pytest.raises(TypeError, match=r"count=.* must be in 1\.\.6, and a whole number"):
            paint.variants(halves, count)
    with pytest.raises(HintError, match="trained without a palette"):
        Colorizer(vivid_network()).variants(halves)


def test_a_variant_has_colours_that_are_likelier_there_than_elsewhere():
    likely = np.full((20, 20, bins.COUNT), 1e-6)
    grey, blue, brown = (int(bins.index(np.float32(ab))) for ab in ((0, 0), (0, -30), (20, 30)))
    likely[..., grey] = 0.6
    likely[:, :10, blue], likely[:, 10:, blue] = 0.3, 0.02
    likely[:, :10, brown], likely[:, 10:, brown] = 0.02, 0.3
    features = np.zeros((20, 20, 4), np.float32)
    features[:, :10] = 1
    lightness, ab = np.full((20, 20), 50.0), np.zeros((20, 20, 2), np.float32)
    (shift,) = variants.shifts(features, likely, lightness, ab, 1)
    assert shift[10, 2, 1] < -10 < 10 < shift[10, 17, 1]


def test_what_is_said_is_the_mean_distance_from_what_is_likely():
    likely = np.zeros((1, 2, bins.COUNT))
    likely[0, 0, int(bins.index(np.float32([0, 0])))] = 1
    likely[0, 1, int(bins.index(np.float32([30, 40])))] = likely[0, 1, int(bins.index(np.float32([0, 0])))] = 0.5
    said = doubts.expected(likely, np.zeros((1, 2, 2), np.float32))
    np.testing.assert_allclose(said, [[0, 25]], atol=1e-4)
    np.testing.assert_allclose(doubts.calibrated(said, {"said": [0, 50], "error": [4, 14]}), [[4, 9]])


def test_a_calibration_beside_the_weights_makes_it_an_error(tmp_path, halves):
    folder = tmp_path / "released"
    checkpoint.export(network(), folder)
    plain = Colorizer.from_checkpoint(folder)
    said = plain.uncertainty(halves)
    assert not plain.calibrated
    with pytest.raises(ValueError, match="is not calibrated"):
        plain.uncertainty(halves, calibrated=True)
    table = {"said": [0, 100], "error": [2, 52], "weights": plain.network.digest}
    (folder / checkpoint.CALIBRATION).write_text(json.dumps(table))
    now = Colorizer.from_checkpoint(folder)
    assert now.calibrated and now.network.digest == plain.network.digest
    np.testing.assert_allclose(now.uncertainty(halves), 2 + said / 2, rtol=1e-4)
    np.testing.assert_allclose(now.uncertainty(halves, calibrated=False), said)
    for wrong, words in (
        (table | {"weights": "0" * 64}, "is of other weights"),
        (table | {"said": [1, 0]}, "is damaged"),
        (table | {"error": [1]}, "is damaged"),
        ([], "is damaged"),
    ):
        (folder / checkpoint.CALIBRATION).write_text(json.dumps(wrong))
        with pytest.raises(checkpoint.CheckpointError, match=words):
            checkpoint.load(folder)
