"""`python -m sandbox.checks TASK`: runs one task and leaves `result.json` as its last act."""

import argparse
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sandbox.checks import importing, package, preparing
from sandbox.checks.engine import Paths, write_json
from sandbox.domain.errors import Refusal

TASKS: dict[str, Callable[[Paths], dict[str, Any]]] = {"import": importing.run, "prepare": preparing.run, "check": package.run}


def _errors(group: BaseException) -> Iterator[dict[str, Any]]:
    if isinstance(group, BaseExceptionGroup):
        for each in group.exceptions:
            yield from _errors(each)
    elif isinstance(group, Refusal):
        yield {"code": group.code, "field": group.field, "line": group.params.get("line"), "params": group.params}
    else:
        raise group


def run(task: str, paths: Paths) -> int:
    """Run a task and write its result; return 0 done, 2 refused (the result says why), 1 broken (never a pass)."""
    code, result = 0, None
    errors: list[dict[str, Any]] = []
    try:
        result = TASKS[task](paths)
    except* Refusal as refused:
        code, errors = 2, list(_errors(refused))
    except* Exception:  # noqa: BLE001 - whatever broke, the portal must learn that it did
        traceback.print_exc(file=sys.stderr)
        code, errors = 1, [{"code": "data_task_failed", "field": None, "line": None, "params": {"task": task}}]
    importing.clean(paths)
    write_json(paths.out / "result.json", {"ok": code == 0, "errors": errors, "result": result})
    return code


def main() -> int:
    """Read the command line; the directories are overridable for tests only."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.checks")
    parser.add_argument("task", choices=sorted(TASKS))
    for option, dest, default in (("--in", "inputs", "/in"), ("--job", "job", "/job"), ("--out", "out", "/out")):
        parser.add_argument(option, type=Path, default=Path(default), dest=dest)
    options = parser.parse_args()
    return run(options.task, Paths(options.inputs, options.job, options.out))


if __name__ == "__main__":
    sys.exit(main())
