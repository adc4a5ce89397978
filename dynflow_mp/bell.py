"""Wakes a thread that sleeps in a poll: any thread rings, the owner silences."""

from __future__ import annotations

import os
from contextlib import suppress
from threading import RLock


class Bell:
    """A pipe whose end ``fd`` the owner polls; rung many times before it is heard, it rings once."""

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe()
        for fd in (self.fd, self._write_fd):
            os.set_blocking(fd, False)
        self._rung = False
        self._closed = False
        # A signal handler may ring in the middle of a ring of its own thread.
        self._guard = RLock()

    def ring(self) -> None:
        """Wake the owner. Ringing a closed bell does nothing."""
        if self._rung or self._closed:
            return
        self._rung = True
        # Once it is closed, another file may have its number, and would get what is written.
        with self._guard:
            if not self._closed:
                with suppress(BlockingIOError):  # full: it rings already
                    os.write(self._write_fd, b"!")

    def silence(self) -> None:
        """Only the owner, before it looks at what the bell was rung for: then nothing can be missed."""
        try:
            while len(os.read(self.fd, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass
        self._rung = False

    def close(self) -> None:
        """Twice is fine."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            os.close(self._write_fd)
            os.close(self.fd)
