"""A session whose log is a process of its own that can be killed, held, or lose its power, and whose kernel syncs what it gets to disk."""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit.blobs import Blobs
from audit.checkpoint import Signer
from audit.verify import verify
from audit.wal import Scan
from audit.writer import WAL_NAME, mapped
from sandbox.guard.messages import V1
from tests.guard.conftest import Client
from tests.guard.stack import ROOT, Stack, free_port

EXT4_IOC_SHUTDOWN, NOLOGFLUSH = 0x8004587D, struct.pack("I", 2)  # <linux/ext4.h>: from here on nothing reaches the disk
SYNCING = "from audit.cli import main; main()"
UNSYNCED = f"import os; os.fsync = os.fdatasync = lambda _: None; {SYNCING}"
IN_HAND = 3  # cells sent and not answered


class Faulty(Stack):
    """As `Stack`; `disk`: the log's directory is an ext4 image of its own; `program`: what the log's process runs."""

    def __init__(self, *, disk=False, program=SYNCING, **kwargs):
        super().__init__(kernel_path=str(ROOT / "tests/guard/synced_kernel"), **kwargs)
        self.program, self.audit, self.image = program, self.root / "audit", self.root / "disk.img" if disk else None
        self.port = free_port()
        self.signer = Signer("log.test/dev", Ed25519PrivateKey.generate())
        self.typed = self.answered = 0

    # --- the log

    async def make_log(self):
        secrets = self.root / "secrets"
        (secrets / "accepts").mkdir(parents=True)
        (secrets / "accepts/portal.sha256").write_text(hashlib.sha256(b"token-of-portal").hexdigest())
        (secrets / "log.key").write_text(self.signer.text)
        (secrets / "launch.pub").write_bytes(self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        self.audit.mkdir()
        if self.image:
            self.make_disk()
        await self.start_log()
        return f"http://127.0.0.1:{self.port}"

    async def start_log(self):
        arguments = ["serve", "--dir", self.audit, "--secrets", self.root / "secrets", "--port", self.port]
        self.log_process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", self.program, *map(str, arguments), cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        said = []
        while line := await self.log_process.stderr.readline():
            said.append(line.decode())
            if re.search(r"listening on", said[-1]):
                self.drain = asyncio.ensure_future(self.log_process.stderr.read())
                return
        raise AssertionError("the log did not start: " + "".join(said))

    async def kill_log(self):
        if self.log_process.returncode is None:
            self.log_process.kill()
        await self.log_process.wait()

    def make_disk(self):
        with self.image.open("wb") as file:
            file.truncate(32 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
        self.mount()

    def mount(self):
        # The file system itself writes nothing back for ten minutes: what is on disk is what the log has synced.
        subprocess.run(["mount", "-o", "loop,commit=600", self.image, self.audit], check=True)

    def unmount(self):
        if self.image and self.audit.is_mount():
            subprocess.run(["umount", self.audit], check=True)

    async def cut_power(self):
        """Lose all that the log has not synced, as a machine does whose power goes; go on with what the disk has."""
        descriptor = os.open(self.audit, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, NOLOGFLUSH)
        finally:
            os.close(descriptor)
        await self.kill_log()
        # A copy: the mount may live on for a while in a mount namespace that somebody has just made, and stays shut down there.
        before, self.image = self.image, self.image.with_suffix(self.image.suffix + "+")
        shutil.copyfile(before, self.image)
        self.unmount()
        before.unlink()
        self.mount()

    async def kill_session(self):
        self.session.kill()
        await self.session.wait()

    async def __aexit__(self, *exception):
        if hasattr(self, "session") and self.session.returncode is None:
            await self.kill_session()  # an orderly end would wait for the log
        if hasattr(self, "log_process"):
            await self.kill_log()
        try:
            await super().__aexit__(*exception)  # leaves the mounted directory, which is busy
        finally:
            self.unmount()
            shutil.rmtree(self.root, ignore_errors=True)

    # --- what is on disk

    def delivered(self):
        """What the kernel got: {msg_id: digest of the code}."""
        path = self.root / "home/delivered"
        return dict(line.split() for line in path.read_text().splitlines()) if path.exists() else {}

    def recorded(self):
        """What the log's directory proves: cells as {msg_id: digest of the code}, and {msg_id: [statuses of its closing entries]}."""
        sent, closed, blobs = {}, {}, Blobs(self.audit / "blobs")
        with mapped(self.audit / WAL_NAME) as content:
            for batch in Scan(content, self.signer.verifier, every_signature=True).batches():
                for leaf in (json.loads(entry.payload) for entry in batch.entries):
                    number = leaf["data"].get("msg_id")
                    if leaf["kind"] == "cell.sent":
                        code = blobs.get(next(blob["digest"] for blob in leaf["blobs"] if blob["name"] == "code"))
                        sent[number] = code and hashlib.sha256(code).hexdigest()
                    elif leaf["kind"] == "cell.closed":
                        closed.setdefault(number, []).append(leaf["data"]["status"])
        return sent, closed

    def unrecorded(self):
        """What was delivered and is not on record: nothing, ever. The kernel's side is read first."""
        got = self.delivered()
        return got.items() - self.recorded()[0].items()

    def waiting(self):
        """Cells whose record the guard has asked for and not yet got."""
        states = {}
        for line in (self.root / "door/session.journal").read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                states[said.get("act") or said.get("act_done")] = said.get("state")
        return [number for number, state in states.items() if state == "recording"]

    def check(self):
        """What holds at any moment: the log is whole, and has all that was delivered."""
        report = verify(self.audit, self.signer.verifier, live=True)
        assert report.ok, report.problems
        assert not self.unrecorded(), "delivered and not on record"

    async def check_closed(self):
        """What holds when nothing is on its way: whatever is on record has an end that is true."""

        def ended():
            sent, closed = self.recorded()
            return sent.keys() <= closed.keys()

        await until(ended, "every cell has its closing entry", 30)
        self.check()
        got, (sent, closed) = self.delivered(), self.recorded()
        for number in sent:
            if number in got:
                assert "not_delivered" not in closed[number], "delivered and closed as not delivered"
            else:
                assert set(closed[number]) <= {"not_delivered", "unknown"}, "closed as run and never delivered"

    # --- what a person does

    @contextlib.asynccontextmanager
    async def typing(self, kernel):
        """Cells as fast as answers come, over a new connection whenever there is none."""
        task = asyncio.ensure_future(self._type(kernel))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _type(self, kernel):
        while True:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, AssertionError, TimeoutError):
                async with self.connect(kernel) as ws:
                    client = Client(ws, V1)
                    for _ in range(IN_HAND):
                        await self._cell(client)
                    while True:
                        frame = await client.receive()
                        if frame.header["msg_type"] == "execute_reply" and frame.content["status"] == "ok":
                            self.answered += 1
                        if frame.header["msg_type"] == "execute_reply":
                            await self._cell(client)
            await asyncio.sleep(0.05)

    async def _cell(self, client):
        self.typed += 1
        return await client.send("execute_request", {"code": f"cell = {self.typed}", "silent": False})

    async def progress(self, cells):
        """Wait until so many more cells have been answered."""
        wanted = self.answered + cells
        await until(lambda: self.answered >= wanted, f"{cells} more cells ran", 30)

    async def held_cell(self, kernel):
        """Send one cell to a log that has stopped; return when the log's socket has its entry."""
        async with self.connect(kernel) as ws:
            await Client(ws, V1).run("quiet = True")
            await self.check_closed()
            self.log_process.send_signal(signal.SIGSTOP)
            try:
                number = await self._cell(Client(ws, V1))
                await until(lambda: queued(self.port), "the entry waits in the log's socket", 20)
                await self.kill_session()
            finally:
                self.log_process.send_signal(signal.SIGCONT)
        return number


async def until(condition, what, seconds):
    """Wait for what other processes do."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - other processes decide
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"it did not come to pass: {what}") from None


def queued(port):
    """Whether bytes wait in a socket of this local port that its process has not read."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "01" and int(row[4].split(":")[1], 16) for row in rows)
