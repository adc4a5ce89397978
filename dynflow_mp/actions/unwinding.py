"""How an action leaves its phase from the middle: not as an ``Exception``, so that no ``except Exception`` stops it."""

from __future__ import annotations

from dynflow_mp.errors import StepError


class Suspended(BaseException):
    """The action left ``run`` by ``suspend()``; its step waits for an event."""


class Stopped(BaseException):
    """The engine stops the step, wherever its code is; ``cause`` as it is recorded."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class Failed(BaseException):
    """The action left its phase by ``error(…)``; ``error`` is what its step is charged with."""

    def __init__(self, what: str | BaseException) -> None:
        super().__init__(str(what))
        self.error = what if isinstance(what, BaseException) else StepError(what)

    def unwrapped(self) -> BaseException:
        """The error itself, with the trace of the place that called ``error``."""
        if self.error.__traceback__ is None:
            return self.error.with_traceback(self.__traceback__)
        return self.error
