"""An executor in the calling thread: the real loop, director, floor, pool, shelf and ledger.

Only three things are not what they are in an executor world: the workers (``InThreadWorkers``), the reader,
which answers at once, and the poller, which never waits.
"""

from __future__ import annotations

from threading import Event
from uuid import uuid4

import zmq

from dynflow_mp.actions.middleware import MiddlewareRules
from dynflow_mp.clock import monotonic
from dynflow_mp.config import Config
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.director.director import Director
from dynflow_mp.director.failures import Conduct
from dynflow_mp.director.instructions import RunErrand
from dynflow_mp.director.stimuli import EventDue
from dynflow_mp.dispatchers.executor_dispatcher import ExecutorDispatcher
from dynflow_mp.executor.core import STOP_PATIENCE_S, holder_of
from dynflow_mp.executor.errands import ErrandAsked, Tell
from dynflow_mp.executor.floor import Floor
from dynflow_mp.executor.ledger import Ledger
from dynflow_mp.executor.loop import Loop
from dynflow_mp.executor.notes import Inbox, Stop
from dynflow_mp.executor.outside import Outside
from dynflow_mp.executor.reader import Question, Reader
from dynflow_mp.executor.staffing import StaffSettings
from dynflow_mp.model.messages import Envelope
from dynflow_mp.persistence.store import Store
from dynflow_mp.testing.clock import Ping
from dynflow_mp.testing.mishaps import Mishaps
from dynflow_mp.testing.workers import InThreadWorkers

_ONE_AT_A_TIME = 1
"""Jobs a worker may hold: the step that runs is the only one stored as running for each worker."""


class InThreadCore:
    """One executor: its record among the worlds, its plans, its workers. It dies by being forgotten."""

    def __init__(
        self,
        config: Config,
        store: Store,
        mishaps: Mishaps,
        outside: Outside,
        middleware: MiddlewareRules,
    ) -> None:
        self.world_id = uuid4().hex
        self.coordinator = Coordinator(store.database, self.world_id)
        self._config = config
        self._inbox = Inbox()
        self._workers = InThreadWorkers(config.max_payload, mishaps, middleware)
        self._floor = Floor(self._workers, StaffSettings(config.pools), _ONE_AT_A_TIME, Event())
        self._director = Director(self.world_id, Conduct(config.auto_rescue))
        self._loop = Loop(
            self._director,
            self._floor,
            Ledger(store, self.coordinator, lambda: None),
            _ReaderAtOnce(store, holder_of(self.coordinator), self._inbox.post),
            ExecutorDispatcher(self.world_id),
            self._inbox,
            _NoWaiting(),
            outside,
        )

    def start(self) -> None:
        """Make it known, and hire the workers."""
        meta = {**self._config.meta, "queues": self._config.pools}
        self.coordinator.register_world(WorldRecord(self.world_id, executor=True, state="alive", meta=meta))
        self._floor.start()
        while self.pending:
            self.turn()

    def ask(self, envelope: Envelope) -> None:
        """A request has come."""
        self._inbox.post(envelope)

    def run_errand(self, order: RunErrand, tell: Tell) -> None:
        """Have a worker do an errand; ``tell`` is called with what came of it."""
        self._inbox.post(ErrandAsked(order, tell))

    @property
    def pending(self) -> bool:
        """Whether there is something to do at once."""
        due = self.next_due
        return self._loop.pending or self._workers.busy or (due is not None and due <= monotonic())

    def turn(self) -> None:
        """One turn of the loop; one job at most is run in it."""
        self._loop.turn()

    @property
    def next_due(self) -> float | None:
        """When something is to be done by itself; None: only when something happens."""
        return self._loop.next_due

    @property
    def pings(self) -> list[Ping]:
        """What waits for its time."""
        return [Ping(due, what) for due, what in self._loop.timers]

    def only_looks(self, ping: Ping) -> bool:
        """Whether it is but a look at sub-plans: of what becomes of them here, their caller is told anyway."""
        what = ping.what
        return isinstance(what, EventDue) and self._director.only_looks(what.plan_id, what.event_id)

    @property
    def next_ping(self) -> Ping | None:
        """The first of them."""
        first = self._loop.timers.next
        return None if first is None else Ping(*first)

    def stop(self) -> None:
        """Give up every plan, as an executor does that was told to end."""
        self._inbox.post(Stop.within(monotonic(), 0.0, STOP_PATIENCE_S))
        while not self._loop.over:
            self.turn()
        self.coordinator.delete_world(self.world_id)
        self.close()

    def close(self) -> None:
        """Give descriptors back; nothing else: it may be dead."""
        self._inbox.bell.close()


class _ReaderAtOnce(Reader):
    def start(self) -> None:
        """There is no thread to start."""

    def ask(self, question: Question) -> None:
        self._answer(question)


class _NoWaiting(zmq.Poller):
    def poll(self, timeout: float | None = None) -> list[tuple[object, int]]:
        return []
