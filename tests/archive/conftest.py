"""What the tests of this wing share."""

import pytest
from helpers.vivid import vivid_network

from colorjax import checkpoint


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batch") / "weights"
    checkpoint.export(vivid_network(), folder)
    return folder
