"""Setting up, registering, applying, assessing, signing, ending: steps 1-4 and 10 of the main job, on both databases."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import select
from world import Decision

from sandbox.domain.agreements import in_force
from sandbox.domain.errors import Refusal
from sandbox.domain.states import AgreementState, ApplicationState, Desired, ReleaseState, SandboxState, Side
from sandbox.services import agreements, applications, catalogue, people, projects, releases
from sandbox.store.tables import AgreementKey, Job, Outbox, Person, Sandbox


def refused(world, who, act, /, *args, **named):
    with pytest.raises(Refusal) as refusal, world.as_(who) as ctx:
        act(ctx, *args, **named)
    return refusal.value


def kinds(world):
    with world.database.reading() as db:
        return [row.kind for row in db.scalars(select(Outbox).order_by(Outbox.id))]


# People


def test_a_role_counts_once_the_officer_has_confirmed_it(world):
    with world.as_("administrator") as ctx:
        people.create_person(ctx, login="reviewer1", name="评审", email="r@example.org", password="long enough pw")
        grant = people.request_role(ctx, login="reviewer1", role="reviewer", body="air").id
    with world.as_("reviewer1") as ctx:
        assert ctx.actor.roles == ()
    assert refused(world, "administrator", people.confirm_role, grant).status == 403
    with world.as_("officer") as ctx:
        people.confirm_role(ctx, grant)
    assert refused(world, "officer", people.confirm_role, grant).code == "state_conflict"
    with world.as_("reviewer1") as ctx:
        assert [(g.role, g.body) for g in ctx.actor.roles] == [("reviewer", "air")]


def test_the_three_who_watch_each_other_are_different_people(world):
    refusal = refused(world, "administrator", people.request_role, login="auditor", role="officer")
    assert (refusal.code, refusal.field) == ("roles_incompatible", "role")


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"login": "researcher"}, "login_taken", "login"),
        ({"login": "portal"}, "login_reserved", "login"),
        ({"login": "Ünsafe"}, "field_invalid", "login"),
        ({"name": " "}, "field_required", "name"),
        ({"password": "short"}, "password_weak", "password"),
        ({"email": "nowhere"}, "field_invalid", "email"),
    ],
)
def test_an_account_that_cannot_be_made_names_its_field(world, changed, code, field):
    given = {"login": "someone", "name": "某", "email": "s@example.org", "password": "long enough pw", **changed}
    refusal = refused(world, "administrator", people.create_person, **given)
    assert (refusal.code, refusal.field) == (code, field)


def test_roles_and_members_need_a_known_person(world):
    assert refused(world, "administrator", people.request_role, login="nobody", role="researcher").code == "person_unknown"
    project = world.project()
    assert refused(world, "researcher", projects.add_member, project, login="nobody").code == "person_unknown"


def test_the_first_people_are_made_once(world):
    with pytest.raises(Refusal) as refusal, world.database.writing() as db:
        people.bootstrap(db, world.now, [])
    assert refusal.value.code == "already_set_up"


# Data


def test_a_failed_import_keeps_its_errors_and_cannot_be_published(world):
    with world.as_("steward") as ctx:
        terms = {"access_modes": ["mounted"]}
        texts = {"title_zh": "天", "title_en": "air", "description": "", "source": "file", "licence": "CC0"}
        catalogue.register_dataset(ctx, name="broken", body="air", conditions=terms, **texts)
        version = catalogue.start_version(ctx, "broken", upload_path="uploads/x", file_name="x.csv").id
    with world.database.reading() as db:
        assert catalogue.job_spec(db, version)["job"] == {"file": "x.csv", "description": None}
        assert [(job.kind, job.subject) for job in db.scalars(select(Job))] == [("import", version)]
    with world.runner() as ctx:
        errors = [{"code": "csv_row_broken", "line": 7, "params": {}}]
        assert catalogue.finish_import(ctx, version, {"ok": False, "errors": errors, "result": {}}).errors == errors
        assert catalogue.finish_import(ctx, version, {"ok": True, "errors": [], "result": {}}).state == "failed"
    assert refused(world, "steward", catalogue.publish, "broken", 1).code == "state_conflict"


def test_results_are_taken_from_the_runner_only(world):
    assert refused(world, "steward", catalogue.finish_import, "x", {}).code == "not_allowed"
    assert refused(world, "steward", releases.finish_prepare, "x", {}).code == "not_allowed"


def test_only_the_owner_bodys_steward_registers(world):
    texts = {"title_zh": "天", "title_en": "air", "description": "", "source": "file", "licence": "CC0"}
    given = {"name": "other", "body": "air", "conditions": {"access_modes": ["mounted"]}, **texts}
    assert refused(world, "steward2", catalogue.register_dataset, **given).status == 403
    assert refused(world, "steward", catalogue.register_dataset, **{**given, "conditions": {}}).field == "conditions.access_modes"
    world.dataset()
    assert refused(world, "steward", catalogue.register_dataset, **{**given, "name": "flights"}).code == "name_taken"


def test_a_version_is_seen_by_others_once_it_is_published(world):
    world.dataset()
    with world.as_("steward") as ctx:
        catalogue.start_version(ctx, "flights", upload_path="uploads/y", file_name="y.csv")
    assert refused(world, "researcher", catalogue.version, "flights", 2).status == 404
    with world.as_("researcher") as ctx:
        assert catalogue.version(ctx, "flights", 1).rows == 100
    refusal = refused(world, "steward", catalogue.set_columns, "flights", 1, [])
    assert refusal.code == "state_conflict"


def test_a_persons_key_is_never_an_open_column(world):
    world.dataset()
    with world.as_("steward") as ctx:
        version = catalogue.start_version(ctx, "flights", upload_path="uploads/y", file_name="y.csv").id
    profile = {"rows": 1, "size": 1, "sha256": "c" * 64, "columns": [{"name": "id", "type": "int64", "proposed_class": None}]}
    with world.runner() as ctx:
        catalogue.finish_import(ctx, version, {"ok": True, "errors": [], "result": profile})
    key = [{"name": "id", "class": "open", "person_key": True}]
    assert refused(world, "steward", catalogue.set_columns, "flights", 2, key).code == "person_key_class"
    assert refused(world, "steward", catalogue.set_columns, "flights", 2, [{"name": "no", "class": "open"}]).code == "column_unknown"
    assert refused(world, "steward", catalogue.publish, "flights", 2).code == "columns_unclassified"


# Applications


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"purpose": ""}, "field_required", "purpose"),
        ({"period_days": None}, "field_required", "period_days"),
        ({"period_days": 5000}, "number_out_of_range", "period_days"),
        ({"items": []}, "field_required", "items"),
        ({"items": [{"dataset": "nothing", "columns": ["a"], "access": "mounted"}]}, "dataset_unknown", "items[0].dataset"),
        ({"items": [{"dataset": "flights", "columns": ["nope"], "access": "mounted"}]}, "column_unknown", "items[0].columns"),
        ({"items": [{"dataset": "flights", "columns": ["secret"], "access": "queried"}]}, "column_not_offered", "items[0].columns"),
        ({"items": [{"dataset": "flights", "columns": ["age"], "access": "mounted"}]}, "column_not_mountable", "items[0].access"),
        ({"items": [{"dataset": "flights", "columns": ["zper"], "access": "mounted"}]}, "column_not_mountable", "items[0].access"),
        ({"items": [{"dataset": "flights", "columns": ["carrier"], "access": "mailed"}]}, "choice_unknown", "items[0].access"),
        ({"items": [{"dataset": "flights", "columns": ["carrier"], "access": "queried"}] * 2}, "dataset_twice", "items[1].dataset"),
    ],
)
def test_an_incomplete_application_is_kept_and_says_what_is_missing(world, changed, code, field):
    world.dataset()
    project = world.project()
    with world.as_("researcher") as ctx:
        one = applications.create_draft(ctx, project=project, fields=world.fields(**changed)).id
    refusal = refused(world, "researcher", applications.submit, one)
    assert (refusal.code, refusal.field) == (code, field)
    with world.as_("researcher") as ctx:
        kept = applications.application(ctx, one)
        assert (kept.state, kept.scenario) == (ApplicationState.DRAFT, "论文")


def test_a_project_has_one_open_application(world):
    project = world.project()
    with world.as_("researcher") as ctx:
        applications.create_draft(ctx, project=project, fields={})
    assert refused(world, "researcher", applications.create_draft, project=project, fields={}).code == "application_open"


def test_an_application_is_invisible_to_strangers_and_waits_for_its_owner_body(world):
    world.dataset()
    one = world.submitted()
    assert refused(world, "researcher2", applications.application, one).code == "not_visible"
    assert refused(world, "steward2", applications.application, one).status == 404
    waiting = {}
    for login in ("steward", "steward2", "researcher", "auditor"):
        with world.as_(login) as ctx:
            waiting[login] = [a.id for a in applications.applications(ctx, inbox=True)]
    assert waiting == {"steward": [one], "steward2": [], "researcher": [], "auditor": []}


def test_approval_needs_every_condition_ticked_with_evidence(world):
    world.dataset()
    one = world.submitted()
    assert refused(world, "steward", applications.assess, one, decision="approve").code == "ticks_missing"
    with world.as_("steward") as ctx:
        ticks = world.ticks(ctx, one)
    bare = [{**tick, "evidence": ""} for tick in ticks]
    assert refused(world, "steward", applications.assess, one, decision="approve", ticks=bare).code == "ticks_missing"
    assert refused(world, "steward", applications.assess, one, decision="reject").field == "reason"
    wrong = [{"condition": "x", "ok": True, "evidence": "e"}]
    assert refused(world, "steward", applications.assess, one, decision="approve", ticks=wrong).code == "condition_unknown"


def test_a_second_decision_is_refused(world):
    world.dataset()
    one = world.submitted()
    world.approve(one)
    refusal = refused(world, "steward", applications.assess, one, decision="reject", reason="再想想")
    assert (refusal.code, refusal.status) == ("already_decided", 409)


def test_a_returned_application_is_changed_and_assessed_again(world):
    world.dataset()
    one = world.submitted()
    with world.as_("steward") as ctx:
        applications.assess(ctx, one, decision="changes", reason="少一些列")
    with world.as_("researcher") as ctx:
        assert [a.id for a in applications.applications(ctx, inbox=True)] == [one]
        applications.update_draft(ctx, one, {"items": [{"dataset": "flights", "columns": ["carrier"], "access": "mounted"}]})
        assert applications.submit(ctx, one).round == 2
    agreement = world.approve(one)
    with world.as_("researcher") as ctx:
        assert agreements.agreement(ctx, agreement).items[0].columns == ["carrier"]
    assert refused(world, "researcher", applications.update_draft, one, {"purpose": "x"}).code == "state_conflict"


def test_each_owner_body_decides_for_itself(world):
    world.dataset()
    world.dataset("randhie", "health", "steward2")
    items = [
        {"dataset": "flights", "columns": ["carrier"], "access": "mounted"},
        {"dataset": "randhie", "columns": ["age", "zper"], "access": "queried"},
    ]
    one = world.submitted(items=items)
    world.approve(one, "steward")
    with world.as_("steward2") as ctx:
        assert applications.application(ctx, one).state is ApplicationState.SUBMITTED
        applications.assess(ctx, one, decision="changes", reason="说明用途")
    with world.as_("researcher") as ctx:
        applications.update_draft(ctx, one, {"items": items[1:]})
    assert refused(world, "researcher", applications.submit, one).code == "already_decided"
    with world.as_("researcher") as ctx:
        applications.update_draft(ctx, one, {"items": items})
        applications.submit(ctx, one)
    world.approve(one, "steward2")
    with world.as_("researcher") as ctx:
        assert applications.application(ctx, one).state is ApplicationState.ASSESSED
        offered = agreements.agreements(ctx, inbox=True)
        assert {a.body.code: [i.dataset.name for i in a.items] for a in offered} == {"air": ["flights"], "health": ["randhie"]}


# Agreements


def test_the_text_says_the_terms_in_both_languages_and_has_a_digest(world):
    world.dataset()
    one = world.approve(world.submitted())
    with world.as_("researcher") as ctx:
        found = agreements.agreement(ctx, one)
        assert found.text_digest == hashlib.sha256(found.text.encode()).hexdigest()
        for words in ("air局", "Bureau of air", "研究延误", "carrier", "qingdao-2020", "30 days", "安全方案"):
            assert words in found.text
        assert (found.state, found.epoch, found.not_after) == (AgreementState.OFFERED, 1, None)


def test_both_sides_sign_once_and_the_releases_are_prepared(world):
    world.dataset()
    one = world.approve(world.submitted())
    assert refused(world, "researcher", agreements.sign, one, text_digest="0" * 64).code == "text_digest_mismatch"
    with world.as_("steward") as ctx:
        digest = agreements.agreement(ctx, one).text_digest
        assert agreements.sign(ctx, one, text_digest=digest).side is Side.OWNER
    assert refused(world, "steward", agreements.sign, one, text_digest=digest).code == "already_signed"
    assert refused(world, "steward", agreements.sign, one, text_digest=digest, side="user").code == "role_missing"
    with world.as_("researcher") as ctx:
        assert agreements.sign(ctx, one, text_digest=digest).side is Side.USER
    assert refused(world, "researcher", agreements.sign, one, text_digest=digest).code == "already_signed"
    with world.database.reading() as db:
        release = releases.of_agreement(db, one)[0]
        agreement = release.item.agreement
        assert (agreement.state, agreement.not_after) == (AgreementState.ACTIVE, world.now + timedelta(days=30))
        assert release.state is ReleaseState.PREPARING
        plan = releases.job_spec(db, release.id)
        assert plan["inputs"] == [{"source": f"sources/{release.item.version_id}", "target": "/in/source"}]
        assert [c["name"] for c in plan["job"]["columns"]] == ["carrier", "delay"]
        assert len(plan["secret"]) == 32
        assert [j.subject for j in db.scalars(select(Job).where(Job.kind == "prepare"))] == [release.id]


def test_a_prepared_release_is_ready_with_its_digest(world):
    world.dataset()
    one = world.prepared()
    with world.database.reading() as db:
        release = releases.of_agreement(db, one)[0]
        assert (release.state, release.rows, release.digest) == (ReleaseState.READY, 100, "b" * 64)
        assert releases.live(db, release.item_id) == release


def test_a_failed_preparation_says_why(world):
    world.dataset()
    one = world.active()
    with world.runner() as ctx:
        release = releases.of_agreement(ctx.db, one)[0].id
        assert releases.finish_prepare(ctx, release, {"ok": False}).errors == [{"code": "data_task_failed", "params": {}}]


def _sandbox(world, one):
    with world.as_("researcher") as ctx:
        agreement = agreements.agreement(ctx, one)
        sandbox = Sandbox(
            created=world.now,
            project_id=agreement.project_id,
            person_id=ctx.actor.id,
            state=SandboxState.RUNNING,
            desired=Desired.RUNNING,
            generation=1,
            changed=world.now,
            executions=0,
        )
        ctx.db.add(sandbox)
        ctx.record("test.sandbox", refs={})
        ctx.db.flush()
        return sandbox.id


def test_revoking_raises_the_epoch_wants_the_cut_and_destroys_the_key(world):
    world.dataset()
    one = world.prepared()
    sandbox = _sandbox(world, one)
    assert refused(world, "researcher", agreements.revoke, one, ground="g", reason="r").status == 403
    assert refused(world, "administrator", agreements.revoke, one, ground="", reason="r").field == "ground"
    with world.as_("administrator") as ctx:
        assert agreements.revoke(ctx, one, ground="第十一条", reason="违反约定").epoch == 2
    with world.database.reading() as db:
        cut = db.get_one(Sandbox, sandbox)
        assert (cut.desired, cut.generation, cut.reason) == (Desired.CUT, 2, "agreement_revoked")
        assert db.get(AgreementKey, one) is None
        with pytest.raises(Refusal) as over:
            releases.job_spec(db, releases.of_agreement(db, one)[0].id)
    assert over.value.code == "agreement_not_active"
    assert refused(world, "administrator", agreements.revoke, one, ground="g", reason="r").code == "state_conflict"
    assert refused(world, "administrator", agreements.hold, one, ground="g", reason="r").code == "agreement_not_active"


def test_a_hold_suspends_until_the_last_one_is_lifted(world):
    world.dataset()
    one = world.prepared()
    sandbox = _sandbox(world, one)
    with world.as_("steward") as ctx:
        first = agreements.hold(ctx, one, ground="第十一条", reason="核实").id
        second = agreements.hold(ctx, one, ground="第十一条", reason="核实", until=world.now + timedelta(days=1)).id
    with world.as_("steward") as ctx:
        found = agreements.agreement(ctx, one)
        assert (found.epoch, in_force(found, found.holds, ctx.now)) == (3, False)
        assert agreements.policy_facts(found, ctx.now)["holds"] == 2
        assert ctx.db.get_one(Sandbox, sandbox).desired is Desired.CUT
        agreements.lift(ctx, first)
        assert not in_force(found, found.holds, ctx.now)
        assert in_force(found, found.holds, ctx.now + timedelta(days=2))
        agreements.lift(ctx, second)
        assert (found.epoch, in_force(found, found.holds, ctx.now)) == (3, True)
    assert refused(world, "steward", agreements.lift, first).code == "already_lifted"
    assert refused(world, "steward", agreements.hold, one, ground="g", reason="r", until=world.now).code == "time_not_ahead"


def test_an_agreement_whose_term_is_over_cannot_be_held(world):
    world.dataset()
    one = world.active()
    world.later(days=30)
    assert refused(world, "steward", agreements.hold, one, ground="g", reason="r").code == "agreement_expired"


# Around


def test_policy_that_does_not_answer_means_no_and_changes_nothing(world):
    world.dataset()
    one = world.submitted()
    world.policy.down = True
    before = kinds(world)
    for login, act, args in [
        ("steward", applications.assess, (one,)),
        ("administrator", people.persons, ()),
        ("researcher", applications.application, (one,)),
    ]:
        named = {"decision": "reject", "reason": "x"} if act is applications.assess else {}
        refusal = refused(world, login, act, *args, **named)
        assert (refusal.code, refusal.status) == ("policy_unavailable", 503)
    assert kinds(world) == before


def test_a_record_holds_who_what_and_the_decision_and_no_typed_text_in_its_facts(world):
    world.dataset()
    world.submitted(purpose="一句只在文本里的话")
    with world.database.reading() as db:
        row = db.scalars(select(Outbox).where(Outbox.kind == "application.submitted")).one()
        person = db.scalars(select(Person).where(Person.login == "researcher")).one()
        assert row.actor == {"type": "person", "id": person.id, "login": "researcher"}
        assert row.data["policy"] == [{"act": "application:submit", "decision": "decision", "revision": "test"}]
        assert row.texts["purpose"] == "一句只在文本里的话"
        assert "只在文本里" not in str(row.data)
        assert set(row.refs) == {"application", "project"}


def test_the_whole_way_is_on_record_in_order(world):
    world.dataset()
    one = world.prepared()
    with world.as_("administrator") as ctx:
        agreements.revoke(ctx, one, ground="第十一条", reason="违反约定")
    told = [kind for kind in kinds(world) if not kind.startswith(("person", "role", "body"))]
    assert told == [
        *("dataset.registered", "version.started", "version.imported", "version.classified", "version.published"),
        *("project.created", "application.drafted", "application.submitted", "application.assessed", "agreement.offered"),
        *("agreement.signed", "agreement.signed", "agreement.activated", "release.started", "release.ready", "agreement.revoked"),
    ]


class Away:
    """Policy that gives no answer."""

    def decide(self, package, facts, /):
        return Decision(allow=False, reasons=["policy_unavailable"])


@pytest.mark.parametrize("who", ["steward", "administrator", "officer"])
@pytest.mark.parametrize("act", ["revoke", "hold"])
def test_access_is_taken_away_while_policy_is_away_and_the_record_says_so(world, who, act):
    world.dataset()
    one = world.active()
    world.policy = Away()
    with world.as_(who) as ctx:
        getattr(agreements, act)(ctx, one, ground="第十一条", reason="核实")
    with world.database.reading() as db:
        row = db.scalars(select(Outbox).where(Outbox.kind == {"revoke": "agreement.revoked", "hold": "agreement.held"}[act])).one()
        assert row.data["policy"] == [{"act": f"agreement:{act}", "decision": None, "revision": None, "unreachable": True}]


@pytest.mark.parametrize("who", ["steward2", "researcher", "auditor"])
def test_nobody_else_and_nothing_else_goes_on_while_policy_is_away(world, who):
    world.dataset()
    one = world.active()
    with world.as_("steward") as ctx:
        hold = agreements.hold(ctx, one, ground="第十一条", reason="核实").id
    world.policy = Away()
    for act in (
        lambda ctx: agreements.revoke(ctx, one, ground="g", reason="r"),
        lambda ctx: agreements.hold(ctx, one, ground="g", reason="r"),
        lambda ctx: agreements.lift(ctx, hold),
        lambda ctx: projects.create_project(ctx, title="t", purpose="p"),
    ):
        with pytest.raises(Refusal) as refusal, world.as_(who) as ctx:
            act(ctx)
        assert (refusal.value.code, refusal.value.status) == ("policy_unavailable", 503)
    with pytest.raises(Refusal) as refusal, world.as_("officer") as ctx:
        agreements.lift(ctx, hold)
    assert refusal.value.code == "policy_unavailable", "giving access back waits for policy"
