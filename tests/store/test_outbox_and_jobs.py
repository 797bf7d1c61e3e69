import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from sandbox.domain.errors import Refusal
from sandbox.domain.states import JobState
from sandbox.store import jobs, outbox
from sandbox.store.db import unique_or
from sandbox.store.tables import Job, Outbox

NOW = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)


def _record(db, kind="thing.done", texts=None):
    return outbox.record(db, kind, now=NOW, actor={"type": "service", "id": "portal"}, refs={}, data={"n": 1}, texts=texts)


def test_a_record_is_rolled_back_with_its_state(database):
    with pytest.raises(ZeroDivisionError), database.writing() as db:
        assert _record(db).id / 0
    with database.reading() as db:
        assert db.scalar(select(func.count()).select_from(Outbox)) == 0


def test_places_have_no_gap_and_keep_the_order(database):
    with database.writing() as db:
        ids = [_record(db, f"k{n}").id for n in range(3)]
    with database.writing() as db:
        rows = outbox.sequence(db, "boot1", 7)
        assert [(row.id, row.seq) for row in rows] == list(zip(ids, [7, 8, 9], strict=True))
        outbox.mark_shipped(rows[0], 100)
    with database.writing() as db:
        _record(db, "k3")
    with database.writing() as db:
        assert [row.seq for row in outbox.sequence(db, "boot1", 10)] == [8, 9, 10]
        assert [row.kind for row in outbox.pending(db)] == ["k1", "k2", "k3"]


def test_a_new_boot_takes_over_what_the_old_one_left(database):
    with database.writing() as db:
        _record(db, "left")
        outbox.sequence(db, "old", 0)
    with database.writing() as db:
        assert outbox.displace(db, "new") == 1
        assert [(row.boot, row.seq) for row in outbox.sequence(db, "new", 1)] == [("new", 1)]


def test_texts_have_a_salt_each_and_leave_with_the_shipment(database):
    with database.writing() as db:
        row = _record(db, texts={"a": "字", "b": "two"})
        assert set(row.salts) == {"a", "b"}
        assert all(len(salt) == 32 for salt in row.salts.values())
        assert row.salts["a"] != row.salts["b"]
        outbox.mark_shipped(row, 3)
        assert (row.texts, row.shipped_index) == ({}, 3)


def test_times_come_back_in_utc(database):
    with database.writing() as db:
        _record(db)
    with database.reading() as db:
        assert db.scalars(select(Outbox)).one().created == NOW


def test_a_naive_time_is_not_stored(database):
    with pytest.raises(Exception, match="zone"), database.writing() as db:
        jobs.enqueue(db, NOW.replace(tzinfo=None), "import", "x")


def test_a_job_is_tried_three_times_then_fails(database):
    with database.writing() as db:
        jobs.enqueue(db, NOW, "import", "v1")
    now, outcomes = NOW, []
    for _ in range(3):
        with database.writing() as db:
            job = jobs.claim(db, now)
            assert jobs.claim(db, now) is None
            outcomes.append(jobs.fail(job, now, "broke"))
            now = job.due + timedelta(seconds=1)
    with database.reading() as db:
        job = db.scalars(select(Job)).one()
        assert (outcomes, job.state, job.attempts) == ([True, True, False], JobState.FAILED, 3)


def test_a_job_that_is_not_due_or_of_another_kind_waits(database):
    with database.writing() as db:
        jobs.enqueue(db, NOW, "import", "v1")
        assert jobs.claim(db, NOW - timedelta(seconds=1)) is None
        assert jobs.claim(db, NOW, frozenset({"check"})) is None
        assert jobs.claim(db, NOW, frozenset({"import"})) is not None


def test_one_job_of_a_kind_and_subject_is_live(database):
    with database.writing() as db:
        jobs.finish(_claimed(db), NOW)
        jobs.enqueue(db, NOW, "start", "s1")
    with pytest.raises(Refusal) as refused, database.writing() as db, unique_or(db, "start_pending"):
        jobs.enqueue(db, NOW, "start", "s1")
    assert refused.value.code == "start_pending"


def _claimed(db):
    jobs.enqueue(db, NOW, "start", "s1")
    return jobs.claim(db, NOW)


def test_what_a_dead_runner_had_is_put_back(database):
    with database.writing() as db:
        _claimed(db)
    with database.writing() as db:
        assert jobs.reclaim(db, NOW) == []
        assert jobs.claim(db, NOW + timedelta(minutes=1)).subject == "s1"


def test_two_runners_never_claim_the_same_job(database):
    with database.writing() as db:
        for n in range(2):
            jobs.enqueue(db, NOW, "import", f"v{n}")
    claimed, together = [], threading.Barrier(2, timeout=10)

    def claim():
        together.wait()
        with database.writing() as db:
            claimed.append(jobs.claim(db, NOW).subject)

    threads = [threading.Thread(target=claim) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(claimed) == ["v0", "v1"]


def test_reading_sees_the_last_commit_while_another_writes(database):
    with database.writing() as db:
        _record(db)
    with database.writing() as writer:
        _record(writer)
        with database.reading() as reader:
            assert reader.scalar(select(func.count()).select_from(Outbox)) == 1
