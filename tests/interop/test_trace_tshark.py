"""Debian's tshark on the trace of the main job: every lane, comments, steps as fields, what is secret."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bench.station.drivers import load_service
from bench.trace import Direction, TraceWriter
from bench.trace import read as read_trace

from .foreign import PROGRAM, need, run

JOB = "bootstrap-to-operational"
CLEAN = (
    '(_ws.malformed and !(_ws.expert.message contains "Option Number 292"))'
    ' or _ws.expert.message contains "issector bug"'
)
"""Faults that tshark finds. It does not know CoAP's option 292, Request-Tag (RFC 9175), which is registered."""
LANES = {"apdu:card", "at:modem", "scpi:power", "scpi:network", "esipa", "es9plus", "steps", "power", "ip:link"}
pytestmark = pytest.mark.timeout(180)


def job(folder: Path, *arguments: str, toml: str = "", **variables: str) -> dict[str, Any]:
    """Run the main job as a person would; return what it says, with the path of the trace."""
    need("tshark")
    (folder / "bench.toml").write_text(toml)
    done = run(
        PROGRAM, "--config", folder / "bench.toml", "run", JOB, "--json", "--seed", "7", *arguments,
        deadline=120.0, variables={"BENCH_HOME": str(folder / "home"), **variables},
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["verdict"] == "pass", found["errors"]
    return {**found, "trace": Path(found["folder"]) / "trace.pcapng"}


def rows(trace: Path, *fields: str, display: str = "", options: tuple[str, ...] = ()) -> list[list[str]]:
    columns = [word for field in fields for word in ("-e", field)]
    chosen = ("-Y", display) if display else ()
    done = run("tshark", "-r", trace, *options, *chosen, "-T", "fields", "-E", "separator=|", *columns, deadline=60.0)
    return [line.split("|") for line in done.stdout.decode("utf-8", "replace").splitlines()]


def test_every_lane_of_the_main_job_and_esipa_over_https_decrypted(tmp_path: Path) -> None:
    trace = job(tmp_path, "--with-secrets")["trace"]
    assert rows(trace, "frame.number", "frame.interface_name", "frame.comment", display=CLEAN) == []
    all_of_it = rows(trace, "frame.interface_name", "frame.comment")
    lanes = Counter(row[0] for row in all_of_it)
    assert set(lanes) >= LANES, lanes
    assert all(row[1] for row in all_of_it), "each packet has its line"
    described = run("capinfos", "-M", trace).stdout.decode()
    for lane in (*LANES, "radio"):
        assert f"Name = {lane}\n" in described, "also a lane that had nothing"
    # steps, as Wireshark filters them
    display = 'json.path_with_value == "/step:register-operational" and frame.interface_name == "steps"'
    assert len(rows(trace, "frame.number", display=display)) >= 2
    verdicts = rows(trace, "json.path_with_value", display='json.path contains "/verdict"')
    assert any("/verdict:pass" in row[0] for row in verdicts)
    measured = rows(trace, "json.path_with_value", display='json.path contains "/measure"')
    assert any("/measure:esipa_bytes" in row[0] and "/unit:B" in row[0] for row in measured)
    assert rows(trace, "frame.comment", display='json.path_with_value contains "/output:o"')
    # TCP as it should be, TLS readable
    faults = "tcp.analysis.flags or tcp.checksum.status == 0 or ip.checksum.status == 0"
    checks = ("-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE")
    assert rows(trace, "frame.number", "tcp.analysis.flags", display=faults, options=checks) == []
    requests = rows(trace, "http.request.uri", display='frame.interface_name == "ip:link" and http.request')
    esipa = [packet for packet in read_trace(trace) if packet.lane == "esipa"]
    asked = sum(packet.direction is Direction.SENT for packet in esipa)
    assert [row for row in requests if row != ["/"]] == [["/gsma/rsp2/asn1"]] * asked
    assert ["/"] in requests, "what the recipe fetched itself over the link"
    bodies = {packet.data for packet in esipa if packet.data}
    shown = rows(trace, "media.type", display='frame.interface_name == "ip:link" and http and media.type')
    found = {bytes.fromhex(row[0].replace(":", "")) for row in shown}
    assert found == bodies, "what the eIM says that it got and sent is what was on the wire"


def test_esipa_over_coaps_decrypted(tmp_path: Path) -> None:
    toml = '[ipa]\noptions = { transport = "coaps" }\n'
    trace = job(tmp_path, "--with-secrets", "--world", "fixed=true", toml=toml)["trace"]
    assert rows(trace, "frame.number", "frame.comment", display=CLEAN) == []
    shut = "dtls.record.content_type == 23 and !coap"
    assert rows(trace, "frame.number", display=shut) == [], "a session that stays shut"
    paths = rows(trace, "coap.opt.uri_path_recon", display="coap.code == 2")
    assert len(paths) > 3
    assert {row[0] for row in paths} == {"/gsma/rsp2/asn1"}
    checks = ("-o", "udp.check_checksum:TRUE")
    assert {row[0] for row in rows(trace, "udp.checksum.status", options=checks, display="udp")} == {"1"}


def test_without_the_option_no_key_is_in_the_file(tmp_path: Path) -> None:
    """Every secret of the run, known from the libraries themselves and from the bench's own store, byte by byte."""
    keys = tmp_path / "keys.log"
    found = job(tmp_path, SSLKEYLOGFILE=str(keys))
    lines = [line.split() for line in keys.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) > 10
    secrets = {bytes.fromhex(line[2]): f"{line[0]} of a TLS session" for line in lines if len(line) == 3}
    home = tmp_path / "home"
    for path in home.rglob("*.key.pem"):
        key = load_pem_private_key(path.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        size = (key.key_size + 7) // 8
        secrets[key.private_numbers().private_value.to_bytes(size, "big")] = str(path)
    for name in ("bootstrap", "operational"):
        subscriber = load_service("subscribers")(name, home=home)
        secrets |= dict.fromkeys(subscriber_keys(subscriber), f"key of {name}")
    for path in home.rglob("token"):
        secrets[path.read_bytes().strip()] = str(path)
    trace = found["trace"].read_bytes()
    assert b"TLSK" not in trace
    assert b"CLIENT_RANDOM" not in trace
    assert b"TRAFFIC_SECRET" not in trace
    assert [what for secret, what in secrets.items() if is_in(trace, secret)] == []
    # And the search finds what is there.
    with TraceWriter.open(found["trace"], run_id="again") as writer:
        for secret in secrets:
            writer.lane("at:modem").record(Direction.SENT, secret.hex().upper().encode())
    assert all(is_in(found["trace"].read_bytes(), secret) for secret in secrets)


def subscriber_keys(subscriber: Any) -> list[bytes]:
    found = []
    for name in ("k", "opc", "op", "ki"):
        value = getattr(subscriber, name, None)
        if isinstance(value, bytes) and len(value) >= 16:
            found.append(value)
        elif isinstance(value, str) and re.fullmatch(r"[0-9A-Fa-f]{32,}", value):
            found.append(bytes.fromhex(value))
    assert found
    return found


def is_in(data: bytes, secret: bytes) -> bool:
    """Whether a secret is in the data: as bytes, as hexadecimal of any case, with swapped nibbles, in base64."""
    text = secret.hex()
    swapped = "".join(text[at + 1] + text[at] for at in range(0, len(text), 2))
    forms = [secret, bytes.fromhex(swapped), secret[::-1]]
    forms += [form.encode() for form in (text, text.upper(), swapped, swapped.upper(), text[::-1])]
    for shift in range(3):  # wherever it begins in what was encoded
        coded = base64.b64encode(bytes(shift) + secret).rstrip(b"=")
        forms.append(coded[(shift * 8 + 5) // 6 : -1])
    return any(form in data for form in forms)
