"""Flows as texts: ``sequence(A, concurrence(B, C))`` of class names or step ids, compared with a plan's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import ndiff
from typing import Any, NamedTuple

from dynflow_mp.actions.action import Action
from dynflow_mp.model.flows import Concurrence, Flow, Sequence
from dynflow_mp.model.plans import PlannedPlan
from dynflow_mp.planning.plan_context import PlanContext
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.testing.rehearsal import rehearsal_of

_KINDS = (Sequence.word, Concurrence.word)
_TOKENS = re.compile(r"\s*([\w.]+|[(),])")


class _Node(NamedTuple):
    """One word of a flow: a kind with what stands in it, or a step."""

    word: str
    children: tuple[_Node, ...] = ()

    def __str__(self) -> str:
        if self.word not in _KINDS:
            return self.word
        return f"{self.word}({', '.join(map(str, self.children))})"

    def lines(self, indent: str = "") -> Iterator[str]:
        yield indent + self.word
        for child in self.children:
            yield from child.lines(indent + "  ")


def assert_flow(subject: Any, expected: str, phase: str = "run") -> None:
    """The flow of ``subject`` is the ``expected`` one; ``phase`` is ``run`` or ``finalize``.

    ``subject`` is a plan, an action that plan_action was given, or a flow itself (which knows step ids only).
    ``expected`` is written as ``str(plan.run_flow)`` is, with step ids, class names, or both. In a concurrence,
    too, the order counts: it is the order of planning.
    """
    if phase not in ("run", "finalize"):
        raise ValueError(f"phase={phase!r}: must be run or finalize")
    wanted = _parsed(expected)
    flow, names = _flow_of(subject, phase)
    found = _named(flow, names, wanted)
    if found != wanted:
        diff = ndiff(list(wanted.lines()), list(found.lines()))
        raise AssertionError(
            f"the {phase} flow is another one\n"
            f"expected: {wanted}\n"
            f"found:    {found}\n"
            f"by steps: {flow}\n\n" + "\n".join(line for line in diff if not line.startswith("?"))
        )


# -- what there is -------------------------------------------------------------------------------------


def _flow_of(subject: Any, phase: str) -> tuple[Flow, Mapping[int, str]]:
    """The flow, and the classes of its steps."""
    if isinstance(subject, ExecutionPlan):
        names = {step.id: step.action_class_name for step in subject.steps.values()}
        return (subject.run_flow if phase == "run" else subject.finalize_flow), names
    if isinstance(subject, PlannedPlan):
        names = {step.id: step.action_class for step in subject.steps}
        return (subject.run_flow if phase == "run" else subject.finalize_flow), names
    if isinstance(subject, Action) and isinstance(subject._context, PlanContext):
        rehearsal = rehearsal_of(subject)
        names = {number: f"{kind.__module__}.{kind.__qualname__}" for number, kind in rehearsal.names.items()}
        flows = rehearsal.flows
        return (flows.run_flow() if phase == "run" else flows.finalize_flow()), names
    if isinstance(subject, (int, Sequence, Concurrence)):
        return subject, {}
    raise TypeError(f"{subject!r} has no flow: it is neither a plan, a planned action, nor a flow")


def _named(flow: Flow, names: Mapping[int, str], wanted: _Node) -> _Node:
    """``flow`` in the words of ``wanted``: the step ids and full names it uses stay what they are."""
    said = set(_words(wanted))
    if isinstance(flow, int):
        full = names.get(flow, str(flow))
        if str(flow) in said:
            return _Node(str(flow))
        return _Node(full if full in said else full.rpartition(".")[2])
    return _Node(flow.word, tuple(_named(child, names, wanted) for child in flow))


def _words(node: _Node) -> Iterator[str]:
    yield node.word
    for child in node.children:
        yield from _words(child)


# -- what is expected ----------------------------------------------------------------------------------


def _parsed(text: str) -> _Node:
    words = _TOKENS.findall(text)
    if "".join(words) != re.sub(r"\s", "", text) or not words:
        raise ValueError(f"{text!r} is not a flow such as 'sequence(A, concurrence(B, C))'")
    node, rest = _node(words, text)
    if rest:
        raise ValueError(f"{text!r} goes on behind the end of the flow: {' '.join(rest)}")
    return node


def _node(words: list[str], text: str) -> tuple[_Node, list[str]]:
    word, rest = words[0], words[1:]
    if word in "(),":
        raise ValueError(f"{text!r}: a name or a step id should stand where {word!r} does")
    if word not in _KINDS:
        return _Node(word), rest
    if rest[:1] != ["("]:
        raise ValueError(f"{text!r}: behind {word} there should be what is in it, in brackets")
    children: list[_Node] = []
    rest = rest[1:]
    while rest[:1] != [")"]:
        if children:
            if rest[:1] != [","]:
                raise ValueError(f"{text!r}: a comma or a closing bracket is missing")
            rest = rest[1:]
        if not rest:
            raise ValueError(f"{text!r}: a closing bracket is missing")
        child, rest = _node(rest, text)
        children.append(child)
    return _Node(word, tuple(children)), rest[1:]
