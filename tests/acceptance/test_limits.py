"""Calls that take more than their class allows: stopped in time, with a named cause, and nobody else is harmed."""

import signal
import time

import pytest
from engine_actions import Noop
from waiting_actions import BusyForAWhile, Greedy, Mixed
from watching import alive, lines_of, run, wait_until

from dynflow_mp import MemoryLimitExceeded, RunTimeout

APPS = ["waiting_actions", "engine_actions"]
LIMIT_S, GRACE_S = 0.4, 1.0

POLITE = ["sleep", "compute", "deadlock", "child"]
STUBBORN = ["swallow", "hold", "ignore"]


@pytest.mark.parametrize("how", POLITE)
def test_a_call_that_takes_too_long_is_left_by_an_exception_and_its_worker_goes_on(world, tmp_path, how):
    log = tmp_path / "log"
    run(world, Noop)
    workers = set(world.worker_pids.values())

    plan = run(world, BusyForAWhile, log=str(log), how=how)

    (step,) = plan.failed_steps
    assert isinstance(step.error.exception, RunTimeout)
    assert step.error.cause == "timeout"
    assert "0.4 s (run_timeout_s)" in step.error.message
    assert "waiting_actions.py" in "".join(step.error.backtrace)
    assert LIMIT_S <= step.execution_time < LIMIT_S + GRACE_S
    certificate = step.error.certificate
    assert (certificate.cause, certificate.stack) == ("timeout", step.error.backtrace)
    assert certificate.pid in workers
    assert (certificate.exit_code, certificate.signal) == (None, None)
    assert set(world.worker_pids.values()) == workers
    assert lines_of(log)[1:] == []


@pytest.mark.parametrize("how", STUBBORN)
def test_g19_a_call_that_does_not_let_go_costs_its_worker_and_the_slot_is_free_in_time(world, tmp_path, how):
    log = tmp_path / "log"
    began = time.monotonic()

    plan = run(world, BusyForAWhile, log=str(log), how=how)

    assert (
        time.monotonic() - began < LIMIT_S + GRACE_S + 1.0 + 2.0
    )  # the last for planning and a busy machine
    (step,) = plan.failed_steps
    assert isinstance(step.error.exception, RunTimeout)
    assert step.error.cause == "timeout"
    pid = int(lines_of(log)[0].split()[1])
    assert f"pid {pid}" in step.error.message
    assert "waiting_actions.py" in step.error.backtrace[-1]
    certificate = step.error.certificate
    assert (certificate.cause, certificate.pid, certificate.stack) == ("timeout", pid, step.error.backtrace)
    assert certificate.signal in (signal.SIGTERM, signal.SIGKILL)
    assert (certificate.died_at - certificate.began_at).total_seconds() >= LIMIT_S
    assert not alive(pid)
    wait_until(lambda: len(world.worker_pids) == 2, what="a new worker")


def test_calls_within_their_limit_are_not_touched_beside_one_that_is_not(world, tmp_path):
    plan = run(world, Mixed, 60, str(tmp_path / "log"), "compute")

    assert [step.action_class for step in plan.failed_steps] == ["BusyForAWhile"]
    assert len([step for step in plan.run_steps if step.state == "success"]) == 60


def test_a_call_that_takes_too_much_memory_is_stopped_and_names_the_limit(world):
    assert run(world, Greedy, mib=20).result == "success"

    plan = run(world, Greedy, mib=5_000)

    (step,) = plan.failed_steps
    assert isinstance(step.error.exception, MemoryLimitExceeded)
    assert step.error.cause == "memory_limit"
    assert "more than 160 MiB (memory_limit)" in step.error.message
    assert step.error.certificate.peak_memory > 160 * 2**20
    assert run(world, Greedy, mib=20).result == "success"


def test_workers_lost_to_limits_do_not_make_the_next_ones_wait(world, tmp_path):
    """Seven in a row: more than die at once before places are filled later and later."""
    for number in range(7):
        began = time.monotonic()
        run(world, Greedy, mib=5_000)
        wait_until(lambda: len(world.worker_pids) == 2, what="a new worker")
        assert time.monotonic() - began < 10, number
