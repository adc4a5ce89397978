"""Errands on their way: asked for, tried again when workers die, answered once, never forgotten."""

from __future__ import annotations

from dynflow_mp.director.instructions import RunErrand
from dynflow_mp.director.stimuli import ErrandFinished, ErrandLost
from dynflow_mp.executor.errands import DRAINED, Errands
from dynflow_mp.executor.limit_watch import Limits
from dynflow_mp.executor.pool import Pool, queued
from dynflow_mp.model.work import ErrandOutcome, StepJob

ORDER = RunErrand("p", 1, "hook", "m.A", b"what", "default")
DONE = ErrandOutcome("hook", 0.1, b"well", None)


def sent(errands):
    """The one errand that is ready, as the pool has it."""
    (item,) = errands.take()
    return item


def test_what_comes_of_an_errand_is_told_to_the_director():
    errands = Errands()

    assert errands.note(ORDER)
    errands.ready(ORDER, ORDER.data)
    item = sent(errands)

    assert (item.queue, item.job.data, item.job.action_class) == ("default", b"what", "m.A")
    assert errands.finished(item.job, DONE) == [ErrandFinished("p", 1, "hook", b"well", None)]


def test_an_errand_that_is_out_is_not_sent_twice():
    errands = Errands()
    errands.note(ORDER)

    assert not errands.note(ORDER)
    assert errands.note(ORDER._replace(kind="rescue")), "each kind has numbers of its own"


def test_an_errand_is_done_again_when_its_worker_dies_and_lost_in_the_end():
    errands = Errands()
    errands.note(ORDER)
    errands.ready(ORDER, ORDER.data)
    for _ in range(ORDER.tries - 1):
        item = sent(errands)
        assert errands.died(item, item.job, "signal(9)", "worker 1 was killed") == []

    item = sent(errands)
    lost = errands.died(item, item.job, "signal(9)", "worker 1 was killed")

    assert lost == [ErrandLost("p", 1, "hook", "signal(9)", "worker 1 was killed")]
    assert not errands.pending
    assert errands.finished(item.job, DONE) == [], "what was answered for is over"


def test_an_errand_that_its_worker_was_ended_for_is_not_tried_again():
    errands = Errands(timeout_s=5.0)
    errands.note(ORDER)
    errands.ready(ORDER, ORDER.data)
    item = sent(errands)

    assert item.limits == Limits(5.0, None, "errand 'hook'", "errand_timeout_s")
    assert errands.died(item, item.job, "timeout", "it took too long", ended=True) == [
        ErrandLost("p", 1, "hook", "timeout", "it took too long")
    ]


def test_who_else_asked_is_told_instead_of_the_director():
    errands, heard = Errands(), []
    errands.note(ORDER, heard.append)
    errands.ready(ORDER, ORDER.data)

    assert errands.finished(sent(errands).job, DONE) == []
    assert heard == [ErrandFinished("p", 1, "hook", b"well", None)]


def test_what_cannot_be_read_is_lost():
    errands = Errands()
    errands.note(ORDER)

    assert errands.unreadable(ORDER, "it is gone") == [ErrandLost("p", 1, "hook", "unreadable", "it is gone")]


def test_when_the_executor_ends_who_asked_is_told():
    errands, heard = Errands(), []
    errands.note(ORDER, heard.append)
    errands.note(ORDER._replace(errand_id=2))
    errands.ready(ORDER, ORDER.data)

    errands.give_up()

    assert [(news.errand_id, news.cause) for news in heard] == [(1, DRAINED)]
    assert not errands.pending


def test_errands_outlive_the_run_of_their_plan():
    errands = Errands()
    errands.note(ORDER)
    errands.ready(ORDER, ORDER.data)
    pool = Pool({"default": 1}, 8)
    pool.add_worker("w", "default")
    pool.add(queued(StepJob("p", 1, 1, 1, "m.A", b""), "default"), 0.0)
    pool.add(sent(errands), 0.0)

    pool.withdraw("p")

    (assignment,) = pool.assign(0.0)
    assert [item.job.kind for _, item in assignment.numbered] == ["hook"]
    assert pool.holder_of("p", 0) is None, "it is no finalize phase"


def test_what_an_errand_costs_says_nothing_about_the_steps_of_its_class():
    errands = Errands()
    errands.note(ORDER)
    errands.ready(ORDER, ORDER.data)

    assert sent(errands).action_class == "hook m.A"
