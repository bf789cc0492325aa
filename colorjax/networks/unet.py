"""The report's network: a U-Net whose way down is ResNet-18."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from colorjax.networks.convolution import Conv, Double
from colorjax.networks.resnet import HintConv, ResNetEncoder, batch_norm, pooled_hints
from colorjax.science import bins


def chroma_head(cin: int, dtype: jnp.dtype, rngs: nnx.Rngs) -> Conv:
    """The last 3x3 convolution. Its kernel starts at 0: an untrained network predicts grey, the best uninformed guess."""
    zeros = nnx.initializers.zeros
    return Conv(cin, 2, (3, 3), kernel_init=zeros, dtype=dtype, rngs=rngs)


class Palette(nnx.Module):
    """How likely each colour bin is: (B, H', W', cin) -> logits (B, ceil(H / 4), ceil(W / 4), bins.COUNT), float32.

    A 1x1 convolution that watches a network. gradient: the share of its gradient that passes to what it is given; 0, and it
    does not move the network (as the class branch of Zhang et al. 2017). stride: 4 over that of the map that it is given.
    """

    def __init__(self, cin: int, stride: int, *, gradient: float, dtype: jnp.dtype, rngs: nnx.Rngs):
        self.stride, self.gradient = stride, gradient
        self.logits = Conv(cin, bins.COUNT, (1, 1), kernel_init=nnx.initializers.zeros, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "b _ _ c"]) -> Float[Array, "b _ _ n"]:
        x = x[:, :: self.stride, :: self.stride]
        watched = jax.lax.stop_gradient(x)
        return self.logits(watched + self.gradient * (x - watched) if self.gradient else watched).astype(jnp.float32)


class UpBlock(nnx.Module):
    """Double the size with a 2x2 transposed convolution, join the skip, two 3x3 convolutions with BatchNorm and ReLU.

    guided: the first of them sees hints as well.
    """

    def __init__(self, cin: int, cskip: int, cout: int, *, dtype: jnp.dtype, rngs: nnx.Rngs, guided: bool = False):
        options = {"dtype": dtype, "rngs": rngs}
        he = nnx.initializers.he_normal()
        self.up = Double(cin, cout, dtype=dtype, rngs=rngs)
        self.conv1 = Conv(cout + cskip, cout, (3, 3), use_bias=False, kernel_init=he, **options)
        self.hints = HintConv(cout, 3, 1, **options) if guided else None
        self.bn1 = batch_norm(cout, dtype, rngs)
        self.conv2 = Conv(cout, cout, (3, 3), use_bias=False, kernel_init=he, **options)
        self.bn2 = batch_norm(cout, dtype, rngs)

    def __call__(
        self, x: Float[Array, "b _ _ c"], skip: Float[Array, "b h w s"], hints: Float[Array, "b h w 3"] | None = None
    ) -> Float[Array, "b h w d"]:
        x = self.up(x)[:, : skip.shape[1], : skip.shape[2]]  # the way down rounded odd sizes up
        x = jnp.concatenate([x, skip.astype(x.dtype)], axis=-1)
        x = self.conv1(x)
        x = nnx.relu(self.bn1(x if hints is None else x + self.hints(hints)))
        return nnx.relu(self.bn2(self.conv2(x)))


class ResNetUNet(nnx.Module):
    """ResNet-18 encoder, and up-steps that join each of its maps again; a 3x3 convolution to chroma, tanh.

    stem="full": three up-steps, 14.18 M parameters at width 64. stem="strided": two more, the first joined by the
    stem's map, the last by the luma itself, so that edges of the photograph are known at full resolution; 14.32 M.
    answer: 2 or 4, with the strided stem: up_luma, or both of these, are left out, and chroma has 1/2 or 1/4 of the
    resolution; 14.31 M, 14.18 M.
    guided: it sees hints at the stem and where luma is joined; with a coarser answer pooled, before layer3 and in each
    up-step. It has a `Palette`, whose `palette_gradient` reaches up1.
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
        options = {"dtype": dtype, "rngs": rngs}
        strided, deep = stem == "strided", guided and answer > 1
        entry = ("layer3" if deep else "stem") if guided else ""
        self.encoder = ResNetEncoder(width=width, stem=stem, hints=entry, **options)
        self.up3 = UpBlock(8 * width, 4 * width, 4 * width, guided=deep, **options)
        self.up2 = UpBlock(4 * width, 2 * width, 2 * width, guided=deep, **options)
        self.up1 = UpBlock(2 * width, width, width, guided=deep, **options)
        self.up_stem = UpBlock(width, width, width, guided=deep, **options) if strided and answer < 4 else None
        self.up_luma = UpBlock(width, 1, width // 4, guided=guided, **options) if strided and answer == 1 else None
        self.palette = Palette(width, 1 if strided else 4, gradient=palette_gradient, **options) if guided else None
        self.head = chroma_head(width // 4 if self.up_luma is not None else width, dtype, rngs)

    def feature_maps(
        self, luma: Float[Array, "b h w 1"], hints: Float[Array, "b h w 3"] | None = None
    ) -> dict[str, Float[Array, "b _ _ _"]]:
        """Every intermediate map by name, the chroma (B, H / answer, W / answer, 2) last; sides are rounded up."""
        maps = self.encoder(luma, hints)
        down = [maps[name] for name in ("stem", "layer1", "layer2", "layer3")]
        x = maps["up3"] = self._up("up3", maps["layer4"], maps["layer3"], hints, down)
        x = maps["up2"] = self._up("up2", x, maps["layer2"], hints, down[:3])
        x = maps["up1"] = self._up("up1", x, maps["layer1"], hints, down[:2])
        if self.palette is not None:
            maps["palette"] = self.palette(x)
        if self.up_stem is not None:
            x = maps["up_stem"] = self._up("up_stem", x, maps["stem"], hints, down[:1])
        if self.up_luma is not None:
            x = maps["up_luma"] = self._up("up_luma", x, luma, hints, [])
        maps["chroma"] = jnp.tanh(self.head(x).astype(jnp.float32))
        return maps

    def _up(self, name: str, x: jax.Array, skip: jax.Array, hints: jax.Array | None, down: list[jax.Array]) -> jax.Array:
        """An up-step; down: the maps on the way from luma to the one that is joined here."""
        block = getattr(self, name)
        told = hints is not None and block.hints is not None
        return block(x, skip, pooled_hints(hints, [one.shape[1:3] for one in down]) if told else None)

    def __call__(self, luma: Float[Array, "b h w 1"], hints: Float[Array, "b h w 3"] | None = None) -> Float[Array, "b _ _ 2"]:
        return self.feature_maps(luma, hints)["chroma"]
