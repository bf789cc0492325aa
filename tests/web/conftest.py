"""What tests of the server share: a painter in the network's place, and a folder of its own."""

import pytest
from helpers.painter import Painter


@pytest.fixture
def painter():
    return Painter()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "private"
