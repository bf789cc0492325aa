"""A folder with everything in it that can be wrong with a file: what is said of it, and that nothing of it moves the others."""

import io
import itertools
import json
import os
import struct
import zlib
from collections import Counter
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from helpers.albums import assert_equal, colourful, save, take
from helpers.room import little_room
from helpers.tiny import config as tiny
from PIL import Image

import train
from colorjax import checkpoint, data, photos
from colorjax.data import sources
from colorjax.evaluation import evaluators
from colorjax.evaluation.history import read_rows
from colorjax.photos import PhotoError
from colorjax.training import runs, workdirs
from configs import base

pytestmark = pytest.mark.usefixtures("quick_compile")
LOCKED = "locked"  # what begins like this may not be read, whoever runs the tests: the system's answer is put in its place


@pytest.fixture(autouse=True)
def locks(monkeypatch):
    scandir, access = os.scandir, os.access

    def refused(path):
        return not isinstance(path, int) and Path(os.fsdecode(path)).name.startswith(LOCKED)

    def guarded(function):
        def call(path=".", *args):
            if refused(path):
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *args)

        return call

    monkeypatch.setattr(os, "scandir", guarded(scandir))
    monkeypatch.setattr(os, "access", lambda path, *args, **kw: not refused(path) and access(path, *args, **kw))
    monkeypatch.setattr(photos.reading, "open", guarded(open), raising=False)


def settings(root, **changes):
    folder = {"data__source": "folder", "data__dir": str(root), "data__min_size": 24, "data__val_fraction": 0.25}
    return tiny(**{"batch_size": 4, "model__name": "shallow", **folder, **changes})


def load(root, **changes):
    return data.load(settings(root, **changes), progress=False)


def tint(red, blue, seed):
    """Pixels between grey and one colour, (48, 60, 3) uint8."""
    light = colourful(seed)[..., :1].astype(int)
    return np.clip(light + np.array([red, 0, blue]), 0, 255).astype(np.uint8)


def good(root):
    """16 pictures in two groups, half of them warm, half cool; the paths of their names."""
    for i in range(16):
        save(root / "ab"[i % 2] / f"m{i:02}.png", tint(*((60, -60) if i % 4 < 2 else (-60, 60)), i))
    return {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*.png"))}


def encoded(file_format, pixels=None, mode=None):
    """The bytes of a file; without `pixels` of a noisy picture, which takes many of them."""
    stream = io.BytesIO()
    if pixels is None:
        pixels = colourful(1, 96, 96) // 2 + np.random.default_rng(0).integers(0, 99, (96, 96, 3), np.uint8)
    if file_format == "deep PNG":
        return imagecodecs.png_encode(pixels.astype(np.uint16) * 257)
    if file_format == "deep TIFF":
        tifffile.imwrite(stream, pixels.astype(np.uint16) * 257, photometric="rgb")
        return stream.getvalue()
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(stream, *file_format.split(" ")[:1], **OPTIONS.get(file_format, {}))
    return stream.getvalue()


OPTIONS = {
    "TIFF LZW": {"compression": "tiff_lzw"},
    "JPEG progressive": {"progressive": True},
    "WEBP lossless": {"lossless": True},
}


def broken_png(name="PNG"):
    """All bytes are there, but those of the pixels are no deflate stream."""
    whole = encoded(name)
    start = whole.index(b"IDAT")
    size = struct.unpack(">I", whole[start - 4 : start])[0]
    chunk = b"IDAT" + bytes(255 - byte for byte in whole[start + 4 : start + 4 + size])
    return whole[:start] + chunk + struct.pack(">I", zlib.crc32(chunk)) + whole[start + 8 + size :]


def declaring(side):
    """A JPEG of a few bytes that declares side x side pixels."""
    whole = bytearray(encoded("JPEG"))
    start = whole.index(b"\xff\xc0") + 5
    whole[start : start + 4] = struct.pack(">HH", side, side)
    return bytes(whole)


def damage(root):
    """Files of every kind that cannot be used, at least two of each and among the good ones; {name: reason}, others beside."""
    big = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    big += struct.pack(">I", zlib.crc32(big[12:])) + b"\0\0\0\0IEND\xaeB`\x82"
    made = {
        "empty": {"a/a0.jpg": b"", "b/z0.png": b""},
        "truncated": {f"{'ab'[i % 2]}/m0{i}cut.{f.lower()}": encoded(f)[:3000]
                      for i, f in enumerate(("JPEG", "PNG", "WEBP", "AVIF"))},
        "too large": {"a/m00big.jpg": declaring(30000), "b/huge.png": big},
        "not a picture": {"a/text.jpg": b"these are no pixels", "c/page.tif": b"<html></html>"},
        "damaged": {"a/m05broken.png": broken_png(), "b/broken.png": broken_png()},
        "grey": {"a/grey.jpg": encoded("JPEG", colourful(92)[..., 0]), "b/m03grey.png": encoded("PNG", tint(0, 0, 3)),
                 "b/deep grey.png": encoded("PNG", colourful(94)[..., 0].astype(np.uint16) * 257)},
        "tiny": {"a/1x1.png": encoded("PNG", tint(60, -60, 0)[:1, :1]), "b/1x1.jpg": encoded("JPEG", tint(60, -60, 0)[:1, :1]),
                 "b/strip.jpg": encoded("JPEG", np.repeat(tint(60, -60, 0)[:20, :1], 30000, axis=1))},
        "no permission": {f"a/{LOCKED}.png": encoded("PNG"), f"b/{LOCKED} too.jpg": encoded("JPEG")},
    }  # fmt: skip
    for path, content in [pair for files in made.values() for pair in files.items()]:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content)
    for locked in made["no permission"]:
        (root / locked).chmod(0)
    (root / f"{LOCKED} group").mkdir()
    (root / "a" / "m02 dangling.jpg").symlink_to(root / "nowhere.jpg")
    (root / "b" / "loop.jpg").symlink_to(root / "b" / "loop.jpg")
    os.mkfifo(root / "b" / "pipe.jpg")
    (root / "b" / "a folder.jpg").mkdir()
    for other in ("a/m06.txt", "b/no suffix", ".hidden.jpg"):
        (root / other).write_bytes(encoded("JPEG"))
    reasons = {path: reason for reason, files in made.items() for path in files}
    reasons |= dict.fromkeys(["a/m02 dangling.jpg", "b/loop.jpg"], "missing")
    return reasons | {"b/pipe.jpg": "not a picture", f"{LOCKED} group": "no permission"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    root = tmp_path_factory.mktemp("clean")
    good(root)
    return root


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """The pictures of `clean` with all that damage among them; and {name: reason} of it."""
    root = tmp_path_factory.mktemp("seeded")
    good(root)
    return root, damage(root)


# What is said of them


@pytest.mark.parametrize("cache", [True, False])
def test_each_kind_is_counted_and_each_file_is_listed(seeded, tmp_path, cache):
    root, reasons = seeded
    for _ in range(2):  # the second time from the cache, where there is one
        report = load(root, data__cache=cache, data__cache_dir=str(tmp_path)).report
        assert {row["name"]: row["reason"] for row in report["files_left_out"]} == reasons
        assert report["left_out"] == Counter(reasons.values()) and min(report["left_out"].values()) >= 2
        assert set(report["left_out"]) == {*photos.PROBLEMS, "tiny", "grey"} - {"not supported"}
        assert all(row["detail"] for row in report["files_left_out"])
        assert report["passed_over"] == 3 and report["kept"] == 16 and report["found"] == 16 + len(reasons)
    assert "passed over: 3 other files" in workdirs.describe_data(report)


@pytest.mark.parametrize("cache", [True, False])
def test_unusual_pictures_are_trained_on_and_counted(tmp_path, cache):
    strip = colourful(8, 100, 30000)
    files = {
        "cmyk.jpg": encoded("JPEG", colourful(1), "CMYK"),
        "cmyk.tif": encoded("TIFF", colourful(2), "CMYK"),
        "deep.png": encoded("deep PNG", colourful(3)),
        "deep.tif": encoded("deep TIFF", colourful(4)),
        "a png.jpg": encoded("PNG", colourful(5)),
        "a jpeg.PNG": encoded("JPEG", colourful(6)),
        "strip.jpg": encoded("JPEG", strip),
        "strip.png": encoded("PNG", np.ascontiguousarray(strip.transpose(1, 0, 2))),
        "usual.JPG": encoded("JPEG", colourful(7)),
        "usual.tiff": encoded("TIFF", colourful(9)),
    }
    root = tmp_path / "photographs"
    root.mkdir()
    for name, content in files.items():
        (root / name).write_bytes(content)
    for _ in range(2):  # the second time from the cache, where there is one
        loaded = load(root, data__cache=cache, data__cache_dir=str(tmp_path / "cache"))
        assert loaded.report["kept"] == len(files) and not loaded.report["left_out"]
        assert loaded.report["kept_kinds"] == {"CMYK": 2, "over 8 bits": 2, "another suffix": 2, "longer than 2:1": 2}
        assert all(batch["mask"].all() for batch in take(loaded.train(), loaded.steps_per_epoch)) and not loaded.lost


@pytest.mark.filterwarnings("ignore")  # Pillow's own, of damaged TIFFs
@pytest.mark.parametrize(
    "name", ["JPEG", "JPEG progressive", "PNG", "deep PNG", "WEBP", "WEBP lossless", "BMP", "TIFF LZW", "deep TIFF", "AVIF"]
)
def test_a_file_that_is_cut_is_called_truncated(name):
    """Wherever it ends behind its header, as long as anything is missing."""
    whole = encoded(name)
    kinds = Counter()
    for length in np.linspace(0.1, 0.98, 23) * len(whole):
        with pytest.raises(PhotoError) as caught:
            photos.read_rgb(whole[: int(length)])
        kinds[caught.value.kind] += 1
    assert kinds == {"truncated": 23}


@pytest.mark.parametrize("name", ["PNG", "deep PNG"])
def test_a_whole_file_with_wrong_bytes_is_called_damaged(name):
    whole = broken_png(name)
    with pytest.raises(PhotoError) as caught:
        photos.read_rgb(whole)
    assert caught.value.kind == "damaged"


def test_the_kind_of_a_page_is_that_of_what_is_wrong_with_it(tmp_path):
    stream = io.BytesIO()
    pictures = [Image.fromarray(colourful(i)) for i in range(3)]
    pictures[0].save(stream, "TIFF", save_all=True, append_images=pictures[1:])
    (tmp_path / "a.tif").write_bytes(stream.getvalue()[:-4000])
    with pytest.raises(PhotoError, match="page 3") as caught:
        list(photos.pages(tmp_path / "a.tif"))
    assert caught.value.kind == "truncated"


def test_what_is_too_large_costs_neither_time_nor_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)  # each thread has room of its own
    for i in range(4):
        (tmp_path / f"big{i}.jpg").write_bytes(declaring(30000))
        (tmp_path / f"strip{i}.jpg").write_bytes(encoded("JPEG", colourful(i, 100, 30000)))
    load(tmp_path, data__cache=False)  # imports TensorFlow
    with little_room():
        loaded = load(tmp_path, data__cache=False)
    assert loaded.report["left_out"] == {"too large": 4} and loaded.report["kept"] == 4
    assert "too many pixels to decode safely" in loaded.report["files_left_out"][0]["detail"]


# That they move no other


@pytest.mark.parametrize("balance", ["none", "temperature", "histogram"])
def test_the_order_of_the_others_stays_bit_by_bit(clean, seeded, balance):
    plain, among = (load(root, data__balance=balance, data__cache=False) for root in (clean, seeded[0]))
    assert plain.report["digest"] == among.report["digest"] and plain.report["balance"] == among.report["balance"]
    steps = 2 * plain.steps_per_epoch
    assert steps == 2 * among.steps_per_epoch > 4
    batches = take(plain.train(), steps)
    assert_equal(take(among.train(), steps), batches)
    assert not np.array_equal(*(np.stack([b["luma"] for b in half]) for half in (batches[: steps // 2], batches[steps // 2 :])))
    for ours, theirs in zip(among.validation(), plain.validation(), strict=True):
        assert_equal([{**ours, "index": 0 * ours["index"]}], [{**theirs, "index": 0 * theirs["index"]}])
    np.testing.assert_array_equal(plain.ab_counts, among.ab_counts)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_damage_does_not_choose_what_a_small_set_is_validated_on(tmp_path, count):
    """No hash is under the fraction but those of damaged files; nor does one of them with the smallest stand for a good one."""
    names = sorted((f"{i:03}.png" for i in range(200)), key=sources.unit_hash)
    kept, fraction = names[50 : 50 + count], sources.unit_hash(names[25])
    sides = []
    for number, bad in enumerate(([], names[30:33], names[:3])):
        root = tmp_path / str(number)
        for name in kept:
            save(root / name, colourful(names.index(name)))
        for name in bad:
            (root / name).write_bytes(b"")
        loaded = load(root, data__val_fraction=fraction)
        assert all(min(loaded.store.load(i).shape[:2]) == 32 for i in loaded.validation_indices)  # not that of a training one
        assert loaded.report["kept"] == count and loaded.report["left_out"] == ({"empty": 3} if bad else {})
        sides.append(([loaded.names[i] for i in loaded.validation_indices], take(loaded.train(), 3), list(loaded.validation())))
    for validated, training, validation in sides:
        assert validated == sides[0][0] == (kept[:1] if count > 1 else [])
        assert_equal(training, sides[0][1])
        for ours, theirs in zip(validation, sides[0][2], strict=True):
            np.testing.assert_array_equal(ours["luma"], theirs["luma"])


# What is lost on the way


def places(loaded, epoch):
    """Names by (step, place in the batch) of an epoch."""
    indices = loaded.train_indices[loaded.order(epoch)].reshape(loaded.steps_per_epoch, -1)
    return np.array(loaded.names)[indices]


@pytest.mark.parametrize("balance", ["none", "temperature"])
def test_what_is_lost_between_two_epochs_leaves_the_others_as_they_were(tmp_path, balance):
    files = good(tmp_path)
    loaded = load(tmp_path, data__cache=False, data__balance=balance)
    steps = loaded.steps_per_epoch
    before = take(loaded.train(), 2 * steps)
    assert not loaded.lost and all(batch["mask"].all() for batch in before)
    gone, cut, unseen = (loaded.names[i] for i in (*loaded.train_indices[[2, 5]], loaded.validation_indices[0]))
    files[gone].unlink()
    files[unseen].unlink()
    files[cut].write_bytes(files[cut].read_bytes()[:200])
    expected = {gone: "missing", cut: "truncated"}
    for old, new, names in zip(before[steps:], take(loaded.train(steps), steps), places(loaded, 1), strict=True):
        there = ~np.isin(names, list(expected))
        np.testing.assert_array_equal(new["mask"], there)
        for key in ("luma", "chroma"):
            np.testing.assert_array_equal(new[key][there], old[key][there], strict=True)
            assert np.isfinite(new[key]).all()
    assert {name: kind for name, (kind, _) in loaded.lost.items()} == expected
    assert loaded.lost[gone] == ("missing", "the file is not there") and loaded.lost[cut][1]
    assert sum(batch["mask"].sum() for batch in loaded.validation()) == len(loaded.validation_indices) - 1
    assert loaded.lost[unseen][0] == "missing" and len(loaded.lost) == 3


def test_what_is_cached_is_not_lost_but_without_its_file_the_cache_must_be_whole(tmp_path):
    files = good(tmp_path / "photographs")
    loaded = load(tmp_path / "photographs", data__cache=True, data__cache_dir=str(tmp_path / "cache"))
    steps = loaded.steps_per_epoch
    before = take(loaded.train(), steps)
    cut, gone = (loaded.names[i] for i in loaded.train_indices[:2])
    files[gone].unlink()
    assert_equal(take(loaded.train(), steps), before)
    assert not loaded.lost
    for name in (cut, gone):
        path = loaded.store._path(loaded.names.index(name))
        path.write_bytes(path.read_bytes()[:-1])
    for old, new, names in zip(before, take(loaded.train(), steps), places(loaded, 0), strict=True):
        np.testing.assert_array_equal(new["mask"], names != gone)
        np.testing.assert_array_equal(new["luma"][names != gone], old["luma"][names != gone])
    assert list(loaded.lost) == [gone]


def test_the_example_is_of_what_is_left(tmp_path):
    files = good(tmp_path)
    loaded = load(tmp_path, data__cache=False)
    for index in loaded.validation_indices:
        files[loaded.names[index]].unlink()
    np.testing.assert_array_equal(loaded.example(), photos.read_rgb(files[loaded.names[loaded.train_indices[0]]]))
    for index in loaded.train_indices:
        files[loaded.names[index]].unlink()
    with pytest.raises(PhotoError, match="no photograph can be read any more"):
        loaded.example()


# What the run tells of it


def test_lost_photographs_are_noted_once(tmp_path):
    path = tmp_path / "data_report.json"
    report = {"digest": "x", "kept": 3}
    path.write_text(json.dumps(report))
    assert workdirs.note_lost(tmp_path, {}) == "" and json.loads(path.read_text()) == report
    lost = {"b.jpg": ("truncated", "it ends"), "caf\udce9.jpg": ("missing", "not there"), "a.jpg": ("missing", "not there")}
    told = workdirs.note_lost(tmp_path, lost)
    assert told == "3 photographs can no longer be read (2 missing, 1 truncated), listed in data_report.json"
    noted = json.loads(path.read_text())
    assert noted.items() >= report.items() and noted["lost"] == {"missing": 2, "truncated": 1}
    assert noted["files_lost"][0] == {"name": "a.jpg", "reason": "missing", "detail": "not there"}
    assert [row["name"] for row in noted["files_lost"]] == sorted(lost)
    stamp = path.stat().st_mtime_ns
    assert workdirs.note_lost(tmp_path, dict(list(lost.items())[:2])) == "" and path.stat().st_mtime_ns == stamp
    told = workdirs.note_lost(tmp_path, {"c.jpg": ("empty", "an empty file")})
    assert told == "1 photograph can no longer be read (1 empty), listed in data_report.json"
    noted = json.loads(path.read_text())
    assert noted["lost"] == {"empty": 1, "missing": 2, "truncated": 1} and len(noted["files_lost"]) == 4


def after_an_epoch(folder, workdir, **changes):
    """A run on a folder, stopped after the first of two epochs; returns its settings."""
    train.train(settings(folder, epochs=1, data__cache=False, **changes), workdir)
    return settings(folder, data__cache=False, **changes)


def begun(folder, workdir, **changes):
    """What the workdir of a run on a folder tells of it, without the run; returns its settings."""
    config = settings(folder, data__cache=False, **changes)
    workdirs.claim(workdir, config, data.load(config, progress=False))
    (workdir / checkpoint.CHECKPOINTS / "1").mkdir(parents=True)
    return config


@pytest.mark.parametrize("balance", ["none", pytest.param("temperature", marks=pytest.mark.slow)])
def test_a_run_goes_on_without_files_that_are_gone_and_notes_them(tmp_path, balance, capsys):
    """Deleted before a restart is as deleted in the middle of an epoch: each other photograph keeps its place."""
    files = good(tmp_path / "photos")
    config = after_an_epoch(tmp_path / "photos", tmp_path / "run", data__balance=balance)
    whole = data.load(config, progress=False)
    gone = whole.names[whole.train_indices[0]]
    files[gone].rename(tmp_path / "kept")
    began = workdirs.began(tmp_path / "run", config, base.get_config())
    rest = data.load(config, progress=False, began=began)
    assert len(rest.train_indices) == len(whole.train_indices) and rest.lost == {gone: ("missing", rest.lost[gone][1])}
    steps = 2 * whole.steps_per_epoch
    (tmp_path / "kept").rename(files[gone])
    before = take(whole.train(), steps)
    files[gone].rename(tmp_path / "kept")
    for old, new in zip(before, take(rest.train(), steps), strict=True):
        here = new["mask"] == 1
        np.testing.assert_array_equal(new["luma"][here], old["luma"][here])
        np.testing.assert_array_equal(new["chroma"][here], old["chroma"][here])
    assert any((batch["mask"] == 0).any() for batch in take(rest.train(), steps))
    train.train(config, tmp_path / "run")
    assert "1 photograph can no longer be read (1 missing)" in capsys.readouterr().err
    report = json.loads((tmp_path / "run" / "data_report.json").read_text())
    assert report["lost"] == {"missing": 1} and report["kept"] == len(files)


def test_a_run_on_other_photographs_is_refused_with_the_difference(tmp_path):
    files = good(tmp_path / "photos")
    config = begun(tmp_path / "photos", tmp_path / "run")
    first, second, *others = sorted(files)
    Image.fromarray(255 - np.asarray(Image.open(files[first]).convert("RGB"))).save(files[first].with_suffix(".png"))
    files[first].with_suffix(".png").rename(files[first])
    extra = files[second].with_name("a new one.png")
    Image.open(files[second]).convert("RGB").save(extra)
    with pytest.raises(ValueError, match=r"photographs: 1 are new \(.*a new one.png\), 1 have changed \(") as error:
        train.train(config, tmp_path / "run")
    assert first in str(error.value)
    extra.unlink()
    for name in others:
        files[name].unlink()
    with pytest.raises(ValueError, match=rf"{len(others)} of {len(files)} are gone"):
        train.train(config, tmp_path / "run")


def test_without_colours_that_an_order_needs_a_run_cannot_go_on(tmp_path):
    files = good(tmp_path / "photos")
    config = begun(tmp_path / "photos", tmp_path / "run", data__balance="histogram")
    next(iter(files.values())).unlink()
    with pytest.raises(ValueError, match=r"1 photographs of this run are gone .* put them back"):
        train.train(config, tmp_path / "run")


def test_what_was_lost_is_noted_when_the_run_breaks_off(tmp_path, capsys):
    (tmp_path / "data_report.json").write_text("{}")
    lost = {}
    with pytest.raises(FloatingPointError), workdirs.telling_lost(tmp_path, lost) as tell:
        tell()
        lost["a"] = ("missing", "not there")
        raise FloatingPointError
    assert json.loads((tmp_path / "data_report.json").read_text())["lost"] == {"missing": 1}
    assert capsys.readouterr().err == "1 photograph can no longer be read (1 missing), listed in data_report.json\n"


def test_a_run_outlives_batches_of_which_nothing_is_left():
    """Their loss is 0, which no mean must show; that of nothing at all, or of nothing any more, stops it."""
    meter = runs.Meter(4)
    for step, lost in enumerate([0.5, *[1.0] * 9, 0.0], start=1):
        meter.add(step, {"loss": 3.0 * (lost < 1), "lost": lost})
    row = meter.report({})
    assert row["loss"] == 3 and row["lost"] == pytest.approx(9.5 / 11)
    for step in range(12, 21):
        meter.add(step, {"loss": 0.0, "lost": 1.0})
    assert meter.report({})["lost"] == 1
    meter.add(21, {"loss": 0.0, "lost": 1.0})
    with pytest.raises(OSError, match="step 21: none of its photographs can be read"):
        meter.report({})
    meter = runs.Meter(4, new=False)  # a start that goes on
    meter.add(7, {"loss": 0.0, "lost": 1.0})
    assert meter.report({})["lost"] == 1
    meter = runs.Meter(4)
    meter.add(1, {"loss": 0.0, "lost": 1.0})
    with pytest.raises(OSError, match="step 1: none of its photographs can be read"):
        meter.report({})


def lose_after_an_epoch(monkeypatch, paths, cut=()):
    """Take files away as soon as the first validation is over."""
    run, todo = evaluators.run, [*paths]

    def then(*args, **options):
        evaluation = run(*args, **options)
        for path in [*todo]:
            path.unlink() if path not in cut else path.write_bytes(path.read_bytes()[:200])
        todo.clear()
        return evaluation

    monkeypatch.setattr(evaluators, "run", then)


def read_no_further(monkeypatch):
    """Have each training batch read when it is asked for; how far tf.data reads ahead depends on the machine."""
    whole = data.Data.train
    monkeypatch.setattr(data.Data, "train", lambda self, first=0: (next(whole(self, step)) for step in itertools.count(first)))


def rows(workdir, kind):
    return [row for row in read_rows(workdir) if row["kind"] == kind]


@pytest.mark.slow
@pytest.mark.parametrize("cache", [False, True])
def test_training_goes_on_through_all_of_it(tmp_path, monkeypatch, capsys, cache):
    root, workdir = tmp_path / "photographs", tmp_path / "run"
    files = good(root)
    reasons = damage(root)
    config = settings(root, data__cache=cache, data__cache_dir=str(tmp_path / "cache"), log_every=1, epochs=3)
    read_no_further(monkeypatch)
    loaded = data.load(config, progress=False)
    steps = loaded.steps_per_epoch
    gone = [loaded.names[i] for i in (*loaded.train_indices[[1, 4]], loaded.validation_indices[0])]
    cut = loaded.names[loaded.train_indices[7]]
    lose_after_an_epoch(monkeypatch, [files[name] for name in (*gone, cut)], [files[cut]])
    measured = train.train(config, workdir)
    assert all(np.isfinite(list(row.values())[1:]).all() for row in rows(workdir, "train")) and np.isfinite(measured["l1"])
    assert [row["step"] for row in rows(workdir, "validation")] == [steps, 2 * steps, 3 * steps]
    assert (workdir / "checkpoints" / str(3 * steps)).is_dir() and (workdir / "example.png").stat().st_size > 0
    report = json.loads((workdir / "data_report.json").read_text())
    assert report["left_out"] == Counter(reasons.values()) and report["kept"] == 16
    said = capsys.readouterr().err.count("can no longer be read")
    if cache:
        assert "lost" not in report and said == 0 and rows(workdir, "train")[-1]["lost"] == 0
        return
    assert report["lost"] == {"missing": 3, "truncated": 1} and said in (1, 2)  # some may have been read ahead
    assert {row["name"]: row["reason"] for row in report["files_lost"]} == dict.fromkeys(gone, "missing") | {cut: "truncated"}
    assert all(row["detail"] for row in report["files_lost"])
    shares = [np.isin(names, [*gone, cut]).mean() for names in places(loaded, 2)]
    seen = [row["lost"] for row in rows(workdir, "train")]
    assert seen[:steps] == [0] * steps and seen[2 * steps :] == shares and sum(shares) > 0
    assert train.train(config, workdir) == pytest.approx(measured)  # a finished run, started again
    assert json.loads((workdir / "data_report.json").read_text()) == report


def test_a_run_goes_on_without_any_validation_photograph(tmp_path, monkeypatch, capsys):
    root, workdir = tmp_path / "photographs", tmp_path / "run"
    files = good(root)
    config = settings(root, data__cache=False)
    loaded = data.load(config, progress=False)
    held_out = [loaded.names[i] for i in loaded.validation_indices]
    lose_after_an_epoch(monkeypatch, [files[name] for name in held_out])
    measured = train.train(config, workdir)
    steps, told = loaded.steps_per_epoch, capsys.readouterr()
    assert [row["step"] for row in rows(workdir, "validation")] == [steps] and rows(workdir, "train")[-1]["step"] == 2 * steps
    assert measured["l1"] == rows(workdir, "validation")[0]["l1"]
    assert "epoch 2: no validation photograph can be read any more" in told.err
    assert (
        f"{len(held_out)} photographs can no longer be read ({len(held_out)} missing), listed in data_report.json" in told.err
    )
    assert checkpoint.load(workdir / "checkpoints" / str(2 * steps)).params
    with pytest.raises(evaluators.NothingToEvaluate, match="no photograph to evaluate on"):
        evaluators.run(lambda batch: {"l1": np.zeros(len(batch["luma"])), "chroma": 0}, loaded.validation(), dict, set())
