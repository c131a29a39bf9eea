"""Randomised exchanges of a supply driver with a supply that fails in every way a SCPI instrument does.

    python tests/campaigns/scpi_faults.py [--exchanges 10000] [--share 0.2] [--seed 1]

The driver is the real one over a real socket. Every measurement that the supply gives is another number, so that an
answer which belongs to another question shows. Demanded of each exchange: it ends within its deadline; what it returns
is what the supply said to a question of this very exchange, or what it really has; it raises an InstrumentError of the
right kind, and none when nothing went wrong; the exchange after a fault that is over succeeds. Prints JSON; exit code 1
when one of these did not hold.

Not among the faults, for no client can tell: a line that was cut short in the middle of a number and yet ended.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import socket
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "instruments")]

from exchanges import Armed, Exchange, Outcome, plan  # type: ignore[import-not-found] # noqa: E402
from instrument_doubles import ScpiDouble  # type: ignore[import-not-found] # noqa: E402 - no installed package

from bench.errors import InstrumentError, InstrumentTimeout  # noqa: E402
from bench.station.drivers import DriverOptions, PowerLimits  # noqa: E402
from bench.station.interfaces import Reading  # noqa: E402, F401
from instruments.power.keysight import KeysightE36300  # noqa: E402
from instruments.scpi.link import ConnectionLost  # noqa: E402
from instruments.scpi.parse import AnswerError, ScpiError  # noqa: E402

TIMEOUT = 0.06
"""Seconds for one answer."""
IDENTIFY = 0.15
"""Seconds for *IDN? on a new connection."""
DEADLINE = 2 * TIMEOUT + 2 * IDENTIFY + 1.0 + 0.5
"""Seconds for one exchange: asked, opened again, asked again, explained by the queue (1 s); 0.5 s for this host."""

FAULTS: dict[str, tuple[type[BaseException], ...]] = {
    "closed": (ConnectionLost,),
    "closed-mid-answer": (ConnectionLost,),
    "late": (InstrumentTimeout,),
    "silent": (InstrumentTimeout,),
    "half-and-silent": (InstrumentTimeout,),
    "half-and-late": (InstrumentTimeout,),
    "garbage": (AnswerError, ScpiError),
    "garbage-before-answer": (AnswerError, ScpiError),
    "surplus": (),
    "fragmented": (),
    "refused-in-queue": (ScpiError, InstrumentTimeout),
    "reboot": (InstrumentError,),
    "second-client": (InstrumentError,),
    "exchanged": (InstrumentError,),
}
"""What may be raised; none may be where the tuple is empty."""
AWAY = ("reboot", "second-client", "exchanged")
"""The supply is not there, or not for us, for a while."""
GARBAGE = (
    b"\xff\xfe\x80\x00", b"volts", b"9.91E37", b"nan", b"#90000", b"1,2", b"", b'-410,"Query INTERRUPTED"', b"++1",
    b"MEAS:VOLT?", b"\x00\x00\x00", b"0x", b"3.8.1", b"{", b"1 2 3",
)  # fmt: skip


class FaultySupply(ScpiDouble, Armed):  # type: ignore[misc] # no installed package
    """An E36312A whose every measurement is another number. ``arm`` one fault at the n-th answer from now."""

    def __init__(self, chance: random.Random) -> None:
        Armed.__init__(self, chance)
        self.chance = chance
        self.given: list[tuple[str, float]] = []
        """Every measurement ever given, with its question."""
        self.states: list[tuple[float, bool]] = [(0.0, False)]
        """Voltage and output, one entry a change."""
        self.foreign = ""
        self.here = threading.Event()
        self.here.set()
        self._number = 0
        self._lock = threading.Lock()
        super().__init__()

    def supply(self, line: str) -> str | None:
        with self._lock:
            if line.startswith("MEAS:"):
                self._number += 1
                value = 1 + self._number * 1e-6
                self.given.append((line, value))
                return f"{value:+.8E}"
            answer: str | None = super().supply(line)
            if self.states[-1] != (self.voltage, self.on):
                self.states.append((self.voltage, self.on))
            return answer

    def _send(self, client: socket.socket, text: str | bytes) -> None:
        data = text if isinstance(text, bytes) else text.encode() + b"\n"
        if self.foreign == "silent" and client is self._clients[-1]:
            return
        if fault := self.due():
            self._fail(client, data, fault)
        else:
            client.sendall(data)

    def _fail(self, client: socket.socket, data: bytes, fault: str) -> None:
        half = self.part(data)
        if fault == "closed":
            raise ScpiDouble.Drop
        if fault == "closed-mid-answer":
            client.sendall(half)
            raise ScpiDouble.Drop
        if fault == "late":
            time.sleep(TIMEOUT * self.chance.uniform(1.1, 2.0))
            client.sendall(data)
        elif fault in ("half-and-silent", "half-and-late"):
            client.sendall(half)
            if fault == "half-and-late":
                time.sleep(TIMEOUT * self.chance.uniform(1.1, 2.0))
                client.sendall(data[len(half) :])
        elif fault == "garbage":
            client.sendall(self.chance.choice(GARBAGE) + b"\n")
        elif fault == "garbage-before-answer":
            client.sendall(self.chance.choice(GARBAGE) + b"\n")
            time.sleep(self.chance.choice((0.0, 0.001, 0.005)))
            client.sendall(data)
        elif fault == "surplus":
            client.sendall(data + self.chance.choice(GARBAGE) + b"\n")
        elif fault == "fragmented":
            for byte in data:
                client.sendall(bytes((byte,)))
                time.sleep(0.0005)
        elif fault == "refused-in-queue":
            self.errors.append('-221,"Settings conflict"')
        elif fault != "silent":
            self._away(fault)

    def _away(self, fault: str) -> None:
        """Go away for up to 0.4 s: restarted with its settings lost, held by another client, or another supply."""
        seconds = self.chance.uniform(0.02, 0.4)
        self.here.clear()
        if fault == "reboot":
            self.voltage, self.on = 0.0, False
            self.states.append((0.0, False))
            self.errors.clear()
            self.foreign = self.chance.choice(("refused", "closing"))
        elif fault == "second-client":
            self.foreign = self.chance.choice(("silent", "closing"))
        else:
            self.serial = "MY99999999"
        if self.foreign == "refused":
            with contextlib.suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
        self.drop_all()
        timer = threading.Timer(seconds, self._back)
        timer.daemon = True
        timer.start()
        raise ScpiDouble.Drop

    def _back(self) -> None:
        refused = self.foreign == "refused"
        self.serial, self.foreign = "MY12345678", ""
        if refused and not self._stop:
            self._server = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, daemon=True).start()
        else:
            self.drop_all()  # who was kept waiting, or spoke with the other supply, has to come again
        self.here.set()

    @property
    def away(self) -> bool:
        """Whether it is not there for us."""
        return not self.here.is_set()

    def _serve(self, client: socket.socket) -> None:
        if self.foreign == "closing":
            with client, contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            return
        super()._serve(client)


class Campaign:
    """One driver and one supply."""

    def __init__(self, supply: FaultySupply, driver: KeysightE36300, chance: random.Random) -> None:
        self.supply = supply
        self.driver = driver
        self.chance = chance
        self.outcome = Outcome()
        self._volts = 0

    async def run(self, exchanges: int, share: float) -> Outcome:
        """Make the exchanges, a fault in ``share`` of them."""
        kinds: list[Exchange] = [self._measure, self._measure, self._output, self._set, self._name]
        faults = plan(self.chance, list(FAULTS))
        for number in range(exchanges):
            fault, count = "", 0
            if self.chance.random() < share and not self.supply.away:
                fault, count = next(faults)
            kind = self.chance.choice(kinds)
            if self.supply.away and self.chance.random() < 0.5:
                await asyncio.to_thread(self.supply.here.wait, 5.0)
            if fault:
                self.supply.arm(fault, count)
            await self._one(f"{number}: {kind.__name__.strip('_')} with {fault or 'nothing'}", fault, kind)
        return self.outcome

    async def _one(self, what: str, fault: str, kind: Exchange) -> None:
        await self.outcome.make(
            what, kind, away=self.supply.away, deadline=DEADLINE,
            fault=fault, disarm=self.supply.disarm, allowed=lambda happened, _: FAULTS.get(happened, ()),
        )  # fmt: skip

    # --- exchanges: each returns what is wrong with the value it was given ------------------------------------------

    async def _measure(self) -> str:
        since = len(self.supply.given)
        found = await self.driver.measure()
        given = self.supply.given[since:]
        for value, question in ((found.voltage, "MEAS:VOLT? (@1)"), (found.current, "MEAS:CURR? (@1)")):
            if not any(line == question and abs(value - said) < 1e-9 for line, said in given):
                return f"{value!r} is no answer to {question} of this exchange, but one of {given}"
        return ""

    async def _output(self) -> str:
        since = len(self.supply.states) - 1
        found = await self.driver.output()
        return "" if any(on is found for _, on in self.supply.states[since:]) else f"output {found}"

    async def _set(self) -> str:
        self._volts = (self._volts + 1) % 40000
        wanted = 1 + round(self._volts * 5e-5, 5)
        since = len(self.supply.states) - 1
        await self.driver.set_voltage(wanted)
        had = [volts for volts, _ in self.supply.states[since:]]
        return "" if any(abs(volts - wanted) < 0.01 for volts in had) else f"{wanted} V set without an error, had {had}"

    async def _name(self) -> str:
        session = self.driver._session
        found = await session.value("*IDN?", _identity)
        return "" if found == "Keysight Technologies,E36312A,MY12345678,2.1.0" else f"*IDN? is {found!r}"


def _identity(answer: str) -> str:
    if answer.count(",") != 3:
        raise AnswerError(f"'{answer[:60]}' is no answer to *IDN?")
    return answer


async def campaign(exchanges: int, share: float, seed: int) -> Outcome:
    """Run the campaign in this process."""
    chance = random.Random(seed)
    with FaultySupply(chance) as supply:
        options = DriverOptions(
            name="psu", driver="keysight-e36300", resource=supply.resource, channel=1,
            limits=PowerLimits(3.8, 2.0, 4.3, 0.3), extra={"timeout": TIMEOUT}, origin="campaign",
        )  # fmt: skip
        driver = await KeysightE36300.open(options)
        driver._session._identify = IDENTIFY  # of a new connection; 2 s otherwise, which would make a campaign of hours
        try:
            return await Campaign(supply, driver, chance).run(exchanges, share)
        finally:
            await driver.close()


def report(outcome: Outcome, **more: Any) -> dict[str, Any]:
    """Return the figures."""
    return {
        "campaign": "scpi-faults",
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        **more,
        **outcome.report(),
        "deadline": DEADLINE,
    }


def main() -> int:
    """Print the figures; return 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--exchanges", type=int, default=10_000)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    outcome = asyncio.run(campaign(given.exchanges, given.share, given.seed))
    seconds = round(time.monotonic() - began, 1)
    found = report(outcome, seed=given.seed, share=given.share, seconds=seconds)
    print(json.dumps(found, indent=1))
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
