"""Futures are resolved on a thread of their own, also when the process had no room for one for a while."""

import threading
import time

import pytest

from dynflow_mp.dispatchers.notifier import Notifier

DEADLINE_S = 10.0


@pytest.fixture
def no_room(monkeypatch):
    """While it is set, no thread can be had."""
    full, start = threading.Event(), threading.Thread.start

    def start_if_there_is_room(thread):
        if full.is_set():
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_there_is_room)
    return full


def looked_after_until(notifier, done):
    ends = time.monotonic() + DEADLINE_S
    while not done():
        assert time.monotonic() < ends
        notifier.look_after()
        time.sleep(0.005)


def test_what_is_put_while_no_thread_can_be_had_is_done_when_there_is_one(no_room):
    notifier, done = Notifier(), []
    no_room.set()
    notifier.put(lambda: done.append(1))
    notifier.put(lambda: done.append(2))
    assert notifier.look_after()
    no_room.clear()

    looked_after_until(notifier, lambda: done == [1, 2])

    notifier.finish(DEADLINE_S)


def test_a_task_that_blocks_when_no_other_thread_can_be_had_delays_the_others_only(no_room):
    notifier, done, go = Notifier(stuck_s=0.01), [], threading.Event()
    notifier.put(lambda: go.wait(DEADLINE_S))
    notifier.put(lambda: done.append(1))
    no_room.set()
    ends = time.monotonic() + 0.2
    while time.monotonic() < ends:
        notifier.look_after()
        time.sleep(0.005)
    no_room.clear()

    looked_after_until(notifier, lambda: done == [1])

    go.set()
    notifier.finish(DEADLINE_S)


def test_what_is_left_at_the_end_is_done_by_who_ends_it(no_room):
    notifier, done = Notifier(), []
    no_room.set()
    notifier.put(lambda: done.append(1))

    notifier.finish(DEADLINE_S)

    assert done == [1]


def test_a_task_that_raises_stops_no_other():
    notifier, done = Notifier(), []
    notifier.put(lambda: 1 / 0)
    notifier.put(lambda: done.append(1))

    looked_after_until(notifier, lambda: done == [1])

    notifier.finish(DEADLINE_S)
