"""Wrong input at each step of the main job: a stable code, the field, what to do, and nothing lost."""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from live import becomes, cell, refused, until

from sandbox.client import ApiError
from sandbox.deploy import compose
from sandbox.deploy.demo_data import TRANSPORT
from sandbox.deploy.steps import CHECKOUT

pytestmark = [pytest.mark.docker, pytest.mark.e2e]


async def test_a_csv_with_a_broken_row_names_the_line_and_a_mended_one_is_taken(live, tmp_path):
    name = f"weather_{secrets.token_hex(3)}"
    file = tmp_path / "weather.csv"
    file.write_text("station,day,rain\nA,1,0.5\nB,2\nC,3,1.5\n")
    registration = {
        "name": name,
        "body": TRANSPORT,
        "title_zh": "雨量",
        "title_en": "Rain",
        "description": "",
        "source": "a file of the test",
        "licence": "CC0 1.0",
        "conditions": {"access_modes": ["mounted"], "min_cell": 10, "documents": [], "requirements": []},
    }
    async with live.person("steward") as steward:
        await steward.post("/datasets", registration)

        async def imported(number):
            async def ended():
                one = await steward.get(f"/datasets/{name}/versions/{number}")
                return one if one["state"] != "importing" else None

            return await until(ended, 60, "the end of the import")

        broken = await imported((await steward.upload(f"/datasets/{name}/versions", file=file))["number"])
        assert (broken["state"], [(e["code"], e["line"]) for e in broken["errors"]]) == ("failed", [("csv_row_broken", 3)])
        file.write_text("station,day,rain\nA,1,0.5\nB,2,0\nC,3,1.5\n")
        mended = await imported((await steward.upload(f"/datasets/{name}/versions", file=file))["number"])
        assert (mended["state"], mended["rows"]) == ("imported", 3)


async def draft(person, **changed):
    """A draft in a project of its own: a project has one application at a time."""
    project = await person.post("/projects", {"title": "坏输入", "purpose": "测试"})
    items = [{"dataset": "flights", "columns": ["year", "month", "carrier"], "access": "mounted"}]
    given = {"project": project["id"], "purpose": "研究", "scenario": "统计", "security_measures": "仅限成员", "period_days": 30}
    return await person.post("/applications", given | {"items": items} | changed)


async def test_a_column_that_is_not_in_the_data_set_is_named(live):
    async with live.person("researcher") as person:
        items = [{"dataset": "flights", "columns": ["year", "no_such_column"], "access": "mounted"}]
        made = await draft(person, items=items)
        with pytest.raises(ApiError) as error:
            await person.post(f"/applications/{made['id']}/submit")
        assert (await person.get(f"/applications/{made['id']}"))["items"][0]["columns"] == items[0]["columns"]
    assert (error.value.code, error.value.field, error.value.status) == ("column_unknown", "items[0].columns", 422)
    assert error.value.params["column"] == "no_such_column"
    assert "no_such_column" in error.value.message


async def test_an_application_without_purpose_is_kept_and_says_what_is_missing(live):
    async with live.person("researcher") as person:
        made = await draft(person, purpose="")
        assert await refused(person.post(f"/applications/{made['id']}/submit")) == ("field_required", 422, "purpose")
        kept = await person.get(f"/applications/{made['id']}")
        assert (kept["state"], kept["scenario"], kept["items"][0]["columns"]) == ("draft", "统计", ["year", "month", "carrier"])


async def test_a_second_decision_and_a_second_signature_change_nothing(live):
    async with live.person("steward") as steward, live.person("researcher") as person:
        before = await steward.get(f"/agreements/{live.flights}")
        given = {"decision": "reject", "body": TRANSPORT, "ticks": [], "reason": "重复"}
        assert (await refused(steward.post(f"/applications/{live.grant.application}/assessments", given)))[:2] == ("already_decided", 409)
        for who, side in ((steward, "owner"), (person, "user")):
            signature = {"text_digest": before["text_digest"], "side": side}
            assert (await refused(who.post(f"/agreements/{live.flights}/sign", signature)))[:2] == ("already_signed", 409)
        assert await steward.get(f"/agreements/{live.flights}") == before


async def test_an_unknown_person_is_named_by_field(live):
    async with live.person("researcher") as person, live.person("administrator") as administrator:
        added = person.post(f"/projects/{live.project}/members", {"login": "nobody-here"})
        assert await refused(added) == ("person_unknown", 422, "login")
        given = {"login": "nobody-here", "role": "researcher", "body": None}
        assert await refused(administrator.post("/roles", given)) == ("person_unknown", 422, "login")


async def test_an_unknown_login_is_told_no_more_than_a_wrong_password(live):
    from sandbox.client import Client  # noqa: PLC0415 - only here

    told = []
    for login in ("auditor", "nobody-here"):
        with pytest.raises(ApiError) as error:
            async with Client(live.stack.url, login, "not the password"):
                pass
        told.append((error.value.code, error.value.status, error.value.message))
    assert told[0] == told[1]
    assert told[0][0] == "login_failed"


async def test_sql_with_a_syntax_error_shows_where_and_the_kernel_goes_on(live):
    async with live.working() as person:
        await cell(person, "import datasandbox as ds; x = 1")
        status, said = await cell(person, "ds.sql('SELEC count(*) FROM flights')")
        assert status == "SandboxError"
        assert "[sql_syntax]" in said
        assert "^" in said
        assert await cell(person, "print(x, int(ds.sql('SELECT count(*) AS n FROM flights')['n'][0]))") == ("ok", "1 336776\n")


async def test_a_file_too_large_to_export_is_named_and_stays(live):
    code = """
import datasandbox as ds, os
with open("big.csv", "w") as file:
    file.write("carrier,n\\n" + "UA,10\\n" * 1_500_000)
for act in (ds.check, lambda name: ds.export(name, title="太大", context="测试")):
    try:
        report = act("big.csv")
        print(report["state"], sorted({f["code"] for f in report["findings"] if f["verdict"] == "deny"}))
    except ds.SandboxError as error:
        print(error.code, error.field)
print(os.path.getsize("big.csv") > 1_000_000)
"""
    async with live.working() as person:
        status, printed = await cell(person, code)
    assert status == "ok"
    first, second, kept = printed.splitlines()
    assert first == second
    assert "too_large" in first
    assert kept == "True"


async def test_a_start_while_another_is_pending_waits_for_it(live):
    async with live.working() as person:
        sandbox = person.sandbox["id"]
        await person.post(f"/sandboxes/{sandbox}/close")
        await becomes(person, sandbox, "stopped")

        async def asked():  # the stop's own last step may still be under way
            return (await person.post(f"/projects/{live.project}/sandbox/open"))["state"] == "requested"

        await until(asked, 10, "the request")
        assert (await refused(person.post(f"/projects/{live.project}/sandbox/open")))[:2] == ("start_pending", 409)
        await becomes(person, sandbox, "running")


async def test_an_agreement_whose_term_is_over_opens_nothing_and_says_so(live):
    from test_cuts import END_IN  # noqa: PLC0415 - the same hand on the clock

    async with live.person("researcher") as person:
        before = {name: live.inside_portal(END_IN, one, "-1") for name, one in live.grant.agreements.items()}
        try:
            assert (await refused(person.post(f"/projects/{live.project}/sandbox/open")))[:2] == ("agreement_expired", 409)
        finally:
            for name, one in live.grant.agreements.items():
                live.inside_portal(END_IN, one, str(before[name] - time.time()))


def test_a_port_that_is_taken_is_named_before_anything_starts(stack, tmp_path):
    home = tmp_path / "home"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [str(Path(sys.executable).parent / "sandbox"), "up", "--home", str(home), "--demo"]
        env = {**os.environ, "DATASANDBOX_URL": f"http://sandbox.localhost:{port}"}
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=env, cwd=CHECKOUT)
    try:
        assert done.returncode == 1
        assert f"port_taken: port {port}" in done.stderr
        assert f"sandbox.localhost:{port + 1}" in done.stderr
    finally:
        compose.clean(home)


def test_the_stack_is_whole_after_all_this(live):
    """The log verifies from its first entry to its last."""
    from sandbox.deploy.demo import verify  # noqa: PLC0415 - only here

    done = verify(live.stack.home / "audit", live.stack.home / "audit" / "log.vkey")
    assert done.returncode == 0, done.stderr
    assert asyncio.run(live.size()) > 0
