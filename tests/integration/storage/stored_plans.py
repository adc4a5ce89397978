"""Plans to store: a root action and run steps below it, with as little else as a test needs."""

from __future__ import annotations

from typing import Any

from dynflow_mp.model.codec import encode
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.plans import HistoryEntry, PlannedAction, PlannedPlan, PlannedStep
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import Phase, PlanState, Result, StepState
from dynflow_mp.model.writes import ClaimPlan, MarkRunning, SaveOutcome, SavePlan

NOW = 1_700_000_000_000_000
WORLD = "world-1"


def plan_id(number: int) -> str:
    return f"01890000-0000-7000-8000-{number:012d}"


PLAN = plan_id(1)


def run_step(position: int) -> int:
    """The id of the run step of the n-th child action (from 0)."""
    return 3 + 2 * position


def action_of(step_id: int) -> int:
    return (step_id + 1) // 2


def a_plan(id: str = PLAN, run_steps: int = 3, finalize: bool = False, **fields: Any) -> PlannedPlan:  # noqa: A002
    """A plan of a root and ``run_steps`` concurrent children, the first also with a finalize step."""
    actions = [PlannedAction(1, "shop.Root", 1, None, None, None, None, encode({}, "input"), None)]
    steps = [PlannedStep(1, Phase.PLAN, StepState.SUCCESS, 1, "shop.Root", None, 1.0, execution_time=0.25)]
    for position in range(run_steps):
        made, run = 2 + 2 * position, run_step(position)
        queue = "slow" if position == 1 else None
        steps.append(PlannedStep(made, Phase.PLAN, StepState.SUCCESS, 2 + position, "shop.Child", None, 1.0))
        steps.append(PlannedStep(run, Phase.RUN, StepState.PENDING, 2 + position, "shop.Child", queue, 2.0))
        actions.append(
            PlannedAction(
                2 + position, "shop.Child", made, run, None, None, 1, encode({"n": position}, "input"), None
            )
        )
    ends: list[int] = []
    if finalize:
        ends = [2 + 2 * run_steps]
        steps.append(PlannedStep(ends[0], Phase.FINALIZE, StepState.PENDING, 2, "shop.Child", None, 1.0))
    steps[0] = steps[0]._replace(children=tuple(range(2, 2 + 2 * run_steps, 2)))
    plan = PlannedPlan(
        id=id,
        label="shop.Root",
        state=PlanState.PLANNED,
        result=Result.PENDING,
        root_plan_step_id=1,
        run_flow=Concurrence(run_step(position) for position in range(run_steps)),
        finalize_flow=Sequence(ends),
        actions=actions,
        steps=steps,
        policies={"shop.Child": ActionPolicy(queue=None, accepts_event=True)},
        dependencies=[(3, (2,))],
        history=(HistoryEntry(NOW, "start", None),),
        started_at=None,
        ended_at=None,
        execution_time=0.0,
        real_time=0.0,
    )
    return plan._replace(**fields)


def claim(id: str = PLAN, epoch_read: int = 0, world_id: str = WORLD) -> ClaimPlan:  # noqa: A002
    history = (HistoryEntry(NOW, "start execution", world_id),)
    return ClaimPlan(id, world_id, epoch_read, history, NOW, "client-1", "client-1-7")


def mark(step_id: int, id: str = PLAN, epoch: int = 1, attempt: int = 1, **fields: Any) -> MarkRunning:  # noqa: A002
    return MarkRunning(id, epoch, step_id, StepState.PENDING, attempt, NOW)._replace(**fields)


def outcome(step_id: int, id: str = PLAN, epoch: int = 1, attempt: int = 1, **fields: Any) -> SaveOutcome:  # noqa: A002
    done = SaveOutcome(
        plan_id=id,
        epoch=epoch,
        step_id=step_id,
        action_id=action_of(step_id),
        from_state=StepState.RUNNING,
        attempt=attempt,
        state=StepState.SUCCESS,
        ended_at=NOW + 2_000_000,
        execution_time=0.5,
        real_time=2.0,
        progress_done=1.0,
        progress_weight=2.0,
        output=None,
        input=None,
        error=None,
    )
    return done._replace(**fields)


def end(id: str = PLAN, epoch: int = 1, **fields: Any) -> SavePlan:  # noqa: A002
    ended = SavePlan(
        plan_id=id,
        epoch=epoch,
        state=PlanState.STOPPED,
        result=Result.SUCCESS,
        history=(HistoryEntry(NOW, "finish execution", WORLD),),
        ended_at=NOW + 5_000_000,
        execution_time=1.5,
        real_time=5.0,
    )
    return ended._replace(**fields)
