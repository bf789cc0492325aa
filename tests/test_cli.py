"""The console command: what it writes, what it says, and its exit codes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import skimage.data
from helpers.console import check_failed_before_the_work, run
from helpers.tiny import config as tiny
from PIL import Image

import colorjax
from colorjax import checkpoint, cli, photos
from colorjax.networks import state
from colorjax.science import color

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def workdir(tmp_path_factory):
    """A workdir with two checkpoints; the first is the better one. The network paints vividly at random."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny(model__name="shallow")
    rng = np.random.default_rng(6)
    now = jax.eval_shape(
        lambda: state.init(config, state.Optimizers(optax.sgd(0.1)))
    )  # its numbers come from NumPy: nothing to compile
    now = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.4, leaf.shape), leaf.dtype), now)
    with checkpoint.Checkpoints(folder, keep=2) as checkpoints:
        for step, l1 in ((1, 0.1), (2, 0.2)):
            now.step = jnp.int32(step)
            now.params["head"]["bias"] = np.full(2, 0.01 * step, np.float32)
            checkpoints.save(now, config, {"l1": l1})
    return folder


@pytest.fixture(scope="session")
def release(workdir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("released") / "weights"
    assert cli.main(["export", "--ckpt", str(workdir), "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def album(tmp_path):
    """Photographs of several kinds in folders."""
    folder = tmp_path / "album"
    (folder / "deep" / "er").mkdir(parents=True)
    cat = Image.fromarray(skimage.data.chelsea()[:90, 100:250])
    cat.save(folder / "cat.jpg", dpi=(300, 300))
    cat.convert("L").save(folder / "deep" / "grey.PNG")
    cat.resize((31, 20)).save(folder / "deep" / "er" / "small.tif")
    cat.convert("RGBA").save(folder / "with.dots.webp")
    Image.fromarray(np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)).save(folder / "deep16.png")
    (folder / "notes.txt").write_text("no photograph")
    return folder


COLOURED = [
    "cat.colorized.jpg",
    "deep/er/small.colorized.tif",
    "deep/grey.colorized.PNG",
    "deep16.colorized.png",
    "with.dots.colorized.webp",
]


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def copies(folder):
    """The photographs among them, without sidecars."""
    return [name for name in files(folder) if not name.endswith(".json")]


def digests(folder):
    stats = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    return {path: (hashlib.sha256(path.read_bytes()).hexdigest(), changed) for path, changed in stats.items()}


# --- in a process of its own ---


def test_help_and_version_answer_at_once():
    for argument, expected in (("--help", "colorize"), ("--version", f"colorjax {colorjax.__version__}")):
        command = [sys.executable, "-X", "importtime", "-m", "colorjax", argument]
        answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert answer.returncode == 0
        assert expected in answer.stdout
        loaded = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()}
        assert "colorjax.cli" in loaded
        assert not loaded & {"jax", "numpy", "flax", "PIL"}


def test_colorize_from_a_shell(album, release, tmp_path):
    command = [
        sys.executable,
        "-m",
        "colorjax",
        "colorize",
        "album/cat.jpg",
        "album/deep",
        "--out",
        "out",
        "--ckpt",
        str(release),
    ]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    answer = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=120, env=os.environ | {"PYTHONPATH": path}
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == "3 photographs coloured into out"
    assert "Traceback" not in answer.stderr
    assert copies(tmp_path / "out") == ["cat.colorized.jpg", "er/small.colorized.tif", "grey.colorized.PNG"]


# --- colorize ---


def test_the_photograph_that_the_package_brings(capsys, release, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # again: the copy is there, and nothing is in the way
        assert run(capsys, "colorize", "--example", "--ckpt", release)[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        f"example{end}" for end in (".jpg", ".colorized.jpg", ".colorized.jpg.json")
    }
    with Image.open("example.jpg") as before, Image.open("example.colorized.jpg") as after:
        assert before.size == after.size and before.mode == "L" and after.mode == "RGB"
    assert run(capsys, "verify", "example.colorized.jpg")[0] == 0
    check_failed_before_the_work(run(capsys, "colorize", "--example", "other.jpg"), "other.jpg", "contradict")
    (tmp_path / "example.jpg").write_bytes(b"somebody's own")
    check_failed_before_the_work(run(capsys, "colorize", "--example"), "example.jpg", "another file")
    assert (tmp_path / "example.jpg").read_bytes() == b"somebody's own"


def test_a_folder_is_mirrored_and_its_photographs_are_coloured(capsys, album, release, tmp_path):
    before = digests(album)
    code, out, err = run(capsys, "colorize", album, "--out", tmp_path / "new" / "out", "--ckpt", release)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"5 photographs coloured into {tmp_path / 'new' / 'out'}, passed over 1 other file"
    assert copies(tmp_path / "new" / "out") == COLOURED
    assert digests(album) == before
    for path in album.rglob("*.*"):
        if path.suffix.lower() not in photos.SUFFIXES:
            continue
        coloured = tmp_path / "new" / "out" / path.relative_to(album).with_name(f"{path.stem}.colorized{path.suffix}")
        source, result = photos.read_rgb(path), photos.read_rgb(coloured)
        assert result.shape == source.shape
        lab, expected = color.rgb_to_lab(result / 255.0), color.rgb_to_lab(source / 255.0)
        tolerance = 6 if path.suffix in (".jpg", ".webp") else 0.6
        assert np.percentile(np.abs(lab - expected)[..., 0], 95) < tolerance
        assert np.hypot(lab[..., 1], lab[..., 2]).mean() > 8
    with Image.open(tmp_path / "new" / "out" / "cat.colorized.jpg") as picture:
        assert picture.info["dpi"] == (300, 300)


def test_the_sources_may_lie_where_the_copies_go(capsys, album, release):
    before = digests(album)
    assert run(capsys, "colorize", album, "--out", album, "--ckpt", release)[0] == 0
    assert {path: digest for path, digest in digests(album).items() if path in before} == before
    assert copies(album) == sorted([path.relative_to(album).as_posix() for path in before] + COLOURED)


def test_a_broken_photograph_is_named_and_the_others_are_coloured(capsys, album, release, tmp_path):
    (album / "broken.jpg").write_bytes((album / "cat.jpg").read_bytes()[:2000])
    (album / "deep" / "empty.png").touch()
    code, out, err = run(capsys, "colorize", album, "--out", tmp_path / "out", "--ckpt", release)
    assert code == 1
    assert out.splitlines()[-1] == f"5 photographs coloured into {tmp_path / 'out'}, 2 failed, passed over 1 other file"
    lines = err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{album / 'broken.jpg'}: cannot be decoded (")
    assert lines[1] == f"{album / 'deep' / 'empty.png'}: an empty file"
    assert copies(tmp_path / "out") == COLOURED


@pytest.mark.filterwarnings("ignore")
def test_a_photograph_with_damaged_exif_does_not_end_the_run(capsys, album, release, tmp_path):
    Image.open(album / "cat.jpg").save(album / "a.jpg", exif=b"Exif\0\0garbage everywhere")
    code, _, _ = run(capsys, "colorize", album, "--out", tmp_path / "out", "--ckpt", release)
    assert code in (0, 1)
    assert set(copies(tmp_path / "out")) >= set(COLOURED)


@pytest.mark.parametrize("error", [ValueError, MemoryError, OSError])
def test_an_error_while_one_is_coloured_does_not_end_the_run(capsys, album, release, tmp_path, monkeypatch, error):
    pages = photos.pages

    def fail(path, *limits):
        if path.name == "cat.jpg":
            raise error("it is full")
        return pages(path, *limits)

    monkeypatch.setattr(photos, "pages", fail)
    code, out, err = run(capsys, "colorize", album, "--out", tmp_path / "out", "--ckpt", release)
    assert code == 1
    assert "4 photographs coloured" in out
    assert err == f"{album / 'cat.jpg'}: {'not enough memory' if error is MemoryError else 'it is full'}\n"
    assert copies(tmp_path / "out") == COLOURED[1:]


def test_an_error_without_words_is_named_by_its_type(capsys, album, release, tmp_path, monkeypatch):
    def fail(path, *limits):
        raise ZeroDivisionError

    monkeypatch.setattr(photos, "pages", fail)
    _, _, err = run(capsys, "colorize", album / "cat.jpg", "--out", tmp_path / "out", "--ckpt", release)
    assert err == f"{album / 'cat.jpg'}: ZeroDivisionError\n"


def test_a_file_of_another_kind_is_named(capsys, album, release, tmp_path):
    Image.open(album / "cat.jpg").save(album / "cat.gif")
    named = (album / "notes.txt", album / "cat.gif", album / "cat.jpg")
    code, out, err = run(capsys, "colorize", *named, "--out", tmp_path / "out", "--ckpt", release)
    assert code == 1
    assert "1 photograph coloured" in out
    assert "notes.txt: not a picture" in err
    assert "cat.gif: a GIF, which is not read here; save it as PNG" in err
    assert copies(tmp_path / "out") == ["cat.colorized.jpg"]


def test_photographs_of_one_name_do_not_overwrite_each_other(capsys, album, release, tmp_path):
    (album / "deep" / "cat.jpg").write_bytes((album / "cat.jpg").read_bytes())
    given = (album / "cat.jpg", album / "deep" / "cat.jpg")
    code, out, err = run(capsys, "colorize", *given, "--out", tmp_path / "out", "--ckpt", release)
    written = len(copies(tmp_path / "out"))
    assert written == 2 or (code != 0 and "cat.jpg" in err and f"{written} photographs coloured" in out)


def test_the_size_is_that_of_the_network_or_as_asked(capsys, album, release, tmp_path, monkeypatch):
    from colorjax.inference.colorizer import Colorizer

    seen, predict = [], Colorizer.predict
    monkeypatch.setattr(Colorizer, "predict", lambda self, *given: seen.append(self.size) or predict(self, *given))
    run(capsys, "colorize", album / "cat.jpg", "--out", tmp_path / "out", "--ckpt", release)
    run(capsys, "colorize", album / "cat.jpg", "--out", tmp_path / "out1", "--ckpt", release, "--size", 64)
    assert seen == [32, 64]
    outcome = run(capsys, "colorize", album, "--out", tmp_path / "out2", "--ckpt", release, "--size", 8)
    check_failed_before_the_work(outcome, "size=8 must be at least 32 pixels")
    assert not (tmp_path / "out2").exists()


def test_an_interrupted_run_says_so(capsys, album, release, tmp_path, monkeypatch):
    def stop(self, image, hints):
        raise KeyboardInterrupt

    monkeypatch.setattr("colorjax.inference.colorizer.Colorizer.predict", stop)
    code, out, err = run(capsys, "colorize", album, "--out", tmp_path / "out", "--ckpt", release)
    assert (code, out, err) == (130, "", "colorjax: stopped\n")


# --- wrong usage ---


def test_no_photographs_at_all(capsys, release, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").touch()
    outcome = run(capsys, "colorize", tmp_path / "folder", "--out", tmp_path / "out", "--ckpt", release)
    check_failed_before_the_work(outcome, f"no photographs in {tmp_path / 'folder'}", ".jpg", ".tif")
    assert not (tmp_path / "out").exists()


def test_a_missing_path(capsys, album, release, tmp_path):
    nowhere = tmp_path / "nowhere.jpg"
    code, out, err = run(capsys, "colorize", nowhere, album, "--out", tmp_path / "out", "--ckpt", release)
    assert (code, err) == (1, f"{nowhere}: no such file or folder\n")
    assert out.splitlines()[-1].startswith("5 photographs coloured")
    outcome = run(capsys, "colorize", nowhere, "--out", tmp_path / "out2", "--ckpt", release)
    check_failed_before_the_work(outcome, f"{nowhere}: no such file or folder")
    assert not (tmp_path / "out2").exists()


def test_an_installation_without_weights_says_how_to_train_some(capsys, album, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.shipped, "FOLDER", tmp_path / "none")
    for arguments in (["colorize", album], ["colorize", album, "--ckpt", "pretrained"], ["export"]):
        outcome = run(capsys, *arguments, "--out", tmp_path / "out")
        check_failed_before_the_work(outcome, "train.py --config=configs/unet.py --workdir=DIR", "--ckpt DIR")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["missing", "empty", "a file"])
def test_a_checkpoint_that_is_none(capsys, album, tmp_path, kind):
    path = tmp_path / "ckpt"
    if kind == "empty":
        path.mkdir()
    elif kind == "a file":
        path.write_text("weights?")
    outcome = run(capsys, "colorize", album, "--out", tmp_path / "out", "--ckpt", path)
    check_failed_before_the_work(outcome, path, "--ckpt takes a workdir")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [[], ["colorize"], ["colorize", "--out", "x"], ["paint", "a.jpg"], ["export"]])
def test_wrong_arguments(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: colorjax" in capsys.readouterr().err


# --- export, and damage to what it wrote ---


@pytest.mark.parametrize("limit", ["inf", "nan", "-1", "1e303", "1e-7"])
@pytest.mark.parametrize("command", ["colorize", "verify", "sheet", "serve"])
def test_a_limit_of_pixels_that_is_no_number_is_told_by_every_command(capsys, tmp_path, command, limit):
    paths = [] if command == "serve" else [str(tmp_path)]
    assert cli.main([command, *paths, f"--max-megapixels={limit}"]) == 2
    said = f"colorjax: --max-megapixels {float(limit)} must be positive, and a number\n"
    assert capsys.readouterr().err == said


def test_export_writes_the_best_checkpoint(capsys, workdir, tmp_path):
    code, out, err = run(capsys, "export", "--ckpt", workdir, "--out", tmp_path / "new" / "weights")
    assert (code, err) == (0, "")
    assert out.startswith(f"{workdir / 'checkpoints' / '1'} -> {tmp_path / 'new' / 'weights'}: ")
    size = sum(path.stat().st_size for path in (tmp_path / "new" / "weights").rglob("*") if path.is_file())
    assert out.endswith(f": {size / 1e6:.1f} MB\n")
    exported, saved = checkpoint.load(tmp_path / "new" / "weights"), checkpoint.load(workdir)
    assert exported.config.to_dict() == saved.config.to_dict()
    assert jax.tree.structure(exported.params) == jax.tree.structure(saved.params)
    for one, two in zip(jax.tree.leaves(exported.params), jax.tree.leaves(saved.params), strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, two, rtol=2**-8)  # bfloat16
    np.testing.assert_array_equal(exported.params["head"]["bias"], np.float32([0.01, 0.01]))  # of step 1; biases stay exact
    one_step = tmp_path / "step"
    assert run(capsys, "export", "--ckpt", workdir / "checkpoints" / "2", "--out", one_step)[0] == 0
    np.testing.assert_array_equal(checkpoint.load(one_step).params["head"]["bias"], np.float32([0.02, 0.02]))
    assert checkpoint.load(one_step).digest != exported.digest != ""


def test_export_never_writes_into_a_folder_with_something_in_it(capsys, workdir, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    outcome = run(capsys, "export", "--ckpt", workdir, "--out", tmp_path / "out")
    check_failed_before_the_work(outcome, f"{tmp_path / 'out'} is not empty")
    assert files(tmp_path / "out") == ["mine.txt"]


@pytest.mark.parametrize(
    ("out", "more", "said"),
    [
        ("photo.jpg", [], "photo.jpg is a file; name a folder"),
        ("photo.jpg/net", [], "photo.jpg is a file; name a folder"),
        (".", [], ". is not empty; export writes a new folder"),
        ("photo.jpg", ["--format", "onnx"], "photo.jpg is there already; export writes a new file"),
        ("photo.jpg/net.onnx", ["--format", "onnx"], "photo.jpg is a file; name a folder for net.onnx"),
    ],
)
def test_export_looks_at_its_place_before_it_loads_the_network(capsys, tmp_path, monkeypatch, out, more, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoint, "load", lambda path: pytest.fail("the network was loaded"))
    Path("photo.jpg").write_bytes(b"mine")
    assert run(capsys, "export", "--out", out, *more) == (2, "", f"colorjax: {said}\n")
    assert files(tmp_path) == ["photo.jpg"]


def test_a_sheet_of_a_folder_that_is_none(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").touch()
    assert run(capsys, "sheet", "nodir") == (2, "", "colorjax: nodir does not exist\n")
    assert run(capsys, "sheet", "photo.jpg") == (2, "", "colorjax: photo.jpg is a file; name a folder\n")


def test_every_file_of_a_release_is_guarded(release):
    sums = json.loads((release / "checksums.json").read_text())
    assert sorted(sums["sha256"]) == [name for name in files(release) if name != "checksums.json"]
    assert sums["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(checkpoint.load(release).params))


def test_a_damaged_release_is_named(capsys, album, release, tmp_path):
    for name in files(release):
        if name == "checksums.json":
            continue
        damaged = tmp_path / "damaged"
        shutil.copytree(release, damaged)
        content = bytearray((damaged / name).read_bytes() or b"\1")  # Orbax leaves some files empty
        content[len(content) // 2] ^= 1
        (damaged / name).write_bytes(content)
        outcome = run(capsys, "colorize", album, "--out", tmp_path / "out", "--ckpt", damaged)
        check_failed_before_the_work(outcome, f"{damaged / name} is damaged: SHA-256 is ")
        (damaged / name).unlink()
        outcome = run(capsys, "colorize", album, "--out", tmp_path / "out", "--ckpt", damaged)
        check_failed_before_the_work(outcome, f"{damaged / name} is damaged", "missing")
        shutil.rmtree(damaged)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", [(b'"sha256"', b'"shb256"'), (b"{", b"["), (b": {", b": ["), (b'"', b"\xff")])
def test_damaged_checksums_are_named(capsys, album, release, tmp_path, damage):
    shutil.copytree(release, tmp_path / "damaged")
    path = tmp_path / "damaged" / "checksums.json"
    path.write_bytes(path.read_bytes().replace(*damage, 1))
    outcome = run(capsys, "colorize", album, "--out", tmp_path / "out", "--ckpt", tmp_path / "damaged")
    check_failed_before_the_work(outcome, path)


def test_weights_of_nan_end_in_a_message(capsys, album, workdir, tmp_path):
    network = checkpoint.load(workdir)
    network.params["head"]["kernel"] *= np.nan
    checkpoint.export(network, tmp_path / "nan")
    code, _, err = run(capsys, "colorize", album / "cat.jpg", "--out", tmp_path / "out", "--ckpt", tmp_path / "nan")
    assert code != 0
    assert "its weights are damaged" in err
    assert not list((tmp_path / "out").rglob("*.jpg"))
