"""The real server, over HTTP: who may do what, and what an acknowledgement is worth."""

import asyncio
import os
import re
import resource
import subprocess
import sys

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from log_support import LAUNCH, body, clock, first, leaf, make_log, make_secrets, soon

from audit import client, tokens
from audit.client import Blob, LogLost, LogRefused, LogUnavailable, Reader, Source
from audit.server import Callers, Service
from audit.verify import verify

ACTOR = {"type": "person", "id": "p1", "login": "researcher"}


@pytest.fixture
async def server(tmp_path, signer):
    log = make_log(tmp_path / "audit", signer)
    server = TestServer(Service(log, Callers.load(make_secrets(tmp_path / "secrets", signer))).app())
    await server.start_server()
    yield server
    await server.close()
    log.close()


async def call(server, token, method, path, data=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as http, http.request(method, server.make_url(path), headers=headers, data=data) as response:
        return response.status, await response.json(content_type=None)


def session_token(boot="b1", sandbox="sb1", exp=None):
    return tokens.sign(LAUNCH, sandbox=sandbox, boot=boot, exp=soon() if exp is None else exp)


def url(server):
    return str(server.make_url("/"))


async def test_source_appends_in_order_and_reader_finds_it(server):
    source, reader = Source(url(server), "token-of-hub", "hub", clock=clock), Reader(url(server), "token-of-portal")
    blobs = [Blob("code", "text/x-python", "打印(1)".encode()), Blob("image", "image/png", b"\xff\x00")]
    index = await source.append("cell.execute", actor=ACTOR, refs={"sandbox": "sb1"}, data={"n": 1}, blobs=blobs)
    page = await reader.entries(sandbox="sb1", kind="cell.execute", actor="researcher")
    assert [(entry["index"], entry["leaf"]["seq"]) for entry in page.entries] == [(index, 1)]
    assert [await reader.blob(ref["digest"]) for ref in page.entries[0]["leaf"]["blobs"]] == [blob.content for blob in blobs]
    assert await reader.blob("0" * 64) is None
    assert (await reader.head())["size"] == page.size == index + 1
    await source.close()
    await reader.close()


async def test_nobody_speaks_for_another(server):
    foreign = body(first(source="portal"))
    for token, data, expected in (
        (None, body(first()), (401, "log.unauthorized")),
        ("guess", body(first()), (401, "log.unauthorized")),
        (session_token(exp=1), body(first(source="session:sb1")), (401, "log.unauthorized")),
        ("token-of-hub", foreign, (403, "log.foreign_source")),
        ("token-of-hub", body(first(source="log")), (403, "log.foreign_source")),
        (session_token(), body(first(source="session:sb2")), (403, "log.foreign_source")),
        (session_token(), body(first()), (403, "log.foreign_source")),
        (session_token(boot="b2"), body(first(source="session:sb1")), (403, "log.foreign_boot")),
    ):
        status, answer = await call(server, token, "POST", "/v1/append", data)
        assert (status, answer["code"]) == expected
    assert (await call(server, session_token(), "POST", "/v1/append", body(first(source="session:sb1"))))[0] == 200


async def test_only_the_portal_reads(server):
    for path in ("/v1/entries", f"/v1/blob/{'0' * 64}"):
        for token in ("token-of-hub", session_token()):
            assert await call(server, token, "GET", path) == (403, {"code": "log.forbidden"})
    assert (await call(server, "token-of-hub", "GET", "/v1/source/portal"))[0] == 403
    assert (await call(server, "token-of-hub", "GET", "/v1/head"))[0] == 200
    assert await call(server, "token-of-portal", "GET", "/v1/blob/..%2f..%2flog.key") == (404, {"code": "log.erased"})


async def test_bad_bodies_and_queries_are_refused(server):
    for data in (b"", b"[]", b'{"leaf":[]}', b"[" * 100_000, b'{"leaf":{},"more":1}', b'{"leaf":{"source":"hub"},"blobs":[1]}'):
        status, answer = await call(server, "token-of-hub", "POST", "/v1/append", data)
        assert (status, answer["code"]) == (422, "log.bad_leaf")
    for query in ("start=-1", "count=x", "colour=red", "kind=a&kind=b"):
        status, answer = await call(server, "token-of-portal", "GET", f"/v1/entries?{query}")
        assert (status, answer["code"]) == (422, "log.bad_query")
    large = first()
    large["data"]["x"] = "a" * 70_000
    assert (await call(server, "token-of-hub", "POST", "/v1/append", body(large)))[1]["code"] == "log.too_large"


async def test_gap_conflict_and_ended_boot_answer_409(server):
    await call(server, "token-of-hub", "POST", "/v1/append", body(first()))
    assert await call(server, "token-of-hub", "POST", "/v1/append", body(leaf(4))) == (409, {"code": "log.seq_gap", "expected": 1})
    assert (await call(server, "token-of-hub", "POST", "/v1/append", body(first(refs={}))))[1]["code"] == "log.leaf_conflict"
    await call(server, "token-of-hub", "POST", "/v1/append", body(first({"boot": "b1", "seq": 0}, boot="b2")))
    assert (await call(server, "token-of-hub", "POST", "/v1/append", body(leaf(1))))[1]["code"] == "log.boot_ended"


async def test_concurrent_sources_are_all_kept_in_fewer_heads(server, tmp_path, signer):
    sources = [Source(url(server), session_token(sandbox=f"sb{n}"), f"session:sb{n}", "b1") for n in range(16)]

    async def write(source):
        return [await source.append("cell.execute", actor=ACTOR) for _ in range(5)]

    indices = [index for found in await asyncio.gather(*map(write, sources)) for index in found]
    assert len(set(indices)) == 80
    report = verify(tmp_path / "audit", signer.verifier, live=True)
    assert report.ok
    assert report.heads < report.size == 1 + 16 * 6
    for source in sources:
        await source.close()


async def test_session_that_comes_back_goes_on_in_its_boot(server):
    for expected in (1, 3):
        source = Source(url(server), session_token(), "session:sb1", "b1")
        await source.start()
        await source.append("cell.execute", actor=ACTOR)
        assert source._seq == expected
        await source.close()


async def test_refused_leaf_does_not_block_the_source(server):
    source = Source(url(server), "token-of-hub", "hub")
    with pytest.raises(LogRefused) as refused:
        await source.append("Not a kind", actor=ACTOR)
    assert refused.value.code == "log.bad_leaf"
    assert await source.append("cell.execute", actor=ACTOR) == 2
    await source.close()


async def test_unreachable_log_is_unavailable_and_the_leaf_goes_first_later(tmp_path, signer, unused_tcp_port):
    address = f"http://127.0.0.1:{unused_tcp_port}"
    source = Source(address, "token-of-hub", "hub", timeout=0.2)
    with pytest.raises(LogUnavailable) as unavailable:
        await source.append("lost.before", actor=ACTOR)
    assert unavailable.value.code == "log_unavailable"
    log = make_log(tmp_path / "audit", signer)
    service = Service(log, Callers.load(make_secrets(tmp_path / "secrets", signer)))
    server = TestServer(service.app(), port=unused_tcp_port)
    await server.start_server()
    source._timeout = 2
    await source.append("cell.one", actor=ACTOR)
    await server.close()
    source._timeout = 0.2
    with pytest.raises(LogUnavailable):
        await source.append("cell.two", actor=ACTOR)
    server = TestServer(service.app(), port=unused_tcp_port)
    await server.start_server()
    source._timeout = 2
    await source.append("cell.three", actor=ACTOR)
    kinds = [entry["leaf"]["kind"] for entry in log.entries({"source": "hub"}, 0, 9)[0]]
    assert kinds == ["source.started", "cell.one", "cell.two", "cell.three"]
    await source.close()
    await server.close()
    log.close()


async def test_log_that_lost_acknowledged_entries_is_noticed(server):
    source = Source(url(server), "token-of-hub", "hub", "b1")
    await source.start()
    source._seq = 7
    with pytest.raises(LogLost) as lost:
        await source.append("cell.execute", actor=ACTOR)
    assert lost.value.code == "log_lost"
    await source.close()


async def over_stream(server, token, *bodies):
    headers = {"Authorization": f"Bearer {token}"}
    answers = []
    async with aiohttp.ClientSession(headers=headers) as http, http.ws_connect(server.make_url("/v1/stream")) as stream:
        for data in bodies:
            await stream.send_str(data.decode())
            answers.append(await stream.receive_json())
    return [(answer["status"], answer["answer"].get("code")) for answer in answers]


async def test_a_stream_answers_in_order_as_requests_do_and_goes_on_after_a_refusal(server):
    bodies = [body(first()), body(leaf(4)), b"{}", body(first(source="portal")), body(leaf(1)), body(leaf(1))]
    assert await over_stream(server, "token-of-hub", *bodies) == [
        (200, None),
        (409, "log.seq_gap"),
        (422, "log.bad_leaf"),
        (403, "log.foreign_source"),
        (200, None),
        (200, None),
    ]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await over_stream(server, "nobody", body(leaf(2)))
    assert refused.value.status == 401


async def test_a_stream_ends_being_believed_when_its_token_ends(tmp_path, signer):
    now = [float(soon())]
    log = make_log(tmp_path / "audit", signer)
    headers = {"Authorization": f"Bearer {session_token(exp=soon() + 600)}"}
    async with (
        TestServer(Service(log, Callers({}, LAUNCH.public_key(), lambda: now[0])).app()) as server,
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(server.make_url("/v1/stream")) as stream,
    ):
        await stream.send_str(body(first(source="session:sb1")).decode())
        assert (await stream.receive_json())["status"] == 200
        now[0] += 3600
        await stream.send_str(body(leaf(1, source="session:sb1")).decode())
        assert (await stream.receive_json())["status"] == 401
    log.close()


async def test_an_answer_that_came_too_late_meets_no_other_leaf(server, monkeypatch):
    source = Source(url(server), "token-of-hub", "hub", "b1")
    await source.start()
    go_on = asyncio.Event()
    take = Service.take

    async def slow(self, *given):
        answer = await take(self, *given)
        await go_on.wait()
        return answer

    monkeypatch.setattr(Service, "take", slow)
    source._timeout = 0.05
    with pytest.raises(LogUnavailable):
        await source.append("cell.one", actor=ACTOR)
    go_on.set()
    source._timeout = 2
    two = await source.append("cell.two", actor=ACTOR)
    reader = Reader(url(server), "token-of-portal")
    found = {entry["index"]: entry["leaf"]["kind"] for entry in (await reader.entries(source="hub")).entries}
    assert list(found.values()) == ["source.started", "cell.one", "cell.two"]
    assert found[two] == "cell.two"
    await reader.close()
    await source.close()


@pytest.mark.parametrize("size", [10, client.MAX_STREAMED, 3 * 2**20])
async def test_texts_of_any_size_come_on_record(server, size):
    source, reader = Source(url(server), "token-of-hub", "hub"), Reader(url(server), "token-of-portal")
    blob = Blob("file", "text/plain", b"x" * size)
    await source.append("file.saved", actor=ACTOR, blobs=[blob])
    assert await reader.blob(blob.digest) == blob.content
    await source.close()
    await reader.close()


def start(tmp_path, limit=None):
    """The real command in its own process; returns it and its address."""

    def confine():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    (tmp_path / "audit").mkdir(exist_ok=True)
    arguments = ["serve", "--dir", tmp_path / "audit", "--secrets", tmp_path / "secrets", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "audit.cli", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=confine,  # noqa: PLW1509 - the limit must be there before the log runs; this test has no threads
        env=dict(os.environ),
    )
    for line in process.stderr:
        if found := re.search(r"listening on (\S+)", line):
            return process, found[1]
    raise AssertionError("the log did not start")


async def test_every_acknowledged_entry_survives_kill_9(tmp_path, signer):
    make_secrets(tmp_path / "secrets", signer)
    acknowledged = {}
    for _ in range(3):
        process, address = start(tmp_path)
        sources = [
            Source(address, session_token(f"b{len(acknowledged)}", f"sb{n}"), f"session:sb{n}", f"b{len(acknowledged)}", timeout=0.3)
            for n in range(4)
        ]
        enough = asyncio.Event()

        async def write(source, enough=enough):
            number = 0
            while True:
                number += 1
                blob = Blob("code", "text", f"{number}".encode())
                try:
                    index = await source.append("cell.execute", actor=ACTOR, blobs=[blob])
                except LogUnavailable:
                    return
                acknowledged[index] = (source.source, source.boot, source._seq, blob.digest)
                if len(acknowledged) % 40 == 0:
                    enough.set()

        writers = [asyncio.create_task(write(source)) for source in sources]
        await enough.wait()
        process.kill()
        process.wait()
        await asyncio.gather(*writers)
        for source in sources:
            await source.close()
        process.stderr.close()
    log = make_log(tmp_path / "audit", signer)
    entries, _ = log.entries({}, 0, 10_000)
    for index, (source, boot, seq, digest) in acknowledged.items():
        found = entries[index]["leaf"]
        assert (found["source"], found["boot"], found["seq"], found["blobs"][0]["digest"]) == (source, boot, seq, digest)
    log.close()
    report = verify(tmp_path / "audit", signer.verifier)
    assert (report.ok, report.erased) == (True, [])


async def test_full_disk_acknowledges_nothing_and_is_unhealthy(tmp_path, signer):
    make_secrets(tmp_path / "secrets", signer)
    process, address = start(tmp_path, limit=20_000)
    source = Source(address, "token-of-hub", "hub", timeout=0.5)
    taken = []

    async def fill_disk():
        for _ in range(100):
            taken.append(await source.append("cell.execute", actor=ACTOR, data={"x": "a" * 500}))  # noqa: PERF401 - what was acknowledged before the failure must stay

    with pytest.raises(LogUnavailable):
        await fill_disk()
    async with aiohttp.ClientSession() as http, http.get(f"{address}/healthz") as response:
        assert (response.status, (await response.json())["code"]) == (503, "log.unhealthy")
    await source.close()
    process.terminate()
    process.wait()
    process.stderr.close()
    log = make_log(tmp_path / "audit", signer)
    assert log.last("hub")["seq"] == taken[-1] - 1
    assert len(log.entries({"kind": "log.tail_cut"}, 0, 9)[0]) == 1
    log.close()
