"""Where a worker was: the stacks that ``faulthandler`` writes into a file without a name, lent by the supervisor.

The file outlives the worker, so what a crash in native code wrote last is read at its burial. It is opened to append
and emptied before a dump is asked for: it holds the last one, whatever else the worker does.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from dynflow_mp.executor.page import nameless_file

_MOST_BYTES = 256 * 1024
_MOST_LINES = 50
_MOST_LINE = 300
_FRAME = "  File "
_THREAD = "(most recent call first):"
_CURRENT = "Current thread "
_WAY_IN = ('File "<frozen runpy>"', f'File "{Path(__file__).parents[1]}{os.sep}')


def new_file(directory: Path) -> int:
    """A descriptor of an empty file for stacks."""
    fd = nameless_file(directory, "dynflow worker stacks")
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    return fd


def forget(fd: int) -> None:
    """What it says from now on is new."""
    os.ftruncate(fd, 0)


def read(fd: int) -> str:
    """All of it; of very much the last."""
    size = os.fstat(fd).st_size
    return os.pread(fd, _MOST_BYTES, max(0, size - _MOST_BYTES)).decode("utf-8", "backslashreplace")


def main_stack(dump: str) -> tuple[str, ...]:
    """The main thread's stack in a dump that was asked for, turned round: the innermost call last.

    It has the threads from the youngest to the oldest, which is the main one.
    """
    stacks = [stack for _, stack in _stacks(dump)]
    return stacks[-1] if stacks else ()


def crashed_stack(dump: str) -> tuple[str, ...]:
    """The stack of the thread that crashed, innermost call last; the main one's if it was no thread of Python's."""
    stacks = list(_stacks(dump))
    current = [stack for title, stack in stacks if title.startswith(_CURRENT)]
    return current[-1] if current else (stacks[-1][1] if stacks else ())


def fatal_words(dump: str) -> str:
    """The interpreter's own last word, such as ``Fatal Python error: Segmentation fault``; empty if there is none."""
    words = [line for line in dump.splitlines() if line.startswith("Fatal Python error")]
    return words[-1] if words else ""


def _stacks(dump: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The title and the stack of each thread."""
    title, frames = "", list[str]()
    for line in [*dump.splitlines(), _THREAD]:
        if line.endswith(_THREAD):
            if title and frames:
                yield title, tuple(_without_the_way_in(list(reversed(frames[:_MOST_LINES]))))
            title, frames = line, []
        elif line.startswith(_FRAME):
            frames.append(line.strip()[:_MOST_LINE])


def _without_the_way_in(frames: list[str]) -> list[str]:
    """The frames from the user's first on; all of them if none is the user's."""
    for position, frame in enumerate(frames):
        if not frame.startswith(_WAY_IN):
            return frames[position:]
    return frames
