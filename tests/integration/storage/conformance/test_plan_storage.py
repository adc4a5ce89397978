"""A plan stored, taken up by an executor, read by people, changed by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Delete, Update, delete, update
from stored_plans import NOW, PLAN, WORLD, a_plan, claim, end, mark, outcome, plan_id, run_step

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.errors import AlreadyRunning, InvalidPlan, PersistenceError, PlanNotFound, WorldFenced
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.flows import Concurrence, flow_from_tokens
from dynflow_mp.model.plans import HistoryEntry, Payload, StepKind, StoredEvent, history_from_data
from dynflow_mp.model.states import Phase, PlanState, Result, StepState
from dynflow_mp.model.writes import MarkEventsTaken, RecordEvent
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import StepCount, Store
from dynflow_mp.persistence.tables import execution_plans, steps
from dynflow_mp.reading.library import Library


def test_a_stored_plan_is_what_an_executor_takes_up(store: Store):
    plan = a_plan(run_steps=3, finalize=True)

    store.save_plan(plan, requested_at=NOW)
    skeleton = store.load_skeleton(PLAN)

    assert skeleton.run_flow == plan.run_flow
    assert skeleton.finalize_flow == plan.finalize_flow
    assert skeleton.state is PlanState.PLANNED
    assert (skeleton.lock_epoch, skeleton.owner_id, skeleton.requested_at) == (0, None, NOW)
    assert skeleton.policies == plan.policies
    assert skeleton.dependencies == {3: (2,)}
    assert skeleton.history == plan.history
    assert skeleton.planning_time == 0.25
    assert skeleton.step_times == {}
    assert skeleton.events == ()


def test_the_step_table_holds_run_and_finalize_steps_with_their_queue(store: Store):
    store.save_plan(a_plan(run_steps=2, finalize=True))

    steps = store.load_skeleton(PLAN).steps

    assert [step_id for step_id in range(1, 7) if step_id in steps] == [3, 5, 6]
    assert steps.kind(3) == StepKind("shop.Child", "default")
    assert steps.kind(5) == StepKind("shop.Child", "slow")
    assert (steps.state(3), steps.attempts(3), steps.action_id(3)) == (StepState.PENDING, 0, 2)


def test_a_begun_step_brings_its_times(store: Store, turn: Callable[..., frozenset[str]]):
    store.save_plan(a_plan(run_steps=2))
    turn(claim(), mark(3), mark(5))
    turn(outcome(3))

    skeleton = store.load_skeleton(PLAN)

    assert skeleton.owner_id == WORLD
    assert skeleton.lock_epoch == 1
    assert skeleton.started_at == NOW
    assert skeleton.step_times[3] == (NOW, 0.5)
    assert skeleton.step_times[5] == (NOW, 0.0)
    assert skeleton.steps.state(5) is StepState.RUNNING


def test_events_not_taken_come_with_the_plan(store: Store, turn: Callable[..., frozenset[str]]):
    store.save_plan(a_plan())
    turn(claim(), RecordEvent(PLAN, 1, 3, "c-9", b"\xc0", "client-1", NOW + 5, NOW))

    (event,) = store.load_skeleton(PLAN).events

    assert event == StoredEvent("c-9", 3, b"\xc0", "client-1", NOW + 5, NOW, None)


def test_g8_an_event_that_was_taken_leaves_a_mark_until_its_plan_is_deleted(
    store: Store, turn: Callable[..., frozenset[str]]
):
    store.save_plan(a_plan())
    turn(claim(), RecordEvent(PLAN, 1, 3, "c-9", b"\xc0", "client-1", None, NOW))
    assert not store.event_was_taken("c-9")

    turn(MarkEventsTaken(PLAN, 1, ("c-9",), NOW + 1))

    assert store.event_was_taken("c-9")
    assert store.load_skeleton(PLAN).events == (StoredEvent("c-9", 3, b"", "client-1", None, NOW, NOW + 1),)
    turn(end())
    store.delete_execution_plans({"id": PLAN})
    assert not store.event_was_taken("c-9")


def test_payloads_come_by_action_any_number(store: Store):
    store.save_plan(a_plan(run_steps=1200))

    payloads = store.load_payloads(PLAN, range(2, 1202))

    assert [payload.action_id for payload in payloads] == list(range(2, 1202))
    assert payloads[7] == Payload(9, encode({"n": 7}, "input"), None, None)


def test_outputs_are_those_that_were_written(store: Store, turn: Callable[..., frozenset[str]]):
    store.save_plan(a_plan(run_steps=2))
    turn(claim(), mark(3), mark(5))
    turn(outcome(3, output=b"\x81"), outcome(5))

    assert store.load_outputs(PLAN, [2, 3, 77]) == {2: b"\x81"}


def test_an_empty_plan_is_stored_and_taken_up(store: Store):
    store.save_plan(a_plan(run_steps=0))

    skeleton = store.load_skeleton(PLAN)

    assert skeleton.run_flow == Concurrence()
    assert skeleton.finalize_step_ids == []


def test_a_stopped_plan_keeps_its_planning_error(store: Store):
    plan = a_plan(run_steps=1, state=PlanState.STOPPED, result=Result.ERROR, ended_at=NOW)
    broken = plan.steps[0]._replace(state=StepState.ERROR, error=b"\x90")

    store.save_plan(plan._replace(steps=[broken, *plan.steps[1:]]))

    assert store.load_plan(PLAN).result is Result.ERROR
    assert store.load_steps(PLAN, [1])[0].error == b"\x90"


def test_a_large_plan_is_stored_and_read_whole(store: Store):
    plan = a_plan(run_steps=12_000)

    store.save_plan(plan)

    skeleton = store.load_skeleton(PLAN)
    assert skeleton.run_flow == plan.run_flow
    assert (
        skeleton.steps.in_state(skeleton.run_flow.step_ids, StepState.PENDING) == skeleton.run_flow.step_ids
    )
    assert len(decode(store.load_steps(PLAN, [1])[0].children)) == 12_000


def test_g6_what_was_acknowledged_every_reader_sees_at_once(
    store: Store, open_database: Callable[[], Database], turn: Callable[..., frozenset[str]]
):
    others = [Store(open_database()) for _ in range(2)]
    for other in others:
        assert other.plan_statuses([PLAN]) == {}  # so that each has a connection that has read before

    store.save_plan(a_plan())
    assert [other.load_plan(PLAN).state for other in others] == ["planned"] * 2
    turn(claim())
    assert [other.load_plan(PLAN).state for other in others] == ["running"] * 2
    turn(end())
    assert [other.load_plan(PLAN).state for other in others] == ["stopped"] * 2


def test_a_plan_is_stored_whole_or_not_at_all(store: Store):
    plan = a_plan(run_steps=2)

    with pytest.raises(PersistenceError):
        store.save_plan(plan._replace(actions=[*plan.actions, plan.actions[-1]]))

    assert store.find_execution_plans() == []
    with pytest.raises(PlanNotFound):
        store.load_plan(PLAN)


def test_a_plan_has_the_id_it_was_given(store: Store):
    """B014."""
    own = "11111111-2222-4333-8444-555555555555"

    store.save_plan(a_plan(own))

    assert store.load_plan(own).id == own


def test_a_world_declared_dead_stores_no_plan(store: Store, coordinator: Coordinator):
    coordinator.set_world_state(WORLD, "dead")

    with pytest.raises(WorldFenced):
        store.save_plan(a_plan(), fence=coordinator.fence)

    assert store.count_execution_plans() == 0


# -- missing and damaged plans -----------------------------------------------------------------------


def test_a_missing_plan_is_a_key_error(store: Store):
    """B305."""
    for load in (store.load_plan, store.load_skeleton, lambda plan_id: store.request(plan_id, NOW)):
        with pytest.raises(KeyError, match="no plan"):
            load(PLAN)


def test_a_whole_plan_reloads_as_valid(store: Store):
    """B041."""
    store.save_plan(a_plan())

    assert store.load_plan(PLAN).step_count == 7
    assert store.load_skeleton(PLAN).id == PLAN


def test_a_plan_whose_steps_are_missing_is_invalid_and_says_so(store: Store, database: Database):
    """B042."""
    store.save_plan(a_plan(run_steps=3))
    _change(database, delete(steps).where(steps.c.id > 5))

    for load in (store.load_plan, store.load_skeleton):
        with pytest.raises(InvalidPlan, match="7 steps were planned, 5 are stored"):
            load(PLAN)


def test_b043_a_plan_whose_steps_are_missing_still_shows_its_own_facts(store: Store, database: Database):
    """Worlds 181. It stands in lists with the rest; only its steps cannot be had."""
    history = (HistoryEntry(NOW, "start execution", WORLD), HistoryEntry(NOW + 3_000_000, "finish execution"))
    facts = {"started_at": NOW, "ended_at": NOW + 3_000_000, "execution_time": 1.5, "real_time": 3.0}
    store.save_plan(a_plan(state=PlanState.STOPPED, history=history, **facts))
    _change(database, delete(steps))
    library = Library(store)

    (plan,) = library.find_execution_plans()

    assert (plan.label, plan.state) == ("shop.Root", "stopped")
    assert (plan.ended_at - plan.started_at).total_seconds() == 3
    assert (plan.execution_time, plan.real_time) == (1.5, 3.0)
    assert [entry.name for entry in plan.execution_history] == ["start execution", "finish execution"]


def test_b042_a_plan_that_cannot_be_read_loads_as_one_that_is_not_valid(store: Store, database: Database):
    history = (HistoryEntry(NOW, "start execution", WORLD),)
    store.save_plan(a_plan(state=PlanState.STOPPED, history=history, started_at=NOW))
    assert Library(store).load_execution_plan(PLAN).valid
    _change(database, delete(steps))

    plan = Library(store).load_execution_plan(PLAN)

    assert not plan.valid
    assert isinstance(plan.exception, InvalidPlan)
    assert (plan.label, plan.state, plan.result) == ("shop.Root", "stopped", "pending")
    assert [entry.name for entry in plan.execution_history] == ["start execution"]
    assert "0 are stored" in repr(plan)
    for ask in (lambda: plan.steps, lambda: plan.entry_action, lambda: plan.run_flow, lambda: plan.progress):
        with pytest.raises(InvalidPlan, match="7 steps were planned, 0 are stored"):
            ask()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (update(execution_plans).values(run_flow=b"\xc1"), "cannot be read"),
        (update(execution_plans).values(run_flow=b""), "cannot be read"),
        (update(execution_plans).values(run_flow=b"\x91\xa1S"), "cut short"),
        (update(execution_plans).values(run_flow=b"\x93\xa1Cc\xc0"), "names step 99, which is not stored"),
        (update(execution_plans).values(run_flow=b"*"), "a stored flow is a int"),
        (update(execution_plans).values(policies=b"\x93\x01\x02\x03"), "AttributeError"),
        (update(execution_plans).values(history=b"\x91\x01"), "a stored history cannot be read"),
        (update(execution_plans).values(state="confused"), "its state is 'confused'"),
        (update(steps).where(steps.c.id == 3).values(state="tired"), "the state of step 3 is 'tired'"),
        (update(steps).where(steps.c.id == 3).values(attempts=-1), "OverflowError"),
    ],
)
def test_a_damaged_plan_is_invalid_and_says_why(
    store: Store, database: Database, damage: Update, reason: str
):
    store.save_plan(a_plan())
    _change(database, damage)

    with pytest.raises(InvalidPlan, match=reason) as refused:
        store.load_skeleton(PLAN)

    assert refused.value.plan_id == PLAN


def test_a_damaged_plan_does_not_hide_the_others_from_a_list(store: Store, database: Database):
    store.save_plan(a_plan())
    _change(database, update(execution_plans).values(state="confused"))
    store.save_plan(a_plan(plan_id(2)))

    found = store.find_execution_plans(order_by="created_at")

    assert [row.state for row in found] == ["confused", "planned"]


# -- reading -----------------------------------------------------------------------------------------


def test_people_read_decoded_rows(store: Store, turn: Callable[..., frozenset[str]]):
    store.save_plan(a_plan(run_steps=1, caller_plan_id=plan_id(9), caller_action_id=4), requested_at=NOW)
    turn(claim(), mark(3))
    turn(outcome(3, output=b"\x81"), end())

    plan = store.load_plan(PLAN)
    (step,) = store.load_steps(PLAN, [3])
    root, child = store.load_actions(PLAN)

    assert (plan.state, plan.result) == (PlanState.STOPPED, Result.SUCCESS)
    assert (plan.execution_time, plan.real_time, plan.ended_at) == (1.5, 5.0, NOW + 5_000_000)
    assert (plan.caller_execution_plan_id, plan.caller_action_id) == (plan_id(9), 4)
    assert flow_from_tokens(decode(plan.run_flow)) == Concurrence([3])
    assert [entry.name for entry in history_from_data(decode(plan.history))] == ["finish execution"]
    assert (step.phase, step.state, step.attempts) == (Phase.RUN, StepState.SUCCESS, 1)
    assert (step.started_at, step.ended_at) == (NOW, NOW + 2_000_000)
    assert (root.run_step_id, child.run_step_id, child.plan_step_id) == (None, 3, 2)
    assert (child.input, child.output) == (encode({"n": 0}, "input"), b"\x81")


def test_steps_and_actions_come_in_order_all_or_those_asked_for(store: Store):
    store.save_plan(a_plan(run_steps=600))

    assert [step.id for step in store.load_steps(PLAN)] == list(range(1, 1202))
    assert [step.id for step in store.load_steps(PLAN, [9, 3, 3])] == [3, 9]
    assert [action.id for action in store.load_actions(PLAN, [5, 2])] == [2, 5]


def test_steps_are_counted_by_phase_and_state(store: Store, turn: Callable[..., frozenset[str]]):
    store.save_plan(a_plan(run_steps=3))
    turn(claim(), mark(3))

    counts = store.step_counts(PLAN)

    assert set(counts) == {
        StepCount(Phase.PLAN, StepState.SUCCESS, 4),
        StepCount(Phase.RUN, StepState.RUNNING, 1),
        StepCount(Phase.RUN, StepState.PENDING, 2),
    }


# -- requests ----------------------------------------------------------------------------------------


def test_a_planned_plan_is_requested_once(store: Store):
    store.save_plan(a_plan())

    first = store.request(PLAN, NOW)
    again = store.request(PLAN, NOW + 7)

    assert first.requested_at == again.requested_at == NOW
    assert [status.id for status in store.requested_plans(10)] == [PLAN]


def test_a_stopped_plan_is_not_requested(store: Store, turn: Callable[..., frozenset[str]]):
    store.save_plan(a_plan())
    turn(claim(), end())

    status = store.request(PLAN, NOW)

    assert (status.state, status.requested_at) == (PlanState.STOPPED, None)


def test_requested_plans_that_somebody_runs_are_not_offered(
    store: Store, turn: Callable[..., frozenset[str]]
):
    for number in (1, 2, 3):
        store.save_plan(a_plan(plan_id(number)), requested_at=NOW - number)
    store.save_plan(a_plan(plan_id(4)))
    turn(claim(plan_id(2)))

    assert [status.id for status in store.requested_plans(10)] == [plan_id(3), plan_id(1)]
    assert [status.id for status in store.requested_plans(1)] == [plan_id(3)]


def test_statuses_come_for_those_that_are_stored(store: Store):
    store.save_plan(a_plan())

    statuses = store.plan_statuses([PLAN, plan_id(2)])

    assert statuses == {PLAN: (PLAN, PlanState.PLANNED, Result.PENDING, None, None, 0)}


# -- changing by hand --------------------------------------------------------------------------------


def test_an_input_is_replaced_while_nobody_runs_the_plan(store: Store):
    """B070: the stored part of it."""
    store.save_plan(a_plan())

    store.replace_input(PLAN, 2, encode({"text": "ok"}, "input"))

    assert decode(store.load_actions(PLAN, [2])[0].input) == {"text": "ok"}


def test_an_action_whose_input_was_replaced_needs_nobody_s_output_any_more(store: Store):
    store.save_plan(a_plan())
    assert store.load_skeleton(PLAN).dependencies == {3: (2,)}

    store.replace_input(PLAN, 3, encode({"text": "ok"}, "input"))

    assert store.load_skeleton(PLAN).dependencies == {}


def test_an_input_of_a_running_plan_is_left_alone(store: Store, turn: Callable[..., frozenset[str]]):
    store.save_plan(a_plan())
    turn(claim())

    with pytest.raises(AlreadyRunning):
        store.replace_input(PLAN, 2, b"\x80")

    assert decode(store.load_actions(PLAN, [2])[0].input) == {"n": 0}


@pytest.mark.parametrize(("id", "action_id"), [(PLAN, 99), (plan_id(2), 2)])
def test_an_unknown_action_is_a_key_error(store: Store, id: str, action_id: int):  # noqa: A002
    """B310."""
    store.save_plan(a_plan())

    with pytest.raises(KeyError):
        store.replace_input(id, action_id, b"\x80")


def test_run_steps_have_the_ids_the_tests_say(store: Store):
    store.save_plan(a_plan(run_steps=2))

    assert [step.id for step in store.load_steps(PLAN) if step.phase is Phase.RUN] == [
        run_step(0),
        run_step(1),
    ]


def _change(database: Database, statement: Update | Delete) -> None:
    with database.write() as connection:
        connection.execute(statement)
