"""Envelopes on their way between worlds that have nothing but the database in common."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dynflow_mp.persistence.column_types import Blob, Name

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A table without rows: nothing was sent this way before."""
    op.create_table(
        "dynflow_envelopes",
        sa.Column("receiver_id", Name(100), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("posted_by", Name(100), nullable=False),
        sa.Column("data", Blob(), nullable=False),
        sa.PrimaryKeyConstraint("receiver_id", "number", "posted_by"),
    )
    op.create_index(
        "dynflow_envelopes_by_poster", "dynflow_envelopes", ["posted_by", "receiver_id", "number"]
    )
