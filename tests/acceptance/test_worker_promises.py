"""What is promised about workers: why one ended is told, a healthy one is left alone, one that has enough is replaced."""

import os
import signal
import textwrap
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from engine_actions import FanOut, Held, Noop
from mishap_actions import Mishap
from promise_actions import (
    HoldsTheInterpreter,
    KilledAsItStarts,
    LeakyPlan,
    SaysMuchAndDies,
    SaysTooMuchAndDies,
    TakesAll,
)
from watching import alive, lines_of, run, wait_until

from dynflow_mp import NoExecutor, World
from dynflow_mp.executor import standstills

APPS = ["engine_actions", "mishap_actions", "promise_actions"]


def free_workers(world):
    return world.execution_status(world.id).result(10)["default"]["free_workers"]


def certificate_of(plan):
    (step,) = plan.failed_steps
    return step.error.certificate


# -- why it ended ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "number", "status", "where"),
    [
        ("segfault", signal.SIGSEGV, None, "in segfault"),
        ("abort", signal.SIGABRT, None, "in abort"),
        ("overflow_the_c_stack", signal.SIGSEGV, None, "in dive"),
        ("kill_itself", signal.SIGKILL, None, None),
        ("exit_3", None, 3, None),
    ],
)
def test_g16_a_crash_leaves_a_certificate_with_its_cause_and_native_ones_their_stack(
    world, what, number, status, where
):
    pids = set(world.worker_pids.values())
    certificate = certificate_of(run(world, Mishap, what=what))

    assert (certificate.signal, certificate.exit_code) == (number, status)
    assert certificate.pid in pids
    assert certificate.began_at <= certificate.died_at
    assert 10 * 2**20 < certificate.peak_memory < 2**30
    assert 0 <= certificate.cpu_time < 60
    assert certificate.advice
    assert (where is None) == (certificate.stack == ())
    assert where is None or any(where in line for line in certificate.stack)
    wait_until(lambda: len(world.worker_pids) == 2, 60, "a new worker")


def test_g23_the_last_lines_a_step_printed_are_in_its_certificate_and_harm_no_terminal(world):
    certificate = certificate_of(run(world, SaysMuchAndDies))

    assert certificate.output.splitlines() == [
        "from print[31m in red",
        "to standard error",
        "by the system: \\xff",
        "from a child",
    ]
    assert certificate.output_dropped == 0
    assert certificate.cpu_time > 0


def test_g23_of_too_much_output_the_last_lines_are_kept_and_the_rest_is_counted(world):
    certificate = certificate_of(run(world, SaysTooMuchAndDies))

    assert certificate.output.endswith("\nlast line")
    assert len(certificate.output) < 10_000
    assert 2_900_000 < certificate.output_dropped < 3_000_000
    assert "of it dropped" in str(certificate)


# -- what is left alone ----------------------------------------------------------------------------


def test_g20_a_step_that_holds_the_interpreter_is_not_taken_for_dead(tmp_path):
    """Many times longer than any heartbeat here."""
    settings = {"lease_renewal_s": 0.1, "reconcile_interval_s": 0.1, "reask_interval_s": 0.1}
    with World(database_url=f"sqlite:///{tmp_path}/p.db", workers=1, apps=APPS, **settings) as world:
        pids = dict(world.worker_pids)
        plan = run(world, HoldsTheInterpreter, count=100_000_000, timeout=120)

        assert plan.result == "success"
        assert plan.actions[0].output["held_s"] > 0.5
        assert plan.run_steps[0].attempts == 1
        assert world.worker_pids == pids


def test_g20_a_worker_that_was_stopped_by_a_signal_and_forgotten_holds_nothing_up(tmp_path, monkeypatch):
    """Its step is an error that says so, and what was given to one that had nothing to do is done by another."""
    monkeypatch.setattr(standstills, "STOOD_S", 3.0)
    monkeypatch.setattr(standstills, "_LOOK_S", 0.2)
    with World(database_url=f"sqlite:///{tmp_path}/p.db", workers=1, apps=APPS) as world:
        (first,) = world.worker_pids.values()
        held = world.trigger(Held, log=str(tmp_path / "log"), until=str(tmp_path / "never"))
        wait_until(lambda: lines_of(tmp_path / "log"), 30, "the step to run")
        os.kill(first, signal.SIGSTOP)
        (step,) = held.finished.result(30).failed_steps
        second = wait_until(lambda: {*world.worker_pids.values()} - {first}, 30, "another in its place")
        wait_until(lambda: free_workers(world) == 1, 30, "the other to be ready")
        os.kill(*second, signal.SIGSTOP)
        after = run(world, Noop, timeout=30)

    assert (step.error.cause, step.error.certificate.cause) == ("stood_still", "stood_still")
    assert "Resume" in step.error.certificate.advice
    assert after.result == "success"
    assert after.run_steps[0].attempts == 1


# -- what is replaced ------------------------------------------------------------------------------


def test_g21_workers_that_leak_are_replaced_between_steps_and_no_step_is_lost(tmp_path):
    limit, log = 96, tmp_path / "log"
    with World(
        database_url=f"sqlite:///{tmp_path}/p.db", workers=1, apps=APPS, max_worker_memory=limit * 2**20
    ) as world:
        plan = run(world, LeakyPlan, count=250, log=str(log), timeout=120)

        assert plan.result == "success"
        assert {step.attempts for step in plan.run_steps} == {1}
        leaked = [tuple(map(int, line.split())) for line in lines_of(log)]
        assert len(leaked) == 250
        assert len({pid for pid, _ in leaked}) >= 2
        assert max(count for _, count in leaked) < 200, "no worker keeps it all"
        wait_until(lambda: len(world.worker_pids) == 1, 60, "the last successor's predecessor to leave")
        assert world.degraded is None


def test_g21_workers_that_have_done_their_steps_are_replaced_and_no_step_is_lost(tmp_path):
    with World(
        database_url=f"sqlite:///{tmp_path}/p.db", workers=2, apps=APPS, max_steps_per_worker=50, max_credit=8
    ) as world:
        first = set(world.worker_pids.values())
        for _ in range(3):
            plan = run(world, FanOut, 300, timeout=120)
            assert plan.result == "success"
            assert {step.attempts for step in plan.run_steps} == {1}
            assert psutil.pid_exists(next(iter(world.worker_pids.values())))

        wait_until(lambda: not first & set(world.worker_pids.values()), 60, "others in their place")
        assert not any(map(alive, first))


# -- too many failures -----------------------------------------------------------------------------


@pytest.fixture
def a_module(tmp_path, monkeypatch):
    """Write a module that processes started from here can import."""
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    )

    def write(name, source):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))

    return write


def test_g17_an_executor_whose_workers_cannot_start_is_degraded_until_they_can(
    start_supervisor, a_client, a_module, tmp_path
):
    broken = tmp_path / "broken"
    a_module(
        "shop",
        f"""
        import pathlib
        from engine_actions import *
        if pathlib.Path({str(broken)!r}).exists():
            raise RuntimeError("the shop is closed")
        """,
    )
    supervisor = start_supervisor(app="shop", workers=3)
    client = a_client(no_executor_timeout_s=1.0)
    run(client, Noop)

    def record():
        (found,) = client.coordinator.find_worlds(id=supervisor.world_id)
        return found

    broken.touch()
    for pid in supervisor.descendants():
        if b"executor.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: record().degraded, 60, "the record to say so")

    assert "workers of queue 'default' could not start within 60 s" in record().degraded
    assert record().state == "alive"
    assert client.ping(supervisor.world_id).result(30) is True
    refused = client.trigger(Noop)
    with pytest.raises(NoExecutor):
        refused.finished.result(60)

    broken.unlink()
    wait_until(lambda: record().degraded is None, 120, "workers that live again")
    wait_until(lambda: client.persistence.load_execution_plan(refused.id).state == "stopped", 60, "the plan")

    supervisor.signal(signal.SIGTERM)
    status, _, said = supervisor.output(60)
    assert status == 0
    assert said.count("degraded, no new plans are taken") == 1
    assert said.count("workers live again, plans are taken") == 1


def test_g17_a_worker_killed_as_its_supervisor_starts_is_replaced(
    start_supervisor, a_client, a_module, tmp_path
):
    a_module("shop", KilledAsItStarts.SOURCE.format(marker=str(tmp_path / "killed")))

    start_supervisor(app="shop", workers=1)

    assert (tmp_path / "killed").exists()
    assert run(a_client(), Noop).result == "success"


# -- out of memory ---------------------------------------------------------------------------------


@contextmanager
def a_control_group(mebibytes):
    """A memory control group of our own (version 1 or 2); skipped where we may not make one."""
    for root, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = root / f"dynflow-test-{uuid4().hex[:8]}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(mebibytes * 2**20))
            yield group
            return
        except FileNotFoundError:
            continue
        finally:
            _clear(group)
            wait_until(lambda group=group: _removed(group), 30, "the end of the control group")
    pytest.skip("no memory control group can be made here")


def _clear(group):
    """Whoever is left in it: a test that failed has not ended what it started."""
    for pid in map(int, (group / "cgroup.procs").read_text().split()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _removed(group):
    try:
        group.rmdir()
    except OSError:
        return not group.exists()
    return True


def test_g22_a_step_that_takes_all_memory_is_named_so_and_its_supervisor_lives(
    start_supervisor, a_client, tmp_path
):
    with a_control_group(250) as group:
        join = f'echo $$ > {group}/cgroup.procs && exec "$@"'
        supervisor = start_supervisor(app="promise_actions", workers=1, through=("sh", "-c", join, "-"))
        client = a_client()
        scores = {
            psutil.Process(pid).name(): int(Path(f"/proc/{pid}/oom_score_adj").read_text())
            for pid in [*supervisor.descendants(), supervisor.process.pid]
        }

        certificate = certificate_of(run(client, TakesAll, timeout=120))

        assert certificate.cause == "out_of_memory"
        assert certificate.signal == signal.SIGKILL
        assert certificate.peak_memory > 100 * 2**20
        assert "control group" in certificate.advice
        assert scores.pop("dynflow worker") == 500
        assert max(scores.values()) < 500
        assert alive(supervisor.process.pid)
        supervisor.signal(signal.SIGTERM)
        assert supervisor.wait(60) == 0
