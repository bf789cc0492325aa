"""The jitted steps: pure functions of a state and a batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from colorjax.networks import state as states
from colorjax.networks.resnet import halvings, mean_pool, pooled_hints
from colorjax.networks.state import Optimizers, TrainState
from colorjax.platform import sharding
from colorjax.science import color, metrics, simulation
from colorjax.training import ageing, losses

Batch = dict[str, jax.Array]
Scalars = dict[str, jax.Array]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Scalars]]
_HINTS, _AGEING = 1, 2  # of the streams of randomness of a step


def make(config: Any, optimizers: Optimizers, mesh: Mesh, ab_counts: np.ndarray) -> TrainStep:
    """(state, batch) -> (state, metrics): the training step that `config` describes, alone or against a discriminator.

    A batch has `luma`, `chroma` and `mask`, or `image_u8` in the place of the first two (`data.lab=device`).
    ab_counts: pixels of the training photographs by colour bin, (bins.COUNT,), for `loss.rarity`.
    The state is donated: the one given is used up. Metrics are scalars on the device: `loss` (what is minimised), `l1` (of
    ab/128, as validation reports it), `perceptual`, `colourfulness`, `delta_e` and `psnr` (as `losses` has them)
    where asked for, of guided networks `hints` (L1 of chroma at the hints, 0 of pictures without) and `palette` (its
    cross-entropy, not part of `loss`), `grad_norm` before clipping, and `lost`, the share of the batch's photographs that
    could not be read; against a discriminator also those of `adversarial`.
    """
    graphdef, loss = states.graphdef(config.model), losses.reconstruction(config, ab_counts)
    if config.loss.adversarial:
        step = adversarial(config, graphdef, states.discriminator_graphdef(config), loss, optimizers)
    else:
        step = regression(config, graphdef, loss, optimizers.network)

    def prepared(state: TrainState, batch: Batch) -> Batch:
        batch = in_lab(batch)
        if config.data.aged:
            seen, chroma = ageing.aged(batch["luma"], batch["chroma"], _key(state, _AGEING), config.data.aged)
            batch = batch | {"seen": seen, "chroma": chroma}  # what is judged has the photograph's own lightness
        if config.model.guided:
            hints = simulation.for_training(batch["chroma"], _key(state, _HINTS), config.data.unhinted)
            batch = batch | {"hints": hints}
        return _at_answer(batch, config.model.answer)

    everywhere = sharding.replicated(mesh)
    places = jax.tree.map(lambda leaf: leaf.sharding, states.abstract(config, optimizers, mesh))

    def whole_step(state: TrainState, batch: Batch, frozen: Any) -> tuple[TrainState, Scalars]:
        now, scalars = step(state, prepared(state, batch), frozen)
        now.average = states.averaged(state.average, now.params, now.stats, state.step, config.ema)
        return now, scalars

    jitted = jax.jit(whole_step, donate_argnums=0, out_shardings=(places, everywhere))
    frozen = jax.device_put(loss.frozen, everywhere)
    return lambda state, batch: jitted(state, batch, frozen)


def in_lab(batch: Batch) -> Batch:
    """A batch with `luma` and `chroma`, made of `image_u8` (B, H, W, 3) where it is there."""
    if "image_u8" not in batch:
        return batch
    lab = color.rgb_to_lab(batch["image_u8"].astype(jnp.float32) / 255)
    return {"luma": (lab[..., :1] - 50) / 50, "chroma": lab[..., 1:] / 110, "mask": batch["mask"]}


def _at_answer(batch: Batch, answer: int) -> Batch:
    """With what the network is judged by at the resolution of its answer; what it sees stays as it is, as `seen` and `told`."""
    if answer == 1:
        return batch
    seen = {"seen": batch.get("seen", batch["luma"])}
    judged = {key: mean_pool(batch[key], answer) for key in ("luma", "chroma")}
    if "hints" in batch:
        hints = batch["hints"]
        judged |= {"told": hints, "hints": pooled_hints(hints, halvings(hints.shape[1:3], answer))}
    return batch | seen | judged


def _key(state: TrainState, stream: int) -> jax.Array:
    """What decides one kind of chance in this step."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step), stream)


def _forward(
    graphdef: nnx.GraphDef, params: Any, stats: Any, ask: Callable[[Any], Any], frozen: bool = False, freeze: str = ""
) -> tuple[Any, Any]:
    """What a network in training answers to `ask`, and its new BatchNorm statistics; if they are frozen, the same.

    freeze: up to which stage the encoder is as it would be in use, and not differentiated.
    """
    stages = states.frozen_stages(freeze)
    if stages:
        still = {
            name: jax.lax.stop_gradient(part) if states.stage_of(name) in stages else part
            for name, part in params["encoder"].items()
        }
        params = params | {"encoder": still}
    model = nnx.merge(graphdef, params, stats)
    if frozen:
        model.eval()
    else:
        model.train()
        for stage in stages:
            (model.encoder.bn1 if stage == "stem" else getattr(model.encoder, stage)).eval()
    answer = ask(model)
    return answer, nnx.to_pure_dict(nnx.split(model, nnx.Param, ...)[2])


def _colored(config: Any, graphdef: nnx.GraphDef, params: Any, stats: Any, batch: Batch) -> tuple[tuple[jax.Array, Any], Any]:
    """The chroma of a network in training with its palette's logits, and its new BatchNorm statistics."""
    seen, told = batch.get("seen", batch["luma"]), batch.get("told", batch.get("hints"))
    maps, stats = _forward(
        graphdef, params, stats, lambda model: model.feature_maps(seen, told), config.freeze_batch_norm, config.freeze
    )
    return (maps["chroma"], maps.get("palette")), stats


def _palette(config: Any, logits: jax.Array | None, batch: Batch) -> Scalars:
    """{"palette": its mean cross-entropy} of a guided network; empty of others."""
    if logits is None:
        return {}
    return {"palette": losses.mean(losses.palette(logits, batch["chroma"], 4 // config.model.answer), batch["mask"])}


def _scalars(batch: Batch, pred: jax.Array, loss: jax.Array, grads: Any) -> Scalars:
    return {
        "loss": loss,
        "l1": losses.mean(metrics.l1(pred, batch["chroma"]), batch["mask"]),
        "grad_norm": optax.tree.norm(grads),
        "lost": 1 - batch["mask"].mean(),
    }


def regression(
    config: Any, graphdef: nnx.GraphDef, loss: losses.Reconstruction, optimizer: optax.GradientTransformation
) -> Callable:
    """(state, batch, frozen) -> (state, metrics): one update on the reconstruction loss alone."""

    def step(state: TrainState, batch: Batch, frozen: Any) -> tuple[TrainState, Scalars]:
        luma, target, mask = batch["luma"], batch["chroma"], batch["mask"]

        def objective(params: Any) -> tuple[jax.Array, tuple]:
            (pred, logits), stats = _colored(config, graphdef, params, state.stats, batch)
            total, terms = loss(frozen, luma, pred, target, batch.get("hints"))
            means = {name: losses.mean(term, mask) for name, term in terms.items()} | _palette(config, logits, batch)
            value = losses.mean(total, mask)
            return value + config.loss.palette * means.get("palette", 0), (value, stats, pred, means)

        (_, (value, stats, pred, means)), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        scalars = _scalars(batch, pred, value, grads) | means
        return TrainState(state.step + 1, params, stats, opt_state, state.key, state.average, state.discriminator), scalars

    return step


def adversarial(
    config: Any,
    graphdef: nnx.GraphDef,
    judge_graphdef: nnx.GraphDef,
    loss: losses.Reconstruction,
    optimizers: Optimizers,
) -> Callable:
    """(state, batch, frozen) -> (state, metrics): one update of the discriminator, then one of the network against it.

    The network's prediction is made once: its gradient comes back through the discriminator and is pulled through the
    network afterwards. Further metrics: `adversarial` and `discriminator_loss`, the two players' costs; `accuracy_true` and
    `accuracy_predicted`, the shares of patches that the discriminator calls rightly; `discriminator_grad_norm`.
    """
    players = losses.adversarial(config.discriminator)

    def judge(params: Any, stats: Any, luma: jax.Array, chroma: jax.Array) -> tuple[jax.Array, Any]:
        return _forward(judge_graphdef, params, stats, lambda judge: judge(luma, chroma))

    def step(state: TrainState, batch: Batch, frozen: Any) -> tuple[TrainState, Scalars]:
        luma, target, mask, other = batch["luma"], batch["chroma"], batch["mask"], state.discriminator

        def per_picture(patches: jax.Array) -> jax.Array:
            return losses.mean(patches.mean((1, 2, 3)), mask)

        def colored(params: Any) -> tuple[tuple[jax.Array, Any], Any]:
            return _colored(config, graphdef, params, state.stats, batch)

        answer, pull, stats = jax.vjp(colored, state.params, has_aux=True)
        pred = answer[0]

        def judging(params: Any) -> tuple[jax.Array, tuple]:
            on_true, stats = judge(params, other["stats"], luma, target)
            on_pred, stats = judge(params, stats, luma, jax.lax.stop_gradient(pred))
            cost = per_picture(players.discriminator(on_true, True)) + per_picture(players.discriminator(on_pred, False))
            right = {
                "accuracy_true": per_picture((on_true > players.middle).astype(on_true.dtype)),
                "accuracy_predicted": per_picture((on_pred <= players.middle).astype(on_pred.dtype)),
            }
            return cost / 2, (stats, right)

        (cost, (judge_stats, right)), judge_grads = jax.value_and_grad(judging, has_aux=True)(other["params"])
        updates, judge_opt_state = optimizers.discriminator.update(judge_grads, other["opt_state"], other["params"])
        judge_params = optax.apply_updates(other["params"], updates)

        def objective(answer: tuple[jax.Array, Any]) -> tuple[jax.Array, tuple]:
            pred, logits = answer
            total, terms = loss(frozen, luma, pred, target, batch.get("hints"))
            fooling = players.generator(judge(judge_params, judge_stats, luma, pred)[0]).mean((1, 2, 3))
            means = {name: losses.mean(term, mask) for name, term in (terms | {"adversarial": fooling}).items()}
            value = losses.mean(total, mask) + config.loss.adversarial * means["adversarial"]
            means |= _palette(config, logits, batch)
            return value + config.loss.palette * means.get("palette", 0), (value, means)

        (_, (value, means)), wanted = jax.value_and_grad(objective, has_aux=True)(answer)
        (grads,) = pull(wanted)
        updates, opt_state = optimizers.network.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        scalars = _scalars(batch, pred, value, grads) | means | right
        scalars |= {"discriminator_loss": cost, "discriminator_grad_norm": optax.tree.norm(judge_grads)}
        discriminator = {"params": judge_params, "stats": judge_stats, "opt_state": judge_opt_state}
        return TrainState(state.step + 1, params, stats, opt_state, state.key, state.average, discriminator), scalars

    return step
