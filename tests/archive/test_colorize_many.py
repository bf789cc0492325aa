"""Batches of photographs: every kind of file keeps its kind, what is done stays done, what fails is named."""

import errno
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import skimage.data
import tifffile
from helpers import ROOT
from helpers.files import CAT, DEEP, copies, multipage
from helpers.vivid import vivid_network
from PIL import Image

from colorjax import checkpoint, cli, photos
from colorjax.archive import colorize_many, places
from colorjax.archive.plan import Options
from colorjax.inference.colorizer import Colorizer
from colorjax.science import color

ALPHA = np.linspace(0, 255, DEEP.size).astype(np.uint8).reshape(DEEP.shape)


@pytest.fixture
def colorize(capsys, weights, tmp_path):
    """(exit code, stdout, stderr) of the command with these arguments and the folder "out"."""

    def run(*arguments):
        capsys.readouterr()
        command = ["colorize", *arguments, "--out", tmp_path / "out", "--ckpt", weights]
        code = cli.main([str(argument) for argument in command])
        return code, *capsys.readouterr()

    return run


def lightness(image):
    values = image / np.float64(np.iinfo(image.dtype).max)
    return color.grey_to_lightness(values) if values.ndim == 2 else color.rgb_to_lab(values)[..., 0]


# --- every kind of file ---


def save(kind, folder):
    """A file of this kind; its path."""
    grey, rgb = Image.fromarray(CAT).convert("L"), Image.fromarray(CAT)
    deep, unassociated = np.dstack([DEEP] * 3), {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    pillow = {
        "grey.png": grey,
        "rgb.png": rgb,
        "rgba.png": Image.fromarray(np.dstack([CAT, ALPHA])),
        "la.png": Image.fromarray(np.dstack([CAT[..., 0], ALPHA]), "LA"),
        "palette.png": rgb.quantize(64),
        "onebit.png": grey.convert("1"),
        "deepgrey.png": Image.fromarray(DEEP),
        "grey.tif": grey,
        "rgb.tif": rgb,
        "cmyk.tif": rgb.convert("CMYK"),
        "grey.bmp": grey,
        "lossless.webp": rgb,
    }
    deep_tiffs = {
        "deepgrey.tif": (DEEP, {}),
        "deeprgb.tif": (deep, {"photometric": "rgb", "compression": "lzw", "predictor": True}),
        "deeprgba.tif": (np.dstack([deep, ALPHA.astype(np.uint16) * 257]), unassociated),
        "planar.tif": (np.moveaxis(deep, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
    }
    path = folder / kind
    if kind in pillow:
        pillow[kind].save(path, **({"lossless": True} if kind.endswith("webp") else {}))
    elif kind in deep_tiffs:
        pixels, options = deep_tiffs[kind]
        tifffile.imwrite(path, pixels, **options)
    else:
        path.write_bytes(imagecodecs.png_encode({"deeprgb.png": deep, "deepla.png": np.dstack([DEEP, DEEP[::-1]])}[kind]))
    return path


KINDS = ["grey.png", "rgb.png", "rgba.png", "la.png", "palette.png", "onebit.png", "deepgrey.png", "deeprgb.png", "deepla.png"]
KINDS += ["grey.tif", "rgb.tif", "cmyk.tif", "deepgrey.tif", "deeprgb.tif", "deeprgba.tif", "planar.tif", "grey.bmp"]
KINDS += ["lossless.webp"]


@pytest.mark.parametrize("kind", KINDS)
def test_lossless_files_keep_size_depth_transparency_and_lightness(colorize, tmp_path, kind):
    source = photos.read(save(kind, tmp_path))
    code, out, err = colorize(tmp_path / kind)
    grey = f"{tmp_path / kind}: its copy is as good as grey\n"  # black and white have no colour
    assert (code, err) == (0, grey if kind == "onebit.png" else ""), out
    name = Path(kind).stem + ".colorized" + (".png" if kind.endswith("bmp") else Path(kind).suffix)
    assert copies(tmp_path / "out") == [name]
    copy = photos.read(tmp_path / "out" / name)
    assert copy.image.shape == (*source.image.shape[:2], 3)
    assert copy.image.dtype == source.image.dtype == (np.uint16 if kind.startswith(("deep", "planar")) else np.uint8)
    assert (copy.alpha is None) == (source.alpha is None)
    if copy.alpha is not None:
        np.testing.assert_array_equal(copy.alpha, source.alpha)
    limit = 0.01 if copy.image.dtype == np.uint16 else 0.5
    assert np.abs(lightness(copy.image) - lightness(source.image)).max() <= limit
    lab = color.rgb_to_lab(copy.image / np.float64(np.iinfo(copy.image.dtype).max))
    assert np.hypot(lab[..., 1], lab[..., 2]).mean() > 5 or kind == "onebit.png"
    assert cli.main(["verify", str(tmp_path / "out" / f"{name}.json")]) == 0


@pytest.mark.parametrize("name", ["jpeg", "png", "tiff", "webp", "avif"])
@pytest.mark.parametrize("kind", ["deeprgb.tif", "rgba.png"])
def test_another_format(colorize, tmp_path, name, kind):
    save(kind, tmp_path)
    code, _, err = colorize(tmp_path / kind, "--format", name)
    assert code == 0
    suffix = {"jpeg": "jpg", "tiff": "tif"}.get(name, name)
    copy = photos.read(tmp_path / "out" / f"{Path(kind).stem}.colorized.{suffix}")
    assert copy.file_format == name.upper()
    deep, clear = kind == "deeprgb.tif", kind == "rgba.png"
    assert copy.image.dtype == (np.uint16 if deep and name in ("png", "tiff") else np.uint8)
    assert (copy.alpha is not None) == (clear and name != "jpeg")
    assert ("8 of its 16 bits" in err) == (deep and name not in ("png", "tiff"))
    assert ("its transparency" in err) == (clear and name == "jpeg")


@pytest.mark.parametrize(("given", "suffix"), [("JPG", ".jpg"), (".tif", ".tif"), ("Tiff", ".tif"), ("heic", ".heic")])
def test_a_format_is_known_by_its_suffix_too(colorize, tmp_path, given, suffix):
    if suffix == ".heic":
        pytest.importorskip("pillow_heif")
    save("rgb.png", tmp_path)
    assert colorize(tmp_path / "rgb.png", "--format", given)[0] == 0
    assert copies(tmp_path / "out") == [f"rgb.colorized{suffix}"]


@pytest.mark.parametrize(
    ("content", "name"), [("png", "a.jpg"), ("jpg", "a.PNG"), ("tif", "a.webp"), ("webp", "scan"), ("bmp", "b.tif")]
)
def test_the_copy_has_the_format_of_the_file_and_not_of_its_name(colorize, tmp_path, content, name):
    Image.fromarray(CAT).save(tmp_path / f"x.{content}")
    (tmp_path / f"x.{content}").rename(tmp_path / name)
    assert colorize(tmp_path / name)[0] == 0
    suffix = {"bmp": "png"}.get(content, content)
    assert copies(tmp_path / "out") == [f"{Path(name).stem}.colorized.{suffix}"]
    copy = photos.read(tmp_path / "out" / f"{Path(name).stem}.colorized.{suffix}")
    assert copy.file_format == Image.registered_extensions()[f".{suffix}"]


@pytest.mark.parametrize("given", ["gif", "bmp", "", "."])
def test_other_formats_are_wrong_usage(colorize, capsys, tmp_path, given):
    save("rgb.png", tmp_path)
    with pytest.raises(SystemExit) as caught:
        colorize(tmp_path / "rgb.png", "--format", given)
    assert caught.value.code == 2
    assert "legal are jpeg, png" in capsys.readouterr().err


def test_every_page_of_a_tiff_is_coloured(colorize, tmp_path):
    multipage(tmp_path / "a.tif")
    assert colorize(tmp_path / "a.tif", "--uncertainty")[0] == 0
    before, after = (list(photos.pages(path)) for path in (tmp_path / "a.tif", tmp_path / "out" / "a.colorized.tif"))
    assert [page.image.dtype for page in after] == ["uint8", "uint16", "uint8"]
    for one, other in zip(before, after, strict=True):
        assert other.image.shape[:2] == one.image.shape[:2]
        assert np.abs(lightness(other.image) - lightness(one.image)).max() <= 0.5
        lab = color.rgb_to_lab(other.image / np.float64(np.iinfo(other.image.dtype).max))
        assert np.hypot(lab[..., 1], lab[..., 2]).mean() > 5
    with tifffile.TiffFile(tmp_path / "out" / "a.colorized.tif") as file:
        assert file.pages[0].description == "page one"
    maps = [name for name in copies(tmp_path / "out") if "uncertainty" in name]
    assert maps == ["a.tif.page2.uncertainty.png", "a.tif.page3.uncertainty.png", "a.tif.uncertainty.png"]
    assert cli.main(["verify", str(tmp_path / "out")]) == 0


def test_pages_are_not_dropped_for_a_format_without_them(colorize, tmp_path):
    multipage(tmp_path / "a.tif")
    code, _, err = colorize(tmp_path / "a.tif", "--format", "jpeg")
    assert code == 1
    way_out = "a TIFF can: --format tiff, or a name for --out that ends in .tif"
    assert err == f"{tmp_path / 'a.tif'}: has 3 pages, which JPEG cannot hold; {way_out}\n"
    assert copies(tmp_path / "out") == []


# --- what is done stays done ---


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "album"
    (folder / "deep").mkdir(parents=True)
    for i, name in enumerate(["a.jpg", "b.png", "deep/c.tif", "deep/d.webp"]):
        Image.fromarray(np.roll(CAT, 10 * i, axis=1)).save(folder / name)
    return folder


def stamps(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_a_stopped_batch_goes_on_where_it_was(colorize, album, tmp_path):
    assert colorize(album)[0] == 0
    first = stamps(tmp_path / "out")
    (tmp_path / "out" / "b.colorized.png").unlink()
    code, out, _ = colorize(album)
    assert (code, out) == (0, f"1 photograph coloured into {tmp_path / 'out'}, 3 there already\n")
    second = stamps(tmp_path / "out")
    assert {path: content for path, (content, _) in second.items()} == {path: content for path, (content, _) in first.items()}
    changed = {path.name for path in first if second[path] != first[path]}
    assert changed == {"b.colorized.png", "b.colorized.png.json"}


def test_overwrite_makes_them_anew(colorize, album, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.colorized.jpg").write_text("mine")
    code, out, err = colorize(album)
    assert (code, out) == (1, f"3 photographs coloured into {tmp_path / 'out'}, 1 failed\n")
    assert "a.colorized.jpg is there already, and not by colorjax; --overwrite replaces it" in err
    assert (tmp_path / "out" / "a.colorized.jpg").read_text() == "mine"
    before = stamps(tmp_path / "out")
    code, out, _ = colorize(album, "--overwrite", "--strength", "0.5")
    assert (code, out) == (0, f"4 photographs coloured into {tmp_path / 'out'}\n")
    after = stamps(tmp_path / "out")
    assert set(before) < set(after)
    assert all(after[path][0] != content for path, (content, _) in before.items())


def test_sources_survive_whatever_they_are_called(colorize, tmp_path):
    """A photograph may be called as the copy, the sidecar or the map of another, and --out be spelled in many ways."""
    folder = tmp_path / "out"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    names = ["p.jpg", "p.colorized.jpg", "p.jpg.uncertainty.png"]
    for i, name in enumerate(names):
        Image.fromarray(np.roll(CAT, 9 * i, axis=0)).save(folder / name)
    before = stamps(folder)
    for source in (folder, tmp_path / "link"):
        code, _, err = colorize(*(source / name for name in names), "--uncertainty", "--overwrite")
        assert code == 1
        assert "would overwrite the photograph" in err
        assert {path: stamps(folder)[path] for path in before} == before


@pytest.mark.parametrize("name", ["album/a.jpg", "album/scan", "out/b.colorized.png", "out/a.colorized.jpg.json"])
def test_a_report_takes_no_picture_s_place(colorize, album, tmp_path, name):
    (album / "scan").write_bytes((album / "a.jpg").read_bytes())
    before = stamps(album)
    code, out, err = colorize(album, album / "scan", "--report", tmp_path / name)
    assert (code, out) == (2, "")
    assert "would take the place of a picture" in err
    assert stamps(album) == before


def test_the_copy_of_another_photograph_is_not_taken_for_this_one_s(colorize, album, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(CAT[::-1]).save(other / "a.jpg")
    assert colorize(album)[0] == 0
    code, out, err = colorize(other)
    assert (code, out) == (1, f"0 photographs coloured into {tmp_path / 'out'}, 1 failed\n")
    assert "album/a.jpg is in its place; name another --out" in err


def test_a_source_that_changed_since_is_named(colorize, album, tmp_path):
    assert colorize(album)[0] == 0
    Image.fromarray(CAT[::-1]).save(album / "b.png")
    code, _, err = colorize(album)
    assert (code, err) == (1, f"{album / 'b.png'}: it has changed since its copy was made; --overwrite makes it anew\n")
    assert colorize(album, "--overwrite")[0] == 0
    assert cli.main(["verify", str(tmp_path / "out")]) == 0


def test_copies_made_otherwise_are_said_to_be(colorize, album, tmp_path):
    assert colorize(album / "a.jpg")[0] == 0
    _, out, _ = colorize(album / "a.jpg", "--strength", "0.5", "--uncertainty", "--json")
    assert (
        json.loads(out)["reason"] == "its copy is there already, with another strength, uncertainty; --overwrite makes it anew"
    )
    code, _, err = colorize(album / "a.jpg", "--size", "96", "--source-type", "algorithmicallyEnhanced")
    assert (code, err) == (
        0,
        f"{album / 'a.jpg'}: its copy is there already, with another size, mark; --overwrite makes it anew\n",
    )


def test_a_copy_in_another_format_leaves_the_map_of_the_first(colorize, album, tmp_path):
    assert colorize(album / "a.jpg", "--uncertainty")[0] == 0
    assert colorize(album / "a.jpg", "--format", "png")[0] == 0
    assert copies(tmp_path / "out") == ["a.colorized.jpg", "a.colorized.png", "a.jpg.uncertainty.png"]
    assert cli.main(["sheet", str(tmp_path / "out")]) == 0


def test_maps_of_pages_that_are_no_more_are_removed(colorize, tmp_path):
    multipage(tmp_path / "a.tif")
    assert colorize(tmp_path / "a.tif", "--uncertainty")[0] == 0
    save("rgb.tif", tmp_path).rename(tmp_path / "a.tif")
    assert colorize(tmp_path / "a.tif", "--uncertainty", "--overwrite")[0] == 0
    assert copies(tmp_path / "out") == ["a.colorized.tif", "a.tif.uncertainty.png"]


def test_overwrite_does_not_reach_the_copy_of_another_photograph(colorize, album, tmp_path):
    (tmp_path / "other").mkdir()
    Image.fromarray(CAT[::-1]).save(tmp_path / "other" / "a.jpg")
    assert colorize(album)[0] == 0
    before = stamps(tmp_path / "out")
    code, _, err = colorize(tmp_path / "other", "--overwrite")
    assert code == 1
    assert "album/a.jpg is in its place; name another --out" in err
    assert stamps(tmp_path / "out") == before


def test_a_folder_that_was_moved_is_known_again(colorize, album, tmp_path):
    assert colorize(album)[0] == 0
    album.rename(tmp_path / "moved")
    assert colorize(tmp_path / "moved")[:2] == (0, f"0 photographs coloured into {tmp_path / 'out'}, 4 there already\n")


def test_a_source_spelled_through_a_link_is_found_again(colorize, tmp_path):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    save("rgb.png", tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    assert colorize(tmp_path / "link" / ".." / "rgb.png")[0] == 0
    assert cli.main(["verify", str(tmp_path / "out")]) == 0
    source, copy = tmp_path / "real" / "rgb.png", tmp_path / "out" / "rgb.colorized.png"
    assert colorize(source)[1] == f"the copy of {source} is there already: {copy}\n"


def test_names_without_a_suffix_keep_their_whole_name(colorize, tmp_path):
    for name in ("scan.001", "scan.002", "Mr. Smith"):
        save("rgb.png", tmp_path).rename(tmp_path / name)
    assert colorize(*(tmp_path / name for name in ("scan.001", "scan.002", "Mr. Smith")))[0] == 0
    assert copies(tmp_path / "out") == ["Mr. Smith.colorized.png", "scan.001.colorized.png", "scan.002.colorized.png"]


def test_a_file_that_lies_about_itself_finds_a_place_beside_its_neighbour(colorize, tmp_path):
    Image.fromarray(CAT).save(tmp_path / "a.jpg")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.jpg").read_bytes())
    assert colorize(tmp_path / "a.jpg", tmp_path / "a.png")[0] == 0
    assert copies(tmp_path / "out") == ["a.colorized.jpg", "a.png.colorized.jpg"]


def test_names_that_would_meet_stay_apart_in_any_order(colorize, tmp_path):
    """The plain name is the one's that has the suffix of the copy; photographs of several folders keep their folders."""
    (tmp_path / "box1" / "in").mkdir(parents=True)
    (tmp_path / "box2" / "in").mkdir(parents=True)
    for i, name in enumerate(["x.bmp", "x.png", "box1/s.png", "box2/s.png", "box1/in/t.png", "box2/in/t.png", "box2/u.png"]):
        Image.fromarray(np.roll(CAT, i, axis=1)).save(tmp_path / name)
    named = [tmp_path / name for name in ("x.bmp", "box1", "box2", "x.png")]
    expected = ["box1/in/t.colorized.png", "box1/s.colorized.png", "box2/in/t.colorized.png", "box2/s.colorized.png"]
    expected += ["u.colorized.png", "x.bmp.colorized.png", "x.colorized.png"]
    for order in (1, -1):
        plan = places.jobs([pair for path in named[::order] for pair in photos.find([path])], tmp_path / "out", Options())
        assert sorted(job.target.relative_to(tmp_path / "out").as_posix() for job in plan) == expected
        assert not any(job.problem for job in plan)
    assert colorize(*named)[0] == 0
    assert copies(tmp_path / "out") == expected
    for path in (named[0], named[3], tmp_path / "box1" / "s.png", tmp_path / "box2"):  # each alone finds its copy again
        said = (
            f"0 photographs coloured into {tmp_path / 'out'}, 3 there already"
            if path.is_dir()
            else f"the copy of {path} is there already: "
        )
        assert colorize(path)[1].startswith(said)
    assert cli.main(["verify", str(tmp_path / "out")]) == 0


def test_a_photograph_keeps_the_place_of_its_copy_when_another_joins_it(colorize, album, tmp_path):
    assert colorize(album / "a.jpg")[0] == 0
    (tmp_path / "more").mkdir()
    Image.fromarray(CAT[::-1]).save(tmp_path / "more" / "a.jpg")
    code, out, err = colorize(tmp_path / "more" / "a.jpg", album / "a.jpg")
    assert (code, err, out) == (0, "", f"1 photograph coloured into {tmp_path / 'out'}, 1 there already\n")
    assert copies(tmp_path / "out") == ["a.colorized.jpg", "more/a.colorized.jpg"]
    Image.fromarray(CAT).save(album / "c.bmp")
    assert colorize(album / "c.bmp")[0] == 0
    Image.fromarray(CAT[::-1]).save(album / "c.png")
    assert colorize(album / "c.png", album / "c.bmp")[0] == 0
    assert copies(tmp_path / "out")[1:3] == ["c.colorized.png", "c.png.colorized.png"]


def test_pipes_and_missing_files_beside_the_copies(colorize, album, tmp_path, capsys, weights, monkeypatch):
    os.mkfifo(album / "pipe.jpg")
    monkeypatch.chdir(tmp_path)
    arguments = ["colorize", "album", "missing.jpg", "--out", ".", "--ckpt", str(weights), "--report", "r.json"]
    assert cli.main(arguments) == 1
    err = capsys.readouterr().err
    assert "missing.jpg: no such file or folder" in err
    assert "pipe.jpg: not a file but a device or a pipe" in err
    assert (tmp_path / "a.colorized.jpg").is_file()


def test_a_map_does_not_outlive_its_copy(colorize, album, tmp_path):
    assert colorize(album / "a.jpg", "--uncertainty")[0] == 0
    assert "a.jpg.uncertainty.png" in copies(tmp_path / "out")
    assert colorize(album / "a.jpg", "--overwrite")[0] == 0
    assert copies(tmp_path / "out") == ["a.colorized.jpg"]


@pytest.mark.parametrize("there", [False, True])
def test_when_the_last_step_fails_all_is_as_it_was(colorize, album, tmp_path, monkeypatch, there):
    if there:
        assert colorize(album / "a.jpg", "--uncertainty")[0] == 0
    before, rename = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.j*")}, os.replace

    def fail(source, target):
        if str(target).endswith(".jpg"):
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "replace", fail)
    assert colorize(album / "a.jpg", "--overwrite", "--strength", "0.5", "--uncertainty")[0] == 1
    assert {path: path.read_bytes() for path in (tmp_path / "out").glob("*.j*")} == before
    assert there or copies(tmp_path / "out") == []
    assert parts(tmp_path / "out") == []


def test_hidden_and_linked_folders_are_passed_over_and_counted(colorize, album, tmp_path):
    for name in (".hidden", "elsewhere"):
        (tmp_path / name).mkdir()
        Image.fromarray(CAT).save(tmp_path / name / "x.png")
    (tmp_path / ".hidden").rename(album / ".hidden")
    (album / "linked").symlink_to(tmp_path / "elsewhere")
    (album / "letter.doc").touch()
    code, out, _ = colorize(album, "--report", tmp_path / "report.json")
    assert code == 0
    said = "passed over 1 hidden folder, passed over 1 linked folder, passed over 1 other file"
    assert out == f"4 photographs coloured into {tmp_path / 'out'}, {said}\n"
    assert json.loads((tmp_path / "report.json").read_text())["passed_over"]["other files"] == 1


@pytest.mark.parametrize("name", ["deep", "."])
def test_a_folder_that_may_not_be_read_is_named(colorize, album, tmp_path, monkeypatch, name):
    """For any user: the system's answers for that folder are put in its place, as root may read everything."""
    locked, scandir, access = (album / name).resolve(), os.scandir, os.access

    def scan(path="."):
        if Path(path) == locked:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != locked and access(path, mode))
    Image.fromarray(CAT).save(tmp_path / "beside.png")
    code, out, err = colorize(album.resolve(), tmp_path / "beside.png")
    assert (code, err) == (1, f"{locked}: no permission to read this folder\n")
    assert out.startswith("3 photographs coloured" if name == "deep" else "1 photograph coloured")


def test_whatever_a_decoder_does_to_a_header_the_others_go_on(colorize, album, monkeypatch):
    measure = photos.measure

    def explode(path, *limits):
        if path.name == "b.png":
            raise RuntimeError("boom")
        return measure(path, *limits)

    monkeypatch.setattr(photos, "measure", explode)
    code, out, err = colorize(album)
    assert (code, err) == (1, f"{album / 'b.png'}: boom\n")
    assert out.startswith("3 photographs coloured")


def test_a_photograph_that_changes_while_it_is_read_is_refused(colorize, album, monkeypatch):
    pages = photos.pages

    def meddle(path, *limits):
        found = list(pages(path, *limits))
        path.write_bytes(path.read_bytes() + b"more")
        return iter(found)

    monkeypatch.setattr(photos, "pages", meddle)
    code, _, err = colorize(album / "b.png")
    assert (code, err) == (1, f"{album / 'b.png'}: it changed while it was read\n")


def test_colours_taken_away_are_said_to_be(colorize, album, tmp_path):
    code, _, err = colorize(album / "b.png", "--strength", "0")
    assert (code, err) == (0, f"{album / 'b.png'}: its copy is as good as grey\n")
    assert json.loads((tmp_path / "out" / "b.colorized.png.json").read_text())["pages"][0]["mean_chroma"] < 0.5


def test_a_page_of_text_does_not_make_the_others_grey(colorize, tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(CAT[..., 0], photometric="minisblack", metadata=None)
        writer.write(CAT[..., 0] > 128, photometric="minisblack", metadata=None)
    code, _, err = colorize(tmp_path / "a.tif")
    assert (code, err) == (0, f"{tmp_path / 'a.tif'}: as good as grey in its copy: page 2\n")


def test_what_a_killed_run_left_is_swept(colorize, album, tmp_path):
    (tmp_path / "out").mkdir()
    old, new = (tmp_path / "out" / f".{digit * 32}.part" for digit in "ab")
    for path in (old, new, tmp_path / "out" / ".mine.part"):
        path.write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    os.utime(tmp_path / "out" / ".mine.part", (1e9, 1e9))
    assert colorize(album)[0] == 0
    assert [path.name for path in sorted(parts(tmp_path / "out"))] == [".bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.part", ".mine.part"]


def test_a_dry_run_in_json(colorize, album, tmp_path):
    (album / "scan").write_bytes((album / "b.png").read_bytes())
    (album / "bad.png").write_bytes(b"no picture")
    code, out, err = colorize(album / "scan", album / "bad.png", "--dry-run", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (1, "")
    assert [line["status"] for line in lines] == ["to colour", "failed"]
    assert lines[0]["copy"] == str(tmp_path / "out" / "scan.colorized.png")


def test_a_dry_run_only_says_what_it_would_do(colorize, album, tmp_path, weights):
    assert colorize(album / "a.jpg")[0] == 0
    (album / "bad.png").write_bytes(b"no picture")
    before = stamps(tmp_path)
    code, out, err = colorize(album, "--dry-run")
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == f"skipped (its copy is there already): {album / 'a.jpg'} -> {tmp_path / 'out' / 'a.colorized.jpg'}"
    assert lines[1] == f"to colour: {album / 'b.png'} -> {tmp_path / 'out' / 'b.colorized.png'}"
    assert lines[2].startswith(f"failed (not a picture, or of an unknown format): {album / 'bad.png'}")
    assert lines[-1] == f"3 photographs would be coloured into {tmp_path / 'out'}, 1 there already, 1 failed"
    assert stamps(tmp_path) == before


def test_the_report_and_the_lines_of_json(colorize, album, tmp_path):
    (album / "bad.png").write_bytes(b"no picture")
    code, out, err = colorize(album, "--json", "--report", tmp_path / "report.json", "--uncertainty")
    assert (code, err) == (1, "")
    lines = [json.loads(line) for line in out.splitlines()]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["photographs"] == lines
    assert report["counts"] == {"coloured": 4, "failed": 1}
    assert [Path(line["source"]).name for line in lines] == ["a.jpg", "b.png", "bad.png", "c.tif", "d.webp"]
    assert [line["status"] for line in lines] == ["coloured", "coloured", "failed", "coloured", "coloured"]
    assert lines[2]["reason"] == "not a picture, or of an unknown format"
    assert Path(lines[0]["copy"]) == tmp_path / "out" / "a.colorized.jpg"
    assert lines[0]["megapixels"] == pytest.approx(0.0135, abs=1e-3)
    assert lines[0]["uncertainty"] > 0
    assert set(report["seconds_by_stage"]) == {"read", "colour", "write"}
    assert 0 < report["seconds_by_stage"]["colour"] <= report["seconds"]


def test_what_colorjax_made_is_not_coloured_again(colorize, album, tmp_path):
    assert colorize(album, "--uncertainty")[0] == 0
    again = list(photos.find([tmp_path / "out"]))
    assert again == []


FORMATS = ["jpeg", "png", "tiff", "webp", "avif"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_copy_is_known_by_its_mark_whatever_it_is_called(colorize, album, tmp_path, name):
    assert colorize(album / "a.jpg", "--format", name, "--uncertainty")[0] == 0
    renamed = tmp_path / "album" / "deep" / "renamed.jpg"
    (copy,) = (path for path in (tmp_path / "out").iterdir() if path.stem == "a.colorized")
    copy.rename(renamed)
    code, out, _ = colorize(
        renamed, album / "b.png", tmp_path / "out" / "a.jpg.uncertainty.png", "--report", tmp_path / "r.json"
    )
    assert (code, out) == (
        0,
        f"coloured {album / 'b.png'} -> {tmp_path / 'out' / 'b.colorized.png'}, passed over 2 copies by colorjax\n",
    )
    names = json.loads((tmp_path / "r.json").read_text())["passed_over_names"]["copies by colorjax"]
    assert names == [str(renamed), str(tmp_path / "out" / "a.jpg.uncertainty.png")]
    code, _, err = colorize(renamed)
    assert code == 2
    assert "passed over 1 copy by colorjax" in err


def test_what_lies_beside_a_copy_is_passed_over_as_the_copy_is(album, weights, capsys, monkeypatch):
    """As FOLDER/* names all of it, the second time."""
    monkeypatch.chdir(album)
    assert cli.main(["colorize", "a.jpg", "--ckpt", str(weights)]) == 0
    beside = ["a.colorized.jpg.json", "a.colorized.jpg.json.jws", "a.colorized.jpg.c2pa"]
    for name in beside[1:]:
        (album / name).write_bytes(b"signed")
    capsys.readouterr()
    assert cli.main(["colorize", "a.jpg", "a.colorized.jpg", *beside, "--ckpt", str(weights)]) == 0
    assert capsys.readouterr().out == "the copy of a.jpg is there already: a.colorized.jpg, passed over 4 copies by colorjax\n"
    (album / "notes.json").write_text("{}")
    assert cli.main(["colorize", "a.jpg", "notes.json", "--ckpt", str(weights)]) == 1
    assert "not a picture" in capsys.readouterr().err


def test_a_folder_coloured_into_itself_twice_does_not_grow(album, weights, capsys, monkeypatch):
    monkeypatch.chdir(album)
    for said in (
        "coloured a.jpg -> a.colorized.jpg\n",
        "the copy of a.jpg is there already: a.colorized.jpg, passed over 1 copy by",
    ):
        assert cli.main(["colorize", *sorted(map(str, Path().glob("*.jpg"))), "--out", ".", "--ckpt", str(weights)]) == 0
        assert capsys.readouterr().out.startswith(said)
    assert copies(album) == ["a.colorized.jpg", "a.jpg", "b.png", "deep/c.tif", "deep/d.webp"]


def test_the_thumbnails_of_a_storage_server_are_passed_over(colorize, album, tmp_path):
    (album / "@eaDir" / "a.jpg").mkdir(parents=True)
    Image.fromarray(CAT).save(album / "@eaDir" / "a.jpg" / "SYNOPHOTO_THUMB_XL.jpg")
    said = f"4 photographs coloured into {tmp_path / 'out'}, passed over 1 folder of the system\n"
    assert colorize(album)[1] == said


def test_a_photograph_named_twice_is_coloured_once(colorize, album, tmp_path):
    code, out, _ = colorize(album / "a.jpg", album, album / "a.jpg", album / "deep" / ".." / "b.png")
    assert code == 1 or out.startswith("4 photographs")
    assert colorize(album, album / "a.jpg", "--overwrite")[1] == f"4 photographs coloured into {tmp_path / 'out'}\n"


# --- what should not be coloured as it is ---


def test_a_photograph_in_colour_is_told_or_left_as_it_is(colorize, album, tmp_path):
    Image.fromarray(skimage.data.coffee()).save(album / "b.png")
    out = tmp_path / "out"
    code, words, err = colorize(album, "--only-grey", "--report", tmp_path / "r.json")
    assert (code, err) == (0, "")
    assert words == f"3 photographs coloured into {out}, 1 left as it is, in colour already\n"
    assert "b.colorized.png" not in copies(out)
    (left,) = (one for one in json.loads((tmp_path / "r.json").read_text())["photographs"] if one["status"] == "skipped")
    assert (left["source"], left["reason"]) == (str(album / "b.png"), "it is in colour already")
    code, words, err = colorize(album, "--report", tmp_path / "r.json")
    assert (code, err) == (0, "")
    said = "in colour already and painted over: 1; --only-grey leaves such photographs as they are\n"
    assert words == f"{said}1 photograph coloured into {out}, 3 there already\n"  # where they are is the last that is said
    warning = "it is in colour already: its own colours are painted over"
    assert json.loads((out / "b.colorized.png.json").read_text())["pages"][0]["warnings"] == [warning]
    assert [one["warnings"] for one in json.loads((tmp_path / "r.json").read_text())["photographs"]] == [[], [warning], [], []]


def test_many_photographs_in_colour_leave_room_for_the_others(colorize, album, monkeypatch):
    """What is left as it is must not count as being read."""
    monkeypatch.setattr(colorize_many, "_IN_FLIGHT_PIXELS", 10)
    for number in range(6):
        Image.fromarray(skimage.data.coffee()[:200, :200]).save(album / f"colour{number}.png")
    assert "4 photographs coloured" in colorize(album, "--only-grey")[1]


@pytest.mark.parametrize("pixels", [skimage.data.moon()[::4, ::4], skimage.data.moon()[::4, ::4].astype(np.uint16) * 257])
def test_negatives_are_told_and_inverted_if_asked(colorize, tmp_path, pixels):
    negative = np.iinfo(pixels.dtype).max - pixels
    album = tmp_path / "box"
    album.mkdir()
    for number in range(8):
        Image.fromarray(np.roll(negative, number, axis=1)).save(album / f"{number}.png")
    code, words, _ = colorize(album)
    assert code == 0
    assert f"the 8 photographs of {album} look like negatives, taken together" in words
    verdict = {"folder": str(album), "photographs": 8, "warning": "look like negatives, taken together"}
    report = tmp_path / "report.json"
    code, lines, _ = colorize(album, "--overwrite", "--json", "--report", report)
    assert code == 0
    assert [json.loads(line) for line in lines.splitlines()][8:] == [verdict]
    assert json.loads(report.read_text())["folders"] == [verdict]
    code, words, err = colorize(album, "--negative")
    assert words.splitlines()[-1].endswith("8 there already")
    assert err.count("its copy is there already, with another negative; --overwrite makes it anew\n") == 8
    code, words, err = colorize(album, "--negative", "--overwrite")
    assert (code, words, err) == (0, f"8 photographs coloured into {tmp_path / 'out'}\n", "")
    copy = photos.read(tmp_path / "out" / "0.colorized.png").image
    assert np.abs(lightness(copy) - lightness(pixels)).max() <= (0.5 if pixels.dtype == np.uint8 else 0.01)
    assert json.loads((tmp_path / "out" / "0.colorized.png.json").read_text())["settings"]["negative"] is True
    assert cli.main(["verify", str(tmp_path / "out")]) == 0


# --- what fails is named, and nothing half is left ---


@pytest.mark.parametrize("place", ["there", "there.jpg", "there.jpg/below/it"])
def test_a_folder_that_cannot_be_written_is_told_once_before_the_work(album, tmp_path, capsys, place):
    """The checkpoint is not looked for."""
    (tmp_path / place.partition("/")[0]).touch()
    out = tmp_path / place
    assert cli.main(["colorize", str(album), "--out", str(out), "--ckpt", "nowhere"]) == 2
    reason = "it is a file, not a folder" if place == "there" else "a part of this path is a file, not a folder"
    said = f"--out {out} cannot be written: {reason}"
    if place == "there.jpg":
        said = f"--out {out} names one photograph's copy, and {album} is a folder; name a folder with --out"
    assert capsys.readouterr() == ("", f"colorjax: {said}\n")


def test_a_folder_without_permission_is_told_once_before_the_work(album, tmp_path, capsys, monkeypatch):
    def refuse(dir):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(dir / "x"))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert cli.main(["colorize", str(album), "--out", str(tmp_path / "out"), "--ckpt", "nowhere"]) == 2
    assert capsys.readouterr().err == f"colorjax: --out {tmp_path / 'out'} cannot be written: no permission\n"


def test_errors_of_the_system_are_said_in_words():
    part = f"/a/.{'0' * 32}.part"
    said = {
        "/a/b.jpg: no permission": PermissionError(errno.EACCES, "x", "/a/b.jpg"),
        "/a: the disk is full": OSError(errno.ENOSPC, "x", part),
        "/c: a part of this path is a file, not a folder": NotADirectoryError(errno.ENOTDIR, "x", part, None, "/c"),
        "its name is too long": OSError(errno.ENAMETOOLONG, "x"),
        "s3://b: gone": OSError("s3://b:\n gone"),
        "ValueError": ValueError(),
    }
    for words, error in said.items():
        assert photos.in_words(error) == words


def parts(folder):
    return [path for path in folder.rglob(".*") if path.is_file()]


def test_a_full_disk_is_named_and_leaves_nothing_half(colorize, album, tmp_path, monkeypatch):
    encode = photos.encode

    def full(stream, name, *rest):
        if name == "PNG":
            stream.write(b"half a file")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        encode(stream, name, *rest)

    monkeypatch.setattr(photos, "encode", full)
    code, out, err = colorize(album)
    assert code == 1
    assert err == f"{album / 'b.png'}: the disk is full\n"
    assert "3 photographs coloured" in out
    assert copies(tmp_path / "out") == ["a.colorized.jpg", "deep/c.colorized.tif", "deep/d.colorized.webp"]
    assert not (tmp_path / "out" / "b.colorized.png.json").exists()
    assert parts(tmp_path / "out") == []


@pytest.mark.parametrize("when", ["before it is measured", "before it is read"])
def test_a_vanished_photograph_is_named(colorize, album, tmp_path, monkeypatch, when):
    work = photos.measure if when == "before it is measured" else photos.pages

    def vanish(path, *limits):
        if path.name == "b.png":
            path.unlink()
        return work(path, *limits)

    monkeypatch.setattr(photos, work.__name__, vanish)
    code, out, err = colorize(album)
    assert (code, err) == (1, f"{album / 'b.png'}: the file is not there\n")
    assert "3 photographs coloured" in out


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")])
def test_running_out_of_memory_is_a_failure_and_never_a_grey_copy(colorize, album, tmp_path, monkeypatch, error):
    predict = Colorizer.predict

    def exhausted(self, image, hints):
        if image[0, 0, 0] == CAT[0, -10, 0]:
            raise error
        return predict(self, image, hints)

    monkeypatch.setattr(Colorizer, "predict", exhausted)
    code, _, err = colorize(album)
    assert code == 1
    assert err.startswith(f"{album / 'b.png'}: ")
    assert "memory" in err
    assert not (tmp_path / "out" / "b.colorized.png").exists()


def test_a_network_that_knows_no_colour_makes_no_copies(capsys, album, tmp_path):
    network = vivid_network()
    network.params["head"]["kernel"] *= 0
    network.params["head"]["bias"] *= 0
    checkpoint.export(network, tmp_path / "grey")
    code = cli.main(["colorize", str(album), "--out", str(tmp_path / "out"), "--ckpt", str(tmp_path / "grey")])
    assert code == 1
    assert "a.jpg: the network has no colour for it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() or copies(tmp_path / "out") == []


def test_names_that_play_tricks(colorize, tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    names = [
        b"new\nline.png",
        b"\x1b[31mred.png",
        b"latin-\xe4.png",
        b"a..png",
        b"a;rm -rf $HOME.png",
        b"-rf.png",
        "ü𝄞.png".encode(),
    ]
    for name in names:
        Image.fromarray(CAT).save(os.path.join(os.fsencode(folder), name))
    (folder / ("n" * 246 + ".png")).write_bytes((folder / "-rf.png").read_bytes())  # the copy's name is too long
    code, out, err = colorize(folder)
    assert code == 1
    assert f"{len(names)} photographs coloured" in out
    assert "too long" in err
    assert err.count("\n") == 1
    assert "\x1b" not in out + err
    assert (tmp_path / "out" / "-rf.colorized.png").is_file()


def test_links_lead_no_copy_out_of_the_folder(colorize, album, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    Image.fromarray(CAT).save(tmp_path / "elsewhere" / "secret.png")
    (album / "link.png").symlink_to(tmp_path / "elsewhere" / "secret.png")
    (album / "loop").symlink_to(album)
    (album / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    code, _, err = colorize(album)
    assert (code, err) == (1, f"{album / 'dangling.png'}: the file is not there\n")
    assert copies(tmp_path / "elsewhere") == ["secret.png"]
    assert "link.colorized.png" in copies(tmp_path / "out")


def test_a_target_that_is_a_folder_is_named(colorize, album, tmp_path):
    (tmp_path / "out" / "a.colorized.jpg").mkdir(parents=True)
    code, out, err = colorize(album, "--overwrite")
    assert code == 1
    assert err.startswith(f"{album / 'a.jpg'}: ")
    assert "3 photographs coloured" in out
    assert not (tmp_path / "out" / "a.colorized.jpg.json").exists()
    assert parts(tmp_path / "out") == []


def test_an_interrupt_leaves_nothing_half_and_the_rest_undone(colorize, album, tmp_path, monkeypatch):
    predict, seen = Colorizer.predict, []

    def stop(self, image, hints):
        seen.append(image)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return predict(self, image, hints)

    monkeypatch.setattr(Colorizer, "predict", stop)
    assert colorize(album, "--report", tmp_path / "report.json")[0] == 130
    made = copies(tmp_path / "out")
    assert set(made) <= {"a.colorized.jpg", "b.colorized.png"}
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["interrupted"]
    assert len(report["photographs"]) <= 2
    assert parts(tmp_path / "out") == []
    monkeypatch.setattr(Colorizer, "predict", predict)
    assert colorize(album)[0] == 0
    assert len(copies(tmp_path / "out")) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strength", "2"], "--strength 2.0 must be in 0..1.5"),
        (["--strength", "nan"], "must be in 0..1.5"),
        (["--quality", "0"], "--quality 0 must be in 1..100"),
        (["--max-megapixels", "0"], "--max-megapixels 0.0 must be positive"),
        (["--source-type", "print"], "legal are compositeWithTrainedAlgorithmicMedia"),
        (["--size", "8"], "size=8 must be at least 32"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_done(colorize, album, tmp_path, arguments, words):
    code, out, err = colorize(album, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert not (tmp_path / "out").exists()


def test_a_picture_larger_than_the_limit_is_refused_and_can_be_allowed(colorize, album, tmp_path):
    code, _, err = colorize(album, "--max-megapixels", "0.01")
    assert code == 1
    assert err.count("150x90 pixels, too many to decode safely (the limit is 0.01 megapixels)") == 4
    assert colorize(album, "--max-megapixels", "0.0135")[0] == 0


# --- side by side ---


def test_no_more_pixels_are_in_flight_than_there_is_room_for():
    room, inside, most = colorize_many._Room(100), [], []
    lock = threading.Lock()

    def visit(pixels):
        room.enter(pixels)
        with lock:
            inside.append(pixels)
            most.append(sum(inside))
        with lock:
            inside.remove(pixels)
        room.leave(pixels)

    threads = [threading.Thread(target=visit, args=(pixels,)) for pixels in [60, 50, 40, 1000, 99, 1, 30] * 10]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert max(most) == 1000  # one larger than the room goes in, alone
    assert all(total <= 100 for total in most if total < 1000)


def test_many_photographs_of_all_sizes_in_their_order(colorize, tmp_path, monkeypatch):
    monkeypatch.setattr(colorize_many, "_IN_FLIGHT_PIXELS", 5000)
    folder = tmp_path / "album"
    folder.mkdir()
    for i in range(30):
        Image.fromarray(CAT[: 10 + 7 * i % 60, : 20 + 11 * i % 90]).save(folder / f"{i:02d}.png")
    (folder / "07.png").write_bytes(b"broken")
    code, out, _ = colorize(folder, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [Path(line["source"]).stem for line in lines] == [f"{i:02d}" for i in range(30)]
    assert [line["status"] == "failed" for line in lines] == [i == 7 for i in range(30)]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says how much memory a process took")
def test_twelve_megapixels_of_16_bits_take_little_memory(tmp_path, weights):
    grey = np.asarray(Image.fromarray(CAT[..., 0]).resize((4000, 3000))).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([grey] * 3), photometric="rgb", compression="zlib")
    arguments = ["colorize", str(tmp_path / "a.tif"), "--out", str(tmp_path / "out"), "--ckpt", str(weights)]
    program = f"import sys; from colorjax.cli import main; code = main({arguments!r}); print(open('/proc/self/status').read())"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert "coloured " in answer.stdout, answer.stderr
    assert int(re.search(r"VmHWM:\s*(\d+) kB", answer.stdout)[1]) < 1.2e6  # the largest resident memory
    assert photos.read(tmp_path / "out" / "a.colorized.tif").image.dtype == np.uint16
