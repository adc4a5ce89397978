"""The ready-made actions that wait: call by call, as a worker makes them."""

from __future__ import annotations

from typing import Any

import pytest

from dynflow_mp import (
    Abort,
    Action,
    Cancel,
    Cancellable,
    Poll,
    Polling,
    RescueStrategy,
    Skip,
    Timeout,
    Timeouts,
)
from dynflow_mp.actions.phases import run_step
from dynflow_mp.actions.registry import name_of
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.work import ErrorRecord, StepJob, StepOutcome

PLAN = "0193f0c5-0000-7000-8000-000000000001"


class Calls:
    """One step of a class: each call gets what the last one left, like a worker's."""

    def __init__(self, kind: type[Action], **given: Any) -> None:
        self.kind, self.given = kind, given
        self.output: dict[str, Any] = {}

    def run(self, event: Any = None) -> StepOutcome:
        data = None if event is None else encode(event, "event")
        job = StepJob(PLAN, 2, 1, 1, name_of(self.kind), encode(self.given, "input"), event=data)
        outcome = run_step(job._replace(output=encode(self.output, "output")))
        if outcome.output is not None:
            self.output = decode(outcome.output)
        return outcome

    def pings(self, outcome: StepOutcome) -> list[float | None]:
        """After how long the step wants to be polled."""
        return [event.delay_s for event in outcome.events if decode(event.data) is Poll]


def message_of(outcome: StepOutcome) -> str:
    assert outcome.error is not None
    return ErrorRecord.from_bytes(outcome.error).message


class Deploy(Polling):
    """Ten percent further with each look; what goes wrong is in the input."""

    def invoke_external_task(self) -> Any:
        self.output["invoked"] = self.output.get("invoked", 0) + 1
        return {"task_id": 123, "progress": 0}

    def poll_external_task(self) -> Any:
        if self.input.get("fails"):
            raise ConnectionError("nobody there")
        return {**self.external_task, "progress": self.external_task["progress"] + 10}

    def done(self) -> bool:
        return bool(self.external_task["progress"] >= 100)

    def on_finish(self) -> None:
        self.output["finished"] = True


def test_b140_the_first_run_stores_the_external_task() -> None:
    calls = Calls(Deploy)

    outcome = calls.run()

    assert outcome.state == "suspended"
    assert calls.output["task"]["task_id"] == 123
    assert calls.pings(outcome) == [0.5]


def test_b141_the_tenth_look_ends_it() -> None:
    calls = Calls(Deploy)
    calls.run()

    for _ in range(9):
        outcome = calls.run(Poll)
        assert outcome.state == "suspended"
        assert len(calls.pings(outcome)) == 1
    outcome = calls.run(Poll)

    assert outcome.state == "success"
    assert outcome.events == ()
    assert calls.output["finished"] is True


def test_b142_a_resumed_run_polls_the_old_task() -> None:
    calls = Calls(Deploy)
    calls.run()

    calls.run()

    assert calls.output["task"]["progress"] == 10
    assert calls.output["invoked"] == 1


def test_b144_looks_that_fail_are_tolerated_up_to_the_third_in_a_row() -> None:
    calls = Calls(Deploy)
    calls.run()
    calls.given["fails"] = True

    for failed in (1, 2):
        outcome = calls.run(Poll)
        assert outcome.state == "suspended"
        assert len(calls.pings(outcome)) == 1
        assert calls.output["poll_attempts"] == {"total": failed, "failed": failed}
    outcome = calls.run(Poll)

    assert outcome.state == "error"
    assert message_of(outcome) == "nobody there"
    assert outcome.events == ()
    assert calls.output["poll_attempts"] == {"total": 3, "failed": 3}


def test_a_look_that_succeeds_forgives_those_before_it() -> None:
    calls = Calls(Deploy)
    calls.run()
    calls.given["fails"] = True
    calls.run(Poll)
    calls.given["fails"] = False

    calls.run(Poll)

    assert calls.output["poll_attempts"] == {"total": 2, "failed": 0}


def test_when_resumed_a_task_that_cannot_be_looked_at_is_started_again() -> None:
    calls = Calls(Deploy)
    calls.run()
    calls.given["fails"] = True
    for _ in range(3):
        calls.run(Poll)

    outcome = calls.run()

    assert outcome.state == "suspended"
    assert calls.output["invoked"] == 2
    assert calls.output["poll_attempts"]["failed"] == 0


def test_b145_the_interval_grows_with_the_looks() -> None:
    class Patient(Deploy):
        poll_intervals = (1, 2)
        attempts_before_next_interval = 2

    calls = Calls(Patient)

    delays = [calls.pings(calls.run(event)) for event in (None, Poll, Poll, Poll, Poll, Poll)]

    assert delays == [[1], [1], [2], [2], [2], [2]]


def test_b146_a_timeout_is_an_error_after_the_looks_there_was_time_for() -> None:
    class Limited(Deploy):
        def poll_interval(self) -> float:
            return 2

        def invoke_external_task(self) -> Any:
            self.schedule_timeout(5)
            return super().invoke_external_task()

    calls = Calls(Limited)
    started = calls.run()
    (timeout,) = [event for event in started.events if decode(event.data) is Timeout]
    assert (timeout.delay_s, timeout.optional) == (5, True)
    for _ in range(2):  # at 2 and at 4 seconds
        calls.run(Poll)

    outcome = calls.run(Timeout)

    assert outcome.state == "error"
    assert message_of(outcome) == "Timeout exceeded."


def test_a_timeout_may_be_met_by_waiting_on() -> None:
    class Lenient(Deploy):
        def process_timeout(self) -> None:
            self.output["late"] = True

    calls = Calls(Lenient)
    calls.run()

    outcome = calls.run(Timeout)

    assert outcome.state == "suspended"
    assert calls.output["late"] is True
    assert outcome.events == (), "the look that is planned already is enough"


def test_b373_looks_are_counted_from_the_first_on() -> None:
    """Otherwise than Dynflow, whose first increment may be lost: there three looks give a total of 2."""
    calls = Calls(Deploy)
    calls.run()

    for _ in range(3):
        calls.run(Poll)

    assert calls.output["task"]["progress"] == 30
    assert calls.output["poll_attempts"] == {"total": 3, "failed": 0}


def test_an_event_that_it_does_not_know_fails_the_step() -> None:
    calls = Calls(Deploy)
    calls.run()

    outcome = calls.run("who are you")

    assert message_of(outcome) == "Deploy does not know the event 'who are you'"


def test_a_text_that_reads_like_a_signal_is_none() -> None:
    calls = Calls(Deploy)
    calls.run()

    assert calls.run("poll").state == "error"


@pytest.mark.parametrize("name", ["done", "invoke_external_task", "poll_external_task"])
def test_what_is_not_defined_is_named(name: str) -> None:
    with pytest.raises(NotImplementedError, match=name):
        getattr(object.__new__(type("Bare", (Polling,), {}, abstract=True)), name)()


# -- being skipped, being cancelled ----------------------------------------------------------------


class Stoppable(Cancellable, Deploy):
    def cancel(self) -> None:
        self.output["cancelled"] = True


def skipped(action: Any) -> Any:
    return action.run(Skip)


@pytest.mark.parametrize("kind", [Deploy, Stoppable])
def test_ready_made_actions_can_be_skipped(kind: type[Action]) -> None:
    """W5."""
    assert Skip is RescueStrategy.SKIP
    skipped(object.__new__(kind))


def test_every_other_event_goes_to_the_run_behind() -> None:
    calls = Calls(Stoppable)
    calls.run()

    calls.run(Poll)

    assert calls.output["task"]["progress"] == 10


def test_b110_cancel_decides_what_becomes_of_the_step() -> None:
    calls = Calls(Stoppable)
    calls.run()

    outcome = calls.run(Cancel)

    assert outcome.state == "success"
    assert calls.output["cancelled"] is True


def test_abort_is_cancel_unless_it_is_told_otherwise() -> None:
    calls = Calls(Stoppable)
    calls.run()

    assert calls.run(Abort).state == "success"
    assert calls.output["cancelled"] is True


def test_a_run_of_its_own_hides_the_mixins_unless_it_calls_up() -> None:
    class Own(Cancellable):
        def run(self, event: Any = None) -> None:
            if event is None:
                self.suspend()
            super().run(event)

        def cancel(self) -> None:
            self.output["cancelled"] = True

    calls = Calls(Own)
    calls.run()

    assert calls.run(Cancel).state == "success"
    assert calls.output == {"cancelled": True}
    assert "does not know the event 'what'" in message_of(calls.run("what"))


def test_the_mixins_are_no_actions_themselves() -> None:
    from dynflow_mp.actions.registry import registry

    assert not any(registry.has(kind) for kind in (Polling, Cancellable, Timeouts))
