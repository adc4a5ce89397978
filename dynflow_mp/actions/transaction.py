"""A user's database around planning and finalizing: all of it is there, or nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from dynflow_mp.actions.middleware import Middleware


class TransactionMiddleware(Middleware):
    """Plans, and finalizes, inside a transaction of the user's own database. Derive from it and say which::

        class InShop(TransactionMiddleware):
            def transaction(self):
                return engine.begin()        # a context manager: commits at its end, rolls back when something is raised

    What makes planning or finalizing fail is raised through it, so that it rolls back. The engine's own rows are not
    part of it: they tell of the failure.
    """

    def transaction(self) -> AbstractContextManager[Any]:
        """The context manager to be inside of, made anew for each phase."""
        raise NotImplementedError(f"{type(self).__name__} has to say what its transaction() is")

    def plan_phase(self) -> Any:
        with self.transaction():
            return self.pass_on()

    def finalize_phase(self) -> Any:
        with self.transaction():
            return self.pass_on()
