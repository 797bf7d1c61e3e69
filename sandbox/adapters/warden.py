"""The warden, for the portal (cut, stop, data, state) and the hub's spawner (launch)."""

from dataclasses import dataclass, field
from typing import Any

import aiohttp

from sandbox.domain.errors import Refusal

LAUNCH_SECONDS = 45.0
CUT_SECONDS = 30.0


class Warden:
    """Client of one warden. Makes its HTTP session at the first call, in the running loop; `close` it at the end."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def launch(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """Start a kernel container; return `{"sandbox","kernel_container","sock","door"}` (host paths).

        Raises Refusal: `spec_invalid`, `spec_expired`, `spec_used`, `sandbox_cut` (403), `sandbox_running` (409),
        `log_unavailable`, `kernel_start_failed`, `warden_unavailable` (503).
        """
        return await self._call("POST", "/v1/launch", envelope, LAUNCH_SECONDS)

    async def data(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """Run a data container to its end; return `{"exit","seconds","timed_out"}`. Raises Refusal as `launch`, or `data_start_failed`.

        Waits as long as the spec allows and a while for a free place.
        """
        allowed = envelope.get("spec", {}).get("seconds", 0)
        return await self._call("POST", "/v1/data", envelope, 10 * allowed + LAUNCH_SECONDS)

    async def cut(self, sandbox: str, reason: str) -> dict[str, Any]:
        """Freeze and kill a sandbox, kernel and session; return `{"frozen_ms","killed_ms","was_running"}`. Idempotent: repeat it on a Refusal."""
        return await self._call("POST", "/v1/cut", {"sandbox": sandbox, "reason": reason}, CUT_SECONDS)

    async def stop(self, sandbox: str) -> None:
        """End the kernel container of a sandbox; well when there is none. Raises Refusal `warden_unavailable`."""
        await self._call("POST", "/v1/stop", {"sandbox": sandbox}, CUT_SECONDS)

    async def state(self) -> list[dict[str, str]]:
        """Return `{"sandbox","boot","state":"starting｜running｜ending"}` of each. Raises Refusal `warden_unavailable`."""
        answer = await self._call("GET", "/v1/state", None, 10.0)
        return list(answer["sandboxes"])

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(self, method: str, path: str, body: Any, seconds: float) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._token}"})
        timeout = aiohttp.ClientTimeout(total=seconds, connect=5.0)
        try:
            async with self._session.request(method, self._url + path, json=body, timeout=timeout) as response:
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Refusal("warden_unavailable", status=503) from error
        if response.status == 200:
            return dict(answer)
        fault = answer.get("error", {}) if isinstance(answer, dict) else {}
        params = {name: value for name, value in (fault.get("params") or {}).items() if name not in {"code", "field", "status"}}
        raise Refusal(str(fault.get("code", "warden_unavailable")), field=fault.get("field"), status=response.status, **params)


@dataclass
class FakeWarden:
    """For unit tests: does what it is told and remembers it. Set `refusal` to make every call raise it."""

    refusal: Refusal | None = None
    running: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)

    async def launch(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """Note the sandbox as running."""
        self._note("launch", envelope)
        spec = envelope["spec"]
        if spec["sandbox"] in self.running:
            raise Refusal("sandbox_running", field="sandbox", status=409)
        self.running[spec["sandbox"]] = spec["boot"]
        folder = f"/run/datasandbox/{spec['deployment']}/sb/{spec['sandbox']}"
        return {"sandbox": spec["sandbox"], "kernel_container": "0" * 64, "sock": f"{folder}/sock", "door": f"{folder}/door"}

    async def data(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """Answer as for a container that ended well; the test writes `result.json` itself."""
        self._note("data", envelope)
        return {"exit": 0, "seconds": 0.0, "timed_out": False}

    async def cut(self, sandbox: str, reason: str) -> dict[str, Any]:
        """Forget the sandbox."""
        self._note("cut", (sandbox, reason))
        was_running = self.running.pop(sandbox, None) is not None
        return {"frozen_ms": 0.0, "killed_ms": 0.0, "was_running": was_running}

    async def stop(self, sandbox: str) -> None:
        """Forget the sandbox."""
        self._note("stop", sandbox)
        self.running.pop(sandbox, None)

    async def state(self) -> list[dict[str, str]]:
        """Return what runs."""
        return [{"sandbox": sandbox, "boot": boot, "state": "running"} for sandbox, boot in self.running.items()]

    async def close(self) -> None:
        """Nothing is open."""

    def _note(self, call: str, argument: Any) -> None:
        self.calls.append((call, argument))
        if self.refusal is not None:
            raise self.refusal
