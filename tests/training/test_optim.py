"""How far the network moves: schedules, and parts that move less or not at all."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from helpers.starts import start
from helpers.tiny import config as tiny

from colorjax.networks import state
from colorjax.networks.unet import Palette
from colorjax.platform import sharding
from colorjax.science import bins
from colorjax.training import checks, optim, runs, steps
from configs import base

pytestmark = pytest.mark.usefixtures("quick_compile")


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
    """(params, stats) after two steps from `before`, of a small U-Net that answers at a quarter; on one device."""
    config = tiny(model__stem="strided", model__answer=4, model__guided=True, batch_size=4, warmup_steps=0, **changes)
    optimizers, mesh = (
        optim.make(config, 10),
        jax.make_mesh((1,), (sharding.DATA,), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:1]),
    )
    rng = np.random.default_rng(0)
    chroma = rng.uniform(-0.5, 0.5, (4, 1, 1, 2)).astype(np.float32)
    luma = rng.uniform(-1, 1, (4, 32, 32, 1)).astype(np.float32)
    batch = sharding.put({"luma": luma, "chroma": chroma + 0 * luma, "mask": np.ones(4, np.float32)}, mesh)
    now = state.new(config, optimizers)
    now.params, now.stats = jax.device_put(before, sharding.replicated(mesh))
    step = steps.make(config, optimizers, mesh, np.zeros(bins.COUNT))
    for _ in range(2):
        now, scalars = step(now, batch)
        assert all(np.isfinite(float(value)) for value in scalars.values())
    return jax.tree.map(np.asarray, (now.params, now.stats))


@pytest.fixture(scope="module")
def before(quick_compile):
    """The numbers that all start from, with a head that is not 0, or nothing would come back through it."""
    config = tiny(model__stem="strided", model__answer=4, model__guided=True)
    params, stats = jax.tree.map(np.asarray, jax.jit(lambda: state.init_network(config.model, jax.random.key(0)))())
    params["head"]["kernel"] = np.random.default_rng(1).normal(0, 0.1, params["head"]["kernel"].shape).astype(np.float32)
    return params, stats


def moved(before, after):
    return any((one != other).any() for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True))


@pytest.mark.slow
def test_frozen_stages_stay_to_the_bit_and_the_others_learn(before):
    """Their numbers, weight decay or not, and BatchNorm's statistics; what sees hints is of no stage."""
    params, stats = stepped(before, freeze="layer2", weight_decay=0.1)
    for old, new in ((before[0]["encoder"], params["encoder"]), (before[1]["encoder"], stats["encoder"])):
        for name in new:
            assert moved(old[name], new[name]) == (name not in ("conv1", "bn1", "layer1", "layer2")), name
    assert moved(before[0]["up1"], params["up1"]) and moved(before[0]["head"], params["head"])


def test_what_starts_at_random_is_not_frozen(monkeypatch, tmp_path, capsys):
    """As layer4 of a file that ends with layer3."""
    monkeypatch.setattr(runs.pretrained, "load_encoder", lambda name, params, stats: (params, stats, ["layer4"]))
    shape = {"model__stem": "strided", "pretrained": "part.safetensors"}
    with pytest.raises(ValueError, match="freeze='layer4' would keep layer4 as random as it starts"):
        start(tiny(freeze="layer4", **shape), tmp_path, capsys)
    start(tiny(freeze="layer3", **shape), tmp_path, capsys)
    with pytest.raises(ValueError, match="freeze='layer2' keeps what an encoder knows: pretrained or init_from must bring one"):
        start(tiny(freeze="layer2", **shape | {"pretrained": ""}), tmp_path, capsys)


@pytest.fixture(scope="module")
def updates(quick_compile):
    """What the settings make of gradients: {name: the first updates of the network}."""
    config = tiny(model__stem="strided", model__answer=4, model__guided=True, weight_decay=0.1)
    shapes = jax.eval_shape(lambda: state.init_network(config.model, jax.random.key(0)))[0]
    rng = np.random.default_rng(0)
    params, grads = (jax.tree.map(lambda leaf: np.float32(rng.normal(size=leaf.shape)), shapes) for _ in range(2))

    @functools.cache
    def made(**changes):
        slower = tiny(model__stem="strided", model__answer=4, model__guided=True, weight_decay=0.1, **changes)
        optimizer = optim.make(slower, 10).network
        return jax.jit(lambda grads, params: optimizer.update(grads, optimizer.init(params), params)[0])(grads, params)

    return made


@pytest.mark.parametrize("freeze", ["", "layer1"])
def test_the_encoder_moves_at_its_own_rate(updates, freeze):
    """Every update of a stage up to layer3 is a tenth of what it would be, weight decay too; of the others the same."""
    whole, part = updates(), updates(encoder_rate=0.1, freeze=freeze)
    for name, one in whole["encoder"].items():
        stage = state.stage_of(name)
        expected = (
            0.0 if stage in state.frozen_stages(freeze) else 0.1 if stage in ("stem", "layer1", "layer2", "layer3") else 1.0
        )
        for full, scaled in zip(jax.tree.leaves(one), jax.tree.leaves(part["encoder"][name]), strict=True):
            np.testing.assert_allclose(scaled, expected * full, rtol=1e-5, atol=1e-9, err_msg=name)
    for name in ("up1", "head", "palette"):
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6), whole[name], part[name])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_so_much_of_the_palettes_gradient_reaches_the_trunk(share):
    palette = Palette(4, 1, gradient=share, dtype=jnp.float32, rngs=nnx.Rngs(0))
    palette.logits.kernel[...] = np.random.default_rng(0).normal(size=palette.logits.kernel.shape).astype(np.float32)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(1, 3, 3, 4)), jnp.float32)
    wanted = jnp.asarray(np.random.default_rng(2).normal(size=palette(x).shape), jnp.float32)
    through = jax.grad(lambda x: (palette(x) * wanted).sum())(x)
    whole = jnp.einsum("bhwn,cn->bhwc", wanted, palette.logits.kernel[0, 0])
    np.testing.assert_allclose(through, share * whole, rtol=1e-4, atol=1e-4)


def test_a_smooth_schedule_falls_with_every_step_of_a_single_epoch():
    config = base.get_config()
    config.schedule, config.warmup_steps, config.learning_rate, config.epochs = "smooth", 0, 1.0, 1
    rates = [float(optim.schedule(config, 8)(step)) for step in range(9)]
    np.testing.assert_allclose(rates, 0.5 * (1 + np.cos(np.pi * np.arange(9) / 8)), atol=1e-6)


def test_a_warm_up_that_holds_a_run_down_is_told():
    """As that of finetune.py with 54 photographs in batches of 16, which take 20 steps."""
    config = base.get_config()
    config.schedule, config.warmup_steps, config.learning_rate, config.epochs = "smooth", 50, 1e-4, 5
    told = optim.held_down(config, 4)
    highest = optim.schedule(config, 4)(np.arange(20)).max()
    assert f"a run of 20 steps: its learning rate rises to {highest:.1e} only" in told
    assert "as --config.warmup_steps=2, lets it learn more" in told
    assert not optim.held_down(config, 60)
    config.warmup_steps = 0
    assert not optim.held_down(config, 4)


def test_a_constant_schedule_stays_and_unknown_stages_are_refused():
    config = base.get_config()
    config.schedule, config.warmup_steps, config.learning_rate = "constant", 2, 1.0
    assert [float(optim.schedule(config, 10)(step)) for step in (0, 1, 5, 1000)] == [0.5, 1, 1, 1]
    for freeze, model in (("layer5", "resnet_unet"), ("layer2", "shallow")):
        config.freeze, config.model.name = freeze, model
        with pytest.raises(ValueError, match=f"freeze='{freeze}'"):
            checks.check(config)
