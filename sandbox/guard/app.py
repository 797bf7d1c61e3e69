# mypy: disable-error-code="override, no-untyped-call, type-arg, arg-type, unused-ignore, no-untyped-def"
# (Jupyter's base classes are half typed and half async; their documented hooks are what is overridden here)
"""The Jupyter Server extension: makes the guard, prunes the server, opens the door. Loading it fails, the server does not start."""

import asyncio
import base64
import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from jupyterlab_server.config import LabConfig

from sandbox.domain.errors import Refusal
from sandbox.guard.authorizer import close_without_lease, prune
from sandbox.guard.courtesy import add_courtesy
from sandbox.guard.door import Door
from sandbox.guard.guard import Guard
from sandbox.guard.intake import Intake
from sandbox.guard.settings import Settings
from sandbox.guard.signedin import Events, watch

WELCOME = "欢迎.ipynb"


def content_security_policy(page: str) -> str:
    """Policy for the lab's pages: our own scripts only, and the inline ones of this very page by digest.

    JupyterLab needs `unsafe-eval` to start; with it, scripts in outputs are stopped by this policy together with
    the javascript-extension being off (docs/adr/0005-guard.md).
    """
    inline = re.findall(r"<script(?![^>]*\b(?:src|type)=)[^>]*>(.*?)</script>", page, re.DOTALL)
    digests = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in inline)
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' {digests} 'unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "frame-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ],
    )


def lab_page() -> str:
    """The template of JupyterLab's page; its inline script holds nothing that is filled in."""
    for folder in _lab_folders():
        page = folder / "index.html"
        if page.exists():
            return page.read_text()
    raise FileNotFoundError("JupyterLab's index.html")


def _lab_folders() -> list[Path]:
    from jupyterlab.commands import get_app_dir  # noqa: PLC0415 - a second of imports that only the session pays

    return [Path(get_app_dir()) / "static", Path(LabConfig().templates_dir or ".")]


async def welcome(guard: Guard) -> None:
    """Put the first notebook into an empty workspace, recorded like any other file that enters."""
    name = "welcome.en.ipynb" if guard.lang.lower().startswith("en") else "welcome.zh.ipynb"
    data = (files("sandbox.guard") / "pages" / name).read_bytes()
    json.loads(data)
    target = "Welcome.ipynb" if guard.lang.lower().startswith("en") else WELCOME
    about = {"path": target, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "by": "guard"}
    await guard.supervisor.write(target, data, ("file.saved", about, [("file", "application/x-ipynb+json", data)]))


async def _begin(guard: Guard, log: Any, empty: bool) -> None:
    """Welcome whoever comes to an empty workspace, once there is a lease."""
    await guard.ready.wait()
    if not empty:
        return
    try:
        await welcome(guard)
    except (Refusal, OSError, TimeoutError) as late:
        log.warning("no welcome notebook: %r", late)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Name the module for Jupyter Server."""
    return [{"module": "sandbox.guard.app"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    """Make the guard; raises if the launch spec's environment is not there."""
    guard = Guard(Settings.load())
    Guard.install(guard)
    _end_with(serverapp, guard)
    guard.forget = serverapp.identity_provider.hub_auth.cache.clear
    close_without_lease(serverapp.web_app, serverapp.base_url)  # also until the start below: the server listens before it
    headers = serverapp.web_app.settings.setdefault("headers", {})
    headers["Content-Security-Policy"] = content_security_policy(lab_page())
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"


def _end_with(serverapp: Any, guard: Guard) -> None:
    """Give the display budget in hand back at an orderly end; Jupyter Server asks only extensions of its own class to stop."""
    cleanup = serverapp.cleanup_extensions

    async def end() -> None:
        await guard.meter.close()
        await cleanup()

    serverapp.cleanup_extensions = end


async def _start_jupyter_server_extension(serverapp: Any) -> None:
    """Prune when every extension has added its handlers, then open the door and ask for a lease."""
    guard = Guard.current()
    removed = prune(serverapp.web_app)
    add_courtesy(serverapp.web_app, serverapp.base_url)
    events = rf"{serverapp.base_url.rstrip('/')}/api/events/subscribe"
    serverapp.web_app.add_handlers(".*$", [(events, Events)])
    Intake.install(serverapp.http_server)
    serverapp.log.info("guard: %d handlers removed", len(removed))
    again = guard.memory.load()
    begun = await _hello(guard, serverapp.log)
    if again:
        await take_up(guard, serverapp, begun.get("alive"))
    guard.door = await Door(guard).listen()
    guard.start()
    guard.spawn(watch(guard, serverapp.identity_provider.hub_auth))
    guard.spawn(_begin(guard, serverapp.log, empty=begun.get("empty") is True))


async def take_up(guard: Guard, serverapp: Any, alive: Any) -> None:
    """Go on with the kernels and notebooks of this session's killed process, as its journal has them.

    The supervisor's word only takes kernels away: `alive` names those it still has.
    """
    there = set(alive) if isinstance(alive, list) and all(isinstance(one, str) for one in alive) else set()
    kept = sorted(set(guard.memory.kernels) & there)
    for number in kept:
        guard.take_up.add(number)
        # the class's own start: ours would record a start and ask for the lease, and nothing is started here
        known = guard.memory.kernels[number]
        start = serverapp.kernel_manager._async_start_kernel  # noqa: SLF001
        await start(kernel_id=number, path=known["cwd"], kernel_name=known["language"])
    for number, row in list(guard.memory.notebooks.items()):
        if row["kernel_id"] in kept:
            await serverapp.session_manager.take_up(number, row)
        else:
            guard.memory.note(notebook_gone=number)
    guard.resumed(kept)
    for number in set(guard.memory.kernels) - set(kept):
        guard.memory.note(kernel_gone=number)


async def _hello(guard: Guard, log: Any) -> dict[str, Any]:
    """Greet the supervisor, which ends every kernel but those this session still knows; before the lease."""
    for _ in range(20):
        try:
            return await guard.supervisor.call("hello", keep=sorted(guard.memory.kernels))
        except (OSError, TimeoutError, Refusal) as late:
            log.warning("the kernel container does not answer yet: %s", late)
            await asyncio.sleep(0.25)
    return {}
