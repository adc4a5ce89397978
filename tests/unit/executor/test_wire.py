"""Frames between supervisor and worker: what goes in comes out, and nothing else comes out."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp.errors import ProtocolError
from dynflow_mp.executor import wire
from dynflow_mp.model.certificates import Certificate
from dynflow_mp.model.states import StepState
from dynflow_mp.model.sub_plans import Ending, NewSubPlan, Orders
from dynflow_mp.model.work import (
    Errand,
    ErrandOutcome,
    ErrorRecord,
    FinalizeJob,
    FinalizePart,
    OutputChunk,
    PlannedEvent,
    StepJob,
    StepOutcome,
)

numbers = st.integers(1, 2**63)
ids = st.integers(0, 2**31)
texts = st.text(max_size=20)
data = st.binary(max_size=50)
maybe_data = st.none() | data
producers = st.dictionaries(ids, data, max_size=3)
reals = st.floats(allow_nan=False) | st.integers(0, 10)
maybe_ids = st.none() | ids
certificates = st.builds(
    Certificate,
    cause=texts,
    sentence=texts,
    died_at=ids,
    began_at=maybe_ids,
    worker=st.none() | texts,
    pid=maybe_ids,
    exit_code=maybe_ids,
    signal=maybe_ids,
    peak_memory=maybe_ids,
    cpu_time=st.none() | st.floats(0, 1e9),
    stack=st.lists(texts, max_size=2).map(tuple),
    output=texts,
    output_dropped=ids,
)
errors = st.builds(
    ErrorRecord,
    texts,
    texts,
    st.lists(texts, max_size=2).map(tuple),
    st.none() | texts,
    st.none() | certificates,
).map(ErrorRecord.to_bytes)

step_jobs = st.builds(
    StepJob,
    texts,
    ids,
    ids,
    ids,
    texts,
    data,
    maybe_data,
    st.none() | producers,
    maybe_data,
    maybe_data,
    st.booleans(),
    maybe_data,
)
parts = st.builds(FinalizePart, ids, ids, ids, texts, data, maybe_data, maybe_data)
finalize_jobs = st.builds(FinalizeJob, texts, st.lists(parts, max_size=3).map(tuple), producers)
events = st.builds(PlannedEvent, texts, ids, data, st.none() | reals, st.booleans())
chunks = st.builds(OutputChunk, data, st.none() | texts, ids, ids)
outcomes = st.builds(
    StepOutcome,
    ids,
    st.sampled_from([StepState.SUCCESS, StepState.ERROR, StepState.SUSPENDED]),
    ids,
    reals,
    reals,
    st.none() | reals,
    maybe_data,
    maybe_data,
    st.none() | errors,
    st.lists(events, max_size=2).map(tuple),
    st.booleans(),
    st.lists(st.builds(NewSubPlan, texts, st.booleans(), data).map(NewSubPlan.to_bytes), max_size=2).map(
        tuple
    ),
    st.lists(chunks, max_size=2).map(tuple),
    st.none()
    | st.builds(Orders, st.lists(texts, max_size=2).map(tuple), st.none() | st.sampled_from(Ending)).map(
        Orders.to_bytes
    ),
)

errands = st.builds(Errand, texts, ids, texts, texts, data)
errand_outcomes = st.builds(ErrandOutcome, texts, reals, data, st.none()) | st.builds(
    ErrandOutcome, texts, reals, st.none(), errors
)

DECODERS = [
    wire.decode_jobs,
    wire.decode_outcomes,
    wire.decode_hello,
    wire.decode_recall,
    wire.decode_recalled,
    wire.decode_ping,
    wire.decode_pong,
    wire.decode_stop_step,
]
A_JOB = StepJob("plan", 1, 1, 1, "m.A", b"\x80")
AN_OUTCOME = StepOutcome(1, StepState.SUCCESS, 0, 0.0, 0.0, 1.0)


@given(st.lists(st.tuples(numbers, step_jobs | finalize_jobs | errands), max_size=4))
def test_jobs_come_out_as_they_went_in(numbered):
    assert wire.decode_jobs(wire.encode_jobs(numbered)) == numbered


@given(
    st.lists(
        st.tuples(numbers, outcomes | errand_outcomes | st.lists(outcomes, max_size=3).map(tuple)), max_size=4
    )
)
def test_outcomes_come_out_as_they_went_in(numbered):
    decoded = wire.decode_outcomes(wire.encode_outcomes(numbered))

    assert decoded == numbered
    assert [type(outcome) for _, outcome in decoded] == [type(outcome) for _, outcome in numbered]


def test_a_decoded_outcome_has_a_state_not_its_text():
    [(_, outcome)] = wire.decode_outcomes(wire.encode_outcomes([(1, AN_OUTCOME)]))

    assert outcome.state is StepState.SUCCESS


@given(st.binary(min_size=32, max_size=32), st.integers(1, 2), ids)
def test_a_hello_comes_out_as_it_went_in(token, lane, pid):
    hello = wire.Hello(token, lane, pid)

    assert wire.decode_hello(wire.encode_hello(hello)) == hello


@given(st.lists(numbers))
def test_recalls_come_out_as_they_went_in(recalled):
    assert wire.decode_recall(wire.encode_recall(recalled)) == tuple(recalled)
    assert wire.decode_recalled(wire.encode_recalled(recalled)) == tuple(recalled)


def test_pings_come_out_as_they_went_in():
    assert wire.decode_ping(wire.encode_ping(7)) == 7
    assert wire.decode_pong(wire.encode_pong(8)) == 8
    assert wire.kind_of(wire.encode_stop()) == wire.STOP


@given(numbers, texts, texts)
def test_a_step_to_stop_comes_out_as_it_went_in(number, cause, message):
    step = wire.StepToStop(number, cause, message)

    assert wire.decode_stop_step(wire.encode_stop_step(step)) == step


def test_the_version_is_the_first_byte():
    assert wire.encode_jobs([(1, A_JOB)])[0] == wire.VERSION


@pytest.mark.parametrize("decode", DECODERS)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_frame_are_a_protocol_error(decode, garbage):
    with pytest.raises(ProtocolError):
        decode(b"\x02" + garbage)
    with pytest.raises(ProtocolError):
        decode(garbage[:1])


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | texts | data,
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(texts | ids, inner, max_size=3),
    max_leaves=30,
)


@pytest.mark.parametrize("decode", DECODERS)
@given(st.integers(0, 255), anything | st.lists(st.tuples(numbers, anything), max_size=3))
def test_a_body_of_other_data_is_a_value_or_a_protocol_error(decode, kind, body):
    for frame in (bytes((wire.VERSION, kind)), *wire._HEADS.values()):
        try:
            decode(frame + msgpack.packb(body))
        except ProtocolError:
            continue


@given(st.data())
def test_a_damaged_frame_is_a_value_or_a_protocol_error(draws):
    frame = bytearray(
        draws.draw(
            st.sampled_from(
                [
                    wire.encode_jobs([(1, A_JOB), (2, A_JOB._replace(producers={1: b"x"}))]),
                    wire.encode_outcomes([(1, AN_OUTCOME), (2, (AN_OUTCOME,))]),
                ]
            )
        )
    )
    for _ in range(draws.draw(st.integers(1, 3))):
        frame[draws.draw(st.integers(0, len(frame) - 1))] = draws.draw(st.integers(0, 255))
    cut = bytes(frame[: draws.draw(st.integers(0, len(frame)))])

    for decode in DECODERS:
        try:
            decode(cut)
        except ProtocolError:
            continue


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\xff\xff\xff\xff",  # an array of four billion
        b"\xdb\xff\xff\xff\xff",  # a text of four billion
        b"\x91" * 100_000,  # nested a hundred thousand deep
        b"\x81\x90\x01\xc0",  # trailing bytes
        b"\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff",  # a time that is none
        b"\xa1\xff",  # text that is not UTF-8
        b"\x81\x81\x01\x02\x03",  # a key that cannot be one
        b"",
    ],
)
def test_hostile_msgpack_is_a_protocol_error(body):
    for decode in DECODERS:
        for head in wire._HEADS.values():
            with pytest.raises(ProtocolError):
                decode(head + body)


@pytest.mark.parametrize(
    "outcome",
    [
        AN_OUTCOME._replace(state="paused"),
        AN_OUTCOME._replace(step_id="1"),
        AN_OUTCOME._replace(step_id=True),
        AN_OUTCOME._replace(output="text"),
        AN_OUTCOME._replace(events=(("plan", 1, "text", None, False),)),
        AN_OUTCOME[:9],
        (AN_OUTCOME, 3),
        ErrandOutcome("plan", "soon", b"", None),
        ErrandOutcome("plan", 0.1, "text", None),
        ErrandOutcome("plan", 0.1, b"", b""),
        ErrandOutcome("plan", 0.1, None, None),
    ],
)
def test_an_outcome_with_a_wrong_field_is_a_protocol_error(outcome):
    with pytest.raises(ProtocolError):
        wire.decode_outcomes(wire.encode_outcomes([(1, outcome)]))


@pytest.mark.parametrize(
    "job",
    [
        A_JOB._replace(producers={"1": b""}),
        A_JOB._replace(producers={1: "text"}),
        A_JOB._replace(input="text"),
        A_JOB[:9],
        FinalizeJob("plan", (("too", "short"),), {}),
        FinalizeJob("plan", (), {1: 2}),
        Errand("plan", "1", "hook", "m.A", b""),
        Errand("plan", 1, "hook", "m.A", "text"),
    ],
)
def test_a_job_with_a_wrong_field_is_a_protocol_error(job):
    with pytest.raises(ProtocolError):
        wire.decode_jobs(wire.encode_jobs([(1, job)]))


def test_what_cannot_be_packed_is_a_protocol_error():
    with pytest.raises(ProtocolError, match="cannot be sent"):
        wire.encode_jobs([(1, A_JOB._replace(input=object()))])


def test_what_is_too_large_is_a_protocol_error(monkeypatch):
    monkeypatch.setattr(wire, "MAX_FRAME", 100)

    with pytest.raises(ProtocolError, match="too large"):
        wire.encode_jobs([(1, A_JOB._replace(input=b"x" * 101))])
    with pytest.raises(ProtocolError):
        wire.kind_of(bytes((wire.VERSION, wire.JOBS)) + b"x" * 99)


@pytest.mark.parametrize(
    "changes",
    [
        {"plans": (b"x",)},
        {"plans": (NewSubPlan(1, True, b"").to_bytes(),)},
        {"orders": b"x"},
        {"plans": ("x",)},
    ],
)
def test_sub_plans_that_cannot_be_read_are_a_damaged_outcome(changes):
    frame = wire.encode_outcomes([(1, AN_OUTCOME._replace(**changes))])

    with pytest.raises(ProtocolError, match="outcome"):
        wire.decode_outcomes(frame)
