"""Work that leaves after commit: a row of the same transaction, claimed by one runner, tried again a few times."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox.domain.states import JOB_STEPS, JobState, step
from sandbox.store.tables import Job

ATTEMPTS = 3
RETRY_SECONDS = 5


def enqueue(db: Session, now: datetime, kind: str, subject: str, payload: Mapping[str, Any] | None = None) -> Job:
    """Add a job to the caller's transaction; one of a kind and subject can be waiting or running at a time."""
    job = Job(
        created=now,
        kind=kind,
        subject=subject,
        payload=dict(payload or {}),
        state=JobState.QUEUED,
        attempts=0,
        max_attempts=ATTEMPTS,
        due=now,
    )
    db.add(job)
    db.flush()
    return job


def claim(db: Session, now: datetime, kinds: frozenset[str] | None = None) -> Job | None:
    """Take the oldest due job, or None; two runners never get the same one (SKIP LOCKED, or SQLite's one writer)."""
    query = select(Job).where(Job.state == JobState.QUEUED, Job.due <= now)
    if kinds is not None:
        query = query.where(Job.kind.in_(sorted(kinds)))
    job = db.scalars(query.order_by(Job.due, Job.created, Job.id).limit(1).with_for_update(skip_locked=True)).one_or_none()
    if job is None:
        return None
    job.state = step(JOB_STEPS, job.state, JobState.RUNNING)
    job.attempts += 1
    job.claimed_at = now
    db.flush()
    return job


def finish(job: Job, now: datetime) -> None:
    """Note that a job is done."""
    job.state = step(JOB_STEPS, job.state, JobState.DONE)
    job.finished_at = now


def fail(job: Job, now: datetime, error: str) -> bool:
    """Note a failure; put the job back for a later try (true), or end it when its tries are used up (false)."""
    again = job.attempts < job.max_attempts
    job.state = step(JOB_STEPS, job.state, JobState.QUEUED if again else JobState.FAILED)
    job.error = error
    job.due = now + timedelta(seconds=RETRY_SECONDS * job.attempts)
    job.finished_at = None if again else now
    return again


def reclaim(db: Session, now: datetime) -> list[Job]:
    """Put back what was running when the runner ended (call once at its start); return what has no tries left: it has failed."""
    left = db.scalars(select(Job).where(Job.state == JobState.RUNNING)).all()
    return [job for job in left if not fail(job, now, "runner ended")]
