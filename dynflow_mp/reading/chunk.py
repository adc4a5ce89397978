"""One piece of output that was written beside the output itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple


class Chunk(NamedTuple):
    """A piece of output, as it was written by ``output_chunk``."""

    value: Any
    kind: str | None
    time: datetime
