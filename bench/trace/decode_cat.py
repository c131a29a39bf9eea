"""Card application toolkit: proactive commands, terminal responses, envelopes, terminal profile (ETSI TS 102 223).

Raises on no bytes.
"""

from __future__ import annotations

from typing import Final

from bench.trace.decode_values import labels, plmn, swapped
from bench.trace.tree import Field, Node, generic, nodes, shown

COMMANDS: Final = {
    0x01: "REFRESH",
    0x02: "MORE TIME",
    0x03: "POLL INTERVAL",
    0x04: "POLLING OFF",
    0x05: "SET UP EVENT LIST",
    0x10: "SET UP CALL",
    0x11: "SEND SS",
    0x12: "SEND USSD",
    0x13: "SEND SHORT MESSAGE",
    0x14: "SEND DTMF",
    0x15: "LAUNCH BROWSER",
    0x16: "GEOGRAPHICAL LOCATION REQUEST",
    0x20: "PLAY TONE",
    0x21: "DISPLAY TEXT",
    0x22: "GET INKEY",
    0x23: "GET INPUT",
    0x24: "SELECT ITEM",
    0x25: "SET UP MENU",
    0x26: "PROVIDE LOCAL INFORMATION",
    0x27: "TIMER MANAGEMENT",
    0x28: "SET UP IDLE MODE TEXT",
    0x30: "PERFORM CARD APDU",
    0x31: "POWER ON CARD",
    0x32: "POWER OFF CARD",
    0x33: "GET READER STATUS",
    0x34: "RUN AT COMMAND",
    0x35: "LANGUAGE NOTIFICATION",
    0x40: "OPEN CHANNEL",
    0x41: "CLOSE CHANNEL",
    0x42: "RECEIVE DATA",
    0x43: "SEND DATA",
    0x44: "GET CHANNEL STATUS",
    0x45: "SERVICE SEARCH",
    0x46: "GET SERVICE INFORMATION",
    0x47: "DECLARE SERVICE",
    0x50: "SET FRAMES",
    0x51: "GET FRAMES STATUS",
    0x60: "RETRIEVE MULTIMEDIA MESSAGE",
    0x61: "SUBMIT MULTIMEDIA MESSAGE",
    0x62: "DISPLAY MULTIMEDIA MESSAGE",
    0x70: "ACTIVATE",
    0x71: "CONTACTLESS STATE CHANGED",
    0x72: "COMMAND CONTAINER",
    0x73: "ENCAPSULATED SESSION CONTROL",
    0x79: "LSI COMMAND",
    0x81: "END OF THE PROACTIVE SESSION",
}
"""Type of command (TS 102 223 section 9.4)."""
REFRESH: Final = {
    0: "NAA initialisation and full file change",
    1: "file change",
    2: "NAA initialisation and file change",
    3: "NAA initialisation",
    4: "UICC reset",
    5: "application reset",
    6: "session reset",
    7: "steering of roaming",
    8: "steering of roaming for I-WLAN",
    9: "eUICC profile state change",
    10: "application update",
}
_LOCAL: Final = {
    0: "location information",
    1: "IMEI",
    2: "network measurement results",
    3: "date, time and time zone",
    4: "language setting",
    6: "access technology",
    8: "IMEISV",
    9: "search mode",
    10: "charge state of the battery",
}
RESULTS: Final = {
    0x00: "performed successfully",
    0x01: "performed with partial comprehension",
    0x02: "performed with missing information",
    0x03: "REFRESH performed with additional EFs read",
    0x04: "performed, but requested icon could not be displayed",
    0x05: "performed, but modified by call control by NAA",
    0x06: "performed successfully, limited service",
    0x07: "performed with modification",
    0x08: "REFRESH performed but indicated NAA was not active",
    0x09: "performed successfully, tone not played",
    0x10: "session terminated by the user",
    0x11: "backward move requested by the user",
    0x12: "no response from user",
    0x13: "help information required by the user",
    0x20: "terminal currently unable to process command",
    0x21: "network currently unable to process command",
    0x22: "user did not accept the proactive command",
    0x23: "user cleared down call before connection or release",
    0x24: "action in contradiction with the current timer state",
    0x25: "interaction with call control by NAA, temporary problem",
    0x26: "launch browser generic error",
    0x27: "MMS temporary problem",
    0x30: "command beyond terminal's capabilities",
    0x31: "command type not understood by terminal",
    0x32: "command data not understood by terminal",
    0x33: "command number not known by terminal",
    0x34: "SS return error",
    0x35: "SMS RP-ERROR",
    0x36: "error, required values are missing",
    0x38: "multiple card commands error",
    0x39: "interaction with call control by NAA, permanent problem",
    0x3A: "bearer independent protocol error",
    0x3B: "access technology unable to process command",
    0x3C: "frames error",
    0x3D: "MMS error",
}
"""General result (TS 102 223 section 8.12)."""
_CHANNEL: Final = {
    0: "no specific cause",
    1: "no channel available",
    2: "channel closed",
    3: "channel identifier not valid",
    4: "requested buffer size not available",
    5: "security error",
    6: "requested interface transport level not available",
    7: "remote device is not reachable",
    8: "service error",
    9: "service identifier unknown",
    0x10: "port not available",
    0x11: "launch parameters missing or incorrect",
    0x12: "application launch failed",
}
"""Additional information of result 3A (TS 102 223 section 8.12.11)."""
_EVENTS: Final = {
    0x00: "MT call",
    0x01: "call connected",
    0x02: "call disconnected",
    0x03: "location status",
    0x04: "user activity",
    0x05: "idle screen available",
    0x06: "card reader status",
    0x07: "language selection",
    0x08: "browser termination",
    0x09: "data available",
    0x0A: "channel status",
    0x0B: "access technology change",
    0x0C: "display parameters changed",
    0x0D: "local connection",
    0x0E: "network search mode change",
    0x0F: "browsing status",
    0x10: "frames information change",
    0x11: "I-WLAN access status",
    0x12: "network rejection",
    0x13: "HCI connectivity",
    0x14: "access technology change, multiple",
    0x15: "CSG cell selection",
    0x16: "contactless state request",
    0x17: "IMS registration",
    0x18: "incoming IMS data",
    0x19: "profile container",
    0x1B: "secured profile container",
    0x1C: "poll interval negotiation",
    0x1D: "data connection status change",
}
"""Event list (TS 102 223 section 8.25)."""
_DEVICES: Final = {0x01: "keypad", 0x02: "display", 0x03: "earpiece", 0x81: "UICC", 0x82: "terminal", 0x83: "network"}
_ENVELOPES: Final = {
    0xD1: "SMS-PP DOWNLOAD",
    0xD2: "CELL BROADCAST DOWNLOAD",
    0xD3: "MENU SELECTION",
    0xD4: "CALL CONTROL",
    0xD5: "MO SHORT MESSAGE CONTROL",
    0xD6: "EVENT DOWNLOAD",
    0xD7: "TIMER EXPIRATION",
    0xD9: "USSD DOWNLOAD",
    0xDA: "MMS TRANSFER STATUS",
    0xDB: "MMS NOTIFICATION DOWNLOAD",
    0xDC: "TERMINAL APPLICATION",
    0xDD: "GEOGRAPHICAL LOCATION REPORTING",
    0xDE: "ENVELOPE CONTAINER",
    0xE4: "PROSE REPORT",
}
_OBJECTS: Final = {
    0x01: "commandDetails",
    0x02: "deviceIdentities",
    0x03: "result",
    0x04: "duration",
    0x05: "alphaIdentifier",
    0x06: "address",
    0x0B: "smsTpdu",
    0x0D: "textString",
    0x0F: "item",
    0x12: "fileList",
    0x13: "locationInformation",
    0x14: "imei",
    0x19: "eventList",
    0x1B: "locationStatus",
    0x24: "timerIdentifier",
    0x25: "timerValue",
    0x26: "dateTimeZone",
    0x2D: "language",
    0x2F: "aid",
    0x35: "bearerDescription",
    0x36: "channelData",
    0x37: "channelDataLength",
    0x38: "channelStatus",
    0x39: "bufferSize",
    0x3C: "transportLevel",
    0x3E: "otherAddress",
    0x3F: "accessTechnology",
    0x47: "networkAccessName",
    0x62: "imeisv",
    0x72: "plmnwactList",
    0x74: "updateAttachType",
    0x75: "rejectionCause",
    0x7E: "csgIdentities",
    0x7F: "ipaddressList",
}
"""COMPREHENSION-TLV (TS 102 223 section 9.3, TS 31.111 section 9.3), without the CR bit."""
_LOCATION: Final = {0: "normal service", 1: "limited service", 2: "no service"}
_UNITS: Final = {0: "min", 1: "s", 2: "tenths of a second"}


def _command_details(value: bytes) -> str:
    if len(value) != 3:
        return shown(value)
    kind = COMMANDS.get(value[1], f"command {value[1]:02X}")
    qualifier = f"{value[2]:02X}"
    if value[1] == 0x01:
        qualifier = REFRESH.get(value[2], qualifier)
    elif value[1] == 0x26:
        qualifier = _LOCAL.get(value[2], qualifier)
    return f"{kind}, {qualifier}, number {value[0]}"


def _result(value: bytes) -> str:
    if not value:
        return ""
    told = f"{RESULTS.get(value[0], 'result')} ({value[0]:02X})"
    if len(value) > 1:
        more = _CHANNEL.get(value[1]) if value[0] == 0x3A else None
        told += f", {more}" if more else f", {value[1:].hex()}"
    return told


def _object(node: Node) -> Field:
    tag = node.tag & 0x7F if node.tag < 0x100 else node.tag
    name = _OBJECTS.get(tag, f"{node.tag:X}")
    value, text = node.value, shown(node.value)
    if tag == 0x01:
        text = _command_details(value)
    elif tag == 0x02 and len(value) == 2:
        text = " to ".join(_DEVICES.get(octet, f"{octet:02X}") for octet in value)
    elif tag == 0x03:
        text = _result(value)
    elif tag == 0x04 and len(value) == 2:
        text = f"{value[1]} {_UNITS.get(value[0], '?')}"
    elif tag == 0x13 and len(value) >= 5:
        text = f"{plmn(value[:3])}, area {value[3:5].hex().upper()}" + (
            f", cell {value[5:].hex().upper()}" if value[5:] else ""
        )
    elif tag in (0x14, 0x62):
        text = swapped(value)
    elif tag == 0x19:
        text = ", ".join(_EVENTS.get(octet, f"{octet:02X}") for octet in value[:64]) or "none"
    elif tag == 0x1B and len(value) == 1:
        text = _LOCATION.get(value[0], text)
    elif tag == 0x47:
        text = labels(value)
    elif tag in (0x05, 0x0D) and value:
        # Texts of a menu may hold anything, also what a person typed: their length says enough.
        text = f"{len(value)} bytes"
    elif tag in (0x37, 0x39) and len(value) <= 2:
        text = str(int.from_bytes(value, "big"))
    return Field(name, text, value)


def objects(data: bytes) -> list[Field]:
    """Return COMPREHENSION-TLVs as named fields."""
    found, rest = nodes(data)
    fields = [_object(node) for node in found[:256]]
    return [*fields, Field("(no TLV)", shown(rest), rest)] if rest else fields


def proactive_name(data: bytes) -> str:
    """Return the proactive command in the answer of FETCH: ``REFRESH UICC reset``; empty when it is none."""
    details = _details(data)
    if details is None:
        return ""
    name = COMMANDS.get(details[1], f"proactive {details[1]:02X}")
    if details[1] == 0x01:
        return f"{name} {REFRESH.get(details[2], details[2])}"
    return f"{name} {_LOCAL[details[2]]}" if details[1] == 0x26 and details[2] in _LOCAL else name


def _details(data: bytes) -> bytes | None:
    outer = nodes(data)[0]
    inner = nodes(outer[0].value)[0] if outer and outer[0].tag == 0xD0 else nodes(data)[0]
    return next((node.value for node in inner if node.tag & 0x7F == 1 and len(node.value) == 3), None)


def proactive(data: bytes) -> Field:
    """Return the proactive command (D0) that FETCH brought."""
    outer = nodes(data)[0]
    if not outer or outer[0].tag != 0xD0:
        return Field("proactiveCommand", "", data, generic(data))
    return Field(proactive_name(data) or "proactiveCommand", "", data, objects(outer[0].value))


def terminal_response(data: bytes) -> Field:
    """Return the data of TERMINAL RESPONSE."""
    return Field("terminalResponse", "", data, objects(data))


def terminal_response_name(data: bytes) -> str:
    """Return what a TERMINAL RESPONSE answers and how: ``REFRESH: performed successfully (00)``."""
    details = _details(data)
    result = next((node.value for node in nodes(data)[0] if node.tag & 0x7F == 3), b"")
    name = COMMANDS.get(details[1], f"{details[1]:02X}") if details is not None else ""
    return f"{name}: {_result(result)}" if result else name


def envelope(data: bytes) -> Field:
    """Return the data of ENVELOPE, named by what it brings."""
    outer = nodes(data)[0]
    if not outer:
        return Field("envelope", shown(data), data)
    return Field(envelope_name(data), "", data, objects(outer[0].value))


def envelope_name(data: bytes) -> str:
    """Return what an ENVELOPE brings: ``EVENT DOWNLOAD location status``."""
    outer = nodes(data)[0]
    if not outer:
        return "envelope"
    name = _ENVELOPES.get(outer[0].tag, f"envelope {outer[0].tag:X}")
    if outer[0].tag == 0xD6:
        event = next((node.value for node in nodes(outer[0].value)[0] if node.tag & 0x7F == 0x19), b"")
        name += f" {_EVENTS.get(event[0], f'{event[0]:02X}')}" if event else ""
    return name
