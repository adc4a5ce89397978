"""Supervisors are killed again and again under two hundred running plans: nothing is lost, nothing done twice unasked.

What the steps did stands in a file outside the database; it is compared with what the database says.
"""

import random
import signal
from collections import Counter
from itertools import pairwise
from queue import Empty, SimpleQueue

import pytest
from recovery_actions import SeveralCounted
from watching import alive, lines_of, wait_until

PLANS, STEPS = 200, 5
ABNORMAL = "abnormal termination (previous state: running)"
FIRST_RUN_STEP = 2
"""Step 1 plans; the action with number 0 has its plan step and its run step next, and so on in pairs."""


class Operator:
    """Asks for the plans, and resumes each one that pauses because a step of it was running when its supervisor died."""

    def __init__(self, client, log):
        self.client, self.log = client, log
        self.ends = SimpleQueue()
        self.left = set()
        self.abnormal = Counter()
        """How often each step, by the name it has in the file, was ended by its supervisor's death."""

    def ask(self):
        for number in range(PLANS):
            triggered = self.client.trigger(
                SeveralCounted, STEPS, plan=number, log=str(self.log), seconds=0.02
            )
            self.left.add(triggered.id)
            triggered.finished.add_done_callback(self.ends.put)

    def attend(self, until, seconds=120):
        """Deal with what ends, until the condition holds."""

        def attended():
            self._take_ends()
            return until()

        wait_until(attended, seconds, "what the operator attends to")

    def _take_ends(self):
        while True:
            try:
                plan = self.ends.get_nowait().result(0)
            except Empty:
                return
            if plan.state == "stopped":
                assert plan.result == "success", plan.errors
                self.left.remove(plan.id)
                continue
            assert plan.state == "paused"
            for step in plan.failed_steps:
                assert step.error.message == ABNORMAL
                self.abnormal[name_of(plan, step)] += 1
            self.client.execute(plan.id).add_done_callback(self.ends.put)


def name_of(plan, step):
    given = plan.action(step.action_id).input
    return f"{given['plan']}/{given['number']}"


@pytest.mark.parametrize(
    ("database_url", "kills"),
    [("sqlite", 3), ("postgresql", 10), ("mysql", 3)],
    indirect=["database_url"],
    ids=["sqlite-3", "postgresql-10", "mysql-3"],
)
def test_g2_g3_no_plan_is_lost_and_no_step_done_again_but_those_that_ran_when_their_supervisor_was_killed(
    start_supervisor, a_client, tmp_path, kills
):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    supervisors = [start_supervisor(app="recovery_actions") for _ in range(2)]
    client, log = a_client(no_executor_timeout_s=60), tmp_path / "effects"
    operator = Operator(client, log)
    operator.ask()
    families = []

    for _ in range(kills):
        done_before = len(lines_of(log))
        more = chance.randrange(1, 150)
        operator.attend(lambda: len(lines_of(log)) > done_before + more or not operator.left)  # noqa: B023
        victim = supervisors.pop(chance.randrange(2))
        families += [victim.process.pid, *victim.descendants()]
        victim.signal(signal.SIGKILL)
        victim.wait()
        supervisors.append(start_supervisor(app="recovery_actions"))
        assert operator.left, "the plans ended before the last kill"
    operator.attend(lambda: not operator.left)

    wait_until(lambda: not any(alive(pid) for pid in families), what="the end of every killed family")
    assert client.coordinator.find_locks(class_name="ExecutionLock") == []
    check_effects(lines_of(log), operator.abnormal)
    check_records(client, operator.abnormal)


def check_effects(lines, abnormal):
    """Each step began once, and once more for each time it was ended by a death; no two runs of it overlap."""
    begun = Counter(line.removeprefix("begun ") for line in lines if line.startswith("begun "))
    assert len(begun) == PLANS * STEPS
    assert {name: times for name, times in begun.items() if times > 1 + abnormal[name]} == {}
    last = {}
    for line in lines:
        what, name = line.split()
        plan, number = map(int, name.split("/"))
        if what == "begun":
            assert last.get((plan, number)) != "done" or abnormal[name]
            assert number == 0 or last[(plan, number - 1)] == "done"
        last[(plan, number)] = what
    assert set(last.values()) == {"done"}


def check_records(client, abnormal):
    """Every plan is there, succeeded, counts each attempt, and its history tells each change of hands."""
    plans = client.persistence.find_execution_plans(per_page=PLANS + 1, page=0)
    assert len(plans) == PLANS
    for plan in plans:
        assert (plan.state, plan.result) == ("stopped", "success")
        for step in plan.run_steps:
            assert step.attempts == 1 + abnormal[name_of(plan, step)]
        entries = [(entry.name, entry.world_id) for entry in plan.execution_history]
        names = [name for name, _ in entries]
        assert names[0] == "start execution"
        assert names[-1] == "finish execution"
        for (name, world), (following, its_world) in pairwise(entries):
            assert (name, following) in ORDERS
            assert name != "start execution" or world == its_world


ORDERS = {
    ("start execution", "terminate execution"),
    ("start execution", "finish execution"),
    ("terminate execution", "start execution"),
}
