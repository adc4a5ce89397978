"""A world: everything one process needs to plan, ask, watch, and – with workers – execute.

    World ── Parts ─┬─ persistence, coordinator ── SQL
           Ending   ├─ connector ══ other worlds      client dispatcher (futures)      liveness (lease)
                    └─ with workers: core ── worker processes

Client, executor, and both in one are the same class; which it is follows from its settings.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from contextlib import ExitStack
from time import monotonic
from typing import Any, Self
from uuid import uuid4
from weakref import ReferenceType, WeakValueDictionary

from dynflow_mp.config import Config
from dynflow_mp.errors import ConfigError, WorldFenced
from dynflow_mp.telemetry import logger
from dynflow_mp.world import arguments
from dynflow_mp.world.budget import RESERVE_S
from dynflow_mp.world.bulk import Bulk, BulkRun, Deed, ListQuery, same_error
from dynflow_mp.world.ending import Ending
from dynflow_mp.world.later import Later
from dynflow_mp.world.looking import Looking
from dynflow_mp.world.parts import Parts
from dynflow_mp.world.planning import Planning
from dynflow_mp.world.repairs import Repairs

log = logger("world")

_HEAR_S = 0.2


class World(Planning, Later, Looking, Repairs):
    """One runtime instance in this process, under a fresh random id.

    Settings are keywords (or a :class:`Config`); see :class:`Config` for all of them. With
    ``workers`` (or ``queues``) it executes plans on worker processes, otherwise it is a client of
    executors elsewhere. A context manager: leaving it terminates the world.

    Raises :class:`ConfigError` for settings that cannot work, :class:`PersistenceError` for a
    database that cannot be used, :class:`WorkerStartFailed` when workers cannot start.
    """

    _bulk_run = BulkRun

    def __init__(self, config: Config | None = None, /, **settings: Any) -> None:
        self.id = uuid4().hex
        self.config = _config(config, settings)
        self._pid = os.getpid()
        self._ending = self._new_ending()
        self.terminated = self._ending.terminated
        """Set once the world has ended."""
        self._parts = self._new_parts()
        self._parts.end_world = self.terminate
        try:
            self._boot()
        except BaseException:
            self._ending.close_all()
            self.terminated.set()
            raise

    def _new_ending(self) -> Ending:
        return Ending(self.config.exit_on_terminate)

    def _new_parts(self) -> Parts:
        return Parts(self.id, self.config, self._ending, self._on_fenced)

    def _boot(self) -> None:
        parts = self._parts
        parts.open()
        self.clock, self.connector = parts.clock, parts.connector
        self.coordinator, self.persistence = parts.coordinator, parts.library
        if self.config.auto_terminate:
            _end_at_exit(self)
        if self.config.auto_execute and self.config.pools:
            self.auto_execute()

    # -- looking in --------------------------------------------------------------------------------

    @property
    def meta(self) -> dict[str, Any]:
        """What this world's record says about it."""
        return self._parts.record.meta()

    @property
    def failure(self) -> BaseException | None:
        """What ended the executor part, when it was not asked to end."""
        core = self._parts.core
        return None if core is None else core.failure

    @property
    def last_turn(self) -> float:
        """When the executor part turned last (steady clock); now, for a client world."""
        core = self._parts.core
        return monotonic() if core is None else core.last_turn

    @property
    def fenced(self) -> WorldFenced | None:
        """Why another world declared this one dead, when it did."""
        return self._ending.fenced

    @property
    def degraded(self) -> str | None:
        """Why this executor takes no new plans: its workers fail too often; None while all is well."""
        core = self._parts.core
        return None if core is None else core.degraded

    @property
    def worker_pids(self) -> dict[str, int]:
        """The worker processes, by worker id; empty for a client world."""
        core = self._parts.core
        return {} if core is None else core.worker_pids

    # -- many plans at once ------------------------------------------------------------------------

    def bulk(self, deed: Deed | str, plan_ids: Iterable[str] | ListQuery, *, by: str | None = None) -> Bulk:
        """The same for many plans: ``resume``, ``cancel``, ``skip_and_resume`` or ``halt``; nothing is done yet.

        The plans are chosen here and now, by ids or by a query. ``by``: who wants it, written down with each plan.
        See :class:`~dynflow_mp.world.bulk.Bulk` for its ``preview()`` and ``run()``.
        """
        self._check_alive()
        statuses = self._parts.store.plan_statuses
        return Bulk(self, statuses, deed, plan_ids, by, same_error, self._bulk_run)

    # -- the end -----------------------------------------------------------------------------------

    @property
    def terminating(self) -> bool:
        """True from the moment termination has started, for ever."""
        return self._ending.begun

    def before_termination(self, hook: Callable[[], object]) -> None:
        """Have ``hook`` called when the world begins to terminate; one that raises is logged and passed over."""
        self._ending.before(hook)

    def terminate(self, timeout: float | None = None) -> Future[bool]:
        """End the world within ``timeout`` seconds, ``termination_timeout_s`` by default.

        Running steps may go on for ``drain_grace_s``, as far as the time allows: 0 stops them at once. What hangs
        is left behind, so that the world has ended 10 s after that time at the latest. Plans that are not finished
        stay stored and requested. Called again, with less time, it hurries. Always the same future: true when all
        has ended, false when something was left; see :attr:`left_behind`.
        """
        self._check_process()
        seconds = self.config.termination_budget_s
        if timeout is not None:
            seconds = arguments.seconds("timeout", timeout)
        if not self._ending.begin(seconds, self._parts.stop_working) and timeout is not None:
            self._parts.hurry(seconds)
        return self._ending.result

    @property
    def longest_end_s(self) -> float:
        """After how long it has ended at the latest, whatever hangs, if it is not told another time."""
        return self.config.termination_budget_s + RESERVE_S

    @property
    def left_behind(self) -> tuple[str, ...]:
        """What had not ended when the world's time to end was over, in words; empty when all has."""
        return tuple(self._ending.left)

    def _on_fenced(self, error: WorldFenced) -> None:
        if self._ending.note_fenced(error):
            log.critical("%s; this world ends itself", error, extra={"action": "fenced"})
            if self._parts.core is not None:
                # Before any hook of a user's: its plans are others' already.
                self._parts.core.hurry(0.0, 0.0)
            self.terminate(timeout=0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def _end(self) -> None:
        """Terminate and wait for it. Ctrl-C while running steps get their time: they get no more.

        In a forked child there is nothing to end: the world is its parent's.
        """
        if os.getpid() != self._pid:
            return
        try:
            _wait_for(self.terminate(), self.longest_end_s + RESERVE_S)
        except KeyboardInterrupt:
            _wait_for(self.terminate(timeout=0.0), 2 * RESERVE_S)
            raise

    def __repr__(self) -> str:
        kind = "executor" if self.config.pools else "client"
        return f"<World {self.id} {kind}{' terminating' if self.terminating else ''}>"


def _config(config: Config | None, settings: Mapping[str, Any]) -> Config:
    if config is None:
        return Config.load(settings)
    if not isinstance(config, Config):
        raise ConfigError(f"World takes a Config or keywords, not {config!r}")
    if settings:
        raise ConfigError("World takes a Config or keywords, not both")
    return config


def _wait_for(ended: Future[bool], seconds: float) -> None:
    """Wait, and hear a Ctrl-C meanwhile.

    One that comes just before a thread goes to sleep does not wake it: so it never sleeps long.
    Raises :class:`TimeoutError`.
    """
    deadline = monotonic() + seconds
    while not ended.done() and (left_s := deadline - monotonic()) > 0:
        wait([ended], min(left_s, _HEAR_S))
    ended.result(0)


_to_end_at_exit: WeakValueDictionary[str, World] = WeakValueDictionary()
"""In the order in which they were made."""


def _end_at_exit(world: World) -> None:
    """Before whatever was registered earlier, and with one entry for all: a program may make any number of worlds."""
    _to_end_at_exit[world.id] = world
    atexit.unregister(_end_all)
    atexit.register(_end_all)


def _end_all() -> None:
    with ExitStack() as ends:  # the last first, and each whatever another raises
        for reference in _to_end_at_exit.valuerefs():
            ends.callback(_end_if_there, reference)


def _end_if_there(reference: ReferenceType[World]) -> None:
    world = reference()
    if world is not None:
        world._end()
