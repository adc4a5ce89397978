"""What a worker writes down for its supervisor, and what two threads of it agree on."""

from __future__ import annotations

from collections.abc import Iterator
from os import close

import pytest

from dynflow_mp.executor.page import HALF, NOTHING, Page
from dynflow_mp.executor.tally import Tally
from dynflow_mp.model.states import StepState
from dynflow_mp.model.work import StepOutcome

OUTCOME = StepOutcome(1, StepState.SUCCESS, 0, 0.0, 0.0, 1.0)


@pytest.fixture
def sides(tmp_path) -> Iterator[tuple[Page, Page]]:
    """The same page as worker and supervisor map it."""
    fd = Page.create(tmp_path)
    worker, supervisor = Page(fd), Page(fd)
    close(fd)
    yield worker, supervisor
    worker.close()
    supervisor.close()


def test_a_new_page_says_that_nothing_was_begun(sides):
    _, supervisor = sides

    assert supervisor.read() == NOTHING


def test_the_other_side_reads_what_was_written(sides):
    worker, supervisor = sides

    worker.begin(12)
    worker.finish(11)
    worker.begin_part(3)

    assert supervisor.read()[:3] == (12, 11, 3)


@pytest.mark.parametrize(
    ("said", "read"),
    [("no longer fit", "no longer fit"), ("ü" * 400, "ü" * 252), ("\ud800", "\\ud800")],
)
def test_a_worker_that_leaves_by_itself_says_why(sides, said, read):
    worker, supervisor = sides

    worker.say_why(said)

    assert supervisor.read().reason == read


def test_a_full_ring_of_numbers_leaves_the_reason_alone(sides):
    worker, supervisor = sides
    worker.say_why("no longer fit")

    worker.give_back(range(1, 2_000))

    assert supervisor.read().reason == "no longer fit"


def test_only_jobs_given_back_that_nobody_heard_of_are_left(sides):
    worker, supervisor = sides

    worker.give_back([4, 5])
    worker.give_back([9])

    assert supervisor.read(already_heard=2).given_back == [9]
    assert supervisor.read(already_heard=3).given_back == []


def test_of_very_many_jobs_given_back_the_last_are_kept(sides):
    worker, supervisor = sides

    worker.give_back(range(2000))

    assert supervisor.read(already_heard=1990).given_back == list(range(1990, 2000))
    assert supervisor.read().given_back[-1] == 1999


def test_frames_are_kept_in_their_order(sides):
    worker, supervisor = sides

    worker.keep(b"one")
    worker.keep(b"")
    worker.keep(b"three")

    assert supervisor.read().frames == [b"one", b"", b"three"]


def test_the_frame_sent_before_the_last_is_kept_however_many_there_were(sides):
    worker, supervisor = sides
    frames = [bytes([number]) * (HALF // 3) for number in range(11)]

    for frame in frames:
        worker.keep(frame)

        kept = supervisor.read().frames
        assert frame in kept
        assert len(kept) <= 5
    assert frames[-2] in kept


def test_a_frame_larger_than_the_outbox_is_left_out(sides):
    worker, supervisor = sides

    worker.keep(b"x" * HALF)
    worker.keep(b"small")

    assert supervisor.read().frames == [b"small"]


def test_a_job_is_begun_or_given_back_never_both(sides):
    worker, supervisor = sides
    tally = Tally(worker)
    tally.begin(1)

    given_back = tally.recall([1, 2, 3])

    assert given_back == [2, 3]
    assert [tally.begin(number) for number in (2, 3, 4)] == [False, False, True]
    assert supervisor.read().given_back == [2, 3]
    assert supervisor.read().begun == 4


def test_a_job_is_given_back_once(sides):
    tally = Tally(sides[0])

    assert tally.recall([2]) == [2]
    assert tally.recall([2, 3]) == [3]


def test_a_job_that_was_left_out_is_not_given_back_again(sides):
    tally = Tally(sides[0])
    tally.recall([1])
    tally.begin(1)

    assert tally.recall([1]) == []


def test_unsent_outcomes_are_taken_once(sides):
    tally = Tally(sides[0])
    tally.begin(1)
    tally.finish(1, OUTCOME)

    assert tally.take_unsent() == [(1, OUTCOME)]
    assert tally.take_unsent() == []
