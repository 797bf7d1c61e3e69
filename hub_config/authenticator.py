"""Log-in: the hub shows the form, the portal knows the people (passwords, one-time codes, lock-out: all there)."""

from http import HTTPStatus
from typing import Any

from jupyterhub.auth import Authenticator
from tornado.web import HTTPError

from hub_config import places
from hub_config.peers import PeerError, ask_portal
from sandbox.domain.fields import LOGIN, RESERVED_LOGINS
from sandbox.settings import Settings

# As the portal makes them: a login is a host name's label below the hub's, and some of those are taken.
USERNAMES = rf"(?!(?:{'|'.join(sorted(RESERVED_LOGINS))})$){LOGIN.pattern}$"


class PortalAuthenticator(Authenticator):
    """Asks the portal's internal log-in and believes its answer only."""

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str:
        """Return the login the portal vouches for; HTTPError with the portal's reason otherwise.

        The portal slows guessing per account and place: an address, or a browser that logged in before (`places.py`).
        """
        device, new = places.device_of(handler)
        body = {
            "login": data.get("username", ""),
            "password": data.get("password", ""),
            "otp": data.get("otp", ""),
            "address": await places.address_of(handler),
            "device": device,
            "device_new": new,
        }
        try:
            answer = await ask_portal(Settings.from_env(), "login", body)
            login = str(answer["login"])
        except PeerError as error:
            refused = error.code.startswith("login_") and error.status < HTTPStatus.INTERNAL_SERVER_ERROR
            raise HTTPError(403 if refused else 503, error.message) from error
        except KeyError as error:
            raise HTTPError(503, PeerError("login_unavailable", 503).message) from error
        places.remember(handler, device)
        return login
