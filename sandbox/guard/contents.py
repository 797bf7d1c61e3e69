# mypy: disable-error-code="override, no-untyped-call, type-arg, arg-type, unused-ignore, no-untyped-def"
# (Jupyter's base classes are half typed and half async; their documented hooks are what is overridden here)
"""Files of the workspace, read and written by the kernel container's supervisor, so that links resolve only there.

What is saved or uploaded is recorded (digest; the bytes too, up to a cap) before it is written. Reading a file shows what is
in it, so each reading is recorded before it is answered, and only small files can be read: results leave by `ds.export`.
"""

import base64
import hashlib
import json
import mimetypes
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import nbformat
from jupyter_server.services.contents.checkpoints import AsyncCheckpoints
from jupyter_server.services.contents.manager import AsyncContentsManager
from tornado.web import HTTPError
from traitlets import Type

from sandbox.domain.errors import Refusal
from sandbox.guard.guard import Guard
from sandbox.guard.supervisor import Supervisor

READ_FILE = 1024 * 1024
READ_NOTEBOOK = 16 * 1024 * 1024
WRITE = 24 * 1024 * 1024
KEEP = 4 * 1024 * 1024  # bytes kept as a blob; of more, the digest
NAME_BYTES = 255
CHECKPOINT = "checkpoint"


def answers(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Turn refusals, and a kernel container that does not answer, into HTTP answers in the person's language."""

    @wraps(method)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        guard = Guard.current()
        try:
            guard.require_lease()
            return await method(*args, **kwargs)
        except Refusal as refusal:
            raise HTTPError(refusal.status, guard.say(refusal.code, **refusal.params), reason=refusal.code) from refusal
        except (OSError, TimeoutError) as down:
            raise HTTPError(503, guard.say("kernel_container_down"), reason="kernel_container_down") from down

    return wrapped


def clean(path: str) -> str:
    """Return an API path without outer slashes; `..`, control characters and endless names are refused."""
    path = path.strip("/")
    for part in path.split("/"):
        if part == ".." or len(part.encode(errors="replace")) > NAME_BYTES or any(ord(letter) < 32 for letter in part):
            raise Refusal("workspace_bad_path", status=400, field="path")
    return path


def model(path: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Make Jupyter's model of an entry the supervisor described; every field is forced into its type."""
    kind = "directory" if entry.get("type") == "directory" else "notebook" if path.endswith(".ipynb") else "file"
    return {
        "name": path.rsplit("/", 1)[-1],
        "path": path,
        "type": kind,
        "created": _moment(entry.get("created")),
        "last_modified": _moment(entry.get("modified")),
        "writable": bool(entry.get("writable")),
        "size": None if kind == "directory" else _whole(entry.get("size")),
        "content": None,
        "format": None,
        "mimetype": None,
    }


def _moment(value: Any) -> datetime:
    return datetime.fromtimestamp(min(max(float(value), 0), 4e9) if isinstance(value, int | float) else 0, UTC)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


class SandboxCheckpoints(AsyncCheckpoints):
    """One checkpoint a file, a copy inside the workspace: no byte crosses for it."""

    @staticmethod
    def _place(path: str) -> str:
        folder, _, name = clean(path).rpartition("/")
        return f"{folder}/.checkpoints/{name}".lstrip("/")

    @answers
    async def create_checkpoint(self, contents_mgr: Any, path: str) -> dict[str, Any]:
        """Copy the file aside."""
        entry = await contents_mgr.supervisor.call("fs.copy", path=clean(path), to=self._place(path))
        return {"id": CHECKPOINT, "last_modified": _moment(entry.get("modified"))}

    @answers
    async def restore_checkpoint(self, contents_mgr: Any, checkpoint_id: str, path: str) -> None:
        """Copy it back."""
        if checkpoint_id != CHECKPOINT:
            raise HTTPError(404, "no such checkpoint")
        await Guard.current().record("file.restored", {"path": clean(path)})
        await contents_mgr.supervisor.call("fs.copy", path=self._place(path), to=clean(path))

    async def list_checkpoints(self, path: str) -> list[dict[str, Any]]:
        """Say whether there is one."""
        try:
            entry = await Guard.current().supervisor.call("fs.stat", path=self._place(path))
        except (Refusal, OSError, TimeoutError):
            return []
        return [{"id": CHECKPOINT, "last_modified": _moment(entry.get("modified"))}]

    async def rename_checkpoint(self, checkpoint_id: str, old_path: str, new_path: str) -> None:
        """Leave it: a renamed file gets its own at the next save."""

    async def delete_checkpoint(self, checkpoint_id: str, path: str) -> None:  # noqa: ARG002 - the signature is Jupyter's
        """Delete it."""
        try:
            await Guard.current().supervisor.call("fs.delete", path=self._place(path))
        except (Refusal, OSError, TimeoutError):
            return


class SandboxContents(AsyncContentsManager):
    """The file browser and editor of JupyterLab over the supervisor."""

    checkpoints_class = Type(SandboxCheckpoints, config=True)
    root_dir = ""

    @property
    def supervisor(self) -> Supervisor:
        """The other side."""
        return Guard.current().supervisor

    def get_kernel_path(self, path: str, model: Any = None) -> str:  # noqa: ARG002 - the signature is Jupyter's
        """Start a notebook's kernel in its own directory."""
        return path.rpartition("/")[0]

    async def _entry(self, path: str) -> dict[str, Any] | None:
        try:
            return await self.supervisor.call("fs.stat", path=clean(path))
        except Refusal as refusal:
            if refusal.status in {400, 404}:
                return None
            raise

    @answers
    async def dir_exists(self, path: str) -> bool:
        """Whether there is such a directory."""
        return (await self._entry(path) or {}).get("type") == "directory"

    @answers
    async def file_exists(self, path: str = "") -> bool:
        """Whether there is such a file."""
        return (await self._entry(path) or {}).get("type") == "file"

    async def is_hidden(self, path: str) -> bool:
        """Names that begin with a dot are nobody's business here."""
        return any(part.startswith(".") for part in path.strip("/").split("/"))

    @answers
    async def get(
        self,
        path: str,
        content: bool = True,
        type: str | None = None,  # noqa: A002 - the signature is Jupyter's
        format: str | None = None,  # noqa: A002 - the signature is Jupyter's
        require_hash: bool = False,
    ) -> dict[str, Any]:
        """Describe a path and, if asked, show what is in it."""
        path = clean(path)
        found = model(path, await self.supervisor.call("fs.stat", path=path))
        if type == "directory" and found["type"] != "directory":
            raise HTTPError(400, f"{path} is not a directory", reason="bad type")
        if found["type"] == "directory":
            if type not in {None, "directory"}:
                raise HTTPError(400, f"{path} is a directory", reason="bad type")
            return await self._directory(found) if content else found
        if type == "file":
            found["type"] = "file"
        if content or require_hash:
            limit = READ_NOTEBOOK if path.endswith(".ipynb") else READ_FILE
            _, data = await self.supervisor.read(path, limit)
            digest = hashlib.sha256(data).hexdigest()
            if require_hash:
                found |= {"hash": digest, "hash_algorithm": "sha256"}
            if content:
                await Guard.current().record("file.read", {"path": path, "size": len(data), "sha256": digest})
                self._fill(found, data, format)
        return found

    async def _directory(self, found: dict[str, Any]) -> dict[str, Any]:
        answer = await self.supervisor.call("fs.list", path=found["path"])
        entries = answer.get("entries")
        listed = []
        for entry in entries if isinstance(entries, list) else []:
            name = entry.get("name") if isinstance(entry, dict) else None
            if isinstance(name, str) and name and "/" not in name and len(name) <= NAME_BYTES and name.isprintable():
                listed.append(model(f"{found['path']}/{name}".lstrip("/"), entry))
        return found | {"content": listed, "format": "json"}

    def _fill(self, found: dict[str, Any], data: bytes, wanted: str | None) -> None:
        """Put the content in, as a notebook, text or base64."""
        if found["type"] == "notebook":
            try:
                notebook = nbformat.reads(data.decode(), as_version=4)
            except Exception as bad:  # nbformat raises many kinds on what user code can write
                raise HTTPError(400, Guard.current().say("notebook_unreadable"), reason="notebook_unreadable") from bad
            self.mark_trusted_cells(notebook, found["path"])
            found |= {"content": notebook, "format": "json"}
            self.validate_notebook_model(found)
            return
        if wanted != "base64":
            try:
                found |= {"content": data.decode(), "format": "text", "mimetype": mimetypes.guess_type(found["path"])[0] or "text/plain"}
                return
            except UnicodeDecodeError as bad:
                if wanted == "text":
                    raise HTTPError(400, f"{found['path']} is not UTF-8 text", reason="bad format") from bad
        found |= {
            "content": base64.b64encode(data).decode(),
            "format": "base64",
            "mimetype": mimetypes.guess_type(found["path"])[0] or "application/octet-stream",
        }

    @answers
    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Record what is to be written, then write it."""
        path, guard = clean(path), Guard.current()
        kind = model.get("type")
        if model.get("chunk"):
            raise Refusal("upload_too_large", status=413, limit=WRITE >> 20)
        if kind == "directory":
            await guard.record("file.mkdir", {"path": path})
            if not await self.dir_exists(path):
                await self.supervisor.call("fs.mkdir", path=path)
            return await self.get(path, content=False)
        data = self._bytes(model, path)
        if len(data) > WRITE:
            raise Refusal("upload_too_large", status=413, limit=WRITE >> 20)
        blobs = (
            [("file", "application/x-ipynb+json" if kind == "notebook" else "application/octet-stream", data)] if len(data) <= KEEP else []
        )
        await guard.record("file.saved", {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}, blobs)
        await self.supervisor.write(path, data)
        return await self.get(path, content=False)

    def _bytes(self, model: dict[str, Any], path: str) -> bytes:
        """Make the bytes of a model that a browser sent."""
        content = model.get("content")
        if model.get("type") == "notebook" and isinstance(content, dict):
            notebook = nbformat.from_dict(content)
            self.check_and_sign(notebook, path)
            return nbformat.writes(notebook, version=nbformat.NO_CONVERT).encode(errors="replace")
        if isinstance(content, dict | list) and model.get("format") == "json":
            return json.dumps(content, ensure_ascii=False).encode(errors="replace")
        if not isinstance(content, str) or model.get("format") not in {"text", "base64", None}:
            raise HTTPError(400, "no content", reason="bad content")
        try:
            return base64.b64decode(content) if model.get("format") == "base64" else content.encode(errors="replace")
        except ValueError as bad:
            raise HTTPError(400, "bad base64", reason="bad content") from bad

    @answers
    async def delete_file(self, path: str) -> None:
        """Delete a file or directory."""
        path = clean(path)
        await Guard.current().record("file.deleted", {"path": path})
        await self.supervisor.call("fs.delete", path=path)

    @answers
    async def rename_file(self, old_path: str, new_path: str) -> None:
        """Rename; an existing target stays."""
        old, new = clean(old_path), clean(new_path)
        await Guard.current().record("file.renamed", {"path": old, "to": new})
        await self.supervisor.call("fs.rename", path=old, to=new)
