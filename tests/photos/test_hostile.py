"""Hostile and damaged photo files: each is read right or refused with a reason in a few words, soon and in little memory."""

import contextlib
import functools
import io
import os
import re
import signal
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from helpers.room import little_room
from PIL import Image, ImageCms

from colorjax import photos
from colorjax.photos import PhotoError

HEIGHT, WIDTH = 24, 36
RNG = np.random.default_rng(5)
DEEP = RNG.integers(0, 65536, (HEIGHT, WIDTH, 3)).astype(np.uint16)
SMALL = (DEEP >> 8).astype(np.uint8)
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL, FLOAT, DOUBLE = 1, 2, 3, 4, 5, 7, 10, 11, 12
CODES = {BYTE: "B", SHORT: "H", LONG: "I", FLOAT: "f", DOUBLE: "d"}


# --- files made byte by byte ---


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, bits=8, kind=2, data=None, before=b"", after=b"", interlace=0, method=0):
    if data is None:
        data = zlib.compress((b"\0" + bytes(width * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind] * bits // 8)) * height)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, method, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", data) + after + chunk(b"IEND", b"")


def packed(kind, values):
    """(count, bytes) of a TIFF tag."""
    if isinstance(values, bytes):
        return len(values) // {SRATIONAL: 8, RATIONAL: 8}.get(kind, 1), values
    values = values if isinstance(values, tuple) else (values,)
    return len(values), struct.pack(f"<{len(values)}{CODES[kind]}", *values)


def tiff(tags, pixels=b"", following=0, counts=None):
    """A TIFF of one directory: tags {code: (type, values)}, its pixels at offset 8, counts {code: a lie about how many}."""
    start = 8 + len(pixels) + len(pixels) % 2
    entries, beyond, place = b"", b"", start + 2 + 12 * len(tags) + 4
    for code, (kind, values) in sorted(tags.items()):
        count, data = packed(kind, values)
        if len(data) > 4:
            data, beyond = struct.pack("<I", place + len(beyond)), beyond + data + bytes(len(data) % 2)
        entries += struct.pack("<HHI", code, kind, (counts or {}).get(code, count)) + data.ljust(4, b"\0")
    head = struct.pack("<2sHI", b"II", 42, start) + pixels.ljust(start - 8, b"\0")
    return head + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + beyond


def plain(pixels, compression=1, data=None):
    """The tags of a picture in one strip, and its bytes."""
    height, width = pixels.shape[:2]
    channels, data = pixels.shape[2] if pixels.ndim == 3 else 1, pixels.tobytes() if data is None else data
    tags = {256: (LONG, width), 257: (LONG, height), 258: (SHORT, (8 * pixels.itemsize,) * channels), 259: (SHORT, compression)}
    tags |= {262: (SHORT, 2 if channels == 3 else 1), 273: (LONG, 8), 277: (SHORT, channels), 278: (LONG, height)}
    return tags | {279: (LONG, len(data))}, data


def changed_tiff(pixels, changes, following=0, counts=None, **options):
    tags, data = plain(pixels, **options)
    return tiff(tags | changes, data, following, counts)


def sparse_tiff(width, height, changes, size=4000):
    """So many pixels, and next to no bytes of them."""
    return changed_tiff(SMALL, {256: (LONG, width), 257: (LONG, height), 278: (LONG, height)} | changes, data=bytes(size))


def bmp(width, height, bits=24, compression=0, data=bytes(100), colours=0):
    palette = bytes(range(256)) * 4 if bits == 8 else b""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, colours, 0)
    return struct.pack("<2sIHHI", b"BM", 54 + len(palette) + len(data), 0, 0, 54 + len(palette)) + header + palette + data


def segment(marker, data):
    return bytes([255, marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg(pixels=SMALL, **options):
    return saved(pixels, "JPEG", **options)


def resized_jpeg(width, height, **options):
    """A JPEG whose header says another size than its data have."""
    data = bytearray(jpeg(**options))
    place = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def webp(*chunks):
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def vp8x(width, height, flags):
    return b"VP8X", bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def vp8(width, height):
    return b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(100)


def vp8l(width, height):
    return b"VP8L", b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14) + bytes(100)


def saved(pixels, name, **options):
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    picture.save(stream, name, **options)
    return stream.getvalue()


def tifffiled(pixels, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, metadata=None, **({"photometric": "rgb"} | options))
    return stream.getvalue()


def deep_png(pixels=DEEP, before=b"", after=b""):
    data = imagecodecs.png_encode(pixels.copy())
    return data[:33] + before + data[33:-12] + after + data[-12:]


# --- what becomes of them ---


def refused(source):
    """The reason for which every reader refuses a file, soon and in little memory."""
    reasons = []
    with little_room():
        for reader in (photos.read, photos.read_rgb, lambda given: list(photos.pages(given))):
            with pytest.raises(PhotoError) as caught:
                reader(source)
            reasons.append(str(caught.value))
    for reason in reasons:
        assert 5 < len(reason) < 200, "a reason in a few words"
        assert reason.isprintable()
        assert "memory" not in reason.lower(), "it must be refused before the memory is asked for"
    return reasons[0]


def read(source):
    """The pixels of a file that must be read, soon and in little memory."""
    with little_room():
        photo, rgb = photos.read(source), photos.read_rgb(source)
    expected = photos.to_u8(photo.image)
    np.testing.assert_array_equal(rgb, expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, axis=-1))
    return photo.image


def copied(source, name=None):
    """A photo and its copy, both read."""
    photo = photos.read(source)
    pixels = photo.image if photo.image.ndim == 3 else np.repeat(photo.image[..., None], 3, axis=-1)
    stream = io.BytesIO()
    photos.encode(stream, name or photo.file_format, [(pixels, photo)])
    return photo, photos.read(stream.getvalue())


# --- bombs ---

ANIMATED = (b"ANIM", bytes(6)), (b"ANMF", bytes(16))
BOMBS = {
    "png": png(60000, 60000, data=zlib.compress(bytes(2**20))),
    "png of 2**31 - 1": png(2**31 - 1, 2**31 - 1, data=b""),
    "png, 16 bits": png(60000, 60000, 16, data=zlib.compress(bytes(2**20))),
    "png, 1 bit": png(2**20, 2**20, 1, 0, data=b""),
    "tiff deflate": sparse_tiff(60000, 60000, {259: (SHORT, 8)}),
    "tiff lzw": sparse_tiff(65535, 65535, {259: (SHORT, 5)}),
    "tiff fax": sparse_tiff(65535, 65535, {259: (SHORT, 4), 258: (SHORT, 1), 262: (SHORT, 0), 277: (SHORT, 1)}),
    "tiff, 16 bits": sparse_tiff(60000, 60000, {259: (SHORT, 8), 258: (SHORT, (16, 16, 16))}),
    "tiff, 32 bits": sparse_tiff(60000, 60000, {259: (SHORT, 8), 258: (SHORT, 32), 339: (SHORT, 3)}),
    "tiff of 2**32 - 1": sparse_tiff(2**32 - 1, 2**32 - 1, {}),
    "bmp": bmp(60000, 60000),
    "bmp rle": bmp(60000, 60000, 8, 1),
    "bmp of 2**31 - 1": bmp(2**31 - 1, 2**31 - 1),
    "jpeg": resized_jpeg(65500, 65500),
    "jpeg, progressive": resized_jpeg(65500, 65500, progressive=True),
    "webp": webp(vp8(16383, 16383)),
    "webp, lossless": webp(vp8l(16384, 16384)),
    "webp, extended": webp(vp8x(16383, 16383, 0), vp8(16383, 16383)),
    "webp, animated": webp(vp8x(2**16 - 1, 2**16 - 1, 2), *ANIMATED),
}


@pytest.mark.parametrize("name", BOMBS)
def test_too_many_pixels_are_refused_by_the_header(name):
    assert refused(BOMBS[name]).startswith("declares ")


OVERSTATED = {
    "png": png(8000, 8000, data=zlib.compress(bytes(100))),
    "png, 16 bits": png(8000, 8000, 16, data=zlib.compress(bytes(100))),
    "jpeg": resized_jpeg(8000, 8000),
    "bmp": bmp(8000, 8000),
    "bmp rle": bmp(8000, 8000, 8, 1, b"\0\2\xff\xff" * 30),
    "tiff deflate": sparse_tiff(8000, 8000, {259: (SHORT, 8)}, size=100),
    "tiff uncompressed": sparse_tiff(4000, 4000, {}),
    "tiff uncompressed, 16 bits": sparse_tiff(4000, 4000, {258: (SHORT, (16, 16, 16))}),
}


@pytest.mark.parametrize("name", OVERSTATED)
def test_more_pixels_than_the_file_can_hold_are_refused(name):
    assert "bytes can hold" in refused(OVERSTATED[name])


def tile(compression, pixels, width, length):
    tags, data = plain(pixels, compression, zlib.compress(bytes(5000)))
    tags = {code: tag for code, tag in tags.items() if code not in (273, 278, 279)}
    return tiff(tags | {322: (LONG, width), 323: (LONG, length), 324: (LONG, 8), 325: (LONG, len(data))}, data)


INFLATED = {
    "samples": sparse_tiff(9000, 9000, {258: (SHORT, 64), 259: (SHORT, 8), 277: (SHORT, 6), 339: (SHORT, 3), 273: (LONG, 0)}),
    "65535 samples": changed_tiff(DEEP, {277: (SHORT, 65535)}),
    "2**31 samples": changed_tiff(DEEP, {277: (LONG, 2**31)}),
    "2**31 bits": changed_tiff(DEEP, {258: (LONG, 2**31)}),
    "tile": tile(8, SMALL, 32, 2**24),
    "tile, 16 bits": tile(8, DEEP, 65520, 65520),
    "tile of many numbers": tile(8, DEEP, 2**28, (16,) * 9),
    "tile, lzw": tile(5, SMALL, 2**20, 2**12),
    "png inside": changed_tiff(DEEP, {}, compression=34933, data=png(20000, 20000, 16, data=zlib.compress(bytes(9)))),
    "nothing inside": sparse_tiff(9000, 9000, {258: (SHORT, (16, 16, 16)), 259: (SHORT, 8), 273: (LONG, 0), 279: (LONG, 0)}),
}


@pytest.mark.parametrize("name", INFLATED)
def test_a_tiff_cannot_ask_for_memory_beyond_its_pixels(name):
    refused(INFLATED[name])


def test_a_deflate_bomb_in_a_strip_is_not_unpacked():
    refused(changed_tiff(DEEP, {}, compression=8, data=bomb()))


def test_an_lzw_bomb_in_a_strip_is_not_unpacked():
    data = imagecodecs.lzw_encode(bytes(20 * 2**20))
    np.testing.assert_array_equal(read(changed_tiff(DEEP, {}, compression=5, data=data)), np.zeros_like(DEEP))


@functools.cache
def bomb():
    return zlib.compress(bytes(300 * 2**20), 9)


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("where", ["before", "after"])
def test_a_compressed_text_cannot_fill_the_memory(kind, bits, where):
    head = {"zTXt": b"a\0\0", "iTXt": b"a\0\1\0\0\0", "iCCP": b"a\0\0"}[kind]
    data = png(4, 4, bits, **{where: chunk(kind.encode(), head + bomb())})
    with little_room():
        try:
            assert photos.read(data).image.shape == (4, 4, 3)
        except PhotoError as error:
            assert "too large" in str(error)


@pytest.mark.filterwarnings("ignore")  # Pillow's own
def test_a_directory_of_overlapping_tags_cannot_fill_the_memory():
    tags, pixels = plain(DEEP.astype(np.uint32))
    tags |= {339: (SHORT, 1)} | {40000 + n: (UNDEFINED, bytes(5)) for n in range(2000)}
    refused(tiff(tags, pixels, counts={40000 + n: 10**6 for n in range(2000)}) + bytes(10**6))


@pytest.mark.filterwarnings("ignore")  # Pillow's own
@pytest.mark.parametrize(("count", "size"), [(2000, 10**6), (20000, 200)])
def test_an_exif_block_of_overlapping_tags_fills_neither_memory_nor_time(count, size):
    block = struct.pack("<2sHIH", b"II", 42, 8, count)
    block += b"".join(struct.pack("<HHII", 40000 + n, UNDEFINED, size, 8) for n in range(count))
    block = block.ljust(size + 20, b"\0")
    with little_room():
        photo, copy = copied(png(4, 4, before=chunk(b"eXIf", block)))
    assert len(copy.metadata.exif) <= len(photo.metadata.exif) < 2 * len(block)


@pytest.mark.parametrize("progressive", [True, False])
def test_a_jpeg_that_goes_over_its_pixels_again_and_again_is_refused(progressive):
    data = saved(Image.new("L", (3000, 3000), 128), "JPEG", progressive=progressive)
    scan = data[data.rfind(b"\xff\xda") : -2] if progressive else segment(0xDA, b"\1\1\0\0\x3f\0")
    assert "too many times" in refused(data[:-2] + scan * 2000 + data[-2:])


def test_an_ordinary_progressive_jpeg_is_read():
    assert read(saved(Image.new("L", (3000, 2000), 128), "JPEG", progressive=True)).shape == (2000, 3000)


# --- truncated ---

SOUND = {
    "jpeg": jpeg(),
    "jpeg, progressive": jpeg(progressive=True),
    "png": saved(SMALL, "PNG"),
    "png, 16 bits": deep_png(),
    "png, 16 bits, alpha": deep_png(np.dstack([DEEP, DEEP[..., 0]])),
    "png, 16 bits, grey": saved(DEEP[..., 0], "PNG"),
    "webp": saved(SMALL, "WEBP"),
    "webp, lossless": saved(SMALL, "WEBP", lossless=True),
    "bmp": saved(SMALL, "BMP"),
    "tiff": tifffiled(SMALL),
    "tiff jpeg": saved(SMALL, "TIFF", compression="jpeg"),
    "tiff lzw": saved(SMALL, "TIFF", compression="tiff_lzw"),
    "tiff, 16 bits": tifffiled(DEEP),
    "tiff, 16 bits, strips": tifffiled(DEEP, rowsperstrip=5),
    "tiff, 16 bits, deflate": tifffiled(DEEP, compression="zlib", predictor=True),
    "tiff, 16 bits, lzw": tifffiled(DEEP, compression="lzw", rowsperstrip=7),
    "tiff, 16 bits, lzma": tifffiled(DEEP, compression="lzma"),
    "tiff, 16 bits, zstd": tifffiled(DEEP, compression="zstd"),
    "tiff, 16 bits, packbits": tifffiled(DEEP, compression="packbits"),
    "tiff, 16 bits, tiles": tifffiled(DEEP, tile=(16, 16)),
    "tiff, 16 bits, planes": tifffiled(np.moveaxis(DEEP, 2, 0).copy(), planarconfig="separate"),
    "tiff, 32-bit floats": tifffiled((DEEP / 65535).astype(np.float32), compression="zlib"),
}


@pytest.mark.filterwarnings("ignore")  # Pillow's own, of damaged metadata
@pytest.mark.parametrize("name", SOUND)
def test_a_truncated_file_is_refused(name):
    data, refusals = SOUND[name], 0
    whole = read(data)
    lengths = sorted({*range(0, 40, 5), *np.linspace(40, len(data) - 1, 40).astype(int), *range(len(data) - 4, len(data))})
    for length in lengths:
        try:
            np.testing.assert_array_equal(photos.read(data[:length]).image, whole)  # what is missing is no part of the picture
        except PhotoError:
            refusals += 1
    assert refusals >= len(lengths) - 4


# --- headers that lie ---

LIES = {
    "png, taller, 16 bits": png(4, 5, 16, data=zlib.compress(bytes(25 * 4))),
    "png, 16 bits instead of 8": png(4, 4, 16, data=zlib.compress(bytes(13 * 4))),
    "png, alpha that is not there": png(4, 4, 8, 6, data=zlib.compress(bytes(13 * 4))),
    "png, alpha that is not there, 16 bits": png(4, 4, 16, 6, data=zlib.compress(bytes(25 * 4))),
    "png, 3 bits": png(4, 4, 3),
    "png, 16-bit palette": png(4, 4, 16, 3),
    "png, kind 5": png(4, 4, 8, 5, data=zlib.compress(bytes(52))),
    "png, unknown filter": png(4, 4, data=zlib.compress(b"\x09" * 52)),
    "png, unknown filter, 16 bits": png(4, 4, 16, data=zlib.compress(b"\x09" * 100)),
    "png, method 1, 16 bits": png(4, 4, 16, method=1),
    "png, interlaced": png(4, 4, data=zlib.compress(bytes(13 * 4)), interlace=1),
    "png, two headers, 16 bits": png(4, 4, 16, before=chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))),
    "png, data that are none": png(4, 4, data=b"nothing compressed"),
    "png, transparency of 300 colours": png(4, 4, 8, 3, before=chunk(b"PLTE", bytes(9)) + chunk(b"tRNS", bytes(300))),
    "jpeg of 12 bits": jpeg().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
    "jpeg of 65535": resized_jpeg(65535, 1),
    "bmp, wider": bmp(40, 40),
    "bmp of 2**32 - 1 colours": bmp(4, 4, 8, colours=2**32 - 1),
    "bmp of 7 bits": bmp(4, 4, 7),
    "bmp, unknown compression": bmp(4, 4, compression=9),
    "webp, longer than any": webp(vp8x(3, 16777029, 2), *ANIMATED),
    "webp, other sizes": webp(vp8x(99, 99, 0), vp8(3, 3)),
    "tiff, bits": changed_tiff(SMALL, {258: (SHORT, (16, 16, 16))}),
    "tiff, 0 bits": changed_tiff(SMALL, {258: (SHORT, 0)}),
    "tiff, 3 bits, 16 bits": changed_tiff(DEEP, {258: (SHORT, (3, 3, 3))}),
    "tiff, bits as text": changed_tiff(DEEP, {258: (ASCII, b"16 16 16\0")}),
    "tiff, samples": changed_tiff(SMALL, {277: (SHORT, 5)}),
    "tiff, fewer samples": changed_tiff(DEEP, {277: (SHORT, 2)}),
    "tiff, no samples": changed_tiff(DEEP, {277: (SHORT, 0)}),
    "tiff, wider": changed_tiff(SMALL, {256: (LONG, WIDTH + 5)}),
    "tiff, wider, 16 bits": changed_tiff(DEEP, {256: (LONG, WIDTH + 5)}),
    "tiff, width of two numbers": changed_tiff(SMALL, {256: (SHORT, (4, 4)), 258: (SHORT, (16, 16, 16))}),
    "tiff, width as text": changed_tiff(DEEP, {256: (ASCII, b"36\0")}),
    "tiff, offset": changed_tiff(SMALL, {273: (LONG, 2**31)}),
    "tiff, offset, 16 bits": changed_tiff(DEEP, {273: (LONG, 2**32 - 1)}),
    "tiff, 2**31 offsets": changed_tiff(SMALL, {}, counts={273: 2**31}),
    "tiff, 2**31 offsets, 16 bits": changed_tiff(DEEP, {}, counts={273: 2**31}),
    "tiff, rows": changed_tiff(SMALL, {278: (LONG, 5)}),
    "tiff, rows, 16 bits, deflate": changed_tiff(DEEP, {278: (LONG, 5)}, compression=8, data=zlib.compress(DEEP.tobytes())),
    "tiff, no rows": changed_tiff(SMALL, {278: (LONG, 0)}),
    "tiff, compression": changed_tiff(SMALL, {259: (SHORT, 65535)}),
    "tiff, compression, 16 bits": changed_tiff(DEEP, {259: (SHORT, 8)}),
    "tiff, compression of many numbers": changed_tiff(DEEP, {259: (SHORT, tuple(range(400)))}),
    "tiff, photometry": changed_tiff(SMALL, {262: (SHORT, 77)}),
    "tiff, photometry, 16 bits": changed_tiff(DEEP, {262: (SHORT, 77)}),
    "tiff, volume": changed_tiff(DEEP, {32997: (LONG, 1000)}),
    "tiff, complex numbers": tifffiled(DEEP.astype(np.complex64)),
    "tiff, sample formats": changed_tiff(DEEP, {339: (SHORT, (1, 3, 1))}),
}


@pytest.mark.filterwarnings("ignore")  # Pillow's own, of damaged metadata
@pytest.mark.parametrize("name", LIES)
def test_a_lie_about_the_pixels_is_refused(name):
    refused(LIES[name])


WHOLE_ROWS = zlib.compress(b"".join(b"\0" + row.tobytes() for row in SMALL))
HARMLESS = {
    "png, shorter": (png(WIDTH, 9, data=WHOLE_ROWS), SMALL[:9]),
    "tiff, shorter": (changed_tiff(SMALL, {257: (LONG, 9)}), SMALL[:9]),
    "tiff, shorter, 16 bits": (changed_tiff(DEEP, {257: (LONG, 9)}), DEEP[:9]),
    "tiff, rows": (changed_tiff(SMALL, {278: (LONG, 2**32 - 1)}), SMALL),
    "tiff, rows, 16 bits": (changed_tiff(DEEP, {278: (LONG, 2**32 - 1)}), DEEP),
    "tiff, fewer rows, 16 bits": (changed_tiff(DEEP, {278: (LONG, 5)}), DEEP),
    "tiff, byte counts": (changed_tiff(SMALL, {279: (LONG, 2**31)}), SMALL),
    "tiff, planes, 1 channel": (changed_tiff(SMALL[..., 0], {284: (SHORT, 2)}), SMALL[..., 0]),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_lie_that_leaves_the_picture_whole_is_read(name):
    data, expected = HARMLESS[name]
    np.testing.assert_array_equal(read(data), expected)


@pytest.mark.parametrize("size", [(WIDTH, 16), (WIDTH, 17), (20, HEIGHT), (WIDTH, HEIGHT + 40), (WIDTH * 2, HEIGHT)])
def test_a_jpeg_of_another_size_has_that_size_or_is_refused(size):
    with little_room():
        try:
            assert photos.read(resized_jpeg(*size)).image.shape == (size[1], size[0], 3)
        except PhotoError as error:
            assert "truncated" in str(error)


@pytest.mark.parametrize("value", [0, 1, 8, 65535, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("pixels", [SMALL, DEEP, SMALL[..., 0]], ids=["8 bits", "16 bits", "grey"])
@pytest.mark.filterwarnings("ignore")  # Pillow's own, of damaged metadata
def test_any_number_in_any_field_of_a_tiff_is_read_or_refused(pixels, value):
    refusals = 0
    for code in (256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 322, 324, 338, 339, 530, 32997, 34665):
        for kind in (SHORT, LONG):
            data = changed_tiff(pixels, {code: (kind, value % 2**16 if kind == SHORT else value)})
            with little_room():
                try:
                    image = photos.read(data).image
                    assert image.size <= pixels.size * 3
                except PhotoError as error:
                    assert "memory" not in str(error).lower()
                    refusals += 1
    assert 3 < refusals < 40


EMPTY = {
    "png": png(0, 4),
    "png, no rows": png(4, 0, data=zlib.compress(b"")),
    "png, 16 bits": png(0, 4, 16),
    "jpeg, no rows": resized_jpeg(WIDTH, 0),
    "jpeg, no columns": resized_jpeg(0, HEIGHT),
    "bmp": bmp(0, 4),
    "bmp, no rows": bmp(4, 0),
    "tiff": changed_tiff(SMALL, {256: (LONG, 0)}),
    "tiff, no rows": changed_tiff(SMALL, {257: (LONG, 0)}),
    "tiff, 16 bits": changed_tiff(DEEP, {256: (LONG, 0)}),
    "tiff, 16 bits, no rows": changed_tiff(DEEP, {257: (LONG, 0)}),
    "webp": webp(vp8(0, 0)),
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_picture_without_pixels_is_refused(name):
    refused(EMPTY[name])


@pytest.mark.parametrize("place", [-13, -17], ids=["of the chunk", "of the pixels"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_wrong_checksum_of_the_pixels(bits, place):
    data = bytearray(saved(SMALL, "PNG") if bits == 8 else deep_png())
    data[place] ^= 1  # before the 12 bytes of IEND: the checksum of IDAT, before that the one of the deflated pixels
    if bits == 8 and place == -13:  # which Pillow passes over: the other one holds
        np.testing.assert_array_equal(read(bytes(data)), SMALL)
    else:
        refused(bytes(data))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_wrong_checksum_of_a_text_does_not_cost_the_picture(bits):
    text = bytearray(chunk(b"tEXt", b"Title\0wrong"))
    text[-1] ^= 1
    for where in ("before", "after"):
        assert read(png(4, 4, bits, **{where: bytes(text)})).shape == (4, 4, 3)


# --- long and narrow ---

NARROW = {
    "png": (lambda pixels: saved(pixels, "PNG"), 65535, np.uint8),
    "png, 16 bits": (deep_png, 65535, np.uint16),
    "bmp": (lambda pixels: saved(pixels, "BMP"), 65535, np.uint8),
    "tiff": (lambda pixels: saved(pixels, "TIFF"), 65535, np.uint8),
    "tiff lzw": (lambda pixels: saved(pixels, "TIFF", compression="tiff_lzw"), 65535, np.uint8),
    "tiff, 16 bits": (tifffiled, 65535, np.uint16),
    "tiff, 16 bits, deflate": (lambda pixels: tifffiled(pixels, compression="zlib"), 65535, np.uint16),
    "tiff, 16 bits, tiles": (lambda pixels: tifffiled(pixels, tile=(16, 16)), 65535, np.uint16),
    "webp": (lambda pixels: saved(pixels, "WEBP", lossless=True), 16383, np.uint8),
    "jpeg": (lambda pixels: saved(pixels, "JPEG", quality=100, subsampling=0), 65500, np.uint8),
}


@pytest.mark.parametrize("lying", [True, False], ids=["65535x1", "1x65535"])
@pytest.mark.parametrize("name", NARROW)
def test_the_longest_picture_is_read(name, lying):
    encoder, side, dtype = NARROW[name]
    line = RNG.integers(0, 256, (side, 3)).astype(dtype) * (1 if dtype == np.uint8 else 257)
    line = np.ascontiguousarray(line[None] if lying else line[:, None])
    if name == "jpeg":
        line[:] = 77
    np.testing.assert_allclose(read(encoder(line)).astype(int), line, atol=3 if name == "jpeg" else 0)


# --- directories ---


def directories(count, last=0):
    """A TIFF of `count` pages that share their pixels; the last goes on at `last`."""
    tags, _ = plain(SMALL[:4, :4, 0])
    data, size = tiff(tags, bytes(16)), 2 + 12 * len(tags) + 4
    page = data[24 : 24 + size - 4]
    out = data[:24]
    for number in range(count):
        out += page + struct.pack("<I", len(out) + size if number < count - 1 else last)
    return out


@pytest.mark.parametrize(("count", "back"), [(1, 24), (2, 24), (40, 24), (2, 24 + 114), (40, 24 + 114)])
def test_directories_that_go_round_end(count, back):
    with little_room():
        found = list(photos.pages(directories(count, back)))
    assert [photo.pages for photo in found] == [count] * count


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_deep_directories_that_go_round_end(dtype):
    tags, data = plain(DEEP.astype(dtype))
    with little_room():
        assert len(list(photos.pages(tiff(tags, data, following=8 + len(data))))) == 1


def test_as_many_pages_as_are_allowed_are_read():
    assert photos.read(directories(photos.MAX_PAGES)).pages == photos.MAX_PAGES


@pytest.mark.parametrize("count", [1, 5000])
def test_more_pages_than_are_allowed_are_refused(count):
    source = directories(photos.MAX_PAGES + count)
    with little_room(), pytest.raises(PhotoError, match=f"more than {photos.MAX_PAGES} pages"):
        photos.read(source)
    assert photos.read_rgb(source).shape == (4, 4, 3)  # which needs the first page only


@pytest.mark.filterwarnings("ignore")  # Pillow's own
@pytest.mark.parametrize("offset", [0, 4, 2**20, 2**31, 2**32 - 1])
def test_a_first_directory_that_is_not_there_is_refused(offset):
    refused(struct.pack("<2sHI", b"II", 42, offset) + bytes(100))


@pytest.mark.filterwarnings("ignore")  # Pillow's own
@pytest.mark.parametrize("pixels", [SMALL, DEEP, DEEP.astype(np.uint32)], ids=["8 bits", "16 bits", "32 bits"])
@pytest.mark.parametrize("offset", [3, 2**20, 2**31, 2**32 - 1])
def test_a_second_directory_that_is_not_there_is_refused(pixels, offset):
    source = changed_tiff(pixels, {}, following=offset)
    with little_room(), pytest.raises(PhotoError, match="page 2"):
        list(photos.pages(source))


# --- metadata ---


@pytest.mark.filterwarnings("ignore")  # Pillow's own
@pytest.mark.parametrize("pixels", [SMALL, DEEP], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize(
    ("kind", "value"),
    [(SHORT, (300, 400)), (LONG, 2**32 - 16), (FLOAT, 1.5), (RATIONAL, bytes(8)), (ASCII, b"<x:xmpmeta/>\0"), (SHORT, 9)],
)
@pytest.mark.parametrize("tag", [700, 34675, 33723, 34665, 34853, 274, 282])
def test_a_block_of_a_wrong_type_does_not_cost_the_picture(pixels, tag, kind, value):
    with little_room():
        photo, copy = copied(changed_tiff(pixels, {tag: (kind, value)}))
    np.testing.assert_array_equal(photo.image.reshape(-1), pixels.reshape(-1))
    np.testing.assert_array_equal(copy.image, photo.image)


LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
PROFILES = {"rubbish": b"rubbish" * 30, "cut": photos.profiles.SRGB[:300], "lab": LAB, "long": b"\xff" * 10**6}
PROFILES["counts"] = photos.profiles.SRGB[:40] + b"ABCD" + photos.profiles.SRGB[44:128] + b"\xff" * 400


@pytest.mark.parametrize("damage", PROFILES)
@pytest.mark.parametrize("kind", ["tiff", "png", "tiff, grey"])
def test_a_damaged_profile_of_a_deep_picture_is_ignored(kind, damage):
    profile, pixels = PROFILES[damage], DEEP[..., 0] if kind == "tiff, grey" else DEEP
    if kind == "png":
        data = deep_png(before=chunk(b"iCCP", b"x\0\0" + zlib.compress(profile)))
    else:
        data = tifffiled(pixels, iccprofile=profile, photometric="minisblack" if pixels.ndim == 2 else "rgb")
    np.testing.assert_array_equal(read(data), pixels)


@pytest.mark.parametrize("kind", ["png", "tiff", "tiff, 16 bits"])
def test_xmp_of_megabytes_is_carried(kind):
    xmp = b"<x:xmpmeta>" + b"a" * 8 * 2**20 + b"</x:xmpmeta>"
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    source = png(4, 4, before=text) if kind == "png" else changed_tiff(DEEP if "16" in kind else SMALL, {700: (BYTE, xmp)})
    photo, copy = copied(source)
    assert photo.metadata.xmp == copy.metadata.xmp == xmp
    with pytest.raises(PhotoError, match="XMP of 8388631 bytes does not fit"):
        photos.encode(io.BytesIO(), "JPEG", [(np.zeros((4, 4, 3), np.uint8), photo)])


XMP = b'<x:xmpmeta xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"><a>tiff:Orientation</a></x:xmpmeta>'


@pytest.mark.parametrize("exif", [None, 3, 8])
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF of 16 bits"])
def test_a_copy_is_not_turned_once_more_by_its_xmp(name, exif):
    block = Image.Exif()
    block.update({274: exif} if exif else {})
    if name.startswith("TIFF"):
        tags = {274: (SHORT, exif)} if exif else {}
        data = changed_tiff(DEEP if "16" in name else SMALL, {700: (BYTE, XMP)} | tags)
    elif name == "PNG":
        data = saved(SMALL, name, exif=block)
        data = data[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP) + data[33:]
    else:
        data = saved(SMALL, name, exif=block, xmp=XMP)
    photo, copy = copied(data)
    assert copy.image.shape == photo.image.shape == ((HEIGHT, WIDTH, 3) if exif == 3 else (WIDTH, HEIGHT, 3))
    assert re.findall(rb'Orientation="(.)"', copy.metadata.xmp) in ([b"1"], [])
    if name[:4] in ("PNG", "TIFF"):
        np.testing.assert_array_equal(copy.image, photo.image)


@pytest.mark.filterwarnings("ignore")  # Pillow's own
def test_exif_blocks_that_go_round_end():
    for place in (0, 4, 8, 24, 2**31, 2**32 - 1):
        for tag in (0x8769, 0x8825, 0xA005):
            source = changed_tiff(SMALL[:4, :4], {0x8769: (LONG, place), tag: (LONG, place)})
            with little_room():
                photo, copy = copied(source)
            np.testing.assert_array_equal(photo.image, SMALL[:4, :4])
            np.testing.assert_array_equal(copy.image, SMALL[:4, :4])


@pytest.mark.filterwarnings("ignore")  # Pillow's own
@pytest.mark.parametrize("count", [2**16, 2**31, 2**32 - 1])
@pytest.mark.parametrize("kind", [BYTE, ASCII, SHORT, RATIONAL, DOUBLE])
def test_exif_tags_that_declare_too_much_do_not_cost_the_picture(kind, count):
    block = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 40001, kind, count, 8, 0)
    with little_room():
        image = photos.read(jpeg(exif=b"Exif\0\0" + block)).image
    assert image.shape == SMALL.shape


TAGS = {
    "negative fractions": (SRATIONAL, struct.pack("<2i", -1, 3)),
    "no denominator": (RATIONAL, bytes(8)),
    "not a number": (DOUBLE, float("nan")),
    "infinite": (DOUBLE, (float("inf"), 1.0)),
    "large": (DOUBLE, 1e300),
    "no values": (SHORT, ()),
}


@pytest.mark.filterwarnings("ignore")  # Pillow's own
@pytest.mark.parametrize("name", TAGS)
@pytest.mark.parametrize("pixels", [SMALL, DEEP], ids=["8 bits", "16 bits"])
def test_odd_numbers_in_a_tag_do_not_cost_the_copy(pixels, name):
    for target in ("TIFF", "PNG"):
        _, copy = copied(changed_tiff(pixels, {40001: TAGS[name]}), target)
        np.testing.assert_array_equal(copy.image, pixels)


def test_exif_that_does_not_fit_into_a_jpeg_is_named():
    exif = Image.Exif()
    exif[270] = "a" * 70000
    with pytest.raises(PhotoError, match=r"EXIF of 700.. bytes does not fit into a JPEG"):
        copied(saved(SMALL, "PNG", exif=exif), "JPEG")


# --- what is no photograph ---

ZIP = b"PK\x03\x04" + bytes(60)
OTHERS = {
    "gif": saved(Image.fromarray(SMALL).quantize(4), "GIF"),
    "pdf": b"%PDF-1.7\n" + bytes(99),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    "psd": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3) + bytes(99),
    "tar": b"photo.jpg".ljust(257, b"\0") + b"ustar\x0000" + bytes(300),
    "zip": ZIP,
    "ico": saved(SMALL, "ICO"),
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99),
    "ppm": saved(SMALL, "PPM"),
    "html": b"<html><img src=photo.jpg></html>",
    "1 byte": b"\xff",
    "nothing": b"",
    "jpeg of nothing but its start": b"\xff\xd8",
    "jpeg of markers": b"\xff\xd8" + b"\xff\xd0" * 5000 + b"\xff\xd9",
    "jpeg of filling": b"\xff\xd8" + b"\xff" * 10**5,
    "jpeg of comments": b"\xff\xd8" + segment(0xFE, bytes(1000)) * 1000 + b"\xff\xd9",
    "jpeg of sizes": b"\xff\xd8" + segment(0xC0, struct.pack(">BHHB", 8, 9, 9, 1) + b"\1\x11\0") * 100 + b"\xff\xd9",
    "heif of nothing": b"\0\0\0\x18ftypavif\0\0\0\0avifmif1",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_photograph_is_refused_whatever_its_name(tmp_path, name):
    for suffix in (".jpg", ".tif"):
        (tmp_path / f"a{suffix}").write_bytes(OTHERS[name])
        refused(tmp_path / f"a{suffix}")


STORED_OTHERWISE = {
    "a JPEG of 12 bits": lambda: imagecodecs.jpeg_encode(DEEP >> 4, bitspersample=12),
    "a lossless JPEG of 16 bits": lambda: imagecodecs.ljpeg_encode(DEEP[..., 0].copy()),
    "a JPEG-LS": lambda: imagecodecs.jpegls_encode(SMALL[..., 0].copy()),
    "a hierarchical JPEG": lambda: jpeg().replace(b"\xff\xdb", b"\xff\xde\0\x02\xff\xdb", 1),
    "a hierarchical JPEG, which": lambda: jpeg().replace(b"\xff\xc0", b"\xff\xc5"),
    "a lossless JPEG with arithmetic coding": lambda: jpeg().replace(b"\xff\xc0", b"\xff\xff\xff\xcb"),
    "a TIFF of 16 bits compressed as JPEG2000": lambda: tifffiled(DEEP, compression="jpeg2000"),
    "a TIFF compressed as WebP": lambda: tifffiled(SMALL, photometric="rgb", compression="webp"),
    "16-bit pixels of a kind (CIELAB)": lambda: tifffiled(np.dstack([DEEP] * 3), photometric="cielab"),
}


@pytest.mark.parametrize("what", STORED_OTHERWISE)
def test_what_is_stored_otherwise_is_not_called_damaged_and_what_to_do_is_said(what):
    with pytest.raises(PhotoError) as caught:
        photos.read(STORED_OTHERWISE[what]())
    assert caught.value.kind == "not supported"
    assert str(caught.value).startswith(what) and re.search("; (export|save) it as|; save it with", str(caught.value))


def test_what_is_no_jpeg_is_not_called_one():
    """Whatever its bytes look like where its head ends."""
    assert refused(b"abc" + bytes(61) + b"\xff\xf7\0\x08\x08" + bytes(9)) == "not a picture, or of an unknown format"


@pytest.mark.parametrize("name", ["png", "png, 16 bits", "tiff", "tiff, 16 bits", "webp, lossless", "bmp"])
def test_the_name_of_a_photograph_does_not_matter_nor_what_follows_it(tmp_path, name):
    (tmp_path / "a.jpg").write_bytes(SOUND[name] + ZIP)
    photo = photos.read(tmp_path / "a.jpg")
    np.testing.assert_array_equal(photo.image, DEEP if "16" in name else SMALL)
    assert photo.file_format == name.split(",")[0].upper()


# --- what is no file ---


@contextlib.contextmanager
def within(seconds):
    """Fails what waits for longer."""

    def give_up(*_):
        raise AssertionError(f"it waits for more than {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have names")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with within(2):
        assert "file" in refused(tmp_path / "a.jpg")


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="a system without /dev/fd")
def test_an_open_pipe_is_refused(tmp_path):
    reader, writer = os.pipe()
    try:
        os.write(writer, SOUND["png"][:1000])
        (tmp_path / "a.png").symlink_to(f"/dev/fd/{reader}")
        with within(2):
            refused(tmp_path / "a.png")
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null"])
def test_a_device_is_refused(tmp_path, device):
    if not os.path.exists(device):
        pytest.skip("a system without it")
    (tmp_path / "a.jpg").symlink_to(device)
    with within(2):
        refused(tmp_path / "a.jpg")


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="a system without a file whose reading fails")
def test_an_error_of_the_disk_is_a_reason(tmp_path):
    (tmp_path / "a.jpg").symlink_to("/proc/self/mem")  # its first byte cannot be read
    assert "cannot be opened" in refused(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a\0b.jpg", "a" * 5000])
def test_a_name_that_no_file_can_have_is_refused(name):
    refused(name)


# --- deep pictures ---

FLOATS = (DEEP / 65535).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_read(dtype):
    image = read(tifffiled(FLOATS.astype(dtype)))
    assert image.dtype == np.uint16
    assert np.abs(image.astype(int) - DEEP).max() <= (32 if dtype == np.float16 else 1)


@pytest.mark.parametrize(("bad", "becomes"), [(np.nan, 0), (-3.0, 0), (-np.inf, 0)])
def test_senseless_floats_become_black(bad, becomes):
    values = FLOATS.copy()
    values[3, 4] = bad, 0.5, 1
    image = read(tifffiled(values, compression="zlib"))
    assert image[3, 4].tolist() == [becomes, 32768, 65535]
    assert np.abs(np.delete(image.astype(int) - DEEP, 3, axis=0)).max() <= 1


def test_floats_without_a_number_are_black():
    np.testing.assert_array_equal(read(tifffiled(np.full_like(FLOATS, np.nan))), 0)


def test_32_bit_integers_are_read():
    image = read(tifffiled(DEEP.astype(np.uint32) * 65537))
    np.testing.assert_array_equal(image, DEEP)


def test_signed_integers_are_clipped():
    np.testing.assert_array_equal(read(tifffiled(DEEP.astype(np.int16))), np.maximum(DEEP.astype(np.int16), 0))


def test_deep_cmyk_is_read():
    inks = np.dstack([65535 - DEEP, np.zeros((HEIGHT, WIDTH), np.uint16)])
    assert np.abs(read(tifffiled(inks, photometric="separated")).astype(int) - DEEP).max() <= 1


def test_deep_cmyk_with_too_few_inks_is_refused():
    refused(changed_tiff(DEEP, {262: (SHORT, 5)}))


@pytest.mark.parametrize("kind", ["rgb", "separated"])
@pytest.mark.parametrize("profile", [False, True])
def test_samples_that_are_unknown_are_left_out(kind, profile):
    ink = 255 - SMALL if kind == "separated" else SMALL
    pixels = np.dstack([ink, *([np.zeros_like(ink[..., 0])] if kind == "separated" else []), ink[..., 0], ink[..., 1]])
    icc = photos.profiles.SRGB[:40] + b"ABCD" + photos.profiles.SRGB[44:] if profile else None  # not known at sight
    photo = photos.read(tifffiled(pixels, photometric=kind, extrasamples=("unassalpha", "unspecified"), iccprofile=icc))
    assert photo.image.dtype == photo.alpha.dtype == np.uint8
    assert np.abs(photo.image.astype(int) - SMALL).max() <= 2
    np.testing.assert_array_equal(photo.alpha, ink[..., 0])


def test_parts_that_are_missing_are_refused_instead_of_made_up():
    rows = zlib.compress(DEEP[:6].tobytes())
    refused(changed_tiff(DEEP, {278: (LONG, 6)}, compression=8, data=rows))
    refused(changed_tiff(SMALL, {278: (LONG, 6)}, data=SMALL[:6].tobytes() * 4))


UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["png", "tiff", "tiff, floats"])
@pytest.mark.parametrize("pixels", [DEEP, DEEP[:, :1], DEEP[:1]], ids=["whole", "column", "row"])
def test_a_deep_picture_is_turned_upright_and_copied(pixels, kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    if kind == "png":
        data = deep_png(pixels, before=chunk(b"eXIf", exif.tobytes()[6:]))
    else:
        values = (pixels / 65535).astype(np.float32) if "floats" in kind else np.ascontiguousarray(pixels)
        data = tifffiled(values, extratags=[(274, SHORT, 1, orientation, True)])
    photo, copy = copied(data)
    assert photo.image.shape == UPRIGHT[orientation](pixels).shape
    assert np.abs(photo.image.astype(int) - UPRIGHT[orientation](pixels)).max() <= ("floats" in kind)
    np.testing.assert_array_equal(copy.image, photo.image)
