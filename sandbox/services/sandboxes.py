"""Sandboxes: opened by a researcher, authorised by policy when the hub asks, ended by people or by a cut.

What a sandbox ought to be is its `desired` state; the portal's cutter and the warden reconcile to it (level-triggered), so a
component that was down converges when it returns. A cut is final: the workspace may hold copies, the next sandbox is a new one.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from sandbox.domain import agreements as rules
from sandbox.domain.clock import stamp
from sandbox.domain.columns import treatment
from sandbox.domain.errors import Refusal
from sandbox.domain.fields import one_of
from sandbox.domain.ids import new_id
from sandbox.domain.permissions import Permission
from sandbox.domain.spec import LIFETIME, MIB
from sandbox.domain.states import (
    SANDBOX_STEPS,
    SESSION_STEPS,
    Access,
    AgreementState,
    Desired,
    Environment,
    SandboxState,
    SessionState,
    step,
)
from sandbox.services import accounts, display, releases
from sandbox.services import agreements as agreed
from sandbox.services.context import Context, not_visible
from sandbox.settings import Settings
from sandbox.store import jobs
from sandbox.store.db import unique_or
from sandbox.store.tables import Agreement, AgreementItem, Column, Lease, Outbox, Project, Sandbox, SandboxSession

LEASE_SECONDS = 20
KERNEL_LIMITS = {"memory": 3072 * MIB, "cpus": 2.0, "pids": 256, "tmp_bytes": 512 * MIB}
SESSION_MEMORY = 768 * MIB
# After this a session must be started anew: its token's life, and a bound on how long one boot's record gets.
SESSION_LIFE = timedelta(days=7)
# Which image a kernel container is made of, and which kernels its session offers: ours to say, in the signed spec.
IMAGE_OF = {Environment.PYTHON: "kernel", Environment.PYTHON_R: "kernel-r"}
KERNELS_OF = {Environment.PYTHON: "python3", Environment.PYTHON_R: "python3,ir"}
PENDING = frozenset({SandboxState.REQUESTED, SandboxState.STARTING})


@dataclass(frozen=True)
class Launch:
    """An authorised start: the unsigned spec (interfaces.md, 5), and the record that must be durable before it is signed."""

    spec: dict[str, Any]
    record: Outbox
    boot: str


# What a person does ------------------------------------------------------------------------------------------------------


def open_sandbox(ctx: Context, project_id: str, environment: str | None = None) -> Sandbox:
    """Ask for the person's sandbox of a project to be started; a running one is given back as it is.

    `environment` is one of `Environment` (`choice_unknown`); without one it is that of the last time, at first Python.

    Refusals (409): `agreement_not_active` when no agreement of the project is in force, `release_not_ready` while one is prepared,
    `start_pending` while another start is under way, `sandbox_being_cut` until a cut is complete.
    """
    project = _project(ctx, project_id)
    ctx.require(Permission.SANDBOX_OPEN, members=_members(project))
    chosen = None if environment is None else one_of(environment, "environment", Environment)
    known = agreed.of_project(ctx.db, project.id)
    live = [a for a in known if rules.in_force(a, a.holds, ctx.now)]
    if not live:
        # The latest one tells best why: revoked, held, over, not signed yet.
        reason = rules.why_not(known[-1], known[-1].holds, ctx.now) if known else None
        raise Refusal(reason or "no_agreement", status=409)
    waiting = [item.dataset.name for agreement in live for item in agreement.items if releases.live(ctx.db, item.id) is None]
    if waiting:
        raise Refusal("release_not_ready", status=409, datasets="、".join(waiting))
    sandbox = ctx.db.scalars(_of(project.id, ctx.actor.id).where(Sandbox.state != SandboxState.CUT)).one_or_none()
    if sandbox is None:
        sandbox = Sandbox(
            created=ctx.now,
            project_id=project.id,
            person_id=ctx.actor.id,
            state=SandboxState.STOPPED,
            desired=Desired.STOPPED,
            generation=0,
            changed=ctx.now,
            executions=0,
            environment=Environment.PYTHON,
        )
        with unique_or(ctx.db, "start_pending"):
            ctx.db.add(sandbox)
    elif sandbox.desired is Desired.CUT:
        raise Refusal("sandbox_being_cut", status=409)
    elif sandbox.state in PENDING:
        raise Refusal("start_pending", status=409)
    elif sandbox.state is SandboxState.RUNNING:
        return sandbox
    _set(sandbox, SandboxState.REQUESTED, ctx.now)
    sandbox.desired, sandbox.reason = Desired.RUNNING, None
    sandbox.environment = chosen or sandbox.environment
    sandbox.generation += 1
    ctx.record(
        "sandbox.requested",
        refs=_refs(sandbox),
        data={"agreements": {a.id: a.epoch for a in live}, "environment": sandbox.environment.value},
    )
    with unique_or(ctx.db, "start_pending"):
        jobs.enqueue(ctx.db, ctx.now, "start", sandbox.id)
    return sandbox


def close_sandbox(ctx: Context, sandbox_id: str) -> Sandbox:
    """End the running session; the workspace stays. Nothing happens to a stopped one."""
    sandbox = _locked(ctx.db, find(ctx, sandbox_id).id)
    ctx.require(Permission.SANDBOX_CLOSE, members=_members(sandbox.project))
    if sandbox.state in {SandboxState.RUNNING, SandboxState.STARTING} and sandbox.desired is not Desired.CUT:
        sandbox.desired = Desired.STOPPED
        sandbox.generation += 1
        ctx.record("sandbox.close_requested", refs=_refs(sandbox))
        with unique_or(ctx.db, "state_conflict", state=sandbox.state.value, wanted="stopped"):
            jobs.enqueue(ctx.db, ctx.now, "stop", sandbox.id)
    return sandbox


def find(ctx: Context, sandbox_id: str) -> Sandbox:
    """Return a sandbox the person may see; 404 otherwise."""
    sandbox = ctx.db.get(Sandbox, sandbox_id)
    if sandbox is None:
        raise not_visible("sandbox")
    members = _members(sandbox.project)
    bodies = {a.body.code for a in agreed.of_project(ctx.db, sandbox.project_id)}
    ctx.visible_in(Permission.SANDBOX_READ, [{"members": members, "body": body} for body in sorted(bodies)] or [{"members": members}])
    return sandbox


def visible_sandboxes(ctx: Context) -> list[Sandbox]:
    """Return the sandboxes the person may see, newest first."""
    found = []
    for sandbox in ctx.db.scalars(select(Sandbox).order_by(Sandbox.created.desc()).limit(200)):
        try:
            found.append(find(ctx, sandbox.id))
        except Refusal as refusal:
            if refusal.status != 404:
                raise
    return found


def sandbox_view(ctx: Context, sandbox: Sandbox, settings: Settings) -> dict[str, Any]:
    """Return a sandbox as the API shows it (interfaces.md, 8); `queried_not_available` names what cannot be queried yet."""
    running = sandbox.state is SandboxState.RUNNING
    items = [item for a in in_force_agreements(ctx.db, sandbox.project_id, ctx.now) for item in a.items]
    return {
        "id": sandbox.id,
        "project": sandbox.project_id,
        "project_title": sandbox.project.title,
        "login": sandbox.person.login,
        "name": sandbox.person.name,
        "state": sandbox.state.value,
        "desired": sandbox.desired.value,
        "reason": sandbox.reason,
        "url": settings.sandbox_url(sandbox.person.login, sandbox.id) if running else None,
        "created": stamp(sandbox.created),
        "changed": stamp(sandbox.changed),
        "environment": sandbox.environment.value,
        "executions": sandbox.executions,
        "last_activity": stamp(sandbox.last_activity) if sandbox.last_activity else None,
        "mounted": [item.dataset.name for item in items if item.access is Access.MOUNTED],
        "queried_not_available": [item.dataset.name for item in items if item.access is Access.QUERIED],
    }


# What the hub and the runner do ------------------------------------------------------------------------------------------


def authorise(ctx: Context, settings: Settings, *, login: str, server: str) -> Launch | Refusal:
    """Decide a start that the hub's spawner asks for: policy `sandbox.session`, then the record, then the spec (unsigned).

    A refusal is returned, not raised: the state that tells it is committed as well.
    """
    ctx.require_service("hub")
    sandbox = ctx.db.get(Sandbox, server, with_for_update=True)
    if sandbox is None or sandbox.person.login != login:
        ctx.record("session.refused", refs={"sandbox": server}, data={"code": "start_not_requested", "login": login})
        return Refusal("start_not_requested", status=403)
    agreements = agreed.of_project(ctx.db, sandbox.project_id)
    # The sandbox gets what is in force and nothing else; policy looks at each again. With none it is told all, to name the reason.
    live = [a for a in agreements if rules.in_force(a, a.holds, ctx.now)]
    decision = ctx.policy.decide("sandbox.session", _session_input(ctx, sandbox, live or agreements))
    if not decision.allow or not live or sandbox.state is not SandboxState.REQUESTED:
        code = (decision.reasons or ["start_not_requested"])[0]
        if sandbox.state is SandboxState.REQUESTED:  # asked again while it starts: the start under way goes on
            _refused(ctx, sandbox, code)
        ctx.record("session.refused", refs=_refs(sandbox), data={"code": code, "reasons": list(decision.reasons)})
        return Refusal(code, status=503 if code == "policy_unavailable" else 403)
    boot = new_id()
    session = SandboxSession(
        created=ctx.now,
        sandbox_id=sandbox.id,
        boot=boot,
        state=SessionState.STARTING,
        epoch=agreed.sandbox_epoch(agreements),
        nonce=secrets.token_urlsafe(24),
        started_at=ctx.now,
    )
    _set(sandbox, SandboxState.STARTING, ctx.now)
    with unique_or(ctx.db, "start_pending"):
        ctx.db.add(session)
    spec = _spec(ctx, settings, sandbox, session, live)
    record = ctx.record(
        "session.authorised",
        refs={**_refs(sandbox), "session": session.id},
        data={
            "boot": boot,
            "epochs": spec["epochs"],
            "releases": spec["kernel"]["releases"],
            "images": {"kernel": spec["kernel"]["image"], "session": spec["session"]["image"]},
            "runtime": spec["kernel"]["runtime"],
            "environment": sandbox.environment.value,
            "decision": decision.decision_id,
            "revision": decision.revision,
        },
    )
    return Launch(spec, record, boot)


def started(ctx: Context, sandbox_id: str) -> None:
    """Note that the hub reports the session ready."""
    ctx.require_service()
    sandbox = _locked(ctx.db, sandbox_id)
    if sandbox.state is not SandboxState.STARTING:
        return
    _set(sandbox, SandboxState.RUNNING, ctx.now)
    session = live_session(ctx.db, sandbox_id)
    if session is not None:
        session.state = step(SESSION_STEPS, session.state, SessionState.RUNNING)
    ctx.record("session.running", refs={**_refs(sandbox), "session": session.id if session else None})


def start_failed(ctx: Context, sandbox_id: str, code: str) -> None:
    """Note that a start ended badly; what policy refused before keeps its own reason."""
    ctx.require_service()
    sandbox = _locked(ctx.db, sandbox_id)
    if sandbox.state in PENDING:
        _refused(ctx, sandbox, code)
        ctx.record("session.failed", refs=_refs(sandbox), data={"code": code})


def stopped(ctx: Context, sandbox_id: str) -> None:
    """Note that the session has ended without a cut; known already is well."""
    sandbox = ctx.db.get(Sandbox, sandbox_id, with_for_update=True)
    if sandbox is None or sandbox.state not in {SandboxState.RUNNING, SandboxState.STARTING} or sandbox.desired is Desired.CUT:
        return
    _set(sandbox, SandboxState.STOPPED, ctx.now)
    sandbox.desired = Desired.STOPPED
    _end_session(ctx, sandbox, SessionState.STOPPED, None)
    ctx.record("session.stopped", refs=_refs(sandbox))


# Leases and cuts ---------------------------------------------------------------------------------------------------------


def lease_of(ctx: Context, settings: Settings, *, sandbox_id: str, boot: str) -> dict[str, Any] | str:
    """Return the lease message for a session's guard (interfaces.md, 6), or the code with which it must be cut.

    Granted only while the session is the live one, no cut is wanted (every tightening wants one) and an agreement is in force; never
    longer than the earliest end of an agreement (A10, A11).
    """
    sandbox = ctx.db.get(Sandbox, sandbox_id)
    session = live_session(ctx.db, sandbox_id)
    if sandbox is None or session is None or session.boot != boot:
        return "session_ended"
    if sandbox.desired is Desired.CUT or sandbox.state is SandboxState.CUT:
        return sandbox.reason or "access_withdrawn"
    if code := _over(ctx, sandbox):
        return code
    live = in_force_agreements(ctx.db, sandbox.project_id, ctx.now)
    left = min((a.not_after - ctx.now for a in live if a.not_after), default=timedelta(0))
    if not live or left <= timedelta(0):
        return "agreement_not_active"
    seconds = min(float(LEASE_SECONDS), left.total_seconds())
    return {"type": "lease", "epoch": session.epoch, "seconds": seconds, "facts": _facts(ctx, sandbox, session, live, settings)}


def note_lease(ctx: Context, boot: str) -> None:
    """Count a renewal of a session's lease; the first one makes the row and a record."""
    session = ctx.db.scalars(select(SandboxSession).where(SandboxSession.boot == boot)).one_or_none()
    if session is None:
        return
    lease = ctx.db.scalars(select(Lease).where(Lease.session_id == session.id)).one_or_none()
    if lease is None:
        lease = Lease(created=ctx.now, session_id=session.id, epoch=session.epoch, seconds=LEASE_SECONDS, renewals=0, renewed_at=ctx.now)
        ctx.db.add(lease)
        ctx.record("lease.granted", refs={**_refs(session.sandbox), "session": session.id}, data={"epoch": session.epoch})
    lease.renewals += 1
    lease.renewed_at = ctx.now


def note_activity(ctx: Context, boot: str, executions: int) -> None:
    """Keep what the guard reports of its executions, for the page and for culling; it only grows."""
    session = ctx.db.scalars(select(SandboxSession).where(SandboxSession.boot == boot)).one_or_none()
    if session is not None and executions > session.sandbox.executions:
        session.sandbox.executions = executions
        session.sandbox.last_activity = ctx.now


def expire(ctx: Context) -> list[str]:
    """Want a cut for each live sandbox whose agreement's term or person's account has ended; return their ids."""
    ctx.require_service()
    wanted = []
    query = select(Sandbox).where(Sandbox.state.in_([*PENDING, SandboxState.RUNNING]), Sandbox.desired != Desired.CUT)
    for sandbox in ctx.db.scalars(query.order_by(Sandbox.id).with_for_update()):
        if code := _over(ctx, sandbox):
            want_cut(ctx, sandbox, code)
            wanted.append(sandbox.id)
    return wanted


def _over(ctx: Context, sandbox: Sandbox) -> str | None:
    """Return why time alone ends what a live sandbox was given, or None (a tightening by people wants its cut itself).

    One agreement of several that ends takes its data away, so the sandbox that saw it ends too. One that was over, or held, before
    this start gave it nothing.
    """
    if not sandbox.person.active:
        return "person_inactive"
    session = live_session(ctx.db, sandbox.id)
    begun = (session.started_at if session is not None else None) or sandbox.changed
    terms = [a.not_after for a in agreed.of_project(ctx.db, sandbox.project_id) if a.state is AgreementState.ACTIVE and a.not_after]
    return "agreement_expired" if any(begun < term <= ctx.now for term in terms) else None


def cut_all_of(ctx: Context, person_id: str, reason: str) -> None:
    """Want a cut for each live sandbox of a person, who may work no more."""
    query = select(Sandbox).where(
        Sandbox.person_id == person_id, Sandbox.state.in_([*PENDING, SandboxState.RUNNING]), Sandbox.desired != Desired.CUT
    )
    for sandbox in ctx.db.scalars(query.order_by(Sandbox.id).with_for_update()):
        want_cut(ctx, sandbox, reason)


def logged_out(ctx: Context) -> list[str]:
    """Note that the actor has logged out; return their live sandboxes, whose guards must close what browsers hold open."""
    query = select(Sandbox).where(Sandbox.person_id == ctx.actor.id, Sandbox.state.in_([*PENDING, SandboxState.RUNNING]))
    found = ctx.db.scalars(query.order_by(Sandbox.id)).all()
    for sandbox in found:
        ctx.record("session.logged_out", refs=_refs(sandbox))
    return [sandbox.id for sandbox in found]


def want_cut(ctx: Context, sandbox: Sandbox, reason: str) -> None:
    """Say that a sandbox must be cut; the cutter does it after the commit."""
    sandbox.desired, sandbox.reason = Desired.CUT, reason
    sandbox.generation += 1
    ctx.record("sandbox.cut_wanted", refs=_refs(sandbox), data={"code": reason})


def to_cut(db: Session) -> list[tuple[str, str, str]]:
    """Return (sandbox, login, reason) of all that must be cut and are not yet."""
    query = select(Sandbox).where(Sandbox.desired == Desired.CUT, Sandbox.state != SandboxState.CUT)
    return [(s.id, s.person.login, s.reason or "access_withdrawn") for s in db.scalars(query)]


def cut_done(ctx: Context, sandbox_id: str, evidence: Mapping[str, Any]) -> None:
    """Note a complete cut with its evidence (milliseconds until frozen and killed)."""
    ctx.require_service()
    sandbox = _locked(ctx.db, sandbox_id)
    if sandbox.state is SandboxState.CUT:
        return
    _set(sandbox, SandboxState.CUT, ctx.now)
    _end_session(ctx, sandbox, SessionState.CUT, sandbox.reason)
    ctx.record("sandbox.cut", refs=_refs(sandbox), data={"code": sandbox.reason, **evidence})


# Queries -----------------------------------------------------------------------------------------------------------------


def in_force_agreements(db: Session, project_id: str, now: datetime) -> list[Agreement]:
    """Return the agreements of a project that are in force at `now`: active, not over, not held (A11)."""
    return [a for a in agreed.of_project(db, project_id) if rules.in_force(a, a.holds, now)]


def live_session(db: Session, sandbox_id: str) -> SandboxSession | None:
    """Return the session of a sandbox that has not ended; the database allows one."""
    query = select(SandboxSession).where(SandboxSession.sandbox_id == sandbox_id, SandboxSession.ended_at.is_(None))
    return db.scalars(query).one_or_none()


def _of(project_id: str, person_id: str) -> Select[Sandbox]:
    return select(Sandbox).where(Sandbox.project_id == project_id, Sandbox.person_id == person_id)


def _locked(db: Session, sandbox_id: str) -> Sandbox:
    """Return a sandbox that nobody else changes until this transaction ends: a cut wanted meanwhile must not be written over."""
    sandbox = db.get(Sandbox, sandbox_id, with_for_update=True, populate_existing=True)
    if sandbox is None:
        raise not_visible("sandbox")
    return sandbox


def _project(ctx: Context, project_id: str) -> Project:
    project = ctx.db.get(Project, project_id)
    if project is None:
        raise not_visible("project")
    ctx.visible(Permission.PROJECT_READ, members=_members(project))
    return project


def _members(project: Project) -> list[str]:
    return [member.person.login for member in project.members]


def _refs(sandbox: Sandbox) -> dict[str, str | None]:
    return {"sandbox": sandbox.id, "project": sandbox.project_id, "person": sandbox.person_id}


def _set(sandbox: Sandbox, to: SandboxState, now: datetime) -> None:
    sandbox.state = step(SANDBOX_STEPS, sandbox.state, to)
    sandbox.changed = now


def _refused(ctx: Context, sandbox: Sandbox, code: str) -> None:
    if sandbox.desired is Desired.CUT:
        return  # the cutter ends it, for its own reason; a start that fails on the way changes nothing about that
    _set(sandbox, SandboxState.REFUSED, ctx.now)
    sandbox.reason, sandbox.desired = code, Desired.STOPPED
    _end_session(ctx, sandbox, SessionState.REFUSED, code)


def _end_session(ctx: Context, sandbox: Sandbox, to: SessionState, reason: str | None) -> None:
    session = live_session(ctx.db, sandbox.id)
    if session is None:
        return
    if to is SessionState.REFUSED and session.state is not SessionState.STARTING:
        to = SessionState.STOPPED
    session.state = step(SESSION_STEPS, session.state, to)
    session.reason, session.ended_at = reason, ctx.now
    for lease in ctx.db.scalars(select(Lease).where(Lease.session_id == session.id, Lease.ended_at.is_(None))):
        lease.ended_at, lease.reason = ctx.now, reason


def _session_input(ctx: Context, sandbox: Sandbox, agreements: Sequence[Agreement]) -> dict[str, Any]:
    person, project = sandbox.person, sandbox.project
    others = select(Sandbox).where(
        Sandbox.person_id == person.id, Sandbox.id != sandbox.id, Sandbox.state.in_([*PENDING, SandboxState.RUNNING])
    )
    return {
        "now": stamp(ctx.now),
        "person": accounts.actor_of(person).facts(),
        "project": {"id": project.id, "member": person.login in _members(project), "state": project.state.value},
        "agreements": [agreed.policy_facts(a, ctx.now) for a in agreements],
        "server": {"requested": sandbox.state is SandboxState.REQUESTED and sandbox.desired is Desired.RUNNING, "owner": True},
        "live_sandboxes": len(ctx.db.scalars(others).all()),
    }


def _spec(ctx: Context, settings: Settings, sandbox: Sandbox, session: SandboxSession, agreements: Sequence[Agreement]) -> dict[str, Any]:
    mounted = [
        {"id": release.id, "dataset": item.dataset.name}
        for agreement in agreements
        for item in agreement.items
        if item.access is Access.MOUNTED and (release := releases.live(ctx.db, item.id)) is not None
    ]
    person = sandbox.person
    return {
        "v": 1,
        "kind": "sandbox",
        "nonce": session.nonce,
        "issued": stamp(ctx.now),
        "expires": stamp(ctx.now + LIFETIME),
        "deployment": settings.id,
        "sandbox": sandbox.id,
        "boot": session.boot,
        "login": person.login,
        "project": sandbox.project_id,
        "epochs": {a.id: a.epoch for a in agreements},
        "kernel": {
            "image": settings.images[IMAGE_OF[sandbox.environment]],
            "runtime": settings.runtime,
            **KERNEL_LIMITS,
            "workspace": {"bytes": settings.workspace_bytes, "inodes": settings.workspace_inodes},
            "lang": "en" if person.lang.startswith("en") else "zh-CN",
            "releases": mounted,
        },
        "session": {
            "id": session.id,
            "image": settings.images["session"],
            "memory": SESSION_MEMORY,
            "environment": {"DATASANDBOX_KERNELS": KERNELS_OF[sandbox.environment]},
        },
    }


def _facts(ctx: Context, sandbox: Sandbox, session: SandboxSession, agreements: Sequence[Agreement], settings: Settings) -> dict[str, Any]:
    # What came into force after this start is not mounted in it: it comes with the next one.
    given = [a for a in agreements if a.active_at and session.started_at and a.active_at <= session.started_at]
    return {
        "sandbox": sandbox.id,
        "boot": session.boot,
        "project": {"id": sandbox.project_id, "title": sandbox.project.title},
        "person": {"login": sandbox.person.login, "name": sandbox.person.name, "lang": sandbox.person.lang},
        "agreements": [_item_facts(ctx.db, agreement, item) for agreement in given for item in agreement.items],
        "display": display.facts(ctx, project=sandbox.project_id, person=sandbox.person_id, epoch=session.epoch),
        "url": settings.portal_url,
    }


def _item_facts(db: Session, agreement: Agreement, item: AgreementItem) -> dict[str, Any]:
    release = releases.live(db, item.id)
    columns: list[Column] = [c for c in item.version.columns if c.name in item.columns]
    return {
        "id": agreement.id,
        "epoch": agreement.epoch,
        "dataset": item.dataset.name,
        "title": item.dataset.title_zh,
        "access": item.access.value,
        "columns": [
            {"name": c.name, "class": c.column_class.value, "treatment": treatment(c.column_class)} for c in columns if c.column_class
        ],
        "not_after": stamp(agreement.not_after) if agreement.not_after else None,
        "rows": release.rows if release else None,
        "release": release.id if release else None,
        "state": "ready" if item.access is Access.MOUNTED else "queried_not_available",
    }
