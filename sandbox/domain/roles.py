"""Which roles one person may hold together (三员分立: administrator, security officer and auditor are different people)."""

from collections.abc import Iterable

from sandbox.domain.errors import Refusal
from sandbox.domain.states import BODY_ROLES, Role

ALONE = frozenset({Role.ADMINISTRATOR, Role.OFFICER, Role.AUDITOR})


def check_together(held: Iterable[Role], wanted: Role) -> None:
    """Refuse (`roles_incompatible`, 409) a role beside one of the three that stand alone, or one of the three beside any other."""
    others = set(held) - {wanted}
    if others and (wanted in ALONE or others & ALONE):
        raise Refusal("roles_incompatible", field="role", status=409, role=wanted.value, held=", ".join(sorted(others)))


def check_body(role: Role, body: str | None) -> None:
    """Refuse a body's role without a body (`field_required`) and a platform's role with one (`body_not_wanted`)."""
    if role in BODY_ROLES and not body:
        raise Refusal("field_required", field="body")
    if role not in BODY_ROLES and body:
        raise Refusal("body_not_wanted", field="body", role=role.value)
