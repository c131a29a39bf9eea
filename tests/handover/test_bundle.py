"""``bench bundle`` as a whole: the archive, the table that stays, the check that refuses, tshark on what leaves."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import stat
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bench.cli.main import bench
from bench.handover import apply
from bench.handover import bundle as handover
from bench.handover.book import Book
from bench.handover.check import Check
from bench.handover.collect import Found
from bench.handover.collect_trace import collect
from bench.handover.errors import HandoverError, IdentifiersLeft
from bench.handover.image import load
from bench.handover.replace import Replacer
from bench.run import folder as places
from bench.run.journal import Journal
from bench.trace import Direction, TraceWriter, blocks

from .planted import Card, Plan, packets, plant, write

CARD = Card.draw(7)
OWNER = "annegret.huber"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BENCH_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(bench, ["bundle", *arguments], catch_exceptions=False, input=text)


def run_folder(runs: Path, card: Card = CARD, seed: int = 1) -> Path:
    """A run folder as a run leaves it, with everything planted in all of its files."""
    folder = places.create(runs, "lab1")
    places.write_manifest(
        folder,
        {
            "run": folder.name,
            "recipe": "profile-switch",
            "station": "lab1",
            "started": "2026-11-21T10:41:55.069184Z",
            "simulated": False,
            "parameters": {"profile_iccid": card.iccid, "confirmation_code": "40719283", "apn_password": "Sesame-77"},
            "order": {
                "title": "Profile switch",
                "by": f"{OWNER}@berlin-bench-3",
                "eid": card.eid,
                "sources": {"code": "from RAT", "token": "default"},
            },
            "host": {"name": "berlin-bench-3"},
            "versions": {"python": "3.11.2"},
            "instruments": {"power": {"at": "TCPIP::192.168.44.21::5025::SOCKET", "firmware": "1.2.3.4"}},
            "identities": {"eid": card.eid, "imei": card.imei},
        },
    )
    with contextlib.closing(Journal.open(folder / places.JOURNAL, background=False)) as journal:
        journal.write("run-start", {"schema": 1, "run": folder.name, "recipe": "profile-switch", "station": "lab1"})
        journal.write("step-start", {"title": "switch"}, step="switch")
        journal.write("identity", {"name": "eid", "value": card.eid, "source": "card"}, step="switch")
        journal.write("note", {"text": f"ICCID {card.iccid}, IMSI {card.imsi}: address 10.64.1.3"}, step="switch")
        journal.write("note", {"text": f"LPA:1${card.smdp}${card.code}"}, step="switch")
        journal.write("error", {"what": f"/home/{OWNER}/bench.toml: refused for {card.eid}", "where": "", "hint": ""})
        journal.write("result", {"name": "euicc", "value": {"eid": card.eid, "profiles": [{"iccid": card.iccid}]}})
        journal.write("step-end", {"verdict": "pass", "elapsed": 1.0, "message": ""}, step="switch")
        journal.write("run-end", {"device": "pass", "bench": "pass", "exit_code": 0, "summary": "", "by": "runner"})
    (folder / "world.log").write_text(f"from 10.64.1.3: {card.imsi}\n")
    (folder / places.SOURCE).write_text("# the lab's own recipe\n")
    with TraceWriter.open(folder / places.TRACE, run_id=folder.name) as writer:
        plant(Plan(writer), card, random.Random(seed))
        writer.lane("at:modem").record(Direction.SENT, b"AT+CGDCONT?\r")
        writer.lane("at:modem").record(Direction.RECEIVED, b'\r\n+CGPADDR: 1,"10.64.1.3"\r\n')
        for packet in tcp(b"GET / HTTP/1.1\r\nHost: " + card.smdp.encode() + b"\r\nX-EID: " + card.eid.encode()):
            writer.lane("ip:link").record(Direction.SENT, packet)
    return folder


def tcp(payload: bytes, source: str = "10.64.1.3", destination: str = "203.0.113.9", cut: int = 70) -> list[bytes]:
    """A TCP connection's bytes in two segments, checksums right."""
    found, sequence = [], 1000
    for part in (payload[:cut], payload[cut:]):
        addresses = bytes(map(int, f"{source}.{destination}".split(".")))
        head = struct.pack(">HHIIBBHHH", 40000, 80, sequence, 1, 0x50, 0x18, 65535, 0, 0)
        pseudo = addresses + struct.pack(">BBH", 0, 6, len(head) + len(part))
        head = head[:16] + _sum(pseudo + head + part).to_bytes(2, "big") + head[18:]
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(part), 7, 0, 64, 6, 0) + addresses
        found.append(ip[:10] + _sum(ip).to_bytes(2, "big") + ip[12:] + head + part)
        sequence += len(part)
    return found


def _sum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


PRIVATE = (CARD.eid, CARD.iccid, CARD.imsi, CARD.imei, CARD.msisdn, CARD.code, CARD.smdp, CARD.tmsi, OWNER)
PRIVATE_TOO = ("berlin-bench-3", "40719283", "Sesame-77", "10.64.1.3", "192.168.44.21", CARD.cell)


def unpack(archive: Path, folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
        return {name: opened.read(name) for name in opened.namelist()}


def test_the_archive_has_everything_and_no_identifier(home: Path, tmp_path: Path) -> None:
    folder = run_folder(home / "runs")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    done = run("last", "--for", "vendor", "-o", "out.zip", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    files = unpack(tmp_path / "out.zip", tmp_path / "got")
    names = {name.rpartition("/")[2] for name in files}
    assert names == {
        "run.json", "journal.jsonl", "trace.pcapng", "report.html", "result.json", "junit.xml", "console-app.txt",
        "world.log", "replaced.json", "README.txt",
    }  # fmt: skip
    assert {
        "EID",
        "ICCID",
        "IMSI",
        "IMEI",
        "MSISDN",
        "M-TMSI",
        "code",
        "credential",
        "address",
        "name",
        "cell id",
    } <= set(told["replaced"])
    swaps = bytes((octet >> 4) | (octet & 15) << 4 for octet in range(256))
    for name, data in files.items():
        text = data.lower()
        for value in (*PRIVATE, *PRIVATE_TOO):
            assert value.lower().encode() not in text, (name, value)
            assert value.encode().hex().encode() not in text, (name, value)
        for digits in (CARD.eid, CARD.iccid, CARD.imsi, CARD.imei):
            for view in (data.hex(), data.translate(swaps).hex()):
                assert digits not in view, (name, digits)
            for at in (0, 1):  # swapped in hexadecimal text, odd digits at the ends left away
                body = digits[at:]
                pairs = "".join(body[n + 1] + body[n] for n in range(0, len(body) - 1, 2))
                assert pairs.encode() not in text, (name, digits)
    # What was handed over can be worked with, and nothing here was changed but for the table.
    result = json.loads(next(data for name, data in files.items() if name.endswith("result.json")))
    assert result["device"] == "pass"
    assert b"1.2.3.4" in next(data for name, data in files.items() if name.endswith("run.json"))  # a version
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    table = json.loads(after.pop("bundle-vendor.json"))
    assert after == before
    assert stat.S_IMODE((folder / "bundle-vendor.json").stat().st_mode) == 0o600
    assert {CARD.eid, CARD.iccid, CARD.imsi, OWNER} <= {entry["value"] for entry in table["entries"]}
    assert not any("bundle-" in name for name in files)
    # The pseudonym of the EID is the same in manifest, journal, report and trace.
    pseudonym = next(entry["pseudonym"] for entry in table["entries"] if entry["value"] == CARD.eid)
    for ending in ("run.json", "journal.jsonl", "report.html", "trace.pcapng", "console-app.txt"):
        assert pseudonym.encode() in next(data for name, data in files.items() if name.endswith(ending)), ending


def test_tshark_reads_it_as_before(home: Path, tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed: what leaves is not read by a foreign program")
    folder = run_folder(home / "runs")
    run("last", "--for", "vendor", "-o", "out.zip")
    files = unpack(tmp_path / "out.zip", tmp_path / "got")
    trace = tmp_path / "got" / next(name for name in files if name.endswith(".pcapng"))

    def fields(path: Path) -> list[list[str]]:
        options = ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-T", "fields", "-E", "separator=|"]
        shown = ["_ws.malformed", "frame.interface_name", "frame.len", "ip.checksum.status", "tcp.checksum.status"]
        command = ["tshark", "-r", str(path), *options, *(word for field in shown for word in ("-e", field))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return [line.split("|") for line in done.stdout.splitlines()]

    rows = fields(trace)
    assert rows == fields(folder / places.TRACE)
    assert sum(row[3:] == ["1", "1"] for row in rows) == 2  # good
    assert not any(row[0] for row in rows)


def test_the_same_pseudonyms_for_one_recipient_and_others_for_another(home: Path, tmp_path: Path) -> None:
    run_folder(home / "runs")
    run_folder(home / "runs", seed=2)
    one, two = (path.name for path in sorted((home / "runs").glob("2*")))

    def table(name: str, party: str) -> dict[str, str]:
        value = json.loads((home / "runs" / name / f"bundle-{party}.json").read_text())
        return {entry["value"]: entry["pseudonym"] for entry in value["entries"]}

    assert run(one, "--for", "vendor", "-o", "1.zip").exit_code == 0
    assert run(two, "--for", "vendor", "-o", "2.zip").exit_code == 0
    assert run(one, two, "--for", "operator", "-o", "3.zip").exit_code == 0
    assert table(one, "vendor")[CARD.eid] == table(two, "vendor")[CARD.eid]
    assert table(one, "operator")[CARD.eid] != table(one, "vendor")[CARD.eid]
    assert table(one, "operator") == table(two, "operator")
    assert len({name.split("/")[0] for name in unpack(tmp_path / "3.zip", tmp_path / "got") if "/" in name}) == 2
    # An answer that names pseudonyms is led back.
    pseudonym = table(one, "vendor")[CARD.eid]
    done = run("--for", "vendor", "--back", "-", text=f"your card {pseudonym} is fine\n")
    assert done.stdout == f"your card {CARD.eid} is fine\n"


def test_an_identifier_that_only_the_lab_knows(home: Path, tmp_path: Path) -> None:
    folder = run_folder(home / "runs")
    with (folder / "world.log").open("a") as log:
        log.write("meter of customer Stadtwerke-Nord, serial ZW-20931\n")
    assert (
        run("last", "--for", "v", "-o", "o.zip", "--also", "name=Stadtwerke-Nord", "--also", "code=ZW-20931").exit_code
        == 0
    )
    files = unpack(tmp_path / "o.zip", tmp_path / "got")
    assert not any(b"Stadtwerke" in data or b"20931" in data for data in files.values())
    with pytest.raises(Exception, match="no identifier"):
        run("last", "--for", "v", "--also", "colour=blue")
    with pytest.raises(Exception, match="has not the form of a EID"):
        run("last", "--for", "v", "--also", "EID=123")


FORMS: dict[str, Any] = {
    "nothing of BCD": ("_nibbles", lambda self, text: text),
    "nothing encoded": ("_through", lambda self, data, decode, alignments, depth: data),
    "no texts": ("_add_text", lambda self, each, pseudonym: None),
}


@pytest.mark.parametrize("fault", FORMS)
def test_it_is_refused_when_the_check_finds_what_the_replacing_has_missed(
    fault: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_folder(home / "runs")
    name, broken = FORMS[fault]
    monkeypatch.setattr(Replacer, name, broken)
    with pytest.raises(IdentifiersLeft, match="identifiers are left, nothing was written"):
        handover.bundle([folder], "vendor", tmp_path / "out.zip", home=home)
    assert not (tmp_path / "out.zip").exists()
    assert not (folder / "bundle-vendor.json").exists()
    assert not (home / "bundles").exists()


def test_the_check_sees_each_form_by_itself(tmp_path: Path) -> None:
    """One place after the other is put back as it was: the check must find it there."""
    path = tmp_path / "t.pcapng"
    write(path, CARD, 5)
    original, image, found = load(path), load(path), Found()
    collect(found, [image])
    given = Book("v", b"k" * 32).give(found.identifiers)
    apply.trace([image], Replacer(given))
    check = Check(given)
    assert not check.file("t.pcapng", bytes(image.buffer))
    pairs = list(zip(original.packets, image.packets, strict=True))
    changed = [at for at, (a, b) in enumerate(pairs) if original.bytes_of(a) != image.bytes_of(b)]
    assert len(changed) > 30
    missed = []
    for at in changed:
        lane = original.packets[at].lane
        near = [n for n in changed if abs(n - at) <= 3 and original.packets[n].lane == lane]  # parts of one thing
        kept = bytes(image.buffer)
        for n in near:
            image.put(image.packets[n].start, original.bytes_of(original.packets[n]))
        if not check.file("t.pcapng", bytes(image.buffer)):
            missed.append((lane, original.bytes_of(original.packets[at])))
        image.buffer[:] = kept
    assert missed == []


def test_a_name_that_is_a_word_of_ours_is_replaced_where_it_is_a_name(home: Path, tmp_path: Path) -> None:
    """A person called max: /home/max goes, the keys of JSON and the words of the report stay."""
    folder = run_folder(home / "runs")
    manifest = json.loads((folder / places.MANIFEST).read_text())
    manifest["order"]["by"] = "max@report"
    manifest["host"]["name"] = "report"
    manifest["parameters"]["max"] = "in /home/max/x, max is 3, and /srv/home/runs is a folder"
    places.write_manifest(folder, manifest)
    assert run("last", "--for", "v", "-o", "o.zip").exit_code == 0
    files = unpack(tmp_path / "o.zip", tmp_path / "got")
    told = json.loads(next(data for name, data in files.items() if name.endswith("run.json")))
    user, host = told["order"]["by"].split("@")
    assert (len(user), len(host)) == (3, 6) and user != "max" and host != "report"
    assert told["parameters"]["max"] == f"in /home/{user}/x, max is 3, and /srv/home/runs is a folder"
    assert told["host"]["name"] == host


def test_session_keys_never_leave(home: Path, tmp_path: Path) -> None:
    folder = run_folder(home / "runs")
    trace = folder / places.TRACE
    raw = trace.read_bytes()
    log = b"CLIENT_RANDOM " + b"ab" * 32 + b" " + b"cd" * 48 + b"\n"
    secret = blocks.block(0x0A, struct.pack("<II", 0x544C534B, len(log)) + log + blocks.PADDING[-len(log) & 3])
    end = struct.unpack_from("<I", raw, 4)[0]
    trace.write_bytes(raw[:end] + secret + raw[end:])
    assert run("last", "--for", "vendor", "-o", "out.zip").exit_code == 0
    for data in unpack(tmp_path / "out.zip", tmp_path / "got").values():
        assert b"CLIENT_RANDOM" not in data and b"cdcdcdcd" not in data


def test_keys_of_a_run_with_secrets_are_hidden(home: Path, tmp_path: Path) -> None:
    folder = run_folder(home / "runs")
    (folder / places.TRACE).unlink()
    with TraceWriter.open(folder / places.TRACE, run_id="r", secrets=True) as writer:
        writer.lane("at:modem").record(Direction.SENT, b'AT+CPIN="4711"\r')
        writer.lane("scpi:net").record(Direction.SENT, b"CONF:AUTH:KI 00112233445566778899AABBCCDDEEFF\n")
        writer.lane("console:app").record(Direction.RECEIVED, b"debug: ki=00112233445566778899aabbccddeeff\n")
    assert run("last", "--for", "vendor", "-o", "out.zip").exit_code == 0
    files = unpack(tmp_path / "out.zip", tmp_path / "got")
    for data in files.values():
        assert b"00112233445566778899" not in data.lower() and b'"4711"' not in data


def test_a_torn_trace_and_a_rotated_one(home: Path, tmp_path: Path) -> None:
    folder = run_folder(home / "runs")
    trace = folder / places.TRACE
    with TraceWriter.open(folder / "trace-2.pcapng", run_id="r") as writer:
        writer.lane("console:app").record(Direction.RECEIVED, CARD.eid[20:].encode() + b"\n")
    with TraceWriter.open(trace, run_id="r") as writer:  # the first half of an EID ends this file
        writer.lane("console:app").record(Direction.RECEIVED, b"EID " + CARD.eid[:20].encode())
    with trace.open("ab") as stream:
        stream.write(b"\x06\0\0\0\xff\0\0\0" + CARD.eid.encode())
    assert run("last", "--for", "vendor", "-o", "out.zip").exit_code == 0
    files = unpack(tmp_path / "out.zip", tmp_path / "got")
    assert CARD.eid[8:20].encode() not in b"".join(files.values())
    for name, data in files.items():
        assert CARD.eid[20:].encode() not in data, name
    second = tmp_path / "got" / next(name for name in files if name.endswith("trace-2.pcapng"))
    assert re.fullmatch(rb"\d{12}\n", packets(second)[0].data)


def test_what_cannot_be(home: Path, tmp_path: Path) -> None:
    folder = run_folder(home / "runs")
    with pytest.raises(HandoverError, match="no name of a recipient"):
        handover.bundle([folder], "../x", tmp_path / "o.zip", home=home)
    with pytest.raises(HandoverError, match="named twice"):
        handover.bundle([folder, folder], "x", tmp_path / "o.zip", home=home)
    from bench.run import liveness

    held = liveness.hold(folder)
    try:
        with pytest.raises(HandoverError, match="still going on"):
            handover.bundle([folder], "x", tmp_path / "o.zip", home=home)
    finally:
        os.close(held)
    with pytest.raises(HandoverError, match="nothing was handed over"):
        handover.back(home, "stranger", "x")
    assert run("--for", "x").exit_code == 2
    (home / "bundles").mkdir(parents=True)
    (home / "bundles" / "x.json").write_text("{}")
    with pytest.raises(HandoverError, match="cannot be read"):
        handover.bundle([folder], "x", tmp_path / "o.zip", home=home)
    (folder / places.TRACE).write_bytes(b"no trace at all")
    with pytest.raises(Exception, match="not a pcapng trace"):
        handover.bundle([folder], "y", tmp_path / "o.zip", home=home)
