"""A thread beside the core: started, asked to end, waited for."""

from __future__ import annotations

from threading import Event, Thread


class Background:
    """Owns the daemon thread ``dynflow <name>``; who derives from it says in ``_run`` what it does until ``_stopping`` is set."""

    def __init__(self, name: str) -> None:
        self._stopping = Event()
        self._thread = Thread(target=self._run, name=f"dynflow {name}", daemon=True)

    def start(self) -> None:
        """Once."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Twice is fine, before start too."""
        self._stopping.set()
        self._interrupt()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _interrupt(self) -> None:
        """Wake the thread from what else it may wait for than ``_stopping``."""

    def _run(self) -> None:
        raise NotImplementedError
