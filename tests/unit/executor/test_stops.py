"""When a step is asked, when its worker is ended, and for what: on a clock wound by hand."""

from __future__ import annotations

import pytest

from dynflow_mp.executor.limit_watch import Limits, LimitWatch, limits_of
from dynflow_mp.executor.stacks import main_stack
from dynflow_mp.executor.stops import Measure, Stops
from dynflow_mp.model.policies import ActionPolicy

MIB = 2**20


class Workers:
    """What pages and the kernel say of them."""

    def __init__(self) -> None:
        self.begun: dict[str, int] = {"w": 0}
        self.memory: dict[str, int | None] = {"w": 30 * MIB}


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
def stops(workers: Workers) -> Stops:
    return Stops(lambda worker: workers.begun.get(worker, 0), grace_s=1.0, term_s=0.3)


@pytest.fixture
def watch(workers: Workers) -> LimitWatch:
    return LimitWatch(lambda worker: workers.begun.get(worker, 0), lambda worker: workers.memory.get(worker))


def measures(stops: Stops, now: float) -> list[Measure]:
    return [order.measure for order in stops.due(now)]


def test_a_step_is_asked_then_its_worker_is_ended(stops: Stops, workers: Workers) -> None:
    workers.begun["w"] = 7
    stops.begin("w", 7, "timeout", "too long", 10.0)

    taken = {now: measures(stops, now) for now in (10.0, 10.5, 10.9, 11.0, 11.2, 11.3, 11.4)}

    assert taken == {
        10.0: [Measure.ASK],
        10.5: [],
        10.9: [Measure.DUMP],
        11.0: [Measure.TERMINATE],
        11.2: [],
        11.3: [Measure.KILL],
        11.4: [],
    }


def test_what_answers_in_time_is_left_alone(stops: Stops, workers: Workers) -> None:
    workers.begun["w"] = 7
    stops.begin("w", 7, "timeout", "too long", 10.0)
    stops.due(10.0)

    assert stops.over("w", 7) is not None

    assert not stops
    assert measures(stops, 20.0) == []
    assert stops.over("w", 7) is None


def test_a_worker_is_not_ended_for_a_job_that_waits_behind_another(stops: Stops, workers: Workers) -> None:
    workers.begun["w"] = 6
    stops.begin("w", 7, "halted", "not wanted", 10.0)
    assert measures(stops, 10.0) == [Measure.ASK]

    assert [measures(stops, now) for now in (11.0, 12.0, 60.0)] == [[], [], []]

    workers.begun["w"] = 7
    assert measures(stops, 61.0) == [Measure.DUMP]


def test_the_first_cause_stands(stops: Stops) -> None:
    stops.begin("w", 7, "timeout", "too long", 10.0)
    stops.begin("w", 7, "halted", "not wanted", 10.1)

    stop = stops.over("w", 7)

    assert stop is not None
    assert stop.cause == "timeout"


def test_there_may_be_no_time_to_ask(stops: Stops, workers: Workers) -> None:
    workers.begun["w"] = 7
    stops.begin("w", 7, "timeout", "too long", 10.0)
    stops.due(10.0)

    stops.begin("w", 7, "memory_limit", "too much", 10.1, at_once=True)

    assert measures(stops, 10.1) == [Measure.KILL]


def test_how_long_nothing_is_due(stops: Stops, workers: Workers) -> None:
    assert stops.wait(10.0, 1.0) == 1.0
    workers.begun["w"] = 7
    stops.begin("w", 7, "timeout", "too long", 10.0)
    assert stops.wait(10.0, 1.0) == 0.0
    stops.due(10.0)
    assert stops.wait(10.0, 5.0) == pytest.approx(0.9)
    stops.forget("w")
    assert stops.wait(10.0, 5.0) == 5.0


# -- limits ----------------------------------------------------------------------------------------


def causes(watch: LimitWatch, now: float) -> list[str]:
    return [exceeded.cause for exceeded in watch.look(now)]


def test_the_time_of_a_call_runs_from_its_beginning_and_not_before(
    watch: LimitWatch, workers: Workers
) -> None:
    watch.sent("w", 1, Limits(2.0, None), 10.0)
    assert causes(watch, 12.5) == []

    workers.begun["w"] = 1
    assert [causes(watch, now) for now in (13.0, 14.9, 15.0, 15.1)] == [[], [], ["timeout"], []]


def test_a_call_that_ends_in_time_is_forgotten(watch: LimitWatch, workers: Workers) -> None:
    watch.sent("w", 1, Limits(2.0, None), 10.0)
    workers.begun["w"] = 1
    causes(watch, 10.0)

    watch.over("w", 1)

    assert not watch
    assert causes(watch, 20.0) == []


def test_memory_is_looked_at_while_the_call_runs(watch: LimitWatch, workers: Workers) -> None:
    watch.sent("w", 1, Limits(None, 100 * MIB), 10.0)
    workers.memory["w"] = 200 * MIB  # of the step before
    assert causes(watch, 10.0) == []
    workers.begun["w"], workers.memory["w"] = 1, 90 * MIB
    assert causes(watch, 10.1) == []

    workers.memory["w"] = 101 * MIB
    (exceeded,) = watch.look(10.2)

    assert (exceeded.cause, exceeded.at_once) == ("memory_limit", True)
    assert "101 MiB in memory, more than 100 MiB" in exceeded.message
    assert causes(watch, 10.3) == []


def test_memory_that_cannot_be_told_is_no_reason(watch: LimitWatch, workers: Workers) -> None:
    workers.begun["w"], workers.memory["w"] = 1, None
    watch.sent("w", 1, Limits(None, 100 * MIB), 10.0)

    assert causes(watch, 10.0) == []


def test_nothing_is_looked_at_more_often_than_it_needs(watch: LimitWatch, workers: Workers) -> None:
    assert watch.wait(10.0, 1.0) == 1.0
    watch.sent("w", 1, Limits(30.0, None), 10.0)
    causes(watch, 10.0)
    assert watch.wait(10.0, 1.0) == pytest.approx(0.005)
    workers.begun["w"] = 1
    causes(watch, 10.1)
    assert watch.wait(10.1, 60.0) == pytest.approx(30.0)


def test_a_class_without_limits_is_not_watched() -> None:
    assert limits_of(ActionPolicy()) is None
    assert limits_of(ActionPolicy(run_timeout_s=1.0)) == Limits(1.0, None)
    assert limits_of(ActionPolicy(memory_limit=5)) == Limits(None, 5)


# -- where it was stuck ----------------------------------------------------------------------------

DUMP = """something the step printed
Thread 0x00007f01 (most recent call first):
  File "control_lane.py", line 77 in _run
  File "threading.py", line 982 in run

Current thread 0x00007f02 (most recent call first):
  File "shop.py", line 12 in wait
  File "shop.py", line 5 in run
  File "phases.py", line 40 in run_step
"""


def test_the_main_thread_s_stack_is_found_in_what_was_printed() -> None:
    assert main_stack(DUMP) == (
        'File "phases.py", line 40 in run_step',
        'File "shop.py", line 5 in run',
        'File "shop.py", line 12 in wait',
    )


@pytest.mark.parametrize(
    "printed", ["", "no stack\n", '  File "half.py", line 3 in x\n', "x (most recent call first):\n"]
)
def test_without_a_dump_there_is_no_stack(printed: str) -> None:
    assert main_stack(printed) == ()
