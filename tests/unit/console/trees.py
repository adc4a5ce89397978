"""Trees of flows with counts, written down as one reads them."""

from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.reading.flow_tree import tree_of


def a_tree(flow, **states):
    """The tree of a flow; states by step, as in ``s3="error"``."""
    return tree_of(flow, {int(name[1:]): state for name, state in states.items()})


def wide(groups, size):
    """Groups of steps at the same time, one group after the other."""
    steps = iter(range(1, groups * size + 1))
    return Sequence(Concurrence(next(steps) for _ in range(size)) for _ in range(groups))


def chain(depth):
    """Groups within groups, two steps beside each."""
    flow = 0
    for number in range(1, depth):
        flow = Sequence((number, Concurrence((flow, depth + number))))
    return flow
