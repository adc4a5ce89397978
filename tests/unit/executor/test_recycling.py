"""Workers that have done enough are followed by others: who, when, in which order."""

from threading import Event

import pytest

from dynflow_mp.clock import monotonic
from dynflow_mp.errors import WorkerStartFailed
from dynflow_mp.executor.news import StartFailed, WorkerDied, WorkerReady
from dynflow_mp.executor.page import Use
from dynflow_mp.executor.recycling import Recycling, WorkerLimits
from dynflow_mp.executor.staffing import Staffing, StaffSettings

MIB = 1024 * 1024


class Facts(dict):
    def __call__(self, worker_id):
        return self.get(worker_id, 0)


def recycling(chance=0.5, **limits):
    steps, resident = Facts(), Facts()
    found = Recycling(WorkerLimits(**limits), lambda: chance, steps, resident)
    found.ready("w", "default", 0.0)
    return found, steps, resident


@pytest.mark.parametrize(("chance", "limit"), [(0.0, 90), (0.5, 100), (1.0, 111)])
def test_a_worker_has_done_enough_after_its_steps_a_tenth_more_or_less(chance, limit):
    found, steps, _ = recycling(chance, steps=100)

    steps["w"] = limit - 1
    assert found.due(1.0) == []
    steps["w"] = limit
    (enough,) = found.due(2.0)

    assert (enough.worker_id, enough.queue, enough.rests) == ("w", "default", False)
    assert f"it has done {limit} jobs" in enough.reason


def test_g21_a_worker_above_its_memory_has_done_enough_and_far_above_it_rests():
    found, _, resident = recycling(memory=100 * MIB)

    resident["w"] = 100 * MIB
    assert found.due(1.0) == []
    resident["w"] = 101 * MIB
    assert [one.rests for one in found.due(2.0)] == [False]
    resident["w"] = 126 * MIB
    assert [one.rests for one in found.due(3.0)] == [True]


def test_a_worker_that_is_old_enough_goes():
    found, _, _ = recycling(age_s=60.0)

    assert found.due(59.9) == []
    assert "it is 60 s old" in found.due(60.0)[0].reason


def test_without_limits_nobody_ever_has_done_enough():
    found, steps, resident = recycling()
    steps["w"], resident["w"] = 10**9, 10**12

    assert not found
    assert found.due(1e9) == []


class Workers:
    """Who is started is named a, b, c …; nobody comes up unless it is told."""

    def __init__(self):
        self.spawned = []
        self.resident = Facts()

    def start(self):
        pass

    def spawn(self, queue):
        self.spawned.append("abcdefghijklmnop"[len(self.spawned)])
        return self.spawned[-1]

    def use(self, worker_id):
        return Use(resident=self.resident(worker_id))


@pytest.fixture
def staff():
    """One worker, ``a``, that has done more than enough."""
    workers, steps = Workers(), Facts()
    settings = StaffSettings({"default": 1}, WorkerLimits(steps=10, memory=100 * MIB))
    staffing = Staffing(workers, settings, Event(), steps)
    staffing.start()
    staffing.ready(WorkerReady("a", "default", 1))
    steps["a"] = 11
    return staffing, workers


def died(worker_id, cause="exit(0)"):
    return WorkerDied(worker_id, "default", 0, 0, 0, cause, "gone")


def test_g21_the_successor_is_ready_before_the_old_one_leaves_and_nobody_else_is_started(staff):
    staffing, workers = staff

    staffing.recycle(monotonic())
    staffing.recycle(monotonic() + 1)
    assert workers.spawned == ["a", "b"]
    assert not staffing.leaves("a")

    assert staffing.ready(WorkerReady("b", "default", 2)) == "a"
    assert staffing.leaves("a")
    staffing.ended(died("a"), by_us=False)
    staffing.recycle(monotonic() + 2)

    assert workers.spawned == ["a", "b"]
    assert staffing.degraded is None


def test_a_worker_that_dies_while_its_successor_starts_is_not_replaced_twice(staff):
    staffing, workers = staff
    staffing.recycle(monotonic())

    staffing.ended(died("a", "signal(9)"), by_us=False)

    assert staffing.ready(WorkerReady("b", "default", 2)) is None
    assert workers.spawned == ["a", "b"]


def test_a_successor_that_cannot_start_leaves_the_old_one_where_it_is(staff):
    staffing, workers = staff
    workers.resident["a"] = 1000 * MIB
    staffing.recycle(monotonic())

    assert staffing.failed_to_start(StartFailed("default", 4, "broken", "b"), replace=True) == "a"
    staffing.recycle(monotonic() + 0.05)
    assert workers.spawned == ["a", "b"]

    staffing.recycle(monotonic() + 60)
    assert workers.spawned == ["a", "b", "c"]


def test_a_worker_far_above_its_memory_rests_once_its_successor_starts(staff):
    staffing, workers = staff
    workers.resident["a"] = 1000 * MIB
    staffing._recycling._limits = WorkerLimits(memory=100 * MIB)
    staffing._recycling._workers["a"].steps = None

    assert staffing.recycle(monotonic()) == ["a"]


@pytest.mark.parametrize(
    ("cause", "degraded"), [("signal(9)", True), ("replaced", False), ("lease_lost", False)]
)
def test_g17_only_deaths_that_may_be_the_application_s_doing_make_an_executor_degraded(cause, degraded):
    staffing = Staffing(Workers(), StaffSettings({"default": 1}, most_deaths=5), Event(), Facts())
    staffing.ready(WorkerReady("a", "default", 1))

    for _ in range(5):
        staffing.ended(died("a", cause), by_us=False)
    assert (staffing.degraded is not None) is degraded
    for _ in range(5):
        staffing.ended(died("a", "signal(9)"), by_us=True)
    assert (staffing.degraded is not None) is degraded


def a_first_crew():
    workers = Workers()
    staffing = Staffing(workers, StaffSettings({"default": 1}), Event(), Facts())
    staffing.start()
    return staffing, workers


def test_g17_one_of_the_first_crew_that_cannot_start_is_an_error_at_once():
    staffing, _ = a_first_crew()

    with pytest.raises(WorkerStartFailed, match="cannot import shop"):
        staffing.failed_to_start(StartFailed("default", 4, "cannot import shop", "a"), replace=True)


def test_g17_one_of_the_first_crew_that_was_killed_is_tried_again_but_not_for_ever():
    staffing, workers = a_first_crew()
    killed = StartFailed("default", -9, "was killed", "a", killed=True)

    for _ in range(5):
        staffing.failed_to_start(killed, replace=True)
        staffing.fill(monotonic() + 60, replace=True)
    assert workers.spawned == list("abcdef")

    with pytest.raises(WorkerStartFailed, match="was killed"):
        staffing.failed_to_start(killed, replace=True)
