"""The recipe behind a manual session: a run like every other, told what to do over a socket of its own.

Everything goes through the station's drivers with their limits, and onto the lanes; every line and its answer is a step
and a result in the journal. One request is a JSON line, its answer is one (``bench.client.session``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.client import session_radio
from bench.engine.recipe import Station, recipe
from bench.engine.station import parts_known
from bench.errors import BenchError, ConfigurationError, Refused

if TYPE_CHECKING:
    from bench.apdu.channel import LogicalChannel
    from bench.station.config import StationConfig

_OPENED: Final = ("power", "modem", "network", "console")
_LONGEST: Final = 65536
_ISD_R: Final = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
_CHAIN: Final = 256
"""GET RESPONSE commands after one command (ISO/IEC 7816-4 section 5.1.3): 64 kB."""
_BOOT: Final = 60.0
_CLOSE: Final = 0.4
"""Real seconds in which the card takes its channel back, less than what a runner that is stopped may keep still."""
_WAIT: Final = 30.0
"""Seconds of station time that one line may take."""


def _opened(station: StationConfig) -> list[str]:
    """Return what a session opens; a card that only the device itself reaches (its own IPA) is none of it."""
    known = parts_known(station)
    needs = [need for need in _OPENED if known[need]]
    return [*needs, "card"] if known["card"] and (known["modem"] or known["reader"]) else needs


_Function = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


@recipe(title="Manual session", needs=_opened, until_stopped=True)
async def session(station: Station, at: str) -> None:
    """Do what a person says, line by line, until it is stopped; then the station is made safe.

    ``at``: path of the socket to listen at. Nothing is switched on by itself.
    """
    desk = _Desk(station)
    _forget(at)
    server = await asyncio.start_unix_server(desk.connected, path=at, limit=_LONGEST)
    try:
        _private(at)
        station.result("session", {"socket": at})
        await station.stopping.wait()
    finally:
        server.close()
        for task in desk.talking:
            task.cancel()
        await asyncio.gather(*desk.talking, return_exceptions=True)
        await desk.close()
        _forget(at)


def _forget(at: str) -> None:
    with contextlib.suppress(OSError):
        Path(at).unlink()


def _private(at: str) -> None:
    Path(at).chmod(0o600)


class _Desk:
    """Carries out requests, one at a time."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.talking: set[asyncio.Task[Any]] = set()
        self._one = asyncio.Lock()
        self._channel: LogicalChannel | None = None
        self._ready = False

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client."""
        task = asyncio.current_task()
        assert task is not None
        self.talking.add(task)
        try:
            while line := await reader.readline():
                answer = await self.answer(line)
                writer.write(json.dumps(answer, default=str).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass
        finally:
            self.talking.discard(task)
            writer.close()

    async def answer(self, line: bytes) -> Mapping[str, Any]:
        """Carry out one request; what goes wrong is the answer, never the end of the session."""
        try:
            request = json.loads(line)
            op = request["op"]
            function = {
                "at": self._at,
                "apdu": self._apdu,
                "scpi": self._scpi,
                "console": self._console,
                "network": self._network,
                "output": self._output,
                "voltage": self._voltage,
                "current": self._current,
                "reading": self._reading,
            }[op]
        except (ValueError, KeyError, TypeError) as error:
            return {"error": f"this is no request: {error!r}", "where": "session", "hint": ""}
        if op == "output" and request.get("on") is False:
            return await self._done(op, function, request)  # off waits for nothing that is under way
        async with self._one:
            return await self._done(op, function, request)

    async def _done(self, op: str, function: _Function, request: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            if op == "reading":
                return {"ok": True, **await function(request)}
            async with self.station.step(op, decisive=False):
                told = await function(request)
            self.station.result("line", {"request": request, "answer": told})
            return {"ok": True, **told}
        except (BenchError, TimeoutError) as error:
            said = {"error": getattr(error, "what", "") or str(error) or "no answer in time"}
            said |= {"where": getattr(error, "where", ""), "hint": getattr(error, "hint", "")}
            self.station.result("line", {"request": request, "answer": said})
            return said
        except (KeyError, TypeError, ValueError) as error:
            return {"error": f"this request is wrong: {error}", "where": "session", "hint": ""}

    async def close(self) -> None:
        """Give the card's channel back."""
        channel, self._channel = self._channel, None
        if channel is not None:
            with contextlib.suppress(BenchError, TimeoutError):
                async with asyncio.timeout(_CLOSE):  # a device without power answers nothing
                    await channel.close()

    async def _booted(self) -> None:
        """Wait for the modem once after each switching on; a device without power is told as it is."""
        if self._ready or not self.station.has("modem"):
            return
        if self.station.has("power") and not await self.station.power.output():
            raise Refused("the device has no power", where=self.station.name, hint="o switches its output on")
        await self.station.modem.wait_ready(timeout=_BOOT)
        self._ready = True

    async def _at(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._booted()
        lines = await self.station.modem.command(str(request["line"]), timeout=float(request.get("timeout", _WAIT)))
        return {"lines": list(lines) or ["OK"]}

    async def _apdu(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            command = bytes.fromhex(str(request["line"]))
        except ValueError:
            raise ConfigurationError("this is no hexadecimal", where=str(request["line"]), hint="80CA9F7F00") from None
        if len(command) < 4:
            raise ConfigurationError("this is no APDU", where=command.hex(), hint="CLA INS P1 P2 at least")
        await self._booted()
        if self._channel is None:
            self._channel = await self.station.card.open_channel(_ISD_R)
        try:
            answer = await self._channel.transmit(command, timeout=_WAIT)
            if len(answer) == 2 and answer[0] == 0x6C:
                answer = await self._channel.transmit(command[:4] + answer[1:], timeout=_WAIT)
            data = answer[:-2]
            for _ in range(_CHAIN):
                if answer[-2] != 0x61:
                    break
                answer = await self._channel.transmit(bytes((0, 0xC0, 0, 0, answer[-1])), timeout=_WAIT)
                data += answer[:-2]
            answer = data + answer[-2:]
        except BenchError:
            self._channel = None  # a reset takes the channel with it: the next line opens one again
            raise
        return {"lines": [answer.hex().upper()]}

    async def _scpi(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        query = getattr(self.station.power, "query", None)
        if query is None:
            raise Refused("this supply's driver takes no lines", where=self.station.name, hint="o, 0 and v switch it")
        return {"lines": [str(await query(str(request["line"])))]}

    async def _console(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        console = self.station.console
        before = console.mark()
        await console.send(str(request["line"]))
        await self.station.clock.sleep(0.5)
        return {"lines": list(console.tail(8)), "matches": console.mark() - before}

    async def _network(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"lines": await session_radio.carry_out(self.station, str(request["line"]))}

    async def _output(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        on = request["on"]
        if not isinstance(on, bool):
            raise ValueError("on is true or false")
        await self.station.power.set_output(on)
        self._ready = False
        self._channel = None
        return {"lines": [f"output {'on' if await self.station.power.output() else 'off'}"], **await self._reading({})}

    async def _voltage(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        await self.station.power.set_voltage(float(request["value"]))
        return {"lines": [f"{float(request['value']):g} V programmed"]}

    async def _current(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        await self.station.power.set_current_limit(float(request["value"]))
        return {"lines": [f"{float(request['value']):g} A is the limit"]}

    async def _reading(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self.station.has("power"):
            return {}
        power = self.station.power
        reading = await power.measure()
        return {"on": await power.output(), "volts": reading.voltage, "amps": reading.current}


def place() -> str:
    """Return a path for the socket of a new session: short, in a folder of this user alone. Raises OSError."""
    base = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"
    if len(base) > 60 or not os.access(base, os.W_OK):
        base = "/tmp"
    folder = Path(base) / f"esim-bench-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if found.st_uid != os.getuid() or folder.is_symlink() or not folder.is_dir():
        raise PermissionError(1, f"{folder} belongs to somebody else")
    return str(folder / f"{os.urandom(6).hex()}-session")
