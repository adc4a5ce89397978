"""What an exception of a driver means, whatever language the server speaks."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dynflow_mp.persistence.driver_errors import persistence_error

URL = "postgresql://scott:***@host:5432/plans"


class PsycopgError(Exception):
    """As psycopg's: with a code, except for what keeps a connection from being made."""

    def __init__(self, text: str, sqlstate: str | None = None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


class OperationalPsycopgError(PsycopgError):
    pass


OperationalPsycopgError.__name__ = "OperationalError"


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("40001", "locked"),
        ("40P01", "locked"),
        ("55P03", "locked"),
        ("57014", "locked"),
        ("40003", "connection"),
        ("08006", "connection"),
        ("25P03", "connection"),
        ("57P01", "connection"),
        ("57P03", "connection"),
        ("53300", "connection"),
        ("53100", "disk_full"),
        ("28P01", "login"),
        ("28000", "login"),
        ("3D000", "missing"),
        ("42P01", "missing"),
        ("42501", "rights"),
        ("3F000", "rights"),
        ("25006", "connection"),
        ("22021", "other"),
    ],
)
def test_codes_of_postgresql_decide_and_its_words_do_not(sqlstate: str, kind: str):
    error = _wrapped(PsycopgError("Ein Fehler ist aufgetreten", sqlstate))

    assert persistence_error(error, URL).kind == kind


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            "FATAL:  Passwort-Authentifizierung für Benutzer »scott« fehlgeschlagen",
            "login",
            "not let this user in",
        ),
        ("FATAL:  la base de données « plans » n'existe pas", "missing", "no such database"),
        ('ВАЖНО:  база данных "plans" не существует', "missing", "no such database"),
        ("FATAL:  Das Datenbanksystem startet", "connection", ""),
        ('FATAL:  password authentication failed for user "scott"', "login", "not let this user in"),
        ('FATAL:  role "scott" does not exist', "login", "knows no such user"),
        ('FATAL:  database "plans" does not exist', "missing", "no such database"),
        ('FATAL:  permission denied for database "plans"', "rights", "may not do that"),
        ('FATAL:  too many connections for role "scott"', "connection", "takes no more connections"),
        ("FATAL:  sorry, too many clients already", "connection", "takes no more connections"),
        ("FATAL:  the database system is starting up", "connection", "starting or shutting down"),
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "scott", database "plans", no encryption',
            "login",
            "not let this user in",
        ),
        ("server does not support SSL, but SSL was required", "login", "no encrypted connection"),
        ("session is read-only", "connection", "name the primary"),
        ("Connection refused", "connection", "cannot be reached"),
        ("Verbindungsaufbau abgelehnt", "connection", "cannot be reached"),
    ],
)
def test_while_connecting_postgresql_is_understood_by_words_and_names(answer: str, kind: str, words: str):
    text = f'connection failed: connection to server at "ssl.host", port 5432 failed: {answer}\n\tmore'

    found = persistence_error(_wrapped(OperationalPsycopgError(text)), URL)

    assert found.kind == kind
    assert words in str(found)
    assert answer in str(found)


def test_a_connection_of_postgresql_that_breaks_without_a_code_is_lost():
    error = _wrapped(OperationalPsycopgError("consuming input failed: SSL SYSCALL error: EOF detected"))

    assert persistence_error(error, URL).kind == "connection"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1205, "locked"),
        (1213, "locked"),
        (1969, "locked"),
        (1020, "locked"),
        (1021, "disk_full"),
        (1114, "disk_full"),
        (1040, "connection"),
        (1226, "connection"),
        (1927, "connection"),
        (2003, "connection"),
        (2006, "connection"),
        (2013, "connection"),
        (4031, "connection"),
        (1045, "login"),
        (2026, "login"),
        (3159, "login"),
        (1049, "missing"),
        (1146, "missing"),
        (1044, "rights"),
        (1142, "rights"),
        (1290, "connection"),
        (1062, "other"),
    ],
)
def test_numbers_of_mysql_decide(number: int, kind: str):
    pymysql = pytest.importorskip("pymysql")
    error = _wrapped(pymysql.err.OperationalError(number, "Algo ha salido mal"))

    found = persistence_error(error, "mysql://host/plans")

    assert found.kind == kind
    assert f"Algo ha salido mal ({number})" in str(found)


def test_no_connection_of_the_pool_becoming_free_passes():
    assert persistence_error(PoolTimeout("QueuePool limit reached"), URL).passes


def test_a_line_is_one_line_without_passwords_and_not_endless():
    error = _wrapped(
        PsycopgError(f"password=tiger is wrong at postgresql://scott:tiger@host {'x' * 999}\nDETAIL: tiger")
    )

    line = str(persistence_error(error, URL))

    assert "tiger" not in line
    assert "\n" not in line
    assert len(line) < 400


def _wrapped(cause: Exception) -> DBAPIError:
    return OperationalError("SELECT 1", {}, cause)
