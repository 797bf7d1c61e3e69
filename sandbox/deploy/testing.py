"""`make test`: everything, on real parts, with a plain closing line."""

import subprocess
import sys
import xml.etree.ElementTree as ET  # the file is our own

from sandbox.deploy import compose, host
from sandbox.deploy.steps import CACHE, CHECKOUT, say


def run_tests(arguments: list[str]) -> int:
    """Set up, run pytest with `arguments`, print `N passed, N failed`, and stop the engine if this started it; return the exit code."""
    started = host.engine()
    try:
        compose.setup(tests=True)
        report = CACHE / "tests.xml"
        report.unlink(missing_ok=True)
        code = subprocess.run([sys.executable, "-m", "pytest", f"--junitxml={report}", *arguments], check=False, cwd=CHECKOUT).returncode
        if report.exists():
            say(closing(report.read_text()))
        return code
    finally:
        if started:
            host.stop_engine()


def closing(xml: str) -> str:
    """Return the closing line of a JUnit report; errors outside of tests count as failed."""
    suites = list(ET.fromstring(xml).iter("testsuite"))  # noqa: S314 - pytest wrote it for us just now
    total, bad, skipped = (sum(int(suite.get(name, "0")) for suite in suites) for name in ("tests", "failures", "skipped"))
    bad += sum(int(suite.get("errors", "0")) for suite in suites)
    return f"{total - bad - skipped} passed, {bad} failed, {skipped} skipped"
