"""The discriminator of adversarial training: judges patches of a photograph in colour, seen with its lightness.

Isola, Zhu, Zhou, Efros: Image-to-Image Translation with Conditional Adversarial Networks, CVPR 2017.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from colorjax.networks.convolution import Conv
from colorjax.networks.resnet import batch_norm

_KERNEL = 4  # of every convolution
_MOST_CHANNELS = 8  # times the width


def receptive_field(layers: int) -> int:
    """Side in pixels of the patch that one logit judges; 70 for 3 layers."""
    side = 1 + 2 * (_KERNEL - 1)  # the last two convolutions, of stride 1
    for _ in range(layers):
        side = 2 * (side - 1) + _KERNEL
    return side


def _conv(cin: int, cout: int, stride: int, bias: bool, dtype: jnp.dtype, rngs: nnx.Rngs) -> Conv:
    return Conv(
        cin,
        cout,
        (_KERNEL, _KERNEL),
        strides=(stride, stride),
        use_bias=bias,
        kernel_init=nnx.initializers.normal(0.02),
        dtype=dtype,
        rngs=rngs,
    )


class Block(nnx.Module):
    """A convolution, BatchNorm and leaky ReLU of 0.2."""

    def __init__(self, cin: int, cout: int, stride: int, *, dtype: jnp.dtype, rngs: nnx.Rngs):
        self.conv = _conv(cin, cout, stride, False, dtype, rngs)
        self.bn = batch_norm(cout, dtype, rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b _ _ d"]:
        return nnx.leaky_relu(self.bn(self.conv(x)), 0.2)


class PatchGAN(nnx.Module):
    """luma (B, H, W, 1) and chroma (B, H, W, 2) -> logits (B, h, w, 1), positive where the colour looks true; float32.

    `layers` convolutions of stride 2 and two of stride 1, all 4x4; h and w are the sides over 2^layers, rounded up. Kernels
    start at N(0, 0.02) as in the paper.
    """

    def __init__(self, *, width: int, layers: int, dtype: jnp.dtype, rngs: nnx.Rngs):
        widths = [width * min(2**i, _MOST_CHANNELS) for i in range(layers + 1)]
        self.layers = layers
        self.first = _conv(3, width, 2, True, dtype, rngs)
        for i in range(layers):
            stride = 2 if i < layers - 1 else 1
            setattr(self, f"block{i}", Block(widths[i], widths[i + 1], stride, dtype=dtype, rngs=rngs))
        self.last = _conv(widths[-1], 1, 1, True, dtype, rngs)

    def __call__(self, luma: Float[Array, "b h w 1"], chroma: Float[Array, "b h w 2"]) -> Float[Array, "b _ _ 1"]:
        x = nnx.leaky_relu(self.first(jnp.concatenate([luma, chroma], axis=-1)), 0.2)
        for i in range(self.layers):
            x = getattr(self, f"block{i}")(x)
        return self.last(x).astype(jnp.float32)
