"""Every table of the portal; the database itself holds the rules that must survive two requests at once.

A state is text limited by a CHECK to the domain's values. "One …" is a unique constraint, partial where history is kept.
JSON values are replaced, never changed in place. Names of constraints are fixed, so that both databases and Alembic agree.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from sandbox.domain import states as st
from sandbox.domain.columns import ColumnClass
from sandbox.domain.ids import new_id

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Instant(TypeDecorator[datetime]):
    """A time in UTC: aware on our side always, also from SQLite, which stores no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time; store UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back an aware time in UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def one_of(kind: type[StrEnum], name: str = "") -> Enum:
    """Return a column type for an enumeration of the domain: its text, limited by a CHECK (called `name` where a table has two)."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        length=24,
        name=name or kind.__name__.lower(),
        values_callable=lambda members: [member.value for member in members],
    )


class Table(DeclarativeBase):
    """The base of every table."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: Instant,
        dict[str, Any]: JSON,
        list[str]: JSON,
        list[dict[str, Any]]: JSON,
        str: Text,
        st.PartyKind: one_of(st.PartyKind),
        st.Environment: one_of(st.Environment),
        st.BodyKind: one_of(st.BodyKind),
        st.Role: one_of(st.Role),
        st.GrantState: one_of(st.GrantState),
        st.VersionState: one_of(st.VersionState),
        st.Access: one_of(st.Access),
        st.ProjectState: one_of(st.ProjectState),
        st.ApplicationState: one_of(st.ApplicationState),
        st.DecisionKind: one_of(st.DecisionKind),
        st.AgreementState: one_of(st.AgreementState),
        st.Side: one_of(st.Side),
        st.ReleaseState: one_of(st.ReleaseState),
        st.SandboxState: one_of(st.SandboxState),
        st.Desired: one_of(st.Desired),
        st.SessionState: one_of(st.SessionState),
        st.ExportState: one_of(st.ExportState),
        st.Verdict: one_of(st.Verdict),
        st.Vote: one_of(st.Vote),
        st.JobState: one_of(st.JobState),
        st.DisplayState: one_of(st.DisplayState),
        st.PackageState: one_of(st.PackageState),
        st.Answer: one_of(st.Answer),
        ColumnClass: one_of(ColumnClass),
    }


class Made:
    """What every entity has: its id and when it was made."""

    id: Mapped[str] = mapped_column(String(12), primary_key=True, default=new_id)
    created: Mapped[datetime]


def ref(target: str, *, primary_key: bool = False) -> Any:
    """Return a foreign key to `target` (`table.id`); nothing that is referred to can be deleted."""
    return mapped_column(String(12), ForeignKey(target, ondelete="RESTRICT"), primary_key=primary_key, index=not primary_key)


# People ------------------------------------------------------------------------------------------------------------------


class Party(Made, Table):
    """Who can be a side of an agreement: natural person, legal person, other organisation (A3)."""

    __tablename__ = "party"
    kind: Mapped[st.PartyKind]
    name: Mapped[str]


class Body(Made, Table):
    """An owner organisation, or the authority over them; `code` is its name in URLs and policy."""

    __tablename__ = "body"
    code: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[st.BodyKind]
    name_zh: Mapped[str]
    name_en: Mapped[str]
    party_id: Mapped[str] = ref("party.id")


class Person(Made, Table):
    """A person with an account; as a natural person also a party."""

    __tablename__ = "person"
    login: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str]
    email: Mapped[str]
    lang: Mapped[str] = mapped_column(String(8))
    active: Mapped[bool]
    password_hash: Mapped[str]
    totp_secret: Mapped[str | None]
    party_id: Mapped[str] = ref("party.id")
    grants: Mapped[list["RoleGrant"]] = relationship(back_populates="person", foreign_keys="RoleGrant.person_id")


class RoleGrant(Made, Table):
    """A role of a person; nobody confirms what they asked for or what is for themselves."""

    __tablename__ = "role_grant"
    person_id: Mapped[str] = ref("person.id")
    role: Mapped[st.Role]
    body_id: Mapped[str | None] = ref("body.id")
    state: Mapped[st.GrantState]
    requested_by: Mapped[str | None] = ref("person.id")
    confirmed_by: Mapped[str | None] = ref("person.id")
    confirmed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    person: Mapped[Person] = relationship(back_populates="grants", foreign_keys=[person_id])
    body: Mapped[Body | None] = relationship()
    __table_args__ = (
        CheckConstraint("confirmed_by IS NULL OR (confirmed_by <> requested_by AND confirmed_by <> person_id)", name="four_eyes"),
        Index(
            "uq_role_grant_live_body",
            "person_id",
            "role",
            "body_id",
            unique=True,
            sqlite_where=text("state <> 'ended' AND body_id IS NOT NULL"),
            postgresql_where=text("state <> 'ended' AND body_id IS NOT NULL"),
        ),
        Index(
            "uq_role_grant_live",
            "person_id",
            "role",
            unique=True,
            sqlite_where=text("state <> 'ended' AND body_id IS NULL"),
            postgresql_where=text("state <> 'ended' AND body_id IS NULL"),
        ),
    )


# Accounts ----------------------------------------------------------------------------------------------------------------


class WebSession(Table):
    """A browser's session with the portal; only the SHA-256 of its token is kept."""

    __tablename__ = "web_session"
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    person_id: Mapped[str] = ref("person.id")
    csrf: Mapped[str] = mapped_column(String(64))
    created: Mapped[datetime]
    expires: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    person: Mapped[Person] = relationship()


class LoginCounter(Table):
    """Failed log-ins of one account or one address since the last good one or the window's start; the lock-out."""

    __tablename__ = "login_counter"
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    since: Mapped[datetime]
    locked_until: Mapped[datetime | None]
    __table_args__ = (CheckConstraint("kind IN ('login', 'address')", name="kind"),)


class UsedCode(Table):
    """A TOTP time step a person has used: a code counts once."""

    __tablename__ = "used_code"
    person_id: Mapped[str] = ref("person.id", primary_key=True)
    counter: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    created: Mapped[datetime]


# Data --------------------------------------------------------------------------------------------------------------------


class Dataset(Made, Table):
    """A dataset of exactly one owner body (A3); `name` is its name in URLs, notebooks and SQL."""

    __tablename__ = "dataset"
    name: Mapped[str] = mapped_column(String(40), unique=True)
    body_id: Mapped[str] = ref("body.id")
    title_zh: Mapped[str]
    title_en: Mapped[str]
    description: Mapped[str]
    source: Mapped[str]
    licence: Mapped[str]
    access_modes: Mapped[list[str]]
    min_cell: Mapped[int]
    created_by: Mapped[str] = ref("person.id")
    body: Mapped[Body] = relationship()
    conditions: Mapped[list["Condition"]] = relationship(back_populates="dataset", order_by="Condition.position")
    versions: Mapped[list["Version"]] = relationship(back_populates="dataset", order_by="Version.number")
    __table_args__ = (CheckConstraint("min_cell >= 1", name="min_cell"),)


class Condition(Made, Table):
    """An opening condition that an assessment ticks: a required document or a requirement (A7.4)."""

    __tablename__ = "condition"
    dataset_id: Mapped[str] = ref("dataset.id")
    kind: Mapped[str] = mapped_column(String(12))
    position: Mapped[int]
    text: Mapped[str]
    dataset: Mapped[Dataset] = relationship(back_populates="conditions")
    __table_args__ = (
        UniqueConstraint("dataset_id", "position"),
        CheckConstraint("kind IN ('document', 'requirement')", name="kind"),
    )


class Version(Made, Table):
    """A version of a dataset: from an uploaded file by an import job; paths (of directories) are relative to the home."""

    __tablename__ = "version"
    dataset_id: Mapped[str] = ref("dataset.id")
    number: Mapped[int]
    state: Mapped[st.VersionState]
    upload_path: Mapped[str]
    file_name: Mapped[str]
    description_name: Mapped[str | None]
    source_path: Mapped[str | None]
    digest: Mapped[str | None] = mapped_column(String(64))
    rows: Mapped[int | None] = mapped_column(BigInteger)
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    errors: Mapped[list[dict[str, Any]]]
    created_by: Mapped[str] = ref("person.id")
    published_by: Mapped[str | None] = ref("person.id")
    published_at: Mapped[datetime | None]
    dataset: Mapped[Dataset] = relationship(back_populates="versions")
    columns: Mapped[list["Column"]] = relationship(back_populates="version", order_by="Column.position")
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)


class Column(Made, Table):
    """A column of a version; `column_class` is empty until the steward has decided."""

    __tablename__ = "dataset_column"
    version_id: Mapped[str] = ref("version.id")
    position: Mapped[int]
    name: Mapped[str]
    type: Mapped[str] = mapped_column(String(40))
    title: Mapped[str]
    proposed_class: Mapped[ColumnClass | None] = mapped_column(one_of(ColumnClass, "proposed_class"))
    column_class: Mapped[ColumnClass | None]
    person_key: Mapped[bool]
    facts: Mapped[dict[str, Any]]
    version: Mapped[Version] = relationship(back_populates="columns")
    __table_args__ = (UniqueConstraint("version_id", "name"), UniqueConstraint("version_id", "position"))


# Projects and applications -----------------------------------------------------------------------------------------------


class Project(Made, Table):
    """A purpose and the people who follow it."""

    __tablename__ = "project"
    title: Mapped[str]
    purpose: Mapped[str]
    state: Mapped[st.ProjectState]
    author_id: Mapped[str] = ref("person.id")
    party_id: Mapped[str] = ref("party.id")
    author: Mapped[Person] = relationship()
    party: Mapped[Party] = relationship()
    members: Mapped[list["Member"]] = relationship(back_populates="project", order_by="Member.created")


class Member(Table):
    """A person's part in a project."""

    __tablename__ = "project_member"
    project_id: Mapped[str] = ref("project.id", primary_key=True)
    person_id: Mapped[str] = mapped_column(String(12), ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True, index=True)
    added_by: Mapped[str] = ref("person.id")
    created: Mapped[datetime]
    project: Mapped[Project] = relationship(back_populates="members")
    person: Mapped[Person] = relationship(foreign_keys=[person_id])


class Application(Made, Table):
    """An application (A10.2). `wanted` is what the person has typed for items, whole or not; items are made of it on submission."""

    __tablename__ = "application"
    project_id: Mapped[str] = ref("project.id")
    author_id: Mapped[str] = ref("person.id")
    state: Mapped[st.ApplicationState]
    round: Mapped[int]
    purpose: Mapped[str]
    scenario: Mapped[str]
    security_measures: Mapped[str]
    period_days: Mapped[int | None]
    wanted: Mapped[list[dict[str, Any]]]
    profile: Mapped[str] = mapped_column(String(40))
    submitted_at: Mapped[datetime | None]
    project: Mapped[Project] = relationship()
    author: Mapped[Person] = relationship()
    items: Mapped[list["ApplicationItem"]] = relationship(
        back_populates="application", order_by="ApplicationItem.position", cascade="all, delete-orphan"
    )
    assessments: Mapped[list["Assessment"]] = relationship(back_populates="application", order_by="Assessment.created")
    __table_args__ = (
        Index(
            "uq_application_open",
            "project_id",
            unique=True,
            sqlite_where=text("state <> 'assessed'"),
            postgresql_where=text("state <> 'assessed'"),
        ),
    )


class ApplicationItem(Made, Table):
    """What is asked of one dataset: the version published when it was submitted, columns, access."""

    __tablename__ = "application_item"
    application_id: Mapped[str] = ref("application.id")
    position: Mapped[int]
    dataset_id: Mapped[str] = ref("dataset.id")
    version_id: Mapped[str] = ref("version.id")
    body_id: Mapped[str] = ref("body.id")
    columns: Mapped[list[str]]
    access: Mapped[st.Access]
    row_filter: Mapped[list[dict[str, Any]]]
    application: Mapped[Application] = relationship(back_populates="items")
    dataset: Mapped[Dataset] = relationship()
    version: Mapped[Version] = relationship()
    body: Mapped[Body] = relationship()
    __table_args__ = (UniqueConstraint("application_id", "dataset_id"),)


class Assessment(Made, Table):
    """One owner body's word on one round of an application; approval and rejection are said once."""

    __tablename__ = "assessment"
    application_id: Mapped[str] = ref("application.id")
    body_id: Mapped[str] = ref("body.id")
    round: Mapped[int]
    decision: Mapped[st.DecisionKind]
    ticks: Mapped[list[dict[str, Any]]]
    reason: Mapped[str]
    assessor_id: Mapped[str] = ref("person.id")
    application: Mapped[Application] = relationship(back_populates="assessments")
    body: Mapped[Body] = relationship()
    assessor: Mapped[Person] = relationship()
    __table_args__ = (
        UniqueConstraint("application_id", "body_id", "round"),
        Index(
            "uq_assessment_final",
            "application_id",
            "body_id",
            unique=True,
            sqlite_where=text("decision <> 'changes'"),
            postgresql_where=text("decision <> 'changes'"),
        ),
    )


# Agreements and releases -------------------------------------------------------------------------------------------------


class Agreement(Made, Table):
    """An agreement with one owner body (A10.3). `epoch` grows with each tightening; `not_after` is set when both have signed."""

    __tablename__ = "agreement"
    application_id: Mapped[str] = ref("application.id")
    project_id: Mapped[str] = ref("project.id")
    body_id: Mapped[str] = ref("body.id")
    party_id: Mapped[str] = ref("party.id")
    state: Mapped[st.AgreementState]
    epoch: Mapped[int]
    profile: Mapped[str] = mapped_column(String(40))
    template: Mapped[str] = mapped_column(String(40))
    period_days: Mapped[int]
    text: Mapped[str]
    text_digest: Mapped[str] = mapped_column(String(64))
    active_at: Mapped[datetime | None]
    not_after: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None] = ref("person.id")
    ended_ground: Mapped[str | None]
    ended_reason: Mapped[str | None]
    application: Mapped[Application] = relationship()
    project: Mapped[Project] = relationship()
    body: Mapped[Body] = relationship()
    party: Mapped[Party] = relationship()
    items: Mapped[list["AgreementItem"]] = relationship(back_populates="agreement", order_by="AgreementItem.position")
    signatures: Mapped[list["Signature"]] = relationship(back_populates="agreement", order_by="Signature.created")
    holds: Mapped[list["Hold"]] = relationship(back_populates="agreement", order_by="Hold.created")
    __table_args__ = (
        UniqueConstraint("application_id", "body_id"),
        CheckConstraint("epoch >= 1", name="epoch"),
        CheckConstraint("state <> 'active' OR not_after IS NOT NULL", name="active_has_end"),
    )


class AgreementItem(Made, Table):
    """One dataset of an agreement: version, approved columns and rows, access."""

    __tablename__ = "agreement_item"
    agreement_id: Mapped[str] = ref("agreement.id")
    position: Mapped[int]
    dataset_id: Mapped[str] = ref("dataset.id")
    version_id: Mapped[str] = ref("version.id")
    columns: Mapped[list[str]]
    row_filter: Mapped[list[dict[str, Any]]]
    access: Mapped[st.Access]
    min_cell: Mapped[int]
    agreement: Mapped[Agreement] = relationship(back_populates="items")
    dataset: Mapped[Dataset] = relationship()
    version: Mapped[Version] = relationship()
    releases: Mapped[list["Release"]] = relationship(back_populates="item", order_by="Release.created")
    __table_args__ = (UniqueConstraint("agreement_id", "dataset_id"),)


class AgreementKey(Table):
    """The secret with which an agreement's releases replace persons' keys; never leaves but into its own data container."""

    __tablename__ = "agreement_key"
    agreement_id: Mapped[str] = ref("agreement.id", primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[datetime]


class Signature(Made, Table):
    """A side's signature under a text digest; one per side, and nobody signs for both."""

    __tablename__ = "signature"
    agreement_id: Mapped[str] = ref("agreement.id")
    side: Mapped[st.Side]
    person_id: Mapped[str] = ref("person.id")
    text_digest: Mapped[str] = mapped_column(String(64))
    agreement: Mapped[Agreement] = relationship(back_populates="signatures")
    person: Mapped[Person] = relationship()
    __table_args__ = (UniqueConstraint("agreement_id", "side"), UniqueConstraint("agreement_id", "person_id"))


class Hold(Made, Table):
    """A suspension of an agreement (A11): who, on what ground, until when; access returns when none is left."""

    __tablename__ = "hold"
    agreement_id: Mapped[str] = ref("agreement.id")
    ground: Mapped[str]
    reason: Mapped[str]
    until: Mapped[datetime | None]
    placed_by: Mapped[str] = ref("person.id")
    lifted_by: Mapped[str | None] = ref("person.id")
    lifted_at: Mapped[datetime | None]
    agreement: Mapped[Agreement] = relationship(back_populates="holds")


class Release(Made, Table):
    """What was prepared for one item of an agreement; `path` is relative to the home."""

    __tablename__ = "release"
    item_id: Mapped[str] = ref("agreement_item.id")
    state: Mapped[st.ReleaseState]
    path: Mapped[str]
    rows: Mapped[int | None] = mapped_column(BigInteger)
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    digest: Mapped[str | None] = mapped_column(String(64))
    manifest: Mapped[dict[str, Any]]
    errors: Mapped[list[dict[str, Any]]]
    ready_at: Mapped[datetime | None]
    item: Mapped[AgreementItem] = relationship(back_populates="releases")
    __table_args__ = (
        Index(
            "uq_release_live",
            "item_id",
            unique=True,
            sqlite_where=text("state IN ('preparing', 'ready')"),
            postgresql_where=text("state IN ('preparing', 'ready')"),
        ),
    )


# Sandboxes ---------------------------------------------------------------------------------------------------------------


class Sandbox(Made, Table):
    """A person's sandbox of a project. `desired` and `generation` are what components reconcile to; a cut one never comes back."""

    __tablename__ = "sandbox"
    project_id: Mapped[str] = ref("project.id")
    person_id: Mapped[str] = ref("person.id")
    state: Mapped[st.SandboxState]
    reason: Mapped[str | None]
    desired: Mapped[st.Desired]
    generation: Mapped[int]
    changed: Mapped[datetime]
    executions: Mapped[int] = mapped_column(BigInteger)
    last_activity: Mapped[datetime | None]
    environment: Mapped[st.Environment] = mapped_column(server_default=st.Environment.PYTHON.value)
    project: Mapped[Project] = relationship()
    person: Mapped[Person] = relationship()
    sessions: Mapped[list["SandboxSession"]] = relationship(back_populates="sandbox", order_by="SandboxSession.created")
    __table_args__ = (
        Index(
            "uq_sandbox_live",
            "project_id",
            "person_id",
            unique=True,
            sqlite_where=text("state <> 'cut'"),
            postgresql_where=text("state <> 'cut'"),
        ),
        Index("ix_sandbox_desired_state", "desired", "state"),
    )


class SandboxSession(Made, Table):
    """One run of a sandbox: its boot names it in the log; `nonce` is that of the launch spec."""

    __tablename__ = "sandbox_session"
    sandbox_id: Mapped[str] = ref("sandbox.id")
    boot: Mapped[str] = mapped_column(String(40), unique=True)
    state: Mapped[st.SessionState]
    reason: Mapped[str | None]
    epoch: Mapped[int]
    nonce: Mapped[str | None] = mapped_column(String(64), unique=True)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    sandbox: Mapped[Sandbox] = relationship(back_populates="sessions")
    __table_args__ = (
        Index(
            "uq_sandbox_session_live",
            "sandbox_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )


class Lease(Made, Table):
    """A grant of time to a session at an epoch; renewals count up, they make no new row."""

    __tablename__ = "lease"
    session_id: Mapped[str] = ref("sandbox_session.id")
    epoch: Mapped[int]
    seconds: Mapped[int]
    renewals: Mapped[int] = mapped_column(BigInteger)
    renewed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    reason: Mapped[str | None]


# Exports -----------------------------------------------------------------------------------------------------------------


class Export(Made, Table):
    """An export package; made in `checking`, complete when `submitted_at` is set."""

    __tablename__ = "export"
    sandbox_id: Mapped[str] = ref("sandbox.id")
    session_id: Mapped[str | None] = ref("sandbox_session.id")
    project_id: Mapped[str] = ref("project.id")
    author_id: Mapped[str] = ref("person.id")
    state: Mapped[st.ExportState]
    title: Mapped[str]
    context: Mapped[str]
    check_only: Mapped[bool]
    epoch: Mapped[int]
    reviewers_needed: Mapped[int]
    reasons: Mapped[list[str]]
    certificate: Mapped[dict[str, Any]]
    submitted_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    downloaded_at: Mapped[datetime | None]
    sandbox: Mapped[Sandbox] = relationship()
    project: Mapped[Project] = relationship()
    author: Mapped[Person] = relationship()
    files: Mapped[list["ExportFile"]] = relationship(back_populates="export", order_by="ExportFile.position")
    findings: Mapped[list["Finding"]] = relationship(back_populates="export", order_by="Finding.position")
    reviews: Mapped[list["Review"]] = relationship(back_populates="export", order_by="Review.created")


class ExportFile(Made, Table):
    """A file of an export; stored under its position, its name is only shown. `path` is relative to the home."""

    __tablename__ = "export_file"
    export_id: Mapped[str] = ref("export.id")
    position: Mapped[int]
    name: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    type: Mapped[str | None] = mapped_column(String(40))
    path: Mapped[str]
    received_at: Mapped[datetime | None]
    export: Mapped[Export] = relationship(back_populates="files")
    __table_args__ = (UniqueConstraint("export_id", "position"), UniqueConstraint("export_id", "name"))


class Finding(Made, Table):
    """What a check found; without a file it concerns the package."""

    __tablename__ = "finding"
    export_id: Mapped[str] = ref("export.id")
    file_id: Mapped[str | None] = ref("export_file.id")
    position: Mapped[int]
    code: Mapped[str] = mapped_column(String(60))
    verdict: Mapped[st.Verdict]
    params: Mapped[dict[str, Any]]
    export: Mapped[Export] = relationship(back_populates="findings")
    file: Mapped[ExportFile | None] = relationship()
    __table_args__ = (UniqueConstraint("export_id", "position"),)


class Review(Made, Table):
    """A reviewer's vote; one each."""

    __tablename__ = "review"
    export_id: Mapped[str] = ref("export.id")
    reviewer_id: Mapped[str] = ref("person.id")
    verdict: Mapped[st.Vote]
    comment: Mapped[str]
    export: Mapped[Export] = relationship(back_populates="reviews")
    reviewer: Mapped[Person] = relationship()
    __table_args__ = (UniqueConstraint("export_id", "reviewer_id"),)


# Display budget and requests ---------------------------------------------------------------------------------------------


class DisplayBucket(Table):
    """What one session was granted to show in one minute, less what it gave back; the budget is a sum over a person's and project's.

    `minute` counts from 1970. `request` and `answer` are the last of this session, so that a repeated request is answered again
    and not counted again.
    """

    __tablename__ = "display_bucket"
    project_id: Mapped[str] = ref("project.id", primary_key=True)
    person_id: Mapped[str] = mapped_column(String(12), ForeignKey("person.id", ondelete="RESTRICT"), primary_key=True)
    minute: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    session_id: Mapped[str] = ref("sandbox_session.id", primary_key=True)
    granted: Mapped[int] = mapped_column(BigInteger)
    returned: Mapped[int] = mapped_column(BigInteger)
    request: Mapped[str | None] = mapped_column(String(64))
    answer: Mapped[dict[str, Any]]
    __table_args__ = (
        CheckConstraint("granted >= 0 AND returned >= 0 AND returned <= granted", name="no_more_back_than_given"),
        Index("ix_display_bucket_session_id_minute", "session_id", "minute"),
        Index("ix_display_bucket_minute", "minute"),
    )


class DisplayRequest(Made, Table):
    """A researcher asks for more display, for themselves in one project; every body named must agree."""

    __tablename__ = "display_request"
    project_id: Mapped[str] = ref("project.id")
    person_id: Mapped[str] = ref("person.id")
    state: Mapped[st.DisplayState]
    bodies: Mapped[list[str]]
    cell_bytes: Mapped[int] = mapped_column(BigInteger)
    hour_bytes: Mapped[int] = mapped_column(BigInteger)
    day_bytes: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[datetime]
    reason: Mapped[str]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None] = ref("person.id")
    ended_reason: Mapped[str | None]
    project: Mapped[Project] = relationship()
    person: Mapped[Person] = relationship(foreign_keys=[person_id])
    decisions: Mapped[list["DisplayDecision"]] = relationship(back_populates="request", order_by="DisplayDecision.created")
    __table_args__ = (
        CheckConstraint("cell_bytes > 0 AND hour_bytes > 0 AND day_bytes > 0", name="positive"),
        Index(
            "uq_display_request_open",
            "project_id",
            "person_id",
            unique=True,
            sqlite_where=text("state = 'requested'"),
            postgresql_where=text("state = 'requested'"),
        ),
    )


class DisplayDecision(Made, Table):
    """One owner body's word on a request for more display: how much it agrees to, and until when."""

    __tablename__ = "display_decision"
    request_id: Mapped[str] = ref("display_request.id")
    body_id: Mapped[str] = ref("body.id")
    answer: Mapped[st.Answer]
    cell_bytes: Mapped[int] = mapped_column(BigInteger)
    hour_bytes: Mapped[int] = mapped_column(BigInteger)
    day_bytes: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[datetime]
    reason: Mapped[str]
    decided_by: Mapped[str] = ref("person.id")
    request: Mapped[DisplayRequest] = relationship(back_populates="decisions")
    body: Mapped[Body] = relationship()
    person: Mapped[Person] = relationship()
    __table_args__ = (UniqueConstraint("request_id", "body_id"),)


class PackageRequest(Made, Table):
    """A package somebody wants in the kernel image: an exact version, decided by another person, marked when an image has it."""

    __tablename__ = "package_request"
    ecosystem: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[str] = mapped_column(String(60))
    reason: Mapped[str]
    flags: Mapped[list[str]]
    state: Mapped[st.PackageState]
    author_id: Mapped[str] = ref("person.id")
    decided_by: Mapped[str | None] = ref("person.id")
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str | None]
    image: Mapped[str | None] = mapped_column(String(80))
    built_at: Mapped[datetime | None]
    author: Mapped[Person] = relationship(foreign_keys=[author_id])
    decider: Mapped[Person | None] = relationship(foreign_keys=[decided_by])
    __table_args__ = (
        CheckConstraint("decided_by IS NULL OR decided_by <> author_id", name="four_eyes"),
        Index(
            "uq_package_request_live",
            "ecosystem",
            "name",
            "version",
            unique=True,
            sqlite_where=text("state <> 'rejected'"),
            postgresql_where=text("state <> 'rejected'"),
        ),
    )


# What leaves after commit ------------------------------------------------------------------------------------------------


class Outbox(Table):
    """A leaf of the log in the making: written with the state it tells of, shipped after commit in the order of `seq`.

    `texts` (name: text) become blobs; `salts` (name: hex) are made with the row, so that a repeated shipment has the same digest.
    """

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    created: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(60))
    actor: Mapped[dict[str, Any]]
    refs: Mapped[dict[str, Any]]
    data: Mapped[dict[str, Any]]
    texts: Mapped[dict[str, Any]]
    salts: Mapped[dict[str, Any]]
    boot: Mapped[str | None] = mapped_column(String(40))
    seq: Mapped[int | None] = mapped_column(BigInteger)
    shipped_index: Mapped[int | None] = mapped_column(BigInteger)
    __table_args__ = (
        UniqueConstraint("boot", "seq"),
        Index(
            "ix_outbox_waiting",
            "id",
            sqlite_where=text("shipped_index IS NULL"),
            postgresql_where=text("shipped_index IS NULL"),
        ),
    )


class Job(Made, Table):
    """Work for after the commit: claimed by one runner, tried again a few times."""

    __tablename__ = "job"
    kind: Mapped[str] = mapped_column(String(24))
    subject: Mapped[str] = mapped_column(String(40))
    payload: Mapped[dict[str, Any]]
    state: Mapped[st.JobState]
    attempts: Mapped[int]
    max_attempts: Mapped[int]
    due: Mapped[datetime]
    claimed_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None]
    __table_args__ = (
        Index("ix_job_state_due", "state", "due"),
        Index(
            "uq_job_live",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
    )
