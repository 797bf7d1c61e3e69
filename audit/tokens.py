"""Session tokens: what the portal signs so that one session may write its own record, and nothing else.

`base64url(payload) . base64url(Ed25519 signature)`, without padding; the payload is RFC 8785 JSON
`{"kind":"session","sandbox","boot","exp"}` with `exp` in whole seconds since 1970 (UTC).
"""

import base64
import json
from dataclasses import dataclass

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from audit.errors import require

MAX_TOKEN = 2048


class TokenError(Exception):
    """The token is not one the portal signed (`token_invalid`), or its time is over (`token_expired`)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Session:
    """Whom a valid token speaks for. `exp` in seconds since 1970."""

    sandbox: str
    boot: str
    exp: int

    @property
    def source(self) -> str:
        """The one source this session may append as."""
        return f"session:{self.sandbox}"


def sign(key: Ed25519PrivateKey, *, sandbox: str, boot: str, exp: int) -> str:
    """Return a token for (sandbox, boot) that is valid before `exp` (seconds since 1970)."""
    payload = rfc8785.dumps({"kind": "session", "sandbox": sandbox, "boot": boot, "exp": exp})
    return f"{_encode(payload)}.{_encode(key.sign(payload))}"


def verify(token: str, public: Ed25519PublicKey, now: float) -> Session:
    """Return the session a token speaks for at `now` (seconds since 1970). Raises TokenError."""
    session = _verify_signature(token, public)
    if now >= session.exp:
        raise TokenError("token_expired")
    return session


def load_private(pem: bytes) -> Ed25519PrivateKey:
    """Read the portal's launch key. ValueError if it is another kind of key."""
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("not an Ed25519 private key")
    return key


def load_public(pem: bytes) -> Ed25519PublicKey:
    """Read the public launch key. ValueError if it is another kind of key."""
    key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise TypeError("not an Ed25519 public key")
    return key


def _verify_signature(token: str, public: Ed25519PublicKey) -> Session:
    try:
        require(len(token) <= MAX_TOKEN, "too long")
        payload, signature = (_decode(part) for part in token.split("."))
        public.verify(signature, payload)
        fields = json.loads(payload)
        require(set(fields) == {"kind", "sandbox", "boot", "exp"} and fields["kind"] == "session", "not a session token")
        require(isinstance(fields["exp"], int), "exp is in whole seconds")
        return Session(str(fields["sandbox"]), str(fields["boot"]), fields["exp"])
    except (ValueError, TypeError, InvalidSignature) as error:
        raise TokenError("token_invalid") from error


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
