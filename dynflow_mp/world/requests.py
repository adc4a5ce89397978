"""What executors are asked for: to run a plan, to wake, cancel or halt it, to say how they are."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from typing import Any

from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.records import AutoExecuteLock, WorldRecord
from dynflow_mp.errors import LockTaken, PlanNotFound, PlanStopped, RequestError, RequestTimeout
from dynflow_mp.maintenance.processes_alive import gone
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.codec import encode
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.model.workers_report import WorkersReport
from dynflow_mp.persistence.rows import PlanRow
from dynflow_mp.planning.delaying import ROOT_STEP_ID
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.telemetry import logger
from dynflow_mp.world import arguments
from dynflow_mp.world.futures import failed, with_result
from dynflow_mp.world.ground import Ground

log = logger("world")

_WITHOUT_ERROR = [Result.PENDING, Result.WARNING, Result.SUCCESS]
"""What plans that can be executed have come to so far; those without steps have succeeded before they begin."""


class Requests(Ground):
    """A world's methods that ask whichever executor it concerns; their futures end with the answer."""

    def execute(
        self, plan_id: str, *, sub_plans: bool = False, by: str | None = None
    ) -> Future[ExecutionPlan]:
        """Run a planned plan, or resume a paused one; the future ends with the plan when the attempt ended.

        ``sub_plans``: resume all plans below it, too, that are paused with an error. ``by``: who wants it, which is
        then written down.
        """
        self._check_room()
        with_sub_plans = arguments.flag("sub_plans", sub_plans)
        try:
            plan_id = plan_id_of(plan_id)
            audit = self._noted(by, plan_id, "execute")
            if with_sub_plans:
                self._resume_below(plan_id, by)
        except PlanNotFound as error:
            return failed(error)
        return self._execute(plan_id, audit=audit)

    def _execute(
        self, plan_id: str, *, yielding: bool = False, audit: Audit | None = None
    ) -> Future[ExecutionPlan]:
        try:
            status = self._parts.store.request(plan_id, now_us(), self.coordinator.fence, audit)
        except PlanNotFound as error:
            return failed(error)
        if status.state is PlanState.STOPPED:
            return failed(PlanStopped(f"plan {plan_id} is stopped; it cannot be executed again", plan_id))
        return self._parts.client.execute(plan_id, yielding=yielding)

    def _resume_below(self, plan_id: str, by: str | None) -> None:
        """Their callers wait for them, and see that they are asked for before they run."""
        store = self._parts.store
        for below in store.failed_below(plan_id):
            audit = self._noted(by, below, "resume")
            store.request(below, now_us(), self.coordinator.fence, audit)
            self._parts.client.execute(below)

    def event(
        self,
        plan_id: str,
        step_id: int,
        event: Any,
        *,
        optional: bool = False,
        delay_s: float | None = None,
        by: str | None = None,
    ) -> Future[bool]:
        """Wake a suspended step with ``event`` (any plain datum); true once the step has taken it.

        Raises :class:`DataError` for an event that cannot be stored.
        """
        self._check_room()
        data = encode(event, "event", self.config.max_payload)
        arguments.number("step_id", step_id)
        if delay_s is not None:
            arguments.seconds("delay_s", delay_s)
        try:
            plan_id = plan_id_of(plan_id)
            audit = self._noted(by, plan_id, f"send an event to step {step_id}")
            return self._parts.client.event(plan_id, step_id, data, optional, delay_s, audit=audit)
        except PlanNotFound as error:
            return failed(error)

    def cancel(self, plan_id: str, force: bool = False, *, by: str | None = None) -> Future[list[int]]:
        """Send Cancel, or with ``force`` Abort, to every step of the plan that runs or waits and is Cancellable.

        The ids of the steps that were told; what they then do is theirs. A scheduled plan is stopped at once. The
        future fails with :class:`NotCancellable` when there is no such step, or the plan does not run.
        """
        self._check_alive()
        forced = arguments.flag("force", force)
        try:
            plan_id = plan_id_of(plan_id)
            audit = self._noted(by, plan_id, "cancel by force" if forced else "cancel")
            noted = partial(self._parts.store.add_audit_within, audit=audit)
            if self._scheduling().cancel(plan_id, noted):
                return with_result([ROOT_STEP_ID])
            return self._parts.client.cancel(plan_id, forced, audit)
        except PlanNotFound as error:
            return failed(error)

    def halt(self, plan_id: str, *, by: str | None = None) -> Future[ExecutionPlan]:
        """Stop the plan for good, whatever its state: nothing more of it begins, code that runs is stopped.

        The future ends with the stopped plan, once nothing of it runs any more. It fails with
        :class:`PlanStopped` for a plan that is stopped already.
        """
        self._check_alive()
        try:
            plan_id = plan_id_of(plan_id)
            audit = self._noted(by, plan_id, "halt")
            status = self._parts.store.plan_statuses([plan_id]).get(plan_id)
        except PlanNotFound as error:
            return failed(error)
        if status is None:
            return failed(PlanNotFound(f"no plan {plan_id} is stored", plan_id))
        if status.state is PlanState.STOPPED:
            return failed(PlanStopped(f"plan {plan_id} is stopped already", plan_id))
        return self._parts.client.halt(plan_id, audit)

    def ping(self, world_id: str, timeout: float = 5.0) -> Future[bool]:
        """True when that executor's core answers within ``timeout`` seconds.

        A client world has no core to answer: for it, true while its record stands and its process
        is not known to be gone. The future fails with :class:`RequestTimeout` or
        :class:`UnknownReceiver` otherwise.
        """
        self._check_alive()
        timeout_s = arguments.seconds("timeout", timeout)
        client = self._client_named(world_id)
        if client is not None:
            return _answered(client)
        return self._parts.client.ping(world_id, timeout_s)

    def execution_status(
        self, world_id: str, plan_id: str | None = None, timeout: float = 5.0
    ) -> Future[dict[str, dict[str, int]]]:
        """How busy that executor is, per queue: ``pool_size``, ``free_workers``, ``queue_size``."""
        self._check_alive()
        timeout_s = arguments.seconds("timeout", timeout)
        wanted = None if plan_id is None else plan_id_of(plan_id)
        return self._parts.client.status(arguments.world_id(world_id), wanted, timeout_s)

    def workers_report(self, world_id: str, timeout: float = 5.0) -> Future[WorkersReport]:
        """Which workers that executor has, what each of them is at, and what became of others.

        The future fails with :class:`RequestTimeout`, :class:`UnknownReceiver`, or :class:`RequestError` for a client.
        """
        self._check_alive()
        timeout_s = arguments.seconds("timeout", timeout)
        client = self._client_named(world_id)
        if client is not None:
            return failed(RequestError(f"world {client.id} is a client: it has no workers"))
        return self._parts.client.workers(world_id, timeout_s)

    def drain(self, world_id: str, timeout: float = 5.0, *, by: str | None = None) -> Future[bool]:
        """Have a supervisor end as on SIGTERM: it takes nothing new, running steps get their time; true once it has begun to.

        The future fails with :class:`RequestError` for a world that is no supervisor, :class:`RequestTimeout`, or
        :class:`UnknownReceiver`. ``by``: who wants it, which is then written down.
        """
        self._check_alive()
        timeout_s = arguments.seconds("timeout", timeout)
        client = self._client_named(world_id)
        if client is not None or world_id == self.id:
            return failed(
                RequestError(f"world {world_id} is no supervisor: who has made it ends it, with terminate()")
            )
        return self._parts.client.drain(world_id, timeout_s, self._noted(by, None, f"drain world {world_id}"))

    def _client_named(self, world_id: str) -> WorldRecord | None:
        """The record of that world if it is one without workers. Raises :class:`BadArgument`."""
        found = self.coordinator.find_worlds(id=arguments.world_id(world_id))
        return next((record for record in found if not record.executor), None)

    def auto_execute(self) -> list[Future[ExecutionPlan]]:
        """Execute plans that were planned or left paused without an error and that nobody runs.

        Not sub-plans that their caller holds back: it has them started as its limits allow. Whoever planned one and
        is about to execute it is not refused because of this. Returns their futures; an empty list while another
        world does the same.
        """
        self._check_alive()
        try:
            with self.coordinator.holding(AutoExecuteLock(self.id)):
                found = self._parts.store.find_execution_plans(
                    {"state": [PlanState.PLANNED, PlanState.PAUSED], "result": _WITHOUT_ERROR}
                )
                left = [row for row in found if row.owner_id is None and not _held_back(row)]
                return [self._execute(row.id, yielding=True) for row in left]
        except LockTaken:
            log.info("auto-execute runs elsewhere", extra={"action": "auto_execute_skipped"})
            return []


def _answered(client: WorldRecord) -> Future[bool]:
    """What a ping of a client world comes to: its record says it (decisions.md 29)."""
    if gone(client):
        return failed(RequestTimeout(f"the process of client world {client.id} is gone"))
    return with_result(True)


def _held_back(row: PlanRow) -> bool:
    """Whether this is a sub-plan that its caller does not let start yet."""
    is_sub_plan = row.caller_execution_plan_id is not None
    return is_sub_plan and row.state is PlanState.PLANNED and row.requested_at is None
