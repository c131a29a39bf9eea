"""PC/SC calls through pyscard's low-level module: one context, one card handle, bytes in and out. Every call blocks.

A PC/SC daemon that was restarted has forgotten every context: calls then fail with SCARD_E_NO_SERVICE,
SCARD_E_SERVICE_STOPPED or SCARD_E_INVALID_HANDLE for ever, so the context is thrown away and the next use makes a new
one. libpcsclite reads PCSCLITE_CSOCK_NAME once a process: ``use_daemon`` sets it before the first call.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

from bench.apdu.errors import CardGone
from bench.errors import ConfigurationError, InstrumentError, Refused

SLICE_MS: Final = 100
"""Longest single wait for a change of a reader."""
_VARIABLE: Final = "PCSCLITE_CSOCK_NAME"
_DEFAULT: Final = "the host's pcscd"
_INSTALL: Final = (
    ".ci/setup pcsc, or: sudo apt-get install pcscd libpcsclite-dev swig gcc python3-dev; pip install pyscard"
)

_used: str | None = None
"""The daemon's socket that this process's libpcsclite speaks to, '' for the host's; None before its first use."""


class DaemonGone(CardGone):
    """The PC/SC daemon is not there, or was restarted: everything connected through it is gone."""


_DAEMON: Final = {
    0x8010001D: "SCARD_E_NO_SERVICE",
    0x8010001E: "SCARD_E_SERVICE_STOPPED",
    0x80100003: "SCARD_E_INVALID_HANDLE",
    0x80100013: "SCARD_F_COMM_ERROR",
    0x80100001: "SCARD_F_INTERNAL_ERROR",
    0x8010006A: "SCARD_W_SECURITY_VIOLATION",
}
"""libpcsclite tells the end of its connection in the middle of a call by the last one, as it does polkit's refusal."""
_CARD: Final = {
    0x80100069: "the card was removed (SCARD_W_REMOVED_CARD)",
    0x80100068: "the card was reset by another program (SCARD_W_RESET_CARD)",
    0x80100067: "the card has no power (SCARD_W_UNPOWERED_CARD)",
    0x80100066: "the card does not answer a reset (SCARD_W_UNRESPONSIVE_CARD)",
    0x80100065: "the reader cannot work with this card (SCARD_W_UNSUPPORTED_CARD)",
    0x8010000C: "there is no card in the reader (SCARD_E_NO_SMARTCARD)",
    0x80100016: "the exchange with the card failed (SCARD_E_NOT_TRANSACTED)",
    0x80100009: "the reader is not there any more (SCARD_E_UNKNOWN_READER)",
    0x80100017: "the reader is not there any more (SCARD_E_READER_UNAVAILABLE)",
}
_STATUS: Final = (6, 9)
"""High half of every SW1 (ISO/IEC 7816-3 section 10.3.3, 7816-4 section 5.6)."""
_SHARING: Final = 0x8010000B
_TIMEOUT: Final = 0x8010000A
_NO_READERS: Final = 0x8010002E
_CANCELLED: Final = 0x80100002


def library(where: str = "") -> ModuleType:
    """Import pyscard's low-level module. Raises ConfigurationError with what to install."""
    try:
        from smartcard import scard
    except ImportError as error:
        raise ConfigurationError(f"PC/SC cannot be used: {error}", where=where, hint=_INSTALL) from error
    module: ModuleType = scard
    return module


def use_daemon(csock: str, *, where: str = "") -> None:
    """Have this process speak to the daemon at ``csock``; '' for what the environment says, else the host's.

    Raises ConfigurationError when it speaks to another one already: that cannot be changed in a running process.
    """
    global _used
    wanted = csock or os.environ.get(_VARIABLE, "")
    if _used is None:
        if wanted:
            os.environ[_VARIABLE] = wanted
        _used = wanted
    elif wanted != _used and (csock or not _used):
        raise ConfigurationError(
            f"this process uses the PC/SC daemon at {_used or _DEFAULT} already, not {wanted or _DEFAULT}",
            where=where,
            hint="libpcsclite reads the socket's name once a process: use each daemon from a process of its own",
        )


class PcscLink:
    """One context and at most one card handle. For one thread; none of its calls can be interrupted."""

    def __init__(self, name: str = "", *, where: str = "") -> None:
        """``name``: of the reader. ``where`` names the instrument in messages."""
        self.name = name
        self.where = where
        self.t0 = True
        """The card speaks T=0: a command with data carries no Le."""
        self._scard: Any = library(where)
        self._context: Any = None
        self._handle: Any = None
        self._pci: Any = None

    @property
    def connected(self) -> bool:
        """Whether a card handle is held."""
        return self._handle is not None

    # --- context --------------------------------------------------------------------------------------------------

    def context(self) -> Any:
        """Return the context, made when there is none. Raises DaemonGone when no daemon answers."""
        if self._context is None:
            result, context = self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_SYSTEM)
            self._check(result, "SCardEstablishContext")
            self._context = context
        return self._context

    def forget(self) -> None:
        """Throw context and handle away; what the daemon still knows of them ends with the context."""
        context, self._context = self._context, None
        self._handle = None
        if context is not None:
            self._scard.SCardReleaseContext(context)

    def _check(self, result: int, call: str) -> None:
        """Raise what a result code means."""
        code = result & 0xFFFFFFFF
        if code == 0:
            return
        where = f"{self.name or self.where}: {call}"
        if code in _DAEMON:
            self.forget()
            raise DaemonGone(
                f"the PC/SC daemon (pcscd) is gone: {_DAEMON[code]}",
                where=where,
                hint=f"was it ended or restarted, or does polkit refuse this user? It is {_used or _DEFAULT}",
            )
        if code in _CARD:
            raise CardGone(_CARD[code], where=where, hint="is the card in the reader?")
        if code == _SHARING:
            raise Refused(
                "another program uses the card (SCARD_E_SHARING_VIOLATION)",
                where=where,
                hint="end it: the bench needs the card for itself",
            )
        text = self._scard.SCardGetErrorMessage(result)
        raise InstrumentError(f"{call} failed: {text} ({code:#010x})", where=self.name or self.where)

    # --- readers --------------------------------------------------------------------------------------------------

    def readers(self) -> Sequence[str]:
        """Return the names of all readers. Raises DaemonGone."""
        for last in (False, True):  # a context of a daemon that was restarted fails once
            try:
                result, names = self._scard.SCardListReaders(self.context(), [])
                if result & 0xFFFFFFFF == _NO_READERS:
                    return ()
                self._check(result, "SCardListReaders")
                return tuple(names)
            except DaemonGone:
                if last:
                    raise
        raise AssertionError("not reached")

    def attribute(self, name: str, attribute: str) -> str:
        """Return a text attribute of a reader (``VENDOR_NAME``, ``VENDOR_IFD_SERIAL_NO``), '' when it has none."""
        scard = self._scard
        result, handle, _ = scard.SCardConnect(self.context(), name, scard.SCARD_SHARE_DIRECT, 0)
        if result:
            return ""
        try:
            result, value = scard.SCardGetAttrib(handle, getattr(scard, f"SCARD_ATTR_{attribute}"))
        finally:
            scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)
        if result or not value:
            return ""
        return bytes(value).rstrip(b"\0").decode("latin-1").strip()

    def present(self, known: int = 0, *, wait_ms: int = 0) -> tuple[bool, int, bytes]:
        """Return whether a card is in the reader, the state to pass as ``known``, and the card's ATR.

        Waits at most ``wait_ms`` for a state other than ``known``. Raises DaemonGone, CardGone for a lost reader.
        """
        scard = self._scard
        result, states = scard.SCardGetStatusChange(
            self.context(), min(wait_ms, SLICE_MS), [(self.name, known or scard.SCARD_STATE_UNAWARE)]
        )
        if result & 0xFFFFFFFF not in (_TIMEOUT, _CANCELLED):
            self._check(result, "SCardGetStatusChange")
        _, state, atr = states[0]
        if state & scard.SCARD_STATE_UNKNOWN:
            raise CardGone("the reader is not there any more", where=self.name, hint="is it plugged in?")
        here = bool(state & scard.SCARD_STATE_PRESENT) and not state & scard.SCARD_STATE_MUTE
        return here, state & ~scard.SCARD_STATE_CHANGED, bytes(atr) if here else b""

    # --- the card -------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Take the card for this process alone. Raises CardGone, DaemonGone, Refused."""
        scard = self._scard
        result, handle, protocol = scard.SCardConnect(
            self.context(),
            self.name,
            scard.SCARD_SHARE_EXCLUSIVE,
            scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1,
        )
        self._check(result, "SCardConnect")
        self._handle = handle
        self._speaks(protocol)

    def _speaks(self, protocol: int) -> None:
        self.t0 = protocol == self._scard.SCARD_PROTOCOL_T0
        self._pci = self._scard.SCARD_PCI_T0 if self.t0 else self._scard.SCARD_PCI_T1

    def transmit(self, command: bytes) -> bytes:
        """Exchange one APDU. Raises CardGone, DaemonGone."""
        if self._handle is None:
            raise CardGone("the card is not connected", where=self.name)
        result, answer = self._scard.SCardTransmit(self._handle, self._pci, list(command))
        if result:
            self._check(result, "SCardTransmit")
        if len(answer) < 2:
            raise CardGone(
                "the card gave no answer, not even a status word",
                where=f"{self.name}: SCardTransmit",
                hint="was it taken out, or did it lose its power?",
            )
        if answer[-2] >> 4 not in _STATUS:
            raise CardGone(
                f"the answer ends with {bytes(answer[-2:]).hex().upper()}, which is no status word",
                where=f"{self.name}: SCardTransmit",
                hint="was the card taken out in its middle?",
            )
        return bytes(answer)

    def reset(self) -> None:
        """Cold reset: power off and on again (SCARD_UNPOWER_CARD). Raises CardGone, DaemonGone."""
        scard = self._scard
        result, protocol = scard.SCardReconnect(
            self._handle,
            scard.SCARD_SHARE_EXCLUSIVE,
            scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1,
            scard.SCARD_UNPOWER_CARD,
        )
        self._check(result, "SCardReconnect")
        self._speaks(protocol)

    def disconnect(self, *, unpower: bool = False) -> None:
        """Give the card back, as it is or without power. Never raises: what is gone is given back."""
        handle, self._handle = self._handle, None
        if handle is not None:
            scard = self._scard
            result = scard.SCardDisconnect(handle, scard.SCARD_UNPOWER_CARD if unpower else scard.SCARD_LEAVE_CARD)
            if result & 0xFFFFFFFF in _DAEMON:
                self.forget()
