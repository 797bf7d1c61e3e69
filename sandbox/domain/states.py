"""States of every entity and the steps between them, as data.

What is not in a table cannot happen: `step` refuses it with `state_conflict`. Why a step is taken is the services' business.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from sandbox.domain.errors import Refusal


class PartyKind(StrEnum):
    """Who can use open data (A3)."""

    NATURAL = "natural"
    LEGAL = "legal"
    ORGANISATION = "organisation"


class BodyKind(StrEnum):
    """Who opens data: a public body, the authority over them (A5), or an enterprise or association (A14)."""

    GOVERNMENT = "government"
    AUTHORITY = "authority"
    ENTERPRISE = "enterprise"


class Role(StrEnum):
    """What a person may be; steward and reviewer are roles of a body, the others of the platform."""

    STEWARD = "steward"
    REVIEWER = "reviewer"
    RESEARCHER = "researcher"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"
    OFFICER = "officer"


BODY_ROLES = frozenset({Role.STEWARD, Role.REVIEWER})


class GrantState(StrEnum):
    """A role grant: asked for, confirmed by the security officer, ended."""

    REQUESTED = "requested"
    ACTIVE = "active"
    ENDED = "ended"


class VersionState(StrEnum):
    """A version of a dataset."""

    IMPORTING = "importing"
    IMPORTED = "imported"
    FAILED = "failed"
    PUBLISHED = "published"


class Access(StrEnum):
    """How a release is reached in the sandbox."""

    MOUNTED = "mounted"
    QUERIED = "queried"


class Environment(StrEnum):
    """What a sandbox can compute with: Python alone, or R beside it. Chosen when it is opened, fixed by the launch spec."""

    PYTHON = "python"
    PYTHON_R = "python_r"


class ProjectState(StrEnum):
    """A project."""

    ACTIVE = "active"
    CLOSED = "closed"


class ApplicationState(StrEnum):
    """An application; each owner body decides for itself, `assessed` means all of them have."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    CHANGES_REQUESTED = "changes_requested"
    ASSESSED = "assessed"


class DecisionKind(StrEnum):
    """What an owner body says to an application (A10.3); `changes` gives it back."""

    APPROVE = "approve"
    REJECT = "reject"
    CHANGES = "changes"


class AgreementState(StrEnum):
    """An agreement; *suspended* is no state but a set of holds, *expired* is also a comparison made in each decision."""

    DRAFT = "draft"
    OFFERED = "offered"
    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"
    ENDED = "ended"


class Side(StrEnum):
    """The two sides of an agreement."""

    OWNER = "owner"
    USER = "user"


class ReleaseState(StrEnum):
    """A release prepared for one agreement."""

    PREPARING = "preparing"
    READY = "ready"
    FAILED = "failed"
    DESTROYED = "destroyed"


class SandboxState(StrEnum):
    """A sandbox as seen; `cut` is final: its workspace is sealed and the next one is new."""

    STOPPED = "stopped"
    REQUESTED = "requested"
    STARTING = "starting"
    RUNNING = "running"
    REFUSED = "refused"
    CUT = "cut"


class Desired(StrEnum):
    """What a sandbox ought to be; every component reconciles towards it."""

    STOPPED = "stopped"
    RUNNING = "running"
    CUT = "cut"


class SessionState(StrEnum):
    """One run of a sandbox, a boot."""

    STARTING = "starting"
    RUNNING = "running"
    REFUSED = "refused"
    STOPPED = "stopped"
    CUT = "cut"


class ExportState(StrEnum):
    """An export package."""

    CHECKING = "checking"
    DENIED = "denied"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REJECTED = "rejected"
    RELEASED = "released"


class Verdict(StrEnum):
    """What a check says about a file."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    DENY = "deny"
    REVIEW = "review"


class Vote(StrEnum):
    """What a reviewer says about an export."""

    APPROVE = "approve"
    REJECT = "reject"


class DisplayState(StrEnum):
    """A request for more display; *over* is no state but a comparison with its end."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"


class PackageState(StrEnum):
    """A request for a package in the kernel image."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    BUILT = "built"


class Answer(StrEnum):
    """What a person says to a request."""

    APPROVE = "approve"
    REJECT = "reject"


class JobState(StrEnum):
    """Work that leaves after commit."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


GRANT_STEPS: Mapping[GrantState, frozenset[GrantState]] = {
    GrantState.REQUESTED: frozenset({GrantState.ACTIVE, GrantState.ENDED}),
    GrantState.ACTIVE: frozenset({GrantState.ENDED}),
    GrantState.ENDED: frozenset(),
}
VERSION_STEPS: Mapping[VersionState, frozenset[VersionState]] = {
    VersionState.IMPORTING: frozenset({VersionState.IMPORTED, VersionState.FAILED}),
    VersionState.IMPORTED: frozenset({VersionState.PUBLISHED}),
    VersionState.FAILED: frozenset(),
    VersionState.PUBLISHED: frozenset(),
}
APPLICATION_STEPS: Mapping[ApplicationState, frozenset[ApplicationState]] = {
    ApplicationState.DRAFT: frozenset({ApplicationState.SUBMITTED}),
    ApplicationState.SUBMITTED: frozenset({ApplicationState.CHANGES_REQUESTED, ApplicationState.ASSESSED}),
    ApplicationState.CHANGES_REQUESTED: frozenset({ApplicationState.SUBMITTED}),
    ApplicationState.ASSESSED: frozenset(),
}
AGREEMENT_STEPS: Mapping[AgreementState, frozenset[AgreementState]] = {
    AgreementState.DRAFT: frozenset({AgreementState.OFFERED}),
    # An offer can be withdrawn, too: revoking it needs no signature of the other side.
    AgreementState.OFFERED: frozenset({AgreementState.ACTIVE, AgreementState.REVOKED, AgreementState.ENDED}),
    AgreementState.ACTIVE: frozenset({AgreementState.REVOKED, AgreementState.EXPIRED, AgreementState.ENDED}),
    AgreementState.REVOKED: frozenset(),
    AgreementState.EXPIRED: frozenset(),
    AgreementState.ENDED: frozenset(),
}
RELEASE_STEPS: Mapping[ReleaseState, frozenset[ReleaseState]] = {
    ReleaseState.PREPARING: frozenset({ReleaseState.READY, ReleaseState.FAILED, ReleaseState.DESTROYED}),
    ReleaseState.READY: frozenset({ReleaseState.DESTROYED}),
    ReleaseState.FAILED: frozenset({ReleaseState.DESTROYED}),
    ReleaseState.DESTROYED: frozenset(),
}
SANDBOX_STEPS: Mapping[SandboxState, frozenset[SandboxState]] = {
    SandboxState.STOPPED: frozenset({SandboxState.REQUESTED, SandboxState.CUT}),
    SandboxState.REQUESTED: frozenset({SandboxState.STARTING, SandboxState.REFUSED, SandboxState.STOPPED, SandboxState.CUT}),
    SandboxState.STARTING: frozenset({SandboxState.RUNNING, SandboxState.REFUSED, SandboxState.STOPPED, SandboxState.CUT}),
    SandboxState.RUNNING: frozenset({SandboxState.STOPPED, SandboxState.CUT}),
    SandboxState.REFUSED: frozenset({SandboxState.REQUESTED, SandboxState.STOPPED, SandboxState.CUT}),
    SandboxState.CUT: frozenset(),
}
SESSION_STEPS: Mapping[SessionState, frozenset[SessionState]] = {
    SessionState.STARTING: frozenset({SessionState.RUNNING, SessionState.REFUSED, SessionState.STOPPED, SessionState.CUT}),
    SessionState.RUNNING: frozenset({SessionState.STOPPED, SessionState.CUT}),
    SessionState.REFUSED: frozenset(),
    SessionState.STOPPED: frozenset(),
    SessionState.CUT: frozenset(),
}
EXPORT_STEPS: Mapping[ExportState, frozenset[ExportState]] = {
    ExportState.CHECKING: frozenset({ExportState.DENIED, ExportState.IN_REVIEW, ExportState.APPROVED}),
    ExportState.DENIED: frozenset(),
    ExportState.IN_REVIEW: frozenset({ExportState.APPROVED, ExportState.REJECTED, ExportState.DENIED}),
    ExportState.APPROVED: frozenset({ExportState.RELEASED, ExportState.DENIED}),
    ExportState.REJECTED: frozenset(),
    ExportState.RELEASED: frozenset(),
}
DISPLAY_STEPS: Mapping[DisplayState, frozenset[DisplayState]] = {
    DisplayState.REQUESTED: frozenset({DisplayState.APPROVED, DisplayState.REJECTED, DisplayState.WITHDRAWN, DisplayState.REVOKED}),
    DisplayState.APPROVED: frozenset({DisplayState.REVOKED}),
    DisplayState.REJECTED: frozenset(),
    DisplayState.WITHDRAWN: frozenset(),
    DisplayState.REVOKED: frozenset(),
}
PACKAGE_STEPS: Mapping[PackageState, frozenset[PackageState]] = {
    PackageState.REQUESTED: frozenset({PackageState.APPROVED, PackageState.REJECTED}),
    # An approved one can still be rejected before it is built: it may turn out not to be what was thought.
    PackageState.APPROVED: frozenset({PackageState.BUILT, PackageState.REJECTED}),
    PackageState.REJECTED: frozenset(),
    PackageState.BUILT: frozenset(),
}
JOB_STEPS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING}),
    JobState.RUNNING: frozenset({JobState.QUEUED, JobState.DONE, JobState.FAILED}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
}

S = TypeVar("S", bound=StrEnum)


def step(steps: Mapping[S, frozenset[S]], now: S, to: S, code: str = "state_conflict") -> S:
    """Return `to` if it may follow `now`; raise `Refusal(code)` (409) with both states otherwise."""
    if to not in steps[now]:
        raise Refusal(code, status=409, state=now.value, wanted=to.value)
    return to
