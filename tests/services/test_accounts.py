from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select
from world import CHEAP, PASSWORD

from sandbox.services import accounts
from sandbox.store import Database, open_engine
from sandbox.store.tables import Outbox, Person, WebSession


@pytest.fixture(autouse=True)
def cheap_dummy(monkeypatch):
    monkeypatch.setattr(accounts, "_DUMMY", CHEAP.hash("nobody's"))


def tried(world, **changed):
    given = {"login": "researcher", "password": PASSWORD, "otp": None, "address": "198.51.100.7", "demo": True, **changed}
    with world.database.writing() as db:
        outcome = accounts.authenticate(db, world.now, **given)
        if outcome.person:
            assert outcome.person.login == given["login"]
        return outcome


def attempt(world, **changed):
    return tried(world, **changed).code or changed.get("login", "researcher")


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
def test_five_failures_from_one_place_lock_the_account_there_known_or_not_for_a_while(world, login):
    assert {attempt(world, login=login, password="wrong password") for _ in range(5)} == {"login_failed"}
    world.later(seconds=120)
    assert attempt(world, login=login) == "login_locked"
    world.later(minutes=16)
    assert attempt(world, login=login) == ("researcher" if login == "researcher" else "login_failed")


@pytest.mark.parametrize("login", ["researcher", "nobody"])
@pytest.mark.parametrize("address", ["", "198.51.100.{}"])
def test_guessing_is_slowed_wherever_it_comes_from(world, login, address):
    """Ten failures cannot be followed by an eleventh try at once, not even with the right password; the wait is bounded."""
    waits = []
    for n in range(10):
        outcome = tried(world, login=login, password="wrong password", address=address.format(n))
        assert outcome.code == "login_failed"
        waits.append(tried(world, login=login, address="").seconds if n >= 4 else 0)
        world.later(seconds=waits[-1])
    assert waits[4:] == [1, 2, 4, 8, 16, 32]
    tried(world, login=login, password="wrong password", address="")
    outcome = tried(world, login=login, address=address.format(77))
    assert (outcome.code, outcome.seconds) == ("login_locked", 60)
    world.later(seconds=60)
    assert attempt(world, login=login, address="") == ("researcher" if login == "researcher" else "login_failed")


@pytest.mark.parametrize("place", [{"address": "198.51.100.7"}, {"address": "", "device": "a browser"}])
def test_during_an_attack_from_elsewhere_the_person_gets_in_from_where_they_did_before(world, place):
    assert attempt(world, **place) == "researcher"
    world.later(days=29)
    for n in range(20):
        attempt(world, password="wrong password", address=f"203.0.113.{n}")
    assert attempt(world, address="203.0.113.99") == "login_locked"
    assert attempt(world, address="") == "login_locked"
    assert attempt(world, **place) == "researcher"
    world.later(days=31)
    for n in range(20):
        attempt(world, password="wrong password", address=f"203.0.113.{n}")
    assert attempt(world, **place) == "login_locked"


def test_a_browser_is_known_from_its_first_log_in_on(world):
    assert attempt(world, address="", device="one", device_new=True) == "researcher"
    for _ in range(6):
        attempt(world, password="wrong password", address="", device="another", device_new=True)
    assert attempt(world, address="", device="another", device_new=True) == "login_locked"
    assert attempt(world, address="", device="one") == "researcher"


def test_a_known_place_of_one_account_is_none_of_another(world):
    assert attempt(world, login="researcher2") == "researcher2"
    for _ in range(5):
        attempt(world, password="wrong password", address="203.0.113.1")
    assert attempt(world) == "login_locked"


def test_a_known_place_is_not_free_to_guess_from(world):
    assert attempt(world) == "researcher"
    assert [attempt(world, password="wrong password") for _ in range(6)] == ["login_failed"] * 5 + ["login_locked"]


def test_many_unknown_names_lock_their_address_for_strangers_only(world, monkeypatch):
    monkeypatch.setattr(accounts, "UNKNOWN_LIMIT", 6)
    assert attempt(world) == "researcher"
    for n in range(6):
        attempt(world, login=f"guess{n}", password="wrong password")
    assert attempt(world, login="guess77") == "login_locked"
    assert attempt(world, login="researcher2") == "login_locked"
    assert attempt(world) == "researcher"
    assert attempt(world, login="researcher2", address="198.51.100.8") == "researcher2"


def test_many_unknown_names_from_a_shared_address_lock_nobody_else(world, monkeypatch):
    monkeypatch.setattr(accounts, "UNKNOWN_LIMIT", 6)
    for n in range(60):
        attempt(world, login=f"guess{n}", password="wrong password", address="")
    assert attempt(world, address="") == "researcher"


def test_what_was_counted_survives_a_restart(world):
    for _ in range(5):
        attempt(world, password="wrong password", address="")
    world.database = Database(open_engine(world.database.engine.url.render_as_string(hide_password=False)))
    assert attempt(world, address="") == "login_locked"
    world.database.engine.dispose()


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
