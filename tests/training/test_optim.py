"""How far the network moves: schedules, and parts that move less or not at all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import config as tiny

from colorjax.networks import state
from colorjax.platform import sharding
from colorjax.science import bins
from colorjax.training import checks, optim, steps
from configs import base


def test_schedule_steps_down_once_an_epoch_along_a_cosine():
    config = base.get_config()
    config.epochs, config.learning_rate = 4, 1.0
    rate = optim.schedule(config, steps_per_epoch=10)
    expected = np.repeat(0.5 * (1 + np.cos(np.pi * np.arange(4) / 4)), 10)
    np.testing.assert_allclose([float(rate(step)) for step in range(40)], expected, atol=1e-6)
    config.warmup_steps = 5
    np.testing.assert_allclose(
        [float(optim.schedule(config, 10)(step)) for step in range(6)], [0.2, 0.4, 0.6, 0.8, 1, 1], atol=1e-6
    )


def stepped(before, **changes):
    """(params, stats) after two steps from `before`, of a small U-Net that answers at a quarter."""
    config = tiny(model__stem="strided", model__answer=4, model__guided=True, batch_size=4, warmup_steps=0, **changes)
    optimizers, mesh = optim.make(config, 10), sharding.make_mesh()
    rng = np.random.default_rng(0)
    chroma = rng.uniform(-0.5, 0.5, (4, 1, 1, 2)).astype(np.float32)
    luma = rng.uniform(-1, 1, (4, 32, 32, 1)).astype(np.float32)
    batch = sharding.put({"luma": luma, "chroma": chroma + 0 * luma, "mask": np.ones(4, np.float32)}, mesh)
    now = state.new(config, optimizers)
    now.params, now.stats = jax.tree.map(jnp.asarray, before)
    step = steps.make(config, optimizers, mesh, np.zeros(bins.COUNT))
    for _ in range(2):
        now, scalars = step(now, batch)
    assert all(np.isfinite(float(value)) for value in scalars.values())
    return jax.tree.map(np.asarray, (now.params, now.stats))


@pytest.fixture(scope="module")
def before(quick_compile):
    """The numbers that all start from, with a head that is not 0, or nothing would come back through it."""
    config = tiny(model__stem="strided", model__answer=4, model__guided=True)
    params, stats = jax.tree.map(np.asarray, state.init_network(config.model, jax.random.key(0)))
    params["head"]["kernel"] = np.random.default_rng(1).normal(0, 0.1, params["head"]["kernel"].shape).astype(np.float32)
    return params, stats


def moved(before, after):
    return any((one != other).any() for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True))


def test_frozen_stages_stay_to_the_bit_and_the_others_learn(before):
    """Their numbers, weight decay or not, and BatchNorm's statistics; what sees hints is of no stage."""
    params, stats = stepped(before, freeze="layer2", weight_decay=0.1)
    for old, new in ((before[0]["encoder"], params["encoder"]), (before[1]["encoder"], stats["encoder"])):
        for name in new:
            assert moved(old[name], new[name]) == (name not in ("conv1", "bn1", "layer1", "layer2")), name
    assert moved(before[0]["up1"], params["up1"]) and moved(before[0]["head"], params["head"])


def test_the_encoder_moves_at_its_own_rate(before):
    """After Adam's first steps, which are of the rate's size: a tenth of the rate is a tenth of the way."""
    ways = [stepped(before, encoder_rate=rate, weight_decay=0.0, clip_norm=0.0)[0] for rate in (1.0, 0.1)]

    def way(params, *path):
        old = before[0]
        for key in path:
            old, params = old[key], params[key]
        return np.abs(params - old).mean()

    for path, expected in {
        ("encoder", "conv1", "kernel"): 0.1,
        ("encoder", "layer3", "block0", "conv1", "kernel"): 0.1,
        ("encoder", "layer4", "block0", "conv1", "kernel"): 1.0,
        ("encoder", "deep_hints", "kernel"): 1.0,
        ("up2", "conv1", "kernel"): 1.0,
    }.items():
        assert way(ways[1], *path) / way(ways[0], *path) == pytest.approx(expected, rel=0.3), path


def test_the_palettes_gradient_reaches_the_trunk_where_it_is_let(before):
    """With the palette's term alone the trunk stays, or moves."""
    alone = {"loss__l1": 1e-30, "loss__hints": 0.0, "loss__palette": 1.0, "weight_decay": 0.0}
    watching, heard = (stepped(before, model__palette_gradient=share, **alone)[0] for share in (0.0, 1.0))
    assert (
        not moved(before[0]["up3"]["conv2"], watching["up3"]["conv2"]) or way_of(before, watching) < way_of(before, heard) / 10
    )
    assert moved(before[0]["up1"]["conv2"], heard["up1"]["conv2"])


def way_of(before, params):
    return np.abs(params["up1"]["conv2"]["kernel"] - before[0]["up1"]["conv2"]["kernel"]).mean()


def test_a_constant_schedule_stays_and_unknown_stages_are_refused():
    config = base.get_config()
    config.schedule, config.warmup_steps, config.learning_rate = "constant", 2, 1.0
    assert [float(optim.schedule(config, 10)(step)) for step in (0, 1, 5, 1000)] == [0.5, 1, 1, 1]
    for freeze, model in (("layer5", "resnet_unet"), ("layer2", "shallow")):
        config.freeze, config.model.name = freeze, model
        with pytest.raises(ValueError, match=f"freeze='{freeze}'"):
            checks.check(config)
