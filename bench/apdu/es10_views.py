"""What ES10 answers say: a decoded look beside the bytes, which stay as the card sent them (``raw``).

Every encoding seen on cards is read, also those that the standard does not have (profile list with an extra SEQUENCE,
public keys tagged explicitly, certificates as three siblings); what is written elsewhere is always the standard's form.
All functions raise CardAnswerError for bytes that fit none of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from bench.apdu.errors import CardAnswerError
from bench.apdu.es10_codec import EVENT_NAMES
from bench.rsp import ids, names, tlv
from bench.rsp.errors import DecodeError

_ID_TYPES = {1: "oid", 2: "fqdn", 3: "proprietary"}
_CLASSES = {0: "test", 1: "provisioning", 2: "operational"}


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile of GetProfilesInfo; fields that the card left out are empty or None."""

    raw: bytes
    iccid: str = ""
    aid: bytes = b""
    enabled: bool | None = None
    nickname: str = ""
    provider: str = ""
    name: str = ""
    profile_class: str = "operational"
    fallback: bool = False
    fallback_allowed: bool = False
    ecall: bool = False


@dataclass(frozen=True, slots=True)
class NotificationMetadata:
    """BF2F: the number of a notification, its event (``install``, ``enable`` ...), address and ICCID digits."""

    raw: bytes
    seq: int
    event: str
    address: str
    iccid: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """One PendingNotification as the card sent it. ``kind``: installation-result, other, compact."""

    raw: bytes
    kind: str
    metadata: NotificationMetadata | None


@dataclass(frozen=True, slots=True)
class KeyData:
    """A public key or certificate of an eIM configuration as DER that starts with 30. ``kind``: spki, certificate."""

    kind: str
    der: bytes

    @property
    def public_key(self) -> bytes:
        """The SubjectPublicKeyInfo as DER, of a certificate the one in it. Raises CardAnswerError."""
        if self.kind == "spki":
            return self.der
        try:
            members = tlv.first(self.der).children()[0].children()
        except (DecodeError, IndexError) as error:
            raise CardAnswerError("the certificate cannot be read", where="eIM configuration") from error
        # version [0]?, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo (RFC 5280 section 4.1)
        at = 6 if members and members[0].tag == 0xA0 else 5
        if len(members) <= at or members[at].tag != 0x30:
            raise CardAnswerError("the certificate has no public key", where="eIM configuration")
        return members[at].raw

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the SubjectPublicKeyInfo, in hex: the same for a key and a certificate of it."""
        return hashlib.sha256(self.public_key).hexdigest()


@dataclass(frozen=True, slots=True)
class EimConfiguration:
    """EimConfigurationData (SGP.32 section 2.11.1.1.1)."""

    raw: bytes
    eim_id: str
    fqdn: str = ""
    id_type: int | None = None
    association_token: int | None = None
    public_key: KeyData | None = None
    tls: KeyData | None = None
    protocols: frozenset[int] = frozenset()
    """Numbers of the bits that are set: eimRetrieveHttps 0, eimRetrieveCoaps 1, ..."""
    ci_key_id: bytes = b""
    indirect_download: bool = False

    @property
    def id_type_name(self) -> str:
        """``oid``, ``fqdn``, ``proprietary``, the number of another type, empty without one."""
        if self.id_type is None:
            return ""
        return _ID_TYPES.get(self.id_type, str(self.id_type))

    @property
    def protocol_names(self) -> tuple[str, ...]:
        """``eimRetrieveHttps`` ..., in the order of their bits."""
        return tuple(names.bit("EimSupportedProtocol", number) for number in sorted(self.protocols))


@dataclass(frozen=True, slots=True)
class Certificates:
    """GetCerts: the members A5 and A6 as the card sent them, and the certificates in them as DER."""

    eum_raw: bytes
    euicc_raw: bytes
    eum: bytes
    euicc: bytes


@dataclass(frozen=True, slots=True)
class InstallationResult:
    """What a ProfileInstallationResult (BF37) says."""

    raw: bytes
    transaction_id: bytes
    metadata: NotificationMetadata
    installed: bool
    aid: bytes = b""
    command: str = ""
    """Name of the BPP command that failed."""
    reason: str = ""
    sima_response: bytes = b""

    @property
    def error(self) -> str:
        """Return ``loadProfileElements: scp03tSecurityError``, empty when installed."""
        return "" if self.installed else f"{self.command}: {self.reason}"


def answer(raw: bytes, tag: int) -> tlv.Tlv:
    """Return the answer to a function: the one TLV with its tag."""
    try:
        found = tlv.first(raw)
    except DecodeError as error:
        raise CardAnswerError(f"the answer is no TLV: {error.what}", where=f"{tag:04X}") from error
    if found.tag != tag:
        raise CardAnswerError(f"the answer has the tag {found.tag:X}, {tag:X} was due", where=f"{tag:04X}")
    return found


def signed(value: bytes) -> int:
    """Return the integer in the content of an INTEGER."""
    return int.from_bytes(value, "big", signed=True)


def text(value: bytes) -> str:
    """Return UTF-8 text; what is no UTF-8 is shown, never an error (the bytes stay in ``raw``)."""
    return value.decode("utf-8", "backslashreplace")


def error_code(found: tlv.Tlv, *tags: int) -> int | None:
    """Return the error code of an answer, None when it is none.

    An error is a lone INTEGER, a primitive with one of ``tags`` (``81``), or the same constructed around an INTEGER
    (``A1 {02}``): cards do all three.
    """
    children = found.children()
    if len(children) != 1:
        return None
    only = children[0]
    if not only.constructed:
        return signed(only.value) if only.tag == 0x02 or only.tag in tags else None
    if only.tag in [tag | 0x20 for tag in tags]:
        inner = only.children()
        if len(inner) == 1 and inner[0].tag == 0x02:
            return signed(inner[0].value)
    return None


def result_code(raw: bytes, tag: int) -> int:
    """Return the result of a function whose answer is one number (tag 80, 81 or INTEGER)."""
    found = answer(raw, tag)
    for child in found.children():
        if child.tag in (0x80, 0x81, 0x02):
            return signed(child.value)
    raise CardAnswerError(f"no result code in {raw.hex()}", where=f"{tag:04X}")


def profiles(found: tlv.Tlv) -> tuple[Profile, ...]:
    """Read ``BF2D{A0{E3...}}``, also with a SEQUENCE between A0 and the profiles or with no A0 at all."""
    level = found.children()
    while level and level[0].tag in (0xA0, 0x30) and len(level) == 1:
        level = level[0].children()
    return tuple(_profile(item) for item in level if item.tag == 0xE3)


def _profile(item: tlv.Tlv) -> Profile:
    fields = {child.tag: child.value for child in item.children()}
    return Profile(
        raw=item.raw,
        iccid=_iccid(fields.get(0x5A)),
        aid=fields.get(0x4F, b""),
        enabled=bool(signed(fields[0x9F70])) if 0x9F70 in fields else None,
        nickname=text(fields.get(0x90, b"")),
        provider=text(fields.get(0x91, b"")),
        name=text(fields.get(0x92, b"")),
        profile_class=_CLASSES.get(signed(fields.get(0x95, b"\x02")), "operational"),
        fallback=any(fields.get(0x9F26, b"")),
        fallback_allowed=any(fields.get(0x9F67, b"")),
        ecall=any(fields.get(0x9F7B, b"")),
    )


def _iccid(value: bytes | None) -> str:
    if value is None:
        return ""
    try:
        return ids.iccid_digits(value)
    except DecodeError as error:
        raise CardAnswerError(error.what, where="5A iccid") from error


def notification_metadata(item: tlv.Tlv) -> NotificationMetadata:
    """Read a BF2F."""
    fields = {child.tag: child.value for child in item.children()}
    if 0x80 not in fields:
        raise CardAnswerError(f"a notification without seqNumber: {item.raw.hex()}", where="BF2F")
    return NotificationMetadata(
        raw=item.raw,
        seq=signed(fields[0x80]),
        event=_event(fields.get(0x81, b"")),
        address=text(fields.get(0x0C, b"")),
        iccid=_iccid(fields.get(0x5A)),
    )


def _event(value: bytes) -> str:
    for event, name in EVENT_NAMES.items():
        if len(value) > 1 and value[1] & event:
            return name
    return ""


def metadata_list(found: tlv.Tlv) -> tuple[NotificationMetadata, ...]:
    """Read the answer of ListNotification."""
    return tuple(notification_metadata(item) for item in _descend(found, 0xBF2F))


def _descend(found: tlv.Tlv, wanted: int) -> Iterable[tlv.Tlv]:
    """Yield the items with the tag ``wanted`` below A0 (and a SEQUENCE some cards put there)."""
    for child in found.children():
        if child.tag == wanted:
            yield child
        elif child.tag in (0xA0, 0x30):
            yield from _descend(child, wanted)


def notification(item: tlv.Tlv) -> Notification:
    """Look at one PendingNotification: BF37, 30, or a compact form A0, A1."""
    if item.tag == 0xBF37:
        metadata = item.find(0xBF27, 0xBF2F)
        return Notification(item.raw, "installation-result", notification_metadata(metadata) if metadata else None)
    metadata = item.find(0xBF2F)
    kind = "other" if item.tag == 0x30 else "compact"
    return Notification(item.raw, kind, notification_metadata(metadata) if metadata else None)


def notifications(found: tlv.Tlv) -> tuple[Notification, ...]:
    """Read the notifications in the answer of RetrieveNotificationsList; eUICC package results are left out."""
    items: list[Notification] = []
    for group in found.children():
        if group.tag != 0xA0:
            continue
        children = group.children()
        if len(children) == 1 and children[0].tag == 0x30 and children[0].find(0xBF2F) is None:
            children = children[0].children()  # an extra SEQUENCE around the list
        items += [notification(child) for child in children if child.tag in (0xBF37, 0x30, 0xA0, 0xA1)]
    return tuple(items)


def package_results(found: tlv.Tlv) -> tuple[bytes, ...]:
    """Read the eUICC package results (BF51, as stored) in the answer of RetrieveNotificationsList.

    They stand in A2; v1.0 cards put them into A3{A0 notifications, A1 results}, others into A0.
    """
    results: list[bytes] = []
    for item in found.children():
        if item.tag == 0xBF51:
            results.append(item.raw)
        elif item.tag in (0xA0, 0xA1, 0xA2, 0xA3):
            results += package_results(item)
    return tuple(results)


def package_result_data(raw: bytes) -> tlv.Tlv | None:
    """Return the part of an eUICC package result (BF51) that begins with the eimId, None when there is none.

    In the standard's forms that is the SEQUENCE below A0 or A1, or A2 itself; cards leave A0 out or add a SEQUENCE.
    """
    level = answer(raw, 0xBF51)
    for _ in range(4):
        children = level.children()
        if any(child.tag == 0x80 for child in children):
            return level
        below = [child for child in children if child.tag in (0xA0, 0xA1, 0xA2, 0x30)]
        if not below:
            return None
        level = below[0]
    return None


def package_result_seq(raw: bytes) -> int | None:
    """Return the seqNumber of an eUICC package result, None for error results, which have none."""
    data = package_result_data(raw)
    seq = data.find(0x83) if data is not None else None
    return signed(seq.value) if seq is not None else None


def package_result_eim(raw: bytes) -> str:
    """Return the eimId in an eUICC package result of any form, empty when it has none."""
    data = package_result_data(raw)
    eim = data.find(0x80) if data is not None else None
    return text(eim.value) if eim is not None else ""


def eim_configurations(found: tlv.Tlv) -> tuple[EimConfiguration, ...]:
    """Read ``BF55{A0{30...}}``, also with one A0 for each eIM, or none."""
    items: list[tlv.Tlv] = []
    for child in found.children():
        if child.tag == 0xA0:
            below = child.children()
            bare = bool(below) and below[0].tag == 0x80
            items += [child] if bare else [item for item in below if item.tag == 0x30]
        elif child.tag == 0x30:
            items.append(child)
    return tuple(eim_configuration(item) for item in items)


def eim_configuration(item: tlv.Tlv) -> EimConfiguration:
    """Read one EimConfigurationData."""
    fields = {child.tag: child for child in item.children()}
    if 0x80 not in fields:
        raise CardAnswerError(f"an eIM configuration without eimId: {item.raw.hex()}", where="BF55")
    protocols = fields[0x87].value if 0x87 in fields else b""
    return EimConfiguration(
        raw=item.raw,
        eim_id=text(fields[0x80].value),
        fqdn=text(fields[0x81].value) if 0x81 in fields else "",
        id_type=signed(fields[0x82].value) if 0x82 in fields else None,
        association_token=signed(fields[0x84].value) if 0x84 in fields else None,
        public_key=key_data(fields[0xA5]) if 0xA5 in fields else None,
        tls=key_data(fields[0xA6]) if 0xA6 in fields else None,
        protocols=frozenset(i for i in range(len(protocols[1:]) * 8) if protocols[1 + i // 8] & (0x80 >> i % 8)),
        ci_key_id=fields[0x88].value if 0x88 in fields else b"",
        indirect_download=0x89 in fields,
    )


def key_data(item: tlv.Tlv) -> KeyData:
    """Read eimPublicKeyData (A5) or trustedPublicKeyDataTls (A6).

    The standard's form is A0 or A1 in place of the SEQUENCE's own tag; seen are also the SEQUENCE inside A0 or A1, and
    the SEQUENCE directly in A5. What it is follows from its members: algorithm and key, or tbs, algorithm, signature.
    """
    level = item
    for _ in range(3):
        members = [child.tag for child in level.children()]
        if members[:2] == [0x30, 0x03]:
            return KeyData("spki", tlv.build(0x30, level.value))
        if members[:3] == [0x30, 0x30, 0x03]:
            return KeyData("certificate", tlv.build(0x30, level.value))
        if len(members) != 1:
            break
        level = level.children()[0]
    raise CardAnswerError(f"neither public key nor certificate: {item.raw.hex()}", where=f"{item.tag:X}")


def certificate(item: tlv.Tlv) -> bytes:
    """Return the certificate in A5 or A6 of GetCerts and IpaEuiccData as DER, whichever way it is tagged."""
    data = key_data(item)
    if data.kind != "certificate":
        raise CardAnswerError("a public key where a certificate is due", where=f"{item.tag:X}")
    return data.der


def certificates(found: tlv.Tlv) -> Certificates:
    """Read ``BF56{A0{A5 eumCertificate, A6 euiccCertificate}}``."""
    eum = found.find(0xA0, 0xA5) or found.find(0xA0, 0x30, 0xA5) or found.find(0xA5)
    euicc = found.find(0xA0, 0xA6) or found.find(0xA0, 0x30, 0xA6) or found.find(0xA6)
    if eum is None or euicc is None:
        raise CardAnswerError("no certificates in the answer", where="GetCerts")
    return Certificates(eum.raw, euicc.raw, certificate(eum), certificate(euicc))


def installation_result(raw: bytes) -> InstallationResult:
    """Read a ProfileInstallationResult."""
    found = answer(raw, 0xBF37)
    data = found.find(0xBF27)
    metadata = found.find(0xBF27, 0xBF2F)
    final = found.find(0xBF27, 0xA2)
    transaction = found.find(0xBF27, 0x80)
    if data is None or metadata is None or final is None or transaction is None:
        raise CardAnswerError(f"an incomplete ProfileInstallationResult: {raw.hex()}", where="BF37")
    head = notification_metadata(metadata)
    success, failure = final.find(0xA0), final.find(0xA1)
    if success is not None:
        aid, sima = success.find(0x4F), success.find(0x04)
        return InstallationResult(
            raw,
            transaction.value,
            head,
            True,
            aid=aid.value if aid else b"",
            sima_response=sima.value if sima else b"",
        )
    if failure is None:
        raise CardAnswerError(f"a ProfileInstallationResult without result: {raw.hex()}", where="BF37")
    fields = {child.tag: child.value for child in failure.children()}
    command, reason = signed(fields.get(0x80, b"\x7f")), signed(fields.get(0x81, b"\x7f"))
    return InstallationResult(
        raw,
        transaction.value,
        head,
        False,
        command=names.result("BppCommandId", command),
        reason=names.result("ErrorReason", reason),
        sima_response=fields.get(0x82, b""),
    )
