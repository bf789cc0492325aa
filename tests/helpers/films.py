"""Films made in a line or two, and what Debian's ffmpeg says of films: another one than PyAV brings."""

import shutil
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest

from colorjax.film.containers import planes

SIZE = 48, 64


def film(
    path,
    pixels="yuv420p",
    frames=6,
    codec="ffv1",
    pts=None,
    shape=SIZE,
    base=Fraction(1, 25),
    field="",
    container=None,
    **about,
):
    """A film of noise that gets brighter from frame to frame. field: "tff" or "bff" for interlaced frames. `about` sets what
    its codec context says."""
    rng, (height, width) = np.random.default_rng(0), shape
    with av.open(str(path), "w", container_options=container or {}) as out:
        stream = out.add_stream(codec, rate=25, options=about.pop("options", {}))
        context = stream.codec_context
        context.width, context.height, context.pix_fmt, context.time_base = width, height, pixels, base
        for name, value in about.items():
            setattr(context, name, value)
        for number in range(frames):
            frame = av.VideoFrame(width, height, pixels)
            top = 2 ** planes.bits(pixels)
            for plane in frame.planes:
                samples = np.ndarray(
                    (plane.height, plane.line_size // (2 if top > 256 else 1)), "<u2" if top > 256 else "u1", plane
                )
                samples[:] = rng.integers(top // 8, top * 5 // 8, samples.shape) + number * top // 64
            frame.pts, frame.time_base = (pts or range(frames))[number], base
            if field:
                graph = av.filter.Graph()
                source = graph.add_buffer(width=width, height=height, format=frame.format, time_base=base)
                graph.link_nodes(source, graph.add("setparams", f"field_mode={field}"), graph.add("buffersink")).configure()
                graph.vpush(frame)
                frame = graph.vpull()
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return path


def ffmpeg(*words):
    """Debian's, another one than PyAV brings; the test is skipped, and says so, where there is none."""
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        pytest.skip("ffmpeg and ffprobe are not installed: nothing but our own code could check it")
    return subprocess.run(words, check=True, timeout=60, capture_output=True, text=True).stdout


def frames_md5(path):
    """framemd5 of Y' of each frame, by ffmpeg."""
    words = ["ffmpeg", "-v", "quiet", "-noautorotate", "-i", path, "-map", "0:v:0", "-vf", "extractplanes=y"]
    lines = ffmpeg(*map(str, words), "-fps_mode", "passthrough", "-f", "framemd5", "-").splitlines()
    return [line.split(",")[-1].strip() for line in lines if not line.startswith("#")]


def probe(path, what, stream="v:0"):
    """What ffprobe says of a stream, as a dict: probe(path, "pix_fmt,field_order")."""
    words = ("ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", f"stream={what}", "-of", "default=nw=1")
    return dict(line.split("=", 1) for line in ffmpeg(*words, str(path)).splitlines() if "=" in line)


def times(path):
    """When each frame is shown, seconds as ffprobe writes them."""
    words = ("-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time", "-of", "csv=p=0")
    return [line.strip(",") for line in ffmpeg("ffprobe", "-v", "error", *words, str(path)).split()]
