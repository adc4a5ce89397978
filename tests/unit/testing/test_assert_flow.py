"""Flows compared with texts."""

from __future__ import annotations

import pytest

from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.testing import assert_flow

FLOW = Sequence([3, Concurrence([5, Sequence([7, 8])]), 9])


def test_step_ids_are_compared():
    assert_flow(FLOW, "sequence(3, concurrence(5, sequence(7, 8)), 9)")
    assert_flow(FLOW, str(FLOW))
    assert_flow(4, "4")
    assert_flow(Concurrence([]), "concurrence()")


def test_white_space_does_not_count():
    assert_flow(
        FLOW,
        """
        sequence(3,
                 concurrence(5, sequence(7,8)),
                 9)
        """,
    )


def test_another_order_is_another_flow_and_the_difference_is_shown():
    with pytest.raises(AssertionError) as caught:
        assert_flow(FLOW, "sequence(3, concurrence(5, 7, 8), 9)")

    said = str(caught.value)
    assert "expected: sequence(3, concurrence(5, 7, 8), 9)" in said
    assert "found:    sequence(3, concurrence(5, sequence(7, 8)), 9)" in said
    assert "+     sequence\n" in said


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a flow"),
        ("sequence", "brackets"),
        ("sequence(3", "missing"),
        ("sequence(3,", "missing"),
        ("sequence(3 4)", "comma"),
        ("sequence(3))", "goes on"),
        ("sequence(,)", "should stand"),
        ("a-b", "not a flow"),
    ],
)
def test_what_is_no_flow_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        assert_flow(FLOW, text)


def test_what_has_no_flow_is_refused():
    with pytest.raises(TypeError, match="has no flow"):
        assert_flow(object(), "3")
    with pytest.raises(ValueError, match="run or finalize"):
        assert_flow(FLOW, "3", phase="plan")
