"""Where a copy may lie: nothing that was there before is lost, but a copy of the same film that --overwrite means."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.films import film
from PIL import Image

from colorjax import cli
from colorjax.archive import sidecar
from colorjax.film import steadying
from colorjax.film.jobs import job, places

pytestmark = pytest.mark.usefixtures("quick_compile")


def scans(folder, count=3):
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(np.full((24, 32), 40 * number + 30, np.uint8)).save(folder / f"{number:03}.png")
    return folder


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(capsys, folder, before, code, words):
    """Whether a command was refused in one sentence, its last, and left all in a folder as it was before."""
    told = capsys.readouterr().err
    assert code == 2 and words in told.splitlines()[-1] and "Traceback" not in told, (code, told)
    assert content(folder) == before


def test_a_folder_that_holds_the_film_is_never_replaced(tmp_path, colour, capsys):
    box = tmp_path / "box"
    source, _ = scans(box / "reel1"), scans(box / "reel2")
    (tmp_path / "link").symlink_to(box)
    (tmp_path / "far").symlink_to(source)
    before = content(box)
    said = {
        (source, box): "holds the film",
        (tmp_path / "far", box): "holds the film",
        (source, tmp_path / "link"): "holds the film",
        (source, source): "is the film itself",
        (source, tmp_path / "far"): "is the film itself",
        (source, source / "coloured"): "lies inside the film",
        (source, tmp_path / "link" / "reel1" / "coloured"): "lies inside the film",
        (source, source / "001.png"): "001.png must be a folder",
        (source, box / "reel2"): "no copy by colorjax",
    }
    for (given, out), words in said.items():
        refused(capsys, box, before, colour(given, out, "--overwrite"), words)


def test_the_folder_of_what_is_done_takes_nothings_place(tmp_path, colour, capsys):
    before = content(scans(tmp_path / "box" / "reel.work").parent)
    refused(
        capsys,
        tmp_path / "box",
        before,
        colour(tmp_path / "box" / "reel.work", tmp_path / "box" / "reel"),
        "is the film itself",
    )
    source = scans(tmp_path / "scans")
    refused(
        capsys,
        tmp_path / "box",
        before,
        colour(source, tmp_path / "box" / "reel"),
        "reel.work is there already, and not by colorjax",
    )


def test_overwrite_replaces_a_folder_that_is_the_copy_and_no_other(tmp_path, colour, capsys):
    source, folder = scans(tmp_path / "scans"), tmp_path / "all"
    out = folder / "coloured"
    assert colour(source, out) == 0
    before, options = content(folder), ("--overwrite", "--strength", 0.5)
    refused(capsys, folder, before, colour(source, out), "is there already; --overwrite makes it anew")
    refused(
        capsys, folder, before, colour(scans(tmp_path / "others"), out, "--overwrite"), "the copy of ../scans is in its place"
    )
    (out / "notes.txt").write_text("mine")
    refused(capsys, folder, content(folder), colour(source, out, *options), "more than the pictures of the copy (notes.txt)")
    (out / "notes.txt").unlink()
    (out / "sub").mkdir()
    refused(capsys, folder, before, colour(source, out, *options), "more than the pictures of the copy (sub)")
    (out / "sub").rmdir()
    Image.new("L", (32, 24)).save(out / "001.png")
    refused(capsys, folder, content(folder), colour(source, out, *options), "has other pictures than those")
    (out / "001.png").write_bytes(before[out / "001.png"])
    assert colour(source, out, *options) == 0 and cli.main(["verify", str(out)]) == 0
    assert content(folder) != before and not (folder / "coloured.work").exists()
    source.rename(tmp_path / "moved")
    assert colour(tmp_path / "moved", out, "--overwrite") == 0, "it is of this film, which lies elsewhere now"
    out.rename(tmp_path / "kept")
    out.mkdir()
    os.remove(folder / "coloured.json")
    assert colour(tmp_path / "moved", out) == 2 and colour(tmp_path / "moved", out, "--overwrite") == 0


def test_a_file_that_is_not_by_colorjax_is_replaced_only_if_asked(tmp_path, colour, capsys):
    source, out = film(tmp_path / "grey.mkv", frames=1), tmp_path / "all" / "colour.mkv"
    out.parent.mkdir()
    out.write_text("a film of mine")
    refused(capsys, out.parent, content(out.parent), colour(source, out), "colour.mkv is there already, and not by colorjax")
    shutil.move(out, out.parent / "colour.mkv.json")
    refused(
        capsys, out.parent, content(out.parent), colour(source, out), "colour.mkv.json is there already, and not by colorjax"
    )
    assert colour(source, out, "--overwrite") == 0
    other = film(tmp_path / "other.mkv", frames=2)
    before = content(out.parent)
    assert colour(other, out, "--overwrite") == 2 and content(out.parent) == before
    assert "the copy of ../grey.mkv is in its place; name another --out" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["film", "folder"])
def test_what_was_there_comes_back_where_the_last_step_fails(tmp_path, colour, capsys, monkeypatch, kind):
    source = film(tmp_path / "grey.mkv", frames=2) if kind == "film" else scans(tmp_path / "scans")
    out = tmp_path / "all" / ("colour.mkv" if kind == "film" else "coloured")
    assert colour(source, out) == 0
    out.with_name(f"{out.name}.json.jws").write_text("who signed it")
    before, replace = content(out.parent), os.replace

    def full(one, other):
        if Path(other) == out and Path(one).name.startswith("whole"):
            raise OSError("the disk went away")
        replace(one, other)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert colour(source, out, "--overwrite", "--strength", 0.5) == 1
    assert "the disk went away" in capsys.readouterr().err
    assert before.items() <= content(out.parent).items()
    with monkeypatch.context() as patch:  # a power cut at that step: nothing is put back before the next start
        patch.setattr(os, "replace", full)
        patch.setattr(places, "put_back", lambda *_: None)
        assert colour(source, out, "--overwrite", "--strength", 0.5) == 1
    assert not before.items() <= content(out.parent).items()
    assert colour(source, out, "--overwrite") == 1, "the unfinished copy has another strength"
    assert before.items() <= content(out.parent).items()
    assert colour(source, out, "--overwrite", "--strength", 0.5) == 0 and cli.main(["verify", str(out)]) == 0
    assert not out.with_name(out.name + job.WORK).exists() and not out.with_name(f"{out.name}.json.jws").exists()


@pytest.mark.parametrize("kind", ["film", "folder"])
def test_killed_anywhere_in_the_last_step_all_is_there_again(tmp_path, kind):
    """And what a step that came to its end has left behind undoes nothing."""
    out, work = tmp_path / "copy", tmp_path / "copy.work"
    whole, about = work / "whole", tmp_path / "copy.json"

    def make(path, text):
        path.mkdir(parents=True)
        (path / "0.png").write_text(text)
        if kind == "film":
            path = shutil.rmtree(path) or path
            path.write_text(text)

    def read(path):
        return (path / "0.png" if kind == "folder" else path).read_text()

    make(out, "old")
    about.write_text("of the old one")
    make(whole, "new")
    killed = places.replaced(out, whole)
    killed.__enter__()
    about.write_text("of the new one")  # here
    assert places.put_back(out, whole) and (read(out), about.read_text()) == ("old", "of the old one")
    killed = places.replaced(out, whole)
    killed.__enter__()
    assert kind == "film" or not out.exists(), "no copy lies beside the sidecar of another"
    about.write_text("of the new one")
    os.replace(whole, out)  # and here
    make(whole, "unfinished") if kind == "folder" else None
    if kind == "folder":
        shutil.rmtree(whole)
    assert not places.put_back(out, whole) and (read(out), about.read_text()) == ("new", "of the new one")
    make(whole, "unfinished")
    assert not places.put_back(out, whole) and (read(out), about.read_text()) == ("new", "of the new one")


def test_after_a_power_cut_what_came_back_is_replaced_only_if_asked(tmp_path, colour, capsys, monkeypatch):
    source, out = scans(tmp_path / "scans"), tmp_path / "coloured"
    assert colour(source, out) == 0
    before, written = content(tmp_path), sidecar.write

    def cut(*arguments):
        written(*arguments)
        raise OSError("no power")

    with monkeypatch.context() as patch:
        patch.setattr(sidecar, "write", cut)
        patch.setattr(places, "put_back", lambda *_: False)
        assert colour(source, out, "--overwrite", "--strength", 0.5) == 1
    assert not out.exists()
    capsys.readouterr()
    assert colour(source, out, "--strength", 0.5) == 2 and "is there already" in capsys.readouterr().err
    assert before.items() <= content(tmp_path).items()
    assert colour(source, out, "--overwrite", "--strength", 0.5) == 0 and cli.main(["verify", str(out)]) == 0


def test_what_appears_in_its_place_meanwhile_stays(tmp_path, colour, capsys, monkeypatch):
    source, out, made_up = scans(tmp_path / "scans"), tmp_path / "coloured", steadying.color_shot

    def slow(*arguments, **options):
        if not out.exists():
            scans(out, 1)
        yield from made_up(*arguments, **options)

    monkeypatch.setattr(steadying, "color_shot", slow)
    assert colour(source, out) == 1
    assert "is there already, and no copy by colorjax" in capsys.readouterr().err and len(list(out.iterdir())) == 1
    shutil.rmtree(out)
    monkeypatch.setattr(steadying, "color_shot", made_up)
    assert colour(source, out) == 0 and "1 of 1 shots are there already" in capsys.readouterr().err


def test_nothing_that_is_written_takes_the_place_of_what_is_read(tmp_path, colour, capsys):
    box = tmp_path / "box"
    box.mkdir()
    source, shots = film(box / "reel.mkv", frames=1), box / "s.csv"
    shots.write_text("0\n")
    os.link(source, box / "reel.csv")
    os.link(source, box / "hard.mkv")
    (box / "out.shots.txt").mkdir()
    before = content(box)
    said = {
        ("out.mkv", "--shots", shots, "--report", shots): "--report",
        ("new.mkv", "--report", box / "reel.csv"): "would take the place of",
        ("out.mkv",): "the list of shots",
        ("hard.mkv", "--overwrite"): "is the film itself",
    }
    for (name, *options), words in said.items():
        refused(capsys, box, before, colour(source, box / name, *options), words)
