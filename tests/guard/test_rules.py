"""The guard's rules: what may enter, what is recorded of it, how much may come out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_binary_message, serialize_msg_to_ws_v1

from sandbox.guard.budget import REPEAT_BYTES, Budget
from sandbox.guard.messages import V1, Frame, Malformed, decode, encode
from sandbox.guard.rules import HEADER_BYTES, Book, Ledger, Outgoing, inbound, outgoing, rebuilt, replies


def header(kind="execute_request", **more):
    return {"msg_id": "m-1", "msg_type": kind, "session": "s-1", "username": "x", "date": "2026-11-23T10:00:00Z", "version": "5.4", **more}


def message(kind="execute_request", channel="shell", content=None, **more):
    content = {"code": "1+1", "silent": False} if content is None else content
    return {"header": header(kind), "parent_header": {}, "metadata": {}, "content": content, "channel": channel, "buffers": [], **more}


def v1(made):
    return serialize_msg_to_ws_v1(made, made["channel"], lambda part: json.dumps(part).encode())


def default(made):
    return json.dumps(made)


def binary(made):
    return serialize_binary_message({**made, "buffers": [b"abc"]})


@pytest.mark.parametrize(("wire", "subprotocol"), [(v1, V1), (default, None)])
def test_both_wire_formats_decode_to_the_same_message(wire, subprotocol):
    frame = decode(wire(message()), subprotocol)
    assert (frame.channel, frame.header["msg_id"], frame.content["code"], frame.buffers) == ("shell", "m-1", "1+1", ())


def test_a_binary_frame_with_buffers_decodes_and_is_refused():
    frame = decode(binary(message()), None)
    assert frame.buffers == (b"abc",)
    assert inbound(frame)[1] == "message_malformed"


@pytest.mark.parametrize(
    "kind", ["debug_request", "shutdown_request", "interrupt_request", "comm_open", "comm_msg", "invented_request", ""]
)
@pytest.mark.parametrize("channel", ["shell", "control", "stdin", "iopub", "invented"])
def test_a_type_that_is_not_listed_for_its_channel_is_refused(kind, channel):
    request, code = inbound(decode(default(message(kind, channel)), None))
    assert code == "message_type_refused"
    assert request.data["type"] == kind


@pytest.mark.parametrize("content", [{}, {"code": 1}, {"code": None}, {"code": ["1"]}])
def test_an_execution_without_text_is_malformed(content):
    assert inbound(decode(default(message(content=content)), None))[1] == "message_malformed"


@pytest.mark.parametrize("number", ["", "x" * 129, "a b", "a\nb", "<b>"])
def test_a_message_id_that_is_no_identifier_is_malformed(number):
    made = message()
    made["header"]["msg_id"] = number
    assert inbound(decode(default(made), None))[1] == "message_malformed"


def test_what_jupyter_cannot_pack_is_malformed():
    for value in (float("nan"), "\ud800"):
        assert inbound(Frame("shell", header(), {}, {"cellId": value}, {"code": "1"}))[1] == "message_malformed"


def test_code_is_a_blob_and_never_in_the_entry():
    request, code = inbound(decode(v1(message(content={"code": "secret = 1", "silent": True})), V1))
    assert code is None
    assert request.blobs == (("code", "text/x-python", b"secret = 1"),)
    assert "secret" not in json.dumps(request.data)
    assert request.data["flags"] == {"silent": True}


def test_user_expressions_and_unknown_metadata_are_kept_as_a_blob():
    made = message(content={"code": "", "user_expressions": {"x": "open('/data')"}})
    request, code = inbound(decode(default(made), None))
    assert code is None
    assert [blob[0] for blob in request.blobs] == ["code", "rest"]
    assert b"open('/data')" in request.blobs[1][2]
    request, code = inbound(decode(default(message(metadata={"tags": ["hidden"], "cellId": "c-1"})), None))
    assert b"hidden" in request.blobs[1][2]
    assert (code, request.message["metadata"]) == (None, {"cellId": "c-1"})


SMUGGLED = "__import__('os').system('id')"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        *(("execute_request", {"code": "1", flag: SMUGGLED}) for flag in ("silent", "store_history", "allow_stdin", "stop_on_error")),
        *(("execute_request", {"code": "1", "silent": value}) for value in (1, 0, None, [], "")),
        *(("execute_request", {"code": "1", "user_expressions": value}) for value in ([], "", 0, None, [SMUGGLED], {"x": {"y": 1}})),
        ("execute_request", {"code": "1", "extra": SMUGGLED}),
        ("complete_request", {"code": "1", "cursor_pos": SMUGGLED}),
        ("complete_request", {"code": "1", "cursor_pos": True}),
        ("complete_request", {"code": "1", "cursor_pos": 1 << 60}),
        ("complete_request", {"cursor_pos": 1}),
        ("inspect_request", {"code": "1", "cursor_pos": 1, "detail_level": [SMUGGLED]}),
        ("is_complete_request", {"code": ["1"]}),
        ("history_request", {"raw": SMUGGLED}),
        ("kernel_info_request", {"x": SMUGGLED}),
        ("comm_info_request", {"target_name": {"x": SMUGGLED}}),
    ],
)
def test_w9_a_field_of_another_form_or_name_refuses_the_message(kind, content):
    assert inbound(decode(default(message(kind, content=content)), None))[1] == "message_malformed"


@pytest.mark.parametrize("value", [None, 1, {"x": SMUGGLED}, [SMUGGLED]])
def test_w10_an_answer_that_is_no_text_is_malformed(value):
    assert inbound(decode(default(message("input_reply", "stdin", {"value": value})), None))[1] == "message_malformed"


@pytest.mark.parametrize("metadata", [{"cellId": SMUGGLED}, {"cellId": {"x": 1}}, {"deletedCells": [SMUGGLED]}, {"deletedCells": SMUGGLED}])
def test_w9_marks_of_another_form_refuse_the_message(metadata):
    assert inbound(decode(default(message(metadata=metadata)), None))[1] == "message_malformed"


@given(
    st.dictionaries(
        st.sampled_from(["code", "silent", "store_history", "stop_on_error", "user_expressions", "x"]), st.booleans() | st.text()
    ),
    st.dictionaries(st.sampled_from(["cellId", "deletedCells", "recordTiming", "x"]), st.booleans() | st.text() | st.lists(st.text())),
    st.dictionaries(st.sampled_from(["username", "version", "date", "subshell_id", "x"]), st.text(min_size=1)),
)
def test_w9_whatever_is_delivered_is_constant_or_on_record(content, metadata, more):
    request, code = inbound(Frame("shell", header() | more, {"x": "parent"}, metadata, {"code": "1"} | content))
    if code is not None:
        return
    recorded = json.dumps(request.data) + "".join(blob[2].decode() for blob in request.blobs)

    def words(value):
        if isinstance(value, dict):
            return [word for item in value.values() for word in words(item)]
        if isinstance(value, list):
            return [word for item in value for word in words(item)]
        return [value] if isinstance(value, str) else []

    constant = {"", "5.4", "1970-01-01T00:00:00Z"}
    for word in words(request.message):
        assert word in constant or word in recorded or json.dumps(word, ensure_ascii=False) in recorded
    assert request.message["parent_header"] == {}


def test_what_is_delivered_is_rebuilt_without_extra_header_fields():
    made = message()
    made["header"] |= {"smuggled": "x" * 100, "username": "somebody", "date": "<script>"}
    request, _ = inbound(decode(default(made), None))
    assert "smuggled" not in json.dumps(request.message)
    assert request.message["header"]["username"] == ""
    assert request.message["header"]["date"].startswith("1970")


def test_input_is_recorded_as_a_blob():
    request, code = inbound(decode(default(message("input_reply", "stdin", {"value": "geheim"})), None))
    assert code is None
    assert request.blobs[0] == ("input", "text/plain", b"geheim")


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_fail_to_decode(data):
    for subprotocol in (V1, None):
        try:
            frame = decode(data, subprotocol)
        except Malformed:
            continue
        assert isinstance(frame.channel, str)
        inbound(frame)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
    )
)
def test_no_json_does_more_than_be_refused(value):
    for made in (value, {"channel": "shell", "header": value, "content": value}):
        try:
            frame = decode(json.dumps(made), None)
        except Malformed:
            continue
        assert inbound(frame)[1] is not None


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_changed_byte_never_reaches_outside_the_frame(place, byte):
    raw = bytearray(v1(message()))
    raw[place % len(raw)] = byte
    try:
        frame = decode(bytes(raw), V1)
    except Malformed:
        return
    assert frame.size == len(raw)


def test_own_messages_encode_in_both_formats():
    made = {"header": header("status"), "parent_header": {}, "metadata": {}, "content": {"execution_state": "idle", "text": "中"}}
    channel, parts = deserialize_msg_from_ws_v1(encode(made, "iopub", V1))
    assert (channel, json.loads(parts[3])) == ("iopub", made["content"])
    assert json.loads(encode(made, "iopub", None))["content"] == made["content"]


def out(kind, parent="m-1", content=b"{}", channel="iopub", *, size=None, payload=""):
    return Outgoing(channel, kind, parent, len(content) if size is None else size, content, payload=payload)


def funded(size=1 << 30):
    budget = Budget(floor=0)
    budget.grant(size)
    return budget


def ledger(cap=100, known=("m-1",)):
    book = Book(cap)
    for number in known:
        book.open(number, cap, header())
    return Ledger(book, funded())


def test_output_over_the_allowance_is_replaced_once_and_then_dropped():
    book = ledger()
    assert [book.judge(out("stream", size=60))[0] for _ in range(3)] == ["pass", "notice", "drop"]
    assert book.cell("m-1").size == 60
    assert book.cell("m-1").dropped == 120


def test_a_reply_over_the_allowance_is_replaced_so_that_the_cell_can_end():
    book = ledger(cap=10)
    reply = json.dumps({"status": "ok", "payload": "x" * 50}).encode()
    assert book.judge(out("execute_reply", content=reply, channel="shell"))[0] == "reply"
    assert book.judge(out("status", content=b'{"execution_state": "idle"}'))[0] == "end"
    assert book.cell("m-1").closed


def test_forged_parents_share_one_allowance():
    book = ledger()
    assert [book.judge(out("stream", parent=f"forged-{n}", size=60))[0] for n in range(3)] == ["pass", "notice", "drop"]
    assert book.judge(out("stream", parent="m-1", size=60))[0] == "pass"


def test_an_unknown_type_or_state_is_dropped():
    book = ledger()
    assert book.judge(out("invented"))[0] == "drop"
    assert book.judge(out("status", content=b'{"execution_state": "payload"}'))[0] == "drop"


def test_nothing_rides_in_headers_or_in_a_status():
    long = json.dumps({"msg_type": "stream", "msg_id": "y" * 128, "username": "y" * 900, "x": "y" * 900}).encode()
    parts = [b"sig", long, b'{"msg_id": "m-1", "x": "yyyyyy"}', b"{}", b'{"text": "shown"}']
    made = rebuilt(outgoing("iopub", parts), parts, header(), "n-1", "2026-11-23T10:00:00Z")
    assert b"yyy" not in b"".join(made)
    assert json.loads(made[0])["msg_type"] == "stream"
    parts[1], parts[4] = b'{"msg_type": "status"}', b'{"execution_state": "busy", "x": "yyyyyy"}'
    made = rebuilt(outgoing("iopub", [*parts, b"yyyyyy"]), [*parts, b"yyyyyy"], {}, "n-1", "2026-11-23T10:00:00Z")
    assert b"yyy" not in b"".join(made)
    assert json.loads(made[3]) == {"execution_state": "busy"}


def test_a_flood_of_status_messages_ends_and_the_cell_still_can():
    book = ledger(cap=100)
    busy = out("status", content=b'{"execution_state": "busy"}', size=16)
    assert [book.judge(busy)[0] for _ in range(8)] == ["pass"] * 6 + ["drop"] * 2
    assert [book.judge(out("status", content=b'{"execution_state": "idle"}', size=16))[0] for _ in range(2)] == ["end", "drop"]


def test_a_new_connection_brings_no_new_allowance():
    first = ledger()
    assert first.judge(out("stream", size=60))[0] == "pass"
    assert first.judge(out("stream", parent="", size=60))[0] == "pass"
    second = Ledger(first.book, first.budget)
    for parent in ("m-1", ""):
        assert second.judge(out("stream", parent=parent, size=60))[0] == "notice"


def test_two_connections_that_see_the_same_count_it_once():
    first = ledger(cap=150)
    second = Ledger(first.book, first.budget)
    for size in (60, 40):
        assert [book.judge(out("stream", parent="", size=size, payload=f"p{size}"))[0] for book in (first, second)] == ["pass", "pass"]
    assert first.book.background.shown == first.budget.shown == 100 + 2 * REPEAT_BYTES


def test_w12_a_kernel_that_shows_each_tab_something_else_gains_nothing():
    first = ledger(cap=100)
    second = Ledger(first.book, first.budget)
    assert first.judge(out("stream", size=60, payload="one half"))[0] == "pass"
    assert second.judge(out("stream", size=60, payload="other half"))[0] == "notice"


def test_replies_to_different_connections_share_the_allowance():
    first = ledger()
    second = Ledger(first.book, first.budget)
    assert first.judge(out("inspect_reply", channel="shell", size=60))[0] == "pass"
    assert second.judge(out("inspect_reply", channel="shell", size=60))[0] == "reply"


@pytest.mark.parametrize("parts", [[], [b"", b"", b"", b"", b""], [b"", b"[]", b"{}", b"{}", b"{}"], [b"", b"{", b"{}", b"{}", b"{}"]])
def test_garbage_from_the_kernel_is_a_value_error(parts):
    with pytest.raises(ValueError):
        outgoing("iopub", parts)


def test_a_refused_cell_gets_error_reply_and_idle():
    request, _ = inbound(decode(default(message()), None))
    assert [(kind, channel) for kind, _, channel in replies(request, "lease_ended", "…")] == [
        ("status", "iopub"),
        ("error", "iopub"),
        ("execute_reply", "shell"),
        ("status", "iopub"),
    ]
    assert replies(request, "lease_ended", "…")[2][1]["ename"] == "lease_ended"


@pytest.mark.parametrize("place", [1, 2])
def test_w12_a_giant_header_of_the_kernel_is_garbage_before_it_is_read(place):
    parts = [b"sig", json.dumps(header("stream")).encode(), b"{}", b"{}", b'{"name": "stdout", "text": "x"}']
    assert isinstance(outgoing("iopub", parts), Outgoing)
    parts[place] = parts[place][:-1] + b" " * HEADER_BYTES + b"}"
    with pytest.raises(ValueError, match="size"):
        outgoing("iopub", parts)
