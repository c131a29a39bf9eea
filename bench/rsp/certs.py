"""Certificates of remote SIM provisioning: roles, chains and what they say about their owner (SGP.22 section 4.5).

A chain check here looks at what general X.509 verifiers leave out: the role in certificatePolicies, the EUM's critical
name constraint on the EID, and the same registered OID. Revocation lists are not looked at. Parsed certificates and
verified links are remembered by their bytes, so that a check of a known chain costs microseconds.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Sequence
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from bench.rsp import tlv
from bench.rsp.errors import DecodeError, RspError

ROLES_ARC = "2.23.146.1.2.1"
PERMITTED_EINS = x509.ObjectIdentifier("2.23.146.1.2.2.0")
MAX_CHAIN = 4
EID_LENGTH = 32


class Role(Enum):
    """Role of a certificate; the value is the last arc under 2.23.146.1.2.1, None where GSMA has given none."""

    CI = "0"
    EUICC = "1"
    EUM = "2"
    DP_TLS = "3"
    DP_AUTH = "4"
    DP_PB = "5"
    EIM = None
    EIM_TLS = ""

    @property
    def oid(self) -> str | None:
        """Role OID that certificatePolicies must hold, None for the eIM."""
        return f"{ROLES_ARC}.{self.value}" if self.value else None

    @property
    def tls(self) -> bool:
        """Whether the certificate authenticates a TLS server."""
        return self in (Role.DP_TLS, Role.EIM_TLS)


class ChainError(RspError):
    """A certificate is not what its role asks for; ``reason`` is a word for programs."""

    def __init__(self, reason: str, what: str, *, where: str = "") -> None:
        super().__init__(what, where=where)
        self.reason = reason
        """unknown-issuer, signature, expired, not-yet-valid, role, key-usage, ca, path-length, name-constraint,
        critical-extension, key-identifier or unreadable."""


@functools.lru_cache(maxsize=1024)
def load(der: bytes) -> x509.Certificate:
    """Return the parsed certificate. Raises DecodeError."""
    try:
        return x509.load_der_x509_certificate(der)
    except Exception as error:  # cryptography raises several kinds for outside bytes
        raise DecodeError(f"no X.509 certificate: {error}") from error


@functools.lru_cache(maxsize=1024)
def public_key(der: bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key of a certificate. Raises DecodeError unless it is an elliptic curve key."""
    try:
        key = load(der).public_key()
    except Exception as error:
        raise DecodeError(f"the certificate's public key cannot be used: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise DecodeError("the certificate's public key is not on an elliptic curve")
    return key


def subject_key_id(der: bytes) -> bytes:
    """Return the subject key identifier. Raises DecodeError when there is none."""
    extension = _extension(der, ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    if extension is None:
        raise DecodeError("the certificate has no subject key identifier")
    return extension.value.digest  # type: ignore[attr-defined, no-any-return]


def authority_key_id(der: bytes) -> bytes | None:
    """Return the authority key identifier, None when there is none."""
    extension = _extension(der, ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    return None if extension is None else extension.value.key_identifier  # type: ignore[attr-defined]


def registered_id(der: bytes) -> str | None:
    """Return the registered OID of subjectAltName (the SM-DP+'s OID), None when there is none."""
    extension = _extension(der, ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    if extension is None:
        return None
    found = extension.value.get_values_for_type(x509.RegisteredID)  # type: ignore[attr-defined]
    return found[0].dotted_string if found else None


def eid_of(der: bytes) -> str | None:
    """Return the EID in the subject's serialNumber of an eUICC certificate, None when it has none of 32 digits."""
    for value in _values(_subject(der), NameOID.SERIAL_NUMBER):
        if len(value) == EID_LENGTH and value.isascii() and value.isdecimal():
            return value
    return None


def self_issued(der: bytes) -> bool:
    """Return whether issuer and subject are the same name. Raises DecodeError."""
    issuer, subject = _names(der)
    return issuer == subject


def issued_by(der: bytes, issuer: bytes) -> bool:
    """Return whether ``der`` names ``issuer`` as its issuer and has its signature. Raises DecodeError."""
    wanted = authority_key_id(der)
    if _names(der)[0] != _names(issuer)[1] or (wanted is not None and _ski(issuer) not in (None, wanted)):
        return False
    return _verified(der, issuer)


def subject_text(der: bytes) -> str:
    """Return the texts of the subject for people, whatever is in it. Raises DecodeError."""
    return _shown(_names(der)[1]).strip("'\"")


def roles(der: bytes) -> frozenset[str]:
    """Return the OIDs of certificatePolicies."""
    extension = _extension(der, ExtensionOID.CERTIFICATE_POLICIES)
    if extension is None:
        return frozenset()
    return frozenset(policy.policy_identifier.dotted_string for policy in extension.value)  # type: ignore[attr-defined]


def check_chain(
    leaf_der: bytes,
    intermediates: Iterable[bytes],
    trusted_ci_ders: Iterable[bytes],
    role: Role,
    *,
    now: datetime.datetime | None = None,
) -> bytes:
    """Check the chain of ``leaf_der`` to one of the trusted certificates and return that one.

    ``now``: timezone-aware, the current time when None. A trusted certificate may be the leaf itself (an eIM's
    self-signed one). Raises ChainError.
    """
    when = now if now is not None else datetime.datetime.now(datetime.UTC)
    try:
        chain = _chain(leaf_der, tuple(intermediates), tuple(trusted_ci_ders), role)
        for der in chain:
            _check_validity(der, when)
    except ChainError:
        raise
    except Exception as error:  # cryptography parses fields when they are asked for, and raises several kinds
        raise ChainError("unreadable", f"the certificate cannot be read: {error}", where=_where(leaf_der)) from error
    return chain[-1]


@functools.lru_cache(maxsize=1024)
def _chain(leaf_der: bytes, pool: tuple[bytes, ...], trusted: tuple[bytes, ...], role: Role) -> tuple[bytes, ...]:
    """Return the chain from the leaf to a trusted certificate, with everything checked that time does not change.

    An eUICC's chain comes with each of its notifications, and it is the same one each time. Raises ChainError, which is
    not kept.
    """
    chain = [leaf_der]
    while chain[-1] not in trusted:
        if len(chain) > MAX_CHAIN:
            raise ChainError("path-length", f"the chain is longer than {MAX_CHAIN} certificates")
        issuer = _issuer(chain[-1], [*trusted, *(der for der in pool if der not in chain)])
        if not _verified(chain[-1], issuer):
            raise ChainError("signature", "the certificate is not signed by its issuer", where=_where(chain[-1]))
        chain.append(issuer)
    _check_leaf(leaf_der, role)
    for depth, der in enumerate(chain):
        _check_critical(der)
        if depth:
            _check_ca(der, below=depth - 1)
    _check_names(chain, role)
    return tuple(chain)


def check_root(der: bytes, *, now: datetime.datetime | None = None) -> None:
    """Check that a certificate is a self-signed CI that is valid now; its role OID may be missing (a lab's own CI).

    Raises ChainError.
    """
    try:
        if not self_issued(der) or not _verified(der, der):
            raise ChainError("signature", "the certificate is not signed by itself", where=_where(der))
        _check_validity(der, now if now is not None else datetime.datetime.now(datetime.UTC))
        _check_critical(der)
        _check_ca(der, below=0)
    except ChainError:
        raise
    except Exception as error:  # as in check_chain
        raise ChainError("unreadable", f"the certificate cannot be read: {error}", where=_where(der)) from error


def _issuer(der: bytes, candidates: Sequence[bytes]) -> bytes:
    """Return the certificate that issued ``der``: by key identifier and name, as far as it has them."""
    wanted = authority_key_id(der)
    name = _names(der)[0]
    by_name = [candidate for candidate in candidates if _names(candidate)[1] == name]
    for candidate in by_name:
        if wanted is None or _ski(candidate) == wanted:
            return candidate
    if by_name:
        raise ChainError(
            "key-identifier",
            f"no issuer has the key {wanted.hex() if wanted else ''} that the certificate names",
            where=_where(der),
        )
    raise ChainError("unknown-issuer", f"the issuer {_shown(name)} is not known", where=_where(der))


@functools.lru_cache(maxsize=1024)
def _names(der: bytes) -> tuple[bytes, bytes]:
    """Return issuer and subject as they stand: cryptography refuses to parse those of one CI that is in use."""
    certificate = tlv.first(der).children()
    fields = certificate[0].children() if certificate else []
    fields = fields[1:] if fields and fields[0].tag == 0xA0 else fields
    if len(fields) < 6:
        raise DecodeError("no X.509 certificate: fields are missing")
    return fields[2].raw, fields[4].raw


def _shown(name: bytes) -> str:
    """Return the texts of a DER name for people, whatever is in it."""
    texts = [
        attribute.children()[1].value.decode("utf-8", "replace")
        for rdn in tlv.first(name).children()
        for attribute in rdn.children()
        if len(attribute.children()) == 2
    ]
    return repr(", ".join(texts))


def _ski(der: bytes) -> bytes | None:
    try:
        return subject_key_id(der)
    except DecodeError:
        return None


@functools.lru_cache(maxsize=4096)
def _verified(der: bytes, issuer: bytes) -> bool:
    certificate = load(der)
    try:
        algorithm = certificate.signature_hash_algorithm
        if algorithm is None:
            return False
        public_key(issuer).verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _check_validity(der: bytes, when: datetime.datetime) -> None:
    certificate = load(der)
    if when < certificate.not_valid_before_utc:
        raise ChainError("not-yet-valid", f"valid from {certificate.not_valid_before_utc:%Y-%m-%d}", where=_where(der))
    if when > certificate.not_valid_after_utc:
        raise ChainError("expired", f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}", where=_where(der))


def _check_leaf(der: bytes, role: Role) -> None:
    found = roles(der)
    if role.oid is not None and not any(oid == role.oid or oid.startswith(role.oid + ".") for oid in _plain(found)):
        named = ", ".join(sorted(found)) or "none"
        raise ChainError("role", f"the certificate's role is {named}, not {role.oid} ({role.name})", where=_where(der))
    if role in (Role.CI, Role.EUM):
        _check_ca(der, below=0)
        return
    usage = _extension(der, ExtensionOID.KEY_USAGE)
    if usage is None:
        if role.oid is not None:
            raise ChainError("key-usage", "the certificate has no key usage", where=_where(der))
    elif not usage.value.digital_signature:  # type: ignore[attr-defined]
        raise ChainError("key-usage", "the certificate's key may not sign", where=_where(der))
    extended = _extension(der, ExtensionOID.EXTENDED_KEY_USAGE)
    if role.tls and extended is not None and ExtendedKeyUsageOID.SERVER_AUTH not in extended.value:  # type: ignore[operator]
        raise ChainError("key-usage", "the certificate is not for a TLS server", where=_where(der))


def _plain(oids: Iterable[str]) -> Iterable[str]:
    """Read the EUM policy of SGP.26 variants O version 3, A, B and C (role arc 0.0.0) as the EUM's."""
    for oid in oids:
        yield f"{ROLES_ARC}.2" if oid == f"{ROLES_ARC}.0.0.0" else oid


def _check_ca(der: bytes, *, below: int) -> None:
    basic = _extension(der, ExtensionOID.BASIC_CONSTRAINTS)
    if basic is None or not basic.value.ca:  # type: ignore[attr-defined]
        raise ChainError("ca", "the issuer is not a certification authority", where=_where(der))
    limit = basic.value.path_length  # type: ignore[attr-defined]
    if limit is not None and below > limit:
        raise ChainError("path-length", f"{below} certificates below one that allows {limit}", where=_where(der))
    usage = _extension(der, ExtensionOID.KEY_USAGE)
    if usage is None or not usage.value.key_cert_sign:  # type: ignore[attr-defined]
        raise ChainError("key-usage", "the issuer's key may not sign certificates", where=_where(der))


_KNOWN_CRITICAL = frozenset(
    {
        ExtensionOID.KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        PERMITTED_EINS,
    }
)


def _check_critical(der: bytes) -> None:
    for extension in _extensions(der):
        if extension.critical and extension.oid not in _KNOWN_CRITICAL:
            raise ChainError(
                "critical-extension",
                f"critical extension {extension.oid.dotted_string} is not known",
                where=_where(der),
            )


def _check_names(chain: Sequence[bytes], role: Role) -> None:
    """Apply directoryName constraints of issuers; an eUICC's issuer must be an EUM that limits the EID."""
    leaf = chain[0]
    limited = False
    for issuer in chain[1:]:
        extension = _extension(issuer, ExtensionOID.NAME_CONSTRAINTS)
        if extension is not None:
            limited = _check_constraint(extension, leaf, issuer) or limited
        eins = permitted_eins(issuer)
        if eins:
            eid = eid_of(leaf) or ""
            if not any(eid.startswith(ein) for ein in eins):
                raise ChainError(
                    "name-constraint", f"EID {eid} is under none of the EUM's {', '.join(eins)}", where=_where(leaf)
                )
            limited = True
    if role is not Role.EUICC:
        return
    if len(chain) < 2 or Role.EUM.oid not in set(_plain(roles(chain[1]))):
        raise ChainError("role", "the eUICC's issuer is not an EUM", where=_where(chain[-1]))
    if eid_of(leaf) is None:
        raise ChainError("name-constraint", "the subject has no EID as serialNumber", where=_where(leaf))
    if not limited:
        raise ChainError("name-constraint", "the EUM's certificate does not limit the EIDs", where=_where(chain[1]))


def _check_constraint(extension: x509.Extension[x509.ExtensionType], leaf: bytes, issuer: bytes) -> bool:
    constraints = extension.value
    assert isinstance(constraints, x509.NameConstraints)
    if not extension.critical:
        raise ChainError("name-constraint", "the issuer's name constraint is not critical", where=_where(issuer))
    if constraints.excluded_subtrees:
        raise ChainError("name-constraint", "excluded names are not part of RSP", where=_where(issuer))
    subtrees = [name.value for name in constraints.permitted_subtrees or [] if isinstance(name, x509.DirectoryName)]
    if not subtrees:
        return False
    subject = _subject(leaf)
    if not any(_within(subject, base) for base in subtrees):
        raise ChainError(
            "name-constraint",
            f"{subject.rfc4514_string()!r} is not within {' or '.join(base.rfc4514_string() for base in subtrees)!r}",
            where=_where(leaf),
        )
    return True


def _within(subject: x509.Name, base: x509.Name) -> bool:
    """Return whether the subject has every attribute of the base; the EID need only start with the EUM's EIN.

    This is SGP.22's reading (section 4.5.2.1.0.3), not RFC 5280's, by which the base must be the start of the name.
    """
    for attribute in base:
        values = _values(subject, attribute.oid)
        text = str(attribute.value)
        if attribute.oid == NameOID.SERIAL_NUMBER:
            if not any(value.startswith(text) for value in values):
                return False
        elif text not in values:
            return False
    return True


def permitted_eins(der: bytes) -> list[str]:
    """Return the EIN prefixes of the extension of SGP.26 variants A, B and C, [] when there is none."""
    extension = _extension(der, PERMITTED_EINS)
    if extension is None:
        return []
    raw: bytes = extension.value.value  # type: ignore[attr-defined]
    try:
        return [item.value.decode("ascii") for item in tlv.first(raw).children()]
    except UnicodeDecodeError as error:
        raise DecodeError(f"permittedEins holds no digits: {error}") from error


def _extensions(der: bytes) -> x509.Extensions:
    try:
        return load(der).extensions
    except DecodeError:
        raise
    except Exception as error:  # duplicate or broken extensions of outside bytes
        raise DecodeError(f"the certificate's extensions cannot be read: {error}") from error


def _extension(der: bytes, oid: x509.ObjectIdentifier) -> x509.Extension[x509.ExtensionType] | None:
    try:
        return _extensions(der).get_extension_for_oid(oid)
    except x509.ExtensionNotFound:
        return None


def _subject(der: bytes) -> x509.Name:
    try:
        return load(der).subject
    except DecodeError:
        raise
    except Exception as error:
        raise DecodeError(f"the certificate's subject cannot be read: {error}") from error


def _values(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(oid)]


def _where(der: bytes) -> str:
    try:
        return _shown(_names(der)[1])
    except DecodeError:
        return "certificate"
