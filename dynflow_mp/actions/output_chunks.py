"""What a call of an action writes beside its output: pieces that are only ever added to.

Each has a number within its call. A piece without bytes says that all before it is to be dropped: the codec never
makes one of a value.
"""

from __future__ import annotations

from time import time_ns
from typing import Protocol

from dynflow_mp.errors import BadArgument, PayloadTooLarge
from dynflow_mp.model.work import OutputChunk

MAX_KIND = 100
MAX_KEPT = 16 * 1024 * 1024
"""Most bytes of one call's chunks that wait to be on their way."""


class ChunkSink(Protocol):
    """Where one call's chunks go."""

    def add(self, chunk: OutputChunk) -> None: ...
    def rest(self) -> tuple[OutputChunk, ...]:
        """What goes with the outcome: all that has not arrived yet. Nothing is added afterwards."""
        ...


class KeptChunks:
    """Chunks that all go with the outcome: where nobody takes them earlier."""

    def __init__(self, step_id: int = 0) -> None:
        self._chunks: list[OutputChunk] = []
        self._size = 0

    def add(self, chunk: OutputChunk) -> None:
        """Raises :class:`PayloadTooLarge` for more than can be kept."""
        self._size += len(chunk.chunk)
        if self._size > MAX_KEPT:
            raise PayloadTooLarge("output chunks", self._size, MAX_KEPT)
        self._chunks.append(chunk)

    def rest(self) -> tuple[OutputChunk, ...]:
        return tuple(self._chunks)


def numbered(number: int, data: bytes, kind: str | None) -> OutputChunk:
    """One chunk, written now. Raises :class:`BadArgument` for a kind that is none."""
    if kind is not None and not (isinstance(kind, str) and 0 < len(kind) <= MAX_KIND and "\0" not in kind):
        raise BadArgument(f"kind={kind!r}: must be a text of at most {MAX_KIND} characters")
    return OutputChunk(data, kind, time_ns() // 1000, number)
