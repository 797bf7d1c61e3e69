"""`python -m bench [ID …] [--json FILE]`: measure against the running demonstration, print a table.

Exit 0 when all that was asked for was measured (a goal that is missed is told, not an error), 1 when something could not be, 2 without a
deployment (`no_deployment`).
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from bench.cells import cells
from bench.cutting import cutting
from bench.decisions import decisions
from bench.demo_time import demo_time
from bench.figures import Failure, Figure, table
from bench.many import many
from bench.mounted import mounted
from bench.stock_peer import PeerError
from bench.study import Study, running, study
from sandbox.client import ApiError
from sandbox.deploy.demo import Failed
from sandbox.deploy.state import Deployment
from sandbox.deploy.steps import CHECKOUT, SetupError, say

# What is measured together stands together. Cutting comes last: it ends the sandbox the others work in.
LIVE: tuple[tuple[tuple[str, ...], Callable[[Study], AsyncIterator[Figure]]], ...] = (
    (("B1", "B2"), cells),
    (("B7m",), mounted),
    (("B12",), decisions),
    (("B13",), cutting),
)
MANY = ("B3", "B4", "B5", "B6", "B17")  # on a deployment of the bench's own
ALL = (*(name for names, _ in LIVE for name in names), *MANY, "B18")


async def measure(wanted: Sequence[str], home: Path) -> list[Figure | Failure]:
    """Measure what is wanted; SetupError `no_deployment`. A benchmark that fails is told and the others go on."""
    live = [name for name in wanted if name not in {*MANY, "B18"}]
    deployment = running(home) if live else None
    say(f"· {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before: a busy machine lengthens what passes through more processes")
    found: list[Figure | Failure] = []
    if deployment is not None:
        try:
            await _live(live, deployment, found)
        except (ApiError, Failed) as error:  # before the first or after the last of them: what was measured is told all the same
            found.append(Failure(" ".join(live), error_code(error), f"the bench's own project: {brief(error)}"))
    if asked := [name for name in wanted if name in MANY]:
        say(f"· {' '.join(asked)}: a deployment of the bench's own …")
        found += await _kept(asked, many(home / "bench", asked))
    if "B18" in wanted:
        try:
            found.append(demo_time(home))
        except SetupError as error:
            found.append(Failure("B18", error.code, f"{error}; {error.advice}"))
    return found


async def _live(wanted: Sequence[str], deployment: Deployment, found: list[Figure | Failure]) -> None:
    """Measure what needs a live sandbox, adding to `found` as it comes."""
    async with study(deployment) as made:
        await made.open_sandbox()
        for names, act in LIVE:
            if asked := [name for name in names if name in wanted]:
                say(f"· {' '.join(asked)} …")
                found += await _kept(asked, act(made))


def error_code(error: Exception) -> str:
    """Return the stable code of an error, or its kind."""
    return str(getattr(error, "code", None) or type(error).__name__)


def brief(error: Exception) -> str:
    """Return the first line that says anything; a page of HTML says only that it is one."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return first[:300]


async def _kept(asked: Sequence[str], figures: AsyncIterator[Figure]) -> list[Figure | Failure]:
    """Return those figures that were asked for, or why they are not there."""
    try:
        return [one async for one in figures if one.id.split("-")[0] in asked]
    except (ApiError, Failed, PeerError, SetupError, OSError, KeyError, ValueError, TimeoutError) as error:
        return [Failure(name, error_code(error), brief(error)) for name in asked]


async def _interruptible(wanted: Sequence[str], home: Path) -> list[Figure | Failure]:
    """Clean up when ended by SIGTERM too."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await measure(wanted, home)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks against plain peers, in the same run.")
    parser.add_argument("names", nargs="*", metavar="ID", help=f"which ones (default all): {' '.join(ALL)}")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    home = Path(os.environ.get("DATASANDBOX_HOME") or CHECKOUT / "var")
    parser.add_argument("--home", type=Path, default=home, help="state directory of the running demonstration (default: %(default)s)")
    given = parser.parse_args(argv)
    if unknown := sorted(set(given.names) - set(ALL)):
        parser.error(f"unknown: {' '.join(unknown)}; there are {' '.join(ALL)}")
    try:
        found = asyncio.run(_interruptible(given.names or ALL, given.home.absolute()))
    except SetupError as error:
        print(f"{error.code}: {error}\n  {error.advice}", file=sys.stderr)
        return 2 if error.code == "no_deployment" else 1
    except asyncio.CancelledError:
        return 1
    print(table(found))
    if given.json:
        with contextlib.suppress(FileExistsError):
            given.json.absolute().parent.mkdir(parents=True)
        given.json.write_text(json.dumps([one.as_json() for one in found], ensure_ascii=False, indent=1) + "\n")
    return 1 if any(isinstance(one, Failure) for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
