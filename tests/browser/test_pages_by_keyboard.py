"""Everything is reached and done with keys alone, and one sees where one is."""

import pytest
from watching_plans import a_paused_release, in_state

MOST_TABS = 60


@pytest.fixture(scope="module")
def paused(console):
    return a_paused_release(console.world, console.directory, "keys")


def tab_to(page, selector):
    """Press Tab until what is asked for has the focus; each stop on the way is to be seen."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        assert page.evaluate("is_seen(document.activeElement)"), page.evaluate(
            "document.activeElement.outerHTML"
        )
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} was not reached")


@pytest.fixture
def keyed(page):
    """A page that can tell whether the focus is seen: an outline, or, in a drawing, a strong edge."""
    page.add_init_script(
        """window.is_seen = element => {
            const style = which => getComputedStyle(which);
            const outlined = which => style(which).outlineStyle !== "none" && parseFloat(style(which).outlineWidth) >= 1;
            if (outlined(element)) return true;
            const drawn = element.querySelector(".box, .bar");
            if (drawn) return parseFloat(style(drawn).strokeWidth) >= 2;
            return element.matches(".chip input") && outlined(element.nextElementSibling);
        }"""
    )
    return page


def test_the_first_stop_leads_past_the_menu(keyed, paused):
    keyed.goto("/plans")

    keyed.keyboard.press("Tab")
    assert keyed.evaluate("document.activeElement.textContent") == "Skip to the content"
    keyed.keyboard.press("Enter")

    assert keyed.evaluate("document.activeElement.id") == "main"


def test_a_plan_is_opened_and_resumed_with_tab_and_enter(keyed, console, paused):
    keyed.goto("/plans?label=of+keys")
    tab_to(keyed, "[data-row-link]")
    keyed.keyboard.press("Enter")
    keyed.wait_for_url(f"**/plans/{paused}")
    (console.directory / "keys").touch()

    tab_to(keyed, ".deeds button.first")
    keyed.keyboard.press("Enter")

    in_state(console.world, paused, "stopped")


def test_boxes_of_a_picture_are_stops_and_open_their_steps(keyed, paused):
    keyed.goto(f"/plans/{paused}")

    tab_to(keyed, "svg.flow a")
    step = keyed.evaluate("document.activeElement.id").removeprefix("step-")
    keyed.keyboard.press("Enter")

    keyed.wait_for_url(f"**/steps/{step}")


def test_bars_of_a_timeline_are_stops(keyed, paused):
    keyed.goto(f"/plans/{paused}/timeline")

    tab_to(keyed, ".timeline a")


def test_letters_are_a_shorter_way(keyed, paused):
    keyed.goto("/plans")

    keyed.keyboard.press("/")
    assert keyed.evaluate("document.activeElement.name") == "label"
    keyed.keyboard.type("gw")
    assert keyed.url.endswith("/plans")
    keyed.evaluate("document.activeElement.blur()")
    keyed.keyboard.press("j")
    assert keyed.evaluate("document.activeElement.matches('[data-row-link]')")
    keyed.keyboard.press("x")
    assert keyed.locator("td.pick input:checked").count() == 1
    keyed.keyboard.press("g")
    keyed.keyboard.press("w")

    keyed.wait_for_url("**/worlds")
