"""Where a page of a list lies in the whole, and the way to the pages beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Pages(NamedTuple):
    """``page`` counts from 0. ``previous`` and ``next`` are paths, None where there is no such page."""

    total: int
    page: int
    per_page: int
    previous: str | None = None
    next: str | None = None

    @property
    def first(self) -> int:
        """The number of its first item, from 1; 0 of a page without any."""
        return min(self.page * self.per_page + 1, self.total)

    @property
    def last(self) -> int:
        return min((self.page + 1) * self.per_page, self.total)

    @property
    def is_past_end(self) -> bool:
        """Whether there are items, but none on this page: some went since a link to it was made."""
        return self.page * self.per_page >= self.total > 0

    @property
    def has_previous(self) -> bool:
        return self.page > 0

    @property
    def has_next(self) -> bool:
        return (self.page + 1) * self.per_page < self.total


def one_page(items: Sequence[T], page: int, per_page: int) -> Sequence[T]:
    """The items of one page."""
    return items[page * per_page : (page + 1) * per_page]
