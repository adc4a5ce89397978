"""Flows: texts, stored form, traversal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp.errors import DamagedData
from dynflow_mp.model.flows import Concurrence, Sequence, flow_from_tokens, flow_tokens, step_ids

flows = st.recursive(
    st.integers(1, 1000),
    lambda below: st.lists(below, max_size=4).map(Sequence) | st.lists(below, max_size=4).map(Concurrence),
    max_leaves=30,
)


def test_a_flow_prints_as_people_read_it():
    assert str(Sequence([Concurrence([3, 5, 7]), 9])) == "sequence(concurrence(3, 5, 7), 9)"
    assert str(Concurrence()) == "concurrence()"
    assert str(Sequence()) == "sequence()"
    assert str(Concurrence([Sequence([1, Concurrence()]), 2])) == "concurrence(sequence(1, concurrence()), 2)"


def test_a_sequence_is_not_a_concurrence_of_the_same_steps():
    assert Sequence([1, 2]) != Concurrence([1, 2])
    assert Sequence([1, 2]) == Sequence([1, 2])
    assert len({Sequence([1]), Concurrence([1]), Sequence([1])}) == 2


@given(flows)
def test_a_flow_survives_being_stored(flow):
    assert flow_from_tokens(flow_tokens(flow)) == flow


def test_a_very_deep_flow_survives_being_stored():
    flow = 1
    for _ in range(100_000):
        flow = Sequence([flow])

    tokens = flow_tokens(flow)

    assert list(step_ids(flow)) == [1]
    assert str(flow).count("sequence(") == 100_000
    assert list(step_ids(flow_from_tokens(tokens))) == [1]
    while isinstance(flow, Sequence):  # taken apart by hand: its own destructor would recurse
        (flow,) = flow


def test_step_ids_come_in_order():
    flow = Sequence([Concurrence([4, Sequence([7, 9])]), 2])

    assert flow.step_ids == [4, 7, 9, 2]


@pytest.mark.parametrize("tokens", [[], ["S", 1], [None], [1, 2], ["X", None], [1.5], ["S", None, None]])
def test_damaged_tokens_are_refused(tokens):
    with pytest.raises(DamagedData):
        flow_from_tokens(tokens)
