"""``dynflow-mp doctor`` and ``config show``: what is wrong and what to do, without a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_actions import NeedsFile, Quick
from databases import POSTGRESQL, fresh_database
from program_told import Program

from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.maintenance.processes_alive import own_traces
from dynflow_mp.world import World


def findings(told: Any, level: str = "wrong") -> dict[str, dict[str, str]]:
    return {finding["name"]: finding for finding in told.json["findings"] if finding["level"] == level}


def test_where_all_is_well_the_doctor_says_so(executor: World, on: Program):
    told, people = on("doctor", "--json"), on("doctor")

    assert (told.status, told.json["ok"], findings(told)) == (0, True, {})
    names = {finding["name"] for finding in told.json["findings"]}
    assert {
        "Python",
        "SQLAlchemy",
        "libzmq",
        "open files",
        "memory",
        "clock",
        "tables",
        "registered",
        "stored",
    } <= names
    assert people.output.rstrip().splitlines()[-1].startswith("all is well")


def test_a_paused_plan_is_something_to_know_of_and_nothing_wrong(executor: World, on: Program):
    executor.trigger(NeedsFile, path="/nowhere/at/all").finished.result(30)

    told, quiet = on("doctor", "--json"), on("doctor", "--quiet")
    quiet_for_programs = on("doctor", "--quiet", "--json").json

    assert told.status == 0
    assert findings(told, "note")["paused with an error"]["advice"] == "dynflow-mp plans failures"
    assert "SQLAlchemy" not in quiet.output
    assert quiet_for_programs["ok"]
    assert {finding["level"] for finding in quiet_for_programs["findings"]} == {"note"}


def test_no_database_and_old_tables_are_wrong(program: Program, tmp_path: Path):
    told = program("doctor", "--json", "--database", f"sqlite:///{tmp_path}/plans.db")

    assert (told.status, told.json["ok"]) == (1, False)
    assert findings(told)["tables"]["what"] == "there is no such file"
    assert list(tmp_path.iterdir()) == []


def test_plans_that_no_executor_takes_are_wrong(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dynflow_mp.cli.doctor.living._PATIENCE_S", 0.0)
    url = f"sqlite:///{tmp_path}/plans.db"
    with World(database_url=url) as client:
        plan_id = client.trigger(Quick).id

    told = program("doctor", "--json", "--database", url)

    wrong = findings(told)["waiting for an executor"]
    assert told.status == 1
    assert plan_id in wrong["what"]
    assert wrong["advice"].startswith("start one: dynflow-mp supervisor")
    assert findings(told, "note")["registered"]["what"] == "nobody runs plans"


def test_worlds_that_are_gone_or_degraded_are_wrong(program: Program, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/plans.db"
    gone = {**own_traces(), "began": 1.0}
    with World(database_url=url) as client:
        client.coordinator.register_world(WorldRecord("a" * 32, executor=True, meta={"process": gone}))
        client.coordinator.register_world(
            WorldRecord("b" * 32, executor=True, meta={"degraded": "workers die"})
        )

        told = program("doctor", "--json", "--database", url)

    assert told.status == 1
    assert findings(told)["a" * 32]["advice"].startswith("dynflow-mp worlds check")
    assert "workers die" in findings(told)["b" * 32]["what"]


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("WORKERS", "many", "cannot be read as workers"),
        ("DATABASE_URL", "postgresql://scott:tiger@127.0.0.1:1/plans", "cannot be reached"),
        ("CURVE_KEY_FILE", "/nowhere/at/all/key", "cannot be used"),
        ("LISTEN", "tcp://192.0.2.7", "a port is missing"),
    ],
)
def test_settings_that_cannot_work_are_findings(
    setting: str, value: str, words: str, program: Program, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(f"DYNFLOW_{setting}", value)

    told = program("doctor", "--json")

    assert told.status == 1
    assert any(words in finding["what"] for finding in findings(told).values())
    assert "tiger" not in told.output + told.errors


def test_a_server_s_version_and_clock_are_told(database_kind: str, program: Program, tmp_path: Path):
    with fresh_database(database_kind, tmp_path) as url:
        program("db", "upgrade", "--database", url)

        told = program("doctor", "--json", "--database", url)

    ok = findings(told, "ok")
    assert "current" in ok["tables"]["value"]
    if database_kind == POSTGRESQL:
        assert ok["server"]["value"].startswith("PostgreSQL ")


# -- settings ----------------------------------------------------------------------------------------


def test_every_setting_is_told_with_its_origin(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "dynflow.toml").write_text(
        'workers = 3\ndatabase_url = "sqlite:///file.db"\napps = ["shop"]\n'
    )
    monkeypatch.setenv("DYNFLOW_WORKERS", "4")

    told = program("config", "show", "--json", "--database", "postgresql://scott:tiger@db/plans").json[
        "settings"
    ]
    people = program("config", "show", "--changed")

    assert told["workers"] == {"value": 4, "origin": "DYNFLOW_WORKERS"}
    assert told["apps"] == {"value": ["shop"], "origin": "dynflow.toml"}
    assert told["lease_ttl_s"] == {"value": 60.0, "origin": "default"}
    assert told["database_url"] == {"value": "postgresql://scott:***@db/plans", "origin": "option"}
    assert people.output.splitlines()[0].split() == ["SETTING", "VALUE", "ORIGIN"]
    assert "lease_ttl_s" not in people.output


def test_settings_that_cannot_work_are_exit_status_2(program: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DYNFLOW_WORKERS", "-1")

    told = program("config", "show")

    assert (told.status, told.output) == (2, "")
    assert "DYNFLOW_WORKERS='-1': must be a whole number from 0" in told.errors
