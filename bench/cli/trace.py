"""``bench trace``: a table of sub-commands, each imported only when it is used."""

from __future__ import annotations

import importlib

import click

COMMANDS: dict[str, tuple[str, str]] = {
    "replay": ("bench.cli.trace_replay:replay", "Send recorded commands to a card again, or play the recorded card."),
    "export": ("bench.cli.trace_export:export", "Write a trace as GSMTAP (pcap, pcapng), CSV or Parquet."),
    "lua": ("bench.cli.trace_export:lua", "Write the ES10 dissector for Wireshark before 4.6, in Lua."),
}
"""Name: (module:attribute, one line of help). The help is here so that ``bench trace --help`` imports nothing."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise click.ClickException(f"{COMMANDS[cmd_name][0]} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog="Example: bench trace replay last")
def trace() -> None:
    """The trace of a run: one time line of card, modem, radio, supply, servers and steps."""
