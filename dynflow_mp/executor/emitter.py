"""How what a turn yields leaves the core, once the turn is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynflow_mp.director.director import Director
from dynflow_mp.director.instructions import (
    Answer,
    EndSubPlans,
    HandOver,
    LoadPlan,
    RunErrand,
    SendEvent,
    StartSubPlans,
    StopStep,
)
from dynflow_mp.director.protocol import NOBODY
from dynflow_mp.executor.briefs import BRIEFS
from dynflow_mp.executor.errands import Tell
from dynflow_mp.executor.feeder import Feeder
from dynflow_mp.executor.floor import Floor
from dynflow_mp.executor.outside import Outside
from dynflow_mp.executor.reader import Reader
from dynflow_mp.executor.requests import Dispatcher, StatusAsked, WorkersAsked
from dynflow_mp.executor.shelf import PageWanted
from dynflow_mp.model.messages import Envelope, ExecutionStatus, Response, WorkersTold

Emission = (
    Answer
    | HandOver
    | SendEvent
    | StopStep
    | LoadPlan
    | RunErrand
    | PageWanted
    | Envelope
    | StatusAsked
    | WorkersAsked
    | StartSubPlans
    | EndSubPlans
)


class Emitter:
    """Owned by the core's thread. ``ways`` has a function for each kind of thing that leaves."""

    def __init__(
        self,
        floor: Floor,
        reader: Reader,
        dispatcher: Dispatcher,
        outside: Outside,
        director: Director,
    ) -> None:
        self._floor, self._reader, self._director = floor, reader, director
        self._dispatcher, self._outside = dispatcher, outside
        self.feeder = Feeder()
        """Sub-plans that wait for room."""
        self.ways = self._make_ways()

    def _make_ways(self) -> dict[type, Callable[[Any], None]]:
        """How each kind of thing leaves."""
        return {
            Answer: lambda order: self._answer(order, order.response),
            StatusAsked: lambda asked: self._answer(
                asked, ExecutionStatus(self._floor.status(asked.plan_id))
            ),
            WorkersAsked: lambda asked: self._answer(asked, self._workers_told()),
            Envelope: self._send,
            HandOver: lambda order: self._send(order.request),
            SendEvent: self._outside.send_event,
            StopStep: self._floor.stop_step,
            LoadPlan: lambda order: self._reader.ask(order.plan_id),
            PageWanted: self._reader.ask,
            RunErrand: self.run_errand,
            StartSubPlans: lambda order: self.feeder.add(order.sub_plan_ids),
            EndSubPlans: self._outside.end_sub_plans,
        }

    def run_errand(self, order: RunErrand, tell: Tell | None = None) -> None:
        """It goes to the pool in the next turn, by way of the reader if it needs something from there."""
        if not self._floor.errands.note(order, tell):
            return
        if order.kind in BRIEFS:
            self._reader.ask(order)
        else:
            self._floor.errands.ready(order, order.data)

    def _workers_told(self) -> WorkersTold:
        director = self._director
        return WorkersTold(self._floor.report(director.world_id, director.running).to_data())

    def _answer(self, asked: Answer | StatusAsked | WorkersAsked, response: Response) -> None:
        if asked.client_id == NOBODY:
            return
        self._send(self._dispatcher.answer(asked.client_id, asked.request_id, response))

    def _send(self, envelope: Envelope) -> None:
        self._floor.counts.said(envelope)
        self._outside.send(envelope)

    def feed(self) -> None:
        """Ask for sub-plans that wait, if there is room."""
        if not self.feeder:
            return
        wanted = self.feeder.take(self._floor.waiting, self._floor.enough)
        if wanted is not None:
            self._reader.ask(wanted)
