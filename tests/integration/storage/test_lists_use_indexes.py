"""Lists of plans come from indexes: what the databases themselves say about how they go about it, not how long it takes.

How long it takes with 100,000 plans shows ``python -m bench.listing``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import databases
import pytest

from bench import stored_plans
from bench.listing import explained, overheard, queries
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schema import prepare
from dynflow_mp.persistence.store import Store
from dynflow_mp.reading.library import Library

NUMBER = 4_000
QUERIES = queries(NUMBER)
PAGE_FROM = {
    "all": "dynflow_plans_by_start",
    "stopped": "dynflow_plans_by_state",
    "paused or running": "dynflow_plans_by_state",
    "stopped in error": "dynflow_plans_by_state",
    "since half of the time": "dynflow_plans_by_start",
    "a class that few have": "dynflow_actions_by_class",
    "sub-plans of one of 20": "dynflow_plans_by_",  # by_caller; PostgreSQL goes by_start where a caller has many
    "the last page": "dynflow_plans_by_start",
    "the middle of the stopped": "dynflow_plans_by_state",
    "by started_at": "dynflow_plans_by_start",
    "by created_at": "dynflow_execution_plans_",
    "by ended_at": "dynflow_plans_by_end",
    "by label": "dynflow_plans_by_label",
    "by state": "dynflow_plans_by_state",
    "by started_at, upwards, middle": "dynflow_plans_by_start",
    "by created_at, upwards, middle": "dynflow_execution_plans_",
    "by ended_at, upwards, middle": "dynflow_plans_by_end",
    "by label, upwards, middle": "dynflow_plans_by_label",
    "by state, upwards, middle": "dynflow_plans_by_state",
}
"""By query, the index that its page is found in; the name of that of the ids differs between databases behind this."""


@pytest.fixture(scope="module", params=[databases.SQLITE, databases.POSTGRESQL])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    directory: Path = tmp_path_factory.mktemp("listing")
    with databases.fresh_database(request.param, directory) as url:
        database = Database(url, hurried=False)
        prepare(database)
        stored_plans.store(database, NUMBER)
        yield database
        database.close()


def told(database: Database, name: str) -> dict[str, str]:
    """By statement of reading this page, how the database goes about it."""
    library = Library(Store(database))
    with overheard(database) as statements:
        library.page_of_plans(QUERIES[name])
    return {
        statement: explained(database, statement, parameters)
        for statement, parameters in statements
        if statement.startswith("SELECT")
    }


@pytest.mark.parametrize("name", PAGE_FROM)
def test_a_page_is_found_in_an_index_in_its_order(filled: Database, name: str):
    ((statement, way),) = [
        (statement, way)
        for statement, way in told(filled, name).items()
        if statement.startswith("SELECT dynflow_execution_plans.id \n") and " LIMIT " in statement
    ]

    assert PAGE_FROM[name] in way, way
    if name.startswith(("by ", "all", "stopped", "the ", "since")):
        assert "SORT" not in way.upper().replace("SORT KEY", ""), way
        assert "TEMP B-TREE" not in way, way
    assert "count(" not in statement


@pytest.mark.parametrize("name", QUERIES)
def test_nothing_of_a_page_is_read_by_looking_through_whole_tables(filled: Database, name: str):
    tables = ("dynflow_execution_plans", "dynflow_actions", "dynflow_steps")
    for statement, way in told(filled, name).items():
        if filled.is_sqlite:
            assert not [table for table in tables if f"SCAN {table}\n" in f"{way}\n"], f"{statement}\n{way}"
        else:
            # It reads whole tables as small as these where it needs most of a column; steps it never does.
            assert "Seq Scan on dynflow_steps" not in way, f"{statement}\n{way}"
