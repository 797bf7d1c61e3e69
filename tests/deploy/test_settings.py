from pathlib import Path

import pytest

from sandbox.settings import Settings, SettingsError

ENV = {"DATASANDBOX_HOME": "/srv/x", "DATASANDBOX_RUN": "/run/datasandbox/0a1b2c3d", "DATASANDBOX_ID": "0a1b2c3d"}


def test_addresses_follow_from_one_url():
    settings = Settings.from_env(ENV | {"DATASANDBOX_URL": "http://sandbox.localhost:8123/"})
    assert settings.host == "sandbox.localhost"
    assert settings.port == 8123
    assert settings.portal_url == "http://portal.sandbox.localhost:8123/services/portal/"
    assert settings.sandbox_url("li", "s1") == "http://li.sandbox.localhost:8123/user/li/s1/"


def test_without_a_database_address_it_is_sqlite_under_the_home():
    assert Settings.from_env(ENV).database_url == "sqlite:////srv/x/db/portal.sqlite"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATASANDBOX_HOME", ""),
        ("DATASANDBOX_HOME", "var"),
        ("DATASANDBOX_ID", ""),
        ("DATASANDBOX_URL", "http://data.example.org"),
        ("DATASANDBOX_URL", "http://localhost:8000"),
        ("DATASANDBOX_URL", "sandbox.localhost"),
        ("DATASANDBOX_URL", "https://data.example.org/path"),
        ("DATASANDBOX_WORKSPACE", "tmpfs"),
        ("DATASANDBOX_WORKSPACE_BYTES", "2G"),
        ("DATASANDBOX_WORKSPACE_INODES", "1"),
    ],
)
def test_a_wrong_setting_is_named(name, value):
    with pytest.raises(SettingsError, match=name):
        Settings.from_env(ENV | {name: value})


def test_a_missing_secret_says_how_it_is_made(tmp_path: Path):
    settings = Settings.from_env(ENV | {"DATASANDBOX_HOME": str(tmp_path)})
    with pytest.raises(SettingsError, match="sandbox init"):
        settings.token("hub", "log")
