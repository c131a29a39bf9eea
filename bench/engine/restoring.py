"""Where the instruments of a station were when a recipe was interrupted, and bringing them there again.

What a call has set is known by its name. The last setting of each kind is made again in the order in which they came;
what a later call has undone (a registration by a power cut, a PDP context by a REFRESH) is not. Time that it takes is
the bench's own and charged to no step.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bench.engine.reprogram import reprogramming
from bench.engine.steps import current

if TYPE_CHECKING:
    from bench.engine.station import Station

_SETTINGS: Final[Mapping[str, frozenset[str]]] = {
    "power": frozenset({"set_voltage", "set_current_limit", "set_protection", "set_output", "cycle"}),
    "switch": frozenset({"select"}),
    "station": frozenset({"card_to"}),
    "network": frozenset(
        {"set_cell", "set_plmn", "set_tac", "set_rat", "set_band", "set_power", "set_subscriber", "set_pdn", "reject"}
        | {"limit"}
    ),
    "attenuator": frozenset({"set_attenuation"}),
    "modem": frozenset(
        {"wait_ready", "wait_sim_ready", "select_slot", "set_rats", "set_bands", "set_power_saving"}
        | {"set_extended_drx", "define_pdp", "wait_registered", "activate_pdp"}
    ),
    "ipa": frozenset({"use"}),
}
_BY: Final = ("cell", "channel", "cid")
"""Arguments that tell two settings of one kind apart."""
_REGISTRATION: Final = ("wait_registered", "activate_pdp")
_LOSES_REGISTRATION: Final = frozenset(
    {
        ("modem", "refresh_card"), ("modem", "reset"), ("modem", "reset_card"), ("modem", "recover"),
        ("modem", "select_slot"), ("modem", "set_rats"), ("modem", "set_bands"), ("network", "detach"),
        ("switch", "select"), ("ipa", "rollback"), ("ipa", "execute_fallback"), ("ipa", "return_from_fallback"),
        ("ipa", "memory_reset"),
    }
)  # fmt: skip


class Restoring:
    """The settings that a recipe has made."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._made: dict[tuple[str, ...], tuple[str, str, Any]] = {}

    def took(self, part: str, method: str, arguments: Any, value: Any) -> None:
        """Take a call that has ended well."""
        off = not _first(arguments) if method in ("set_output", "set_cell") else False
        if part == "power" and (method == "cycle" or off):
            self._lost("wait_", "activate_")
        to_reader = (part, method) == ("station", "card_to") and arguments[0][0] == "reader"
        if to_reader:
            self._lost("wait_sim_ready")
        changed = (part, method) in _LOSES_REGISTRATION or (part == "ipa" and getattr(value, "profile_changed", False))
        if changed or to_reader or (part == "network" and off):
            self._lost(*_REGISTRATION)
        if part == "modem" and method == "deactivate_pdp":
            self._made.pop(("modem", "activate_pdp", *_told_apart(arguments)), None)
        if method not in _SETTINGS.get(part, ()):
            return
        if method == "cycle":
            method, arguments = "set_output", ((True,), {})
        key = (part, method, *_told_apart(arguments))
        self._made.pop(key, None)  # the order is that of the last time
        self._made[key] = (part, method, arguments)

    def _lost(self, *beginnings: str) -> None:
        """Forget what the modem was told, or waited for, whose names begin like this."""
        for key in [key for key in self._made if key[0] == "modem" and key[1].startswith(beginnings)]:
            del self._made[key]

    async def restore(self) -> None:
        """Make every setting again, what others stand on first. Raises what the instruments raise."""
        made = sorted(self._made.values(), key=lambda item: _rank(item[0], item[1]))
        powered = any(part == "power" and method == "set_output" and _first(given) for part, method, given in made)
        if not powered:
            made = [item for item in made if item[0] != "modem"]
        if not made:
            return
        async with reprogramming(self._station, f"resumed: {', '.join(f'{p}.{m}' for p, m, _ in made)}"):
            step = current()
            if step is not None:
                step.note("resumed after an interruption: the instruments are brought to where they were")
            for part, method, (arguments, options) in made:
                of = self._station if part == "station" else getattr(self._station, part)
                again: Callable[..., Awaitable[Any]] = getattr(of, method)
                await again(*arguments, **options)


def _rank(part: str, method: str) -> int:
    """Return the place of a setting among others: a modem must answer before it is told anything."""
    parts = {"power": 0, "network": 1, "attenuator": 1, "switch": 2, "ipa": 9}
    methods = {"wait_ready": 3, "card_to": 4, "wait_sim_ready": 5, "wait_registered": 7, "activate_pdp": 8}
    return parts.get(part, methods.get(method, 6))


def _first(arguments: Any) -> bool:
    given, options = arguments
    return bool(given[0] if given else options.get("on"))


def _told_apart(arguments: Any) -> tuple[str, ...]:
    if arguments is None:
        return ()
    _, options = arguments
    return tuple(f"{name}={options[name]}" for name in _BY if name in options)
