"""What a worker leaves behind if it dies: a page of memory shared with its supervisor, numbers only.

    0   number of the last job begun          24  how many job numbers were ever given back
    8   number of the last job finished       32  the last of those numbers, a ring
    16  part of the finalize job that runs

The worker writes, its supervisor reads once the worker is dead. The page is a file without a name:
nothing to clean up, whoever dies.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from struct import Struct
from typing import NamedTuple

SIZE = 4096
_NUMBER = Struct("=Q")
_BEGUN, _FINISHED, _PART, _GIVEN_BACK, _RING = 0, 8, 16, 24, 32
_RING_LENGTH = (SIZE - _RING) // _NUMBER.size


class Remains(NamedTuple):
    """What a dead worker had begun and finished (0: nothing), and the jobs it had given back."""

    begun: int
    finished: int
    part: int
    given_back: list[int]


NOTHING = Remains(0, 0, 0, [])


class Page:
    """One worker's page; each side maps the same file. Written by one thread at a time."""

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, SIZE)
        self._given_back = 0

    @staticmethod
    def create(directory: Path) -> int:
        """A descriptor of a new page of zeros."""
        with tempfile.TemporaryFile(dir=directory) as file:
            file.truncate(SIZE)
            return os.dup(file.fileno())

    def begin(self, number: int) -> None:
        """This job begins."""
        _NUMBER.pack_into(self._memory, _BEGUN, number)

    def begin_part(self, index: int) -> None:
        """This part of the finalize job begins."""
        _NUMBER.pack_into(self._memory, _PART, index)

    def finish(self, number: int) -> None:
        """This job's outcome is there (and may not have been sent)."""
        _NUMBER.pack_into(self._memory, _FINISHED, number)

    def give_back(self, numbers: Iterable[int]) -> None:
        """These jobs will never begin."""
        for number in numbers:
            place = _RING + self._given_back % _RING_LENGTH * _NUMBER.size
            _NUMBER.pack_into(self._memory, place, number)
            self._given_back += 1
        _NUMBER.pack_into(self._memory, _GIVEN_BACK, self._given_back)

    def read(self, already_heard: int = 0) -> Remains:
        """What is written; of the jobs given back only those after the first ``already_heard``."""
        count = self._number(_GIVEN_BACK)
        first = max(already_heard, count - _RING_LENGTH)
        given_back = [
            self._number(_RING + place % _RING_LENGTH * _NUMBER.size) for place in range(first, count)
        ]
        return Remains(self._number(_BEGUN), self._number(_FINISHED), self._number(_PART), given_back)

    def close(self) -> None:
        """Give the memory back. Twice is fine."""
        self._memory.close()

    def _number(self, place: int) -> int:
        number: int = _NUMBER.unpack_from(self._memory, place)[0]
        return number
