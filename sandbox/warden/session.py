"""What a session container is made of: the signed spec, this deployment's names, and the hub's token for it. Pure.

The variables are those that JupyterHub 6.1 would set (`Spawner.get_env`); a test compares them with the real hub's.
"""

import json
from dataclasses import dataclass
from typing import Any

from sandbox.domain.spec import SandboxSpec
from sandbox.domain.uids import UIDS
from sandbox.settings import Settings

TMP_BYTES = 64 << 20
PIDS = 128
PORT = 8888
HUB = "http://hub:8081"


@dataclass(frozen=True, slots=True)
class Sessions:
    """How sessions of this deployment are made; `hub` is where they find the hub inside the networks."""

    settings: Settings
    hub: str = HUB

    @property
    def network(self) -> str:
        """The one network a session is in."""
        return f"ds-{self.settings.id}-sessions"

    def name(self, sandbox: str) -> str:
        """Return the name of a sandbox's session container."""
        return f"ds-{self.settings.id}-session-{sandbox}"

    def container(self, spec: SandboxSpec, token: str) -> dict[str, Any]:
        """Return the options of docker-py's `containers.create`, without mounts and labels: those are the engine's words."""
        owner, session = UIDS["session"], spec.session
        return {
            "image": session.image,
            "name": self.name(spec.sandbox),
            "user": f"{owner}:{owner}",
            # may connect to what the kernel's side made in /sock
            "group_add": [str(UIDS["kernel"])],
            "network_mode": self.network,
            "environment": {**session.environment, **self.environment(spec, token)},
            "read_only": True,
            "tmpfs": {"/tmp": f"size={TMP_BYTES},uid={owner},gid={owner},mode=0700,nosuid,nodev,noexec"},  # noqa: S108 - in the container
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "mem_limit": session.memory,
            "memswap_limit": session.memory,
            "pids_limit": PIDS,
            "auto_remove": True,
            "use_config_proxy": False,
            "log_config": {"type": "json-file", "config": {"max-size": "5m", "max-file": "2"}},
        }

    def environment(self, spec: SandboxSpec, token: str) -> dict[str, str]:
        """Return JupyterHub's variables for the session of `spec`."""
        login, sandbox, origin = spec.login, spec.sandbox, self.settings.origin(spec.login)
        prefix = f"/user/{login}/{sandbox}/"
        scopes = json.dumps([f"access:servers!server={login}/{sandbox}", f"access:servers!user={login}"])
        return {
            "JUPYTERHUB_API_TOKEN": token,
            "JUPYTERHUB_API_URL": f"{self.hub}/hub/api",
            # no activity reports: the portal culls by executions, and the session's token may say nothing to the hub
            "JUPYTERHUB_ACTIVITY_INTERVAL": "0",
            "JUPYTERHUB_ACTIVITY_URL": f"{self.hub}/hub/api/users/{login}/activity",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{login}-{sandbox}",
            "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED": "0",
            "JUPYTERHUB_HOST": self.settings.url,
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": scopes,
            "JUPYTERHUB_OAUTH_SCOPES": scopes,
            "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{origin}{prefix}oauth_callback",
            "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES": "[]",
            "JUPYTERHUB_PUBLIC_HUB_URL": f"{self.settings.url}/hub/",
            "JUPYTERHUB_PUBLIC_URL": f"{origin}{prefix}",
            "JUPYTERHUB_SERVER_NAME": sandbox,
            "JUPYTERHUB_SERVICE_PREFIX": prefix,
            "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{PORT}{prefix}",
            "JUPYTERHUB_USER": login,
        }
