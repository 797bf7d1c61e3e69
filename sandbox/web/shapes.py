"""How things look in the API: from rows to the JSON of interfaces.md, section 8. No rule lives here."""

from typing import Any

from sandbox.domain.columns import treatment
from sandbox.services.context import moment
from sandbox.store import tables as t

Shape = dict[str, Any]


def body(row: t.Body) -> Shape:
    """Show a body."""
    return {"code": row.code, "kind": row.kind.value, "name_zh": row.name_zh, "name_en": row.name_en}


def person(row: t.Person) -> Shape:
    """Show a person; never what they log in with."""
    return {"login": row.login, "name": row.name, "email": row.email, "lang": row.lang, "active": row.active}


def grant(row: t.RoleGrant) -> Shape:
    """Show a role that was asked for or is held."""
    return {
        "id": row.id,
        "login": row.person.login,
        "role": row.role.value,
        "body": row.body.code if row.body else None,
        "state": row.state.value,
        "created": moment(row.created),
        "confirmed_at": moment(row.confirmed_at),
    }


def column(row: t.Column) -> Shape:
    """Show a column of a version."""
    return {
        "name": row.name,
        "type": row.type,
        "title": row.title,
        "proposed_class": row.proposed_class,
        "class": row.column_class,
        "treatment": treatment(row.column_class) if row.column_class else None,
        "person_key": row.person_key,
    }


def version(row: t.Version) -> Shape:
    """Show a version with its columns."""
    return {
        "id": row.id,
        "dataset": row.dataset.name,
        "number": row.number,
        "state": row.state.value,
        "rows": row.rows,
        "bytes": row.bytes,
        "columns": [column(c) for c in row.columns],
        "errors": row.errors,
        "published_at": moment(row.published_at),
    }


def dataset(row: t.Dataset) -> Shape:
    """Show a dataset with its conditions."""
    return {
        "name": row.name,
        "body": row.body.code,
        "title_zh": row.title_zh,
        "title_en": row.title_en,
        "description": row.description,
        "source": row.source,
        "licence": row.licence,
        "conditions": {
            "access_modes": row.access_modes,
            "min_cell": row.min_cell,
            "documents": [c.text for c in row.conditions if c.kind == "document"],
            "requirements": [c.text for c in row.conditions if c.kind == "requirement"],
            "items": [{"id": c.id, "kind": c.kind, "text": c.text} for c in row.conditions],
        },
        "versions": [{"number": v.number, "state": v.state.value, "rows": v.rows} for v in row.versions],
    }


def project(row: t.Project) -> Shape:
    """Show a project with its members."""
    return {
        "id": row.id,
        "title": row.title,
        "purpose": row.purpose,
        "state": row.state.value,
        "author": row.author.login,
        "members": [m.person.login for m in row.members],
        "created": moment(row.created),
    }


def assessment(row: t.Assessment) -> Shape:
    """Show one body's word."""
    return {
        "id": row.id,
        "application": row.application_id,
        "body": row.body.code,
        "round": row.round,
        "decision": row.decision.value,
        "ticks": row.ticks,
        "reason": row.reason,
        "assessor": row.assessor.login,
        "created": moment(row.created),
    }


def application(row: t.Application) -> Shape:
    """Show an application with what was typed, whole or not."""
    return {
        "id": row.id,
        "project": row.project_id,
        "author": row.author.login,
        "state": row.state.value,
        "round": row.round,
        "purpose": row.purpose,
        "scenario": row.scenario,
        "security_measures": row.security_measures,
        "period_days": row.period_days,
        "items": row.wanted,
        "submitted_at": moment(row.submitted_at),
        "assessments": [assessment(a) for a in row.assessments],
    }


def release(row: t.Release) -> Shape:
    """Show a prepared release."""
    return {
        "id": row.id,
        "dataset": row.item.dataset.name,
        "state": row.state.value,
        "rows": row.rows,
        "bytes": row.bytes,
        "digest": row.digest,
        "errors": row.errors,
        "ready_at": moment(row.ready_at),
    }


def hold(row: t.Hold) -> Shape:
    """Show a suspension."""
    return {
        "id": row.id,
        "agreement": row.agreement_id,
        "ground": row.ground,
        "reason": row.reason,
        "until": moment(row.until),
        "created": moment(row.created),
        "lifted_at": moment(row.lifted_at),
    }


def agreement(row: t.Agreement) -> Shape:
    """Show an agreement with its text, signatures, holds and releases."""
    return {
        "id": row.id,
        "application": row.application_id,
        "project": row.project_id,
        "body": row.body.code,
        "party": row.party.name,
        "state": row.state.value,
        "epoch": row.epoch,
        "profile": row.profile,
        "not_after": moment(row.not_after),
        "active_at": moment(row.active_at),
        "text": row.text,
        "text_digest": row.text_digest,
        "items": [{"dataset": i.dataset.name, "access": i.access.value, "columns": i.columns, "min_cell": i.min_cell} for i in row.items],
        "signatures": [
            {"side": s.side.value, "login": s.person.login, "text_digest": s.text_digest, "created": moment(s.created)}
            for s in row.signatures
        ],
        "holds": [hold(h) for h in row.holds],
        "releases": [release(r) for i in row.items for r in i.releases],
        "ended_at": moment(row.ended_at),
        "ended_ground": row.ended_ground,
        "ended_reason": row.ended_reason,
    }
