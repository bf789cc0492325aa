"""Learning-rate schedules and optimisers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from colorjax.networks.resnet import STAGES
from colorjax.networks.state import Optimizers, frozen_stages, stage_of

_SLOWER = STAGES[: STAGES.index("layer3") + 1]  # what `encoder_rate` is of


def schedule(config: Any, steps_per_epoch: int, player: Any = None) -> optax.Schedule:
    """The learning rate of each step, after a linear warm-up: constant, or a cosine from `learning_rate` to 0 over `epochs`
    (Loshchilov and Hutter 2017): one step down each epoch (`cosine`), or falling with every step (`smooth`).

    player: the section of the config that holds `learning_rate` and `warmup_steps` (default: `config` itself).
    """
    player = config if player is None else player

    def rate(step: jax.Array | int) -> jax.Array:
        step = jnp.asarray(step)
        epoch = step / steps_per_epoch if config.schedule == "smooth" else step // steps_per_epoch
        decay = 1.0 if config.schedule == "constant" else 0.5 * (1 + jnp.cos(jnp.pi * epoch / config.epochs))
        rise = jnp.minimum(1.0, (step + 1) / max(player.warmup_steps, 1))
        return player.learning_rate * decay * rise

    return rate


def held_down(config: Any, steps_per_epoch: int) -> str:
    """What to say of a warm-up so long that a run never learns at half of its rate; "" of others."""
    total = config.epochs * steps_per_epoch
    highest = float(schedule(config, steps_per_epoch)(np.arange(min(total, config.warmup_steps + 1))).max(initial=0))
    if not config.warmup_steps or highest >= config.learning_rate / 2:
        return ""
    return (
        f"warmup_steps={config.warmup_steps} is long for a run of {total} steps: its learning rate rises to {highest:.1e} "
        f"only, not to {config.learning_rate:g}. A shorter one, as --config.warmup_steps={total // 10}, lets it learn more, "
        "and so does a larger --config.epochs"
    )


def make(config: Any, steps_per_epoch: int) -> Optimizers:
    """AdamW (Loshchilov and Hutter 2019) for each player; weight decay on kernels only, after clipping to `clip_norm`.

    The encoder moves at `encoder_rate` of the rate, and its frozen stages not at all.
    """
    network = _paced(_adamw(config, config, steps_per_epoch, config.weight_decay), config)
    if not config.loss.adversarial:
        return Optimizers(network)
    return Optimizers(network, _adamw(config, config.discriminator, steps_per_epoch, 0.0))


def _adamw(config: Any, player: Any, steps_per_epoch: int, weight_decay: float) -> optax.GradientTransformation:
    def kernels(params: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

    # A stage that does nothing keeps the shape of the state: clipping can be switched on and off in a running training.
    clip = optax.clip_by_global_norm(player.clip_norm) if player.clip_norm else optax.identity()
    rate = schedule(config, steps_per_epoch, player)
    return optax.chain(clip, optax.adamw(rate, b1=player.beta1, weight_decay=weight_decay, mask=kernels))


def _paced(optimizer: optax.GradientTransformation, config: Any) -> optax.GradientTransformation:
    """The same optimiser, whose updates of the encoder are scaled; its state stays what it was."""
    frozen = frozen_stages(config.freeze)
    pace = {stage: 0.0 if stage in frozen else config.encoder_rate for stage in _SLOWER} | dict.fromkeys(frozen, 0.0)
    if all(value == 1 for value in pace.values()):
        return optimizer

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates, state = optimizer.update(grads, state, params)
        encoder = {name: scaled(part, stage_of(name)) for name, part in updates["encoder"].items()}
        return updates | {"encoder": encoder}, state

    def scaled(part: Any, stage: str) -> Any:
        return jax.tree.map(lambda update: update * pace.get(stage, 1.0), part)

    return optax.GradientTransformation(optimizer.init, update)
