"""One channel of a supply on the wire: templates filled, the channel selected with them, answers to values."""

from __future__ import annotations

import functools
import re

from bench.errors import InstrumentError
from bench.station.drivers import DriverOptions, PowerLimits
from bench.station.power import PowerAbilities
from bench.station.transactions import Transactions
from instruments.power.dialects import SupplyDialect
from instruments.power.tables import GENERIC
from instruments.scpi import parse
from instruments.scpi.parse import AnswerError
from instruments.scpi.session import ScpiSession


def differ(found: float, wanted: float) -> bool:
    """Whether a value read back is another one, beyond the resolution of a supply."""
    return abs(found - wanted) > max(0.01, 0.01 * abs(wanted))


def output_is_on(dialect: SupplyDialect, query: str, answer: str, channel: int) -> bool:
    """Read one answer of ``get_output``: 0/1, ON/OFF, or the channel's bit of a status word. Raises AnswerError."""
    if not dialect.output_bit:
        return parse.boolean(answer)
    found = re.fullmatch(r"(?:0[xX])?([0-9A-Fa-f]{1,8})", answer.strip())
    if found is None:
        raise AnswerError(f"'{answer.strip()[:60]}' is no status word", where=query)
    return bool(int(found[1], 16) >> dialect.output_bit[channel] & 1)


def plain(answer: str, begins: str) -> str:
    """Return an answer without the name it must begin with: ``V1 5.000`` of an Aim-TTi. Raises AnswerError."""
    text = answer.strip()
    if not text.upper().startswith(begins.upper()):
        raise AnswerError(f"'{text[:60]}' does not begin with '{begins.strip()}': it answers another question")
    return text[len(begins) :].strip()


class SupplyWire:
    """What every part of a supply driver says things with."""

    dialect: SupplyDialect = GENERIC

    def __init__(
        self, options: DriverOptions, session: ScpiSession, limits: PowerLimits, dialect: SupplyDialect | None = None
    ) -> None:
        self.dialect = dialect or type(self).dialect
        self.identity = session.identity
        self.channel = options.channel
        self.limits = limits
        self.abilities: PowerAbilities = self.dialect.abilities_of(session.identity.model)
        self._options = options
        self._session = session
        self._clock = options.clock
        self._voltage = limits.voltage
        self._current = limits.current_limit
        self._exchanges: Transactions | None = None
        if self.dialect.select:
            self._exchanges = Transactions(session.identity, options.resource)
            session.guard = self._exchanges.held

    @property
    def where(self) -> str:
        """Instrument and channel, for messages."""
        return f"{self._options.name} channel {self.channel}"

    async def close(self) -> None:
        """Release the connection; the output stays as it is."""
        await self._session.close()
        if self._exchanges is not None:
            self._exchanges.close()

    def _line(self, template: str, value: float = 0.0) -> str:
        return self.dialect.line(template, self.channel, value)

    async def _command(self, template: str, value: float = 0.0, *, urgent: bool = False, sync: bool = True) -> None:
        await self._session.write(self._line(template, value), urgent=urgent, sync=sync)

    async def _yes(self, template: str) -> bool:
        return await self._session.value(self._line(template), parse.boolean)

    async def _number(self, template: str, begins: str = "") -> float:
        name = begins.format(n=self.channel)
        return await self._session.value(self._line(template), lambda answer: parse.number(plain(answer, name)))

    async def _is_on(self, *, urgent: bool = False) -> bool:
        """Whether the supply says that the output is on: all of its answers are a yes."""
        for query in self.dialect.get_output:
            read = functools.partial(output_is_on, self.dialect, self._line(query), channel=self.channel)
            if not await self._session.value(self._line(query), read, urgent=urgent):
                return False
        return True

    def _same(self, what: str, wanted: float, found: float, unit: str) -> None:
        if differ(found, wanted):
            raise InstrumentError(
                f"{what} was set to {wanted:g} {unit}, but {found:g} {unit} is read back",
                where=self.where,
                hint="is the value within the range of this channel?",
            )
