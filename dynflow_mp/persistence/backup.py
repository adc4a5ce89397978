"""Plans that are about to be deleted, written down as JSON lines: one file per kind of row, one row a line.

    <directory>/<YYYYMMDD>/execution_plans.jsonl, steps.jsonl, actions.jsonl, step_attempts.jsonl, output_chunks.jsonl,
                           audits.jsonl

Payloads are written as what they hold. What JSON does not have is an object with one key: ``{"$datetime": "…"}``,
``$date``, ``$uuid``, ``$decimal``, ``$bytes`` (base64), ``$event`` (one of the engine's); ``$raw`` (base64) is a payload
that cannot be read. A dict of the user's whose only key looks like one of these is ``{"$dict": {…}}``, so that nothing is lost.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Connection, Select, select

from dynflow_mp.errors import DamagedData, PersistenceError
from dynflow_mp.model.codec import decode
from dynflow_mp.model.signals import Signal
from dynflow_mp.persistence.tables import (
    actions,
    actions_with_outputs,
    audits,
    execution_plans,
    output_chunks,
    outputs,
    step_attempts,
    steps,
)

_KINDS: tuple[tuple[str, Select[Any], Column[str]], ...] = (
    ("execution_plans", select(execution_plans), execution_plans.c.id),
    ("steps", select(steps), steps.c.execution_plan_id),
    (
        "actions",
        select(actions, outputs.c.output).select_from(actions_with_outputs),
        actions.c.execution_plan_id,
    ),
    ("step_attempts", select(step_attempts), step_attempts.c.execution_plan_id),
    ("output_chunks", select(output_chunks), output_chunks.c.execution_plan_id),
    ("audits", select(audits), audits.c.execution_plan_id),
)
_ROWS_AT_ONCE = 1000


def back_up(connection: Connection, plan_ids: Sequence[str], backup_dir: Path) -> None:
    """Append all rows of these plans to the day's files; when this returns, they are on the disk.

    Raises :class:`PersistenceError` when they cannot be written. If the database then gives the deletion up and it is
    done again, rows are there twice.
    """
    directory = backup_dir / datetime.now(UTC).strftime("%Y%m%d")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, rows, plan_id in _KINDS:
            query = rows.where(plan_id.in_(plan_ids)).order_by(*rows.selected_columns[:3])
            found = connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE})
            names = list(found.keys())
            _append(directory / f"{name}.jsonl", (dict(zip(names, row, strict=True)) for row in found))
        for place in (directory, backup_dir):
            _sync_directory(place)
    except OSError as error:
        raise PersistenceError(f"cannot back up deleted plans in {directory}: {error}") from error


def _append(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("a", encoding="utf-8", newline="\n") as file:
        for row in rows:
            shown = {
                name: _payload(value) if isinstance(value, bytes) else value for name, value in row.items()
            }
            file.write(json.dumps(shown, ensure_ascii=False, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    """A new file's name is on the disk only once its directory is."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_back(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of one file, payloads as the objects that were stored."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield {name: from_json(value) for name, value in json.loads(line).items()}


# -- payloads ----------------------------------------------------------------------------------------


def _payload(data: bytes) -> Any:
    try:
        return to_json(decode(data))
    except DamagedData:
        return {"$raw": _base64(data)}


def to_json(value: Any) -> Any:
    """Any value of the codec as JSON has it, losing nothing."""
    if isinstance(value, dict):
        plain = {key: to_json(item) for key, item in value.items()}
        return {"$dict": plain} if _looks_tagged(value) else plain
    if isinstance(value, list):
        return [to_json(item) for item in value]
    for kind, tag, write in _WRITERS:
        if isinstance(value, kind):
            return {tag: write(value)}
    return value


def from_json(value: Any) -> Any:
    """The value of :func:`to_json`."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _looks_tagged(value):
        ((tag, content),) = value.items()
        if tag == "$dict":
            return {key: from_json(item) for key, item in content.items()}
        if tag in _READERS:
            return _READERS[tag](content)
    return {key: from_json(item) for key, item in value.items()}


def _looks_tagged(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("$")


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


# A datetime is a date, a signal a text: the narrower kinds first.
_WRITERS: tuple[tuple[type, str, Callable[[Any], str]], ...] = (
    (Signal, "$event", lambda signal: str(signal.value)),
    (datetime, "$datetime", datetime.isoformat),
    (date, "$date", date.isoformat),
    (UUID, "$uuid", str),
    (Decimal, "$decimal", str),
    (bytes, "$bytes", _base64),
)
_READERS: dict[str, Callable[[str], Any]] = {
    "$event": Signal,
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$uuid": UUID,
    "$decimal": Decimal,
    "$bytes": b64decode,
    "$raw": b64decode,
}
