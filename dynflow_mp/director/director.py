"""Decides for all plans of one executor world: one way in, nothing done here.

PlanRequested ─▶ LoadPlan … PlanArrived ─▶ ClaimPlan, Answer(Accepted), ReadySteps
StepsSent ─▶ MarkRunning      StepFinished ─▶ SaveOutcome, ReadySteps | ReadyFinalize | SavePlan, Answer(Done)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynflow_mp.director.callers import HINT, Callers
from dynflow_mp.director.events import SUB_PLANS
from dynflow_mp.director.failures import DEFAULT_CONDUCT, Conduct
from dynflow_mp.director.instructions import Answer, DropPlan, Instruction, LoadPlan, SendEvent, WakeAt
from dynflow_mp.director.looks import Looks
from dynflow_mp.director.protocol import NOBODY, UNATTENDED, Asker, attended
from dynflow_mp.director.running_plan import RunningPlan
from dynflow_mp.director.stimuli import (
    CancelRequested,
    ChunksWritten,
    DeadlineDue,
    DrainBegun,
    DrainEnded,
    ErrandFinished,
    ErrandLost,
    EventArrived,
    EventDue,
    FinalizeFinished,
    HaltRequested,
    PlanArrived,
    PlanLost,
    PlanOffered,
    PlanRequested,
    PlanUnavailable,
    StepDue,
    StepFinished,
    StepLost,
    StepsReturned,
    StepsSent,
    Stimulus,
)
from dynflow_mp.errors import (
    AlreadyRunning,
    NoExecutor,
    NotExecutable,
    PeerBusy,
    PlanStopped,
    RequestError,
    UnprocessableEvent,
    WorldTerminated,
)
from dynflow_mp.model.codec import decode
from dynflow_mp.model.messages import Accepted, Done, Failed
from dynflow_mp.model.plans import Caller, PlanSkeleton
from dynflow_mp.model.policies import RESCUE, RescueStrategy
from dynflow_mp.model.states import PlanState
from dynflow_mp.model.work import ErrorRecord, PlannedEvent

ErrandAsker = Callable[[ErrandFinished | ErrandLost, int], list[Instruction]]

_EXECUTABLE = (PlanState.PLANNED, PlanState.PAUSED)


class Director:
    """The plans this executor has taken. Owned by the core's thread."""

    def __init__(self, world_id: str, conduct: Conduct = DEFAULT_CONDUCT) -> None:
        self.world_id = world_id
        self._conduct = conduct
        self._plans: dict[str, RunningPlan] = {}
        self._arriving: dict[str, Asker] = {}
        self._asked_meanwhile: set[str] = set()
        """Those of them that were asked for once more: what is being read of them may be out of date."""
        # Whose end was said but may not be stored yet: if it cannot be, their askers are still waiting.
        self._ended: dict[str, Asker] = {}
        self._looks = Looks()
        self._callers = Callers()
        self._draining = False
        # Who hears what came of errands, by their kind; who has RunErrand given enters itself.
        self._errand_askers: dict[str, ErrandAsker] = {RESCUE: self._rescue_told}
        self._handlers: dict[type, Callable[[Any, int], list[Instruction]]] = {
            StepFinished: self._step_finished,
            StepsSent: self._steps_sent,
            ChunksWritten: self._chunks_written,
            PlanRequested: self._plan_requested,
            PlanArrived: self._plan_arrived,
            PlanOffered: self._plan_offered,
            PlanUnavailable: self._plan_unavailable,
            FinalizeFinished: self._finalize_finished,
            StepsReturned: self._steps_returned,
            StepLost: self._step_lost,
            EventArrived: self._event_arrived,
            EventDue: self._event_due,
            CancelRequested: self._cancel_requested,
            HaltRequested: self._halt_requested,
            StepDue: self._step_due,
            DeadlineDue: self._deadline_due,
            PlanLost: self._plan_lost,
            ErrandFinished: self._errand_ended,
            ErrandLost: self._errand_ended,
            DrainBegun: self._drain_begun,
            DrainEnded: self._drain_ended,
        }

    def handle(self, stimulus: Stimulus, now: int) -> list[Instruction]:
        """What to write and to do about ``stimulus``; ``now`` in microseconds UTC."""
        return self._handlers[type(stimulus)](stimulus, now)

    def give_up(self, plan_id: str, reason: str) -> list[Instruction]:
        """Something about this plan could not be decided: drop it, and tell whoever waits. Its rows are the caller's to free."""
        plan = self._plans.pop(plan_id, None)
        asker = self._arriving.pop(plan_id, None) or (None if plan is None else plan.asker)
        dropped: list[Instruction] = [DropPlan(plan_id)]
        if asker is None:
            return dropped
        error = RequestError(f"plan {plan_id} cannot be gone on with: {reason}", plan_id)
        return [*dropped, _refusal(asker, error)]

    @property
    def plan_ids(self) -> list[str]:
        """The plans that are running here."""
        return list(self._plans)

    @property
    def running(self) -> int:
        """How many plans are running here."""
        return len(self._plans)

    def only_looks(self, plan_id: str, event_id: str) -> bool:
        """Whether this event, when it is due, only has a step look after its sub-plans."""
        plan = self._plans.get(plan_id)
        return plan is not None and plan.deliveries.only_looks(event_id)

    def runs(self, plan_id: str) -> bool:
        return plan_id in self._plans

    def knows(self, plan_id: str) -> bool:
        """Whether the plan runs here, is on its way here, or has ended in this turn."""
        return any(plan_id in plans for plans in (self._plans, self._arriving, self._ended))

    def settle(self) -> None:
        """What was said so far is stored; what could not be was told by PlanLost."""
        self._ended.clear()

    # -- plans come --------------------------------------------------------------------------------

    def _plan_requested(self, request: PlanRequested, now: int) -> list[Instruction]:
        asker = Asker(request.client_id, request.request_id)
        known = self._arriving.get(request.plan_id) or self._asker_of(request.plan_id)
        if known is not None:
            return self._asked_again(request.plan_id, asker, known)
        if self._draining:
            error = WorldTerminated(
                f"world {self.world_id} is draining and takes no new plans", request.plan_id
            )
            return [_refusal(asker, error)]
        self._arriving[request.plan_id] = asker
        return [LoadPlan(request.plan_id)]

    def _asker_of(self, plan_id: str) -> Asker | None:
        plan = self._plans.get(plan_id)
        return None if plan is None else plan.asker

    def _asked_again(self, plan_id: str, asker: Asker, known: Asker) -> list[Instruction]:
        if asker == known:
            # Accepted is said when the plan is claimed; for a running one, say it again.
            if plan_id in self._plans:
                return [_acceptance(asker, plan_id)]
            self._asked_meanwhile.add(plan_id)
            return []
        if not known.waits:
            return self._now_attended(plan_id, asker)
        return [_refusal(asker, _already_running(plan_id, known.request_id))]

    def _now_attended(self, plan_id: str, asker: Asker) -> list[Instruction]:
        """Nobody waited for the plan so far: from now on ``asker`` does."""
        plan = self._plans.get(plan_id)
        if plan is None:
            self._arriving[plan_id] = asker
            return []
        plan.asker = asker
        return [_acceptance(asker, plan_id)]

    def _plan_arrived(self, news: PlanArrived, now: int) -> list[Instruction]:
        skeleton = news.skeleton
        asker = self._arriving.pop(skeleton.id, None)
        if asker is None:
            return []
        if skeleton.owner_id == self.world_id:
            return self._look_again(skeleton.id, skeleton.lock_epoch, asker)
        if skeleton.id in self._ended:
            # Read before the plan ran here to its end, which this turn stores: it is read again after that.
            self._arriving[skeleton.id] = asker
            return [LoadPlan(skeleton.id)]
        self._looks.over(skeleton.id)
        holder = news.holder_request_id
        asked_meanwhile = skeleton.id in self._asked_meanwhile
        self._asked_meanwhile.discard(skeleton.id)
        if skeleton.owner_id is not None and asked_meanwhile:
            # Perhaps because its owner was dead and it has been taken over since it was read.
            self._arriving[skeleton.id] = asker
            return [LoadPlan(skeleton.id)]
        if skeleton.owner_id is not None and (holder == asker.request_id or not attended(holder)):
            # For this very request, or for nobody.
            return [_acceptance(asker, skeleton.id)]
        if skeleton.owner_id is None and skeleton.state is PlanState.PAUSED and skeleton.requested_at is None:
            # A repeat of a request whose attempt has ended. To run the plan again would be to resume it,
            # which nobody has asked for.
            return [Answer(asker.client_id, asker.request_id, Done())]
        error = self._objection(skeleton, holder)
        if error is not None:
            return [_refusal(asker, error)]
        instructions = self._claim(skeleton, asker, now)
        return [instructions[0], _acceptance(asker, skeleton.id), *instructions[1:]]

    def _look_again(self, plan_id: str, epoch: int, asker: Asker) -> list[Instruction]:
        """The store says that a plan runs here which does not: it was read before its end was stored, or was given up."""
        if self._looks.again(plan_id, epoch):
            self._arriving[plan_id] = asker
            return [LoadPlan(plan_id)]
        return [_refusal(asker, _given_up(plan_id, self.world_id))]

    def _plan_offered(self, offer: PlanOffered, now: int) -> list[Instruction]:
        """Take a plan that nobody waits for, unless it is on its way for somebody who does, or has just ended here.

        A claim in the turn that stores the plan's end would take the row of the run before for its own.
        """
        skeleton = offer.skeleton
        if self.knows(skeleton.id) or skeleton.requested_at is None or self._objection(skeleton) is not None:
            return []
        request_id = f"{UNATTENDED}{skeleton.id}-{skeleton.lock_epoch}"
        return self._claim(skeleton, Asker(NOBODY, request_id), now)

    def _claim(self, skeleton: PlanSkeleton, asker: Asker, now: int) -> list[Instruction]:
        plan = self._plans[skeleton.id] = RunningPlan(skeleton, asker, self.world_id, self._conduct)
        if skeleton.caller is not None:
            self._callers.begun(skeleton.caller)
        return self._and_forget(plan, plan.claim(now), now)

    def _objection(self, skeleton: PlanSkeleton, holder: str | None = None) -> RequestError | None:
        plan_id, state = skeleton.id, skeleton.state
        if self._draining:
            return WorldTerminated(f"world {self.world_id} takes no new plans", plan_id)
        if skeleton.owner_id is not None:
            return _changes_hands(plan_id) if holder is None else _already_running(plan_id, holder)
        if state is PlanState.STOPPED:
            return PlanStopped(f"plan {plan_id} is stopped; it cannot be executed again", plan_id)
        if state not in _EXECUTABLE:
            return NotExecutable(
                f"plan {plan_id} is {state}; only planned and paused plans can be executed", plan_id
            )
        return None

    def _plan_unavailable(self, news: PlanUnavailable, now: int) -> list[Instruction]:
        asker = self._arriving.pop(news.plan_id, None)
        self._asked_meanwhile.discard(news.plan_id)
        self._looks.over(news.plan_id)
        return [] if asker is None else [Answer(*asker, news.response, news.plan_id)]

    def _plan_lost(self, news: PlanLost, now: int) -> list[Instruction]:
        """Drop the plan and look again: whoever has it now may run it for the same request."""
        self._looks.not_stored(news.plan_id)
        plan = self._plans.pop(news.plan_id, None)
        if plan is not None and plan.caller is not None:
            self._callers.ended(plan.caller, now)
        asker = self._ended.pop(news.plan_id, None) if plan is None else plan.asker
        if asker is None or news.plan_id in self._arriving:
            # Asked for again since it ended: it is being looked at for that request. Who asked before
            # finds the plan in the store.
            return []
        self._arriving[news.plan_id] = asker
        self._looks.but_once(news.plan_id)
        return [DropPlan(news.plan_id), LoadPlan(news.plan_id)]

    # -- steps go and come -------------------------------------------------------------------------

    def _steps_sent(self, news: StepsSent, now: int) -> list[Instruction]:
        plan = self._plans.get(news.plan_id)
        return [] if plan is None else plan.sent(news.step_ids, now)

    def _step_finished(self, news: StepFinished, now: int) -> list[Instruction]:
        plan = self._plans.get(news.plan_id)
        if plan is None:
            return []
        instructions = plan.finished(news.attempt, news.outcome, now, news.worker_pid)
        return self._and_forget(plan, instructions, now) if plan.ended else instructions

    def _chunks_written(self, news: ChunksWritten, now: int) -> list[Instruction]:
        plan = self._plans.get(news.plan_id)
        return [] if plan is None else plan.written(news)

    def _finalize_finished(self, news: FinalizeFinished, now: int) -> list[Instruction]:
        plan = self._plans.get(news.plan_id)
        return [] if plan is None else self._and_forget(plan, plan.finalized(news, now), now)

    def _steps_returned(self, news: StepsReturned, now: int) -> list[Instruction]:
        plan = self._plans.get(news.plan_id)
        return [] if plan is None else self._and_forget(plan, plan.returned(news.step_ids, now), now)

    def _step_lost(self, news: StepLost, now: int) -> list[Instruction]:
        plan = self._plans.get(news.plan_id)
        return [] if plan is None else self._and_forget(plan, plan.lost(news, now), now)

    def _step_due(self, news: StepDue, now: int) -> list[Instruction]:
        plan = self._plans.get(news.plan_id)
        return [] if plan is None else self._and_forget(plan, plan.step_due(news, now), now)

    def _deadline_due(self, news: DeadlineDue, now: int) -> list[Instruction]:
        plan = self._plans.get(news.plan_id)
        return [] if plan is None else self._and_forget(plan, plan.expire(now), now)

    # -- events ------------------------------------------------------------------------------------

    def _event_arrived(self, event: EventArrived, now: int) -> list[Instruction]:
        plan = self._plans.get(event.plan_id)
        if plan is None:
            error = UnprocessableEvent(
                f"plan {event.plan_id} does not run here; only running plans take events",
                event.plan_id,
            )
            return [Answer(event.client_id or "", event.request_id, Failed.of(error), event.plan_id)]
        return plan.deliveries.take(event, now)

    def _event_due(self, news: EventDue, now: int) -> list[Instruction]:
        if news.event_id.startswith(HINT):
            return self._pause_over(news, now)
        plan = self._plans.get(news.plan_id)
        return [] if plan is None else plan.deliveries.due(news.event_id)

    # -- errands -----------------------------------------------------------------------------------

    def _errand_ended(self, news: ErrandFinished | ErrandLost, now: int) -> list[Instruction]:
        asker = self._errand_askers.get(news.kind)
        return [] if asker is None else asker(news, now)

    def _rescue_told(self, news: ErrandFinished | ErrandLost, now: int) -> list[Instruction]:
        plan = self._plans.get(news.plan_id)
        if plan is None:
            return []
        if isinstance(news, ErrandFinished) and news.result is not None:
            said = decode(news.result)
            strategy = None if said is None else RescueStrategy(said)
            return self._and_forget(plan, plan.rescue_told(news.errand_id, strategy, now), now)
        reason = news.message if isinstance(news, ErrandLost) else _message_of(news.error)
        return self._and_forget(plan, plan.rescue_untold(news.errand_id, reason, now), now)

    # -- whoever waits for sub-plans ---------------------------------------------------------------

    def _sub_plan_ended(self, caller: Caller, now: int) -> list[Instruction]:
        tell, look_at = self._callers.ended(caller, now)
        if tell:
            return self._tell(caller.plan_id, caller.step_id)
        if look_at is None:
            return []
        return [WakeAt(look_at, caller.plan_id, f"{HINT}{caller.step_id}")]

    def _pause_over(self, news: EventDue, now: int) -> list[Instruction]:
        step_id = int(news.event_id.removeprefix(HINT))
        if not self._callers.pause_over(news.plan_id, step_id, now):
            return []
        return self._tell(news.plan_id, step_id)

    def _tell(self, plan_id: str, step_id: int | None) -> list[Instruction]:
        """Hint at what has become of sub-plans; a caller that runs elsewhere may as well miss it."""
        if step_id is None:
            return []
        plan = self._plans.get(plan_id)
        if plan is not None:
            return plan.deliveries.hint(step_id)
        return [SendEvent(PlannedEvent(plan_id, step_id, SUB_PLANS, None, True))]

    # -- cancel and halt ---------------------------------------------------------------------------

    def _cancel_requested(self, request: CancelRequested, now: int) -> list[Instruction]:
        plan = self._plans.get(request.plan_id)
        return [self._not_here(request)] if plan is None else plan.cancel(request, now)

    def _halt_requested(self, request: HaltRequested, now: int) -> list[Instruction]:
        plan = self._plans.get(request.plan_id)
        if plan is None:
            return [self._not_here(request)]
        asker = Asker(request.client_id, request.request_id)
        return self._and_forget(plan, plan.halt(asker, now), now)

    def _not_here(self, request: CancelRequested | HaltRequested) -> Answer:
        """It has ended, or gone elsewhere, since the client looked: it looks again."""
        error = NoExecutor(f"world {self.world_id} does not run plan {request.plan_id}", request.plan_id)
        return Answer(request.client_id, request.request_id, Failed.of(error))

    # -- the end -----------------------------------------------------------------------------------

    def _drain_begun(self, news: DrainBegun, now: int) -> list[Instruction]:
        self._draining = True
        return []

    def _drain_ended(self, news: DrainEnded, now: int) -> list[Instruction]:
        instructions: list[Instruction] = []
        for plan_id, asker in self._arriving.items():
            error = WorldTerminated(f"world {self.world_id} ended", plan_id)
            instructions.append(_refusal(asker, error))
        for plan in self._plans.values():
            instructions += plan.halted(now) if plan.halting else plan.handed_over(now)
        self._arriving.clear()
        self._asked_meanwhile.clear()
        self._plans.clear()
        return instructions

    def _and_forget(self, plan: RunningPlan, instructions: list[Instruction], now: int) -> list[Instruction]:
        """What follows besides when the plan has ended."""
        if not plan.ended:
            return instructions
        del self._plans[plan.id]
        self._ended[plan.id] = plan.asker
        self._looks.ended(plan.id, plan.epoch)
        return instructions if plan.caller is None else instructions + self._sub_plan_ended(plan.caller, now)


def _message_of(error: bytes | None) -> str:
    return "" if error is None else ErrorRecord.from_bytes(error).message


def _already_running(plan_id: str, holder: str) -> AlreadyRunning:
    return AlreadyRunning(f"plan {plan_id} is already running", plan_id, holder)


def _changes_hands(plan_id: str) -> PeerBusy:
    """Its row has an owner and its lock has none: that lasts for a moment, or until the owner is recovered from."""
    return PeerBusy(f"plan {plan_id} is changing hands", plan_id)


def _given_up(plan_id: str, world_id: str) -> RequestError:
    return RequestError(
        f"world {world_id} gave plan {plan_id} up, because its rows could not be written; "
        "it is left paused, with an error",
        plan_id,
    )


def _acceptance(asker: Asker, plan_id: str) -> Answer:
    return Answer(asker.client_id, asker.request_id, Accepted(), plan_id)


def _refusal(asker: Asker, error: RequestError) -> Answer:
    # Without the plan's id: an answer that names a plan is withheld when that plan is lost.
    return Answer(asker.client_id, asker.request_id, Failed.of(error))
