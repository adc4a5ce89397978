"""The actions behind steps; of a damaged plan there may be none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dynflow_mp.console.refusals import Refused
from dynflow_mp.errors import DamagedData
from dynflow_mp.reading.concealment import shown_error
from dynflow_mp.reading.recorded_error import RecordedError


def check_actions(plan: Any, steps: Iterable[Any]) -> None:
    """Raises :class:`Refused` if the action of one of these steps is not stored: little can be said of such a step."""
    for step in steps:
        try:
            plan.action(step.action_id)
        except LookupError:
            raise Refused(
                409, f"The action of step {step.id} is not stored.", kind="InvalidPlan", plan_id=plan.id
            ) from None


def shown_error_of(plan: Any, step: Any) -> RecordedError | None:
    """The error of one step among many, as it may be shown. One that cannot be read hides no other's."""
    try:
        error = step.error
    except DamagedData as damaged:
        return RecordedError("DamagedData", str(damaged))
    if error is None:
        return None
    try:
        action = plan.action(step.action_id)
    except LookupError:
        action = None
    return shown_error(error, action)
