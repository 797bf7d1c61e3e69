"""What the launch spec puts into the session's environment. Nothing of it reaches the kernel container."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where this session's peers are and who it is. Tokens are kept out of `repr`."""

    sandbox: str
    boot: str
    login: str
    log: str
    opa: str
    portal: str
    sock: Path
    door: Path
    tokens: dict[str, str]
    kernels: tuple[str, ...] = ("python3",)

    def __repr__(self) -> str:
        return f"Settings(sandbox={self.sandbox!r}, boot={self.boot!r}, login={self.login!r})"

    @property
    def source(self) -> str:
        """The name under which this session writes to the log."""
        return f"session:{self.sandbox}"

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the environment; KeyError names what is missing."""
        return cls(
            sandbox=environ["DATASANDBOX_SANDBOX"],
            boot=environ["DATASANDBOX_BOOT"],
            login=environ["JUPYTERHUB_USER"],
            log=environ.get("DATASANDBOX_LOG", "http://log:8020"),
            opa=environ.get("DATASANDBOX_OPA", "http://opa:8181"),
            portal=environ.get("DATASANDBOX_PORTAL", "http://portal:8011"),
            sock=Path(environ.get("DATASANDBOX_SOCK", "/sock")),
            door=Path(environ.get("DATASANDBOX_DOOR", "/door")),
            tokens={"session": environ["DATASANDBOX_SESSION_TOKEN"], "opa": environ["DATASANDBOX_OPA_TOKEN"]},
            kernels=tuple(environ.get("DATASANDBOX_KERNELS", "python3").split(",")),
        )
