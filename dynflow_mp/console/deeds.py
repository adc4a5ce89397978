"""What is changed from here: in somebody's name, by asking the world, with an answer within seconds.

    deeds_of(request).resume(plan_id) ─▶ Outcome      or Refused: 404 no such plan, 409 its state, 400 what was given …

Pages and API do the same. Nothing here writes to a plan's rows: executors do, or the world's own transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from typing import Any, NamedTuple, TypeVar

from starlette.requests import Request

from dynflow_mp.console.answers import refused_of
from dynflow_mp.console.refusals import Refused
from dynflow_mp.errors import BadArgument, DynflowError, PlanNotFound, RecordNotFound, UnprocessableEvent
from dynflow_mp.model.states import Phase, PlanState, StepState
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.redaction import MASK
from dynflow_mp.telemetry import logger

log = logger("console")
T = TypeVar("T")

_RESUMABLE = (PlanState.PAUSED, PlanState.PLANNED)
_DEEPEST = 200


class Outcome(NamedTuple):
    """What a deed came to; not ``finished``: it is asked for, and under way. ``facts`` are for programs."""

    finished: bool
    sentence: str
    facts: Mapping[str, Any]


def deeds_of(request: Request) -> Deeds:
    """What the user of this request may do."""
    state = request.state
    return Deeds(state.world, state.user, state.settings.deed_wait_s)


class Deeds:
    """A world's deeds in the name of ``by``. Raises :class:`Refused` for what cannot be done."""

    def __init__(self, world: Any, by: str, wait_s: float = 3.0) -> None:
        self._world, self.by, self._wait_s = world, by, wait_s

    # -- plans -----------------------------------------------------------------------------------

    def resume(self, plan_id: str, *, sub_plans: bool = False) -> Outcome:
        """Run a plan that is paused or was only planned; with ``sub_plans`` failed ones below it, too."""
        plan_id = _id(plan_id)
        self._check_resumable(plan_id)
        self._note("resume", plan_id=plan_id)
        future = self._of_plan(plan_id, lambda: self._world.execute(plan_id, sub_plans=sub_plans, by=self.by))
        return self._of_attempt(plan_id, future)

    def skip(self, plan_id: str, step_id: int) -> Outcome:
        """Skip a failed step of a paused plan with all that needs it; the plan is not resumed by it."""
        plan_id = _id(plan_id)
        self._note("skip", plan_id=plan_id, step_id=step_id)
        skipped = self._skipped(plan_id, step_id)
        return Outcome(True, _skipped(skipped), {"plan_id": plan_id, "skipped": skipped})

    def skip_and_resume(self, plan_id: str, step_id: int | None = None) -> Outcome:
        """Skip a failed step, or all failed ones, and go on without them."""
        plan_id = _id(plan_id)
        failed = self._failed(plan_id) if step_id is None else [step_id]
        self._note("skip and resume", plan_id=plan_id, step_id=step_id)
        skipped: set[int] = set()
        for one in failed:
            if one not in skipped:
                skipped.update(self._skipped(plan_id, one))
        future = self._of_plan(plan_id, lambda: self._world.execute(plan_id, by=self.by))
        outcome = self._of_attempt(plan_id, future)
        steps = sorted(skipped)
        return Outcome(
            outcome.finished, f"{_skipped(steps)} {outcome.sentence}", {**outcome.facts, "skipped": steps}
        )

    def cancel(self, plan_id: str, *, force: bool = False) -> Outcome:
        """Tell every step that can be cancelled to end; ``force``: to give up at once."""
        plan_id = _id(plan_id)
        self._note("cancel by force" if force else "cancel", plan_id=plan_id)
        told = self._told(
            self._of_plan(plan_id, lambda: self._world.cancel(plan_id, force, by=self.by)), plan_id
        )
        if told is None:
            return self._under_way("The plan is being cancelled.", plan_id)
        steps = "it does not start" if not told else f"told: {_steps(told)}"
        return Outcome(
            True, f"The plan was asked to end ({steps}).", {"plan_id": plan_id, "step_ids": list(told)}
        )

    def halt(self, plan_id: str) -> Outcome:
        """Stop a plan for good, whatever it does."""
        plan_id = _id(plan_id)
        self._note("halt", plan_id=plan_id)
        plan = self._told(self._of_plan(plan_id, lambda: self._world.halt(plan_id, by=self.by)), plan_id)
        if plan is None:
            return self._under_way("The plan is being halted.", plan_id)
        return Outcome(True, "The plan is halted.", _facts(plan))

    def edit_input(
        self, plan_id: str, step_id: int, changes: Mapping[str, Any], *, replace: bool = False
    ) -> Outcome:
        """Change a failed step's input. What is masked cannot be written back: it would replace the secret."""
        plan_id = _id(plan_id)
        if not isinstance(changes, Mapping):
            raise Refused(400, "The changes must be an object of keys and values.", field="changes")
        if _has_mask(changes):
            raise Refused(
                400, f"{MASK} stands for what is not shown; it cannot be written back.", field="changes"
            )
        self._note("edit input", plan_id=plan_id, step_id=step_id)
        self._of_plan(
            plan_id,
            lambda: self._world.edit_input(plan_id, step_id, changes, replace=replace, by=self.by),
        )
        keys = ", ".join(sorted(changes)) or "none"
        return Outcome(
            True, f"The input of step {step_id} is changed: {keys}.", {"plan_id": plan_id, "step_id": step_id}
        )

    def event(self, plan_id: str, step_id: int, event: Any, *, optional: bool = False) -> Outcome:
        """Wake a step that waits; ``optional``: it is no error if it does not (any more)."""
        plan_id = _id(plan_id)
        self._note("event", plan_id=plan_id, step_id=step_id)
        sent = self._of_plan(
            plan_id, lambda: self._world.event(plan_id, step_id, event, optional=optional, by=self.by)
        )
        facts = {"plan_id": plan_id, "step_id": step_id}
        try:
            taken = self._told(sent, plan_id)
        except Refused as refused:
            if optional and isinstance(refused.__cause__, UnprocessableEvent):
                return Outcome(True, f"Nobody took the event: {refused}.", {**facts, "taken": False})
            raise
        if taken is None:
            return self._under_way("The event is on its way.", plan_id)
        return Outcome(True, f"Step {step_id} took the event.", {**facts, "taken": True})

    # -- worlds ----------------------------------------------------------------------------------

    def ping(self, world_id: str) -> Outcome:
        """Whether a world answers."""
        self._check_world(world_id)
        self._done(lambda: self._world.ping(world_id, timeout=self._wait_s))
        return Outcome(True, "It answers.", {"world_id": world_id})

    def execution_status(self, world_id: str) -> Mapping[str, Mapping[str, int]]:
        """How busy an executor is, per queue."""
        self._check_world(world_id)
        found: Mapping[str, Mapping[str, int]] = self._done(
            lambda: self._world.execution_status(world_id, timeout=self._wait_s)
        )
        return found

    def workers(self, world_id: str) -> Any:
        """The report of an executor about its workers."""
        self._check_world(world_id)
        return self._done(lambda: self._world.workers_report(world_id, timeout=self._wait_s))

    def drain(self, world_id: str) -> Outcome:
        """Have an executor end as a signal would: what runs is given its time."""
        self._check_world(world_id)
        self._note("drain", world_id=world_id)
        told = self._told(_ours(lambda: self._world.drain(world_id, by=self.by)))
        sentence = "It is being asked to end." if told is None else "It ends once what it runs has ended."
        return Outcome(told is not None, sentence, {"world_id": world_id})

    def invalidate(self, world_id: str) -> Outcome:
        """Declare a world dead and take its plans over."""
        self._check_world(world_id)
        self._note("invalidate", world_id=world_id)
        count = _ours(lambda: self._world.invalidate(world_id, by=self.by))
        plans = "It had no plans" if not count else f"{count:,} plan{'s' * (count > 1)} of it taken over"
        return Outcome(True, f"The world is dead. {plans}.", {"world_id": world_id, "plans": count})

    def check_validity(self, world_id: str = "") -> Outcome:
        """Look at every other world's process, and invalidate those whose is gone; said is what became of that one."""
        self._note("validity check")
        found: dict[str, str] = _ours(lambda: self._world.validity_check())
        if world_id in found:
            gone = found[world_id] != "valid"
            told = (
                "Its process is gone; it is invalidated."
                if gone
                else "Nothing says that its process is gone."
            )
            return Outcome(True, told, {"worlds": found})
        dead = sum(state != "valid" for state in found.values())
        sentence = "All worlds are valid." if not dead else f"{dead} of {len(found)} worlds invalidated."
        return Outcome(True, sentence, {"worlds": found})

    # -- how ------------------------------------------------------------------------------------

    def _check_resumable(self, plan_id: str) -> None:
        status = self._status(plan_id)
        if status.state not in _RESUMABLE:
            raise Refused(
                409,
                f"The plan has to be paused to be resumed; it is {status.state}.",
                kind="NotExecutable",
                plan_id=plan_id,
                state=str(status.state),
                result=str(status.result),
            )

    def _skipped(self, plan_id: str, step_id: int) -> list[int]:
        found: list[int] = self._of_plan(plan_id, lambda: self._world.skip(plan_id, step_id, by=self.by))
        return found

    def _failed(self, plan_id: str) -> list[int]:
        plan = _ours(lambda: self._world.persistence.load_execution_plan(plan_id))
        steps = _ours(lambda: plan.steps_in_state(StepState.ERROR))
        failed = [step.id for step in steps if step.phase is not Phase.PLAN]
        if not failed:
            raise Refused(
                409,
                "No step of this plan has failed.",
                kind="NotSkippable",
                plan_id=plan_id,
                state=str(plan.state),
            )
        return failed

    def _status(self, plan_id: str) -> Any:
        found = _ours(lambda: self._world.persistence.find_statuses({"id": plan_id}))
        if plan_id not in found:
            raise refused_of(PlanNotFound(f"no plan {plan_id} is stored", plan_id))
        return found[plan_id]

    def _of_plan(self, plan_id: str, call: Callable[[], T]) -> T:
        """What is asked of the world about a plan. If it is refused, the plan's state is told with it."""
        try:
            return call()
        except DynflowError as error:
            raise self._with_state(error, plan_id) from error

    def _with_state(self, error: DynflowError, plan_id: str) -> Refused:
        refused = refused_of(error)
        if refused.status == 409:
            status = self._status(plan_id)
            refused.facts.setdefault("plan_id", plan_id)
            refused.facts.update(state=str(status.state), result=str(status.result))
        return refused

    def _told(self, future: Future[T], plan_id: str | None = None) -> T | None:
        """The answer, if it comes in time."""
        wait([future], self._wait_s)
        if not future.done():
            return None
        try:
            return future.result(0)
        except DynflowError as error:
            raise (refused_of(error) if plan_id is None else self._with_state(error, plan_id)) from error

    def _done(self, ask: Callable[[], Future[T]]) -> T:
        """An answer that is of use only now."""
        future = _ours(ask)
        wait([future], self._wait_s + 1.0)
        if not future.done():
            raise Refused(504, "No answer came in time.", kind="RequestTimeout")
        return _ours(lambda: future.result(0))

    def _of_attempt(self, plan_id: str, future: Future[ExecutionPlan]) -> Outcome:
        plan = self._told(future, plan_id)
        if plan is None:
            return self._under_way("The plan is resumed.", plan_id)
        ended = "has ended" if plan.state is PlanState.STOPPED else f"is {plan.state} again"
        return Outcome(True, f"The plan {ended}: {plan.result}.", _facts(plan))

    def _under_way(self, sentence: str, plan_id: str) -> Outcome:
        status = self._status(plan_id)
        return Outcome(False, sentence, {"plan_id": plan_id, "state": str(status.state)})

    def _check_world(self, world_id: str) -> None:
        if not _ours(lambda: self._world.coordinator.find_worlds(id=world_id)):
            raise refused_of(RecordNotFound("no world of this id is registered"))

    def _note(self, deed: str, **facts: Any) -> None:
        told = " ".join(f"{name}={value}" for name, value in facts.items() if value is not None)
        log.info("%s: %s %s", self.by, deed, told, extra={"action": "deed", "by": self.by, **facts})


def _id(plan_id: str) -> str:
    return _ours(lambda: plan_id_of(plan_id))


def _ours(call: Callable[[], T]) -> T:
    """An error of the engine is an answer."""
    try:
        return call()
    except DynflowError as error:
        raise refused_of(error) from error


def _has_mask(value: Any, depth: int = 0) -> bool:
    if depth > _DEEPEST:
        raise refused_of(BadArgument("the changes are nested too deeply"))
    if isinstance(value, Mapping):
        return any(_has_mask(item, depth + 1) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_has_mask(item, depth + 1) for item in value)
    return isinstance(value, str) and value == MASK


def _facts(plan: ExecutionPlan) -> dict[str, Any]:
    return {"plan_id": plan.id, "state": str(plan.state), "result": str(plan.result)}


def _steps(step_ids: Iterable[int]) -> str:
    ids = list(step_ids)
    shown = ", ".join(map(str, ids[:10])) + (" …" if len(ids) > 10 else "")
    return f"step{'s' * (len(ids) > 1)} {shown}"


def _skipped(step_ids: list[int]) -> str:
    many = len(step_ids) > 1
    return f"{_steps(step_ids).capitalize()} {'are' if many else 'is'} skipped."
