"""Pages follow what happens without being loaded anew, and leave alone what the reader has done to them."""

import page_actions as actions
import pytest
from playwright.sync_api import expect
from watching_plans import a_paused_release, in_state, step_in_state

MARK = "window.isStillTheSamePage = true"
HIDE = (
    "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true}); "
    "document.dispatchEvent(new Event('visibilitychange'))"
)
SHOW = HIDE.replace("true,", "false,")
MARKED = "window.isStillTheSamePage === true"


@pytest.fixture
def slow(console, request):
    """A plan whose step runs until its file is there; the file is made at the end."""
    until = console.directory / f"until-{request.node.name}"
    plan_id = console.world.trigger(actions.Slow, until=str(until)).id
    step_in_state(console.world, plan_id, 2, "running")
    yield plan_id, until
    until.touch()
    in_state(console.world, plan_id, "stopped")


def test_the_list_shows_a_new_plan_and_keeps_what_was_ticked_typed_and_focused(page, console):
    first = a_paused_release(console.world, console.directory, "early")
    page.goto("/plans")
    page.evaluate(MARK)
    page.locator(f"#pick-{first}").check()
    page.get_by_label("Label contains").fill("half typed")
    page.set_viewport_size({"width": 1280, "height": 300})
    page.evaluate("window.scrollTo(0, 120)")

    second = a_paused_release(console.world, console.directory, "late")

    page.locator(f"#plan-{second}").wait_for()
    assert page.evaluate(MARKED)
    expect(page.locator(f"#pick-{first}")).to_be_checked()
    expect(page.locator(f"#pick-{second}")).not_to_be_checked()
    assert page.get_by_label("Label contains").input_value() == "half typed"
    assert page.evaluate("document.activeElement.name") == "label"
    expect(page.get_by_text("With 1 chosen:")).to_be_visible()
    assert page.evaluate("window.scrollY") == 120


def test_a_picture_follows_its_plan(page, shoot, console, slow):
    plan_id, until = slow
    page.goto(f"/plans/{plan_id}")
    page.evaluate(MARK)
    box = page.locator("#step-2")
    assert "s-running" in box.get_attribute("class")
    shoot(page, "plan-running")
    box.focus()

    until.touch()

    page.locator("#step-2.s-success").wait_for()
    page.locator(".plan-head .s-stopped").wait_for()
    assert page.evaluate(MARKED)
    assert page.evaluate("document.activeElement.id") == "step-2"
    assert "stopped" in page.locator(".plan-head [role=status]").inner_text()


def test_a_step_shows_its_progress_and_what_it_writes(page, console, slow):
    plan_id, until = slow
    page.goto(f"/plans/{plan_id}/steps/2")
    page.evaluate(MARK)

    page.get_by_text("a first piece").wait_for()
    until.touch()

    page.locator(".plan-head .s-success").wait_for()
    assert page.evaluate(MARKED)


def test_details_that_were_opened_stay_open(page, console, slow):
    plan_id, until = slow
    page.goto(f"/plans/{plan_id}/steps/2")
    summary = page.get_by_text("Send an event to this step")
    summary.click()

    until.touch()

    page.locator(".plan-head .s-success").wait_for()
    expect(page.get_by_label("The event, as JSON")).to_be_visible()


def test_marked_text_is_not_taken_away(page, console, slow):
    plan_id, until = slow
    page.goto(f"/plans/{plan_id}")
    page.locator(".plan-head .id").first.select_text()
    marked = page.evaluate("getSelection().toString()")

    until.touch()
    in_state(console.world, plan_id, "stopped")
    with page.expect_response(lambda answer: answer.url.endswith(plan_id)):
        page.evaluate("htmx.trigger(document.getElementById('plan-live'), 'refresh')")

    assert page.evaluate("getSelection().toString()") == marked != ""


def test_workers_are_seen_at_work(page, shoot, console, slow):
    page.goto("/worlds")
    page.evaluate(MARK)

    page.locator("tr[id^=worker-]", has_text="Slow").wait_for()

    assert page.locator("tr[id^=worker-]").count() == 2
    assert page.evaluate(MARKED)
    shoot(page, "worlds-at-work")


def test_a_page_in_the_background_asks_for_nothing(page, console, slow):
    page.goto(f"/plans/{slow[0]}")
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    page.evaluate("htmx.trigger(document.getElementById('plan-live'), 'refresh')")

    assert not asked


def test_pages_in_the_background_leave_connections_to_the_one_that_is_looked_at(open_page, console, slow):
    """A browser opens six to one host, and each page that follows a plan would keep one."""
    plan_id, until = slow
    first = open_page()
    first.goto(f"/plans/{plan_id}")
    first.evaluate(HIDE)

    for _ in range(7):
        other = first.context.new_page()
        other.goto(f"/plans/{plan_id}")
        other.evaluate(HIDE)

    first.evaluate(SHOW)
    with first.expect_response(lambda answer: answer.url.endswith(f"/plans/{plan_id}"), timeout=10_000):
        until.touch()
    first.locator(".plan-head .s-stopped").wait_for(timeout=10_000)
    assert "stopped" in first.title()


def test_a_page_whose_feed_breaks_off_asks_at_once_whether_the_console_is_there(page, console):
    plan_id = a_paused_release(console.world, console.directory, "quiet")
    with page.expect_request(lambda request: "hx-request" in request.headers):
        page.goto(f"/plans/{plan_id}")  # its own feed begins with how things are

    with page.expect_request(lambda request: "hx-request" in request.headers, timeout=10_000):
        page.evaluate("htmx.createEventSource('/live/nothing')")


def test_a_button_does_not_become_another_one_while_it_has_the_focus(page, console, request):
    until = console.directory / "hesitant"
    request.addfinalizer(until.touch)
    plan_id = console.world.trigger(actions.Hesitant, until=str(until)).id
    in_state(console.world, plan_id, "paused")
    page.goto(f"/plans/{plan_id}")
    page.get_by_role("button", name="Resume", exact=True).focus()

    console.world.execute(plan_id)

    page.get_by_role("button", name="Cancel", exact=True).wait_for()
    assert page.evaluate("document.activeElement.textContent") != "Cancel"
    page.keyboard.press("Enter")
    until.touch()
    plan = in_state(console.world, plan_id, "stopped")
    assert not any(event.by for event in plan.execution_history)


def test_a_console_that_cannot_be_reached_is_said_to_be(page, console, slow):
    page.goto(f"/plans/{slow[0]}")
    page.route("**/plans/*", lambda route: route.abort())

    page.evaluate("htmx.trigger(document.getElementById('plan-live'), 'refresh')")

    page.get_by_text("not up to date").wait_for()
