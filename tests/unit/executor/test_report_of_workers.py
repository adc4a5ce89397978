"""What an executor tells about its workers: who is there, what each is at, who came and went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest

from dynflow_mp.errors import WorkerStartFailed
from dynflow_mp.executor.counts import Counts
from dynflow_mp.executor.news import StartFailed, WorkerDied, WorkerReady
from dynflow_mp.executor.page import Use
from dynflow_mp.executor.pool import Pool, queued
from dynflow_mp.executor.report import MOST_WORKERS, Clocks, report
from dynflow_mp.executor.staffing import Staffing, StaffSettings
from dynflow_mp.executor.turnover import Turnover
from dynflow_mp.model.work import Errand, FinalizeJob, FinalizePart, Job, StepJob
from dynflow_mp.model.workers_report import WorkerFacts, WorkersReport, WorkerState

NOW_US = 1_800_000_000_000_000
NOW = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=NOW_US)


class Workers:
    """Who is started is named w1, w2 …; what their pages say is set by the test."""

    def __init__(self) -> None:
        self.pids: dict[str, int] = {}
        self.begins: dict[str, tuple[int, float]] = {}
        self.memory: dict[str, int] = {}

    def start(self) -> None:
        """Nothing to start."""

    def spawn(self, queue: str) -> str:
        worker_id = f"w{len(self.pids) + 1}"
        self.pids[worker_id] = 100 + len(self.pids)
        return worker_id

    def begun(self, worker_id: str) -> int:
        return self.begins.get(worker_id, (0, 0.0))[0]

    def begun_at(self, worker_id: str) -> float:
        return self.begins.get(worker_id, (0, 0.0))[1]

    def use(self, worker_id: str) -> Use:
        resident = self.memory.get(worker_id, 0)
        return Use(resident=resident, peak=2 * resident)


class Hall:
    """A pool and its staff, as the floor has them."""

    def __init__(self, size: int = 2) -> None:
        self.workers = Workers()
        self.pool = Pool({"default": size}, 16)
        self.staffing = Staffing(
            self.workers,  # type: ignore[arg-type]  # as much of it as is asked
            StaffSettings({"default": size}),
            Event(),
            self.pool.given,
        )
        self.staffing.start()

    def ready(self, *worker_ids: str) -> None:
        for worker_id in worker_ids:
            self.staffing.ready(WorkerReady(worker_id, "default", self.workers.pids[worker_id]))
            self.pool.add_worker(worker_id, "default")

    def give(self, job: Job, now: float = 5.0) -> int:
        """The number under which the first free worker has it."""
        self.pool.add(queued(job, "default"), now)
        (assignment,) = self.pool.assign(now)
        return assignment.numbered[0][0]

    def report(self, now: float = 10.0) -> WorkersReport:
        clocks = Clocks(now, NOW_US)
        done = Counts().told(self.pool.waits)
        return report("x", self.pool, self.staffing, self.workers, clocks, NOW_US - 7, 3, done)  # type: ignore[arg-type]

    def worker(self, worker_id: str, now: float = 10.0) -> WorkerFacts:
        return next(worker for worker in self.report(now).workers if worker.id == worker_id)


@pytest.fixture
def hall(monkeypatch: pytest.MonkeyPatch) -> Hall:
    monkeypatch.setattr("dynflow_mp.executor.staffing.monotonic", lambda: 2.0)
    return Hall()


def step(number: int = 3) -> StepJob:
    return StepJob("plan", number, number, 1, "shop.Order", b"")


def test_a_worker_that_has_not_said_hello_is_starting(hall: Hall) -> None:
    facts = hall.worker("w1")

    assert facts.state is WorkerState.STARTING
    assert (facts.pid, facts.queue, facts.age_s, facts.steps_done) == (100, "default", 8.0, 0)
    assert facts.since == NOW - timedelta(seconds=8)


def test_a_worker_without_work_is_idle_and_one_that_has_some_tells_which(hall: Hall) -> None:
    hall.ready("w1", "w2")
    hall.workers.begins["w1"] = hall.give(step()), 9.5
    hall.workers.memory["w1"] = 4096

    busy, idle = hall.worker("w1"), hall.worker("w2")

    assert (busy.state, busy.plan_id, busy.step_id, busy.action_class) == ("busy", "plan", 3, "shop.Order")
    assert busy.since == NOW - timedelta(seconds=0.5)
    assert (busy.resident, busy.peak) == (4096, 8192)
    assert (idle.state, idle.plan_id, idle.step_id, idle.resident) == ("idle", None, None, None)


def test_steps_are_counted_when_they_are_answered_for_and_not_when_they_come_back(hall: Hall) -> None:
    hall.ready("w1")
    first = hall.give(step(3))
    hall.pool.finished("w1", first, 0.1, 6.0)
    second = hall.give(step(4), 6.5)
    before = hall.worker("w1").steps_done
    hall.pool.returned("w1", [second])

    assert (before, hall.worker("w1").steps_done) == (1, 1)
    assert hall.worker("w1").since == NOW - timedelta(seconds=10 - 6.5)


def test_finalize_phases_and_errands_are_named_too(hall: Hall) -> None:
    hall.ready("w1", "w2")
    part = FinalizePart(9, 4, 1, "shop.Order", b"", None, None)
    hall.give(FinalizeJob("plan", (part,), {}, "shop.Root"))
    hall.give(Errand("other", 1, "hook", "shop.Order", b""))

    first, second = hall.worker("w1"), hall.worker("w2")

    assert (first.plan_id, first.step_id, first.action_class, first.errand) == ("plan", 9, "shop.Root", None)
    assert (second.plan_id, second.step_id, second.errand) == ("other", None, "hook")


def test_those_that_came_and_went_are_counted_by_what_they_ended_of(hall: Hall) -> None:
    hall.ready("w1", "w2")
    hall.staffing.ended(WorkerDied("w1", "default", 0, 0, 0, "signal(9)", "gone"), by_us=False)
    hall.staffing.ended(WorkerDied("w2", "default", 0, 0, 0, "signal(9)", "gone"), by_us=True)
    hall.staffing.failed_to_start(StartFailed("default", 4, "no module", "w3"), replace=True)

    (queue,) = hall.report().queues

    assert queue.deaths == {"signal(9)": 1, "step_stopped": 1, "start_failed": 1}
    assert queue.restarts == 2
    assert [worker.id for worker in hall.report().workers] == ["w4"]


def test_what_is_free_and_waits_is_told_with_the_plans_that_run(hall: Hall) -> None:
    hall.ready("w1")
    hall.give(step())
    hall.pool.add(queued(step(4), "default"), 5.0)

    told = hall.report()

    (queue,) = told.queues
    assert (queue.name, queue.size, queue.free, queue.waiting) == ("default", 2, 0, 1)
    assert (told.running_plans, told.degraded, told.at) == (3, None, NOW)
    assert told.started_at == NOW - timedelta(microseconds=7)


def test_those_that_had_done_enough_are_counted_by_the_limit_that_says_so(hall: Hall) -> None:
    hall.staffing.turnover.has_done_enough("default", "max_worker_memory")

    (queue,) = hall.report().queues

    assert queue.recycled == {"max_worker_memory": 1}


def test_how_long_jobs_waited_for_a_worker_is_told_by_queue(hall: Hall) -> None:
    hall.ready("w1")
    hall.give(step(3))
    hall.pool.add(queued(step(4), "default"), 5.0)
    hall.pool.finished("w1", 1, 0.1, 9.0)
    hall.pool.assign(9.0)

    waits = hall.report().done.waits["default"]

    assert (sum(waits.counts), waits.total) == (2, 4.0)
    assert waits.counts[0] == 1  # the first one went at once
    assert waits.counts[waits.bounds.index(5.0)] == 1


def test_a_crowd_is_told_of_up_to_a_limit() -> None:
    hall = Hall(MOST_WORKERS + 5)

    assert len(hall.report().workers) == MOST_WORKERS
    assert hall.report().queues[0].size == MOST_WORKERS + 5


def test_a_first_crew_that_cannot_start_still_ends_the_start(hall: Hall) -> None:
    with pytest.raises(WorkerStartFailed):
        hall.staffing.failed_to_start(StartFailed("default", 4, "no module", "w1"), replace=True)


def test_strangers_are_counted_and_never_kept() -> None:
    turnover = Turnover({"default": 1})

    turnover.ended("nobody", "elsewhere", "exit(1)")
    turnover.ready("nobody")

    assert turnover.living == {}
    assert turnover.deaths("elsewhere") == {"exit(1)": 1}
    assert turnover.restarts("elsewhere") == 0


def test_a_report_says_nothing_that_cannot_be_sent(hall: Hall) -> None:
    hall.ready("w1")
    hall.give(step())

    data: dict[str, Any] = hall.report().to_data()

    assert WorkersReport.from_data("x", data) == hall.report()
