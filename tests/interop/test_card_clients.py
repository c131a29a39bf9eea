"""Card clients that we have not written: what each sends, byte by byte, and what a UICC has to answer.

Each script is the habit of a kind of client, as seen on the wire of programs that are in no Debian package, written
down here from the standards (TS 102 221, SGP.22 section 5.7, SGP.32 section 5.9). They run against the card itself,
and over pcscd, vpcd and libpcsclite.

In a script ``>`` is a command, ``<`` a regular expression for the whole answer; spaces are for the eye. ``RESET`` is
what the reader does.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.rsp.interpretation import Interpretation
from fixtures.pki import Pki
from fixtures.profiles import Parameters, build
from fixtures.sim.euicc import EuiccOptions, VirtualEuicc

from .foreign import EID, Bench, run
from .test_pcsc import need_pcsc

ISD_R = "A0000005591010FFFFFFFF8900000100"
BOOT, OTHER = "980001010000000010F9", "980001010000000020F7"
ANSWER_OF_EID = f"BF3E125A10{EID}9000"

SCRIPTS = {
    # A C LPA on a reader: TERMINAL CAPABILITY, a channel of the card's choice, CLA 81 for GET RESPONSE too, no Le.
    "lpa-on-a-reader": f"""
        > 80AA00000A A9088100820101830107      < 9000
        > 0070000001                           < 019000
        > 01A4040010 {ISD_R}                   < 61..
        > 81E2910006 BF3E035C015A              < 6115
        > 81C0000015                           < {ANSWER_OF_EID}
        > 81E2910003 BF2D00                    < 61..
        > 81C0000000                           < 6C..
        > 0070800100                           < 9000
        > 81E2910006 BF3E035C015A              < 6881
    """,
    # A C IPA: a channel by its number, P2 = 04 in SELECT, GET RESPONSE with CLA 01.
    "ipa-that-names-its-channel": f"""
        > 80AA000005 A903830107                < 9000
        > 0070000100                           < 9000
        > 01A4040410 {ISD_R}                   < 61..
        > 81E2910006 BF3E035C015A              < 6115
        > 01C0000015                           < {ANSWER_OF_EID}
        > 81E2910003 BF5500                    < 6105
        > 01C0000005                           < BF5502A0009000
        > 81E2910003 BF2B00                    < 6105
        > 01C0000005                           < BF2B02A0009000
        > 0070800100                           < 9000
    """,
    # A Python shell for UICCs: basic channel only, no TERMINAL CAPABILITY, files before and after, STATUS without Le.
    "shell-on-the-basic-channel": f"""
        > 00A4000402 3F00                      < 61..
        > 00C0000000                           < 6C..
        > 80F2000000                           < 6C..
        > 00A4040410 {ISD_R}                   < 61..
        > 80E2910006 BF3E035C015A              < 6115
        > 00C0000015                           < {ANSWER_OF_EID}
        > 80E2910003 BF2E00                    < 6115
        > 00C0000015                           < BF2E1280 10 .{{32}} 9000
        > 00A4000402 3F00                      < 61..
        > 00A4000402 2FE2                      < 61..
        > 00B000000A                           < {BOOT}9000
        > 80E2910006 BF3E035C015A              < (6D00|6E00)
    """,
    # A Rust LPA library: Le = 00 behind every command, on every block, and when it closes; GET RESPONSE with CLA 8x.
    "le-behind-everything": f"""
        > 0070000001                           < 019000
        > 01A4040010 {ISD_R} 00                < 61..
        > 81E2110003 BF3E03 00                 < 9000
        > 81E2910103 5C015A 00                 < 6115
        > 81C0000015                           < {ANSWER_OF_EID}
        > 0070800100                           < 9000
    """,
    # MANAGE CHANNEL with Le = 00, and GET RESPONSE for more than there is: the card tells the length (6Cxx).
    "learns-lengths-by-6c": f"""
        > 0070000000                           < 6C01
        > 0070000001                           < 019000
        > 01A4040C10 {ISD_R}                   < 9000
        > 81E2910006 BF3E035C015A              < 6115
        > 01C0000020                           < 6C15
        > 01C0000015                           < {ANSWER_OF_EID}
        > 01C0000015                           < 6985
    """,
    # Channels above 3 have another class byte (TS 102 221 section 10.1.1), also for GET RESPONSE.
    "channel-of-the-second-range": f"""
        > 0070000500                           < 9000
        > 41A4040010 {ISD_R}                   < 61..
        > C1E2910006 BF3E035C015A              < 6115
        > C1C0000015                           < {ANSWER_OF_EID}
        > C1E2910006 BF3E035C015A              < 6115
        > 41C0000015                           < {ANSWER_OF_EID}
        > 0070800500                           < 9000
    """,
    # Left-over channels are closed before anything else; those that are not open are none to close.
    "closes-what-another-left-open": f"""
        > 0070000001                           < 019000
        > 0070000001                           < 029000
        > 0070800100                           < 9000
        > 0070800200                           < 9000
        > 0070800300                           < 6[289]..
        > 0070000001                           < 019000
        > 01A4040010 {ISD_R}                   < 61..
    """,
    # Modem and client at once: the answer of one channel waits while another works.
    "two-at-once": f"""
        > 0070000001                           < 019000
        > 0070000001                           < 029000
        > 01A4040010 {ISD_R}                   < 61..
        > 02A4040010 {ISD_R}                   < 61..
        > 81E2110003 BF3E03                    < 9000
        > 82E2910003 BF3C00                    < 61..
        > 00A4000C02 3F00                      < 9000
        > 81E2910103 5C015A                    < 6115
        > 02C0000014                           < BF3C1181 0F 6C70612E64732E67736D612E636F6D 9000
        > 01C0000015                           < {ANSWER_OF_EID}
    """,
    # P1 10 and 90: the bit that says whether data may come back (GlobalPlatform) is not set by every client.
    "p1-without-the-response-bit": f"""
        > 00A4040010 {ISD_R}                   < 61..
        > 80E2100003 BF3E03                    < 9000
        > 80E2900103 5C015A                    < 6115
        > 00C0000015                           < {ANSWER_OF_EID}
    """,
    # A block left out, a new command in the middle: nothing of the old one is left.
    "starts-again-in-the-middle": f"""
        > 00A4040010 {ISD_R}                   < 61..
        > 80E2110003 BF3E03                    < 9000
        > 80E2910203 5C015A                    < 6A86
        > 80E2910103 5C015A                    < 6A86
        > 80E2110003 BF3E03                    < 9000
        > 80E2910006 BF3E035C015A              < 6115
        > 00C0000015                           < {ANSWER_OF_EID}
    """,
    # The whole AID, or as much of it as tells ISD-R from the others; nothing else is ISD-R.
    "selects-by-part-of-the-aid": """
        > 00A404000F A0000005591010FFFFFFFF89000001   < 61..
        > 80E2910006 BF3E035C015A                     < 6115
        > 00A4040010 A0000005591010FFFFFFFF8900000101 < 6A82
        > 00A4040010 A0000005591010FFFFFFFF8900000200 < 61..
        > 80CA005A12                                  < 5A10 .{32} 9000
    """,
    # What no client of UICCs should send is refused with the right word, and the next command works.
    "nonsense-in-between": f"""
        > A0A4000002 3F00                      < 6E00
        > 00A40400                             < (6700|6A8.)
        > 00E2910003 BF2000                    < 6[DE]00
        > 00A4040010 {ISD_R}                   < 61..
        > 80E2910003 BFFF00                    < 6A8[08]
        > 80E2910003 BF2001                    < 6A80
        > 80E2910002 BF                        < 6700
        > 80E2910003 BF2000                    < 6138
        > 00C0000038                           < BF2035.{{106}}9000
    """,
}

CONSUMER = {
    # refreshFlag FALSE: effective at once (SGP.22 sections 3.2.1, 5.7.16).
    "switches-without-refresh": f"""
        > 0070000001                                          < 019000
        > 01A4040010 {ISD_R}                                  < 61..
        > 81E2910014 BF3211 A00C5A0A {BOOT} 810100            < 6106
        > 81C0000006                                          < BF32038001009000
        > 81E2910014 BF3211 A00C5A0A {BOOT} 810100            < 6106
        > 81C0000006                                          < BF32038001029000
        > 81E2910014 BF3111 A00C5A0A {BOOT} 810100            < 6106
        > 81C0000006                                          < BF31038001009000
        > 81E2910014 BF3111 A00C5A0A {OTHER} 810100           < 6106
        > 81C0000006                                          < BF31038001019000
    """,
    # refreshFlag TRUE from a reader that never sent TERMINAL PROFILE: it does not fetch, so nothing is announced, and
    # the switch waits for the reset (TS 102 223 section 6.2; SGP.22 section 3.2.1).
    "refresh-for-a-terminal-that-does-not-fetch": f"""
        > 0070000001                                          < 019000
        > 01A4040010 {ISD_R}                                  < 61..
        > 81E2910014 BF3211 A00C5A0A {BOOT} 8101FF            < 6106
        > 81C0000006                                          < BF32038001009000
        > 0070800100                                          < 9000
        RESET
        > 0070000001                                          < 019000
        > 01A4040010 {ISD_R}                                  < 61..
        > 81E2910014 BF3111 A00C5A0A {BOOT} 810100            < 6106
        > 81C0000006                                          < BF31038001009000
    """,
    # The same from a terminal that fetches: 91xx, FETCH, TERMINAL RESPONSE.
    "refresh-for-a-terminal-that-fetches": f"""
        > 8010000008 FFFFFFFF7F1100DF                         < 9000
        > 0070000001                                          < 019000
        > 01A4040010 {ISD_R}                                  < 61..
        > 81E2910014 BF3211 A00C5A0A {BOOT} 8101FF            < 6106
        > 81C0000006                                          < BF3203800100910B
        > 801200000B                                          < D009 8103 0101 04 82028182 9000
        > 801400000C 8103010104 82028281 830100               < 9000
        RESET
        > 0070000001                                          < 019000
        > 01A4040010 {ISD_R}                                  < 61..
        > 81E2910014 BF3211 A00C5A0A {BOOT} 810100            < 6106
        > 81C0000006                                          < BF32038001029000
    """,
}

Exchange = Callable[[list[tuple[str, str]]], list[str]]


def steps(script: str) -> list[tuple[str, str]]:
    """Return pairs of command and expected answer in hexadecimal; RESET and nothing for a reset."""
    found = []
    for line in filter(None, map(str.strip, script.splitlines())):
        command, _, answer = (part.replace(" ", "") for part in line.lstrip("> ").partition("<"))
        found.append((command, answer))
    return found


def compare(script: str, exchange: Exchange) -> None:
    """Play a script and compare every answer."""
    wanted = steps(script)
    assert wanted
    for (command, pattern), answer in zip(wanted, exchange(wanted), strict=True):
        assert re.fullmatch(pattern, answer), f"{command} -> {answer}, not {pattern}"


def sgp32(script: str) -> bool:
    """Whether a script needs an IoT eUICC (GetEimConfigurationData)."""
    return "BF5500" in script.replace(" ", "")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.open(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "bootstrap.der"
    keys = bytes(range(16)), bytes(range(16, 32))
    path.write_bytes(
        build(Parameters("8900101000000000019", "001010000000001", *keys, "BOOT", "apn", profile_type="boot"))
    )
    return path


def card_of(folder: Path, pki: Pki, bootstrap: Path, options: EuiccOptions) -> VirtualEuicc:
    return VirtualEuicc.open(folder / "card", pki=pki, eid=EID, bootstrap=bootstrap, options=options)


def direct(card: VirtualEuicc) -> Exchange:
    """A reader without electronics."""

    def exchange(script: list[tuple[str, str]]) -> list[str]:
        card.power_on()
        answers = []
        for command, _ in script:
            if command == "RESET":
                card.reset()
                answers.append("")
            else:
                answers.append(card.transmit(bytes.fromhex(command)).hex().upper())
        assert card.faults == 0
        return answers

    return exchange


IOT, LPA = EuiccOptions(mode="iot"), EuiccOptions(mode="consumer")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(name, options, id=f"{name}-{options.mode}")
        for name, script in SCRIPTS.items()
        for options in ((IOT,) if sgp32(script) else (IOT, LPA))
    ],
)
def test_habits_of_clients(tmp_path: Path, pki: Pki, bootstrap: Path, name: str, options: EuiccOptions) -> None:
    compare(SCRIPTS[name], direct(card_of(tmp_path, pki, bootstrap, options)))


@pytest.mark.parametrize("name", CONSUMER)
def test_habits_of_lpas_that_switch(tmp_path: Path, pki: Pki, bootstrap: Path, name: str) -> None:
    compare(CONSUMER[name], direct(card_of(tmp_path, pki, bootstrap, LPA)))


def test_a_card_that_announces_refresh_to_everybody(tmp_path: Path, pki: Pki, bootstrap: Path) -> None:
    """Silicon was seen to hold a REFRESH on readers: the reading can be chosen."""
    reading = Interpretation(refresh_before_profile=True)
    card = card_of(tmp_path, pki, bootstrap, EuiccOptions(mode="consumer", interpretation=reading))
    without_profile = CONSUMER["refresh-for-a-terminal-that-fetches"].split("\n", 2)[2]
    compare(without_profile, direct(card))


def test_isd_r_that_hides_from_clients_without_terminal_capability(tmp_path: Path, pki: Pki, bootstrap: Path) -> None:
    card = card_of(tmp_path, pki, bootstrap, EuiccOptions(hide_isd_r=True))
    script = f"""
        > 00A4040010 {ISD_R}                   < 6A82
        > 80AA000005 A903830107                < 9000
        > 00A4040010 {ISD_R}                   < 61..
        RESET
        > 00A4040010 {ISD_R}                   < 6A82
    """
    compare(script, direct(card))


def test_answers_at_once_on_t1(tmp_path: Path, pki: Pki, bootstrap: Path) -> None:
    """What a T=1 card answers is what a reader shows that does GET RESPONSE itself."""
    card = card_of(tmp_path, pki, bootstrap, EuiccOptions(protocol="T=1"))
    script = f"""
        > 0070000001                           < 019000
        > 01A4040010 {ISD_R} 00                < 6F25 8410 {ISD_R} A504 9F6501FF E005 8203020500 E104 80020640 9000
        > 81E2910006 BF3E035C015A              < {ANSWER_OF_EID}
        > 81E2910006 BF3E035C015A 00           < {ANSWER_OF_EID}
    """
    compare(script, direct(card))


def test_enable_using_dd_of_v1_0(tmp_path: Path, pki: Pki, bootstrap: Path) -> None:
    """``BF5A 00`` is what an IPA of v1.0 sends after each download: not configured (1), and no error of the card."""
    script = f"""
        > 0070000100                           < 9000
        > 01A4040410 {ISD_R}                   < 61..
        > 81E2910003 BF5A00                    < 6106
        > 01C0000006                           < BF5A038001019000
        > 81E2910006 BF5A03 810100             < 6A80
    """
    compare(script, direct(card_of(tmp_path, pki, bootstrap, IOT)))


@pytest.mark.parametrize("block", [6, 120, 128, 250, 255])
def test_blocks_of_any_size(tmp_path: Path, pki: Pki, bootstrap: Path, block: int) -> None:
    """Clients cut STORE DATA as their carrier likes: 120 for modems, 255 on readers, 6 because it is allowed."""
    card = card_of(tmp_path, pki, bootstrap, LPA)
    nickname = "n" * 64
    data = bytes.fromhex(f"BF294E5A0A{BOOT}9040") + nickname.encode()
    pieces = [data[at : at + block] for at in range(0, len(data), block)]
    lines = [f"> 00A4040010 {ISD_R} < 61.."]
    for number, piece in enumerate(pieces):
        p1, answer = ("91", "6106") if number == len(pieces) - 1 else ("11", "9000")
        lines.append(f"> 80E2{p1}{number:02X}{len(piece):02X}{piece.hex()} < {answer}")
    listing = bytes.fromhex("9040") + nickname.encode()
    lines += [
        "> 00C0000006 < BF29038001009000",
        "> 80E2910007 BF2D045C025A90 < 61..",
        f"> 00C0000055 < BF2D52A050E34E 5A0A{BOOT} {listing.hex().upper()} 9000",
    ]
    compare("\n".join(lines), direct(card))


# --- the same over pcscd, vpcd and libpcsclite ------------------------------------------------------------------------

_PLAYER = """
import json, sys
from smartcard.scard import *
script = json.load(sys.stdin)
code, context = SCardEstablishContext(SCARD_SCOPE_USER)
assert code == SCARD_S_SUCCESS, SCardGetErrorMessage(code)
code, card, protocol = SCardConnect(context, sys.argv[1], SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_T0)
assert code == SCARD_S_SUCCESS, SCardGetErrorMessage(code)
answers = []
for command in script:
    if command == "RESET":
        code, protocol = SCardReconnect(card, SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_T0, SCARD_UNPOWER_CARD)
        answers.append("")
    else:
        code, answer = SCardTransmit(card, SCARD_PCI_T0, list(bytes.fromhex(command)))
        answers.append(bytes(answer).hex().upper())
    assert code == SCARD_S_SUCCESS, command + ": " + SCardGetErrorMessage(code)
SCardDisconnect(card, SCARD_UNPOWER_CARD)
json.dump(answers, sys.stdout)
"""


class ReaderBench(Bench):
    """A consumer eUICC in a simulated reader."""

    station_name = "sim-pcsc"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "--station", "sim-pcsc", "--world", "card_mode=consumer", "--clock", "scaled:10")
        self.reader: dict[str, str] = self.station["readers"][0]

    def play(self, script: str) -> None:
        """Play a script, with the EID that this card has."""
        compare(script.replace(EID, self.reader["eid"]), self._exchange)

    def _exchange(self, script: list[tuple[str, str]]) -> list[str]:
        """In a process of its own: it knows one PC/SC daemon."""
        done = run(
            *(sys.executable, "-c", _PLAYER, self.reader["name"]),
            data=json.dumps([command for command, _ in script]).encode(),
            variables={"PCSCLITE_CSOCK_NAME": self.reader["pcsclite_csock"]},
        )
        answers: list[str] = json.loads(done.stdout)
        return answers


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReaderBench]:
    need_pcsc()
    with ReaderBench(tmp_path_factory.mktemp("reader")) as running:
        yield running


@pytest.mark.parametrize("name", [name for name, script in SCRIPTS.items() if not sgp32(script)])
def test_habits_of_clients_over_pcscd(reader: ReaderBench, name: str) -> None:
    reader.play(SCRIPTS[name])


@pytest.mark.parametrize("name", CONSUMER)
def test_switching_over_pcscd(reader: ReaderBench, name: str) -> None:
    """The card is as the last script left it, so its profile is enabled first."""
    reader.play(f"> 00A4040010 {ISD_R} < 61..\n> 80E2910014 BF3111 A00C5A0A {BOOT} 810100 < 6106")
    reader.play(CONSUMER[name])
