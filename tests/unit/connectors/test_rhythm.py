"""How often a mailbox is looked into."""

from __future__ import annotations

from dynflow_mp.connectors.rhythm import QUICK_S, Rhythm


def test_it_is_quick_while_something_goes_on() -> None:
    rhythm = Rhythm(0.2, now=0.0)

    rhythm.stirred(100.0)

    assert rhythm.interval_s(100.0) == QUICK_S


def test_what_is_quiet_is_looked_at_less_and_less_often_down_to_a_limit() -> None:
    rhythm = Rhythm(0.2, now=0.0)

    assert [rhythm.interval_s(now) for now in (0.01, 0.8, 1.6, 1000.0)] == [QUICK_S, 0.1, 0.2, 0.2]


def test_a_limit_below_the_quick_pace_holds() -> None:
    assert Rhythm(0.001, now=0.0).interval_s(0.0) == 0.001
