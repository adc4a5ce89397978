"""Every page, as people, narrow screens, dark rooms and browsers without scripts see it."""

import re
import urllib.request
from urllib.parse import urlsplit

import page_actions as actions
import pytest
from playwright.sync_api import expect
from served_pages import served
from starlette.applications import Starlette
from starlette.routing import Mount
from watching_plans import PATIENCE_S, a_paused_release, failed_step, in_state

from dynflow_mp import World
from dynflow_mp.console import create_app

TABS = ("", "/plan", "/run", "/finalize", "/timeline", "/steps", "/sub-plans", "/history", "/raw")


@pytest.fixture(scope="module")
def paused(console):
    return a_paused_release(console.world, console.directory)


@pytest.fixture(scope="module")
def hostile(console):
    triggered = console.world.trigger(actions.Hostile)
    triggered.finished.result(PATIENCE_S)
    return triggered.id


@pytest.fixture(scope="module")
def parent(console):
    triggered = console.world.trigger(actions.Parent)
    triggered.finished.result(PATIENCE_S)
    return triggered.id


@pytest.mark.parametrize("path", ["/", "/plans", "/failures", "/worlds", "/locks", "/deeds", "/help"])
def test_a_page_of_the_console_opens(page, shoot, paused, path):
    answer = page.goto(path)

    assert answer.status == 200
    assert page.locator("h1").count() == 1
    shoot(page, (path.strip("/") or "home").replace("/", "-"))


@pytest.mark.parametrize("tab", TABS)
def test_a_view_of_a_plan_opens(page, shoot, paused, tab):
    answer = page.goto(f"/plans/{paused}{tab}")

    assert answer.status == 200
    assert page.locator("h1").inner_text() == "Release of shop"
    assert "paused" in page.locator(".plan-head").inner_text()
    shoot(page, f"plan{tab.replace('/', '-')}")


def test_a_step_tells_why_it_failed_and_hides_what_is_secret(page, shoot, console, paused):
    page.goto(f"/plans/{paused}/steps/{failed_step(console.world, paused)}")

    told = page.locator("main").inner_text()
    assert "FileNotFoundError" in told
    assert "Traceback" in told
    assert '"password": "***"' in told
    assert "hunter2" not in page.content()
    shoot(page, "step")


def test_a_worker_that_died_leaves_a_certificate(page, shoot, console):
    plan_id = console.world.trigger(actions.Dies).id
    in_state(console.world, plan_id, "paused")

    page.goto(f"/plans/{plan_id}/steps/2")

    assert "SIGKILL" in page.locator("main").inner_text()
    assert "Death certificate" in page.locator("main").inner_text()
    page.get_by_text("Last lines it printed").click()
    expect(page.get_by_text("my last words")).to_be_visible()
    shoot(page, "step-death-certificate")


def test_what_is_hostile_is_shown_and_never_run(page, shoot, hostile):
    for path in (
        "/plans",
        f"/plans/{hostile}",
        f"/plans/{hostile}/raw",
        f"/plans/{hostile}/steps/2",
        "/failures",
    ):
        page.goto(path)

        assert page.title() != "broken"
        assert page.locator("main img, main script").count() == 0
        assert len(page.content()) < 200_000
    page.goto(f"/plans/{hostile}/steps/2")
    assert actions.HOSTILE in page.locator("main").inner_text()
    shoot(page, "step-hostile")


def test_a_long_text_is_had_whole_as_a_file_that_no_browser_shows(page, console, hostile):
    page.goto(f"/plans/{hostile}/steps/2")
    link = page.get_by_role("link", name="all of it, as a file").last.get_attribute("href")

    with urllib.request.urlopen(console.url + link, timeout=PATIENCE_S) as answer:
        text = answer.read().decode()

    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "x" * 60_000 in text


def test_sub_plans_are_found_from_both_sides(page, console, parent):
    page.goto(f"/plans/{parent}/sub-plans")
    page.get_by_role("link", name="Fetch").first.click()

    page.locator(".crumbs a").nth(1).click()

    page.wait_for_url(f"**/plans/{parent}")


@pytest.mark.parametrize(
    "path", ["/plans/none", "/plans/01890000-0000-7000-8000-000000000000/steps", "/nowhere"]
)
def test_what_is_not_there_is_a_page_that_says_so(page, path):
    answer = page.goto(path)

    assert answer.status == 404
    expect(page.get_by_role("link", name="To the list of plans")).to_be_visible()


def test_a_wrong_filter_is_named(page):
    answer = page.goto("/plans?state=asleep")

    assert answer.status == 400
    assert "asleep" in page.locator("main").inner_text()


@pytest.mark.parametrize(
    "path", ["/plans", "/failures", "/worlds", "/locks", "/help", "{plan}", "{plan}/steps", "{plan}/timeline"]
)
def test_on_a_narrow_screen_nothing_is_cut_off(open_page, shoot, paused, path):
    page = open_page(viewport={"width": 390, "height": 780})
    page.goto(path.format(plan=f"/plans/{paused}"))

    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    assert wider <= 0
    shoot(page, f"narrow-{path.strip('/').replace('{plan}', 'plan').replace('/', '-')}")


def test_in_the_dark_paper_is_dark(open_page, shoot, paused):
    page = open_page(viewport={"width": 1280, "height": 800}, color_scheme="dark")
    page.goto(f"/plans/{paused}")

    red, green, blue = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    )

    assert max(red, green, blue) < 60
    shoot(page, "dark-plan")
    page.goto("/plans")
    shoot(page, "dark-plans")


def test_without_scripts_everything_is_read_filtered_and_done(open_page, console):
    plan_id = a_paused_release(console.world, console.directory, "plain")
    page = open_page(java_script_enabled=False)

    page.goto("/plans")
    page.get_by_label("Label contains").fill("of plain")
    page.get_by_role("button", name="Filter").click()
    assert page.locator("tbody tr").count() == 1
    page.get_by_role("link", name="Release of plain").click()
    (console.directory / "plain").touch()
    page.get_by_role("button", name="Resume", exact=True).click()

    expect(page.locator(".notice")).to_be_visible()
    in_state(console.world, plan_id, "stopped")
    page.reload()
    assert "stopped" in page.locator(".plan-head").inner_text()


def test_mounted_under_a_prefix_all_of_it_stays_there(browser, console, paused):
    app = Starlette(routes=[Mount("/ops/flows", create_app(console.world))])
    asked = []
    with served(app) as url:
        context = browser.new_context(base_url=url)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto("/ops/flows/plans")
        for name in ("Failures", "Worlds", "Locks", "Plans"):
            page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
        page.get_by_role("link", name="Release of shop").first.click()
        for name in ("Run", "Timeline", "Steps", "History"):
            page.get_by_role("navigation", name="Views").get_by_role("link", name=name).click()
        page.get_by_label("Find a step").fill("Unpack")
        page.get_by_role("button", name="Find").click()
        page.get_by_role("link", name="Unpack").last.click()
        expect(page).to_have_title(re.compile("Unpack"))
        context.close()

    assert {urlsplit(one).path.startswith("/ops/flows/") for one in asked} == {True}


def test_an_empty_database_says_what_to_do(browser, tmp_path, shoot):
    with World(database_url=f"sqlite:///{tmp_path / 'empty.db'}") as world, served(create_app(world)) as url:
        context = browser.new_context(base_url=url)
        page = context.new_page()

        told = []
        for path in ("/plans", "/failures", "/worlds", "/locks"):
            page.goto(path)
            told.append(page.locator(".empty").first.inner_text())
            shoot(page, f"empty{path.replace('/', '-')}")
        context.close()

    assert "world.trigger(" in told[0]
    assert "dynflow-mp supervisor" in told[2]


@pytest.fixture(scope="module")
def large(console):
    return console.world.plan(actions.Large, 5_000).id


@pytest.mark.parametrize("tab", TABS)
def test_of_a_plan_of_ten_thousand_steps_a_page_is_no_more_than_one_can_read(console, large, tab):
    with urllib.request.urlopen(f"{console.url}/plans/{large}{tab}", timeout=PATIENCE_S) as answer:
        content = answer.read()

    assert len(content) <= 1024 * 1024


def test_a_large_plan_is_opened_group_by_group(page, shoot, large):
    page.goto(f"/plans/{large}")
    assert page.locator("svg.flow a").count() == 5
    page.get_by_role("link", name="1,000 steps").nth(2).click()
    shoot(page, "plan-large")

    assert page.locator("svg.flow a[id]").count() == 100
    page.get_by_role("link", name="900 steps more").click()
    assert page.locator("svg.flow a[id]").count() == 100
    page.locator(".crumbs").get_by_role("link", name="All").click()
    assert page.locator("svg.flow a").count() == 5


def test_a_step_is_found_in_a_large_plan(page, large):
    page.goto(f"/plans/{large}")
    page.get_by_label("Find a step").fill("8001")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Fetch").click()
    page.get_by_role("link", name="Show in the picture").click()

    assert page.locator("svg.flow .marked").get_attribute("id") == "step-8001"
