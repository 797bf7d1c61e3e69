"""The portal with a seeded world, made once and copied for each test."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
for name in ("store", "services", "policies"):
    sys.path.insert(0, str(TESTS / name))

from argon2 import PasswordHasher  # noqa: E402 - the path comes first
from fastapi.testclient import TestClient  # noqa: E402
from opa_server import OPA, PORTAL, free_port, start  # noqa: E402
from portal import PORTAL as ORIGIN  # noqa: E402
from portal import PlayedRuntime, Seeded, seed, session_for, settings_at  # noqa: E402
from world import World  # noqa: E402

from sandbox.adapters.opa import Policy  # noqa: E402
from sandbox.services import accounts, people  # noqa: E402
from sandbox.store import Database, migrate, open_engine  # noqa: E402
from sandbox.web.app import create_app  # noqa: E402


@pytest.fixture(scope="session")
def policy() -> Iterator[Policy]:
    """The real OPA on the real bundle."""
    assert OPA.exists(), f"no OPA at {OPA}: `make setup` builds it"
    server = start(OPA, free_port())
    client = Policy(server.url, PORTAL)
    yield client
    client.close()
    server.process.kill()
    server.process.wait()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, policy: Policy) -> tuple[Path, Seeded]:
    """A seeded home, made once; every test works on a copy."""
    folder = tmp_path_factory.mktemp("template")
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "HASHER", cheap)
        patch.setattr(people, "HASHER", cheap)
        address = f"sqlite:///{folder}/portal.sqlite"
        migrate(address)
        engine = open_engine(address)
        world = World(Database(engine), policy)
        world.people()
        seeded = seed(world, settings_at(folder))
        engine.dispose()
    return folder, seeded


def copied(folder: Path, template: Path, policy: Policy) -> PlayedRuntime:
    shutil.copytree(template, folder, dirs_exist_ok=True)
    database = Database(open_engine(f"sqlite:///{folder}/portal.sqlite"))
    return PlayedRuntime(settings_at(folder), database, policy, World(database, policy))


class Browser:
    """A logged-in browser of this portal."""

    def __init__(self, runtime: PlayedRuntime, login: str | None) -> None:
        self.http = TestClient(create_app(runtime), base_url=ORIGIN, follow_redirects=False, raise_server_exceptions=True)
        self.csrf = ""
        if login:
            token, self.csrf = session_for(runtime.world, login)
            self.http.cookies.set("portal-session", token, domain="portal.sandbox.localhost", path="/services/portal/")

    def get(self, path: str, **named):
        return self.http.get(f"/services/portal{path}", **named)

    def post(self, path: str, data=None, *, csrf=None, origin=ORIGIN, **named):
        headers = {"Origin": origin} if origin else {}
        return self.http.post(
            f"/services/portal{path}", data={"csrf": self.csrf if csrf is None else csrf, **(data or {})}, headers=headers, **named
        )

    def api(self, method: str, path: str, json=None):
        headers = {"Origin": ORIGIN, "X-CSRF-Token": self.csrf}
        return self.http.request(method, f"/services/portal/api/v1{path}", json=json, headers=headers)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {"HOME": tmp_path, "RUN": tmp_path, "ID": "0123abcd", "URL": "http://sandbox.localhost:8000"}.items():
        monkeypatch.setitem(os.environ, f"DATASANDBOX_{name}", str(value))
    return tmp_path


@pytest.fixture
def portal(home: Path, template: tuple[Path, Seeded], policy: Policy) -> tuple[PlayedRuntime, Seeded]:
    return copied(home, template[0], policy), template[1]


@pytest.fixture
def seeded(portal) -> Seeded:
    return portal[1]


@pytest.fixture
def runtime(portal) -> PlayedRuntime:
    return portal[0]


@pytest.fixture
def browse(runtime) -> Callable[..., Browser]:
    return lambda login=None: Browser(runtime, login)


@pytest.fixture(scope="session")
def still(template, policy, tmp_path_factory) -> tuple[PlayedRuntime, Seeded]:
    """A seeded portal that tests only read."""
    return copied(tmp_path_factory.mktemp("still"), template[0], policy), template[1]
