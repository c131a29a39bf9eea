"""A home that was used goes on after another CI was imported: card, eIM and SM-DP+ find each other again."""

from __future__ import annotations

from pathlib import Path

from command_line import Bench

from bench.rsp import certs
from fixtures.pki import Pki


def test_the_main_job_before_and_after_an_import(bench: Bench, tmp_path: Path) -> None:
    assert bench.json("run", "bootstrap-to-operational", "--clock", "instant")["code"] == 0
    other = Pki.open(tmp_path / "lab")
    (other.folder / "eim.key.pem").unlink()  # a lab's set without eIM: ours keeps its keys, which the card knows
    (other.folder / "eim_tls.key.pem").unlink()
    done = bench.json("pki", "import", str(other.folder))
    assert done["installed"] is True
    info = bench.json("euicc", "info")["result"]
    assert info["info1"]["signing"][0]["key_id"] == certs.subject_key_id(other.ci_certificate).hex()
    assert [item["eim_id"] for item in info["eims"]] == ["eim.bench.example"]
    after = bench.json("run", "bootstrap-to-operational", "--clock", "instant")
    assert after["code"] == 0, after["errors"]
    well = bench.json("doctor", "--station", "sim", "--card", "--no-services")
    assert well["ok"] is True, well
    assert {item["name"] for item in well["checks"]} >= {"sm-dp+", "eim believes", "eim key", "eim tls"}
