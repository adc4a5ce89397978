"""The executor's end of the wire: what a request asks of the core, and its answer.

A client that hears nothing asks again under the same request id, so every request is known again: one
that was answered gets the same answer, an event that waits for its answer is not handed on twice.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from dynflow_mp.model.messages import (
    Accepted,
    Done,
    Envelope,
    Event,
    Execution,
    Failed,
    Ping,
    Response,
    Status,
)

REMEMBERED = 4096


class ExecutionAsked(NamedTuple):
    """A client wants this plan to be run."""

    plan_id: str
    client_id: str
    request_id: str


class EventAsked(NamedTuple):
    """A client has an event for a step."""

    plan_id: str
    step_id: int
    client_id: str
    request_id: str
    data: bytes
    optional: bool
    delay_s: float | None


class PingAsked(NamedTuple):
    """A client wants to know whether the core turns."""

    client_id: str
    request_id: str


class StatusAsked(NamedTuple):
    """A client wants to know how busy this executor is."""

    client_id: str
    request_id: str
    plan_id: str | None


class Repeat(NamedTuple):
    """Nothing for the core: send this."""

    envelope: Envelope


Asked = ExecutionAsked | EventAsked | PingAsked | StatusAsked | Repeat


class ExecutorDispatcher:
    """Translates between envelopes and the core. Used on the core's thread only."""

    def __init__(self, world_id: str, remembered: int = REMEMBERED) -> None:
        self._world_id, self._remembered = world_id, remembered
        self._answers: OrderedDict[str, Envelope] = OrderedDict()
        self._open_events: OrderedDict[str, None] = OrderedDict()

    def stimulus(self, envelope: Envelope) -> Asked | None:
        """What the core should hear of this request; None if it has heard it already."""
        message, client_id, request_id = envelope.message, envelope.sender_id, envelope.request_id
        if isinstance(message, Ping):
            return PingAsked(client_id, request_id)
        if isinstance(message, Status):
            return StatusAsked(client_id, request_id, message.plan_id)
        known = self._answers.get(request_id)
        if known is not None:
            return Repeat(known)
        if isinstance(message, Execution):
            return ExecutionAsked(message.plan_id, client_id, request_id)
        if isinstance(message, Event):
            return self._event(envelope, message)
        return None

    def _event(self, envelope: Envelope, message: Event) -> Asked | None:
        request_id = envelope.request_id
        if request_id in self._open_events:
            return None
        self._open_events[request_id] = None
        if len(self._open_events) > self._remembered:
            self._open_events.popitem(last=False)
        return EventAsked(
            message.plan_id,
            message.step_id,
            envelope.sender_id,
            request_id,
            message.data,
            message.optional,
            message.delay_s,
        )

    def answer(self, client_id: str, request_id: str, response: Response) -> Envelope:
        """The envelope with this answer; the last one of each request is remembered for repeats."""
        envelope = Envelope(self._world_id, client_id, request_id, response)
        if isinstance(response, (Accepted, Done, Failed)):
            self._open_events.pop(request_id, None)
            self._answers[request_id] = envelope
            self._answers.move_to_end(request_id)
            if len(self._answers) > self._remembered:
                self._answers.popitem(last=False)
        return envelope
