"""What the probe found, judged: pure. An attack that was not made is never `held`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Word = Literal["held", "breached", "not applicable"]
HELD: Word = "held"
BREACHED: Word = "breached"
NOT_APPLICABLE: Word = "not applicable"

# Under gVisor system calls are answered by its own kernel, a process without privilege or network whose own calls to Linux are filtered
# (held by a test and by `K1`'s evidence). These are answered there instead of refused; none of them reaches Linux (ADR 0011).
SENTRY: Mapping[tuple[str, str], str] = {
    ("N3", "ping socket"): "of gVisor's own network, which ends at its lo",
    ("N7", "socket of family netlink"): "asks gVisor's own network, which ends at its lo",
    ("F6", "open /dev/fuse"): "gVisor's own device: mounts inside its own kernel only",
    ("F6", "open /dev/net/tun"): "gVisor's own device: a network of its own stack, which ends at its lo",
    ("K1", "no filter of system calls"): "Docker's profile is ignored; gVisor's own process is filtered instead",
    ("K1", "change one's capabilities"): "its arguments are read first; every set is empty, as the other attempts of K1 show",
    ("K2", "unshare user"): "a namespace of gVisor's kernel",
    ("K2", "clone with a new user namespace"): "a namespace of gVisor's kernel",
    ("K2", "clone with a new mount namespace"): "a namespace of gVisor's kernel",
    ("K2", "unshare cgroup"): "a namespace of gVisor's kernel",
    ("K2", "clone with a new cgroup namespace"): "gVisor does not know it (EINVAL)",
    ("K2", "unshare time"): "gVisor ignores the flag",
    ("K2", "clone3"): "a namespace of gVisor's kernel at most",
    ("K2", "setns"): "between namespaces of gVisor's kernel",
    ("K3", "ptrace: be traced"): "between processes of the same person in one sandbox",
    ("K3", "process_vm_readv of PID 1"): "its arguments are read first; the supervisor's memory is not dumpable (F4)",
    ("K3", "process_vm_writev of PID 1"): "its arguments are read first; the supervisor's memory is not dumpable (F4)",
    ("K3", "limits of PID 1"): "the supervisor has the same user: a person can hinder their own sandbox",
    ("K3", "pidfd_getfd"): "its arguments are read first",
    ("K4", "perf_event_open"): "gVisor answers ENODEV: it has no such events",
    ("K5", "keyctl"): "gVisor's own session keyring",
    ("K7", "fsopen"): "a mount of gVisor's kernel",
    ("K7", "fsmount"): "a mount of gVisor's kernel",
    ("K7", "open_tree"): "a mount of gVisor's kernel",
    ("K8", "syslog: size of the buffer"): "gVisor's own invented messages",
    ("K8", "open_by_handle_at"): "its arguments are read first; handles are gVisor's own",
    ("K8", "name_to_handle_at"): "handles are gVisor's own",
    ("K8", "personality without randomised addresses"): "gVisor's own address layout",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One id's verdict: `evidence` says what was seen (errno, HTTP status, reason code, record index), or why nothing was tried."""

    id: str
    title: str
    runtime: str
    verdict: Word
    evidence: str

    def plain(self) -> dict[str, str]:
        """Return it as JSON has it."""
        return asdict(self)


def stands(finding: Mapping[str, str], runtime: str) -> bool:
    """Tell whether one finding of the probe is what must be: refused, or harmless under gVisor for a written reason."""
    if finding["outcome"] == "refused":
        return True
    # there a family or option that is absent is absent in gVisor itself, whatever this machine's Linux has
    return runtime == "runsc" and (finding["outcome"] == "absent" or (finding["id"], finding["what"]) in SENTRY)


def judge(number: str, title: str, runtime: str, findings: Iterable[Mapping[str, str]]) -> Verdict:
    """Judge what the probe found for one id; nothing found is `not applicable`."""
    found = [one for one in findings if one["id"] == number]
    if not found:
        return Verdict(number, title, runtime, NOT_APPLICABLE, "the probe did not come to it")
    if bad := [one for one in found if not stands(one, runtime)]:
        return Verdict(number, title, runtime, BREACHED, "; ".join(map(said, bad)))
    return Verdict(number, title, runtime, HELD, "; ".join(said(one) for one in found))


def said(finding: Mapping[str, str]) -> str:
    """Say one finding in a few words."""
    if finding["outcome"] == "refused":
        return f"{finding['what']}: {finding['errno'] or 'no'}"
    reason = SENTRY.get((finding["id"], finding["what"]), "")
    return f"{finding['what']}: {finding['errno'] or 'done'}" + (f" ({reason})" if reason else "")


def breached(verdicts: Iterable[Verdict]) -> bool:
    """Tell whether any verdict is a breach."""
    return any(one.verdict == BREACHED for one in verdicts)


def document(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """Return the JSON document: a list of `{id, title, runtime, verdict, evidence}`."""
    return [one.plain() for one in verdicts]
