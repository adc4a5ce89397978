"""G11: somebody sets the machine's clock. Only what is scheduled for a time of day goes by it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from failing_actions import Backs, HasAnHour
from telling_actions import WakesItself

import dynflow_mp

HOUR_S = 3600
JUMPS_S = [HOUR_S, -HOUR_S, 24 * HOUR_S, -24 * HOUR_S]


@pytest.fixture
def set_clock(slow_world, monkeypatch):
    """Moves the time of day by so many seconds; the steady clock goes on as if nothing had happened."""
    asked = slow_world.clock.now_us

    def move(by_s):
        monkeypatch.setattr(slow_world.clock, "now_us", lambda: asked() + by_s * 1_000_000)

    return move


def passes(world, seconds):
    """Time passes, a second at a time."""
    for _ in range(seconds):
        world.clock.advance(1)


@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_g11_a_delayed_event_comes_when_its_time_has_passed(slow_world, set_clock, jump_s):
    triggered = slow_world.trigger(WakesItself, delay_s=10)

    set_clock(jump_s)
    passes(slow_world, 9)
    early = triggered.finished.done()
    passes(slow_world, 2)

    assert not early
    assert triggered.finished.result(0).result == "success"


@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_g11_a_retry_comes_when_its_time_has_passed(slow_world, set_clock, jump_s):
    """After ten seconds, and after thirty more."""
    triggered = slow_world.trigger(Backs, works_at=3)

    set_clock(jump_s)
    passes(slow_world, 9)
    first = slow_world.persistence.load_execution_plan(triggered.id).run_steps[0].attempts
    passes(slow_world, 2)
    second = slow_world.persistence.load_execution_plan(triggered.id).run_steps[0].attempts
    set_clock(-jump_s)
    passes(slow_world, 31)

    assert (first, second) == (1, 2)
    assert triggered.finished.result(0).result == "success"


@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_g11_a_deadline_comes_when_its_time_has_passed(slow_world, set_clock, jump_s):
    triggered = slow_world.trigger(HasAnHour)

    set_clock(jump_s)
    slow_world.clock.advance(HOUR_S - 2)
    early = triggered.finished.done()
    slow_world.clock.advance(4)

    assert not early
    assert triggered.finished.result(0).failed_steps[0].error.cause == "deadline"


ASKS_FOR_THE_TIME_OF_DAY = re.compile(
    r"\b(now_us|time_ns|time\.time|datetime\.now|utcnow|func\.now|CURRENT_TIMESTAMP)\b"
)
MAY_ASK = {
    "to write it down": {
        *("actions/calls.py", "actions/layers.py", "actions/output_chunks.py", "executor/failures.py"),
        *("executor/workbench.py", "persistence/backup.py", "persistence/store.py", "persistence/turn.py"),
        *("executor/death_certificates.py", "executor/errand_kinds.py", "planning/ids.py"),
        *("maintenance/amendments.py", "maintenance/recovery.py", "maintenance/unowned.py"),
        *("world/planning.py", "world/plans.py", "world/requests.py"),
        *(
            "reading/audits.py",
            "executor/floor.py",
        ),  # who did what when; when a report about workers was made
    },
    "for what is scheduled": {
        *("maintenance/cleaner.py", "maintenance/delayed_executor.py", "maintenance/late_planning.py"),
        *(
            "maintenance/event_post.py",
            "persistence/schedule.py",
            "world/scheduling.py",
            "world/arguments.py",
        ),
        "actions/sub_plans.py",  # sub-plans that are spread over a time
    },
    "to hand it on as now, from which only differences are taken": {"executor/loop.py"},
    "a lock decides": {"connectors/endpoints.py"},
    "whether anybody listens decides": {"executor/left_directories.py"},
    "for numbers that grow, whatever it says": {"connectors/outgoing.py"},
    "to throw messages away, which costs time at most": {"maintenance/dead_letters.py"},
    "to show people how long ago something was": {
        *("reading/library.py", "reading/timeline.py"),
        "persistence/server_settings.py",  # how far the clocks of a host and its server differ
    },
    "it is the clock": {"clock.py"},
}
DECIDE_ABOUT_NO_PLAN = ("testing", "console", "cli")
"""Rooms in which times are shown to people, or are a test's own."""


def test_g11_nobody_asks_for_the_time_of_day_to_decide_who_is_dead_or_what_is_late():
    root = Path(dynflow_mp.__file__).parent
    asks = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if ASKS_FOR_THE_TIME_OF_DAY.search(path.read_text())
        and path.relative_to(root).parts[0] not in DECIDE_ABOUT_NO_PLAN
    }

    assert asks - set().union(*MAY_ASK.values()) == set()


def test_g11_sub_plans_are_told_of_although_the_clock_was_set_back():
    from dynflow_mp.director.callers import Callers
    from dynflow_mp.model.plans import Caller

    callers, caller = Callers(), Caller("plan", 1, 2)
    for _ in range(1000):
        callers.begun(caller)
    day_us = 24 * HOUR_S * 1_000_000

    told, _ = callers.ended(caller, day_us)
    quiet, _ = callers.ended(caller, day_us + 1)
    set_back, _ = callers.ended(caller, 2)

    assert (told, quiet, set_back) == (True, False, True)
