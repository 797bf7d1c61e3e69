"""Requests for packages in the kernel image: asked for by a researcher, looked at by policy, decided by an administrator.

Administrators build and run the platform, so they answer for what is in an image; who asked never decides (三员分立). The package
comes with the next image: nothing is ever installed into a running container.
"""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from sandbox.domain import fields
from sandbox.domain.errors import Refusal
from sandbox.domain.packages import NAME_LONGEST, VERSION_LONGEST, normalised
from sandbox.domain.permissions import Permission
from sandbox.domain.states import PACKAGE_STEPS, Answer, PackageState, step
from sandbox.services.context import Context, not_visible
from sandbox.store.db import unique_or
from sandbox.store.tables import PackageRequest

POLICY = "sandbox.package"
IMAGE = re.compile(r"sha256:[0-9a-f]{64}")


def requests(ctx: Context, *, inbox: bool = False) -> list[PackageRequest]:
    """Return all requests, newest first (every researcher sees them: the image is common to all); with `inbox` what waits for the actor."""
    if not ctx.may(Permission.PACKAGE_READ):
        return []
    found = ctx.db.scalars(select(PackageRequest).order_by(PackageRequest.created.desc(), PackageRequest.id)).all()
    return [one for one in found if not inbox or (one.state is PackageState.REQUESTED and may_decide(ctx, one))]


def may_decide(ctx: Context, one: PackageRequest) -> bool:
    """Say whether the actor may decide it."""
    return ctx.may(Permission.PACKAGE_DECIDE, author=one.author.login)


def ask(ctx: Context, *, ecosystem: str, name: str, version: str, reason: str) -> PackageRequest:
    """Ask for an exact version of a package; policy refuses some at once (403), all others wait for a person.

    `package_known` (409) when it was asked for before and not rejected.
    """
    ctx.require(Permission.PACKAGE_ASK)
    kind = fields.required(ecosystem, "ecosystem", longest=16)
    wanted = {
        "ecosystem": kind,
        "name": normalised(kind, fields.required(name, "name", longest=NAME_LONGEST)),
        "version": fields.required(version, "version", longest=VERSION_LONGEST),
    }
    decision = ctx.policy.decide(POLICY, {"package": wanted, "person": ctx.actor.facts()})
    if not decision.allow:
        code = (decision.reasons or ["not_allowed"])[0]
        raise Refusal(code, status=503 if code == "policy_unavailable" else 403, act="package:ask", **wanted)
    flags = [str(flag) for flag in decision.obligations.get("flags", [])]
    made = PackageRequest(
        created=ctx.now,
        **wanted,
        reason=fields.required(reason, "reason", longest=1000),
        flags=flags,
        state=PackageState.REQUESTED,
        author_id=ctx.actor.id,
    )
    with unique_or(ctx.db, "package_known", **wanted):
        ctx.db.add(made)
    data = {**_data(made), "flags": flags, "decision": decision.decision_id, "revision": decision.revision}
    ctx.record("package.asked", refs={}, data=data, texts={"reason": made.reason})
    return made


def decide(ctx: Context, request_id: str, *, answer: str, reason: str) -> PackageRequest:
    """Approve or reject as administrator, with a reason; an approved one can be rejected until it is built. `state_conflict` (409)."""
    one = ctx.db.get(PackageRequest, request_id, with_for_update=True, populate_existing=True)
    if one is None or not ctx.may(Permission.PACKAGE_READ):
        raise not_visible("package")
    ctx.require(Permission.PACKAGE_DECIDE, author=one.author.login)
    said = fields.one_of(answer, "answer", Answer)
    words = fields.required(reason, "reason", longest=1000)
    one.state = step(PACKAGE_STEPS, one.state, PackageState.APPROVED if said is Answer.APPROVE else PackageState.REJECTED)
    one.decided_by, one.decided_at, one.decision_reason = ctx.actor.id, ctx.now, words
    ctx.record("package.decided", refs={}, data={**_data(one), "answer": said.value}, texts={"reason": words})
    return one


def approved(ctx: Context) -> Sequence[PackageRequest]:
    """Return what is approved and in no image yet, oldest first: what the next image is to have."""
    ctx.require_service()
    query = select(PackageRequest).where(PackageRequest.state == PackageState.APPROVED)
    return ctx.db.scalars(query.order_by(PackageRequest.created, PackageRequest.id)).all()


def built(ctx: Context, ids: Sequence[str], *, image: str) -> list[PackageRequest]:
    """Note that an image (by digest) has these packages; all or none. Known already for the same image is well."""
    ctx.require_service()
    if not IMAGE.fullmatch(image):
        raise Refusal("field_invalid", field="image")
    done = []
    for name in dict.fromkeys(ids):
        one = ctx.db.get(PackageRequest, name, with_for_update=True, populate_existing=True)
        if one is None:
            raise not_visible("package")
        if one.state is not PackageState.BUILT or one.image != image:
            one.state = step(PACKAGE_STEPS, one.state, PackageState.BUILT)
            one.image, one.built_at = image, ctx.now
            ctx.record("package.built", refs={}, data={**_data(one), "image": image})
        done.append(one)
    return done


def _data(one: PackageRequest) -> dict[str, Any]:
    return {"request": one.id, "ecosystem": one.ecosystem, "name": one.name, "version": one.version}
