"""What the lab's page says of the sandbox: by rules alone, and from a running session."""

import asyncio
from datetime import UTC, datetime

from sandbox.guard.courtesy import status
from tests.guard.stack import AGREEMENT, QUERIED, SANDBOX, Stack

FACTS = {
    "project": {"id": "p1", "title": "项目"},
    "person": {"login": "researcher", "name": "研究员", "lang": "zh-CN"},
    "agreements": [AGREEMENT | {"not_after": "2026-12-01T00:00:00.000Z"}, QUERIED],
    "url": "http://portal.sandbox.localhost:8000/services/portal/",
}
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def test_the_line_names_project_person_access_and_the_earliest_end():
    shown = status(FACTS, None, "", "sb1", NOW)
    assert shown["state"] == "live"
    assert shown["line"] == "项目 · 研究员 · flights 挂载 · randhie 查询（暂不可用） · 剩余 7 天"
    assert shown["portal"] == "http://portal.sandbox.localhost:8000/services/portal/sandboxes/sb1"


def test_a_lapse_is_not_over_and_a_cut_is():
    assert status(FACTS, "lease_ended", "…", "sb1", NOW)["over"] is False
    assert status(FACTS, "agreement_revoked", "…", "sb1", NOW)["over"] is True


def test_before_the_first_lease_there_is_nothing_to_say_of_anybody():
    assert status({}, "lease_ended", "…", "sb1", NOW)["line"] == ""


def test_in_english_every_word_is_there():
    english = status(FACTS | {"person": {"name": "R", "lang": "en"}}, None, "", "sb1", NOW)
    assert english["line"] == "项目 · R · flights mounted · randhie queried (not available yet) · 7 days left"
    assert set(english["words"]) == set(status(FACTS, None, "", "sb1", NOW)["words"])


async def test_a_waiting_page_is_told_of_the_cut_with_its_reason():
    async with Stack() as stack:
        page = (await stack.get("lab"))[1].decode()
        assert f"/user/researcher/{SANDBOX}/sandbox/script.js" in page
        assert (await stack.get("sandbox/script.js"))[0] == 200
        assert (await stack.get("sandbox/status"))[1]["state"] == "live"
        waiting = asyncio.ensure_future(stack.get("sandbox/status?seen=live"))
        await stack.tell({"type": "cut", "code": "agreement_revoked"})
        code, told = await asyncio.wait_for(waiting, 5)
        assert (code, told["state"], told["over"]) == (200, "agreement_revoked", True)
        assert "第十一条" in told["message"]
        assert (await stack.get("lab"))[0] == 403
        assert (await stack.get("sandbox/status", headers={"Authorization": "token other-token"}))[0] in {302, 403}
