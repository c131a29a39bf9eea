"""Which operations a template may have, what their requests may use, and what is read from their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bench.station.interfaces import EIM_COMMANDS

EIM_STATES: Final = ("held", "pending", "sent", "running", "done", "failed", "cancelled", "expired")
SMDPP_STATES: Final = (
    "available", "allocated", "linked", "confirmed", "released", "downloaded", "installed", "error", "unavailable",
)  # fmt: skip
EVENTS: Final = ("install", "enable", "disable", "delete")

_ORDER = frozenset({"eid", "key"})
_ICCID = _ORDER | {"iccid"}
_CODE = _ORDER | {"activation_code", "smdp_address", "matching_id", "confirmation_code"}
_PLACED = ("order_id", "state")
_PROFILE = frozenset({"profile", "eid", "key", "iccid", "matching_id", "smdp_address"})
_MADE = ("iccid", "matching_id", "smdp_address", "activation_code")


@dataclass(frozen=True, slots=True)
class Rule:
    """What an operation may use in its request and tell in its answer; ``needed``: what its answer must tell."""

    values: frozenset[str]
    answers: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    items: bool = False
    """Its answer is a list: ``items`` points to it, the other pointers are seen from one of them."""


_COMMAND: Final[Mapping[str, frozenset[str]]] = {
    "enable": _ICCID | {"rollback"},
    "disable": _ICCID,
    "delete": _ICCID,
    "listProfileInfo": _ORDER | {"tags"},
    "getRAT": _ORDER,
    "configureImmediateEnable": _ORDER | {"flag", "smdpOid", "smdpAddress"},
    "setFallbackAttribute": _ICCID,
    "unsetFallbackAttribute": _ORDER,
    "setDefaultDpAddress": _ORDER | {"address"},
    "addEim": _ORDER | {"configuration", "eimId"},
    "updateEim": _ORDER | {"configuration", "newKey", "fqdn"},
    "deleteEim": _ORDER | {"eimId"},
    "listEim": _ORDER,
}
RULES: Final[Mapping[str, Mapping[str, Rule]]] = {
    "eim": {
        "euicc": Rule(frozenset({"eid"}), ("known", "polls")),
        "register": Rule(_ORDER),
        "configuration": Rule(_ORDER, ("configuration",), ("configuration",)),
        "download": Rule(_CODE, _PLACED, ("order_id",)),
        "direct-download": Rule(_CODE, _PLACED, ("order_id",)),
        **{name: Rule(_COMMAND[name], _PLACED, ("order_id",)) for name in EIM_COMMANDS},
        "package": Rule(_ORDER | {"psmos", "ecos"}, _PLACED, ("order_id",)),
        "show": Rule(
            frozenset({"eid", "order_id"}),
            (
                "state",
                "reason",
                "subject_code",
                "reason_code",
                "verified",
                "iccid",
                "matching_id",
                "profiles",
                "profile_iccid",
                "profile_enabled",
                "profile_name",
            ),
            ("state",),
        ),
        "cancel": Rule(frozenset({"eid", "order_id", "key"})),
        "notifications": Rule(frozenset({"eid"}), ("items", "event", "seq", "iccid", "state"), ("items",), items=True),
        "state-changes": Rule(frozenset({"eid"}), ("items", "at", "cause", "rplmn"), ("items",), items=True),
    },
    "smdpp": {
        "order": Rule(_PROFILE, _MADE),
        "confirm": Rule(_PROFILE, _MADE),
        "release": Rule(_PROFILE, _MADE),
        "cancel": Rule(_PROFILE),
        "state": Rule(_PROFILE, ("state", "iccid", "eid")),
        "notifications": Rule(_PROFILE, ("items", "event", "seq", "iccid"), ("items", "event"), items=True),
    },
}
"""Operations by the kind of server."""
REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "eim": ("download", "enable", "delete", "show"),
    "smdpp": ("order",),
}
"""Without these no recipe of the main job can run."""
