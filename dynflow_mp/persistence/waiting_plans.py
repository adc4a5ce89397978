"""Which plans wait for their time: those that are due, the next one, what each comes after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from dynflow_mp.model.policies import DEFAULT_QUEUE
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.skeleton import CHUNK
from dynflow_mp.persistence.tables import actions, delayed_plans, execution_plans, plan_dependencies, steps

_SCHEDULED, _STOPPED = PlanState.SCHEDULED.value, PlanState.STOPPED.value
_FAILED = (Result.ERROR.value, Result.CANCELLED.value)

_plan, _delay, _dependency = execution_plans.c, delayed_plans.c, plan_dependencies.c
_before = execution_plans.alias("prerequisites")


class DuePlan(NamedTuple):
    """A scheduled plan whose time has come; ``start_before`` microseconds UTC, ``input`` what ``delay`` left."""

    id: str
    action_class: str
    queue: str
    start_before: int | None
    arguments: bytes
    input: bytes


class Waiting:
    """What is read about scheduled plans; :class:`~dynflow_mp.persistence.schedule.Schedule` also changes it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, now: int, limit: int) -> list[DuePlan]:
        """Scheduled plans to be looked at now, those to start first in front: free to start, or too late already."""
        query = (
            select(
                _delay.execution_plan_id,
                actions.c.action_class,
                steps.c.queue,
                _delay.start_before,
                _delay.arguments,
                actions.c.input,
            )
            .select_from(
                delayed_plans.join(execution_plans, _plan.id == _delay.execution_plan_id)
                .join(
                    steps, and_(steps.c.execution_plan_id == _plan.id, steps.c.id == _plan.root_plan_step_id)
                )
                .join(
                    actions, and_(actions.c.execution_plan_id == _plan.id, actions.c.id == steps.c.action_id)
                )
            )
            .where(_plan.state == _SCHEDULED, _delay.frozen == 0, _is_due(now))
            .order_by(_delay.start_at.is_not(None), _delay.start_at, _delay.execution_plan_id)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [DuePlan(row[0], row[1], row[2] or DEFAULT_QUEUE, *row[3:]) for row in rows]

    def next_time(self, now: int) -> int | None:
        """When the next plan is to be looked at: the earliest time after ``now`` that any of them names."""
        with self._database.read() as connection:
            times = [
                connection.execute(
                    select(func.min(column)).where(_delay.frozen == 0, column > now)
                ).scalar_one()
                for column in (_delay.start_at, _delay.start_before)
            ]
        return min((time for time in times if time is not None), default=None)

    def failed_prerequisites(self, plan_ids: Sequence[str]) -> dict[str, list[str]]:
        """By plan, those it was to come after that stopped without having done what they were for."""
        found: dict[str, list[str]] = {}
        query = (
            select(_dependency.execution_plan_id, _dependency.blocked_by_id)
            .join(_before, _before.c.id == _dependency.blocked_by_id)
            .where(_before.c.state == _STOPPED, _before.c.result.in_(_FAILED))
            .order_by(_dependency.blocked_by_id)
        )
        with self._database.read() as connection:
            for start in range(0, len(plan_ids), CHUNK):
                some = list(plan_ids[start : start + CHUNK])
                for plan_id, before in connection.execute(
                    query.where(_dependency.execution_plan_id.in_(some))
                ):
                    found.setdefault(plan_id, []).append(before)
        return found

    def any_chained(self) -> bool:
        """Whether any plan that waits comes after others."""
        query = (
            select(_dependency.execution_plan_id)
            .join(delayed_plans, _delay.execution_plan_id == _dependency.execution_plan_id)
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def prerequisites(self, plan_id: str) -> list[str]:
        """The plans that this one comes after."""
        query = (
            select(_dependency.blocked_by_id)
            .where(_dependency.execution_plan_id == plan_id)
            .order_by(_dependency.blocked_by_id)
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def strays(self) -> dict[str, str]:
        """Plans with a delay record that are not scheduled, and their states."""
        query = (
            select(_plan.id, _plan.state)
            .join(delayed_plans, _delay.execution_plan_id == _plan.id)
            .where(_plan.state != _SCHEDULED)
        )
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}


def _is_due(now: int) -> ColumnElement[bool]:
    """Its time has come and all it waits for has stopped – or it is too late, whatever it waits for."""
    unfinished = exists().where(
        _dependency.execution_plan_id == _delay.execution_plan_id,
        _dependency.blocked_by_id == _before.c.id,
        _before.c.state != _STOPPED,
    )
    started = or_(_delay.start_at.is_(None), _delay.start_at <= now)
    return or_(and_(started, ~unfinished), _delay.start_before <= now)
