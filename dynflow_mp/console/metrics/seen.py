"""What one scrape is made of."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.model.workers_report import WorkersReport
from dynflow_mp.persistence.figures import Figures


class Seen(NamedTuple):
    """Nothing of it is there where the database does not answer."""

    figures: Figures | None
    worlds: list[WorldRecord]
    locks: Counter[str]
    reports: dict[str, WorkersReport | None]

    @property
    def answered(self) -> dict[str, WorkersReport]:
        """The reports that came in time."""
        return {world_id: report for world_id, report in self.reports.items() if report is not None}
