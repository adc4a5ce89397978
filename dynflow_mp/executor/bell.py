"""Wakes a thread that sleeps in a poll: any thread rings, the owner silences."""

from __future__ import annotations

import os


class Bell:
    """A pipe with at most a few bytes in it; ``fd`` is what the owner polls."""

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe()
        for fd in (self.fd, self._write_fd):
            os.set_blocking(fd, False)
        self._closed = False

    def ring(self) -> None:
        """Wake the owner. Ringing a closed bell does nothing."""
        if self._closed:
            return
        try:
            os.write(self._write_fd, b"!")
        except BlockingIOError:
            return  # full: it rings already
        except OSError:
            if not self._closed:
                raise

    def silence(self) -> None:
        """Take out what was rung; only the owner does."""
        try:
            while len(os.read(self.fd, 4096)) == 4096:
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Twice is fine."""
        if not self._closed:
            self._closed = True
            os.close(self._write_fd)
            os.close(self.fd)
