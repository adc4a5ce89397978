"""What an errand needs from the database before a worker can do it, read on the reader's thread.

Most errands bring all they need. A kind that is entered here is given to the reader first, whose answer takes the
place of the errand's ``data``; what was there before (which step is meant, say) is the brief's to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dynflow_mp.director.instructions import RunErrand
from dynflow_mp.executor.rescue_brief import rescue_brief
from dynflow_mp.model.policies import RESCUE

Brief = Callable[[Any, RunErrand], bytes]
"""Given the store and the errand; returns its ``data``, or raises why it cannot be had."""

BRIEFS: Mapping[str, Brief] = {RESCUE: rescue_brief}
