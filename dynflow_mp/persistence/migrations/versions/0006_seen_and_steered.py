"""What people do to plans and worlds is written down, a step tells which worker ran it, lists of plans have their indexes."""

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
    _listing_indexes()


def _listing_indexes() -> None:
    """Three indexes are made again with more in them, two are new."""
    plans = "dynflow_execution_plans"
    # What has no time comes first everywhere; PostgreSQL must be told so.
    first = " NULLS FIRST" if op.get_bind().dialect.name == "postgresql" else ""
    started_at, ended_at = sa.text(f"started_at{first}"), sa.text(f"ended_at{first}")
    for name in ("dynflow_plans_by_state", "dynflow_plans_by_start", "dynflow_plans_by_label"):
        op.drop_index(name, plans)
    op.create_index("dynflow_plans_by_label", plans, ["label", "id"])
    op.create_index("dynflow_plans_by_state", plans, ["state", started_at, "id", "result", "label"])
    op.create_index("dynflow_plans_by_start", plans, [started_at, "id"])
    op.create_index("dynflow_plans_by_end", plans, [ended_at, "id"])
    op.create_index("dynflow_actions_by_class", "dynflow_actions", ["action_class", "execution_plan_id"])
