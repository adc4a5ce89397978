"""Times, spans and shares in few letters, and what people write for them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    FloatType = click.ParamType[float]
    TimeType = click.ParamType[datetime]
else:  # a plain class before click 8.3
    FloatType = TimeType = click.ParamType

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)")
_LONGEST_S = 100_000_000.0
_BAR = 10


def moment(time: datetime | None) -> str:
    """To the second, in UTC."""
    return "-" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def span(seconds: float | None) -> str:
    """``0.13 s``, ``42 s``, ``3 min 20 s``, ``5 h 2 min``, ``3 d 4 h``."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def share(part: float | None) -> str:
    """``42 %``; 100 only for what is wholly done."""
    if part is None:
        return "-"
    return f"{min(int(part * 100), 99) if part < 1 else 100} %"


def bar(part: float, width: int = _BAR) -> str:
    """A share as a bar of text."""
    full = int(max(0.0, min(1.0, part)) * width)
    return "█" * full + "░" * (width - full)


def amount(number: float) -> str:
    """Bytes: ``3.1 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


class Span(FloatType):
    """Seconds, or a number with its unit: ``90``, ``90s``, ``5m``, ``2h``, ``3d``."""

    name = "span"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        """Seconds, not below 0."""
        if isinstance(value, float):
            return value
        found = _SPAN.fullmatch(str(value).strip().lower())
        if found is None:
            self.fail(f"{str(value)[:40]!r} is no span of time such as 90s, 5m, 2h or 3d", parameter, context)
        seconds = float(found[1]) * _UNITS[found[2] or "s"]
        if seconds > _LONGEST_S:
            self.fail(f"{str(value)[:40]!r} is longer than {_LONGEST_S:,.0f} s", parameter, context)
        return seconds


class Moment(TimeType):
    """A time: ISO 8601 (UTC unless it says another zone); with ``ago``, also a span that ends now, else one that begins now."""

    name = "time"

    def __init__(self, *, ago: bool) -> None:
        self._ago = ago

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> datetime:
        """With a time zone."""
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        try:
            time = datetime.fromisoformat(text)
            return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        except ValueError:
            pass
        if _SPAN.fullmatch(text.lower()) is None:
            self.fail(
                f"{text[:40]!r} is neither a time such as 2026-11-26T14:30 nor a span such as 2h",
                parameter,
                context,
            )
        away = timedelta(seconds=SPAN.convert(text, parameter, context))
        return datetime.now(UTC) - away if self._ago else datetime.now(UTC) + away


SPAN = Span()
AGO = Moment(ago=True)
AHEAD = Moment(ago=False)
