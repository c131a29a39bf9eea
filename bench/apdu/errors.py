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


class CardNeedsReset(StatusWordError):
    """The card answers 6985 to everything after a profile switch: it must be reset before it goes on.

    Seen on the cards of two vendors after an enable: the REFRESH they wait for was not carried out.
    """


class CardAnswerError(DeviceFailure):
    """The card answered 9000 with bytes that are not the answer of the function called."""


class Es10Error(DeviceFailure):
    """An ES10 function ended with one of its own error codes.

    ``function`` is its name in SGP.22 or SGP.32, ``code`` the number, ``result`` its name.
    """

    def __init__(self, function: str, code: int, result: str, *, hint: str = "") -> None:
        super().__init__(f"{result} ({code})", where=function, hint=hint)
        self.function = function
        self.code = code
        self.result = result
