"""What every connection to a server is told, so that nobody waits for ever – for us, nor we for the server.

    server    a statement ≤ 30 s · a row lock ≤ 5 s · idle inside a transaction ≤ 10 s
    client    connecting ≤ 10 s · an answer ≤ 40 s · unacknowledged bytes ≤ 10 s

A frozen client loses its transaction, and with it its row locks, after 10 s: then its plans can be
recovered. MySQL (not MariaDB) knows no such limit; there an administrator must KILL the session.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from time import monotonic
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event

CONNECT_S = 10
STATEMENT_S = 30
"""Half of the usual ``lease_ttl_s``: a world whose statement was stopped can still renew its lease. The
longest of ours, a batch of a plan of 100,000 steps, takes seconds."""
ANSWER_S = 40
"""Longer than a statement may take: only a server that does not even stop it is given up by the client."""
LOCK_S = 5
IDLE_S = 10
_SILENCE_S = 10
_PROGRAM = "dynflow_mp"

_SQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO"


def set_up_sessions(url: URL, *, hurried: bool) -> Engine:
    """An engine whose connections have these limits; what the URL sets itself stays as it says.

    Without ``hurried`` a statement may take as long as it needs (an index on a large table does).
    """
    if url.get_backend_name() == "postgresql":
        return _on_postgresql(url, hurried)
    return _on_mysql(url, hurried)


# -- PostgreSQL --------------------------------------------------------------------------------------


def _on_postgresql(url: URL, hurried: bool) -> Engine:
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_S,
        "tcp_user_timeout": _SILENCE_S * 1000,
        "keepalives": 1,
        "keepalives_idle": _SILENCE_S // 2,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        # Also after a failover: what a standby says is old, and it takes no writes.
        "target_session_attrs": "read-write",
        "fallback_application_name": _PROGRAM,
    }
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    theirs = url.query.get("options", "")
    theirs = theirs if isinstance(theirs, str) else " ".join(theirs)
    arguments["options"] = f"{_postgresql_options(hurried)} {theirs}".strip()
    logging.getLogger("psycopg").addFilter(_is_news)
    engine = create_engine(
        url,
        hide_parameters=True,  # in errors and their traces: they are users' data
        isolation_level="READ COMMITTED",
        pool_reset_on_return=None,
        pool_size=0,  # no bound: see connections
        connect_args=arguments,
    )
    if hurried:
        event.listen(engine, "do_connect", _connect_with_deadline)
    return engine


def _is_news(record: logging.LogRecord) -> bool:
    """Not what psycopg remarks about statements sent behind one that failed: that one's error is raised."""
    return not str(record.msg).startswith("error ignored terminating")


def _postgresql_options(hurried: bool) -> str:
    # With the connection's first message: no round trip. synchronous_commit=on is also for a server whose
    # remote_apply is stronger: it makes replicas readable, and we never read one.
    settings = {
        "synchronous_commit": "on",
        "lock_timeout": f"{LOCK_S}s",
        "idle_in_transaction_session_timeout": f"{IDLE_S}s",
        "statement_timeout": f"{STATEMENT_S}s" if hurried else "0",
    }
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def _connect_with_deadline(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
    return _deadline_connection().connect(*args, **parameters)


def _deadline_connection() -> Any:
    """psycopg's connection, except that it does not wait for ever for a server that stands still."""
    global _DEADLINE_CONNECTION
    if _DEADLINE_CONNECTION is None:
        from psycopg import Connection, OperationalError

        class DeadlineConnection(Connection):
            """The kernel of a frozen server goes on acknowledging, so that no timeout of TCP ends the waiting."""

            def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
                return super().wait(self._bounded(gen), *args, **options)

            def _bounded(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
                give_up_at = monotonic() + ANSWER_S
                try:
                    wanted = next(gen)
                    while True:
                        ready = yield wanted
                        if not ready and monotonic() >= give_up_at:
                            self.pgconn.finish()
                            raise OperationalError(f"the server has not answered for {ANSWER_S} s")
                        wanted = gen.send(ready)
                except StopIteration as done:
                    return done.value

        _DEADLINE_CONNECTION = DeadlineConnection
    return _DEADLINE_CONNECTION


_DEADLINE_CONNECTION: Any = None


# -- MariaDB and MySQL -------------------------------------------------------------------------------


def _on_mysql(url: URL, hurried: bool) -> Engine:
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_S,
        "read_timeout": ANSWER_S if hurried else None,
        "write_timeout": ANSWER_S,
        "program_name": _PROGRAM,
    }
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    theirs = url.query.get("init_command")
    arguments["init_command"] = _mysql_settings(hurried)
    engine = create_engine(
        url,
        hide_parameters=True,  # in errors and their traces: they are users' data
        isolation_level="READ COMMITTED",
        pool_reset_on_return=None,
        pool_size=0,  # no bound: see connections
        connect_args=arguments,
    )
    if isinstance(theirs, str):
        event.listen(engine, "connect", lambda connection, _record: _run(connection, theirs))
    return engine


def _mysql_settings(hurried: bool) -> str:
    """One statement. What stands in /*M! */ only MariaDB reads, what stands in /*!50708 */ only MySQL."""
    limit = STATEMENT_S if hurried else 0
    return (
        f"SET SESSION innodb_lock_wait_timeout={LOCK_S}, sql_mode='{_SQL_MODE}', "
        "default_storage_engine='InnoDB' "
        f"/*M!100300 , idle_transaction_timeout={IDLE_S}, max_statement_time={limit} */ "
        f"/*!50708 , max_execution_time={limit * 1000} */"
    )


def _run(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
