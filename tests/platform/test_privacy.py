"""A run tells nobody of itself: it opens no socket, and leaves nothing in the home folder but our own cache."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT, no_sockets
from PIL import Image

from colorjax.platform import privacy

pytest.importorskip("onnxruntime")


def run(home, *arguments):
    """A Python process in this home folder that may open no socket, as it would be started by somebody who sets nothing."""
    ours = ("ORT_DISABLE_TELEMETRY", "COLORJAX_CACHE", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in ours} | {"HOME": str(home)}
    guard = [no_sockets.__file__] if no_sockets.IS_THERE else []
    command = [sys.executable, *guard, *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_run_opens_no_socket_and_leaves_nothing_in_a_fresh_home_but_our_cache(tmp_path):
    (tmp_path / "home").mkdir()
    Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(tmp_path / "a.png")
    done = run(
        tmp_path / "home", "-m", "colorjax", "colorize", tmp_path / "a.png", "--out", tmp_path / "out", "--engine", "onnx"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "a.colorized.png").is_file()
    left = [path.relative_to(tmp_path / "home").as_posix() for path in (tmp_path / "home").rglob("*")]
    assert [path for path in left if path != ".cache" and not path.startswith(".cache/colorjax")] == []


@pytest.mark.skipif(not no_sockets.IS_THERE, reason="the guard is Linux's seccomp")
def test_the_guard_sees_a_socket(tmp_path):
    assert run(tmp_path, "-c", "import socket; socket.socket()").returncode == -signal.SIGSYS


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("0", "0")])
def test_the_user_has_the_last_word(monkeypatch, before, after):
    if before is None:
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    else:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", before)
    privacy.without_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == after


def test_nothing_imports_onnx_runtime_past_the_switch():
    """Tests come after conftest.py, which imports colorjax."""
    files = [path for place in ("colorjax", "benchmarks") for path in (ROOT / place).rglob("*.py")]
    files = [path.relative_to(ROOT).as_posix() for path in files if "import onnxruntime" in path.read_text()]
    assert files == ["colorjax/inference/engines.py"]
