"""What is done by itself about a plan that has failed steps (dynflow-core.md §11.4, §11.5)."""

from __future__ import annotations

from collections.abc import Collection

from dynflow_mp.model.policies import RescueStrategy


class Rescue:
    """Whether a plan is rescued; remembers for whose sake it was. Owned by its running plan."""

    __slots__ = ("_rescued",)

    def __init__(self) -> None:
        self._rescued: set[int] = set()

    def verdict(self, failed: Collection[int], said: RescueStrategy | None) -> RescueStrategy:
        """What to do about these failed steps, given what their strategies come to; no opinion is to skip them.

        A round of skipping is worth it as long as it brings a new failure: a step that fails again
        while it is being skipped would fail for ever.
        """
        if not failed:
            return RescueStrategy.PAUSE
        if said is not None and said is not RescueStrategy.SKIP:
            return said
        if self._rescued.issuperset(failed):
            return RescueStrategy.PAUSE
        self._rescued.update(failed)
        return RescueStrategy.SKIP
