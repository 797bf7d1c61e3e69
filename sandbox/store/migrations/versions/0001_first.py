"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:  # noqa: PLR0915 - one statement a table
    """Bring the schema here."""
    op.create_table(
        "job",
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("queued", "running", "done", "failed", name="jobstate", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index("ix_job_state_due", "job", ["state", "due"], unique=False)
    op.create_index(
        "uq_job_live",
        "job",
        ["kind", "subject"],
        unique=True,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_table(
        "login_counter",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('login', 'address')", name=op.f("ck_login_counter_kind")),
        sa.PrimaryKeyConstraint("kind", "key", name=op.f("pk_login_counter")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("actor", sa.JSON(), nullable=False),
        sa.Column("refs", sa.JSON(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("salts", sa.JSON(), nullable=False),
        sa.Column("boot", sa.String(length=40), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("shipped_index", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("boot", "seq", name=op.f("uq_outbox_boot_seq")),
    )
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        ["id"],
        unique=False,
        sqlite_where=sa.text("shipped_index IS NULL"),
        postgresql_where=sa.text("shipped_index IS NULL"),
    )
    op.create_table(
        "party",
        sa.Column(
            "kind",
            sa.Enum("natural", "legal", "organisation", name="partykind", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_party")),
    )
    op.create_table(
        "body",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("government", "authority", "enterprise", name="bodykind", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("party_id", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_body_party_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_body")),
        sa.UniqueConstraint("code", name=op.f("uq_body_code")),
    )
    op.create_index(op.f("ix_body_party_id"), "body", ["party_id"], unique=False)
    op.create_table(
        "person",
        sa.Column("login", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("lang", sa.String(length=8), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("totp_secret", sa.Text(), nullable=True),
        sa.Column("party_id", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_person_party_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("login", name=op.f("uq_person_login")),
    )
    op.create_index(op.f("ix_person_party_id"), "person", ["party_id"], unique=False)
    op.create_table(
        "dataset",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("body_id", sa.String(length=12), nullable=False),
        sa.Column("title_zh", sa.Text(), nullable=False),
        sa.Column("title_en", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.Column("access_modes", sa.JSON(), nullable=False),
        sa.Column("min_cell", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("min_cell >= 1", name=op.f("ck_dataset_min_cell")),
        sa.ForeignKeyConstraint(["body_id"], ["body.id"], name=op.f("fk_dataset_body_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_dataset_created_by"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset")),
        sa.UniqueConstraint("name", name=op.f("uq_dataset_name")),
    )
    op.create_index(op.f("ix_dataset_body_id"), "dataset", ["body_id"], unique=False)
    op.create_index(op.f("ix_dataset_created_by"), "dataset", ["created_by"], unique=False)
    op.create_table(
        "project",
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column(
            "state", sa.Enum("active", "closed", name="projectstate", native_enum=False, create_constraint=True, length=24), nullable=False
        ),
        sa.Column("author_id", sa.String(length=12), nullable=False),
        sa.Column("party_id", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["person.id"], name=op.f("fk_project_author_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_project_party_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
    )
    op.create_index(op.f("ix_project_author_id"), "project", ["author_id"], unique=False)
    op.create_index(op.f("ix_project_party_id"), "project", ["party_id"], unique=False)
    op.create_table(
        "role_grant",
        sa.Column("person_id", sa.String(length=12), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "steward",
                "reviewer",
                "researcher",
                "auditor",
                "administrator",
                "officer",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("body_id", sa.String(length=12), nullable=True),
        sa.Column(
            "state",
            sa.Enum("requested", "active", "ended", name="grantstate", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("requested_by", sa.String(length=12), nullable=True),
        sa.Column("confirmed_by", sa.String(length=12), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "confirmed_by IS NULL OR (confirmed_by <> requested_by AND confirmed_by <> person_id)", name=op.f("ck_role_grant_four_eyes")
        ),
        sa.ForeignKeyConstraint(["body_id"], ["body.id"], name=op.f("fk_role_grant_body_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["confirmed_by"], ["person.id"], name=op.f("fk_role_grant_confirmed_by"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_role_grant_person_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["requested_by"], ["person.id"], name=op.f("fk_role_grant_requested_by"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_grant")),
    )
    op.create_index(op.f("ix_role_grant_body_id"), "role_grant", ["body_id"], unique=False)
    op.create_index(op.f("ix_role_grant_confirmed_by"), "role_grant", ["confirmed_by"], unique=False)
    op.create_index(op.f("ix_role_grant_person_id"), "role_grant", ["person_id"], unique=False)
    op.create_index(op.f("ix_role_grant_requested_by"), "role_grant", ["requested_by"], unique=False)
    op.create_index(
        "uq_role_grant_live",
        "role_grant",
        ["person_id", "role"],
        unique=True,
        sqlite_where=sa.text("state <> 'ended' AND body_id IS NULL"),
        postgresql_where=sa.text("state <> 'ended' AND body_id IS NULL"),
    )
    op.create_index(
        "uq_role_grant_live_body",
        "role_grant",
        ["person_id", "role", "body_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'ended' AND body_id IS NOT NULL"),
        postgresql_where=sa.text("state <> 'ended' AND body_id IS NOT NULL"),
    )
    op.create_table(
        "used_code",
        sa.Column("person_id", sa.String(length=12), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_used_code_person_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("person_id", "counter", name=op.f("pk_used_code")),
    )
    op.create_table(
        "web_session",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=12), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_web_session_person_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_web_session")),
    )
    op.create_index(op.f("ix_web_session_person_id"), "web_session", ["person_id"], unique=False)
    op.create_table(
        "application",
        sa.Column("project_id", sa.String(length=12), nullable=False),
        sa.Column("author_id", sa.String(length=12), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "submitted",
                "changes_requested",
                "assessed",
                name="applicationstate",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("scenario", sa.Text(), nullable=False),
        sa.Column("security_measures", sa.Text(), nullable=False),
        sa.Column("period_days", sa.Integer(), nullable=True),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("profile", sa.String(length=40), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["person.id"], name=op.f("fk_application_author_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_application_project_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application")),
    )
    op.create_index(op.f("ix_application_author_id"), "application", ["author_id"], unique=False)
    op.create_index(op.f("ix_application_project_id"), "application", ["project_id"], unique=False)
    op.create_index(
        "uq_application_open",
        "application",
        ["project_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'assessed'"),
        postgresql_where=sa.text("state <> 'assessed'"),
    )
    op.create_table(
        "condition",
        sa.Column("dataset_id", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('document', 'requirement')", name=op.f("ck_condition_kind")),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_condition_dataset_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_condition")),
        sa.UniqueConstraint("dataset_id", "position", name=op.f("uq_condition_dataset_id_position")),
    )
    op.create_index(op.f("ix_condition_dataset_id"), "condition", ["dataset_id"], unique=False)
    op.create_table(
        "project_member",
        sa.Column("project_id", sa.String(length=12), nullable=False),
        sa.Column("person_id", sa.String(length=12), nullable=False),
        sa.Column("added_by", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["added_by"], ["person.id"], name=op.f("fk_project_member_added_by"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_project_member_person_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_project_member_project_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("project_id", "person_id", name=op.f("pk_project_member")),
    )
    op.create_index(op.f("ix_project_member_added_by"), "project_member", ["added_by"], unique=False)
    op.create_index(op.f("ix_project_member_person_id"), "project_member", ["person_id"], unique=False)
    op.create_table(
        "sandbox",
        sa.Column("project_id", sa.String(length=12), nullable=False),
        sa.Column("person_id", sa.String(length=12), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "stopped",
                "requested",
                "starting",
                "running",
                "refused",
                "cut",
                name="sandboxstate",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "desired",
            sa.Enum("stopped", "running", "cut", name="desired", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("executions", sa.BigInteger(), nullable=False),
        sa.Column("last_activity", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_sandbox_person_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_sandbox_project_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox")),
    )
    op.create_index("ix_sandbox_desired_state", "sandbox", ["desired", "state"], unique=False)
    op.create_index(op.f("ix_sandbox_person_id"), "sandbox", ["person_id"], unique=False)
    op.create_index(op.f("ix_sandbox_project_id"), "sandbox", ["project_id"], unique=False)
    op.create_index(
        "uq_sandbox_live",
        "sandbox",
        ["project_id", "person_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'cut'"),
        postgresql_where=sa.text("state <> 'cut'"),
    )
    op.create_table(
        "version",
        sa.Column("dataset_id", sa.String(length=12), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "importing", "imported", "failed", "published", name="versionstate", native_enum=False, create_constraint=True, length=24
            ),
            nullable=False,
        ),
        sa.Column("upload_path", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("description_name", sa.Text(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("errors", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=12), nullable=False),
        sa.Column("published_by", sa.String(length=12), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_version_created_by"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_version_dataset_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["published_by"], ["person.id"], name=op.f("fk_version_published_by"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version")),
        sa.UniqueConstraint("dataset_id", "number", name=op.f("uq_version_dataset_id_number")),
    )
    op.create_index(op.f("ix_version_created_by"), "version", ["created_by"], unique=False)
    op.create_index(op.f("ix_version_dataset_id"), "version", ["dataset_id"], unique=False)
    op.create_index(op.f("ix_version_published_by"), "version", ["published_by"], unique=False)
    op.create_table(
        "agreement",
        sa.Column("application_id", sa.String(length=12), nullable=False),
        sa.Column("project_id", sa.String(length=12), nullable=False),
        sa.Column("body_id", sa.String(length=12), nullable=False),
        sa.Column("party_id", sa.String(length=12), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "offered",
                "active",
                "revoked",
                "expired",
                "ended",
                name="agreementstate",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("profile", sa.String(length=40), nullable=False),
        sa.Column("template", sa.String(length=40), nullable=False),
        sa.Column("period_days", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_digest", sa.String(length=64), nullable=False),
        sa.Column("active_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=12), nullable=True),
        sa.Column("ended_ground", sa.Text(), nullable=True),
        sa.Column("ended_reason", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state <> 'active' OR not_after IS NOT NULL", name=op.f("ck_agreement_active_has_end")),
        sa.CheckConstraint("epoch >= 1", name=op.f("ck_agreement_epoch")),
        sa.ForeignKeyConstraint(["application_id"], ["application.id"], name=op.f("fk_agreement_application_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["body_id"], ["body.id"], name=op.f("fk_agreement_body_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["ended_by"], ["person.id"], name=op.f("fk_agreement_ended_by"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_agreement_party_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_agreement_project_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement")),
        sa.UniqueConstraint("application_id", "body_id", name=op.f("uq_agreement_application_id_body_id")),
    )
    op.create_index(op.f("ix_agreement_application_id"), "agreement", ["application_id"], unique=False)
    op.create_index(op.f("ix_agreement_body_id"), "agreement", ["body_id"], unique=False)
    op.create_index(op.f("ix_agreement_ended_by"), "agreement", ["ended_by"], unique=False)
    op.create_index(op.f("ix_agreement_party_id"), "agreement", ["party_id"], unique=False)
    op.create_index(op.f("ix_agreement_project_id"), "agreement", ["project_id"], unique=False)
    op.create_table(
        "application_item",
        sa.Column("application_id", sa.String(length=12), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.String(length=12), nullable=False),
        sa.Column("version_id", sa.String(length=12), nullable=False),
        sa.Column("body_id", sa.String(length=12), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column(
            "access", sa.Enum("mounted", "queried", name="access", native_enum=False, create_constraint=True, length=24), nullable=False
        ),
        sa.Column("row_filter", sa.JSON(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_application_item_application_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["body_id"], ["body.id"], name=op.f("fk_application_item_body_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_application_item_dataset_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_application_item_version_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_item")),
        sa.UniqueConstraint("application_id", "dataset_id", name=op.f("uq_application_item_application_id_dataset_id")),
    )
    op.create_index(op.f("ix_application_item_application_id"), "application_item", ["application_id"], unique=False)
    op.create_index(op.f("ix_application_item_body_id"), "application_item", ["body_id"], unique=False)
    op.create_index(op.f("ix_application_item_dataset_id"), "application_item", ["dataset_id"], unique=False)
    op.create_index(op.f("ix_application_item_version_id"), "application_item", ["version_id"], unique=False)
    op.create_table(
        "assessment",
        sa.Column("application_id", sa.String(length=12), nullable=False),
        sa.Column("body_id", sa.String(length=12), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column(
            "decision",
            sa.Enum("approve", "reject", "changes", name="decisionkind", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("ticks", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("assessor_id", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["application_id"], ["application.id"], name=op.f("fk_assessment_application_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["assessor_id"], ["person.id"], name=op.f("fk_assessment_assessor_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["body_id"], ["body.id"], name=op.f("fk_assessment_body_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assessment")),
        sa.UniqueConstraint("application_id", "body_id", "round", name=op.f("uq_assessment_application_id_body_id_round")),
    )
    op.create_index(op.f("ix_assessment_application_id"), "assessment", ["application_id"], unique=False)
    op.create_index(op.f("ix_assessment_assessor_id"), "assessment", ["assessor_id"], unique=False)
    op.create_index(op.f("ix_assessment_body_id"), "assessment", ["body_id"], unique=False)
    op.create_index(
        "uq_assessment_final",
        "assessment",
        ["application_id", "body_id"],
        unique=True,
        sqlite_where=sa.text("decision <> 'changes'"),
        postgresql_where=sa.text("decision <> 'changes'"),
    )
    op.create_table(
        "dataset_column",
        sa.Column("version_id", sa.String(length=12), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "proposed_class",
            sa.Enum(
                "open",
                "conditional",
                "personal",
                "identifier",
                "non_open",
                name="proposed_class",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=True,
        ),
        sa.Column(
            "column_class",
            sa.Enum(
                "open",
                "conditional",
                "personal",
                "identifier",
                "non_open",
                name="columnclass",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=True,
        ),
        sa.Column("person_key", sa.Boolean(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_dataset_column_version_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_column")),
        sa.UniqueConstraint("version_id", "name", name=op.f("uq_dataset_column_version_id_name")),
        sa.UniqueConstraint("version_id", "position", name=op.f("uq_dataset_column_version_id_position")),
    )
    op.create_index(op.f("ix_dataset_column_version_id"), "dataset_column", ["version_id"], unique=False)
    op.create_table(
        "sandbox_session",
        sa.Column("sandbox_id", sa.String(length=12), nullable=False),
        sa.Column("boot", sa.String(length=40), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "starting",
                "running",
                "refused",
                "stopped",
                "cut",
                name="sessionstate",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["sandbox_id"], ["sandbox.id"], name=op.f("fk_sandbox_session_sandbox_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_session")),
        sa.UniqueConstraint("boot", name=op.f("uq_sandbox_session_boot")),
        sa.UniqueConstraint("nonce", name=op.f("uq_sandbox_session_nonce")),
    )
    op.create_index(op.f("ix_sandbox_session_sandbox_id"), "sandbox_session", ["sandbox_id"], unique=False)
    op.create_index(
        "uq_sandbox_session_live",
        "sandbox_session",
        ["sandbox_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "agreement_item",
        sa.Column("agreement_id", sa.String(length=12), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.String(length=12), nullable=False),
        sa.Column("version_id", sa.String(length=12), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("row_filter", sa.JSON(), nullable=False),
        sa.Column(
            "access", sa.Enum("mounted", "queried", name="access", native_enum=False, create_constraint=True, length=24), nullable=False
        ),
        sa.Column("min_cell", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_agreement_item_agreement_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_agreement_item_dataset_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_agreement_item_version_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement_item")),
        sa.UniqueConstraint("agreement_id", "dataset_id", name=op.f("uq_agreement_item_agreement_id_dataset_id")),
    )
    op.create_index(op.f("ix_agreement_item_agreement_id"), "agreement_item", ["agreement_id"], unique=False)
    op.create_index(op.f("ix_agreement_item_dataset_id"), "agreement_item", ["dataset_id"], unique=False)
    op.create_index(op.f("ix_agreement_item_version_id"), "agreement_item", ["version_id"], unique=False)
    op.create_table(
        "agreement_key",
        sa.Column("agreement_id", sa.String(length=12), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_agreement_key_agreement_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("agreement_id", name=op.f("pk_agreement_key")),
    )
    op.create_table(
        "export",
        sa.Column("sandbox_id", sa.String(length=12), nullable=False),
        sa.Column("session_id", sa.String(length=12), nullable=True),
        sa.Column("project_id", sa.String(length=12), nullable=False),
        sa.Column("author_id", sa.String(length=12), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "checking",
                "denied",
                "in_review",
                "approved",
                "rejected",
                "released",
                name="exportstate",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("check_only", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("reviewers_needed", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("certificate", sa.JSON(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("downloaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["person.id"], name=op.f("fk_export_author_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_export_project_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["sandbox_id"], ["sandbox.id"], name=op.f("fk_export_sandbox_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["session_id"], ["sandbox_session.id"], name=op.f("fk_export_session_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export")),
    )
    op.create_index(op.f("ix_export_author_id"), "export", ["author_id"], unique=False)
    op.create_index(op.f("ix_export_project_id"), "export", ["project_id"], unique=False)
    op.create_index(op.f("ix_export_sandbox_id"), "export", ["sandbox_id"], unique=False)
    op.create_index(op.f("ix_export_session_id"), "export", ["session_id"], unique=False)
    op.create_table(
        "hold",
        sa.Column("agreement_id", sa.String(length=12), nullable=False),
        sa.Column("ground", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("placed_by", sa.String(length=12), nullable=False),
        sa.Column("lifted_by", sa.String(length=12), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_hold_agreement_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["lifted_by"], ["person.id"], name=op.f("fk_hold_lifted_by"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["placed_by"], ["person.id"], name=op.f("fk_hold_placed_by"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    op.create_index(op.f("ix_hold_agreement_id"), "hold", ["agreement_id"], unique=False)
    op.create_index(op.f("ix_hold_lifted_by"), "hold", ["lifted_by"], unique=False)
    op.create_index(op.f("ix_hold_placed_by"), "hold", ["placed_by"], unique=False)
    op.create_table(
        "lease",
        sa.Column("session_id", sa.String(length=12), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("renewals", sa.BigInteger(), nullable=False),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sandbox_session.id"], name=op.f("fk_lease_session_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease")),
    )
    op.create_index(op.f("ix_lease_session_id"), "lease", ["session_id"], unique=False)
    op.create_table(
        "signature",
        sa.Column("agreement_id", sa.String(length=12), nullable=False),
        sa.Column("side", sa.Enum("owner", "user", name="side", native_enum=False, create_constraint=True, length=24), nullable=False),
        sa.Column("person_id", sa.String(length=12), nullable=False),
        sa.Column("text_digest", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name=op.f("fk_signature_agreement_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_signature_person_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signature")),
        sa.UniqueConstraint("agreement_id", "person_id", name=op.f("uq_signature_agreement_id_person_id")),
        sa.UniqueConstraint("agreement_id", "side", name=op.f("uq_signature_agreement_id_side")),
    )
    op.create_index(op.f("ix_signature_agreement_id"), "signature", ["agreement_id"], unique=False)
    op.create_index(op.f("ix_signature_person_id"), "signature", ["person_id"], unique=False)
    op.create_table(
        "export_file",
        sa.Column("export_id", sa.String(length=12), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["export_id"], ["export.id"], name=op.f("fk_export_file_export_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_file")),
        sa.UniqueConstraint("export_id", "name", name=op.f("uq_export_file_export_id_name")),
        sa.UniqueConstraint("export_id", "position", name=op.f("uq_export_file_export_id_position")),
    )
    op.create_index(op.f("ix_export_file_export_id"), "export_file", ["export_id"], unique=False)
    op.create_table(
        "release",
        sa.Column("item_id", sa.String(length=12), nullable=False),
        sa.Column(
            "state",
            sa.Enum("preparing", "ready", "failed", "destroyed", name="releasestate", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("errors", sa.JSON(), nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["agreement_item.id"], name=op.f("fk_release_item_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
    )
    op.create_index(op.f("ix_release_item_id"), "release", ["item_id"], unique=False)
    op.create_index(
        "uq_release_live",
        "release",
        ["item_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('preparing', 'ready')"),
        postgresql_where=sa.text("state IN ('preparing', 'ready')"),
    )
    op.create_table(
        "review",
        sa.Column("export_id", sa.String(length=12), nullable=False),
        sa.Column("reviewer_id", sa.String(length=12), nullable=False),
        sa.Column(
            "verdict", sa.Enum("approve", "reject", name="vote", native_enum=False, create_constraint=True, length=24), nullable=False
        ),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["export_id"], ["export.id"], name=op.f("fk_review_export_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["reviewer_id"], ["person.id"], name=op.f("fk_review_reviewer_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint("export_id", "reviewer_id", name=op.f("uq_review_export_id_reviewer_id")),
    )
    op.create_index(op.f("ix_review_export_id"), "review", ["export_id"], unique=False)
    op.create_index(op.f("ix_review_reviewer_id"), "review", ["reviewer_id"], unique=False)
    op.create_table(
        "finding",
        sa.Column("export_id", sa.String(length=12), nullable=False),
        sa.Column("file_id", sa.String(length=12), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column(
            "verdict",
            sa.Enum("pass", "deny", "review", name="verdict", native_enum=False, create_constraint=True, length=24),
            nullable=False,
        ),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["export_id"], ["export.id"], name=op.f("fk_finding_export_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["file_id"], ["export_file.id"], name=op.f("fk_finding_file_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
        sa.UniqueConstraint("export_id", "position", name=op.f("uq_finding_export_id_position")),
    )
    op.create_index(op.f("ix_finding_export_id"), "finding", ["export_id"], unique=False)
    op.create_index(op.f("ix_finding_file_id"), "finding", ["file_id"], unique=False)


def downgrade() -> None:
    """There is no way back: restore a backup."""
    raise NotImplementedError
