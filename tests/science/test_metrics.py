"""Metrics and their reduction over a set."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from colorjax.evaluation import evaluators
from colorjax.science import color, metrics
from colorjax.training import losses


@pytest.fixture(scope="module")
def pair():
    """Two photographs in network units, (2, 64, 64, .), and a wrong guess at their chroma."""
    import skimage.data

    photographs = [skimage.data.astronaut()[100:164, 180:244], skimage.data.coffee()[100:164, 180:244]]
    lab = color.rgb_to_lab(np.stack(photographs).astype(np.float32) / 255)
    luma, target = (lab[..., :1] - 50) / 50, lab[..., 1:] / 110
    pred = np.clip(0.5 * target[:, ::-1] + 0.05, -1, 1)
    return jnp.asarray(luma), jnp.asarray(pred), jnp.asarray(target)


def test_perfect_prediction(pair):
    luma, _, target = pair
    values = metrics.compare(luma, target, target)
    for name, expected in {"l1": 0, "psnr": 100, "ssim": 1, "ssim_ab": 1, "delta_e": 0, "bias_a": 0, "bias_b": 0}.items():
        np.testing.assert_allclose(values[name], expected, atol=1e-4, err_msg=name)
    np.testing.assert_array_equal(values["colourfulness"], values["colourfulness_target"])


def test_definitions(pair):
    """Each metric against its plain formula, picture by picture."""
    luma, pred, target = pair
    values = {name: np.asarray(value) for name, value in metrics.compare(luma, pred, target).items()}
    for i in range(2):
        ab, ab_true = np.asarray(pred[i]) * 110, np.asarray(target[i]) * 110
        lightness = np.asarray(luma[i]) * 50 + 50
        rgb, rgb_true = (np.asarray(color.lab_to_rgb(np.concatenate([lightness, x], -1))) for x in (ab, ab_true))
        assert values["l1"][i] == pytest.approx(np.abs(ab - ab_true).mean() / 128, rel=1e-4)
        assert values["psnr"][i] == pytest.approx(-10 * np.log10(((rgb - rgb_true) ** 2).mean()), rel=1e-4)
        assert values["bias_a"][i] == pytest.approx((ab - ab_true)[..., 0].mean(), rel=1e-3)
        assert values["bias_b"][i] == pytest.approx((ab - ab_true)[..., 1].mean(), rel=1e-3)
        options = {"channel_axis": -1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
        for name, a, b, span in (("ssim", rgb, rgb_true, 1.0), ("ssim_ab", ab / 128, ab_true / 128, 2.0)):
            _, full = structural_similarity(a, b, data_range=span, **options)
            inside = full[5:-5, 5:-5].mean()  # dm-pix leaves out the border that the window does not fit in
            assert values[name][i] == pytest.approx(inside, abs=2e-3), name


def test_colourfulness_of_a_known_picture():
    """Half pure red, half pure green: spread and mean of the opponent channels by hand."""
    rgb = np.zeros((1, 10, 10, 3), np.float32)
    rgb[0, :5, :, 0], rgb[0, 5:, :, 1] = 1, 1
    # rg is +255 and -255: mean 0, std 255. yb is 127.5 everywhere: std 0.
    assert float(metrics.colourfulness(jnp.asarray(rgb))[0]) == pytest.approx(255 + 0.3 * 127.5, rel=1e-4)


def test_batch_of_two_is_two_batches_of_one(pair):
    both = metrics.compare(*pair)
    for i in range(2):
        for name, value in metrics.compare(*(x[i : i + 1] for x in pair)).items():
            np.testing.assert_allclose(value[0], both[name][i], rtol=2e-4, atol=1e-5, err_msg=name)


def test_masked_mean_counts_real_pictures_only():
    values, mask = jnp.array([1.0, 3.0, 99.0]), jnp.array([1.0, 1.0, 0.0])
    assert float(losses.mean(values, mask)) == 2
    assert float(losses.mean(values, 0 * mask)) == 0


def batches(values, size):
    """Batches of constant pictures whose l1 is their value; padded with mask 0."""
    padded = [*values, *[0.0] * (-len(values) % size)]
    for start in range(0, len(padded), size):
        part = np.array(padded[start : start + size], np.float32)
        index = np.arange(start, start + size, dtype=np.int32)
        yield {
            "luma": np.zeros((size, 16, 16, 1), np.float32),
            "chroma": np.broadcast_to(part[:, None, None, None], (size, 16, 16, 2)),
            "mask": (index < len(values)).astype(np.float32),
            "group": index % 2,
            "index": index,
        }


@jax.jit
def step(batch):
    return metrics.compare(batch["luma"], jnp.zeros_like(batch["chroma"]), batch["chroma"]) | {"chroma": batch["chroma"]}


def test_every_picture_counts_once_whatever_the_batch_size():
    values = np.linspace(0.1, 0.7, 7)
    results = [evaluators.run(step, batches(values, size), lambda b: b, {0, 6}) for size in (2, 3, 7)]
    for result in results:
        assert result.index.tolist() == list(range(7)) and result.panel_indices.tolist() == [0, 6]
        mean = evaluators.means(result.values)["l1"]
        assert mean == pytest.approx(values.mean() * 110 / 128, rel=1e-4)


def test_table_has_groups_and_intervals_that_hold_the_mean():
    result = evaluators.run(step, batches(np.linspace(0.1, 0.7, 7), 4), lambda b: b, set())
    table = evaluators.table(result, ("even", "odd"))
    assert {name: row["pictures"] for name, row in table.items()} == {"all": 7, "even": 4, "odd": 3}
    for row in table.values():
        assert row["l1"]["low"] < row["l1"]["mean"] < row["l1"]["high"]
    assert evaluators.table(result, ("even", "odd")) == table  # the bootstrap is seeded


def test_bootstrap_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(60):
        sample = rng.normal(5, 1, 40)
        values = {"x": sample, "colourfulness": sample, "colourfulness_target": sample}
        interval = evaluators.intervals(values, seed)["x"]
        hits += interval["low"] <= 5 <= interval["high"]
    assert 50 <= hits <= 60


def test_nothing_to_evaluate_is_an_error():
    with pytest.raises(ValueError, match="no photograph to evaluate on"):
        evaluators.run(step, batches([], 4), lambda b: b, set())
