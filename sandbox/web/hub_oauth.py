"""Log-in through the hub: the OAuth 2 code flow with PKCE that `jupyterhub.services.auth.HubOAuth` speaks.

Spoken here in a few lines because that class belongs to tornado's handlers. The hub's token is used once, to learn who
it is, and then forgotten: the portal has its own sessions, and asks its own database at every request.
"""

import base64
import hashlib
from urllib.parse import urlencode

import requests

from sandbox.domain.errors import Refusal

TIMEOUT = (3, 10)  # seconds to connect, to read


class HubOAuth:
    """One OAuth client of the hub. `public_url` is what browsers see, `api_url` ends in `/hub/api` and is the network's name."""

    def __init__(self, *, public_url: str, api_url: str, token: str, redirect_uri: str, client_id: str = "service-portal") -> None:
        self._public_url = public_url.rstrip("/")
        self._api_url = api_url.rstrip("/")
        self._token, self._client_id, self._redirect_uri = token, client_id, redirect_uri

    def authorize_url(self, state: str, verifier: str) -> str:
        """Return where the browser goes to log in; `verifier` is the PKCE secret that stays in the browser's cookie."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = urlencode(
            {
                "client_id": self._client_id,
                "redirect_uri": self._redirect_uri,
                "response_type": "code",
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        return f"{self._public_url}/hub/api/oauth2/authorize?{query}"

    def logout_url(self) -> str:
        """Return the hub's own log-out page."""
        return f"{self._public_url}/hub/logout"

    def login_of(self, code: str, verifier: str) -> str:
        """Exchange `code` and return the login it stands for; `Refusal` when the hub says no (401) or is down (503)."""
        form = {
            "client_id": self._client_id,
            "client_secret": self._token,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        try:
            answer = requests.post(f"{self._api_url}/oauth2/token", data=form, timeout=TIMEOUT)
            if answer.status_code >= 500:
                raise Refusal("hub_unavailable", status=503)
            if not answer.ok:
                raise Refusal("login_failed", status=401)
            token = answer.json()["access_token"]
            user = requests.get(f"{self._api_url}/user", headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT)
            user.raise_for_status()
            return str(user.json()["name"])
        except (requests.RequestException, KeyError, ValueError) as error:
            raise Refusal("hub_unavailable", status=503) from error
