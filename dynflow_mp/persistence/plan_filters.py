"""Which plans, in which order, which page of them: checked, never pasted into SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, false, literal, or_, select

from dynflow_mp.errors import QueryError
from dynflow_mp.model.certificates import BEFORE_LAST_WORDS
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.persistence.action_classes import Classes, classes_meant
from dynflow_mp.persistence.column_types import Blob, PlaceOf
from dynflow_mp.persistence.tables import actions, delayed_plans, execution_plans, steps

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
CONTAINS, SINCE, UNTIL, ACTION, ERROR = (
    *("label_contains", "started_since", "started_until", "action_class", "error_contains"),
)
"""More that plans are found by: a part of the label, a span of time, the class of any action, a text in errors of steps."""
MOST_SEARCHED = 10_000
"""In so many plans, the newest that have errors, a text is looked for."""
SEARCHING = (CONTAINS, ACTION, ERROR)
"""Filters for which very many plans may be looked at that they do not let through."""
_TIMES = frozenset({"started_at", "ended_at", "requested_at", "created_at", SINCE, UNTIL})
_TROUBLED = (Result.ERROR.value, Result.WARNING.value, Result.CANCELLED.value)
_RUNNING = PlanState.RUNNING.value
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def filtered(query: Select[Any], filters: Filters | None) -> Select[Any]:
    """The plans that these filters let through; :class:`QueryError` for what cannot be asked."""
    if not filters:
        return query
    if not isinstance(filters, Mapping):
        raise QueryError(f"filters must be a mapping of columns to values, not {filters!r}")
    allowed = {**{name: execution_plans.c[name] for name in METADATA}, **_PSEUDO}
    given = {str(name): value for name, value in filters.items()}
    conditions = [ask(given.pop(name)) for name, ask in _ASKED.items() if name in given]
    error = given.pop(ERROR, None)
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        known = ", ".join((*allowed, *_ASKED, ERROR))
        raise QueryError(f"plans cannot be filtered by {', '.join(unknown)}; by {known} they can", unknown[0])
    if "caller_action_id" in given and "caller_execution_plan_id" not in given:
        raise QueryError("caller_action_id names an action only together with caller_execution_plan_id")
    conditions += [_matching(name, allowed[name], value) for name, value in given.items()]
    if error is not None:
        conditions.append(_failed_with(error, tuple(conditions)))
    return query.where(*conditions)


def _waits(wanted: Any) -> ColumnElement[bool]:
    """Whether a plan has a delay record."""
    if not isinstance(wanted, bool):
        raise QueryError(f"{_DELAYED}={wanted!r}: must be true or false")
    there = exists().where(delayed_plans.c.execution_plan_id == execution_plans.c.id)
    return there if wanted else ~there


def with_full_names(connection: Connection, filters: Filters | None) -> Filters | None:
    """The same filters, with every class named as it is stored: they may name it without its module."""
    if not isinstance(filters, Mapping) or ACTION not in filters:
        return filters
    given = filters[ACTION]
    names = given if isinstance(given, (list, tuple, set, frozenset)) else [given]
    return {**filters, ACTION: classes_meant(connection, [_text(ACTION, name) for name in names])}


def _labelled(part: Any) -> ColumnElement[bool]:
    """Whatever the case of letters is; on SQLite that goes for ASCII's."""
    return execution_plans.c.label.icontains(_text(CONTAINS, part), autoescape=True)


def _since(time: Any) -> ColumnElement[bool]:
    return cast("ColumnElement[bool]", execution_plans.c.started_at >= _moment(SINCE, time))


def _until(time: Any) -> ColumnElement[bool]:
    return cast("ColumnElement[bool]", execution_plans.c.started_at < _moment(UNTIL, time))


def _with_action(given: Any) -> ColumnElement[bool]:
    """Looked up from the actions if there are few of the classes, else from the plans."""
    names = given.names if isinstance(given, Classes) else [given] if isinstance(given, str) else given
    of_class = actions.c.action_class.in_([_text(ACTION, name) for name in names])
    if isinstance(given, Classes) and given.frequent:
        return exists().where(of_class, actions.c.execution_plan_id == execution_plans.c.id)
    return execution_plans.c.id.in_(select(actions.c.execution_plan_id).where(of_class))


def _failed_with(text: Any, others: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Errors are stored with their texts as they are. Looked into are the newest plans that have any, so many at most.

    What a step printed before it died does not count: secrets in it are hidden only when it is shown, and whoever may
    search in it could guess them, letter by letter.
    """
    place = PlaceOf(steps.c.error, literal(_text(ERROR, text).encode(), Blob()))
    printed = PlaceOf(steps.c.error, literal(BEFORE_LAST_WORDS, Blob()))
    there = exists().where(
        steps.c.execution_plan_id == execution_plans.c.id,
        steps.c.error.is_not(None),
        place > 0,
        or_(printed == 0, place < printed),
    )
    newest = (
        select(execution_plans.c.id)
        .where(troubled(), *others)
        .order_by(execution_plans.c.started_at.desc(), execution_plans.c.id.desc())
        .limit(MOST_SEARCHED)
        .subquery()
    )
    return and_(execution_plans.c.id.in_(select(newest.c.id)), there)


def troubled() -> ColumnElement[bool]:
    """Plans that may have errors: they did not go well, or are not over."""
    return or_(execution_plans.c.result.in_(_TROUBLED), execution_plans.c.state == _RUNNING)


def _text(name: str, given: Any) -> str:
    if not isinstance(given, str):
        raise QueryError(f"{name}: a {type(given).__name__} is no text", name)
    return str.__str__(given)


def _moment(name: str, given: Any) -> Any:
    if not isinstance(given, datetime):
        raise QueryError(f"{name}: a {type(given).__name__} is no time", name)
    return _stored(name, given)


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


_ASKED: Mapping[str, Callable[[Any], ColumnElement[bool]]] = {
    _DELAYED: _waits,
    CONTAINS: _labelled,
    SINCE: _since,
    UNTIL: _until,
    ACTION: _with_action,
}


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
