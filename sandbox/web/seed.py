"""`python -m sandbox.web.seed`: the first two accounts of an empty deployment, which nobody could ask for or confirm yet.

Reads `[{"login","name","password","roles":[role],"email"?}]` on stdin, so that no password stands in a command line; works only while there is no person.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sandbox.domain.clock import system_clock
from sandbox.domain.errors import Refusal
from sandbox.domain.messages import text
from sandbox.services.people import Founder, bootstrap
from sandbox.settings import Settings
from sandbox.store.db import Database, open_engine
from sandbox.store.migrate import migrate


def seed_first_accounts(database: Database, people: Sequence[Mapping[str, Any]], now: datetime) -> list[str]:
    """Make the accounts, one platform role each, and their records; return the logins. Refusal `already_set_up` (409) if anyone exists."""
    founders = []
    for one in people:
        (role,) = one["roles"]  # administrator and officer stay apart from the first moment
        email = one.get("email") or f"{one['login']}@example.org"
        founders.append(Founder(login=one["login"], name=one["name"], email=email, password=one["password"], role=role))
    with database.writing() as db:
        return [person.login for person in bootstrap(db, now, founders)]


def main() -> int:
    """Seed; exit 0 when done, 3 when someone exists already, 1 when refused otherwise (the reason is on stderr)."""
    url = Settings.from_env().database_url
    migrate(url)
    try:
        logins = seed_first_accounts(Database(open_engine(url)), json.load(sys.stdin), system_clock())
    except Refusal as refusal:
        print(json.dumps({"code": refusal.code, "message": text(refusal.code, **refusal.params)}, ensure_ascii=False), file=sys.stderr)  # noqa: T201 - a command's answer
        return 3 if refusal.code == "already_set_up" else 1
    print(json.dumps({"made": logins}))  # noqa: T201 - a command's answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
