"""A world: everything one process needs to plan, ask, watch, and – with workers – execute.

    World
     ├─ persistence, coordinator ── SQL
     ├─ connector ══ other worlds      client dispatcher (futures)      liveness (lease)
     └─ with workers: core ── worker processes

Client, executor, and both in one are the same class; which it is follows from its settings.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any
from uuid import uuid4

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.registry import is_out_of_reach, short_name
from dynflow_mp.clock import Clock, now_us
from dynflow_mp.config import Config
from dynflow_mp.connectors.connector import Connector
from dynflow_mp.connectors.direct import DirectConnector
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import AutoExecuteLock, WorldRecord
from dynflow_mp.director.protocol import SendEvent
from dynflow_mp.dispatchers.client_dispatcher import ClientDispatcher
from dynflow_mp.errors import (
    ConfigError,
    DynflowError,
    ForkedWorld,
    LockTaken,
    PlanningError,
    PlanNotFound,
    RequestError,
    RequestTimeout,
    WorldFenced,
    WorldTerminated,
)
from dynflow_mp.maintenance.directory import WorldDirectory
from dynflow_mp.maintenance.liveness import Liveness
from dynflow_mp.maintenance.processes_alive import own_traces
from dynflow_mp.maintenance.reconciler import Reconciler
from dynflow_mp.maintenance.recovery import Recovery, gone
from dynflow_mp.maintenance.watched_plans import WatchedPlans
from dynflow_mp.model.codec import encode
from dynflow_mp.model.messages import Envelope
from dynflow_mp.model.plans import PlannedPlan
from dynflow_mp.model.policies import DEFAULT_QUEUE
from dynflow_mp.model.states import PlanState
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schema import prepare
from dynflow_mp.persistence.store import Store
from dynflow_mp.planning.ids import new_plan_id
from dynflow_mp.planning.planner import Planned, plan
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.reading.library import Library
from dynflow_mp.reading.trigger_result import PlanningFailed, Scheduled, Triggered
from dynflow_mp.telemetry import logger

log = logger("world")


class World:
    """One runtime instance in this process, under a fresh random id.

    Settings are keywords (or a :class:`Config`); see :class:`Config` for all of them. With
    ``workers`` (or ``queues``) it executes plans on worker processes, otherwise it is a client of
    executors elsewhere. A context manager: leaving it terminates the world.

    Raises :class:`ConfigError` for settings that cannot work, :class:`PersistenceError` for a
    database that cannot be used, :class:`WorkerStartFailed` when workers cannot start.
    """

    def __init__(self, config: Config | None = None, /, **settings: Any) -> None:
        self.id = uuid4().hex
        self.config = _config(config, settings)
        self.clock = Clock()
        self._pid = os.getpid()
        self._hooks: list[Callable[[], object]] = []
        self._termination: Future[bool] | None = None
        self._lock = Lock()
        self._terminating = False
        self.terminated = Event()
        """Set once the world has ended."""
        self.fenced: WorldFenced | None = None
        """Why another world declared this one dead, when it did."""
        self._core: Any = None
        self._closers: list[tuple[str, Callable[[], object]]] = []
        try:
            self._boot()
        except BaseException:
            self._close_all()
            self.terminated.set()
            raise

    # -- boot --------------------------------------------------------------------------------------

    def _boot(self) -> None:
        """Storage, then who we are, then the ways in and out, then workers; only then may others come."""
        config = self.config
        self._database = Database(config.database_url)
        self._on_close("database", self._database.close)
        prepare(self._database)
        self._store = Store(self._database)
        self.coordinator = Coordinator(self._database, self.id, lambda: not self._terminating)
        self.persistence = Library(self._store, self.coordinator.fence)
        self._register()
        self.clock.start()
        self._on_close("clock", self.clock.stop)
        self._open_client()
        if config.pools:
            self._open_executor()
        self.connector.start_listening(self)
        self._on_close("connector", lambda: self.connector.stop_listening(self))
        self.coordinator.renew_lease(self._meta())
        self._liveness = Liveness(
            self.coordinator, config.lease_renewal_s, self._healthy, self._meta, self._on_fenced
        )
        self._liveness.start()
        self._on_close("liveness", self._liveness.stop)
        self._recovery = Recovery(self._store, self.coordinator, self.connector.send, self._go_on)
        if config.pools:
            self._open_reconciler()
        if config.auto_terminate:
            atexit.register(_terminate_at_exit, weakref.ref(self))
        if config.auto_execute and config.pools:
            self.auto_execute()

    def _register(self) -> None:
        """The record exists before the first write (it is what the fence looks at), workless until the end."""
        self.coordinator.register_world(
            WorldRecord(self.id, executor=bool(self.config.pools), state="alive", meta=self._meta())
        )
        self._on_close("record", self._unregister)

    def _unregister(self) -> None:
        if self.fenced is None:
            self.coordinator.delete_world(self.id)

    def _open_client(self) -> None:
        self.connector = self._make_connector()
        self._client = ClientDispatcher(
            self.id,
            self.connector,
            WatchedPlans(self._store, self.coordinator),
            self.persistence.load_execution_plan,
            self._executor_of,
            no_executor_timeout_s=self.config.no_executor_timeout_s,
            reask_interval_s=self.config.reask_interval_s,
        )
        self._client.start()
        self._on_close("client dispatcher", lambda: self._client.stop("the world is terminated"))

    def _make_connector(self) -> Connector:
        wanted = self.config.connector
        if isinstance(wanted, Connector):
            return wanted
        embedded = bool(self.config.pools) and self.config.listen is None and not self.config.eligible
        if wanted == "direct" or (wanted == "auto" and embedded):
            return DirectConnector()
        if wanted in ("auto", "zeromq"):
            # Not imported at the top: an embedded world needs no wire to other worlds.
            from dynflow_mp.connectors.zeromq import ZeroMQConnector

            return ZeroMQConnector(WorldDirectory(self.coordinator), listen=self.config.listen)
        raise ConfigError(f"connector={wanted!r}: must be auto, direct, zeromq or a connector")

    def _open_executor(self) -> None:
        from dynflow_mp.dispatchers.executor_border import ExecutorBorder
        from dynflow_mp.executor.core import Core
        from dynflow_mp.executor.setup import core_settings

        self._core = Core(
            core_settings(self.id, self.config),
            self._store,
            self.coordinator,
            ExecutorBorder(self.id),
            self.connector.send,
            self._send_event,
            self._on_fenced,
        )
        self._on_close("core", lambda: self._core.stop(0.0))
        self._core.start()

    def _open_reconciler(self) -> None:
        reconciler = Reconciler(
            self._store,
            self.coordinator,
            self._recovery,
            self._ask_any,
            self._on_fenced,
            interval_s=self.config.reconcile_interval_s,
            lease_ttl_s=self.config.lease_ttl_s,
        )
        reconciler.start()
        self._on_close("reconciler", reconciler.stop)

    def _on_close(self, what: str, close: Callable[[], object]) -> None:
        self._closers.append((what, close))

    # -- what the connector sees -------------------------------------------------------------------

    @property
    def world_id(self) -> str:
        return self.id

    @property
    def takes_work(self) -> bool:
        """Whether this is an executor that others may use."""
        ready = self._core is not None and not self._terminating
        return ready and (self.config.eligible is not False or isinstance(self.connector, DirectConnector))

    def receive(self, envelope: Envelope) -> None:
        """An envelope has come; only a note is left here."""
        if not envelope.is_request:
            self._client.receive(envelope)
        elif self._core is not None:
            self._core.ask(envelope)

    def undeliverable(self, envelope: Envelope, error: DynflowError) -> None:
        """An envelope of ours went nowhere."""
        if envelope.is_request:
            self._client.undeliverable(envelope, error)

    # -- planning and asking -----------------------------------------------------------------------

    def trigger(
        self, action_class: type[Action], /, *args: Any, **kwargs: Any
    ) -> Triggered | PlanningFailed | Scheduled:
        """Plan ``action_class`` with these arguments and ask an executor to run the plan.

        ``plan`` runs here and now; when this returns the plan is stored. What then happens to it
        shows in the returned future.
        """
        planned = self._plan(action_class, args, kwargs)
        ready = planned.plan.state is PlanState.PLANNED
        self._store.save_plan(
            planned.plan, requested_at=now_us() if ready else None, fence=self.coordinator.fence
        )
        if not ready:
            return PlanningFailed(planned.plan.id, _error_of(planned))
        finished = self._client.execute(planned.plan.id, _queue_of(planned.plan))
        return Triggered(planned.plan.id, finished)

    def plan(self, action_class: type[Action], /, *args: Any, **kwargs: Any) -> ExecutionPlan:
        """Only plan and store; ``execute`` runs it."""
        return self.plan_with_options(action_class, args, kwargs)

    def plan_with_options(
        self,
        action_class: type[Action],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - Dynflow's name for it
    ) -> ExecutionPlan:
        """Plan under an id of the caller's own choice (a UUID as text)."""
        planned = self._plan(action_class, args, dict(kwargs or {}), id)
        self._store.save_plan(planned.plan, fence=self.coordinator.fence)
        return self.persistence.load_execution_plan(planned.plan.id)

    def _plan(
        self,
        action_class: type[Action],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        plan_id: str | None = None,
    ) -> Planned:
        self._check_alive()
        planned = plan(
            action_class,
            args,
            kwargs,
            plan_id=plan_id,
            now=now_us,
            new_id=lambda: new_plan_id(now_us(), os.urandom),
            max_payload=self.config.max_payload,
        )
        _check_workers_can_load(planned.plan.policies)
        return planned

    def execute(self, plan_id: str) -> Future[ExecutionPlan]:
        """Run a planned plan, or resume a paused one; the future ends with the plan when the attempt ended."""
        self._check_alive()
        try:
            self._store.request(plan_id, now_us(), fence=self.coordinator.fence)
        except PlanNotFound as error:
            return _failed(error)
        return self._client.execute(plan_id)

    def event(
        self,
        plan_id: str,
        step_id: int,
        event: Any,
        *,
        optional: bool = False,
        delay_s: float | None = None,
    ) -> Future[bool]:
        """Wake a suspended step with ``event`` (any plain datum); true once the step has taken it.

        Raises :class:`DataError` for an event that cannot be stored.
        """
        self._check_alive()
        data = encode(event, "event", self.config.max_payload)
        return self._client.event(plan_id, step_id, data, optional, delay_s)

    def ping(self, world_id: str, timeout: float = 5.0) -> Future[bool]:
        """True when that executor's core answers within ``timeout`` seconds.

        A client world has no core to answer: for it, true while its record stands and its process
        is not known to be gone. The future fails with :class:`RequestTimeout` or
        :class:`UnknownReceiver` otherwise.
        """
        self._check_alive()
        for record in self.coordinator.find_worlds(id=world_id):
            if not record.executor:
                return _answered(record)
        return self._client.ping(world_id, timeout)

    def execution_status(
        self, world_id: str, plan_id: str | None = None, timeout: float = 5.0
    ) -> Future[dict[str, dict[str, int]]]:
        """How busy that executor is, per queue: ``pool_size``, ``free_workers``, ``queue_size``."""
        self._check_alive()
        return self._client.status(world_id, plan_id, timeout)

    def auto_execute(self) -> list[Future[ExecutionPlan]]:
        """Execute plans that were planned or left paused without an error and that nobody runs.

        Returns their futures; an empty list while another world does the same.
        """
        self._check_alive()
        try:
            with self.coordinator.holding(AutoExecuteLock(self.id)):
                found = self._store.find_execution_plans(
                    {"state": [PlanState.PLANNED, PlanState.PAUSED], "result": "pending"}
                )
                return [self.execute(row.id) for row in found if row.owner_id is None]
        except LockTaken:
            log.info("auto-execute runs elsewhere", extra={"action": "auto_execute_skipped"})
            return []

    def _send_event(self, order: SendEvent) -> None:
        """An action asked for an event to a step of another plan: nobody waits for its answer."""
        event = order.event
        self._client.event(event.plan_id, event.step_id, event.data, event.optional, event.delay_s)

    def invalidate(self, world: WorldRecord | str) -> int:
        """Declare another world (its record or id) dead and take its plans over; how many it had.

        If it lives it writes nothing any more and ends itself. Steps it was running are errors; plans
        without any go on in another executor, and whoever waits for them still does. Raises
        :class:`LockTaken` while another world invalidates the same one.
        """
        self._check_alive()
        world_id = world.id if isinstance(world, WorldRecord) else world
        if world_id == self.id:
            raise RequestError(f"world {self.id} does not invalidate itself; terminate() ends it")
        return self._recovery.invalidate(world_id)

    def validity_check(self) -> dict[str, str]:
        """Every other world by id: ``valid``, or ``invalidated`` since its process is known to be gone.

        Of a process on another host nothing can be known at once: executors watch its lease.
        """
        self._check_alive()
        return self._recovery.validity_check()

    def _go_on(self, request: Envelope) -> None:
        """A plan was taken over: run it here; a client world, and an embedded one, leaves it to executors."""
        if self._core is None:
            self.connector.send(request)
        elif not self._leaves_it_to_others():
            self.receive(request)

    def _ask_any(self, request: Envelope) -> None:
        if not self._leaves_it_to_others():
            self.connector.send(request)

    def _leaves_it_to_others(self) -> bool:
        """An embedded world may lack the actions of others' plans: it takes them only if nobody else is there."""
        embedded = isinstance(self.connector, DirectConnector)
        return embedded and bool(WorldDirectory(self.coordinator).executors())

    def _executor_of(self, plan_id: str) -> str | None:
        lock = self.coordinator.execution_lock(plan_id)
        return None if lock is None else lock.world_id

    # -- the record --------------------------------------------------------------------------------

    @property
    def meta(self) -> dict[str, Any]:
        """What this world's record says about it."""
        return self._meta()

    def _meta(self) -> dict[str, Any]:
        meta: dict[str, Any] = {**self.config.meta, "process": own_traces()}
        if self.config.pools:
            meta["queues"] = self.config.pools
        if self._core is not None and self._core.failure is None:
            meta["endpoint"] = self.connector.endpoint
            meta["takes_work"] = self.takes_work and self.connector.endpoint is not None
            meta["free"] = self._core.free_slots()
        return meta

    def _healthy(self) -> bool:
        if self._core is None:
            return True
        last_turn: float = self._core.last_turn
        return monotonic() - last_turn < max(3 * self.config.lease_renewal_s, 10.0)

    def _on_fenced(self, error: WorldFenced) -> None:
        with self._lock:
            first, self.fenced = self.fenced is None, self.fenced or error
        if not first:
            return
        log.critical("this world was declared dead; it ends itself", extra={"action": "fenced"})
        self.terminate(timeout=0.0)

    # -- the end -----------------------------------------------------------------------------------

    @property
    def terminating(self) -> bool:
        """True from the moment termination has started, for ever."""
        return self._terminating

    @property
    def failure(self) -> BaseException | None:
        """What ended the executor part, when it was not asked to end."""
        return None if self._core is None else self._core.failure

    @property
    def worker_pids(self) -> dict[str, int]:
        """The worker processes, by worker id; empty for a client world."""
        return {} if self._core is None else self._core.worker_pids

    def before_termination(self, hook: Callable[[], object]) -> None:
        """Have ``hook`` called when the world begins to terminate; one that raises is logged and passed over."""
        self._hooks.append(hook)

    def terminate(self, timeout: float | None = None) -> Future[bool]:
        """End the world: running steps may end within ``timeout`` seconds (``drain_grace_s`` by default).

        Plans that are not finished stay stored and requested. Called again it returns the same
        future, which is true when everything has ended.
        """
        with self._lock:
            if self._termination is None:
                self._terminating = True
                self._termination = Future()
                grace_s = self.config.drain_grace_s if timeout is None else timeout
                Thread(target=self._terminate, args=(grace_s,), name="dynflow terminate", daemon=True).start()
            elif timeout is not None and self._core is not None:
                # Asked again, less patiently.
                self._core.hurry(timeout)
            return self._termination

    def _terminate(self, grace_s: float) -> None:
        assert self._termination is not None
        try:
            self._run_hooks()
            if self._core is not None:
                self.connector.stop_receiving_new_work(self)
                self._mark_draining()
                self._core.stop(grace_s)
            self._close_all()
        except BaseException as error:
            log.critical("termination went wrong", extra={"action": "terminate"}, exc_info=error)
        finally:
            self.terminated.set()
            self._termination.set_result(True)
        if self.config.exit_on_terminate:
            _exit_process()

    def _mark_draining(self) -> None:
        if self.fenced is None:
            with _logged("mark as draining"):
                self.coordinator.set_world_state(self.id, "draining")

    def _run_hooks(self) -> None:
        for hook in self._hooks:
            with _logged("before_termination hook"):
                hook()

    def _close_all(self) -> None:
        """Close what was opened, last first; what fails does not keep the rest from closing."""
        while self._closers:
            what, close = self._closers.pop()
            with _logged(f"close {what}"):
                close()

    def _check_alive(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedWorld(
                f"world {self.id} lives in process {self._pid}; a forked child needs a world of its own"
            )
        if self._terminating:
            raise WorldTerminated(f"world {self.id} is terminated")

    def __enter__(self) -> World:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def _end(self) -> None:
        """Terminate and wait for it. Ctrl-C while running steps get their time: they get no more."""
        patience_s = self.config.termination_timeout_s + self.config.drain_grace_s
        try:
            self.terminate().result(patience_s)
        except KeyboardInterrupt:
            self.terminate(timeout=0.0).result(patience_s)
            raise

    def __repr__(self) -> str:
        kind = "executor" if self.config.pools else "client"
        return f"<World {self.id} {kind}{' terminating' if self._terminating else ''}>"


def _config(config: Config | None, settings: Mapping[str, Any]) -> Config:
    if config is None:
        return Config.load(settings)
    if not isinstance(config, Config):
        raise ConfigError(f"World takes a Config or keywords, not {config!r}")
    if settings:
        raise ConfigError("World takes a Config or keywords, not both")
    return config


def _error_of(planned: Planned) -> BaseException:
    return planned.error or DynflowError(f"plan {planned.plan.id} could not be planned")


def _check_workers_can_load(classes: Iterable[str]) -> None:
    """Refuse a plan of classes that live only in this process: no worker could run any of it."""
    for name in filter(is_out_of_reach, classes):
        raise PlanningError(
            f"{short_name(name)} was defined interactively, where worker processes cannot find it; "
            "put it into a module"
        )


def _queue_of(planned: PlannedPlan) -> str:
    """The queue of the plan's first run step: what weighing executors by free slots goes by."""
    for step in planned.steps:
        if step.phase == "run":
            return step.queue or DEFAULT_QUEUE
    return DEFAULT_QUEUE


def _answered(client: WorldRecord) -> Future[bool]:
    """What a ping of a client world comes to: its record says it (decisions.md 29)."""
    if gone(client):
        return _failed(RequestTimeout(f"the process of client world {client.id} is gone"))
    future: Future[bool] = Future()
    future.set_result(True)
    return future


def _failed(error: DynflowError) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


@contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        log.error("%s failed", what, extra={"action": "termination_step_failed"}, exc_info=error)


def _exit_process() -> None:
    """End this process from a thread that is not its main one: what was printed is not lost."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(0)


def _terminate_at_exit(reference: weakref.ref[World]) -> None:
    world = reference()
    if world is not None and os.getpid() == world._pid:
        world._end()
