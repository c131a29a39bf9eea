"""The errors of the bench: each says what happened, where, and what to do about it."""

from __future__ import annotations


class BenchError(Exception):
    """Base of every error that a person at the bench may meet.

    ``what`` happened in one sentence, ``where`` (file and line, or instrument and command), ``hint``: what to do.
    """

    exit_code = 3
    """Exit code of the command line when this error ends it (DESIGN.md section 4)."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = self.what
        if self.where:
            text = f"{self.where}: {text}"
        if self.hint:
            text = f"{text} ({self.hint})"
        return text


class ConfigurationError(BenchError):
    """bench.toml, the command line or a parameter is wrong: nothing was touched."""

    exit_code = 2


class InstrumentError(BenchError):
    """An instrument, a port or a service of the bench failed: the device under test is not to blame."""


class InstrumentTimeout(InstrumentError):
    """An instrument did not answer within the deadline."""


class Refused(InstrumentError):
    """An interlock, a limit of the station or a lock of another owner forbids the action."""


class StationHeld(Refused):
    """Another run holds the station or one of its instruments."""


class DeviceFailure(BenchError):
    """The device under test did something it must not, or did not do what it must: the device's verdict is fail."""

    exit_code = 1


class EimUnreachable(BenchError):
    """No ESipa exchange came about: what was not delivered stays on the card, and a rollback may be due."""
