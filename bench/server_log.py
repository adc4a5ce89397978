"""How much a database server has written to its log: what a plan costs there in bytes.

Servers keep this account for all their databases together, so it means something only while nobody else uses the server.
"""

from __future__ import annotations

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

ASKED = {
    "postgresql": "SELECT 0, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')",
    "mysql": "SHOW GLOBAL STATUS LIKE 'Innodb_os_log_written'",
    "mariadb": "SHOW GLOBAL STATUS LIKE 'Innodb_os_log_written'",
}


def log_bytes(url: str) -> int | None:
    """Bytes written so far to the log of the server behind ``url``; None where there is no server."""
    question = ASKED.get(make_url(url).get_backend_name())
    if question is None:
        return None
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            (answer,) = connection.execute(text(question)).all()
            return int(answer[1])
    finally:
        engine.dispose()
