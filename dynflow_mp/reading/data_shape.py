"""Times and stored data as programs are told them, in what JSON has: the same by the command line and by the console's API.

What JSON does not have is written as backups write it: ``{"$datetime": "…"}``, ``{"$bytes": "…"}``; an output that is not
there yet as ``{"$reference": "Step(3).output['x']"}``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dynflow_mp.errors import DynflowError
from dynflow_mp.model.references import OutputReference
from dynflow_mp.persistence.backup import to_json
from dynflow_mp.reading.concealment import action_of, shown

if TYPE_CHECKING:
    from dynflow_mp.reading.execution_plan import ExecutionPlan

Shape = dict[str, Any]
"""An object of JSON."""


def time_shape(time: datetime | None) -> str | None:
    """As ISO 8601 in UTC."""
    return None if time is None else time.astimezone(UTC).isoformat()


def action_data_shapes(plan: ExecutionPlan, action_id: int) -> tuple[Any, Any]:
    """Input and output of an action without what is secret; where they cannot be read, ``{"cannot be shown": why}``."""
    try:
        values = shown(action_of(plan, action_id))
        return _without_references(to_json(values.input)), _without_references(to_json(values.output))
    except DynflowError as error:  # damaged data of one action hides nothing of the others
        problem = {"cannot be shown": str(error)}
        return problem, problem


def _without_references(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_references(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_references(item) for item in value]
    return {"$reference": str(value)} if isinstance(value, OutputReference) else value
