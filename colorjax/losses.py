"""What training minimises: one value per picture; `mean` is the one place that reduces."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def l1(pred: Float[Array, "b h w 2"], target: Float[Array, "b h w 2"]) -> Float[Array, " b"]:
    """Mean absolute error of chroma (ab/110)."""
    return jnp.abs(pred - target).mean((1, 2, 3))


def mean(values: Float[Array, " b"], mask: Float[Array, " b"]) -> Float[Array, ""]:
    """Mean over the pictures whose mask is 1; 0 where there are none."""
    return (values * mask).sum() / jnp.maximum(mask.sum(), 1.0)
