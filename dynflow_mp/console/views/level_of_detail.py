"""How much of a flow is shown at once: all of a small one; of a large one, groups folded to a line with their counts.

tree ─▶ visible(tree, path, start) ─▶ ShownGroup ─┬─ ShownStep       one step
                                                  ├─ ShownGroup      an open group, each child one of these
                                                  └─ Folded          a group to be opened: its path, its counts
"""

from __future__ import annotations

from typing import NamedTuple, Union

from dynflow_mp.reading.flow_tree import Node

ALL_UP_TO = 500
"""Plans of so many steps are shown whole."""
BOXES = 160
"""About how many boxes of a larger one."""
WINDOW = 100
"""Children of one group that are shown at a time."""
DEEPEST = 14
"""Groups within groups that are drawn at once."""

Path = tuple[int, ...]


class ShownStep(NamedTuple):
    """One step."""

    step_id: int


class Folded(NamedTuple):
    """A group, or the rest of one, that is opened by its path (and where to begin)."""

    path: Path
    kind: str
    total: int
    done: int
    failed: int
    running: int
    start: int | None = None
    """Of the rest of a group: from which child on it is shown when it is opened."""

    @property
    def state(self) -> str:
        """The state of a step that says most about all of them."""
        if self.failed:
            return "error"
        if self.running:
            return "running"
        return "success" if self.done == self.total else "pending"


class ShownGroup(NamedTuple):
    """An open group."""

    path: Path
    kind: str
    children: tuple[Shown, ...]


Shown = Union[ShownStep, Folded, ShownGroup]


def visible(tree: Node, path: Path = (), start: int = 0) -> Shown:
    """What is shown of the part of ``tree`` at ``path``; of a wide group, ``WINDOW`` children from ``start`` on."""
    node, path = part_at(tree, path)
    opened = _opened(node, path)
    return _shown(node, path, opened, start, 0)


def part_at(tree: Node, path: Path) -> tuple[Node, Path]:
    """The part a path leads to; as far as it leads, if the flow has become another one."""
    node, walked = tree, 0
    for place in path:
        if not 0 <= place < len(node.children):
            break
        node, walked = node.children[place], walked + 1
    return node, path[:walked]


def place_of(tree: Node, step_id: int) -> tuple[Path, int] | None:
    """Where a step is to be seen: the path of the group it stands in, and its place among the children there."""
    stack: list[tuple[Node, Path]] = [(tree, ())]
    while stack:
        node, path = stack.pop()
        for place, child in enumerate(node.children):
            if child.step_id == step_id:
                return path, place
            if child.children:
                stack.append((child, (*path, place)))
    return ((), 0) if tree.step_id == step_id else None


def path_text(path: Path) -> str:
    """A path as it stands in a URL."""
    return ".".join(map(str, path))


def path_from(text: str) -> Path:
    """The path of :func:`path_text`; nothing for what is none."""
    parts = text.split(".") if text else []
    if len(parts) > 10_000 or not all(part.isascii() and part.isdigit() and len(part) < 8 for part in parts):
        return ()
    return tuple(map(int, parts))


def _opened(top: Node, path: Path) -> set[Path]:
    """Which groups are open: level after level as long as there is room; of a level that is too large, those in which
    something failed or runs."""
    opened = {path}
    all_of_it = top.total <= ALL_UP_TO
    room = ALL_UP_TO if all_of_it else BOXES - min(len(top.children), WINDOW)
    level = _groups_in(top, path)
    for _ in range(DEEPEST - 1):
        cost = sum(len(node.children) for node, _ in level)
        if cost > room and not all_of_it:
            level = _telling(level, room)
            cost = sum(len(node.children) for node, _ in level)
        if not level:
            break
        room -= cost
        opened.update(at for _, at in level)
        level = [below for node, at in level for below in _groups_in(node, at)]
    return opened


_Groups = list[tuple[Node, Path]]


def _groups_in(node: Node, path: Path) -> _Groups:
    return [(child, (*path, place)) for place, child in enumerate(node.children) if child.children]


def _telling(level: _Groups, room: int) -> _Groups:
    """Groups with failed steps, then those with running ones, then those that are begun, as there is room."""
    found: _Groups = []
    for node, at in sorted(level, key=lambda one: (_quiet(one[0]), one[1])):
        if _quiet(node) < _ALL_QUIET and len(node.children) <= room:
            found.append((node, at))
            room -= len(node.children)
    return found


_ALL_QUIET = 3


def _quiet(node: Node) -> int:
    """The less there is to be seen in a group, the more."""
    if node.failed:
        return 0
    if node.running:
        return 1
    return 2 if 0 < node.done < node.total else _ALL_QUIET


def _shown(node: Node, path: Path, opened: set[Path], start: int, depth: int) -> Shown:
    """Not deeper than :data:`DEEPEST`, since what lies deeper is not open."""
    if node.step_id is not None:
        return ShownStep(node.step_id)
    if path not in opened:
        return Folded(path, node.kind, node.total, node.done, node.failed, node.running)
    most = WINDOW if depth == 0 and node.total > ALL_UP_TO else len(node.children)
    start = min(max(0, start), max(0, len(node.children) - 1)) if depth == 0 else 0
    end = start + most
    children: list[Shown] = []
    if start > 0:
        children.append(_rest(node, path, 0, start, max(0, start - most)))
    children.extend(
        _shown(child, (*path, place), opened, 0, depth + 1)
        for place, child in enumerate(node.children[start:end], start)
    )
    if end < len(node.children):
        children.append(_rest(node, path, end, len(node.children), end))
    return ShownGroup(path, node.kind, tuple(children))


def _rest(node: Node, path: Path, first: int, end: int, start: int) -> Folded:
    """Children of a wide group that are not shown now."""
    left = node.children[first:end]
    return Folded(
        path,
        node.kind,
        sum(child.total for child in left),
        sum(child.done for child in left),
        sum(child.failed for child in left),
        sum(child.running for child in left),
        start,
    )
