"""What people do to plans and worlds is written down, and a step tells which worker ran it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dynflow_mp.persistence.column_types import Name, PlanId

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A table without rows, a column that is empty: nobody has kept either before."""
    op.add_column("dynflow_steps", sa.Column("worker_pid", sa.Integer))
    op.create_table(
        "dynflow_audits",
        sa.Column("id", PlanId(), primary_key=True),
        sa.Column("execution_plan_id", PlanId()),
        sa.Column("done_at", sa.BigInteger, nullable=False),
        sa.Column("deed", Name(255), nullable=False),
        sa.Column("done_by", Name(100), nullable=False),
        sa.Column("world_id", Name(100), nullable=False),
    )
    op.create_index("dynflow_audits_by_plan", "dynflow_audits", ["execution_plan_id"])
