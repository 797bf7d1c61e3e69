"""Where a log-in comes from: what many people share is no place, and a browser is known by a cookie that only the hub can make."""

import asyncio
from types import SimpleNamespace

import pytest
from tornado.web import create_signed_value, decode_signed_value

from hub_config import places
from hub_config.peers import PeerError


class Warden:
    """The warden's answer about networks."""

    down = False
    asked = 0


async def ask_networks(_settings):
    Warden.asked += 1
    if Warden.down:
        raise PeerError("warden_unavailable", 503)
    return ["172.20.0.0/16"]


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    places._known.clear()
    monkeypatch.setattr(places, "ask_networks", ask_networks)
    monkeypatch.setattr(Warden, "down", False)
    monkeypatch.setattr(places.Settings, "from_env", lambda: SimpleNamespace(id="0123abcd"))


def address(remote):
    return asyncio.run(places.address_of(SimpleNamespace(request=SimpleNamespace(remote_ip=remote))))


@pytest.mark.parametrize("remote", ["172.20.0.1", "172.20.3.4", "127.0.0.1", "::1", "", None, "unix"])
def test_an_address_that_many_share_is_none(remote):
    assert not address(remote)


@pytest.mark.parametrize("remote", ["198.51.100.7", "10.1.2.3", "172.21.0.1", "2001:db8::1"])
def test_a_clients_own_address_is_one(remote):
    assert address(remote) == remote


def test_without_the_wardens_answer_no_address_counts_and_it_is_asked_again_until_it_is_known(monkeypatch):
    monkeypatch.setattr(Warden, "down", True)
    assert not address("198.51.100.7")
    monkeypatch.setattr(Warden, "down", False)
    assert address("198.51.100.7") == "198.51.100.7"
    asked = Warden.asked
    assert not address("172.20.0.1")
    assert Warden.asked == asked


class Handler:
    """A request's cookies, signed as tornado does."""

    hub = SimpleNamespace(base_url="/hub/")
    request = SimpleNamespace(protocol="http")

    def __init__(self, secret, jar=None):
        self.secret, self.jar, self.flags = secret, jar or {}, {}

    def set_signed_cookie(self, name, value, **flags):
        self.jar[name], self.flags = create_signed_value(self.secret, name, value), flags

    def get_signed_cookie(self, name, max_age_days):
        return decode_signed_value(self.secret, name, self.jar.get(name), max_age_days=max_age_days)


def test_a_browser_is_known_again_by_the_hubs_own_signature_only():
    first = Handler("s" * 32)
    device, new = places.device_of(first)
    assert new
    places.remember(first, device)
    assert first.flags["httponly"]
    assert first.flags["path"] == "/hub/"
    assert places.device_of(Handler("s" * 32, first.jar)) == (device, False)
    assert places.device_of(Handler("t" * 32, first.jar))[1]
    assert places.device_of(Handler("s" * 32, {places.COOKIE: device}))[1]
