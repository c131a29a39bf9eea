"""The lab's own eIM and SM-DP+ (``kind = "external"``): their adapters, what they offer, what is then not recorded.

An adapter is what the entry point ``external-NAME`` of ``bench.services`` names; it speaks to a server that is there
already, and starts nothing. What such a server says of an order is compared with the card (``is_external``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

from bench.errors import ConfigurationError
from bench.station.drivers import load_service
from bench.station.interfaces import EIM_ABILITIES, SMDPP_ABILITIES
from bench.station.model import EimConfig, ServerConfig, SmdppConfig
from bench.station.tables import Document, did_you_mean
from bench.trace.lane import Lane

Role = Literal["eim", "smdpp"]
PREFIX: Final = "external-"
"""Of adapters among the entry points of ``bench.services``."""
TITLES: Final[Mapping[str, str]] = {"eim": "eIM", "smdpp": "SM-DP+"}
_ABILITIES: Final[Mapping[str, Sequence[str]]] = {"eim": EIM_ABILITIES, "smdpp": SMDPP_ABILITIES}
_REACH: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})")
_BUNDLED_ONLY: Final = ("listen", "port")
_EXTERNAL_ONLY: Final = ("adapter", "template", "reach", "reach_coaps", "ca", "eim_id")


@dataclass(frozen=True, slots=True)
class AdapterContext:
    """What an adapter is given for a run."""

    home: Path
    """The bench's home: what was ordered is kept there, so that no order is lost with a run."""
    lane: Callable[[str], Lane]
    """Lanes of the trace; secrets of an operator have no place there."""
    warn: Callable[[str], None]
    """Writes a warning into the journal."""


class ServerAdapter(Protocol):
    """How a server of the lab is ordered from."""

    asks: bool
    """It asks a person: an unattended run is refused beforehand."""

    def abilities(self, role: Role, config: ServerConfig) -> Collection[str]:
        """Return which of EIM_ABILITIES or SMDPP_ABILITIES it offers. Touches nothing. Raises ConfigurationError."""

    def open(self, role: Role, config: ServerConfig, context: AdapterContext) -> Any:
        """Return the EimService or SmdppService, with ``external`` True and ``abilities``; connects at its first use.

        One that asks has an attribute ``asker`` (``bench.station.dut_parts.AsksPerson``). Raises ConfigurationError.
        """

    async def examine(self, role: Role, config: ServerConfig) -> list[dict[str, str]]:
        """Look whether it would work; change nothing. Findings with ``name``, ``state``, ``text``, ``hint``."""


@dataclass(slots=True)
class ExternalService:
    """A server of the lab in a run: what ``bench.station.services.Service`` is for one of the bench."""

    name: str
    announcement: Mapping[str, Any]
    client: Any


def adapter(config: ServerConfig) -> ServerAdapter:
    """Return the adapter that a table names. Raises ConfigurationError with a did-you-mean."""
    if ":" in config.adapter:
        found: ServerAdapter = load_service(config.adapter, where=config.origin)
        return found
    known = adapters()
    if config.adapter not in known:
        raise ConfigurationError(
            f"there is no adapter '{config.adapter}'", where=config.origin, hint=did_you_mean(config.adapter, known)
        )
    named: ServerAdapter = load_service(PREFIX + config.adapter, where=config.origin)
    return named


def adapters() -> list[str]:
    """Return the names of the adapters that are installed; none is imported."""
    from bench.station.drivers import known_services

    return sorted(name.removeprefix(PREFIX) for name in known_services() if name.startswith(PREFIX))


def connect(role: Role, config: ServerConfig, context: AdapterContext) -> ExternalService:
    """Return a server of the lab for a run. Raises ConfigurationError."""
    return ExternalService(role, announcement(role, config), adapter(config).open(role, config, context))


def announcement(role: Role, config: ServerConfig) -> dict[str, str]:
    """Return what a bundled server would announce, as far as it is known: ``https`` only where ``reach`` is given."""
    found = {"fqdn" if role == "eim" else "address": config.advertise}
    if isinstance(config, EimConfig):
        found["eim_id"] = config.eim_id or config.advertise
        if config.reach_coaps:
            found["coaps"] = f"coaps://{config.reach_coaps}"
    if config.reach:
        found["https"] = f"https://{config.reach}"
    if config.ca:
        found["ca"] = config.ca
    return found


# --- what is checked before anything is touched --------------------------------------------------------------------

Server = TypeVar("Server", EimConfig, SmdppConfig)


def checked_server(config: Server, role: Role, document: Document, base: Path) -> Server:
    """Return the table with its paths made absolute (``base``: where bench.toml is); complaints go to ``document``."""
    table = document.table.get(role, {})
    given = table if isinstance(table, dict) else {}
    path: tuple[str, ...] = (role,)
    if not config.external:
        for key in _EXTERNAL_ONLY:
            if key in given:
                document.complain((*path, key), f"'{key}' is of the lab's own {TITLES[role]}", 'add kind = "external"')
        return config
    for key in _BUNDLED_ONLY:
        if key in given:
            document.complain((*path, key), f"'{key}' is of the bundled {TITLES[role]}", f"drop '{key}'")
    if not config.adapter:
        document.complain(path, "'adapter' is missing", "one of " + ", ".join(f'"{name}"' for name in adapters()))
    elif ":" not in config.adapter and config.adapter not in adapters():
        hint = did_you_mean(config.adapter, adapters())
        document.complain((*path, "adapter"), f"there is no adapter '{config.adapter}'", hint)
    if "advertise" not in given:
        known_by = "eimFqdn in its configuration on cards" if role == "eim" else "its address in activation codes"
        document.complain(path, "'advertise' is missing", f"the name of the lab's {TITLES[role]}: {known_by}")
    if config.adapter == "rest" and not config.template:
        hint = f"copy recipes/external_{role}.toml beside bench.toml, fit it to the server, and name it here"
        document.complain(path, "'template' is missing", hint)
    for key in ("reach", "reach_coaps"):
        value = getattr(config, key, "")
        found = _REACH.fullmatch(value)
        if value and (found is None or not 0 < int(found[1]) < 65536):
            document.complain((*path, key), f"'{value}' is no address", "host:port")
    changes: dict[str, Any] = {}
    for key in ("template", "ca"):
        value = getattr(config, key)
        if value:
            changes[key] = str(base / Path(value).expanduser())
            if not Path(changes[key]).is_file():
                document.complain((*path, key), f"there is no file {changes[key]}", "paths are seen from bench.toml")
    return replace(config, **changes)


def refuse_unfit(recipe: str, needs: Collection[str], eim: EimConfig, smdpp: SmdppConfig, *, attended: bool) -> None:
    """Raise ConfigurationError when the lab's own servers cannot serve a recipe: abilities, or nobody to be asked."""
    configs: tuple[tuple[Role, ServerConfig], ...] = (("eim", eim), ("smdpp", smdpp))
    for role, config in configs:
        if not config.external or role not in needs:
            continue
        found, title = adapter(config), TITLES[role]
        if found.asks and not attended:
            raise ConfigurationError(
                f"orders at the lab's own {title} are placed by a person, and this run is unattended",
                where=config.origin,
                hint='run it from a terminal with --attended, or give the server an adapter = "rest"',
            )
        offered = set(found.abilities(role, config))
        if isinstance(config, EimConfig) and config.reach_coaps:
            offered.add("coaps")
        wanted = [need.partition(":")[2] for need in needs if need.startswith(f"{role}:")]
        missing = [word for word in wanted if word not in offered]
        if missing:
            raise ConfigurationError(
                f"recipe {recipe} needs an {title} with {', '.join(missing)}, and the lab's own does not offer that",
                where=config.origin,
                hint=_remedy(role, missing, config),
            )


def _remedy(role: Role, missing: Sequence[str], config: ServerConfig) -> str:
    if "coaps" in missing:
        return 'reach_coaps = "host:5684" in [eim] says where its CoAPS side is, if it has one'
    only = {"misbehaviour", "replay", "packages", "emulation", "results"}
    if only.intersection(missing) or config.adapter != "rest":
        return f'the bundled {TITLES[role]} does: [{role}] kind = "bundled"'
    return f"add [operations.{missing[0]}] to {config.template}, or use the bundled one"


def abilities_known(role: Role) -> Sequence[str]:
    """Return every ability that a recipe may need of a server: ``needs=("eim:WORD",)``."""
    return _ABILITIES[role]


# --- what is then not recorded -------------------------------------------------------------------------------------


def lanes_missing(needs: Collection[str], eim: EimConfig, smdpp: SmdppConfig) -> dict[str, str]:
    """Return the lanes that a run has with the bundled servers and not with the lab's own, and why."""
    own_eim, own_smdpp = "eim" in needs and eim.external, "smdpp" in needs and smdpp.external
    found = {}
    if own_eim:
        found["esipa"] = (
            f"the lab's own eIM {eim.advertise} ends the TLS: what it and the IPA say to each other is not seen "
            "decrypted; lane ip has the encrypted bytes where the link records them"
        )
    if own_smdpp and ("eim" not in needs or own_eim):
        found["es9plus"] = f"neither the lab's own SM-DP+ {smdpp.advertise} nor an eIM of the bench records it"
    elif own_smdpp and "eim:direct-download" in needs:
        found["es9plus"] = (
            f"the lab's own SM-DP+ {smdpp.advertise} does not record it: direct downloads are not seen decrypted, "
            "of indirect ones what the bundled eIM says"
        )
    if own_smdpp:
        found["es2plus"] = f"the operators of the lab's own SM-DP+ {smdpp.advertise} speak to it past the bench"
    return found
