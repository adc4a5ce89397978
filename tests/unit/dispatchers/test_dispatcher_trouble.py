"""Futures end although threads are slow, stuck, or not to be had, and whatever one of them stumbles over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

import pytest

from dynflow_mp.connectors.connector import Connector, Receiver
from dynflow_mp.dispatchers import client_dispatcher
from dynflow_mp.dispatchers.client_decisions import PlanStatus
from dynflow_mp.dispatchers.client_dispatcher import ClientDispatcher
from dynflow_mp.dispatchers.notifier import Notifier
from dynflow_mp.errors import RequestTimeout, WorldTerminated
from dynflow_mp.model.messages import Envelope, Pong

DEADLINE_S = 10.0


class Silence(Connector):
    """Takes everything and delivers nothing."""

    def start_listening(self, receiver: Receiver) -> None: ...
    def stop_receiving_new_work(self, receiver: Receiver) -> None: ...
    def stop_listening(self, receiver: Receiver) -> None: ...
    def send(self, envelope: Envelope) -> None: ...


class Plans:
    """A store that stands still once somebody looks something up, until it is let go."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()

    def plan_statuses(self, plan_ids: Sequence[str]) -> Mapping[str, PlanStatus]:
        self.asked.set()
        assert self.go_on.wait(6 * DEADLINE_S)
        return {}

    def event_was_taken(self, event_id: str) -> bool:
        return False


@pytest.fixture
def plans() -> Iterator[Plans]:
    plans = Plans()
    yield plans
    plans.go_on.set()


@pytest.fixture
def client(plans: Plans) -> Iterator[ClientDispatcher]:
    client = ClientDispatcher("c", Silence(), plans, lambda plan_id: plan_id, lambda plan_id: None)
    client.start()
    yield client
    plans.go_on.set()
    client.stop("the test is over")


def error(future: Future[Any]) -> BaseException | None:
    return future.exception(DEADLINE_S)


class _Hurried(SimpleQueue[Any]):
    """Before the last note comes in, its reader has all the time it wants to look around."""

    def __init__(self, is_last: Callable[[], bool], reader: Callable[[], threading.Thread | None]) -> None:
        self._is_last, self._reader = is_last, reader

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        reader = self._reader()
        if self._is_last() and reader is not None:
            super().put(lambda now: ())
            reader.join(0.3)
        super().put(item)


def test_futures_end_also_when_the_thread_is_quicker_than_who_stops_it(plans: Plans) -> None:
    client = ClientDispatcher("c", Silence(), plans, lambda plan_id: plan_id, lambda plan_id: None)
    client._inbox = _Hurried(lambda: client._stopped is not None, lambda: client._thread)
    client.start()
    future = client.execute("plan-1")

    client.stop("it is over")

    assert isinstance(error(future), WorldTerminated)


def test_futures_end_with_their_world_although_the_store_hangs(
    client: ClientDispatcher, plans: Plans
) -> None:
    first = client.watch("plan-1")
    assert plans.asked.wait(DEADLINE_S)
    second = client.ping("x", 5.0)

    client.stop("it is over")

    assert isinstance(error(first), WorldTerminated)
    assert isinstance(error(second), WorldTerminated)


def test_a_decision_that_fails_does_not_keep_others_from_being_made(
    client: ClientDispatcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    due, failed = client._decisions.due, threading.Event()

    def stumbling(now: float) -> Any:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("out of step")
        return due(now)

    monkeypatch.setattr(client._decisions, "due", stumbling)

    assert isinstance(error(client.ping("x", 0.05)), RequestTimeout)
    assert "out of step" in caplog.text


def _no_thread(*_: object) -> None:
    raise RuntimeError("can't start new thread")


def test_a_future_waits_for_a_thread_that_is_not_to_be_had_just_now(
    client: ClientDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    future = client.ping("x", 60.0)
    with monkeypatch.context() as scarce:
        tried = threading.Event()

        def start(thread: threading.Thread) -> None:
            tried.set()
            _no_thread()

        scarce.setattr(threading.Thread, "start", start)
        client.receive(Envelope("x", "c", "c-1", Pong()))
        assert tried.wait(DEADLINE_S)

    assert future.result(DEADLINE_S) is True


def test_a_callback_that_blocks_while_there_is_no_thread_for_others_harms_nobody(
    client: ClientDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client._notifier, "_stuck_s", 0.05)
    blocked, go_on, tried = threading.Event(), threading.Event(), threading.Event()
    first, second = client.ping("x", 60.0), client.ping("x", 60.0)

    def block(_: Future[bool]) -> None:
        blocked.set()
        go_on.wait(6 * DEADLINE_S)

    first.add_done_callback(block)
    client.receive(Envelope("x", "c", "c-1", Pong()))
    assert blocked.wait(DEADLINE_S)
    with monkeypatch.context() as scarce:

        def start(thread: threading.Thread) -> None:
            tried.set()
            _no_thread()

        scarce.setattr(threading.Thread, "start", start)
        client.receive(Envelope("x", "c", "c-2", Pong()))
        assert tried.wait(DEADLINE_S)

    assert second.result(DEADLINE_S) is True
    go_on.set()


def test_what_no_thread_was_to_be_had_for_is_done_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    notifier, done = Notifier(), threading.Event()
    monkeypatch.setattr(threading.Thread, "start", _no_thread)

    notifier.put(done.set)
    notifier.finish(client_dispatcher._STOP_S)

    assert done.is_set()
