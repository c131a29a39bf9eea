"""bench euicc download and bench ipa poll against simulated cards and the bundled servers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import Bench

from bench.errors import ConfigurationError
from bench.station.interfaces import EimOrder
from fixtures.eim.client import EimClient
from recipes.euicc_download import options, plain

EID = "89049032123451234512345678901235"
BOOTSTRAP, OPERATIONAL = "8900101000000000019", "8900101000000000027"


def states(found: dict[str, Any]) -> dict[str, bool]:
    return {item["iccid"]: item["enabled"] for item in found["result"]["profiles"]}


@pytest.mark.parametrize("mode", ["iot", "consumer"])
def test_download_by_activation_code(mode: str, bench: Bench) -> None:
    world = ("--world", f"card_mode={mode}")
    told = bench.json("euicc", "download", "--profile", "operational", "--keep-notifications", *world)
    assert (told["code"], told["verdict"]) == (0, "pass"), told
    found = told["result"]
    assert (found["installed"], found["iccid"], found["provider"]) == (True, OPERATIONAL, "OPER")
    assert states(told) == {BOOTSTRAP: True, OPERATIONAL: False}
    assert [item["event"] for item in found["kept"]] == ["install"] and found["delivered"] == 0
    # The next one delivers what was kept, although its own download is refused.
    again = bench.json("euicc", "download", "LPA:1$smdpp.bench.example$NO-SUCH-ORDER", *world)
    assert (again["code"], again["result"]["installed"]) == (3, False)
    assert (again["result"]["subject_code"], again["result"]["reason_code"]) == ("8.2.6", "3.8")
    assert (again["result"]["delivered"], again["result"]["kept"]) == (1, [])


def test_download_tells_of_its_progress(bench: Bench) -> None:
    result = bench.call("euicc", "download", "--profile", "operational")
    assert result.exit_code == 0, result.stderr
    assert "authenticate each other" in result.stderr and "loading: 0 %" in result.stderr
    assert f"{OPERATIONAL} operational (OPER) is installed" in result.stdout
    assert "notifications: 1 delivered; kept on the card: none" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nonsense",), 2, "is no activation code"),
        (("LPA:1$elsewhere.example$AB",), 3, "does the SM-DP+ listen, and does elsewhere.example lead to it?"),
        ((), 2, "no default SM-DP+ address"),
        (("LPA:1$smdpp.bench.example$AB", "--profile", "operational"), 2, "either a profile"),
        (("--profile", "operational", "-o", "request_time=3"), 2, "did you mean 'request_timeout'?"),
        (("--profile", "operational", "-o", "ci"), 2, "is not NAME=VALUE"),
        (("--profile", "operational", "--world", "card_force=PrepareDownload=2"), 1, "PrepareDownload: invalidSig"),
    ],
)
def test_downloads_that_cannot_be(arguments: tuple[str, ...], code: int, words: str, bench: Bench) -> None:
    told = bench.json("euicc", "download", *arguments)
    assert told["code"] == code, told
    assert any(words in error for error in told["errors"]), told["errors"]


def test_poll(bench: Bench) -> None:
    told = bench.json("ipa", "poll")
    assert (told["code"], told["verdict"]) == (0, "pass"), told
    (poll,) = told["result"]["polls"]
    assert (poll["packages"], poll["profile_changed"], poll["emulated"]) == (0, False, False)
    assert poll["apdus"] > 0 and poll["bytes_sent"] > 0
    people = bench.call("ipa", "poll")
    assert people.exit_code == 0 and "ESipa bytes" in people.stdout


def test_a_poll_without_servers_reaches_nobody(bench: Bench) -> None:
    assert bench.json("ipa", "poll")["code"] == 0  # associates the card
    told = bench.json("ipa", "poll", "--no-servers", "-o", "retries=0")
    assert told["code"] in (1, 3), told
    assert any("eim.bench.example" in error for error in told["errors"]), told["errors"]


def test_options_and_results_as_text() -> None:
    assert options(("a=1", 'ci=["x.pem"]', "eim=eim.lab.example", "b=true", "c=")) == {
        "a": 1, "ci": ["x.pem"], "eim": "eim.lab.example", "b": True, "c": "",
    }  # fmt: skip
    for bad in ("a", "=1", ""):
        with pytest.raises(ConfigurationError, match="NAME=VALUE"):
            options((bad,))
    assert json.dumps(plain({"a": (b"\x01", {"b": None}), 3: [1.5, object]})).startswith('{"a": ["01", {"b": null}]')


@contextmanager
def eim(home: Path) -> Iterator[tuple[str, str]]:
    """The bundled eIM on the bench's home, by itself: address of its operator's side and token."""
    command = [sys.executable, "-m", "fixtures.eim", "serve", "--home", str(home), "--json", "--with-parent"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        yield told["operator"], Path(told["token_file"]).read_text().strip()
    finally:
        process.stdin.close()
        process.wait(timeout=10.0)
        process.stdout.close()


def test_a_poll_carries_out_what_waits(bench: Bench) -> None:
    """An operator has ordered an enable: the poll switches, the device registers, a second poll delivers the result."""
    assert bench.json("ipa", "poll")["code"] == 0  # associates the card
    assert bench.json("euicc", "download", "--profile", "operational")["code"] == 0

    async def order(operator: str, token: str, order_id: str = "") -> EimOrder:
        async with EimClient(operator, token) as client:
            if order_id:
                return await client.show(order_id)
            return await client.order_enable(EID, OPERATIONAL, rollback=True)

    with eim(bench.home) as (operator, token):
        made = asyncio.run(order(operator, token))
    told = bench.json("ipa", "poll")
    assert (told["code"], told["verdict"]) == (0, "pass"), told
    first, second = told["result"]["polls"]
    assert (first["profile_changed"], second["profile_changed"]) == (True, False)
    assert first["results"][0]["results"] == [["enable", 0]]
    assert second["notifications"] == 2  # disable and enable
    with eim(bench.home) as (operator, token):
        shown = asyncio.run(order(operator, token, made.order_id))
    assert (shown.state, shown.verified) == ("done", True)
    found = {item["iccid"]: item["enabled"] for item in bench.json("euicc", "profiles")["result"]["profiles"]}
    assert found == {BOOTSTRAP: False, OPERATIONAL: True}
