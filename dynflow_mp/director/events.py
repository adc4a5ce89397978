"""Events waiting for the steps of one plan: one at a time per step, in the order they came.

arrived ─▶ waiting (recorded) ─▶ taken (the step runs with it) ─▶ done | dropped (the step ended)
              ▲                     └─ put back (a crash took the step, which runs again)
              └─────────────────────┘
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from dynflow_mp.director.protocol import Answer, EventArrived, Instruction, WakeAt
from dynflow_mp.errors import EventDropped, UnprocessableEvent
from dynflow_mp.model.messages import Done, Failed
from dynflow_mp.model.plans import StoredEvent
from dynflow_mp.model.states import StepState
from dynflow_mp.model.writes import ForgetEvents, RecordEvent


class WaitingEvent(NamedTuple):
    """An event that was accepted; ``client_id`` None: nobody waits for it."""

    id: str
    data: bytes
    client_id: str | None
    due_at: int | None


class EventBox:
    """The accepted events of one plan at one epoch. Owned by its running plan."""

    __slots__ = ("_epoch", "_later", "_own", "_plan_id", "_queues", "_steps", "_taken")

    def __init__(self, plan_id: str, epoch: int, stored: Iterable[StoredEvent] = ()) -> None:
        self._plan_id, self._epoch = plan_id, epoch
        self._queues: dict[int, deque[WaitingEvent]] = {}
        self._taken: dict[int, WaitingEvent] = {}
        self._later: dict[str, WaitingEvent] = {}
        self._steps: dict[str, int] = {}
        self._own = 0
        for event in stored:
            self._add(event.step_id, WaitingEvent(event.id, event.data, event.client_id, event.due_at))
            if event.due_at is None:
                self.due(event.id)

    def __bool__(self) -> bool:
        return bool(self._steps)

    def knows(self, event_id: str) -> bool:
        """Whether this event is here already (its sender asked again)."""
        return event_id in self._steps

    def record(self, event: EventArrived) -> RecordEvent:
        """Keep an event; it waits for :meth:`due`."""
        self._add(event.step_id, WaitingEvent(event.request_id, event.data, event.client_id, event.due_at))
        return RecordEvent(
            self._plan_id,
            self._epoch,
            event.step_id,
            event.request_id,
            event.data,
            event.client_id,
            event.due_at,
        )

    def _add(self, step_id: int, event: WaitingEvent) -> None:
        self._steps[event.id] = step_id
        self._later[event.id] = event

    def due(self, event_id: str) -> int | None:
        """The event may be taken now; returns its step, None if it is gone."""
        event = self._later.pop(event_id, None)
        if event is None:
            return None
        step_id = self._steps[event_id]
        self._queues.setdefault(step_id, deque()).append(event)
        return step_id

    def wake_ups(self) -> list[WakeAt]:
        """For each event that waits for its time."""
        return [
            WakeAt(event.due_at, self._plan_id, event.id)
            for event in self._later.values()
            if event.due_at is not None
        ]

    def take(self, step_id: int) -> WaitingEvent | None:
        """The step's next event, unless it has one in hand."""
        queue = self._queues.get(step_id)
        if not queue or step_id in self._taken:
            return None
        event = self._taken[step_id] = queue.popleft()
        return event

    def done(self, step_id: int) -> list[Instruction]:
        """The event the step was called with is done with, whatever came of the call: tell its sender."""
        event = self._taken.pop(step_id, None)
        if event is None:
            return []
        del self._steps[event.id]
        forget = ForgetEvents(self._plan_id, self._epoch, (event.id,))
        if event.client_id is None:
            return [forget]
        return [forget, Answer(event.client_id, event.id, Done(), self._plan_id)]

    def put_back(self, step_id: int) -> None:
        """The call that took the event came to nothing: the step takes it again."""
        event = self._taken.pop(step_id, None)
        if event is not None:
            self._queues.setdefault(step_id, deque()).appendleft(event)

    def drop(self, step_id: int) -> list[Instruction]:
        """The step ended: it takes no more events. Tell their senders."""
        dropped = self._dropped(step_id)
        if not dropped:
            return []
        forget = ForgetEvents(self._plan_id, self._epoch, tuple(event.id for event in dropped))
        return [forget, *self._refusals(step_id, dropped)]

    def _dropped(self, step_id: int) -> list[WaitingEvent]:
        queue = self._queues.pop(step_id, deque())
        taken = self._taken.pop(step_id, None)
        later = [
            self._later.pop(id_)
            for id_, step in self._steps.items()
            if step == step_id and id_ in self._later
        ]
        dropped = [*([] if taken is None else [taken]), *queue, *later]
        for event in dropped:
            del self._steps[event.id]
        return dropped

    def own_id(self) -> str:
        """A fresh id for an event that an action of the plan itself planned."""
        self._own += 1
        return f"{self._plan_id}:{self._epoch}:{self._own}"

    def _refusals(self, step_id: int, events: Iterable[WaitingEvent]) -> list[Answer]:
        plan_id = self._plan_id
        error = EventDropped(f"step {step_id} of plan {plan_id} ended before it took the event", plan_id)
        return [
            Answer(event.client_id, event.id, Failed.of(error), plan_id)
            for event in events
            if event.client_id is not None
        ]

    def refusal(self, event: EventArrived, state: StepState | None) -> Answer:
        """The step cannot take an event in this state."""
        plan_id = self._plan_id
        what = f"step {event.step_id} of plan {plan_id}"
        text = (
            f"{what} is {state}"
            if state is not None
            else f"there is no run step {event.step_id} in plan {plan_id}"
        )
        error = UnprocessableEvent(f"{text}; only running and suspended steps take events", plan_id)
        return Answer(event.client_id or "", event.request_id, Failed.of(error), plan_id)
