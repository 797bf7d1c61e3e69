"""Each part goes away and comes back: what cannot be decided or recorded does not happen, what protects does, nothing is lost."""

import asyncio
import time

import pytest
from live import CLOSE_CODE, becomes, cell, refused, until

from sandbox.client import ApiError

pytestmark = [pytest.mark.docker, pytest.mark.e2e]


@pytest.fixture(scope="module")
def second(live):
    """`researcher2` as a member: their own sandbox of the project, to start while something is down."""

    async def join():
        async with live.person("researcher") as person:
            await person.post(f"/projects/{live.project}/members", {"login": "researcher2"})

    asyncio.run(join())
    return live


async def test_without_policy_nothing_runs_and_nothing_is_shown_and_both_come_back(live):
    async with live.working() as person:
        assert await cell(person, "x = 41") == ("ok", "")
        async with live.without("opa"):
            assert (await cell(person, "x = 0"))[0] == "policy_unavailable"
            assert (await refused(person.post("/projects", {"title": "t", "purpose": "p"})))[:2] == ("policy_unavailable", 503)
            begun = time.monotonic()
            assert (await refused(person.get(f"/sandboxes/{person.sandbox['id']}")))[:2] == ("policy_unavailable", 503)
            assert time.monotonic() - begun < 8  # a name that is gone is not asked for abroad
        assert await cell(person, "print(x + 1)") == ("ok", "42\n")
        assert (await person.get(f"/sandboxes/{person.sandbox['id']}"))["state"] == "running"


async def test_without_policy_no_sandbox_starts_and_the_reason_is_kept(second):
    async with second.person("researcher2") as person:
        sandbox = (await person.post(f"/projects/{second.project}/sandbox/open"))["id"]
        await becomes(person, sandbox, "running")
        await person.post(f"/sandboxes/{sandbox}/close")
        await becomes(person, sandbox, "stopped")
        async with second.without("opa"):
            assert (await refused(person.post(f"/projects/{second.project}/sandbox/open")))[:2] == ("policy_unavailable", 503)
        assert (await person.get(f"/sandboxes/{sandbox}"))["state"] == "stopped"


async def test_without_the_log_no_cell_runs_and_the_kernel_lives_on(live):
    async with live.working() as person:
        assert await cell(person, "x = 41") == ("ok", "")
        start = await live.size()
        async with live.without("log"):
            assert (await cell(person, "x = 0"))[0] == "log_unavailable"
        assert await cell(person, "print(x + 1)") == ("ok", "42\n")
        # the refused cell may have come on record after all: then a closing entry says that it was not delivered
        leaf = await live.recorded("cell.closed", start, sandbox=person.sandbox["id"])
    assert leaf["data"]["status"] in {"not_delivered", "ok"}


async def test_without_the_log_no_sandbox_starts_and_what_was_asked_for_comes_on_record_later(second):
    async with second.person("researcher2") as person:
        start = await second.size()
        async with second.without("log"):
            sandbox = (await person.post(f"/projects/{second.project}/sandbox/open"))["id"]
            found = await becomes(person, sandbox, "refused")
            assert second.containers(sandbox) == []
            with pytest.raises(ApiError, match="log_unavailable"):
                async with second.person("auditor") as auditor:
                    await auditor.get("/audit/head")
        assert found["reason"] == "log_unavailable"
        await second.recorded("session.failed", start, sandbox=sandbox)
        kinds = await second.kinds(start, sandbox=sandbox)
        assert [k for k in kinds if k in {"sandbox.requested", "session.authorised", "session.failed", "kernel.started"}] == [
            "sandbox.requested",
            "session.authorised",
            "session.failed",
        ]
        await person.open(second.project)
        assert (await cell(person, "1"))[0] == "ok"


async def test_a_hub_that_crashed_comes_back_to_its_running_sessions(live):
    async with live.working() as person:
        await cell(person, "x = 41")
        async with live.without("hub"):
            assert await cell(person, "print(x + 1)") == ("ok", "42\n")
        assert await cell(person, "print(x + 1)") == ("ok", "42\n")
    async with live.working() as again:  # a new browser, logged in through the new hub
        assert again.sandbox["id"] == person.sandbox["id"]
        assert (await cell(again, "1"))[0] == "ok"


async def test_a_warden_that_crashed_adopts_what_runs(live):
    async with live.working() as person:
        await cell(person, "x = 41")
        containers = live.containers(person.sandbox["id"])
        async with live.without("warden"):
            assert await cell(person, "print(x + 1)") == ("ok", "42\n")
        assert await cell(person, "print(x + 1)") == ("ok", "42\n")
        assert live.containers(person.sandbox["id"]) == containers


async def test_a_portal_that_is_away_for_longer_than_the_lease_ends_work_until_it_is_back(live):
    async with live.working() as person:
        kernel = await person.kernel()
        await cell(kernel, "x = 41")
        start = await live.size()
        async with live.without("portal"):
            await asyncio.wait_for(kernel.wait_closed(), 40)
            assert kernel.close_code == CLOSE_CODE
            assert (await refused(person.jupyter("GET", "api/kernels")))[1] == 503

        async def back():
            try:
                return await person.jupyter("GET", "api/kernels")
            except ApiError as error:
                assert error.status == 503  # noqa: PT017 - until the lease is granted again
                return None

        await until(back, 30, "a new lease")
        async with await person.kernel(kernel.id) as again:
            assert await cell(again, "print(x + 1)") == ("ok", "42\n")
        assert (await live.recorded("session.lapsed", start, sandbox=person.sandbox["id"]))["data"]["epoch"] >= 0


async def test_a_portal_that_restarts_within_the_lease_is_not_noticed_by_the_cell_that_runs(live):
    async with live.working() as person:
        running = asyncio.create_task(cell(person, "import time\nfor n in range(12):\n    time.sleep(0.5)\nprint('done')"))
        await asyncio.sleep(0)
        await asyncio.to_thread(live.restart, "portal")
        assert await asyncio.wait_for(running, 60) == ("ok", "done\n")
        assert (await person.get(f"/sandboxes/{person.sandbox['id']}"))["state"] == "running"
