"""What executors tell about themselves, asked all at once: one that does not answer holds nobody up for long."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import Any

from dynflow_mp.errors import DynflowError
from dynflow_mp.model.workers_report import WorkersReport


def reports_of(world: Any, world_ids: Iterable[str], timeout_s: float) -> dict[str, WorkersReport | None]:
    """The reports of these executors, by id; None for one that has not answered in time."""
    return _asked(world_ids, lambda world_id: world.workers_report(world_id, timeout=timeout_s), timeout_s)


def _asked(
    world_ids: Iterable[str], ask: Callable[[str], Future[WorkersReport]], timeout_s: float
) -> dict[str, WorkersReport | None]:
    found: dict[str, WorkersReport | None] = {}
    asked: dict[str, Future[WorkersReport]] = {}
    for world_id in world_ids:
        found[world_id] = None
        try:
            asked[world_id] = ask(world_id)
        except DynflowError:
            continue
    wait(asked.values(), timeout_s)
    for world_id, future in asked.items():
        if future.done() and not future.cancelled() and future.exception(0) is None:
            found[world_id] = future.result(0)
    return found
