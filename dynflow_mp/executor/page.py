"""What a worker leaves behind if it dies: a piece of memory shared with its supervisor.

       0   number of the last job begun          32  how many job numbers were ever given back
       8   when that was (steady clock)          40  CPU seconds, memory: see Use
      16  number of the last job finished       64  the last numbers given back, a ring
      24  part of the finalize job that runs
    3584  length of the reason why it left by itself, then the reason
    4096  two halves of an outbox, each: bytes used, then frames, each behind its length

The worker writes, its supervisor reads once the worker is dead. The outbox holds the last frames of
outcomes: a message that was handed to the socket is not on its way yet, and a worker that dies a
moment later would take it along. The memory is a file without a name: nothing to clean up, whoever
dies. It is mapped and not written to, because its descriptor may not survive a user's code.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct
from typing import NamedTuple

_NUMBER = Struct("=Q")
_WORD = _NUMBER.size
_BEGINNING = Struct("=Qd")
_SECONDS = Struct("=d")
_MEMORY = Struct("=QQ")
_BEGUN, _BEGUN_AT, _FINISHED, _PART, _GIVEN_BACK, _CPU, _RESIDENT, _RING = 0, 8, 16, 24, 32, 40, 48, 64
_REASON = 3584
_OUTBOX = 4096
_RING_LENGTH = (_REASON - _RING) // _WORD
_MOST_REASON = _OUTBOX - _REASON - _WORD
HALF = 256 * 1024
SIZE = _OUTBOX + 2 * HALF


class Use(NamedTuple):
    """What a worker has taken, as it saw itself. ``begun_at``: when the job begun last was (steady clock; 0: never).

    ``cpu_s`` are the CPU seconds of its life until it last took up a job that may be long, ``resident`` and ``peak`` the
    bytes it had in memory when it last looked, and the most it ever saw.
    """

    begun_at: float = 0.0
    cpu_s: float = 0.0
    resident: int = 0
    peak: int = 0


NO_USE = Use()


class Remains(NamedTuple):
    """What a dead worker had begun and finished (0: nothing), the jobs it had given back, its last frames.

    ``reason`` is why it left by itself, if it did; ``use`` what it took.
    """

    begun: int
    finished: int
    part: int
    given_back: list[int]
    frames: list[bytes]
    reason: str = ""
    use: Use = NO_USE


NOTHING = Remains(0, 0, 0, [], [])


class Page:
    """One worker's page; each side maps the same file. Written by one thread at a time."""

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, SIZE)
        self._given_back = 0
        self._half = _OUTBOX
        self._used = 0

    @staticmethod
    def create(directory: Path) -> int:
        """A descriptor of a new page of zeros."""
        fd = nameless_file(directory, "dynflow worker page")
        os.ftruncate(fd, SIZE)
        return fd

    # -- written by the worker ---------------------------------------------------------------------

    def begin(self, number: int, now: float = 0.0) -> None:
        """This job begins, at this time of the steady clock."""
        _BEGINNING.pack_into(self._memory, _BEGUN, number, now)

    def begin_part(self, index: int) -> None:
        """This part of the finalize job begins."""
        _NUMBER.pack_into(self._memory, _PART, index)

    def finish(self, number: int) -> None:
        """This job's outcome is there (and may not have been sent)."""
        _NUMBER.pack_into(self._memory, _FINISHED, number)

    def note_cpu(self, seconds: float) -> None:
        """So much CPU time was used so far."""
        _SECONDS.pack_into(self._memory, _CPU, seconds)

    def note_memory(self, resident: int, peak: int) -> None:
        """So many bytes are in memory now, and were at most."""
        _MEMORY.pack_into(self._memory, _RESIDENT, resident, peak)

    def give_back(self, numbers: Iterable[int]) -> None:
        """These jobs will never begin."""
        for number in numbers:
            _NUMBER.pack_into(self._memory, _ring_place(self._given_back), number)
            self._given_back += 1
        _NUMBER.pack_into(self._memory, _GIVEN_BACK, self._given_back)

    def keep(self, frame: bytes) -> None:
        """Remember a frame that is about to be sent; very large ones are not kept."""
        length = len(frame)
        if length > HALF - 2 * _WORD:
            return
        if self._used + 2 * _WORD + length > HALF:
            # The other half keeps what was sent just now; what it held is long on its way.
            self._half = _OUTBOX + HALF if self._half == _OUTBOX else _OUTBOX
            self._used = 0
        start = self._half + _WORD + self._used
        self._memory[start + _WORD : start + _WORD + length] = frame
        _NUMBER.pack_into(self._memory, start, length)
        self._used += _WORD + length
        _NUMBER.pack_into(self._memory, self._half, self._used)

    def say_why(self, reason: str) -> None:
        """This worker leaves by itself; its sockets may be gone already."""
        text = reason.encode("utf-8", "backslashreplace")[:_MOST_REASON]
        self._memory[_REASON + _WORD : _REASON + _WORD + len(text)] = text
        _NUMBER.pack_into(self._memory, _REASON, len(text))

    # -- read by the supervisor --------------------------------------------------------------------

    def read(self, already_heard: int = 0) -> Remains:
        """What is written; of the jobs given back only those after the first ``already_heard``."""
        count = self._number(_GIVEN_BACK)
        first = max(already_heard, count - _RING_LENGTH)
        given_back = [self._number(_ring_place(position)) for position in range(first, count)]
        frames = [*self._frames(_OUTBOX), *self._frames(_OUTBOX + HALF)]
        done = self._number(_BEGUN), self._number(_FINISHED), self._number(_PART)
        return Remains(*done, given_back, frames, self._reason(), self.use)

    @property
    def begun(self) -> int:
        """The number of the job begun last, while the worker lives."""
        return self._number(_BEGUN)

    @property
    def use(self) -> Use:
        """What the worker takes, also while it lives."""
        begun_at: float = _SECONDS.unpack_from(self._memory, _BEGUN_AT)[0]
        cpu_s: float = _SECONDS.unpack_from(self._memory, _CPU)[0]
        resident, peak = _MEMORY.unpack_from(self._memory, _RESIDENT)
        return Use(begun_at, cpu_s, resident, peak)

    def close(self) -> None:
        """Give the memory back. Twice is fine."""
        self._memory.close()

    def _reason(self) -> str:
        length = min(self._number(_REASON), _MOST_REASON)
        return self._memory[_REASON + _WORD : _REASON + _WORD + length].decode("utf-8", "replace")

    def _frames(self, half: int) -> Iterator[bytes]:
        place, end = half + _WORD, half + _WORD + min(self._number(half), HALF - _WORD)
        while place + _WORD <= end:
            length = self._number(place)
            yield self._memory[place + _WORD : min(place + _WORD + length, end)]
            place += _WORD + length

    def _number(self, place: int) -> int:
        number: int = _NUMBER.unpack_from(self._memory, place)[0]
        return number


def _ring_place(position: int) -> int:
    return _RING + position % _RING_LENGTH * _WORD


def nameless_file(directory: Path, purpose: str) -> int:
    """A descriptor of an empty file that has no name, in memory where the system can; ``purpose`` is for lists of open files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(purpose)
    import tempfile  # costs a worker, which never comes here, half a megabyte

    with tempfile.TemporaryFile(dir=directory) as file:
        return os.dup(file.fileno())
