"""What a database refused for now is done again, whole: a deadlock, a lock held too long, a connection lost.

A connection may be lost while a commit is on its way, and then nobody knows whether it was carried out. Whoever
repeats is told so (``in_doubt``) and must look before it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import random
from time import monotonic, sleep
from typing import TypeVar

from dynflow_mp.errors import PersistenceError

T = TypeVar("T")

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0


def repeated(
    attempt: Callable[[bool], T],
    *,
    patience_s: float,
    kinds: Collection[str] = ("locked", "connection"),
    before_pause: Callable[[PersistenceError], None] = lambda error: None,
) -> T:
    """What ``attempt(in_doubt)`` returns, called until it raises no error of ``kinds``.

    The last error is raised when ``patience_s`` is over. While a commit is in doubt, any other error is met
    with one more attempt: it may come of that very commit, carried out late.
    """
    give_up_at = monotonic() + patience_s
    pause_s = _FIRST_PAUSE_S
    in_doubt = last_look = False
    while True:
        try:
            return attempt(in_doubt)
        except PersistenceError as error:
            if error.kind not in kinds:
                if last_look or not in_doubt:
                    raise
                last_look = True
            if monotonic() >= give_up_at:
                raise
            in_doubt = in_doubt or error.kind == "connection"
            before_pause(error)
        # Nothing to wait on but time; two that met in a deadlock shall not meet again.
        sleep(pause_s * (0.5 + random()))
        pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
