# mypy: disable-error-code="override, no-untyped-call, type-arg, arg-type, unused-ignore, no-untyped-def"
# (Jupyter's base classes are half typed and half async; their documented hooks are what is overridden here)
"""Sockets that stay open outlive a log-in: the hub is asked again and again whether it still knows their person (X2, X4).

The portal pushes a log-out at once; this is the second line, for a log-out at the hub itself, a token that was revoked, a lost push.
"""

import asyncio
import contextlib
import logging
from typing import Any

from jupyter_server.services.events.handlers import SubscribeWebsocket
from tornado.web import HTTPError

from sandbox.guard.guard import LOGOUT_CODE, Guard

AGAIN = 15.0  # seconds between two questions about a socket
LISTENERS = 32  # event sockets at once
_log = logging.getLogger(__name__)


class Events(SubscribeWebsocket):
    """JupyterLab's event socket: accepted and held, ended with everything else when the right to work ends."""

    kernel_id = ""
    busy = False
    websocket_handler: Any = property(lambda self: self)

    def open(self) -> None:
        """Listen, if there is room and a lease."""
        guard = Guard.current()
        if not guard.lease.live or len(guard.listeners) >= LISTENERS:
            self.close(1013, "too_many_connections" if guard.lease.live else guard.lease.reason)
            return
        guard.listeners.add(self)
        super().open()

    def on_message(self, message: bytes | str) -> None:  # noqa: ARG002 - the signature is Tornado's
        """Nothing may be said here: what enters the session is recorded, and this has no use."""
        self.close(1008, "not_allowed")

    def on_close(self) -> None:
        """Forget it."""
        Guard.current().listeners.discard(self)
        super().on_close()

    def shut(self, code: int, reason: str) -> None:
        """Close at once."""
        stream = getattr(self.ws_connection, "stream", None)
        self.close(code, reason)
        if stream is not None:
            asyncio.get_running_loop().call_later(0.1, stream.close)

    def show_again(self, message: Any, parts: list[bytes]) -> bool:  # noqa: ARG002 - the guard's interface
        """No output here."""
        return False


async def known(hub_auth: Any, handler: Any) -> bool:
    """Whether the hub still knows who opened this socket; True while the hub cannot say."""
    token = hub_auth.get_token(handler)
    if not token:
        return False
    try:
        user = await hub_auth.user_for_token(token, session_id=hub_auth.get_session_id(handler), sync=False)
    except (HTTPError, OSError) as down:
        _log.warning("the hub does not say who is signed in: %s", down)
        return True
    return bool(user and hub_auth.check_scopes(hub_auth.access_scopes, user))


async def watch(guard: Guard, hub_auth: Any) -> None:
    """Ask about each open socket, for ever."""
    while True:
        await asyncio.sleep(AGAIN)
        for held in [*guard.connections, *guard.listeners]:
            with contextlib.suppress(Exception):
                if not await known(hub_auth, held.websocket_handler):
                    held.shut(LOGOUT_CODE, "logged_out")
                    guard.record_soon("session.signed_out", {"kernel": held.kernel_id})
