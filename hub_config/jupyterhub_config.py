"""JupyterHub's settings. Everything that differs between deployments comes from the environment (`sandbox/settings.py`).

Reasons for the less obvious ones are in the design's `verified.md`; each was tried on these versions.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hub_config.authenticator import USERNAMES, PortalAuthenticator  # noqa: E402 - the line above makes it importable
from hub_config.spawner import SandboxSpawner  # noqa: E402
from sandbox.settings import Settings  # noqa: E402

settings = Settings.from_env()
state = settings.home / "hub"
c = get_config()  # type: ignore[name-defined] # JupyterHub's loader gives it

# Addresses. The public one is the proxy's; the others are names in the networks, and differ only in tests on the host.
hub_url = os.environ.get("DATASANDBOX_HUB", "http://hub:8081")
c.JupyterHub.bind_url = settings.url
c.JupyterHub.subdomain_host = settings.url
c.JupyterHub.subdomain_hook = lambda name, domain, kind: f"{name}.{domain}"  # noqa: ARG005 - the hook's signature; logins are host labels
c.JupyterHub.hub_routespec = f"{settings.host}/"  # no log-in form on the portal's and the persons' hosts
c.JupyterHub.hub_bind_url = os.environ.get("DATASANDBOX_HUB_BIND", "http://0.0.0.0:8081")
c.JupyterHub.hub_connect_url = hub_url
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = os.environ.get("DATASANDBOX_PROXY_API", "http://proxy:8001")
c.ConfigurableHTTPProxy.auth_token = settings.token("hub", "proxy")

# State. Servers outlive a restart of the hub: the proxy is outside, the sessions are containers.
c.JupyterHub.db_url = f"sqlite:///{state}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(state / "cookie_secret")
c.JupyterHub.cleanup_servers = False
c.JupyterHub.cleanup_proxy = False
c.ConfigurableHTTPProxy.pid_file = str(state / "proxy.pid")

# People. No admins; nobody but the portal starts, views or stops a server, makes tokens or shares.
c.JupyterHub.authenticator_class = PortalAuthenticator
c.PortalAuthenticator.allow_all = True
c.PortalAuthenticator.request_otp = not settings.demo
c.PortalAuthenticator.otp_prompt = "动态口令 One-time code"
c.PortalAuthenticator.username_pattern = USERNAMES
c.JupyterHub.admin_access = False
c.JupyterHub.cookie_max_age_days = 1
c.JupyterHub.load_roles = [
    {
        "name": "user",
        # without the two `read:` scopes POST /oauth2/token answers 500
        "scopes": ["read:users:name!user", "read:users:groups!user", "access:servers!user", "access:services!service=portal"],
    },
    {"name": "portal", "services": ["portal"], "scopes": ["servers", "admin:users"]},
]
c.JupyterHub.services = [
    {
        "name": "portal",
        "url": os.environ.get("DATASANDBOX_PORTAL", "http://portal:8010"),
        "api_token": settings.secret("hub", "service-portal.token"),
        "oauth_redirect_uri": f"{settings.portal_url}oauth_callback",  # absolute: under subdomains a path does not match
        "oauth_no_confirm": True,
        "display": False,
    }
]

# Servers: one named server a sandbox. The portal limits how many; the hub's own limit would count stopped ones.
c.JupyterHub.spawner_class = SandboxSpawner
c.JupyterHub.allow_named_servers = True
c.JupyterHub.named_server_limit_per_user = 0
c.JupyterHub.implicit_spawn_seconds = 0
c.SandboxSpawner.use_internal_ip = True
c.SandboxSpawner.cmd = ["jupyterhub-singleuser"]  # the image's own, which the Docker door would not show
c.SandboxSpawner.pull_policy = "skip"  # images are there, by digest
c.SandboxSpawner.remove = True
c.SandboxSpawner.start_timeout = 120
c.SandboxSpawner.http_timeout = 30
c.SandboxSpawner.poll_interval = 5  # seconds until a session that was cut counts as stopped

# Pages: our own few, without anything from elsewhere.
c.JupyterHub.default_url = settings.portal_url
c.JupyterHub.template_paths = [str(HERE / "templates")]
c.JupyterHub.template_vars = {"portal_url": settings.portal_url}
c.JupyterHub.authenticate_prometheus = True
c.JupyterHub.tornado_settings = {
    "headers": {
        # no form-action: after the log-in the form's answer leads to the portal's host
        "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
}
