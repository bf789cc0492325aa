"""The layout of the house: which room may import which, and what stays out of the console command."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from colorjax.training import optim
from configs import base

PACKAGE = Path(__file__).parent.parent / "colorjax"
LEVELS = [
    {"color", "photos", "sharding", "caching", "statedict"},
    {"bins", "upsampling", "provenance", "marks", "remote", "hints", "pixels"},
    {"metrics", "data", "models", "pretrained", "simulation", "ageing"},
    {"perceptual", "state", "graph"},
    {"losses", "optim"},
    {"steps", "checkpoint", "summary"},
    {"evaluators", "telemetry", "settings", "engines"},
    {"figures", "colorizer", "workdirs", "exports", "guidance"},
    {"comparison", "sidecar"},
    {"runs", "report", "jobs", "sheet"},
    {"copies"},
    {"staging"},
    {"batch"},
    {"cluster"},
    {"coloring"},
    {"web"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
INSIDE = {"pretrained": {"models"}}  # of one level, but known to each other in this direction
ONLY_IN = {
    "tensorflow": "data",
    "tensorflow_datasets": "data",
    "orbax": "checkpoint",
    "ray": "cluster",
    "fsspec": "remote",
    "onnx": "graph",
    "starlette": "web",
    "uvicorn": "web",
}


def rooms():
    for path in PACKAGE.rglob("*.py"):
        relative = path.relative_to(PACKAGE)
        yield relative.parts[0].removesuffix(".py"), path


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("room", "path"), [pytest.param(r, p, id=str(p.relative_to(PACKAGE))) for r, p in rooms()])
def test_imports_point_downwards(room, path):
    if room in ("__init__", "__main__"):
        return
    assert room in LEVEL, f"{room} has no level: add it to LEVELS"
    for name in imported(path):
        library, _, rest = name.partition(".")
        assert ONLY_IN.get(library, room) == room, f"{path} imports {library}, which belongs in {ONLY_IN[library]}"
        other = rest.split(".")[0]
        if library == "colorjax" and other in LEVEL and other != room:
            assert LEVEL[other] < LEVEL[room] or other in INSIDE.get(room, ()), f"{room} may not import {other}"


def test_modules_and_functions_stay_short():
    for _, path in rooms():
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 70, f"{path}: {node.name}"
    assert len((PACKAGE.parent / "train.py").read_text().splitlines()) <= 160


def test_no_default_hides_outside_the_base_config():
    for path in [p for _, p in rooms()] + [PACKAGE.parent / "train.py", PACKAGE.parent / "evaluate.py"]:
        assert not re.search(r"config[a-z_.]*\.get\(", path.read_text()), path


def test_every_key_of_the_base_config_is_explained_and_read():
    source = (PACKAGE.parent / "configs" / "base.py").read_text()
    code = "\n".join(p.read_text() for _, p in rooms()) + (PACKAGE.parent / "train.py").read_text()
    for line in source.splitlines():
        match = re.match(r"    config\.([\w.]+) = (.*)", line)
        if match and "ConfigDict()" not in match[2]:
            assert "#" in match[2], f"{match[1]} has no comment"
            assert re.search(rf"\b{match[1].split('.')[-1]}\b", code), f"nothing reads {match[1]}"


def test_importing_is_quick_and_colouring_imports_no_training_library():
    blocked = [
        "tensorflow",
        "dm_pix",
        "matplotlib",
        "tensorboard",
        "tensorflow_datasets",
        "skimage",
        "absl.app",
        "ray",
        "keras",
    ]
    code = f"""
import sys, time
sys.modules.update(dict.fromkeys({blocked!r}))
start = time.process_time()
import colorjax
assert not {{"jax", "numpy", "flax", "optax", "PIL"}} & sys.modules.keys()
print(time.process_time() - start)
colorjax.Colorizer, colorjax.color
print(time.process_time() - start)
"""
    result = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, stdout=subprocess.PIPE, text=True)
    alone, colorizer = map(float, result.stdout.split())  # of the processor: the clock would count what other tests do
    assert alone < 0.3 and colorizer < 2.5


def test_schedule_steps_down_once_an_epoch_along_a_cosine():
    config = base.get_config()
    config.epochs, config.learning_rate = 4, 1.0
    rate = optim.schedule(config, steps_per_epoch=10)
    expected = np.repeat(0.5 * (1 + np.cos(np.pi * np.arange(4) / 4)), 10)
    np.testing.assert_allclose([float(rate(step)) for step in range(40)], expected, atol=1e-6)
    config.warmup_steps = 5
    np.testing.assert_allclose(
        [float(optim.schedule(config, 10)(step)) for step in range(6)], [0.2, 0.4, 0.6, 0.8, 1, 1], atol=1e-6
    )
