"""When a process that holds everybody's lock counts as frozen, and when not."""

import pytest

from dynflow_mp.maintenance.standstill import Standstill, Stopped

FROZEN = Stopped(pid=7, began=100.0, ran_ticks=5, stay=3)


def verdicts(*looks):
    standstill = Standstill(frozen_s=10.0, longest_gap_s=3.0)
    return [standstill.look(seen, now) for now, seen in looks]


def every_two_seconds(*seen):
    return verdicts(*((2.0 * number, what) for number, what in enumerate(seen)))


def test_one_that_was_stopped_at_every_look_is_frozen_after_the_time():
    assert every_two_seconds(*[FROZEN] * 6) == [False] * 5 + [True]


def test_the_time_begins_with_the_first_look_at_it():
    assert every_two_seconds(None, None, *[FROZEN] * 6) == [False] * 7 + [True]


def test_nobody_is_never_frozen():
    assert not any(every_two_seconds(*[None] * 20))


@pytest.mark.parametrize(
    "changed",
    [
        None,
        FROZEN._replace(pid=8),
        FROZEN._replace(began=101.0),
        FROZEN._replace(ran_ticks=6),
        FROZEN._replace(stay=4),
    ],
    ids=["not stopped", "another process", "the pid used again", "it has run", "it had let go"],
)
def test_whatever_changed_between_two_looks_begins_anew(changed):
    assert not any(every_two_seconds(*[FROZEN] * 5, changed, *[FROZEN] * 5))


def test_who_did_not_look_for_long_begins_anew():
    assert verdicts((0.0, FROZEN), (3.0, FROZEN), (100.0, FROZEN), (103.0, FROZEN)) == [False] * 4


def test_one_that_is_still_there_afterwards_is_counted_anew():
    assert every_two_seconds(*[FROZEN] * 12) == [False] * 5 + [True] + [False] * 5 + [True]
