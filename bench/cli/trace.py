"""``bench trace``: the trace of a run; each command is a module of its own, imported only when it is used."""

from __future__ import annotations

import importlib

import click

COMMANDS: dict[str, tuple[str, str]] = {
    "show": ("bench.cli.trace_show:show", "List packets or exchanges, by lane, step, function and time; follow."),
    "decode": ("bench.cli.trace_decode:decode", "Show exchanges with every field named; join them across lanes."),
    "diff": ("bench.cli.trace_diff:diff", "Compare two traces by function; the first divergence first."),
}
"""Name: (module:attribute, one line of help)."""


class LazyTrace(click.Group):
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
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyTrace)
def trace() -> None:
    """Repair a trace, look into it, compare two of them, hand one on."""
