"""People's acts through forms and API: what is refused loses nothing, what leaves is recorded first."""

import hashlib

import pytest
from portal import CSV
from sqlalchemy import select

from sandbox.adapters.opa import unavailable
from sandbox.store.tables import Application, Outbox
from sandbox.web.translations.__main__ import problems

pytestmark = pytest.mark.opa


def test_every_text_is_there_in_both_languages():
    assert list(problems()) == []


def test_an_application_without_purpose_names_the_field_and_loses_nothing(runtime, browse):
    project = runtime.world.project()
    researcher = browse("researcher")
    typed = {"scenario": "论文的第三章", "security_measures": "只在沙箱内", "period_days": "30", "dataset": "flights", "access:flights": "mounted", "column:flights": ["carrier", "delay"]}  # fmt: skip
    made = researcher.post(f"/projects/{project}/applications", typed)
    path = made.headers["location"].removeprefix("/services/portal").split("?")[0]
    answer = researcher.post(path, {**typed, "submit": "1"})
    assert answer.status_code == 422
    assert "field_required" in answer.text
    assert "「用途」必须填写" in answer.text
    assert "论文的第三章" in answer.text
    assert answer.text.count("checked") >= 4
    with runtime.database.reading() as db:
        row = db.get_one(Application, path.split("/")[-1])
        assert (row.state, row.scenario) == ("draft", "论文的第三章")
    done = researcher.post(path, {**typed, "purpose": "研究延误", "submit": "1"})
    assert done.headers["location"].endswith("?done=submitted")


def test_an_assessment_is_made_once(browse, seeded):
    steward = browse("steward")
    path = f"/applications/{seeded.waiting}/assess"
    assert steward.post(path, {"decision": "reject", "reason": "不符合条件"}).status_code == 303
    again = steward.api("POST", f"/applications/{seeded.waiting}/assessments", {"decision": "reject", "reason": "x"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_decided")


def test_a_revoked_agreement_is_shown_so_and_cannot_be_signed(browse, seeded):
    path = f"/agreements/{seeded.agreement}"
    answer = browse("administrator").post(f"{path}/revoke", {"ground": "安全事件处置", "reason": "演示"})
    assert answer.headers["location"].endswith("?done=revoked")
    assert "已取消" in browse("researcher").get(path).text
    again = browse("administrator").api("POST", f"/agreements/{seeded.agreement}/revoke", {"ground": "x", "reason": "y"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "state_conflict")


def test_policy_down_means_no(runtime, browse, seeded):
    class Down:
        def decide(self, package, facts):
            return unavailable(package, "down for the test")

    runtime.policy = Down()
    answer = browse("researcher").api("POST", "/projects", {"title": "a", "purpose": "b"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "policy_unavailable")


def approved(browse, seeded):
    for login in ("reviewer1", "reviewer2"):
        assert browse(login).post(f"/exports/{seeded.export}/reviews", {"verdict": "approve"}).status_code == 303
    assert browse("researcher").post(f"/exports/{seeded.export}/release").status_code == 303


def test_a_released_export_is_downloaded_once_after_its_record(runtime, browse, seeded):
    approved(browse, seeded)
    researcher = browse("researcher")
    answer = researcher.get(f"/exports/{seeded.export}/download")
    assert answer.content == CSV.encode()
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    with runtime.database.reading() as db:
        rows = {row.kind: row.id for row in db.scalars(select(Outbox))}
    assert runtime.recorded == [rows["export.download"]]
    assert rows["export.downloaded"] > rows["export.download"]
    again = researcher.api("GET", f"/exports/{seeded.export}/download")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_downloaded")
    signed = researcher.get(f"/exports/{seeded.export}/certificate").json()
    assert signed["certificate"]["files"][0]["sha256"] == hashlib.sha256(CSV.encode()).hexdigest()


def test_nothing_is_downloaded_while_the_log_is_down(runtime, browse, seeded):
    approved(browse, seeded)
    runtime.log_down = True
    answer = browse("researcher").api("GET", f"/exports/{seeded.export}/download")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "log_unavailable")
    runtime.log_down = False
    assert browse("researcher").get(f"/exports/{seeded.export}/download").content == CSV.encode()


def test_a_file_that_was_changed_after_review_does_not_leave(runtime, browse, seeded):
    approved(browse, seeded)
    (runtime.settings.home / "exports" / seeded.export / "0").write_text("raw rows")
    answer = browse("researcher").api("GET", f"/exports/{seeded.export}/download")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "export_changed")
