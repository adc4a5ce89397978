"""What people change about a paused plan that nobody runs: taken, changed and let go in one turn (decisions.md 9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dynflow_mp.director.skipping import skipped_with
from dynflow_mp.director.step_book import StepBook
from dynflow_mp.errors import AlreadyRunning, NotEditable, NotSkippable, RequestError
from dynflow_mp.model.plans import HistoryEntry, PlanSkeleton
from dynflow_mp.model.states import PlanState, StepState, result_of
from dynflow_mp.model.writes import ClaimPlan, MoveStep, SavePlan, Write

_SKIPS = (StepState.SKIPPING, StepState.SKIPPED)


class Amendment(NamedTuple):
    """A decided change: what to write, and the steps it concerns."""

    writes: Sequence[Write]
    step_ids: list[int]


def skip(skeleton: PlanSkeleton, step_id: int, world_id: str, now: int) -> Amendment:
    """Skip a failed step with all that goes with it. One that is being skipped already stays so.

    Raises :class:`NotSkippable`, :class:`AlreadyRunning`.
    """
    _check_paused(skeleton, NotSkippable)
    state = _state_of(skeleton, step_id, NotSkippable)
    if state is not StepState.ERROR and state not in _SKIPS:
        raise NotSkippable(_not_failed(skeleton, step_id, state, "be skipped"), skeleton.id)
    book = StepBook(skeleton, skeleton.lock_epoch + 1)
    together = skipped_with(skeleton, [step_id])
    moves = [move for move in book.skip(together) if isinstance(move, MoveStep)]
    affected = [one for one in together if skeleton.steps.state(one) in _SKIPS]
    return Amendment(_within(skeleton, book, moves, skeleton.history, world_id, now), affected)


def edit(skeleton: PlanSkeleton, step_id: int, world_id: str, now: int) -> Amendment:
    """That a failed step's input is edited, for the plan's history.

    Raises :class:`NotEditable`, :class:`AlreadyRunning`.
    """
    _check_paused(skeleton, NotEditable)
    state = _state_of(skeleton, step_id, NotEditable)
    if state is not StepState.ERROR:
        raise NotEditable(_not_failed(skeleton, step_id, state, "have its input edited"), skeleton.id)
    history = (*skeleton.history, HistoryEntry(now, f"edit input of step {step_id}", world_id))
    book = StepBook(skeleton, skeleton.lock_epoch + 1)
    return Amendment(_within(skeleton, book, [], history, world_id, now), [step_id])


def _check_paused(skeleton: PlanSkeleton, error: type[RequestError]) -> None:
    if skeleton.owner_id is not None or skeleton.state is PlanState.RUNNING:
        raise AlreadyRunning(
            f"plan {skeleton.id} is being executed; it can be changed once it is paused", skeleton.id
        )
    if skeleton.state is not PlanState.PAUSED:
        raise error(f"plan {skeleton.id} is {skeleton.state}; only a paused plan can be changed", skeleton.id)


def _state_of(skeleton: PlanSkeleton, step_id: int, error: type[RequestError]) -> StepState:
    if step_id not in skeleton.steps:
        raise error(f"plan {skeleton.id} has no run or finalize step {step_id}", skeleton.id)
    return skeleton.steps.state(step_id)


def _not_failed(skeleton: PlanSkeleton, step_id: int, state: StepState, what: str) -> str:
    return f"step {step_id} of plan {skeleton.id} is {state}; only a failed step can {what}"


def _within(
    skeleton: PlanSkeleton,
    book: StepBook,
    moves: Sequence[Write],
    history: tuple[HistoryEntry, ...],
    world_id: str,
    now: int,
) -> list[Write]:
    """The plan is claimed before and let go after, as it was but for the moves; asked for if it was."""
    started_at = skeleton.started_at or now
    claim = ClaimPlan(skeleton.id, world_id, skeleton.lock_epoch, history, started_at, None, None)
    result = result_of(book.states())
    release = SavePlan(
        skeleton.id,
        skeleton.lock_epoch + 1,
        PlanState.PAUSED,
        result,
        history,
        None,
        0.0,
        0.0,
        keep_requested=True,
    )
    return [claim, *moves, release]
