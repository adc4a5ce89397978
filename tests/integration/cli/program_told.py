"""What tests of the program are handed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple


class Told(NamedTuple):
    """What the program said, and how it ended."""

    status: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        """The one object of its output."""
        return json.loads(self.output)


Program = Callable[..., Told]
