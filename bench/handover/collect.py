"""Finding the identifiers of a run: in manifest, journal, station configuration, logs and the decoded trace.

What is found is told by what it stands for (a key of JSON, an AT command, a file of the card, a tag), not by looking
like a number. More is added than is certain: an identifier that is none costs a number its digits in the bundle.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.handover.pseudonyms import (
    ADDRESS,
    CELL,
    CODE,
    CREDENTIAL,
    EID,
    HOST,
    ICCID,
    IMEI,
    IMSI,
    KEY,
    LOGIN,
    MSISDN,
    NAME,
    TMSI,
    Identifier,
    valid,
)
from bench.rsp.ids import check_eid, check_iccid

_KEYS: Final = (
    (re.compile(r"(?:^|_)imsis?$"), IMSI),
    (re.compile(r"(?:^|_)iccids?$"), ICCID),
    (re.compile(r"(?:^|_)eids?(?:value)?$"), EID),
    (re.compile(r"(?:^|_)imei$"), IMEI),
    (re.compile(r"(?:^|_)(?:msisdn|phone|number)$"), MSISDN),
    (re.compile(r"(?:^|_)(?:p|m|s|5g_?s)?_?tmsi$"), TMSI),
    (re.compile(r"(?:^|_)(?:ki|k|opc?|topc?|adm\d?|key_?value|auth_?key)$"), KEY),
    (re.compile(r"(?:^|_)(?:matching_?id|matching_?code|confirmation_?code|cc|code)$"), CODE),
    (
        re.compile(r"(?:^|_)(?:user_?name|apn_user|login|password|passwd|secret|token|pin\d?|puk\d?|psk)$"),
        CREDENTIAL,
    ),
    (
        re.compile(
            r"(?:^|_)(?:nick_?name|profile_?name|service_?provider(?:_?name)?|provider|spn|owner|operator_name)$"
        ),
        NAME,
    ),
    (re.compile(r"(?:^|_)(?:cell_?id|eci|nci|ci|cid)$"), CELL),
)
_NOT_KEYS: Final = frozenset(("exit_code", "error_code"))
_ADDRESS_KEY: Final = re.compile(
    r"(?:^|_)(?:fqdn|address|smdpp?|smds|url|host|https?|coaps?|operator|admin|resource|listen|advertise|ca)$"
)
_VERSION_KEY: Final = re.compile(r"version|firmware|python|identity|system")
_GENERIC: Final = frozenset(
    [
        "root",
        "admin",
        "administrator",
        "user",
        "users",
        "guest",
        "test",
        "tester",
        "lab",
        "bench",
        "ubuntu",
        "debian",
        "pi",
        "nobody",
        "localhost",
        "local",
        "host",
        "vm",
        "home",
        "runner",
        "default",
        "operational",
        "bootstrap",
        "none",
        "unknown",
        "public",
        "shared",
    ]
)
_PUBLIC_DOMAINS: Final = (
    "example",
    "test",
    "invalid",
    "localhost",
    "local",
    "example.com",
    "example.net",
    "example.org",
)
_FILE_ENDINGS: Final = frozenset(
    [
        "py",
        "toml",
        "json",
        "jsonl",
        "html",
        "xml",
        "pcapng",
        "pcap",
        "log",
        "txt",
        "der",
        "pem",
        "crt",
        "csv",
        "f32",
        "md",
        "so",
        "sock",
        "conf",
        "lock",
        "stack",
        "asn",
        "cfg",
        "sh",
    ]
)

_IN_TEXT: Final = (
    (re.compile(r"(?<!\d)(89\d{30})(?!\d)"), EID),
    (re.compile(r"(?<!\d)(89\d{16,18})(?!\d)"), ICCID),
    (re.compile(r"ICCID[^0-9A-Za-z\n]{1,6}(\d{18,20})", re.I), ICCID),
    (re.compile(r"IMEI(?:SV)?[^0-9A-Za-z\n]{1,6}(\d{14,16})", re.I), IMEI),
    (re.compile(r"IMSI[^0-9A-Za-z\n]{1,12}(\d{10,15})(?!\d)", re.I), IMSI),
    (re.compile(r"MSISDN[^0-9A-Za-z\n+]{1,6}\+?(\d{7,15})", re.I), MSISDN),
    (re.compile(r"M-?TMSI[^0-9A-Za-z\n]{1,6}(?:0x)?([0-9a-f]{8})(?![0-9a-f])", re.I), TMSI),
    (re.compile(r"\b([0-9A-Z]{5}(?:-[0-9A-Z]{5}){3})\b"), CODE),
    (re.compile(r"(?<![A-Za-z0-9_.-])(?:/home/|/Users/|[A-Z]:\\{1,2}Users\\{1,2})([^/\\\s\"':,]+)"), LOGIN),
)
_ACTIVATION: Final = re.compile(r"LPA:1\$([^$\s\"'<>\\]+)\$([^$\s\"'<>\\]*)", re.I)
_URL: Final = re.compile(
    r"(?:https?|coaps?|ftp|telnet|wss?|proxy)://(?:[^@/\s\"]*@)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])"
)
_QUAD: Final = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?!\d)")
_COLONS: Final = re.compile(r"(?<![0-9A-Za-z:.])([0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![0-9A-Za-z:.])")
_DOTTED_V6: Final = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){15})(?![\d.])")
_DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,6}[a-z]{2,16}", re.I)

_SWAPPED_ICCID: Final = re.compile(r"(?<![0-9A-Fa-f])(98[0-9A-Fa-f]{18})(?![0-9A-Fa-f])")
_REGISTRATION: Final = re.compile(r'\+C(?:E|G|5G)?REG: ?(?:\d,)?\d+,"[0-9A-Fa-f]{1,6}","([0-9A-Fa-f]{4,9})"')
_SERVING_CELL: Final = re.compile(
    r'\+QENG: ?(?:"servingcell",)?(?:"\w+",)?"[\w -]+","[TF]DD",\d+,\d+,([0-9A-F]{4,9}),', re.I
)
_MONITOR: Final = re.compile(r'%XMONITOR:.*?"[0-9A-Fa-f]{4}",\d+,\d+,"([0-9A-Fa-f]{8})"')
_U_BLOX: Final = re.compile(r"^\d+,\d+,\d+,\d+,[0-9a-f]{1,4},([0-9a-f]{5,9}),\d+,([0-9a-f]{8}),", re.I | re.M)
_MONI: Final = re.compile(r"\bTAC:[0-9A-F]+ Id:([0-9A-F]{4,9})\b", re.I)
_QUOTED_15: Final = re.compile(r"[\"'](\d{15})[\"']")
_NUMBER_LINES: Final = re.compile(r'\+(?:CNUM|CLIP|CMT|CSCA|CMGR|CMGL|COLP)\b[^\r\n]*?"(\+?\d{7,15})"')
_FILE_BY_AT: Final = re.compile(r"AT\+CRSM=\d+,(\d+)", re.I)


@functools.cache
def vocabulary() -> str:
    """Return the bench's own texts: what is a word there is nobody's name, and must stay in what is made of a run."""
    here = Path(__file__).parent
    files = [*(here.parent / "report").glob("*.py"), *(here.parent / "run").glob("*.py"), here / "bundle.py"]
    return "\n".join(file.read_text("utf-8") for file in sorted(files))


class Found:
    """The identifiers of one or several runs, and their PLMNs."""

    def __init__(self) -> None:
        self.identifiers: set[Identifier] = set()
        self.plmns: set[str] = set()
        self.public = ""
        """Text that is no secret (recipe and its names): a name that stands in it is no name of anybody."""
        self.kept: set[str] = set()
        """Names that were left alone because they stand in ``public``, or are everybody's."""

    def add(self, kind: str, value: str) -> None:
        """Add one identifier, when it has the form of its kind."""
        value = value.strip()
        if kind == IMEI and len(value) == 16:
            value = value[:14]  # IMEISV: the two last digits are a software version
        if kind in (KEY, TMSI, CELL):
            value = value.lower().removeprefix("0x")
        if kind == CELL:
            value = f"{value:0>7}" if len(value.lstrip("0")) <= 7 else f"{value.lstrip('0'):0>9}"
            value = value[-7:] if not value[:-7].strip("0") else value
        if kind == KEY and not valid(Identifier(KEY, value)):
            kind = CREDENTIAL
        if kind == HOST:
            value = value.strip("[]").rstrip(".").lower()
            if _is_address(value):
                kind = ADDRESS
        if kind == ADDRESS and _is_address(value):
            value = str(ipaddress.ip_address(value))
        if kind == HOST and not _private_host(value):
            return
        if kind in (NAME, LOGIN) and value.lower() in _GENERIC:
            self.kept.add(value)
            return
        if kind in (NAME, LOGIN):
            public = _word_in(value, self.public) or _word_in(value, vocabulary())
            if public and kind == NAME:
                self.kept.add(value)
                return
            kind = LOGIN if public else NAME
        if kind in (CREDENTIAL, CODE) and (
            value.lower() in _GENERIC or "/" in value or (value.islower() and _word_in(value, vocabulary()))
        ):
            return
        identifier = Identifier(kind, value)
        if valid(identifier):
            self.identifiers.add(identifier)

    # --- text and JSON --------------------------------------------------------------------------------------------

    def text(self, text: str) -> None:
        """Look through a text for what can be told by its form or by the word before it."""
        for pattern, kind in _IN_TEXT:
            for match in pattern.finditer(text):
                digits = match[1]
                if kind == EID and not check_eid(digits):
                    continue
                if kind == ICCID and not check_iccid(digits) and pattern is _IN_TEXT[1][0]:
                    continue
                self.add(kind, digits)
        for match in _ACTIVATION.finditer(text):
            self.add(HOST, match[1])
            if match[2]:
                self.add(CODE, match[2])
        for match in _URL.finditer(text):
            self.add(HOST, match[1])

    def addresses(self, text: str) -> None:
        """Look for addresses, in texts where four numbers are no version."""
        for match in _QUAD.finditer(text):
            if _is_address(match[1]):
                self.add(ADDRESS, match[1])
        for match in _COLONS.finditer(text):
            if _is_address(match[1]) and len(match[1]) > 4:
                self.add(ADDRESS, match[1])
        for match in _DOTTED_V6.finditer(text):
            octets = [int(part) for part in match[1].split(".")]
            if max(octets) < 256:
                self.add(ADDRESS, str(ipaddress.IPv6Address(bytes(octets))))

    def json(self, value: Any, key: str = "", *, path: tuple[str, ...] = ()) -> None:
        """Look through a JSON value: by its keys, and through every text."""
        if isinstance(value, Mapping):
            named = value.get("name")
            for name, item in value.items():
                # {"name": "eid", "value": ...} as the journal has it
                label = str(named) if name == "value" and isinstance(named, str) else str(name)
                self.json(item, label, path=(*path, str(name)))
        elif isinstance(value, list | tuple):
            for item in value:
                self.json(item, key, path=path)
        elif isinstance(value, str | int) and not isinstance(value, bool):
            self._value(str(value), key.lower(), path, number=isinstance(value, int))

    def _value(self, text: str, key: str, path: tuple[str, ...], *, number: bool) -> None:
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
        for pattern, kind in _KEYS:
            if snake not in _NOT_KEYS and "sources" not in path and pattern.search(snake):
                if kind == CELL:
                    self.add(CELL, f"{int(text):x}" if number else text)
                elif kind == CODE and text.upper().startswith("LPA:"):
                    break
                elif text and not (number and kind in (CODE, NAME, TMSI)):
                    self.add(kind, text)
                break
        if snake.endswith("plmn") and text.isdecimal():
            self.plmns.add(text)
        if number:
            return
        if snake == "by" and "@" in text:
            user, _, host = text.partition("@")
            self.add(LOGIN, user)
            self.add(LOGIN, host)
        if path[-2:] == ("host", "name"):
            self.add(LOGIN, text)
        self.text(text)
        if not _VERSION_KEY.search(snake):
            self.addresses(text)
        if _ADDRESS_KEY.search(snake) and _DOMAIN.fullmatch(text):
            self.add(HOST, text)

    # --- the trace ------------------------------------------------------------------------------------------------

    def at_line(self, text: str, command: str) -> None:
        """Look through what a modem says after ``command`` (upper case)."""
        bare = text.strip()
        if bare.isdecimal() and len(bare) in (14, 15, 16):
            self.add(IMEI if "GSN" in command else IMSI, bare)
        for match in _QUOTED_15.finditer(text):
            known = Identifier(IMEI, match[1]) in self.identifiers
            self.add(IMEI if known or "GSN" in command else IMSI, match[1])
        if "CCID" in command or "CCID" in text.upper():
            for match in re.finditer(r"(?<!\d)(\d{18,20})(?!\d)", text):
                self.add(ICCID, match[1])
        for pattern in (_REGISTRATION, _SERVING_CELL, _MONITOR, _MONI):
            for match in pattern.finditer(text):
                self.add(CELL, match[1])
        for match in _U_BLOX.finditer(text):
            self.add(CELL, match[1])
            self.add(TMSI, match[2])
        for match in _NUMBER_LINES.finditer(text):
            self.add(MSISDN, match[1].lstrip("+"))
        self.text(text)
        self.addresses(text)

    def scpi_line(self, text: str) -> None:
        """Look through a line to or from an instrument."""
        for match in _QUOTED_15.finditer(text):
            known = Identifier(IMEI, match[1]) in self.identifiers
            self.add(IMEI if known or "IMEI" in text.upper() else IMSI, match[1])
        self.text(text)

    def hexadecimal(self, text: str) -> None:
        """Look for an ICCID as EF.ICCID has it, in hexadecimal text."""
        for match in _SWAPPED_ICCID.finditer(text):
            self.add(ICCID, _unswapped(bytes.fromhex(match[1])))


def crsm_file(line: str) -> int | None:
    """Return the file that an AT+CRSM command names."""
    match = _FILE_BY_AT.search(line)
    return int(match[1]) if match is not None else None


def _unswapped(data: bytes) -> str:
    return "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in data).rstrip("f")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _private_host(name: str) -> bool:
    if not _DOMAIN.fullmatch(name) or name.rpartition(".")[2] in _FILE_ENDINGS:
        return False
    return not any(name == domain or name.endswith("." + domain) for domain in _PUBLIC_DOMAINS)


def _word_in(word: str, text: str) -> bool:
    return bool(word) and re.search(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", text, re.I) is not None
