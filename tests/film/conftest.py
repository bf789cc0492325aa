"""A network that costs nothing."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from colorjax import cli
from colorjax.film import steadying
from colorjax.film.jobs import command


def made_up(luma, colorizer, settings, hints=None, **_):
    """Colours that follow from the lightness."""
    for lightness in luma:
        yield np.stack([lightness * 0.3 - 5, 25 - lightness * 0.2], axis=-1).astype(np.float32)


@pytest.fixture
def colour(monkeypatch, tmp_path):
    """`colorjax film` with a network that costs nothing: colour(film, out, *options) -> exit code."""
    network = SimpleNamespace(digest="0" * 64, source=Path("made-up"))
    colorizer = SimpleNamespace(size=96, flip=False, guided=True, network=network, engine=SimpleNamespace(about={}))
    monkeypatch.setattr(command.colorize_many, "load", lambda *_: colorizer)
    monkeypatch.setattr(steadying, "color_shot", made_up)
    thirds = lambda small: ([number for number, _ in enumerate(small) if number % 3 == 0], [])  # noqa: E731
    monkeypatch.setattr(steadying, "find", thirds)

    def run(source, out, *options):
        return cli.main(["film", str(source), "--out", str(out), *map(str, options)])

    return run
