"""What the core needs of the dispatcher: requests in the director's words, answers as envelopes."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from dynflow_mp.director.stimuli import CancelRequested, EventArrived, HaltRequested, PlanRequested
from dynflow_mp.model.messages import Envelope, Response


class StatusAsked(NamedTuple):
    """A world asks how busy the pools are; the floor knows."""

    client_id: str
    request_id: str
    plan_id: str | None


class WorkersAsked(NamedTuple):
    """A world asks about the workers; the floor knows."""

    client_id: str
    request_id: str


Asked = PlanRequested | EventArrived | CancelRequested | HaltRequested | StatusAsked | WorkersAsked | Envelope
"""What a request asks for; an Envelope is its answer, to be sent as it is."""


class Dispatcher(Protocol):
    """The executor's end of the wire between worlds. Used on the core's thread only."""

    def hear(self, request: Envelope, now: int) -> Asked | None:
        """What this request asks for, at ``now`` (microseconds UTC); None for a repeat that is being worked on."""

    def answer(self, client_id: str, request_id: str, response: Response) -> Envelope:
        """The envelope that carries an answer."""
