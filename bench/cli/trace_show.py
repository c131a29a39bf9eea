"""``bench trace show``: the time line as lines, packet by packet or exchange by exchange."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from bench.cli.output import coloured, print_json
from bench.cli.trace_options import Selection, clock, packets_of, selection_options, shown_text, trace_path

if TYPE_CHECKING:
    from bench.trace.calls import Exchange
    from bench.trace.reader import Packet

_COLOURS = {"apdu": "cyan", "at": "green", "scpi": "yellow", "esipa": "magenta", "es9plus": "blue", "steps": "white"}
_ARROWS = {0: "→", 1: "←", None: " "}
_PLAIN = {0: ">", 1: "<", None: " "}


@click.command(epilog="Example: bench trace show last --lane apdu --step download -x")
@click.argument("trace", default="last")
@selection_options
@click.option("--exchanges", "-x", "merged", is_flag=True, help="One line an exchange: chains put together.")
@click.option("--follow", "-f", is_flag=True, help="Follow a live run to its end.")
@click.option("-n", "--limit", type=click.IntRange(1), help="Stop after so many lines.")
@click.option("--hex", "as_hex", is_flag=True, help="Show the bytes below each packet.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def show(
    obj: Mapping[str, Any],
    /,
    trace: str,
    merged: bool,
    follow: bool,
    limit: int | None,
    as_hex: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Show TRACE ('last', an id or a part of one, a run folder, or a pcapng file) line by line.

    Each line has the packet's number as Wireshark counts, the time of day, the seconds since the start, the lane, the
    direction seen from the bench, and what it says. With -x an exchange has one line: its function, duration, packets,
    bytes and result. Filters combine; a function is followed over all packets that carry it.
    """
    selection = Selection(**chosen)
    lines = (
        _merged(obj, trace, selection, follow, as_json)
        if merged
        else _packets(obj, trace, selection, follow, as_json, as_hex)
    )
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        for count, line in enumerate(lines, 1):
            if isinstance(line, str):
                click.echo(line)
            else:
                print_json(line)
            if limit is not None and count >= limit:
                break


def _packets(
    obj: Mapping[str, Any], trace: str, selection: Selection, follow: bool, as_json: bool, as_hex: bool
) -> Iterator[str | dict[str, Any]]:
    from bench.trace.calls import Exchanges
    from bench.trace.decode import one_liner

    colour, arrows = coloured(), _arrows()
    # Steps and functions need the exchanges that a packet is part of; without such a filter they cost nothing.
    tracked = Exchanges() if selection.steps or selection.functions or as_json else None
    for packet in packets_of(trace_path(obj, trace), follow):
        if selection.start_ns is None:
            selection.begin(packet.time_ns)
        function = step = ""
        if tracked is not None:
            step = tracked.steps
            function = tracked.function(packet)
            step = tracked.steps or step
            tracked.take()
        if selection.over(packet.time_ns) and not follow:
            return
        if not (
            selection.lane(packet.lane)
            and selection.time(packet.time_ns)
            and selection.step(step)
            and selection.function(function)
        ):
            continue
        said = packet.comment or one_liner(packet.lane, packet.direction or 0, packet.data)
        if as_json:
            yield _packet_json(packet, selection.start_ns or 0, said, step, function)
            continue
        lane = f"{packet.lane:<12}"
        if colour:
            lane = click.style(lane, fg=_COLOURS.get(packet.lane.partition(":")[0]))
        line = f"{packet.number:>7} {_when(packet.time_ns, selection)} {lane} {arrows[packet.direction]} "
        yield line + shown_text(said.replace("\n", " | "))
        if as_hex:
            yield from _dump(packet.data)


def _packet_json(packet: Packet, start_ns: int, said: str, step: str, function: str) -> dict[str, Any]:
    return {
        "number": packet.number,
        "t_ns": packet.time_ns,
        "seconds": (packet.time_ns - start_ns) / 1e9,
        "lane": packet.lane,
        "direction": None if packet.direction is None else "received" if packet.direction else "sent",
        "says": said,
        "function": function,
        "step": step,
        "data": packet.data.hex(),
    }


def _arrows() -> Mapping[int | None, str]:
    import sys

    return _ARROWS if "utf" in (sys.stdout.encoding or "").lower() else _PLAIN


def _when(time_ns: int, selection: Selection) -> str:
    return f"{clock(time_ns)} {(time_ns - (selection.start_ns or 0)) / 1e9:>11.6f}"


def _dump(data: bytes) -> Iterator[str]:
    for at in range(0, len(data), 32):
        yield f"{'':>12}{at:04x}  {data[at : at + 32].hex(' ', 2)}"


def _merged(
    obj: Mapping[str, Any], trace: str, selection: Selection, follow: bool, as_json: bool
) -> Iterator[str | dict[str, Any]]:
    for made in chosen_exchanges(obj, trace, selection, follow):
        yield exchange_json(made, selection.start_ns or 0) if as_json else exchange_line(made, selection)


def chosen_exchanges(
    obj: Mapping[str, Any], trace: str, selection: Selection, follow: bool = False
) -> Iterator[Exchange]:
    """Yield the exchanges of a trace that a selection wants, in the order in which they end. Raises TraceError."""
    from bench.trace.calls import Exchanges

    tracked = Exchanges()

    def wanted(made: Exchange) -> bool:
        return (
            not made.relayed
            and selection.lane(made.lane)
            and selection.time(made.start_ns)
            and selection.step(made.step)
            and selection.function(made.function)
        )

    for packet in packets_of(trace_path(obj, trace), follow):
        if selection.start_ns is None:
            selection.begin(packet.time_ns)
        tracked.function(packet)
        yield from filter(wanted, tracked.take())
        if selection.over(packet.time_ns) and not follow:
            break
    yield from filter(wanted, tracked.close())


def exchange_line(made: Exchange, selection: Selection) -> str:
    """Return an exchange as one line."""
    lane = f"{made.lane:<12}"
    if coloured():
        lane = click.style(lane, fg=_COLOURS.get(made.lane.partition(":")[0]))
    mark = "" if made.ok is not False else "! "
    sizes = f"{made.packets} packets, {made.sent}+{made.received} bytes"
    if made.kind in ("urc", "packet", "step"):
        sizes = f"{made.seconds:.3f} s" if made.kind == "step" else ""
    took = f"{made.seconds * 1000:.1f} ms, " if sizes and made.kind != "step" else ""
    more = f"; {made.note}" if made.note else ""
    said = f"{made.function}: {made.result}" if made.result else made.function
    tail = f"  ({took}{sizes}{more})" if sizes or more else ""
    return f"{made.first:>7} {_when(made.start_ns, selection)} {lane} {mark}{shown_text(said)}{shown_text(tail)}"


def exchange_json(made: Exchange, start_ns: int) -> dict[str, Any]:
    """Return an exchange as a JSON object without its fields."""
    return {
        "first": made.first,
        "last": made.last,
        "t_ns": made.start_ns,
        "seconds": (made.start_ns - start_ns) / 1e9,
        "duration": made.seconds,
        "lane": made.lane,
        "kind": made.kind,
        "function": made.function,
        "result": made.result,
        "ok": made.ok,
        "status": f"{made.status:04X}" if made.status is not None else None,
        "channel": made.channel if made.kind == "card" else None,
        "file": made.file,
        "packets": made.packets,
        "blocks": made.blocks,
        "sent": made.sent,
        "received": made.received,
        "step": made.step,
        "note": made.note,
    }
