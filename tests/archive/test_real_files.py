"""What real files do: thumbnails before the picture, pyramids, pages of unknown kinds, truncated files, readers that err."""

import io
import json

import imagecodecs
import numpy as np
import pytest
import tifffile
from helpers.files import CAT
from helpers.profiles import BLUE, GREEN, RED, profile
from PIL import Image

from colorjax import cli, photos
from colorjax.archive import sidecar
from colorjax.inference.colorizer import Colorizer
from colorjax.photos import pixels
from colorjax.photos.formats import doubts, pictures

GREY = np.asarray(Image.fromarray(CAT).convert("L").resize((192, 160)))
DEEP = GREY.astype(np.uint16) * 257


@pytest.fixture
def colorize(capsys, weights, tmp_path):
    """(exit code, stdout, stderr, the sidecar where there is one) of the command on one photograph of this content."""

    def run(name, content, *arguments):
        (tmp_path / name).write_bytes(content)
        command = ["colorize", tmp_path / name, "--out", tmp_path / "out", "--ckpt", weights, *arguments]
        code = cli.main([str(argument) for argument in command])
        told = next(iter((tmp_path / "out").glob("*.json")), None)
        return code, *capsys.readouterr(), told and json.loads(told.read_text())

    return run


def tiff(*writes, **options):
    """A TIFF of (pixels, options) in turn."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, **options) as writer:
        for pixels, how in writes:
            writer.write(pixels, **({"photometric": "minisblack", "metadata": None} | how))
    return stream.getvalue()


def verified(tmp_path):
    return sidecar.verify(next((tmp_path / "out").glob("*.json"))).problems


# --- which picture of a file ---

SMALL = GREY[::4, ::4].copy()
THUMBNAIL_FIRST = {
    "in a SubIFD": tiff((SMALL, {"subfiletype": 1, "subifds": 1}), (GREY, {"subfiletype": 0})),
    "after it": tiff((SMALL, {"subfiletype": 1}), (GREY, {})),
    "big": tiff((SMALL, {"subfiletype": 1, "subifds": 1}), (GREY, {}), bigtiff=True),
    "big-endian, deflate": tiff((SMALL, {"subfiletype": 1, "subifds": 1}), (GREY, {"compression": "zlib"}), byteorder=">"),
    "unmarked": tiff((SMALL, {"subifds": 1}), (GREY, {})),
}


@pytest.mark.parametrize("where", THUMBNAIL_FIRST)
def test_the_picture_is_coloured_and_not_the_thumbnail_before_it(colorize, tmp_path, where):
    code, _, told, about = colorize("a.tif", THUMBNAIL_FIRST[where])
    assert code == 0 and about["pages"][0]["width"] == 192 and len(about["pages"]) == 1
    assert photos.read(tmp_path / "out" / "a.colorized.tif").image.shape == (160, 192, 3)
    np.testing.assert_array_equal(photos.read(tmp_path / "a.tif").image, GREY)
    assert photos.read_rgb(tmp_path / "a.tif").shape == (160, 192, 3) and photos.measure(tmp_path / "a.tif") == GREY.size
    assert "first directory is a smaller version, of 48x40 pixels" in told
    assert about["pages"][0]["warnings"] and not verified(tmp_path)


def test_a_file_of_a_thumbnail_alone_says_so(colorize):
    assert "smaller version of a picture that is not in the file" in colorize("a.tif", tiff((SMALL, {"subfiletype": 1})))[2]


def test_a_raw_photograph_behind_its_preview_is_refused(colorize):
    raw = tiff((SMALL, {"subfiletype": 1, "subifds": 1}), (DEEP, {"photometric": 32803, "extratags": []}))
    code, _, told, _ = colorize("a.tif", raw)
    assert code == 1 and "raw photograph" in told


@pytest.mark.parametrize("below", [True, False], ids=["SubIFDs", "chain"])
@pytest.mark.parametrize("image", [GREY, DEEP], ids=["8", "16"])
def test_a_pyramid_stays_one_with_its_tiles_and_one_colouring(colorize, tmp_path, image, below):
    levels = [image, image[::2, ::2].copy(), image[::4, ::4].copy()]
    tiles, place = [(64, 48), (32, 32), None], {"subfiletype": 1}
    how = [{"tile": tiles[0]} | ({"subifds": 2} if below else {}), {"tile": tiles[1]} | place, {} | place]
    code, _, told, about = colorize("a.tif", tiff(*zip(levels, how, strict=True)))
    assert code == 0 and not told and len(about["pages"]) == 1
    with tifffile.TiffFile(tmp_path / "out" / "a.colorized.tif") as file:
        pages = [file.pages[0], *file.pages[0].pages] if below else list(file.pages)
        assert len(pages) == 3 and len(file.pages) == (1 if below else 3)
        assert [(page.tilelength, page.tilewidth) if page.is_tiled else None for page in pages] == tiles
        assert [int(page.subfiletype) for page in pages] == [0, 1, 1]
        whole, *smaller = (page.asarray() for page in pages)
    assert whole.dtype == image.dtype and np.ptp(whole.astype(int), axis=-1).max() > 20
    for factor, level in zip((2, 4), smaller, strict=True):
        mean = whole.reshape(160 // factor, factor, 192 // factor, factor, 3).mean(axis=(1, 3))
        assert np.abs(level - mean).max() <= 1
    assert not verified(tmp_path)


def test_a_pyramid_on_its_side_keeps_its_levels(colorize, tmp_path):
    turned = [(274, 3, 1, 6, True)]
    writes = [(GREY, {"tile": (32, 64), "subifds": 1, "extratags": turned}), (SMALL, {"tile": (16, 32), "subfiletype": 1})]
    assert colorize("a.tif", tiff(*writes))[0] == 0
    with tifffile.TiffFile(tmp_path / "out" / "a.colorized.tif") as file:
        found = [(page.shape[:2], page.tilelength, page.tilewidth) for page in (file.pages[0], *file.pages[0].pages)]
    assert found == [((192, 160), 64, 32), ((48, 40), 32, 16)]


def test_smaller_versions_are_named_where_a_format_has_no_room_for_them(colorize):
    content = tiff((GREY, {"subifds": 1}), (SMALL, {"subfiletype": 1}))
    assert colorize("a.tif", content, "--format", "png")[3]["not_carried"] == ["its smaller version"]


def test_masks_and_other_pictures_beside_one_are_named(colorize):
    beside = [(GREY > 99, {"subfiletype": 4, "photometric": "mask"}), (GREY[:30, :90].copy(), {"subfiletype": 1})]
    about = colorize("a.tif", tiff((GREY, {}), *beside))[3]
    assert about["not_carried"] == ["a mask of 192x160 pixels", "another picture of 90x30 pixels"]
    assert len(about["pages"]) == 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_page_of_an_unsupported_kind_fails_alone(colorize, tmp_path, place):
    pages = [(GREY, {}), (GREY[::-1].copy(), {})]
    pages.insert(place, ((GREY / np.float32(2.5)).astype(np.float32), {}))
    code, _, told, about = colorize("a.tif", tiff(*pages))
    assert code == 0 and f"page {place + 1} of 3" in told
    assert [page.get("page", number) for number, page in enumerate(about["pages"], 1)] == [
        n for n in (1, 2, 3) if n != place + 1
    ]
    assert any(f"page {place + 1} of 3" in words for words in about["not_carried"])
    assert [page.pages for page in photos.pages(tmp_path / "out" / "a.colorized.tif")] == [2, 2]
    assert not verified(tmp_path)


def test_a_file_of_unsupported_pages_alone_fails(colorize):
    code, _, told, _ = colorize("a.tif", tiff(*[((GREY / np.float32(2.5)).astype(np.float32), {})] * 2))
    assert code == 1 and "page 1 of 2" in told


# --- truncated ---


def saved(image, name, **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, name, **options)
    return stream.getvalue()


def deep_png():
    return imagecodecs.png_encode(np.repeat(DEEP[..., None], 3, -1))


CUT = {
    "a.jpg": saved(GREY, "JPEG", quality=95),
    "a.png": saved(GREY, "PNG"),
    "a.bmp": saved(GREY, "BMP"),
    "deep.png": deep_png(),
    "a.tif": tiff((GREY, {})),
    "strips.tif": tiff((GREY, {"rowsperstrip": 16, "compression": "zlib", "predictor": True})),
    "one.tif": tiff((GREY, {"compression": "zlib", "predictor": True})),
    "rgb.tif": tiff((np.repeat(GREY[..., None], 3, -1), {"photometric": "rgb", "rowsperstrip": 16, "compression": "lzw"})),
    "deep.tif": tiff((DEEP, {"rowsperstrip": 16, "compression": "zlib"})),
    "tiles.tif": tiff((DEEP, {"tile": (32, 192)})),
    "floats.tif": tiff(((GREY / 255).astype(np.float32), {"rowsperstrip": 16})),
}


@pytest.mark.parametrize("name", CUT)
def test_what_is_left_of_a_truncated_file_is_coloured_where_it_is_asked_for(colorize, tmp_path, name):
    data = CUT[name]
    cut = data[: len(data) * 6 // 10]
    assert colorize(name, cut)[0] == 1
    code, words, told, about = colorize(name, cut, "--accept-truncated")
    assert code == 0, told
    assert "rows are left" in told and "1 to be looked at" in words
    assert about["pages"][0]["truncated"] is True and "rows are left" in about["pages"][0]["warnings"][0]
    with pytest.raises(photos.PhotoError):
        photos.read(tmp_path / name)
    whole, left = photos.read(data).image, next(photos.pages(tmp_path / name, accept_truncated=True)).image
    assert left.shape == whole.shape and left.dtype == whole.dtype
    rows = (left == whole).reshape(160, -1).all(axis=1)
    rows = rows[::-1] if name.endswith("bmp") else rows  # which begins below
    assert rows[:60].all() and not rows[120:].any()
    assert not verified(tmp_path)


def test_a_whole_file_says_nothing_of_it(colorize):
    about = colorize("a.png", CUT["a.png"], "--accept-truncated")[3]
    assert "truncated" not in about["pages"][0] and "warnings" not in about["pages"][0]


def test_the_pages_before_a_cut_are_whole(colorize, tmp_path):
    data = tiff(*[(GREY, {})] * 3)
    assert colorize("a.tif", data[:-30000])[0] == 1
    code, _, told, about = colorize("a.tif", data[:-30000], "--accept-truncated")
    assert code == 0 and [page.get("truncated", False) for page in about["pages"]] == [False, False, True], told
    assert not verified(tmp_path)


# --- a second opinion ---

OTHERS = {
    "grey.tif": tiff((GREY, {})),
    "deep.tif": tiff((DEEP, {"compression": "lzw"})),
    "inverted.tif": tiff((255 - GREY, {"photometric": "miniswhite"})),
    "palette.tif": tiff((GREY, {"photometric": "palette", "colormap": np.repeat(np.arange(256, dtype=np.uint16)[None], 3, 0)})),
    "rgb.png": saved(CAT, "PNG"),
    "deep.png": deep_png(),
    "grey.bmp": saved(GREY, "BMP"),
    "turned.tif": tiff((DEEP, {"extratags": [(274, 3, 1, 6, True)]})),
    "mirrored.tif": tiff((GREY, {"extratags": [(274, 3, 1, 7, True)]})),
    "alpha.png": saved(np.dstack([CAT, np.where(CAT[..., 0] < 90, 90, 255).astype(np.uint8)]), "PNG"),
    "tiles.tif": tiff((np.ascontiguousarray(DEEP[:90, :150]), {"tile": (64, 48)})),  # libtiff errs at their right side
    "planes.tif": tiff((np.stack([DEEP] * 3), {"photometric": "rgb", "planarconfig": "separate"})),
}


@pytest.mark.parametrize("name", OTHERS)
def test_two_readers_agree_on_sound_files_and_an_error_of_ours_is_named(monkeypatch, name):
    assert next(photos.pages(OTHERS[name], compare=True)).warnings == ()
    read = pixels.upright
    for wrong in (lambda image: image * 0, lambda image: ~image, lambda image: image[:, ::-1], lambda image: image[:-1]):
        monkeypatch.setattr(photos.reading.pixels, "upright", lambda *what, wrong=wrong: (wrong(read(*what)[0]), None))
        warnings = next(photos.pages(OTHERS[name], compare=True)).warnings
        assert len(warnings) == 1 and "sees" in warnings[0]
        assert next(photos.pages(OTHERS[name])).warnings == ()


def test_what_the_second_reader_cannot_read_is_no_reason_to_doubt(monkeypatch):
    def no_reader(*_):
        raise RuntimeError("of the second reader")

    for name in ("_by_libtiff", "_by_libpng", "_by_imagecodecs"):
        monkeypatch.setattr(doubts, name, no_reader)
    for data in (*OTHERS.values(), tiff(((GREY / 255).astype(np.float32), {})), CUT["a.jpg"]):
        assert next(photos.pages(data, compare=True)).warnings == ()


def test_a_profile_is_no_reason_to_doubt():
    wide = profile("Wide", GREEN, RED, BLUE, 1.8)
    assert next(photos.pages(saved(CAT, "PNG", icc_profile=wide), compare=True)).warnings == ()
    assert next(photos.pages(saved(CAT, "TIFF", icc_profile=wide), compare=True)).warnings == ()


def test_the_sidecar_names_what_two_readers_see_differently(colorize, monkeypatch):
    read = pixels.upright
    monkeypatch.setattr(photos.reading.pixels, "upright", lambda *what: (read(*what)[0] * 0, None))
    code, words, told, about = colorize("a.tif", OTHERS["grey.tif"])
    assert code == 0 and "warning: another reader (libtiff)" in told and "1 to be looked at" in words
    assert "another reader" in about["pages"][0]["warnings"][0]


def test_a_black_copy_of_8_bits_in_16_is_named_and_a_blank_page_is_not(colorize):
    assert "it is all black" in colorize("a.tif", tiff((GREY.astype(np.uint16), {})))[2]
    for blank in (np.zeros_like(GREY), np.full_like(GREY, 254)):
        assert "warning" not in colorize("a.tif", tiff((blank, {})), "--overwrite")[2]


def test_a_copy_that_lost_its_picture_is_named(colorize, monkeypatch):
    monkeypatch.setattr(Colorizer, "paint", lambda self, pixels, *_, **__: np.full((*pixels.shape[:2], 3), 255, np.uint8))
    assert "its copy is all white, and the photograph is not" in colorize("a.tif", tiff((GREY, {})))[2]


# --- what may be lost without a word ---


@pytest.mark.parametrize("below", [True, False], ids=["SubIFDs", "chain"])
def test_another_photograph_that_calls_itself_a_smaller_version_is_named(colorize, tmp_path, below):
    other = np.ascontiguousarray(GREY[::-1][:153, :184])
    how = {"subifds": 2} if below else {}
    code, _, told, about = colorize("a.tif", tiff((GREY, how), (other, {"subfiletype": 1}), (SMALL, {"subfiletype": 1})))
    place = "of 184x153 pixels, below the page" if below else "page 2"
    words = f"another picture, a smaller one ({place})"
    assert code == 0 and about["not_carried"] == [words]
    assert f"{words} is not in the copy" in about["pages"][0]["warnings"][0] and "warning: another picture" in told
    with tifffile.TiffFile(tmp_path / "out" / "a.colorized.tif") as file:
        pages = [file.pages[0], *file.pages[0].pages] if below else list(file.pages)
        assert [page.shape[:2] for page in pages] == [(160, 192), (40, 48)]


def test_a_smaller_version_that_cannot_be_read_is_named(colorize):
    data = tiff((GREY, {}), (SMALL, {"subfiletype": 1, "compression": "zlib"}))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages[1].dataoffsets[0]
    about = colorize("a.tif", data[:place] + b"damage" + data[place + 6 :])[3]
    assert about["not_carried"] == ["another picture, a smaller one (page 2)"]


def test_a_smaller_version_of_a_nearly_square_picture_stays_one():
    page = photos.read(tiff((GREY[:100, :99].copy(), {"subifds": 1}), (GREY[:99:3, :99:3].copy(), {"subfiletype": 1})))
    assert len(page.stored.smaller) == 1 and page.warnings == ()


def test_grain_is_no_other_picture():
    grainy = np.clip(GREY + np.random.default_rng(0).normal(0, 60, GREY.shape), 0, 255).astype(np.uint8)
    for small in (grainy[::8, ::8].copy(), grainy[4::8, 4::8].copy(), np.asarray(Image.fromarray(grainy).resize((24, 20)))):
        assert len(photos.read(tiff((grainy, {"subifds": 1}), (small, {"subfiletype": 1}))).stored.smaller) == 1


def test_blank_pages_keep_their_smaller_versions():
    blank = np.full_like(GREY, 250) - (GREY % 3)
    page = photos.read(tiff((blank, {"subifds": 1}), (blank[::4, ::4][::-1].copy(), {"subfiletype": 1})))
    assert len(page.stored.smaller) == 1 and page.warnings == ()


def test_a_few_hot_pixels_do_not_hide_that_a_copy_is_black(colorize, monkeypatch):
    black = np.zeros((*GREY.shape, 3), np.uint8)
    black[0, :5] = 255
    monkeypatch.setattr(Colorizer, "paint", lambda *_, **__: black.copy())
    assert "its copy is all black, and the photograph is not" in colorize("a.tif", tiff((GREY, {})))[2]


def test_the_second_reader_reads_a_file_of_many_pages_once(tmp_path, monkeypatch):
    read, opened = [], pictures._From.read
    monkeypatch.setattr(pictures._From, "read", lambda self, size=-1: (read.append(size), opened(self, size))[1])
    (tmp_path / "a.tif").write_bytes(tiff(*[(GREY, {}), (255 - GREY, {}), (GREY[::-1].copy(), {})] * 2))
    found = list(photos.pages(tmp_path / "a.tif", compare=True))
    assert len(found) == 6 and not any(page.warnings for page in found)  # each is compared with itself
    assert sum(size in (-1, None) for size in read) <= 1


@pytest.mark.parametrize("place", [0, 1])
def test_a_page_of_a_compression_that_is_not_unpacked_fails_alone_and_is_counted(colorize, place):
    pages = [(GREY, {}), (CAT, {"photometric": "rgb", "compression": "webp"})]
    code, words, told, about = colorize("a.tif", tiff(*pages[:: 1 if place else -1]))
    assert code == 0 and f"page {place + 1} of 2: a TIFF compressed as WebP" in about["not_carried"][0]
    assert f"warning: left out of its copy: page {place + 1} of 2" in told and "1 to be looked at" in words
