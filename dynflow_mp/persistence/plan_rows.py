"""Changes to a plan's row outside of turns: it is asked for, taken from its owner, stopped without being read."""

from __future__ import annotations

from sqlalchemy import Connection, case, delete, literal_column, null, select, text, update

from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.persistence.statements import Statement
from dynflow_mp.persistence.tables import delayed_plans, events, execution_plans

_RUNNING = execution_plans.c.state == PlanState.RUNNING.value
_REQUESTABLE = (PlanState.PLANNED.value, PlanState.PAUSED.value)
_IS_RUNNING = execution_plans.c.state == literal_column(f"'{PlanState.RUNNING.value}'")
_RUNNING_OWNERS = Statement(
    select(execution_plans.c.owner_id).where(_IS_RUNNING, execution_plans.c.owner_id.is_not(None)).distinct(),
    (),
)
_RUNNING_UNOWNED = Statement(
    select(execution_plans.c.id)
    .where(_IS_RUNNING, execution_plans.c.owner_id.is_(None))
    .suffix_with(text("LIMIT 1")),
    (),
)


def request(connection: Connection, plan_id: str, now: int) -> None:
    """A planned or paused plan is asked for, if it was not; one whose deadline has passed has none any more."""
    columns = execution_plans.c
    too_late = (columns.state == PlanState.PAUSED.value) & (columns.deadline_at <= now)
    asked = (
        update(execution_plans)
        .where(
            execution_plans.c.id == plan_id,
            execution_plans.c.requested_at.is_(None),
            execution_plans.c.state.in_(_REQUESTABLE),
        )
        .values(requested_at=now, deadline_at=case((too_late, null()), else_=columns.deadline_at))
    )
    connection.execute(asked)


def disown(connection: Connection, plan_id: str, owner_id: str) -> None:
    """Take a plan from an owner that is no more; a running one is left paused, with an error."""
    running = execution_plans.c.state == PlanState.RUNNING.value
    columns = execution_plans.c
    connection.execute(
        update(execution_plans)
        .where(columns.id == plan_id, columns.owner_id == owner_id)
        # In this order: MariaDB compares with what the statement itself has set before.
        .ordered_values(
            (columns.owner_id, None),
            (columns.requested_at, case((running, null()), else_=columns.requested_at)),
            (columns.result, case((running, Result.ERROR.value), else_=columns.result)),
            (columns.state, case((running, PlanState.PAUSED.value), else_=columns.state)),
        )
    )


def running_owners(connection: Connection) -> set[str]:
    """Whom running plans name as their owners."""
    return {owner for (owner,) in _RUNNING_OWNERS.run(connection, ()).fetchall()}


def running_of(connection: Connection, owner_id: str, after: str, limit: int) -> list[str]:
    """Ids of running plans that name this owner, in order, behind the id ``after``."""
    columns = execution_plans.c
    query = select(columns.id).where(_IS_RUNNING, columns.owner_id == owner_id, columns.id > after)
    return list(connection.execute(query.order_by(columns.id).limit(limit)).scalars())


def any_running_unowned(connection: Connection) -> bool:
    """Whether a plan is running that nobody owns."""
    return _RUNNING_UNOWNED.run(connection, ()).fetchone() is not None


def let_go_of_unowned(connection: Connection) -> int:
    """Pause them: one that was asked for is asked for still, and whoever claims it looks after its steps."""
    pause = update(execution_plans).where(_RUNNING, execution_plans.c.owner_id.is_(None))
    return connection.execute(pause.values(state=PlanState.PAUSED.value)).rowcount


def stop_unreadable(connection: Connection, plan_id: str, now: int) -> bool:
    """Stop a plan that nobody owns, its events with it; False if somebody does."""
    columns = execution_plans.c
    stop = (
        update(execution_plans)
        .where(columns.id == plan_id, columns.owner_id.is_(None))
        .values(
            state=PlanState.STOPPED.value,
            requested_at=None,
            lock_epoch=columns.lock_epoch + 1,
            ended_at=now,
        )
    )
    if connection.execute(stop).rowcount != 1:
        return False
    connection.execute(delete(events).where(events.c.execution_plan_id == plan_id))
    forget_delay(connection, plan_id)
    return True


def forget_delay(connection: Connection, plan_id: str) -> None:
    """A scheduled plan is not to start any more."""
    connection.execute(delete(delayed_plans).where(delayed_plans.c.execution_plan_id == plan_id))
