"""bench eim: every command on a running eIM and on none, tokens of others, exit codes, an eIM for devices outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from command_line import Bench

from bench.errors import BenchError
from fixtures.eim import cli_support
from fixtures.service import running

EID = "89049032123451234512345678901235"
ICCID = "8900101000000000027"


@contextmanager
def serving(bench: Bench, *options: str) -> Iterator[dict[str, Any]]:
    """``bench eim serve`` as a process."""
    given = ["--config", str(bench.toml)] if bench.toml.exists() else []
    command = [sys.executable, "-m", "bench.cli.main", *given, "eim", "serve", "--json", *options]
    environment = {**os.environ, "BENCH_HOME": str(bench.home), "BENCH_CONFIG": ""}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    assert process.stdout is not None and process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 0, errors


def eim(bench: Bench, *arguments: str) -> Any:
    result = bench.call("eim", *arguments, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.output.splitlines()[-1])


def refused(bench: Bench, *arguments: str) -> str:
    result = bench.call("eim", *arguments)
    assert isinstance(result.exception, BenchError), (result.output, result.exception)
    return f"{result.exception}"


def test_orders_on_a_running_eim(bench: Bench, tmp_path: Path) -> None:
    with serving(bench) as announcement:
        assert running.found(running.folder(bench.home, "eim"))[0]["operator"] == announcement["operator"]
        made = eim(bench, "order", EID, "enable", ICCID, "rollback=true", "--register", "--attempts", "3")
        assert (made["state"], made["attempts"], made["parameters"]) == (
            "pending", 3, {"iccid": ICCID, "rollback": True}
        )  # fmt: skip
        number = made["order_id"]
        assert eim(bench, "show", number)["order_id"] == number
        assert eim(bench, "show", number, "--messages")["messages"] == []
        waited = bench.call("eim", "show", number, "--wait", "0.1", "--json")
        assert json.loads(waited.output)["state"] == "pending"
        package = eim(bench, "order", EID, "package", "--psmo", f"enable {ICCID} rollback=false", "--psmo", "getRAT")
        assert package["parameters"]["commands"] == [{"enable": {"iccid": ICCID, "rollback": False}}, {"getRAT": {}}]
        added = eim(bench, "order", EID, "addEim", "eim.two", "associationToken=true", "counter=3")
        assert added["parameters"]["commands"] == [
            {"addEim": {"eimId": "eim.two", "associationToken": True, "counter": 3}}
        ]
        download = eim(bench, "order", EID, "download", "LPA:1$dp.x$M", "--key", "once")
        assert eim(bench, "order", EID, "download", "LPA:1$dp.x$M", "--key", "once") == download
        data = eim(bench, "order", EID, "data", "tags=euiccInfo2,deviceInfo")
        assert data["parameters"] == {"tags": ["euiccInfo2", "deviceInfo"]}
        assert [item["order_id"] for item in eim(bench, "list", "--kind", "package")] == ["2", "3"]
        assert eim(bench, "cancel", number)["state"] == "cancelled"
        assert eim(bench, "repeat", number)["state"] == "pending"
        failed = bench.call("eim", "show", number)
        assert "cancelled by the operator" in failed.output
        people = bench.call("eim", "list").output
        assert "enable+getRAT" in people and "pending" in people
        audit = eim(bench, "audit", "--order", number)
        assert [(item["who"], item["what"]) for item in audit] == [
            ("bench", "order"), ("bench", "cancel"), ("eim", "order ended")
        ]  # fmt: skip
        assert "order ended" in bench.call("eim", "audit").output
        assert bench.call("eim", "audit", "--verify").exit_code == 0
    assert running.found(running.folder(bench.home, "eim")) == []


def test_exit_codes_of_waiting(bench: Bench) -> None:
    with serving(bench):
        pending = bench.call("eim", "order", EID, "list", "--register", "--wait", "0.05")
        assert pending.exit_code == 5
        over = bench.call("eim", "order", EID, "list", "--expires-in", "0.01", "--wait", "20")
        assert over.exit_code == 1 and "the order's time is over" in over.output


def test_without_a_running_eim_one_is_started_for_the_command(bench: Bench) -> None:
    made = eim(bench, "order", EID, "list", "--register")
    assert running.found(running.folder(bench.home, "eim")) == []
    assert [item["order_id"] for item in eim(bench, "list", "--state", "open")] == [made["order_id"]]
    assert "not served" in refused(bench, "order", "89044045930000000000002153893210", "list")
    assert "no order kind" in refused(bench, "order", EID, "dance")
    assert "has no name" in refused(bench, "order", EID, "getRAT", "what")
    assert "is empty" in refused(bench, "order", EID, "package", "--psmo", "")
    assert "no number" in refused(bench, "show", "x")
    assert "no order 77" in refused(bench, "cancel", "77")


def test_others_have_tokens_of_their_own(bench: Bench, tmp_path: Path) -> None:
    bench.configure('[eim]\noptions = { approval = ["delete"] }\n')
    with serving(bench):
        alice, bob = tmp_path / "alice.token", tmp_path / "bob.token"
        assert eim(bench, "token", "add", "alice", "--role", "operate", "-o", str(alice)) == {
            "name": "alice", "role": "operate", "expires": None, "file": str(alice)
        }  # fmt: skip
        assert alice.stat().st_mode & 0o777 == 0o600
        eim(bench, "token", "add", "bob", "--role", "administer", "--expires-in", "600", "-o", str(bob))
        held = eim(bench, "--token-file", str(alice), "order", EID, "list", "--register")
        assert held["ordered_by"] == "alice"
        held = eim(bench, "--token-file", str(alice), "order", EID, "delete", ICCID)
        assert held["state"] == "held"
        assert "waits for an approval; ordered by alice" in bench.call("eim", "list").output
        assert "needs the role administer" in refused(bench, "--token-file", str(alice), "approve", held["order_id"])
        approved = eim(bench, "--token-file", str(bob), "approve", held["order_id"])
        assert (approved["state"], approved["approved_by"]) == ("pending", "bob")
        other = eim(bench, "order", EID, "delete", ICCID)
        rejected = eim(bench, "--token-file", str(bob), "reject", other["order_id"], "--why", "the wrong one")
        assert rejected["error"]["what"] == "rejected by bob: the wrong one"
        assert [item["name"] for item in eim(bench, "token", "list")] == ["alice", "bob"]
        eim(bench, "token", "revoke", "alice")
        assert "token is not good" in refused(bench, "--token-file", str(alice), "list")
        taken = bench.call("eim", "token", "add", "carol", "--role", "view", "-o", str(bob))
        assert isinstance(taken.exception, BenchError) and bob.read_text().startswith("eim_")
        missing = tmp_path / "carol.token"
        assert "names are used once" in refused(bench, "token", "add", "alice", "--role", "view", "-o", str(missing))
        assert not missing.exists()
        assert "cannot be read" in refused(bench, "--token-file", str(tmp_path / "none"), "list")
        everything = bench.call("eim", "token", "list").output + bench.call("eim", "audit").output
        assert bob.read_text().strip() not in everything


def test_export_and_import(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other")
    with serving(bench), serving(other):
        file = tmp_path / "eim.ndjson"
        code = tmp_path / "code"
        code.write_text("8317\n")
        eim(bench, "order", EID, "download", "LPA:1$dp.x$M$$1", "--register", "--confirmation-code-file", str(code))
        assert bench.call("eim", "export", "-o", str(file)).exit_code == 0
        assert file.stat().st_mode & 0o777 == 0o600
        assert "8317" not in file.read_text()
        lacking = other.call("eim", "import", str(file))
        assert lacking.exit_code == 1 and "confirmation code was not exported" in lacking.output
        assert bench.call("eim", "export", "-o", str(file), "--secrets").exit_code == 0
        assert eim(other, "import", str(file))["orders_new"] == 1
        assert eim(other, "import", str(file))["orders_known"] == 1
        lines = [json.loads(line) for line in other.call("eim", "export", "--eid", EID).output.splitlines()]
        assert [line["type"] for line in lines] == ["eim", "euicc", "order"]
        orders = tmp_path / "orders.ndjson"
        orders.write_text("".join(json.dumps({"eid": EID, "kind": "list"}) + "\n" for _ in range(1200)))
        assert eim(other, "import", str(orders))["orders_new"] == 1200


def test_associations_and_euiccs(bench: Bench, tmp_path: Path) -> None:
    with serving(bench):
        out = tmp_path / "eim.der"
        told = eim(bench, "associate", EID, "--token", "-o", str(out))
        der = out.read_bytes()
        assert told["eim_configuration_data"] == der.hex() and der[0] == 0x30
        assert bytes.fromhex("8401ff") in der, "associationToken -1: please make one"
        assert bench.call("eim", "associate", EID).output.strip().startswith("30")
        shown = eim(bench, "euicc", EID, "--counter", "70000", "--last-seq", "0", "--association-token", "4")
        assert (shown["counter"], shown["last_seq"], shown["association_token"]) == (70000, 0, 4)
        assert eim(bench, "euicc", EID, "--association-token", "-1")["association_token"] is None
        assert "70000" in bench.call("eim", "euiccs").output
        assert "70000" in bench.call("eim", "euicc", EID).output
        assert "not served" in refused(bench, "euicc", "89044045930000000000002153893210")
        assert "no token of" in refused(bench, "token", "revoke", "../orders")


def test_an_eim_for_devices_from_outside(bench: Bench, tmp_path: Path) -> None:
    """[eim] listen and advertise; the operator's side beyond loopback has TLS, and asks for a token."""
    bench.configure('[eim]\nlisten = "0.0.0.0"\nadvertise = "eim.lab.test"\n')
    with serving(bench, "--operator-listen", "0.0.0.0", "--route", "dp.x=127.0.0.1:1") as announcement:
        assert announcement["https"].startswith("https://0.0.0.0:")
        assert announcement["operator"].startswith("https://127.0.0.1:")
        assert announcement["fqdn"] == "eim.lab.test"
        assert eim(bench, "order", EID, "list", "--register")["state"] == "pending"
        elsewhere = Bench(tmp_path / "elsewhere")
        given = ["--url", announcement["operator"], "--ca", announcement["ca"], "--name", "eim.lab.test"]
        assert "needs a token" in refused(elsewhere, *given, "list")
        with_token = [*given, "--token-file", announcement["token_file"]]
        assert len(eim(elsewhere, *with_token, "list")) == 1
        wrong_name = [*given[:-1], "eim.other.test", "--token-file", announcement["token_file"]]
        assert "cannot be reached" in refused(elsewhere, *wrong_name, "list")
        no_ca = ["--url", announcement["operator"], "--token-file", announcement["token_file"]]
        assert "cannot be reached" in refused(elsewhere, *no_ca, "list")


def test_what_people_are_told_when_it_serves(bench: Bench) -> None:
    environment = {**os.environ, "BENCH_HOME": str(bench.home), "BENCH_CONFIG": ""}
    command = [sys.executable, "-m", "bench.cli.main", "eim", "serve", "--listen", "0.0.0.0", "--port", "0"]
    command += ["--coaps-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(6)]
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert re.match(r"devices +https://0.0.0.0:\d+  as eim.bench.example", lines[0])
    assert re.match(r" +coaps://0.0.0.0:\d+\n", lines[1])
    assert "Ctrl-C" in lines[5]
    assert "devices connect to port 443" in errors and "does not know eim.bench.example" in errors
    assert "devices with CoAP send to UDP port 5684" in errors and "not on 0.0.0.0" in errors


def test_devices_with_coap_at_the_port_that_was_given(bench: Bench, tmp_path: Path) -> None:
    """libcoap's client checks the certificate, asks what is there, and polls as an IPA does (BF4F with an EID)."""
    client = shutil.which("coap-client-openssl")
    if client is None:
        pytest.skip("coap-client-openssl is not installed (apt-get install libcoap3-bin): nothing foreign to judge by")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    poll = tmp_path / "poll"
    poll.write_bytes(bytes.fromhex("bf4f125a10" + EID))
    with serving(bench, "--coaps-port", str(port)) as announcement:
        assert announcement["coaps"] == f"coaps://127.0.0.1:{port}"
        eim(bench, "order", EID, "list", "--register")
        answers = []
        for method, path in (("get", ".well-known/core"), ("post", "gsma/rsp2/asn1")):
            got = tmp_path / method
            given = ["-f", str(poll)] if method == "post" else []
            command = [client, "-m", method, *given, "-C", announcement["ca"], "-B", "10", "-o", str(got)]
            done = subprocess.run(
                [*command, f"{announcement['coaps']}/{path}"], capture_output=True, timeout=30, check=False
            )
            assert got.exists(), done.stdout + done.stderr
            answers.append(got.read_bytes())
    assert b"</gsma/rsp2/asn1>" in answers[0]
    # GetEimPackageResponse with an IpaEuiccDataRequest: it knows nothing yet of this eUICC (SGP.32 section 2.11.2).
    assert (answers[1][:2].hex(), answers[1][3:5].hex()) == ("bf4f", "bf52")


def test_the_document_is_printed(bench: Bench) -> None:
    document = json.loads(bench.call("eim", "openapi").output)
    assert document["openapi"] == "3.1.0" and "/orders/{id}/approve" in document["paths"]


def test_every_command_has_an_example() -> None:
    from fixtures.eim.cli import eim as group

    def commands(found: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        for name, command in found.commands.items():
            if hasattr(command, "commands"):
                yield from commands(command, (*path, name))
            else:
                yield (*path, name)

    for path in commands(group):
        output = CliRunner().invoke(group, [*path, "--help"], obj={}).output
        assert "Example: bench eim" in output, path
    wanted = {"serve", "order", "list", "show", "cancel", "associate", "export", "import"}
    assert wanted <= group.commands.keys()


def test_a_dead_eims_announcement_is_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "eim" / "running"
    folder.mkdir(parents=True)
    (folder / "1.json").write_text(json.dumps({"pid": os.getpid(), "started": 1}))  # the number was used again
    (folder / "2.json").write_text("{")
    (folder / "3.json").write_text(json.dumps({"pid": 1 << 30, "started": 5}))
    assert running.found(running.folder(tmp_path, "eim")) == []
    assert list(folder.iterdir()) == []
    with running.announced(running.folder(tmp_path, "eim"), {"pid": os.getpid(), "operator": "x"}):
        assert [item["operator"] for item in running.found(running.folder(tmp_path, "eim"))] == ["x"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("download", ["LPA:1$a$b"], {"activation_code": "LPA:1$a$b"}),
        ("download", ["default_smdp=true"], {"default_smdp": True}),
        ("delete", [ICCID], {"iccid": ICCID}),
        ("deleteEim", ["eim.two"], {"eimId": "eim.two"}),
        ("configureImmediateEnable", ["yes"], {"flag": True}),
        ("configureImmediateEnable", ["flag=maybe"], {"flag": "maybe"}),
        ("listProfileInfo", ["tags=5A, 9F70"], {"tags": ["5A", "9F70"]}),
        ("replay", ["12"], {"order_id": "12"}),
        ("raw", ["DF0100"], {"data": "DF0100"}),
        ("dance", ["step=1"], {"step": "1"}),
    ],
)
def test_parameters_as_people_write_them(kind: str, values: list[str], expected: dict[str, Any]) -> None:
    assert cli_support.parameters(kind, values) == expected


def test_bytes_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x30\x00")
    assert cli_support.parameters("addEim", [f"configuration=@{tmp_path}/x"]) == {"configuration": "3000"}
    with pytest.raises(BenchError, match="cannot be read"):
        cli_support.parameters("addEim", [f"configuration=@{tmp_path}/none"])
