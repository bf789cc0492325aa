"""`colorjax.colorize_file`: one file from a program, with the promises of the command."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from helpers.console import run
from PIL import Image

import colorjax
from colorjax import photos
from colorjax.archive import colorize_many
from colorjax.archive.plan import Options


@pytest.fixture(scope="module")
def colorizer(weights):
    return colorjax.Colorizer.from_checkpoint(weights)


@pytest.fixture
def scan(tmp_path):
    """A photograph of 16 bits with a resolution."""
    path = tmp_path / "scan.png"
    pixels = np.random.default_rng(0).integers(9000, 60000, (40, 30)).astype(np.uint16)
    Image.fromarray(pixels).save(path, dpi=(300, 300))
    return path


def test_it_makes_the_copy_of_the_command(colorizer, scan, weights, tmp_path, capsys):
    before = scan.read_bytes()
    outcome = colorjax.colorize_file(scan, colorizer=colorizer, strength=0.8)
    copy = scan.with_name("scan.colorized.png")
    assert (outcome.status, outcome.job.target) == ("coloured", copy) and scan.read_bytes() == before
    arguments = ("--strength", "0.8", "--ckpt", weights, "--out", tmp_path / "out")
    assert run(capsys, "colorize", scan, *arguments)[0] == 0
    assert copy.read_bytes() == (tmp_path / "out" / copy.name).read_bytes()
    assert run(capsys, "verify", copy)[0] == 0
    photo = photos.read(copy)
    assert photo.image.dtype == np.uint16 and photo.image.shape == (40, 30, 3)
    again = colorjax.colorize_file(str(scan), colorizer=colorizer)
    assert again.status == "skipped" and again.reason == (
        "its copy is there already, with another strength; overwrite=True makes it anew"
    )
    assert colorjax.colorize_file(scan, colorizer=colorizer, overwrite=True).status == "coloured"


def test_the_target_is_a_file_or_a_folder(colorizer, scan, tmp_path):
    assert colorjax.colorize_file(scan, tmp_path / "a.tif", colorizer=colorizer).job.target == tmp_path / "a.tif"
    folder = tmp_path / "new"
    assert colorjax.colorize_file(scan, folder, colorizer=colorizer, format="TIFF").job.target == folder / "scan.colorized.tif"
    assert (folder / "scan.colorized.tif.json").is_file()
    for called in ("tiff", "tif", "TIFF"):  # as the console calls it, too
        assert Options(format=called).format == "TIFF"


def test_without_a_colorizer_it_is_that_of_the_package(colorizer, scan, monkeypatch):
    made = []
    monkeypatch.setattr(colorize_many, "_pretrained", lambda: made.append(1) or colorizer)
    assert colorjax.colorize_file(scan).status == "coloured" and made == [1]
    assert colorizer.colorize_file(scan, scan.with_name("a.png"), strength=0.5).status == "coloured" and made == [1]


def test_what_cannot_be_coloured_is_said(colorizer, scan, tmp_path):
    def fails(error, said, *given, **settings):
        with pytest.raises(error) as caught:
            colorjax.colorize_file(*given, colorizer=colorizer, **settings)
        assert said in str(caught.value)

    fails(FileNotFoundError, "nowhere.jpg: no such file", tmp_path / "nowhere.jpg")
    fails(ValueError, "is a folder; the command colorjax colorize", tmp_path)
    fails(ValueError, "strength 2 must be in 0..1.5", scan, strength=2)
    fails(ValueError, "format 'gif' is unknown; legal are ", scan, format="gif")
    fails(TypeError, "quality '90' must be in 1..100, and a whole number", scan, quality="90")
    fails(TypeError, "overwrite 'no' must be True or False", scan, overwrite="no")
    fails(TypeError, "source is of type bytes; it must be the path or URL of a file", scan.read_bytes())
    fails(TypeError, "source is of type ndarray; it must be the path or URL of a file; Colorizer colours", np.zeros((5, 4)))
    fails(TypeError, "target is of type BytesIO; it must be the path", scan, io.BytesIO())
    fails(ValueError, "source is empty", "")
    fails(ValueError, f"target {tmp_path / 'x.gif'}: no .gif is written here", scan, tmp_path / "x.gif")
    fails(TypeError, "colorize_file has no setting strenght; did you mean strength?", scan, strenght=1)
    fails(photos.PhotoError, f"its copy would overwrite the photograph {scan}; name another target", scan, scan)
    other = tmp_path / "other.png"
    other.write_bytes(scan.read_bytes())
    fails(photos.PhotoError, "is there already, and not by colorjax", scan, other, overwrite=True)
    assert other.read_bytes() == scan.read_bytes()
    colorjax.colorize_file(scan, colorizer=colorizer)
    fails(photos.PhotoError, "is a copy that colorjax made", scan.with_name("scan.colorized.png"))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing")
    fails(photos.PhotoError, f"{tmp_path / 'broken.jpg'}: ", tmp_path / "broken.jpg")
    assert not list(tmp_path.glob("broken.colorized*"))


def test_hints_reach_the_sidecar(scan, tmp_path):
    colorizer = colorjax.Colorizer.pretrained()
    outcome = colorjax.colorize_file(scan, colorizer=colorizer, hints=[(10, 20, (35, 64, 142))])
    about = json.loads(Path(f"{outcome.job.target}.json").read_text())
    assert [(hint["x"], hint["y"]) for hint in about["pages"][0]["hints"]] == [(10, 20)]
    with pytest.raises(photos.PhotoError, match="hint"):
        colorjax.colorize_file(scan, tmp_path / "a.png", colorizer=colorizer, hints=[(1000, 20, (35, 64, 142))])
