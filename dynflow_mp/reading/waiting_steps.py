"""What the steps of a plan wait for that a living executor runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from dynflow_mp.model import flows
from dynflow_mp.model.policies import DEFAULT_QUEUE
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.sub_plans import SubPlanCount
from dynflow_mp.reading.blockers import Blocker, blockers
from dynflow_mp.reading.timeline import span_of, waited_for
from dynflow_mp.reading.wait import Wait, WaitKind
from dynflow_mp.reading.wait_facts import EventFacts, WaitFacts, WorldFacts

if TYPE_CHECKING:
    from dynflow_mp.reading.execution_plan import ExecutionPlan
    from dynflow_mp.reading.step import Step

_PASSED = (StepState.SUCCESS, StepState.SKIPPED)
_TRANSIENT = (StepState.PENDING, StepState.SKIPPING)


def step_waits(
    plan: ExecutionPlan, waiting: Iterable[Step], owner: WorldFacts, facts: WaitFacts
) -> list[Wait]:
    """One answer for each of these steps, none of which runs or is done."""
    return _Plan(plan, owner, facts).waits(waiting)


class _Plan:
    """What is known of a running plan, while its steps are asked about."""

    def __init__(self, plan: ExecutionPlan, owner: WorldFacts, facts: WaitFacts) -> None:
        self._plan, self._owner, self._facts = plan, owner, facts
        self._steps = plan.steps
        flow = flows.Sequence((plan.run_flow, plan.finalize_flow))
        self._blockers = blockers(flow, self._has_passed)
        spans = {step.id: span for step in self._steps.values() if (span := span_of(step, facts.now))}
        self._spans, self._before = spans, waited_for(flow, spans)
        self._begun = _begun_last(plan)
        self._events: dict[int, list[EventFacts]] = {}
        for event in facts.events:
            self._events.setdefault(event.step_id, []).append(event)

    def waits(self, waiting: Iterable[Step]) -> list[Wait]:
        return [self._wait(step) for step in waiting]

    def _wait(self, step: Step) -> Wait:
        if step.state is StepState.SUSPENDED:
            return self._suspended(step)
        if step.state is StepState.ERROR:
            sentence = "failed; when nothing else of the plan can go on, somebody must resume the plan, or skip the step first"
            return Wait(step.id, WaitKind.RESUME, sentence, step.ended_at)
        if step.state not in _TRANSIENT:
            return Wait(
                step.id,
                WaitKind.RESUME,
                f"is in state {step.state!s:.40}, in which nothing is done",
                self._begun,
            )
        blocker = self._blockers.get(step.id)
        if blocker is not None and step.state is StepState.PENDING:
            return Wait(step.id, WaitKind.STEP, f"waits for {self._named(blocker)}", self._begun)
        due_at = step.due_at
        if due_at is not None and due_at > self._facts.now:
            sentence = f"is tried again at {_said(due_at)}, for the {_ordinal(step.attempts + 1)} time"
            return Wait(step.id, WaitKind.RETRY, sentence, step.ended_at or self._begun)
        what = "is to be skipped and waits" if step.state is StepState.SKIPPING else "waits"
        return self._for_a_worker(step, what, self._ready_since(step))

    def _has_passed(self, step_id: int) -> bool:
        step = self._steps.get(step_id)
        return step is None or step.state in _PASSED

    # -- steps that wait for their turn ----------------------------------------------------------------

    def _named(self, blocker: Blocker) -> str:
        names = [self._step_in_words(step_id) for step_id in blocker.first]
        more = blocker.left - len(names)
        return ", ".join(names) + (f" and {more:,} more steps before it" if more else "")

    def _step_in_words(self, step_id: int) -> str:
        step = self._steps[step_id]
        state = "has failed" if step.state is StepState.ERROR else f"is {step.state}"
        return f"step {step_id} ({step.action_class}), which {state}"

    def _ready_since(self, step: Step) -> datetime | None:
        """Since what it waited for ended; since the plan was begun or resumed, if that was later."""
        times = [self._begun, step.due_at]
        before = self._before.get(step.id)
        if before is not None:
            times.append(self._spans[before].end)
        return max(
            (time for time in times if time is not None and time <= self._facts.now), default=self._begun
        )

    def _for_a_worker(self, step: Step, what: str, since: datetime | None) -> Wait:
        owner, queue = self._owner, step.queue or DEFAULT_QUEUE
        if owner.degraded is not None:
            sentence = f"{what} for a worker of world {owner.id}, which is degraded: {owner.degraded}"
            return Wait(step.id, WaitKind.QUEUE, sentence, since)
        if owner.queues and queue not in owner.queues:
            sentence = f"{what} for a worker: world {owner.id} has no queue {queue!r}, so one of its default queue takes it"
            return Wait(step.id, WaitKind.QUEUE, sentence, since)
        size, free = owner.queues.get(queue, 0), owner.free.get(queue, 0)
        told = f"{free:,} of {size:,} had nothing to do" if free else f"all {size:,} had something to do"
        draining = ", which is draining" if owner.state == "draining" else ""
        place = f"a worker of queue {queue!r} of world {owner.id}{draining}"
        return Wait(step.id, WaitKind.SLOT, f"{what} for {place}: {told} when it last said so", since)

    # -- steps that are suspended ----------------------------------------------------------------------

    def _suspended(self, step: Step) -> Wait:
        since = step.ended_at or step.started_at
        events = self._events.get(step.id, [])
        ready = [event for event in events if event.due_at is None or event.due_at <= self._facts.now]
        if ready:
            known = [event.due_at or event.recorded_at for event in ready]
            came = min((time for time in known if time is not None), default=since)
            return self._for_a_worker(step, "has an event to take and waits", came)
        counts = self._facts.sub_plans.get(step.action_id, ())
        if any(count.state is not PlanState.STOPPED for count in counts):
            return Wait(step.id, WaitKind.SUB_PLANS, f"waits for {_sub_plans_in_words(counts)}", since)
        times = [event.due_at for event in events if event.due_at is not None]
        if times:
            return Wait(
                step.id, WaitKind.DUE, f"sleeps until {_said(min(times))}, or until an event comes", since
            )
        return Wait(step.id, WaitKind.EVENT, "waits for an event", since)


def _begun_last(plan: ExecutionPlan) -> datetime | None:
    """When the plan was begun, or resumed."""
    begun = [past.time for past in plan.execution_history if past.name == "start execution"]
    return begun[-1] if begun else plan.started_at


def _sub_plans_in_words(counts: Sequence[SubPlanCount]) -> str:
    """``3 of 100 sub-plans: 2 running, 1 paused with an error``."""
    whole = sum(count.number for count in counts)
    left: dict[str, int] = {}
    for count in counts:
        if count.state is not PlanState.STOPPED:
            word = f"{count.state} with an error" if count.result is Result.ERROR else str(count.state)
            left[word] = left.get(word, 0) + count.number
    told = ", ".join(f"{number:,} {word}" for word, number in sorted(left.items()))
    return f"{sum(left.values()):,} of {whole:,} sub-plans: {told}"


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _said(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
