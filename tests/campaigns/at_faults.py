"""Randomised AT exchanges under faults, with the driver of every vendor layer.

    python tests/campaigns/at_faults.py [--count 10000] [--seed 1] [--driver NAME ...]

``--count`` is for all drivers together. Every exchange asks a modem on a pty for something whose true value is another
one each time. Faults: lines in between, floods, echo, garbage, compact answers, errors, late answers, lost lines, lost
results, silence, ports that vanish in the middle of an answer and come back under another name. The driver may return
the true value or raise an error of the bench within its deadline; anything else is a wrong value, and ends the campaign
with 1. Prints JSON: exchanges, wrong values and errors by kind for each driver.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import sys
import tempfile
import time
import tty
from collections.abc import Sequence
from pathlib import Path
from typing import cast

sys.path.insert(0, str(Path(__file__).parents[1] / "instruments"))

from usb_tree import UsbTree

from bench.errors import BenchError
from bench.station.drivers import DriverOptions, load_driver
from fixtures.sim.at_models import MODELS
from instruments.modem import port, start, usb
from instruments.modem.modem import AtModem
from instruments.modem.vendors import GENERIC, VENDORS, vendor_of

DEADLINE = 0.05
"""Seconds of every command, so that a late answer is late."""
MOST = 4.0
"""Seconds within which an operation ends, whatever happens."""
PLACE = "1-1.4"
FAULTS = {
    "none": 30, "before": 6, "between": 6, "after": 6, "twin": 6, "flood": 2, "echo": 5, "garbage-line": 4,
    "garbage-bytes": 3, "compact": 6, "nul": 3, "pieces": 5, "cme": 3, "error": 3, "late": 5, "lost-information": 4,
    "lost-result": 3, "silence": 2, "vanish": 1, "cut": 2,
}  # fmt: skip
IDENTITIES = {
    vendor_of(model.family.manufacturer, model.product).driver: (model.family.manufacturer, model.product)
    for model in MODELS.values()
} | {GENERIC.driver: ("Double", "D1")}
"""A modem that each driver is for: manufacturer and model."""
DRIVERS = tuple(vendor.driver for vendor in (*VENDORS, GENERIC))
EVENTS = ("+CEREG: 2", "+CGEV: NW DETACH", "RDY", "+QIND: SMS DONE", "+CPIN: READY", "RING", "%XSIM: 1", "#QSS: 3")


class Modem:
    """A modem on a pty of this loop that answers one command after the other, with a fault each."""

    def __init__(self, tree: UsbTree, chance: random.Random, identity: tuple[str, str] = ("Double", "D1")) -> None:
        self.tree = tree
        self.identity = identity
        self.chance = chance
        self.number = 0
        self.fault = "none"
        self.names = 0
        self.tty = ""
        self.there = asyncio.Event()
        """Set while it is plugged in."""
        self._master = self._slave = -1
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._buffer = b""
        self.plug()
        self._task = asyncio.ensure_future(self._serve())

    def plug(self) -> None:
        """Come (back) under another name."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.names += 1
        self.tty = f"ttyUSB{self.names}"
        self.tree.tty(PLACE, 2, self.tty, os.ttyname(self._slave))
        asyncio.get_running_loop().add_reader(self._master, self._read)
        self.there.set()

    def unplug(self) -> None:
        """Vanish."""
        if self._master < 0:
            return
        self.there.clear()
        asyncio.get_running_loop().remove_reader(self._master)
        self.tree.gone(self.tty)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1
        self._buffer = b""
        while not self._queue.empty():
            self._queue.get_nowait()

    async def close(self) -> None:
        """End."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self.unplug()

    def _read(self) -> None:
        try:
            self._buffer += os.read(self._master, 65536)
        except OSError:
            return
        *lines, self._buffer = self._buffer.split(b"\r")
        for line in lines:
            self._queue.put_nowait(line.decode("latin-1"))

    def _write(self, data: bytes) -> None:
        if self._master >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._master, data)

    # --- what is true -------------------------------------------------------------------------------------------------

    def truth(self, line: str) -> list[str]:
        """Return the information of a command now."""
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

    async def _serve(self) -> None:
        while True:
            line = await self._queue.get()
            fault, self.fault = self.fault, "none"
            await self._answer(line, self.truth(line), fault)

    async def _answer(self, line: str, information: list[str], fault: str) -> None:
        event = self.chance.choice(EVENTS)
        head = f"{line}\r".encode() if fault == "echo" else b""
        lines, final = list(information), "OK"
        match fault:
            case "before":
                head = f"\r\n{event}\r\n".encode()
            case "between":
                lines.append(event)
            case "twin":  # an event with the name of the answer, and other values
                head = b'\r\n+CEREG: 1,"0BAD","0BADBAD0",7\r\n'
            case "flood":
                head = b"".join(b"\r\n+CEREG: %d\r\n" % (n % 6) for n in range(400))
            case "garbage-line":
                head = b"\r\n\xff\xfe~\x80@@\r\n"
            case "garbage-bytes":
                head = bytes(self.chance.randrange(128, 256) for _ in range(5))
            case "nul":
                head = b"\0\0\0"
            case "cme":
                lines, final = [], "+CME ERROR: 14"
            case "error":
                lines, final = [], "ERROR"
            case "lost-information":
                lines = []
            case "late":
                await asyncio.sleep(self.chance.uniform(DEADLINE, 4 * DEADLINE))
            case "silence":
                return
        if fault == "compact":
            data = ("\r\n".join([*lines, final]) + "\r\n").encode()
        else:
            data = head + "".join(f"\r\n{text}\r\n" for text in lines).encode()
            data += b"" if fault == "lost-result" else f"\r\n{final}\r\n".encode()
        if fault == "after":
            data += f"\r\n{event}\r\n".encode()
        if fault in ("vanish", "cut"):
            self._write(data[: self.chance.randrange(len(data))] if fault == "cut" else b"")
            self.unplug()
            await asyncio.sleep(self.chance.uniform(0.0, 0.2))
            self.plug()
        elif fault == "pieces":
            for index in range(0, len(data), 3):
                self._write(data[index : index + 3])
                await asyncio.sleep(0)
        else:
            self._write(data)


async def ask(modem: AtModem, kind: str) -> object:
    """Ask for one thing by the driver's own method; return what it says."""
    match kind:
        case "imsi":
            return await modem.imsi()
        case "signal":
            return (await modem.signal())["rsrp"]
        case "registration":
            found = await modem.registration()
            return found.cell_id, found.tac, found.status
        case _:
            return await modem.read_binary(0x6F7B, 5)


def right(kind: str, n: int, value: object) -> bool:
    """Whether a value is the true one, or says that there is none."""
    match kind:
        case "imsi":
            return value == f"{n:015d}"
        case "signal":
            return value in (None, n % 98 - 140.0)
        case "registration":
            return value == (n, n % 65536, 1)
        case _:
            return value == n.to_bytes(5, "big")


async def campaign(count: int, seed: int, folder: Path, driver: str = GENERIC.driver) -> dict[str, object]:
    """Run ``count`` exchanges with one driver; return what came of them."""
    chance = random.Random(seed)
    tree = UsbTree(folder)
    usual = (usb.SYS, usb.DEV, port.deadline)
    usb.SYS, usb.DEV = tree.classes, tree.dev
    double = Modem(tree, chance, IDENTITIES[driver])
    modem = await load_driver(driver).open(DriverOptions(name="modem", driver=driver, port=f"usb:{PLACE}:if02"))
    await start.identify(modem)
    assert modem.vendor.driver == driver
    port.deadline = lambda line: DEADLINE  # type: ignore[assignment]
    names, weights = zip(*FAULTS.items(), strict=True)
    outcomes: collections.Counter[str] = collections.Counter()
    errors: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []
    slowest = 0.0
    try:
        for n in range(1, count + 1):
            double.number = n
            double.fault = fault = chance.choices(names, weights)[0]
            kind = chance.choice(("imsi", "signal", "registration", "file"))
            begin = time.monotonic()
            try:
                async with asyncio.timeout(MOST):
                    value = await ask(modem, kind)
                outcomes["value"] += 1
                if not right(kind, n, value):
                    wrong.append(f"exchange {n}: {kind} under {fault} is {value!r}")
            except BenchError as error:
                outcomes[f"error under {fault}"] += 1
                errors[type(error).__name__] += 1
                if fault in ("none", "before", "between", "after", "twin", "echo", "compact", "nul", "pieces"):
                    # Only what the exchange before left behind may be the reason.
                    errors["after an earlier fault"] += 1
            except TimeoutError:
                wrong.append(f"exchange {n}: {kind} under {fault} had no end within {MOST} s")
            slowest = max(slowest, time.monotonic() - begin)
            await double.there.wait()  # a port that is gone ends an exchange at once: thousands would pass meanwhile
    finally:
        await modem.close()
        await double.close()
        usb.SYS, usb.DEV, port.deadline = usual
    return {
        "campaign": "at-faults",
        "driver": driver,
        "exchanges": count,
        "seed": seed,
        "values": outcomes["value"],
        "errors": dict(errors),
        "under": {name: found for name, found in sorted(outcomes.items()) if name != "value"},
        "renamed": double.names - 1,
        "slowest": round(slowest, 3),
        "wrong": wrong,
    }


def campaigns(count: int, seed: int, folder: Path, drivers: Sequence[str] = DRIVERS) -> dict[str, object]:
    """Run ``count`` exchanges in all, one driver after the other; return the figures of each."""
    found: dict[str, dict[str, object]] = {}
    for driver in drivers:
        began = time.monotonic()
        found[driver] = asyncio.run(campaign(-(-count // len(drivers)), seed + len(found), folder / driver, driver))
        found[driver]["seconds"] = round(time.monotonic() - began, 1)
    errors: collections.Counter[str] = collections.Counter()
    for one in found.values():
        errors.update(cast("dict[str, int]", one["errors"]))
    return {
        "campaign": "at-faults",
        "seed": seed,
        "exchanges": sum(cast("int", one["exchanges"]) for one in found.values()),
        "values": sum(cast("int", one["values"]) for one in found.values()),
        "wrong_values": sum(len(cast("list[str]", one["wrong"])) for one in found.values()),
        "errors": dict(sorted(errors.items())),
        "slowest": max(cast("float", one["slowest"]) for one in found.values()),
        "drivers": found,
    }


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--driver", nargs="*", choices=DRIVERS, default=DRIVERS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = campaigns(arguments.count, arguments.seed, Path(folder), arguments.driver)
    print(json.dumps(found, indent=1))
    return 1 if found["wrong_values"] else 0


if __name__ == "__main__":
    sys.exit(main())
