"""Looking into executors and steering plans, with real processes: what operators do, and what is known of it afterwards."""

import os
import signal

import psutil
import pytest
from engine_actions import Chain, Held, NeedsFile, Ordered, WhereAmI
from watching import alive, lines_of, run, wait_until

from dynflow_mp import RequestError, RequestTimeout, World

CONNECTORS = ["auto", "database"]


@pytest.fixture(params=CONNECTORS)
def connector(request):
    return request.param


@pytest.fixture
def supervisor(start_supervisor, connector):
    return start_supervisor("--connector", connector)


@pytest.fixture
def client(a_client, connector):
    return a_client(connector=connector)


def report(client, supervisor):
    return client.workers_report(supervisor.world_id, timeout=15).result(20)


def held(client, tmp_path):
    """A plan whose step runs until ``tmp_path / "go"`` is there."""
    log = tmp_path / "log"
    triggered = client.trigger(Held, log=str(log), until=str(tmp_path / "go"))
    wait_until(lambda: lines_of(log), what="the step's beginning")
    return triggered


# -- drain -------------------------------------------------------------------------------------------


def test_a_drained_supervisor_ends_as_on_sigterm(supervisor, client, tmp_path):
    triggered = held(client, tmp_path)

    assert client.drain(supervisor.world_id, timeout=15, by="ann").result(20) is True
    wait_until(
        lambda: client.coordinator.find_worlds(id=supervisor.world_id)[0].state == "draining", what="draining"
    )
    assert supervisor.process.poll() is None, "a step still runs"
    (tmp_path / "go").touch()

    assert supervisor.wait() == 0
    assert triggered.finished.result(20).result == "success"
    (deed,) = client.persistence.audits()
    assert (deed.deed, deed.by, deed.plan_id) == (f"asked to drain world {supervisor.world_id}", "ann", None)


def test_a_world_that_is_no_supervisor_does_not_end_for_others(a_client, database_url):
    client = a_client(connector="database")
    with World(database_url=database_url, workers=1, connector="database", apps=["engine_actions"]) as world:
        with pytest.raises(RequestError, match="is no supervisor"):
            client.drain(world.id, timeout=15).result(20)

        assert run(world, Chain, 2).result == "success"


# -- workers -----------------------------------------------------------------------------------------


def test_an_executor_tells_what_each_worker_is_at(supervisor, client, tmp_path):
    before = report(client, supervisor)
    triggered = held(client, tmp_path)

    told = report(client, supervisor)
    (tmp_path / "go").touch()
    triggered.finished.result(30)

    assert sorted(worker.state for worker in before.workers) == ["idle", "idle"]
    (busy,) = [worker for worker in told.workers if worker.state == "busy"]
    (step,) = client.persistence.load_execution_plan(triggered.id).run_steps
    assert (busy.plan_id, busy.step_id) == (triggered.id, step.id)
    assert busy.action_class == step.action_class_name
    assert busy.pid in supervisor.descendants()
    assert told.started_at < busy.since <= told.at
    assert (told.queues[0].size, told.queues[0].free, told.running_plans) == (2, 1, 1)
    wait_until(
        lambda: sum(worker.steps_done for worker in report(client, supervisor).workers) == 1, what="the step"
    )


def test_resident_memory_comes_from_the_workers_themselves(supervisor, client):
    run(client, Chain, 5)

    told = [worker.resident for worker in report(client, supervisor).workers if worker.steps_done]

    assert told
    assert all(resident is None or resident > 1_000_000 for resident in told)


def test_workers_that_died_are_counted_by_what_they_died_of(supervisor, client):
    (victim, *_) = report(client, supervisor).workers

    os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: not alive(victim.pid), what="its end")
    told = wait_until(
        lambda: (
            (facts := report(client, supervisor))
            and victim.id not in {one.id for one in facts.workers}
            and len([one for one in facts.workers if one.state == "idle"]) == 2
            and facts
        ),
        what="its successor",
    )

    (queue,) = told.queues
    assert (queue.deaths, queue.restarts) == ({"signal(9)": 1}, 1)
    assert victim.id not in {worker.id for worker in told.workers}


def test_an_executor_that_stands_still_does_not_answer_and_the_future_says_so(supervisor, client):
    report(client, supervisor)
    supervisor.signal(signal.SIGSTOP)
    try:
        stands = psutil.Process(supervisor.process.pid)
        wait_until(lambda: stands.status() == psutil.STATUS_STOPPED, what="the standstill")
        asked = client.workers_report(supervisor.world_id, timeout=0.5)

        with pytest.raises(RequestTimeout, match="did not answer in time"):
            asked.result(20)
    finally:
        supervisor.signal(signal.SIGCONT)


def test_a_step_keeps_the_process_that_ran_it(start_supervisor, a_client):
    supervisor, client = start_supervisor(), a_client()

    plan = run(client, WhereAmI)

    (step,) = plan.run_steps
    assert step.worker_pid in supervisor.descendants()
    assert step.worker_pid == plan.entry_action.output["pid"]


# -- deeds -------------------------------------------------------------------------------------------


def test_who_did_what_to_a_plan_is_told_in_its_history(start_supervisor, a_client, tmp_path):
    start_supervisor()
    client = a_client()
    plan = run(client, NeedsFile, path=str(tmp_path / "missing"))
    (step,) = plan.failed_steps
    (tmp_path / "there").touch()

    client.edit_input(plan.id, step.id, {"path": str(tmp_path / "there")}, by="ann")
    ended = client.execute(plan.id, by="bob").result(30)

    assert ended.result == "success"
    assert [(line.name, line.by) for line in ended.execution_history] == [
        ("start execution", None),
        ("pause execution", None),
        (f"edit input of step {step.id}: keys path", "ann"),
        ("resume", "bob"),
        ("start execution", None),
        ("finish execution", None),
    ]


# -- many at once ------------------------------------------------------------------------------------


@pytest.mark.every_database
def test_plans_that_failed_alike_are_resumed_until_it_does_no_good_and_then_all(
    start_supervisor, a_client, tmp_path
):
    start_supervisor()
    client = a_client()
    there = tmp_path / "there"
    triggered = [client.trigger(NeedsFile, path=str(there), name=f"order {n}") for n in range(12)]
    ids = [one.finished.result(30).id for one in triggered]
    bulk = client.bulk("resume", ids, by="ann")

    in_vain = bulk.run(stop_on_same_error=3, at_once=2).finished.result(60)
    preview = bulk.preview()
    there.touch()
    all_of_it = client.bulk("resume", ids, by="bob").run(at_once=5).finished.result(60)

    assert "the same error came back" in in_vain.stopped_because
    assert 3 <= in_vain.failed <= 4, "two at a time: one more may have been under way"
    assert in_vain.left == 12 - in_vain.failed
    assert (preview.total, preview.eligible, preview.refused) == (12, 12, {})
    assert (all_of_it.succeeded, all_of_it.left, all_of_it.stopped_because) == (12, 0, None)
    by = [deed.by for deed in client.persistence.audits()]
    assert (by.count("ann"), by.count("bob")) == (in_vain.failed, 12)
    assert client.bulk("resume", ids).preview().refused == {"is stopped": 12}


def test_failed_steps_of_many_plans_are_skipped(start_supervisor, a_client, tmp_path):
    start_supervisor()
    client = a_client()
    triggered = [client.trigger(NeedsFile, path=str(tmp_path / "never")) for _ in range(4)]
    ids = [one.finished.result(30).id for one in triggered]

    done = client.bulk("skip_and_resume", ids, by="ann").run().finished.result(60)

    assert (done.succeeded, done.failed) == (4, 0)
    assert set(client.persistence.find_statuses({"id": ids})) == set(ids)
    assert {status.state for status in client.persistence.find_statuses({"id": ids}).values()} == {"stopped"}


def test_a_bulk_ends_with_its_world(start_supervisor, database_url, tmp_path):
    start_supervisor()
    world = World(database_url=database_url)
    log, there = tmp_path / "log", tmp_path / "there"
    needs = ("NeedsFile", {"path": str(there)})
    waits = ("Held", {"log": str(log), "until": str(tmp_path / "go")})
    paused = run(world, Ordered, [needs, waits])
    there.touch()
    running = world.bulk("resume", [paused.id]).run()
    wait_until(lambda: lines_of(log), what="the second step's beginning")

    world.terminate().result(30)
    progress = running.finished.result(10)
    (tmp_path / "go").touch()

    assert (progress.over, progress.left) == (True, 0)
    assert progress.running == 1 or progress.failed == 1
