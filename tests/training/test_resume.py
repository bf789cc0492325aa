"""Nothing is lost: stopped runs, damaged checkpoints, full disks, and states that are split over the devices."""

import io
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ROOT
from helpers.tiny import config as tiny
from jax.sharding import AxisType
from PIL import Image

from colorjax import checkpoint, data
from colorjax.checkpoint import checksums
from colorjax.evaluation.history import read_rows
from colorjax.networks import state
from colorjax.platform import sharding
from colorjax.training import optim, runs, steps, telemetry

sys.path.insert(0, str(ROOT))
import train

PATHS = f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'tests'), str(Path(__file__).parent)]}"  # of child processes
pytestmark = pytest.mark.usefixtures("quick_compile")
STEPS = 12  # 96 crops in batches of 16, two epochs


def config(**changes):
    return tiny(**{"ema": 0.9, "log_every": 5, "model__name": "shallow", "model__width": 32} | changes)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run with a moving average, never stopped: checkpoints of the steps 6 and 12."""
    workdir = tmp_path_factory.mktemp("resume") / "straight"
    train.train(config(), workdir)
    return workdir


def restored(workdir, settings=None):
    settings = settings or config()
    with checkpoint.Checkpoints(workdir, 3) as checkpoints:
        return checkpoints.restore(state.abstract(settings, optim.make(settings, 6), sharding.make_mesh()))[0]


def assert_same(ours, theirs):
    for (path, one), two in zip(jax.tree.leaves_with_path(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(one, two, err_msg=jax.tree_util.keystr(path))


def history(workdir):
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in read_rows(workdir)]


def stop_at(monkeypatch, *stops):
    """Send this process SIGTERM while the `stops`-th step of its next start is made."""
    make = steps.make

    def counted(*args):
        step, calls = make(*args), []

        def run(now, batch):
            calls.append(1)
            if len(calls) in stops:
                signal.raise_signal(signal.SIGTERM)
            return step(now, batch)

        return run

    monkeypatch.setattr(steps, "make", counted)


@pytest.mark.slow
def test_stopped_anywhere_is_the_same_run_with_the_same_rows(straight, tmp_path, monkeypatch, capsys):
    """Stopped in the first step, inside an interval of the log, and in the last step of an epoch, where it validates."""
    for count in (1, 2, 3, 5):
        with monkeypatch.context() as patch:
            stop_at(patch, count)
            train.train(config(), tmp_path)
    assert restored(tmp_path).step == 11
    train.train(config(), tmp_path)
    assert "stopped at step 6 of 12; the same command goes on from here" in capsys.readouterr().out
    assert history(tmp_path) == history(straight)
    assert [row["step"] for row in history(tmp_path)] == [1, 5, 6, 6, 10, 12, 12]
    assert_same(restored(tmp_path), restored(straight))


@pytest.mark.slow
def test_a_stop_during_validation_saves_at_once_and_validates_after_the_restart(straight, tmp_path, monkeypatch, capsys):
    batches, asked = data.Data.validation, []

    def interrupted(self, *args):
        for batch in batches(self, *args):
            signal.raise_signal(signal.SIGTERM)
            asked.append(1)
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(data.Data, "validation", interrupted)
        assert train.train(config(), tmp_path) == {}
        assert len(asked) == 1 and "stopped at step 6 of 12" in capsys.readouterr().out
        train.train(config(), tmp_path)
        assert len(asked) == 2 and "stopped at step 6 of 12" in capsys.readouterr().out
    assert [row["kind"] for row in history(tmp_path)] == ["train"] * 3
    with monkeypatch.context() as patch, pytest.raises(OSError, match="died"):  # in it, after its row was written
        patch.setattr(runs, "write_figures", lambda *_: (_ for _ in ()).throw(OSError("died")))
        train.train(config(), tmp_path)
    train.train(config(), tmp_path)
    assert history(tmp_path) == history(straight)
    assert_same(restored(tmp_path), restored(straight))
    assert checkpoint.load(tmp_path).source.name == checkpoint.load(straight).source.name  # the best


def test_a_stop_before_the_first_step_ends_well(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runs, "start", lambda *_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(SystemExit) as stopped:
        train.train(config(), tmp_path)
    assert stopped.value.code == 0 and "stopped before a step was made" in capsys.readouterr().out


def test_a_failed_save_does_not_hide_what_ended_the_run(straight, monkeypatch, capsys):
    def fails(*_):
        raise checkpoint.CheckpointError("No space left on device")

    with pytest.raises(FloatingPointError, match="the true reason"), checkpoint.Checkpoints(straight, 3) as checkpoints:
        monkeypatch.setattr(checkpoints, "wait", fails)
        raise FloatingPointError("the true reason")
    assert "No space left" in capsys.readouterr().err


def test_tensorboard_is_told_of_a_new_start(tmp_path):
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    for resume_step, value in ((0, 1.0), (2, 2.0)):
        with telemetry.Writer(tmp_path, resume_step) as writer:
            for step in range(resume_step + 1, 5):
                writer.write("train", step, {"l1": value})
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in shown.Tensors("train/l1")] == [1, 2, 3, 4]
    assert [row["l1"] for row in read_rows(tmp_path)] == [1.0, 1.0, 2.0, 2.0]


def test_pictures_of_steps_that_are_made_again_are_void(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    now = time.time()
    for resume_step, grey in ((0, 10), (2, 200)):
        monkeypatch.setattr(time, "time", lambda begun=now + 60 * resume_step: begun)  # TensorBoard reads files by their time
        with telemetry.Writer(tmp_path, resume_step) as writer:
            for step in range(resume_step + 1, 4):
                writer.picture("panels", step, Image.new("L", (6, 4), grey))
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Images("panels")
    assert [(event.step, event.width, event.height) for event in shown] == [(step, 6, 4) for step in (1, 2, 3)]
    pixels = [Image.open(io.BytesIO(event.encoded_image_string)).getpixel((0, 0)) for event in shown]
    assert pixels == [(10, 10, 10), (10, 10, 10), (200, 200, 200)]


class Notes:
    """A `telemetry.Sink` that remembers."""

    def __init__(self, broken=False):
        self.told, self.broken, self.closed = [], broken, False

    def scalars(self, kind, step, values):
        self.told.append((kind, step, values))

    def picture(self, name, step, image):
        self.told.append((name, step, image.size))

    def close(self):
        self.closed = True
        if self.broken:
            raise OSError("no connection")


def test_further_sinks_are_told_the_same_and_closed(tmp_path):
    one, other = Notes(broken=True), Notes()
    with pytest.raises(OSError, match="no connection"), telemetry.Writer(tmp_path, 0, [one, other]) as writer:
        writer.write("train", 1, {"l1": 0.5})
        writer.picture("panels", 1, Image.new("RGB", (6, 4)))
    assert one.told == other.told == [("train", 1, {"l1": 0.5}), ("panels", 1, (6, 4))]
    assert one.closed and other.closed and writer._file.closed


def test_the_average_follows_and_is_what_ships(straight):
    now = restored(straight)
    assert jax.tree.structure(now.network) == jax.tree.structure((now.params, now.stats))
    assert any(
        (one != two).any() for one, two in zip(*map(jax.tree.leaves, (now.network, (now.params, now.stats))), strict=True)
    )
    loaded = checkpoint.load(straight / "checkpoints" / str(STEPS))
    assert_same((loaded.params, loaded.stats), now.network)
    average = {"params": jnp.float32(0), "stats": {}}
    for step in range(200):
        average = state.averaged(average, jnp.float32(1), {}, jnp.int32(step), 0.9)
        if step == 0:
            assert average["params"] == pytest.approx(0.9)  # at first the new value counts most
    before, after = average["params"], state.averaged(average, jnp.float32(0), {}, jnp.int32(200), 0.9)["params"]
    assert after / before == pytest.approx(0.9)


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [damage_truncate, damage_flip, Path.unlink], ids=["truncated", "flipped", "removed"])
def test_every_file_that_is_damaged_is_named_and_the_checkpoint_before_is_used(straight, tmp_path, damage, capsys):
    latest = straight / "checkpoints" / str(STEPS)
    files = [path.relative_to(latest) for path in latest.rglob("*") if path.is_file() and path.stat().st_size]
    assert len(files) > 5 and Path(checksums.CHECKSUMS) in files
    for number, name in enumerate(files):
        workdir = tmp_path / str(number)
        shutil.copytree(straight / "checkpoints", workdir / "checkpoints")
        damage(workdir / "checkpoints" / str(STEPS) / name)
        with pytest.raises(checkpoint.CheckpointError, match=r"others there: checkpoints/6") as error:
            checkpoint.load(workdir / "checkpoints" / str(STEPS))
        assert str(name) in str(error.value)
        with checkpoint.Checkpoints(workdir, 3) as checkpoints:
            assert checkpoints.latest_step == 6
        told = capsys.readouterr().err
        assert f"checkpoints/{STEPS}/{name}" in told and "going on from step 6" in told
        assert (workdir / "damaged" / str(STEPS)).is_dir()


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(straight, tmp_path):
    shutil.copytree(straight, tmp_path / "run")
    damage_flip(max((tmp_path / "run" / "checkpoints" / str(STEPS)).rglob("*"), key=lambda path: path.stat().st_size))
    train.train(config(), tmp_path / "run")
    assert history(tmp_path / "run") == history(straight)
    assert_same(restored(tmp_path / "run"), restored(straight))


def test_without_any_whole_checkpoint_there_is_a_clear_error_and_nothing_is_moved(straight, tmp_path):
    shutil.copytree(straight, tmp_path / "run")
    for step in (6, STEPS):
        damage_truncate(max((tmp_path / "run" / "checkpoints" / str(step)).rglob("*"), key=lambda path: path.stat().st_size))
    for _ in range(2):
        with pytest.raises(checkpoint.CheckpointError, match=r"(?s)no checkpoint in .* is whole:.*/12/.*/6/.*--workdir"):
            train.train(config(), tmp_path / "run")
    with pytest.raises(checkpoint.CheckpointError, match="is damaged"):
        checkpoint.load(tmp_path / "run")


def test_killed_before_the_first_checksums_goes_on_and_says_so(straight, tmp_path, capsys):
    shutil.copytree(straight, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / str(STEPS))
    (tmp_path / "run" / "checkpoints" / "6" / checksums.CHECKSUMS).unlink()
    with checkpoint.Checkpoints(tmp_path / "run", 3) as checkpoints:
        assert checkpoints.latest_step == 6
    assert "going on from it unchecked" in capsys.readouterr().err
    assert checkpoint.load(tmp_path / "run").source.name == "6"
    train.train(config(), tmp_path / "run")
    assert (tmp_path / "run" / "checkpoints" / "6" / checksums.CHECKSUMS).exists()  # it could be restored, so it was whole
    assert_same(restored(tmp_path / "run"), restored(straight))


def test_half_deleted_old_checkpoints_do_not_matter(straight, tmp_path):
    shutil.copytree(straight, tmp_path / "run")
    for name in (checksums.CHECKSUMS, "training", "_CHECKPOINT_METADATA"):
        path = tmp_path / "run" / "checkpoints" / "6" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert checkpoint.load(tmp_path / "run").source.name == str(STEPS)
    assert restored(tmp_path / "run").step == STEPS
    assert not (tmp_path / "run" / "checkpoints" / "6").exists()


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_leaves_the_last_good_checkpoint(straight, tmp_path):
    """As a full disk does, a limit on the size of files makes writing fail; then the same command goes on."""
    workdir = tmp_path / "run"
    shutil.copytree(straight, workdir)
    shutil.rmtree(workdir / "checkpoints" / str(STEPS))
    command = [sys.executable, "-c", f"{PATHS}; import train, test_resume, resource\n"]
    command[-1] += "import jax, tensorflow, tensorboard.summary\n"
    command[-1] += "if sys.argv[2] == 'full': resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))\n"
    command[-1] += "try: train.train(test_resume.config(), sys.argv[1])\n"
    command[-1] += "except ValueError as error: sys.exit(f'train.py: {error}')"
    command.append(str(workdir))
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "4", "COLORJAX_CACHE": str(tmp_path)}
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    full = subprocess.run([*command, "full"], env=environment, capture_output=True, text=True, timeout=200)
    assert full.returncode == 1, full.stderr[-3000:]
    assert "the checkpoint of step 12 cannot be written" in full.stderr and "That of step 6 is whole" in full.stderr
    assert restored(workdir).step == 6
    train.train(config(), workdir)
    assert history(workdir) == history(straight)
    assert_same(restored(workdir), restored(straight))


@pytest.mark.parametrize("name", ["config.json", "photographs.json", "data_report.json"])
def test_damaged_settings_are_named(straight, tmp_path, name):
    shutil.copytree(straight, tmp_path / "run")
    damage_truncate(tmp_path / "run" / name)
    with pytest.raises(ValueError, match=rf"{name} is damaged"):
        train.train(config(), tmp_path / "run")
    if name != "photographs.json":  # a run of before it was written goes on
        (tmp_path / "run" / name).unlink()
        with pytest.raises(ValueError, match=rf"{name} is missing"):
            train.train(config(), tmp_path / "run")


def test_changed_seed_photographs_and_model_are_refused_and_logging_is_not(straight, tmp_path):
    shutil.copytree(straight, tmp_path / "run")
    for changes, told in (
        ({"seed": 1}, "seed: 0 there, 1 now"),
        ({"data__flip": False}, "data.flip: True there, False now"),
        ({"model__width": 16}, "model.width: 32 there, 16 now"),
        ({"batch_size": 8}, "batch_size: 16 there, 8 now"),
    ):
        with pytest.raises(ValueError, match=rf"(?s)holds another run.*{told}"):
            train.train(config(**changes), tmp_path / "run")
    train.train(config(log_every=2, panels=1, checkpoint_every=4, keep_checkpoints=1, fsdp=True), tmp_path / "run")


# Several devices


def ten_steps(devices, **changes):
    """The losses of ten float32 steps on so many devices, the BatchNorm statistics after the first, and the last state."""
    settings = tiny(model__dtype="float32", **changes)
    mesh = jax.make_mesh((devices,), (sharding.DATA,), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
    photographs, optimizers = data.load(settings, devices=devices), optim.make(settings, 6)
    places = jax.tree.map(lambda leaf: leaf.sharding, state.abstract(settings, optimizers, mesh))
    now = sharding.place(jax.jit(lambda: state.init(settings, optimizers))(), places)
    step = steps.make(settings, optimizers, mesh, photographs.ab_counts)
    rows, stats = [], None
    for batch in itertools.islice(sharding.prefetch(photographs.train(), mesh), 10):
        now, scalars = step(now, batch)
        stats = jax.device_get(now.stats) if stats is None else stats
        rows.append({name: float(value) for name, value in scalars.items()})
    return rows, stats, now


def test_the_first_batch_waits_for_no_other():
    made = []
    batches = ({"mask": np.ones(4, np.float32)} for number in range(9) if not made.append(number))
    ahead = sharding.prefetch(batches, sharding.make_mesh())
    next(ahead)
    assert len(made) == 1
    next(ahead)
    assert len(made) == 4 and len(list(ahead)) == 7


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model__name": "shallow", "loss__adversarial": 1.0, "discriminator__layers": 2, "discriminator__width": 8},
    ],
)
@pytest.mark.slow
def test_one_device_and_four_agree_with_and_without_split_parameters(changes):
    """Losses to 1e-5; and BatchNorm's statistics, which would be far off if they were those of each device's share."""
    rows, stats, _ = ten_steps(1, **changes)
    compared = 5 if changes else 10  # two players amplify each other's rounding
    for fsdp in (False, True):
        others, other_stats, _ = ten_steps(4, fsdp=fsdp, **changes)
        names = ("loss", "l1") if not changes else ("loss", "l1", "adversarial", "discriminator_loss")
        for name in names:
            one, four = ([row[name] for row in found[:compared]] for found in (rows, others))
            np.testing.assert_allclose(four, one, rtol=1e-5, err_msg=name)
        for one, two in zip(jax.tree.leaves(stats), jax.tree.leaves(other_stats), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """A run with parameters and optimiser split over four devices."""
    workdir = tmp_path_factory.mktemp("four")
    train.train(config(fsdp=True, epochs=1), workdir)
    return workdir


@pytest.mark.slow
def test_split_parameters_are_split_and_restored_anywhere(four, monkeypatch, capsys):
    split = restored(four, config(fsdp=True))
    for tree in (split.params, split.opt_state, split.average):
        large = [leaf for leaf in jax.tree.leaves(tree) if leaf.size > 10_000]
        assert large and all(leaf.addressable_shards[0].data.size * 4 == leaf.size for leaf in large)
    assert_same(restored(four), split)
    shutil.copytree(four, four.parent / "two")
    with monkeypatch.context() as patch:  # a mesh is of the first so many devices
        patch.setattr(jax, "device_count", lambda: 2)
        patch.setattr(jax, "local_device_count", lambda: 2)
        assert sharding.make_mesh().size == 2
        train.train(config(fsdp=True), four.parent / "two")
    assert "going on from step 6" in capsys.readouterr().out and restored(four.parent / "two").step == STEPS


def test_layout_splits_the_longest_axis_that_fits():
    mesh = sharding.make_mesh()
    shapes = {"kernel": (3, 3, 16, 64), "long": (4096, 6), "odd": (333, 333), "small": (64,), "number": ()}
    places = sharding.layout(mesh, {k: jax.ShapeDtypeStruct(v, jnp.float32) for k, v in shapes.items()}, True)
    split = {name: tuple(place.spec) for name, place in places.items()}
    assert split == {"kernel": (None, None, None, "data"), "long": ("data",), "odd": (), "small": (), "number": ()}


def test_meter_goes_on_with_what_a_stopped_run_had_collected():
    rows = [{"loss": jnp.float32(value), "lost": jnp.float32(0)} for value in (0.1, 0.7, 0.4)]
    whole, first = runs.Meter(1), runs.Meter(1)
    for step, row in enumerate(rows):
        whole.add(step, row)
        if step < 2:
            first.add(step, row)
    second = runs.Meter(1, json.loads(json.dumps(first.checked({}))))
    second.add(2, rows[2])
    assert second.report({})["loss"] == whole.report({})["loss"]
