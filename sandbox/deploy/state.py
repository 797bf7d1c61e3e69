"""The state of a deployment: its name, directories, tokens and keys, each made once (interfaces.md, section 1)."""

import base64
import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import Signer
from sandbox.deploy.steps import SetupError
from sandbox.domain.uids import UIDS
from sandbox.settings import DEFAULT_URL, SettingsError, check_url

RUN_ROOT = Path("/run/datasandbox")
HOLDERS = ("hub", "portal", "opa", "log", "warden")
PAIRS = (
    ("hub", "portal"), ("hub", "log"), ("hub", "warden"), ("hub", "proxy"),
    ("portal", "hub"), ("portal", "log"), ("portal", "opa"), ("portal", "warden"),
    ("warden", "log"),
)  # fmt: skip
# directory below the home: owner, mode. Data containers and kernels get single directories of these, never a whole one.
DIRECTORIES = {
    "db": ("portal", 0o700), "hub": ("hub", 0o700), "audit": ("log", 0o750),
    "uploads": ("portal", 0o750), "sources": ("portal", 0o750), "jobs": ("portal", 0o750),
    "exports": ("portal", 0o750), "releases": ("portal", 0o750), "workspaces": ("root", 0o711),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment on this machine."""

    home: Path
    id: str
    url: str
    port: int
    demo: bool = False
    images: dict[str, str] = field(default_factory=dict)

    @property
    def run(self) -> Path:
        """The directory of its sockets: short, because AF_UNIX paths end near 107 bytes."""
        return RUN_ROOT / self.id

    @property
    def project(self) -> str:
        """The Compose project, and the start of every container's name."""
        return f"ds-{self.id}"

    @property
    def label(self) -> str:
        """The label of every Docker object of this deployment."""
        return f"datasandbox.deployment={self.id}"

    @property
    def file(self) -> Path:
        """Where this is kept."""
        return self.home / "deployment.json"

    def save(self) -> None:
        """Write `deployment.json`, whole or not at all."""
        fields = {key: value for key, value in asdict(self).items() if key != "home"}
        _write(self.file, json.dumps(fields, indent=1) + "\n", "root", 0o644, again=True)


def load(home: Path) -> Deployment | None:
    """Return the deployment of `home`, or None; SetupError (`state_damaged`) when its file cannot be read."""
    try:
        return Deployment(home=home, **json.loads((home / "deployment.json").read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SetupError(
            "state_damaged", f"{home / 'deployment.json'}: {error}", "put the file back, or `make clean` for a new deployment"
        ) from error


def init(home: Path, *, url: str = "", demo: bool | None = None) -> Deployment:
    """Make what is missing of the state under `home` and return the deployment; what is there is kept, above all keys and tokens.

    Raises SetupError: `not_root` (directories belong to several users), `bad_url`, `demo_not_loopback`.
    """
    if os.geteuid() != 0:
        raise SetupError("not_root", "the directories of a deployment belong to several users", "run this as root")
    old = load(home)
    url = (url or (old.url if old else DEFAULT_URL)).rstrip("/")
    try:
        check_url(url)
    except SettingsError as error:
        raise SetupError("bad_url", str(error), "correct DATASANDBOX_URL") from error
    parts = urlsplit(url)
    demo = (old.demo if old else False) if demo is None else demo
    if demo and not (parts.hostname or "").endswith(".localhost"):
        raise SetupError(
            "demo_not_loopback",
            f"the demonstration has no one-time codes and runs on loopback addresses only, not {url}",
            "give an address that ends in .localhost, or start without the demonstration mode",
        )
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    made = Deployment(home, old.id if old else secrets.token_hex(4), url, port, demo, old.images if old else {})
    home.mkdir(parents=True, exist_ok=True)
    made.save()
    _directories(made)
    _tokens(home)
    _keys(made)
    return made


def docker_door(deployment: Deployment) -> None:
    """Make the directory of the hub's Docker door before a container binds it: the engine would make it root's own. The warden makes the socket."""
    path = deployment.run / "docker"
    path.mkdir(exist_ok=True)
    os.chown(path, 0, UIDS["hub"])
    path.chmod(0o710)


def _directories(deployment: Deployment) -> None:
    home = deployment.home
    home.chmod(0o755)
    for name, (owner, mode) in DIRECTORIES.items():
        _directory(home / name, owner, mode)
    _directory(home / "secrets", "root", 0o711)
    for holder in HOLDERS:
        _directory(home / "secrets" / holder, holder, 0o700)
        _directory(home / "secrets" / holder / "accepts", holder, 0o700)
    _directory(home / "demo", "root", 0o700)


def _tokens(home: Path) -> None:
    folder = home / "secrets"
    for holder, peer in PAIRS:
        token = _token(folder / holder / f"{peer}.token", holder)
        if peer in HOLDERS:
            _write(folder / peer / "accepts" / f"{holder}.sha256", _sha256(token), peer, 0o600)
    session = _token(folder / "portal" / "session-opa.token", "portal")
    _write(folder / "opa" / "accepts" / "session.sha256", _sha256(session), "opa", 0o600)
    # JupyterHub itself compares a service's token, so it must have the text
    _write(folder / "hub" / "service-portal.token", (folder / "portal" / "hub.token").read_text(), "hub", 0o600)


def _keys(deployment: Deployment) -> None:
    folder = deployment.home / "secrets"
    launch = folder / "portal" / "launch.key"
    for path in (launch, folder / "portal" / "certificate.key"):
        if not path.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            _write(path, pem.decode(), "portal", 0o600)
    public = _public(launch)
    # For whoever gets a certificate: hand this file out, with the log's vkey.
    _write(deployment.home / "certificate.pub", _public(folder / "portal" / "certificate.key"), "root", 0o644)
    for holder in ("warden", "log"):
        _write(folder / holder / "launch.pub", public, holder, 0o600)
    log = folder / "log" / "log.key"
    if not log.exists():
        _write(log, Signer.generate(f"datasandbox-{deployment.id}").text + "\n", "log", 0o600)
    vkey = Signer.parse(log.read_text()).verifier.vkey + "\n"
    _write(deployment.home / "audit" / "log.vkey", vkey, "log", 0o644)
    _write(folder / "portal" / "log.vkey", vkey, "portal", 0o600)


def _public(key: Path) -> str:
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    return private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def _token(path: Path, holder: str) -> str:
    if not path.exists():
        _write(path, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("="), holder, 0o600)
    return path.read_text()


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _directory(path: Path, owner: str, mode: int) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    os.chown(path, _uid(owner), _uid(owner))
    path.chmod(mode)


def _write(path: Path, text: str, owner: str, mode: int, *, again: bool = False) -> None:
    """Write a file whole, with owner and mode; one that is there stays unless `again`."""
    if path.exists() and not again:
        return
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chown(fresh, _uid(owner), _uid(owner))
    fresh.chmod(mode)
    fresh.replace(path)


def _uid(owner: str) -> int:
    return UIDS.get(owner, 0)  # root and the warden
