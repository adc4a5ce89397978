"""What a worker does for each kind of errand; who adds a kind enters it here."""

from __future__ import annotations

from collections.abc import Mapping

from dynflow_mp.actions.errands import Kind

KINDS: Mapping[str, Kind] = {}
