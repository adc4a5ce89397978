"""Events on their way to the steps of one plan: what is accepted, refused, and when a step is called with one.

arrived ─┬─ refused (no such step, ended, plan being halted)
         └─ recorded ─(its time)─▶ due ─▶ the step waits idle ─▶ ReadyEvent
"""

from __future__ import annotations

from dynflow_mp.director.events import HINTS, POLL, SUB_PLANS, EventBox
from dynflow_mp.director.instructions import (
    Answer,
    EventUndelivered,
    Instruction,
    ReadyEvent,
    SendEvent,
    WakeAt,
)
from dynflow_mp.director.step_book import StepBook
from dynflow_mp.director.stimuli import EventArrived
from dynflow_mp.model.messages import Done
from dynflow_mp.model.states import StepState
from dynflow_mp.model.work import PlannedEvent
from dynflow_mp.model.writes import PostEvent

_MICRO = 1_000_000
_TAKING = (StepState.RUNNING, StepState.SUSPENDED)
_LONGEST_ID = 36


class Deliveries:
    """Owned by its running plan, as are the book and the box."""

    __slots__ = ("_book", "_box", "_plan_id", "_world_id", "closed")

    def __init__(self, plan_id: str, book: StepBook, box: EventBox, world_id: str) -> None:
        self._plan_id, self._book, self._box, self._world_id = plan_id, book, box, world_id
        self.closed = False
        """Whether nothing is delivered any more: the plan is being halted."""

    def take(self, event: EventArrived, now: int) -> list[Instruction]:
        """Record an event for a step and, if the step waits idle, run it with it."""
        if self._box.knows(event.request_id):
            return []
        if event.client_id is not None and self._box.was_done(event.request_id):
            return [Answer(event.client_id, event.request_id, Done(), self._plan_id)]
        if event.due_at is None and event.data in HINTS:
            return self._hinted(event)
        state = self._book.run_state_of(event.step_id)
        if self.closed:
            return self._box.refusal(event, f"plan {self._plan_id} is being halted")
        if state not in _TAKING:
            return self._box.misfit(event, state)
        record = self._box.record(event, now)
        if event.due_at is not None and event.due_at > now:
            return [record, WakeAt(event.due_at, self._plan_id, event.request_id)]
        self._box.due(event.request_id)
        return [record, *self.next(event.step_id)]

    def take_up(self, first: list[int], suspended: list[int]) -> tuple[list[int], list[Instruction]]:
        """The plan is taken up at these steps, some of them suspended: which to call, and with which events.

        A suspended step that an event is stored for waits for that, as if nothing had been. Others are called
        again without an event: what they wait for may have come while nobody ran the plan.
        """
        waiting = [step_id for step_id in suspended if self._box.has_for(step_id)]
        out = set(waiting)
        self._box.called_bare(step_id for step_id in suspended if step_id not in out)
        for step_id in waiting:
            if self._book.policy_of(step_id).with_sub_plans:
                self._box.hint(step_id, SUB_PLANS)  # what was said while nobody ran the plan is lost
        ready = [step_id for step_id in first if step_id not in out]
        return ready, [order for step_id in waiting for order in self.next(step_id)]

    def hint(self, step_id: int, data: bytes = SUB_PLANS) -> list[Instruction]:
        """There is something to look at for this step: what has become of its sub-plans, unless told otherwise.

        Nobody tells a step whose class does not look after sub-plans: it may have triggered one in passing, and
        waits for an event of its own.
        """
        if self._book.state_of(step_id) not in _TAKING or not self._book.policy_of(step_id).with_sub_plans:
            return []
        self._box.hint(step_id, data)
        return self.next(step_id)

    def _hinted(self, event: EventArrived) -> list[Instruction]:
        """From the step itself, or from another executor: never worth a row."""
        hinted = self.hint(event.step_id, event.data)
        if event.client_id is None:
            return hinted
        return [*hinted, Answer(event.client_id, event.request_id, Done(), self._plan_id)]

    def due(self, event_id: str) -> list[Instruction]:
        """The time of a stored event came."""
        step_id = self._box.due(event_id)
        return [] if step_id is None else self.next(step_id)

    def only_looks(self, event_id: str) -> bool:
        """Whether an event that waits for its time only has a step look after its sub-plans, hinted or not."""
        found = self._box.later(event_id)
        return found is not None and found[1] == POLL and self._book.policy_of(found[0]).with_sub_plans

    def planned(self, planned: PlannedEvent, now: int) -> list[Instruction]:
        """An event that an action of this plan asked for, for itself or for another step."""
        due_at = now + int(planned.delay_s * _MICRO) if planned.delay_s else None
        if planned.plan_id != self._plan_id:
            return self._posted(planned, due_at, now)
        event_id = self._box.own_id()
        event = EventArrived(
            self._plan_id, planned.step_id, None, event_id, planned.data, planned.optional, due_at
        )
        return self.take(event, now)

    def _posted(self, planned: PlannedEvent, due_at: int | None, now: int) -> list[Instruction]:
        """It is stored before it leaves, and until it has arrived: whoever sends it may die."""
        to_plan_id, step_id = planned.plan_id, planned.step_id
        if not _may_be_an_id(to_plan_id):
            reason = f"there is no plan {to_plan_id!r}"
            return [] if planned.optional else [EventUndelivered(self._plan_id, step_id, reason)]
        post = PostEvent(
            self._plan_id,
            self._box.epoch,
            self._box.own_id(),
            self._world_id,
            to_plan_id,
            step_id,
            planned.data,
            planned.optional,
            due_at,
            now,
        )
        return [post, SendEvent(planned, self._plan_id, post.id)]

    def next(self, step_id: int) -> list[Instruction]:
        """If the step waits, it may run with the first event that waits for it."""
        if self.closed or self._book.state_of(step_id) is not StepState.SUSPENDED:
            return []
        event = self._box.take(step_id)
        return [] if event is None else [ReadyEvent(self._plan_id, step_id, event.data)]


def _may_be_an_id(text: str) -> bool:
    """What cannot be the id of a plan cannot be stored as one either."""
    return len(text) <= _LONGEST_ID and text.isascii() and text.isprintable()
