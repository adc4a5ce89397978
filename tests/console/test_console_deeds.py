"""Plans and worlds are steered from a console, in the name of who asks."""

import pytest
from asking import SAME_SITE, TOKEN, a_console, csrf_of, post, wait_for
from console_actions import FailsUnlessTold, Greets, WaitsForWord, WaitsUntilCancelled

PASSWORD = "correct-horse-battery"


@pytest.fixture(scope="module")
def console(running_world):
    client = a_console(running_world, passwords={"ann": PASSWORD})
    client.auth = ("ann", PASSWORD)
    return client


def failed_plan(world, **more):
    plan = world.trigger(FailsUnlessTold, **more).finished.result(30)
    assert plan.state == "paused"
    return plan


def waiting_plan(world, kind):
    plan_id = world.trigger(kind).id
    load = world.persistence.load_execution_plan
    wait_for(lambda: load(plan_id).steps_in_state("suspended"))
    return load(plan_id)


def facts(console, plan_id):
    return console.get(f"/api/plans/{plan_id}").json()


def authors(console, plan_id):
    return {(event["name"], event["by"]) for event in facts(console, plan_id)["history"] if event["by"]}


def test_a_failed_plan_is_mended_and_resumed(running_world, console):
    plan = failed_plan(running_world)
    step = plan.failed_steps[0].id

    edited = post(console, f"/api/plans/{plan.id}/steps/{step}/input", {"changes": {"may_pass": True}})
    resumed = post(console, f"/api/plans/{plan.id}/resume")

    assert edited.status_code == 200, edited.text
    assert resumed.status_code in (200, 202), resumed.text
    wait_for(lambda: facts(console, plan.id)["state"] == "stopped")
    assert facts(console, plan.id)["result"] == "success"
    assert {by for _, by in authors(console, plan.id)} == {"ann"}
    assert any(name.startswith("edit input") for name, _ in authors(console, plan.id))


def test_what_is_skipped_is_told_and_the_plan_goes_on_without_it(running_world, console):
    plan = failed_plan(running_world)
    step = plan.failed_steps[0].id

    skipped = post(console, f"/api/plans/{plan.id}/skip", {"step_id": step})
    resumed = post(console, f"/api/plans/{plan.id}/resume")

    assert skipped.json()["skipped"] == [step]
    assert resumed.status_code in (200, 202)
    wait_for(lambda: facts(console, plan.id)["state"] == "stopped")


def test_all_failed_steps_are_skipped_and_the_plan_resumed_at_once(running_world, console):
    plan = failed_plan(running_world)

    answer = post(console, f"/api/plans/{plan.id}/skip-and-resume")

    assert answer.status_code in (200, 202), answer.text
    assert answer.json()["skipped"] == [plan.failed_steps[0].id]
    wait_for(lambda: facts(console, plan.id)["state"] == "stopped")


def test_a_waiting_step_is_sent_an_event(running_world, console):
    plan = waiting_plan(running_world, WaitsForWord)
    step = plan.run_steps[0].id

    answer = post(console, f"/api/plans/{plan.id}/steps/{step}/event", {"event": {"said": ["go"]}})

    assert answer.status_code in (200, 202), answer.text
    wait_for(lambda: facts(console, plan.id)["state"] == "stopped")
    told = console.get(f"/api/plans/{plan.id}/steps/{step}").json()
    assert told["output"] == {"word": {"said": ["go"]}}


def test_an_event_that_nobody_waits_for_is_an_error_unless_it_is_optional(running_world, console):
    plan = failed_plan(running_world)
    step = plan.failed_steps[0].id
    path = f"/plans/{plan.id}/steps/{step}/event"
    form = {"_csrf": csrf_of(console.get("/plans")), "event": "1"}

    assert post(console, f"/api{path}", {"event": 1}).status_code == 409
    assert post(console, f"/api{path}", {"event": 1, "optional": True}).json()["taken"] is False
    assert console.post(path, data=form, headers=SAME_SITE).status_code == 409
    sent = console.post(path, data={**form, "optional": "true"}, headers=SAME_SITE)
    assert sent.status_code == 303, sent.text
    assert "Nobody took the event" in console.get(sent.headers["location"]).text


def test_a_plan_is_cancelled_and_cannot_be_twice(running_world, console):
    plan = waiting_plan(running_world, WaitsUntilCancelled)

    first = post(console, f"/api/plans/{plan.id}/cancel")
    wait_for(lambda: facts(console, plan.id)["state"] == "stopped")
    second = post(console, f"/api/plans/{plan.id}/cancel", {"force": True})

    assert first.status_code == 200, first.text
    assert second.status_code == 409
    assert second.json()["state"] == "stopped"
    assert ("asked to cancel", "ann") in authors(console, plan.id)


def test_a_plan_is_halted_and_then_nothing_more_can_be_done(running_world, console):
    plan = waiting_plan(running_world, WaitsForWord)

    halted = post(console, f"/api/plans/{plan.id}/halt")
    assert halted.status_code in (200, 202), halted.text
    wait_for(lambda: facts(console, plan.id)["state"] == "stopped")

    for path, body in (
        ("resume", {}),
        ("halt", {}),
        ("cancel", {}),
        ("skip", {"step_id": plan.run_steps[0].id}),
        ("skip-and-resume", {}),
        (f"steps/{plan.run_steps[0].id}/input", {"changes": {"a": 1}}),
        (f"steps/{plan.run_steps[0].id}/event", {"event": 1}),
    ):
        answer = post(console, f"/api/plans/{plan.id}/{path}", body)
        assert answer.status_code == 409, (path, answer.text)
        assert answer.json()["state"] == "stopped"
        assert answer.json()["kind"]


def test_a_plan_that_runs_is_not_resumed_nor_changed(running_world, console):
    plan = waiting_plan(running_world, WaitsForWord)
    step = plan.run_steps[0].id

    for path, body in (
        ("resume", {}),
        ("skip", {"step_id": step}),
        (f"steps/{step}/input", {"changes": {"a": 1}}),
    ):
        answer = post(console, f"/api/plans/{plan.id}/{path}", body)
        assert answer.status_code == 409, (path, answer.text)
        assert answer.json()["state"] == "running"
    post(console, f"/api/plans/{plan.id}/halt")


def test_a_step_that_has_not_failed_is_not_skipped(running_world, console):
    plan = failed_plan(running_world)

    for step_id in (plan.root_plan_step.id, 99):
        assert post(console, f"/api/plans/{plan.id}/skip", {"step_id": step_id}).status_code == 409


def test_what_takes_long_is_under_way(running_world):
    console = a_console(running_world, deed_wait_s=0.0)
    plan = running_world.plan(Greets)

    answer = post(console, f"/api/plans/{plan.id}/resume")

    assert answer.status_code == 202
    assert answer.json()["finished"] is False
    wait_for(lambda: facts(console, plan.id)["result"] == "success")


def test_many_plans_are_previewed_and_resumed_until_the_same_error_comes_back(running_world, console):
    plans = [failed_plan(running_world, why="bulk").id for _ in range(6)]
    query = [["state", "paused"], ["error", "bulk"]]

    preview = post(console, "/api/bulk-preview", {"deed": "resume", "query": query})
    started = post(console, "/api/bulk", {"deed": "resume", "plan_ids": plans})

    assert preview.json()["total"] == 6
    assert preview.json()["eligible"] == 6
    assert started.status_code == 202, started.text
    run = started.json()["id"]
    told = wait_for(lambda: (found := console.get(f"/api/bulk/{run}").json())["ended"] and found)
    assert told["failed"] >= 3
    assert told["stopped_because"]
    assert told["by"] == "ann"
    assert run in [one["id"] for one in console.get("/api/bulk").json()]


def test_many_plans_are_skipped_on_and_a_run_can_be_stopped(running_world, console):
    plans = [failed_plan(running_world, why="skip").id for _ in range(3)]

    run = post(console, "/api/bulk", {"deed": "skip_and_resume", "plan_ids": plans}).json()["id"]
    wait_for(lambda: console.get(f"/api/bulk/{run}").json()["ended"])

    assert console.get(f"/api/bulk/{run}").json()["succeeded"] == 3
    assert post(console, f"/api/bulk/{run}/stop").status_code == 200


def test_worlds_are_asked_how_they_are(running_world, console):
    own = running_world.id

    assert console.get("/api/worlds").json()["own"] == own
    assert console.get(f"/api/worlds/{own}").json()["executor"] is True
    assert post(console, f"/api/worlds/{own}/ping").json()["finished"] is True
    assert console.get(f"/api/worlds/{own}/status").json()["default"]["pool_size"] == 1
    told = console.get(f"/api/worlds/{own}/workers").json()
    assert told["workers"][0]["state"] in ("idle", "busy")
    assert told["queues"][0]["name"] == "default"
    assert post(console, "/api/validity-check").json()["finished"] is True
    assert console.get("/readyz").status_code == 200


def test_a_world_neither_drains_nor_invalidates_itself(running_world, console):
    for deed in ("drain", "invalidate"):
        answer = post(console, f"/api/worlds/{running_world.id}/{deed}")
        assert answer.status_code == 409, answer.text


def test_what_was_done_is_listed_with_who_did_it(running_world, console):
    plan = failed_plan(running_world)
    post(console, f"/api/plans/{plan.id}/halt")
    wait_for(lambda: facts(console, plan.id)["state"] == "stopped")

    of_plan = console.get(f"/api/audits?plan_id={plan.id}").json()["deeds"]
    of_nobody = console.get("/api/audits?by=nobody").json()["deeds"]

    assert [(deed["deed"], deed["by"]) for deed in of_plan] == [("halt", "ann")]
    assert of_nobody == []
    for page in ("/deeds", "/api/audits"):
        for wrong in ("before=%00", "by=%00"):
            assert console.get(f"{page}?{wrong}").status_code == 400, (page, wrong)
    for wrong in ("plan_id=x", "before=%00", "by=%00", "most=0", "by=" + "x" * 101):
        assert console.get(f"/api/audits?{wrong}").status_code in (200, 400, 404), wrong


def test_why_a_plan_does_not_go_on_is_told(running_world, console):
    plan = waiting_plan(running_world, WaitsForWord)

    waits = console.get(f"/api/plans/{plan.id}/waiting").json()["waits"]

    assert ("event", plan.run_steps[0].id) in [(wait["kind"], wait["step_id"]) for wait in waits]
    post(console, f"/api/plans/{plan.id}/halt")


def test_failures_are_grouped_with_the_plans_behind_them(running_world, console):
    plans = {failed_plan(running_world, why=f"host {number} is down").id for number in range(3)}

    groups = console.get("/api/failures?error=is+down").json()["failures"]

    assert len(groups) == 1
    assert groups[0]["plan_count"] == 3
    behind = console.get("/api/failures/plans", params={"key": groups[0]["key"]}).json()
    assert set(behind["plan_ids"]) == plans
    assert console.get("/api/failures/plans?key=nothing").status_code == 404


def test_who_holds_what_is_told(running_world, console):
    plan = waiting_plan(running_world, WaitsForWord)

    held = [lock for lock in console.get("/api/locks").json()["locks"] if lock["plan_id"] == plan.id]

    assert held[0]["class"] == "ExecutionLock"
    assert held[0]["world_id"] == running_world.id
    post(console, f"/api/plans/{plan.id}/halt")


def test_a_plan_is_read_in_all_its_parts(running_world, console):
    plan = running_world.trigger(Greets, name="ann").finished.result(30)
    path = f"/api/plans/{plan.id}"

    assert facts(console, plan.id)["step_counts"] == {"success": 2}
    assert console.get(f"{path}/steps?phase=run").json()["total"] == 1
    assert console.get(f"{path}/steps?state=error").json()["total"] == 0
    assert [node["kind"] for node in console.get(f"{path}/flow").json()["nodes"]][-1] == "step"
    assert console.get(f"{path}/timeline").json()["critical_path"] == [plan.run_steps[0].id]
    assert console.get(f"{path}/steps/{plan.run_steps[0].id}").json()["output"] == {"greeting": "hello ann"}
    lines = console.get("/api/plans?state=stopped&order_by=created_at&per_page=500").json()["plans"]
    assert plan.id in [line["id"] for line in lines]


def test_the_token_of_a_console_names_who_does_it(running_world):
    plan = failed_plan(running_world)
    console = a_console(running_world, token=TOKEN)

    console.post(f"/api/plans/{plan.id}/resume", json={}, headers={"Authorization": f"Bearer {TOKEN}"})

    own = a_console(running_world)
    wait_for(lambda: "console" in {by for _, by in authors(own, plan.id)})
