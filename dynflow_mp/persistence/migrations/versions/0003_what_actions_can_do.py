"""Retries, deadlines, delayed and chained plans, output chunks, hooks, keys: what an action can ask for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dynflow_mp.persistence.column_types import Blob, Name, PlanId

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _plan(name: str = "execution_plan_id") -> sa.Column[str]:
    return sa.Column(
        name, PlanId(), sa.ForeignKey("dynflow_execution_plans.id", ondelete="CASCADE"), nullable=False
    )


def upgrade() -> None:
    """New columns are empty and new tables without rows: what is stored already asked for nothing of it."""
    op.add_column("dynflow_execution_plans", sa.Column("deadline_at", sa.BigInteger))
    op.add_column("dynflow_execution_plans", sa.Column("unique_key", Name(255)))
    op.add_column("dynflow_steps", sa.Column("due_at", sa.BigInteger))
    op.add_column("dynflow_steps", sa.Column("crashes", sa.Integer))
    op.add_column("dynflow_steps", sa.Column("retries", sa.Integer))
    _delayed_plans()
    _plan_dependencies()
    _output_chunks()
    _hook_calls()
    _unique_keys()


def _delayed_plans() -> None:
    op.create_table(
        "dynflow_delayed_plans",
        _plan(),
        sa.Column("start_at", sa.BigInteger),
        sa.Column("start_before", sa.BigInteger),
        sa.Column("frozen", sa.Integer, nullable=False),
        sa.Column("arguments", Blob(), nullable=False),
        sa.PrimaryKeyConstraint("execution_plan_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("dynflow_delayed_by_start", "dynflow_delayed_plans", ["start_at"])


def _plan_dependencies() -> None:
    op.create_table(
        "dynflow_plan_dependencies",
        _plan(),
        _plan("blocked_by_id"),
        sa.PrimaryKeyConstraint("execution_plan_id", "blocked_by_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("dynflow_dependencies_by_blocker", "dynflow_plan_dependencies", ["blocked_by_id"])


def _output_chunks() -> None:
    op.create_table(
        "dynflow_output_chunks",
        _plan(),
        sa.Column("action_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("kind", Name(100)),
        sa.Column("chunk", Blob(), nullable=False),
        sa.Column("written_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("execution_plan_id", "action_id", "id"),
        sqlite_with_rowid=False,
    )


def _hook_calls() -> None:
    op.create_table(
        "dynflow_hook_calls",
        _plan(),
        sa.Column("id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("kinds", Blob(), nullable=False),
        sa.Column("noted_at", sa.BigInteger, nullable=False),
        sa.Column("owner_id", Name(100)),
        sa.PrimaryKeyConstraint("execution_plan_id", "id"),
        sqlite_with_rowid=False,
    )


def _unique_keys() -> None:
    op.create_table(
        "dynflow_unique_keys",
        sa.Column("key", Name(255), nullable=False),
        _plan(),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("dynflow_keys_by_plan", "dynflow_unique_keys", ["execution_plan_id"])
