"""tf.data: photographs in a fixed order -> batches of luma and chroma.

The order is a pure function of (seed, epoch, position): step `n` sees the same pictures, cropped alike, whether the run
came there in one go or was stopped and started ten times, and however many hosts share the work.
"""

import contextlib
import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from colorjax import photos
from colorjax.data import balance, choice, facts, prepare, roster, sources
from colorjax.platform import caching, sharding
from colorjax.science import bins

Batch = dict[str, np.ndarray]
GEOMETRIES = ("crop", "stretch")
_SPLIT_SALT = ""
_THREADS = sharding.processors()  # that make examples
_BLOCK = 10_000  # names that are put together at a time


def split(names: Sequence[str], fraction: float) -> np.ndarray:
    """Which names are for validation, (n,) bool: those whose hash is under `fraction`, and at least one.

    Depends on each name alone, so that adding pictures never moves others to the other side (only where no hash falls
    under `fraction` is the smallest one taken, so that tiny sets have something to validate on).
    """
    return _split(sources.unit_hashes(names, _SPLIT_SALT), fraction)


def _split(hashes: np.ndarray, fraction: float) -> np.ndarray:
    chosen = hashes < fraction
    if fraction > 0 and len(hashes) > 1 and not chosen.any():
        chosen[np.argmin(hashes)] = True
    return chosen


@dataclass(frozen=True)
class Data:
    """Batches for training and for evaluation, made by `load`.

    groups: names of the groups; a batch's `group` indexes this list.
    names: what identifies each picture; a batch's `index` points into it.
    train_indices, validation_indices: pictures of each side.
    order: the places of an epoch on the training side, batch after batch (see `balance`).
    ab_counts: pixels of the training photographs by colour bin, (bins.COUNT,); all 0 where no setting asks for them.
    report: what was found, kept and left out, for data_report.json. roster: see `roster`, for photographs.json.
    lost: name -> (kind, detail) of each picture that could no longer be read when its turn came; threads add to it.
    """

    config: Any
    store: prepare.Store
    groups: tuple[str, ...]
    train_indices: np.ndarray
    validation_indices: np.ndarray
    order: balance.Order
    ab_counts: np.ndarray
    report: dict
    roster: roster.Roster
    process: tuple[int, int] = (0, 1)
    devices: int = 1
    lost: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def names(self) -> Sequence[str]:
        """What identifies each picture of the source."""
        return self.store.source.names

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over the training side; the last is filled up with pictures of the next shuffle."""
        return -(-len(self.train_indices) // self.config.batch_size)

    def example(self) -> np.ndarray:
        """A photograph that was not trained on, where there is one: (H, W, 3) uint8; as it is cached where it is lost.

        Raises photos.PhotoError where none can be read any more.
        """
        for index in (*self.validation_indices.tolist(), *self.train_indices.tolist()):
            for read in (lambda index: self.store.source.read(index, None)[0], self.store.load):
                with contextlib.suppress(photos.PhotoError):
                    return read(index)
        raise photos.PhotoError("no photograph can be read any more", "missing")

    def train(self, start_step: int = 0) -> Iterator[Batch]:
        """Training batches from global step `start_step` on, without end: `luma`, `chroma` and `mask`.

        With `data.lab=device` `image_u8` (B, H, W, 3) is in the place of luma and chroma; `steps.make` takes both.
        """
        import tensorflow as tf

        from colorjax.data import ops

        config, steps = self.config, self.steps_per_epoch
        per_epoch, pictures = steps * config.batch_size, self.train_indices
        if not len(pictures):
            held_out = f"all {len(self.validation_indices)} are held out (data.val_fraction={config.data.val_fraction})"
            why = held_out if len(self.validation_indices) else "data_report.json lists what was left out and why"
            raise ValueError(f"no photograph is left to train on; {why}")

        def epoch_rows(epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            rows = pictures[self.order(int(epoch))]
            positions = np.arange(per_epoch, dtype=np.int64) + int(epoch) * per_epoch
            mine = self._share(np.stack([rows, positions], axis=-1), config.batch_size)
            return mine[:, 0], mine[:, 1]

        @tf.autograph.experimental.do_not_convert  # no Python of these functions depends on a tensor
        def rows_of(epoch: tf.Tensor) -> tf.data.Dataset:
            rows, positions = tf.numpy_function(epoch_rows, [epoch], (tf.int64, tf.int64))
            return tf.data.Dataset.from_tensor_slices((tf.ensure_shape(rows, [None]), tf.ensure_shape(positions, [None])))

        @tf.autograph.experimental.do_not_convert
        def example(index: tf.Tensor, position: tf.Tensor) -> dict[str, tf.Tensor]:
            image, mask = self._load(index)
            seed = tf.stack([tf.constant(config.seed, tf.int64), position])
            rgb = ops.random_crop(image, config.image_size, seed, config.data.flip)
            seen = ops.lab_example(rgb) if config.data.lab == "host" else {"image_u8": ops.to_uint8(rgb)}
            return seen | {"mask": mask}

        first, skipped = divmod(start_step, steps)
        epochs = tf.data.Dataset.range(first, np.iinfo(np.int64).max)
        rows = epochs.flat_map(rows_of).skip(skipped * config.batch_size // self.process[1])
        return self._batches(rows.map(example, _THREADS, deterministic=True), config.batch_size)

    def validation(self, indices: np.ndarray | None = None) -> Iterator[Batch]:
        """Each picture of `indices` (default: the validation side) exactly once, the last batch padded with mask = 0.

        Adds `group` and `index` (int32) to `luma`, `chroma` and `mask`.
        """
        import tensorflow as tf

        from colorjax.data import ops

        indices = self.validation_indices if indices is None else np.asarray(indices)
        batch = min(self.config.eval_batch_size, max(len(indices), 1))
        batch += -batch % math.lcm(self.devices, self.process[1])
        padded = np.concatenate([indices, np.full(-len(indices) % batch, -1)]).astype(np.int64)
        group_of = {name: number for number, name in enumerate(self.groups)}
        groups = np.array([group_of[self.store.source.groups[i]] if i >= 0 else 0 for i in padded], np.int32)
        rows = tf.data.Dataset.from_tensor_slices((self._share(padded, batch), self._share(groups, batch)))

        @tf.autograph.experimental.do_not_convert
        def example(index: tf.Tensor, group: tf.Tensor) -> dict[str, tf.Tensor]:
            image, mask = self._load(index)
            rgb = ops.centre_crop(image, self.config.image_size)
            return ops.lab_example(rgb) | {"mask": mask, "group": group, "index": tf.cast(index, tf.int32)}

        return self._batches(rows.map(example, _THREADS, deterministic=True), batch)

    def _share(self, rows: np.ndarray, batch: int) -> np.ndarray:
        """This process's rows: its slice of every batch, in the order of the processes."""
        index, count = self.process
        return rows.reshape(-1, count, batch // count, *rows.shape[1:])[:, index].reshape(-1, *rows.shape[1:])

    def _load(self, index: Any) -> tuple[Any, Any]:
        """Picture `index` as a tensor, with mask 1; a grey dummy with mask 0 for index -1 or a file lost since the scan."""
        import tensorflow as tf

        def read(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            try:
                if index >= 0:
                    return self.store.load(int(index)), np.float32(1)
            except photos.PhotoError as error:  # the mask says so; the place of every other picture stays what it was
                self.lost.setdefault(self.names[int(index)], (error.kind, str(error)))
            return np.full((self.config.image_size, self.config.image_size, 3), 128, np.uint8), np.float32(0)

        image, mask = tf.numpy_function(read, [index], (tf.uint8, tf.float32), stateful=False)
        return tf.ensure_shape(image, [None, None, 3]), tf.ensure_shape(mask, [])

    def _batches(self, examples: Any, batch_size: int) -> Iterator[Batch]:
        import tensorflow as tf

        options = tf.data.Options()
        options.deterministic = True
        options.autotune.enabled = False  # it finds no better, and a program may have to wait many seconds for it at its end
        batches = examples.batch(batch_size // self.process[1], drop_remainder=True).prefetch(2)
        return batches.with_options(options).as_numpy_iterator()


def load(
    config: Any,
    process: tuple[int, int] = (0, 1),
    devices: int = 1,
    everything: bool = False,
    geometry: str = "crop",
    progress: bool = True,
    began: tuple[roster.Roster, dict] | None = None,
) -> Data:
    """Find, clean and split the photographs of `config.data`, and cache them.

    `process`: (index, count) of this host; each host gets its share of every batch.
    `devices`: batches for evaluation are a multiple of this number.
    `everything`: put every picture on the validation side (to evaluate on photographs that were never trained on).
    `geometry`: evaluate on the middle square of each picture ("crop") or on all of it, made a square ("stretch").
    `began`: roster and report of the run that goes on, which keeps its photographs and their places, also of those now gone.
    Raises ValueError for a wrong source, folder, size or balance, RuntimeError where TFDS cannot provide a data set.
    """
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")  # the accelerator is JAX's alone
    data = config.data
    if geometry not in GEOMETRIES:
        raise ValueError(f"protocol {geometry!r} is unknown; legal are {', '.join(GEOMETRIES)}")
    if config.batch_size % process[1]:
        raise ValueError(f"batch_size={config.batch_size} is not a multiple of the {process[1]} processes")
    there = sources.make(config)
    source = roster.source(there, began[0]) if began else there
    by_name = source.held_out is None and not everything
    if by_name:
        hashes = sources.unit_hashes(source.names, _SPLIT_SALT)
        for_validation = hashes < data.val_fraction
    else:
        for_validation = np.ones(len(source), bool) if everything else np.array(source.held_out)
    store = _store(config, source, for_validation, geometry)
    table = facts.Table(len(source), colours=data.balance == "histogram" or config.loss.rarity > 0)
    kept, report = choice.choose(store, data, table, progress and process[0] == 0)
    lost: dict[str, tuple[str, str]] = {}
    if began:
        lost = {row["name"]: (row["reason"], row["detail"]) for row in report["files_left_out"]}
        roster.compare(began[0], source, table, kept, there, began[1], may_lose=data.source == "folder")
        roster.remember(began[0], source, table, kept)
        kept, report = np.arange(len(source)), began[1]
    if by_name:  # of the good ones alone: what is left out decides nothing of the others
        for_validation[kept] = _split(hashes[kept], data.val_fraction)
        store = replace(store, short_sides=_short_sides(config, for_validation))
    kept_mask = np.zeros(len(source), bool)
    kept_mask[kept] = True
    groups = tuple(sorted({source.groups[i] for i in kept.tolist()}))
    train, validation = np.flatnonzero(kept_mask & ~for_validation), np.flatnonzero(kept_mask & for_validation)
    report = report | {"train": _by_group(source, train), "validation": _by_group(source, validation)}
    report["digest"] = _digest(source, train, validation)
    seen = facts.Some(table, train) if balance.wanted(config) else ()
    order, report["balance"] = balance.make(config, seen, len(train)) if len(train) else (None, {})
    counts = np.zeros(bins.COUNT, np.int64)
    if table.colours is not None:
        counts = sum((table.colours[i].astype(np.int64) for i in train.tolist()), counts)
    known = roster.make(source, table, train, validation)
    if began and roster.equal(began[0], known):
        known = began[0]
    return Data(config, store, groups, train, validation, order, counts, report, known, process, devices, lost)


def _short_sides(config: Any, for_validation: np.ndarray) -> np.ndarray:
    """What side each photograph is cached with, (n,) int64."""
    return np.where(for_validation, config.image_size, round(config.image_size * (1 + config.data.scale_jitter)))


def _store(config: Any, source: sources.Source, for_validation: np.ndarray, geometry: str) -> prepare.Store:
    data = config.data
    directory = None
    if data.cache:
        directory = Path(data.cache_dir).expanduser() if data.cache_dir else caching.cache_dir() / "photos"
    of_colours = data.balance == "histogram" or config.loss.rarity > 0
    name = f"{prepare.MAGIC}|{data.source}|{os.path.realpath(os.path.expanduser(data.dir))}|{data.names}"
    index = "" if of_colours else hashlib.blake2b(os.fsencode(name), digest_size=16).hexdigest() + ".facts"
    return prepare.Store(source, _short_sides(config, for_validation), directory, geometry == "stretch", index)


def _digest(source: sources.Source, train: np.ndarray, validation: np.ndarray) -> str:
    """Tells one choice of photographs, and their order, from another."""
    digest, before = hashlib.blake2b(digest_size=16), ""
    names = [*(source.names[i] for i in train.tolist()), "", *(source.names[i] for i in validation.tolist())]
    for start in range(0, len(names), _BLOCK):
        digest.update((before + "\n".join(names[start : start + _BLOCK])).encode("utf-8", "surrogateescape"))
        before = "\n"
    return digest.hexdigest()


def _by_group(source: sources.Source, indices: np.ndarray) -> dict[str, int]:
    return {"all": len(indices), **dict(sorted(Counter(source.groups[i] for i in indices.tolist()).items()))}
