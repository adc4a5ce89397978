"""Plans that wait for their time: stored, found when they are due, and let go.

    save ─▶ scheduled ─▶ begin_planning ─▶ planning ─┬─ store_planned ─▶ planned, requested (or stopped)
                │  ▲                                 ├─ give_back (planner gone) ─▶ scheduled
                │  ╰─────────────────────────────────╯
                ╰─▶ stop (too late, prerequisite failed, cancelled) ─▶ stopped

A delay record is there exactly as long as the plan waits. Whoever plans also holds a planning lock, which is the
caller's to take and to give up in the same transaction (``within``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from dynflow_mp.clock import now_us
from dynflow_mp.errors import NotScheduled, PlanNotFound
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.hooks import kinds_of
from dynflow_mp.model.plans import DelayRecord, HistoryEntry, PlannedPlan, history_from_data, history_to_data
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.persistence import new_plans, plan_rows, planned
from dynflow_mp.persistence.database import Fence
from dynflow_mp.persistence.hook_rows import note_for_waiting
from dynflow_mp.persistence.skeleton import CHUNK
from dynflow_mp.persistence.tables import delayed_plans, execution_plans, plan_dependencies, steps
from dynflow_mp.persistence.waiting_plans import Waiting

Within = Callable[[Connection], None]
"""Done in the same transaction; what it raises undoes all of it."""

_NO_LIMIT = 2**40
_SCHEDULED, _PLANNING = PlanState.SCHEDULED.value, PlanState.PLANNING.value
_STOPPED = PlanState.STOPPED.value

_plan, _delay = execution_plans.c, delayed_plans.c


class End(NamedTuple):
    """How a scheduled plan ends without having been planned. ``error`` are the bytes of its root step's error."""

    step_state: StepState
    result: Result
    note: str | None
    """Its last line of history."""
    error: bytes | None = None


CANCELLED = End(StepState.CANCELLED, Result.CANCELLED, "Delayed task cancelled")


class Schedule(Waiting):
    """All that is stored about scheduled plans. Any thread may call it; every call is one short transaction."""

    # -- scheduling ------------------------------------------------------------------------------------

    def save(
        self,
        plan: PlannedPlan,
        record: DelayRecord,
        prerequisites: Sequence[str],
        now: int,
        fence: Fence | None = None,
    ) -> None:
        """Store a scheduled plan with its delay record. Raises :class:`PlanNotFound` for a prerequisite that is not there."""
        rows = [{"execution_plan_id": plan.id, "blocked_by_id": before} for before in prerequisites]

        def store_it(connection: Connection, in_doubt: bool) -> None:
            if in_doubt and planned.is_stored(connection, plan.id, now):
                return
            _require(connection, prerequisites)
            planned.insert_plan(connection, plan, None, now)
            new_plans.note_scheduled(connection, plan, now)
            connection.execute(insert(delayed_plans).values(_record_values(plan.id, record)))
            if rows:
                connection.execute(insert(plan_dependencies), rows)

        self._database.change(store_it, fence)

    def set_frozen(
        self,
        plan_id: str,
        frozen: bool,
        new_start_at: int | None = None,
        fence: Fence | None = None,
        within: Within | None = None,
    ) -> None:
        """Keep a plan from starting, or let it. Raises :class:`NotScheduled` for one that does not wait (any more)."""
        values: dict[str, Any] = {"frozen": int(frozen)}
        if new_start_at is not None:
            values["start_at"] = new_start_at
        change = update(delayed_plans).where(_delay.execution_plan_id == plan_id).values(values)
        there = select(_delay.execution_plan_id).where(_delay.execution_plan_id == plan_id)

        def set_it(connection: Connection, _in_doubt: bool) -> None:
            # A change that changes nothing touches no row on MySQL: whether it is there is asked apart.
            if connection.execute(there.with_for_update()).first() is None:
                raise NotScheduled(f"plan {plan_id} does not wait for its time", plan_id)
            connection.execute(change)
            if within is not None:
                within(connection)

        self._database.change(set_it, fence)

    def record(self, plan_id: str) -> DelayRecord:
        """When a plan may start. Raises :class:`NotScheduled`."""
        query = select(_delay.start_at, _delay.start_before, _delay.frozen, _delay.arguments).where(
            _delay.execution_plan_id == plan_id
        )
        row = self._database.ask(lambda connection: connection.execute(query).first())
        if row is None:
            raise NotScheduled(f"plan {plan_id} does not wait for its time", plan_id)
        return DelayRecord(row[0], row[1], bool(row[2]), row[3])

    # -- planning --------------------------------------------------------------------------------------

    def begin_planning(self, plan_id: str, fence: Fence, within: Within) -> bool:
        """A worker is about to plan it; false when it does not wait any more (it was cancelled)."""
        return self._move(plan_id, _SCHEDULED, _PLANNING, fence, within)

    def give_back(self, plan_id: str, fence: Fence, within: Within) -> bool:
        """It was not planned after all: it waits again."""
        return self._move(plan_id, _PLANNING, _SCHEDULED, fence, within)

    def _move(self, plan_id: str, before: str, after: str, fence: Fence, within: Within) -> bool:
        change = update(execution_plans).where(_plan.id == plan_id, _plan.state == before).values(state=after)

        def move(connection: Connection, in_doubt: bool) -> bool:
            moved = connection.execute(change).rowcount == 1
            if moved:
                within(connection)
            return moved or (in_doubt and _state_of(connection, plan_id) == after)

        return self._database.change(move, fence)

    def store_planned(
        self, plan: PlannedPlan, requested_at: int | None, fence: Fence, within: Within
    ) -> bool:
        """Put what a worker planned in the place of the plan's one step; false if it is not to be planned any more."""

        def store_it(connection: Connection, in_doubt: bool) -> bool:
            row = _locked(connection, plan.id)
            if row is None or row[0] != _PLANNING:
                return in_doubt and row is not None and row[0] not in (_SCHEDULED, _STOPPED)
            within(connection)
            history = (*history_from_data(decode(row[1])), *plan.history)
            fit = new_plans.fit_or_refused(connection, plan._replace(history=history), now_us())
            asked_at = requested_at if fit.state is not PlanState.STOPPED else None
            planned.fill_plan(connection, fit, asked_at)
            new_plans.hold_key(connection, fit)
            new_plans.note_planned_late(connection, fit, now_us())
            plan_rows.forget_delay(connection, plan.id)
            return True

        while True:
            try:
                return self._database.change(store_it, fence)
            except new_plans.KeyRaced:
                continue  # who was quicker is found now

    def stop(
        self,
        plan_id: str,
        end: End,
        world_id: str,
        now: int,
        fence: Fence | None = None,
        within: Within | None = None,
    ) -> bool:
        """End a plan that waits, or is being planned; false when it does neither: then nothing has changed."""

        def stop_it(connection: Connection, in_doubt: bool) -> bool:
            row = _locked(connection, plan_id)
            if row is None or row[0] not in (_SCHEDULED, _PLANNING):
                return in_doubt and row is not None and row[0] == _STOPPED
            if within is not None:
                within(connection)
            history = history_from_data(decode(row[1]))
            if end.note is not None:
                history = (*history, HistoryEntry(now, end.note, world_id))
            connection.execute(_stopping(plan_id, end, history, now))
            connection.execute(_ending_of_root(plan_id, row[2], end, now))
            kinds = kinds_of(PlanState.STOPPED, end.result, halted=False)
            note_for_waiting(connection, [plan_id], kinds, end.result, now)
            plan_rows.forget_delay(connection, plan_id)
            return True

        return self._database.change(stop_it, fence)

    def cancel(
        self,
        plan_id: str,
        world_id: str,
        now: int,
        fence: Fence | None = None,
        within: Within | None = None,
    ) -> bool:
        """Cancel a plan that waits; false when it does not: then it is to be cancelled like any other.

        One that is being planned at this moment is cancelled, too: what comes of the planning is not stored.
        """
        with self._database.read() as connection:
            if _state_of(connection, plan_id) not in (_SCHEDULED, _PLANNING):
                return False
        return self.stop(plan_id, CANCELLED, world_id, now, fence, within)

    def forget(self, plan_id: str, fence: Fence | None = None) -> None:
        """Delete the delay record of a plan that does not wait, if it has one."""
        self._database.change(
            lambda connection, _in_doubt: plan_rows.forget_delay(connection, plan_id), fence
        )


def _record_values(plan_id: str, record: DelayRecord) -> dict[str, Any]:
    return {
        "execution_plan_id": plan_id,
        "start_at": record.start_at,
        "start_before": record.start_before,
        "frozen": int(record.frozen),
        "arguments": record.arguments,
    }


def _require(connection: Connection, plan_ids: Sequence[str]) -> None:
    there: set[str] = set()
    for start in range(0, len(plan_ids), CHUNK):
        some = list(plan_ids[start : start + CHUNK])
        there.update(connection.execute(select(_plan.id).where(_plan.id.in_(some))).scalars())
    for plan_id in plan_ids:
        if plan_id not in there:
            raise PlanNotFound(f"no plan {plan_id} is stored: nothing can come after it", plan_id)


def _locked(connection: Connection, plan_id: str) -> Any:
    """State, history and root step of a plan, whose row stays as it is until the transaction ends."""
    query = select(_plan.state, _plan.history, _plan.root_plan_step_id).where(_plan.id == plan_id)
    return connection.execute(query.with_for_update()).first()


def _state_of(connection: Connection, plan_id: str) -> str | None:
    return connection.execute(select(_plan.state).where(_plan.id == plan_id)).scalar_one_or_none()


def _stopping(plan_id: str, end: End, history: Sequence[HistoryEntry], now: int) -> Any:
    return (
        update(execution_plans)
        .where(_plan.id == plan_id)
        .values(
            state=_STOPPED,
            result=end.result.value,
            history=encode(history_to_data(history), "history", _NO_LIMIT),
            ended_at=now,
            requested_at=None,
        )
    )


def _ending_of_root(plan_id: str, step_id: int, end: End, now: int) -> Any:
    return (
        update(steps)
        .where(steps.c.execution_plan_id == plan_id, steps.c.id == step_id)
        .values(state=end.step_state.value, error=end.error, ended_at=now)
    )
