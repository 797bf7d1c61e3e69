"""The real OPA server, once a run."""

from pathlib import Path

import pytest
from opa_server import OPA, free_port, start


@pytest.fixture(scope="session")
def opa_binary() -> Path:
    assert OPA.exists(), f"no OPA at {OPA}: make setup builds it"
    return OPA


@pytest.fixture(scope="session")
def opa(opa_binary):
    server = start(opa_binary, free_port())
    yield server
    server.process.kill()
    server.process.wait()
