"""What the machine itself must have: Debian packages and a Docker Engine that answers."""

import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

from sandbox.deploy.steps import CACHE, SetupError, ok, run, say

SEARCH = "/usr/local/sbin:/usr/sbin:/sbin"
ENGINE = {"dockerd": "docker.io", "iptables": "iptables"}
# the browser's driver is a Node that wants libatomic, which a small Debian lacks
LIBATOMIC = f"/usr/lib/{platform.machine()}-linux-gnu/libatomic.so.1"
FOR_TESTS = {"/usr/lib/postgresql": "postgresql", "chromium": "chromium", LIBATOMIC: "libatomic1"}
PID = CACHE / "dockerd.pid"


def find(command: str) -> str | None:
    """Return where a command is, also in the administrator's directories, which are not on everyone's PATH."""
    if command.startswith("/"):
        return command if Path(command).exists() else None
    return shutil.which(command, path=f"{os.environ.get('PATH', '')}:{SEARCH}")


def docker() -> str:
    """Return the Docker client: Debian's own beside the engine, rather than another one that happens to be on PATH."""
    return "/usr/bin/docker" if Path("/usr/bin/docker").exists() else find("docker") or "docker"


def packages(wanted: dict[str, str]) -> None:
    """Install the Debian packages of those commands (or paths) that are missing."""
    missing = sorted({package for command, package in wanted.items() if find(command) is None})
    if not missing:
        return
    if os.geteuid() != 0:
        raise SetupError("not_root", f"missing on this machine: {', '.join(missing)}", f"as root: apt-get install {' '.join(missing)}")
    say(f"· installing from Debian: {', '.join(missing)} …")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    advice = "see that the machine reaches a Debian mirror (/etc/apt), then run this again"
    run(["apt-get", "update"], advice=advice, log="apt-update", env=env)
    run(["apt-get", "install", "-y", "--no-install-recommends", *missing], advice=advice, log="apt-install", env=env)


def engine_answers() -> bool:
    """Tell whether the Docker Engine answers."""
    return ok([docker(), "version", "--format", "{{.Server.Version}}"], timeout=15)


def engine() -> bool:
    """Install and start the Docker Engine if it does not answer; tell whether this call started it.

    Without an init system the daemon runs as our child, and its pid is remembered so that only what we started is ended.
    """
    if engine_answers():
        return False
    packages({**ENGINE, **({} if _has_cgroups() else {"cgroupfs-mount": "cgroupfs-mount"})})
    if engine_answers():
        return False
    say("· starting the Docker Engine …")
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "start", "docker"], advice="see `journalctl -u docker`")
    else:
        if not _has_cgroups():
            run([find("cgroupfs-mount") or "cgroupfs-mount"], advice="mount the cgroup file systems, then run this again")
        _start_daemon()
    end = time.monotonic() + 60
    while not engine_answers():
        if time.monotonic() > end:
            raise SetupError(
                "engine_silent", "the Docker Engine does not answer after 60 s", f"read the end of {CACHE / 'logs' / 'dockerd.log'}"
            )
        time.sleep(0.3)
    return True


def stop_engine() -> bool:
    """End the Docker Engine if it is the one we started without an init system; tell whether it was."""
    try:
        pid, began = PID.read_text().split()
    except (OSError, ValueError):
        return False
    if _began(int(pid)) != began:
        PID.unlink(missing_ok=True)
        return False
    os.kill(int(pid), 15)
    end = time.monotonic() + 60
    while _began(int(pid)) == began and time.monotonic() < end:
        time.sleep(0.1)
    PID.unlink(missing_ok=True)
    return True


def _has_cgroups() -> bool:
    return any(" /sys/fs/cgroup" in line and " - cgroup" in line for line in Path("/proc/self/mountinfo").read_text().splitlines())


def _start_daemon() -> None:
    log = CACHE / "logs" / "dockerd.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SEARCH}"}
    with log.open("w") as out:
        daemon = subprocess.Popen(
            [find("dockerd") or "dockerd"], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env, start_new_session=True
        )
    PID.write_text(f"{daemon.pid} {_began(daemon.pid)}")


def _began(pid: int) -> str:
    """Return the start time of a process in clock ticks ('' if it is gone or a zombie): pids are used again."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
