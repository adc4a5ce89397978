"""The control lane of a worker that leaves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
import zmq

from dynflow_mp.executor.control_lane import ControlLane, lane
from dynflow_mp.executor.own_descriptors import OwnDescriptors
from dynflow_mp.executor.page import Page
from dynflow_mp.executor.tally import Tally


@pytest.fixture
def lifeline() -> Iterator[int]:
    reading, writing = os.pipe()
    yield reading
    os.close(reading)
    os.close(writing)


def test_what_a_leaving_worker_closes_is_not_taken_for_a_steps_doing(lifeline: int, tmp_path: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(f"ipc://{tmp_path}/workers")
    descriptors = OwnDescriptors()
    mine, other = os.pipe()
    descriptors.note(lifeline)
    tally = Tally(Page(Page.create(tmp_path)))
    theirs: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = lane(theirs, b"control")
    control = ControlLane(socket, lifeline, tally, descriptors)
    control.start()
    socket.connect(f"ipc://{tmp_path}/workers")
    control.say_hello(b"hello")
    assert router.poll(5000)
    assert router.recv_multipart() == [b"control", b"hello"]

    control.let_go()
    os.close(mine)
    os.close(other)
    control.watch_batch()  # wakes it: it looks at what is closed
    ending = Thread(target=theirs.term, daemon=True)
    ending.start()
    ending.join(5.0)

    assert not ending.is_alive(), "the context stays open: its thread has ended without closing its socket"
    context.destroy(linger=0)
