"""Bytes that are almost right: what is valid, changed in ways that reach further than chance does."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence

SECONDS = float(os.environ.get("FUZZ_SECONDS", "2"))
"""How long each test goes on. ``make fuzz`` takes longer."""
SEED = int(os.environ.get("FUZZ_SEED", "0")) or random.SystemRandom().getrandbits(32)

_INTERESTING = (
    *(b"\x00", b"\xff", b"\x7f", b"\x80", b"\x90", b"\xa0", b"\xc0", b"\xc1", b"\xc2", b"\xc4\xff", b"\xc6\xff\xff\xff\xff"),
    *(b"\xca\x7f\xc0\x00\x00", b"\xcb\x7f\xf8" + bytes(6), b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7)),
    *(b"\xd4\xff\x00", b"\xd6\xff\xff\xff\xff\xff", b"\xc7\x0c\xff" + b"\xff" * 12, b"\xc7\x03\x04NaN"),
    *(b"\xd8\x03" + bytes(16), b"\xc7\x02\x01xx", b"\xd9\xff", b"\xdb\xff\xff\xff\xff", b"\xdc\xff\xff"),
    *(b"\xdd\xff\xff\xff\xff", b"\xde\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xa2\xff\xfe", b"\xa3\xed\xa0\x80"),
    *(b"\x91" * 40, b"\x81\xa1k" * 40, b"\x81\x01\x02", b"\x81\x80\x80", b"\x81\xc0\xc0", b"\xa1\x00"),
)  # fmt: skip


def mutated(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """``data`` with a few changes; ``others`` are what pieces may be taken from."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        place = chance.randrange(len(changed) + 1)
        kind = chance.randrange(8)
        if kind == 0 and changed:
            changed[place % len(changed)] ^= 1 << chance.randrange(8)
        elif kind == 1 and changed:
            changed[place % len(changed)] = chance.randrange(256)
        elif kind == 2:
            del changed[place : place + chance.choice((1, 2, 4, 16))]
        elif kind == 3:
            changed[place:place] = chance.choice(_INTERESTING)
        elif kind == 4:
            piece = chance.choice(_INTERESTING)
            changed[place : place + len(piece)] = piece
        elif kind == 5:
            del changed[place:]
        elif kind == 6:
            changed[place:place] = changed[place : place + chance.choice((1, 4, 32))] * chance.choice(
                (1, 5, 300)
            )
        else:
            other = chance.choice(others)
            start = chance.randrange(len(other) + 1)
            changed[place : place + chance.randrange(32)] = other[start : start + chance.randrange(64)]
    return bytes(changed)


def tried(corpus: Sequence[bytes], attempt: Callable[[bytes], object]) -> int:
    """How many changed ones ``attempt`` was given within the time; what it raises is reported with the bytes."""
    number = 0
    for number, data in enumerate(_stream(corpus), start=1):  # noqa: B007
        try:
            attempt(data)
        except BaseException as error:
            raise AssertionError(f"FUZZ_SEED={SEED}: {type(error).__name__}: {error} for {data!r}") from error
    return number


def _stream(corpus: Sequence[bytes]) -> Iterator[bytes]:
    chance, ends = random.Random(SEED), time.monotonic() + SECONDS
    yield from corpus
    while time.monotonic() < ends:
        yield mutated(chance.choice(corpus), chance, corpus)
