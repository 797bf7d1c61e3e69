"""Order within each source: numbers without gaps, and boots that name the one before. Pure; used by the writer and by verify."""

from typing import Any

from audit.errors import Refused
from audit.leaf import STARTED


class Sequences:
    """For every source its boots, in order, and for every boot the log index of each of its leaves."""

    def __init__(self) -> None:
        self._boots: dict[str, dict[str, list[int]]] = {}

    def last(self, source: str) -> dict[str, Any] | None:
        """Return `{"boot","seq"}` of the source's last leaf, None if it has none."""
        boots = self._boots.get(source)
        if not boots:
            return None
        boot = next(reversed(boots))
        return {"boot": boot, "seq": len(boots[boot]) - 1}

    def index_of(self, source: str, boot: str, seq: int) -> int | None:
        """Return the log index that (source, boot, seq) already has, None if it is new."""
        indices = self._boots.get(source, {}).get(boot, ())
        return indices[seq] if seq < len(indices) else None

    def check_next(self, leaf: dict[str, Any]) -> None:
        """Refuse (409) a new leaf that does not come next: `log.seq_gap`, `log.boot_ended`, `log.bad_previous`."""
        source, boot, seq = leaf["source"], leaf["boot"], leaf["seq"]
        last = self.last(source)
        if last is not None and last["boot"] == boot:
            if seq != last["seq"] + 1:
                raise Refused("log.seq_gap", 409, expected=last["seq"] + 1)
            if leaf["kind"] == STARTED:
                raise Refused("log.bad_leaf", field="kind", reason="source.started is the first leaf of a boot")
            return
        if boot in self._boots.get(source, {}):
            raise Refused("log.boot_ended", 409, last=last)
        if seq != 0:
            raise Refused("log.seq_gap", 409, expected=0)
        if leaf["kind"] != STARTED or leaf["data"].get("previous", "absent") != last:
            raise Refused("log.bad_previous", 409, previous=last)

    def add(self, leaf: dict[str, Any], index: int) -> None:
        """Take a leaf that `check_next` let pass."""
        self._boots.setdefault(leaf["source"], {}).setdefault(leaf["boot"], []).append(index)
