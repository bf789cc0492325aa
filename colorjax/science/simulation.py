"""What somebody could have hinted: true colours at random points, for training guided networks and for measuring them.

Zhang, Zhu, Isola, Geng, Lin, Yu, Efros: Real-Time User-Guided Image Colorization with Learned Deep Priors, 2017, section 3.1.
Points lie anywhere here; there they gather around the middle.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from colorjax.science import hints

ALL = 1 / 100  # share of the training pictures that are told the colour of every pixel
_P = 1 / 8  # of the geometric law of how many hints the others have: 1, 2, ... (8 in the mean)
_MOST = 48  # hints of one training picture; the law gives more to 2 of 1,000, which get so many
_LARGEST = 9  # side of a training hint's square, 1..9 pixels


def for_training(chroma: Float[Array, "b h w 2"], key: jax.Array, unhinted: float) -> Float[Array, "b h w 3"]:
    """Hints for each picture, as `hints.drawn` has them: random squares of 1 to 9 pixels that tell their mean chroma.

    key: decides everything. unhinted: in 0..1, the share of pictures that get none.
    """
    batch, height, width, _ = chroma.shape
    law, sides, places = jax.random.split(key, 3)
    which, many = jax.random.uniform(law, (2, batch))
    # The inverse of the geometric law's distribution, of a number in 0..1.
    count = jnp.where(which < unhinted, 0, 1 + jnp.floor(jnp.log1p(-many) / jnp.log1p(-_P))).astype(jnp.int32)
    side = jax.random.randint(sides, (batch, _MOST), 1, min(_LARGEST, height, width) + 1)
    drawn, _ = _drawn(chroma, jax.random.uniform(places, (batch, _MOST, 2)), side, count)
    whole = jnp.concatenate([chroma, jnp.ones_like(chroma[..., :1])], axis=-1)
    return jnp.where((which > jnp.maximum(unhinted, 1 - ALL))[:, None, None, None], whole, drawn)


def for_measuring(
    chroma: Float[Array, "b h w 2"], index: Int[Array, " b"], count: int
) -> tuple[Float[Array, "b h w 3"], Float[Array, "b n 2"], Int[Array, "b n 2"]]:
    """`count` hints for each picture, of the size that users' hints have -> (hints, their chroma, the middle of each).

    index: of the pictures; it decides the points. The first n points are the same for every `count`.
    """

    def points(index: jax.Array) -> jax.Array:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(jax.random.key(0), index), jnp.arange(count))
        return jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys)

    batch, *shape, _ = chroma.shape
    side = jnp.full((batch, count), hints.side(tuple(shape)))
    at = jax.vmap(points)(index.astype(jnp.uint32))
    drawn, own = _drawn(chroma, at, side, jnp.full(batch, count))
    first = jnp.stack([_first(at[..., axis], side, length) for axis, length in enumerate(shape)], axis=-1)
    return drawn, own, first + side[..., None] // 2


def _first(at: jax.Array, side: jax.Array, length: int) -> jax.Array:
    """First row or column of squares that lie inside the picture, for places (b, k) in 0..1."""
    return jnp.floor(at * (length - side + 1)).astype(jnp.int32)


def _drawn(
    chroma: Float[Array, "b h w 2"], at: Float[Array, "b k 2"], side: Int[Array, "b k"], count: Int[Array, " b"]
) -> tuple[Float[Array, "b h w 3"], Float[Array, "b k 2"]]:
    """The first `count` squares, where they meet their mean; and the colour of each."""

    def covered(axis: int, length: int) -> jax.Array:
        first, places = _first(at[..., axis], side, length)[..., None], jnp.arange(length)[None, None]
        return ((places >= first) & (places < first + side[..., None])).astype(jnp.float32)

    # A square is the product of the rows and of the columns that it covers: matrix products instead of a loop.
    rows, columns = (covered(axis, length) for axis, length in enumerate(chroma.shape[1:3]))
    product = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    own = product("bkw,bkwc->bkc", columns, product("bkh,bhwc->bkwc", rows, chroma)) / (side**2)[..., None]
    there = (jnp.arange(at.shape[1])[None] < count[:, None]).astype(jnp.float32)[..., None]
    told = jnp.concatenate([own, jnp.ones_like(own[..., :1])], axis=-1) * there
    total = product("bkh,bkwc->bhwc", rows, columns[..., None] * told[:, :, None])
    many = total[..., 2:]
    return jnp.concatenate([total[..., :2] / jnp.maximum(many, 1), jnp.minimum(many, 1)], axis=-1), own
