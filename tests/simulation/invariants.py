"""What must hold in every seed, whatever went wrong: each check by its name.

The evidence is what steps did (noted by who ran them), what was committed and when, what clients were told, and what
the database says in the end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from dynflow_mp.actions.registry import name_of
from dynflow_mp.errors import NoExecutor, WorldTerminated
from dynflow_mp.model.codec import decode
from dynflow_mp.model.flows import Flow, Sequence, flow_from_tokens, step_ids
from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.model.writes import ClaimPlan, ResetStep, SaveOutcome
from tests.simulation import actions
from tests.simulation.clients import Story
from tests.simulation.database import Journal, rows
from tests.simulation.effects import Effect
from tests.simulation.hosts import Host
from tests.simulation.scenario import FAULTS_UNTIL_S, Scenario

Step = tuple[str, int]


@dataclass
class Evidence:
    """All that is known at the end of a seed."""

    scenario: Scenario
    now: float
    effects: list[Effect]
    journal: Journal
    story: Story
    hosts: list[Host]
    thread_failures: list[str]
    unlocked: list[str]
    lost_events: list[Any]

    def of_steps(self) -> dict[Step, list[Effect]]:
        found: dict[Step, list[Effect]] = defaultdict(list)
        for effect in self.effects:
            found[effect.plan_id, effect.step_id].append(effect)
        return found

    def outcomes(self) -> Iterator[tuple[float, SaveOutcome]]:
        for when, _, writes in self.journal.turns:
            for write in writes:
                if isinstance(write, SaveOutcome):
                    yield when, write


def violations(evidence: Evidence) -> list[str]:
    """What does not hold: the check's name, and the facts."""
    return [f"{check.__name__}: {what}" for check in CHECKS for what in check(evidence)]


def one_worker_at_a_time(evidence: Evidence) -> Iterator[str]:
    """C4, G10: no step's code goes on in two workers at once."""
    for (plan_id, step_id), effects in evidence.of_steps().items():
        for earlier, later in pairwise(effects):
            if later.begun < earlier.over:
                yield (
                    f"step {step_id} of {plan_id} ran in {earlier.process.name} from {earlier.begun:.3f} to "
                    f"{earlier.over:.3f}, and in {later.process.name} from {later.begun:.3f}"
                )


def no_start_after_success(evidence: Evidence) -> Iterator[str]:
    """C3, G3: once a step's success is stored, its code is not called again."""
    succeeded: dict[Step, float] = {}
    reset: dict[Step, float] = {}
    for when, _, writes in evidence.journal.turns:
        for write in writes:
            if isinstance(write, SaveOutcome) and write.state is StepState.SUCCESS:
                succeeded[write.plan_id, write.step_id] = when
            elif isinstance(write, ResetStep):  # finalize phases begin again whole
                reset[write.plan_id, write.step_id] = when
    for effect in evidence.effects:
        key = (effect.plan_id, effect.step_id)
        since = succeeded.get(key)
        if since is not None and effect.begun > since and not reset.get(key, 0.0) > since:
            yield f"step {effect.step_id} of {effect.plan_id} succeeded at {since:.3f} and began at {effect.begun:.3f}"


def one_start_per_attempt(evidence: Evidence) -> Iterator[str]:
    """C5: every start is recorded, as an attempt of its own.

    But for parts of a finalize phase behind its first whose executor died with them: they are recorded with their
    outcomes, by their own executor. What another stores under the same number is a call of its own.
    """
    stored = {
        (who, write.plan_id, write.step_id, write.attempt)
        for _, who, writes in evidence.journal.turns
        for write in writes
        if isinstance(write, SaveOutcome)
    }
    first_parts = set(
        rows("SELECT execution_plan_id, min(id) FROM dynflow_steps WHERE phase = 'finalize' GROUP BY 1")
    )
    behind = (
        set(rows("SELECT execution_plan_id, id FROM dynflow_steps WHERE phase = 'finalize'")) - first_parts
    )

    def told(effect: Effect) -> bool:
        executor = effect.process.parent
        if (effect.plan_id, effect.step_id) not in behind or executor is None or executor.alive:
            return True
        return (executor.name, effect.plan_id, effect.step_id, effect.attempt) in stored

    starts = Counter(
        (effect.plan_id, effect.step_id, effect.attempt) for effect in evidence.effects if told(effect)
    )
    for (plan_id, step_id, attempt), number in starts.items():
        if number > 1:
            yield f"attempt {attempt} at step {step_id} of {plan_id} began {number} times"
    recorded = {
        (plan, step): number
        for plan, step, number in rows("SELECT execution_plan_id, id, attempts FROM dynflow_steps")
    }
    for (plan_id, step_id), begun in evidence.of_steps().items():
        effects = list(filter(told, begun))
        if len(effects) > recorded.get((plan_id, step_id), 0):
            yield f"step {step_id} of {plan_id} began {len(effects)} times; {recorded.get((plan_id, step_id))} are recorded"


def one_outcome_per_attempt(evidence: Evidence) -> Iterator[str]:
    """G4: what came of an attempt is stored once."""
    stored = Counter((write.plan_id, write.step_id, write.attempt) for _, write in evidence.outcomes())
    for (plan_id, step_id, attempt), number in stored.items():
        if number > 1:
            yield f"attempt {attempt} at step {step_id} of {plan_id} has {number} outcomes"


def outcomes_are_true(evidence: Evidence) -> Iterator[str]:
    """C6: a success is one that happened; a step is charged with a worker's death only if it had begun."""
    ends = {(one.plan_id, one.step_id, one.attempt): one for one in evidence.effects}
    for _, write in evidence.outcomes():
        effect = ends.get((write.plan_id, write.step_id, write.attempt))
        what = f"attempt {write.attempt} at step {write.step_id} of {write.plan_id}"
        if write.state is StepState.SUCCESS and (effect is None or effect.ended is None):
            yield f"{what} is stored as a success and has not come to its end"
        if write.state is StepState.ERROR and write.error is not None and effect is None:
            cause = ErrorRecord.from_bytes(write.error).cause or ""
            if cause.startswith(("signal", "exit", "lease_lost")):
                yield f"{what} is charged with {cause} and never began"


def order_is_kept(evidence: Evidence) -> Iterator[str]:
    """C7: what comes after a step in the flow begins after its success is stored."""
    succeeded: dict[Step, float] = {}
    for when, write in evidence.outcomes():
        if write.state in (StepState.SUCCESS, StepState.SKIPPED):
            succeeded.setdefault((write.plan_id, write.step_id), when)
    first: dict[Step, float] = {}
    for effect in evidence.effects:
        first.setdefault((effect.plan_id, effect.step_id), effect.begun)
    for plan_id, flow in rows("SELECT id, run_flow FROM dynflow_execution_plans"):
        for before, after in _ordered(flow_from_tokens(decode(flow))):
            begun = first.get((plan_id, after))
            if begun is not None and begun < succeeded.get((plan_id, before), float("inf")):
                yield f"step {after} of {plan_id} began at {begun:.3f}, before step {before} had succeeded"


def _ordered(flow: Flow) -> Iterator[tuple[int, int]]:
    """Pairs of steps of which one comes after the other."""
    if isinstance(flow, int):
        return
    if isinstance(flow, Sequence):
        for number, part in enumerate(flow):
            for later in flow[number + 1 :]:
                yield from ((one, other) for one in step_ids(part) for other in step_ids(later))
    for part in flow:
        yield from _ordered(part)


def acknowledged_plans_are_there(evidence: Evidence) -> Iterator[str]:
    """C1, G1: a plan whose trigger has returned is stored."""
    stored = {plan_id for (plan_id,) in rows("SELECT id FROM dynflow_execution_plans")}
    for plan_id in evidence.story.acknowledged:
        if plan_id not in stored:
            yield f"plan {plan_id} is gone"


def plans_end(evidence: Evidence) -> Iterator[str]:
    """C2, G2: with an executor alive, every plan stops, or pauses with an error."""
    for plan_id, state, result, owner, requested in rows(
        "SELECT id, state, result, owner_id, requested_at FROM dynflow_execution_plans"
    ):
        if state == "stopped" or (state == "paused" and result == "error" and requested is None):
            continue
        steps = rows(
            "SELECT id, state FROM dynflow_steps WHERE execution_plan_id = ? ORDER BY id", (plan_id,)
        )
        yield f"plan {plan_id} is {state} ({result}), of {owner}, requested {requested is not None}: {steps}"


def futures_end(evidence: Evidence) -> Iterator[str]:
    """G32: whoever waits hears, as long as it lives."""
    for asked in evidence.story.asked:
        if asked.process.alive and not asked.future.done():
            yield f"{asked.what}, asked by {asked.process.name}, has no answer"


def answers_are_true(evidence: Evidence) -> Iterator[str]:
    """G32, decisions 7: who waits for a plan hears of its end, or that there is no executor; never that it is another's."""
    for asked in evidence.story.asked:
        if "plan" not in asked.what or not asked.future.done():
            continue
        error = asked.future.exception()
        if error is not None and not isinstance(error, (NoExecutor, WorldTerminated)):
            yield f"{asked.what}, asked by {asked.process.name}, ended with {error!r}"
        if error is None and asked.future.result().state not in (PlanState.STOPPED, PlanState.PAUSED):
            yield f"{asked.what}, asked by {asked.process.name}, ended as {asked.future.result().state}"


def nothing_is_left_behind(evidence: Evidence) -> Iterator[str]:
    """C8: no lock, event or hook call outlasts its plan."""
    for kind, lock, owner in rows(
        "SELECT class, id, owner_id FROM dynflow_coordinator_records"
        " WHERE owner_id IS NOT NULL AND class != 'DelayedExecutorLock'"
    ):
        yield f"{kind} {lock} of {owner}"
    ended = "(SELECT id FROM dynflow_execution_plans WHERE state = 'stopped')"  # a paused one's wait with it
    for event, plan_id in rows(
        f"SELECT id, execution_plan_id FROM dynflow_events WHERE taken_at IS NULL AND execution_plan_id IN {ended}"
    ):
        yield f"event {event} of plan {plan_id}"
    for (plan_id,) in rows("SELECT execution_plan_id FROM dynflow_hook_calls"):
        yield f"a hook call of plan {plan_id}"


def every_owned_plan_has_its_lock(evidence: Evidence) -> Iterator[str]:
    """W14: a plan and its lock are taken, and given up, together."""
    yield from evidence.unlocked[:3]


def every_claim_is_of_an_epoch_of_its_own(evidence: Evidence) -> Iterator[str]:
    """G9: a plan is claimed by one world at a time, each time at a higher epoch."""
    latest: dict[str, tuple[int, str]] = {}
    for when, who, writes in evidence.journal.turns:
        for write in writes:
            if isinstance(write, ClaimPlan):
                epoch, holder = latest.get(write.plan_id, (-1, ""))
                if write.epoch_read < epoch or (write.epoch_read == epoch and who != holder):
                    yield f"{who} claimed plan {write.plan_id} at {when:.3f} as {holder} had, at epoch {write.epoch_read + 1}"
                latest[write.plan_id] = (write.epoch_read, who)


def events_are_taken_once_and_in_order(evidence: Evidence) -> Iterator[str]:
    """G8: an event whose sender was told so was taken, none twice, and each sender's in the order in which they were sent.

    But for one of which an envelope was lost on the way: it is sent again, perhaps behind others. What its sender was
    told changes nothing: one that gave up may see its event applied all the same, in its place.
    """
    for (plan_id, step_id), sent in evidence.story.sent.items():
        heard = _heard(plan_id, step_id)
        taken = evidence.story.taken.get((plan_id, step_id), [])
        step = f"step {step_id} of {plan_id}"
        failed = _failed_with(evidence, plan_id, step_id)
        if missing := [event for event in taken if event not in heard and event not in failed]:
            yield f"{step} has not heard {missing}, whose senders were told that it has"
        if len({event[0] for event in heard}) != len(heard):
            yield f"{step} heard an event twice: {heard}"
        for sender in {event[1] for event in heard}:
            numbers = [
                event[0] for event in heard if event[1] == sender and event not in evidence.lost_events
            ]
            if numbers != sorted(numbers):
                yield f"{step} heard events of {sender} out of order: {numbers}; sent: {sent}"


def _failed_with(evidence: Evidence, plan_id: str, step_id: int) -> list[Any]:
    """Events that a call took which failed: they are done with as well."""
    failed = {
        write.attempt
        for _, write in evidence.outcomes()
        if (write.plan_id, write.step_id, write.state) == (plan_id, step_id, StepState.ERROR)
    }
    return [
        decode(effect.event)
        for effect in evidence.effects
        if (effect.plan_id, effect.step_id) == (plan_id, step_id)
        and effect.attempt in failed
        and effect.event is not None
    ]


def _heard(plan_id: str, step_id: int) -> list[list[int]]:
    found = rows(
        "SELECT o.output FROM dynflow_outputs o JOIN dynflow_steps s ON s.execution_plan_id = o.execution_plan_id"
        " AND s.action_id = o.action_id WHERE s.execution_plan_id = ? AND s.id = ?",
        (plan_id, step_id),
    )
    return decode(found[0][0]).get("heard", []) if found else []


def sub_plans_end_with_their_parents(evidence: Evidence) -> Iterator[str]:
    """A parent that succeeded has sub-plans that did, each once."""
    for plan_id, action_id in rows(
        "SELECT a.execution_plan_id, a.id FROM dynflow_actions a JOIN dynflow_steps s"
        " ON s.execution_plan_id = a.execution_plan_id AND s.id = a.run_step_id"
        " WHERE a.action_class = ? AND s.state = 'success'",
        (name_of(actions.Triggers),),
    ):
        found = rows(
            "SELECT state, result FROM dynflow_execution_plans"
            " WHERE caller_execution_plan_id = ? AND caller_action_id = ?",
            (plan_id, action_id),
        )
        if found != [("stopped", "success")] * 2:
            yield f"action {action_id} of {plan_id} succeeded; its sub-plans: {found}"


def dead_worlds_do_not_write(evidence: Evidence) -> Iterator[str]:
    """G9, G14: who was declared dead writes nothing about plans any more."""
    yield from evidence.journal.of_the_dead


def only_the_silent_are_declared_dead(evidence: Evidence) -> Iterator[str]:
    """G11: neither a clock that was set nor anything else but death and silence makes a world dead."""
    yield from evidence.journal.unjustified


def everybody_is_there(evidence: Evidence) -> Iterator[str]:
    """When nothing goes wrong any more, every world comes up, and its threads live."""
    for host in evidence.hosts:
        if not host.up and evidence.now > FAULTS_UNTIL_S + 1.0:
            yield f"{host.name} is not up"
    for failure in evidence.thread_failures:
        yield f"a thread has ended: {failure}"


CHECKS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    one_worker_at_a_time,
    no_start_after_success,
    one_start_per_attempt,
    one_outcome_per_attempt,
    outcomes_are_true,
    order_is_kept,
    acknowledged_plans_are_there,
    plans_end,
    futures_end,
    answers_are_true,
    nothing_is_left_behind,
    every_owned_plan_has_its_lock,
    every_claim_is_of_an_epoch_of_its_own,
    events_are_taken_once_and_in_order,
    sub_plans_end_with_their_parents,
    dead_worlds_do_not_write,
    only_the_silent_are_declared_dead,
    everybody_is_there,
)
