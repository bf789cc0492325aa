"""Guided networks: what sees hints starts without effect, simulated hints are true, and `Colorizer` follows real ones."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from helpers import ROOT
from helpers.tiny import config as tiny
from PIL import Image

from colorjax import Colorizer, checkpoint
from colorjax.evaluation import guidance
from colorjax.inference import exports
from colorjax.networks import state
from colorjax.platform import sharding
from colorjax.science import bins, color, metrics, simulation
from colorjax.science import hints as hinting
from colorjax.science.hints import HintError
from colorjax.training import losses, optim, runs, steps

sys.path.insert(0, str(ROOT))
import evaluate

pytestmark = pytest.mark.usefixtures("quick_compile")
KINDS = {"full": ("resnet_unet", "full"), "strided": ("resnet_unet", "strided"), "shallow": ("shallow", "full")}


def settings(kind="shallow", **changes):
    name, stem = KINDS[kind]
    return tiny(model__name=name, model__stem=stem, model__guided=True, pretrained="", **changes)


def numbers(config, seed=0, hinted=True):
    """Random (params, stats), from NumPy because XLA takes long to compile Flax's; hinted=False: no hint has an effect."""
    rng = np.random.default_rng(seed)

    def random(path, leaf):
        name = jax.tree_util.keystr(path)
        if "var" in name or "scale" in name:
            return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), jnp.float32)
        size = np.prod(leaf.shape[:-1]) ** -0.5 if leaf.ndim > 1 else 0.05
        size *= 4 if "hints" in name or "head" in name else 1
        return jnp.asarray((hinted or "hints" not in name) * rng.normal(0, size, leaf.shape), jnp.float32)

    shapes = jax.eval_shape(lambda: state.init_network(config.model, jax.random.key(0)))
    return jax.tree_util.tree_map_with_path(random, shapes)


def network(kind="shallow", **changes):
    config = settings(kind, image_size=64, **changes)
    return checkpoint.Network(config, *numbers(config), Path("random"), "0" * 64)


@pytest.fixture(scope="module")
def paint():
    return Colorizer(network())


@pytest.fixture(scope="module")
def cat():
    return np.asarray(Image.fromarray(skimage.data.chelsea()).resize((150, 100)))


# The network.


def test_what_sees_hints_starts_at_nothing():
    @jax.jit
    def kernels():
        params, _ = state.init_network(settings().model, jax.random.key(0))
        return params["hints"]["kernel"], params["palette"]["logits"]["kernel"], params["down1"]["kernel"]

    hints, palette, other = kernels()
    assert not hints.any() and not palette.any() and other.any()


def test_hints_have_an_effect_where_the_kernel_is_not_0():
    config = settings()
    run = state.predict(state.graphdef(config.model))
    rng = np.random.default_rng(1)
    luma = rng.uniform(-1, 1, (1, 32, 40, 1)).astype(np.float32)
    none, hints = np.zeros((2, 1, 32, 40, 3), np.float32)
    hints[0, 10:13, 12:15] = 0.5, -0.5, 1
    nothing = run(*numbers(config), luma, none)
    np.testing.assert_allclose(run(*numbers(config), luma), nothing, atol=1e-6)  # all 0 is none
    assert np.abs(run(*numbers(config), luma, hints) - nothing).max() > 1e-3
    np.testing.assert_allclose(run(*numbers(config, hinted=False), luma, hints), nothing, atol=1e-6)


def test_an_automatic_network_becomes_a_guided_one_that_answers_alike(tmp_path, capsys):
    automatic = tiny(model__name="shallow", model__stem="full")
    now = state.new(automatic, optim.make(automatic, 6))
    now.params["head"]["kernel"] = now.params["head"]["kernel"] + 0.1
    stored = json.loads(automatic.to_json_best_effort())
    with checkpoint.Checkpoints(tmp_path / "run", keep=1) as checkpoints:
        checkpoints.save(now, automatic, {"l1": 0.1})
    config = settings(init_from=str(tmp_path / "run"))
    optimizers, mesh = optim.make(config, 6), sharding.make_mesh()
    with checkpoint.Checkpoints(tmp_path / "guided", keep=1) as checkpoints:
        guided, _ = runs.start(config, optimizers, mesh, checkpoints)
        checkpoints.save(guided, config, {"l1": 0.1})
    luma = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 1)).astype(np.float32)
    expected = state.predict(state.graphdef(automatic.model))(now.params, now.stats, luma)
    hints = np.ones((1, 16, 16, 3), np.float32)
    answer = state.predict(state.graphdef(config.model))(*jax.device_get((guided.params, guided.stats)), luma, hints)
    np.testing.assert_allclose(answer, expected, atol=1e-6)
    assert np.abs(expected).max() > 0.01
    back = tiny(model__name="shallow", model__stem="full", init_from=str(tmp_path / "guided"))
    with pytest.raises(ValueError, match=r"holds a guided network; it needs model\.guided=True"):
        runs.start(back, optim.make(back, 6), mesh, checkpoint.Checkpoints(tmp_path / "new", keep=1))
    del stored["model"]["guided"]  # as the first networks were stored
    assert not checkpoint.networks._config(stored).model.guided
    assert checkpoint.load(tmp_path / "guided").config.model.guided


# Simulated hints.


def test_training_hints_are_squares_of_the_true_mean_in_the_numbers_of_the_law():
    rng = np.random.default_rng(0)
    chroma = rng.uniform(-1, 1, (2000, 24, 20, 2)).astype(np.float32)
    chroma[1::2] = rng.uniform(-1, 1, (1000, 1, 1, 2))  # of one colour: every mean is that
    hints = np.asarray(jax.jit(simulation.for_training)(chroma, jax.random.key(0), 0.25))
    mask = hints[..., 2]
    assert set(np.unique(mask)) == {0, 1} and not hints[mask == 0].any()
    flat = np.broadcast_to(chroma[1::2], (1000, 24, 20, 2))[mask[1::2] > 0]
    np.testing.assert_allclose(hints[1::2][mask[1::2] > 0][:, :2], flat, atol=1e-5)
    covered = mask.mean((1, 2))
    none, whole = (covered == 0).mean(), (covered == 1).mean()
    assert abs(none - 0.25) < 0.03 and abs(whole - simulation.ALL) < 0.015 and whole > 0
    shown = whole_pictures = covered == 1
    np.testing.assert_allclose(hints[shown][:, :, :, :2][0], chroma[whole_pictures][0])
    single = [m for m in mask if 1 <= m.sum() <= 81 and m.any(0).sum() * m.any(1).sum() == m.sum()]  # one square alone
    sides = {int(m.any(0).sum()) for m in single if m.any(0).sum() == m.any(1).sum()}
    assert sides >= set(range(1, 9)) and max(sides) <= 9
    anywhere = np.mean([m for m, share in zip(mask, covered, strict=True) if 0 < share < 1], axis=0)
    assert anywhere[0, 0] > 0 and anywhere[-1, -1] > 0  # at the corners too


@pytest.mark.parametrize("unhinted", [0.0, 0.6, 1.0])
def test_so_many_training_pictures_get_no_hint(unhinted):
    chroma = np.ones((2000, 16, 16, 2), np.float32)
    mask = simulation.for_training(chroma, jax.random.key(0), unhinted)[..., 2]
    assert (mask.max((1, 2)) == 0).mean() == pytest.approx(unhinted, abs=0.03 if 0 < unhinted < 1 else 0)


def test_training_hints_are_a_function_of_the_key():
    chroma = np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 2)).astype(np.float32)
    one, again, other = (jax.jit(simulation.for_training)(chroma, jax.random.key(seed), 0.25) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (np.asarray(one) != np.asarray(other)).any()


def test_more_measuring_hints_are_the_fewer_and_others():
    chroma = np.random.default_rng(0).uniform(-1, 1, (3, 100, 120, 2)).astype(np.float32)
    index = np.array([5, 7, -1])
    measuring = jax.jit(simulation.for_measuring, static_argnums=2)
    few, many = (measuring(chroma, index, count) for count in (3, 8))
    np.testing.assert_array_equal(few[2], many[2][:, :3])
    assert not np.array_equal(few[2][0], few[2][1])
    again = measuring(chroma[1:2], index[1:2], 3)  # whatever batch a picture is in
    np.testing.assert_allclose(again[0][0], few[0][1], atol=1e-6)
    side = hinting.side((100, 120))
    assert side == 3
    for picture, (hints, own, middles) in enumerate(zip(*map(np.asarray, few), strict=True)):
        for color_, (row, column) in zip(own, middles, strict=True):
            square = chroma[picture, row - 1 : row + 2, column - 1 : column + 2]
            np.testing.assert_allclose(color_, square.mean((0, 1)), atol=1e-5)
        assert hints[..., 2].sum() <= 3 * side**2


def batch_of(config):
    """8 pictures of noise, each of one colour, as `data.lab` says."""
    rng = np.random.default_rng(0)
    if config.data.lab == "device":
        return {"image_u8": rng.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8), "mask": np.ones(8, np.float32)}
    chroma = np.broadcast_to(rng.uniform(-0.5, 0.5, (8, 1, 1, 2)), (8, 16, 16, 2))
    batch = {"luma": rng.uniform(-1, 1, (8, 16, 16, 1)), "chroma": chroma, "mask": np.ones(8)}
    return {key: value.astype(np.float32) for key, value in batch.items()}


def trained(config, count):
    """(the state after so many steps, the metrics of each)."""
    optimizers, mesh = optim.make(config, 6), sharding.make_mesh()
    step, batch = steps.make(config, optimizers, mesh, np.zeros(bins.COUNT)), batch_of(config)
    now, rows = state.new(config, optimizers), []
    now.params, now.stats = numbers(config, hinted=False)
    now.params["palette"]["logits"] = jax.tree.map(jnp.zeros_like, now.params["palette"]["logits"])
    now.average = {"params": now.params, "stats": now.stats} if config.ema else {}
    now = sharding.place(now, jax.tree.map(lambda leaf: leaf.sharding, state.abstract(config, optimizers, mesh)))
    for _ in range(count):
        now, scalars = step(now, sharding.put(batch, mesh))
        rows.append({name: float(value) for name, value in scalars.items()})
    return now, rows


def test_a_step_of_training_moves_hints_and_palette_and_is_the_same_again():
    (one, rows), (two, again) = (trained(settings(), 3) for _ in range(2))
    assert rows == again
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one.params, two.params))
    assert rows[0]["palette"] == pytest.approx(np.log(bins.COUNT), abs=1e-3)  # it starts knowing nothing
    assert rows[2]["palette"] < rows[0]["palette"]
    assert np.abs(one.params["hints"]["kernel"]).max() > 0
    expected = rows[0]["l1"] * 128 / 110 + settings().loss.hints * rows[0]["hints"]  # without the palette's
    assert rows[0]["loss"] == pytest.approx(expected, rel=1e-4)


def test_guided_networks_are_trained_against_a_discriminator_from_pixels_and_averaged():
    changes = {"loss__adversarial": 1.0, "loss__l1": 10.0, "discriminator__width": 4, "discriminator__layers": 1}
    now, (row,) = trained(settings(**changes, data__lab="device", ema=0.5), 1)
    assert {"adversarial", "discriminator_loss", "palette", "hints"} <= row.keys()
    expected = 10 * row["l1"] * 128 / 110 + settings().loss.hints * row["hints"] + row["adversarial"]
    assert row["loss"] == pytest.approx(expected, rel=1e-4)
    for numbers_ in (now.params, now.average["params"]):
        assert np.abs(numbers_["hints"]["kernel"]).max() > 0
        assert np.abs(numbers_["palette"]["logits"]["kernel"]).max() > 0


def test_pixels_with_hints_count_by_their_number_alone():
    rng = np.random.default_rng(0)
    pred, target = (jnp.asarray(rng.uniform(-1, 1, (3, 6, 5, 2)), jnp.float32) for _ in range(2))
    hints = np.zeros((3, 6, 5, 3), np.float32)
    hints[0, 2, 3, 2] = hints[1, :2, :, 2] = 1  # one pixel, ten, none
    found = losses.l1_at_hints(pred, target, hints)
    far = np.abs(pred - target)
    np.testing.assert_allclose(found, [far[0, 2, 3].mean(), far[1, :2].mean(), 0], atol=1e-6)
    config = settings(loss__hints=0.5)
    loss = losses.reconstruction(config, np.zeros(bins.COUNT))
    luma = jnp.zeros((3, 6, 5, 1))
    total, terms = loss(loss.frozen, luma, pred, target, hints)
    np.testing.assert_allclose(terms["hints"], found)
    np.testing.assert_allclose(total, losses.l1(pred, target) + 0.5 * found, atol=1e-6)
    assert loss(loss.frozen, luma, pred, target)[1] == {}  # of a network that is not guided


# Colour bins and metrics.


def test_bins_by_index_are_those_of_the_histogram():
    ab = np.random.default_rng(0).uniform(-120, 120, (500, 2)).astype(np.float32)
    index = np.asarray(bins.index(ab))
    np.testing.assert_array_equal(np.bincount(index, minlength=bins.COUNT), bins.histogram(ab))
    inside = np.abs(ab).max(-1) < 110
    assert np.abs(bins.centres()[index] - ab)[inside].max() <= bins.STEP / 2 + 1e-4


def test_the_likeliest_colours_are_apart_and_in_order():
    weights = np.zeros(bins.COUNT)
    at = {name: int(bins.index(np.float32(ab))) for name, ab in {"red": (60, 40), "near": (60, 50), "blue": (10, -50)}.items()}
    weights[at["red"]], weights[at["near"]], weights[at["blue"]] = 3, 1, 5
    weights[int(bins.index(np.float32([-110, -110])))] = 100  # no colour of sRGB
    (blue, half), (red, other) = bins.likeliest(weights, 4)
    assert (half, other) == (pytest.approx(5 / 9), pytest.approx(4 / 9))
    np.testing.assert_allclose(blue, (10, -50))
    np.testing.assert_allclose(red, (60, 42.5))
    assert len(bins.likeliest(weights, 1)) == 1


def test_delta_e_at_points_is_that_of_each_pixel():
    rng = np.random.default_rng(0)
    luma, pred = rng.uniform(-1, 1, (2, 9, 7, 1)), rng.uniform(-0.4, 0.4, (2, 9, 7, 2))
    wanted, points = rng.uniform(-0.4, 0.4, (2, 3, 2)), np.stack([rng.integers(0, 9, (2, 3)), rng.integers(0, 7, (2, 3))], -1)
    found = jax.jit(metrics.at_points)(*(jnp.asarray(x, jnp.float32) for x in (luma, pred, wanted)), points)
    for b in range(2):
        for n, (y, x) in enumerate(points[b]):
            one, other = (np.concatenate([luma[b, y, x] * 50 + 50, ab * 110]) for ab in (pred[b, y, x], wanted[b, n]))
            assert found[b, n] == pytest.approx(float(color.delta_e_2000(np.float32(one), np.float32(other))), abs=1e-2)


# Using it.


def test_a_hint_changes_the_colour_around_it_and_no_lightness(paint, cat):
    plain, hinted = paint(cat), paint(cat, hints=[(40, 60, (200, 30, 30))])
    np.testing.assert_array_equal(paint(cat, hints=[]), plain)
    change = np.abs(hinted.astype(int) - plain).sum(-1)
    y, x = np.unravel_index(change.argmax(), change.shape)
    assert change.max() > 10 and abs(y - 60) < 30 and abs(x - 40) < 30
    assert np.abs(color.rgb_to_lab(hinted / 255)[..., 0] - color.rgb_to_lab(cat / 255)[..., 0]).max() <= 0.5
    np.testing.assert_array_equal(paint(cat, hints=[{"x": 40, "y": 60, "color": "#c81e1e"}]), hinted)


def test_hints_are_mirrored_with_the_photograph(cat):
    hint = [(20, 60, (30, 30, 200), "soft")]
    one, both = network(), Colorizer(network(), flip=True)
    mirror = Colorizer(one).predict(np.ascontiguousarray(cat[:, ::-1]), [(cat.shape[1] - 1 - 20, 60, (30, 30, 200), "soft")])
    mean = (Colorizer(one).predict(cat, hint).ab + mirror.ab[:, ::-1]) / 2
    np.testing.assert_allclose(both.predict(cat, hint).ab, mean, atol=0.1)


def test_hints_reach_every_scale(cat):
    large = Colorizer(network(), 96)
    assert np.abs(large.predict(cat, [(40, 60, (200, 30, 30), "soft")]).ab - large.predict(cat).ab).max() > 5
    spread = large.uncertainty(cat, [(40, 60, (200, 30, 30))])
    assert np.abs(spread - large.uncertainty(cat)).max() > 0.1


def test_suggestions_are_colours_of_that_lightness_the_likeliest_first(paint, cat):
    found = paint.suggest(cat, 100, 30, count=5)
    assert len(found) == 5 and [one.share for one in found] == sorted((one.share for one in found), reverse=True)
    assert 0 < sum(one.share for one in found) <= 1 + 1e-6
    lab = color.rgb_to_lab(np.array([one.rgb for one in found], np.float32) / 255)
    assert np.abs(lab[:, 0] - color.rgb_to_lab(cat[30, 100] / 255)[0]).max() < 1
    assert len({one.rgb for one in found}) == 5
    there = paint.suggest(cat, 100, 30, hints=[(100, 30, (200, 30, 30))], count=5)
    assert [one.share for one in there] != [one.share for one in found]


@pytest.mark.parametrize("kind", ["strided", "shallow"])
def test_the_engines_follow_hints_alike(kind, cat):
    one = network(kind)
    by_jax, by_onnx = (Colorizer(one, engine=name) for name in ("jax", "onnx"))
    hints = [(40, 60, (200, 30, 30), "soft"), (120, 10, (30, 200, 30), "soft")]
    assert np.abs(by_jax.predict(cat, hints).ab - by_onnx.predict(cat, hints).ab).max() < 0.11
    assert np.abs(by_onnx.predict(cat, hints).ab - by_onnx.predict(cat).ab).max() > 0.5
    for ours, theirs in zip(by_jax.suggest(cat, 149, 99, hints), by_onnx.suggest(cat, 149, 99, hints), strict=True):
        assert ours.share == pytest.approx(theirs.share, abs=1e-3)
        assert np.abs(np.subtract(ours.rgb, theirs.rgb)).max() <= 1


def test_exported_files_take_hints(tmp_path):
    one = network()
    for kind in exports.KINDS:
        _, difference = exports.write(one, tmp_path / kind, kind)
        assert difference < 1e-4


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        ([(150, 0, (1, 2, 3))], r"hint 150,0,#010203 is outside the photograph of 150x100 pixels"),
        ([(0, -1, (1, 2, 3))], "is outside"),
        ([(0, 0, (1, 2, 300))], r"three whole numbers of 0\.\.255"),
        ([(0, 0)], "it has x, y and a color"),
    ],
)
def test_bad_hints_are_refused(paint, cat, hints, message):
    with pytest.raises(HintError, match=message):
        paint(cat, hints=hints)
    with pytest.raises(HintError, match=message):
        paint.suggest(cat, 0, 0, hints=hints)


def test_a_point_in_the_last_row_that_a_byte_counts_has_suggestions(paint, cat):
    tall = np.resize(cat, (256, cat.shape[1]))
    assert paint.suggest(tall, np.uint8(3), np.uint8(255)) == paint.suggest(tall, 3, 255) != []


def test_a_point_outside_has_no_suggestions(paint, cat):
    with pytest.raises(HintError, match="outside the photograph of 150x100 pixels"):
        paint.suggest(cat, 0, 100)
    with pytest.raises(HintError, match="whole numbers of pixels"):
        paint.suggest(cat, 10.0, 10)


# Measuring.


def test_counts_of_hints():
    assert guidance.counts_of("0,1, 5,10") == (0, 1, 5, 10) and guidance.counts_of("") == ()
    for text in ("1;2", "a"):
        with pytest.raises(ValueError, match="hints="):
            guidance.counts_of(text)
    for counts in ((-1,), (0, 1001)):
        with pytest.raises(ValueError, match=r"must be numbers of 0\.\.1000"):
            guidance.curve(network(), None, sharding.make_mesh(), counts)


@pytest.mark.slow
def test_evaluate_measures_with_hints_and_draws_the_curve(tmp_path, capsys):
    config = settings()
    now = state.new(config, optim.make(config, 6))
    now.params, now.stats = numbers(config)
    with checkpoint.Checkpoints(tmp_path / "run", keep=1) as checkpoints:
        checkpoints.save(now, config, {"l1": 0.1})
    for i in range(6):
        few = np.random.default_rng(i).integers(60, 180, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(few).resize((90, 70), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
    photographs = {"data.source": "folder", "data.dir": str(tmp_path), "image_size": 32}
    rows = evaluate.evaluate(tmp_path / "run", tmp_path / "out", photographs, hints=(0, 9))
    told = capsys.readouterr().out
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())["hints"]["run"]
    assert [row["hints"] for row in written] == [0, 9]
    assert written[0]["psnr"] == pytest.approx(rows["run"]["all"]["psnr"])  # without hints: as it is measured anyway
    assert written[0]["delta_e_at_hints"] is None and written[1]["delta_e_at_hints"] > 0
    assert len({row["psnr"]["mean"] for row in written}) == 2
    assert "Delta E at the hints, median" in told and f"{written[1]['delta_e_at_hints']:.2f}" in told
    assert (tmp_path / "out" / "hints.svg").stat().st_size > 1000
    assert "Figure 7" in (tmp_path / "out" / "report.html").read_text()
    with pytest.raises(ValueError, match="no network here follows hints: automatic"):
        guidance.guided({"automatic": checkpoint.Network(tiny(), {}, {}, Path("none"))})
