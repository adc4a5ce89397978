"""The supervisor program without what keeps plans safe, to show what that costs. Never to be used for anything else.

``python -m bench.careless_supervisor fence,lease,captures …``: the first argument says what is left out, the others are the supervisor's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.executor import worker_process
from dynflow_mp.executor.child import Child
from dynflow_mp.supervisor import main


def without_fence() -> None:
    """No write transaction asks whether this world is still alive."""

    def open_to_all(self: Coordinator, connection: Connection) -> None:
        return None

    Coordinator.fence = open_to_all  # type: ignore[method-assign]


def without_lease() -> None:
    """The lease is renewed once, with which the record says that work may come, and then no more; that it was is believed."""
    renew = Coordinator.renew_lease
    done: list[bool] = []

    def renew_once(self: Coordinator, meta: Mapping[str, Any] | None = None) -> None:
        if not done:
            done.append(True)
            renew(self, meta)

    Coordinator.renew_lease = renew_once  # type: ignore[method-assign]


def without_captures() -> None:
    """What workers print goes nowhere: nobody reads, bounds or attributes it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)

    class Unheard(Child):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **{**named, "output": nowhere})

    vars(worker_process)["Child"] = Unheard  # in the place of the class that its module imported


LEFT_OUT: Mapping[str, Callable[[], None]] = {
    "fence": without_fence,
    "lease": without_lease,
    "captures": without_captures,
}

if __name__ == "__main__":
    for part in filter(None, sys.argv.pop(1).split(",")):
        LEFT_OUT[part]()
    main()
