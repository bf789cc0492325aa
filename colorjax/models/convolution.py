"""The two kinds of convolution that every network here is made of."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class Conv(nnx.Conv):
    """nnx.Conv, (B, H, W, cin) -> (B, h, w, cout), as far as the networks here need it, computed otherwise in two cases.

    The bias is added in float32: its gradient is a sum over every pixel, which bfloat16 gets wrong by three quarters. Where
    fewer than 3 pixels in a row come out, windows are gathered into a matrix product: XLA's convolution takes a hundred times
    as long for those on a CPU.
    """

    def __init__(
        self,
        cin: int,
        cout: int,
        kernel_size: tuple[int, int],
        *,
        strides: tuple[int, int] = (1, 1),
        padding: str | tuple[tuple[int, int], tuple[int, int]] = "SAME",
        use_bias: bool = True,
        kernel_init: nnx.Initializer = nnx.initializers.lecun_normal(),  # noqa: B008, as Flax's
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        options = {"strides": strides, "padding": padding, "use_bias": use_bias, "kernel_init": kernel_init}
        super().__init__(cin, cout, kernel_size, **options, dtype=dtype, param_dtype=jnp.float32, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b _ _ d"]:
        x, kernel = x.astype(self.dtype), self.kernel[...].astype(self.dtype)
        small = all(isinstance(side, int) for side in x.shape) and min(x.shape[1:3]) < 3 * max(self.strides)
        y = (_gathered if small else _convolved)(x, kernel, self.strides, self.padding)
        return y if self.bias is None else _biased(y, self.bias[...])


def _biased(y: jax.Array, bias: jax.Array) -> jax.Array:
    return (y.astype(jnp.float32) + bias.reshape(1, 1, 1, -1)).astype(y.dtype)


def _convolved(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: object) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _gathered(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: object) -> jax.Array:
    sides = x.shape[1:3]
    pads = jax.lax.padtype_to_pads(sides, kernel.shape[:2], strides, padding) if isinstance(padding, str) else padding
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    rows, columns = (
        [slice(at, at + whole - size + 1, step) for at in range(size)]
        for whole, size, step in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True)
    )
    windows = jnp.stack([x[:, row, column] for row in rows for column in columns], axis=-2)
    return jnp.einsum("bhwkc,kcd->bhwd", windows, kernel.reshape(-1, *kernel.shape[2:]))


class Double(nnx.Module):
    """A 2x2 transposed convolution of stride 2: (B, H, W, cin) -> (B, 2H, 2W, cout), parameters as nnx.ConvTranspose's.

    Its windows do not overlap, so it is one matrix product and a rearrangement; as a convolution, XLA takes several times
    as long for its gradient on a CPU. The bias is added in float32, see `Conv`.
    """

    def __init__(self, cin: int, cout: int, *, dtype: jnp.dtype, rngs: nnx.Rngs):
        self.kernel = nnx.Param(nnx.initializers.lecun_normal()(rngs.params(), (2, 2, cin, cout), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(cout))
        self.dtype = dtype

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b _ _ d"]:
        batch, height, width, _ = x.shape
        kernel = jnp.flip(self.kernel[...], (0, 1)).astype(self.dtype)
        y = jnp.einsum("bhwc,ijcd->bhiwjd", x.astype(self.dtype), kernel)
        return _biased(y.reshape(batch, 2 * height, 2 * width, -1), self.bias[...])
