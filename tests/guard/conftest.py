"""One session for all tests of this directory, and a fresh kernel connection for each that wants one."""

import asyncio
import json
import uuid

import pytest
import pytest_asyncio

from sandbox.guard.messages import V1, decode, encode
from tests.guard.stack import Stack


class Client:
    """Speaks the kernel protocol over one WebSocket, in either encoding."""

    def __init__(self, ws, protocol):
        self.ws, self.protocol = ws, protocol

    async def send(self, kind, content, channel="shell", **header):
        number = uuid.uuid4().hex
        made = {
            "header": {
                "msg_id": number,
                "msg_type": kind,
                "session": "s1",
                "username": "",
                "date": "2026-11-23T10:00:00Z",
                "version": "5.4",
            }
            | header,
            "parent_header": {},
            "metadata": {},
            "content": content,
        }
        raw = encode(made, channel, self.protocol)
        await (self.ws.send_bytes(raw) if self.protocol else self.ws.send_str(raw))
        return number

    async def receive(self, seconds=20):
        message = await self.ws.receive(timeout=seconds)
        assert isinstance(message.data, bytes | str), message
        return decode(message.data, self.protocol)

    async def collect(self, number, reply="execute_reply"):
        """Gather what comes for a request until its reply and the idle status are there."""
        found, ended = [], set()
        while not ended >= {"reply", "idle"}:
            frame = await self.receive()
            if frame.parent.get("msg_id") != number:
                continue
            found.append(frame)
            if frame.header["msg_type"] == reply:
                ended.add("reply")
            if frame.content.get("execution_state") == "idle":
                ended.add("idle")
        return found

    async def run(self, code, **content):
        """Run a cell; return its reply and the text it showed."""
        number = await self.send("execute_request", {"code": code, "silent": False, "store_history": True, "allow_stdin": False} | content)
        found = await self.collect(number)
        text = "".join(
            frame.content.get("text", "")
            or frame.content.get("data", {}).get("text/plain", "")
            or "\n".join(frame.content.get("traceback", []))
            for frame in found
            if frame.channel == "iopub"
        )
        return next(frame.content for frame in found if frame.header["msg_type"] == "execute_reply"), text, number


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared():
    async with Stack() as stack:
        stack.kernel = await stack.start_kernel()
        yield stack


@pytest_asyncio.fixture(loop_scope="session")
async def stack(shared):
    yield shared
    shared.log_down, shared.allow, shared.policy_down = False, True, False
    shared.log_gate.set()


@pytest_asyncio.fixture(loop_scope="session", params=[V1, None], ids=["v1", "default"])
async def client(stack, request):
    async with stack.connect(stack.kernel, request.param) as ws:
        yield Client(ws, request.param)


@pytest_asyncio.fixture(loop_scope="session")
async def one(stack):
    async with stack.connect(stack.kernel) as ws:
        yield Client(ws, V1)


@pytest.fixture
def door(shared):
    """Ask the door as user code would."""

    async def ask(payload=b"", **request):
        reader, writer = await asyncio.open_unix_connection(str(shared.root / "door/door.sock"))
        writer.write(json.dumps(request).encode() + b"\n" + payload)
        answer = json.loads(await reader.readline())
        writer.close()
        return answer

    return ask
