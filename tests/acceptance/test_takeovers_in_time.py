"""G13: how long it takes until a dead supervisor's plans are with another, with nobody's help."""

import os
import time

import pytest
from engine_actions import Evented
from watching import kill, wait_until

SAME_HOST_S = 5.0
OTHER_HOST_MORE_S = 15.0
CROWDED_S = 15.0
"""Beyond what is promised: a machine that runs many tests at once may be late with everything."""
TTL_S = 3.0
OTHER_HOST = ("unshare", "--uts", "sh", "-c", 'hostname dynflow-other-host && exec "$@"', "sh")


def taken_over_within_s(client, first, second):
    """Kill the first while it has a plan that waits; how long until the second one has it."""
    triggered = client.trigger(Evented)
    wait_until(lambda: client.persistence.load_execution_plan(triggered.id).steps[2].state == "suspended", 60)
    assert client.coordinator.execution_lock(triggered.id).world_id == first.world_id
    second = second()
    kill(first)
    killed_at = time.monotonic()

    def taken():
        lock = client.coordinator.execution_lock(triggered.id)
        return lock is not None and lock.world_id == second.world_id

    wait_until(taken, 60, "the takeover")
    passed_s = time.monotonic() - killed_at
    assert client.event(triggered.id, 2, "finish").result(60)
    assert triggered.finished.result(60).result == "success"
    print(f"taken over after {passed_s:.2f} s")
    return passed_s


@pytest.mark.every_database
def test_g13_plans_of_a_supervisor_killed_on_this_host_are_with_another_within_five_seconds(
    start_supervisor, a_client
):
    """With the settings everybody has."""
    passed_s = taken_over_within_s(
        a_client(), start_supervisor(workers=1), lambda: start_supervisor(workers=1)
    )

    assert passed_s < SAME_HOST_S + CROWDED_S


@pytest.mark.skipif(os.getuid() != 0, reason="another host's name takes root")
def test_g13_plans_of_a_supervisor_lost_with_its_host_are_with_another_when_its_lease_has_run_out(
    start_supervisor, a_client, monkeypatch
):
    """Its name is another host's, so nobody can look whether its process is there."""
    for name, seconds in {"LEASE_TTL_S": TTL_S, "LEASE_RENEWAL_S": 0.5, "RECONCILE_INTERVAL_S": 1.0}.items():
        monkeypatch.setenv(f"DYNFLOW_{name}", str(seconds))

    passed_s = taken_over_within_s(
        a_client(), start_supervisor(workers=1, through=OTHER_HOST), lambda: start_supervisor(workers=1)
    )

    assert TTL_S - 1.0 < passed_s < TTL_S + OTHER_HOST_MORE_S + CROWDED_S
