"""What the hub says to the portal's internal port and to the warden (interfaces.md, 5 and 6)."""

import asyncio
import os
from typing import Any

import aiohttp

from sandbox.domain.messages import text
from sandbox.settings import Settings

# In the stack these names never change; a test that runs the hub on the host sets its own.
PORTAL = os.environ.get("DATASANDBOX_PORTAL_INTERNAL", "http://portal:8011")
WARDEN = os.environ.get("DATASANDBOX_WARDEN", "http://warden:8030")


class PeerError(Exception):
    """A peer said no, or nothing: `code` of the message table, `status` 503 when it did not answer."""

    def __init__(self, code: str, status: int, message: str = "") -> None:
        super().__init__(code)
        self.code, self.status = code, status
        self.message = message or both(code)


def both(code: str) -> str:
    """Return the text of `code` in both languages: the hub's own pages do not know the person's."""
    chinese, english = text(code, "zh-CN"), text(code, "en")
    return chinese if chinese == english else f"{chinese} {english}"


async def post(url: str, token: str, body: dict[str, Any] | None, *, seconds: float, down: str) -> dict[str, Any]:
    """POST `body` (GET when it is None) and return the JSON object of the answer; PeerError for anything but 200."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session,
            session.request("GET" if body is None else "POST", url, json=body, headers={"Authorization": f"Bearer {token}"}) as answer,
        ):
            try:
                result = await answer.json(content_type=None)
            except ValueError:
                result = {}
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError) as error:
        raise PeerError(down, 503) from error
    if not isinstance(result, dict):
        result = {}
    if status != 200:
        # the portal nests its error, the warden does not
        said = result.get("error", result)
        said = said if isinstance(said, dict) else {}
        raise PeerError(str(said.get("code", down)), status, str(said.get("message", "")))
    return result


async def ask_portal(settings: Settings, act: str, body: dict[str, Any], *, seconds: float = 15) -> dict[str, Any]:
    """POST `/internal/hub/<act>`; PeerError when the portal refuses or does not answer."""
    return await post(f"{PORTAL}/internal/hub/{act}", settings.token("hub", "portal"), body, seconds=seconds, down="login_unavailable")


async def ask_warden(settings: Settings, act: str, body: dict[str, Any], *, seconds: float = 60) -> dict[str, Any]:
    """POST `/v1/<act>`; PeerError when the warden refuses or does not answer."""
    return await post(f"{WARDEN}/v1/{act}", settings.token("hub", "warden"), body, seconds=seconds, down="warden_unavailable")


async def ask_networks(settings: Settings, *, seconds: float = 5) -> list[str]:
    """Return the address ranges of this deployment's networks; PeerError when the warden does not answer."""
    answer = await post(f"{WARDEN}/v1/networks", settings.token("hub", "warden"), None, seconds=seconds, down="warden_unavailable")
    return [str(subnet) for subnet in answer.get("networks", [])]
