"""An exception as it is stored: names and bounded text, whatever the exception does."""

from __future__ import annotations

import builtins
import os.path
from collections.abc import Collection, Iterator
from types import TracebackType

from dynflow_mp.actions.unwinding import Stopped
from dynflow_mp.model.stops import error_of
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.redaction import without

FIRST_FRAMES, LAST_FRAMES = 20, 30
MAX_MESSAGE, MAX_LINE = 16_384, 500
_MAX_CAUSES, _CAUSE_FRAMES = 3, 5
_ENGINE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def record_of(error: BaseException, secrets: Collection[str] = ()) -> ErrorRecord:
    """``error`` as the step it ended will show it, without these ``secrets``.

    Never raises for what a user's exception does.
    """
    kind, cause = (error_of(error.cause), error.cause) if type(error) is Stopped else (type(error), None)
    message = without(message_of(error), secrets)
    return ErrorRecord(
        exception_name(kind), message, tuple(without(line, secrets) for line in _backtrace_of(error)), cause
    )


def exception_name(kind: type[BaseException]) -> str:
    """``ValueError`` for Python's own, ``module.Name`` for all others."""
    try:
        if kind.__module__ == builtins.__name__:
            return _bounded(kind.__qualname__, MAX_LINE)
        return _bounded(f"{kind.__module__}.{kind.__qualname__}", MAX_LINE)
    except BaseException:  # a metaclass of the user's may answer with anything
        return _bounded(type.__dict__["__name__"].__get__(kind), MAX_LINE)


def message_of(error: BaseException) -> str:
    """The exception's text, also when its ``__str__`` is broken."""
    try:
        text = str(error)
    except BaseException as broken:  # a user's __str__ may raise anything; the step's error must survive it
        text = f"<no message: its __str__ raised {exception_name(type(broken))}>"
    return _bounded(text, MAX_MESSAGE)


def _bounded(text: str, limit: int) -> str:
    storable = str.encode(text, "utf-8", "backslashreplace").decode(
        "utf-8"
    )  # a str subclass has its own encode
    return storable if len(storable) <= limit else storable[: limit - 1] + "…"


def _backtrace_of(error: BaseException) -> tuple[str, ...]:
    lines: list[str] = []
    try:
        lines.extend(_backtrace(error))
    except BaseException as broken:  # attributes of a user's exception may raise, too
        lines.append(f"<no more of it: reading it raised {exception_name(type(broken))}>")
    return tuple(lines)


def _backtrace(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions[:_MAX_CAUSES]:
            yield _bounded(f"contains {exception_name(type(inner))}: {message_of(inner)}", MAX_LINE)
    yield from _frames(error.__traceback__, FIRST_FRAMES, LAST_FRAMES)
    seen = {id(error)}
    for _ in range(_MAX_CAUSES):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None or id(cause) in seen:
            return
        seen.add(id(cause))
        yield _bounded(f"caused by {exception_name(type(cause))}: {message_of(cause)}", MAX_LINE)
        yield from _frames(cause.__traceback__, 0, _CAUSE_FRAMES)
        error = cause


def _frames(trace: TracebackType | None, first: int, last: int) -> list[str]:
    from traceback import format_tb  # only a failing step needs it: it costs an idle worker a megabyte

    frames: list[TracebackType] = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    frames = _without_the_way_in(frames)
    left_out = len(frames) - first - last
    shown = frames if left_out <= 0 else frames[:first] + frames[-last:]
    lines = [_bounded(format_tb(frame, 1)[0].strip(), MAX_LINE) for frame in shown]
    if left_out > 0:
        lines.insert(first, f"… {left_out:,} frames left out …")
    return lines


def _without_the_way_in(frames: list[TracebackType]) -> list[TracebackType]:
    """The frames from the user's first on; all of them if none is the user's."""
    for position, frame in enumerate(frames):
        if not frame.tb_frame.f_code.co_filename.startswith(_ENGINE):
            return frames[position:]
    return frames
