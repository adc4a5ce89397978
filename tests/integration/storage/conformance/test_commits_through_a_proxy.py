"""G5: a network that loses the answer of a COMMIT, or the COMMIT: each transaction is absent or applied once.

The same as in ``test_failing_connections``, with a real connection cut at a real server.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import databases
import pytest
from plan_lives import LIVES, stored
from proxy_between import Proxy, only, proxy_to
from stored_plans import PLAN, WORLD, plan_id

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import Store

Life = Callable[[str, Store, Coordinator], None]


@pytest.fixture(params=databases.KINDS[1:])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Servers only: nobody loses SQLite's answers."""
    kind: str = request.param
    databases.require(kind)
    return kind


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with proxy_to(url) as proxy:
        yield proxy


@pytest.fixture
def far(proxy: Proxy, url: str, coordinator: Coordinator) -> Iterator[tuple[Store, Coordinator]]:
    """Store and coordinator of a registered world on the other side of the proxy."""
    database = Database(proxy.url(url))
    yield Store(database), Coordinator(database, WORLD)
    database.close()


def lived(
    life: Life, number: int, far: tuple[Store, Coordinator], database: Database
) -> dict[str, list[Any]]:
    id_ = plan_id(number)
    life(id_, *far)
    return stored(database, id_)


@pytest.mark.parametrize("life", LIVES.values(), ids=list(LIVES))
def test_g5_a_commit_whose_answer_the_network_lost_is_neither_lost_nor_done_twice(
    life: Life, far: tuple[Store, Coordinator], proxy: Proxy, database: Database
):
    plain = lived(life, 1, far, database)
    proxy.commits = 0  # that there is a connection has cost some, too
    assert lived(life, 2, far, database) == plain
    commits = proxy.commits
    assert commits > 3

    for at in range(1, commits + 1):
        proxy.commits = proxy.hit = 0
        proxy.lose_answers(only(at))
        assert lived(life, 100 + at, far, database) == plain, f"the answer of commit {at}"
        assert proxy.hit == 1
    for at in range(1, commits + 1, 3):
        proxy.commits = proxy.hit = 0
        proxy.lose_answers(only(-1))
        proxy.lose_requests(only(at))
        assert lived(life, 200 + at, far, database) == plain, f"commit {at} itself"
        assert proxy.hit == 1


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("life", LIVES.values(), ids=list(LIVES))
def test_g5_a_thousand_lost_answers(
    life: Life, far: tuple[Store, Coordinator], proxy: Proxy, database: Database
):
    """Answers and requests in any mixture, also of what is tried again."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    plain = lived(life, 1, far, database)
    proxy.lose_answers(lambda number: chance.random() < 0.25)
    proxy.lose_requests(lambda number: chance.random() < 0.1)

    number = 1
    while proxy.hit < 100:
        number += 1
        assert lived(life, number, far, database) == plain, f"seed {seed}, life {number}"
    print(f"{proxy.hit} of {proxy.commits} commits lost or unanswered, seed {seed}")


def test_g5_what_is_tried_again_may_be_lost_again(
    far: tuple[Store, Coordinator], proxy: Proxy, database: Database
):
    plain = lived(LIVES["in turns"], 1, far, database)

    proxy.commits = 0
    proxy.lose_answers(lambda number: number in (2, 3, 6, 7, 8))
    assert lived(LIVES["in turns"], 2, far, database) == plain
    assert proxy.hit == 5


def test_g25_a_connection_that_is_reset_or_late_is_made_again(
    far: tuple[Store, Coordinator], proxy: Proxy, database: Database
):
    plain = lived(LIVES["by hand"], 1, far, database)

    proxy.reset()
    proxy.heal()
    assert lived(LIVES["by hand"], 2, far, database) == plain
    proxy.delay_s = 0.02
    assert lived(LIVES["by hand"], 3, far, database) == plain
    assert far[0].load_plan(PLAN).id == PLAN
