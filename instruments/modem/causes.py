"""Names of the causes by which a network refuses a device (24.301 sections 9.9.3.9 and 9.9.4.4; 24.501 annex A)."""

from __future__ import annotations

from typing import Final

from bench.station.network import EMM_CAUSES

EMM: Final[dict[int, str]] = EMM_CAUSES | {
    31: "Redirection to 5GCN required",
    36: "IAB-node operation not authorized",
    78: "PLMN not allowed to operate at the present UE location",
}
ESM: Final = {
    8: "operator determined barring",
    26: "insufficient resources",
    27: "missing or unknown APN",
    28: "unknown PDN type",
    29: "user authentication or authorization failed",
    30: "request rejected by Serving GW or PDN GW",
    31: "request rejected, unspecified",
    32: "service option not supported",
    33: "requested service option not subscribed",
    34: "service option temporarily out of order",
    35: "PTI already in use",
    36: "regular deactivation",
    37: "EPS QoS not accepted",
    38: "network failure",
    39: "reactivation requested",
    41: "semantic error in the TFT operation",
    42: "syntactical error in the TFT operation",
    43: "invalid EPS bearer identity",
    44: "semantic errors in packet filter(s)",
    45: "syntactical errors in packet filter(s)",
    47: "PTI mismatch",
    49: "last PDN disconnection not allowed",
    50: "PDN type IPv4 only allowed",
    51: "PDN type IPv6 only allowed",
    52: "single address bearers only allowed",
    53: "ESM information not received",
    54: "PDN connection does not exist",
    55: "multiple PDN connections for a given APN not allowed",
    56: "collision with network initiated request",
    57: "PDN type IPv4v6 only allowed",
    58: "PDN type non IP only allowed",
    59: "unsupported QCI value",
    60: "bearer handling not supported",
    61: "PDN type Ethernet only allowed",
    65: "maximum number of EPS bearers reached",
    66: "requested APN not supported in current RAT and PLMN combination",
    81: "invalid PTI value",
    95: "semantically incorrect message",
    96: "invalid mandatory information",
    97: "message type non-existent or not implemented",
    98: "message type not compatible with the protocol state",
    99: "information element non-existent or not implemented",
    100: "conditional IE error",
    101: "message not compatible with the protocol state",
    111: "protocol error, unspecified",
    112: "APN restriction value incompatible with active EPS bearer context",
    113: "multiple accesses to a PDN connection not allowed",
}
_FIVE_GMM: Final = {
    7: "5GS services not allowed",
    11: "PLMN not allowed",
    27: "N1 mode not allowed",
    28: "restricted service area",
    43: "LADN not available",
    62: "no network slices available",
    65: "maximum number of PDU sessions reached",
    67: "insufficient resources for specific slice and DNN",
    69: "insufficient resources for specific slice",
    71: "ngKSI already in use",
    72: "non-3GPP access to 5GCN not allowed",
    73: "serving network not authorized",
    74: "temporarily not authorized for this SNPN",
    75: "permanently not authorized for this SNPN",
    76: "not authorized for this CAG or authorized for CAG cells only",
    90: "payload was not forwarded",
    91: "DNN not supported or not subscribed in the slice",
    92: "insufficient user-plane resources for the PDU session",
}


def emm(cause: int | None) -> str:
    """Return the name of an EMM cause, empty when there is none."""
    return EMM.get(cause, "") if cause is not None else ""


def five_gmm(cause: int | None) -> str:
    """Return the name of a 5GMM cause (24.501 annex A), empty when there is none."""
    return _FIVE_GMM.get(cause, emm(cause)) if cause is not None else ""


def esm(cause: int | None) -> str:
    """Return the name of an ESM cause, empty when there is none."""
    return ESM.get(cause, "") if cause is not None else ""
