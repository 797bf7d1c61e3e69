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
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
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
UPLOAD = 256 * 1024 * 1024  # bytes of a file that comes in parts
PARTS = 8  # uploads under way
KEEP = WRITE  # bytes kept as a blob
LISTING = 64 * 1024  # bytes of one directory: names, and ENTRY each for sizes and times
ENTRY = 24
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


def model_of(path: str, entry: dict[str, Any]) -> dict[str, Any]:
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


@dataclass
class Upload:
    """What came so far of a file that is uploaded in parts."""

    size: int = 0
    parts: int = 0
    digest: Any = field(default_factory=hashlib.sha256)


def kept(path: str, data: bytes) -> tuple[dict[str, Any], list[tuple[str, str, bytes]]]:
    """Return what goes on record of bytes that are saved: their digest, and themselves, a notebook without what it shows.

    The log must not become a second place where data is: of a notebook the cells' sources are kept, never outputs or attachments.
    """
    about = {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if not path.endswith(".ipynb"):
        return about, [("file", "application/octet-stream", data)] if len(data) <= KEEP else []
    bare = stripped(data)
    about |= {"stripped": True} if bare is not None else {"unreadable": True}
    return about, [("file", "application/x-ipynb+json", bare)] if bare is not None and len(bare) <= KEEP else []


def stripped(data: bytes) -> bytes | None:
    """Return a notebook with the type and source of its cells and nothing else; None if it is none."""
    try:
        cells = json.loads(data)["cells"]
        bare = [
            {
                "cell_type": str(cell["cell_type"])[:16],
                "id": str(cell.get("id", ""))[:64],
                "source": cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"]),
            }
            for cell in cells
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return json.dumps({"cells": bare}, ensure_ascii=False).encode(errors="replace")


class SandboxCheckpoints(AsyncCheckpoints):
    """One checkpoint a file, a copy inside the workspace: no byte crosses for it."""

    @staticmethod
    def _place(path: str) -> str:
        folder, _, name = clean(path).rpartition("/")
        return f"{folder}/.checkpoints/{name}".lstrip("/")

    @answers
    async def create_checkpoint(self, contents_mgr: Any, path: str) -> dict[str, Any]:
        """Copy the file aside."""
        about = {"path": clean(path), "to": self._place(path)}
        entry = await contents_mgr.supervisor.call("fs.copy", entry=("file.checkpoint", about, ()), **about)
        return {"id": CHECKPOINT, "last_modified": _moment(entry.get("modified"))}

    @answers
    async def restore_checkpoint(self, contents_mgr: Any, checkpoint_id: str, path: str) -> None:
        """Copy it back."""
        if checkpoint_id != CHECKPOINT:
            raise HTTPError(404, "no such checkpoint")
        about = {"path": self._place(path), "to": clean(path)}
        await contents_mgr.supervisor.call("fs.copy", entry=("file.restored", about, ()), **about)

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
            about = {"path": self._place(path)}
            await Guard.current().supervisor.call("fs.delete", entry=("file.deleted", about, ()), **about)
        except (Refusal, OSError, TimeoutError):
            return


class SandboxContents(AsyncContentsManager):
    """The file browser and editor of JupyterLab over the supervisor."""

    checkpoints_class = Type(SandboxCheckpoints, config=True)
    root_dir = ""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._uploads: OrderedDict[str, Upload] = OrderedDict()
        self._listings: OrderedDict[str, str] = OrderedDict()  # path -> what was last shown of it

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
        found = model_of(path, await self.supervisor.call("fs.stat", path=path))
        if type == "directory" and found["type"] != "directory":
            raise HTTPError(400, f"{path} is not a directory", reason="bad type")
        if found["type"] == "directory":
            if type not in {None, "directory"}:
                raise HTTPError(400, f"{path} is a directory", reason="bad type")
            return await self._directory(found) if content else found
        if type == "file":
            found["type"] = "file"
        if not content and not require_hash:
            fact = f"{path}\0{found['size']}\0{found['last_modified']}\0{found['created']}"
            await self._charge(hashlib.sha256(fact.encode(errors="replace")).hexdigest(), ENTRY, {"path": path})
            return found
        _, data = await self.supervisor.read(path, READ_NOTEBOOK if found["type"] == "notebook" else READ_FILE)
        digest = hashlib.sha256(data).hexdigest()
        if content:
            self._fill(found, data, format)  # first: what is neither notebook nor text is not shown at all
        about = {"path": path, "size": len(data), "sha256": digest, "content": content}
        await self._charge(digest if content else f"hash {digest}", len(data) if content else ENTRY, about)
        await Guard.current().record("file.read", about)
        if require_hash:
            found |= {"hash": digest, "hash_algorithm": "sha256"}
        return found

    async def _charge(self, digest: str, size: int, about: dict[str, Any]) -> None:
        """Count bytes that are about to be shown, in the sandbox's display budget; over it say so and on record."""
        guard = Guard.current()
        if not await guard.meter.take(size, digest, vital=size <= ENTRY):
            code = guard.budget.why()
            guard.meter.out(code)
            await guard.record("file.denied", {**about, "code": "file_over_budget", "why": code})
            raise Refusal("file_over_budget", status=403)

    async def _directory(self, found: dict[str, Any]) -> dict[str, Any]:
        answer = await self.supervisor.call("fs.list", path=found["path"])
        entries = answer.get("entries")
        listed: list[dict[str, Any]] = []
        size, facts = 0, hashlib.sha256()
        for entry in entries if isinstance(entries, list) else []:
            name = entry.get("name") if isinstance(entry, dict) else None
            if isinstance(name, str) and name and "/" not in name and len(name) <= NAME_BYTES and name.isprintable():
                made = model_of(f"{found['path']}/{name}".lstrip("/"), entry)
                size += len(name.encode(errors="replace")) + ENTRY
                if size > LISTING:
                    break
                facts.update(f"{name}\0{made['size']}\0{made['last_modified']}\0{made['created']}\0".encode(errors="replace"))
                listed.append(made)
        digest = facts.hexdigest()
        if self._listings.get(found["path"]) != digest:  # polled again and the same: the same fact
            about = {"path": found["path"], "count": len(listed), "size": min(size, LISTING), "sha256": digest}
            await self._charge(f"list {digest}", about["size"], about)
            await Guard.current().record("file.listed", about)
            self._listings[found["path"]] = digest
            while len(self._listings) > 1024:
                self._listings.popitem(last=False)
        return found | {"content": listed, "format": "json"}

    def _fill(self, found: dict[str, Any], data: bytes, wanted: str | None) -> None:
        """Put the content in, as a notebook or as text. Anything else could be a data file: it leaves by `ds.export` only."""
        if found["type"] == "notebook":
            try:
                notebook = nbformat.reads(data.decode(), as_version=4)
                nbformat.validate(notebook)
            except Exception as bad:  # nbformat raises many kinds on what user code can write
                raise HTTPError(400, Guard.current().say("notebook_unreadable"), reason="notebook_unreadable") from bad
            self.mark_trusted_cells(notebook, found["path"])
            found |= {"content": notebook, "format": "json"}
            self.validate_notebook_model(found)
            return
        if wanted == "base64" or b"\0" in data:
            raise Refusal("file_not_text", status=400, field="format")
        try:
            content = data.decode()
        except UnicodeDecodeError as bad:
            raise Refusal("file_not_text", status=400, field="format") from bad
        found |= {"content": content, "format": "text", "mimetype": mimetypes.guess_type(found["path"])[0] or "text/plain"}

    @answers
    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Record what is to be written, then write it."""
        path = clean(path)
        kind = model.get("type")
        if kind == "directory":
            if not await self.dir_exists(path):
                await self.supervisor.call("fs.mkdir", entry=("file.mkdir", {"path": path}, ()), path=path)
            return model_of(path, await self.supervisor.call("fs.stat", path=path))
        data = self._bytes(model, path)
        if len(data) > WRITE:
            raise Refusal("upload_too_large", status=413, limit=WRITE >> 20)
        if model.get("chunk"):
            return await self._part(path, model["chunk"], data)
        about, blobs = kept(path, data)
        digest = about["sha256"]
        entry = await self.supervisor.write(path, data, ("file.saved", about, blobs))
        Guard.current().budget.know(digest)  # whoever sent these bytes has them
        return model_of(path, entry)

    async def _part(self, path: str, number: Any, data: bytes) -> dict[str, Any]:
        """One part of a large upload (JupyterLab counts from 1 and calls the last -1): recorded with its bytes, then written.

        The last part's entry has the digest of the whole.
        """
        done = self._uploads.pop(path, None) if number != 1 else Upload()
        if done is None or not (number == -1 or number == done.parts + 1):
            raise Refusal("upload_out_of_order", status=409, field="chunk")
        if done.size + len(data) > UPLOAD:
            raise Refusal("upload_too_large", status=413, limit=UPLOAD >> 20)
        about, blobs = kept(path if number == 1 else "", data)
        about |= {"path": path, "part": done.parts + 1, "offset": done.size}
        whole = done.digest.copy()
        whole.update(data)
        if number == -1:
            about |= {"whole": {"size": done.size + len(data), "sha256": whole.hexdigest()}}
        entry = ("file.saved" if number == -1 else "file.uploading", about, blobs)
        if number == 1:
            found = await self.supervisor.write(path, data, entry)
        else:
            text = base64.b64encode(data).decode()
            found = await self.supervisor.call("fs.append", entry=entry, path=path, base64=text, size=done.size)
        if number != -1:
            self._uploads[path] = Upload(done.size + len(data), done.parts + 1, whole)
            while len(self._uploads) > PARTS:
                self._uploads.popitem(last=False)
        else:
            Guard.current().budget.know(whole.hexdigest())
        return model_of(path, found)

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
        await self.supervisor.call("fs.delete", entry=("file.deleted", {"path": path}, ()), path=path)

    @answers
    async def rename_file(self, old_path: str, new_path: str) -> None:
        """Rename; an existing target stays."""
        about = {"path": clean(old_path), "to": clean(new_path)}
        await self.supervisor.call("fs.rename", entry=("file.renamed", about, ()), **about)
