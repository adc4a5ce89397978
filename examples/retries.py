"""What happens when something fails: tried again, skipped by itself, skipped by hand.

    python -m examples.retries

1. *Fetch* asks a service that fails twice: it is tried again, after longer and longer waits that hold no worker.
2. *Thumbnail* cannot work; it may be skipped, so the plan goes on by itself and ends with a warning.
3. A service that never answers: after the last attempt the plan pauses. Someone skips the failed step, and with it
   what needs its output, and resumes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from dynflow_mp import ExecutionPlan, World
from examples.retries_actions import Page

NEVER = 1000


def main() -> None:
    """The three plans, one after the other."""
    with tempfile.TemporaryDirectory(prefix="dynflow-retries-") as directory:
        log = str(Path(directory) / "asked")
        with World(database_url=f"sqlite:///{directory}/retries.db", workers=2) as world:
            tried_again(world, log)
            skipped_by_itself(world, log)
            skipped_by_hand(world, log)


def tried_again(world: World, log: str) -> None:
    """Two failures, then an answer."""
    plan = run(world, log, {"weather": 2}, thumbnail=False)
    (fetch, _) = plan.run_steps
    show("tried again", plan)
    for attempt in fetch.failed_attempts:
        print(f"    attempt {attempt.number}: {attempt.error}")
    print(f"    attempt {fetch.attempts}: {plan.action(fetch.action_id).output['answer']}")
    print(f"    waited {fetch.real_time - fetch.execution_time:.1f} s between, without a worker")


def skipped_by_itself(world: World, log: str) -> None:
    """The rescue strategy of the failed step says Skip."""
    plan = run(world, log, {"traffic": 0})
    thumbnail = next(step for step in plan.run_steps if step.action_class == "Thumbnail")
    show("skipped by itself", plan)
    print(f"    {thumbnail.action_class} is {thumbnail.state}: {thumbnail.failed_attempts[0].error}")
    print(f"    and left {plan.action(thumbnail.action_id).output['picture']}")


def skipped_by_hand(world: World, log: str) -> None:
    """Paused after the last attempt; skipped, and resumed."""
    paused = run(world, log, {"tides": NEVER})
    (failed,) = paused.failed_steps
    show("paused", paused)
    print(f"    {failed.action_class} failed {failed.attempts} times: {failed.error}")
    skipped = world.skip(paused.id, failed.id)
    plan = world.execute(paused.id).result(60)
    show("skipped by hand", plan)
    print(f"    without {', '.join(f'{plan.steps[one].action_class} (step {one})' for one in skipped)}")


def run(world: World, log: str, subjects: dict[str, int], thumbnail: bool = True) -> ExecutionPlan:
    triggered = world.trigger(Page, log, subjects, thumbnail)
    if not hasattr(triggered, "finished"):
        raise SystemExit(f"not planned: {triggered}")
    plan: ExecutionPlan = triggered.finished.result(60)
    return plan


def show(what: str, plan: ExecutionPlan) -> None:
    print(f"{what}: {plan.state}, {plan.result}; {plan.progress:.0%} done", flush=True)


if __name__ == "__main__":
    main()
