"""What ready steps still need before a worker can have them: their bytes, brought by page.

    director: ready ─▶ waiting ─(page from the reader)─▶ jobs ─▶ pool

Only a window of each plan's ready steps is turned into jobs at a time, so that a plan of a million
ready steps costs a million small integers here, not a million payloads. Outputs that later steps
refer to are kept as they come in (within a budget), so that a chain of steps needs no reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from dynflow_mp.executor.limit_watch import limits_of
from dynflow_mp.executor.pool import QueuedJob, queued
from dynflow_mp.model.codec import EMPTY, encode
from dynflow_mp.model.plans import Payload, PlanSkeleton, StepTable
from dynflow_mp.model.signals import Signal
from dynflow_mp.model.states import StepState
from dynflow_mp.model.work import FinalizeJob, FinalizePart, StepJob

WINDOW = 1024
"""Jobs of one plan in the pool and with workers at a time, at least."""
PAGE = 512
AHEAD = 256
"""How many steps behind a short page are read with it, so that a long sequence is not read step by step."""
KEPT_BYTES = 64 * 1024 * 1024
_NEXT_BATCH = encode(Signal.NEXT_BATCH, "event")
"""Who goes on making sub-plans need not know how the others stand: to count them costs by their number."""


class PageWanted(NamedTuple):
    """Ask the reader for these actions' payloads and these producers' outputs.

    ``action_ids`` may hold more than the steps need: those of ``ahead``, steps not ready yet. Of the actions that
    are ``briefed``, how their sub-plans stand is to be counted.
    """

    plan_id: str
    step_ids: tuple[int, ...]
    action_ids: tuple[int, ...]
    producer_ids: tuple[int, ...]
    finalize: bool = False
    ahead: tuple[int, ...] = ()
    briefed: tuple[int, ...] = ()


class PayloadPage(NamedTuple):
    """The reader's answer."""

    wanted: PageWanted
    payloads: list[Payload]
    outputs: dict[int, bytes]
    briefings: dict[int, bytes] = {}  # noqa: RUF012 - never changed


class _Plan:
    """The shelf's memory of one plan."""

    __slots__ = (
        "briefed",
        "consumers",
        "dependencies",
        "events",
        "given",
        "id",
        "kept",
        "limits",
        "payloads",
        "reading",
        "root_class",
        "steps",
        "waiting",
        "withdrawn",
    )

    def __init__(self, skeleton: PlanSkeleton, payloads: Iterable[Payload]) -> None:
        self.id = skeleton.id
        self.root_class = next(iter(skeleton.policies), "")
        """The first class that was planned is the root's."""
        self.steps: StepTable = skeleton.steps
        self.dependencies = skeleton.dependencies
        # Action classes whose steps are told how their sub-plans stand: as they are sent, never earlier.
        self.briefed = {name for name, policy in skeleton.policies.items() if policy.with_sub_plans}
        self.payloads = {payload.action_id: payload for payload in payloads}
        self.limits = {
            name: limits
            for name, policy in skeleton.policies.items()
            if (limits := limits_of(policy)) is not None
        }
        self.waiting: deque[int] = deque()
        self.events: dict[int, bytes] = {}
        self.given = 0
        self.reading = False
        self.withdrawn = False
        self.kept: dict[int, bytes] = {}
        # How many actions still refer to each producer's output.
        self.consumers: dict[int, int] = {}
        for producers in skeleton.dependencies.values():
            for producer in producers:
                self.consumers[producer] = self.consumers.get(producer, 0) + 1


class Shelf:
    """Ready steps on their way to the pool. Owned by the core's thread.

    ``window``: how many jobs of one plan may be in the pool and with workers at a time.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._plans: dict[str, _Plan] = {}
        self._hungry: dict[str, None] = {}
        self._jobs: list[QueuedJob] = []
        self._wanted: list[PageWanted] = []
        self._kept_bytes = 0

    def open(self, skeleton: PlanSkeleton, payloads: Iterable[Payload]) -> None:
        """A plan was taken; ``payloads`` are those that came with it (all of a small plan's)."""
        self._plans[skeleton.id] = _Plan(skeleton, payloads)

    def close(self, plan_id: str) -> None:
        """This executor is done with the plan."""
        plan = self._plans.pop(plan_id, None)
        self._hungry.pop(plan_id, None)
        if plan is not None:
            self._kept_bytes -= sum(map(len, plan.kept.values()))

    def withdraw(self, plan_id: str) -> None:
        """Nothing of the plan becomes a job any more; it stays open for what is with workers."""
        plan = self._plans.get(plan_id)
        if plan is not None:
            plan.withdrawn = True
            plan.waiting.clear()
            plan.events.clear()
            self._jobs = [item for item in self._jobs if item.plan_id != plan_id]

    def knows(self, plan_id: str) -> bool:
        """Whether the plan is open here."""
        return plan_id in self._plans

    def root_class(self, plan_id: str) -> str:
        """The class of the plan's entry action; nothing, where the plan is not open here."""
        plan = self._plans.get(plan_id)
        return "" if plan is None else plan.root_class

    def sends(self, plan_id: str) -> bool:
        """Whether steps of the plan may still go out."""
        plan = self._plans.get(plan_id)
        return plan is not None and not plan.withdrawn

    # -- what is ready -----------------------------------------------------------------------------

    def ready(self, plan_id: str, step_ids: Iterable[int]) -> None:
        """These steps may run."""
        plan = self._plans.get(plan_id)
        if plan is not None:
            plan.waiting.extend(step_ids)
            self._hungry[plan_id] = None

    def ready_event(self, plan_id: str, step_id: int, data: bytes) -> None:
        """This suspended step may run with this event."""
        plan = self._plans.get(plan_id)
        if plan is not None:
            plan.events[step_id] = data
            self.ready(plan_id, [step_id])

    def ready_finalize(self, plan_id: str, step_ids: Iterable[int]) -> None:
        """The finalize phase may run. It always reads its payloads: run has changed them."""
        plan = self._plans.get(plan_id)
        if plan is None:
            return
        ids = tuple(step_ids)
        action_ids = tuple(plan.steps.action_id(step_id) for step_id in ids)
        producers = {
            producer for action_id in action_ids for producer in plan.dependencies.get(action_id, ())
        }
        self._wanted.append(PageWanted(plan_id, ids, action_ids, tuple(sorted(producers)), True))

    # -- what comes back ---------------------------------------------------------------------------

    def arrived(self, page: PayloadPage) -> list[int]:
        """Turn a page into jobs; returns the steps whose actions were not there."""
        plan = self._plans.get(page.wanted.plan_id)
        if plan is None or plan.withdrawn:
            return []
        by_action = {payload.action_id: payload for payload in page.payloads}
        if page.wanted.finalize:
            return self._finalize_job(plan, page, by_action)
        plan.reading = False
        self._hungry[plan.id] = None
        for step_id in page.wanted.ahead:
            self._put_by(plan, step_id, by_action)
        missing: list[int] = []
        for step_id in page.wanted.step_ids:
            payload = by_action.get(plan.steps.action_id(step_id))
            if payload is None:
                missing.append(step_id)
            else:
                self._job(plan, step_id, payload, page.outputs, page.briefings.get(payload.action_id))
        plan.given -= len(missing)
        return missing

    def _put_by(self, plan: _Plan, step_id: int, by_action: dict[int, Payload]) -> None:
        """Keep what was read ahead for a step that has never been sent: nobody else changes it."""
        payload = by_action.get(plan.steps.action_id(step_id))
        if payload is not None and _untouched(plan.steps, step_id):
            plan.payloads[payload.action_id] = payload

    def unavailable(self, wanted: PageWanted) -> None:
        """The reader could not bring a page; its steps are the caller's to fail."""
        plan = self._plans.get(wanted.plan_id)
        if plan is not None and not wanted.finalize:
            plan.reading = False
            plan.given -= len(wanted.step_ids)
            self._hungry[plan.id] = None

    def finished(self, plan_id: str, action_id: int, state: StepState, output: bytes | None) -> None:
        """A call of the plan was answered for; ``output`` is what the action's output is now.

        It is kept if others refer to it.
        """
        plan = self._plans.get(plan_id)
        if plan is None:
            return
        plan.given -= 1
        if plan.waiting:
            self._hungry[plan_id] = None
        plan.payloads.pop(action_id, None)
        if state is not StepState.SUCCESS:
            return
        if action_id in plan.consumers:
            self._keep(plan, action_id, EMPTY if output is None else output)
        if action_id in plan.dependencies:
            self._used(plan, plan.dependencies[action_id])

    def _keep(self, plan: _Plan, action_id: int, output: bytes) -> None:
        if self._kept_bytes + len(output) <= KEPT_BYTES:
            plan.kept[action_id] = output
            self._kept_bytes += len(output)

    def _used(self, plan: _Plan, producers: tuple[int, ...]) -> None:
        for producer in producers:
            plan.consumers[producer] -= 1
            if plan.consumers[producer] == 0:
                del plan.consumers[producer]
                self._kept_bytes -= len(plan.kept.pop(producer, b""))

    # -- what to do next ---------------------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether :meth:`take` would have something to say."""
        return bool(self._hungry or self._jobs or self._wanted)

    def take(self) -> tuple[list[QueuedJob], list[PageWanted]]:
        """Jobs that are complete now, and pages to ask the reader for."""
        if self._hungry:
            hungry, self._hungry = self._hungry, {}
            for plan_id in hungry:
                self._serve(self._plans[plan_id])
        jobs, self._jobs = self._jobs, []
        wanted, self._wanted = self._wanted, []
        return jobs, wanted

    def _serve(self, plan: _Plan) -> None:
        """Turn waiting steps into jobs as far as the window and what is at hand allow."""
        waiting = plan.waiting
        while waiting and plan.given < self._window and not plan.reading:
            step_id = waiting[0]
            payload = self._at_hand(plan, step_id)
            if payload is None:
                if plan.given <= self._window - PAGE:
                    self._ask(plan)
                return
            waiting.popleft()
            plan.given += 1
            self._job(plan, step_id, payload, {})

    def _at_hand(self, plan: _Plan, step_id: int) -> Payload | None:
        """The step's payload, if nothing about it has to be read."""
        if plan.briefed and plan.steps.kind(step_id).action_class in plan.briefed:
            return None
        action_id = plan.steps.action_id(step_id)
        payload = plan.payloads.get(action_id)
        if payload is None or (payload.references is not None and self._lacking(plan, action_id)):
            return None
        return payload

    def _lacking(self, plan: _Plan, action_id: int) -> list[int]:
        kept = plan.kept
        return [producer for producer in plan.dependencies.get(action_id, ()) if producer not in kept]

    def _ask(self, plan: _Plan) -> None:
        count = min(PAGE, len(plan.waiting))
        step_ids = tuple(plan.waiting.popleft() for _ in range(count))
        action_ids = tuple(plan.steps.action_id(step_id) for step_id in step_ids)
        lacking = {
            producer
            for action_id in action_ids
            if action_id in plan.dependencies
            for producer in self._lacking(plan, action_id)
        }
        ahead = self._ahead(plan, step_ids[-1]) if count < AHEAD else ()
        action_ids += tuple(plan.steps.action_id(step_id) for step_id in ahead)
        plan.given += count
        plan.reading = True
        briefed = _briefed(plan, step_ids) if plan.briefed else ()
        self._wanted.append(
            PageWanted(plan.id, step_ids, action_ids, tuple(sorted(lacking)), ahead=ahead, briefed=briefed)
        )

    def _ahead(self, plan: _Plan, step_id: int) -> tuple[int, ...]:
        """The untouched steps planned next after this one: in a sequence they come next as well."""
        if len(plan.payloads) > AHEAD:
            return ()
        steps = plan.steps
        nearby = range(step_id + 1, min(step_id + 2 * AHEAD, len(steps) + 1))
        return tuple(number for number in nearby if number in steps and _untouched(steps, number))

    def _job(
        self,
        plan: _Plan,
        step_id: int,
        payload: Payload,
        outputs: dict[int, bytes],
        briefing: bytes | None = None,
    ) -> None:
        steps = plan.steps
        kind = steps.kind(step_id)
        producers = None
        if payload.references is not None:
            producers = {
                producer: plan.kept.get(producer) or outputs.get(producer, EMPTY)
                for producer in plan.dependencies.get(payload.action_id, ())
            }
        job = StepJob(
            plan.id,
            step_id,
            payload.action_id,
            steps.attempts(step_id) + 1,
            kind.action_class,
            payload.input,
            payload.references,
            producers,
            payload.output,
            plan.events.pop(step_id, None) if plan.events else None,
            skipping=steps.state(step_id) is StepState.SKIPPING,
            briefing=briefing,
        )
        limits = plan.limits.get(kind.action_class) if plan.limits else None
        self._jobs.append(queued(job, kind.queue, limits))

    def _finalize_job(self, plan: _Plan, page: PayloadPage, by_action: dict[int, Payload]) -> list[int]:
        steps = plan.steps
        missing = [step_id for step_id in page.wanted.step_ids if steps.action_id(step_id) not in by_action]
        if missing:
            return missing
        parts = []
        for step_id in page.wanted.step_ids:
            payload = by_action[steps.action_id(step_id)]
            parts.append(
                FinalizePart(
                    step_id,
                    payload.action_id,
                    steps.attempts(step_id) + 1,
                    steps.kind(step_id).action_class,
                    payload.input,
                    payload.references,
                    payload.output,
                )
            )
        job = FinalizeJob(plan.id, tuple(parts), page.outputs, plan.root_class)
        queue = steps.kind(page.wanted.step_ids[0]).queue
        self._jobs.append(queued(job, queue))
        return []


def _briefed(plan: _Plan, step_ids: Iterable[int]) -> tuple[int, ...]:
    """The actions of those of these steps that want to know how their sub-plans stand."""
    steps, briefed, events = plan.steps, plan.briefed, plan.events
    return tuple(
        steps.action_id(step_id)
        for step_id in step_ids
        if steps.kind(step_id).action_class in briefed and events.get(step_id) != _NEXT_BATCH
    )


def _untouched(steps: StepTable, step_id: int) -> bool:
    """Whether a step was never sent: then its stored action is as it was planned."""
    return steps.state(step_id) is StepState.PENDING and steps.attempts(step_id) == 0
