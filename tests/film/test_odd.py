"""Films that nobody foresaw: what their containers say stays, or is named."""

import json
import struct
from fractions import Fraction
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from helpers.films import ffmpeg, film, frames_md5, probe, times

from colorjax import cli
from colorjax.film.containers import assembling, looks, reading, writing

pytestmark = pytest.mark.usefixtures("quick_compile")


def with_sound(path, codec="aac", cover=None, title="", language="", pictures="libx264"):
    """Pictures and sound of a quarter of a second; cover: the name of a picture's codec."""
    source = film(path.with_name("pictures.mkv"), codec=pictures, frames=6, options={"g": "1", "bf": "0"})
    with av.open(str(source)) as video, av.open(str(path), "w") as out:
        picture = out.add_stream_from_template(video.streams.video[0], opaque=True)
        sound = out.add_stream(codec, rate=48000)
        said = {"title": title, "language": language}
        sound.metadata.update({key: text for key, text in said.items() if text})
        if cover:
            still = out.add_stream(cover, rate=1)
            still.width, still.height, still.pix_fmt = 32, 32, {"mjpeg": "yuvj420p"}.get(cover, "rgb24")
            still.disposition = av.stream.Disposition.attached_pic
        for number in range(12):
            wave = np.sin(np.arange(1024) / 9 + number)[None].astype(np.float32)
            wave = (wave * 9000).astype(np.int16) if codec in ("mp2", "pcm_s16le", "flac") else wave
            frame = av.AudioFrame.from_ndarray(wave, format="fltp" if wave.dtype == np.float32 else "s16", layout="mono")
            frame.sample_rate, frame.pts = 48000, number * 1024
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
        for packet in video.demux(video=0):
            if packet.size:
                packet.stream = picture
                out.mux(packet)
        if cover:
            out.mux(still.encode(av.VideoFrame(32, 32, still.pix_fmt)))
            out.mux(still.encode(None))
    return path


def sound_of(path):
    """(time in ms, bytes) of each packet of sound, as ffprobe has them."""
    words = ("-select_streams", "a", "-show_entries", "packet=pts_time,data_hash", "-show_data_hash", "md5", "-of", "json")
    packets = json.loads(ffmpeg("ffprobe", "-v", "error", *words, str(path)))["packets"]
    return [(round(float(packet["pts_time"]) * 1000), packet["data_hash"]) for packet in packets]


def test_sound_that_begins_before_the_pictures_does_not_move_them(tmp_path, colour, capsys):
    """AAC has a start that is not to be heard: MP4 says so by a negative time, Matroska by CodecDelay."""
    source, out = with_sound(tmp_path / "grey.mp4"), tmp_path / "colour.mkv"
    assert colour(source, out) == 0
    assert sound_of(source)[0][0] == -21 and sound_of(out) == sound_of(source)
    assert times(source) == times(out) and times(out)[0] == "0.000000"
    assert "place of its beginning" not in capsys.readouterr().err
    with av.open(str(out)) as container:
        assert "title" not in container.streams.audio[0].metadata
    assert cli.main(["verify", str(out)]) == 0


def test_a_track_keeps_its_title(tmp_path, colour):
    source, out = (
        with_sound(tmp_path / "grey.avi", "pcm_s16le", title="Ton, Spur 1", pictures="ffv1"),
        tmp_path / "colour.mkv",
    )
    assert colour(source, out) == 0
    with av.open(str(source)) as before, av.open(str(out)) as after:
        assert before.streams.audio[0].metadata["title"] == after.streams.audio[0].metadata["title"] == "Ton, Spur 1"


def test_a_cover_is_an_attachment_of_matroska(tmp_path, colour, capsys):
    source, out = with_sound(tmp_path / "grey.mp4", cover="png"), tmp_path / "colour.mkv"
    with av.open(str(source)) as container:
        cover = next(bytes(packet) for packet in container.demux(container.streams.video[1]) if packet.size)
    assert colour(source, out) == 0 and "png" not in capsys.readouterr().err
    with av.open(str(out)) as container:
        stills = [stream for stream in container.streams.video if stream.disposition & av.stream.Disposition.attached_pic]
        assert stills[0].metadata["filename"] == "cover.png"
        assert next(bytes(packet) for packet in container.demux(stills[0]) if packet.size) == cover
    assert colour(source, tmp_path / "access.mp4", "--codec", "h264") == 0
    assert "not carried: its cover, stream 2 (png): .mkv can hold it" in capsys.readouterr().err


def test_films_of_which_one_follows_another_keep_their_sound(tmp_path, colour, capsys):
    parts = [with_sound(tmp_path / f"{name}.ts", "mp2", pictures="mpeg2video") for name in "ab"]
    source, out = tmp_path / "grey.ts", tmp_path / "colour.mkv"
    source.write_bytes(b"".join(path.read_bytes() for path in parts))
    assert colour(source, out) in (0, 1)
    told = capsys.readouterr().err
    assert "frames had a time that was not after the one before" in told and "packets of its stream 1, which was before" in told
    assert frames_md5(source) == frames_md5(out)
    assert [data for _, data in sound_of(source)] == [data for _, data in sound_of(out)]


def test_frames_that_are_not_stored_are_not_missed(tmp_path, colour, capsys):
    """AVI counts frames of nothing where one is shown longer."""
    source = film(tmp_path / "grey.avi", "yuvj420p", codec="mjpeg", pts=[0, 1, 2, 6, 7, 12])
    assert colour(source, tmp_path / "colour.mkv") == 0
    assert "cut short" not in capsys.readouterr().err and times(source) == times(tmp_path / "colour.mkv")


def test_frames_that_an_edit_leaves_out_are_not_missed(tmp_path, colour, capsys):
    film(tmp_path / "whole.mp4", codec="libx264", frames=30, options={"g": "10", "bf": "2"})
    source, out = tmp_path / "grey.mp4", tmp_path / "colour.mkv"
    ffmpeg("ffmpeg", "-v", "error", "-ss", "0.6", "-i", str(tmp_path / "whole.mp4"), "-c", "copy", "-t", "0.4", str(source))
    assert colour(source, out) == 0 and "cut short" not in capsys.readouterr().err
    assert frames_md5(source) == frames_md5(out) and times(source) == times(out)


def test_matroska_that_is_cut_short_is_told(tmp_path, colour, capsys):
    whole = film(tmp_path / "whole.mkv", frames=12)
    assert colour(whole, tmp_path / "all.mkv") == 0 and "cut short" not in capsys.readouterr().err
    data = whole.read_bytes()
    (tmp_path / "grey.mkv").write_bytes(data[: len(data) // 2])
    assert colour(tmp_path / "grey.mkv", tmp_path / "colour.mkv") == 1
    assert "it is cut short: its header promises" in capsys.readouterr().err
    kept = frames_md5(tmp_path / "colour.mkv")
    assert 0 < len(kept) < 12 and kept == frames_md5(whole)[: len(kept)]


def test_fields_of_which_the_header_alone_speaks(tmp_path, colour):
    source = film(tmp_path / "grey.mov", "yuvj422p", codec="mjpeg", options={"field_order": "bb"})
    assert probe(source, "field_order") == {"field_order": "bb"}
    assert colour(source, tmp_path / "colour.mkv") == 0
    assert probe(tmp_path / "colour.mkv", "field_order") == {"field_order": "bb"}
    with av.open(str(tmp_path / "colour.mkv")) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))


def fields_of(path):
    """Whether the upper field comes first, of each frame, as ffprobe has it."""
    words = ("-select_streams", "v:0", "-show_entries", "frame=top_field_first", "-of", "csv=p=0")
    return [line.strip(",") for line in ffmpeg("ffprobe", "-v", "error", *words, str(path)).split()]


def test_what_changes_on_the_way_is_named(tmp_path, colour, capsys):
    parts = [
        film(tmp_path / f"{name}.mpg", codec="mpeg2video", shape=(96, 128), field=field, options=options | {"g": "1"})
        for name, field, options in (
            ("a", "tff", {"flags": "+ildct+ilme", "aspect": "1/1"}),
            ("b", "bff", {"flags": "+ildct+ilme", "aspect": "4/3"}),
        )
    ]
    (tmp_path / "grey.mpg").write_bytes(b"".join(path.read_bytes() for path in parts))
    colour(tmp_path / "grey.mpg", tmp_path / "colour.mkv")
    told = capsys.readouterr().err
    assert "not carried: that from frame" in told and "the shape of its pixels is 4/3: all of the copy has 1" in told
    with av.open(str(tmp_path / "colour.mkv")) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    orders = fields_of(tmp_path / "colour.mkv")
    assert orders == sorted(orders, reverse=True) and orders[0] == "1" and 5 <= orders.count("0") <= 6
    assert "timecode inside" not in told and "to be shown" not in told  # which nobody filled in


def test_timecode_inside_pictures_is_named(tmp_path, colour, capsys):
    options = {"gop_timecode": "10:00:00:00"}
    source = film(tmp_path / "grey.mpg", codec="mpeg2video", shape=(96, 128), options=options, frames=2)
    assert colour(source, tmp_path / "colour.mkv") == 0
    assert "not carried: timecode inside its pictures" in capsys.readouterr().err


def test_transparency_that_decoders_pass_over_is_named(tmp_path, colour, capsys):
    source = film(tmp_path / "grey.webm", "yuva420p", codec="libvpx", frames=2, options={"auto-alt-ref": "0"})
    assert probe(source, "pix_fmt:stream_tags=alpha_mode").get("TAG:alpha_mode") == "1"
    assert colour(source, tmp_path / "colour.mkv") == 0 and "not carried: its transparency" in capsys.readouterr().err
    assert "TAG:alpha_mode" not in probe(tmp_path / "colour.mkv", "pix_fmt:stream_tags=alpha_mode")


def test_edges_that_players_cut_off_are_named(tmp_path, colour, capsys):
    source = film(tmp_path / "grey.mkv", frames=1)
    unit, crop = bytes.fromhex("54B28104"), bytes.fromhex("54BB8108")  # DisplayUnit gives way to PixelCropTop
    source.write_bytes(source.read_bytes().replace(unit, crop, 1))
    assert colour(source, tmp_path / "colour.mkv") == 0
    assert "players are told to cut off its edges" in capsys.readouterr().err
    source = film(tmp_path / "whole.mov", codec="mpeg4", frames=1)
    assert not looks.edges(reading.opened(source))
    clap = struct.pack(">I4s8I", 40, b"clap", 60, 1, 48, 1, 0, 1, 0, 1)
    source.write_bytes(source.read_bytes() + struct.pack(">I4s", 8 + len(clap), b"free"))
    data = source.read_bytes()
    moov = data.index(b"moov") - 4
    size = int.from_bytes(data[moov : moov + 4], "big") + 48
    udta = struct.pack(">I4s", 48, b"free") + clap
    source.write_bytes(data[:moov] + struct.pack(">I", size) + data[moov + 4 : moov + size - 48] + udta)
    assert looks.edges(reading.opened(source))
    cut = SimpleNamespace(path=tmp_path / "cut.mov", facts=SimpleNamespace(width=64, height=48))
    cut.container = SimpleNamespace(format=SimpleNamespace(name="mov,mp4"))
    cut.path.write_bytes(struct.pack(">I4s", 24, b"moov") + struct.pack(">I4sI4x", 40, b"clap", 60))
    assert not looks.edges(cut), "cut short within the words about it"


@pytest.mark.parametrize("order", ["tb", "bt"])
def test_the_order_of_fields_is_written_as_found(tmp_path, colour, order):
    source = film(tmp_path / "grey.mov", "yuvj422p", codec="mjpeg", options={"field_order": order}, frames=2)
    assert colour(source, tmp_path / "colour.mkv") == 0
    assert probe(source, "field_order") == {"field_order": order} == probe(tmp_path / "colour.mkv", "field_order")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nwhole.ts\n#EXT-X-ENDLIST\n", "names other files"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile whole.ts\n", "names other files"),
        ("words.txt", b"no film\n" * 99, "text, and no film"),
        ("photo.mkv", None, "a single picture"),
    ],
)
def test_what_is_no_film_of_its_own_is_refused(tmp_path, colour, capsys, name, content, said):
    film(tmp_path / "whole.ts", codec="mpeg2video", shape=(96, 128))
    if content is None:
        film(tmp_path / "photo.jpg", "yuvj420p", codec="mjpeg", frames=1)
        content = (tmp_path / "photo.jpg").read_bytes()
    (tmp_path / name).write_bytes(content)
    assert colour(tmp_path / name, tmp_path / "colour.mkv") == 2
    told = capsys.readouterr().err
    assert said in told and len(told.splitlines()) == 1 and not (tmp_path / "colour.mkv").exists()


@pytest.mark.parametrize("name", ["10:30.mkv", "pipe:.mkv", "50 %d ü.mkv", "-reel.mkv"])
def test_any_name_is_the_name_of_a_file(tmp_path, colour, monkeypatch, name):
    film(tmp_path / "grey.mkv", frames=1).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["film", "--out", f"out:{name}", "--", name]) == 0
    assert (tmp_path / f"out:{name}").stat().st_size and cli.main(["verify", f"out:{name}"]) == 0


def test_times_keep_to_a_clock_of_any_fineness(tmp_path, colour):
    source = film(tmp_path / "grey.nut", base=Fraction(1, 1_000_000), pts=[0, 400, 800, 1200, 2000, 500_000])
    assert colour(source, tmp_path / "colour.mkv") == 0
    assert len(times(tmp_path / "colour.mkv")) == 6 and frames_md5(source) == frames_md5(tmp_path / "colour.mkv")


@pytest.mark.parametrize(
    ("shape", "options", "pixels"),
    [((61, 97), (), "yuv444p"), ((61, 96), (), "yuv422p"), ((61, 97), ("--codec", "hevc"), "yuv444p")],
)
def test_access_copies_of_odd_sizes(tmp_path, colour, shape, options, pixels):
    source = film(tmp_path / "grey.mkv", frames=2, shape=shape)
    assert colour(source, tmp_path / "access.mp4", *(options or ("--codec", "h264"))) == 0
    said = probe(tmp_path / "access.mp4", "width,height,pix_fmt")
    assert said == {"width": str(shape[1]), "height": str(shape[0]), "pix_fmt": pixels}


@pytest.mark.parametrize("says_so", [True, False])
def test_hevc_of_interlaced_film_is_refused_with_the_codecs_that_can(tmp_path, colour, capsys, says_so):
    """says_so: whether the header does, or the frames alone."""
    options = {"g": "1", "flags": "+ildct+ilme"}
    source = film(tmp_path / "grey.mpg", codec="mpeg2video", shape=(96, 128), field="bff", options=options)
    if not says_so:
        whole = film(tmp_path / "whole.mpg", codec="mpeg2video", shape=(96, 128), options={"g": "1"})
        source.write_bytes(whole.read_bytes() + source.read_bytes())
    header = reading.opened(source)
    assert bool(header.facts.fields) == says_so
    header.close()
    out = tmp_path / "access.mp4"
    assert colour(source, out, "--codec", "hevc") == (2 if says_so else 1) and not out.exists()
    told = capsys.readouterr().err
    assert "it is interlaced, which hevc cannot say of whole frames" in told
    assert "ffv1 (.mkv) or prores (.mov, .mkv) or h264 (.mp4" in told
    assert colour(source, out, "--codec", "h264") in (0, 1)
    with av.open(str(out)) as container:
        assert any(frame.interlaced_frame for frame in container.decode(video=0))


@pytest.mark.parametrize(
    ("pixels", "codec", "said"),
    [
        ("gray", "prores", ["its full range: prores is written in limited range"]),
        ("gray", "h264", []),
        (
            "bgr0",
            "h264",
            ["h264 has Y', Cb and Cr of the matrix bt470bg, taken by its size", "its full range: h264 is written"],
        ),
        ("yuv420p", "h264", []),
    ],
)
def test_what_an_access_copy_makes_of_matrix_and_range_is_named(tmp_path, colour, capsys, pixels, codec, said):
    source, out = film(tmp_path / "grey.mkv", pixels, frames=2), tmp_path / "access.mov"
    assert colour(source, out, "--codec", codec) == 0
    told, lost = capsys.readouterr().err, json.loads((tmp_path / "access.mov.json").read_text())["not_carried"]
    about = [words for words in lost if "range" in words or "matrix" in words]
    assert len(about) == len(said) and all(
        part in words and f"not carried: {words}" in told for part, words in zip(said, about, strict=True)
    )
    assert probe(out, "color_range")["color_range"] == ("pc" if (pixels, codec) == ("gray", "h264") else "tv")


def with_timecode(path, *words, codes=1):
    """A film in MOV whose timecodes have tracks of their own, 10:00:00:00 and so on."""
    source = film(path.with_name("pictures.mkv"), "yuv422p10le", frames=6)
    maps = [
        word
        for number in range(codes)
        for word in ("-map", "0:v", f"-metadata:s:v:{number}", f"timecode={10 + number}:00:00:00")
    ]
    ffmpeg("ffmpeg", "-v", "error", "-i", str(source), *maps, "-c:v", "prores_ks", *words, str(path))
    return path


def reels_of(path):
    """(timecode, reel) of each stream that has a timecode."""
    with av.open(str(path)) as container:
        said = [{key.lower(): text for key, text in stream.metadata.items()} for stream in container.streams]
    return {(words["timecode"], words.get("reel_name", "")) for words in said if "timecode" in words}


def test_the_name_of_the_reel_stays_with_its_timecode(tmp_path, colour, capsys):
    source = with_timecode(tmp_path / "grey.mov", "-metadata:s:v", "reel_name=REEL007")
    assert ("10:00:00:00", "REEL007") in reels_of(source)
    for name, codec in (("a.mkv", "ffv1"), ("a.mov", "prores")):
        assert colour(source, tmp_path / name, "--codec", codec) == 0
        assert ("10:00:00:00", "REEL007") in reels_of(tmp_path / name) and "no place" not in capsys.readouterr().err
    assert colour(source, tmp_path / "a.mp4", "--codec", "h264") == 0
    assert "not carried: the reel name REEL007, for which mp4 has no place" in capsys.readouterr().err
    assert reels_of(tmp_path / "a.mp4") == {("10:00:00:00", "")}
    inside = with_timecode(tmp_path / "grey2.mov")
    ffmpeg(
        "ffmpeg", "-v", "error", "-i", str(inside), "-c:v", "copy", "-metadata:s:v", "reel_name=R2", str(tmp_path / "grey.mkv")
    )
    capsys.readouterr()
    assert colour(tmp_path / "grey.mkv", tmp_path / "b.mov", "--codec", "prores") == 0
    assert ("10:00:00:00", "R2") in reels_of(tmp_path / "b.mov") and "no place" not in capsys.readouterr().err


def test_a_second_timecode_is_carried_with_its_pictures_or_named(tmp_path, colour, capsys):
    source = with_timecode(tmp_path / "grey.mov", "-metadata:s:v:1", "reel_name=B", codes=2)
    assert colour(source, tmp_path / "a.mkv") == 0 and "no place" not in capsys.readouterr().err
    assert reels_of(tmp_path / "a.mkv") == {("10:00:00:00", ""), ("11:00:00:00", "B")}
    assert assembling._unsaid([("10:00:00:00", "A"), ("11:00:00:00", "B")], [("10:00:00:00", "A")], "mov") == [
        "the timecode 11:00:00:00, for which mov has no place",
        "the reel name B, for which mov has no place",
    ]


@pytest.mark.parametrize("rate", [0, 25])
def test_a_film_of_variable_rate_is_as_long_as_its_pictures(tmp_path, colour, rate):
    """MP4 counts from one time of decoding to the next. Without a rate Matroska does not say how long the last frame is."""
    pts = [0, 40, 110, 150, 220, 260, 330]
    source = film(tmp_path / "grey.mkv", pts=pts, frames=7, base=Fraction(1, 1000), framerate=Fraction(rate, 1))
    assert colour(source, tmp_path / "access.mp4", "--codec", "h264") == 0
    assert times(tmp_path / "access.mp4") == times(source)
    assert float(probe(tmp_path / "access.mp4", "duration")["duration"]) == pytest.approx(0.330 + (0.04 if rate else 0.055))


def test_times_of_decoding_that_an_encoder_left_undefined_are_given():
    """x265 does so in films of two or three frames, by chance."""
    assert writing.decoding_time(80, 0, -40, 40) == 0
    first = writing.decoding_time(0, -112588272723558, None, 40)
    second = writing.decoding_time(40, -112588272723518, first, 40)
    assert first < second <= 0 and writing.decoding_time(40, None, 7, 40) == 8


def test_an_access_copy_that_cannot_be_is_refused_in_a_sentence(tmp_path, colour, capsys):
    source = film(tmp_path / "grey.mkv", frames=1, shape=(61, 97))
    assert colour(source, tmp_path / "access.mp4", "--codec", "h264", "--chroma", "420") == 2
    assert "h264 cannot halve its 97x61 pixels, as --chroma 420 asks: legal are 444" in capsys.readouterr().err
    small = film(tmp_path / "small.mkv", frames=1, shape=(8, 8))
    assert colour(small, tmp_path / "access.mp4", "--codec", "hevc") == 1
    assert "hevc cannot encode its pictures of 8x8" in capsys.readouterr().err


@pytest.mark.parametrize("error", [av.error.ExternalError, av.error.PatchWelcomeError, av.error.ArgumentError])
def test_whatever_a_decoder_says_of_a_piece_it_is_passed_over(tmp_path, error):
    film_ = reading.opened(film(tmp_path / "grey.mkv", frames=3))
    frames, kept = film_.decoded(), film_.stream
    next(frames)

    def broken(packet):
        raise error(1, "no")

    film_.stream = SimpleNamespace(decode=broken, name=kept.name)
    assert list(frames) == [] and film_.damaged >= 2
    film_.stream = kept
    film_.close()


def scans(folder, names, depth=np.uint16, shape=(24, 32)):
    folder.mkdir()
    for number, name in enumerate(names):
        levels = np.linspace(0.1, 0.8, shape[0] * shape[1]).reshape(shape) + number / 99
        cv2.imwrite(str(folder / name), (levels * np.iinfo(depth).max).astype(depth))
    return folder


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["86400.png", "86401.png", "86404.png"], "2 files are missing by their numbers (86402 to 86403)"),
        (["a_v2.0.tif", "a_v2.2.tif", "a_v2.4.tif", "a_v2.8.tif"], "1 file is missing by their numbers (6)"),
        (["a1.tif", "a2.tif", "b1.tif"], "not of one name with numbers (a#.tif, b#.tif)"),
        (["0.tif", "1.tif", "2.tif"], ""),
    ],
)
def test_gaps_in_the_numbers_of_a_sequence_are_told(tmp_path, colour, capsys, names, said):
    source, out = scans(tmp_path / "scans", names), tmp_path / "out"
    assert colour(source, out) == 0
    told = capsys.readouterr().err
    assert said in told and ("missing" in told or "not of one" in told) == bool(said)
    assert sorted(path.name for path in out.iterdir()) == sorted(names) and cli.main(["verify", str(out)]) == 0


def test_what_else_lies_beside_scans_is_named_and_the_last_frames_may_be_missing(tmp_path, colour, capsys):
    source, out = scans(tmp_path / "scans", ["1.tif", "2.tif", "3.tif"]), tmp_path / "out"
    (source / "sound.wav").write_bytes(b"RIFF")
    (source / "3.tif").write_bytes(b"")
    assert colour(source, out) == 1
    told = capsys.readouterr().err
    assert (
        "not carried: what else is in the folder: sound.wav" in told and "3.tif" in told and "the copy has none for it" in told
    )
    assert cli.main(["verify", str(out)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(("kind", "bad"), [("tif", 3), ("tif", 1), ("png", 6), ("dpx", 1)])
def test_a_damaged_picture_costs_no_other(tmp_path, colour, capsys, kind, bad):
    names = [f"f{number}.{kind}" for number in range(1, 7)]
    source, out = tmp_path / "scans", tmp_path / "out"
    if kind == "dpx":
        source.mkdir()
        ffmpeg("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=33x24", "-frames:v", "6", str(source / "f%d.dpx"))
    else:
        scans(source, names)
    (source / names[bad - 1]).write_bytes((source / names[bad - 1]).read_bytes()[:100])
    assert colour(source, out) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if names[bad - 1] in line and "not carried" not in line]
    assert len(told) == 1 and told[0].endswith("the copy has none for it") and "Error" not in told[0]
    assert sorted(path.name for path in out.iterdir()) == sorted({*names} - {names[bad - 1]})
    about = json.loads((tmp_path / "out.json").read_text())
    assert about["film"]["frames"] == 5 == about["shots"][-1]["end"] and about["film"]["left_out"] == [names[bad - 1]]
    assert [shot["start"] for shot in about["shots"]][1] == ("00:00:00.167" if bad == 3 else "00:00:00.125")
    assert cli.main(["verify", str(out)]) == 0 and names[bad - 1] in capsys.readouterr().out
    (out / names[3]).unlink()
    assert cli.main(["verify", str(out)]) == 1 and f"{names[3]} is not there" in capsys.readouterr().out


def test_what_a_disk_does_not_give_costs_no_other_picture(tmp_path, colour, capsys):
    """A link that leads nowhere, a file that cannot be read, a folder with the name of a picture."""
    names = [f"f{number}.tif" for number in range(1, 5)]
    source, out = scans(tmp_path / "scans", names), tmp_path / "out"
    (source / "f5.tif").symlink_to(tmp_path / "nowhere.tif")
    (source / "f6.tif").symlink_to("/proc/self/mem")
    (source / "f7.tif").mkdir()
    assert colour(source, out) == 1
    told = capsys.readouterr().err
    assert "f5.tif: " in told and "what else is in the folder: f7.tif" in told
    assert sorted(path.name for path in out.iterdir()) == names and cli.main(["verify", str(out)]) == 0
    assert json.loads((tmp_path / "out.json").read_text())["film"]["left_out"] == ["f5.tif", "f6.tif"]


def test_a_sequence_whose_size_changes_ends_there(tmp_path, colour, capsys):
    source, out = scans(tmp_path / "scans", ["1.tif", "2.tif"]), tmp_path / "out"
    for path in scans(tmp_path / "others", ["3.tif", "4.tif"], shape=(20, 32)).iterdir():
        path.rename(source / path.name)
    assert colour(source, out) == 1
    assert "3.tif is of another size or depth than the first: the copy ends before it" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["1.tif", "2.tif"] and cli.main(["verify", str(out)]) == 0


def test_what_the_header_of_another_container_refuses_is_named_and_the_rest_is_written(tmp_path, colour, capsys):
    source, out = with_sound(tmp_path / "grey.mkv", "flac"), tmp_path / "access.mov"
    assert colour(source, out, "--codec", "prores") == 0
    assert "its audio stream 1 (flac), which mov cannot hold" in capsys.readouterr().err
    assert len(times(out)) == 6


def test_a_language_that_a_container_has_no_word_for_is_named(tmp_path, colour, capsys):
    source = with_sound(tmp_path / "grey.mkv", "pcm_s16le", language="gsw")
    assert colour(source, tmp_path / "colour.mkv") == 0 and "the language" not in capsys.readouterr().err
    assert colour(source, tmp_path / "access.mov", "--codec", "prores") == 0
    assert "the language of its stream 1 (gsw), which mov has no place for" in capsys.readouterr().err
