"""The real hub and proxy with sessions on the real engine: who gets in, what starts, and what is left behind."""

import asyncio

import docker.errors
import pytest
import requests
from hub_stack import MEMORY, PASSWORDS, inspect

from sandbox.adapters.hub import Hub
from sandbox.client import ApiError, Client
from sandbox.domain.errors import Refusal

pytestmark = pytest.mark.docker


@pytest.fixture
def hub(stack):
    return Hub(stack.api, stack.service_token)


def person(stack, login="researcher"):
    return Client(stack.url, login, PASSWORDS[login], otp="123456")


def address(stack, login, server):
    return {"url": stack.url.replace("//", f"//{login}.") + f"/user/{login}/{server}/"}


async def test_a_person_logs_in_by_the_portals_word_and_comes_back_to_it(stack):
    async with person(stack) as client:
        assert (await client.get("/me"))["login"] == "researcher"
    ((name, body),) = stack.asked.calls
    device = body.pop("device")
    assert (name, body) == (
        "login",
        {"login": "researcher", "password": PASSWORDS["researcher"], "otp": "123456", "address": "", "device_new": True},
    )
    assert len(device) == 32


async def test_a_refused_log_in_shows_the_portals_reason_inert(stack):
    with pytest.raises(ApiError) as caught:
        async with Client(stack.url, "researcher", "wrong"):
            pass
    assert caught.value.code == "login_failed"
    assert caught.value.message == "账号或密码不正确 <b>"


async def test_a_start_comes_from_the_portal_by_the_warden_and_then_the_session(stack, hub):
    await hub.start("researcher", "s1bcdfghjklm")
    try:
        assert stack.asked.names() == ["launch", "warden launch"]
        assert stack.asked.calls[0][1]["authorization"] == f"Bearer {stack.portal_token}"
        assert await hub.state("researcher", "s1bcdfghjklm") == "running"
        await hub.start("researcher", "s1bcdfghjklm")
        assert stack.asked.names() == ["launch", "warden launch"]
        async with person(stack) as client:
            await client.enter(address(stack, "researcher", "s1bcdfghjklm"))
            assert await client.jupyter("GET", "api/kernels") == []
            assert (await client.contents())["type"] == "directory"
        async with person(stack, "researcher2") as other:
            with pytest.raises(ApiError) as caught:
                await other.enter(address(stack, "researcher", "s1bcdfghjklm"))
            assert caught.value.status == 403
    finally:
        await hub.stop("researcher", "s1bcdfghjklm", remove=True)
    assert await hub.state("researcher", "s1bcdfghjklm") == "absent"
    assert stack.asked.names()[-1] == "stopped"
    assert "warden stop" in stack.asked.names()
    with pytest.raises(docker.errors.NotFound):
        inspect(stack, "s1bcdfghjklm")
    await hub.stop("researcher", "s1bcdfghjklm", remove=True)


async def test_the_session_container_has_what_the_spec_says_and_nothing_a_person_sends(stack, hub):
    await hub.ensure_user("researcher")
    options = {"image": "evil", "user_options": {"image": "evil", "volumes": {"/": "/host"}}}
    headers = {"Authorization": f"Bearer {stack.service_token}"}
    answer = await asyncio.to_thread(
        requests.post, f"{stack.api}/users/researcher/servers/s2bcdfghjklm", json=options, headers=headers, timeout=60
    )
    try:
        assert answer.status_code == 201, answer.text
        seen = inspect(stack, "s2bcdfghjklm")
        host, labels = seen["HostConfig"], seen["Config"]["Labels"]
        assert seen["Image"] == stack.image
        assert seen["Config"]["User"] == "1200:1200"
        assert host["GroupAdd"] == ["1300"]
        assert host["CapDrop"] == ["ALL"]
        assert host["ReadonlyRootfs"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert (host["Memory"], host["MemorySwap"]) == (MEMORY, MEMORY)
        assert host["NetworkMode"] == f"ds-{stack.deployment}-sessions"
        assert not host["Privileged"]
        assert not host["PortBindings"]
        assert {mount["Destination"]: mount["RW"] for mount in seen["Mounts"]} == {"/sock": True, "/door": True}
        assert labels["datasandbox.deployment"] == stack.deployment
        assert (labels["datasandbox.role"], labels["datasandbox.sandbox"]) == ("session", "s2bcdfghjklm")
        assert {"DATASANDBOX_SANDBOX=s2bcdfghjklm", "JUPYTERHUB_ACTIVITY_INTERVAL=0"} <= set(seen["Config"]["Env"])
    finally:
        await hub.stop("researcher", "s2bcdfghjklm", remove=True)


async def test_the_session_has_the_variables_that_the_hub_would_set_and_no_others(stack, hub):
    await hub.start("researcher", "sabcdfghjklm")
    try:
        name = stack.session_name("sabcdfghjklm")
        made = {line for line in inspect(stack, "sabcdfghjklm")["Config"]["Env"] if line.startswith("JUPYTERHUB_")}
        asked = {line for line in stack.asked_for[name] if line.startswith("JUPYTERHUB_")}
        assert made == asked | {"JUPYTERHUB_ACTIVITY_INTERVAL=0"}
        assert any(line.startswith("JUPYTERHUB_API_TOKEN=") for line in made)
        assert "session.created" in stack.recorded
        assert "docker.refused" not in stack.recorded
    finally:
        await hub.stop("researcher", "sabcdfghjklm", remove=True)


async def test_a_start_the_portal_refuses_leaves_nothing_and_says_why(stack, hub):
    stack.asked.refuse = (403, "agreement_not_active", "协议未生效")
    with pytest.raises(Refusal) as caught:
        await hub.start("researcher", "s3bcdfghjklm")
    assert (caught.value.code, caught.value.status) == ("start_refused", 403)
    assert "协议未生效" in caught.value.params["why"]
    assert stack.asked.names() == ["launch"]
    assert await hub.state("researcher", "s3bcdfghjklm") == "absent"


async def test_a_portal_that_is_down_fails_the_start(stack, hub):
    stack.asked.refuse = (503, "log_unavailable", "审计日志暂时无法写入")
    with pytest.raises(Refusal) as caught:
        await hub.start("researcher", "s4bcdfghjklm")
    assert (caught.value.code, caught.value.status) == ("start_failed", 503)


async def test_a_launch_the_warden_refuses_cleans_up_both_sides(stack, hub):
    stack.asked.warden_refuses = True
    with pytest.raises(Refusal) as caught:
        await hub.start("researcher", "s5bcdfghjklm")
    assert caught.value.code == "start_refused"
    assert stack.asked.names()[:3] == ["launch", "warden launch", "warden stop"]
    assert stack.asked.names()[-1] == "stopped"
    with pytest.raises(docker.errors.NotFound):
        inspect(stack, "s5bcdfghjklm")


async def test_a_session_that_was_killed_counts_as_stopped_and_the_portal_is_told(stack, hub):
    await hub.start("researcher", "s6bcdfghjklm")
    stack.engine.api.kill(stack.session_name("s6bcdfghjklm"))
    assert await asyncio.to_thread(stack.asked.stopped.wait, 20)
    assert ("warden stop", {"sandbox": "s6bcdfghjklm"}) in stack.asked.calls
    with pytest.raises(docker.errors.NotFound):
        inspect(stack, "s6bcdfghjklm")
    await hub.stop("researcher", "s6bcdfghjklm", remove=True)


async def test_sandboxes_outlive_a_restart_of_the_hub_and_can_still_be_stopped(stack, hub):
    await hub.start("researcher", "s7bcdfghjklm")
    container = inspect(stack, "s7bcdfghjklm")["Id"]
    await asyncio.to_thread(stack.restart_hub)
    assert await hub.state("researcher", "s7bcdfghjklm") == "running"
    assert inspect(stack, "s7bcdfghjklm")["Id"] == container
    async with person(stack) as client:
        await client.enter(address(stack, "researcher", "s7bcdfghjklm"))
    await hub.stop("researcher", "s7bcdfghjklm", remove=True)
    assert ("warden stop", {"sandbox": "s7bcdfghjklm"}) in stack.asked.calls
    with pytest.raises(docker.errors.NotFound):
        inspect(stack, "s7bcdfghjklm")


async def test_two_starts_at_once_are_one(stack, hub):
    await asyncio.gather(hub.start("researcher", "s8bcdfghjklm"), hub.start("researcher", "s8bcdfghjklm"))
    assert stack.asked.names() == ["launch", "warden launch"]
    await hub.stop("researcher", "s8bcdfghjklm", remove=True)


async def test_a_stop_during_a_start_leaves_nothing(stack, hub):
    starting = asyncio.create_task(hub.start("researcher", "s9bcdfghjklm"))
    while await hub.state("researcher", "s9bcdfghjklm") != "starting":  # noqa: ASYNC110 - the hub tells no other way
        await asyncio.sleep(0.05)
    await hub.stop("researcher", "s9bcdfghjklm", remove=True)
    with pytest.raises(Refusal):
        await starting
    assert await hub.state("researcher", "s9bcdfghjklm") == "absent"
    assert stack.asked.names()[-1] == "stopped"
    assert "warden stop" in stack.asked.names()[stack.asked.names().index("warden launch") :]
    with pytest.raises(docker.errors.NotFound):
        inspect(stack, "s9bcdfghjklm")


async def test_persons_start_nothing_and_make_no_tokens(stack, hub):
    await hub.ensure_user("researcher")
    async with person(stack) as client:
        cookie = next(c.value for c in client.http.cookie_jar if c.key == "_xsrf" and c["path"] == "/hub/")
        headers = {"X-XSRFToken": cookie, "Origin": stack.url, "Referer": f"{stack.url}/hub/home"}
        for path in ("users/researcher/servers/mine", "users/researcher/server", "users/researcher/tokens", "users/someone"):
            async with client.http.post(f"{stack.url}/hub/api/{path}", json={}, headers=headers) as answer:
                assert answer.status in {403, 404}, path
        async with client.http.get(f"{stack.url}/hub/spawn") as answer:
            assert answer.status == 403
        async with client.http.get(f"{stack.url}/hub/admin") as answer:
            assert answer.status == 403
        async with client.http.get(f"{stack.url}/hub/home") as answer:
            assert f"{stack.url.replace('//', '//portal.')}/services/portal/" in await answer.text()
    assert "launch" not in stack.asked.names()


async def test_no_log_in_form_on_the_portals_and_persons_hosts(stack):
    async with person(stack) as client:
        for host in ("portal", "researcher"):
            async with client.http.get(f"{stack.url.replace('//', f'//{host}.')}/hub/login") as answer:
                assert answer.status == 404


async def test_the_log_in_page_brings_nothing_from_elsewhere(stack):
    url, headers = stack.url.replace("sandbox.localhost", "127.0.0.1") + "/hub/login", {"Host": stack.url[7:]}
    answer = await asyncio.to_thread(requests.get, url, headers=headers, timeout=10)
    page = answer.content.decode()
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "登录" in page
    assert "Log in" in page
    assert "<script" not in page
    assert "src=" not in page
    assert 'name="otp"' in page


async def test_the_hub_down_is_a_refusal():
    with pytest.raises(Refusal) as caught:
        await Hub("http://127.0.0.1:9/hub/api", "t").start("researcher", "s1bcdfghjklm")
    assert (caught.value.code, caught.value.status) == ("hub_unavailable", 503)
