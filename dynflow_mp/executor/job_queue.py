"""Jobs waiting for a worker of one queue: fair between plans, in order within a plan.

The rotation is Dynflow 0.8.0's (dynflow-worlds.md §10.4, test 91): a pointer over the list of plans
that wraps past the end; removing a plan does not move the pointer.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class JobQueue(Generic[T]):
    """A round robin of plans, each with its jobs. Owned by the pool."""

    __slots__ = ("_jobs", "_next", "_plans", "_size")

    def __init__(self) -> None:
        self._jobs: dict[str, deque[T]] = {}
        self._plans: list[str] = []
        self._next = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def size_of(self, plan_id: str) -> int:
        """How many jobs of this plan wait."""
        return len(self._jobs.get(plan_id, ()))

    def add(self, plan_id: str, job: T) -> None:
        """Queue a job behind its plan's others."""
        self._of(plan_id).append(job)
        self._size += 1

    def put_back(self, plan_id: str, jobs: list[T]) -> None:
        """Queue jobs that were out already before the plan's others, in their old order."""
        self._of(plan_id).extendleft(reversed(jobs))
        self._size += len(jobs)

    def peek(self) -> T | None:
        """The job :meth:`pop` would give, None when empty."""
        if not self._size:
            return None
        return self._jobs[self._plans[self._position()]][0]

    def pop(self) -> T | None:
        """The next job, None when empty."""
        if not self._size:
            return None
        position = self._position()
        plan_id = self._plans[position]
        jobs = self._jobs[plan_id]
        job = jobs.popleft()
        self._next = position + 1
        self._size -= 1
        if not jobs:
            del self._plans[position], self._jobs[plan_id]
        return job

    def withdraw(self, plan_id: str) -> list[T]:
        """Take out all jobs of a plan."""
        jobs = self._jobs.pop(plan_id, None)
        if jobs is None:
            return []
        self._plans.remove(plan_id)
        self._size -= len(jobs)
        return list(jobs)

    def _of(self, plan_id: str) -> deque[T]:
        jobs = self._jobs.get(plan_id)
        if jobs is None:
            jobs = self._jobs[plan_id] = deque()
            self._plans.append(plan_id)
        return jobs

    def _position(self) -> int:
        return 0 if self._next >= len(self._plans) else self._next
