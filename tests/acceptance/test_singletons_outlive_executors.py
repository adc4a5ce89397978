"""A singleton's place when its executor is killed: kept while the plan goes on, free once it is paused."""

import os
import signal

from around_actions import Stuck
from watching import lines_of, wait_until


def test_a_killed_executor_leaves_no_lock_behind(start_supervisor, a_client, tmp_path):
    log, until = str(tmp_path / "log"), tmp_path / "until"
    first = start_supervisor(app="around_actions", workers=1)
    client = a_client()
    triggered = client.trigger(Stuck, log=log, until=str(until))
    wait_until(lambda: lines_of(log) == ["begun"])
    assert Stuck.singleton_locked(client)

    os.killpg(first.process.pid, signal.SIGKILL)
    start_supervisor(app="around_actions", workers=1)
    plan = triggered.finished.result(60)

    assert (plan.state, plan.result) == ("paused", "error")
    assert not Stuck.singleton_locked(client)
    until.touch()
    assert client.trigger(Stuck, log=log, until=str(until)).finished.result(60).result == "success"
    assert client.execute(plan.id).result(60).result == "success"
    assert not Stuck.singleton_locked(client)
