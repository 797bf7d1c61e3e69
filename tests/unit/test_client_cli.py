"""`sandbox run`: passwords of the demonstration, output as it comes, exit 0 or 1."""

import json

import pytest
from click.testing import CliRunner

from sandbox import client_cli
from sandbox.client import ApiError


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/accounts.json").write_text(json.dumps({"researcher": "one", "steward": {"password": "two"}}))
    (tmp_path / "deployment.json").write_text(json.dumps({"url": "http://sandbox.localhost:9"}))
    (tmp_path / "cell.py").write_text("1+1")
    monkeypatch.setenv("DATASANDBOX_HOME", str(tmp_path))
    monkeypatch.delenv("DATASANDBOX_URL", raising=False)
    return tmp_path


def run(home, *arguments: str):
    return CliRunner().invoke(client_cli.run, [*arguments, str(home / "cell.py")])


def test_both_shapes_of_an_account_give_its_password(home):
    assert client_cli.password_of("researcher") == "one"
    assert client_cli.password_of("steward") == "two"


def test_an_unknown_account_names_the_known_ones(home):
    result = run(home, "--user", "nobody")
    assert result.exit_code == 1
    assert "researcher, steward" in result.output


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_outputs_are_printed_and_the_exit_says_whether_it_ran(home, monkeypatch, ok, code):
    async def fake(url, login, password, text, *, project, show):
        assert (url, login, password, text, project) == ("http://sandbox.localhost:9", "researcher", "one", "1+1", "p1")
        show("2\n", end="")
        return ok

    monkeypatch.setattr(client_cli, "run_file", fake)
    result = run(home, "--user", "researcher", "--project", "p1")
    assert (result.output, result.exit_code) == ("2\n", code)


def test_a_refusal_is_printed_with_its_code(home, monkeypatch):
    async def fake(*_, **__):
        raise ApiError("agreement_not_active", "协议未生效", 403)

    monkeypatch.setattr(client_cli, "run_file", fake)
    result = run(home, "--user", "researcher")
    assert result.exit_code == 1
    assert "agreement_not_active: 协议未生效" in result.output
