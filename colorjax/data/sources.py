"""Where photographs come from. A source lists pictures by name and group and reads any one of them by index."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from colorjax import photos
from colorjax.data import listing

VALIDATION = "data.val_dir:"  # before the names of photographs of that folder
VALIDATION_SALT = "half"  # so that half of `data.val_dir` is the choosing half of benchmarks/quality/sets.py


@dataclass(frozen=True)
class Source:
    """A list of photographs with random access.

    names: what identifies each picture; unique, and the same whatever else the source holds.
    groups: the group of each picture, as "people".
    versions: changes when the picture's content changes (size and date of a file, version of a data set).
    read: (index, at_least) -> upright sRGB pixels (H, W, 3) uint8, the original short side, and which of photos.UNUSUAL it
        is; the pixels may be reduced to a short side of `at_least` or more. Raises photos.PhotoError.
    held_out: which pictures are for validation, where the source itself says so; otherwise None (split by hash).
    passed_over: how many files lie there that are not looked at, by what they are, in words.
    gone: which pictures are known not to be there any more, (n,) bool; None for none.
    """

    names: Sequence[str]
    groups: Sequence[str]
    versions: Sequence[str]
    read: Callable[[int, int | None], tuple[np.ndarray, int, tuple[str, ...]]]
    held_out: Sequence[bool] | None = None
    passed_over: Counter[str] = field(default_factory=Counter)
    gone: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)


def make(config: Any) -> Source:
    """The source named by `config.data.source`. Raises ValueError where the name or the folder is wrong, or where a folder of
    photographs is named that this source would not look at."""
    data = config.data
    if data.source not in SOURCES:
        raise ValueError(f"data.source={data.source!r} is unknown; legal are {', '.join(SOURCES)}")
    _check_folders(data)
    source = SOURCES[data.source](data)
    if not len(source):
        others = ", ".join(f"{count} {what}" for what, count in sorted(source.passed_over.items()))
        passed_over = f"; passed over: {others}" if others else ""
        raise ValueError(f"data.source={data.source} holds no photographs (data.dir={data.dir!r}){passed_over}")
    return source


def _check_folders(data: Any) -> None:
    """Raises ValueError where photographs are named that would not be looked at, or would be on both sides."""
    for key in ("dir", "val_dir") if data.source != "folder" else ():
        # TFDS has a folder of its own: it is one of photographs where some lie there, or in its own folders but downloads/.
        own = key == "dir" and data.source == "tfds" and not _holds_photographs(Path(data.dir).expanduser())
        if data[key] and not own:
            raise ValueError(
                f"data.{key}={data[key]!r} would not be looked at with data.source={data.source}; photographs of your own need "
                "--config.data.source=folder"
            )
    if data.val_dir and data.dir:
        one, other = (Path(os.path.realpath(os.path.expanduser(name))) for name in (data.dir, data.val_dir))
        if one.is_relative_to(other) or other.is_relative_to(one):
            raise ValueError(
                f"data.val_dir={data.val_dir!r} and data.dir={data.dir!r} hold the same photographs: what is validated on must "
                "not be trained on, so name two folders of which neither lies in the other"
            )


def _holds_photographs(folder: Path) -> bool:
    """Whether there is a photograph, by its suffix, in a folder or in one of its folders but `downloads`."""
    folders = [folder, *(one for one in folder.glob("*/") if one.name != "downloads")] if folder.is_dir() else []
    return any(name.suffix.lower() in photos.SUFFIXES for one in folders for name in one.iterdir())


def unit_hash(name: str, salt: str = "") -> float:
    """A number in 0..1 that depends on the name alone: what the split and every subset are drawn by."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8, salt=salt.encode()[:16])
    return int.from_bytes(digest.digest(), "big") / 2**64


def unit_hashes(names: Sequence[str], salt: str = "") -> np.ndarray:
    """`unit_hash` of each name, (n,) float64."""
    return np.fromiter((unit_hash(name, salt) for name in names), np.float64, len(names))


def folder(data: Any) -> Source:
    """Every file with a suffix of photos.SUFFIXES below `data.dir`; the first-level folders are the groups.

    With `data.val_dir` all of these are trained on, and those below it whose hash is under `data.val_fraction` are validated
    on. A folder that may not be read is listed as a picture: reading it names the reason.
    """
    source = _folder(data.dir, "data.dir")
    return _joined(source, _folder(data.val_dir, "data.val_dir"), data.val_fraction) if data.val_dir else source


def _folder(name: str, key: str) -> Source:
    root = Path(name).expanduser()
    if not name or not root.is_dir():
        raise ValueError(f"{key}={name!r} is not a folder; data.source=folder needs one with photographs in it")
    found = listing.below(root)
    names = found.names
    return Source(
        names,
        found.groups,
        found.versions,
        lambda index, at_least: photos.read_reduced(root / names[index], at_least),
        passed_over=found.passed_over,
    )


def _joined(source: Source, other: Source, fraction: float) -> Source:
    """`source` to train on, and of `other` the share to validate on, whose names come after VALIDATION."""
    chosen = np.flatnonzero(unit_hashes(other.names, VALIDATION_SALT) < fraction).tolist()
    if not chosen:
        raise ValueError(f"data.val_dir holds no photograph whose hash is under data.val_fraction={fraction}")
    count = len(source)

    def read(index: int, at_least: int | None) -> tuple[np.ndarray, int, tuple[str, ...]]:
        return source.read(index, at_least) if index < count else other.read(chosen[index - count], at_least)

    return Source(
        [*source.names, *(VALIDATION + other.names[index] for index in chosen)],
        [*source.groups, *(other.groups[index] for index in chosen)],
        [*source.versions, *(other.versions[index] for index in chosen)],
        read,
        held_out=[False] * count + [True] * len(chosen),
        passed_over=source.passed_over + other.passed_over,
    )


# scikit-image's own photographs: file, group, held out for validation. Its drawings and medical pictures are left out.
_SAMPLE = (
    ("astronaut.png", "people", False),
    ("motorcycle_left.png", "objects", False),
    ("rocket.jpg", "scenery", False),
    ("coffee.png", "objects", True),
    ("chelsea.png", "animals", True),
)
_SAMPLE_CROPS = 32  # an epoch visits each training photograph this often, with another random crop every time


def sample(data: Any) -> Source:
    """The photographs inside the scikit-image wheel: three to train on, by many crops, and two held out. No network."""
    del data
    rows = [
        (f"{file}#{crop}", file, group, held_out)
        for file, group, held_out in _SAMPLE
        for crop in range(1 if held_out else _SAMPLE_CROPS)
    ]
    folder_of_files = resources.files("skimage") / "data"
    pixels = {file: photos.read_reduced((folder_of_files / file).read_bytes(), None) for file, _, _ in _SAMPLE}
    names, files, groups, held_out = zip(*rows, strict=True)
    return Source(names, groups, files, lambda index, at_least: pixels[files[index]], held_out)


def tfds(data: Any) -> Source:
    """TensorFlow Datasets through ArrayRecord random access.

    `data.names`: comma-separated `[group=]name[:split]`, as `people=lfw:train[:4600],animals=oxford_iiit_pet:train+test`;
    the split is TFDS syntax (default `train`). `data.dir` is the TFDS folder ("" = TFDS's own default).
    Raises ValueError for an entry that TFDS does not know and RuntimeError where a data set cannot be had.
    """
    parts = [_open_tfds(entry, data.dir) for entry in _entries(data.names)]
    rows = [(part, position) for part in parts for position in range(len(part.elements))]
    names = [part.names[position] for part, position in rows]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"data.names: {len(repeated)} pictures are asked for twice, as {repeated[0]}; splits must not overlap")

    def read(index: int, at_least: int | None) -> tuple[np.ndarray, int, tuple[str, ...]]:
        del at_least
        part, position = rows[index]
        try:
            image = np.asarray(part.elements[position][part.key])
        except Exception as error:  # whatever TFDS's decoders raise on a damaged record
            raise photos.PhotoError(f"cannot be decoded ({type(error).__name__}: {error})") from None
        if image.dtype != np.uint8:
            raise photos.PhotoError(f"has {image.dtype} pixels; only uint8 is read from TFDS", "not supported")
        image = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image[..., :3]
        return image, min(image.shape[:2]), ()

    return Source(
        names=names,
        groups=[part.group for part, _ in rows],
        versions=[part.version for part, _ in rows],
        read=read,
    )


@dataclass(frozen=True)
class _TfdsPart:
    group: str
    name: str
    split: str
    version: str
    key: str
    elements: Any
    names: list[str]


def _entries(names: str) -> list[tuple[str, str, str]]:
    """`data.names` as (group, name, split) triples."""
    entries = []
    for entry in filter(None, (part.strip() for part in names.split(","))):
        head, _, split = entry.partition(":")
        group, named, name = head.rpartition("=")
        entries.append((group if named else name, name, split or "train"))
    if not entries:
        raise ValueError("data.names is empty; data.source=tfds needs names such as 'people=lfw:train[:4200]'")
    return entries


def _open_tfds(entry: tuple[str, str, str], directory: str) -> _TfdsPart:
    import tensorflow_datasets

    group, name, split = entry
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # the error below says what its retries came to
    try:
        builder = tensorflow_datasets.builder(name, data_dir=directory or None, file_format="array_record")
        builder.download_and_prepare()
        elements = builder.as_data_source(split=split)
    except tensorflow_datasets.core.registered.DatasetNotFoundError:
        raise ValueError(f"data.names: TFDS knows no data set {name!r}; see tensorflow.org/datasets/catalog") from None
    except Exception as error:  # downloads fail in as many ways as there are hosts
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise RuntimeError(
            f"TFDS could not provide {name!r} ({split}): {reason}\n"
            "Use your own photographs instead: --config.data.source=folder --config.data.dir=FOLDER"
        ) from error
    images = [k for k, v in builder.info.features.items() if isinstance(v, tensorflow_datasets.features.Image)]
    if not images:
        raise ValueError(f"data.names: the TFDS data set {name!r} has no picture in it ({list(builder.info.features)})")
    key = "image" if "image" in images else images[0]
    return _TfdsPart(group, name, split, str(builder.info.full_name), key, elements, _tfds_names(builder, split, len(elements)))


def _tfds_names(builder: Any, split: str, count: int) -> list[str]:
    """Where each picture of a split lies in the data set's files: the same in whatever slice it is asked for."""
    try:
        pieces = builder.info.splits[split].file_instructions
    except KeyError:  # TFDS's mock knows no splits
        return [f"{builder.name}/{split}/{position}" for position in range(count)]
    names = []
    for piece in pieces:
        end = piece.examples_in_shard if piece.take < 0 else piece.skip + piece.take
        names += [f"{Path(piece.filename).name}/{position}" for position in range(piece.skip, end)]
    return names


SOURCES: dict[str, Callable[[Any], Source]] = {"tfds": tfds, "folder": folder, "sample": sample}
