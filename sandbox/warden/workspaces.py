"""Workspaces: an ext4 image a sandbox, so that size and number of files end where the spec says (D3, D4), whatever is restarted.

`workspaces/<sandbox>.img` is root's alone; the kernel container sees only what is mounted from it at `workspaces/<sandbox>`. While a
sandbox runs the image holds all its blocks (fallocate), so a full disk of the host cannot break it; a stopped one gives back what is free in it.
Where no loop device is to be had a workspace is a plain directory without limit, if the setting allows that.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
import subprocess
from pathlib import Path

from sandbox.domain.errors import Refusal
from sandbox.domain.spec import MIB, Workspace
from sandbox.domain.uids import UIDS
from sandbox.warden import loop
from sandbox.warden.mounts import MS_NODEV, MS_NOEXEC, MS_NOSUID, is_mount, mount, unmount

# Of the host's disk, never reserved for workspaces: the log stops, and with it everything, when there is no room for it.
KEEP_FREE = 1 << 30
_FITRIM = 0xC0185879
_PROBE = Workspace(16 * MIB, 64)


class Workspaces:
    """The workspaces below one directory. Calls block; those for one sandbox must not overlap."""

    def __init__(self, folder: Path, mode: str, devices: Path = Path("/dev")) -> None:
        """Take `mode` `auto`, `loop` or `plain`; find out, unless it is `plain`, whether an image can be mounted here."""
        self.folder = folder
        self.mode = mode
        self._devices = devices
        self.impossible = "" if mode == "plain" else self._probe()

    def kind(self, sandbox: str) -> str:
        """Return `loop` or `plain`: what the workspace of `sandbox` is or would be. Refusal `workspace_impossible` (503) if neither may be."""
        image, place = self._paths(sandbox)
        if image.exists():
            if self.mode == "plain" or not self.impossible:
                return "loop"  # what was begun as an image stays one: a plain directory would look as if the files were lost
            raise Refusal("workspace_impossible", status=503, detail=self.impossible)
        if self.mode == "plain" or (self.mode == "auto" and (self.impossible or _has_files(place))):
            return "plain"
        if self.impossible or _has_files(place):
            raise Refusal("workspace_impossible", status=503, detail=self.impossible or "it is a plain directory with files in it")
        return "loop"

    def open(self, sandbox: str, limits: Workspace) -> None:
        """Make and mount the workspace of `sandbox`; an image that is there keeps its size.

        Raises OSError and Refusal: `workspace_impossible`, `workspace_no_room`, `workspace_damaged` (503).
        """
        image, place = self._paths(sandbox)
        kind = self.kind(sandbox)
        if place.is_symlink():
            raise OSError(f"{place} is a link")
        unmount(place)
        self.folder.mkdir(mode=0o711, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        if kind == "plain":
            os.chown(place, UIDS["kernel"], UIDS["kernel"])
            return
        if image.exists():
            with image.open("r+b") as file:
                _reserve(file.fileno(), image.stat().st_size)
        else:
            _make(image, limits)
        self._mount(image, place)

    def close(self, sandbox: str) -> None:
        """Unmount the workspace of `sandbox` and give its free blocks back to the host; well when it is not mounted. Raises OSError."""
        _, place = self._paths(sandbox)
        if is_mount(place):
            _trim(place)
        unmount(place)

    def mounted(self) -> list[str]:
        """Return the sandboxes whose workspace is mounted."""
        return [place.name for place in self.folder.iterdir() if is_mount(place)] if self.folder.exists() else []

    def _paths(self, sandbox: str) -> tuple[Path, Path]:
        return self.folder / f"{sandbox}.img", self.folder / sandbox

    def _mount(self, image: Path, place: Path) -> None:
        with loop.attached(image, self._devices) as (device, fresh):
            if fresh:
                _check(device)
            # noexec: what outlives the container does not run by itself. noinit_itable: the image is zero where nobody wrote.
            mount(str(device), place, "ext4", MS_NOSUID | MS_NODEV | MS_NOEXEC, "errors=remount-ro,noinit_itable")
        if (place / "lost+found").is_dir():  # what fsck found again stays
            with contextlib.suppress(OSError):
                (place / "lost+found").rmdir()

    def _probe(self) -> str:
        """Mount a small image and take it away again; return why that cannot be done, or nothing."""
        image, place = self._paths(".probe")
        if why := loop.missing(self._devices):
            return why
        try:
            self.folder.mkdir(mode=0o711, exist_ok=True)
            unmount(place)
            place.mkdir(mode=0o700, exist_ok=True)
            image.unlink(missing_ok=True)
            _make(image, _PROBE)
            self._mount(image, place)
        except (OSError, Refusal) as error:
            return str(error)[:200]
        finally:
            unmount(place)
            image.unlink(missing_ok=True)
            place.rmdir()
        return ""


def _make(image: Path, limits: Workspace) -> None:
    """Make an empty ext4 image, whole or not at all. `mke2fs` rounds the number of inodes up to whole blocks of each group."""
    fresh = image.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    try:
        with open(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "r+b") as file:  # noqa: PTH123 - with flags and mode
            _reserve(file.fileno(), limits.bytes)
            kernel = UIDS["kernel"]
            extended = f"root_owner={kernel}:{kernel},lazy_itable_init=1,lazy_journal_init=1,nodiscard"
            journal = max(4, min(16, limits.bytes // (16 * MIB)))
            argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-N", str(limits.inodes), "-e", "remount-ro", "-J", f"size={journal}"]
            code, said = _run([*argv, "-O", "^resize_inode", "-E", extended, str(fresh)])
            if code:
                raise OSError(errno.EIO, f"mke2fs: {said[-160:]}", str(fresh))
            os.fsync(file.fileno())
        fresh.replace(image)
    finally:
        fresh.unlink(missing_ok=True)


def _check(device: Path) -> None:
    """Replay the journal and repair what can be repaired without asking (e2fsck: 1 means repaired). Refusal `workspace_damaged`."""
    code, said = _run(["e2fsck", "-p", str(device)])
    if code not in {0, 1}:
        raise Refusal("workspace_damaged", status=503, detail=said[-160:])


def _reserve(descriptor: int, size: int) -> None:
    """Take all blocks of the file from the host now. Refusal `workspace_no_room`, before and instead of a full disk."""
    status = os.fstatvfs(descriptor)
    missing = size - os.fstat(descriptor).st_blocks * 512
    if status.f_bavail * status.f_frsize - max(missing, 0) < KEEP_FREE:
        raise Refusal("workspace_no_room", status=503, wanted=size >> 20)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise Refusal("workspace_no_room", status=503, wanted=size >> 20) from error
        raise


def _trim(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(descriptor, _FITRIM, struct.pack("=QQQ", 0, ctypes.c_uint64(-1).value, 0))
    except OSError:
        pass  # a host file system that cannot punch holes keeps the blocks reserved
    finally:
        os.close(descriptor)


def _run(argv: list[str]) -> tuple[int, str]:
    env = {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C"}
    try:
        done = subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    except FileNotFoundError as error:
        raise OSError(errno.ENOENT, f"{argv[0]} is not installed (Debian: e2fsprogs)") from error
    return done.returncode, done.stdout.strip()


def _has_files(place: Path) -> bool:
    return place.is_dir() and not is_mount(place) and any(place.iterdir())
