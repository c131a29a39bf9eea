"""AT commands, answers and unsolicited result codes to named fields, causes by name (3GPP TS 27.007, 27.005, V.250).

Works line by line. Commands and codes of manufacturers are named where the bench meets them; what has no entry keeps
its text. Raises on no bytes. Keys and PINs are hidden (bench.trace.redact).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bench.trace import causes, decode_files, redact
from bench.trace.tree import Field

COMMANDS: Final = {
    "": "attention",
    "E": "echo",
    "V": "form of result codes",
    "Q": "suppress result codes",
    "I": "identification",
    "Z": "restore user profile",
    "&F": "factory defaults",
    "+CCHC": "close logical channel",
    "+CCHO": "open logical channel",
    "+CCLK": "clock",
    "+CEDRXRDP": "eDRX parameters in use",
    "+CEDRXS": "eDRX setting",
    "+CEER": "extended error report",
    "+CEREG": "EPS registration",
    "+CESQ": "extended signal quality",
    "+CFUN": "functionality",
    "+CGACT": "activate or deactivate PDP context",
    "+CGATT": "attach or detach packet domain",
    "+CGAUTH": "PDP authentication",
    "+CGCONTRDP": "PDP context parameters in use",
    "+CGDCONT": "define PDP context",
    "+CGEREP": "packet domain event reporting",
    "+CGEV": "packet domain event",
    "+CGLA": "logical channel access",
    "+CGMI": "manufacturer",
    "+CGMM": "model",
    "+CGMR": "firmware",
    "+CGPADDR": "PDP address",
    "+CGREG": "GPRS registration",
    "+CGSN": "IMEI",
    "+CIMI": "IMSI",
    "+CMEE": "error reports",
    "+CNEC": "network error codes",
    "+CNEC_EMM": "EMM cause",
    "+CNEC_ESM": "ESM cause",
    "+COPS": "operator selection",
    "+CPIN": "PIN state",
    "+CPOL": "preferred operators",
    "+CPSMS": "power saving mode setting",
    "+CREG": "registration",
    "+CRSM": "restricted SIM access",
    "+CSCON": "signalling connection",
    "+CSIM": "generic SIM access",
    "+CSQ": "signal quality",
    "+CTZR": "time zone reporting",
    "+C5GREG": "5GS registration",
    "+ICCID": "ICCID",
    "+QCCID": "ICCID",
    "+QCFG": "Quectel configuration",
    "+QCSQ": "Quectel signal strength",
    "+QENG": "Quectel cell information",
    "+QGPSLOC": "Quectel position",
    "+QIND": "Quectel indication",
    "+QINISTAT": "Quectel SIM initialisation",
    "+QNWINFO": "Quectel network information",
    "+QPOWD": "Quectel power down",
    "+QSIMDET": "Quectel SIM detection",
    "+QSIMSTAT": "Quectel SIM state",
    "+QUSIM": "Quectel SIM type",
    "+QURCCFG": "Quectel URC port",
    "+UCGED": "u-blox cell information",
    "+UPSV": "u-blox power saving",
    "+UUPSMR": "u-blox power saving state",
    "+KCELLMEAS": "Sierra cell measurement",
    "+KSRAT": "Sierra radio access technology",
    "#CEERNET": "Telit extended error report",
    "#MONI": "Telit cell monitor",
    "#QSS": "Telit SIM state",
    "#RFSTS": "Telit radio status",
    "#SERVINFO": "Telit serving cell",
    "%CESQ": "Nordic signal quality",
    "%MDMEV": "Nordic modem event",
    "%XICCID": "Nordic ICCID",
    "%XMONITOR": "Nordic modem parameters",
    "%XSIM": "Nordic SIM state",
    "%XSYSTEMMODE": "Nordic system mode",
}
"""Name of a command or result code to what it is about."""
FINAL: Final = frozenset(("OK", "ERROR", "NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "CONNECT", "ABORTED"))
_BARE_URCS: Final = frozenset(
    (
        "RDY",
        "APP RDY",
        "NORMAL POWER DOWN",
        "POWERED DOWN",
        "UNDER_VOLTAGE POWER DOWN",
        "OVER_VOLTAGE POWER DOWN",
        "UNDER_VOLTAGE WARNNING",
        "Call Ready",
        "SMS Ready",
        "SMS DONE",
        "PB DONE",
        "RING",
        "^SYSSTART",
        "^SHUTDOWN",
        "^EXIT",
        "Ready",
        "SIM Ready",
    )
)
_ALWAYS_URC: Final = frozenset(
    (
        "+CGEV",
        "+CNEC_EMM",
        "+CNEC_ESM",
        "+QIND",
        "+QUSIM",
        "+CMTI",
        "+CDSI",
        "+CTZV",
        "+CTZE",
        "%MDMEV",
        "+UUPSMR",
        "+QIURC",
    )
)
_HEAD: Final = re.compile(r"AT(?:([+%^$#*&][A-Za-z0-9_:/-]+|[A-Za-z])?(=\?|=|\?)?(.*))?$", re.IGNORECASE | re.DOTALL)
_CODE: Final = re.compile(r"([+%^$#*][A-Za-z0-9_]+): ?(.*)$", re.DOTALL)


def text_of(data: bytes) -> str:
    """Return the line as text without keys and PINs."""
    return redact.at_line(data).decode("utf-8", "replace").strip("\r\n\0 ")


def lines_of(data: bytes) -> list[str]:
    """Return the lines of what a port received, without empty ones."""
    text = redact.at_line(data).decode("utf-8", "replace").replace("\0", "")
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def split(arguments: str) -> list[str]:
    """Return comma-separated values; quotes keep commas together and are taken off."""
    values, current, quoted = [], "", False
    for character in arguments:
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            values.append(current.strip())
            current = ""
        else:
            current += character
    return [*values, current.strip()]


def head(line: str) -> tuple[str, str, str]:
    """Return name, form (``""``, ``?``, ``=``, ``=?``) and arguments of a command line: ``+CEREG``, ``=``, ``5``.

    A line with several commands is told by its first. Name and form are empty for what is no command.
    """
    found = _HEAD.match(line.strip())
    if found is None:
        return "", "", line
    name, form, rest = (found[1] or "").upper(), found[2] or "", found[3] or ""
    return name, form, rest


def is_final(line: str) -> bool:
    """Return whether this line ends the answer to a command (numeric codes of ATV0 cannot be told from an answer)."""
    return line in FINAL or line.startswith(("+CME ERROR:", "+CMS ERROR:", "CONNECT "))


def is_unsolicited(line: str, asked: str) -> bool:
    """Return whether a line belongs to no command; ``asked``: name of the one that waits (``+CEREG``), or empty."""
    if line in _BARE_URCS:
        return True
    found = _CODE.match(line)
    if found is None:
        return not asked and not is_final(line)
    name = found[1].upper()
    return name in _ALWAYS_URC or not _belongs(name, asked)


def _belongs(code: str, asked: str) -> bool:
    return code == asked or (asked == "+CEER" and code == "+CEER") or code.startswith(f"{asked}_") or asked in ("I", "")


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _named(name: str, text: str, table: dict[int, str]) -> Field:
    number = _number(text)
    known = table.get(number) if number is not None else None
    return Field(name, f"{known}({number})" if known else text, text.encode("utf-8", "replace"))


def _plain(names: tuple[str, ...]) -> Callable[[list[str], bool], list[Field]]:
    def read(values: list[str], _asked: bool) -> list[Field]:
        return [
            Field(names[at] if at < len(names) else f"value {at + 1}", value, value.encode("utf-8", "replace"))
            for at, value in enumerate(values)
            if value != ""
        ]

    return read


def _registration(kind: str) -> Callable[[list[str], bool], list[Field]]:
    def read(values: list[str], asked: bool) -> list[Field]:
        fields = []
        if asked and len(values) > 1 and not _looks_like_area(values[1]):
            fields.append(Field("n", values[0], values[0].encode("utf-8", "replace")))
            values = values[1:]
        fields.append(_named("stat", values[0], causes.REGISTRATION))
        labels = ("tac" if kind != "GMM" else "lac", "ci")
        for label, value in zip(labels, values[1:3], strict=False):
            if value:
                fields.append(Field(label, value, value.encode("utf-8", "replace")))
        rest = values[3:]
        if kind == "5GMM" and len(rest) > 2:  # Allowed_NSSAI_length and Allowed_NSSAI stand before the cause
            access, rest = rest[0], rest[3:] if len(rest) > 4 else rest[1:]
        else:
            access, rest = (rest[0] if rest else ""), rest[1:]
        if access:
            fields.append(_named("AcT", access, causes.ACCESS))
        if len(rest) > 1 and rest[1]:
            fields.append(Field("cause_type", "manufacturer" if rest[0] == "1" else f"{kind} cause", rest[0].encode()))
            number = _number(rest[1])
            fields.append(
                _cause("reject_cause", kind, number)
                if rest[0] != "1" and number is not None
                else Field("reject_cause", rest[1], rest[1].encode("utf-8", "replace"))
            )
        return fields

    return read


def _looks_like_area(text: str) -> bool:
    """An unsolicited code in answer's place: its second value is the area, four or six hexadecimal digits."""
    return len(text) in (4, 6) and all(digit in "0123456789abcdefABCDEF" for digit in text)


def _cause(name: str, kind: str, number: int) -> Field:
    return Field(name, f"{kind} {number} {causes.name(kind, number)}", str(number).encode())


def _single_cause(kind: str) -> Callable[[list[str], bool], list[Field]]:
    def read(values: list[str], _asked: bool) -> list[Field]:
        number = _number(values[0])
        if number is None:
            return [Field("cause", values[0], values[0].encode("utf-8", "replace"))]
        return [_cause("cause", kind, number)]

    return read


_CEER_CAUSE: Final = re.compile(r"(EMM|ESM|5GMM|5GSM)?[ _-]*cause[^0-9]{0,6}(\d{1,3})", re.IGNORECASE)


def _error_report(values: list[str], _asked: bool) -> list[Field]:
    text = ",".join(values)
    fields = [Field("report", text, text.encode("utf-8", "replace"))]
    fields += [
        _cause("cause", (found[1] or "EMM").upper(), int(found[2])) for found in list(_CEER_CAUSE.finditer(text))[:4]
    ]
    return fields


_EDGES: Final = (
    ("rxlev", 99, 63, "dBm", -111.0, 1.0),
    ("ber", 99, 7, "", 0.0, 0.0),
    ("rscp", 255, 96, "dBm", -121.0, 1.0),
    ("ecno", 255, 49, "dB", -24.5, 0.5),
    ("rsrq", 255, 34, "dB", -20.0, 0.5),
    ("rsrp", 255, 97, "dBm", -141.0, 1.0),
    ("ss_rsrq", 255, 126, "dB", -43.5, 0.5),
    ("ss_rsrp", 255, 126, "dBm", -157.0, 1.0),
    ("ss_sinr", 255, 127, "dB", -23.5, 0.5),
)
"""+CESQ: name, index of "unknown", highest index, unit, lower edge of index 0 and width of a step (TS 27.007 8.69)."""


def _signal(values: list[str], _asked: bool) -> list[Field]:
    fields = []
    for value, (name, unknown, top, unit, base, step) in zip(values, _EDGES, strict=False):
        index = _number(value)
        text = value
        if index == unknown:
            text = f"{value} (unknown)"
        elif index is not None and unit and 0 <= index <= top:
            low = base + index * step
            edge = (
                f"< {low + step:g}" if index == 0 else f">= {low:g}" if index == top else f"{low:g} to {low + step:g}"
            )
            text = f"{value} ({edge} {unit})"
        fields.append(Field(name, text, value.encode("utf-8", "replace")))
    return fields


def _quality(values: list[str], _asked: bool) -> list[Field]:
    index = _number(values[0])
    told = values[0]
    if index == 99:
        told = "99 (unknown)"
    elif index is not None and 0 <= index <= 31:
        told = f"{index} ({-113 + 2 * index} dBm{' or less' if index == 0 else ' or more' if index == 31 else ''})"
    fields = [Field("rssi", told, values[0].encode("utf-8", "replace"))]
    return fields + [Field("ber", value, value.encode("utf-8", "replace")) for value in values[1:2]]


_FUNCTIONALITY: Final = {0: "minimum", 1: "full", 4: "radio off", 7: "radio off except WLAN", 15: "reset"}
_OPERATOR_MODE: Final = {
    0: "automatic",
    1: "manual",
    2: "deregister",
    3: "set format only",
    4: "manual, then automatic",
}


def _operator(values: list[str], _asked: bool) -> list[Field]:
    fields = [_named("mode", values[0], _OPERATOR_MODE)]
    if len(values) > 1 and values[1]:
        fields.append(_named("format", values[1], {0: "long name", 1: "short name", 2: "PLMN"}))
    if len(values) > 2:
        fields.append(Field("operator", values[2], values[2].encode("utf-8", "replace")))
    if len(values) > 3:
        fields.append(_named("AcT", values[3], causes.ACCESS))
    return fields


_CRSM: Final = {
    176: "READ BINARY",
    178: "READ RECORD",
    192: "GET RESPONSE",
    214: "UPDATE BINARY",
    220: "UPDATE RECORD",
    242: "STATUS",
}


def _restricted(values: list[str], asked: bool) -> list[Field]:
    from bench.trace.decode import status_word

    if asked:  # the answer: sw1, sw2, data
        first, second = _number(values[0]), _number(values[1]) if len(values) > 1 else None
        if first is None or second is None or not (0 <= first <= 255 and 0 <= second <= 255):
            return _plain(("sw1", "sw2", "data"))(values, asked)
        fields = [Field("status", status_word(first << 8 | second), bytes((first, second)))]
        return fields + [Field("data", value[:200], value.encode("utf-8", "replace")) for value in values[2:3]]
    fields = [_named("command", values[0], _CRSM)]
    if len(values) > 1:
        number = _number(values[1])
        file = decode_files.name(f"{number:04X}") if number is not None and 0 <= number <= 0xFFFF else values[1]
        fields.append(Field("file", file, values[1].encode("utf-8", "replace")))
    return fields + _plain(("P1", "P2", "P3", "data", "path"))(values[2:], asked)


def _relayed(values: list[str], asked: bool) -> list[Field]:
    from bench.trace.decode import apdu_command, apdu_response

    text = values[-1]
    try:
        inner = bytes.fromhex(text)
    except ValueError:
        return [Field("apdu", text[:200], text.encode("utf-8", "replace"))]
    return [Field("apdu", apdu_response(inner) if asked else apdu_command(inner), inner)]


_Reader = Callable[[list[str], bool], list[Field]]
_ANSWERS: Final[dict[str, _Reader]] = {
    "+CEREG": _registration("EMM"),
    "+CREG": _registration("EMM"),
    "+CGREG": _registration("EMM"),
    "+C5GREG": _registration("5GMM"),
    "+CNEC_EMM": _single_cause("EMM"),
    "+CNEC_ESM": _single_cause("ESM"),
    "+CEER": _error_report,
    "+CME ERROR": _single_cause("CME"),
    "+CMS ERROR": _single_cause("CMS"),
    "+CESQ": _signal,
    "+CSQ": _quality,
    "+COPS": _operator,
    "+CRSM": _restricted,
    "+CGLA": _relayed,
    "+CSIM": _relayed,
    "+CFUN": lambda values, _asked: [_named("fun", values[0], _FUNCTIONALITY)],
    "+CSCON": lambda values, asked: [_named("mode", values[-1] if asked else values[0], {0: "idle", 1: "connected"})],
    "+CGATT": lambda values, _asked: [_named("state", values[0], {0: "detached", 1: "attached"})],
    "+CPIN": _plain(("code",)),
    "+CGDCONT": _plain(("cid", "PDP_type", "APN", "PDP_addr")),
    "+CGPADDR": _plain(("cid", "PDP_addr", "PDP_addr_2")),
    "+CCHO": _plain(("sessionid",)),
    "+CGEV": _plain(("event",)),
    "+QIND": _plain(("indication",)),
    "+QNWINFO": _plain(("AcT", "operator", "band", "channel")),
    "+QSIMSTAT": _plain(("enable", "inserted")),
}
_SENT: Final = frozenset(("+COPS", "+CRSM", "+CGLA", "+CSIM", "+CFUN", "+CGATT", "+CGDCONT"))
"""Commands whose arguments are read as their answer is."""


def title(name: str, form: str = "") -> str:
    """Return a command with what it is about: ``AT+CEREG? (EPS registration)``."""
    known = COMMANDS.get(name)
    return f"AT{name}{form}" + (f" ({known})" if known else "")


def command(data: bytes) -> Field:
    """Return a command line as a field named ``AT+CEREG?``."""
    line = text_of(data)
    name, form, rest = head(line)
    if not line.upper().startswith("AT"):
        return Field("data", line[:200], data)
    made = Field(f"AT{name}{form}", COMMANDS.get(name, ""), data)
    if rest:
        hidden = "*" in rest
        fields = _ANSWERS[name](split(rest), False) if form == "=" and name in _SENT and not hidden else None
        made.children = fields or [Field("arguments", rest[:500], rest.encode("utf-8", "replace"))]
    return made


def answer_line(line: str, *, asked: bool = True) -> Field:
    """Return one line of an answer (``asked``) or an unsolicited result code."""
    found = _CODE.match(line) or re.match(r"(\+CM[ES] ERROR): ?(.*)$", line)
    if found is None:
        return Field(line[:200], "", line.encode("utf-8", "replace"))
    name = found[1].upper()
    made = Field(name, COMMANDS.get(name, ""), line.encode("utf-8", "replace"))
    reader = _ANSWERS.get(name)
    if reader is not None and "*" not in found[2]:
        made.children = reader(split(found[2]), asked)
    elif found[2]:
        made.children = [Field("value", found[2][:500], found[2].encode("utf-8", "replace"))]
    return made


def answer(lines: list[str]) -> Field:
    """Return the lines of an answer."""
    return Field("answer", "", None, [answer_line(line) for line in lines])


def result(line: str) -> str:
    """Return a final result code with the name of its cause: ``+CME ERROR: 50 incorrect parameters``."""
    found = re.match(r"\+(CM[ES]) ERROR: ?(.*)$", line)
    if found is None:
        return line
    number = _number(found[2])
    return f"{line} {causes.name(found[1], number)}" if number is not None else line
