"""The device under test as a recipe uses it: reset, power key, battery, console commands, firmware and flashing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.errors import ConfigurationError, DeviceFailure, InstrumentError, InstrumentTimeout, Refused
from bench.station.dut import DutConfig
from bench.station.interfaces import PowerCycle

if TYPE_CHECKING:
    from bench.engine.station import Station
    from bench.station.dut_parts import Console, OutputLines

_PULSE: Final = 0.2
"""Seconds of a reset pulse."""
_DEAD_WITHIN: Final = 30.0
_VERSION_WITHIN: Final = 30.0
_TAIL: Final = 2000
"""Characters of the flash program's output that an error shows."""


@dataclass(frozen=True, slots=True)
class Flashed:
    """What a flash step did. ``before`` and ``after`` are versions as the device tells them, empty when it does not."""

    image: str
    sha256: str
    before: str
    after: str
    elapsed: float


class Dut:
    """What the station can do to its device (``station.dut``)."""

    def __init__(self, station: Station, config: DutConfig, lines: dict[str, OutputLines]) -> None:
        self.config = config
        self._station = station
        self._lines = lines

    # --- lines ----------------------------------------------------------------------------------------------------

    def has(self, line: str) -> bool:
        """Whether ``reset``, ``boot``, ``power_key`` or ``battery`` is wired."""
        return self.config.line(line) is not None

    async def assert_line(self, name: str, active: bool) -> None:
        """Bring a line to its active level, or let go of it. Raises Refused when it is not wired, InstrumentError."""
        line = self.config.line(name)
        if line is None:
            raise Refused(
                f"the {name.replace('_', ' ')} line of station {self._station.name} is not wired",
                where=self.config.origin,
                hint=f'dut = {{ {name} = "INSTRUMENT:LINE" }}',
            )
        await self._lines[line.instrument].set_line(line.line, active is not line.inverted)

    async def pulse(self, name: str, seconds: float = _PULSE) -> None:
        """Assert a line for ``seconds`` of station time; it is let go of whatever happens meanwhile."""
        await self.assert_line(name, True)
        try:
            await self._station.clock.sleep(seconds)
        finally:
            await self.assert_line(name, False)

    async def reset(self, *, boot: bool = False) -> None:
        """Pulse the reset line; with ``boot`` its boot pin is held meanwhile, so that it starts its loader."""
        if not boot:
            await self.pulse("reset")
            return
        await self.assert_line("boot", True)
        try:
            await self.pulse("reset")
            await self._station.clock.sleep(_PULSE)
        finally:
            await self.assert_line("boot", False)

    async def power_cycle(
        self, *, hold: float = 2.0, while_off: Callable[[], Awaitable[object]] | None = None
    ) -> PowerCycle:
        """Take every supply from the device until its rail is dead, restore it; the battery, where it is switched, too.

        ``while_off`` is awaited while the rail is dead; ``hold`` in seconds of station time is the least it stays so.
        Raises Refused for a battery that no relay disconnects: its rail cannot be made dead.
        """
        if self.config.battery is True:
            raise Refused(
                "the device has a battery that nothing disconnects: its power cannot be cycled",
                where=self.config.origin,
                hint='wire a relay: dut = { battery = "relay1:0" }',
            )
        with_battery = self.has("battery")
        if with_battery:
            await self.assert_line("battery", False)
        try:
            cycle = await self._cycle(hold, while_off)
        finally:
            if with_battery:
                await self.assert_line("battery", True)
        if self.has("power_key"):
            await self.pulse("power_key", 1.0)
        return cycle

    async def _cycle(self, hold: float, while_off: Callable[[], Awaitable[object]] | None) -> PowerCycle:
        power, clock = self._station.power, self._station.clock
        if while_off is None:
            return await power.cycle(hold=hold)
        began = clock.now()
        await power.set_output(False)
        dead = await power.wait_dead(timeout=_DEAD_WITHIN)
        await while_off()
        await clock.sleep(max(0.0, began + dead + hold - clock.now()))
        await power.set_output(True)
        return PowerCycle(dead, clock.now() - began)

    # --- console --------------------------------------------------------------------------------------------------

    def console_for(self, command: str) -> Console | None:
        """Return the console that has a command, None when none has."""
        return next((item for item in self._station.consoles.values() if item.accepts(command)), None)

    async def command(self, name: str, **values: str) -> None:
        """Type a command of bench.toml. Raises Refused when no console has it, InstrumentError."""
        console = self.console_for(name)
        if console is None:
            raise Refused(
                f"no console has the command '{name}'",
                where=self.config.origin,
                hint=f'dut.console.NAME.commands.{name} = "what is typed for it"',
            )
        await console.command(name, **values)

    async def firmware(self, *, since: float = 0.0) -> str:
        """Return the firmware's version: asked on the console, or as it was said at boot; '' when it does not tell.

        Records it. Raises DeviceFailure when another version is pinned (``dut.firmware``).
        """
        console = next((item for item in self._station.consoles.values() if item.knows("firmware")), None)
        if console is None:
            return ""
        after = 0
        if console.accepts("version"):
            after = console.mark()
            await console.command("version")
        try:
            found = await console.wait("firmware", timeout=_VERSION_WITHIN, since=since, after=after)
        except DeviceFailure:
            if self.config.firmware:
                raise
            return ""
        version = found.values.get("version", found.line)
        self._station.identify("firmware", version, source="console")
        if self.config.firmware and version != self.config.firmware:
            raise DeviceFailure(
                f"the device runs firmware {version}, not {self.config.firmware}",
                where=f"console:{console.name}",
                hint="flash it, or correct 'firmware' in bench.toml",
            )
        return version

    # --- flashing -------------------------------------------------------------------------------------------------

    async def flash(self, image: Path, *, boot_within: float = 120.0) -> Flashed:
        """Put an image into the device by the program of bench.toml; the recipe declares the effect ``flashes``.

        Records SHA-256 and versions before and after. Times are real seconds for the program, station time for the
        boot. Raises ConfigurationError, InstrumentTimeout, InstrumentError with the end of what the program said, and
        DeviceFailure when the device does not start.
        """
        config = self.config.flash
        if config is None:
            raise ConfigurationError(
                f"station {self._station.name} cannot flash its device",
                where=self.config.origin,
                hint='dut = { flash = { command = ["...", "{image}"] } }',
            )
        try:
            digest = hashlib.sha256(await asyncio.to_thread(image.read_bytes)).hexdigest()
        except OSError as error:
            raise ConfigurationError(
                f"the image cannot be read: {error.strerror}",
                where=str(image),
                hint="give the path of the image that is to be flashed",
            ) from error
        self._station.note(f"image {image.name}, SHA-256 {digest}")
        before = await self._told_version()
        began = self._station.clock.now()
        marks = {item.name: item.mark() for item in self._station.consoles.values()}
        await _run([part.replace("{image}", str(image)) for part in config.command], config.timeout)
        console = next((item for item in self._station.consoles.values() if item.knows("booted")), None)
        if console is not None:
            await console.wait("booted", timeout=boot_within, after=marks[console.name])
        after = await self._told_version()
        flashed = Flashed(str(image), digest, before, after, self._station.clock.now() - began)
        self._station.result("flashed", {"image": image.name, "sha256": digest, "before": before, "after": after})
        return flashed

    async def _told_version(self) -> str:
        """Return the version as the device says it; a device that says nothing (an erased one) has none."""
        console = next((item for item in self._station.consoles.values() if item.knows("firmware")), None)
        if console is None or not console.accepts("version"):
            return ""
        after = console.mark()
        with contextlib.suppress(DeviceFailure, InstrumentError):
            await console.command("version")
            found = await console.wait("firmware", timeout=_VERSION_WITHIN, after=after)
            return found.values.get("version", found.line)
        return ""


async def _run(command: list[str], timeout: float) -> None:
    """Run the flash program in a process group of its own; nothing of it is left when it takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise InstrumentError(
            f"the flash program cannot be started: {error.strerror}", where=command[0], hint="is it installed?"
        ) from error
    tail = bytearray()

    async def read() -> None:
        assert process.stdout is not None
        while chunk := await process.stdout.read(4096):
            tail.extend(chunk)
            del tail[: max(0, len(tail) - _TAIL)]

    try:
        async with asyncio.timeout(timeout):
            await read()
            code = await process.wait()
    except TimeoutError:
        raise InstrumentTimeout(
            f"the flash program did not end within {timeout:g} s",
            where=command[0],
            hint="is the programmer connected? dut.flash.timeout in bench.toml gives it longer",
        ) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code != 0:
        said = tail.decode(errors="replace").strip()
        raise InstrumentError(
            f"the flash program ended with exit code {code}:\n{said}",
            where=command[0],
            hint="run it by hand with the same image; dut.flash.command in bench.toml is what was run",
        )
