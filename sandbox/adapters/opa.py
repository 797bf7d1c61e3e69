"""Ask OPA for decisions, over opa-python-client. Anything but a well-formed yes is a no (interfaces.md, 3).

The client's retries are off: with OPA down they cost 0.6-0.9 s each, and a person who waits for a "no" learns nothing
from the wait. The whole of a decision has one second.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from opa_client.opa import OpaClient
from opa_client.opa_async import AsyncOpaClient
from urllib3 import Timeout

SECONDS = 1.0
UNAVAILABLE = "policy_unavailable"
_PROVENANCE = {"provenance": "true"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """What policy said: `reasons` are message codes, `obligations` what the asker must do, `revision` of which bundle."""

    allow: bool
    reasons: list[str] = field(default_factory=list)
    obligations: dict[str, Any] = field(default_factory=dict)
    decision_id: str | None = None
    revision: str | None = None


def unavailable(package: str, why: object) -> Decision:
    """Return the no of a policy that did not answer; `why` goes to the operator's log only."""
    _log.warning("no decision of %s: %s", package, why)
    return Decision(allow=False, reasons=[UNAVAILABLE])


def read(package: str, answer: Any) -> Decision:
    """Return the decision in OPA's answer; undefined (`{}`) or malformed is a no."""
    result = answer.get("result") if isinstance(answer, dict) else None
    match result:
        case {"allow": bool(allow), "reasons": list(reasons), "obligations": dict(obligations)} if all(
            isinstance(code, str) for code in reasons
        ) and allow == (not reasons):
            bundles = answer.get("provenance", {}).get("bundles") or {}
            revisions = sorted(bundle.get("revision", "") for bundle in bundles.values())
            return Decision(allow, reasons, obligations, answer.get("decision_id"), ",".join(revisions) or None)
        case _:
            return unavailable(package, "undefined or malformed")


def _settings(url: str, token: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {"host": parts.hostname or "", "port": parts.port or 8181, "ssl": parts.scheme == "https", "token": token, "retries": 0}


class Policy:
    """Decisions for threads (the portal). Safe to share between them."""

    def __init__(self, url: str, token: str) -> None:
        """Make a client of the OPA at `url`; nothing is sent yet."""
        self._client = OpaClient(**_settings(url, token), timeout=Timeout(total=SECONDS))
        # Neither a proxy nor a .netrc of the environment may see or replace the token.
        self._client._session.trust_env = False  # noqa: SLF001 - the client has no setting for it

    def decide(self, package: str, facts: Mapping[str, Any]) -> Decision:
        """Return the decision of `package` (`sandbox.portal`, …) on `facts`, within about a second; never raises."""
        try:
            return read(package, self._client.query_rule(dict(facts), package, "decision", _PROVENANCE))
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the answer is no
            return unavailable(package, error)

    def healthy(self) -> bool:
        """Return whether OPA answers."""
        return bool(self._client.check_health())

    def close(self) -> None:
        """Close the connections."""
        self._client.close_connection()


class AsyncPolicy:
    """Decisions for an event loop (the guard); `async with`, or `close()` at the end."""

    def __init__(self, url: str, token: str) -> None:
        """Make a client of the OPA at `url`; connections are opened at the first decision."""
        self._client = AsyncOpaClient(**_settings(url, token), timeout=SECONDS)
        self._opening = asyncio.Lock()
        self._open = False

    async def decide(self, package: str, facts: Mapping[str, Any]) -> Decision:
        """Return the decision of `package` (`sandbox.cell`, …) on `facts`, within a second; never raises."""
        try:
            async with asyncio.timeout(SECONDS):
                await self._start()
                try:
                    answer = await self._client.query_rule(dict(facts), package, "decision", _PROVENANCE)
                except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                    # a kept connection of an OPA that was restarted meanwhile; asking twice is harmless
                    answer = await self._client.query_rule(dict(facts), package, "decision", _PROVENANCE)
            return read(package, answer)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the answer is no
            return unavailable(package, repr(error))

    async def healthy(self) -> bool:
        """Return whether OPA answers."""
        await self._start()
        return bool(await self._client.check_health())

    async def _start(self) -> None:
        async with self._opening:
            if not self._open:
                await self._client.__aenter__()
                self._open = True

    async def close(self) -> None:
        """Close the connections."""
        self._open = False
        await self._client.close_connection()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


class FakePolicy:
    """For unit tests: answers by package, a plain yes where none is set, and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, Decision | Callable[[Mapping[str, Any]], Decision]] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def decide(self, package: str, facts: Mapping[str, Any]) -> Decision:
        """Return the answer set for `package`."""
        self.asked.append((package, dict(facts)))
        answer = self.answers.get(package, Decision(allow=True))
        return answer(facts) if callable(answer) else answer


class AsyncFakePolicy(FakePolicy):
    """The same for an event loop."""

    async def decide(self, package: str, facts: Mapping[str, Any]) -> Decision:  # type: ignore[override]
        """Return the answer set for `package`."""
        return super().decide(package, facts)
