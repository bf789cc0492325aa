"""Learning-rate schedule and optimiser."""

from typing import Any

import jax
import jax.numpy as jnp
import optax


def schedule(config: Any, steps_per_epoch: int) -> optax.Schedule:
    """Cosine decay from `learning_rate` to 0 over `epochs`, one step down each epoch, after a linear warm-up."""

    def rate(step: jax.Array | int) -> jax.Array:
        epoch = jnp.asarray(step) // steps_per_epoch
        decay = 0.5 * (1 + jnp.cos(jnp.pi * epoch / config.epochs))
        rise = jnp.minimum(1.0, (step + 1) / max(config.warmup_steps, 1))
        return config.learning_rate * decay * rise

    return rate


def make(config: Any, steps_per_epoch: int) -> optax.GradientTransformation:
    """AdamW (Loshchilov and Hutter 2019); weight decay on kernels only, after clipping to `clip_norm`."""

    def kernels(params: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

    # A stage that does nothing keeps the shape of the state: clipping can be switched on and off in a running training.
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    adamw = optax.adamw(schedule(config, steps_per_epoch), weight_decay=config.weight_decay, mask=kernels)
    return optax.chain(clip, adamw)
