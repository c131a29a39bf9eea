"""Errors of the card side."""

from __future__ import annotations

from bench.errors import DeviceFailure, InstrumentError


class CardGone(InstrumentError):
    """The card, or what carries the APDUs to it, is no longer there (power, removal, reset, port lost)."""


class NoSuchApplication(DeviceFailure):
    """SELECT by AID was refused: 6A82, or any error of AT+CCHO."""


class StatusWordError(DeviceFailure):
    """The card answered a status word that the command does not allow."""

    def __init__(self, what: str, *, status_word: int, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.status_word = status_word
