"""gVisor as a runtime of this machine's Docker Engine (ADR 0011): its binary in a place of the machine's, its entry in daemon.json."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from sandbox.deploy import host, tools
from sandbox.deploy.steps import SetupError, say

NAME = "runsc"
# The engine outlives a checkout, so what it starts lies where a machine keeps what no package brought.
BINARY = Path("/usr/local/lib/datasandbox/runsc")
DAEMON = Path("/etc/docker/daemon.json")
PID = Path("/var/run/docker.pid")
# host-uds: the supervisor makes its socket in /sock for the session, and user code connects to the guard's in /door
ARGUMENTS = ["--host-uds=all"]
PATIENCE = 20.0


def ready() -> bool:
    """Tell whether the engine has gVisor registered, with our arguments, and its binary is there."""
    seen = runtimes().get(NAME)
    return seen is not None and Path(str(seen.get("path", ""))).exists() and seen.get("runtimeArgs") == ARGUMENTS


def runtimes() -> dict[str, Any]:
    """Return the runtimes the engine knows: name -> `{"path", "runtimeArgs"?}`; empty when it does not answer."""
    argv = [host.docker(), "info", "--format", "{{json .Runtimes}}"]
    said = subprocess.run(argv, check=False, capture_output=True, text=True).stdout
    with contextlib.suppress(ValueError):
        found: dict[str, Any] = json.loads(said) or {}
        return found
    return {}


def setup() -> None:
    """Build gVisor if its pinned module changed, put it in its place and register it; containers that run are left alone.

    Raises SetupError (`daemon_json_invalid`, `runtime_not_registered`) and those of the build.
    """
    built = tools.runsc()
    if not BINARY.exists() or BINARY.stat().st_size != built.stat().st_size or BINARY.read_bytes() != built.read_bytes():
        BINARY.parent.mkdir(parents=True, exist_ok=True)
        fresh = BINARY.with_suffix(".new")
        shutil.copyfile(built, fresh)
        fresh.chmod(0o755)
        fresh.replace(BINARY)  # containers that run keep their old file
    if ready():
        return
    if write(DAEMON, BINARY):
        say(f"· registering gVisor with the Docker Engine ({DAEMON}) …")
    _reload()


def write(file: Path, binary: Path) -> bool:
    """Set our entry in a daemon.json and keep everything else of it; tell whether it changed. Raises SetupError."""
    advice = "correct it; the engine needs it too"
    try:
        kept = json.loads((file.read_text() if file.exists() else "").strip() or "{}")
    except ValueError as error:
        raise SetupError("daemon_json_invalid", f"{file} is not JSON: {error}", advice) from error
    if not isinstance(kept, dict) or not isinstance(kept.get("runtimes", {}), dict):
        raise SetupError("daemon_json_invalid", f"{file} is not an object with `runtimes`", advice)
    entry = {"path": str(binary), "runtimeArgs": ARGUMENTS}
    if kept.get("runtimes", {}).get(NAME) == entry:
        return False
    kept["runtimes"] = {**kept.get("runtimes", {}), NAME: entry}
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(kept, indent=2) + "\n")
    fresh.replace(file)
    return True


def _reload() -> None:
    """Have the engine read its runtimes anew (SIGHUP: nothing restarts), and wait until it says so."""
    advice = f"reload the engine (`systemctl reload docker`) and see that `docker info` names {NAME}; `sandbox doctor` looks again"
    try:
        os.kill(int(PID.read_text()), signal.SIGHUP)
    except (OSError, ValueError) as error:
        raise SetupError("runtime_not_registered", f"cannot tell the engine by {PID}: {error}", advice) from error
    end = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > end:
            raise SetupError("runtime_not_registered", f"the engine does not name {NAME} {PATIENCE:.0f} s after its reload", advice)
        time.sleep(0.2)
