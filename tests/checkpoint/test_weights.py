"""The weights inside the package: what they weigh, that they are whole, and that they paint."""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from orbax.checkpoint import v1 as ocp

from colorjax import checkpoint
from colorjax.checkpoint import shipped
from colorjax.inference.colorizer import Colorizer
from colorjax.science import color

FOLDER = shipped.FOLDER
LEAST_CHROMA = 4.0  # mean, Lab units; a grey copy has 0


@pytest.fixture(scope="module")
def paint():
    return Colorizer.pretrained(engine="jax")


def test_they_are_below_25_mb():
    assert 1e6 < sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 25e6


def test_they_are_whole_and_those_that_the_code_expects():
    assert shipped.folder() == FOLDER
    assert checkpoint.load("pretrained").digest == checkpoint.load(FOLDER).digest
    listed = set(json.loads((FOLDER / "checksums.json").read_text())["sha256"])
    there = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    loose = {"checksums.json", "README.md", "LICENSE", checkpoint.CALIBRATION}  # the last is made later, and names the weights
    assert there - listed <= loose, "files that no checksum covers"
    assert checkpoint.load("pretrained").calibration["weights"] == checkpoint.load(FOLDER).digest
    assert "config.json" in listed


def test_model_card_and_licence_are_there():
    assert (FOLDER / "README.md").stat().st_size > 500 and (FOLDER / "LICENSE").stat().st_size > 500


def test_nothing_tells_of_the_machine_where_they_were_trained():
    for path in FOLDER.rglob("*"):
        if path.is_file() and path.stat().st_size < 1e6:  # all but the numbers
            assert not re.search(rb"/(home|root|tmp|work|mnt|data|Users)/", path.read_bytes()), path
    assert not Path(json.loads((FOLDER / "config.json").read_text())["data"]["dir"]).is_absolute()


def test_the_network_follows_hints_and_is_quick(paint):
    model = paint.network.config.model
    assert model.guided and paint.guided and model.name == "resnet_unet" and model.stem == "strided"


@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_kernels_are_bfloat16():
    stored = ocp.load((FOLDER / "weights").absolute())
    for path, leaf in jax.tree_util.tree_leaves_with_path(stored["params"]):
        assert leaf.dtype == (jnp.bfloat16 if leaf.ndim > 1 else jnp.float32), jax.tree_util.keystr(path)
    assert {leaf.dtype for leaf in jax.tree.leaves(stored["stats"])} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_photographs_get_colour_and_keep_their_lightness(paint, name):
    truth = getattr(skimage.data, name)()
    lab, expected = (color.rgb_to_lab(image / np.float32(255)) for image in (paint(truth), truth))
    assert np.abs(lab[..., 0] - expected[..., 0]).max() <= 0.5
    assert np.hypot(lab[..., 1], lab[..., 2]).mean() > LEAST_CHROMA


@pytest.fixture(scope="module")
def away(paint):
    """How far the cat's nose is from a blue that a hint asks for there, with the hint and without."""
    truth = skimage.data.chelsea()
    rgb = (70, 90, 190)
    with_hint, without = (color.rgb_to_lab(paint(truth, hints=h) / np.float32(255)) for h in ([(225, 150, rgb)], None))
    asked = color.rgb_to_lab(np.float32(rgb) / 255)[1:]
    return [np.linalg.norm(lab[145:156, 220:231, 1:].mean((0, 1)) - asked) for lab in (with_hint, without)]


def test_a_hint_draws_the_colour_to_it(away):
    assert away[0] < away[1]


def test_a_hint_is_followed(away):
    assert away[0] < away[1] / 2
