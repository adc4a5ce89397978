"""Words for states, and for how many there are of something."""

from __future__ import annotations

from dynflow_mp.model.states import PlanState, Result, StepState

UNKNOWN = "–"

_STATES: dict[str, str] = {
    StepState.ERROR: "failed",
    StepState.SKIPPING: "being skipped",
    StepState.SCHEDULING: "being scheduled",
    PlanState.PLANNING: "being planned",
}
"""What a state is called where its own word says less."""


def state_word(state: str) -> str:
    """A plan's or a step's state in a word."""
    return _STATES.get(str(state), str(state))


def result_word(result: str) -> str:
    """What has come of a plan, in a word; nothing has, while it is pending."""
    if result == Result.PENDING:
        return "none yet"
    return "failed" if result == Result.ERROR else str(result)


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: ``1 step``, ``3,000 steps``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def short_id(text: str | None, length: int = 8) -> str:
    """The end of an id: enough to tell it from others on a page (the beginning of a plan's is its time)."""
    if not text:
        return UNKNOWN
    return text if len(text) <= length else f"…{text[-length:]}"


FILTERS = {"state_word": state_word, "result_word": result_word, "counted": counted, "short_id": short_id}
"""What templates call."""
