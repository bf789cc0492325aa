"""JPEG 2000 and JPEG XL in and out; files of other kinds, named as what they are."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from colorjax import photos
from colorjax.photos import Metadata, Photo, PhotoError

GREY = (np.add.outer(np.arange(24) * 1500, np.arange(36) * 800) + 9).astype(np.uint16)
RGB = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
PIXELS = {
    "grey": (GREY >> 8).astype(np.uint8),
    "RGB": (RGB >> 8).astype(np.uint8),
    "RGB and alpha": (np.dstack([RGB, GREY]) >> 8).astype(np.uint8),
    "grey, 16 bits": GREY,
    "RGB, 16 bits": RGB,
    "RGB and alpha, 16 bits": np.dstack([RGB, GREY]),
}
WRITERS = {
    "JP2": lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2", reversible=True),
    "J2K": lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True),
    "JXL": lambda pixels: imagecodecs.jpegxl_encode(pixels, lossless=True),
    "JXL in boxes": lambda pixels: imagecodecs.jpegxl_encode(pixels, lossless=True, usecontainer=True),
}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
IPTC = b"\x1c\2\x05\0\5title"


def split(pixels):
    return (pixels[..., :3], pixels[..., 3]) if pixels.ndim == 3 and pixels.shape[2] == 4 else (pixels, None)


def same(one, two):
    assert (one is None) == (two is None)
    if one is not None:
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)


def coloured(image):
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)


def copied(name, image, like, quality=95):
    stream = io.BytesIO()
    photos.encode(stream, name, [(coloured(image), like)], quality)
    return stream.getvalue()


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("kind", PIXELS)
def test_pixels_keep_their_values_and_bits(kind, writer):
    photo, (image, alpha) = photos.read(WRITERS[writer](PIXELS[kind])), split(PIXELS[kind])
    same(photo.image, image)
    same(photo.alpha, alpha)
    assert photo.lossless and photo.file_format == ("JXL" if "JXL" in writer else "JPEG2000")
    for name in ("JPEG2000", "JXL", "TIFF", "PNG"):
        copy = photos.read(copied(name, photo.image, photo))
        same(copy.image, coloured(image))
        same(copy.alpha, alpha)
        assert copy.notes == () and photos.not_carried(name, photo) == ()


@pytest.mark.parametrize("kind", PIXELS)
def test_other_programs_see_the_pixels_of_a_copy(kind):
    image, alpha = split(PIXELS[kind])
    like = Photo(image, alpha, "PNG", Metadata())
    expected = coloured(image) if alpha is None else np.dstack([image, alpha])
    same(imagecodecs.jpeg2k_decode(copied("JPEG2000", image, like)), expected)
    same(imagecodecs.jpegxl_decode(copied("JXL", image, like)), expected)
    with Image.open(io.BytesIO(copied("JPEG2000", image, like))) as picture:
        picture.load()


@pytest.mark.parametrize("writer", [imagecodecs.jpeg2k_encode, imagecodecs.jpegxl_encode])
@pytest.mark.parametrize("pixels", [GREY, RGB], ids=["grey", "RGB"])
def test_twelve_bits_are_spread_over_sixteen(writer, pixels):
    lossless = {"codecformat": "jp2", "reversible": True, "level": 0} if "2k" in writer.__name__ else {"lossless": True}
    image = photos.read(writer(pixels >> 4, bitspersample=12, **lossless)).image
    same(image, np.round((pixels >> 4) * (65535 / 4095)).astype(np.uint16))


@pytest.mark.parametrize("name", ["JPEG2000", "JXL"])
def test_metadata_come_along(name):
    exif = Image.Exif()
    exif[271], exif[315] = "Voigtlaender", "Grandfather"
    about = Metadata(exif=exif.tobytes(), xmp=XMP, iptc=IPTC, dpi=(600.0, 300.0))
    like = Photo(PIXELS["RGB"], None, "TIFF", about)
    found = photos.read(copied(name, like.image, like))
    assert found.metadata.xmp == XMP
    assert found.metadata.dpi == pytest.approx((600, 300), abs=0.1)
    read = Image.Exif()
    read.load(found.metadata.exif)
    assert (read[271], read[315]) == ("Voigtlaender", "Grandfather")
    assert found.metadata.iptc == (IPTC if name == "JPEG2000" else b"")
    assert photos.not_carried(name, like) == (() if name == "JPEG2000" else ("its IPTC",))
    assert found.notes == ()


def test_packed_metadata_of_a_jpeg_xl_are_read():
    packed = b"xml " + imagecodecs.brotli_encode(XMP)
    box = (8 + len(packed)).to_bytes(4, "big") + b"brob" + packed
    assert photos.read(WRITERS["JXL in boxes"](PIXELS["RGB"]) + box).metadata.xmp == XMP


def test_a_box_that_does_not_come_along_is_named():
    data = WRITERS["JXL in boxes"](PIXELS["RGB"]) + b"\0\0\0\x0cjhgmgain"
    assert photos.read(data).notes == ("its HDR gain map",)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["RGB", "RGB and alpha, 16 bits"])
def test_a_jpeg_2000_is_turned_upright_as_its_exif_says(kind, turn):
    exif, pixels = Image.Exif(), PIXELS[kind]
    exif[274] = turn
    content = b"JpgTiffExif->JP2" + exif.tobytes().removeprefix(b"Exif\0\0")
    photo = photos.read(WRITERS["JP2"](pixels) + (8 + len(content)).to_bytes(4, "big") + b"uuid" + content)
    axes = {1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1]}
    axes |= {5: pixels.swapaxes(0, 1), 6: np.rot90(pixels, -1), 7: np.rot90(pixels, 2).swapaxes(0, 1), 8: np.rot90(pixels)}
    same(photo.image if photo.alpha is None else np.dstack([photo.image, photo.alpha]), axes[turn])


def test_a_lossy_jpeg_xl_becomes_another():
    photo = photos.read(imagecodecs.jpegxl_encode(PIXELS["RGB"], distance=1.0))
    assert not photo.lossless
    copies = [photos.read(copied("JXL", photo.image, photo, q)) for q in (40, 97)]
    errors = [np.abs(copy.image.astype(int) - photo.image).mean() for copy in copies]
    assert not copies[0].lossless and 0 < errors[1] < errors[0] < 5


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("kind", ["RGB", "grey, 16 bits"])
def test_truncated_files_are_refused(writer, kind):
    data = WRITERS[writer](PIXELS[kind])
    for length in range(12, len(data), max(1, len(data) // 40)):
        with pytest.raises(PhotoError) as caught:
            photos.read(data[:length])
        assert caught.value.kind in ("truncated", "damaged")  # a bare JPEG XL does not say how long it is


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("writer", WRITERS)
def test_damaged_files_are_read_or_refused(writer):
    data, rng = WRITERS[writer](PIXELS["RGB, 16 bits"]), np.random.default_rng(5)
    for place in [*range(0, 120, 2), *rng.integers(0, len(data), 30).tolist()]:
        damaged = bytearray(data)
        damaged[place] ^= int(rng.integers(1, 256))
        try:
            assert photos.read(bytes(damaged)).image.dtype in (np.uint8, np.uint16)
        except PhotoError as error:
            assert str(error)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".hif", ".jp2", ".j2k", ".jxl"])
def test_folders_give_files_of_every_suffix(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(b"")
    assert [path.suffix for _, path in photos.find([tmp_path])] == [suffix]


def test_pictures_that_are_passed_over_in_folders_are_named(tmp_path):
    for name in ("a.gif", "b.PSD", "c.nef", "d.CR2", "e.txt"):
        (tmp_path / name).write_bytes(b"")
    counted = photos.PassedOver()
    assert list(photos.find([tmp_path], counted)) == []
    assert counted == {
        "GIFs (save them as PNG)": 1,
        "Photoshop documents (export them as TIFF)": 1,
        "raw files of cameras (develop them to TIFF)": 2,
        "other files": 1,
    }
