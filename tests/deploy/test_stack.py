"""The deployment as it runs: users, rights, networks, images."""

import json
import subprocess

import pytest

from sandbox.deploy import host
from sandbox.deploy.demo import own_addresses
from sandbox.domain.uids import UIDS

pytestmark = [pytest.mark.docker, pytest.mark.e2e]
SERVICES = ("proxy", "hub", "portal", "opa", "log", "warden")


def inspect(name):
    return json.loads(subprocess.run([host.docker(), "inspect", name], check=True, capture_output=True, text=True).stdout)[0]


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_its_user_and_no_more_rights_than_named(stack, service):
    seen = inspect(stack.container(service))
    options = seen["HostConfig"]
    if service != "warden":
        assert seen["Config"]["User"] == f"{UIDS[service]}:{UIDS[service]}"
        assert not options["CapAdd"]
    assert options["ReadonlyRootfs"]
    assert options["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in options["SecurityOpt"]
    assert not options["Privileged"]


@pytest.mark.parametrize("service", ["hub", "portal", "log"])
def test_each_service_sees_only_its_own_secrets(stack, service):
    sources = [mount["Source"] for mount in inspect(stack.container(service))["Mounts"]]
    assert [source for source in sources if "/secrets" in source] == [str(stack.home / "secrets" / service)]


def test_only_the_proxy_is_published_and_on_loopback(stack):
    published = {service: inspect(stack.container(service))["HostConfig"]["PortBindings"] for service in SERVICES}
    assert {service for service, ports in published.items() if ports} == {"proxy"}
    assert [binding["HostIp"] for bindings in published["proxy"].values() for binding in bindings] == ["127.0.0.1"]


def test_no_service_but_the_proxy_has_a_way_out(stack):
    for service in ("hub", "portal", "log"):
        argv = [host.docker(), "exec", stack.container(service), "python", "-c", "print(open('/proc/net/route').read())"]
        routes = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()[1:]
        gateways = [line.split()[2] for line in routes if line.split() and line.split()[1] == "00000000"]
        # an address no one has: inhibit_ipv4 gave the bridge none
        for gateway in gateways:
            address = ".".join(str(byte) for byte in reversed(bytes.fromhex(gateway)))
            assert address not in own_addresses()


@pytest.mark.parametrize("image", ["control", "session", "kernel", "data", "proxy"])
def test_no_image_can_build_fetch_or_change_user(stack, image):
    look = "find / -xdev -type f -perm /6000; for c in curl wget gcc cc uv pip pip3 npm; do command -v $c; done; true"
    argv = [
        host.docker(),
        "run",
        "--rm",
        "--network",
        "none",
        "--user",
        "0",
        "--entrypoint",
        "/bin/sh",
        stack.deployment.images[image],
        "-c",
        look,
    ]
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout == ""


def test_the_kernel_image_has_no_rows_of_the_rand_experiment(stack):
    look = "find / -xdev -name '*randhie*' -size +100k; true"
    argv = [host.docker(), "run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", stack.deployment.images["kernel"], "-c", look]
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout == ""
