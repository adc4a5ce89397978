"""Indexes that answer a page of plans, and its total, by themselves; which plans have an action of a class."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two indexes are made again with more in them, one is new."""
    plans = "dynflow_execution_plans"
    # What has not started comes first everywhere; PostgreSQL must be told so.
    started_at = "started_at NULLS FIRST" if op.get_bind().dialect.name == "postgresql" else "started_at"
    for name in ("dynflow_plans_by_state", "dynflow_plans_by_start"):
        op.drop_index(name, plans)
    op.create_index("dynflow_plans_by_state", plans, ["state", text(started_at), "id", "result", "label"])
    op.create_index("dynflow_plans_by_start", plans, [text(started_at), "id"])
    op.create_index("dynflow_actions_by_class", "dynflow_actions", ["action_class", "execution_plan_id"])
