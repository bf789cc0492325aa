"""Colour profiles: pixels of any ICC profile to sRGB, at 8 and at 16 bits, by Little CMS."""

import io

import numpy as np
from PIL import Image, ImageCms

from colorjax.photos.strips import by_rows

_DATE = slice(24, 36)  # of an ICC header: when the profile was made
_SPACES = {"GRAY": "gray", "RGB ": "rgb", "CMYK": "cmyk"}
_MODES = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK", "Lab ": "LAB"}


def _srgb() -> bytes:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_DATE] = bytes.fromhex("07e6 0001 0001 0000 0000 0000")  # a fixed day: the same picture gives the same bytes
    return bytes(profile)


SRGB = _srgb()


def _is_srgb(profile: bytes) -> bool:
    return len(profile) == len(SRGB) and profile[36:] == SRGB[36:]


def doubt(profile: bytes | None, mode: str) -> str:
    """Why a profile cannot be honoured for pixels of Pillow's mode, in words; "" where it can, or where there is none."""
    if not profile:
        return ""
    grey = mode in ("1", "L", "LA", "La") or mode.startswith(("I", "F"))
    fits = ("GRAY", "RGB ") if grey else {"CMYK": ("CMYK",), "LAB": ("Lab ",)}.get(mode, ("RGB ",))
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if (space := source.profile.xcolor_space) not in fits:
            return f"of other channels ({space.strip()})"
        ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), _MODES[space], "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # its head may be sound, and its tables not
        return "damaged"
    return ""


def to_srgb(picture: Image.Image) -> Image.Image:
    """8-bit RGB pixels in sRGB; an embedded profile is honoured, a damaged one ignored."""
    profile = picture.info.get("icc_profile")
    if picture.mode in ("P", "PA", "RGBA", "RGBa", "LA", "La") or "transparency" in picture.info:
        grey = picture.mode in ("LA", "La")
        picture = picture.convert("RGBA").convert("RGB")  # in two steps: Pillow warns where transparency is dropped at once
        picture = picture.getchannel(0) if grey else picture
    picture = picture.convert("RGB") if picture.mode == "YCbCr" else picture
    if profile and not _is_srgb(profile) and picture.mode in ("1", "L", "RGB", "CMYK", "LAB"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if picture.mode in ("1", "L"):
                picture = picture.convert("RGB" if source.profile.xcolor_space == "RGB " else "L")
            return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def deep_to_srgb(pixels: np.ndarray, profile: bytes) -> np.ndarray:
    """uint16 or uint8 pixels (H, W) grey, (H, W, 3) RGB or (H, W, 4) CMYK (no ink = 0) -> sRGB, (H, W) or (H, W, 3).

    Without a profile, or with a damaged one, RGB and grey stay as they are and CMYK is taken as ideal inks.
    """
    import imagecodecs

    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    space = _SPACES.get(profile[16:20].decode("latin-1")) if len(profile) > 128 else None
    if space and not _is_srgb(profile) and channels in ((4,) if space == "cmyk" else (1, 3) if space == "rgb" else (1,)):
        try:
            return _transformed(pixels, profile, space)
        except (imagecodecs.CmsError, ValueError, TypeError):
            pass
    if channels == 4:
        top = np.iinfo(pixels.dtype).max

        def inks(rows: np.ndarray) -> np.ndarray:
            left = top - rows.astype(np.uint32)
            return left[..., :3] * left[..., 3:] // top

        return by_rows(inks, pixels, np.empty((*pixels.shape[:2], 3), pixels.dtype))
    return pixels


def _transformed(pixels: np.ndarray, profile: bytes, space: str) -> np.ndarray:
    """By Little CMS without its coarse tables; in place where there is room."""
    import imagecodecs

    def transform(rows: np.ndarray) -> np.ndarray:
        rows = np.repeat(rows[..., None], 3, axis=-1) if space == "rgb" and rows.ndim == 2 else rows
        flags = imagecodecs.CMS.FLAGS.NOOPTIMIZE
        return imagecodecs.cms_transform(
            np.ascontiguousarray(rows), profile, SRGB, colorspace=space, outcolorspace="rgb", flags=flags
        )

    in_place = pixels.shape[2:] == (3,) and pixels.flags.writeable
    return by_rows(transform, pixels, pixels if in_place else np.empty((*pixels.shape[:2], 3), pixels.dtype))
