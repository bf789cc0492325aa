"""Small folders of photographs, and the batches that come of them."""

import itertools

import numpy as np
from PIL import Image

from configs import base

SIZE = 32


def settings(**changes):
    """base.py for pictures of 32 pixels from a folder; changes by flattened key with __ for dots."""
    config = base.get_config()
    config.update_from_flattened_dict(
        {
            "batch_size": 4,
            "eval_batch_size": 4,
            "image_size": SIZE,
            "data.source": "folder",
            "data.min_size": 24,
            "data.val_fraction": 0.25,
        }
    )
    config.update_from_flattened_dict({key.replace("__", "."): value for key, value in changes.items()})
    return config.lock()


def colourful(seed, height=48, width=60):
    """Smooth pixels of strong colours, (height, width, 3) uint8."""
    few = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(few).resize((width, height), Image.Resampling.BICUBIC))


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def fill(folder, groups, first=0):
    """PNG pictures, so many of each group; no two alike."""
    for number, group in enumerate(sorted(groups)):
        for i in range(groups[group]):
            save(folder / group / f"{i:03}.png", colourful([first, number, i]))
    return folder


def take(batches, count):
    return list(itertools.islice(batches, count))


def assert_equal(batches, others):
    assert len(batches) == len(others) > 0
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys()
        for key in batch:
            np.testing.assert_array_equal(batch[key], other[key], strict=True, err_msg=key)


def cache_files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())
