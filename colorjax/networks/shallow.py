"""The baseline of the report: a convolutional autoencoder of five layers."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from colorjax.networks.convolution import Conv, Double
from colorjax.networks.resnet import HintConv, max_pool
from colorjax.networks.unet import Palette, chroma_head


class Shallow(nnx.Module):
    """ShallowColorizationNet: conv, pool, conv, pool, a widening bottleneck, two transposed convs, conv to chroma, tanh.

    guided: its first convolution sees hints, and it has a `Palette`.
    """

    def __init__(
        self,
        *,
        width: int,
        stem: str,
        answer: int,
        guided: bool,
        palette_gradient: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        del stem, answer  # it has no stem, and answers at full resolution
        options = {"dtype": dtype, "rngs": rngs}
        self.down1 = Conv(1, width, (3, 3), **options)
        self.hints = HintConv(width, 3, 1, **options) if guided else None
        self.down2 = Conv(width, 2 * width, (3, 3), **options)
        self.bottleneck = Conv(2 * width, 4 * width, (3, 3), **options)
        self.up1 = Double(4 * width, 2 * width, dtype=dtype, rngs=rngs)
        self.up2 = Double(2 * width, width, dtype=dtype, rngs=rngs)
        self.palette = Palette(2 * width, 2, gradient=palette_gradient, **options) if guided else None
        self.head = chroma_head(width, dtype, rngs)

    def feature_maps(
        self, luma: Float[Array, "b h w 1"], hints: Float[Array, "b h w 3"] | None = None
    ) -> dict[str, Float[Array, "b _ _ _"]]:
        """Every intermediate map by name, the chroma (B, H, W, 2) last."""
        height, width = luma.shape[1:3]
        x = self.down1(luma)
        maps = {"down1": nnx.relu(x if hints is None else x + self.hints(hints))}
        maps["down2"] = nnx.relu(self.down2(max_pool(maps["down1"], 2)))
        maps["bottleneck"] = nnx.relu(self.bottleneck(max_pool(maps["down2"], 2)))
        maps["up1"] = nnx.relu(self.up1(maps["bottleneck"]))
        if self.palette is not None:
            maps["palette"] = self.palette(maps["up1"])
        maps["up2"] = nnx.relu(self.up2(maps["up1"]))[:, :height, :width]
        maps["chroma"] = jnp.tanh(self.head(maps["up2"]).astype(jnp.float32))
        return maps

    def __call__(self, luma: Float[Array, "b h w 1"], hints: Float[Array, "b h w 3"] | None = None) -> Float[Array, "b h w 2"]:
        return self.feature_maps(luma, hints)["chroma"]
