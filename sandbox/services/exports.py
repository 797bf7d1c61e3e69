"""Exports: a package is received, checked in a data container, decided by policy, reviewed by two others, released, downloaded once.

An export is bound to the agreements in force when it was made, each with its epoch. A tightening raises the epoch, and with it every
export that has not been downloaded is void (architecture, Cut). Votes are hidden until all are in.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox.domain import fields
from sandbox.domain.agreements import in_force
from sandbox.domain.clock import stamp
from sandbox.domain.errors import Refusal
from sandbox.domain.messages import text
from sandbox.domain.permissions import Permission
from sandbox.domain.spec import canonical
from sandbox.domain.states import EXPORT_STEPS, ExportState, Role, Verdict, Vote, step
from sandbox.services import accounts, releases
from sandbox.services import agreements as agreed
from sandbox.services.context import Context, moment, not_visible
from sandbox.settings import Settings
from sandbox.store import jobs
from sandbox.store.db import unique_or
from sandbox.store.tables import Agreement, Export, ExportFile, Finding, Outbox, Review, Sandbox, SandboxSession

EXPORT_POLICY = "sandbox.export"
MAX_BYTES = 5_000_000
TITLE_LENGTH, CONTEXT_LENGTH = 80, 1000
# Words, not data: prose of some length has fewer signs of this kind than letters.
DATA_SHARE, DATA_LEAST = 0.4, 20
_DATA = re.compile(r"[\d,;|\t=/+]")
_NAME = re.compile(r"[^/\\\0]{1,120}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


# What a session does (the internal port; the token has said which sandbox) ---------------------------------------------------


def create(
    ctx: Context, *, sandbox: str, boot: str, title: str, context: str, check_only: bool, files: Sequence[Mapping[str, Any]]
) -> Export:
    """Announce a package of one file `{"name","size","sha256"}`; its bytes go to `exports/<id>/<n>` next.

    A trial has no words: none are needed, and any given are not kept, because its author would read them at once in the portal.
    Refusals: `field_required`, `field_too_long`, `context_is_data` (title, context), `export_one_file`, `export_file_invalid`,
    `export_too_large`, `no_agreement` (403).
    """
    home = ctx.db.get_one(Sandbox, sandbox)
    session = ctx.db.scalars(select(SandboxSession).where(SandboxSession.boot == boot, SandboxSession.sandbox_id == sandbox)).one_or_none()
    if session is None or session.ended_at is not None:
        raise Refusal("export_session_ended", status=403)
    bound = [one for one in agreed.of_project(ctx.db, home.project_id) if in_force(one, one.holds, ctx.now)]
    if not bound:
        raise Refusal("no_agreement", status=403)
    if len(files) != 1:
        raise Refusal("export_one_file", field="files", count=len(files))
    made = Export(
        created=ctx.now,
        sandbox=home,
        session_id=session.id,
        project_id=home.project_id,
        author_id=home.person_id,
        state=ExportState.CHECKING,
        title="" if check_only else _words(title, "title", TITLE_LENGTH),
        context="" if check_only else _words(context, "context", CONTEXT_LENGTH),
        check_only=check_only,
        epoch=sum(one.epoch for one in bound),
        reviewers_needed=0,
        reasons=[],
        certificate={"agreements": [{"id": one.id, "epoch": one.epoch} for one in bound]},
    )
    ctx.db.add(made)
    ctx.db.flush()
    made.files = [_announced(ctx, made, position, given) for position, given in enumerate(files)]
    ctx.db.flush()
    announced = [{"size": file.size, "sha256": file.sha256} for file in made.files]
    texts = {"title": made.title, "context": made.context} | {f"file{file.position}": file.name for file in made.files}
    ctx.record("export.created", refs=_refs(made), data={"files": announced, "check_only": check_only}, texts=texts)
    return made


def _words(value: Any, field: str, longest: int) -> str:
    """Return what an author says of an export; `context_is_data` when it is mostly digits and separators."""
    words = fields.required(value, field, longest=longest)
    signs = len(_DATA.findall(words))
    if signs >= DATA_LEAST and signs > DATA_SHARE * len("".join(words.split())):
        raise Refusal("context_is_data", field=field)
    return words


def _announced(ctx: Context, made: Export, position: int, given: Mapping[str, Any]) -> ExportFile:
    name, size, sha256 = given.get("name"), given.get("size"), given.get("sha256")
    sound = isinstance(name, str) and _NAME.fullmatch(name) and isinstance(sha256, str) and _SHA256.fullmatch(sha256)
    if not sound or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Refusal("export_file_invalid", field=f"files[{position}]")
    if size > MAX_BYTES:
        raise Refusal("export_too_large", field=f"files[{position}]", status=413, size=size, limit=MAX_BYTES)
    return ExportFile(created=ctx.now, position=position, name=name, size=size, sha256=sha256, path=f"exports/{made.id}/{position}")


def incoming(ctx: Context, *, sandbox: str, export: str, number: int) -> ExportFile:
    """Return the announced file whose bytes come next: where they go (`path` below the home) and how many they may be."""
    made = _of_sandbox(ctx, sandbox, export)
    if made.submitted_at is not None:
        raise Refusal("state_conflict", status=409, state="submitted", wanted="open")
    file = next((file for file in made.files if file.position == number), None)
    if file is None:
        raise not_visible("export")
    return file


def add_file(ctx: Context, *, sandbox: str, export: str, number: int, size: int, sha256: str) -> ExportFile:
    """Note that the bytes of a file have arrived; they must be what was announced. `export_changed` (409).

    The caller moves them to their place in the same transaction: it holds the package, so that none is moved once it is submitted.
    """
    _of_sandbox(ctx, sandbox, export, lock=True)
    file = incoming(ctx, sandbox=sandbox, export=export, number=number)
    if (size, sha256) != (file.size, file.sha256):
        raise Refusal("export_changed", field=f"files[{number}]", status=409, file=file.name)
    file.received_at = ctx.now
    ctx.record("export.received", refs=_refs(file.export), data={"file": number, "size": size, "sha256": sha256})
    return file


def submit(ctx: Context, *, sandbox: str, export: str) -> Export:
    """Close the package and have it checked (job `check`); `export_incomplete` (409) while a file is missing."""
    made = _of_sandbox(ctx, sandbox, export, lock=True)
    if made.submitted_at is not None:
        return made
    if any(file.received_at is None for file in made.files):
        raise Refusal("export_incomplete", status=409)
    made.submitted_at = ctx.now
    jobs.enqueue(ctx.db, ctx.now, "check", made.id)
    ctx.record("export.submitted", refs=_refs(made), data={"check_only": made.check_only})
    return made


def of_session(ctx: Context, *, sandbox: str, export: str) -> Export:
    """Return an export of this sandbox; a session polls it until `checked` is true."""
    return _of_sandbox(ctx, sandbox, export)


def checked(made: Export) -> bool:
    """Say whether the checks are over."""
    return made.decided_at is not None or made.state is not ExportState.CHECKING


def _of_sandbox(ctx: Context, sandbox: str, export: str, *, lock: bool = False) -> Export:
    made = ctx.db.get(Export, export, with_for_update=True if lock else None, populate_existing=lock)
    if made is None or made.sandbox_id != sandbox:
        raise not_visible("export")
    return made


# What the runner does ----------------------------------------------------------------------------------------------------------


def check_job_spec(db: Session, export_id: str) -> dict[str, Any]:
    """Return inputs and `job.json` of task `check`: the package, and every release that its agreements gave the sandbox."""
    made = db.get_one(Export, export_id)
    inputs = [{"source": f"exports/{made.id}", "target": "/in/package"}]
    described, cells = [], [1]
    for one in _agreements(db, made):
        for item in one.items:
            cells.append(item.min_cell)
            release = releases.live(db, item.id)
            if release is not None:
                inputs.append({"source": release.path, "target": f"/in/release/{item.dataset.name}"})
                described.append({"dataset": item.dataset.name, "columns": release.manifest.get("columns", [])})
    files = [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in made.files]
    return {
        "inputs": inputs,
        "job": {"task": "check", "files": files, "releases": described, "min_cell": max(cells), "max_bytes": MAX_BYTES},
    }


def finish_check(ctx: Context, export_id: str, result: Mapping[str, Any]) -> Export:
    """Take the `result.json` of a check (runner only); policy decides between denied and in review. A second result changes nothing.

    A check that refused or broke is a finding that denies: never a pass.
    """
    ctx.require_service()
    made = ctx.db.get_one(Export, export_id, with_for_update=True)
    if checked(made):
        return made
    outcome = result.get("result") if result.get("ok") is True else None
    found = _findings(outcome) if isinstance(outcome, Mapping) else []
    if not found:
        errors = list(result.get("errors") or []) or [{"code": "data_task_failed"}]
        found = [{"file": None, "code": error["code"], "verdict": "deny", "params": error.get("params") or {}} for error in errors]
    files = {file.name: file for file in made.files}
    made.findings = [
        Finding(
            created=ctx.now,
            position=position,
            file=files.get(one["file"]),
            code=one["code"],
            verdict=Verdict(one["verdict"]),
            params=one["params"],
        )
        for position, one in enumerate(found)
    ]
    for facts in outcome.get("files", []) if isinstance(outcome, Mapping) else []:
        if facts["name"] in files:
            files[facts["name"]].type = facts["type"]
    previews = {facts["name"]: facts.get("preview") for facts in outcome.get("files", [])} if isinstance(outcome, Mapping) else {}
    made.certificate = made.certificate | {"previews": previews}
    ctx.db.flush()
    reasons, reviewers = _ask(ctx, made, "submit")
    made.reasons, made.decided_at = reasons, ctx.now
    if not made.check_only:
        made.reviewers_needed = reviewers
        made.state = step(EXPORT_STEPS, made.state, ExportState.DENIED if reasons else ExportState.IN_REVIEW)
    data = {"state": shown_state(made), "reasons": reasons, "reviewers": made.reviewers_needed, "findings": _brief(made)}
    ctx.record("export.checked", refs=_refs(made), data=data)
    return made


def _findings(outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"file": one["file"], "code": one["code"], "verdict": one["verdict"], "params": one.get("params") or {}}
        for one in outcome["findings"]
    ]


def _brief(made: Export) -> list[dict[str, Any]]:
    """Return what the record keeps of the findings: no text of the file."""
    return [{"code": one.code, "verdict": one.verdict.value} for one in made.findings if one.verdict is not Verdict.PASS]


# What people do ----------------------------------------------------------------------------------------------------------------


def exports(ctx: Context, *, inbox: bool = False) -> list[Export]:
    """Return the exports the actor may see, newest first; with `inbox` those that wait for their vote."""
    query = select(Export).order_by(Export.created.desc(), Export.id).limit(200)
    if inbox:
        query = query.where(Export.state == ExportState.IN_REVIEW)
    found = [made for made in ctx.db.scalars(query) if any(ctx.may(Permission.EXPORT_READ, **facts) for facts in _resources(ctx.db, made))]
    if not inbox:
        return found
    return [made for made in found if not _voted(ctx, made) and _reviewable(ctx, made)]


def export(ctx: Context, export_id: str) -> Export:
    """Return one export the actor may see; 404 `not_visible`."""
    made = ctx.db.get(Export, export_id)
    if made is None:
        raise not_visible("export")
    ctx.visible_in(Permission.EXPORT_READ, _resources(ctx.db, made))
    return made


def review(ctx: Context, export_id: str, *, verdict: str, comment: str) -> Review:
    """Vote once; when all votes are in, the export is approved or rejected.

    Approvals count when policy finds every body whose data it may hold among them; while one is missing, one more vote is needed.
    Refusals: policy's (`not_author` …, 403), `state_conflict`, `already_reviewed` (409), `field_required` (a rejection without a comment).
    """
    made = export(ctx, export_id)
    ctx.db.refresh(made, with_for_update=True)
    resource = next((facts for facts in _resources(ctx.db, made) if ctx.may(Permission.EXPORT_REVIEW, **facts)), None)
    ctx.require(Permission.EXPORT_REVIEW, **(resource or _resources(ctx.db, made)[0]))
    vote = fields.one_of(verdict, "verdict", Vote)
    said = fields.required(comment, "comment", longest=4000) if vote is Vote.REJECT else fields.optional(comment, "comment", longest=4000)
    if _voted(ctx, made):
        raise Refusal("already_reviewed", status=409)
    if made.state is not ExportState.IN_REVIEW:
        raise Refusal("state_conflict", status=409, state=made.state.value, wanted="review")
    with unique_or(ctx.db, "already_reviewed"):
        given = Review(created=ctx.now, reviewer_id=ctx.actor.id, verdict=vote, comment=said, export=made)
        ctx.db.add(given)
    ctx.record("export.reviewed", refs=_refs(made), data={"verdict": vote.value}, texts={"comment": said})
    ctx.db.refresh(made, ["reviews"])
    agreed_on = all(one.verdict is Vote.APPROVE for one in made.reviews)
    if agreed_on and len(made.reviews) >= made.reviewers_needed and _body_missing(ctx, made):
        made.reviewers_needed = len(made.reviews) + 1
    if len(made.reviews) >= made.reviewers_needed:
        made.state = step(EXPORT_STEPS, made.state, ExportState.APPROVED if agreed_on else ExportState.REJECTED)
        made.decided_at = ctx.now
        ctx.record(f"export.{made.state.value}", refs=_refs(made), data={"reviews": len(made.reviews)})
    return given


def _body_missing(ctx: Context, made: Export) -> bool:
    """Ask policy whether a body bound to the export has not approved; 503 `policy_unavailable`, and the vote is not taken."""
    reasons, _ = _ask(ctx, made, "release")
    if "policy_unavailable" in reasons:
        raise Refusal("policy_unavailable", status=503)
    return "body_review_missing" in reasons


def release(ctx: Context, export_id: str, key: Ed25519PrivateKey | None = None, home: Path | None = None) -> Export:
    """Release an approved export: policy is asked again at the present epoch, the bytes are compared, the certificate is signed.

    `key` and `home` are those of the settings unless given (tests).
    Refusals: policy's first reason (403), `export_epoch_changed` (403), `state_conflict`, `export_changed` (409).
    """
    made = export(ctx, export_id)
    ctx.db.refresh(made, with_for_update=True)
    ctx.require(Permission.EXPORT_RELEASE, **_resources(ctx.db, made)[0])
    if made.state is not ExportState.APPROVED:
        raise Refusal("state_conflict", status=409, state=made.state.value, wanted="released")
    reasons, _ = _ask(ctx, made, "release")
    if reasons:
        raise Refusal(reasons[0], status=503 if reasons[0] == "policy_unavailable" else 403)
    for file in made.files:
        _same_bytes(home or Settings.from_env().home, file)
    made.state = step(EXPORT_STEPS, made.state, ExportState.RELEASED)
    made.released_at = ctx.now
    made.certificate = made.certificate | {"signed": _certify(made, key or certificate_key(Settings.from_env()))}
    ctx.record("export.released", refs=_refs(made), data={"files": [file.sha256 for file in made.files]})
    return made


def _same_bytes(home: Path, file: ExportFile) -> None:
    """Compare the stored bytes with what was checked and reviewed; `export_changed` (409)."""
    try:
        with (home / file.path).open("rb") as stored:
            same = hashlib.file_digest(stored, "sha256").hexdigest() == file.sha256
    except FileNotFoundError:
        same = False
    if not same:
        raise Refusal("export_changed", status=409, file=file.name)


@dataclass(frozen=True)
class Download:
    """A file on its way out: the record that must be in the log first, the path below the home, the name it is given."""

    record: Outbox
    path: str
    name: str
    sha256: str


def download(ctx: Context, export_id: str) -> Download:
    """Authorise the one download of a released export; call `downloaded` after the last byte.

    Refusals: policy's (403), `export_not_released`, `already_downloaded` (409), `export_epoch_changed`, `agreement_…` (403).
    """
    made = export(ctx, export_id)
    ctx.db.refresh(made, with_for_update=True)
    ctx.require(Permission.EXPORT_DOWNLOAD, **_resources(ctx.db, made)[0])
    if made.state is not ExportState.RELEASED:
        raise Refusal("export_not_released", status=409, state=made.state.value)
    if made.downloaded_at is not None:
        raise Refusal("already_downloaded", status=409)
    reasons, _ = _ask(ctx, made, "release")
    if reasons:
        raise Refusal(reasons[0], status=503 if reasons[0] == "policy_unavailable" else 403)
    (file,) = made.files
    record = ctx.record("export.download", refs=_refs(made), data={"sha256": file.sha256, "size": file.size})
    return Download(record, file.path, file.name, file.sha256)


def downloaded(ctx: Context, export_id: str) -> Export:
    """Note that the whole file has been sent; from now on there is no second download. A broken one may be tried again."""
    made = ctx.db.get_one(Export, export_id, with_for_update=True)
    if made.downloaded_at is None:
        made.downloaded_at = ctx.now
        ctx.record("export.downloaded", refs=_refs(made))
    return made


def certificate(ctx: Context, export_id: str) -> dict[str, Any]:
    """Return the signed certificate of a released export; `export_not_released` (409)."""
    made = export(ctx, export_id)
    if made.state is not ExportState.RELEASED:
        raise Refusal("export_not_released", status=409, state=made.state.value)
    signed: dict[str, Any] = made.certificate["signed"]
    return signed


def _certify(made: Export, key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return `{"certificate", "signature", "public_key"}`: Ed25519 over the RFC 8785 form of the certificate, both base64."""
    body = {
        "v": 1,
        "kind": "export-certificate",
        "export": made.id,
        "title": made.title,
        "author": made.author.login,
        "project": made.project_id,
        "agreements": made.certificate["agreements"],
        "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in made.files],
        "reviewers": sorted(one.reviewer.login for one in made.reviews),
        "submitted": moment(made.submitted_at),
        "approved": moment(made.decided_at),
        "released": moment(made.released_at),
    }
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"certificate": body, "signature": b64encode(key.sign(canonical(body))).decode(), "public_key": b64encode(public).decode()}


def certificate_key(settings: Settings) -> Ed25519PrivateKey:
    """Return the key that signs certificates and nothing else, so that no launch spec can be forged with it (`sandbox init` makes it)."""
    key = load_pem_private_key(settings.secret("portal", "certificate.key").encode(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("certificate.key is not an Ed25519 key")
    return key


# What is shown -----------------------------------------------------------------------------------------------------------------


def shown_state(made: Export) -> str:
    """Return the state as people see it: a trial run ends as `checked` or `denied`, it never goes to review."""
    if made.check_only and made.decided_at is not None:
        return "denied" if made.reasons else "checked"
    return made.state.value


def view(ctx: Context, made: Export) -> dict[str, Any]:
    """Return an export as the API shows it (interfaces.md, 8); others' votes only when all are in."""
    open_votes = made.state is ExportState.IN_REVIEW
    reviews = [one for one in made.reviews if not open_votes or one.reviewer_id == ctx.actor.id]
    # The first rows are for those who may vote, who cannot judge what they do not see; for the author they would be a way out.
    previews = (made.certificate.get("previews") or {}) if _reviewable(ctx, made) else {}
    return {
        "id": made.id,
        "state": shown_state(made),
        "title": made.title,
        "context": made.context,
        "check_only": made.check_only,
        "author": made.author.login,
        "author_name": made.author.name,
        "project": made.project_id,
        "project_title": made.project.title,
        "agreements": made.certificate["agreements"],
        "created": stamp(made.created),
        "submitted": moment(made.submitted_at),
        "decided": moment(made.decided_at),
        "released": moment(made.released_at),
        "downloaded": moment(made.downloaded_at),
        "reasons": [{"code": code, "message": text(code, ctx.lang)} for code in made.reasons],
        "files": [
            {"name": file.name, "size": file.size, "sha256": file.sha256, "type": file.type, "preview": previews.get(file.name)}
            for file in made.files
        ],
        "findings": findings_view(made, ctx.lang),
        "reviewers_needed": made.reviewers_needed,
        "reviews_in": len(made.reviews),
        "reviews": [
            {"reviewer": one.reviewer.login, "verdict": one.verdict.value, "comment": one.comment, "created": stamp(one.created)}
            for one in reviews
        ],
    }


def findings_view(made: Export, lang: str) -> list[dict[str, Any]]:
    """Return the findings with their texts; a rule that was kept says so in its own words (`<code>_passed`)."""
    return [
        {
            "file": one.file.name if one.file else None,
            "code": one.code,
            "verdict": one.verdict.value,
            "message": text(f"{one.code}_passed" if one.verdict is Verdict.PASS else one.code, lang, **one.params),
            "params": one.params,
        }
        for one in made.findings
    ]


# Facts -------------------------------------------------------------------------------------------------------------------------


def _agreements(db: Session, made: Export) -> list[Agreement]:
    return [db.get_one(Agreement, bound["id"]) for bound in made.certificate["agreements"]]


def _ask(ctx: Context, made: Export, act: str) -> tuple[list[str], int]:
    """Ask policy under each agreement the export is bound to; return all reasons against it and how many must review it."""
    reasons: set[str] = set()
    reviewers = 0
    checks = [_checks(made, file) for file in made.files]
    reviews = [_vote(given) for given in made.reviews]
    for bound, one in zip(made.certificate["agreements"], _agreements(ctx.db, made), strict=True):
        if one.epoch != bound["epoch"]:
            reasons.add("export_epoch_changed")
        decision = ctx.policy.decide(
            EXPORT_POLICY,
            {
                "now": stamp(ctx.now),
                "agreement": agreed.policy_facts(one, ctx.now) | {"body": one.body.code},
                "files": [
                    {"type": file.type or "?", "size": file.size, "checks": each} for file, each in zip(made.files, checks, strict=True)
                ],
                "reviews": reviews,
                "author": made.author.login,
                "act": act,
            },
        )
        if not decision.allow:
            reasons.update(decision.reasons or ["policy_unavailable"])
        needed = decision.obligations.get("reviewers")
        reviewers = max(reviewers, needed if isinstance(needed, int) else 2)
    return sorted(reasons), reviewers


def _vote(given: Review) -> dict[str, Any]:
    """Return a vote as policy sees it: for which bodies its reviewer may speak now."""
    roles = accounts.actor_of(given.reviewer).roles
    bodies = [{"body": grant.body, "kind": grant.body_kind} for grant in roles if grant.role is Role.REVIEWER]
    return {"person": given.reviewer.login, "verdict": given.verdict.value, "bodies": bodies}


def _checks(made: Export, file: ExportFile) -> list[dict[str, str]]:
    """Return the checks of a file, and those of the whole package."""
    return [{"code": one.code, "verdict": one.verdict.value} for one in made.findings if one.file_id in {None, file.id}]


def _resources(db: Session, made: Export) -> list[dict[str, Any]]:
    """Return what policy may know of an export, once for each owner body whose agreement it is bound to."""
    members = [member.person.login for member in made.project.members]
    bodies: Iterable[str] = sorted({one.body.code for one in _agreements(db, made)})
    return [{"body": body, "author": made.author.login, "members": members} for body in bodies]


def _voted(ctx: Context, made: Export) -> bool:
    return any(one.reviewer_id == ctx.actor.id for one in made.reviews)


def _reviewable(ctx: Context, made: Export) -> bool:
    return any(ctx.may(Permission.EXPORT_REVIEW, **facts) for facts in _resources(ctx.db, made))


def _refs(made: Export) -> dict[str, str | None]:
    return {"export": made.id, "sandbox": made.sandbox_id, "project": made.project_id, "person": made.author_id}
