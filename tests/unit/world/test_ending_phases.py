"""The phases of an ending, and the one budget they share."""

import threading
from time import monotonic

import pytest

from dynflow_mp.world import budget as budgets
from dynflow_mp.world.budget import Budget
from dynflow_mp.world.ending import Ending, Phase


@pytest.fixture
def steady(monkeypatch):
    """A clock that stands until it is moved."""

    class Hands:
        now = 1000.0

    monkeypatch.setattr(budgets, "monotonic", lambda: Hands.now)
    return Hands


@pytest.fixture
def little_reserve(monkeypatch):
    """Endings that hang are over in a moment."""
    monkeypatch.setattr(budgets, "RESERVE_S", 0.4)


@pytest.fixture
def forever():
    """Something that hangs, until the test is over."""
    over = threading.Event()
    yield over.wait
    over.set()


# -- shares ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "grace_s", "steps_s"),
    [(60, 30, 30), (60, 300, 50), (8, 30, 6), (1, 30, 0.75), (0, 30, 0), (60, 0.1, 0.1)],
)
def test_g24_running_steps_get_their_grace_as_far_as_the_budget_goes(steady, seconds, grace_s, steps_s):
    assert Budget(seconds).of_steps(grace_s) == steps_s


def test_g24_no_share_is_longer_than_half_of_what_is_left_and_all_end_with_the_reserve(steady):
    budget = Budget(5)

    for _ in range(200):
        share_s = budget.share(100)
        assert share_s <= (1015 - steady.now) / 2
        steady.now += share_s

    assert 1014.9 < steady.now <= 1015
    steady.now = 1015.0
    assert budget.share(100) == 0
    assert budget.left_s == 0


@pytest.mark.parametrize("seconds", [0, 0.5, 2, 8, 30, 60, 600])
def test_g24_what_an_executor_takes_leaves_something_to_the_rest(steady, seconds):
    budget = Budget(seconds)

    assert budget.of_steps(1e9) <= budget.of_release()
    assert budget.of_executor() <= seconds + budgets.RESERVE_S - 2


def test_a_budget_that_is_cut_ends_sooner_and_never_later(steady):
    budget = Budget(60)

    budget.cut(3)
    budget.cut(600)

    assert budget.left_s == 3


def test_what_waits_for_a_share_hears_that_the_budget_was_cut(little_reserve, forever):
    budget = Budget(600)
    threading.Timer(0.05, budget.cut, [0.0]).start()
    began = monotonic()

    assert budget.wait(lambda: False, lambda: budget.share(500)) is False

    assert monotonic() - began < 20


# -- endings ---------------------------------------------------------------------------------------------


def ended(ending, seconds=0.3, *phases):
    ending.begin(seconds, lambda budget: [Phase(what, do, lambda: budget.share(5)) for what, do in phases])
    assert ending.terminated.wait(60)
    return ending


def test_g24_what_hangs_is_left_behind_and_named_and_the_rest_is_closed(little_reserve, forever, caplog):
    ending, closed = Ending(False), []
    ending.on_close("first", lambda: closed.append("first"))
    ending.on_close("second", forever)
    ending.on_close("third", lambda: closed.append("third"))
    ending.before(forever)
    began = monotonic()

    ended(ending, 0.3, ("drain", forever))

    assert closed == ["third", "first"]
    assert ending.result.result(0) is False
    assert [left.split(":")[0] for left in ending.left] == [
        "before_termination hook Event.wait",
        "drain",
        "close second",
    ]
    assert "not all has ended: before_termination hook Event.wait: it has not ended after" in caplog.text
    assert monotonic() - began < 20


def test_g24_a_hundred_things_that_hang_take_no_longer_than_one(little_reserve, forever):
    ending = Ending(False)
    for number in range(100):
        ending.on_close(f"{number}", forever)
    began = monotonic()

    ended(ending)

    assert len(ending.left) == 100
    assert "there was no time left for it" in ending.left[-1]
    assert monotonic() - began < 20


def test_an_overrun_is_told_to_whoever_can_do_something_about_it(little_reserve, forever):
    ending, told = Ending(False), threading.Event()

    ending.begin(0.1, lambda budget: [Phase("drain", forever, lambda: budget.share(1), told.set)])

    assert ending.terminated.wait(60)
    assert told.is_set()


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_what_cannot_be_closed_is_named_and_a_hook_that_raises_is_only_logged(caplog, error):
    def fail():
        raise error

    ending, closed = Ending(False), []
    ending.before(fail)
    ending.on_close("first", lambda: closed.append("first"))
    ending.on_close("second", fail)

    ended(ending, 10)

    assert closed == ["first"]
    assert ending.left == [f"close second: {type(error).__name__}: {error}"]
    assert "before_termination hook failed" in caplog.text


def test_what_does_not_matter_does_not_make_an_ending_a_bad_one(little_reserve, forever):
    ending = Ending(False)

    ending.begin(0.1, lambda budget: [Phase("mark", forever, lambda: 0.05, matters=False)])

    assert ending.terminated.wait(60)
    assert ending.result.result(0) is True


def test_an_ending_begins_once(little_reserve):
    ending = Ending(False)

    begun = [ending.begin(1, lambda budget: []) for _ in range(3)]

    assert begun == [True, False, False]
    assert ending.result.result(60) is True


def test_a_hook_may_wait_for_the_very_ending_it_belongs_to(little_reserve):
    ending = Ending(False)
    ending.before(lambda: ending.result.result(60))

    ended(ending, 0.2)

    assert ending.result.result(0) is False


def test_an_ending_that_hangs_and_is_asked_again_hurries(little_reserve, forever):
    ending = Ending(False)
    ending.on_close("first", forever)
    began = monotonic()
    ending.begin(600, lambda budget: [Phase("drain", forever, lambda: budget.share(500))])

    ending.hurry(0.0)

    assert ending.terminated.wait(60)
    assert monotonic() - began < 30


def test_an_ending_is_not_taken_back_by_who_waits_for_it_no_longer():
    ending, go_on = Ending(exit_process=False), threading.Event()
    ending.before(go_on.wait)
    ending.begin(5, lambda budget: [])

    taken_back = ending.result.cancel()
    go_on.set()

    assert not taken_back
    assert ending.result.result(10) is True


def test_an_ending_that_gets_no_thread_ends_all_the_same(monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    ending, closed = Ending(exit_process=False), []
    ending.on_close("door", lambda: closed.append("door"))
    monkeypatch.setattr(threading.Thread, "start", start)

    ending.begin(5, lambda budget: [])

    assert ending.result.result(0) is True
    assert closed == ["door"]


def test_what_is_opened_when_all_has_been_closed_is_closed_at_once():
    """A world may be declared dead, and end, while it is still opening what it needs."""
    ending, closed = Ending(exit_process=False), []

    def fail():
        closed.append("second")
        raise OSError("stuck")

    ending.on_close("first", lambda: closed.append("first"))
    ending.begin(5, lambda budget: [])
    assert ending.result.result(10) is True

    ending.on_close("second", fail)
    ending.on_close("third", lambda: closed.append("third"))

    assert closed == ["first", "second", "third"]
