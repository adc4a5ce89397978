"""Stopping steps of real workers: the one that is meant, and no other."""

from __future__ import annotations

import time
from pathlib import Path

from test_processes import Host, error, host, job, numbered, output, waiting

from dynflow_mp.executor import wire
from dynflow_mp.executor.news import WorkReturned

__all__ = ["host"]  # the fixture


def test_a_job_that_runs_is_left_by_an_exception_and_those_behind_it_are_run(
    host: Host, tmp_path: Path
) -> None:
    worker = host.worker()
    held, begun, _ = waiting(tmp_path)
    host.processes.send(worker, numbered(held, job("Echo", 2, say=2), job("Echo", 3, say=3)))
    host.until(begun.exists)

    host.processes.stop_step(worker, wire.StepToStop(1, "timeout", "too long"))

    stopped = error(host.outcome(1))
    assert (stopped.exception_class, stopped.message, stopped.cause) == (
        "dynflow_mp.errors.RunTimeout",
        "too long",
        "timeout",
    )
    assert host.outcome(2).state == host.outcome(3).state == "success"
    assert worker in host.processes.pids


def test_a_job_that_has_not_begun_is_given_back_instead(host: Host, tmp_path: Path) -> None:
    worker = host.worker()
    held, begun, go = waiting(tmp_path)
    host.processes.send(worker, numbered(held, job("Echo", 2, say=2), job("Echo", 3, say=3)))
    host.until(begun.exists)

    host.processes.stop_step(worker, wire.StepToStop(2, "halted", "not wanted"))

    assert host.first(WorkReturned).job_numbers == [2]
    go.touch()
    assert host.outcome(1).state == host.outcome(3).state == "success"


def test_stops_that_come_at_any_moment_hit_their_own_job_or_nothing(host: Host) -> None:
    """Many short jobs, and stops for the one that runs just now: no other is ever in error, and the worker lives."""
    worker, count, meant = host.worker(), 2000, set()
    host.processes.send(worker, numbered(*(job("Doze", n, say=n, pieces=n % 4) for n in range(1, count + 1))))
    ends = time.monotonic() + 60

    while len(host.outcomes()) < count and time.monotonic() < ends:
        running = host.processes.begun(worker)
        if running and running % 3 == 0 and running not in meant:
            meant.add(running)
            host.processes.stop_step(worker, wire.StepToStop(running, "halted", "not wanted"))
        host.hear(0.0002)

    failed = {number: outcome for number, outcome in host.outcomes().items() if outcome.state == "error"}
    assert len(host.outcomes()) == count
    assert failed, "some are hit while they run"
    assert set(failed) <= meant
    assert {error(outcome).cause for outcome in failed.values()} == {"halted"}
    fine = [number for number in host.outcomes() if number not in failed]
    assert all(output(host.outcomes()[number])["heard"] == number for number in fine)
    assert worker in host.processes.pids
