"""The ladder for a modem that does not answer: AT, second port, restart by command, USB, RESET_N, supply.

Each layer has its action and its deadline; the mildest that brings the modem back ends the ladder. A port that is not
there is no lock-up: the first layer waits for it as long as a modem needs to come back on USB.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, get_args

from bench.errors import BenchError, Refused
from bench.station.interfaces import PowerSupply, Recovery, RecoveryLayer, RecoveryStep
from instruments.modem import usb
from instruments.modem.errors import ModemError, ModemHung, PortGone

if TYPE_CHECKING:
    from instruments.modem.modem import AtModem
    from instruments.modem.port import AtPort

LAYERS: Final[tuple[RecoveryLayer, ...]] = get_args(RecoveryLayer)
DEADLINES: Final[dict[RecoveryLayer, float]] = {
    "at": 75.0,
    "second-port": 15.0,
    "cfun": 75.0,
    "usb": 75.0,
    "reset-line": 75.0,
    "supply": 150.0,
}
"""Seconds of station time for a layer, with the start of the modem at its end."""
_PINGS = 3
_PING = 1.0
_COMES_BACK = 60.0
"""Seconds for which a port that is gone counts as re-enumerating."""
_BLIND = 3.0
_GOES_DOWN = 10.0
_HOLD = 5.0


class _NotAvailable(Exception):
    """The station has nothing to carry this layer out with."""


class Ladder:
    """One recovery of one modem."""

    def __init__(
        self,
        modem: AtModem,
        *,
        power: PowerSupply | None,
        usb_power: PowerSupply | None,
        reset_line: Callable[[], Awaitable[None]] | None,
        report: Callable[[RecoveryStep], None] | None,
        last: RecoveryLayer,
    ) -> None:
        self._modem = modem
        self._power = power
        self._usb_power = usb_power
        self._reset_line = reset_line
        self._report = report
        self._layers = LAYERS[: LAYERS.index(last) + 1]
        self._second: AtPort | None = None
        """The second port, while it answers and the first does not."""

    async def climb(self) -> Recovery:
        """Try layer after layer. Raises ModemHung with what each came to; Refused when another modem answers."""
        actions: dict[RecoveryLayer, Callable[[], Awaitable[str]]] = {
            "at": self._at,
            "second-port": self._second_port,
            "cfun": self._cfun,
            "usb": self._usb,
            "reset-line": self._reset,
            "supply": self._supply,
        }
        steps: list[RecoveryStep] = []
        try:
            for layer in self._layers:
                step = await self._try(layer, actions[layer])
                steps.append(step)
                if self._report is not None:
                    self._report(step)
                if step.outcome == "recovered":
                    return Recovery(tuple(steps))
        finally:
            if self._second is not None:
                self._second.close()
        told = "; ".join(f"{step.layer}: {step.detail}" for step in steps)
        raise ModemHung(
            f"the modem does not come back: {told}",
            where=self._modem.port.name,
            hint="look at its supply current: none says no power, a constant one that it hangs",
        )

    async def _try(self, layer: RecoveryLayer, action: Callable[[], Awaitable[str]]) -> RecoveryStep:
        clock = self._modem.clock
        start = clock.now()
        try:
            async with clock.timeout(DEADLINES[layer]):
                detail = await action()
            return RecoveryStep(layer, "recovered", clock.now() - start, detail)
        except _NotAvailable as error:
            return RecoveryStep(layer, "not-available", clock.now() - start, str(error))
        except TimeoutError:
            detail = f"not back within {DEADLINES[layer]:g} s"
        except Refused:  # another modem than the pinned one, or a supply that must not be switched
            raise
        except BenchError as error:
            detail = error.what
        return RecoveryStep(layer, "failed", clock.now() - start, detail)

    async def _answers(self) -> bool:
        for _ in range(_PINGS):
            if await self._modem.port.ping(timeout=_PING):
                return True
        return False

    async def _start(self, timeout: float) -> None:
        """Have the modem started, initialised and known again."""
        await self._modem.wait_ready(timeout=timeout)

    async def _at(self) -> str:
        modem = self._modem
        if not modem.port.is_open:
            with contextlib.suppress(PortGone):
                modem.open_port()
        if not modem.port.is_open:
            await self._start(_COMES_BACK)
            return "the port came back"
        try:
            answered = await self._answers()
        except PortGone:
            await self._start(_COMES_BACK)
            return "the port went away and came back"
        if not answered:
            raise ModemHung(f"AT unanswered {_PINGS} times", where=modem.port.name)
        await self._start(_COMES_BACK)
        return "AT was answered"

    async def _second_port(self) -> str:
        modem = self._modem
        port = modem.second_port()
        if port is None:
            raise _NotAvailable("no second AT port is given (options second_port)")
        port.open()
        try:
            alive = await port.ping(timeout=_PING) or await port.ping(timeout=_PING)
        except BaseException:
            port.close()
            raise
        if not alive:
            port.close()
            raise ModemHung("the second port does not answer either", where=port.name)
        self._second = port  # kept for the restart, closed at the end
        if not modem.port.is_open or not await self._answers():
            raise ModemHung("the second port answers, the first one does not", where=modem.port.name)
        await self._start(DEADLINES["second-port"])
        return "the first port answers since the second was used"

    async def _cfun(self) -> str:
        modem = self._modem
        line = modem.vendor.reset
        if not line:
            raise _NotAvailable(f"{modem.vendor.name} modems have no command for a restart")
        port = self._second if self._second is not None and self._second.is_open else modem.port
        if not port.is_open:
            raise PortGone("no AT port is there to send it to", where=modem.port.name)
        modem.expect_restart()
        # Its answer may be lost with whatever hangs: what counts is that the modem restarts.
        with contextlib.suppress(ModemError, ModemHung, PortGone):
            await port.blind(line, timeout=_BLIND)
        if not await modem.restarted(_GOES_DOWN):
            modem.port.close()  # what it still had to say belongs to before
        await self._start(_COMES_BACK)
        return f"restarted by {line}" + (" on the second port" if port is not modem.port else "")

    async def _usb(self) -> str:
        modem = self._modem
        if self._usb_power is not None:
            modem.port.close()
            await self._usb_power.cycle(hold=_HOLD)
            done = "its USB power was cycled"
        else:
            device = usb.device_folder(modem.address)
            if device is None:
                raise _NotAvailable("the port is not on USB, or its device is not known")
            if not usb.may_authorise(device):
                raise _NotAvailable(f"no permission for {device}/authorized")
            modem.port.close()
            await usb.reauthorise(device, modem.clock)
            done = f"the USB device {device.name} was de-authorised and authorised again"
        await self._start(_COMES_BACK)
        return done

    async def _reset(self) -> str:
        if self._reset_line is None:
            raise _NotAvailable("the station has no line to the modem's RESET_N")
        await self._reset_line()
        await self._start(_COMES_BACK)
        return "RESET_N was pulsed"

    async def _supply(self) -> str:
        if self._power is None:
            raise _NotAvailable("no supply was given")
        self._modem.port.close()
        cycle = await self._power.cycle(hold=_HOLD)
        await self._start(_COMES_BACK)
        return f"its supply was off for {cycle.off_time:.1f} s"
