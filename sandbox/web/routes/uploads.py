"""Files that come in: read only after the log-in and the token are known, written to the state directory, never opened here."""

from pathlib import Path
from typing import NamedTuple

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException

from sandbox.domain.errors import Refusal
from sandbox.domain.ids import new_id
from sandbox.domain.permissions import Permission
from sandbox.services import catalogue
from sandbox.web.request import check_csrf, reading, runtime_of

MAX_UPLOAD = 2 << 30  # bytes
CHUNK = 1 << 20


class Stored(NamedTuple):
    """An upload on disk: folder below the home, names of the files in it."""

    upload_path: str
    file_name: str
    description_name: str | None


async def read_upload(request: Request) -> FormData:
    """Dependency: whether this person may import comes first, so that nobody else can fill the disk; then the form with its files."""
    await run_in_threadpool(_may_import, request, str(request.path_params["name"]))
    try:
        form = await request.form(max_files=2, max_fields=20)
    except MultiPartException as error:
        raise Refusal("field_invalid", field="file") from error
    request.state.form = form
    check_csrf(request)
    return form


def _may_import(request: Request, name: str) -> None:
    with reading(request) as ctx:
        ctx.require(Permission.DATASET_IMPORT, body=catalogue.dataset(ctx, name).body.code)


def store(request: Request, form: FormData) -> Stored:
    """Write `file` and `description_file` of a form below `uploads/<id>`.

    The names are ours; what the person called the file decides nothing but whether there is one.
    """
    file, description = form.get("file"), form.get("description_file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise Refusal("field_required", field="file")
    relative = f"uploads/{new_id()}"
    folder = runtime_of(request).settings.home / relative
    # The data container reads it as another user.
    folder.mkdir(mode=0o755, parents=True)
    _write(file, folder / "data.csv")
    if not isinstance(description, UploadFile) or not description.filename:
        return Stored(relative, "data.csv", None)
    _write(description, folder / "description.txt")
    return Stored(relative, "data.csv", "description.txt")


def _write(upload: UploadFile, path: Path) -> None:
    with path.open("xb") as out:
        while block := upload.file.read(CHUNK):
            out.write(block)
    path.chmod(0o644)
