"""What makes a later start quick changes nothing: an index of facts, a roster in lines, versions that are looked up late."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers.albums import assert_equal, cache_files, colourful, fill, save, settings, take

from colorjax import data, photos
from colorjax.data import facts, listing, prepare, roster, sources
from colorjax.training import workdirs
from configs import base


@pytest.fixture(autouse=True)
def any_number_is_worth_an_index(monkeypatch):
    monkeypatch.setattr(prepare, "_WORTH", 1)


@pytest.fixture
def album(tmp_path):
    """11 pictures in two groups, of which one is grey and one is cut."""
    root = fill(tmp_path / "album", {"a": 5, "b": 4})
    save(root / "a" / "grey.png", colourful(9)[..., 0])
    save(root / "b" / "cut.png", colourful(8))
    (root / "b" / "cut.png").write_bytes((root / "b" / "cut.png").read_bytes()[:200])
    return root


def load(root, began=None, **changes):
    config = settings(data__dir=str(root), data__cache_dir=str(root.parent / "cache"), **changes)
    return data.load(config, progress=False, began=began)


def index_of(root):
    (path,) = (root.parent / "cache").glob("*.facts")
    return path


def refuse(*_, **__):
    raise AssertionError("a file was read although all is known of it")


# The index


def test_a_later_start_opens_no_photograph_and_no_cache_file(album, monkeypatch):
    first = load(album)
    stamp = index_of(album).stat().st_mtime_ns
    batches = take(first.train(), 3)
    (album / "b" / "cut.png").unlink()  # what cannot be read is tried each time
    with monkeypatch.context() as patch:
        patch.setattr(photos, "read_reduced", refuse)
        patch.setattr(prepare.Store, "_read", refuse)
        second = load(album)
    assert second.report["digest"] == first.report["digest"] and second.report["left_out"] == {"grey": 1}
    assert second.report["files_left_out"][0] == first.report["files_left_out"][0]
    assert second.report["kept_kinds"] == first.report["kept_kinds"]
    assert_equal(take(second.train(), 3), batches)
    assert index_of(album).stat().st_mtime_ns == stamp


@pytest.mark.parametrize("kind", ["missing", "empty", "cut", "another byte", "of before", "a row less"])
def test_a_damaged_index_costs_time_alone(album, kind):
    first = load(album)
    path = index_of(album)
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "empty": b"",
        "cut": whole[:middle],
        "another byte": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "of before": b"CJF0" + whole[4:],
    }
    if kind == "missing":
        path.unlink()
    elif kind == "a row less":  # another process, which knew less, was the last to write
        path.unlink()
        load(album, data__limit=4)
        assert len(path.read_bytes()) < len(whole)
    else:
        path.write_bytes(damaged[kind])
    second = load(album)
    assert second.report == first.report and path.read_bytes() == whole
    assert_equal(take(second.train(), 2), take(first.train(), 2))


def test_an_index_that_cannot_be_written_is_done_without(album):
    first = load(album)
    path = index_of(album)
    path.unlink()
    path.mkdir()
    assert load(album).report == first.report
    assert not list(path.parent.glob(".*.part"))


def test_cache_files_that_vanish_are_made_again(album):
    first = load(album)
    batches = take(first.train(), 3)
    crops = [path for path in cache_files(album.parent / "cache") if path.suffix == ".crop"]
    for path in crops:
        path.unlink()
    second = load(album)
    assert second.report == first.report
    assert_equal(take(second.train(), 3), batches)
    assert not second.lost and any(path.exists() for path in crops)


def test_a_changed_photograph_is_looked_at_anew(album):
    load(album)
    size = index_of(album).stat().st_size
    path = album / "a" / "000.png"
    path.write_bytes((album / "a" / "grey.png").read_bytes())
    os.utime(path, ns=(1, 1))
    changed = load(album)
    assert [row["name"] for row in changed.report["files_left_out"]] == ["a/000.png", "a/grey.png", "b/cut.png"]
    assert index_of(album).stat().st_size == size + facts._ENTRY.itemsize


def test_runs_of_other_sizes_and_limits_share_an_index(album):
    for changes in ({"data__limit": 4}, {"image_size": 40}, {"data__limit_per_group": 3}):
        plain = data.load(settings(data__dir=str(album), data__cache=False, **changes), progress=False)
        for _ in range(2):
            assert load(album, **changes).report == plain.report
    assert len({path for path in cache_files(album.parent / "cache") if path.suffix == ".facts"}) == 1


def test_an_index_is_whole_whoever_writes_it(tmp_path):
    path = tmp_path / "index"
    rng = np.random.default_rng(0)
    keys = [rng.integers(0, 2**63, (200, 2)).astype(np.uint64) for _ in range(4)]
    rows = [rng.integers(0, 99, 200 * facts.ROW.itemsize, np.uint8).view(facts.ROW) for _ in range(4)]
    starts = [facts.Index(path, 10_000) for _ in range(4)]

    def write(number):
        for _ in range(10):
            starts[number].add(keys[number], rows[number])
            starts[number] = facts.Index(path, 10_000)

    threads = [threading.Thread(target=write, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = facts.Index(path, 10_000)
    for number in range(4):
        known, found = last.look_up(keys[number])
        assert known.all() or not known.any()
        assert found.tobytes() == (rows[number].tobytes() if known.any() else b"")
    assert any(last.look_up(k)[0].all() for k in keys) and os.listdir(tmp_path) == ["index"]
    other = keys[0] ^ np.uint64(1)
    assert not last.look_up(other)[0].any() and len(last.look_up(keys[0][:0])[0]) == 0


def test_an_index_does_not_grow_without_end(tmp_path):
    for start in range(0, 100, 10):
        keys = np.stack([np.arange(start, start + 10)] * 2, axis=-1).astype("<u8")
        facts.Index(tmp_path / "few.facts", 30).add(keys, np.zeros(10, facts.ROW))
    known, _ = facts.Index(tmp_path / "few.facts", 30).look_up(keys)
    assert known.all() and (tmp_path / "few.facts").stat().st_size < 40 * 29


def test_another_form_of_the_cache_has_another_index(album, monkeypatch):
    load(album)
    monkeypatch.setattr(prepare, "MAGIC", b"CJX0")
    looked_at = []
    read = photos.read_reduced
    monkeypatch.setattr(photos, "read_reduced", lambda path, at_least: looked_at.append(path) or read(path, at_least))
    load(album)
    assert len(looked_at) >= 11


@pytest.mark.parametrize("text", ["{}", "[]", '{"train": {"a": 5}, "validation": {}}', "+ rows"])
def test_a_damaged_roster_is_said_to_be_damaged(album, tmp_path, text):
    photographs = load(album)
    workdirs.claim(tmp_path / "run", photographs.config, photographs)
    path = tmp_path / "run" / "photographs.json"
    path.write_text(path.read_text() + '"c": ["", "a", 5, 1.0, 1.0]\n' if text == "+ rows" else text)
    with pytest.raises(ValueError):
        roster.read(path)


def test_a_photograph_of_any_date_can_be_listed(album):
    far = 2**34 - 200
    os.utime(album / "a" / "000.png", (far, far))
    versions = list(listing.below(album).versions)
    assert len(versions) == len(set(versions)) == 11


def test_colours_are_not_in_the_index_and_are_still_known(album):
    first = load(album, data__balance="histogram")
    load(album)  # has an index
    second = load(album, data__balance="histogram")
    assert first.ab_counts.sum() == 4096 * len(first.train_indices)
    np.testing.assert_array_equal(second.ab_counts, first.ab_counts)
    np.testing.assert_array_equal(second.order(1), first.order(1))
    one, two = (load(album, data__balance="temperature", data__cache=cached) for cached in (False, True))
    np.testing.assert_array_equal(one.order(1), two.order(1))


# The roster


def began_run(root, workdir):
    """A run that has begun, as far as its data is concerned -> its settings and what it began with."""
    config = settings(data__dir=str(root), data__cache_dir=str(root.parent / "cache"))
    (workdir / "checkpoints" / "1").mkdir(parents=True, exist_ok=True)
    if not (workdir / "photographs.json").exists():
        workdirs.claim(workdir, config, load(root))
    return config, workdirs.began(workdir, config, base.get_config())


def expected_json(loaded):
    """What photographs.json has always said."""
    rows = {}
    for side, indices in (("train", loaded.train_indices), ("validation", loaded.validation_indices)):
        rows[side] = {}
        for i in indices.tolist():
            one = prepare.Store.facts(loaded.store, i)
            numbers = [one.short_side, round(float(one.chroma), 3), round(float(one.mean_b), 3)]
            rows[side][loaded.names[i]] = [loaded.store.source.versions[i], loaded.store.source.groups[i], *numbers]
    return rows


def test_a_run_of_before_a_key_was_goes_on_with_its_default(album, tmp_path):
    began_run(album, tmp_path / "run")
    path, defaults = tmp_path / "run" / "config.json", base.get_config()
    before = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in before.items() if json.dumps(v) != json.dumps(defaults.to_dict()[k])}))
    began_run(album, tmp_path / "run")
    path.write_text(json.dumps(before | {"freeze": "layer1"}))
    with pytest.raises(ValueError, match=r"holds another run.*\n  freeze: 'layer1' there, '' now"):
        began_run(album, tmp_path / "run")


@pytest.mark.parametrize("form", ["lines", "one line", "indented"])
def test_photographs_json_says_what_it_said_and_is_read_in_each_form(album, tmp_path, form):
    save(album / "a" / 'odd\n"], "\udce9.png', colourful(3))
    loaded = load(album)
    _, began = began_run(album, tmp_path / "run")
    path = tmp_path / "run" / "photographs.json"
    text = path.read_text()
    rows = expected_json(loaded)
    assert json.loads(text) == rows and list(json.loads(text)["train"]) == list(rows["train"])
    assert len(text.splitlines()) == 10 + 3
    if form != "lines":
        path.write_text(json.dumps(rows, indent=2 if form == "indented" else None))
    stamp = path.stat().st_mtime_ns
    config, began = began_run(album, tmp_path / "run")
    assert list(began[0].names) == [*rows["train"], *rows["validation"]] and began[0].names[3] == list(began[0].names)[3]
    again = data.load(config, progress=False, began=began)
    assert_equal(take(again.train(), 3), take(loaded.train(), 3))
    workdirs.claim(tmp_path / "run", config, again)
    assert path.read_text() == text
    assert (path.stat().st_mtime_ns == stamp) == (form == "lines")  # what stands there is not written again


def test_a_roster_of_any_length_is_the_same_after_a_round_trip(tmp_path, monkeypatch):
    monkeypatch.setattr(roster, "_BLOCK", 3)
    for piece in (1, 100, 1 << 16):
        monkeypatch.setattr(roster, "_PIECE", piece)
        for training, validation in ((0, 0), (1, 0), (0, 4), (3, 3), (7, 5)):
            count = training + validation
            rows = np.zeros(count, facts.ROW)
            rows["short_side"], rows["chroma"] = np.arange(count) + 70000, np.arange(count) / 7
            names = [f"n{i}" for i in range(count)]
            there = roster.Roster(names, [f"v {i}" for i in range(count)], ["g"] * count, rows, training)
            with open(tmp_path / "roster", "wb") as stream:
                roster.write(stream, there)
            back = roster.read(tmp_path / "roster")
            assert back.written and back.training == training and list(back.names) == names and roster.equal(there, back)
            assert list(back.versions) == there.versions and back.groups == there.groups
            text = (tmp_path / "roster").read_text()
            for end in (0, 5, len(text) // 2, len(text) - 3):
                (tmp_path / "cut").write_text(text[:end])
                with pytest.raises(ValueError):
                    roster.read(tmp_path / "cut")


def test_touched_photographs_are_noted_and_changed_ones_refused(album, tmp_path):
    config, began = began_run(album, tmp_path / "run")
    path = tmp_path / "run" / "photographs.json"
    before = json.loads(path.read_text())
    os.utime(album / "a" / "001.png", ns=(1, 1))
    workdirs.claim(tmp_path / "run", config, data.load(config, progress=False, began=began))
    after = json.loads(path.read_text())
    side = next(side for side in after if "a/001.png" in after[side])
    assert after[side].pop("a/001.png")[0].endswith(" 1") and before[side].pop("a/001.png") and after == before
    save(album / "a" / "001.png", colourful(77))
    save(album / "b" / "new.png", colourful(78))
    with pytest.raises(ValueError, match=r"1 are new \(b/new.png\), 1 have changed \(a/001.png\)"):
        load(album, began)


def test_an_index_does_not_speak_for_photographs_that_are_gone(album, tmp_path):
    """Where the file and its cache file are gone, it is lost from the start on; with its cache file it is still there."""
    _, began = began_run(album, tmp_path / "run")
    whole = load(album)
    gone = [whole.names[i] for i in whole.train_indices[:2]]
    for name in gone:
        (album / name).unlink()
    whole.store._path(whole.names.index(gone[0])).unlink()
    for _ in range(2):
        size = index_of(album).stat().st_size
        rest = load(album, began)
        assert list(rest.lost) == gone[:1] and rest.report["digest"] == whole.report["digest"]
        assert index_of(album).stat().st_size == size
    for name in whole.names:
        (album / name).unlink(missing_ok=True)
    save(album / "a" / "grey.png", colourful(9)[..., 0])
    for path in cache_files(album.parent / "cache"):
        if path.suffix == ".crop":
            path.unlink()
    with pytest.raises(ValueError, match="9 of 9 are gone"):
        load(album, began)


# The listing


def test_versions_are_those_of_real_files_and_of_when_they_were_asked_for(tmp_path):
    root, away = tmp_path / "root", tmp_path / "away"
    for path in ("b/x.jpg", "b/deep/y.jpg", "z.jpg"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    (away / "in" / "it").mkdir(parents=True)
    for path in ("in/1.jpg", "in/it/2.jpg"):
        (away / path).write_bytes(b"?")
    (root / "a").symlink_to(away / "in")
    (root / "b" / "circle").symlink_to(root)
    (root / "c.jpg").symlink_to(away / "in" / "1.jpg")
    (root / "d.jpg").symlink_to("nowhere")
    (tmp_path / "link").symlink_to(root)
    for start in (root, tmp_path / "link"):
        found = listing.below(start)
        assert found.names == ["c.jpg", "d.jpg", "z.jpg", "a/1.jpg", "a/it/2.jpg", "b/x.jpg", "b/deep/y.jpg"]
        assert found.groups == ["root"] * 3 + ["a", "a", "b", "b"]
        for name, version in zip(found.names, found.versions, strict=True):
            path = start / name
            status = path.stat() if name != "d.jpg" else None
            assert version == (f"{path.resolve()} {status.st_size} {status.st_mtime_ns}" if status else str(path))
    before = list(found.versions)
    for name in ("z.jpg", "a/1.jpg"):
        Path(start, name).write_bytes(b"longer than before")
    (away / "nowhere").write_bytes(b"")
    assert list(found.versions) == before and list(listing.below(start).versions) != before


def test_hashes_in_bulk_are_those_of_each_name():
    names = [f"a/{i}.jpg" for i in range(50)] + ["caf\udce9.jpg", ""]
    for salt in ("", "subset"):
        assert sources.unit_hashes(names, salt).tolist() == [sources.unit_hash(name, salt) for name in names]


def test_a_table_gives_back_what_it_was_given():
    colours = np.arange(facts.bins.COUNT, dtype=np.uint16)
    one = facts.Facts(300, 12.5, -3.25, colours, ("CMYK", "longer than 2:1"))
    for keeps in (False, True):
        table = facts.Table(2, colours=keeps)
        table[1] = one
        (back,) = facts.Some(table, np.array([1]))
        assert (back.short_side, back.chroma, back.mean_b, back.unusual) == (300, 12.5, -3.25, one.unusual)
        np.testing.assert_array_equal(back.colours, colours if keeps else 0)
