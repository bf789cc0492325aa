"""Learning-rate schedules and optimisers."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from colorjax.state import Optimizers


def schedule(config: Any, steps_per_epoch: int, player: Any = None) -> optax.Schedule:
    """Cosine decay from `learning_rate` to 0 over `epochs`, one step down each epoch, after a linear warm-up.

    player: the section of the config that holds `learning_rate` and `warmup_steps` (default: `config` itself).
    """
    player = config if player is None else player

    def rate(step: jax.Array | int) -> jax.Array:
        epoch = jnp.asarray(step) // steps_per_epoch
        decay = 0.5 * (1 + jnp.cos(jnp.pi * epoch / config.epochs))
        rise = jnp.minimum(1.0, (step + 1) / max(player.warmup_steps, 1))
        return player.learning_rate * decay * rise

    return rate


def make(config: Any, steps_per_epoch: int) -> Optimizers:
    """AdamW (Loshchilov and Hutter 2019) for each player; weight decay on kernels only, after clipping to `clip_norm`."""
    network = _adamw(config, config, steps_per_epoch, config.weight_decay)
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
