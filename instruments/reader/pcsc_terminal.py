"""What a terminal does with a card in a reader: logical channels, TERMINAL CAPABILITY, proactive commands. Blocking.

On a modem's path the modem is the terminal: it sends TERMINAL PROFILE, fetches the REFRESH after a profile switch and
resets the card. A reader is no terminal of the toolkit: without TERMINAL PROFILE a card announces no proactive command,
whoever switches a profile asks for no REFRESH and resets the card afterwards (``carries_refresh`` False,
``CardAccess.reset``). With the option ``toolkit`` this driver is the terminal and sends TERMINAL PROFILE.

Either way a command that a card does announce (91xx) is seen to: FETCH follows at once. A REFRESH that resets the UICC
is carried out as a cold reset when the last channel is closed, so that whoever caused it reads its answer first, and
the next channel meets the card after the switch (TS 102 223 section 6.4.7: no TERMINAL RESPONSE before such a reset).
A command that cannot be fetched ends in the same cold reset. Other proactive commands get their TERMINAL RESPONSE.
"""

from __future__ import annotations

from typing import Final, Protocol

from bench.apdu.errors import CardGone, NoSuchApplication
from bench.apdu.exchange import collect
from bench.apdu.iso7816 import (
    ApduError,
    Command,
    Response,
    channel_of,
    class_on_channel,
    manage_channel_close,
    manage_channel_open,
    select_aid,
)
from bench.apdu.status import describe
from bench.errors import ConfigurationError
from bench.rsp.interpretation import DEFAULT
from bench.trace.lane import Direction, Lane

_CAPABILITIES = DEFAULT.terminal_capability
TERMINAL_CAPABILITY: Final = bytes((0x80, 0xAA, 0x00, 0x00, len(_CAPABILITIES))) + _CAPABILITIES
"""TS 102 221 section 11.1.19 with the eUICC capabilities LUId, LPDd and LDSd (SGP.22 section 5.7.1): some cards hide
ISD-R until it came."""
TERMINAL_PROFILE: Final = bytes.fromhex("8010000003010088")
"""TS 102 223 section 5.2: the profile download itself, MORE TIME and REFRESH."""
_REFRESH, _MORE_TIME = 0x01, 0x02
_RESETS: Final = (0x04, 0x05, 0x06, 0x08, 0x09)
"""REFRESH qualifiers after which the card is started again: UICC, application and session reset, 3G session reset and
eUICC profile state change (TS 102 223 section 8.6)."""
_PERFORMED, _BEYOND_TERMINAL = 0x00, 0x30
_MOST_COMMANDS: Final = 16
"""Proactive commands in a row after which a card is left alone."""


class Link(Protocol):
    """What is needed of ``PcscLink``."""

    name: str
    t0: bool

    @property
    def connected(self) -> bool:
        """Whether the card is held."""

    def connect(self) -> None:
        """Take the card."""

    def transmit(self, command: bytes) -> bytes:
        """Exchange one APDU."""

    def reset(self) -> None:
        """Cold reset."""

    def disconnect(self, *, unpower: bool = False) -> None:
        """Give the card back."""


class Terminal:
    """The terminal side of one card. For the thread that owns the link."""

    def __init__(self, link: Link, lane: Lane, *, fetch: bool = True, toolkit: bool = False) -> None:
        """``fetch`` False leaves proactive commands alone (for cards that are to be left exactly as they are).

        ``toolkit``: send TERMINAL PROFILE after every start of the card.
        """
        self.link = link
        self.generation = 0
        self.connections = 0
        """How often the card was taken: another card may be there each time."""
        """Changes whenever the channels opened before are gone."""
        self.channels: set[int] = set()
        self.refresh = False
        """The card waits for a reset."""
        self._lane = lane
        self._fetch = fetch
        self._toolkit = toolkit

    # --- channels -------------------------------------------------------------------------------------------------

    def open(self, aid: bytes) -> tuple[int, int, bytes]:
        """Open a logical channel and select ``aid``; return its number, generation and the FCI.

        Channels that an earlier program left open are got rid of by a cold reset, when none of ours is open. Raises
        NoSuchApplication, CardGone.
        """
        if not self.channels and self.refresh and self.link.connected:
            self.give_back()
        self._connected()
        try:
            answer = self._collect(manage_channel_open())
            if not answer.ok and not self.channels:
                self.reset()
                answer = self._collect(manage_channel_open())
            if not answer.ok or len(answer.data) != 1 or not 1 <= answer.data[0] <= 19:
                raise NoSuchApplication(
                    f"the card opens no logical channel: {describe(answer.status_word)}", where=self.link.name
                )
            number = answer.data[0]
            self.channels.add(number)
            answer = self._collect(select_aid(aid, le=None if self.link.t0 else 256).on_channel(number))
            if not (answer.ok or answer.sw1 in (0x62, 0x63)):
                self.close(number, self.generation)
                raise NoSuchApplication(
                    f"the application cannot be selected: {describe(answer.status_word)}",
                    where=f"SELECT {aid.hex().upper()}",
                    hint="is it an eUICC?",
                )
        except CardGone:
            self._start_again()
            raise
        except BaseException:
            self._unused()
            raise
        return number, self.generation, answer.data

    def _connected(self) -> None:
        if self.link.connected:
            return
        self.lost()
        self.link.connect()
        self.connections += 1
        try:
            self._present_self()
        except CardGone:
            self._start_again()
            raise

    def _start_again(self) -> None:
        """Have the reader activate anew whatever card it has: it may not have noticed that it is another one."""
        self.refresh = True
        self.give_back()

    def _present_self(self) -> None:
        """Say what this terminal can do; a card that does not know the command is none the worse."""
        self.exchange(TERMINAL_CAPABILITY)
        if self._toolkit:
            self.exchange(TERMINAL_PROFILE)

    def close(self, number: int, generation: int) -> None:
        """Close a channel; one that died with a reset is no error. The last one gives the card back."""
        if generation != self.generation or number not in self.channels:
            return
        self.channels.discard(number)
        try:
            self.exchange(bytes(manage_channel_close(number)))
        except CardGone:
            self.lost()
            return
        self._unused()

    def _unused(self) -> None:
        if not self.channels:
            self.give_back()

    def give_back(self) -> None:
        """Give the card to others; one that waits for a reset loses its power, which is the reset."""
        self.link.disconnect(unpower=self.refresh)
        self.lost()

    def lost(self) -> None:
        """Forget what belonged to a connection or an activation that is over."""
        self.link.disconnect()
        self.channels.clear()
        self.refresh = False
        self.generation += 1

    def reset(self) -> None:
        """Cold reset; open channels are gone. Raises CardGone when the card does not come back."""
        self.restart()
        self._present_self()

    def restart(self) -> None:
        """Cold reset of a card that is given back afterwards: what this terminal can do need not be said."""
        if not self.link.connected:
            self.link.connect()
            self.connections += 1
        self.channels.clear()
        self.refresh = False
        self.generation += 1
        try:
            self.link.reset()
        except CardGone:
            self.lost()
            raise

    # --- APDUs ----------------------------------------------------------------------------------------------------

    def transmit(self, number: int, generation: int, command: bytes) -> bytes:
        """Exchange one APDU on a channel; 61xx and 6Cxx are returned as they came. Raises CardGone."""
        if generation != self.generation:
            raise CardGone("the logical channel is closed: the card was reset or removed", where=self.link.name)
        try:
            apdu = bytes((class_on_channel(command[0], number),)) + command[1:]
        except ApduError as error:
            raise ConfigurationError(f"{command[:5].hex()} cannot be sent on channel {number}: {error}") from error
        try:
            return self.exchange(apdu)
        except CardGone:
            self.lost()
            raise

    def exchange(self, apdu: bytes) -> bytes:
        """Exchange one APDU as it is, and see to what the card then wants of its terminal."""
        answer = self._raw(apdu)
        if answer[-2] == 0x91 and self._fetch and not self.refresh:
            self._proactive(answer[-1])
        return answer

    def _raw(self, apdu: bytes) -> bytes:
        self._lane.record(Direction.SENT, apdu)
        answer = self.link.transmit(apdu)
        self._lane.record(Direction.RECEIVED, answer)
        return answer

    def _collect(self, command: Command) -> Response:
        collector = collect(command)
        outgoing = next(collector)
        while True:
            answer = Response.parse(self.exchange(bytes(self._on_channel_of(command, outgoing))))
            try:
                outgoing = collector.send(answer)
            except StopIteration as end:
                whole: Response = end.value
                return whole

    @staticmethod
    def _on_channel_of(first: Command, command: Command) -> Command:
        return command.on_channel(channel_of(first.cla))

    # --- proactive commands ---------------------------------------------------------------------------------------

    def _proactive(self, length: int) -> None:
        for _ in range(_MOST_COMMANDS):
            answer = self._raw(bytes((0x80, 0x12, 0x00, 0x00, length)))
            if answer[-2] == 0x6C:
                answer = self._raw(bytes((0x80, 0x12, 0x00, 0x00, answer[-1])))
            details = command_details(answer[:-2]) if answer[-2] in (0x90, 0x91) else None
            if details is None:
                self.refresh = True  # it cannot be fetched or read: only a reset ends it
                return
            number, kind, qualifier = details
            if kind == _REFRESH and qualifier in _RESETS:
                self.refresh = True
                return
            result = _PERFORMED if kind in (_REFRESH, _MORE_TIME) else _BEYOND_TERMINAL
            response = bytes((0x81, 0x03, number, kind, qualifier, 0x82, 0x02, 0x82, 0x81, 0x83, 0x01, result))
            answer = self._raw(bytes((0x80, 0x14, 0x00, 0x00, len(response))) + response)
            if answer[-2] != 0x91:
                return
            length = answer[-1]
        self.refresh = True


def command_details(data: bytes) -> tuple[int, int, int] | None:
    """Return number, type and qualifier of a proactive command ``D0 ..`` (TS 102 223 section 8.6), None for others."""
    from bench.rsp import tlv
    from bench.rsp.errors import DecodeError

    try:
        outer = tlv.parse(data)
        inner = tlv.parse(outer[0].value) if outer and outer[0].tag == 0xD0 else []
    except DecodeError:
        return None
    found = next((part.value for part in inner if part.tag & 0x7F == 0x01), b"")
    return (found[0], found[1], found[2]) if len(found) == 3 else None
