"""Who is to blame when a turn's statements touched fewer rows than they were given.

A batch of updates tells only how many rows it touched, so the guards are compared again, one by one,
with the rows as they were before this transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from dynflow_mp.model.states import StepState
from dynflow_mp.model.writes import MarkRunning, MoveStep, ResetStep, SaveOutcome, UnmarkRunning
from dynflow_mp.persistence.turn_statements import RESETTABLE

Step: TypeAlias = tuple[str, int]
"""Plan id and step id."""
StepRow: TypeAlias = tuple[str, int]
"""State and attempts of a step."""
StepWrite: TypeAlias = SaveOutcome | UnmarkRunning | MoveStep | ResetStep | MarkRunning
StepsBefore: TypeAlias = Callable[[Collection[Step]], Mapping[Step, StepRow]]
"""Steps as they were before this transaction."""

_RUNNING, _PENDING = StepState.RUNNING.value, StepState.PENDING.value


def culprits(writes: list[StepWrite], steps_before: StepsBefore) -> set[str]:
    """The plans of which a write met a row it did not expect."""
    rows = dict(steps_before({(write.plan_id, write.step_id) for write in writes}))
    refused: set[str] = set()
    for write in writes:
        step = (write.plan_id, write.step_id)
        after = row_after(write, rows.get(step))
        if after is None:
            refused.add(write.plan_id)
        else:
            rows[step] = after
    return refused


def row_after(write: StepWrite, before: StepRow | None) -> StepRow | None:
    """State and attempts of the step's row once ``write`` is done; None where its guard refuses."""
    if before is None:
        return None
    state, attempts = before
    if isinstance(write, SaveOutcome):
        fits = before == (write.from_state.value, write.attempt)
        return (write.state.value, attempts) if fits else None
    if isinstance(write, MarkRunning):
        fits = before == (write.from_state.value, write.attempt - 1)
        return (_RUNNING, write.attempt) if fits else None
    if isinstance(write, UnmarkRunning):
        fits = before == (_RUNNING, write.attempt)
        return (write.to_state.value, write.attempt - 1) if fits else None
    if isinstance(write, MoveStep):
        fits = before == (write.from_state.value, write.from_attempts)
        return (write.to_state.value, write.to_attempts) if fits else None
    return (_PENDING, attempts) if state in RESETTABLE else None
