"""A trace for other programs: GSMTAP for those that know no exported PDU, tables for those that compute.

GSMTAP (Osmocom, version 2) in UDP and IPv4: card exchanges as SIMtrace2 sends them, a command with its response in one
packet (type 4); NAS and RRC of LTE (types 18 and 13). What came as GSMTAP or as IP packets is passed through untouched.
GSMTAP has no type for AT, SCPI, console and servers: those lanes are left out and counted.
"""

from __future__ import annotations

import csv
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from bench.errors import ConfigurationError
from bench.trace import blocks
from bench.trace.card_commands import apdus
from bench.trace.errors import TraceError
from bench.trace.reader import Packet

FORMATS: Final = {".pcap": "pcap", ".pcapng": "pcapng", ".csv": "csv", ".parquet": "parquet"}
COLUMNS: Final = ("number", "time", "time_ns", "lane", "direction", "dissector", "length", "comment", "data")
"""Of a table: time is ISO 8601 UTC with nanoseconds, direction ``sent``, ``received`` or empty, data hexadecimal."""

_PORT: Final = 4729
_SIM, _LTE_RRC, _LTE_NAS = 4, 13, 18
_UPLINK: Final = 0x4000
_RRC_CHANNELS: Final = {
    "dl_ccch": 0, "dl_dcch": 1, "ul_ccch": 2, "ul_dcch": 3, "bcch_bch": 4, "bcch_dl_sch": 5, "pcch": 6, "mcch": 7,
    "bcch_bch.mbms": 8, "bcch_dl_sch_br": 9, "bcch_dl_sch.mbms": 10, "sc_mcch": 11, "dl_ccch.nb": 14, "dl_dcch.nb": 15,
    "ul_ccch.nb": 16, "ul_dcch.nb": 17, "bcch_bch.nb": 18, "bcch_bch.tdd.nb": 19, "bcch_dl_sch.nb": 20, "pcch.nb": 21,
    "sc_mcch.nb": 22,
}  # fmt: skip
"""Sub types of GSMTAP's LTE RRC, by the end of Wireshark's dissector names."""
_NAS: Final = {"nas-eps": 0, "nas-eps_plain": 0}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_SNAP: Final = 262_144
_ROWS: Final = 50_000


def gsmtap(kind: int, sub_type: int, payload: bytes, *, uplink: bool = False) -> bytes:
    """Return an IPv4 packet with a GSMTAP version 2 datagram from and to the loopback address."""
    head = struct.pack(">BBBBHbbIBBBB", 2, 4, kind, 0, _UPLINK if uplink else 0, 0, 0, 0, sub_type, 0, 0, 0)
    length = 28 + len(head) + len(payload)
    header = struct.pack(">BBHHHBBHII", 0x45, 0, length, 0, 0, 64, 17, 0, 0x7F000001, 0x7F000001)
    total: int = sum(struct.unpack(">10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + (~total & 0xFFFF).to_bytes(2, "big") + header[12:]
    return header + struct.pack(">HHHH", _PORT, _PORT, length - 20, 0) + head + payload  # UDP checksum 0: none


def gsmtap_packets(packets: Iterable[Packet]) -> Iterator[tuple[Packet, bytes]]:
    """Yield packets as GSMTAP, with the packet each came from; what GSMTAP cannot carry is left out."""
    kept = list(packets)
    card = {
        command.number: (raw, response) for lane in _card_lanes(kept) for command, raw, response in apdus(kept, lane)
    }
    for packet in kept:
        if packet.number in card:
            raw, response = card[packet.number]
            yield packet, gsmtap(_SIM, 0, raw + response)
        elif packet.dissector in _NAS:
            yield packet, gsmtap(_LTE_NAS, 0, packet.data, uplink=packet.direction == 0)
        elif packet.dissector.startswith("lte_rrc."):
            channel = packet.dissector.removeprefix("lte_rrc.").replace("-", "_")
            if channel in _RRC_CHANNELS:
                yield packet, gsmtap(_LTE_RRC, _RRC_CHANNELS[channel], packet.data, uplink=channel.startswith("ul_"))
        elif not packet.dissector and packet.data[:1] and packet.data[0] >> 4 in (4, 6) and len(packet.data) >= 20:
            yield packet, packet.data


def _card_lanes(packets: Iterable[Packet]) -> list[str]:
    return list(dict.fromkeys(p.lane for p in packets if p.lane.partition(":")[0] in ("apdu", "sniff")))


def write_pcap(stream: IO[bytes], packets: Iterable[Packet]) -> int:
    """Write a classic pcap of GSMTAP with nanoseconds (link type raw IP); return the number of packets."""
    stream.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, _SNAP, blocks.LINKTYPE_RAW))
    count = 0
    for packet, data in gsmtap_packets(packets):
        seconds, rest = divmod(packet.time_ns, 1_000_000_000)
        stream.write(struct.pack("<IIII", seconds & 0xFFFFFFFF, rest, len(data), len(data)) + data)
        count += 1
    return count


def write_pcapng(stream: IO[bytes], packets: Iterable[Packet]) -> int:
    """Write a pcapng of GSMTAP: lanes and comments are kept; return the number of packets."""
    stream.write(blocks.section_header(application="esim-bench"))
    interfaces: dict[str, int] = {}
    count = 0
    for packet, data in gsmtap_packets(packets):
        if packet.lane not in interfaces:
            interfaces[packet.lane] = len(interfaces)
            stream.write(blocks.interface(packet.lane, link_type=blocks.LINKTYPE_RAW))
        time_ns = packet.time_ns & 0xFFFFFFFFFFFFFFFF
        body = struct.pack("<IIIII", interfaces[packet.lane], time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), len(data))
        body += data + blocks.PADDING[-len(data) & 3]
        if packet.comment:
            body += blocks.option(blocks.OPT_COMMENT, packet.comment.encode("utf-8", "replace"))
            body += blocks.END_OF_OPTIONS
        stream.write(blocks.block(blocks.ENHANCED_PACKET, body))
        count += 1
    return count


def rows(packets: Iterable[Packet]) -> Iterator[tuple[Any, ...]]:
    """Yield one row a packet, as ``COLUMNS`` says."""
    for packet in packets:
        seconds, rest = divmod(packet.time_ns, 1_000_000_000)
        direction = "" if packet.direction is None else packet.direction.name.lower()
        yield (
            packet.number,
            f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z",
            packet.time_ns,
            packet.lane,
            direction,
            packet.dissector,
            len(packet.data),
            packet.comment,
            packet.data.hex(),
        )


def write_csv(stream: IO[str], packets: Iterable[Packet]) -> int:
    """Write a table as CSV (RFC 4180, UTF-8); return the number of rows.

    A comment comes from a device: one that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in rows(packets):
        writer.writerow([f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in row])
        count += 1
    return count


def write_parquet(path: Path, packets: Iterable[Packet]) -> int:
    """Write a table as Parquet, data as binary; return the number of rows. Raises ConfigurationError."""
    try:
        import pyarrow  # type: ignore[import-not-found,import-untyped,unused-ignore]
        from pyarrow import parquet  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise ConfigurationError(
            "Parquet needs the package pyarrow",
            hint="pip install 'esim-bench[parquet]'; CSV needs none",
        ) from error
    types = {
        **dict.fromkeys(COLUMNS, pyarrow.string()),
        **dict.fromkeys(("number", "time_ns", "length"), pyarrow.int64()),
        "time": pyarrow.timestamp("ns", "UTC"),
        "data": pyarrow.binary(),
    }
    schema = pyarrow.schema([(name, types[name]) for name in COLUMNS])
    count = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        batch: list[tuple[Any, ...]] = []

        def flush() -> None:
            columns = dict(zip(COLUMNS, zip(*batch, strict=True) if batch else [()] * len(COLUMNS), strict=True))
            columns["time"] = columns["time_ns"]
            columns["data"] = tuple(bytes.fromhex(text) for text in columns["data"])
            arrays = [pyarrow.array(columns[name], types[name]) for name in COLUMNS]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))

        for row in rows(packets):
            batch.append(row)
            count += 1
            if len(batch) >= _ROWS:
                flush()
                batch.clear()
        if batch or not count:
            flush()
    return count


def export(packets: Iterable[Packet], path: Path, form: str = "") -> int:
    """Write ``path`` in a format (of ``FORMATS``; by the file's ending when empty); return the number of packets.

    Raises ConfigurationError for an unknown format, TraceError when the file cannot be written.
    """
    form = form or FORMATS.get(path.suffix.lower(), "")
    if form not in FORMATS.values():
        raise ConfigurationError(
            f"{path.suffix or 'no ending'} is no format", where=str(path), hint=", ".join(FORMATS.values())
        )
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        count = _writers(scratch)[form](packets)
        scratch.replace(path)
    except OSError as error:
        raise TraceError(f"cannot write: {error.strerror}", where=str(path)) from error
    finally:
        scratch.unlink(missing_ok=True)
    return count


def _writers(path: Path) -> dict[str, Callable[[Iterable[Packet]], int]]:
    def binary(write: Callable[[IO[bytes], Iterable[Packet]], int]) -> Callable[[Iterable[Packet]], int]:
        def run(packets: Iterable[Packet]) -> int:
            with path.open("wb") as stream:
                return write(stream, packets)

        return run

    def text(packets: Iterable[Packet]) -> int:
        with path.open("w", encoding="utf-8", newline="") as stream:
            return write_csv(stream, packets)

    return {
        "pcap": binary(write_pcap),
        "pcapng": binary(write_pcapng),
        "csv": text,
        "parquet": lambda packets: write_parquet(path, packets),
    }
