"""One piece of output that was written beside the output itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from dynflow_mp.model.codec import decode
from dynflow_mp.reading.step import at

if TYPE_CHECKING:
    from dynflow_mp.persistence.rows import ChunkRow


class Chunk(NamedTuple):
    """A piece of output, as it was written by ``output_chunk``."""

    value: Any
    kind: str | None
    time: datetime


def chunk_of(row: ChunkRow) -> Chunk:
    """A stored piece. Raises :class:`DamagedData` for what cannot be read."""
    time = at(row.written_at)
    assert time is not None  # only a missing number has no time
    return Chunk(decode(row.chunk), row.kind, time)
