"""The executor's end of the wire: what a request asks of the core, and its answer.

    request ──▶ hear ──▶ PlanRequested, EventArrived, … ▶ director     StatusAsked ▶ floor
                     └─▶ an answer at once: to a ping, and to a request that was answered before

A client that hears nothing asks again under the same request id, so every request is known again: one
that was answered gets the same answer, an event that waits for its answer is not handed on twice.
"""

from __future__ import annotations

from collections import OrderedDict

from dynflow_mp.director.stimuli import CancelRequested, EventArrived, HaltRequested, PlanRequested
from dynflow_mp.errors import NoExecutor, PeerBusy, RequestError
from dynflow_mp.executor.requests import Asked, StatusAsked, WorkersAsked
from dynflow_mp.model.messages import (
    CancelPlan,
    Done,
    Drain,
    Envelope,
    Event,
    Execution,
    Failed,
    HaltPlan,
    Ping,
    Pong,
    Response,
    Status,
    Told,
    Workers,
)

REMEMBERED = 4096
_MICRO = 1_000_000


class ExecutorDispatcher:
    """Translates between envelopes and the core (it satisfies the executor's ``Dispatcher``).

    Used on the core's thread only: that a ping is answered at all says that the core turns.
    """

    def __init__(self, world_id: str, remembered: int = REMEMBERED) -> None:
        self._world_id, self._remembered = world_id, remembered
        self._answers: OrderedDict[str, Envelope] = OrderedDict()
        self._open_events: OrderedDict[str, None] = OrderedDict()

    def hear(self, request: Envelope, now: int) -> Asked | None:
        """What the core should do about it, at ``now`` (microseconds UTC); None if it is at it already."""
        message, client_id, request_id = request.message, request.sender_id, request.request_id
        if isinstance(message, Ping):
            return self.answer(client_id, request_id, Pong())
        if isinstance(message, Status):
            return StatusAsked(client_id, request_id, message.plan_id)
        if isinstance(message, Workers):
            return WorkersAsked(client_id, request_id)
        if isinstance(message, Drain):  # a supervisor's does not come so far
            refused = RequestError(f"world {self._world_id} is no supervisor: who has made it ends it")
            return self.answer(client_id, request_id, Failed.of(refused))
        known = self._answers.get(request_id)
        if known is not None:
            return known._replace(
                receiver_id=client_id
            )  # an event may be asked for by another who goes on with it
        if isinstance(message, Execution):
            return PlanRequested(message.plan_id, client_id, request_id)
        if isinstance(message, Event):
            return self._event(request, message, now)
        # These do no harm when they come again while they are worked on.
        if isinstance(message, CancelPlan):
            return CancelRequested(message.plan_id, client_id, request_id, message.force)
        if isinstance(message, HaltPlan):
            return HaltRequested(message.plan_id, client_id, request_id)
        return None

    def _event(self, request: Envelope, event: Event, now: int) -> EventArrived | None:
        request_id = request.request_id
        if request_id in self._open_events:
            return None
        self._open_events[request_id] = None
        if len(self._open_events) > self._remembered:
            self._open_events.popitem(last=False)
        return EventArrived(
            event.plan_id,
            event.step_id,
            request.sender_id,
            request_id,
            event.data,
            event.optional,
            due_at=now + int(event.delay_s * _MICRO) if event.delay_s else None,
        )

    def answer(self, client_id: str, request_id: str, response: Response) -> Envelope:
        """The envelope with this answer; the last word about each request is remembered for repeats.

        That one is accepted is not: another executor had the plan, perhaps, which died since, and the request
        that comes again is this one's to carry out. The director knows what runs here.
        """
        envelope = Envelope(self._world_id, client_id, request_id, response)
        if isinstance(response, (Done, Told, Failed)) and not _sends_elsewhere(response):
            self._open_events.pop(request_id, None)
            self._answers[request_id] = envelope
            self._answers.move_to_end(request_id)
            if len(self._answers) > self._remembered:
                self._answers.popitem(last=False)
        return envelope


def _sends_elsewhere(response: Response) -> bool:
    """Whether the plan is not taken here now: it may be when the request comes again."""
    return isinstance(response, Failed) and response.error_class in (NoExecutor.__name__, PeerBusy.__name__)
