"""What is stored, as tables.

    execution_plans ─┬─< steps            one row per step, updated twice per attempt
                     ├─< actions          what they were planned with: input, references
                     ├─< outputs          what they have written
                     ├─< step_attempts    attempts that did not succeed
                     ├─< events           accepted; those that were taken are kept as a mark
                     ├─< output_chunks    what they wrote beside their output
                     ├── delayed_plans    when a scheduled plan may start, with which arguments
                     ├─< plan_dependencies  which plans must have stopped before
                     ├─< hook_calls       hooks that must still be called
                     └─< unique_keys      of which no two plans hold the same
    audits                                what people did by hand, of no plan or of one
    posted_events                         events of actions on their way to other plans
    coordinator_records                   worlds, locks, and whatever else is agreed on

Times are microseconds since 1970 in UTC, durations seconds, payloads the codec's bytes. Every index
costs each stored plan or step, so only what is searched for has one.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
)

from dynflow_mp.persistence.column_types import Blob, Name, PlanId

metadata = MetaData()

_STATE = String(15)
_CLASS = Name(255)


def _of_plan(name: str = "execution_plan_id") -> Column[str]:
    """The plan that a row belongs to, and is gone with."""
    return Column(
        name,
        PlanId(),
        ForeignKey("dynflow_execution_plans.id", ondelete="CASCADE"),
        nullable=False,
    )


execution_plans = Table(
    "dynflow_execution_plans",
    metadata,
    Column("id", PlanId(), primary_key=True),
    Column("label", _CLASS, nullable=False),
    Column("state", _STATE, nullable=False),
    Column("result", _STATE, nullable=False),
    Column("root_plan_step_id", Integer, nullable=False),
    Column("run_flow", Blob(), nullable=False),
    Column("finalize_flow", Blob(), nullable=False),
    Column("history", Blob(), nullable=False),
    Column("policies", Blob(), nullable=False),
    Column("dependencies", Blob(), nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("execution_time", Float(53), nullable=False),
    Column("real_time", Float(53), nullable=False),
    Column("requested_at", BigInteger),
    Column("owner_id", Name(100)),
    Column("lock_epoch", BigInteger, nullable=False),
    Column("caller_execution_plan_id", PlanId()),
    Column("caller_action_id", Integer),
    Column("step_count", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deadline_at", BigInteger),
    Column("unique_key", Name(255)),
    Index("dynflow_plans_by_label", "label", "id"),
    Index("dynflow_plans_by_request", "requested_at"),
    Index("dynflow_plans_by_caller", "caller_execution_plan_id", "caller_action_id"),
)


def _listing_index(name: str, *columns: Column[Any]) -> None:
    """An index in the order of lists, in which what has not started comes first: PostgreSQL must be told that."""
    told = [column.nulls_first() if column.nullable else column for column in columns]
    Index(name, *told).ddl_if(dialect="postgresql")
    Index(name, *columns).ddl_if(callable_=lambda *_, dialect, **__: dialect.name != "postgresql")


# A page of a list and its total are read from one of these alone, whatever states, results and labels are asked for. They
# change when the state does, and when a plan starts and ends: no more often than indexes of the one column would.
_listed = execution_plans.c
_listing_index(
    "dynflow_plans_by_state", _listed.state, _listed.started_at, _listed.id, _listed.result, _listed.label
)
_listing_index("dynflow_plans_by_start", _listed.started_at, _listed.id)
_listing_index("dynflow_plans_by_end", _listed.ended_at, _listed.id)

# Without a row id, a step or action is found and changed in one tree instead of an index and a table:
# a 10,000-step plan is stored a third faster, and an output costs 1 µs less.
steps = Table(
    "dynflow_steps",
    metadata,
    _of_plan(),
    Column("id", Integer, nullable=False, autoincrement=False),
    Column("phase", _STATE, nullable=False),
    Column("state", _STATE, nullable=False),
    Column("action_id", Integer, nullable=False),
    Column("action_class", _CLASS, nullable=False),
    Column("queue", Name(100)),
    Column("attempts", Integer, nullable=False),
    Column("error", Blob()),
    Column("children", Blob()),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("execution_time", Float(53), nullable=False),
    Column("real_time", Float(53), nullable=False),
    Column("progress_done", Float(53), nullable=False),
    Column("progress_weight", Float(53), nullable=False),
    Column("due_at", BigInteger),
    Column("crashes", Integer),
    Column("retries", Integer),
    Column("worker_pid", Integer),
    PrimaryKeyConstraint("execution_plan_id", "id"),
    sqlite_with_rowid=False,
)

actions = Table(
    "dynflow_actions",
    metadata,
    _of_plan(),
    Column("id", Integer, nullable=False, autoincrement=False),
    Column("action_class", _CLASS, nullable=False),
    Column("caller_execution_plan_id", PlanId()),
    Column("caller_action_id", Integer),
    Column("plan_step_id", Integer, nullable=False),
    Column("run_step_id", Integer),
    Column("finalize_step_id", Integer),
    Column("input", Blob(), nullable=False),
    Column("references", Blob()),
    PrimaryKeyConstraint("execution_plan_id", "id"),
    Index("dynflow_actions_by_class", "action_class", "execution_plan_id"),
    sqlite_with_rowid=False,
)

# Apart from the actions: a database writes a changed row anew, and with an output its action's input.
outputs = Table(
    "dynflow_outputs",
    metadata,
    _of_plan(),
    Column("action_id", Integer, nullable=False, autoincrement=False),
    Column("output", Blob(), nullable=False),
    PrimaryKeyConstraint("execution_plan_id", "action_id"),
    sqlite_with_rowid=False,
)

actions_with_outputs = actions.outerjoin(
    outputs,
    (outputs.c.execution_plan_id == actions.c.execution_plan_id) & (outputs.c.action_id == actions.c.id),
)

step_attempts = Table(
    "dynflow_step_attempts",
    metadata,
    _of_plan(),
    Column("step_id", Integer, nullable=False, autoincrement=False),
    Column("attempt", Integer, nullable=False, autoincrement=False),
    Column("state", _STATE, nullable=False),
    Column("error", Blob()),
    Column("ended_at", BigInteger),
    Column("execution_time", Float(53), nullable=False),
    PrimaryKeyConstraint("execution_plan_id", "step_id", "attempt"),
)

events = Table(
    "dynflow_events",
    metadata,
    Column("id", Name(100), primary_key=True),
    _of_plan(),
    Column("step_id", Integer, nullable=False),
    Column("data", Blob(), nullable=False),
    Column("client_id", Name(100)),
    Column("due_at", BigInteger),
    Column("recorded_at", BigInteger, nullable=False),
    Column("taken_at", BigInteger),
    Index("dynflow_events_by_plan", "execution_plan_id"),
)

# Of no plan: who posts one may have ended, and be deleted, before it arrives; where it goes may not be stored at all.
posted_events = Table(
    "dynflow_posted_events",
    metadata,
    Column("id", Name(100), primary_key=True),
    Column("owner_id", Name(100), nullable=False),
    Column("to_plan_id", Name(100), nullable=False),
    Column("to_step_id", Integer, nullable=False),
    Column("data", Blob(), nullable=False),
    Column("optional", Integer, nullable=False),
    Column("due_at", BigInteger),
    Column("posted_at", BigInteger, nullable=False),
)

delayed_plans = Table(
    "dynflow_delayed_plans",
    metadata,
    _of_plan(),
    Column("start_at", BigInteger),
    Column("start_before", BigInteger),
    Column("frozen", Integer, nullable=False),
    Column("arguments", Blob(), nullable=False),
    PrimaryKeyConstraint("execution_plan_id"),
    Index("dynflow_delayed_by_start", "start_at"),
    sqlite_with_rowid=False,
)

plan_dependencies = Table(
    "dynflow_plan_dependencies",
    metadata,
    _of_plan(),
    _of_plan("blocked_by_id"),
    PrimaryKeyConstraint("execution_plan_id", "blocked_by_id"),
    Index("dynflow_dependencies_by_blocker", "blocked_by_id"),
    sqlite_with_rowid=False,
)

output_chunks = Table(
    "dynflow_output_chunks",
    metadata,
    _of_plan(),
    Column("action_id", Integer, nullable=False, autoincrement=False),
    Column("id", BigInteger, nullable=False, autoincrement=False),
    Column("kind", Name(100)),
    Column("chunk", Blob(), nullable=False),
    Column("written_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("execution_plan_id", "action_id", "id"),
    sqlite_with_rowid=False,
)

hook_calls = Table(
    "dynflow_hook_calls",
    metadata,
    _of_plan(),
    Column("id", BigInteger, nullable=False, autoincrement=False),
    Column("kinds", Blob(), nullable=False),
    Column("noted_at", BigInteger, nullable=False),
    Column("owner_id", Name(100)),
    PrimaryKeyConstraint("execution_plan_id", "id"),
    sqlite_with_rowid=False,
)

unique_keys = Table(
    "dynflow_unique_keys",
    metadata,
    Column("key", Name(255), nullable=False),
    _of_plan(),
    PrimaryKeyConstraint("key"),
    Index("dynflow_keys_by_plan", "execution_plan_id"),
)

envelopes = Table(
    "dynflow_envelopes",
    metadata,
    Column("receiver_id", Name(100), nullable=False),
    Column("number", BigInteger, nullable=False, autoincrement=False),
    Column("posted_by", Name(100), nullable=False),
    Column("data", Blob(), nullable=False),
    PrimaryKeyConstraint("receiver_id", "number", "posted_by"),
    Index("dynflow_envelopes_by_poster", "posted_by", "receiver_id", "number"),
)

# No foreign key: what is about to be asked of a plan is written down beside whoever runs it, and waits for nobody.
audits = Table(
    "dynflow_audits",
    metadata,
    Column("id", PlanId(), primary_key=True),
    Column("execution_plan_id", PlanId()),
    Column("done_at", BigInteger, nullable=False),
    Column("deed", Name(255), nullable=False),
    Column("done_by", Name(100), nullable=False),
    Column("world_id", Name(100), nullable=False),
    Index("dynflow_audits_by_plan", "execution_plan_id"),
)

coordinator_records = Table(
    "dynflow_coordinator_records",
    metadata,
    Column("class", Name(100), nullable=False),
    Column("id", Name(100), nullable=False),
    Column("owner_id", Name(100)),
    Column("state", _STATE),
    Column("epoch", BigInteger),
    Column("lease", BigInteger),
    Column("data", Blob(), nullable=False),
    PrimaryKeyConstraint("class", "id"),
    Index("dynflow_records_by_owner", "owner_id"),
)

schema_version = Table(
    "dynflow_schema_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="dynflow_schema_version_pkc"),
)
"""Alembic's own table, described here so that reading it does not need Alembic."""
