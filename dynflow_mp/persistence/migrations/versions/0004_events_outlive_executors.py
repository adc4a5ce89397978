"""That an event was taken is remembered, and events on their way to other plans are kept until they have arrived."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dynflow_mp.persistence.column_types import Blob, Name

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is stored already waits to be taken, as it did."""
    op.add_column("dynflow_events", sa.Column("taken_at", sa.BigInteger))
    op.create_table(
        "dynflow_posted_events",
        sa.Column("id", Name(100), primary_key=True),
        sa.Column("owner_id", Name(100), nullable=False),
        sa.Column("to_plan_id", Name(100), nullable=False),
        sa.Column("to_step_id", sa.Integer, nullable=False),
        sa.Column("data", Blob(), nullable=False),
        sa.Column("optional", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("posted_at", sa.BigInteger, nullable=False),
    )
