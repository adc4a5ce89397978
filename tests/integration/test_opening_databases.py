"""Every way in which a server cannot be opened ends in one clear line of its own kind, without the password."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import database_users
import pytest
from database_users import fresh_user
from databases import MYSQL, POSTGRESQL, fresh_database, require, run_on_server
from private_postgresql import PASSWORD, PrivatePostgreSQL, private_postgresql
from sqlalchemy import make_url, text

from dynflow_mp.errors import ConfigError, PersistenceError
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schema import prepare

SERVERS = pytest.mark.parametrize("database_kind", [POSTGRESQL, MYSQL], indirect=True)


@pytest.fixture
def url(database_kind: str, tmp_path: Path) -> Iterator[str]:
    with fresh_database(database_kind, tmp_path) as url:
        yield url


@pytest.fixture(scope="module")
def private_server() -> Iterator[PrivatePostgreSQL]:
    require(POSTGRESQL)
    with private_postgresql() as server:
        yield server


# -- URLs and drivers --------------------------------------------------------------------------------


def test_a_url_of_an_unknown_database_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="'oracle' is not supported; sqlite, postgresql"):
        Database("oracle://scott:tiger@host/db")


def test_a_misspelled_database_is_told_the_nearest():
    with pytest.raises(ConfigError, match=r"'postgres' is not supported.*did you mean 'postgresql'"):
        Database("postgres://scott:tiger@host/db")


@pytest.mark.parametrize("url", ["hunter2", "postgresql://scott:hunter2@host:5x/db", "", "://hunter2@"])
def test_what_is_no_url_is_refused_without_repeating_it(url: str):
    with pytest.raises(ConfigError, match="database_url") as refused:
        Database(url)

    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "better"),
    [
        ("postgresql+psycopg2://u@h/d", "'psycopg2' is not supported; psycopg is"),
        ("postgresql+asyncpg://u@h/d", "'asyncpg' is not supported; psycopg is"),
        ("mysql+mysqldb://u@h/d", "'mysqldb' is not supported; pymysql is"),
        ("sqlite+aiosqlite:///d.db", "'aiosqlite' is not supported; pysqlite is"),
    ],
)
def test_a_driver_that_is_not_ours_is_refused_with_the_one_that_is(url: str, better: str):
    with pytest.raises(ConfigError, match=better):
        Database(url)


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@h", "mysql://u:hunter2@h/", "mariadb://u:hunter2@h"])
def test_a_server_without_a_database_is_refused(url: str):
    with pytest.raises(ConfigError, match="names no database") as refused:
        Database(url)

    assert "hunter2" not in str(refused.value)


def test_g6_a_url_that_asks_for_a_standby_is_refused():
    with pytest.raises(ConfigError, match="cannot be written to"):
        Database("postgresql://u@h/d?target_session_attrs=prefer-standby")


@pytest.mark.parametrize(
    ("url", "driver", "extra"), [("postgresql", "psycopg", "postgres"), ("mariadb", "pymysql", "mysql")]
)
def test_a_missing_driver_names_the_extra_to_install(
    url: str, driver: str, extra: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, driver, None)

    with pytest.raises(ConfigError, match=rf"{driver} is not installed; .*dynflow_mp\[{extra}\]") as refused:
        Database(f"{url}://user:hunter2@127.0.0.1/plans")

    assert "hunter2" not in str(refused.value)


@SERVERS
def test_an_option_that_the_driver_does_not_know_is_named(url: str):
    with pytest.raises((ConfigError, PersistenceError), match="sl_mode"):
        Database(f"{url}?sl_mode=require")


def test_a_password_among_the_options_is_not_shown():
    with pytest.raises(PersistenceError) as refused:
        Database("postgresql://u@127.0.0.1:1/plans?password=hunter2")

    assert "hunter2" not in str(refused.value)


# -- the way to the server ---------------------------------------------------------------------------


def test_a_certificate_that_cannot_be_read_is_a_wrong_url(tmp_path: Path):
    with fresh_database(MYSQL, tmp_path) as url, pytest.raises(ConfigError, match="No such file"):
        Database(f"{url}?ssl_ca={tmp_path}/missing.pem")


@SERVERS
def test_a_server_that_is_not_there_cannot_be_reached(url: str):
    nowhere = make_url(url).set(port=1, password="hunter2").render_as_string(hide_password=False)

    refused = _refused(nowhere)

    assert (refused.kind, refused.passes) == ("connection", True)
    assert "the database server cannot be reached" in str(refused)


@SERVERS
def test_a_host_that_is_not_known_is_named(url: str):
    refused = _refused(make_url(url).set(host="plans.invalid").render_as_string(hide_password=False))

    assert refused.kind == "connection"
    assert "there is no host of this name" in str(refused)
    assert "plans.invalid" in str(refused)


@SERVERS
def test_encryption_that_the_server_does_not_have_is_named(database_kind: str, url: str):
    option = "sslmode=require" if database_kind == POSTGRESQL else "ssl_check_hostname=false"

    refused = _refused(f"{url}?{option}")

    assert refused.kind == "login"
    assert "no encrypted connection could be agreed on" in str(refused)


# -- who we are --------------------------------------------------------------------------------------


def test_a_wrong_password_is_a_wrong_password_on_postgresql(private_server: PrivatePostgreSQL):
    refused = _refused(private_server.url(password="hunter2"))

    assert refused.kind == "login"
    assert 'password authentication failed for user "postgres"' in str(refused)
    Database(private_server.url(password=PASSWORD)).close()


def test_a_wrong_password_is_a_wrong_password_on_mysql(tmp_path: Path):
    with fresh_database(MYSQL, tmp_path) as url, fresh_user(MYSQL, url) as theirs:
        refused = _refused(make_url(theirs).set(password="hunter2").render_as_string(hide_password=False))

    assert refused.kind == "login"
    assert "does not let this user in" in str(refused)


@SERVERS
def test_a_user_that_is_not_known_is_not_let_in(url: str):
    refused = _refused(
        make_url(url).set(username="dynflow_test_nobody").render_as_string(hide_password=False)
    )

    assert refused.kind == "login"
    assert "dynflow_test_nobody" in str(refused)


@SERVERS
def test_a_database_that_is_not_there_is_missing(url: str):
    missing = make_url(url).set(database="dynflow_test_missing").render_as_string(hide_password=False)

    refused = _refused(missing)

    assert (refused.kind, refused.passes) == ("missing", False)
    assert "the server has no such database; create it" in str(refused)


@SERVERS
def test_a_user_who_has_no_connection_left_may_try_later(database_kind: str, url: str):
    limit = "ALTER ROLE {user} CONNECTION LIMIT 1"
    if database_kind == MYSQL:
        limit = f"GRANT ALL ON {make_url(url).database}.* TO {{user}} WITH MAX_USER_CONNECTIONS 1"
    with fresh_user(database_kind, url, limit) as theirs:
        first = Database(theirs)

        refused = _refused(theirs)

        first.close()
        assert (refused.kind, refused.passes) == ("connection", True)
        assert "the server takes no more connections" in str(refused)


# -- what we may do ----------------------------------------------------------------------------------


@SERVERS
def test_a_user_who_may_not_make_tables_is_told_who_should(database_kind: str, url: str):
    right = [] if database_kind == POSTGRESQL else [f"GRANT SELECT ON {make_url(url).database}.* TO {{user}}"]
    with fresh_user(database_kind, url, *right) as theirs:
        database = Database(theirs)

        with pytest.raises(PersistenceError, match="this user may not do that; grant it") as refused:
            prepare(database)

        database.close()
        assert refused.value.kind == "rights"
        assert "have a user who may make tables run: dynflow-mp db upgrade" in str(refused.value)


@SERVERS
def test_a_user_who_may_not_use_the_database_is_told_so(database_kind: str, url: str):
    if database_kind == POSTGRESQL:
        name = make_url(url).database
        run_on_server(POSTGRESQL, f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    with fresh_user(database_kind, url) as theirs:
        refused = _refused(theirs)

    assert refused.kind == "rights"
    assert "may not do that" in str(refused)


@SERVERS
def test_a_user_who_may_not_read_the_tables_is_told_which(database_kind: str, url: str):
    _prepared(url)
    # MariaDB shows no tables at all to somebody without any right on one of them.
    right = [] if database_kind == POSTGRESQL else [f"GRANT INSERT ON {make_url(url).database}.* TO {{user}}"]
    with fresh_user(database_kind, url, *right) as theirs:
        database = Database(theirs)

        with pytest.raises(PersistenceError, match=r"dynflow_(schema_version|execution_plans)") as refused:
            prepare(database)

        database.close()
        assert refused.value.kind == "rights"


@SERVERS
def test_a_user_who_may_only_read_is_told_which_table_it_wanted_to_write(database_kind: str, url: str):
    _prepared(url)
    everything = (
        "ALL TABLES IN SCHEMA public" if database_kind == POSTGRESQL else f"{make_url(url).database}.*"
    )
    with fresh_user(database_kind, url, f"GRANT SELECT ON {everything} TO {{user}}") as theirs:
        database = Database(theirs)
        prepare(database)

        with (
            pytest.raises(PersistenceError, match="dynflow_events") as refused,
            database.write() as connection,
        ):
            connection.execute(text("DELETE FROM dynflow_events"))

        database.close()
        assert refused.value.kind == "rights"
        assert database_users.PASSWORD not in str(refused.value)


# -- servers that cannot be used ---------------------------------------------------------------------


def test_a_database_that_is_set_read_only_is_refused(tmp_path: Path):
    with fresh_database(POSTGRESQL, tmp_path) as url:
        name = make_url(url).database
        run_on_server(POSTGRESQL, f"ALTER DATABASE {name} SET default_transaction_read_only = on")

        refused = _refused(url)

    assert (refused.kind, refused.passes) == ("connection", True)
    assert "this server takes no writes" in str(refused)


def test_a_server_whose_packets_are_smaller_than_our_payloads_is_refused_with_the_number(tmp_path: Path):
    with fresh_database(MYSQL, tmp_path) as url, pytest.raises(PersistenceError) as refused:
        Database(url, max_payload=2**30)

    assert refused.value.kind == "unsuitable"
    assert f"set max_allowed_packet={2 * 2**30 + 2**20} or more" in str(refused.value)


def test_g1_what_a_power_failure_would_punish_is_remarked_on(
    private_server: PrivatePostgreSQL, caplog: pytest.LogCaptureFixture
):
    database = Database(private_server.url())

    database.close()

    # The tests' own server runs with fsync=off.
    assert len(database.remarks) == 1
    assert "fsync=off: a power failure may damage the whole database" in database.remarks[0]
    assert [record.getMessage() for record in caplog.records] == [
        f"{database.url_text}: {database.remarks[0]}"
    ]


def test_g25_a_server_that_goes_away_and_comes_back_is_used_again():
    require(POSTGRESQL)
    with private_postgresql() as server:
        database = Database(server.url())
        server.stop()

        with pytest.raises(PersistenceError) as away, database.read() as connection:
            connection.execute(text("SELECT 1"))
        server.start()
        with database.read() as connection:
            answer = connection.execute(text("SELECT 1")).scalar_one()

        database.close()
        assert (away.value.kind, answer) == ("connection", 1)


def test_a_server_that_becomes_read_only_passes_once_it_is_not_any_more(tmp_path: Path):
    with fresh_database(POSTGRESQL, tmp_path) as url:
        database = Database(url)
        _write(database, "CREATE TABLE t (n INTEGER)")

        with pytest.raises(PersistenceError) as refused:
            _write(database, "SET TRANSACTION READ ONLY", "INSERT INTO t VALUES (1)")
        _write(database, "INSERT INTO t VALUES (2)")

        database.close()
        assert (refused.value.kind, refused.value.passes) == ("connection", True)


def test_g6_a_standby_is_refused_and_one_that_answers_nobody_may_be_tried_later():
    require(POSTGRESQL)
    with private_postgresql() as server:
        server.stop()
        server.become_standby()
        server.start(hot_standby="on")
        standby = _refused(server.url())
        asked_for = _refused(server.url() + "?target_session_attrs=any")
        server.stop()
        server.start(hot_standby="off")
        silent = _refused(server.url())

    assert (standby.kind, asked_for.kind) == ("connection", "readonly")
    assert "this server takes no writes, as a standby does not; name the primary" in str(standby)
    assert "is a standby" in str(asked_for)
    assert silent.kind == "connection"
    assert "starting or shutting down" in str(silent)


def _refused(url: str) -> PersistenceError:
    """What is said about a database that cannot be opened: one line, and never a password."""
    with pytest.raises(PersistenceError) as refused:
        Database(url)
    line = str(refused.value)
    assert "\n" not in line
    password = make_url(url).password
    assert not password or str(password) not in line
    return refused.value


def _prepared(url: str) -> None:
    database = Database(url)
    prepare(database)
    database.close()


def _write(database: Database, *statements: str) -> None:
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))
