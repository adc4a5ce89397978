"""Something is done with many plans: what is asked before, what ends it, where it is found again."""

import re

import pytest
from asking import SAME_SITE, a_console, csrf_of, post, wait_for
from console_actions import FailsUnlessTold, WaitsOnceTold


@pytest.fixture(scope="module")
def console(running_world):
    return a_console(running_world)


def failed_plans(world, number, why):
    plans = [world.trigger(FailsUnlessTold, why=why) for _ in range(number)]
    for plan in plans:
        assert plan.finished.result(30).state == "paused"
    return [plan.id for plan in plans]


def send(console, path, **fields):
    """A form of ours, as a browser sends it."""
    token = csrf_of(console.get("/plans"))
    return console.post(path, data={"_csrf": token, **fields}, headers=SAME_SITE)


def run_of(answer):
    """The id of the run that the answer leads to."""
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].rpartition("/")[2]


def ended(console, run_id):
    return wait_for(lambda: (found := console.get(f"/api/bulk/{run_id}").json())["ended"] and found)


def confirmed(console, **fields):
    """What a form says after the confirmation: the numbers it was shown."""
    page = send(console, "/bulk/confirm", **fields)
    assert page.status_code == 200, page.text
    return {**fields, "told": re.search(r'name="told" value="(\d+)"', page.text)[1]}


def test_how_often_the_same_error_may_come_back_is_chosen(running_world, console):
    ids = failed_plans(running_world, 3, "enough")
    fields = confirmed(console, deed="resume", plan_id=ids)

    run_id = run_of(send(console, "/bulk/run", **fields, stop_on_same_error="1"))

    told = ended(console, run_id)
    assert told["stop_on_same_error"] == 1
    assert told["stopped_because"].startswith("the same error came back 1 time:")


def test_by_the_api_it_may_come_back_for_ever(running_world, console):
    ids = failed_plans(running_world, 4, "never enough")

    answer = post(console, "/api/bulk", {"deed": "resume", "plan_ids": ids, "stop_on_same_error": None})

    told = ended(console, answer.json()["id"])
    assert (told["failed"], told["stopped_because"]) == (4, None)


@pytest.mark.parametrize("wrong", ["0", "-1", "x", "1.5", "1000000000"])
def test_what_is_no_number_of_errors_is_refused(running_world, console, wrong):
    ids = failed_plans(running_world, 1, "wrong")

    answer = send(console, "/bulk/run", deed="resume", plan_id=ids, told="1", stop_on_same_error=wrong)

    assert answer.status_code == 400
    assert running_world.persistence.load_execution_plan(ids[0]).state == "paused"


def test_many_plans_are_halted_only_after_the_word_was_typed(running_world, console):
    ids = failed_plans(running_world, 2, "to be halted")
    fields = confirmed(console, deed="halt", plan_id=ids)

    refused = send(console, "/bulk/run", **fields, typed="hal")

    assert refused.status_code == 400
    assert "nothing was done" in refused.text
    assert {str(running_world.persistence.load_execution_plan(one).state) for one in ids} == {"paused"}
    told = ended(console, run_of(send(console, "/bulk/run", **fields, typed="halt")))
    assert told["succeeded"] == 2


def test_it_is_asked_again_if_there_are_far_more_than_were_told_of(running_world, console, monkeypatch):
    from dynflow_mp.console.pages import bulk_page

    monkeypatch.setattr(bulk_page, "_FEW_MORE", 0)
    failed_plans(running_world, 2, "a growing number")
    fields = confirmed(console, deed="resume", all="true", query="error=a+growing+number")
    more = failed_plans(running_world, 2, "a growing number")

    answer = send(console, "/bulk/run", **fields)

    assert answer.status_code == 400
    assert "There are many more of them by now" in answer.text
    assert "Resume 4 plans" in answer.text
    assert running_world.persistence.load_execution_plan(more[0]).state == "paused"
    ended(console, run_of(send(console, "/bulk/run", **{**fields, "told": "3"})))  # one more is no matter


def test_a_run_is_found_again_while_it_goes_on_and_afterwards(running_world, console):
    plan = running_world.trigger(WaitsOnceTold).finished.result(30)
    step = plan.failed_steps[0].id
    running_world.edit_input(plan.id, step, {"may_wait": True})

    run_id = post(console, "/api/bulk", {"deed": "resume", "plan_ids": [plan.id]}).json()["id"]

    link = f'href="/bulk/{run_id}"'
    assert link in console.get("/plans").text
    assert link in console.get("/deeds").text
    wait_for(lambda: running_world.persistence.load_execution_plan(plan.id).steps_in_state("suspended"))
    part = console.get(f"/bulk/{run_id}", headers={"HX-Request": "true"})
    assert (part.status_code, "<dt>done</dt><dd>0 of 1</dd>" in part.text) == (200, True)
    post(console, f"/api/plans/{plan.id}/steps/{step}/event", {"event": "go"})
    ended(console, run_id)
    assert link not in console.get("/plans").text
    assert link in console.get("/deeds").text
    part = console.get(f"/bulk/{run_id}", headers={"HX-Request": "true"})
    assert part.status_code == 286  # nobody asks again by itself
    assert "<dt>done</dt><dd>1 of 1</dd>" in part.text
