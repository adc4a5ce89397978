"""What the program says, and that saying it never stops it: nobody may be reading any more.

any thread: log, print ──▶ LooseStream ──▶ thread "dynflow log" ──▶ standard error
"""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from copy import copy
from threading import Condition, Thread
from time import monotonic
from typing import TextIO, cast

from dynflow_mp.errors import DynflowError

STDOUT, STDERR = 1, 2
_MOST_WAITING = 1024 * 1024
"""Characters kept for a reader that is slow; what comes after them is counted and dropped."""


class LooseStream(io.TextIOBase):
    """A text stream whose writers never wait: a thread of its own does the writing.

    Who writes to a pipe that is full and that nobody reads stands still for ever, and a core that
    stands still is a dead executor. Owns its thread; all methods may be called from any.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._changed = Condition()
        self._waiting: list[str] = []
        self._characters = 0
        self._dropped = 0
        self._writing = False
        self._thread: Thread | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, text: str) -> int:
        with self._changed:
            if self._characters + len(text) > _MOST_WAITING:
                self._dropped += 1
            elif text:
                self._waiting.append(text)
                self._characters += len(text)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="dynflow log", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return len(text)

    def drain(self, patience_s: float) -> bool:
        """Wait until all is written; False if nobody takes it in time."""
        give_up_at = monotonic() + patience_s
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._writing, give_up_at - monotonic()
            )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                pieces, self._waiting, self._characters = self._waiting, [], 0
                dropped, self._dropped = self._dropped, 0
                self._writing = True
            text = "".join(pieces)
            if dropped:
                text += f"dynflow_mp: {dropped} messages before this line were dropped: nobody read them\n"
            self._write(text.encode("utf-8", "backslashreplace"))

    def _write(self, data: bytes) -> None:
        # A reader that is gone, or a full disk: what cannot be said is lost, and only that.
        with suppress(OSError):
            while data:
                data = data[os.write(self._fd, data) :]


class LineFormatter(logging.Formatter):
    """One line for each of the engine's own errors: they say what is wrong, a traceback adds nothing.

    With ``tracebacks`` they have theirs all the same.
    """

    def __init__(self, tracebacks: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        if self._tracebacks or not isinstance(error, DynflowError):
            return super().format(record)
        record = copy(record)
        record.exc_info = record.exc_text = None
        return f"{super().format(record)}: {type(error).__name__}: {error}"


def fill_standard_descriptors() -> None:
    """Make 0, 1 and 2 something harmless if they are closed.

    The next file opened would get the number: the database, and every message would be written into it.
    """
    for fd in (0, STDOUT, STDERR):
        try:
            os.fstat(fd)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), fd)


def say_ready(line: str) -> None:
    """The one line on standard output."""
    try:
        os.write(STDOUT, f"{line}\n".encode())
    except OSError as error:
        logging.getLogger("dynflow_mp.supervisor").warning(
            "nobody hears on standard output that the supervisor is ready: %s",
            error.strerror,
            extra={"action": "ready_unheard"},
        )


def set_up_log(level: str) -> LooseStream:
    """Log to standard error, which becomes a :class:`LooseStream` for all of the process."""
    stream = LooseStream(STDERR)
    sys.stderr = cast(TextIO, stream)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(tracebacks=level == "debug"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    return stream
