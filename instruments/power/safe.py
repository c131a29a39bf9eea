"""Switching a channel off over a fresh blocking connection: for the safe process, which has no event loop."""

from __future__ import annotations

import time

from bench.errors import BenchError, InstrumentError
from bench.station.drivers import SafeResult
from bench.station.interfaces import SafeAction
from bench.station.transactions import URGENT_WITHIN, Transactions
from instruments.power.dialects import SupplyDialect
from instruments.power.wire import output_is_on
from instruments.scpi import parse
from instruments.scpi.direct import DirectScpi

_POLL = 0.02


def make_safe(dialect: SupplyDialect, action: SafeAction, *, deadline: float) -> SafeResult:
    """Switch the output off, verified by output state and rail, within ``deadline`` real seconds. Never raises."""
    until = time.monotonic() + deadline
    reading: float | None = None
    message = ""
    while True:
        try:
            reading, message = _off(dialect, action, until, reading)
            if not message:
                return SafeResult(action.name, True, reading, f"output off, rail at {reading:.3f} V")
        except BenchError as error:
            message = str(error)
        if time.monotonic() + 0.1 >= until:
            return SafeResult(action.name, False, reading, message)
        time.sleep(0.1)


class _Channel:
    """One channel over a blocking connection."""

    def __init__(self, dialect: SupplyDialect, scpi: DirectScpi, channel: int, exchanges: Transactions | None) -> None:
        self._dialect = dialect
        self._scpi = scpi
        self._channel = channel
        self._exchanges = exchanges

    def command(self, template: str) -> None:
        line = self._dialect.line(template, self._channel)
        if self._exchanges is None:
            self._scpi.write(line)
        else:
            with self._exchanges.held_blocking(min(URGENT_WITHIN, self._scpi.left())):
                self._scpi.write(line)
                if self._dialect.manners.sync:
                    # The lock is worth something only when the instrument has done it.
                    self._scpi.query(self._dialect.manners.sync)
        if self._dialect.manners.pause:
            time.sleep(min(self._dialect.manners.pause, self._scpi.left()))

    def ask(self, template: str) -> str:
        line = self._dialect.line(template, self._channel)
        if self._exchanges is None:
            return self._scpi.query(line)
        with self._exchanges.held_blocking(min(URGENT_WITHIN, self._scpi.left())):
            return self._scpi.query(line)

    def off(self) -> None:
        for template in self._dialect.output_off:
            self.command(template)

    def on(self) -> bool:
        return all(
            output_is_on(self._dialect, query, self.ask(query), self._channel) for query in self._dialect.get_output
        )


def _off(dialect: SupplyDialect, action: SafeAction, until: float, reading: float | None) -> tuple[float | None, str]:
    """Try once; return the last voltage, and what is wrong ('' when the channel is safe)."""
    resource = str(action.options.get("resource", ""))
    dead = action.dead_voltage if action.dead_voltage is not None else 0.3
    with DirectScpi(resource, until=until) as scpi:
        identity = scpi.check_serial(str(action.options.get("serial", "")))
        exchanges = Transactions(identity, resource) if dialect.select else None
        try:
            channel = _Channel(dialect, scpi, action.channel or 1, exchanges)
            channel.off()
            while True:
                on = channel.on()
                reading = parse.number(channel.ask(dialect.measure_voltage))
                if not on and reading < dead:
                    _disarm(dialect, channel)
                    return reading, ""
                if on:
                    channel.off()
                if time.monotonic() + 2 * _POLL >= until:
                    state = "on" if on else "off"
                    return reading, f"NOT DEAD: output {state}, rail at {reading:.3f} V, not below {dead:g} V"
                time.sleep(_POLL)
        finally:
            if exchanges is not None:
                exchanges.close()


def _disarm(dialect: SupplyDialect, channel: _Channel) -> None:
    """Take a watchdog back that the dead owner had armed: the output is off, and the next run must find no trip.

    Another channel's run may rely on the same watchdog: it notices at its next feeding and arms it again.
    """
    if dialect.watchdog is not None:
        try:
            channel.command(dialect.watchdog.off)
            channel.ask(dialect.watchdog.state)  # what is closed right behind a command may lose it
        except InstrumentError:
            return  # safe it is, watchdog or not
