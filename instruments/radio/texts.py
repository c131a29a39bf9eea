"""One line for a frame of the radio: NAS messages with the names of their causes, RRC channels. No I/O."""

from __future__ import annotations

from typing import Final

from instruments.modem import causes
from instruments.radio.gsmtap import Frame

_EMM: Final = {
    0x41: "Attach request", 0x42: "Attach accept", 0x43: "Attach complete", 0x44: "Attach reject",
    0x45: "Detach request", 0x46: "Detach accept", 0x48: "Tracking area update request",
    0x49: "Tracking area update accept", 0x4A: "Tracking area update complete", 0x4B: "Tracking area update reject",
    0x4C: "Extended service request", 0x4D: "Control plane service request", 0x4E: "Service reject",
    0x4F: "Service accept", 0x50: "GUTI reallocation command", 0x51: "GUTI reallocation complete",
    0x52: "Authentication request", 0x53: "Authentication response", 0x54: "Authentication reject",
    0x55: "Identity request", 0x56: "Identity response", 0x5C: "Authentication failure",
    0x5D: "Security mode command", 0x5E: "Security mode complete", 0x5F: "Security mode reject", 0x60: "EMM status",
    0x61: "EMM information", 0x62: "Downlink NAS transport", 0x63: "Uplink NAS transport",
}  # fmt: skip
"""24.301 table 9.8.1."""
_ESM: Final = {
    0xC1: "Activate default EPS bearer context request", 0xC2: "Activate default EPS bearer context accept",
    0xC3: "Activate default EPS bearer context reject", 0xC5: "Activate dedicated EPS bearer context request",
    0xC6: "Activate dedicated EPS bearer context accept", 0xC7: "Activate dedicated EPS bearer context reject",
    0xCD: "Deactivate EPS bearer context request", 0xCE: "Deactivate EPS bearer context accept",
    0xD0: "PDN connectivity request", 0xD1: "PDN connectivity reject", 0xD2: "PDN disconnect request",
    0xD3: "PDN disconnect reject", 0xD9: "ESM information request", 0xDA: "ESM information response",
    0xE8: "ESM status", 0xEB: "ESM data transport",
}  # fmt: skip
"""24.301 table 9.8.2."""
_WITH_EMM_CAUSE: Final = (0x44, 0x4B, 0x4E, 0x5C, 0x5F, 0x60)
_WITH_ESM_CAUSE: Final = (0xC3, 0xC7, 0xCD, 0xD1, 0xD3, 0xE8)
_FIVE_GMM: Final = {
    0x41: "Registration request", 0x42: "Registration accept", 0x43: "Registration complete",
    0x44: "Registration reject", 0x45: "Deregistration request (UE)", 0x46: "Deregistration accept (UE)",
    0x47: "Deregistration request (network)", 0x48: "Deregistration accept (network)", 0x4C: "Service request",
    0x4D: "Service reject", 0x4E: "Service accept", 0x54: "Configuration update command",
    0x56: "Authentication request", 0x57: "Authentication response", 0x58: "Authentication reject",
    0x59: "Authentication failure", 0x5B: "Identity request", 0x5C: "Identity response",
    0x5D: "Security mode command", 0x5E: "Security mode complete", 0x5F: "Security mode reject",
    0x67: "UL NAS transport", 0x68: "DL NAS transport",
}  # fmt: skip
"""24.501 table 9.7.1."""


def _cause(message: bytes, at: int, name: str) -> str:
    if len(message) <= at:
        return ""
    return f" (cause {message[at]}{' ' + name if name else ''})"


def nas_eps(message: bytes) -> str:
    """Tell a NAS message of EPS: ``Attach reject (cause 11 PLMN not allowed)``. Never raises."""
    if not message:
        return "empty"
    protocol, security = message[0] & 15, message[0] >> 4
    if protocol == 7 and security in (1, 2, 3, 4):
        inner = message[6:]
        if security in (1, 3) and len(inner) >= 2:
            return f"{nas_eps(inner)}, integrity protected"
        return f"ciphered, {len(inner)} bytes"
    if protocol == 7 and security == 12:
        return "Service request"
    if protocol == 7 and len(message) >= 2:
        kind = message[1]
        name = _EMM.get(kind, f"EMM message {kind:02X}")
        if kind in _WITH_EMM_CAUSE and len(message) > 2:
            name += _cause(message, 2, causes.emm(message[2]))
        return name
    if protocol == 2 and len(message) >= 3:
        kind = message[2]
        name = _ESM.get(kind, f"ESM message {kind:02X}")
        if kind in _WITH_ESM_CAUSE and len(message) > 3:
            name += _cause(message, 3, causes.esm(message[3]))
        return name
    return f"NAS, {len(message)} bytes"


def nas_5gs(message: bytes) -> str:
    """Tell a NAS message of 5GS. Never raises."""
    if len(message) < 3:
        return f"NAS, {len(message)} bytes"
    if message[0] == 0x7E and message[1] & 15 in (1, 2, 3, 4):
        inner = message[7:]
        if message[1] & 15 in (1, 3) and len(inner) >= 3 and inner[0] in (0x7E, 0x2E):
            return f"{nas_5gs(inner)}, integrity protected"
        return f"ciphered, {len(inner)} bytes"
    if message[0] == 0x7E:
        name = _FIVE_GMM.get(message[2], f"5GMM message {message[2]:02X}")
        if message[2] in (0x44, 0x4D, 0x59, 0x5F) and len(message) > 3:
            name += _cause(message, 3, causes.five_gmm(message[3]))
        return name
    return f"5GSM message {message[3]:02X}" if len(message) > 3 else "5GSM"


def frame(found: Frame) -> str:
    """Tell a frame: ``LTE NAS Attach request``, ``LTE RRC UL-CCCH, EARFCN 1575, 6 bytes``. Never raises."""
    if found.layer == "LTE NAS":
        return f"LTE NAS {nas_eps(found.payload)}"
    if found.layer == "NR NAS":
        return f"NR NAS {nas_5gs(found.payload)}"
    number = f", channel {found.channel_number}" if found.channel_number else ""
    return f"{found.layer} {found.channel}".rstrip() + f"{number}, {len(found.payload)} bytes"
