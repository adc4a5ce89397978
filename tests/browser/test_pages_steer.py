"""Everything that can be done from the pages, done by clicking."""

import re
import subprocess
import sys
from contextlib import ExitStack

import page_actions as actions
import pytest
from playwright.sync_api import expect
from served_pages import served
from watching_plans import (
    PATIENCE_S,
    a_paused_release,
    failed_step,
    in_state,
    state_of,
    step_in_state,
    wait_for,
)

from dynflow_mp import World
from dynflow_mp.console import create_app


def test_a_paused_plan_is_resumed_and_it_is_written_down_by_whom(page, console):
    plan_id = a_paused_release(console.world, console.directory, "resumed")
    (console.directory / "resumed").touch()
    page.goto(f"/plans/{plan_id}")

    page.get_by_role("button", name="Resume", exact=True).click()

    in_state(console.world, plan_id, "stopped")
    page.get_by_role("link", name="History").click()
    row = page.locator("tr", has_text="resume")
    assert row.locator("td").nth(2).inner_text() == "local"


def test_what_is_clicked_twice_is_asked_for_once(page, console, request):
    until = console.directory / "twice"
    request.addfinalizer(until.touch)
    plan_id = console.world.trigger(actions.Stubborn, until=str(until)).id
    in_state(console.world, plan_id, "paused")
    page.goto(f"/plans/{plan_id}")
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)

    # The answer takes as long as a deed is waited for; the page is still there, and its button, as it does not follow.
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => true});"
        "const button = document.querySelector('form[action$=\"/resume\"] button');"
        "button.click(); setTimeout(() => button.click(), 150)"
    )

    page.locator(".notice").wait_for()
    assert "The plan is resumed." in page.locator(".notice").inner_text()
    assert len(sent) == 1


def test_a_failed_step_is_skipped_then_the_plan_resumed(page, console):
    plan_id = a_paused_release(console.world, console.directory, "skipped")
    page.goto(f"/plans/{plan_id}/steps?state=error")

    page.get_by_role("button", name="Skip", exact=True).click()
    assert "skipped" in page.locator(".notice").inner_text()
    page.get_by_role("button", name="Resume", exact=True).click()

    assert in_state(console.world, plan_id, "stopped").result == "warning"


def test_what_failed_is_skipped_and_the_plan_resumed_at_once(page, console):
    plan_id = a_paused_release(console.world, console.directory, "left-out")
    page.goto(f"/plans/{plan_id}")

    page.get_by_role("button", name="Skip what failed and resume").click()

    assert in_state(console.world, plan_id, "stopped").result == "warning"


def test_a_plan_that_waits_is_cancelled(page, console):
    plan_id = console.world.trigger(actions.Waits).id
    step_in_state(console.world, plan_id, 2, "suspended")
    page.goto(f"/plans/{plan_id}")

    page.get_by_role("button", name="Cancel", exact=True).click()

    plan = in_state(console.world, plan_id, "stopped")
    assert plan.entry_action.output == {"cancelled": True}


def test_to_halt_a_plan_its_name_has_to_be_typed(page, shoot, console):
    plan_id = console.world.trigger(actions.Waits).id
    step_in_state(console.world, plan_id, 2, "suspended")
    page.goto(f"/plans/{plan_id}")
    page.get_by_role("link", name="Halt…").click()
    button = page.get_by_role("button", name="Halt it")

    wait_for(button.is_disabled)
    page.get_by_label("To do it, type").fill("something")
    expect(button).to_be_disabled()
    page.get_by_label("To do it, type").fill(plan_id[-8:])
    shoot(page, "halt")
    button.click()

    in_state(console.world, plan_id, "stopped")
    assert "halted" in page.locator(".notice").inner_text()


def test_without_scripts_a_wrong_word_halts_nothing(open_page, console):
    plan_id = a_paused_release(console.world, console.directory, "kept")
    page = open_page(java_script_enabled=False)
    page.goto(f"/plans/{plan_id}/halt")

    page.get_by_label("To do it, type").fill("yes")
    page.get_by_role("button", name="Halt it").click()

    assert "nothing was done" in page.locator("main").inner_text()
    assert state_of(console.world, plan_id) == "paused"


def test_a_failed_steps_input_is_edited_and_what_is_concealed_stays(page, shoot, console):
    plan_id = a_paused_release(console.world, console.directory, "edited")
    (console.directory / "elsewhere").touch()
    step_id = failed_step(console.world, plan_id)
    page.goto(f"/plans/{plan_id}/steps/{step_id}")
    page.get_by_role("link", name="Edit its input").click()
    field = page.locator("textarea")
    text = field.input_value()
    shoot(page, "edit-input")

    field.fill(text.replace("/edited", "/elsewhere"))
    page.get_by_role("button", name="Store it and resume the plan").click()

    plan = in_state(console.world, plan_id, "stopped")
    step_input = plan.action(plan.steps[step_id].action_id).input
    assert step_input["file"].endswith("/elsewhere")
    assert step_input["password"] == "hunter2-hunter2"
    assert '"***"' in text
    page.goto(f"/plans/{plan_id}/history")
    assert "edit input" in page.locator("main").inner_text()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no JSON: line 1"),
        ("[]", "a JSON object"),
        ('{"file": "a", "file": "b"}', "stands twice"),
        ('{"file": "***", "new": "***"}', "stands for what is concealed"),
        ('{"file": NaN}', "NaN"),
    ],
)
def test_what_cannot_be_an_input_is_told_and_stays_to_be_put_right(page, console, refused, text, told):
    page.goto(f"/plans/{refused}/steps/{failed_step(console.world, refused)}/edit")

    page.locator("textarea").fill(text)
    page.get_by_role("button", name="Store it", exact=True).click()

    assert told in page.locator(".notice").inner_text()
    assert page.locator("textarea").input_value() == text


@pytest.fixture(scope="module")
def refused(console):
    return a_paused_release(console.world, console.directory, "refused")


def test_a_suspended_step_is_sent_an_event(page, console):
    plan_id = console.world.trigger(actions.Waits).id
    step_in_state(console.world, plan_id, 2, "suspended")
    page.goto(f"/plans/{plan_id}/steps/2")

    page.get_by_text("Send an event to this step").click()
    page.get_by_label("The event, as JSON").fill('{"answer": 42}')
    page.get_by_role("button", name="Send it").click()

    plan = in_state(console.world, plan_id, "stopped")
    assert plan.entry_action.output == {"event": {"answer": 42}}


def test_chosen_plans_are_resumed_after_it_was_said_how_many_that_are(page, shoot, console):
    names = ("bulk-1", "bulk-2", "bulk-3")
    ids = [a_paused_release(console.world, console.directory, name) for name in names]
    for name in names[:2]:
        (console.directory / name).touch()
    page.goto("/plans?label=of+bulk-")
    for plan_id in ids[:2]:
        page.locator(f"#pick-{plan_id}").check()

    page.get_by_role("button", name="Resume", exact=True).click()
    assert re.search("Of 2 plans chosen, 2 plans would be resumed", page.locator("main").inner_text())
    assert state_of(console.world, ids[0]) == "paused"
    shoot(page, "bulk-confirmation")
    page.get_by_role("button", name="Resume 2 plans").click()

    page.get_by_text("Done.").wait_for()
    shoot(page, "bulk-run")
    assert [state_of(console.world, plan_id) for plan_id in ids] == ["stopped", "stopped", "paused"]


def test_all_that_match_are_halted_or_cancelled_and_others_are_left_alone(page, console):
    plan_id = console.world.trigger(actions.Waits).id
    step_in_state(console.world, plan_id, 2, "suspended")
    stopped = console.world.trigger(actions.Fetch, url="x")
    stopped.finished.result(PATIENCE_S)
    page.goto("/plans?action=page_actions.Waits")

    page.locator("#all-matching").check()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.locator("main").get_by_role("button", name=re.compile("^Cancel ")).click()
    page.get_by_text("Done.").wait_for()

    in_state(console.world, plan_id, "stopped")


def test_a_bulk_run_is_watched_and_stopped(page, shoot, console):
    until = console.directory / "stubborn"
    ids = [console.world.trigger(actions.Stubborn, until=str(until)).id for _ in range(3)]
    for plan_id in ids:
        in_state(console.world, plan_id, "paused")
    page.goto("/plans?action=page_actions.Stubborn")
    page.locator("#all-matching").check()
    page.get_by_role("button", name="Resume", exact=True).click()
    page.get_by_role("button", name="Resume 3 plans").click()
    page.get_by_text("At work…").wait_for()
    shoot(page, "bulk-at-work")

    page.get_by_role("button", name="Stop: begin no more of them").click()

    assert "Nothing more of it is begun." in page.locator(".notice").inner_text()
    until.touch()
    page.get_by_text("Ended:").wait_for()
    for plan_id in ids:  # what had not begun is as it was
        in_state(console.world, plan_id, "stopped", "paused")


def test_choosing_none_is_told(page, console, refused):
    page.goto("/plans")

    page.get_by_role("button", name="Resume", exact=True).click()

    assert "No plan was chosen" in page.locator("main").inner_text()


def test_failures_of_one_cause_are_resumed_together_and_it_ends_when_they_come_back(page, shoot, console):
    for number in range(5):
        a_paused_release(console.world, console.directory, f"again-{number}")
    page.goto("/failures")
    shoot(page, "failures")
    page.get_by_role("link", name="FileNotFoundError").click()
    shoot(page, "failure")

    page.locator("#all-matching").check()
    page.get_by_role("button", name="Resume", exact=True).click()
    page.locator("main").get_by_role("button", name=re.compile("^Resume ")).click()

    page.get_by_text("Ended:").wait_for()
    assert "same error" in page.locator("main").inner_text()


def test_a_world_is_pinged_and_all_are_checked(page, console):
    page.goto("/worlds")
    page.get_by_role("button", name="Ping").first.click()
    assert "answers" in page.locator("main > .notice").inner_text()

    page.get_by_role("button", name="Check all").click()

    assert "valid" in page.locator("main > .notice").inner_text()


def test_a_supervisor_is_drained_after_its_name_was_typed(browser, tmp_path):
    database = f"sqlite:///{tmp_path / 'plans.db'}"
    command = [sys.executable, "-m", "dynflow_mp.supervisor", "--workers", "1", "--database", database]
    with ExitStack() as stack:
        supervisor = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(supervisor.kill)
        world_id = re.search(r"world=(\w+)", supervisor.stdout.readline())[1]
        client = stack.enter_context(World(database_url=database))
        url = stack.enter_context(served(create_app(client)))
        context = browser.new_context(base_url=url)
        stack.callback(context.close)
        page = context.new_page()
        page.goto("/worlds")
        page.locator(f"#world-{world_id}").get_by_role("link", name="Drain…").click()
        page.get_by_label("To do it, type").fill(world_id[:8])
        page.get_by_role("button", name="Drain it").click()

        assert "It ends" in page.locator("main > .notice").inner_text()
        assert supervisor.wait(PATIENCE_S) == 0


def test_another_world_is_invalidated_after_its_name_was_typed(page, console):
    with World(database_url=console.world.config.database_url) as other:
        page.goto("/worlds")
        page.locator(f"#world-{other.id}").get_by_role("link", name="Invalidate…").click()
        page.get_by_label("To do it, type").fill(other.id[:8])
        page.get_by_role("button", name="Invalidate it").click()

        assert "dead" in page.locator("main > .notice").inner_text()
        wait_for(lambda: str(console.world.coordinator.find_worlds(id=other.id)[0].state) == "dead")


def test_who_holds_a_singletons_lock_is_seen(page, console):
    until = console.directory / "alone"
    plan_id = console.world.trigger(actions.Alone, until=str(until)).id
    step_in_state(console.world, plan_id, 2, "running")
    try:
        page.goto("/locks")

        told = page.locator("main").inner_text()
    finally:
        until.touch()

    assert "page_actions.Alone" in told
    assert plan_id in told
