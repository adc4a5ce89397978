"""When the steps of a plan ran, on which worker, and which of them the plan's end waited for.

worker 17   [ 3 ]      [   9   ]         the critical path, from its end back: of all that a step had to wait for,
worker 18   [    5    ][ 11 ]            what ended last (here 9 ◀ 5)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from heapq import heappush, heapreplace
from typing import TYPE_CHECKING, NamedTuple

from dynflow_mp.clock import now_us
from dynflow_mp.model.flows import Concurrence, Flow, Sequence
from dynflow_mp.model.states import Phase, StepState

if TYPE_CHECKING:
    from dynflow_mp.reading.execution_plan import ExecutionPlan
    from dynflow_mp.reading.step import Step

_GOES_ON = (StepState.RUNNING, StepState.SUSPENDED)


class Lane(NamedTuple):
    """A row of bars of which no two overlap; ``worker_pid`` None where it is not known who ran them."""

    number: int
    worker_pid: int | None


class Bar(NamedTuple):
    """One run or finalize step, from its first start to its last end; one that goes on ends now."""

    step_id: int
    lane: int
    start: datetime
    end: datetime
    state: StepState
    critical: bool


class Timeline(NamedTuple):
    """``bars`` by their starts; ``start`` and ``end`` hold them all, None where nothing has started."""

    bars: list[Bar]
    lanes: list[Lane]
    critical_path: list[int]
    """The steps that the plan's end waited for, first to last."""
    start: datetime | None
    end: datetime | None


class Span(NamedTuple):
    """When a step ran, as far as it has come."""

    step_id: int
    start: datetime
    end: datetime


def timeline(plan: ExecutionPlan, now: datetime | None = None) -> Timeline:
    """What has run of a plan; ``now`` is where bars of steps that go on end."""
    if now is None:
        now = datetime.fromtimestamp(now_us() / 1_000_000, UTC)
    steps = {step.id: step for step in plan.steps.values() if step.phase is not Phase.PLAN}
    spans = {span.step_id: span for step in steps.values() if (span := span_of(step, now)) is not None}
    path = critical_path(Sequence((plan.run_flow, plan.finalize_flow)), spans, _needs(plan, steps))
    in_order = sorted(spans.values(), key=lambda span: (span.start, span.step_id))
    places, lanes = _packed(in_order, lambda span: steps[span.step_id].worker_pid)
    on_path = frozenset(path)
    bars = [
        Bar(*span[:1], places[span.step_id], *span[1:], steps[span.step_id].state, span.step_id in on_path)
        for span in in_order
    ]
    return Timeline(
        bars,
        lanes,
        path,
        min((span.start for span in in_order), default=None),
        max((span.end for span in in_order), default=None),
    )


def critical_path(
    flow: Flow, spans: Mapping[int, Span], needs: Callable[[int], Iterable[int]] = lambda _: ()
) -> list[int]:
    """From the step that ended last, back along what each had to wait for: of several, what ended last.

    That is what stands before it in ``flow``, and the steps whose outputs it ``needs``. Steps without a span never
    ran, and nothing waited for them.
    """
    before = waited_for(flow, spans)
    path: list[int] = []
    seen: set[int] = set()
    last = _last_of_all(spans, before)
    while last is not None and last.step_id not in seen:
        seen.add(last.step_id)
        path.append(last.step_id)
        ahead = [before.get(last.step_id), *needs(last.step_id)]
        last = _latest(spans[step_id] for step_id in ahead if step_id is not None and step_id in spans)
    return path[::-1]


def waited_for(flow: Flow, spans: Mapping[int, Span]) -> dict[int, int]:
    """By step, of all that stands before it in the flow and ran, the step that ended last: the one it waited for.

    An element of a sequence waits for the element before it; what is first in it waits for what it waits for itself.
    """
    latest = _latest_within(flow, spans)
    found: dict[int, int] = {}
    todo: list[tuple[Flow, int | None]] = [(flow, None)]
    while todo:
        item, waits_for = todo.pop()
        if isinstance(item, Concurrence):
            todo.extend((part, waits_for) for part in item)
        elif isinstance(item, Sequence):
            for part in item:
                todo.append((part, waits_for))
                waits_for = latest.get(_key(part), waits_for)
        elif waits_for is not None:
            found[item] = waits_for
    return found


def span_of(step: Step, now: datetime) -> Span | None:
    """When a step ran, one that goes on until ``now``; None for one that nobody has begun."""
    if step.started_at is None:
        return None
    end = now if step.state in _GOES_ON or step.ended_at is None else step.ended_at
    return Span(step.id, step.started_at, max(end, step.started_at))


def _needs(plan: ExecutionPlan, steps: Mapping[int, Step]) -> Callable[[int], Iterator[int]]:
    """By step, the run steps of the actions whose outputs its action's input refers to."""
    run_steps = {step.action_id: step.id for step in steps.values() if step.phase is Phase.RUN}
    dependencies = plan.dependencies

    def needs(step_id: int) -> Iterator[int]:
        producers = dependencies.get(steps[step_id].action_id, ())
        return (run_steps[producer] for producer in producers if producer in run_steps)

    return needs


def _latest(spans: Iterable[Span]) -> Span | None:
    """The one that ended last; among those, the one that began first."""
    return max(spans, key=lambda span: (span.end, -span.start.timestamp()), default=None)


def _last_of_all(spans: Mapping[int, Span], before: Mapping[int, int]) -> Span | None:
    """The one that ended last; of several those for which no other of them waited, however short it was."""
    end = max((span.end for span in spans.values()), default=None)
    last = {step_id: span for step_id, span in spans.items() if span.end == end}
    waited = {before[step_id] for step_id in last if step_id in before}
    return _latest([span for step_id, span in last.items() if step_id not in waited] or last.values())


def _latest_within(flow: Flow, spans: Mapping[int, Span]) -> dict[int, int]:
    """By part of the flow, the step in it that ended last; parts of which nothing ran are left out."""
    found: dict[int, int] = {}
    for item in _inside_out(flow):
        if isinstance(item, int):
            last = spans.get(item)
        else:
            parts = [spans[found[_key(part)]] for part in item if _key(part) in found]
            # Of a sequence what stands last, if several ended at one time.
            last = (
                max(reversed(parts), key=_end, default=None) if isinstance(item, Sequence) else _latest(parts)
            )
        if last is not None:
            found[_key(item)] = last.step_id
    return found


def _end(span: Span) -> datetime:
    return span.end


def _key(item: Flow) -> int:
    """Steps by their ids; what is composed by where it lies in memory, which is below zero here."""
    return item if isinstance(item, int) else -id(item)


def _inside_out(flow: Flow) -> Iterator[Flow]:
    """Every part of the flow, each after what is in it."""
    found: list[Flow] = []
    todo: list[Flow] = [flow]
    while todo:
        item = todo.pop()
        found.append(item)
        if not isinstance(item, int):
            todo.extend(item)
    return reversed(found)


def _packed(
    spans: Iterable[Span], worker_of: Callable[[Span], int | None]
) -> tuple[dict[int, int], list[Lane]]:
    """A lane for each span, in order of their starts: one of its worker's, in which nothing runs at that time."""
    ends: dict[int | None, list[tuple[datetime, int]]] = {}
    lanes: list[Lane] = []
    places: dict[int, int] = {}
    for span in spans:
        worker = worker_of(span)
        own = ends.setdefault(worker, [])  # a heap: the lane that is free first on top
        if own and own[0][0] <= span.start:
            number = own[0][1]
            heapreplace(own, (span.end, number))
        else:
            number = len(lanes)
            lanes.append(Lane(number, worker))
            heappush(own, (span.end, number))
        places[span.step_id] = number
    return places, lanes
