"""Which plans, in which order, which page of them: checked, never pasted into SQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, exists, false, or_

from dynflow_mp.errors import QueryError
from dynflow_mp.persistence.tables import delayed_plans, execution_plans

Filters = Mapping[str, Any]

METADATA = (
    "label",
    "state",
    "result",
    "started_at",
    "ended_at",
    "execution_time",
    "real_time",
    "root_plan_step_id",
    "requested_at",
    "created_at",
    "owner_id",
    "step_count",
)
"""What plans can be filtered and ordered by."""
_PSEUDO = {
    "uuid": execution_plans.c.id,
    "id": execution_plans.c.id,
    "caller_execution_plan_id": execution_plans.c.caller_execution_plan_id,
    "caller_action_id": execution_plans.c.caller_action_id,
}
_DELAYED = "delayed"
"""Whether a plan waits for its time: no column, but to be asked for like one."""
_TIMES = frozenset({"started_at", "ended_at", "requested_at", "created_at"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def filtered(query: Select[Any], filters: Filters | None) -> Select[Any]:
    """The plans that these filters let through; :class:`QueryError` for what cannot be asked."""
    if not filters:
        return query
    if not isinstance(filters, Mapping):
        raise QueryError(f"filters must be a mapping of columns to values, not {filters!r}")
    allowed = {**{name: execution_plans.c[name] for name in METADATA}, **_PSEUDO}
    given = {str(name): value for name, value in filters.items()}
    if _DELAYED in given:
        query = query.where(_waits(given.pop(_DELAYED)))
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise QueryError(
            f"plans cannot be filtered by {', '.join(unknown)}; by {', '.join((*allowed, _DELAYED))} they can"
        )
    if "caller_action_id" in given and "caller_execution_plan_id" not in given:
        raise QueryError("caller_action_id names an action only together with caller_execution_plan_id")
    return query.where(*(_matching(name, allowed[name], value) for name, value in given.items()))


def _waits(wanted: Any) -> ColumnElement[bool]:
    """Whether a plan has a delay record."""
    if not isinstance(wanted, bool):
        raise QueryError(f"{_DELAYED}={wanted!r}: must be true or false")
    there = exists().where(delayed_plans.c.execution_plan_id == execution_plans.c.id)
    return there if wanted else ~there


def _matching(name: str, column: Any, value: Any) -> ColumnElement[bool]:
    if not isinstance(value, (list, tuple, set, frozenset)):
        value = [value]
    values = [_stored(name, item) for item in value]
    present = [item for item in values if item is not None]
    if len(present) == len(values):
        return cast("ColumnElement[bool]", column.in_(present) if present else false())
    return (
        or_(column.is_(None), column.in_(present))
        if present
        else cast("ColumnElement[bool]", column.is_(None))
    )


def _stored(name: str, value: Any) -> Any:
    """A filter's value as it stands in the table."""
    if value is None:
        return None
    if isinstance(value, datetime):
        if name not in _TIMES:
            raise QueryError(f"{name} is no time, so {value!r} cannot be compared with it")
        if value.tzinfo is None:
            raise QueryError(f"{name}: {value!r} has no time zone")
        passed = value - _EPOCH
        return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise QueryError(f"{name}: a {type(value).__name__} cannot be compared with it")


def ordered(query: Select[Any], order_by: str | None, desc: bool, nulls_are_last: bool) -> Select[Any]:
    """What has no value comes first everywhere; the id decides among equals, so that pages never overlap."""
    name = "started_at" if order_by is None else str(order_by)
    if name not in METADATA:
        raise QueryError(f"plans cannot be ordered by {name!r}; by {', '.join(METADATA)} they can")
    key = execution_plans.c.id
    order: ColumnElement[Any] = execution_plans.c[name]
    if desc:
        order = order.desc().nulls_last() if nulls_are_last else order.desc()
        return query.order_by(order, key.desc())
    return query.order_by(order.nulls_first() if nulls_are_last else order, key)


def paged(query: Select[Any], page: int | None, per_page: int | None) -> Select[Any]:
    """One page of them, or all."""
    if page is None:
        return query
    if per_page is None:
        raise QueryError("page needs per_page")
    for name, value, least in (("page", page, 0), ("per_page", per_page, 1)):
        if type(value) is not int or value < least:
            raise QueryError(f"{name}={value!r} must be a whole number from {least}")
    return query.limit(per_page).offset(page * per_page)
