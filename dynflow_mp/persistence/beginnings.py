"""Ids of plans and worlds that begin with a few letters, for whoever types one: asked quickly, and of what is there.

An SQLite file is read without SQLAlchemy, whose import takes longer than the question.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from dynflow_mp.persistence.read_only_files import connected

MOST = 50
_WAIT_S = 0.1
_PLANS = (
    "SELECT id, label, state, result FROM dynflow_execution_plans "
    "WHERE id >= :low AND id < :high ORDER BY id DESC LIMIT :most"
)
_WORLDS = (
    "SELECT id, class, state, '' FROM dynflow_coordinator_records "
    "WHERE class IN ('ExecutorWorld', 'ClientWorld') AND id >= :low AND id < :high ORDER BY id LIMIT :most"
)
_END = "\x7f"
"""Comes after every letter of an id."""


class Beginning(NamedTuple):
    """One id, and words about what it is of."""

    id: str
    words: tuple[str, ...]


def plans_beginning(database_url: str, letters: str) -> list[Beginning]:
    """The newest plans whose ids begin so: ids begin with the time."""
    return _found(database_url, _PLANS, letters)


def worlds_beginning(database_url: str, letters: str) -> list[Beginning]:
    """The worlds whose ids begin so."""
    return _found(database_url, _WORLDS, letters)


def _found(database_url: str, query: str, letters: str) -> list[Beginning]:
    """Raises whatever the driver raises."""
    given = {"low": letters, "high": letters + _END, "most": MOST}
    ask = _ask_file if database_url.startswith("sqlite") else _ask_server
    return [
        Beginning(row[0], tuple(str(word) for word in row[1:] if word))
        for row in ask(database_url, query, given)
    ]


def _ask_file(database_url: str, query: str, given: dict[str, object]) -> list[tuple[str, ...]]:
    path = Path(unquote(database_url.partition(":///")[2].partition("?")[0])).absolute()
    if not path.is_file():
        return []  # to look is not to make
    with closing(connected(path, _WAIT_S)) as connection:
        return connection.execute(query, given).fetchall()


def _ask_server(database_url: str, query: str, given: dict[str, object]) -> list[tuple[str, ...]]:
    # Not imported at the top: see above.
    from sqlalchemy import text

    from dynflow_mp.persistence.opening import new_engine, parsed_url

    engine = new_engine(parsed_url(database_url))
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), given)]
    finally:
        engine.dispose()
