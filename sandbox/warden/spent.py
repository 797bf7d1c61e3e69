"""What a spec can be refused for that is not in it: used before, or withdrawn by a cut.

On disk as well, so that a restart within a spec's 60 seconds forgets nothing; older entries need no memory, the spec has expired.
"""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

from sandbox.domain.errors import Refusal
from sandbox.domain.spec import LIFETIME, SKEW, SandboxSpec, Spec

KEEP = LIFETIME + SKEW + timedelta(seconds=5)


class Spent:
    """Nonces used and sandboxes cut within the life of a spec. Raises ValueError on a damaged file: better no start than a second one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        kept = json.loads(path.read_text()) if path.exists() else {}
        self._nonces = {nonce: datetime.fromisoformat(at) for nonce, at in kept.get("nonces", {}).items()}
        self._cuts = {sandbox: datetime.fromisoformat(at) for sandbox, at in kept.get("cuts", {}).items()}

    def spend(self, spec: Spec, now: datetime) -> None:
        """Use the spec up. Raises Refusal `spec_used`, or `spec_expired` for one issued before its sandbox was cut (R1, R8)."""
        if spec.nonce in self._nonces:
            raise Refusal("spec_used", field="nonce", status=403)
        self._nonces[spec.nonce] = now
        self.keep(now)
        if isinstance(spec, SandboxSpec) and spec.issued <= self._cuts.get(spec.sandbox, spec.issued - SKEW):
            raise Refusal("spec_expired", field="issued", status=403)

    def withdraw(self, sandbox: str, now: datetime) -> None:
        """Refuse from now on what was issued for `sandbox` until now; `keep` puts it on disk, when the cut is done."""
        self._cuts[sandbox] = now

    def keep(self, now: datetime) -> None:
        """Put on disk what still matters. Raises OSError."""
        self._nonces = {nonce: at for nonce, at in self._nonces.items() if now - at < KEEP}
        self._cuts = {sandbox: at for sandbox, at in self._cuts.items() if now - at < KEEP}
        whole = {"nonces": _texts(self._nonces), "cuts": _texts(self._cuts)}
        aside = self._path.with_suffix(".new")
        with aside.open("w") as file:
            json.dump(whole, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)


def _texts(moments: dict[str, datetime]) -> dict[str, str]:
    return {name: at.isoformat() for name, at in moments.items()}
