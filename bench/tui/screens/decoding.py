"""The selected packet as lines: its exchange with every field by name, or its bytes; and where a run failed."""

from __future__ import annotations

from collections.abc import Iterator

from rich.style import Style

from bench.client.packets import TraceIndex
from bench.trace.tree import Field
from bench.tui.themes import Look

_BACK = 6000
"""Packets before a failure among which the exchange that failed is looked for."""
Lines = list[tuple[str, Style]]


def decoded(index: TraceIndex, number: int, look: Look) -> Lines:
    """Return the exchange of a packet as a tree. Called in a thread, for one packet at a time."""
    from bench.trace.decode import one_liner

    plain = Style()
    try:
        packet = index.at(number)
    except IndexError:
        return [("the packet is no longer in the file", look.style("warning"))]
    said = packet.comment or one_liner(packet.lane, packet.direction or 0, packet.data)
    made = index.exchange(number)
    if made is None:
        return [(look.text(line), plain) for line in (f"{packet.lane}", said, f"{len(packet.data)} bytes")]
    good = "pending" if made.ok is None else "pass" if made.ok else "fail"
    lines: Lines = [(look.text(made.function), look.style("heading"))]
    if made.result:
        lines.append((look.text(f"{look.glyph(good) if made.ok is not None else ' '} {made.result}"), look.style(good)))
    took = f"{made.seconds * 1000:.1f} ms  {made.packets} packets  {made.sent}+{made.received} bytes"
    lines.append((look.text(f"{made.lane}  {took}"), look.style("pending")))
    if made.note:
        lines.append((look.text(f"{look.glyph('warning')} {made.note}"), look.style("warning")))
    request, answer = made.fields()
    lines += [("request", look.style("heading")), *_tree(request, look)]
    if answer is not None:
        lines += [("answer", look.style("heading")), *_tree(answer, look)]
    else:
        lines.append(("no answer was seen", look.style("warning")))
    return lines


def _tree(field: Field, look: Look) -> Iterator[tuple[str, Style]]:
    plain = Style()
    for line in field.lines():
        yield (
            look.text(f" {line}"),
            look.style("fail") if "error" in line.casefold() and "noError" not in line else plain,
        )


def hex_lines(index: TraceIndex, number: int, look: Look) -> Lines:
    """Return the bytes of a packet, eight a line with their letters."""
    try:
        packet = index.at(number)
    except IndexError:
        return [("the packet is no longer in the file", look.style("warning"))]
    lines: Lines = [(look.text(f"{packet.lane}  {len(packet.data)} bytes"), look.style("heading"))]
    for at in range(0, min(len(packet.data), 65536), 8):
        part = packet.data[at : at + 8]
        letters = "".join(chr(octet) if 32 <= octet < 127 else "." for octet in part)
        lines.append((f"{at:04x}  {part.hex(' '):<23}  {letters}", Style()))
    return lines


def failing(index: TraceIndex, moment: int) -> int | None:
    """Return the packet that ends the last failed exchange before a moment (ns); else the last one before it.

    Power, SCPI and step packets are left out: they tell of a failure, they are not its cause.
    """
    from bench.trace.calls import Exchanges

    end = index.nearest(moment) + 1
    # A server's packets come with its own time, a little behind: those of the same second are looked at too.
    late = index.nearest(moment + 1_000_000_000) + 1
    tracked = Exchanges()
    begin = max(0, end - _BACK)
    places: dict[tuple[str, int, int], int] = {}
    best: int | None = None
    last: int | None = None
    for number, packet in index.span(begin, late):
        kind = packet.lane.partition(":")[0]
        if kind in ("power", "scpi", "steps", "radio"):
            continue
        if packet.time_ns <= moment:
            last = number
        places[packet.lane, packet.part, packet.number] = number
        tracked.function(packet)
        for made in tracked.take():
            if made.ok is False and not made.relayed and made.end_ns <= moment + 200_000_000:
                best = places.get((made.lane, packet.part, made.last), number)
    for made in tracked.close():
        if made.ok is False and not made.relayed and best is None:
            best = places.get((made.lane, 1, made.last), best)
    return best if best is not None else last if last is not None else (end - 1 if len(index) else None)
