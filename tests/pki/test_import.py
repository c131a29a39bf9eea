"""bench pki import: sets of SGP.26 and of labs, whole and broken, against openssl."""

from __future__ import annotations

import ctypes
import datetime
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError, ConfigurationError
from bench.rsp import certs, ecdsa
from bench.rsp.certs import Role
from fixtures import exchange
from fixtures.pki import BRAINPOOL, P256, Pki
from fixtures.pki import importing as module
from fixtures.pki.check import check
from fixtures.pki.importing import install, plan
from fixtures.pki.scan import scan
from fixtures.pki.store import NotInSet

from .sets import CURVES, EID, NOW, certificate, name, sgp26, write

ROLES = {
    "ci": "CI_ECDSA",
    "eum": "EUM_ECDSA",
    "dp_auth": "S_SM_DPauth_ECDSA",
    "dp_pb": "S_SM_DPpb_ECDSA",
    "dp_tls": "S_SM_DP_TLS",
    "eim": "EIM_ECDSA",
    "eim_tls": "EIM_TLS",
}


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


def imported(home: Path, source: Path, **options: Any) -> Pki:
    home.mkdir(exist_ok=True)
    install(home, plan(source, Pki.open(home), now=NOW, **options), now=NOW)
    return Pki.open(home)


def reasons(source: Path, home: Path) -> dict[str, str]:
    return {item.file: item.reason for item in plan(source, Pki.open(home), now=NOW).unused}


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.pem")}


def test_a_whole_set_of_both_curves(tmp_path: Path) -> None:
    made = {**sgp26("NIST"), **sgp26("BRP")}
    write(tmp_path / "set", made)
    pki = imported(tmp_path / "home", tmp_path / "set")
    for curve, family in ((P256, "NIST"), (BRAINPOOL, "BRP")):
        view = pki.on(curve)
        for role, stem in ROLES.items():
            if curve == BRAINPOOL and role in ("dp_tls", "eim_tls"):
                continue
            credential = getattr(view, role)
            assert credential.certificate == made[f"{stem}_{family}"].der, role
            assert credential.spki == ecdsa.spki(made[f"{stem}_{family}"].key.public_key())
        assert view.euicc(EID).certificate == made[f"EUICC_ECDSA_{family}"].der
        assert view.euicc(EID).issuers == (made[f"EUM_ECDSA_{family}"].der,)
        # A card that the set has no certificate for gets one from the imported EUM.
        other = view.euicc("89049032000000000000000000000038")
        certs.check_chain(other.certificate, other.issuers, (view.ci_certificate,), Role.EUICC, now=NOW)
    assert pki.dp_tls.certificate == made["S_SM_DP_TLS_NIST"].der
    assert reasons(tmp_path / "set", tmp_path / "home2") == {
        "CERT_S_SM_DP_TLS_BRP.der": "TLS stays on P-256",
        "CERT_EIM_TLS_BRP.der": "TLS stays on P-256",
    }


def test_files_under_any_name_in_any_form(tmp_path: Path) -> None:
    """Content decides: bundles, DER keys, PKCS#8, folders, and what is no certificate at all."""
    made = sgp26()
    source = tmp_path / "set"
    (source / "deep" / "er").mkdir(parents=True)
    bundle = b"some text\n"
    for number, (stem, item) in enumerate(made.items()):
        if stem.startswith("S_SM"):
            bundle += item.certificate.public_bytes(Encoding.PEM)
            bundle += item.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        else:
            (source / "deep" / f"{number}.bin").write_bytes(item.der)
            form = PrivateFormat.PKCS8 if number % 2 else PrivateFormat.TraditionalOpenSSL
            (source / "deep" / "er" / f"{number}").write_bytes(
                item.key.private_bytes(Encoding.DER, form, NoEncryption())
            )
    (source / "bundle.txt").write_bytes(bundle)
    (source / "README").write_text("nothing")
    (source / "empty.der").write_bytes(b"")
    (source / "odd.der").write_bytes(b"\x30\x03\x02\x01\x05")
    secret = BestAvailableEncryption(b"secret")
    locked = made["CI_ECDSA_NIST"].key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)
    (source / "locked.pem").write_bytes(locked)
    pki = imported(tmp_path / "home", source)
    for role, stem in ROLES.items():
        assert getattr(pki, role).certificate == made[f"{stem}_NIST"].der
    found = reasons(source, tmp_path / "home")
    assert found["README"] == found["empty.der"] == found["odd.der"] == "neither certificate nor key"
    assert "encrypted" in found["locked.pem"]


def test_missing_roles_are_issued_below_a_labs_own_ci(tmp_path: Path) -> None:
    """A CI of a lab: no role OID, a key identifier that is no hash of its key; everything below it is ours."""
    until = datetime.datetime(2040, 5, 1)
    subject = name(O="Lab", CN="Lab Root")
    own = certificate(CURVES["NIST"], subject, None, None, ca=True, ski=bytes(range(20)), until=until)
    write(tmp_path / "set", {"root": own})
    home = tmp_path / "home"
    before = {role: getattr(Pki.open(home), role).spki for role in ROLES}
    pki = imported(home, tmp_path / "set")
    assert pki.ci.certificate == own.der
    for role in ("eum", "dp_auth", "dp_pb", "dp_tls", "eim", "eim_tls"):
        path = pki.folder / f"{role}.crt.pem"
        assert openssl("verify", "-CAfile", pki.folder / "ci.crt.pem", path).endswith("OK\n"), role
        assert certs.authority_key_id(getattr(pki, role).certificate) == bytes(range(20))
        assert certs.load(getattr(pki, role).certificate).not_valid_after_utc.year == 2040
    # Cards that are associated with the eIM know its keys: they stay.
    assert {role for role in ROLES if getattr(pki, role).spki == before[role]} == {"eim", "eim_tls"}
    euicc = pki.euicc(EID)
    certs.check_chain(euicc.certificate, euicc.issuers, (own.der,), Role.EUICC)


def test_below_a_ci_without_its_key(tmp_path: Path) -> None:
    """What a lab has under a real CI: the SM-DP+ pair with keys. eIM self-signed, TLS under a root of ours."""
    made = sgp26()
    del made["EIM_ECDSA_NIST"], made["EIM_TLS_NIST"]
    write(tmp_path / "set", made, without_keys=("CI_", "EUM_", "S_SM_DP_TLS"))
    pki = imported(tmp_path / "home", tmp_path / "set")
    assert pki.dp_auth.certificate == made["S_SM_DPauth_ECDSA_NIST"].der
    with pytest.raises(NotInSet, match="the key of credential ci on P-256 is not there"):
        _ = pki.ci
    with pytest.raises(NotInSet, match="no credential eum"):
        _ = pki.eum
    assert pki.ci_certificate == made["CI_ECDSA_NIST"].der
    assert pki.euicc(EID).certificate == made["EUICC_ECDSA_NIST"].der
    with pytest.raises(NotInSet, match=f"no EUM.*{EID}"):
        pki.euicc("89049032000000000000000000000038")
    certs.check_chain(pki.eim.certificate, (), (pki.eim.certificate,), Role.EIM)
    for role in ("dp_tls", "eim_tls"):
        assert openssl("verify", "-CAfile", pki.ci_files, pki.folder / f"{role}.crt.pem").endswith("OK\n")
    assert {item["name"]: item["state"] for item in check(tmp_path / "home", now=NOW)} == {
        "pki": "ok",
        "pki P-256 EUM": "warn",
    }
    found = reasons(tmp_path / "set", tmp_path / "home")
    assert "private key is not in the folder" in found["CERT_S_SM_DP_TLS_NIST.der"]
    assert "private key is not in the folder" in found["CERT_EUM_ECDSA_NIST.der"]


def test_expired_certificates_are_named_and_replaced(tmp_path: Path) -> None:
    made = sgp26(tls_until=datetime.datetime(2026, 8, 2))
    write(tmp_path / "set", made)
    home = tmp_path / "home"
    told = plan(tmp_path / "set", Pki.open(home), now=NOW)
    assert [(item.file, item.reason) for item in told.unused if item.expired] == [
        ("CERT_S_SM_DP_TLS_NIST.der", "expired on 2026-08-02")
    ]
    pki = imported(home, tmp_path / "set")
    text = openssl("x509", "-in", pki.folder / "dp_tls.crt.pem", "-noout", "-text")
    assert "DNS:testsmdpplus1.example.com, DNS:smdpp.bench.example" in text
    assert "Registered ID:2.999.10" in text


@pytest.mark.parametrize("curve", [P256, BRAINPOOL])
def test_one_curve_leaves_the_other_as_it_was(tmp_path: Path, curve: str) -> None:
    home = tmp_path / "home"
    before = Pki.open(home)
    other = P256 if curve == BRAINPOOL else BRAINPOOL
    before.on(other).euicc(EID)
    kept = {name: getattr(before.on(other), name).certificate for name in ("ci", "eum", "dp_auth", "dp_pb", "eim")}
    kept["euicc"] = before.on(other).euicc(EID).certificate
    tls = before.dp_tls.certificate
    replaced = {name: getattr(before.on(curve), name).certificate for name in ("ci", "eum", "dp_auth", "dp_pb", "eim")}
    write(tmp_path / "set", sgp26("BRP" if curve == BRAINPOOL else "NIST"))
    pki = imported(home, tmp_path / "set")
    for role in ("ci", "eum", "dp_auth", "dp_pb", "eim"):
        assert getattr(pki.on(other), role).certificate == kept[role]
        assert getattr(pki.on(curve), role).certificate != replaced[role]
    assert pki.on(other).euicc(EID).certificate == kept["euicc"]
    assert (pki.dp_tls.certificate == tls) is (curve == BRAINPOOL)


def test_of_several_the_first_smdp_and_what_lasts_longest(tmp_path: Path) -> None:
    made = sgp26()
    ci, nist = made["CI_ECDSA_NIST"], CURVES["NIST"]
    plus = name(O="ACME", CN="TEST SM-DP+2")
    made["A_DP2auth"] = certificate(nist, plus, 4, ci, oid="2.999.12")
    made["A_DP2pb"] = certificate(nist, plus, 5, ci, oid="2.999.12")
    host = "testsmdpplus2.example.com"
    made["A_DP2_TLS"] = certificate(nist, name(O="ACME", CN=host), 3, ci, oid="2.999.12", dns=host)
    host = "testsmdpplus1.example.com"
    made["Z_DP_TLS"] = certificate(nist, name(O="ACME", CN=host), 3, ci, oid="2.999.10", dns=host)
    write(tmp_path / "set", made)
    pki = imported(tmp_path / "home", tmp_path / "set")
    assert pki.dp_auth.certificate == made["S_SM_DPauth_ECDSA_NIST"].der
    assert pki.dp_pb.certificate == made["S_SM_DPpb_ECDSA_NIST"].der
    assert pki.dp_tls.certificate == made["Z_DP_TLS"].der  # until 2054, the other one until 2030


def test_a_ci_that_was_certified_anew_is_one_ci(tmp_path: Path) -> None:
    made = sgp26()
    ci = made["CI_ECDSA_NIST"]
    subject = ci.certificate.subject
    later = certificate(
        CURVES["NIST"], subject, 0, None, ca=True, ski=ci.ski, until=datetime.datetime(2059, 1, 1), key=ci.key
    )
    made["A_CI_AGAIN"] = later
    write(tmp_path / "set", made)
    pki = imported(tmp_path / "home", tmp_path / "set")
    assert pki.ci.certificate == later.der
    assert pki.dp_auth.certificate == made["S_SM_DPauth_ECDSA_NIST"].der
    assert "same CI with a later end" in reasons(tmp_path / "set", tmp_path / "home")["CERT_CI_ECDSA_NIST.der"]


def test_the_tls_name_of_an_imported_smdp(tmp_path: Path) -> None:
    """The SM-DP+ is called as bench.toml says: with the imported key, or it says why it cannot."""
    from fixtures.smdpp.service import tls_files

    made = sgp26()
    home = tmp_path / "home"
    pki = imported(home, write(tmp_path / "set", made))
    chain, key = tls_files(pki, "testsmdpplus1.example.com", tmp_path)
    assert chain == pki.folder / "dp_tls.crt.pem"
    chain, again = tls_files(pki, "smdpp.bench.example", tmp_path)
    assert again == key
    text = openssl("x509", "-in", chain, "-noout", "-text")
    assert "DNS:smdpp.bench.example" in text
    assert openssl("verify", "-CAfile", pki.ci_files, chain).endswith("OK\n")
    (pki.folder / "ci.key.pem").unlink()
    with pytest.raises(ConfigurationError, match=r"is for testsmdpplus1\.example\.com") as caught:
        tls_files(Pki.open(home), "smdpp.bench.example", tmp_path)
    assert 'advertise = "testsmdpplus1.example.com"' in caught.value.hint


def test_what_is_not_usable_is_listed_with_the_reason(tmp_path: Path) -> None:
    made = sgp26()
    ci, eum = made["CI_ECDSA_NIST"], made["EUM_ECDSA_NIST"]
    nist = CURVES["NIST"]
    foreign = sgp26()
    made["S_SM_DP2auth"] = certificate(nist, name(O="ACME", CN="DP2"), 4, ci, oid="2.999.12")
    made["DSauth"] = certificate(nist, name(O="ACME", CN="DS"), 7, ci, oid="2.999.15")
    made["STRANGER"] = foreign["S_SM_DPpb_ECDSA_NIST"]  # below another CI of the same name
    made["EUICC_OUTSIDE"] = certificate(
        nist, name(C="ES", O="RSP Test EUM", serialNumber="89049099123451234512345678901201", CN="x"), 1, eum
    )
    made["P384"] = certificate(ec.SECP384R1(), name(O="ACME", CN="big"), None, ci)
    sub = certificate(nist, name(O="RSPTEST", CN="Sub CI"), None, ci, ca=True)
    made["SUBCA"] = sub
    made["BELOW_SUB"] = certificate(nist, name(O="ACME", CN="below"), 4, sub, oid="2.999.10")
    write(tmp_path / "set", made)
    stray = ec.generate_private_key(nist)
    (tmp_path / "set" / "SK_LOST.pem").write_bytes(
        stray.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    broken = bytearray(made["EIM_TLS_NIST"].der)
    broken[-1] ^= 1
    (tmp_path / "set" / "CERT_EIM_TLS_NIST.der").write_bytes(broken)
    shutil.copy(tmp_path / "set" / "SK_LOST.pem", tmp_path / "set" / "SK_EUM_ECDSA_NIST.pem")  # of another certificate
    found = reasons(tmp_path / "set", tmp_path / "home")
    expected = {
        "CERT_S_SM_DP2auth.der": "another SM-DP+ was chosen",
        "CERT_DSauth.der": "no SM-DS",
        "CERT_STRANGER.der": "no issuer has the key",
        "CERT_EUICC_OUTSIDE.der": "is not within",
        "CERT_P384.der": "RSP has P-256 and brainpoolP256r1",
        "CERT_SUBCA.der": "no role of its own",
        "CERT_BELOW_SUB.der": "below a CISubCA",
        "CERT_EIM_TLS_NIST.der": "not signed by its issuer",
        "CERT_EUM_ECDSA_NIST.der": "private key is not in the folder",
        "SK_EUM_ECDSA_NIST.pem": "key of no certificate here",
        "SK_P384.pem": "",
    }
    for file, reason in expected.items():
        assert reason in found.get(file, ""), (file, found.get(file))
    assert set(found) <= set(expected) | {"SK_LOST.pem", "SK_EIM_TLS_NIST.pem"}, set(found) - set(expected)


def test_several_cis_need_a_choice(tmp_path: Path) -> None:
    one, two = sgp26(), sgp26()
    write(tmp_path / "set" / "a", one)
    write(tmp_path / "set" / "b", two)
    home = tmp_path / "home"
    with pytest.raises(ConfigurationError, match="several CIs on P-256") as caught:
        plan(tmp_path / "set", Pki.open(home), now=NOW)
    assert "--ci" in caught.value.hint
    for made in (one, two):
        chosen = made["CI_ECDSA_NIST"].ski.hex()[:12]
        pki = imported(home, tmp_path / "set", ci=chosen.upper())
        assert pki.ci.certificate == made["CI_ECDSA_NIST"].der
        assert pki.dp_auth.certificate == made["S_SM_DPauth_ECDSA_NIST"].der
    with pytest.raises(ConfigurationError, match="identifier ffff"):
        plan(tmp_path / "set", Pki.open(home), ci="ffff", now=NOW)


def test_an_expired_ci_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    old = certificate(CURVES["NIST"], name(CN="Old"), 0, None, ca=True, until=datetime.datetime(2021, 1, 1))
    write(tmp_path / "set", {"CI": old})
    home = tmp_path / "home"
    Pki.open(home)
    before = content(home / "pki")
    with pytest.raises(ConfigurationError, match="no CI certificate") as caught:
        plan(tmp_path / "set", Pki.open(home), now=NOW)
    assert "expired on 2021-01-01" in caught.value.hint
    assert content(home / "pki") == before


def test_the_former_set_is_kept_and_can_be_taken_back(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = Pki.open(home)
    first.euicc(EID)
    first.on(BRAINPOOL).euicc(EID)
    before = content(home / "pki")
    write(tmp_path / "set", {**sgp26("NIST"), **sgp26("BRP")})
    kept = install(home, plan(tmp_path / "set", first, now=NOW), now=NOW)
    assert content(kept) == before
    assert kept.name == "pki-before-20261121T000000Z"
    again = install(home, plan(kept, Pki.open(home), now=NOW), now=NOW)
    assert again.name == "pki-before-20261121T000000Z-2"
    assert content(home / "pki") == before
    assert not [path for path in home.iterdir() if path.name.startswith(".pki-")]


@pytest.mark.parametrize("where", ["_write", "_try_out", "_exchange"])
def test_nothing_is_lost_on_an_error(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    pki = Pki.open(home)
    pki.euicc(EID)
    before = content(home / "pki")
    write(tmp_path / "set", sgp26())
    made = plan(tmp_path / "set", pki, now=NOW)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, where, fail)
    with pytest.raises(BenchError, match="No space left"):
        install(home, made, now=NOW)
    assert content(home / "pki") == before
    assert [path.name for path in home.iterdir()] == ["pki"]


def test_a_file_system_that_cannot_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        ctypes.set_errno(22)
        return -1

    monkeypatch.setattr(exchange, "_renameat2", lambda: refused)
    home = tmp_path / "home"
    Pki.open(home)
    before = content(home / "pki")
    made = sgp26()
    write(tmp_path / "set", made)
    kept = install(home, plan(tmp_path / "set", Pki.open(home), now=NOW), now=NOW)
    assert content(kept) == before
    assert Pki.open(home).ci.certificate == made["CI_ECDSA_NIST"].der


def test_a_process_that_has_the_pki_open_goes_on_with_the_new_set(tmp_path: Path) -> None:
    home = tmp_path / "home"
    held = Pki.open(home)
    assert held.eum.certificate
    made = sgp26()
    write(tmp_path / "set", made)
    imported(home, tmp_path / "set")
    euicc = held.euicc("89049032000000000000000000000038")
    assert euicc.issuers == (made["EUM_ECDSA_NIST"].der,)


# --- the command ----------------------------------------------------------------------------------------------------


def command(home: Path, *arguments: str) -> Any:
    from bench.cli.main import bench

    environment = {"BENCH_HOME": str(home), "BENCH_CONFIG": ""}
    return CliRunner().invoke(bench, ["pki", *arguments], env=environment)


def test_the_command_imports_and_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = sgp26()
    write(tmp_path / "set", made)
    home = tmp_path / "home"
    dry = json.loads(command(home, "import", str(tmp_path / "set"), "--dry-run", "--json").output)
    assert (dry["installed"], dry["former"]) == (False, "")
    done = json.loads(command(home, "import", str(tmp_path / "set"), "--json").output)
    assert done["installed"] is True
    assert Path(done["former"]).is_dir()
    assert done["curves"]["P-256"]["ci"] == made["CI_ECDSA_NIST"].ski.hex()
    shown = json.loads(command(home, "show", "--json").output)
    roles = {row["name"]: row for row in shown["curves"]["P-256"]["roles"]}
    assert roles["dp_auth"]["origin"] == "imported"
    assert roles["dp_auth"]["file"] == "CERT_S_SM_DPauth_ECDSA_NIST.der"
    assert roles["dp_auth"]["key_file"] == "SK_S_SM_DPauth_ECDSA_NIST.pem"
    assert (roles["dp_auth"]["state"], roles["dp_auth"]["key"], roles["dp_auth"]["curve"]) == ("valid", True, "P-256")
    assert [row["eid"] for row in shown["curves"]["P-256"]["euiccs"]] == [EID]
    people = command(home, "show").output + command(home, "import", str(tmp_path / "set")).output
    assert "the former set is kept" in people
    everything = people + json.dumps([dry, done, shown])
    for item in made.values():
        number = item.key.private_numbers().private_value
        assert f"{number:x}" not in everything.lower()
    assert "PRIVATE KEY" not in everything


def test_the_command_fails_with_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    result = command(tmp_path / "home", "import", str(tmp_path / "set"))
    assert isinstance(result.exception, ConfigurationError)
    assert result.exception.exit_code == 2


# --- outside bytes --------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_are_only_listed(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "set"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    real = _REAL[data.draw(st.integers(0, len(_REAL) - 1))]
    at = data.draw(st.integers(0, len(real) - 1))
    changed = real[:at] + data.draw(st.binary(max_size=4)) + real[at + data.draw(st.integers(0, 4)) :]
    (folder / "a.der").write_bytes(changed)
    (folder / "b").write_bytes(data.draw(st.binary(max_size=64)))
    found = scan(folder)
    for item in found.certificates:
        assert item.der
    try:
        plan(folder, _pki(tmp_path), now=NOW)
    except ConfigurationError:
        pass


_SET = sgp26()
_REAL = [item.der for item in _SET.values()] + [
    item.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for item in list(_SET.values())[:2]
]


def _pki(tmp_path: Path) -> Pki:
    (tmp_path / "home").mkdir(exist_ok=True)
    return Pki.open(tmp_path / "home")
