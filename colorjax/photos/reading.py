"""Photo files in: upright sRGB pixels of any of them, or a `PhotoError` that says why not."""

import contextlib
import errno
import io
import itertools
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImagePalette

from colorjax.photos import kinds, metadata, pixels, profiles
from colorjax.photos.formats import beside, deep, doubts, levels, pictures, salvage, successors
from colorjax.photos.formats.pictures import Level, Picture, Problem
from colorjax.photos.limits import MAX_PAGES, MAX_PIXELS, check_size, check_webp, limit_in_words
from colorjax.photos.metadata import Photo, PhotoError
from colorjax.photos.strips import by_rows

_Found = tuple[list[Picture], Problem | None]  # in a TIFF


def allow_large(max_pixels: int = MAX_PIXELS) -> None:
    """For a command: Pillow's own limit, of which it warns, is lower."""
    Image.MAX_IMAGE_PIXELS = max_pixels


@contextlib.contextmanager
def _opened(source: str | os.PathLike | bytes, max_pixels: int = MAX_PIXELS) -> Iterator[tuple[Any, Any, _Found]]:
    """(the first picture with its header read, its stream, what is in it). Raises PhotoError."""
    try:
        if not isinstance(source, bytes) and not stat.S_ISREG(mode := os.stat(source).st_mode) and not stat.S_ISDIR(mode):
            raise PhotoError("not a file but a device or a pipe", "not a picture")  # opening it might wait for ever
        stream = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise PhotoError("the file is not there", "missing") from None
    except IsADirectoryError:
        if os.access(source, os.R_OK | os.X_OK):
            raise PhotoError("a folder, not a file", "not a picture") from None
        raise PhotoError("no permission to read this folder", "no permission") from None
    except PermissionError:
        raise PhotoError("no permission to read it", "no permission") from None
    except PhotoError:
        raise
    except (OSError, ValueError) as error:
        problem = PhotoError.of("cannot be opened", error)
        leads_nowhere = getattr(error, "errno", None) in (errno.ENOTDIR, errno.ELOOP)
        problem.kind = "missing" if leads_nowhere else problem.kind
        raise problem from None
    with stream:
        try:
            found = _in_tiff(stream)
            stream = pictures.at(stream, found[0][0].place) if found[0] else stream
            sound, ignored = _mended(stream)
            with _identified(sound, max_pixels) as picture:
                check_size(picture, sound, max_pixels)
                _settle(picture, sound)
                picture.info |= {"ignored": ignored} if ignored else {}
                yield picture, sound, found
        except PhotoError as problem:
            if problem.kind in ("damaged", "not a picture") and kinds.ends_early(stream):
                problem.kind = "truncated"
            raise


def _mended(stream: Any) -> tuple[Any, tuple[str, ...]]:
    """See `beside.mended_png`. Raises PhotoError where the disk does not give what it has."""
    try:
        stream.seek(0)
        return beside.mended_png(stream)
    except (OSError, MemoryError) as error:
        raise PhotoError.of("cannot be opened", error) from None


def _in_tiff(stream: Any) -> _Found:
    try:
        return pictures.pictures(stream, MAX_PAGES) if stream.read(4) in kinds.TIFF_MAGIC else ([], None)
    except OSError:  # of the disk: whoever identifies the file will meet it again
        return [], None


def _identified(stream: Any, max_pixels: int) -> Image.Image:
    head = b""
    try:
        stream.seek(0)
        head = stream.read(64)
        stream.seek(0)
        check_webp(head, max_pixels)
        kinds.check_jpeg(head, stream)
        if head.startswith(kinds.JXL_MAGIC):
            return successors.Jxl(stream)
        if head[:4] == b"MM\0+":  # Pillow misreads these
            return deep.opened(stream)
        return Image.open(stream, formats=kinds.decoders(head))
    except Image.DecompressionBombError as error:  # its words are of another limit
        number = "; ".join([*re.findall(r"\d+", str(error))[:1], limit_in_words(max_pixels)])
        raise PhotoError(f"declares too many pixels to decode safely ({number})", "too large") from None
    except Image.UnidentifiedImageError:
        if head[:4] in kinds.TIFF_MAGIC:
            return deep.opened(stream)
        if not head:
            raise PhotoError("an empty file", "empty") from None
        if head.startswith(b"\xff\xd8\xff"):
            with contextlib.suppress(Image.UnidentifiedImageError):
                if mended := beside.mended_jpeg(stream):
                    return mended
        raise kinds.refusal(head) from None
    except Exception as error:  # Pillow's plugins raise what they like on damaged headers
        raise PhotoError.of("cannot be opened", error) from None


def _settle(picture: Any, stream: Any) -> None:
    """Leave the profile and XMP of this page of a TIFF as bytes: it may call them text, or numbers."""
    if picture.format == "JPEG2000":
        successors.settle(picture, stream)
    if picture.format == "TIFF":  # Pillow keeps the profile of the page before
        for name, tag in (("icc_profile", 34675), ("xmp", 700)):
            value = picture.tag_v2.get(tag)
            value = value.encode("latin-1", "replace") if isinstance(value, str) else value
            picture.info.pop(name, None)
            picture.info |= {name: value} if isinstance(value, bytes) else {}
        colours = picture.tag_v2.get(320, ())
        if picture.mode in ("P", "PA") and max(colours, default=256) < 256:  # Pillow keeps the upper 8 bits of 16
            picture.palette = ImagePalette.raw("RGB;L", bytes(colours))


def to_u8(image: np.ndarray) -> np.ndarray:
    """uint16 levels, any shape -> the nearest of 8 bits; uint8 as it is."""
    if image.dtype == np.uint8 or not image.size:
        return image.astype(np.uint8, copy=False)
    return by_rows(lambda rows: (rows.astype(np.uint32) * 255 + 32767) // 65535, image, np.empty(image.shape, np.uint8))


def read_rgb(source: str | os.PathLike | bytes, at_least: int | None = None) -> np.ndarray:
    """Any photo file, or its bytes -> upright sRGB pixels (H, W, 3) uint8; see `read_reduced`."""
    return read_reduced(source, at_least)[0]


def read_reduced(
    source: str | os.PathLike | bytes, at_least: int | None, max_pixels: int = MAX_PIXELS
) -> tuple[np.ndarray, int, tuple[str, ...]]:
    """Any photo file, or its bytes -> (upright sRGB pixels (H, W, 3) uint8, short side of the file's own pixels, unusual).

    `unusual`: which of UNUSUAL it is.
    `at_least`: a JPEG may be decoded at a reduced scale as long as its short side keeps this many pixels (much faster).
    Raises PhotoError where the file is missing, unreadable or damaged.
    """
    with _opened(source, max_pixels) as (picture, stream, _):
        short_side, cmyk = min(picture.size), picture.mode == "CMYK"
        try:
            if at_least is not None and picture.format == "JPEG":
                picture.draft("RGB" if picture.mode != "CMYK" else None, (at_least, at_least))
                image = np.asarray(profiles.to_srgb(pixels.loaded(picture)))
            else:
                image = pixels.upright(picture, stream)[0]
            is_deep = image.dtype == np.uint16 or kinds.bits(picture, stream) > 8
        except Exception as error:
            raise PhotoError.of("cannot be decoded", error) from None
        renamed = not isinstance(source, bytes) and kinds.has_another_suffix(picture, source)
        unusual = tuple(itertools.compress(kinds.UNUSUAL, (cmyk, is_deep, renamed)))
        image = to_u8(image)
        return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1), short_side, unusual


def read(path: str | os.PathLike | bytes, max_pixels: int = MAX_PIXELS) -> Photo:
    """The first page of a photo file -> `Photo`. Raises PhotoError where it is missing, unreadable or damaged."""
    reader = pages(path, max_pixels)
    try:
        return next(reader)
    finally:
        reader.close()


def measure(path: str | os.PathLike | bytes, max_pixels: int = MAX_PIXELS) -> int:
    """How many pixels the first page of a photo file declares, without decoding it. Raises PhotoError."""
    with _opened(path, max_pixels) as (picture, *_):
        return picture.size[0] * picture.size[1]


def pages(
    path: str | os.PathLike | bytes,
    max_pixels: int = MAX_PIXELS,
    left_out: list[str] | None = None,
    accept_truncated: bool = False,
    compare: bool = False,
) -> Iterator[Photo]:
    """Each page of a photo file in its order, one at a time. Raises PhotoError for the first that is damaged.

    `max_pixels`: a page that declares more is refused before it is decoded.
    `left_out`: pages of a kind that is not supported are named here and passed over, unless it is every one; None: they raise.
    `accept_truncated`: of pages that are cut short what is left is read, and so it is said in their warnings.
    `compare`: another reader looks at each page, and their warnings say where it sees another picture.
    """
    with _opened(path, max_pixels) as (first, stream, (found, problem)):
        if problem and not (accept_truncated and problem[1] == "truncated"):
            raise PhotoError(*problem)
        reasons, whole = [], bytearray()
        for index, stored in enumerate(found or [None]):
            page = _Page(index, len(found) or 1, stored, accept_truncated, whole if compare else None)
            try:
                photo = page.read(first, stream, max_pixels)
            except PhotoError as reason:
                if left_out is None or reason.kind != "not supported" or len(found) < 2:
                    raise
                reasons.append(reason)
                left_out.append(str(reason))
                continue
            if photo.number == photo.pages:
                whole.clear()  # it may be large
            yield (
                photo
                if not problem
                else replace(photo, truncated=True, warnings=(*photo.warnings, f"cut short ({problem[0]})"))
            )
        if found and len(reasons) == len(found):
            raise reasons[0]


@dataclass(frozen=True)
class _Page:
    """One page that is to be read: where it is, and how."""

    index: int
    count: int
    stored: Picture | None
    accept_truncated: bool
    compare: bytearray | None  # see `doubts.differs`

    def read(self, first: Any, stream: Any, max_pixels: int) -> Photo:
        """It; `first` is the picture of the first, opened. Raises PhotoError."""
        stream = pictures.at(stream, self.stored.place) if self.index else stream
        try:
            if self.index == 0:
                return self._strictly(first, stream)
            with self._opened(stream, max_pixels) as picture:
                return self._strictly(picture, stream)
        except Exception as error:
            reason = PhotoError.of("cannot be decoded", error)
            if self.accept_truncated and reason.kind in ("truncated", "damaged"):
                with contextlib.suppress(Exception), self._opened(stream, max_pixels) as picture, salvage.tolerant():
                    return self._what_is_left(picture, stream, reason)
            words = f"page {self.index + 1} of {self.count}: {reason}" if self.count > 1 else str(reason)
            raise PhotoError(words, reason.kind) from None

    @contextlib.contextmanager
    def _opened(self, stream: Any, max_pixels: int) -> Iterator[Any]:
        with _identified(stream, max_pixels) as picture:
            check_size(picture, stream, max_pixels)
            _settle(picture, stream)
            yield picture

    def _level(self, stream: Any, level: Level, whole: np.ndarray) -> np.ndarray:
        stream = pictures.at(stream, level.place)
        with self._opened(stream, whole.shape[0] * whole.shape[1]) as picture:
            return pixels.upright(picture, stream)[0]

    def _strictly(self, picture: Any, stream: Any) -> Photo:
        turn = deep.orientation(picture) if picture.format == "TIFF" else 0  # Pillow forgets that of a TIFF as it decodes it
        found = pixels.upright(picture, stream)
        turn = turn or deep.orientation(picture)
        photo = self._photo(picture, stream, found, turn)
        doubt = "" if self.compare is None else doubts.differs(found, picture, stream, turn, self.compare)
        return replace(photo, warnings=(*photo.warnings, doubt)) if doubt else photo

    def _what_is_left(self, picture: Any, stream: Any, reason: PhotoError) -> Photo:
        turn = deep.orientation(picture) if picture.format == "TIFF" else 0
        found = deep.stored(picture, stream, lenient=True) or pixels.upright(picture, stream)
        photo = self._photo(picture, stream, found, turn)
        words = f"only {salvage.rows_left(photo.image)} of its {len(photo.image)} rows are left: {reason}"
        return replace(photo, truncated=True, warnings=(*photo.warnings, words))

    def _photo(self, picture: Any, stream: Any, found: deep.Pixels, turn: int) -> Photo:
        image, alpha = found
        about, notes = metadata.read(picture, stream)
        notes = (*picture.info.get("ignored", ()), *notes, *beside.left_behind(picture, stream))
        notes += deep.channels_left(picture, alpha)
        frames = getattr(picture, "n_frames", 1) if picture.format != "TIFF" else 1
        if frames > 1:
            of = "animation" if picture.format in ("WEBP", "PNG", "AVIF") else "pictures in it"
            notes = (*notes, f"frame{f's 2 to {frames}' if frames > 2 else ' 2'} of the {of}")
        if (bits := kinds.bits(picture, stream)) > 8 and image.dtype == np.uint8:
            notes = (*notes, f"{bits - 8} of its {bits} bits")
        file_format = "JPEG" if picture.format == "MPO" else picture.format or "PNG"
        lossless = (
            file_format in ("PNG", "TIFF", "BMP")
            or picture.info.get("lossless") is True
            or (file_format == "WEBP" and kinds.webp_is_lossless(stream))
        )
        warnings = tuple(filter(None, [doubts.dark(image, picture)]))
        stored = self.stored
        if stored is not None:
            stored, others = levels.checked(image, stored, turn, lambda level: self._level(stream, level, image))
            notes, warnings = (*notes, *stored.left_out, *others), (*warnings, *stored.warnings)
            warnings += tuple(f"{words} is not in the copy; save it as a file of its own" for words in others)
            stored = stored.turned() if turn >= 5 else stored
        return Photo(image, alpha, file_format, about, self.count, lossless, notes, self.index + 1, stored, warnings)
