"""The report's network: a U-Net whose way down is ResNet-18."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from colorjax.models.convolution import Conv, Double
from colorjax.models.resnet import ResNetEncoder, batch_norm


def chroma_head(cin: int, dtype: jnp.dtype, rngs: nnx.Rngs) -> Conv:
    """The last 3x3 convolution. Its kernel starts at 0: an untrained network predicts grey, the best uninformed guess."""
    zeros = nnx.initializers.zeros
    return Conv(cin, 2, (3, 3), kernel_init=zeros, dtype=dtype, rngs=rngs)


class UpBlock(nnx.Module):
    """Double the size with a 2x2 transposed convolution, join the skip, two 3x3 convolutions with BatchNorm and ReLU."""

    def __init__(self, cin: int, cskip: int, cout: int, *, dtype: jnp.dtype, rngs: nnx.Rngs):
        options = {"dtype": dtype, "rngs": rngs}
        he = nnx.initializers.he_normal()
        self.up = Double(cin, cout, dtype=dtype, rngs=rngs)
        self.conv1 = Conv(cout + cskip, cout, (3, 3), use_bias=False, kernel_init=he, **options)
        self.bn1 = batch_norm(cout, dtype, rngs)
        self.conv2 = Conv(cout, cout, (3, 3), use_bias=False, kernel_init=he, **options)
        self.bn2 = batch_norm(cout, dtype, rngs)

    def __call__(self, x: Float[Array, "b _ _ c"], skip: Float[Array, "b h w s"]) -> Float[Array, "b h w d"]:
        x = self.up(x)[:, : skip.shape[1], : skip.shape[2]]  # the way down rounded odd sizes up
        x = jnp.concatenate([x, skip.astype(x.dtype)], axis=-1)
        x = nnx.relu(self.bn1(self.conv1(x)))
        return nnx.relu(self.bn2(self.conv2(x)))


class ResNetUNet(nnx.Module):
    """ResNet-18 encoder, and up-steps that join each of its maps again; a 3x3 convolution to chroma, tanh.

    stem="full": three up-steps, 14.18 M parameters at width 64. stem="strided": two more, the first joined by the
    stem's map, the last by the luma itself, so that edges of the photograph are known at full resolution; 14.32 M.
    """

    def __init__(self, *, width: int, stem: str, dtype: jnp.dtype, rngs: nnx.Rngs):
        options = {"dtype": dtype, "rngs": rngs}
        self.encoder = ResNetEncoder(width=width, stem=stem, **options)
        self.up3 = UpBlock(8 * width, 4 * width, 4 * width, **options)
        self.up2 = UpBlock(4 * width, 2 * width, 2 * width, **options)
        self.up1 = UpBlock(2 * width, width, width, **options)
        strided = stem == "strided"
        self.up_stem = UpBlock(width, width, width, **options) if strided else None
        self.up_luma = UpBlock(width, 1, width // 4, **options) if strided else None
        self.head = chroma_head(width // 4 if strided else width, dtype, rngs)

    def feature_maps(self, luma: Float[Array, "b h w 1"]) -> dict[str, Float[Array, "b _ _ _"]]:
        """Every intermediate map by name, the chroma (B, H, W, 2) last."""
        maps = self.encoder(luma)
        x = maps["up3"] = self.up3(maps["layer4"], maps["layer3"])
        x = maps["up2"] = self.up2(x, maps["layer2"])
        x = maps["up1"] = self.up1(x, maps["layer1"])
        if self.up_stem is not None:
            x = maps["up_stem"] = self.up_stem(x, maps["stem"])
            x = maps["up_luma"] = self.up_luma(x, luma)
        maps["chroma"] = jnp.tanh(self.head(x).astype(jnp.float32))
        return maps

    def __call__(self, luma: Float[Array, "b h w 1"]) -> Float[Array, "b h w 2"]:
        return self.feature_maps(luma)["chroma"]
