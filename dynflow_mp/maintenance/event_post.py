"""Brings events of actions to steps of other plans, also those whose sender died before they arrived.

an action asked ─(commit)─▶ send ─▶ client dispatcher ─▶ the other plan's executor
     a round: left by the dead │             └ taken, or refused for good ─▶ forgotten
              or not to be had │                 nobody is there now ─▶ sent again in a later round

An event keeps its id whoever sends it, and its receiver knows it by that: it is taken once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Event
from typing import NamedTuple

from dynflow_mp.clock import monotonic, now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.director.instructions import SendEvent
from dynflow_mp.errors import (
    InactiveWorld,
    NobodyTakesEvents,
    PersistenceError,
    WorldFenced,
    WorldTerminated,
)
from dynflow_mp.maintenance.background import Background
from dynflow_mp.persistence.posted_events import PostedEvent, PostedEvents
from dynflow_mp.telemetry import logger

log = logger("maintenance.event_post")

_AT_ONCE = 500
_COMES_AGAIN = (NobodyTakesEvents, PersistenceError, WorldTerminated)
"""Errors that say nothing about the event itself."""
Send = Callable[[PostedEvent, float | None], "Future[bool]"]


class _Answered(NamedTuple):
    """What came of sending an event; ``error`` None: a step has taken it."""

    event: PostedEvent
    error: BaseException | None


class EventPost(Background):
    """Owns a thread that looks when it is woken, and every ``interval_s`` seconds. Every executor world has one.

    ``send`` brings an event to whoever runs its plan, to be taken in so many seconds.
    """

    def __init__(self, store: PostedEvents, coordinator: Coordinator, send: Send, interval_s: float) -> None:
        super().__init__("event post")
        self._store, self._coordinator, self._send_to = store, coordinator, send
        self._interval_s = interval_s
        self._on_their_way: set[str] = set()
        self._answered: SimpleQueue[_Answered] = SimpleQueue()
        self._woken = Event()
        self._round_due = 0.0

    def look(self) -> None:
        """Any thread: a world has died, and may have left some."""
        self._round_due = 0.0
        self._woken.set()

    def post(self, order: SendEvent) -> None:
        """The core's thread: an event is stored, and may leave."""
        event, event_id = order.event, order.id
        assert event_id is not None
        posted = PostedEvent(event_id, event.plan_id, event.step_id, event.data, event.optional, None)
        self._send(posted, event.delay_s)

    def _send(self, event: PostedEvent, delay_s: float | None) -> None:
        self._on_their_way.add(event.id)
        answer = self._send_to(event, delay_s)
        answer.add_done_callback(lambda future: self._hear(_Answered(event, future.exception())))

    def _hear(self, answered: _Answered) -> None:
        """On the notifier's thread."""
        self._answered.put(answered)
        self._woken.set()

    def _interrupt(self) -> None:
        self._woken.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            if monotonic() >= self._round_due:
                self._round_due = monotonic() + self._interval_s
                self._do(self.round)
            else:
                self._do(self.settle)
            self._woken.wait(max(0.0, self._round_due - monotonic()))
        self._do(self.settle)

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (InactiveWorld, WorldFenced):
            self._stopping.set()  # whoever stays goes on with what this world has not brought
        except Exception:
            # Whatever it was, the next round may go better; nothing is forgotten that has not arrived.
            log.exception("a round was given up", extra={"action": "event_post_failed"})

    def round(self) -> None:
        """Send what nobody alive sends, and what could not be brought before."""
        self.settle()
        worlds = self._coordinator.find_worlds()
        living = {world.id for world in worlds if world.state != "dead"}
        own_id = self._coordinator.world_id
        left = self._store.take(own_id, living, _AT_ONCE, self._coordinator.fence)
        now = now_us()
        for event in [*left, *self._store.own(own_id, {*self._on_their_way, *_ids_of(left)}, _AT_ONCE)]:
            self._send(event, None if event.due_at is None else max(0, event.due_at - now) / 1e6)

    def settle(self) -> None:
        """Forget what has arrived, or never will."""
        over: list[str] = []
        try:
            while True:
                answered = self._answered.get_nowait()
                event, error = answered
                if not isinstance(error, _COMES_AGAIN):
                    _say(event, error)
                    over.append(event.id)
                self._on_their_way.discard(event.id)
        except Empty:
            pass
        if over:
            self._store.forget(over, self._coordinator.fence)


def _ids_of(events: Iterable[PostedEvent]) -> set[str]:
    return {event.id for event in events}


def _say(event: PostedEvent, error: BaseException | None) -> None:
    if error is not None and not event.optional:
        log.warning(
            "an event that an action planned was not taken: %s",
            error,
            extra={
                "action": "event_undelivered",
                "plan_id": event.to_plan_id,
                "step_id": event.to_step_id,
            },
        )
