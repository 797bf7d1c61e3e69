"""What the log's tests share: a directory of a real log, leaves, tokens."""

import hashlib
import json
import struct
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit import wal
from audit.checkpoint import Signer
from audit.leaf import Blob
from audit.writer import GivenBlob, Log

LAUNCH = Ed25519PrivateKey.generate()


def clock() -> datetime:
    return datetime(2026, 11, 23, 6, 5, 4, 321999, tzinfo=UTC)


def leaf(seq: int, kind: str = "cell.execute", *, source: str = "hub", boot: str = "b1", **fields: Any) -> dict[str, Any]:
    return {
        "v": 1,
        "source": source,
        "boot": boot,
        "seq": seq,
        "time": "2026-11-23T06:05:04.321Z",
        "kind": kind,
        "actor": {"type": "person", "id": "p1", "login": "researcher"},
        "refs": {"sandbox": "sb1"},
        "data": {},
        "blobs": [],
        **fields,
    }


def first(previous: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return leaf(0, "source.started", data={"previous": previous}, **fields)


def with_blob(seq: int, text: str) -> tuple[dict[str, Any], list[GivenBlob], Blob]:
    blob = Blob("code", "text/x-python", text.encode())
    return leaf(seq, blobs=[blob.ref]), [GivenBlob(blob.digest, blob.salt, blob.content)], blob


def make_log(directory: Path, signer: Signer) -> Log:
    directory.mkdir(exist_ok=True)
    return Log(directory, signer, clock)


def fill(log: Log, count: int, *, texts: bool = False) -> None:
    log.append(first())
    for seq in range(1, count):
        if texts:
            one, blobs, _ = with_blob(seq, f"print({seq})")
            log.append(one, blobs)
        else:
            log.append(leaf(seq))


def make_secrets(directory: Path, signer: Signer) -> Path:
    (directory / "accepts").mkdir(parents=True)
    (directory / "log.key").write_text(signer.text)
    (directory / "launch.pub").write_bytes(LAUNCH.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for holder in ("hub", "portal"):
        (directory / "accepts" / f"{holder}.sha256").write_text(hashlib.sha256(f"token-of-{holder}".encode()).hexdigest() + "\n")
    return directory


def frames(content: bytes) -> list[tuple[int, int, bytes]]:
    """(kind, start, whole frame) of every frame in a log's file."""
    found, position = [], len(wal.MAGIC)
    while position < len(content):
        kind, length, _ = struct.unpack_from(">BI32s", content, position)
        end = position + wal.HEADER_BYTES + length
        found.append((kind, position, content[position:end]))
        position = end
    return found


def body(one: dict[str, Any], blobs: list[Blob] | None = None) -> bytes:
    given = [{"digest": blob.digest, "salt": blob.salt.hex(), "text": blob.content.decode()} for blob in blobs or []]
    return json.dumps({"leaf": one, "blobs": given}).encode()


def soon() -> int:
    return int(time.time()) + 600
