"""Worlds for mishaps, and what must still be true of them afterwards."""

import psutil
from mishap_actions import Witness
from watching import run, wait_until

from dynflow_mp import World

ENDED = {"stopped", "paused", "planned"}


def a_world(directory, workers, apps=("mishap_actions",)):
    """An embedded world whose workers know the mishaps."""
    return World(database_url=f"sqlite:///{directory / 'plans.db'}", workers=workers, apps=list(apps))


def worker_of(world):
    """The process of a world's only worker."""
    (pid,) = world.worker_pids.values()
    return pid


def the_error(plan):
    """The one error of a plan that one step has paused."""
    assert (plan.state, plan.result) == ("paused", "error"), plan
    (step,) = plan.failed_steps
    return step.error


def assert_unharmed(world, workers):
    """The pool answers another plan, every stored plan can be read and is done, and no process is left over."""
    assert run(world, Witness).result == "success"
    for row in world.persistence.find_execution_plans():
        plan = world.persistence.load_execution_plan(row.id)
        assert plan.state in ENDED, plan
        assert all(step.state not in ("running", "suspended") for step in plan.steps.values()), plan.steps
    wait_until(lambda: len(world.worker_pids) == workers, what="a full pool")
    wait_until(lambda: not left_over(world), what="the end of what steps started")


def left_over(world):
    """Processes below the workers, and dead ones that nobody has taken away."""
    found = []
    for pid in world.worker_pids.values():
        try:
            found += psutil.Process(pid).children(recursive=True)
        except psutil.NoSuchProcess:
            continue
    found += [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]
    return [process for process in found if not _is_python_s_own(process)]


def _is_python_s_own(process):
    """multiprocessing keeps one process beside each that has used it, as long as that lives."""
    try:
        return "resource_tracker" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return True
