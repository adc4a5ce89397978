"""The small thread of a worker: sleeps in poll, and answers its supervisor while user code runs.

It wakes for a frame on the control lane, for the end of the life-line (the supervisor is gone: so
are we, with all we started), and – only while the main thread works through a batch – every few
milliseconds, so that outcomes do not wait behind a step that turned out long.
"""

from __future__ import annotations

import os
import select
import signal
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import NoReturn

import zmq

from dynflow_mp.actions.unwinding import Stopped
from dynflow_mp.executor import wire
from dynflow_mp.executor.chunk_stream import ChunkStream
from dynflow_mp.executor.interruption import interrupt
from dynflow_mp.executor.own_descriptors import OwnDescriptors
from dynflow_mp.executor.tally import Tally
from dynflow_mp.executor.workbench import send_unsent

_TICK_MS = 20
_CHUNKS_MS = 500
"""How often the chunks of a running step are sent on."""
_HIGH_WATER = 4096
"""An alarm, never reached: what is on its way is bounded by the pool's credit."""


class ControlLane:
    """Its socket belongs to its own thread, once it is started; others call its public methods only."""

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        lifeline: int,
        tally: Tally,
        descriptors: OwnDescriptors,
    ) -> None:
        self._socket = socket  # kept for ever: closing it speaks to descriptors that may be closed
        self._lifeline = lifeline
        self._tally = tally
        self._descriptors = descriptors
        self._leaving = False
        self._watching = False
        self._last_begun = 0
        self.chunks = ChunkStream(lambda: tally.begun, self._ring)
        """What the step that runs writes beside its output."""
        self._chunks_due = 0.0
        self._hellos: SimpleQueue[bytes] = SimpleQueue()
        self._bell_out, self._bell_in = os.pipe()
        os.set_blocking(self._bell_in, False)
        os.set_blocking(self._bell_out, False)

    def start(self) -> None:
        """Have the thread, which waits for the hello. The descriptors must have been noted."""
        self._descriptors = self._descriptors.twin()
        Thread(target=self._run, name="dynflow control lane", daemon=True).start()

    def say_hello(self, hello: bytes) -> None:
        """Say hello on this lane and begin to listen."""
        self._hellos.put(hello)

    def watch_batch(self) -> None:
        """The main thread begins a batch: look after it until it is through."""
        if not self._watching:
            self._watching = True
            self._ring()

    def let_go(self) -> None:
        """The worker leaves: what is closed from now on, it closes itself."""
        self._leaving = True

    def _ring(self) -> None:
        try:
            os.write(self._bell_in, b"!")
        except BlockingIOError:
            return  # the bell is full of rings: it will be heard

    def _run(self) -> None:
        socket = self._socket
        # Not the library's own poll: it ends the process when a step has closed what it looks at.
        poll = select.poll()
        for source in (socket, self._lifeline, self._bell_out):
            poll.register(source, select.POLLIN)
        ready: set[int] = set()
        try:
            socket.send(self._hellos.get())
            while self._hear(socket, ready):
                ready = {fd for fd, _ in poll.poll(self._patience_ms())}
        except zmq.ContextTerminated:
            socket.close(linger=2000)
        except BaseException:
            # Without this lane nobody can recall or see the supervisor's end: better no worker at all.
            os.abort()

    def _patience_ms(self) -> int | None:
        if self._watching:
            return _TICK_MS
        return _CHUNKS_MS if self.chunks.is_open else None

    def _hear(self, socket: zmq.Socket[bytes], ready: set[int]) -> bool:
        """False: a step took our descriptors. The main thread leaves as soon as that step is over."""
        # Who closed them is asked last: they were closed after it was said that they would be.
        if self._descriptors.closed() and not self._leaving:
            return False
        if self._lifeline in ready:
            if self._descriptors.replaced():
                return False
            die_with_children()
        if self._bell_out in ready and not os.read(self._bell_out, 512):
            return False
        if self._watching:
            self._look_after_batch(socket)
        if self.chunks.is_open and monotonic() >= self._chunks_due:
            self._send_chunks(socket)
        # Until there is nothing more: its descriptor tells only of what comes after this was asked.
        while int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._obey(socket, socket.recv())
        return True

    def _obey(self, socket: zmq.Socket[bytes], frame: bytes) -> None:
        kind = wire.kind_of(frame)
        if kind == wire.RECALL:
            given_back = self._tally.recall(wire.decode_recall(frame))
            socket.send(wire.encode_recalled(given_back))
        elif kind == wire.STOP_STEP:
            self._stop(socket, wire.decode_stop_step(frame))
        elif kind == wire.CHUNKS_HEARD:
            self.chunks.heard(*wire.decode_chunks_heard(frame))
        elif kind == wire.PING:
            socket.send(wire.encode_pong(wire.decode_ping(frame)))

    def _stop(self, socket: zmq.Socket[bytes], step: wire.StepToStop) -> None:
        """Give the job back if it has not begun; if it runs, stop it; if it is done, nothing."""
        given_back = self._tally.recall([step.number])
        if given_back:
            socket.send(wire.encode_recalled(given_back))
        elif self._tally.stop(step.number, Stopped(step.cause, step.message)):
            interrupt()

    def _send_chunks(self, socket: zmq.Socket[bytes]) -> None:
        self._chunks_due = monotonic() + _CHUNKS_MS / 1000
        sendable = self.chunks.take()
        if sendable is not None:
            socket.send(wire.encode_chunks(*sendable))

    def _look_after_batch(self, socket: zmq.Socket[bytes]) -> None:
        """Send what the main thread cannot send itself because a step keeps it."""
        tally = self._tally
        if not tally.busy:
            self._watching = False
        elif tally.unsent and tally.begun == self._last_begun:
            send_unsent(tally, socket)
        self._last_begun = tally.begun


def lane(context: zmq.Context[zmq.Socket[bytes]], route: bytes) -> zmq.Socket[bytes]:
    """A socket that will be known to the supervisor by ``route``; it is not connected yet."""
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.ROUTING_ID, route)
    socket.setsockopt(zmq.SNDHWM, _HIGH_WATER)
    socket.setsockopt(zmq.RCVHWM, _HIGH_WATER)
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.LINGER, 3000)
    socket.setsockopt(zmq.SNDTIMEO, 10_000)
    socket.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    socket.setsockopt(zmq.MAXMSGSIZE, wire.MAX_FRAME)
    return socket


def die_with_children() -> NoReturn:
    """End this process and its whole group at once."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(1)
