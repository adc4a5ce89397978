"""Statements of the hot path: built from the tables once, compiled once per kind of database, run with plain tuples.

A Core ``execute`` pays for every row of parameters again (dicts, processors), and for a result object of
each statement; here a row is a tuple that goes to the driver's cursor as it is. That takes 0.1 ms from a
turn that does little. The transaction is the connection's own, and the driver's errors are named at the
same border as all others (:mod:`dynflow_mp.persistence.database`).

Many rows of a statement are one call of the driver, or one statement where the driver would send many
(:mod:`dynflow_mp.persistence.rows_at_once`); to PostgreSQL, statements of a turn go without waiting for each
answer, which saves a turn of one step a tenth of its time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Insert, Table, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement

from dynflow_mp.persistence.rows_at_once import WORTH_IT_FROM, Build, Parameters, Row, RowsAtOnce

__all__ = ["InsertOrNothing", "Row", "Statement", "changing", "inserting", "replacing", "run_all"]


class _Compiled(NamedTuple):
    """A statement as one kind of database is told it."""

    text: str
    prepare: Callable[[Row], Any] | None
    """Makes of a row the parameters that the driver wants; None if it wants the row."""
    at_once: RowsAtOnce | None


class Statement:
    """One statement with named parameters; rows of them are tuples in the order of ``names``."""

    __slots__ = ("_at_once", "_compiled", "_construct", "names")

    def __init__(
        self,
        construct: ClauseElement,
        names: Sequence[str],
        at_once: Callable[[Dialect], RowsAtOnce] | None = None,
    ) -> None:
        """``at_once`` makes the form for many rows, where one is needed."""
        self._construct = construct
        self._at_once = at_once
        self.names = tuple(names)
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, row: Row) -> Any:
        """Execute once, inside the connection's transaction; a cursor, with rows to fetch if there are any."""
        compiled = self.compiled(connection)
        given = row if compiled.prepare is None else compiled.prepare(row)
        if _watched(connection):
            return connection.exec_driver_sql(compiled.text, given)
        cursor = connection.connection.cursor()
        cursor.execute(compiled.text, given)
        return cursor

    def run_many(self, connection: Connection, rows: list[Row]) -> int:
        """Execute for every row; the number of rows that were touched in total."""
        return sum(cursor.rowcount for cursor in self.begin_many(connection, rows))

    def begin_many(self, connection: Connection, rows: list[Row]) -> list[Any]:
        """Execute for every row; cursors that know, once all is answered, how many rows were touched."""
        if len(rows) == 1:
            return [self.run(connection, rows[0])]
        compiled = self.compiled(connection)
        if _watched(connection):
            return [connection.exec_driver_sql(compiled.text, self._prepared(compiled, rows))]
        if compiled.at_once is not None and len(rows) >= WORTH_IT_FROM:
            return list(compiled.at_once.execute(connection.connection.cursor, rows))
        cursor = connection.connection.cursor()
        cursor.executemany(compiled.text, self._prepared(compiled, rows))
        return [cursor]

    def compiled(self, connection: Connection) -> _Compiled:
        """The statement in the words of the connection's database."""
        found = self._compiled.get(connection.dialect.name)
        if found is None:
            found = self._compiled[connection.dialect.name] = self._compile(connection.dialect)
        return found

    def _prepared(self, compiled: _Compiled, rows: list[Row]) -> list[Any]:
        return rows if compiled.prepare is None else [compiled.prepare(row) for row in rows]

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled: Any = self._construct.compile(dialect=dialect)
        at_once = None
        if self._at_once is not None and dialect.name in ("mysql", "mariadb"):
            at_once = self._at_once(dialect)
        return _Compiled(str(compiled), self._preparation(compiled.positiontup), at_once)

    def _preparation(self, positions: Sequence[str] | None) -> Callable[[Row], Any] | None:
        if positions is None:
            names = self.names
            return lambda row: dict(zip(names, row, strict=True))
        order = tuple(self.names.index(name) for name in positions)
        if order == tuple(range(len(self.names))):
            return None
        if len(order) == 1:
            return lambda row: (row[order[0]],)
        return itemgetter(*order)


def run_all(connection: Connection, work: Sequence[tuple[Statement, list[Row]]]) -> list[int]:
    """Run each statement for its rows, in this order; how many rows each has touched."""
    with _unanswered(connection) if len(work) > 1 else nullcontext():
        begun = [statement.begin_many(connection, rows) for statement, rows in work]
    return [sum(cursor.rowcount for cursor in cursors) for cursors in begun]


def _unanswered(connection: Connection) -> AbstractContextManager[Any]:
    """Where a driver can, send what is executed inside in one go, and wait only once, at the end."""
    if connection.dialect.name != "postgresql" or _watched(connection):
        return nullcontext()
    driver: Any = connection.connection.driver_connection
    pipeline: AbstractContextManager[Any] = driver.pipeline()
    return pipeline


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


class InsertOrReplace(Insert):
    """An INSERT whose last value takes the place of what is in a row of the same key."""

    inherit_cache = False


@compiles(InsertOrReplace)
def _on_conflict_do_update(construct: InsertOrReplace, compiler: Any, **options: Any) -> str:
    *key, value = (column.name for column in construct.table.columns)
    inserted = compiler.visit_insert(construct, **options)
    return f"{inserted} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {value} = excluded.{value}"


@compiles(InsertOrReplace, "mysql", "mariadb")
def _on_duplicate_key_update(construct: InsertOrReplace, compiler: Any, **options: Any) -> str:
    *_, value = (column.name for column in construct.table.columns)
    inserted = compiler.visit_insert(construct, **options)
    return f"{inserted} ON DUPLICATE KEY UPDATE {value} = VALUES({value})"


def changing(parameters: Parameters, build: Build) -> Statement:
    """An UPDATE or DELETE of one row for each row it is given: ``build`` is handed its parameters by name."""
    one_row = build(lambda name: bindparam(name, type_=parameters[name].type))
    return Statement(one_row, tuple(parameters), lambda dialect: RowsAtOnce(build, parameters, dialect))


def inserting(table: Table, *, or_nothing: bool = False, without: Collection[str] = ()) -> Statement:
    """The INSERT of rows of ``table``, values in the order of its columns; those ``without`` stay empty."""
    kind = InsertOrNothing if or_nothing else Insert
    names = [column.name for column in table.columns if column.name not in without]
    insert = kind(table)
    if without:
        insert = insert.values({name: bindparam(name, type_=table.c[name].type) for name in names})
    return Statement(insert, names)


def replacing(table: Table) -> Statement:
    """The INSERT of whole rows of ``table``, or of its last column where the others, its key, are there."""
    return Statement(InsertOrReplace(table), [column.name for column in table.columns])
