"""Storing a new plan with what it is to hold: its unique key, and the locks of its singleton classes.

make way for the key ─▶ locks ─┬─ all taken ─▶ rows, key        one transaction
                               └─ another plan has one ─▶ rolled back; stored as a plan that could not be planned
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from sqlalchemy import Connection

from dynflow_mp.errors import AlreadyActive, PersistenceError, UniqueKeyTaken
from dynflow_mp.model.held_by_plans import OnConflict
from dynflow_mp.model.hooks import kinds_of
from dynflow_mp.model.plans import PlannedPlan, PlannedStep
from dynflow_mp.model.states import Phase, PlanState, StepState, result_of
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.persistence.held_by_plans import give_up_locks, holder_of, keep_key, make_way, take_locks
from dynflow_mp.persistence.hook_rows import note_for_new
from dynflow_mp.persistence.planned import insert_plan, insert_plans


class LockRefused(Exception):
    """Not an error: another plan of a singleton class is active. Leaves the transaction, which is rolled back."""

    def __init__(self, action_class: str) -> None:
        super().__init__(action_class)
        self.error = AlreadyActive(action_class)


class KeyRaced(Exception):
    """Not an error: another plan took the key meanwhile. Leaves the transaction, which is rolled back."""


def store_new(
    connection: Connection, plan: PlannedPlan, requested_at: int | None, now: int, on_conflict: OnConflict
) -> None:
    """Insert a plan. Raises :class:`UniqueKeyTaken`, ``KeyHeld``, :class:`KeyRaced` or :class:`LockRefused`."""
    if plan.state is PlanState.STOPPED:  # it ended with its planning: it holds nothing
        insert_plan(connection, plan._replace(unique_key=None), None, now)
        note_for_new(connection, plan, 0, _planned_kinds(plan, PlanState.PENDING), now)
        return
    if plan.unique_key is not None:
        make_way(connection, plan.unique_key, on_conflict, now)
    lacking = take_locks(connection, [(name, plan.id) for name in plan.singletons])
    if lacking:
        raise LockRefused(lacking[plan.id])
    insert_plan(connection, plan, requested_at, now)
    note_for_new(connection, plan, 0, _planned_kinds(plan, PlanState.PENDING), now)
    hold_key(connection, plan)


def _planned_kinds(plan: PlannedPlan, *before: PlanState) -> list[str]:
    """What a plan went through until it was planned, or could not be."""
    return [*before, PlanState.PLANNING, *kinds_of(plan.state, plan.result)]


def note_scheduled(connection: Connection, plan: PlannedPlan, now: int) -> None:
    """Note hooks for a plan that waits for its time."""
    note_for_new(connection, plan, 0, (PlanState.PENDING, PlanState.SCHEDULED), now)


def note_planned_late(connection: Connection, plan: PlannedPlan, now: int) -> None:
    """Note hooks for a plan that has waited."""
    note_for_new(connection, plan, 1, _planned_kinds(plan), now)


def fit_or_refused(
    connection: Connection, plan: PlannedPlan, now: int, keys: Mapping[str, str] = MappingProxyType({})
) -> PlannedPlan:
    """For plans that nobody waits to be told about (planned late, or by a step): take the locks of its classes.

    ``keys`` are the plans that are about to hold keys, by key. A plan that cannot have all it is to hold comes back as one that could not be planned. Once its row is there,
    :func:`hold_key` follows.
    """
    if plan.state is PlanState.STOPPED:
        return plan._replace(unique_key=None)
    if plan.unique_key is not None:
        holder = holder_of(connection, plan.unique_key)
        holder_id = keys.get(plan.unique_key) if holder is None else holder.plan_id
        if holder_id is not None:
            return refused(plan, UniqueKeyTaken(plan.unique_key, holder_id), now)
    lacking = take_locks(connection, [(name, plan.id) for name in plan.singletons])
    if lacking:
        give_up_locks(connection, [plan.id])
        return refused(plan, AlreadyActive(lacking[plan.id]), now)
    return plan


def store_triggered(
    connection: Connection, triggered: Iterable[tuple[PlannedPlan, int | None]], now: int
) -> None:
    """Insert plans that steps have triggered; with each goes when it was requested, None if it was not."""
    plans: list[tuple[PlannedPlan, int | None]] = []
    keys: dict[str, str] = {}  # those of this turn have no row yet
    for plan, requested_at in triggered:
        fit = fit_or_refused(connection, plan, now, keys)
        if fit.unique_key is not None:
            keys[fit.unique_key] = fit.id
        plans.append((fit, requested_at if fit.state is plan.state else None))
    insert_plans(connection, plans, now)
    for plan, _ in plans:
        note_for_new(connection, plan, 0, _planned_kinds(plan, PlanState.PENDING), now)
        try:
            hold_key(connection, plan)
        except KeyRaced:
            # All of the turn is done again, and finds who was quicker.
            raise PersistenceError(
                f"the unique key {plan.unique_key!r} was taken meanwhile", "locked"
            ) from None


def hold_key(connection: Connection, plan: PlannedPlan) -> None:
    """Have a plan whose row is there hold its key. Raises :class:`KeyRaced`: all of the transaction is to be done again."""
    if plan.unique_key is not None and not keep_key(connection, plan.unique_key, plan.id):
        raise KeyRaced


def refused(plan: PlannedPlan, error: AlreadyActive | UniqueKeyTaken, now: int) -> PlannedPlan:
    """The plan as one that could not be planned, with the error on the actions of the class it is about, or the root."""
    kind = type(error)
    record = ErrorRecord(f"{kind.__module__}.{kind.__qualname__}", str(error)).to_bytes()
    action_class = error.action_class if isinstance(error, AlreadyActive) else plan.steps[0].action_class
    steps = [_failed(step, record) if _plans(step, action_class) else step for step in plan.steps]
    spent_s = (now - plan.started_at) / 1e6 if plan.started_at is not None else 0.0
    return plan._replace(
        state=PlanState.STOPPED,
        result=result_of(step.state for step in steps),
        steps=steps,
        ended_at=now,
        execution_time=sum(step.execution_time for step in steps),
        real_time=max(0.0, spent_s),
        unique_key=None,
    )


def _plans(step: PlannedStep, action_class: str) -> bool:
    return step.phase is Phase.PLAN and step.action_class == action_class


def _failed(step: PlannedStep, record: bytes) -> PlannedStep:
    return step._replace(state=StepState.ERROR, error=record)
