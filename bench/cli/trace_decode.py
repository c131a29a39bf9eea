"""``bench trace decode``: exchanges with every field named, or joined to transactions across lanes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.output import print_json
from bench.cli.trace_options import Selection, clock, selection_options, shown_text, trace_path
from bench.cli.trace_show import chosen_exchanges, exchange_json, exchange_line

if TYPE_CHECKING:
    from bench.trace.join import Transaction


@click.command(epilog="Example: bench trace decode last --function LoadEuiccPackage")
@click.argument("trace", default="last")
@selection_options
@click.option("--joined", "-j", is_flag=True, help="Transactions: each download and package over all its lanes.")
@click.option("--packet", "number", type=click.IntRange(1), help="Only the exchange that this packet is part of.")
@click.option("-n", "--limit", type=click.IntRange(1), help="Stop after so many exchanges.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object an exchange.")
@click.pass_obj
def decode(
    obj: Mapping[str, Any],
    /,
    trace: str,
    joined: bool,
    number: int | None,
    limit: int | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Decode TRACE ('last', an id or a part of one, a run folder, or a pcapng file), or HEX: bytes of one message.

    Every function of ES10, ESipa and ES9+, files, proactive commands, AT and SCPI lines are shown with their fields by
    name. With --joined: what one download or eUICC Package was on the card, at the eIM and at the SM-DP+, joined by
    transaction id, counter and sequence number.
    """
    selection = Selection(**chosen)
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        if joined:
            _joined(obj, trace, selection, as_json)
            return
        message = _message(trace)
        if message is not None:
            _one(message, as_json)
            return
        if number is not None:
            selection.lanes = (_lane_of(trace_path(obj, trace), number),)
        count = 0
        for made in chosen_exchanges(obj, trace, selection):
            if number is not None and not made.first <= number <= made.last:
                continue
            count += 1
            request, answer = made.fields()
            if as_json:
                fields = {"request": {request.name: request.value()}}
                if answer is not None:
                    fields["answer"] = {answer.name: answer.value()}
                print_json({**exchange_json(made, selection.start_ns or 0), **fields})
            else:
                click.echo(exchange_line(made, selection))
                for line in request.lines(5):
                    click.echo(shown_text(line))
                if answer is not None:
                    click.echo("          =>")
                    for line in answer.lines(5):
                        click.echo(shown_text(line))
            if limit is not None and count >= limit:
                break


def _lane_of(path: Path, number: int) -> str:
    """Return the lane of a packet by its number. Raises click.UsageError when there is none."""
    from bench.trace.reader import read

    for packet in read(path):
        if packet.number == number:
            return packet.lane
    raise click.UsageError(f"there is no packet {number} in {path}")


def _message(text: str) -> bytes | None:
    """Return the bytes of a message given as hexadecimal on the command line, None when it is none.

    What could also be a run id is one: a message begins with the tag of a function and is longer than an id.
    """
    digits = "".join(text.split()).removeprefix("0x")
    if len(digits) < 4 or len(digits) % 2 or digits[:2].upper() not in ("BF", "30", "A2", "A3", "D0", "6F", "62"):
        return None
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None


def _one(message: bytes, as_json: bool) -> None:
    """Decode one message, read as what it fits: request or answer, of the card or of ESipa."""
    from bench.trace.decode_cat import proactive
    from bench.trace.decode_files import template
    from bench.trace.fields import es10, esipa
    from bench.trace.tree import Field

    readings: dict[str, Field] = {}
    if message[0] == 0xD0:
        readings["proactive command"] = proactive(message)
    elif message[0] in (0x6F, 0x62):
        readings["file"] = Field("file", "", None, template(message))
    else:
        for name, reader, answer in (
            ("ES10 request", es10, False),
            ("ES10 answer", es10, True),
            ("ESipa request", esipa, False),
            ("ESipa answer", esipa, True),
        ):
            made = reader(message, answer=answer)
            if _understood(made):
                readings[name] = made
        readings = readings or {"TLV": es10(message, answer=False)}
    for name, made in readings.items():
        if as_json:
            print_json({"reading": name, "fields": {made.name: made.value()}})
            continue
        click.echo(f"{name}:")
        for line in made.lines(1):
            click.echo(shown_text(line))


def _understood(made: Any) -> bool:
    """Whether every field has a name: one named by its tag stands for what the type does not have."""
    for path, _field in made.leaves():
        for part in path.split("/"):
            name = part.partition("[")[0]
            if name.startswith("(") or (
                len(name) in (1, 2, 4, 6) and all(digit in "0123456789ABCDEF" for digit in name)
            ):
                return False
    return True


def _joined(obj: Mapping[str, Any], trace: str, selection: Selection, as_json: bool) -> None:
    from bench.trace.join import Joiner

    joiner = Joiner()
    # Joined over the whole trace: a filter chooses what is shown, not what belongs together.
    everything = Selection()
    for made in chosen_exchanges(obj, str(trace_path(obj, trace)), everything):
        joiner.add(made)
    if everything.start_ns is not None:
        selection.begin(everything.start_ns)
    for transaction in joiner.transactions():
        rows = [
            row
            for row in transaction.rows
            if selection.lane(row.lane)
            and selection.function(row.function)
            and selection.time(row.start_ns)
            and selection.step(row.step)
        ]
        if rows:
            _transaction(transaction, rows, as_json)


def _transaction(transaction: Transaction, rows: list[Any], as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print_json(
            {
                "kind": transaction.kind,
                "title": transaction.title(),
                "keys": [{"kind": kind, "value": value} for kind, value in transaction.keys],
                "lanes": transaction.lanes,
                "t_ns": transaction.start_ns,
                "duration": transaction.seconds,
                "exchanges": [asdict(row) for row in rows],
            }
        )
        return
    size = sum(row.sent + row.received for row in transaction.rows)
    click.echo(
        f"{clock(transaction.start_ns)} {transaction.title()}: {transaction.seconds:.3f} s, {size} bytes, "
        f"{', '.join(transaction.lanes)}"
    )
    for row in rows:
        took = (row.end_ns - row.start_ns) / 1e6
        after = (row.start_ns - transaction.start_ns) / 1e9
        mark = "! " if row.ok is False else ""
        click.echo(
            f"  {row.first:>7} +{after:<9.3f} {row.lane:<12} {mark}{shown_text(row.function)}: "
            f"{shown_text(row.result)}  ({took:.1f} ms, {row.sent}+{row.received} bytes)"
        )
