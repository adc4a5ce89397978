"""The same done to many plans, a few at a time, by a thread of its own that stops when it does no good.

plan ids, or a query ─▶ Bulk ─▶ preview: how many could have it done
                          └──▶ run ─▶ thread: begin ─▶ future ─▶ its end is counted ─▶ the next …
                                        └─ the same error again and again, stop(), the world ends ─▶ nothing more is begun
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Protocol

from dynflow_mp.errors import BadArgument, DynflowError, WorldTerminated
from dynflow_mp.model.audits import author
from dynflow_mp.model.states import Phase
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.reading.library import Library
from dynflow_mp.reading.normalised_error import normalised_error
from dynflow_mp.reading.recorded_error import RecordedError
from dynflow_mp.telemetry import logger
from dynflow_mp.world.bulk_course import (
    MOST_AT_ONCE,
    SUCCEEDED,
    BulkPreview,
    BulkProgress,
    Course,
    Deed,
    End,
    Standing,
    deed_of,
    end_of_refused,
    end_of_resumed,
    preview,
    why_not,
)

__all__ = ["Bulk", "BulkPreview", "BulkProgress", "BulkRun", "Deed"]

log = logger("world.bulk")

MOST_PLANS = 100_000
_LOOK_S = 0.25
"""How often to look whether it is to end."""
_SLOW_S = 30.0
"""A plan that runs on for longer makes room for the next; its end is counted all the same."""
_MOST_OPEN = 1_000
_WORLD_ENDED = "the world ended"


class ListQuery(Protocol):
    """A query for plans, as lists of them are asked for."""

    def filters(self) -> Mapping[str, Any]: ...


class Steered(Protocol):
    """What of a world is needed here."""

    persistence: Library

    @property
    def terminating(self) -> bool: ...
    def execute(self, plan_id: str, *, by: str | None = None) -> Future[ExecutionPlan]: ...
    def skip(self, plan_id: str, step_id: int, *, by: str | None = None) -> list[int]: ...
    def cancel(self, plan_id: str, *, by: str | None = None) -> Future[list[int]]: ...
    def halt(self, plan_id: str, *, by: str | None = None) -> Future[ExecutionPlan]: ...


class Bulk:
    """A deed to be done to many plans, which are chosen when this is made: ``plans`` are ids, or a query.

    ``same_error`` names what errors have in common that are the same. Raises :class:`BadArgument`,
    :class:`PlanNotFound` for what is no id of a plan, :class:`QueryError`.
    """

    def __init__(
        self,
        world: Steered,
        statuses: Callable[[Sequence[str]], Mapping[str, Standing]],
        deed: Deed | str,
        plans: Iterable[str] | ListQuery,
        by: str | None,
        same_error: Callable[[RecordedError], str],
        run_class: type[BulkRun] | None = None,
    ) -> None:
        self.deed, self.by = deed_of(deed), author(by)
        self.plan_ids = _chosen(plans, world.persistence)
        """The plans, each once, in the order in which it is done to them."""
        self._world, self._statuses, self._same_error = world, statuses, same_error
        self._run_class = run_class or BulkRun

    def preview(self) -> BulkPreview:
        """To how many of them it could be done now, and why not to the others; nothing is done."""
        return preview(self.deed, self.plan_ids, self._statuses(self.plan_ids))

    def run(self, stop_on_same_error: int | None = 3, at_once: int = 20) -> BulkRun:
        """Begin to do it, ``at_once`` plans at a time, in the background.

        It stops by itself once plans have failed ``stop_on_same_error`` times with the same error (None: never), and
        ends with its world. A plan that runs for long makes room for the next after half a minute.
        """
        most = stop_on_same_error
        if most is not None and (type(most) is not int or most < 1):
            raise BadArgument(f"stop_on_same_error={most!r}: must be a whole number from 1, or None")
        if type(at_once) is not int or not 1 <= at_once <= MOST_AT_ONCE:
            raise BadArgument(f"at_once={at_once!r}: must be a whole number from 1 to {MOST_AT_ONCE}")
        return self._run_class(self, self._world, self._statuses, self._same_error, most, at_once)


class BulkRun:
    """A deed that is being done to many plans. ``finished`` ends with its last progress, whatever happens."""

    def __init__(
        self,
        bulk: Bulk,
        world: Steered,
        statuses: Callable[[Sequence[str]], Mapping[str, Standing]],
        same_error: Callable[[RecordedError], str],
        stop_on_same_error: int | None,
        at_once: int,
    ) -> None:
        self.bulk = bulk
        self.finished: Future[BulkProgress] = Future()
        self.finished.set_running_or_notify_cancel()
        self._world, self._statuses, self._same_error = world, statuses, same_error
        self._at_once = at_once
        self._course = Course(len(bulk.plan_ids), stop_on_same_error)
        self._stop = threading.Event()
        self._waiting: deque[str] = deque()
        self._young: dict[str, float] = {}
        """Plans that were begun a short time ago, and when."""
        self._open: set[str] = set()
        self._ends: SimpleQueue[tuple[str, Future[Any]]] = SimpleQueue()
        self._start()

    @property
    def progress(self) -> BulkProgress:
        """How far it is just now."""
        return self._course.progress

    def stop(self) -> None:
        """Begin nothing more; what was begun goes on."""
        self._stop.set()

    def _start(self) -> None:
        threading.Thread(target=self._run, name="dynflow bulk", daemon=True).start()

    # -- the thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._choose()
            while self._go_on():
                self._hear()
        except Exception as error:
            self._stumbled(error)
        finally:
            self._finish()

    def _stumbled(self, error: Exception) -> None:
        if not isinstance(error, DynflowError):
            log.exception("a bulk deed stumbled", extra={"action": "bulk_stumbled"})
        self._course.stop(f"it cannot go on: {error}")

    def _finish(self) -> None:
        self._course.finish()
        self.finished.set_result(self._course.progress)

    def _choose(self) -> None:
        """Those to which it can be done; the others are skipped."""
        plan_ids = self.bulk.plan_ids
        standings = self._statuses(plan_ids)
        for plan_id in plan_ids:
            if why_not(self.bulk.deed, standings.get(plan_id)) is None:
                self._waiting.append(plan_id)
            else:
                self._course.refused()

    def _go_on(self) -> bool:
        """Begin what there is room for; whether there is anything to wait for."""
        if self._world.terminating:
            self._course.stop(_WORLD_ENDED)
            return False  # their futures end with it, and nobody is left to count them for
        if self._stop.is_set():
            self._course.stop("it was told to")
        while self._waiting and not self._course.stopped and self._has_room():
            self._begin(self._waiting.popleft())
        return bool(self._open)

    def _has_room(self) -> bool:
        oldest = next(iter(self._young), None)
        while oldest is not None and monotonic() - self._young[oldest] > _SLOW_S:
            del self._young[oldest]
            oldest = next(iter(self._young), None)
        return len(self._young) < self._at_once and len(self._open) < _MOST_OPEN

    def _begin(self, plan_id: str) -> None:
        try:
            future = self._do(plan_id)
        except WorldTerminated:
            self._waiting.appendleft(plan_id)
            self._course.stop(_WORLD_ENDED)
            return
        except Exception as error:
            self._course.begun()
            self._course.ended(self._told(error, plan_id))
            return
        self._course.begun()
        self._open.add(plan_id)
        self._young[plan_id] = monotonic()
        future.add_done_callback(lambda ended: self._ended(plan_id, ended))

    def _ended(self, plan_id: str, future: Future[Any]) -> None:
        self._ends.put((plan_id, future))

    def _do(self, plan_id: str) -> Future[Any]:
        world, by = self._world, self.bulk.by
        match self.bulk.deed:
            case Deed.CANCEL:
                return world.cancel(plan_id, by=by)
            case Deed.HALT:
                return world.halt(plan_id, by=by)
            case Deed.SKIP_AND_RESUME:
                for step in world.persistence.load_execution_plan(plan_id).failed_steps:
                    if step.phase is not Phase.PLAN:
                        world.skip(plan_id, step.id, by=by)
        return world.execute(plan_id, by=by)

    def _hear(self) -> None:
        """What came of plans, as far as it has come."""
        try:
            plan_id, future = self._ends.get(timeout=_LOOK_S)
        except Empty:
            return
        self._open.discard(plan_id)
        self._young.pop(plan_id, None)
        self._course.ended(self._end_of(plan_id, future))

    def _end_of(self, plan_id: str, future: Future[Any]) -> End:
        error = future.exception()
        if error is not None:
            return self._told(error, plan_id)
        if self.bulk.deed in (Deed.CANCEL, Deed.HALT):
            return SUCCEEDED
        try:
            plan: ExecutionPlan = future.result()
            errors = plan.errors
            same = self._same_error(errors[0]) if errors else None
            return end_of_resumed(plan.state, plan.result, same)
        except Exception as damaged:
            return self._told(damaged, plan_id)

    def _told(self, error: BaseException, plan_id: str) -> End:
        log.info(
            "%s of plan %s came to nothing: %s",
            self.bulk.deed,
            plan_id,
            error,
            extra={"action": "bulk_refused", "plan_id": plan_id},
        )
        return end_of_refused(error)


def same_error(error: RecordedError) -> str:
    """What an error has in common with others that differ in numbers, ids, times and the like."""
    alike = normalised_error(error.exception_class, error.message)
    return f"{alike.exception_class}: {alike.message}"


def _chosen(plans: Iterable[str] | ListQuery, library: Library) -> list[str]:
    """The ids, each once."""
    if isinstance(plans, (str, bytes)):
        raise BadArgument("plan_ids must be several, or a query")
    filters = getattr(plans, "filters", None)
    if filters is not None:
        # Counted first: what is far too many is not read to be told so.
        _check_number(library.count_execution_plans(filters()))
        found = list(library.find_statuses(filters()))
    elif isinstance(plans, Iterable):
        found = list(dict.fromkeys(plan_id_of(plan_id) for plan_id in plans))
    else:
        raise BadArgument(f"plan_ids={plans!r}: must be the ids of plans, or a query")
    _check_number(len(found))
    return found


def _check_number(number: int) -> None:
    if number > MOST_PLANS:
        raise BadArgument(f"{number:,} plans are more than {MOST_PLANS:,}; choose fewer")
