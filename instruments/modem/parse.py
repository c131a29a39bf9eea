"""Answers of 27.007 commands as text to values; variants seen on real modems are accepted. No I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.errors import DeviceFailure
from instruments.modem.levels import cesq
from instruments.modem.lines import fields_of, name_of, value_of

HOME, ROAMING = 1, 5
RATS = {0: "GSM", 1: "GSM", 2: "UMTS", 3: "GSM", 4: "UMTS", 5: "UMTS", 6: "UMTS", 7: "LTE", 8: "EC-GSM", 9: "NB-IoT"}
RATS |= {10: "LTE", 11: "NR", 12: "NR", 13: "LTE"}
"""<AcT> of 27.007 section 7.3; whether 7 is LTE or LTE-M only the vendor's own command tells."""
_HEX = re.compile(r"[0-9A-Fa-f]+")
_CAUSE_3GPP = 0


class AnswerUnreadable(DeviceFailure):
    """The modem answered something that cannot be read; ``where`` is the answer."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where or "an empty answer", hint=hint)


@dataclass(frozen=True, slots=True)
class RegistrationState:
    """+CEREG: <stat> and what came with it."""

    status: int
    tac: int | None = None
    cell_id: int | None = None
    act: int | None = None
    reject_cause: int | None = None
    """EMM cause (cause_type 0); causes of the manufacturer's own are not in here."""
    cause_type: int | None = field(default=None, compare=False)
    """<cause_type> as it stood: 0 3GPP, 1 of the manufacturer."""
    cause_value: int | None = field(default=None, compare=False)
    """<reject_cause> of whatever type."""

    @property
    def registered(self) -> bool:
        """Home or roaming."""
        return self.status in (HOME, ROAMING)


def registration(line: str, *, read: bool) -> RegistrationState:
    """Read ``+CEREG: ...`` (27.007 section 10.1.22); ``read``: the answer to AT+CEREG?, which has <n> first.

    Accepts values with and without quotes, blanks, a <rac> between tac and ci, and missing fields.
    Raises AnswerUnreadable.
    """
    fields = fields_of(line)
    if read:
        fields = fields[1:]
    status = _int(fields[0]) if fields else None
    if status is None or not 0 <= status <= 255:
        raise AnswerUnreadable("this is no registration state", where=line[:80])
    rest = fields[1:]
    # Some modems put a <rac> of two digits between tac and ci; <AcT> never has more than two.
    if len(rest) >= 3 and 1 <= len(rest[1]) <= 2 < len(rest[2]):
        rest = [rest[0], *rest[2:]]
    values = rest + [""] * (5 - len(rest))
    kind, cause = _int(values[3]), _int(values[4])
    return RegistrationState(
        status,
        _hex(values[0]),
        _hex(values[1]),
        _int(values[2]),
        cause if kind == _CAUSE_3GPP else None,
        cause_type=kind if cause is not None else None,
        cause_value=cause,
    )


def _int(text: str) -> int | None:
    text = text.strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text) else None


def cause(text: str) -> int | None:
    """Read a cause value of one byte."""
    value = _int(text)
    return value if value is not None and 0 < value < 256 else None


def causes(text: str) -> tuple[int | None, int | None]:
    """Find EMM and ESM cause in the free text of +CEER (27.007 section 6.10), None for what it does not name."""
    found: list[int | None] = []
    for layer in ("EMM", "ESM"):
        match = re.search(rf"\b{layer}\b[^0-9;]{{0,24}}?(\d{{1,3}})\b", text, re.IGNORECASE)
        found.append(cause(match.group(1)) if match else None)
    return found[0], found[1]


def _hex(text: str) -> int | None:
    text = text.strip()
    return int(text, 16) if _HEX.fullmatch(text) and len(text) <= 9 else None


def operator(line: str) -> tuple[str, int | None]:
    """Read ``+COPS: 0,2,"26201",7``: PLMN digits ('' when not registered, or not numeric) and <AcT>."""
    fields = fields_of(line)
    plmn = fields[2] if len(fields) > 2 and re.fullmatch(r"\d{5,6}", fields[2]) else ""
    return plmn, _int(fields[3]) if len(fields) > 3 else None


def signal(line: str) -> dict[str, float | None]:
    """Read ``+CESQ: 99,99,255,255,<rsrq>,<rsrp>`` (27.007 section 8.69): dB and dBm, None when not known.

    Each is the lower edge of what its index stands for (``levels``).
    """
    levels, _ = cesq(line)
    return {name: levels[name].value if name in levels else None for name in ("rsrp", "rsrq")}


def address(lines: Iterable[str], cid: int) -> str:
    """Return the address in ``+CGPADDR: <cid>,"10.0.0.5"``, '' when there is none."""
    for line in lines:
        fields = fields_of(line)
        if name_of(line) == "+CGPADDR" and len(fields) > 1 and _int(fields[0]) == cid:
            found = _ip(fields[1])
            if found and found != "0.0.0.0":
                return found
    return ""


@dataclass(frozen=True, slots=True)
class DynamicParameters:
    """+CGCONTRDP of one context: the APN the network gave, and the DNS servers."""

    apn: str
    address: str
    dns: tuple[str, ...]


def dynamic_parameters(lines: Iterable[str], cid: int) -> DynamicParameters | None:
    """Read ``+CGCONTRDP: <cid>,<bearer>,<apn>,<address+mask>,<gateway>,<DNS1>,<DNS2>,...`` (27.007 section 10.1.23)."""
    apn = own = ""
    dns: list[str] = []
    seen = False
    for line in lines:
        fields = fields_of(line)
        if name_of(line) != "+CGCONTRDP" or len(fields) < 3 or _int(fields[0]) != cid:
            continue
        seen = True
        apn = apn or fields[2]
        if len(fields) > 3 and not own:
            own = _ip(fields[3])
        dns += [found for text in fields[5:7] if (found := _ip(text)) and found not in ("0.0.0.0", "::")]
    return DynamicParameters(apn, own, tuple(dict.fromkeys(dns))) if seen else None


def _ip(text: str) -> str:
    """Read an address as 27.007 writes it: dotted decimal, IPv6 with 16 dotted bytes, perhaps with a mask behind."""
    text = text.strip().split("/")[0].split(" ")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    parts = text.split(".")
    if all(part.isdigit() and int(part) < 256 for part in parts):
        if len(parts) in (4, 8):  # address, or address and mask
            return ".".join(str(int(part)) for part in parts[:4])
        if len(parts) in (16, 32):
            return str(ipaddress.IPv6Address(bytes(int(part) for part in parts[:16])))
    return ""


def same_apn(given: str, wanted: str) -> bool:
    """Whether an APN is the one wanted; the network adds its operator identifier (23.003 section 9.1.2)."""
    given, wanted = given.lower(), wanted.lower()
    return given == wanted or re.fullmatch(re.escape(wanted) + r"\.mnc\d{2,3}\.mcc\d{3}\.gprs", given) is not None


def defined_apn(lines: Iterable[str], cid: int) -> str | None:
    """Return the APN in ``+CGDCONT: <cid>,"IP","apn",...``, None when the context is not defined."""
    for line in lines:
        fields = fields_of(line)
        if name_of(line) == "+CGDCONT" and len(fields) > 2 and _int(fields[0]) == cid:
            return fields[2]
    return None


def active_contexts(lines: Iterable[str]) -> list[int]:
    """Return the context ids of ``+CGACT: <cid>,1``."""
    pairs = [fields_of(line) for line in lines if name_of(line) == "+CGACT"]
    return [int(pair[0]) for pair in pairs if len(pair) > 1 and pair[1] == "1" and _int(pair[0]) is not None]


def active(lines: Iterable[str], cid: int) -> bool:
    """Whether ``+CGACT: <cid>,1`` is among the lines."""
    wanted = (cid, 1)
    return any(
        name_of(line) == "+CGACT" and len(f := fields_of(line)) > 1 and (_int(f[0]), _int(f[1])) == wanted
        for line in lines
    )


def restricted_sim_access(lines: Sequence[str]) -> tuple[int, bytes]:
    """Read ``+CRSM: 144,0,"0000"`` (27.007 section 8.18): status word and data. Raises AnswerUnreadable."""
    for line in lines:
        if name_of(line) != "+CRSM":
            continue
        fields = fields_of(line)
        sw1 = _int(fields[0])
        sw2 = _int(fields[1]) if len(fields) > 1 else None
        data = fields[2] if len(fields) > 2 else ""
        if sw1 is not None and sw2 is not None and sw1 < 256 and sw2 < 256 and re.fullmatch(r"([0-9A-Fa-f]{2})*", data):
            return sw1 << 8 | sw2, bytes.fromhex(data)
    raise AnswerUnreadable("the answer to +CRSM cannot be read", where="; ".join(lines)[:80])


def apdu(lines: Sequence[str], name: str = "+CGLA") -> bytes:
    """Read ``+CGLA: <length>,"<hex>"`` (27.007 section 8.43), with or without quotes. Raises AnswerUnreadable."""
    for line in lines:
        if name_of(line) != name:
            continue
        fields = fields_of(line)
        if len(fields) == 2 and re.fullmatch(r"([0-9A-Fa-f]{2})+", fields[1]):
            if _int(fields[0]) not in (len(fields[1]), len(fields[1]) // 2):
                raise AnswerUnreadable(
                    f"{name} announces {fields[0]} characters and gives {len(fields[1])}", where="; ".join(lines)[:80]
                )
            return bytes.fromhex(fields[1])
    raise AnswerUnreadable(f"the answer to {name} cannot be read", where="; ".join(lines)[:80])


def session(lines: Sequence[str]) -> str:
    """Return the session id of +CCHO: ``+CCHO: 1``, ``+CCHO: 00000000038aa32f`` or a bare ``1``. Opaque text."""
    named = [line for line in lines if name_of(line) == "+CCHO"]
    for line in named or lines:
        text = value_of(line).strip('" ')
        if re.fullmatch(r"[0-9A-Za-z]{1,32}", text):
            return text
    raise AnswerUnreadable("the answer to +CCHO has no session id", where="; ".join(lines)[:80])


def plain(lines: Sequence[str]) -> str:
    """Return a bare-text answer (AT+CGMI, AT+CIMI), or the value of a named one; '' when there is none."""
    return value_of(lines[0]).strip('" ') if lines else ""


def imei(lines: Sequence[str]) -> str:
    """Return the IMEI digits of AT+CGSN or AT+CGSN=1, '' when there are none."""
    for line in lines:
        found = re.fullmatch(r"\d{14,16}", value_of(line).strip('" '))
        if found:
            return found.group(0)
    return ""


def sim_state(lines: Sequence[str]) -> str:
    """Return READY, SIM PIN, ... of +CPIN."""
    for line in lines:
        if name_of(line) == "+CPIN":
            return value_of(line).upper()
    raise AnswerUnreadable("the answer to +CPIN cannot be read", where="; ".join(lines)[:80])
