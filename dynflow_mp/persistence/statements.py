"""Statements of the hot path: built from the tables once, compiled once per kind of database, run with plain tuples.

A Core ``execute`` pays for every row of parameters again (dicts, processors), and for a result object of
each statement; here a row is a tuple that goes to the driver's cursor as it is. That takes 0.1 ms from a
turn that does little. The transaction is the connection's own, and the driver's errors are named at the
same border as all others (:mod:`dynflow_mp.persistence.database`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement, Executable

Row = tuple[Any, ...]
_Prepare = Callable[[Row], Any]


class Statement:
    """One statement with named parameters; rows of them are tuples in the order of ``names``."""

    __slots__ = ("_compiled", "_construct", "names")

    def __init__(self, construct: Executable, names: Sequence[str]) -> None:
        self._construct = construct
        self.names = tuple(names)
        self._compiled: dict[str, tuple[str, _Prepare | None]] = {}

    def run(self, connection: Connection, row: Row) -> Any:
        """Execute once, inside the connection's transaction; a cursor, with rows to fetch if there are any."""
        text, prepare = self._for(connection)
        given = row if prepare is None else prepare(row)
        if _watched(connection):
            return connection.exec_driver_sql(text, given)
        cursor = connection.connection.cursor()
        cursor.execute(text, given)
        return cursor

    def run_many(self, connection: Connection, rows: list[Row]) -> int:
        """Execute once per row in one call; the number of rows that were touched in total."""
        text, prepare = self._for(connection)
        given = rows if prepare is None else [prepare(row) for row in rows]
        if _watched(connection):
            return connection.exec_driver_sql(text, given).rowcount
        cursor = connection.connection.cursor()
        cursor.executemany(text, given)
        return cursor.rowcount

    def _for(self, connection: Connection) -> tuple[str, _Prepare | None]:
        found = self._compiled.get(connection.dialect.name)
        if found is None:
            found = self._compiled[connection.dialect.name] = self._compile(connection)
        return found

    def _compile(self, connection: Connection) -> tuple[str, _Prepare | None]:
        assert isinstance(self._construct, ClauseElement)
        compiled: Any = self._construct.compile(dialect=connection.dialect)
        if compiled.positiontup is None:
            names = self.names
            return str(compiled), lambda row: dict(zip(names, row, strict=True))
        order = tuple(self.names.index(name) for name in compiled.positiontup)
        if order == tuple(range(len(self.names))):
            return str(compiled), None
        if len(order) == 1:
            return str(compiled), lambda row: (row[order[0]],)
        return str(compiled), itemgetter(*order)


def _watched(connection: Connection) -> bool:
    """Whether someone counts or traces statements through SQLAlchemy's events: they shall see all."""
    seen: Any = connection.dispatch
    return bool(seen.before_cursor_execute or seen.after_cursor_execute)


class InsertOrNothing(Insert):
    """An INSERT that leaves a row of the same key as it is and then touches no row."""

    inherit_cache = False


@compiles(InsertOrNothing)
def _on_conflict_do_nothing(construct: InsertOrNothing, compiler: Any, **options: Any) -> str:
    return f"{compiler.visit_insert(construct, **options)} ON CONFLICT DO NOTHING"


@compiles(InsertOrNothing, "mysql", "mariadb")
def _insert_ignore(construct: InsertOrNothing, compiler: Any, **options: Any) -> str:
    text: str = compiler.visit_insert(construct, **options)
    return text.replace("INSERT INTO", "INSERT IGNORE INTO", 1)


def inserting(table: Table, *, or_nothing: bool = False) -> Statement:
    """The INSERT of whole rows of ``table``, values in the order of its columns."""
    names = [column.name for column in table.columns]
    kind = InsertOrNothing if or_nothing else Insert
    return Statement(kind(table), names)
