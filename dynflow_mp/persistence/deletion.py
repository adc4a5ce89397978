"""Deleting plans, in batches of one transaction each, with their rows saved as CSV before if asked."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Result, Select, delete, select

from dynflow_mp.errors import PersistenceError
from dynflow_mp.persistence.held_by_plans import give_up_locks
from dynflow_mp.persistence.skeleton import CHUNK
from dynflow_mp.persistence.tables import (
    actions,
    actions_with_outputs,
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

_BACKED_UP: tuple[tuple[str, Select[Any], Column[str]], ...] = (
    ("execution_plans.csv", select(execution_plans), execution_plans.c.id),
    (
        "actions.csv",
        select(actions, outputs.c.output).select_from(actions_with_outputs),
        actions.c.execution_plan_id,
    ),
    ("steps.csv", select(steps), steps.c.execution_plan_id),
)
_OF_A_PLAN = (
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
            _back_up(connection, chunk, backup_dir)
        for table in _OF_A_PLAN:
            connection.execute(delete(table).where(table.c.execution_plan_id.in_(chunk)))
        give_up_locks(connection, chunk)
        # A plan that is gone keeps no other from starting.
        connection.execute(delete(plan_dependencies).where(plan_dependencies.c.blocked_by_id.in_(chunk)))
        deleted += connection.execute(delete(execution_plans).where(execution_plans.c.id.in_(chunk))).rowcount
    return deleted


def _back_up(connection: Connection, plan_ids: list[str], backup_dir: Path) -> None:
    """Append the rows to ``<backup_dir>/<YYYYMMDD>/*.csv``."""
    directory = backup_dir / datetime.now(UTC).strftime("%Y%m%d")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, rows, plan_id in _BACKED_UP:
            query = rows.where(plan_id.in_(plan_ids)).order_by(plan_id)
            _append(directory / name, connection.execute(query, execution_options={"yield_per": 1000}))
    except OSError as error:
        raise PersistenceError(f"cannot back up deleted plans in {directory}: {error}") from error


def _append(path: Path, rows: Result[Any]) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if file.tell() == 0:
            writer.writerow(rows.keys())
        writer.writerows(
            [value.hex() if isinstance(value, bytes) else value for value in row] for row in rows
        )
