"""Who says what: each result of a run with the party that vouches for it and the lane on which the bench saw it.

A result that only one party tells is worth less than one that card, modem, eIM and SM-DP+ agree on; so each keeps its
own row. From the trace alone; what the journal says besides is added by the section.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from bench.report.card import digits
from bench.report.decoding import told
from bench.trace.lane import Direction
from bench.trace.reader import Packet

_MOST: Final = 200
_EARLIER: Final = 3
"""Earlier values of one claim that are kept."""
_ES10_TOLD: Final = {
    "GetEID": "EID",
    "LoadEuiccPackage": "result of the eUICC package",
    "ProfileInstallationResult": "installation",
    "GetProfilesInfo": "profiles",
    "EnableProfile": "enabling",
    "DisableProfile": "disabling",
    "DeleteProfile": "deletion",
    "ProfileRollback": "rollback",
}
_ES10: Final = re.compile(r"([A-Za-z0-9]+): (.+?) - [0-9A-F]{4}\b")
_BODY: Final = re.compile(r"([A-Za-z][A-Za-z0-9]+) (request|answer|response):? ?(.*)", re.DOTALL)
_CRSM: Final = re.compile(rb"\+CRSM=176,(12258|28423)\b")
_CRSM_ANSWER: Final = re.compile(rb'\+CRSM: *144,0,"([0-9A-Fa-f]+)"')
_ICCID: Final = re.compile(rb"\+(?:Q?CCID|ICCID): *\"?([0-9]{18,20}[0-9A-Fa-f]?)\"?")
_IMSI: Final = re.compile(rb"^\s*[0-9]{14,16}\s*$")
"""15 digits; an IMEI may come without its check digit, or with two digits of a software version."""
_COPS: Final = re.compile(rb'\+COPS: *\d+,2,"(\d{5,6})"(?:,(\d+))?')
_ACCESS: Final = {0: "GSM", 2: "UTRAN", 7: "LTE or LTE-M", 8: "EC-GSM-IoT", 9: "NB-IoT", 11: "NR", 12: "NG-RAN"}
"""3GPP TS 27.007 section 7.3, <AcT>; 7 does not tell LTE-M from LTE."""
_MODEM: Final = {
    b"AT+CGMI": "manufacturer",
    b"AT+CGMM": "model",
    b"AT+CGMR": "firmware",
    b"AT+CGSN": "IMEI",
    b"AT+CIMI": "IMSI",
}


@dataclass(slots=True)
class Claim:
    """What one party said."""

    what: str
    source: str
    """``card``, ``modem``, ``eIM``, ``SM-DP+`` ..."""
    lane: str
    value: str = ""
    """As it was said last."""
    first_ns: int = 0
    last_ns: int = 0
    count: int = 0
    earlier: list[str] = field(default_factory=list)
    """What was said before, each change of it; of many the last ones."""


class Witnesses:
    """Collects claims while a trace is read."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str, str], Claim] = {}
        self._asked: dict[str, bytes] = {}
        self.modems: dict[str, dict[str, str]] = {}
        """Lane to what the modem said of itself."""

    def take(self, packet: Packet, kind: str) -> None:
        """Look at one packet of a lane of this kind. Never raises on any bytes."""
        if kind == "at":
            self._at(packet)
        elif kind == "apdu":
            if packet.direction is Direction.RECEIVED and len(packet.data) > 2:
                self._card(packet)
        elif kind == "esipa":
            self._esipa(packet)
        elif kind == "es9plus":
            self._es9plus(packet)

    def found(self) -> list[Claim]:
        """Return the claims in the order in which they were first made."""
        return sorted(self._claims.values(), key=lambda claim: claim.first_ns)

    def _say(self, what: str, value: str, source: str, packet: Packet) -> None:
        key = (what, source, packet.lane)
        claim = self._claims.get(key)
        if claim is None:
            if len(self._claims) >= _MOST:
                return
            claim = self._claims[key] = Claim(what, source, packet.lane, value, packet.time_ns)
        if claim.value != value:
            claim.earlier = [*claim.earlier[1 - _EARLIER :], claim.value]
            claim.value = value
        claim.count += 1
        claim.last_ns = packet.time_ns

    def _card(self, packet: Packet) -> None:
        found = _ES10.match(told(packet))
        if found is not None and found[1] in _ES10_TOLD:
            self._say(_ES10_TOLD[found[1]], found[2], "card", packet)

    def _esipa(self, packet: Packet) -> None:
        found = _BODY.match(told(packet))
        if found is None:
            return
        name, answer, detail = found[1], found[2] != "request", found[3]
        if name == "GetEimPackage" and answer and detail and "noEimPackageAvailable" not in detail:
            self._say("eIM package", detail, "eIM", packet)
        elif name == "ProvideEimPackageResult" and detail:
            if answer:
                self._say("results received", detail, "eIM", packet)
            else:
                self._say("result of the eUICC package", detail, "card, by the IPA", packet)

    def _es9plus(self, packet: Packet) -> None:
        found = _BODY.match(told(packet))
        if found is None:
            return
        name, answer, detail = found[1], found[2] != "request", found[3]
        if name.casefold() == "handlenotification" and not answer and name[:1].isupper() and detail:
            self._say(f"notification {detail.removeprefix('notification ')}", "sent to the SM-DP+", "card", packet)
        elif name.casefold() == "getboundprofilepackage" and answer and detail:
            self._say("Bound Profile Package", detail, "SM-DP+", packet)

    def _at(self, packet: Packet) -> None:
        data = packet.data
        if packet.direction is not Direction.RECEIVED:
            self._asked[packet.lane] = data.strip().upper()
            return
        asked = self._asked.get(packet.lane, b"")
        if data.startswith(b"\r\n+C") or b"+C" in data or b"CCID" in data:
            self._tagged(data, asked, packet)
        elif asked in _MODEM:
            line = data.strip()
            if not line or line == b"OK" or b"ERROR" in line or line.upper() == asked or line[:1] in b"+^%#":
                return
            what = _MODEM[asked]
            value = line.split(b"\r\n")[0].decode("ascii", "replace")
            if what != "IMSI":
                self.modems.setdefault(packet.lane, {}).setdefault(what, value)
            if what in ("IMEI", "IMSI") and _IMSI.match(line):
                self._say("IMEI" if what == "IMEI" else "IMSI in use", value, "modem", packet)

    def _tagged(self, data: bytes, asked: bytes, packet: Packet) -> None:
        network = _COPS.search(data)
        if network is not None:
            access = _ACCESS.get(int((network[2] or b"-1")[:4]), "")
            self._say("registered on", f"{network[1].decode()} {access}".strip(), "modem", packet)
            return
        file = _CRSM.search(asked)
        answer = _CRSM_ANSWER.search(data)
        if file is not None and answer is not None and len(answer[1]) % 2 == 0:
            content = bytes.fromhex(answer[1].decode())
            if file[1] == b"12258":
                self._say("ICCID of the enabled profile", digits(content), "card, read by the modem", packet)
            else:  # EF.IMSI: a length, then the digits with the parity in the first half byte (3GPP TS 31.102)
                self._say("IMSI on the card", digits(content[1:])[1:], "card, read by the modem", packet)
            return
        iccid = _ICCID.search(data)
        if iccid is not None:
            self._say("ICCID of the enabled profile", iccid[1].decode().rstrip("Ff"), "modem", packet)
