"""What leaves the portal: a released export and its certificate."""

import hashlib
from collections.abc import Iterator
from urllib.parse import quote

from fastapi import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from sandbox.domain.errors import Refusal
from sandbox.services import exports
from sandbox.web.request import acting, reading, runtime_of

CHUNK = 64 * 1024


def download(request: Request, export: str) -> Response:
    """Hand out a released export: the record is in the log before the first byte leaves, and the bytes are those that were checked."""
    runtime = runtime_of(request)
    with acting(request) as ctx:
        file = exports.download(ctx, export)
        recorded = file.record.id
    runtime.wait_recorded(recorded)
    content = (runtime.settings.home / file.path).read_bytes()  # an export is small (`exports.MAX_BYTES`)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise Refusal("export_changed", status=409, file=file.name)

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(content), CHUNK):
            yield content[start : start + CHUNK]
        # Reached only when the last piece was taken; a download that broke off can be tried again.
        with acting(request) as ctx:
            exports.downloaded(ctx, export)

    headers = {
        # Never shown as a page, whatever it holds.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
        "Content-Length": str(len(content)),
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return StreamingResponse(chunks(), media_type="application/octet-stream", headers=headers)


def certificate(request: Request, export: str) -> Response:
    """Hand out the certificate of a released export."""
    with reading(request) as ctx:
        signed = exports.certificate(ctx, export)
    return JSONResponse(signed, headers={"Content-Disposition": f'attachment; filename="certificate-{export}.json"'})
