"""What an attacker with a browser tries (security.md, P1-P11), on the real application."""

import pytest
from portal import PORTAL, URL
from sqlalchemy import select

from sandbox.store.tables import Outbox, Person, Project
from sandbox.web.request import safe_next

pytestmark = pytest.mark.opa
EVIL = "<script>alert(1)</script>"


def code_of(answer):
    return answer.json()["error"]["code"]


def records(runtime, kind):
    with runtime.database.reading() as db:
        return [row.data for row in db.scalars(select(Outbox).where(Outbox.kind == kind))]


def count(runtime, table):
    with runtime.database.reading() as db:
        return len(db.scalars(select(table)).all())


# P1, CSRF


@pytest.mark.parametrize("token", ["", "wrong", "0" * 43])
def test_a_form_without_the_sessions_token_is_refused_and_recorded(runtime, browse, token):
    before = count(runtime, Project)
    answer = browse("researcher").post("/projects", {"title": "我的项目", "purpose": "用途"}, csrf=token)
    assert answer.status_code == 403
    assert "csrf_refused" in answer.text
    assert "我的项目" in answer.text, "what was typed is lost"
    assert count(runtime, Project) == before
    assert [r["code"] for r in records(runtime, "act.refused")] == ["csrf_refused"]


def test_the_token_of_another_session_is_refused(runtime, browse):
    answer = browse("researcher").post("/projects", {"title": "a", "purpose": "b"}, csrf=browse("researcher2").csrf)
    assert answer.status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "http://researcher2.sandbox.localhost:8000", URL, "null", None])
def test_a_foreign_or_missing_origin_is_refused_even_with_the_token(runtime, browse, origin):
    before = count(runtime, Project)
    answer = browse("researcher").post("/projects", {"title": "a", "purpose": "b"}, origin=origin)
    assert (answer.status_code, code_of(answer)) == (403, "origin_refused")
    assert count(runtime, Project) == before


def test_the_api_refuses_a_call_without_token_or_origin(browse):
    browser = browse("researcher")
    body = {"title": "a", "purpose": "b"}
    path = "/services/portal/api/v1/projects"
    assert code_of(browser.http.post(path, json=body, headers={"X-CSRF-Token": browser.csrf})) == "origin_refused"
    assert code_of(browser.http.post(path, json=body, headers={"Origin": PORTAL})) == "csrf_refused"
    answer = browser.api("POST", "/projects", body)
    assert (answer.status_code, answer.json()["members"]) == (201, ["researcher"])


# P2, XSS; P11, clickjacking


def test_text_that_people_typed_is_shown_as_text(runtime, browse):
    researcher = browse("researcher")
    made = researcher.post("/projects", {"title": EVIL, "purpose": f'"><img src=x onerror=alert(1)>{EVIL}'})
    for path in (made.headers["location"].removeprefix("/services/portal"), "/projects"):
        page = researcher.get(path).text
        assert EVIL not in page
        assert "&lt;script&gt;" in page
        assert "<img" not in page
    audit = browse("auditor").get("/audit").text
    assert EVIL not in audit
    assert "&lt;script&gt;" in audit


@pytest.mark.parametrize("path", ["/", "/datasets", "/nowhere", "/static/app.css", "/api/v1/me"])
def test_every_answer_carries_the_security_headers(browse, path):
    headers = browse("researcher").get(path).headers
    csp = headers["Content-Security-Policy"]
    assert "script-src 'self';" in csp
    assert "unsafe" not in csp
    assert "frame-ancestors 'none'" in csp
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/datasets/flights", "/audit", "/people"])
def test_no_page_has_inline_script_or_style(browse, path):
    page = browse("auditor").get(path).text
    assert "<script>" not in page
    assert " onclick=" not in page
    assert "style=" not in page


# P3, P5


def test_fields_that_are_not_asked_for_refuse_the_whole_call(runtime, browse):
    person = {"login": "newone", "name": "新人", "email": "n@example.org", "password": "long enough for one", "active": False}
    answer = browse("administrator").api("POST", "/persons", person)
    assert (answer.status_code, code_of(answer), answer.json()["error"]["field"]) == (422, "field_unknown", "active")
    answer = browse("researcher").api("POST", "/projects", {"title": "a", "purpose": "b", "author_id": "x"})
    assert code_of(answer) == "field_unknown"


def test_a_form_cannot_set_more_than_its_fields(runtime, browse):
    answer = browse("administrator").post(
        "/people/persons",
        {
            "login": "newone",
            "name": "新人",
            "email": "n@example.org",
            "password": "long enough for one",
            "lang": "zh-CN",
            "totp_secret": "MINE",
            "id": "mine",
        },
    )
    assert answer.status_code == 303
    with runtime.database.reading() as db:
        made = db.scalars(select(Person).where(Person.login == "newone")).one()
        assert "MINE" not in (made.totp_secret, made.id.upper())


@pytest.mark.parametrize(
    "path", ["/projects/{project}", "/sandboxes/{sandbox}", "/exports/{export}", "/agreements/{agreement}", "/applications/{application}"]
)
def test_anothers_thing_is_not_there_in_the_api(browse, seeded, path):
    answer = browse("researcher2").api("GET", path.format(**vars(seeded)))
    assert (answer.status_code, code_of(answer)) == (404, "not_visible")
    missing = browse("researcher2").api("GET", path.split("{")[0] + "0123456789bc")
    assert missing.json()["error"]["message"] == answer.json()["error"]["message"]


# P8, sessions; P9, redirects; P10


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/services/portal/../../hub/logout", "/services/portal/%2e%2e/x", "javascript:alert(1)", "/hub/", "", None, "/services/portal/\nx", "/services/portalx"],
)  # fmt: skip
def test_a_log_in_leads_nowhere_but_to_the_portal(target):
    assert safe_next(target) == "/services/portal/"


def test_a_log_in_leads_back_to_the_page_that_was_asked_for(runtime, browse):
    browser = browse(None)
    answer = browser.get("/projects?x=1")
    assert answer.headers["location"] == "/services/portal/login?next=%2Fservices%2Fportal%2Fprojects%3Fx%3D1"
    hub = browser.http.get(answer.headers["location"]).headers["location"]
    assert hub.startswith(f"{URL}/hub/api/oauth2/authorize?state=")
    back = browser.get("/oauth_callback", params={"code": "good", "state": hub.split("state=")[1]})
    assert (back.status_code, back.headers["location"]) == (303, "/services/portal/projects?x=1")
    cookie = next(c for c in back.headers.get_list("set-cookie") if c.startswith("portal-session="))
    assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "Path=/services/portal/"))
    assert "Domain" not in cookie
    assert browser.get("/projects").status_code == 200


@pytest.mark.parametrize("params", [{"code": "good", "state": "x"}, {"code": "good"}, {"state": "x"}, {}])
def test_a_callback_that_this_browser_did_not_begin_is_refused(browse, params):
    browser = browse(None)
    browser.get("/login")
    answer = browser.get("/oauth_callback", params=params)
    assert answer.status_code == 400
    assert "portal-session" not in answer.headers.get("set-cookie", "")


def test_two_session_cookies_count_as_none(browse):
    browser = browse("researcher")
    token = browser.http.cookies.get("portal-session")
    browser.http.cookies.clear()
    answer = browser.get("/api/v1/me", headers={"Cookie": f"portal-session={token}; portal-session=planted"})
    assert code_of(answer) == "login_needed"


def test_a_person_who_is_no_longer_active_is_nobody_at_once(runtime, browse):
    browser = browse("researcher")
    assert browser.api("GET", "/me").status_code == 200
    with runtime.database.writing() as db:
        db.scalars(select(Person).where(Person.login == "researcher")).one().active = False
    assert code_of(browser.api("GET", "/me")) == "login_needed"


def test_who_is_deactivated_is_refused_by_every_page_at_once(runtime, browse, seeded):
    researcher, officer = browse("researcher"), browse("officer")
    assert "/people/persons/researcher/deactivate" in officer.get("/people").text
    assert officer.post("/people/persons/researcher/deactivate").status_code == 303
    assert researcher.get("/projects").headers["location"].startswith("/services/portal/login")
    assert code_of(researcher.api("GET", "/me")) == "login_needed"
    answer = browse("administrator").api("GET", f"/sandboxes/{seeded.sandbox}").json()
    assert (answer["desired"], answer["reason"]) == ("cut", "person_inactive")


def test_whose_role_ended_may_do_nothing_with_it_at_once(browse):
    researcher, administrator = browse("researcher"), browse("administrator")
    grant = next(g["id"] for g in administrator.api("GET", "/roles?state=active").json()["items"] if g["login"] == "researcher")
    assert administrator.api("POST", f"/roles/{grant}/end").json()["state"] == "ended"
    assert code_of(researcher.api("POST", "/projects", {"title": "a", "purpose": "b"})) == "role_missing"
    assert administrator.post("/people/persons/researcher2/deactivate").status_code == 303
    assert code_of(administrator.api("POST", "/persons/administrator/deactivate")) == "own_request"


def test_the_officer_finds_the_agreements_and_the_auditor_a_checkpoint_to_keep(browse):
    assert 'href="/services/portal/agreements"' in browse("officer").get("/").text
    page, kept = browse("auditor").get("/audit").text, browse("auditor").get("/audit/checkpoint")
    assert "--at-least" in page
    assert "/audit/checkpoint" in page
    assert kept.headers["content-disposition"] == 'attachment; filename="checkpoint.txt"'
    assert kept.text.startswith("sandbox.example/log\n")
    assert browse("researcher").get("/audit/checkpoint").status_code == 403


def test_a_role_asked_for_is_not_confirmed_by_who_asked(runtime, browse):
    administrator = browse("administrator")
    grant = administrator.api("POST", "/roles", {"login": "researcher2", "role": "reviewer", "body": "air"}).json()["id"]
    answer = administrator.api("POST", f"/roles/{grant}/confirm")
    assert answer.status_code == 403
    assert records(runtime, "act.refused")[-1]["act"] == "role:confirm"


# P6, uploads


@pytest.mark.parametrize(("login", "status"), [(None, 401), ("researcher", 403), ("steward2", 403)])
def test_an_upload_of_somebody_who_may_not_import_leaves_no_file(runtime, browse, login, status):
    browser = browse(login)
    headers = {"Origin": PORTAL, "X-CSRF-Token": browser.csrf}
    answer = browser.http.post("/services/portal/api/v1/datasets/flights/versions", files={"file": ("a.csv", b"a\n1\n")}, headers=headers)
    assert answer.status_code == status
    assert not (runtime.settings.home / "uploads").exists()


def test_the_name_of_an_uploaded_file_decides_no_path(runtime, browse):
    browser = browse("steward")
    headers = {"Origin": PORTAL, "X-CSRF-Token": browser.csrf}
    files = {"file": ("../../../etc/cron.d/x", b"a\n1\n")}
    answer = browser.http.post("/services/portal/api/v1/datasets/flights/versions", files=files, headers=headers)
    assert (answer.status_code, answer.json()["state"]) == (202, "importing")
    (folder,) = (runtime.settings.home / "uploads").iterdir()
    assert [p.name for p in folder.iterdir()] == ["data.csv"]
