"""What every act of the portal has in hand: the transaction, who acts, the time, the policy, the person's language.

A service asks `require` first, changes state, then calls `record`; it never commits: the edge does, once a request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from sandbox.domain.actor import Actor
from sandbox.domain.clock import stamp
from sandbox.domain.errors import Refusal
from sandbox.domain.permissions import Permission
from sandbox.domain.spec import canonical
from sandbox.domain.states import Role
from sandbox.store import outbox
from sandbox.store.tables import Outbox

PORTAL_POLICY = "sandbox.portal"


class Decision(Protocol):
    """What policy says (`sandbox.adapters.opa.Decision`)."""

    @property
    def allow(self) -> bool:
        """Whether the act may happen."""
        ...

    @property
    def reasons(self) -> list[str]:
        """Codes of why not."""
        ...

    @property
    def obligations(self) -> dict[str, Any]:
        """What must be done with the permission."""
        ...

    @property
    def decision_id(self) -> str | None:
        """OPA's name of the decision."""
        ...

    @property
    def revision(self) -> str | None:
        """The revision of the policy bundle that decided."""
        ...


class Policy(Protocol):
    """Who decides (`sandbox.adapters.opa.Policy`); never raises, an answer that did not come is a no."""

    def decide(self, package: str, facts: Mapping[str, Any], /) -> Decision:
        """Ask `package` about `facts`."""
        ...


@dataclass
class Context:
    """One request's transaction, actor, time, policy and language."""

    db: Session
    actor: Actor
    now: datetime
    policy: Policy
    lang: str = "zh-CN"
    _known: dict[bytes, Decision] = field(default_factory=dict, repr=False)
    _used: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def decide(self, act: Permission, **resource: Any) -> Decision:
        """Ask `sandbox.portal` whether the actor may do `act` with `resource`; the same question is asked once a request."""
        question = {"act": act.value, "person": self.actor.facts(), "resource": {"kind": act.value.split(":")[0], **resource}}
        key = canonical(question)
        if key not in self._known:
            self._known[key] = self.policy.decide(PORTAL_POLICY, question)
        return self._known[key]

    def may(self, act: Permission, **resource: Any) -> bool:
        """Say whether the actor may do `act`; for lists and for the reason beside a disabled button use `decide`."""
        return self.decide(act, **resource).allow

    def require(self, act: Permission, **resource: Any) -> Decision:
        """Go on only if the actor may do `act`; raise Refusal 403 with policy's first reason (503 if policy is down) otherwise."""
        decision = self.decide(act, **resource)
        if not decision.allow:
            code = decision.reasons[0] if decision.reasons else "not_allowed"
            raise Refusal(code, status=503 if code == "policy_unavailable" else 403, act=act.value)
        self._used.append({"act": act.value, "decision": decision.decision_id, "revision": decision.revision})
        return decision

    def protects(self, act: Permission, **resource: Any) -> bool:
        """Say whether an act that only takes access away goes on although policy gave no answer (protective acts never wait).

        Then a rule of our own decides: administrator, security officer, or a steward of the body, in service. The record says so.
        Every other act waits for policy.
        """
        if self.decide(act, **resource).reasons != ["policy_unavailable"]:
            return False
        body = resource.get("body")
        side = self.actor.has(Role.ADMINISTRATOR) or self.actor.has(Role.OFFICER) or (bool(body) and self.actor.has(Role.STEWARD, body))
        if not (self.actor.type == "person" and self.actor.active and side):
            return False
        self._used.append({"act": act.value, "decision": None, "revision": None, "unreachable": True})
        return True

    def visible(self, act: Permission, **resource: Any) -> None:
        """Go on only if the actor may see the thing; what one may not see does not exist for them: Refusal 404 `not_visible`."""
        self.visible_in(act, [resource])

    def visible_in(self, act: Permission, resources: list[dict[str, Any]]) -> None:
        """Go on if the actor may see the thing under at least one description (a thing of several bodies has one for each)."""
        decisions = [self.decide(act, **resource) for resource in resources]
        if any(decision.allow for decision in decisions):
            return
        if any("policy_unavailable" in decision.reasons for decision in decisions):
            raise Refusal("policy_unavailable", status=503)
        raise not_visible(act.value.split(":")[0])

    def record(
        self,
        kind: str,
        *,
        refs: Mapping[str, str | None],
        data: Mapping[str, Any] | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> Outbox:
        """Write the record of what was just done into the same transaction, with the policy decisions that allowed it.

        `data` holds codes and figures; what people typed goes into `texts`, which the log can forget (interfaces.md, 2).
        """
        facts = dict(data or {})
        if self._used:
            facts["policy"], self._used = self._used, []
        return outbox.record(
            self.db,
            kind,
            now=self.now,
            actor=self.actor.record(),
            refs={name: value for name, value in refs.items() if value is not None},
            data=facts,
            texts={name: value for name, value in (texts or {}).items() if value},
        )

    def require_service(self, name: str = "portal") -> None:
        """Go on only for one of our own processes: results of jobs come from the runner, never from a request."""
        if self.actor.type != "service" or self.actor.id != name:
            raise Refusal("not_allowed", status=403)


def not_visible(what: str) -> Refusal:
    """Return the one answer for a thing that does not exist and for one the person may not see."""
    return Refusal("not_visible", status=404, what=what)


def record_refusal(ctx: Context, refusal: Refusal, *, act: str, refs: Mapping[str, str | None] | None = None) -> Outbox:
    """Record that a rule said no. The edge calls it in a new transaction, since the refused one was rolled back."""
    data = {"act": act, "code": refusal.code, "field": refusal.field, "status": refusal.status}
    return outbox.record(
        ctx.db,
        "act.refused",
        now=ctx.now,
        actor=ctx.actor.record(),
        refs={name: value for name, value in (refs or {}).items() if value is not None},
        data={name: value for name, value in data.items() if value is not None},
    )


def moment(at: datetime | None) -> str | None:
    """Return a time for JSON, or None."""
    return None if at is None else stamp(at)
