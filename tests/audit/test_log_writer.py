"""The writer on a real directory: order, repetition, recovery, a full disk."""

import os

import pytest
from log_support import fill, first, frames, leaf, make_log, with_blob

from audit.checkpoint import Signer
from audit.errors import Damaged, Refused, Unhealthy
from audit.leaf import blob_digest
from audit.writer import GivenBlob


@pytest.fixture
def log(tmp_path, signer):
    log = make_log(tmp_path / "audit", signer)
    yield log
    log.close()


def refusal(log, one, blobs=()):
    size = log.size
    with pytest.raises(Refused) as refused:
        log.append(one, blobs)
    assert log.size == size
    return refused.value


def test_same_leaf_again_gives_its_first_index(log):
    index = log.append(first())
    log.append(leaf(1))
    assert log.append(first()) == index
    assert log.size == 3


def test_another_leaf_under_a_taken_number_is_a_conflict(log):
    log.append(first())
    log.append(leaf(1))
    assert refusal(log, leaf(1, data={"x": 1})).code == "log.leaf_conflict"


def test_gap_is_refused_with_the_expected_number(log):
    log.append(first())
    refused = refusal(log, leaf(2))
    assert (refused.code, refused.params["expected"]) == ("log.seq_gap", 1)
    assert refusal(log, leaf(5, boot="b2")).params["expected"] == 0


def test_new_boot_names_the_one_before(log):
    log.append(first())
    log.append(leaf(1))
    for bad in (
        first(None, boot="b2"),
        first({"boot": "b1", "seq": 0}, boot="b2"),
        leaf(0, boot="b2"),
        leaf(0, boot="b2", kind="source.started"),
    ):
        refused = refusal(log, bad)
        assert (refused.code, refused.params["previous"]) == ("log.bad_previous", {"boot": "b1", "seq": 1})
    log.append(first({"boot": "b1", "seq": 1}, boot="b2"))
    assert log.last("hub") == {"boot": "b2", "seq": 0}


def test_ended_boot_appends_nothing_more(log):
    log.append(first())
    log.append(first({"boot": "b1", "seq": 0}, boot="b2"))
    assert refusal(log, leaf(1, boot="b1")).code == "log.boot_ended"
    assert log.append(first()) == 1


def test_first_kind_comes_first_only(log):
    log.append(first())
    assert refusal(log, leaf(1, "source.started", data={"previous": None})).code == "log.bad_leaf"


def test_blobs_come_with_their_leaf_and_fit_it(log):
    log.append(first())
    one, blobs, blob = with_blob(1, "1+1")
    stranger = GivenBlob(blob_digest(b"s" * 16, b"x"), b"s" * 16, b"x")
    wrong = GivenBlob(blob.digest, blob.salt, b"2+2")
    short = GivenBlob(blob_digest(b"", b"1+1"), b"", b"1+1")
    larger = {**one, "blobs": [{**one["blobs"][0], "size": 4}]}
    for bad, given in ((one, []), (one, [*blobs, stranger]), (one, [wrong]), (one, [short]), (leaf(1), blobs), (larger, blobs)):
        refused = refusal(log, bad, given)
        assert (refused.code, refused.params["field"]) == ("log.bad_leaf", "blobs")
    log.append(one, blobs)
    assert log.blob(blob.digest) == b"1+1"


def test_staged_leaves_share_one_head(log, tmp_path):
    log.append(first())
    before = len(frames((tmp_path / "audit/wal").read_bytes()))
    assert [log.stage(leaf(seq)) for seq in (1, 2, 3)] == [2, 3, 4]
    assert log.stage(leaf(2)) == 3
    log.commit()
    after = frames((tmp_path / "audit/wal").read_bytes())
    assert [kind for kind, _, _ in after[before:]] == [0, 0, 0, 2]


def test_entries_are_found_by_kind_actor_and_reference(log):
    fill(log, 5)
    log.append(leaf(5, "export.released", refs={"sandbox": "sb2", "export": "e1"}))
    found, following = log.entries({"refs.sandbox": "sb1", "kind": "cell.execute"}, 0, 3)
    assert ([entry["index"] for entry in found], following) == ([2, 3, 4], 5)
    assert [entry["index"] for entry in log.entries({"refs.sandbox": "sb1", "kind": "cell.execute"}, 5, 3)[0]] == [5]
    assert [entry["index"] for entry in log.entries({"refs.export": "e1"}, 0, 9)[0]] == [6]
    assert log.entries({"actor": "nobody"}, 0, 9) == ([], None)
    assert log.entries({}, 5, 9)[1] is None


def test_restart_knows_everything_and_records_itself(tmp_path, signer):
    log = make_log(tmp_path / "audit", signer)
    fill(log, 3)
    log.close()
    log = make_log(tmp_path / "audit", signer)
    assert log.append(leaf(2)) == 3
    assert log.append(leaf(3)) == 5
    started, _ = log.entries({"source": "log", "kind": "source.started"}, 0, 9)
    assert [entry["index"] for entry in started] == [0, 4]
    log.close()


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_torn_tail_is_cut_kept_aside_and_recorded(tmp_path, signer, kept):
    log = make_log(tmp_path / "audit", signer)
    fill(log, 3)
    log.close()
    path = tmp_path / "audit/wal"
    whole = path.read_bytes()
    *_, (_, start, _), (_, _, _) = frames(whole)
    torn = whole[: start + int((len(whole) - start) * kept)]
    path.write_bytes(torn)
    log = make_log(tmp_path / "audit", signer)
    recorded, _ = log.entries({"kind": "log.tail_cut"}, 0, 9)
    aside = tmp_path / "audit" / recorded[0]["leaf"]["data"]["file"]
    assert aside.read_bytes() == torn[start:]
    assert log.last("hub") == {"boot": "b1", "seq": 1}
    log.close()


def test_tail_of_zeros_counts_as_torn(tmp_path, signer):
    make_log(tmp_path / "audit", signer).close()
    with (tmp_path / "audit/wal").open("ab") as file:
        file.write(bytes(300))
    log = make_log(tmp_path / "audit", signer)
    assert len(log.entries({"kind": "log.tail_cut"}, 0, 9)[0]) == 1
    log.close()


def test_any_other_damage_refuses_to_start(tmp_path, signer):
    log = make_log(tmp_path / "audit", signer)
    fill(log, 3)
    log.close()
    path = tmp_path / "audit/wal"
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        with pytest.raises(Damaged) as damaged:
            make_log(tmp_path / "audit", signer)
        assert damaged.value.code.startswith("wal.")
        assert path.stat().st_size == len(whole)


def test_second_writer_is_refused(log, tmp_path, signer):
    with pytest.raises(Damaged) as damaged:
        make_log(tmp_path / "audit", signer)
    assert damaged.value.code == "log.locked"


def test_swapped_key_is_refused(tmp_path, signer):
    make_log(tmp_path / "audit", signer).close()
    with pytest.raises(Damaged) as damaged:
        make_log(tmp_path / "audit", Signer.generate("test.log"))
    assert damaged.value.code == "log.other_key"
    (tmp_path / "audit/log.vkey").unlink()
    with pytest.raises(Damaged) as damaged:
        make_log(tmp_path / "audit", Signer.generate("test.log"))
    assert damaged.value.code == "wal.signature"


@pytest.mark.parametrize("call", ["write", "fdatasync", "fsync"])
def test_failed_write_is_final_and_acknowledges_nothing(tmp_path, signer, monkeypatch, call):
    log = make_log(tmp_path / "audit", signer)
    fill(log, 2)
    one, blobs, _ = with_blob(2, "1+1")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(Unhealthy):
            log.append(one, blobs)
    with pytest.raises(Unhealthy):
        log.append(leaf(2))
    assert log.failed
    assert log.size == 3
    log.close()
    # Whether the entry got to disk is open; after a restart repeating it settles that.
    log = make_log(tmp_path / "audit", signer)
    index = log.append(one, blobs)
    assert log.entries({}, index, 1)[0][0]["leaf"] == one
    log.close()


def test_short_write_is_completed_or_cut(tmp_path, signer, monkeypatch):
    log = make_log(tmp_path / "audit", signer)
    fill(log, 2)
    write = os.write

    def partly(descriptor, content):
        if partly.calls:
            raise OSError(28, "No space left on device")
        partly.calls += 1
        return write(descriptor, content[:50])

    partly.calls = 0
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", partly)
        with pytest.raises(Unhealthy):
            log.append(leaf(2))
    log.close()
    log = make_log(tmp_path / "audit", signer)
    assert log.last("hub") == {"boot": "b1", "seq": 1}
    assert log.entries({"kind": "log.tail_cut"}, 0, 1)[0][0]["leaf"]["data"]["bytes"] == 50
    log.close()


def test_a_blob_that_is_there_already_is_synced_and_never_written_over(tmp_path, signer, monkeypatch):
    log = make_log(tmp_path / "audit", signer)
    log.append(first())
    one, blobs, blob = with_blob(1, "print(1)")
    log.append(one, blobs)
    path = tmp_path / "audit/blobs" / blob.digest[:2] / blob.digest
    before, synced, fsync = path.stat().st_ino, [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(os.fstat(descriptor).st_ino), fsync(descriptor)))
    log.append(leaf(2, blobs=[blob.ref]), blobs)
    assert path.stat().st_ino == before
    assert synced == [before, path.parent.stat().st_ino]
    log.close()


def test_what_an_interrupted_write_left_under_a_blobs_name_is_replaced(tmp_path, signer):
    log = make_log(tmp_path / "audit", signer)
    log.append(first())
    one, blobs, blob = with_blob(1, "print(1)")
    (tmp_path / "audit/blobs" / blob.digest[:2] / blob.digest).write_bytes(b"")
    log.append(one, blobs)
    assert log.blob(blob.digest) == blob.content
    log.close()
