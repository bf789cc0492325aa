"""Adversarial training as a user runs it: stopped and gone on, started from a trained network, gone on with its judge."""

import json
import signal
import sys

import jax
import numpy as np
import pytest
from helpers import ROOT
from helpers.starts import start
from helpers.tiny import config as tiny

from colorjax import checkpoint
from colorjax.evaluation.history import read_rows
from colorjax.networks import state
from colorjax.platform import sharding
from colorjax.training import optim, runs, steps

sys.path.insert(0, str(ROOT))
import train

STEPS = 12
pytestmark = pytest.mark.usefixtures("quick_compile")


def gan(**changes):
    base = {"model__name": "shallow", "loss__adversarial": 1.0, "loss__l1": 100.0, "discriminator__width": 4}
    return tiny(**(base | {"best_by": "latest", "discriminator__layers": 2, "clip_norm": 100.0} | changes))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "gan"
    train.train(gan(), workdir)
    return workdir


def whole_state(workdir):
    """Everything of the latest checkpoint: both players, both optimisers, step and key."""
    config = gan()
    with checkpoint.Checkpoints(workdir, 3) as checkpoints:
        return runs.start(config, optim.make(config, 6), sharding.make_mesh(), checkpoints)[0]


@pytest.mark.slow
def test_rows_tell_of_both_players(run):
    rows = [row for row in read_rows(run) if row["kind"] == "train"]
    told = {"adversarial", "discriminator_loss", "accuracy_true", "accuracy_predicted", "discriminator_grad_norm", "grad_norm"}
    for row in rows:
        assert told <= row.keys() and all(np.isfinite(row[name]) for name in told)
        assert 0 <= row["accuracy_true"] <= 1 and 0 <= row["accuracy_predicted"] <= 1
    assert (run / "figures" / "losses.png").stat().st_size > 1000


@pytest.mark.slow
def test_stopped_and_gone_on_is_the_same_run_for_both_players(run, tmp_path, monkeypatch, capsys):
    make = steps.make

    def interrupted(*args):
        step, calls = make(*args), []

        def count(now, batch):
            calls.append(1)
            if len(calls) == 4:
                signal.raise_signal(signal.SIGINT)
            return step(now, batch)

        return count

    monkeypatch.setattr(steps, "make", interrupted)
    train.train(gan(), tmp_path)
    monkeypatch.undo()
    assert "stopped at step 4" in capsys.readouterr().out
    train.train(gan(), tmp_path)
    ours, theirs = whole_state(tmp_path), whole_state(run)
    assert int(ours.step) == STEPS and ours.discriminator.keys() == {"params", "stats", "opt_state"}
    leaves, expected = jax.tree_util.tree_flatten_with_path(ours)[0], jax.tree.leaves(theirs)
    assert len(leaves) == len(expected) > 60
    for (path, leaf), other in zip(leaves, expected, strict=True):
        np.testing.assert_array_equal(leaf, other, err_msg=jax.tree_util.keystr(path))


@pytest.mark.slow
def test_everything_at_once(tmp_path):
    """Balance, rarity, a perceptual term, a discriminator, Lab on the device: each is there, and each is told."""
    import safetensors.numpy
    from helpers.golden import make_resnet18 as golden

    weights = tmp_path / "resnet18.safetensors"
    safetensors.numpy.save_file(golden.random_weights(), weights)
    config = gan(
        **{"data__balance": "temperature", "loss__rarity": 0.5, "loss__perceptual": 0.1, "epochs": 1, "data__lab": "device"},
        loss__perceptual_weights=str(weights),
    )
    train.train(config, tmp_path / "run")
    rows = [row for row in read_rows(tmp_path / "run") if row["kind"] == "train"]
    for row in rows:
        parts = 0.1 * row["perceptual"] + row["adversarial"]
        plain = 100 * row["l1"] * 128 / 110  # rare colours weigh more, so the loss is not that of plain L1
        assert row["perceptual"] > 0 and abs(row["loss"] - parts - plain) > 0.05 * plain
    report = json.loads((tmp_path / "run" / "data_report.json").read_text())
    assert report["balance"]["warm"] + report["balance"]["cool"] == report["train"]["all"]


@pytest.mark.slow
def test_a_run_of_before_a_key_goes_on(run):
    """Settings that came later had the value of their default."""
    path = run / "config.json"
    stored = json.loads(path.read_text())
    old = {key: value for key, value in stored.items() if key != "lpips_weights"}
    old["data"] = {key: value for key, value in stored["data"].items() if key != "balance"}
    path.write_text(json.dumps(old))
    train.train(gan(), run)
    assert json.loads(path.read_text()) == stored
    path.write_text(json.dumps(old))
    with pytest.raises(ValueError, match=r"data\.balance: 'none' there, 'histogram' now"):
        train.train(gan(data__balance="histogram"), run)
    path.write_text(json.dumps(stored))


@pytest.mark.slow
def test_the_latest_is_the_best(run):
    assert checkpoint.load(run).source.name == str(STEPS)


def fresh(config):
    return jax.jit(lambda: state.init(config, optim.make(config, 6)))()


@pytest.mark.slow
def test_going_on_with_what_was_trained(run, tmp_path, capsys):
    """init_from takes the network and its discriminator, and starts at step 0."""
    trained = whole_state(run)
    now, told = start(gan(init_from=str(run)), tmp_path, capsys)
    assert "and its discriminator" in told and int(now.step) == 0
    for ours, theirs in ((now.params, trained.params), (now.discriminator["params"], trained.discriminator["params"])):
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_long_l1_first_then_the_judge(run, tmp_path, capsys):
    """From released weights, and from a run whose judge has another shape, a new discriminator starts."""
    checkpoint.export(checkpoint.load(run), tmp_path / "weights")
    assert not (tmp_path / "weights" / "discriminator").exists()
    for init_from, changes in ((tmp_path / "weights", {}), (run, {"discriminator__layers": 1})):
        now, told = start(gan(init_from=str(init_from), **changes), tmp_path / "new", capsys)
        assert "with a new discriminator" in told
        kernel = now.discriminator["params"]["first"]["kernel"]
        np.testing.assert_array_equal(kernel, fresh(gan(**changes)).discriminator["params"]["first"]["kernel"])
    now, told = start(tiny(model__name="shallow", init_from=str(run)), tmp_path / "new", capsys)
    assert now.discriminator == {} and "discriminator" not in told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__name": "resnet_unet"}, r"holds a 'shallow' network; model\.name='resnet_unet' is another"),
        ({"model__width": 16}, r"holds another 'shallow' network: model\.width=8 there, 16 here"),
        ({"init_from": "nowhere"}, r"nowhere does not exist"),
    ],
)
def test_another_network_to_start_from_is_refused_with_both_names(run, tmp_path, capsys, changes, message):
    with pytest.raises(ValueError, match=message):
        start(gan(**({"init_from": str(run)} | changes)), tmp_path, capsys)


@pytest.mark.slow
def test_another_loss_in_a_started_workdir_is_refused(run):
    with pytest.raises(ValueError, match=r"(?s)holds another run.*discriminator\.loss: 'bce' there, 'hinge' now"):
        train.train(gan(discriminator__loss="hinge"), run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"discriminator__loss": "wgan"}, r"discriminator\.loss='wgan' is unknown; legal are bce, hinge, lsgan"),
        ({"data__balance": "tone"}, r"data\.balance='tone' is unknown; legal are none, temperature, histogram"),
        ({"loss__perceptual_net": "vgg"}, r"loss\.perceptual_net='vgg' is unknown; legal are resnet18, alex, squeeze"),
        ({"best_by": "beauty"}, r"best_by='beauty' is unknown; legal are l1, delta_e, psnr, ssim_ab, latest"),
        ({"loss__rarity": 1.5}, r"loss\.rarity=1\.5 must be between 0 and 1"),
        ({"data__unhinted": -0.1}, r"data\.unhinted=-0\.1 must be between 0 and 1"),
        ({"data__aged": 1.1}, r"data\.aged=1\.1 must be between 0 and 1"),
        ({"loss__l1": -1.0}, r"loss\.l1=-1\.0 must not be negative"),
        ({"loss__l1": 0.0, "loss__adversarial": 0.0}, r"all 0: there is nothing to learn"),
        ({"loss__delta_e": -1.0}, r"loss\.delta_e=-1\.0 must not be negative"),
        ({"beta1": 1.0}, r"beta1=1\.0 must be at least 0 and below 1"),
        ({"discriminator__layers": 0}, r"discriminator\.layers=0 must be positive"),
        ({"loss__perceptual": 0.1, "image_size": 24}, r"image_size=24 must be at least 32"),
        ({"loss__perceptual": 0.1, "loss__perceptual_net": "alex"}, r"loss\.perceptual_net='alex' needs its weights"),
        ({"lpips_weights": "nowhere"}, r"nowhere"),
        ({"lpips_weights": str(ROOT / "configs")}, r"holds no net's weights"),
        ({"weight_decay": -1.0}, r"weight_decay=-1\.0 must not be negative"),
        ({"discriminator__warmup_steps": -5}, r"discriminator\.warmup_steps=-5 must not be negative"),
        ({"loss__l1": float("inf")}, r"loss\.l1=inf must be a finite number"),
        ({"data__warm_above": float("nan")}, r"data\.warm_above=nan must be a finite number"),
        ({"loss__l1": 0.0, "loss__rarity": 0.5}, r"loss\.rarity=0\.5 weights the pixels of L1, but loss\.l1=0"),
    ],
)
def test_wrong_settings_name_key_value_and_what_is_legal(changes, message, tmp_path):
    with pytest.raises((ValueError, OSError), match=message):
        train.train(gan(**changes), tmp_path)
    assert not (tmp_path / "checkpoints").exists()
