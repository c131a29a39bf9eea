"""Answers of ES10 functions that go on to a server: the bytes as the card sent them, and what they say."""

from __future__ import annotations

from dataclasses import dataclass

from bench.apdu import es10_views as views
from bench.apdu.es10_results import result_name
from bench.rsp import tlv


@dataclass(frozen=True, slots=True)
class ServerAuthentication:
    """Answer to AuthenticateServer: ``raw`` (BF38) goes to the server; ``error`` is its code, None when ok."""

    raw: bytes
    error: int | None

    @property
    def error_name(self) -> str:
        """Name of the error, empty when ok."""
        return "" if self.error is None else result_name(0xBF38, self.error)


@dataclass(frozen=True, slots=True)
class DownloadPreparation:
    """Answer to PrepareDownload: ``raw`` (BF21) goes to the server; ``error`` is its code, None when ok."""

    raw: bytes
    error: int | None

    @property
    def error_name(self) -> str:
        """Name of the error, empty when ok."""
        return "" if self.error is None else result_name(0xBF21, self.error)


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Answer to CancelSession: ``raw`` (BF41) goes to the server; ``error`` is its code, None when ok."""

    raw: bytes
    error: int | None


@dataclass(frozen=True, slots=True)
class Rollback:
    """Answer to ProfileRollback: result code, its name, and the eUICC package result (BF51) to be delivered, or b''."""

    raw: bytes
    code: int
    name: str
    package_result: bytes


def changes_profile(package_result: bytes) -> bool:
    """Return whether an eUICC package result (BF51) says that the enabled profile changed.

    True for a successful enable (83 00), disable (84 00) or rollback (8C 00) in a signed result.
    """
    data = views.package_result_data(package_result)
    results = data.find(0x30) if data is not None else None
    if results is None:
        return False
    return any(item.tag in (0x83, 0x84, 0x8C) and not any(item.value) for item in results.children())


def nested_error(found: tlv.Tlv) -> int | None:
    """Return the code in A1{80 transactionId, 02 code} of AuthenticateServer and PrepareDownload, None when ok."""
    error = found.find(0xA1)
    if error is None:
        return None
    code = error.find(0x02)
    return views.signed(code.value) if code is not None else 127
