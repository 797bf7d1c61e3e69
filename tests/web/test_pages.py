"""Every page, for every role, in both languages."""

import re

import pytest
from conftest import Browser
from portal import ROLES

HAN = re.compile(r"[\u4e00-\u9fff]")


def paths(s):
    return [
        "/", "/api", "/datasets", "/datasets/flights", "/datasets/flights/versions/1", "/projects", f"/projects/{s.project}",
        f"/projects/{s.project}/applications/new", "/applications", f"/applications/{s.application}", f"/applications/{s.waiting}",
        f"/applications/{s.waiting}/assess", "/agreements", f"/agreements/{s.agreement}", "/sandboxes", f"/sandboxes/{s.sandbox}",
        f"/sandboxes/{s.sandbox}/progress?state=running", "/exports", f"/exports/{s.export}", f"/exports/{s.export}/progress",
        "/display", f"/projects/{s.project}/display", "/packages", "/people", "/audit", f"/audit?project={s.project}", "/audit/entries/3", f"/audit/agreements/{s.agreement}",
    ]  # fmt: skip


@pytest.mark.opa
@pytest.mark.parametrize("lang", ["zh-CN", "en"])
@pytest.mark.parametrize("login", ROLES)
def test_every_page_answers_every_role_in_both_languages(still, login, lang):
    runtime, seeded = still
    browser = Browser(runtime, login)
    statuses = {path: browser.get(path, params={"lang": lang} if "?" not in path else None).status_code for path in paths(seeded)}
    assert set(statuses.values()) <= {200, 403, 404}, statuses
    assert statuses["/"] == statuses["/datasets/flights"] == 200


@pytest.mark.opa
@pytest.mark.parametrize(
    ("login", "path", "status"),
    [
        ("researcher", "/projects/{project}", 200),
        ("researcher2", "/projects/{project}", 404),
        ("researcher2", "/sandboxes/{sandbox}", 404),
        ("researcher2", "/exports/{export}", 404),
        ("researcher2", "/agreements/{agreement}", 404),
        ("researcher2", "/applications/{application}", 404),
        ("steward2", "/agreements/{agreement}", 404),
        ("steward", "/agreements/{agreement}", 200),
        ("reviewer1", "/exports/{export}", 200),
        ("auditor", "/audit/agreements/{agreement}", 200),
        ("administrator", "/audit", 403),
        ("researcher", "/people", 403),
    ],
)
def test_what_one_may_not_see_does_not_exist(still, login, path, status):
    runtime, seeded = still
    assert Browser(runtime, login).get(path.format(**vars(seeded))).status_code == status


@pytest.mark.opa
@pytest.mark.parametrize("path", ["/", "/datasets", "/people", "/audit"])
def test_an_english_page_has_no_chinese_but_names_and_texts(still, path):
    runtime, _ = still
    answer = Browser(runtime, "auditor").get(path, params={"lang": "en"})
    assert answer.headers["Content-Language"] == "en"
    assert '<html lang="en">' in answer.text
    headings = re.findall(r"<h[12]>(.*?)</h[12]>|<th[^>]*>(.*?)</th>|<label[^>]*>(.*?)</label>", answer.text)
    assert [h for h in headings if HAN.search("".join(h))] == []


@pytest.mark.opa
def test_times_are_those_of_shanghai(still):
    runtime, seeded = still
    assert "2026-11-23 14:05" in Browser(runtime, "researcher").get(f"/projects/{seeded.project}").text


@pytest.mark.opa
def test_a_button_that_cannot_be_used_says_why(portal, browse):
    runtime, _seeded = portal
    project = runtime.world.project()
    page = browse("researcher").get(f"/projects/{project}").text
    assert re.search(r'disabled>打开沙箱</button> <span class="reason">.{10,}</span>', page)


@pytest.mark.opa
def test_votes_are_hidden_until_all_are_in(portal, browse):
    _, seeded = portal
    review = f"/exports/{seeded.export}/reviews"
    assert browse("reviewer1").post(review, {"verdict": "approve", "comment": "计数都够大"}).status_code == 303
    assert "计数都够大" not in browse("reviewer2").get(f"/exports/{seeded.export}").text
    assert browse("reviewer2").post(review, {"verdict": "approve"}).status_code == 303
    assert "计数都够大" in browse("researcher").get(f"/exports/{seeded.export}").text


@pytest.mark.opa
def test_the_preview_is_for_reviewers_only_or_it_would_be_a_way_out(still):
    runtime, seeded = still
    assert "24951" in Browser(runtime, "reviewer1").get(f"/exports/{seeded.export}").text
    for login in ("researcher", "auditor"):
        browser = Browser(runtime, login)
        assert "24951" not in browser.get(f"/exports/{seeded.export}").text
        assert browser.api("GET", f"/exports/{seeded.export}").json()["files"][0]["preview"] is None
