"""The core's border: envelopes become what the director hears, answers become envelopes."""

from __future__ import annotations

from dynflow_mp.director.protocol import Answer, EventArrived, HandOver, PlanRequested
from dynflow_mp.dispatchers.executor_dispatcher import (
    EventAsked,
    ExecutionAsked,
    ExecutorDispatcher,
    Repeat,
)
from dynflow_mp.dispatchers.executor_dispatcher import PingAsked as _Ping
from dynflow_mp.dispatchers.executor_dispatcher import StatusAsked as _Status
from dynflow_mp.executor.core import Asked, PingAsked, StatusAsked
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope, Execution, ExecutionStatus, Pong

_MICRO = 1_000_000


class ExecutorBorder:
    """Used on the core's thread only (it satisfies :class:`dynflow_mp.executor.core.Border`)."""

    def __init__(self, world_id: str) -> None:
        self._world_id = world_id
        self._dispatcher = ExecutorDispatcher(world_id)

    def hear(self, envelope: Envelope, now: int) -> list[Asked]:
        """What the envelope asks for; nothing for a repeat that is being worked on."""
        asked = self._dispatcher.stimulus(envelope)
        if isinstance(asked, ExecutionAsked):
            return [PlanRequested(asked.plan_id, asked.client_id, asked.request_id)]
        if isinstance(asked, EventAsked):
            return [_event(asked, now)]
        if isinstance(asked, _Ping):
            return [PingAsked(asked.client_id, asked.request_id)]
        if isinstance(asked, _Status):
            return [StatusAsked(asked.client_id, asked.request_id, asked.plan_id)]
        return [asked.envelope] if isinstance(asked, Repeat) else []

    def answer(self, answer: Answer) -> Envelope:
        return self._dispatcher.answer(answer.client_id, answer.request_id, answer.response)

    def pong(self, asked: PingAsked) -> Envelope:
        return self._dispatcher.answer(asked.client_id, asked.request_id, Pong())

    def status(self, asked: StatusAsked, queues: dict[str, dict[str, int]]) -> Envelope:
        return self._dispatcher.answer(asked.client_id, asked.request_id, ExecutionStatus(queues))

    def hand_over(self, order: HandOver) -> Envelope:
        """The client's own request again, for any other executor: the answer goes to the client."""
        return Envelope(order.client_id, ANY_EXECUTOR, order.request_id, Execution(order.plan_id))


def _event(asked: EventAsked, now: int) -> EventArrived:
    due_at = now + int(asked.delay_s * _MICRO) if asked.delay_s else None
    return EventArrived(
        asked.plan_id,
        asked.step_id,
        asked.client_id,
        asked.request_id,
        asked.data,
        asked.optional,
        due_at,
    )
