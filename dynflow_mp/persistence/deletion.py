"""Deleting plans, in batches of one transaction each, with their rows saved as CSV before if asked."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, delete, select

from dynflow_mp.errors import PersistenceError
from dynflow_mp.persistence.skeleton import CHUNK
from dynflow_mp.persistence.tables import actions, events, execution_plans, step_attempts, steps

_BACKED_UP = (("execution_plans.csv", execution_plans), ("actions.csv", actions), ("steps.csv", steps))
_OF_A_PLAN = (events, step_attempts, steps, actions)


def delete_plans(connection: Connection, plan_ids: Sequence[str], backup_dir: Path | None) -> int:
    """Delete these plans and all that is theirs; how many plans there were."""
    deleted = 0
    for start in range(0, len(plan_ids), CHUNK):
        chunk = list(plan_ids[start : start + CHUNK])
        if backup_dir is not None:
            _back_up(connection, chunk, backup_dir)
        for table in _OF_A_PLAN:
            connection.execute(delete(table).where(table.c.execution_plan_id.in_(chunk)))
        deleted += connection.execute(delete(execution_plans).where(execution_plans.c.id.in_(chunk))).rowcount
    return deleted


def _back_up(connection: Connection, plan_ids: list[str], backup_dir: Path) -> None:
    """Append the rows to ``<backup_dir>/<YYYYMMDD>/*.csv``."""
    directory = backup_dir / datetime.now(UTC).strftime("%Y%m%d")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, table in _BACKED_UP:
            key = table.c.id if table is execution_plans else table.c.execution_plan_id
            query = select(table).where(key.in_(plan_ids)).order_by(key)
            rows = connection.execute(query, execution_options={"yield_per": 1000})
            _append(directory / name, table, rows)
    except OSError as error:
        raise PersistenceError(f"cannot back up deleted plans in {directory}: {error}") from error


def _append(path: Path, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if file.tell() == 0:
            writer.writerow(column.name for column in table.columns)
        writer.writerows(
            [value.hex() if isinstance(value, bytes) else value for value in row] for row in rows
        )
