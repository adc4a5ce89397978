"""``dynflow-mp plans show``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from dynflow_mp.cli.escaping import visible_lines
from dynflow_mp.cli.exit_status import BROKEN, NOT_FOUND, WELL
from dynflow_mp.cli.opening import Where
from dynflow_mp.cli.options import on_database, plan_argument, prints
from dynflow_mp.cli.terminal import Terminal
from dynflow_mp.cli.words import moment, span
from dynflow_mp.errors import NotScheduled

if TYPE_CHECKING:
    from dynflow_mp.reading.delayed_plan import DelayedPlan
    from dynflow_mp.reading.execution_plan import ExecutionPlan
    from dynflow_mp.reading.library import Library
    from dynflow_mp.reading.step import Step

_ROOM = 200


@click.command()
@plan_argument
@click.option(
    "--step", "step_id", type=click.IntRange(1), help="Only this step, with input, output and traceback."
)
@click.option("--all", "everything", is_flag=True, help=f"All steps, also of a plan of more than {_ROOM}.")
@on_database
@prints
def show(plan_id: str, step_id: int | None, everything: bool, where: Where, terminal: Terminal) -> int:
    """Show one plan with its steps, errors and history. Secrets are not shown, with --json neither.

    Exit status 1 for a plan that cannot be read, 3 if there is none.
    """
    from dynflow_mp.cli.shapes import whole_plan_shape

    with where.looked_at() as look:
        plan = look.library.load_execution_plan(plan_id)
        if step_id is not None:
            return _show_step(plan, step_id, terminal)
        if terminal.as_json:
            terminal.json(whole_plan_shape(plan))
        else:
            room = None if everything or not terminal.is_terminal else _ROOM
            _show_plan(plan, _delay_of(plan, look.library), terminal, room)
        return WELL if plan.valid else BROKEN


def _delay_of(plan: ExecutionPlan, library: Library) -> DelayedPlan | None:
    """When a plan that waits for its time may start."""
    try:
        return library.load_delayed_plan(plan.id) if str(plan.state) == "scheduled" else None
    except NotScheduled:  # not any more
        return None


def _show_plan(plan: ExecutionPlan, delay: DelayedPlan | None, terminal: Terminal, room: int | None) -> None:
    from dynflow_mp.cli.plans.drawing import flow_of, head_of

    terminal.line(*head_of(plan))
    for name, value in [*_delay_in_words(delay), *_facts(plan)]:
        terminal.line((f"{name:<10}", "dim"), value)
    if plan.valid:
        for drawn in flow_of(plan, room):
            terminal.line(*drawn)
        _show_errors(plan, terminal)
    else:
        terminal.line((f"it cannot be read: {plan.exception}", "red"))
    terminal.line(("history", "bold"))
    for event in plan.execution_history:
        terminal.line(f"  {event}")


def _delay_in_words(delay: DelayedPlan | None) -> list[tuple[str, str]]:
    if delay is None:
        return []
    told = "at once" if delay.start_at is None else moment(delay.start_at)
    facts = [("to start", f"{told}, once somebody lets it go" if delay.frozen else told)]
    if delay.start_before is not None:
        facts.append(("not after", moment(delay.start_before)))
    if delay.prerequisites:
        facts.append(("after", ", ".join(delay.prerequisites)))
    return facts


def _facts(plan: ExecutionPlan) -> list[tuple[str, str]]:
    facts = [("started", moment(plan.started_at)), ("ended", moment(plan.ended_at))]
    if plan.ended_at is not None:
        facts.append(("took", f"{span(plan.real_time)}, {span(plan.execution_time)} of it in steps"))
    if plan.deadline is not None:
        facts.append(("deadline", moment(plan.deadline)))
    if plan.caller_execution_plan_id is not None:
        facts.append(("caller", f"{plan.caller_execution_plan_id}, action {plan.caller_action_id}"))
    if plan.sub_plans_count:
        facts.append(("sub-plans", f"{plan.sub_plans_count:,} (dynflow-mp plans list --caller {plan.id})"))
    return facts


def _show_errors(plan: ExecutionPlan, terminal: Terminal) -> None:
    from dynflow_mp.reading.concealment import shown_error_of

    failed = plan.failed_steps
    if not failed:
        return
    terminal.line(("errors", "bold"))
    for step in failed[: None if not terminal.is_terminal else _ROOM // 10]:
        error = shown_error_of(step, plan)
        if error is None:
            continue
        terminal.line(f"  step {step.id} {step.action_class}: ", (str(error), "red"))
        if error.certificate is not None:
            _show_lines(str(error.certificate), terminal, "    ")
    terminal.line((f"  (dynflow-mp plans show {plan.id} --step N shows the traceback)", "dim"))


def _show_step(plan: ExecutionPlan, step_id: int, terminal: Terminal) -> int:
    from dynflow_mp.reading.step_shape import whole_step_shape

    step = plan.steps.get(step_id)
    if step is None:
        click.echo(f"dynflow-mp: plan {plan.id} has no step {step_id}", err=True)
        return NOT_FOUND
    if terminal.as_json:
        terminal.json(whole_step_shape(step, plan))
    else:
        _show_step_in_words(step, plan, terminal)
    return WELL


def _show_step_in_words(step: Step, plan: ExecutionPlan, terminal: Terminal) -> None:
    from dynflow_mp.cli.plans.drawing import step_in_words
    from dynflow_mp.reading.concealment import shown_attempts, shown_error_of
    from dynflow_mp.reading.data_shape import action_data_shapes

    terminal.line(*step_in_words(step, plan))
    for name, value in zip(("input", "output"), action_data_shapes(plan, step.action_id), strict=True):
        terminal.line((name, "bold"))
        _show_lines(json.dumps(value, indent=2, ensure_ascii=False), terminal, "  ")
    error = shown_error_of(step, plan)
    if error is not None:
        terminal.line(("error", "bold"))
        _show_lines("\n".join((*error.backtrace, str(error))), terminal, "  ")
        if error.certificate is not None:
            _show_lines(str(error.certificate), terminal, "  ")
    attempts = shown_attempts(step, plan)
    if attempts:
        terminal.line(("failed attempts", "bold"))
    for number, failure, ended_at, seconds in attempts:
        terminal.line(f"  {number}  {moment(ended_at)}  {span(seconds)}  {failure}")


def _show_lines(text: str, terminal: Terminal, indent: str) -> None:
    for line in visible_lines(text):
        terminal.line(f"{indent}{line}")
