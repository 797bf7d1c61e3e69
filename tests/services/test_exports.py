"""An export from announcement to the one download: who may do what, when, and what voids it."""

import base64
import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import select
from world import MEMBER, NEEDS, Decision, FakePolicy, World

from sandbox.domain.errors import Refusal
from sandbox.domain.spec import canonical
from sandbox.domain.states import Desired, SandboxState, SessionState
from sandbox.services import agreements, exports, people
from sandbox.store.tables import Agreement, Body, Export, ExportFile, Job, Outbox, Person, Sandbox, SandboxSession

KEY = Ed25519PrivateKey.generate()
CONTENT = b"carrier,n\nUA,10\n"
FILE = {"name": "table.csv", "size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
PASSED = [{"file": "table.csv", "code": "raw_rows", "verdict": "pass", "params": {}}]
LEAK = [
    *PASSED,
    {"file": "table.csv", "code": "small_cell", "verdict": "deny", "params": {"line": 2, "column": "n", "cells": 1, "min_cell": 10}},
]


class ExportPolicy(FakePolicy):
    """Adds `policies/sandbox/export` and the lines of the portal's policy on exports, in short."""

    def decide(self, package, facts, /):
        if self.down:
            return Decision(allow=False, reasons=["policy_unavailable"])
        if package == "sandbox.export":
            self.asked.append(dict(facts))
            reasons = [c["code"] for f in facts["files"] for c in f["checks"] if c["verdict"] == "deny"]
            reasons += [] if facts["agreement"]["state"] == "active" else ["agreement_not_active"]
            reasons += ["agreement_held"] if facts["agreement"]["holds"] else []
            reasons += ["checks_missing"] if not all(f["checks"] for f in facts["files"]) else []
            votes = {r["person"] for r in facts["reviews"] if r["verdict"] == "approve"} - {facts["author"]}
            speak = {b["body"] for r in facts["reviews"] for b in r["bodies"] if b["kind"] != "authority"}
            lent = any(b["kind"] == "authority" for r in facts["reviews"] for b in r["bodies"])
            missing = facts["act"] == "release" and not lent and facts["agreement"]["body"] not in speak
            reasons += ["body_review_missing"] if missing else []
            reasons += ["reviews_missing"] if facts["act"] == "release" and len(votes) < 2 else []
            return Decision(allow=not reasons, reasons=sorted(set(reasons)), obligations={"reviewers": 2})
        act, login, thing = facts["act"], facts["person"]["login"], facts["resource"]
        if act.startswith("export:"):
            held = [r for r in facts["person"]["roles"] if r["role"] == "reviewer"]
            reviewer = any(r["body_kind"] == "authority" or r["body"] == thing["body"] for r in held)
            allowed = {
                "export:read": reviewer or login in thing["members"],
                "export:review": reviewer and login not in {thing["author"], *thing["members"]},
                "export:release": login == thing["author"],
                "export:download": login == thing["author"],
            }[act]
            return Decision(allow=allowed, reasons=[] if allowed else ["role_missing"])
        return super().decide(package, facts)


class ExportWorld(World):
    """A world with a running sandbox of an agreement in force, and a pool of reviewers."""

    def begin(self):
        assert MEMBER in NEEDS["project:read"]
        with self.as_("administrator") as ctx:
            people.create_body(ctx, code="pool", name_zh="主管部门", name_en="Authority", kind="authority")
            for login in ("reviewer1", "reviewer2", "reviewer3"):
                people.create_person(ctx, login=login, name="审核", email=f"{login}@example.org", password="long enough pw")
                people.request_role(ctx, login=login, role="reviewer", body="pool")
        with self.as_("officer") as ctx:
            for grant in people.grants(ctx, state="requested"):
                people.confirm_role(ctx, grant.id)
        self.dataset()
        self.agreement = self.prepared()
        with self.database.writing() as db:
            person = db.scalars(select(Person).where(Person.login == "researcher")).one()
            sandbox = Sandbox(
                created=self.now, project_id=db.get_one(Agreement, self.agreement).project_id, person_id=person.id, state=SandboxState.RUNNING,
                desired=Desired.RUNNING, generation=1, changed=self.now, executions=0,
            )  # fmt: skip
            db.add(sandbox)
            db.flush()
            db.add(SandboxSession(created=self.now, sandbox_id=sandbox.id, boot="boot", state=SessionState.RUNNING, epoch=1))
            self.sandbox = sandbox.id

    def reviewers_of(self, body, *logins):
        with self.as_("administrator") as ctx:
            for login in logins:
                people.create_person(ctx, login=login, name="审核", email=f"{login}@example.org", password="long enough pw")
                people.request_role(ctx, login=login, role="reviewer", body=body)
        with self.as_("officer") as ctx:
            for grant in people.grants(ctx, state="requested"):
                people.confirm_role(ctx, grant.id)

    def two_bodies(self, db):
        """The agreement with `air`, and a second one as it would stand with `health`."""
        first = db.get_one(Agreement, self.agreement)
        copied = {c.key: getattr(first, c.key) for c in Agreement.__table__.columns if c.key not in {"id", "body_id"}}
        second = Agreement(id="second0other", body_id=db.scalars(select(Body.id).where(Body.code == "health")).one(), **copied)
        db.add(second)
        db.flush()
        return [{"id": one.id, "epoch": one.epoch} for one in (first, second)]

    def announce(self, *, check_only=False, files=(FILE,), **changed):
        given = {"title": "分组", "context": "按组汇总", "check_only": check_only, "files": list(files)} | changed
        with self.runner() as ctx:
            return exports.create(ctx, sandbox=self.sandbox, boot="boot", **given).id

    def submitted_export(self, *, check_only=False):
        one = self.announce(check_only=check_only)
        with self.runner() as ctx:
            file = exports.add_file(ctx, sandbox=self.sandbox, export=one, number=0, size=FILE["size"], sha256=FILE["sha256"])
            (self.home / file.path).parent.mkdir(parents=True)
            (self.home / file.path).write_bytes(CONTENT)
        with self.runner() as ctx:
            exports.submit(ctx, sandbox=self.sandbox, export=one)
        return one

    def checked_export(self, findings=PASSED, *, check_only=False):
        one = self.submitted_export(check_only=check_only)
        files = [
            {"name": "table.csv", "type": "csv", "size": 16, "rows": 1, "preview": {"columns": ["carrier", "n"], "rows": [["UA", "10"]]}}
        ]
        with self.runner() as ctx:
            exports.finish_check(ctx, one, {"ok": True, "errors": [], "result": {"files": files, "findings": findings}})
        return one

    def approved(self):
        one = self.checked_export()
        for login in ("reviewer1", "reviewer2"):
            with self.as_(login) as ctx:
                exports.review(ctx, one, verdict="approve", comment="")
        return one

    def released(self):
        one = self.approved()
        with self.as_("researcher") as ctx:
            exports.release(ctx, one, KEY, self.home)
        return one

    def seen(self, login, one):
        with self.as_(login) as ctx:
            return exports.view(ctx, exports.export(ctx, one))


@pytest.mark.parametrize("words", ["", "carrier,UA,1,2,3,4 " * 200])
def test_a_trial_keeps_and_shows_neither_title_nor_context(desk, words):
    one = desk.announce(check_only=True, title=words, context=words)
    view = desk.seen("researcher", one)
    assert (view["title"], view["context"]) == ("", "")
    with desk.database.reading() as db:
        (record,) = [row for row in db.scalars(select(Outbox)) if row.kind == "export.created"]
        assert words == "" or words not in str(record.__dict__)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"title": "字" * 81}, "field_too_long"),
        ({"context": "字" * 1001}, "field_too_long"),
        ({"context": "517,2,11,1400;533,4,20,1416;542,2,33,1089"}, "context_is_data"),
        ({"title": "517 2 11 1400 533 4 20 1416 542 2 33 1089"}, "context_is_data"),
    ],
)
def test_title_and_context_are_words_of_bounded_length(desk, changed, code):
    with pytest.raises(Refusal) as refused:
        desk.announce(**changed)
    assert (refused.value.code, refused.value.field) == (code, next(iter(changed)))


@pytest.mark.parametrize(
    "context",
    ["论文表一；每组不少于 10 条记录", "2013", "2013-01-01 到 2013-12-31 各航空公司每月航班数与平均延误，每组至少 10 条", "字" * 1000],
)
def test_an_honest_context_is_taken(desk, context):
    assert desk.seen("researcher", desk.announce(context=context))["context"] == context


@pytest.mark.parametrize("there", [b"other bytes\n", None])
def test_bytes_that_changed_after_the_review_are_not_released(desk, there):
    one = desk.approved()
    path = desk.home / f"exports/{one}/0"
    path.unlink() if there is None else path.write_bytes(there)
    assert refused(desk, "researcher", exports.release, one, KEY, desk.home) == "export_changed"
    with desk.as_("researcher") as ctx:
        assert exports.export(ctx, one).released_at is None


def test_a_submitted_package_takes_no_more_bytes(desk):
    one = desk.submitted_export()
    with pytest.raises(Refusal) as refusal, desk.runner() as ctx:
        exports.add_file(ctx, sandbox=desk.sandbox, export=one, number=0, size=FILE["size"], sha256=FILE["sha256"])
    assert refusal.value.code == "state_conflict"


def test_reviewers_of_one_body_do_not_decide_for_another(desk):
    desk.reviewers_of("health", "other1", "other2")
    desk.reviewers_of("air", "own1")
    one = desk.checked_export()
    with desk.database.writing() as db:  # bound to a second agreement, of another body
        db.get_one(Export, one).certificate = db.get_one(Export, one).certificate | {"agreements": desk.two_bodies(db)}
    for login in ("other1", "other2"):
        with desk.as_(login) as ctx:
            exports.review(ctx, one, verdict="approve", comment="")
    view = desk.seen("researcher", one)
    assert (view["state"], view["reviewers_needed"]) == ("in_review", 3)
    with desk.as_("own1") as ctx:
        exports.review(ctx, one, verdict="approve", comment="")
    assert desk.seen("researcher", one)["state"] == "approved"


def test_an_export_without_a_title_is_refused_by_name(desk):
    with pytest.raises(Refusal) as refused:
        desk.announce(title=" ")
    assert (refused.value.code, refused.value.field) == ("field_required", "title")


@pytest.fixture
def desk(world, tmp_path):
    one = ExportWorld(world.database, ExportPolicy())
    one.home = tmp_path
    one.begin()
    return one


def refused(desk, login, act, *args, **named):
    with pytest.raises(Refusal) as refusal, desk.as_(login) as ctx:
        act(ctx, *args, **named)
    return refusal.value.code


def test_a_package_is_checked_reviewed_released_and_downloaded_once(desk):
    one = desk.released()
    with desk.as_("researcher") as ctx:
        file = exports.download(ctx, one)
        assert (file.name, file.path, file.sha256) == ("table.csv", f"exports/{one}/0", FILE["sha256"])
        assert file.record.id
    assert desk.seen("researcher", one)["downloaded"] is None  # a download that broke may be tried again
    with desk.as_("researcher") as ctx:
        exports.download(ctx, one)
        exports.downloaded(ctx, one)
    assert refused(desk, "researcher", exports.download, one) == "already_downloaded"
    with desk.database.reading() as db:
        kinds = [row.kind for row in db.scalars(select(Outbox).order_by(Outbox.id)) if row.refs.get("export") == one]
    assert kinds == [
        *(
            "export.created",
            "export.received",
            "export.submitted",
            "export.checked",
            "export.reviewed",
            "export.reviewed",
            "export.approved",
        ),
        *("export.released", "export.download", "export.download", "export.downloaded"),
    ]


def test_the_check_gets_the_package_and_every_release_of_its_agreements(desk):
    one = desk.submitted_export()
    with desk.database.reading() as db:
        plan = exports.check_job_spec(db, one)
        assert [job.kind for job in db.scalars(select(Job)) if job.subject == one] == ["check"]
    assert plan["inputs"][0] == {"source": f"exports/{one}", "target": "/in/package"}
    assert plan["inputs"][1]["target"] == "/in/release/flights"
    assert plan["job"]["files"] == [FILE]
    assert plan["job"]["min_cell"] == 10


def test_what_a_check_denies_is_denied_with_its_reason(desk):
    view = desk.seen("researcher", desk.checked_export(LEAK))
    assert (view["state"], [r["code"] for r in view["reasons"]]) == ("denied", ["small_cell"])
    assert view["findings"][1]["message"].startswith("“n”有 1 个值小于 10")
    assert view["findings"][0]["message"] == "没有发现原始记录。"


@pytest.mark.parametrize(
    "result",
    [{"ok": False, "errors": [{"code": "data_task_failed"}], "result": None}, {"ok": True, "result": {"files": [], "findings": []}}, {}],
)
def test_a_check_that_broke_is_never_a_pass(desk, result):
    one = desk.submitted_export()
    with desk.runner() as ctx:
        exports.finish_check(ctx, one, result)
    assert desk.seen("researcher", one)["state"] == "denied"


def test_a_second_result_changes_nothing(desk):
    one = desk.checked_export(LEAK)
    with desk.runner() as ctx:
        exports.finish_check(ctx, one, {"ok": True, "result": {"files": [], "findings": PASSED}})
    assert desk.seen("researcher", one)["state"] == "denied"


def test_only_the_runner_brings_results(desk):
    assert refused(desk, "researcher", exports.finish_check, desk.submitted_export(), {}) == "not_allowed"


@pytest.mark.parametrize(("findings", "state"), [(PASSED, "checked"), (LEAK, "denied")])
def test_a_trial_leaves_findings_and_never_enters_review(desk, findings, state):
    one = desk.checked_export(findings, check_only=True)
    assert desk.seen("researcher", one)["state"] == state
    assert len(desk.seen("researcher", one)["findings"]) == len(findings)
    assert refused(desk, "reviewer1", exports.review, one, verdict="approve", comment="") == "state_conflict"
    assert refused(desk, "researcher", exports.release, one, KEY, desk.home) == "state_conflict"
    with desk.as_("reviewer1") as ctx:
        assert exports.exports(ctx, inbox=True) == []


def test_votes_are_hidden_until_all_are_in(desk):
    one = desk.checked_export()
    with desk.as_("reviewer1") as ctx:
        exports.review(ctx, one, verdict="reject", comment="计数不明")
    assert desk.seen("reviewer2", one)["reviews"] == []
    assert desk.seen("researcher", one)["reviews"] == []
    assert [r["reviewer"] for r in desk.seen("reviewer1", one)["reviews"]] == ["reviewer1"]
    with desk.as_("reviewer2") as ctx:
        exports.review(ctx, one, verdict="approve", comment="")
    view = desk.seen("researcher", one)
    assert view["state"] == "rejected"
    assert {(r["reviewer"], r["verdict"]) for r in view["reviews"]} == {("reviewer1", "reject"), ("reviewer2", "approve")}


def test_a_reviewer_votes_once_and_the_inbox_empties(desk):
    one = desk.checked_export()
    with desk.as_("reviewer1") as ctx:
        assert [e.id for e in exports.exports(ctx, inbox=True)] == [one]
        exports.review(ctx, one, verdict="approve", comment="")
    assert refused(desk, "reviewer1", exports.review, one, verdict="approve", comment="") == "already_reviewed"
    with desk.as_("reviewer1") as ctx:
        assert exports.exports(ctx, inbox=True) == []


def test_the_author_is_no_reviewer_and_a_rejection_needs_its_reason(desk):
    one = desk.checked_export()
    assert refused(desk, "researcher", exports.review, one, verdict="approve", comment="") == "role_missing"
    assert refused(desk, "reviewer1", exports.review, one, verdict="reject", comment=" ") == "field_required"


def test_nothing_is_released_before_all_votes_nor_downloaded_before_release(desk):
    one = desk.checked_export()
    assert refused(desk, "researcher", exports.release, one, KEY, desk.home) == "state_conflict"
    assert refused(desk, "researcher", exports.download, one) == "export_not_released"
    assert refused(desk, "researcher", exports.certificate, one) == "export_not_released"


def test_a_stranger_does_not_learn_that_an_export_exists(desk):
    one = desk.released()
    assert refused(desk, "researcher2", exports.export, one) == "not_visible"
    assert refused(desk, "reviewer1", exports.download, one) == "role_missing"


@pytest.mark.parametrize("change", ["revoke", "hold", "hold_and_lift"])
def test_a_tightening_voids_what_was_not_downloaded(desk, change):
    approved, released = desk.approved(), desk.released()
    with desk.as_("administrator") as ctx:
        if change == "revoke":
            agreements.revoke(ctx, desk.agreement, ground="A11", reason="违约")
        else:
            hold = agreements.hold(ctx, desk.agreement, ground="A11", reason="核实").id
    if change == "hold_and_lift":
        with desk.as_("administrator") as ctx:
            agreements.lift(ctx, hold)
    expected = {"revoke": "agreement_not_active", "hold": "agreement_held", "hold_and_lift": "export_epoch_changed"}[change]
    assert refused(desk, "researcher", exports.release, approved, KEY, desk.home) == expected
    assert refused(desk, "researcher", exports.download, released) == expected


def test_policy_down_releases_nothing(desk):
    one = desk.approved()
    desk.policy.down = True
    with pytest.raises(Refusal) as refusal, desk.as_("researcher") as ctx:
        exports.release(ctx, one, KEY, desk.home)
    assert (refusal.value.code, refusal.value.status) == ("policy_unavailable", 503)


def test_the_certificate_verifies_and_a_changed_one_does_not(desk):
    one = desk.released()
    with desk.as_("researcher") as ctx:
        signed = exports.certificate(ctx, one)
    body = signed["certificate"]
    assert (body["export"], body["reviewers"], body["files"]) == (one, ["reviewer1", "reviewer2"], [FILE])
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(signed["public_key"]))
    public.verify(base64.b64decode(signed["signature"]), canonical(body))
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(signed["signature"]), canonical(body | {"title": "别的"}))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"files": []}, "export_one_file"),
        ({"files": [FILE, FILE]}, "export_one_file"),
        ({"files": [FILE | {"sha256": "x"}]}, "export_file_invalid"),
        ({"files": [FILE | {"name": "a/b.csv"}]}, "export_file_invalid"),
        ({"files": [FILE | {"size": True}]}, "export_file_invalid"),
        ({"files": [FILE | {"size": 6_000_000}]}, "export_too_large"),
        ({"title": " "}, "field_required"),
        ({"context": ""}, "field_required"),
    ],
)
def test_a_package_that_cannot_be_names_what_is_wrong(desk, changed, code):
    with pytest.raises(Refusal) as refusal:
        desk.announce(**changed)
    assert refusal.value.code == code


def test_other_bytes_than_announced_are_refused_and_an_open_package_is_not_checked(desk):
    one = desk.announce()
    with desk.runner() as ctx, pytest.raises(Refusal) as refusal:
        exports.submit(ctx, sandbox=desk.sandbox, export=one)
    assert refusal.value.code == "export_incomplete"
    with desk.runner() as ctx, pytest.raises(Refusal) as refusal:
        exports.add_file(ctx, sandbox=desk.sandbox, export=one, number=0, size=3, sha256="0" * 64)
    assert refusal.value.code == "export_changed"
    with desk.runner() as ctx, pytest.raises(Refusal) as refusal:
        exports.incoming(ctx, sandbox="another", export=one, number=0)
    assert refusal.value.code == "not_visible"


def test_a_session_that_ended_or_has_no_agreement_exports_nothing(desk):
    with pytest.raises(Refusal) as refusal, desk.runner() as ctx:
        exports.create(ctx, sandbox=desk.sandbox, boot="other", title="t", context="c", check_only=False, files=[FILE])
    assert refusal.value.code == "export_session_ended"
    with desk.as_("administrator") as ctx:
        agreements.revoke(ctx, desk.agreement, ground="A11", reason="违约")
    with pytest.raises(Refusal) as refusal:
        desk.announce()
    assert refusal.value.code == "no_agreement"
    with desk.database.reading() as db:
        assert db.scalars(select(ExportFile)).all() == []
