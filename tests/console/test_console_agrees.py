"""What the API tells of plans is what the command line tells of them, field by field."""

import json
from datetime import UTC, date, datetime

import pytest
from asking import a_console, post, wait_for
from console_actions import FailsUnlessTold, Greets, KeepsSecrets, WaitsForWord

from dynflow_mp.cli.program import run

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DATA = {"at": NOON, "on": date(2026, 3, 1), "raw": b"\0\1", "card": {"number": "4111-c4rd", "holder": "ann"}}


@pytest.fixture
def dynflow_mp(running_world, capfd):
    """The JSON that a command prints."""

    def told(*arguments):
        capfd.readouterr()
        assert run([*arguments, "--database", running_world.config.database_url, "--json"]) == 0
        return json.loads(capfd.readouterr().out)

    return told


@pytest.fixture(scope="module")
def failed(running_world):
    """A paused plan, with data that JSON does not have and a secret in its error."""
    plan = running_world.trigger(KeepsSecrets, password="c4nary-3f9a", **DATA).finished.result(30)
    assert plan.state == "paused"
    return plan


def test_a_plan_is_told_alike(running_world, dynflow_mp, failed):
    by_command = dynflow_mp("plans", "show", failed.id)
    by_api = a_console(running_world).get(f"/api/plans/{failed.id}").json()

    only_here = {"cancellable", "delay", "step_counts"}
    only_there = {"run_flow", "finalize_flow", "steps", "actions"}
    assert by_api.keys() - by_command.keys() == only_here
    assert by_command.keys() - by_api.keys() == only_there
    assert {name: by_api[name] for name in by_api.keys() - only_here} == {
        name: by_command[name] for name in by_command.keys() - only_there
    }
    assert datetime.fromisoformat(by_api["started_at"]) == failed.started_at


def test_steps_among_others_are_told_alike_but_for_the_length_of_errors(running_world, dynflow_mp, failed):
    by_command = dynflow_mp("plans", "show", failed.id)["steps"]
    by_api = a_console(running_world).get(f"/api/plans/{failed.id}/steps").json()["steps"]

    for step in by_command:
        if step["error"] is not None:
            step["error"] = {name: step["error"][name] for name in ("class", "message", "cause")}
    assert by_api == by_command
    assert [step["error"] is None for step in by_api] == [True, False]


def test_a_step_alone_is_told_alike_with_data_that_json_does_not_have(running_world, dynflow_mp, failed):
    step_id = failed.failed_steps[0].id

    by_command = dynflow_mp("plans", "show", failed.id, "--step", str(step_id))
    by_api = a_console(running_world).get(f"/api/plans/{failed.id}/steps/{step_id}").json()

    assert by_api == by_command
    assert by_api["input"] == {
        "password": "***",
        "at": {"$datetime": "2026-03-01T12:00:00+00:00"},
        "on": {"$date": "2026-03-01"},
        "raw": {"$bytes": "AAE="},
        "card": {"number": "***", "holder": "ann"},
    }
    assert [attempt["number"] for attempt in by_api["failed_attempts"]] == [1]


def test_a_list_is_told_alike(running_world, dynflow_mp):
    running_world.trigger(Greets, name="ann").finished.result(30)

    by_command = dynflow_mp("plans", "list", "--state", "stopped")
    by_api = a_console(running_world).get("/api/plans?state=stopped").json()

    assert by_api == by_command
    assert by_api["plans"]


def test_locks_are_told_alike(running_world, dynflow_mp):
    plan_id = running_world.trigger(WaitsForWord).id
    console = a_console(running_world)
    told = wait_for(
        lambda: [lock for lock in console.get("/api/locks").json()["locks"] if lock["plan_id"] == plan_id]
    )

    assert told[0] in dynflow_mp("worlds", "locks")["locks"]
    assert told[0]["world_id"] == running_world.id
    running_world.halt(plan_id).result(30)


def test_what_is_read_of_an_input_can_be_written_back_as_it_was(running_world):
    console = a_console(running_world)
    plan = running_world.trigger(FailsUnlessTold, **DATA).finished.result(30)
    path = f"/api/plans/{plan.id}/steps/{plan.failed_steps[0].id}"
    told = console.get(path).json()["input"]

    written = post(
        console,
        f"{path}/input",
        {"changes": {"at": told["at"], "raw": told["raw"], "new": {"$date": "2026-04-01"}}},
    )

    assert written.status_code == 200, written.text
    stored = running_world.persistence.load_execution_plan(plan.id).entry_action.input
    assert {name: stored[name] for name in DATA} == DATA
    assert stored["new"] == date(2026, 4, 1)


@pytest.mark.parametrize(
    "wrong", [{"$datetime": "soon"}, {"$bytes": 5}, {"$dict": 5}, {"$event": "nonsense"}]
)
def test_a_tag_with_something_else_in_it_is_refused(running_world, failed, wrong):
    path = f"/api/plans/{failed.id}/steps/{failed.failed_steps[0].id}"

    edited = post(a_console(running_world), f"{path}/input", {"changes": {"at": wrong}})
    sent = post(a_console(running_world), f"{path}/event", {"event": [wrong]})

    assert [answer.status_code for answer in (edited, sent)] == [400, 400]
    assert [answer.json()["field"] for answer in (edited, sent)] == ["changes", "event"]
