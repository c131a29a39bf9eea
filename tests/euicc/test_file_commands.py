"""Every kind of file on the wire: long answers, BER-TLV objects, life cycle, search, INCREASE, SUCI, the toolkit."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.rsp import ids, tlv
from bench.rsp.interpretation import Interpretation
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.profiles import File, Parameters, aka
from fixtures.profiles import build as build_package
from fixtures.profiles.builder import MINIMUM_SERVICES
from fixtures.sim.euicc import EuiccOptions

from . import parties
from .parties import ISD_R, Bench, Terminal

PARAMETERS = Parameters(
    parties.BOOT_ICCID,
    "001010000000001",
    parties.K,
    parties.OPC,
    "BOOT",
    None,
    services=MINIMUM_SERVICES | {124, 125},
    files=(
        File("2F50", bytes(range(256)) * 3, access=9),  # PIN1 updates, all read
        File("2F51", size=500, structure="ber-tlv", access=9),
        File("7FFF/7F66/4F01", b"\0\0\1", structure="cyclic", record=3, size=9, access=7, sfi=5),
        File("7FFF/7F66/4F02", structure="linear", record=10, size=50, access=13),  # PIN1: read, update, activate
        File("7FFF/7F66/4F03", b"secret", access=3),  # ADM1 only
        File("2F52", b"\1" * 255 * 3, structure="linear", record=255, access=9),
    ),
)
PUBLIC_A = "5a8d38864820197c3394b92613b20b91633cbd897119273bf8e4a6f4eec0a650"


@pytest.fixture
def terminal(bench: Bench) -> Terminal:
    bench.boot.write_bytes(build_package(PARAMETERS))
    return bench.terminal()


def status(terminal: Terminal, command: str) -> str:
    return f"{terminal.apdu(command)[1]:04x}"


def raw(terminal: Terminal, command: str) -> str:
    return terminal.raw(bytes.fromhex(command)).hex()


# --- lengths ------------------------------------------------------------------------------------------


def test_256_bytes_and_more_in_one_command_or_several(terminal: Terminal) -> None:
    terminal.ok("00a40004022f50")
    whole = terminal.raw(bytes.fromhex("00b0000000"))
    assert (len(whole), whole[-2:].hex()) == (258, "9000")
    assert whole[:-2] == bytes(range(256))
    assert terminal.ok("00b00100ff") == bytes(range(255))
    assert terminal.ok("00b001ff02").hex() == "ff00"
    assert raw(terminal, "00b002ff02") == "6c01"
    assert raw(terminal, "00b0030001") == "6b00"
    assert raw(terminal, "00b07fff01") == "6b00"
    # Lc 255: the longest data of a short command
    terminal.ok("00d60101ff" + "a5" * 255)
    assert terminal.ok("00b0010000") == b"\0" + b"\xa5" * 255
    assert status(terminal, "00d60201ff" + "00" * 255) == "9000"
    assert status(terminal, "00d60202ff" + "00" * 255) == "6700"
    terminal.ok("00a40004022f52")
    assert terminal.ok("00b20104ff") == b"\1" * 255
    assert raw(terminal, "00b2010400") == "6cff"
    terminal.ok("00dc0204ff" + "02" * 255)
    assert terminal.ok("00b20204ff") == b"\2" * 255
    assert status(terminal, "00dc0204fe" + "02" * 254) == "6700"


@pytest.mark.parametrize("protocol", ["T=0", "T=1"])
def test_answers_of_any_length_come_by_get_response(bench: Bench, protocol: str) -> None:
    """Lc 255, and an answer of more than 256 bytes: ES10b.GetCerts with a member that the card does not know."""
    bench.options = EuiccOptions(protocol=protocol)  # type: ignore[arg-type]
    card = bench.card()
    card.power_on()
    channel = card.transmit(bytes.fromhex("0070000001"))[0]
    card.transmit(bytes((channel, 0xA4, 4, 0, 16)) + ISD_R)
    request = build(0xBF56, build(0x85, bytes(248)))
    assert len(request) == 255
    answer = card.transmit(bytes((0x80 | channel, 0xE2, 0x91, 0, 255)) + request + b"\0")
    data, rounds = b"", 0
    if protocol == "T=0":
        assert answer == bytes.fromhex("6100")  # 256 or more wait
    while answer[-2] == 0x61:
        data += answer[:-2]
        answer = card.transmit(bytes((channel, 0xC0, 0, 0, answer[-1])))
        assert len(answer) <= 258
        rounds += 1
    data += answer[:-2]
    assert answer[-2:].hex() == "9000"
    found = tlv.first(data)
    assert (found.tag, len(data) > 512, rounds >= 2) == (0xBF56, True, True)
    assert card.transmit(bytes((channel, 0xC0, 0, 0, 1))).hex() == "6985"


# --- BER-TLV ------------------------------------------------------------------------------------------


def test_data_objects_are_set_read_listed_and_deleted(bench: Bench, terminal: Terminal) -> None:
    fcp = terminal.ok("00a40004022f51").hex()
    assert fcp == "62" + "1f" + "82027921" + "83022f51" + "a507" + "840101" + "860201f4" + "8a0105" + "8b032f0604" + (
        "800201f4" + "8800"
    )
    assert terminal.ok("80cb0080015c00").hex() == "5c00"
    assert status(terminal, "80cb0080018000") == "6a88"
    terminal.ok("80db00800380" + "01aa")
    terminal.ok("80db00800681" + "04a0ffff80")  # a value that is no TLV is nobody's business
    terminal.ok("80db008006df3f03010203")
    assert terminal.ok("80cb0080018000").hex() == "8001aa"
    assert terminal.ok("80cb008002df3f00").hex() == "df3f03010203"
    assert terminal.ok("80cb0080015c00").hex() == "5c048081df3f"
    terminal.ok("80db00800380" + "01bb")
    assert terminal.ok("80cb0080018000").hex() == "8001bb"
    terminal.ok("80db00800181")
    assert status(terminal, "80db00800181") == "6a88"
    terminal.card.power_off()
    again = bench.terminal()
    again.ok("00a40004022f51")
    assert again.ok("80cb0080015c00").hex() == "5c03df3f80"


def test_long_data_objects_go_in_blocks(terminal: Terminal) -> None:
    terminal.ok("00a40004022f51")
    value = bytes(range(200)) * 2
    whole = build(0x85, value)
    assert raw(terminal, "80db0080ff" + whole[:255].hex()) == "63f1"
    assert raw(terminal, f"80db0000{len(whole) - 255:02x}" + whole[255:].hex()) == "9000"
    # on T=0 the warning is told first, the data comes with GET RESPONSE, and then the next block
    assert raw(terminal, "80cb00800185") == "62f1"
    assert raw(terminal, "00c0000000")[-4:] == "62f1"
    assert raw(terminal, "80cb000000") == f"6c{len(whole) - 256:02x}"
    rest = terminal.raw(bytes.fromhex(f"80cb0000{len(whole) - 256:02x}"))
    assert rest[:-2] == whole[256:]
    assert rest[-2:].hex() == "9000"
    assert raw(terminal, "80cb000001") == "6985"  # nothing is left
    # refusals
    assert raw(terminal, "80db000001aa") == "6985"  # no first block
    assert raw(terminal, "80db008004" + "85820200") == "6a84"  # 512 bytes do not fit
    assert raw(terminal, "80db00800480018080") == "6a80"  # more than the length says
    assert raw(terminal, "80db0080021fff") == "6a80"
    assert raw(terminal, "80db00a00180") == "6a86"
    assert raw(terminal, "80cb00800400000000") == "6700"
    assert raw(terminal, "00b0000001") == "6981"
    terminal.ok("00a40004022f50")
    assert raw(terminal, "80cb008001" + "80") == "6981"


# --- records ------------------------------------------------------------------------------------------


def in_7f66(terminal: Terminal, fid: str) -> None:
    terminal.select_usim()
    terminal.ok("00a40804067fff7f66" + fid)


def test_cyclic_files_and_increase(terminal: Terminal) -> None:
    in_7f66(terminal, "4f01")
    assert terminal.ok("8032000003000004").hex() == "000005" + "000004"
    assert [terminal.ok(f"00b20{n}0403").hex() for n in (1, 2, 3)] == ["000005", "000001", "ffffff"]
    assert terminal.ok("8032850001ff").hex() == "000104" + "ff"  # by its short identifier
    assert status(terminal, "8032000003ffffff") == "9850"
    assert status(terminal, "803200000400000000") == "6700"
    assert status(terminal, "00dc000303" + "000000") == "9000"
    assert status(terminal, "00dc010403" + "000000") == "6981"
    assert terminal.ok("00b2000203").hex() == "000104"  # next after the new first
    assert status(terminal, "8032010003000001") == "6a86"
    terminal.ok("00a4000402" + "4f02")
    assert status(terminal, "8032000003000001") == "6981"


def test_search_record_simple_and_enhanced(terminal: Terminal) -> None:
    in_7f66(terminal, "4f02")
    for number, text in enumerate((b"alpha", b"beta", b"gamma", b"alpha", b"delta"), 1):
        terminal.ok(f"00dc{number:02x}040a" + text.ljust(10, b"\xff").hex())
    assert terminal.ok("00a2010405" + b"alpha".hex()).hex() == "0104"
    assert terminal.ok("00a2020405" + b"alpha".hex()).hex() == "04"
    assert terminal.ok("00b200020a")[:5] == b"delta"  # the pointer stands on the record found
    assert terminal.ok("00a2030505" + b"alpha".hex()).hex() == "01"
    assert terminal.ok("00a2050501" + "61").hex() == "0504030201"
    assert raw(terminal, "00a2010405" + b"omega".hex()) == "6282"
    assert terminal.ok("00a2010604" + "0403" + b"ta".hex()).hex() == "05"  # from byte 3 of the record
    assert terminal.ok("00a2010605" + "0c" + b"m".hex() + b"mma"[1:].hex() + "ff").hex() == "03"  # from the first m
    assert terminal.ok("00a2010605" + "0600" + b"alp".hex()).hex() == "04"  # from the next record on
    assert terminal.ok("00a2040605" + "0700" + b"alp".hex()).hex() == "01"  # from the previous one back
    for command, expected in {
        "00a201060204": "6700",
        "00a2010603000061": "6a80",
        "00a201070161": "6a86",
        "00a206040161": "6a83",
        "00a201040b" + "61" * 11: "6700",
        "00a201" + "fc" + "0161": "6a86",
    }.items():
        assert raw(terminal, command) == expected, command


# --- life cycle and access ----------------------------------------------------------------------------


def test_deactivated_until_activated_again(bench: Bench, terminal: Terminal) -> None:
    in_7f66(terminal, "4f02")
    assert status(terminal, "0004000000") == "6982"  # rule 13: ADM1 deactivates, PIN1 activates
    terminal.ok("0020000a08" + "3535353535353535")
    assert status(terminal, "0004000000") == "9000"
    assert status(terminal, "00b201040a") == "6984"
    assert status(terminal, "00dc01040a" + "00" * 10) == "6984"
    terminal.card.power_off()
    again = bench.terminal()
    again.select_usim()
    # On T=0 the warning comes first, then the FCP by GET RESPONSE.
    assert raw(again, "00a40804067fff7f664f02") == "6283"
    length = again.raw(bytes.fromhex("00c0000000"))
    fcp = again.raw(bytes.fromhex("00c00000") + length[-1:])
    assert fcp[-2:].hex() == "6283" and "8a0104" in fcp.hex()
    assert raw(again, "00b201040a") == "6984"
    assert raw(again, "00a4080c067fff7f664f02") == "6283"
    again.ok("0044000000")
    assert again.ok("00b201040a") == b"\xff" * 10
    assert status(again, "00a40804067fff7f664f02") == "9000"
    for command, expected in {
        "0004000002" + "4f77": "6a82",
        "0044080006" + "7fff7f664f02": "9000",
        "0044000001" + "4f": "6700",
        "0044000002" + "7f66": "6981",
        "0044010000": "6a86",
        "00440001024f02": "6a86",
    }.items():
        assert status(again, command) == expected, command
    again.ok("00a40004023f00")
    assert status(again, "0044000000") == "6986"


def test_rules_of_own_files_are_kept(terminal: Terminal) -> None:
    in_7f66(terminal, "4f03")
    assert status(terminal, "00b0000006") == "6982"
    terminal.ok("0020000a08" + "3535353535353535")
    assert terminal.ok("00b0000006") == b"secret"
    # a PIN that is enabled and not presented closes what PIN1 opens
    terminal.card.reset()
    terminal.ok("0028000108" + "30303030ffffffff")
    terminal.card.reset()
    terminal.ok("00a40004022f50")
    assert status(terminal, "00d6000001" + "00") == "6982"
    assert len(terminal.ok("00b0000010")) == 16
    terminal.ok("0020000108" + "30303030ffffffff")
    terminal.ok("00d6000001" + "00")


def test_termination_of_the_application_forgets_its_own_pin(terminal: Terminal) -> None:
    terminal.select_usim()
    terminal.ok("0020008108" + "39393939ffffffff")
    assert status(terminal, "00200081") == "9000"
    terminal.ok("00a4044407a0000000871002")  # P2 44: terminate
    assert status(terminal, "00a40004027fff") == "6a82"
    terminal.select_usim()
    assert status(terminal, "00200081") == "63c3"


def test_a_pin_and_its_puk_are_blocked_for_good(bench: Bench, terminal: Terminal) -> None:
    wrong = "3939393900000000"
    for left in (2, 1, 0):
        terminal.select_usim()
        assert status(terminal, "0020008108" + wrong) == f"63c{left}"
    assert status(terminal, "00200081") == "6983"
    for left in range(9, -1, -1):
        assert status(terminal, "002c008110" + wrong * 2) == f"63c{left:x}"
    terminal.card.power_off()
    again = bench.terminal()
    again.select_usim()
    assert status(again, "002c0081") == "6983"
    assert status(again, "002c008110" + "3232323232323232" + "30" * 8) == "6983"
    assert status(again, "0020008108" + "39393939ffffffff") == "6983"


def test_what_the_device_writes_belongs_to_the_profile(bench: Bench, pki: Pki) -> None:
    """Files, PINs and the sequence number of one profile are there again when it is enabled again."""
    terminal = bench.terminal()
    eim = parties.Eim(pki.eim)
    eim.associate(terminal)
    assert parties.pir(parties.install(terminal, pki))[0] == "ok"
    terminal.select_usim()
    terminal.ok("00d68d0003" + "62f220")
    terminal.ok("0028000108" + "30303030ffffffff")

    def enable(iccid: str) -> None:
        answer = terminal.es10(eim.package(build(0xA3, build(0x5A, ids.iccid_bytes(iccid)))))
        assert parties.results(answer)[0] == "830100"
        terminal.card.reset()
        terminal.open_isd_r()
        assert terminal.iccid() == iccid
        terminal.select_usim()

    enable(parties.OPER_ICCID)
    assert terminal.ok("00b08d000c").hex() == "ff" * 12  # its own EF.FPLMN, and its PIN is disabled
    assert status(terminal, "0020000100") == "9000"
    enable(parties.BOOT_ICCID)
    assert status(terminal, "00200001") == "63c3"
    terminal.ok("0020000108" + "30303030ffffffff")
    assert terminal.ok("00b08d000c").hex() == "62f220" + "ff" * 9


# --- channels -----------------------------------------------------------------------------------------


def test_a_channel_opened_from_another_begins_where_that_one_is(terminal: Terminal) -> None:
    terminal.ok("01a4040c07a0000000871002")
    terminal.ok("01a4000c027f66")
    opened = terminal.ok("0170000001")[0]
    assert terminal.ok(f"0{opened}a40004024f01").hex().startswith("62")
    assert terminal.ok(f"8{opened}f2000112").hex().startswith("8410a0000000871002")
    from_basic = terminal.ok("0070000001")[0]
    assert status(terminal, f"0{from_basic}a40004024f01") == "6a82"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("80a40004023f00", "6e00"),
        ("8070000001", "6e00"),
        ("80b0000001", "6e00"),
        ("00f2000000", "6e00"),
        ("0010000001ff", "6e00"),
        ("80fe000000", "6d00"),
        ("00c0000001", "6985"),
        ("0084000108", "6a86"),
        ("80aa000000", "6700"),
        ("80aa000002a900", "9000"),
        ("80aa000002ab00", "6a80"),
        ("80aa010002a900", "6a86"),
        ("8010000000", "6700"),
        ("80c2000002d300", "9000"),
        ("80c20000020100", "6a80"),
        ("8078000200", "6a86"),
        ("8078000100", "6985"),
    ],
)
def test_status_words(terminal: Terminal, command: str, expected: str) -> None:
    terminal.card.reset()
    assert raw(terminal, command) == expected


# --- SUCI ---------------------------------------------------------------------------------------------


def test_get_identity(bench: Bench, terminal: Terminal) -> None:
    terminal.select_usim()
    # nothing says how: the null scheme
    assert terminal.ok("8078000100").hex() == "a10d" + "0100f110" + "f0ff" + "0000" + "0000000010"
    files = (
        File("7FFF/5FC0/4F0A", bytes.fromhex("2143ffff")),
        File("7FFF/5FD0/4F01", bytes.fromhex(f"a002{'0101'}a125{'80011e8120'}{PUBLIC_A}"), size=80, access=3),
    )
    bench.boot.write_bytes(build_package(dataclasses.replace(PARAMETERS, files=files)))
    other = bench.terminal("suci")
    other.select_usim()
    first, second = other.ok("8078000100"), other.ok("8078000100")
    assert first[:10].hex() == "a135" + "0100f110" + "2143" + "011e"
    assert len(first) == 2 + 8 + 32 + 5 + 8
    assert first != second
    bench.boot.write_bytes(build_package(dataclasses.replace(PARAMETERS, services=MINIMUM_SERVICES)))
    without = bench.terminal("without")
    without.select_usim()
    assert status(without, "8078000100") == "6a81"


def test_gsm_context_needs_its_service(bench: Bench) -> None:
    bench.boot.write_bytes(build_package(dataclasses.replace(PARAMETERS, services=MINIMUM_SERVICES - {38})))
    terminal = bench.terminal()
    terminal.select_usim()
    assert status(terminal, "0088008011" + "10" + "00" * 16) == "9864"


# --- other readings -----------------------------------------------------------------------------------


def test_cards_of_another_reading(bench: Bench) -> None:
    reading = Interpretation(search_not_found="6A83", empty_verify="invalidated", test_algorithm_sqn="fresh")
    xor = dataclasses.replace(PARAMETERS, algorithm=aka.Algorithm.XOR)
    bench.boot.write_bytes(build_package(xor))
    functions = aka.XorTest(parties.K)
    made = aka.vector(functions, sqn=64, amf=b"\x80\0", rand=bytes(16))
    command = "0088008122" + "10" + made.rand.hex() + "10" + made.autn.hex()
    for name, options, expected in (
        ("usual", EuiccOptions(), ("6282", "9000", "db10")),
        ("other", EuiccOptions(interpretation=reading), ("6a83", "6984", "dc0e")),
    ):
        bench.options = options
        terminal = bench.terminal(name)
        in_7f66(terminal, "4f02")
        assert raw(terminal, "00a2010405" + b"omega".hex()) == expected[0]
        assert raw(terminal, "00200001") == expected[1]
        assert terminal.ok(command)[:2].hex() == "db10"
        assert terminal.ok(command)[:2].hex() == expected[2]  # the same vector again


# --- against a model ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lasting(pki: Pki) -> Terminal:
    bench = Bench(Path(tempfile.mkdtemp(dir=pki.folder.parent)), pki)
    bench.boot.write_bytes(build_package(PARAMETERS))
    return bench.terminal()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("binary"), st.integers(0, 800), st.binary(min_size=1, max_size=255)),
        st.tuples(st.just("record"), st.integers(1, 6), st.binary(min_size=9, max_size=11)),
        st.tuples(st.just("object"), st.sampled_from((0x80, 0x85, 0x9F10)), st.binary(max_size=200)),
        st.tuples(st.just("reset"), st.just(0), st.just(b"")),
    ),
    max_size=12,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_files_hold_what_was_written_and_nothing_else(lasting: Terminal, steps: list[tuple[str, int, bytes]]) -> None:
    """Random writes, right and wrong ones: a refused one changes nothing, an accepted one exactly what it says."""
    terminal = lasting
    terminal.card.reset()
    binary, records, objects = read_all(terminal)
    for kind, where, data in steps:
        if kind == "reset":
            terminal.card.reset()
        elif kind == "binary":
            terminal.ok("00a4080c022f50")
            _, code = terminal.apdu(bytes((0, 0xD6, where >> 8, where & 255, len(data))) + data)
            fits = where + len(data) <= len(binary)
            assert code == (0x9000 if fits else 0x6B00 if where >= len(binary) else 0x6700)
            if fits:
                binary = binary[:where] + data + binary[where + len(data) :]
        elif kind == "record":
            in_7f66(terminal, "4f02")
            _, code = terminal.apdu(bytes((0, 0xDC, where, 4, len(data))) + data)
            right = where <= 5 and len(data) == 10
            assert code == (0x9000 if right else 0x6A83 if where > 5 else 0x6700)
            if right:
                records[where - 1] = data
        else:
            terminal.ok("00a4080c022f51")
            whole = build(where, data)
            _, code = terminal.apdu(bytes((0x80, 0xDB, 0, 0x80, len(whole))) + whole)
            others = sum(len(build(tag, value)) for tag, value in objects.items() if tag != where)
            assert code == (0x9000 if others + len(whole) <= 500 else 0x6A84)
            if code == 0x9000:
                objects[where] = data
        assert terminal.card.faults == 0
    assert read_all(terminal) == (binary, records, objects)


def read_all(terminal: Terminal) -> tuple[bytes, list[bytes], dict[int, bytes]]:
    terminal.ok("00a4080c022f50")
    binary = b"".join(terminal.ok(f"00b00{page}0000") for page in range(3))
    in_7f66(terminal, "4f02")
    records = [terminal.ok(f"00b2{number:02x}040a") for number in range(1, 6)]
    terminal.ok("00a4080c022f51")
    tags, rest = [], tlv.first(terminal.ok("80cb0080015c00")).value
    while rest:
        length = 1 if rest[0] & 0x1F != 0x1F else 2
        tags.append(rest[:length])
        rest = rest[length:]
    objects = {
        int.from_bytes(tag, "big"): tlv.first(terminal.ok(b"\x80\xcb\0\x80" + bytes((len(tag),)) + tag + b"\0")).value
        for tag in tags
    }
    return binary, records, objects


def test_the_imsi_of_this_card_is_the_package_s(terminal: Terminal) -> None:
    assert terminal.imsi() == "001010000000001"
    assert ids.iccid_digits(terminal.file(0x2FE2)) == parties.BOOT_ICCID
