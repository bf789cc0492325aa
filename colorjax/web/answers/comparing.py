"""Before and after in one picture, for sharing: side by side, or as a short clip. Both say that a machine made the colours."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from colorjax.archive import marks

SAYS = "colours by AI"
_CLIP_SIDE = 560  # pixels of a clip's longer side
_STEPS, _EACH, _REST = 14, 60, 1200  # frames of a sweep, and milliseconds
_GAP = 4  # pixels of white between
_VIOLET, _DENSEST = (190, 40, 230), 140  # of the veil; the picture shines through
_SURE_TO_GUESSED = 8.0, 20.0  # Lab units: nearer to sure it is clear, farther it has all its colour


def side_by_side(before: np.ndarray, after: np.ndarray, xmp: bytes) -> bytes:
    """Two pictures (h, w, 3) uint8 -> a JPEG that holds both, with this XMP."""
    height, width = before.shape[:2]
    gap = ((height, _GAP), (_GAP, width))[width > height]
    parts = [before, np.full((*gap, 3), 255, np.uint8), marks.burn_in(after, SAYS)[0]]
    stream, beside = io.BytesIO(), width <= height  # of wide pictures, one lies below the other
    Image.fromarray(np.concatenate(parts, axis=int(beside))).save(stream, "JPEG", quality=90, subsampling=0, xmp=xmp)
    return stream.getvalue()


def clip(before: np.ndarray, after: np.ndarray, xmp: bytes) -> bytes:
    """Two pictures (h, w, 3) uint8 -> a GIF in which the colours come from the left, and go again."""
    before, after = (_small(picture) for picture in (before, after))
    after = marks.burn_in(after, SAYS)[0]
    width = after.shape[1]
    palette = Image.fromarray(np.concatenate([before, after])).quantize(256, Image.Quantize.MEDIANCUT)

    def frame(share: float) -> Image.Image:
        split, mixed = round(share * width), before.copy()
        mixed[:, :split] = after[:, :split]
        if 0 < split < width:
            mixed[:, max(0, split - 1) : split + 1] = 255
        return Image.fromarray(mixed).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)

    way = [step / _STEPS for step in range(_STEPS + 1)]
    shares = way + way[-2:0:-1]
    times = [_REST if share in (0, 1) else _EACH for share in shares]
    first, *others = map(frame, shares)
    stream = io.BytesIO()
    first.save(
        stream, "GIF", save_all=True, append_images=others, duration=times, loop=0, optimize=False, comment=SAYS.encode()
    )
    # An application's block may stand anywhere before the end; see XMP specification part 3, 1.1.2, for the bytes behind it.
    behind = bytes([1, *range(255, -1, -1), 0])
    return stream.getvalue()[:-1] + b"\x21\xff\x0bXMP DataXMP" + xmp + behind + b";"


KINDS: dict[str, tuple[Callable[[np.ndarray, np.ndarray, bytes], bytes], str, str]] = {
    "pair": (side_by_side, "image/jpeg", ".jpg"),
    "clip": (clip, "image/gif", ".gif"),
}


def _small(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture)
    image.thumbnail((_CLIP_SIDE, _CLIP_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


def veil(spread: np.ndarray, shape: tuple[int, int]) -> bytes:
    """A PNG to lay on a picture (h, w): clear where the colour is sure, violet where it is a guess.

    spread: in Lab units, as `Colorizer.uncertainty` gives it.
    """
    low, high = _SURE_TO_GUESSED
    share = Image.fromarray(np.clip((spread - low) / (high - low), 0, 1).astype(np.float32))
    alpha = _DENSEST * np.asarray(share.resize(shape[::-1], Image.Resampling.BILINEAR))
    stream = io.BytesIO()
    Image.fromarray(np.dstack([np.full((*shape, 3), _VIOLET, np.uint8), alpha.astype(np.uint8)])).save(stream, "PNG")
    return stream.getvalue()
