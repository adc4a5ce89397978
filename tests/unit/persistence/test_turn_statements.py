"""Statements of the turn: handed to SQLite without a detour, and sayable to every database we support."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.dialects import mysql, postgresql, sqlite

from dynflow_mp.coordinator import coordinator
from dynflow_mp.persistence import planned, turn
from dynflow_mp.persistence.statements import Statement

STATEMENTS = {
    f"{module.__name__.rsplit('.', 1)[1]}{name}": value
    for module in (turn, planned, coordinator)
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
    text, prepare = statement._for(_connection("sqlite"))

    assert prepare is None
    assert text.count("?") == len(statement.names)


@pytest.mark.parametrize("dialect", ["postgresql", "mysql"])
@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_every_parameter_is_sayable_to_the_servers(statement: Statement, dialect: str):
    row = tuple(range(len(statement.names)))

    text, prepare = statement._for(_connection(dialect))

    given = row if prepare is None else prepare(row)
    if isinstance(given, dict):
        assert given == dict(zip(statement.names, row, strict=True))
    else:
        assert sorted(given) == list(row)
        assert text.count("%s") == len(row)


def test_what_exists_is_left_alone_in_every_dialect():
    texts = {name: turn._JOURNAL._for(_connection(name))[0] for name in DIALECTS}

    assert texts["sqlite"].endswith("ON CONFLICT DO NOTHING")
    assert texts["postgresql"].endswith("ON CONFLICT DO NOTHING")
    assert texts["mysql"].startswith("INSERT IGNORE INTO")


def test_held_rows_are_locked_where_the_database_can():
    texts = {name: turn._HOLD_ONE._for(_connection(name))[0] for name in DIALECTS}
    fences = {name: coordinator._FENCE._for(_connection(name))[0] for name in DIALECTS}

    assert ["FOR UPDATE" in text for text in texts.values()] == [False, True, True]
    assert "FOR SHARE" in fences["postgresql"]
    assert "LOCK IN SHARE MODE" in fences["mysql"]


def _connection(dialect: str) -> Any:
    return SimpleNamespace(dialect=DIALECTS[dialect])
