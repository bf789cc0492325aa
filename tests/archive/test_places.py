"""Where copies go without --out, and where --out names the copy itself; all that is promised of other copies holds there."""

import hashlib
import json
from pathlib import Path

import pytest
from helpers.console import check_failed_before_the_work, run
from PIL import Image

from colorjax import photos
from colorjax.archive import colorize_cluster, places, sidecar
from colorjax.archive.colorize_command import telling
from colorjax.archive.plan import Options


@pytest.fixture
def album(tmp_path, monkeypatch):
    """The folder in which the command runs: photo.jpg, other.png, album/a.jpg, album/sub/b.png."""
    monkeypatch.chdir(tmp_path)
    Path("album/sub").mkdir(parents=True)
    for number, name in enumerate(("photo.jpg", "other.png", "album/a.jpg", "album/sub/b.png")):
        Image.effect_noise((40, 30), 40 + number).save(name)
    return tmp_path


@pytest.fixture
def colorize(capsys, album, weights):
    """(exit code, stdout, stderr) of the command, run there."""
    return lambda *arguments: run(capsys, "colorize", *arguments, "--ckpt", weights)


def pictures(folder="."):
    found = (path for path in Path(folder).rglob("*") if path.is_file() and path.suffix != ".json")
    return {path.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_without_out_the_copy_is_beside_the_photograph(colorize, capsys):
    before = pictures()
    assert colorize("photo.jpg") == (0, "coloured photo.jpg -> photo.colorized.jpg\n", "")
    assert pictures().keys() - before.keys() == {"photo.colorized.jpg"} and before.items() <= pictures().items()
    assert json.loads(Path("photo.colorized.jpg.json").read_text())["source"]["path"] == "photo.jpg"
    assert run(capsys, "verify", "photo.colorized.jpg")[0] == 0
    assert colorize("photo.jpg")[:2] == (0, "the copy of photo.jpg is there already: photo.colorized.jpg\n")
    assert colorize("photo.jpg", "other.png")[1] == "1 photograph coloured beside the originals, 1 there already\n"


def test_without_out_a_folder_has_one_for_its_copies(colorize, album):
    before = pictures()
    assert colorize("album")[:2] == (0, "2 photographs coloured into album-colorized\n")
    copies = {"album-colorized/a.colorized.jpg", "album-colorized/sub/b.colorized.png"}
    assert pictures().keys() - before.keys() == copies and before.items() <= pictures().items()
    code, out, _ = colorize("album/", "album-colorized", "photo.jpg")  # what is in the second are copies
    said = "1 photograph coloured into album-colorized, album-colorized-colorized and beside the originals, 2 there already"
    assert (code, out) == (0, f"{said}\n")


def test_the_folder_for_copies_is_called_as_the_folder_is(colorize, album, monkeypatch):
    monkeypatch.chdir("album")
    assert colorize(".")[1] == f"2 photographs coloured into {album / 'album-colorized'}\n"
    assert sorted(pictures(album / "album-colorized")) == [
        str(album / "album-colorized" / name) for name in ("a.colorized.jpg", "sub/b.colorized.png")
    ]
    with pytest.raises(ValueError, match=r"^/ has no folder beside it for the copies; name one with --out$"):
        places.folders([Path("/")], None)


def test_a_photograph_that_is_named_is_coloured_beside_even_if_its_folder_is_named_too(colorize):
    assert colorize("album", "album/a.jpg")[0] == 0
    assert {"album/a.colorized.jpg", "album-colorized/sub/b.colorized.png"} < pictures().keys()
    assert "album-colorized/a.colorized.jpg" not in pictures()


def test_names_stay_apart_without_out_too(colorize):
    for name in ("album/a.png", "album-colorized/a.jpg"):  # one wants album-colorized/a.colorized.jpg as album/a.jpg does
        Path(name).parent.mkdir(exist_ok=True)
        Image.effect_noise((40, 30), 90).save(name)
    for _ in range(2):
        assert colorize("album", "album-colorized/a.jpg")[0] == 0
        found = {name for name in pictures() if ".colorized." in name}
        assert len(found) == 4, found
        sources = {sidecar.read(Path(f"{name}.json"))["source"]["path"].rpartition("/")[2] for name in found}
        assert sources == {"a.jpg", "a.png", "b.png"}


def test_a_place_that_cannot_be_written_is_told_once(colorize, monkeypatch):
    def refuse(dir):
        raise PermissionError(13, "no", str(dir))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    outcome = colorize("photo.jpg", "other.png")
    check_failed_before_the_work(outcome, "no copy can be written into .: no permission; name another folder with --out")


def test_the_copy_of_what_lies_elsewhere_must_be_given_a_place(colorize):
    from colorjax.archive.urls import Url

    with pytest.raises(ValueError, match=r"^s3://bucket/a\.jpg: say where its copy goes, with --out and a folder or its URL$"):
        places.jobs([(Url("s3://bucket"), Url("s3://bucket/a.jpg"))], None, Options())


# --- --out FILE ---


def test_out_can_name_the_copy(colorize, capsys):
    before = pictures()
    assert colorize("photo.jpg", "--out", "new/result.png") == (0, "coloured photo.jpg -> new/result.png\n", "")
    assert pictures().keys() - before.keys() == {"new/result.png"} and before.items() <= pictures().items()
    assert photos.kind("new/result.png") == "PNG"
    again = colorize("photo.jpg", "--out", "new/result.png")[1]
    assert again == "the copy of photo.jpg is there already: new/result.png\n"
    for named in ("new", "new/result.png"):  # known as ours by its mark
        assert "passed over 1 copy by colorjax" in colorize(named)[2]
    assert run(capsys, "verify", "new") == (0, "new/result.png.json: as it says\n", "")
    assert run(capsys, "sheet", "new")[1] == "1 picture in new/sheet.html\n"
    assert colorize("photo.jpg", "--out", "new/result.png", "--strength", "0.5", "--overwrite")[0] == 0


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_photograph_is_never_replaced_by_a_copy_that_is_named(colorize, overwrite):
    before = pictures()
    code, _, err = colorize("photo.jpg", "--out", "other.png", *overwrite)
    assert (code, err) == (1, "photo.jpg: other.png is there already, and not by colorjax; name another --out\n")
    assert "would overwrite the photograph" in colorize("photo.jpg", "--out", "photo.jpg", *overwrite)[2]
    assert pictures() == before and not list(Path().rglob("*.json"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("album", "--out", "a.jpg"),
            "--out a.jpg names one photograph's copy, and album is a folder; name a folder with --out",
        ),
        (("photo.jpg", "other.png", "--out", "a.jpg"), "2 photographs or folders are named"),
        (("photo.jpg", "--out", "a.gif"), "--out a.gif: no .gif is written here; name one of .jpg, .png, .tif"),
        (("photo.jpg", "--out", "a.bmp"), "--out a.bmp: no .bmp is written here"),
        (("photo.jpg", "--out", "a.j2k"), "--out a.j2k: no .j2k is written here"),
        (("photo.jpg", "--out", "a.png", "--format", "jpg"), "--out a.png and --format jpeg contradict each other"),
    ],
)
def test_what_out_cannot_name(colorize, arguments, said):
    before = pictures()
    check_failed_before_the_work(colorize(*arguments), said)
    assert pictures() == before


def test_a_folder_that_is_called_like_a_picture_is_one(colorize):
    Path("prints.jpg").mkdir()
    assert colorize("photo.jpg", "--out", "prints.jpg")[1] == "coloured photo.jpg -> prints.jpg/photo.colorized.jpg\n"


def test_sidecars_of_others_are_no_sidecars(tmp_path):
    (tmp_path / "IMG_1.jpg.json").write_text('{"title": "IMG_1.jpg"}')  # as exports of albums have them
    (tmp_path / "a.jpg.json").write_text(f'{{"schema": "{sidecar.SCHEMA}"}}')
    assert sidecar.find(tmp_path) == [tmp_path / "a.jpg.json"]


def test_workers_are_told_every_folder_for_copies(tmp_path):
    setup = colorize_cluster.Setup("pretrained", None, False, Options())
    with colorize_cluster._seen([tmp_path / "a", tmp_path / "b"], setup) as told:
        assert [Path(path).parent.name for path in told.seen] == ["a", "b"] and all(Path(path).exists() for path in told.seen)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("what", "one"),
    [
        ("photographs", "1 photograph"),
        (photos.PICTURES[".gif"], "1 GIF (save it as PNG)"),
        (photos.PICTURES[".nef"], "1 raw file of cameras (develop it to TIFF)"),
        (photos.ASTRAY, "1 file of hints without its photograph"),
        (places.OWN, "1 copy by colorjax"),
    ],
)
def test_one_is_told_as_one(what, one):
    assert telling.counted(1, what) == one and telling.counted(2, what) == f"2 {what}"
