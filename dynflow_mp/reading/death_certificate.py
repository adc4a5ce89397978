"""How a step was ended that did not end by itself, as people read it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from dynflow_mp.model.certificates import Certificate

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIB = 1024 * 1024


class DeathCertificate(NamedTuple):
    """What is known of the end; None, or empty, where it could not be told.

    ``cause`` is a word (``signal(11)``, ``out_of_memory``, ``timeout``), ``sentence`` says it in full, ``advice`` what
    to try. ``exit_code`` or ``signal`` (its number) tell how the process ended, if it did. ``peak_memory`` are bytes,
    over the worker's whole life; ``cpu_time`` seconds that the step took. ``stack`` has the innermost call last;
    ``output`` the last lines that the step printed, ``output_dropped`` how many bytes of its output are kept nowhere.
    """

    cause: str
    sentence: str
    advice: str
    began_at: datetime | None
    died_at: datetime
    worker: str | None
    pid: int | None
    exit_code: int | None
    signal: int | None
    peak_memory: int | None
    cpu_time: float | None
    stack: tuple[str, ...]
    output: str
    output_dropped: int

    @classmethod
    def of(cls, stored: Certificate) -> DeathCertificate:
        """As it was stored."""
        facts = stored._asdict()
        began_at, died_at = facts.pop("began_at"), facts.pop("died_at")
        return cls(
            **facts,
            advice=stored.advice,
            began_at=None if began_at is None else _at(began_at),
            died_at=_at(died_at),
        )

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return f"<DeathCertificate {self.cause}: {self.sentence}>"

    def _lines(self) -> Iterator[str]:
        yield f"cause: {self.cause}: {self.sentence}"
        yield f"time: {self._span()}"
        if self.pid is not None:
            yield f"worker: {self.worker}, pid {self.pid}{self._took()}"
        if self.stack:
            yield "stack, innermost call last:"
            yield from (f"  {line}" for frame in self.stack for line in frame.splitlines())
        if self.output or self.output_dropped:
            dropped = f" ({self.output_dropped:,} bytes of it dropped)" if self.output_dropped else ""
            yield f"last output{dropped}:"
            yield from (f"  {line}" for line in self.output.splitlines())
        if self.advice:
            yield f"what to try: {self.advice}"

    def _span(self) -> str:
        died = self.died_at.isoformat(sep=" ", timespec="milliseconds")
        if self.began_at is None:
            return died
        lasted_s = (self.died_at - self.began_at).total_seconds()
        return f"{self.began_at.isoformat(sep=' ', timespec='milliseconds')} to {died} ({lasted_s:.3f} s)"

    def _took(self) -> str:
        facts = []
        if self.peak_memory is not None:
            facts.append(f"peak memory {self.peak_memory / _MIB:,.0f} MiB")
        if self.cpu_time is not None:
            facts.append(f"{self.cpu_time:.2f} s of CPU")
        return "".join(f", {fact}" for fact in facts)


def _at(microseconds: int) -> datetime:
    """The time; the epoch for a number that is no time of any calendar."""
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return _EPOCH
