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


class Operator:
    """Asks for the plans, and resumes each one that pauses because a step of it was running when its supervisor died."""

    def __init__(self, client, log):
        self.client, self.log = client, log
        self.ends = SimpleQueue()
        self.asked = 0
        self.left = set()
        self.abnormal = Counter()
        """How often each step, by the name it has in the file, was ended by its supervisor's death."""

    def keep_busy(self):
        """Ask for plans until two hundred are under way."""
        while len(self.left) < PLANS:
            triggered = self.client.trigger(
                SeveralCounted, STEPS, plan=self.asked, log=str(self.log), seconds=0.02
            )
            self.asked += 1
            self.left.add(triggered.id)
            triggered.finished.add_done_callback(self.ends.put)

    def attend(self, until, seconds=90, busy=False):
        """Deal with what ends, until the condition holds; ``busy``: and see that there is always something to do."""

        def attended():
            self._take_ends()
            if busy:
                self.keep_busy()
            return until()

        try:
            wait_until(attended, seconds, "what the operator attends to")
        except pytest.fail.Exception:
            self._tell_how_it_stands()
            raise

    def _tell_how_it_stands(self):
        plans = self.client.persistence.find_execution_plans(per_page=self.asked + 1, page=0)
        print(
            Counter((str(plan.state), str(plan.result)) for plan in plans), f"{len(self.left)} are waited for"
        )
        print(*self.client.coordinator.find_worlds(), *self.client.coordinator.find_locks(), sep="\n")

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


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("database_url", "kills"),
    [
        ("sqlite", 3),
        pytest.param("postgresql", 10, marks=pytest.mark.chaos),
        pytest.param("mysql", 3, marks=pytest.mark.chaos),
    ],
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
    families = []

    for _ in range(kills):
        operator.keep_busy()
        done, more = len(lines_of(log)), chance.randrange(1, 150)
        # While plans were asked for one by one, all of them may have ended.
        operator.attend(lambda: len(lines_of(log)) > done + more, busy=True)  # noqa: B023 - called at once
        operator.keep_busy()
        victim = supervisors.pop(chance.randrange(2))
        families += [victim.process.pid, *victim.descendants()]
        victim.signal(signal.SIGKILL)
        victim.wait()
        print(f"killed one; {operator.abnormal.total()} steps were cut off so far")
        supervisors.append(start_supervisor(app="recovery_actions"))
    operator.attend(lambda: not operator.left)

    wait_until(lambda: not any(alive(pid) for pid in families), what="the end of every killed family")
    assert client.coordinator.find_locks(class_name="ExecutionLock") == []
    check_effects(lines_of(log), operator)
    check_records(client, operator)


def check_effects(lines, operator):
    """Each step began once, and once more for each time it was ended by a death; no two runs of it overlap."""
    begun = Counter(line.removeprefix("begun ") for line in lines if line.startswith("begun "))
    assert len(begun) == operator.asked * STEPS
    assert {name: times for name, times in begun.items() if times > 1 + operator.abnormal[name]} == {}
    last = {}
    for line in lines:
        what, name = line.split()
        plan, number = map(int, name.split("/"))
        if what == "begun":
            assert last.get((plan, number)) != "done" or operator.abnormal[name]
            assert number == 0 or last[(plan, number - 1)] == "done"
        last[(plan, number)] = what
    assert set(last.values()) == {"done"}


def check_records(client, operator):
    """Every plan is there, succeeded, counts each attempt, and its history tells each change of hands."""
    plans = client.persistence.find_execution_plans(per_page=operator.asked + 1, page=0)
    assert len(plans) == operator.asked
    for plan in plans:
        assert (plan.state, plan.result) == ("stopped", "success")
        for step in plan.run_steps:
            assert step.attempts == 1 + operator.abnormal[name_of(plan, step)]
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
