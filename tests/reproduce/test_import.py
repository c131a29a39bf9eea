"""Import: each format in the form its program writes it, and anything at all: what is understood is kept, the rest listed."""  # noqa: E501

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.reproduce import formats_capture, importing
from bench.reproduce.alignment import align
from bench.reproduce.conditions import Condition, Moment
from bench.reproduce.course import Call, parting
from bench.reproduce.deriving import derive, from_fault, words
from bench.reproduce.errors import ReproduceError
from bench.reproduce.imported import Happening, Imported, Source
from bench.reproduce.importing import read_bytes, read_files
from bench.reproduce.kit import SCRIPT, write
from bench.reproduce.scenario import parse_scenario
from bench.trace.export import gsmtap

MINICOM = """AT+CGMR
BG95M3LAR02A04

OK
AT+CEREG?
+CEREG: 3,3,"002F","0012BEEF",7,0,11

OK
AT+CGLA=1,10,"80E2910003BF3900"
+CME ERROR: 13

+CEREG: 2
"""
VENDOR = """[2026-02-03 04:05:06.100] TX: AT+CGMR
[2026-02-03 04:05:06.150] RX: BG95M3LAR02A04
[2026-02-03 04:05:06.160] RX: OK
[2026-02-03 04:05:07.000] RX: +CEREG: 5
[2026-02-03 04:05:17.000] RX: +CEREG: 2
[2026-02-03 04:05:27.000] RX: +CEREG: 1
[2026-02-03 04:05:28.000] RX: APP RDY
a line that says nothing to anybody
"""
APDUS = """2026-02-03T04:05:06Z => 01A4040010A0000005591010FFFFFFFF8900000100
2026-02-03T04:05:06Z <= 6A82
C-APDU: 80 E2 91 00 03 BF 3E 00
R-APDU: 69 85
"""
SYSLOG = """Feb  3 04:05:37 gw kernel: [ 1234.567890] usb 1-1.4: USB disconnect, device number 7
Feb  3 04:05:38 gw ipa[312]: TLS: certificate has expired (smdpp.example)
Feb  3 04:05:39 gw ipa[312]: modem rx: +CEREG: 5
Feb  3 04:05:40 gw cron[1]: something else
"""
CSV = """time;RSRP [dBm];voltage;note
2026-02-03T04:05:06Z;-91,5;3,80;a
2026-02-03T04:05:07Z;-119,0;2,61;b
2026-02-03T04:05:08Z;;;c
2026-02-03T04:05:09Z;-95,0;3,79;d
"""


def source_of(text: str | bytes) -> Source:
    source = Source("x")
    read_bytes(source, text.encode() if isinstance(text, str) else text)
    return source


def test_a_log_of_minicom_without_times() -> None:
    source = source_of(MINICOM)
    assert source.kind == "AT log"
    assert not source.ignored
    assert "no line has a time: only the order is known" in source.notes
    calls = Imported([source]).calls
    functions = [(call.function, call.ok) for call in calls]
    assert ("AT+CGMR", True) in functions
    assert any(call.function.startswith("AT+CEREG") and call.ok for call in calls)
    assert source.facts == {"modem_firmware": "BG95M3LAR02A04"}
    assert [item.text for item in source.happenings if item.what == "reject"] == ["cause 11"]
    scenario = derive(Imported([source]))
    first = scenario.conditions[0]
    assert (first.do, first.figures, first.sure) == ("reject", {"cause": 11}, False)
    assert scenario.conditions[0].source == "x:6"
    assert scenario.device == {"modem_firmware": "BG95M3LAR02A04"}


def test_a_log_of_a_vendors_tool_with_times_and_directions() -> None:
    source = source_of(VENDOR)
    assert [number for number, _ in source.ignored] == [8]
    first = Imported([source]).calls[0]
    assert (first.function, first.result) == ("AT+CGMR", "OK")
    assert [item.text for item in source.happenings] == ["stat 5", "stat 2", "stat 1", "APP RDY"]
    assert source.happenings[0].time == pytest.approx(1770091507.0)


def test_a_line_with_a_zero_octet_is_read_and_one_of_zeros_is_listed() -> None:
    """A port that is opened while the modem boots, and texts of C inside a line, as scat prints the build."""
    source = source_of("\0+CEREG: 5\n" + 8 * "\0" + "+CEREG: 2\nRadio 0: Build ID: BG95M3LAR02A04\0SIM\n")
    assert [item.text for item in source.happenings] == ["stat 5"]
    assert [number for number, _ in source.ignored] == [2]
    assert source.facts == {"modem_firmware": "BG95M3LAR02A04"}


def test_hex_apdus_are_decoded_to_functions() -> None:
    source = source_of(APDUS)
    assert source.kind == "APDU log"
    assert source.recognised["APDUs"] == 4
    calls = Imported([source]).calls
    assert calls[0].function == "SELECT ISD-R"
    assert calls[0].ok is False
    assert calls[-1].function == "GetEID" or "BF3E" in calls[-1].function
    assert calls[-1].result.startswith("6985")
    assert any(item.figures.get("sw") == "6985" for item in derive(Imported([source])).conditions)


def test_syslog_tells_what_happened_around_the_modem() -> None:
    source = source_of(SYSLOG)
    assert [item.what for item in source.happenings] == ["port-gone", "tls", "registration"]
    assert [text for _, text in source.ignored] == [SYSLOG.splitlines()[3]]
    names = [item.do for item in derive(Imported([source])).conditions]
    assert names == ["port-gone", "smdpp-misbehave"]


def test_journald_in_both_forms() -> None:
    entry = {"__REALTIME_TIMESTAMP": "1770091507000000", "__CURSOR": "s", "MESSAGE": "modem rx: +CEREG: 5"}
    lines = (
        json.dumps(entry) + "\n" + json.dumps({**entry, "MESSAGE": list(b"usb 1-1: USB disconnect")}) + "\n{broken\n"
    )
    source = source_of(lines)
    assert source.kind == "journald, JSON"
    assert [(item.what, item.time) for item in source.happenings] == [
        ("registration", 1770091507.0),
        ("port-gone", 1770091507.0),
    ]
    assert source.ignored == [(3, "{broken")]
    message = b"two\nusb 1-1: USB disconnect"
    export = (
        b"__CURSOR=s\n__REALTIME_TIMESTAMP=1770091507000000\nMESSAGE\n" + struct.pack("<Q", len(message)) + message
        + b"\n\n__CURSOR=t\n__REALTIME_TIMESTAMP=1770091508000000\nMESSAGE=+CEREG: 5\n\n__CURSOR=u\nMESS"
    )  # fmt: skip
    source = source_of(export)
    assert source.kind == "journald, export"
    assert [(item.what, item.time) for item in source.happenings] == [
        ("port-gone", 1770091507.0),
        ("registration", 1770091508.0),
    ]
    assert any("cut off" in note for note in source.notes)


def test_a_table_of_measured_values() -> None:
    source = source_of(CSV)
    assert source.kind == "CSV"
    assert source.recognised["rows of measured values"] == 3
    assert [number for number, _ in source.ignored] == [4]
    assert "columns ignored: note" in source.notes
    found = {item.do: item.figures for item in derive(Imported([source])).conditions}
    assert found["cell-power"]["rsrp"] == -119.0
    assert found["brown-out"]["volts"] == 2.61


ATTACH_REJECT = bytes.fromhex("07440b")
APDU = bytes.fromhex("80E2910003BF3E00") + bytes.fromhex("6985")


def pcap(*payloads: bytes, link: int = 101, order: str = "<") -> bytes:
    head = struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    return head + b"".join(
        struct.pack(f"{order}IIII", 1770091507 + n, 500_000, len(item), len(item)) + item
        for n, item in enumerate(payloads)
    )


@pytest.mark.parametrize(("link", "header"), [(101, b""), (228, b""), (1, bytes(12) + b"\x08\x00"), (113, bytes(16))])
@pytest.mark.parametrize("order", ["<", ">"])
def test_gsmtap_in_a_capture(tmp_path: Path, link: int, header: bytes, order: str) -> None:
    file = tmp_path / "radio.pcap"
    good = [header + gsmtap(18, 0, ATTACH_REJECT), header + gsmtap(4, 0, APDU)]
    file.write_bytes(pcap(*good, header + b"\x45nothing", link=link, order=order))
    (source,) = read_files([file]).sources
    assert source.recognised == {"NAS messages": 1, "APDUs": 1}
    assert [(item.what, item.text, item.time) for item in source.happenings] == [("reject", "cause 11", 1770091507.5)]
    assert [number for number, _ in source.ignored] == [3]
    assert Imported([source]).calls[0].result.startswith("6985")


def test_exported_pdus_in_a_capture(tmp_path: Path) -> None:
    def tagged(name: bytes, body: bytes) -> bytes:
        return struct.pack("!HH", 12, len(name)) + name + struct.pack("!HH", 0, 0) + body

    file = tmp_path / "pdu.pcap"
    file.write_bytes(pcap(tagged(b"nas-eps\0", ATTACH_REJECT), tagged(b"gsm_sim\0", APDU), b"\0", link=252))
    (source,) = read_files([file]).sources
    assert source.recognised == {"NAS messages": 1, "APDUs": 1}
    assert len(source.ignored) == 1


@given(st.integers(0, 200))
def test_a_capture_that_is_cut_off_keeps_what_is_whole(cut: int) -> None:
    data = pcap(gsmtap(18, 0, ATTACH_REJECT), gsmtap(4, 0, APDU))
    source = Source("x")
    formats_capture._pcap(source, data[: max(4, len(data) - cut)])
    whole = sum(len(data) - cut >= end for end in (24 + 16 + len(gsmtap(18, 0, ATTACH_REJECT)), len(data)))
    assert sum(source.recognised.values()) == whole
    assert (
        bool(source.notes) == (0 < cut < len(data) - 4 and cut not in (16 + len(gsmtap(4, 0, APDU)), len(data) - 24))
        or cut
    )


@given(st.binary(max_size=400))
def test_any_bytes_are_a_source(data: bytes) -> None:
    source = source_of(data)
    parse_scenario(derive(Imported([source])).text())
    for head in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d"):
        other = Source("y")
        formats_capture._pcap(other, head + data)
    formats_capture.nas(other, 1, 0.0, data)
    formats_capture.gsmtap(other, 1, 0.0, b"\x02\x04\x04" + data)


_PIECES = st.sampled_from(
    [*MINICOM.splitlines(), *VENDOR.splitlines(), *APDUS.splitlines(), *SYSLOG.splitlines(), "\x1b[0m", "\ufffd", "\t"]
)


@given(st.lists(st.one_of(_PIECES, st.text(max_size=30)), max_size=25))
@example(['AT+CGLA=1,10,"80E2910003BF3900"', 'AT+CGLA=1,10,"80E2910003BF3900"'])
def test_mixed_lines_are_understood_or_listed(lines: list[str]) -> None:
    text = "\n".join(lines)
    source = source_of("begin\n" + text)
    # A command that relays an APDU and is refused or not answered is a call, and the function inside it another one.
    relays = sum(b"+CGLA=" in packet.data or b"+CSIM=" in packet.data for packet in source.packets)
    assert len(Imported([source]).calls) <= len(source.packets) + relays
    scenario = derive(Imported([source]))
    assert parse_scenario(scenario.text()).conditions == scenario.conditions
    total = sum(source.recognised.values()) + len(source.ignored) + source.ignored_more
    assert total <= len([line for line in ("begin\n" + text).splitlines() if line.strip()]) + text.count("\r") + 5


def test_a_relay_that_is_not_answered_is_a_call_and_so_is_the_function_in_it() -> None:
    """The modem's silence and the card's function are two things to look for; both are where a run has them."""
    asked = 'AT+CGLA=1,16,"80E2910003BF3E00"\n'
    silent = Imported([source_of(asked)]).calls
    assert [(call.lane, call.function, call.result) for call in silent] == [
        ("at:field", "AT+CGLA=", "no answer"),
        ("apdu:field", "GetEID", "no answer"),
    ]
    (answered,) = Imported([source_of(asked + '+CGLA: 4,"6985"\nOK\n')]).calls
    assert (answered.lane, answered.function, answered.ok) == ("apdu:field", "GetEID", False)
    imported = Imported([source_of(asked + '+CGLA: 4,"6985"\nOK\n')])
    (expected,) = derive(imported).signature.calls
    # As a run of the bench has it, on the card's lane
    assert expected.fits(Call("apdu:card", "GetEID", answered.result, False))
    theirs = [Call("apdu:card", "GetEID", answered.result, False)]
    assert parting(imported.calls, theirs) is None


@given(st.binary(max_size=300))
def test_any_journal_is_read(data: bytes) -> None:
    source_of(b"__CURSOR=a\n__REALTIME_TIMESTAMP=1\n" + data)
    source_of(b'{"__REALTIME_TIMESTAMP": "1"}\n' + data)
    source_of(b'{\n"__REALTIME_TIMESTAMP": "1",\n' + data)
    source_of(b'\x1e{"__REALTIME_TIMESTAMP": "1"}\n\x1e' + data)


def test_an_object_of_a_journal_that_is_cut_off_is_listed_and_the_next_one_is_read() -> None:
    whole = '{\n\t"__REALTIME_TIMESTAMP" : "1770091507000000",\n\t"MESSAGE" : "modem rx: +CEREG: 5"\n}\n'
    source = source_of(whole + whole[:60] + "\n" + whole + whole[:-3])
    assert [item.text for item in source.happenings] == ["stat 5", "stat 5"]
    assert [line for line, _ in source.ignored] == [5, 12]


@given(st.text(max_size=200))
def test_any_table_is_read(text: str) -> None:
    source_of("time,rsrp\n" + text)


def test_clocks_are_aligned_with_offset_and_drift() -> None:
    reference, other = Source("a"), Source("b")
    for number, at in enumerate((0.0, 100.0, 1000.0, 5000.0)):
        reference.happenings.append(Happening(1_000_000 + at, number, "registration", f"stat {number}"))
        other.happenings.append(Happening(2_000_000 + at * (1 - 200e-6), number, "registration", f"stat {number}"))
    reference.happenings.append(Happening(1_006_000.0, 9, "restart", "RDY"))
    align([other, reference])
    assert reference.aligned == "the reference"
    assert other.drift == pytest.approx(200, abs=1)
    assert other.common(2_000_000.0) == pytest.approx(1_000_000.0, abs=0.01)
    assert other.common(2_000_000 + 5000 * (1 - 200e-6)) == pytest.approx(1_005_000.0, abs=0.01)
    assert "drift +200" in other.aligned


def test_clocks_that_have_nothing_in_common_are_said_so() -> None:
    one, other, none = Source("a"), Source("b"), Source("c")
    one.happenings.append(Happening(5.0, 1, "registration", "stat 1"))
    other.happenings.append(Happening(9.0, 1, "restart", "RDY"))
    align([one, other, none])
    assert "not aligned" in other.aligned
    assert none.aligned == "no times"
    assert other.offset == 0.0


def test_archives_folders_and_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "at.log").write_text(MINICOM)
    (tmp_path / "empty").touch()
    (tmp_path / "garbage.bin").write_bytes(bytes(range(256)) * 40)
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.write(tmp_path / "sub" / "at.log", "at.log")
        made.writestr("../outside.log", MINICOM)
    found = {
        source.name: source
        for source in read_files([tmp_path / "sub", tmp_path / "empty", tmp_path / "garbage.bin", archive]).sources
    }
    assert found["at.log"].understood
    assert found["empty"].notes == ["an empty file"]
    assert found["garbage.bin"].kind == "no text"
    assert "outside" in found["all.zip"].ignored[0][1]
    assert not (tmp_path.parent / "outside.log").exists()
    with pytest.raises(ReproduceError, match="no such file"):
        read_files([tmp_path / "nowhere"])


@given(st.integers(0, 400), st.integers(0, 255))
def test_damaged_archives_are_listed(at: int, value: int) -> None:
    import io
    import tempfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("at.log", MINICOM)
    data = bytearray(stream.getvalue())
    data[at % len(data)] = value
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(data)
        file.flush()
        assert read_files([Path(file.name)]).sources


@pytest.mark.parametrize(
    "condition",
    [
        Condition("brown-out-1", "brown-out", {"volts": 2.0, "seconds": 1.0}, Moment(step="download", apdu=37)),
        Condition("cell-off-1", "cell-off", {"cell": 2}, Moment(urc="+CEREG: 5*", count=2, after=1.5)),
        Condition(
            "modem-hang-1", "modem-hang", {"until": "supply"}, Moment(log="nas", match={"cause": 17}, after=(1.0, 2.0))
        ),
        Condition("eim-misbehave-1", "eim-misbehave", {"name": "wrong-counter", "count": 0}),
        Condition("link-delay-1", "link-delay", {"delay": 0.5}, Moment(urc="+CEREG: 5*", after=(1.0, 20.0))),
        Condition("power-cut-1", "power-cut", {"seconds": 1.0}, Moment(apdu=(3, 9), phase="after")),
    ],
    ids=lambda item: item.name,
)
def test_a_run_tells_its_conditions_as_they_were(condition: Condition) -> None:
    assert from_fault(condition.fault(), 1, "") == condition
    assert from_fault({"do": "unheard-of"}, 1, "") is None


def test_a_message_stands_for_its_kind() -> None:
    import re

    pattern = words("modem /tmp/run-a/sim: not registered on 26201 within 120 s: registration denied | more")
    assert re.search(pattern, "modem /home/x/run-b/sim: not registered on 00101 within 9 s: registration denied")
    assert not re.search(pattern, "modem /home/x/run-b/sim: registered on 00101 within 9 s: registration denied")


@given(st.text(max_size=250))
def test_every_message_gives_an_expression_that_finds_it(text: str) -> None:
    import re

    assert re.search(words(text), text)


def test_the_capture_kit_is_a_program_of_python_38(tmp_path: Path) -> None:
    import ast

    files = write(tmp_path / "kit")
    ast.parse(SCRIPT, feature_version=(3, 8))
    assert {file.name for file in files} == {"capture.py", "HOW-TO-RECORD.md"}
    line = "2026-02-03T04:05:06.100Z > AT+CGMM\n2026-02-03T04:05:06.150Z < BG95-M3\n2026-02-03T04:05:06.160Z < OK\n"
    source = source_of(line + "2026-02-03T04:05:09.160Z usb: USB disconnect, /dev/ttyUSB2: gone\n")
    assert not source.ignored
    assert source.facts == {"modem": "BG95-M3"}
    assert [item.what for item in source.happenings] == ["port-gone"]


def test_what_cannot_be_written_as_toml_is_left_out() -> None:
    assert importing.plain({"a": None, "b": [1, None], "c": (2.5,), 3: {"x"}}) == {
        "b": [1],
        "c": [2.5],
        "3": "\"{'x'}\"",
    }
