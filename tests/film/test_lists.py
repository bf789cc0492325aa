"""Lists of shots and hints, as people write them; folders of pictures."""

import json
import shutil
import struct
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers import SHARED
from helpers.films import ffmpeg, film

from colorjax import cli, photos
from colorjax.film import carrying, lists, sequences, steadying
from colorjax.film.lists import Shot
from colorjax.film.sequences import dpx
from colorjax.inference import pixels
from colorjax.science import hints

pytestmark = pytest.mark.usefixtures("quick_compile")


def test_the_list_of_shots_can_be_corrected_by_hand(tmp_path, colour, capsys):
    source, out = film(tmp_path / "grey.mkv", frames=8), tmp_path / "colour.mkv"
    assert colour(source, out, "--only-shots") == 0
    assert not out.exists() and "found 3 shots, 8 frames" in capsys.readouterr().out
    found = tmp_path / "colour.shots.txt"
    lines = found.read_text().splitlines()
    assert [line.split() for line in lines if line[0] != "#"] == [
        ["0", "00:00:00.000"],
        ["3", "00:00:00.120"],
        ["6", "00:00:00.240"],
    ]
    mine = tmp_path / "mine.txt"
    mine.write_text("\ufeff# mine\r\n 5  the dog comes in\r\n\r\n2\r\n")
    assert colour(source, out, "--shots", mine) == 0
    shots = json.loads((tmp_path / "colour.mkv.json").read_text())["shots"]
    assert [(shot["first"], shot["end"]) for shot in shots] == [(0, 2), (2, 5), (5, 8)]
    assert found.read_text().splitlines() == lines
    assert colour(source, out, "--only-shots") == 0, "it writes no copy, so the one that is there is in nobody's way"


def test_a_list_that_was_corrected_is_taken_and_never_overwritten(tmp_path, colour, capsys, monkeypatch):
    source, out, found = film(tmp_path / "grey.mkv", frames=8), tmp_path / "colour.mkv", tmp_path / "colour.shots.txt"

    def firsts():
        return [shot["first"] for shot in json.loads((tmp_path / "colour.mkv.json").read_text())["shots"]]

    assert colour(source, out, "--only-shots") == 0
    text = found.read_text()
    assert lists.is_as_written(found) and "the same command again" in text
    found.write_text(corrected := text.replace("\n3  ", "\n2  the dog comes in  "))
    for options in ((), ("--overwrite",), ("--only-shots",)):
        capsys.readouterr()
        assert colour(source, out, *options) == 0
        told = capsys.readouterr()
        assert "was corrected: its 3 shots, 8 frames are taken; remove it to have the shots found anew" in told.err
        assert found.read_text() == corrected and firsts() == [0, 2, 6]
    assert told.out.startswith("kept 3 shots")
    assert colour(source, out.with_suffix(".mp4"), "--codec", "h264") == 0 and found.read_text() == corrected
    found.write_text(corrected + "12\n")
    assert colour(source, out, "--overwrite") == 1 and found.read_text() == corrected + "12\n"
    assert "there is no frame 12; the film has 8, the first is 0; correct the list, or remove it" in capsys.readouterr().err
    found.write_text(same := f"{text}# looked through, and all is well\n")
    assert colour(source, out, "--overwrite") == 0 and "was corrected" not in capsys.readouterr().err
    assert found.read_text() == same and firsts() == [0, 3, 6]
    other = film(tmp_path / "other.mkv", frames=8)
    assert colour(other, tmp_path / "colour.mov", "--codec", "prores") == 1 and found.read_text() == same
    assert "was corrected, and is of grey.mkv with 8 frames; this is other.mkv with 8" in capsys.readouterr().err
    found.unlink()
    assert colour(source, out, "--only-shots") == 0 and found.read_text() == text
    monkeypatch.setattr(steadying, "find", lambda small: (list({4 for _ in small}), []))
    shutil.rmtree(tmp_path / "colour.mkv.work")
    assert colour(source, out, "--overwrite") == 0 and firsts() == [0, 4], "nobody changed the list, so it is in nobody's way"


@pytest.mark.parametrize(
    ("text", "said"), [("0\nseven\n", "line 2: 'seven' is not the number"), ("12", "there is no frame 12")]
)
def test_a_list_that_cannot_be_followed_names_the_line(tmp_path, text, said):
    (tmp_path / "shots.txt").write_text(text)
    with pytest.raises(lists.ShotError, match=said):
        lists.read(tmp_path / "shots.txt", 8)


def test_clock():
    assert lists.clock(Fraction(3661) + Fraction(1, 3)) == "01:01:01.333"


def test_hints_reach_the_shot_they_are_of(tmp_path, colour, monkeypatch):
    source, seen = film(tmp_path / "grey.mkv", frames=6), []
    rows = [{"frame": 4, "x": 31, "y": 23, "color": "#a04030"}, {"frame": 0, "x": 0, "y": 0, "color": "#808080"}]
    (tmp_path / "grey.mkv.hints.json").write_text(json.dumps({"hints": rows}))
    made_up = steadying.color_shot

    def color_shot(luma, colorizer, settings, hints=None, **_):
        seen.append(hints)
        return made_up(luma, colorizer, settings)

    monkeypatch.setattr(steadying, "color_shot", color_shot)
    assert colour(source, tmp_path / "colour.mkv") == 0
    x, y, a, b, *_ = seen[1][1][0]
    assert list(seen[0]) == [0] and list(seen[1]) == [1] and (x, y) == (31.5 / 64, 23.5 / 48) and a > 30 and b > 20
    assert [shot.get("hints") for shot in json.loads((tmp_path / "colour.mkv.json").read_text())["shots"]] == [1, 1]
    seen.clear()
    assert colour(source, tmp_path / "other.mkv", "--no-hints") == 0 and seen == [None, None]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"x": 1, "y": 1, "color": "#808080"}, 'does not say its "frame"'),
        ({"frame": 9, "x": 1, "y": 1, "color": "#808080"}, "there is no frame 9; the film has 8"),
        ({"frame": 1, "x": 99, "y": 1, "color": "#808080"}, "outside the photograph of 64x48"),
        ({"frame": 1, "x": 1, "y": 1, "color": "red"}, "color 'red' is not valid"),
        ({"frame": 1, "x": 1, "y": 1, "color": "#808080", "reach": "far"}, "reach 'far' is unknown; it is object or soft"),
        (
            {"frame": 1, "x": 1, "y": 1, "color": "#808080", "radius": -2},
            "radius -2 is not valid; it is a share of the shorter",
        ),
    ],
)
def test_hints_that_cannot_be_followed_are_named(tmp_path, row, said):
    path = tmp_path / "film.hints.json"
    path.write_text(json.dumps({"hints": [row]}))
    with pytest.raises(hints.HintError, match=said):
        lists.read_hints(path, 8, (48, 64))
    assert lists.hints_file(tmp_path / "film.mkv") == path and lists.hints_file(tmp_path / "other.mkv") is None


def test_hints_have_their_reach_and_their_radius_in_shares(tmp_path):
    path, hint = tmp_path / "film.hints.json", {"frame": 4, "x": 1, "y": 1, "color": "#808080"}
    ways = [{}, {"reach": "soft"}, {"radius": 0.2}, {"reach": "soft", "radius": 24}, {"radius": 96}]
    path.write_text(json.dumps({"hints": [hint | way | {"x": x} for x, way in enumerate(ways)]}))
    points = lists.of_shot(lists.read_hints(path, 8, (48, 64)), Shot(3, 6), (48, 64))[1]
    assert [(point.reach, point.radius) for point in points] == [
        ("object", None),
        ("soft", None),
        ("object", 0.2),
        ("soft", 0.5),
        ("object", 2),
    ]
    small = carrying.given(points, (10, 20))  # the same shares of a frame that is made small
    assert [hint.radius_in((10, 20)) for hint in small] == [np.inf, np.inf, 2, 5, 20]
    assert [hint.reach for hint in small] == [way.get("reach", "object") for way in ways]


def test_shots_begin_where_the_list_says():
    assert lists.of([5, 2, 5], 8) == [Shot(0, 2), Shot(2, 5), Shot(5, 8)]


def tiffs(folder, count=4, shape=(32, 48)):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        photos.write(
            folder / f"scan_{number + 98}.tif", np.repeat(rng.integers(0, 65536, (*shape, 1)), 3, -1).astype(np.uint16)
        )
    return folder


def test_a_folder_of_tiffs_becomes_one_of_the_same_names(tmp_path, colour):
    source, out = tiffs(tmp_path / "scans"), tmp_path / "coloured"
    assert colour(source, out) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in source.iterdir())
    assert [path.name for path in sequences.files(out)][:3] == ["scan_98.tif", "scan_99.tif", "scan_100.tif"]
    for path in source.iterdir():
        before, after = photos.read(path), photos.read(out / path.name)
        assert after.image.dtype == np.uint16 and b"DigitalSourceType" in after.metadata.xmp
        assert pixels.lightness_difference(before.image, after.image)[0] < 0.01
        assert (after.image.max(-1) != after.image.min(-1)).mean() > 0.5
    assert cli.main(["verify", str(out)]) == 0
    (out / "scan_99.tif").unlink()
    assert cli.main(["verify", str(out)]) == 1


def dpx_file(path, image, bits=10, order=">"):
    """A DPX of RGB with something of its own in every part of its header."""
    data = bytearray(np.random.default_rng(1).integers(1, 255, 4096).astype(np.uint8))
    height, width = image.shape[:2]
    data[:4] = b"SDPX" if order == ">" else b"XPDS"
    data[8:16] = b"V1.0\0\0\0\0"
    data[768:780] = struct.pack(f"{order}HHII", 0, 1, width, height)
    data[780:800] = struct.pack(f"{order}IIfIf", 0, 0, 0.0, 2**bits - 1, 2.0)
    data[800:804] = bytes([50, 2, 2, bits])
    head = dpx.Header(bytes(data), order, (height, width), bits, 50, 2)
    path.write_bytes(dpx.written(head, image))


@pytest.mark.parametrize(("bits", "order"), [(8, ">"), (10, ">"), (10, "<"), (12, ">"), (16, "<")])
def test_headers_of_dpx_stay_byte_by_byte(tmp_path, colour, bits, order):
    (tmp_path / "scans").mkdir()
    grey = np.random.default_rng(0).integers(2**bits // 8, 2**bits * 7 // 8, (24, 32, 1))
    for number in range(2):
        dpx_file(
            tmp_path / "scans" / f"{number}.dpx",
            np.repeat(grey, 3, -1).astype(np.uint8 if bits == 8 else np.uint16),
            bits,
            order,
        )
    before, after = tmp_path / "scans" / "1.dpx", tmp_path / "coloured" / "1.dpx"
    assert (dpx.read(before) == grey).all()
    assert colour(tmp_path / "scans", tmp_path / "coloured") == 0
    assert before.read_bytes()[:4096] == after.read_bytes()[:4096] and before.stat().st_size == after.stat().st_size
    image = dpx.read(after)
    assert (image.max(-1) != image.min(-1)).mean() > 0.9
    assert cli.main(["verify", str(tmp_path / "coloured")]) == 0


def laid_out(path, pixels, padding=None, said=0, tail=b""):
    """A DPX of FFmpeg 163 pixels wide whose rows are followed by so many bytes; None: as FFmpeg has them. Its levels."""
    width, height = 163, 24
    levels = {"gray": 1, "rgb24": 3, "rgba": 4, "rgb48le": 3, "rgb48be": 3, "gbrp12le": 3}[pixels]
    frame = av.VideoFrame(width, height, pixels)
    rng = np.random.default_rng(0)
    for plane in frame.planes:
        samples = rng.integers(32, 200, (height, plane.line_size)).astype(np.uint8)
        samples[:, 1::2] &= 15 if "12" in pixels else 255
        np.frombuffer(plane, np.uint8)[:] = samples.ravel()
    context = av.CodecContext.create("dpx", "w")
    context.width, context.height, context.pix_fmt, context.time_base = width, height, pixels, Fraction(1, 24)
    data = bytes(context.encode(frame)[0])
    start, stride = 1664, width * levels * (1 if pixels in ("gray", "rgb24", "rgba") else 2)
    head, line = bytearray(data[:start]), -(-stride // 4) * 4
    rows = np.frombuffer(data[start:], np.uint8).reshape(height, line)[:, :stride]
    more = line - stride if padding is None else padding
    head[812:816] = struct.pack(">I" if head[:4] == b"SDPX" else "<I", said)
    path.write_bytes(bytes(head) + np.pad(rows, ((0, 0), (0, more)), constant_values=7).tobytes() + tail)
    path.with_suffix(".whole").write_bytes(data)
    return dpx.read(path.with_suffix(".whole"))


@pytest.mark.parametrize("pixels", ["rgb24", "rgb48le", "rgb48be", "gray", "rgba", "gbrp12le"])
@pytest.mark.parametrize(
    ("padding", "said", "tail"),
    [(None, 0, b""), (None, 0xFFFFFFFF, b""), (0, 0, b""), (0, 0xFFFFFFFF, b"end"), (5, 5, b""), (None, 9, b"x" * 99)],
)
def test_rows_of_dpx_lie_as_in_the_source(tmp_path, pixels, padding, said, tail):
    source, copy = tmp_path / "a.dpx", tmp_path / "b.dpx"
    levels = laid_out(source, pixels, padding, said, tail)
    assert (dpx.read(source) == levels).all()
    rgb = levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, -1)
    head = dpx.header(source)
    copy.write_bytes(dpx.written(head, rgb[:, ::-1]))
    assert (dpx.read(copy) == rgb[:, ::-1]).all()
    before, after = source.read_bytes(), copy.read_bytes()
    kept = dpx.header(copy)
    assert kept.tail == tail and (kept.line == kept.stride) == (padding == 0 and pixels != "rgba"), (
        "of whole words nothing is told"
    )
    if pixels not in ("gray", "rgba"):
        assert before[:1664] == after[:1664] and len(before) == len(after)
    elif padding != 5:
        assert before[804:1664] == after[804:1664], "what is said of padding stays"
    if padding is None and not said:
        words = ["ffmpeg", "-v", "info", "-i", str(copy), "-f", "null", "-"]
        ffmpeg("ffmpeg", "-version")
        assert "scanline" not in subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stderr


@pytest.mark.parametrize("bits", [10, 12])
def test_spare_bits_of_dpx_stay_where_they_are(tmp_path, bits):
    levels = np.random.default_rng(0).integers(0, 2**bits, (24, 33, 3)).astype(np.uint16)
    for packing in (1, 2):
        dpx_file(tmp_path / "a.dpx", levels, bits)
        head = dpx.header(tmp_path / "a.dpx")._replace(packing=packing)
        (tmp_path / "b.dpx").write_bytes(dpx.written(head, levels))
        kept = dpx.header(tmp_path / "b.dpx")
        assert kept.packing == packing and (dpx.read(tmp_path / "b.dpx") == levels).all()
        assert dpx.written(kept, levels) == (tmp_path / "b.dpx").read_bytes()


def test_grey_dpx_becomes_rgb(tmp_path, colour):
    """FFmpeg writes grey of 8 bits."""
    (tmp_path / "scans").mkdir()
    grey = np.random.default_rng(0).integers(32, 224, (24, 32)).astype(np.uint8)
    context = av.CodecContext.create("dpx", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 32, 24, "gray", Fraction(1, 24)
    packets = context.encode(av.VideoFrame.from_ndarray(grey, "gray"))
    (tmp_path / "scans" / "a.dpx").write_bytes(bytes(packets[0]))
    assert colour(tmp_path / "scans", tmp_path / "coloured") == 0
    assert dpx.read(tmp_path / "coloured" / "a.dpx").shape == (24, 32, 3)
    assert cli.main(["verify", str(tmp_path / "coloured")]) == 0


def test_folders_that_are_no_film_are_named(tmp_path, colour, capsys):
    (tmp_path / "empty").mkdir()
    assert colour(tmp_path / "empty", tmp_path / "out") == 2 and "holds no .dpx" in capsys.readouterr().err
    source = tiffs(tmp_path / "scans")
    assert colour(source, tmp_path / "out.mkv") == 2 and "out.mkv must be a folder" in capsys.readouterr().err
    (source / "scan_100.tif").write_bytes((source / "scan_100.tif").read_bytes()[:300])
    assert colour(source, tmp_path / "out") == 1
    assert "scan_100.tif" in capsys.readouterr().err and len(list((tmp_path / "out").iterdir())) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dpx10_rgb", "tiff16_gray"])
def test_sequences_of_archives(tmp_path, colour, name):
    source = SHARED / "clips" / "odd" / name
    if not source.is_dir():
        pytest.skip(f"{source} is not there: scans of an archive are not tried")
    assert colour(source, tmp_path / name) == 0 and cli.main(["verify", str(tmp_path / name)]) == 0
