"""What a client does about its open requests: decided here, done by the client dispatcher.

    Execution:  asked ──Accepted──▶ accepted ──Done──▶ load the plan, resolve
                  │ ▲                  │
       no answer, │ │ ask again        └─ the store says: ended ─▶ as Done; unowned ─▶ ask again
       no room    ▼ │
                 waiting ── nobody there for too long ──▶ NoExecutor

Every request ends, whatever is lost: by its answer, by a look into the store, or by its time limit.
Pure: time is given, what to do is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import NamedTuple, Protocol

from dynflow_mp.director.protocol import attended
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
from dynflow_mp.dispatchers.event_lines import EventLines
from dynflow_mp.dispatchers.open_requests import OpenRequests, Tracked
from dynflow_mp.dispatchers.refusals import nobody_runs, nobody_there
from dynflow_mp.errors import (
    AlreadyRunning,
    DynflowError,
    NoExecutor,
    PeerBusy,
    PlanNotFound,
    PlanStopped,
    ProtocolError,
    RequestError,
    RequestTimeout,
    UnknownReceiver,
    WorldTerminated,
)
from dynflow_mp.model.messages import (
    ANY_EXECUTOR,
    Accepted,
    CancelPlan,
    Done,
    Drain,
    Envelope,
    Event,
    Execution,
    ExecutionStatus,
    Failed,
    HaltPlan,
    Ping,
    Pong,
    Request,
    Status,
    Told,
    Workers,
    WorkersTold,
)
from dynflow_mp.model.states import PlanState
from dynflow_mp.model.workers_report import WorkersReport


class PlanStatus(Protocol):
    """What the store says about a plan, as far as it concerns who waits for it."""

    @property
    def state(self) -> str: ...
    @property
    def owner_id(self) -> str | None: ...
    @property
    def requested_at(self) -> int | None: ...


class Timings(NamedTuple):
    """How patient a client is, in seconds."""

    no_executor_timeout_s: float = 5.0
    reask_interval_s: float = 10.0
    accept_timeout_s: float = 1.0
    retry_s: float = 0.2
    watch_s: float = 0.5


class ClientDecisions:
    """All open requests of one client and what is to be done about each."""

    def __init__(
        self, world_id: str, timings: Timings, chance: Callable[[], float], now: float = 0.0
    ) -> None:
        self._world_id, self._timings, self._chance = world_id, timings, chance
        self._open = OpenRequests()
        self._lines = EventLines()
        self._look_at = now + self._jittered_interval()

    def __len__(self) -> int:
        return len(self._open)

    # -- requests of this world ----------------------------------------------------------------

    def execute(self, request_id: str, message: Execution, now: float) -> list[Decision]:
        """Have a plan run by whoever has room."""
        return self._begin(request_id, message, now)

    def watch(self, request_id: str, message: Execution, now: float) -> list[Decision]:
        """Wait for a plan that somebody else has asked for."""
        tracked = self._open.add(Tracked(request_id, message, ANY_EXECUTOR, watching=True))
        return self._look(tracked, message.plan_id, now)

    @property
    def watched(self) -> tuple[str, ...]:
        """The plans that are waited for and that somebody else has asked for."""
        return tuple(
            tracked.message.plan_id
            for tracked in self._open
            if tracked.watching and isinstance(tracked.message, Execution)
        )

    def _look(self, tracked: Tracked, plan_id: str, now: float) -> list[Decision]:
        """At once, or in a moment together with others that watch it."""
        others = any(other.watching and other is not tracked for other in self._open.about(plan_id)[:2])
        self._open.wake(tracked, _beat(now if others else now + self._timings.watch_s))
        return [] if others else [LookUp((plan_id,))]

    def event(self, request_id: str, message: Event, now: float) -> list[Decision]:
        """Bring an event to the world that runs its plan, behind those that were sent to its step before."""
        tracked = self._open.add(Tracked(request_id, message, ANY_EXECUTOR))
        self._lines.join(tracked)
        return [self._ask(tracked, now)]

    def cancel(self, request_id: str, message: CancelPlan, now: float) -> list[Decision]:
        """Have the world that runs the plan send Cancel or Abort to its steps."""
        return self._begin(request_id, message, now)

    def halt(self, request_id: str, message: HaltPlan, now: float) -> list[Decision]:
        """Have the plan stopped by the world that runs it; one that nobody runs is stopped here."""
        return self._begin(request_id, message, now)

    def _begin(self, request_id: str, message: Request, now: float) -> list[Decision]:
        return [self._ask(self._open.add(Tracked(request_id, message, ANY_EXECUTOR)), now)]

    def ask(
        self,
        request_id: str,
        message: Ping | Status | Workers | Drain,
        world_id: str,
        timeout_s: float,
        now: float,
    ) -> list[Decision]:
        """Ask one world something it answers at once, or never."""
        tracked = self._open.add(Tracked(request_id, message, world_id))
        self._open.wake(tracked, now + timeout_s)
        return [self._send(tracked)]

    # -- what the wire says --------------------------------------------------------------------

    def heard(self, envelope: Envelope, now: float) -> list[Decision]:
        """A response came. Nothing follows from one that nobody waits for."""
        tracked = self._open.get(envelope.request_id)
        if tracked is None:
            return []
        response = envelope.message
        if isinstance(response, Accepted):
            if isinstance(tracked.message, Execution):  # nobody looks into the store for all the others
                tracked.accepted, tracked.due, tracked.nobody_since, tracked.silences = True, None, None, 0
            return []
        if isinstance(response, Failed):
            return self._failed(tracked, response, now)
        if isinstance(response, Done):
            return self._done(tracked)
        if isinstance(response, Told):
            return self._end(tracked, Resolve(tracked.request_id, response.step_ids))
        if isinstance(response, Pong):
            return self._end(tracked, Resolve(tracked.request_id, True))
        if isinstance(response, ExecutionStatus):
            return self._end(tracked, Resolve(tracked.request_id, response.queues))
        if isinstance(response, WorkersTold):
            return self._end(tracked, _reported(tracked, response))
        return []

    def undeliverable(self, envelope: Envelope, error: DynflowError, now: float) -> list[Decision]:
        """What this world sent came back."""
        tracked = self._open.get(envelope.request_id)
        if tracked is None:
            return []
        if not isinstance(tracked.message, _ABOUT_PLANS):
            return self._end(tracked, Fail(tracked.request_id, error))
        decisions = self._bounced(tracked, error, now)
        if isinstance(tracked.message, HaltPlan) and isinstance(error, UnknownReceiver) and not decisions:
            return [StopUnowned(tracked.request_id, tracked.message.plan_id)]  # who has it may be dead
        return decisions

    def _done(self, tracked: Tracked) -> list[Decision]:
        if isinstance(tracked.message, (Execution, HaltPlan)):
            return self._end(tracked, LoadPlan(tracked.request_id, tracked.message.plan_id))
        return self._end(tracked, Resolve(tracked.request_id, True))

    def _failed(self, tracked: Tracked, failure: Failed, now: float) -> list[Decision]:
        error = failure.to_error()
        message = tracked.message
        if isinstance(message, _ABOUT_PLANS) and isinstance(error, _ASK_ANOTHER):
            return self._bounced(tracked, error, now)
        if isinstance(message, (Execution, HaltPlan)) and isinstance(error, PlanStopped):
            # It was not when this was asked for: our own earlier attempt may have run it to its end and the
            # answer was lost, or it was halted meanwhile.
            return self._done(tracked)
        if isinstance(error, AlreadyRunning) and self._is_ours(tracked, error.holder):
            tracked.watching = True
            return self._look(tracked, error.plan_id or "", now)
        return self._fail(tracked, error)

    def _is_ours(self, tracked: Tracked, holder: str | None) -> bool:
        """Whether the plan is run for this client all the same.

        A request may be repeated while its answer is on its way: the repeat may reach an executor when this client
        has asked for the plan again, and be what the plan is run for. And what is asked for on nobody's behalf is
        content with anybody's run.
        """
        if not attended(tracked.request_id):
            return True
        return (
            holder is not None and holder.startswith(f"{self._world_id}-") and self._open.get(holder) is None
        )

    def _bounced(self, tracked: Tracked, error: DynflowError, now: float) -> list[Decision]:
        """Nobody took it: ask again soon, unless that has been so for too long."""
        tracked.accepted, tracked.bounced = False, True
        if isinstance(error, PeerBusy):
            tracked.nobody_since = None
        elif not isinstance(error, _NOBODY):
            return self._end(tracked, Fail(tracked.request_id, error))
        elif tracked.nobody_since is None:
            tracked.nobody_since = now
        elif now - tracked.nobody_since >= self._timings.no_executor_timeout_s:
            return self._give_up(tracked)
        self._open.wake(tracked, self._next_try(tracked, now))
        return []

    def _next_try(self, tracked: Tracked, now: float) -> float:
        """Soon, and once more exactly when patience ends."""
        if not attended(
            tracked.request_id
        ):  # there may be thousands, and executors take them up by themselves
            return now + self._jittered_interval()
        soon = now + self._timings.retry_s
        if tracked.nobody_since is None:
            return soon
        return min(soon, tracked.nobody_since + self._timings.no_executor_timeout_s)

    # -- what others found out for us ----------------------------------------------------------

    def routed(self, request_id: str, world_id: str | None, now: float) -> list[Decision]:
        """The world that runs an event's plan is found, or there is none."""
        tracked = self._open.get(request_id)
        if tracked is None:
            return []
        tracked.away_since = None
        if world_id is None and isinstance(tracked.message, HaltPlan):
            return [StopUnowned(request_id, tracked.message.plan_id)]
        if world_id is None and isinstance(tracked.message, (CancelPlan, Event)):
            # Asked to run, perhaps, and not yet begun; between two executors; or ended since.
            wanted = tracked.message.plan_id
            return [*self._bounced(tracked, NoExecutor("nobody", wanted), now), LookUp((wanted,))]
        if world_id is None:
            return []
        if not isinstance(tracked.message, Event):
            return [self._send_to(tracked, world_id, now)]
        line = [*self._lines.before(tracked, world_id), tracked]
        return [self._send_to(one, world_id, now) for one in line]

    def _send_to(self, tracked: Tracked, world_id: str, now: float) -> Send:
        tracked.receiver_id, tracked.sent_at = world_id, now
        # Done may be long in coming: the step may run for hours before it takes its next event.
        self._open.wake(tracked, now + self._jittered_interval())
        return self._send(tracked)

    def stopped(self, request_id: str, done: bool, now: float) -> list[Decision]:
        """The plan is stopped; or, ``done`` being false, somebody took it meanwhile: it is looked for again."""
        tracked = self._open.get(request_id)
        if tracked is None:
            return []
        if done:
            return self._done(tracked)
        plan_id = getattr(tracked.message, "plan_id", None)
        return self._bounced(tracked, NoExecutor(f"plan {plan_id} is not to be had", plan_id), now)

    def postponed(self, request_id: str, error: DynflowError, now: float) -> list[Decision]:
        """The store is away, so that nobody knows whom to ask: that is found out soon, unless it is away for too long."""
        tracked = self._open.get(request_id)
        if tracked is None:
            return []
        if tracked.away_since is None:
            tracked.away_since = now
        elif now - tracked.away_since >= _AWAY_S:
            return self.failed(request_id, error)
        self._open.wake(tracked, now + self._timings.retry_s)
        return []

    def failed(self, request_id: str, error: DynflowError) -> list[Decision]:
        """What a request needs could not be found out."""
        tracked = self._open.get(request_id)
        return [] if tracked is None else self._end(tracked, Fail(request_id, error))

    def found(self, statuses: Mapping[str, PlanStatus], asked: Iterable[str], now: float) -> list[Decision]:
        """What the store says of the plans we asked about."""
        decisions: list[Decision] = []
        for plan_id in dict.fromkeys(asked):
            for tracked in self._open.about(plan_id):
                if isinstance(tracked.message, _ABOUT_PLANS):
                    decisions += self._compared(tracked, plan_id, statuses.get(plan_id), now)
        return decisions

    def _compared(
        self, tracked: Tracked, plan_id: str, status: PlanStatus | None, now: float
    ) -> list[Decision]:
        if isinstance(tracked.message, Event):
            return self._may_still_run(tracked, plan_id, status)
        if status is None:
            error = PlanNotFound(f"plan {plan_id} is not stored any more", plan_id)
            return self._end(tracked, Fail(tracked.request_id, error))
        if isinstance(tracked.message, CancelPlan):
            return self._may_still_run(tracked, plan_id, status)
        if status.state == PlanState.STOPPED:
            return self._done(tracked)
        if isinstance(tracked.message, HaltPlan):
            # Who runs it is asked again and again – unless it is known to be dead.
            return [] if status.owner_id is not None else [StopUnowned(tracked.request_id, plan_id)]
        if status.owner_id is not None:
            if tracked.watching:
                tracked.nobody_since = None
            return []
        if status.state == PlanState.PAUSED and status.requested_at is None:
            return self._done(tracked)
        if tracked.watching:
            return self._unowned(tracked, status, now)
        if status.state in _UNOWNED and tracked.accepted:
            tracked.accepted = False
            return [self._ask(tracked, now)]
        return []

    def _may_still_run(self, tracked: Tracked, plan_id: str, status: PlanStatus | None) -> list[Decision]:
        """A plan that nobody runs and nobody is going to run takes no events, and has nothing to be cancelled.

        While an answer may be on its way, that is waited for.
        """
        if not tracked.bounced:
            return []
        if status is not None and (
            status.owner_id is not None or (status.requested_at is not None and status.state in _UNOWNED)
        ):
            return []
        return self._fail(
            tracked, nobody_runs(tracked.message, plan_id, None if status is None else status.state)
        )

    def _unowned(self, tracked: Tracked, status: PlanStatus, now: float) -> list[Decision]:
        """A plan that is watched has nobody who runs it: not for long, unless there is no executor."""
        if status.state not in _UNOWNED:  # it waits for its time
            tracked.nobody_since = None
        elif tracked.nobody_since is None:
            tracked.nobody_since = now
        elif now - tracked.nobody_since >= self._timings.no_executor_timeout_s:
            return self._give_up(tracked)
        return []

    # -- time ----------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """When to call :meth:`due`; None while nothing is open."""
        if not self._open:
            return None
        alarm = self._open.next_due()
        return self._look_at if alarm is None else min(self._look_at, alarm)

    def due(self, now: float) -> list[Decision]:
        """What has to be done because time has passed."""
        decisions: list[Decision] = []
        watched: dict[str, None] = {}
        for tracked in self._open.due(now):
            if tracked.watching and isinstance(tracked.message, Execution):
                self._open.wake(tracked, _beat(now + self._timings.watch_s))
                watched[tracked.message.plan_id] = None
            else:
                decisions += self._overdue(tracked, now)
        if now >= self._look_at:
            self._look_at = now + self._jittered_interval()
            watched |= {t.message.plan_id: None for t in self._open if isinstance(t.message, _LOOKED_UP)}
        if watched:
            decisions.append(LookUp(tuple(watched)))
        return decisions

    def _overdue(self, tracked: Tracked, now: float) -> list[Decision]:
        if isinstance(tracked.message, _ABOUT_PLANS):
            if not tracked.bounced:
                tracked.silences, tracked.nobody_since = tracked.silences + 1, None
            return [self._ask(tracked, now)]
        error = RequestTimeout(f"world {tracked.receiver_id} did not answer in time{_perhaps(tracked)}")
        return self._end(tracked, Fail(tracked.request_id, error))

    def stop(self, error: DynflowError) -> list[Decision]:
        """Fail all that is open."""
        return [ended for tracked in self._open for ended in self.failed(tracked.request_id, error)]

    # -- asking --------------------------------------------------------------------------------

    def _ask(self, tracked: Tracked, now: float) -> Decision:
        """Send an execution to anybody, all else to whoever runs its plan now."""
        message = tracked.message
        if isinstance(message, (Event, CancelPlan, HaltPlan)):
            tracked.due = None
            return Route(tracked.request_id, message.plan_id)
        self._open.wake(tracked, now + self._patience_s(tracked))
        return self._send(tracked)

    def _patience_s(self, tracked: Tracked) -> float:
        """Less and less often: executors that are slow to accept are not helped by repetition."""
        first = self._timings.accept_timeout_s
        return min(first * 2.0 ** min(tracked.silences, 10), max(first, self._jittered_interval()))

    def _send(self, tracked: Tracked) -> Send:
        tracked.times_sent += 1
        tracked.bounced = False
        return Send(Envelope(self._world_id, tracked.receiver_id, tracked.request_id, tracked.message))

    def _give_up(self, tracked: Tracked) -> list[Decision]:
        return self._fail(tracked, nobody_there(tracked.message, self._timings.no_executor_timeout_s))

    def _fail(self, tracked: Tracked, error: DynflowError) -> list[Decision]:
        """An event may have been taken by an executor that died before it could say so."""
        if isinstance(tracked.message, Event):
            return self._end(tracked, FailUnlessTaken(tracked.request_id, error))
        return self._end(tracked, Fail(tracked.request_id, error))

    def _end(self, tracked: Tracked, how: Decision) -> list[Decision]:
        self._open.close(tracked)
        if isinstance(tracked.message, Event):
            self._lines.leave(tracked)
        return [how]

    def _jittered_interval(self) -> float:
        """Clients started together shall not look all at once."""
        return self._timings.reask_interval_s * (0.8 + 0.4 * self._chance())


def _beat(time: float) -> float:
    """Not long after ``time``, when others are looked after, too: thousands of plans are looked up at once, not one by one."""
    return ceil(time / _BEAT_S - 1e-6) * _BEAT_S


def _reported(tracked: Tracked, told: WorkersTold) -> Decision:
    try:
        return Resolve(tracked.request_id, WorkersReport.from_data(tracked.receiver_id, told.report))
    except ProtocolError as error:
        return Fail(tracked.request_id, RequestError(str(error)))


def _perhaps(tracked: Tracked) -> str:
    """Worlds of an older version do not answer what they do not know."""
    new = isinstance(tracked.message, (Workers, Drain))
    return "; one of an older version does not know this request" if new else ""


_BEAT_S = 0.05
_AWAY_S = 45.0
"""For so long a request waits for a store that cannot say who runs its plan."""
_UNOWNED = (PlanState.PLANNED, PlanState.PAUSED, PlanState.RUNNING)
"""States in which a plan without an owner needs an executor; ``running`` is left by one that died."""
_NOBODY = (NoExecutor, UnknownReceiver, WorldTerminated)
_LOOKED_UP = (Execution, CancelPlan, HaltPlan)
"""Requests whose plan's stored state may answer them."""
_ABOUT_PLANS = (*_LOOKED_UP, Event)
_ASK_ANOTHER = (*_NOBODY, PeerBusy)
