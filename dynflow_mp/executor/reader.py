"""Reads plans and payloads for the core, on a thread of its own: the core never reads in a turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import NamedTuple, Protocol, TypeAlias

from dynflow_mp.director.instructions import RunErrand
from dynflow_mp.director.stimuli import PlanUnavailable
from dynflow_mp.errors import DynflowError, InvalidPlan, PersistenceError, PlanNotFound, RequestError
from dynflow_mp.executor.briefs import BRIEFS
from dynflow_mp.executor.errands import ErrandBriefed, ErrandUnbriefed
from dynflow_mp.executor.feeder import FreshWanted
from dynflow_mp.executor.shelf import PageWanted, PayloadPage
from dynflow_mp.model.messages import Failed
from dynflow_mp.model.plans import Payload, PlanSkeleton
from dynflow_mp.model.sub_plans import Briefing
from dynflow_mp.telemetry import logger

log = logger("executor.reader")

SMALL_PLAN = 2048
"""Plans of up to so many steps come with all their payloads."""
_LOOKS = 5
_RETRY_S = 0.2
_PATIENCE_S = 30.0


class PlanStore(Protocol):
    """What the reader needs of the store."""

    def take_up(self, plan_id: str, payloads_up_to: int) -> tuple[PlanSkeleton, list[Payload]]: ...
    def take_up_fresh(
        self, plan_ids: Sequence[str], up_to_steps: int
    ) -> tuple[list[tuple[PlanSkeleton, list[Payload]]], list[str]]: ...
    def briefing(self, plan_id: str, action_id: int) -> Briefing: ...
    def load_payloads(self, plan_id: str, action_ids: Sequence[int]) -> list[Payload]: ...
    def load_outputs(self, plan_id: str, action_ids: Sequence[int]) -> dict[int, bytes]: ...


class PlanLoaded(NamedTuple):
    """A plan came in. ``payloads`` are all of a small plan's, none of a large one's."""

    skeleton: PlanSkeleton
    payloads: list[Payload]
    holder_request_id: str | None


class FreshLoaded(NamedTuple):
    """Plans that are to be run came in, whole; those that somebody else has taken are not among them."""

    loaded: tuple[PlanLoaded, ...]


class PageFailed(NamedTuple):
    """A page could not be read; ``reason`` says why."""

    wanted: PageWanted
    reason: str


ReaderNews = (
    PlanLoaded | FreshLoaded | PlanUnavailable | PayloadPage | PageFailed | ErrandBriefed | ErrandUnbriefed
)
Question: TypeAlias = str | PageWanted | FreshWanted | RunErrand
"""A plan's id, a page of payloads, plans that are to be run, or what an errand needs."""


class Reader:
    """Owns its thread and its questions; delivers answers by calling ``deliver`` on its thread.

    A database that does not answer is asked again for half a minute before the answer is a failure.
    """

    def __init__(
        self,
        store: PlanStore,
        holder_request_id: Callable[[str], str | None],
        deliver: Callable[[ReaderNews], None],
    ) -> None:
        self._store = store
        self._holder_request_id = holder_request_id
        self._deliver = deliver
        self._questions: SimpleQueue[Question | None] = SimpleQueue()
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="dynflow reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread; questions not answered yet are dropped."""
        self._stopping.set()
        self._questions.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def ask(self, question: Question) -> None:
        """Ask for a plan (by id), for a page, for plans that are to be run, or for what an errand needs."""
        self._questions.put(question)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                question = self._questions.get(timeout=1.0)
            except Empty:
                continue
            if question is not None:
                self._answer(question)

    def _answer(self, question: Question) -> None:
        waited = 0.0
        while True:
            try:
                self._deliver(self._read(question))
                return
            except PersistenceError as error:
                if waited >= _PATIENCE_S or self._stopping.wait(_RETRY_S):
                    self._deliver(_failure(question, error))
                    return
                waited += _RETRY_S
                log.warning("reading failed, trying again", extra={"action": "read_retry"}, exc_info=error)
            except Exception as error:
                # Whatever it is, someone waits for an answer.
                log.error("reading failed", extra={"action": "read_failed"}, exc_info=error)
                self._deliver(_failure(question, error))
                return

    def _read(self, question: Question) -> ReaderNews:
        if isinstance(question, PageWanted):
            return self._page(question)
        if isinstance(question, FreshWanted):
            return self._fresh(question)
        if isinstance(question, RunErrand):
            return ErrandBriefed(question, BRIEFS[question.kind](self._store, question))
        return self._plan(question)

    def _plan(self, plan_id: str) -> ReaderNews:
        try:
            return self._loaded(plan_id)
        except (PlanNotFound, InvalidPlan) as error:
            return PlanUnavailable(plan_id, Failed.of(error))

    def _loaded(self, plan_id: str) -> PlanLoaded:
        """The plan, and under which request its owner runs it, as of one moment.

        Row and lock are two reads. An owner without a lock means that it has let go of the plan (or
        lost it) in between: then the row is old, and to say "running elsewhere" would be wrong.
        """
        for _ in range(_LOOKS):
            skeleton, payloads = self._store.take_up(plan_id, SMALL_PLAN)
            if skeleton.owner_id is None:
                return PlanLoaded(skeleton, payloads, None)
            holder = self._holder_request_id(plan_id)
            if holder is not None:
                return PlanLoaded(skeleton, payloads, holder)
        return PlanLoaded(skeleton, payloads, None)

    def _page(self, wanted: PageWanted) -> PayloadPage:
        payloads = self._store.load_payloads(wanted.plan_id, wanted.action_ids)
        outputs = {}
        if wanted.producer_ids:
            outputs = self._store.load_outputs(wanted.plan_id, wanted.producer_ids)
        briefings = {
            action_id: self._store.briefing(wanted.plan_id, action_id).to_bytes()
            for action_id in wanted.briefed
        }
        return PayloadPage(wanted, payloads, outputs, briefings)

    def _fresh(self, wanted: FreshWanted) -> FreshLoaded:
        found, large = self._store.take_up_fresh(wanted.plan_ids, SMALL_PLAN)
        news = [PlanLoaded(skeleton, payloads, None) for skeleton, payloads in found]
        news += [loaded for plan_id in large if isinstance(loaded := self._plan(plan_id), PlanLoaded)]
        return FreshLoaded(tuple(news))


def _failure(question: Question, error: Exception) -> ReaderNews:
    reason = f"{type(error).__name__}: {error}"
    if isinstance(question, FreshWanted):
        return FreshLoaded(())  # they stay requested: the reconciler asks for them
    if isinstance(question, PageWanted):
        return PageFailed(question, reason)
    if isinstance(question, RunErrand):
        return ErrandUnbriefed(question, reason)
    known = error if isinstance(error, DynflowError) else RequestError(reason, question)
    return PlanUnavailable(question, Failed.of(known))
