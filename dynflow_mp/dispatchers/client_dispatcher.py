"""The client's end of the wire: requests out, futures resolved.

any thread: execute, event … ─┐
connector: receive ───────────┴▶ inbox ─▶ thread "dynflow client dispatcher": ClientDecisions
                                             │ Send ─▶ connector    │ LookUp, Route, StopUnowned ─▶ store
                                             └ LoadPlan, Resolve, Fail ─▶ notifier: the future
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Protocol, TypeVar

from dynflow_mp.connectors.connector import Connector
from dynflow_mp.director.protocol import UNATTENDED
from dynflow_mp.dispatchers.client_decisions import ClientDecisions, PlanStatus, Timings
from dynflow_mp.dispatchers.decisions import (
    Decision,
    Fail,
    FailUnlessTaken,
    LoadPlan,
    LookUp,
    Resolve,
    Route,
    Send,
    StopUnowned,
)
from dynflow_mp.dispatchers.notifier import Notifier
from dynflow_mp.dispatchers.room import Room
from dynflow_mp.errors import (
    DynflowError,
    PersistenceError,
    RequestError,
    TooManyRequests,
    WorldTerminated,
)
from dynflow_mp.failpoints import failpoint
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.messages import (
    CancelPlan,
    Drain,
    Envelope,
    Event,
    Execution,
    HaltPlan,
    Ping,
    Status,
    Workers,
)
from dynflow_mp.model.workers_report import WorkersReport
from dynflow_mp.telemetry import logger

log = logger("dispatchers.client")

_STOP_S = 5.0
_THREAD_ENDS_S = 3.0
_NOTIFIER_LOOK_S = 0.5
_READ_PATIENCE_S = 45.0
"""For a database that is away for half a minute, and is tried again for a quarter by each call."""
_READ_PAUSE_S = 0.5
T = TypeVar("T")


class PlanWatch(Protocol):
    """What the dispatcher needs of the store: where plans stand, and whether a step has taken an event."""

    def plan_statuses(self, plan_ids: Sequence[str]) -> Mapping[str, PlanStatus]: ...
    def event_was_taken(self, event_id: str) -> bool: ...


_Note = Callable[[float], Sequence[Decision]]


class ClientDispatcher:
    """Sends requests and resolves their futures, which end whatever is lost on the way.

    The table of open requests belongs to its own thread; all methods may be called from any. Futures
    are resolved on a notifier thread, plans loaded there.
    """

    future_kind: ClassVar[type[Future[Any]]] = Future

    def __init__(
        self,
        world_id: str,
        connector: Connector,
        plans: PlanWatch,
        load_plan: Callable[[str], Any],
        executor_of: Callable[[str], str | None],
        *,
        stop_unowned: Callable[[str, Audit | None], bool] = lambda plan_id, audit: False,
        add_audit: Callable[[Audit], None] = lambda audit: None,
        no_executor_timeout_s: float = 5.0,
        reask_interval_s: float = 10.0,
        accept_timeout_s: float = 1.0,
        retry_s: float = 0.2,
        max_open_requests: int = 50_000,
        chance: random.Random | None = None,
    ) -> None:
        self._world_id, self._connector, self._plans = world_id, connector, plans
        self._load_plan, self._executor_of = load_plan, executor_of
        self._stop_unowned, self._add_audit = stop_unowned, add_audit
        timings = Timings(no_executor_timeout_s, reask_interval_s, accept_timeout_s, retry_s)
        draw = (chance or random.Random()).random
        self._decisions = ClientDecisions(world_id, timings, draw, time.monotonic())
        self._numbers = count(1)
        self._futures: dict[str, Future[Any]] = {}
        self._audits: dict[str, Audit] = {}
        """Requests of somebody's that have not been sent yet."""
        self._room = Room(max_open_requests, lambda: len(self._futures))
        self._inbox: SimpleQueue[_Note] = SimpleQueue()
        self._notifier = Notifier()
        # A signal handler may trigger in the middle of a trigger of its own thread.
        self._guard = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stopped: DynflowError | None = None
        self._over = False
        """Nothing more is to be heard: the thread's own word."""

    def start(self) -> None:
        """Begin to work on what is asked. Once stopped, it stays so."""
        with self._guard:
            if self._thread is None and self._stopped is None:
                self._thread = threading.Thread(
                    target=self._run, name="dynflow client dispatcher", daemon=True
                )
                self._thread.start()

    def stop(self, reason: str = "this world has ended") -> None:
        """Fail everything open with :class:`WorldTerminated` and take nothing more."""
        with self._guard:
            if self._stopped is not None:
                return
            self._stopped = error = WorldTerminated(reason)
            thread = self._thread
            self._inbox.put(lambda now: self._end(error))
        if thread is not None and thread is not threading.current_thread():
            thread.join(_THREAD_ENDS_S)
        self._fail_everything(error)  # that thread may be stuck, in a database say
        self._notifier.finish(_STOP_S)

    @property
    def open_requests(self) -> int:
        """How many futures are not resolved yet."""
        return len(self._futures)

    def wait_for_room(self, patience_s: float) -> None:
        """Wait while too many requests are open. Raises :class:`TooManyRequests` when that does not help.

        Before anything is stored for a request: what cannot be waited for is not begun.
        """
        if self._room.full and not self._room.wait(patience_s, lambda: self._stopped is not None):
            raise TooManyRequests(
                f"{self._room.most:,} requests are open; wait for some of them, or have max_open_requests higher"
            )

    # -- requests ------------------------------------------------------------------------------

    def execute(self, plan_id: str, queue: str = "default", *, yielding: bool = False) -> Future[Any]:
        """Have any executor run the plan. The future gets what ``load_plan`` gives once the attempt ended.

        ``yielding``: whoever else asks for the plan is not refused because of this.
        """
        message = Execution(plan_id, queue)
        # No other thread of this world that asks on nobody's behalf counts under this name.
        request_id = f"{UNATTENDED}{self._world_id}-execute-{next(self._numbers)}" if yielding else None
        return self._publish(
            lambda request_id, now: self._decisions.execute(request_id, message, now), request_id
        )

    def watch(self, plan_id: str) -> Future[Any]:
        """Wait for a plan that was asked for already. The future gets what ``load_plan`` gives once the attempt ended."""
        message = Execution(plan_id)
        return self._publish(lambda request_id, now: self._decisions.watch(request_id, message, now))

    def event(
        self,
        plan_id: str,
        step_id: int,
        data: bytes,
        optional: bool = False,
        delay_s: float | None = None,
        event_id: str | None = None,
        audit: Audit | None = None,
    ) -> Future[bool]:
        """Bring an event to the world that runs the plan. True once the run that took it is stored.

        ``event_id``: one that it was sent under before, perhaps by another world; it is taken once all the same.
        """
        message = Event(plan_id, step_id, data, optional, delay_s)
        return self._publish(
            lambda request_id, now: self._decisions.event(request_id, message, now), event_id, audit
        )

    def cancel(self, plan_id: str, force: bool = False, audit: Audit | None = None) -> Future[list[int]]:
        """Have Cancel, or with ``force`` Abort, sent to the plan's steps that can take it; which those are."""
        message = CancelPlan(plan_id, force)
        return self._publish(
            lambda request_id, now: self._decisions.cancel(request_id, message, now), audit=audit
        )

    def halt(self, plan_id: str, audit: Audit | None = None) -> Future[Any]:
        """Have the plan stopped. The future gets what ``load_plan`` gives once it is."""
        message = HaltPlan(plan_id)
        return self._publish(
            lambda request_id, now: self._decisions.halt(request_id, message, now), audit=audit
        )

    def ping(self, world_id: str, timeout_s: float) -> Future[bool]:
        """True if the core of that world turns; fails if it does not say so in time."""
        return self._publish(
            lambda request_id, now: self._decisions.ask(request_id, Ping(), world_id, timeout_s, now)
        )

    def status(
        self, world_id: str, plan_id: str | None = None, timeout_s: float = 10.0
    ) -> Future[dict[str, dict[str, int]]]:
        """How busy that world is, per queue; with ``plan_id`` how much of its queue is that plan's."""
        message = Status(plan_id)
        return self._publish(
            lambda request_id, now: self._decisions.ask(request_id, message, world_id, timeout_s, now)
        )

    def workers(self, world_id: str, timeout_s: float) -> Future[WorkersReport]:
        """What that world tells about its workers."""
        return self._publish(
            lambda request_id, now: self._decisions.ask(request_id, Workers(), world_id, timeout_s, now)
        )

    def drain(self, world_id: str, timeout_s: float, audit: Audit | None = None) -> Future[bool]:
        """True once that world has begun to end."""
        return self._publish(
            lambda request_id, now: self._decisions.ask(request_id, Drain(), world_id, timeout_s, now),
            audit=audit,
        )

    def _publish(
        self,
        decide: Callable[[str, float], Sequence[Decision]],
        request_id: str | None = None,
        audit: Audit | None = None,
    ) -> Future[Any]:
        """``audit`` is written down just before the request is first sent, which it is not if that cannot be done."""
        future = self.future_kind()
        # A request cannot be taken back, and a cancelled future could not be resolved.
        future.set_running_or_notify_cancel()
        own_id = request_id or f"{self._world_id}-{next(self._numbers)}"
        with self._guard:
            known = self._futures.get(own_id)
            if known is not None:
                return known
            if self._stopped is None:
                self._futures[own_id] = future
                if audit is not None:
                    self._audits[own_id] = audit
                self._inbox.put(lambda now: self._begin(own_id, decide, now))
                return future
        future.set_exception(self._stopped)
        return future

    # -- from the connector's thread -----------------------------------------------------------

    def receive(self, envelope: Envelope) -> None:
        """A response has come."""
        self._inbox.put(lambda now: self._decisions.heard(envelope, now))

    def undeliverable(self, envelope: Envelope, error: DynflowError) -> None:
        """A request went nowhere."""
        self._inbox.put(lambda now: self._decisions.undeliverable(envelope, error, now))

    # -- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._over:
            note = self._next_note()
            now = time.monotonic()
            if note is not None:
                self._carry_out(self._heard(note, now))
            self._carry_out(self._heard(self._decisions.due, now))

    def _heard(self, note: _Note, now: float) -> Sequence[Decision]:
        try:
            return note(now)
        except Exception:
            # All other requests still want their answers: this thread must not end with one of them.
            log.exception("the client dispatcher stumbled", extra={"action": "client_stumbled"})
            return ()

    def _begin(
        self, request_id: str, decide: Callable[[str, float], Sequence[Decision]], now: float
    ) -> Sequence[Decision]:
        try:
            return decide(request_id, now)
        except Exception as error:
            self._resolve(request_id, partial(_raise, RequestError(f"the request cannot be made: {error!r}")))
            raise

    def _next_note(self) -> _Note | None:
        try:
            return self._inbox.get(timeout=self._wait_s())
        except Empty:
            return None

    def _wait_s(self) -> float | None:
        waits = _NOTIFIER_LOOK_S if self._notifier.look_after() else None
        due = self._decisions.next_due()
        if due is None:
            return waits
        until_due = max(0.0, due - time.monotonic())
        return until_due if waits is None else min(waits, until_due)

    def _carry_out(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            try:
                self._do(decision)
            except Exception:
                # One request's trouble must not leave all others without an answer.
                log.exception("the client dispatcher stumbled", extra={"action": "client_stumbled"})

    def _do(self, decision: Decision) -> None:
        match decision:
            case Send(envelope):
                if self._audits and not self._noted(envelope.request_id):
                    return
                self._connector.send(envelope)
                failpoint("request_sent", when=lambda: isinstance(envelope.message, Execution))
            case LoadPlan(request_id, plan_id):
                self._resolve(request_id, partial(self._patiently, self._load_plan, plan_id))
            case Resolve(request_id, value):
                self._resolve(request_id, lambda: value)
            case Fail(request_id, error):
                self._resolve(request_id, partial(_raise, error))
            case FailUnlessTaken(request_id, error):
                self._resolve(request_id, partial(self._taken_or, request_id, error))
            case Route(request_id, plan_id):
                self._route(request_id, plan_id)
            case StopUnowned(request_id, plan_id):
                self._stop(request_id, plan_id)
            case LookUp(plan_ids):
                self._look_up(plan_ids)

    def _noted(self, request_id: str) -> bool:
        """Whether nobody wants it known that this is asked for, or it is written down; else the request fails."""
        audit = self._audits.pop(request_id, None)
        if audit is None:
            return True
        try:
            self._add_audit(audit.as_asked)
        except Exception as error:
            ours = error if isinstance(error, DynflowError) else RequestError(f"not asked: {error}")
            self._carry_out(self._decisions.failed(request_id, ours))
            return False
        return True

    def _resolve(self, request_id: str, value: Callable[[], Any]) -> None:
        if self._audits:
            self._audits.pop(request_id, None)
        future = self._futures.pop(request_id, None)
        if future is not None:
            self._notifier.put(partial(_fulfil, future, value))
            self._room.tell()

    def _taken_or(self, request_id: str, error: DynflowError) -> bool:
        """On the notifier's thread, as all that is read for a future."""
        if self._patiently(self._plans.event_was_taken, request_id):
            return True
        raise error

    def _patiently(self, read: Callable[[str], T], of: str) -> T:
        """What became of a request is stored: a database that is away when it is read only delays the future."""
        give_up_at = time.monotonic() + _READ_PATIENCE_S
        while True:
            try:
                return read(of)
            except PersistenceError as error:
                if not error.passes or self._stopped is not None or time.monotonic() >= give_up_at:
                    raise
            time.sleep(_READ_PAUSE_S)  # nothing to wait on but time; others' futures go on in another thread

    def _route(self, request_id: str, plan_id: str) -> None:
        try:
            world_id = self._executor_of(plan_id)
        except Exception as error:
            self._not_found_out(request_id, plan_id, error)
        else:
            self._carry_out(self._decisions.routed(request_id, world_id, time.monotonic()))

    def _stop(self, request_id: str, plan_id: str) -> None:
        try:
            done = self._stop_unowned(plan_id, self._audits.get(request_id))
        except Exception as error:
            self._not_found_out(request_id, plan_id, error)
        else:
            self._carry_out(self._decisions.stopped(request_id, done, time.monotonic()))

    def _not_found_out(self, request_id: str, plan_id: str, error: Exception) -> None:
        """A database that is away for a while is no answer."""
        if isinstance(error, PersistenceError) and error.passes:
            self._carry_out(self._decisions.postponed(request_id, error, time.monotonic()))
        else:
            self._carry_out(self._decisions.failed(request_id, _as_ours(error, plan_id)))

    def _look_up(self, plan_ids: Sequence[str]) -> None:
        try:
            statuses = self._plans.plan_statuses(plan_ids)
        except Exception as error:
            log.warning(
                "the plans waited for could not be looked up, they will be again: %s",
                error,
                extra={"action": "look_up_failed"},
            )
        else:
            decisions = self._decisions.found(statuses, plan_ids, time.monotonic())
            self._carry_out(decisions)
            for decision in decisions:
                if isinstance(decision, (LoadPlan, Fail, FailUnlessTaken)):
                    self._connector.settled(decision.request_id)

    def _end(self, error: DynflowError) -> Sequence[Decision]:
        self._over = True
        self._carry_out(self._decisions.stop(error))
        self._fail_everything(error)  # published, and their notes still in the inbox
        return ()

    def _fail_everything(self, error: DynflowError) -> None:
        """Any thread may do it: each future is taken out by one of them."""
        for request_id in list(self._futures):
            self._resolve(request_id, partial(_raise, error))


def _fulfil(future: Future[Any], value: Callable[[], Any]) -> None:
    try:
        result = value()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def _raise(error: DynflowError) -> None:
    raise error


def _as_ours(error: Exception, plan_id: str) -> DynflowError:
    if isinstance(error, DynflowError):
        return error
    return RequestError(f"nothing could be done about plan {plan_id}: {error}", plan_id)
