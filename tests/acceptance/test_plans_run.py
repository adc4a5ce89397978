"""Plans on real workers: order, results, errors, resume – one embedded world for all."""

import os

import pytest
from engine_actions import (
    Chain,
    Echo,
    Exits,
    FailsToPlan,
    FanOut,
    FinalizeNeedsFile,
    Gather,
    Held,
    NeedsFile,
    Noop,
    Ordered,
    Printer,
    SideBySide,
    Unstorable,
    UsesMissingKey,
    WhereAmI,
)
from watching import lines_of, run, wait_until

from dynflow_mp.errors import (
    AlreadyRunning,
    DataError,
    DynflowError,
    PlanNotFound,
    PlanStopped,
)

pytestmark = pytest.mark.every_database(in_chaos=())


def history(plan):
    return [entry.name for entry in plan.execution_history]


def test_worlds_64_a_plan_runs_to_its_end(world):
    plan = run(world, Echo, text="hello")

    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.entry_action.output == {"text": "hello"}
    assert history(plan) == ["start execution", "finish execution"]
    assert {entry.world_id for entry in plan.execution_history} == {world.id}
    assert plan.progress == 1


def test_outputs_reach_the_inputs_that_refer_to_them(world):
    plan = run(world, Chain, 20)

    assert plan.entry_action.output == {"total": 20}
    assert plan.entry_action.input == {"total": 20}
    assert {step.state for step in plan.steps.values()} == {"success"}


def test_a_plan_larger_than_a_page_runs_every_step_once(world):
    plan = run(world, FanOut, 3000, timeout=60)

    assert plan.result == "success"
    runs = [step for step in plan.steps.values() if step.phase == "run"]
    assert len(runs) == 3000
    assert {step.attempts for step in runs} == {1}


def test_a_consumer_of_a_thousand_outputs_gets_them_all_and_finalize_sees_run_s_output(world):
    plan = run(world, Gather, 1500, timeout=60)

    assert plan.entry_action.output == {"sum": sum(range(1500)), "doubled": 2 * sum(range(1500))}


def test_b065_an_empty_plan_succeeds_and_cannot_be_executed_again(world):
    """Worlds 80; a stopped plan is not executed again."""
    plan = run(world, FanOut, 0)

    assert (plan.state, plan.result) == ("stopped", "success")
    with pytest.raises(PlanStopped):
        world.execute(plan.id).result(10)


def test_b061_a_failed_step_pauses_the_plan(world, tmp_path):
    plan = run(world, NeedsFile, path=str(tmp_path / "missing"))

    assert (plan.state, plan.result) == ("paused", "error")
    (step,) = plan.failed_steps
    assert step.error.exception_class == "FileNotFoundError"
    assert "is not there yet" in step.error.message
    assert any("needs" in line or "raise" in line or "run" in line for line in step.error.backtrace)
    assert history(plan) == ["start execution", "pause execution"]


def test_worlds_65_executed_again_without_a_fix_it_is_paused_again(world, tmp_path):
    plan = run(world, NeedsFile, path=str(tmp_path / "missing"))

    again = world.execute(plan.id).result(20)

    assert again.state == "paused"
    (step,) = again.failed_steps
    assert step.attempts == 2


def test_b071_resume_runs_only_what_failed_and_what_stands_behind_it(world, tmp_path):
    log, missing = tmp_path / "log", tmp_path / "missing"
    needs = {"path": str(missing), "log": str(log)}
    fine = {"path": str(tmp_path), "log": str(log)}
    plan = run(
        world,
        SideBySide,
        [
            [
                ("NeedsFile", {**fine, "name": "a1"}),
                ("NeedsFile", {**needs, "name": "a2"}),
                ("NeedsFile", {**fine, "name": "a3"}),
            ],
            [("NeedsFile", {**fine, "name": "b1"}), ("NeedsFile", {**fine, "name": "b2"})],
        ],
    )
    assert plan.state == "paused"
    assert sorted(lines_of(log)) == ["needs a1", "needs a2", "needs b1", "needs b2"]

    missing.touch()
    resumed = world.execute(plan.id).result(20)

    assert (resumed.state, resumed.result) == ("stopped", "success")
    assert sorted(lines_of(log))[0:2] == ["needs a1", "needs a2"]
    assert lines_of(log).count("needs a1") == 1
    assert lines_of(log).count("needs a2") == 2
    assert lines_of(log).count("needs a3") == 1
    assert lines_of(log).count("needs b1") == 1
    assert history(resumed) == ["start execution", "pause execution", "start execution", "finish execution"]


def test_w6_the_error_of_a_step_that_succeeded_later_is_not_the_plan_s_any_more(world, tmp_path):
    missing = tmp_path / "missing"
    plan = run(world, NeedsFile, path=str(missing))
    missing.touch()

    resumed = world.execute(plan.id).result(20)

    assert resumed.errors == []
    assert {step.attempts for step in resumed.steps.values() if step.phase == "run"} == {2}


def test_b070_the_stored_input_of_a_failed_step_can_be_mended_before_resume(world, tmp_path):
    plan = run(world, NeedsFile, path=str(tmp_path / "wrong"))
    (tmp_path / "right").touch()

    world.persistence.replace_input(plan.id, plan.entry_action.id, {"path": str(tmp_path / "right")})
    resumed = world.execute(plan.id).result(20)

    assert resumed.result == "success"


def test_b073_a_failed_finalize_phase_starts_over_on_resume(world, tmp_path):
    log, missing = tmp_path / "log", tmp_path / "missing"
    values = {"log": str(log), "path": str(missing)}
    fine = {"log": str(log), "path": str(tmp_path)}
    plan = run(
        world,
        Ordered,
        [
            ("FinalizeNeedsFile", {**fine, "name": "a"}),
            ("FinalizeNeedsFile", {**values, "name": "b"}),
            ("FinalizeNeedsFile", {**fine, "name": "c"}),
        ],
    )
    assert (plan.state, plan.result) == ("paused", "error")
    states = [step.state for step in plan.steps.values() if step.phase == "finalize"]
    assert states == ["success", "error", "pending"]

    missing.touch()
    resumed = world.execute(plan.id).result(20)

    assert (resumed.state, resumed.result) == ("stopped", "success")
    assert lines_of(log) == [
        "run a",
        "run b",
        "run c",
        "finalize a",
        "finalize b",
        "finalize a",
        "finalize b",
        "finalize c",
    ]


def test_b069_finalize_does_not_run_when_the_run_phase_failed(world, tmp_path):
    log = tmp_path / "log"
    values = {"log": str(log), "path": str(tmp_path), "name": "a"}

    plan = run(
        world, SideBySide, [[("FinalizeNeedsFile", values)], [("NeedsFile", {"path": str(tmp_path / "no")})]]
    )

    assert plan.state == "paused"
    assert lines_of(log) == ["run a"]


def test_b062_while_a_step_runs_it_and_its_plan_are_stored_as_running(world, tmp_path):
    """Worlds 67."""
    log = tmp_path / "log"
    triggered = world.trigger(Held, log=str(log), until=str(tmp_path / "go"))
    wait_until(lambda: lines_of(log), what="the step's beginning")

    plan = world.persistence.load_execution_plan(triggered.id)
    (step,) = [step for step in plan.steps.values() if step.phase == "run"]
    assert (plan.state, step.state) == ("running", "running")

    (tmp_path / "go").touch()
    assert triggered.finished.result(20).result == "success"


def test_b063_executing_a_running_plan_fails(world, tmp_path):
    """Worlds 68."""
    log = tmp_path / "log"
    triggered = world.trigger(Held, log=str(log), until=str(tmp_path / "go"))
    wait_until(lambda: lines_of(log), what="the step's beginning")

    with pytest.raises(AlreadyRunning) as raised:
        world.execute(triggered.id).result(10)

    assert isinstance(raised.value, DynflowError)
    (tmp_path / "go").touch()
    assert triggered.finished.result(20).result == "success"


def test_b021_a_plan_that_cannot_be_planned_is_stored_stopped_with_the_error(world):
    result = world.trigger(FailsToPlan)

    assert (result.planned, result.triggered, result.scheduled) == (False, False, False)
    assert isinstance(result.error, ValueError)
    plan = world.persistence.load_execution_plan(result.id)
    assert (plan.state, plan.result) == ("stopped", "error")
    assert plan.errors[0].message == "not today"


def test_an_input_that_cannot_be_stored_fails_the_planning_and_names_the_place(world):
    result = world.trigger(Echo, hosts=[{"since": object()}])

    assert isinstance(result.error, DataError)
    assert "input['hosts'][0]['since']" in str(result.error)


def test_b010_an_output_that_cannot_be_stored_fails_the_step_and_names_the_place(world):
    plan = run(world, Unstorable)

    assert plan.state == "paused"
    assert "output['users'][1]['bad']" in plan.failed_steps[0].error.message


def test_a_missing_output_key_fails_the_consumer_and_names_it(world):
    """W1: it must not look like success."""
    plan = run(world, UsesMissingKey)

    assert (plan.state, plan.result) == ("paused", "error")
    assert "nothing" in plan.failed_steps[0].error.message


@pytest.mark.parametrize("how", ["sys.exit", "os._exit", "os.abort"])
def test_a_step_that_ends_its_process_is_an_error_and_nothing_else_is_harmed(world, how):
    plan = run(world, Exits, how=how)

    assert (plan.state, plan.result) == ("paused", "error")
    assert len(plan.failed_steps) == 1
    assert run(world, Noop).result == "success"


def test_a_step_that_prints_a_lot_does_not_block(world):
    assert run(world, Printer, lines=20_000, timeout=60).result == "success"


def test_a_step_runs_in_a_process_of_its_own_without_the_engine_s_state(world):
    output = run(world, WhereAmI).entry_action.output

    assert output["pid"] in world.worker_pids.values()
    assert output["pid"] != os.getpid()
    assert output["cwd"] == os.getcwd()
    loaded = {name.split(".")[0] for name in output["modules"]}
    assert not loaded & {"sqlalchemy", "alembic", "psutil", "click", "rich"}
    assert not [
        name
        for name in output["modules"]
        if name.startswith(
            (
                "dynflow_mp.director",
                "dynflow_mp.persistence",
                "dynflow_mp.coordinator",
                "dynflow_mp.dispatchers",
                "dynflow_mp.executor.core",
            )
        )
    ]


def test_a_plan_that_does_not_exist_is_said_so(world):
    with pytest.raises(PlanNotFound, match="no-such-plan"):
        world.execute("no-such-plan").result(10)


def test_b012_the_label_is_the_root_action_s(world):
    assert run(world, Noop).label == "Noop"


def test_b014_a_plan_may_have_an_id_of_the_caller_s_choice(world):
    """Worlds 63: planned is what it is then."""
    chosen = "01890000-0000-7000-8000-000000000001"

    plan = world.plan_with_options(Noop, id=chosen)

    assert plan.id == chosen
    assert plan.state == "planned"
    assert world.execute(chosen).result(20).result == "success"


def test_b078_b079_times_are_there_and_add_up(world):
    plan = run(world, Chain, 5)

    assert plan.started_at is not None
    assert plan.ended_at >= plan.started_at
    assert plan.execution_time == pytest.approx(
        sum(step.execution_time for step in plan.steps.values()), abs=1e-6
    )
    assert plan.real_time > 0


def test_many_plans_at_once_all_end(world):
    triggered = [world.trigger(Chain, 3) for _ in range(60)]

    plans = [one.finished.result(60) for one in triggered]

    assert {plan.result for plan in plans} == {"success"}


def test_the_finalize_action_is_kept(world, tmp_path):
    plan = run(world, FinalizeNeedsFile, log=str(tmp_path / "log"), path=str(tmp_path), name="x")

    assert [step.phase for step in plan.steps.values()] == ["plan", "run", "finalize"]
