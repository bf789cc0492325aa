"""Several processes on loopback that are one run: the same losses, checkpoints of all, stops, deaths."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import ROOT
from helpers.tiny import config as tiny

from colorjax.evaluation.history import read_rows
from colorjax.platform import sharding

sys.path.insert(0, str(ROOT))
import train

CODE = """
import json, sys
sys.path[:0] = sys.argv[1:3]
import os, time, train
from colorjax.evaluation import figures
from colorjax.training import runs
from helpers import tiny
if os.environ["JAX_PROCESS_ID"] != "0":
    figures.save = figures.save_png = None  # only the first draws
add = runs.Meter.add
runs.Meter.add = lambda *args: (add(*args), time.sleep(float(os.environ["PAUSE"])))  # time to meddle
try:
    train.train(tiny.config(**json.loads(sys.argv[4])), sys.argv[3])
except (ValueError, RuntimeError, OSError) as error:
    train.fail(error)
"""
SMALL = {"model__name": "shallow", "model__dtype": "float32", "log_every": 1, "data__cache": False, "distributed__timeout": 10}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(workdir, processes=2, devices=2, pause=0.0, each=({}, {}), **changes):
    """The processes of a run, each with so many of its devices; what the environment says needs no setting."""
    address, started = f"127.0.0.1:{free_port()}", []
    for index in range(processes):
        environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices), "PAUSE": str(pause)}
        environment |= {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(processes), "JAX_PROCESS_ID": str(index)}
        arguments = [
            sys.executable,
            "-c",
            CODE,
            str(ROOT),
            str(ROOT / "tests"),
            str(workdir),
            json.dumps(SMALL | changes | each[index]),
        ]
        started.append(subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    return started


def finish(started, seconds=240):
    """[(exit code, stdout, stderr)]; whatever does not end in time is killed."""
    try:
        told = [process.communicate(timeout=seconds) for process in started]
    finally:
        for process in started:
            process.kill()
    ours = [
        ("".join(line for line in out.splitlines(keepends=True) if not line.startswith("[Gloo]")), err) for out, err in told
    ]
    return [(process.returncode, *words) for process, words in zip(started, ours, strict=True)]


def rows(workdir, kind="train"):
    found = [row for row in read_rows(workdir) if row["kind"] == kind]
    return [{name: value for name, value in row.items() if name != "images_per_second"} for row in found]


def wait_for_rows(workdir, count, started):
    deadline = time.time() + 200
    while len(read_rows(workdir)) < count and time.time() < deadline:
        assert all(process.poll() is None for process in started), finish(started, 10)
        time.sleep(0.02)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Two epochs of one process with four devices."""
    workdir = tmp_path_factory.mktemp("alone")
    train.train(tiny(**SMALL), workdir)
    return workdir


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The same epochs of two processes with two devices each: the first stopped by a SIGTERM to one of them."""
    workdir = tmp_path_factory.mktemp("together")
    started = start(workdir, pause=0.3)
    wait_for_rows(workdir, 2, started)
    started[1].send_signal(signal.SIGTERM)
    first = finish(started)
    return workdir, first, finish(start(workdir, fsdp=True))


@pytest.mark.slow
def test_two_processes_are_one_run(alone, together):
    workdir, _, second = together
    assert [code for code, _, _ in second] == [0, 0], second[0][2][-2000:] + second[1][2][-2000:]
    for kind in ("train", "validation"):
        ours, theirs = rows(workdir, kind), rows(alone, kind)
        assert [row["step"] for row in ours] == [row["step"] for row in theirs]
        for one, two in zip(ours, theirs, strict=True):
            assert one.keys() == two.keys()
            np.testing.assert_allclose(one.get("loss", one["l1"]), two.get("loss", two["l1"]), rtol=1e-5)


@pytest.mark.slow
def test_a_stop_asked_of_one_stops_all_and_only_the_first_tells(together):
    workdir, first, second = together
    assert [code for code, _, _ in first] == [0, 0], first[0][2][-2000:] + first[1][2][-2000:]
    assert "the same command goes on from here" in first[0][1] and "going on from step" in second[0][1]
    for out in (first[1][1], second[1][1]):  # beside pieces of what Gloo prints
        assert not any(word in out for word in ("photographs", "epoch", "going on", "goes on", "done"))
    for name in ("figures/losses.png", "figures/panels.png", "photographs.json", "data_report.json"):
        assert (workdir / name).stat().st_size
    steps = sorted(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit())
    assert steps[-1] == 12 and all((workdir / "checkpoints" / str(step) / "checksums.json").exists() for step in steps)


@pytest.mark.slow
def test_what_two_saved_one_restores_and_the_other_way_round(alone, together):
    workdir, _, _ = together
    train.train(tiny(**SMALL, epochs=3), workdir)
    assert [row["step"] for row in rows(workdir)] == list(range(1, 19))
    third = finish(start(alone, epochs=3, fsdp=True))
    assert [code for code, _, _ in third] == [0, 0], third[0][2][-2000:]
    assert "going on from step 12" in third[0][1]
    np.testing.assert_allclose([r["loss"] for r in rows(alone)], [r["loss"] for r in rows(workdir)], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_where_one_dies_the_other_stops_and_a_restart_goes_on(together, tmp_path, victim):
    started = start(tmp_path, pause=0.3, checkpoint_every=2)
    wait_for_rows(tmp_path, 6, started)
    started[victim].kill()
    since = time.time()
    code, _, told = finish([started[1 - victim]], 60)[0]
    started[victim].communicate()
    assert time.time() - since < 60 and code != 0
    assert "another process of this run" in told or "JAX distributed service" in told, told[-3000:]
    again = finish(start(tmp_path, checkpoint_every=2))
    assert [code for code, _, _ in again] == [0, 0], again[0][2][-2000:]
    assert "going on from step" in again[0][1]
    theirs = {row["step"]: row["loss"] for row in rows(together[0])}
    assert [row["step"] for row in rows(tmp_path)] == list(range(1, 13))
    np.testing.assert_allclose([r["loss"] for r in rows(tmp_path)], [theirs[step] for step in range(1, 13)], rtol=1e-6)


@pytest.mark.slow
def test_processes_with_different_settings_are_refused(alone, tmp_path):
    """And init_from is read by each process on its own."""
    ended = finish(start(tmp_path, epochs=1, init_from=str(alone), each=[{}, {"learning_rate": 1e-4}]))
    assert [code for code, _, _ in ended] == [1, 1]
    assert all("the processes were given different settings" in told for _, _, told in ended), ended[0][2][-2000:]
    ended = finish(start(tmp_path, epochs=1, init_from=str(alone)))
    assert [code for code, _, _ in ended] == [0, 0], ended[0][2][-2000:]
    assert "starting from" in ended[0][1]


def test_settings_that_do_not_fit_are_refused(monkeypatch):
    for name in ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="must be HOST:PORT"):
        sharding.connect(tiny(distributed__coordinator="host").distributed)
    changes = {"distributed__coordinator": "host:1", "distributed__processes": 2, "distributed__process": 2}
    with pytest.raises(ValueError, match=r"distributed\.process=2 must be at least 0 and below distributed\.processes=2"):
        sharding.connect(tiny(**changes).distributed)
    sharding.connect(tiny().distributed)  # alone
