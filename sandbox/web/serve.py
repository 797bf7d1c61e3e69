"""Start the portal: pages and API on 8010, the internal port on 8011, the tasks behind them, in one process."""

import asyncio

import uvicorn
from fastapi import FastAPI

from sandbox.web.app import create_app
from sandbox.web.internal import create_internal
from sandbox.web.process import Process, from_environment

PUBLIC_PORT = 8010
INTERNAL_PORT = 8011


async def serve(process: Process) -> None:
    """Serve until a signal or until a task fails."""
    servers = [_server(create_app(process), PUBLIC_PORT), _server(create_internal(process), INTERNAL_PORT)]
    tasks = [asyncio.create_task(process.run()), *(asyncio.create_task(server.serve()) for server in servers)]
    done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.should_exit = True
    tasks[0].cancel()
    await asyncio.wait(left, timeout=10)
    for task in done:
        task.result()


def _server(app: FastAPI, port: int) -> uvicorn.Server:
    # Only our proxy and our networks reach these ports; its headers are the only ones believed.
    config = uvicorn.Config(app, host="0.0.0.0", port=port, log_level="warning", proxy_headers=False, server_header=False)  # noqa: S104 - a container's own
    return uvicorn.Server(config)


def main() -> None:
    """Run the portal of this container's environment."""
    asyncio.run(serve(from_environment()))
