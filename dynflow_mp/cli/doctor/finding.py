"""What the doctor has found."""

from __future__ import annotations

from typing import NamedTuple

OK, NOTE, WRONG = "ok", "note", "wrong"


class Finding(NamedTuple):
    """One thing that was looked at; ``what`` is the matter with it, and ``advice`` what to do, unless it is ``ok``."""

    section: str
    name: str
    value: str
    level: str = OK
    what: str = ""
    advice: str = ""
