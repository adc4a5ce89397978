"""Output chunks in a worker: written, kept until they arrived, sent with the outcome otherwise."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest

from dynflow_mp import Action, BadArgument, PayloadTooLarge, WrongPhase
from dynflow_mp.actions import output_chunks
from dynflow_mp.actions.output_chunks import KeptChunks, numbered
from dynflow_mp.actions.phases import run_finalize, run_step
from dynflow_mp.actions.registry import name_of
from dynflow_mp.executor import chunk_stream
from dynflow_mp.executor.chunk_stream import ChunkStream
from dynflow_mp.model.codec import EMPTY, decode
from dynflow_mp.model.work import ErrorRecord, FinalizeJob, FinalizePart, OutputChunk, StepJob


class Writes(Action):
    def run(self) -> None:
        self.output_chunk({"a": 1})
        self.output_chunk("b", kind="log")
        self.drop_output_chunks()

    def finalize(self) -> None:
        self.output_chunk("end")


class Odd(Action):
    def run(self) -> None:
        self.output_chunk("b", kind="k" * 101)


class Fails(Action):
    def run(self) -> None:
        self.output_chunk("before")
        raise ValueError("no luck")


def job(kind: type[Action]) -> StepJob:
    return StepJob("plan", 2, 1, 1, name_of(kind), EMPTY)


def chunk(number: int, data: bytes = b"x") -> OutputChunk:
    return OutputChunk(data, None, 1, number)


def test_what_a_call_wrote_goes_with_its_outcome() -> None:
    first, second, dropped = run_step(job(Writes)).chunks

    assert (decode(first.chunk), first.kind, first.number) == ({"a": 1}, None, 1)
    assert (decode(second.chunk), second.kind, second.number) == ("b", "log", 2)
    assert (dropped.chunk, dropped.number) == (b"", 3)


def test_finalize_writes_chunks_too() -> None:
    part = FinalizePart(3, 1, 1, name_of(Writes), EMPTY, None, None)
    (outcome,) = run_finalize(FinalizeJob("plan", (part,), {}))

    assert [decode(one.chunk) for one in outcome.chunks] == ["end"]


def test_what_a_call_wrote_before_it_failed_is_kept() -> None:
    outcome = run_step(job(Fails))

    assert outcome.state == "error"
    assert [decode(one.chunk) for one in outcome.chunks] == ["before"]


def test_a_kind_that_is_too_long_is_refused() -> None:
    record = ErrorRecord.from_bytes(run_step(job(Odd)).error or b"")

    assert record.exception_class == name_of(BadArgument)
    assert "at most 100" in record.message


def test_without_a_stream_no_more_is_kept_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_chunks, "MAX_KEPT", 3)
    kept = KeptChunks()
    kept.add(chunk(1, b"xx"))

    with pytest.raises(PayloadTooLarge):
        kept.add(chunk(2, b"xx"))
    assert kept.rest() == (chunk(1, b"xx"),)


# -- the stream --------------------------------------------------------------------------------------


def test_what_was_not_heard_of_goes_with_the_outcome() -> None:
    woken: list[bool] = []
    stream = ChunkStream(lambda: 7, lambda: woken.append(True))
    book = stream.open(2)
    for number in (1, 2):
        book.add(chunk(number))

    assert stream.take() == (7, 2, (chunk(1), chunk(2)))
    book.add(chunk(3))
    assert stream.take() == (7, 2, (chunk(3),))
    assert stream.take() is None
    stream.heard(7, 2)
    stream.heard(6, 3)  # of a job before

    assert book.rest() == (chunk(3),)
    assert not stream.is_open
    assert stream.take() is None
    assert woken == [True]


def test_who_writes_faster_than_it_is_taken_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_stream, "MAX_KEPT", 2)
    stream = ChunkStream(lambda: 7, lambda: None)
    book = stream.open(2)
    for number in (1, 2):
        book.add(chunk(number))
    stream.take()
    writer = Thread(target=book.add, args=(chunk(3),))
    writer.start()

    stream.heard(7, 1)
    writer.join(10)

    assert book.rest() == (chunk(2), chunk(3))


def test_who_is_not_heard_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_stream, "MAX_KEPT", 1)
    monkeypatch.setattr(chunk_stream, "_PATIENCE_S", 0.0)
    book = ChunkStream(lambda: 7, lambda: None).open(2)
    book.add(chunk(1))

    with pytest.raises(PayloadTooLarge):
        book.add(chunk(2))


def test_chunks_belong_to_run_and_finalize() -> None:
    class Planning(Action):
        def plan(self) -> Any:
            self.output_chunk(1)

    from dynflow_mp.planning.planner import plan

    made = plan(Planning, (), {}, now=lambda: 1, new_id=lambda: "0193f0c5-0000-7000-8000-000000000001")

    assert isinstance(made.error, WrongPhase)
    assert numbered(1, b"x", None).number == 1
