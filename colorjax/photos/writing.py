"""Photo files out: the copy's format, profile and metadata, and writes that never leave half a file."""

import contextlib
import io
import os
import re
import struct
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from colorjax.photos import metadata, parts, profiles, strips
from colorjax.photos.formats import beside, directories, successors
from colorjax.photos.formats.pictures import Level, Picture
from colorjax.photos.kinds import know_heif
from colorjax.photos.metadata import Metadata, Photo, PhotoError
from colorjax.photos.naming import BARE, file_format
from colorjax.photos.reading import to_u8

LOSSY = ("JPEG", "WEBP", "AVIF", "HEIF", "JXL")
_DEEP = ("PNG", "TIFF", "JPEG2000", "JXL")
_WITH_ALPHA = (*_DEEP, "WEBP", "AVIF", "HEIF")
_WITH_IPTC = ("JPEG", "PNG", "TIFF", "JPEG2000")
_PLAIN = Picture(0, Level((0, 0)))
_XMP_LIMIT = 65502  # of a JPEG's segment


def write(path: str | os.PathLike, image: np.ndarray, like: Photo | None = None, quality: int = 95) -> None:
    """Write pixels (H, W, 3), uint8 or uint16, to `path` in the format its suffix names; atomic, with the metadata of `like`.

    The sRGB profile is embedded. 16 bits and alpha are kept where the format has them. Raises PhotoError for a suffix that
    names none, TypeError for other pixels.
    """
    name = file_format(path)
    _check(image)
    with atomic(path) as stream:
        encode(stream, name, [(image, like)], quality)


def encode(stream: Any, name: str, pages: Iterable[tuple[np.ndarray, Photo | None]], quality: int = 95) -> None:
    """Write (image, like) of each page into a binary stream, in Pillow's format `name`; see `write`.

    `quality`: 1 to 100, of JPEG, lossy WebP, AVIF and HEIC. Pages are taken one at a time; only TIFF has more than one.
    """
    if name == "TIFF":
        return _encode_tiff(stream, pages)
    image, like = next(iter(pages))
    _check(image)
    alpha = like.alpha if like is not None and name in _WITH_ALPHA else None
    about = Metadata() if like is None else like.metadata
    if image.dtype == np.uint16 and name == "PNG":
        return _encode_deep_png(stream, image, alpha, about)
    if name in ("JPEG2000", "JXL"):
        pixels = image if alpha is None else np.dstack([image, _like(alpha, image)])
        stream.write(successors.encoded(name, pixels, about, None if like is None or like.lossless else quality))
        return None
    if name == "HEIF":
        know_heif()
    picture = Image.fromarray(to_u8(image))
    if alpha is not None:
        picture.putalpha(Image.fromarray(to_u8(alpha)))
    lossless = like is not None and like.lossless and name == "WEBP"
    picture.save(stream, name, **_options(name, about, quality, lossless))


def not_carried(name: str, photo: Photo) -> tuple[str, ...]:
    """What of a photo a copy in Pillow's format `name` has no room for, in words."""
    about, n = photo.metadata, len(photo.stored.smaller) if photo.stored is not None else 0
    lost = {
        "8 of its 16 bits": photo.image.dtype == np.uint16 and name not in _DEEP,
        "its transparency": photo.alpha is not None and name not in _WITH_ALPHA,
        "its EXIF and XMP": bool(about.exif or about.xmp) and name in BARE,
        "its IPTC": bool(about.iptc) and name not in _WITH_IPTC,
        "its Photoshop resources, such as clipping paths": bool(about.photoshop) and name not in ("JPEG", "PNG", "TIFF"),
        "its APP12 or CIFF segment": bool(about.segments) and name != "JPEG",
        f"its {n} smaller versions" if n > 1 else "its smaller version": n > 0 and name != "TIFF",
        "its PNG texts": bool(about.text) and name != "PNG",
        "its JPEG comment": bool(about.comment) and name != "JPEG",
    }
    return tuple(words for words, is_lost in lost.items() if is_lost)


def _check(image: np.ndarray) -> None:
    if image.dtype not in (np.uint8, np.uint16) or image.ndim != 3 or image.shape[-1] != 3:
        raise TypeError(f"image has dtype {image.dtype} and shape {image.shape}; it must be uint8 or uint16 (H, W, 3)")


def _like(alpha: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Alpha in the bits of the pixels."""
    return to_u8(alpha) if image.dtype == np.uint8 else alpha


def _options(name: str, about: Metadata, quality: int, lossless: bool) -> dict[str, Any]:
    """What Pillow is told to save beside the pixels."""
    options: dict[str, Any] = {
        "JPEG": {"quality": quality, "subsampling": 0},  # 4:4:4: chroma is what we add
        "WEBP": {"quality": 80, "lossless": True, "exact": True} if lossless else {"quality": quality, "method": 4},
        "AVIF": {"quality": quality, "subsampling": "4:4:4"},
        "HEIF": {"quality": quality, "chroma": 444},
        "PNG": {"compress_level": 4},
        "BMP": {},
    }[name]
    if about.dpi is not None:
        options["dpi"] = about.dpi
    if name in BARE:
        return options
    options["icc_profile"] = profiles.SRGB
    exif = metadata.exif_with_dpi(about) if about.exif or name not in ("JPEG", "PNG") else b""
    if exif:
        options["exif"] = exif
    if name == "PNG":
        options["pnginfo"] = _png_info(about)
    elif about.xmp:
        options["xmp"] = about.xmp
    if name == "JPEG":
        if len(exif) > 65533:
            raise PhotoError(f"its EXIF of {len(exif)} bytes does not fit into a JPEG; choose another format")
        if len(about.xmp) > _XMP_LIMIT:
            raise PhotoError(f"its XMP of {len(about.xmp)} bytes does not fit into a JPEG; choose another format")
        options["extra"] = _segments(about)
        if about.comment:
            options["comment"] = about.comment
    return options


def _segments(about: Metadata) -> bytes:
    """What Pillow has no words for: Photoshop's image resources, IPTC the first of them, and segments as they were."""
    blocks = [b"Photoshop 3.0\0" + (metadata.resource(about.iptc) if about.iptc else b"")]
    if len(blocks[0]) > 65533:
        raise PhotoError(f"its IPTC of {len(about.iptc)} bytes does not fit into a JPEG; choose another format")
    for number, content, whole in beside.resources(about.photoshop):
        if len(whole) > 65519:
            raise PhotoError(
                f"its Photoshop resource {number} of {len(content)} bytes does not fit into a JPEG; choose another format"
            )
        blocks += [b"Photoshop 3.0\0"] if len(blocks[-1]) + len(whole) > 65533 else []
        blocks[-1] += whole
    found = [(0xED, block) for block in blocks if len(block) > 14]
    found += [(0xE0 + int(name[3:]), data) for name, data in about.segments]
    return b"".join(struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data for marker, data in found)


def _png_info(about: Metadata) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, value in metadata.png_text(about).items():
        try:
            info.add_text(key, value, zip=1000 < len(value) < 2**20)  # Pillow itself unpacks no larger ones
        except (ValueError, UnicodeError):
            info.add_itxt(key, value)
    if about.xmp:
        info.add_itxt("XML:com.adobe.xmp", about.xmp.decode("utf-8", "replace"))
    return info


def _encode_deep_png(stream: Any, image: np.ndarray, alpha: np.ndarray | None, about: Metadata) -> None:
    """imagecodecs' pixels, with the chunks that Pillow writes beside its own: Pillow has no RGB of 16 bits."""
    import imagecodecs

    pixels = image if alpha is None else np.dstack([image, alpha])
    chunks = _chunks(imagecodecs.png_encode(pixels, level=4))
    beside = io.BytesIO()
    Image.new("RGB", (1, 1)).save(beside, "PNG", **_options("PNG", about, 0, False))
    ours = [chunk for chunk in _chunks(beside.getvalue()) if chunk[4:8] not in (b"IHDR", b"IDAT", b"IEND")]
    stream.write(b"\x89PNG\r\n\x1a\n" + chunks[0])
    stream.writelines(ours)
    stream.writelines(chunk for chunk in chunks if chunk[4:8] in (b"IDAT", b"IEND"))


def _chunks(png: bytes) -> list[memoryview]:
    view = memoryview(png)
    return [view[place - 8 : place + size + 4] for _, place, size in parts.png_chunks(io.BytesIO(png))]


def _encode_tiff(stream: Any, pages: Iterable[tuple[np.ndarray, Photo | None]]) -> None:
    """Deflate with the horizontal predictor; Exif and GPS blocks follow the pixels, for tifffile writes none.

    Tiles, and the smaller versions of a picture, are as in its source; the versions are made of the picture as it is now.
    """
    import tifffile

    more = []
    with tifffile.TiffWriter(stream, bigtiff=False, byteorder="<") as writer:
        for image, like in pages:
            _check(image)
            about, alpha = (Metadata(), None) if like is None else (like.metadata, like.alpha)
            if alpha is not None:
                image = np.dstack([image, _like(alpha, image)])
            stored = like.stored if like is not None and like.stored is not None else _PLAIN
            below = len(stored.smaller) if stored.below else 0
            _write_page(writer, image, stored.own, about, alpha is not None, subifds=below or None)
            for level in stored.smaller:
                image = strips.reduced(image, level.shape)
                _write_page(writer, image, level, Metadata(), alpha is not None, subfiletype=1)
            more.append(metadata.tiff_tags(about))
            more.extend({} for _ in range(len(stored.smaller) - below))
    if any(more):
        _append_tags(stream, more)


def _write_page(writer: Any, image: np.ndarray, level: Level, about: Metadata, with_alpha: bool, **place: Any) -> None:
    is_tiled = level.tile is not None and not any(side % 16 for side in level.tile)  # others are against the specification
    writer.write(
        image,
        photometric="rgb",
        extrasamples=["unassalpha"] if with_alpha else None,
        compression="zlib",
        compressionargs={"level": 6},
        predictor=True,
        tile=level.tile if is_tiled else None,
        rowsperstrip=None if is_tiled else max(1, 2**18 // image[0].nbytes),
        iccprofile=profiles.SRGB,
        resolution=about.dpi,
        resolutionunit="inch" if about.dpi else None,
        metadata=None,
        software=False,
        contiguous=False,
        **place,
    )


def _append_tags(stream: Any, pages: list[directories.Directory]) -> None:
    """More tags for each page of a little-endian TIFF: its directory is written anew, at the end."""
    link = 4
    for tags in pages:
        stream.seek(link)
        stream.seek(struct.unpack("<I", stream.read(4))[0])
        entries = stream.read(12 * struct.unpack("<H", stream.read(2))[0])
        following = stream.read(4)
        end = stream.seek(0, os.SEEK_END)
        end = stream.seek(end + end % 2)
        stream.write(directories.written(tags, end, "<", entries, following))
        stream.seek(link)
        stream.write(struct.pack("<I", end))
        stream.seek(end)
        link = end + 2 + 12 * struct.unpack("<H", stream.read(2))[0]


def sweep(folder: Path, older_than_s: float = 3600.0) -> None:
    """Remove what an `atomic` that was killed has left in a folder."""
    for path in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if re.fullmatch(r"\.[0-9a-f]{32}\.part", path.name) and time.time() - path.stat().st_mtime > older_than_s:
                path.unlink()


class atomic:
    """A binary stream that becomes `path` only when its block ends well: readers never see half a file."""

    def __init__(self, path: str | os.PathLike):
        self._path = Path(path)

    def __enter__(self) -> Any:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self._path.with_name(f".{uuid.uuid4().hex}.part")
        self._stream = open(self._temporary, "x+b")
        return self._stream

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            if kind is None:
                self._stream.flush()
                os.fsync(self._stream.fileno())  # or else a name may outlive its content
            self._stream.close()
            if kind is None:
                os.replace(self._temporary, self._path)
        finally:
            with contextlib.suppress(OSError):  # a full disk says so at each try to empty the buffer
                self._stream.close()
            self._temporary.unlink(missing_ok=True)
