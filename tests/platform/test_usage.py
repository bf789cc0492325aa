"""What is said to somebody who misspelt an option, a command, or the name of weights."""

import io
import subprocess
import sys

import pytest
from helpers import ROOT

from colorjax import checkpoint, cli
from colorjax.platform import usage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("colorize a.jpg --strenght 0.5", "colorjax colorize: there is no option --strenght; did you mean --strength?"),
        ("colorize a.jpg --stren=0.5", "colorjax colorize: there is no option --stren; did you mean --strength?"),  # in full
        ("colorize a.jpg --ckp runs", "colorjax colorize: there is no option --ckp; did you mean --ckpt?"),
        ("colorize --checkpoint runs", "colorjax colorize: there is no option --checkpoint; did you mean --ckpt?"),
        ("colorize a.jpg --stregnth 1", "colorjax colorize: there is no option --stregnth; did you mean --strength?"),
        ("colorize --chekpoint runs", "colorjax colorize: there is no option --chekpoint; did you mean --ckpt?"),
        ("colorize --overwrite=yes", "colorjax colorize: --overwrite takes no value"),
        ("colorize a.jpg -x", "colorjax colorize: there is no option -x; colorjax colorize --help lists all"),
        ("serve --prot 80", "colorjax serve: there is no option --prot; did you mean --port?"),
        ("--verson", "colorjax: there is no option --verson; did you mean --version?"),
        ("colorise a.jpg", "colorjax: there is no command colorise; did you mean colorize?"),
        ("paint a.jpg", "colorjax: there is no command paint; there are colorize, film, verify, keys, sheet, export, serve"),
        (
            "export --out x --format onx",
            "colorjax export: --format onx: legal are weights, onnx, stablehlo, safetensors; did you mean onnx?",
        ),
        ("colorize", "colorjax colorize: PATH is missing; colorjax colorize --help tells more"),
        ("serve photo.jpg", "colorjax serve: there is no place for photo.jpg"),
    ],
)
def test_what_was_probably_meant(capsys, arguments, said):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments.split())
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("usage: colorjax") and err.splitlines()[-1].startswith(said)
    assert len(err.splitlines()) <= 4


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["colorize", ""], "PATH"),
        (["colorize", "a.jpg", "--out", ""], "--out"),
        (["colorize", "a.jpg", "--report="], "--report"),
        (["colorize", "a.jpg", "--ckpt", ""], "--ckpt"),
        (["verify", ""], "PATH"),
        (["verify", "a.jpg", "--ckpt", ""], "--ckpt"),
        (["sheet", ""], "DIR"),
        (["export", "--out", ""], "--out"),
        (["film", "", "--out", "b.mkv"], "FILM"),
    ],
)
def test_an_empty_name_is_not_the_folder_that_one_is_in(capsys, tmp_path, monkeypatch, arguments, what):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2 and len(list(tmp_path.iterdir())) == 1
    assert f"argument {what}: it is empty; name a file or a folder" in capsys.readouterr().err


def test_a_file_that_looks_like_an_option(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-scan.jpg").touch()
    with pytest.raises(SystemExit):
        cli.main(["colorize", "-scan.jpg"])
    assert "there is no option -scan.jpg; the file of this name is ./-scan.jpg" in capsys.readouterr().err


def test_a_name_that_the_output_has_no_letters_for_ends_nothing(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1", write_through=True))
    assert cli.main(["verify", "zdj\u0119cie.jpg", "gru\u00df\n.jpg"]) == 1
    assert written.getvalue().decode("latin-1").splitlines() == [
        "zdj?cie.jpg: no such file or folder",
        "gru\u00df?.jpg: no such file or folder",
    ]


def test_a_photograph_in_the_place_of_a_command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(SystemExit):
        cli.main(["photo.jpg"])
    assert "did you mean colorjax colorize photo.jpg?" in capsys.readouterr().err


def test_what_follows_two_hyphens_is_no_option(capsys):
    assert cli.main(["colorize", "--", "--strenght"]) == 2
    assert "--strenght: no such file or folder" in capsys.readouterr().err


def test_weights_that_were_misspelt(tmp_path):
    (tmp_path / "unet").mkdir()
    for name, like in (("pretraned", "pretrained"), (tmp_path / "unett", tmp_path / "unet")):
        with pytest.raises(checkpoint.CheckpointError, match=rf"does not exist; --ckpt takes .*; did you mean {like}\?$"):
            checkpoint.load(str(name))
    assert usage.meant("xyz", ["strength", "size"]) == ""


def test_what_many_names_share_makes_none_of_them_like_another():
    configs = ["configs/gan.py", "configs/quarter.py", "configs/unet.py"]
    assert usage.meant("configs/typo.py", configs) == usage.meant("/tmp/runs/first", ["/tmp/runs/second"]) == ""
    for word in ("unet", "unett.py", "configs/unett.py", "mine/unet.py"):
        assert usage.meant(word, configs) == "; did you mean configs/unet.py?"
    keys = ["--config.data.dir", "--config.data.val_dir", "--config.model.net"]
    assert usage.meant("config.data.typo", keys, between=".") == usage.meant("config.data.mode", keys, between=".") == ""
    for word in ("config.data.dri", "config.dta.dir", "config.dir"):
        assert usage.meant(word, keys, between=".") == "; did you mean --config.data.dir?"


def test_help_shows_examples_and_what_belongs_together(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["colorize", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    groups = ("what is coloured, and where the copies go:", "how it looks:", "what marks the copies:", "many machines:")
    places = [text.index(f"\n{group}\n") for group in groups]
    assert places == sorted(places) and text.count("\n  colorjax colorize ") == 4


# --- train.py and evaluate.py ---


def said(script, *words, cwd=ROOT):
    """What a script says at its end; its exit code is not 0."""
    command = [sys.executable, str(ROOT / script), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)
    assert done.returncode != 0 and not done.stdout and "Traceback" not in done.stderr, done.stderr
    return done.stderr.rstrip()


def test_training_without_a_config_lists_them():
    text = said("train.py")
    assert text.startswith("train.py: --config=FILE is missing\n\nThere are\n")
    for path in (ROOT / "configs").glob("[a-z]*.py"):
        assert path.stem == "base" or any(len(line) > 60 for line in text.splitlines() if f"configs/{path.name}" in line)
    assert "there is no configs/unett.py; did you mean configs/unet.py?" in said("train.py", "--config=configs/unett.py")
    assert "there is no quick; did you mean configs/quick.py?" in said("train.py", "--config", "quick")


QUICK = "--config=configs/quick.py"


@pytest.mark.parametrize(
    ("script", "words", "expected"),
    [
        (
            "train.py",
            [QUICK, "--config.epoch=3"],
            "there is no key --config.epoch; did you mean --config.epochs? configs/base.py",
        ),
        ("train.py", [QUICK, "--config.data.dri=x"], "there is no key --config.data.dri; did you mean --config.data.dir?"),
        ("train.py", [QUICK, "--config.epochs=abc"], "--config.epochs=abc: it must be a whole number"),
        ("train.py", [QUICK, "--config.data.flip=maybe"], "--config.data.flip=maybe: it must be True or False"),
        (
            "train.py",
            [QUICK, "--config.model=shallow"],
            "--config.model=shallow: it has keys of its own, which configs/base.py",
        ),
        ("train.py", [QUICK, "--batch_size=4"], "there is no option --batch_size; did you mean --config.batch_size?"),
        ("train.py", [QUICK, "--workdr=x"], "there is no option --workdr; did you mean --workdir?"),
        ("train.py", [QUICK], "--workdir=DIR is missing: where the run is kept, as runs/quick"),
        ("evaluate.py", [], "--ckpt=DIR is missing: a workdir, one of its checkpoints/STEP, an exported folder, or pretrained"),
        (
            "evaluate.py",
            ["--ckpt=x", "--config.data.dri=x"],
            "there is no key --config.data.dri; did you mean --config.data.dir?",
        ),
    ],
)
def test_a_typo_ends_with_one_sentence(script, words, expected):
    text = said(script, *words)
    assert text.startswith(f"{script}: {expected}") and "\n" not in text


def test_a_package_that_only_training_needs_is_named_with_the_way_to_have_it():
    def main(_):
        import a_package_of_training  # noqa: F401

    with pytest.raises(SystemExit, match=r"^train\.py: a_package_of_training is not installed; pip install -e .*\[train\]"):
        usage.run(main, ["somewhere/train.py"])


def test_measuring_pretrained_alone_says_what_it_needs(tmp_path):
    (tmp_path / "photos").mkdir()  # the name that their config has, but not the folder
    text = said("evaluate.py", "--ckpt=pretrained", cwd=tmp_path)
    assert text.endswith("are not here; name others to measure on, in colour: --config.data.dir=DIR") and "\n" not in text


def test_what_the_commands_write_by_default_is_not_committed():
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"runs/", "/report/", "/coloured/"} <= set(ignored)
