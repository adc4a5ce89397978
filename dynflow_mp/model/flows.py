"""In which order steps run: a tree of sequences and concurrences over step ids.

An atom is a plain ``int``, the step's id. ``Sequence`` and ``Concurrence`` are tuples of flows, so
that a million atoms cost a million small integers and nothing else. Stored, a flow is one flat list
of tokens (``"S"`` and ``"C"`` open, ``None`` closes), which has no nesting limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias, Union

from dynflow_mp.errors import DamagedData

Flow: TypeAlias = Union[int, "Sequence", "Concurrence"]


class _Composed(tuple[Flow, ...]):
    """Several flows under one rule."""

    __slots__ = ()
    code = ""
    word = ""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.word, tuple.__hash__(self)))

    def __str__(self) -> str:
        return _text_of(self)  # type: ignore[arg-type]  # only its two kinds are ever made

    __repr__ = __str__

    @property
    def step_ids(self) -> list[int]:
        """The ids of all steps below, in order."""
        return list(step_ids(self))  # type: ignore[arg-type]  # only its two kinds are ever made


class Sequence(_Composed):
    """Flows that run one after the other."""

    __slots__ = ()
    code = "S"
    word = "sequence"


class Concurrence(_Composed):
    """Flows that may run at the same time."""

    __slots__ = ()
    code = "C"
    word = "concurrence"


_KINDS: dict[str, type[Sequence] | type[Concurrence]] = {"S": Sequence, "C": Concurrence}


def step_ids(flow: Flow) -> Iterator[int]:
    """The ids of all steps in ``flow``, in order, however deep it nests."""
    if isinstance(flow, int):
        yield flow
        return
    stack: list[Iterator[Flow]] = [iter(flow)]
    while stack:
        for item in stack[-1]:
            if isinstance(item, int):
                yield item
            else:
                stack.append(iter(item))
                break
        else:
            stack.pop()


def _text_of(flow: Flow) -> str:
    """``sequence(concurrence(3, 5, 7), 9)``, however deep it nests."""
    parts: list[str] = []
    todo: list[Flow | str] = [flow]
    while todo:
        item = todo.pop()
        if isinstance(item, (Sequence, Concurrence)):
            parts.append(f"{item.word}(")
            todo.append(")")
            for position in range(len(item) - 1, -1, -1):
                todo.append(item[position])
                if position:
                    todo.append(", ")
        else:
            parts.append(str(item))
    return "".join(parts)


def flow_tokens(flow: Flow) -> list[int | str | None]:
    """``flow`` as a flat list that the codec can store."""
    tokens: list[int | str | None] = []
    todo: list[Flow | None] = [flow]
    while todo:
        item = todo.pop()
        if item is None or isinstance(item, int):
            tokens.append(item)
        else:
            tokens.append(item.code)
            todo.append(None)
            todo.extend(reversed(item))
    return tokens


def flow_from_tokens(tokens: Any) -> Flow:
    """The flow that :func:`flow_tokens` made; raises :class:`DamagedData` for anything else."""
    if not isinstance(tokens, Iterable) or isinstance(tokens, (str, bytes, dict)):
        raise DamagedData(f"a stored flow is a {type(tokens).__name__}")
    open_flows: list[tuple[type[Sequence] | type[Concurrence], list[Flow]]] = []
    done: list[Flow] = []
    into = done
    for token in tokens:
        if type(token) is int:
            into.append(token)
        elif token is None and open_flows:
            kind, children = open_flows.pop()
            into = open_flows[-1][1] if open_flows else done
            into.append(kind(children))
        elif isinstance(token, str) and token in _KINDS:
            into = []
            open_flows.append((_KINDS[token], into))
        else:
            raise DamagedData(f"a stored flow holds the token {token!r}")
    if open_flows or len(done) != 1:
        raise DamagedData("a stored flow is cut short")
    return done[0]
