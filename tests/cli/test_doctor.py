"""bench doctor: what is wrong is named before anything is touched, and a run with a card of another CI ends at once."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import Bench

from bench.apdu.es10_info import EuiccInfo1
from bench.apdu.es10_views import EimConfiguration, KeyData
from bench.client import doctor
from bench.engine.trust import Finding, findings
from bench.rsp import ecdsa
from bench.station.interfaces import ServerTrust
from fixtures.pki import BRAINPOOL, Pki, store
from fixtures.pki.check import check

NIST = "f54172bdf98a95d65cbeb88a38a1c11d800a85c3"
LIVE = "81370f5125d0b1d408d4c3b232e6d25e795bebfb"


def states(told: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["state"] for item in told["checks"]}


# --- the command ----------------------------------------------------------------------------------------------------


def test_a_fresh_bench_is_well(bench: Bench) -> None:
    told = bench.json("doctor", "--station", "sim")
    assert (told["code"], told["ok"]) == (0, True), told
    assert set(states(told)) >= {"configuration", "home", "runs", "sim power", "sim modem", "sim lock", "pki"}
    assert states(told)["service eim"] == states(told)["service smdpp"] == "ok"


def test_a_wrong_configuration_is_named_with_its_line(bench: Bench) -> None:
    bench.configure('[stations.x]\nipa = "bench"\npower = { drivr = "keysight-e36300" }\n')
    told = bench.json("doctor")
    assert told["code"] == 2
    assert "bench.toml:3" in told["checks"][0]["text"]
    assert bench.call("doctor", "--card").exit_code == 2
    assert bench.call("doctor", "--station", "simm").exit_code == 2


def test_services_that_do_not_start_are_named(bench: Bench) -> None:
    bench.configure('[smdpp]\noptions = { curves = "P-512" }\n')
    told = bench.json("doctor", "--station", "sim", "--card")
    assert told["code"] == 3
    bad = next(item for item in told["checks"] if item["name"] == "service smdpp")
    assert bad["state"] == "fail"
    assert "P-512" in bad["text"]
    assert "card" not in states(told)  # what fails already needs no card
    people = bench.call("doctor", "--station", "sim", "--no-services").output
    assert "0 fail" in people


def test_a_card_of_another_ci_is_refused_before_any_order(bench: Bench) -> None:
    """The card has keys under the P-256 CI only, the SM-DP+ certificates under the Brainpool CI only."""
    bench.configure('[smdpp]\noptions = { curves = "brainpoolP256r1" }\n')
    told = bench.json("doctor", "--station", "sim", "--card", "--no-services")
    assert told["code"] == 3
    bad = [item for item in told["checks"] if item["state"] == "fail"]
    assert [item["name"] for item in bad] == ["sm-dp+", "sm-dp+ believes"]
    assert "no CI in common: the card has Bench Test CI, this bench's on P-256" in bad[0]["text"]
    assert "bench pki import" in bad[0]["hint"]
    run = bench.json("run", "bootstrap-to-operational", "--clock", "instant")
    assert (run["code"], run["verdict"], run["bench"]) == (3, "bench-error", "bench-error")
    assert "no CI in common" in " ".join(run["errors"])
    assert not [step for step in run["steps"] if step["step"].startswith(("order", "download"))]
    # Another SM-DP+ may serve it: the eIM can adopt it, and says so.
    adopted = bench.json("euicc", "adopt")
    assert adopted["code"] == 0, adopted["errors"]
    assert [item["state"] for item in adopted["result"]["trust"]] == ["fail", "fail", "ok", "ok"]
    # The same card with a key under that CI: nothing fails.
    both = bench.json("doctor", "--station", "sim", "--card", "--no-services", "--world", "card_curves=brainpoolP256r1")
    assert both["ok"] is True, both


def test_a_card_that_knows_another_key_of_the_eim(bench: Bench) -> None:
    assert bench.json("euicc", "adopt")["code"] == 0
    Pki.open(bench.home).renew("eim")
    told = bench.json("doctor", "--station", "sim", "--card", "--no-services")
    assert [item["name"] for item in told["checks"] if item["state"] == "fail"] == ["eim key"]
    assert "another signing key for eim.bench.example" in str(told)


# --- trust ----------------------------------------------------------------------------------------------------------


def info1(*keys: str, signing: tuple[str, ...] | None = None) -> EuiccInfo1:
    raw = tuple(bytes.fromhex(key) for key in keys)
    return EuiccInfo1(b"", "2.5.0", raw, raw if signing is None else tuple(bytes.fromhex(key) for key in signing))


def by_name(found: list[Finding]) -> dict[str, Finding]:
    return {item.name: item for item in found}


def test_what_cannot_be_known_is_not_called_good() -> None:
    found = by_name(findings(info1(NIST), (), smdpp=None, eim=None, eim_id="ours"))
    assert [found[name].state for name in ("sm-dp+", "sm-dp+ believes", "eim believes")] == ["unknown"] * 3
    assert found["association"].state == "ok"


def test_cis_are_compared_each_way() -> None:
    trust = ServerTrust((NIST,), (LIVE,))
    found = by_name(findings(info1(NIST, signing=(LIVE,)), (), smdpp=trust, eim=ServerTrust((), (NIST,)), eim_id="o"))
    assert (found["sm-dp+"].state, found["sm-dp+ believes"].state) == ("ok", "ok")
    assert found["eim believes"].state == "fail"
    assert "the card has GSMA RSP2 Root CI1 (81370f51…)" in found["eim believes"].text
    assert "the eIM has SGP.26 test CI (NIST P-256) (f54172bd…)" in found["eim believes"].text
    none = by_name(findings(info1(), (), smdpp=trust, eim=trust, eim_id="o"))
    assert "the card has none" in none["sm-dp+"].text


def test_association_and_keys() -> None:
    keys = [KeyData("spki", ecdsa.spki(ecdsa.generate().public_key())) for _ in range(3)]
    own = EimConfiguration(b"", "ours", public_key=keys[0], tls=keys[1])
    trust = ServerTrust((NIST,), (NIST,))

    def look(*there: EimConfiguration, **more: Any) -> dict[str, Finding]:
        return by_name(findings(info1(NIST), there, smdpp=trust, eim=trust, eim_id="ours", own=own, **more))

    same = look(own)
    assert all(item.state == "ok" for item in same.values())
    foreign = look(replace(own, eim_id="theirs"))
    assert foreign["association"].state == "fail"
    assert "associated with theirs, not with ours" in foreign["association"].text
    assert "bench euicc adopt" in foreign["association"].hint
    assert look(replace(own, public_key=keys[2]))["eim key"].state == "fail"
    assert look(replace(own, public_key=keys[2]), own_key=True)["eim key"].state == "unknown"
    assert look(replace(own, tls=keys[2]))["eim tls"].state == "fail"
    assert look(replace(own, tls=None))["eim tls"].state == "unknown"


def test_trust_of_an_announcement() -> None:
    assert ServerTrust.read(None) is None
    assert ServerTrust.read({"believes": ["aa"]}) == ServerTrust((), ("aa",))


# --- parts ----------------------------------------------------------------------------------------------------------


def test_the_pki_is_looked_at(tmp_path: Path) -> None:
    home = tmp_path / "home"
    pki = Pki.open(home)
    assert [item["state"] for item in check(home)] == ["ok"]
    soon = datetime.datetime(2054, 12, 20, tzinfo=datetime.UTC)
    assert {item["state"] for item in check(home, now=soon)} == {"warn", "ok"}
    late = datetime.datetime(2056, 1, 1, tzinfo=datetime.UTC)
    assert {(item["name"], item["state"]) for item in check(home, now=late)} == {
        ("pki P-256 CI", "fail"),
        ("pki brainpoolP256r1 CI", "fail"),
    }
    store.save(pki.folder, "dp_pb", pki.issue("dp_pb", not_after=datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)))
    (pki.on(BRAINPOOL).folder / "dp_auth.key.pem").unlink()
    (pki.folder / "eim.key.pem").write_bytes((pki.folder / "eim_tls.key.pem").read_bytes())
    found = {item["name"]: item for item in check(home)}
    assert found["pki P-256 DPpb"]["text"] == "expired on 2021-01-01"
    assert found["pki brainpoolP256r1 DPauth"]["state"] == "warn"
    assert "not that of the certificate" in found["pki P-256 EIM"]["text"]


def test_a_check_of_a_package_that_fails_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checks_x.py").write_text(
        "def bad(home): raise KeyError(1)\ndef odd(home): return [{'state': 'great'}]"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    told = {"bad": "checks_x:bad", "gone": "checks_x:gone", "odd": "checks_x:odd"}
    monkeypatch.setattr("bench.station.entrypoints.entry_points_of", lambda group: told)
    found = list(doctor.packages(tmp_path))
    assert [item.state for item in found] == ["fail", "fail", "unknown"]
    assert "KeyError" in found[0].text


def test_folders_that_cannot_be_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.station import config

    monkeypatch.setenv("BENCH_HOME", str(bench.home))
    found = config.load(None)
    assert [item.state for item in doctor.folders(found)] == ["ok", "ok"]
    monkeypatch.setattr("bench.client.doctor.os.access", lambda *_: False)
    assert [item.state for item in doctor.folders(found)] == ["fail", "fail"]
    monkeypatch.undo()
    monkeypatch.setattr("bench.client.doctor.LITTLE_SPACE", 1 << 60)
    assert [item.state for item in doctor.folders(found)] == ["warn", "warn"]
