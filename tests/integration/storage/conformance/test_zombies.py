"""G9: a world that stands still inside a write transaction while another takes its plans over.

Either the takeover waits and sees what it recorded, or it records nothing any more. Two threads, each with
connections of its own, as two processes have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event

import databases
import pytest
from sqlalchemy import Connection, func, select
from stored_plans import NOW, PLAN, WORLD, a_plan, claim, mark, outcome, plan_id

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.errors import PersistenceError, WorldFenced
from dynflow_mp.executor.ledger import Ledger
from dynflow_mp.maintenance.recovery import Recovery
from dynflow_mp.model.states import StepState
from dynflow_mp.model.writes import Write
from dynflow_mp.persistence import server_sessions
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.tables import delayed_plans

Turn = Callable[..., frozenset[str]]
WAIT_S = 30.0


@pytest.fixture
def running(store: Store, turn: Turn) -> Turn:
    """WORLD has the plan, and its first step runs."""
    store.save_plan(a_plan(), requested_at=NOW)
    turn(claim(), mark(3))
    return turn


@pytest.fixture
def successor(open_database: Callable[[], Database], coordinator: Coordinator) -> Recovery:
    """Another world, on connections of its own."""
    database = open_database()
    other = Coordinator(database, "world-2")
    other.register_world(WorldRecord("world-2", executor=True))
    return Recovery(Store(database), other, lambda envelope: None, lambda envelope: None)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


class Zombie:
    """Writes a turn of WORLD's on a thread of its own, and stands still where it is told to, until it wakes."""

    def __init__(self, store: Store, coordinator: Coordinator, threads: ThreadPoolExecutor) -> None:
        self._store, self._coordinator, self._threads = store, coordinator, threads
        self.stands = Event()
        self.wakes = Event()

    def write(self, write: Write, *, before: str) -> Future[None]:
        """Stands still ``before`` the fence, the turn's statements, or the commit – or with an old view, having read
        something before the fence.
        """
        return self._threads.submit(self._write, write, before)

    def _write(self, write: Write, before: str) -> None:
        if before == "fence":
            self._stand_still()
        with self._store.database.write(partial(self._fence, before)) as connection:
            if before == "statements":
                self._stand_still()
            lost = self._store.write_turn(connection, [write])
            self._coordinator.follow_turn(connection, [write], lost)
            if before == "commit":
                self._stand_still()

    def _fence(self, before: str, connection: Connection) -> None:
        if before == "fence, having read":
            connection.execute(select(func.count()).select_from(delayed_plans)).scalar_one()
            self._stand_still()
        self._coordinator.fence(connection)

    def _stand_still(self) -> None:
        self.stands.set()
        assert self.wakes.wait(WAIT_S)


@pytest.fixture
def zombie(store: Store, coordinator: Coordinator, threads: ThreadPoolExecutor) -> Zombie:
    return Zombie(store, coordinator, threads)


@contextmanager
def standing_still(zombie: Zombie) -> Iterator[None]:
    assert zombie.stands.wait(WAIT_S)
    yield
    zombie.wakes.set()


@pytest.mark.parametrize("before", ["statements", "commit"])
def test_g9_a_takeover_waits_for_what_the_zombie_is_about_to_record(
    running: Turn, store: Store, zombie: Zombie, successor: Recovery, threads: ThreadPoolExecutor, before: str
):
    written = zombie.write(outcome(3), before=before)
    with standing_still(zombie):
        taken_over = threads.submit(successor.invalidate, WORLD)

        # One that did not wait would be through by then.
        with pytest.raises(TimeoutError):
            taken_over.result(0.5)

    written.result(WAIT_S)
    assert taken_over.result(WAIT_S) == 1
    # The takeover has seen the success: no step was running, so the plan goes on instead of being in error.
    plan = store.load_plan(PLAN)
    assert store.load_steps(PLAN, [3])[0].state is StepState.SUCCESS
    assert (plan.state, plan.result, plan.requested_at) == ("paused", "pending", NOW)


def test_g9_a_zombie_that_wakes_after_the_takeover_records_nothing(
    running: Turn, store: Store, zombie: Zombie, successor: Recovery
):
    written = zombie.write(outcome(3), before="fence")
    with standing_still(zombie):
        assert successor.invalidate(WORLD) == 1

    with pytest.raises(WorldFenced):
        written.result(WAIT_S)
    assert store.load_steps(PLAN, [3])[0].state is StepState.ERROR
    assert store.load_plan(PLAN).owner_id is None


def test_g9_a_zombie_and_who_has_the_plan_by_now_do_not_mix(
    running: Turn, store: Store, zombie: Zombie, successor: Recovery, open_database: Callable[[], Database]
):
    """Its second attempt is another world's: the zombie's outcome of the first is not taken for it."""
    written = zombie.write(outcome(3), before="fence")
    third = Coordinator(open_database(), "world-3")
    third.register_world(WorldRecord("world-3", executor=True))
    with standing_still(zombie):
        successor.invalidate(WORLD)
        resumed = claim(epoch_read=1, world_id="world-3")
        again = mark(3, epoch=2, attempt=2, from_state=StepState.ERROR)
        assert not running(resumed, again, coordinator=third)

    with pytest.raises(WorldFenced):
        written.result(WAIT_S)
    step = store.load_steps(PLAN, [3])[0]
    assert (step.state, step.attempts) == (StepState.RUNNING, 2)


def test_a_lease_is_renewed_beside_turns_and_nobody_deadlocks(
    running: Turn, store: Store, coordinator: Coordinator, threads: ThreadPoolExecutor
):
    """The renewal changes the row that every turn's fence holds."""

    def renew() -> None:
        for _ in range(40):
            coordinator.renew_lease({"free": 1})

    renewing = [threads.submit(renew) for _ in range(2)]
    for attempt in range(1, 41):
        running(outcome(3, attempt=attempt, state=StepState.SUSPENDED))
        running(mark(3, attempt=attempt + 1, from_state=StepState.SUSPENDED))

    for done in renewing:
        done.result(WAIT_S)


def test_worlds_that_want_the_same_plans_at_once_get_each_plan_once(
    store: Store,
    coordinator: Coordinator,
    open_database: Callable[[], Database],
    threads: ThreadPoolExecutor,
):
    ids = [plan_id(number) for number in range(1, 41)]
    for id_ in ids:
        store.save_plan(a_plan(id_, run_steps=1), requested_at=NOW)
    worlds = [f"world-{number}" for number in (1, 2, 3)]
    ledgers = {}
    for number, world_id in enumerate(worlds):
        database = open_database()
        own = Coordinator(database, world_id)
        if number:
            own.register_world(WorldRecord(world_id, executor=True))
        ledgers[world_id] = Ledger(Store(database), own, lambda: None)

    def want(world_id: str) -> set[str]:
        wanted = ids if world_id != "world-2" else ids[::-1]
        return set(ids) - ledgers[world_id].write(
            [write for id_ in wanted for write in (claim(id_, world_id=world_id), mark(3, id_))], WAIT_S
        )

    got = [future.result(WAIT_S) for future in [threads.submit(want, world_id) for world_id in worlds]]

    assert sorted(id_ for own in got for id_ in own) == ids
    owners = {status.id: status.owner_id for status in store.plan_statuses(ids).values()}
    assert [owners[id_] for id_ in ids] == [
        next(world for world, own in zip(worlds, got, strict=True) if id_ in own) for id_ in ids
    ]


# -- whatever the database's own idea of isolation -----------------------------------------------------

LEVELS = {
    databases.SQLITE: ("its only one",),
    databases.POSTGRESQL: ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"),
    databases.MYSQL: ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"),
}


@pytest.fixture
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Has the worlds' connections use another isolation level than the engine gives them."""
    wanted: str = request.param
    if wanted in LEVELS[databases.POSTGRESQL]:
        make = server_sessions.create_engine
        monkeypatch.setattr(
            server_sessions,
            "create_engine",
            lambda url, **given: make(url, **{**given, "isolation_level": wanted}),
        )
    return wanted


@pytest.mark.parametrize("before", ["fence", "fence, having read", "statements", "commit"])
@pytest.mark.parametrize(
    ("level", "database_kind"),
    [(level, kind) for kind, levels in LEVELS.items() for level in levels],
    indirect=["level"],
)
def test_g9_at_every_isolation_level_the_zombie_s_word_counts_before_the_takeover_or_not_at_all(
    level: str,
    running: Turn,
    store: Store,
    zombie: Zombie,
    successor: Recovery,
    threads: ThreadPoolExecutor,
    database_kind: str,
    before: str,
):
    """The fence is what holds, not the isolation: an old view of the rows does not let a zombie through."""
    databases.require(database_kind)
    if level in LEVELS[databases.POSTGRESQL]:
        with store.database.read() as connection:
            assert connection.get_isolation_level() == level
    # On SQLite only one may write at a time: who stands inside a transaction comes first, whatever it has done.
    alone = database_kind == databases.SQLITE
    comes_first = before != "fence" if alone else not before.startswith("fence")
    written = zombie.write(outcome(3), before=before)
    with standing_still(zombie):
        taken_over = threads.submit(successor.invalidate, WORLD)
        if not comes_first:
            taken_over.result(WAIT_S)
    error = written.exception(WAIT_S)
    assert taken_over.result(WAIT_S) == 1

    (step,) = store.load_steps(PLAN, [3])
    plan = store.load_plan(PLAN)
    assert (plan.state, plan.owner_id) == ("paused", None)
    if error is None:
        assert (step.state, plan.result) == (StepState.SUCCESS, "pending")
    else:
        # PostgreSQL refuses whoever would change what was changed since its view was taken.
        assert isinstance(error, (WorldFenced, PersistenceError))
        assert (step.state, plan.result) == (StepState.ERROR, "error")
    assert (error is None) == comes_first
    with pytest.raises(WorldFenced):
        running(outcome(3))


def test_g9_one_that_comes_to_the_fence_during_the_takeover_waits_and_records_nothing(
    running: Turn, store: Store, coordinator: Coordinator, successor: Recovery, threads: ThreadPoolExecutor
):
    """It must not be let in with the row as it was before."""
    at_the_fence = Event()

    def come(connection: Connection) -> None:
        at_the_fence.set()
        coordinator.fence(connection)

    def write() -> None:
        with store.database.write(come) as connection:
            store.write_turn(connection, [outcome(3)])

    def declared(connection: Connection) -> None:
        came.append(threads.submit(write))
        if store.database.is_sqlite:
            return  # it stands at the door already
        assert at_the_fence.wait(WAIT_S)
        with pytest.raises(TimeoutError):
            came[0].result(0.5)

    came: list[Future[None]] = []
    other = successor._coordinator
    assert other.set_world_state(WORLD, "dead", declared)

    with pytest.raises(WorldFenced):
        came[0].result(WAIT_S)
    assert store.load_steps(PLAN, [3])[0].state is StepState.RUNNING


def test_a_lease_is_renewed_however_many_transactions_are_behind_the_fence(
    store: Store, coordinator: Coordinator, zombie: Zombie, running: Turn, database_kind: str
):
    """On PostgreSQL whoever shares a row lets others share it who come after one that wants it alone."""
    if database_kind != databases.POSTGRESQL:
        pytest.skip("SQLite has one writer at a time; MariaDB keeps who waits for a row in order")
    written = zombie.write(outcome(3), before="commit")
    with standing_still(zombie):
        coordinator.renew_lease()
        (world,) = coordinator.find_worlds(id=WORLD)

    assert world.lease == 1
    written.result(WAIT_S)
    assert store.load_steps(PLAN, [3])[0].state is StepState.SUCCESS
