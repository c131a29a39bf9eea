"""What is checked before anything is touched: does the station have what the recipe needs, may it do what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.engine.station import parts_known
from bench.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.engine.recipe import Recipe
    from bench.station.config import BenchConfig, StationConfig

_WHY = {
    "radio": "its data path is the host's network, not the radio: set data = { path = 'interface:...' }",
    "device-ipa": "its IPA is the bench's: set ipa = 'device' when the device's own firmware polls",
    "console": "add dut = { console = { app = 'PORT' } }",
    "reset": "add dut = { reset = 'INSTRUMENT:LINE' }",
    "flash": "add dut = { flash = { command = ['...', '{image}'] } }",
    "ipa": "its IPA is the device's own, or it has no card or no data path: the bench cannot run one",
}


def why(missing: Sequence[str]) -> str:
    """Return the remedy for what a station does not have."""
    return next((_WHY[need] for need in missing if need in _WHY), f"add {missing[0]} = {{...}} to the station")


def check(
    recipe: Recipe[...],
    station: StationConfig,
    *,
    eid: str,
    attended: bool,
    clock: str | None,
    config: BenchConfig | None = None,
) -> None:
    """Raise ConfigurationError when the recipe cannot or must not run on this station as it was asked for.

    ``config``: whose eIM and SM-DP+ it would have; None: the bundled ones.
    """
    known = parts_known(station)
    needs = recipe.needs_on(station)
    missing = [need for need in needs if need != "person" and ":" not in need and not known.get(need, False)]
    if missing:
        raise ConfigurationError(
            f"recipe {recipe.name} needs {', '.join(missing)}, which station {station.name} does not have",
            where=station.origin,
            hint=why(missing),
        )
    if "person" in needs and not attended:
        raise ConfigurationError(
            f"recipe {recipe.name} asks a person, and this run is unattended",
            where=recipe.where,
            hint="run it from a terminal with --attended",
        )
    if not attended and _asks(recipe, station):
        raise ConfigurationError(
            f"station {station.name} has its card moved by a person, and this run is unattended",
            where=station.switch.origin if station.switch else station.origin,
            hint="run it from a terminal with --attended, or use a station with a switch that needs nobody",
        )
    if recipe.effects and not station.expendable and not eid:
        raise ConfigurationError(
            f"recipe {recipe.name} has effects that cannot be undone: {', '.join(recipe.effects)}",
            where=station.origin,
            hint=f"give the card's EID (--eid ...), or mark station {station.name} as expendable",
        )
    if eid:
        from bench.rsp.ids import check_eid

        if len(eid) != 32 or not eid.isascii() or not eid.isdecimal() or not check_eid(eid):
            raise ConfigurationError(f"'{eid}' is no EID", where="--eid", hint="32 digits whose check digits fit")
        if station.eid and station.eid != eid:
            raise ConfigurationError(
                f"the station is pinned to EID {station.eid}, not {eid}", where=station.origin, hint="which card is it?"
            )
    if clock is not None:
        _check_clock(station, clock)
    if config is not None and (config.eim.external or config.smdpp.external):
        from bench.station.external import refuse_unfit

        refuse_unfit(recipe.name, needs, config.eim, config.smdpp, attended=attended)


def _asks(recipe: Recipe[...], station: StationConfig) -> bool:
    """Whether the recipe would have a person move the card."""
    by_hand = station.switch is not None and station.switch.driver == "ask"
    return by_hand and not {"modem", "card", "ipa", "reader", "switch"}.isdisjoint(recipe.needs_on(station))


def _check_clock(station: StationConfig, clock: str) -> None:
    if station.world is None:
        raise ConfigurationError(
            f"station {station.name} has no simulated world whose clock could be set",
            where=station.origin,
            hint="leave --clock out: real stations run in real time",
        )
    name, _, factor = clock.partition(":")
    if name in ("real", "instant") and not factor:
        return
    try:
        if name == "scaled" and 0 < float(factor) < 1e6:
            return
    except ValueError:
        pass
    raise ConfigurationError(f"'{clock}' is no clock", where="--clock", hint="real, instant or scaled:10")
