"""A SIM switch that is a person: driver ``ask``. The card is put where it is wanted by hand, and the person says so.

Whether it is really there is not believed but looked for by the caller: the reader sees a card, the modem says READY.
An unattended run is refused before anything is touched (``bench.engine.checks``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.errors import ConfigurationError, InstrumentError, Refused
from bench.station.drivers import DriverOptions
from bench.station.interfaces import CardPlace, Identity
from bench.trace.lane import Direction

if TYPE_CHECKING:
    from bench.station.dut_parts import Asker
    from bench.station.interfaces import SimSwitch

    def _fits(switch: AskSwitch) -> SimSwitch:
        return switch


_PLACES: Final[tuple[CardPlace, CardPlace]] = ("reader", "modem")


class AskSwitch:
    """A SIM switch (interfaces.SimSwitch). ``asker`` is given by who runs the recipe: its way to the person."""

    def __init__(self, options: DriverOptions, timeout: float | None) -> None:
        self.identity = Identity(model="person")
        self.asker: Asker | None = None
        self._options = options
        self._timeout = timeout
        self._place: CardPlace | None = None

    @classmethod
    async def open(cls, options: DriverOptions) -> AskSwitch:
        """Prepare; nobody is asked. Option ``timeout``: real seconds for an answer. Raises ConfigurationError."""
        extra = options.known_extra("timeout")
        timeout = extra.get("timeout")
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout < 1):
            raise ConfigurationError(f"'timeout' is {timeout!r}, seconds are due", where=options.origin)
        return cls(options, None if timeout is None else float(timeout))

    async def close(self) -> None:
        """Forget where the card is: it may be moved meanwhile."""
        self._place = None

    async def _ask(self, text: str, choices: tuple[str, ...]) -> str:
        if self.asker is None:
            raise Refused(
                "the card is moved by a person, and nobody can be asked",
                where=self._options.origin,
                hint="run it from a terminal with --attended",
            )
        self._options.lane.record(Direction.SENT, text.encode(), comment=text)
        try:
            answer = await self.asker(text, choices, timeout=self._timeout)
        except TimeoutError:
            raise InstrumentError(f"nobody answered '{text}'", where=self._options.origin) from None
        self._options.lane.record(Direction.RECEIVED, answer.encode(), comment=answer)
        return answer

    async def select(self, place: CardPlace) -> None:
        """Ask for the card to be put there. Raises InstrumentError when the person cannot, Refused without a person."""
        if self._place == place:
            return
        self._place = None
        if await self._ask(f"Put the card into the {place}.", ("done", "cannot")) != "done":
            raise InstrumentError(f"the card could not be put into the {place}", where=self._options.origin)
        self._place = place

    async def selected(self) -> CardPlace:
        """Return where the card is, as far as is known; asks when it is not. Raises Refused, InstrumentError."""
        if self._place is None:
            answer = await self._ask("Where is the card now?", _PLACES)
            self._place = "modem" if answer == "modem" else "reader"
        return self._place
