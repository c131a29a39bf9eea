"""``bench recipes``: what can be run, and with which parameters."""

from __future__ import annotations

import click

from bench.cli.output import print_json, table


@click.command(epilog="Example: bench recipes bootstrap-to-operational")
@click.argument("recipe", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recipes(recipe: str | None, as_json: bool) -> None:
    """List the recipes, or explain RECIPE (a name, file.py or file.py:function) with its parameters."""
    from bench import client

    if recipe is None:
        found = client.recipes()
        if as_json:
            print_json([{"name": name, "source": source} for name, source in found])
        else:
            table(("recipe", "source"), found)
        return
    info = client.recipe(recipe)
    if as_json:
        import dataclasses

        print_json(dataclasses.asdict(info))
        return
    click.echo(f"{info.name}: {info.title}")
    click.echo(f"\n{info.documentation}\n")
    click.echo(f"needs    {', '.join(info.needs) or 'nothing'}")
    if info.by_device:
        click.echo(f"         where the device itself polls: {', '.join(info.by_device)}")
    click.echo(f"effects  {', '.join(info.effects) or 'none that cannot be undone'}")
    click.echo(f"source   {info.source}\n")
    table(("parameter", ""), [(parameter.name, parameter.describe()) for parameter in info.parameters])
