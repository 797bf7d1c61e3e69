"""B18: how long `make demo` took, read from its own report; nothing is run again."""

import json
from pathlib import Path

from bench.figures import Figure
from sandbox.deploy.steps import SetupError

FIRST_SECONDS, AGAIN_SECONDS = 720, 60


def demo_time(home: Path) -> Figure:
    """Return how long the last run took; SetupError `no_report` when there is none that went well."""
    path = home / "demo" / "took.json"
    try:
        took = json.loads(path.read_text())
        seconds, first, well, up = float(took["seconds"]), took["first"] is True, took["ok"] is True, took["up"] is True
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError("no_report", f"{path} cannot be read: {error}", "run `make demo`") from error
    if not (well and up):
        raise SetupError("no_report", f"{path}: the last run was not whole, or a step of it failed", "run `make demo` again")
    run, bound = ("first", FIRST_SECONDS) if first else ("second", AGAIN_SECONDS)
    how = "demo/took.json: from the start of make to the end of step 10, with what had to be installed, built and started"
    return Figure("B18", f"make demo, {run} run", seconds, None, "s", f"<= {bound}", 1, how)
