"""What training minimises: rarity of colours, both players of adversarial training, and the steps that use them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from helpers.tiny import config as tiny

from colorjax import networks
from colorjax.networks import patchgan, state
from colorjax.platform import sharding
from colorjax.science import bins, color, metrics
from colorjax.training import losses, optim, steps

pytestmark = pytest.mark.usefixtures("quick_compile")

# Bins and rarity


def test_bins_have_their_centres_at_multiples_of_ten():
    counts = bins.histogram(np.array([[0, 0], [4.9, -4.9], [-5.1, 0], [110, -110], [300, -300]]))
    grid = counts.reshape(bins.SIDE, bins.SIDE)
    assert grid[11, 11] == 2 and grid[10, 11] == 1 and grid[22, 0] == 2 and counts.sum() == 5
    assert bins.histogram(np.zeros((3, 2)), 5.0).reshape(45, 45)[22, 22] == 3


def test_possible_bins_are_those_of_srgb():
    """Every bin that random sRGB colours fall into, and none whose colours lie outside at every lightness."""
    rgb = np.random.default_rng(0).random((200_000, 3))
    seen = bins.histogram(color.rgb_to_lab(rgb)[..., 1:]) > 0
    assert bins.possible().sum() == 261 and not (seen & ~bins.possible()).any()


def test_rare_colours_weigh_more_and_the_mean_weight_is_one():
    counts = np.zeros((bins.SIDE, bins.SIDE), int)
    counts[11, 11], counts[13, 15] = 9900, 100
    table = bins.rarity(counts.ravel())
    assert (table * counts).sum() / counts.sum() == pytest.approx(1, rel=1e-5)
    assert table.min() == table[11, 11] and table[13, 15] > 10 * table[11, 11] and table[20, 5] == table.max()
    # Zhang et al.: with lambda 1/2 no two colours differ more than if the commonest one were everything.
    assert table.max() / table.min() < 1 + bins.possible().sum()
    with pytest.raises(ValueError, match="no pixel"):
        bins.rarity(np.zeros(bins.COUNT))


def test_weights_between_bins_are_between_their_weights():
    table = np.random.default_rng(0).uniform(1, 9, (bins.SIDE, bins.SIDE)).astype(np.float32)

    def at(a, b):
        return float(losses.rare_weights(table, jnp.array([[[a, b]]]) / 110)[0, 0])

    assert at(20, -30) == pytest.approx(table[13, 8], rel=1e-4)
    assert at(25, -30) == pytest.approx((table[13, 8] + table[14, 8]) / 2, rel=1e-4)
    assert at(500, 500) == pytest.approx(table[-1, -1], rel=1e-4)


def test_rarity_blends_from_plain_l1():
    counts = np.zeros(bins.COUNT, int)
    counts[bins.SIDE * 11 + 11] = 100
    pred, target = jnp.zeros((1, 4, 4, 2)), jnp.full((1, 4, 4, 2), 0.4)
    values = []
    for share in (0.0, 0.5, 1.0):
        loss = losses.reconstruction(tiny(loss__rarity=share), counts)
        values.append(float(loss(loss.frozen, jnp.zeros((1, 4, 4, 1)), pred, target)[0][0]))
    assert values[0] == pytest.approx(0.4)
    assert values[1] == pytest.approx((values[0] + values[2]) / 2, rel=1e-5) and values[2] > 10 * values[0]


# Skin


def test_colours_that_look_like_skin_cost_once_more():
    """Faces of any lightness do, the sky does not; what is right costs next to nothing, and gradients are finite there."""
    rgb = jnp.array([[[[0.95, 0.80, 0.70], [0.75, 0.55, 0.42], [0.30, 0.19, 0.13], [0.45, 0.62, 0.85]]]])
    np.testing.assert_array_equal(metrics.is_skin(rgb), [[[True, True, True, False]]])
    lab = color.rgb_to_lab(rgb)
    luma, target = lab[..., :1] / 50 - 1, lab[..., 1:] / metrics.CHROMA_SCALE
    loss = losses.reconstruction(tiny(loss__skin=2.0, loss__l1=0.0, loss__perceptual=0.0), np.zeros(bins.COUNT))
    cost = jax.jit(lambda pred: loss(loss.frozen, luma, pred, target)[0].sum())
    grey = np.linalg.norm(target, axis=-1)
    assert cost(0 * target) == pytest.approx(2 * grey[0, 0, :3].sum() / 4, rel=1e-3)
    assert cost(target) < 0.01 and np.isfinite(jax.grad(cost)(target)).all()
    pull = jax.grad(cost)(0 * target)
    assert (pull[0, 0, 3] == 0).all() and (jnp.abs(pull[0, 0, :3]).sum(-1) > 0.1).all()


# Colourfulness


def test_colourfulness_costs_its_distance_from_the_truths():
    rng = np.random.default_rng(0)
    target = jnp.asarray(rng.normal(0, 0.1, (2, 8, 8, 2)), jnp.float32)
    luma = jnp.zeros((2, 8, 8, 1))
    loss = losses.reconstruction(tiny(loss__colourfulness=0.5, loss__l1=0.0, loss__perceptual=0.0), np.zeros(bins.COUNT))

    def cost(pred):
        return loss(loss.frozen, luma, pred, target)[0]

    assert (cost(target) == 0).all() and (cost(0.5 * target) > 0.02).all() and (cost(1.5 * target) > 0.02).all()
    rgb = color.lab_to_rgb(metrics.to_lab(luma, target))
    np.testing.assert_allclose(50 * (cost(0 * target) / 0.5) ** 0.5, metrics.colourfulness(rgb), rtol=1e-2)
    total, terms = loss(loss.frozen, luma, 0 * target, target)
    np.testing.assert_allclose(total, 0.5 * terms["colourfulness"])
    pull = jax.jit(jax.grad(lambda share: cost(share * target).sum()))
    assert pull(0.5) < 0 < pull(1.5)  # towards the truth from either side
    assert np.isfinite(jax.jit(jax.grad(lambda pred: cost(pred).sum()))(0 * target)).all()  # a grey picture's


# Delta E


def test_psnr_costs_what_the_metric_says_up_to_the_floor_of_its_error():
    rng = np.random.default_rng(4)
    luma, target = (rng.uniform(-0.5, 0.5, (3, 16, 16, n)).astype(np.float32) for n in (1, 2))
    pred = target + np.float32([0.3, 0.1, 0.0])[:, None, None, None]
    loss = losses.reconstruction(tiny(loss__psnr=0.5, loss__l1=0.0), np.zeros(bins.COUNT))
    total, terms = jax.jit(loss)(loss.frozen, luma, pred, target)
    error = 10 ** (-np.asarray(jax.jit(metrics.compare)(luma, pred, target)["psnr"]) / 10)
    np.testing.assert_allclose(terms["psnr"], np.log10(error + 1e-4) / 10, rtol=1e-4)
    np.testing.assert_allclose(total, 0.5 * terms["psnr"])
    assert terms["psnr"][0] > terms["psnr"][1] > terms["psnr"][2] == pytest.approx(-0.4)  # 40 dB where nothing is wrong
    slope = jax.jit(jax.grad(lambda pred, *rest: loss(loss.frozen, rest[0], pred, rest[1])[0].sum()))(pred, luma, target)
    assert np.isfinite(slope).all() and np.abs(slope[2]).max() < 1e-6 < np.abs(slope[1]).max()


def test_delta_e_costs_what_the_metric_says():
    rng = np.random.default_rng(0)
    luma, pred, target = (jnp.asarray(rng.normal(0, 0.1, (2, 8, 8, n)), jnp.float32) for n in (1, 2, 2))
    loss = losses.reconstruction(tiny(loss__delta_e=0.5, loss__l1=0.0), np.zeros(bins.COUNT))
    total, terms = loss(loss.frozen, luma, pred, target)
    np.testing.assert_allclose(terms["delta_e"], metrics.compare(luma, pred, target)["delta_e"] / 100, rtol=1e-5)
    np.testing.assert_allclose(total, 0.5 * terms["delta_e"])

    @jax.jit
    def pull(pred, target):
        return jax.grad(lambda pred: loss(loss.frozen, luma, pred, target)[0].sum())(pred)

    assert (loss(loss.frozen, luma, target, target)[0] == 0).all()
    for equal_or_grey in (pull(0 * pred, target), pull(pred, 0 * target), pull(target, target), pull(0 * pred, 0 * target)):
        assert np.isfinite(equal_or_grey).all()
    step = -0.01 * pull(pred, target)
    assert (loss(loss.frozen, luma, pred + step, target)[0] < total).all()
    # the same distance counts more beside grey than between vivid colours; L1 does not tell them apart
    grey, vivid = (jnp.broadcast_to(jnp.array([a, 0.0]) / 110, target.shape) for a in (0.0, 60.0))
    from_grey, from_vivid = (loss(loss.frozen, luma, at + 0.1, at)[0] for at in (grey, vivid))
    assert (from_grey > 1.5 * from_vivid).all()
    np.testing.assert_allclose(losses.l1(grey + 0.1, grey), losses.l1(vivid + 0.1, vivid), rtol=1e-5)


# The discriminator


@pytest.mark.parametrize(("layers", "side"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_one_logit_sees_a_patch_of_so_many_pixels(layers, side):
    judge = networks.make_discriminator(
        tiny(discriminator__width=2, discriminator__layers=layers).discriminator, "float32", _key()
    )
    judge.eval()
    assert patchgan.receptive_field(layers) == side
    size = 2 * side + 2**layers

    def middle(chroma):
        logits = judge(jnp.zeros((1, size, size, 1)), chroma)
        return logits[0, logits.shape[1] // 2, logits.shape[2] // 2, 0]

    gradient = np.asarray(jax.jit(jax.grad(middle))(jnp.full((1, size, size, 2), 0.1)))[0]
    touched = np.argwhere(np.abs(gradient).sum(-1) > 0)
    assert (touched.max(0) - touched.min(0) + 1).tolist() == [side, side]


def _key():
    return nnx.Rngs(params=jax.random.key(0))


@pytest.mark.parametrize("height, width", [(1, 1), (17, 40), (64, 64)])
def test_logits_of_any_size(height, width):
    judge = networks.make_discriminator(tiny(discriminator__width=4).discriminator, "float32", _key())
    logits = judge(jnp.zeros((2, height, width, 1)), jnp.zeros((2, height, width, 2)))
    assert logits.shape == (2, -(-height // 8), -(-width // 8), 1) and logits.dtype == jnp.float32


def test_it_sees_lightness_and_chroma():
    judge = networks.make_discriminator(tiny(discriminator__width=4).discriminator, "float32", _key())
    judge.eval()
    rng = np.random.default_rng(0)
    luma, chroma = rng.uniform(-1, 1, (1, 32, 32, 1)), rng.uniform(-1, 1, (1, 32, 32, 2))
    base = judge(luma, chroma)
    assert not np.allclose(base, judge(-luma, chroma)) and not np.allclose(base, judge(luma, -chroma))


def test_report_size_of_the_discriminator():
    shapes = jax.eval_shape(lambda: state.init_discriminator(tiny(), jax.random.key(0)))[0]
    # 3-64-128-256-512-1 by 4x4 kernels, two biases, three BatchNorms: the discriminator of pix2pix.
    kernels = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == kernels + 64 + 1 + 2 * (128 + 256 + 512)


def test_what_the_players_pay():
    logits = jnp.array([-2.0, 0.0, 3.0])
    sigmoid = 1 / (1 + np.exp(-np.asarray(logits)))
    bce = losses.bce(0.1)
    np.testing.assert_allclose(bce.discriminator(logits, True), -0.9 * np.log(sigmoid) - 0.1 * np.log(1 - sigmoid), rtol=1e-5)
    np.testing.assert_allclose(bce.discriminator(logits, False), -np.log(1 - sigmoid), rtol=1e-5)
    np.testing.assert_allclose(bce.generator(logits), -np.log(sigmoid), rtol=1e-5)
    hinge, lsgan = losses.hinge(), losses.lsgan()
    np.testing.assert_allclose(hinge.discriminator(logits, True), [3, 1, 0])
    np.testing.assert_allclose(hinge.discriminator(logits, False), [0, 1, 4])
    np.testing.assert_allclose(hinge.generator(logits), [2, 0, -3])
    np.testing.assert_allclose(lsgan.discriminator(logits, True), [9, 1, 4])
    np.testing.assert_allclose(lsgan.discriminator(logits, False), [4, 0, 9])
    np.testing.assert_allclose(lsgan.generator(logits), [9, 1, 4])
    with pytest.raises(ValueError, match=r"discriminator\.loss='wgan' is unknown; legal are bce, hinge, lsgan"):
        losses.adversarial(tiny(discriminator__loss="wgan").discriminator)


# The step of both players


def gan(**changes):
    return tiny(
        **(
            {"loss__adversarial": 1.0, "loss__l1": 100.0, "discriminator__width": 4, "clip_norm": 0.0, "batch_size": 4}
            | changes
        )
    )


def batch(mask=(1, 1, 1, 1), size=32):
    rng = np.random.default_rng(0)
    luma = rng.uniform(-1, 1, (4, size, size, 1)).astype(np.float32)
    chroma = rng.uniform(-0.5, 0.5, (4, 1, 1, 2)).astype(np.float32) + 0 * luma
    return {"luma": luma, "chroma": chroma, "mask": np.float32(mask)}


def compiled(config):
    """(init, step): makes the state that the seed gives; makes of a state and a batch the next state and its scalars."""
    mesh, optimizers = sharding.make_mesh(), optim.make(config, 10)
    init = jax.jit(lambda: state.init(config, optimizers), out_shardings=sharding.replicated(mesh))
    step = steps.make(config, optimizers, mesh, np.zeros(bins.COUNT))
    return init, lambda now, one: step(now, sharding.put(one, mesh))


def stepped(init, step, batches):
    """(states before and after, scalars of each step)."""
    now, rows = init(), []
    before = jax.tree.map(np.asarray, now)
    for one in batches:
        now, scalars = step(now, one)
        rows.append({name: float(value) for name, value in scalars.items()})
    return before, jax.tree.map(np.asarray, now), rows


@pytest.fixture(scope="module", params=["bce", *(pytest.param(name, marks=pytest.mark.slow) for name in ("hinge", "lsgan"))])
def players(request, quick_compile):
    """`compiled` for each loss of the players."""
    return compiled(gan(discriminator__loss=request.param, learning_rate=1e-6, model__name="shallow"))


def test_both_players_learn_in_one_step(players):
    """Against a network that paints grey, the judge soon tells true from grey; its costs fall from those of a guess."""
    before, after, rows = stepped(*players, [batch()] * 12)
    for old, new in ((before.params, after.params), (before.discriminator["params"], after.discriminator["params"])):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(new))
        assert any((a != b).any() for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True))
    expected = {"loss", "l1", "grad_norm", "lost", "adversarial", "discriminator_loss", "discriminator_grad_norm"}
    assert set(rows[0]) == expected | {"accuracy_true", "accuracy_predicted"}
    assert rows[-1]["discriminator_loss"] < rows[0]["discriminator_loss"]
    assert after.step == 12


@pytest.mark.slow
def test_the_network_is_pulled_by_its_own_loss_through_the_updated_judge():
    """The gradient that the one-forward step applies is that of the plain definition, written out with two forwards."""
    config = gan(learning_rate=1.0)
    plain = state.Optimizers(optax.sgd(1.0), optax.sgd(0.05))
    graphdef, judge_graphdef = state.graphdef(config.model), state.discriminator_graphdef(config)
    loss = losses.reconstruction(config, np.zeros(bins.COUNT))
    now = jax.jit(lambda: state.init(config, plain))()
    data = batch()
    after, scalars = jax.jit(steps.adversarial(config, graphdef, judge_graphdef, loss, plain))(now, data, loss.frozen)

    def forward(graph, params, stats, *inputs):
        model = nnx.merge(graph, params, stats)
        model.train()
        return model(*inputs)

    other, softplus = now.discriminator, jax.nn.softplus

    def judge_cost(params):
        pred = forward(graphdef, now.params, now.stats, data["luma"])
        on_true = forward(judge_graphdef, params, other["stats"], data["luma"], data["chroma"])
        on_pred = forward(judge_graphdef, params, other["stats"], data["luma"], pred)
        return (0.9 * softplus(-on_true) + 0.1 * softplus(on_true)).mean() / 2 + softplus(on_pred).mean() / 2

    def network_cost(params, judge):
        pred = forward(graphdef, params, now.stats, data["luma"])
        fooling = softplus(-forward(judge_graphdef, judge, other["stats"], data["luma"], pred)).mean()
        return 100 * jnp.abs(pred - data["chroma"]).mean() + fooling

    @jax.jit
    def expected():
        cost, grads = jax.value_and_grad(judge_cost)(other["params"])
        judge = jax.tree.map(lambda p, g: p - 0.05 * g, other["params"], grads)
        value, grads = jax.value_and_grad(network_cost)(now.params, judge)
        return cost, judge, value, jax.tree.map(lambda p, g: p - g, now.params, grads)

    cost, judge, value, params = expected()
    assert float(scalars["discriminator_loss"]) == pytest.approx(float(cost), rel=1e-4)
    assert float(scalars["loss"]) == pytest.approx(float(value), rel=1e-4)
    for ours, theirs in ((after.discriminator["params"], judge), (after.params, params)):
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("adversarial", [0.0, 1.0])
def test_lost_pictures_count_in_no_loss(adversarial):
    """What stands in the place of two pictures that could not be read changes no scalar and nothing that is learnt.

    The shallow net has no BatchNorm, and a judge of one layer on flat pictures is the only place where they could mix: its
    statistics are over the batch, so the dummies are two of the same luma, and differ in chroma by less than it can see.
    """
    config = gan(model__name="shallow", loss__adversarial=adversarial, discriminator__layers=1)
    one = batch(mask=(1, 1, 0, 0))
    other = {key: value.copy() for key, value in one.items()}
    other["chroma"][2:] += 1e-3
    programs = compiled(config)
    (_, _, [row]), (_, _, [same]), (_, _, [whole]) = (stepped(*programs, [data]) for data in (one, other, batch()))
    assert row["lost"] == 0.5 and row.keys() == same.keys()
    for name in row.keys() - {"grad_norm", "discriminator_grad_norm"}:
        assert row[name] == pytest.approx(same[name], abs=2e-4), name
    some = float(np.abs(one["chroma"][:2]).mean())
    assert row["l1"] == pytest.approx(some * 110 / 128, rel=1e-4)
    assert row["loss"] == pytest.approx(100 * some + adversarial * row.get("adversarial", 0), rel=1e-3)
    assert abs(whole["loss"] - row["loss"]) > 0.1, "with all four it is another"


def test_accuracies_are_of_what_the_judge_calls_rightly(players):
    """A judge that answers the same to everything: always "true", then always "predicted"."""
    init, step = players
    for answer, (on_true, on_predicted) in ((10.0, (1, 0)), (-10.0, (0, 1))):
        now = init()
        bias = now.discriminator["params"]["last"]["bias"]
        now.discriminator["params"]["last"]["bias"] = jax.device_put(np.full(1, answer, np.float32), bias.sharding)
        scalars = step(now, batch())[1]
        assert (scalars["accuracy_true"], scalars["accuracy_predicted"]) == (on_true, on_predicted)


@pytest.mark.parametrize("name", losses.ADVERSARIAL)
def test_the_middle_is_where_the_best_judge_of_a_draw_stands(name):
    players = losses.ADVERSARIAL[name](0.1)
    logits = jnp.linspace(-1, 1, 20001)
    cost = np.asarray(players.discriminator(logits, True) + players.discriminator(logits, False))
    flat = np.asarray(logits)[cost <= cost.min() + 1e-6]  # hinge is at a draw with every answer between -1 and 1
    assert flat.min() - 1e-3 <= players.middle <= flat.max() + 1e-3
    assert name == "hinge" or np.ptp(flat) < 0.01


def test_schedules_of_the_players_are_their_own():
    config = gan(learning_rate=1.0, discriminator__learning_rate=0.5, discriminator__warmup_steps=10, epochs=2)
    ours, theirs = optim.schedule(config, 20), optim.schedule(config, 20, config.discriminator)
    assert [float(ours(n)) for n in (0, 9, 20)] == pytest.approx([1, 1, 0.5])
    assert [float(theirs(n)) for n in (0, 9, 20)] == pytest.approx([0.05, 0.5, 0.25])
