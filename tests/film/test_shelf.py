"""What films of a real shelf say of themselves: how they are held, what lies beside their samples, where they come from."""

import errno
import os

import av
import numpy as np
import pytest
from helpers.films import ffmpeg, film, probe

from colorjax import cli
from colorjax.film import coloring, lists
from colorjax.film.containers import planes, reading, reel
from colorjax.film.jobs import command

pytestmark = pytest.mark.usefixtures("quick_compile")
ONE = 1 << 16


def upright(path, shape):
    """Y' of the first frame as ffmpeg shows it."""
    words = ("ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-vf", "format=gray", "-f", "rawvideo", f"{path}.y")
    ffmpeg(*map(str, words))
    return np.fromfile(f"{path}.y", np.uint8).reshape(shape)


@pytest.mark.parametrize(
    "a, b, c, d", [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0), (0, 1, -1, 0), (-1, 0, 0, -1)]
)
def test_what_is_mirrored_or_turned_is_seen_as_players_show_it(tmp_path, a, b, c, d):
    source = film(tmp_path / "lying.mkv", "gray", frames=1)
    with av.open(str(source)) as before, av.open(str(tmp_path / "grey.mkv"), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0], opaque=True)
        stream.set_display_matrix([a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30])
        for packet in before.demux(video=0):
            if packet.size:
                packet.stream = stream
                after.mux(packet)
    opened = reading.opened(tmp_path / "grey.mkv")
    stored, pose = planes.luma(next(opened.frames())).copy(), opened.facts.pose
    opened.close()
    assert np.array_equal(pose.shown(stored), upright(tmp_path / "grey.mkv", opened.facts.upright))
    assert np.array_equal(pose.stored(pose.shown(stored)), stored)
    seen = coloring.Video(stored, opened.facts.coding, pose, 0, False).seen(64)
    level = coloring.Levels(stored, 8, pose).seen(64)
    assert np.allclose(seen, level, atol=1e-3) and seen.shape == opened.facts.upright


def test_what_pyav_has_no_name_for_hides_nothing_else(tmp_path, colour, capsys):
    """Cameras write EXIF into each picture of an AVI, scanners into each TIFF of a MOV."""
    ffmpeg("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=48x32", "-frames:v", "2", "-pix_fmt", "gray16le", "-c:v",
           "tiff", str(tmp_path / "grey.mov"))  # fmt: skip
    with av.open(str(tmp_path / "grey.mov")) as container, pytest.raises(ValueError, match="not a valid Type"):
        list(next(container.decode(video=0)).side_data)
    assert colour(tmp_path / "grey.mov", tmp_path / "colour.mkv") == 0
    assert "not carried: EXIF inside its pictures" in capsys.readouterr().err


@pytest.mark.parametrize("source, said", [("testsrc2=s=96x64", True), ("testsrc2=s=96x64,hue=s=0", False)])
@pytest.mark.parametrize("name", ["grey.mkv", "scans/%d.png"])
def test_a_film_in_colour_is_told(tmp_path, colour, capsys, source, said, name):
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    codec = ("-c:v", "ffv1") if name == "grey.mkv" else ()
    ffmpeg("ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-frames:v", "2", *codec, str(place))
    given = place if place.is_file() else place.parent
    assert colour(given, tmp_path / "colour.mkv" if place.is_file() else tmp_path / "out", "--only-shots") == 0
    assert ("it is in colour already: its own colours are painted over" in capsys.readouterr().err) == said


def test_chapters_of_a_mov_are_not_called_lost(tmp_path, colour, capsys):
    words = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=80\ntitle=Eins\n"
    (tmp_path / "words.txt").write_text(words)
    source, pictures = tmp_path / "grey.mov", film(tmp_path / "pictures.mkv", "yuv420p", codec="mpeg4", frames=2)
    inputs = ("-i", str(pictures), "-i", str(tmp_path / "words.txt"), "-map_metadata", "1", "-map_chapters", "1")
    ffmpeg("ffmpeg", "-v", "error", *inputs, "-map", "0", "-c", "copy", str(source))
    with av.open(str(source)) as container:
        assert [stream.type for stream in container.streams] == ["video", "data"]
    assert colour(source, tmp_path / "colour.mkv") == 0 and "not carried" not in capsys.readouterr().err
    with av.open(str(tmp_path / "colour.mkv")) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["Eins"]


def test_a_pipe_is_refused_before_it_is_waited_for(tmp_path, colour, capsys):
    os.mkfifo(tmp_path / "pipe.mkv")
    assert colour(tmp_path / "pipe.mkv", tmp_path / "colour.mkv") == 2
    assert "is a pipe or a device, and a film is read several times: write it into a file first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "content", "said"),
    [
        ("--shots", None, "no such file"),
        ("--shots", "0\n3 dissolve 2 to 4\n", "line 2: 'dissolve 2' lacks its last frame; it is written as dissolve 121-147"),
        ("--hints", None, "no such file"),
        ("--hints", "{", "is no JSON"),
    ],
)
def test_what_people_write_is_read_before_the_film_is_looked_at(tmp_path, colour, capsys, monkeypatch, option, content, said):
    source, mine = film(tmp_path / "grey.mkv", frames=1), tmp_path / "mine.txt"
    if content:
        mine.write_text(content)
    monkeypatch.setattr(reel.Reel, "look_through", None)
    assert colour(source, tmp_path / "colour.mkv", option, mine) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "colour.mkv.work").exists()


@pytest.mark.parametrize("words", ["dissolve 3-5", "dissolve 3 - 5", "dissolve 3\u20135", "the dissolve 3-5, by hand"])
def test_a_dissolve_may_be_written_with_room(tmp_path, words):
    (tmp_path / "shots.txt").write_text(f"0\n4 {words}\n", encoding="utf-8")
    assert [shot.opening and shot.opening[:2] for shot in lists.read(tmp_path / "shots.txt", 9)] == [None, (3, 6)]


def test_verify_knows_the_folder_in_which_it_is(tmp_path, colour, capsys, monkeypatch):
    assert colour(film(tmp_path / "grey.mkv", "gray", frames=1), tmp_path / "colour.mkv") == 0
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    assert cli.main(["verify", "."]) == 0
    monkeypatch.chdir(tmp_path / "below")
    assert cli.main(["verify", ".."]) == 0 and capsys.readouterr().out.count("colour.mkv.json: as it says") == 2


def test_other_video_streams_are_named_by_their_numbers(tmp_path):
    source = film(tmp_path / "one.mkv", frames=1)
    for count, said in ((2, "colour into its other video stream (1): copied"), (3, "streams (1, 2): copied")):
        inputs = [word for number in range(count) for word in ("-i", str(source))]
        maps = [word for number in range(count) for word in ("-map", str(number))]
        ffmpeg("ffmpeg", "-v", "error", "-y", *inputs, *maps, "-c", "copy", str(tmp_path / "grey.mkv"))
        opened = reading.opened(tmp_path / "grey.mkv")
        assert said in opened.lost[0]
        opened.close()


def test_a_report_that_has_no_room_is_told_apart_from_the_copy(tmp_path, colour, capsys, monkeypatch):
    source, kept = film(tmp_path / "grey.mkv", "gray", frames=1), command.report

    def full(path, _):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(command, "report", full)
    words = (source, tmp_path / "colour.mkv", "--report", tmp_path / "report.csv")
    assert colour(*words) == 1
    told = capsys.readouterr().err
    assert "report.csv cannot be written" in told and "the copy is done, and the same command writes the report" in told
    assert "no room is left" not in told and (tmp_path / "colour.mkv").exists()
    monkeypatch.setattr(command, "report", kept)
    assert colour(*words) == 0 and (tmp_path / "report.csv").exists()


@pytest.mark.parametrize("mode", ["left_right", "top_bottom", "mono"])
def test_two_eyes_in_a_picture_keep_their_place_and_the_shape_of_pixels(tmp_path, colour, capsys, mode):
    film(tmp_path / "one.mkv", frames=1)
    words = ("-c", "copy", "-metadata:s:v", f"stereo_mode={mode}", str(tmp_path / "grey.mkv"))
    ffmpeg("ffmpeg", "-v", "error", "-i", str(tmp_path / "one.mkv"), "-aspect", "16:9", *words)
    assert colour(tmp_path / "grey.mkv", tmp_path / "colour.mkv") == 0 and "two eyes" not in capsys.readouterr().err
    what = "sample_aspect_ratio" if mode == "mono" else "sample_aspect_ratio:stream_tags=stereo_mode:stream_side_data=type"
    assert probe(tmp_path / "grey.mkv", what) == probe(tmp_path / "colour.mkv", what)


def test_pixels_of_any_shape_are_written(tmp_path, colour):
    source = film(tmp_path / "grey.mkv", frames=1)
    ffmpeg("ffmpeg", "-v", "error", "-i", str(source), "-c", "copy", "-aspect", "16:1", str(tmp_path / "flat.mkv"))
    assert colour(tmp_path / "flat.mkv", tmp_path / "colour.mkv") == 0
    assert probe(tmp_path / "colour.mkv", "sample_aspect_ratio") == {"sample_aspect_ratio": "12:1"}


def test_a_stream_whose_codec_changes_on_the_way_is_told(tmp_path, colour, capsys):
    """The decoder of one takes pieces of the other, and says nothing of them."""
    for name, codec in (("a", "libx264"), ("b", "mpeg2video")):
        words = (
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=96x64:r=24,hue=s=0",
            "-frames:v",
            "9",
            "-c:v",
            codec,
            "-bf",
            "0",
            "-f",
            "mpegts",
        )
        ffmpeg("ffmpeg", "-v", "error", *words, str(tmp_path / name))
    (tmp_path / "grey.ts").write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes())
    assert colour(tmp_path / "grey.ts", tmp_path / "colour.mkv") == 1
    assert "pieces of its pictures gave no picture; does its codec change on the way?" in capsys.readouterr().err
