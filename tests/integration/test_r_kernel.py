"""R beside Python: who chooses it, what it can do through the real session, and that its queries are on record like Python's."""

import asyncio
import json

import pytest
from live import becomes

from sandbox.client import ApiError

PLOT = "options(repr.plot.width=4, repr.plot.height=3); plot(1:3, main='各月航班量', xlab='月份', ylab='数量')"


async def cell(kernel, code):
    """Run a cell; return the status and all text it showed."""
    events = [event async for event in kernel.run(code)]
    return events[-1].content.get("status"), "".join(event.text for event in events)


async def test_r_works_beside_python_and_its_queries_are_recorded(live):
    async with live.person("researcher") as person:
        plain = await person.open(live.project)
        assert plain["environment"] == "python"
        assert set((await person.jupyter("GET", "api/kernelspecs"))["kernelspecs"]) == {"python3"}
        with pytest.raises(ApiError) as refused:  # the browser cannot choose what the spec does not name
            await person.kernel(name="ir")
        assert refused.value.status == 400
        await person.post(f"/sandboxes/{plain['id']}/close")
        await becomes(person, plain["id"], "stopped")

        start = await live.size()
        opened = await person.open(live.project, environment="python_r")
        assert (opened["id"], opened["environment"]) == (plain["id"], "python_r")
        assert set((await person.jupyter("GET", "api/kernelspecs"))["kernelspecs"]) == {"python3", "ir"}
        async with await person.kernel() as python:
            assert await cell(python, "print(1+1)") == ("ok", "2\n")
        async with await person.kernel(name="ir") as r:
            assert (await cell(r, "1+1"))[0] == "ok"
            assert await cell(r, "cat('中文', 1+1)") == ("ok", "中文 2")
            events = [event async for event in r.run(PLOT)]
            assert any("各月航班量" in event.text for event in events if event.kind == "display")
            status, text = await cell(r, "stop('不对')")
            assert (status, "不对" in text) == ("error", True)

            await cell(r, "ds <- ds_load('flights', limit=5); n <- ds_sql('SELECT count(*) AS n, avg(1.5) AS a FROM flights')")
            assert await cell(r, "cat(nrow(ds), class(n$n), n$a)") == ("ok", "5 integer 1.5")
            assert "flights" in (await cell(r, "print(ds_info())"))[1]
            assert await cell(r, "cat(tryCatch(ds_sql('SELECT 1 FROM nowhere'), SandboxError = function(e) e$code))") == (
                "ok",
                "sql_failed",
            )
            status, text = await cell(r, "ds_load('randhie')")
            assert (status, "queried_not_available" in text) == ("error", True)
            odd = (
                "SELECT * FROM (VALUES (1::BIGINT, 9007199254740993, DATE '2026-01-02', '甲', true, NULL::INT),"
                " (2, 3, DATE '2026-01-03', NULL, NULL, 7)) t(a, b, d, s, l, n)"
            )
            shown = 'x <- ds_sql("' + odd + '"); cat(class(x$a), x$b[1], format(x$d[1]), x$s[1], is.na(x$s[2]), is.na(x$l[2]), x$n[2])'
            assert await cell(r, shown) == ("ok", "integer 9007199254740993 2026-01-02 甲 TRUE TRUE 7")
            await cell(r, "write.csv(data.frame(month=1:12, flights=1000+1:12), 'm.csv', row.names=FALSE)")
            assert (await cell(r, "cat(ds_check('m.csv')$state)"))[0] == "ok"

            running = asyncio.create_task(cell(r, "cat('sleeping'); flush.console(); Sys.sleep(60)"))
            await asyncio.sleep(1.5)
            await person.jupyter("POST", f"api/kernels/{r.id}/interrupt")
            assert (await asyncio.wait_for(running, 20))[0] == "abort"
            assert await cell(r, "cat(exists('n'))") == ("ok", "TRUE")
            await person.jupyter("POST", f"api/kernels/{r.id}/restart")
            number = r.id
        async with await person.kernel(number) as r:
            assert await cell(r, "cat(exists('n'))") == ("ok", "FALSE")
        entries = [entry["leaf"] for entry in await live.entries(start, sandbox=opened["id"])]
        authorised = next(leaf for leaf in entries if leaf["kind"] == "session.authorised")
        assert authorised["data"]["environment"] == "python_r"
        assert [leaf["data"]["name"] for leaf in entries if leaf["kind"] == "kernel.start"] == ["python3", "ir"]
        asked = [leaf["data"] for leaf in entries if leaf["kind"] == "query.sent"]
        assert [one["datasets"] for one in asked[:2]] == [["flights"], ["flights"]], json.dumps(asked, ensure_ascii=False)
        with pytest.raises(ApiError) as unknown:
            await person.post(f"/projects/{live.project}/sandbox/open", {"environment": "julia"})
        assert unknown.value.code == "choice_unknown"
