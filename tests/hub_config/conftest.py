"""One hub for all tests of this directory."""

import socket

import pytest
from hub_stack import running


@pytest.fixture(scope="session")
def whole_stack(tmp_path_factory):
    with socket.socket() as a, socket.socket() as b, socket.socket() as c, socket.socket() as d, socket.socket() as e, socket.socket() as f:
        ports = []
        for probe in (a, b, c, d, e, f):
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    with running(tmp_path_factory.mktemp("hub"), ports) as stack:
        yield stack


@pytest.fixture
def stack(whole_stack):
    """The hub, with what portal and warden were asked forgotten."""
    whole_stack.asked.calls.clear()
    whole_stack.asked.refuse, whole_stack.asked.warden_refuses = None, False
    whole_stack.asked.stopped.clear()
    return whole_stack
