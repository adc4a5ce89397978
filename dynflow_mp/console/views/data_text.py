"""Stored data as people read it: JSON, with what JSON does not know told in words."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from dynflow_mp.model.signals import Signal

_BYTES_SHOWN = 24


def data_text(value: Any, *, whole: bool = False) -> str:
    """Data that may be shown (see :mod:`dynflow_mp.reading.concealment`), as indented JSON; ``whole``: bytes, too."""
    return json.dumps(plain(value, whole), ensure_ascii=False, indent=2)


def plain(value: Any, whole: bool = False) -> Any:
    """The same data in what JSON knows. Nesting is bounded by what can be stored."""
    if isinstance(value, dict):
        return {str(key): plain(item, whole) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, whole) for item in value]
    if isinstance(value, Signal):
        return f"<signal {value}>"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return value if isinstance(value, str) else _in_words(value, whole)


def _in_words(value: Any, whole: bool) -> str:
    if isinstance(value, (bytes, bytearray)):
        if whole:
            return f"<{len(value):,} bytes, base64: {b64encode(value).decode()}>"
        beginning = bytes(value[:_BYTES_SHOWN]).hex(" ")
        return f"<{len(value):,} bytes: {beginning}{' …' if len(value) > _BYTES_SHOWN else ''}>"
    if isinstance(value, (datetime, date)):
        return f"<{type(value).__name__} {value.isoformat()}>"
    if isinstance(value, (UUID, Decimal)):
        return f"<{type(value).__name__} {value}>"
    return f"<{value}>"
