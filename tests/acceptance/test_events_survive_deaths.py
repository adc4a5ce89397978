"""G8: executors are killed while events come: none is taken twice, and what a sender was told is so.

What the step was called with stands in a file outside the database.
"""

import random
import signal
from collections import Counter
from queue import Empty, SimpleQueue

import databases
import pytest
from recovery_actions import Collects
from watching import kill, lines_of, wait_until

from dynflow_mp.errors import EventDropped, UnprocessableEvent
from dynflow_mp.model.messages import Done

pytestmark = pytest.mark.usefixtures("quick_to_look")
AT_ONCE = 10
OFTEN = [
    (databases.SQLITE, 2),
    *(
        pytest.param(kind, 300, marks=[pytest.mark.chaos, pytest.mark.timeout(7200)])
        for kind in databases.KINDS
    ),
]
LOST = 0.2
"""How many answers never arrive, so that their events are sent again: often to another executor than took them."""


class Sender:
    """Sends events, numbered, ten at a time; notes what it is told about each, and resumes what pauses."""

    def __init__(self, client, plan_id, finished):
        self.client, self.plan_id = client, plan_id
        self.sent, self.told = 0, {}
        self.answers, self.ends = SimpleQueue(), SimpleQueue()
        finished.add_done_callback(self.ends.put)

    def send(self):
        number = self.sent
        self.sent += 1
        future = self.client.event(self.plan_id, 2, number)
        future.add_done_callback(lambda done: self.answers.put((number, done)))

    def attend(self, sending=True):
        """Hear what there is, and keep ten events on their way."""
        try:
            while True:
                number, done = self.answers.get_nowait()
                self.told[number] = done.exception() or done.result()
        except Empty:
            pass
        try:
            # A step that was running as its executor died: whether it took effect nobody knows.
            assert self.ends.get_nowait().result().state == "paused"
            self.client.execute(self.plan_id).add_done_callback(self.ends.put)
        except Empty:
            pass
        while sending and self.sent - len(self.told) < AT_ONCE:
            self.send()


def lose_answers(client, chance):
    """As if an executor died each time with its answer."""
    dispatcher = client._parts.client
    receive = dispatcher.receive

    def receive_some(envelope):
        if not (isinstance(envelope.message, Done) and chance.random() < LOST):
            receive(envelope)

    dispatcher.receive = receive_some


@pytest.mark.parametrize(("database_url", "times"), OFTEN, indirect=["database_url"])
def test_g8_no_event_is_taken_twice_however_often_its_executor_is_killed(
    start_supervisor, a_client, tmp_path, times
):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    log = tmp_path / "log"
    supervisors = [start_supervisor(app="recovery_actions", workers=1) for _ in range(2)]
    client = a_client()
    lose_answers(client, random.Random(seed))
    triggered = client.trigger(Collects, log=str(log))
    sender = Sender(client, triggered.id, triggered.finished)

    def heard(wanted):
        def attended():
            sender.attend()
            return len(lines_of(log)) >= wanted

        return attended

    for _ in range(times):
        wait_until(heard(len(lines_of(log)) + chance.randrange(5, 25)), 90, what=f"more events (seed {seed})")
        lock = client.coordinator.execution_lock(triggered.id)
        owners = [one for one in supervisors if lock is not None and one.world_id == lock.world_id]
        for owner in owners:
            kill(owner)
            supervisors.remove(owner)
            supervisors.append(start_supervisor(app="recovery_actions", workers=1))

    def all_told():
        sender.attend(sending=False)
        return len(sender.told) == sender.sent

    wait_until(all_told, 90, what=f"answers to all events (seed {seed})")
    for supervisor in supervisors:
        supervisor.signal(signal.SIGTERM)
        supervisor.wait(60)
    taken = Counter(int(line) for line in lines_of(log))
    assert set(taken.values()) <= {1}, seed
    true = [number for number, answer in sender.told.items() if answer is True]
    assert [number for number in true if not taken[number]] == [], seed
    for number, answer in sender.told.items():
        assert answer is True or isinstance(answer, (EventDropped, UnprocessableEvent)), (number, answer)
    assert list(taken) == sorted(taken), f"in the order in which they were sent (seed {seed})"
    print(
        f"{times} kills, {sender.sent} events: {len(true)} taken, {sender.sent - len(true)} refused or dropped"
    )
