"""The real application on SQLite with the real services and the real OPA; only the hub's log-in and the log's reader are played."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import select
from world import World

from sandbox.domain.actor import service
from sandbox.domain.clock import stamp
from sandbox.domain.errors import Refusal
from sandbox.services import accounts, agreements, exports, people, sandboxes
from sandbox.services.context import Context
from sandbox.settings import Settings
from sandbox.store import Database
from sandbox.store.tables import Outbox, Sandbox, SandboxSession

URL = "http://sandbox.localhost:8000"
PORTAL = "http://portal.sandbox.localhost:8000"
PREFIX = "/services/portal"
ROLES = ("administrator", "officer", "auditor", "steward", "steward2", "researcher", "researcher2", "reviewer1", "reviewer2")
CSV = "月份,航班数\n一月,27004\n二月,24951\n"


class PlayedOAuth:
    """The hub, saying who the next code stands for."""

    login = "researcher"

    def authorize_url(self, state: str, verifier: str) -> str:
        return f"{URL}/hub/api/oauth2/authorize?" + urlencode({"state": state})

    def login_of(self, code: str, verifier: str) -> str:
        if code != "good":
            raise Refusal("login_failed", status=401)
        return self.login

    def logout_url(self) -> str:
        return f"{URL}/hub/logout"


class PlayedLog:
    """The log as it would be: every committed outbox row is an entry."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.down = False

    def _leaves(self) -> list[dict[str, Any]]:
        if self.down:
            raise Refusal("log_unavailable", status=503)
        with self.database.reading() as db:
            return [
                {
                    "index": index,
                    "leaf": {
                        "v": 1, "source": "portal", "boot": "b", "seq": index, "time": stamp(row.created), "kind": row.kind,
                        "actor": row.actor, "refs": row.refs, "data": row.data,
                        "blobs": [{"name": n, "kind": "text", "size": len(t.encode()), "digest": hashlib.sha256(t.encode()).hexdigest()} for n, t in row.texts.items()],
                    },
                }
                for index, row in enumerate(db.scalars(select(Outbox).order_by(Outbox.id)))
            ]  # fmt: skip

    def entries(self, start: int, count: int, query: Any) -> dict[str, Any]:
        rows = self._leaves()

        def fits(leaf: dict[str, Any]) -> bool:
            return all(
                (leaf["actor"].get("login") if k == "actor" else leaf["refs"].get(k.removeprefix("refs."))) == v for k, v in query.items()
            )

        found = [r for r in rows if r["index"] >= start and fits(r["leaf"])]
        following = found[count]["index"] if len(found) > count else None
        return {"entries": found[:count], "next": following, "size": len(rows)}

    def blob(self, digest: str) -> bytes | None:
        with self.database.reading() as db:
            texts = [t for row in db.scalars(select(Outbox)) for t in row.texts.values()]
        return next((t.encode() for t in texts if hashlib.sha256(t.encode()).hexdigest() == digest), None)

    def head(self) -> dict[str, Any]:
        return {"size": len(self._leaves()), "root": "0" * 64, "checkpoint": "sandbox.example/log\n3\nAAAA\n\n— sandbox.example/log BBBB\n"}


@dataclass
class PlayedRuntime:
    """What `serve.py` would give."""

    settings: Settings
    database: Database
    policy: Any
    world: World
    oauth: PlayedOAuth = field(default_factory=PlayedOAuth)
    recorded: list[int] = field(default_factory=list)
    logged_out: list[str] = field(default_factory=list)
    log_down: bool = False

    def __post_init__(self) -> None:
        self.log = PlayedLog(self.database)

    def clock(self) -> Any:
        return self.world.now

    def after_commit(self) -> None:
        pass

    def log_out(self, sandboxes: Any) -> None:
        self.logged_out += sandboxes

    def wait_recorded(self, outbox_id: int) -> None:
        if self.log_down:
            raise Refusal("log_unavailable", status=503)
        self.recorded.append(outbox_id)


def settings_at(home: Path) -> Settings:
    (home / "secrets/portal").mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (home / "secrets/portal/launch.key").write_bytes(key)
    (home / "secrets/portal/certificate.key").write_bytes(key)
    return Settings(
        home=home, run=home, id="0123abcd", url=URL, demo=True, images={"kernel": "sha256:" + "1" * 64, "session": "sha256:" + "2" * 64}
    )


@dataclass
class Seeded:
    """Ids of what the seeded world holds."""

    project: str
    application: str
    waiting: str
    agreement: str
    sandbox: str
    export: str


def seed(world: World, settings: Settings) -> Seeded:
    """A world in the middle of its work: an agreement in force, one waiting application, a running sandbox, an export in review."""
    with world.as_("administrator") as ctx:
        for login in ("reviewer1", "reviewer2"):
            people.create_person(ctx, login=login, name=f"丙{login}", email=f"{login}@example.org", password="long enough for one")
            people.request_role(ctx, login=login, role="reviewer", body="air")
    with world.as_("officer") as ctx:
        for grant in people.grants(ctx, state="requested"):
            people.confirm_role(ctx, grant.id)
    world.dataset()
    agreement = world.prepared()
    with world.as_("researcher") as ctx:
        one = agreements.agreement(ctx, agreement)
        project, application = one.project_id, one.application_id
    waiting = world.submitted()
    sandbox = running(world, project, settings)
    return Seeded(project, application, waiting, agreement, sandbox, export(world, sandbox, settings))


def running(world: World, project: str, settings: Settings) -> str:
    with world.as_("researcher") as ctx:
        sandbox = sandboxes.open_sandbox(ctx, project).id
    with world.database.writing() as db:
        launch = sandboxes.authorise(Context(db, service("hub"), world.now, world.policy), settings, login="researcher", server=sandbox)
        assert not isinstance(launch, Refusal), launch
    with world.runner() as ctx:
        sandboxes.started(ctx, sandbox)
    return sandbox


def export(world: World, sandbox: str, settings: Settings, title: str = "每月航班数") -> str:
    """An export that passed its checks and waits for two reviewers; its bytes are on disk."""
    content = CSV.encode()
    digest = hashlib.sha256(content).hexdigest()
    with world.database.reading() as db:
        boot = db.scalars(select(SandboxSession.boot).join(Sandbox).where(Sandbox.id == sandbox)).one()
    with world.runner() as ctx:
        files = [{"name": "每月.csv", "size": len(content), "sha256": digest}]
        made = exports.create(ctx, sandbox=sandbox, boot=boot, title=title, context="论文表二", check_only=False, files=files).id
        exports.add_file(ctx, sandbox=sandbox, export=made, number=0, size=len(content), sha256=digest)
        exports.submit(ctx, sandbox=sandbox, export=made)
        result = {
            "files": [{"name": "每月.csv", "type": "csv", "size": len(content), "preview": {"columns": ["月份", "航班数"], "rows": [["一月", "27004"], ["二月", "24951"]]}}],
            "findings": [
                {"file": "每月.csv", "code": "export_type_refused", "verdict": "pass", "params": {}},
                {"file": "每月.csv", "code": "raw_rows", "verdict": "pass", "params": {}},
            ],
        }  # fmt: skip
        exports.finish_check(ctx, made, {"ok": True, "errors": [], "result": result})
    folder = settings.home / "exports" / made
    folder.mkdir(parents=True)
    (folder / "0").write_bytes(content)
    return made


def session_for(world: World, login: str) -> tuple[str, str]:
    """Return cookie token and CSRF token of a new session."""
    with world.database.writing() as db:
        person = accounts.by_login(db, login)
        assert person is not None
        token, row = accounts.start_session(db, world.now, person)
        return token, row.csrf
