"""What the console makes of variants, warmth, saturation and the reach of hints: copies, sidecars, words."""

import json

import numpy as np
import pytest
from helpers.console import run
from helpers.files import CAT
from inference.test_guided import network
from PIL import Image

from colorjax import checkpoint, photos
from colorjax.archive import sidecar
from colorjax.inference.colorizer import Colorizer
from colorjax.science import color

HINT = "40,60,#2030d0"


@pytest.fixture(scope="module")
def guided_weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guided") / "weights"
    checkpoint.export(network(), folder)
    return folder


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(CAT).save(folder / name)
    return folder


@pytest.fixture
def colorize(capsys, guided_weights, tmp_path):
    def command(*arguments):
        return run(capsys, "colorize", *arguments, "--ckpt", guided_weights)

    return command


def about(copy):
    return json.loads(copy.with_name(copy.name + ".json").read_text())


def ab(copy):
    return color.rgb_to_lab(photos.read(copy).image / np.float32(255))[..., 1:]


def test_variants_are_numbered_copies_with_sidecars_that_hold(colorize, album, tmp_path, capsys):
    out = tmp_path / "out"
    code, said, err = colorize(album, "--out", out, "--variants", 3)
    assert (code, err) == (0, "") and "2 photographs coloured into" in said and said.endswith("as 6 copies\n")
    names = [f"{stem}.colorized.{number}.png" for stem in "ab" for number in (1, 2, 3)]
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, *(f"{name}.json" for name in names)])
    assert [about(out / f"a.colorized.{number}.png")["settings"]["variant"] for number in (1, 2, 3)] == [1, 2, 3]
    assert run(capsys, "verify", out)[0] == 0 and len(sidecar.find(out)) == 6
    first, second, third = (ab(out / f"a.colorized.{number}.png") for number in (1, 2, 3))
    assert min(np.abs(first - second).mean(), np.abs(first - third).mean(), np.abs(second - third).mean()) > 0.5
    assert colorize(album, "--out", tmp_path / "plain")[0] == 0
    np.testing.assert_array_equal(first, ab(tmp_path / "plain" / "a.colorized.png"))  # the likeliest is the usual one
    assert "6 there already" in colorize(album, "--out", out, "--variants", 3)[1]
    assert "2 photographs coloured" in colorize(out, album, "--out", tmp_path / "again")[1]  # its own copies are passed over


def test_a_variant_is_doubted_by_its_own_colours(colorize, album, tmp_path, monkeypatch):
    monkeypatch.setattr(Colorizer, "calibrated", True)
    assert colorize(album / "a.png", "--out", tmp_path, "--variants", 2, "--uncertainty")[0] == 0
    likeliest, other = (about(tmp_path / f"a.colorized.{number}.png")["pages"][0] for number in (1, 2))
    assert likeliest["uncertainty_calibrated"] and not other["uncertainty_calibrated"]
    assert abs(other["uncertainty"] - likeliest["uncertainty"]) > 0.2


def test_one_photograph_and_a_named_copy(colorize, album, tmp_path):
    assert colorize(album / "a.png", "--out", tmp_path / "x.jpg", "--variants", 2, "--hint", HINT)[0] == 0
    assert sorted(path.name for path in tmp_path.glob("x*")) == ["x.1.jpg", "x.1.jpg.json", "x.2.jpg", "x.2.jpg.json"]
    assert [about(tmp_path / f"x.{number}.jpg")["pages"][0]["hints"][0]["color"] for number in (1, 2)] == ["#2030d0"] * 2
    assert colorize(album, "--variants", 7)[2] == "colorjax: --variants 7 must be in 0..6\n"


def test_warmth_and_saturation_are_in_the_copy_and_its_sidecar(colorize, album, tmp_path):
    for name, more in (("plain", ()), ("warm", ("--warmth", 0.5)), ("dull", ("--saturation", -1))):
        assert colorize(album / "a.png", "--out", tmp_path / name, *more)[0] == 0
    plain, warm, dull = (ab(tmp_path / name / "a.colorized.png") for name in ("plain", "warm", "dull"))
    assert 2 < (warm - plain)[..., 1].mean() < 6 and np.abs(dull).mean() < 0.95 * np.abs(plain).mean()
    said = [about(tmp_path / name / "a.colorized.png")["settings"] for name in ("plain", "warm", "dull")]
    assert "warmth" not in said[0] and said[1]["warmth"] == 0.5 and said[2]["saturation"] == -1
    again = colorize(album / "a.png", "--out", tmp_path / "plain", "--warmth", 0.5)
    assert "with another warmth" in "".join(again[1:])
    assert colorize(album / "a.png", "--warmth", 2)[2] == "colorjax: --warmth 2.0 must be in -1..1\n"


def test_the_reach_of_hints_in_a_file_is_followed_and_recorded(colorize, album, tmp_path):
    hint = {"x": 40, "y": 60, "color": "#2030d0"}
    changed = {}
    assert colorize(album / "a.png", "--out", tmp_path / "plain")[0] == 0
    for name, how in (("wide", {"reach": "soft"}), ("near", {"reach": "soft", "radius": 0.08}), ("pixels", {"radius": 7})):
        (album / "a.png.hints.json").write_text(json.dumps({"hints": [hint | how]}))
        assert colorize(album / "a.png", "--out", tmp_path / name)[0] == 0
        assert about(tmp_path / name / "a.colorized.png")["pages"][0]["hints"] == [hint | how]
        far = np.abs(ab(tmp_path / name / "a.colorized.png") - ab(tmp_path / "plain" / "a.colorized.png")).max(-1)
        changed[name] = far[60, 52:62].max()
    assert changed["wide"] > 3 * changed["near"] and changed["wide"] > 3 * changed["pixels"], changed
    code, _, err = colorize(album / "a.png", "--out", tmp_path / "x", "--hint", f"{HINT},far")
    assert code == 2 and "may go on with soft or object, and a radius as 20%" in err


def test_an_uncertainty_that_nobody_measured_says_so(colorize, album, tmp_path, guided_weights):
    code, said, _ = colorize(album, "--out", tmp_path / "out", "--uncertainty")
    assert code == 0 and said.count("is not calibrated") == 1
    assert about(tmp_path / "out" / "a.colorized.png")["pages"][0]["uncertainty_calibrated"] is False
