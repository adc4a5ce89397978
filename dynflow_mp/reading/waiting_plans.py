"""What a plan waits for that no living executor runs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from dynflow_mp.coordinator.records import (
    DelayedExecutorLock,
    PlanningLock,
    WorldInvalidationLock,
    plan_lock_id,
)
from dynflow_mp.model.policies import DEFAULT_QUEUE
from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.reading.wait import Wait, WaitKind
from dynflow_mp.reading.wait_facts import PrerequisiteFacts, WaitFacts

if TYPE_CHECKING:
    from dynflow_mp.reading.execution_plan import ExecutionPlan

_NAMED = 3
_MOST_PREREQUISITES = 20


def plan_waits(plan: ExecutionPlan, facts: WaitFacts) -> list[Wait]:
    """At least one answer, for a plan in any state but stopped."""
    if plan.state is PlanState.SCHEDULED:
        return _scheduled(plan, facts)
    if plan.state is PlanState.PLANNING:
        return [_in_planning(plan, facts)]
    if plan.state is PlanState.RUNNING:
        return [_abandoned(plan, facts)]
    if plan.state in (PlanState.PLANNED, PlanState.PAUSED):
        if plan.requested_at is not None:
            return [_asked_for(plan, facts, plan.requested_at)]
        return [_paused(plan) if plan.state is PlanState.PAUSED else _not_asked_for(plan)]
    if plan.state is PlanState.PENDING:
        return [_wait(WaitKind.RESUME, "has not been planned", plan.created_at)]
    return [
        _wait(
            WaitKind.RESUME,
            f"is in state {plan.state!s:.40}, which this version does not know",
            plan.created_at,
        )
    ]


# -- plans that wait for their time --------------------------------------------------------------------


def _scheduled(plan: ExecutionPlan, facts: WaitFacts) -> list[Wait]:
    delay, since = facts.delay, plan.created_at
    found: list[Wait] = []
    if delay is None:
        return [
            _wait(
                WaitKind.EXECUTOR, "has lost its time to start: the next executor that looks stops it", since
            )
        ]
    if delay.start_before is not None and delay.start_before <= facts.now:
        return [
            _free_to_start(facts, f"was to start before {_said(delay.start_before)} and is stopped", since)
        ]
    if delay.frozen:
        found.append(_wait(WaitKind.FROZEN, "is frozen: it waits until somebody lets it go", since))
    if delay.start_at is not None and delay.start_at > facts.now:
        found.append(_wait(WaitKind.DUE, f"starts at {_said(delay.start_at)}", since))
    open_ones = [before for before in facts.prerequisites if before.state not in (None, PlanState.STOPPED)]
    found += [_prerequisite(before, since) for before in open_ones[:_MOST_PREREQUISITES]]
    return found or [_free_to_start(facts, "may start: it is planned", delay.start_at or since)]


def _prerequisite(before: PrerequisiteFacts, since: datetime | None) -> Wait:
    sentence = f"comes after plan {before.plan_id}, which is {before.state}"
    return _wait(WaitKind.PREREQUISITE, sentence, since)


def _free_to_start(facts: WaitFacts, what: str, since: datetime | None) -> Wait:
    leader = facts.living(facts.holder(DelayedExecutorLock.__name__, DelayedExecutorLock.ID))
    if not any(world.offers for world in facts.worlds):
        return _wait(WaitKind.EXECUTOR, f"{what} once an executor is there; {_no_executor(facts)}", since)
    if leader is None:
        return _wait(
            WaitKind.EXECUTOR, f"{what} as soon as one of the executors looks after plans that are due", since
        )
    return _wait(
        WaitKind.SLOT, f"{what} as soon as world {leader.id}, which sees to it, has a worker for it", since
    )


def _in_planning(plan: ExecutionPlan, facts: WaitFacts) -> Wait:
    since = plan.created_at
    planner = facts.holder(PlanningLock.__name__, plan_lock_id(plan.id))
    if planner is None:
        return _wait(
            WaitKind.EXECUTOR,
            "was being planned, and nobody does it any more: an executor must see to it",
            since,
        )
    if facts.living(planner) is None:
        return _wait(
            WaitKind.LOCK,
            f"was being planned by world {planner}, which is gone and still has its lock",
            since,
        )
    return _wait(WaitKind.EXECUTOR, f"is being planned by a worker of world {planner}", since)


# -- plans that were planned ---------------------------------------------------------------------------


def _not_asked_for(plan: ExecutionPlan) -> Wait:
    if plan.caller_execution_plan_id is None:
        return _wait(WaitKind.RESUME, "was planned and nobody has asked to run it", plan.created_at)
    caller = plan.caller_execution_plan_id
    return _wait(
        WaitKind.SLOT,
        f"is held back: plan {caller} starts only so many of its sub-plans at once",
        plan.created_at,
    )


def _paused(plan: ExecutionPlan) -> Wait:
    failed = plan.failed_steps
    # What people did to it since then did not pause it.
    times = [past.time for past in plan.execution_history if past.by is None]
    since = times[-1] if times else plan.started_at
    if not failed:
        return _wait(WaitKind.RESUME, "is paused and waits until somebody resumes it", since)
    names = [f"step {step.id} ({step.action_class})" for step in failed[:_NAMED]]
    more = f" and {len(failed) - _NAMED:,} more" if len(failed) > _NAMED else ""
    those = "that step" if len(failed) == 1 else "those steps"
    sentence = f"is paused, as {', '.join(names)}{more} failed: it waits until somebody resumes it, or skips {those} first"
    return _wait(WaitKind.RESUME, sentence, since)


def _asked_for(plan: ExecutionPlan, facts: WaitFacts, since: datetime) -> Wait:
    """It may be run by anybody."""
    offering = [world for world in facts.worlds if world.offers]
    if not offering:
        return _wait(WaitKind.EXECUTOR, f"waits for an executor: {_no_executor(facts)}", since)
    queue = _next_queue(plan)
    free = sum(world.free.get(queue, 0) for world in offering)
    if not any(queue in world.queues for world in offering):
        sentence = f"waits for an executor; none has the queue {queue!r}, so one with workers of the default queue takes it"
        return _wait(WaitKind.QUEUE, sentence, since)
    there = f"{len(offering):,} take plans" if len(offering) > 1 else f"world {offering[0].id} takes plans"
    return _wait(
        WaitKind.SLOT,
        f"waits for an executor to take it: {there}, with {free:,} free workers of queue {queue!r}",
        since,
    )


def _next_queue(plan: ExecutionPlan) -> str:
    """Of the first step that is to be run."""
    open_ones = (step.queue for step in plan.run_steps if step.state is StepState.PENDING)
    return next(open_ones, None) or DEFAULT_QUEUE


def _abandoned(plan: ExecutionPlan, facts: WaitFacts) -> Wait:
    """It runs, as its row says, and who runs it does not live."""
    owner, since = plan.owner_id, plan.started_at
    nobody = ""
    if not any(world.offers for world in facts.worlds):
        nobody = f"; no executor is there to take it over: {_no_executor(facts)}"
    if owner is None:
        kind = WaitKind.EXECUTOR
        return _wait(kind, f"is running and nobody runs it: an executor must take it up{nobody}", since)
    heir = facts.holder(WorldInvalidationLock.__name__, f"world-invalidation:{owner}")
    if facts.living(heir) is not None:
        return _wait(
            WaitKind.LOCK,
            f"was run by world {owner}, which is gone; world {heir} is taking over its plans",
            since,
        )
    if nobody:
        return _wait(WaitKind.EXECUTOR, f"was run by world {owner}, which is gone{nobody}", since)
    sentence = f"was run by world {owner}, which is gone and still has its lock: an executor takes it over when it looks next"
    return _wait(WaitKind.LOCK, sentence, since)


def _no_executor(facts: WaitFacts) -> str:
    """Why nobody takes plans."""
    executors = [world for world in facts.worlds if world.executor and world.state != "dead"]
    if not executors:
        return "there is none"
    told = []
    for world in executors[:_NAMED]:
        why = f"is degraded ({world.degraded})" if world.degraded is not None else f"is {world.state}"
        told.append(f"world {world.id} {why}")
    more = f", and {len(executors) - _NAMED:,} more take none either" if len(executors) > _NAMED else ""
    return f"none takes plans: {', '.join(told)}{more}"


def _wait(kind: WaitKind, sentence: str, since: datetime | None) -> Wait:
    return Wait(None, kind, sentence, since)


def _said(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
