"""What a sandbox can compute with: Python, or R beside it."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema here; sandboxes that are there have Python. In words that both databases know: SQLite alters little else."""
    op.execute(
        "ALTER TABLE sandbox ADD COLUMN environment VARCHAR(24) DEFAULT 'python' NOT NULL"
        " CONSTRAINT ck_sandbox_environment CHECK (environment IN ('python', 'python_r'))"
    )


def downgrade() -> None:
    """There is no way back: restore a backup."""
    raise NotImplementedError
