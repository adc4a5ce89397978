"""A plan in lines of text with styles, as ``plans show`` prints them and ``plans watch`` draws them again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dynflow_mp.cli.escaping import cut
from dynflow_mp.cli.plans.tree import Line, tree_lines
from dynflow_mp.cli.terminal import style_of
from dynflow_mp.cli.words import bar, share, span
from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.reading.concealment import shown_error_of

if TYPE_CHECKING:
    from dynflow_mp.reading.execution_plan import ExecutionPlan
    from dynflow_mp.reading.step import Step

Part = str | tuple[str, str]
Drawn = list[Part]

MARKS: Mapping[str, str] = {
    "pending": "·",
    "scheduling": "·",
    "running": "▶",
    "suspended": "◷",
    "success": "✓",
    "error": "✗",
    "skipping": "↷",
    "skipped": "↷",
    "cancelled": "⊘",
}
"""A sign for each state, so that nobody needs to see colours."""
_LONGEST_ERROR = 300


def head_of(plan: ExecutionPlan) -> Drawn:
    """Which plan it is and how it stands."""
    state, result = str(plan.state), str(plan.result)
    head: Drawn = [(plan.label, "bold"), "  ", (state, style_of(state))]
    if result != "pending":
        head += [", ", (result, style_of(result))]
    if state == "paused" and plan.requested_at is not None:
        head.append(", resumed, waits for an executor")
    if plan.valid:
        head.append(f"  {bar(plan.progress)} {share(plan.progress)}")
    return [*head, f"  {plan.id}"]


def flow_of(plan: ExecutionPlan, room: int | None = None) -> Iterator[Drawn]:
    """Its run and its finalize flow as trees, in ``room`` lines altogether, or as many as it takes."""
    from dynflow_mp.reading.flow_tree import flow_tree

    trees = [(phase, flow_tree(plan, phase)) for phase in (Phase.RUN, Phase.FINALIZE)]
    trees = [(phase, tree) for phase, tree in trees if tree.total]
    for phase, tree in trees:
        # Finalize steps come last and are few: a quarter of the room is theirs, at the most.
        own = (
            None
            if room is None
            else max(3, room - room // 4 if phase is Phase.RUN and len(trees) > 1 else room)
        )
        lines = tree_lines(tree, own)
        if room is not None:
            room -= len(lines) + 1
        yield [(str(phase), "bold")]
        for line in lines:
            yield _drawn(line, plan)


def _drawn(line: Line, plan: ExecutionPlan) -> Drawn:
    indent = "  " * (line.depth + 1)
    if line.node is None:
        return [indent, (f"… {line.more:,} more: {line.counts}", "dim")]
    if line.node.step_id is not None:
        step = plan.steps.get(line.node.step_id)
        return [indent, f"? {line.node.step_id}"] if step is None else [indent, *step_in_words(step, plan)]
    counts = line.counts
    if line.is_open and counts.total == 1:
        return [indent, line.node.kind]
    part = counts.done / counts.total if counts.total else 1.0
    return [indent, f"{line.node.kind} ", (f"{bar(part)} {counts}", "dim")]


def step_in_words(step: Step, plan: ExecutionPlan) -> Drawn:
    """A step on one line: what it is, how it stands, why it failed."""
    state = str(step.state)
    drawn: Drawn = [(f"{MARKS.get(state, '?')} ", style_of(state)), f"{step.id} {step.action_class} "]
    drawn.append((state, style_of(state)))
    if step.state is StepState.RUNNING and step.progress_done:
        drawn.append(f" {bar(step.progress_done)} {share(step.progress_done)}")
    if step.attempts > 1:
        drawn.append(f", attempt {step.attempts}")
    if step.state in (StepState.SUCCESS, StepState.ERROR):
        drawn.append((f" {span(step.execution_time)}", "dim"))
    if step.state is StepState.ERROR and (error := shown_error_of(step, plan)) is not None:
        drawn.append((f"  {cut(str(error), _LONGEST_ERROR)}", "red"))
    return drawn
