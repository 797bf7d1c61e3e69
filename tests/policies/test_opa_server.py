"""The adapter against the real OPA server: a well-formed yes passes, all else is a no."""

import pytest
import requests
from opa_server import PORTAL, SESSION, free_port, start

from sandbox.adapters.opa import AsyncPolicy, Policy

pytestmark = pytest.mark.opa

CELL = {"lease": {"live": True, "epoch": 1}, "message": {"type": "execute_request", "channel": "shell", "size": 10}}


def test_a_decision_carries_reasons_obligations_and_revision(opa):
    decision = Policy(opa.url, SESSION).decide("sandbox.cell", CELL)
    assert decision.allow
    assert decision.obligations == {"max_bytes": 1048576}
    assert decision.revision
    denied = Policy(opa.url, SESSION).decide("sandbox.cell", {})
    assert not denied.allow
    assert denied.reasons == ["lease_ended", "message_too_large", "message_type_refused"]


async def test_the_asynchronous_client_decides_the_same(opa):
    async with AsyncPolicy(opa.url, SESSION) as policy:
        assert await policy.decide("sandbox.cell", CELL) == Policy(opa.url, SESSION).decide("sandbox.cell", CELL)
        assert await policy.healthy()


async def test_an_undefined_policy_is_unavailable(opa):
    assert Policy(opa.url, PORTAL).decide("sandbox.nothing", {}).reasons == ["policy_unavailable"]
    async with AsyncPolicy(opa.url, PORTAL) as policy:
        assert (await policy.decide("sandbox.nothing", {})).reasons == ["policy_unavailable"]


async def test_a_wrong_token_gets_no_decision(opa):
    assert Policy(opa.url, "another").decide("sandbox.cell", CELL).reasons == ["policy_unavailable"]
    async with AsyncPolicy(opa.url, "another") as policy:
        assert (await policy.decide("sandbox.cell", CELL)).reasons == ["policy_unavailable"]


async def test_opa_down_is_a_no_and_up_again_a_yes(opa_binary):
    port = free_port()
    server = start(opa_binary, port)
    policy = Policy(server.url, SESSION)
    async with AsyncPolicy(server.url, SESSION) as patient:
        try:
            assert policy.decide("sandbox.cell", CELL).allow
            assert (await patient.decide("sandbox.cell", CELL)).allow
        finally:
            server.process.kill()
            server.process.wait()
        assert policy.decide("sandbox.cell", CELL).reasons == ["policy_unavailable"]
        assert (await patient.decide("sandbox.cell", CELL)).reasons == ["policy_unavailable"]
        assert not policy.healthy()
        again = start(opa_binary, port)
        try:
            assert policy.decide("sandbox.cell", CELL).allow
            assert (await patient.decide("sandbox.cell", CELL)).allow
        finally:
            again.process.kill()
            again.process.wait()


async def test_a_restart_between_two_decisions_is_not_noticed(opa_binary):
    port = free_port()
    first = start(opa_binary, port)
    async with AsyncPolicy(first.url, SESSION) as policy:
        assert (await policy.decide("sandbox.cell", CELL)).allow
        first.process.kill()
        first.process.wait()
        second = start(opa_binary, port)
        try:
            assert (await policy.decide("sandbox.cell", CELL)).allow
        finally:
            second.process.kill()
            second.process.wait()


def status(url: str, method: str, token: str, body: object = None) -> int:
    """Return the HTTP status of one raw request."""
    return requests.request(method, url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=5).status_code


@pytest.mark.parametrize("token", [PORTAL, SESSION, "another"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/policies/mine", "package sandbox.export\ndecision := {}"),
        ("DELETE", "/v1/policies/sandbox", None),
        ("PUT", "/v1/data/sandbox/export", {"decision": {"allow": True}}),
        ("PATCH", "/v1/data", [{"op": "add", "path": "/x", "value": 1}]),
        ("DELETE", "/v1/data/sandbox", None),
        ("GET", "/v1/policies", None),
        ("GET", "/v1/data", None),
        ("POST", "/v1/data", {"input": {}}),
        ("POST", "/", {}),
        ("GET", "/v1/data/sandbox/cell/decision", None),
        ("POST", "/v1/query", {"query": "data"}),
        ("POST", "/v1/compile", {"query": "data"}),
        ("GET", "/v1/config", None),
        ("GET", "/metrics", None),
    ],
)
def test_nobody_writes_or_reads_policy_or_data(opa, token, method, path, body):
    assert status(opa.url + path, method, token, body) == 401


def test_a_session_cannot_ask_the_portals_questions(opa):
    assert status(f"{opa.url}/v1/data/sandbox/portal/decision", "POST", SESSION, {"input": {}}) == 401
    assert status(f"{opa.url}/v1/data/sandbox/portal/decision", "POST", PORTAL, {"input": {}}) == 200
