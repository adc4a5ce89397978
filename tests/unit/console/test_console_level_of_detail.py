"""What is shown of a flow at once, and how one gets to the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees import a_tree, chain, wide

from dynflow_mp.console.views.level_of_detail import (
    DEEPEST,
    Folded,
    ShownGroup,
    ShownStep,
    part_at,
    path_from,
    path_text,
    place_of,
    visible,
)
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.states import StepState


def shown_steps(shown):
    if isinstance(shown, ShownStep):
        return [shown.step_id]
    if isinstance(shown, Folded):
        return []
    return [step for child in shown.children for step in shown_steps(child)]


def folded(shown):
    if isinstance(shown, Folded):
        return [shown]
    return [one for child in getattr(shown, "children", ()) for one in folded(child)]


def test_a_small_flow_is_shown_whole():
    shown = visible(a_tree(wide(4, 100)))

    assert shown_steps(shown) == list(range(1, 401))
    assert not folded(shown)


def test_of_a_large_flow_groups_are_folded_with_their_counts():
    tree = a_tree(wide(20, 100), s1=StepState.SUCCESS, s101=StepState.ERROR)

    shown = visible(tree)

    first, second = shown.children[0], shown.children[1]
    assert (first.total, first.done, first.state) == (100, 1, "pending")
    assert isinstance(second, ShownGroup), "where something failed one looks in"
    assert len(folded(shown)) == 19


def test_a_folded_group_is_opened_by_its_path():
    tree = a_tree(wide(20, 100))

    shown = visible(tree, visible(tree).children[3].path)

    assert shown_steps(shown) == list(range(301, 401))


def test_of_a_very_wide_group_a_window_is_shown_and_what_lies_beside_it_counted():
    tree = a_tree(Concurrence(range(1, 10_001)), s9999=StepState.ERROR)

    shown = visible(tree, (), 5_000)

    before, *steps, after = shown.children
    assert [one.step_id for one in steps] == list(range(5_001, 5_101))
    assert (before.total, before.start) == (5_000, 4_900)
    assert (after.total, after.start, after.state) == (4_900, 5_100, "error")


def test_what_nests_deeply_is_folded_before_anything_recurses_too_far():
    shown = visible(a_tree(chain(5_000)))

    depth = 0
    while isinstance(shown, ShownGroup):
        shown = next(child for child in shown.children if not isinstance(child, ShownStep))
        depth += 1
    assert depth <= DEEPEST
    assert isinstance(shown, Folded)


def test_a_path_that_leads_nowhere_leads_as_far_as_it_can():
    tree = a_tree(wide(2, 2))

    node, path = part_at(tree, (1, 7, 3))

    assert (node, path) == (tree.children[1], (1,))


def test_a_step_is_found_where_it_is_shown():
    tree = a_tree(wide(20, 100))

    path, place = place_of(tree, 1234)

    assert part_at(tree, path)[0].children[place].step_id == 1234
    assert place_of(tree, 99_999) is None


@pytest.mark.parametrize("text", ["x", "1.-1", "1..2", "٣", "1" * 9, "1." * 20_000])
def test_a_text_that_is_no_path_is_none(text):
    assert path_from(text) == ()


@given(st.lists(st.integers(0, 9_999_999), max_size=30).map(tuple))
def test_a_path_is_the_same_after_its_way_through_a_url(path):
    assert path_from(path_text(path)) == path


flows = st.recursive(
    st.integers(1, 1_000_000),
    lambda inner: (
        st.builds(Sequence, st.lists(inner, max_size=9)) | st.builds(Concurrence, st.lists(inner, max_size=9))
    ),
    max_leaves=1_000,
)


@given(flows)
def test_every_step_is_shown_or_counted_once(flow):
    tree = a_tree(flow)

    shown = visible(tree)

    assert len(shown_steps(shown)) + sum(one.total for one in folded(shown)) == tree.total
