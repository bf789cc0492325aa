"""TIFFs as scanners, cameras and other programs write them: which number is white, which picture is the photograph."""

import io
import struct
import time

import imagecodecs
import numpy as np
import pytest
import tifffile

from colorjax import photos
from colorjax.photos import PhotoError

GREY = (np.add.outer(np.arange(48) * 3, np.arange(64) * 2) % 256).astype(np.uint8)
SHARE = GREY / 255


def tiff(pixels, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **({"photometric": "minisblack"} | options))
    return stream.getvalue()


def packed(bits, order="<", more=()):
    """A TIFF of one strip with `bits` a sample, whose highest bit comes first; `more` tags as (code, type, count, bytes)."""
    top = 2**bits - 1
    levels = np.round(SHARE * top).astype(np.uint16)
    data = b"".join(imagecodecs.packints_encode(row, bits) for row in levels) if bits not in (8, 16) else b""
    data = data or levels.astype(f"{order}u{bits // 8}").tobytes()
    tags = [(256, 64), (257, 48), (258, bits), (259, 1), (262, 1), (273, 0), (277, 1), (278, 48), (279, len(data))]
    start = 8 + 2 + 12 * (len(tags) + len(more)) + 4
    entries = [(code, 4, 1, struct.pack(order + "I", start if code == 273 else value)) for code, value in tags]
    out = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(entries) + len(more))
    for code, kind, count, value in sorted([*entries, *more]):
        out += struct.pack(order + "HHI", code, kind, count) + value.ljust(4, b"\0")
    return out + bytes(4) + data


# --- which number is white ---


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("white", [1, 255, 65535])
@pytest.mark.parametrize("beyond", [1, 1.02])
def test_floats_of_every_usual_range_are_read(colours, white, beyond):
    pixels = np.repeat(SHARE[..., None] * white * beyond, colours, axis=-1).squeeze().astype(np.float32)
    photo = photos.read(tiff(pixels, photometric="rgb" if colours == 3 else "minisblack"))
    expected = np.clip(np.round(SHARE * beyond * 65535), 0, 65535)
    assert np.abs(photo.image.reshape(48, 64, -1)[..., 0] - expected).max() <= 1


def test_a_few_highlights_do_not_darken_a_picture_of_floats():
    pixels = SHARE.astype(np.float32)
    pixels[0, :10] = 9
    image = photos.read(tiff(pixels)).image
    assert np.abs(image[1:] - SHARE[1:] * 65535).max() <= 1 and (image[0, :10] == 65535).all()


@pytest.mark.parametrize("largest", [3.0, 100.0, 4095.0, 1e6])
@pytest.mark.parametrize("colours", [1, 3])
def test_floats_of_which_none_is_known_to_be_white_are_refused_with_their_numbers(largest, colours):
    pixels = np.repeat(SHARE[..., None] * largest / SHARE.max(), colours, axis=-1).squeeze().astype(np.float32)
    with pytest.raises(PhotoError, match=rf"from 0 to {largest:.5g}".replace("+", r"\+")) as caught:
        photos.read(tiff(pixels, photometric="rgb" if colours == 3 else "minisblack"))
    assert caught.value.kind == "not supported"
    told = tiff(pixels, photometric="rgb" if colours == 3 else "minisblack", extratags=[(341, 11, 1, largest, True)])
    assert photos.read(told).image.max() == 65535


def test_floats_around_0_are_refused():
    with pytest.raises(PhotoError, match="from -1 to 1"):
        photos.read(tiff((SHARE * 2 - 1).astype(np.float32)))


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint32])
def test_8_bits_in_more_are_not_black(dtype):
    np.testing.assert_array_equal(photos.read(tiff(GREY.astype(dtype))).image, GREY.astype(np.uint16) * 257)


def test_16_bits_in_32_are_not_black():
    deep = GREY.astype(np.uint32) * 257
    np.testing.assert_array_equal(photos.read(tiff(deep)).image, deep)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 24])
@pytest.mark.parametrize("kind", ["minisblack", "miniswhite", "rgb"])
def test_few_bits_in_more_are_named(bits, kind):
    dtype, room = (np.uint32, 32) if bits > 16 else (np.uint16, 16)
    levels = np.round(SHARE * (2**bits - 1)).astype(dtype)
    levels = np.repeat(levels[..., None], 3, -1) if kind == "rgb" else levels
    (words,) = photos.read(tiff(levels, photometric=kind)).warnings
    assert f"{bits} of {room} bits" in words and "black" in words
    assert photos.read(tiff((SHARE * 65535).astype(np.uint16), photometric="minisblack")).warnings == ()


def test_few_bits_are_told_by_what_the_file_declares():
    dark = (SHARE * 50).astype(np.uint16)
    assert photos.read(tiff(dark)).warnings == ()  # a blank page
    (words,) = photos.read(tiff(dark, extratags=[(281, 3, 1, 4095, True)])).warnings
    assert "12 of 16 bits" in words
    assert photos.read(tiff((SHARE * 60000).astype(np.uint16), extratags=[(281, 3, 1, 4095, True)])).warnings == ()


@pytest.mark.parametrize("colours", [1, 3])
def test_floats_that_are_nearly_black_are_named_unless_1_is_declared_white(colours):
    how = {"photometric": "rgb" if colours == 3 else "minisblack"}
    pixels = np.repeat(SHARE[..., None] * 0.015, colours, axis=-1).squeeze().astype(np.float32)
    (words,) = photos.read(tiff(pixels, **how)).warnings
    assert "about 0.015" in words
    assert photos.read(tiff(pixels, **how, extratags=[(341, 11, 1, 1.0, True)])).warnings == ()
    assert photos.read(tiff(pixels * 10, **how)).warnings == ()


def test_a_colour_map_of_8_bits_is_not_black():
    for values in (np.arange(256), np.arange(256) * 257):
        colours = np.repeat(values.astype(np.uint16)[None], 3, 0)
        image = photos.read(tiff(GREY, photometric="palette", colormap=colours)).image
        np.testing.assert_array_equal(image, np.repeat(GREY[..., None], 3, -1))


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("order", ["<", ">"])
def test_bits_between_8_and_16_are_spread_over_the_whole_range(bits, order):
    levels = np.round(SHARE * (2**bits - 1))
    image = photos.read(packed(bits, order)).image
    assert image.dtype == np.uint16 and np.abs(image - levels / (2**bits - 1) * 65535).max() <= 1


@pytest.mark.filterwarnings("ignore")  # Pillow's own
@pytest.mark.parametrize("kind", ["BYTE", "ASCII", "SHORT", "LONG", "UNDEFINED", "SSHORT", "SLONG"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
def test_an_orientation_of_any_type_is_followed(bits, order, kind):
    kinds = {
        "BYTE": (1, 1, b"\6"),
        "ASCII": (2, 2, b"6\0"),
        "UNDEFINED": (7, 1, b"\6"),
        "SHORT": (3, 1, "H"),
        "LONG": (4, 1, "I"),
    }
    number, count, value = (kinds | {"SSHORT": (8, 1, "h"), "SLONG": (9, 1, "i")})[kind]
    value = value if isinstance(value, bytes) else struct.pack(order + value, 6)
    image = photos.read(packed(bits, order, more=[(274, number, count, value)])).image
    assert image.shape == (64, 48)
    assert np.abs(np.rot90(image) / (255 if bits == 8 else 65535) - SHARE).max() < 0.01


# --- which picture ---


def directory(tags, following):
    """A directory of a little-endian TIFF, of (code, type, count, value)."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)


@pytest.mark.parametrize("below", [8, 8 + 2 + 12 * 10 + 4, 2**32 - 1])
def test_directories_below_one_that_lead_back_or_nowhere_cost_nothing(below):
    start = 8 + 2 + 12 * 10 + 4
    tags = [(256, 4, 1, 64), (257, 4, 1, 48), (258, 4, 1, 8), (259, 4, 1, 1), (262, 4, 1, 1), (273, 4, 1, start)]
    tags += [(277, 4, 1, 1), (278, 4, 1, 48), (279, 4, 1, GREY.size), (330, 4, 1, below)]
    data = struct.pack("<2sHI", b"II", 42, 8) + directory(tags, 0) + GREY.tobytes()
    np.testing.assert_array_equal(photos.read(data).image, GREY)


def test_directories_that_share_large_ones_below_take_no_time():
    count, below = 900, 60
    large = directory([(1, 3, 1, 1)] * 65535, 0)
    start = 8 + len(large)
    places = struct.pack(f"<{below}I", *[8 + 2 * i for i in range(below)])
    pages, step = b"", 2 + 12 * 3 + 4 + len(places)
    for number in range(count):
        here = start + number * step
        tags = [(256, 4, 1, 4), (257, 4, 1, 4), (330, 4, below, here + 2 + 12 * 3 + 4)]
        pages += directory(tags, here + step if number < count - 1 else 0) + places
    before = time.thread_time()
    with pytest.raises(PhotoError):
        photos.read(struct.pack("<2sHI", b"II", 42, start) + large + pages)
    assert time.thread_time() - before < 10
