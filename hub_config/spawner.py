"""The spawner: the portal decides, the warden makes the kernel's side, then the session's.

Stock DockerSpawner speaks to the warden's Docker door (`DOCKER_HOST`), which builds the container from the signed spec whatever is asked
here. The session is created only when the warden's launch has returned. If either fails, both go.
"""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import aiohttp
from docker.errors import APIError
from dockerspawner import DockerSpawner
from tornado.web import HTTPError

from hub_config.peers import PeerError, ask_portal, ask_warden
from sandbox.settings import Settings

READY_SECONDS = 60  # until the session answers
POLL_SECONDS = 0.1  # the hub's own backoff finds out seconds later


class SandboxSpawner(DockerSpawner):
    """One named server is one sandbox. Nothing a person sends chooses anything here."""

    _executor = ThreadPoolExecutor(4)
    _refused = False  # by the portal, at the last start: then nothing was made and there is nothing to tell
    _making: "asyncio.Future[tuple[str, int]] | None" = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = Settings.from_env()

    async def start(self) -> tuple[str, int]:
        """Start the pair and return the session's address; HTTPError with the reason, and nothing left, otherwise."""
        self.user_options: dict[str, Any] = {}
        self._refused = not self.name
        if self._refused:
            raise HTTPError(403, PeerError("server_not_requested", 403).message)
        self._making = asyncio.ensure_future(self._make())
        try:
            address = await asyncio.shield(self._making)
            await self._answers(*address)
            return address
        except PeerError as error:
            await self._clean()
            raise HTTPError(503 if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else 403, error.message) from error
        except BaseException:  # cancelled when it takes too long: what was made must go as well
            await self._clean()
            raise

    async def _make(self) -> tuple[str, int]:
        """Have both halves made. Never cancelled half-way: a peer would go on with what nobody knows of, so `_clean` waits for it."""
        try:
            envelope = await ask_portal(self._settings, "launch", {"login": self.user.name, "server": self.name})
        except PeerError as error:
            self._refused = error.status < HTTPStatus.INTERNAL_SERVER_ERROR
            raise
        await ask_warden(self._settings, "launch", envelope)
        self._describe(envelope["spec"])
        address: tuple[str, int] = await super().start()
        return address

    def _describe(self, spec: dict[str, Any]) -> None:
        """Set what DockerSpawner must know of the container that the warden makes from the same spec."""
        if spec["sandbox"] != self.name or spec["login"] != self.user.name:
            raise PeerError("spec_invalid", 403)
        self.image = spec["session"]["image"]
        self.object_name = f"ds-{self._settings.id}-session-{self.name}"
        self.network_name = f"ds-{self._settings.id}-sessions"

    async def _answers(self, ip: str, port: int) -> None:
        """Return when the session answers `/api`; RuntimeError with its last words when it ends or takes too long."""
        url = f"http://{ip}:{port}{self.server.base_url}api"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as client:
                for attempt in range(READY_SECONDS * 10):
                    with contextlib.suppress(aiohttp.ClientError):
                        async with client.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
                            if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                                return
                    if attempt % 10 == 9 and await self.poll() is not None:
                        break
                    await asyncio.sleep(POLL_SECONDS)
        with contextlib.suppress(APIError):
            words = await self.docker("logs", self.object_name, tail=40)
            self.log.error("Session %s did not answer. Its last words:\n%s", self.name, words.decode(errors="replace"))
        raise HTTPError(503, PeerError("session_failed", 503).message)

    async def stop(self, now: bool = False) -> None:  # noqa: ARG002 - the signature is JupyterHub's; there is no gentle way
        """End both halves. Idempotent."""
        await self._clean()
        self.clear_state()

    async def run_post_stop_hook(self) -> None:
        """Clean up and tell the portal, however the server ended: the hub calls `stop` only for one that still ran."""
        await self._clean()
        if self._refused or not self.name:
            return  # the portal said so itself
        try:
            await ask_portal(self._settings, "stopped", {"login": self.user.name, "server": self.name})
        except PeerError as error:
            self.log.warning("The portal was not told that %s stopped (%s); it finds out by itself", self.name, error.code)

    async def _clean(self) -> None:
        """Remove the session container, then the kernel's side. What is not there is gone; what fails is tried again at the next start."""
        if self._making:
            await asyncio.wait({self._making})
        if self._refused or not self.name:
            return
        name = f"ds-{self._settings.id}-session-{self.name}"
        try:
            await self.docker("remove_container", name, v=True, force=True)
        except APIError as error:
            if error.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                self.log.exception("Cannot remove %s", name)
        self.object_id = ""
        try:
            await ask_warden(self._settings, "stop", {"sandbox": self.name})
        except PeerError as error:
            self.log.warning("The warden did not stop %s (%s)", self.name, error.code)
