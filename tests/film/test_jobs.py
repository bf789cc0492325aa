"""A film is long: what is done stays, and the same command goes on; what is wrong is said in one sentence."""

import errno
import itertools
import re
import signal
import subprocess
import sys
import time
import weakref

import numpy as np
import pytest
from helpers import ROOT
from helpers.films import film, frames_md5

from colorjax import cli
from colorjax.film import coloring, steadying
from colorjax.film.jobs import arguments, job, places

pytestmark = pytest.mark.usefixtures("quick_compile")
_CHILD = """
import sys, time
sys.path[:0] = [{tests!r}, {root!r}]
from types import SimpleNamespace
from pathlib import Path
import resource
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
import numpy as np
from colorjax import cli
from colorjax.film import coloring, steadying
from colorjax.film.jobs import command
def slow(luma, *_, **__):
    for lightness in luma:
        time.sleep({pause})
        yield np.stack([lightness * 0.3 - 5, 25 - lightness * 0.2], -1).astype(np.float32)
network = SimpleNamespace(digest="0" * 64, source=Path("made-up"))
colorizer = SimpleNamespace(size=96, flip=False, guided=True, network=network, engine=SimpleNamespace(about={{}}))
command.colorize_many.load = lambda *_: colorizer
steadying.color_shot = slow
steadying.find = lambda small: ([number for number, _ in enumerate(small) if number % 3 == 0], [])
sys.exit(cli.main(["film", sys.argv[1], "--out", sys.argv[2]]))
"""


def child(source, out, pause=0.0, limit=0):
    """`colorjax film` in a process of its own, with the network of `colour`."""
    code = _CHILD.format(tests=str(ROOT / "tests"), root=str(ROOT), pause=pause, limit=limit)
    return subprocess.Popen(
        [sys.executable, "-c", code, source, out], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def done(out):
    return len(list(job_folder(out).glob("0*.json")))


def job_folder(out):
    return out.with_name(out.name + job.WORK)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_at_any_time_the_same_command_goes_on(tmp_path, colour, capsys, how):
    source, out = film(tmp_path / "grey.mkv", frames=12), tmp_path / "colour.mkv"
    process = child(source, out, pause=0.4)
    with process:
        until = time.monotonic() + 60
        while done(out) < 2 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(how)
        told = process.communicate(timeout=30)[1]
    assert process.returncode == (-9 if how == signal.SIGKILL else 130)
    assert how == signal.SIGKILL or "the same command goes on" in told
    assert not out.exists() and 2 <= done(out) < 4
    kept = {path.name: path.stat().st_mtime_ns for path in job_folder(out).glob("0*.mkv")}
    first = dict(list(sorted(kept.items()))[:2])
    capsys.readouterr()
    assert colour(source, out) == 0
    assert "of 4 shots are there already" in capsys.readouterr().err
    assert first and frames_md5(source) == frames_md5(out) and not job_folder(out).exists()
    assert cli.main(["verify", str(out)]) == 0


@pytest.mark.slow
def test_a_full_disk_loses_one_shot_at_most(tmp_path, colour):
    source, out = film(tmp_path / "grey.mkv", frames=9, shape=(240, 320)), tmp_path / "colour.mkv"
    assert source.stat().st_size > 600_000
    process = child(source, out, limit=700_000)  # a shot of three frames has room, the whole film has none
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and "no room is left" in told and "Traceback" not in told
    assert not out.exists() and done(out) == 3 and not (tmp_path / "colour.mkv.json").exists()
    assert colour(source, out) == 0 and frames_md5(source) == frames_md5(out)


@pytest.mark.parametrize(("error", "code"), [(OSError("the disk went away"), 1), (KeyboardInterrupt(), 130)])
def test_other_settings_do_not_mix_with_an_unfinished_copy(tmp_path, colour, capsys, monkeypatch, error, code):
    source, out, shots = film(tmp_path / "grey.mkv"), tmp_path / "colour.mkv", []

    def broken(luma, *_, **__):
        shots.append(luma)
        for number, lightness in enumerate(luma):
            if number == 2 and len(shots) == 2:
                raise error
            yield lightness[..., None].repeat(2, -1) / 5

    with monkeypatch.context() as patch:
        patch.setattr(steadying, "color_shot", broken)
        assert colour(source, out) == code
    assert done(out) == 1 and not out.exists()
    assert colour(source, out, "--strength", 0.5) == 1
    assert "made otherwise (strength)" in capsys.readouterr().err
    assert colour(source, out) == 0 and "1 of 2 shots are there already" in capsys.readouterr().err
    assert frames_md5(source) == frames_md5(out) and not job_folder(out).exists()


def test_two_at_a_time_are_told_apart(tmp_path, colour, capsys):
    fcntl = pytest.importorskip("fcntl")
    source, out = film(tmp_path / "grey.mkv", frames=1), tmp_path / "colour.mkv"
    job_folder(out).mkdir()
    with open(job_folder(out) / "lock", "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert colour(source, out) == 2
    assert "another colorjax works there" in capsys.readouterr().err


def test_what_is_whole_of_a_film_that_is_cut_short_is_kept(tmp_path, colour, capsys):
    whole = film(
        tmp_path / "whole.mp4",
        codec="libx264",
        frames=30,
        shape=(144, 176),
        options={"g": "1"},
        container={"movflags": "faststart"},
    )
    data = whole.read_bytes()
    (tmp_path / "grey.mp4").write_bytes(data[: len(data) * 2 // 3])
    assert colour(tmp_path / "grey.mp4", tmp_path / "colour.mkv") == 1
    told = capsys.readouterr().err
    assert "cut short: its header promises 30 frames" in told
    kept = frames_md5(tmp_path / "colour.mkv")
    assert 15 <= len(kept) < 25 and kept == frames_md5(whole)[: len(kept)]


def test_a_film_whose_size_changes_ends_there(tmp_path, colour, capsys):
    parts = [
        film(tmp_path / f"{name}.mpg", codec="mpeg2video", shape=shape) for name, shape in (("a", (96, 128)), ("b", (144, 176)))
    ]
    (tmp_path / "grey.mpg").write_bytes(b"".join(path.read_bytes() for path in parts))
    assert colour(tmp_path / "grey.mpg", tmp_path / "colour.mkv") == 1
    told = re.search(r"from frame (\d+) on its pictures are 176x144, not 128x96", capsys.readouterr().err)
    assert told and 5 <= int(told[1]) <= 6  # the decoder may still hold one
    assert frames_md5(tmp_path / "colour.mkv") == frames_md5(parts[0])[: int(told[1])]


def test_what_is_no_film_is_named(tmp_path, colour, capsys):
    import av

    (tmp_path / "empty.mkv").write_bytes(b"")
    (tmp_path / "text.mkv").write_text("no film at all" * 100)
    whole = film(tmp_path / "whole.mp4", codec="libx264").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 3])
    with av.open(str(tmp_path / "sound.mkv"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
    said = {
        "empty.mkv": "an empty file",
        "text.mkv": "no film, or its beginning is damaged",
        "half.mp4": "its index (moov), which lies at its end, is missing",
        "sound.mkv": "holds no moving pictures, but 1 audio",
        "gone.mkv": "no such file or folder",
    }
    for name, words in said.items():
        assert colour(tmp_path / name, tmp_path / "colour.mkv") == 2
        told = capsys.readouterr().err
        assert words in told and len(told.splitlines()) == 1, told
    assert not (tmp_path / "colour.mkv.work").exists()


def test_wrong_usage_is_one_sentence(tmp_path, colour, capsys):
    source = film(tmp_path / "grey.mkv", frames=1)
    said = {
        ("colour.mp4",): "cannot hold ffv1: name --codec h264 or hevc",
        ("colour.mkv", "--chroma", "420"): "ffv1 is not written with --chroma 420",
        ("colour.mkv", "--strength", "9"): "--strength 9.0 must be in 0..1.5",
        ("colour.mkv", "--report", "report.txt"): "must end in .csv",
        ("colour.mkv", "--shots", "none.txt"): "none.txt",
        ("grey.mkv",): "is the film itself",
        ("..",): "has no name of its own",
    }
    for (name, *options), words in said.items():
        assert colour(source, tmp_path / name, *options) in (1, 2)
        told = capsys.readouterr().err
        assert words in told and "Traceback" not in told, told


def test_a_report_that_cannot_be_written_is_told_before_anything_begins(tmp_path, colour, capsys, monkeypatch):
    source, out = film(tmp_path / "grey.mkv", frames=1), tmp_path / "colour.mkv"
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("")

    def refused(report, words):
        assert colour(source, out, "--report", report) == 2
        told = capsys.readouterr().err
        assert words in told and len(told.splitlines()) == 1 and not job_folder(out).exists(), told

    refused(tmp_path / "folder.csv", "folder.csv cannot be written: a folder is in its place")
    refused(tmp_path / "file" / "report.csv", "report.csv cannot be written: ")
    refused(job_folder(out) / "report.csv", "lies inside the copy")

    def denied(**_):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(places.tempfile, "TemporaryFile", denied)
        refused(tmp_path / "report.csv", "report.csv cannot be written: ")
    assert colour(source, out, "--report", tmp_path / "new" / "report.csv") == 0
    assert (tmp_path / "new" / "report.csv").is_file()


def test_a_report_can_be_asked_for_when_the_copy_is_there(tmp_path, colour, capsys):
    source, out, report = film(tmp_path / "grey.mkv", frames=8), tmp_path / "colour.mkv", tmp_path / "report.csv"
    assert colour(source, out, "--report", report) == 0
    text, copy = report.read_text(), out.stat().st_mtime_ns
    report.unlink()
    assert colour(source, out, "--report", report) == 0 and report.read_text() == text and out.stat().st_mtime_ns == copy
    assert "another" not in capsys.readouterr().err
    assert colour(source, out, "--report", report, "--strength", 0.5) == 0
    assert "colour.mkv is there already with another strength; --overwrite makes it anew" in capsys.readouterr().err
    report.unlink()
    sidecar = tmp_path / "colour.mkv.json"
    whole = sidecar.read_text()
    sidecar.write_text(whole.replace('"mean_chroma"', '"other"', 1))
    assert colour(source, out, "--report", report) == 2 and not report.exists()
    assert "does not have what the report needs (mean_chroma)" in capsys.readouterr().err
    sidecar.write_text(whole.replace('"shots": [', '"shots": [3,'))
    assert colour(source, out, "--report", report) == 2 and "its sidecar is damaged" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r'pip install "colorjax\[film\]"'):
        arguments.check()
    assert cli.main(["film", str(tmp_path / "grey.mkv"), "--out", str(tmp_path / "colour.mkv")]) == 2
    assert "films need more packages" in capsys.readouterr().err


def test_memory_does_not_grow_with_the_film(tmp_path, colour, monkeypatch):
    """No more frames are alive at a time than wait between the stages."""
    source, frames, most = film(tmp_path / "grey.mkv", frames=90, shape=(32, 32)), [], []
    kept = coloring.Video.seen

    def seen(self, size):
        frames.append(weakref.ref(self))
        if self.pts % 400 == 0:
            most.append(sum(frame() is not None for frame in frames))
        return kept(self, size)

    monkeypatch.setattr(coloring.Video, "seen", seen)
    assert colour(source, tmp_path / "colour.mkv") == 0
    assert len(most) == 9 and max(most) <= 4 * coloring.AHEAD


def test_the_film_that_speed_is_measured_on_has_texture_motion_and_cuts():
    from benchmarks.film import speed

    shown = list(speed.frames((96, 128), 6, 3))
    still = [np.abs(after.astype(int) - before).mean() for before, after in itertools.pairwise(shown)]
    assert all(frame.dtype == np.uint8 and frame.shape == (96, 128) and frame.std() > 10 for frame in shown)
    assert min(still) > 1 and still[2] > 2 * max(still[:2] + still[3:])
