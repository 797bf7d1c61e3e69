"""Tree heads as C2SP checkpoints (c2sp.org/tlog-checkpoint): a signed note over origin, size and root, Ed25519.

The forms of keys are those of Go's `note` package, so any C2SP tool (and a later witness) reads them:
signer `PRIVATE+KEY+<name>+<hash>+<base64>`, verifier (vkey) `<name>+<hash>+<base64>`.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import Damaged, require

_ED25519 = b"\x01"
_SIGNATURE_MARK = "— "


@dataclass(frozen=True)
class Head:
    """A tree head: number of entries and RFC 6962 root."""

    size: int
    root: bytes


class Verifier:
    """A log's name and public key."""

    def __init__(self, name: str, public: Ed25519PublicKey) -> None:
        self.name = name
        self._public = public
        self._raw = _ED25519 + public.public_bytes_raw()
        self.key_hash = hashlib.sha256(name.encode() + b"\n" + self._raw).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as text for others to keep."""
        return f"{self.name}+{self.key_hash.hex()}+{base64.b64encode(self._raw).decode()}"

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """Read a vkey. Damaged `log.bad_key` if it is none."""
        try:
            name, key_hash, encoded = vkey.strip().split("+", 2)
            raw = base64.b64decode(encoded, validate=True)
            require(raw[:1] == _ED25519, "not an Ed25519 key")
            verifier = cls(_checked_name(name), Ed25519PublicKey.from_public_bytes(raw[1:]))
            require(verifier.key_hash.hex() == key_hash, "the key hash does not fit the key")
        except ValueError as error:
            raise Damaged("log.bad_key", f"not a C2SP verifier key: {error}") from error
        return verifier

    def open(self, note: bytes) -> Head:
        """Return the head that this log signed. Damaged `log.bad_head` if the form or the signature is not right."""
        head, text, signatures = _parse(note, self.name)
        for name, blob in signatures:
            if name == self.name and blob[:4] == self.key_hash:
                try:
                    self._public.verify(blob[4:], text)
                except InvalidSignature as error:
                    raise Damaged("log.bad_head", "the signature of a tree head is wrong") from error
                return head
        raise Damaged("log.bad_head", f"a tree head is not signed by {self.vkey}")


class Signer:
    """A log's private key."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.verifier = Verifier(_checked_name(name), private.public_key())

    @classmethod
    def generate(cls, name: str) -> "Signer":
        """Make a new key. ValueError if the name is not one word without plus sign."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> "Signer":
        """Read the private form. Damaged `log.bad_key`, without the text in the message."""
        try:
            private, key, name, key_hash, encoded = text.strip().split("+", 4)
            raw = base64.b64decode(encoded, validate=True)
            require((private, key) == ("PRIVATE", "KEY") and raw[:1] == _ED25519, "unknown form")
            signer = cls(name, Ed25519PrivateKey.from_private_bytes(raw[1:]))
            require(signer.verifier.key_hash.hex() == key_hash, "the key hash does not fit the key")
        except ValueError as error:
            raise Damaged("log.bad_key", "not a C2SP signer key; make one with `audit keygen`") from error
        return signer

    @property
    def text(self) -> str:
        """The private form, for a file only this log may read."""
        raw = base64.b64encode(_ED25519 + self._private.private_bytes_raw()).decode()
        return f"PRIVATE+KEY+{self.verifier.name}+{self.verifier.key_hash.hex()}+{raw}"

    def sign(self, head: Head) -> bytes:
        """Return the checkpoint: a note of three lines, a blank line and our signature."""
        text = _text(self.verifier.name, head)
        signature = base64.b64encode(self.verifier.key_hash + self._private.sign(text)).decode()
        return text + f"\n{_SIGNATURE_MARK}{self.verifier.name} {signature}\n".encode()


def parse_head(note: bytes, name: str) -> Head:
    """Read a checkpoint's head without looking at signatures. Damaged `log.bad_head`."""
    return _parse(note, name)[0]


def _text(name: str, head: Head) -> bytes:
    return f"{name}\n{head.size}\n{base64.b64encode(head.root).decode()}\n".encode()


def _parse(note: bytes, origin: str) -> tuple[Head, bytes, list[tuple[str, bytes]]]:
    try:
        text, separator, tail = note.decode().rpartition("\n\n")
        name, size, root = text.split("\n")
        head = Head(int(size), base64.b64decode(root, validate=True))
        signatures = []
        for line in tail.removesuffix("\n").split("\n"):
            mark, signer, encoded = line.split(" ")
            require(mark == _SIGNATURE_MARK.strip(), "not a signature line")
            blob = base64.b64decode(encoded, validate=True)
            require(base64.b64encode(blob).decode() == encoded, "not the canonical form")
            signatures.append((signer, blob))
        # The canonical text must come out again: no leading zeros, no second spelling of the same head.
        require(separator != "" and name == origin and tail.endswith("\n"), "not a note of this log")
        require(len(head.root) == 32 and _text(name, head) == f"{text}\n".encode(), "not the canonical form")
    except (ValueError, binascii.Error) as error:
        raise Damaged("log.bad_head", f"not a checkpoint of {origin}") from error
    return head, f"{text}\n".encode(), signatures


def _checked_name(name: str) -> str:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise ValueError("a key name is one word without plus sign")
    return name
