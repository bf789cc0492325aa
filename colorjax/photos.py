"""Photo files in and out: orientation, colour profile, bit depth, alpha, and writes that never leave half a file."""

import io
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
# Orientation, and the tags of a TIFF that say how its pixels, profile and XMP lie in the file.
_PIXEL_TAGS = {254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 296, 317, 320, 322, 323, 324}
_PIXEL_TAGS |= {325, 338, 339, 347, 700, 34675}
_IFD_TAGS = {0x8769, 0x8825}  # Exif and GPS: blocks of tags of their own
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")  # other decoders are not tried, whatever a file claims to be
_OWN_COPY = ".colorized"
_SAVE_OPTIONS = {
    "JPEG": {"quality": 95, "subsampling": 0},  # 4:4:4: chroma is what we add
    "WEBP": {"quality": 95, "method": 4},
    "PNG": {"compress_level": 4},
    "TIFF": {"compression": "tiff_deflate"},
    "BMP": {},
}


class PhotoError(ValueError):
    """A file that cannot be used as a photograph; the message is the reason, in a few words."""


@dataclass(frozen=True)
class Photo:
    """A photograph as read: upright pixels and what must come along when its coloured copy is written.

    image: (H, W) or (H, W, 3), uint8 or uint16, sRGB-encoded.
    alpha: (H, W) uint8 or None.
    file_format: Pillow's name of the format, as "JPEG".
    exif: EXIF block with the orientation reset, or b"".
    dpi: resolution as stored, or None.
    """

    image: np.ndarray
    alpha: np.ndarray | None
    file_format: str
    exif: bytes
    dpi: tuple[float, float] | None


def find(paths: Sequence[str | os.PathLike]) -> Iterator[tuple[Path, Path]]:
    """Every photograph under `paths`, files as named and folders recursively in sorted order, as (root, path).

    Hidden files and copies that colorjax made (NAME.colorized.jpg) are passed over in folders.
    `path.relative_to(root)` is where a mirrored copy belongs. Raises FileNotFoundError for a path that does not exist.
    """
    for given in map(Path, paths):
        if given.is_dir():
            for path in sorted(given.rglob("*")):
                hidden = path.name.startswith(".") or path.stem.endswith(_OWN_COPY)
                if (
                    path.suffix.lower() in SUFFIXES and not hidden and not path.is_dir()
                ):  # a dangling link is to be named, not passed over
                    yield given, path
        elif given.exists():
            yield given.parent, given
        else:
            raise FileNotFoundError(f"{given}: no such file or folder")


def _opened(source: str | os.PathLike | bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_FORMATS)
    except FileNotFoundError:
        raise PhotoError("the file is not there") from None
    except IsADirectoryError:
        raise PhotoError("a folder, not a file") from None
    except PermissionError:
        raise PhotoError("no permission to read it") from None
    except Image.DecompressionBombError as error:
        raise PhotoError(f"declares too many pixels to decode safely ({error})") from None
    except Image.UnidentifiedImageError:
        raise PhotoError("not a picture, or of an unknown format") from None
    except Exception as error:  # Pillow's plugins raise what they like on damaged headers
        raise PhotoError(f"cannot be opened ({type(error).__name__}: {error})") from None


def _upright(picture: Image.Image) -> Image.Image:
    try:
        picture.load()
    except Image.DecompressionBombError:
        raise PhotoError(f"declares {picture.width}x{picture.height} pixels, too many to decode safely") from None
    except Exception as error:  # truncated or damaged data surfaces here, in the plugin's own words
        raise PhotoError(f"cannot be decoded ({type(error).__name__}: {error})") from None
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # a damaged EXIF block says nothing of the orientation, and must not cost the picture
        return picture


def _to_srgb(picture: Image.Image) -> Image.Image:
    """RGB pixels in sRGB; an embedded profile is honoured, a damaged one ignored."""
    profile = picture.info.get("icc_profile")
    if picture.mode in ("P", "PA", "RGBA") or "transparency" in picture.info:
        picture = picture.convert("RGBA").convert("RGB")  # in two steps: Pillow warns where transparency is dropped at once
    if profile and picture.mode in ("L", "RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return picture.convert("RGB")


def _deep_grey(picture: Image.Image) -> np.ndarray:
    """Pixels of Pillow's 16-bit, 32-bit and float grey modes as uint16 (H, W)."""
    pixels = np.asarray(picture)
    if pixels.dtype == np.uint16:
        return pixels
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = np.clip(np.nan_to_num(pixels), 0, 65535)
        pixels = pixels * (65535 if pixels.max() <= 1 else 1)
    return np.clip(pixels, 0, 65535).astype(np.uint16)


def to_u8(image: np.ndarray) -> np.ndarray:
    """uint16 levels, any shape -> the nearest of 8 bits."""
    return ((image.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def read_rgb(source: str | os.PathLike | bytes, at_least: int | None = None) -> np.ndarray:
    """Any photo file, or its bytes -> upright sRGB pixels (H, W, 3) uint8; see `read_reduced`."""
    return read_reduced(source, at_least)[0]


def read_reduced(source: str | os.PathLike | bytes, at_least: int | None) -> tuple[np.ndarray, int]:
    """Any photo file, or its bytes -> (upright sRGB pixels (H, W, 3) uint8, short side of the file's own pixels).

    `at_least`: a JPEG may be decoded at a reduced scale as long as its short side keeps this many pixels (much faster).
    Raises PhotoError where the file is missing, unreadable or damaged.
    """
    with _opened(source) as picture:
        short_side = min(picture.size)
        if at_least is not None and picture.format == "JPEG":
            picture.draft("RGB" if picture.mode != "CMYK" else None, (at_least, at_least))
        picture = _upright(picture)
        if picture.mode.startswith(("I", "F")):
            grey = to_u8(_deep_grey(picture))
            return np.repeat(grey[..., None], 3, axis=-1), short_side
        return np.asarray(_to_srgb(picture)), short_side


def read(path: str | os.PathLike) -> Photo:
    """A photo file -> `Photo`. Raises PhotoError where the file is missing, unreadable or damaged."""
    with _opened(path) as opened:
        picture = _upright(opened)
        file_format, dpi, exif = opened.format, _dpi(opened), _exif(opened)
        alpha = None
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
        if picture.mode.startswith(("I", "F")):
            image = _deep_grey(picture)
        elif picture.mode in ("1", "L", "LA") and not picture.info.get("icc_profile"):
            image = np.asarray(picture.convert("L"))
        else:
            image = np.asarray(_to_srgb(picture))
    return Photo(image, alpha, file_format or "PNG", exif, dpi)


def _dpi(picture: Image.Image) -> tuple[float, float] | None:
    """The resolution, where it is two sensible numbers."""
    try:
        x, y = map(float, picture.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 65536 and 0 < y < 65536 else None


def _exif(picture: Image.Image) -> bytes:
    """The EXIF block without what describes the pixels as they were; empty where there is none or it is damaged."""
    try:
        exif, kept = picture.getexif(), Image.Exif()
        for tag in exif.keys() - _PIXEL_TAGS - _IFD_TAGS:
            kept[tag] = exif[tag]
        for tag in _IFD_TAGS & exif.keys():
            kept.get_ifd(tag).update(exif.get_ifd(tag))
        return kept.tobytes() if len(kept) else b""
    except Exception:
        return b""


def write(path: str | os.PathLike, image: np.ndarray, like: Photo | None = None) -> None:
    """Write pixels (H, W, 3) uint8 to `path` in the format its suffix names; atomic, with the metadata of `like`.

    The sRGB profile is embedded. Raises PhotoError for a suffix that is not one of `SUFFIXES`.
    """
    path = Path(path)
    file_format = Image.registered_extensions().get(path.suffix.lower())
    if file_format not in _SAVE_OPTIONS:
        raise PhotoError(f"cannot write {path.suffix!r}; legal suffixes are {', '.join(SUFFIXES)}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise TypeError(f"image has dtype {image.dtype} and shape {image.shape}; it must be uint8 (H, W, 3)")
    picture = Image.fromarray(image)
    options: dict[str, Any] = dict(_SAVE_OPTIONS[file_format])
    if file_format != "BMP":
        options["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if like is not None:
        if like.alpha is not None and file_format in ("PNG", "WEBP", "TIFF"):
            picture.putalpha(Image.fromarray(like.alpha))
        if like.exif and file_format != "BMP":
            options["exif"] = like.exif
        if like.dpi is not None:
            options["dpi"] = like.dpi
    with atomic(path) as stream:
        picture.save(stream, file_format, **options)


class atomic:
    """A binary stream that becomes `path` only when its block ends well: readers never see half a file."""

    def __init__(self, path: str | os.PathLike):
        self._path = Path(path)

    def __enter__(self) -> Any:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self._path.with_name(f".{uuid.uuid4().hex}.part")
        self._stream = open(self._temporary, "xb")
        return self._stream

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            self._stream.close()
            if kind is None:
                os.replace(self._temporary, self._path)
        finally:
            self._temporary.unlink(missing_ok=True)
