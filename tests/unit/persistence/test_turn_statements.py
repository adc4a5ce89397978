"""Statements of the hot path: handed to SQLite without a detour, and sayable to every database we support."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.dialects import mysql, postgresql, sqlite

from dynflow_mp.coordinator import coordinator
from dynflow_mp.persistence import planned, turn_statements
from dynflow_mp.persistence.rows_at_once import RowsAtOnce
from dynflow_mp.persistence.statements import Statement

STATEMENTS = {
    f"{module.__name__.rsplit('.', 1)[1]}.{name}": value
    for module in (turn_statements, planned, coordinator)
    for name, value in vars(module).items()
    if isinstance(value, Statement)
}
DIALECTS = {
    "sqlite": sqlite.dialect(),
    "postgresql": postgresql.dialect(paramstyle="pyformat"),
    "mysql": mysql.dialect(paramstyle="format"),
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_a_row_goes_to_sqlite_as_it_is(statement: Statement):
    compiled = statement.compiled(_connection("sqlite"))

    assert compiled.prepare is None
    assert compiled.at_once is None
    assert compiled.text.count("?") == len(statement.names)


@pytest.mark.parametrize("dialect", ["postgresql", "mysql"])
@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_every_parameter_is_sayable_to_the_servers(statement: Statement, dialect: str):
    row = tuple(range(len(statement.names)))

    compiled = statement.compiled(_connection(dialect))

    given = row if compiled.prepare is None else compiled.prepare(row)
    if isinstance(given, dict):
        assert given == dict(zip(statement.names, row, strict=True))
    else:
        assert sorted(given) == list(row)
        assert compiled.text.count("%s") == len(row)


def test_what_exists_is_left_alone_in_every_dialect():
    texts = {name: turn_statements.JOURNAL.compiled(_connection(name)).text for name in DIALECTS}

    assert texts["sqlite"].endswith("ON CONFLICT DO NOTHING")
    assert texts["postgresql"].endswith("ON CONFLICT DO NOTHING")
    assert texts["mysql"].startswith("INSERT IGNORE INTO")


def test_held_rows_are_locked_where_the_database_can():
    texts = {name: turn_statements.HOLD_ONE.compiled(_connection(name)).text for name in DIALECTS}
    fences = {name: coordinator._FENCE.compiled(_connection(name)).text for name in DIALECTS}

    assert ["FOR UPDATE" in text for text in texts.values()] == [False, True, True]
    assert "FOR KEY SHARE" in fences["postgresql"]
    assert "LOCK IN SHARE MODE" in fences["mysql"]


# -- many rows in one statement ----------------------------------------------------------------------


def test_many_rows_go_to_mysql_as_selects():
    cursors = _Cursors()

    list(_at_once(turn_statements.RESET).execute(cursors, [("a", 3), ("a", 5)]))

    (text,) = cursors.executed
    assert (
        "UPDATE dynflow_steps, (SELECT CONVERT('a' USING ascii) AS plan, 3 AS step "
        "UNION ALL SELECT CONVERT('a' USING ascii), 5) AS given SET" in text
    )


def test_a_statement_takes_so_many_rows_and_bytes_and_no_more():
    small = [(b"x", "a", number) for number in range(1, 1501)]
    large = [(b"x" * 600_000, "a", number) for number in range(1, 4)]

    portions = list(_at_once(turn_statements.INPUT).execute(_Cursors(), small + large))

    # 1,000 small rows, 500 and a large one, then each large one by itself.
    assert len(portions) == 4


def _at_once(statement: Statement) -> RowsAtOnce:
    found = statement.compiled(_connection("mysql")).at_once
    assert found is not None
    return found


class _Cursors:
    """Makes cursors that note what they are to execute."""

    def __init__(self) -> None:
        self.executed: list[str] = []

    def __call__(self) -> _Cursors:
        return self

    def execute(self, text: str) -> None:
        self.executed.append(text)

    def mogrify(self, text: str, row: tuple[Any, ...]) -> str:
        return text % tuple(f"'{value}'" if isinstance(value, str) else repr(value) for value in row)


def _connection(dialect: str) -> Any:
    return SimpleNamespace(dialect=DIALECTS[dialect])
