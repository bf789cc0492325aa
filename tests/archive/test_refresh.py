"""Sources that other programs have touched or moved: told, found again, and their metadata carried over without painting."""

import io
import json
import shutil
import struct
import zlib

import numpy as np
import pytest
import tifffile
from helpers import console
from helpers.files import CAT, DEEP, multipage
from PIL import Image

from colorjax import cli, photos
from colorjax.archive import places, provenance, sidecar
from colorjax.inference.colorizer import Colorizer

GREY = Image.fromarray(CAT).convert("L")
EXIF = b"Exif\0\0II*\0\x08\0\0\0" + bytes(6)  # so that a WebP has a chunk for what it is
COPIES = {
    "a.jpg": ".jpg",
    "b.png": ".png",
    "c.webp": ".webp",
    "d.webp": ".webp",
    "e.tif": ".tif",
    "f.bmp": ".png",
    "g.png": ".png",
}


@pytest.fixture(scope="module")
def done(tmp_path_factory, weights):
    """album/ and its copies in out/; nobody changes them."""
    root = tmp_path_factory.mktemp("done")
    (root / "album").mkdir()
    GREY.save(root / "album" / "a.jpg", dpi=(300, 300))
    GREY.save(root / "album" / "b.png")
    GREY.save(root / "album" / "c.webp", quality=80, exif=EXIF)
    Image.fromarray(np.dstack([CAT, CAT[..., 0]])).save(root / "album" / "d.webp", lossless=True, exif=EXIF)
    multipage(root / "album" / "e.tif")
    GREY.save(root / "album" / "f.bmp")
    Image.fromarray(DEEP).save(root / "album" / "g.png")
    GREY.save(root / "album" / "h.avif")
    arguments = ["colorize", root / "album", "--out", root / "out", "--ckpt", weights]
    assert cli.main([str(argument) for argument in arguments]) == 0
    return root


@pytest.fixture
def made(done, tmp_path):
    return shutil.copytree(done, tmp_path / "made")


def copy_of(made, name):
    return made / "out" / f"{name[0]}.colorized{COPIES[name]}"


def retitle(file):
    """Another program adds a title: the file is another, its pixels are not."""
    exif = Image.Exif()
    exif[270] = "title"
    about = photos.Metadata(exif.tobytes())
    if file.suffix == ".tif":
        with tifffile.TiffFile(file) as old, tifffile.TiffWriter(file.with_suffix(".new")) as new:
            for number, page in enumerate(old.pages):
                new.write(page.asarray(), photometric=page.photometric, description=f"title {number}", metadata=None)
        file.with_suffix(".new").rename(file)
    elif file.suffix == ".jpg":
        data, block = file.read_bytes(), about.exif
        file.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:])
    elif file.suffix == ".webp":
        stream = io.BytesIO()
        photos.graft(stream, "WEBP", file.read_bytes(), photos.Photo(CAT, None, "", about))
        file.write_bytes(stream.getvalue())
    elif file.name == "b.png":
        GREY.save(file, exif=exif)
    elif file.suffix == ".png":
        data, text = file.read_bytes(), b"tEXtTitle\0title"
        chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
        file.write_bytes(data[:-12] + chunk + data[-12:])
    else:
        with file.open("ab") as stream:
            stream.write(bytes(8))


def pixels_in(file):
    """The scans of a JPEG, which must stay as they lie there; the pixels of others."""
    data = file.read_bytes()
    if file.suffix == ".jpg":
        return data[data.index(b"\xff\xda") :]
    return [(page.image.tobytes(), page.alpha is None or page.alpha.tobytes()) for page in photos.pages(file)]


@pytest.mark.parametrize("name", COPIES)
def test_changed_metadata_are_told_and_carried_over_without_painting(capsys, made, weights, name, monkeypatch):
    file, copy = made / "album" / name, copy_of(made, name)
    path = copy.with_name(f"{copy.name}.json")
    before, pixels = json.loads(path.read_text()), pixels_in(copy)
    retitle(file)
    code, out, _ = console.run(capsys, "verify", copy)
    assert code == 0
    assert "as it says; the metadata of " in out
    assert "changed, its pixels did not: colorize --refresh-metadata carries them over" in out
    arguments = ("colorize", file, "--out", made / "out", "--ckpt", weights)
    code, out, err = console.run(capsys, *arguments)
    assert (code, out) == (0, f"the copy of {file} is there already: {copy}\n")
    assert err == f"{file}: its copy is there already; its metadata changed since: --refresh-metadata carries them over\n"
    monkeypatch.setattr(Colorizer, "predict", None)  # nothing is painted
    code, out, err = console.run(capsys, *arguments, "--refresh-metadata")
    assert (code, err) == (0, "")
    assert out == f"0 photographs coloured into {made / 'out'}, the metadata of 1 carried over\n"
    assert pixels_in(copy) == pixels
    after = json.loads(path.read_text())
    assert after["source"]["sha256"] != before["source"]["sha256"]
    assert all(after[key] == before[key] for key in ("pages", "settings", "weights"))
    assert console.run(capsys, "verify", copy) == (0, f"{path}: as it says\n", "")
    if name[0] in "abcd":
        with Image.open(copy) as picture:
            assert picture.getexif()[270] == "title"
            assert picture.info["icc_profile"]
    if name == "e.tif":
        with tifffile.TiffFile(copy) as pages:
            assert [page.description for page in pages.pages] == ["title 0", "title 1", "title 2"]


def test_metadata_of_a_format_that_cannot_be_taken_apart_stay(capsys, made, weights):
    file, copy = made / "album" / "h.avif", made / "out" / "h.colorized.avif"
    with file.open("ab") as stream:
        stream.write(bytes(8))
    before = copy.read_bytes()
    code, _, err = console.run(capsys, "colorize", file, "--out", made / "out", "--ckpt", weights, "--refresh-metadata")
    assert (code, err) == (1, f"{file}: the metadata of AVIF cannot be changed alone; --overwrite makes the copy anew\n")
    assert copy.read_bytes() == before
    assert console.run(capsys, "verify", copy)[0] == 0


def test_a_copy_that_somebody_edited_is_not_refreshed(capsys, made, weights):
    file, copy = made / "album" / "b.png", copy_of(made, "b.png")
    retitle(file)
    Image.fromarray(CAT).save(copy)
    before = copy.read_bytes()
    code, _, err = console.run(capsys, "colorize", file, "--out", made / "out", "--ckpt", weights, "--refresh-metadata")
    assert (code, err) == (1, f"{file}: its copy has changed since it was made; --overwrite makes it anew\n")
    assert copy.read_bytes() == before


def test_other_pixels_are_another_photograph(capsys, made, weights):
    file = made / "album" / "b.png"
    GREY.point(lambda level: min(255, level + (level == 100))).save(file)
    code, _, err = console.run(capsys, "colorize", file, "--out", made / "out", "--ckpt", weights, "--refresh-metadata")
    assert (code, err) == (1, f"{file}: it has changed since its copy was made; --overwrite makes it anew\n")
    code, out, _ = console.run(capsys, "verify", copy_of(made, "b.png"))
    assert code == 1
    assert "b.png has changed: SHA-256 is " in out


def test_sources_that_have_moved_are_found(capsys, made):
    """Under another name, or, with a new title, under their own."""
    for number, path in enumerate(sorted((made / "album").iterdir())):
        place = made / "archive" / str(number) / (path.name if number % 2 == 0 else f"renamed{path.suffix}")
        place.parent.mkdir(parents=True)
        path.rename(place)
    retitle(made / "archive" / "0" / "a.jpg")
    code, out, _ = console.run(capsys, "verify", made / "out")
    assert (code, out.count("is not there")) == (1, 8)
    code, out, _ = console.run(capsys, "verify", made / "out", "--source", made / "archive")
    assert (code, out.count("as it says")) == (0, 8)
    code, _, err = console.run(capsys, "verify", made / "out", "--source", made / "nowhere")
    assert (code, err) == (2, f"colorjax: --source {made / 'nowhere'} is no folder\n")


def test_a_copy_finds_its_sidecar(capsys, made):
    copy = copy_of(made, "a.jpg")
    assert console.run(capsys, "verify", copy, f"{copy}.json") == (0, f"{copy}.json: as it says\n", "")
    code, out, _ = console.run(capsys, "verify", made / "album" / "a.jpg")
    name = made / "album" / "a.jpg"
    assert (code, out) == (1, f"{name}: {name} has neither a sidecar of colorjax nor content credentials (C2PA)\n")
    name = made / "album" / "nowhere.jpg"
    assert console.run(capsys, "verify", name) == (1, f"{name}: no such file or folder\n", "")


def test_a_copy_that_was_emptied_or_cut_is_found_when_it_runs_again(capsys, made, weights):
    copy_of(made, "a.jpg").write_bytes(b"")
    copy_of(made, "b.png").write_bytes(copy_of(made, "b.png").read_bytes()[:-2000])
    Image.fromarray(CAT).save(copy_of(made, "g.png"))  # somebody's own work stays
    arguments = ("colorize", made / "album", "--out", made / "out", "--ckpt", weights)
    code, out, err = console.run(capsys, *arguments)
    assert (code, out) == (1, f"0 photographs coloured into {made / 'out'}, 6 there already, 2 failed\n")
    assert err.startswith(f"{made / 'album' / 'a.jpg'}: its copy is empty; --overwrite makes it anew\n")
    assert f"{made / 'album' / 'b.png'}: its copy cannot be read any more (" in err
    arguments = ("colorize", made / "album" / "a.jpg", made / "album" / "b.png", *arguments[2:], "--overwrite")
    assert console.run(capsys, *arguments)[0] == 0
    assert console.run(capsys, "verify", copy_of(made, "a.jpg"), copy_of(made, "b.png"))[0] == 0


@pytest.mark.parametrize("further", [[], ["--refresh-metadata"]])
def test_an_emptied_copy_is_found_where_the_metadata_changed_too(capsys, made, weights, further):
    file = made / "album" / "a.jpg"
    retitle(file)
    copy_of(made, "a.jpg").write_bytes(b"")
    code, _, err = console.run(capsys, "colorize", file, "--out", made / "out", "--ckpt", weights, *further)
    assert (code, err) == (1, f"{file}: its copy is empty; --overwrite makes it anew\n")


def test_other_settings_are_told_where_the_metadata_changed_too(capsys, made, weights):
    file = made / "album" / "b.png"
    retitle(file)
    arguments = ("colorize", file, "--out", made / "out", "--ckpt", weights, "--strength", "0.5", "--quality", "90")
    there = f"{file}: its copy is there already, with another strength, quality; its metadata changed since: "
    assert console.run(capsys, *arguments)[::2] == (0, f"{there}--refresh-metadata carries them over\n")
    assert console.run(capsys, *arguments, "--refresh-metadata")[::2] == (
        0,
        f"{file}: its copy keeps another strength, quality\n",
    )


def test_pages_that_were_left_out_are_still_named_when_metadata_are_carried_over(capsys, tmp_path, weights):
    file, about = tmp_path / "a.tif", tmp_path / "out" / "a.colorized.tif.json"

    def write(title):
        with tifffile.TiffWriter(file) as writer:
            for page in (CAT[..., 0], CAT[..., 0].astype(np.complex64), CAT[:40, :, 0]):
                writer.write(page, photometric="minisblack", description=title, metadata=None)

    arguments = ("colorize", file, "--out", tmp_path / "out", "--ckpt", weights)
    write("before")
    assert console.run(capsys, *arguments)[0] == 0
    (left_out,) = json.loads(about.read_text())["not_carried"]
    assert left_out.startswith("page 2 of 3: pixels of type complex64")
    write("afterwards")
    code, out, err = console.run(capsys, *arguments, "--refresh-metadata")
    assert (code, err) == (0, f"{file}: not carried: {left_out}\n")
    assert "the metadata of 1 carried over" in out
    assert json.loads(about.read_text())["not_carried"] == [left_out]


def test_nobody_is_promised_metadata_that_cannot_be_changed(capsys, made, weights):
    file, copy = made / "album" / "h.avif", made / "out" / "h.colorized.avif"
    with file.open("ab") as stream:
        stream.write(bytes(8))
    told = console.run(capsys, "colorize", file, "--out", made / "out", "--ckpt", weights)[2]
    assert told == f"{file}: its copy is there already; its metadata changed since: --overwrite makes the copy anew\n"
    out = console.run(capsys, "verify", copy)[1]
    assert out.endswith("changed, its pixels did not: colorize --overwrite makes the copy anew\n")


def test_a_source_is_looked_for_where_another_file_took_its_place(capsys, made):
    file = made / "album" / "b.png"
    (made / "archive").mkdir()
    file.rename(made / "archive" / "b.png")
    Image.fromarray(DEEP).save(file)
    assert console.run(capsys, "verify", copy_of(made, "b.png"))[0] == 1
    found = console.run(capsys, "verify", copy_of(made, "b.png"), "--source", made / "archive")
    assert found == (0, f"{copy_of(made, 'b.png')}.json: as it says\n", "")


def test_sources_are_decoded_once_however_many_ask(made, monkeypatch):
    search, decoded = places.Sources(made / "album"), []
    monkeypatch.setattr(sidecar, "pixel_digest_of", lambda path, *_: decoded.append(path.name) or "its pixels")
    about = {"source": {"name": "b.png", "sha256": "another", "pixels_sha256": "its pixels"}, "pages": [{}]}
    for _ in range(3):
        assert search.find(about, made / "nowhere", photos.MAX_PIXELS) == made / "album" / "b.png"
    assert search.find(about | {"source": about["source"] | {"pixels_sha256": "others"}}, made, photos.MAX_PIXELS) is None
    assert decoded == ["b.png"]


def test_who_verifies_hears_of_cut_and_inverted_sources(capsys, tmp_path, weights):
    GREY.save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-4000])
    arguments = ("colorize", tmp_path / "a.png", "--out", tmp_path / "out", "--ckpt", weights, "--accept-truncated")
    assert console.run(capsys, *arguments, "--negative")[0] == 0
    said = "as it says; it is of what was left of a source that is cut short; its source was inverted, as a negative\n"
    code, out, _ = console.run(capsys, "verify", tmp_path / "out")
    assert code == 0
    assert out.endswith(said)
    assert console.run(capsys, "sheet", tmp_path / "out")[0] == 1  # of what is cut there is no thumbnail
    assert "warning: " in (tmp_path / "out" / "sheet.html").read_text()


def test_a_mark_behind_much_else_is_found(capsys, made):
    """Behind Photoshop resources, profiles, texts and pixels, by their lengths."""
    much = bytes(range(1, 251)) * 240
    jpeg, png, webp = (copy_of(made, name) for name in ("a.jpg", "b.png", "c.webp"))
    data = jpeg.read_bytes()
    segment = b"\xff\xed" + struct.pack(">H", len(much) + 2) + much
    jpeg.write_bytes(data[:2] + 4 * segment + b"\xff" + data[2:])
    data, text = png.read_bytes(), b"tEXtComment\0" + 6 * much
    png.write_bytes(data[:33] + struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text)) + data[33:])
    data, other = webp.read_bytes(), b"ABCD" + struct.pack("<I", 6 * len(much)) + 6 * much
    webp.write_bytes(data[:30] + other + data[30:] + other)
    assert [provenance.is_copy(path) for path in (jpeg, png, webp)] == [True] * 3
    assert not any(provenance.is_copy(made / "album" / name) for name in ("a.jpg", "b.png", "c.webp"))
    for path in (jpeg, png, webp):
        path.write_bytes(path.read_bytes()[: 4 * len(much)])  # and what is cut before it has none
        assert not provenance.is_copy(path)


@pytest.mark.parametrize("suffix", ["png", "webp", "avif", "jp2", "jxl"])
def test_a_mark_behind_a_large_exif_is_found(tmp_path, suffix):
    exif = Image.Exif()
    exif[270] = "y" * 400_000
    origin = provenance.Origin("a", "0" * 64, provenance.SOURCE_TYPES[0], {})
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    for number, xmp in enumerate([b"", provenance.marked(b"", origin)[0]]):
        path, name = tmp_path / f"{number}.{suffix}", photos.file_format(f"a.{suffix}")
        with path.open("wb") as stream:
            photos.encode(stream, name, [(noise, photos.Photo(noise, None, name, photos.Metadata(exif.tobytes(), xmp)))])
        assert provenance.is_copy(path) == bool(xmp)
