"""Several runs side by side: the same pictures, paired differences, and a page that stands alone."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import ROOT
from helpers.tiny import config as tiny
from PIL import Image

from colorjax import checkpoint
from colorjax.evaluation import comparison, evaluators, figures, guidance
from colorjax.evaluation.history import read_rows
from colorjax.networks import state
from colorjax.science import color
from colorjax.training import checks, optim

sys.path.insert(0, str(ROOT))
import evaluate

pytestmark = pytest.mark.usefixtures("quick_compile")


def workdir(folder, shift=0.0, name="shallow", rows=(), **changes):
    """A run with one checkpoint whose head's bias is `shift`: it paints everything in about that chroma."""
    config = tiny(model__name=name, **changes)
    now = jax.jit(lambda: state.init(config, optim.make(config, 6)))()
    now.params["head"]["bias"] = now.params["head"]["bias"] + np.float32([0, shift])
    with checkpoint.Checkpoints(folder, keep=1) as checkpoints:
        checkpoints.save(now, config, {"l1": 0.1})
    (folder / "config.json").write_text(config.to_json_best_effort())
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


TRAIN = {"kind": "train", "l1": 0.1, "grad_norm": 1.0}
PLAYERS = {
    **{"adversarial": 0.7, "discriminator_loss": 0.6, "discriminator_grad_norm": 2.0},
    **{"accuracy_true": 0.8, "accuracy_predicted": 0.7},
}
VALIDATION = {"kind": "validation", "l1": 0.1, "ssim_ab": 0.3, "delta_e": 10.0, "colourfulness_ratio": 0.5, "bias_b": -1.0}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One that paints cool, one that paints warm, and 12 photographs that are warm, in two groups."""
    folder = tmp_path_factory.mktemp("runs")
    rows = [TRAIN | {"step": s} for s in (1, 5)] + [VALIDATION | {"step": 6, "epoch": 1}]
    cool = workdir(folder / "cool", -0.1, rows=rows)
    warm = workdir(folder / "warm", 0.1, rows=[row | (PLAYERS if row["kind"] == "train" else {}) for row in rows])
    rng = np.random.default_rng(0)
    photographs = folder / "photos"
    for i in range(12):
        few = rng.integers(60, 180, (4, 5, 3)) + np.array([50, 20, -40])
        path = photographs / ("a" if i % 3 else "b & c") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(few.clip(0, 255).astype(np.uint8))
        image.resize((90, 70), Image.Resampling.BICUBIC).save(path)
    return cool, warm, {"data.source": "folder", "data.dir": str(photographs)}


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory):
    cool, warm, changes = runs
    out = tmp_path_factory.mktemp("report")
    rows = evaluate.evaluate([cool, warm], out, changes, save_images=True)
    return rows, out, json.loads((out / "metrics.json").read_text())


def test_rows_are_named_by_folder_and_ordered_as_given(report):
    rows, _, stored = report
    assert list(rows) == ["grey", "cool", "warm"] and stored["rows"] == rows
    assert set(rows["warm"]) == {"all", "a", "b & c"} and rows["warm"]["all"]["pictures"] == 12


def test_metrics_tell_the_cast(report):
    rows, _, _ = report
    cool, warm, grey = (rows[name]["all"] for name in ("cool", "warm", "grey"))
    assert cool["bias_b"]["mean"] < grey["bias_b"]["mean"] < warm["bias_b"]["mean"]
    assert cool["cast_b"]["mean"] == pytest.approx(-cool["bias_b"]["mean"])
    assert cool["warm"]["mean"] == grey["warm"]["mean"] == 0 and warm["warm"]["mean"] > 0.9
    for values in (cool, warm, grey):
        assert values["warm_target"]["mean"] == warm["warm_target"]["mean"] > 0.5
        for cf in ("", "_abs"):
            predicted, true = values[f"colourfulness{cf}"]["mean"], values[f"colourfulness{cf}_target"]["mean"]
            assert values[f"delta_cf{cf}"]["mean"] == pytest.approx(abs(predicted - true), rel=1e-5)
            assert values[f"delta_cf{cf}_each"]["mean"] >= values[f"delta_cf{cf}"]["mean"] * (1 - 1e-6)  # of float32


def test_differences_are_paired(report):
    """Each picture's difference hardly varies, so its interval is far narrower than either mean's."""
    rows, _, stored = report
    assert stored["baseline"] == "cool" and set(stored["differences"]) == {"grey", "warm"}
    per = stored["per_picture"]
    names = list(per["warm"]["l1"])
    expected = np.mean([per["warm"]["bias_b"][n] - per["cool"]["bias_b"][n] for n in names])
    difference = stored["differences"]["warm"]["all"]["bias_b"]
    assert difference["mean"] == pytest.approx(expected, rel=1e-5)
    width = difference["high"] - difference["low"]
    alone = rows["warm"]["all"]["bias_b"]
    assert width < 0.3 * (alone["high"] - alone["low"])
    assert set(stored["differences"]["warm"]) == {"all", "a", "b & c"}


def test_evaluations_of_other_pictures_are_not_paired():
    values = {"l1": np.ones(3)}
    one, other = (evaluators.Evaluation(values, np.zeros(3), np.array(i), (), np.zeros(0)) for i in ([1, 2, 3], [1, 2, 4]))
    with pytest.raises(ValueError, match="not of the same pictures"):
        evaluators.difference_table(one, other, ("a",))


def test_page_stands_alone_and_shows_everything(report):
    _, out, _ = report
    page = (out / "report.html").read_text()
    assert {source[:5] for source in re.findall(r"""(?:src|href)=["']?(.....)""", page)} == {"data:"}
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)
    assert page.count("<figure>") == 6 and page.count("<table>") == 3
    assert "b &amp; c" in page and "b & c" not in page
    plots = [f"{name}.{suffix}" for name in ("losses", "validation", "colours") for suffix in ("png", "svg")]
    for name in ("panels.png", "best.png", "worst.png", *plots):
        assert (out / name).stat().st_size > 1000, name


def test_best_and_worst_are_by_delta_e(runs, report):
    _, _, stored = report
    delta_e = stored["per_picture"]["warm"]["delta_e"]
    assert np.mean(list(delta_e.values())) < np.mean(list(stored["per_picture"]["cool"]["delta_e"].values()))
    found = run_compare(runs)
    order = sorted(delta_e, key=delta_e.get)
    for kind, expected in (("best", order[:6]), ("worst", order[::-1][:6])):
        indices, luma, columns = found.extremes[kind]
        assert [found.photographs.names[i] for i in indices] == expected
        assert luma.shape == (6, 32, 32, 1) and list(columns) == ["cool", "warm", "truth"]


def run_compare(runs, **options):
    from colorjax import data
    from colorjax.platform import sharding
    from configs import base

    cool, warm, changes = runs
    networks = comparison.load([cool, warm])
    config, _ = comparison.settings_of(networks, base.get_config(), {"data.limit": 0} | changes, checks.check)
    mesh = sharding.make_mesh()
    photographs = data.load(config, devices=mesh.size, everything=True, progress=False)
    return comparison.compare(networks, config, photographs, mesh, **options)


def test_saved_pictures_are_the_predictions(report):
    _, out, _ = report
    folders = sorted(path.name for path in (out / "images").iterdir())
    assert folders == ["cool", "grey", "truth", "warm"]
    files = [sorted(path.name for path in (out / "images" / name).iterdir()) for name in folders]
    assert files[0] == [f"{i:06}.png" for i in range(12)] and all(names == files[0] for names in files)
    pixels = {name: np.asarray(Image.open(out / "images" / name / "000003.png")) for name in folders}
    assert pixels["grey"].shape == (32, 32, 3) and (np.ptp(pixels["grey"], axis=-1) <= 1).all()
    lab = {name: color.rgb_to_lab(image / np.float32(255)) for name, image in pixels.items()}
    assert np.abs(lab["warm"][..., 0] - lab["truth"][..., 0]).max() < 1, "every picture keeps the lightness"
    assert lab["cool"][..., 2].mean() < -5 < 5 < lab["warm"][..., 2].mean()


def test_colour_histograms_count_every_pixel_once(runs):
    found = run_compare(runs)
    assert list(found.colours) == ["truth", "cool", "warm"]
    assert {int(counts.sum()) for counts in found.colours.values()} == {12 * 32 * 32}
    side = np.arange(45) * 5 - 110
    along_b = {name: counts.reshape(45, 45).sum(0) @ side for name, counts in found.colours.items()}
    assert along_b["cool"] < 0 < along_b["warm"]


def test_labels_and_names(runs, tmp_path):
    cool, warm, _ = runs
    assert list(comparison.load([cool])) == ["cool"]
    assert list(comparison.load([warm, cool])) == ["warm", "cool"]
    assert list(comparison.load([cool, warm], ["+ cool", "+ warm"])) == ["+ cool", "+ warm"]
    twin = workdir(tmp_path / "cool")
    assert list(comparison.load([cool, twin])) == [f"{cool.parent.name}/cool", f"{tmp_path.name}/cool"]
    with pytest.raises(ValueError, match="--label of its own"):
        comparison.load([cool, cool / "checkpoints" / "0"])
    with pytest.raises(ValueError, match="1 labels for 2 checkpoints"):
        comparison.load([cool, warm], ["x"])
    for labels in (["x", "x"], ["grey", "x"]):
        with pytest.raises(ValueError, match="--label of its own"):
            comparison.load([cool, warm], labels)


def test_two_checkpoints_of_one_run_are_named_by_their_steps():
    paths = [Path(f"/runs/{name}/checkpoints/{step}") for name, step in (("a", 3), ("a", 6), ("b", 6))]
    assert comparison._folder_names(paths) == ["a/3", "a/6", "b/6"]
    assert comparison._folder_names(paths[1:]) == ["a", "b"]
    assert comparison._folder_names([paths[0], Path("/released/b")]) == ["a", "b"]


def test_unknown_names_are_refused_with_the_legal_ones(runs):
    cool, _, changes = runs
    with pytest.raises(ValueError, match="baseline 'hot' is not among the rows: grey, cool, warm"):
        run_compare(runs, baseline="hot")
    with pytest.raises(ValueError, match="protocol 'fit' is unknown; legal are crop, stretch"):
        evaluate.evaluate(cool, None, changes, protocol="fit")
    result = subprocess.run(
        [sys.executable, "evaluate.py", "--ckpt=x", "--protocol=fit"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert result.returncode != 0 and "crop|stretch" in result.stderr and "Traceback" not in result.stderr


def test_what_a_run_has_seen_is_told(runs, tmp_path):
    from configs import base

    cool, _, _ = runs
    other = workdir(tmp_path / "other", data__dir="elsewhere", image_size=48)

    def notes(paths, changes):
        return comparison.settings_of(comparison.load(paths), base.get_config(), changes, checks.check)[1]

    assert notes([cool], {}) == []
    told = notes([cool, other], {})
    assert told[0] == "other was trained with another data.dir: it may have seen some of these photographs"
    assert told[1:] == ["other was trained at 48 pixels and is measured at 32"]
    assert "it held out 0.1 of them, 0.5 is measured" in notes([cool], {"data.val_fraction": 0.5})[0]
    assert notes([cool], {"data.val_fraction": 0.5, "data.dir": "new"}) == []
    told = notes([cool, other], {"data.dir": "elsewhere", "data.val_fraction": 0.5})  # as its command line named them
    assert told[0] == "other was trained on some of these photographs: it held out 0.1 of them, 0.5 is measured"
    apart = workdir(tmp_path / "apart", data__val_dir="others", data__val_fraction=0.5)
    assert notes([apart, cool], {}) == []  # what is measured are the others
    told = notes([cool, apart], {})
    assert told == ["apart was trained on all of these photographs: it held out others, of its data.val_dir"]


def test_a_group_called_all_is_not_the_total():
    values = {"l1": np.array([1.0, 2.0, 3.0])}
    evaluation = evaluators.Evaluation(values, np.array([0, 0, 1]), np.arange(3), (), np.zeros(0))
    table = evaluators.table(evaluation, ("all", "b"))
    assert {name: row["pictures"] for name, row in table.items()} == {"all": 3, "all/": 2, "b": 1}


def test_an_absolute_bias_may_be_zero_where_the_bias_may():
    rng = np.random.default_rng(0)
    for shift, spans in ((0.0, True), (-3.0, False)):
        row = evaluators.intervals({"bias_b": rng.normal(shift, 3, 60)})
        assert row["cast_b"]["low"] <= row["cast_b"]["mean"] <= row["cast_b"]["high"]
        assert (row["cast_b"]["low"] == 0) == (row["bias_b"]["low"] <= 0 <= row["bias_b"]["high"]) == spans


def test_pictures_of_an_earlier_run_are_taken_away(runs, tmp_path):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "000999.png").write_bytes(b"old")
    run_compare(runs, save_images=tmp_path)
    assert len(list((tmp_path / "truth").iterdir())) == 12
    for labels in (["a/b", "a_b"], ["x", ".."]):
        with pytest.raises(ValueError, match="folders of the pictures"):
            comparison._empty(tmp_path, labels)


@pytest.mark.slow
def test_odd_names_and_unreadable_files(runs, tmp_path):
    """They are shown or named, and the exit code says that something could not be read."""
    cool, _, changes = runs
    folder = tmp_path / "photos"
    for number, group in enumerate(("_x$y$", "caf\udce9")):
        (folder / group).mkdir(parents=True)
        for i in range(2):
            source = Path(changes["data.dir"]) / "a" / f"{number + 1 + 3 * i}.png"
            (folder / group / f"{i} é.png").write_bytes(source.read_bytes())
    (folder / "broken.png").write_bytes(b"no picture")
    command = [sys.executable, "evaluate.py", f"--ckpt={cool}", r"--label=_a$\bad{$", f"--out={tmp_path / 'out'}"]
    command += ["--config.data.source=folder", f"--config.data.dir={folder}"]
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    compiled = {
        "JAX_NUM_CPU_DEVICES": str(jax.device_count()),
        "JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir,
    }
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, env=strict | compiled)
    assert result.returncode == 1 and "1 could not be read: broken.png" in result.stderr, result.stderr
    assert "Traceback" not in result.stderr and (tmp_path / "out" / "report.html").stat().st_size > 1000
    assert "1 not a picture" in (tmp_path / "out" / "report.html").read_text()


def test_stretch_and_crop_measure_different_pictures(runs):
    cool, _, changes = runs
    crop, stretch = (evaluate.evaluate(cool, None, changes, protocol=p)["grey"]["all"] for p in ("crop", "stretch"))
    assert crop["pictures"] == stretch["pictures"] and crop["l1"]["mean"] != stretch["l1"]["mean"]


@pytest.mark.slow
def test_released_weights_are_compared_without_a_history(runs, tmp_path):
    cool, warm, changes = runs
    checkpoint.export(checkpoint.load(warm), tmp_path / "weights")
    rows = evaluate.evaluate([cool, tmp_path / "weights"], tmp_path / "out", changes)
    assert list(rows) == ["grey", "cool", "weights"]
    only = evaluate.evaluate(tmp_path / "weights", tmp_path / "one", changes)
    assert list(only) == ["grey", "weights"] and not (tmp_path / "one" / "losses.png").exists()
    assert json.loads((tmp_path / "one" / "metrics.json").read_text())["baseline"] == "grey"


def test_weights_trained_elsewhere_are_measured_anywhere(tmp_path, runs):
    """A release names no weight file of where it was trained, and measuring asks for nothing that only training needs."""
    changes = {
        "loss__perceptual": 0.2,
        "loss__perceptual_net": "squeeze",
        "lpips_weights": "/not/here",
        "pretrained": "/nor/here",
    }
    trained = workdir(tmp_path / "run", **changes)
    checkpoint.export(checkpoint.load(trained), tmp_path / "weights")
    assert "here" not in (tmp_path / "weights" / "config.json").read_text()
    assert list(evaluate.evaluate(tmp_path / "weights", None, runs[2])) == ["grey", "weights"]
    with pytest.raises(OSError, match="/not/here"):
        evaluate.evaluate(trained, None, runs[2])
    assert list(evaluate.evaluate(trained, None, runs[2] | {"lpips_weights": ""})) == ["grey", "run"]


def test_photographs_that_are_not_here_are_asked_for(tmp_path, monkeypatch, runs):
    """Those of the training are found below ~ too; a release has none; and what a run would not look at is refused."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos").symlink_to(runs[2]["data.dir"])
    (tmp_path / "file").touch()
    trained = workdir(tmp_path / "run", data__source="folder", data__dir="~/photos")
    with pytest.raises(ValueError, match=f"--out={tmp_path}/file is no folder"):  # the next to be looked at
        evaluate.evaluate("~/run", "~/file", {})
    assert evaluate._default_out("~/run") == tmp_path / "run" / "report"
    (tmp_path / "photos").unlink()
    with pytest.raises(ValueError, match=r"the photographs of the training, ~/photos, are not here; name others"):
        evaluate.evaluate(trained, None, {})
    checkpoint.export(checkpoint.load(trained), tmp_path / "weights")
    with pytest.raises(ValueError, match=r"no photographs come with this network; name others .*--config\.data\.dir=DIR"):
        evaluate.evaluate(tmp_path / "weights", None, {})
    with pytest.raises(ValueError, match=r"would not be looked at with data\.source=sample"):
        evaluate.evaluate(runs[0], None, {"data.dir": runs[2]["data.dir"]})
    with pytest.raises(ValueError, match=r"data\.dir='nowhere' is not a folder"):
        evaluate.evaluate(trained, None, {"data.dir": "nowhere"})
    with pytest.raises(ValueError, match=r"data\.names is empty"):  # and no word of the folder of another source
        evaluate.evaluate(trained, None, {"data.source": "tfds"})


def test_settings_of_a_training_change_nothing_and_that_is_said(report, runs, capsys):
    """But precision does what it says: bfloat16 has 8 bits."""
    changes = {"learning_rate": 1.0, "looks": (2.0,), "model.dtype": "bfloat16"}
    rounded = evaluate.evaluate(runs[0], None, runs[2] | changes)["cool"]["all"]["l1"]["mean"]
    assert "learning_rate, looks changes nothing here" in capsys.readouterr().err
    exact = report[0]["cool"]["all"]["l1"]["mean"]
    assert rounded != exact and rounded == pytest.approx(exact, rel=0.02)


def test_what_cannot_be_measured_is_said_before_anything_is(tmp_path, runs):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "report"):
        with pytest.raises(ValueError, match=r"--out=.* is no folder and cannot be made one"):
            evaluate.evaluate(runs[0], out, runs[2] | {"data.dir": "nowhere"})
    with pytest.raises(ValueError, match=r"none of 12 photographs was held out \(data\.val_fraction=0\.0\); --split=all"):
        evaluate.evaluate(runs[0], None, runs[2] | {"data.val_fraction": 0.0}, split="validation")
    with pytest.raises(ValueError, match=r"hints=0,1001 must be numbers of 0\.\.1000"):
        guidance.counts_of("0,1001")


# Figures


def test_figures_of_one_run(tmp_path):
    rows = [TRAIN | PLAYERS | {"step": s} for s in (1, 5)] + [VALIDATION | {"step": 6, "epoch": 1}]
    assert len(figures.losses(rows).axes) == 4
    assert len(figures.losses([row for row in rows if "adversarial" not in row]).axes) == 1
    for suffix in ("png", "svg"):
        for n in range(2):
            figures.save(figures.losses(rows), tmp_path / f"{n}.{suffix}")
        assert (tmp_path / f"0.{suffix}").read_bytes() == (tmp_path / f"1.{suffix}").read_bytes()


def test_lines_differ_without_colour():
    histories = {f"run {i}": [TRAIN | {"step": 1}, TRAIN | {"step": 2}] for i in range(9)}
    lines = figures.all_losses(histories).axes[0].get_lines()
    assert len({(line.get_linestyle(), tuple(line._dash_pattern[1] or ())) for line in lines}) == 7  # dashes
    assert len({(line.get_color(), line.get_linestyle(), tuple(line._dash_pattern[1] or ())) for line in lines}) == 9


def test_panels_hold_the_pictures_they_are_given():
    rng = np.random.default_rng(0)
    luma, chroma = rng.uniform(-0.5, 0.5, (2, 32, 32, 1)), rng.uniform(-0.2, 0.2, (2, 32, 32, 2))
    sheet = np.asarray(figures.panels(luma, {"a name far too long for it": chroma}, ["first", "second"]))
    expected = figures.to_image_u8(luma, chroma)
    height = 4 * 32 + 6 + 22
    assert sheet.shape == (2 * height - 6 + 22, 2 * 128 + 6, 3)
    for i in range(2):
        top = 22 + i * height
        np.testing.assert_array_equal(sheet[top : top + 128 : 4, 134::4], expected[i])


def test_rows_after_a_resume_are_read_back(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(TRAIN | {"step": 1}) + "\n{")
    assert len(read_rows(tmp_path)) == 1
