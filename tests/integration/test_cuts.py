"""Access that ends is cut: at once, during a start, with a part down, by the clock; and it stays cut."""

import asyncio
import time

import pytest
from live import CLOSE_CODE, becomes, cell, refused, state_of, until

from sandbox.client import ApiError

pytestmark = [pytest.mark.docker, pytest.mark.e2e]
GROUND = {"ground": "第十一条", "reason": "测试"}
END_IN = """
import json, os, sys
from datetime import UTC, datetime, timedelta
from sandbox.settings import Settings
from sandbox.store import Database, open_engine
from sandbox.store.tables import Agreement
with Database(open_engine(Settings.from_env().database_url)).writing() as db:
    one = db.get_one(Agreement, sys.argv[1])
    before, one.not_after = one.not_after, datetime.now(UTC) + timedelta(seconds=float(sys.argv[2]))
    print(json.dumps(before.timestamp()))
"""


@pytest.fixture(autouse=True)
def lifted(live):
    """After each test no hold is left: the next one opens a new sandbox of the same project."""
    yield

    async def lift():
        async with live.person("steward") as steward:
            for hold in (await steward.get(f"/agreements/{live.flights}"))["holds"]:
                if hold.get("lifted_at") is None:
                    try:
                        await steward.post(f"/holds/{hold['id']}/lift")
                    except ApiError as error:
                        assert error.code == "already_lifted"  # noqa: PT017

    asyncio.run(lift())


async def hold(live):
    async with live.person("steward") as steward:
        begun = time.monotonic()
        await steward.post(f"/agreements/{live.flights}/holds", GROUND)
        return begun


async def test_r5_an_idle_socket_is_closed_within_a_second_and_nothing_runs_on(live):
    async with live.working() as person, await person.kernel() as kernel:
        await cell(kernel, "x = 1")
        start = await live.size()
        begun = await hold(live)
        last = await asyncio.wait_for(kernel.wait_closed(), 20)
        assert kernel.close_code == CLOSE_CODE
        assert last - begun < 1.5
        await becomes(person, person.sandbox["id"], "cut")
        assert live.containers(person.sandbox["id"]) == []
        leaf = await live.recorded("sandbox.cut", start, sandbox=person.sandbox["id"])
    assert (leaf["data"]["code"], leaf["data"]["was_running"]) == ("agreement_held", True)


async def test_x2_x4_after_the_cut_no_cookie_opens_anything_and_the_next_sandbox_is_a_new_one(live):
    async with live.working() as person:
        old = dict(person.sandbox)
        await cell(person, "open('secret.txt', 'w').write('copy')")
        await hold(live)
        await becomes(person, old["id"], "cut")
        for path in ("api/kernels", "api/contents/secret.txt", "lab"):
            assert (await refused(person.jupyter("GET", path)))[1] in {302, 403, 404, 424, 503}
        # the other agreement of the project is in force: a new sandbox, without the data and the workspace of the old one
        await person.open(live.project)
        assert person.sandbox["id"] != old["id"]
        async with await person.kernel() as kernel:
            assert await cell(kernel, "import os; print('secret.txt' in os.listdir('.'), os.path.exists('/data/flights'))") == (
                "ok",
                "False False\n",
            )
        await person.post(f"/sandboxes/{person.sandbox['id']}/close")
        await becomes(person, person.sandbox["id"], "stopped")


@pytest.mark.parametrize("moment", ["requested", "authorised", "started"])
async def test_r1_a_hold_during_a_start_ends_with_nothing_running(live, moment):
    async with live.person("researcher") as person, live.person("steward") as steward:

        async def free():
            return all(s["state"] in {"cut", "stopped", "refused", "running"} for s in (await person.get("/sandboxes"))["items"])

        await until(free, 60, "the end of an earlier start")
        for one in (await person.get("/sandboxes"))["items"]:
            if one["state"] == "running" and one["project"] == live.project:
                await person.post(f"/sandboxes/{one['id']}/close")
                await becomes(person, one["id"], "stopped")
        sandbox = (await person.post(f"/projects/{live.project}/sandbox/open"))["id"]
        if moment == "authorised":
            await becomes(person, sandbox, "starting")
        elif moment == "started":

            async def kernel():
                return live.containers(sandbox)

            await until(kernel, 30, "the kernel container")
        await steward.post(f"/agreements/{live.flights}/holds", GROUND)
        found = await becomes(person, sandbox, "cut")
        assert found["reason"] == "agreement_held"

        async def gone():
            return not live.containers(sandbox)

        await until(gone, 30, "the end of all containers")
        await asyncio.sleep(2)  # nothing comes up afterwards
        assert live.containers(sandbox) == []
        assert (await state_of(person, sandbox))["state"] == "cut"


async def test_r4_a_cut_does_not_wait_for_the_log_and_its_record_follows(live):
    async with live.working() as person, await person.kernel() as kernel:
        await cell(kernel, "x = 1")
        start, sandbox = await live.size(), person.sandbox["id"]
        async with live.without("log"):
            begun = await hold(live)
            last = await asyncio.wait_for(kernel.wait_closed(), 20)
            assert last - begun < 1.5
            await becomes(person, sandbox, "cut", 15)
            assert live.containers(sandbox) == []
        await live.recorded("sandbox.cut", start, sandbox=sandbox)
        await live.recorded("kernel.cut", start, sandbox=sandbox)
        assert "agreement.held" in await live.kinds(start, agreement=live.flights)


async def test_r4_a_cut_whose_warden_is_down_closes_the_door_at_once_and_is_done_when_it_is_back(live):
    async with live.working() as person, await person.kernel() as kernel:
        await cell(kernel, "x = 1")
        sandbox = person.sandbox["id"]
        async with live.without("warden"):
            await hold(live)
            await asyncio.wait_for(kernel.wait_closed(), 20)
            assert (await refused(person.jupyter("GET", "api/kernels")))[1] == 403
            assert (await state_of(person, sandbox))["state"] == "running"
            assert (await state_of(person, sandbox))["desired"] == "cut"
        await becomes(person, sandbox, "cut")
        assert live.containers(sandbox) == []


async def test_r4_a_cut_while_the_hub_is_down_is_complete(live):
    async with live.working() as person:
        sandbox = person.sandbox["id"]
        steward = live.person("steward")
        async with steward as signed_in, live.without("hub"):
            await signed_in.post(f"/agreements/{live.flights}/holds", GROUND)
            await becomes(person, sandbox, "cut", 15)
            assert live.containers(sandbox) == []


async def test_a_cut_works_on_a_sandbox_that_a_new_warden_adopted(live):
    async with live.working() as person:
        await asyncio.to_thread(live.restart, "warden")
        assert (await cell(person, "1"))[0] == "ok"
        await hold(live)
        await becomes(person, person.sandbox["id"], "cut")
        assert live.containers(person.sandbox["id"]) == []


async def test_a_term_that_ends_cuts_and_then_opens_nothing(live):
    async with live.working() as person, await person.kernel() as kernel:
        await cell(kernel, "x = 1")
        before = live.inside_portal(END_IN, live.flights, "3")
        try:
            await asyncio.wait_for(kernel.wait_closed(), 30)
            found = await becomes(person, person.sandbox["id"], "cut")
            assert found["reason"] == "agreement_expired"
            assert live.containers(person.sandbox["id"]) == []
        finally:
            live.inside_portal(END_IN, live.flights, str(before - time.time()))
