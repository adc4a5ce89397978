"""The flow cursor: Dynflow's rule, at a cost that does not grow with the plan."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynflow_mp.director.cursor import FlowCursor, UnexpectedStep
from dynflow_mp.model.flows import Concurrence, Sequence, step_ids

TWO_ISSUES = Concurrence([Sequence([4, 7, 9]), Sequence([13, 16, 18])])


def a_cursor(flow, passed=()):
    return FlowCursor(flow, max(step_ids(flow), default=0), set(passed).__contains__)


def test_b090_start_yields_the_first_step_of_each_branch():
    assert set(a_cursor(TWO_ISSUES).start()) == {4, 13}


def test_b091_finishing_each_step_yields_the_one_behind_it():
    cursor = a_cursor(TWO_ISSUES)
    cursor.start()

    assert cursor.finish(4, True) == [7]
    assert cursor.finish(7, True) == [9]
    assert cursor.finish(9, True) == []
    assert not cursor.done


def test_b093_a_failed_step_yields_nothing():
    """Worlds 89."""
    cursor = a_cursor(TWO_ISSUES)
    cursor.start()

    assert cursor.finish(4, False) == []


def test_b094_the_flow_is_done_when_both_branches_failed():
    cursor = a_cursor(TWO_ISSUES)
    cursor.start()

    cursor.finish(4, False)
    assert not cursor.done
    cursor.finish(13, False)

    assert cursor.done
    assert cursor.failed


def test_worlds_88_each_branch_goes_on_by_itself_and_the_end_is_reached_once():
    cursor = a_cursor(TWO_ISSUES)
    assert cursor.start() == [4, 13]

    ready = [cursor.finish(step_id, True) for step_id in (4, 13, 7, 16, 9)]

    assert ready == [[7], [16], [9], [18], []]
    assert not cursor.done
    assert cursor.finish(18, True) == []
    assert (cursor.done, cursor.failed) == (True, False)


def test_siblings_of_a_failed_step_go_on_to_the_end_of_their_own_sequences():
    cursor = a_cursor(Sequence([TWO_ISSUES, 20]))
    cursor.start()
    cursor.finish(4, False)

    assert cursor.finish(13, True) == [16]
    assert cursor.finish(16, True) == [18]
    assert cursor.finish(18, True) == []
    assert cursor.done


def test_a_step_that_was_not_handed_out_is_refused():
    cursor = a_cursor(TWO_ISSUES)
    cursor.start()

    with pytest.raises(UnexpectedStep):
        cursor.finish(7, True)
    cursor.finish(4, True)
    with pytest.raises(UnexpectedStep):
        cursor.finish(4, True)


def test_steps_that_ended_well_before_are_passed_over():
    cursor = a_cursor(TWO_ISSUES, passed={4, 7, 13, 16, 18})

    assert cursor.start() == [9]
    assert cursor.finish(9, True) == []
    assert cursor.done
    assert not cursor.failed


def test_a_flow_whose_steps_all_ended_well_is_done_at_once():
    cursor = a_cursor(TWO_ISSUES, passed={4, 7, 9, 13, 16, 18})

    assert cursor.start() == []
    assert cursor.done


@pytest.mark.parametrize("flow", [Concurrence(), Sequence(), Sequence([Concurrence(), Sequence()])])
def test_an_empty_flow_is_done_at_once(flow):
    cursor = a_cursor(flow)

    assert cursor.start() == []
    assert cursor.done
    assert not cursor.failed


def test_a_single_step_is_a_flow():
    cursor = a_cursor(3)

    assert cursor.start() == [3]
    cursor.finish(3, True)
    assert cursor.done


def test_a_long_chain_of_passed_steps_does_not_overflow_the_stack():
    chain = Sequence(range(1, 200_001))

    cursor = a_cursor(chain, passed=range(1, 200_000))

    assert cursor.start() == [200_000]


# -- against a plain reading of the rule -----------------------------------------------------------


class Literal:
    """Dynflow's sequence cursor as its reference words it: a to-do set per sequence, recomputed."""

    def __init__(self, flow):
        self.root = self._sequence(flow if isinstance(flow, Sequence) else Sequence([flow]), None)

    def _sequence(self, flow, parent):
        return {"flows": list(flow), "index": -1, "todo": [], "good": True, "parent": parent}

    def start(self):
        return self._advance(self.root)

    def _advance(self, cursor):
        while not cursor["todo"]:
            if not cursor["good"] or cursor["index"] + 1 >= len(cursor["flows"]):
                cursor["over"] = True
                parent = cursor["parent"]
                if parent is None:
                    return []
                parent["todo"] = [item for item in parent["todo"] if item is not cursor]
                parent["good"] &= cursor["good"]
                return [] if parent["todo"] else self._advance(parent)
            cursor["index"] += 1
            self._add(cursor, cursor["flows"][cursor["index"]])
        ready = []
        for item in list(cursor["todo"]):
            ready += [item] if isinstance(item, int) else self._advance(item)
        return ready

    def _add(self, cursor, flow):
        if isinstance(flow, int):
            cursor["todo"].append(flow)
        elif isinstance(flow, Concurrence):
            for below in flow:
                self._add(cursor, below)
        else:
            cursor["todo"].append(self._sequence(flow, cursor))

    def finish(self, step, good):
        cursor = self._holding(self.root, step)
        cursor["todo"].remove(step)
        cursor["good"] &= good
        return [] if cursor["todo"] else self._advance(cursor)

    def _holding(self, cursor, step):
        if step in [item for item in cursor["todo"] if isinstance(item, int)]:
            return cursor
        for item in cursor["todo"]:
            if not isinstance(item, int):
                found = self._holding(item, step)
                if found is not None:
                    return found
        return None

    @property
    def done(self):
        return not self.root["todo"]


def numbered(shape):
    """Give the leaves of a shape the ids 1, 2, 3 …"""
    count = iter(range(1, 10_000))

    def number(node):
        return next(count) if node == 0 else type(node)(number(child) for child in node)

    return number(shape)


shapes = st.recursive(
    st.just(0),
    lambda below: st.lists(below, max_size=4).map(Sequence) | st.lists(below, max_size=4).map(Concurrence),
    max_leaves=25,
).map(numbered)


@settings(max_examples=300)
@given(shapes, st.data())
def test_the_cursor_does_what_the_rule_says(flow, data):
    cursor, literal = a_cursor(flow), Literal(flow)
    out = set(cursor.start())
    assert out == set(literal.start())

    while out:
        step = data.draw(st.sampled_from(sorted(out)))
        good = data.draw(st.booleans())
        out.remove(step)
        ready = cursor.finish(step, good)
        assert set(ready) == set(literal.finish(step, good))
        out |= set(ready)

    assert cursor.done
    assert literal.done


@settings(max_examples=200)
@given(shapes, st.data())
def test_a_flow_taken_up_again_goes_on_where_it_was(flow, data):
    """Resume: what ended well is passed over, what failed and all behind it is handed out again."""
    cursor = a_cursor(flow)
    passed, out = set(), set(cursor.start())
    while out:
        step = data.draw(st.sampled_from(sorted(out)))
        out.remove(step)
        good = data.draw(st.integers(0, 3)) > 0
        if good:
            passed.add(step)
        out |= set(cursor.finish(step, good))

    again = a_cursor(flow, passed)
    ran, out = set(), set(again.start())
    while out:
        step = out.pop()
        ran.add(step)
        out |= set(again.finish(step, True))

    assert ran == set(step_ids(flow)) - passed
    assert again.done
    assert not again.failed
