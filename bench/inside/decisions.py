"""B12, run in the portal's container as `python - < this`: a decision by the portal's own client against a plain http.client round trip.

Facts go in the input, read from the database for each decision: on a copy of it (in /tmp) with 10 and with 10,000 agreements.
Prints JSON: name -> seconds of each call.
"""

import http.client
import json
import os
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from sandbox.adapters.opa import Policy
from sandbox.services import agreements as agreed

ROUNDS, WARM_UP = 300, 30
COPY = Path("/tmp/bench.sqlite")  # noqa: S108 - the container's own, and a file system in memory
home = Path(os.environ["DATASANDBOX_HOME"])
token = (home / "secrets" / "portal" / "opa.token").read_text().strip()
policy = Policy("http://opa:8181", token)
plain = http.client.HTTPConnection("opa", 8181)


def copy() -> str:
    """Copy the portal's database; return the project whose agreement is in force."""
    with sqlite3.connect(f"file:{home}/db/portal.sqlite?mode=ro", uri=True) as source, sqlite3.connect(COPY) as target:
        source.backup(target)
        found = target.execute("SELECT project_id FROM agreement WHERE state = 'active' ORDER BY created DESC LIMIT 1").fetchone()
        target.execute("DELETE FROM agreement WHERE project_id <> ?", found)
    return str(found[0])


def fill(count: int) -> None:
    """Bring the copy to `count` agreements: others' copies of the one that is there."""
    with sqlite3.connect(COPY) as target:
        columns = [row[1] for row in target.execute("PRAGMA table_info(agreement)")]
        own = {"id", "application_id", "project_id"}
        values = ", ".join("lower(hex(randomblob(6)))" if name in own else f'"{name}"' for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        (have,) = target.execute("SELECT count(*) FROM agreement").fetchone()
        for _ in range(count - have):
            target.execute(f"INSERT INTO agreement ({names}) SELECT {values} FROM agreement ORDER BY created LIMIT 1")  # noqa: S608 - names of columns


def facts(project: str) -> dict[str, Any]:
    """Return the input of sandbox.session, its agreements read now."""
    now = datetime.now(UTC)
    with Session(engine) as db:
        found = [agreed.policy_facts(one, now) for one in agreed.of_project(db, project)]
    return {
        "now": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "person": {"login": "researcher", "active": True, "roles": [{"role": "researcher", "body": None, "body_kind": None}]},
        "project": {"id": project, "member": True, "state": "active"},
        "agreements": found,
        "server": {"requested": True, "owner": True},
        "live_sandboxes": 0,
    }


def ask(question: dict[str, Any]) -> None:
    """Ask as the portal does."""
    decision = policy.decide("sandbox.session", question)
    if not decision.allow:
        raise SystemExit(f"denied: {decision.reasons}")


def trip(body: str) -> None:
    """Ask by the standard library alone, on a kept connection."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    plain.request("POST", "/v1/data/sandbox/session/decision", body, headers)
    if json.loads(plain.getresponse().read())["result"]["allow"] is not True:
        raise SystemExit("denied")


def rounds(**acts: Callable[[], None]) -> dict[str, list[float]]:
    """Return the seconds of each act, done in turn."""
    took: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(WARM_UP + ROUNDS):
        for name, act in acts.items():
            begun = time.perf_counter()
            act()
            if number >= WARM_UP:
                took[name].append(time.perf_counter() - begun)
    return took


project = copy()
engine = create_engine(f"sqlite:///{COPY}")
question = facts(project)
found = rounds(ours=lambda: ask(question), peer=lambda: trip(json.dumps({"input": question})))
for count in (10, 10_000):
    fill(count)
    found |= rounds(**{str(count): lambda: ask(facts(project))})
engine.dispose()
COPY.unlink()
print(json.dumps(found))
