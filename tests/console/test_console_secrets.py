"""What actions keep secret is on no page, in no answer, in no log – whether their classes are known here or not."""

import subprocess
import sys
from pathlib import Path

import pytest
from asking import NO_PLAN, TOKEN, a_console, post, wait_for
from test_console_header_matrix import all_routes

CANARY = "c4nary-3f9a"
CARD = "4111-c4rd-1111"


@pytest.fixture(scope="module")
def leaky_plan(running_world):
    """A paused plan whose input, output and error have held secrets."""
    from console_actions import KeepsSecrets

    world = running_world
    plan = world.trigger(
        KeepsSecrets, password=CANARY, card={"number": CARD, "holder": "ann"}, nested=[{"api_key": CANARY}]
    )
    return plan.finished.result(30)


def every_answer(console, plan):
    for method, path in all_routes(console.app):
        if method != "GET":
            continue
        for step_id in ("1", "2", "3"):
            filled = path.replace(NO_PLAN, plan.id).replace("/steps/1", f"/steps/{step_id}")
            yield filled, console.get(filled)


def test_g41_no_route_shows_a_secret(running_world, leaky_plan, caplog):
    caplog.set_level("DEBUG", logger="dynflow_mp")
    seen = 0
    for reveal in (False, True):
        console = a_console(running_world, reveal=reveal)
        for path, answer in every_answer(console, leaky_plan):
            assert CANARY not in answer.text, path
            assert CARD not in answer.text, path
            assert answer.status_code < 500, path
            seen += answer.status_code == 200
        for query in (f"error={CANARY}", f"error={CARD}", "result=error"):
            assert CARD not in console.get(f"/api/plans?{query}").text
    assert seen > 15
    assert CANARY not in caplog.text
    assert CARD not in caplog.text


def test_g41_the_step_is_shown_with_its_secrets_masked(running_world, leaky_plan):
    console = a_console(running_world)
    failed = leaky_plan.failed_steps[0].id

    told = console.get(f"/api/plans/{leaky_plan.id}/steps/{failed}").json()

    assert told["input"]["password"] == "***"
    assert told["input"]["card"] == {"number": "***", "holder": "ann"}
    assert told["input"]["nested"] == [{"api_key": "***"}]
    assert told["error"]["class"] == "RuntimeError"
    assert "***" in told["error"]["message"]


def test_what_a_step_wrote_is_read_in_pages_without_its_secrets(running_world, leaky_plan):
    console = a_console(running_world)
    path = f"/api/plans/{leaky_plan.id}/steps"

    told = console.get(f"{path}/{leaky_plan.failed_steps[0].id}/chunks").json()

    assert [(chunk["kind"], chunk["text"]) for chunk in told["chunks"]] == [("log", "logged in with ***")]
    assert (told["total"], told["page"]) == (1, 0)
    assert console.get(f"{path}/1/chunks").json()["total"] == 0
    assert console.get(f"{path}/99/chunks").status_code == 404


def test_g41_a_console_that_does_not_know_the_class_shows_no_more(running_world, leaky_plan):
    """Started without --app: what the class declares is stored with its plan."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from asking import a_console\n"
        "from dynflow_mp import World\n"
        "with World(database_url=sys.argv[1]) as world:\n"
        "    assert 'console_actions' not in sys.modules\n"
        "    console = a_console(world)\n"
        "    for step_id in (1, 2):\n"
        f"        print(console.get('/api/plans/{leaky_plan.id}/steps/%d' % step_id).text)\n"
    )
    url = running_world.config.database_url
    told = subprocess.run(
        [sys.executable, "-c", program, url, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout

    assert '"holder":"ann"' in told
    assert CARD not in told
    assert CANARY not in told


def test_g41_a_mask_is_not_written_over_a_secret(running_world, leaky_plan):
    console = a_console(running_world)
    failed = leaky_plan.failed_steps[0].id
    path = f"/api/plans/{leaky_plan.id}/steps/{failed}/input"

    for changes in ({"password": "***"}, {"card": {"number": "***", "holder": "bob"}}, {"list": ["***"]}):
        answer = post(console, path, {"changes": changes})
        assert answer.status_code == 400
        assert answer.json()["field"] == "changes"


def test_g41_what_is_edited_is_named_in_the_history_and_not_told(running_world, leaky_plan):
    console = a_console(running_world)
    failed = leaky_plan.failed_steps[0].id
    secret = "n3w-" + CANARY

    answer = post(
        console, f"/api/plans/{leaky_plan.id}/steps/{failed}/input", {"changes": {"password": secret}}
    )

    assert answer.status_code == 200, answer.text
    assert secret not in answer.text
    history = wait_for(
        lambda: [
            event
            for event in console.get(f"/api/plans/{leaky_plan.id}").json()["history"]
            if "edit input" in event["name"]
        ]
    )
    assert history[0]["by"] == "local"
    assert secret not in str(history)


def test_g41_settings_tell_no_secret():
    from dynflow_mp.console import ConsoleSettings
    from dynflow_mp.console.settings import TrustedProxy

    proxy = TrustedProxy(user_header="X-User", secret=TOKEN)
    settings = ConsoleSettings(token=TOKEN, passwords={"ann": "correct-horse-1"}, proxy=proxy)

    assert TOKEN not in repr(settings)
    assert "correct-horse" not in repr(settings)
