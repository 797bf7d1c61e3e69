"""What a process of the deployment is told by its environment (interfaces.md, section 1)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

IMAGES = ("session", "kernel", "kernel-r", "data")
WORKSPACES = ("auto", "loop", "plain")
WORKSPACE_BYTES, WORKSPACE_INODES = 2 << 30, 100_000
DEFAULT_URL = "http://sandbox.localhost:8000"


class SettingsError(ValueError):
    """A setting is missing or unusable; the text names the variable and what it should be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one deployment, the same for portal, hub, warden and the `sandbox` command."""

    home: Path
    run: Path
    id: str
    url: str
    demo: bool = False
    runtime: str = "runc"
    images: Mapping[str, str] = field(default_factory=dict)
    database_url: str = ""
    workspace: str = "auto"
    workspace_bytes: int = WORKSPACE_BYTES
    workspace_inodes: int = WORKSPACE_INODES

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read the `DATASANDBOX_…` variables; raise SettingsError naming the one that is wrong.

        A missing database address means the embedded SQLite under the home.
        """
        env = os.environ if env is None else env
        home = Path(_need(env, "DATASANDBOX_HOME"))
        run = Path(_need(env, "DATASANDBOX_RUN"))
        for name, path in (("DATASANDBOX_HOME", home), ("DATASANDBOX_RUN", run)):
            if not path.is_absolute():
                raise SettingsError(f"{name} is {str(path)!r}: give an absolute path, it is the same inside and outside containers")
        url = env.get("DATASANDBOX_URL", DEFAULT_URL).rstrip("/")
        check_url(url)
        workspace = env.get("DATASANDBOX_WORKSPACE") or "auto"
        if workspace not in WORKSPACES:
            raise SettingsError(f"DATASANDBOX_WORKSPACE is {workspace!r}: give one of {', '.join(WORKSPACES)}")
        return cls(
            home=home,
            run=run,
            id=_need(env, "DATASANDBOX_ID"),
            url=url,
            demo=env.get("DATASANDBOX_DEMO", "") == "1",
            runtime=env.get("DATASANDBOX_RUNTIME") or "runc",
            images=MappingProxyType({name: env.get(image_variable(name), "") for name in IMAGES}),
            database_url=env.get("DATASANDBOX_DATABASE_URL") or f"sqlite:///{home}/db/portal.sqlite",
            workspace=workspace,
            workspace_bytes=_number(env, "DATASANDBOX_WORKSPACE_BYTES", WORKSPACE_BYTES, 16 << 20, 1 << 40),
            workspace_inodes=_number(env, "DATASANDBOX_WORKSPACE_INODES", WORKSPACE_INODES, 64, 1 << 24),
        )

    @property
    def host(self) -> str:
        """The hub's host name; the portal and the persons' hosts are names below it."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The public port."""
        parts = urlsplit(self.url)
        return parts.port or {"https": 443}.get(parts.scheme, 80)

    def origin(self, name: str) -> str:
        """Return the origin of a name below the host, such as `portal` or a login: `http://portal.sandbox.localhost:8000`."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{name}.{parts.netloc}"

    @property
    def portal_url(self) -> str:
        """The portal's pages, with their prefix and a closing slash."""
        return f"{self.origin('portal')}/services/portal/"

    def sandbox_url(self, login: str, sandbox: str) -> str:
        """Return the public address of a person's sandbox, with a closing slash."""
        return f"{self.origin(login)}/user/{login}/{sandbox}/"

    def secret_file(self, holder: str, name: str) -> Path:
        """Return the path of a secret; only `holder` can read it."""
        return self.home / "secrets" / holder / name

    def secret(self, holder: str, name: str) -> str:
        """Return the text of a secret file such as `log.token`; raise SettingsError when it is not there."""
        path = self.secret_file(holder, name)
        try:
            return path.read_text().strip()
        except OSError as error:
            raise SettingsError(f"cannot read {path} ({error.strerror}): `sandbox init` makes it, readable for {holder} only") from error

    def token(self, holder: str, peer: str) -> str:
        """Return the token with which `holder` speaks to `peer`."""
        return self.secret(holder, f"{peer}.token")

    def accepts(self, service: str) -> dict[str, str]:
        """Return what `service` accepts: holder -> hex SHA-256 of that holder's token."""
        folder = self.secret_file(service, "accepts")
        return {path.stem: path.read_text().strip() for path in sorted(folder.glob("*.sha256"))}


def image_variable(name: str) -> str:
    """Return the name of the variable that says which image `name` is."""
    return f"DATASANDBOX_IMAGE_{name.upper().replace('-', '_')}"


def check_url(url: str) -> None:
    """Raise SettingsError unless `url` is an http(s) origin; plain http only for hosts that end in `.localhost`."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
        raise SettingsError(f"DATASANDBOX_URL is {url!r}: give scheme, host and port only, such as {DEFAULT_URL}")
    if parts.scheme == "http" and not parts.hostname.endswith(".localhost"):
        raise SettingsError(f"DATASANDBOX_URL is {url!r}: plain http is for *.localhost only, use https with a certificate elsewhere")


def _number(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = env.get(name) or str(default)
    if not value.isdecimal() or not low <= int(value) <= high:
        raise SettingsError(f"{name} is {value!r}: give a whole number from {low} to {high}")
    return int(value)


def _need(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set: start this through `sandbox up`, which sets it")
    return value
