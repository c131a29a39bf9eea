"""``bench trace``: the trace of a run; each command is a module of its own, imported only when it is used."""

from __future__ import annotations

import click

from bench.cli.lazy import LazyGroup, Table

COMMANDS: Table = {
    "show": ("bench.cli.trace_show:show", "List packets or exchanges, by lane, step, function and time; follow."),
    "decode": ("bench.cli.trace_decode:decode", "Show exchanges with every field named; join them across lanes."),
    "diff": ("bench.cli.trace_diff:diff", "Compare two traces by function; the first divergence first."),
    "repair": ("bench.cli.trace_repair:repair", "Cut a torn record off; put late TLS secrets to the front."),
    "replay": ("bench.cli.trace_replay:replay", "Send recorded commands to a card again, or play the recorded card."),
    "export": ("bench.cli.trace_export:export", "Write a trace as GSMTAP (pcap, pcapng), CSV or Parquet."),
    "lua": ("bench.cli.trace_export:lua", "Write the ES10 dissector for Wireshark before 4.6, in Lua."),
}


@click.group(cls=LazyGroup, table=COMMANDS, epilog="Example: bench trace show last")
def trace() -> None:
    """The trace of a run: one time line of card, modem, radio, supply, servers and steps."""
