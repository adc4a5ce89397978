"""Sub-plans wait in the database; their ids wait here."""

from dynflow_mp.executor.feeder import ENOUGH_JOBS, MOST_IDS, PAGE, Feeder, FreshWanted


def test_a_page_at_a_time_is_asked_for_in_the_order_they_came():
    feeder = Feeder()
    feeder.add(str(number) for number in range(PAGE + 2))

    first = feeder.take(0)
    assert first == FreshWanted(tuple(str(number) for number in range(PAGE)))
    assert feeder.take(0) is None  # the first is on its way

    feeder.arrived()
    assert feeder.take(0) == FreshWanted((str(PAGE), str(PAGE + 1)))
    feeder.arrived()
    assert feeder.take(0) is None


def test_nothing_is_asked_for_while_enough_waits_for_workers():
    feeder = Feeder()
    feeder.add(["a"])

    assert feeder.take(ENOUGH_JOBS) is None
    assert feeder.take(ENOUGH_JOBS - 1) == FreshWanted(("a",))


def test_what_is_too_much_is_left_to_others():
    feeder = Feeder()
    feeder.add("x" for _ in range(MOST_IDS + 5))
    feeder.add(["y"])

    taken = 0
    while (page := feeder.take(0)) is not None:
        taken += len(page.plan_ids)
        feeder.arrived()
    assert taken == MOST_IDS
