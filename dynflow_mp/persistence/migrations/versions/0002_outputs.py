"""Outputs apart from the actions that wrote them: an output used to have its action's input written again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dynflow_mp.persistence.column_types import Blob, PlanId

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, move what there is, and drop the column."""
    op.create_table(
        "dynflow_outputs",
        sa.Column(
            "execution_plan_id",
            PlanId(),
            sa.ForeignKey("dynflow_execution_plans.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("action_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("output", Blob(), nullable=False),
        sa.PrimaryKeyConstraint("execution_plan_id", "action_id"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO dynflow_outputs (execution_plan_id, action_id, output) "
        "SELECT execution_plan_id, id, output FROM dynflow_actions WHERE output IS NOT NULL"
    )
    op.drop_column("dynflow_actions", "output")
