"""The core of an executor world, as other threads see it: started, asked, stopped.

connector ── ask ──▶ inbox ──▶ Loop, on the thread ``dynflow core`` ──▶ workers
              └─ a plan that is asked for ──▶ reader ─┘
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from threading import Event, Thread, get_ident
from time import monotonic
from typing import NamedTuple

import zmq

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.director.director import Director
from dynflow_mp.director.failures import Conduct
from dynflow_mp.director.instructions import RunErrand
from dynflow_mp.errors import TerminationOverdue, WorkerStartFailed, WorldFenced
from dynflow_mp.executor.errands import ErrandAsked, Tell
from dynflow_mp.executor.floor import Floor
from dynflow_mp.executor.lease import Lease
from dynflow_mp.executor.ledger import Ledger
from dynflow_mp.executor.loop import Loop
from dynflow_mp.executor.notes import Deleted, Inbox, Offered, ReadAhead, Stop, Stranded
from dynflow_mp.executor.outside import Outside
from dynflow_mp.executor.processes import Processes
from dynflow_mp.executor.reader import Reader
from dynflow_mp.executor.requests import Dispatcher
from dynflow_mp.executor.staffing import StaffSettings
from dynflow_mp.executor.worker_process import WorkerSettings
from dynflow_mp.model.messages import Envelope, Execution
from dynflow_mp.persistence.store import Store
from dynflow_mp.telemetry import logger

log = logger("executor.core")

STOP_PATIENCE_S = 15.0
_NOT_YET_KNOWN_S = 1e9
_LAST_TURN_S = 10.0
"""Ending the workers, after all that was waited for."""


class CoreSettings(NamedTuple):
    """What a core needs to know."""

    world_id: str
    staff: StaffSettings
    max_credit: int
    conduct: Conduct
    directory: Path
    workers: WorkerSettings
    errand_timeout_s: float | None = None
    lease_ttl_s: float | None = None
    """How long steps may go on without a renewal of the lease; None: as long as they like."""


class Core:
    """An executor world's core.

    What is public may be called from any thread; the loop belongs to the core's own, which lives as
    long as the workers do (their parent-death signal follows the thread that started them).
    """

    def __init__(
        self,
        settings: CoreSettings,
        store: Store,
        coordinator: Coordinator,
        dispatcher: Dispatcher,
        outside: Outside,
    ) -> None:
        self.ended = Event()
        """Set once the core's thread is over."""
        self.failure: BaseException | None = None
        """What ended the core, when it was not asked to end."""
        self._fenced = outside.fenced
        self._begun = Event()
        self._inbox = Inbox()
        self._reader = Reader(store, holder_of(coordinator), self._inbox.post)
        poller = zmq.Poller()
        poller.register(self._inbox.bell.fd, zmq.POLLIN)
        processes = Processes(settings.directory, settings.workers, poller)
        self._lease = Lease(settings.lease_ttl_s)
        self._floor = Floor(
            processes,
            settings.staff,
            settings.max_credit,
            self._begun,
            settings.errand_timeout_s,
            self._lease,
        )
        self._director = Director(settings.world_id, settings.conduct)
        self._loop = Loop(
            self._director,
            self._floor,
            Ledger(store, coordinator, self._keep_alive),
            self._reader,
            dispatcher,
            self._inbox,
            poller,
            outside,
        )
        self._thread = Thread(target=self._run, name="dynflow core", daemon=True)
        self._give_up_at = inf

    def start(self, timeout_s: float = 60.0) -> None:
        """Start the workers and wait until each has said hello.

        Raises :class:`WorkerStartFailed` when one cannot start, and whatever else ended the core.
        """
        self._reader.start()
        self._thread.start()
        if not self._begun.wait(timeout_s):
            self.stop(0.0)
            raise WorkerStartFailed(None, f"the workers did not start within {timeout_s:g} s")
        if self.failure is not None:
            self._thread.join(timeout_s)
            raise self.failure

    def ask(self, envelope: Envelope) -> None:
        """A request has come. A plan that is asked for is read ahead, while the core wakes up."""
        if isinstance(envelope.message, Execution):
            self._inbox.post(ReadAhead(envelope))
            self._reader.ask(envelope.message.plan_id)
        else:
            self._inbox.post(envelope)

    def run_errand(self, order: RunErrand, tell: Tell) -> None:
        """Have a worker do an errand; ``tell`` is called with what came of it, on the core's thread: it must not block."""
        self._inbox.post(ErrandAsked(order, tell))

    def offer(self, plan_ids: Sequence[str]) -> None:
        """Plans that were never begun and that nobody has taken: take some, as there is room."""
        self._inbox.post(Offered(tuple(plan_ids)))

    def begin_to_stop(self) -> None:
        """Take nothing new; how long what runs may go on is said by :meth:`stop`."""
        self._ask_to_stop(_NOT_YET_KNOWN_S, _NOT_YET_KNOWN_S)

    @property
    def plan_ids(self) -> list[str]:
        """The plans that run here; a snapshot."""
        return self._director.plan_ids

    def drop_deleted(self, plan_ids: Sequence[str]) -> None:
        """Plans that run here and are not stored any more: forget them, and give their locks up."""
        self._inbox.post(Deleted(tuple(plan_ids)))

    def give_up_stranded(self, plan_ids: Sequence[str]) -> None:
        """Plans that the store says run here: those that do not are left paused, with an error, for people to look at."""
        self._inbox.post(Stranded(tuple(plan_ids)))

    def hurry(self, grace_s: float, patience_s: float) -> None:
        """While stopping: give running steps only ``grace_s`` seconds more, and all of it ``patience_s``."""
        self._ask_to_stop(grace_s, patience_s)

    def stop(self, grace_s: float, patience_s: float = STOP_PATIENCE_S) -> None:
        """Take nothing new, let running steps end within ``grace_s``, have the rest stop, end the workers.

        Plans that are not finished are let go. Whatever is not possible within ``patience_s`` – a database that is
        away, a process that cannot be killed – is given up. Twice is fine; before :meth:`start` too.
        """
        if self._thread.is_alive() and get_ident() != self._thread.ident:
            self._ask_to_stop(grace_s, patience_s)
            self._thread.join(max(grace_s, patience_s) + _LAST_TURN_S)
        self._reader.stop()

    def lease_renewed(self, begun: float) -> None:
        """A renewal of this world's lease, begun then (:func:`~dynflow_mp.clock.steady`), is stored: steps may go on."""
        self._lease.renewed(begun)
        self._inbox.bell.ring()

    def _ask_to_stop(self, grace_s: float, patience_s: float) -> None:
        stop = Stop.within(monotonic(), grace_s, patience_s)
        # Not only by the note: while the core waits for the database it hears none.
        self._give_up_at = min(self._give_up_at, stop.give_up_at)
        self._inbox.post(stop)

    def abandon(self) -> None:
        """The core hangs: end its workers without it. Waits for nothing."""
        for pid in list(self.worker_pids.values()):
            if not self.ended.is_set():  # so nobody has reaped them: the number is still theirs
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    @property
    def last_turn(self) -> float:
        """When the core last turned (steady clock); the lease is renewed only while it does."""
        return self._loop.last_turn

    @property
    def worker_pids(self) -> dict[str, int]:
        """The worker processes, by worker id."""
        return self._floor.pids

    @property
    def degraded(self) -> str | None:
        """Why it takes no new plans: its workers fail too often; None while all is well."""
        return self._floor.degraded

    def free_slots(self) -> dict[str, int]:
        """Per queue, how many more steps could begin at once; a snapshot, for advertising."""
        return self._floor.free_slots()

    # -- the core's thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._floor.start()
            while not self._loop.over:
                self._loop.turn()
        except BaseException as error:
            # Whatever it was, whoever waits must hear of it; the world ends what is left.
            self.failure = error
            if self._begun.is_set():
                log.critical("the core ended", extra={"action": "core_failed"}, exc_info=error)
                if isinstance(error, WorldFenced):
                    self._end_at_once(error)
        finally:
            self._close()

    def _keep_alive(self) -> None:
        """While the database is away: raises :class:`TerminationOverdue` once there is no more time to wait for it."""
        self._loop.keep_alive()
        if monotonic() >= self._give_up_at:
            raise TerminationOverdue(
                "the database did not answer in time: what was running is not let go; it is taken for abnormally "
                "terminated when others find out that this world is gone"
            )

    def _end_at_once(self, error: WorldFenced) -> None:
        """Others run our plans already: not a step more here, and the world ends too."""
        self._floor.kill_busy()
        self._fenced(error)

    def _close(self) -> None:
        try:
            self._floor.stop()
        finally:
            self._inbox.bell.close()
            self.ended.set()
            self._begun.set()


def holder_of(coordinator: Coordinator) -> Callable[[str], str | None]:
    """Under which request a plan that has an owner is being run."""

    def holder_request_id(plan_id: str) -> str | None:
        lock = coordinator.execution_lock(plan_id)
        return None if lock is None else lock.request_id

    return holder_request_id
