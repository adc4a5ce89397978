"""``dynflow-mp plans watch``: the plan's tree, drawn again as it changes; through a pipe a line for each change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dynflow_mp.cli.exit_status import BROKEN, INTERRUPTED, NO_ANSWER, WELL
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import on_database, plan_argument, prints
from dynflow_mp.cli.terminal import Terminal, style_of, text
from dynflow_mp.cli.words import SPAN, share

if TYPE_CHECKING:
    from rich.text import Text

    from dynflow_mp.reading.execution_plan import ExecutionPlan
    from dynflow_mp.reading.library import Library

_LOOK_S = 0.3
_LOOKS_PART = 5
"""Of a plan that takes long to read, at most a fifth of the time is spent reading."""
_BESIDES_TREE = 3
_MOST_CHANGES = 20


@click.command()
@plan_argument
@click.option("--timeout", type=SPAN, help="Watch no longer than this (90s, 5m, 2h): exit status 5.")
@on_database
@prints
def watch(plan_id: str, timeout: float | None, where: Where, terminal: Terminal) -> int:
    """Watch a plan until it stops or pauses: exit status 0 if it ended well, else 1; 130 after Ctrl-C.

    On a terminal the live tree, otherwise a line for each change; with --json an object for each.
    """
    with where.looked_at() as look:
        looks = _looks(look.library, plan_id, timeout)
        try:
            if terminal.can_redraw and not terminal.as_json:
                plan = _draw(looks, terminal)
            else:
                plan = _tell(looks, terminal)
        except KeyboardInterrupt:
            click.echo(f"the plan goes on; dynflow-mp plans watch {plan_id} shows it again", err=True)
            return INTERRUPTED
    if not has_ended(plan):
        click.echo("dynflow-mp: the plan has not ended in that time", err=True)
        return NO_ANSWER
    return status_of_plan(plan)


def has_ended(plan: ExecutionPlan) -> bool:
    """Whether nothing more happens to it by itself: one that is paused may have been resumed, and wait for an executor."""
    state = str(plan.state)
    return state == "stopped" or (state == "paused" and plan.requested_at is None)


def status_of_plan(plan: ExecutionPlan) -> int:
    """The exit status of whoever waited for it: 0 only if it stopped and did what it was for."""
    well = str(plan.state) == "stopped" and str(plan.result) in ("success", "warning")
    return WELL if well else BROKEN


def _looks(library: Library, plan_id: str, timeout_s: float | None) -> Iterator[ExecutionPlan]:
    """The plan again and again, the last time once it has ended, or the time is over."""
    give_up_at = None if timeout_s is None else monotonic() + timeout_s
    while True:
        began = monotonic()
        plan = library.load_execution_plan(plan_id)
        if plan.valid:
            _ = plan.steps, plan.actions if plan.failed_steps else ()  # all that is shown is of one moment
        yield plan
        now = monotonic()
        if has_ended(plan) or not plan.valid or (give_up_at is not None and now >= give_up_at):
            return
        pause_s = max(_LOOK_S, _LOOKS_PART * (now - began))
        sleep(pause_s if give_up_at is None else max(0.0, min(pause_s, give_up_at - now)))


# -- on a terminal -----------------------------------------------------------------------------------


def _draw(looks: Iterator[ExecutionPlan], terminal: Terminal) -> ExecutionPlan:
    from rich.live import Live

    with Live(console=terminal.console, auto_refresh=False, vertical_overflow="crop") as live:
        for plan in looks:
            live.update(_drawing(plan, max(5, terminal.console.height - _BESIDES_TREE)), refresh=True)
    return plan


def _drawing(plan: ExecutionPlan, room: int) -> Any:
    from rich.console import Group

    from dynflow_mp.cli.plans.drawing import flow_of, head_of

    lines: list[Text] = [text(*head_of(plan))]
    if plan.valid:
        lines += [text(*drawn) for drawn in flow_of(plan, room)]
    else:
        lines.append(text((f"it cannot be read: {plan.exception}", "red")))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


# -- line by line ------------------------------------------------------------------------------------


class _Change(NamedTuple):
    step_id: int
    action_class: str
    before: str | None
    after: str


def _tell(looks: Iterator[ExecutionPlan], terminal: Terminal) -> ExecutionPlan:
    states: dict[int, str] = {}
    before: tuple[str, str] | None = None
    for plan in looks:
        changes = _changes(states, plan) if plan.valid else []
        states.update((change.step_id, change.after) for change in changes)
        if before is not None or terminal.as_json:
            _tell_changes(
                [change for change in changes if before or change.after != "pending"], plan, terminal
            )
        now = (str(plan.state), str(plan.result))
        if now != before:
            _tell_plan(plan, terminal)
        before = now
    return plan


def _changes(states: dict[int, str], plan: ExecutionPlan) -> list[_Change]:
    return [
        _Change(step.id, step.action_class, states.get(step.id), str(step.state))
        for step in plan.steps.values()
        if states.get(step.id) != str(step.state)
    ]


def _tell_changes(changes: list[_Change], plan: ExecutionPlan, terminal: Terminal) -> None:
    from dynflow_mp.reading.concealment import shown_error_of
    from dynflow_mp.reading.error_shape import error_shape

    if not terminal.as_json and len(changes) > _MOST_CHANGES:
        terminal.line(f"{_now()}  {len(changes):,} steps changed, {share(plan.progress)} done")
        return
    for change in changes:
        error = shown_error_of(plan.steps[change.step_id], plan) if change.after == "error" else None
        if terminal.as_json:
            terminal.json(
                {
                    "kind": "step",
                    "time": datetime.now(UTC).isoformat(),
                    "plan_id": plan.id,
                    "step_id": change.step_id,
                    "action_class": change.action_class,
                    "before": change.before,
                    "state": change.after,
                    "error": error_shape(error),
                }
            )
            continue
        words = f"{_now()}  step {change.step_id} {change.action_class}: {change.before or 'new'} → "
        terminal.line(words, (change.after, style_of(change.after)), "" if error is None else f"  {error}")


def _tell_plan(plan: ExecutionPlan, terminal: Terminal) -> None:
    state, result = str(plan.state), str(plan.result)
    progress = plan.progress if plan.valid else None
    if terminal.as_json:
        terminal.json(
            {
                "kind": "plan",
                "time": datetime.now(UTC).isoformat(),
                "plan_id": plan.id,
                "state": state,
                "result": result,
                "progress": progress,
            }
        )
    else:
        terminal.line(
            f"{_now()}  {plan.label}: ", (state, style_of(state)), f", {result}, {share(progress)} done"
        )


def _now() -> str:
    return f"{datetime.now(UTC):%H:%M:%S}"
