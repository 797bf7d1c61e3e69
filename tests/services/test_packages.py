"""Packages for the image: policy first, then a person who did not ask, then an image; on both databases, with the real policy."""

import json

import pytest
from sqlalchemy import select
from test_at_once import both
from test_sandboxes import policy

from sandbox.domain.clock import stamp
from sandbox.domain.errors import Refusal
from sandbox.services import packages
from sandbox.settings import Settings
from sandbox.store.tables import Outbox, PackageRequest
from sandbox.web import packages as command

__all__ = ["policy"]
pytestmark = pytest.mark.opa
IMAGE = "sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def real_policy(world, policy):
    world.policy = policy


def asked(world, name="Lifelines", version="0.30.0", ecosystem="pypi", who="researcher"):
    with world.as_(who) as ctx:
        return packages.ask(ctx, ecosystem=ecosystem, name=name, version=version, reason="生存分析").id


def refusal_of(act):
    with pytest.raises(Refusal) as refusal:
        act()
    return refusal.value.code, refusal.value.status


def decided(world, request, who="administrator", answer="approve"):
    with world.as_(who) as ctx:
        return packages.decide(ctx, request, answer=answer, reason="常用的库").state.value


def test_from_the_request_to_the_image(world):
    one = asked(world)
    with world.as_("administrator") as ctx:
        assert [p.id for p in packages.requests(ctx, inbox=True)] == [one]
    assert command.listed(world.database, world.now) == [], "nothing is built that nobody approved"
    assert decided(world, one) == "approved"
    assert command.listed(world.database, world.now) == [{"id": one, "ecosystem": "pypi", "name": "lifelines", "version": "0.30.0"}]
    command.mark_built(world.database, world.now, IMAGE, [one])
    command.mark_built(world.database, world.now, IMAGE, [one])
    assert command.listed(world.database, world.now) == []
    with world.as_("researcher2") as ctx:
        (seen,) = packages.requests(ctx)
        assert (seen.state, seen.image, stamp(seen.built_at)) == ("built", IMAGE, stamp(world.now))
    with world.database.reading() as db:
        kinds = [row.kind for row in db.scalars(select(Outbox).order_by(Outbox.id)) if row.kind.startswith("package.")]
    assert kinds == ["package.asked", "package.decided", "package.built"]


@pytest.mark.parametrize(
    ("name", "version", "ecosystem", "code"),
    [
        ("left-pad", "1.0", "npm", "package_ecosystem_unknown"),
        ("xmrig", "1.0", "pypi", "package_denied"),
        ("Scapy", "2.6.1", "pypi", "package_denied"),
        ("nmap", "7.93", "debian", "package_denied"),
        ("git+https://example.org/x", "1.0", "pypi", "package_name_invalid"),
        ("x --index-url http://example.org", "1.0", "pypi", "package_name_invalid"),
        ("lifelines", ">=0.1", "pypi", "package_version_invalid"),
    ],
)
def test_what_policy_refuses_never_reaches_a_person(world, name, version, ecosystem, code):
    assert refusal_of(lambda: asked(world, name, version, ecosystem)) == (code, 403)
    with world.database.reading() as db:
        assert db.scalars(select(PackageRequest)).all() == []


def test_a_package_is_asked_for_once_by_its_own_name(world):
    one = asked(world, "Scikit_Image", "0.25.0")
    assert refusal_of(lambda: asked(world, "scikit-image", "0.25.0", who="researcher2")) == ("package_known", 409)
    decided(world, one, answer="reject")
    assert asked(world, "scikit-image", "0.25.0") != one


@pytest.mark.parametrize(("who", "code"), [("researcher", "own_request"), ("officer", "role_missing"), ("steward", "not_visible")])
def test_only_an_administrator_decides(world, who, code):
    one = asked(world)
    assert refusal_of(lambda: decided(world, one, who))[0] == code
    assert refusal_of(lambda: asked(world, "pm4py", "2.7.1", who="administrator")) == ("role_missing", 403)


def test_an_approval_can_be_taken_back_until_it_is_built(world):
    one = asked(world)
    decided(world, one)
    assert decided(world, one, answer="reject") == "rejected"
    with pytest.raises(Refusal) as refusal:
        command.mark_built(world.database, world.now, IMAGE, [one])
    assert refusal.value.code == "state_conflict"


def test_what_an_image_has_is_named_by_its_digest(world):
    one = asked(world)
    decided(world, one)
    with world.runner() as ctx, pytest.raises(Refusal) as refusal:
        packages.built(ctx, [one], image="latest")
    assert (refusal.value.code, refusal.value.field) == ("field_invalid", "image")
    assert refusal_of(lambda: command.mark_built(world.database, world.now, IMAGE, [one, "0123456789bc"]))[0] == "not_visible"
    assert [p["id"] for p in command.listed(world.database, world.now)] == [one], "all or none"


def test_of_two_decisions_at_once_both_are_told_apart(world):
    one = asked(world)

    def reject(ctx):
        packages.decide(ctx, one, answer="reject", reason="不")

    assert both(world, [("administrator", reject)] * 2) == ["done", "state_conflict"]


def test_the_command_prints_json_and_says_no_with_a_code(world, monkeypatch, capsys):
    one = asked(world)
    decided(world, one)
    url = world.database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setattr(Settings, "from_env", classmethod(lambda _cls: type("Given", (), {"database_url": url})()))
    assert command.main(["list"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"id": one, "ecosystem": "pypi", "name": "lifelines", "version": "0.30.0"}]
    assert command.main(["built", "--image", "x", one]) == 1
    assert json.loads(capsys.readouterr().err)["code"] == "field_invalid"
    assert command.main(["built", "--image", IMAGE, one]) == 0
