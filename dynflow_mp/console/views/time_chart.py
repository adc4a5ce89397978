"""Steps in time: a lane for each worker, a bar for each step; bars too short to be seen alone become one.

All places are shares of the chart's width in per cent, so that it fits whatever room there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from dynflow_mp.console.views.words import counted
from dynflow_mp.console.wording import duration_text, time_text

BAR_HEIGHT = 22
MOST_BARS = 1_200
"""Of all lanes together; what is finer is merged."""
MOST_LANES = 200
MOST_OF_PATH = 40
_ROWS = 6
"""Bars that overlap in one lane (steps that were suspended) stand below each other, in so many rows."""
_NARROWEST = 0.12
_LETTER = 0.75
"""About how wide a letter is, in per cent of a chart."""
_TICKS = 6
_STEPS_S = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900),
    *(1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400, 172_800, 604_800, 2_592_000),
)


class Span(Protocol):
    """One step's time; see :mod:`dynflow_mp.reading.timeline`."""

    @property
    def step_id(self) -> int: ...
    @property
    def lane(self) -> str: ...
    @property
    def start(self) -> datetime: ...
    @property
    def end(self) -> datetime: ...
    @property
    def state(self) -> str: ...
    @property
    def critical(self) -> bool: ...


class Bar(NamedTuple):
    """One step, or one bar of so many ``steps``; ``x`` and ``width`` in per cent."""

    x: float
    width: float
    y: int
    step_id: int
    steps: int
    state: str
    critical: bool
    words: str
    params: tuple[tuple[str, str], ...]
    title: str = ""
    """What is written into it, if it is long enough."""


class Lane(NamedTuple):
    title: str
    height: int
    bars: list[Bar]


class Tick(NamedTuple):
    x: float
    text: str
    anchor: str


class PathStep(NamedTuple):
    step_id: int
    title: str
    seconds: float


class Chart(NamedTuple):
    """All that is drawn."""

    lanes: list[Lane]
    ticks: list[Tick]
    path: list[PathStep]
    path_left: int
    path_words: str
    words: str
    merged: bool
    zoomed: bool
    lanes_left: int = 0
    """Workers that are not drawn, since there are too many."""
    lane_title: str = "Worker"


def chart(
    spans: Sequence[Span],
    critical_path: Sequence[int],
    name_of: Callable[[int], str],
    start: datetime,
    end: datetime,
    window: tuple[float, float] | None = None,
) -> Chart:
    """What is drawn of ``spans`` between ``start`` and ``end``; ``window``: only between these seconds after the start."""
    whole_s = max((end - start).total_seconds(), 1e-6)
    first_s, last_s = window or (0.0, whole_s)
    scale = _Scale(start, first_s, max(last_s, first_s + 1e-6))
    by_lane: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda one: (one.start, one.step_id)):
        if scale.shows(span):
            by_lane.setdefault(span.lane, []).append(span)
    shown = list(by_lane.items())[:MOST_LANES]
    room = max(40, MOST_BARS // max(1, len(shown)))
    lanes = [_lane(title, spans_here, scale, room, name_of) for title, spans_here in shown]
    lengths = {span.step_id: (span.end - span.start).total_seconds() for span in spans}
    path = [PathStep(one, name_of(one), lengths.get(one, 0.0)) for one in critical_path]
    together_s = sum(one.seconds for one in path)
    return Chart(
        lanes,
        _ticks(scale),
        path[:MOST_OF_PATH],
        max(0, len(path) - MOST_OF_PATH),
        f"{counted(len(path), 'step')}{' that waited for each other, together' if len(path) > 1 else ','} "
        f"{duration_text(together_s)} of {duration_text(whole_s)}.",
        f"{time_text(start)} and {duration_text(whole_s)} from there.",
        any(bar.steps > 1 for lane in lanes for bar in lane.bars),
        window is not None,
        len(by_lane) - len(shown),
    )


class _Scale(NamedTuple):
    start: datetime
    first_s: float
    last_s: float

    @property
    def length_s(self) -> float:
        return self.last_s - self.first_s

    def seconds(self, time: datetime) -> float:
        return (time - self.start).total_seconds()

    def place(self, seconds: float) -> float:
        """In per cent of the width, within it."""
        return min(100.0, max(0.0, (seconds - self.first_s) / self.length_s * 100))

    def shows(self, span: Span) -> bool:
        return self.seconds(span.end) >= self.first_s and self.seconds(span.start) <= self.last_s


class _Row:
    """Groups of steps that lie beside each other; ``end`` is where the last one ends, as it is drawn."""

    def __init__(self) -> None:
        self.groups: list[list[Span]] = []
        self.begin = self.end = 0.0
        self.is_short = False

    def takes(self, left: float, right: float, finest: float) -> bool:
        """Whether a short step becomes part of the last bar, which is one of short steps."""
        return self.is_short and right - left < finest and right <= self.begin + finest

    def has_room(self, left: float, is_short: bool) -> bool:
        return left >= self.end - (_NARROWEST if is_short else 1e-9)

    def add(self, span: Span, left: float, right: float, is_short: bool) -> None:
        self.groups.append([span])
        self.begin, self.is_short = left, is_short
        self.end = max(right, left + _NARROWEST)

    def join(self, span: Span, right: float) -> None:
        self.groups[-1].append(span)
        self.end = max(self.end, right)


def _lane(title: str, spans: Iterable[Span], scale: _Scale, room: int, name_of: Callable[[int], str]) -> Lane:
    rows: list[_Row] = []
    finest = max(100.0 / room, 2 * _NARROWEST)
    for span in spans:
        _put(span, scale, rows, finest)
    bars = [_bar(group, place, scale, name_of) for place, row in enumerate(rows) for group in row.groups]
    return Lane(title, BAR_HEIGHT * max(1, len(rows)) + 4, bars)


def _put(span: Span, scale: _Scale, rows: list[_Row], finest: float) -> None:
    """Into the first row where there is room, or with whose last bar it is drawn as one."""
    left, right = scale.place(scale.seconds(span.start)), scale.place(scale.seconds(span.end))
    is_short = right - left < finest
    for row in rows:
        if row.takes(left, right, finest):
            row.join(span, right)
            return
        if row.has_room(left, is_short):
            row.add(span, left, right, is_short)
            return
    if len(rows) < _ROWS:
        rows.append(_Row())
        rows[-1].add(span, left, right, is_short)
    else:
        min(rows, key=lambda row: row.end).join(span, right)


def _bar(group: list[Span], row: int, scale: _Scale, name_of: Callable[[int], str]) -> Bar:
    start_s = min(scale.seconds(span.start) for span in group)
    end_s = max(scale.seconds(span.end) for span in group)
    x = scale.place(start_s)
    width = max(scale.place(end_s) - x, _NARROWEST)
    span = group[0]
    if len(group) == 1:
        words = f"step {span.step_id} {name_of(span.step_id)}: {span.state}, {duration_text(end_s - start_s)}"
    else:
        words = f"{counted(len(group), 'step')} in {duration_text(end_s - start_s)}. Look closer"
    states = {str(one.state) for one in group}
    state = next((word for word in ("error", "running", "suspended") if word in states), str(span.state))
    margin_s = max((end_s - start_s) * 0.1, 1e-5)
    title = f"{span.step_id} {name_of(span.step_id)}" if len(group) == 1 else counted(len(group), "step")
    around = (("from", f"{max(0.0, start_s - margin_s):.6f}"), ("to", f"{end_s + margin_s:.6f}"))
    return Bar(
        round(x, 3),
        round(min(width, 100.0 - x) or _NARROWEST, 3),
        row * BAR_HEIGHT + 3,
        span.step_id,
        len(group),
        state,
        any(one.critical for one in group),
        words + (", on the critical path" if any(one.critical for one in group) else ""),
        around,
        title if width > len(title) * _LETTER else "",
    )


def _ticks(scale: _Scale) -> list[Tick]:
    between_s = next((step for step in _STEPS_S if scale.length_s / step <= _TICKS), _STEPS_S[-1])
    number = -(-scale.first_s // between_s)
    found: list[Tick] = []
    while number * between_s <= scale.last_s and len(found) < 3 * _TICKS:
        seconds = number * between_s
        x = round(scale.place(seconds), 3)
        found.append(
            Tick(
                x,
                f"+{duration_text(seconds)}" if seconds else "0",
                "start" if x < 5 else "end" if x > 95 else "middle",
            )
        )
        number += 1
    return found


def window_of(first: str | None, last: str | None) -> tuple[float, float] | None:
    """The part of a chart that a URL asks for; None for all, and for what is no part."""
    try:
        start_s, end_s = float(first or "nan"), float(last or "nan")
    except ValueError:
        return None
    longest = timedelta(days=36_500).total_seconds()
    return (start_s, end_s) if 0 <= start_s < end_s <= longest else None
