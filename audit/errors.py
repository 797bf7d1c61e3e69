"""How the log says no, inside its process and to its sources."""

from typing import Any


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """The log refuses a request: a stable code, the HTTP status, and what the caller needs to go on."""

    def __init__(self, code: str, status: int = 422, **params: Any) -> None:
        super().__init__(code, params)
        self.code = code
        self.status = status
        self.params = params

    def __str__(self) -> str:
        details = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        return f"{self.code} ({details})" if details else self.code


class Damaged(Exception):  # noqa: N818 - it names the state of the log
    """What is on disk is not what was signed. `index` is the entry concerned, None where no entry is (a key, a checkpoint)."""

    def __init__(self, code: str, message: str, index: int | None = None) -> None:
        super().__init__(message if index is None else f"entry {index}: {message}")
        self.code = code
        self.index = index


def require(holds: bool, otherwise: str) -> None:
    """Raise ValueError unless it holds: for parsers, which turn every ValueError into one answer."""
    if not holds:
        raise ValueError(otherwise)


class Unhealthy(Exception):  # noqa: N818 - it names the state of the log
    """A write or fsync failed: nobody knows what is on disk, so nothing more is accepted until a restart has looked."""
