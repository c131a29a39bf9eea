"""A trace for other programs: tshark's GSMTAP, pcap, CSV and Parquet readers judge."""

from __future__ import annotations

import csv
import importlib.util
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cli.main import bench
from bench.errors import ConfigurationError
from bench.trace import Direction, TraceError, TraceWriter, read
from bench.trace.export import COLUMNS, export, gsmtap, rows, write_parquet
from bench.trace.reader import Packet

Tshark = Callable[..., list[list[str]]]
SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
ATTACH = bytes.fromhex("07417108091010103254769802e0e000040201d011")  # reference 1.4, made by pycrate
SELECT = bytes.fromhex("00a40004022fe2")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.pcapng"
    start = 1_795_000_000_123_456_789
    with TraceWriter.open(path, run_id="r") as writer:
        card, at = writer.lane("apdu:card"), writer.lane("at:modem")
        card.record(SENT, SELECT, time_ns=start)
        at.record(SENT, b"AT+CIMI\r", time_ns=start + 1)
        card.record(RECEIVED, bytes.fromhex("9000"), time_ns=start + 2)
        card.record(SENT, bytes.fromhex("00b000000a"), time_ns=start + 3)
        card.record(RECEIVED, bytes.fromhex("980001010000000010f99000"), time_ns=start + 4)
        writer.lane("nas", dissector="nas-eps").record(SENT, ATTACH, time_ns=start + 5)
        writer.lane("rrc", dissector="lte_rrc.pcch").record(RECEIVED, bytes.fromhex("20"), time_ns=start + 6)
        writer.lane("ip:link").record(SENT, gsmtap(18, 0, ATTACH), time_ns=start + 7)
        at.record(RECEIVED, b"\r\n=1+1\r\n", time_ns=start + 8)
    return path


@pytest.mark.parametrize("ending", ["pcap", "pcapng"])
def test_gsmtap_in_tshark(trace: Path, tmp_path: Path, tshark: Tshark, ending: str) -> None:
    path = tmp_path / f"out.{ending}"
    assert export(read(trace), path) == 5
    found = tshark(path, "_ws.col.Protocol", "_ws.col.Info", "e212.imsi", "_ws.malformed", "frame.time_epoch",
                   "ip.checksum.status", "udp.dstport")  # fmt: skip
    assert [row[3] for row in found] == [""] * 5
    assert [row[6] for row in found] == ["4729"] * 5
    assert "SELECT" in found[0][1] and "2FE2" in found[0][1].upper().replace("EF.ICCID", "2FE2")
    assert "READ BINARY" in found[1][1]
    assert found[2][2] == found[4][2] == "001010123456789"
    assert "Paging" in found[3][1] or "LTE RRC" in found[3][0]
    assert found[0][4] == "1795000000.123456789" and found[2][4].endswith("794")


def test_lanes_and_comments_are_kept_in_pcapng(trace: Path, tmp_path: Path, tshark: Tshark) -> None:
    export(read(trace), tmp_path / "o.pcapng")
    found = tshark(tmp_path / "o.pcapng", "frame.interface_name", "frame.comment")
    assert found[0] == ["apdu:card", "SELECT EF.ICCID"]
    assert [row[0] for row in found] == ["apdu:card", "apdu:card", "nas", "rrc", "ip:link"]


def test_the_ip_header_is_right(tshark: Tshark, tmp_path: Path) -> None:
    packet = gsmtap(4, 0, b"\0\xa4\0\0")
    words = struct.unpack(">10H", packet[:20])
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF
    assert len(packet) == int.from_bytes(packet[2:4], "big") == 20 + int.from_bytes(packet[24:26], "big")


def test_csv_is_a_table_and_holds_no_formula(trace: Path, tmp_path: Path) -> None:
    assert export(read(trace), tmp_path / "o.csv") == 9
    with (tmp_path / "o.csv").open(newline="", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    assert tuple(table[0]) == COLUMNS
    assert table[0]["time"] == "2026-11-18T11:06:40.123456789Z" and table[0]["time_ns"] == "1795000000123456789"
    assert [row["direction"] for row in table[:3]] == ["sent", "sent", "received"]
    assert bytes.fromhex(table[4]["data"]) == bytes.fromhex("980001010000000010f99000")
    assert table[8]["comment"] == "'=1+1"
    assert bytes.fromhex(table[8]["data"]) == b"\r\n=1+1\r\n"


def test_parquet(trace: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: esim-bench[parquet]")
    assert write_parquet(tmp_path / "o.parquet", read(trace)) == 9
    whole = parquet.read_table(tmp_path / "o.parquet")
    assert whole.column_names == list(COLUMNS)
    assert str(whole.schema.field("time").type) == "timestamp[ns, tz=UTC]"
    assert whole.column("time")[0].value == 1_795_000_000_123_456_789
    table = whole.drop(["time"]).to_pydict()  # Python's own datetime has no nanoseconds
    assert table["data"][4] == bytes.fromhex("980001010000000010f99000")
    assert table["time_ns"][0] == 1_795_000_000_123_456_789


def test_parquet_without_pyarrow_says_what_to_install(
    trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError) as caught:
        export(read(trace), tmp_path / "o.parquet")
    assert "esim-bench[parquet]" in caught.value.hint
    assert list(tmp_path.glob("*.parquet*")) == []


def test_the_command(trace: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(bench, ["trace", "export", str(trace), *arguments])

    told = json.loads(run("-o", str(tmp_path / "a.csv"), "--lane", "at", "--json").stdout)
    assert told == {"file": str(tmp_path / "a.csv"), "packets": 2, "of": 2}
    assert run("-o", str(tmp_path / "b.bin"), "--format", "pcap").exit_code == 0
    assert (tmp_path / "b.bin").read_bytes()[:4] == b"\x4d\x3c\xb2\xa1"
    assert isinstance(run("-o", str(tmp_path / "b.xyz")).exception, ConfigurationError)
    with pytest.raises(TraceError, match="cannot write"):
        export(read(trace), tmp_path / "no" / "o.csv")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["apdu:c", "at:m", "steps", "ip:x", "radio"]),
            st.sampled_from([SENT, RECEIVED, None]),
            st.binary(max_size=40),
            st.text(max_size=10),
        ),
        max_size=12,
    )
)
def test_any_packets_can_be_exported(tmp_path_factory: pytest.TempPathFactory, items: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("any")
    packets = [
        Packet(lane, number, direction, data, comment, "", number)
        for number, (lane, direction, data, comment) in enumerate(items, 1)
    ]
    assert len(list(rows(packets))) == len(packets)
    for ending in ("pcap", "pcapng", "csv"):
        export(packets, folder / f"o.{ending}")
    list(read(folder / "o.pcapng"))


def _recorded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recorded_for_export", Path(__file__).with_name("card_recorded.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_whole_card_session_in_tshark(tmp_path: Path, tshark: Tshark) -> None:
    recorded = _recorded()
    recorded.record(tmp_path / "t.pcapng", recorded.card(tmp_path))
    export(read(tmp_path / "t.pcapng"), tmp_path / "o.pcap")
    found = tshark(tmp_path / "o.pcap", "_ws.col.Protocol", "_ws.col.Info")
    assert len(found) > 30 and {row[0] for row in found} == {"GSM SIM"}
    assert sum("e2" in row[1] for row in found) >= len(recorded.READING)
