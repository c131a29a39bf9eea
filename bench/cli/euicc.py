"""``bench euicc``: the card of a station. Every command is a run, with locks, trace and a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bench.cli.one_run import carry_out, parameters_of, station_options, with_servers
from bench.cli.output import table


@click.group()
def euicc() -> None:
    """Look into the card of a station; download to it; adopt it for the bundled eIM, give it back.

    Each command is a run: it takes the station's locks, powers the card where it must, and leaves a run folder.
    """


@euicc.command(epilog="Example: bench euicc info --station sim-pcsc")
@station_options
@click.pass_obj
def info(obj: Mapping[str, Any], /, as_json: bool, **where: Any) -> None:
    """Show EID, versions, CI keys with their names, memory, eIMs, profiles, rules and addresses."""
    done = carry_out(obj, "euicc-info", {}, where)
    found = done.result("euicc")
    done.finish(as_json, found, _print_info)


@euicc.command(epilog="Example: bench euicc profiles --json")
@station_options
@click.pass_obj
def profiles(obj: Mapping[str, Any], /, as_json: bool, **where: Any) -> None:
    """List the profiles on the card."""
    done = carry_out(obj, "euicc-profiles", {}, where)
    done.finish(as_json, done.result("profiles"), lambda found: _print_profiles(found["profiles"]))


@euicc.command(epilog="Example: bench euicc apdu 80E2910006BF3E035C015A00")
@click.argument("apdus", nargs=-1, required=True, metavar="HEX...")
@click.option("--aid", default="", metavar="HEX", help="Application to select on the channel (default: ISD-R).")
@click.option("--raw", is_flag=True, help="Do not follow 61xx and 6Cxx.")
@station_options
@click.pass_obj
def apdu(obj: Mapping[str, Any], /, apdus: tuple[str, ...], aid: str, raw: bool, as_json: bool, **where: Any) -> None:
    """Send command APDUs as they are, class byte as on the basic channel, and print what comes back.

    An APDU can do anything to a card: on a station that is not marked expendable the EID must be given.
    """
    done = carry_out(obj, "euicc-apdu", {"apdus": apdus, "aid": aid, "follow": not raw}, where)

    def show(found: Mapping[str, Any]) -> None:
        for answer in found["answers"]:
            click.echo(f"> {answer['apdu'].upper()}")
            click.echo(f"< {answer['data'].upper()} {answer['sw'].upper()}".replace("  ", " "))

    done.finish(as_json, done.result("apdus"), show)


@euicc.command(epilog="Example: bench euicc adopt --station lab1 --signed-package addeim.hex")
@click.option(
    "--signed-package",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="addEim with our configuration, signed by the eIM that is on the card (BF51: binary, hexadecimal or base64).",
)
@click.option(
    "--signing-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Private key (PEM) of the eIM that is on the card: the addEim is signed here.",
)
@click.option("--counter", type=int, default=1, show_default=True, help="counterValue with --signing-key.")
@station_options
@click.pass_obj
def adopt(
    obj: Mapping[str, Any],
    /,
    signed_package: Path | None,
    signing_key: Path | None,
    counter: int,
    as_json: bool,
    **where: Any,
) -> None:
    """Associate our eIM with the card; keep what the card had for 'release'.

    Says first which servers this card can work with. A card without an eIM gets ours by AddInitialEim; one with another
    eIM needs an addEim that this one signs, and is refused with its name otherwise.
    """
    given = {
        "signed_package": str(signed_package.absolute()) if signed_package else "",
        "signing_key": str(signing_key.absolute()) if signing_key else "",
        "counter": counter,
    }
    done = carry_out(obj, "euicc-adopt", given, where)
    found = done.result("adopted") or done.result("found")
    done.finish(as_json, found, _print_adopted)


@euicc.command(epilog="Example: bench euicc download 'LPA:1$smdp.example$ABCD-EFGH' --station lab1")
@click.argument("activation_code", default="", metavar="[LPA:1$...]")
@click.option("--confirmation-code", default="", help="Where the SM-DP+ asks for one.")
@click.option("--profile", default="", help="Make this profile ready at the bundled SM-DP+, and download it.")
@click.option("--keep-notifications", is_flag=True, help="Leave them on the card instead of delivering them.")
@click.option("-o", "--option", "ipa_options", multiple=True, metavar="NAME=VALUE", help="Option of the LPA: ci ...")
@click.option("-s", "--set", "parameters", multiple=True, metavar="NAME=VALUE", help="Parameter: plmn, rat, apn ...")
@station_options
@click.pass_obj
def download(
    obj: Mapping[str, Any],
    /,
    activation_code: str,
    confirmation_code: str,
    profile: str,
    keep_notifications: bool,
    ipa_options: tuple[str, ...],
    parameters: tuple[str, ...],
    as_json: bool,
    **where: Any,
) -> None:
    """Download a profile by activation code, as an LPA does, to a consumer or an IoT card. It stays disabled.

    Without a code the card's default SM-DP+ is asked. The SM-DP+ is trusted by this bench's CI; another CI is given as
    -o 'ci=["file.pem"]'. The session is cancelled at the card and at the SM-DP+ when it cannot be finished.
    """
    from bench.station import config

    path = Path(obj["config"]) if obj.get("config") else None
    ours = f"${config.load(path).smdpp.advertise}$".lower() in activation_code.lower()
    bundled = bool(profile) or ours or (not activation_code and with_servers(obj, where["station"], None))
    given = parameters_of(
        parameters,
        activation_code=activation_code,
        confirmation_code=confirmation_code,
        profile=profile,
        ipa_options=ipa_options,
    )
    if keep_notifications:
        given["deliver"] = False
    recipe = "euicc-download-bundled" if bundled else "euicc-download"
    done = carry_out(obj, recipe, given, where, told=None if as_json else lambda text: click.echo(text, err=True))
    done.finish(as_json, done.result("download"), _print_download)


@euicc.command(epilog="Example: bench euicc release --station lab1 --eid 8904...")
@click.option("-s", "--set", "parameters", multiple=True, metavar="NAME=VALUE", help="Parameter: plmn, rat, apn ...")
@station_options
@click.pass_obj
def release(obj: Mapping[str, Any], /, parameters: tuple[str, ...], as_json: bool, **where: Any) -> None:
    """Delete our eIM from the card by a signed package, and compare with what 'adopt' found."""
    done = carry_out(obj, "euicc-release", parameters, where)

    def show(found: Mapping[str, Any]) -> None:
        deleted = f"eIM {found['deleted']} deleted" if found["deleted"] else "no eIM of ours was on the card"
        eims = ", ".join(item["eim_id"] for item in found["eims"]) or "none"
        click.echo(f"{found['eid']}: {deleted}; eIMs now: {eims}, as before the adoption")
        for iccid in found["left_profiles"]:
            click.echo(f"left on the card: profile {iccid}, which was not there before")

    done.finish(as_json, done.result("released"), show)


# --- for people -----------------------------------------------------------------------------------------------------


def _print_info(found: Mapping[str, Any]) -> None:
    info1, info2, memory = found["info1"], found["info2"], found["memory"]
    rows: list[tuple[str, str]] = [
        ("EID", found["eid"]),
        ("kind", found["kind"]),
        ("SGP.22 version", info1["svn"] or "-"),
        ("SGP.32 versions", ", ".join(info2["iot_versions"]) or "-"),
        ("IPA", info2["ipa_mode"] or "-"),
        ("firmware", info2["firmware"] or "-"),
        ("profile package", info2["profile_version"] or "-"),
        ("SAS", info2["sas_number"] or "-"),
        ("free memory", _size(memory["free_non_volatile"])),
        ("free RAM", _size(memory["free_volatile"])),
        ("default SM-DP+", found.get("default_smdp") or "-"),
        ("root SM-DS", found.get("root_smds") or "-"),
        ("capabilities", ", ".join(info2["rsp_capabilities"]) or "-"),
        ("notifications", _numbers(found.get("notifications"))),
        ("package results", _numbers(found.get("package_results"))),
    ]
    rows += [("CI, verifies", _ci(item)) for item in info1["verification"]]
    rows += [("CI, signs", _ci(item)) for item in info1["signing"]]
    for rule in found.get("rules", ()):
        operators = ", ".join(_operator(operator) for operator in rule["operators"])
        consent = "; consent required" if rule["consent_required"] else ""
        rows.append(("rule", f"{', '.join(rule['rules'])} for {operators}{consent}"))
    for item in found.get("eims", ()):
        token = f", token {item['association_token']}" if item["association_token"] is not None else ""
        rows.append(("eIM", f"{item['eim_id']} at {item['fqdn'] or '-'}, key {item['signing_key'][:16]}{token}"))
    if not found.get("eims"):
        rows.append(("eIM", found["refused"].get("eims", "none is associated")))
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        click.echo(f"{name.ljust(width)}  {text}")
    _print_profiles(found["profiles"])


def _print_profiles(found: Sequence[Mapping[str, Any]]) -> None:
    table(
        ("ICCID", "state", "class", "name", "provider", "marks"),
        [
            (
                item["iccid"],
                "ENABLED" if item["enabled"] else "disabled",
                item["class"],
                item["nickname"] or item["name"],
                item["provider"],
                ", ".join(mark for mark in ("fallback", "ecall") if item[mark]),
            )
            for item in found
        ],
    )


def _print_download(found: Mapping[str, Any]) -> None:
    if found["installed"]:
        click.echo(f"card {found['eid']}: {found['iccid']} {found['name']} ({found['provider'] or '-'}) is installed")
    else:
        click.echo(f"card {found['eid']}: nothing was installed")
    kept = ", ".join(f"{item['seq']} {item['event']} for {item['address']}" for item in found["kept"]) or "none"
    click.echo(f"notifications: {found['delivered']} delivered; kept on the card: {kept}")
    if found["undelivered"]:
        click.echo(f"not delivered: {found['undelivered']}")
    _print_profiles(found["profiles"])


def _print_adopted(found: Mapping[str, Any]) -> None:
    click.echo(f"card {found['eid']}")
    print_findings(found["trust"])
    if "how" in found:
        click.echo(f"eIM {found['eim_id']}: {found['how']}; eIMs on the card: {_eims(found['eims'])}")
        click.echo(f"what was found is kept in {found['file']}; bench euicc release gives the card back")
    else:
        click.echo(f"eIMs on the card: {_eims(found['found'].get('eims', ()))}; nothing was changed")


def print_findings(findings: Sequence[Mapping[str, Any]]) -> None:
    """Print what was looked at: a mark, the word and the text."""
    for item in findings:
        click.echo(f"  {item['state']:<7}  {item['name']:<16}  {item['text']}")
        if item.get("hint") and item["state"] == "fail":
            click.echo(f"{'':29}{item['hint']}")


def _numbers(found: Sequence[Mapping[str, Any]] | None) -> str:
    if found is None:
        return "-"
    numbers = ", ".join(str(item["seq"]) for item in found)
    return f"{len(found)} wait: {numbers}" if found else "none waits"


def _eims(found: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(item["eim_id"] for item in found) or "none"


def _ci(item: Mapping[str, str]) -> str:
    return f"{item['key_id']}  {item['name'] or 'not known here'}"


def _operator(operator: Mapping[str, Any]) -> str:
    return "every operator" if operator["plmn"] == "EEEEEE" else str(operator["plmn"])


def _size(value: int | None) -> str:
    return "-" if value is None else f"{value:,} bytes".replace(",", " ")
