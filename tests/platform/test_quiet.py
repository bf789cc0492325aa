"""Libraries say nothing in a command's output, whatever they are written in; what goes wrong is still said."""

import contextlib
import io
import os
import struct
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
from helpers import ROOT
from PIL import Image

from colorjax import cli
from colorjax.platform import quiet
from colorjax.web import server

PROGRAM = """
import ctypes, logging, os, sys, warnings
from colorjax.platform import quiet
with quiet.libraries():
    warnings.warn("a library's")
    logging.getLogger("library").warning("a library's")
    os.write(2, b"a library's")
    print("ours", file=sys.stderr)
os.write(2, b"afterwards")
logging.getLogger("library").warning("afterwards")
"""


def python(*arguments):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return subprocess.run([sys.executable, *map(str, arguments)], env=environment, cwd=ROOT, capture_output=True, text=True)


def test_only_our_own_words_reach_stderr():
    assert python("-c", PROGRAM).stderr == "ours\nafterwardsafterwards\n"
    assert python("-W", "default", "-c", PROGRAM).stderr.count("a library's") == 3


def test_files_that_decoders_complain_about(tmp_path):
    """libpng writes of a damaged profile from C, Pillow warns of cut EXIF."""
    (tmp_path / "album").mkdir()
    data = imagecodecs.png_encode(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 20)
    bad = b"sBIT" + bytes(3)
    bad = struct.pack(">I", 3) + bad + struct.pack(">I", zlib.crc32(bad))
    (tmp_path / "album" / "deep.png").write_bytes(data[:33] + bad + data[33:])
    stream = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(stream, "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    (tmp_path / "album" / "cut.webp").write_bytes(stream.getvalue())
    done = python("-m", "colorjax", "colorize", tmp_path / "album", "--out", tmp_path / "out")
    assert done.stdout == f"2 photographs coloured into {tmp_path / 'out'}\n"
    assert [line for line in done.stderr.splitlines() if not line.startswith(str(tmp_path / "album"))] == []
    python("-m", "colorjax", "verify", tmp_path / "out").check_returncode()


def test_errors_are_still_said(tmp_path):
    done = python("-m", "colorjax", "colorize", tmp_path / "nothing.jpg", "--out", tmp_path / "out")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"colorjax: {tmp_path / 'nothing.jpg'}: no such file or folder")


def test_a_server_keeps_what_libraries_say(tmp_path, monkeypatch, capsys):
    entered = []
    monkeypatch.setattr(quiet, "libraries", lambda: entered.append(True) or contextlib.nullcontext())
    monkeypatch.setattr(server, "run", lambda args: 0)
    assert (cli.main(["serve"]), entered) == (0, [])
    (tmp_path / "a.colorized.jpg.json").write_text("{}")
    assert (cli.main(["verify", str(tmp_path)]), entered) == (1, [True])
    assert "is no sidecar of colorjax" in capsys.readouterr().out
