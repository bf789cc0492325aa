"""Photo files: what is read upright and in sRGB, what is refused and how, and what a written copy carries along."""

import io
import os
import stat
import struct
import threading
import zlib

import numpy as np
import pytest
import tifffile
from helpers.profiles import BLUE, GREEN, RED, profile
from PIL import ExifTags, Image, ImageCms

from colorjax import photos
from colorjax.photos import PhotoError
from colorjax.science import color

HEIGHT, WIDTH = 40, 56
LOSSLESS = (".png", ".tif", ".bmp")
WRITABLE = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
TAG = ExifTags.Base


def scene():
    """A picture without symmetry: three coloured blocks on a slope of greys."""
    pixels = np.repeat(np.add.outer(np.arange(HEIGHT) * 3, np.arange(WIDTH) * 2).astype(np.uint8)[..., None], 3, axis=-1)
    pixels[:16, :16], pixels[:16, 40:], pixels[24:, :16] = (220, 30, 40), (30, 200, 60), (40, 60, 210)
    return pixels


SCENE = scene()
GREY = SCENE[..., 1]
DEEP = np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
ALPHA = np.linspace(0, 255, HEIGHT * WIDTH).astype(np.uint8).reshape(HEIGHT, WIDTH)


def save(path, pixels=SCENE, **options):
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    if path.suffix in (".jpg", ".jpeg"):
        options = {"quality": 95, "subsampling": 0} | options
    picture.save(path, **options)
    return path


def distance(one, two):
    assert one.shape == two.shape
    return np.abs(one.astype(float) - two).mean()


def rgb_of(photo):
    return photo.image if photo.image.ndim == 3 else np.repeat(photo.image[..., None], 3, axis=-1)


# --- reading: orientation ---

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


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_is_read_upright(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[TAG.Orientation] = orientation
    lossless = {"lossless": True} if suffix == ".webp" else {}
    path = save(tmp_path / f"photo{suffix}", np.ascontiguousarray(STORED[orientation](SCENE)), exif=exif, **lossless)
    photo = photos.read(path)
    for pixels in (photo.image, photos.read_rgb(path), photos.read_rgb(path.read_bytes())):
        assert distance(pixels, SCENE) < (3 if suffix == ".jpg" else 1e-9)
    photos.write(tmp_path / f"copy{suffix}", photo.image, like=photo)  # and a copy is not turned once more
    assert distance(photos.read(tmp_path / f"copy{suffix}").image, SCENE) < 6


def test_an_illegal_orientation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[TAG.Orientation] = 77
    np.testing.assert_array_equal(photos.read(save(tmp_path / "a.png", exif=exif)).image, SCENE)


# --- reading: kinds of pixels ---


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_rgb(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}")
    photo = photos.read(path)
    assert photo.image.dtype == np.uint8
    assert photo.alpha is None
    assert photo.file_format == Image.registered_extensions()[suffix]
    assert distance(photo.image, SCENE) < (1e-9 if suffix in LOSSLESS else 6)
    np.testing.assert_array_equal(photos.read_rgb(path), photo.image)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_grey(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", GREY)
    photo = photos.read(path)
    assert photo.image.ndim == 2
    assert distance(photo.image, GREY) < (1e-9 if suffix in LOSSLESS else 3)
    np.testing.assert_array_equal(photos.read_rgb(path), rgb_of(photo))


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", Image.fromarray(SCENE).convert("CMYK"))
    assert distance(photos.read(path).image, SCENE) < 4
    assert distance(photos.read_rgb(path), SCENE) < 4


def test_palette(tmp_path):
    palette = Image.fromarray(SCENE).quantize(32)
    expected = np.asarray(palette.convert("RGB"))
    path = save(tmp_path / "a.png", palette)
    np.testing.assert_array_equal(photos.read(path).image, expected)
    np.testing.assert_array_equal(photos.read_rgb(path), expected)
    assert photos.read(path).alpha is None


def test_palette_of_partly_transparent_colours(tmp_path):
    palette = Image.fromarray(SCENE).quantize(32)
    opacity = np.linspace(255, 0, 32).astype(np.uint8)
    path = save(tmp_path / "a.png", palette, transparency=opacity.tobytes())
    photo = photos.read(path)
    np.testing.assert_array_equal(photo.image, np.asarray(palette.convert("RGB")))
    np.testing.assert_array_equal(photo.alpha, opacity[np.asarray(palette)])
    np.testing.assert_array_equal(photos.read_rgb(path), photo.image)


def test_palette_with_one_transparent_colour(tmp_path):
    palette = Image.fromarray(SCENE).quantize(32)
    photo = photos.read(save(tmp_path / "a.png", palette, transparency=3))
    np.testing.assert_array_equal(photo.image, np.asarray(palette.convert("RGB")))
    np.testing.assert_array_equal(photo.alpha, np.where(np.asarray(palette) == 3, 0, 255))


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
def test_one_transparent_colour(tmp_path, mode):
    if mode == "I;16":
        path = save(tmp_path / "a.png", DEEP)
        head, tail = path.read_bytes().split(b"IDAT", 1)
        path.write_bytes(head[:-4] + chunk(b"tRNS", b"\0\5") + head[-4:] + b"IDAT" + tail)
        expected = DEEP
    else:
        expected = SCENE if mode == "RGB" else GREY
        path = save(
            tmp_path / "a.png", expected, transparency=tuple(SCENE[20, 20].tolist()) if mode == "RGB" else int(GREY[20, 20])
        )
    photo = photos.read(path)
    np.testing.assert_array_equal(photo.image, expected)
    assert photo.alpha.shape == (HEIGHT, WIDTH)
    if mode != "I;16":
        clear = (expected == expected[20, 20]).reshape(HEIGHT, WIDTH, -1).all(axis=-1)
        np.testing.assert_array_equal(photo.alpha, np.where(clear, 0, 255))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_rgb_with_alpha(tmp_path, suffix):
    pixels = np.dstack([SCENE, ALPHA])
    options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    photo = photos.read(save(tmp_path / f"a{suffix}", pixels, **options))
    np.testing.assert_array_equal(photo.image, SCENE)
    np.testing.assert_array_equal(photo.alpha, ALPHA)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_with_alpha(tmp_path, suffix):
    photo = photos.read(save(tmp_path / f"a{suffix}", Image.fromarray(np.dstack([GREY, ALPHA]), "LA")))
    np.testing.assert_array_equal(photo.image, GREY)
    np.testing.assert_array_equal(photo.alpha, ALPHA)
    np.testing.assert_array_equal(photos.read_rgb(tmp_path / f"a{suffix}"), rgb_of(photo))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_one_bit(tmp_path, suffix):
    bits = GREY > 100
    photo = photos.read(save(tmp_path / f"a{suffix}", Image.fromarray(bits)))
    np.testing.assert_array_equal(photo.image, np.where(bits, 255, 0))
    assert photo.image.dtype == np.uint8


@pytest.mark.parametrize("name", ["a.png", "little.tif", "big.tif"])
def test_16_bit_grey(tmp_path, name):
    path = tmp_path / name
    if name == "a.png":
        save(path, DEEP)
    else:
        tifffile.imwrite(path, DEEP, byteorder="<" if name == "little.tif" else ">")
    photo = photos.read(path)
    assert photo.image.dtype == np.uint16
    np.testing.assert_array_equal(photo.image, DEEP)
    rgb = photos.read_rgb(path)
    assert rgb.dtype == np.uint8
    assert np.abs(rgb - DEEP[..., None] / 257).max() < 1


def test_16_bit_rgb(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", SCENE.astype(np.uint16) * 257, photometric="rgb")
    np.testing.assert_array_equal(photos.read(tmp_path / "a.tif").image, SCENE.astype(np.uint16) * 257)
    np.testing.assert_array_equal(photos.read_rgb(tmp_path / "a.tif"), SCENE)


@pytest.mark.parametrize("top", [1, 65535])
def test_float_tiff(tmp_path, top):
    tifffile.imwrite(tmp_path / "a.tif", (DEEP / 65535 * top).astype(np.float32))
    photo = photos.read(tmp_path / "a.tif")
    assert photo.image.dtype == np.uint16
    assert np.abs(photo.image.astype(int) - DEEP).max() <= 1
    assert photos.read_rgb(tmp_path / "a.tif").shape == SCENE.shape


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -3.0])
def test_float_tiff_with_senseless_values(tmp_path, bad):
    values = (DEEP / 65535).astype(np.float32)
    values[3, 4] = bad
    tifffile.imwrite(tmp_path / "a.tif", values)
    image = photos.read(tmp_path / "a.tif").image
    assert image.dtype == np.uint16
    assert image[3, 4] in (0, 65535)
    if bad != np.inf:  # nothing says what the largest value means then
        assert image[-1, -1] == 65535


def test_float_tiff_without_a_number(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((HEIGHT, WIDTH), np.nan, np.float32))
    np.testing.assert_array_equal(photos.read(tmp_path / "a.tif").image, 0)


def test_32_bit_integer_tiff_is_clipped(tmp_path):
    values = DEEP.astype(np.int32) * 4 - 60000
    tifffile.imwrite(tmp_path / "a.tif", values)
    np.testing.assert_array_equal(photos.read(tmp_path / "a.tif").image, np.clip(values, 0, 65535))


TIFFS = {
    "tiled": {"tile": (16, 16)},
    "strips": {"rowsperstrip": 4, "compression": "zlib", "predictor": True},
    "big": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
}


@pytest.mark.parametrize("layout", TIFFS)
def test_tiff_layouts_and_their_copies(tmp_path, layout):
    tifffile.imwrite(tmp_path / "a.tif", SCENE, photometric="rgb", **TIFFS[layout])
    photo = photos.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo.image, SCENE)
    photos.write(tmp_path / "b.tif", photo.image, like=photo)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), SCENE)


def test_the_copy_of_a_float_tiff_is_an_8_bit_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", (DEEP / 65535).astype(np.float32))
    photos.write(tmp_path / "b.tif", SCENE, like=photos.read(tmp_path / "a.tif"))
    written = tifffile.imread(tmp_path / "b.tif")
    assert written.dtype == np.uint8
    np.testing.assert_array_equal(written, SCENE)


def test_lab_tiff(tmp_path):
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    picture = ImageCms.profileToProfile(Image.fromarray(SCENE), srgb, lab, outputMode="LAB")
    assert distance(photos.read(save(tmp_path / "a.tif", picture)).image, SCENE) < 6


# --- reading: colour profiles ---


SWAPPED = profile("red and green exchanged", GREEN, RED, BLUE, 2.2)
LINEAR = profile("linear light", RED, GREEN, BLUE, 1.0)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_profile_is_honoured(tmp_path, suffix):
    pixels = np.full((24, 24, 3), (250, 20, 30), np.uint8)
    plain = save(tmp_path / f"plain{suffix}", pixels)
    assert distance(photos.read(plain).image[0, 0], np.array([250, 20, 30])) < 6
    tagged = save(tmp_path / f"tagged{suffix}", pixels, icc_profile=SWAPPED)
    for image in (photos.read(tagged).image, photos.read_rgb(tagged)):
        assert distance(image[0, 0], np.array([20, 250, 30])) < 6
    linear = save(tmp_path / f"linear{suffix}", pixels // 2, icc_profile=LINEAR)
    assert distance(photos.read(linear).image[0, 0], 255 * color.linear_to_srgb(np.array([125, 10, 15]) / 255)) < 6


def test_the_profile_of_srgb_changes_nothing(tmp_path):
    np.testing.assert_array_equal(photos.read(save(tmp_path / "a.png", icc_profile=SRGB)).image, SCENE)


def test_a_profile_whose_name_only_mentions_srgb_is_honoured(tmp_path):
    linear = profile("GIMP built-in Linear sRGB", RED, GREEN, BLUE, 1.0)
    image = photos.read(save(tmp_path / "a.png", np.full((9, 9, 3), 55, np.uint8), icc_profile=linear)).image
    assert distance(image[0, 0], np.full(3, 128)) < 3


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_a_profile_is_honoured_with_alpha_and_with_a_palette(tmp_path, mode):
    picture = Image.fromarray(np.full((9, 9, 3), (250, 20, 30), np.uint8))
    if mode == "RGBA":
        picture.putalpha(77)
    path = save(tmp_path / "a.png", picture.quantize(2) if mode == "P" else picture, icc_profile=SWAPPED)
    photo = photos.read(path)
    for image in (photo.image, photos.read_rgb(path)):
        assert distance(image[0, 0], np.array([20, 250, 30])) < 6
    if mode == "RGBA":
        assert (photo.alpha == 77).all()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("damage", ["rubbish", "cut", "lab", "empty"])
def test_a_damaged_profile_is_ignored(tmp_path, suffix, damage):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # sound, but not of pixels like these
    data = {"rubbish": b"rubbish" * 30, "cut": SWAPPED[:200], "lab": lab, "empty": b""}[damage]
    path = save(tmp_path / f"a{suffix}", icc_profile=data)
    assert distance(photos.read(path).image, SCENE) < (1e-9 if suffix in LOSSLESS else 6)
    assert distance(photos.read_rgb(path), SCENE) < (1e-9 if suffix in LOSSLESS else 6)


# --- reading: what is no photograph ---


def refused(path):
    """The reasons for which `path` is refused; anything but a PhotoError fails the test."""
    reasons = []
    for reader in (photos.read, photos.read_rgb):
        with pytest.raises(PhotoError) as caught:
            reader(path)
        assert isinstance(caught.value, ValueError)
        reasons.append(str(caught.value))
        assert 5 < len(reasons[-1]) < 200, "a reason in a few words"
        assert "\n" not in reasons[-1]
    assert reasons[0] == reasons[1]
    return reasons[0]


def test_missing_file(tmp_path):
    assert refused(tmp_path / "none.jpg") == "the file is not there"
    (tmp_path / "link.jpg").symlink_to(tmp_path / "none.jpg")
    assert refused(tmp_path / "link.jpg") == "the file is not there"
    save(tmp_path / "a.png")
    refused(tmp_path / "a.png" / "b.png")


def test_folder_named_like_a_photograph(tmp_path):
    (tmp_path / "x.jpg").mkdir()
    assert refused(tmp_path / "x.jpg") == "a folder, not a file"


@pytest.mark.parametrize("data", [b"", b"\0", b"hello\n" * 50, b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"RIFF", b"BM"])
def test_files_that_are_no_pictures(tmp_path, data):
    for suffix in WRITABLE:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(data)
        refused(path)
    with pytest.raises(PhotoError):
        photos.read_rgb(data)


def test_no_permission(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png")
    path.chmod(0)
    if os.access(path, os.R_OK):  # this user may read everything: the system's answer is put in its place

        def locked(*_):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(photos.reading, "open", locked, raising=False)
    assert refused(path) == "no permission to read it"


def test_a_picture_that_declares_too_many_pixels_is_refused(tmp_path):
    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))
    assert "60000" in refused(tmp_path / "a.png") or "3600000000" in refused(tmp_path / "a.png")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encoded(suffix, **options):
    """The bytes of a file with metadata."""
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[TAG.Orientation], exif[TAG.Make] = 6, "Voigtländer"
    rich = {} if suffix == ".bmp" else {"exif": exif, "dpi": (300, 300)}
    Image.fromarray(SCENE).save(stream, Image.registered_extensions()[suffix], **rich, **options)
    return stream.getvalue()


DAMAGED = [
    (".jpg", {}),
    (".jpg", {"progressive": True}),
    (".png", {}),
    (".webp", {}),
    (".webp", {"lossless": True}),
    (".bmp", {}),
    (".tif", {}),
    (".tif", {"compression": "tiff_deflate"}),
    (".tif", {"compression": "jpeg"}),
]
DAMAGED_IDS = [" ".join([suffix, *map(str, options.values())]) for suffix, options in DAMAGED]


def read_or_refuse(path, data):
    """What each reader makes of these bytes: the pixels, or None for a PhotoError; anything else fails the test."""
    path.write_bytes(data)
    answers = []
    for reader in (lambda: photos.read(path).image, lambda: photos.read_rgb(data), lambda: photos.read_rgb(path, 20)):
        try:
            answers.append(reader())
            assert answers[-1].dtype in (np.uint8, np.uint16)
        except PhotoError:
            answers.append(None)
    return answers


@pytest.mark.filterwarnings("ignore")  # Pillow's own, of damaged metadata
@pytest.mark.parametrize(("suffix", "options"), DAMAGED, ids=DAMAGED_IDS)
def test_truncated_files_are_refused(tmp_path, suffix, options):
    path, data = tmp_path / f"a{suffix}", encoded(suffix, **options)
    whole, refusals = read_or_refuse(path, data), 0
    lengths = {round(len(data) * share) for share in np.linspace(0.01, 0.98, 50)} | set(range(0, 40, 3))
    for length in sorted(lengths | set(range(len(data) - 12, len(data)))):
        for pixels, expected in zip(read_or_refuse(path, data[:length]), whole, strict=True):
            refusals += pixels is None
            if pixels is not None:  # then nothing of the picture is missing, as where metadata come last
                np.testing.assert_array_equal(pixels, expected, err_msg=f"{length} of {len(data)} bytes")
    assert refusals > 2 * len(lengths)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("suffix", "options"), DAMAGED, ids=DAMAGED_IDS)
def test_flipped_bytes_are_read_or_refused(tmp_path, suffix, options):
    whole, rng = encoded(suffix, icc_profile=SWAPPED, **options), np.random.default_rng(11)
    places = list(range(0, 120, 3)) + rng.integers(0, len(whole), 40).tolist()
    for place in places:
        data = bytearray(whole)
        data[place] ^= int(rng.integers(1, 256))
        read_or_refuse(tmp_path / f"a{suffix}", bytes(data))


BAD_EXIF = {
    "no header": b"garbage everywhere",
    "offset beyond the end": b"II*\0\xff\xff\xff\xff",
    "65535 entries": b"II*\0\x08\0\0\0\xff\xff" + b"\1" * 50,
    "loop": b"MM\0*\0\0\0\x08\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x08\0\0\0\x08",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("damage", BAD_EXIF)
def test_a_damaged_exif_block_does_not_cost_the_picture(tmp_path, suffix, damage):
    path = save(tmp_path / f"a{suffix}", exif=b"Exif\0\0" + BAD_EXIF[damage])
    assert distance(photos.read_rgb(path), SCENE) < 6
    photo = photos.read(path)
    assert distance(photo.image, SCENE) < 6
    photos.write(tmp_path / f"b{suffix}", photo.image, like=photo)


# --- reading: reduced scale ---


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_at_least_keeps_the_short_side(tmp_path, mode, orientation):
    exif = Image.Exif()
    exif[TAG.Orientation] = orientation
    big = Image.fromarray(SCENE).resize((560, 403), Image.Resampling.BICUBIC).convert(mode)
    path = save(tmp_path / "a.jpg", big, exif=exif)
    whole, sides = photos.read_rgb(path), set()
    for at_least in (1, 50, 51, 100, 101, 120, 201, 202, 300, 403, 404, 5000):
        small = photos.read_rgb(path, at_least=at_least)
        sides.add(min(small.shape[:2]))
        assert min(small.shape[:2]) >= min(at_least, 403)
        assert small.shape[2:] == (3,)
        expected = Image.fromarray(whole).resize(small.shape[1::-1], Image.Resampling.BOX)
        assert distance(small, np.asarray(expected)) < 4
    assert len(sides) > 2  # it did read at reduced scales
    np.testing.assert_array_equal(photos.read_rgb(save(tmp_path / "a.png"), at_least=8), SCENE)


# --- writing ---


def full_exif():
    exif = Image.Exif()
    exif[TAG.Orientation], exif[TAG.Make], exif[TAG.Artist] = 6, "Voigtlaender", "Grandfather"
    exif.get_ifd(ExifTags.IFD.Exif)[TAG.DateTimeOriginal] = "1961:08:13 06:00:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return exif


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_exif_is_kept_and_its_orientation_reset(tmp_path, suffix):
    photo = photos.read(save(tmp_path / f"a{suffix}", exif=full_exif()))
    photos.write(tmp_path / f"b{suffix}", photo.image, like=photo)
    with Image.open(tmp_path / f"b{suffix}") as written:
        exif = written.getexif()
        assert exif.get(TAG.Orientation, 1) == 1
        assert exif[TAG.Make] == "Voigtlaender"
        assert exif[TAG.Artist] == "Grandfather"
        if suffix != ".tif":  # Pillow itself does not write these into TIFF
            assert exif.get_ifd(ExifTags.IFD.Exif)[TAG.DateTimeOriginal] == "1961:08:13 06:00:00"
            assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
def test_dpi_is_kept(tmp_path, suffix):
    photo = photos.read(save(tmp_path / f"a{suffix}", dpi=(300, 150)))
    photos.write(tmp_path / f"b{suffix}", photo.image, like=photo)
    with Image.open(tmp_path / f"b{suffix}") as written:
        assert written.info["dpi"] == pytest.approx((300, 150), abs=0.1)


def test_a_senseless_resolution_does_not_cost_the_copy(tmp_path):
    path = tmp_path / "a.tif"
    save(path, dpi=(300, 300))
    data = path.read_bytes()
    assert data.count(struct.pack("<II", 300, 1)) >= 1
    path.write_bytes(data.replace(struct.pack("<II", 300, 1), bytes(8)))  # 0/0
    photo = photos.read(path)
    photos.write(tmp_path / "b.tif", photo.image, like=photo)
    np.testing.assert_array_equal(photos.read(tmp_path / "b.tif").image, SCENE)


@pytest.mark.parametrize("suffix", WRITABLE)
def test_alpha_is_kept_where_the_format_has_it(tmp_path, suffix):
    photo = photos.read(save(tmp_path / "a.png", np.dstack([SCENE, ALPHA])))
    photos.write(tmp_path / f"b{suffix}", photo.image, like=photo)
    written = photos.read(tmp_path / f"b{suffix}")
    if suffix in (".png", ".webp", ".tif", ".tiff"):
        np.testing.assert_array_equal(written.alpha, ALPHA)
        assert distance(written.image[ALPHA > 9], SCENE[ALPHA > 9]) < 6
    else:
        assert written.alpha is None
        assert distance(written.image, SCENE) < 3


@pytest.mark.parametrize("suffix", [s for s in WRITABLE if s != ".bmp"])
def test_the_profile_of_srgb_is_embedded(tmp_path, suffix):
    photos.write(tmp_path / f"a{suffix}", SCENE)
    with Image.open(tmp_path / f"a{suffix}") as written:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(written.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(embedded)


def test_a_copy_of_a_picture_with_another_profile_looks_the_same(tmp_path):
    photo = photos.read(save(tmp_path / "a.png", icc_profile=SWAPPED))
    photos.write(tmp_path / "b.png", photo.image, like=photo)
    np.testing.assert_array_equal(photos.read(tmp_path / "b.png").image, photo.image)
    assert distance(photo.image[..., ::-1], SCENE) > 5


@pytest.mark.parametrize("suffix", [*WRITABLE, ".JPG", ".Png"])
def test_the_suffix_names_the_format(tmp_path, suffix):
    photos.write(tmp_path / "deep" / "er" / f"a{suffix}", SCENE)
    with Image.open(tmp_path / "deep" / "er" / f"a{suffix}") as written:
        assert written.format == Image.registered_extensions()[suffix.lower()]
        assert written.mode == "RGB"
        assert distance(np.asarray(written), SCENE) < 3
        if written.format == "JPEG":
            assert {layer[1:3] for layer in written.layer} == {(1, 1)}  # chroma at full size


@pytest.mark.parametrize("name", ["a.gif", "a.xyz", "a", "a.psd", "jpg", ".png"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(PhotoError, match=r"legal suffixes are \.jpg, .*\.tiff"):
        photos.write(tmp_path / name, SCENE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [SCENE.astype(np.int32), SCENE / 255.0])
def test_other_types_of_pixels_are_refused(tmp_path, wrong):
    with pytest.raises(TypeError, match=f"dtype {wrong.dtype} and shape"):
        photos.write(tmp_path / "a.png", wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [GREY, np.dstack([SCENE, ALPHA]), GREY[..., None], SCENE[None]])
def test_other_shapes_of_pixels_are_refused(tmp_path, wrong):
    with pytest.raises(TypeError, match=r"dtype uint8 and shape \("):
        photos.write(tmp_path / "a.png", wrong)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002, 0])
def test_permissions_follow_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        photos.write(tmp_path / "a.png", SCENE)
        assert os.umask(mask) == mask  # it is left as it was
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o666 & ~mask


# --- atomic ---


def test_atomic_leaves_nothing_where_the_buffer_cannot_be_emptied(tmp_path):
    """As on a full disk: what is written last is refused, and refused again when the file is closed."""
    with pytest.raises(OSError, match="Bad file descriptor"), photos.atomic(tmp_path / "a.bin") as stream:
        stream.write(b"x")
        os.close(stream.fileno())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_neither_target_nor_temporary(tmp_path, error):
    with pytest.raises(error), photos.atomic(tmp_path / "new" / "a.bin") as stream:
        stream.write(b"half")
        raise error
    assert list((tmp_path / "new").iterdir()) == []


def test_an_existing_target_survives_an_exception(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), photos.atomic(path) as stream:
        stream.write(b"half")
        stream.flush()
        assert path.read_bytes() == b"before"  # nobody sees it grow
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    assert path.read_bytes() == b"before"
    with photos.atomic(path) as stream:
        stream.write(b"after")
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    assert path.read_bytes() == b"after"


def test_a_failed_write_leaves_the_old_photograph(tmp_path, monkeypatch):
    photos.write(tmp_path / "a.png", SCENE)
    before = (tmp_path / "a.png").read_bytes()

    def fail(self, stream, *_, **__):
        stream.write(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        photos.write(tmp_path / "a.png", SCENE[::-1])
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


def test_a_target_that_is_a_folder_leaves_no_temporary(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match=r"a\.png"):
        photos.write(tmp_path / "a.png", SCENE)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "a.bin"
    contents = [bytes([65 + i]) * 20000 for i in range(8)]

    def write(content):
        with photos.atomic(path) as stream:
            for start in range(0, len(content), 1000):
                stream.write(content[start : start + 1000])

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


# --- find ---


def test_find_order_recursion_and_mirrored_paths(tmp_path):
    names = ["b/2.png", "b/deep/er/1.TIF", "a/x.JPG", "z.webp", "c.jpeg", "d.bmp", "d.tiff", "notes.txt", "b/x.gif", "b/.jpg"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"never opened")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "folder.jpg" / "inside.png").touch()
    found = list(photos.find([tmp_path]))
    relative = [path.relative_to(root).as_posix() for root, path in found]
    assert {root for root, _ in found} == {tmp_path}
    wanted = ["a/x.JPG", "b/2.png", "b/deep/er/1.TIF", "c.jpeg", "d.bmp", "d.tiff", "folder.jpg/inside.png", "z.webp"]
    assert relative == wanted
    assert list(photos.find([tmp_path])) == found


def test_find_takes_several_paths_in_their_order(tmp_path):
    for name in ("one/2.png", "one/1.png", "two/sub/3.png", "other.xyz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    given = [str(tmp_path / "two"), tmp_path / "other.xyz", tmp_path / "one" / "2.png", tmp_path / "one"]
    found = [(root.name, path.relative_to(root).as_posix()) for root, path in photos.find(given)]
    assert found[:2] == [("two", "sub/3.png"), (tmp_path.name, "other.xyz")]  # a file is taken as named
    assert found[2:] == [("one", "2.png"), ("one", "1.png"), ("one", "2.png")]


def test_find_nothing(tmp_path):
    assert list(photos.find([tmp_path])) == []
    assert list(photos.find([])) == []


@pytest.mark.parametrize("kind", ["missing", "dangling"])
def test_find_names_a_path_that_does_not_exist(tmp_path, kind):
    path = tmp_path / "gone.jpg"
    if kind == "dangling":
        path.symlink_to(tmp_path / "nowhere.jpg")
    save(tmp_path / "here.png")
    found = photos.find([tmp_path / "here.png", path])
    assert next(found) == (tmp_path, tmp_path / "here.png")
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg: no such file or folder"):
        next(found)


def test_find_follows_links_to_photographs(tmp_path):
    (tmp_path / "photos").mkdir()
    save(tmp_path / "real.png")
    (tmp_path / "photos" / "link.png").symlink_to(tmp_path / "real.png")
    assert [path.name for _, path in photos.find([tmp_path / "photos"])] == ["link.png"]
