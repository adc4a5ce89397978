"""``dynflow-mp plans`` and ``trigger``: what they show and do, and how they end."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from cli_actions import (
    Evented,
    FailsToPlan,
    Hostile,
    Many,
    NeedsFile,
    Quick,
    Secretive,
    Stoppable,
    Two,
)
from program_told import Program
from sqlalchemy import delete, text

from dynflow_mp.cli.deeds import by
from dynflow_mp.cli.plans.choosing import MOST_AT_ONCE
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.maintenance.processes_alive import own_traces
from dynflow_mp.model.audits import author
from dynflow_mp.persistence import plan_filters, plan_pages
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.tables import actions
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.testing import InThreadWorld
from dynflow_mp.world import World, bulk_course

NOBODY = "01a215cf-fedc-7998-abcd-000000000000"
BY = re.compile(r".+@.+ \(cli\)")


def ended(world: World, action: type, *args: Any, **kwargs: Any) -> ExecutionPlan:
    """A plan whose attempt has ended."""
    return world.trigger(action, *args, **kwargs).finished.result(30)


def suspended(world: World, action: type) -> str:
    """The id of a plan whose step waits for an event."""
    plan_id: str = world.trigger(action).id
    give_up_at = monotonic() + 30
    while not world.persistence.load_execution_plan(plan_id).steps_in_state("suspended"):
        assert monotonic() < give_up_at
        sleep(0.02)
    return plan_id


# -- looking -----------------------------------------------------------------------------------------


def test_a_list_shows_what_the_filters_let_through(executor: World, on: Program, tmp_path: Path):
    good, bad = ended(executor, Quick), ended(executor, NeedsFile, path=str(tmp_path / "no"))

    paused = on("plans", "list", "--state", "paused", "--error", "is not there yet", "--json")
    by_action = on("plans", "list", "--action", "Quick", "--since", "1h", "--json").json
    table = on("plans", "list", "--result", "success")

    assert (paused.status, paused.errors) == (0, "")
    assert bad.id in [plan["id"] for plan in paused.json["plans"]]
    assert {plan["state"] for plan in paused.json["plans"]} == {"paused"}
    assert good.id in [plan["id"] for plan in by_action["plans"]]
    assert (by_action["page"], by_action["per_page"]) == (0, 50)
    assert by_action["total"] == len(by_action["plans"])
    assert table.output.splitlines()[0].split() == [
        "ID",
        "STATE",
        "RESULT",
        "DONE",
        "STARTED",
        "(UTC)",
        "TOOK",
        "LABEL",
    ]
    assert re.search(rf"{good.id}  stopped  success  100 %", table.output)


def test_a_list_comes_in_pages(executor: World, on: Program):
    for _ in range(3):
        ended(executor, Quick)

    first = on("plans", "list", "--per-page", "2", "--order-by", "created_at", "--asc", "--json").json
    second = on(
        "plans", "list", "--per-page", "2", "--page", "1", "--order-by", "created_at", "--asc", "--json"
    ).json

    assert len(first["plans"]) == len({plan["id"] for plan in first["plans"] + second["plans"]}) / 2 == 2
    assert first["total"] >= 3


def test_a_list_says_when_it_has_not_looked_everywhere(
    executor: World, on: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for number in range(2):
        ended(executor, NeedsFile, path=str(tmp_path / f"missing{number}"))
    arguments = ("plans", "list", "--error", "missing")

    whole, all_of_it = on(*arguments), on(*arguments, "--json").json
    for module in (plan_filters, plan_pages):
        monkeypatch.setattr(module, "MOST_SEARCHED", 1)
    cut, part_of_it = on(*arguments), on(*arguments, "--json").json

    assert (all_of_it["cut"], part_of_it["cut"]) == (False, True)
    assert "newest plans with errors only" not in whole.output
    assert "newest plans with errors only" in cut.output


def test_a_plan_is_shown_with_its_steps_errors_and_history(executor: World, on: Program, tmp_path: Path):
    plan = ended(executor, Two, str(tmp_path / "no"))

    people, programs = on("plans", "show", plan.id), on("plans", "show", plan.id, "--json")

    assert people.status == programs.status == 0
    for words in (
        "Two",
        "paused, error",
        "✗ 3 NeedsFile error",
        "· 5 Quick pending",
        "FileNotFoundError",
        "pause execution",
    ):
        assert words in people.output
    shape = programs.json
    assert shape["actions"][2]["input"] == {"say": {"$reference": "Step(3).output['found']"}}
    assert (shape["id"], shape["state"], shape["result"], shape["valid"]) == (
        plan.id,
        "paused",
        "error",
        True,
    )
    assert [step["state"] for step in shape["steps"] if step["phase"] == "run"] == ["error", "pending"]
    assert shape["steps"][2]["error"]["class"] == "FileNotFoundError"
    assert [action["id"] for action in shape["actions"]] == [1, 2, 3]
    assert [event["name"] for event in shape["history"]] == ["start execution", "pause execution"]


def test_a_scheduled_plan_is_shown_with_the_time_it_starts_at(executor: World, on: Program):
    start_at = datetime.now(UTC) + timedelta(hours=2)
    first = executor.delay(Quick, start_at=start_at, start_before=start_at + timedelta(hours=1)).id
    frozen, after = executor.delay(Quick, frozen=True).id, executor.chain(first, Quick).id

    shown = [on("plans", "show", plan_id).output for plan_id in (first, frozen, after)]

    assert f"to start  {start_at:%Y-%m-%d %H:%M:%S}\n" in shown[0]
    assert f"not after {start_at + timedelta(hours=1):%Y-%m-%d %H:%M:%S}\n" in shown[0]
    assert "to start  at once, once somebody lets it go\n" in shown[1]
    assert f"after     {first}\n" in shown[2]
    for plan_id in (first, frozen, after):
        executor.halt(plan_id).result(30)


def test_one_step_is_shown_with_its_input_and_its_attempts(executor: World, on: Program, tmp_path: Path):
    plan = ended(executor, NeedsFile, path=str(tmp_path / "no"))

    people, programs = (
        on("plans", "show", plan.id, "--step", "2"),
        on("plans", "show", plan.id, "--step", "2", "--json"),
    )
    missing = on("plans", "show", plan.id, "--step", "77")

    assert f'"path": "{tmp_path}/no"' in people.output
    assert "raise FileNotFoundError" in people.output
    assert programs.json["input"] == {"path": f"{tmp_path}/no"}
    assert [attempt["number"] for attempt in programs.json["failed_attempts"]] == [1]
    assert (missing.status, missing.output) == (3, "")
    assert "has no step 77" in missing.errors


def test_a_plan_whose_actions_are_gone_is_shown_without_their_data(
    executor: World, on: Program, tmp_path: Path
):
    plan = ended(executor, NeedsFile, path=str(tmp_path / "no"))
    database = Database(executor.config.database_url)
    with database.write() as connection:
        connection.execute(delete(actions).where(actions.c.execution_plan_id == plan.id))
    database.close()

    whole, step = (
        on("plans", "show", plan.id, "--json"),
        on("plans", "show", plan.id, "--step", "2", "--json"),
    )
    people = [on("plans", "show", plan.id), on("plans", "show", plan.id, "--step", "2")]

    assert [told.status for told in (whole, step, *people)] == [0] * 4
    assert whole.json["actions"][0]["input"] == {"cannot be shown": "action 1 is not stored"}
    assert step.json["output"] == {"cannot be shown": "action 1 is not stored"}
    assert "InvalidPlan" in step.json["error"]["class"]
    assert all("action 1 is not stored" in told.output for told in people)


def test_an_id_may_be_spelled_as_uuids_are(executor: World, on: Program):
    plan = ended(executor, Quick)

    for spelled in (plan.id.upper(), plan.id.replace("-", "")):
        assert on("plans", "why", spelled).output == "it waits for nothing\n"
        assert on("plans", "delete", spelled, "--dry-run", "--json").json["eligible"] == 1


def test_a_plan_that_is_not_there_is_exit_status_3(on: Program):
    for verb in (
        ["show"],
        ["watch"],
        ["why"],
        ["resume"],
        ["cancel"],
        ["halt", "--yes"],
        ["delete", "--yes"],
        ["export"],
    ):
        told = on("plans", *verb, NOBODY)

        assert told.status == 3, verb
        assert NOBODY in told.errors


def test_failures_are_grouped_and_a_group_can_be_listed(executor: World, on: Program, tmp_path: Path):
    plans = [ended(executor, NeedsFile, path=f"{tmp_path}/no{number}") for number in range(2)]

    groups = on("plans", "failures", "--json").json["groups"]
    people = on("plans", "failures")

    (group,) = [group for group in groups if plans[0].id in group["plan_ids"]]
    assert plans[1].id in group["plan_ids"]
    assert group["exception_class"] == "FileNotFoundError"
    assert "is not there yet" in people.output


def test_an_export_is_a_line_for_each_plan(executor: World, on: Program, tmp_path: Path):
    plans = [ended(executor, Quick, say=number) for number in range(2)]

    told = on("plans", "export", plans[0].id, plans[1].id)
    to_file = on("plans", "export", "--action", "Quick", "--output", f"{tmp_path}/plans.jsonl")
    again = on("plans", "export", "--output", f"{tmp_path}/plans.jsonl")

    assert [json.loads(line)["id"] for line in told.output.splitlines()] == [plan.id for plan in plans]
    assert [json.loads(line)["actions"][0]["output"] for line in told.output.splitlines()] == [
        {"said": 0},
        {"said": 1},
    ]
    assert to_file.status == 0
    lines = (tmp_path / "plans.jsonl").read_text().splitlines()
    assert {plan.id for plan in plans} <= {json.loads(line)["id"] for line in lines}
    assert (tmp_path / "plans.jsonl").stat().st_mode & 0o777 == 0o600
    assert (again.status, "cannot be written" in again.errors) == (2, True)


def test_watching_ends_with_the_plan_and_tells_how(executor: World, on: Program, tmp_path: Path):
    good = executor.trigger(Many, 30)
    bad = ended(executor, NeedsFile, path=str(tmp_path / "no"))

    people = on("plans", "watch", good.id)
    programs = on("plans", "watch", bad.id, "--json")

    assert people.status == 0
    assert people.output.splitlines()[-1].endswith("Many: stopped, success, 100 % done")
    lines = [json.loads(line) for line in programs.output.splitlines()]
    assert programs.status == 1
    assert [(line["kind"], line["state"]) for line in lines] == [
        ("step", "success"),
        ("step", "error"),
        ("plan", "paused"),
    ]
    assert lines[1]["error"]["class"] == "FileNotFoundError"


def test_watching_for_longer_than_is_wanted_is_exit_status_5(executor: World, on: Program):
    plan_id = suspended(executor, Evented)

    told = on("plans", "watch", plan_id, "--timeout", "0.1s")

    assert told.status == 5
    assert "has not ended" in told.errors
    executor.halt(plan_id).result(30)


def test_watching_goes_on_while_a_plan_that_was_resumed_waits_for_an_executor(
    program: Program, tmp_path: Path
):
    url = f"sqlite:///{tmp_path}/plans.db"
    with InThreadWorld(database_url=url) as world:
        plan_id = world.run(NeedsFile, path=str(tmp_path / "no")).id
    watched = program("plans", "watch", plan_id, "--timeout", "0.1s", "--database", url)
    with World(database_url=url) as client:
        client.execute(plan_id)

    resumed = program("plans", "watch", plan_id, "--timeout", "0.1s", "--database", url)
    shown = program("plans", "show", plan_id, "--database", url)

    assert (watched.status, resumed.status) == (1, 5), resumed
    assert "has not ended" in resumed.errors
    assert "paused, error, resumed, waits for an executor" in shown.output


def test_a_plan_whose_executor_is_gone_says_so_before_anybody_has_noticed(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    url = f"sqlite:///{tmp_path}/plans.db"
    gone = WorldRecord("a" * 32, executor=True, meta={"process": {**own_traces(), "began": 1.0}})
    with World(database_url=url) as client:
        client.coordinator.register_world(gone)
        plan_id = client.plan(Quick).id
        orphaned = text("UPDATE dynflow_execution_plans SET state = 'running', owner_id = :owner")
        with client.persistence._store.database.write() as connection:
            connection.execute(orphaned, {"owner": gone.id})

        why = program("plans", "why", plan_id, "--database", url)
        monkeypatch.setattr("dynflow_mp.cli.plans.resuming._REFUSED_S", 0.2)
        resumed = program("plans", "resume", plan_id, "--database", url)

    assert f"the plan was run by world {gone.id}, which is gone" in why.output
    assert (resumed.status, f"is world {gone.id}'s, which is gone" in resumed.errors) == (5, True)


def test_a_plan_that_waits_says_for_what(executor: World, on: Program):
    plan_id = suspended(executor, Evented)

    waits = on("plans", "why", plan_id, "--json").json["waits"]
    people = on("plans", "why", plan_id)

    assert [(wait["step_id"], wait["kind"]) for wait in waits] == [(None, "event"), (2, "event")]
    assert waits[1]["sentence"] in people.output
    executor.halt(plan_id).result(30)


# -- doing -------------------------------------------------------------------------------------------


def test_a_failed_plan_is_edited_and_resumed_and_both_are_in_its_history(
    executor: World, on: Program, tmp_path: Path
):
    plan = ended(executor, NeedsFile, path=str(tmp_path / "no"))
    (tmp_path / "yes").touch()

    still = on("plans", "resume", plan.id, "--wait")
    edited = on(
        "plans", "edit", plan.id, "2", "--set", f'path="{tmp_path}/yes"', "--resume", "--wait=30s", "--json"
    )
    again = on("plans", "resume", plan.id)

    assert (still.status, edited.status, again.status) == (1, 0, 4)
    assert edited.json["plans"][0] == {
        "plan_id": plan.id,
        "ok": True,
        "error": None,
        "step_id": 2,
        "keys": ["path"],
        "state": "stopped",
        "result": "success",
    }
    assert "is stopped" in again.errors
    by = [event["by"] for event in on("plans", "show", plan.id, "--json").json["history"] if event["by"]]
    assert len(by) == 3
    assert all(map(BY.fullmatch, by))


def test_a_failed_step_is_skipped_with_what_needs_it(executor: World, on: Program, tmp_path: Path):
    plan = ended(executor, Two, str(tmp_path / "no"))

    dry = on("plans", "skip", plan.id, "--failed", "--dry-run", "--json").json
    told = on("plans", "skip", plan.id, "3", "--resume", "--wait=30s", "--json")
    refused = on("plans", "skip", plan.id, "3")

    assert dry["plans"] == [{"plan_id": plan.id, "steps": [3]}]
    assert told.status == 0
    assert told.json["plans"][0]["steps"] == [3, 5]
    assert (told.json["plans"][0]["state"], told.json["plans"][0]["result"]) == ("stopped", "warning")
    assert refused.status == 4


def test_what_was_skipped_before_another_step_could_not_be_is_told(
    executor: World, on: Program, tmp_path: Path
):
    plan = ended(executor, Two, str(tmp_path / "no"))

    told = on("plans", "skip", plan.id, "3", "99", "--json")
    again = on("plans", "skip", plan.id, "--failed")

    assert told.status == 3
    assert (told.json["plans"][0]["ok"], told.json["plans"][0]["steps"]) == (False, [3, 5])
    assert (again.status, again.errors) == (4, f"dynflow-mp: plan {plan.id} has no failed step\n")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["skip", "99"], 3),
        (["skip", "1"], 4),  # the plan step: there, and nothing to be skipped
        (["edit", "99", "--set", "path=1"], 3),
        (["edit", "5", "--set", "path=1"], 4),
        (["event", "99", "1"], 3),
        (["event", "5", "1"], 4),
    ],
)
def test_a_step_that_is_not_there_is_exit_status_3(
    arguments: list[str], status: int, executor: World, on: Program, tmp_path: Path
):
    plan = ended(executor, Two, str(tmp_path / "no"))

    told = on("plans", arguments[0], plan.id, *arguments[1:])

    assert told.status == status
    assert told.errors.count("\n") == 1


def test_a_dry_run_tells_what_would_come_of_plans_that_are_named(
    executor: World, on: Program, tmp_path: Path
):
    planned, failed = executor.plan(Quick).id, ended(executor, NeedsFile, path=str(tmp_path / "no")).id
    done = ended(executor, Quick).id

    dry = on("plans", "resume", planned, failed, done, NOBODY, "--dry-run", "--json").json
    run = on("plans", "resume", planned, "--wait=30s")

    assert dry == {
        "deed": "resume",
        "dry_run": True,
        "total": 4,
        "eligible": 2,
        "refused": {"is stopped": 1, "is not stored": 1},
    }
    assert run.status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["resume", "--state", "paused", "--sub-plans"],
        ["resume", "--state", "paused", "--wait=5s"],
        ["skip", "--state", "paused", "--wait=5s"],
        ["cancel", "--state", "running", "--force"],
    ],
)
def test_what_bulk_deeds_cannot_have_is_refused_and_not_passed_over(arguments: list[str], on: Program):
    told = on("plans", *arguments, "--yes")

    assert (told.status, "named by" in told.errors) == (2, True)


def test_a_plan_that_runs_is_not_resumed(executor: World, on: Program):
    plan_id = suspended(executor, Evented)

    told = on("plans", "resume", plan_id)

    assert (told.status, f"plan {plan_id} is already running" in told.errors) == (4, True)
    executor.halt(plan_id).result(30)


def test_an_event_is_taken_or_refused(executor: World, on: Program):
    plan_id = suspended(executor, Evented)

    taken = on("plans", "event", plan_id, "2", '"finish"', "--json")
    watched = on("plans", "watch", plan_id)
    refused = on("plans", "event", plan_id, "2", '"finish"')
    tried = on("plans", "event", plan_id, "2", '"finish"', "--optional", "--json")
    no_json = on("plans", "event", plan_id, "2", "finish")

    assert (taken.status, taken.json["plans"][0]["taken"]) == (0, True)
    assert (watched.status, refused.status, no_json.status) == (0, 4, 2)
    assert (tried.status, tried.json["plans"][0]["taken"]) == (0, False)
    assert "needs its quotes" in no_json.errors


def test_cancelling_tells_steps_that_can_be_cancelled_and_halting_stops_whatever_it_is(
    executor: World, on: Program
):
    able, unable = suspended(executor, Stoppable), suspended(executor, Evented)

    cancelled = on("plans", "cancel", able, "--json")
    refused = on("plans", "cancel", unable)
    unasked = on("plans", "halt", unable)
    halted = on("plans", "halt", unable, "--yes", "--json")

    assert (cancelled.status, cancelled.json["plans"][0]["steps"]) == (0, [2])
    assert refused.status == 4
    assert (unasked.status, "--yes" in unasked.errors) == (2, True)
    assert (halted.status, halted.json["plans"][0]["state"]) == (0, "stopped")


def test_only_stopped_plans_are_deleted(executor: World, on: Program, tmp_path: Path):
    good, bad = ended(executor, Quick), ended(executor, NeedsFile, path=str(tmp_path / "no"))

    dry = on("plans", "delete", good.id, "--dry-run", "--json")
    both = on("plans", "delete", good.id, bad.id, "--yes", "--json", "--backup", f"{tmp_path}/backup")
    gone = on("plans", "show", good.id)

    assert (dry.status, dry.json["eligible"], dry.json["deleted"]) == (0, 1, 0)
    assert (both.status, both.json["deleted"], both.json["not_stopped"]) == (4, 1, 1)
    assert gone.status == 3
    assert on("plans", "show", bad.id).status == 0
    assert list((tmp_path / "backup").glob("*/execution_plans.jsonl"))


def test_many_plans_are_resumed_after_a_preview_and_stop_at_the_same_error(
    executor: World, on: Program, tmp_path: Path
):
    plans = [ended(executor, NeedsFile, path=f"{tmp_path}/later") for _ in range(6)]
    chosen = ("--state", "paused", "--error", f"{tmp_path}/later")

    dry = on("plans", "resume", *chosen, "--dry-run", "--json")
    unasked = on("plans", "resume", *chosen)
    vain = on("plans", "resume", *chosen, "--yes", "--json", "--at-once", "1", "--stop-on-same-error", "2")
    (tmp_path / "later").touch()
    well = on("plans", "resume", *chosen, "--yes", "--json")

    assert (dry.status, dry.json["total"], dry.json["eligible"], dry.json["dry_run"]) == (0, 6, 6, True)
    assert (unasked.status, "--yes" in unasked.errors) == (2, True)
    assert (vain.status, vain.json["failed"]) == (1, 2)
    assert vain.json["stopped_because"]
    assert (well.status, well.json["succeeded"], well.json["left"]) == (0, 6, 0)
    assert {executor.persistence.load_execution_plan(plan.id).result for plan in plans} == {"success"}


def test_the_plans_behind_one_error_are_resumed_together(executor: World, on: Program, tmp_path: Path):
    plan = ended(executor, NeedsFile, path=f"{tmp_path}/then")
    groups = on("plans", "failures", "--json").json["groups"]
    key = next(group["key"] for group in groups if plan.id in group["plan_ids"])
    (tmp_path / "then").touch()

    told = on("plans", "resume", "--failure", key, "--yes", "--json")

    assert told.json["succeeded"] >= 1
    assert executor.persistence.load_execution_plan(plan.id).result == "success"


def test_many_plans_are_halted_and_deleted_by_filters(executor: World, on: Program, tmp_path: Path):
    plan_ids = {suspended(executor, Evented) for _ in range(3)}
    chosen = ("--action", "Evented", "--state", "running")

    halted = on("plans", "halt", *chosen, "--yes", "--json")
    deleted = on("plans", "delete", "--action", "Evented", "--yes", "--json")

    assert (halted.status, halted.json["succeeded"], halted.json["refused"]) == (0, 3, {})
    assert deleted.status == 0
    assert deleted.json["deleted"] == deleted.json["eligible"] >= 3
    assert not plan_ids & set(executor.persistence.find_statuses())


@pytest.mark.parametrize("verb", ["resume", "cancel", "halt", "delete"])
def test_plans_are_named_or_chosen_and_nothing_is_done_to_all_by_mistake(verb: str, on: Program):
    nothing = on("plans", verb)
    both = on("plans", verb, NOBODY, "--state", "paused")
    contradiction = on("plans", verb, "--all", "--label", "x")

    assert [nothing.status, both.status, contradiction.status] == [2, 2, 2]
    assert "which plans?" in nothing.errors


# -- triggering --------------------------------------------------------------------------------------


def test_triggering_prints_the_id_and_may_wait_for_the_end(executor: World, on: Program):
    at_once = on("trigger", "cli_actions:Quick", "--set", "say=1")
    waited = on("trigger", "--wait", "cli_actions:Quick", "--input", '{"say": "x"}', "--json")
    bad = on("trigger", "cli_actions:NeedsFile", "--set", 'path="/nowhere"', "--wait")

    assert at_once.status == 0
    assert executor.persistence.load_execution_plan(at_once.output.strip()).label == "Quick"
    assert (waited.status, waited.json["state"], waited.json["output"]) == (0, "stopped", {"said": "x"})
    assert bad.status == 1
    assert "step 2 NeedsFile: FileNotFoundError" in bad.errors


def test_a_plan_that_no_executor_takes_is_triggered_all_the_same_and_it_is_said(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dynflow_mp.cli.trigger._TAKEN_S", 0.0)
    url = f"sqlite:///{tmp_path}/plans.db"

    told = program("trigger", "cli_actions:Quick", "--database", url)

    assert told.status == 0
    assert f"no executor has taken it from {url}" in told.errors
    assert told.output.strip() in told.errors


def test_triggering_for_later_schedules_the_plan(executor: World, on: Program):
    told = on("trigger", "cli_actions:Quick", "--after", "2h", "--json")

    plan = executor.persistence.load_execution_plan(told.json["plan_id"])
    assert (told.status, told.json["state"], plan.state) == (0, "scheduled", "scheduled")
    executor.cancel(plan.id).result(30)


def test_a_unique_key_that_is_held_is_exit_status_4(executor: World, on: Program):
    first = on("trigger", "cli_actions:Evented", "--unique-key", "only-one").output.strip()

    refused = on("trigger", "cli_actions:Evented", "--unique-key", "only-one")
    same = on("trigger", "cli_actions:Evented", "--unique-key", "only-one", "--on-conflict", "return")

    assert (refused.status, first in refused.errors) == (4, True)
    assert same.output.strip() == first
    executor.halt(first).result(30)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["cli_actions"], 2, "is not MODULE:CLASS"),
        (["nowhere_at_all:X"], 2, "there is no module nowhere_at_all"),
        (["cli_actions:Quickk"], 2, "there is no action class Quickk; cli_actions has"),
        (["cli_actions:HOSTILE"], 2, "there is no action class"),
        (["cli_actions:Quick", "--arg", "oops"], 2, "--arg 1: is not JSON"),
        (["cli_actions:Quick", "--input", "[1]"], 2, "must be a JSON object"),
        (["cli_actions:Quick", "--wait=soon"], 2, "is no span of time"),
        (["cli_actions:Quick", "--at", "2h", "--after", "2h"], 2, "give one of them"),
        (["cli_actions:Quick", "--after", "2h", "--wait"], 2, "plans that start at once"),
        (["cli_actions:Quick", "--id", "x"], 2, "is not a valid UUID"),
        (["cli_actions:FailsToPlan"], 1, "could not be planned: ValueError: not today"),
    ],
)
def test_what_cannot_be_triggered_is_one_line(arguments: list[str], status: int, words: str, on: Program):
    told = on("trigger", *arguments)

    assert told.status == status
    assert words in told.errors
    assert told.errors.count("\n") == 1


# -- secrets and hostile texts -----------------------------------------------------------------------


def test_g41_secrets_are_in_nothing_that_is_shown(
    executor: World, on: Program, monkeypatch: pytest.MonkeyPatch
):
    plan = ended(executor, Secretive, password="hunter2-canary", card={"number": "4711-canary"})

    told = [
        on("plans", "show", plan.id),
        on("plans", "show", plan.id, "--step", "2"),
        on("plans", "show", plan.id, "--json"),
        on("plans", "show", plan.id, "--step", "2", "--json"),
        on("plans", "export", plan.id),
        on("plans", "watch", plan.id, "--json"),
        on("plans", "failures", "--json"),
        on("plans", "list", "--json"),
    ]

    said = "".join(each.output + each.errors for each in told)
    assert "***" in said
    assert "canary" not in said


def test_hostile_texts_do_not_reach_the_terminal(executor: World, on: Program):
    plan = ended(executor, Hostile)

    told = [
        on("plans", "show", plan.id),
        on("plans", "show", plan.id, "--step", "2"),
        on("plans", "show", plan.id, "--json"),
        on("plans", "failures"),
        on("plans", "watch", plan.id, "--json"),
    ]

    for each in told:
        assert "gone" in each.output
        assert not set(each.output) & set("\x1b\u202e")


def test_a_plan_that_could_not_be_planned_is_shown(executor: World, on: Program):
    plan_id = executor.trigger(FailsToPlan).id

    told = on("plans", "show", plan_id)

    assert told.status == 0
    assert "ValueError: not today" in told.output


@pytest.mark.parametrize("user", ["x" * 200, "a\nb\x1b[2J", " "])
def test_whoever_it_is_has_a_name_that_can_be_written_down(user: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOGNAME", user)

    name = by()

    assert author(name) == name
    assert name.endswith(" (cli)")


def test_no_more_at_once_is_offered_than_can_be_had(on: Program):
    told = on("plans", "resume", "--all", "--at-once", str(MOST_AT_ONCE + 1))

    assert bulk_course.MOST_AT_ONCE == MOST_AT_ONCE
    assert (told.status, "--at-once" in told.errors) == (2, True)
