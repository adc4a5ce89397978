"""Why does it not go on? Whoever waits gets an answer."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from actions_for_tests import ISSUES, IncomingIssues
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_shelf import PLAN_ID, PlanShelf, shelf_with

from dynflow_mp import ExecutionPlan, PlanState, Result, StepState
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.codec import encode
from dynflow_mp.model.flows import Concurrence, Flow, Sequence, step_ids
from dynflow_mp.model.plans import HistoryEntry, history_to_data
from dynflow_mp.model.sub_plans import SubPlanCount
from dynflow_mp.persistence.waiting_steps import WaitRows
from dynflow_mp.reading.blockers import blockers
from dynflow_mp.reading.wait_facts import (
    DelayFacts,
    EventFacts,
    LockFacts,
    PrerequisiteFacts,
    WaitFacts,
    WorldFacts,
    wait_facts,
)
from dynflow_mp.reading.waiting import GOING_ON, Wait, WaitKind, waits

BEGIN = datetime(2026, 11, 26, 2, 0, tzinfo=UTC)
NOW = BEGIN + timedelta(hours=1)
OTHER = "0193f0c5-0000-7000-8000-000000000002"
ALIVE = WorldFacts("w1", True, "alive", None, {"default": 2}, {"default": 0})
LEADER = LockFacts("DelayedExecutorLock", "delayed-executor", "w1")
RUNNING: dict[str, Any] = {"state": PlanState.RUNNING, "owner_id": "w1"}

_PLANNED = shelf_with(IncomingIssues, ISSUES)


def us(time: datetime) -> int:
    return int(time.timestamp() * 1_000_000)


def at(minutes: float) -> datetime:
    return BEGIN + timedelta(minutes=minutes)


def a_shelf(**fields: Any) -> PlanShelf:
    """``concurrence(sequence(4, 7, 9), sequence(13, 16, 18))``, then ``sequence(5, 10, 14, 19, 20)``; begun at minute 1."""
    shelf = deepcopy(_PLANNED)
    history = [HistoryEntry(us(at(1)), "start execution", "w1")]
    given = {"created_at": us(BEGIN), "started_at": us(at(1)), **fields}
    shelf.change_plan(history=encode(history_to_data(history), "history"), **given)
    return shelf


def read(shelf: PlanShelf) -> ExecutionPlan:
    return ExecutionPlan.load(PLAN_ID, shelf)


def facts(**given: Any) -> WaitFacts:
    return WaitFacts(NOW, **{"worlds": (ALIVE,), "locks": (LEADER,), **given})


def asked(shelf: PlanShelf, **given: Any) -> list[Wait]:
    return waits(read(shelf), facts(**given))


def of_step(step_id: int | None, found: list[Wait]) -> Wait:
    (wait,) = [one for one in found if one.step_id == step_id]
    return wait


# -- everybody gets an answer --------------------------------------------------------------------------

some_times = st.none() | st.sampled_from([at(-10), at(5), NOW, at(100)])
some_worlds = st.builds(
    WorldFacts,
    st.sampled_from(["w1", "w2"]),
    st.booleans(),
    st.sampled_from(["alive", "draining", "dead"]),
    st.none() | st.just("workers fail"),
    st.sampled_from([{}, {"default": 2}, {"slow": 1}]),
    st.sampled_from([{}, {"default": 1}]),
)
some_locks = st.builds(
    LockFacts,
    st.sampled_from(["DelayedExecutorLock", "PlanningLock", "WorldInvalidationLock", "ExecutionLock"]),
    st.sampled_from(["delayed-executor", f"execution-plan:{PLAN_ID}", "world-invalidation:w1"]),
    st.none() | st.sampled_from(["w1", "w2"]),
)
some_counts = st.builds(
    SubPlanCount,
    st.sampled_from(PlanState),
    st.sampled_from(Result),
    st.booleans(),
    st.booleans(),
    st.integers(1, 50),
)
any_facts = st.builds(
    WaitFacts,
    st.just(NOW),
    st.lists(some_worlds, max_size=3).map(tuple),
    st.lists(some_locks, max_size=3).map(tuple),
    st.none() | st.builds(DelayFacts, some_times, some_times, st.booleans()),
    st.lists(
        st.builds(
            PrerequisiteFacts,
            st.just(OTHER),
            st.none() | st.sampled_from(PlanState),
            st.none() | st.sampled_from(Result),
        ),
        max_size=2,
    ).map(tuple),
    st.lists(st.builds(EventFacts, st.sampled_from([4, 7, 13]), some_times, some_times), max_size=3).map(
        tuple
    ),
    st.dictionaries(st.integers(1, 6), st.lists(some_counts, max_size=2).map(tuple), max_size=3),
)
plan_states = st.sampled_from([*PlanState, "nonsense"])
step_states = st.dictionaries(st.sampled_from([4, 7, 9, 13, 16, 18, 5, 10]), st.sampled_from(StepState))


@settings(max_examples=150, deadline=None)
@given(
    plan_states, st.none() | st.just(us(at(2))), st.none() | st.just("w1"), step_states, any_facts, st.data()
)
def test_every_plan_and_step_that_waits_gets_one_answer_with_since_when(
    state: Any,
    requested_at: int | None,
    owner_id: str | None,
    states: Any,
    known: WaitFacts,
    data: st.DataObject,
) -> None:
    shelf = a_shelf(state=state, requested_at=requested_at, owner_id=owner_id)
    for step_id, step_state in states.items():
        started = None if step_state is StepState.PENDING else us(at(3))
        due_at = data.draw(st.none() | st.sampled_from([us(at(2)), us(at(200))]))
        queue = data.draw(st.sampled_from([None, "slow"]))
        shelf.change_step(
            step_id, state=step_state, started_at=started, ended_at=started, due_at=due_at, queue=queue
        )
    plan = read(shelf)

    found = waits(plan, known)

    if state is PlanState.STOPPED:
        assert found == []
        return
    waiting = [step.id for step in plan.steps.values() if step.state not in GOING_ON]
    answered = [wait.step_id for wait in found if wait.step_id is not None]
    assert answered == waiting
    runs = any(step.state is StepState.RUNNING for step in plan.steps.values())
    lives = known.living(owner_id) is not None and state is PlanState.RUNNING
    about_it = [wait for wait in found if wait.step_id is None]
    if lives and runs:
        assert not about_it
    elif waiting or not lives:
        assert about_it
        assert found[: len(about_it)] == about_it
    for wait in found:
        assert wait.sentence
        assert wait.since is not None
        assert wait.since <= NOW


flows = st.recursive(
    st.integers(1, 40),
    lambda inner: st.builds(Sequence, st.lists(inner)) | st.builds(Concurrence, st.lists(inner)),
    max_leaves=30,
)


@given(flows, st.sets(st.integers(1, 40)))
def test_what_blocks_a_step_has_not_passed_and_nothing_blocks_the_first_that_has_not(
    flow: Flow, done: set[int]
) -> None:
    found = blockers(flow, done.__contains__)

    left = [step_id for step_id in step_ids(flow) if step_id not in done]
    assert set(found) == set(left)
    for blocker in found.values():
        if blocker is not None:
            assert not done & set(blocker.first)
            assert blocker.left >= len(blocker.first) > 0
    if left and len(set(left)) == len(left):
        assert found[left[0]] is None


# -- plans ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "given", "kind", "sentence", "since"),
    [
        (
            {"state": PlanState.SCHEDULED},
            {"delay": DelayFacts(at(5), None, True)},
            WaitKind.FROZEN,
            "is frozen: it waits until somebody lets it go",
            BEGIN,
        ),
        (
            {"state": PlanState.SCHEDULED},
            {"delay": DelayFacts(at(90), None, False)},
            WaitKind.DUE,
            "starts at 2026-11-26 03:30:00 UTC",
            BEGIN,
        ),
        (
            {"state": PlanState.SCHEDULED},
            {
                "delay": DelayFacts(at(5), None, False),
                "prerequisites": (PrerequisiteFacts(OTHER, PlanState.PAUSED, Result.ERROR),),
            },
            WaitKind.PREREQUISITE,
            f"comes after plan {OTHER}, which is paused",
            BEGIN,
        ),
        (
            {"state": PlanState.SCHEDULED},
            {"delay": DelayFacts(at(5), None, False)},
            WaitKind.SLOT,
            "may start: it is planned as soon as world w1, which sees to it, has a worker for it",
            at(5),
        ),
        (
            {"state": PlanState.SCHEDULED},
            {"delay": DelayFacts(at(5), None, False), "worlds": ()},
            WaitKind.EXECUTOR,
            "may start: it is planned once an executor is there; there is none",
            at(5),
        ),
        (
            {"state": PlanState.PLANNING},
            {"locks": (LockFacts("PlanningLock", f"execution-plan:{PLAN_ID}", "w9"),)},
            WaitKind.LOCK,
            "was being planned by world w9, which is gone and still has its lock",
            BEGIN,
        ),
        ({"requested_at": None}, {}, WaitKind.RESUME, "was planned and nobody has asked to run it", BEGIN),
        (
            {"requested_at": None, "caller_execution_plan_id": OTHER},
            {},
            WaitKind.SLOT,
            f"is held back: plan {OTHER} starts only so many of its sub-plans at once",
            BEGIN,
        ),
        (
            {"requested_at": us(at(2))},
            {"worlds": ()},
            WaitKind.EXECUTOR,
            "waits for an executor: there is none",
            at(2),
        ),
        (
            {"requested_at": us(at(2))},
            {
                "worlds": (
                    ALIVE._replace(state="draining"),
                    ALIVE._replace(id="w2", degraded="3 deaths in a minute"),
                )
            },
            WaitKind.EXECUTOR,
            "waits for an executor: none takes plans: world w1 is draining, world w2 is degraded (3 deaths in a minute)",
            at(2),
        ),
        (
            {"requested_at": us(at(2))},
            {},
            WaitKind.SLOT,
            "waits for an executor to take it: world w1 takes plans, with 0 free workers of queue 'default'",
            at(2),
        ),
        (
            {"requested_at": us(at(2))},
            {"worlds": (ALIVE._replace(queues={"slow": 1}),)},
            WaitKind.QUEUE,
            "waits for an executor; none has the queue 'default', so one with workers of the default queue takes it",
            at(2),
        ),
        (
            {"state": PlanState.RUNNING, "owner_id": "w9"},
            {},
            WaitKind.LOCK,
            "was run by world w9, which is gone and still has its lock: an executor takes it over when it looks next",
            at(1),
        ),
        (
            {"state": PlanState.RUNNING, "owner_id": "w9"},
            {"locks": (LockFacts("WorldInvalidationLock", "world-invalidation:w9", "w1"),)},
            WaitKind.LOCK,
            "was run by world w9, which is gone; world w1 is taking over its plans",
            at(1),
        ),
        (
            {"state": PlanState.RUNNING, "owner_id": "w9"},
            {"worlds": (ALIVE._replace(id="w9", state="dead"),)},
            WaitKind.EXECUTOR,
            "was run by world w9, which is gone; no executor is there to take it over: there is none",
            at(1),
        ),
        (
            {"state": PlanState.RUNNING},
            {},
            WaitKind.EXECUTOR,
            "is running and nobody runs it: an executor must take it up",
            at(1),
        ),
    ],
)
def test_a_plan_tells_what_it_waits_for(
    fields: dict[str, Any], given: dict[str, Any], kind: WaitKind, sentence: str, since: datetime
) -> None:
    found = asked(a_shelf(**fields), **given)

    assert found[0] == Wait(None, kind, sentence, since)
    assert found[-1].sentence == f"waits with its plan, which {sentence}"


def test_a_plan_may_wait_for_several_things() -> None:
    before = (
        PrerequisiteFacts(OTHER, PlanState.RUNNING, None),
        PrerequisiteFacts(OTHER, PlanState.STOPPED, None),
    )

    found = asked(
        a_shelf(state=PlanState.SCHEDULED), delay=DelayFacts(at(90), None, True), prerequisites=before
    )

    assert [wait.kind for wait in found if wait.step_id is None] == ["frozen", "due", "prerequisite"]


def test_a_paused_plan_names_what_failed() -> None:
    shelf = a_shelf(state=PlanState.PAUSED)
    for step_id in (4, 7, 9, 13):
        shelf.change_step(step_id, state=StepState.ERROR)

    found = asked(shelf)

    assert found[0].kind == "resume"
    assert found[0].sentence.startswith("is paused, as step 4 (Triage), step 7 (UpdateIssue), step 9")
    assert "and 1 more failed: it waits until somebody resumes it" in found[0].sentence
    assert found[0].since == at(1)


def test_a_paused_plan_waits_since_it_was_paused_whatever_people_did_to_it_since() -> None:
    shelf = a_shelf(state=PlanState.PAUSED)
    shelf.change_step(4, state=StepState.ERROR)
    shelf.audits.append(Audit("1", PLAN_ID, us(at(30)), "edit input of step 4", "ann", "w9"))

    found = asked(shelf)

    assert found[0].since == at(1)
    assert found[0].sentence.endswith("until somebody resumes it, or skips that step first")


def test_a_world_whose_process_is_gone_lives_no_more_whatever_its_record_says() -> None:
    record = WorldRecord("w1", executor=True, meta={"queues": {"default": 2}, "free": {"default": 2}})
    rows = WaitRows(None, [], [], {})
    plan = read(a_shelf(**RUNNING))

    alive = waits(plan, wait_facts(rows, [record], [], NOW))
    gone = waits(plan, wait_facts(rows, [record], [], NOW, {"w1"}))

    assert alive[0].kind is WaitKind.SLOT
    assert gone[0] == Wait(
        None,
        WaitKind.EXECUTOR,
        "was run by world w1, which is gone; no executor is there to take it over: there is none",
        at(1),
    )


# -- steps of a running plan ---------------------------------------------------------------------------


def running(**states: StepState) -> PlanShelf:
    shelf = a_shelf(**RUNNING)
    for name, state in states.items():
        shelf.change_step(int(name[1:]), state=state, started_at=us(at(2)), ended_at=us(at(4)))
    return shelf


def test_steps_tell_which_steps_they_wait_for() -> None:
    found = asked(running(s4=StepState.SUCCESS, s7=StepState.RUNNING, s13=StepState.ERROR))

    assert of_step(9, found) == Wait(
        9, WaitKind.STEP, "waits for step 7 (UpdateIssue), which is running", at(1)
    )
    assert of_step(16, found).sentence == "waits for step 13 (Triage), which has failed"
    assert "and 2 more steps before it" in of_step(5, found).sentence
    assert of_step(13, found).kind == "resume"
    assert not [wait for wait in found if wait.step_id is None]


def test_a_running_plan_waits_for_what_can_still_go_on_and_not_for_its_failed_step() -> None:
    found = asked(running(s4=StepState.ERROR, s13=StepState.SUSPENDED))

    assert of_step(4, found).kind == "resume"
    assert found[0] == Wait(
        None, WaitKind.EVENT, "runs none of its steps: step 13 waits for an event", of_step(13, found).since
    )


def test_a_step_whose_turn_it_is_waits_for_a_worker() -> None:
    shelf = running(s4=StepState.SUCCESS)
    shelf.change_step(13, queue="slow")

    found = asked(shelf)

    assert of_step(7, found) == Wait(
        7,
        WaitKind.SLOT,
        "waits for a worker of queue 'default' of world w1: all 2 had something to do when it last said so",
        at(4),
    )
    assert of_step(13, found).kind == "queue"
    assert "world w1 has no queue 'slow', so one of its default queue takes it" in of_step(13, found).sentence
    assert of_step(None, found).sentence.startswith("runs none of its steps: step ")
    degraded = asked(shelf, worlds=(ALIVE._replace(degraded="3 deaths in a minute"),))
    assert of_step(7, degraded).kind == "queue"


def test_a_step_that_is_tried_again_tells_when() -> None:
    shelf = running(s4=StepState.PENDING)
    shelf.change_step(4, due_at=us(at(75)), attempts=2)

    assert of_step(4, asked(shelf)) == Wait(
        4, WaitKind.RETRY, "is tried again at 2026-11-26 03:15:00 UTC, for the 3rd time", at(4)
    )


@pytest.mark.parametrize(
    ("given", "kind", "sentence", "since"),
    [
        ({}, WaitKind.EVENT, "waits for an event", at(4)),
        (
            {"events": (EventFacts(4, at(80), at(4)),)},
            WaitKind.DUE,
            "sleeps until 2026-11-26 03:20:00 UTC, or until an event comes",
            at(4),
        ),
        (
            {"events": (EventFacts(4, None, at(6)), EventFacts(4, at(80), at(4)))},
            WaitKind.SLOT,
            "has an event to take and waits for a worker of queue 'default' of world w1: all 2 had something to do "
            "when it last said so",
            at(6),
        ),
        (
            {
                "sub_plans": {
                    2: (
                        SubPlanCount(PlanState.STOPPED, Result.SUCCESS, True, False, 90),
                        SubPlanCount(PlanState.RUNNING, Result.PENDING, True, True, 8),
                        SubPlanCount(PlanState.PAUSED, Result.ERROR, True, False, 2),
                    )
                }
            },
            WaitKind.SUB_PLANS,
            "waits for 10 of 100 sub-plans: 2 paused with an error, 8 running",
            at(4),
        ),
    ],
)
def test_a_suspended_step_tells_what_wakes_it(
    given: dict[str, Any], kind: WaitKind, sentence: str, since: datetime
) -> None:
    shelf = running(s4=StepState.SUSPENDED)
    shelf.change_step(4, action_id=2)

    assert of_step(4, asked(shelf, **given)) == Wait(4, kind, sentence, since)
