"""How times, spans, sizes and numbers are written for people."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def time_text(time: datetime | None) -> str:
    """``2026-03-01 09:15:02 UTC``; a dash for none."""
    return "–" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso_text(time: datetime | None) -> str:
    """As programs read it, for ``<time datetime=…>``; empty for none."""
    return "" if time is None else time.astimezone(UTC).isoformat(timespec="milliseconds")


def duration_text(seconds: float | None) -> str:
    """``0.34 s``, ``12 s``, ``3 min 4 s``, ``2 h 5 min``, ``3 d 4 h``; a dash for none."""
    if seconds is None:
        return "–"
    if seconds < 0:
        return f"−{duration_text(-seconds)}"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs" if seconds else "0 s"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for name, size, below_name, below in (
        ("d", 86_400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {name}" + (f" {rest} {below_name}" if rest else "")
    return f"{whole} s"


def ago_text(time: datetime | None, now: datetime | None = None) -> str:
    """``3 min 4 s ago``, ``in 5 s``; a dash for none."""
    if time is None:
        return "–"
    passed = ((now or datetime.now(UTC)) - time).total_seconds()
    return f"in {duration_text(-passed)}" if passed < 0 else f"{duration_text(passed)} ago"


def bytes_text(size: float | None) -> str:
    """``512 B``, ``3.4 MiB``; a dash for none."""
    if size is None:
        return "–"
    for unit in _UNITS:
        if abs(size) < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" or abs(size) >= 100 else f"{size:.1f} {unit}"


def count_text(number: int | None) -> str:
    """``100,000``; a dash for none."""
    return "–" if number is None else f"{number:,}"


def percent_text(share: float | None) -> str:
    """``42 %`` of 0.42; never 100 % before all is done."""
    if share is None:
        return "–"
    return "100 %" if share >= 1 else f"{min(99, int(share * 100))} %"
