"""Plans that cannot be read, that wait for their time, and consoles that only show."""

from datetime import UTC, datetime, timedelta

import page_actions as actions
import pytest
from playwright.sync_api import expect
from served_pages import served
from sqlalchemy import create_engine, text
from watching_plans import a_paused_release, step_in_state

from dynflow_mp.console import ConsoleSettings, create_app


@pytest.fixture(scope="module")
def damaged(console):
    """A plan whose flow is no flow any more."""
    plan_id = a_paused_release(console.world, console.directory, "damaged")
    engine = create_engine(console.world.config.database_url)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE dynflow_execution_plans SET step_count = step_count + 1 WHERE id = :id"),
            {"id": plan_id},
        )
    engine.dispose()
    return plan_id


@pytest.mark.parametrize("tab", ["", "/plan", "/run", "/finalize", "/timeline", "/steps"])
def test_a_damaged_plan_says_what_is_wrong_with_it(page, shoot, damaged, tab):
    answer = page.goto(f"/plans/{damaged}{tab}")

    assert answer.status == 200
    assert "cannot be read" in page.locator("main").inner_text()
    expect(page.locator(".badge", has_text="damaged")).to_be_visible()
    shoot(page, "plan-damaged")


@pytest.mark.parametrize("tab", ["/history", "/raw", "/sub-plans"])
def test_of_a_damaged_plan_the_rest_is_seen(page, damaged, tab):
    assert page.goto(f"/plans/{damaged}{tab}").status == 200


def test_a_step_of_a_damaged_plan_is_refused_with_the_reason(page, damaged):
    answer = page.goto(f"/plans/{damaged}/steps/2")

    assert answer.status == 409
    assert "steps were planned" in page.locator("main").inner_text()


def test_a_scheduled_plan_says_since_when_it_waits_for_what(page, shoot, console):
    later = datetime.now(UTC) + timedelta(hours=3)
    plan_id = console.world.delay(actions.Fetch, url="x", start_at=later).id

    page.goto(f"/plans/{plan_id}")

    told = page.locator(".plan-head").inner_text()
    assert "Why is it not running?" in told
    assert f"{later:%Y-%m-%d %H:%M:%S}" in told
    assert "since" in told
    shoot(page, "plan-scheduled")


def test_a_step_that_waits_for_an_event_says_so(page, console):
    plan_id = console.world.trigger(actions.Waits).id
    step_in_state(console.world, plan_id, 2, "suspended")

    page.goto(f"/plans/{plan_id}/steps/2")
    page.locator(".why").wait_for()

    assert "event" in page.locator(".why").inner_text()
    assert "since" in page.locator(".why").inner_text()


def test_a_console_for_reading_offers_nothing_to_do(browser, console):
    plan_id = a_paused_release(console.world, console.directory, "looked-at")
    with served(create_app(console.world, ConsoleSettings(read_only=True))) as url:
        context = browser.new_context(base_url=url)
        page = context.new_page()
        for path in ("/plans", f"/plans/{plan_id}", f"/plans/{plan_id}/steps", "/worlds", "/failures"):
            page.goto(path)

            assert page.locator("main form[method=post] button").count() == 0
        page.goto(f"/plans/{plan_id}/steps?state=error")
        page.locator("[data-row-link]").click()
        assert page.locator("main form[method=post]").count() == 0
        context.close()


def test_whoever_does_not_know_the_token_is_asked_for_it(browser, console, shoot):
    token = "a-token-that-is-long-enough-0123456789"
    with served(create_app(console.world, ConsoleSettings(token=token))) as url:
        context = browser.new_context(base_url=url)
        page = context.new_page()
        page.goto("/plans?state=paused")
        shoot(page, "login")
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        assert "not the token" in page.locator("main").inner_text()

        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Log in").click()

        page.wait_for_url("**/plans?state=paused")
        assert page.locator("h1").inner_text() == "Plans"
        context.close()
