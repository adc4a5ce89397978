"""Finding records by what they are filtered by, which is checked, never pasted into SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Delete, Select, delete, select

from dynflow_mp.errors import QueryError
from dynflow_mp.persistence.tables import coordinator_records

_column = coordinator_records.c
_class: Any = coordinator_records.c["class"]

_FILTERS: Mapping[str, Any] = {
    "class_name": _class,
    "id": _column.id,
    "owner_id": _column.owner_id,
    "state": _column.state,
}


def ordered() -> Select[Any]:
    """All records, by class and id."""
    return select(coordinator_records).order_by(_class, _column.id)


def deleting(class_name: str, record_id: str) -> Delete:
    """The deletion of one record."""
    return delete(coordinator_records).where(_class == class_name, _column.id == record_id)


def matching(query: Select[Any], filters: Mapping[str, Any]) -> Select[Any]:
    """Only what the filters let through: a value or several each. Raises QueryError for an unknown one."""
    refuse_unknown(filters, (*_FILTERS, "exclude_owner_id"))
    for name, value in filters.items():
        values = _several(value)
        if name == "exclude_owner_id":
            query = query.where(_column.owner_id.is_(None) | _column.owner_id.not_in(values))
        else:
            query = query.where(_FILTERS[name].in_(values))
    return query


def _several(value: Any) -> list[str]:
    values = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    return [str.__str__(item) for item in values]


def refuse_unknown(filters: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Raise :class:`QueryError` for a filter that there is not."""
    unknown = sorted(set(filters) - set(allowed))
    if unknown:
        raise QueryError(f"records cannot be found by {', '.join(unknown)}; by {', '.join(allowed)} they can")
