"""One span of time for all that an ending does.

begun ├─ hooks ─┤├─ running steps ─┤├─ the rest ─┤ over ├─ RESERVE_S ─┤ nothing is waited for any more

What is quick to end needs nothing of the reserve; it is there so that a world whose time is over, or that got
none, still puts in order what can be, and so that of things that hang no single one uses all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition
from time import monotonic

RESERVE_S = 10.0
"""An ending is over at the latest so long after its budget, whatever hangs."""
_STEPS_LEAVE = 0.25
"""Of a budget that is short, running steps leave this part to the rest."""
_RELEASE_S = 4.0
"""Plans can be let go for at least so long, even when there is no time left."""
_WORKERS_END_S = 3.5


class Budget:
    """``seconds`` from now on. Any thread, and a signal handler, may call it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        # Condition's own lock may be taken again by the thread that has it: a signal handler may cut
        # the time short in the middle of anything.
        self._changed = Condition()
        self._begun_at = monotonic()
        self._over_at = self._begun_at + seconds
        self._cuts = 0

    @property
    def took_s(self) -> float:
        """How long it has been going on."""
        return monotonic() - self._begun_at

    @property
    def left_s(self) -> float:
        """What is left of it, not below 0."""
        return max(0.0, self._over_at - monotonic())

    def cut(self, seconds: float) -> None:
        """Have it end in ``seconds`` at the latest; what waits for a share of it is told."""
        with self._changed:
            self._over_at = min(self._over_at, monotonic() + seconds)
            self._cuts += 1
            self._changed.notify_all()

    # -- shares ------------------------------------------------------------------------------------

    def share(self, most_s: float) -> float:
        """What one thing that is to end may take: ``most_s``, and half of all there is at the most."""
        all_s = self._over_at + RESERVE_S - monotonic()
        return max(0.0, min(most_s, all_s / 2))

    def of_hooks(self) -> float:
        """What a hook may take: they come first, and must leave most of it to running steps."""
        return self.share(max(1.0, self.left_s / 4))

    def of_steps(self, grace_s: float) -> float:
        """What running steps may take: ``grace_s``, as far as what follows has its time, too."""
        left_s = self.left_s
        return max(0.0, min(grace_s, left_s - min(left_s * _STEPS_LEAVE, RESERVE_S)))

    def of_release(self) -> float:
        """From now on, until when plans can be let go: what a database that is away has to come back."""
        left_s = self.left_s
        return max(left_s - min(left_s / 8, RESERVE_S / 2), _RELEASE_S)

    def of_executor(self) -> float:
        """What all of that may take together, until the last worker has ended."""
        return self.of_release() + _WORKERS_END_S

    # -- waiting -----------------------------------------------------------------------------------

    def wait(self, ended: Callable[[], bool], share: Callable[[], float]) -> bool:
        """Wait until something has ended; False once its share is over. A budget that is cut cuts the share."""
        with self._changed:
            give_up_at, cuts = monotonic() + share(), self._cuts
            while not ended():
                left_s = give_up_at - monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(left_s)
                if cuts != self._cuts:
                    give_up_at, cuts = min(give_up_at, monotonic() + share()), self._cuts
            return True

    def tell(self) -> None:
        """Something has ended."""
        with self._changed:
            self._changed.notify_all()
