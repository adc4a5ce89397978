"""A flow as boxes within boxes: what runs one after the other stands below each other, what runs at the same time side by side.

visible part (level_of_detail) ─▶ measured, from the inside out ─▶ placed, from the outside in ─▶ Picture
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dynflow_mp.console.views.level_of_detail import Folded, Path, Shown, ShownStep, path_text
from dynflow_mp.console.views.words import counted, state_word
from dynflow_mp.model.states import StepState

STEP_WIDTH, STEP_HEIGHT, FOLDED_HEIGHT = 214, 33, 47
WIDEST = 1110
"""Side by side stand as many boxes as this has room for; then a new row begins."""
_GAP, _ARROW, _PAD, _CAPTION = 10, 17, 9, 20
_LONGEST_TITLE = 21
SEQUENCE = "sequence"
TOGETHER, IN_ORDER = "at the same time", "one after the other"
_SHAPES = {"skipping": "skipped", "scheduling": "scheduled"}


class StepFacts(NamedTuple):
    """What a box says of one step."""

    name: str
    state: str
    share: float
    """How much of it is done, from 0 to 1."""
    aside: str


class Box(NamedTuple):
    """A step, or (``step_id`` is None) a folded group with ``params`` to open it."""

    x: int
    y: int
    width: int
    height: int
    step_id: int | None
    title: str
    aside: str
    words: str
    state: str
    done_width: int
    marked: bool = False
    params: tuple[tuple[str, str], ...] = ()

    @property
    def shape(self) -> str:
        return _SHAPES.get(self.state, self.state)


class Frame(NamedTuple):
    """Around a group."""

    x: int
    y: int
    width: int
    height: int
    together: bool
    caption: str


class Arrow(NamedTuple):
    """From one to what comes after it."""

    x: int
    top: int
    bottom: int


class Picture(NamedTuple):
    """All that is drawn."""

    width: int
    height: int
    boxes: list[Box]
    frames: list[Frame]
    arrows: list[Arrow]

    @property
    def folded(self) -> bool:
        return any(box.step_id is None for box in self.boxes)


class _Measured(NamedTuple):
    """What is shown with its size; of a group, where each child stands in it."""

    shown: Shown
    width: int
    height: int
    framed: bool
    children: tuple[tuple[int, int, _Measured], ...] = ()


def picture(shown: Shown, facts: Callable[[int], StepFacts], marked: int | None = None) -> Picture:
    """The picture of what is visible; ``facts`` tells about a step, ``marked`` is shown as found."""
    measured = _measure(shown, WIDEST, outermost=True)
    found = Picture(measured.width + 2, measured.height + 2, [], [], [])
    _place(measured, 1, 1, found, facts, marked)
    return found


# -- sizes -----------------------------------------------------------------------------------------


def _measure(shown: Shown, room: int, outermost: bool = False) -> _Measured:
    if isinstance(shown, ShownStep):
        return _Measured(shown, STEP_WIDTH, STEP_HEIGHT, False)
    if isinstance(shown, Folded):
        return _Measured(shown, STEP_WIDTH, FOLDED_HEIGHT, False)
    if len(shown.children) == 1:
        return _measure(shown.children[0], room, outermost)
    framed = bool(shown.children) and not (outermost and shown.kind == SEQUENCE)
    inner_room = max(STEP_WIDTH, room - 2 * _PAD if framed else room)
    children = [_measure(child, inner_room) for child in shown.children]
    stacked = shown.kind == SEQUENCE
    width, height, placed = _stacked(children) if stacked else _in_rows(children, inner_room)
    if not framed:
        return _Measured(shown, width, height, False, placed)
    moved = tuple((x + _PAD, y + _CAPTION, child) for x, y, child in placed)
    return _Measured(shown, width + 2 * _PAD, height + _CAPTION + _PAD, True, moved)


_Placed = tuple[tuple[int, int, _Measured], ...]


def _stacked(children: list[_Measured]) -> tuple[int, int, _Placed]:
    placed, y = [], 0
    for child in children:
        placed.append((0, y, child))
        y += child.height + _ARROW
    return max((child.width for child in children), default=0), max(0, y - _ARROW), tuple(placed)


def _in_rows(children: list[_Measured], room: int) -> tuple[int, int, _Placed]:
    placed: list[tuple[int, int, _Measured]] = []
    x = y = row_height = width = 0
    for child in children:
        if x and x + child.width > room:
            x, y, row_height = 0, y + row_height + _GAP, 0
        placed.append((x, y, child))
        x += child.width + _GAP
        row_height = max(row_height, child.height)
        width = max(width, x - _GAP)
    return width, y + row_height, tuple(placed)


# -- places ----------------------------------------------------------------------------------------


def _place(
    measured: _Measured,
    x: int,
    y: int,
    found: Picture,
    facts: Callable[[int], StepFacts],
    marked: int | None,
) -> None:
    """As deep as groups are open: see ``level_of_detail.DEEPEST``."""
    shown = measured.shown
    if isinstance(shown, ShownStep):
        found.boxes.append(_step_box(shown.step_id, x, y, facts(shown.step_id), shown.step_id == marked))
        return
    if isinstance(shown, Folded):
        found.boxes.append(_folded_box(shown, x, y))
        return
    if measured.framed:
        together = shown.kind != SEQUENCE
        caption = TOGETHER if together else IN_ORDER
        found.frames.append(Frame(x, y, measured.width, measured.height, together, caption))
    for place, (left, top, child) in enumerate(measured.children):
        if shown.kind == SEQUENCE and place:
            found.arrows.append(Arrow(x + left + 22, y + top - _ARROW + 1, y + top - 1))
        _place(child, x + left, y + top, found, facts, marked)


def _step_box(step_id: int, x: int, y: int, facts: StepFacts, marked: bool) -> Box:
    title = f"{step_id} {facts.name}"
    longest = _LONGEST_TITLE if facts.aside else _LONGEST_TITLE + 5
    aside = f", {facts.aside}" if facts.aside else ""
    partly = facts.share if facts.state in (StepState.RUNNING, StepState.SUSPENDED) else 0.0
    return Box(
        x,
        y,
        STEP_WIDTH,
        STEP_HEIGHT,
        step_id,
        title if len(title) <= longest else title[: longest - 1] + "…",
        facts.aside,
        f"step {title}: {state_word(facts.state)}{aside}",
        facts.state,
        round((STEP_WIDTH - 4) * partly),
        marked,
    )


def _folded_box(folded: Folded, x: int, y: int) -> Box:
    rule = IN_ORDER if folded.kind == SEQUENCE else TOGETHER
    title = counted(folded.total, "step") if folded.start is None else f"{counted(folded.total, 'step')} more"
    aside = fold_counts(folded)
    share = folded.done / folded.total if folded.total else 0.0
    return Box(
        x,
        y,
        STEP_WIDTH,
        FOLDED_HEIGHT,
        None,
        title,
        aside,
        f"{title}, {rule}: {aside}. Open",
        folded.state,
        round((STEP_WIDTH - 4) * share),
        params=fold_params(folded.path, folded.start),
    )


def fold_counts(folded: Folded) -> str:
    """``120 done, 3 failed``."""
    told = [
        f"{number:,} {word}"
        for number, word in ((folded.done, "done"), (folded.running, "running"), (folded.failed, "failed"))
        if number
    ]
    return ", ".join(told) or "none begun"


def fold_params(path: Path, start: int | None) -> tuple[tuple[str, str], ...]:
    """What a URL says to open a group, and to begin at one of its children."""
    at = [("at", path_text(path))] if path else []
    return (*at, *([("start", str(start))] if start else []))
