"""Stored data as JSON can say it: what JSON does not have becomes text that tells what it is."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any

_DEEPEST = 200
_MOST_BYTES_SHOWN = 32


def plain(value: Any, depth: int = 0) -> Any:
    """A copy of it, of what JSON has."""
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return _of_bytes(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _of_bytes(value: bytes) -> str:
    head = value[:_MOST_BYTES_SHOWN].hex(" ")
    more = " …" if len(value) > _MOST_BYTES_SHOWN else ""
    return f"<{len(value):,} bytes: {head}{more}>" if value else "<0 bytes>"
