"""The stage, shared by a module's tests: once under each runtime a kernel container may have."""

import sys
from pathlib import Path

import pytest

from sandbox.deploy import gvisor

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).parents[1] / "warden"))

from stage import Stage, kernel_image


@pytest.fixture(scope="module", params=["runc", gvisor.NAME])
def stage(request, tmp_path_factory):
    """A warden on the real engine whose specs name the runtime; `stage.runtime` says which."""
    image = kernel_image()
    assert image is not None, "no kernel image: `make setup` builds it"
    assert request.param == "runc" or gvisor.ready(), "gVisor is not registered with the engine: `sandbox setup --tests` does it"
    made = Stage(tmp_path_factory.mktemp("home"), image, runtime=request.param)
    yield made
    made.close()
