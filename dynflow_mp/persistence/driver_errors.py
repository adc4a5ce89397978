"""What a driver's exception means, in one clear line.

Servers speak many languages, so codes decide: SQLSTATE of PostgreSQL, error numbers of MariaDB and MySQL, result
codes of SQLite. Only while connecting to PostgreSQL does no code come through; there words decide, and where
they are of another language, which names the server repeats.
"""

from __future__ import annotations

import re
import socket
from typing import Any, NamedTuple

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dynflow_mp.errors import PersistenceError


class _Meaning(NamedTuple):
    kind: str
    words: str = ""
    """Ours, said before the driver's."""


_OTHER = _Meaning("other")
_HELD_UP = _Meaning("locked")
_LOST = _Meaning("connection")
_UNREACHABLE = _Meaning("connection", "the database server cannot be reached")
_UNKNOWN_HOST = _Meaning("connection", "there is no host of this name")
_CROWDED = _Meaning("connection", "the server takes no more connections")
_NOT_READY = _Meaning("connection", "the server is starting or shutting down")
_NO_PRIMARY = _Meaning("connection", "this server takes no writes, as a standby does not; name the primary")
"""Passes: whoever was let in when the database was opened is in the midst of a failover."""
_FULL = _Meaning("disk_full")
_LOGIN = _Meaning("login", "the server does not let this user in (name, password, host and encryption count)")
_NO_ROLE = _Meaning("login", "the server knows no such user")
_NO_TLS = _Meaning("login", "no encrypted connection could be agreed on")
_NO_DATABASE = _Meaning("missing", "the server has no such database; create it")
_NO_TABLE = _Meaning("missing")
_NO_RIGHT = _Meaning("rights", "this user may not do that; grant it")
_READ_ONLY = _Meaning("readonly")
_NO_FILE = _Meaning("other", "the file is no SQLite database, or is damaged or encrypted")

_BY_SQLSTATE = {
    "08": _LOST,
    "25006": _NO_PRIMARY,
    "25P03": _LOST,  # idle in a transaction for too long; with P04 in any transaction
    "25P04": _LOST,
    "28": _LOGIN,
    "3D000": _NO_DATABASE,
    "3F000": _NO_RIGHT,  # none of the schemas on the search path exists, or may be used
    "40": _HELD_UP,
    "40003": _LOST,
    "42501": _NO_RIGHT,
    "42P01": _NO_TABLE,
    "53100": _FULL,
    "53200": _HELD_UP,
    "53300": _CROWDED,
    "55P03": _HELD_UP,
    "57014": _HELD_UP,
    "57P01": _LOST,
    "57P02": _LOST,
    "57P03": _NOT_READY,
    "57P05": _LOST,
}
"""Whole codes, and classes by their first two characters."""

_BY_NUMBER = {
    **dict.fromkeys((1020, 1205, 1213, 1614, 1969, 3024, 3572), _HELD_UP),
    **dict.fromkeys((1021, 1114), _FULL),
    **dict.fromkeys((1040, 1203, 1226), _CROWDED),
    **dict.fromkeys((1042, 1130, 1045, 1698, 1862, 2049, 2059), _LOGIN),
    **dict.fromkeys((2026, 3159), _NO_TLS),
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), _NO_RIGHT),
    **dict.fromkeys((1046, 1049), _NO_DATABASE),
    **dict.fromkeys((1290, 1792, 1836), _NO_PRIMARY),
    1053: _NOT_READY,
    1146: _NO_TABLE,
    **dict.fromkeys((2002, 2003, 2005), _UNREACHABLE),
    **dict.fromkeys((0, 1152, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 2006, 2013, 2014, 2055, 4031), _LOST),
}

_BY_RESULT = {
    "SQLITE_BUSY": _HELD_UP,
    "SQLITE_LOCKED": _HELD_UP,
    "SQLITE_FULL": _FULL,
    "SQLITE_IOERR_SHMSIZE": _FULL,  # the shared memory beside the file cannot grow
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_PERM": _READ_ONLY,
    "SQLITE_NOTADB": _NO_FILE,
    "SQLITE_CORRUPT": _NO_FILE,
}
"""A longer name is told by its beginning: SQLITE_BUSY_SNAPSHOT is a SQLITE_BUSY."""

_WHILE_CONNECTING = (
    ("session is read-only", _NO_PRIMARY),
    ("hot standby", _NO_PRIMARY),
    ("password authentication failed", _LOGIN),
    ("no password supplied", _LOGIN),
    ("no pg_hba.conf entry", _LOGIN),
    ("authentication failed", _LOGIN),
    ("ssl", _NO_TLS),
    ("certificate", _NO_TLS),
    ("is not permitted to log in", _LOGIN),
    ("permission denied for database", _NO_RIGHT),
    ("too many c", _CROWDED),
    ("remaining connection slots", _CROWDED),
    ("starting up", _NOT_READY),
    ("shutting down", _NOT_READY),
    ("accepting connections", _NOT_READY),
    ('role "', _NO_ROLE),
    ('database "', _NO_DATABASE),
)
_QUOTED = re.compile(r"[\"'»«„“「]\s*(.+?)\s*[\"'»«“”」]")
"""A name in the quotation marks of one language or another."""

_STATEMENT_LIMIT = 200
_PASSWORD = re.compile(r"(password=|://[^:@/\s]*:)[^@\s]+", re.IGNORECASE)


def persistence_error(error: Exception, url_text: str) -> PersistenceError:
    """The engine's error for one of SQLAlchemy's or a driver's."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    meaning = _meaning(error, cause, url_text)
    words = f"{meaning.words}: " if meaning.words else ""
    return PersistenceError(f"{url_text}: {words}{_first_line(cause)}", meaning.kind)


def could_not_write(error: Exception) -> bool:
    """Whether SQLite got no further with a file: full, over a quota or a limit, or broken; it does not say which."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return str(getattr(cause, "sqlite_errorname", "")).startswith(
        ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE")
    )


def _meaning(error: Exception, cause: BaseException, url_text: str) -> _Meaning:
    meaning = _by_code(cause, url_text)
    if meaning is not None:
        return meaning
    if isinstance(error, (PoolTimeout, DisconnectionError)):
        return _LOST
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return _LOST
    return _OTHER


def _by_code(cause: Any, url_text: str) -> _Meaning | None:
    result = getattr(cause, "sqlite_errorname", None)
    if result is not None:
        return next((meaning for name, meaning in _BY_RESULT.items() if result.startswith(name)), _OTHER)
    if type(cause).__module__.startswith("pymysql"):
        return _of_mysql(cause)
    return _of_postgresql(cause, url_text) if hasattr(cause, "sqlstate") else None


def _of_postgresql(cause: Any, url_text: str) -> _Meaning | None:
    if cause.sqlstate is not None:
        return _BY_SQLSTATE.get(cause.sqlstate) or _BY_SQLSTATE.get(cause.sqlstate[:2])
    text = str(cause).partition("\n")[0]
    if text.startswith("failed to resolve host"):
        return _UNKNOWN_HOST
    if text.startswith(("connection failed", "connection is bad")):
        return _while_connecting(text.rpartition("failed: ")[2] or text, url_text)
    if type(cause).__name__ == "ConnectionTimeout":
        return _UNREACHABLE
    return _LOST if "OperationalError" in _family(cause) else None


def _while_connecting(answer: str, url_text: str) -> _Meaning:
    said = answer.lower()
    for sign, meaning in _WHILE_CONNECTING:
        if sign in said:
            return meaning
    if ":  " not in answer:
        return _UNREACHABLE  # the system's words, not the server's, which begin with a severity
    url = make_url(url_text)
    names = _QUOTED.findall(answer)
    if url.username in names:
        return _LOGIN
    return _NO_DATABASE if url.database in names else _LOST


def _family(cause: Any) -> list[str]:
    return [kind.__name__ for kind in type(cause).__mro__]


def _of_mysql(cause: Any) -> _Meaning | None:
    if isinstance(getattr(cause, "original_exception", None), socket.gaierror):
        return _UNKNOWN_HOST
    number = cause.args[0] if cause.args else None
    return _BY_NUMBER.get(number) if isinstance(number, int) else None


def _first_line(error: BaseException) -> str:
    lines = _text(error).strip().splitlines() or [""]
    text = lines[0][:_STATEMENT_LIMIT]
    if not isinstance(error, SQLAlchemyError):
        text = f"{text or 'no message'} ({type(error).__name__})"
    return _PASSWORD.sub(r"\1***", text)


def _text(error: BaseException) -> str:
    # PyMySQL's errors are pairs, whose text would be one in brackets.
    if len(error.args) == 2 and isinstance(error.args[0], int):
        return f"{error.args[1]} ({error.args[0]})"
    return str(error).removeprefix("connection failed: ")


def connection_lost() -> PersistenceError:
    """What a transaction raises whose connection went away, for places where a test has that happen."""
    return PersistenceError("the connection to the database was lost (failpoint)", "connection")
