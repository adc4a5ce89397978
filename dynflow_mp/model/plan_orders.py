"""What a list of plans may be ordered by."""

from __future__ import annotations

# Here, and not where they are asked for, since a command that only tells of them loads no database library.
ORDERS = ("started_at", "created_at", "ended_at", "label", "state", "result")
"""The first is meant where nothing is said."""
