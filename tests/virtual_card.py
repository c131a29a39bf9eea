"""The real virtual eUICC as CardAccess in the test's own process, for tests of IPA and eIM."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.apdu.errors import CardGone, NoSuchApplication
from bench.apdu.iso7816 import (
    Command,
    Response,
    class_on_channel,
    manage_channel_close,
    manage_channel_open,
    select_aid,
)
from fixtures.sim.euicc import VirtualEuicc


@dataclass
class VirtualCard:
    """CardAccess to a virtual eUICC. ``cut``: (APDU index, "before" or "after") at which power goes, once."""

    euicc: VirtualEuicc
    cut: tuple[int, str] | None = None
    apdus: int = 0
    log: list[tuple[bytes, bytes]] = field(default_factory=list)
    local: bool = False
    carries_refresh: bool = True

    def raw(self, command: bytes) -> bytes:
        index = self.apdus
        self.apdus += 1
        if self.cut == (index, "before"):
            self.cut = None
            self.euicc.power_off()
        answer = self.euicc.transmit(command)
        self.log.append((command, answer))
        if self.cut == (index, "after"):
            self.cut = None
            self.euicc.power_off()
            answer = b""
        if not answer:
            raise CardGone("the card has no power", where=f"APDU {index}")
        return answer

    async def open_channel(self, aid: bytes) -> VirtualChannel:
        opened = Response.parse(self.raw(bytes(manage_channel_open())))
        assert opened.ok, opened
        number = opened.data[0]
        selected = Response.parse(self.raw(bytes(select_aid(aid, le=None).on_channel(number))))
        if selected.sw1 == 0x61:
            get = bytes((class_on_channel(0x00, number), 0xC0, 0, 0, selected.sw2))
            selected = Response.parse(self.raw(get))
        if not selected.ok:
            raise NoSuchApplication(str(selected), where=aid.hex())
        return VirtualChannel(self, number, selected.data)

    async def reset(self) -> None:
        self.euicc.power_off()
        self.euicc.power_on()


class VirtualChannel:
    """A logical channel: sets the channel bits."""

    def __init__(self, card: VirtualCard, number: int, select_response: bytes) -> None:
        self.select_response = select_response
        self._card = card
        self._number = number

    async def transmit(self, command: bytes, *, timeout: float | None = None) -> bytes:
        return self._card.raw(bytes(Command.parse(command).on_channel(self._number)))

    async def close(self) -> None:
        answer = self._card.euicc.transmit(bytes(manage_channel_close(self._number)))
        if not answer:
            raise CardGone("the card has no power", where="MANAGE CHANNEL")
