"""Boxes stand where they belong, and say what they should."""

from hypothesis import given
from hypothesis import strategies as st
from trees import a_tree, wide

from dynflow_mp.console.views.flow_picture import WIDEST, StepFacts, picture
from dynflow_mp.console.views.level_of_detail import visible
from dynflow_mp.console.views.tree_lines import tree_lines
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.states import StepState


def facts(step_id):
    return StepFacts("Fetch", "running" if step_id == 1 else "pending", 0.5 if step_id == 1 else 0.0, "")


def drawn(flow, **states):
    return picture(visible(a_tree(flow, **states)), facts)


def box_of(found, step_id):
    return next(box for box in found.boxes if box.step_id == step_id)


def test_what_runs_one_after_the_other_stands_below_each_other_with_an_arrow():
    found = drawn(Sequence((1, 2)))

    first, second = box_of(found, 1), box_of(found, 2)
    assert (second.x, second.y > first.y + first.height) == (first.x, True)
    (arrow,) = found.arrows
    assert first.y + first.height <= arrow.top < arrow.bottom <= second.y
    assert not found.frames


def test_what_runs_at_the_same_time_stands_side_by_side_in_a_frame():
    found = drawn(Concurrence((1, 2)))

    first, second = box_of(found, 1), box_of(found, 2)
    assert (first.y, second.x > first.x + first.width) == (second.y, True)
    assert [frame.caption for frame in found.frames] == ["at the same time"]
    assert not found.arrows


def test_a_group_of_one_is_drawn_as_that_one():
    found = drawn(Concurrence((Sequence((1,)),)))

    assert not found.frames
    assert [box.step_id for box in found.boxes] == [1]


def test_a_box_tells_state_and_progress_in_words_shape_and_length():
    found = picture(visible(a_tree(Sequence((1, 2)))), facts, marked=2)

    running, marked = box_of(found, 1), box_of(found, 2)
    assert running.words == "step 1 Fetch: running"
    assert running.shape == "running"
    assert running.done_width == (running.width - 4) // 2
    assert marked.marked
    assert not marked.done_width


def test_a_long_name_is_cut_and_had_in_full():
    found = picture(visible(a_tree(7)), lambda _: StepFacts("A" * 90, "skipping", 0, "3 s"))

    (box,) = found.boxes
    assert len(box.title) <= 21
    assert "A" * 90 in box.words
    assert box.shape == "skipped"


def test_a_folded_group_leads_to_what_is_in_it():
    found = drawn(wide(20, 100), s101=StepState.RUNNING)

    box = next(box for box in found.boxes if box.step_id is None)
    assert found.folded
    assert box.title == "100 steps"
    assert box.params == (("at", "0"),)


flows = st.recursive(
    st.integers(1, 1_000_000),
    lambda inner: (
        st.builds(Sequence, st.lists(inner, max_size=6)) | st.builds(Concurrence, st.lists(inner, max_size=6))
    ),
    max_leaves=60,
)


@given(flows)
def test_no_box_lies_on_another_or_outside(flow):
    found = drawn(flow)

    for place, one in enumerate(found.boxes):
        assert one.x >= 0
        assert one.x + one.width <= found.width
        assert one.y >= 0
        assert one.y + one.height <= found.height
        for other in found.boxes[:place]:
            beside = one.x >= other.x + other.width or other.x >= one.x + one.width
            above = one.y >= other.y + other.height or other.y >= one.y + one.height
            assert beside or above


def test_many_side_by_side_begin_new_rows():
    found = drawn(Concurrence(range(1, 101)))

    assert found.width <= WIDEST + 20
    assert len({box.y for box in found.boxes}) == 25


@given(flows)
def test_the_same_is_said_in_words(flow):
    lines = tree_lines(visible(a_tree(flow)), facts)

    assert [line.step_id for line in lines if line.kind == "step"] == [
        box.step_id for box in drawn(flow).boxes if box.step_id is not None
    ]
    kinds = [line.kind for line in lines]
    assert kinds.count("open") == kinds.count("close")
