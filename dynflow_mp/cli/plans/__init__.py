"""``dynflow-mp plans``: one module for each thing that is done with plans, imported when it is asked for."""

from __future__ import annotations

import click

from dynflow_mp.cli.groups import Lazy, LazyGroup

_HERE = "dynflow_mp.cli.plans"
_COMMANDS = {
    "cancel": Lazy(f"{_HERE}.cancelling:cancel", "Tell the cancellable steps of plans to stop."),
    "delete": Lazy(f"{_HERE}.deleting:delete", "Delete stopped plans, and all that is stored of them."),
    "edit": Lazy(f"{_HERE}.editing:edit", "Change the input of a failed step before its plan is resumed."),
    "event": Lazy(f"{_HERE}.waking:event", "Send an event to a suspended step."),
    "export": Lazy(f"{_HERE}.exporting:export", "Write whole plans as JSON lines."),
    "failures": Lazy(f"{_HERE}.failing:failures", "Group the plans with failed steps by their errors."),
    "halt": Lazy(f"{_HERE}.halting:halt", "Stop plans for good."),
    "list": Lazy(f"{_HERE}.listing:list_plans", "List plans."),
    "resume": Lazy(f"{_HERE}.resuming:resume", "Have planned or paused plans run."),
    "show": Lazy(f"{_HERE}.showing:show", "Show one plan with its steps, errors and history."),
    "skip": Lazy(f"{_HERE}.skipping:skip", "Skip failed steps of paused plans."),
    "watch": Lazy(f"{_HERE}.watching:watch", "Watch a plan until it ends."),
    "why": Lazy(f"{_HERE}.waiting:why", "Say what a plan and each of its steps wait for."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def plans() -> None:
    """See plans and steer them."""
