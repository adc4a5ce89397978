"""Deleting plans, in batches of one transaction each, written down before if asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, delete

from dynflow_mp.persistence.backup import back_up
from dynflow_mp.persistence.held_by_plans import give_up_locks
from dynflow_mp.persistence.skeleton import CHUNK
from dynflow_mp.persistence.tables import (
    actions,
    audits,
    delayed_plans,
    events,
    execution_plans,
    hook_calls,
    output_chunks,
    outputs,
    plan_dependencies,
    step_attempts,
    steps,
    unique_keys,
)

_OF_A_PLAN = (
    audits,
    delayed_plans,
    plan_dependencies,
    hook_calls,
    unique_keys,
    output_chunks,
    events,
    step_attempts,
    steps,
    outputs,
    actions,
)


def delete_plans(connection: Connection, plan_ids: Sequence[str], backup_dir: Path | None) -> int:
    """Delete these plans and all that is theirs; how many plans there were."""
    deleted = 0
    for start in range(0, len(plan_ids), CHUNK):
        chunk = list(plan_ids[start : start + CHUNK])
        if backup_dir is not None:
            back_up(connection, chunk, backup_dir)
        for table in _OF_A_PLAN:
            connection.execute(delete(table).where(table.c.execution_plan_id.in_(chunk)))
        give_up_locks(connection, chunk)
        # A plan that is gone keeps no other from starting.
        connection.execute(delete(plan_dependencies).where(plan_dependencies.c.blocked_by_id.in_(chunk)))
        deleted += connection.execute(delete(execution_plans).where(execution_plans.c.id.in_(chunk))).rowcount
    return deleted
