"""``bench trace diff``: where two runs of the same thing part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.cli.output import print_json
from bench.cli.trace_options import clock, shown_text, trace_path

if TYPE_CHECKING:
    from bench.trace.calls import Exchange
    from bench.trace.diff import Diff, Divergence

_SHOWN = 10


@click.command(epilog="Example: bench trace diff 20261121-1010 last")
@click.argument("a")
@click.argument("b", default="last")
@click.option("--lane", "lanes", multiple=True, help="Compare only this lane or kind of lanes; repeatable.")
@click.option("--exact", is_flag=True, help="Compare EIDs, ICCIDs and keys literally: both runs had the same card.")
@click.option("--all", "show_all", is_flag=True, help="Every divergence, and the times of every function.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def diff(
    ctx: click.Context, a: str, b: str, lanes: tuple[str, ...], exact: bool, show_all: bool, as_json: bool
) -> None:
    """Compare two runs or traces function by function: A is how it should be, B what is asked about.

    The first divergence comes first: a result, a call or field that only one run has, a value, or a value that is not
    what it should be bound to. Changes of state, identities and times come behind. What chance makes different is only
    counted. Exit code 1 when anything but state, identity and time differs.
    """
    from bench.trace.diff import compare
    from bench.trace.reader import read

    paths = [trace_path(ctx.obj, text) for text in (a, b)]
    found = compare(read(paths[0]), read(paths[1]), lanes=lanes, exact=exact)
    if as_json:
        print_json(_json(found))
    else:
        click.echo(f"A {paths[0]}")
        click.echo(f"B {paths[1]}")
        _print(found, show_all)
    ctx.exit(0 if found.same else 1)


def _print(found: Diff, show_all: bool) -> None:
    if found.first is None:
        click.echo(f"no divergence in {found.compared} exchanges, {found.fields} fields")
    elif found.same:
        click.echo(f"nothing grave differs in {found.compared} exchanges, {found.fields} fields")
    shown = found.divergences if show_all else found.divergences[:_SHOWN]
    for at, item in enumerate(shown):
        _divergence(item, first=at == 0)
    if len(shown) < len(found.divergences):
        click.echo(f"and {len(found.divergences) - len(shown)} more: --all shows them")
    hidden = ", ".join(f"{count} {kind}" for kind, count in sorted(found.volatile.items()))
    if hidden:
        click.echo(f"hidden, as in any two runs: {hidden}")
    timings = found.timings if show_all else found.timings[:3]
    if timings:
        click.echo("times, A and B (median and 95 %):")
    for each in timings:
        click.echo(
            f"  {shown_text(each.function)[:40]:<40} {each.count:>4} x  {each.a_p50:.3f} {each.a_p95:.3f} s   "
            f"{each.b_p50:.3f} {each.b_p95:.3f} s"
        )


def _divergence(item: Divergence, *, first: bool) -> None:
    head = "FIRST DIVERGENCE" if first else "then"
    click.echo(f"{head}: {item.level}, {item.lane} {shown_text(item.function)}: {shown_text(item.text)}")
    for name, made in (("A", item.a), ("B", item.b)):
        if made is not None:
            click.echo(f"    {name}: {_where(made)}")
    for detail in item.details[1:6]:
        click.echo(f"    also {detail.level}: {shown_text(detail.text)}")


def _where(made: Exchange) -> str:
    packets = f"packet {made.first}" if made.first == made.last else f"packets {made.first} to {made.last}"
    step = f", step {made.step}" if made.step else ""
    return f"{packets}, {clock(made.start_ns)}{step}: {shown_text(made.result) or 'no answer'}"


def _json(found: Diff) -> dict[str, Any]:
    return {
        "same": found.same,
        "compared": found.compared,
        "fields": found.fields,
        "divergences": [
            {
                "level": item.level,
                "lane": item.lane,
                "function": item.function,
                "text": item.text,
                "a": _side(item.a),
                "b": _side(item.b),
                "details": [
                    {"level": each.level, "path": each.path, "a": each.a, "b": each.b, "text": each.text}
                    for each in item.details
                ],
            }
            for item in found.divergences
        ],
        "volatile": dict(found.volatile),
        "times": [
            {
                "function": item.function,
                "count": item.count,
                "a": {"p50": item.a_p50, "p95": item.a_p95},
                "b": {"p50": item.b_p50, "p95": item.b_p95},
            }
            for item in found.timings
        ],
    }


def _side(made: Exchange | None) -> dict[str, Any] | None:
    if made is None:
        return None
    return {
        "first": made.first,
        "last": made.last,
        "t_ns": made.start_ns,
        "duration": made.seconds,
        "result": made.result,
        "step": made.step,
    }
