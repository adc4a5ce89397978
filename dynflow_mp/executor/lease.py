"""Until when nobody else may take this world's plans over, as it knows itself.

    renewal begun at b ─▶ stored ─▶ others see it change, not before b ─▶ they wait for the TTL of their own clock
                              └──▶ until b + TTL − margin steps may run here ─▶ then the guardian ends them

So no step runs here any more when one may begin elsewhere, whether this world is cut off from its database, stands
still, or hangs.
"""

from __future__ import annotations

from math import inf

from dynflow_mp.clock import steady

_MARGIN = 1 / 12
"""Of the TTL: 5 of 60 seconds. For clocks whose rates differ by as much, and for the guardian to wake and to kill."""


class Lease:
    """Told of renewals by the thread that makes them, asked by the core's: one number changes, as a whole.

    Until the first renewal, and with ``ttl_s`` None, it holds: then there is nothing to lose yet, or it is not
    to be cared about.
    """

    def __init__(self, ttl_s: float | None) -> None:
        self.until = inf
        """When the guardian is to end all steps (:func:`~dynflow_mp.clock.steady`)."""
        self._lasts_s = None if ttl_s is None else ttl_s * (1 - _MARGIN)

    def renewed(self, begun: float) -> None:
        """A renewal that was begun then (:func:`~dynflow_mp.clock.steady`) is stored."""
        if self._lasts_s is not None:
            self.until = begun + self._lasts_s

    @property
    def holds(self) -> bool:
        """Whether steps may be begun here."""
        return self.until == inf or steady() < self.until
