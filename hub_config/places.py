"""Where a log-in comes from: an address that is one client's, and a browser that logged in before.

What reaches the proxy through Docker's own gateway, or comes from a container, has an address that many people share: then it is none,
or one visitor's failures would be everybody's.
"""

import ipaddress
import logging
import secrets
from typing import Any

from hub_config.peers import PeerError, ask_networks
from sandbox.settings import Settings

COOKIE = "portal-device"
DAYS = 30  # as `accounts.KNOWN`
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_known: dict[str, tuple[Network, ...]] = {}
_log = logging.getLogger(__name__)


async def address_of(handler: Any) -> str:
    """Return the client's address as the proxy saw it, or "" when it is a gateway's, a container's or this machine's."""
    try:
        address = ipaddress.ip_address(handler.request.remote_ip or "")
    except ValueError:
        return ""
    if address.is_loopback or address.is_unspecified:
        return ""
    try:
        ours = await networks(Settings.from_env())
    except (PeerError, ValueError):
        _log.warning("the warden did not tell the networks: this log-in counts as from no address")
        return ""
    return "" if any(address in network for network in ours) else str(address)


async def networks(settings: Settings) -> tuple[Network, ...]:
    """Return the networks of this deployment: their gateways are the host, their members our own containers.

    Asked once: they are older than the hub and outlive it; a failure is not kept.
    """
    if settings.id not in _known:
        _known[settings.id] = tuple(ipaddress.ip_network(subnet) for subnet in await ask_networks(settings))
    return _known[settings.id]


def device_of(handler: Any) -> tuple[str, bool]:
    """Return the id of a browser, and whether it is new here: one that logged in before has a cookie that the hub signed."""
    value = handler.get_signed_cookie(COOKIE, max_age_days=DAYS)
    return (value.decode("ascii", "ignore"), False) if value else (secrets.token_urlsafe(24), True)


def remember(handler: Any, device: str) -> None:
    """Let this browser be known at its next log-in; the cookie says nothing about the person and logs nobody in."""
    handler.set_signed_cookie(
        COOKIE,
        device,
        expires_days=DAYS,
        path=handler.hub.base_url,
        httponly=True,
        samesite="Lax",
        secure=handler.request.protocol == "https",
    )
