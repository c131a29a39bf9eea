"""Modems in a campaign: the driver of every vendor layer with a modem on a pty, behind its place in a USB tree."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar, Final

import faulty_port  # type: ignore[import-not-found] # no installed package
from exchanges import Exchange, Raised  # type: ignore[import-not-found]
from subject import Subject  # type: ignore[import-not-found]
from usb_tree import UsbTree  # type: ignore[import-not-found]

from bench.errors import BenchError
from bench.station.drivers import DriverOptions, load_driver
from fixtures.sim.at_models import MODELS
from instruments.modem import start, usb
from instruments.modem.errors import ModemError, ModemHung, PortGone
from instruments.modem.parse import AnswerUnreadable
from instruments.modem.vendors import GENERIC, vendor_of

PATIENCE: Final = 0.4
"""Seconds of every command, so that a late answer is late."""
_FAMILIES: Final = {
    vendor.driver: (model.family.manufacturer, model.product, vendor.driver)
    for model in MODELS.values()
    for vendor in (vendor_of(model.family.manufacturer, model.product),)
}
IDENTITIES: Final = {
    **_FAMILIES,
    "quectel": _FAMILIES["quectel-bg9x"],
    "quectel-eg25": _FAMILIES["quectel-eg"],
    GENERIC.driver: ("Double", "D1", GENERIC.driver),
}
"""A modem that each driver is for: manufacturer, model and the layer it takes for it."""
EVENTS: Final = (
    "+CEREG: 2",
    "+CGEV: NW DETACH",
    "RDY",
    "+QIND: SMS DONE",
    "+CPIN: READY",
    "RING",
    "%XSIM: 1",
    "#QSS: 3",
)
TWIN: Final = b'\r\n+CEREG: 1,"0BAD","0BADBAD0",7\r\n'
"""An event with the name of an answer, and other values."""
GARBAGE: Final = (b"\r\n\xff\xfe~\x80@@\r\n", b"\xf0\x9f\x80\xff\xc3", b"\0\0\0", b"\xff" * 300 + b"\r\n", TWIN)
_PLACES: Final = itertools.count(1)


class ModemPort(faulty_port.FaultyPort):  # type: ignore[misc]
    """The port of a modem: another tty at the same place of the USB tree each time it comes back."""

    def __init__(self, tree: UsbTree, place: str, chance: random.Random, truth: Truth) -> None:
        self._tree = tree
        self._place = place
        self._name = ""
        self._truth = truth
        self._typed = b""
        self._asked = b""
        self._echo = False
        self.names = 0
        super().__init__(
            Path(place), chance, garbage=GARBAGE, late=PATIENCE, take=self._heard, reboot=self._restarted
        )  # fmt: skip
        self.noise = b"\r\n+CEREG: 2\r\n"

    def _appear(self, name: str) -> None:
        self.names += 1
        self._name = f"ttyUSB{self._place.rpartition('.')[2]}n{self.names}"
        self._typed = b""
        self._tree.tty(self._place, 2, self._name, name)

    def _disappear(self) -> None:
        self._tree.gone(self._name)

    def _restarted(self) -> None:
        """Come back with echo on, and say so."""
        self._echo = True
        self.answer(b"\r\nRDY\r\n")

    def _heard(self, data: bytes) -> None:
        *lines, self._typed = (self._typed + data).split(b"\r")
        for line in lines:
            text = line.decode("latin-1")
            self._asked = line + b"\r"
            head = self._asked if self._echo else b""
            if text.startswith("ATE"):
                self._echo = text == "ATE1"
            told = "".join(f"\r\n{one}\r\n" for one in (*self._truth.told(text), "OK"))
            self.answer(head + told.encode())

    async def _fail(self, fault: str, answer: bytes) -> None:
        event = f"\r\n{self._chance.choice(EVENTS)}\r\n".encode()
        information, final = answer.removesuffix(b"\r\nOK\r\n"), b"\r\nOK\r\n"
        match fault:
            case "before":
                self._write(event + answer)
            case "between":
                self._write(information + event + final)
            case "after":
                self._write(answer + event)
            case "twin":
                self._write(TWIN + answer)
            case "echo":
                self._write(self._asked + answer)
            case "compact":
                self._write(answer.replace(b"\r\n\r\n", b"\r\n").removeprefix(b"\r\n"))
            case "nul":
                self._write(b"\0\0\0" + answer)
            case "cme":
                self._write(b"\r\n+CME ERROR: 14\r\n")
            case "error":
                self._write(b"\r\nERROR\r\n")
            case "lost-information":
                self._write(final)
            case "lost-result":
                self._write(information)
            case _:
                await super()._fail(fault, answer)


class Truth:
    """What a modem says to each command now."""

    def __init__(self, manufacturer: str, model: str) -> None:
        self.identity = manufacturer, model
        self.number = 0

    def told(self, line: str) -> list[str]:
        """Return the information of a command."""
        n = self.number
        match line.partition("=")[0]:
            case "AT+CIMI":
                return [f"{n:015d}"]
            case "AT+CESQ":
                return [f"+CESQ: 99,99,255,255,{n % 35},{n % 98}"]
            case "AT+CEREG?":
                return [f'+CEREG: 5,1,"{n % 65536:04X}","{n:08X}",7']
            case "AT+COPS?":
                return [f'+COPS: 0,2,"{10000 + n % 89999}",7']
            case "AT+CRSM":
                return [f'+CRSM: 144,0,"{n:010X}"']
            case "AT+CGMI":
                return [self.identity[0]]
            case "AT+CGMM":
                return [self.identity[1]]
            case "AT+CMEE?":
                return ["+CMEE: 1"]
            case "AT+CFUN?":
                return ["+CFUN: 1"]
            case "AT+CREG?":
                return ["+CREG: 0,1"]
        return []


_HARMLESS: Final = ("before", "between", "after", "twin", "echo", "compact", "nul", "fragmented", "flood", "surplus")
_UNSURE: Raised = (ModemHung, AnswerUnreadable)


class ModemSubject(Subject):  # type: ignore[misc]
    """Everything that can be asked has another true value at every exchange."""

    faults = tuple(dict.fromkeys((*faulty_port.FAULTS, *_HARMLESS, "cme", "error", "lost-information", "lost-result")))
    errors: ClassVar[dict[str, Raised]] = {
        **dict.fromkeys(("late", "silent", "half-and-silent", "half-and-late", "garbage", "lost-result"), _UNSURE),
        **dict.fromkeys(("garbage-before-answer", "lost-information"), _UNSURE),
        **dict.fromkeys(("cme", "error"), (ModemError,)),
        **dict.fromkeys(("vanished", "vanished-mid-answer", "rebooted", "taken"), (PortGone, ModemHung)),
    }
    left_errors = _UNSURE
    lingers = ("surplus", "garbage", "half-and-silent", "rebooted")
    deadline = 4.0

    def __init__(self, name: str, chance: random.Random) -> None:
        super().__init__(name, chance)
        self.truth = Truth(*IDENTITIES[name][:2])

    @contextlib.asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[None]:
        place = f"1-1.{next(_PLACES)}"
        self.wire = ModemPort(UsbTree(usb.DEV.parent), place, self.chance, self.truth)
        self.driver = await load_driver(self.name).open(
            DriverOptions(name="modem", driver=self.name, port=f"usb:{place}:if02")
        )
        while True:
            with contextlib.suppress(ModemHung):  # all start at once
                await start.identify(self.driver)
                break
        assert self.driver.vendor.driver == IDENTITIES[self.name][2]
        try:
            yield
        finally:
            with contextlib.suppress(BenchError):
                await self.driver.close()
            await self.wire.close()

    def change(self) -> None:
        self.truth.number = self.number + 1

    def exchanges(self) -> list[Exchange]:
        return [self._imsi, self._signal, self._registration, self._file]

    async def _imsi(self) -> str:
        found, wanted = await self.driver.imsi(), f"{self.truth.number:015d}"
        return "" if found == wanted else f"the IMSI is {found}, not {wanted}"

    async def _signal(self) -> str:
        found, wanted = (await self.driver.signal())["rsrp"], max(self.truth.number % 98 - 141.0, -140.0)
        return "" if found in (None, wanted) else f"the RSRP is {found}, not {wanted}"

    async def _registration(self) -> str:
        found, n = await self.driver.registration(), self.truth.number
        told = found.cell_id, found.tac, found.status
        return "" if told == (n, n % 65536, 1) else f"registered {told}, not in {n}"

    async def _file(self) -> str:
        found, wanted = await self.driver.read_binary(0x6F7B, 5), self.truth.number.to_bytes(5, "big")
        return "" if found == wanted else f"the file is {found.hex()}, not {wanted.hex()}"
