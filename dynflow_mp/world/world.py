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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import Any, Self, TypeVar
from uuid import uuid4

from dynflow_mp.actions.action import Action
from dynflow_mp.clock import now_us
from dynflow_mp.config import Config
from dynflow_mp.coordinator.records import AutoExecuteLock, WorldRecord
from dynflow_mp.errors import (
    BadArgument,
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
from dynflow_mp.model.held_by_plans import OnConflict
from dynflow_mp.model.states import PlanState
from dynflow_mp.persistence.held_by_plans import Holder
from dynflow_mp.persistence.rows import PlanRow
from dynflow_mp.planning.delaying import ROOT_STEP_ID
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.reading.trigger_result import PlanningFailed, Scheduled, Triggered
from dynflow_mp.telemetry import logger
from dynflow_mp.world import arguments
from dynflow_mp.world.ending import Ending
from dynflow_mp.world.parts import Parts
from dynflow_mp.world.plans import NewPlan, plan_here, store_planned
from dynflow_mp.world.scheduling import Scheduling, Times

log = logger("world")

T = TypeVar("T")


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
        self._ending = self._new_ending()
        self.terminated = self._ending.terminated
        """Set once the world has ended."""
        self._parts = self._new_parts()
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
            atexit.register(_terminate_at_exit, weakref.ref(self))
        if self.config.auto_execute and self.config.pools:
            self.auto_execute()

    # -- planning -----------------------------------------------------------------------

    def trigger(
        self, action_class: type[Action], /, *args: Any, **kwargs: Any
    ) -> Triggered | PlanningFailed | Scheduled:
        """Plan ``action_class`` with these arguments and ask an executor to run the plan.

        ``plan`` runs here and now; when this returns the plan is stored. What then happens to it
        shows in the returned future.
        """
        return self.trigger_with_options(action_class, args, kwargs)

    def trigger_with_options(
        self,
        action_class: type[Action],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - Dynflow's name for it
        unique_key: str | None = None,
        on_conflict: OnConflict | str | None = None,
        deadline_s: float | None = None,
    ) -> Triggered | PlanningFailed | Scheduled:
        """Like :meth:`trigger`, under an id of the caller's own choice, with a key that no other plan holds, or a deadline.

        ``on_conflict`` says what becomes of it when another does: ``raise`` :class:`UniqueKeyTaken`, ``return`` what
        has been triggered already, ``replace`` it, which works as long as nobody runs it. Nothing is stored of a
        plan that is not wanted. Raises :class:`BadUniqueKey` for a key that cannot be kept.
        """
        new = self._store_new(
            action_class, args, kwargs, id, unique_key, on_conflict, now_us(), deadline_s=deadline_s
        )
        if new.holder is not None:
            return Triggered(new.id, self._waiting_for(new.holder))
        if new.error is not None:
            return PlanningFailed(new.id, new.error)
        return Triggered(new.id, self._parts.client.execute(new.id, new.queue))

    def _waiting_for(self, holder: Holder) -> Future[ExecutionPlan]:
        """The end of a plan that was there before, asked for by whom ever."""
        if holder.state == PlanState.PLANNED and holder.requested_at is None:
            return self.execute(holder.plan_id)
        return self._parts.client.watch(holder.plan_id)

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
        unique_key: str | None = None,
        on_conflict: OnConflict | str | None = None,
        deadline_s: float | None = None,
    ) -> ExecutionPlan:
        """Plan under an id of the caller's own choice (a UUID as text), with a unique key, with a deadline of its own."""
        new = self._store_new(action_class, args, kwargs, id, unique_key, on_conflict, deadline_s=deadline_s)
        return self.persistence.load_execution_plan(new.id)

    def _store_new(
        self,
        action_class: type[Action],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any] | None,
        plan_id: str | None,
        unique_key: str | None,
        on_conflict: OnConflict | str | None,
        requested_at: int | None = None,
        deadline_s: float | None = None,
    ) -> NewPlan:
        self._check_alive()
        args, keywords = arguments.call(args, kwargs)
        within_s = None if deadline_s is None else arguments.span("deadline_s", deadline_s)
        middleware = self._parts.middleware.rules
        planned = plan_here(
            action_class, args, keywords, plan_id, self.config.max_payload, middleware, within_s
        )
        store, fence = self._parts.store, self.coordinator.fence
        return store_planned(store, fence, planned, unique_key, on_conflict, requested_at)

    # -- later -------------------------------------------------------------------------------------

    def delay(
        self,
        action_class: type[Action],
        /,
        *args: Any,
        start_at: datetime | None = None,
        start_before: datetime | None = None,
        frozen: bool = False,
        **kwargs: Any,
    ) -> Scheduled:
        """Store a plan that is planned, by a worker, and run at ``start_at`` (none, or one that has passed: at once).

        One that could not be planned until ``start_before`` stops with an error; a ``frozen`` one waits until
        :meth:`set_delayed_plan_frozen` lets it. Times have a time zone. Raises :class:`DataError` for arguments that
        cannot be stored, and what the action's own ``delay`` raises: then nothing is stored.
        """
        times = Times(start_at, start_before, frozen)
        return self._scheduling().schedule(action_class, args, kwargs, times)

    def plan_elsewhere(self, action_class: type[Action], /, *args: Any, **kwargs: Any) -> Scheduled:
        """Have the plan made, by a worker, and run as soon as possible: ``plan`` does not run in this process."""
        return self._scheduling().schedule(action_class, args, kwargs)

    def chain(
        self, plan_ids: str | Sequence[str], action_class: type[Action], /, *args: Any, **kwargs: Any
    ) -> Scheduled:
        """Have the plan made and run once all these plans have stopped.

        If one of them ended in error, or was cancelled, this one stops with an error that names it.
        Raises :class:`PlanNotFound` for one that is not stored.
        """
        return self._scheduling().schedule(action_class, args, kwargs, after=plan_ids)

    def set_delayed_plan_frozen(
        self, plan_id: str, frozen: bool = True, new_start_at: datetime | None = None
    ) -> None:
        """Keep a delayed plan from starting, or let it, perhaps at another time.

        Raises :class:`NotScheduled` for a plan that does not wait for its time.
        """
        self._scheduling().set_frozen(plan_id, frozen, new_start_at)

    def _scheduling(self) -> Scheduling:
        self._check_alive()
        return Scheduling(
            self._parts.schedule,
            self.coordinator,
            self._parts.look_at_delayed,
            self.config.max_payload,
            self._parts.middleware.rules,
        )

    # -- asking ------------------------------------------------------------------------------------

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

    def skip(self, plan_id: str, step_id: int) -> list[int]:
        """Skip a failed step of a paused plan: with it all steps that need its output, and their finalize steps.

        Returns the ids of all that are skipped. ``execute`` then goes on without them; an action whose ``run``
        takes an event is told first. Raises :class:`NotSkippable`, or :class:`AlreadyRunning` while the plan is
        executed.
        """
        self._check_alive()
        arguments.number("step_id", step_id)
        return self._parts.amendments.skip(plan_id_of(plan_id), step_id)

    def edit_input(
        self, plan_id: str, step_id: int, changes: Mapping[str, Any], *, replace: bool = False
    ) -> None:
        """Change keys of a failed step's input (with ``replace`` all of it), before its plan is resumed.

        Written into the plan's history. Raises :class:`NotEditable`, :class:`AlreadyRunning` while the plan is
        executed, :class:`DataError` for what cannot be stored.
        """
        self._check_alive()
        arguments.number("step_id", step_id)
        if not isinstance(changes, Mapping):
            raise BadArgument(f"changes={changes!r}: must be a mapping")
        self._parts.amendments.edit_input(plan_id_of(plan_id), step_id, changes, replace)

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

        The ids of the steps that were told; what they then do is theirs. A scheduled plan is stopped at once. The
        future fails with :class:`NotCancellable` when there is no such step, or the plan does not run.
        """
        self._check_alive()
        forced = arguments.flag("force", force)
        try:
            plan_id = plan_id_of(plan_id)
            if self._scheduling().cancel(plan_id):
                return _with_result([ROOT_STEP_ID])
            return self._parts.client.cancel(plan_id, forced)
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

        Not sub-plans that their caller holds back: it has them started as its limits allow. Returns their
        futures; an empty list while another world does the same.
        """
        self._check_alive()
        try:
            with self.coordinator.holding(AutoExecuteLock(self.id)):
                found = self._parts.store.find_execution_plans(
                    {"state": [PlanState.PLANNED, PlanState.PAUSED], "result": "pending"}
                )
                left = [row for row in found if row.owner_id is None and not _held_back(row)]
                return [self.execute(row.id) for row in left]
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


def _answered(client: WorldRecord) -> Future[bool]:
    """What a ping of a client world comes to: its record says it (decisions.md 29)."""
    if gone(client):
        return _failed(RequestTimeout(f"the process of client world {client.id} is gone"))
    return _with_result(True)


def _held_back(row: PlanRow) -> bool:
    """Whether this is a sub-plan that its caller does not let start yet."""
    is_sub_plan = row.caller_execution_plan_id is not None
    return is_sub_plan and row.state is PlanState.PLANNED and row.requested_at is None


def _with_result(result: T) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(result)
    return future


def _failed(error: DynflowError) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _terminate_at_exit(reference: weakref.ref[World]) -> None:
    world = reference()
    if world is not None:
        world._end()
