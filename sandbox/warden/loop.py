"""Loop devices by their ioctls: what `losetup` does, without a program of another package between.

A device is made `autoclear`: it goes when its last user goes, so neither a crash nor a restart leaves one behind.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# <linux/loop.h>; LOOP_CONFIGURE is of Linux 5.8
_GET_FREE, _CONFIGURE, _STATUS64 = 0x4C82, 0x4C0A, 0x4C05
_AUTOCLEAR = 4
_STATUS = struct.Struct("=QQ216x")  # struct loop_info64: device and inode of the file come first
_CONFIG = struct.Struct("=II52xI176x64x")  # struct loop_config: fd, block size, loop_info64 with its flags at 52, reserved


@contextmanager
def attached(image: Path, devices: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the block device of `image` below `devices` and whether it is new; raises OSError where there are no loop devices.

    An image that has a device already (its mount lives on in some other mount namespace) gets that one again: two devices on one file
    would be two file systems on the same blocks.
    """
    if (descriptor := _existing(image, devices)) is not None:
        fresh = False
    else:
        descriptor, fresh = _configured(image, devices), True
    try:
        yield devices / Path(f"/proc/self/fd/{descriptor}").readlink().name, fresh
    finally:
        os.close(descriptor)


def missing(devices: Path = Path("/dev")) -> str:
    """Return why this machine gives no loop device, or nothing; takes none."""
    try:
        control = os.open(devices / "loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            os.close(os.open(devices / f"loop{fcntl.ioctl(control, _GET_FREE)}", os.O_RDWR | os.O_CLOEXEC))
        finally:
            os.close(control)
    except OSError as error:
        return f"{error.filename or devices / 'loop-control'}: {error.strerror}"
    return ""


def _existing(image: Path, devices: Path) -> int | None:
    wanted = image.stat()
    for name in sorted(path.parent.name for path in Path("/sys/block").glob("loop*/loop")):
        try:
            descriptor = os.open(devices / name, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # gone meanwhile
        try:
            device, inode = _STATUS.unpack(fcntl.ioctl(descriptor, _STATUS64, bytes(_STATUS.size)))
            if (device, inode) == (_huge(wanted.st_dev), wanted.st_ino):
                return descriptor
        except OSError:
            pass  # has no file
        os.close(descriptor)
    return None


def _configured(image: Path, devices: Path) -> int:
    control = os.open(devices / "loop-control", os.O_RDWR | os.O_CLOEXEC)
    file = os.open(image, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        while True:
            descriptor = os.open(devices / f"loop{fcntl.ioctl(control, _GET_FREE)}", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(descriptor, _CONFIGURE, _CONFIG.pack(file, 0, _AUTOCLEAR))
            except OSError as error:
                os.close(descriptor)
                if error.errno != errno.EBUSY:  # another program was quicker with this one
                    raise
            else:
                return descriptor
    finally:
        os.close(file)
        os.close(control)


def _huge(device: int) -> int:
    """Return a device number as the kernel writes it in loop_info64 (huge_encode_dev)."""
    major, minor = os.major(device), os.minor(device)
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)
