"""What is said to somebody who misspelt an option, a command, or the name of weights."""

import pytest

from colorjax import checkpoint, cli
from colorjax.platform import usage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("colorize a.jpg --strenght 0.5", "colorjax colorize: there is no option --strenght; did you mean --strength?"),
        ("colorize a.jpg --stren=0.5", "colorjax colorize: there is no option --stren; did you mean --strength?"),  # in full
        ("colorize a.jpg --ckp runs", "colorjax colorize: there is no option --ckp; did you mean --ckpt?"),
        ("colorize --checkpoint runs", "colorjax colorize: there is no option --checkpoint; did you mean --ckpt?"),
        ("colorize a.jpg -x", "colorjax colorize: there is no option -x; colorjax colorize --help lists all"),
        ("serve --prot 80", "colorjax serve: there is no option --prot; did you mean --port?"),
        ("--verson", "colorjax: there is no option --verson; did you mean --version?"),
        ("colorise a.jpg", "colorjax: there is no command colorise; did you mean colorize?"),
        ("paint a.jpg", "colorjax: there is no command paint; there are colorize, verify, sheet, export, serve"),
        (
            "export --out x --format onx",
            "colorjax export: --format onx: legal are weights, onnx, stablehlo; did you mean onnx?",
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


def test_help_shows_examples_and_what_belongs_together(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["colorize", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    groups = ("what is coloured, and where the copies go:", "how it looks:", "what marks the copies:", "many machines:")
    places = [text.index(f"\n{group}\n") for group in groups]
    assert places == sorted(places) and text.count("\n  colorjax colorize ") == 3
