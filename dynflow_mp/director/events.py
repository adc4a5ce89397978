"""Events waiting for the steps of one plan: one at a time per step, in the order they came.

arrived ─▶ waiting (recorded) ─▶ taken (the step runs with it) ─▶ done (a mark stays) | dropped (the step ended)
              ▲                     └─ put back (a crash took the step, which runs again)
              └─────────────────────┘
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from dynflow_mp.director.instructions import Answer, EventUndelivered, Instruction, WakeAt
from dynflow_mp.director.stimuli import EventArrived
from dynflow_mp.errors import EventDropped, UnprocessableEvent
from dynflow_mp.model.codec import encode
from dynflow_mp.model.messages import Done, Failed
from dynflow_mp.model.plans import StoredEvent
from dynflow_mp.model.signals import Signal
from dynflow_mp.model.states import StepState
from dynflow_mp.model.writes import ForgetEvents, MarkEventsTaken, RecordEvent


class WaitingEvent(NamedTuple):
    """An event that was accepted; ``client_id`` None: nobody waits for it."""

    id: str
    data: bytes
    client_id: str | None
    due_at: int | None


_HINT = ""
"""The id of what is not stored."""
NEXT_BATCH, SUB_PLANS = encode(Signal.NEXT_BATCH, "event"), encode(Signal.SUB_PLANS, "event")
_NO_EVENT = WaitingEvent(_HINT, b"", None, None)
POLL = encode(Signal.POLL, "event")
MOST_REMEMBERED = 1000
"""Events that were taken, of one plan, that are known again when they are asked for again; each is a small row."""
HINTS = (NEXT_BATCH, SUB_PLANS)
"""Events that only say that there is something to look at; in this order they are told."""


class EventBox:
    """The accepted events of one plan at one epoch. Owned by its running plan."""

    __slots__ = (
        "_answered",
        "_epoch",
        "_hinted",
        "_ids",
        "_later",
        "_latest",
        "_own",
        "_plan_id",
        "_queues",
        "_steps",
        "_taken",
    )

    def __init__(self, plan_id: str, epoch: int, stored: Iterable[StoredEvent] = ()) -> None:
        self._plan_id, self._epoch = plan_id, epoch
        self._queues: dict[int, deque[WaitingEvent]] = {}
        self._taken: dict[int, WaitingEvent] = {}
        self._later: dict[str, WaitingEvent] = {}
        self._steps: dict[str, int] = {}
        # By step, so that the end of one costs the same however many others wait.
        self._ids: dict[int, dict[str, None]] = {}
        self._own = self._latest = 0
        self._answered: dict[str, None] = {}
        self._hinted: dict[int, set[bytes]] = {}
        for event in stored:
            self._latest = max(self._latest, event.recorded_at)
            if event.taken_at is not None:
                self._answered[event.id] = None
                continue
            self._add(event.step_id, WaitingEvent(event.id, event.data, event.client_id, event.due_at))
            if event.due_at is None:
                self.due(event.id)

    @property
    def epoch(self) -> int:
        """The plan's, at which these are its events."""
        return self._epoch

    def __bool__(self) -> bool:
        return bool(self._steps or self._hinted or self._taken)

    def knows(self, event_id: str) -> bool:
        """Whether this event is here already (its sender asked again)."""
        return event_id in self._steps

    def was_done(self, event_id: str) -> bool:
        """Whether a step has taken this event (its sender asked again before it had the answer)."""
        return event_id in self._answered

    def has_for(self, step_id: int) -> bool:
        """Whether an event waits for this step, or for its time to come."""
        return step_id in self._ids

    def record(self, event: EventArrived, now: int) -> RecordEvent:
        """Keep an event; it waits for :meth:`due`."""
        self._latest = max(now, self._latest + 1)  # whatever clocks say: events of a plan are in order
        self._add(event.step_id, WaitingEvent(event.request_id, event.data, event.client_id, event.due_at))
        return RecordEvent(
            self._plan_id,
            self._epoch,
            event.step_id,
            event.request_id,
            event.data,
            event.client_id,
            event.due_at,
            self._latest,
        )

    def _add(self, step_id: int, event: WaitingEvent) -> None:
        self._steps[event.id] = step_id
        self._ids.setdefault(step_id, {})[event.id] = None
        self._later[event.id] = event

    def due(self, event_id: str) -> int | None:
        """The event may be taken now; returns its step, None if it is gone."""
        event = self._later.pop(event_id, None)
        if event is None:
            return None
        step_id = self._steps[event_id]
        self._queues.setdefault(step_id, deque()).append(event)
        return step_id

    def later(self, event_id: str) -> tuple[int, bytes] | None:
        """Step and data of an event whose time has not come; None if there is none such."""
        event = self._later.get(event_id)
        return None if event is None else (self._steps[event_id], event.data)

    def wake_ups(self) -> list[WakeAt]:
        """For each event that waits for its time."""
        return [
            WakeAt(event.due_at, self._plan_id, event.id)
            for event in self._later.values()
            if event.due_at is not None
        ]

    def take(self, step_id: int) -> WaitingEvent | None:
        """The step's next event, unless it has one in hand."""
        if step_id in self._taken:
            return None
        queue = self._queues.get(step_id)
        if queue:
            event = self._taken[step_id] = queue.popleft()
            return event
        hints = self._hinted.get(step_id)
        if not hints:
            return None
        data = next(data for data in HINTS if data in hints)
        hints.remove(data)
        if not hints:
            del self._hinted[step_id]
        event = self._taken[step_id] = WaitingEvent(_HINT, data, None, None)
        return event

    def called_bare(self, step_ids: Iterable[int]) -> None:
        """These steps are about to be called without an event: until that is done they take none."""
        for step_id in step_ids:
            self._taken[step_id] = _NO_EVENT

    def hint(self, step_id: int, data: bytes) -> None:
        """There is something to look at for the step. It is told once, however often this is said; not stored."""
        self._hinted.setdefault(step_id, set()).add(data)

    def done(self, step_id: int, now: int) -> list[Instruction]:
        """The event the step was called with is done with, whatever came of the call: tell its sender."""
        event = self._taken.pop(step_id, None)
        if event is None or event.id == _HINT:
            return []
        self._remove(event.id)
        if event.client_id is None:
            return [ForgetEvents(self._plan_id, self._epoch, (event.id,))]
        taken = MarkEventsTaken(self._plan_id, self._epoch, (event.id,), now)
        answer = Answer(event.client_id, event.id, Done(), self._plan_id)
        return [taken, *self._remember(event.id), answer]

    def _remember(self, event_id: str) -> list[ForgetEvents]:
        self._answered[event_id] = None
        if len(self._answered) <= MOST_REMEMBERED:
            return []
        oldest = next(iter(self._answered))
        del self._answered[oldest]
        return [ForgetEvents(self._plan_id, self._epoch, (oldest,))]

    def put_back(self, step_id: int) -> None:
        """The call that took the event came to nothing: the step takes it again."""
        event = self._taken.pop(step_id, None)
        if event is None or event is _NO_EVENT:
            return
        if event.id == _HINT:
            self.hint(step_id, event.data)
        else:
            self._queues.setdefault(step_id, deque()).appendleft(event)

    def drop(self, step_id: int) -> list[Instruction]:
        """The step ended: it takes no more events. Tell their senders."""
        return self._drop(step_id, f"step {step_id} of plan {self._plan_id} ended before it took the event")

    def drop_all(self, reason: str) -> list[Instruction]:
        """The plan ended: nobody takes events any more."""
        return [order for step_id in list(self._ids) for order in self._drop(step_id, reason)]

    def _drop(self, step_id: int, reason: str) -> list[Instruction]:
        self._hinted.pop(step_id, None)
        dropped = self._dropped(step_id)
        if not dropped:
            return []
        forget = ForgetEvents(self._plan_id, self._epoch, tuple(event.id for event in dropped))
        return [forget, *self._refusals(dropped, reason)]

    def _dropped(self, step_id: int) -> list[WaitingEvent]:
        """All of the step's events, the one it has in hand first; in the order in which they would have come."""
        queue = self._queues.pop(step_id, deque())
        taken = self._taken.pop(step_id, None)
        later = [self._later.pop(id_) for id_ in self._ids.get(step_id, ()) if id_ in self._later]
        dropped = [*([] if taken is None or taken.id == _HINT else [taken]), *queue, *later]
        for event in dropped:
            self._remove(event.id)
        return dropped

    def _remove(self, event_id: str) -> None:
        step_id = self._steps.pop(event_id)
        ids = self._ids[step_id]
        del ids[event_id]
        if not ids:
            del self._ids[step_id]

    def own_id(self) -> str:
        """A fresh id for an event that an action of the plan itself planned."""
        self._own += 1
        return f"{self._plan_id}:{self._epoch}:{self._own}"

    def _refusals(self, events: Iterable[WaitingEvent], reason: str) -> list[Answer]:
        plan_id = self._plan_id
        error = EventDropped(reason, plan_id)
        return [
            Answer(event.client_id, event.id, Failed.of(error), plan_id)
            for event in events
            if event.client_id is not None
        ]

    def misfit(self, event: EventArrived, state: StepState | None) -> list[Instruction]:
        """The step cannot take an event in this state."""
        step = f"step {event.step_id}"
        text = f"{step} of plan {self._plan_id} is {state}"
        if state is None:
            text = f"there is no run {step} in plan {self._plan_id}"
        return self.refusal(event, f"{text}; only running and suspended steps take events")

    def refusal(self, event: EventArrived, reason: str) -> list[Instruction]:
        """The event is not taken. Nobody minds about one that is optional and that nobody waits for."""
        plan_id = self._plan_id
        if event.client_id is not None:
            error = UnprocessableEvent(reason, plan_id)
            return [Answer(event.client_id, event.request_id, Failed.of(error), plan_id)]
        return [] if event.optional else [EventUndelivered(plan_id, event.step_id, reason)]
