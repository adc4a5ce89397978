"""An errand in, what came of it out: what a worker does for its executor that is no step.

``kinds`` says what each kind of errand does. A function of it is given the errand and the largest size of what it
may answer; it returns the answer's bytes, or raises. No exception leaves this module: it becomes the errand's error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import copy_context
from time import perf_counter

from dynflow_mp.actions.failure import record_of
from dynflow_mp.errors import ProtocolError
from dynflow_mp.model.work import Errand, ErrandOutcome

Kind = Callable[[Errand, int], bytes]


def run_errand(errand: Errand, kinds: Mapping[str, Kind], max_payload: int) -> ErrandOutcome:
    """Do what the errand's kind says, in a context of its own, and say what came of it."""
    begun = perf_counter()
    result: bytes | None = None
    error: bytes | None = None
    try:
        kind = kinds.get(errand.kind)
        if kind is None:
            raise ProtocolError(f"an errand of the unknown kind {errand.kind!r}")
        result = copy_context().run(kind, errand, max_payload)
    except BaseException as failure:  # also SystemExit: an errand's end, never the worker's
        error = record_of(failure).to_bytes()
    return ErrandOutcome(errand.kind, perf_counter() - begun, result, error)
