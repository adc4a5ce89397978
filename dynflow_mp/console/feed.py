"""Who is told of changes: one thread looks at the database for all who listen, and for nobody else.

    listener ── topic ──▶ Feed (thread "dynflow console feed") ── looks ──▶ database
       ▲                     │ something is not as it was
       └──── Change ─────────┘

A listener that is slow misses what came in between, and gets what is the case now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Mapping
from threading import Event, Lock, Thread
from typing import Any, NamedTuple, Protocol

from dynflow_mp.clock import monotonic
from dynflow_mp.console.refusals import Refused
from dynflow_mp.errors import DynflowError
from dynflow_mp.telemetry import logger

log = logger("console.feed")

_SHARE = 10
"""The feed looks for at most a tenth of the time, however long that takes."""
_LONGEST_PAUSE_S = 60.0
_END_S = 5.0


class Change(NamedTuple):
    """What is the case now; ``data`` is plain."""

    name: str
    data: Mapping[str, Any]


class Topic(Protocol):
    """Something that can be looked at again and again."""

    @property
    def key(self) -> Hashable:
        """Listeners of the same are served by one look."""

    def look(self, world: Any) -> tuple[object, Change]:
        """What is compared with what was found before, and what is told when it differs."""


class Listener:
    """One who waits for changes, on an event loop of its own; the feed leaves the last one there."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()
        self._latest: Change | None = None
        self._closed = False

    def tell(self, change: Change) -> None:
        """From the feed's thread."""
        self._latest = change
        self._ring()

    def close(self) -> None:
        """No more changes come. From any thread."""
        self._closed = True
        self._ring()

    async def changes(self, seconds: float) -> AsyncIterator[Change]:
        """One after the other, until the feed ends, for so long at most."""
        end = monotonic() + seconds
        while (left_s := end - monotonic()) > 0:
            try:
                await asyncio.wait_for(self._rung.wait(), left_s)
            except TimeoutError:
                return
            self._rung.clear()
            change, self._latest = self._latest, None
            if change is not None:
                yield change
            if self._closed:
                return

    def _ring(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._rung.set)
        except RuntimeError:
            log.debug("a listener's event loop is closed already", extra={"action": "listener_gone"})


class Feed:
    """Looks for all listeners, while there are some. Any thread may call it; its thread owns what was seen."""

    def __init__(self, world: Any, interval_s: float, most: int) -> None:
        self._world, self._interval_s, self._most = world, interval_s, most
        self._listeners: set[Listener] = set()
        self._lock = Lock()
        self._woken = Event()
        self._thread: Thread | None = None
        self._ended = False
        self._broken: set[Hashable] = set()
        """What it was said of that it cannot be looked at; the thread's."""

    def join(self, listener: Listener) -> None:
        """Tell it of changes from now on; first, of how things are. Raises :class:`Refused` when too many listen."""
        with self._lock:
            if self._ended:
                raise Refused(503, "This console is ending.")
            if len(self._listeners) >= self._most:
                raise Refused(503, "Too many pages are open already.", {"Retry-After": "30"})
            self._listeners.add(listener)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="dynflow console feed", daemon=True)
                self._thread.start()
        self._woken.set()

    def leave(self, listener: Listener) -> None:
        """Tell it nothing any more; with the last one the thread ends."""
        with self._lock:
            self._listeners.discard(listener)
        self._woken.set()

    def close(self) -> None:
        """Tell nobody anything any more, for good."""
        with self._lock:
            self._ended, thread = True, self._thread
            listeners, self._listeners = self._listeners, set()
        for listener in listeners:
            listener.close()
        self._woken.set()
        if thread is not None:
            thread.join(_END_S)

    @property
    def listeners(self) -> int:
        """How many listen."""
        with self._lock:
            return len(self._listeners)

    @property
    def full(self) -> bool:
        """Whether nobody more can."""
        with self._lock:
            return self._ended or len(self._listeners) >= self._most

    def _run(self) -> None:
        seen: dict[Hashable, tuple[object, Change]] = {}
        told: dict[Listener, object] = {}
        self._broken.clear()
        while listeners := self._present():
            began = monotonic()
            if self._world.terminating:
                self._end_all()
                return
            seen = self._seen({listener.topic.key: listener.topic for listener in listeners}, seen)
            told = _tell(listeners, seen, told)
            took_s = monotonic() - began
            self._pause(min(max(self._interval_s, took_s * _SHARE), _LONGEST_PAUSE_S), listeners)

    def _present(self) -> list[Listener]:
        """Who listens; where nobody does, the next who comes starts another thread."""
        with self._lock:
            if not self._listeners:
                self._thread = None
            return list(self._listeners)

    def _pause(self, seconds: float, listeners: list[Listener]) -> None:
        """Until it is time to look again; a newcomer is told at once."""
        until = monotonic() + seconds
        while (left_s := until - monotonic()) > 0:
            self._woken.wait(left_s)
            self._woken.clear()
            with self._lock:
                if not self._listeners or self._listeners - set(listeners):
                    return

    def _seen(
        self, topics: Mapping[Hashable, Topic], before: Mapping[Hashable, tuple[object, Change]]
    ) -> dict[Hashable, tuple[object, Change]]:
        found: dict[Hashable, tuple[object, Change]] = {}
        for key, topic in topics.items():
            try:
                found[key] = topic.look(self._world)
                self._broken.discard(key)
            except DynflowError as error:
                # It may pass; the page shows what it has.
                log.debug("%s cannot be looked at: %s", key, error, extra={"action": "feed_look_failed"})
                if key in before:
                    found[key] = before[key]
            except Exception:
                # Whatever is the matter with one, those who listen to others go on being told.
                if key not in self._broken:
                    log.exception("%s cannot be looked at", key, extra={"action": "feed_look_broke"})
                    self._broken.add(key)
        return found

    def _end_all(self) -> None:
        with self._lock:
            self._ended, self._thread = True, None
            listeners, self._listeners = self._listeners, set()
        for listener in listeners:
            listener.close()


def _tell(
    listeners: list[Listener],
    seen: Mapping[Hashable, tuple[object, Change]],
    told: Mapping[Listener, object],
) -> dict[Listener, object]:
    """Tell those for whom something is new; what each was told last."""
    now: dict[Listener, object] = {}
    for listener in listeners:
        known = seen.get(listener.topic.key)
        if known is None:
            if listener in told:
                now[listener] = told[listener]
            continue
        if listener not in told or told[listener] != known[0]:
            listener.tell(known[1])
        now[listener] = known[0]
    return now
