"""What pages say: of lists that have become shorter, of deeds that were refused, to scripts that ask for a part of them."""

import re

import pytest
from asking import NO_PLAN, SAME_SITE, a_console, csrf_of, post, wait_for
from console_actions import Chatters, FailsUnlessTold, Greets, WaitsForWord

PART = {"HX-Request": "true"}


@pytest.fixture(scope="module")
def console(running_world):
    return a_console(running_world)


@pytest.fixture(scope="module")
def paused(running_world):
    return running_world.trigger(FailsUnlessTold).finished.result(30)


@pytest.fixture(scope="module")
def stopped(running_world):
    return running_world.trigger(Greets).finished.result(30)


def form_to(console, path, **fields):
    return console.post(path, data={"_csrf": csrf_of(console.get("/plans")), **fields}, headers=SAME_SITE)


@pytest.mark.parametrize("path", ["/plans?page=70", "/plans/{paused}/steps?page=70"])
def test_a_page_past_the_end_leads_back_and_does_not_say_that_there_is_nothing(console, paused, path):
    page = console.get(path.format(paused=paused.id))

    assert page.status_code == 200
    assert "There is nothing on this page any more" in page.text
    assert "No plans yet" not in page.text
    assert "No step of this plan is like that" not in page.text
    back = re.search(r'href="([^"]+)">To its last page', page.text)[1]
    assert "There is nothing on this page" not in console.get(back.replace("&amp;", "&")).text


def test_links_of_the_list_keep_the_size_of_its_pages(running_world, paused, stopped):
    """Even one that would be usual elsewhere."""
    console = a_console(running_world, page_size=1)

    page = console.get("/plans?per_page=50")

    ordered = re.search(r'href="([^"]+)">Label', page.text)[1]
    assert "per_page=50" in ordered
    assert "per_page=50" in re.search(r'name="query" value="([^"]*)"', page.text)[1]
    assert "per_page=50" in re.search(r'sse-connect="([^"]+)"', page.text)[1]


def test_a_part_of_a_page_leaves_the_notice_to_the_page_that_comes(running_world, stopped):
    own = a_console(running_world)
    answer = form_to(own, "/worlds/check")
    assert answer.status_code == 303

    own.get(f"/plans/{stopped.id}", headers=PART)
    page = own.get("/worlds")

    assert "All worlds are valid." in page.text
    assert "All worlds are valid." not in own.get("/worlds").text


def test_a_part_says_what_the_tab_is_called_now(console, paused):
    whole = console.get(f"/plans/{paused.id}").text
    part = console.get(f"/plans/{paused.id}", headers=PART).text
    step = console.get(f"/plans/{paused.id}/steps/2", headers=PART).text

    title = re.search("<title>.*?</title>", whole)[0]
    assert part.startswith(title)
    assert step.lstrip().startswith("<title>Step 2 FailsUnlessTold · failed")
    assert len(re.findall("<title>[^<]*dynflow_mp</title>", whole)) == 1


def test_what_is_over_is_not_asked_for_again(console, paused, stopped):
    for path in ("", "/steps", "/steps/2"):
        assert console.get(f"/plans/{paused.id}{path}", headers=PART).status_code == 200
        assert console.get(f"/plans/{stopped.id}{path}", headers=PART).status_code == 286
        assert console.get(f"/plans/{stopped.id}{path}").status_code == 200


def test_whoever_is_refused_finds_back_to_the_plan(console, stopped):
    refused = form_to(console, f"/plans/{stopped.id}/resume")
    unknown = form_to(console, f"/plans/{NO_PLAN}/resume")

    assert refused.status_code == 409
    assert f'href="/plans/{stopped.id}"' in refused.text
    assert unknown.status_code == 404
    assert f'href="/plans/{NO_PLAN}"' not in unknown.text


def test_to_check_one_world_tells_of_that_one(console, running_world):
    from dynflow_mp import World

    with World(database_url=running_world.config.database_url, connector="database") as other:
        answer = form_to(console, f"/worlds/{other.id}/check")

    told = console.get(answer.headers["location"]).text
    assert f"World {other.id[:8]}: Nothing says that its process is gone." in told


def test_each_deed_of_a_page_has_an_id_of_its_own(console, paused):
    """By which a page that follows tells a button from another that comes in its place."""
    page = console.get(f"/plans/{paused.id}").text

    ids = re.findall(r'<form class="inline" id="([^"]+)"', page)
    assert f"do-/plans/{paused.id}/resume" in ids
    assert len(ids) == len(set(ids))


def test_the_api_leads_nowhere_else(console):
    answer = console.get("/api/plans/", headers={"Host": "localhost"})

    assert answer.status_code == 404
    assert "location" not in answer.headers


def test_an_error_of_the_engine_that_has_no_status_is_in_the_log(console, running_world, monkeypatch, caplog):
    from dynflow_mp.errors import DynflowError

    def broken(query):
        raise DynflowError("nobody thought of this")

    monkeypatch.setattr(running_world.persistence, "page_of_plans", broken)

    for path in ("/plans", "/api/plans"):
        caplog.clear()
        assert console.get(path).status_code == 500
        assert "nobody thought of this" in caplog.text


def test_a_large_plan_is_not_read_anew_at_every_change(running_world, monkeypatch):
    from dynflow_mp.console.pages import step_page

    plan_id = running_world.trigger(WaitsForWord).id
    wait_for(lambda: running_world.persistence.load_execution_plan(plan_id).steps_in_state("suspended"))
    console = a_console(running_world)

    small = console.get(f"/plans/{plan_id}/steps/2").text
    monkeypatch.setattr(step_page, "ALL_UP_TO", 1)
    large = console.get(f"/plans/{plan_id}/steps/2").text

    assert 'hx-trigger="sse:plan, every 3s, refresh"' in small
    assert 'hx-trigger="sse:plan throttle:4s, every 10s, refresh"' in large
    post(console, f"/api/plans/{plan_id}/halt")


def test_of_what_a_step_wrote_the_last_is_read_and_shown(running_world, console, monkeypatch):
    from dynflow_mp.console.pages import step_page
    from dynflow_mp.reading.execution_plan import ExecutionPlan

    plan = running_world.trigger(Chatters).finished.result(30)
    monkeypatch.setattr(step_page, "MOST_CHUNKS", 2)
    monkeypatch.setattr(ExecutionPlan, "output_chunks", lambda *_: pytest.fail("all of it was read"))

    page = console.get(f"/plans/{plan.id}/steps/2").text

    assert [piece in page for piece in ("piece 1", "piece 2", "piece 3")] == [False, True, True]
    assert "1 earlier piece" in page
