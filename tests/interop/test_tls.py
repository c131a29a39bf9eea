"""Both TLS servers under openssl: versions, chain, names, and the fields of the certificates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .foreign import Bench, run

SERVICES = ("eim", "smdpp")
SUITES = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA256")


def s_client(bench: Bench, service: str, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
    """Return what ``openssl s_client -brief`` says of a handshake."""
    name, port = bench.server(service)
    done = run(
        *("openssl", "s_client", "-brief", "-connect", f"127.0.0.1:{port}", "-servername", name),
        *("-CAfile", bench.ca, "-verify_return_error", "-verify_hostname", name),
        *arguments,
        ok=ok,
    )
    return (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("option", "version"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_the_chain_verifies_with_the_announced_ca(bench: Bench, service: str, option: str, version: str) -> None:
    said = s_client(bench, service, option)
    assert f"Protocol version: {version}" in said
    assert "Verification: OK" in said
    assert f"Verified peername: {bench.server(service)[0]}" in said


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
def test_the_strictest_checks_that_openssl_has(bench: Bench, service: str, option: str) -> None:
    """RFC 5280 to the letter, only this purpose, 128 bits of security, no CA but the announced one."""
    strict = ("-x509_strict", "-purpose", "sslserver", "-auth_level", "3", "-verify_depth", "1", "-no-CApath")
    said = s_client(bench, service, option, *strict, "-no-CAstore")
    assert "Verification: OK" in said


@pytest.mark.parametrize("service", SERVICES)
def test_curl_with_strict_checks_and_without_the_ca_or_the_name(bench: Bench, service: str, tmp_path: Path) -> None:
    name, port = bench.server(service)
    other = tmp_path / "other.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    run("openssl", "req", "-x509", *curve, "-nodes", "-subj", "/CN=x", "-keyout", tmp_path / "key", "-out", other)

    def ask(host: str, ca: Path | str, *, ok: tuple[int, ...] = (0,)) -> bytes:
        known = ("--resolve", f"{host}:{port}:127.0.0.1", "--cacert", ca, "--capath", tmp_path / "none")
        strict = ("-sS", "--noproxy", "*", "--tlsv1.2", "--proto", "=https", "--max-time", "10")
        done = run("curl", *strict, *known, "-o", tmp_path / "got", "-w", "%{ssl_verify_result}", f"https://{host}:{port}/",
                   ok=ok)  # fmt: skip
        return done.stdout + done.stderr

    assert ask(name, bench.ca).strip() == b"0"
    assert b"certificate" in ask(name, other, ok=(60,))
    assert b"subject name" in ask(f"not-{name}", bench.ca, ok=(60,))


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("suite", SUITES)
def test_the_suites_of_small_devices(bench: Bench, service: str, suite: str) -> None:
    """A device with one suite and one curve, as the fact sheet names them (C.5)."""
    said = s_client(bench, service, "-tls1_2", "-cipher", suite, "-groups", "P-256")
    assert f"Ciphersuite: {suite}" in said
    assert "Server Temp Key: ECDH, prime256v1" in said or "Server Temp Key: ECDH, P-256" in said


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("option", ["-tls1", "-tls1_1"])
def test_older_versions_are_refused(bench: Bench, service: str, option: str) -> None:
    said = s_client(bench, service, option, "-cipher", "ALL:@SECLEVEL=0", ok=(1,))
    assert "CONNECTION ESTABLISHED" not in said


@pytest.mark.parametrize("service", SERVICES)
def test_another_ca_and_another_name_do_not_verify(bench: Bench, service: str, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    run("openssl", "req", "-x509", *curve, "-nodes", "-subj", "/CN=x", "-keyout", tmp_path / "key", "-out", other)
    name, port = bench.server(service)
    client = ("openssl", "s_client", "-brief", "-connect", f"127.0.0.1:{port}", "-verify_return_error")
    refused = run(*client, "-CAfile", other, "-no-CApath", "-no-CAstore", ok=(1,))
    assert b"verify error" in refused.stderr
    refused = run(*client, "-CAfile", bench.ca, "-verify_hostname", f"not-{name}", ok=(1,))
    assert b"hostname mismatch" in refused.stderr.lower()


@pytest.mark.parametrize("service", SERVICES)
def test_a_session_is_resumed(bench: Bench, service: str, tmp_path: Path) -> None:
    name, port = bench.server(service)
    client = ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, "-CAfile", bench.ca)
    session = tmp_path / "session.pem"
    run(*client, "-tls1_2", "-sess_out", session)
    assert b"Reused, TLSv1.2" in run(*client, "-tls1_2", "-sess_in", session).stdout


def certificate(bench: Bench, service: str) -> str:
    """Return openssl's text of the certificate that the server sends."""
    name, port = bench.server(service)
    shown = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, "-showcerts").stdout
    return run("openssl", "x509", "-noout", "-text", data=shown).stdout.decode()


@pytest.mark.parametrize("service", SERVICES)
def test_certificate_fields(bench: Bench, service: str) -> None:
    name, _ = bench.server(service)
    text = certificate(bench, service)
    assert "Version: 3 (0x2)" in text
    assert text.count("Signature Algorithm: ecdsa-with-SHA256") == 2
    assert "NIST CURVE: P-256" in text
    assert f"CN = {name}" in text
    assert re.search(r"X509v3 Key Usage: critical\s+Digital Signature\n", text)
    assert "TLS Web Server Authentication" in text
    alternatives = re.search(r"X509v3 Subject Alternative Name:[^\n]*\n\s+([^\n]+)", text)
    assert alternatives is not None and f"DNS:{name}" in alternatives[1].split(", ")
    assert "Registered ID:2.999." in alternatives[1]
    assert "X509v3 Authority Key Identifier" in text and "X509v3 Subject Key Identifier" in text
    if service == "smdpp":
        assert "Policy: 2.23.146.1.2.1.3" in text, "id-rspRole-dp-tls (SGP.22 section 4.5.2.1)"


ROLES = {
    "eum": ("2.23.146.1.2.1.2", "Certificate Sign"),
    "dp_auth": ("2.23.146.1.2.1.4", "Digital Signature"),
    "dp_pb": ("2.23.146.1.2.1.5", "Digital Signature"),
}


@pytest.mark.parametrize("role", ROLES)
def test_gsma_certificates_of_the_test_pki(bench: Bench, role: str) -> None:
    """DER and PEM of the same certificate; signature, role and key usage as openssl reads them (SGP.26)."""
    path = bench.home / "pki" / f"{role}.crt.pem"
    policy, usage = ROLES[role]
    text = run("openssl", "x509", "-in", path, "-noout", "-text").stdout.decode()
    assert f"Policy: {policy}\n" in text
    assert re.search(rf"X509v3 Key Usage: critical\s+{usage}\n", text)
    verified = run("openssl", "verify", "-CAfile", bench.ca, "-x509_strict", path)
    assert verified.stdout.decode().strip().endswith("OK")


def test_euicc_certificate_is_signed_by_its_eum(bench: Bench, tmp_path: Path) -> None:
    """The EUM's constraint is GSMA's (the serialNumber is a prefix of EIDs), so openssl verify cannot be asked."""
    pki = bench.home / "pki"
    eid = bench.announcement["eid"]
    euicc, eum = pki / "euicc" / f"{eid}.crt.pem", pki / "eum.crt.pem"
    subject = run("openssl", "x509", "-in", euicc, "-noout", "-subject", "-nameopt", "multiline").stdout.decode()
    assert re.search(rf"serialNumber\s+= {eid}\n", subject)
    constraints = run("openssl", "x509", "-in", eum, "-noout", "-text").stdout.decode()
    assert re.search(r"X509v3 Name Constraints: critical\s+Permitted:\s+DirName:.*serialNumber = 89049032", constraints)
    structure = run("openssl", "asn1parse", "-in", euicc).stdout.decode()
    signature_at = re.findall(r"^ *(\d+):d=1 .*BIT STRING", structure, re.MULTILINE)[-1]
    tbs, signature, key = tmp_path / "tbs", tmp_path / "signature", tmp_path / "key.pem"
    run("openssl", "asn1parse", "-in", euicc, "-noout", "-strparse", "4", "-out", tbs)
    run("openssl", "asn1parse", "-in", euicc, "-noout", "-strparse", signature_at, "-out", signature)
    key.write_bytes(run("openssl", "x509", "-in", eum, "-noout", "-pubkey").stdout)
    assert run("openssl", "dgst", "-sha256", "-verify", key, "-signature", signature, tbs).stdout == b"Verified OK\n"
