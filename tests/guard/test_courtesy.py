"""What the lab's page says of the sandbox: by rules alone, and from a running session."""

import asyncio
from datetime import UTC, datetime

from sandbox.guard.courtesy import Now, status
from sandbox.guard.messages import V1
from tests.guard.conftest import Client
from tests.guard.stack import AGREEMENT, QUERIED, SANDBOX, Stack

FACTS = {
    "project": {"id": "p1", "title": "项目"},
    "person": {"login": "researcher", "name": "研究员", "lang": "zh-CN"},
    "agreements": [AGREEMENT | {"not_after": "2026-12-01T00:00:00.000Z"}, QUERIED],
    "url": "http://portal.sandbox.localhost:8000/services/portal/",
}
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def test_the_line_names_project_person_access_and_the_earliest_end():
    shown = status(FACTS, "sb1", Now(None, "", NOW))
    assert shown["state"] == "live"
    assert shown["line"] == "项目 · 研究员 · flights 挂载 · randhie 查询（暂不可用） · 剩余 7 天"
    assert shown["portal"] == "http://portal.sandbox.localhost:8000/services/portal/sandboxes/sb1"
    assert shown["ask"] == "http://portal.sandbox.localhost:8000/services/portal/projects/p1/display"


def test_a_lapse_is_not_over_and_a_cut_is():
    assert status(FACTS, "sb1", Now("lease_ended", "…", NOW))["over"] is False
    assert status(FACTS, "sb1", Now("agreement_revoked", "…", NOW))["over"] is True


def test_before_the_first_lease_there_is_nothing_to_say_of_anybody():
    assert status({}, "sb1", Now("lease_ended", "…", NOW))["line"] == ""


def test_in_english_every_word_is_there():
    english = status(FACTS | {"person": {"name": "R", "lang": "en"}}, "sb1", Now(None, "", NOW))
    assert english["line"] == "项目 · R · flights mounted · randhie queried (not available yet) · 7 days left"
    assert set(english["words"]) == set(status(FACTS, "sb1", Now(None, "", NOW))["words"])


def test_the_meter_says_in_words_and_numbers_what_was_shown_and_when_it_runs_short():
    used = {"hour": (int(4.3 * (1 << 20)), 5 << 20), "day": (20 << 20, 20 << 20)}
    shown = status(FACTS, "sb1", Now(None, "", NOW, used, "2026-11-24T04:00:00.000Z"))["meter"]
    assert [part["text"] for part in shown["parts"]] == ["本小时 4.3 / 5 MB（86%） 额度将尽", "今天 20.0 / 20 MB（100%） 额度用完"]
    assert [part["percent"] for part in shown["parts"]] == [86, 100]
    assert shown["extended"] == "已获准增加，至 11-24 12:00"
    assert status(FACTS, "sb1", Now(None, "", NOW))["meter"] == {"parts": [], "extended": ""}


def test_the_watermark_names_person_and_project_and_news_have_a_name():
    before, after = (status(FACTS, "sb1", Now(None, "", NOW, {"hour": (used, 5 << 20)})) for used in (0, 1 << 20))
    assert before["mark"] == ["研究员 researcher", "项目"]
    assert before["seen"] != after["seen"] == status(FACTS, "sb1", Now(None, "", NOW, {"hour": (1 << 20, 5 << 20)}))["seen"]


async def test_a_waiting_page_is_told_of_what_was_shown():
    async with Stack() as stack:
        stack.hour_bytes = 5 << 20
        await stack.tell(stack.grant())
        async with stack.connect(await stack.start_kernel()) as ws:
            await Client(ws, V1).run("import os; print(os.urandom(100_000).hex())")
        seen = said = ""
        async with asyncio.timeout(15):
            while not said.startswith("本小时 0.2 / 5 MB（4%）"):
                now = (await stack.get(f"sandbox/status?seen={seen}"))[1]  # waits until it is another
                assert now["seen"] != seen
                seen, said = now["seen"], now["meter"]["parts"][0]["text"]


async def test_a_waiting_page_is_told_of_the_cut_with_its_reason():
    async with Stack() as stack:
        page = (await stack.get("lab"))[1].decode()
        assert f"/user/researcher/{SANDBOX}/sandbox/script.js" in page
        assert (await stack.get("sandbox/script.js"))[0] == 200
        now = (await stack.get("sandbox/status"))[1]
        assert now["state"] == "live"
        waiting = asyncio.ensure_future(stack.get(f"sandbox/status?seen={now['seen']}"))
        await stack.tell({"type": "cut", "code": "agreement_revoked"})
        code, told = await asyncio.wait_for(waiting, 5)
        assert (code, told["state"], told["over"]) == (200, "agreement_revoked", True)
        assert "第十一条" in told["message"]
        assert (await stack.get("lab"))[0] == 403
        assert (await stack.get("sandbox/status", headers={"Authorization": "token other-token"}))[0] in {302, 403}
