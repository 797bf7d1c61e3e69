"""The table of processes (architecture): what each container reaches, and whose secrets it can read, asked from inside of it."""

import asyncio
import json

import pytest
from live import Live

pytestmark = [pytest.mark.docker, pytest.mark.e2e]
PORTS = {"proxy": (8000, 8001), "hub": (8081,), "portal": (8010, 8011), "opa": (8181,), "log": (8020,), "warden": (8030,)}
PROBE = """
import json, os, socket, sys
from pathlib import Path
targets, home = json.loads(sys.argv[1]), Path(sys.argv[2])
def reached(name, port):
    try:
        socket.create_connection((name, port), 3).close()
        return True
    except OSError:
        return False
def readable(path):
    try:
        return sorted(one.name for one in path.iterdir())
    except OSError:
        return None
found = [[name, port] for name, ports in targets.items() for port in ports if reached(name, port)]
secrets = {one: readable(home / "secrets" / one) for one in ("hub", "portal", "opa", "log", "warden")}
places = [one for one in ("db", "hub", "audit", "uploads", "exports", "releases", "workspaces") if readable(home / one) is not None]
sockets = [one for one in ("/var/run/docker.sock", "/run/docker.sock") if os.path.exists(one)]
print(json.dumps({"reached": found, "secrets": sorted(k for k, v in secrets.items() if v), "places": places, "docker": sockets, "uid": os.getuid()}))
"""
ASK = """
import json, sys, urllib.error, urllib.request
def ask(method, url, token=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": token} if token else {})
    request = urllib.request.Request(url, b"{}" if method != "GET" else None, headers, method=method)
    try:
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code
import os
hub = "token " + os.environ["JUPYTERHUB_API_TOKEN"]
print(json.dumps([
    ask("GET", "http://proxy:8001/api/routes"), ask("GET", "http://proxy:8001/api/routes", hub),
    ask("POST", "http://portal:8011/internal/hub/login"), ask("POST", "http://portal:8011/internal/hub/launch", hub),
    ask("PUT", "http://opa:8181/v1/policies/x"), ask("GET", "http://log:8020/v1/entries"), ask("POST", "http://log:8020/v1/append"),
    ask("GET", "http://hub:8081/hub/api/users", hub), ask("POST", "http://hub:8081/hub/api/users/researcher/servers/x", hub),
]))
"""
EVERYWHERE = [[name, port] for name, ports in PORTS.items() if name != "warden" for port in ports]
WITH_WARDEN = [[name, port] for name, ports in PORTS.items() for port in ports]


@pytest.fixture(scope="module")
def seen(stack):
    """What each container reaches and reads; `session-asks` are the answers a session gets without a right to any."""
    live = Live.made(stack)

    def look(container):
        said = live.docker("exec", "-i", container, "python", "-", json.dumps(PORTS), str(stack.home), text=PROBE)
        return json.loads(said)

    async def all_of_them():
        async with live.working() as person:
            session = f"ds-{stack.deployment.id}-session-{person.sandbox['id']}"
            found = {name: look(stack.container(name)) for name in ("hub", "portal", "log", "warden")}
            found |= {"session": look(session), "kernel": look(session.replace("-session-", "-kernel-"))}
            found["session-asks"] = json.loads(live.docker("exec", "-i", session, "python", "-", text=ASK))
            return found

    try:
        yield asyncio.run(all_of_them())
    finally:
        live.close()


@pytest.mark.parametrize(
    ("who", "reached"),
    [("hub", WITH_WARDEN), ("portal", WITH_WARDEN), ("log", WITH_WARDEN), ("warden", WITH_WARDEN), ("session", EVERYWHERE), ("kernel", [])],
)
def test_each_reaches_what_its_networks_hold_and_no_more(seen, who, reached):
    assert seen[who]["reached"] == reached


@pytest.mark.parametrize(
    ("who", "secrets", "places"),
    [
        ("hub", ["hub"], ["hub"]),
        ("portal", ["portal"], ["db", "uploads", "exports", "releases"]),
        ("log", ["log"], ["audit"]),
        ("session", [], []),
        ("kernel", [], []),
    ],
)
def test_each_reads_its_own_secrets_and_places_only(seen, who, secrets, places):
    assert seen[who]["secrets"] == secrets
    assert seen[who]["places"] == places


def test_the_warden_alone_has_docker_and_sees_all_the_state(seen):
    assert seen["warden"]["docker"]
    assert seen["warden"]["secrets"] == ["hub", "log", "opa", "portal", "warden"]  # the twin: the probe does find secrets
    assert [who for who in ("hub", "portal", "log", "session", "kernel") if seen[who]["docker"]] == []


def test_what_a_session_reaches_gives_it_nothing_without_a_token_of_that_peer(seen):
    assert [status for status in seen["session-asks"] if status not in {400, 401, 403, 404, 405}] == []
