"""The whole way: train, stop, go on, evaluate, colour."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import ROOT
from helpers.tiny import config as tiny
from PIL import Image

from colorjax import checkpoint
from colorjax.checkpoint import networks
from colorjax.evaluation.history import read_rows
from colorjax.networks import state
from colorjax.platform import sharding
from colorjax.training import optim, workdirs
from configs import base

sys.path.insert(0, str(ROOT))
import evaluate
import train

STEPS = 12  # 96 crops in batches of 16, two epochs
pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "straight"
    return workdir, train.train(tiny(), workdir)


def leaves(workdir, step):
    network = checkpoint.load(workdir / "checkpoints" / str(step))
    return [np.asarray(leaf) for leaf in jax.tree.leaves((network.params, network.stats))]


def history(workdir):
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in read_rows(workdir)]


def test_run_leaves_everything_it_promises(run):
    workdir, measured = run
    assert sorted(p.name for p in (workdir / "checkpoints").iterdir() if p.name.isdigit()) == ["12", "6"]
    for name in ("config.json", "metrics.jsonl", "data_report.json", "figures/losses.png", "figures/panels.png"):
        assert (workdir / name).stat().st_size > 0, name
    assert list((workdir / "tensorboard").iterdir())
    rows = history(workdir)
    assert [row["step"] for row in rows if row["kind"] == "validation"] == [6, STEPS]
    assert [row["step"] for row in rows if row["kind"] == "train"] == [1, 4, 6, 8, 12]
    names = {"l1", "psnr", "ssim", "ssim_ab", "delta_e", "colourfulness_ratio", "bias_a", "bias_b"}
    assert names <= measured.keys() and all(np.isfinite(measured[name]) for name in names)
    assert json.loads((workdir / "data_report.json").read_text())["validation"]["all"] == 2


def test_training_learns(run):
    """Two epochs bring L1 well under that of the grey prediction they start from."""
    rows = [row["l1"] for row in read_rows(run[0]) if row["kind"] == "train"]
    assert rows[-1] < 0.88 * rows[0]


def programs():
    """The training steps that are kept compiled."""
    return sorted(path.name for path in Path(jax.config.jax_compilation_cache_dir).glob("jit_whole_step-*"))


@pytest.fixture(scope="module")
def stopped(run, tmp_path_factory):
    """The same run, stopped after three steps; with the programs before and after."""
    workdir, before = tmp_path_factory.mktemp("runs") / "stopped", programs()
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 3)
        train.train(tiny(), workdir)
    return workdir, before, programs()


def test_a_second_start_finds_its_programs_in_the_cache(stopped):
    _, before, after = stopped
    assert before and after == before


@pytest.mark.slow
def test_stopped_and_started_again_is_the_same_run_bit_for_bit(run, stopped):
    (straight, _), (workdir, _, _) = run, stopped
    assert checkpoint_steps(workdir) == [3]
    train.train(tiny(), workdir)
    for ours, theirs in zip(leaves(workdir, STEPS), leaves(straight, STEPS), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [r for r in history(workdir) if r["kind"] == "validation"] == [
        r for r in history(straight) if r["kind"] == "validation"
    ]


def checkpoint_steps(workdir):
    return sorted(int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit())


def interrupt_after(monkeypatch, steps):
    """Send this process SIGINT while step `steps` + 1 is due, as Ctrl-C does."""
    from colorjax.training import steps as step_functions

    make = step_functions.make

    def counted(*args):
        step, calls = make(*args), []

        def run(state, batch):
            calls.append(1)
            if len(calls) == steps:
                signal.raise_signal(signal.SIGINT)
            return step(state, batch)

        return run

    monkeypatch.setattr(step_functions, "make", counted)


def test_a_finished_run_started_again_changes_nothing(run):
    workdir, measured = run
    before = history(workdir)
    assert train.train(tiny(), workdir) == pytest.approx(measured)
    assert history(workdir) == before


def test_another_network_in_the_same_workdir_is_refused(run):
    workdir, _ = run
    with pytest.raises(ValueError, match=r"(?s)holds another run.*model.width: 8 there, 16 now"):
        train.train(tiny(model__width=16), workdir)
    train.train(tiny(log_every=3), workdir)  # changed logging is fine
    train.train(tiny(), workdir)


@pytest.mark.slow
def test_non_finite_loss_stops_with_step_and_name(tmp_path):
    with pytest.raises(FloatingPointError, match=r"step [2-9]: .*loss.* not finite"):
        train.train(tiny(learning_rate=1e30, clip_norm=0.0), tmp_path)
    assert checkpoint_steps(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 6}, "batch_size=6 is not a multiple of the 4 devices"),
        ({"epochs": 0}, "epochs=0 must be positive"),
        ({"image_size": 8}, "image_size=8 must be at least 16"),
        ({"model__answer": 4, "image_size": 64, "loss__perceptual": 0.1}, "image_size=64 must be at least 128"),
        ({"looks": (3.0,)}, r"looks=\(3.0,\) must be one scale or several, each between 0.5 and 2"),
        ({"checkpoint_every": -1}, "checkpoint_every=-1 must not be negative"),  # else it saved after every step
        ({"panels": -1}, "panels=-1 must not be negative"),
        ({"data__limit": -1}, "data.limit=-1 must not be negative"),
        ({"model__dtype": "float16", "data__source": "web"}, "model.dtype='float16' is unknown"),  # before photographs are read
        ({"data__val_fraction": 1.0}, "data.val_fraction=1.0 must be"),
        ({"data__source": "web"}, "data.source='web' is unknown; legal are tfds, folder, sample"),
        ({"model__name": "vgg"}, "model.name='vgg' is unknown; legal are resnet_unet, shallow"),
        ({"pretrained": "nowhere.pth"}, "width=64"),
        ({"init_from": "nowhere", "data__source": "web"}, "init_from=nowhere does not exist"),  # before photographs are read
    ],
)
def test_wrong_settings_name_key_value_and_what_is_legal(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        train.train(tiny(**changes), tmp_path)


@pytest.mark.slow
def test_ctrl_c_saves_says_so_and_ends_well(tmp_path):
    command = [sys.executable, "train.py", "--config=configs/quick.py", f"--workdir={tmp_path}", "--config.epochs=500"]
    command += ["--config.image_size=32", "--config.model.width=8", "--config.log_every=1"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.time() + 240
    while len(read_rows(tmp_path)) < 3 and process.poll() is None and time.time() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "goes on from here" in out and "SIGTERM" in err
    assert len(checkpoint_steps(tmp_path)) >= 1


def test_tensorboard_shows_the_panels_of_each_epoch(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    workdir, _ = run
    shown = EventAccumulator(str(workdir / "tensorboard")).Reload()
    assert [event.step for event in shown.Images("panels")] == [STEPS // 2, STEPS]
    last = shown.Images("panels")[-1].encoded_image_string
    panels = Image.open(workdir / "figures" / "panels.png")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(last))), np.asarray(panels.convert("RGB")))


def test_command_line_answers_at_once_and_refuses_misspelt_keys():
    def command(*arguments):
        start = time.time()
        result = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)
        return result, time.time() - start

    result, seconds = command("train.py", "--help")
    assert "--workdir" in result.stdout and seconds < 6
    result, _ = command("train.py", "--config=configs/quick.py", "--workdir=/nowhere", "--config.learning_rat=1")
    assert (
        result.returncode != 0 and "did you mean --config.learning_rate?" in result.stderr and "Traceback" not in result.stderr
    )


def test_evaluate_measures_model_and_grey(run, tmp_path, capsys):
    workdir, measured = run
    rows = evaluate.evaluate(workdir / "checkpoints" / str(STEPS), tmp_path, {})
    for metric, value in measured.items():
        assert rows["straight"]["all"][metric]["mean"] == pytest.approx(value, rel=1e-4, abs=1e-4), metric
    assert rows["grey"]["all"]["colourfulness_ratio"]["mean"] == pytest.approx(0, abs=0.01)
    assert set(rows["grey"]) == {"all", "animals", "objects"}
    assert "Delta E 2000" in capsys.readouterr().out
    stored = json.loads((tmp_path / "metrics.json").read_text())
    assert stored["rows"] == rows and len(stored["per_picture"]["straight"]["l1"]) == 2
    page = (tmp_path / "report.html").read_text()
    assert "straight" in page and "http" not in page  # self-contained


def test_evaluate_on_other_photographs_takes_all_of_them(run, tmp_path):
    from PIL import Image

    workdir, _ = run
    rng = np.random.default_rng(0)
    for i in range(7):
        Image.fromarray(rng.integers(0, 255, (70, 80, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    rows = evaluate.evaluate(workdir, None, {"data.source": "folder", "data.dir": str(tmp_path)})
    assert rows["grey"]["all"]["pictures"] == 7


def test_release_gives_the_same_colours(run, tmp_path):
    from colorjax import Colorizer

    workdir, _ = run
    network = checkpoint.load(workdir)
    size = checkpoint.export(network, tmp_path / "weights")
    assert size == sum(p.stat().st_size for p in (tmp_path / "weights").rglob("*") if p.is_file())
    image = np.linspace(0, 255, 40 * 50).reshape(40, 50).astype(np.uint8)
    ours, theirs = (Colorizer.from_checkpoint(path)(image) for path in (tmp_path / "weights", workdir))
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 6  # bfloat16 keeps 8 bits of each kernel value
    with pytest.raises(checkpoint.CheckpointError, match="not empty"):
        checkpoint.export(network, tmp_path / "weights")


def test_damaged_and_missing_checkpoints_are_named(run, tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match="does not exist"):
        checkpoint.load(tmp_path / "none")
    with pytest.raises(checkpoint.CheckpointError, match="holds no checkpoint"):
        checkpoint.load(tmp_path)
    checkpoint.export(checkpoint.load(run[0]), tmp_path / "w")
    for inside in (run[0] / "checkpoints", tmp_path / "w" / "weights"):
        with pytest.raises(checkpoint.CheckpointError, match=f"holds no checkpoint .*; did you mean {inside.parent}"):
            checkpoint.load(inside)
    with pytest.raises(checkpoint.CheckpointError, match=r"config\.json is a file; .*; did you mean "):
        checkpoint.load(run[0] / "config.json")
    victim = max((p for p in (tmp_path / "w" / "weights").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    with pytest.raises(checkpoint.CheckpointError, match=r"is damaged: SHA-256"):
        checkpoint.load(tmp_path / "w")


@pytest.mark.slow
def test_the_printed_commands_work_as_printed(tmp_path, capsys):
    import shlex

    from colorjax import cli

    workdir = tmp_path / "my runs"
    train.train(tiny(epochs=1), workdir)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert [line.split()[:2] for line in lines] == [["python", "evaluate.py"], ["colorjax", "colorize"], ["colorjax", "export"]]
    subprocess.run([sys.executable, *shlex.split(lines[0])[1:]], cwd=ROOT, check=True, capture_output=True, timeout=200)
    assert (workdir / "report" / "report.html").stat().st_size > 1000
    for line in lines[1:]:
        assert cli.main(shlex.split(line)[1:]) == 0
    assert (workdir / "colorized" / "example.colorized.png").exists() and (workdir / "weights" / "checksums.json").exists()


def test_a_failed_first_start_does_not_claim_the_workdir(tmp_path):
    with pytest.raises(ValueError, match="not a folder"):
        train.train(tiny(model__name="shallow", data__source="folder", data__dir="nowhere"), tmp_path)
    train.train(tiny(model__name="shallow", epochs=1), tmp_path)


def test_a_workdir_holds_one_run_at_a_time(tmp_path, monkeypatch):
    """What a second one would find, an unfinished checkpoint, it would set aside as damaged."""
    with workdirs.held(tmp_path / "new" / "run"), pytest.raises(ValueError, match=r"another run works in .*run: wait"):
        train.train(tiny(data__dir="nowhere", data__source="folder"), tmp_path / "new" / "run")
    with pytest.raises(ValueError, match="not a folder"):  # it is free again, and the photographs are looked at
        train.train(tiny(data__dir="nowhere", data__source="folder"), tmp_path / "new" / "run")
    assert not (tmp_path / "new" / "run").exists()  # for nothing began
    with monkeypatch.context() as patch, pytest.raises(ValueError, match="run cannot be written to; name another --workdir"):
        patch.setattr(os, "access", lambda *_: False)
        train.train(tiny(data__dir="nowhere", data__source="folder"), tmp_path / "run")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file; name a folder as --workdir"):
        train.train(tiny(data__dir="nowhere", data__source="folder"), tmp_path / "file")


def test_a_workdir_among_its_photographs_is_refused(tmp_path):
    """The panels that it draws would be new photographs when it goes on."""
    (tmp_path / "photos").mkdir()
    for key in ("dir", "val_dir"):
        with pytest.raises(ValueError, match=rf"--workdir=.*/run lies among the photographs of data\.{key}="):
            train.train(tiny(**{"data__source": "folder", f"data__{key}": str(tmp_path)}), tmp_path / "photos" / "run")
    with pytest.raises(ValueError, match="holds no photographs"):
        train.train(tiny(data__source="folder", data__dir=str(tmp_path / "photos")), tmp_path / "photos-run")


def test_a_first_save_that_was_cut_off_does_not_claim_the_workdir(tmp_path):
    (tmp_path / "config.json").write_text(tiny(seed=5).to_json_best_effort())
    (tmp_path / "checkpoints" / "6.orbax-checkpoint-tmp-1").mkdir(parents=True)
    assert workdirs.began(tmp_path, tiny(), base.get_config()) is None
    (tmp_path / "checkpoints" / "6").mkdir()
    with pytest.raises(ValueError, match=r"seed: 5 there, 0 now"):
        workdirs.began(tmp_path, tiny(), base.get_config())
    assert workdirs.began(tmp_path, tiny(seed=5, looks=(0.8, 1.2)), base.get_config()) is None  # no list of photographs, either


def test_other_photographs_in_a_started_workdir_are_refused(run, monkeypatch):
    from colorjax.data import sources

    monkeypatch.setattr(sources, "_SAMPLE_CROPS", 30)
    with pytest.raises(ValueError, match="holds a run on other photographs"):
        train.train(tiny(), run[0])


def test_clipping_can_be_switched_off_in_a_running_training(tmp_path, monkeypatch):
    interrupt_after(monkeypatch, 2)
    train.train(tiny(model__name="shallow"), tmp_path)
    monkeypatch.undo()
    train.train(tiny(model__name="shallow", epochs=1, clip_norm=0.0), tmp_path)
    assert checkpoint_steps(tmp_path)[-1] == 6


def test_a_run_without_any_readable_photograph_stops(tmp_path, monkeypatch):
    from colorjax import photos
    from colorjax.data import prepare

    def lost(*_):
        raise photos.PhotoError("the file is not there")

    monkeypatch.setattr(prepare.Store, "load", lost)
    with pytest.raises(OSError, match="step 1: none of its photographs can be read"):
        train.train(tiny(model__name="shallow"), tmp_path)


def test_the_best_checkpoint_outlives_the_latest_and_nonsense(tmp_path):
    import jax.numpy as jnp

    config = tiny()
    with checkpoint.Checkpoints(tmp_path, keep=2) as checkpoints:
        for step, value in enumerate([0.5, 0.1, 0.3, float("nan"), 0.4], start=1):
            arrays = {"w": jnp.zeros(3)}
            now = state.TrainState(jnp.int32(step), arrays, arrays, arrays, jnp.zeros(2))
            checkpoints.save(now, config, {"l1": value})
    assert checkpoint_steps(tmp_path) == [2, 4, 5]


def measured(folder, values):
    """A workdir with a checkpoint for each l1; None: it is measured only after it was saved."""
    config = tiny(model__name="shallow")
    shapes = state.abstract(config, optim.make(config, 6), sharding.make_mesh())
    now = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    for step, value in enumerate(values, start=1):
        with checkpoint.Checkpoints(folder, keep=2) as checkpoints:
            now.step = np.array(step, np.int32)
            checkpoints.save(now, config, value and {"l1": value})
            if value is None:
                checkpoints.note({"l1": 0.1})
    return folder


def test_a_checkpoint_that_a_run_deletes_while_it_is_read_is_not_missed(tmp_path, monkeypatch):
    load, tried = networks._load_step, []

    def of_a_run_in_progress(step):
        tried.append(step.name)
        if len(tried) == 1:
            shutil.rmtree(step / "network")
        return load(step)

    monkeypatch.setattr(networks, "_load_step", of_a_run_in_progress)
    assert checkpoint.load(measured(tmp_path, [0.3, 0.1])).source.name == "1" and tried == ["2", "1"]


def test_a_checkpoint_that_was_measured_after_a_stop_may_be_the_best(tmp_path):
    """It was saved when its validation was cut off; what was measured on the next start is whole, kept and found."""
    measured(tmp_path, [None, 0.3, 0.2, 0.4, 0.5])
    assert checkpoint_steps(tmp_path) == [1, 4, 5] and checkpoint.load(tmp_path).source.name == "1"
    checkpoint.checksums.verify(tmp_path / "checkpoints" / "1")


def test_evaluate_refuses_what_does_not_fit_the_weights(run):
    with pytest.raises(ValueError, match=r"model\.width cannot be changed"):
        evaluate.evaluate(run[0], None, {"model.width": 16})
    with pytest.raises(ValueError, match="image_size=8 must be at least 16"):
        evaluate.evaluate(run[0], None, {"image_size": 8})


def test_misspelt_key_of_evaluate_is_refused_in_one_line():
    command = [sys.executable, "evaluate.py", "--ckpt=x", "--config.data.dri=x"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode != 0 and "--config.data.dri" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.slow
def test_frozen_statistics_stay_those_of_the_start(run, tmp_path):
    """The network is trained all the same, with the statistics that the run before left."""
    start = checkpoint.load(run[0])
    train.train(tiny(init_from=str(run[0]), pretrained="", freeze_batch_norm=True, epochs=1), tmp_path)
    trained = checkpoint.load(tmp_path)
    for ours, theirs in zip(jax.tree.leaves(trained.stats), jax.tree.leaves(start.stats), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    moved = [np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (trained.params, start.params)), strict=True)]
    assert min(moved) > 0
