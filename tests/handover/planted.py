"""Identifiers written into a trace in every way that a bench meets, and where each of them is to be found again."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.rsp.ids import eid_with_check_digits, imsi_file, luhn_digit
from bench.trace import Direction, TraceWriter
from bench.trace.reader import Packet, read

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED


@dataclass(frozen=True)
class Card:
    """The identifiers of one device with its card."""

    eid: str
    iccid: str
    imsi: str
    imei: str
    msisdn: str = "491701234567"
    tmsi: str = "c0ffee42"
    code: str = "QR-G-5C-1LS-1W1Z9P7"
    cell: str = "1a2b3c4"
    smdp: str = "smdp.operator.net"

    @classmethod
    def draw(cls, seed: int) -> Card:
        source = random.Random(seed)

        def digits(count: int) -> str:
            return "".join(source.choice("0123456789") for _ in range(count))

        iccid, imei = "8949020" + digits(11), "35290611" + digits(6)
        return cls(
            eid=eid_with_check_digits("89049032" + digits(22)),
            iccid=iccid + luhn_digit(iccid),
            imsi="26202" + digits(10),
            imei=imei + luhn_digit(imei),
            msisdn="49170" + digits(7),
            tmsi=f"{source.randrange(1 << 24, 1 << 32):08x}",
            cell=f"{source.randrange(1 << 26, 1 << 28):07x}",
            code="-".join(
                "".join(source.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(5)) for _ in range(4)
            ),
        )


def swapped(digits: str) -> bytes:
    digits += "f" * (len(digits) % 2)
    return bytes.fromhex("".join(digits[at + 1] + digits[at] for at in range(0, len(digits), 2)))


def unswapped(data: bytes) -> str:
    return "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in data)


def profiles(card: Card) -> bytes:
    """GetProfilesInfo's answer with filler before the ICCID, so that it can lie across a block's end."""
    inner = b"\x5a\x0a" + swapped(card.iccid.ljust(20, "f")) + b"\x9f\x70\x01\x01"
    entry = b"\xe3" + bytes((len(inner),)) + inner
    return b"\xbf\x2d" + bytes((len(entry) + 2,)) + b"\xa0" + bytes((len(entry),)) + entry


def get_eid(card: Card) -> bytes:
    return b"\xbf\x3e\x12\x5a\x10" + bytes.fromhex(card.eid)


Find = Callable[[list[Packet]], str]


class Plan:
    """A trace being written, and for each planted identifier how to read it again: (form, value, reader)."""

    def __init__(self, writer: TraceWriter) -> None:
        self.writer = writer
        self.expected: list[tuple[str, str, Find]] = []

    def record(self, lane: str, direction: Direction, data: bytes, comment: str | None = None) -> int:
        """Write a packet, return its place in the list of all."""
        self.writer.lane(lane).record(direction, data, comment=comment)
        return self.writer.packets - 1

    def expect(self, form: str, value: str, find: Find) -> None:
        self.expected.append((form, value, find))


def plant(plan: Plan, card: Card, source: random.Random) -> None:
    """Write every form once."""
    _apdus(plan, card, source)
    _modem(plan, card, source)
    _servers(plan, card, source)
    _texts(plan, card, source)


def _apdus(plan: Plan, card: Card, source: random.Random) -> None:
    # The answer in parts, cut anywhere (GET RESPONSE), other channels in between.
    whole = get_eid(card)
    plan.record("apdu:card", SENT, bytes.fromhex("81E2910006BF3E035C015A00"))
    plan.record("apdu:card", RECEIVED, bytes.fromhex("6115"))
    cut = source.randrange(1, len(whole))
    places = []
    for part, more in ((whole[:cut], b"\x61\x10"), (whole[cut:], b"\x90\x00")):
        plan.record("apdu:card", SENT, bytes((0x01, 0xC0, 0, 0, len(part))))
        places.append(plan.record("apdu:card", RECEIVED, part + more))
    plan.expect(
        f"APDU answer cut at {cut}", card.eid, lambda p, a=places: (p[a[0]].data[:-2] + p[a[1]].data[:-2])[5:21].hex()
    )
    # The command in blocks, cut anywhere (STORE DATA).
    request = b"\xbf\x31\x0f\xa0\x0c\x5a\x0a" + swapped(card.iccid.ljust(20, "f")) + b"\x81\x01\xff"
    cut = source.randrange(1, len(request))
    blocks = []
    for number, part in enumerate((request[:cut], request[cut:])):
        head = bytes((0x81, 0xE2, 0x91 if number else 0x11, number, len(part)))
        blocks.append(plan.record("apdu:card", SENT, head + part + b"\0" * number))
        plan.record("apdu:card", RECEIVED, b"\x90\x00")
    first, second = blocks
    plan.expect(
        f"STORE DATA cut at {cut}",
        card.iccid,
        lambda p: unswapped((p[first].data[5:] + p[second].data[5:-1])[7:17]).rstrip("f"),
    )
    # EF.IMSI, with its parity nibble in front.
    plan.record("apdu:card", SENT, bytes.fromhex("00A40004026F07"))
    plan.record("apdu:card", RECEIVED, b"\x90\x00")
    plan.record("apdu:card", SENT, bytes.fromhex("00B0000009"))
    at = plan.record("apdu:card", RECEIVED, imsi_file(card.imsi) + b"\x90\x00")
    plan.expect("EF.IMSI", card.imsi, lambda p: unswapped(p[at].data[1:9])[1:])
    # EF.EPSLOCI with the GUTI, EF.MSISDN.
    guti = bytes.fromhex("0bf662f220800101" + card.tmsi) + bytes.fromhex("62f2200001") + b"\0"
    plan.record("apdu:card", SENT, bytes.fromhex("00A40004026FE3"))
    plan.record("apdu:card", RECEIVED, b"\x90\x00")
    place = plan.record("apdu:card", SENT, bytes.fromhex("00D60000") + bytes((len(guti),)) + guti)
    plan.record("apdu:card", RECEIVED, b"\x90\x00")
    plan.expect("EF.EPSLOCI", card.tmsi, lambda p: p[place].data[13:17].hex())
    number = swapped(card.msisdn)
    record = b"meter".ljust(4) + bytes((len(number) + 1, 0x91)) + number.ljust(10, b"\xff") + b"\xff\xff"
    plan.record("apdu:card", SENT, bytes.fromhex("00A40004026F40"))
    plan.record("apdu:card", RECEIVED, b"\x90\x00")
    plan.record("apdu:card", SENT, bytes.fromhex("00B2010413"))
    number_at = plan.record("apdu:card", RECEIVED, record + b"\x90\x00")
    plan.expect("EF.MSISDN", card.msisdn, lambda p: unswapped(p[number_at].data[7 : 7 + len(number)]).rstrip("f"))


def _modem(plan: Plan, card: Card, source: random.Random) -> None:
    def say(command: str, answer: str) -> tuple[int, int]:
        sent = plan.record("at:modem", SENT, f"{command}\r".encode())
        return sent, plan.record("at:modem", RECEIVED, f"\r\n{answer}\r\n".encode())

    _, imei = say("AT+CGSN", card.imei)
    plan.expect("+CGSN", card.imei, lambda p: p[imei].data.decode().strip())
    _, imsi = say("AT+CIMI", card.imsi)
    plan.expect("+CIMI", card.imsi, lambda p: p[imsi].data.decode().strip())
    _, cereg = say("AT+CEREG?", f'+CEREG: 5,1,"8B1E","{card.cell.upper():0>8}",7')
    plan.expect("+CEREG", card.cell, lambda p: p[cereg].data.decode().split('"')[3].lower()[-7:])
    _, number = say("AT+CNUM", f'+CNUM: ,"+{card.msisdn}",145')
    plan.expect("+CNUM", card.msisdn, lambda p: p[number].data.decode().split("+")[2].split('"')[0])
    for case in (str.upper, str.lower):
        _, file = say("AT+CRSM=176,12258,0,0,10", f'+CRSM: 144,0,"{case(swapped(card.iccid.ljust(20, "f")).hex())}"')
        plan.expect(
            f"+CRSM {case.__name__}",
            card.iccid,
            lambda p, a=file: unswapped(bytes.fromhex(p[a].data.decode().split('"')[1])).rstrip("f"),
        )
    # A command in blocks, in hexadecimal, cut anywhere; an answer collected by the modem.
    request = b"\xbf\x33\x0c\x5a\x0a" + swapped(card.iccid.ljust(20, "f"))
    cut = source.randrange(1, len(request))
    texts = []
    for at, part in enumerate((request[:cut], request[cut:])):
        apdu = bytes((0x81, 0xE2, 0x91 if at else 0x11, at, len(part))) + part
        sent, _ = say(f'AT+CGLA=1,{2 * len(apdu)},"{apdu.hex()}"', '+CGLA: 4,"9000"')
        texts.append(sent)
    plan.expect(
        f"+CGLA cut at {cut}",
        card.iccid,
        lambda p: unswapped(b"".join(bytes.fromhex(p[a].data.decode().split('"')[1])[5:] for a in texts)[5:15]).rstrip(
            "f"
        ),
    )
    answer = (get_eid(card) + b"\x90\x00").hex().upper()
    _, csim = say('AT+CSIM=22,"80E2910006BF3E035C015A"', f'+CSIM: {len(answer)},"{answer}"')
    plan.expect("+CSIM", card.eid, lambda p: p[csim].data.decode().split('"')[1][10:42])
    _, wide = say("AT+CIMI", f'"{card.imsi.encode("utf-16-be").hex().upper()}"')
    plan.expect(
        "UCS2 in hexadecimal",
        card.imsi,
        lambda p: bytes.fromhex(p[wide].data.decode().split('"')[1]).decode("utf-16-be"),
    )


def _servers(plan: Plan, card: Card, source: random.Random) -> None:
    at = plan.record("esipa", SENT, b"\xbf\x4f\x12\x5a\x10" + bytes.fromhex(card.eid))
    plan.expect("ESipa", card.eid, lambda p: p[at].data[5:21].hex())
    for lead in range(3):
        body = source.randbytes(lead) + b"\x30\x20" + get_eid(card) + card.eid.encode() + profiles(card)
        text = json.dumps({"pendingNotification": base64.b64encode(body).decode()}).encode()
        place = plan.record("es9plus", SENT, text)
        plan.expect(
            f"base64 at {lead}, TLV",
            card.eid,
            lambda p, a=place, n=lead: base64.b64decode(json.loads(p[a].data)["pendingNotification"])[
                n + 7 : n + 23
            ].hex(),
        )
        plan.expect(
            f"base64 at {lead}, text",
            card.eid,
            lambda p, a=place, n=lead: base64.b64decode(json.loads(p[a].data)["pendingNotification"])[
                n + 23 : n + 55
            ].decode(),
        )
    url = base64.urlsafe_b64encode(b"\xff\xfe\xfb" + get_eid(card)).decode().rstrip("=")
    place = plan.record("es9plus", RECEIVED, json.dumps({"token-like": url}).encode())
    plan.expect(
        "base64url",
        card.eid,
        lambda p: base64.urlsafe_b64decode(json.loads(p[place].data)["token-like"] + "==")[8:24].hex(),
    )
    escaped = json.dumps({"a": base64.b64encode(b"\xff\xff" + get_eid(card)).decode()}).replace("/", "\\/").encode()
    slashes = plan.record("es9plus", SENT, escaped)
    plan.expect("base64 with \\/", card.eid, lambda p: base64.b64decode(json.loads(p[slashes].data)["a"])[7:23].hex())


def _texts(plan: Plan, card: Card, source: random.Random) -> None:
    text = f"ipa: EID {card.eid}\r\nsim: ICCID {card.iccid} IMSI {card.imsi}\r\n".encode()
    cut = source.randrange(1, len(text))
    one, two = (plan.record("console:app", RECEIVED, part) for part in (text[:cut], text[cut:]))

    def console(packets: list[Packet]) -> list[str]:
        return (packets[one].data + packets[two].data).decode().split()

    plan.expect(f"console cut at {cut}", card.eid, lambda p: console(p)[2])
    plan.expect(f"console cut at {cut}", card.iccid, lambda p: console(p)[5])
    plan.expect(f"console cut at {cut}", card.imsi, lambda p: console(p)[7])
    dump = plan.record("console:app", RECEIVED, b"dump: " + bytes.fromhex(card.eid).hex(" ").encode() + b"\r\n")
    plan.expect("hexadecimal with spaces", card.eid, lambda p: p[dump].data[6:].decode().replace(" ", "").strip())
    c_array = ", ".join(f"0x{octet:02X}" for octet in bytes.fromhex(card.eid))
    array = plan.record("console:app", RECEIVED, f"{{{c_array}}}\r\n".encode())
    plan.expect(
        "C array",
        card.eid,
        lambda p: "".join(part.strip(" {}\r\n")[2:] for part in p[array].data.decode().split(",")).lower(),
    )
    groups = "-".join(card.eid[at : at + 4] for at in range(0, 32, 4))
    grouped = plan.record("console:app", RECEIVED, f"EID {groups}\r\n".encode())
    plan.expect("in groups", card.eid, lambda p: p[grouped].data.decode().split()[1].replace("-", ""))
    again = plan.record("console:app", RECEIVED, card.iccid.encode().hex().encode() + b"\r\n")
    plan.expect("text in hexadecimal", card.iccid, lambda p: bytes.fromhex(p[again].data.decode()).decode())
    event = json.dumps({"step": "x", "imei": card.imei, "cell_id": int(card.cell, 16), "eid": card.eid}).encode()
    step = plan.record("steps", SENT, event)
    plan.expect("JSON", card.imei, lambda p: json.loads(p[step].data)["imei"])
    plan.expect("JSON number", card.cell, lambda p: f"{json.loads(p[step].data)['cell_id']:07x}")
    noted = plan.record("steps", SENT, b"{}", comment=f"IMSI {card.imsi}, code LPA:1${card.smdp}${card.code} ready")
    plan.expect("comment", card.imsi, lambda p: p[noted].comment.split()[1].rstrip(","))
    plan.expect("activation code", card.code, lambda p: p[noted].comment.split("$")[2].split()[0])
    plan.expect("SM-DP+", card.smdp, lambda p: p[noted].comment.split("$")[1])
    attach = bytes.fromhex("0741710829" + "0" * 14)[:4] + swapped("9" + card.imsi)
    radio = plan.record("radio", SENT, attach)
    plan.expect("NAS", card.imsi, lambda p: unswapped(p[radio].data[4:12])[1:])
    shift = source.randrange(1, 8)  # as in dedicatedInfoNAS of a PER-coded RRC message
    coded = (int.from_bytes(attach, "big") << shift).to_bytes(len(attach) + 1, "big")
    rrc = plan.record("radio", SENT, coded)
    plan.expect(
        f"NAS at bit {shift}",
        card.imsi,
        lambda p: unswapped((int.from_bytes(p[rrc].data, "big") >> shift).to_bytes(len(attach), "big")[4:12])[1:],
    )


def write(path: Path, card: Card, seed: int) -> Plan:
    """Write a trace with everything planted."""
    with TraceWriter.open(path, run_id="r", comment=f"EID {card.eid}") as writer:
        plan = Plan(writer)
        plant(plan, card, random.Random(seed))
    return plan


def packets(path: Path) -> list[Packet]:
    return list(read(path))
