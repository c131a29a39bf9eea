"""bench euicc against a simulated card: what it shows, adoption in every way, release, refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import Bench
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from bench.apdu import es10_views
from bench.errors import ConfigurationError
from bench.rsp import ecdsa, orders, packages
from bench.rsp.errors import DecodeError
from recipes.euicc_adopt import _package, decoded
from recipes.euicc_card import same_eims

EID = "89049032123451234512345678901235"
STATION = """
[stations.lab]
ipa = "bench"
world = { service = "sim" }
clock = "unix:$world.clock"
power = { driver = "keysight-e36300", resource = "$world.power.resource", channel = 1, voltage = 3.8, \
current_limit = 2.0, voltage_max = 4.3, dead_voltage = 0.3 }
modem = { driver = "at-modem", port = "$world.modem.port" }
network = { driver = "rs-cmw500", resource = "$world.network.resource", cells = [1, 2] }
card = { at = "modem" }
data = { path = "proxy:$world.data.proxy" }
safe = ["network.off", "power.off"]
"""


def eim_named(name: str) -> str:
    return f'[eim]\nadvertise = "{name}"\noptions = {{ eim_id = "{name}" }}\n'


def eims(told: dict[str, Any]) -> list[str]:
    return [item["eim_id"] for item in told["result"]["eims"]]


# --- reading --------------------------------------------------------------------------------------------------------


def test_info_names_what_the_card_says(bench: Bench) -> None:
    told = bench.json("euicc", "info", "--world", "card_curves=brainpoolP256r1,P-256")
    found = told["result"]
    assert (told["code"], told["verdict"], found["eid"]) == (0, "pass", EID)
    names = [item["name"] for item in found["info1"]["signing"]]
    assert names == ["Bench Test CI, this bench's on brainpoolP256r1", "Bench Test CI, this bench's on P-256"]
    assert found["info1"]["signing"] == found["info1"]["verification"]
    assert found["info2"]["iot_versions"] == ["1.2.0"]
    assert found["memory"]["free_non_volatile"] > 100_000
    assert found["profiles"][0]["enabled"] is True
    assert found["eims"] == []
    assert found["refused"] == {}
    assert found["rules"][0]["rules"] == ["ppr1", "ppr2"]
    folder = Path(told["folder"])
    assert json.loads((folder / "run.json").read_text())["order"]["recipe"] == "euicc-info"
    assert (folder / "trace.pcapng").stat().st_size > 1000
    people = bench.call("euicc", "info").output
    assert "Bench Test CI, this bench's on P-256" in people
    assert f"EID              {EID}" in people
    assert "none is associated" in people
    assert "ENABLED" in people


def test_apdus_come_back_as_the_card_sent_them(bench: Bench) -> None:
    told = bench.json("euicc", "apdu", "80E2910006BF3E035C015A", "80E2910003BF2D00", "00A40004023F00")
    answers = told["result"]["answers"]
    assert answers[0] == {
        "apdu": "80e2910006bf3e035c015a",
        "data": "bf3e125a10" + EID,
        "sw": "9000",
    }
    assert answers[1]["data"].startswith("bf2d")
    raw = bench.call("euicc", "apdu", "--raw", "80E2910006BF3E035C015A", "00A40004023F00")
    assert raw.output.splitlines()[0] == "> 80E2910006BF3E035C015A"
    assert raw.output.splitlines()[1] in ("< 6115", f"< BF3E125A10{EID} 9000")


def test_apdus_are_refused_on_a_card_that_is_not_expendable(bench: Bench) -> None:
    bench.configure(STATION)
    result = bench.call("euicc", "apdu", "--station", "lab", "80E2910003BF2000")
    assert result.exception is not None
    assert "cannot be undone" in str(result.exception)
    eid = bench.json("euicc", "info", "--station", "lab")["result"]["eid"]
    assert bench.json("euicc", "apdu", "--station", "lab", "--eid", eid, "80E2910003BF2000")["code"] == 0
    assert bench.call("euicc", "release", "--station", "lab").exception is not None


# --- adopt and release ----------------------------------------------------------------------------------------------


def test_adopt_and_release_of_a_card_without_eim(bench: Bench) -> None:
    adopted = bench.json("euicc", "adopt")
    assert adopted["code"] == 0
    assert adopted["result"]["how"] == "AddInitialEim"
    assert [item["state"] for item in adopted["result"]["trust"]] == ["ok"] * 4
    assert eims(adopted) == ["eim.bench.example"]
    kept = json.loads((bench.home / "cards" / f"{EID}.json").read_text())
    assert (kept["added"], kept["found"]["eims"]) == ("eim.bench.example", [])
    assert (kept["found"]["notifications"], kept["found"]["package_results"]) == ([], [])
    assert kept["found"]["eim_counters"] == {}
    assert kept["found"]["memory"]["free_non_volatile"] > 0
    again = bench.json("euicc", "adopt")
    assert (again["code"], again["result"]["how"]) == (0, "it was associated before")
    assert json.loads((bench.home / "cards" / f"{EID}.json").read_text())["added"] == "eim.bench.example"
    released = bench.json("euicc", "release")
    assert released["code"] == 0, released["errors"]
    assert released["result"]["deleted"] == "eim.bench.example"
    assert eims(released) == []
    assert (bench.home / "cards" / f"{EID}.released.json").exists()
    refused = bench.json("euicc", "release")
    assert refused["code"] == 3
    assert "was not adopted here" in refused["errors"][0]


def test_a_card_that_refuses_is_left_as_it_was_and_so_is_the_record(bench: Bench) -> None:
    refused = bench.json("euicc", "adopt", "--world", "card_force=AddInitialEim=1")
    assert refused["code"] == 1
    assert "AddInitialEim: insufficientMemory (1)" in refused["errors"][0]
    assert not list((bench.home / "cards").iterdir())


def test_a_consumer_card_has_no_eim(bench: Bench) -> None:
    told = bench.json("euicc", "info", "--world", "card_mode=consumer")
    assert (told["code"], told["result"]["kind"]) == (0, "consumer eUICC (SGP.22)")
    assert "6A88" in told["result"]["refused"]["eims"]
    adopted = bench.json("euicc", "adopt", "--world", "card_mode=consumer")
    assert adopted["code"] == 3
    assert "consumer eUICC (SGP.22): no eIM can be associated" in adopted["errors"][0]
    doctor = bench.json("doctor", "--station", "sim", "--card", "--no-services", "--world", "card_mode=consumer")
    assert [item["name"] for item in doctor["checks"] if item["state"] == "fail"] == ["association"]


def test_an_eim_of_this_home_under_its_former_name_signs_for_us(bench: Bench) -> None:
    bench.configure(eim_named("first.example"))
    assert bench.json("euicc", "adopt")["code"] == 0
    (bench.home / "cards" / f"{EID}.json").unlink()
    bench.configure(eim_named("second.example"))
    adopted = bench.json("euicc", "adopt")
    assert adopted["code"] == 0, adopted["errors"]
    assert adopted["result"]["how"] == "addEim signed for first.example"
    assert eims(adopted) == ["first.example", "second.example"]
    released = bench.json("euicc", "release")
    assert released["code"] == 0, released["errors"]
    assert (released["result"]["deleted"], eims(released)) == ("second.example", ["first.example"])


@pytest.fixture
def foreign(bench: Bench, tmp_path: Path) -> Path:
    """A card that belongs to first.example, whose key this home does not hold; the key is at the path."""
    from fixtures.pki import Pki

    bench.configure(eim_named("first.example"))
    assert bench.json("euicc", "adopt")["code"] == 0
    shutil.rmtree(bench.home / "cards")
    key = tmp_path / "first.pem"
    shutil.copy(bench.home / "pki" / "eim.key.pem", key)
    Pki.open(bench.home).renew("eim")
    bench.configure(eim_named("second.example"))
    return key


def signed(key: Path, configuration: str, **changes: Any) -> bytes:
    private: Any = load_pem_private_key(key.read_bytes(), None)
    given = {"eim_id": "first.example", "eid": EID, "counter": 7, "transaction_id": bytes(16), **changes}
    return packages.build_request(ecos=[orders.add_eim(bytes.fromhex(configuration))], key=private, **given)


def test_a_card_of_another_eim(bench: Bench, foreign: Path, tmp_path: Path) -> None:
    """Refused with its name; a package it signs is checked before the card sees it, then opens the way."""
    refused = bench.json("euicc", "adopt")
    assert refused["code"] == 3
    assert "the card is associated with first.example" in refused["errors"][0]
    assert "--signed-package FILE" in " ".join(refused["errors"])
    assert not (bench.home / "cards").exists()
    configuration = refused["result"]["configuration"]
    file = tmp_path / "addeim.hex"
    file.write_bytes(signed(bench.home / "pki" / "eim.key.pem", configuration))
    wrong = bench.json("euicc", "adopt", "--signed-package", str(file))
    assert wrong["code"] != 0
    assert "not signed with the key that the card has" in wrong["errors"][0]
    assert [item["eim_id"] for item in wrong["result"]["found"]["eims"]] == ["first.example"]
    file.write_text(signed(foreign, configuration).hex())
    adopted = bench.json("euicc", "adopt", "--signed-package", str(file))
    assert adopted["code"] == 0, adopted["errors"]
    assert adopted["result"]["how"] == "addEim signed by first.example"
    assert eims(adopted) == ["first.example", "second.example"]
    released = bench.json("euicc", "release")
    assert released["code"] == 0, released["errors"]
    assert eims(released) == ["first.example"]


def test_the_key_of_the_eim_that_is_there(bench: Bench, foreign: Path, tmp_path: Path) -> None:
    wrong = bench.json("euicc", "adopt", "--signing-key", str(bench.home / "pki" / "eim.key.pem"))
    assert "the key of no eIM on the card (first.example)" in wrong["errors"][0]
    adopted = bench.json("euicc", "adopt", "--signing-key", str(foreign), "--counter", "9")
    assert adopted["code"] == 0, adopted["errors"]
    assert eims(adopted) == ["first.example", "second.example"]
    journal = (Path(adopted["folder"]) / "journal.jsonl").read_text()
    assert "PRIVATE KEY" not in journal
    bench.configure(eim_named("third.example"))
    replayed = bench.json("euicc", "adopt", "--signing-key", str(foreign), "--counter", "9")
    assert replayed["code"] == 1
    assert "replay" in replayed["errors"][0].lower()
    assert "give a --counter greater" in " ".join(replayed["errors"])


def test_packages_that_are_not_what_is_needed(tmp_path: Path) -> None:
    """Everything about a package is checked before the card sees it."""
    key = ecdsa.generate()
    own = es10_views.EimConfiguration(b"", "ours.example")
    there = es10_views.EimConfiguration(
        b"", "theirs.example", public_key=es10_views.KeyData("spki", ecdsa.spki(key.public_key()))
    )
    configuration = {"eimId": "ours.example", "counterValue": 0}
    other = {**configuration, "eimId": "stranger.example"}
    given = {"eim_id": "theirs.example", "eid": EID, "counter": 7, "transaction_id": bytes(16), "key": key}
    path = tmp_path / "package"

    def package(**changes: Any) -> bytes:
        return packages.build_request(**{"ecos": [orders.add_eim(configuration)], **given, **changes})

    path.write_bytes(package())
    assert _package(path, EID, [there], own) == path.read_bytes()
    for content, words in (
        (package(key=ecdsa.generate()), "not signed with the key that the card has for theirs.example"),
        (package(eid="89049032000000000000000000000260"), "the package is for EID 8904903200"),
        (package(eim_id="third.example"), "of eIM third.example; the card knows theirs.example"),
        (package(ecos=[orders.list_eim()]), "holds listEim"),
        (package(ecos=[orders.add_eim(other)]), "expected is one addEim of ours.example"),
        (package(ecos=[orders.add_eim(configuration)] * 2), "holds addEim, addEim"),
        (package(ecos=None, psmos=[orders.get_rat()]), "holds getRAT"),
        (b"\xbf\x51\x02\x30\x00", "no EuiccPackageRequest"),
        (b"", "no EuiccPackageRequest"),
    ):
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=words) as caught:
            _package(path, EID, [there], own)
        assert caught.value.where == str(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        _package(tmp_path / "nowhere", EID, [there], own)


# --- parts ----------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=80))
def test_packages_are_read_in_every_form(content: bytes) -> None:
    package = b"\xbf\x51" + bytes((len(content),)) + content
    assert decoded(package) == package
    assert decoded(package.hex().upper().encode() + b"\n") == package
    import base64

    assert decoded(base64.encodebytes(package)) == package
    try:
        decoded(content)
    except DecodeError:
        pass


def test_lists_of_eims_are_compared_by_what_matters() -> None:
    one = {
        "eim_id": "a",
        "fqdn": "a.example",
        "signing_key": "1",
        "tls_key": "2",
        "protocols": [],
        "ci_key_id": "",
        "indirect_download": True,
        "association_token": 1,
    }
    assert same_eims([one], [{**one, "association_token": 2}]) == []
    assert same_eims([one], []) == ["eIM a is gone"]
    assert same_eims([], [one]) == ["eIM a is new"]
    assert same_eims([one], [{**one, "signing_key": "9"}]) == ["signing_key of eIM a differs"]


def test_a_kept_file_that_is_damaged_is_named(tmp_path: Path) -> None:
    from bench.errors import BenchError
    from recipes.euicc_adopt import read_kept

    path = tmp_path / f"{EID}.json"
    assert read_kept(path) is None
    for text in ("{", "[]", '{"schema": 99, "found": {}}', '{"schema": 1, "found": 3}'):
        path.write_text(text)
        with pytest.raises(BenchError, match="cannot be read") as caught:
            read_kept(path)
        assert caught.value.where == str(path)
