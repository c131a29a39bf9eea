"""The decoders of a trace as fuzzing targets: messages to named fields, packets to exchanges, two traces compared.

Nothing that a card, a modem or a server sends may stop them: a target raises for any exception at all.
"""

from __future__ import annotations

import json

LANES = ("apdu:card", "at:modem", "scpi:power", "esipa", "es9plus", "es2plus", "steps", "console:app")
BEGIN = 1_790_000_000_000_000_000


class Lost(Exception):
    """A packet is in no exchange, or in more than one."""


def fuzz_fields(data: bytes) -> None:
    """bench.trace.fields and what stands beside it: the first byte chooses request or answer."""
    from bench.trace import decode_at, decode_cat, decode_files, decode_scpi, fields
    from bench.trace.tree import Field

    if not data:
        return
    answer, data = bool(data[0] & 1), data[1:]
    trees = [
        fields.es10(data, answer=answer),
        fields.esipa(data, answer=answer),
        fields.es9plus(data, answer=answer),
        decode_cat.proactive(data),
        decode_cat.terminal_response(data),
        decode_cat.envelope(data),
        Field("", "", None, decode_files.template(data)),
        decode_at.command(data),
        decode_scpi.command(data),
        decode_scpi.answer(data, "MEAS:VOLT?;SYST:ERR?"),
    ]
    trees += [decode_at.answer_line(line, asked=answer) for line in decode_at.lines_of(data)]
    for tree in trees:
        json.dumps(tree.value())
        for _ in tree.lines():
            pass


def fuzz_exchanges(data: bytes) -> None:
    """bench.trace.calls, join and diff: packets as lane and direction, length, bytes."""
    from bench.trace.calls import exchanges
    from bench.trace.diff import compare
    from bench.trace.join import transactions
    from bench.trace.lane import Direction
    from bench.trace.reader import Packet

    packets, at = [], 0
    while at + 2 <= len(data):
        head, length = data[at], data[at + 1]
        body = data[at + 2 : at + 2 + length]
        lane = LANES[head >> 1 & 7]
        packets.append(Packet(lane, BEGIN + at, Direction(head & 1), body, "", "", len(packets) + 1))
        at += 2 + length
    made = list(exchanges(packets, relayed=False))
    told = sum(item.packets for item in made if item.lane != "at:modem")
    if told != sum(packet.lane != "at:modem" for packet in packets):
        raise Lost(f"{told} of {len(packets)} packets")
    for item in made:
        item.fields()
    transactions(made)
    if compare(packets, packets).divergences:
        raise Lost("a trace differs from itself")
    compare(packets, packets[: len(packets) // 2])


def seeds(target: str, messages: list[bytes]) -> list[bytes]:
    """Return the literal messages, and lines, in the shape that the target takes."""
    lines = [
        b"AT+CEREG?\r",
        b"+CEREG: 5,3,,,,0,15\r\n",
        b"OK\r\n",
        b'+CGLA: 4,"6A82"\r\n',
        b"MEAS:VOLT? (@1)\n",
        b"+3.8\n",
    ]
    if target == "trace-fields":
        return [bytes((way,)) + item for item in (*messages, *lines) for way in (0, 1)]
    found = []
    for item in messages:
        if len(item) < 250:
            command = bytes((0, len(item) + 5)) + b"\x80\xe2\x91\x00" + bytes((len(item),)) + item
            answer = bytes((1, len(item) + 2)) + item + b"\x90\x00"
            found.append(command + answer + bytes((6, len(item))) + item + bytes((7, len(item))) + item)
    return [*found, b"".join(bytes((2 | at & 1, len(line))) + line for at, line in enumerate(lines))]
