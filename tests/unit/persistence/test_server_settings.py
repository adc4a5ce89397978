"""Which settings of a server are refused, and which are only remarked on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dynflow_mp.errors import PersistenceError
from dynflow_mp.persistence.server_settings import on_mysql, on_postgresql

MAX_PAYLOAD = 4 * 1024 * 1024


def postgresql(**settings: object) -> SimpleNamespace:
    usual = {"version": 150004, "shown": "15.4", "fsync": "on", "full_page_writes": "on"}
    return SimpleNamespace(**{**usual, "standby": False, "read_only": "off", **settings})


def mariadb(**settings: object) -> SimpleNamespace:
    usual = {"version": "10.11.6-MariaDB-0+deb12u1", "flush": 1, "sync_binlog": 0, "log_bin": 0}
    more = {"packet": 16 * 1024 * 1024, "read_only": 0, "innodb_read_only": 0}
    return SimpleNamespace(**{**usual, **more, **settings})


def test_servers_as_they_are_delivered_leave_nothing_to_say():
    assert on_postgresql(postgresql()) == []
    assert on_mysql(mariadb(), MAX_PAYLOAD) == []
    assert on_mysql(mariadb(version="8.4.3", log_bin=1, sync_binlog=1), MAX_PAYLOAD) == []


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_settings_of_postgresql_that_a_power_failure_would_punish_are_remarked_on(name: str):
    (remark,) = on_postgresql(postgresql(**{name: "off"}))

    assert remark.startswith(f"{name}=off: ")
    assert f"set {name}=on" in remark


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"version": 120020, "shown": "12.20"}, "unsuitable", "PostgreSQL 12.20 is too old; 13 or newer"),
        ({"standby": True}, "readonly", "standby"),
        ({"read_only": "on"}, "readonly", "read-only"),
    ],
)
def test_servers_of_postgresql_that_cannot_be_used_are_refused(settings: dict, kind: str, words: str):
    with pytest.raises(PersistenceError, match=words) as refused:
        on_postgresql(postgresql(**settings))

    assert refused.value.kind == kind


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"flush": 2}, "innodb_flush_log_at_trx_commit=2: "),
        ({"flush": 0}, "innodb_flush_log_at_trx_commit=0: "),
        ({"log_bin": 1, "sync_binlog": 0}, "sync_binlog=0 with a binary log: "),
    ],
)
def test_settings_of_mariadb_that_a_power_failure_would_punish_are_remarked_on(settings: dict, words: str):
    (remark,) = on_mysql(mariadb(**settings), MAX_PAYLOAD)

    assert remark.startswith(words)
    assert remark.endswith("set it to 1")


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"version": "10.5.23-MariaDB"}, "unsuitable", "MariaDB 10.5.23-MariaDB is too old; 10.6 or newer"),
        ({"version": "5.5.5-10.4.1-MariaDB"}, "unsuitable", "too old; 10.6"),
        ({"version": "5.7.44"}, "unsuitable", "MySQL 5.7.44 is too old; 8.0 or newer"),
        ({"read_only": "ON"}, "readonly", "this MariaDB server is read-only"),
        ({"innodb_read_only": 1}, "readonly", "read-only"),
        (
            {"packet": 1024},
            "unsuitable",
            "max_allowed_packet=1024 is too small.*max_allowed_packet=9437184 or more",
        ),
    ],
)
def test_servers_of_mariadb_and_mysql_that_cannot_be_used_are_refused(settings: dict, kind: str, words: str):
    with pytest.raises(PersistenceError, match=words) as refused:
        on_mysql(mariadb(**settings), MAX_PAYLOAD)

    assert refused.value.kind == kind


def test_a_packet_limit_that_just_suffices_is_taken():
    assert on_mysql(mariadb(packet=2 * MAX_PAYLOAD + 1024 * 1024), MAX_PAYLOAD) == []
