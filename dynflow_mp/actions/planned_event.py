"""An event that an action asks for, checked before it is taken note of."""

from __future__ import annotations

from typing import Any

from dynflow_mp.errors import BadArgument
from dynflow_mp.model.codec import encode
from dynflow_mp.model.work import PlannedEvent

_LONGEST_S = 100_000_000
"""Three years."""


def planned_event(
    own: tuple[str, int],
    event: Any,
    delay_s: Any,
    optional: bool,
    plan_id: Any,
    step_id: Any,
    limit: int,
) -> PlannedEvent:
    """Raises :class:`BadArgument` for what cannot be meant, :class:`DataError` for what cannot be stored.

    ``own`` are the plan and step of the action that asks: where the event goes unless it says otherwise.
    """
    own_plan_id, own_step_id = own
    if plan_id is not None and not (isinstance(plan_id, str) and plan_id):
        raise BadArgument(f"execution_plan_id={plan_id!r}: must be the id of a plan")
    if plan_id not in (None, own_plan_id) and step_id is None:
        raise BadArgument(
            f"execution_plan_id={plan_id!r} needs a step_id: the other plan's step to send it to"
        )
    if step_id is not None and (type(step_id) is not int or not 0 < step_id < 2**31):
        raise BadArgument(f"step_id={step_id!r}: must be a whole number from 1")
    if delay_s is not None and not (_is_number(delay_s) and 0 <= delay_s <= _LONGEST_S):
        raise BadArgument(f"delay_s={delay_s!r}: must be a number of seconds from 0 to {_LONGEST_S:,}")
    data = encode(event, "event", limit)
    return PlannedEvent(
        own_plan_id if plan_id is None else str(plan_id),
        own_step_id if step_id is None else step_id,
        data,
        delay_s,
        bool(optional),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
