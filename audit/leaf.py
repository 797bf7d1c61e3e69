"""The leaf: one event, as RFC 8785 JSON of at most 65,535 bytes (the limit of C2SP tlog-tiles).

Text that people typed (code, SQL, reasons) is not in the leaf but in a blob beside the log. The leaf carries a salted digest, so that
erasing blob and salt erases the text and leaves the tree valid.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import rfc8785

from audit.errors import Refused

MAX_LEAF = 65_535
"""Bytes of a canonical leaf."""
SALT_BYTES = 16
STARTED = "source.started"
RESUMED = "source.resumed"
ACTOR_TYPES = frozenset({"person", "service", "anonymous"})
REFS = frozenset({"sandbox", "session", "project", "application", "agreement", "release", "dataset", "export", "person", "body"})

_FIELDS = frozenset({"v", "source", "boot", "seq", "time", "kind", "actor", "refs", "data", "blobs"})
_BLOB_FIELDS = frozenset({"name", "kind", "size", "digest"})
_SOURCE = re.compile(r"[a-z][a-z0-9_-]{0,31}(:[a-z0-9-]{1,64})?")
_BOOT = re.compile(r"[0-9a-z-]{1,64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_KIND = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Blob:
    """Bytes that belong to an entry. `name` says which of them, `kind` is a media type or a word like `code`."""

    name: str
    kind: str
    content: bytes
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(SALT_BYTES))

    @property
    def digest(self) -> str:
        """Hex SHA-256 of salt and bytes."""
        return blob_digest(self.salt, self.content)

    @property
    def ref(self) -> dict[str, Any]:
        """What the leaf says of this blob."""
        return {"name": self.name, "kind": self.kind, "size": len(self.content), "digest": self.digest}


def blob_digest(salt: bytes, content: bytes) -> str:
    """Hex SHA-256 of salt and content: without the salt nobody can try out guesses of an erased text."""
    return hashlib.sha256(salt + content).hexdigest()


def is_digest(text: object) -> bool:
    """Whether `text` can be a blob's digest, and so a safe file name."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def is_boot(text: object) -> bool:
    """Whether `text` can name a boot."""
    return isinstance(text, str) and _BOOT.fullmatch(text) is not None


def time_text(moment: datetime) -> str:
    """UTC, RFC 3339, milliseconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def canonical(leaf: object) -> bytes:
    """Return the bytes that are hashed and kept. Refuses `log.bad_leaf` (naming the field) and `log.too_large`."""
    validate(leaf)
    try:
        encoded = rfc8785.dumps(leaf)  # type: ignore[arg-type]
    except (ValueError, RecursionError) as error:
        raise Refused("log.bad_leaf", field="data", reason=str(error)[:200]) from error
    if len(encoded) > MAX_LEAF:
        raise Refused("log.too_large", 413, limit=MAX_LEAF, size=len(encoded))
    return encoded


def validate(leaf: object) -> None:
    """Refuse `log.bad_leaf` with the field's name unless the leaf has exactly the fields of docs/interfaces.md section 2."""
    if not isinstance(leaf, dict) or set(leaf) != _FIELDS:
        raise _bad("leaf")
    version, seq = leaf["v"], leaf["seq"]
    if version != 1 or isinstance(version, bool):
        raise _bad("v")
    if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq < 2**53:
        raise _bad("seq")
    for name, pattern in (("source", _SOURCE), ("boot", _BOOT), ("time", _TIME), ("kind", _KIND)):
        if not isinstance(leaf[name], str) or len(leaf[name]) > 128 or pattern.fullmatch(leaf[name]) is None:
            raise _bad(name)
    _validate_actor(leaf["actor"])
    refs = leaf["refs"]
    if not isinstance(refs, dict) or not set(refs) <= REFS or not all(_short(value) for value in refs.values()):
        raise _bad("refs")
    if not isinstance(leaf["data"], dict):
        raise _bad("data")
    _validate_blobs(leaf["blobs"])


def _validate_actor(actor: object) -> None:
    if not isinstance(actor, dict) or not {"type", "id"} <= set(actor) <= {"type", "id", "login"}:
        raise _bad("actor")
    if not all(_short(value) for value in actor.values()) or actor["type"] not in ACTOR_TYPES:
        raise _bad("actor")


def _validate_blobs(blobs: object) -> None:
    if not isinstance(blobs, list):
        raise _bad("blobs")
    for blob in blobs:
        if not isinstance(blob, dict) or set(blob) != _BLOB_FIELDS:
            raise _bad("blobs")
        size = blob["size"]
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise _bad("blobs")
        if not _short(blob["name"]) or not _short(blob["kind"]) or not is_digest(blob["digest"]):
            raise _bad("blobs")


def _short(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 256


def _bad(name: str) -> Refused:
    return Refused("log.bad_leaf", field=name)
