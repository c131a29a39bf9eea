"""Associating our eIM with a card of the lab, and giving the card back as it was found.

What was found is kept in ``<home>/cards/<EID>.json`` before anything is changed; ``euicc-release`` works from it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.apdu import es10_views
from bench.apdu.es10 import Es10
from bench.engine.recipe import FROM_RAT, Range, Station, recipe
from bench.engine.trust import Finding, NoTrust, card_findings
from bench.errors import BenchError, ConfigurationError, DeviceFailure, Refused
from bench.rsp import ecdsa, names, orders, packages, tlv
from bench.rsp.errors import DecodeError
from recipes.euicc_card import card_ready, description, eim, identify, isd_r, same_eims
from recipes.job import Job, Phase
from recipes.parameters import Boot, Deadlines, Rat, Register

if TYPE_CHECKING:
    from typing import Annotated

    from cryptography.hazmat.primitives.asymmetric import ec
else:
    from typing import Annotated

SCHEMA = 1


@recipe(title="Adopt a card", needs=("card", "eim", "smdpp", "eim:configuration"))
async def euicc_adopt(
    station: Station,
    signed_package: str = "",
    signing_key: str = "",
    counter: Annotated[int, Range(1, packages.COUNTER_MAXIMUM)] = 1,
    boot_within: Boot = 60.0,
) -> None:
    """Associate the eIM of this bench with the card, and keep what the card had before.

    Without an eIM on the card: AddInitialEim. With another eIM: an addEim that this one signs, either as
    ``signed_package`` (file with an EuiccPackageRequest BF51, binary, hexadecimal or base64) or signed here with its
    key: ``signing_key`` (PEM file), or a key of an eIM of this home that the card still knows under another name;
    ``counter``: greater than the last one that eIM has used. Else it is refused with the name of the eIM that is there.
    SGP.32 sections 3.3.2 and 5.9.4.
    """
    async with station.step("card"):
        await card_ready(station, boot_within)
    async with station.step("read") as step:
        async with isd_r(station) as es10:
            eid = await identify(station, es10)
            found = await description(station, es10, eid)
            if not found["info2"]["iot_versions"]:
                raise Refused(
                    "this is a consumer eUICC (SGP.22): no eIM can be associated with it",
                    where=f"card {eid}",
                    hint="an eIM needs an eUICC of SGP.32; bench euicc info shows what the card says of itself",
                )
            present = await es10.eim_configurations()
            found["eim_counters"] = await _counters(station, eid)
        trust = await card_findings(station)
        configuration = await station.eim.initial_configuration()
        for item in trust:
            step.note(f"{item.name}: {item.state}: {item.text}")
        result: dict[str, Any] = {
            "eid": eid,
            "eim_id": station.eim.eim_id,
            "found": found,
            "trust": [asdict(item) for item in trust],
            "configuration": configuration.hex(),
            "file": str(card_file(station.home, eid)),
        }
        station.result("found", result)
    own = es10_views.eim_configuration(tlv.first(configuration))
    async with station.step("associate"):
        if any(item.eim_id == own.eim_id for item in present):
            _check(trust, present=True)
            how = "it was associated before"
            keep(station, eid, found, added="")
        else:
            _check(trust, present=False)
            how = await _associate(station, eid, found, present, own, signed_package, signing_key, counter)
        await station.eim.register(eid)
    async with station.step("read-back"), isd_r(station) as es10:
        now = await es10.eim_configurations()
        mine = next((item for item in now if item.eim_id == own.eim_id), None)
        if mine is None or mine.public_key is None:
            raise DeviceFailure(
                f"the card does not list {own.eim_id} after {how}",
                where=f"GetEimConfigurationData: {', '.join(item.eim_id for item in now) or 'no eIM'}",
                hint="the card took the configuration and does not show it: 'bench euicc info' lists its eIMs",
            )
        station.result("adopted", {**result, "how": how, "eims": [eim(item) for item in now]})


async def _counters(station: Station, eid: str) -> dict[str, Any]:
    """Return what our eIM has counted for this card; the card does not tell counterValue. Empty for a new one."""
    ask = getattr(station.eim, "euicc", None)
    if ask is None:
        return {}
    try:
        told = await ask(eid)
    except BenchError:  # it does not serve this card yet
        return {}
    return {name: told[name] for name in ("counter", "last_seq", "association_token") if name in told}


def _check(trust: Sequence[Finding], *, present: bool) -> None:
    """Refuse a card that our eIM would not believe, or that knows it with other keys (``present``).

    An SM-DP+ without a CI in common is told, not refused: the card may work with another one.
    """
    for item in trust:
        if item.state == "fail" and item.name.startswith("eim") and (present or item.name == "eim believes"):
            raise NoTrust(item.text, where=item.name, hint=item.hint)


async def _associate(
    station: Station,
    eid: str,
    found: dict[str, Any],
    present: Sequence[es10_views.EimConfiguration],
    own: es10_views.EimConfiguration,
    signed_package: str,
    signing_key: str,
    counter: int,
) -> str:
    """Associate our eIM and return how."""
    if not present:
        await station.eim.register(eid)
        configuration = await station.eim.initial_configuration(eid)
        with _kept(station, eid, found, own.eim_id):
            async with isd_r(station) as es10:
                await es10.add_initial_eim([configuration])
        return "AddInitialEim"
    if signed_package:
        request = _package(Path(signed_package), eid, present, own)
        how = f"addEim signed by {packages.parse_request(request).eim_id}"
        await station.eim.register(eid)
        await station.eim.initial_configuration(eid)
    else:
        signer = _signer(station.home, signing_key, present)
        if signer is None:
            raise _refusal(station, eid, present)
        await station.eim.register(eid)
        request = packages.build_request(
            eim_id=signer[0].eim_id,
            eid=eid,
            counter=counter,
            transaction_id=secrets.token_bytes(16),
            ecos=[orders.add_eim(await station.eim.initial_configuration(eid))],
            key=signer[1],
            association_token=signer[0].association_token,
        )
        how = f"addEim signed for {signer[0].eim_id}"
    with _kept(station, eid, found, own.eim_id):
        async with isd_r(station) as es10:
            token = await _load(es10, request)
    tell = getattr(station.eim, "set_euicc", None)
    if token is not None and tell is not None:
        await tell(eid, association_token=token)
    return how


def _refusal(station: Station, eid: str, present: Sequence[es10_views.EimConfiguration]) -> Refused:
    ids = ", ".join(item.eim_id for item in present)
    return Refused(
        f"the card is associated with {ids}; only an eIM that is there can add {station.eim.eim_id}",
        where=f"card {eid}",
        hint=f"let {present[0].eim_id} sign an addEim with our configuration (bench euicc adopt prints it with --json) "
        "and give it with --signed-package FILE; or its key with --signing-key FILE",
    )


# --- a package of the eIM that is there -----------------------------------------------------------------------------


def _package(
    path: Path, eid: str, present: Sequence[es10_views.EimConfiguration], own: es10_views.EimConfiguration
) -> bytes:
    """Read a signed package and check that it is the addEim for this card and our eIM. Raises ConfigurationError."""
    where = str(path)
    try:
        raw = decoded(path.read_bytes())
        request = packages.parse_request(raw)
        commands = [packages.command(item.raw, request.kind) for item in request.commands]
    except OSError as error:
        raise ConfigurationError(
            f"the package cannot be read: {error.strerror}",
            where=where,
            hint="is the path right, and may you read the file?",
        ) from error
    except DecodeError as error:
        raise ConfigurationError(
            f"this is no EuiccPackageRequest (BF51): {error.what}",
            where=where,
            hint="binary, hexadecimal or base64 of one BF51 TLV",
        ) from error
    if request.eid != eid:
        raise ConfigurationError(
            f"the package is for EID {request.eid}, the card is {eid}",
            where=where,
            hint="have the package signed for this card's EID",
        )
    signer = next((item for item in present if item.eim_id == request.eim_id), None)
    if signer is None:
        there = ", ".join(item.eim_id for item in present)
        raise ConfigurationError(
            f"the package is of eIM {request.eim_id}; the card knows {there}",
            where=where,
            hint="only an eIM that the card knows can add another one",
        )
    if len(commands) != 1 or commands[0][0] != "addEim" or commands[0][1].get("eimId") != own.eim_id:
        said = ", ".join(name for name, _ in commands)
        raise ConfigurationError(
            f"the package holds {said or 'nothing'}; expected is one addEim of {own.eim_id}",
            where=where,
            hint="let that eIM sign an addEim with what 'bench euicc adopt --json' prints",
        )
    if signer.public_key is not None:
        key = ecdsa.public_key_from_spki(signer.public_key.public_key)
        if not packages.verify_request(request, key, signer.association_token):
            raise ConfigurationError(
                f"the package is not signed with the key that the card has for {signer.eim_id}",
                where=where,
                hint="was the key of that eIM changed since? it must sign with the one that the card has",
            )
    return raw


def decoded(content: bytes) -> bytes:
    """Return a package given as bytes, hexadecimal or base64. Raises DecodeError."""
    if content[:2] == b"\xbf\x51":
        return content
    text = b"".join(content.split())
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        pass
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError("neither bytes that begin with BF51 nor hexadecimal nor base64") from error


def _signer(
    home: Path, given: str, present: Sequence[es10_views.EimConfiguration]
) -> tuple[es10_views.EimConfiguration, ec.EllipticCurvePrivateKey] | None:
    """Return an eIM of the card whose signing key we hold, with the key. Raises ConfigurationError for a wrong one."""
    paths = [Path(given)] if given else sorted(home.glob("pki*/**/eim.key.pem"))
    for path in paths:
        key = _private_key(path, required=bool(given))
        if key is None:
            continue
        spki = ecdsa.spki(key.public_key())
        for item in present:
            if item.public_key is not None and item.public_key.public_key == spki:
                return item, key
    if given:
        there = ", ".join(item.eim_id for item in present)
        raise ConfigurationError(
            f"this is the key of no eIM on the card ({there})",
            where=given,
            hint="give the private key of one of them, or a package that it has signed (--signed-package)",
        )
    return None


def _private_key(path: Path, *, required: bool) -> ec.EllipticCurvePrivateKey | None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        if required:
            raise ConfigurationError(
                "the private key cannot be read",
                where=str(path),
                hint="a PEM file with an EC private key without a passphrase",
            ) from error
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


async def _load(es10: Es10, request: bytes) -> int | None:
    """Have the card execute the package; return the association token it made. Raises DeviceFailure with its words."""
    result = packages.parse_result(await es10.load_euicc_package(request))
    if result.form != "signed":
        kind = "EuiccPackageErrorCode" if result.form == "error-signed" else "EuiccPackageUnsignedErrorCode"
        text = names.result(kind, result.error_code) if result.error_code is not None else "no reason"
        replayed = text in ("replayError", "counterValueOutOfRange")
        hint = "give a --counter greater than the last one of that eIM" if replayed else ""
        raise DeviceFailure(f"the card refuses the package: {text}", where=f"eIM {result.eim_id}", hint=hint)
    token = None
    for name, value in result.results:
        if isinstance(value, dict):
            token = value.get("associationToken", token)
        elif value != 0:
            kind = next((kind for command, kind in names.RESULTS.values() if command == name), "")
            raise DeviceFailure(
                f"the card refuses {name}: {names.result(kind, value)}",
                where=f"eIM {result.eim_id}",
                hint="the eIM that signed must be allowed to: 'bench euicc info' lists the eIMs of the card",
            )
    return token


# --- what was found -------------------------------------------------------------------------------------------------


def card_file(home: Path, eid: str) -> Path:
    """Return where the state of a card before its adoption is kept."""
    return home / "cards" / f"{eid}.json"


@contextlib.contextmanager
def _kept(station: Station, eid: str, found: dict[str, Any], added: str) -> Iterator[None]:
    """Keep what was found while the card is changed; forget it again when the card refuses: then nothing changed."""
    path = card_file(station.home, eid)
    former = path.read_bytes() if path.exists() else None
    keep(station, eid, found, added=added)
    try:
        yield
    except DeviceFailure:
        if former is None:
            path.unlink()
        else:
            path.write_bytes(former)
        raise


def keep(station: Station, eid: str, found: dict[str, Any], *, added: str) -> None:
    """Keep what was found, durably, before the card is changed; what an earlier adoption found stays."""
    path = card_file(station.home, eid)
    former = read_kept(path)
    if former is not None:
        found, added = former["found"], former["added"] or added
    content = {
        "schema": SCHEMA,
        "eid": eid,
        "station": station.name,
        "adopted": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "added": added,
        "found": found,
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)


def read_kept(path: Path) -> dict[str, Any] | None:
    """Return what is kept of a card, None when nothing is. Raises BenchError for a file that cannot be read."""
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["schema"] != SCHEMA or not isinstance(content["found"], dict):
            raise ValueError(f"schema {content['schema']}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(
            f"what was found on the card cannot be read: {error}", where=str(path), hint="move it away to go on"
        ) from error
    return dict(content)


# --- giving it back -------------------------------------------------------------------------------------------------


@recipe(title="Release a card", needs=("card", "data", "eim", "ipa", "eim:configuration"), effects=("removes-eim",))
async def euicc_release(
    station: Station,
    plmn: str = "",
    rat: Rat = "",
    apn: str = "bootstrap.iot",
    boot_within: Boot = 60.0,
    register_within: Register = FROM_RAT,
    poll_within: Annotated[float, Range(1, 7200)] = 300.0,
) -> None:
    """Give the card back as ``euicc-adopt`` found it: delete our eIM by a package that it signs, and compare.

    The package goes the ordinary way, eIM to IPA to card; ``plmn``, ``rat`` and ``apn`` are of the enabled profile,
    where the way is the device's radio. SGP.32 section 3.3.3.
    """
    async with station.step("card"):
        await card_ready(station, boot_within)
    async with station.step("read"):
        async with isd_r(station) as es10:
            eid = await identify(station, es10)
            before = [eim(item) for item in await es10.eim_configurations()]
        path = card_file(station.home, eid)
        kept = read_kept(path)
        if kept is None:
            raise Refused(
                "this card was not adopted here: what it had before is not known",
                where=str(path),
                hint="bench euicc adopt keeps it before it changes anything",
            )
    added = str(kept["added"])
    there = any(item["eim_id"] == added for item in before)
    if added and there:
        if added != station.eim.eim_id:
            raise Refused(
                f"the eIM that was added is {added}, this bench's is {station.eim.eim_id}: it cannot sign for it",
                hint=f'give the eIM the name it had: [eim] options = {{ eim_id = "{added}" }} in bench.toml',
            )
        job = Job(station, deadlines=Deadlines(boot_within, register_within, poll_within))
        job.eid = eid
        await job.connect(Phase("enabled", plmn, rat, apn, register_within), suffix="enabled")
        await job.poll("deliver-pending")
        order = await station.eim.order_package(eid, ecos=[{"deleteEim": {"eimId": added}}])
        await job.carry_out("delete-eim", order, "the deletion of our eIM")
        await station.card_to("reader")
    async with station.step("compare") as step:
        async with isd_r(station) as es10:
            now = [eim(item) for item in await es10.eim_configurations()]
            profiles = [item.iccid for item in await es10.profiles()]
        differences = same_eims(kept["found"].get("eims", []), now)
        found = [str(item["iccid"]) for item in kept["found"].get("profiles", [])]
        left = [iccid for iccid in profiles if iccid not in found]
        for iccid in left:
            step.note(f"profile {iccid} was not there before; it is left on the card")
        if differences:
            raise DeviceFailure(
                f"the card is not as it was found: {'; '.join(differences)}",
                where=f"card {eid}",
                hint="'bench euicc info' shows what is there now; what was found is in the bench home, cards/EID.json",
            )
        path.replace(path.with_suffix(".released.json"))
        station.result(
            "released",
            {
                "eid": eid,
                "deleted": added if there else "",
                "eims": now,
                "left_profiles": left,
                "file": str(path.with_suffix(".released.json")),
            },
        )
