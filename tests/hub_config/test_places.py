"""Where a log-in comes from: what many people share is no place, and a browser is known by a cookie that only the hub can make."""

import ipaddress
from types import SimpleNamespace

import docker
import pytest
from docker.errors import DockerException
from tornado.web import create_signed_value, decode_signed_value

from hub_config import places


class Docker:
    """Docker's answer about networks."""

    down = False

    def __init__(self, **_named):
        pass

    def networks(self, filters):
        assert filters == {"label": "datasandbox.deployment=0123abcd"}
        if Docker.down:
            raise DockerException
        return [{"IPAM": {"Config": [{"Subnet": "172.20.0.0/16", "Gateway": "172.20.0.1"}]}}, {"IPAM": {"Config": None}}]

    def close(self):
        pass


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    places.networks.cache_clear()
    monkeypatch.setattr(docker, "APIClient", Docker)
    monkeypatch.setattr(Docker, "down", False)
    monkeypatch.setattr(places.Settings, "from_env", lambda: SimpleNamespace(id="0123abcd"))


def address(remote):
    return places.address_of(SimpleNamespace(request=SimpleNamespace(remote_ip=remote)))


@pytest.mark.parametrize("remote", ["172.20.0.1", "172.20.3.4", "127.0.0.1", "::1", "", None, "unix"])
def test_an_address_that_many_share_is_none(remote):
    assert not address(remote)


@pytest.mark.parametrize("remote", ["198.51.100.7", "10.1.2.3", "172.21.0.1", "2001:db8::1"])
def test_a_clients_own_address_is_one(remote):
    assert address(remote) == remote


def test_without_dockers_answer_no_address_counts_and_it_is_asked_again(monkeypatch):
    monkeypatch.setattr(Docker, "down", True)
    assert not address("198.51.100.7")
    monkeypatch.setattr(Docker, "down", False)
    assert address("198.51.100.7") == "198.51.100.7"
    assert places.networks("0123abcd") == (ipaddress.ip_network("172.20.0.0/16"),)


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
