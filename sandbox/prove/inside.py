"""N, F, K and some of D: the probe as recorded cells of a person's sandbox, against listeners and marks on this machine."""

import json
import os
import secrets
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.client import ApiError, Client
from sandbox.deploy.demo import own_addresses
from sandbox.prove import PROBE, cells
from sandbox.prove.catalogue import TITLES
from sandbox.prove.verdicts import BREACHED, HELD, NOT_APPLICABLE, Verdict, Word, judge

SERVICES = ("hub", "portal", "opa", "log", "warden")
# what the probe tries on another sandbox, which a deployment may not have at this moment
OF_ANOTHER = {"abstract socket of another sandbox", "another sandbox's mark among the mounts", "another sandbox's file one up"}
PIDS, DESCRIPTORS, SHOWN, SOCK_ENTRIES, SOCK_BYTES = 1024, 8192, 512 << 10, 64, 1 << 20
ELOOP = 40


class Listeners:
    """TCP, UDP and abstract UNIX listeners on this machine, the only targets of network attacks."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.tcp = self._tcp("0.0.0.0", socket.AF_INET)  # noqa: S104 - every address of this machine is what is tried
        self.tcp6 = self._tcp("::1", socket.AF_INET6)
        self.services = {name: self._tcp("0.0.0.0", socket.AF_INET) for name in SERVICES}  # noqa: S104 - as above
        self.abstract = "prove-" + secrets.token_hex(8)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("\0" + self.abstract)
        listener.listen()
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("0.0.0.0", self.tcp))  # noqa: S104 - as above
        threading.Thread(target=self._answer, args=(udp,), daemon=True).start()
        self.sockets += [listener, udp]

    def _tcp(self, host: str, family: socket.AddressFamily) -> int:
        sock = socket.create_server((host, 0), family=family)
        self.sockets.append(sock)
        return int(sock.getsockname()[1])

    def _answer(self, udp: socket.socket) -> None:
        while True:
            try:
                _, sender = udp.recvfrom(64)
                udp.sendto(b"answer", sender)
            except OSError:
                return

    def close(self) -> None:
        """Stop listening."""
        for sock in self.sockets:
            sock.close()


async def answer(person: Client, code: str) -> Any:
    """Run a cell and return the JSON of its last line; ValueError with what it said otherwise."""
    printed = ""
    async for event in person.run(code):
        printed += event.text
        if event.kind == "done" and event.content.get("status") != "ok":
            raise ValueError(f"the cell did not run: {printed[-300:] or event.content.get('ename')}")
    return json.loads(printed.strip().splitlines()[-1])


@contextmanager
def targets(home: Path, sandbox: str, data: str, workspace: str) -> Iterator[dict[str, Any]]:
    """Give what the probe aims at, all of it on this machine and gone afterwards; OSError when a listener does not answer from here."""
    listeners = Listeners()
    mark = "mark-" + secrets.token_hex(8)
    with tempfile.NamedTemporaryFile("w", prefix="prove-", suffix=".txt") as secret:
        secret.write(mark)
        secret.flush()
        Path(secret.name).chmod(0o644)
        bystander = subprocess.Popen(["/bin/sleep", "1000"], env={"MARK": mark})
        try:
            address = next((one for one in own_addresses() if not one.startswith("127.")), "127.0.0.1")
            socket.create_connection((address, listeners.tcp), 2).close()
            run = Path("/run/datasandbox") / _deployment(home) / "sb"
            yield {
                "host": address, "gateway": address, "port": listeners.tcp, "port6": listeners.tcp6, "services": listeners.services,
                "abstract": listeners.abstract, "abstract_other": "none", "data": f"/data/{data}", "workspace": workspace,
                "secret": secret.name, "mark": mark, "pid": bystander.pid, "other": "none",
                "other_socket": str(run / sandbox / "sock" / "supervisor.sock"), "other_workspace": str(home / "workspaces"),
            }  # fmt: skip
        finally:
            bystander.kill()
            bystander.wait()
            listeners.close()


def _deployment(home: Path) -> str:
    return str(json.loads((home / "deployment.json").read_text())["id"])


async def probe(person: Client, home: Path, sandbox: str, where: dict[str, Any], runtime: str) -> list[Verdict]:
    """Run the probe in the sandbox and judge N, F and K."""
    numbers = [number for number in TITLES if number[0] in "NFK" and number != "F9"]
    try:
        with targets(home, sandbox, (where["data"] or ["none"])[0], where["home"]) as here:
            findings: list[dict[str, str]] = []
            for section in ("network", "files", "kernel"):  # a cell each: what a cell may show is limited
                done = await answer(person, cells.probe(PROBE.read_text(), {**here, "sections": [section]}))
                findings += json.loads(done["out"].splitlines()[-1]) if done["out"] else []
    except (ApiError, OSError, ValueError) as error:
        return [Verdict(number, TITLES[number][0], runtime, NOT_APPLICABLE, f"the probe did not run: {error}"[:400]) for number in numbers]
    kept = [one for one in findings if one["what"] not in OF_ANOTHER and (where["data"] or one["id"] != "F1")]
    return [judge(number, TITLES[number][0], runtime, kept) for number in numbers]


async def limits(person: Client, sock: Path, runtime: str) -> list[Verdict]:
    """F9, D1, D5, D7, D10: attacks that stop by themselves, made one after the other."""
    made = []
    for number, attack in (("F9", link), ("D1", forks), ("D5", descriptors), ("D7", flood), ("D10", fill)):
        if number == "D1" and runtime == "runsc":
            # its Go runtime aborts when the machine gives it no more threads: the attacker's own sandbox ends, and prove with it
            made.append(Verdict(number, TITLES[number][0], runtime, NOT_APPLICABLE, "under gVisor it ends the sandbox that prove works in"))
            continue
        try:
            word, evidence = await attack(person, sock)
        except (ApiError, OSError, ValueError) as error:
            word, evidence = NOT_APPLICABLE, f"not made: {error}"[:400]
        made.append(Verdict(number, TITLES[number][0], runtime, word, evidence))
    return made


async def link(person: Client, sock: Path) -> tuple[Word, str]:
    """F9: the same socket by its name and by a link, connected to as the session does."""
    if not os.access(sock, os.X_OK):
        return NOT_APPLICABLE, f"{sock} is not on this machine: run prove where the warden runs, as root"
    await answer(person, cells.LINK_SOCK + "\nprint('[]')")
    try:
        direct, linked = connects(sock / "mine"), connects(sock / "link")
    finally:
        await answer(person, cells.UNLINK_SOCK + "\nprint('[]')")
    if direct not in {0, 111}:
        return NOT_APPLICABLE, f"the socket itself was not reached: errno {direct}"
    return (HELD if linked == ELOOP else BREACHED), f"socket: errno {direct}; link to it: errno {linked}"


def connects(path: Path) -> int:
    """Return the errno of connecting to a socket, 0 if it worked."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(os.fspath(path))


async def forks(person: Client, _sock: Path) -> tuple[Word, str]:
    """D1."""
    return within(await answer(person, cells.FORKS), PIDS, "processes")


async def descriptors(person: Client, _sock: Path) -> tuple[Word, str]:
    """D5."""
    return within(await answer(person, cells.DESCRIPTORS), DESCRIPTORS, "descriptors")


def within(found: dict[str, Any], limit: int, what: str) -> tuple[Word, str]:
    """Judge how many of something were made before the container said no."""
    words = f"{found['made']} {what}, then: {found['why'] or 'no refusal'}"
    return (HELD if found["why"] and found["made"] <= limit else BREACHED), words


async def flood(person: Client, _sock: Path) -> tuple[Word, str]:
    """D7: four mebibytes of output; what arrives is the display limit, and the next cell answers."""
    got = 0
    async for event in person.run(cells.FLOOD):
        got += len(event.text)
    return shown(got, await answer(person, "print(42)"))


def shown(got: int, after: Any) -> tuple[Word, str]:
    """Judge what of a flood reached the browser."""
    words = f"{got} of {cells.FLOOD_BYTES} characters arrived; a cell afterwards answers {after}"
    return (HELD if got < SHOWN and after == 42 else BREACHED), words


async def fill(person: Client, _sock: Path) -> tuple[Word, str]:
    """D10."""
    return filled(*await answer(person, cells.FILL_SOCK))


def filled(entries: int, size: int) -> tuple[Word, str]:
    """Judge what /sock took."""
    return (HELD if entries < SOCK_ENTRIES and size <= SOCK_BYTES else BREACHED), f"{entries} entries, {size} bytes"


async def runtime_of(person: Client) -> tuple[str, dict[str, Any]]:
    """Return the runtime as user code sees it, and where things are in the container."""
    where: dict[str, Any] = await answer(person, cells.WHERE)
    return ("runsc" if "gvisor" in where["release"] else "runc"), where
