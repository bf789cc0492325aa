"""Upright sRGB pixels of an opened picture: as Pillow decodes them or, where it would lose bits, as `deep` does."""

from typing import Any

import numpy as np
from PIL import Image

from colorjax.photos import profiles
from colorjax.photos.formats import deep, successors
from colorjax.photos.limits import check_tiles
from colorjax.photos.metadata import PhotoError

# What makes each EXIF orientation upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def loaded(picture: Image.Image) -> Image.Image:
    """The picture, decoded and upright. Raises PhotoError."""
    try:
        picture.load()
    except Image.DecompressionBombError:
        raise PhotoError(f"declares {picture.width}x{picture.height} pixels, too many to decode safely", "too large") from None
    except Exception as error:  # truncated or damaged data surfaces here, in the plugin's own words
        raise PhotoError.of("cannot be decoded", error) from None
    turn = _TURNS.get(deep.orientation(picture))
    return picture if turn is None else picture.transpose(turn)


def upright(picture: Any, stream: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """(image, alpha) of an opened picture as `Photo` holds them."""
    stored = successors.stored(picture, stream) or deep.stored(picture, stream)
    if stored is not None:
        return stored
    check_tiles(picture)
    inverted = picture.format == "TIFF" and picture.mode.startswith("I;16") and picture.tag_v2.get(262) == 0
    profile = picture.info.get("icc_profile") or b""
    declared = deep.declared_white(picture.tag_v2) if picture.format == "TIFF" else None
    key = picture.info.get("transparency") if picture.mode.startswith("I;16") else None
    picture = loaded(picture)
    alpha = None
    if picture.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in picture.info:
        alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
    if picture.mode.startswith(("I", "F")):
        grey = deep.sixteen_bits(np.asarray(picture), declared)
        image = profiles.deep_to_srgb(65535 - grey if inverted else grey, profile)
        if key is not None:  # Pillow looks for the colour among 8 bits
            return image, np.where(grey == key, 0, 65535).astype(np.uint16)
        return image, None if alpha is None else alpha.astype(np.uint16) * 257
    if picture.mode in ("1", "L", "LA") and not profile:
        return np.asarray(picture.convert("L")), alpha
    return np.asarray(profiles.to_srgb(picture)), alpha
