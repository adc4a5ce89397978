"""G31: envelopes that are lost, doubled, late, out of order or sent again change nothing that is recorded."""

import random
from collections import Counter

import pytest
from lossy import Lossy
from recovery_actions import Evented, SeveralCounted
from test_topologies import OPTIONS
from watching import Supervisor, lines_of, wait_until

from dynflow_mp import World
from dynflow_mp.connectors.direct import DirectConnector
from dynflow_mp.errors import UnprocessableEvent
from dynflow_mp.world import parts

PLANS, STEPS = 12, 3
SEED = 31


@pytest.fixture
def lossy_client(monkeypatch, database_url, quick_to_look):
    """Make a client world whose every envelope, in and out, goes through a lossy connector."""
    made = []

    def make(connector):
        with monkeypatch.context() as patch:
            real = parts._connector
            patch.setattr(parts, "_connector", lambda *given: Lossy(real(*given), SEED))
            made.append(World(database_url=database_url, connector=connector))
        return made[-1]

    yield make
    for world in made:
        world.terminate().result(30)


@pytest.fixture
def start_executors(database_url, quick_to_look):
    """Start executors that can be reached in one way or another, and end them."""
    endings = []

    def start(topology, connector, count):
        if topology == "direct":
            worlds = [
                World(database_url=database_url, connector=connector, workers=1, apps=["recovery_actions"])
                for _ in range(count)
            ]
            endings.extend(lambda world=world: world.terminate().result(30) for world in worlds)
            return [world.id for world in worlds]
        supervisors = [
            Supervisor(database_url, *OPTIONS[topology], workers=1, app="recovery_actions")
            for _ in range(count)
        ]
        endings.extend(supervisor.close for supervisor in supervisors)
        return [supervisor.wait_ready(60).world_id for supervisor in supervisors]

    yield start
    for end in endings:
        end()


def recorded(client, plan_ids):
    """Everything about these plans that a late or repeated message might change."""
    plans = [client.persistence.load_execution_plan(plan_id) for plan_id in plan_ids]
    return [
        (
            plan.state,
            plan.result,
            [(step.id, step.state, step.attempts) for step in plan.steps.values()],
            [(entry.name, entry.world_id, entry.time) for entry in plan.execution_history],
            [action.output for action in plan.actions],
        )
        for plan in plans
    ]


@pytest.mark.parametrize("topology", ["direct", "ipc", "database"])
def test_g31_lost_doubled_late_and_repeated_envelopes_change_nothing_that_is_recorded(
    topology, lossy_client, start_executors, tmp_path
):
    log = tmp_path / "log"
    connector = DirectConnector() if topology == "direct" else {"ipc": "zeromq"}.get(topology, topology)
    executors = start_executors(topology, connector, 2)
    client = lossy_client(connector)
    lossy = client.connector

    triggered = [
        client.trigger(SeveralCounted, STEPS, plan=number, log=str(log), seconds=0) for number in range(PLANS)
    ]
    evented = client.trigger(Evented)
    wait_until(
        lambda: client.persistence.load_execution_plan(evented.id).steps_in_state("suspended"),
        60,
        "the suspension",
    )
    for event in ("one", "two"):
        assert client.event(evented.id, 2, event).result(60) is True
    finish = client.event(evented.id, 2, "finish")
    plans = [plan.finished.result(60) for plan in (*triggered, evented)]

    # Of the event that ended its plan the answer may be lost, and then nobody can tell any more.
    assert finish.exception(60) is None or isinstance(finish.exception(), UnprocessableEvent)
    # Each request was carried out once, although most were sent several times.
    assert {(plan.state, plan.result) for plan in plans} == {("stopped", "success")}
    assert plans[-1].entry_action.output["heard"] == ["one", "two", "finish"]
    begun = Counter(line for line in lines_of(log) if line.startswith("begun"))
    assert len(begun) == PLANS * STEPS
    assert set(begun.values()) == {1}
    for plan in plans:
        assert [entry.name for entry in plan.execution_history] == ["start execution", "finish execution"]

    # And when all of it comes once more, in another order, also to an executor that knows nothing of it.
    lossy.wait_for_the_late()
    ids = [plan.id for plan in plans]
    before = recorded(client, ids)
    (stranger,) = start_executors(topology, connector, 1)
    repeat_everything(lossy, stranger)

    for world_id in (*executors, stranger):  # each has heard all that was repeated once it answers
        wait_until(
            lambda world_id=world_id: client.ping(world_id, timeout=2).exception(30) is None, 60, "an answer"
        )
    assert recorded(client, ids) == before
    assert Counter(line for line in lines_of(log) if line.startswith("begun")) == begun
    assert min(lossy.counts[what] for what in ("lost", "doubled", "late")) > 0


def repeat_everything(lossy, stranger):
    """All requests again, as they were and to another executor; all answers again. None of it is lost this time."""
    chance = random.Random(SEED)
    requests = list(lossy.requests)
    requests += [request._replace(receiver_id=stranger) for request in lossy.requests]
    chance.shuffle(requests)
    for request in requests:
        lossy.inner.send(request)
    answers = list(lossy.answers)
    chance.shuffle(answers)
    for answer in answers:
        lossy._receiver._receiver.receive(answer)
