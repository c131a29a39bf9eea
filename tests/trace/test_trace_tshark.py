"""Debian's tshark 4.0 as the foreign reader of our traces."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.trace import Direction, TraceWriter

Tshark = Callable[..., list[list[str]]]
SENT, RECEIVED = Direction.SENT, Direction.RECEIVED

BAD = ("_ws.malformed", "_ws.expert.message")


def bad(rows: list[list[str]]) -> list[list[str]]:
    return [row for row in rows if "alformed" in "".join(row) or "bug" in "".join(row)]


def test_a_run_reads_clean_with_lanes_and_comments(tmp_path: Path, tshark: Tshark) -> None:
    path = tmp_path / "trace.pcapng"
    aid = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
    with TraceWriter.open(path, run_id="20261121-1", hardware="meter A7", comment="bootstrap-to-operational") as writer:
        card = writer.lane("apdu:card", description="card in the modem")
        card.record(SENT, b"\x00\xa4\x04\x00\x10" + aid, time_ns=1_700_000_000_000_000_001)
        card.record(RECEIVED, bytes.fromhex("6121"), time_ns=1_700_000_000_000_000_002)
        card.record(SENT, bytes.fromhex("01C0000021"))
        card.record(RECEIVED, bytes.fromhex("6F1F8410") + aid + bytes.fromhex("A5049F6501FFE00582030202009000"))
        card.record(SENT, bytes.fromhex("81E2910003BF2000"))
        card.record(SENT, bytes.fromhex("00708001"))
        writer.lane("at:modem").record(SENT, b"AT+CEREG?\r")
        writer.lane("at:modem").record(RECEIVED, b"\r\n+CEREG: 2,5\r\n\r\nOK\r\n")
        writer.lane("scpi:psu1").record(SENT, b"OUTP ON,(@2)\n")
        writer.lane("console:app").record(RECEIVED, b"\x1b[0mboot \xff\xfe\n")
        writer.lane("esipa").record(SENT, bytes.fromhex("bf4f125a1089044045930000000000002153893210"))
        writer.lane("esipa").record(RECEIVED, bytes.fromhex("bf4f03020101"))
        writer.lane("es9plus").record(SENT, json.dumps({"euiccChallenge": "AAAA", "smdpAddress": "a.example"}).encode())
        writer.lane("es9plus").record(RECEIVED, b"")
        writer.lane("steps").record(SENT, b'{"type": "step-start", "step": "power-cycle"}')
        writer.lane("power").record(SENT, b'{"volts": 3.8, "amps": 0.05}')
        writer.lane("ip:wwan0").record(SENT, bytes.fromhex("450000140001000040017ce77f0000017f000001"))
    rows = tshark(
        path, "frame.interface_name", "frame.comment", "_ws.col.Protocol", "_ws.col.Info", "frame.time_epoch", *BAD
    )
    assert bad(rows) == []
    assert [row[0] for row in rows] == ["apdu:card"] * 6 + ["at:modem"] * 2 + [
        "scpi:psu1",
        "console:app",
        *["esipa"] * 2,
        *["es9plus"] * 2,
        "steps",
        "power",
        "ip:wwan0",
    ]
    assert [row[1] for row in rows] == [
        "SELECT ISD-R",
        "6121 33 bytes to fetch",
        "ch1 GET RESPONSE 33",
        "FCI - 9000 ok",
        "ch1 STORE DATA: GetEuiccInfo1",
        "MANAGE CHANNEL close 1",
        "AT+CEREG?",
        "+CEREG: 2,5 | OK (registered, roaming)",
        "OUTP ON,(@2)",
        "\\x1b[0mboot \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}",
        "GetEimPackage request: 89044045930000000000002153893210",
        "GetEimPackage answer: noEimPackageAvailable(1)",
        "InitiateAuthentication request a.example",
        "204 no content",
        "step-start power-cycle",
        "volts=3.8 amps=0.05",
        "20 bytes",
    ]
    assert "SELECT" in rows[0][3]
    assert rows[0][4] == "1700000000.000000001"
    assert [rows[at][2] for at in (6, 8, 9, 10, 12)] == ["AT", "SCPI", "Console", "BER", "JSON"]


def test_bytes_are_what_wireshark_sees(tmp_path: Path, tshark: Tshark) -> None:
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        writer.lane("apdu:card").record(SENT, bytes.fromhex("81E2910003BF2000"))
        writer.lane("steps").record(RECEIVED, b'{"step": "enable-profile"}')
    rows = tshark(tmp_path / "t", "gsm_sim.apdu.ins", "json.path_with_value")
    assert rows[0][0] == "0xe2"
    assert "/step:enable-profile" in rows[1][1]


def test_torn_tail_still_shows_every_whole_packet(tmp_path: Path, tshark: Tshark) -> None:
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        for number in range(5):
            writer.lane("at:m").record(SENT, b"AT%d\r" % number)
    whole = (tmp_path / "t").read_bytes()
    (tmp_path / "t").write_bytes(whole[:-9])
    assert len(tshark(tmp_path / "t", "frame.number", ok=(2,))) == 4


def test_a_resumed_trace_is_read_to_its_end(tmp_path: Path, tshark: Tshark) -> None:
    for turn in range(3):
        with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
            writer.lane(f"at:{turn}").record(SENT, b"AT\r")
        with (tmp_path / "t").open("ab") as stream:
            stream.write(b"\x06\0\0\0\x40\0\0\0half a record")
    with TraceWriter.open(tmp_path / "t", run_id="r"):
        pass
    assert [row[0] for row in tshark(tmp_path / "t", "frame.interface_name")] == ["at:0", "at:1", "at:2"]


def test_long_data_does_not_stop_wireshark(tmp_path: Path, tshark: Tshark) -> None:
    body = json.dumps({"header": {}, "boundProfilePackage": base64.b64encode(b"\xbf" * 400_000).decode()}).encode()
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        writer.lane("es9plus").record(RECEIVED, body)
        writer.lane("es9plus").record(RECEIVED, b"{}")
    rows = tshark(tmp_path / "t", "frame.comment", *BAD)
    assert len(rows) == -(-len(body) // 250_000) + 1
    assert bad(rows) == []


def test_the_vectors_of_the_standard_read_clean(tmp_path: Path, tshark: Tshark) -> None:
    vectors = [
        "bf517c3037800465696d315a108904404593000000000000215389321081010182080102030405060708a010a30e5a0a8910101234567890"
        "12f105005f3740" + "11" * 64,
        "bf5162a060301b800465696d31810101820801020304050607088301073003830100" + "5f3740" + "11" * 64,
        "bf5153a151300c800465696d318101010201045f3740" + "11" * 64,
        "bf50245a1089044045930000000000002153893210bf520fa10d80080102030405060708020101",
        "bf3d27bf50245a1089044045930000000000002153893210bf540f82080102030405060708300380017f",
        "bf410f80080102030405060708a103810105",
        "bf3b1c80080102030405060708bf380fa10d8008010203040506070802017f",
    ]
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        for vector in vectors:
            writer.lane("esipa").record(SENT, bytes.fromhex(vector))
    rows = tshark(tmp_path / "t", "_ws.col.Protocol", *BAD)
    assert bad(rows) == []
    assert {row[0] for row in rows} == {"BER"}


def _random_tlv(source: random.Random, depth: int) -> bytes:
    universal = [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x09, 0x0A, 0x0C, 0x13, 0x16, 0x17, 0x18, 0x1E]
    tag = bytes([source.choice([*universal, 0x80, 0x5A, 0x4F])])
    value = source.randbytes(source.randrange(12))
    if depth and source.random() < 0.6:
        tag = bytes.fromhex(source.choice(["30", "A0", "BF20", "BF51", "E3", "31"]))
        value = b"".join(_random_tlv(source, depth - 1) for _ in range(source.randrange(4)))
    return tag + (bytes([len(value)]) if len(value) < 128 else b"\x82" + len(value).to_bytes(2, "big")) + value


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_nothing_that_a_device_sends_is_malformed(tmp_path: Path, tshark: Tshark, seed: int) -> None:
    source = random.Random(seed)
    path = tmp_path / f"{seed}.pcapng"
    texts = [b"{", b"[1,", b'{"a":}', b"<html>", b"\xff\xfe", b"null", b"", b"\0\r\n"]
    with TraceWriter.open(path, run_id="r") as writer:
        card, esipa, es9 = writer.lane("apdu:c"), writer.lane("esipa"), writer.lane("es9plus")
        for instruction in range(256):
            for _ in range(4):
                data = source.randbytes(source.choice([0, 1, 2, 5, 12, 16, 34]))
                length = source.choice([len(data), len(data), source.randrange(256)])
                header = bytes(
                    [source.choice([0, 1, 0x80, 0xA0, 0xC0]), instruction, source.randrange(10), source.randrange(256)]
                )
                card.record(SENT, (header + bytes([length]) + data)[: source.choice([99, 99, 99, source.randrange(6)])])
        for instruction in (0x14, 0xC2, 0x10, 0xA4, 0x88):
            for _ in range(30):
                data = b"".join(_random_tlv(source, 1) for _ in range(3))[:200]
                card.record(SENT, bytes([0x80, instruction, 0, 0, len(data)]) + data)
        for _ in range(400):
            card.record(RECEIVED, source.randbytes(source.randrange(30)))
            esipa.record(SENT, _random_tlv(source, 4))
            esipa.record(RECEIVED, source.randbytes(source.randrange(40)))
        for text in texts:
            for name in ("at:m", "scpi:p", "console:a", "steps", "radio", "power", "esipa", "es9plus", "other"):
                writer.lane(name).record(RECEIVED, text)
        es9.record(SENT, source.randbytes(300))
    rows = tshark(path, "frame.number", *BAD)
    assert len(rows) > 2000
    assert bad(rows) == []
    path.unlink()


def test_the_newest_comment_table_names_every_status_word_alike(tmp_path: Path, tshark: Tshark) -> None:
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        for word in (0x9000, 0x6A82, 0x6985):
            writer.lane("apdu:c").record(RECEIVED, word.to_bytes(2, "big"))
    rows = tshark(tmp_path / "t", "frame.comment", "gsm_sim.apdu.sw")
    for comment, word in rows:
        assert int(re.split(r"[ ;]", comment)[0], 16) == int(word, 16)
