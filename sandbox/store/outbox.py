"""The record's way out: rows written with the state they tell of, shipped to the log after commit."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox.store.tables import Outbox

SALT_BYTES = 16


def record(
    db: Session,
    kind: str,
    *,
    now: datetime,
    actor: Mapping[str, Any],
    refs: Mapping[str, str],
    data: Mapping[str, Any],
    texts: Mapping[str, str] | None = None,
) -> Outbox:
    """Add a record to the caller's transaction; `texts` (what people typed) become salted blobs when it is shipped.

    The row has its id at once; `seq` and `shipped_index` come from the shipper.
    """
    words = dict(texts or {})
    row = Outbox(
        created=now,
        kind=kind,
        actor=dict(actor),
        refs=dict(refs),
        data=dict(data),
        texts=words,
        salts={name: secrets.token_hex(SALT_BYTES) for name in words},
    )
    db.add(row)
    db.flush()
    return row


def pending(db: Session, limit: int = 100) -> Sequence[Outbox]:
    """Return committed rows that are not in the log yet: those that have a place first, in its order, then the others by age."""
    order = (Outbox.seq.is_(None), Outbox.boot, Outbox.seq, Outbox.id)
    return db.scalars(select(Outbox).where(Outbox.shipped_index.is_(None)).order_by(*order).limit(limit)).all()


def sequence(db: Session, boot: str, first: int, limit: int = 100) -> Sequence[Outbox]:
    """Give the oldest rows without one their place (`boot`, `seq` from `first` on); return all of this boot that wait, in order.

    Only the one shipper places, and only what is committed: ids may be committed out of order, `seq` never has a gap.
    """
    unplaced = select(Outbox).where(Outbox.shipped_index.is_(None), Outbox.boot.is_(None)).order_by(Outbox.id).limit(limit)
    for number, row in enumerate(db.scalars(unplaced).all(), start=first):
        row.boot, row.seq = boot, number
    db.flush()
    waiting = select(Outbox).where(Outbox.shipped_index.is_(None), Outbox.boot == boot).order_by(Outbox.seq).limit(limit)
    return db.scalars(waiting).all()


def displace(db: Session, boot: str) -> int:
    """Take their place from waiting rows of other boots than `boot` (call once, when a new boot begins); return how many.

    A row that the log had taken but not acknowledged is then recorded twice, which is better than not at all.
    """
    left = db.scalars(select(Outbox).where(Outbox.shipped_index.is_(None), Outbox.boot.is_not(None), Outbox.boot != boot)).all()
    for row in left:
        row.boot = row.seq = None
    db.flush()
    return len(left)


def mark_shipped(row: Outbox, index: int) -> None:
    """Note the entry's index in the log, which is its acknowledgement; the texts are the log's from now on."""
    row.shipped_index = index
    row.texts = {}
