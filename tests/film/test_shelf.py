"""What films of a real shelf say of themselves: how they are held, what lies beside their samples, where they come from."""

import av
import numpy as np
import pytest
from helpers.films import ffmpeg, film

from colorjax.film import coloring
from colorjax.film.containers import planes, reading

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
