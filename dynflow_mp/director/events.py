"""Events waiting for the steps of one plan: one at a time per step, in the order they came.

arrived ─▶ waiting (recorded) ─▶ taken (the step runs with it) ─▶ done | dropped (the step ended)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dynflow_mp.director.protocol import Answer, EventArrived
from dynflow_mp.errors import EventDropped, UnprocessableEvent
from dynflow_mp.model.messages import Done, Failed
from dynflow_mp.model.plans import StoredEvent
from dynflow_mp.model.states import StepState


class WaitingEvent(NamedTuple):
    """An event that was accepted; ``client_id`` None: nobody waits for it."""

    id: str
    data: bytes
    client_id: str | None
    due_at: int | None


class EventBox:
    """The accepted events of one plan. Owned by its running plan."""

    __slots__ = ("_later", "_own", "_queues", "_steps", "_taken")

    def __init__(self, stored: Iterable[StoredEvent] = ()) -> None:
        self._queues: dict[int, deque[WaitingEvent]] = {}
        self._taken: dict[int, WaitingEvent] = {}
        self._later: dict[str, WaitingEvent] = {}
        self._steps: dict[str, int] = {}
        self._own = 0
        for event in stored:
            self.add(event.step_id, WaitingEvent(event.id, event.data, event.client_id, event.due_at))
            if event.due_at is None:
                self.due(event.id)

    def __bool__(self) -> bool:
        return bool(self._steps)

    def knows(self, event_id: str) -> bool:
        """Whether this event is here already (its sender asked again)."""
        return event_id in self._steps

    def add(self, step_id: int, event: WaitingEvent) -> None:
        """Keep an event; it waits for :meth:`due`."""
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

    def due_times(self) -> Iterator[tuple[str, int]]:
        """Events that wait for their time."""
        for event in self._later.values():
            if event.due_at is not None:
                yield event.id, event.due_at

    def take(self, step_id: int) -> WaitingEvent | None:
        """The step's next event, unless it has one in hand."""
        queue = self._queues.get(step_id)
        if not queue or step_id in self._taken:
            return None
        event = self._taken[step_id] = queue.popleft()
        return event

    def done(self, step_id: int) -> WaitingEvent | None:
        """The call that took an event ended; returns the event."""
        event = self._taken.pop(step_id, None)
        if event is not None:
            del self._steps[event.id]
        return event

    def drop(self, step_id: int) -> list[WaitingEvent]:
        """All events still waiting for a step that ended."""
        queue = self._queues.pop(step_id, deque())
        later = [
            self._later.pop(id_)
            for id_, step in self._steps.items()
            if step == step_id and id_ in self._later
        ]
        dropped = [*queue, *later]
        for event in dropped:
            del self._steps[event.id]
        return dropped

    def own_id(self, plan_id: str, epoch: int) -> str:
        """A fresh id for an event that an action of the plan itself planned."""
        self._own += 1
        return f"{plan_id}:{epoch}:{self._own}"

    def accepted(self, plan_id: str, event: WaitingEvent) -> list[Answer]:
        """Tell the sender that its event was taken."""
        if event.client_id is None:
            return []
        return [Answer(event.client_id, event.id, Done(), plan_id)]

    def refusals(self, plan_id: str, step_id: int, events: Iterable[WaitingEvent]) -> list[Answer]:
        """Tell the senders of dropped events."""
        error = EventDropped(f"step {step_id} of plan {plan_id} ended before it took the event", plan_id)
        return [
            Answer(event.client_id, event.id, Failed.of(error), plan_id)
            for event in events
            if event.client_id is not None
        ]

    def refusal(self, plan_id: str, event: EventArrived, state: StepState | None) -> Answer:
        """The step cannot take an event in this state."""
        what = f"step {event.step_id} of plan {plan_id}"
        text = (
            f"{what} is {state}"
            if state is not None
            else f"there is no run step {event.step_id} in plan {plan_id}"
        )
        error = UnprocessableEvent(f"{text}; only running and suspended steps take events", plan_id)
        return Answer(event.client_id or "", event.request_id, Failed.of(error), plan_id)
