"""A world: everything one process needs to plan, ask, watch, and – with workers – execute.

    World ── Parts ─┬─ persistence, coordinator ── SQL
           Ending   ├─ connector ══ other worlds      client dispatcher (futures)      liveness (lease)
                    └─ with workers: core ── worker processes

Client, executor, and both in one are the same class; which it is follows from its settings.
"""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any
from uuid import uuid4

from dynflow_mp.actions.action import Action
from dynflow_mp.clock import now_us
from dynflow_mp.config import Config
from dynflow_mp.coordinator.records import AutoExecuteLock, WorldRecord
from dynflow_mp.errors import (
    ConfigError,
    DynflowError,
    ForkedWorld,
    LockTaken,
    PlanNotFound,
    PlanStopped,
    RequestError,
    RequestTimeout,
    WorldFenced,
    WorldTerminated,
)
from dynflow_mp.maintenance.processes_alive import gone
from dynflow_mp.model.codec import encode
from dynflow_mp.model.states import PlanState
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.planning.planner import Planned
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.reading.trigger_result import PlanningFailed, Scheduled, Triggered
from dynflow_mp.telemetry import logger
from dynflow_mp.world import arguments
from dynflow_mp.world.ending import Ending
from dynflow_mp.world.parts import Parts
from dynflow_mp.world.plans import first_queue, plan_here

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
        self._pid = os.getpid()
        self._ending = Ending(self.config.exit_on_terminate)
        self.terminated = self._ending.terminated
        """Set once the world has ended."""
        self._parts = Parts(self.id, self.config, self._ending, self._on_fenced)
        try:
            self._boot()
        except BaseException:
            self._ending.close_all()
            self.terminated.set()
            raise

    def _boot(self) -> None:
        parts = self._parts
        parts.open()
        self.clock, self.connector = parts.clock, parts.connector
        self.coordinator, self.persistence = parts.coordinator, parts.library
        if self.config.auto_terminate:
            atexit.register(_terminate_at_exit, weakref.ref(self))
        if self.config.auto_execute and self.config.pools:
            self.auto_execute()

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
        self._parts.store.save_plan(
            planned.plan, requested_at=now_us() if ready else None, fence=self.coordinator.fence
        )
        if not ready:
            return PlanningFailed(planned.plan.id, _error_of(planned))
        finished = self._parts.client.execute(planned.plan.id, first_queue(planned.plan))
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
        self._parts.store.save_plan(planned.plan, fence=self.coordinator.fence)
        return self.persistence.load_execution_plan(planned.plan.id)

    def _plan(
        self,
        action_class: type[Action],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        plan_id: str | None = None,
    ) -> Planned:
        self._check_alive()
        return plan_here(action_class, args, kwargs, plan_id, self.config.max_payload)

    def execute(self, plan_id: str, *, sub_plans: bool = False) -> Future[ExecutionPlan]:
        """Run a planned plan, or resume a paused one; the future ends with the plan when the attempt ended.

        ``sub_plans``: resume all plans below it, too, that are paused with an error.
        """
        self._check_alive()
        with_sub_plans = arguments.flag("sub_plans", sub_plans)
        try:
            plan_id = plan_id_of(plan_id)
            if with_sub_plans:
                self._resume_below(plan_id)
            status = self._parts.store.request(plan_id, now_us(), fence=self.coordinator.fence)
        except PlanNotFound as error:
            return _failed(error)
        if status.state is PlanState.STOPPED:
            return _failed(PlanStopped(f"plan {plan_id} is stopped; it cannot be executed again", plan_id))
        return self._parts.client.execute(plan_id)

    def _resume_below(self, plan_id: str) -> None:
        """Their callers wait for them, and see that they are asked for before they run."""
        store = self._parts.store
        for below in store.failed_below(plan_id):
            store.request(below, now_us(), fence=self.coordinator.fence)
            self._parts.client.execute(below)

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
        arguments.number("step_id", step_id)
        if delay_s is not None:
            arguments.seconds("delay_s", delay_s)
        try:
            return self._parts.client.event(plan_id_of(plan_id), step_id, data, optional, delay_s)
        except PlanNotFound as error:
            return _failed(error)

    def cancel(self, plan_id: str, force: bool = False) -> Future[list[int]]:
        """Send Cancel, or with ``force`` Abort, to every step of the plan that runs or waits and is Cancellable.

        The ids of the steps that were told; what they then do is theirs. The future fails with
        :class:`NotCancellable` when there is none, or the plan does not run.
        """
        self._check_alive()
        forced = arguments.flag("force", force)
        try:
            return self._parts.client.cancel(plan_id_of(plan_id), forced)
        except PlanNotFound as error:
            return _failed(error)

    def halt(self, plan_id: str) -> Future[ExecutionPlan]:
        """Stop the plan for good, whatever its state: nothing more of it begins, code that runs is stopped.

        The future ends with the stopped plan, once nothing of it runs any more. It fails with
        :class:`PlanStopped` for a plan that is stopped already.
        """
        self._check_alive()
        try:
            plan_id = plan_id_of(plan_id)
            status = self._parts.store.plan_statuses([plan_id]).get(plan_id)
        except PlanNotFound as error:
            return _failed(error)
        if status is None:
            return _failed(PlanNotFound(f"no plan {plan_id} is stored", plan_id))
        if status.state is PlanState.STOPPED:
            return _failed(PlanStopped(f"plan {plan_id} is stopped already", plan_id))
        return self._parts.client.halt(plan_id)

    def ping(self, world_id: str, timeout: float = 5.0) -> Future[bool]:
        """True when that executor's core answers within ``timeout`` seconds.

        A client world has no core to answer: for it, true while its record stands and its process
        is not known to be gone. The future fails with :class:`RequestTimeout` or
        :class:`UnknownReceiver` otherwise.
        """
        self._check_alive()
        timeout_s = arguments.seconds("timeout", timeout)
        for record in self.coordinator.find_worlds(id=arguments.world_id(world_id)):
            if not record.executor:
                return _answered(record)
        return self._parts.client.ping(world_id, timeout_s)

    def execution_status(
        self, world_id: str, plan_id: str | None = None, timeout: float = 5.0
    ) -> Future[dict[str, dict[str, int]]]:
        """How busy that executor is, per queue: ``pool_size``, ``free_workers``, ``queue_size``."""
        self._check_alive()
        timeout_s = arguments.seconds("timeout", timeout)
        wanted = None if plan_id is None else plan_id_of(plan_id)
        return self._parts.client.status(arguments.world_id(world_id), wanted, timeout_s)

    def auto_execute(self) -> list[Future[ExecutionPlan]]:
        """Execute plans that were planned or left paused without an error and that nobody runs.

        Returns their futures; an empty list while another world does the same.
        """
        self._check_alive()
        try:
            with self.coordinator.holding(AutoExecuteLock(self.id)):
                found = self._parts.store.find_execution_plans(
                    {"state": [PlanState.PLANNED, PlanState.PAUSED], "result": "pending"}
                )
                return [self.execute(row.id) for row in found if row.owner_id is None]
        except LockTaken:
            log.info("auto-execute runs elsewhere", extra={"action": "auto_execute_skipped"})
            return []

    def invalidate(self, world: WorldRecord | str) -> int:
        """Declare another world (its record or id) dead and take its plans over; how many it had.

        If it lives it writes nothing any more and ends itself. Steps it was running are errors; plans
        without any go on in another executor, and whoever waits for them still does. Raises
        :class:`LockTaken` while another world invalidates the same one.
        """
        self._check_alive()
        world_id = arguments.world_id(world.id if isinstance(world, WorldRecord) else world)
        if world_id == self.id:
            raise RequestError(f"world {self.id} does not invalidate itself; terminate() ends it")
        return self._parts.recovery.invalidate(world_id)

    def validity_check(self) -> dict[str, str]:
        """Every other world by id: ``valid``, or ``invalidated`` since its process is known to be gone.

        Of a process on another host nothing can be known at once: executors watch its lease.
        """
        self._check_alive()
        return self._parts.recovery.validity_check()

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
    def fenced(self) -> WorldFenced | None:
        """Why another world declared this one dead, when it did."""
        return self._ending.fenced

    @property
    def worker_pids(self) -> dict[str, int]:
        """The worker processes, by worker id; empty for a client world."""
        core = self._parts.core
        return {} if core is None else core.worker_pids

    # -- the end -----------------------------------------------------------------------------------

    @property
    def terminating(self) -> bool:
        """True from the moment termination has started, for ever."""
        return self._ending.begun

    def before_termination(self, hook: Callable[[], object]) -> None:
        """Have ``hook`` called when the world begins to terminate; one that raises is logged and passed over."""
        self._ending.before(hook)

    def terminate(self, timeout: float | None = None) -> Future[bool]:
        """End the world: running steps may end within ``timeout`` seconds (``drain_grace_s`` by default).

        Plans that are not finished stay stored and requested. Called again it returns the same
        future, which is true when everything has ended.
        """
        self._check_process()
        grace_s = self.config.drain_grace_s if timeout is None else arguments.seconds("timeout", timeout)
        first = self._ending.begin(partial(self._parts.drain, grace_s))
        core = self._parts.core
        if not first and timeout is not None and core is not None:
            # Asked again, less patiently.
            core.hurry(grace_s)
        return self._ending.result

    def _on_fenced(self, error: WorldFenced) -> None:
        if self._ending.note_fenced(error):
            log.critical("%s; this world ends itself", error, extra={"action": "fenced"})
            self.terminate(timeout=0.0)

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedWorld(
                f"world {self.id} lives in process {self._pid}; a forked child needs a world of its own"
            )

    def _check_alive(self) -> None:
        self._check_process()
        if self.terminating:
            raise WorldTerminated(f"world {self.id} is terminated")

    def __enter__(self) -> World:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def _end(self) -> None:
        """Terminate and wait for it. Ctrl-C while running steps get their time: they get no more.

        In a forked child there is nothing to end: the world is its parent's.
        """
        if os.getpid() != self._pid:
            return
        patience_s = self.config.termination_timeout_s + self.config.drain_grace_s
        try:
            self.terminate().result(patience_s)
        except KeyboardInterrupt:
            self.terminate(timeout=0.0).result(patience_s)
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


def _error_of(planned: Planned) -> BaseException:
    return planned.error or DynflowError(f"plan {planned.plan.id} could not be planned")


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


def _terminate_at_exit(reference: weakref.ref[World]) -> None:
    world = reference()
    if world is not None:
        world._end()
