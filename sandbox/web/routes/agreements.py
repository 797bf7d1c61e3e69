"""Agreements: the text, both signatures, the term, suspension and revocation (A10.3, A11)."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from sandbox.domain.agreements import live_holds
from sandbox.domain.errors import Refusal
from sandbox.domain.permissions import Permission
from sandbox.domain.states import Side
from sandbox.services import agreements, display
from sandbox.services.context import Context
from sandbox.store.tables import Agreement
from sandbox.web.formats import SHANGHAI, whole_copies
from sandbox.web.labels import agreement_state
from sandbox.web.pages import View, page, show, submit, to
from sandbox.web.request import read_form, words

pages = APIRouter()
Form = Annotated[FormData, Depends(read_form)]


def facts(row: Agreement) -> dict[str, object]:
    """Return what policy is told about an agreement."""
    return {"body": row.body.code, "author": row.project.author.login, "members": [m.person.login for m in row.project.members]}


def one(agreement_id: str) -> View:
    """Return the view of an agreement."""

    def view(ctx: Context, request: Request) -> Response:
        row = agreements.agreement(ctx, agreement_id)
        known = facts(row)
        signed = {s.side for s in row.signatures}
        sides = {side: ctx.decide(Permission.AGREEMENT_SIGN, side=side.value, **known) for side in Side}
        return page(
            request,
            "agreement.html",
            ctx=ctx,
            row=row,
            state=agreement_state(row, ctx.now),
            holds=live_holds(row.holds, ctx.now),
            signed=signed,
            sides=sides,
            may_revoke=ctx.may(Permission.AGREEMENT_REVOKE, **known),
            may_hold=ctx.may(Permission.AGREEMENT_HOLD, **known),
            may_lift={h.id for h in row.holds if agreements.may_lift(ctx, h)},
            copies=whole_copies([(i.dataset.name, i.releases[-1].bytes) for i in row.items if i.releases], display.default_day(ctx)),
            may_audit=ctx.may(Permission.AUDIT_READ),
        )

    return view


@pages.get("/agreements")
def show_agreements(request: Request) -> Response:
    """The agreements one may see."""

    def view(ctx: Context, request: Request) -> Response:
        rows = [(row, agreement_state(row, ctx.now)) for row in agreements.agreements(ctx)]
        return page(request, "agreements.html", ctx=ctx, rows=rows)

    return show(request, view)


@pages.get("/agreements/{agreement}")
def show_agreement(request: Request, agreement: str) -> Response:
    """An agreement."""
    return show(request, one(agreement))


@pages.post("/agreements/{agreement}/sign")
def sign(request: Request, agreement: str, form: Form) -> Response:
    """Sign the text that was shown: its digest comes with the form."""

    def act(ctx: Context) -> Response:
        if "read" not in form:
            raise Refusal("agreement_not_read", field="read")
        agreements.sign(ctx, agreement, text_digest=words(form, "text_digest"), side=words(form, "side") or None)
        return to(f"/agreements/{agreement}", "signed")

    return submit(request, act, one(agreement))


@pages.post("/agreements/{agreement}/revoke")
def revoke(request: Request, agreement: str, form: Form) -> Response:
    """End it at once."""

    def act(ctx: Context) -> Response:
        agreements.revoke(ctx, agreement, ground=words(form, "ground"), reason=words(form, "reason"))
        return to(f"/agreements/{agreement}", "revoked")

    return submit(request, act, one(agreement))


@pages.post("/agreements/{agreement}/holds")
def hold(request: Request, agreement: str, form: Form) -> Response:
    """Suspend it; the end is a time in Asia/Shanghai, or open."""

    def act(ctx: Context) -> Response:
        typed = words(form, "until")
        try:
            until = datetime.fromisoformat(typed).replace(tzinfo=SHANGHAI) if typed else None
        except ValueError as error:
            raise Refusal("field_invalid", field="until") from error
        agreements.hold(ctx, agreement, ground=words(form, "ground"), reason=words(form, "reason"), until=until)
        return to(f"/agreements/{agreement}", "held")

    return submit(request, act, one(agreement))


@pages.post("/agreements/{agreement}/holds/{hold_id}/lift")
def lift(request: Request, agreement: str, hold_id: str, form: Form) -> Response:
    """Lift a suspension."""
    del form

    def act(ctx: Context) -> Response:
        agreements.lift(ctx, hold_id)
        return to(f"/agreements/{agreement}", "lifted")

    return submit(request, act, one(agreement))
