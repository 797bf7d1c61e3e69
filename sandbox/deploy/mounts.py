"""Directories bound on themselves and shared, so that what the warden mounts is seen in containers and the reverse."""

import re
import subprocess
from pathlib import Path

from sandbox.deploy.steps import run

MOUNT_ADVICE = "mounting needs root and CAP_SYS_ADMIN; in a container, start it with both"


def mounted_under(path: Path) -> list[Path]:
    """Return what is mounted at or below `path`, deepest first, a place as often as something is mounted on it."""
    found = [_unescape(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((place for place in found if place == path or path in place.parents), key=lambda place: -len(place.parts))


def share(path: Path) -> bool:
    """Bind `path` on itself and make it the head of a peer group of its own (the root of the file system is left alone).

    Return whether this was new: containers that were started before see nothing that is mounted there from now on.
    """
    path.mkdir(parents=True, exist_ok=True)
    if path in mounted_under(path):
        return False
    run(["mount", "--bind", str(path), str(path)], advice=MOUNT_ADVICE)
    run(["mount", "--make-private", str(path)], advice=MOUNT_ADVICE)  # else a home inside another would share that one's mounts
    run(["mount", "--make-shared", str(path)], advice=MOUNT_ADVICE)
    return True


def release(path: Path) -> list[Path]:
    """Unmount everything at or below `path`, deepest first, but nothing of another deployment inside; return what stayed mounted."""
    others = {file.parent for file in path.glob("*/deployment.json")}
    for place in mounted_under(path):
        if not any(place == other or other in place.parents for other in others):
            subprocess.run(["umount", str(place)], check=False, capture_output=True)
    return mounted_under(path)


def _unescape(text: str) -> Path:
    return Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal.group(1), 8)), text))
