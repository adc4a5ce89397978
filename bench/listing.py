"""``python -m bench.listing URL``: how long a page of a list of plans takes, and the query plans that it is read by.

URL is of an empty database (an SQLite file that is not there, say), or of one that was filled like this before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import click
from sqlalchemy import event

from bench import stored_plans
from dynflow_mp.model.plan_orders import ORDERS
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schema import prepare
from dynflow_mp.persistence.store import Store
from dynflow_mp.reading.library import Library
from dynflow_mp.reading.plan_query import PlanQuery

_TIMES = 3
_STOPPED, _PAUSED, _RUNNING = (PlanState.STOPPED,), (PlanState.PAUSED,), (PlanState.RUNNING,)
_ERROR = (Result.ERROR,)


def queries(number: int) -> dict[str, PlanQuery]:
    """By name: no filter, each filter, the likeliest together, each ordering, pages at the far end."""
    half, late = (_moment(number * part) for part in (0.5, 0.99))
    asked: dict[str, dict[str, Any]] = {
        "all": {},
        "stopped": {"states": _STOPPED},
        "paused or running": {"states": _PAUSED + _RUNNING},
        "in error": {"results": _ERROR},
        "stopped in error": {"states": _STOPPED, "results": _ERROR},
        "a label many have": {"label": "HANDLE"},
        "a label one has": {"label": "order 000100"},
        "a label none has": {"label": "nothing"},
        "a label, stopped in error": {"label": "handle", "states": _STOPPED, "results": _ERROR},
        "since half of the time": {"since": half},
        "lately, in error": {"since": late, "results": _ERROR},
        "a class that all plans have": {"action": "Deliver"},
        "a class that all have, in error": {"action": "Deliver", "results": _ERROR},
        "a class that few have": {"action": "Handle77"},
        "a text in errors": {"error": "db7.example"},
        "a text in no error": {"error": "nothing"},
        "sub-plans of one of 20": {"caller": stored_plans.plan_id(3)},
        "the last page": {"page": max(0, number // 50 - 1)},
        "the middle of the stopped": {"page": number // 100, "states": _STOPPED},
    }
    for order in ORDERS:
        asked[f"by {order}"] = {"order_by": order}
        asked[f"by {order}, upwards, middle"] = {"order_by": order, "desc": False, "page": number // 100}
    return {name: PlanQuery(**given) for name, given in asked.items()}


def _moment(place: float) -> datetime:
    begin = datetime.fromtimestamp(stored_plans.FIRST_START / 1_000_000, UTC)
    return begin + timedelta(microseconds=place * stored_plans.BETWEEN_US)


@contextmanager
def overheard(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are sent meanwhile, with their parameters."""
    told: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        told.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield told
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def explained(database: Database, statement: str, parameters: Any) -> str:
    """How the database goes about a statement, in its own words."""
    word = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    with database.read() as connection:
        rows = connection.exec_driver_sql(f"{word} {statement}", parameters).all()
    if database.engine.dialect.name in ("sqlite", "postgresql"):
        return "\n".join(str(row[-1]) for row in rows)
    return "\n".join(", ".join(map(str, row)) for row in rows)


@click.command()
@click.argument("url")
@click.option(
    "--plans", default=100_000, show_default=True, help="How many an empty database is filled with."
)
@click.option("--explain", is_flag=True, help="Show the query plans, too.")
def main(url: str, plans: int, explain: bool) -> None:
    """Fill an empty database with plans and read lists of them."""
    database = Database(url, hurried=False)
    prepare(database)
    library = Library(Store(database))
    if not library.count_execution_plans():
        stored_plans.store(database, plans)
    for name, query in queries(library.count_execution_plans()).items():
        took, total = _measured(library, query)
        click.echo(f"{took * 1000:7.1f} ms  {total:9,} plans  {name}")
        if explain:
            _explain(database, library, query)
    database.close()


def _measured(library: Library, query: PlanQuery) -> tuple[float, int]:
    """Seconds, the best of a few; how many plans there are."""
    best = float("inf")
    for _ in range(_TIMES):
        began = perf_counter()
        total = library.page_of_plans(query).total
        best = min(best, perf_counter() - began)
    return best, total


def _explain(database: Database, library: Library, query: PlanQuery) -> None:
    with overheard(database) as told:
        library.page_of_plans(query)
    for statement, parameters in told:
        if statement.startswith("SELECT") and "min(" not in statement:
            click.echo(
                "              "
                + explained(database, statement, parameters).replace("\n", "\n              ")
            )


if __name__ == "__main__":
    main()
