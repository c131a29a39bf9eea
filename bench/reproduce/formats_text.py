"""Text of any program line by line: AT logs, APDU logs, consoles, syslog, journald. Never raises on any text."""

from __future__ import annotations

import datetime
import re
from typing import Final

from bench.reproduce.imported import Happening, Source
from bench.trace.decode_at import is_final
from bench.trace.lane import Direction

LONGEST: Final = 20_000
"""Characters of one line that are looked at."""
_TIMES: Final = (
    # 2026-02-03T04:05:06.789+01:00, with a blank for T, with a comma for the point; Tue 2026-02-03 04:05:06 UTC
    re.compile(
        r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?\[?(?P<date>\d{4}-\d\d-\d\d)[T ](?P<clock>\d\d:\d\d:\d\d)(?P<part>[.,]\d{1,9})?(?P<zone>Z| UTC\b|[+-]\d\d:?\d\d)?\]?:?\s*"  # noqa: E501
    ),
    re.compile(r"(?P<month>[A-Z][a-z]{2}) +(?P<day>\d{1,2}) (?P<clock>\d\d:\d\d:\d\d)(?P<part>[.,]\d{1,9})?\s+"),
    re.compile(r"\[?(?P<epoch>1\d{9}(?:\.\d{1,9})?)\]?:?\s+"),
    re.compile(r"\[?(?P<clock>\d\d:\d\d:\d\d)(?P<part>[.,:]\d{1,9})?\]?:?\s*"),
    re.compile(r"\[ *(?P<uptime>\d{1,9}\.\d{3,9})\]\s*"),
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}
_SYSLOG: Final = re.compile(r"(?P<host>[\w.-]+) (?P<program>[\w./@-]+)(?:\[(?P<pid>\d+)\])?: ")
_PRIORITY: Final = re.compile(r"<\d{1,3}>(?:1 )?")
_SENT: Final = re.compile(
    r"(?:>>+|-->|->|=>|>|TX|SEND|SENT|OUT|\[TX\]|\[>\]|AT ?cmd)(?:\s*:)?\s+|(?:>>+|-->|->|=>)", re.I
)
_RECEIVED: Final = re.compile(
    r"(?:<<+|<--|<-|<=|<|RX|RECV|RECEIVED|IN|\[RX\]|\[<\]|AT ?rsp)(?:\s*:)?\s+|(?:<<+|<--|<-|<=)", re.I
)
_AT: Final = re.compile(r"AT(?:[+%^#$*&][A-Za-z]\w*.*|[EIVQZ]\d?|)\s*\Z")
_ANSWER: Final = re.compile(r"[+%^#*][A-Z][A-Z0-9]{1,20}(?::.*)?\Z")
_WORDS: Final = ("RDY", "APP RDY", "NORMAL POWER DOWN", "POWERED DOWN", "UNDER-VOLTAGE WARNING", "NO CARRIER", ">")
_COMMAND_MARK: Final = re.compile(
    r"(?:\b(?:C-?APDU|CAPDU|APDU (?:cmd|command|req\w*|sent|>)|CMD|COMMAND|SEND(?:ING)?)\b\s*[:=>]*|=>|-->|->|>>)\s*"
    r"(?P<hex>[0-9A-Fa-f](?:[0-9A-Fa-f :]*[0-9A-Fa-f])?)\s*\Z",
    re.I,
)
_RESPONSE_MARK: Final = re.compile(
    r"(?:\b(?:R-?APDU|RAPDU|APDU (?:rsp|response|resp|received|<)|RSP|RESP(?:ONSE)?|RECV|SW)\b\s*[:=<]*|<=|<--|<-|<<)\s*"  # noqa: E501
    r"(?P<hex>[0-9A-Fa-f](?:[0-9A-Fa-f :]*[0-9A-Fa-f])?)\s*\Z",
    re.I,
)
_PROSE: Final = (
    ("tls", re.compile(r"certificate (?:has |is )?expired|CERTIFICATE_VERIFY_FAILED|certificate verify failed", re.I)),
    ("dtls", re.compile(r"\bDTLS\b.*(?:time ?out|retransmi|no answer|alert|lost)", re.I)),
    ("port-gone", re.compile(r"USB disconnect|ttyUSB\d+: .*disconnected|ttyACM\d+: .*disconnect|device descriptor read", re.I)),  # noqa: E501
    ("under-voltage", re.compile(r"under-?voltage|brown-?out|vbatt\D{1,4}-1|\bBOR\b|low battery", re.I)),
    ("counter", re.compile(r"counter(?:Value)?.{0,20}(?:out of range|replay|not .{0,10}expected|too (?:low|small|high))", re.I)),  # noqa: E501
    ("watchdog", re.compile(r"watchdog|modem (?:not responding|hang|hung|locked up)|AT timeout|no response from modem", re.I)),  # noqa: E501
    ("unreachable", re.compile(r"(?:connection|connect) (?:timed? ?out|refused|reset)|unreachable|no route to host|name resolution", re.I)),  # noqa: E501
    ("es10", re.compile(r"\b(?:enable|disable|delete|download)\w* ?(?:profile)?\b.{0,30}\b(?:fail|error|refused)", re.I)),  # noqa: E501
)  # fmt: skip


class Lines:
    """Reads the lines of one text source, in the order in which they stand."""

    def __init__(self, source: Source, *, year: int = 0) -> None:
        """``year``: of times that tell none (syslog); 0: this one."""
        self.source = source
        self._year = year or datetime.datetime.now(datetime.UTC).year
        self._days = 0.0
        self._last = 0.0
        self._asked = False
        self._timed = 0
        self._untimed = 0

    def text(self, text: str) -> None:
        """Take a whole text."""
        for number, line in enumerate(re.split(r"\r\n|[\n\r]", text), 1):
            if line.strip():
                self.line(number, line)

    def line(self, number: int, line: str, time: float | None = None) -> None:
        """Take one line; ``time`` where it is known otherwise (seconds since 1970)."""
        if line.count("\0") > len(line) // 8 or len(line) > LONGEST:
            self.source.ignore(number, f"{len(line)} characters that are no line of text")
            return
        line = line.replace("\0", " ")  # a port that was opened while the modem booted; texts of C
        rest = _PRIORITY.sub("", line.strip(), count=1)
        if time is None:
            time, rest = self._time(rest)
        program = _SYSLOG.match(rest)
        if program is not None:
            rest = rest[program.end() :]
            time = self._uptime(rest, time)
        if self._message(number, rest.strip(), time, prose=True):
            return
        self.source.ignore(number, line.strip())

    def close(self) -> None:
        """Say what is known of the times."""
        if not self._timed:
            self.source.notes.append("no line has a time: only the order is known")
        elif self._untimed:
            self.source.notes.append(f"{self._untimed} lines have no time: they stand after the line before them")

    def _uptime(self, rest: str, time: float | None) -> float | None:
        return time

    def _message(self, number: int, text: str, time: float | None, *, prose: bool) -> bool:
        if self._apdu(number, text, time):
            return True
        for pattern, direction in ((_SENT, Direction.SENT), (_RECEIVED, Direction.RECEIVED)):
            found = pattern.match(text)
            if found is not None and self._at(number, text[found.end() :].strip().strip('"'), time, direction):
                return True
        if self._at(number, text, time, None):
            return True
        # An AT command in the prose of a console: "modem: AT+CEREG?" or "modem rx: +CEREG: 5".
        _, colon, tail = text.partition(": ")
        if (
            colon
            and (_AT.match(tail.strip()) or _ANSWER.match(tail.strip()))
            and self._at(number, tail.strip(), time, None)
        ):
            return True
        return prose and self._prose(number, text, time)

    def _at(self, number: int, text: str, time: float | None, direction: Direction | None) -> bool:
        text = text.replace("\\r", "").replace("\\n", "").strip()
        is_command = bool(_AT.match(text))
        final = bool(text) and is_final(text)
        answer = bool(_ANSWER.match(text)) or final or text in _WORDS
        if direction is Direction.SENT:
            answer = False
            if not is_command:
                return False
        if not (is_command or answer):
            if direction is Direction.RECEIVED and self._asked and len(text) < 200 and text.isprintable():
                return self._taken(number, text, time)
            return self._bare_answer(number, text, time)
        if is_command and direction is not Direction.RECEIVED:
            self.source.add("at:field", time, number, Direction.SENT, f"{text}\r".encode())
            self._asked = True
        elif is_command:
            pass  # an echo
        else:
            self.source.add("at:field", time, number, Direction.RECEIVED, f"\r\n{text}\r\n".encode())
            self._happens(number, text, time)
            if final:
                self._asked = False
        self.source.recognised["AT lines"] += 1
        return True

    def _bare_answer(self, number: int, text: str, time: float | None) -> bool:
        """Take the answer of AT+CGMR, AT+CIMI and their like: a line without a name, while a command is open."""
        if not self._asked or not re.fullmatch(r"[\w .,:/()-]{3,60}", text):
            return False
        return self._taken(number, text, time)

    def _taken(self, number: int, text: str, time: float | None) -> bool:
        """Take a line of an answer; it may tell what the modem is."""
        self.source.add("at:field", time, number, Direction.RECEIVED, f"\r\n{text}\r\n".encode())
        self.source.recognised["AT lines"] += 1
        previous = next((p for p in reversed(self.source.packets) if p.direction is Direction.SENT), None)
        asked = previous.data.decode("ascii", "replace").strip().upper() if previous is not None else ""
        name = {"AT+CGMR": "modem_firmware", "AT+GMR": "modem_firmware", "AT+CGMM": "modem", "AT+GMM": "modem"}.get(
            asked
        )
        if name is not None:
            self.source.facts.setdefault(name, text.removeprefix("Revision:").strip())
        return True

    def _happens(self, number: int, text: str, time: float | None) -> None:
        found = None
        if match := re.match(r"\+C(?:E|G|5G)?REG: *(?P<fields>[\d,\"A-Fa-f]*)", text):
            fields = match["fields"].split(",")
            stat = fields[1] if len(fields) > 1 and fields[1].isdigit() and len(fields[1]) < 3 else fields[0]
            cause = fields[-1] if len(fields) >= 6 and fields[-1].isdigit() else ""
            if cause and stat in ("2", "3", "0"):
                found = Happening(time, number, "reject", f"cause {cause}", float(cause))
            else:
                found = Happening(time, number, "registration", f"stat {stat}", float(stat) if stat.isdigit() else None)
        elif re.match(r"(?:APP )?RDY\Z|\^SYSSTART|\+CPIN: READY\Z", text):
            found = Happening(time, number, "restart" if "CPIN" not in text else "sim", text)
        elif re.match(r"\+CPIN: NOT INSERTED|\+QSIMSTAT: \d,0|\+CME ERROR: (?:10|13|14|15)\b", text):
            found = Happening(time, number, "card-error", text)
        elif re.search(r"vbatt|UNDER.?VOLTAGE|\^SBC: ?Undervoltage", text, re.I):
            found = Happening(time, number, "under-voltage", text)
        elif match := re.match(r"\+QCSQ: *\"[^\"]*\",-?\d+,(?P<rsrp>-?\d+)", text):
            found = Happening(time, number, "rsrp", text, float(match["rsrp"]))
        elif match := re.match(r"\+CESQ: *(?:\d+,){5}(?P<index>\d+)", text):
            index = int(match["index"])
            found = Happening(time, number, "rsrp", text, float(index - 141)) if index <= 97 else None
        elif match := re.match(r"\+CBC: *(?:\d+,)*(?P<millivolts>\d{4})\b", text):
            found = Happening(time, number, "volts", text, int(match["millivolts"]) / 1000)
        if found is not None:
            self.source.happenings.append(found)

    def _apdu(self, number: int, text: str, time: float | None) -> bool:
        for pattern, direction in ((_COMMAND_MARK, Direction.SENT), (_RESPONSE_MARK, Direction.RECEIVED)):
            found = pattern.search(text)
            if found is None:
                continue
            digits = re.sub(r"[ :]", "", found["hex"])
            if len(digits) % 2:
                continue
            data = bytes.fromhex(digits)
            if direction is Direction.SENT and (len(data) < 4 or data[0] in (0x41, 0xFF)):
                continue
            if direction is Direction.RECEIVED and (len(data) < 2 or (len(data) == 2 and data[0] >> 4 not in (6, 9))):
                continue
            previous = next((p for p in reversed(self.source.packets) if p.lane == "apdu:field"), None)
            if direction is Direction.RECEIVED and previous is None:
                continue
            self.source.add("apdu:field", time, number, direction, data)
            self.source.recognised["APDUs"] += 1
            if direction is Direction.RECEIVED and data[-2:] in (b"\x69\x85", b"\x6f\x00"):
                self.source.happenings.append(Happening(time, number, "status", data[-2:].hex().upper()))
            return True
        return False

    def _prose(self, number: int, text: str, time: float | None) -> bool:
        for what, pattern in _PROSE:
            if pattern.search(text):
                self.source.happenings.append(Happening(time, number, what, text[:200]))
                self.source.recognised["lines of prose"] += 1
                return True
        if match := re.search(
            r"\bMeasured RSRP: *(?P<rsrp>-\d{1,3}(?:\.\d+)?)", text
        ):  # scat, QCSuper: what the modem has
            self.source.happenings.append(Happening(time, number, "rsrp", text[:200], float(match["rsrp"])))
            self.source.recognised["measurements of the modem"] += 1
            return True
        if match := re.search(
            r"\b(?:Firmware build|Build) ID: *(?P<build>[A-Z0-9][\w.-]{3,40})", text
        ):  # QCSuper, scat
            self.source.facts.setdefault("modem_firmware", match["build"])
            self.source.recognised["identities"] += 1
            return True
        if re.search(r"\bSCell Info: EARFCN", text):
            self.source.happenings.append(Happening(time, number, "nas", text[:200]))
            self.source.recognised["serving cells"] += 1
            return True
        if match := re.search(r"net: registered (?P<plmn>\d{5,6})", text):
            self.source.happenings.append(Happening(time, number, "registration", f"plmn {match['plmn']}"))
            self.source.recognised["lines of prose"] += 1
            return True
        return False

    def _time(self, text: str) -> tuple[float | None, str]:
        for pattern in _TIMES:
            found = pattern.match(text)
            if found is None:
                continue
            try:
                time = self._seconds(found.groupdict())
            except (ValueError, OverflowError):
                continue
            self._timed += 1
            return time, text[found.end() :]
        self._untimed += 1
        return None, text

    def _seconds(self, found: dict[str, str | None]) -> float:
        if found.get("epoch"):
            return float(found["epoch"] or 0)
        if found.get("uptime"):
            return float(found["uptime"] or 0)
        hours, minutes, seconds = (int(part) for part in (found["clock"] or "").split(":"))
        part = found.get("part")
        fraction = float("0." + part[1:]) if part else 0.0
        if hours > 23 or minutes > 59 or seconds > 60:
            raise ValueError("no time of day")
        of_day = hours * 3600 + minutes * 60 + seconds + fraction
        if found.get("date"):
            day = datetime.datetime.fromisoformat(found["date"] or "").replace(tzinfo=datetime.UTC)
            zone = found.get("zone") or "Z"
            shift = 0 if zone in ("Z", " UTC") else int(zone[0] + "1") * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)
            return day.timestamp() + of_day - shift
        if found.get("month"):
            month = _MONTHS.get(found["month"] or "", 0)  # 0: datetime raises ValueError
            day = datetime.datetime(self._year, month, int(found["day"] or 0), tzinfo=datetime.UTC)
            return day.timestamp() + of_day
        if of_day + self._days < self._last - 43_200:  # past midnight
            self._days += 86_400
        self._last = of_day + self._days
        return self._last
