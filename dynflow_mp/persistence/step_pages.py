"""Some steps of a plan that may have very many."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.persistence.queries import read_steps
from dynflow_mp.persistence.rows import StepRow
from dynflow_mp.persistence.tables import steps


def read_step_page(
    connection: Connection,
    plan_id: str,
    phase: Phase | None,
    state: StepState | None,
    page: int,
    per_page: int,
) -> tuple[list[StepRow], int]:
    """A page of a plan's steps by their ids, of one phase or state if given; and how many there are of them."""
    wanted = [steps.c.execution_plan_id == plan_id]
    wanted += [] if phase is None else [steps.c.phase == phase.value]
    wanted += [] if state is None else [steps.c.state == state.value]
    total = connection.execute(select(func.count()).select_from(steps).where(*wanted)).scalar_one()
    query = select(steps.c.id).where(*wanted).order_by(steps.c.id).limit(per_page).offset(page * per_page)
    ids = list(connection.execute(query).scalars())
    return read_steps(connection, plan_id, ids), int(total)
