"""What the name `pretrained` stands for: a tiny network lies in the place of the weights that come with the package."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import skimage.data
from helpers import ROOT
from helpers.console import check_failed_before_the_work, run
from helpers.starts import start
from helpers.tiny import config as tiny
from helpers.vivid import vivid_network
from PIL import Image

from colorjax import checkpoint, cli
from colorjax.archive import colorize_cluster
from colorjax.checkpoint import CheckpointError, shipped
from colorjax.inference.colorizer import Colorizer
from colorjax.networks import state
from configs import finetune

sys.path.insert(0, str(ROOT))
import evaluate
import train

pytestmark = pytest.mark.usefixtures("quick_compile")
DAMAGED = "this installation of colorjax is damaged or altered"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "weights"
    places = {"data__dir": str(folder.parent / "photos"), "data__val_dir": str(folder.parent / "others")}
    checkpoint.export(vivid_network(model__guided=True, image_size=32, **places), folder)
    return folder


@pytest.fixture
def weights(exported, tmp_path, monkeypatch):
    """The folder of the packaged weights, with their pin; the working directory is another, with a folder `pretrained`."""
    folder = shutil.copytree(exported, tmp_path / "site-packages" / "colorjax" / "weights")
    monkeypatch.setattr(shipped, "FOLDER", folder)
    monkeypatch.setattr(shipped, "SHA256", hashlib.sha256((folder / "checksums.json").read_bytes()).hexdigest())
    (tmp_path / "here" / "pretrained" / "checkpoints").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    return folder


def test_an_exported_folder_does_not_say_where_it_was_written_or_trained(exported):
    here = str(exported.parent).encode()
    assert not [path for path in exported.rglob("*") if path.is_file() and here in path.read_bytes()]


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "cat.jpg"
    Image.fromarray(skimage.data.chelsea()[:90, 100:250]).save(path)
    return path


def assert_same(ours, theirs):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_name_means_the_packaged_weights_and_a_path_a_folder(weights):
    by_name, by_path = checkpoint.load("pretrained"), checkpoint.load(weights)
    assert by_name.digest == by_path.digest and by_name.source == Path("pretrained")
    assert_same(by_name.params, by_path.params)
    for folder in ("./pretrained", "pretrained/", Path("pretrained"), Path("pretrained").absolute()):
        with pytest.raises(CheckpointError, match="pretrained/checkpoints holds no finished checkpoint"):
            checkpoint.load(folder)
    grey = skimage.data.astronaut()[:60, :80, 0]
    np.testing.assert_array_equal(Colorizer.pretrained()(grey), Colorizer.from_checkpoint("pretrained")(grey))
    assert cli._SHIPPED == checkpoint.PRETRAINED == "pretrained"


@pytest.mark.parametrize("named", [[], ["--ckpt", "pretrained"]])
def test_colorize_needs_no_checkpoint(weights, photograph, capsys, named):
    code, out, _ = run(capsys, "colorize", photograph, "--out", "out", "--dry-run", *named)
    assert code == 0 and "1 photograph would be coloured" in out
    code, _, err = run(capsys, "colorize", photograph, "--out", "out", "--hint", "20,20,#803040", *named)
    assert (code, err) == (0, "")
    said = Path("out/cat.colorized.jpg.json").read_text()
    assert json.loads(said)["weights"] == {"name": "pretrained", "sha256": checkpoint.load(weights).digest}
    assert str(weights.parent) not in said
    for ckpt in ("pretrained", weights):
        assert run(capsys, "verify", "out", "--ckpt", ckpt)[0] == 0
        outcome = run(capsys, "colorize", photograph, "--out", "out", "--hint", "20,20,#803040", "--ckpt", ckpt)
        there = f"the copy of {photograph} is there already: out/cat.colorized.jpg\n"
        assert outcome[:2] == (0, there) and "another" not in outcome[2]


def test_a_folder_called_pretrained_is_named_with_its_place(weights, photograph, capsys):
    outcome = run(capsys, "colorize", photograph, "--out", "out", "--ckpt", "./pretrained")
    check_failed_before_the_work(outcome, "pretrained/checkpoints holds no finished checkpoint")


def test_workers_of_a_cluster_use_what_they_have_inside(weights, photograph, monkeypatch):
    """They are told the name, and not where this machine keeps its weights."""
    setups = []

    def noted(jobs, address, workers, setup, out):
        setups.append(setup)
        yield from ()

    monkeypatch.setattr(colorize_cluster, "run", noted)
    for named in ([], ["--ckpt", "pretrained"], ["--ckpt", "./pretrained"]):
        cli.main(["colorize", str(photograph), "--out", "out", "--cluster", "local", *named])
    here = str(Path("pretrained").absolute())
    assert [setup.ckpt for setup in setups] == ["pretrained", "pretrained", here]
    assert [here in setup.seen for setup in setups] == [False, False, True]
    assert colorize_cluster.Worker(setups[0])._colorizer.network.source == Path("pretrained")


def test_serve_and_export_need_no_checkpoint(weights, monkeypatch, capsys):
    from colorjax.web import server

    monkeypatch.setattr(server, "run", lambda args: args.ckpt)
    assert cli.main(["serve"]) == "pretrained"
    code, out, _ = run(capsys, "export", "--out", "again")
    assert code == 0 and out.startswith("pretrained -> again: ")
    assert_same(checkpoint.load("again").params, checkpoint.load(weights).params)


def test_evaluate_measures_them(weights, capsys):
    rows = evaluate.evaluate("pretrained", "report", {})
    assert list(rows) == ["grey", "pretrained"]
    told = capsys.readouterr()
    assert "pretrained: 2 photographs" in told.out
    assert told.err.endswith("2 photographs are few: intervals over them mean little; 30 or more would say something\n")
    assert str(weights.parent) not in Path("report/report.html").read_text()
    assert evaluate._default_out("pretrained") == Path("report")
    assert evaluate._default_out("./pretrained") == Path("pretrained/report")


def test_a_training_starts_from_them(weights, tmp_path, capsys):
    now, told = start(tiny(model__name="shallow", model__guided=True, init_from="pretrained"), tmp_path / "new", capsys)
    assert told == "starting from pretrained\n" and int(now.step) == 0
    assert_same(now.params, checkpoint.load(weights).params)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__width": 16}, r"init_from=pretrained holds another 'shallow' network: model\.width=8 there, 16 here"),
        ({"model__stem": "full"}, r"init_from=pretrained holds another .*: model\.stem='strided' there, 'full' here"),
        ({"model__guided": False}, r"init_from=pretrained holds a guided network; it needs model\.guided=True"),
    ],
)
def test_a_training_of_another_network_is_refused(weights, tmp_path, capsys, changes, message):
    changes = {"model__name": "shallow", "model__guided": True, "init_from": "pretrained"} | changes
    with pytest.raises(ValueError, match=message):
        start(tiny(**changes), tmp_path / "new", capsys)


def test_fine_tuning_keeps_all_that_the_weights_inside_know():
    """Else what is new of the network starts at random, or grey."""
    shipped_network, config = checkpoint.load("pretrained"), finetune.get_config()
    fresh = jax.eval_shape(lambda: state.init_network(config.model, jax.random.key(0)))
    assert jax.tree.map(np.shape, (shipped_network.params, shipped_network.stats)) == jax.tree.map(np.shape, fresh)
    theirs = shipped_network.config
    ours = config.loss.to_dict()
    assert ours == ours | theirs.loss.to_dict() and not any(ours[key] for key in ours.keys() - theirs.loss.keys())
    for key in ("image_size", "freeze", "encoder_rate"):
        assert config[key] == theirs[key], key
    assert tuple(config.looks) == tuple(theirs.looks) and config.model.palette_gradient == theirs.model.palette_gradient


@pytest.mark.parametrize("before, after", [(2, 4), (4, 2)])
def test_another_answer_begins_with_a_last_layer_that_is_new(tmp_path, capsys, before, after):
    """It has the same shape, but saw another map."""
    shape = {"model__stem": "strided", "model__guided": True, "image_size": 32}
    old = tiny(model__answer=before, **shape)
    params, stats = jax.jit(lambda: state.init_network(old.model, jax.random.key(3)))()
    params["head"]["kernel"] += 1
    checkpoint.export(checkpoint.Network(old, jax.device_get(params), jax.device_get(stats), tmp_path), tmp_path / "old")
    now, told = start(tiny(model__answer=after, init_from=str(tmp_path / "old"), **shape), tmp_path / "new", capsys)
    assert told.endswith(f"whose model.answer={before}: the last layers start anew, and hints\n")
    assert not np.any(now.params["head"]["kernel"])
    assert_same(now.params["up3"]["conv1"], checkpoint.load(tmp_path / "old").params["up3"]["conv1"])


@pytest.mark.slow
def test_fine_tuning_and_its_measure_on_what_was_held_out(weights, capsys):
    """As configs/finetune.py says it: the network of the package, one's own photographs, then both on those not trained on."""
    rng = np.random.default_rng(0)
    Path("mine").mkdir()
    for number in range(40):
        few = rng.integers(60, 180, (4, 5, 3)).astype(np.uint8)
        Image.fromarray(few).resize((80, 70), Image.Resampling.BICUBIC).save(f"mine/{number}.png")
    config = finetune.get_config()
    config.update_from_flattened_dict({"epochs": 1, "batch_size": 8, "eval_batch_size": 4, "image_size": 32, "panels": 2})
    shape = {"init_from": "pretrained", "model.name": "shallow", "model.width": 8, "model.answer": 1}
    shape |= {"freeze": "", "encoder_rate": 1.0, "looks": (1.0,)}
    config.update_from_flattened_dict(shape | {"data.dir": "mine", "data.cache": False})
    train.train(config.lock(), "runs/mine")
    assert "starting from pretrained" in capsys.readouterr().out
    held_out = json.loads(Path("runs/mine/data_report.json").read_text())["validation"]["all"]
    assert 0 < held_out < 40
    moved = np.abs(checkpoint.load("runs/mine").params["head"]["kernel"] - checkpoint.load(weights).params["head"]["kernel"])
    assert 0 < moved.max() < 0.01
    rows = evaluate.evaluate(["runs/mine", "pretrained"], "both", {}, baseline="pretrained")
    assert [rows[name]["all"]["pictures"] for name in ("grey", "mine", "pretrained")] == [held_out] * 3
    named = {"data.source": "folder", "data.dir": "mine"}
    other_way = evaluate.evaluate(["pretrained", "runs/mine"], None, named, split="validation")
    assert other_way["mine"]["all"]["l1"]["mean"] == pytest.approx(rows["mine"]["all"]["l1"]["mean"])
    assert other_way["pretrained"]["all"]["l1"]["mean"] == pytest.approx(rows["pretrained"]["all"]["l1"]["mean"])


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        ("another config", "config.json is damaged"),
        ("a file less", "the file is missing"),
        ("no checksums", "checksums.json is missing"),
        ("other checksums", "SHA-256 of checksums.json is"),
        ("other weights", "SHA-256 of checksums.json is"),
        ("nothing but a folder", "checksums.json is missing"),
    ],
)
def test_other_weights_than_those_of_this_version_are_refused(weights, photograph, capsys, damage, word):
    if damage == "another config":
        (weights / "config.json").write_text((weights / "config.json").read_text().replace("32", "48"))
    elif damage == "a file less":
        (weights / "weights" / "_CHECKPOINT_METADATA").unlink()
    elif damage == "no checksums":
        (weights / "checksums.json").unlink()
    elif damage == "other checksums":
        (weights / "checksums.json").write_text((weights / "checksums.json").read_text() + "\n")
    else:
        shutil.rmtree(weights)
        weights.mkdir()
    if damage == "other weights":  # whole, and of another training
        checkpoint.export(vivid_network(), weights)
        assert checkpoint.load(weights).digest
    with pytest.raises(CheckpointError, match=DAMAGED) as caught:
        Colorizer.pretrained()
    assert word in str(caught.value)
    outcome = run(capsys, "colorize", photograph, "--out", "out")
    check_failed_before_the_work(outcome, DAMAGED)
