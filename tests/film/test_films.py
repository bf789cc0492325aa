"""What an archive requires of a coloured film: all but its chroma is the source's."""

import csv
import json
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers import SHARED
from helpers.films import ffmpeg, film, frames_md5, probe, times

from colorjax import cli
from colorjax.film.containers import matroska, planes, reading

pytestmark = pytest.mark.usefixtures("quick_compile")
FORMATS = ["yuv420p", "yuv422p10le", "yuv444p12le", "yuv420p16le", "gray", "gray10le", "gray12le", "gray16le", "yuv411p"]


@pytest.mark.parametrize("pixels", FORMATS)
def test_luma_is_the_sources_bit_by_bit(tmp_path, colour, pixels):
    source = film(tmp_path / "grey.mkv", pixels)
    assert colour(source, tmp_path / "colour.mkv") == 0
    assert (told := frames_md5(source)) == frames_md5(tmp_path / "colour.mkv") and len(set(told)) == 6
    said = probe(tmp_path / "colour.mkv", "pix_fmt,codec_name")
    bits = planes.bits(pixels)
    assert said == {"codec_name": "ffv1", "pix_fmt": "yuv444p" if bits == 8 else f"yuv444p{bits}le"}


def test_chroma_is_what_was_asked_for(tmp_path, colour):
    source = film(tmp_path / "grey.mkv", "gray", shape=(47, 63))
    assert colour(source, tmp_path / "half.mkv", "--chroma", "422") == 0
    assert frames_md5(source) == frames_md5(tmp_path / "half.mkv")
    assert probe(tmp_path / "half.mkv", "pix_fmt")["pix_fmt"] == "yuv422p"
    with av.open(str(tmp_path / "half.mkv")) as container:
        image = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert (image.max(-1).astype(int) - image.min(-1)).mean() > 10


@pytest.mark.parametrize(("matrix", "full"), [(1, False), (6, False), (1, True), (9, False)])
def test_colour_tags_are_read_and_written(tmp_path, colour, matrix, full):
    tags = {"colorspace": matrix, "color_range": 2 if full else 1, "color_primaries": 1, "color_trc": 1}
    source = film(tmp_path / "grey.mkv", **tags)
    assert colour(source, tmp_path / "colour.mkv") == 0
    what = "color_space,color_range,color_primaries,color_transfer"
    assert probe(source, what) == probe(tmp_path / "colour.mkv", what)


@pytest.mark.parametrize(("shape", "matrix"), [((48, 64), "bt470bg"), ((480, 64), "smpte170m"), ((720, 64), "bt709")])
def test_missing_tags_are_guessed_by_size_and_told(tmp_path, colour, capsys, shape, matrix):
    source = film(tmp_path / "grey.mkv", frames=1, shape=shape)
    assert colour(source, tmp_path / "colour.mkv") == 0
    said = probe(tmp_path / "colour.mkv", "color_space,color_range,color_primaries")
    assert said == {"color_space": matrix, "color_range": "tv", "color_primaries": "unknown"}
    told = capsys.readouterr().err
    assert f"does not say its matrix: {matrix}" in told and "does not say its range: limited" in told


def test_every_time_is_the_sources(tmp_path, colour):
    source = film(tmp_path / "grey.mkv", pts=[40, 80, 160, 190, 450, 455], base=Fraction(1, 1000))
    assert colour(source, tmp_path / "colour.mkv") == 0
    assert (
        times(source)
        == times(tmp_path / "colour.mkv")
        == ["0.040000", "0.080000", "0.160000", "0.190000", "0.450000", "0.455000"]
    )
    assert colour(source, tmp_path / "access.mp4", "--codec", "h264") == 0
    assert times(source) == times(tmp_path / "access.mp4")


@pytest.mark.parametrize(("field", "order"), [("tff", "tt"), ("bff", "bb")])
def test_interlaced_stays_interlaced_and_pixels_keep_their_shape(tmp_path, colour, field, order):
    options = {"flags": "+ildct+ilme", "aspect": "16/15"}
    source = film(tmp_path / "grey.mpg", codec="mpeg2video", shape=(144, 180), frames=3, field=field, options=options)
    assert colour(source, tmp_path / "colour.mkv") == 0
    said = probe(tmp_path / "colour.mkv", "field_order,sample_aspect_ratio,pix_fmt")
    assert said == {"field_order": order, "sample_aspect_ratio": "16:15", "pix_fmt": "yuv444p"}
    assert frames_md5(source) == frames_md5(tmp_path / "colour.mkv")
    with av.open(str(tmp_path / "colour.mkv")) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    assert colour(source, tmp_path / "access.mp4", "--codec", "h264") == 0
    said = probe(tmp_path / "access.mp4", "field_order,sample_aspect_ratio,pix_fmt")
    assert said == {"field_order": order, "sample_aspect_ratio": "16:15", "pix_fmt": "yuv422p"}


def test_what_is_turned_stays_turned_and_is_seen_upright(tmp_path, colour, monkeypatch):
    source, seen = film(tmp_path / "lying.mkv"), []
    with av.open(str(source)) as before, av.open(str(tmp_path / "grey.mp4"), "w") as after:
        stream = after.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(90)
        for frame in before.decode(video=0):
            after.mux(stream.encode(frame))
        after.mux(stream.encode(None))
    from colorjax.film import coloring

    kept = coloring.Video.seen
    monkeypatch.setattr(coloring.Video, "seen", lambda self, size: seen.append(kept(self, size)) or seen[-1])
    assert colour(tmp_path / "grey.mp4", tmp_path / "colour.mkv") == 0
    assert {small.shape for small in seen} == {(64, 48)}
    assert probe(tmp_path / "grey.mp4", "width:stream_side_data=rotation") == probe(
        tmp_path / "colour.mkv", "width:stream_side_data=rotation"
    )


def with_all_else(path, tmp_path):
    """A film with sound, subtitles, chapters, an attachment, tags and a timecode."""
    pictures = film(tmp_path / "pictures.mkv", frames=9)
    (tmp_path / "words.srt").write_text("1\n00:00:00,040 --> 00:00:00,200\nStraße, gleich\n")
    with av.open(str(pictures)) as video, av.open(str(tmp_path / "words.srt")) as words, av.open(str(path), "w") as out:
        picture = out.add_stream_from_template(video.streams.video[0], opaque=True)
        picture.metadata.update({"title": "scan", "timecode": "10:00:00:00"})
        sound = out.add_stream("pcm_s16le", rate=48000)
        sound.metadata.update({"language": "eng", "title": "original sound"})
        text = out.add_stream_from_template(words.streams[0], opaque=True)
        text.metadata.update({"language": "deu"})
        text.disposition = av.stream.Disposition.forced
        out.add_attachment("note.txt", "text/plain", b"can 12")
        out.metadata.update({"title": "Reel 3", "ARCHIVE_ID": "X-1234"})
        chapter = {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "The street"}}
        out.set_chapters([chapter])
        for number in range(9):
            frame = av.AudioFrame.from_ndarray(np.full((1, 2 * 1920), number, np.int16), format="s16", layout="stereo")
            frame.sample_rate, frame.pts = 48000, number * 1920
            out.mux(sound.encode(frame))
        for stream, packets in ((picture, video.demux(video=0)), (text, words.demux(0))):
            for packet in packets:
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    return path


def packets_of(path, kind):
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [(packet.pts, bytes(packet)) for packet in container.demux(stream) if packet.size]


def test_all_else_is_copied_packet_by_packet(tmp_path, colour):
    source, out = with_all_else(tmp_path / "grey.mkv", tmp_path), tmp_path / "colour.mkv"
    assert colour(source, out) == 0
    for kind in ("audio", "subtitle"):
        assert packets_of(source, kind) == packets_of(out, kind) != []
    with av.open(str(source)) as before, av.open(str(out)) as after:
        assert after.chapters() == before.chapters() and after.chapters()[0]["metadata"] == {"title": "The street"}
        assert [stream.type for stream in after.streams] == [stream.type for stream in before.streams]
        assert [stream.disposition for stream in after.streams] == [stream.disposition for stream in before.streams]
        for stream, twin in zip(before.streams, after.streams, strict=True):
            dull = ("DURATION", "ENCODER")
            kept = {key: text for key, text in stream.metadata.items() if key not in dull}
            assert kept.items() <= twin.metadata.items()
        assert {"title": "Reel 3", "ARCHIVE_ID": "X-1234"}.items() <= after.metadata.items()
        assert after.metadata["DIGITAL_SOURCE_TYPE"].endswith("/compositeWithTrainedAlgorithmicMedia")
        attached = [stream for stream in after.streams if stream.type == "attachment"]
        assert attached[0].metadata["filename"] == "note.txt" and attached[0].data == b"can 12"


def test_what_cannot_be_carried_is_named(tmp_path, colour, capsys):
    source = with_all_else(tmp_path / "grey.mkv", tmp_path)
    assert colour(source, tmp_path / "access.mp4", "--codec", "h264") == 0
    told = capsys.readouterr().err
    assert "each sample of its luma: h264 encodes it anew" in told
    assert (
        "its audio stream 1 (pcm_s16le)" in told
        and "its subtitle stream 2" in told
        and "its attachment stream 3" in told
        and "mp4 cannot hold" in told
    )
    assert json.loads((tmp_path / "access.mp4.json").read_text())["not_carried"]


@pytest.mark.parametrize("pixels", ["gbrp10le", "bgr0", "gbrp16le"])
def test_rgb_keeps_its_lightness(tmp_path, colour, pixels):
    source, out = film(tmp_path / "grey.mkv", pixels, frames=2), tmp_path / "colour.mkv"
    assert colour(source, out) == 0
    assert probe(out, "pix_fmt") == {"pix_fmt": pixels}
    assert cli.main(["verify", str(out)]) == 0
    changed = reading.opened(out)
    image = planes.rgb(next(changed.frames())).astype(int)
    changed.close()
    assert np.abs(image[..., 0] - image[..., 2]).max() > 0


def test_sidecar_report_and_verify(tmp_path, colour, capsys):
    source, out = film(tmp_path / "grey.mkv", frames=8), tmp_path / "colour.mkv"
    assert colour(source, out, "--report", tmp_path / "shots.csv") == 0
    about = json.loads((tmp_path / "colour.mkv.json").read_text())
    assert [(shot["first"], shot["end"]) for shot in about["shots"]] == [(0, 3), (3, 6), (6, 8)]
    assert about["source"]["path"] == "grey.mkv" and about["film"]["frames"] == 8 and about["weights"]["sha256"] == "0" * 64
    rows = list(csv.DictReader((tmp_path / "shots.csv").read_text().splitlines()))
    assert [row["frames"] for row in rows] == ["3", "3", "2"] and float(rows[0]["lightness_moved"]) > 0
    assert not (tmp_path / "colour.mkv.work").exists()
    capsys.readouterr()
    assert cli.main(["verify", str(tmp_path)]) == 0 and "as it says" in capsys.readouterr().out
    # A copy of other luma with a sidecar that fits it otherwise.
    other = film(tmp_path / "other.mkv", frames=8, color_trc=1)
    assert colour(other, tmp_path / "second.mkv") == 0
    damaged = json.loads((tmp_path / "second.mkv.json").read_text())
    damaged["shots"][1]["planes_sha256"] = "1" * 64
    (tmp_path / "second.mkv.json").write_text(json.dumps(damaged))
    assert cli.main(["verify", str(tmp_path / "second.mkv")]) == 1
    assert "shot 2: Y' of the copy is not what it was" in capsys.readouterr().out
    out.write_bytes(out.read_bytes()[:-100])
    assert cli.main(["verify", str(out)]) == 1 and "has changed" in capsys.readouterr().out


def test_a_copy_is_not_coloured_again(tmp_path, colour, capsys):
    source = film(tmp_path / "grey.mkv", frames=2)
    assert colour(source, tmp_path / "colour.mkv") == 0
    assert colour(tmp_path / "colour.mkv", tmp_path / "again.mkv") == 2
    assert "a copy that colorjax coloured already" in capsys.readouterr().err
    assert colour(source, tmp_path / "colour.mkv") == 2 and "--overwrite" in capsys.readouterr().err
    assert colour(source, tmp_path / "colour.mkv", "--overwrite") == 0


def test_checksums_of_slices_are_there(tmp_path, colour):
    """FFV1 version 3 with a CRC of each slice, as its configuration record says (RFC 9043, 4.3)."""
    source, out = film(tmp_path / "grey.mkv", frames=2), tmp_path / "colour.mkv"
    assert colour(source, out) == 0
    data = bytearray(out.read_bytes())
    with av.open(str(out)) as container:
        packet = next(packet for packet in container.demux(video=0) if packet.size)
        place = data.find(bytes(packet))
    data[place + packet.size // 2] ^= 0xFF
    out.write_bytes(data)
    ffmpeg("ffmpeg", "-version")
    words = ["ffmpeg", "-v", "error", "-i", str(out), "-f", "null", "-"]
    assert "slice CRC mismatch" in subprocess.run(words, capture_output=True, text=True, timeout=60).stderr


def test_pixel_aspect_needs_room_in_matroska(tmp_path):
    path = film(tmp_path / "grey.mkv", frames=1)
    assert matroska.set_aspect(path, 64, 48, Fraction(12, 11))
    assert probe(path, "sample_aspect_ratio") == {"sample_aspect_ratio": "12:11"}
    path.write_bytes(b"\x1a\x45\xdf\xa3\x80")
    assert not matroska.set_aspect(path, 64, 48, Fraction(12, 11))


@pytest.mark.slow
def test_odd_films_of_archives(tmp_path, colour):
    clips = SHARED / "clips" / "odd"
    if not clips.is_dir():
        pytest.skip(f"{clips} is not there: technically odd films are not tried")
    for source in sorted(path for path in clips.iterdir() if path.suffix not in ("", ".txt")):
        out = tmp_path / f"{source.stem}.mkv"
        expected = {"truncated_no_moov.mp4": 2, "truncated_moov_first.mp4": 1}.get(source.name, 0)
        assert colour(source, out) == expected, source.name
        if expected < 2:
            assert frames_md5(source) == frames_md5(out), source.name
            what = "field_order,sample_aspect_ratio,avg_frame_rate"
            before, after = probe(source, what), probe(out, what)
            assert all(after[key] == value for key, value in before.items() if value not in ("N/A", "unknown")), source.name
            assert cli.main(["verify", str(out)]) == 0, source.name
