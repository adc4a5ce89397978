"""Both dispatchers over real connectors, with a core that only answers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

import pytest

from dynflow_mp.connectors.connector import Connector, Executor
from dynflow_mp.connectors.direct import DirectConnector
from dynflow_mp.connectors.zeromq import ZeroMQConnector
from dynflow_mp.director.protocol import UNATTENDED
from dynflow_mp.director.stimuli import EventArrived, PlanRequested
from dynflow_mp.dispatchers.client_dispatcher import ClientDispatcher
from dynflow_mp.dispatchers.executor_dispatcher import ExecutorDispatcher
from dynflow_mp.errors import (
    AlreadyRunning,
    DynflowError,
    NoExecutor,
    PersistenceError,
    PlanNotFound,
    RequestError,
    RequestTimeout,
    UnknownReceiver,
    UnprocessableEvent,
    WorldTerminated,
)
from dynflow_mp.executor.counts import Counts
from dynflow_mp.executor.requests import StatusAsked, WorkersAsked
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.messages import (
    ANY_EXECUTOR,
    Accepted,
    Done,
    Envelope,
    Execution,
    ExecutionStatus,
    Failed,
    Response,
    WorkersTold,
)
from dynflow_mp.model.workers_report import WorkersReport

DEADLINE_S = 10.0
QUICK = {"no_executor_timeout_s": 1.0, "reask_interval_s": 0.3, "accept_timeout_s": 0.2}
QUEUES = {"default": {"pool_size": 2, "free_workers": 1, "queue_size": 0}}
NOW = datetime(2026, 11, 26, tzinfo=UTC)
REPORT = WorkersReport("x", NOW, NOW, None, 0, (), (), Counts().told({}))


def eventually(what: Callable[[], object]) -> None:
    ends = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < ends, "it never came to be"
        time.sleep(0.005)


class Stored(NamedTuple):
    """A plan as the store says it is."""

    state: str
    owner_id: str | None = None
    requested_at: int | None = None


class Store:
    """Where plans stand, shared by all worlds as a database is."""

    def __init__(self) -> None:
        self.plans: dict[str, Stored] = {}
        self.taken_events: set[str] = set()
        self.audits: list[Audit] = []
        self.broken = False

    def plan_statuses(self, plan_ids: Sequence[str]) -> dict[str, Stored]:
        if self.broken:
            raise PersistenceError("the database is away")
        return {plan_id: self.plans[plan_id] for plan_id in plan_ids if plan_id in self.plans}

    def add_audit(self, audit: Audit) -> None:
        if self.broken:
            raise PersistenceError("the database is away")
        self.audits.append(audit)

    def event_was_taken(self, event_id: str) -> bool:
        return event_id in self.taken_events

    def load_plan(self, plan_id: str) -> tuple[str, str]:
        if plan_id not in self.plans:
            raise PlanNotFound(f"plan {plan_id} is not stored", plan_id)
        return plan_id, self.plans[plan_id].state

    def executor_of(self, plan_id: str) -> str | None:
        stored = self.plans.get(plan_id)
        return stored.owner_id if stored else None


class FakeExecutor:
    """An executor world whose core runs every plan at once, or as the test says.

    Like the real one it says again that it has a plan, when who asked for it asks again while the plan runs.
    """

    takes_work = True

    def __init__(self, world_id: str, connector: Connector, store: Store) -> None:
        self.world_id, self.connector, self.store = world_id, connector, store
        self.dispatcher = ExecutorDispatcher(world_id)
        self.runs: Counter[str] = Counter()
        self.running: dict[str, tuple[str, str]] = {}
        """Who asked for each plan that is held, and by which request."""
        self.accepted: list[str] = []
        """The requests that were told Accepted, also where that was lost."""
        self.heard: list[str] = []
        self.events: list[bytes] = []
        self.lose: set[str] = set()
        """Names of responses that never leave."""
        self.hold = False
        """Whether plans stay running once accepted."""
        self.refuse: DynflowError | None = None
        connector.start_listening(self)

    def receive(self, envelope: Envelope) -> None:
        self.heard.append(type(envelope.message).__name__)
        match self.dispatcher.hear(envelope, 0):
            case PlanRequested() as asked:
                self.run(asked)
            case EventArrived() as asked:
                self.events.append(asked.data)
                self.say(asked, Done())
            case StatusAsked() as asked:
                self.say(asked, ExecutionStatus(QUEUES))
            case WorkersAsked() as asked:
                self.say(asked, WorkersTold(REPORT.to_data()))
            case Envelope() as answer:
                self.leave(answer)

    def undeliverable(self, envelope: Envelope, error: DynflowError) -> None:
        """A client that is gone is no trouble of an executor."""

    def run(self, asked: PlanRequested) -> None:
        if self.refuse is not None:
            self.say(asked, Failed.of(self.refuse))
            return
        asker = asked.client_id, asked.request_id
        if self.running.get(asked.plan_id) == asker:
            self.accept(asked)
            return
        self.runs[asked.plan_id] += 1
        self.store.plans[asked.plan_id] = Stored("running", self.world_id)
        self.accept(asked)
        if self.hold:
            self.running[asked.plan_id] = asker
        else:
            self.store.plans[asked.plan_id] = Stored("stopped")
            self.say(asked, Done())

    def accept(self, asked: PlanRequested) -> None:
        self.accepted.append(asked.request_id)
        self.say(asked, Accepted())

    def say(self, asked: Any, response: Response) -> None:
        self.leave(self.dispatcher.answer(asked.client_id, asked.request_id, response))

    def leave(self, envelope: Envelope) -> None:
        if type(envelope.message).__name__ not in self.lose:
            self.connector.send(envelope)


class Client:
    """A client world: nothing but its dispatcher."""

    takes_work = False

    def __init__(self, world_id: str, connector: Connector, store: Store, **timings: float) -> None:
        self.world_id, self.connector, self.store = world_id, connector, store
        self.heard: list[str] = []
        self.loading: Callable[[str], Any] = store.load_plan
        self.dispatcher = ClientDispatcher(
            world_id,
            connector,
            store,
            lambda plan_id: self.loading(plan_id),
            store.executor_of,
            add_audit=store.add_audit,
            **{**QUICK, **timings},  # type: ignore[arg-type]  # floats, all of them
        )
        connector.start_listening(self)
        self.dispatcher.start()

    def execute(self, plan_id: str) -> Future[Any]:
        """Store the plan as requested, then ask for it, as a world does."""
        self.store.plans[plan_id] = Stored("planned", None, requested_at=1)
        return self.dispatcher.execute(plan_id)

    def receive(self, envelope: Envelope) -> None:
        self.heard.append(type(envelope.message).__name__)
        self.dispatcher.receive(envelope)

    def undeliverable(self, envelope: Envelope, error: DynflowError) -> None:
        self.dispatcher.undeliverable(envelope, error)


class House:
    """Worlds over one kind of connector, with one store."""

    def __init__(self, kind: str) -> None:
        self.kind, self.store = kind, Store()
        self.listed: list[Executor] = []
        self._shared = DirectConnector()
        self._worlds: list[FakeExecutor | Client] = []

    def executors(self) -> list[Executor]:
        return list(self.listed)

    def endpoint(self, world_id: str) -> str | None:
        return next((one.endpoint for one in self.listed if one.world_id == world_id), None)

    def connector(self) -> Connector:
        return self._shared if self.kind == "direct" else ZeroMQConnector(self, refresh_s=0.1)

    def executor(self, world_id: str) -> FakeExecutor:
        world = FakeExecutor(world_id, self.connector(), self.store)
        self._worlds.append(world)
        self.listed.append(Executor(world_id, world.connector.endpoint, {"default": 2}))
        return world

    def client(self, world_id: str = "c", **timings: float) -> Client:
        world = Client(world_id, self.connector(), self.store, **timings)
        self._worlds.append(world)
        return world

    def leave(self, world: FakeExecutor) -> None:
        self.listed = [one for one in self.listed if one.world_id != world.world_id]
        world.connector.stop_listening(world)

    def close(self) -> None:
        for world in self._worlds:
            if isinstance(world, Client):
                world.dispatcher.stop("the test is over")
            world.connector.stop_listening(world)


@pytest.fixture(params=["direct", "zeromq"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    house = House(request.param)
    yield house
    house.close()


def result(future: Future[Any]) -> Any:
    return future.result(DEADLINE_S)


def error(future: Future[Any]) -> BaseException | None:
    return future.exception(DEADLINE_S)


# -- executions ----------------------------------------------------------------------------------


def test_a_plan_is_asked_for_accepted_done_and_loaded(house: House) -> None:
    """The messages of the happy path of worlds 12.1: Execution, Accepted, Done, and no more."""
    executor, client = house.executor("x"), house.client()

    plan = result(client.execute("plan-1"))

    assert plan == ("plan-1", "stopped")
    assert executor.heard == ["Execution"]
    assert client.heard == ["Accepted", "Done"]
    assert client.dispatcher.open_requests == 0


def test_many_plans_each_get_their_own_answer(house: House) -> None:
    executors, client = [house.executor(name) for name in ("x", "y")], house.client(accept_timeout_s=5.0)

    futures = [client.execute(f"plan-{number}") for number in range(500)]

    assert [result(future)[0] for future in futures] == [f"plan-{number}" for number in range(500)]
    assert all(executor.runs for executor in executors)
    assert sum((executor.runs for executor in executors), Counter()).most_common(1)[0][1] == 1


def test_a_lost_done_is_found_in_the_store(house: House) -> None:
    executor, client = house.executor("x"), house.client()
    executor.lose = {"Done"}

    assert result(client.execute("plan-1")) == ("plan-1", "stopped")
    assert executor.runs["plan-1"] == 1


def test_a_plan_is_run_once_although_every_answer_is_lost(house: House) -> None:
    executor, client = house.executor("x"), house.client()
    executor.lose, executor.hold = {"Accepted", "Done"}, True
    future = client.execute("plan-1")

    eventually(lambda: len(executor.accepted) >= 3)
    house.store.plans["plan-1"] = Stored("paused")

    assert result(future) == ("plan-1", "paused")
    assert executor.runs["plan-1"] == 1
    assert set(executor.heard) == {"Execution"}
    assert len(set(executor.accepted)) == 1, "a repeat is the same request, or it would be another run"


def test_an_answer_lost_once_is_repeated(house: House) -> None:
    executor, client = house.executor("x"), house.client(reask_interval_s=60.0)
    executor.lose = {"Accepted", "Done"}
    future = client.execute("plan-1")

    eventually(lambda: executor.heard)
    executor.lose = set()

    assert result(future) == ("plan-1", "stopped")
    assert executor.runs["plan-1"] == 1


def test_a_plan_whose_executor_was_lost_goes_to_another(house: House) -> None:
    first = house.executor("x")
    first.hold = True
    client = house.client()
    future = client.execute("plan-1")
    eventually(lambda: client.heard == ["Accepted"])

    second = house.executor("y")
    house.leave(first)
    house.store.plans["plan-1"] = Stored("paused", None, requested_at=1)

    assert result(future) == ("plan-1", "stopped")
    assert second.runs["plan-1"] == 1


def test_an_executor_that_is_ending_is_not_the_last_word(house: House) -> None:
    ending, staying = house.executor("x"), house.executor("y")
    ending.refuse = WorldTerminated("x is draining and takes no new plans")
    client = house.client()

    plans = [result(client.execute(f"plan-{number}")) for number in range(4)]

    assert [state for _, state in plans] == ["stopped"] * 4
    assert sum(staying.runs.values()) == 4


def test_without_executors_the_future_fails_and_says_that_the_plan_stays_requested(house: House) -> None:
    """Worlds 40."""
    client, began = house.client(), time.monotonic()

    failed = error(client.execute("plan-1"))

    assert isinstance(failed, NoExecutor)
    assert failed.plan_id == "plan-1"
    assert "it stays requested and runs when one comes" in str(failed)
    assert time.monotonic() - began >= 1.0


def test_an_executor_that_comes_late_is_not_too_late(house: House) -> None:
    client = house.client(no_executor_timeout_s=DEADLINE_S)
    future = client.execute("plan-1")
    eventually(lambda: client.dispatcher.open_requests)

    house.executor("x")

    assert result(future) == ("plan-1", "stopped")


def test_a_refusal_comes_as_the_error_it_is(house: House) -> None:
    executor, client = house.executor("x"), house.client()
    executor.refuse = AlreadyRunning("plan plan-1 runs already", "plan-1")

    failed = error(client.execute("plan-1"))

    assert isinstance(failed, AlreadyRunning)
    assert str(failed) == "plan plan-1 runs already"


def test_g25_a_future_waits_for_a_database_that_is_away_when_its_plan_is_read(house: House) -> None:
    client = house.client()
    house.executor("x")
    away = [PersistenceError("the database is away", "connection") for _ in range(2)]

    def load(plan_id: str) -> Any:
        if away:
            raise away.pop()
        return house.store.load_plan(plan_id)

    client.loading = load

    assert client.execute("p1").result(DEADLINE_S) == ("p1", "stopped")
    assert not away


def test_a_plan_that_cannot_be_loaded_fails_with_the_reason(house: House) -> None:
    house.executor("x")
    client = house.client()

    def fail(plan_id: str) -> None:
        raise ValueError("unreadable")

    client.loading = fail

    assert isinstance(error(client.execute("plan-1")), ValueError)


def test_a_plan_that_was_deleted_ends_its_future(house: House) -> None:
    executor, client = house.executor("x"), house.client()
    executor.hold = True
    future = client.execute("plan-1")
    eventually(lambda: client.heard)

    del house.store.plans["plan-1"]

    assert isinstance(error(future), PlanNotFound)


def test_a_store_that_is_away_for_a_while_is_asked_again(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    executor, client = house.executor("x"), house.client()
    executor.lose, house.store.broken = {"Done"}, True
    future = client.execute("plan-1")

    eventually(lambda: "could not be looked up" in caplog.text)
    house.store.broken = False

    assert result(future) == ("plan-1", "stopped")


def test_what_its_reconciler_asked_for_is_no_answer_to_what_a_world_asks_for(house: House) -> None:
    """Both ask on nobody's behalf, and an executor knows a request by its id alone."""
    executor, client = house.executor("x"), house.client()
    request_id = f"{UNATTENDED}{client.world_id}-1"
    client.connector.send(Envelope(client.world_id, ANY_EXECUTOR, request_id, Execution("plan-1")))
    eventually(lambda: executor.runs["plan-1"])

    house.store.plans["plan-2"] = Stored("planned", None, requested_at=1)

    assert result(client.dispatcher.execute("plan-2", yielding=True)) == ("plan-2", "stopped")
    assert executor.runs["plan-2"] == 1


# -- events --------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["event", "cancel", "halt"])
def test_a_store_that_is_away_for_a_while_only_delays_what_is_sent_to_a_plan(house: House, what: str) -> None:
    client, looks = house.client(), count()
    house.store.plans["plan-1"] = Stored("running", "y")

    def away(plan_id: str) -> str | None:
        if next(looks) < 3:
            raise PersistenceError("the connection is lost", "connection")
        raise PlanNotFound("found out", plan_id)

    client.dispatcher._executor_of = away
    asked = {
        "event": lambda: client.dispatcher.event("plan-1", 2, b"data"),
        "cancel": lambda: client.dispatcher.cancel("plan-1"),
        "halt": lambda: client.dispatcher.halt("plan-1"),
    }

    assert str(error(asked[what]())) == "found out"
    assert next(looks) == 4


def test_an_event_reaches_the_world_that_runs_the_plan(house: House) -> None:
    other, owner, client = house.executor("x"), house.executor("y"), house.client()
    house.store.plans["plan-1"] = Stored("running", "y")

    taken = result(client.dispatcher.event("plan-1", 3, b"wake up"))

    assert taken is True
    assert owner.events == [b"wake up"]
    assert other.events == []


def test_an_event_for_a_plan_nobody_runs_fails(house: House) -> None:
    """Worlds 32."""
    house.executor("x")
    house.store.plans["plan-1"] = Stored("stopped")

    failed = error(house.client().dispatcher.event("plan-1", 3, b"too late"))

    assert isinstance(failed, UnprocessableEvent)
    assert "no executor runs plan plan-1" in str(failed)


def test_an_event_whose_answer_was_lost_is_taken_once(house: House) -> None:
    executor, client = house.executor("x"), house.client()
    house.store.plans["plan-1"] = Stored("running", "x")
    executor.lose = {"Done"}
    future = client.dispatcher.event("plan-1", 3, b"once")
    eventually(lambda: executor.events)

    executor.lose = set()

    assert result(future) is True
    assert executor.events == [b"once"]


def test_an_event_fails_when_its_owner_cannot_be_found_out(house: House) -> None:
    client = house.client()

    def fail(plan_id: str) -> str:
        raise OSError("no way")

    client.dispatcher._executor_of = fail
    failed = error(client.dispatcher.event("plan-1", 3, b"x"))

    assert isinstance(failed, RequestError)
    assert "no way" in str(failed)


# -- ping and status -----------------------------------------------------------------------------


def test_a_ping_to_a_living_executor_succeeds(house: House) -> None:
    """Worlds 36."""
    house.executor("x")

    assert result(house.client().dispatcher.ping("x", timeout_s=0.5)) is True


def test_a_ping_to_an_ended_executor_fails(house: House) -> None:
    """Worlds 37."""
    executor, client = house.executor("x"), house.client()
    result(client.dispatcher.ping("x", timeout_s=5.0))

    house.leave(executor)
    failed = error(client.dispatcher.ping("x", timeout_s=0.5))

    assert isinstance(failed, (RequestTimeout, UnknownReceiver))


def test_a_ping_that_is_not_answered_times_out(house: House) -> None:
    house.executor("x").lose = {"Pong"}

    assert isinstance(error(house.client().dispatcher.ping("x", timeout_s=0.1)), RequestTimeout)


def test_the_status_is_what_the_executor_says(house: House) -> None:
    house.executor("x")

    assert result(house.client().dispatcher.status("x", "plan-1", timeout_s=5.0)) == QUEUES


# -- the end, and users' callbacks ---------------------------------------------------------------


def test_stopping_fails_every_open_future_and_all_that_come_later(house: House) -> None:
    executor, client = house.executor("x"), house.client()
    executor.hold = True
    running = client.execute("plan-1")
    pinging = client.dispatcher.ping("nobody", timeout_s=60.0)

    client.dispatcher.stop("the world has ended")
    client.dispatcher.stop("twice is fine")
    late = client.execute("plan-2")

    assert [type(error(future)) for future in (running, late)] == [WorldTerminated] * 2
    assert str(error(running)) == "the world has ended"
    assert pinging.done()


def test_stopping_what_never_started_is_fine(house: House) -> None:
    store = house.store
    dispatcher = ClientDispatcher("c", house.connector(), store, store.load_plan, store.executor_of)
    future = dispatcher.execute("plan-1")

    dispatcher.stop("never mind")
    dispatcher.start()

    assert isinstance(error(future), WorldTerminated)


def test_a_future_cannot_be_cancelled_only_ended(house: House) -> None:
    executor, client = house.executor("x"), house.client()
    executor.hold = True

    future = client.execute("plan-1")

    assert not future.cancel()


def test_callbacks_that_raise_or_exit_or_block_hold_up_nobody(house: House) -> None:
    house.executor("x")
    client, release = house.client(), threading.Event()

    def fail(future: Future[Any]) -> None:
        raise ValueError("a callback's own trouble")

    def leave(future: Future[Any]) -> None:
        raise SystemExit(3)

    def block(future: Future[Any]) -> None:
        release.wait(DEADLINE_S)

    for number, callback in enumerate((fail, leave, block)):
        client.execute(f"plan-{number}").add_done_callback(callback)
    late = [client.execute(f"late-{number}") for number in range(3)]

    assert [result(future)[1] for future in late] == ["stopped"] * 3
    release.set()


def test_a_callback_may_ask_for_the_next_plan_and_stop_the_dispatcher(house: House) -> None:
    house.executor("x")
    client, stopped = house.client(), threading.Event()

    def stop(future: Future[Any]) -> None:
        client.dispatcher.stop("from a callback")
        stopped.set()

    def go_on(future: Future[Any]) -> None:
        client.execute("plan-2").add_done_callback(stop)

    client.execute("plan-1").add_done_callback(go_on)

    assert stopped.wait(DEADLINE_S)


def test_who_only_asks_by_name_does_not_stay_connected_to_all_that_ever_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dynflow_mp.connectors.executors._KEEP_UNLISTED_S", 0.0)
    house = House("zeromq")
    client = house.client()
    office = client.connector._office  # type: ignore[attr-defined]
    try:
        for number in range(6):
            executor = house.executor(f"x{number}")
            eventually(lambda: time.monotonic() - office._executors._refreshed_at > office._refresh_s)
            assert isinstance(result(client.dispatcher.status(executor.world_id)), dict)
            house.leave(executor)

        assert len(office._executors._peers) <= 3
    finally:
        house.close()


def test_no_thread_stays_after_the_end(house: House) -> None:
    executor, client = house.executor("x"), house.client()
    result(client.execute("plan-1"))

    client.dispatcher.stop("the end")
    for world in (client, executor):
        world.connector.stop_listening(world)

    eventually(lambda: not [one for one in threading.enumerate() if one.name.startswith("dynflow")])


# -- who asks --------------------------------------------------------------------------------------


def an_audit(deed: str) -> Audit:
    return Audit("id", "plan-1", 1, deed, "ann", "c")


def test_what_a_world_is_asked_for_is_written_down_before_it_is_asked(house: House) -> None:
    executor, client = house.executor("x"), house.client()
    house.store.plans["plan-1"] = Stored("running", "x")
    written_first: list[bool] = []
    executor.hold = True
    hear = executor.receive

    def receive(envelope: Envelope) -> None:
        written_first.append(bool(house.store.audits))
        hear(envelope)

    executor.receive = receive  # type: ignore[method-assign]  # a spy

    taken = client.dispatcher.event("plan-1", 3, b"", audit=an_audit("send an event to step 3"))

    assert result(taken) is True
    assert [audit.deed for audit in house.store.audits] == ["asked to send an event to step 3"]
    assert written_first == [True]


def test_what_cannot_be_written_down_is_not_asked_for(house: House) -> None:
    executor, client = house.executor("x"), house.client()
    house.store.plans["plan-1"] = Stored("running", "x")
    result(client.dispatcher.ping("x", 5.0))
    house.store.broken = True

    cancelled = client.dispatcher.cancel("plan-1", audit=an_audit("cancel"))

    assert isinstance(error(cancelled), PersistenceError)
    assert executor.heard == ["Ping"]


def test_what_nobody_could_be_asked_for_was_not_asked(house: House) -> None:
    client = house.client()
    house.store.plans["plan-1"] = Stored("paused")

    cancelled = client.dispatcher.cancel("plan-1", audit=an_audit("cancel"))

    assert isinstance(error(cancelled), RequestError)
    assert house.store.audits == []


def test_a_request_of_nobodys_is_written_down_nowhere(house: House) -> None:
    executor, client = house.executor("x"), house.client()
    house.store.plans["plan-1"] = Stored("running", "x")

    result(client.dispatcher.event("plan-1", 3, b""))

    assert executor.heard == ["Event"]
    assert house.store.audits == []


def test_a_plan_that_nobody_runs_is_halted_with_who_wants_it(house: House) -> None:
    """In the transaction that stops it; if somebody takes it meanwhile, as asked for."""
    told: list[tuple[str, Audit | None]] = []

    def stop(plan_id: str, audit: Audit | None) -> bool:
        told.append((plan_id, audit))
        if len(told) == 1:
            house.store.plans[plan_id] = Stored("running", "x")
            return False
        house.store.plans[plan_id] = Stored("stopped")
        return True

    client = house.client()
    client.dispatcher._stop_unowned = stop
    house.store.plans["plan-1"] = Stored("paused")
    house.store.plans["plan-2"] = Stored("paused")

    first = client.dispatcher.halt("plan-1", an_audit("halt"))
    eventually(lambda: told)
    house.store.plans["plan-1"] = Stored("paused")

    assert result(first) == ("plan-1", "stopped")
    assert [audit for _, audit in told] == [an_audit("halt")] * 2
    assert house.store.audits == []


def test_workers_are_told_of(house: House) -> None:
    house.executor("x")

    assert result(house.client().dispatcher.workers("x", 5.0)) == REPORT


def test_an_executor_that_is_no_supervisor_does_not_end(house: House) -> None:
    house.executor("x")

    refused = error(house.client().dispatcher.drain("x", 5.0, an_audit("drain world x")))

    assert type(refused) is RequestError
    assert "no supervisor" in str(refused)
    assert [audit.deed for audit in house.store.audits] == ["asked to drain world x"]
