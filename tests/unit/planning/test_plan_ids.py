"""Plan ids sort by time and never repeat."""

from __future__ import annotations

from random import Random
from uuid import UUID

import pytest

from dynflow_mp.planning import ids
from dynflow_mp.planning.ids import new_plan_id

NOW = 1_800_000_000_000_000


@pytest.fixture(autouse=True)
def _no_ids_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worlds of other tests may have made ids in a year to come."""
    monkeypatch.setattr(ids, "_last", 0)


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = UUID(new_plan_id(NOW, Random(1).randbytes))

    assert (made.version, made.variant) == (7, "specified in RFC 4122")


def test_ids_grow_with_time() -> None:
    random = Random(1)

    made = [new_plan_id(NOW + 100_000_000 + moment, random.randbytes) for moment in range(0, 5_000, 7)]

    assert made == sorted(made)
    assert int(made[0].replace("-", "")[:12], 16) == (NOW + 100_000_000) // 1000


def test_ids_grow_while_the_clock_stands_and_when_it_goes_back() -> None:
    random = Random(1)

    made = [new_plan_id(NOW + 20_000_000, random.randbytes) for _ in range(1_000)]
    made.append(new_plan_id(NOW, random.randbytes))

    assert made == sorted(set(made))


def test_ids_grow_even_without_chance() -> None:
    made = [new_plan_id(NOW + 30_000_000, bytes) for _ in range(100)]

    assert made == sorted(set(made))
