"""A turn whose commit was never answered: was it carried out?

The turn was one transaction, so one row that can only be as it is because of the turn, or only without
it, tells about all of it. Its plans' rows are locked first, which waits until the transaction in doubt has
ended; then nothing moves any more, for nobody else writes about the plans of a world that is alive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, bindparam, select

from dynflow_mp.model.codec import decode
from dynflow_mp.model.plans import history_from_data
from dynflow_mp.model.states import StepState
from dynflow_mp.model.writes import (
    ClaimPlan,
    MarkRunning,
    MoveStep,
    ResetStep,
    SaveOutcome,
    SavePlan,
    UnmarkRunning,
    Write,
)
from dynflow_mp.persistence.culprits import Step, StepRow, StepWrite, row_after
from dynflow_mp.persistence.statements import Statement
from dynflow_mp.persistence.tables import execution_plans, steps
from dynflow_mp.persistence.turn import hold_plans

_STEP = Statement(
    select(steps.c.state, steps.c.attempts).where(
        steps.c.execution_plan_id == bindparam("plan"), steps.c.id == bindparam("step")
    ),
    ("plan", "step"),
)
_HISTORY = Statement(
    select(execution_plans.c.history).where(execution_plans.c.id == bindparam("plan")), ("plan",)
)


def was_written(connection: Connection, writes: Sequence[Write]) -> bool:
    """Whether these very writes are in the database already.

    False also where nothing tells: then writing them again changes nothing that they have not changed.
    """
    by_plan: dict[str, list[Write]] = {}
    for write in writes:
        by_plan.setdefault(write.plan_id, []).append(write)
    held = hold_plans(connection, list(by_plan))
    for plan_id, own in by_plan.items():
        if plan_id in held:
            answer = _plan_tells(*held[plan_id], own)
            if answer and held[plan_id][1] is None:
                answer = _its_own_doing(connection, plan_id, own)
            if answer is not None:
                return answer
    for step, before, after in _moves(writes):
        row = _STEP.run(connection, step).fetchone()
        if row is not None and tuple(row) in (before, after):
            return bool(tuple(row) == after)
    return False


def _plan_tells(epoch: int, owner_id: str | None, own: Sequence[Write]) -> bool | None:
    """What a plan's owner and epoch tell about the writes that concern it."""
    released_at = [write.epoch for write in own if isinstance(write, SavePlan) and write.release]
    for write in own:
        if isinstance(write, ClaimPlan):
            if epoch != write.epoch_read + 1:
                return False if epoch <= write.epoch_read else None
            return owner_id == write.world_id or (bool(released_at) and owner_id is None)
    if not released_at:
        return None
    # While the plan is ours, nobody else can have taken it: so it was given up, whoever has it now.
    return not (epoch == released_at[0] and owner_id is not None)


def _its_own_doing(connection: Connection, plan_id: str, own: Sequence[Write]) -> bool | None:
    """Whether a plan that was claimed and given up at once, as when a step is skipped, was so by these writes.

    It may have been somebody else who did the same with it, from the same epoch: what its steps became tells, or where
    none was moved (None: ask them), its history, which names the moment.
    """
    claim = next((write for write in own if isinstance(write, ClaimPlan)), None)
    if claim is None:
        return True
    if any(True for _ in _moves(own)):
        return None
    row = _HISTORY.run(connection, (plan_id,)).fetchone()
    stored = () if row is None else history_from_data(decode(row[0]))
    return stored[: len(claim.history)] == tuple(claim.history)


def _moves(writes: Sequence[Write]) -> Iterator[tuple[Step, StepRow, StepRow]]:
    """Steps that the writes leave in another state than they found them in, with both."""
    found: dict[Step, tuple[StepRow, StepRow | None]] = {}
    for write in writes:
        if not isinstance(write, (SaveOutcome, UnmarkRunning, MoveStep, ResetStep, MarkRunning)):
            continue
        step = (write.plan_id, write.step_id)
        if step not in found:
            before = _guard(write)
            if before is None:
                continue
            found[step] = (before, before)
        first, latest = found[step]
        found[step] = (first, row_after(write, latest))
    for step, (first, latest) in found.items():
        if latest is not None and latest != first:
            yield step, first, latest


def _guard(write: StepWrite) -> StepRow | None:
    """The row that a write expects; None for one that takes several."""
    if isinstance(write, SaveOutcome):
        return write.from_state.value, write.attempt
    if isinstance(write, MarkRunning):
        return write.from_state.value, write.attempt - 1
    if isinstance(write, UnmarkRunning):
        return StepState.RUNNING.value, write.attempt
    if isinstance(write, MoveStep):
        return write.from_state.value, write.from_attempts
    return None
