"""What an in-thread world is made of: the parts of a client world, and an executor that can die.

InThreadWorld ── InThreadParts ─┬─ storage, coordinator, client dispatcher … as in every client world
                                └─ InThreadCore, replaced through the real recovery when it is killed
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from dynflow_mp.config import Config
from dynflow_mp.connectors.connector import Connector
from dynflow_mp.director.failures import Conduct
from dynflow_mp.errors import DynflowError, WorldFenced
from dynflow_mp.executor.outside import Outside
from dynflow_mp.maintenance.recovery import Recovery
from dynflow_mp.maintenance.watched_plans import WatchedPlans
from dynflow_mp.persistence.hook_store import HookStore
from dynflow_mp.persistence.posted_events import PostedEvents
from dynflow_mp.testing.clock import ManagedClock, Ping
from dynflow_mp.testing.core import InThreadCore
from dynflow_mp.testing.delays import InThreadDelays
from dynflow_mp.testing.event_post import InThreadEventPost
from dynflow_mp.testing.hooks import InThreadHooks
from dynflow_mp.testing.mishaps import ExecutorKilled, Mishaps
from dynflow_mp.testing.wires import InThreadClient, InThreadConnector
from dynflow_mp.world.budget import Budget
from dynflow_mp.world.ending import Ending, Phase, do
from dynflow_mp.world.parts import Parts

_MEMORY = "/dev/shm"
"""Where files are kept in memory, on systems that have such a place."""


class DoesNotRest(DynflowError):
    """An in-thread world has jumped from timer to timer for too long: something sets one again each time."""


class InThreadParts(Parts):
    """The parts of one in-thread world."""

    def __init__(
        self,
        world_id: str,
        config: Config,
        ending: Ending,
        fenced: Callable[[WorldFenced], None],
        clock: ManagedClock,
        *,
        jump: bool,
        most_jumps: int,
    ) -> None:
        super().__init__(world_id, replace(config, workers=0, queues={}), ending, fenced)
        self.clock: ManagedClock = clock
        self.mishaps = Mishaps()
        self._executor_config = config
        self._jump, self._most_jumps = jump, most_jumps
        self._going_on = False

    # -- opening ---------------------------------------------------------------------------------------

    def _open_client(self) -> None:
        self.connector: Connector = InThreadConnector(self)
        self.client: InThreadClient = InThreadClient(
            self.world_id,
            self.connector,
            WatchedPlans(self.store, self.coordinator),
            self.library.load_execution_plan,
            self._executor_of,
            stop_unowned=self._unowned_plans().halt,
            add_audit=self._add_audit,
            go_on=self.go_on,
        )
        self._ending.on_close("client dispatcher", lambda: self.client.stop("the world is terminated"))

    def _open_liveness(self) -> None:
        """It lives as long as the test program does."""
        self.coordinator.renew_lease(self.record.meta())

    def _open_maintenance(self) -> None:
        """Nothing happens by itself here; but who is killed is recovered from as elsewhere."""
        self._ending.on_close("executor", lambda: self.executor.close())
        self._new_executor()
        self.clock.watch(self)

    def _new_executor(self) -> None:
        self._endings = self._sub_plan_endings()
        self.executor = InThreadCore(
            self._executor_config,
            self.store,
            self.mishaps,
            Outside(
                send=self.connector.send,
                send_event=self._send_event,
                end_sub_plans=self._endings.end,
                plan_stopped=self._plan_stopped,
                hooks_noted=self._hooks_noted,
            ),
            self.middleware.rules,
        )
        self.executor.start()
        self._wires.executor = (self.executor.world_id, self.executor.ask)
        self.delays = self.delayed_executor = InThreadDelays(
            self.schedule,
            self.executor,
            self.connector.send,
            self._fenced,
            sum(self._executor_config.pools.values()),
        )
        self.letters = self.event_post = InThreadEventPost(
            PostedEvents(self.store.database), self.executor.coordinator, self._bring
        )
        self.hooks = self.hook_caller = InThreadHooks(HookStore(self.store.database), self.executor)
        self.recovery = Recovery(
            self.store,
            self.executor.coordinator,
            self.connector.send,
            self.connector.send,
            self._look_for_what_was_left,
            Conduct(self._executor_config.auto_rescue),
        )

    @property
    def _wires(self) -> InThreadConnector:
        assert isinstance(self.connector, InThreadConnector)
        return self.connector

    # -- going on --------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Do all that there is to do, and with ``jump`` what there will be while someone waits for it.

        Raises :class:`DoesNotRest`.
        """
        if self._going_on:
            return  # called by a step, or by a callback: it is gone on with below
        self._going_on = True
        self.hooks.wake()  # what a client stores is told to nobody
        self.delays.plan_stopped()  # so it is when one has halted, or deleted, what others come after
        try:
            jumps = 0
            while self._do_something() or self._jump_on():
                jumps += 1
                if jumps > self._most_jumps:
                    raise DoesNotRest(
                        f"the world does not come to rest: {self._most_jumps:,} turns and jumps, and still "
                        f"{self.clock.pending_pings or 'something to do'}"
                    )
        finally:
            self._going_on = False

    def _do_something(self) -> bool:
        heard = self.client.deliver()
        if self._wires.deliver() or heard:
            return True
        if not self.executor.pending:
            return self._look_around() or self.client.look()
        try:
            self.executor.turn()
        except ExecutorKilled:
            self.kill_executor()
        return True

    def _look_around(self) -> bool:
        """What others' threads do beside the core; one thing at a time."""
        for beside in (self.hooks, self.letters, self.delays):
            if beside.pending:
                beside.go_on()
                return True
        return False

    def _jump_on(self) -> bool:
        """For plans that somebody waits for; that others' time comes on the way is no reason to go there."""
        if not self._jump or not self.client.open_requests:
            return False
        due, scheduled = self._next_due_but_looks(), self.delays.next_due
        if due is None or (due == scheduled and not self._others_wait()):
            return False
        self.clock.jump_to(due)
        return True

    def _next_due_but_looks(self) -> float | None:
        """An action looks at its sub-plans for ever, also at those that wait for somebody's event."""
        due = self.clock.next_due
        first = self.executor.next_ping
        if first is None or first.due_s != due or not self.executor.only_looks(first):
            return due
        pings = self.clock.pending_pings
        return next((ping.due_s for ping in pings if not self.executor.only_looks(ping)), None)

    def _others_wait(self) -> bool:
        """Whether anything else than scheduled plans waits for its time."""
        return len(self.clock.pending_pings) > len(self.delays.pings)

    def look_at_delayed(self) -> None:
        """Plans were scheduled: those whose time has come are planned and run before this returns."""
        super().look_at_delayed()
        self.go_on()

    def kill_executor(self) -> None:
        """The executor dies as by kill -9; another one declares it dead and takes its plans over."""
        dead = self.executor
        dead.close()
        self._new_executor()
        self.recovery.invalidate(dead.world_id)

    # -- what the clock asks ---------------------------------------------------------------------------

    @property
    def next_due(self) -> float | None:
        due = [at for at in (self.executor.next_due, self.delays.next_due) if at is not None]
        return min(due, default=None)

    @property
    def pings(self) -> list[Ping]:
        return self.executor.pings + self.delays.pings

    # -- the end ---------------------------------------------------------------------------------------

    def stop_working(self, budget: Budget) -> list[Phase]:
        return [Phase("end the executor", self._end_executor, budget.of_executor)]

    def _end_executor(self) -> None:
        self._wires.executor = None
        self.hooks.close()
        self.delays.close()
        self.executor.stop()
        self._wires.deliver()


class InThreadEnding(Ending):
    """Ends in the calling thread."""

    def _start(self, run: Callable[[], None]) -> None:
        run()

    def _go_through(self, phase: Phase, budget: Budget) -> None:
        do(phase, Future(), budget.tell)


class TemporaryDatabase:
    """An SQLite file of its own, in memory where the system has files there; gone when it is closed."""

    def __init__(self) -> None:
        base = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None
        self._directory = tempfile.mkdtemp(prefix="dynflow-test-", dir=base)
        self.url = f"sqlite:///{self._directory}/plans.db"

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._directory)
