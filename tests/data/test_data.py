"""From photographs to batches: what is found, what is left out, in which order it comes, and that nothing else decides it."""

import io
import itertools
import math
import os
import re
import struct
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.albums import SIZE, assert_equal, cache_files, colourful, fill, save, settings, take
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from colorjax import data, photos
from colorjax.data import balance, listing, pipeline, prepare, sources
from colorjax.science import color
from colorjax.training import steps, workdirs


def load(folder, process=(0, 1), everything=False, **changes):
    config = settings(data__dir=str(folder), **changes)
    return data.load(config, process, everything=everything, progress=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """23 pictures in three groups."""
    return fill(tmp_path_factory.mktemp("photos"), {"animals": 9, "people": 8, "scenery": 6})


@pytest.fixture(scope="module")
def loaded(folder, tmp_path_factory):
    return load(folder, data__cache_dir=str(tmp_path_factory.mktemp("cached")))


def visited(batches):
    """Indices of the pictures that count, in order."""
    return [int(i) for batch in batches for i, mask in zip(batch["index"], batch["mask"], strict=True) if mask]


def test_lab_made_on_the_device_is_that_of_the_host(folder, loaded):
    """The same crops; only the rounding of resized ones to 256 levels lies between."""
    on_device = load(folder, data__lab="device", data__cache_dir=loaded.config.data.cache_dir)
    in_lab = jax.jit(steps.in_lab)
    for batch, pixels in zip(take(loaded.train(), 3), take(on_device.train(), 3), strict=True):
        assert pixels.keys() == {"image_u8", "mask"} and pixels["image_u8"].dtype == np.uint8
        lab = in_lab({key: jnp.asarray(value) for key, value in pixels.items()})
        assert lab.keys() == batch.keys()
        for key, most in {"luma": 0.02, "chroma": 0.06, "mask": 0}.items():
            assert np.abs(lab[key] - batch[key]).max() <= most
            assert np.abs(lab[key] - batch[key]).mean() <= most / 10
    assert_equal(take(loaded.validation(), 2), take(on_device.validation(), 2))


# What a folder holds


def test_folder_finds_pictures_of_every_format_with_their_groups(tmp_path):
    root = tmp_path / "my photos"
    found = {
        "animals/Y.JPEG": "animals",
        "animals/x.webp": "animals",
        "on top.bmp": "my photos",
        "people/a b.jpg": "people",
        "people/deep/er/übung 漢字.png": "people",
        "scenery/t.tiff": "scenery",
        "scenery/u.TIF": "scenery",
    }
    for number, name in enumerate(found):
        save(root / name, colourful(number))
    for ignored in ("notes.txt", "people/.hidden.jpg", "people/raw.cr2", "jpg"):
        (root / ignored).write_bytes(b"?")
    (root / "a folder.jpg").mkdir()
    (root / "empty").mkdir()
    loaded = load(root, data__cache=False, everything=True)
    assert dict(zip(loaded.names, loaded.store.source.groups, strict=True)) == found
    assert loaded.groups == ("animals", "my photos", "people", "scenery")
    assert loaded.report["validation"] == {"all": 7, "animals": 2, "my photos": 1, "people": 2, "scenery": 2}
    assert loaded.report["found"] == loaded.report["kept"] == 7 and loaded.report["left_out"] == {}
    assert sorted(visited(loaded.validation())) == list(range(7))


def test_what_colorjax_or_a_system_made_is_no_truth_to_learn_from(tmp_path):
    """A copy beside its grey source would be one, and the thumbnails of a storage server would be on both sides."""
    made = ("a.colorized.jpg", "a.colorized.2.jpg", "a.uncertainty.png", "b/@eaDir/a.jpg", "b/.thumbnails/a.jpg")
    taken = ("a.jpg", "b/colorized.jpg", "b/my.uncertainty.of.1920.jpg")
    for number, name in enumerate((*made, *taken)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        save(tmp_path / name, colourful(number, SIZE, SIZE))
    found = listing.below(tmp_path)
    assert sorted(found.names) == sorted(taken) and found.passed_over == {"copies and maps that colorjax made": 3}


def test_top_of_the_working_folder_is_a_group_with_a_name(tmp_path, monkeypatch):
    save(tmp_path / "holidays" / "a.png", colourful(0))
    monkeypatch.chdir(tmp_path / "holidays")
    assert load(".", data__cache=False).groups == ("holidays",)


def test_orientation_is_applied(tmp_path):
    pixels = colourful(0, 40, 40)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    save(tmp_path / "a.png", pixels, exif=exif)
    loaded = load(tmp_path, data__cache=False, everything=True, image_size=40)
    luma = next(loaded.validation())["luma"][0]
    upright = np.rot90(pixels, -1).astype(np.float32) / 255
    np.testing.assert_allclose(luma, (color.rgb_to_lab(upright)[..., :1] - 50) / 50, atol=1e-4)


# What is left out


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Eight good pictures, one of them CMYK, among all that can be wrong with a file; {name: reason} of the latter."""
    root = fill(tmp_path_factory.mktemp("mixed"), {"good": 7})
    Image.fromarray(colourful(90)).convert("CMYK").save(root / "good" / "cmyk.jpg", quality=95)
    bad = root / "bad"
    bad.mkdir()
    (bad / "zero.jpg").write_bytes(b"")
    for suffix in ("jpg", "png", "webp"):
        stream = io.BytesIO()
        Image.fromarray(colourful(91, 96, 96)).save(stream, {"jpg": "jpeg"}.get(suffix, suffix))
        (bad / f"cut.{suffix}").write_bytes(stream.getvalue()[: stream.tell() // 2])
    (bad / "text.jpg").write_text("these are no pixels")
    (bad / "dangling.jpg").symlink_to(bad / "nowhere.jpg")
    save(bad / "grey.jpg", colourful(92)[..., 0])
    save(bad / "grey as rgb.png", np.repeat(colourful(93)[..., :1], 3, axis=-1))
    save(bad / "deep.png", colourful(94)[..., 0].astype(np.uint16) * 257)
    save(bad / "tiny.png", colourful(95, 23, 200))
    reasons = {"bad/zero.jpg": "empty", "bad/text.jpg": "not a picture", "bad/dangling.jpg": "missing"}
    reasons |= dict.fromkeys(["bad/cut.jpg", "bad/cut.png", "bad/cut.webp"], "truncated")
    reasons |= dict.fromkeys(["bad/grey.jpg", "bad/grey as rgb.png", "bad/deep.png"], "grey") | {"bad/tiny.png": "tiny"}
    return root, reasons


@pytest.mark.parametrize("cache", [True, False])
def test_what_is_left_out_is_counted_and_named(mixed, tmp_path, cache):
    root, reasons = mixed
    loaded = load(root, data__cache=cache, data__cache_dir=str(tmp_path))
    report = loaded.report
    assert {row["name"]: row["reason"] for row in report["files_left_out"]} == reasons
    assert len(report["files_left_out"]) == len(reasons) and all(row["detail"] for row in report["files_left_out"])
    assert report["left_out"] == Counter(reasons.values())
    assert report["found"] == report["looked_at"] == 8 + len(reasons) and report["kept"] == 8
    assert report["train"]["all"] + report["validation"]["all"] == 8
    assert loaded.groups == ("good",)
    kept = sorted([*loaded.train_indices, *loaded.validation_indices])
    assert [loaded.names[i] for i in kept] == [f"good/{i:03}.png" for i in range(7)] + ["good/cmyk.jpg"]
    assert all(batch["mask"].all() for batch in take(loaded.train(), 3))
    assert sorted(visited(loaded.validation())) == loaded.validation_indices.tolist()


def test_details_say_what_is_wrong(mixed):
    report = load(mixed[0], data__cache=False).report
    details = {row["name"]: row["detail"] for row in report["files_left_out"]}
    assert "23 pixels" in details["bad/tiny.png"] and "data.min_size=24" in details["bad/tiny.png"]
    assert "data.min_chroma=2.0" in details["bad/grey.jpg"]
    assert "not there" in details["bad/dangling.jpg"]
    assert "not a picture" in details["bad/text.jpg"]


def test_cmyk_keeps_its_colours(mixed):
    loaded = load(mixed[0], data__cache=False, everything=True)
    index = loaded.names.index("good/cmyk.jpg")
    lab = color.rgb_to_lab(photos.read_rgb(mixed[0] / "good" / "cmyk.jpg").astype(np.float32) / 255)
    batch = next(loaded.validation([index]))
    np.testing.assert_allclose(batch["chroma"][0].mean((0, 1)) * 110, lab[:, 6:54, 1:].mean((0, 1)), atol=1.5)
    np.testing.assert_allclose(lab.mean((0, 1)), color.rgb_to_lab(colourful(90).astype(np.float32) / 255).mean((0, 1)), atol=3)


def test_limits_of_size_and_chroma_are_settings(mixed):
    report = load(mixed[0], data__cache=False, data__min_size=23, data__min_chroma=0.0).report
    assert report["left_out"] == {"empty": 1, "missing": 1, "not a picture": 1, "truncated": 3} and report["kept"] == 12


def test_size_is_that_of_the_file_not_of_its_reduced_decoding(tmp_path):
    save(tmp_path / "a.jpg", colourful(0, 100, 140))
    assert load(tmp_path, data__cache=False, data__min_size=64).report["left_out"] == {}


def test_nothing_left_to_train_on_says_so(tmp_path):
    save(tmp_path / "a.png", np.zeros((40, 40, 3), np.uint8))
    loaded = load(tmp_path, data__cache=False)
    assert loaded.report["left_out"] == {"grey": 1} and len(loaded.validation_indices) == 0
    with pytest.raises(ValueError, match=r"no photograph is left to train on; data_report\.json lists"):
        loaded.train()
    assert list(loaded.validation()) == []
    for number in range(3):
        save(tmp_path / f"{number}.png", colourful(number, SIZE, SIZE))
    with pytest.raises(ValueError, match=r"left to train on; all 3 are held out \(data\.val_fraction=0\.99999\)"):
        load(tmp_path, data__cache=False, data__val_fraction=0.99999).train()


# The split

NAMES = [f"group{i % 7}/picture {i}.jpg" for i in range(4000)]
texts = st.lists(st.text(max_size=12), unique=True, max_size=30)


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5])
def test_split_takes_about_the_asked_fraction(fraction):
    chosen = pipeline.split(NAMES, fraction)
    spread = 4 * math.sqrt(fraction * (1 - fraction) / len(NAMES))
    assert abs(chosen.mean() - fraction) < spread
    assert set(np.flatnonzero(pipeline.split(NAMES, 0.05))) <= set(np.flatnonzero(pipeline.split(NAMES, 0.5)))


def test_adding_files_moves_no_others():
    whole = dict(zip(NAMES, pipeline.split(NAMES, 0.1), strict=True))
    for names in (NAMES[:500], NAMES[1000:1100], NAMES[::-3]):
        np.testing.assert_array_equal(pipeline.split(names, 0.1), [whole[name] for name in names])


@hypothesis_settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(texts, texts, st.floats(0.02, 0.98))
def test_split_depends_on_each_name_alone(names, more, fraction):
    """Except that where no name falls under the fraction, the one of the smallest hash is taken."""
    more = [name for name in more if name not in names]
    before, after = pipeline.split(names, fraction), pipeline.split(names + more, fraction)[: len(names)]
    assert before.dtype == bool and before.shape == (len(names),)
    if len(names) > 1:
        assert before.any()
    moved = np.flatnonzero(before != after)
    assert len(moved) == 0 or (len(moved) == 1 and before.sum() <= 1)


def test_split_of_tiny_sets():
    assert not pipeline.split(["only one"], 0.1).any()  # it is needed for training
    for count in range(2, 12):
        chosen = pipeline.split(NAMES[:count], 1e-6)
        assert chosen.sum() == 1
        np.testing.assert_array_equal(pipeline.split(NAMES[:count][::-1], 1e-6), chosen[::-1])
    assert not pipeline.split(NAMES[:5], 0.0).any()
    assert pipeline.split(["caf\udce9.jpg", "b"], 0.5).shape == (2,)  # a file name that is not UTF-8


def test_everything_is_for_validation_when_asked(folder):
    loaded = load(folder, data__cache=False, everything=True)
    assert loaded.validation_indices.tolist() == list(range(23)) and len(loaded.train_indices) == 0


# The order


@pytest.mark.parametrize("count, total", [(20, 20), (23, 20), (3, 8), (1, 5)])
def test_epoch_order_visits_each_before_any_again(count, total):
    order = balance.epoch_order(0, 0, count, total)
    assert order.shape == (total,)
    for start in range(0, total, count):
        piece = order[start : start + count]
        assert len(set(piece)) == len(piece) and set(piece) <= set(range(count))


def test_epoch_order_differs_between_epochs_and_seeds():
    orders = {tuple(balance.epoch_order(seed, epoch, 50, 50)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25
    np.testing.assert_array_equal(balance.epoch_order(1, 2, 50, 50), balance.epoch_order(1, 2, 50, 50))


def test_batches_are_as_promised(loaded):
    assert loaded.steps_per_epoch == -(-len(loaded.train_indices) // 4) >= 3
    rows = [(batch, {"luma", "chroma", "mask"}) for batch in take(loaded.train(), 2)]
    rows += [(batch, {"luma", "chroma", "mask", "group", "index"}) for batch in loaded.validation(np.arange(23))]
    for batch, keys in rows:
        assert set(batch) == keys
        assert batch["luma"].shape == (4, SIZE, SIZE, 1) and batch["chroma"].shape == (4, SIZE, SIZE, 2)
        assert batch["mask"].shape == (4,)
        assert {key: array.dtype for key, array in batch.items()} == {
            key: np.dtype("int32" if key in ("group", "index") else "float32") for key in keys
        }
        assert set(batch["mask"]) <= {0, 1}
        assert -1 - 1e-5 <= batch["luma"].min() < batch["luma"].max() <= 1 + 1e-5
        assert 0.1 < np.abs(batch["chroma"]).max() <= 1


def test_going_on_from_any_step_is_the_same_stream(loaded):
    """Bit by bit, within an epoch, at its border, and beyond it."""
    steps = loaded.steps_per_epoch
    whole = take(loaded.train(), 2 * steps + 2)
    for start in (1, steps - 1, steps, steps + 1, 2 * steps):
        assert_equal(take(loaded.train(start), len(whole) - start), whole[start:])
    lumas = [row.tobytes() for batch in whole for row in batch["luma"]]
    assert len(set(lumas)) == len(lumas)  # each visit of a picture crops it otherwise


def test_each_epoch_visits_each_picture_once(folder):
    """Told by whole pictures: they are exactly of the size of the crops."""
    loaded = load(folder, data__cache=False, data__scale_jitter=0.0, data__flip=False, batch_size=1)
    steps = loaded.steps_per_epoch
    assert steps == len(loaded.train_indices)
    first, second = np.split(np.array([batch["luma"].mean(dtype=np.float64) for batch in take(loaded.train(), 2 * steps)]), 2)
    assert len(set(first.round(4))) == len(set(second.round(4))) == steps
    assert not np.array_equal(first.argsort(), second.argsort())


def test_seed_decides(folder, loaded):
    other = load(folder, seed=1, data__cache=False)
    assert other.train_indices.tolist() == loaded.train_indices.tolist()  # of the crops and their order, not of the split
    one, two = next(loaded.train()), next(other.train())
    assert not {row.tobytes() for row in one["luma"]} & {row.tobytes() for row in two["luma"]}


def test_fewer_pictures_than_a_batch(folder):
    loaded = load(folder, data__cache=False, data__limit=4, batch_size=16)
    count = len(loaded.train_indices)
    assert 0 < count < 5 and loaded.steps_per_epoch == 1
    batches = take(loaded.train(), 2)
    assert all(batch["luma"].shape[0] == 16 and batch["mask"].all() for batch in batches)


@pytest.mark.parametrize("count", [2, 4])
def test_processes_together_are_one(folder, loaded, count):
    """Each process gets its slice of each batch, in training from any step and in validation."""
    cache_dir = str(loaded.store.directory)
    shares = [load(folder, (index, count), data__cache_dir=cache_dir) for index in range(count)]
    start = loaded.steps_per_epoch - 1
    pairs = [(take(loaded.train(start), 3), [take(share.train(start), 3) for share in shares])]
    everything = np.arange(23)
    pairs.append((list(loaded.validation(everything)), [list(share.validation(everything)) for share in shares]))
    for whole, parts in pairs:
        assert {batch["mask"].shape for part in parts for batch in part} == {(4 // count,)}
        joined = [
            {key: np.concatenate([piece[key] for piece in pieces]) for key in whole[0]} for pieces in zip(*parts, strict=True)
        ]
        assert_equal(joined, whole)


def test_batches_that_processes_cannot_share(folder):
    with pytest.raises(ValueError, match="batch_size=4 is not a multiple of the 3 processes"):
        load(folder, (0, 3), batch_size=4)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 23])
def test_validation_visits_each_picture_once(loaded, count):
    indices = np.random.default_rng(count).permutation(23)[:count]
    batches = list(loaded.validation(indices))
    assert len(batches) == -(-count // 4)
    assert visited(batches) == indices.tolist()
    mask = np.concatenate([batch["mask"] for batch in batches])
    index = np.concatenate([batch["index"] for batch in batches])
    group = np.concatenate([batch["group"] for batch in batches])
    assert mask.tolist() == [1] * count + [0] * (-count % min(count, 4))
    assert (index[mask == 0] == -1).all()
    assert [loaded.groups[g] for g in group[:count]] == [loaded.names[i].split("/")[0] for i in indices]


def test_validation_is_the_held_out_side_and_the_same_each_time(loaded):
    batches = list(loaded.validation())
    assert visited(batches) == loaded.validation_indices.tolist()
    held_out = set(loaded.validation_indices.tolist())
    assert not held_out & set(loaded.train_indices.tolist())
    assert len(held_out) + len(loaded.train_indices) == 23
    assert_equal(list(loaded.validation()), batches)


# The cache


def test_second_load_reads_the_cache(folder, tmp_path, monkeypatch):
    first = load(folder, data__cache_dir=str(tmp_path))
    batches, validation = take(first.train(), 3), list(first.validation())
    assert len(cache_files(tmp_path)) == 23

    def refuse(*_):
        raise AssertionError("a photograph was decoded although it is cached")

    monkeypatch.setattr(photos, "read_reduced", refuse)
    second = load(folder, data__cache_dir=str(tmp_path))
    assert second.report == first.report
    assert_equal(take(second.train(), 3), batches)
    assert_equal(list(second.validation()), validation)


def test_without_the_cache_batches_are_the_same(folder, loaded, tmp_path, monkeypatch):
    monkeypatch.setenv("COLORJAX_CACHE", str(tmp_path))
    without = load(folder, data__cache=False)
    assert_equal(take(without.train(), 3), take(loaded.train(), 3))
    assert_equal(list(without.validation()), list(loaded.validation()))
    assert cache_files(tmp_path) == []


def test_cache_lies_where_the_environment_says(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("COLORJAX_CACHE", str(tmp_path))
    load(folder, data__limit=2)
    assert len(cache_files(tmp_path / "photos")) == len(cache_files(tmp_path)) == 2


def damage(path, kind):
    whole = path.read_bytes()
    magic, height, width, short, chroma = struct.unpack("<4sHHIf", whole[:16])
    damaged = {
        "empty": b"",
        "cut in the header": whole[:7],
        "cut in the pixels": whole[:-1],
        "too long": whole + b"\0",
        "wrong magic": b"CJX0" + whole[4:],
        "wrong shape": struct.pack("<4sHHIf", magic, height + 1, width, short, chroma) + whole[16:],
    }
    path.write_bytes(damaged[kind])


@pytest.mark.parametrize("kind", ["empty", "cut in the header", "cut in the pixels", "too long", "wrong magic", "wrong shape"])
@pytest.mark.parametrize("when", ["before the load", "after the load"])
def test_damaged_cache_files_are_made_again(folder, tmp_path, kind, when):
    options = {"data__cache_dir": str(tmp_path), "data__limit": 6}
    first = load(folder, **options)
    files = cache_files(tmp_path)
    contents = [path.read_bytes() for path in files]
    batches = list(first.validation(first.train_indices))
    if when == "after the load":
        second = load(folder, **options)
    for path in files[::2]:
        damage(path, kind)
    assert [path.read_bytes() for path in files] != contents
    if when == "before the load":
        second = load(folder, **options)
    assert_equal(list(second.validation(second.train_indices)), batches)
    if when == "before the load":
        assert second.report == first.report
        assert [path.read_bytes() for path in files] == contents and cache_files(tmp_path) == files


def test_a_changed_picture_is_read_anew(tmp_path):
    path = save(tmp_path / "photos" / "a.png", colourful(1))
    options = {"data__cache_dir": str(tmp_path / "cache"), "everything": True}
    before = next(load(path.parent, **options).validation())
    save(path, colourful(2))
    os.utime(path, ns=(1, 1))  # whatever the clock's resolution
    after = next(load(path.parent, **options).validation())
    assert np.abs(before["luma"][0] - after["luma"][0]).max() > 0.1


def test_other_sizes_have_other_cache_files(folder, tmp_path):
    for size in (SIZE, 40):
        loaded = load(folder, data__cache_dir=str(tmp_path), data__limit=3, image_size=size)
        assert next(loaded.train())["luma"].shape == (4, size, size, 1)
    assert len(cache_files(tmp_path)) == 6


def test_a_cache_that_cannot_be_written_says_what_to_do(folder, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError) as error:
        load(folder, data__cache_dir=str(tmp_path / "file"))
    first, second = str(error.value).split("\n")
    assert str(tmp_path / "file") in first
    assert "--config.data.cache_dir=DIR" in second and "--config.data.cache=False" in second


@pytest.mark.parametrize(
    "height, width, stored", [(64, 64, (32, 32)), (48, 60, (32, 40)), (30, 20, (48, 32)), (300, 40, (64, 32))]
)
def test_stored_pictures_are_just_large_enough(height, width, stored):
    picture = prepare.resize_short_side(Image.fromarray(colourful(0, height, width)), 32)
    assert picture.size == stored[::-1]


def test_of_a_panorama_the_middle_is_kept():
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    for pixels, axis in ((ramp, 1), (ramp.transpose(1, 0, 2), 0)):
        kept = np.asarray(prepare.resize_short_side(Image.fromarray(pixels), 20))
        assert kept.shape[axis] == 40 and kept.shape[1 - axis] == 20
        assert (kept.min(), kept.max()) == (80, 119)


def test_a_file_deleted_after_the_load_is_masked(tmp_path):
    fill(tmp_path, {"a": 6, "b": 2})
    loaded = load(tmp_path, data__cache=False, data__flip=False, data__scale_jitter=0.0)
    steps, everything = loaded.steps_per_epoch, np.arange(8)
    before, training = list(loaded.validation(everything)), take(loaded.train(), steps)
    gone = int(loaded.train_indices[2])
    (tmp_path / loaded.names[gone]).unlink()
    after = list(loaded.validation(everything))
    assert visited(after) == [i for i in range(8) if i != gone]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old["index"], new["index"])
        np.testing.assert_array_equal(old["luma"][new["mask"] > 0], new["luma"][new["mask"] > 0])
    places = loaded.train_indices[balance.epoch_order(0, 0, len(loaded.train_indices), 4 * steps)].reshape(steps, 4)
    for old, new, indices in zip(training, take(loaded.train(), steps), places, strict=True):
        np.testing.assert_array_equal(new["mask"], indices != gone)
        np.testing.assert_array_equal(old["luma"][indices != gone], new["luma"][indices != gone])
        assert np.isfinite(new["luma"]).all() and not np.abs(new["chroma"][indices == gone]).max(initial=0) > 1e-3


# Limits


def smallest(names, limit, per_group, usable):
    """What a limit is to choose: of the usable pictures those of the smallest hashes, one after the other."""
    counts, kept = Counter(), []
    for name in sorted(filter(usable, names), key=lambda name: sources.unit_hash(name, "subset")):
        group = name.split("/")[0]
        if (not limit or len(kept) < limit) and (not per_group or counts[group] < per_group):
            counts[group] += 1
            kept.append(name)
    return sorted(kept)


def kept_names(loaded):
    return sorted(loaded.names[i] for i in [*loaded.train_indices, *loaded.validation_indices])


@pytest.mark.parametrize("limit, per_group, kept", [(5, 0, 5), (0, 3, 9), (7, 3, 7), (100, 7, 20), (100, 0, 23)])
def test_limits_are_exact_and_look_at_no_more(folder, limit, per_group, kept):
    loaded = load(folder, data__cache=False, data__limit=limit, data__limit_per_group=per_group)
    assert loaded.report["kept"] == loaded.report["looked_at"] == kept and loaded.report["found"] == 23
    assert kept_names(loaded) == smallest(loaded.names, limit, per_group, lambda name: True)
    per = Counter(name.split("/")[0] for name in kept_names(loaded))
    assert not per_group or max(per.values()) <= per_group


@pytest.fixture(scope="module")
def half_bad(tmp_path_factory):
    """24 pictures in two groups; every other one, and five of the first six by hash, cannot be used."""
    root = fill(tmp_path_factory.mktemp("half"), {"a": 12, "b": 12})
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    by_hash = sorted(names, key=lambda name: sources.unit_hash(name, "subset"))
    bad = {*by_hash[:5], *names[::2]}
    for number, name in enumerate(sorted(bad)):
        if number % 2:
            (root / name).write_bytes(b"no picture")
        else:
            save(root / name, np.full((40, 40, 3), 90, np.uint8))
    return root, bad


@pytest.mark.parametrize("limit, per_group", [(1, 0), (4, 0), (0, 2), (5, 3), (20, 0)])
def test_limits_look_past_what_is_left_out(half_bad, limit, per_group):
    root, bad = half_bad
    loaded = load(root, data__cache=False, data__limit=limit, data__limit_per_group=per_group)
    expected = smallest(loaded.names, limit, per_group, lambda name: name not in bad)
    assert kept_names(loaded) == expected
    report = loaded.report
    assert report["kept"] == len(expected) and report["looked_at"] == report["kept"] + sum(report["left_out"].values())
    assert {row["name"] for row in report["files_left_out"]} <= bad
    by_hash = sorted(loaded.names, key=lambda name: sources.unit_hash(name, "subset"))
    last = max(by_hash.index(name) for name in expected)
    if per_group == 0 and len(expected) == limit:
        assert report["looked_at"] == last + 1  # none beyond the last that was needed
    else:
        assert report["looked_at"] <= 24


def test_a_limit_chooses_the_same_when_files_are_added(tmp_path):
    fill(tmp_path, {"a": 8, "b": 8})
    options = {"data__cache": False, "data__limit_per_group": 3}
    before = load(tmp_path, **options)
    fill(tmp_path, {"c": 8}, first=1)
    for i in range(8, 16):
        save(tmp_path / "a" / f"{i:03}.png", colourful(i))
    after = load(tmp_path, **options)
    old, new = set(kept_names(before)), set(kept_names(after))
    assert {name for name in new if name in before.names} <= old
    assert {name for name in new if name[0] == "b"} == {name for name in old if name[0] == "b"}
    held_out = {name for name in old & new if before.names.index(name) in before.validation_indices}
    assert held_out == {name for name in old & new if after.names.index(name) in after.validation_indices}


# Pixels


@pytest.fixture
def squares(tmp_path):
    """Pictures of exactly the size of a crop, with their pixels by name."""
    pixels = {f"{i}.png": colourful(i, SIZE, SIZE) for i in range(8)}
    for name in pixels:
        save(tmp_path / name, pixels[name])
    return tmp_path, pixels


def as_batch(rgb_u8):
    lab = color.rgb_to_lab(rgb_u8.astype(np.float32) / 255)
    return (lab[..., :1] - 50) / 50, lab[..., 1:] / 110


def test_chroma_and_luma_are_lab_of_the_picture(squares):
    root, pixels = squares
    loaded = load(root, data__cache=False, data__scale_jitter=0.0, data__flip=False)
    count, steps = len(loaded.train_indices), loaded.steps_per_epoch
    for epoch in range(2):
        places = loaded.train_indices[balance.epoch_order(0, epoch, count, 4 * steps)].reshape(steps, 4)
        for batch, indices in zip(take(loaded.train(epoch * steps), steps), places, strict=True):
            luma, chroma = as_batch(np.stack([pixels[loaded.names[i]] for i in indices]))
            np.testing.assert_allclose(batch["luma"], luma, atol=1e-5)
            np.testing.assert_allclose(batch["chroma"], chroma, atol=1e-5)
    for batch in loaded.validation(np.arange(8)):
        luma, chroma = as_batch(np.stack([pixels[loaded.names[i]] for i in batch["index"]]))
        np.testing.assert_allclose(batch["luma"], luma, atol=1e-5)
        np.testing.assert_allclose(batch["chroma"], chroma, atol=1e-5)


def test_half_of_the_crops_are_mirrored(squares):
    root, pixels = squares
    loaded = load(root, data__cache=False, data__scale_jitter=0.0, batch_size=1)
    count = len(loaded.train_indices)
    mirrored = []
    for step, batch in enumerate(take(loaded.train(), 6 * count)):
        order = balance.epoch_order(0, step // count, count, count)
        luma, _ = as_batch(pixels[loaded.names[loaded.train_indices[order[step % count]]]])
        errors = [np.abs(batch["luma"][0] - seen).max() for seen in (luma, luma[:, ::-1])]
        assert min(errors) < 1e-4
        mirrored.append(errors[1] < errors[0])
    assert 0.25 < np.mean(mirrored) < 0.75


def test_scale_jitter_sees_more_and_less_of_a_picture(tmp_path):
    """Told by a horizontal ramp: the less of it a crop shows, the less luma rises from its left to its right."""
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    rgb = np.stack([np.tile(ramp, (64, 1)), np.full((64, 64), 30, np.uint8), np.full((64, 64), 30, np.uint8)], axis=-1)
    for i in range(5):
        save(tmp_path / f"{i}.png", rgb)
    rises = {}
    for jitter in (0.0, 1.0):
        loaded = load(tmp_path, data__cache=False, data__scale_jitter=jitter, data__flip=False)
        chroma = np.concatenate([batch["chroma"][..., 0] for batch in take(loaded.train(), 8)])
        rises[jitter] = chroma[:, 16, -1] - chroma[:, 16, 0]
    assert np.ptp(rises[0.0]) < 1e-6
    assert np.ptp(rises[1.0]) > 0.3 * rises[0.0][0] and rises[1.0].max() <= rises[0.0][0] + 0.02


# The operations on one picture, as they are and inside tf.data


@pytest.fixture(params=["eagerly", "in tf.data"])
def run(request):
    """A function (operation, image, seeds) -> the operation's result for each seed as NumPy, computed in one of two ways."""
    import tensorflow as tf

    def eagerly(operation, image, seeds):
        results = [operation(tf.constant(image), tf.constant([3, seed], tf.int64)) for seed in seeds]
        return [tf.nest.map_structure(lambda tensor: tensor.numpy(), result) for result in results]

    def in_tf_data(operation, image, seeds):
        unknown = tf.TensorSpec([None, None, 3], image.dtype)  # as in the pipeline, where each picture has its own size
        images = tf.data.Dataset.from_generator(lambda: [image] * len(seeds), output_signature=unknown)
        rows = tf.data.Dataset.from_tensor_slices([np.array([3, seed], np.int64) for seed in seeds])
        examples = tf.data.Dataset.zip(images, rows).map(operation, tf.data.AUTOTUNE, deterministic=True)
        return list(examples.as_numpy_iterator())

    return eagerly if request.param == "eagerly" else in_tf_data


def random_crops(run, image, size, seeds, flip=False):
    from colorjax.data import ops

    return run(lambda image, seed: ops.random_crop(image, size, seed, flip), image, seeds)


def centre_crop(run, image, size):
    from colorjax.data import ops

    return run(lambda image, _: ops.centre_crop(image, size), image, [0])[0]


def coordinates(height, width):
    """A picture whose pixels say where they are: red the row, green the column."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return np.stack([rows, columns, np.full_like(rows, 7)], axis=-1)


def test_random_crops_lie_anywhere_and_have_every_scale(run):
    image, size = coordinates(20, 34), 16
    sides, tops, lefts = set(), set(), set()
    for crop in random_crops(run, image, size, range(60)):
        assert crop.shape == (size, size, 3) and crop.dtype == np.float32
        rows, columns = crop[..., 0].mean(1) * 255, crop[..., 1].mean(0) * 255
        assert 0 <= rows[0] < rows[-1] <= 19 and 0 <= columns[0] < columns[-1] <= 33
        scale = np.diff(columns[3:-3]).mean()
        assert np.diff(rows[3:-3]).mean() == pytest.approx(scale, abs=0.01)  # a square
        side, top, left = round(scale * size), round(rows[0]), round(columns[0])
        if side == size:  # nothing is resampled
            np.testing.assert_array_equal(crop, image[top : top + size, left : left + size].astype(np.float32) / 255)
        sides.add(side)
        tops.add(top)
        lefts.add(left)
    assert sides == {16, 17, 18, 19, 20}
    assert tops >= {0, 1, 2, 3} and min(lefts) <= 1 and max(lefts) >= 15


def test_random_crops_are_decided_by_the_seed(run):
    one, again, other = random_crops(run, coordinates(40, 50), 16, [1, 1, 2], flip=True)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_mirroring_changes_nothing_else(run):
    image, mirrored = coordinates(20, 20), 0
    plain, flipped = (random_crops(run, image, 16, range(24), flip) for flip in (False, True))
    for crop, other in zip(plain, flipped, strict=True):
        same, turned = np.array_equal(other, crop), np.array_equal(other, crop[:, ::-1])
        assert same != turned
        mirrored += turned
    assert 5 < mirrored < 19


@pytest.mark.parametrize("height, width", [(9, 30), (1, 1), (16, 8)])
def test_pictures_smaller_than_a_crop_are_enlarged(run, height, width):
    image = coordinates(height, width)
    for crop in (*random_crops(run, image, 16, range(3)), centre_crop(run, image, 16)):
        assert crop.shape == (16, 16, 3) and 0 <= crop.min() <= crop.max() <= 1
        np.testing.assert_allclose(crop[..., 2] * 255, 7, atol=1e-4)


@pytest.mark.parametrize("height, width, top, left", [(16, 16, 0, 0), (16, 27, 0, 5), (21, 16, 2, 0)])
def test_centre_crop_is_the_middle(run, height, width, top, left):
    image = coordinates(height, width)
    expected = image[top : top + 16, left : left + 16].astype(np.float32) / 255
    np.testing.assert_array_equal(centre_crop(run, image, 16), expected)


def test_centre_crop_shrinks_without_a_shift(run):
    crop = centre_crop(run, coordinates(32, 48), 16)
    np.testing.assert_allclose(crop[..., 0] * 255, np.tile(np.arange(0.5, 32, 2)[:, None], (1, 16)), atol=1e-3)
    np.testing.assert_allclose(crop[..., 1] * 255, np.tile(np.arange(8.5, 40, 2)[None], (16, 1)), atol=1e-3)


def test_lab_example_is_the_colour_code(run):
    from colorjax.data import ops

    rgb = np.random.default_rng(0).random((16, 24, 3), np.float32)
    rgb[0, :8] = np.array(list(itertools.product([0, 1], repeat=3)), np.float32)  # the corners of sRGB
    (example,) = run(lambda rgb, _: ops.lab_example(rgb), rgb, [0])
    lab = color.rgb_to_lab(rgb.astype(np.float64))
    for key, expected in (("luma", (lab[..., :1] - 50) / 50), ("chroma", lab[..., 1:] / 110)):
        assert example[key].dtype == np.float32
        np.testing.assert_allclose(example[key], expected, atol=2e-5)
    assert set(example) == {"luma", "chroma"} and np.abs(example["chroma"]).max() < 1


# Sources that are wrong


def test_unknown_source():
    with pytest.raises(ValueError, match=r"data\.source='url' is unknown; legal are tfds, folder, sample"):
        data.load(settings(data__source="url"))


@pytest.mark.parametrize("directory", ["", "nowhere", "a file.jpg"])
def test_missing_folder(tmp_path, monkeypatch, directory):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a file.jpg", colourful(0))
    with pytest.raises(ValueError, match=rf"data\.dir='{directory}' is not a folder"):
        load(directory)


def test_pictures_that_are_passed_over_are_named(tmp_path):
    for name in ("a.NEF", "b/c.nef", "d.gif", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    raw = r"passed over: 1 GIFs \(save them as PNG\), 1 other files, 2 raw files of cameras \(develop them to TIFF\)"
    with pytest.raises(ValueError, match=rf"holds no photographs .*; {raw}$"):
        load(tmp_path)
    save(tmp_path / "a.png", colourful(0, SIZE, SIZE))
    assert re.search(rf"\n{raw}$", workdirs.describe_data(load(tmp_path, data__cache=False).report))


def test_empty_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("no photographs")
    with pytest.raises(ValueError, match=r"data\.source=folder holds no photographs \(data\.dir='.*'\)"):
        load(tmp_path)


def test_bundled_sample():
    loaded = data.load(settings(data__source="sample", data__cache=False), progress=False)
    assert loaded.report["train"] == {"all": 96, "objects": 32, "people": 32, "scenery": 32}
    assert loaded.report["validation"] == {"all": 2, "animals": 1, "objects": 1}
    assert {name.split("#")[0] for name in np.array(loaded.names)[loaded.validation_indices]} == {"coffee.png", "chelsea.png"}
    assert all(batch["mask"].all() for batch in take(loaded.train(), 1))


# TensorFlow Datasets


def load_tfds(names, directory="", **changes):
    options = {"data__cache": False} | changes
    return data.load(settings(data__source="tfds", data__names=names, data__dir=str(directory), **options), progress=False)


@pytest.fixture
def tfds():
    import tensorflow_datasets

    return tensorflow_datasets


def test_mocked_tfds_of_two_groups(tfds):
    """TFDS's own mock: noise of 5 to 49 pixels where a data set leaves the size open."""
    with tfds.testing.mock_data(num_examples=6):
        loaded = load_tfds("people=lfw:train[:4600], animals=oxford_iiit_pet:train+test[:1200]")
        assert loaded.report["found"] == 12 and loaded.groups == ("animals", "people")
        assert set(loaded.report["left_out"]) <= {"tiny"} and loaded.report["kept"] >= 6
        batch = next(loaded.train())
        assert batch["luma"].shape == (4, SIZE, SIZE, 1) and batch["mask"].all()
        assert sorted(visited(loaded.validation())) == loaded.validation_indices.tolist()


def test_tfds_groups_splits_and_pictures(tfds):
    """Data sources of realistic pictures; the group defaults to the data set's name and the split to train."""
    asked, made = [], [{"image": colourful(i, 40, 50), "label": 0} for i in range(7)]

    def as_data_source(builder, split=None, **_):
        asked.append((builder.name, split))
        return made if builder.name == "lfw" else made[:3]

    with tfds.testing.mock_data(as_data_source_fn=as_data_source):
        loaded = load_tfds("people=lfw:test[10:20],oxford_iiit_pet", data__val_fraction=0.3)
    assert asked == [("lfw", "test[10:20]"), ("oxford_iiit_pet", "train")]
    assert loaded.store.source.groups == ["people"] * 7 + ["oxford_iiit_pet"] * 3
    assert len(set(loaded.names)) == 10 and loaded.report["kept"] == 10
    compared = 0
    for batch in loaded.validation(np.arange(10)):
        for index, luma in zip(batch["index"], batch["luma"], strict=True):
            if index < 0 or loaded.store.short_sides[index] != SIZE:
                continue
            pixels = Image.fromarray(made[index % 7]["image"]).resize((40, 32), Image.Resampling.BICUBIC)
            np.testing.assert_allclose(luma, as_batch(np.asarray(pixels)[:, 4:36])[0], atol=1e-4)
            compared += 1
    assert compared >= 2


def test_grey_tfds_pictures_are_left_out(tfds):
    with tfds.testing.mock_data(num_examples=3):
        assert load_tfds("mnist").report["left_out"] == {"grey": 3}


def test_damaged_tfds_records_are_left_out(tfds):
    class Damaged(list):
        def __getitem__(self, position):
            if position == 1:
                raise OSError("a damaged record")
            return super().__getitem__(position)

    made = Damaged({"image": colourful(i)} for i in range(4))
    with tfds.testing.mock_data(as_data_source_fn=lambda *_, **__: made):
        report = load_tfds("lfw").report
    assert report["left_out"] == {"damaged": 1} and "a damaged record" in report["files_left_out"][0]["detail"]


def test_tfds_pictures_that_are_not_8_bit_are_left_out(tfds):
    made = [{"image": colourful(i).astype(np.uint16) * 257} for i in range(2)] + [{"image": colourful(2)}]
    with tfds.testing.mock_data(as_data_source_fn=lambda *_, **__: made):
        assert load_tfds("lfw").report["left_out"] == {"not supported": 2}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A real TFDS data set of six pictures in a train and two in a test split, written as ArrayRecord; its folder."""
    pytest.importorskip("array_record", reason="TFDS reads at random from ArrayRecord files alone")
    import tensorflow_datasets as tfds

    class TinyPhotos(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            image = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"image": image}))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(range(6)), "test": self._generate_examples(range(6, 8))}

        def _generate_examples(self, numbers):
            for number in numbers:
                yield number, {"image": colourful(number, SIZE, SIZE)}

    directory = tmp_path_factory.mktemp("tfds")
    TinyPhotos(data_dir=directory, file_format="array_record").download_and_prepare()
    return directory


def lumas_of(loaded, indices):
    return [row for batch in loaded.validation(indices) for row, mask in zip(batch["luma"], batch["mask"], strict=True) if mask]


def test_prepared_tfds_data_set_with_slices(prepared):
    """Splits and slices as TFDS writes them; each picture comes as it was stored."""
    loaded = load_tfds("a=tiny_photos:train[:4],b=tiny_photos:test", prepared, data__scale_jitter=0.0)
    assert loaded.report["found"] == loaded.report["kept"] == 6
    assert loaded.store.source.groups == ["a"] * 4 + ["b"] * 2
    known = [as_batch(colourful(number, SIZE, SIZE))[0] for number in range(8)]
    found = [int(np.argmin([np.abs(luma - other).max() for other in known])) for luma in lumas_of(loaded, np.arange(6))]
    assert len(set(found[:4])) == 4 and set(found[:4]) <= set(range(6)) and set(found[4:]) == {6, 7}
    for luma, number in zip(lumas_of(loaded, np.arange(6)), found, strict=True):
        np.testing.assert_allclose(luma, known[number], atol=1e-4)
    assert next(loaded.train())["mask"].all()


def test_a_larger_slice_moves_no_picture_to_the_other_side(prepared):
    one, two = (load_tfds(f"a=tiny_photos:train[{part}]", prepared) for part in (":4", ":5"))
    assert one.names == two.names[:4]


def test_tfds_without_names():
    with pytest.raises(ValueError, match=r"data\.names is empty; .*people=lfw:train"):
        load_tfds(" , ")


def test_unknown_tfds_data_set(tfds):
    with tfds.testing.mock_data(), pytest.raises(ValueError, match="TFDS knows no data set 'photos_of_nobody'"):
        load_tfds("people=photos_of_nobody:train")


def test_tfds_data_set_without_pictures(tfds):
    with tfds.testing.mock_data(), pytest.raises(ValueError, match="data set 'iris' has no picture in it"):
        load_tfds("iris")


def test_unknown_split_of_a_tfds_data_set(prepared):
    with pytest.raises(RuntimeError, match=r"TFDS could not provide 'tiny_photos' \(dev\): .*dev"):
        load_tfds("tiny_photos:dev", prepared)


def test_failed_tfds_download_says_what_to_do(tfds, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ConnectionError("HTTPSConnectionPool(host='example.org'):\n  Max retries exceeded")

    with tfds.testing.mock_data():
        monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
        with pytest.raises(RuntimeError) as error:
            load_tfds("lfw:train[:5]", tmp_path)
    first, second = str(error.value).split("\n")
    assert "'lfw' (train[:5])" in first and "ConnectionError" in first and "Max retries exceeded" in first
    assert "--config.data.source=folder --config.data.dir=FOLDER" in second


def test_validation_on_photographs_of_other_sources(folder, tmp_path):
    """All of data.dir is trained on; of val_dir those under val_fraction are validated on, and no others are looked at: not
    those that benchmarks/quality/sets.py keeps for the end."""
    from benchmarks.quality import sets

    fill(tmp_path / "others", {"people": 12, "streets": 8}, first=50)
    loaded = load(folder, data__val_dir=str(tmp_path / "others"), data__val_fraction=0.5)
    names = np.array(loaded.names)
    train, validation = names[loaded.train_indices], names[loaded.validation_indices]
    assert len(train) == 23 and not any(name.startswith(sources.VALIDATION) for name in train)
    others = [path.relative_to(tmp_path / "others").as_posix() for path in (tmp_path / "others").rglob("*.png")]
    choosing = [truth.relative_to(tmp_path / "others") for truth, *_ in sets.pairs(str(tmp_path / "others"), "choosing", 1)]
    assert sorted(validation) == [sources.VALIDATION + name.as_posix() for name in choosing]
    final = [truth.relative_to(tmp_path / "others") for truth, *_ in sets.pairs(str(tmp_path / "others"), "final", 1)]
    assert sorted(name.as_posix() for name in choosing + final) == sorted(others)
    assert 4 < len(validation) < 16 and set(loaded.groups) == {"animals", "people", "scenery", "streets"}
    batch = next(loaded.validation())
    first = validation[0].removeprefix(sources.VALIDATION)
    with Image.open(tmp_path / "others" / first) as image:
        middle = np.asarray(image.convert("RGB"), np.float32)[24, 30] / 255
    np.testing.assert_allclose(batch["luma"][0, 16, 16, 0] * 50 + 50, color.rgb_to_lab(middle)[0], atol=8)
    with pytest.raises(ValueError, match=r"holds no photograph whose hash is under data\.val_fraction=1e-09"):
        load(folder, data__val_dir=str(tmp_path / "others"), data__val_fraction=1e-9)
    with pytest.raises(ValueError, match=r"data\.val_dir='nowhere' is not a folder"):
        load(folder, data__val_dir="nowhere")


def test_the_same_photographs_are_not_on_both_sides(folder, tmp_path):
    """Neither where one folder lies in the other, nor by a link."""
    (tmp_path / "link").symlink_to(folder / "people")
    for one, other in ((folder, folder / "people"), (folder / "people", folder), (folder, folder), (folder, tmp_path / "link")):
        with pytest.raises(ValueError, match="hold the same photographs: what is validated on must not be trained on"):
            load(one, data__val_dir=str(other), data__val_fraction=0.5)


def test_photographs_that_a_source_would_not_look_at_are_refused(folder, tmp_path):
    """Else a training that was to be of one's own photographs would be of others, or TFDS would put its data among them."""
    for source, key in (("sample", "dir"), ("sample", "val_dir"), ("tfds", "dir"), ("tfds", "val_dir")):
        config = settings(data__source=source, data__names="lfw", **{f"data__{key}": str(folder)})
        with pytest.raises(ValueError, match=rf"data\.{key}=.* would not be looked at .* --config\.data\.source=folder"):
            sources.make(config)
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "extracted.jpg").touch()  # as TFDS leaves them
    with pytest.raises(ValueError, match=r"data\.names is empty"):
        sources.make(settings(data__source="tfds", data__names="", data__dir=str(tmp_path)))
