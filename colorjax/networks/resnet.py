"""ResNet-18's convolutional part on one channel of lightness, its parameters laid out to take torchvision's weights.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015; torchvision.models.resnet18.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from colorjax.networks.convolution import Conv
from colorjax.science import color

STEMS = ("full", "strided")
STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")
# Between the channels of ImageNet's statistics: padding with 0 after this is padding with mid grey, nearly as torchvision.
GREY_MEAN, GREY_STD = 0.449, 0.226
HINT_SCALE = np.float32([5, 5, 1])  # chroma is about 0.2 where it is, and learnt from sooner when it is about 1
EPSILON = 1e-5  # of BatchNorm, as PyTorch's


def _conv(cin: int, cout: int, size: int, stride: int, dtype: jnp.dtype, rngs: nnx.Rngs, bias: bool = False) -> Conv:
    pad = size // 2
    return Conv(
        cin,
        cout,
        (size, size),
        strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        use_bias=bias,
        kernel_init=nnx.initializers.variance_scaling(2.0, "fan_out", "normal"),
        dtype=dtype,
        rngs=rngs,
    )


class HintConv(Conv):
    """The part of a convolution that sees hints: (B, H, W, 3) -> (B, h, w, cout). It starts at 0, as if there were none."""

    def __init__(self, cout: int, size: int, stride: int, *, dtype: jnp.dtype, rngs: nnx.Rngs):
        pad = size // 2
        options = {"strides": (stride, stride), "padding": ((pad, pad), (pad, pad)), "use_bias": False}
        super().__init__(3, cout, (size, size), kernel_init=nnx.initializers.zeros, dtype=dtype, rngs=rngs, **options)

    def __call__(self, hints: Float[Array, "b h w 3"]) -> Float[Array, "b _ _ d"]:
        return super().__call__(hints * HINT_SCALE.reshape(1, 1, 1, 3))


def batch_norm(features: int, dtype: jnp.dtype, rngs: nnx.Rngs) -> nnx.BatchNorm:
    """BatchNorm with PyTorch's momentum and epsilon; statistics are float32 and, under jit, of the whole batch."""
    return nnx.BatchNorm(features, momentum=0.9, epsilon=EPSILON, dtype=dtype, param_dtype=jnp.float32, rngs=rngs)


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions and a shortcut: (B, H, W, cin) -> (B, ceil(H / stride), ceil(W / stride), cout)."""

    def __init__(self, cin: int, cout: int, stride: int, *, dtype: jnp.dtype, rngs: nnx.Rngs):
        self.conv1 = _conv(cin, cout, 3, stride, dtype, rngs)
        self.bn1 = batch_norm(cout, dtype, rngs)
        self.conv2 = _conv(cout, cout, 3, 1, dtype, rngs)
        self.bn2 = batch_norm(cout, dtype, rngs)
        self.shortcut = _conv(cin, cout, 1, stride, dtype, rngs) if stride != 1 or cin != cout else None
        self.shortcut_bn = batch_norm(cout, dtype, rngs) if self.shortcut is not None else None

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b _ _ d"]:
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.shortcut is not None:
            x = self.shortcut_bn(self.shortcut(x))
        return nnx.relu(x + y)


class Stage(nnx.Module):
    """Two blocks, the first of which may halve the size: torchvision's layer1 to layer4."""

    def __init__(self, cin: int, cout: int, stride: int, *, dtype: jnp.dtype, rngs: nnx.Rngs):
        self.block0 = BasicBlock(cin, cout, stride, dtype=dtype, rngs=rngs)
        self.block1 = BasicBlock(cout, cout, 1, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b _ _ d"]:
        return self.block1(self.block0(x))


class ResNetEncoder(nnx.Module):
    """ResNet-18 without its classifier: luma -> feature maps of `width` x 1, 1, 2, 4, 8 channels.

    stem="full": 7x7 of stride 1 and no pooling, so that layer1 works at full resolution (the report's network).
    stem="strided": torchvision's own, 7x7 of stride 2 and 3x3 max pooling of stride 2.
    channels: of what `maps` is given; 3 for torchvision's own net, which sees RGB.
    hints: "stem": the first convolution has a second kernel, which sees hints. "layer3": it is before that stage and sees
    them pooled, so that the stages below can stay frozen. "": no hints.
    """

    def __init__(self, *, width: int, stem: str, dtype: jnp.dtype, rngs: nnx.Rngs, channels: int = 1, hints: str = ""):
        self.strided = stem == "strided"
        self.dtype = dtype
        stride = 2 if self.strided else 1
        self.conv1 = _conv(channels, width, 7, stride, dtype, rngs, bias=True)
        self.hints = HintConv(width, 7, stride, dtype=dtype, rngs=rngs) if hints == "stem" else None
        self.bn1 = batch_norm(width, dtype, rngs)
        self.layer1 = Stage(width, width, 1, dtype=dtype, rngs=rngs)
        self.layer2 = Stage(width, 2 * width, 2, dtype=dtype, rngs=rngs)
        self.deep_hints = HintConv(2 * width, 3, 1, dtype=dtype, rngs=rngs) if hints == "layer3" else None
        self.layer3 = Stage(2 * width, 4 * width, 2, dtype=dtype, rngs=rngs)
        self.layer4 = Stage(4 * width, 8 * width, 2, dtype=dtype, rngs=rngs)

    def __call__(
        self, luma: Float[Array, "b h w 1"], hints: Float[Array, "b h w 3"] | None = None
    ) -> dict[str, Float[Array, "b _ _ _"]]:
        """luma in -1..1 -> {"stem", "layer1", ..., "layer4"}."""
        # Torchvision's filters know sRGB values, not L*: give them the grey photograph that has this lightness.
        grey = color.lightness_to_grey(luma.astype(jnp.float32) * 50 + 50)
        return self.maps((grey - GREY_MEAN) / GREY_STD, hints)

    def maps(
        self, x: Float[Array, "b h w c"], hints: Float[Array, "b h w 3"] | None = None
    ) -> dict[str, Float[Array, "b _ _ _"]]:
        """The feature maps of a normalised picture: {"stem", "layer1", ..., "layer4"}."""
        x = self.conv1(x.astype(self.dtype))
        stem = nnx.relu(self.bn1(x if hints is None or self.hints is None else x + self.hints(hints)))
        x = max_pool(stem, 3) if self.strided else stem
        layer1 = self.layer1(x)
        layer2 = self.layer2(layer1)
        x = layer2
        if hints is not None and self.deep_hints is not None:
            x = x + self.deep_hints(pooled_hints(hints, [one.shape[1:3] for one in (stem, layer1, layer2)]))
        layer3 = self.layer3(x)
        layer4 = self.layer4(layer3)
        return {"stem": stem, "layer1": layer1, "layer2": layer2, "layer3": layer3, "layer4": layer4}


def max_pool(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b _ _ c"]:
    """Max pooling of stride 2, size 2, or 3 padded by 1 as torchvision's: -> (B, ceil(H / 2), ceil(W / 2), C)."""
    return max_windows(x, size, (size - 1) // 2, (-(-x.shape[1] // 2), -(-x.shape[2] // 2)))


def mean_pool(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b _ _ c"]:
    """Mean of windows of `size` x `size`, side by side: -> (B, ceil(H / size), ceil(W / size), C); of what is there of each."""
    if size == 1:
        return x
    sides = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), *((0, -side % size) for side in sides), (0, 0)))
    rows, columns = (side // size for side in padded.shape[1:3])
    total = padded.reshape(x.shape[0], rows, size, columns, size, x.shape[-1]).sum((2, 4))
    there = [jnp.minimum(size, side - size * jnp.arange(count)) for side, count in zip(sides, (rows, columns), strict=True)]
    return total / (there[0][:, None] * there[1][None])[None, ..., None]


def pooled_hints(hints: Float[Array, "b h w 3"], shapes: Sequence[tuple[int, int]]) -> Float[Array, "b _ _ 3"]:
    """Hints on coarser maps: the mean chroma of those in a window, and 1; 0 where there is none.

    shapes: (height, width) of each map on the way, every one half of the one before, rounded up; the last is the result's.
    """
    for out in shapes:
        hints = functools.reduce(jnp.add, _shifted(hints, 2, 0, out, 0.0))
    many = hints[..., 2:]
    return jnp.concatenate([hints[..., :2] / jnp.maximum(many, 1.0), jnp.minimum(many, 1.0)], axis=-1)


def halvings(shape: tuple[int, int], size: int) -> list[tuple[int, int]]:
    """The shapes on the way to 1/size, a power of 2, of a shape, as `pooled_hints` takes them."""
    shapes = [shape]
    for _ in range(size.bit_length() - 1):
        shapes.append(tuple(-(-side // 2) for side in shapes[-1]))
    return shapes[1:]


def max_windows(x: Float[Array, "b h w c"], size: int, before: int, out: tuple[int, int]) -> Float[Array, "b _ _ c"]:
    """Maximum over windows of `size` x `size` at stride 2, the first one `before` pixels outside: -> (B, *out, C).

    out: at most half of the height and width, rounded up.
    Written as the maximum of shifted slices: the gradient of XLA's own pooling takes eight times as long on a CPU.
    """
    return functools.reduce(jnp.maximum, _shifted(x, size, before, out, -jnp.inf))


def _shifted(x: jax.Array, size: int, before: int, out: tuple[int, int], outside: float) -> list[jax.Array]:
    """Every place of the windows of `max_windows`, (B, *out, C) each; `outside` is what there is around x."""
    around = (before, size - 1 - before)  # enough for ceil(H / 2) windows, whether H is even or odd
    x = jnp.pad(x, ((0, 0), around, around, (0, 0)), constant_values=outside)
    ends = 2 * out[0] - 1, 2 * out[1] - 1
    return [x[:, i : i + ends[0] : 2, j : j + ends[1] : 2] for i in range(size) for j in range(size)]


def count_parameters(tree: object) -> int:
    """Number of scalars in a tree of arrays or shapes."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
