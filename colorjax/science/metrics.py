"""How good a prediction is: one value per picture, from luma and the predicted and true chroma.

Reduction over pictures happens in `evaluators`, nowhere else.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from colorjax.science import color

CHROMA_SCALE = 110.0  # Lab units of a chroma of 1
AB_SCALE = 128.0  # of the published figures: ab/128 lies in -1..1
WARM_B = 2.0  # a pixel is warm where its b* is above this: yellow, orange, brown, most skin; greys and blues are not


def to_lab(luma: Float[Array, "*b h w 1"], chroma: Float[Array, "*b h w 2"]) -> Float[Array, "*b h w 3"]:
    """Network units -> CIELAB."""
    return jnp.concatenate([luma * 50 + 50, chroma * CHROMA_SCALE], axis=-1)


def l1(pred: Float[Array, "b h w 2"], target: Float[Array, "b h w 2"]) -> Float[Array, " b"]:
    """Mean absolute error of a* and b*, each over 128."""
    return jnp.abs(pred - target).mean((1, 2, 3)) * (CHROMA_SCALE / AB_SCALE)


def at_points(
    luma: Float[Array, "b h w 1"], pred: Float[Array, "b h w 2"], wanted: Float[Array, "b n 2"], points: Int[Array, "b n 2"]
) -> Float[Array, "b n"]:
    """CIEDE2000 between the prediction and a wanted chroma at each point (row, column), at the lightness there."""
    rows, columns = points[..., 0], points[..., 1]
    luma, pred = (jax.vmap(lambda picture, y, x: picture[y, x])(batch, rows, columns) for batch in (luma, pred))
    return color.delta_e_2000(to_lab(luma, pred), to_lab(luma, wanted))


def is_skin(rgb: Float[Array, "*b h w 3"]) -> Bool[Array, "*b h w"]:
    """Where colours look like skin by their chroma alone; rgb in 0..1.

    Cb is in 77..127 and Cr in 133..173, levels of ITU-R BT.601 (Chai and Ngan: Face segmentation using skin-color map in
    videophone applications, 1999). It is a rough rule: it takes wood, sand, brick and fur as well, and misses skin in coloured
    light. It does not ask for lightness: rules in RGB that do miss dark skin.
    """
    cb = 128 + rgb @ jnp.array([-37.797, -74.203, 112.0])
    cr = 128 + rgb @ jnp.array([112.0, -93.786, -18.214])
    return (cb >= 77) & (cb <= 127) & (cr >= 133) & (cr <= 173)


def colourfulness(rgb: Float[Array, "b h w 3"], absolute: bool = False) -> Float[Array, " b"]:
    """Hasler and Süsstrunk's measure (Measuring colourfulness in natural images, 2003); grey = 0, vivid = 100.

    rgb in 0..1. Signed opponent channels, as published; absolute: their absolute values, as DDColor and CT2 evaluate (a
    tenth lower on 385 photographs). Gradients are finite, those of grey pictures too.
    """
    red, green, blue = (rgb[..., i] * 255 for i in range(3))
    rg, yb = red - green, (red + green) / 2 - blue
    if absolute:
        rg, yb = jnp.abs(rg), jnp.abs(yb)
    spread = color.root(rg.var((1, 2)) + yb.var((1, 2)))
    return spread + 0.3 * color.root(rg.mean((1, 2)) ** 2 + yb.mean((1, 2)) ** 2)


def compare(
    luma: Float[Array, "b h w 1"], pred: Float[Array, "b h w 2"], target: Float[Array, "b h w 2"]
) -> dict[str, Float[Array, " b"]]:
    """Every metric of a batch, in network units (luma, chroma); float32, one value per picture.

    l1: mean |a, b difference| / 128. psnr, ssim: of the RGB pictures in 0..1 (colours outside sRGB clipped); SSIM with an
    11x11 Gaussian of sigma 1.5, mean over the channels. ssim_ab: the same SSIM of a and b over 128, range 2. delta_e: mean
    CIEDE2000. bias_a, bias_b: mean signed error in Lab units. warm: share of pixels whose b* is above WARM_B.
    colourfulness: Hasler-Süsstrunk, also with absolute channels (`_abs`); delta_cf_each: its absolute error. `_target`: the
    same of the truth.
    """
    import dm_pix  # here: no training step needs it, and it brings a testing library

    lab, lab_target = to_lab(luma, pred), to_lab(luma, target)
    rgb, rgb_target = color.lab_to_rgb(lab), color.lab_to_rgb(lab_target)
    ab, ab_target = lab[..., 1:], lab_target[..., 1:]
    bias = (ab - ab_target).mean((1, 2))
    vivid, vivid_target = colourfulness(rgb), colourfulness(rgb_target)
    vivid_abs, vivid_abs_target = colourfulness(rgb, absolute=True), colourfulness(rgb_target, absolute=True)
    return {
        "l1": l1(pred, target),
        "psnr": jnp.minimum(dm_pix.psnr(rgb, rgb_target), 100.0),  # identical pictures would be infinite
        "ssim": dm_pix.ssim(rgb, rgb_target, max_val=1.0),
        "ssim_ab": dm_pix.ssim(ab / AB_SCALE, ab_target / AB_SCALE, max_val=2.0),
        "delta_e": color.delta_e_2000(lab, lab_target).mean((1, 2)),
        "bias_a": bias[:, 0],
        "bias_b": bias[:, 1],
        "warm": (ab[..., 1] > WARM_B).mean((1, 2)),
        "warm_target": (ab_target[..., 1] > WARM_B).mean((1, 2)),
        "colourfulness": vivid,
        "colourfulness_target": vivid_target,
        "colourfulness_abs": vivid_abs,
        "colourfulness_abs_target": vivid_abs_target,
        "delta_cf_each": jnp.abs(vivid - vivid_target),
        "delta_cf_abs_each": jnp.abs(vivid_abs - vivid_abs_target),
    }
