"""The file system on the wire: literal FCPs, selection, reading and writing, PINs, AUTHENTICATE, channels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.rsp import ids
from fixtures import profiles
from fixtures.profiles import Parameters, aka, build
from fixtures.profiles.builder import MINIMUM_SERVICES
from fixtures.sim.euicc import ATR, EuiccOptions, VirtualEuicc

from . import parties
from .parties import ISD_R, Bench, Refused, Terminal


def status(terminal: Terminal, command: str) -> str:
    return f"{terminal.apdu(command)[1]:04x}"


def test_atr_is_a_valid_t0_answer_of_an_euicc() -> None:
    check = 0
    for octet in ATR[1:]:
        check ^= octet
    assert check == 0
    assert (ATR[0], ATR[1]) == (0x3B, 0x9F)  # direct convention, TA1 and TD1, 15 historical bytes
    assert ATR[3] == 0x80  # TD1: T=0
    assert ATR[4] == 0x3F  # TD2: TA3, TB3, T=15
    assert ATR[6] == 0x82  # TB3: eUICC
    assert len(ATR) == 2 + 5 + 15 + 1


def test_literal_fcps(terminal: Terminal) -> None:
    terminal.select_usim()
    assert terminal.ok("00a40004026f07").hex() == "62178202412183026f078a01058b036f060280020009880138"
    mf = terminal.ok("00a40004023f00").hex()
    assert mf.startswith("62298202782183023f00a50c8001718304")
    assert mf.endswith("8701018a01058b032f0603c60990014083010183010a")
    directory = terminal.ok("00a40004022f00").hex()
    assert directory == "621a8205422100260283022f008a01058b032f06018002004c8801f0"


def test_adf_is_selected_by_aid_and_part_of_it(terminal: Terminal) -> None:
    fcp = terminal.ok("00a4040407a0000000871002").hex()
    assert "8410a0000000871002ffffffff8907090000" in fcp
    assert terminal.ok("00a4040410a0000000871002ffffffff8907090000").hex() == fcp
    assert terminal.ok("80f20000" + f"{len(fcp) // 2:02x}").hex() == fcp
    assert terminal.ok("80f2000112").hex() == "8410a0000000871002ffffffff8907090000"
    assert status(terminal, "80f2000c") == "9000"
    assert status(terminal, "00a4040407a0000000871004") == "6a82"
    assert status(terminal, "00a4040205a000000087") == "6a82"  # next after the only one
    assert status(terminal, "00a404000100") == "6a82"


def test_selection_rules(terminal: Terminal) -> None:
    assert status(terminal, "00a40004027fff") == "6a82"  # no ADF on this channel yet
    terminal.select_usim()
    assert status(terminal, "00a40004026f07") == "9000"
    assert status(terminal, "00a40004022fe2") == "6a82"  # an EF of the MF is out of reach from here
    assert status(terminal, "00b0000009") == "9000"  # and the failed SELECT left IMSI selected
    assert status(terminal, "00a40004023f00") == "9000"
    assert status(terminal, "00a40004022fe2") == "9000"
    assert status(terminal, "00a40004027fff") == "9000"
    assert status(terminal, "00a40804047fff6f07") == "9000"
    assert terminal.ok("00b0000009").hex() == "080910100000000010"
    assert terminal.ok("00a4080c022fe2") == b""
    assert terminal.ok("00b000000a").hex() == "980001010000000010f9"
    assert status(terminal, "00a40004027fd0") == "6a82"  # the temporary identifier is no name
    assert status(terminal, "00a408040" + "47fd06f07") == "6a82"
    assert status(terminal, "00a40004027f20") == "6a82"
    assert status(terminal, "00a4050402" + "3f00") == "6a86"
    assert status(terminal, "00a40004033f0000") == "6700"
    assert status(terminal, "00a4030400") == "9000"


def test_short_file_identifiers_and_lengths(terminal: Terminal) -> None:
    terminal.select_usim()
    assert terminal.ok("00b0870009").hex() == "080910100000000010"
    assert terminal.raw(bytes.fromhex("00b0870000")).hex() == "6c09"
    assert terminal.raw(bytes.fromhex("00b087000a")).hex() == "6c09"
    assert terminal.ok("00b0870004").hex() == "08091010"
    assert terminal.ok("00b0000405").hex() == "0000000010"
    assert status(terminal, "00b0000901") == "6b00"
    assert status(terminal, "00b09c0001") == "6a82"
    assert status(terminal, "00b09f0001") == "6a86"  # 31 is no short FID
    assert status(terminal, "00b0ff0001") == "6a86"
    assert terminal.ok("00b0830004").hex() == "00000002"  # AD
    assert terminal.ok("00b2010c04").hex() == "11f2ff00"  # ECC by SFI 1
    assert terminal.raw(bytes.fromhex("00b2010c00")).hex() == "6c04"
    assert status(terminal, "00b2020c04") == "6a83"
    assert status(terminal, "00b00000" + "01") == "6981"


def test_records_of_ef_dir(terminal: Terminal) -> None:
    terminal.ok("00a40004022f00")
    first = terminal.ok("00b2010426")
    assert first.hex().startswith("61184f10a0000000871002ffffffff8907090000500455")
    assert terminal.ok("00b2000226") == first
    assert terminal.ok("00b2000226") == b"\xff" * 38
    assert status(terminal, "00b2000226") == "6a83"
    assert terminal.ok("00b2000326") == first
    assert terminal.ok("00a2010404a0000000") == b"\x01"
    assert status(terminal, "00a20104021234") == "6282"
    assert status(terminal, "00b2010526") == "6a86"


def test_writes_are_checked_and_survive(bench: Bench, terminal: Terminal) -> None:
    terminal.select_usim()
    terminal.ok("00a40004026f7b")
    terminal.ok("00d6000003" + "00f110")
    assert terminal.ok("00b000000c").hex() == "00f110" + "ff" * 9
    assert status(terminal, "00d6000a03" + "000000") == "6700"
    assert status(terminal, "00d6000c03" + "000000") == "6b00"
    terminal.ok("00d69e0012" + "0bf600f110000100000001ff" + "00f1100001" + "00")  # EPSLOCI by SFI
    assert status(terminal, "00d6870001" + "00") == "6982"  # IMSI needs ADM1
    assert status(terminal, "00d6830001" + "00") == "6982"
    assert status(terminal, "00b2010426") == "6981"
    # over a reset, and in another process
    terminal.card.power_off()
    assert terminal.card.transmit(bytes.fromhex("00a40004023f00")) == b""
    again = bench.terminal()
    again.select_usim()
    assert again.ok("00b08d000c").hex() == "00f110" + "ff" * 9
    assert again.ok("00b09e0012").hex() == "0bf600f110000100000001ff00f110000100"


def test_adm_key_opens_what_the_rule_names(terminal: Terminal) -> None:
    terminal.select_usim()
    assert status(terminal, "0020000a08" + "3636363636363636") == "63c9"
    assert status(terminal, "0020000a") == "63c9"
    assert status(terminal, "00d6870009" + "080910100000000020") == "6982"
    terminal.ok("0020000a08" + "3535353535353535")
    terminal.ok("00d6870009" + "080910100000000020")
    assert terminal.ok("00b0870009").hex() == "080910100000000020"
    terminal.card.reset()
    terminal.select_usim()
    assert status(terminal, "00d6870009" + "080910100000000010") == "6982"
    assert status(terminal, "0020000a") == "63ca"


def test_retry_counters_of_a_modem_at_start(terminal: Terminal) -> None:
    assert status(terminal, "0020000100") == "9000"  # disabled
    assert status(terminal, "002c000100") == "63ca"
    assert status(terminal, "0020008100") == "6a88"  # PIN2 is local to the USIM
    terminal.select_usim()
    assert status(terminal, "0020008100") == "63c3"
    assert status(terminal, "002c008100") == "63ca"


def test_pin_life(terminal: Terminal) -> None:
    good, bad = "30303030ffffffff", "31323334ffffffff"
    assert status(terminal, "0020000108" + good) == "6984"
    terminal.ok("0028000108" + good)
    terminal.card.reset()
    terminal.select_usim()
    assert status(terminal, "00b0870009") == "6982"
    assert status(terminal, "00200001") == "63c3"
    for left in "210":
        assert status(terminal, "0020000108" + bad) == f"63c{left}"
    assert status(terminal, "0020000108" + good) == "6983"
    terminal.card.reset()
    terminal.select_usim()
    assert status(terminal, "0020000108" + good) == "6983"
    assert status(terminal, "002c000110" + "3131313131313132" + bad) == "63c9"
    terminal.ok("002c000110" + "3131313131313131" + bad)
    terminal.ok("00b0870009")
    terminal.ok("0024000110" + bad + good)
    terminal.ok("0026000108" + good)
    terminal.card.reset()
    terminal.select_usim()
    terminal.ok("00b0870009")
    assert status(terminal, "0020000108" + "00") == "6700"


def test_channels_up_to_nineteen(terminal: Terminal) -> None:
    for expected in range(2, 20):
        assert terminal.ok("0070000001") == bytes((expected,))
    assert status(terminal, "0070000001") == "6a81"
    assert status(terminal, "00a40004023f00".replace("00a4", "4fa4", 1)) == "9000"  # channel 19
    assert status(terminal, "4fb0000009") == "6986"
    assert status(terminal, "00708013") == "9000"
    assert status(terminal, "4fa40004023f00") == "6881"
    assert status(terminal, "00708013") == "6881"
    assert status(terminal, "00708000") == "6a86"
    assert status(terminal, "00700005" + "00") == "6a81"
    terminal.ok("00708005")
    assert status(terminal, "00700005") == "9000"
    assert terminal.card.state().channels == tuple(range(19))
    assert terminal.raw(bytes.fromhex("0070000000")).hex() == "6c01"
    assert terminal.card.state().channels == tuple(range(19))


def test_each_channel_has_its_own_selection_and_response(terminal: Terminal) -> None:
    terminal.select_usim()
    assert terminal.ok("0070000001") == b"\x02"
    assert terminal.raw(bytes.fromhex("00a40004026f07")).hex() == "6119"
    assert terminal.raw(bytes.fromhex("02a40004022fe2")).hex() == "6119"
    assert terminal.ok("00c0000019").hex().startswith("62178202412183026f07")
    assert terminal.ok("02c0000019").hex().startswith("62178202412183022fe2")
    assert terminal.raw(bytes.fromhex("02c0000019")).hex() == "6985"
    assert terminal.ok("02b000000a").hex() == "980001010000000010f9"
    assert terminal.ok("00b0000009").hex() == "080910100000000010"


def test_get_response_in_parts_and_with_a_wrong_length(terminal: Terminal) -> None:
    terminal.select_usim()
    assert terminal.raw(bytes.fromhex("00a40004026f07")).hex() == "6119"
    assert terminal.raw(bytes.fromhex("00c0000000")).hex() == "6c19"
    first = terminal.raw(bytes.fromhex("00c0000010"))
    assert first[-2:].hex() == "6109"
    assert (first[:-2] + terminal.raw(bytes.fromhex("00c0000009"))[:-2]).hex().startswith("621782024121")
    terminal.raw(bytes.fromhex("00a40004026f07"))
    terminal.raw(bytes.fromhex("00b0000009"))
    assert terminal.raw(bytes.fromhex("00c0000019")).hex() == "6985"  # another command came between


def test_t1_returns_data_at_once(bench: Bench) -> None:
    bench.options = EuiccOptions(protocol="T=1")
    card = bench.card()
    card.power_on()
    assert card.transmit(bytes.fromhex("00a40004022fe200"))[-2:].hex() == "9000"
    assert card.transmit(bytes.fromhex("00b0000000")).hex() == "980001010000000010f99000"
    assert card.transmit(bytes.fromhex("0070000000")).hex() == "019000"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("", "6700"),
        ("00a4", "6700"),
        ("00a40004053f00", "6700"),
        ("00a4000400003f00", "6700"),
        ("a0a40000023f00", "6e00"),
        ("ffa40000023f00", "6e00"),
        ("20a40000023f00", "6e00"),
        ("04a40000023f00", "6882"),
        ("10a40000023f00", "6884"),
        ("03a40000023f00", "6881"),
        ("00ff000000", "6d00"),
        ("80ff000000", "6d00"),
        ("80e2910003bf3e00", "6d00"),
        ("801200000b", "6f00"),
        ("8014000000", "6985"),
    ],
)
def test_status_words_of_wrong_commands(terminal: Terminal, command: str, expected: str) -> None:
    assert terminal.raw(bytes.fromhex(command)).hex() == expected


def test_terminal_commands_are_taken(terminal: Terminal) -> None:
    for command in ("80aa000005a903830107", "80100000041fe5ffff", "80c2000002d100"):
        assert status(terminal, command) == "9000"
    assert len(terminal.ok("0084000008")) == 8


def milenage_card(bench: Bench, services: frozenset[int]) -> Terminal:
    parameters = Parameters(
        parties.BOOT_ICCID, "001010000000001", parties.K, parties.OPC, "BOOT", None, services=services
    )
    bench.boot.write_bytes(build(parameters))
    terminal = bench.terminal()
    terminal.select_usim()
    return terminal


LITERAL = "23553cbe9637a89d218ae64dae47bf35"
AUTHENTICATE = "008800812210" + LITERAL + "10" + "55f328b43577b9b94a9ffac354dfafb3"


def test_authenticate_literal_vectors(bench: Bench) -> None:
    terminal = milenage_card(bench, MINIMUM_SERVICES | {27})
    profile = terminal.card._core.state.enabled
    assert profile is not None
    # the published SQN is far ahead of a new card: bring the card to just before it
    profile.sqn["a0000000871002ffffffff8907090000"] = [(0xFF9BB4D0B607 >> 5) - 1] * 32
    answer = terminal.ok(AUTHENTICATE).hex()
    assert answer == (
        "db08a54211d5e3ba50bf10b40ba9a3c58b2a05bbf0d987b21bf8cb10f769bcd751044604127672711c6d344108eae4be823af9a08b"
    )
    assert terminal.ok(AUTHENTICATE).hex() == "dc0eba853f3c123ccf44e93596e355c6"
    assert terminal.ok("008800801110" + LITERAL).hex() == "0446f8416a08eae4be823af9a08b"
    # the sequence number is kept over power loss
    terminal.card.power_off()
    again = bench.terminal()
    again.select_usim()
    assert again.ok(AUTHENTICATE).hex() == "dc0eba853f3c123ccf44e93596e355c6"


def test_authenticate_without_gsm_service_and_its_refusals(bench: Bench) -> None:
    terminal = milenage_card(bench, MINIMUM_SERVICES)
    functions = aka.Milenage(parties.K, parties.OPC)
    made = aka.vector(functions, sqn=64, amf=b"\x80\x00", rand=bytes(16))
    command = "0088008122" + "10" + made.rand.hex() + "10" + made.autn.hex()
    answer = terminal.ok(command)
    assert answer == b"\xdb\x08" + made.xres + b"\x10" + made.ck + b"\x10" + made.ik
    assert status(terminal, command[:-2] + "00" if not command.endswith("00") else command[:-2] + "01") == "9862"
    # far ahead: out of the window, and the network catches up with AUTS
    far = aka.vector(functions, sqn=1 << 47, amf=b"\x80\x00", rand=bytes(16))
    auts = terminal.ok("0088008122" + "10" + far.rand.hex() + "10" + far.autn.hex())
    assert auts[:2].hex() == "dc0e"
    assert aka.resynchronise(functions, rand=far.rand, auts=auts[2:]) == 64
    assert status(terminal, "008800811110" + LITERAL) == "6700"
    assert status(terminal, "008800822210" + LITERAL + "10" + LITERAL) == "6a86"
    terminal.card.reset()
    assert status(terminal, command) == "6985"  # no application selected


def test_ts48_profile_on_the_card(bench: Bench) -> None:
    root = Path(os.environ.get("BENCH_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
    path = root / "ts48" / "TS48V5-SAIP2-3-NOBERTLV-UNIQUE.der"
    if not path.exists():
        pytest.skip(f"TS.48 samples are not there: set BENCH_SHARED_DATA to the folder that holds {path.name}")
    bench.boot.write_bytes(path.read_bytes())
    terminal = bench.terminal()
    assert terminal.iccid() == profiles.Package.parse(path.read_bytes()).iccid
    assert terminal.imsi() == "001010123456063"
    assert terminal.ok("00b08d000c").hex() == "ff" * 12
    assert status(terminal, "00a40804067fff5fc04f01") == "9000"
    assert status(terminal, "00a40804047f105f3a") == "9000"
    assert status(terminal, "00a40004023f00") == "9000"
    assert status(terminal, "00a404040ca0000000871004ff49ff0589") == "9000"  # ISIM
    rand = bytes.fromhex(LITERAL)
    made = aka.vector(aka.XorTest(bytes(range(16))), sqn=32, amf=b"\x80\x00", rand=rand)
    terminal.select_usim()
    answer = terminal.ok("0088008122" + "10" + rand.hex() + "10" + made.autn.hex())
    assert answer[:18].hex() == "db10" + "23543ebd9232ae9a2983ec46a24ab13a"
    # every file can be selected by its path, and its FCP says the size of its content
    image = profiles.install(path.read_bytes()).image
    for file_path, node in image.files.items():
        if not file_path or file_path.startswith(("7FD0", "7FB0", "7FC0")):
            continue
        raw = bytes.fromhex(file_path.replace("/", ""))
        fcp = terminal.ok(b"\x00\xa4\x08\x04" + bytes((len(raw),)) + raw)
        assert fcp[:1] == b"\x62"
        content = getattr(node, "content", None)
        if content is not None:
            assert (b"\x80\x02" + len(content).to_bytes(2, "big")) in fcp, file_path


def test_iccid_is_the_one_of_the_package(bench: Bench) -> None:
    terminal = bench.terminal()
    assert terminal.iccid() == parties.BOOT_ICCID
    assert terminal.imsi() == "001010000000001"
    view = terminal.card.state()
    assert view.enabled is not None
    assert (view.enabled.iccid, view.enabled.imsi) == (parties.BOOT_ICCID, "001010000000001")
    assert ids.check_eid(view.eid)
    assert parties.K.hex() not in repr(view)


def test_card_without_a_profile(bench: Bench, tmp_path: object) -> None:
    card = VirtualEuicc.open(bench.home / "empty", pki=bench.pki, eid=parties.EID)
    card.power_on()
    terminal = Terminal(card)
    terminal.open_isd_r()
    assert card.state().enabled is None
    assert terminal.ok("00a40004023f00")
    with pytest.raises(Refused, match="6A82"):
        terminal.ok("00a40004022fe2")
    assert terminal.es10(bytes.fromhex("bf2d00")).hex() == "bf2d02a000"
    assert terminal.es10(bytes.fromhex("bf5f00")).hex() == "bf5f03810101"


def test_isd_r_can_hide_until_terminal_capability(bench: Bench) -> None:
    bench.options = EuiccOptions(hide_isd_r=True)
    card = bench.card()
    card.power_on()
    terminal = Terminal(card)
    select = b"\x00\xa4\x04\x00\x10" + ISD_R
    assert terminal.apdu(select)[1] == 0x6A82
    terminal.ok("80aa000005a903830107")
    assert terminal.apdu(select)[1] == 0x9000
