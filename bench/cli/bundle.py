"""``bench bundle``: runs in one archive for somebody else, without the identifiers in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.output import print_json


@click.command(epilog="Example: bench bundle last --for modem-vendor")
@click.argument("runs", nargs=-1, metavar="RUN...")
@click.option(
    "--for", "party", required=True, metavar="PARTY", help="Who gets it; pseudonyms are this recipient's own."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The archive (zip).")
@click.option(
    "--also",
    multiple=True,
    metavar="KIND=VALUE",
    help="A further identifier to replace: name, code, credential, key, IMSI, MSISDN, host name ... (repeatable).",
)
@click.option(
    "--back",
    type=click.File("r", encoding="utf-8", errors="replace"),
    metavar="FILE",
    help="Instead: print FILE (- for standard input), an answer of PARTY, with the true identifiers in it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def bundle(
    obj: Mapping[str, Any],
    runs: tuple[str, ...],
    party: str,
    output: Path | None,
    also: tuple[str, ...],
    back: Any,
    as_json: bool,
) -> None:
    """Pack RUN... ('last', an id or a part of one, or a folder) for PARTY, with pseudonyms for every identifier.

    Manifest, journal, trace, console and report are redacted in every encoding: IMSI, EID, ICCID, IMEI, MSISDN, M-TMSI,
    keys, codes, credentials, addresses, names and cell ids become others of the same form, the same ones in every
    bundle for PARTY. A check then searches every file for every identifier and refuses when one is left. The table
    that leads back stays here, in the run folder (bundle-PARTY.json) and in the bench's home.
    """
    from bench import client
    from bench.errors import ConfigurationError
    from bench.handover import bundle as handover
    from bench.station import config

    found = config.load(Path(obj["config"]) if obj.get("config") else None)
    if back is not None:
        click.echo(handover.back(found.home, party, back.read()), nl=False)
        return
    if not runs:
        raise click.UsageError("name the runs: 'last', an id or a part of one, or a folder")
    folders = [Path(run) if (Path(run) / "journal.jsonl").is_file() else client.find(found.runs, run) for run in runs]
    extra = [_identifier(text) for text in also]
    target = output or Path(f"{folders[0].name}-for-{party}.zip")
    if target.is_dir():
        raise ConfigurationError("this is a folder", where=str(target), hint="name a file")
    done = handover.bundle(
        folders,
        party,
        target,
        home=found.home,
        extra=extra,
        configuration=_stations(found.source),
        told=(lambda text: None) if as_json else lambda text: click.echo(text, err=True),
    )
    if as_json:
        print_json({**dataclasses.asdict(done), "archive": str(done.archive), "tables": [*map(str, done.tables)]})
        return
    click.echo(str(done.archive))
    counts = ", ".join(f"{count} {kind}" for kind, count in done.replaced.items())
    click.echo(f"replaced: {counts or 'nothing'}; {len(done.files)} files, checked", err=True)
    for path in done.tables:
        click.echo(f"table, stays here: {path}", err=True)


def _identifier(text: str) -> Any:
    from bench.errors import ConfigurationError
    from bench.handover import pseudonyms

    kinds = {
        kind.lower(): kind for kind in (*pseudonyms.DIGITS, *pseudonyms.TEXTS, *pseudonyms.BYTES, "address", "cell id")
    }
    kind, separator, value = text.partition("=")
    known = kinds.get(kind.strip().lower())
    if known is None or not separator:
        raise ConfigurationError(
            f"{text!r} is no identifier", where="--also", hint=f"KIND=VALUE, of {', '.join(kinds)}"
        )
    identifier = pseudonyms.Identifier(known, value)
    if not pseudonyms.valid(identifier):
        raise ConfigurationError(f"{value!r} has not the form of a {known}", where="--also", hint="is it complete?")
    return identifier


def _stations(source: Path | None) -> Mapping[str, Any] | None:
    """Return what bench.toml says: pinned EIDs, IMEIs and addresses are identifiers too."""
    import tomllib

    return tomllib.loads(source.read_text("utf-8")) if source is not None else None
