"""How often an address may be wrong about who it is."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from threading import Lock

from dynflow_mp.clock import monotonic

MOST = 10
WITHIN_S = 60.0
_MOST_ADDRESSES = 10_000


class Attempts:
    """Counts failures of each address within the last minute. Any thread may call it; it owns its table.

    Of IPv6 it counts networks, since whoever has one address of a /64 has them all.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = Lock()

    def wait_s(self, address: str) -> float:
        """For how long this address is not heard; 0 if it is."""
        with self._lock:
            times = self._recent(_counted(address))
            return 0.0 if len(times) < MOST else WITHIN_S - (monotonic() - times[0])

    def failed(self, address: str) -> None:
        """It was wrong once more."""
        counted = _counted(address)
        with self._lock:
            times = self._recent(counted)
            times.append(monotonic())
            self._failures[counted] = times
            self._failures.move_to_end(counted)
            while len(self._failures) > _MOST_ADDRESSES:
                self._failures.popitem(last=False)

    def _recent(self, counted: str) -> deque[float]:
        times = self._failures.get(counted, deque())
        while times and monotonic() - times[0] > WITHIN_S:
            times.popleft()
        return times


def _counted(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
