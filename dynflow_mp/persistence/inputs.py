"""Changing an action's stored input, and with it what its plan knows of who needs whose output."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from dynflow_mp.errors import PlanNotFound
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.persistence.tables import actions, execution_plans

_NO_LIMIT = 2**40


def put_input(
    connection: Connection,
    plan_id: str,
    action_id: int,
    data: bytes,
    references: bytes | None = None,
    producers: Sequence[int] = (),
) -> None:
    """Give an action another input; ``producers`` are the actions that its ``references`` refer to.

    The caller's transaction has locked the plan's row. Raises :class:`PlanNotFound` for an action that is not there.
    """
    change = (
        update(actions)
        .where(actions.c.execution_plan_id == plan_id, actions.c.id == action_id)
        .values(input=data, references=references)
    )
    if connection.execute(change).rowcount != 1:
        raise PlanNotFound(f"plan {plan_id} has no action {action_id}", plan_id)
    this_plan = execution_plans.c.id == plan_id
    stored = connection.execute(select(execution_plans.c.dependencies).where(this_plan)).scalar_one()
    needs = {**dict(decode(stored)), action_id: list(producers)}
    kept = [[consumer, made] for consumer, made in needs.items() if made]
    packed = encode(kept, "dependencies", _NO_LIMIT)
    connection.execute(update(execution_plans).where(this_plan).values(dependencies=packed))
