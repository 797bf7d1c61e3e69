"""B12: a policy decision through opa-python-client, and whether it stays flat as agreements grow."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from bench.figures import Figure, median_ms
from bench.study import Study
from sandbox.deploy.host import docker

SCRIPT = Path(__file__).parent / "inside" / "decisions.py"


async def decisions(study: Study) -> AsyncIterator[Figure]:
    """Measure inside the portal's container, where OPA can be reached."""
    command = [docker(), "exec", "-i", f"{study.deployment.project}-portal", "python", "-"]
    done = await asyncio.to_thread(
        subprocess.run, command, input=SCRIPT.read_text(), capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise ValueError(f"in the portal's container: {done.stderr.strip()[-300:]}")
    took = json.loads(done.stdout)
    middle = {name: median_ms(seconds) for name, seconds in took.items()}
    count = len(took["ours"])
    how = "medians, in turn, kept connections, sandbox.session with one project's facts; from the portal's container"
    yield Figure("B12", "policy decision, against http.client", middle["ours"], middle["peer"], "ms", "<= 1.5x", count, how)
    how = "facts read from SQLite (a copy), then decided; 10,000 agreements in the database against 10"
    yield Figure("B12-flat", "facts and decision as agreements grow", middle["10000"], middle["10"], "ms", "<= 1.2x", count, how)
