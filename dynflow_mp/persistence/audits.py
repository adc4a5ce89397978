"""Deeds of people, as rows that are only ever added, and go with the plan they are about."""

from __future__ import annotations

from sqlalchemy import Connection, select

from dynflow_mp.model.audits import Audit
from dynflow_mp.persistence.statements import inserting
from dynflow_mp.persistence.tables import audits

_INSERT = inserting(audits, or_nothing=True)
_COLUMNS = select(audits)


def add(connection: Connection, audit: Audit | None) -> None:
    """Add one, in the caller's transaction; once, also when that is done again. None: nobody wants it known."""
    if audit is not None:
        _INSERT.run(connection, audit)


def of_plan(connection: Connection, plan_id: str) -> list[Audit]:
    """All that was done to a plan, in order."""
    query = _COLUMNS.where(audits.c.execution_plan_id == plan_id).order_by(audits.c.id)
    return [Audit(*row) for row in connection.execute(query)]


def latest(
    connection: Connection,
    plan_id: str | None,
    by: str | None,
    since: int | None,
    before: str | None,
    most: int,
) -> list[Audit]:
    """At most so many, the latest first; only those of a plan, of somebody, from a time on, older than that id."""
    query = _COLUMNS.order_by(audits.c.id.desc()).limit(most)
    if plan_id is not None:
        query = query.where(audits.c.execution_plan_id == plan_id)
    if by is not None:
        query = query.where(audits.c.done_by == by)
    if since is not None:
        query = query.where(audits.c.done_at >= since)
    if before is not None:
        query = query.where(audits.c.id < before)
    return [Audit(*row) for row in connection.execute(query)]
