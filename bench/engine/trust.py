"""Whether a card, the SM-DP+ and the eIM trust each other, known before any order is queued (SGP.22 2.6, SGP.32 2.6).

A card verifies an SM-DP+ only under a CI whose key it has (euiccCiPKIdListForVerification), a server believes a card
only under a CI it knows (euiccCiPKIdListForSigning), and a package is believed only when it is signed with the key that
the card has for its eIM. Where one of these fails, a download ends in the middle with 8.8.2, 8.8.4 or 8.11.1; here it
is said in words first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.errors import BenchError, DeviceFailure, InstrumentError
from bench.station.interfaces import ServerTrust, is_external

if TYPE_CHECKING:
    from bench.apdu.es10_info import EuiccInfo1
    from bench.apdu.es10_views import EimConfiguration
    from bench.engine.station import Station

State = Literal["ok", "fail", "unknown"]
_CI_CHECKS = ("sm-dp+", "sm-dp+ believes", "eim believes")


class NoTrust(InstrumentError):
    """Card and servers do not trust each other: a wrong card or wrong certificates, not a device that fails."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    text: str
    hint: str = ""


def findings(
    info1: EuiccInfo1,
    eims: Sequence[EimConfiguration],
    *,
    smdpp: ServerTrust | None,
    eim: ServerTrust | None,
    eim_id: str,
    own: EimConfiguration | None = None,
    own_key: bool = False,
    names: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Compare what a card says with what the servers say.

    ``smdpp``, ``eim``: None when the service does not tell. ``eim_id``: of the eIM of this bench; ``own``: its
    configuration, for comparing keys; ``own_key``: it signs for this card with a key of its own (updateEim), which
    cannot be compared. ``names``: names of CIs by identifier, beside the well-known ones.
    """
    known = names or {}
    verification = [key.hex() for key in info1.verification_key_ids]
    signing = [key.hex() for key in info1.signing_key_ids]
    found = [
        _common(
            "sm-dp+",
            "the card can verify the SM-DP+",
            verification,
            smdpp.authenticates_under if smdpp else None,
            known,
        ),
        _common("sm-dp+ believes", "the SM-DP+ believes the card", signing, smdpp.believes if smdpp else None, known),
        _common("eim believes", "the eIM believes the card", signing, eim.believes if eim else None, known),
    ]
    return [*found, *_association(eims, eim_id, own, own_key)]


def _common(
    name: str, text: str, card: Sequence[str], server: Sequence[str] | None, names: Mapping[str, str]
) -> Finding:
    if server is None:
        return Finding(name, "unknown", f"not known whether {text}: the service does not tell its CIs")
    common = [key for key in card if key in server]
    if common:
        return Finding(name, "ok", f"{text}: under CI {ci_text(common[0], names)}")
    who = "SM-DP+" if name.startswith("sm-dp+") else "eIM"
    return Finding(
        name,
        "fail",
        f"no CI in common: the card has {_listed(card, names)}; the {who} has {_listed(server, names)}",
        "use a card of that CI, or give the servers certificates of the card's: bench pki import DIR",
    )


def _association(
    eims: Sequence[EimConfiguration], eim_id: str, own: EimConfiguration | None, own_key: bool
) -> list[Finding]:
    if not eims:
        return [Finding("association", "ok", "no eIM is associated: AddInitialEim is free")]
    there = next((item for item in eims if item.eim_id == eim_id), None)
    if there is None:
        return [
            Finding(
                "association",
                "fail",
                f"the card is associated with {', '.join(item.eim_id for item in eims)}, not with {eim_id}",
                "bench euicc adopt: the eIM that is there must sign the addEim",
            )
        ]
    result = [Finding("association", "ok", f"eIM {eim_id} is associated")]
    for name, what, theirs, ours in (
        ("eim key", "signing key", there.public_key, own.public_key if own else None),
        ("eim tls", "TLS key", there.tls, own.tls if own else None),
    ):
        if theirs is None or ours is None:
            result.append(Finding(name, "unknown", f"the {what} of the eIM cannot be compared"))
        elif theirs.public_key == ours.public_key:
            result.append(Finding(name, "ok", f"the card has the {what} of the eIM"))
        elif name == "eim key" and own_key:
            result.append(Finding(name, "unknown", "the eIM signs for this card with a key of its own (updateEim)"))
        elif name == "eim tls" and theirs.kind == "certificate":
            # It may be the certificate of the eIM's CA (SGP.32 section 2.11.1.1.1); the TLS handshake decides.
            result.append(Finding(name, "unknown", "the card trusts a certificate, not the eIM's key: TLS will tell"))
        else:
            result.append(
                Finding(
                    name,
                    "fail",
                    f"the card has another {what} for {eim_id}: {theirs.fingerprint[:16]}, the eIM's is "
                    f"{ours.fingerprint[:16]}",
                    "was the PKI of this home made anew? take the former one back (bench pki import), or reset the "
                    "card's eIM configuration and adopt it again",
                )
            )
    return result


def ci_text(key_id: str, names: Mapping[str, str] | None = None) -> str:
    """Return a CI for people: its name where it is known, and the start of its identifier."""
    from bench.rsp.roots import root_name

    name = (names or {}).get(key_id, "") or root_name(key_id)
    return f"{name} ({key_id[:8]}…)" if name else key_id


def _listed(keys: Sequence[str], names: Mapping[str, str]) -> str:
    return ", ".join(ci_text(key, names) for key in keys) or "none"


def home_roots(home: Path) -> dict[str, str]:
    """Return the CIs of the bench's own PKI by identifier: ``<home>/pki`` as ``bench pki`` keeps it. Never raises."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from bench.rsp import certs
    from bench.rsp.roots import root_name

    found: dict[str, str] = {}
    for path in sorted((home / "pki").glob("**/ci.crt.pem")):
        try:
            der = x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
            curve = {"secp256r1": "P-256"}.get(name := certs.public_key(der).curve.name, name)
            key_id = certs.subject_key_id(der).hex()
            title = root_name(key_id) or certs.subject_text(der).rpartition(", ")[2]
            found[key_id] = f"{title}, this bench's on {curve}"
        except (OSError, ValueError, BenchError):
            continue
    return found


async def card_findings(station: Station, *, download: bool = True) -> list[Finding]:
    """Ask card and services of a station and compare them. ``download``: the SM-DP+ matters as well.

    The station has ``card`` and ``eim`` (and ``smdpp`` with ``download``); the card is powered and where it is read.
    """
    from bench.apdu import es10_info, es10_views
    from bench.apdu.es10 import Es10
    from bench.rsp import tlv

    es10 = await Es10.open(station.card, clock=station.clock)
    try:
        info1 = es10_info.euicc_info1(await es10.euicc_info1())
        eid = await es10.eid()
        refused = ""
        try:
            eims = await es10.eim_configurations()
        except DeviceFailure as error:
            eims, refused = (), error.what
    finally:
        await es10.close()
    own = None
    if not is_external(station.eim):  # of the lab's own the TLS handshake and the card's signature check tell
        own = es10_views.eim_configuration(tlv.first(await station.eim.initial_configuration()))
    result = findings(
        info1,
        eims,
        smdpp=getattr(station.smdpp, "trust", None) if download else None,
        eim=getattr(station.eim, "trust", None),
        eim_id=station.eim.eim_id,
        own=own,
        own_key=await _own_key(station, eid),
        names=home_roots(station.home),
    )
    if refused:
        text = f"the card does not tell its eIMs ({refused}): a consumer eUICC (SGP.22) has none"
        result = [item for item in result if item.name != "association"]
        result.append(Finding("association", "fail", text, "an eIM needs an eUICC of SGP.32"))
    return result if download else [item for item in result if not item.name.startswith("sm-dp+")]


async def _own_key(station: Station, eid: str) -> bool:
    ask = getattr(station.eim, "euicc", None)
    if ask is None:
        return False
    try:
        told = await ask(eid)
    except BenchError:  # an eIM that does not serve the card yet has no key of its own for it
        return False
    return str(told.get("signing_key") or "first") != "first"


async def require_trust(station: Station, *, download: bool = True) -> None:
    """End a run at once, with words, when card and servers have no CI in common. Raises NoTrust.

    Association and keys of the eIM are not looked at: what the card says to them is the device's answer.
    """
    for item in await card_findings(station, download=download):
        if item.state == "fail" and item.name in _CI_CHECKS:
            raise NoTrust(item.text, where=f"station {station.name}, {item.name}", hint=item.hint)
