import pytest

from audit.checkpoint import Signer


@pytest.fixture(scope="session")
def signer():
    return Signer.generate("test.log")
