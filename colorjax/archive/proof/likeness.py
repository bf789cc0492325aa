"""Whether a copy is like its source, page by page: its size, its mark, and its lightness."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from colorjax import photos
from colorjax.archive.proof import marks, provenance
from colorjax.inference import pixels

_ROUNDING = {8: 0.5, 16: 0.01}  # |L*(copy) - L*(source)| that rounding to so many bits may cause


class SidecarError(ValueError):
    """A file that is no sidecar, or a damaged one."""


def page_problems(source: Iterator[photos.Photo], copy: Path, about: dict[str, Any], max_pixels: int) -> list[str]:
    """What of the pages of a copy is not as its sidecar says. Raises SidecarError where that is damaged."""
    problems, number, pages = [], 0, about["pages"]
    try:
        for before, after in zip(source, photos.pages(copy, max_pixels), strict=True):
            number += 1
            if number > len(pages):
                break
            problems += _differences(before.image, after, pages[number - 1], number, about["digital_source_type"])
        if number != len(pages):
            problems.append(f"the sidecar is of {len(pages)} pages")
    except photos.PhotoError as error:
        problems.append(f"the pictures cannot be compared: {error}")
    except SidecarError:
        raise
    except ValueError:
        problems.append(f"copy and source have different numbers of pages: {number} are in both")
    return problems


def _differences(before: np.ndarray, after: photos.Photo, page: dict[str, Any], number: int, mark: str) -> Iterator[str]:
    """What of a page of the copy is not as it should be."""
    if provenance.source_type(after.metadata.xmp) != mark:
        yield f"page {number}: the copy does not bear the mark {mark}"
    if before.shape[:2] != after.image.shape[:2]:
        yield f"page {number}: the copy has another size"
        return
    largest, mean = difference(before, after, _box(page, after.image.shape))
    rounding = _ROUNDING[8 * after.image.dtype.itemsize]
    if largest > rounding if after.lossless else mean > float(page["lightness_lost"]) + rounding:
        yield f"page {number}: L* differs by up to {largest:.2f}, by {mean:.3f} on average"


def difference(image: np.ndarray, copy: photos.Photo, without: list[int] | None = None) -> tuple[float, float]:
    """|L*| between pixels and a copy of them, (largest, mean); of a lossy copy where it can be seen."""
    seen = None if copy.lossless or copy.alpha is None else copy.alpha > 0
    return pixels.lightness_difference(image, copy.image, without=without, where=seen)


def _box(page: dict[str, Any], shape: tuple[int, ...]) -> list[int] | None:
    """Where words are burnt in: a strip in the lower left corner, no higher than `marks` makes it."""
    box = page.get("burnt_in")
    if box is None:
        return None
    if not (isinstance(box, list) and len(box) == 4 and all(type(side) is int for side in box)):
        raise SidecarError("burnt_in is no box")
    left, top, right, bottom = box
    if not (left == 0 and bottom == shape[0] and 0 <= right <= shape[1] and bottom - top <= marks.strip(shape[:2])):
        return None
    return box
