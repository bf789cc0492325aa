"""What is kept of a source, and a cache of it ready for training: each photograph is decoded once, not once an epoch.

`scan` reads every photograph, leaves out what cannot teach colour, and stores the others resized, as plain uint8 pixels
in one small file each. Reading such a file is a memory copy, which is what lets tf.data keep up with a fast device.
"""

import hashlib
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from colorjax import photos
from colorjax.data.facts import UNUSUAL, Facts, Index, Table, bits, unusual
from colorjax.data.sources import Source
from colorjax.science import bins, color

# Magic, height and width of the stored pixels, which of UNUSUAL, original short side, mean chroma, mean b*; then the pixels
# by colour bin.
_HEADER = struct.Struct("<4sHHBIff")
_COLOURS = np.dtype((np.uint16, bins.COUNT))
MAGIC = b"CJX3"  # changes with what is cached
_MAX_ASPECT = 2  # no crop of the short side ever needs more of a panorama
_THUMBNAIL = 64
_WORTH = 1000  # photographs, from which on an index is read and written: opening their own files takes longer
_MOST_FACTS = 8  # of each photograph, in other versions and sizes; then their file begins anew
_BLOCK = 10_000  # photographs that wait for a thread, or whose keys are made, at a time


@dataclass(frozen=True)
class Store:
    """Resized photographs of a source, cached under `directory` (None: nothing is cached, each is decoded every time).

    short_sides: the short side in pixels, (n,) int64, that each photograph of the source is resized to.
    stretch: make squares of that side instead, which show the whole photograph out of proportion.
    index: name of the file in `directory` that keeps the facts of all of them; "" for none.
    """

    source: Source
    short_sides: np.ndarray
    directory: Path | None = None
    stretch: bool = False
    index: str = ""

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
        short = int(self.short_sides[index])
        original, short_side, kinds = self.source.read(index, short)
        kinds += UNUSUAL[-1:] if max(original.shape[:2]) > _MAX_ASPECT * min(original.shape[:2]) else ()
        picture = Image.fromarray(original)
        ab = _thumbnail_ab(picture, Image.Resampling.BOX)
        colours = bins.histogram(_thumbnail_ab(picture, Image.Resampling.NEAREST)).astype(np.uint16)
        chroma, mean_b = float(np.linalg.norm(ab, axis=-1).mean()), float(ab[..., 1].mean())
        facts = Facts(short_side, chroma, mean_b, colours, kinds)
        pixels = np.asarray(
            picture.resize((short, short), Image.Resampling.BICUBIC) if self.stretch else resize_short_side(picture, short)
        )
        if self.directory is not None:
            self._write(self._path(index), facts, pixels)
        return facts, pixels

    def keys(self, indices: np.ndarray) -> np.ndarray:
        """What tells photographs, their versions and sizes from any other, (n, 2) uint64; the names of their cache files."""
        keys = np.empty((len(indices), 2), "<u8")
        for start in range(0, len(indices), _BLOCK):
            block = indices[start : start + _BLOCK]
            digests = b"".join(map(self._digest, block.tolist(), self.short_sides[block].tolist()))
            keys[start : start + _BLOCK] = np.frombuffer(digests, "<u8").reshape(-1, 2)
        return keys

    def _digest(self, index: int, short_side: int) -> bytes:
        identity = f"{self.source.versions[index]}|{self.source.names[index]}|{short_side}"
        identity += "|stretch" if self.stretch else ""
        return hashlib.blake2b(identity.encode("utf-8", "surrogateescape"), digest_size=16).digest()

    def _path(self, index: int) -> Path:
        digest = self._digest(index, int(self.short_sides[index])).hex()
        return self.directory / digest[:2] / f"{digest[2:]}.crop"

    def _write(self, path: Path, facts: Facts, pixels: np.ndarray) -> None:
        height, width, _ = pixels.shape
        try:
            with photos.atomic(path) as stream:
                stream.write(
                    _HEADER.pack(MAGIC, height, width, bits(facts.unusual), facts.short_side, facts.chroma, facts.mean_b)
                )
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
                magic, height, width, kinds, *numbers = _HEADER.unpack(stream.read(_HEADER.size))
                size = height * width * 3
                if magic != MAGIC or os.fstat(stream.fileno()).st_size != _HEADER.size + _COLOURS.itemsize + size:
                    return None
                facts = Facts(*numbers, np.frombuffer(stream.read(_COLOURS.itemsize), np.uint16), unusual(kinds))
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


def _look_at(store: Store, indices: np.ndarray, table: Table, progress: bool) -> dict[int, tuple[str, str]]:
    """Fill a table, photograph by photograph -> kind and detail of what is wrong with those that cannot be read."""
    problems: dict[int, tuple[str, str]] = {}

    def look(index: int) -> None:
        try:
            table[index] = store.facts(index)
        except photos.PhotoError as error:
            problems[index] = error.kind, str(error)

    bar = tqdm(total=len(indices), desc="reading photographs", unit="img", disable=None if progress else True, leave=False)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool, bar:
        for start in range(0, len(indices), _BLOCK):
            for _ in pool.map(look, indices[start : start + _BLOCK].tolist()):
                bar.update()
    return problems


def scan(
    store: Store, indices: np.ndarray, min_size: int, min_chroma: float, table: Table, progress: bool = True
) -> tuple[np.ndarray, list[dict]]:
    """Look at photographs once -> (indices of those worth training on, [{"name", "reason", "detail"}] of the others).

    indices: (n,) int64. table: filled with the facts of each that can be read.

    Left out are files that cannot be read (the reason is of photos.PROBLEMS), whose short side is under `min_size` pixels
    ("tiny"), or whose mean Lab chroma is under `min_chroma` ("grey").
    """
    indexed = bool(store.directory and store.index) and len(indices) >= _WORTH
    found = known = np.zeros(len(indices), bool)
    if indexed:
        known_facts, keys = Index(store.directory / store.index, _MOST_FACTS * len(store.source)), store.keys(indices)
        found, rows = known_facts.look_up(keys)
        table.rows[indices[found]] = rows
        # Of those that are gone, their own cache files say whether anything is left.
        known = found if store.source.gone is None else found & ~store.source.gone[indices]
    problems = _look_at(store, indices[~known], table, progress)
    failed = np.isin(indices, list(problems))
    if indexed and (new := ~(found | failed)).any():
        known_facts.add(keys[new], table.rows[indices[new]])
    rows = table.rows[indices]
    tiny, grey = rows["short_side"] < min_size, rows["chroma"].astype(np.float64) < min_chroma
    bad = failed | tiny | grey
    left_out = []
    for index, row, is_tiny in zip(indices[bad].tolist(), rows[bad], tiny[bad], strict=True):
        if index in problems:
            reason, detail = problems[index]
        elif is_tiny:
            reason, detail = "tiny", f"short side of {row['short_side']} pixels, under data.min_size={min_size}"
        else:
            reason, detail = "grey", f"mean chroma of {row['chroma']:.2f}, under data.min_chroma={min_chroma}"
        left_out.append({"name": store.source.names[index], "reason": reason, "detail": detail})
    return indices[~bad], left_out
