"""Errors without what differs from one time to the next, so that those of one cause are told to be alike.

host db7.example refused '10.0.0.7' after 0.3 s   ─▶   host db<n>.example refused <text> after <n> s
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from dynflow_mp.redaction import without

LONGEST = 1_000
"""Characters of a message that count: what comes later is seldom what tells errors apart."""
_KEY_LENGTH = 16

_HEX = "[0-9a-fA-F]"
_CHANGING = re.compile(
    "|".join(
        f"(?P<{name}>{pattern})"
        for name, pattern in {
            "uuid": rf"\b{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}\b",
            "time": r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
            r"|\b\d\d:\d\d:\d\d(?:[.,]\d+)?",
            # An apostrophe inside a word opens nothing.
            "text": r"(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"|`[^`\n]*`",
            "url": r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+",
            "path": r"(?<![\w/<])(?:~|\.{1,2})?(?:/[\w.@%+~-]+)+/?|\b[A-Za-z]:\\[^\s'\"]+",
            "hex": rf"\b0x{_HEX}+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F]){_HEX}{{8,}}\b",
            "n": r"(?:(?<![\w.])[-+])?\d+(?:[.,_]\d+)*(?:[eE][-+]?\d+\b)?",
        }.items()
    )
)
_SPACE = re.compile(r"\s+")


class NormalisedError(NamedTuple):
    """What errors have in common; ``key`` stands for it in an address."""

    key: str
    exception_class: str
    message: str


@lru_cache(maxsize=4096)
def normalised_error(exception_class: str, message: str) -> NormalisedError:
    """Of an error as it is recorded: numbers, ids, times, paths, addresses and quoted texts are what changes."""
    alike = normalised_message(message)
    return NormalisedError(_key(f"{exception_class}\n{alike}"), exception_class, alike)


def normalised_message(message: str) -> str:
    """Its beginning in one line, with placeholders such as ``<n>``; passwords in it are hidden."""
    line = _SPACE.sub(" ", without(message[:LONGEST])).strip()
    return _CHANGING.sub(lambda found: f"<{found.lastgroup}>", line)


def _key(text: str) -> str:
    from hashlib import (
        sha256,  # a cryptographic library of 3 MiB, for which not everybody who reads has a use
    )

    return sha256(text.encode("utf-8", "replace")).hexdigest()[:_KEY_LENGTH]
