"""A group of commands that imports a command when it is called, not when it is listed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

Table = Mapping[str, tuple[str, str]]
"""Name: (module:attribute, one line of help). The help is there so that ``--help`` imports nothing."""


class LazyGroup(click.Group):
    """A group made of a table."""

    def __init__(self, *arguments: Any, table: Table, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._table = table

    def foreign(self) -> Mapping[str, str]:
        """Return commands beside those of the table: name to module:attribute."""
        return {}

    def help_of_foreign(self, target: str) -> str:
        """Return the line of help of such a command."""
        return f"({target})"

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table, then the others."""
        return [*self._table, *(name for name in sorted(self.foreign()) if name not in self._table)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, None when there is none of that name."""
        target = self._table[cmd_name][0] if cmd_name in self._table else self.foreign().get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise click.ClickException(f"{target} is not a command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve with a did-you-mean for a name that is not there."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in self._table and name not in self.foreign():
            import difflib

            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f"; did you mean '{near[0]}'?" if near else f"; {ctx.command_path} --help lists the commands"
            raise click.UsageError(f"there is no command '{name}'{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        rows = [(name, text) for name, (_, text) in self._table.items()]
        rows += [
            (name, self.help_of_foreign(target))
            for name, target in sorted(self.foreign().items())
            if name not in self._table
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
