"""A death certificate: how the process ended that a step was in, or what the engine ended the step for.

It travels and is stored inside the step's error (:class:`~dynflow_mp.model.work.ErrorRecord`), so there is one exactly
where there is an error, also for attempts that were followed by others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from dynflow_mp.model.advice import advice_for
from dynflow_mp.redaction import without

MOST_OUTPUT_LINES, MOST_OUTPUT_BYTES = 40, 8 * 1024
"""What of a step's last output a certificate keeps."""
BEFORE_LAST_WORDS = b"\xa7died_at\xcf"
"""Stands in the bytes of every error with a certificate, before stack and output, and in no text but an odd one: a key and
the head of its number."""


class Certificate(NamedTuple):
    """Plain data. Times are microseconds UTC; what is None, or empty, could not be told.

    ``exit_code`` and ``signal`` exclude each other. ``peak_memory`` (bytes resident) is the worker's, over its whole
    life; ``cpu_time`` (seconds) what the step took, with all threads and the children that were waited for. ``stack``
    has the innermost call last.
    """

    cause: str
    """A word: ``signal(11)``, ``exit(3)``, ``out_of_memory``, ``timeout`` …"""
    sentence: str
    died_at: int
    began_at: int | None = None
    worker: str | None = None
    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    peak_memory: int | None = None
    cpu_time: float | None = None
    stack: tuple[str, ...] = ()
    output: str = ""
    """The last lines that were printed on standard output and error, as they came."""
    output_dropped: int = 0
    """Bytes of the step's output that were printed and are kept nowhere."""

    @property
    def advice(self) -> str:
        """What to try."""
        return advice_for(self.cause)

    def without_last_words(self) -> Self:
        """For a step that had ended before its worker did: stack and output are another's."""
        return self._replace(began_at=None, cpu_time=None, stack=(), output="", output_dropped=0)

    def to_data(self) -> dict[str, Any]:
        """As it is stored: what could not be told is left out."""
        return {
            name: list(value) if name == "stack" else value
            for name, value in self._asdict().items()
            if value is not None and value not in ("", ())
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """What :meth:`to_data` made; facts that are not known here are passed over."""
        known = {name: data[name] for name in cls._fields if name in data}
        known["stack"] = tuple(known.get("stack", ()))
        return cls(**{"cause": "unknown", "sentence": "", "died_at": 0, **known})


def last_lines(text: str) -> str:
    """As much of the end of a step's output as a certificate keeps, without passwords in URLs and such."""
    kept = without("\n".join(text.rstrip("\n").splitlines()[-MOST_OUTPUT_LINES:]))
    data = kept.encode("utf-8", "backslashreplace")
    return (
        kept if len(data) <= MOST_OUTPUT_BYTES else "…" + data[-MOST_OUTPUT_BYTES:].decode("utf-8", "ignore")
    )
