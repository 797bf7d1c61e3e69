"""`python -m sandbox.web.packages list | built --image sha256:… ID…`: what the builder of kernel images asks and tells the portal.

`list` prints JSON `[{"id","ecosystem","name","version"}]` of what is approved and in no image yet. `built` marks them, recorded.
Runs in the portal's container; the running portal ships the record.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sandbox.domain.actor import service
from sandbox.domain.clock import system_clock
from sandbox.domain.errors import Refusal
from sandbox.domain.messages import text
from sandbox.services import packages
from sandbox.services.context import Context, Decision
from sandbox.settings import Settings
from sandbox.store.db import Database, open_engine
from sandbox.store.tables import PackageRequest


class NoPolicy:
    """Nothing here is decided by policy: people have decided before, and this process is the portal's own."""

    def decide(self, package: str, facts: Any, /) -> Decision:
        """Refuse to be asked."""
        raise NotImplementedError(package)


def listed(database: Database, now: datetime) -> list[dict[str, str]]:
    """Return what is approved and in no image yet."""
    with database.reading() as db:
        return [shown(one) for one in packages.approved(Context(db, service("portal"), now, NoPolicy()))]


def mark_built(database: Database, now: datetime, image: str, ids: Sequence[str]) -> list[dict[str, str]]:
    """Note that `image` has them."""
    with database.writing() as db:
        return [shown(one) for one in packages.built(Context(db, service("portal"), now, NoPolicy()), ids, image=image)]


def shown(one: PackageRequest) -> dict[str, str]:
    """Return a package as the builder wants it."""
    return {"id": one.id, "ecosystem": one.ecosystem, "name": one.name, "version": one.version}


def main(argv: Sequence[str] | None = None) -> int:
    """Run; exit 0 when done, 1 when refused (the reason is on stderr)."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.web.packages")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="approved, in no image yet")
    mark = verbs.add_parser("built", help="note that an image has them")
    mark.add_argument("--image", required=True, help="sha256:…")
    mark.add_argument("ids", nargs="+")
    given = parser.parse_args(argv)
    database, now = Database(open_engine(Settings.from_env().database_url)), system_clock()
    try:
        answer = listed(database, now) if given.verb == "list" else mark_built(database, now, given.image, given.ids)
    except Refusal as refusal:
        print(json.dumps({"code": refusal.code, "message": text(refusal.code, **refusal.params)}, ensure_ascii=False), file=sys.stderr)  # noqa: T201 - a command's answer
        return 1
    print(json.dumps(answer))  # noqa: T201 - a command's answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
