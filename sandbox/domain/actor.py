"""Who acts: a person with roles, one of our services, or nobody known."""

from dataclasses import dataclass
from typing import Any, Literal

from sandbox.domain.states import BodyKind, Role


@dataclass(frozen=True)
class Grant:
    """A role in force; `body` is the code of the body for roles of a body, else None."""

    role: Role
    body: str | None = None
    body_kind: BodyKind | None = None


@dataclass(frozen=True)
class Actor:
    """Who acts, as policy and record see them."""

    type: Literal["person", "service", "anonymous"]
    id: str
    login: str | None = None
    active: bool = True
    roles: tuple[Grant, ...] = ()

    def has(self, role: Role, body: str | None = None) -> bool:
        """Say whether the actor holds `role`, of `body` if one is given."""
        return any(grant.role is role and (body is None or grant.body == body) for grant in self.roles)

    def record(self) -> dict[str, Any]:
        """Return the actor of a leaf (interfaces.md, 2)."""
        known = {"login": self.login} if self.login else {}
        return {"type": self.type, "id": self.id, **known}

    def facts(self) -> dict[str, Any]:
        """Return the person of a policy input (interfaces.md, 3)."""
        return {
            "login": self.login or "",
            "active": self.active,
            "roles": [{"role": grant.role.value, "body": grant.body, "body_kind": grant.body_kind} for grant in self.roles],
        }


ANONYMOUS = Actor(type="anonymous", id="anonymous", active=False)


def service(name: str) -> Actor:
    """Return one of our own processes as an actor."""
    return Actor(type="service", id=name)
