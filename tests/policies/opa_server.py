"""The real OPA server on the real bundle, on a free loopback port."""

import hashlib
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import requests

from sandbox.deploy.steps import CACHE

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "policies"
OPA = Path(os.environ.get("DATASANDBOX_OPA") or CACHE / "tools" / "opa")
PORTAL, SESSION = "portal-token-of-the-test", "session-token-of-the-test"


class Server(NamedTuple):
    url: str
    process: subprocess.Popen[bytes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(binary: Path, port: int) -> Server:
    """Start OPA as the stack does and wait until it answers."""
    environment = {
        "DATASANDBOX_OPA_ACCEPTS_PORTAL": hashlib.sha256(PORTAL.encode()).hexdigest(),
        "DATASANDBOX_OPA_ACCEPTS_SESSION": hashlib.sha256(SESSION.encode()).hexdigest(),
    }
    process = subprocess.Popen(
        [
            *(binary, "run", "--server", "--addr", f"127.0.0.1:{port}", "--bundle", BUNDLE, "--ignore", "*_test.rego"),
            *("--authentication=token", "--authorization=basic", "--log-level=error", "--disable-telemetry"),
        ],
        env=environment,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(100):
        try:
            requests.get(f"{url}/health", timeout=1)
        except requests.ConnectionError:
            assert process.poll() is None, "OPA ended at once"
            time.sleep(0.05)
        else:
            return Server(url, process)
    process.kill()
    raise AssertionError("OPA did not become healthy")
