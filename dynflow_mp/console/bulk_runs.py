"""Changes of many plans at once: what they would be, those that run, and how far they are."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

from dynflow_mp.console.answers import refused_of
from dynflow_mp.console.refusals import Refused
from dynflow_mp.errors import DynflowError
from dynflow_mp.telemetry import logger

log = logger("console")

DEEDS = ("resume", "cancel", "skip_and_resume", "halt")
ENOUGH_OF_THE_SAME = 3
"""So many plans with the same error end a run, if it is not said otherwise."""
MOST_OF_THE_SAME = 100_000
_MOST_KEPT = 50
_MOST_AT_WORK = 4


class StartedRun(NamedTuple):
    """One that was started here. ``run`` is the world's, with ``progress`` and ``stop()``.

    ``stop_on_same_error``: so many plans with the same error end it; None: it never ends by itself.
    """

    id: str
    deed: str
    by: str
    run: Any
    stop_on_same_error: int | None

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return bool(self.run.finished.done())


class BulkRuns:
    """The runs that were started in this console, the last ones of them. Any thread may call it; it owns its table."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self._runs: OrderedDict[str, StartedRun] = OrderedDict()
        self._lock = Lock()

    def preview(self, deed: str, plans: Sequence[str] | Any, by: str) -> Any:
        """How many plans it would concern, and why not others: nothing is done."""
        return self._asked(deed, plans, by, lambda bulk: bulk.preview())

    def start(
        self,
        deed: str,
        plans: Sequence[str] | Any,
        by: str,
        stop_on_same_error: int | None = ENOUGH_OF_THE_SAME,
    ) -> StartedRun:
        """Begin; it ends by itself when so many plans have come back with the same error (None: it does not)."""
        if sum(not run.ended for run in self.all()) >= _MOST_AT_WORK:
            raise Refused(409, f"{_MOST_AT_WORK} such runs are at work; wait for one, or stop it.")
        log.info("%s: %s of many plans", by, deed, extra={"action": "deed", "by": by})
        run = self._asked(deed, plans, by, lambda bulk: bulk.run(stop_on_same_error=stop_on_same_error))
        started = StartedRun(secrets.token_hex(8), deed, by, run, stop_on_same_error)
        with self._lock:
            self._runs[started.id] = started
            self._forget()
        return started

    def all(self) -> list[StartedRun]:
        """The last of them, newest first."""
        with self._lock:
            return list(reversed(self._runs.values()))

    def find(self, run_id: str) -> StartedRun:
        """One of them. Raises :class:`Refused` for none."""
        with self._lock:
            found = self._runs.get(run_id)
        if found is None:
            raise Refused(404, "There is no such run here; perhaps the console was started again since.")
        return found

    def stop(self, run_id: str, by: str) -> StartedRun:
        """Begin nothing more of it; what was resumed goes on."""
        found = self.find(run_id)
        log.info("%s: stop run %s", by, run_id, extra={"action": "deed", "by": by})
        found.run.stop()
        return found

    def _asked(self, deed: str, plans: Any, by: str, ask: Any) -> Any:
        if deed not in DEEDS:
            raise Refused(400, f"deed: must be one of {', '.join(DEEDS)}", field="deed")
        try:
            return ask(self._world.bulk(deed, plans, by=by))
        except DynflowError as error:
            raise refused_of(error) from error

    def _forget(self) -> None:
        """The oldest that have ended."""
        for run in [run for run in self._runs.values() if run.ended]:
            if len(self._runs) <= _MOST_KEPT:
                return
            del self._runs[run.id]
