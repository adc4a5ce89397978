"""What is done by itself about a plan that has failed steps (dynflow-core.md §11.4, §11.5)."""

from __future__ import annotations

from collections.abc import Iterable

from dynflow_mp.model.policies import RescueStrategy


def combined(strategies: Iterable[str | None]) -> RescueStrategy:
    """The strategy of a plan whose failed steps have these: theirs if they agree, else pause.

    None is no opinion; where nobody has one, the steps are skipped.
    """
    opinions = {strategy for strategy in strategies if strategy is not None}
    if not opinions:
        return RescueStrategy.SKIP
    return RescueStrategy(opinions.pop()) if len(opinions) == 1 else RescueStrategy.PAUSE


class Rescue:
    """Whether a plan is rescued; remembers for whose sake it was. Owned by its running plan."""

    __slots__ = ("_rescued",)

    def __init__(self) -> None:
        self._rescued: set[int] = set()

    def verdict(self, failed: dict[int, str | None]) -> RescueStrategy:
        """What to do about these failed steps, given their strategies.

        A round of skipping is worth it as long as it brings a new failure: a step that fails again
        while it is being skipped would fail for ever.
        """
        strategy = combined(failed.values()) if failed else RescueStrategy.PAUSE
        if strategy is RescueStrategy.SKIP:
            if self._rescued.issuperset(failed):
                return RescueStrategy.PAUSE
            self._rescued.update(failed)
        return strategy
