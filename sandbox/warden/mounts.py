"""Directories and mounts of a sandbox: made with owner and mode, checked, taken away again.

mount(2) directly: the `mount` command of the image's distribution does not know `nosymfollow`, and no shell stands between.
"""

import ctypes
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from sandbox.domain.uids import UIDS

_LIBC = ctypes.CDLL(None, use_errno=True)
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOSYMFOLLOW = 2, 4, 8, 256
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
# 64 inodes and 1 MiB: a dozen kernels' sockets, and nothing that could fill the host (D10). The session may enter, not list or make.
_SOCK_OPTIONS = f"uid={UIDS['kernel']},gid={UIDS['kernel']},mode=2710,size=1m,nr_inodes=64"


@dataclass(frozen=True, slots=True)
class Places:
    """The host paths of one sandbox."""

    root: Path
    sock: Path
    door: Path
    workspace: Path

    @classmethod
    def of(cls, home: Path, run: Path, sandbox: str) -> "Places":
        """Return the paths of `sandbox` (interfaces.md, 1)."""
        root = run / "sb" / sandbox
        return cls(root, root / "sock", root / "door", home / "workspaces" / sandbox)

    @property
    def supervisor(self) -> Path:
        """The socket that tells that the kernel container is up."""
        return self.sock / "supervisor.sock"


def prepare(places: Places) -> None:
    """Make `/sock` (tmpfs) and `/door` of a sandbox. Raises OSError; call `clear` then."""
    places.root.parent.mkdir(mode=0o711, exist_ok=True)
    clear(places)
    places.root.mkdir(mode=0o711)
    _directory(places.door, UIDS["session"], UIDS["kernel"], 0o2750)
    places.sock.mkdir(mode=0o700)
    mount_tmpfs(places.sock)


def clear(places: Places) -> None:
    """Unmount and remove what `prepare` made; well when nothing is there. Raises OSError."""
    unmount(places.sock)
    if places.root.exists():
        shutil.rmtree(places.root)


def mount_tmpfs(path: Path) -> None:
    """Mount the small tmpfs for sockets on `path` and prove that it is there. Raises OSError."""
    mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW, _SOCK_OPTIONS)


def mount(source: str, path: Path, kind: str, flags: int, options: str) -> None:
    """Mount a file system of `kind` on `path` and prove that it is there. Raises OSError."""
    if _LIBC.mount(os.fsencode(source), os.fsencode(path), kind.encode(), flags, options.encode()) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"mount {kind}: {os.strerror(error)} (the warden needs CAP_SYS_ADMIN)", str(path))
    if not is_mount(path):
        raise OSError(f"{path}: mounted, but the directory does not show it")


def unmount(path: Path) -> None:
    """Unmount every mount on `path`, detaching it where still in use. Raises OSError."""
    while is_mount(path):
        if _LIBC.umount2(os.fsencode(path), MNT_DETACH | UMOUNT_NOFOLLOW) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(path))


def is_mount(path: Path) -> bool:
    """Tell whether a file system of its own is mounted on `path`: its device differs from its parent's."""
    try:
        own, parent = path.lstat(), path.parent.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(own.st_mode) and own.st_dev != parent.st_dev


def inside(home: Path, relative: str) -> Path:
    """Return `home / relative` if it exists and no part of it is a link. Raises FileNotFoundError or PermissionError.

    A data container can leave a link in its output; Docker would follow it into another holder's files.
    """
    path = home / relative
    if Path(os.path.realpath(path, strict=True)) != Path(os.path.realpath(home)) / relative:
        raise PermissionError(f"{relative} passes through a link")
    return path


def let_read(path: Path, bits: int) -> None:
    """Add read (and enter, for directories) permission `bits` (0o040 or 0o004) to all of `path`, following no link."""
    for found in _walk(path):
        mode = found.lstat().st_mode
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
            wanted = mode | bits | (bits >> 2 if stat.S_ISDIR(mode) else 0)
            if wanted != mode:
                found.chmod(stat.S_IMODE(wanted))


def empty_output(path: Path) -> None:
    """Make the output directory of a data container, empty and its own. The job's directory is there already."""
    if path.is_symlink() or path.exists():
        raise FileExistsError(f"{path} is there already: one job runs once")
    _directory(path, UIDS["data"], UIDS["data"], 0o700)


def hand_over(path: Path) -> list[str]:
    """Give a data container's output to the portal; return what was thrown away: everything but files and directories.

    A link left there would be followed by its reader, a socket or pipe would block it.
    """
    dropped = []
    for found in _walk(path):
        mode = found.lstat().st_mode
        if stat.S_ISDIR(mode):
            wanted = 0o755
        elif stat.S_ISREG(mode):
            wanted = 0o644
        else:
            found.unlink()
            dropped.append(found.relative_to(path).as_posix())
            continue
        os.lchown(found, UIDS["portal"], UIDS["portal"])
        found.chmod(wanted)
    return dropped


def _walk(path: Path) -> list[Path]:
    """Return `path` and all below it, never entering a link."""
    found = [path]
    if not path.is_symlink():
        for folder, folders, files in os.walk(path):
            found += [Path(folder) / name for name in (*folders, *files)]
    return found


def _directory(path: Path, uid: int, gid: int, mode: int) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, uid, gid)
    path.chmod(mode)  # after chown, which clears setgid
