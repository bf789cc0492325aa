"""What is kept of a source, and a cache of it ready for training: each photograph is decoded once, not once an epoch.

`scan` reads every photograph, leaves out what cannot teach colour, and stores the others resized, as plain uint8 pixels
in one small file each. Reading such a file is a memory copy, which is what lets tf.data keep up with a fast device.
"""

import hashlib
import os
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from colorjax import bins, color, photos
from colorjax.data.sources import Source

# Magic, height and width of the stored pixels, which of UNUSUAL, original short side, mean chroma, mean b*; then the pixels
# by colour bin.
_HEADER = struct.Struct("<4sHHBIff")
_COLOURS = np.dtype((np.uint16, bins.COUNT))
_MAGIC = b"CJX3"
_MAX_ASPECT = 2  # no crop of the short side ever needs more of a panorama
_THUMBNAIL = 64
UNUSUAL = (*photos.UNUSUAL, "longer than 2:1")


@dataclass(frozen=True)
class Facts:
    """What `scan` learnt of one photograph.

    short_side: of the original, in pixels. chroma, mean_b: means of Lab chroma and of b* over the photograph.
    colours: `bins.histogram` of 4,096 of its pixels, (bins.COUNT,) uint16. unusual: which of UNUSUAL it is.
    """

    short_side: int
    chroma: float
    mean_b: float
    colours: np.ndarray
    unusual: tuple[str, ...] = ()


@dataclass(frozen=True)
class Store:
    """Resized photographs of a source, cached under `directory` (None: nothing is cached, each is decoded every time).

    short_sides: the short side in pixels that each photograph of the source is resized to.
    stretch: make squares of that side instead, which show the whole photograph out of proportion.
    """

    source: Source
    short_sides: Sequence[int]
    directory: Path | None = None
    stretch: bool = False

    def load(self, index: int) -> np.ndarray:
        """Photograph `index`, resized: (H, W, 3) uint8. Raises photos.PhotoError."""
        if self.directory is not None:
            stored = self._read(self._path(index))
            if stored is not None:
                return stored[1]
        return self.prepare(index)[1]

    def facts(self, index: int) -> Facts:
        """What `scan` must know of photograph `index`; fills the cache. Raises photos.PhotoError."""
        if self.directory is not None:
            stored = self._read(self._path(index), header_only=True)
            if stored is not None:
                return stored[0]
        return self.prepare(index)[0]

    def prepare(self, index: int) -> tuple[Facts, np.ndarray]:
        """Decode, measure, resize and cache photograph `index`. Raises photos.PhotoError."""
        short = self.short_sides[index]
        original, short_side, unusual = self.source.read(index, short)
        unusual += UNUSUAL[-1:] if max(original.shape[:2]) > _MAX_ASPECT * min(original.shape[:2]) else ()
        picture = Image.fromarray(original)
        ab = _thumbnail_ab(picture, Image.Resampling.BOX)
        colours = bins.histogram(_thumbnail_ab(picture, Image.Resampling.NEAREST)).astype(np.uint16)
        chroma, mean_b = float(np.linalg.norm(ab, axis=-1).mean()), float(ab[..., 1].mean())
        facts = Facts(short_side, chroma, mean_b, colours, unusual)
        pixels = np.asarray(
            picture.resize((short, short), Image.Resampling.BICUBIC) if self.stretch else resize_short_side(picture, short)
        )
        if self.directory is not None:
            self._write(self._path(index), facts, pixels)
        return facts, pixels

    def _path(self, index: int) -> Path:
        identity = f"{self.source.versions[index]}|{self.source.names[index]}|{self.short_sides[index]}"
        identity += "|stretch" if self.stretch else ""
        digest = hashlib.blake2b(identity.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        return self.directory / digest[:2] / f"{digest[2:]}.crop"

    def _write(self, path: Path, facts: Facts, pixels: np.ndarray) -> None:
        height, width, _ = pixels.shape
        unusual = sum(1 << bit for bit, name in enumerate(UNUSUAL) if name in facts.unusual)
        try:
            with photos.atomic(path) as stream:
                stream.write(_HEADER.pack(_MAGIC, height, width, unusual, facts.short_side, facts.chroma, facts.mean_b))
                stream.write(facts.colours.tobytes())
                stream.write(pixels.tobytes())
        except OSError as error:
            raise OSError(
                f"cannot write the cache of photographs in {self.directory}: {error}\n"
                "Name another folder with --config.data.cache_dir=DIR, or do without: --config.data.cache=False"
            ) from error

    @staticmethod
    def _read(path: Path, header_only: bool = False) -> tuple[Facts, np.ndarray | None] | None:
        """The cached photograph, or None where there is none or it is damaged."""
        try:
            with open(path, "rb") as stream:
                magic, height, width, bits, *numbers = _HEADER.unpack(stream.read(_HEADER.size))
                size = height * width * 3
                if magic != _MAGIC or os.fstat(stream.fileno()).st_size != _HEADER.size + _COLOURS.itemsize + size:
                    return None
                unusual = tuple(name for bit, name in enumerate(UNUSUAL) if bits >> bit & 1)
                facts = Facts(*numbers, np.frombuffer(stream.read(_COLOURS.itemsize), np.uint16), unusual)
                if header_only:
                    return facts, None
                return facts, np.frombuffer(stream.read(size), np.uint8).reshape(height, width, 3)
        except (OSError, struct.error, ValueError):
            return None


def _thumbnail_ab(picture: Image.Image, resampling: Image.Resampling) -> np.ndarray:
    thumbnail = np.asarray(picture.resize((_THUMBNAIL, _THUMBNAIL), resampling), np.float32) / 255
    return color.rgb_to_lab(thumbnail)[..., 1:]


def resize_short_side(picture: Image.Image, short: int) -> Image.Image:
    """Resize to a short side of `short` pixels; of pictures longer than 2:1 only the middle is kept."""
    width, height = picture.size
    longest = _MAX_ASPECT * min(width, height)
    if max(width, height) > longest:
        left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
        picture = picture.crop((left, top, left + min(width, longest), top + min(height, longest)))
        width, height = picture.size
    scale = short / min(width, height)
    size = (max(short, round(width * scale)), max(short, round(height * scale)))
    return picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def scan(
    store: Store,
    indices: Sequence[int],
    min_size: int,
    min_chroma: float,
    keep: Callable[[int, Facts], None] = lambda index, facts: None,
    progress: bool = True,
) -> tuple[list[int], list[dict]]:
    """Look at photographs once -> (indices of those worth training on, [{"name", "reason", "detail"}] of the others).

    keep: called with the index and the facts of each that is worth training on.

    Left out are files that cannot be read (the reason is of photos.PROBLEMS), whose short side is under `min_size` pixels
    ("tiny"), or whose mean Lab chroma is under `min_chroma` ("grey").
    """

    def verdict(index: int) -> Facts | tuple[str, str]:
        try:
            facts = store.facts(index)
        except photos.PhotoError as error:
            return error.kind, str(error)
        if facts.short_side < min_size:
            return "tiny", f"short side of {facts.short_side} pixels, under data.min_size={min_size}"
        if facts.chroma < min_chroma:
            return "grey", f"mean chroma of {facts.chroma:.2f}, under data.min_chroma={min_chroma}"
        return facts

    kept, left_out = [], []
    bar = tqdm(total=len(indices), desc="reading photographs", unit="img", disable=None if progress else True, leave=False)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool, bar:
        for index, found in zip(indices, pool.map(verdict, indices), strict=True):
            if isinstance(found, Facts):
                kept.append(index)
                keep(index, found)
            else:
                left_out.append({"name": store.source.names[index], "reason": found[0], "detail": found[1]})
            bar.update()
    return kept, left_out
