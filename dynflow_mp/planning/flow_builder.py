"""In which order planned steps run: containers that open and close, and dependencies that reorder them.

The rule (add and resolve): a flow N is added to a container X. For every step in N that needs
another step, the first direct child of X that holds the needed one is found. In a sequence N is
appended, since what it needs stands before it already. In a concurrence the found children are
taken out, and sequence(concurrence(found…), N) is appended instead. Then X is *flattened*: every
child of X's own kind gives way to its children, and every composed child with one child to that
child; each child of X is then flattened itself. What has moved up that way is not looked at again
in the same pass, but in the next one over its new container.

Done as it is written this costs the whole container at every addition. Here

* nodes know their holder, so that the child holding a step is found by walking up;
* a child that gives way stays where it is and becomes *transparent* (``into`` names the container
  its children now belong to): nothing moves, and no holder has to be corrected;
* a pass visits only what is new or was left for the next pass (``to_look_at``), and the way there
  (``unsettled``). It suffices: a closed container's kind is fixed and it never loses children, so that
  a child once seen to stay would be seen to stay in every later pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Union

from dynflow_mp.errors import PlanningError
from dynflow_mp.model.flows import Concurrence, Flow, Sequence, flow_from_tokens


class _Atom:
    """One run step in its place."""

    __slots__ = ("holder", "slot", "step_id")

    def __init__(self, step_id: int) -> None:
        self.step_id = step_id
        self.holder: Container | None = None
        self.slot = 0


_Node = Union[_Atom, "Container"]


class Container:
    """A sequence or concurrence under construction. Made and changed by its :class:`FlowBuilder` only."""

    __slots__ = (
        "children",
        "code",
        "holder",
        "into",
        "size",
        "slot",
        "to_look_at",
        "unresolved",
        "unsettled",
    )

    def __init__(self, code: str) -> None:
        self.code = code
        self.holder: Container | None = None
        self.slot = 0
        self.into: Container | None = None
        self.children: list[_Node | None] = []
        """In order; None where a child was taken out; a transparent child stands for its own children."""
        self.size = 0
        """How many children there are, those of transparent ones counted, those not."""
        self.to_look_at: list[Container] = []
        """Children that the next pass may have to replace."""
        self.unsettled: list[Container] = []
        """Children in which something waits for the next pass."""
        self.unresolved: dict[int, list[int]] = {}
        """What steps below still need and was not found yet, by step id."""


class FlowBuilder:
    """Builds one plan's run flow and finalize flow, in time that grows with the number of steps."""

    def __init__(self) -> None:
        self._root = Container(Concurrence.code)
        self._open: list[Container] = [self._root]
        self._atoms: dict[int, _Atom] = {}
        self._finalize: list[int] = []

    def open_sequence(self) -> Container:
        """What is added from now on runs one after the other, until :meth:`close`."""
        return self._opened(Container(Sequence.code))

    def open_concurrence(self) -> Container:
        """What is added from now on may run at the same time, until :meth:`close`."""
        return self._opened(Container(Concurrence.code))

    def open_around_last(self, child_was_added: bool) -> Container:
        """A concurrence around the last flow of the current container, or an empty one."""
        container = Container(Concurrence.code)
        if child_was_added:
            _attach(container, _take_last(self._open[-1]))
        return self._opened(container)

    def close(self, container: Container) -> bool:
        """Close ``container`` and everything opened in it; whether it had anything to add to the outer one."""
        if self._open[-1] is not container and container not in self._open[1:]:
            raise PlanningError("a sequence or concurrence was closed twice")
        while True:
            top = self._open.pop()
            added = self._add_closed(top)
            if top is container:
                return added

    def add_run_step(self, step_id: int, needs: Iterable[int] = ()) -> None:
        """Add one run step that needs the outputs of others."""
        atom = self._atoms[step_id] = _Atom(step_id)
        wanted = list(dict.fromkeys(needs))
        self._add(self._open[-1], atom, {step_id: wanted} if wanted else {})

    def add_finalize_step(self, step_id: int) -> None:
        """Add one finalize step; they run in the order they were added, after all run steps."""
        self._finalize.append(step_id)

    def require_resolved(self) -> None:
        """Raise :class:`PlanningError` if a step needs one that is not in the flow."""
        if self._root.unresolved:
            raise PlanningError(f"some dependencies were not resolved: {self._root.unresolved}")

    def run_flow(self) -> Flow:
        """The finished flow: a root that holds one flow gives way to it."""
        flow = flow_from_tokens(_tokens(self._root))
        if isinstance(flow, Concurrence) and len(flow) == 1:
            return flow[0]
        return flow

    def finalize_flow(self) -> Sequence:
        """The finished finalize flow."""
        return Sequence(self._finalize)

    def _opened(self, container: Container) -> Container:
        self._open.append(container)
        return container

    def _add_closed(self, container: Container) -> bool:
        if container.size == 0:
            return False
        unresolved, container.unresolved = container.unresolved, {}
        only = container.children[0]
        if len(container.children) == 1 and isinstance(only, _Atom):
            self._add(self._open[-1], only, unresolved)  # a container of one step always gives way to it
        else:
            self._add(self._open[-1], container, unresolved)
        return True

    def _add(self, target: Container, node: _Node, unresolved: dict[int, list[int]]) -> None:
        found = self._resolve(target, node, unresolved) if unresolved else []
        if found and target.code == Concurrence.code:
            node = _after(found, node)
        _attach(target, node)
        if target.to_look_at or target.unsettled:
            _flatten(target)

    def _resolve(self, target: Container, node: _Node, unresolved: dict[int, list[int]]) -> dict[_Node, None]:
        """The children of ``target`` that hold what steps of ``node`` need, in order of discovery.

        What was found is needed no more; the rest is left to the container outside.
        """
        found: dict[_Node, None] = {}
        for step_id in self._in_order(unresolved, node):
            missing = []
            for needed in unresolved[step_id]:
                child = self._child_holding(target, needed)
                if child is None:
                    missing.append(needed)
                else:
                    found[child] = None
            if missing:
                target.unresolved[step_id] = missing
        return found

    def _in_order(self, step_ids: Iterable[int], top: _Node) -> list[int]:
        """The steps in the order in which they stand below ``top``."""
        several = list(step_ids)
        if len(several) < 2:
            return several
        return sorted(several, key=lambda step_id: _place(self._atoms[step_id], top))

    def _child_holding(self, target: Container, step_id: int) -> _Node | None:
        node: _Node | None = self._atoms.get(step_id)
        while node is not None:
            holder = _visible_holder(node)
            if holder is target:
                return node
            node = holder
        return None


def _attach(target: Container, node: _Node) -> None:
    """Append ``node`` as the last child."""
    node.holder = target
    node.slot = len(target.children)
    target.children.append(node)
    target.size += 1
    if isinstance(node, Container):
        target.to_look_at.append(node)
        if node.to_look_at or node.unsettled:
            target.unsettled.append(node)


def _after(found: Iterable[_Node], node: _Node) -> Container:
    """``node`` behind the ``found`` ones, which are taken from where they stand."""
    first = Container(Concurrence.code)
    for child in found:
        _take(child)
        _attach(first, child)
    both = Container(Sequence.code)
    _attach(both, first)
    _attach(both, node)
    return both


def _take(node: _Node) -> None:
    """Take a child out of its container."""
    visible, holder = _visible_holder(node), node.holder
    assert visible is not None
    assert holder is not None  # only children are taken
    visible.size -= 1
    holder.children[node.slot] = None
    node.holder = None


def _take_last(container: Container) -> _Node:
    """Take out the last child, wherever below transparent ones it stands."""
    inner = container
    while True:
        while inner.children and inner.children[-1] is None:
            inner.children.pop()
        if not inner.children:
            assert inner.holder is not None  # the container itself has children: its size says so
            inner.holder.children[inner.slot] = None
            inner = inner.holder
            continue
        last = inner.children[-1]
        if isinstance(last, Container) and last.into is not None:
            inner = last
            continue
        assert last is not None
        _take(last)
        return last


def _visible_holder(node: _Node) -> Container | None:
    """The container a node belongs to once the transparent ones are seen through."""
    holder = node.holder
    if holder is None or holder.into is None:
        return holder
    top = holder
    while top.into is not None:
        top = top.into
    while holder is not top:  # the next walk is shorter
        following = holder.into
        assert following is not None
        holder.into, holder = top, following
    return top


def _place(node: _Node, top: _Node) -> tuple[int, ...]:
    """Where ``node`` stands below ``top``: comparable with the places of other nodes there."""
    slots = []
    while node is not top:
        slots.append(node.slot)
        assert node.holder is not None
        node = node.holder
    return tuple(reversed(slots))


def _flatten(target: Container) -> None:
    """One pass over what is unsettled in ``target``."""
    visited = [target]
    for container in visited:  # grows as it is walked: containers before their children
        visited.extend(_flatten_children(container))
    for container in reversed(visited[1:]):
        if container.to_look_at or container.unsettled:
            holder = _visible_holder(container)
            assert holder is not None
            holder.unsettled.append(container)


def _flatten_children(container: Container) -> list[Container]:
    """Let those children give way that have to; which of the children then are unsettled."""
    looked_at, container.to_look_at = container.to_look_at, []
    unsettled, container.unsettled = container.unsettled, []
    for child in looked_at:
        if _visible_holder(child) is not container or child.into is not None:
            continue  # it was taken out since
        if child.code == container.code:
            container.to_look_at.extend(child.to_look_at)
        elif child.size == 1:
            only = _only_child(child)
            if isinstance(only, Container):
                container.to_look_at.append(only)
        else:
            continue
        container.size += child.size - 1
        unsettled.extend(child.unsettled)
        child.into, child.to_look_at, child.unsettled = container, [], []
    return [
        child
        for child in dict.fromkeys(unsettled)
        if child.into is None and _visible_holder(child) is container
    ]


def _only_child(container: Container) -> _Node:
    todo: list[_Node | None] = list(container.children)
    while True:
        child = todo.pop()
        if isinstance(child, Container) and child.into is not None:
            todo.extend(child.children)  # a transparent one, perhaps without children by now
        elif child is not None:
            return child


def _tokens(top: Container) -> list[int | str | None]:
    """The flow below ``top`` as the flat list that flows are stored as."""
    tokens: list[int | str | None] = []
    todo: list[_Node | None] = [top]
    while todo:
        node = todo.pop()
        if node is None:
            tokens.append(None)
        elif isinstance(node, _Atom):
            tokens.append(node.step_id)
        else:
            if node.into is None:
                tokens.append(node.code)
                todo.append(None)
            todo.extend(child for child in reversed(node.children) if child is not None)
    return tokens
