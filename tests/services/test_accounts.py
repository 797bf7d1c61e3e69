from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select
from world import PASSWORD

from sandbox.services import accounts
from sandbox.store.tables import Outbox, Person, WebSession


def attempt(world, **changed):
    given = {"login": "researcher", "password": PASSWORD, "otp": None, "address": "198.51.100.7", "demo": True, **changed}
    with world.database.writing() as db:
        outcome = accounts.authenticate(db, world.now, **given)
        return outcome.code or outcome.person.login


def code_of(world, login="researcher"):
    with world.database.reading() as db:
        return pyotp.TOTP(db.scalars(select(Person).where(Person.login == login)).one().totp_secret).at(world.now)


def test_the_right_password_logs_in_and_a_wrong_one_does_not(world):
    assert attempt(world) == "researcher"
    assert attempt(world, password="wrong password") == "login_failed"
    assert attempt(world, login="nobody") == "login_failed"


def test_an_unknown_name_costs_a_hash_as_a_known_one_does(world, monkeypatch):
    calls = []
    monkeypatch.setattr(accounts, "HASHER", type("Hasher", (), {"verify": lambda _, digest, given: calls.append(digest)})())
    attempt(world, login="nobody")
    attempt(world, login="researcher", password="wrong password")
    assert len(calls) == 2


def test_outside_the_demo_a_code_is_needed_and_counts_once(world):
    assert attempt(world, demo=False) == "login_failed"
    code = code_of(world)
    assert attempt(world, demo=False, otp=code) == "researcher"
    assert attempt(world, demo=False, otp=code) == "login_failed"
    world.later(seconds=30)
    assert attempt(world, demo=False, otp=code) == "login_failed"
    assert attempt(world, demo=False, otp=code_of(world)) == "researcher"


def test_a_code_of_long_ago_is_refused(world):
    code = code_of(world)
    world.later(minutes=5)
    assert attempt(world, demo=False, otp=code) == "login_failed"


@pytest.mark.parametrize("login", ["researcher", "nobody"])
def test_five_failures_lock_the_account_known_or_not_for_a_while(world, login):
    assert {attempt(world, login=login, password="wrong password") for _ in range(5)} == {"login_failed"}
    assert attempt(world, login=login) == "login_locked"
    world.later(minutes=16)
    assert attempt(world, login=login) == ("researcher" if login == "researcher" else "login_failed")


def test_many_failures_lock_the_address_for_every_account(world, monkeypatch):
    monkeypatch.setitem(accounts.LIMITS, "address", 6)
    for n in range(accounts.LIMITS["address"]):
        attempt(world, login=f"guess{n}", password="wrong password")
    assert attempt(world) == "login_locked"
    assert attempt(world, address="198.51.100.8") == "researcher"


def test_what_an_unknown_person_typed_as_a_name_is_not_recorded(world):
    attempt(world, login="my secret password")
    with world.database.reading() as db:
        row = db.scalars(select(Outbox).where(Outbox.kind == "login.failed")).one()
        assert (row.refs, row.data) == ({}, {"address": "198.51.100.7"})


def test_a_web_session_lives_until_it_ends_or_expires_or_the_person_is_inactive(world):
    tokens = []
    for _ in range(3):
        with world.database.writing() as db:
            tokens.append(accounts.start_session(db, world.now, accounts.by_login(db, "researcher"))[0])
    with world.database.writing() as db:
        assert accounts.session(db, tokens[0], world.now).person.login == "researcher"
        assert accounts.session(db, "other", world.now) is None
        accounts.end_session(db, world.now, tokens[0])
        accounts.end_session(db, world.now, "other")
        assert accounts.session(db, tokens[0], world.now) is None
        assert accounts.session(db, tokens[1], world.now + timedelta(hours=8)) is None
        db.scalars(select(Person).where(Person.login == "researcher")).one().active = False
        assert accounts.session(db, tokens[1], world.now) is None
        assert accounts.by_login(db, "researcher") is None


def test_the_token_itself_is_not_stored(world):
    with world.database.writing() as db:
        token, row = accounts.start_session(db, world.now, accounts.by_login(db, "researcher"))
        assert token not in {row.token_hash, row.csrf}
        assert db.get(WebSession, token) is None
