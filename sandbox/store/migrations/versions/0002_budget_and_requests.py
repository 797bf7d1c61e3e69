"""Display budget, requests for more of it, requests for packages."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema here."""
    op.create_table(
        "package_request",
        sa.Column("ecosystem", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.String(length=60), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "requested", "approved", "rejected", "built", name="packagestate", native_enum=False, create_constraint=True, length=24
            ),
            nullable=False,
        ),
        sa.Column("author_id", sa.String(length=12), nullable=False),
        sa.Column("decided_by", sa.String(length=12), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column("image", sa.String(length=80), nullable=True),
        sa.Column("built_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("decided_by IS NULL OR decided_by <> author_id", name=op.f("ck_package_request_four_eyes")),
        sa.ForeignKeyConstraint(["author_id"], ["person.id"], name=op.f("fk_package_request_author_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name=op.f("fk_package_request_decided_by"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_package_request")),
    )
    op.create_index(op.f("ix_package_request_author_id"), "package_request", ["author_id"], unique=False)
    op.create_index(op.f("ix_package_request_decided_by"), "package_request", ["decided_by"], unique=False)
    op.create_index(
        "uq_package_request_live",
        "package_request",
        ["ecosystem", "name", "version"],
        unique=True,
        sqlite_where=sa.text("state <> 'rejected'"),
        postgresql_where=sa.text("state <> 'rejected'"),
    )
    op.create_table(
        "display_request",
        sa.Column("project_id", sa.String(length=12), nullable=False),
        sa.Column("person_id", sa.String(length=12), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "requested",
                "approved",
                "rejected",
                "withdrawn",
                "revoked",
                name="displaystate",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("bodies", sa.JSON(), nullable=False),
        sa.Column("cell_bytes", sa.BigInteger(), nullable=False),
        sa.Column("hour_bytes", sa.BigInteger(), nullable=False),
        sa.Column("day_bytes", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=12), nullable=True),
        sa.Column("ended_reason", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("cell_bytes > 0 AND hour_bytes > 0 AND day_bytes > 0", name=op.f("ck_display_request_positive")),
        sa.ForeignKeyConstraint(["ended_by"], ["person.id"], name=op.f("fk_display_request_ended_by"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_display_request_person_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_display_request_project_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_display_request")),
    )
    op.create_index(op.f("ix_display_request_ended_by"), "display_request", ["ended_by"], unique=False)
    op.create_index(op.f("ix_display_request_person_id"), "display_request", ["person_id"], unique=False)
    op.create_index(op.f("ix_display_request_project_id"), "display_request", ["project_id"], unique=False)
    op.create_index(
        "uq_display_request_open",
        "display_request",
        ["project_id", "person_id"],
        unique=True,
        sqlite_where=sa.text("state = 'requested'"),
        postgresql_where=sa.text("state = 'requested'"),
    )
    op.create_table(
        "display_decision",
        sa.Column("request_id", sa.String(length=12), nullable=False),
        sa.Column("body_id", sa.String(length=12), nullable=False),
        sa.Column(
            "answer", sa.Enum("approve", "reject", name="answer", native_enum=False, create_constraint=True, length=24), nullable=False
        ),
        sa.Column("cell_bytes", sa.BigInteger(), nullable=False),
        sa.Column("hour_bytes", sa.BigInteger(), nullable=False),
        sa.Column("day_bytes", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["body_id"], ["body.id"], name=op.f("fk_display_decision_body_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name=op.f("fk_display_decision_decided_by"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["request_id"], ["display_request.id"], name=op.f("fk_display_decision_request_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_display_decision")),
        sa.UniqueConstraint("request_id", "body_id", name=op.f("uq_display_decision_request_id_body_id")),
    )
    op.create_index(op.f("ix_display_decision_body_id"), "display_decision", ["body_id"], unique=False)
    op.create_index(op.f("ix_display_decision_decided_by"), "display_decision", ["decided_by"], unique=False)
    op.create_index(op.f("ix_display_decision_request_id"), "display_decision", ["request_id"], unique=False)
    op.create_table(
        "display_bucket",
        sa.Column("project_id", sa.String(length=12), nullable=False),
        sa.Column("person_id", sa.String(length=12), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sa.String(length=12), nullable=False),
        sa.Column("granted", sa.BigInteger(), nullable=False),
        sa.Column("returned", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=True),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "granted >= 0 AND returned >= 0 AND returned <= granted", name=op.f("ck_display_bucket_no_more_back_than_given")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_display_bucket_person_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_display_bucket_project_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["session_id"], ["sandbox_session.id"], name=op.f("fk_display_bucket_session_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("project_id", "person_id", "minute", "session_id", name=op.f("pk_display_bucket")),
    )
    op.create_index("ix_display_bucket_minute", "display_bucket", ["minute"], unique=False)
    op.create_index("ix_display_bucket_session_id_minute", "display_bucket", ["session_id", "minute"], unique=False)


def downgrade() -> None:
    """There is no way back: restore a backup."""
    raise NotImplementedError
