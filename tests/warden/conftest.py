"""The stage, shared by a module's tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stage import Stage, kernel_image


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    image = kernel_image()
    assert image is not None, "no kernel image: `make setup` builds it"
    made = Stage(tmp_path_factory.mktemp("home"), image)
    yield made
    made.close()
