import hashlib
import json
import os
import stat

import pytest

from sandbox.deploy import state
from sandbox.deploy.steps import SetupError
from sandbox.domain.uids import UIDS
from sandbox.settings import Settings

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="directories of several users need root")


@pytest.fixture
def made(tmp_path):
    return state.init(tmp_path / "home", demo=True)


def owner_and_mode(path):
    seen = path.stat()
    return seen.st_uid, stat.S_IMODE(seen.st_mode)


def files(home):
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_a_second_init_changes_nothing(made):
    before = files(made.home)
    assert state.init(made.home) == made
    assert files(made.home) == before


@pytest.mark.parametrize("holder", ["hub", "portal", "opa", "log", "warden"])
def test_secrets_are_readable_for_their_holder_only(made, holder):
    uid = UIDS.get(holder, 0)
    assert owner_and_mode(made.home / "secrets" / holder) == (uid, 0o700)
    for path in (made.home / "secrets" / holder).rglob("*"):
        assert owner_and_mode(path) == (uid, 0o700 if path.is_dir() else 0o600)


def test_each_token_is_accepted_by_its_peer_and_no_token_is_used_twice(made):
    secrets = made.home / "secrets"
    tokens = {pair: (secrets / pair[0] / f"{pair[1]}.token").read_text() for pair in state.PAIRS}
    assert len(set(tokens.values())) == len(tokens)
    for (holder, peer), token in tokens.items():
        if peer in state.HOLDERS:
            assert (secrets / peer / "accepts" / f"{holder}.sha256").read_text() == hashlib.sha256(token.encode()).hexdigest()


def test_settings_find_the_tokens(made):
    env = {"DATASANDBOX_HOME": str(made.home), "DATASANDBOX_RUN": str(made.run), "DATASANDBOX_ID": made.id}
    settings = Settings.from_env(env)
    assert hashlib.sha256(settings.token("hub", "warden").encode()).hexdigest() == settings.accepts("warden")["hub"]
    assert set(settings.accepts("log")) == {"hub", "portal", "warden"}


def test_the_public_keys_fit_the_private_ones(made):
    secrets = made.home / "secrets"
    assert (secrets / "warden/launch.pub").read_bytes() == (secrets / "log/launch.pub").read_bytes()
    assert (secrets / "portal/log.vkey").read_text() == (made.home / "audit/log.vkey").read_text()
    assert f"datasandbox-{made.id}" in (made.home / "audit/log.vkey").read_text()


@pytest.mark.parametrize(
    ("url", "code"), [("https://data.example.org", "demo_not_loopback"), ("http://data.example.org", "bad_url"), ("x", "bad_url")]
)
def test_the_demonstration_runs_on_loopback_names_only(tmp_path, url, code):
    with pytest.raises(SetupError) as refused:
        state.init(tmp_path, url=url, demo=True)
    assert refused.value.code == code
    assert not (tmp_path / "secrets").exists()


def test_a_damaged_deployment_file_is_not_taken_for_a_new_deployment(made):
    made.file.write_text(json.dumps({"id": "x"})[:-3])
    with pytest.raises(SetupError) as refused:
        state.init(made.home)
    assert refused.value.code == "state_damaged"
