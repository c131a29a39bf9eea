"""``bench ipa``: the IPA in the bench on its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from bench.cli.one_run import carry_out, parameters_of, station_options, with_servers
from bench.cli.output import table


@click.group()
def ipa() -> None:
    """The IPA in the bench on its own: no recipe around it."""


def way_options(function: Any) -> Any:
    """Add the options that say how the IPA reaches its servers."""
    for option in (
        click.option("-o", "--option", "ipa_options", multiple=True, metavar="NAME=VALUE", help="Option of the IPA."),
        click.option("-s", "--set", "parameters", multiple=True, metavar="NAME=VALUE", help="Parameter: plmn, apn ..."),
        click.option(
            "--servers/--no-servers",
            default=None,
            help="Run the bundled servers meanwhile (default: on simulated stations).",
        ),
    ):
        function = option(function)
    return function


@ipa.command(epilog="Example: bench ipa poll --station lab1 -o eim=eim.lab.example -s apn=iot.lab")
@way_options
@station_options
@click.pass_obj
def poll(
    obj: Mapping[str, Any],
    /,
    ipa_options: tuple[str, ...],
    parameters: tuple[str, ...],
    servers: bool | None,
    as_json: bool,
    **where: Any,
) -> None:
    """Poll the eIM of the card, carry out what it orders, deliver results and notifications.

    The card is where the station has it: in the modem, in a reader, at a switch; the way to the eIM is the station's
    data path. After a switch of the profile the device registers again and the IPA polls once more. What an eIM orders
    can do anything to a card: on a station that is not marked expendable the EID must be given.
    """
    bundled = with_servers(obj, where["station"], servers)
    given = parameters_of(parameters, ipa_options=ipa_options)
    done = carry_out(obj, "ipa-poll-bundled" if bundled else "ipa-poll", given, where)
    done.finish(as_json, done.result("poll"), _print_poll)


def _print_poll(found: Mapping[str, Any]) -> None:
    rows = []
    for number, item in enumerate(found["polls"], 1):
        rows.append(
            (
                str(number),
                str(item["packages"]),
                ", ".join(_download(each) for each in item["downloads"]) or "-",
                "; ".join(_result(each) for each in item["results"]) or "-",
                str(item["notifications"]),
                "changed" if item["profile_changed"] else "",
                str(item["apdus"]),
                str(item["bytes_sent"] + item["bytes_received"]),
            )
        )
    click.echo(f"card {found['eid']}" + (" (emulated by the IPA)" if found["polls"][-1]["emulated"] else ""))
    table(("poll", "packages", "downloads", "results", "notifications", "profile", "APDUs", "ESipa bytes"), rows)


def _download(item: Mapping[str, Any]) -> str:
    return f"{item['iccid']} installed" if item["installed"] else f"failed: {item['error']}"


def _result(item: Mapping[str, Any]) -> str:
    if item.get("results"):
        return ", ".join(f"{name} {value}" if isinstance(value, int) else str(name) for name, value in item["results"])
    return f"{item['form']} {item.get('name') or item.get('code') or ''}".rstrip()
