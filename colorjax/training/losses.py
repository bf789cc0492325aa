"""What training minimises: one value per picture; `mean` is the one place that reduces."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float

from colorjax.networks import perceptual
from colorjax.science import bins, color, metrics

Terms = dict[str, Float[Array, " b"]]


def l1(pred: Float[Array, "b h w 2"], target: Float[Array, "b h w 2"]) -> Float[Array, " b"]:
    """Mean absolute error of chroma (ab/110)."""
    return jnp.abs(pred - target).mean((1, 2, 3))


def l1_at_hints(
    pred: Float[Array, "b h w 2"], target: Float[Array, "b h w 2"], hints: Float[Array, "b h w 3"]
) -> Float[Array, " b"]:
    """`l1` of the pixels that hints colour; 0 where there are none."""
    there = hints[..., 2]
    return (jnp.abs(pred - target).mean(-1) * there).sum((1, 2)) / jnp.maximum(there.sum((1, 2)), 1.0)


def colourfulness(rgb: Float[Array, "b h w 3"], rgb_target: Float[Array, "b h w 3"]) -> Float[Array, " b"]:
    """How far `metrics.colourfulness` is from the truth's, over 50 and squared: what L1 makes pale costs something, and what
    is furthest off most. rgb in 0..1."""
    return ((metrics.colourfulness(rgb) - metrics.colourfulness(rgb_target)) / 50) ** 2


def delta_e(
    luma: Float[Array, "b h w 1"], pred: Float[Array, "b h w 2"], target: Float[Array, "b h w 2"]
) -> Float[Array, " b"]:
    """Mean CIEDE2000 over 100: a difference from grey counts as the eye counts it, more than the same between vivid colours."""
    return color.delta_e_2000(metrics.to_lab(luma, pred), metrics.to_lab(luma, target)).mean((1, 2)) / 100


def psnr(rgb: Float[Array, "b h w 3"], rgb_target: Float[Array, "b h w 3"]) -> Float[Array, " b"]:
    """Minus the PSNR of the RGB pictures in 0..1, over 100 dB: a wrong colour costs the more the fewer others there are, so
    that boldness pays where it is right. Levels off towards 40 dB: an error of 1e-4 counts in addition."""
    return jnp.log10(((rgb - rgb_target) ** 2).mean((1, 2, 3)) + 1e-4) / 10


def skin(
    pred: Float[Array, "b h w 2"], target: Float[Array, "b h w 2"], rgb_target: Float[Array, "b h w 3"]
) -> Float[Array, " b"]:
    """Distance of chroma (ab/110) where the true colour looks like skin (`metrics.is_skin`), summed, over all pixels: a face
    that is off costs the more the larger it is. rgb_target in 0..1."""
    off = jnp.sqrt(((pred - target) ** 2).sum(-1) + 1e-6)
    return (off * metrics.is_skin(rgb_target)).mean((1, 2))


def mean(values: Float[Array, " b"], mask: Float[Array, " b"]) -> Float[Array, ""]:
    """Mean over the pictures whose mask is 1; 0 where there are none."""
    return (values * mask).sum() / jnp.maximum(mask.sum(), 1.0)


def palette(logits: Float[Array, "b h w n"], target: Float[Array, "b _ _ 2"], step: int = 4) -> Float[Array, " b"]:
    """Cross-entropy of a `unet.Palette` with the bins of the true chroma, mean over its pixels.

    step: from one of its pixels to the next, in pixels of the target.
    """
    true = bins.index(target[:, ::step, ::step] * metrics.CHROMA_SCALE)
    return optax.softmax_cross_entropy_with_integer_labels(logits, true).mean((1, 2))


def rare_weights(table: Float[Array, "side side"], target: Float[Array, "*b h w 2"]) -> Float[Array, "*b h w"]:
    """Weight of each pixel by its true colour: `table` of `bins.rarity`, between the four nearest bins (soft, bilinear)."""
    places = target * (metrics.CHROMA_SCALE / bins.STEP) + bins.SIDE // 2
    return map_coordinates(table, [places[..., 0], places[..., 1]], order=1, mode="nearest")


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What a prediction costs beside the truth: weighted L1, and the other terms that are asked for.

    weights: of the terms, {"l1", "delta_e", "psnr", "perceptual", "colourfulness", "skin", "hints"};
    rarity in 0..1: how far L1 counts
    rare colours more. frozen: the arrays that the terms need and that are not trained, to be passed to `__call__`, so that no
    program has them compiled into it.
    """

    weights: dict[str, float]
    rarity: float
    frozen: dict[str, Any]
    distance: Callable[..., jax.Array] | None = None

    def __call__(
        self,
        frozen: dict[str, Any],
        luma: Float[Array, "b h w 1"],
        pred: Float[Array, "b h w 2"],
        target: Float[Array, "b h w 2"],
        hints: Float[Array, "b h w 3"] | None = None,
    ) -> tuple[Float[Array, " b"], Terms]:
        """(the weighted sum, the other terms by name, those that are asked for); one value per picture."""
        if self.rarity:
            weight = 1 - self.rarity + self.rarity * rare_weights(frozen["rarity"], target)
            total = self.weights["l1"] * (jnp.abs(pred - target).mean(-1) * weight).mean((1, 2))
        else:
            total = self.weights["l1"] * l1(pred, target)
        terms = {}
        if self.weights["delta_e"]:
            terms["delta_e"] = delta_e(luma, pred, target)
        rgb, rgb_target = (color.lab_to_rgb(metrics.to_lab(luma, chroma)) for chroma in (pred, target))  # dropped if unused
        if self.weights["psnr"]:
            terms["psnr"] = psnr(rgb, rgb_target)
        if self.weights["colourfulness"]:
            terms["colourfulness"] = colourfulness(rgb, rgb_target)
        if self.weights["skin"]:
            terms["skin"] = skin(pred, target, rgb_target)
        if self.distance is not None:
            terms["perceptual"] = self.distance(frozen["perceptual"], rgb, rgb_target)
        if hints is not None and self.weights["hints"]:
            terms["hints"] = l1_at_hints(pred, target, hints)
        return total + sum(self.weights[name] * term for name, term in terms.items()), terms


def reconstruction(config: Any, ab_counts: np.ndarray) -> Reconstruction:
    """What `config.loss` describes. ab_counts: pixels of the training photographs by colour bin, for `loss.rarity`.

    Raises ValueError or OSError where the weights of the perceptual term are not there.
    """
    loss, frozen, distance = config.loss, {}, None
    if loss.rarity:
        frozen["rarity"] = jnp.asarray(bins.rarity(ab_counts))
    if loss.perceptual:
        if loss.perceptual_net == "resnet18":
            network = perceptual.resnet18(loss.perceptual_weights or config.pretrained or "torchvision")
        else:
            network = perceptual.lpips(loss.perceptual_net, loss.perceptual_weights or config.lpips_weights)
        frozen["perceptual"], distance = network.weights, network.distance
    weights = {name: loss[name] for name in ("l1", "delta_e", "psnr", "perceptual", "colourfulness", "skin", "hints")}
    return Reconstruction(weights, loss.rarity, frozen, distance)


@dataclass(frozen=True)
class Adversarial:
    """How the two players of adversarial training are paid, from the discriminator's logits of one picture's patches.

    discriminator: (logits, is_true) -> cost of each patch. generator: logits of its picture -> cost of each patch.
    middle: a patch with a logit above it is called true; where the best discriminator stands that sees no difference.
    """

    discriminator: Callable[[jax.Array, bool], jax.Array]
    generator: Callable[[jax.Array], jax.Array]
    middle: float = 0.0


def bce(smoothing: float) -> Adversarial:
    """Binary cross-entropy, the generator's non-saturating (Goodfellow et al. 2014); true patches are labelled 1 - smoothing
    instead of 1 (one-sided label smoothing, Salimans et al. 2016)."""

    def discriminator(logits: jax.Array, is_true: bool) -> jax.Array:
        if is_true:
            return (1 - smoothing) * jax.nn.softplus(-logits) + smoothing * jax.nn.softplus(logits)
        return jax.nn.softplus(logits)

    return Adversarial(discriminator, lambda logits: jax.nn.softplus(-logits), math.log((1 - smoothing) / (1 + smoothing)))


def hinge() -> Adversarial:
    """Hinge loss (Lim and Ye 2017; Miyato et al. 2018)."""
    return Adversarial(lambda logits, is_true: jax.nn.relu(1 - logits if is_true else 1 + logits), lambda logits: -logits)


def lsgan() -> Adversarial:
    """Least squares, true = 1 and predicted = 0 (Mao et al. 2017)."""
    return Adversarial(
        lambda logits, is_true: (logits - 1) ** 2 if is_true else logits**2, lambda logits: (logits - 1) ** 2, middle=0.5
    )


ADVERSARIAL: dict[str, Callable[[float], Adversarial]] = {
    "bce": bce,
    "hinge": lambda smoothing: hinge(),
    "lsgan": lambda smoothing: lsgan(),
}


def adversarial(discriminator: Any) -> Adversarial:
    """What `config.discriminator` names. Raises ValueError, listing what is legal, for unknown names."""
    if discriminator.loss not in ADVERSARIAL:
        raise ValueError(f"discriminator.loss={discriminator.loss!r} is unknown; legal are {', '.join(ADVERSARIAL)}")
    return ADVERSARIAL[discriminator.loss](discriminator.label_smoothing)
