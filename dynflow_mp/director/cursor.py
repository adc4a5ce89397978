"""Walks a run flow and remembers where it is.

The rule is Dynflow's sequence cursor (dynflow-core.md §9.3): a sequence goes on when everything in
its current element ended well; a failure lets what stands beside it finish, then ends the sequence
and is reported to the sequence around it. What is new is the cost: one outcome costs the same in a
plan of ten steps and in one of a million, and steps that ended well before are passed over here,
without a trip to a worker.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable

from dynflow_mp.errors import DynflowError
from dynflow_mp.model.flows import Flow, Sequence


class UnexpectedStep(DynflowError):
    """A step was reported as ended that the cursor had not handed out."""


class _Place:
    """Where one sequence of the flow is: the current element and how much of it is unfinished."""

    __slots__ = ("failed", "flows", "index", "number", "parent", "unfinished")

    def __init__(self, flows: tuple[Flow, ...], parent: _Place | None) -> None:
        self.flows = flows
        self.parent = parent
        self.number = -1
        self.index = 0
        self.unfinished = 0
        self.failed = False


class FlowCursor:
    """The steps of one run flow that may run, as outcomes come in.

    ``passed`` says whether a step ended well already (success or skipped); it is asked when the
    cursor reaches the step.
    """

    __slots__ = ("_out", "_passed", "_places", "_root", "_where")

    def __init__(self, flow: Flow, highest_step_id: int, passed: Callable[[int], bool]) -> None:
        flows = tuple(flow) if isinstance(flow, Sequence) else (flow,)
        self._root = _Place(flows, None)
        self._places: list[_Place] = []
        # Per step, by id: the number of its place, and whether it is handed out. Arrays, because a
        # plan may have a million steps waiting.
        self._where = array("I", bytes(4 * (highest_step_id + 1)))
        self._out = bytearray(highest_step_id + 1)
        self._passed = passed

    def start(self) -> list[int]:
        """The first steps that may run."""
        return self._go_on(self._root)

    def finish(self, step_id: int, success: bool) -> list[int]:
        """Take note that a handed-out step ended; returns the steps that may run now."""
        if not (0 <= step_id < len(self._out) and self._out[step_id]):
            raise UnexpectedStep(f"step {step_id} ended but was not handed out")
        self._out[step_id] = 0
        place = self._places[self._where[step_id]]
        place.unfinished -= 1
        if not success:
            place.failed = True
        return [] if place.unfinished else self._go_on(place)

    def handed_out(self) -> list[int]:
        """The steps that were handed out and have not ended."""
        return [step_id for step_id, out in enumerate(self._out) if out]

    @property
    def done(self) -> bool:
        """Nothing is handed out and nothing more will be."""
        return self._root.unfinished == 0

    @property
    def failed(self) -> bool:
        """A failure has reached the outermost sequence; true for good once the cursor is done."""
        return self._root.failed

    def _go_on(self, place: _Place) -> list[int]:
        ready: list[int] = []
        todo = deque([place])
        while todo:
            self._move(todo.popleft(), ready, todo)
        return ready

    def _move(self, place: _Place, ready: list[int], opened: deque[_Place]) -> None:
        """Let ``place`` and the places around it advance as far as nothing is unfinished."""
        while place.unfinished == 0:
            if not place.failed and place.index < len(place.flows):
                element = place.flows[place.index]
                place.index += 1
                self._enter(element, place, ready, opened)
            elif place.parent is None:
                return
            else:
                place.parent.unfinished -= 1
                place.parent.failed |= place.failed
                place = place.parent

    def _enter(self, element: Flow, place: _Place, ready: list[int], opened: deque[_Place]) -> None:
        """Hand out everything of ``element`` that may run at once."""
        stack: list[Flow] = [element]
        while stack:
            flow = stack.pop()
            if isinstance(flow, int):
                if self._passed(flow):
                    continue
                self._where[flow] = self._number(place)
                self._out[flow] = 1
                place.unfinished += 1
                ready.append(flow)
            elif isinstance(flow, Sequence):
                place.unfinished += 1
                opened.append(_Place(flow, place))
            else:
                stack.extend(reversed(flow))

    def _number(self, place: _Place) -> int:
        """The place's number; it gets one when the first step of it is handed out."""
        if place.number < 0:
            place.number = len(self._places)
            self._places.append(place)
        return place.number
