"""What a modem keeps in its own memory: RATs, bands, SIM slot, PSM and eDRX. Written, made to hold, and read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.errors import ConfigurationError, DeviceFailure, Refused
from bench.station.interfaces import ExtendedDrx, PowerSaving
from instruments.modem import timers
from instruments.modem.errors import ModemError
from instruments.modem.lines import fields_of, name_of
from instruments.modem.vendor import Holds

if TYPE_CHECKING:
    from instruments.modem.modem import AtModem

_RESTART = 90.0
_HIGHEST_BAND = 128
_ACTS = {"4": "LTE-M", "5": "NB-IoT"}
"""<AcT-type> of 27.007 section 7.40: WB-S1 and NB-S1. WB-S1 is LTE-M, and LTE of higher categories too."""


async def rats(modem: AtModem) -> tuple[str, ...]:
    """Return the RATs the modem may use. Raises Refused, ModemError."""
    control = modem.vendor.rat_control
    if control is None:
        raise _unknown(modem, "the RATs")
    return await modem.ask(control.read)


async def set_rats(modem: AtModem, wanted: Sequence[str]) -> None:
    """Let the modem use these RATs only. Raises ConfigurationError before anything is sent, DeviceFailure."""
    control = modem.vendor.rat_control
    if control is None:
        raise _unknown(modem, "the RATs")
    if not wanted or len(set(wanted)) != len(wanted) or not set(wanted) <= set(control.known):
        raise ConfigurationError(
            f"{modem.vendor.name} modems have {', '.join(control.known)}, not {', '.join(wanted) or 'no RAT at all'}"
        )
    await _apply(modem, control.write(wanted), control.holds)
    found = await modem.ask(control.read)
    if set(found) != set(wanted):
        raise DeviceFailure(
            f"the modem uses {', '.join(found) or 'nothing known'} after it was set to {', '.join(wanted)}",
            where=control.read.lines[0],
        )


async def bands(modem: AtModem) -> Mapping[str, tuple[int, ...]]:
    """Return the bands by RAT. Raises Refused, ModemError."""
    control = modem.vendor.band_control
    if control is None:
        raise _unknown(modem, "the bands")
    return await modem.ask(control.read)


async def set_bands(modem: AtModem, wanted: Mapping[str, Sequence[int]]) -> None:
    """Let the modem use these bands only. Raises ConfigurationError before anything is sent, DeviceFailure."""
    control = modem.vendor.band_control
    if control is None:
        raise _unknown(modem, "the bands")
    if control.write is None:
        raise Refused(
            f"the bands of {modem.vendor.name} modems can be read, but not set without the integrator's password",
            where=modem.port.name,
        )
    for rat, own in wanted.items():
        if not own or not all(1 <= band <= _HIGHEST_BAND for band in own):
            raise ConfigurationError(f"bands of {rat} are numbers from 1 to {_HIGHEST_BAND}, at least one")
    before = await modem.ask(control.read)
    for rat in wanted:
        if rat not in before:
            raise ConfigurationError(f"the modem has no bands of {rat}, but of {', '.join(before) or 'no RAT'}")
    asked = {rat: tuple(sorted(set(own))) for rat, own in wanted.items()}
    await _apply(modem, control.write({**before, **asked}), control.holds)
    after = await modem.ask(control.read)
    for rat, own in asked.items():
        if tuple(sorted(after.get(rat, ()))) != own:
            raise DeviceFailure(
                f"the modem has bands {_listed(after.get(rat, ()))} of {rat} after it was set to {_listed(own)}",
                where=control.read.lines[0],
                hint="it keeps to the bands its hardware has",
            )


def _listed(own: Sequence[int]) -> str:
    return ", ".join(map(str, own)) or "none"


async def slot(modem: AtModem) -> int:
    """Return the selected slot. Raises DeviceFailure for an answer without one."""
    control = modem.vendor.slot_control
    if control is None:
        return 1
    found = await modem.ask(control.read)
    if found < 1:
        raise DeviceFailure("the modem does not say which SIM slot it uses", where=control.read.lines[0])
    return found


async def select_slot(modem: AtModem, wanted: int, *, timeout: float) -> None:
    """Select a slot and verify it. Raises Refused where the modem has one slot only, DeviceFailure."""
    control = modem.vendor.slot_control
    if control is None:
        if wanted != 1:
            raise Refused(
                f"no command for SIM slot {wanted} of {modem.vendor.name} modems is known",
                where=modem.port.name,
                hint="slot = 1, or a SIM switch",
            )
        return
    if not 1 <= wanted <= control.slots:
        raise ConfigurationError(f"{modem.vendor.name} modems have SIM slots 1 to {control.slots}, not {wanted}")
    if await slot(modem) != wanted:
        await _apply(modem, control.write(wanted), control.holds)
        found = await slot(modem)
        if found != wanted:
            raise DeviceFailure(f"the modem uses SIM slot {found}, not {wanted}", where=control.read.lines[0])
    await modem.wait_sim_ready(timeout=timeout)


async def _apply(modem: AtModem, lines: Sequence[str], holds: Holds) -> None:
    """Send what changes a setting and have it hold; the radio is on again afterwards, whatever happens."""
    if holds == "radio-off":
        await modem.command(modem.vendor.radio_off)
    try:
        for line in lines:
            await modem.command(line)
    finally:
        if holds == "radio-off":
            await modem.command("AT+CFUN=1")
    if holds == "restart":
        await modem.reset(timeout=_RESTART)
    if "AT+COPS=2" in lines:
        await modem.command("AT+COPS=0")


def _unknown(modem: AtModem, what: str) -> Refused:
    return Refused(
        f"no command for {what} of {modem.vendor.name} modems is known",
        where=modem.port.name,
        hint="name the driver of its family in bench.toml" if modem.vendor.name == "generic" else "",
    )


# --- PSM and eDRX -----------------------------------------------------------------------------------------------------


async def power_saving(modem: AtModem) -> PowerSaving:
    """Read ``+CPSMS: <mode>,,,"<T3412 extended>","<T3324>"`` (27.007 section 7.38)."""
    for line in await modem.command("AT+CPSMS?"):
        if name_of(line) == "+CPSMS":
            fields = fields_of(line)
            bits = (fields + [""] * 5)[3:5]
            return PowerSaving(fields[0] == "1", timers.periodic_tau(bits[0]), timers.active_time(bits[1]))
    raise DeviceFailure("the modem does not say whether it requests PSM", where="AT+CPSMS?")


async def set_power_saving(modem: AtModem, setting: PowerSaving) -> PowerSaving:
    """Request PSM. Raises ConfigurationError for times no code is long enough for, DeviceFailure when it did not hold.

    A time that is None is left out: the modem, or the network, chooses.
    """
    if not setting.enabled:
        await modem.command("AT+CPSMS=0")
    else:
        try:
            tau = "" if setting.periodic_tau is None else f'"{timers.periodic_tau_code(setting.periodic_tau)}"'
            active = "" if setting.active_time is None else f'"{timers.active_time_code(setting.active_time)}"'
        except ValueError as error:
            raise ConfigurationError(f"PSM: {error}") from error
        await modem.command(f"AT+CPSMS=1,,,{tau},{active}".rstrip(","))
    found = await power_saving(modem)
    if found.enabled is not setting.enabled:
        raise DeviceFailure(f"PSM is {'on' if found.enabled else 'off'} after it was set", where="AT+CPSMS?")
    return found


async def extended_drx(modem: AtModem) -> tuple[ExtendedDrx, ...]:
    """Read +CEDRXS (27.007 section 7.40) and, where the modem has it, +CEDRXRDP (section 7.41)."""
    found: dict[str, ExtendedDrx] = {}
    for line in await modem.command("AT+CEDRXS?"):
        act, *rest = fields_of(line)
        if name_of(line) == "+CEDRXS" and act in _ACTS:
            requested = timers.cycle(rest[0], narrow=act == "5") if rest else None
            found[act] = ExtendedDrx(_ACTS[act], requested)
    try:
        granted = await modem.command("AT+CEDRXRDP")
    except ModemError:
        granted = []
    for line in granted:
        values = [*fields_of(line), "", "", ""]
        act = values.pop(0)
        if name_of(line) == "+CEDRXRDP" and act in _ACTS:
            narrow = act == "5"
            requested = found[act].requested if act in found else timers.cycle(values[0], narrow=narrow)
            found[act] = ExtendedDrx(
                _ACTS[act],
                requested,
                timers.cycle(values[1], narrow=narrow),
                timers.paging_window(values[2], narrow=narrow),
            )
    return tuple(found.values())


async def set_extended_drx(modem: AtModem, rat: str, cycle: float | None) -> None:
    """Request an eDRX cycle. Raises ConfigurationError for a RAT or a time that is none."""
    act = {"LTE": "4", "LTE-M": "4", "NB-IoT": "5"}.get(rat)
    if act is None:
        raise ConfigurationError(f"there is no eDRX on {rat}", hint="LTE, LTE-M or NB-IoT")
    if cycle is None:
        await modem.command(f"AT+CEDRXS=0,{act}")
        return
    try:
        code = timers.cycle_code(cycle, narrow=act == "5")
    except ValueError as error:
        raise ConfigurationError(f"eDRX: {error}") from error
    await modem.command(f'AT+CEDRXS=2,{act},"{code}"')
    found = {item.rat: item.requested for item in await extended_drx(modem)}
    if found.get(_ACTS[act]) != timers.cycle(code, narrow=act == "5"):
        raise DeviceFailure(f"the modem requests an eDRX cycle of {found.get(_ACTS[act])} s", where="AT+CEDRXS?")
