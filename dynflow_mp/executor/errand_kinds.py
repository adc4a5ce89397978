"""What a worker does for each kind of errand; who adds a kind enters it here."""

from __future__ import annotations

from collections.abc import Mapping

from dynflow_mp.actions.errands import Kind
from dynflow_mp.actions.rescue import tell_strategy
from dynflow_mp.model.policies import RESCUE

KINDS: Mapping[str, Kind] = {RESCUE: tell_strategy}
