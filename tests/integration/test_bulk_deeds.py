"""The same done to many plans by a thread: bounded, stopped in time, ended with its world. The world is a fake."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import pytest

from dynflow_mp.errors import AlreadyRunning, BadArgument, DynflowError, PlanNotFound, WorldTerminated
from dynflow_mp.model.states import Phase, PlanState, Result
from dynflow_mp.reading.recorded_error import RecordedError
from dynflow_mp.world import bulk as bulks
from dynflow_mp.world.bulk import Bulk, BulkProgress, BulkRun

DEADLINE_S = 10.0


def plan_id(number: int) -> str:
    return f"01890000-0000-7000-8000-{number:012d}"


def eventually(what: Callable[[], object]) -> None:
    ends = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < ends, "it never came to be"
        time.sleep(0.002)


class Stands(NamedTuple):
    """How a plan stands."""

    state: PlanState = PlanState.PAUSED
    result: Result = Result.ERROR
    owner_id: str | None = None
    requested_at: int | None = None


class Step(NamedTuple):
    """A failed step."""

    id: int
    phase: Phase


class Plan(NamedTuple):
    """A plan as its future has it."""

    state: PlanState
    result: Result
    errors: list[RecordedError]
    failed_steps: Sequence[Step] = (Step(1, Phase.PLAN), Step(3, Phase.RUN), Step(5, Phase.RUN))


DONE = Plan(PlanState.STOPPED, Result.SUCCESS, [])


def failed_with(message: str) -> Plan:
    return Plan(PlanState.PAUSED, Result.ERROR, [RecordedError("OSError", message)])


class World:
    """Says of each plan what the test has it say; holds futures back where there is nothing to say."""

    def __init__(self) -> None:
        self.persistence: Any = self
        self.terminating = False
        self.stored: dict[str, Stands] = {}
        self.answers: dict[str, Plan | DynflowError] = {}
        self.asked: list[tuple[str, ...]] = []
        self.open: dict[str, Future[Any]] = {}
        self.most_open = 0
        self.guard = threading.Lock()

    def plans(self, count: int, **answers: Plan | DynflowError) -> list[str]:
        ids = [plan_id(number) for number in range(count)]
        self.stored.update(dict.fromkeys(ids, Stands()))
        return ids

    def statuses(self, plan_ids: Sequence[str]) -> Mapping[str, Stands]:
        return {one: self.stored[one] for one in plan_ids if one in self.stored}

    def count_execution_plans(self, filters: Mapping[str, Any]) -> int:
        return sum(stands.state in filters["state"] for stands in self.stored.values())

    def find_statuses(self, filters: Mapping[str, Any]) -> Mapping[str, Stands]:
        return {one: stands for one, stands in self.stored.items() if stands.state in filters["state"]}

    def load_execution_plan(self, wanted: str) -> Plan:
        return failed_with("before")

    def execute(self, wanted: str, *, by: str | None = None) -> Future[Any]:
        return self._ask("execute", wanted, by)

    def cancel(self, wanted: str, *, by: str | None = None) -> Future[Any]:
        return self._ask("cancel", wanted, by)

    def halt(self, wanted: str, *, by: str | None = None) -> Future[Any]:
        return self._ask("halt", wanted, by)

    def skip(self, wanted: str, step_id: int, *, by: str | None = None) -> list[int]:
        self.asked.append(("skip", wanted, str(step_id), by or ""))
        return [step_id]

    def _ask(self, deed: str, wanted: str, by: str | None) -> Future[Any]:
        if self.terminating:
            raise WorldTerminated("the world is terminated")
        self.asked.append((deed, wanted, by or ""))
        future: Future[Any] = Future()
        answer = self.answers.get(wanted)
        with self.guard:
            if answer is None:
                self.open[wanted] = future
                self.most_open = max(self.most_open, len(self.open))
        if isinstance(answer, DynflowError):
            future.set_exception(answer)
        elif answer is not None:
            future.set_result(answer)
        return future

    def end(self, wanted: str, plan: Plan = DONE) -> None:
        with self.guard:
            future = self.open.pop(wanted)
        future.set_result(plan)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.terminating = True


def a_bulk(world: World, deed: str, plans: Any, by: str | None = "ann") -> Bulk:
    return Bulk(world, world.statuses, deed, plans, by, bulks.same_error)  # type: ignore[arg-type]  # a fake


def ended(run: BulkRun) -> BulkProgress:
    return run.finished.result(DEADLINE_S)


def test_all_are_resumed_in_order_by_whoever_wants_it(world: World) -> None:
    ids = world.plans(5)
    world.answers = dict.fromkeys(ids, DONE)

    progress = ended(a_bulk(world, "resume", ids).run())

    assert world.asked == [("execute", one, "ann") for one in ids]
    assert (progress.succeeded, progress.left, progress.over) == (5, 0, True)
    assert progress.stopped_because is None


def test_no_more_than_so_many_are_under_way_at_once(world: World) -> None:
    ids = world.plans(30)

    run = a_bulk(world, "resume", ids).run(at_once=4)
    for one in ids:
        eventually(lambda one=one: one in world.open)
        world.end(one)

    assert ended(run).succeeded == 30
    assert world.most_open == 4


def test_it_stops_by_itself_when_the_same_error_comes_back(world: World) -> None:
    """Numbers in a text do not make another error of it; those that are under way are waited for."""
    ids = world.plans(100)
    run = a_bulk(world, "resume", ids).run(stop_on_same_error=3, at_once=4)
    eventually(lambda: len(world.open) == 4)

    for number, one in enumerate(ids[:3]):
        world.end(one, failed_with(f"disk {number} is full"))
    eventually(lambda: run.progress.stopped_because)
    for one in list(world.open):
        world.end(one)
    progress = ended(run)

    assert progress.stopped_because == "the same error came back 3 times: OSError: disk <n> is full"
    assert progress.failed == 3
    assert progress.done == len(world.asked) <= 3 + 4
    assert progress.left == 100 - progress.done


def test_errors_that_differ_do_not_stop_it(world: World) -> None:
    ids = world.plans(20)
    world.answers = {one: failed_with(f"{chr(97 + number)} is full") for number, one in enumerate(ids)}

    progress = ended(a_bulk(world, "resume", ids).run(stop_on_same_error=2))

    assert (progress.failed, progress.stopped_because) == (20, None)


def test_what_cannot_be_resumed_is_skipped_and_not_asked_for(world: World) -> None:
    ids = world.plans(4)
    world.stored[ids[0]] = Stands(PlanState.STOPPED)
    del world.stored[ids[1]]
    world.answers = {ids[2]: AlreadyRunning("others were quicker"), ids[3]: DONE}
    bulk = a_bulk(world, "resume", ids)

    told = bulk.preview()
    progress = ended(bulk.run())

    assert (told.total, told.eligible, told.refused) == (4, 2, {"is stopped": 1, "is not stored": 1})
    assert (progress.skipped, progress.succeeded, progress.failed) == (3, 1, 0)
    assert [one for _, one, _ in world.asked] == ids[2:]


def test_a_preview_does_nothing(world: World) -> None:
    a_bulk(world, "halt", world.plans(3)).preview()

    assert world.asked == []


def test_failed_steps_are_skipped_before_their_plan_is_resumed(world: World) -> None:
    (one,) = world.plans(1)
    world.answers = {one: DONE}

    ended(a_bulk(world, "skip_and_resume", [one]).run())

    assert world.asked == [("skip", one, "3", "ann"), ("skip", one, "5", "ann"), ("execute", one, "ann")]


@pytest.mark.parametrize("deed", ["cancel", "halt"])
def test_plans_are_cancelled_and_halted(world: World, deed: str) -> None:
    ids = world.plans(2)
    world.stored = dict.fromkeys(ids, Stands(PlanState.RUNNING, owner_id="x"))
    world.answers = dict.fromkeys(ids, failed_with("of no concern"))

    progress = ended(a_bulk(world, deed, ids).run())

    assert world.asked == [(deed, one, "ann") for one in ids]
    assert (progress.succeeded, progress.failed) == (2, 0)


def test_told_to_stop_it_begins_nothing_more(world: World) -> None:
    ids = world.plans(50)
    run = a_bulk(world, "resume", ids).run(at_once=2)
    eventually(lambda: len(world.open) == 2)

    run.stop()
    eventually(lambda: run.progress.stopped_because)
    for one in list(world.open):
        world.end(one)

    assert ended(run).stopped_because == "it was told to"
    assert (run.progress.succeeded, run.progress.left) == (2, 48)


def test_it_ends_with_its_world_also_while_plans_are_under_way(world: World) -> None:
    run = a_bulk(world, "resume", world.plans(10)).run(at_once=2)
    eventually(lambda: len(world.open) == 2)

    world.terminating = True
    progress = ended(run)

    assert progress.stopped_because == "the world ended"
    assert (progress.running, progress.left, progress.over) == (2, 8, True)


def test_a_plan_that_runs_for_long_makes_room_for_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulks, "_SLOW_S", 0.05)
    ids = world.plans(3)

    run = a_bulk(world, "resume", ids).run(at_once=1)
    eventually(lambda: len(world.open) == 3)
    for one in ids:
        world.end(one)

    assert ended(run).succeeded == 3


def test_a_database_that_is_away_ends_it_with_a_reason(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(plan_ids: Sequence[str]) -> Mapping[str, Stands]:
        raise DynflowError("the database is away")

    monkeypatch.setattr(world, "statuses", away)

    progress = ended(a_bulk(world, "resume", world.plans(3)).run())

    assert progress.stopped_because == "it cannot go on: the database is away"
    assert progress.left == 3


def test_plans_are_chosen_by_a_query_too(world: World) -> None:
    ids = world.plans(3)
    world.stored[ids[1]] = Stands(PlanState.STOPPED)

    class Paused:
        def filters(self) -> Mapping[str, Any]:
            return {"state": [PlanState.PAUSED]}

    assert a_bulk(world, "resume", Paused()).plan_ids == [ids[0], ids[2]]


def test_each_plan_is_chosen_once(world: World) -> None:
    (one,) = world.plans(1)

    assert a_bulk(world, "resume", [one, one.upper(), one]).plan_ids == [one]


@pytest.mark.parametrize(
    ("deed", "plans", "by", "error"),
    [
        ("explode", [], None, BadArgument),
        ("resume", plan_id(1), None, BadArgument),
        ("resume", 3, None, BadArgument),
        ("resume", [3], None, BadArgument),
        ("resume", ["no uuid"], None, PlanNotFound),
        ("resume", [], "a\nb", BadArgument),
    ],
)
def test_what_makes_no_sense_is_refused(
    world: World, deed: str, plans: Any, by: str | None, error: type[DynflowError]
) -> None:
    with pytest.raises(error):
        a_bulk(world, deed, plans, by)


@pytest.mark.parametrize("settings", [{"at_once": 0}, {"at_once": 1_000}, {"stop_on_same_error": 0}])
def test_limits_that_make_no_sense_are_refused(world: World, settings: dict[str, Any]) -> None:
    with pytest.raises(BadArgument):
        a_bulk(world, "resume", []).run(**settings)


def test_too_many_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulks, "MOST_PLANS", 2)

    with pytest.raises(BadArgument, match="3 plans are more than 2"):
        a_bulk(world, "resume", world.plans(3))


def test_too_many_that_match_are_counted_and_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulks, "MOST_PLANS", 2)
    monkeypatch.setattr(world, "find_statuses", lambda filters: pytest.fail("they were read"))
    world.plans(3)

    class Paused:
        def filters(self) -> Mapping[str, Any]:
            return {"state": [PlanState.PAUSED]}

    with pytest.raises(BadArgument, match="3 plans are more than 2"):
        a_bulk(world, "resume", Paused())
