"""More display and packages through forms and API: who sees, who decides, what is said; foreign calls are refused."""

import pytest
from portal import PORTAL
from sqlalchemy import func, select

from sandbox.store.tables import DisplayRequest, Outbox, PackageRequest

pytestmark = pytest.mark.opa
MORE = {"cell_bytes": 524288, "hour_bytes": 10 << 20, "day_bytes": 40 << 20, "until": "2026-11-30T00:00:00Z", "reason": "大图"}
FORM = {"cell_kib": "512", "hour_mib": "10", "day_mib": "40", "until": "2026-11-30T08:00", "reason": "<b>大图</b>"}
PACKAGE = {"ecosystem": "pypi", "name": "Lifelines", "version": "0.30.0", "reason": "生存分析"}


def code_of(answer):
    return answer.json()["error"]["code"]


def asked(browse, seeded):
    return browse("researcher").api("POST", f"/projects/{seeded.project}/display", MORE).json()["id"]


def test_from_the_form_to_the_stewards_decision(runtime, browse, seeded):
    made = browse("researcher").post(f"/projects/{seeded.project}/display", FORM)
    path = made.headers["location"].removeprefix("/services/portal").split("?")[0]
    steward = browse("steward")
    assert path in steward.get("/").text, "it waits in the inbox"
    page = steward.get(path).text
    assert "按此额度，整份数据需 1 天" in page
    assert "&lt;b&gt;大图" in page
    assert "at this budget a whole copy takes 1 days" in steward.get(path, params={"lang": "en"}).text
    steward.get(path, params={"lang": "zh-CN"})
    answer = {"answer": "approve", "reason": "合理", "hour_mib": "8", "until": "2026-11-25T08:00"}
    assert steward.post(f"{path}/decide", answer).status_code == 303
    budget = browse("researcher").api("GET", f"/projects/{seeded.project}/display").json()["budget"]
    assert (budget["hour_bytes"], budget["day_bytes"], budget["extension_until"]) == (8 << 20, 40 << 20, "2026-11-25T00:00:00.000Z")
    assert path not in steward.get("/").text
    assert "增加的额度有效至 2026-11-25 08:00" in browse("researcher").get(f"/projects/{seeded.project}/display").text
    assert browse("officer").post(f"{path}/revoke", {"reason": "核查"}).status_code == 303
    assert browse("researcher").api("GET", f"/projects/{seeded.project}/display").json()["budget"]["hour_bytes"] == 5 << 20
    with runtime.database.reading() as db:
        kinds = [row.kind for row in db.scalars(select(Outbox).order_by(Outbox.id)) if row.kind.startswith("display.")]
    assert kinds == ["display.asked", "display.decided", "display.revoked"]


def test_what_was_typed_is_not_lost_when_refused(browse, seeded):
    for changed, words in [
        ({"day_mib": "-1"}, "每天（MiB）"),
        ({"until": "2020-01-01T00:00"}, "time_not_ahead"),
        ({"hour_mib": ""}, "field_required"),
    ]:
        answer = browse("researcher").post(f"/projects/{seeded.project}/display", FORM | changed)
        assert answer.status_code == 422
        assert words in answer.text
        assert "大图" in answer.text


@pytest.mark.parametrize("login", ["researcher2", "steward2", "reviewer1"])
def test_anothers_request_is_not_there(browse, seeded, login):
    one = asked(browse, seeded)
    other = browse(login)
    assert other.get(f"/display/{one}").status_code == 404
    assert other.get(f"/projects/{seeded.project}/display").status_code == 404
    for method, path, body in [
        ("GET", f"/display/{one}", None),
        ("POST", f"/display/{one}/decisions", {"answer": "approve", "reason": "x"}),
        ("POST", f"/display/{one}/withdraw", None),
        ("POST", f"/display/{one}/revoke", {"reason": "x"}),
        ("POST", f"/projects/{seeded.project}/display", MORE),
    ]:
        answer = other.api(method, path, body)
        assert (answer.status_code, code_of(answer)) == (404, "not_visible"), path
    assert other.api("GET", "/display").json() == {"items": []}


@pytest.mark.parametrize(("login", "code"), [("researcher", "own_project"), ("administrator", "role_missing"), ("auditor", "role_missing")])
def test_only_the_owner_bodys_steward_decides(browse, seeded, login, code):
    answer = browse(login).api("POST", f"/display/{asked(browse, seeded)}/decisions", {"answer": "approve", "reason": "x"})
    assert (answer.status_code, code_of(answer)) == (403, code)


def test_fields_that_are_not_asked_for_are_refused(browse, seeded):
    answer = browse("researcher").api("POST", f"/projects/{seeded.project}/display", MORE | {"state": "approved"})
    assert code_of(answer) == "field_unknown"
    assert code_of(browse("researcher").api("POST", "/packages", PACKAGE | {"state": "approved"})) == "field_unknown"


def test_a_package_from_the_request_to_the_decision(browse):
    assert browse("researcher").post("/packages", PACKAGE).status_code == 303
    (one,) = browse("researcher2").api("GET", "/packages").json()["items"]
    assert (one["name"], one["state"]) == ("lifelines", "requested")
    administrator = browse("administrator")
    assert "lifelines 0.30.0" in administrator.get("/").text
    for login, code in [("researcher", "own_request"), ("researcher2", "role_missing"), ("officer", "role_missing")]:
        answer = browse(login).api("POST", f"/packages/{one['id']}/decision", {"answer": "approve", "reason": "x"})
        assert (answer.status_code, code_of(answer)) == (403, code)
    assert code_of(browse("steward").api("POST", f"/packages/{one['id']}/decision", {"answer": "approve", "reason": "x"})) == "not_visible"
    assert administrator.post(f"/packages/{one['id']}/decide", {"answer": "approve", "reason": "常用"}).status_code == 303
    assert "已批准，等待构建" in browse("researcher").get("/packages").text


def test_a_refused_package_says_why_and_is_on_record(runtime, browse):
    answer = browse("researcher").post("/packages", PACKAGE | {"name": "xmrig"})
    assert answer.status_code == 403
    assert "package_denied" in answer.text
    assert "生存分析" in answer.text
    with runtime.database.reading() as db:
        assert db.scalar(select(func.count()).select_from(PackageRequest)) == 0
        refused = [row.data["code"] for row in db.scalars(select(Outbox).where(Outbox.kind == "act.refused"))]
    assert refused == ["package_denied"]


def test_calls_from_elsewhere_are_refused(runtime, browse, seeded):
    researcher = browse("researcher")
    for path, body in [(f"/projects/{seeded.project}/display", FORM), ("/packages", PACKAGE)]:
        assert researcher.post(path, body, csrf="x").status_code == 403
        for origin in ("http://researcher2.sandbox.localhost:8000", "null", None):
            assert code_of(researcher.post(path, body, origin=origin)) == "origin_refused"
        headers = {"Origin": PORTAL}
        assert (
            code_of(researcher.http.post(f"/services/portal/api/v1{path}", json=MORE if "display" in path else PACKAGE, headers=headers))
            == "csrf_refused"
        )
    with runtime.database.reading() as db:
        assert (
            db.scalar(select(func.count()).select_from(DisplayRequest)) == db.scalar(select(func.count()).select_from(PackageRequest)) == 0
        )
