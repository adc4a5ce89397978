"""Until when steps may run without others' leave."""

from math import inf

import pytest

from dynflow_mp.clock import own_time
from dynflow_mp.executor.lease import Lease


class Hands:
    def __init__(self):
        self.at = 1000.0

    def now_us(self):
        raise AssertionError("a lease does not ask for the time of day")

    def monotonic(self):
        return self.at


@pytest.fixture
def hands():
    hands = Hands()
    token = own_time.set(hands)
    yield hands
    own_time.reset(token)


def test_g10_steps_may_run_until_some_time_before_others_may_begin_them(hands):
    lease = Lease(60.0)

    lease.renewed(1000.0)

    assert lease.until == 1055.0
    hands.at = 1054.9
    assert lease.holds
    hands.at = 1055.0
    assert not lease.holds


def test_g10_a_renewal_counts_from_its_beginning_however_long_it_took(hands):
    lease = Lease(60.0)
    hands.at = 1040.0

    lease.renewed(1000.0)

    assert lease.until == 1055.0


def test_g26_a_lease_that_ran_out_holds_again_once_it_is_renewed(hands):
    lease = Lease(60.0)
    lease.renewed(1000.0)
    hands.at = 2000.0
    assert not lease.holds

    lease.renewed(2000.0)

    assert lease.holds


@pytest.mark.parametrize("lease", [Lease(60.0), Lease(None)])
def test_before_the_first_renewal_and_where_nobody_cares_it_holds(hands, lease):
    assert lease.holds
    assert lease.until == inf


def test_g26_a_world_that_has_its_steps_finish_does_not_mind_the_time(hands):
    lease = Lease(None)
    lease.renewed(1000.0)
    hands.at = 5000.0

    assert lease.holds
