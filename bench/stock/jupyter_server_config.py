"""The stock single-user server, as it comes; with BENCH_NODELAY also without Nagle's delay, which is all that then differs."""

import os
from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - Jupyter puts it there


class NoDelay(ZMQChannelsWebsocketConnection):
    """The stock connection with TCP_NODELAY."""

    def connect(self) -> Any:
        """Send small packets at once."""
        self.websocket_handler.set_nodelay(True)
        return super().connect()


if os.environ.get("BENCH_NODELAY"):
    c.ServerApp.kernel_websocket_connection_class = NoDelay
else:  # the stock connection as it is; only its bound on output, which would drop most of B3 and B4, is off
    c.ZMQChannelsWebsocketConnection.limit_rate = False
