"""``dynflow-mp worlds``: who is there, what they are at, and what is done about them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_actions import Evented
from program_told import Program

from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.world import World

NOBODY = "a" * 32


@pytest.fixture
def stranger(executor: World) -> str:
    """The id of an executor that nobody knows anything of but its record."""
    record = WorldRecord(
        NOBODY, executor=True, meta={"hostname": "elsewhere", "pid": 7, "free": {"default": 2}}
    )
    executor.coordinator.register_world(record)
    return record.id


def test_worlds_are_listed(executor: World, on: Program):
    people, programs = on("worlds", "list"), on("worlds", "list", "--executors", "--state", "alive", "--json")

    assert people.output.splitlines()[0].split() == [
        "ID",
        "KIND",
        "STATE",
        "HOST",
        "PID",
        "FREE",
        "ENDPOINT",
        "REMARK",
    ]
    assert executor.id in people.output
    (world,) = programs.json["worlds"]
    assert (world["id"], world["kind"], world["state"], world["gone"]) == (
        executor.id,
        "executor",
        "alive",
        False,
    )
    assert on("worlds", "list", "--clients", "--json").json == {"worlds": []}


def test_looking_registers_no_world_and_writes_nothing(executor: World, on: Program):
    before = {record.id for record in executor.coordinator.find_worlds()}

    for verb in (
        ["worlds", "list"],
        ["worlds", "locks"],
        ["plans", "list"],
        ["plans", "failures"],
        ["doctor"],
    ):
        on(*verb, "--json")

    assert {record.id for record in executor.coordinator.find_worlds()} == before


def test_a_ping_is_answered(executor: World, on: Program):
    everybody, one, nobody = (
        on("worlds", "ping", "--json"),
        on("worlds", "ping", executor.id),
        on("worlds", "ping", "x"),
    )

    assert (everybody.status, one.status, nobody.status) == (0, 0, 3)
    assert everybody.json["worlds"][0]["ok"] is True
    assert f"{executor.id}: alive" in one.output
    assert "no world x is registered" in nobody.errors


def test_workers_and_queues_are_told(executor: World, on: Program):
    people, programs = on("worlds", "workers"), on("worlds", "workers", executor.id, "--json")

    (world,) = programs.json["worlds"]
    assert [(queue["name"], queue["size"]) for queue in world["queues"]] == [("default", 1)]
    assert [worker["state"] for worker in world["workers"]] == ["idle"]
    assert world["workers"][0]["pid"] in executor.worker_pids.values()
    assert "queue default: 1 of 1 free" in people.output


def test_locks_are_told(executor: World, on: Program):
    plan_id = executor.trigger(Evented).id

    told = on("plans", "watch", plan_id, "--timeout", "0.5")
    locks = on("worlds", "locks", "--json").json["locks"]

    assert told.status == 5
    assert (plan_id, executor.id) in [(lock["plan_id"], lock["world_id"]) for lock in locks]
    executor.halt(plan_id).result(30)


def test_worlds_whose_processes_are_there_are_valid(executor: World, on: Program):
    told = on("worlds", "check", "--json")

    assert told.status == 0
    assert {"id": executor.id, "state": "valid"} in told.json["worlds"]


def test_a_world_is_declared_dead_only_when_somebody_says_so(executor: World, on: Program, stranger: str):
    unasked = on("worlds", "invalidate", stranger)
    done = on("worlds", "invalidate", stranger, "--yes", "--json")
    unknown = on("worlds", "invalidate", "b" * 32, "--yes")

    assert (unasked.status, done.status, unknown.status) == (2, 0, 3)
    assert done.json == {"deed": "invalidate", "world_id": stranger, "plans": 0}
    assert next(deed.by for deed in executor.persistence.audits() if stranger in deed.deed).endswith(" (cli)")


def test_only_a_supervisor_is_drained_and_only_when_somebody_says_so(executor: World, on: Program):
    with World(database_url=executor.config.database_url) as client:
        told = on("worlds", "drain", client.id, "--yes")
    unasked, unknown = on("worlds", "drain", executor.id), on("worlds", "drain", "b" * 32, "--yes")

    assert (told.status, unasked.status, unknown.status) == (1, 2, 3)
    assert "no supervisor" in told.errors
    assert not executor.terminating


def test_no_executor_at_all_is_exit_status_3(program: Program, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/plans.db"
    program("db", "upgrade", "--database", url)

    told = program("worlds", "ping", "--database", url, "--json")

    assert (told.status, json.loads(told.output)) == (3, {"worlds": []})
    assert "no executor is registered" in told.errors
