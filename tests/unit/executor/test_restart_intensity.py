"""When an executor is degraded, and when it is so no more."""

from dynflow_mp.executor.intensity import Intensity


class Pools:
    """Two queues, and how many workers of each live."""

    def __init__(self, most_deaths=20):
        self.alive = {"default": 2, "slow": 30}
        self.intensity = Intensity(self.alive, most_deaths, self.alive.__getitem__)

    def look(self, now):
        self.intensity.look(now)
        return self.intensity.degraded


def test_g17_the_sixth_start_failure_in_a_minute_is_too_often():
    pools = Pools()

    told = [pools.intensity.start_failed("default", "no module", float(n)) for n in range(6)]

    assert told == [False] * 5 + [True]
    assert pools.intensity.degraded == ("6 workers of queue 'default' could not start within 60 s: no module")


def test_start_failures_far_apart_are_never_too_often():
    pools = Pools()

    assert not any(pools.intensity.start_failed("default", "x", n * 15.0) for n in range(50))
    assert pools.intensity.degraded is None


def test_g17_as_many_deaths_as_are_allowed_in_a_minute_are_too_many():
    pools = Pools(most_deaths=3)
    for number in range(9):  # two workers may have five each
        pools.intensity.died("default", "signal 9", number * 0.1)
    assert pools.intensity.degraded is None

    pools.intensity.died("default", "signal 9", 1.0)

    assert "10 workers of queue 'default' died within 60 s, the last: signal 9" in pools.intensity.degraded


def test_a_large_pool_may_lose_more():
    pools = Pools()

    for number in range(5 * 30 - 1):
        pools.intensity.died("slow", "x", number * 0.1)

    assert pools.intensity.degraded is None


def test_g17_it_ends_when_a_worker_lives_and_none_has_failed_for_a_while():
    pools = Pools()
    for _ in range(6):
        pools.intensity.start_failed("default", "x", 100.0)

    pools.alive["default"] = 0
    assert pools.look(1000.0) is not None
    pools.alive["default"] = 1
    assert pools.look(104.9) is not None
    assert pools.look(105.0) is None
    assert pools.intensity.start_failed("default", "x", 106.0) is False
