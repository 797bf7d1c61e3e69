"""One request to the door: newline JSON over `/door/door.sock`, the bytes of files after it."""

import json
import os
import socket
from pathlib import Path
from typing import Any

from datasandbox._texts import say

DOOR = Path(os.environ.get("DATASANDBOX_DOOR", "/door")) / "door.sock"
CONNECT_SECONDS = 5
ANSWER_SECONDS = 180


class SandboxError(Exception):
    """Something the sandbox refused or could not do: a stable `code`, and what to do in the person's language."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code
        self.field = field

    def _render_traceback_(self) -> list[str]:
        """Tell IPython to show the message alone: the way through this package explains nothing."""
        return [str(self)]


def ask(verb: str, /, *, send: list[Path] | None = None, **fields: Any) -> dict[str, Any]:
    """Ask for one act and return its result; SandboxError if it was refused or nobody answered."""
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(CONNECT_SECONDS)
            door.connect(str(DOOR))
            door.settimeout(ANSWER_SECONDS)
            door.sendall(json.dumps({"verb": verb, **fields}, ensure_ascii=False).encode() + b"\n")
            answers = door.makefile("rb")
            try:
                for path in send or []:
                    with path.open("rb") as file:
                        door.sendfile(file)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it was refused before all was read: the answer says why
            line = answers.readline()
        answer = json.loads(line)
    except (OSError, ValueError) as error:
        raise SandboxError("door_unavailable", say("door_unavailable")) from error
    if not answer.get("ok"):
        problem = answer.get("error", {})
        raise SandboxError(problem.get("code", "unknown"), problem.get("message", ""), problem.get("field"))
    result: dict[str, Any] = answer["result"]
    return result
