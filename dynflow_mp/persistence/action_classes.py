"""Of which classes actions are stored: few names, found without a look at every action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, literal_column, select

from dynflow_mp.persistence.tables import actions

_CLASS = actions.c.action_class
_FIRST = select(func.min(_CLASS))
_NEXT = select(func.min(_CLASS)).where(bindparam("name") < _CLASS)
_MOST = 2_000
"""More classes than that are not looked through for one that was named without its module."""
_FREQUENT = 20_000


def stored_classes(connection: Connection) -> list[str]:
    """The names of the classes that actions are stored under, in order; each is one step in the index."""
    found: list[str] = []
    name = connection.execute(_FIRST).scalar_one()
    while name is not None and len(found) < _MOST:
        found.append(name)
        name = connection.execute(_NEXT, {"name": name}).scalar_one()
    return found


class Classes(NamedTuple):
    """Classes by the names they are stored under; ``frequent``: very many actions are of them."""

    names: tuple[str, ...]
    frequent: bool


def classes_meant(connection: Connection, given: Sequence[str]) -> Classes:
    """The stored classes that are meant by these names: with their modules, or without."""
    names = _full_names(connection, set(given))
    some = select(literal_column("1")).where(_CLASS.in_(names)).limit(_FREQUENT).subquery()
    number = connection.execute(select(func.count()).select_from(some)).scalar_one() if names else 0
    return Classes(names, number == _FREQUENT)


def _full_names(connection: Connection, given: set[str]) -> tuple[str, ...]:
    own = {name for name in given if "." not in name}
    if not own:
        return tuple(sorted(given))
    return tuple(
        name for name in stored_classes(connection) if name in given or name.rpartition(".")[2] in own
    )
