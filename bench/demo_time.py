"""B18: how long `make demo` took, read from its own report; nothing is run again."""

import json
from pathlib import Path

from bench.figures import Figure
from sandbox.deploy.steps import SetupError

FIRST_SECONDS, AGAIN_SECONDS = 720, 60


def demo_time(home: Path) -> Figure:
    """Return the sum of the steps of the last run; SetupError `no_report` when there is none that went well."""
    path = home / "demo" / "report.json"
    try:
        steps = json.loads(path.read_text())
        seconds = sum(float(step["seconds"]) for step in steps)
        well = bool(steps) and all(step["ok"] for step in steps)
        first = well and steps[0]["evidence"]["first_accounts"] == "made"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError("no_report", f"{path} cannot be read: {error}", "run `make demo`") from error
    if not well:
        raise SetupError("no_report", f"{path}: a step of the last run failed", "run `make demo` again")
    run, bound = ("first", FIRST_SECONDS) if first else ("second", AGAIN_SECONDS)
    how = f"sum of the {len(steps)} steps in demo/report.json; installing and building before them, and starting the stack, are not in it"
    return Figure("B18", f"make demo, {run} run", seconds, None, "s", f"<= {bound}", 1, how)
