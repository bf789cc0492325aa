"""What a copy carries along from the file it was made of: bit depth, colour, EXIF, XMP, IPTC, resolution, texts, pages.

The files that are read are made by Pillow, tifffile, imagecodecs or byte by byte, and the copies are taken apart likewise,
so that no error of the package can hide behind itself.
"""

import functools
import io
import re
import struct
import zlib
from fractions import Fraction

import imagecodecs
import numpy as np
import pytest
import tifffile
from helpers.profiles import BLUE, GREEN, RED, profile
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, features

from colorjax import photos
from colorjax.photos import PhotoError

HEIGHT, WIDTH = 24, 36
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF")
SOURCES = (*FORMATS, "PNG16", "TIFF16")
EVERYWHERE = [(source, name) for source in SOURCES for name in FORMATS]


def scene():
    """A picture without symmetry."""
    pixels = np.repeat(np.add.outer(np.arange(HEIGHT) * 5, np.arange(WIDTH) * 3).astype(np.uint8)[..., None], 3, axis=-1)
    pixels[:8, :8], pixels[:8, 28:], pixels[16:, :8] = (220, 30, 40), (30, 200, 60), (40, 60, 210)
    return pixels


RGB = scene()
GREY = RGB[..., 0].copy()
ALPHA = np.linspace(0, 255, HEIGHT * WIDTH).astype(np.uint8).reshape(HEIGHT, WIDTH)
INK = np.dstack([RGB, ALPHA // 3])
RGB16 = RGB.astype(np.uint16) * 257 ^ (np.arange(RGB.size) % 251).astype(np.uint16).reshape(RGB.shape)  # no low byte is idle
GREY16 = RGB16[..., 1].copy()
ALPHA16 = (np.arange(GREY.size, dtype=np.uint32) * 65535 // (GREY.size - 1)).astype(np.uint16).reshape(GREY.shape)
INK16 = np.dstack([RGB16, ALPHA16 // 3])
TOP = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}


# --- TIFF's directories, of which EXIF is made too ---

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SLONG, SRATIONAL, FLOAT, DOUBLE, LONG8, IFD8 = (
    1,
    2,
    3,
    4,
    5,
    7,
    9,
    10,
    11,
    12,
    16,
    18,
)
UTF8 = 129  # of EXIF 3
LETTERS = {BYTE: "s", ASCII: "s", SHORT: "H", LONG: "I", RATIONAL: "2I", 6: "b", UNDEFINED: "s", 8: "h", SLONG: "i"}
LETTERS |= {SRATIONAL: "2i", FLOAT: "f", DOUBLE: "d", LONG8: "Q", UTF8: "s"}
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
ORIENTATION, DESCRIPTION, MAKE, ARTIST, X_DPI, Y_DPI, UNIT, XMP_TAG, IPTC_TAG = 274, 270, 271, 315, 282, 283, 296, 700, 33723
MAKER_NOTE, USER_COMMENT = 37500, 37510


def shapes(order, big):
    """How to unpack: the number of entries, an entry's head, an offset."""
    return [order + letters for letters in (("Q", "HHQ", "Q") if big else ("H", "HHI", "I"))]


def directory(tags, start, order="<", big=False):
    """{tag: (type, numbers or bytes or a directory)} as it lies at `start`; no directory follows it."""
    count, head, offset = shapes(order, big)
    room = struct.calcsize(offset)
    entries, values = struct.pack(count, len(tags)), b""
    end = start + struct.calcsize(count) + len(tags) * (struct.calcsize(head) + room) + room
    for tag, (kind, value) in sorted(tags.items()):
        place = struct.pack(offset, end + len(values))
        if isinstance(value, dict):
            values, data, items = values + directory(value, end + len(values), order, big), place, 1
            kind = LONG8 if big and kind == LONG else kind
        else:
            data = value if isinstance(value, bytes) else struct.pack(f"{order}{len(value)}{LETTERS[kind][-1]}", *value)
            items = len(data) // struct.calcsize(LETTERS[kind])
            if len(data) > room:
                values, data = values + data + bytes(len(data) % 2), place
        entries += struct.pack(head, tag, kind, items) + data.ljust(room, b"\0")
    return entries + bytes(room) + values


def block(tags, order="<"):
    """An EXIF block without the name before it."""
    return {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order] + directory(tags, 8, order)


def tiff(*pages, order="<", big=False):
    """A TIFF of (pixels, further tags) each, byte by byte; a tag of None is left out."""
    count, head, offset = shapes(order, big)
    data = struct.pack(order + "2sH", {"<": b"II", ">": b"MM"}[order], 43 if big else 42)
    data += struct.pack(order + "HH", 8, 0) if big else b""
    link, data = len(data), data + bytes(struct.calcsize(offset))
    for pixels, further in pages:
        raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
        channels, place = 1 if pixels.ndim == 2 else pixels.shape[2], len(data)
        data += raw + bytes(len(raw) % 2)
        tags = {256: (LONG, pixels.shape[1::-1][:1]), 257: (LONG, pixels.shape[:1]), 259: (SHORT, (1,))}
        tags |= {258: (SHORT, (pixels.itemsize * 8,) * channels), 262: (SHORT, (2 if channels > 2 else 1,))}
        tags |= {273: (LONG, (place,)), 277: (SHORT, (channels,)), 278: (LONG, pixels.shape[:1]), 279: (LONG, (len(raw),))}
        tags |= {339: (SHORT, ({"u": 1, "i": 2, "f": 3}[pixels.dtype.kind],) * channels)}
        tags |= {338: (SHORT, (2,))} if channels in (2, 4) else {}
        tags = {tag: value for tag, value in (tags | further).items() if value is not None}
        data = data[:link] + struct.pack(offset, len(data)) + data[link + struct.calcsize(offset) :]
        link = len(data) + struct.calcsize(count) + len(tags) * (struct.calcsize(head) + struct.calcsize(offset))
        data += directory(tags, len(data), order, big)
    return data


def order_of(data):
    return {b"II": "<", b"MM": ">"}[data[:2]]


def parsed(data, start=None):
    """(tags, where the next directory is) of a classic TIFF or an EXIF block; its pointers must lead somewhere."""
    count, head, offset = shapes(order_of(data), False)
    start = struct.unpack_from(offset, data, 4)[0] if start is None else start
    tags, entries = {}, struct.unpack_from(count, data, start)[0]
    for place in range(start + 2, start + 2 + 12 * entries, 12):
        tag, kind, items = struct.unpack_from(head, data, place)
        size = items * struct.calcsize(LETTERS[kind])
        value = place + 8 if size <= 4 else struct.unpack_from(offset, data, place + 8)[0]
        raw = data[value : value + size]
        assert len(raw) == size, f"tag {tag} lies beyond the end"
        if tag in (EXIF_IFD, GPS_IFD, INTEROP_IFD):
            tags[tag] = (kind, parsed(data, struct.unpack(offset, raw)[0])[0])
        elif LETTERS[kind] == "s":
            tags[tag] = (kind, raw)
        else:
            letter = LETTERS[kind][-1]
            tags[tag] = (kind, struct.unpack(f"{order_of(data)}{size // struct.calcsize(letter)}{letter}", raw))
    assert list(tags) == sorted(tags), "tags must be in order"
    return tags, struct.unpack_from(offset, data, start + 2 + 12 * entries)[0]


def values(tags):
    """What the tags say, whatever their types: numbers, fractions in lowest terms (0/0 as it is), bytes, directories."""
    said = {}
    for tag, (kind, value) in tags.items():
        if isinstance(value, dict):
            said[tag] = values(value)
        elif kind in (RATIONAL, SRATIONAL):
            pairs = zip(value[::2], value[1::2], strict=True)
            said[tag] = tuple(Fraction(n, d) if d else (n, d) for n, d in pairs)
        else:
            said[tag] = value
    return said


def types(tags):
    """Which type each tag has; SHORT and LONG are one."""
    return {t: types(v) if isinstance(v, dict) else SHORT if k == LONG else k for t, (k, v) in tags.items()}


# --- containers ---


def segments(jpeg):
    """(marker, content) of everything before the scan."""
    place = 2
    while jpeg[place + 1] != 0xDA:
        size = struct.unpack_from(">H", jpeg, place + 2)[0]
        yield jpeg[place + 1], jpeg[place + 4 : place + 2 + size]
        place += 2 + size


def with_segment(jpeg, marker, content):
    """The segment as the first."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + jpeg[2:]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks(png):
    """(kind, content) in their order."""
    place = 8
    while place < len(png):
        size = struct.unpack_from(">I", png, place)[0]
        kind, content = png[place + 4 : place + 8], png[place + 8 : place + 8 + size]
        assert png[place : place + 12 + size] == chunk(kind, content)
        yield kind, content
        place += 12 + size


def with_chunks(png, *new, before=b"IDAT"):
    place = png.index(before) - 4
    return png[:place] + b"".join(new) + png[place:]


def riff(webp):
    place = 12
    while place < len(webp):
        kind, size = struct.unpack_from("<4sI", webp, place)
        yield kind, webp[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def only(found):
    found = list(found)
    assert len(found) <= 1, "twice"
    return found[0] if found else b""


def exif_of(copy):
    """The EXIF block of a JPEG, PNG, WebP, AVIF or HEIC, or the whole of a TIFF, which is made alike."""
    if copy[:2] == b"\xff\xd8":
        return only(c for m, c in segments(copy) if m == 0xE1 and c.startswith(b"Exif\0\0"))[6:]
    if copy[:4] == b"\x89PNG":
        return only(c for k, c in chunks(copy) if k == b"eXIf")
    if copy[:4] == b"RIFF":
        return only(c for k, c in riff(copy) if k == b"EXIF").removeprefix(b"Exif\0\0")
    if copy[4:8] == b"ftyp":
        return copy[match.start() :] if (match := re.search(rb"II\*\0|MM\0\*", copy)) else b""
    return copy


def tags_of(copy):
    found = exif_of(copy)
    return parsed(found)[0] if found else {}


def xmp_of(copy):
    if copy[:2] == b"\xff\xd8":
        name = b"http://ns.adobe.com/xap/1.0/\0"
        return only(c for m, c in segments(copy) if m == 0xE1 and c.startswith(name))[len(name) :]
    if copy[:4] == b"\x89PNG":
        found = only(c for k, c in chunks(copy) if k == b"iTXt" and c.startswith(b"XML:com.adobe.xmp\0"))
        assert found[18:22] == bytes(4)  # not compressed, as the specification of XMP demands
        return found[22:]
    if copy[:4] == b"RIFF":
        return only(c for k, c in riff(copy) if k == b"XMP ")
    if copy[4:8] == b"ftyp":
        return only(re.findall(rb"<\?xpacket begin.*?<\?xpacket end=.w.\?>", copy, re.DOTALL))
    return tags_of(copy).get(XMP_TAG, (0, b""))[1]


def resources(found):
    """{number: content} of Photoshop's image resources, and that nothing but them is there."""
    place, contents = 0, {}
    while place < len(found):
        kind, number, name = struct.unpack_from(">4sHB", found, place)
        assert kind == b"8BIM"
        place += 6 + (name + 2) // 2 * 2
        (size,) = struct.unpack_from(">I", found, place)
        contents[number] = found[place + 4 : place + 4 + size]
        assert len(contents[number]) == size
        place += 4 + size + size % 2
    assert place == len(found)
    return contents


def iptc_of(copy):
    if copy[:2] == b"\xff\xd8":
        found = only(c for m, c in segments(copy) if m == 0xED)
        return resources(found.removeprefix(b"Photoshop 3.0\0")).get(0x0404, b"")
    if copy[:4] == b"\x89PNG":
        texts = [text_of(kind, content) for kind, content in chunks(copy) if kind in (b"tEXt", b"zTXt")]
        found = only(text for key, text in texts if key == "Raw profile type iptc")
        if not found:
            return b""
        _, name, length, *digits = found.split("\n")
        data = bytes.fromhex("".join(digits))
        assert (name, int(length)) == ("iptc", len(data))
        return resources(data)[0x0404]
    if copy[:2] not in (b"II", b"MM"):
        return b""
    return tags_of(copy).get(IPTC_TAG, (0, b""))[1]


def text_of(kind, content):
    """(keyword, text) of a textual chunk."""
    key, rest = content.split(b"\0", 1)
    if kind == b"tEXt":
        return key.decode("latin-1"), rest.decode("latin-1")
    if kind == b"zTXt":
        assert rest[0] == 0
        return key.decode("latin-1"), zlib.decompress(rest[1:]).decode("latin-1")
    text = rest[2:].split(b"\0", 2)[2]
    return key.decode("latin-1"), (zlib.decompress(text) if rest[0] else text).decode()


# --- files to read, and their copies ---


def know(name):
    if name == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if name == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow knows no AVIF")


def saved(name, pixels=RGB, **options):
    """By Pillow, as near to the pixels as the format can be."""
    know(name)
    fine = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True, "exact": True},
        "AVIF": {"quality": 95, "subsampling": "4:4:4"},
        "HEIF": {"quality": 95, "chroma": 444},
    }
    stream = io.BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.ascontiguousarray(pixels))
    picture.save(stream, name, **fine.get(name, {}) | options)
    return stream.getvalue()


def by_tifffile(pixels, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, metadata=None, **options)
    return stream.getvalue()


@functools.cache
def source(kind, exif=b"", xmp=b"", pixels="upright"):
    """A file with an EXIF block and an XMP packet; `kind` is a format, with 16 behind it where it has so many bits."""
    deep = kind.endswith("16")
    upright = RGB16 if deep else RGB
    stored = upright if pixels == "upright" else np.ascontiguousarray(STORED[pixels](upright))
    if kind.startswith("TIFF"):
        tags = parsed(exif)[0] if exif else {}
        return tiff((stored, tags | ({XMP_TAG: (BYTE, xmp)} if xmp else {})), order=order_of(exif) if exif else "<")
    if kind.startswith("PNG"):
        new = [chunk(b"eXIf", exif)] if exif else []
        new += [chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + xmp)] if xmp else []
        return with_chunks(imagecodecs.png_encode(stored), *new)
    given = {"exif": exif if kind == "HEIF" else b"Exif\0\0" + exif} if exif else {}
    return saved(kind, stored, **given | ({"xmp": xmp} if xmp else {}))


def coloured(photo):
    return photo.image if photo.image.ndim == 3 else np.repeat(photo.image[..., None], 3, axis=-1)


def encoded(name, *made_of, quality=95):
    know(name)
    stream = io.BytesIO()
    photos.encode(stream, name, [(coloured(photo), photo) for photo in made_of], quality)
    return stream.getvalue()


def copied(data, name):
    """The first page of a file, copied."""
    return encoded(name, photos.read(data))


def pixels_of(copy):
    """What a copy stores, as it is stored."""
    if copy[:4] == b"\x89PNG":
        return imagecodecs.png_decode(copy)
    if copy[:2] in (b"II", b"MM"):
        return tifffile.imread(io.BytesIO(copy))
    if copy[:2] == b"\xff\xd8":
        return imagecodecs.jpeg8_decode(copy)
    if copy[:4] == b"RIFF":
        return imagecodecs.webp_decode(copy)
    with Image.open(io.BytesIO(copy)) as picture:  # what turns AVIF and HEIC is not EXIF
        return np.asarray(picture)


def distance(one, two):
    assert one.shape == two.shape
    return np.abs(one.astype(float) - two).mean()


def same(one, two):
    assert one.dtype == two.dtype
    np.testing.assert_array_equal(one, two)


def test_what_is_written_to_a_file_is_what_is_encoded(tmp_path):
    photo = photos.read(source("JPEG", block(PLAIN | {EXIF_IFD: (LONG, EXIF)}), XMP))
    for name, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif"), ("AVIF", "avif"), ("BMP", "bmp")):
        know(name)
        photos.write(tmp_path / f"a.{suffix}", photo.image, like=photo)
        assert (tmp_path / f"a.{suffix}").read_bytes() == encoded(name, photo)


# --- bit depth ---

LAYOUTS = {
    "plain": {},
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 16)},
    "lzw": {"compression": "lzw", "rowsperstrip": 7},
    "lzw predictor": {"compression": "lzw", "predictor": True},
    "deflate": {"compression": "zlib", "predictor": True},
    "deflate tiles": {"compression": "zlib", "tile": (16, 32)},
    "packbits": {"compression": "packbits"},
    "big-endian": {"byteorder": ">"},
    "big-endian lzw": {"byteorder": ">", "compression": "lzw", "predictor": True},
    "BigTIFF": {"bigtiff": True},
    "BigTIFF deflate": {"bigtiff": True, "compression": "zlib"},
    "big-endian BigTIFF": {"bigtiff": True, "byteorder": ">"},
    "big-endian BigTIFF deflate": {"bigtiff": True, "byteorder": ">", "compression": "zlib", "predictor": True},
}
KINDS = {  # pixels, alpha, photometric interpretation
    "grey": (GREY, None, "minisblack"),
    "grey 16": (GREY16, None, "minisblack"),
    "grey alpha": (GREY, ALPHA, "minisblack"),
    "grey alpha 16": (GREY16, ALPHA16, "minisblack"),
    "RGB": (RGB, None, "rgb"),
    "RGB 16": (RGB16, None, "rgb"),
    "RGBA": (RGB, ALPHA, "rgb"),
    "RGBA 16": (RGB16, ALPHA16, "rgb"),
}


def check_copies(data, image, alpha):
    """That a file is read exactly, and that its PNG and TIFF keep it exactly."""
    photo = photos.read(data)
    same(photo.image, image)
    assert (photo.alpha is None) == (alpha is None)
    if alpha is not None:
        same(photo.alpha, alpha)
    colours = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)
    expected = colours if alpha is None else np.dstack([colours, alpha])
    same(pixels_of(encoded("PNG", photo)), expected)
    same(pixels_of(encoded("TIFF", photo)), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_tiff_keeps_its_values_and_bits(kind, layout):
    image, alpha, photometric = KINDS[kind]
    extra = {} if alpha is None else {"extrasamples": ["unassalpha"], "planarconfig": "contig"}
    stored = image if alpha is None else np.dstack([image, alpha])
    check_copies(by_tifffile(stored, photometric=photometric, **extra, **LAYOUTS[layout]), image, alpha)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "predictor" not in name])
@pytest.mark.parametrize("kind", ["grey alpha", "grey alpha 16", "RGB", "RGB 16", "RGBA", "RGBA 16"])
def test_planar_tiff_keeps_its_values_and_bits(kind, layout):
    image, alpha, photometric = KINDS[kind]
    stored = np.moveaxis(image if alpha is None else np.dstack([image, alpha]), -1, 0).copy()
    extra = {} if alpha is None else {"extrasamples": ["unassalpha"]}
    how = {"photometric": photometric, "planarconfig": "separate"} | extra | LAYOUTS[layout]
    check_copies(by_tifffile(stored, **how), image, alpha)


@pytest.mark.parametrize("image", [GREY, GREY16, RGB, RGB16], ids=["grey", "grey 16", "RGB", "RGB 16"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_spot_colours_of_a_tiff_are_named_and_do_not_hide_its_transparency(image, planar, place):
    """Photoshop stores a picture's masks and spot colours beside its transparency, in any order."""
    alpha, spot = (ALPHA, GREY) if image.dtype == np.uint8 else (ALPHA16, GREY16)
    kinds, beside = ["unspecified"] * 3, [spot] * 3
    kinds[place], beside[place] = "unassalpha", alpha
    stored = np.dstack([image, *beside])
    how = {"photometric": "rgb" if image.ndim == 3 else "minisblack", "planarconfig": "separate" if planar else "contig"}
    how |= {"extrasamples": kinds}
    data = by_tifffile(np.moveaxis(stored, -1, 0).copy() if planar else stored, **how)
    assert photos.read(data).notes == ("its 2 extra channels",)
    check_copies(data, image, alpha)


@pytest.mark.parametrize("layout", ["plain", "lzw", "big-endian", "BigTIFF", "tiles"])
@pytest.mark.parametrize("image", [GREY, GREY16], ids=["8", "16"])
def test_white_is_zero_is_turned(image, layout):
    check_copies(by_tifffile(TOP[image.dtype] - image, photometric="miniswhite", **LAYOUTS[layout]), image, None)


@pytest.mark.parametrize("kind", KINDS)
def test_png_keeps_its_values_and_bits(kind):
    image, alpha, _ = KINDS[kind]
    check_copies(imagecodecs.png_encode(image if alpha is None else np.dstack([image, alpha])), image, alpha)


@pytest.mark.parametrize("image", [GREY, GREY16, RGB, RGB16], ids=["grey", "grey 16", "RGB", "RGB 16"])
def test_one_transparent_colour_of_a_png(image):
    key = image[11, 13]
    clear = (image == key).reshape(HEIGHT, WIDTH, -1).all(axis=-1)
    transparent = chunk(b"tRNS", np.atleast_1d(key).astype(">u2").tobytes())
    alpha = np.where(clear, 0, TOP[image.dtype]).astype(image.dtype)
    check_copies(with_chunks(imagecodecs.png_encode(image), transparent), image, alpha)


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_palette(name):
    palette = Image.fromarray(RGB).quantize(16)
    check_copies(saved(name, palette), np.asarray(palette.convert("RGB")), None)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_of_grey_are_spread_over_the_whole_range(bits):
    levels = GREY >> (8 - bits)
    rows = b"".join(b"\0" + imagecodecs.packints_encode(row, bits) for row in levels)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, 0, 0, 0, 0)
    png = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    image = (levels * (255 // (2**bits - 1))).astype(np.uint8)
    check_copies(b"\x89PNG\r\n\x1a\n" + png, image, None)
    raw = b"".join(imagecodecs.packints_encode(row, bits) for row in levels)
    packed = {258: (SHORT, (bits,)), 279: (LONG, (len(raw),)), 339: None}
    data = tiff((GREY, packed))  # the strip is longer than it need be
    check_copies(data.replace(GREY.tobytes(), raw.ljust(GREY.size, b"\0")), image, None)


def test_12_bits_of_grey_are_spread_over_the_whole_range():
    levels = GREY16 >> 4
    raw = b"".join(imagecodecs.packints_encode(row, 12) for row in levels)
    data = tiff((GREY16, {258: (SHORT, (12,)), 279: (LONG, (len(raw),)), 339: None}))
    photo = photos.read(data.replace(GREY16.tobytes(), raw.ljust(GREY16.nbytes, b"\0")))
    assert np.abs(photo.image - levels / 4095 * 65535).max() <= 16


@pytest.mark.parametrize("layout", ["plain", "lzw", "big-endian", "BigTIFF"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("ink", [INK, INK16], ids=["8", "16"])
def test_cmyk_is_the_light_that_its_inks_leave(ink, planar, layout):
    top = TOP[ink.dtype]
    stored = np.moveaxis(ink, -1, 0).copy() if planar else ink
    how = {"photometric": "separated", "planarconfig": "separate" if planar else "contig"}
    photo = photos.read(by_tifffile(stored, **how, **LAYOUTS[layout]))
    left = 1 - ink / top
    assert photo.image.dtype == ink.dtype
    assert np.abs(photo.image - left[..., :3] * left[..., 3:] * top).max() <= 1
    same(pixels_of(encoded("TIFF", photo)), photo.image)


@pytest.mark.parametrize("layout", ["plain", "deflate", "big-endian", "BigTIFF"])
@pytest.mark.parametrize("kind", ["grey alpha", "grey alpha 16", "RGBA", "RGBA 16"])
@pytest.mark.parametrize("planar", [False, True])
def test_associated_alpha_is_divided_out(kind, layout, planar):
    image, alpha, photometric = KINDS[kind]
    top = TOP[image.dtype]
    share = (alpha / top).reshape(HEIGHT, WIDTH, *(1,) * (image.ndim - 2))
    stored = np.dstack([np.round(image * share).astype(image.dtype), alpha])
    how = {"photometric": photometric, "extrasamples": ["assocalpha"], "planarconfig": "separate" if planar else "contig"}
    photo = photos.read(by_tifffile(np.moveaxis(stored, -1, 0).copy() if planar else stored, **how, **LAYOUTS[layout]))
    same(photo.alpha, alpha)
    assert photo.image.dtype == image.dtype
    solid = alpha > top // 2  # elsewhere rounding has cost more
    assert np.abs(photo.image.astype(float) - image)[solid].max() <= 2


@pytest.mark.parametrize("kind", ["grey alpha", "grey alpha 16", "RGBA", "RGBA 16"])
@pytest.mark.parametrize("how", ["assocalpha", "unassalpha"])
def test_a_second_reader_is_no_judge_of_what_is_transparent(kind, how):
    """libtiff gives all of grey of 16 bits for opaque, and what is divided out here seems lighter than what it sees."""
    image, alpha, photometric = KINDS[kind]
    top = TOP[image.dtype]
    alpha = np.where(np.arange(HEIGHT) < HEIGHT // 3, top, top // 4)[:, None].repeat(WIDTH, 1).astype(image.dtype)
    share = (alpha / top).reshape(HEIGHT, WIDTH, *(1,) * (image.ndim - 2)) if how == "assocalpha" else 1
    stored = np.dstack([np.round(image * share).astype(image.dtype), alpha])
    data = by_tifffile(stored, photometric=photometric, extrasamples=[how], planarconfig="contig")
    assert next(photos.pages(data, compare=True)).warnings == ()


@pytest.mark.parametrize("layout", ["plain", "deflate", "big-endian", "big-endian deflate", "BigTIFF"])
@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@pytest.mark.parametrize("image", [GREY16, RGB16], ids=["grey", "RGB"])
def test_numbers_from_0_to_1_become_16_bits(image, kind, layout):
    how = {"byteorder": ">", "compression": "zlib"} if layout == "big-endian deflate" else LAYOUTS[layout]
    how = {key: value for key, value in how.items() if key != "predictor"}
    fractions = (image / 65535).astype(kind)
    assert fractions.max() > 0.8
    photo = photos.read(by_tifffile(fractions, photometric="rgb" if image.ndim == 3 else "minisblack", **how))
    assert photo.image.dtype == np.uint16
    np.testing.assert_array_equal(photo.image, np.round(fractions.astype(np.float64) * 65535))


@pytest.mark.parametrize("layout", ["plain", "deflate", "big-endian", "lzw", "BigTIFF"])
@pytest.mark.parametrize("image", [GREY16, RGB16], ids=["grey", "RGB"])
def test_integers_of_32_bits_keep_their_upper_16(image, layout):
    stored = image.astype(np.uint32) << 16 | 0x1234
    check_copies(by_tifffile(stored, photometric="rgb" if image.ndim == 3 else "minisblack", **LAYOUTS[layout]), image, None)


@pytest.mark.parametrize("kind", ["int16", "int32"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_signed_integers_are_clipped(kind, byteorder, compression):
    stored = (GREY16 // 2).astype(kind) - 99
    image = photos.read(by_tifffile(stored, photometric="minisblack", byteorder=byteorder, compression=compression)).image
    np.testing.assert_array_equal(image, np.clip(stored, 0, 65535))


@pytest.mark.parametrize("name", ["JPEG", "WEBP", "AVIF", "HEIF", "BMP"])
def test_formats_of_8_bits_get_the_nearest(name):
    copy = copied(imagecodecs.png_encode(RGB16), name)
    with Image.open(io.BytesIO(copy)) as picture:
        assert distance(np.asarray(picture), RGB16 / 257) < (4 if name in photos.LOSSY else 0.5)


# --- colour profiles ---

WIDE = (0.79767, 0.28804, 0.0), (0.13518, 0.71187, 0.0), (0.03134, 0.00009, 0.82491)  # ROMM RGB under D50
GREY_PROFILE = bytes(imagecodecs.cms_profile("gray", gamma=2.2))
MATRIX = {"wide": (WIDE, 1.8), "gamma": ((RED, GREEN, BLUE), 2.2), "linear": ((RED, GREEN, BLUE), 1.0)}
COLOURS = np.random.default_rng(0).integers(0, 65536, (40, 50, 3)).astype(np.uint16)
COLOURS[0] = np.linspace(0, 65535, 50).astype(np.uint16)[:, None]


def profile_of(copy):
    with Image.open(io.BytesIO(copy)) as picture:
        return picture.info["icc_profile"]


def srgb_primaries():
    """The colorants that the copies' own profile states: XYZ under D50, one in a row."""
    embedded = profile_of(copied(saved("PNG"), "PNG"))
    entries = struct.iter_unpack(">4sII", embedded[132 : 132 + 12 * struct.unpack_from(">I", embedded, 128)[0]])
    places = {name: place for name, place, _ in entries}
    return np.array([struct.unpack_from(">3i", embedded, places[name] + 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]) / 65536


def srgb_curve(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def in_srgb(levels, primaries, gamma):
    """ICC.1 appendix F: three curves and a matrix, there and back; the levels of the same depth, not rounded."""
    top, gamma = TOP[levels.dtype], round(gamma * 256) / 256
    return top * srgb_curve(
        (levels / top) ** gamma @ (np.round(np.array(primaries) * 65536) / 65536) @ np.linalg.inv(srgb_primaries())
    )


def with_profile(kind, pixels, icc):
    if kind == "TIFF":
        return by_tifffile(pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack", iccprofile=icc)
    return with_chunks(imagecodecs.png_encode(pixels), chunk(b"iCCP", b"of a test\0\0" + zlib.compress(icc)))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", MATRIX)
def test_an_rgb_profile_is_honoured_to_the_last_level(name, bits, kind):
    primaries, gamma = MATRIX[name]
    pixels = COLOURS if bits == 16 else (COLOURS >> 8).astype(np.uint8)
    photo = photos.read(with_profile(kind, pixels, profile(name, *primaries, gamma)))
    expected = in_srgb(pixels, primaries, gamma)
    assert distance(expected, pixels) > TOP[pixels.dtype] / 200  # it does something
    assert photo.image.dtype == pixels.dtype
    assert np.abs(photo.image - expected).max() < (2 if bits == 16 else 1.1)
    same(pixels_of(encoded(kind, photo)), photo.image)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("of", ["grey", "rgb"])
def test_a_profile_of_a_grey_picture_is_honoured(of, bits, kind):
    """An RGB profile says of grey what it says of equal channels."""
    levels = COLOURS[..., 0].copy() if bits == 16 else (COLOURS[..., 0] >> 8).astype(np.uint8)
    if of == "grey":
        icc, expected = GREY_PROFILE, srgb_curve((levels / TOP[levels.dtype]) ** 2.2)[..., None] * TOP[levels.dtype]
    else:
        icc = profile("gamma", RED, GREEN, BLUE, 2.2)
        expected = in_srgb(np.repeat(levels[..., None], 3, axis=-1), (RED, GREEN, BLUE), 2.2)
    photo = photos.read(with_profile(kind, levels, icc))
    assert photo.image.dtype == levels.dtype
    assert np.abs(coloured(photo) - expected).max() < (2 if bits == 16 else 1.1)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_profile_is_honoured_beside_alpha_of_16_bits(kind):
    pixels = np.dstack([COLOURS, COLOURS[::-1, :, 0]])
    icc = profile("gamma", RED, GREEN, BLUE, 2.2)
    if kind == "PNG":
        data = with_profile(kind, pixels, icc)
    else:
        data = by_tifffile(pixels, photometric="rgb", extrasamples=["unassalpha"], iccprofile=icc)
    photo = photos.read(data)
    same(photo.alpha, pixels[..., 3].copy())
    assert np.abs(photo.image - in_srgb(COLOURS, (RED, GREEN, BLUE), 2.2)).max() < 2


LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
DAMAGED = {"rubbish": b"rubbish" * 30, "cut": profile("", RED, GREEN, BLUE, 2.2)[:300], "short": GREY_PROFILE[:100], "lab": LAB}


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("image", [GREY, GREY16, RGB, RGB16], ids=["grey", "grey 16", "RGB", "RGB 16"])
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_profile_changes_no_value(damage, image, kind):
    photo = photos.read(with_profile(kind, image, DAMAGED[damage]))
    same(coloured(photo), image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1))


def test_a_grey_profile_does_not_fit_rgb():
    same(photos.read(with_profile("TIFF", RGB16, GREY_PROFILE)).image, RGB16)


@pytest.mark.parametrize("name", FORMATS)
def test_the_embedded_profile_is_srgb_and_the_same_on_every_day(name):
    embedded = profile_of(copied(saved("PNG", icc_profile=profile("wide", *WIDE, 1.8)), name))
    assert struct.unpack(">6H", embedded[24:36])[:3] == (2022, 1, 1)
    today = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert embedded[:24] + embedded[36:] == today[:24] + today[36:]
    assert embedded == profile_of(copied(imagecodecs.png_encode(RGB16), "PNG"))


# --- EXIF ---

NOTE = b"Voigtlaender\0\1\2\3" + bytes(range(256))
PLAIN = {
    MAKE: (ASCII, b"Voigtlaender\0"),
    272: (ASCII, b"Bessa\0"),
    305: (ASCII, b"Scanner 1.0\0"),
    306: (ASCII, b"2001:02:03 04:05:06\0"),
    18246: (SHORT, (4,)),  # rating
    33432: (ASCII, b"photographer\0editor\0"),
    40091: (BYTE, "Großvater im Garten\0".encode("utf-16-le")),  # XPTitle
}
EXIF = {
    33434: (RATIONAL, (1, 125)),
    33437: (RATIONAL, (35, 10)),
    34855: (SHORT, (100,)),
    36864: (UNDEFINED, b"0232"),
    36867: (ASCII, b"1961:08:13 06:00:00\0"),
    36881: (ASCII, b"+01:00\0"),
    37121: (UNDEFINED, b"\1\2\3\0"),
    37377: (SRATIONAL, (69, 10)),
    37380: (SRATIONAL, (-1, 3)),
    37386: (RATIONAL, (4294967295, 4294967294)),
    MAKER_NOTE: (UNDEFINED, NOTE),
    USER_COMMENT: (UNDEFINED, b"ASCII\0\0\0scanned from a negative"),
    37520: (ASCII, b"042\0"),
    41728: (UNDEFINED, b"\3"),
    42034: (RATIONAL, (24, 1, 70, 1, 0, 0, 0, 0)),  # 0/0: unknown
    42036: (ASCII, b"Color-Skopar\0"),
}
GPS = {
    0: (BYTE, b"\2\3\0\0"),
    1: (ASCII, b"N\0"),
    2: (RATIONAL, (52, 1, 31, 1, 1234567, 100000)),
    3: (ASCII, b"E\0"),
    4: (RATIONAL, (13, 1, 24, 1, 0, 1)),
    5: (BYTE, b"\0"),
    6: (RATIONAL, (341, 10)),
    27: (UNDEFINED, b"ASCII\0\0\0MANUAL"),
    29: (ASCII, b"1961:08:13\0"),
}
WHOLE = PLAIN | {EXIF_IFD: (LONG, EXIF), GPS_IFD: (LONG, GPS)}
XMP = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF \
xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" \
xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="Großvater — Дед"/></rdf:RDF></x:xmpmeta>\r\n  \n\
<?xpacket end="w"?>'.encode()


def carried(copy, wanted):
    """Of the tags of a copy those that are wanted, and of their directories likewise."""
    found = tags_of(copy)
    kept = {tag: found[tag] for tag in wanted if tag in found}
    for tag in (EXIF_IFD, GPS_IFD):
        if tag in kept and tag in wanted:
            kept[tag] = (LONG, {t: v for t, v in kept[tag][1].items() if t in wanted[tag][1]})
    return kept


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "name"), EVERYWHERE)
def test_exif_says_the_same_in_every_copy(kind, name, order):
    copy = copied(source(kind, block(WHOLE, order)), name)
    assert values(carried(copy, WHOLE)) == values(WHOLE)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "name"), [*((n, n) for n in FORMATS), ("JPEG", "TIFF"), ("TIFF", "JPEG"), ("TIFF16", "PNG")])
def test_exif_tags_keep_their_types(kind, name, order):
    """A comment of type BYTE instead of UNDEFINED is a row of numbers to other readers."""
    copy = copied(source(kind, block(WHOLE, order)), name)
    assert types(carried(copy, WHOLE)) == types(WHOLE)


TEXTS = {
    "Latin-1": "Großvater à la plage".encode("latin-1"),
    "UTF-8": "Großvater — Дед Мороз".encode(),
    "Shift-JIS": "写真家".encode("shift-jis"),
    "every byte": bytes(range(1, 256)),
    "trailing spaces": b"a  ",
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    ("kind", "name"), [*((n, n) for n in (*FORMATS, "TIFF16")), ("JPEG", "TIFF"), ("TIFF", "PNG"), ("PNG", "JPEG")]
)
def test_text_keeps_its_bytes(kind, name, text):
    tags = {ARTIST: (ASCII, TEXTS[text] + b"\0"), EXIF_IFD: (LONG, {42033: (ASCII, TEXTS[text] + b"\0")})}
    copy = copied(source(kind, block(tags)), name.removesuffix("16"))
    assert values(carried(copy, tags)) == values(tags)


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "JPEG"), ("JPEG", "TIFF"), ("TIFF", "TIFF"), ("TIFF", "PNG")])
def test_text_of_exif_3_is_kept(kind, name):
    tags = {MAKE: (ASCII, b"Zeiss\0"), ARTIST: (UTF8, "Großvater — Дед".encode() + b"\0")}
    data = tiff((RGB, tags)) if kind == "TIFF" else saved(kind, exif=b"Exif\0\0" + block(tags))
    assert values(carried(copied(data, name), tags)) == values(tags)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    "image",
    [GREY, RGB, RGB16, np.dstack([GREY16, ALPHA16]), (RGB16 / 65535).astype(np.float32)],
    ids=lambda i: f"{i.dtype}{i.shape}",
)
@pytest.mark.parametrize("name", ["TIFF", "PNG"])
def test_exif_of_every_kind_of_tiff(image, big, order, name):
    tags = WHOLE | {ARTIST: (ASCII, "Дед Мороз\0".encode())}
    copy = copied(tiff((image, tags), order=order, big=big), name)
    assert values(carried(copy, tags)) == values(tags)


@pytest.mark.parametrize("image", [RGB, RGB16], ids=["8", "16"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_of_a_bigtiff_as_libtiff_points_to_it(order, image):
    tags = PLAIN | {EXIF_IFD: (IFD8, EXIF), GPS_IFD: (IFD8, GPS)}
    copy = copied(tiff((image, tags), order=order, big=True), "TIFF")
    assert values(carried(copy, WHOLE)) == values(WHOLE)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "TIFF16"])
@pytest.mark.parametrize("tags", [{EXIF_IFD: (LONG, EXIF)}, {GPS_IFD: (LONG, GPS)}], ids=["Exif", "GPS"])
def test_exif_without_plain_tags_is_kept(tags, kind, name):
    """As of a telephone's screenshot, or beside nothing but orientation and resolution."""
    beside = {ORIENTATION: (SHORT, (1,)), X_DPI: (RATIONAL, (72, 1)), Y_DPI: (RATIONAL, (72, 1)), UNIT: (SHORT, (2,))}
    copy = copied(source(kind, block(tags | beside)), name)
    assert values(carried(copy, tags)) == values(tags)


@pytest.mark.parametrize(("kind", "name"), [*((n, n) for n in FORMATS), ("JPEG", "TIFF"), ("TIFF", "JPEG")])
def test_the_interoperability_directory_comes_along_or_goes_whole(kind, name):
    """Never as a pointer to where it was in the other file."""
    inside = {1: (ASCII, b"R98\0"), 2: (UNDEFINED, b"0100")}
    tags = PLAIN | {EXIF_IFD: (LONG, EXIF | {INTEROP_IFD: (LONG, inside)})}
    found = tags_of(copied(source(kind, block(tags)), name))[EXIF_IFD][1]  # a pointer into nothing fails here
    assert values(found).get(INTEROP_IFD, values(inside)) == values(inside)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "name"), [*((n, n) for n in FORMATS), ("JPEG", "TIFF"), ("TIFF", "JPEG")])
def test_a_unicode_comment_follows_the_byte_order_of_its_block(kind, name, order):
    words = "Großvater — Дед"
    comment = b"UNICODE\0" + words.encode({"<": "utf-16-le", ">": "utf-16-be"}[order])
    tags = PLAIN | {EXIF_IFD: (LONG, {USER_COMMENT: (UNDEFINED, comment)})}
    copy = copied(source(kind, block(tags, order)), name)
    found = tags_of(copy)[EXIF_IFD][1][USER_COMMENT][1]
    assert found[:8] == b"UNICODE\0"
    assert found[8:].decode({"<": "utf-16-le", ">": "utf-16-be"}[order_of(exif_of(copy))]) == words


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_a_maker_note_stays_at_its_place(name, order):
    """Those of Canon, Sony and others count their offsets from the head of the block."""
    tags = WHOLE | {ORIENTATION: (SHORT, (1,)), X_DPI: (RATIONAL, (180, 1)), Y_DPI: (RATIONAL, (180, 1)), UNIT: (SHORT, (2,))}
    data = source(name, block(tags, order))
    assert exif_of(copied(data, name)).index(NOTE) == exif_of(data).index(NOTE)


@pytest.mark.parametrize("name", FORMATS)
def test_the_preview_is_left_out(name):
    """It would show the picture without its colour."""
    small = saved("JPEG", RGB[:8, :8])
    tags, start = block(PLAIN), len(block(PLAIN))
    link = 8 + 2 + 12 * len(PLAIN)
    preview = {259: (SHORT, (6,)), 513: (LONG, (start + 54,)), 514: (LONG, (len(small),))}
    exif = tags[:link] + struct.pack("<I", start) + tags[link + 4 :] + directory(preview, start).ljust(54, b"\0") + small
    assert parsed(exif, parsed(exif)[1])[0][514] == (LONG, (len(small),))
    copy = copied(saved("JPEG", exif=b"Exif\0\0" + exif), name)
    assert values(carried(copy, PLAIN)) == values(PLAIN)
    assert parsed(exif_of(copy))[1] == 0
    assert small not in copy


def test_sizes_and_colour_space_in_exif_are_those_of_the_copy():
    tags = PLAIN | {ORIENTATION: (SHORT, (6,))}
    tags |= {
        EXIF_IFD: (LONG, {36864: (UNDEFINED, b"0232"), 40961: (SHORT, (65535,)), 40962: (LONG, (36,)), 40963: (LONG, (24,))})
    }
    icc = profile("wide", *WIDE, 1.8)
    copy = copied(saved("JPEG", exif=b"Exif\0\0" + block(tags), icc_profile=icc), "JPEG")
    assert pixels_of(copy).shape == (36, 24, 3)
    found = values(tags_of(copy))[EXIF_IFD]
    assert found.get(40962, (24,)) == (24,)
    assert found.get(40963, (36,)) == (36,)
    assert found.get(40961, (1,)) == (1,)  # sRGB


PRIVATE = {
    "doubles": {33550: (DOUBLE, (0.30000000000000004, 1e-9, 0.0))},
    "negative doubles": {33922: (DOUBLE, (0.0, 0.0, 0.0, -77.123456789, 38.5, 0.0))},
    "floats": {65000: (FLOAT, (0.5, -0.25))},
    "negative fractions": {50730: (SRATIONAL, (-7, 3))},
    "negative integers": {65000: (SLONG, (-5, 7))},
    "large integers": {65000: (LONG, (4000000000, 1))},
    "bytes": {65000: (BYTE, b"\1\2\3")},
    "undefined": {65000: (UNDEFINED, b"abcde")},
    "texts": {65000: (ASCII, b"one\0two\0")},
    "empty text": {65000: (ASCII, b"\0")},
    "the tags 65401 and 65402": {65401: (LONG, (77,)), 65402: (ASCII, b"a private text\0")},
    "document": {269: (ASCII, b"Album 3\0"), 285: (ASCII, b"Page 7\0"), 297: (SHORT, (6, 20)), 286: (RATIONAL, (1, 2))},
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("image", [RGB, RGB16], ids=["8", "16"])
@pytest.mark.parametrize("name", PRIVATE)
def test_every_type_of_tag_goes_from_tiff_to_tiff(name, image, order):
    copy = copied(tiff((image, PRIVATE[name]), order=order), "TIFF")
    assert values(carried(copy, PRIVATE[name])) == values(PRIVATE[name])
    assert types(carried(copy, PRIVATE[name])) == types(PRIVATE[name])


OF_PIXELS = {
    280: (SHORT, (3, 3, 3)),  # smallest and largest sample
    281: (SHORT, (200, 200, 200)),
    290: (SHORT, (3,)),  # unit and curve of grey
    291: (SHORT, tuple(range(256))),
    301: (SHORT, tuple(i * i for i in range(256))),  # transfer function
    318: (RATIONAL, (3127, 10000, 329, 1000)),  # white point and primaries
    319: (RATIONAL, (7347, 10000, 2653, 10000, 1596, 10000, 8404, 10000, 366, 10000, 1, 10000)),
    332: (SHORT, (1,)),  # inks
    333: (ASCII, b"ink\0"),
    334: (SHORT, (4,)),
    37724: (UNDEFINED, b"Adobe Photoshop Document Data Block\0MIB8ryaL"),  # the layers: Photoshop would show these instead
}


@pytest.mark.parametrize("tag", OF_PIXELS)
def test_what_a_tiff_says_of_its_pixels_is_not_said_of_the_copy(tag):
    photo = photos.read(tiff((RGB, OF_PIXELS | {MAKE: (ASCII, b"Zeiss\0")})))
    for name in ("TIFF", "PNG"):
        found = tags_of(encoded(name, photo))
        assert found[MAKE] == (ASCII, b"Zeiss\0")
        assert tag not in found


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_a_large_maker_note_is_kept_where_there_is_room(name):
    tags = PLAIN | {EXIF_IFD: (LONG, {MAKER_NOTE: (UNDEFINED, NOTE * 300)})}
    copy = copied(source("PNG", block(tags)), name)
    assert values(carried(copy, tags)) == values(tags)


# --- orientation ---

# Of upright pixels, what a file stores for each EXIF orientation: "the 0th row is the visual ... side, the 0th column ...".
STORED = {
    1: lambda up: up,  # top, left
    2: lambda up: up[:, ::-1],  # top, right
    3: lambda up: up[::-1, ::-1],  # bottom, right
    4: lambda up: up[::-1],  # bottom, left
    5: lambda up: up.swapaxes(0, 1),  # left, top
    6: lambda up: up[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda up: up[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda up: up[::-1].swapaxes(0, 1),  # left, bottom
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("orientation", STORED)
def test_orientation_is_applied_once_and_reset(orientation, kind):
    upright = RGB16 if kind.endswith("16") else RGB
    exif = block({MAKE: (ASCII, b"Zeiss\0"), ORIENTATION: (SHORT, (orientation,))}, ">")
    photo = photos.read(source(kind, exif, pixels=orientation))
    near = 0 if kind.startswith(("PNG", "TIFF")) or kind == "WEBP" else 4
    assert distance(photo.image, upright) <= near
    copy = encoded(kind.removesuffix("16"), photo)
    assert distance(pixels_of(copy)[..., :3], photo.image) <= near
    found = tags_of(copy)
    assert found[MAKE] == (ASCII, b"Zeiss\0")
    assert found.get(ORIENTATION, (SHORT, (1,)))[1] == (1,)
    assert b"irot" not in copy
    assert b"imir" not in copy


MORE = {
    "RGBA 16": np.dstack([RGB16, ALPHA16]),
    "grey alpha 16": np.dstack([GREY16, ALPHA16]),
    "grey 16": GREY16,
    "RGBA": np.dstack([RGB, ALPHA]),
    "floats": RGB16.astype(np.float64) / 65535,
}


@pytest.mark.parametrize("kind", MORE)
@pytest.mark.parametrize("orientation", STORED)
def test_alpha_and_unusual_pixels_turn_too(orientation, kind):
    turned = np.ascontiguousarray(STORED[orientation](MORE[kind]))
    tags = {ORIENTATION: (SHORT, (orientation,)), MAKE: (ASCII, b"Zeiss\0")}
    files = [tiff((turned, tags)), tiff((turned, tags), order=">"), tiff((turned, tags), big=True)]
    if kind != "floats":
        files.append(with_chunks(imagecodecs.png_encode(turned), chunk(b"eXIf", block(tags))))
    for data in files:
        photo = photos.read(data)
        if kind == "grey 16":
            same(photo.image, GREY16)
        elif kind == "floats":
            same(photo.image, RGB16)
        else:
            same(np.dstack([photo.image, photo.alpha]), MORE[kind])


TURNED = b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF \
xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" \
xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Make="Zeiss" %s</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
AS_ATTRIBUTE, AS_ELEMENT = TURNED % b'tiff:Orientation="6">', TURNED % b"><tiff:Orientation>6</tiff:Orientation>"


@pytest.mark.parametrize("xmp", [AS_ATTRIBUTE, AS_ELEMENT], ids=["attribute", "element"])
@pytest.mark.parametrize("exif", [b"", block({ORIENTATION: (SHORT, (6,)), MAKE: (ASCII, b"Zeiss\0")})], ids=["only", "too"])
@pytest.mark.parametrize("name", FORMATS)
def test_orientation_in_xmp_is_reset_too(name, exif, xmp):
    """Where EXIF has none, Pillow and others turn by what XMP says."""
    photo = photos.read(source("JPEG", exif, xmp, pixels=6))
    assert distance(photo.image, RGB) < 4
    copy = encoded(name, photo)
    assert b'tiff:Make="Zeiss"' in xmp_of(copy)
    assert not re.search(rb"tiff:Orientation(=\"|>)[2-8]", xmp_of(copy))
    with Image.open(io.BytesIO(copy)) as picture:
        assert ImageOps.exif_transpose(picture).size == (WIDTH, HEIGHT)
    assert distance(photos.read(copy).image, RGB) < 8


# --- XMP ---


@pytest.mark.parametrize(("kind", "name"), EVERYWHERE)
def test_xmp_keeps_its_bytes(kind, name):
    assert xmp_of(copied(source(kind, xmp=XMP), name)) == XMP


@pytest.mark.parametrize("image", [GREY, RGB16, np.dstack([GREY16, ALPHA16])], ids=["grey", "RGB 16", "grey alpha 16"])
@pytest.mark.parametrize("kind", [BYTE, UNDEFINED])
@pytest.mark.parametrize("order", ["<", ">"])
def test_xmp_of_every_kind_of_tiff(image, kind, order):
    assert xmp_of(copied(tiff((image, {XMP_TAG: (kind, XMP)}), order=order), "TIFF")) == XMP


@pytest.mark.parametrize("image", [RGB, RGB16], ids=["8", "16"])
@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
def test_chunks_of_a_png_are_found_before_and_behind_its_pixels(before, image):
    png = with_chunks(imagecodecs.png_encode(image), chunk(b"eXIf", block(PLAIN)))
    packet = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP))
    copy = copied(with_chunks(png, packet, chunk(b"tEXt", b"Title\0The garden"), before=before), "PNG")
    assert xmp_of(copy) == XMP
    assert texts_of(copy) == {"Title": "The garden"}
    assert values(carried(copy, PLAIN)) == values(PLAIN)


def raw_profile(name, content):
    """A profile in a PNG as ImageMagick writes it."""
    digits = content.hex()
    lines = [digits[i : i + 72] for i in range(0, len(digits), 72)]
    text = "\n".join(["", name, f"{len(content):8d}", *lines, ""])
    return chunk(b"zTXt", f"Raw profile type {name}\0\0".encode() + zlib.compress(text.encode()))


RAW = {
    "exif": ("exif", b"Exif\0\0" + block(PLAIN)),
    "exif as APP1": ("APP1", b"Exif\0\0" + block(PLAIN)),
    "xmp": ("xmp", XMP),
    "xmp as APP1": ("APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP),
}


@pytest.mark.parametrize("image", [RGB, RGB16], ids=["8", "16"])
@pytest.mark.parametrize("how", RAW)
def test_exif_and_xmp_in_raw_profiles_of_a_png_are_kept(how, image):
    copy = copied(with_chunks(imagecodecs.png_encode(image), raw_profile(*RAW[how])), "PNG")
    if how.startswith("xmp"):
        assert xmp_of(copy) == XMP
    else:
        assert values(carried(copy, PLAIN)) == values(PLAIN)


# --- IPTC ---

IPTC = b"\x1c\1\x5a\0\3\x1b%G" + b"\x1c\2\x05\0\x14" + "Großvater im Garten".encode() + b"\x1c\2\x19\0\4wall"
IPTC_ODD = IPTC + b"\x1c\2\x19\0\5words"
RESOLUTION = b"8BIM\x03\xed\0\0" + struct.pack(">IIHHIHH", 16, 300 << 16, 1, 1, 300 << 16, 1, 1)
PATH = b"8BIM\x07\xd0\5path1" + struct.pack(">I", 3) + b"abc\0"  # an odd name, and an odd length


def resource(content):
    return b"8BIM\x04\x04\0\0" + struct.pack(">I", len(content)) + content + bytes(len(content) % 2)


def as_numbers(content, order):
    padded = content + bytes(-len(content) % 4)
    return struct.unpack(f"{order}{len(padded) // 4}I", padded)


WITH_IPTC = {
    "JPEG": lambda c: with_segment(saved("JPEG"), 0xED, b"Photoshop 3.0\0" + resource(c)),
    "JPEG, among others": lambda c: with_segment(saved("JPEG"), 0xED, b"Photoshop 3.0\0" + RESOLUTION + PATH + resource(c)),
    "PNG": lambda c: with_chunks(saved("PNG"), raw_profile("iptc", resource(c))),
    "PNG, among others": lambda c: with_chunks(saved("PNG"), raw_profile("iptc", RESOLUTION + PATH + resource(c))),
    "PNG, bare": lambda c: with_chunks(saved("PNG"), raw_profile("iptc", c)),
    "PNG, of 16 bits": lambda c: with_chunks(imagecodecs.png_encode(RGB16), raw_profile("iptc", resource(c))),
    "TIFF": lambda c: tiff((RGB, {IPTC_TAG: (UNDEFINED, c)})),
    "TIFF, as bytes": lambda c: tiff((RGB, {IPTC_TAG: (BYTE, c)})),
    "TIFF, as text": lambda c: tiff((RGB, {IPTC_TAG: (ASCII, c)})),
    "TIFF, as numbers": lambda c: tiff((RGB, {IPTC_TAG: (LONG, as_numbers(c, "<"))})),
    "TIFF, as numbers, big-endian": lambda c: tiff((RGB, {IPTC_TAG: (LONG, as_numbers(c, ">"))}), order=">"),
    "TIFF of 16 bits": lambda c: tiff((RGB16, {IPTC_TAG: (UNDEFINED, c)})),
    "TIFF of 16 bits, as numbers": lambda c: tiff((RGB16, {IPTC_TAG: (LONG, as_numbers(c, ">"))}), order=">"),
    "TIFF of grey and alpha": lambda c: tiff((np.dstack([GREY16, ALPHA16]), {IPTC_TAG: (BYTE, c)})),
    "TIFF of grey and alpha, as numbers": lambda c: tiff(
        (np.dstack([GREY16, ALPHA16]), {IPTC_TAG: (LONG, as_numbers(c, ">"))}), order=">"
    ),
    "TIFF, only in Photoshop's resources": lambda c: tiff((RGB, {34377: (BYTE, RESOLUTION + PATH + resource(c))})),
}


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("content", [IPTC, IPTC_ODD], ids=["even", "odd"])
@pytest.mark.parametrize("how", WITH_IPTC)
def test_iptc_keeps_its_bytes(how, content, name):
    found = iptc_of(copied(WITH_IPTC[how](content), name))
    if "numbers" in how:  # where the records end only they themselves say
        assert found.rstrip(b"\0") == content
    else:
        assert found == content


def test_a_file_without_iptc_gets_none():
    copy = copied(with_segment(saved("JPEG"), 0xED, b"Photoshop 3.0\0" + RESOLUTION), "JPEG")
    assert iptc_of(copy) == b""
    assert IPTC_TAG not in tags_of(copied(saved("JPEG"), "TIFF"))


# --- resolution ---


def jfif(unit, x, y, **options):
    data = saved("JPEG", **options)
    place = data.index(b"JFIF\0") + 7
    return data[:place] + struct.pack(">BHH", unit, x, y) + data[place + 5 :]


def resolution(x, y, unit):
    return {X_DPI: (RATIONAL, x), Y_DPI: (RATIONAL, y), UNIT: (SHORT, (unit,))}


def in_exif(x, y, unit):
    return block({MAKE: (ASCII, b"Zeiss\0")} | resolution(x, y, unit))


def phys(x, y, unit, pixels=RGB):
    return with_chunks(imagecodecs.png_encode(pixels), chunk(b"pHYs", struct.pack(">IIB", x, y, unit)))


def exif_only(exif):
    """A JPEG without JFIF, as cameras write it."""
    data = saved("JPEG", exif=b"Exif\0\0" + exif)
    content = only(c for m, c in segments(data) if m == 0xE0)
    return data.replace(b"\xff\xe0" + struct.pack(">H", len(content) + 2) + content, b"")


RESOLUTIONS = {  # files, and dots per inch
    "JPEG": (lambda: jfif(1, 300, 150), (300, 150)),
    "JPEG in cm": (lambda: jfif(2, 118, 59), (299.72, 149.86)),
    "JPEG by EXIF": (lambda: exif_only(in_exif((300, 1), (300, 1), 2)), (300, 300)),
    "JPEG by EXIF, not square": (lambda: exif_only(in_exif((300, 1), (150, 1), 2)), (300, 150)),
    "JPEG by EXIF in cm": (lambda: jfif(0, 1, 1, exif=b"Exif\0\0" + in_exif((100, 1), (50, 1), 3)), (254, 127)),
    "PNG": (lambda: phys(11811, 5906, 1), (299.9994, 150.0124)),
    "PNG of 16 bits": (lambda: phys(11811, 5906, 1, RGB16), (299.9994, 150.0124)),
    "TIFF": (lambda: tiff((RGB, resolution((725, 10), (300, 2), 2))), (72.5, 150)),
    "TIFF in cm": (lambda: tiff((RGB, resolution((11811, 100), (100, 1), 3))), (299.9994, 254)),
    "TIFF of 16 bits in cm": (lambda: tiff((RGB16, resolution((100, 1), (50, 1), 3)), order=">"), (254, 127)),
    "TIFF of grey and alpha in cm": (
        lambda: tiff((np.dstack([GREY16, ALPHA16]), resolution((100, 1), (50, 1), 3)), order=">"),
        (254, 127),
    ),
    "TIFF without a unit": (lambda: tiff((RGB, {X_DPI: (RATIONAL, (600, 1)), Y_DPI: (RATIONAL, (300, 1))})), (600, 300)),
    "WebP": (lambda: source("WEBP", in_exif((300, 1), (150, 1), 2)), (300, 150)),
    "WebP in cm": (lambda: source("WEBP", in_exif((100, 1), (50, 1), 3)), (254, 127)),
    "AVIF": (lambda: source("AVIF", in_exif((300, 1), (150, 1), 2)), (300, 150)),
    "HEIC": (lambda: source("HEIF", in_exif((300, 1), (150, 1), 2)), (300, 150)),
    "BMP": (lambda: saved("BMP", dpi=(300, 150)), (299.999, 150.012)),
}


def dots_per_inch(copy):
    """(x, y) of a copy, or None; and half the step in which its format can say it."""
    if copy[:2] == b"\xff\xd8":
        unit, x, y = struct.unpack_from(">BHH", only(c for m, c in segments(copy) if m == 0xE0), 7)
        return (x, y) if unit == 1 else (x * 2.54, y * 2.54) if unit == 2 else None, 0.501
    if copy[:4] == b"\x89PNG":
        found = only(c for k, c in chunks(copy) if k == b"pHYs")
        x, y, unit = struct.unpack(">IIB", found or bytes(9))
        return (x * 0.0254, y * 0.0254) if unit == 1 else None, 0.0128
    if copy[:2] == b"BM":
        x, y = struct.unpack_from("<ii", copy, 38)
        return (x * 0.0254, y * 0.0254), 0.0128
    found = values(tags_of(copy))
    if found.get(UNIT, (1,)) == (1,):
        return None, 0
    inches = {2: 1, 3: 2.54}[found[UNIT][0]]
    return (found[X_DPI][0] * inches, found[Y_DPI][0] * inches), 1e-3


@pytest.mark.parametrize("name", [*FORMATS, "BMP"])
@pytest.mark.parametrize("how", RESOLUTIONS)
def test_resolution_is_kept_as_finely_as_the_format_can_say_it(how, name):
    make, expected = RESOLUTIONS[how]
    found, step = dots_per_inch(copied(make(), name))
    assert tuple(map(float, found)) == pytest.approx(expected, abs=step)


TWICE = {  # what JFIF and EXIF say, and what is true
    "72 is no answer of JFIF": (72, 600, 600),
    "72 is no answer of EXIF": (300, 72, 300),
    "EXIF is believed": (96, 600, 600),
    "they agree": (300, 300, 300),
}


@pytest.mark.parametrize("name", [*FORMATS, "BMP"])
@pytest.mark.parametrize("case", TWICE)
def test_of_two_resolutions_the_one_that_means_something_is_kept(case, name):
    own, other, expected = TWICE[case]
    photo = photos.read(jfif(1, own, own, exif=b"Exif\0\0" + in_exif((other, 1), (other, 1), 2)))
    copy = encoded(name, photo)
    found, step = dots_per_inch(copy)
    assert tuple(map(float, found)) == pytest.approx((expected, expected), abs=step)
    if name != "BMP":  # and EXIF does not say another
        assert values(tags_of(copy))[X_DPI] == (Fraction(expected),)
    assert photo.notes == (("its resolution of 96x96 dpi, for its EXIF says 600x600",) if own == 96 else ())


SHAPES_ONLY = {
    "JPEG": lambda: jfif(0, 2, 1),
    "JPEG by EXIF": lambda: exif_only(in_exif((2, 1), (1, 1), 1)),
    "PNG": lambda: phys(2, 1, 0),
    "TIFF": lambda: tiff((RGB, resolution((2, 1), (1, 1), 1))),
    "TIFF of 16 bits": lambda: tiff((RGB16, resolution((2, 1), (1, 1), 1))),
    "WebP": lambda: source("WEBP", in_exif((2, 1), (1, 1), 1)),
    "nothing": lambda: saved("PNG"),
}


@pytest.mark.parametrize("how", SHAPES_ONLY)
def test_numbers_without_a_length_are_no_resolution(how):
    photo = photos.read(SHAPES_ONLY[how]())
    assert photo.metadata.dpi is None
    for name in FORMATS:
        copy = encoded(name, photo)
        assert dots_per_inch(copy)[0] is None
        assert photos.read(copy).metadata.dpi is None


# --- texts ---


def texts_of(png):
    """{keyword: text} of all textual chunks but XMP and profiles."""
    texts = [text_of(kind, content) for kind, content in chunks(png) if kind in (b"tEXt", b"zTXt", b"iTXt")]
    found = {key: text for key, text in texts if key != "XML:com.adobe.xmp" and not key.startswith("Raw profile")}
    assert len(found) == len([1 for key, _ in texts if key in found])
    return found


WORDS = {
    "tEXt": (chunk(b"tEXt", b"Title\0Gro\xdfvater"), "Title", "Großvater"),
    "tEXt, lines": (chunk(b"tEXt", b"Description\0one\ntwo\r\nthree  "), "Description", "one\ntwo\r\nthree  "),
    "tEXt, empty": (chunk(b"tEXt", b"Comment\0"), "Comment", ""),
    "tEXt, Latin keyword": (chunk(b"tEXt", b"Gr\xf6\xdfe\0klein"), "Größe", "klein"),
    "zTXt": (chunk(b"zTXt", b"Description\0\0" + zlib.compress(b"lang \xe4 " * 400)), "Description", "lang ä " * 400),
    "iTXt": (chunk(b"iTXt", b"Author\0\0\0\0\0" + "Дед".encode()), "Author", "Дед"),
    "iTXt, packed": (chunk(b"iTXt", b"Author\0\1\0\0\0" + zlib.compress("写真家 😀".encode())), "Author", "写真家 😀"),
    "iTXt, long": (chunk(b"iTXt", b"Author\0\0\0\0\0" + "Дед ".encode() * 900), "Author", "Дед " * 900),
}


@pytest.mark.parametrize("image", [RGB, RGB16], ids=["8", "16"])
@pytest.mark.parametrize("how", WORDS)
def test_texts_of_a_png_are_kept(how, image):
    new, key, text = WORDS[how]
    other = chunk(b"tEXt", b"Source\0a glass plate")
    copy = copied(with_chunks(imagecodecs.png_encode(image), new, other), "PNG")
    assert texts_of(copy) == {key: text, "Source": "a glass plate"}


@pytest.mark.parametrize("image", [RGB, RGB16], ids=["8", "16"])
@pytest.mark.parametrize("text", ["Großvater", "Дед"])
def test_the_language_of_a_text_is_kept(text, image):
    content = b"Title\0\0\0de-AT\0" + "Überschrift".encode() + b"\0" + text.encode()
    copy = copied(with_chunks(imagecodecs.png_encode(image), chunk(b"iTXt", content)), "PNG")
    assert only(c for k, c in chunks(copy) if k == b"iTXt") == content


@pytest.mark.parametrize("comment", [b"caf\xe9", "Дед".encode(), b"with its end\0", bytes(range(256)), b"a" * 65533])
def test_the_comment_of_a_jpeg_is_kept(comment):
    copy = copied(with_segment(saved("JPEG"), 0xFE, comment), "JPEG")
    assert [content for marker, content in segments(copy) if marker == 0xFE] == [comment]


# --- pages ---


def pages_of(copy):
    """The tags of each page of a TIFF."""
    start, found = None, []
    while start != 0:
        tags, start = parsed(copy, start)
        found.append(tags)
    return found


def check_pages(data, *expected):
    """That pages are read, and copied, with these pixels; returns the copy's tags."""
    read = list(photos.pages(data))
    assert [photo.pages for photo in read] == [len(expected)] * len(expected)
    for photo, image in zip(read, expected, strict=True):
        same(photo.image if photo.alpha is None else np.dstack([photo.image, photo.alpha]), image)
    copy = encoded("TIFF", *read)
    with tifffile.TiffFile(io.BytesIO(copy)) as file:
        assert len(file.pages) == len(expected)
        for page, photo in zip(file.pages, read, strict=True):
            same(page.asarray(), coloured(photo) if photo.alpha is None else np.dstack([coloured(photo), photo.alpha]))
    return pages_of(copy)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_page_keeps_what_is_its_own(order, big):
    images = [GREY, RGB16[:16], np.dstack([RGB, ALPHA])[:, :20], GREY16, RGB]
    own = [
        {DESCRIPTION: (ASCII, f"page {i} \xe4\0".encode()), ARTIST: (ASCII, bytes([65 + i, 0]))}
        | resolution((100 * i, 1), (50 * i, 1), 2)
        | {XMP_TAG: (BYTE, XMP + bytes([32] * i))}
        for i in range(1, 6)
    ]
    own[1][EXIF_IFD] = (LONG, {36867: (ASCII, b"1961:08:13 06:00:00\0"), USER_COMMENT: (UNDEFINED, b"ASCII\0\0\0of page 2")})
    own[3][GPS_IFD] = (LONG, {1: (ASCII, b"N\0"), 2: (RATIONAL, (52, 1, 31, 1, 0, 1))})
    own[4][EXIF_IFD] = (LONG, {36867: (ASCII, b"1989:11:09 18:57:00\0")})
    found = check_pages(tiff(*zip(images, own, strict=True), order=order, big=big), *images)
    for tags, wanted in zip(found, own, strict=True):
        assert values(tags) == values(tags) | values(wanted)
        assert (EXIF_IFD in tags, GPS_IFD in tags) == (EXIF_IFD in wanted, GPS_IFD in wanted)


def test_pages_do_not_borrow_from_one_another():
    first = {ARTIST: (ASCII, b"Grandfather\0"), DESCRIPTION: (ASCII, b"one\0"), XMP_TAG: (BYTE, XMP), IPTC_TAG: (BYTE, IPTC)}
    first |= resolution((300, 1), (300, 1), 2) | {EXIF_IFD: (LONG, EXIF), ORIENTATION: (SHORT, (3,))}
    found = check_pages(tiff((RGB, first), (RGB16, {})), RGB[::-1, ::-1], RGB16)
    assert not {ARTIST, DESCRIPTION, XMP_TAG, IPTC_TAG, EXIF_IFD, ORIENTATION} & set(found[1])
    assert found[0][UNIT] == (SHORT, (2,))
    assert found[1].get(UNIT, (SHORT, (1,))) == (SHORT, (1,))  # no resolution


def test_each_page_has_its_own_profile_and_orientation():
    icc = profile("gamma", RED, GREEN, BLUE, 1.0)
    pages = [(RGB16, {34675: (UNDEFINED, icc)}), (RGB16, {}), (STORED[8](RGB16), {ORIENTATION: (SHORT, (8,))})]
    read = [photo.image for photo in photos.pages(tiff(*pages))]
    assert np.abs(read[0] - in_srgb(RGB16, (RED, GREEN, BLUE), 1.0)).max() < 2
    same(read[1], RGB16)
    same(read[2], RGB16)


def test_pages_of_every_kind_that_pillow_writes():
    palette = Image.fromarray(RGB).quantize(16)
    kinds = [Image.fromarray(GREY > 99), Image.fromarray(GREY), palette, Image.fromarray(RGB), Image.fromarray(INK, "CMYK")]
    kinds += [
        Image.fromarray(np.dstack([GREY, ALPHA]), "LA"),
        Image.fromarray(np.dstack([RGB, ALPHA])),
        Image.fromarray(GREY16),
    ]
    light = 1 - INK / 255
    expected = [np.where(GREY > 99, 255, 0).astype(np.uint8), GREY, np.asarray(palette.convert("RGB")), RGB]
    expected += [np.round(light[..., :3] * light[..., 3:] * 255).astype(np.uint8)]
    expected += [np.dstack([GREY, ALPHA]), np.dstack([RGB, ALPHA]), GREY16]
    data = saved("TIFF", kinds[0], save_all=True, append_images=kinds[1:])
    read = list(photos.pages(data))
    assert np.abs(read[4].image.astype(int) - expected[4]).max() <= 1
    expected[4] = read[4].image
    check_pages(data, *expected)


UNUSUAL = {
    "grey alpha 16": np.dstack([GREY16, ALPHA16]),
    "floats": (RGB16 / 65535).astype(np.float64),
    "RGB 32": RGB16.astype(np.uint32) << 16,
}


@pytest.mark.parametrize("usual", [GREY, RGB, GREY16, RGB16], ids=["grey", "RGB", "grey 16", "RGB 16"])
@pytest.mark.parametrize("kind", UNUSUAL)
@pytest.mark.parametrize("first", ["usual", "unusual"])
def test_pages_that_pillow_knows_beside_those_it_does_not(first, kind, usual):
    pages = [(usual, usual), (UNUSUAL[kind], UNUSUAL[kind] if kind == "grey alpha 16" else RGB16)]
    pages = pages if first == "usual" else pages[::-1]
    own = [{DESCRIPTION: (ASCII, b"one\0")}, {DESCRIPTION: (ASCII, b"two\0")}]
    data = tiff(*((stored, tags) for (stored, _), tags in zip(pages, own, strict=True)))
    found = check_pages(data, *(image for _, image in pages))
    assert [tags[DESCRIPTION][1] for tags in found] == [b"one\0", b"two\0"]


# --- what cannot be kept ---


def two_frames(name):
    return saved(name, save_all=True, append_images=[Image.fromarray(RGB[::-1].copy())])


def two_in_one_heic():
    pillow_heif = pytest.importorskip("pillow_heif")
    file, stream = pillow_heif.from_pillow(Image.fromarray(RGB)), io.BytesIO()
    file.add_from_pillow(Image.fromarray(RGB[::-1].copy()))
    file.save(stream)
    return stream.getvalue()


def deep_heic():
    pillow_heif, stream = pytest.importorskip("pillow_heif"), io.BytesIO()
    pillow_heif.from_bytes("RGB;16", (WIDTH, HEIGHT), RGB16.tobytes()).save(stream)
    return stream.getvalue()


def two_comments():
    return with_segment(with_segment(saved("JPEG"), 0xFE, b"second"), 0xFE, b"first")


def two_texts():
    return with_chunks(saved("PNG"), chunk(b"tEXt", b"Comment\0first"), chunk(b"tEXt", b"Comment\0second"))


EXTENDED = XMP.replace(b'dc:title="', b'xmpNote:HasExtendedXMP="0123456789ABCDEF0123456789ABCDEF" dc:title="')
LOST = {
    "extended XMP": (lambda: source("JPEG", xmp=EXTENDED), "extended XMP"),
    "frames of a PNG": (lambda: two_frames("PNG"), "animation"),
    "frames of a WebP": (lambda: two_frames("WEBP"), "animation"),
    "frames of an AVIF": (lambda: two_frames("AVIF"), "animation"),
    "the second picture of an MPO": (lambda: two_frames("MPO"), "picture|image|frame"),
    "the second picture of a HEIC": (two_in_one_heic, "picture|image|frame"),
    "more than 8 bits of an AVIF": (lambda: imagecodecs.avif_encode(RGB16 >> 6, bitspersample=10), "bit"),
    "more than 8 bits of a HEIC": (deep_heic, "bit"),
    "the first of two comments": (two_comments, "comment"),
    "the first of two texts": (two_texts, "text"),
    "Photoshop's layers": (lambda: tiff((RGB, {37724: OF_PIXELS[37724]})), "layer"),
}


@pytest.mark.parametrize("what", LOST)
def test_what_does_not_come_along_is_noted(what):
    make, word = LOST[what]
    notes = photos.read(make()).notes
    assert len(notes) == 1
    assert re.search(word, notes[0])


@pytest.mark.parametrize("name", [*FORMATS, "BMP"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_a_format_has_no_room_for_is_said(kind, name):
    """Of all that these files hold: what is named is not in the copy, and what is not named is."""
    comment, words = b"found in the attic", b"Title\0of a glass plate"
    data = with_segment(
        with_segment(source("JPEG", block(WHOLE), XMP), 0xED, b"Photoshop 3.0\0" + resource(IPTC)), 0xFE, comment
    )
    photo = photos.read(data if kind == "JPEG" else with_chunks(rich(), chunk(b"tEXt", words)))
    copy, lost = encoded(name, photo), " ".join(photos.not_carried(name, photo))
    exif, xmp, iptc = (b"", b"", b"") if name == "BMP" else (exif_of(copy), xmp_of(copy), iptc_of(copy))
    with Image.open(io.BytesIO(copy)) as picture:
        alpha = picture.mode == "RGBA"
    here = {"EXIF": MAKE in (parsed(exif)[0] if exif else {}), "XMP": xmp == XMP, "IPTC": iptc == IPTC}
    here |= {"comment": comment in copy} if kind == "JPEG" else {"transparency": alpha, "texts": words in copy}
    here |= {"16 bits": pixels_of(copy).dtype == np.uint16} if kind == "PNG" else {}
    assert {what: what not in lost for what in here} == here


@pytest.mark.parametrize("kind", SOURCES)
def test_nothing_is_noted_of_a_sound_file(kind):
    assert photos.read(source(kind, block(WHOLE), XMP)).notes == ()


GOOD = block({MAKE: (ASCII, b"Voigtlaender AG\0"), ARTIST: (ASCII, b"Grandfather\0"), EXIF_IFD: (LONG, EXIF)})
BAD_EXIF = {
    "rubbish": b"garbage everywhere",
    "offset beyond the end": b"II*\0\xff\xff\xff\xff",
    "cut in its directory": GOOD[:20],
    "cut in its values": GOOD[:60],
    "Exif directory beyond the end": block({MAKE: (ASCII, b"Voigtlaender AG\0"), EXIF_IFD: (LONG, (99999,))}),
    "value beyond the end": block({MAKE: (ASCII, b"Zeiss\0"), ARTIST: (LONG, (99999,))}).replace(
        struct.pack("<HHI", ARTIST, LONG, 1), struct.pack("<HHI", ARTIST, ASCII, 30)
    ),
}


@pytest.mark.filterwarnings("ignore")  # Pillow's own, of damaged metadata
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("damage", BAD_EXIF)
def test_damaged_exif_is_noted_and_its_copy_sound(damage, name):
    photo = photos.read(saved(name, exif=b"Exif\0\0" + BAD_EXIF[damage]))
    assert distance(photo.image, RGB) < 4
    tags_of(encoded(name, photo))  # whatever came along can be parsed
    assert photo.notes == ("its EXIF is damaged",)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("image", [RGB, RGB16], ids=["8", "16"])
@pytest.mark.parametrize("where", [EXIF_IFD, GPS_IFD])
def test_a_damaged_directory_of_a_tiff_is_noted(where, image):
    photo = photos.read(tiff((image, {MAKE: (ASCII, b"Zeiss\0"), where: (LONG, (999999,))})))
    same(photo.image, image)
    tags_of(encoded("TIFF", photo))
    assert photo.notes == ("its EXIF is damaged",)


TOO_LARGE = {
    "XMP": lambda: tiff((RGB, {XMP_TAG: (BYTE, XMP + b" " * 65536)})),
    "IPTC": lambda: tiff((RGB, {IPTC_TAG: (UNDEFINED, IPTC + b"\x1c\2\x78\xff\xff" + b"x" * 65535)})),
    "EXIF": lambda: source("PNG", block(PLAIN | {EXIF_IFD: (LONG, {MAKER_NOTE: (UNDEFINED, NOTE * 300)})})),
}


@pytest.mark.parametrize("what", TOO_LARGE)
def test_what_is_too_large_for_a_jpeg_is_said(tmp_path, what):
    photo = photos.read(TOO_LARGE[what]())
    with pytest.raises(PhotoError, match=rf"its {what} of \d+ bytes does not fit into a JPEG"):
        photos.write(tmp_path / "a.jpg", photo.image, like=photo)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_what_is_too_large_for_a_jpeg_is_kept_elsewhere(name):
    assert xmp_of(copied(TOO_LARGE["XMP"](), name)) == XMP + b" " * 65536
    assert len(iptc_of(copied(TOO_LARGE["IPTC"](), name))) == len(IPTC) + 5 + 65535


def test_the_largest_xmp_and_iptc_of_a_jpeg():
    xmp = XMP.ljust(65502)
    assert xmp_of(copied(tiff((RGB, {XMP_TAG: (BYTE, xmp)})), "JPEG")) == xmp
    iptc = IPTC.ljust(65506, b"\0")
    assert iptc_of(copied(tiff((RGB, {IPTC_TAG: (BYTE, iptc)})), "JPEG")) == iptc


# --- the same again ---


def rich():
    """A file with all that a copy can carry."""
    new = [chunk(b"eXIf", block(WHOLE)), chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + XMP)]
    new += [raw_profile("iptc", resource(IPTC)), chunk(b"pHYs", struct.pack(">IIB", 11811, 5906, 1))]
    new += [WORDS[how][0] for how in ("tEXt", "iTXt", "zTXt")]
    return with_chunks(imagecodecs.png_encode(np.dstack([RGB16, ALPHA16])), *new)


@pytest.mark.parametrize("name", [*FORMATS, "BMP"])
def test_the_same_copy_has_the_same_bytes(name):
    first = copied(rich(), name)
    assert copied(rich(), name) == first
    assert len(first) > 1000


@pytest.mark.parametrize("name", FORMATS)
def test_a_copy_of_a_copy_carries_the_same(name):
    first = copied(rich(), name)
    second = copied(first, name)
    assert values(carried(second, WHOLE)) == values(WHOLE)
    assert xmp_of(second) == XMP
    assert dots_per_inch(second) == dots_per_inch(first)
    if name == "PNG":
        assert texts_of(second) == texts_of(first)
    if name in ("JPEG", "PNG", "TIFF"):
        assert iptc_of(second) == IPTC


def test_pillow_reads_what_a_copy_carries():
    """Not only the parser of this file."""
    with Image.open(io.BytesIO(copied(rich(), "PNG"))) as picture:
        assert isinstance(picture, PngImagePlugin.PngImageFile)
        exif = picture.getexif()
        assert exif[MAKE] == "Voigtlaender"
        assert exif.get_ifd(EXIF_IFD)[36867] == "1961:08:13 06:00:00"
        assert exif.get_ifd(GPS_IFD)[1] == "N"
        assert picture.info["xmp"] == XMP
        assert picture.text["Author"] == "Дед"


def test_an_avif_of_the_general_brand_is_an_avif(tmp_path):
    """Its first brand is mif1, of any HEIF; that it is an AVIF is said by those that it calls compatible."""
    Image.fromarray(np.full((24, 32, 3), 90, np.uint8)).save(tmp_path / "a.avif")
    data = (tmp_path / "a.avif").read_bytes()
    assert b"avif" in data[16:32]
    (tmp_path / "b.avif").write_bytes(data[:8] + b"mif1" + data[12:])
    assert photos.kind(tmp_path / "b.avif") == "AVIF"
    assert photos.read(tmp_path / "b.avif").file_format == "AVIF"


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_a_damaged_profile_is_noted(tmp_path, name):
    picture = Image.fromarray(np.full((24, 32, 3), 90, np.uint8))
    picture.save(tmp_path / name, icc_profile=b"no profile at all" * 20)
    assert photos.read(tmp_path / name).notes == ("its colour profile, which is damaged: its colours were taken as sRGB",)
    picture.save(tmp_path / name)
    assert photos.read(tmp_path / name).notes == ()


def test_damaged_iptc_is_noted(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type iptc", "\niptc\n      4\nnot hexadecimal\n")
    Image.fromarray(np.full((24, 32, 3), 90, np.uint8)).save(tmp_path / "a.png", pnginfo=info)
    assert photos.read(tmp_path / "a.png").notes == ("its IPTC, which is damaged",)


# --- damage beside the pixels ---


def with_wrong_checksum(chunk):
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


def short_jfif():
    data = saved("JPEG")
    return data[:2] + b"\xff\xe0\0\x07JFIF\0" + data[data.index(b"\xff\xdb") :]


@pytest.mark.parametrize("space, mode", [("GRAY", "RGB"), ("CMYK", "RGB"), ("CMYK", "L"), ("RGB ", "CMYK")])
def test_a_profile_of_other_channels_is_named(space, mode):
    """As in grey scans that another program has made RGB of: no conversion is possible, and nobody may take it for done."""
    icc = bytearray(photos.profiles.SRGB)
    icc[16:20] = space.encode()
    stream = io.BytesIO()
    Image.fromarray(RGB).convert(mode).save(stream, "JPEG", icc_profile=bytes(icc))
    words = f"its colour profile, which is of other channels ({space.strip()}): its colours were taken as sRGB"
    assert photos.read(stream.getvalue()).notes == (words,)
    fitting = io.BytesIO()
    Image.fromarray(GREY).save(fitting, "JPEG", icc_profile=photos.profiles.SRGB)
    assert photos.read(fitting.getvalue()).notes == ()


@pytest.mark.parametrize("layout", ["plain", "BigTIFF"])
@pytest.mark.parametrize("name, image", [("GRAY", RGB), ("GRAY", RGB16), ("CMYK", GREY16)], ids=["RGB", "RGB 16", "grey 16"])
def test_a_profile_of_other_channels_is_named_of_every_tiff(name, image, layout):
    icc = bytearray(photos.profiles.SRGB)
    icc[16:20] = name.encode()
    how = {"photometric": "rgb" if image.ndim == 3 else "minisblack", "byteorder": ">", "iccprofile": bytes(icc)}
    assert "of other channels" in photos.read(by_tifffile(image, **how, bigtiff=layout == "BigTIFF")).notes[0]


@pytest.mark.parametrize("image", [RGB, RGB16, GREY, GREY16], ids=["RGB", "RGB 16", "grey", "grey 16"])
def test_a_profile_whose_tables_are_damaged_is_named(image):
    """Its head is sound, so that only the conversion fails."""
    icc = photos.profiles.SRGB.replace(b"rTRC", b"none", 1)
    how = {"photometric": "rgb" if image.ndim == 3 else "minisblack", "iccprofile": icc}
    assert photos.read(by_tifffile(image, **how)).notes == (NO_PROFILE,)


def test_the_profile_of_ycbcr_is_honoured():
    """It is of the RGB that these make."""
    icc = photos.profiles.SRGB.replace(b"rXYZ", b"none", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"none", b"bXYZ", 1)
    stream = io.BytesIO()
    Image.fromarray(RGB).convert("YCbCr").save(stream, "TIFF", icc_profile=icc)
    photo = photos.read(stream.getvalue())
    assert np.abs(photo.image[..., ::-1].astype(int) - RGB).mean() < 2 and photo.notes == ()


NO_PROFILE = "its colour profile, which is damaged: its colours were taken as sRGB"
LARGE_XMP = XMP.replace(b"</x:xmpmeta>", b" " * 2**20 + b"</x:xmpmeta>")
HALF = chunk(b"zTXt", b"Title\0\0" + zlib.compress(bytes(range(256)) * 9)[:-20])
DAMAGED_BESIDE = {
    "a text": (chunk(b"tEXt", b"Title\0a"), "its text 'Title', which is damaged"),
    "a packed text": (chunk(b"zTXt", b"Title\0\0rubbish"), "its text 'Title', which is damaged"),
    "half a packed text": (HALF, "its text 'Title', which is damaged"),
    "a profile": (chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(bytes(999))), NO_PROFILE),
    "EXIF": (chunk(b"eXIf", b"II*\0"), "its EXIF is damaged"),
    "resolution": (chunk(b"pHYs", bytes(9)), "its resolution, which is damaged"),
}


@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
@pytest.mark.parametrize("image", [RGB, RGB16], ids=["8", "16"])
@pytest.mark.parametrize("what", DAMAGED_BESIDE)
def test_damage_beside_the_pixels_of_a_png_costs_no_pixel(what, image, before):
    new, note = DAMAGED_BESIDE[what]
    good = chunk(b"tEXt", b"Source\0a glass plate")
    photo = photos.read(with_chunks(imagecodecs.png_encode(image), good, with_wrong_checksum(new), before=before))
    same(photo.image, image)
    assert photo.notes == (note,)
    assert texts_of(encoded("PNG", photo)) == {"Source": "a glass plate"}
    if "packed" in what or what == "a profile":  # whose checksum is right
        photo = photos.read(with_chunks(imagecodecs.png_encode(image), new, before=before))
        same(photo.image, image)
        assert photo.notes == (note,)


@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
@pytest.mark.parametrize("image", [RGB, RGB16], ids=["8", "16"])
def test_texts_of_more_than_a_megabyte_are_carried(image, before):
    """As Photoshop writes DocumentAncestors."""
    packed = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(LARGE_XMP))
    latin = chunk(b"zTXt", b"History\0\0" + zlib.compress(b"again \xe4 " * 200_000))
    photo = photos.read(with_chunks(imagecodecs.png_encode(image), packed, latin, before=before))
    same(photo.image, image)
    copy = encoded("PNG", photo)
    assert (photo.notes, photo.metadata.xmp, xmp_of(copy)) == ((), LARGE_XMP, LARGE_XMP)
    assert texts_of(copy) == {"History": "again ä " * 200_000}
    with Image.open(io.BytesIO(copy)) as picture:  # and other programs can read it
        assert picture.info["xmp"] == LARGE_XMP


def test_a_text_that_unpacks_without_end_is_left_out():
    bomb = chunk(b"zTXt", b"Bomb\0\0" + zlib.compress(bytes(2**25)))
    photo = photos.read(with_chunks(saved("PNG"), bomb))
    same(photo.image, RGB)
    assert photo.notes == ("its text 'Bomb', which is too large",)


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (short_jfif, "its APP0 segment (JFIF), which is damaged"),
        (lambda: with_segment(saved("JPEG"), 0xED, b"Photoshop 3.0\x008BIM\x04\x04"), "APP13 segment (Photoshop 3.0)"),
    ],
    ids=["JFIF", "Photoshop"],
)
def test_a_damaged_segment_costs_no_pixel(data, note):
    photo = photos.read(with_segment(data(), 0xFE, b"found in the attic"))
    assert distance(photo.image, RGB) < 4
    assert (len(photo.notes), photo.metadata.comment) == (1, b"found in the attic")
    assert note in photo.notes[0]


REFUSED = {
    "GIF": (lambda: saved("GIF"), "a GIF, which is not read here; save it as PNG"),
    "PSD": (lambda: b"8BPS\0\1" + bytes(60), "a Photoshop document, which"),
    "PGM": (lambda: saved("PPM", GREY), "a PNM picture, which is not read here; save it as PNG"),
    "PCX": (lambda: saved("PCX"), "a PCX picture, which .* save"),
    "EXR": (lambda: b"v/1\1\2" + bytes(60), "an OpenEXR picture, which .* export"),
    "FITS": (lambda: b"SIMPLE  =                    T" + bytes(60), "a FITS picture, which"),
    "DPX": (lambda: b"SDPX" + bytes(60), "a DPX picture, which .* colorjax film"),
    "PDF": (lambda: b"%PDF-1.7" + bytes(60), "a PDF, which is not read here; extract"),
    "CR2": (lambda: b"II*\0\x10\0\0\0CR\2\0" + bytes(60), r"a camera's raw file \(Canon CR2\), which .* develop"),
    "CR3": (lambda: b"\0\0\0\x18ftypcrx " + bytes(60), r"a camera's raw file \(Canon CR3\), which"),
    "film": (lambda: b"\0\0\0\x18ftypisom" + bytes(60), "a film, which"),
    "web page": (lambda: b"\n<!DOCTYPE html><html>" + bytes(60), "a web page, not a picture"),
    "words": (lambda: b"Dear Grandfather" * 9, "not a picture, or of an unknown format"),
    "JPEG": (lambda: saved("JPEG")[:4] + bytes(99), "a JPEG whose beginning is damaged"),
    "PNG": (lambda: saved("PNG")[:12] + bytes(99), "a PNG whose beginning is damaged"),
    "nothing": (lambda: b"", "an empty file"),
    "too large": (lambda: with_size(70000), "too many pixels"),
}


def with_size(side):
    return saved("PNG")[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) + chunk(b"IDAT", b"")


@pytest.mark.parametrize("what", REFUSED)
def test_each_kind_of_refusal_has_its_own_sentence(what):
    data, words = REFUSED[what]
    with pytest.raises(PhotoError, match=words):
        photos.read(data())


# --- what lies beside the pixels ---

DUCKY, CIFF = b"Ducky\0\1\0\4\0\0\0\x3c\0\0", b"II\x1a\0\0\0HEAPJPGM" + bytes(range(64))
GAINED = XMP.replace(b'dc:title="', b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" dc:title="')
FILM = b"\0\0\0\x18ftypmp42" + bytes(90)


def with_c2pa(webp):
    body = webp[8:] + b"C2PA" + struct.pack("<I", 4) + b"jumb"
    return b"RIFF" + struct.pack("<I", len(body)) + body


BESIDE = {
    "a gain map": (lambda: source("JPEG", xmp=GAINED) + saved("JPEG", GREY), "its HDR gain map"),
    "a gain map of ISO": (lambda: with_segment(saved("JPEG"), 0xE2, b"urn:iso:std:iso:ts:21496:-1\0abc"), "its HDR gain map"),
    "a film": (lambda: saved("JPEG") + FILM, "its motion video"),
    "FotoStation": (lambda: saved("JPEG") + b"\0\1abcd\0\0\0\x0e\xa1\xb2\xc3\xd4", "its FotoStation trailer"),
    "AFCP": (lambda: saved("JPEG") + b"AXS!" + bytes(8) + b"IPTC" + b"AXS!" + bytes(8), "its AFCP trailer"),
    "Samsung": (lambda: saved("JPEG", progressive=True) + b"SEFH" + bytes(9) + b"SEFT", "its Samsung trailer"),
    "anything": (lambda: saved("JPEG") + b"what is this", "12 bytes behind its end"),
    "a segment": (lambda: with_segment(saved("JPEG"), 0xE3, b"Meta\0\0II"), "its APP3 segment (Meta)"),
    "credentials": (lambda: with_segment(saved("JPEG"), 0xEB, b"JP\0\1"), "its content credentials (C2PA)"),
    "credentials of a TIFF": (lambda: tiff((RGB, {52545: (7, b"jumb")})), "its content credentials (C2PA)"),
    "credentials of a WebP": (lambda: with_c2pa(saved("WEBP", lossless=True)), "its content credentials (C2PA)"),
    "credentials of a HEIC": (
        lambda: saved("HEIF") + b"\0\0\0\x1cuuid" + bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + b"jumb",
        "its content credentials (C2PA)",
    ),
    "a film in a HEIC": (lambda: saved("HEIF") + b"\0\0\0\x0cmpvdfilm", "its motion video"),
    "a gain map of Apple": (lambda: saved("HEIF") + b"\0\0\0\x18free aux:hdrgainmap", "its HDR gain map"),
    "behind a PNG": (lambda: saved("PNG") + FILM, "102 bytes behind its end"),
    "a chunk": (lambda: with_chunks(saved("PNG"), chunk(b"prVt", b"?")), "its PNG chunk 'prVt'"),
    "gAMA": (
        lambda: with_chunks(saved("PNG"), chunk(b"gAMA", struct.pack(">I", 100000))),
        "its gamma of 1/1 (gAMA): its values were taken as sRGB",
    ),
    "cHRM": (
        lambda: with_chunks(saved("PNG"), chunk(b"cHRM", struct.pack(">8I", *range(10000, 90000, 10000)))),
        "its primaries (cHRM): its values were taken as sRGB",
    ),
    "cICP": (
        lambda: with_chunks(saved("PNG"), chunk(b"cICP", bytes([9, 16, 0, 1]))),
        "its colour space (cICP 9, 16): its values were taken as sRGB",
    ),
}


@pytest.mark.parametrize("what", BESIDE)
def test_what_lies_beside_the_pixels_and_is_left_behind_is_named(what):
    make, words = BESIDE[what]
    photo = photos.read(make())
    assert photo.notes == (words,)
    assert distance(photo.image, RGB) < 4


SRGB_CHUNKS = [chunk(b"gAMA", struct.pack(">I", 45455)), chunk(b"cICP", b"\1\x0d\0\1")]
SRGB_CHUNKS += [chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))]


@pytest.mark.parametrize("image", [RGB, RGB16], ids=["8", "16"])
def test_chunks_that_say_srgb_need_no_word(image):
    assert photos.read(with_chunks(imagecodecs.png_encode(image), *SRGB_CHUNKS)).notes == ()


@pytest.mark.parametrize("name", [*FORMATS, "BMP"])
def test_segments_of_old_cameras_come_along_or_are_named(name):
    photo = photos.read(with_segment(with_segment(saved("JPEG"), 0xEC, DUCKY), 0xE0, CIFF))
    copy, lost = encoded(name, photo), photos.not_carried(name, photo)
    assert photo.notes == ()
    found = [content for _, content in segments(copy)] if name == "JPEG" else []
    assert (DUCKY in found, CIFF in found) == ((True, True) if name == "JPEG" else (False, False))
    assert ("its APP12 or CIFF segment" in lost) == (name != "JPEG")


def with_resources(kind, block, turn=1):
    if kind == "JPEG":
        exif = b"Exif\0\0" + globals()["block"]({ORIENTATION: (SHORT, (turn,))})
        return with_segment(saved("JPEG", exif=exif), 0xED, b"Photoshop 3.0\0" + block)
    if kind == "PNG":
        return with_chunks(saved("PNG"), raw_profile("iptc", block))
    return tiff((RGB, {34377: (BYTE, block), ORIENTATION: (SHORT, (turn,))}))


@pytest.mark.parametrize("name", [*FORMATS, "BMP"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_clipping_paths_come_along_or_are_named(kind, name):
    photo = photos.read(with_resources(kind, RESOLUTION + PATH + resource(IPTC)))
    copy, lost = encoded(name, photo), " ".join(photos.not_carried(name, photo))
    assert (photo.metadata.photoshop, photo.metadata.iptc, photo.notes) == (PATH, IPTC, ())
    assert ("clipping paths" in lost) == (name not in ("JPEG", "PNG", "TIFF"))
    if "clipping paths" not in lost:
        assert iptc_of(copy) == IPTC
        assert photos.read(copy).metadata.photoshop == PATH


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_clipping_paths_of_a_turned_picture_are_named(kind):
    photo = photos.read(with_resources(kind, PATH + resource(IPTC), turn=6))
    assert (photo.metadata.photoshop, photo.metadata.iptc) == (b"", IPTC)
    assert photo.notes == ("its clipping paths, for it is turned",)


def test_resources_of_more_than_a_segment_are_divided():
    large = b"8BIM\x0f\xa0\0\0" + struct.pack(">I", 60000) + bytes(60000)
    data = with_segment(with_resources("JPEG", resource(IPTC) + large), 0xED, b"Photoshop 3.0\0" + large)
    copy = copied(data, "JPEG")
    assert [len(content) < 65534 for marker, content in segments(copy) if marker == 0xED] == [True, True]
    assert photos.read(copy).metadata.photoshop == 2 * large
