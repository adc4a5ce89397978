"""A plan's flow as lines: all of it where there is room, else what fails and runs before what is done and what waits."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dynflow_mp.reading.flow_tree import Node


class Counts(NamedTuple):
    """How many steps there are, and how many of them are what."""

    total: int
    done: int
    failed: int
    running: int
    suspended: int

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> Counts:
        """Of all of these together."""
        sums = [0] * len(cls._fields)
        for node in nodes:
            for place, name in enumerate(cls._fields):
                sums[place] += getattr(node, name)
        return cls(*sums)

    def __str__(self) -> str:
        parts = [f"{self.done:,} of {self.total:,} done"]
        parts += [f"{self.running:,} running"] if self.running else []
        parts += [f"{self.suspended:,} suspended"] if self.suspended else []
        parts += [f"{self.failed:,} failed"] if self.failed else []
        return ", ".join(parts)


class Line(NamedTuple):
    """One line: a node, or the counts of those for which there was no room (``more`` of them)."""

    depth: int
    node: Node | None
    counts: Counts
    more: int = 0
    is_open: bool = False
    """Whether what is in it follows."""


def tree_lines(root: Node, room: int | None = None) -> list[Line]:
    """At most ``room`` lines, or as many as it takes."""
    return list(_lines(root, _opened(root, room)))


def _opened(root: Node, room: int | None) -> dict[int, list[Node]]:
    """Which nodes are open, and which of their children are shown: by the identity of the node."""
    opened: dict[int, list[Node]] = {}
    used, number = 1, 0
    waiting: list[tuple[int, int, int, Node]] = [(0, 0, number, root)]
    while waiting:
        _, depth, _, node = heapq.heappop(waiting)
        if not node.children:
            continue
        left = None if room is None else room - used
        shown = _most_urgent(node.children, left)
        if not shown:
            continue
        opened[id(node)] = shown
        used += len(shown) + (len(shown) < len(node.children))
        for child in shown:
            number += 1
            heapq.heappush(waiting, (_urgency(child), depth + 1, number, child))
    return opened


def _most_urgent(children: Sequence[Node], left: int | None) -> list[Node]:
    """As many as fit, in their order; a line that says how many more there are needs room as well."""
    if left is None or len(children) <= left:
        return list(children)
    if left < 2:
        return []
    chosen = sorted(range(len(children)), key=lambda place: (_urgency(children[place]), place))[: left - 1]
    return [children[place] for place in sorted(chosen)]


def _urgency(node: Node) -> int:
    if node.failed:
        return 0
    if node.running or node.suspended:
        return 1
    return 3 if node.done == node.total else 2


def _lines(root: Node, opened: dict[int, list[Node]]) -> Iterator[Line]:
    stack: list[Line | tuple[int, Node]] = [(0, root)]
    while stack:
        item = stack.pop()
        if isinstance(item, Line):
            yield item
            continue
        depth, node = item
        shown = opened.get(id(node))
        yield Line(depth, node, Counts.of([node]), is_open=shown is not None)
        if shown is None:
            continue
        if len(shown) < len(node.children):
            seen = {id(child) for child in shown}
            hidden = [child for child in node.children if id(child) not in seen]
            stack.append(Line(depth + 1, None, Counts.of(hidden), more=len(hidden)))
        stack.extend((depth + 1, child) for child in reversed(shown))
