"""The display budget on the real stack: a cell's cap, the hour's end, and that neither a new tab nor a new session gives more."""

from live import becomes, cell

RANDOM = "import os; print('<' + os.urandom({half}).hex() + '>')"
LATER = "import datasandbox as ds; ds.show_again()"


async def test_w12_the_hour_ends_for_every_tab_and_session_and_what_was_withheld_is_shown_later(live):
    begun = await live.size()
    async with live.working() as researcher:
        _, over = await cell(researcher, "import os\nfor n in range(4): print(f'<{n}>' + os.urandom(45_000).hex(), flush=True)")
        assert "<1>" in over
        assert "<3>" not in over
        assert "ds.show_again()" in over
        _, later = await cell(researcher, LATER)
        assert "<3>" in later, later[-300:]

        shown = len(over) + len(later)
        for _ in range(40):
            _, text = await cell(researcher, RANDOM.format(half=110_000))
            shown += len(text)
            if "本小时的显示额度" in text:
                break
        assert 4 << 20 < shown <= 5 << 20
        entry = await live.recorded("display.exhausted", begun)
        assert (entry["data"]["code"], entry["data"]["hour_bytes"]) == ("display_hour", 5 << 20)
        assert len((await cell(researcher, LATER))[1]) < 5000  # there is still none

    async with live.working() as researcher:  # another browser on the same session
        assert len((await cell(researcher, RANDOM.format(half=110_000)))[1]) < 5000
        sandbox = (await researcher.open(live.project))["id"]
        await researcher.post(f"/sandboxes/{sandbox}/close")
        await becomes(researcher, sandbox, "stopped")

    async with live.working() as researcher:  # a new session
        again = [len((await cell(researcher, RANDOM.format(half=110_000)))[1]) for _ in range(3)]
        assert sum(again) < 300_000  # at most what the ended session had in hand and gave back
    closed = await live.recorded("cell.closed", begun)
    assert {"shown_bytes", "withheld_bytes"} <= closed["data"].keys()
