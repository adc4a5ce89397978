"""A step's error as it was stored, and as an exception again."""

from __future__ import annotations

import builtins
import sys
from typing import Any, NamedTuple

from dynflow_mp.errors import UnknownError
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.reading.death_certificate import DeathCertificate


class RecordedError(NamedTuple):
    """Why a step failed. ``exception_class`` is a name, ``cause`` what ended the step if not its own code.

    ``certificate`` tells all that is known of that end: there is one where a worker died, was killed for a limit, or
    the engine ended the step.
    """

    exception_class: str
    message: str
    backtrace: tuple[str, ...] = ()
    cause: str | None = None
    certificate: DeathCertificate | None = None

    @classmethod
    def from_bytes(cls, data: bytes) -> RecordedError:
        """The error that a step's row holds."""
        name, message, backtrace, cause, certificate = ErrorRecord.from_bytes(data)
        shown = None if certificate is None else DeathCertificate.of(certificate)
        return cls(name, message, backtrace, cause, shown)

    @property
    def exception(self) -> BaseException:
        """An exception of the same class and message, without other attributes and without its trace.

        What a certificate says is a note of it, and so printed with it. Where the class is not loaded here a
        stand-in: an :class:`UnknownError` that carries its name.
        """
        error = self._bare_exception()
        if self.certificate is not None:
            error.add_note(str(self.certificate))
        return error

    def _bare_exception(self) -> BaseException:
        kind = _loaded_class(self.exception_class) or _stand_in(self.exception_class)
        try:
            error = kind.__new__(kind, self.message)
            error.args = (self.message,)
        except Exception:  # a class that cannot be made from a message is as good as unknown
            return _stand_in(self.exception_class)(self.message)
        return error

    def __str__(self) -> str:
        return f"{self.exception_class}: {self.message}"


def _loaded_class(name: str) -> type[BaseException] | None:
    """The exception class of this name, if its module is loaded; nothing is imported for it."""
    found: Any = vars(builtins).get(name)
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = sys.modules.get(".".join(parts[:length]))
        if module is not None:
            found = _attribute(module, parts[length:])
            break
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _attribute(owner: Any, names: list[str]) -> Any:
    """Not by ``getattr``: a module may answer that by importing something, a class by running something."""
    for name in names:
        owner = getattr(owner, "__dict__", {}).get(name)
    return owner


def _stand_in(name: str) -> type[UnknownError]:
    title = f"{UnknownError.__name__}[{name}]".replace("\0", "\ufffd")  # which no class may be called

    def describe(self: UnknownError) -> str:
        return f"{title}: {self}"

    facts = {"name": name, "__repr__": describe, "__module__": UnknownError.__module__, "__qualname__": title}
    return type(title, (UnknownError,), facts)
