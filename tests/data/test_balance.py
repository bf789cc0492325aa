"""What balance does to batches, and that it stays a pure function of seed and epoch."""

from collections import Counter

import numpy as np
import pytest
from helpers.tiny import config as tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from colorjax import data
from colorjax.data import balance
from colorjax.data.prepare import Facts
from colorjax.science import bins


def facts(mean_b, ab=(0, 0)):
    """Of a photograph all of one colour, ab in Lab units."""
    return Facts(100, 10.0, mean_b, (bins.histogram(np.tile(np.float32(ab), (4096, 1)))).astype(np.uint16))


# Temperature


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 9), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_every_batch_is_half_warm(warm, cool, batch, seed):
    count = warm + cool
    steps = -(-count // batch)
    order = balance.temperature(seed, batch, steps * batch, np.arange(count) < warm)
    seen = np.stack([order(epoch).reshape(steps, batch) for epoch in range(4)])
    shares = (seen < warm).sum(-1).ravel()
    assert set(shares) <= {batch // 2, -(-batch // 2)}
    assert abs(int(shares.sum()) * 2 - seen.size) <= 1, "odd batches take turns"
    np.testing.assert_array_equal(order(2), order(2))


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_a_side_comes_round_before_any_comes_again(warm, cool, batch):
    """Across epochs, the counts of two photographs of one side never differ by more than one."""
    count = warm + cool
    order = balance.temperature(0, batch, -(-count // batch) * batch, np.arange(count) < warm)
    seen = np.zeros(count, int)
    for epoch in range(6):
        seen += np.bincount(order(epoch), minlength=count)
        for side in (seen[:warm], seen[warm:]):
            assert side.max() - side.min() <= 1


def test_one_sided_photographs_are_refused_with_both_counts():
    config = tiny(data__balance="temperature")
    with pytest.raises(ValueError, match=r"3 are warm, 0 cool"):
        balance.make(config, [facts(5.0)] * 3, 3)
    # The threshold is a setting: above 5 they are all cool.
    with pytest.raises(ValueError, match=r"0 are warm, 3 cool"):
        balance.make(tiny(data__balance="temperature", data__warm_above=5.0), [facts(5.0)] * 3, 3)


def test_unknown_balance_lists_the_legal_ones():
    with pytest.raises(ValueError, match=r"data\.balance='tone' is unknown; legal are none, temperature, histogram"):
        balance.make(tiny(data__balance="tone"), [], 3)


# Histogram


@pytest.fixture(scope="module")
def mixed():
    """400 photographs: 300 brown ones, and 100 of four other colours."""
    colours = [(8, 20)] * 300 + [(-30, 30), (0, -40), (50, 30), (-10, -20)] * 25
    return np.stack([facts(0, ab).colours for ab in colours])


def test_weights_flatten_as_far_as_their_bounds_allow(mixed):
    weights = balance.flat_weights(mixed)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0.99 / (4 * 400) and weights.max() <= 4.01 / 400
    even = np.full(400, 1 / 400)
    before, after = balance.entropy(even, mixed), balance.entropy(weights, mixed)
    # Five colours, each of a fifth: 2.32 bits, and the bounds allow it (0.2 / 300 each of the brown, 0.2 / 25 of the others).
    assert before < 1.4 and after == pytest.approx(np.log2(5), abs=0.01)


def test_one_photograph_never_takes_over():
    colours = np.stack([facts(0, (0, 0)).colours] * 99 + [facts(0, (60, 40)).colours])
    weights = balance.flat_weights(colours)
    assert weights[-1] == pytest.approx(4 / 100, rel=0.02)


def test_every_batch_has_its_share_of_every_hue(mixed):
    batch, steps = 20, 20
    weights = balance.flat_weights(mixed)
    order = balance.histogram(0, batch, batch * steps, weights, mixed)
    for epoch in range(3):
        colours = mixed[order(epoch)].argmax(1).reshape(steps, batch)
        for row in colours:
            assert set(Counter(row.tolist()).values()) <= {3, 4, 5}, "a fifth of 20, one more or less"
    assert not np.array_equal(order(0), order(1))
    np.testing.assert_array_equal(order(1), balance.histogram(0, batch, batch * steps, weights, mixed)(1))


def test_each_is_drawn_as_often_as_its_weight_says(mixed):
    weights = balance.flat_weights(mixed)
    order = balance.histogram(3, 20, 400, weights, mixed)
    counts = sum(np.bincount(order(epoch), minlength=400) for epoch in range(50))
    np.testing.assert_allclose(counts[300:].sum() / counts.sum(), weights[300:].sum(), rtol=0.02)
    one = np.bincount(order(0), minlength=400)
    assert (np.abs(one - 400 * weights) < 1 + 1e-6).all()


# In a pipeline


@pytest.mark.parametrize("name", ["temperature", "histogram"])
def test_batches_of_a_balanced_run(name):
    """The sample's photographs: what comes out of tf.data is what the order says, from any step on, on any number of hosts."""
    config = tiny(data__balance=name, batch_size=12)
    loaded = data.load(config, progress=False)
    assert loaded.report["balance"]
    batches = loaded.train(0)
    whole = [next(batches) for _ in range(10)]
    later = loaded.train(9)
    np.testing.assert_array_equal(next(later)["luma"], whole[9]["luma"])
    parts = [data.load(config, (host, 2), progress=False).train(3) for host in range(2)]
    both = np.zeros_like(whole[3]["luma"])
    both[:6], both[6:] = (next(part)["luma"] for part in parts)
    np.testing.assert_array_equal(both, whole[3]["luma"])
    if name == "temperature":
        places = loaded.order(0).reshape(-1, 12)
        warm = np.array([loaded.store.facts(int(i)).mean_b > 0 for i in loaded.train_indices])
        assert (warm[places].sum(1) == 6).all() and not warm.all()
        assert loaded.report["balance"]["warm"] == warm.sum()


def test_facts_come_from_the_cache_as_they_were(tmp_path):
    config = tiny(data__balance="histogram", data__cache=True, data__cache_dir=str(tmp_path))
    first, second = (data.load(config, progress=False) for _ in range(2))
    assert list(tmp_path.rglob("*.crop"))
    np.testing.assert_array_equal(first.ab_counts, second.ab_counts)
    np.testing.assert_array_equal(first.order(0), second.order(0))
    assert first.ab_counts.sum() == 4096 * len(first.train_indices)
    assert not data.load(tiny(), progress=False).ab_counts.any(), "nothing asked for them"


def test_mean_b_is_that_of_the_photograph(tmp_path):
    from PIL import Image

    for name, rgb in (("cool", (120, 140, 200)), ("warm", (200, 150, 100))):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("RGB", (70, 80), rgb).save(tmp_path / name / f"{i}.png")
    changes = {"data__source": "folder", "data__dir": str(tmp_path), "data__val_fraction": 0.0, "batch_size": 2}
    loaded = data.load(tiny(data__balance="temperature", **changes), progress=False)
    groups = [loaded.store.source.groups[i] for i in loaded.train_indices]
    values = dict(zip(groups, (loaded.store.facts(int(i)).mean_b for i in loaded.train_indices), strict=True))
    from skimage.color import rgb2lab

    for name, rgb in (("cool", (120, 140, 200)), ("warm", (200, 150, 100))):
        assert values[name] == pytest.approx(rgb2lab(np.array([[rgb]]) / 255)[0, 0, 2], abs=0.01)


def test_stretch_shows_the_whole_picture(tmp_path):
    """A panorama of three colours: the crop sees the middle one, the stretch all."""
    from PIL import Image

    pixels = np.zeros((64, 192, 3), np.uint8)
    pixels[:, :64], pixels[:, 64:128], pixels[:, 128:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    config = tiny(data__source="folder", data__dir=str(tmp_path))
    crop, stretch = (
        next(data.load(config, everything=True, geometry=g, progress=False).validation()) for g in ("crop", "stretch")
    )
    assert crop["chroma"].shape == stretch["chroma"].shape == (1, 32, 32, 2)
    assert crop["chroma"][0].std((0, 1)).max() < 0.1 < stretch["chroma"][0].std((0, 1)).min()
    assert (stretch["chroma"][0, :, :8, 0] > 0.5).all() and (stretch["chroma"][0, :, -8:, 1] < -0.8).all()
    with pytest.raises(ValueError, match="protocol 'fit' is unknown; legal are crop, stretch"):
        data.load(config, geometry="fit", progress=False)
