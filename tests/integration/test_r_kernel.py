"""R beside Python: who chooses it, what it can do through the real session, and that what it asks for is on record like Python's."""

import asyncio
import json

import pytest
from live import becomes

from sandbox.client import ApiError

TITLE = "各月航班量"
PLOT = f"options(repr.plot.width=4, repr.plot.height=3); plot(1:3, main='{TITLE}', xlab='月份', ylab='数量')"
# Draws a text in a process of its own and shows the picture's digest; a list of fonts other than the image's can be given.
DRAW = """
drawn <- function(text, family = "", fonts = "") {
  picture <- tempfile(fileext = ".png"); code <- tempfile()
  writeLines(sprintf('png("%s", 600, 100, type = "cairo"); par(mar = c(0, 0, 0, 0)); plot.new(); text(.5, .5, "%s", cex = 2.5, family = "%s")
    invisible(dev.off())', picture, text, family), code)
  system2("Rscript", code, env = if (fonts == "") character() else paste0("FONTCONFIG_FILE=", fonts))
  unname(tools::md5sum(picture))
}
writeLines('<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>/usr/share/fonts/truetype/dejavu</dir>
  <cachedir>/tmp/other-fonts</cachedir></fontconfig>', "/tmp/latin.conf")
"""
PICTURES = (
    f"as_is = drawn('{TITLE}'), mainland = drawn('{TITLE}', 'Noto Sans CJK SC'), japan = drawn('{TITLE}', 'Noto Sans CJK JP'), "
    f"other = drawn('各月航班表'), boxes = drawn('{TITLE}', fonts = '/tmp/latin.conf')"
)
ODD = """SELECT * FROM (VALUES (1::BIGINT, 9007199254740993, DATE '2026-01-02', '甲', true, NULL::INT),
 (2, 3, DATE '2026-01-03', NULL, NULL, 7)) t(a, b, d, s, l, n)"""


async def cell(kernel, code):
    """Run a cell; return the status and all text it showed."""
    events = [event async for event in kernel.run(code)]
    return events[-1].content.get("status"), "".join(event.text for event in events)


async def specs(person):
    return set((await person.jupyter("GET", "api/kernelspecs"))["kernelspecs"])


async def in_r(live, person):
    """Open the sandbox with R: one that runs without it is closed first, as the environment is fixed at its start."""
    for one in (await person.get("/sandboxes"))["items"]:
        if one["state"] == "running" and one["environment"] == "python":
            await person.post(f"/sandboxes/{one['id']}/close")
            await becomes(person, one["id"], "stopped")
    return await person.open(live.project, environment="python_r")


async def test_without_r_the_session_offers_python_only_and_refuses_to_start_r(live):
    async with live.person("researcher") as person:
        opened = await person.open(live.project)
        assert (opened["environment"], await specs(person)) == ("python", {"python3"})
        with pytest.raises(ApiError) as refused:  # the browser cannot choose what the spec does not name
            await person.kernel(name="ir")
        assert (refused.value.status, refused.value.params["reason"]) == (400, "kernel_unknown")
        with pytest.raises(ApiError) as unknown:
            await person.post(f"/projects/{live.project}/sandbox/open", {"environment": "julia"})
        assert unknown.value.code == "choice_unknown"


async def test_r_computes_shows_chinese_is_interrupted_and_restarted(live):
    async with live.person("researcher") as person:
        start = await live.size()
        opened = await in_r(live, person)
        assert (opened["environment"], await specs(person)) == ("python_r", {"python3", "ir"})
        async with await person.kernel() as python:
            assert await cell(python, "print(1+1)") == ("ok", "2\n")
        async with await person.kernel(name="ir") as r:
            status, text = await cell(r, "1+1")
            assert (status, "2" in text) == ("ok", True)
            assert await cell(r, "cat('中文', 1+1)") == ("ok", "中文 2")
            shown = [event.content["data"] async for event in r.run(PLOT) if event.kind == "display"]
            assert any(kind.startswith("image/") for data in shown for kind in data)
            status, text = await cell(r, "stop('不对')")
            assert (status, "不对" in text) == ("error", True)
            await cell(r, "n <- 7")
            running = asyncio.create_task(cell(r, "cat('sleeping'); flush.console(); Sys.sleep(60)"))
            await live.recorded("cell.sent", start, sandbox=opened["id"])
            await asyncio.sleep(1.5)
            await person.jupyter("POST", f"api/kernels/{r.id}/interrupt")
            assert (await asyncio.wait_for(running, 20))[0] in {"abort", "error"}
            assert await cell(r, "cat(n)") == ("ok", "7")
            await person.jupyter("POST", f"api/kernels/{r.id}/restart")
            number = r.id
        async with await person.kernel(number) as r:
            assert await cell(r, "cat(exists('n'), R.version$language)") == ("ok", "FALSE R")
        entries = [entry["leaf"] for entry in await live.entries(start, sandbox=opened["id"])]
        authorised = next(leaf for leaf in entries if leaf["kind"] == "session.authorised")
        assert authorised["data"]["environment"] == "python_r"
        assert [leaf["data"]["name"] for leaf in entries if leaf["kind"] == "kernel.start"] == ["python3", "ir"]


async def test_chinese_in_a_plot_is_drawn_in_the_forms_of_the_mainland_and_not_as_boxes(live):
    async with live.person("researcher") as person:
        await in_r(live, person)
        async with await person.kernel(name="ir") as r:
            status, text = await cell(r, DRAW + f"cat(jsonlite::toJSON(list({PICTURES}), auto_unbox = TRUE))")
        assert status == "ok", text
        pictures = json.loads(text)
        assert pictures["as_is"] == pictures["mainland"]
        assert len(set(pictures.values())) == len(pictures) - 1  # the twins: other forms, another text, and a list without Chinese fonts


async def test_what_r_asks_for_is_refused_and_recorded_as_what_python_asks_for(live):
    async with live.person("researcher") as person:
        opened = await in_r(live, person)
        start = await live.size()
        async with await person.kernel(name="ir") as r:
            await cell(r, "ds <- ds_load('flights', limit=5); n <- ds_sql('SELECT count(*) AS n, avg(1.5) AS a FROM flights')")
            assert await cell(r, "cat(nrow(ds), class(n$n), n$a)") == ("ok", "5 integer 1.5")
            assert "flights" in (await cell(r, "print(ds_info())"))[1]
            failing = "cat(tryCatch(ds_sql('SELECT 1 FROM nowhere'), SandboxError = function(e) e$code))"
            assert await cell(r, failing) == ("ok", "sql_failed")
            status, text = await cell(r, "ds_load('randhie')")
            assert (status, "queried_not_available" in text) == ("error", True)
            typed = f'x <- ds_sql("{ODD}"); cat(class(x$a), x$b[1], format(x$d[1]), x$s[1], is.na(x$s[2]), is.na(x$l[2]), x$n[2])'
            assert await cell(r, typed) == ("ok", "integer 9007199254740993 2026-01-02 甲 TRUE TRUE 7")
            await cell(r, "m <- ds_sql('SELECT carrier, count(*) AS n FROM flights GROUP BY carrier HAVING count(*) >= 30')")
            await cell(r, "write.csv(m, 'carriers.csv', row.names=FALSE)")
            status, checked = await cell(r, "print(ds_check('carriers.csv'))")
            assert (status, "carriers.csv" in checked) == ("ok", True), checked
            before = {one["id"] for one in (await person.get("/exports"))["items"]}
            status, asked = await cell(r, "cat(ds_export('carriers.csv', title='各承运人航班数', context='表一')$state)")
            assert status == "ok", asked
            status, text = await cell(r, "ds_check('missing.csv')")
            assert (status, "file_missing" in text or "missing.csv" in text) == ("error", True), text
        made = [one for one in (await person.get("/exports"))["items"] if one["id"] not in before]
        assert [one["title"] for one in made] == ["各承运人航班数"]
        entries = [entry["leaf"] for entry in await live.entries(start, sandbox=opened["id"])]
        queries = [leaf["data"]["datasets"] for leaf in entries if leaf["kind"] == "query.sent"]
        assert queries[:2] == [["flights"], ["flights"]], queries
        assert {"export.requested", "query.closed"} <= {leaf["kind"] for leaf in entries}
