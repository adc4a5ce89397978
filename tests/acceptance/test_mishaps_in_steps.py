"""Steps that do to their worker what they should not: one clear error, and nothing else is harmed."""

import os
import signal
from pathlib import Path

import psutil
import pytest
from mishap_actions import After, Interrupted, Mishap, MishapInFinalize, Witness
from unharmed import a_world, assert_unharmed, the_error, worker_of
from watching import run


@pytest.fixture(scope="module")
def lasting_world(tmp_path_factory):
    """One worker, so that the next step meets what the one before has left."""
    with a_world(tmp_path_factory.mktemp("world"), workers=1) as world:
        yield world


@pytest.fixture
def world(lasting_world):
    """For mishaps that the worker survives."""
    yield lasting_world
    assert_unharmed(lasting_world, workers=1)


@pytest.fixture
def fresh_world(tmp_path):
    """For mishaps that cost a worker."""
    with a_world(tmp_path, workers=2) as world:
        yield world
        assert_unharmed(world, workers=2)


def found_by(plan, key="found"):
    """What the witness of a plan has seen."""
    (action,) = [action for action in plan.actions if isinstance(action, Witness)]
    return action.output[key]


# -- run does not come to its end ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "cause", "words"),
    [
        ("exit_0", "exit(0)", "left with exit status 0; code it ran may have called sys.exit or os._exit"),
        ("exit_3", "exit(3)", "left with exit status 3"),
        ("abort", "signal(6)", "crashed in native code, signal 6 (SIGABRT)"),
        ("segfault", "signal(11)", "crashed in native code, signal 11 (SIGSEGV)"),
        ("overflow_the_c_stack", "signal(11)", "SIGSEGV"),
        ("kill_itself", "signal(9)", "was killed with signal 9 (SIGKILL)"),
    ],
)
@pytest.mark.parametrize("kind", [Mishap, MishapInFinalize])
def test_g16_a_step_that_ends_its_process_is_in_error_with_the_cause(fresh_world, kind, what, cause, words):
    plan = run(fresh_world, kind, what=what)

    error = the_error(plan)
    assert (error.exception_class, error.cause) == ("dynflow_mp.errors.WorkerLost", cause)
    assert words in error.message
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("what", "name", "words"),
    [
        ("sys_exit_0", "SystemExit", "0"),
        ("sys_exit_3", "SystemExit", "3"),
        ("recurse", "RecursionError", "maximum recursion depth"),
        ("interrupt", "KeyboardInterrupt", "as if by Ctrl-C"),
        ("generator_exit", "GeneratorExit", "from nowhere"),
        ("memory_error", "MemoryError", "too much asked"),
        ("base_exception", "BaseException", "the base itself"),
        ("unpicklable", "mishap_actions.Unpicklable", "cannot be pickled"),
        ("unprintable", "mishap_actions.Unprintable", "its __str__ raised RuntimeError"),
        ("twenty_megabytes", "ValueError", "xxx"),
        ("own_cause", "ValueError", "its own cause"),
        ("group", "ExceptionGroup", "several (2 sub-exceptions)"),
        ("make_a_world", "dynflow_mp.errors.WorldInWorker", "there is no World in a worker process"),
        ("no_dict", "TypeError", "the output must be a dict, not a list"),
    ],
)
def test_whatever_run_raises_is_its_error_and_the_worker_goes_on(world, what, name, words):
    pid = worker_of(world)

    plan = run(world, Mishap, what=what)

    error = the_error(plan)
    assert error.exception_class == name
    assert words in error.message
    assert len(error.message) < 20_000
    assert worker_of(world) == pid


def test_a_plan_method_that_exits_takes_its_caller_along_and_nothing_is_stored(world):
    before = {plan.id for plan in world.persistence.find_execution_plans()}

    with pytest.raises(SystemExit, match="out of plan"):
        world.trigger(Interrupted)

    assert {plan.id for plan in world.persistence.find_execution_plans()} == before


# -- printing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        "print_a_lot",
        "print_without_end_of_line",
        "write_a_gigabyte_of_garbage",
        "have_a_child_print_a_gigabyte",
    ],
)
def test_g23_a_gigabyte_of_output_blocks_nobody_and_fills_no_memory(fresh_world, what):
    ours = psutil.Process()
    before = ours.memory_info().rss

    loud = fresh_world.trigger(Mishap, what=what)
    others = [run(fresh_world, Witness).result for _ in range(5)]

    assert others == ["success"] * 5
    assert loud.finished.result(90).result == "success"
    assert ours.memory_info().rss - before < 64 * 2**20


# -- what is put back ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        "change_directory",
        "lose_the_directory",
        "change_umask",
        "change_environment",
        "replace_environment",
        "ignore_signals",
        "set_an_alarm",
        "change_locale",
        "lower_recursion_limit",
        "empty_the_path",
        "replace_streams",
        "close_streams",
        "close_standard_descriptors",
        "redirect_standard_output",
        "stop_collecting",
        "forget_faults",
        "trace",
        "be_nice",
        "change_precision",
    ],
)
@pytest.mark.parametrize("kind", ["Mishap", "MishapInFinalize"])
def test_the_next_step_finds_the_process_as_the_worker_started(world, tmp_path, monkeypatch, kind, what):
    before = found_by(run(world, Witness))

    plan = run(world, After, what, kind)

    assert plan.result == "success", plan.errors
    found = found_by(plan, "found" if kind == "Mishap" else "found_later")
    streams = ("streams", "closed") if what == "close_streams" else ()
    for key in before:
        if key not in streams:
            assert found[key] == before[key], key
    assert found["closed"] == [False] * 3
    assert not Path("gone").exists()


def test_a_stack_dump_still_works_after_a_step_that_took_its_signal(world):
    run(world, Mishap, what="ignore_signals")
    run(world, Mishap, what="forget_faults")
    pid = worker_of(world)

    os.kill(pid, signal.SIGUSR1)

    assert run(world, Witness).result == "success"
    assert worker_of(world) == pid
