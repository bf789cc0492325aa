"""The two kinds of convolution that every network here is made of."""

import functools
import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

_LARGE_MAP = 256  # pixels, from which on XLA's gradient of a kernel is the slower one on a CPU


class Conv(nnx.Conv):
    """nnx.Conv, (B, H, W, cin) -> (B, h, w, cout), as far as the networks here need it, computed otherwise in three cases.

    The bias is added in float32: its gradient is a sum over every pixel, which bfloat16 gets wrong by three quarters. Where
    fewer than 3 pixels in a row come out, windows are gathered into a matrix product: XLA's convolution takes a hundred times
    as long for those on a CPU. There, too, the kernel's gradient of larger maps is summed picture by picture.
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


def _convolution(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: object) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolved(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: object) -> jax.Array:
    return _convolution(x, kernel, strides, padding)


def _forward(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: object) -> tuple[jax.Array, tuple]:
    return _convolution(x, kernel, strides, padding), (x, kernel)


def _backward(strides: tuple[int, int], padding: object, seen: tuple, grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = seen
    (x_grad,) = jax.linear_transpose(lambda x: _convolution(x, kernel, strides, padding), x)(grad)

    def whole(x: jax.Array, grad: jax.Array) -> jax.Array:
        return jax.linear_transpose(lambda kernel: _convolution(x, kernel, strides, padding), kernel)(grad)[0]

    def by_picture(x: jax.Array, grad: jax.Array) -> jax.Array:
        """One picture after another; each device, if there are several, its own."""

        def add(total: jax.Array, one: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            windows = _windows(one[0], kernel.shape[:2], strides, padding)
            return total + jnp.einsum("bhwkc,bhwd->bkcd", windows, one[1], preferred_element_type=jnp.float32), None

        start = jnp.zeros((devices, math.prod(kernel.shape[:2]), *kernel.shape[2:]), jnp.float32)
        shares = [one.reshape(devices, -1, *one.shape[1:]).swapaxes(0, 1) for one in (x, grad)]
        return jax.lax.scan(add, start, shares)[0].sum(0).reshape(kernel.shape).astype(kernel.dtype)

    devices = jax.device_count()
    if grad.shape[1] * grad.shape[2] < _LARGE_MAP or grad.shape[0] % devices:
        return x_grad, whole(x, grad)
    return x_grad, jax.lax.platform_dependent(x, grad, cpu=by_picture, default=whole)


_convolved.defvjp(_forward, _backward)


def _windows(x: jax.Array, kernel: tuple[int, ...], strides: tuple[int, int], padding: object) -> jax.Array:
    """What the kernel sees at each place, (B, h, w, places of the kernel, cin)."""
    sides = x.shape[1:3]
    pads = jax.lax.padtype_to_pads(sides, kernel, strides, padding) if isinstance(padding, str) else padding
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    rows, columns = (
        [slice(at, at + whole - size + 1, step) for at in range(size)]
        for whole, size, step in zip(x.shape[1:3], kernel, strides, strict=True)
    )
    return jnp.stack([x[:, row, column] for row in rows for column in columns], axis=-2)


def _gathered(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: object) -> jax.Array:
    windows = _windows(x, kernel.shape[:2], strides, padding)
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
