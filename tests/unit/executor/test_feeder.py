"""Sub-plans wait in the database; their ids wait here."""

from dynflow_mp.executor.feeder import MOST_IDS, Feeder, FreshWanted

PAGE = 128


def test_a_page_at_a_time_is_asked_for_in_the_order_they_came():
    feeder = Feeder()
    feeder.add(str(number) for number in range(PAGE + 2))

    first = feeder.take(0, PAGE)
    assert first == FreshWanted(tuple(str(number) for number in range(PAGE)))
    assert feeder.take(0, PAGE) is None  # the first is on its way

    feeder.arrived()
    assert feeder.take(0, PAGE) == FreshWanted((str(PAGE), str(PAGE + 1)))
    feeder.arrived()
    assert feeder.take(0, PAGE) is None


def test_nothing_is_asked_for_while_enough_waits_for_workers():
    feeder = Feeder()
    feeder.add(["a"])

    assert feeder.take(PAGE, PAGE) is None
    assert feeder.take(PAGE - 1, PAGE) == FreshWanted(("a",))


def test_what_is_too_much_is_left_to_others():
    feeder = Feeder()
    feeder.add("x" for _ in range(MOST_IDS + 5))
    feeder.add(["y"])

    taken = 0
    while (page := feeder.take(0, PAGE)) is not None:
        taken += len(page.plan_ids)
        feeder.arrived()
    assert taken == MOST_IDS


def test_what_has_waited_long_elsewhere_is_taken_only_when_there_is_nothing_of_our_own():
    feeder = Feeder()
    feeder.add(["own"])

    feeder.offered(["another's"])
    assert feeder.take(0, PAGE) == FreshWanted(("own",))
    feeder.arrived()
    assert not feeder

    feeder.offered(["another's"])
    assert feeder.take(0, PAGE) == FreshWanted(("another's",))


def test_the_page_is_as_large_as_what_is_needed():
    feeder = Feeder()
    feeder.add("abcdef")

    assert feeder.take(1, 2) == FreshWanted(("a", "b"))
