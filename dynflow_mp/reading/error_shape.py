"""A step's error as programs are told it, by the command line and by the console's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynflow_mp.reading.data_shape import Shape, time_shape

if TYPE_CHECKING:
    from dynflow_mp.reading.death_certificate import DeathCertificate
    from dynflow_mp.reading.recorded_error import RecordedError


def brief_error_shape(error: RecordedError | None) -> Shape | None:
    """Class, message and cause of an error that may be shown."""
    return None if error is None else _brief(error)


def error_shape(error: RecordedError | None) -> Shape | None:
    """All of an error that may be shown; ``certificate`` tells of an end that did not come from the step's own code."""
    if error is None:
        return None
    died = error.certificate
    return {
        **_brief(error),
        "backtrace": list(error.backtrace),
        "certificate": None if died is None else _certificate_shape(died),
    }


def _brief(error: RecordedError) -> Shape:
    return {"class": error.exception_class, "message": error.message, "cause": error.cause}


def _certificate_shape(died: DeathCertificate) -> Shape:
    return {
        **died._asdict(),
        "began_at": time_shape(died.began_at),
        "died_at": time_shape(died.died_at),
        "stack": list(died.stack),
    }
