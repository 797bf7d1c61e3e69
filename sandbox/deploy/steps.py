"""Doing a step only if needed, saying what it does, and explaining a failure."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("DATASANDBOX_CACHE") or CHECKOUT / "var" / "cache").absolute()
LOCKS = CHECKOUT / "images" / "locks"


class SetupError(Exception):
    """A step failed. `code` is stable; `advice` says what to do next."""

    def __init__(self, code: str, message: str, advice: str) -> None:
        super().__init__(message)
        self.code = code
        self.advice = advice


def say(text: str) -> None:
    """Print one line at once, so that progress shows through pipes too."""
    print(text, flush=True)


@cache
def network() -> dict[str, str]:
    """Return what programs that fetch packages need of this machine and were not told: its CA bundle, its package index."""
    env = os.environ
    found = {}
    bundle = env.get("SSL_CERT_FILE") or env.get("PIP_CERT") or "/etc/ssl/certs/ca-certificates.crt"
    if Path(bundle).is_file():
        found["SSL_CERT_FILE"] = bundle
    said = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"], check=False, capture_output=True, text=True)
    if index := env.get("UV_DEFAULT_INDEX") or env.get("PIP_INDEX_URL") or said.stdout.strip():
        found["UV_DEFAULT_INDEX"] = index
    return found


def run(
    argv: list[str],
    *,
    advice: str,
    log: str = "",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program and return what it printed on standard output.

    With `log` everything it prints goes to that file under the cache instead, and the file's end is shown on failure.
    Raises SetupError (`command_failed`) with `advice`. `env` is added to the environment; `timeout` is in seconds.
    """
    full = {**os.environ, **(env or {})}
    path = CACHE / "logs" / f"{log}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if log:
            with path.open("w") as out:
                subprocess.run(argv, cwd=cwd, env=full, check=True, stdout=out, stderr=subprocess.STDOUT, timeout=timeout)
            return ""
        return subprocess.run(argv, cwd=cwd, env=full, check=True, capture_output=True, text=True, timeout=timeout).stdout
    except FileNotFoundError as error:
        raise SetupError("command_missing", f"{argv[0]} is not installed", advice) from error
    except subprocess.TimeoutExpired as error:
        raise SetupError("command_timeout", f"{' '.join(argv[:4])} … did not end within {timeout:.0f} s", advice) from error
    except subprocess.CalledProcessError as error:
        said = path.read_text(errors="replace") if log else (error.stderr or "") + (error.stdout or "")
        end = "\n".join("    " + line for line in said.strip().splitlines()[-15:])
        where = f"\n  all of it: {path}" if log else ""
        raise SetupError("command_failed", f"{' '.join(argv[:4])} … ended with {error.returncode}:\n{end}{where}", advice) from error


def ok(argv: list[str], *, timeout: float = 20, env: Mapping[str, str] | None = None) -> bool:
    """Tell whether a program runs and ends with 0."""
    try:
        return subprocess.run(argv, check=False, capture_output=True, timeout=timeout, env={**os.environ, **(env or {})}).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def files_under(path: Path) -> Iterable[Path]:
    """Yield the files at or under `path` in a fixed order, without caches."""
    if path.is_file():
        yield path
        return
    for item in sorted(path.rglob("*")):
        if item.is_file() and "__pycache__" not in item.parts and "node_modules" not in item.parts:
            yield item


def digest(paths: Iterable[Path], *extra: str) -> str:
    """Return 12 hex characters that change when a file's name, execute bit or content does, or one of `extra`."""
    total = hashlib.sha256()
    for text in extra:
        total.update(text.encode() + b"\0")
    for path in paths:
        for file in files_under(path):
            name = str(file.relative_to(path.parent))
            total.update(f"{name}\0{bool(file.stat().st_mode & 0o100)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()[:12]


def once(name: str, key: str, does: str, work: Callable[[], object], *, made: Path | None = None) -> bool:
    """Do `work` unless the stamp of `name` says it was done with the same `key` (and `made` is still there); tell whether it ran."""
    stamp = CACHE / "stamps" / name
    if stamp.exists() and stamp.read_text() == key and (made is None or made.exists()):
        return False
    say(f"· {does} …")
    began = time.monotonic()
    work()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)
    say(f"  {name} ready in {time.monotonic() - began:.0f} s")
    return True
