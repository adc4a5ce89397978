"""The tables of the first version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dynflow_mp.persistence.column_types import Blob, Name, PlanId

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table and index."""
    _plans()
    _steps()
    _actions()
    _step_attempts()
    _events()
    _coordinator_records()


def _of_plan() -> sa.Column[str]:
    return sa.Column(
        "execution_plan_id",
        PlanId(),
        sa.ForeignKey("dynflow_execution_plans.id", ondelete="CASCADE"),
        nullable=False,
    )


def _plans() -> None:
    op.create_table(
        "dynflow_execution_plans",
        sa.Column("id", PlanId(), primary_key=True),
        sa.Column("label", Name(255), nullable=False),
        sa.Column("state", sa.String(15), nullable=False),
        sa.Column("result", sa.String(15), nullable=False),
        sa.Column("root_plan_step_id", sa.Integer, nullable=False),
        sa.Column("run_flow", Blob(), nullable=False),
        sa.Column("finalize_flow", Blob(), nullable=False),
        sa.Column("history", Blob(), nullable=False),
        sa.Column("policies", Blob(), nullable=False),
        sa.Column("dependencies", Blob(), nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("execution_time", sa.Float(53), nullable=False),
        sa.Column("real_time", sa.Float(53), nullable=False),
        sa.Column("requested_at", sa.BigInteger),
        sa.Column("owner_id", Name(100)),
        sa.Column("lock_epoch", sa.BigInteger, nullable=False),
        sa.Column("caller_execution_plan_id", PlanId()),
        sa.Column("caller_action_id", sa.Integer),
        sa.Column("step_count", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    table = "dynflow_execution_plans"
    op.create_index("dynflow_plans_by_state", table, ["state"])
    op.create_index("dynflow_plans_by_label", table, ["label"])
    op.create_index("dynflow_plans_by_start", table, ["started_at"])
    op.create_index("dynflow_plans_by_request", table, ["requested_at"])
    op.create_index("dynflow_plans_by_caller", table, ["caller_execution_plan_id", "caller_action_id"])


def _steps() -> None:
    op.create_table(
        "dynflow_steps",
        _of_plan(),
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("phase", sa.String(15), nullable=False),
        sa.Column("state", sa.String(15), nullable=False),
        sa.Column("action_id", sa.Integer, nullable=False),
        sa.Column("action_class", Name(255), nullable=False),
        sa.Column("queue", Name(100)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", Blob()),
        sa.Column("children", Blob()),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("execution_time", sa.Float(53), nullable=False),
        sa.Column("real_time", sa.Float(53), nullable=False),
        sa.Column("progress_done", sa.Float(53), nullable=False),
        sa.Column("progress_weight", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("execution_plan_id", "id"),
        sqlite_with_rowid=False,
    )


def _actions() -> None:
    op.create_table(
        "dynflow_actions",
        _of_plan(),
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("action_class", Name(255), nullable=False),
        sa.Column("caller_execution_plan_id", PlanId()),
        sa.Column("caller_action_id", sa.Integer),
        sa.Column("plan_step_id", sa.Integer, nullable=False),
        sa.Column("run_step_id", sa.Integer),
        sa.Column("finalize_step_id", sa.Integer),
        sa.Column("input", Blob(), nullable=False),
        sa.Column("references", Blob()),
        sa.Column("output", Blob()),
        sa.PrimaryKeyConstraint("execution_plan_id", "id"),
        sqlite_with_rowid=False,
    )


def _step_attempts() -> None:
    op.create_table(
        "dynflow_step_attempts",
        _of_plan(),
        sa.Column("step_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("attempt", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("state", sa.String(15), nullable=False),
        sa.Column("error", Blob()),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("execution_time", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("execution_plan_id", "step_id", "attempt"),
    )


def _events() -> None:
    op.create_table(
        "dynflow_events",
        sa.Column("id", Name(100), primary_key=True),
        _of_plan(),
        sa.Column("step_id", sa.Integer, nullable=False),
        sa.Column("data", Blob(), nullable=False),
        sa.Column("client_id", Name(100)),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_index("dynflow_events_by_plan", "dynflow_events", ["execution_plan_id"])


def _coordinator_records() -> None:
    op.create_table(
        "dynflow_coordinator_records",
        sa.Column("class", Name(100), nullable=False),
        sa.Column("id", Name(100), nullable=False),
        sa.Column("owner_id", Name(100)),
        sa.Column("state", sa.String(15)),
        sa.Column("epoch", sa.BigInteger),
        sa.Column("lease", sa.BigInteger),
        sa.Column("data", Blob(), nullable=False),
        sa.PrimaryKeyConstraint("class", "id"),
    )
    op.create_index("dynflow_records_by_owner", "dynflow_coordinator_records", ["owner_id"])
