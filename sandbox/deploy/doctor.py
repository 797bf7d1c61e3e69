"""What this machine lacks, what an earlier deployment left behind, and what this version does not do yet."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from sandbox.deploy import compose, gvisor, host, mounts, state
from sandbox.deploy.steps import CACHE, SetupError, ok, say
from sandbox.warden import loop

NOT_YET = (
    "no query worker: what an agreement opens as *queried* cannot be queried yet (`queried_not_available`)",
    "no gate: openings of mounted files are not recorded by the kernel yet",
    "no page enrols one-time codes: outside the demonstration mode nobody but an operator with the database can hand them out",
)
SPACE = 6 * 2**30


def examine(home: Path) -> bool:
    """Print one line a finding; tell whether nothing is missing."""
    well = True
    for fine, text, advice in _findings(home):
        say(f"{'ok     ' if fine else 'MISSING'} {text}" + ("" if fine else f" - {advice}"))
        well = well and fine
    for text in _left_behind(home):
        say(f"left    {text}")
    for text in NOT_YET:
        say(f"not yet {text}")
    return well


def _findings(home: Path) -> list[tuple[bool, str, str]]:
    import os  # noqa: PLC0415 - only here

    room = shutil.disk_usage(CACHE if CACHE.exists() else "/").free
    found = [
        (os.geteuid() == 0, "running as root", "become root: engine, mounts and users need it"),
        (sys.version_info >= (3, 11), f"Python {sys.version.split()[0]}", "install python3.11"),
        (room > SPACE, f"{room / 2**30:.0f} GiB free", "make room: images and builds need 6 GiB"),
        *((host.find(name) is not None, name, f"`make setup` installs {package}") for name, package in host.ENGINE.items()),
        (host.engine_answers(), "the Docker Engine answers", "`make setup` starts it"),
        _loop_devices(),
    ]
    if host.engine_answers():
        found.append((ok([host.docker(), "image", "inspect", "datasandbox/rootfs:bookworm"]), "base image", "`make setup` makes it"))
    try:
        deployment = state.load(home)
        found.append(_runtime(home))
        if deployment is not None:
            found.append((True, f"deployment {deployment.project} in {home}, {deployment.url}", ""))
            compose.free(deployment)
    except SetupError as error:
        found.append((False, str(error), error.advice))
    return found


def _loop_devices() -> tuple[bool, str, str]:
    why = loop.missing()
    advice = "`modprobe loop`; in a container give it /dev, devices `b 7:* rmw` and `c 10:237 rmw`. Without, workspaces have no hard limit"
    return (not why, f"loop devices for workspaces{f' ({why})' if why else ''}", advice)


def _runtime(home: Path) -> tuple[bool, str, str]:
    """Say which runtime kernel containers use, and whether gVisor could be it."""
    chosen, there = compose.runtime(home), gvisor.ready()
    other = "" if chosen == gvisor.NAME else " (gVisor is registered too)" if there else " (gVisor: DATASANDBOX_RUNTIME=runsc)"
    return chosen != gvisor.NAME or there, f"kernel containers run under {chosen}{other}", "`sandbox up` builds and registers it"


def _left_behind(home: Path) -> list[str]:
    """Name what belongs to no deployment that this home knows: containers, networks, socket directories, mounts, older images."""
    known = {
        deployment.id for path in (home, *(file.parent for file in home.glob("*/deployment.json"))) if (deployment := state.load(path))
    }
    left = []
    if host.engine_answers():
        for kind, argv in (("container", ["ps", "-a"]), ("network", ["network", "ls"])):
            said = subprocess.run(
                [host.docker(), *argv, "--filter", "label=datasandbox.deployment", "--format", "{{json .}}"],
                check=False,
                capture_output=True,
                text=True,
            ).stdout
            for line in said.splitlines():
                item = json.loads(line)
                labels = dict(pair.partition("=")[::2] for pair in item.get("Labels", "").split(","))
                owner = labels.get("datasandbox.deployment", "")
                if owner not in known:
                    alive = " (running: perhaps of another home on this machine)" if item.get("State") == "running" else ""
                    left.append(f"{kind} {item.get('Names') or item.get('Name')} of deployment {owner}{alive}")
    if state.RUN_ROOT.is_dir():
        left += [
            f"sockets {place} (umount what is below, then remove)" for place in sorted(state.RUN_ROOT.iterdir()) if place.name not in known
        ]
        left += [f"mount {place}" for place in mounts.mounted_under(state.RUN_ROOT) if not known & set(place.parts)]
    return left
