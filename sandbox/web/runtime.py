"""What the pages and the API are given by the process they run in (`serve.py`); tests give their own."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sandbox.domain.clock import Clock
from sandbox.services.context import Policy
from sandbox.settings import Settings
from sandbox.store.db import Database


class OAuth(Protocol):
    """Log-in through the hub (`hub_oauth.HubOAuth`)."""

    def authorize_url(self, state: str, verifier: str) -> str:
        """Return where the browser goes to log in."""
        ...

    def login_of(self, code: str, verifier: str) -> str:
        """Return the login a code stands for; Refusal otherwise."""
        ...

    def logout_url(self) -> str:
        """Return the hub's log-out page."""
        ...


class LogReader(Protocol):
    """The log as an auditor reads it; every call raises Refusal `log_unavailable` (503) when the log does not answer."""

    def entries(self, start: int, count: int, query: Mapping[str, str]) -> dict[str, Any]:
        """Return `{"entries":[{"index","leaf"}],"next","size"}`; `query` has `refs.sandbox`, `kind`, `actor` … (interfaces.md, 2)."""
        ...

    def blob(self, digest: str) -> bytes | None:
        """Return a text of the log, or None when it was erased."""
        ...

    def head(self) -> dict[str, Any]:
        """Return `{"size","root","checkpoint"}`."""
        ...


class Runtime(Protocol):
    """The process around the pages."""

    @property
    def settings(self) -> Settings:
        """The deployment's settings."""
        ...

    @property
    def database(self) -> Database:
        """The portal's database."""
        ...

    @property
    def policy(self) -> Policy:
        """Who decides."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...

    @property
    def oauth(self) -> OAuth:
        """Log-in through the hub."""
        ...

    @property
    def log(self) -> LogReader:
        """The log, to read."""
        ...

    def after_commit(self) -> None:
        """Wake the outbox, the jobs and the cutter; returns at once."""
        ...

    def log_out(self, sandboxes: Sequence[str]) -> None:
        """Have the guards of these sandboxes close what their person's browsers hold open; returns at once."""
        ...

    def wait_recorded(self, outbox_id: int) -> None:
        """Return when that row is in the log; Refusal `log_unavailable` (503) when it takes too long."""
        ...
