"""The one exception with which a rule says no."""

from typing import Any


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """A rule said no: a stable code, the field it concerns, and what its message needs.

    The text, in both languages, is in `sandbox.domain.messages`.
    `status` is the HTTP status a view gives: 422 input, 403 not allowed, 404 not visible, 409 state, 503 a part is down.
    """

    def __init__(self, code: str, *, field: str | None = None, status: int = 422, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.status = status
        # A text can name its field.
        self.params = params if field is None else {"field": field, **params}
