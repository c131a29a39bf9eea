from __future__ import annotations

import ssl
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.errors import BenchError
from bench.rsp import certs, ecdsa, ids
from bench.rsp.certs import Role
from bench.rsp.errors import EncodeError
from fixtures.pki import BRAINPOOL, CURVES, P256, Pki, curve_name, valid_eid
from fixtures.pki.store import NAMES, TLS_NAMES

EID = "89049032123451234512345678901235"


@pytest.fixture(scope="module", params=CURVES)
def pki(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Pki:
    return Pki.open(tmp_path_factory.mktemp("home")).on(request.param)


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


def test_made_once_and_kept(tmp_path: Path) -> None:
    first, second = Pki.open(tmp_path), Pki.open(tmp_path)
    for name in NAMES:
        ours, theirs = getattr(first, name), getattr(second, name)
        assert ours.certificate == theirs.certificate
        assert ecdsa.spki(ours.key.public_key()) == certs.load(ours.certificate).public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    assert first.euicc(EID).certificate == second.euicc(EID).certificate
    assert first.euicc(EID).issuers == (first.eum.certificate,)
    assert Pki.open(tmp_path / "other").ci.certificate != first.ci.certificate


def test_made_quickly(tmp_path: Path) -> None:
    Pki.open(tmp_path / "warm")
    best = min(_timed(tmp_path / str(index)) for index in range(3))
    assert best < 0.1


def test_private_files_are_private_and_none_is_left_over(pki: Pki) -> None:
    pki.euicc(EID)
    keys = list(pki.folder.rglob("*.key.pem"))
    assert len(keys) >= len(NAMES) + 1 - (len(TLS_NAMES) if pki.curve == BRAINPOOL else 0)
    for path in keys:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(pki.folder.stat().st_mode) == 0o700
    assert not [path for path in pki.folder.parent.rglob(".*") if path.name.startswith((".new-", ".pki-"))]


def test_no_key_is_shown(pki: Pki) -> None:
    assert "key=" not in repr(pki.eim)


def test_processes_that_start_together_get_one_pki(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from fixtures.pki import Pki; p = Pki.open(pathlib.Path(sys.argv[1]));"
        f"print(p.ci.certificate.hex(), p.euicc('{EID}').certificate.hex(), p.euicc('{EID}').spki.hex())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = {process.communicate(timeout=60)[0] for process in processes}
    assert len(answers) == 1
    assert all(process.returncode == 0 for process in processes)


def test_threads_get_one_euicc(tmp_path: Path) -> None:
    pki = Pki.open(tmp_path)
    found: set[bytes] = set()
    threads = [threading.Thread(target=lambda: found.add(Pki(pki.folder).euicc(EID).certificate)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 1


def test_euiccs(pki: Pki) -> None:
    assert len({valid_eid(number) for number in range(50)}) == 50
    assert all(ids.check_eid(valid_eid(number)) for number in range(50))
    assert certs.eid_of(pki.euicc(valid_eid(7)).certificate) == valid_eid(7)
    with pytest.raises(BenchError, match="does not start with"):
        pki.euicc("89044045930000000000002153893210")
    with pytest.raises(EncodeError):
        pki.euicc("../ci")


def test_a_home_of_one_curve_gets_the_other_and_loses_nothing(tmp_path: Path) -> None:
    base = Pki.open(tmp_path)
    base.euicc(EID)
    before = {path: path.read_bytes() for path in base.folder.rglob("*.pem")}
    assert not (base.folder / BRAINPOOL).exists()
    other = Pki.open(tmp_path).on(BRAINPOOL)
    assert {path: path.read_bytes() for path in before} == before
    assert other.eim.curve == other.euicc(EID).curve == BRAINPOOL
    assert (base.curve, base.eim.curve, other.curve) == (P256, P256, BRAINPOOL)
    assert other.ci.key_id != base.ci.key_id
    assert other.euicc(EID).issuers == (other.eum.certificate,)
    assert other.dp_tls.certificate == base.dp_tls.certificate
    assert other.issue("eim_tls").curve == P256
    assert other.ci_files == base.ci_files
    assert other.on(P256).folder == base.folder
    assert other.on(BRAINPOOL) is other
    assert Pki.open(tmp_path).on(BRAINPOOL).dp_pb.spki == other.dp_pb.spki


def test_processes_that_ask_together_get_one_other_curve(tmp_path: Path) -> None:
    Pki.open(tmp_path)
    code = (
        "import sys, pathlib; from fixtures.pki import Pki;"
        "p = Pki.open(pathlib.Path(sys.argv[1])).on('brainpoolP256r1');"
        f"print(p.ci.certificate.hex(), p.euicc('{EID}').spki.hex())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({process.communicate(timeout=60)[0] for process in processes}) == 1
    assert all(process.returncode == 0 for process in processes)


def test_names_of_curves() -> None:
    assert [curve_name(text) for text in ("P-256", "secp256r1", "BrainpoolP256r1")] == [P256, P256, BRAINPOOL]
    with pytest.raises(BenchError, match="no curve of RSP"):
        curve_name("P-384")


def test_one_credential_renewed(tmp_path: Path) -> None:
    pki = Pki.open(tmp_path)
    before, untouched = pki.eim, pki.eim_tls
    after = pki.renew("eim")
    assert after.spki != before.spki
    assert certs.load(after.certificate).subject == certs.load(before.certificate).subject
    assert pki.eim.spki == after.spki == Pki.open(tmp_path).eim.spki
    assert pki.eim_tls.certificate == untouched.certificate
    for name in ("ci", "eum", "nothing"):
        with pytest.raises(BenchError, match="cannot be renewed"):
            pki.renew(name)


def test_an_issued_credential_is_not_kept(pki: Pki) -> None:
    other = pki.issue("eim")
    assert other.spki != pki.eim.spki
    with pytest.raises(BenchError, match="without files"):
        other.tls_files()
    certs.check_chain(other.certificate, [], [pki.ci.certificate], Role.EIM)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    pki = Pki.open(tmp_path)
    (pki.folder / "eim.crt.pem").write_text("nothing")
    with pytest.raises(BenchError, match="the credential eim cannot be read") as caught:
        _ = Pki.open(tmp_path).eim
    assert "eim.crt.pem" in caught.value.where


def test_a_folder_that_is_no_pki_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "mine").write_text("mine")
    with pytest.raises(BenchError, match="could not be made"):
        Pki.open(tmp_path)
    assert (tmp_path / "pki" / "mine").read_text() == "mine"


@pytest.mark.parametrize("name", NAMES[1:])
def test_openssl_verifies_the_chain(pki: Pki, name: str) -> None:
    folder = _folder(pki, name)
    said = openssl("verify", "-x509_strict", "-CAfile", folder / "ci.crt.pem", folder / f"{name}.crt.pem")
    assert said.endswith("OK\n")


def test_openssl_verifies_the_euiccs_signature(pki: Pki, tmp_path: Path) -> None:
    """openssl reads the EUM's name constraint by RFC 5280 and must refuse what RSP accepts; all else it finds good."""
    pki.euicc(EID)
    certificate = pki.folder / "euicc" / f"{EID}.crt.pem"
    eum = pki.folder / "eum.crt.pem"
    said = openssl("verify", "-CAfile", pki.folder / "ci.crt.pem", "-untrusted", eum, certificate)
    assert "error 47 at 0 depth lookup: permitted subtree violation" in said
    parsed = certs.load(pki.euicc(EID).certificate)
    (tmp_path / "tbs").write_bytes(parsed.tbs_certificate_bytes)
    (tmp_path / "sig").write_bytes(parsed.signature)
    (tmp_path / "eum.pub").write_text(openssl("x509", "-in", eum, "-noout", "-pubkey"))
    verify = ("dgst", "-sha256", "-verify", tmp_path / "eum.pub", "-signature", tmp_path / "sig", tmp_path / "tbs")
    assert "Verified OK" in openssl(*verify)


def test_openssl_sees_the_extensions_of_sgp_26(pki: Pki) -> None:
    pki.euicc(EID)
    text = {
        name: openssl("x509", "-in", _folder(pki, name) / f"{name}.crt.pem", "-noout", "-text")
        for name in (*NAMES, f"euicc/{EID}")
    }
    for name, oid in (("ci", 0), ("eum", 2), ("dp_tls", 3), ("dp_auth", 4), ("dp_pb", 5), (f"euicc/{EID}", 1)):
        assert f"Policy: 2.23.146.1.2.1.{oid}\n" in text[name]
    assert "DirName:O = RSP Test EUM, serialNumber = 89049032" in text["eum"]
    assert "X509v3 Name Constraints: critical" in text["eum"]
    assert "CA:TRUE, pathlen:0" in text["eum"]
    assert f"serialNumber = {EID}" in text[f"euicc/{EID}"]
    assert "Registered ID:2.999.10" in text["dp_auth"]
    assert "Registered ID:2.999.10" in text["dp_pb"]
    assert "DNS:smdpp.bench.example, DNS:localhost, IP Address:127.0.0.1" in text["dp_tls"]
    assert "DNS:eim.bench.example, DNS:localhost, IP Address:127.0.0.1" in text["eim_tls"]
    assert "Policy" not in text["eim"]
    for name, shown in text.items():
        assert "ecdsa-with-SHA256" in shown
        brainpool = pki.curve == BRAINPOOL and name not in TLS_NAMES
        assert ("ASN1 OID: brainpoolP256r1" if brainpool else "NIST CURVE: P-256") in shown
        assert "Key Usage: critical" in shown


@pytest.mark.parametrize(
    ("name", "hosts"),
    [("dp_tls", ("smdpp.bench.example", "localhost")), ("eim_tls", ("eim.bench.example", "localhost"))],
)
def test_tls_clients_accept_the_servers_by_name(pki: Pki, name: str, hosts: tuple[str, ...]) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*getattr(pki, name).tls_files())
    client = ssl.create_default_context(cafile=str(pki.ci_files))
    for host in (*hosts, "127.0.0.1"):
        _handshake(server, client, host)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
        _handshake(server, client, "other.example")


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(10):
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)
        if not ends:
            return
    raise AssertionError("the handshake did not end")


def _folder(pki: Pki, name: str) -> Path:
    return pki.on(P256).folder if name in TLS_NAMES else pki.folder


def _timed(home: Path) -> float:
    started = time.perf_counter()
    Pki.open(home)
    return time.perf_counter() - started
