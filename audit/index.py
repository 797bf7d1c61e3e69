"""Where entries are and how to find them, in memory; rebuilt at each start. A disk index can replace it behind the same three methods."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, NamedTuple

from audit.leaf import REFS

FILTERS = frozenset({"kind", "actor", "source", *(f"refs.{name}" for name in REFS)})


class Place(NamedTuple):
    """Where an entry's leaf is in the file, and its leaf hash."""

    offset: int
    length: int
    hashed: bytes


class Index:
    """Places of all entries, and for every (field, value) the entries that have it, in order."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self._keys: list[frozenset[str]] = []
        self._entries: dict[str, list[int]] = {}

    def add(self, leaf: Mapping[str, Any], place: Place) -> None:
        """Take the next entry."""
        number = len(self.places)
        keys = frozenset(_keys(leaf))
        self.places.append(place)
        self._keys.append(keys)
        for key in keys:
            self._entries.setdefault(key, []).append(number)

    def find(self, filters: Mapping[str, str], start: int, count: int) -> tuple[list[int], int | None]:
        """Return at most `count` entries from `start` on that have all the filters' values, and where to go on (None: that was all)."""
        if not filters:
            stop = min(start + count, len(self.places))
            return list(range(start, stop)), stop if stop < len(self.places) else None
        wanted = {f"{name}={value}" for name, value in filters.items()}
        rarest = min((self._entries.get(key, []) for key in wanted), key=len)
        found: list[int] = []
        for position in range(bisect_left(rarest, start), len(rarest)):
            if wanted <= self._keys[rarest[position]]:
                if len(found) == count:
                    return found, rarest[position]
                found.append(rarest[position])
        return found, None


def _keys(leaf: Mapping[str, Any]) -> list[str]:
    actor = leaf["actor"]
    return [
        f"kind={leaf['kind']}",
        f"source={leaf['source']}",
        f"actor={actor.get('login', actor['id'])}",
        f"actor={actor['id']}",
        *(f"refs.{name}={value}" for name, value in leaf["refs"].items()),
    ]
