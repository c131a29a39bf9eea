"""Traffic beside a recipe: what a device's applications would have noticed (UDP, TCP, a tunnel), and what it has drawn.

The peer is an echo server (RFC 862) that the device reaches over its data path: every answer is a proof that both
directions work. Times are seconds of station time.
"""

from __future__ import annotations

import asyncio
import itertools
import traceback
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.engine.recipe import Station
from bench.errors import BenchError, InstrumentError
from bench.station.datagrams import DatagramStream, open_datagrams
from bench.station.interfaces import ByteStream

OPEN_WITHIN = 20.0
"""Seconds for one try to open a socket: a lost SYN is sent again after 1, 3 and 7 s (RFC 6298)."""
TCP_PATIENCE = 20.0
"""Seconds without an answer after which an application gives a TCP connection up."""
REKEY_TIMEOUT, KEEPALIVE_TIMEOUT, REJECT_AFTER = 5.0, 10.0, 180.0
"""Seconds of WireGuard (its white paper, section 6.1): between two handshakes; until an unanswered session is
suspected, with the former; life of a session's keys."""
SIZE = 64
"""Bytes of a message."""


@dataclass
class Traffic:
    """What one probe has sent and got back."""

    name: str
    sent: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)
    opened: int = 0
    last_error: str = ""

    def outage(self, begin: float) -> tuple[float, float] | None:
        """Return the last answer before and the first after the longest silence since ``begin``, None without both."""
        times = sorted(self.answered.values())
        pairs = [(a, b) for a, b in itertools.pairwise(times) if b >= begin]
        return max(pairs, key=lambda pair: pair[1] - pair[0], default=None)

    def lost(self, begin: float, end: float) -> tuple[int, int]:
        """Return how many messages sent from ``begin`` to ``end`` had no answer, and how many were sent."""
        sent = [number for number, moment in self.sent.items() if begin <= moment < end]
        return sum(number not in self.answered for number in sent), len(sent)

    def answered_since(self, moment: float) -> bool:
        """Return whether a message sent after ``moment`` was answered."""
        return any(number in self.answered for number, sent in self.sent.items() if sent >= moment)


class Probe(ABC):
    """Sends a numbered message every ``interval`` seconds (of station time) and notes what comes back."""

    def __init__(self, station: Station, name: str, host: str, port: int, interval: float) -> None:
        self.traffic = Traffic(name)
        self._station, self._clock = station, station.clock
        self._host, self._port, self._interval = host, port, interval
        self._number = 0

    async def run(self) -> None:
        """Send until cancelled; what breaks is opened again."""
        while True:
            try:
                await self._session()
            except (BenchError, TimeoutError) as error:
                self.traffic.last_error = str(error) or type(error).__name__
                self._message()  # what the application would have sent now is lost too
            await self._clock.sleep(self._interval)

    @abstractmethod
    async def _session(self) -> None:
        """Use one socket until it breaks. Raises BenchError or TimeoutError then: it is opened again."""

    def _message(self, kind: int = 4) -> bytes:
        self._number += 1
        self.traffic.sent[self._number] = self._clock.now()
        return (bytes([kind]) + self._number.to_bytes(8, "big")).ljust(SIZE, b".")

    def _answer(self, data: bytes) -> int:
        """Note the answer to a message; return its kind, 0 for anything else."""
        if len(data) != SIZE:
            return 0
        number = int.from_bytes(data[1:9], "big")
        if number not in self.traffic.sent:
            return 0
        self.traffic.answered.setdefault(number, self._clock.now())
        return data[0]


class UdpProbe(Probe):
    """A UDP application without a protocol of its own: one socket, opened again when it has gone with the bearer."""

    async def _session(self) -> None:
        stream = await open_datagrams(self._station.data, self._host, self._port, timeout=OPEN_WITHIN)
        self.traffic.opened += 1
        gone: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive(stream))
                while True:
                    self._send(stream)
                    await self._clock.sleep(self._interval)
        except* BenchError as errors:
            gone = errors.exceptions[0]
        finally:
            stream.close()
        # Not raised in the clause itself: Python before 3.11.4 wraps what is raised there in a group.
        raise InstrumentError(str(gone), where=self._station.data.bearer)

    def _send(self, stream: DatagramStream) -> None:
        stream.send(self._message())

    async def _receive(self, stream: DatagramStream) -> None:
        while True:
            self._received(await stream.receive())

    def _received(self, data: bytes) -> None:
        self._answer(data)


class TunnelProbe(UdpProbe):
    """A tunnel that behaves as WireGuard: keys outlive sockets and addresses, an unanswered session is handshaken anew.

    The far end answers from wherever the last packet came, so that a new address needs no handshake while the keys
    live; ``handshakes`` counts those that were sent.
    """

    def __init__(self, station: Station, name: str, host: str, port: int, interval: float) -> None:
        super().__init__(station, name, host, port, interval)
        self.handshakes = 0
        self.sessions = 0
        self._since: float | None = None
        self._heard = 0.0
        self._shaken = float("-inf")

    def _send(self, stream: DatagramStream) -> None:
        now = self._clock.now()
        alive = self._since is not None and now - self._since < REJECT_AFTER
        silent = now - self._heard > KEEPALIVE_TIMEOUT + REKEY_TIMEOUT
        if (not alive or silent) and now - self._shaken >= REKEY_TIMEOUT:
            self._shaken = now
            self.handshakes += 1
            stream.send(self._message(1))
        if alive:
            stream.send(self._message(4))

    def _received(self, data: bytes) -> None:
        kind = self._answer(data)
        if not kind:
            return
        self._heard = self._clock.now()
        if kind == 1:
            self._since = self._heard
            self.sessions += 1


class TcpProbe(Probe):
    """A TCP application: a message and its answer, then the next; a connection that is silent too long is given up."""

    async def _session(self) -> None:
        stream = await self._station.data.connect(self._host, self._port, timeout=OPEN_WITHIN)
        self.traffic.opened += 1
        try:
            while True:
                message = self._message()
                async with self._clock.timeout(TCP_PATIENCE):
                    await stream.write(message)
                    self._answer(await _exactly(stream, len(message)))
                await self._clock.sleep(self._interval)
        finally:
            await stream.close()


async def _exactly(stream: ByteStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = await stream.read(count - len(data))
        if not chunk:
            raise InstrumentError(
                "the server closed the connection",
                where="echo",
                hint="an echo server (RFC 862) keeps a connection open: is it one?",
            )
        data += chunk
    return data


# --- beside a recipe --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def running(*probes: Probe) -> AsyncIterator[None]:
    """Run probes beside the block; what they have seen is in their ``traffic``.

    Raises InstrumentError at once, the block being cancelled, when a probe breaks by anything but its sockets: without
    it nothing would be measured, and the block would wait for answers in vain.
    """
    async with beside({f"probe {probe.traffic.name}": probe.run() for probe in probes}):
        yield


@asynccontextmanager
async def beside(work: Mapping[str, Coroutine[Any, Any, object]]) -> AsyncIterator[list[asyncio.Task[object]]]:
    """Run coroutines beside the block, by names for people; they are cancelled when it ends.

    Should one of them raise, the block is cancelled and the error raised in its place: a BenchError as it is, anything
    else as an InstrumentError that names the fault with file and line. A block that fails by itself keeps its error.
    """
    parent = asyncio.current_task()
    assert parent is not None
    faults: list[tuple[str, BaseException]] = []
    tasks = [asyncio.create_task(coroutine, name=name) for name, coroutine in work.items()]
    over = False

    def ended(task: asyncio.Task[object]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        faults.append((task.get_name(), error))
        if not over:
            parent.cancel()

    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield tasks
    except BaseException as error:
        if not faults:
            raise
        if parent.uncancel() > 0 and isinstance(error, asyncio.CancelledError):
            raise  # somebody else wants this ended as well
    finally:
        over = True
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
    if faults:
        raise _fault(*faults[0]) from faults[0][1]


def _fault(name: str, error: BaseException) -> BenchError:
    """Return the error of a coroutine that broke; of a group, that of its first member."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BenchError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    return InstrumentError(
        f"the {name} broke: {type(error).__name__}: {error}",
        where=f"{frames[-1].filename}:{frames[-1].lineno}" if frames else name,
        hint="a fault of the bench, not of the device: what was measured beside it says nothing",
    )


# --- what the device draws --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Drawn:
    """What went into the device: ampere seconds, joules, seconds; the highest current seen in amperes."""

    charge: float = 0.0
    energy: float = 0.0
    duration: float = 0.0
    peak: float = 0.0
    samples: int = 0

    @property
    def milliampere_hours(self) -> float:
        """Charge in mAh."""
        return self.charge / 3.6

    @property
    def mean_current(self) -> float:
        """Amperes."""
        return self.charge / self.duration if self.duration else 0.0


class Meter:
    """Integrates what the supply measures, every ``interval`` seconds, by the trapezoidal rule."""

    def __init__(self, station: Station, interval: float) -> None:
        self._power, self._clock, self._interval = station.power, station.clock, interval

    @asynccontextmanager
    async def measuring(self) -> AsyncIterator[Drawn]:
        """Measure while the block runs; its first and last moments are samples.

        Raises InstrumentError at once when the supply cannot be asked any more: the block is cancelled.
        """
        drawn = Drawn()
        last = await self._sample(drawn, None)
        stop = asyncio.Event()

        async def run() -> None:
            sample = last
            while not stop.is_set():
                await self._clock.sleep(self._interval)
                sample = await self._sample(drawn, sample)

        async with beside({"meter": run()}) as (task,):
            yield drawn
            stop.set()
            await task

    async def _sample(self, drawn: Drawn, last: tuple[float, float, float] | None) -> tuple[float, float, float]:
        reading = await self._power.measure()
        now = self._clock.now()
        if last is not None:
            before, current, watts = last
            drawn.charge += (now - before) * (current + reading.current) / 2
            drawn.energy += (now - before) * (watts + reading.voltage * reading.current) / 2
            drawn.duration += now - before
        drawn.peak = max(drawn.peak, reading.current)
        drawn.samples += 1
        return now, reading.current, reading.voltage * reading.current
