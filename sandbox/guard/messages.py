"""The two wire formats of the kernel WebSocket, decoded and encoded. Pure: bytes in, values out.

JupyterLab speaks `v1.kernel.websocket.jupyter.org` (all binary, little-endian offsets) or, without a subprotocol, JSON
text, and a binary form with big-endian offsets when a message has buffers. Whatever does not decode exactly is `Malformed`.
"""

import json
import struct
from dataclasses import dataclass, field
from typing import Any

V1 = "v1.kernel.websocket.jupyter.org"
MAX_PARTS = 64


class Malformed(ValueError):  # noqa: N818 - an answer of the decoder
    """A frame that is not a kernel message."""


@dataclass(frozen=True)
class Frame:
    """A kernel message as it came from the browser: nothing in it is trusted."""

    channel: str
    header: dict[str, Any]
    parent: dict[str, Any]
    metadata: dict[str, Any]
    content: dict[str, Any]
    buffers: tuple[bytes, ...] = field(default=())
    size: int = 0


def _object(raw: bytes | str | dict[str, Any] | None) -> dict[str, Any]:
    """Parse one part, which must be a JSON object."""
    value = raw
    if isinstance(raw, bytes | str):
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError) as bad:
            raise Malformed("a part is not JSON") from bad
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed("a part is not an object")
    return value


def _slices(data: bytes, offsets: list[int]) -> list[bytes]:
    """Cut `data` at ascending offsets that lie inside it."""
    ends = [*offsets[1:], len(data)]
    if any(start > end or start < 0 or end > len(data) for start, end in zip(offsets, ends, strict=True)):
        raise Malformed("offsets do not fit the frame")
    return [data[start:end] for start, end in zip(offsets, ends, strict=True)]


def _decode_v1(data: bytes) -> Frame:
    count = int.from_bytes(data[:8], "little")
    # offset of the channel, of header, parent, metadata, content, buffers…, and the end
    if len(data) < 8 or not 6 <= count <= MAX_PARTS + 6 or len(data) < 8 * (count + 1):
        raise Malformed("not a v1 frame")
    offsets = list(struct.unpack_from(f"<{count}Q", data, 8))
    if offsets[0] != 8 * (count + 1) or offsets[-1] != len(data):
        raise Malformed("offsets do not fit the frame")
    channel, header, parent, metadata, content, *buffers = _slices(data, offsets[:-1])
    try:
        name = channel.decode("ascii")
    except UnicodeDecodeError as bad:
        raise Malformed("the channel is not a name") from bad
    return Frame(name, _object(header), _object(parent), _object(metadata), _object(content), tuple(buffers), len(data))


def _decode_default(data: bytes | str) -> Frame:
    buffers: list[bytes] = []
    if isinstance(data, bytes):
        if len(data) < 8:
            raise Malformed("not a binary frame")
        (count,) = struct.unpack_from("!I", data)
        if not 1 <= count <= MAX_PARTS + 1 or len(data) < 4 * (count + 1):
            raise Malformed("not a binary frame")
        offsets = list(struct.unpack_from(f"!{count}I", data, 4))
        if offsets[0] != 4 * (count + 1):
            raise Malformed("offsets do not fit the frame")
        text, *buffers = _slices(data, offsets)
        message, size = _object(text), len(data)
    else:
        message, size = _object(data), len(data.encode(errors="surrogatepass"))
    channel = message.get("channel")
    if not isinstance(channel, str):
        raise Malformed("no channel")
    part = {name: _object(message.get(name) or {}) for name in ("header", "parent_header", "metadata", "content")}
    return Frame(channel, part["header"], part["parent_header"], part["metadata"], part["content"], tuple(buffers), size)


def decode(data: bytes | str, subprotocol: str | None) -> Frame:
    """Decode one frame in the format the connection agreed on; raises Malformed."""
    if subprotocol == V1:
        if not isinstance(data, bytes):
            raise Malformed("v1 frames are binary")
        return _decode_v1(data)
    return _decode_default(data)


def encode(message: dict[str, Any], channel: str, subprotocol: str | None) -> bytes | str:
    """Encode a message of the guard's own (header, parent_header, metadata, content; no buffers) for the browser."""
    if subprotocol != V1:
        return json.dumps({**message, "channel": channel, "buffers": []}, default=str, ensure_ascii=False)
    names = ("header", "parent_header", "metadata", "content")
    parts = [channel.encode(), *(json.dumps(message[name], default=str, ensure_ascii=False).encode() for name in names)]
    offsets, place = [], 8 * (len(parts) + 2)
    for part in parts:
        offsets.append(place)
        place += len(part)
    offsets.append(place)
    return b"".join([struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets), *parts])
