"""Ray workers give the bytes of one machine, whatever dies meanwhile; Ray runs in processes of its own."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers import ROOT
from helpers.files import CAT
from PIL import Image

from colorjax import cli
from colorjax.archive import plan
from colorjax.archive.colorize_command import telling

COUNT = 32
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra cluster is not installed")
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
size = {"num_cpus": 1, "object_store_memory": 10**8}
cluster = Cluster(initialize_head=True, head_node_args=size | {"include_dashboard": False})
node = cluster.add_node(**size)
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(node)
print("removed", flush=True)
sys.stdin.readline()
cluster.shutdown()
"""
# What Python imports at the start of every process of the cluster: photographs are slow, and one of them is deadly.
SLOW = """
import os, time
from PIL import Image
first = Image.open
def slow(file, *rest, **options):
    time.sleep(0.05)
    if "deadly" in str(getattr(file, "name", file)):
        os.kill(os.getpid(), 9)
    return first(file, *rest, **options)
Image.open = slow
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """A cluster of two machines with one processor each: its process, and its address."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(SLOW)
    environment = os.environ | {"PYTHONPATH": str(folder), "RAY_USAGE_STATS_ENABLED": "0"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", CLUSTER], env=environment, stderr=subprocess.DEVNULL, **pipes)
    yield process, process.stdout.readline().strip()
    process.communicate("\n\n", timeout=60)


@pytest.fixture(scope="module")
def album(tmp_path_factory, weights):
    """Photographs, a broken one among them, and what one machine makes of them."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "album" / "deep").mkdir(parents=True)
    for i in range(COUNT):
        name = f"{i:02d}.jpg" if i % 2 else f"deep/{i:02d}.png"
        Image.fromarray(np.roll(CAT[: 60 + i], 4 * i, axis=1)).save(folder / "album" / name)
    (folder / "album" / "broken.jpg").write_bytes(b"no picture")
    process = start(folder, "one", weights)
    process.communicate(timeout=120)
    assert process.returncode == 1
    return folder


def start(folder, out, ckpt, *arguments):
    """The command with relative paths, running."""
    command = [sys.executable, "-m", "colorjax", "colorize", "album", "--out", out, "--ckpt", ckpt, *arguments, "--json"]
    command += ["--report", f"{out}.report.json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [str(part) for part in command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def content(folder):
    """All but what a killed process left, which a later run sweeps."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".part")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def told(folder, name):
    """The photographs of a report, without the time that they took and the name of --out."""
    about = json.loads((folder / f"{name}.report.json").read_text())["photographs"]
    return [{key: value for key, value in one.items() if key not in ("seconds", "copy")} for one in about]


def wait_for(count, folder):
    """How many copies there are, as soon as there are so many."""
    deadline = time.monotonic() + 100
    while (done := sum(1 for _ in folder.rglob("*.colorized.*.json"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return done


def workers(process):
    """The processes that colour."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            found += [child] if " ".join(child.cmdline()).startswith("ray::MapWorker") else []
        except psutil.Error:
            continue
    return found


@needs_ray
def test_a_photograph_that_kills_its_workers_fails_alone(nodes, album, weights):
    deadly = album / "album" / "deadly.jpg"
    deadly.write_bytes((album / "album" / "01.jpg").read_bytes())
    process = start(album, "deadly", weights, "--cluster", nodes[1])
    out, err = process.communicate(timeout=300)
    deadly.unlink()
    assert process.returncode == 1, err
    lines = {Path(line["source"]).name: line for line in map(json.loads, out.splitlines())}
    assert len(lines) == len(out.splitlines()) == COUNT + 2
    assert lines["deadly.jpg"]["reason"] == "the worker that coloured it died, 4 times"
    assert content(album / "deadly") == content(album / "one")
    assert [one for one in told(album, "deadly") if one["source"] != "album/deadly.jpg"] == told(album, "one")


@needs_ray
def test_the_same_bytes_though_a_worker_is_killed_and_a_machine_is_lost(nodes, album, weights):
    process = start(album, "two", weights, "--cluster", nodes[1], "--workers", "2")
    wait_for(1, album / "two")
    workers(nodes[0])[0].send_signal(signal.SIGKILL)
    done = wait_for(10, album / "two")
    nodes[0].stdin.write("\n")
    nodes[0].stdin.flush()
    assert nodes[0].stdout.readline() == "removed\n"
    assert done < COUNT
    out, err = process.communicate(timeout=200)
    lines = out.splitlines()
    assert process.returncode == 1, err
    assert sorted(json.loads(line)["source"] for line in lines) == sorted(one["source"] for one in told(album, "one"))
    assert content(album / "two") == content(album / "one")
    assert told(album, "two") == told(album, "one")


def test_a_copy_of_an_earlier_attempt_is_told_as_the_first_time(album):
    report = json.loads((album / "one.report.json").read_text())
    for one in report["photographs"]:
        job = plan.Job(album / one["source"], album / one["copy"], free=True)
        again = telling.as_dict(plan.foresee(job, plan.Options()))
        known = {"source": str(job.source), "copy": str(job.target), "seconds": {}} | (
            {"copy": str(job.target)} if one["status"] == "coloured" else {}
        )
        assert again == one | known
        expected = "skipped" if one["status"] == "coloured" else one["status"]
        assert plan.foresee(dataclasses.replace(job, free=False), plan.Options()).status == expected


@pytest.mark.parametrize(("address", "words"), [("nowhere", "legal are local, auto and HOST:PORT"), (None, "does not answer")])
@needs_ray
def test_an_address_that_is_wrong(capsys, album, weights, tmp_path, address, words):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but it does not listen
        address = address or f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = ["colorize", album / "album", "--out", tmp_path / "out", "--ckpt", weights, "--cluster", address]
        assert cli.main([str(argument) for argument in arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"colorjax: --cluster {address}")
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_ray_it_says_what_to_install(capsys, album, weights, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    arguments = ["colorize", str(album / "album"), "--out", str(tmp_path / "out"), "--ckpt", str(weights)]
    assert cli.main([*arguments, "--cluster", "local"]) == 2
    assert capsys.readouterr().err == 'colorjax: --cluster needs Ray: pip install "colorjax[cluster]"\n'
    assert cli.main([*arguments, "--workers", "2"]) == 2
    assert capsys.readouterr().err == "colorjax: --workers 2 must be positive, and needs --cluster\n"


@needs_ray
def test_what_a_worker_lacks_ends_the_run(weights):
    lacks = {
        "/nowhere does not exist": {"ckpt": "/nowhere"},
        "does not see --out out: give what all machines share, or a URL": {"seen": {"/nowhere": "--out out"}},
        "has colorjax": {"version": "0"},
        "size=8 must be at least 32": {"size": 8},
    }
    program = f"""
import dataclasses, pickle
from colorjax.archive import colorize_cluster as cluster, plan
setup = cluster.Setup({str(weights)!r}, None, False, plan.Options())
for changes in {list(lacks.values())!r}:
    answer = cluster.Worker(dataclasses.replace(setup, **changes))(cluster._table(number=[7], job=[b""]))
    error = pickle.loads(answer["answer"].to_pylist()[0])
    print(answer["number"].to_pylist(), type(error).__name__, error)
"""
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    for line, words in zip(answer.stdout.splitlines(), lacks, strict=True):
        assert line.startswith(f"[7] ValueError the worker on {socket.gethostname()}: ")
        assert words in line
