"""What is done about failures when the executor itself dies: crashes are counted, waits last, rescue goes on."""

import signal

import pytest
from after_error_actions import DecidesSlowly, FlakyForLong, HeldIdempotently, HeldSkippable
from watching import kill, lines_of, wait_until

pytestmark = pytest.mark.usefixtures("quick_to_look")


@pytest.fixture
def supervisor(start_supervisor):
    return lambda: start_supervisor(app="after_error_actions")


def the_step(client, plan_id):
    (step,) = client.persistence.load_execution_plan(plan_id).run_steps
    return step


@pytest.mark.every_database
def test_an_idempotent_step_whose_supervisor_was_killed_runs_again(supervisor, a_client, tmp_path):
    log, go = tmp_path / "log", tmp_path / "go"
    first, client = supervisor(), a_client()
    triggered = client.trigger(HeldIdempotently, log=str(log), until=str(go))
    wait_until(lambda: lines_of(log), what="the step's beginning")

    kill(first)
    supervisor()
    wait_until(lambda: len(lines_of(log)) == 2, what="the step's second beginning")
    go.touch()
    plan = triggered.finished.result(20)

    (step,) = plan.run_steps
    assert (plan.state, plan.result) == ("stopped", "success")
    assert (step.attempts, step.crashes, step.error) == (2, 1, None)
    assert [one.error.cause for one in step.failed_attempts] == ["supervisor_lost"]


def test_a_step_that_takes_its_supervisor_down_is_an_error_after_the_third_time(
    supervisor, a_client, tmp_path
):
    """G16: a poison step ends, whoever it takes with it."""
    log, go = tmp_path / "log", tmp_path / "go"
    client = a_client()
    running = supervisor()
    triggered = client.trigger(HeldIdempotently, log=str(log), until=str(go))

    for crash in (1, 2, 3):
        wait_until(lambda begun=crash: len(lines_of(log)) == begun, what=f"beginning {crash}")
        kill(running)
        running = supervisor()
    plan = triggered.finished.result(20)

    (step,) = plan.failed_steps
    assert (plan.state, step.crashes, len(lines_of(log))) == ("paused", 3, 3)
    assert step.error.message.endswith("(crashes=3)")


def test_b356_a_skippable_step_whose_supervisor_was_killed_is_skipped(supervisor, a_client, tmp_path):
    log, go = tmp_path / "log", tmp_path / "go"
    first, client = supervisor(), a_client()
    triggered = client.trigger(HeldSkippable, log=str(log), until=str(go))
    wait_until(lambda: lines_of(log), what="the step's beginning")

    kill(first)
    supervisor()
    plan = triggered.finished.result(20)

    assert (plan.state, plan.result) == ("stopped", "warning")
    assert (plan.run_steps[0].state, len(lines_of(log))) == ("skipped", 1)


@pytest.mark.every_database
def test_a_step_waits_for_its_next_attempt_across_the_death_of_its_supervisor(supervisor, a_client, tmp_path):
    log = tmp_path / "log"
    first, client = supervisor(), a_client()
    triggered = client.trigger(FlakyForLong, log=str(log), works_at=2)
    step = wait_until(lambda: (found := the_step(client, triggered.id)).due_at and found, what="the wait")

    kill(first)
    supervisor()
    plan = triggered.finished.result(20)

    assert (plan.result, plan.run_steps[0].attempts) == ("success", 2)
    assert float(lines_of(log)[1]) >= step.due_at.timestamp()
    assert float(lines_of(log)[1]) < step.due_at.timestamp() + 10


def test_a_rescue_strategy_that_an_ending_supervisor_interrupts_is_no_answer(
    monkeypatch, supervisor, a_client, tmp_path
):
    """The plan is left as every plan with a failed step is when its executor ends: paused, and nothing runs twice."""
    monkeypatch.setenv("DYNFLOW_DRAIN_GRACE_S", "0.5")
    log, go = tmp_path / "log", tmp_path / "go"
    first, client = supervisor(), a_client()
    triggered = client.trigger(DecidesSlowly, log=str(log), until=str(go))
    wait_until(lambda: lines_of(log), what="the question")

    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    plan = triggered.finished.result(60)

    assert (plan.state, plan.failed_steps[0].error.message) == ("paused", "help")
    names = [entry.name for entry in plan.execution_history]
    assert names == ["start execution", "terminate execution"]

    go.touch()
    supervisor()
    resumed = client.execute(plan.id).result(60)
    assert (resumed.state, resumed.result) == ("stopped", "warning")
    assert lines_of(log) == ["asked", "asked"]
