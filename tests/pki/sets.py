"""Sets of certificates as SGP.26 publishes them, made with cryptography alone: no code of the PKI under test."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

EID = "89049032123451234512345678901235"
CURVES: dict[str, ec.EllipticCurve] = {"NIST": ec.SECP256R1(), "BRP": ec.BrainpoolP256R1()}
NOW = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)
_OIDS = {
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
}


@dataclass
class Made:
    """One certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def ski(self) -> bytes:
        return self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def name(**attributes: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(_OIDS[key], value) for key, value in attributes.items()])


def certificate(
    curve: ec.EllipticCurve,
    subject: x509.Name,
    role: int | None,
    issuer: Made | None,
    *,
    ca: bool = False,
    permitted: x509.Name | None = None,
    oid: str = "",
    dns: str = "",
    until: datetime.datetime = datetime.datetime(2054, 1, 1),
    ski: bytes | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Made:
    key = key or ec.generate_private_key(curve)
    own_id = x509.SubjectKeyIdentifier(ski) if ski else x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = issuer.ski if issuer else own_id.digest
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2020, 4, 1))
        .not_valid_after(until)
        .add_extension(own_id, False)
        .add_extension(x509.AuthorityKeyIdentifier(authority, None, None), False)
        .add_extension(
            x509.KeyUsage(not ca, False, False, False, False, ca, ca and issuer is None, False, False), critical=True
        )
    )
    if role is not None:
        policy = x509.PolicyInformation(x509.ObjectIdentifier(f"2.23.146.1.2.1.{role}"), None)
        builder = builder.add_extension(x509.CertificatePolicies([policy]), critical=True)
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(True, None if issuer is None else 0), critical=True)
    if permitted is not None:
        constraints = x509.NameConstraints([x509.DirectoryName(permitted)], None)
        builder = builder.add_extension(constraints, critical=True)
    names: list[x509.GeneralName] = [x509.DNSName(dns)] if dns else []
    if oid:
        names.append(x509.RegisteredID(x509.ObjectIdentifier(oid)))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    if dns:
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=True)
    return Made(builder.sign((issuer.key if issuer else key), hashes.SHA256()), key)


def sgp26(family: str = "NIST", *, tls_until: datetime.datetime = datetime.datetime(2030, 8, 2)) -> dict[str, Made]:
    """Return a whole set: file name stem (without CERT_ or SK_) to certificate and key."""
    curve = CURVES[family]
    ci = certificate(curve, name(C="IT", O="RSPTEST", OU="TESTCERT", CN="Test CI"), 0, None, ca=True, oid="2.999.1")
    limit = name(O="RSP Test EUM", serialNumber="89049032")
    eum = certificate(
        curve, name(C="ES", O="RSP Test EUM", CN="EUM Test"), 2, ci, ca=True, permitted=limit, oid="2.999.5"
    )
    euicc = name(C="ES", O="RSP Test EUM", serialNumber=EID, CN="Test eUICC")
    plus = name(O="ACME", CN="TEST SM-DP+")
    host = "testsmdpplus1.example.com"
    return {
        f"CI_ECDSA_{family}": ci,
        f"EUM_ECDSA_{family}": eum,
        f"EUICC_ECDSA_{family}": certificate(curve, euicc, 1, eum, until=datetime.datetime(7496, 1, 24)),
        f"S_SM_DPauth_ECDSA_{family}": certificate(curve, plus, 4, ci, oid="2.999.10"),
        f"S_SM_DPpb_ECDSA_{family}": certificate(curve, plus, 5, ci, oid="2.999.10"),
        f"S_SM_DP_TLS_{family}": certificate(
            curve, name(O="ACME", CN=host), 3, ci, oid="2.999.10", dns=host, until=tls_until
        ),
        f"EIM_ECDSA_{family}": certificate(curve, name(O="ACME", CN="eim.example.com"), None, ci),
        f"EIM_TLS_{family}": certificate(
            curve, name(O="ACME", CN="eim.example.com"), None, ci, oid="2.999.20", dns="eim.example.com"
        ),
    }


def write(folder: Path, made: dict[str, Made], *, without_keys: tuple[str, ...] = ()) -> Path:
    """Write a set as SGP.26 names it: CERT_*.der, SK_*.pem in the form of ``openssl ecparam``, PK_*.pem."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, item in made.items():
        (folder / f"CERT_{stem}.der").write_bytes(item.der)
        public = item.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / f"PK_{stem}.pem").write_bytes(public)
        if not stem.startswith(without_keys or ("-",)):
            key = item.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
            parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
            (folder / f"SK_{stem}.pem").write_bytes(parameters + key)
    return folder
