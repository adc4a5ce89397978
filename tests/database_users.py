"""Users of a server for tests: with exactly the rights that a test gives them, and gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from databases import POSTGRESQL, run_on_server
from sqlalchemy import create_engine, make_url, text

PASSWORD = "correct-horse"


@contextmanager
def fresh_user(kind: str, url: str, *rights: str) -> Iterator[str]:
    """``url`` as a new user sees it. ``{user}`` stands for the name in ``rights``, run in that database."""
    name = f"dynflow_test_{uuid4().hex[:12]}"
    if kind == POSTGRESQL:
        spelled, drop = name, f"DROP OWNED BY {name}"
        run_on_server(kind, f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    else:
        spelled, drop = f"'{name}'@'%'", None
        run_on_server(kind, f"CREATE USER {spelled} IDENTIFIED BY '{PASSWORD}'")
    try:
        _run(url, *(right.format(user=spelled) for right in rights))
        yield make_url(url).set(username=name, password=PASSWORD).render_as_string(hide_password=False)
    finally:
        if drop:
            _run(url, drop)
        run_on_server(kind, f"DROP {'ROLE' if kind == POSTGRESQL else 'USER'} {spelled}")


def _run(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()
