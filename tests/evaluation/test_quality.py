"""The scripts below benchmarks/quality: what they compare, and what they leave alone."""

import sys

import numpy as np
import pytest
from helpers.vivid import vivid_network
from PIL import Image

from benchmarks.quality import calibrate, sets
from colorjax import checkpoint
from colorjax.inference import pixels
from colorjax.inference.viewing import Prediction


class Painter:
    """Answers at 8 x 8 with one colour and the lightness of what it saw; keeps what it is asked to paint."""

    def predict(self, seen):
        return Prediction(pixels.lightness(pixels.small_grey(seen, (8, 8))), np.full((8, 8, 2), 5, np.float32))

    def paint(self, grey, prediction):
        self.lightness = prediction.lightness
        return np.stack([grey] * 3, -1)


def test_colours_of_another_exposure_follow_the_edges_of_what_they_are_laid_on():
    rgb = np.zeros((32, 32, 3), np.uint8)
    rgb[:, 16:] = 200
    grey = sets.grey_of(rgb)
    painter, own = Painter(), Painter()
    sets.see(painter, rgb, 255 - grey)
    sets.see(own, rgb, grey)
    np.testing.assert_allclose(painter.lightness, own.lightness)
    assert own.lightness[4, 0] < 1 and own.lightness[4, 7] > 75


def rows_of(colourfulness):
    """Two photographs, whose copies are that colourful at each of `sets.FACTORS`."""
    of = {"colourfulness": np.float32(colourfulness), "true": np.full(len(sets.FACTORS), 40.0, np.float32)}
    steps = np.linspace(0, 1, len(sets.FACTORS), dtype=np.float32)
    return [of | {"psnr": 22 + steps, "delta_e": 11 - steps, "bias_a": steps, "bias_b": steps}] * 2


def test_a_colourfulness_that_no_factor_reaches_is_told(capsys):
    rows = {"bold": rows_of(np.linspace(0, 60, len(sets.FACTORS))), "pale": rows_of(np.linspace(0, 24, len(sets.FACTORS)))}
    sets.tell("set", rows, np.ones(2, bool), [None, 0.5, 0.8], {})
    told = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()]
    assert [row[5] for row in told if row[3] == "bold"] == ["own", "0.5", "0.8"]
    assert [row[5] for row in told if row[3] == "pale"] == ["own", "0.5", "0.8 out of reach"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--photos=nothing",), "nothing holds no photographs"),
        (("--photos=photos",), None),
        (("--photos=photos", "--only-check"), None),
    ],
)
def test_a_table_stays_until_there_is_another(tmp_path, monkeypatch, capsys, more, words):
    monkeypatch.chdir(tmp_path)
    checkpoint.export(vivid_network(image_size=32), tmp_path / "released")
    (tmp_path / "photos").mkdir()
    for number in range(12):
        colours = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(colours).resize((40, 40)).save(tmp_path / "photos" / f"{number}.png")
    table = tmp_path / "released" / checkpoint.CALIBRATION
    old = '{"said": [0, 1], "error": [0, 1], "weights": "of others"}'
    table.write_text(old)
    monkeypatch.setattr(sys, "argv", ["calibrate.py", "--ckpt=released", "--pictures=3", *more])
    if words:
        with pytest.raises(SystemExit, match=words):
            calibrate.main()
    elif "--only-check" in more:
        with pytest.raises(checkpoint.CheckpointError, match="of other weights"):
            calibrate.main()
    else:
        calibrate.main()
        assert "rank correlation" in capsys.readouterr().out
    assert (table.read_text() == old) == (more != ("--photos=photos",))
