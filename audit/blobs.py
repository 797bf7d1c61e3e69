"""Texts and files beside the log: `blobs/aa/<digest>` holds salt and bytes. No file means erased; wrong bytes mean damage."""

import os
from pathlib import Path

from audit.errors import Damaged
from audit.leaf import SALT_BYTES, blob_digest, is_digest


class Blobs:
    """The directory of blobs. All its 256 subdirectories are made once, so that a put syncs one directory only."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def prepare(self) -> None:
        """Make the directories, durably."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        for number in range(256):
            (self._directory / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
        sync_directory(self._directory)
        sync_directory(self._directory.parent)

    def put(self, digest: str, salt: bytes, content: bytes) -> None:
        """Keep a blob: when this returns, file and name are on disk. OSError if not. The caller has checked the digest."""
        path, kept = self._path(digest), salt + content
        try:
            known = path.read_bytes() == kept  # perhaps of a try that was not synced: it is now
        except FileNotFoundError:
            known = False
        temporary = path.with_suffix(".new")
        flags = os.O_RDONLY if known else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        descriptor = os.open(path if known else temporary, flags | os.O_CLOEXEC, 0o600)
        try:
            if not known:
                # Named before it is synced, so that file and name go to disk together: one journal commit instead of two. No entry names it yet.
                write_all(descriptor, kept)
                temporary.replace(path)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(path.parent)

    def get(self, digest: str) -> bytes | None:
        """Return the bytes, None when they are not there (erased). Damaged `blob.wrong` if they are not those of the digest."""
        try:
            kept = self._path(digest).read_bytes()
        except FileNotFoundError:
            return None
        salt, content = kept[:SALT_BYTES], kept[SALT_BYTES:]
        if blob_digest(salt, content) != digest:
            raise Damaged("blob.wrong", f"blob {digest} was changed")
        return content

    def _path(self, digest: str) -> Path:
        if not is_digest(digest):
            raise ValueError("not a digest")
        return self._directory / digest[:2] / digest


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte: a full disk may take a part first and refuse only the rest."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
