"""What a client does about its requests when answers come, do not come, or say no."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp.dispatchers.client_decisions import ClientDecisions, Timings
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
from dynflow_mp.errors import (
    AlreadyRunning,
    DynflowError,
    EventDropped,
    NobodyTakesEvents,
    NoExecutor,
    NotCancellable,
    PeerBusy,
    PlanNotFound,
    PlanStopped,
    RequestTimeout,
    UnknownReceiver,
    UnprocessableEvent,
    WorldTerminated,
)
from dynflow_mp.model.messages import (
    ANY_EXECUTOR,
    Accepted,
    CancelPlan,
    Done,
    Envelope,
    Event,
    Execution,
    ExecutionStatus,
    Failed,
    HaltPlan,
    Ping,
    Pong,
    Response,
    Status,
    Told,
)

PLAN, REQUEST = "plan-1", "client-1"
EXECUTION = Envelope("client", ANY_EXECUTOR, REQUEST, Execution(PLAN))


class Stored(NamedTuple):
    """A plan as the store says it is."""

    state: str
    owner_id: str | None = None
    requested_at: int | None = None


def a_client() -> ClientDecisions:
    return ClientDecisions("client", Timings(), lambda: 0.5)


@pytest.fixture
def client() -> ClientDecisions:
    return a_client()


@pytest.fixture
def asked(client: ClientDecisions) -> ClientDecisions:
    """A client that has asked for PLAN at 0.0."""
    client.execute(REQUEST, Execution(PLAN), 0.0)
    return client


def answer(response: Response, request_id: str = REQUEST) -> Envelope:
    return Envelope("executor", "client", request_id, response)


def refusal(error: DynflowError) -> Envelope:
    return answer(Failed.of(error))


def only(decisions: list[Decision]) -> Decision:
    assert len(decisions) == 1, decisions
    return decisions[0]


def failure(decisions: list[Decision]) -> DynflowError:
    decision = only(decisions)
    assert isinstance(decision, Fail)
    return decision.error


def failure_unless_taken(decisions: list[Decision]) -> DynflowError:
    """That of an event: the store may know that it was taken all the same (G8)."""
    decision = only(decisions)
    assert isinstance(decision, FailUnlessTaken)
    return decision.error


def sends(decisions: list[Decision]) -> list[Envelope]:
    return [decision.envelope for decision in decisions if isinstance(decision, Send)]


# -- executions ----------------------------------------------------------------------------------


def test_an_execution_is_sent_to_any_executor(client: ClientDecisions) -> None:
    assert client.execute(REQUEST, Execution(PLAN), 0.0) == [Send(EXECUTION)]


def test_done_gets_the_plan_as_it_is_stored(asked: ClientDecisions) -> None:
    accepted = asked.heard(answer(Accepted()), 0.1)
    done = asked.heard(answer(Done()), 0.2)

    assert accepted == []
    assert done == [LoadPlan(REQUEST, PLAN)]
    assert len(asked) == 0


def test_done_before_accepted_is_fine(asked: ClientDecisions) -> None:
    done = asked.heard(answer(Done()), 0.1)
    accepted = asked.heard(answer(Accepted()), 0.2)

    assert done == [LoadPlan(REQUEST, PLAN)]
    assert accepted == []


def test_answers_that_come_twice_or_late_change_nothing(asked: ClientDecisions) -> None:
    asked.heard(answer(Done()), 0.1)

    late = [asked.heard(answer(message), 0.2) for message in (Done(), Accepted(), Pong())]
    strange = asked.heard(answer(Done(), "client-999"), 0.2)

    assert late == [[], [], []]
    assert strange == []


def test_a_refusal_is_the_error_it_names(asked: ClientDecisions) -> None:
    error = failure(asked.heard(refusal(AlreadyRunning("it runs already", PLAN)), 0.1))

    assert isinstance(error, AlreadyRunning)
    assert str(error) == "it runs already"
    assert error.plan_id == PLAN


def runs_for(holder: str | None) -> AlreadyRunning:
    return AlreadyRunning("it runs already", PLAN, holder)


def test_a_plan_that_runs_for_a_late_repeat_of_a_request_of_ours_is_waited_for(
    asked: ClientDecisions,
) -> None:
    """Its attempt had ended, and the plan was asked for again, when the repeat reached an executor."""
    asked.due(1.0)  # the repeat
    asked.heard(answer(Done()), 1.1)
    asked.execute("client-2", Execution(PLAN), 1.2)

    refused = asked.heard(answer(Failed.of(runs_for(REQUEST)), "client-2"), 1.3)
    runs = asked.found({PLAN: Stored("running", "executor")}, [PLAN], 1.4)
    looks = asked.due(1.8)
    ended = asked.found({PLAN: Stored("stopped")}, [PLAN], 1.9)

    assert (refused, runs, looks) == ([LookUp((PLAN,))], [], [LookUp((PLAN,))])
    assert ended == [LoadPlan("client-2", PLAN)]
    assert len(asked) == 0


@pytest.mark.parametrize("holder", [REQUEST, "clienta-1", "another-1", None])
def test_b063_one_that_runs_for_an_open_request_or_another_client_s_is_refused(
    asked: ClientDecisions, holder: str | None
) -> None:
    asked.execute("client-2", Execution(PLAN), 0.1)

    refused = asked.heard(answer(Failed.of(runs_for(holder)), "client-2"), 0.2)

    assert isinstance(failure(refused), AlreadyRunning)


def test_who_asks_on_nobody_s_behalf_is_content_with_anybody_s_run(client: ClientDecisions) -> None:
    yielding = "unattended-client-1"
    client.execute(yielding, Execution(PLAN), 0.0)

    refused = client.heard(answer(Failed.of(runs_for("another-1")), yielding), 0.1)
    ended = client.found({PLAN: Stored("paused")}, [PLAN], 0.6)

    assert refused == [LookUp((PLAN,))]
    assert ended == [LoadPlan(yielding, PLAN)]


def test_who_asks_on_nobody_s_behalf_does_not_press(client: ClientDecisions) -> None:
    client.execute("unattended-client-1", Execution(PLAN), 0.0)

    client.heard(answer(Failed.of(PeerBusy("enough to do", PLAN)), "unattended-client-1"), 0.1)

    assert sends(client.due(5.0)) == []
    assert len(sends(client.due(12.2))) == 1


def test_what_is_not_accepted_in_time_is_sent_again_under_the_same_id(asked: ClientDecisions) -> None:
    early = asked.due(0.9)
    again = asked.due(1.0)

    assert early == []
    assert sends(again) == [EXECUTION]


def test_it_is_sent_again_less_and_less_often(asked: ClientDecisions) -> None:
    times = [now / 10 for now in range(1, 300) if sends(asked.due(now / 10))]

    assert times == [1.0, 3.0, 7.0, 15.0, 25.0]


def test_an_accepted_execution_is_not_sent_again(asked: ClientDecisions) -> None:
    asked.heard(answer(Accepted()), 0.1)

    assert sends(asked.due(5.0)) == []


def test_without_an_executor_it_looks_again_and_again_and_then_fails(asked: ClientDecisions) -> None:
    asked.undeliverable(EXECUTION, NoExecutor("none"), 0.0)

    tries, now = [], 0.0
    while len(asked):
        now = asked.next_due() or 0.0
        for _ in sends(asked.due(now)):
            tries.append(round(now, 1))
            ended = asked.undeliverable(EXECUTION, NoExecutor("none"), now)

    error = failure(ended)
    assert tries == [round(number * 0.2, 1) for number in range(1, 26)]
    assert now == 5.0
    assert isinstance(error, NoExecutor)
    assert error.plan_id == PLAN
    assert str(error) == (
        "no executor took plan plan-1 within 5 s; it stays requested and runs when one comes"
    )


def test_an_executor_that_appears_late_still_takes_it(asked: ClientDecisions) -> None:
    asked.undeliverable(EXECUTION, NoExecutor("none"), 0.0)
    asked.due(0.2)

    asked.heard(answer(Accepted()), 0.3)
    done = asked.heard(answer(Done()), 60.0)

    assert done == [LoadPlan(REQUEST, PLAN)]


def test_an_executor_that_is_silent_is_not_the_same_as_none(asked: ClientDecisions) -> None:
    asked.undeliverable(EXECUTION, NoExecutor("none"), 0.0)
    asked.due(0.2)
    asked.due(1.2)

    bounced_again = asked.undeliverable(EXECUTION, NoExecutor("none"), 5.5)

    assert bounced_again == []
    assert len(asked) == 1


def test_a_busy_peer_is_asked_again_for_as_long_as_it_takes(asked: ClientDecisions) -> None:
    now = 0.0
    for _ in range(100):
        assert asked.undeliverable(EXECUTION, PeerBusy("full"), now) == []
        now += 0.2
        assert sends(asked.due(now)) == [EXECUTION]


def test_an_executor_that_is_ending_sends_the_client_to_another(asked: ClientDecisions) -> None:
    refused = asked.heard(refusal(WorldTerminated("ending", PLAN)), 0.1)
    again = asked.due(0.31)

    assert refused == []
    assert sends(again) == [EXECUTION]


def test_what_cannot_be_sent_at_all_fails_at_once(asked: ClientDecisions) -> None:
    error = failure(asked.undeliverable(EXECUTION, DynflowError("too large"), 0.0))

    assert str(error) == "too large"


def test_stopped_already_means_done_when_it_was_asked_before(asked: ClientDecisions) -> None:
    """The first attempt ran the plan to its end and the answer was lost with its executor."""
    asked.due(1.0)

    assert asked.heard(refusal(PlanStopped("it has ended", PLAN)), 1.1) == [LoadPlan(REQUEST, PLAN)]


def test_a_plan_stopped_between_the_request_and_its_execution_is_what_was_waited_for(
    asked: ClientDecisions,
) -> None:
    """It was halted: that it could be executed when it was asked for, the request has seen to."""
    assert asked.heard(refusal(PlanStopped("it was halted", PLAN)), 0.1) == [LoadPlan(REQUEST, PLAN)]


# -- the store -----------------------------------------------------------------------------------


def looked_up(client: ClientDecisions, stored: Stored | None, accepted: bool = True) -> list[Decision]:
    if accepted:
        client.heard(answer(Accepted()), 0.1)
    return client.found({PLAN: stored} if stored else {}, [PLAN], 10.0)


def test_the_store_is_asked_for_all_plans_every_so_often(asked: ClientDecisions) -> None:
    asked.execute("client-2", Execution("plan-2"), 0.0)
    for request_id in (REQUEST, "client-2"):
        asked.heard(answer(Accepted(), request_id), 0.1)

    before, first, second = asked.due(9.9), asked.due(10.0), asked.due(20.0)

    assert before == []
    assert [set(only(looks).plan_ids) for looks in (first, second)] == [{PLAN, "plan-2"}] * 2  # type: ignore[union-attr]  # a LookUp


def test_looks_are_jittered() -> None:
    first = ClientDecisions("client", Timings(), lambda: 0.0)
    last = ClientDecisions("client", Timings(), lambda: 1.0)
    for client in (first, last):
        client.execute(REQUEST, Execution(PLAN), 0.0)
        client.heard(answer(Accepted()), 0.1)

    assert (first.next_due(), last.next_due()) == pytest.approx((8.0, 12.0))


@pytest.mark.parametrize("stored", [Stored("stopped"), Stored("paused"), Stored("stopped", "executor")])
def test_a_plan_that_ended_resolves_though_done_was_lost(asked: ClientDecisions, stored: Stored) -> None:
    assert looked_up(asked, stored) == [LoadPlan(REQUEST, PLAN)]


@pytest.mark.parametrize(
    "stored",
    [Stored("planned", None, 5), Stored("paused", None, 5), Stored("planned"), Stored("running", None, 5)],
)
def test_a_plan_that_lost_its_executor_is_asked_for_again(asked: ClientDecisions, stored: Stored) -> None:
    assert looked_up(asked, stored) == [Send(EXECUTION)]


@pytest.mark.parametrize("stored", [Stored("running", "executor"), Stored("paused", "executor", 5)])
def test_a_plan_that_has_an_executor_is_left_alone(asked: ClientDecisions, stored: Stored) -> None:
    assert looked_up(asked, stored) == []


def test_a_plan_whose_executor_was_killed_fails_when_nobody_else_is_there(asked: ClientDecisions) -> None:
    looked_up(asked, Stored("running"))

    said: list[Decision] = []
    for now in (10.1, 12.0, 15.2):
        said = asked.undeliverable(EXECUTION, NoExecutor("nobody"), now)

    assert isinstance(failure(said), NoExecutor)


def test_a_plan_still_being_asked_for_is_not_asked_for_twice(asked: ClientDecisions) -> None:
    assert looked_up(asked, Stored("planned", None, 5), accepted=False) == []


def test_a_plan_that_was_deleted_fails(asked: ClientDecisions) -> None:
    assert isinstance(failure(looked_up(asked, None)), PlanNotFound)


def test_nothing_is_due_while_nothing_is_open(asked: ClientDecisions) -> None:
    asked.heard(answer(Done()), 0.1)

    assert asked.next_due() is None
    assert asked.due(1000.0) == []


# -- events --------------------------------------------------------------------------------------

EVENT = Event(PLAN, 3, b"data")


def event_sent(client: ClientDecisions) -> Envelope:
    client.event(REQUEST, EVENT, 0.0)
    return sends(client.routed(REQUEST, "executor", 0.0))[0]


def test_an_event_goes_to_the_world_that_runs_the_plan(client: ClientDecisions) -> None:
    route = client.event(REQUEST, EVENT, 0.0)
    send = client.routed(REQUEST, "executor", 0.0)

    assert route == [Route(REQUEST, PLAN)]
    assert send == [Send(Envelope("client", "executor", REQUEST, EVENT))]


def test_an_event_that_was_taken_is_true(client: ClientDecisions) -> None:
    event_sent(client)

    assert client.heard(answer(Done()), 0.1) == [Resolve(REQUEST, True)]


def test_an_event_that_was_dropped_fails(client: ClientDecisions) -> None:
    event_sent(client)

    error = failure_unless_taken(client.heard(refusal(EventDropped("ended", PLAN)), 0.1))

    assert isinstance(error, EventDropped)


@pytest.mark.parametrize("stored", [None, Stored("stopped"), Stored("paused"), Stored("planned")])
def test_an_event_for_a_plan_nobody_runs_fails(client: ClientDecisions, stored: Stored | None) -> None:
    client.event(REQUEST, EVENT, 0.0)
    assert client.routed(REQUEST, None, 0.0) == [LookUp((PLAN,))]

    error = failure_unless_taken(client.found({} if stored is None else {PLAN: stored}, [PLAN], 0.0))

    assert isinstance(error, UnprocessableEvent)
    assert "no executor runs plan plan-1" in str(error)


def test_an_event_for_a_plan_between_two_executors_waits_for_the_next_one(client: ClientDecisions) -> None:
    """W28."""
    client.event(REQUEST, EVENT, 0.0)
    client.routed(REQUEST, None, 0.0)

    assert client.found({PLAN: Stored("paused", None, 7)}, [PLAN], 0.0) == []
    assert client.due(0.25) == [Route(REQUEST, PLAN)]
    assert sends(client.routed(REQUEST, "successor", 0.3))[0].message == EVENT


def test_an_event_whose_answer_may_be_on_its_way_is_not_given_up(client: ClientDecisions) -> None:
    event_sent(client)

    assert client.found({PLAN: Stored("stopped")}, [PLAN], 0.1) == []


def test_an_event_whose_world_cannot_be_reached_is_routed_again(client: ClientDecisions) -> None:
    envelope = event_sent(client)

    bounced = client.undeliverable(envelope, UnknownReceiver("gone"), 0.1)
    again = client.due(0.31)
    moved = client.routed(REQUEST, "successor", 0.3)

    assert bounced == []
    assert again == [Route(REQUEST, PLAN)]
    assert sends(moved)[0].receiver_id == "successor"


def test_an_event_whose_world_stays_away_fails(client: ClientDecisions) -> None:
    envelope = event_sent(client)
    client.undeliverable(envelope, UnknownReceiver("gone"), 0.1)

    error = failure_unless_taken(client.undeliverable(envelope, UnknownReceiver("gone"), 5.1))

    assert isinstance(error, NobodyTakesEvents)


def test_g8_events_of_a_step_come_to_its_next_executor_in_the_order_in_which_they_were_sent(
    client: ClientDecisions,
) -> None:
    """The first one's executor died with it; the second finds the successor first."""
    client.event("client-1", EVENT, 0.0)
    client.routed("client-1", "dead", 0.0)
    client.event("client-2", EVENT, 5.0)

    sent = sends(client.routed("client-2", "successor", 5.0))

    assert [(one.request_id, one.receiver_id) for one in sent] == [
        ("client-1", "successor"),
        ("client-2", "successor"),
    ]


def test_g8_an_event_that_is_sent_again_comes_after_those_before_it(client: ClientDecisions) -> None:
    for number in (1, 2, 3):
        client.event(f"client-{number}", EVENT, 0.0)
        client.routed(f"client-{number}", "executor", number / 10)
    client.heard(answer(Done(), "client-1"), 1.0)

    again = sends(client.routed("client-3", "executor", 10.0))
    second = sends(client.routed("client-2", "executor", 10.1))

    assert [one.request_id for one in again] == ["client-2", "client-3"]
    assert [one.request_id for one in second] == ["client-2"]


def test_g8_an_event_that_came_back_goes_before_those_that_were_sent_after_it(
    client: ClientDecisions,
) -> None:
    client.event("client-1", EVENT, 0.0)
    (first,) = sends(client.routed("client-1", "executor", 0.0))
    client.heard(answer(Failed.of(NoExecutor("not yet", PLAN)), first.request_id), 0.1)
    client.event("client-2", EVENT, 0.15)

    sent = sends(client.routed("client-2", "executor", 0.15))

    assert [one.request_id for one in sent] == ["client-1", "client-2"]


def test_events_of_other_steps_wait_for_nothing(client: ClientDecisions) -> None:
    client.event("client-1", EVENT, 0.0)
    client.routed("client-1", "dead", 0.0)
    client.event("client-2", EVENT._replace(step_id=99), 1.0)

    assert [one.request_id for one in sends(client.routed("client-2", "other", 1.0))] == ["client-2"]


def test_an_event_without_an_answer_is_sent_again_after_a_while(client: ClientDecisions) -> None:
    event_sent(client)

    assert client.due(9.0) == []
    assert Route(REQUEST, PLAN) in client.due(10.0)


# -- ping and status -----------------------------------------------------------------------------


def test_a_ping_is_answered_or_times_out(client: ClientDecisions) -> None:
    """Worlds 36, 37."""
    sent = client.ask("1", Ping(), "executor", 0.5, 0.0)
    client.ask("2", Ping(), "executor", 0.5, 0.0)

    answered = client.heard(answer(Pong(), "1"), 0.1)
    silent = client.due(0.5)

    assert sends(sent) == [Envelope("client", "executor", "1", Ping())]
    assert answered == [Resolve("1", True)]
    assert isinstance(failure(silent), RequestTimeout)


def test_a_ping_to_nobody_fails_at_once(client: ClientDecisions) -> None:
    client.ask("1", Ping(), "executor", 0.5, 0.0)

    error = failure(
        client.undeliverable(Envelope("client", "executor", "1", Ping()), UnknownReceiver("who?"), 0.1)
    )

    assert isinstance(error, UnknownReceiver)


def test_a_status_is_what_the_executor_says(client: ClientDecisions) -> None:
    queues = {"default": {"pool_size": 2, "free_workers": 1, "queue_size": 0}}
    client.ask("1", Status(), "executor", 0.5, 0.0)

    assert client.heard(answer(ExecutionStatus(queues), "1"), 0.1) == [Resolve("1", queues)]


# -- the end -------------------------------------------------------------------------------------


def test_stopping_fails_everything_open(asked: ClientDecisions) -> None:
    asked.event("client-2", EVENT, 0.0)
    asked.ask("client-3", Ping(), "executor", 9.0, 0.0)
    why = WorldTerminated("the end")

    ended = asked.stop(why)

    assert ended == [Fail(REQUEST, why), Fail("client-2", why), Fail("client-3", why)]
    assert len(asked) == 0


_HAPPENINGS = st.sampled_from(
    ["accepted", "terminated", "busy", "nobody", "lost", "wait", "planned", "running", "paused-requested"]
)


@given(st.lists(_HAPPENINGS, max_size=40))
def test_whatever_happens_an_execution_ends_once_the_plan_has_ended(happenings: list[str]) -> None:
    """And it ends exactly once: either it failed on the way, or the last look finds it stopped."""
    client, now = a_client(), 0.0
    decisions = client.execute(REQUEST, Execution(PLAN), now)
    for happening in happenings:
        now += 0.7
        decisions += client.due(now)
        decisions += _happens(client, happening, now)
    while len(client) and now < 1000.0:
        now = max(now, client.next_due() or now)
        due = client.due(now)
        decisions += due
        if any(isinstance(decision, LookUp) for decision in due):
            decisions += client.found({PLAN: Stored("stopped")}, [PLAN], now)

    ends = [decision for decision in decisions if isinstance(decision, (LoadPlan, Fail))]

    assert len(ends) == 1


def _happens(client: ClientDecisions, happening: str, now: float) -> list[Decision]:
    match happening:
        case "accepted":
            return client.heard(answer(Accepted()), now)
        case "terminated":
            return client.heard(refusal(WorldTerminated("ending")), now)
        case "busy":
            return client.undeliverable(EXECUTION, PeerBusy("full"), now)
        case "nobody":
            return client.undeliverable(EXECUTION, NoExecutor("none"), now)
        case "planned":
            return client.found({PLAN: Stored("planned", None, 5)}, [PLAN], now)
        case "running":
            return client.found({PLAN: Stored("running", "executor")}, [PLAN], now)
        case "paused-requested":
            return client.found({PLAN: Stored("paused", None, 5)}, [PLAN], now)
    return []


# -- plans that somebody else asked for --------------------------------------------------------------


@pytest.fixture
def watching(client: ClientDecisions) -> ClientDecisions:
    assert client.watch(REQUEST, Execution(PLAN), 0.0) == [LookUp((PLAN,))]
    return client


def found(client: ClientDecisions, stored: Stored | None, now: float) -> list[Decision]:
    return client.found({} if stored is None else {PLAN: stored}, [PLAN], now)


def test_a_plan_that_is_watched_is_looked_up_and_nobody_is_asked(watching: ClientDecisions) -> None:
    assert found(watching, Stored("running", "executor"), 0.1) == []
    assert watching.due(0.4) == []
    assert watching.due(0.6) == [LookUp((PLAN,))]
    assert found(watching, Stored("stopped"), 0.7) == [LoadPlan(REQUEST, PLAN)]
    assert len(watching) == 0


@pytest.mark.parametrize("plans", [1, 500])
def test_plans_that_many_watch_are_looked_up_together(client: ClientDecisions, plans: int) -> None:
    looks = [
        decision
        for number in range(1000)
        for decision in client.watch(f"client-{number}", Execution(f"plan-{number % plans}"), number / 2000)
    ]
    assert len(looks) <= plans

    looks = [decision for tick in range(200) for decision in client.due(0.5 + tick / 200)]

    assert len(looks) <= 21
    assert {plan_id for look in looks if isinstance(look, LookUp) for plan_id in look.plan_ids} == {
        f"plan-{number}" for number in range(plans)
    }
    statuses = {f"plan-{number}": Stored("stopped") for number in range(plans)}
    assert len(client.found(statuses, statuses, 2.0)) == 1000
    assert len(client) == 0


def test_a_plan_that_is_paused_has_ended_for_who_watches_it(watching: ClientDecisions) -> None:
    assert found(watching, Stored("paused", None, 7), 0.1) == []
    assert found(watching, Stored("paused"), 0.2) == [LoadPlan(REQUEST, PLAN)]


def test_a_plan_that_is_watched_and_nobody_runs_ends_with_no_executor(watching: ClientDecisions) -> None:
    assert found(watching, Stored("planned", None, 7), 1.0) == []
    assert found(watching, Stored("running", "executor"), 4.0) == []
    assert found(watching, Stored("planned", None, 7), 5.0) == []
    assert found(watching, Stored("planned", None, 7), 9.9) == []
    assert isinstance(failure(found(watching, Stored("planned", None, 7), 10.0)), NoExecutor)


def test_a_plan_that_is_watched_may_wait_for_its_time(watching: ClientDecisions) -> None:
    assert found(watching, Stored("scheduled"), 1.0) == []
    assert found(watching, Stored("scheduled"), 1000.0) == []


def test_a_plan_that_is_watched_and_deleted_is_not_found(watching: ClientDecisions) -> None:
    assert isinstance(failure(found(watching, None, 1.0)), PlanNotFound)


# -- cancel and halt -------------------------------------------------------------------------------


def test_a_cancellation_goes_to_who_runs_the_plan_and_tells_the_steps(client: ClientDecisions) -> None:
    assert client.cancel(REQUEST, CancelPlan(PLAN, True), 0.0) == [Route(REQUEST, PLAN)]

    (sent,) = sends(client.routed(REQUEST, "executor", 0.1))

    assert (sent.receiver_id, sent.message) == ("executor", CancelPlan(PLAN, True))
    assert client.heard(answer(Told([2, 4])), 0.2) == [Resolve(REQUEST, [2, 4])]


@pytest.mark.parametrize(
    "stored", [Stored("stopped"), Stored("paused"), Stored("planned"), Stored("scheduled")]
)
def test_what_nobody_runs_or_will_run_cannot_be_cancelled(client: ClientDecisions, stored: Stored) -> None:
    client.cancel(REQUEST, CancelPlan(PLAN), 0.0)
    assert client.routed(REQUEST, None, 0.1) == [LookUp((PLAN,))]

    error = failure(client.found({PLAN: stored}, [PLAN], 0.2))

    assert isinstance(error, NotCancellable)
    assert stored.state in str(error)


def test_a_plan_that_is_about_to_run_is_waited_for(client: ClientDecisions) -> None:
    client.cancel(REQUEST, CancelPlan(PLAN), 0.0)
    client.routed(REQUEST, None, 0.1)

    assert client.found({PLAN: Stored("planned", None, 7)}, [PLAN], 0.2) == []
    assert client.due(0.35) == [Route(REQUEST, PLAN)]


def test_a_cancellation_that_reaches_nobody_ends(client: ClientDecisions) -> None:
    client.cancel(REQUEST, CancelPlan(PLAN), 0.0)
    client.routed(REQUEST, None, 0.1)

    assert isinstance(
        failure([d for d in client.routed(REQUEST, None, 5.2) if isinstance(d, Fail)]), NotCancellable
    )


def test_a_halted_plan_is_loaded_once_its_owner_says_so(client: ClientDecisions) -> None:
    assert client.halt(REQUEST, HaltPlan(PLAN), 0.0) == [Route(REQUEST, PLAN)]
    client.routed(REQUEST, "executor", 0.1)

    assert client.heard(answer(Done()), 0.2) == [LoadPlan(REQUEST, PLAN)]


def test_a_plan_that_nobody_runs_is_stopped_here(client: ClientDecisions) -> None:
    client.halt(REQUEST, HaltPlan(PLAN), 0.0)

    assert client.routed(REQUEST, None, 0.1) == [StopUnowned(REQUEST, PLAN)]
    assert client.stopped(REQUEST, True, 0.2) == [LoadPlan(REQUEST, PLAN)]


def test_a_halt_that_is_never_to_be_had_ends(client: ClientDecisions) -> None:
    client.halt(REQUEST, HaltPlan(PLAN), 0.0)
    client.routed(REQUEST, None, 0.1)
    client.stopped(REQUEST, False, 0.2)

    assert isinstance(failure(client.stopped(REQUEST, False, 5.3)), NoExecutor)


def test_one_whose_owner_is_known_to_be_dead_is_stopped_here(client: ClientDecisions) -> None:
    client.halt(REQUEST, HaltPlan(PLAN), 0.0)
    client.routed(REQUEST, "executor", 0.1)

    assert client.found({PLAN: Stored("running")}, [PLAN], 10.0) == [StopUnowned(REQUEST, PLAN)]


def test_one_that_was_taken_meanwhile_is_looked_for_again(client: ClientDecisions) -> None:
    client.halt(REQUEST, HaltPlan(PLAN), 0.0)
    client.routed(REQUEST, None, 0.1)

    assert client.stopped(REQUEST, False, 0.2) == []
    assert client.due(0.45) == [Route(REQUEST, PLAN)]


def test_a_lost_answer_to_a_halt_only_delays(client: ClientDecisions) -> None:
    client.halt(REQUEST, HaltPlan(PLAN), 0.0)
    client.routed(REQUEST, "executor", 0.1)

    assert client.found({PLAN: Stored("running", "executor")}, [PLAN], 10.0) == []
    assert client.found({PLAN: Stored("stopped")}, [PLAN], 20.0) == [LoadPlan(REQUEST, PLAN)]


def test_a_halt_whose_owner_cannot_be_reached_ends(client: ClientDecisions) -> None:
    client.halt(REQUEST, HaltPlan(PLAN), 0.0)
    (sent,) = sends(client.routed(REQUEST, "executor", 0.1))

    first = client.undeliverable(sent, UnknownReceiver("gone"), 0.2)
    last = client.undeliverable(sent, UnknownReceiver("gone"), 5.3)

    assert first == [StopUnowned(REQUEST, PLAN)], "it may be dead"
    assert isinstance(failure(last), NoExecutor)


def test_a_store_that_is_away_for_too_long_ends_what_waits_for_it(client: ClientDecisions) -> None:
    away = DynflowError("the store is away")
    client.event(REQUEST, EVENT, 0.0)

    assert client.postponed(REQUEST, away, 1.0) == []
    assert client.due(1.25) == [Route(REQUEST, PLAN)]
    assert client.postponed(REQUEST, away, 45.0) == []
    assert client.due(45.25) == [Route(REQUEST, PLAN)]
    assert failure(client.postponed(REQUEST, away, 46.0)) is away
    assert len(client) == 0
