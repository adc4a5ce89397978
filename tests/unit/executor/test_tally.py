"""Stopping a job: only the one that runs, only once, and never the next."""

from dynflow_mp.actions.unwinding import Stopped
from dynflow_mp.executor.tally import Tally


class NoPage:
    """Takes whatever is written."""

    def __getattr__(self, name):
        return lambda *values: None


def a_tally():
    return Tally(NoPage())


STOPPED = Stopped("timeout", "too long")


def test_the_job_that_runs_is_left_once():
    tally = a_tally()
    tally.begin(1)

    assert tally.stop(1, STOPPED)

    assert tally.stop_due() is STOPPED
    assert tally.stop_due() is None


def test_a_job_that_is_done_is_not_stopped():
    tally = a_tally()
    tally.begin(1)
    tally.finish(1, ())

    assert not tally.stop(1, STOPPED)
    assert tally.stop_due() is None


def test_a_stop_that_comes_too_late_does_not_hit_the_next_job():
    tally = a_tally()
    tally.begin(1)
    tally.stop(1, STOPPED)
    tally.finish(1, ())
    tally.begin(2)

    assert tally.stop_due() is None


def test_a_job_that_has_not_begun_is_given_back_and_not_stopped():
    tally = a_tally()
    tally.begin(1)

    assert tally.recall([2]) == [2]
    assert not tally.stop(2, STOPPED)
    assert not tally.begin(2)
