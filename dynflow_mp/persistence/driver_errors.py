"""What a driver's exception means, in one clear line."""

from __future__ import annotations

import re

from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dynflow_mp.errors import PersistenceError

_SIGNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "locked",
        (
            "database is locked",
            "database table is locked",
            "deadlock",
            "lock wait timeout",
            "could not serialize",
            "lock timeout",
        ),
    ),
    ("disk_full", ("database or disk is full", "no space left", "disk full", "table is full")),
    ("readonly", ("readonly database", "read-only", "permission denied", "command denied")),
    (
        "connection",
        (
            "connection refused",
            "could not connect",
            "can't connect",
            "server closed the connection",
            "lost connection",
            "connection is closed",
            "connection was killed",
            "terminating connection",
            "broken pipe",
            "timed out",
            "gone away",
            "starting up",
            "shutting down",
        ),
    ),
)

_STATEMENT_LIMIT = 200
_PASSWORD = re.compile(r"(password=|://[^:@/\s]*:)[^@\s]+", re.IGNORECASE)


def persistence_error(error: Exception, url_text: str) -> PersistenceError:
    """The engine's error for one of SQLAlchemy's or a driver's."""
    text = _first_line(error.orig if isinstance(error, DBAPIError) and error.orig is not None else error)
    return PersistenceError(f"{url_text}: {text}", _kind(error, text.lower()))


def _kind(error: Exception, text: str) -> str:
    for kind, signs in _SIGNS:
        if any(sign in text for sign in signs):
            return kind
    if isinstance(error, (PoolTimeout, DisconnectionError)):
        return "connection"
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return "connection"
    return "other"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    text = lines[0][:_STATEMENT_LIMIT]
    if not isinstance(error, SQLAlchemyError):
        text = f"{text or 'no message'} ({type(error).__name__})"
    return _PASSWORD.sub(r"\1***", text)
