"""Whether a server can keep what it is given: looked at once, when a database is opened.

What makes work impossible or unsafe is refused; what only a power failure would show is a remark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from dynflow_mp.errors import PersistenceError

_OLDEST_POSTGRESQL = 13
_OLDEST_MARIADB = (10, 6)
_OLDEST_MYSQL = (8, 0)
"""The oldest that still had corrections when this was written; those before know no SKIP LOCKED."""

_MARGIN = 1024 * 1024

_ASK_POSTGRESQL = text(
    "SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS shown, "
    "current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes, "
    "pg_is_in_recovery() AS standby, current_setting('transaction_read_only') AS read_only"
)
_ASK_MYSQL = text(
    "SELECT @@version AS version, @@innodb_flush_log_at_trx_commit AS flush, @@sync_binlog AS sync_binlog, "
    "@@log_bin AS log_bin, @@max_allowed_packet AS packet, @@read_only AS read_only, "
    "@@innodb_read_only AS innodb_read_only"
)

_POSTGRESQL_TIME = text("SELECT current_setting('server_version'), clock_timestamp()")
_MYSQL_TIME = text("SELECT @@version, UTC_TIMESTAMP(6)")


def remarks(connection: Connection, url_text: str, max_payload: int) -> Sequence[str]:
    """What an administrator should know about this server's settings.

    Raises :class:`PersistenceError` for a server that cannot be used.
    """
    try:
        return _remarks(connection, max_payload)
    except PersistenceError as error:
        raise PersistenceError(f"{url_text}: {error}", error.kind) from None


def version_and_skew(connection: Connection) -> tuple[str, float]:
    """What server this is, and how far (seconds) our clock is ahead of its: to about the time that it takes to ask."""
    before = datetime.now(UTC)
    version, there = _version_and_time(connection)
    after = datetime.now(UTC)
    return version, (before + (after - before) / 2 - there).total_seconds()


def _version_and_time(connection: Connection) -> tuple[str, datetime]:
    if connection.dialect.name == "postgresql":
        version, now = connection.execute(_POSTGRESQL_TIME).one()
        return f"PostgreSQL {version}", now.astimezone(UTC)
    version, now = connection.execute(_MYSQL_TIME).one()
    kind = "MariaDB" if "MariaDB" in version else "MySQL"
    return f"{kind} {version}", now.replace(tzinfo=UTC)


def _remarks(connection: Connection, max_payload: int) -> Sequence[str]:
    if connection.dialect.name == "postgresql":
        return on_postgresql(connection.execute(_ASK_POSTGRESQL).one())
    if connection.dialect.name in ("mysql", "mariadb"):
        return on_mysql(connection.execute(_ASK_MYSQL).one(), max_payload)
    return ()


def on_postgresql(found: Any) -> list[str]:
    """The remarks on these settings of a PostgreSQL server."""
    if found.version < _OLDEST_POSTGRESQL * 10_000:
        raise _unsuitable(f"PostgreSQL {found.shown} is too old; {_OLDEST_POSTGRESQL} or newer is needed")
    if found.standby:
        raise _read_only("this PostgreSQL is a standby (in recovery); name the primary")
    if found.read_only == "on":
        raise _read_only("this database is read-only (default_transaction_read_only=on)")
    return [
        f"{name}=off: a power failure may damage the whole database; set {name}=on in postgresql.conf"
        for name in ("fsync", "full_page_writes")
        if getattr(found, name) == "off"
    ]


def on_mysql(found: Any, max_payload: int) -> list[str]:
    """The remarks on these settings of a MariaDB or MySQL server."""
    name, oldest = ("MariaDB", _OLDEST_MARIADB) if "MariaDB" in found.version else ("MySQL", _OLDEST_MYSQL)
    if _version(found.version) < oldest:
        wanted = ".".join(map(str, oldest))
        raise _unsuitable(f"{name} {found.version} is too old; {wanted} or newer is needed")
    if _is_on(found.read_only) or _is_on(found.innodb_read_only):
        raise _read_only(f"this {name} server is read-only, as a replica is; name the primary")
    # A payload is quoted on its way, which at worst doubles it.
    needed = 2 * max_payload + _MARGIN
    if found.packet < needed:
        raise _unsuitable(
            f"max_allowed_packet={found.packet} is too small for max_payload={max_payload}; "
            f"set max_allowed_packet={needed} or more on the server, or lower max_payload"
        )
    return [remark for applies, remark in _mysql_remarks(found) if applies()]


def _mysql_remarks(found: Any) -> tuple[tuple[Callable[[], bool], str], ...]:
    return (
        (
            lambda: int(found.flush) != 1,
            f"innodb_flush_log_at_trx_commit={found.flush}: a power failure may lose what was committed; set it to 1",
        ),
        (
            lambda: _is_on(found.log_bin) and int(found.sync_binlog) != 1,
            f"sync_binlog={found.sync_binlog} with a binary log: a power failure may lose what was committed; "
            "set it to 1",
        ),
    )


def _version(text: str) -> tuple[int, ...]:
    # Some MariaDBs put 5.5.5- before their own, for the sake of old replicas.
    numbers = re.match(r"(\d+)\.(\d+)", text.removeprefix("5.5.5-"))
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def _is_on(value: object) -> bool:
    return str(value).upper() not in ("0", "OFF", "NONE", "")


def _unsuitable(reason: str) -> PersistenceError:
    return PersistenceError(reason, "unsuitable")


def _read_only(reason: str) -> PersistenceError:
    return PersistenceError(reason, "readonly")
