"""A stock JupyterHub with a stock DockerSpawner behind a stock configurable-http-proxy. Only the bench's token can do anything."""

import os
from typing import Any

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - JupyterHub's loader gives it
name = os.environ["BENCH_NAME"]

c.JupyterHub.hub_bind_url = "http://0.0.0.0:8081"
c.JupyterHub.hub_connect_url = f"http://{name}-hub:8081"
c.JupyterHub.db_url = "sqlite:////tmp/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "/tmp/cookie_secret"  # noqa: S105, S108 - a file of the container's own, and it goes with it
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://{name}-proxy:8001"
c.JupyterHub.authenticator_class = "null"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.services = [{"name": "bench", "api_token": os.environ["BENCH_TOKEN"]}]
c.JupyterHub.load_roles = [{"name": "bench", "services": ["bench"], "scopes": ["admin:users", "admin:servers", "access:servers"]}]

c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.image = os.environ["BENCH_IMAGE"]
c.DockerSpawner.network_name = name
c.DockerSpawner.name_template = name + "-{username}-{servername}"
c.DockerSpawner.remove = True
c.DockerSpawner.extra_create_kwargs = {"labels": {"datasandbox.bench": name}}
c.DockerSpawner.notebook_dir = "/tmp"  # noqa: S108 - the container's own


def _variant(spawner: Any) -> None:
    """The server named `nodelay` differs by one environment variable."""
    spawner.environment = {"BENCH_NODELAY": "1"} if spawner.name == "nodelay" else {}


c.Spawner.pre_spawn_hook = _variant
