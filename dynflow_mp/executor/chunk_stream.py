"""Chunks of a step that is still running, on their way to the supervisor.

    main thread: add ─▶ kept ─▶ control lane: send, every half second ─▶ supervisor ─ heard ─▶ forgotten
                          └──────── what was not heard of ─▶ with the outcome

What was heard of was heard before the outcome is sent, and what was not goes with it: nothing is lost, and what comes
twice is known by its number. Who writes faster than it is taken waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import NamedTuple

from dynflow_mp.actions.output_chunks import MAX_KEPT
from dynflow_mp.errors import PayloadTooLarge
from dynflow_mp.model.work import OutputChunk

_PATIENCE_S = 10.0
_MOST_A_FRAME = 4 * 1024 * 1024


class Sendable(NamedTuple):
    """Chunks of the step that a job runs."""

    job_number: int
    step_id: int
    chunks: tuple[OutputChunk, ...]


class ChunkStream:
    """One per worker, shared by its two threads. ``wake`` has the control lane look, soon and from then on."""

    def __init__(self, job_number: Callable[[], int], wake: Callable[[], None]) -> None:
        self._job_number, self._wake = job_number, wake
        self._changed = Condition()
        self._book: StreamedChunks | None = None

    def open(self, step_id: int) -> StreamedChunks:
        """Main thread: the step that runs has something to say."""
        book = StreamedChunks(self, self._changed, self._job_number(), step_id)
        with self._changed:
            self._book = book
        self._wake()
        return book

    def close(self, book: StreamedChunks) -> None:
        """Main thread, with the condition held: the call is over."""
        if self._book is book:
            self._book = None

    @property
    def is_open(self) -> bool:
        """Whether there may be something to send."""
        return self._book is not None

    def take(self) -> Sendable | None:
        """Control lane: what has not been sent, a bounded amount."""
        with self._changed:
            return None if self._book is None else self._book.take()

    def heard(self, job_number: int, number: int) -> None:
        """Control lane: chunks up to this one have arrived."""
        with self._changed:
            if self._book is not None and self._book.job_number == job_number:
                self._book.forget(number)
                self._changed.notify_all()


class StreamedChunks:
    """One call's chunks (a ``ChunkSink``)."""

    def __init__(self, stream: ChunkStream, changed: Condition, job_number: int, step_id: int) -> None:
        self.job_number = job_number
        self._stream, self._changed, self._step_id = stream, changed, step_id
        self._kept: deque[OutputChunk] = deque()
        self._size = 0
        self._sent = 0
        """The number of the last chunk that was sent."""

    def add(self, chunk: OutputChunk) -> None:
        """Raises :class:`PayloadTooLarge` if nothing of what waits is taken for long."""
        size = len(chunk.chunk)
        with self._changed:
            if not self._changed.wait_for(lambda: self._size + size <= MAX_KEPT, _PATIENCE_S):
                raise PayloadTooLarge("output chunks", self._size + size, MAX_KEPT)
            self._kept.append(chunk)
            self._size += size

    def rest(self) -> tuple[OutputChunk, ...]:
        with self._changed:
            self._stream.close(self)
            return tuple(self._kept)

    def take(self) -> Sendable | None:
        taken: list[OutputChunk] = []
        size = 0
        for chunk in self._kept:
            if chunk.number > self._sent and size < _MOST_A_FRAME:
                taken.append(chunk)
                size += len(chunk.chunk)
        if not taken:
            return None
        self._sent = taken[-1].number
        return Sendable(self.job_number, self._step_id, tuple(taken))

    def forget(self, number: int) -> None:
        while self._kept and self._kept[0].number <= number:
            self._size -= len(self._kept.popleft().chunk)
