"""What a trace tells of card, radio and parties: literal bytes in, facts out; any bytes in, no exception."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report import limits, power, sources
from bench.report.card import Card, Profile, digits
from bench.report.decoding import told
from bench.report.exchanges import rows_around
from bench.report.facts import gather
from bench.report.failures import exchange_table
from bench.report.html import render
from bench.report.lanes import scan
from bench.report.radio import Radio
from bench.report.times import run_time
from bench.report.traffic import Traffic
from bench.report.witnesses import Claim, Witnesses
from bench.run import folder as places
from bench.run.events import normalise, wall_text
from bench.run.journal import Journal
from bench.station.interfaces.measurement import Measurement
from bench.trace.clocks import Clocks
from bench.trace.lane import Direction
from bench.trace.reader import Packet
from bench.trace.writer import TraceWriter

from .folders import check_page, run_folder

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
BOOT, OPER = "8900101000000000019", "8900101000000000027"
# ProfileInfoListResponse of SGP.22 section 5.7.15: 5A ICCID, 9F70 state, 91 provider, 92 name, 95 class.
BOOT_ON = "E324 5A0A980001010000000010F9 9F700101 9104424F4F54 9209626F6F747374726170 950101".replace(" ", "")
BOOT_OFF = BOOT_ON.replace("9F700101", "9F700100")
OPER_OFF = "E310 5A0A980001010000000020F7 9F700100".replace(" ", "")


def listing(*profiles: str) -> str:
    body = "".join(profiles)
    inner = f"A0{len(body) // 2:02X}{body}"
    return f"BF2D{len(inner) // 2:02X}{inner}"


def say(taker: Card | Witnesses | Radio, lane: str, *packets: tuple[Direction, str | bytes], at: int = 0) -> None:
    for n, (direction, data) in enumerate(packets):
        raw = bytes.fromhex(data.replace(" ", "")) if isinstance(data, str) else data
        taker.take(Packet(lane, at + n, direction, raw, ""), lane.partition(":")[0].partition(".")[0])


def ask(card: Card, command: str, answer: str, at: int = 0) -> None:
    """Ask as STORE DATA, the answer fetched in two parts."""
    body = bytes.fromhex(command)
    half = len(answer) // 4 * 2
    say(
        card, "apdu:card", (SENT, f"81E29100{len(body):02X}{command}"), (RECEIVED, "6110"), (SENT, "81C0000010"),
        (RECEIVED, f"{answer[:half]}6105"), (SENT, "81C0000005"), (RECEIVED, f"{answer[half:]}9000"), at=at,
    )  # fmt: skip


def states(card: Card) -> dict[str, bool | None]:
    assert card.facts.after is not None
    return {profile.iccid: profile.enabled for profile in card.facts.after.profiles}


def test_the_cards_list_with_its_names() -> None:
    card = Card()
    ask(card, "BF2D00", listing(BOOT_ON, OPER_OFF), at=7)
    assert card.facts.before is not None
    assert card.facts.before.profiles == [
        Profile(BOOT, "bootstrap", "BOOT", "provisioning", True), Profile(OPER, enabled=False),
    ]  # fmt: skip
    assert card.facts.before.lane == "apdu:card"


def test_signed_results_change_the_last_list() -> None:
    """EuiccPackageRequest and result of SGP.32 (enable, then delete), the bytes of a real exchange shortened."""
    card = Card()
    ask(card, "BF2D00", listing(BOOT_ON, OPER_OFF))
    iccid = "5A0A980001010000000020F7"
    enable = f"A30C{iccid}"
    request = f"BF51{4 + len(enable) // 2:02X}30{2 + len(enable) // 2:02X}A0{len(enable) // 2:02X}{enable}"
    ask(card, request, "BF5109A007300530038301003700"[:24], at=100)
    assert states(card) == {BOOT: False, OPER: True}
    assert [what for _, what in card.facts.changes] == [f"{OPER} enabled"]
    assert card.facts.before is not None and card.facts.before.profiles[0].enabled  # the list before stays
    ask(card, f"BF330E{iccid}"[:6] + iccid, "BF3303800100", at=200)  # ES10c.DeleteProfile, of a consumer eUICC
    assert states(card) == {BOOT: False}
    ask(card, "BF34 03 8201 02".replace(" ", "") + "00", "BF3403800100", at=300)
    assert card.facts.after is not None and card.facts.after.uncertain == "memory reset"
    ask(card, "BF2D00", listing(BOOT_ON), at=400)
    assert states(card) == {BOOT: True}
    assert (card.facts.after.since, card.facts.after.uncertain) == ([], "")


@pytest.mark.parametrize("answer", ["BF3103800102", "BF3103800103", "BF3100"])
def test_a_refused_command_changes_nothing(answer: str) -> None:
    card = Card()
    ask(card, "BF2D00", listing(BOOT_ON, OPER_OFF))
    ask(card, "BF31 10 A00C5A0A980001010000000020F7 8101FF".replace(" ", ""), answer)
    assert states(card) == {BOOT: True, OPER: False}
    assert card.facts.changes == []


def test_an_installed_profile_is_disabled_and_a_block_wise_command_is_joined() -> None:
    card = Card()
    ask(card, "BF2D00", listing(BOOT_ON))
    metadata = "BF2F0C5A0A980001010000000020F7"
    data = f"{metadata}A204A0024F00"
    pir = f"BF27{len(data) // 2:02X}{data}"
    ask(card, "86048801AABB", f"BF37{len(pir) // 2:02X}{pir}")
    assert states(card) == {BOOT: True, OPER: False}
    # BF31 in two blocks: P1 without bit 8, then the last one with P2 1.
    whole = "BF3110A00C5A0A980001010000000020F78101FF"
    say(card, "apdu:card", (SENT, f"81E2110008{whole[:16]}"), (RECEIVED, "9000"),
        (SENT, f"81E291010B{whole[16:38]}"), (RECEIVED, "BF31038001009000"))  # fmt: skip
    assert states(card) == {BOOT: False, OPER: True}


def test_digits_as_the_card_holds_them() -> None:
    assert digits(bytes.fromhex("980001010000000010F9")) == BOOT + ""
    assert digits(None) == digits(b"") == ""


def claims(witnesses: Witnesses) -> dict[tuple[str, str], Claim]:
    return {(claim.what, claim.source): claim for claim in witnesses.found()}


def test_every_party_has_its_own_word() -> None:
    witnesses = Witnesses()
    say(witnesses, "at:modem", (SENT, b"AT+CGMM\r"), (RECEIVED, b"\r\nEG25\r\n"), (RECEIVED, b"\r\nOK\r\n"),
        (SENT, b"AT+CGSN\r"), (RECEIVED, b"\r\n490154203237518\r\n"), (SENT, b"AT+CIMI\r"),
        (RECEIVED, b"\r\n+CEREG: 2\r\n"), (RECEIVED, b"\r\n999700000000002\r\n"),
        (SENT, b"AT+CRSM=176,12258,0,0,10\r"), (RECEIVED, b'\r\n+CRSM: 144,0,"980001010000000020F7"\r\n'),
        (SENT, b"AT+CRSM=176,28423,0,0,9\r"), (RECEIVED, b'\r\n+CRSM: 144,0,"089999070000000020"\r\n'),
        (SENT, b"AT+COPS?\r"), (RECEIVED, b'\r\n+COPS: 0,2,"00101",9\r\n'),
        (SENT, b"AT+COPS?\r"), (RECEIVED, b'\r\n+COPS: 0,2,"99970",7\r\n'))  # fmt: skip
    say(witnesses, "apdu:card", (SENT, "81E2910006BF3E035C015A"),
        (RECEIVED, "BF3E125A10890490321234512345123456789012359000"))  # fmt: skip
    say(witnesses, "esipa", (SENT, "BF4F125A1089049032123451234512345678901235"), (RECEIVED, "BF4F03020101"))
    found = claims(witnesses)
    assert witnesses.modems == {"at:modem": {"model": "EG25", "IMEI": "490154203237518"}}
    assert found["IMEI", "modem"].value == "490154203237518"
    assert found["IMSI in use", "modem"].value == "999700000000002"
    assert found["ICCID of the enabled profile", "card, read by the modem"].value == OPER
    assert found["IMSI on the card", "card, read by the modem"].value == "999700000000002"
    network = found["registered on", "modem"]
    assert (network.earlier, network.value, network.count) == (["00101 NB-IoT"], "99970 LTE or LTE-M", 2)
    assert (found["EID", "card"].value, found["EID", "card"].lane) == ("89049032123451234512345678901235", "apdu:card")
    assert ("eIM package", "eIM") not in found  # it had none


def test_received_power_and_registration() -> None:
    radio = Radio()
    say(radio, "at:modem", (RECEIVED, b"\r\n+CESQ: 99,99,255,255,20,56\r\n"), (RECEIVED, b"\r\n+CEREG: 5,2\r\n"),
        (RECEIVED, b"\r\n+CESQ: 99,99,255,255,255,255\r\n"), (RECEIVED, b"\r\n+CGREG: 0\r\n"),
        (RECEIVED, b'\r\n+CEREG: 1,"0002","00010102",7\r\n'), (RECEIVED, b"\r\n+CEREG: 3\r\n"))  # fmt: skip
    found = radio.found()
    assert (found.source, found.rsrp[0], found.rsrp[1] == found.rsrp[1]) == ("at:modem +CESQ", -84.0, False)
    assert found.registrations == [(1, "searching"), (4, "home"), (5, "denied")]
    record = json.dumps({"rsrp_dbm": -101.5, "reg": 5}).encode()
    say(radio, "radio.meas", (RECEIVED, record), (RECEIVED, b"not JSON"), (RECEIVED, b'{"rsrp_dbm": null}'), at=50)
    found = radio.found()
    assert (found.source, list(found.times), found.rsrp[0]) == ("radio.meas", [50, 52], -101.5)  # AT is not mixed in
    assert found.registrations == [(50, "roaming")]
    denied = json.dumps({"src": "urc:+CEREG", "rsrp_dbm": None, "reg": 3, "cause_name": "PLMN not allowed"}).encode()
    say(radio, "radio", (RECEIVED, denied), (SENT, b'{"schema": "radio.polling/1", "polling": false}'), at=60)
    assert radio.found().registrations[-1] == (60, "denied (PLMN not allowed)")
    assert len(radio.found().times) == 2  # an event without a level does not break the curve


any_packets = st.lists(
    st.tuples(
        st.sampled_from(["apdu:card", "at:modem", "esipa", "es9plus", "radio.meas", "steps", "console:a", "ip:eim"]),
        st.sampled_from([SENT, RECEIVED]),
        st.binary(max_size=80)
        | st.builds(lambda head, rest: bytes.fromhex(head) + rest, st.sampled_from(
            ["81E29100", "81E2910006", "BF2D", "BF2DA0", "BF51", "BF37", "81C0000010", "6110", "9000"]),
            st.binary(max_size=60))
        | st.builds(lambda head, rest: head + rest, st.sampled_from(
            [b"AT+CRSM=176,12258", b'\r\n+CRSM: 144,0,"', b"+CESQ: 1,2,3,4,5,", b"+CEREG: ", b'+COPS: 0,2,"00101",',
             b"AT+CIMI\r", b'{"rsrp_dbm": ', b'{"step": "a"']), st.binary(max_size=30)),
        st.integers(0, 1 << 64),
    ),
    max_size=30,
)  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(any_packets)
def test_no_bytes_stop_an_observer(packets: list[tuple[str, Direction, bytes, int]]) -> None:
    card, radio, witnesses, traffic = Card(), Radio(), Witnesses(), Traffic()
    made = [Packet(lane, at, direction, data, "") for lane, direction, data, at in packets]
    for packet in made:
        kind = packet.lane.partition(":")[0].partition(".")[0]
        for observer in (card, radio, witnesses):
            observer.take(packet, kind)
        traffic.take(packet)
        if kind == "steps":
            traffic.step(packet)
        assert isinstance(told(packet), str)
    lanes: dict[str, list[Packet]] = {}
    for packet in made:
        lanes.setdefault(packet.lane, []).append(packet)
    rows_around(lanes, made, goes_on=True)
    assert len(radio.found().times) == len(radio.found().rsrp)
    assert sum(lane.sent + lane.received for lane in traffic.lanes.values()) == len(made)


def test_times_of_packets_lie_between_the_events_around_them() -> None:
    events = [
        normalise(
            {"type": "x", "seq": n, "boot": "b", "mono_ns": mono * 10**9, "wall": wall_text(wall * 10**9), "t": t}
        )
        for n, (mono, wall, t) in enumerate([(1, 1000, 50.0), (2, 1001, 50.0), (4, 1003, 650.0), (5, 1064, 700.0)])
    ]
    time = run_time([event for event in events if event is not None], "instant")
    assert (time.origin, time.duration, time.simulated) == (50.0, 650.0, True)
    assert [time.of_wall(int(wall * 1e9)) for wall in (999, 1000, 1002, 1003, 2000)] == [0, 0, 300.0, 600.0, 650.0]
    assert time.clock_jump == pytest.approx(60.0)  # 61 s on the wall, 1 s in fact
    assert run_time([], "real").of_wall(5) is None
    real = run_time([event for event in events if event is not None], "real")
    assert real.of_wall(int(1065.5e9)) == pytest.approx(651.5)  # after the last event time goes on


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 10**6)), min_size=1, max_size=20), st.integers(0, 10**6))
def test_run_time_never_goes_back_with_the_wall(pairs: list[tuple[int, float]], wall: int) -> None:
    events = [normalise({"type": "x", "mono_ns": 1, "wall": wall_text(w * 10**9), "t": t}) for w, t in pairs]
    time = run_time([event for event in events if event is not None], "real")
    one, two = time.of_wall(wall * 10**9), time.of_wall((wall + 3) * 10**9)
    assert one is not None and two is not None and one <= two


def test_a_set_clock_is_told(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    text = check_page(render(gather(folder))).text
    assert "During the run it was not set" in text
    lines = (folder / places.JOURNAL).read_text().splitlines()
    late = [json.loads(line) for line in lines]
    for event in late[5:]:
        event["wall"] = "2027" + event["wall"][4:]
    (folder / places.JOURNAL).write_text("".join(json.dumps(event) + "\n" for event in late))
    assert "it was set by +" in check_page(render(gather(folder))).text


def test_limits_are_summed_up_by_name(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, end=False)
    journal = Journal.open(folder / places.JOURNAL, background=False)
    for n, value in enumerate([4.0, 9.5, None, 11.0]):
        verdict = "inconclusive" if value is None else "fail" if value > 10 else "pass"
        data = {"name": "boot_time", "value": value, "unit": "s", "upper": 10.0, "verdict": verdict, "source": "at"}
        journal.write("measurement", data, step=f"boot-{n % 2}")
    journal.write("measurement", {"name": "success_rate", "value": 0.5, "lower": 0.9, "verdict": "fail"}, step="x")
    journal.close()
    facts = gather(folder)
    made = {one.name: one for one in limits.limited(facts)}
    assert [value for value, _ in made["boot_time"].values] == [4.0, 9.5, 11.0]
    assert made["boot_time"].missing == 1
    assert "rsrp" not in made  # measured without a limit
    text = check_page(render(facts)).text
    assert "boot_time ≤ 10 s ✘ fail 2 of 4 4 … 9.5 … 11 s (3) , 1 not measured 110 %" in text
    assert "success_rate ≥ 0.9 ✘ fail 0.5" in text


def test_phases_are_charged_with_what_went_over_the_lanes_in_them(tmp_path: Path) -> None:
    trace = TraceWriter.open(tmp_path / places.TRACE, run_id="r")
    steps, ip, smdp = trace.lane("steps"), trace.lane("ip:eim"), trace.lane("es9plus")
    ip.record(SENT, b"E" * 7)
    for path, size in (("poll", 100), ("poll", 40)):
        steps.record(SENT, json.dumps({"step": path}).encode())
        steps.record(SENT, json.dumps({"step": f"{path}/inner"}).encode())
        told = {"step": path, "measure": "bytes", "value": 1, "verdict": "pass"}
        steps.record(SENT, json.dumps(told).encode())  # neither a beginning nor an end
        ip.record(SENT, b"E" * size)
        ip.record(RECEIVED, b"E" * 2 * size)
        smdp.record(SENT, b'{"a": 1}', comment="initiateAuthentication request")
        smdp.record(SENT, b'{"a": 1}', comment="InitiateAuthentication request")  # the server's view of the same
        steps.record(RECEIVED, json.dumps({"step": f"{path}/inner", "verdict": "pass"}).encode())
        steps.record(RECEIVED, json.dumps({"step": path, "verdict": "pass"}).encode())
    trace.close()
    found = scan(tmp_path)
    assert [(phase.path, phase.of("ip").octets, phase.of("es9plus").octets) for phase in found.phases] == [
        ("poll", 300, 8), ("poll", 120, 8),
    ]  # fmt: skip
    assert found.outside.of("ip").octets == 7
    assert found.lanes["es9plus"].sent == 4


def test_the_lanes_after_a_failure_and_the_bytes_of_cards(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    trace = TraceWriter.open(folder / places.TRACE, run_id="r")
    trace.lane("at:modem").record(SENT, b"AT+CEER\r")
    trace.lane("at:modem").record(RECEIVED, b"\r\n+CEER: 19\r\n")
    trace.close()
    text = check_page(render(gather(folder))).text
    before, moment, after = text.index("AT+CEREG?"), text.index("✘ the step ended here"), text.index("+CEER: 19")
    assert before < moment < after
    assert "→ 81E2910006BF3E035C015A" in text
    # An answer that was fetched in parts is one exchange.
    assert "ch1 GetEID" in text and "GET RESPONSE" not in text


def test_a_killed_run_tells_what_it_was_doing_and_reaches_as_far_as_its_samples(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, failing=False)
    lines = (folder / places.JOURNAL).read_text().splitlines()
    kept = lines[: next(n for n, line in enumerate(lines) if '"name":"rsrp"' in line)]  # within register/attach
    (folder / places.JOURNAL).write_text("\n".join(kept) + '\n{"seq": 99, "type": "measu')
    facts = gather(folder)
    assert (facts.broken, facts.innermost and facts.innermost.path) == (True, "register/attach")
    assert facts.duration == 30.0  # the journal ends at 30 s, samples at 30 s
    text = check_page(render(facts)).text
    assert "! bench-error the record breaks off in step register / attach" in text
    assert text.index("AT+CEREG? +CEREG: 5,2 (searching) | OK") < text.index("✘ the trace ended here")
    kept = [line for line in kept if '"t":130' not in line]
    (folder / places.JOURNAL).write_text("\n".join(kept) + "\n")
    facts = gather(folder)
    assert facts.duration == 30.0  # of which the journal had 10 s
    assert "not drawn" not in check_page(render(facts)).text
    (folder / places.TRACE).unlink()
    assert "There is no trace" in check_page(render(gather(folder))).text


def test_profiles_and_parties_are_on_the_page(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    trace = TraceWriter.open(folder / places.TRACE, run_id="r")
    lane = trace.lane("apdu:card")
    lane.record(SENT, bytes.fromhex("81E2910003BF2D00"))
    lane.record(RECEIVED, bytes.fromhex(listing(BOOT_ON, OPER_OFF) + "9000"))
    lane.record(SENT, bytes.fromhex("81E2910014BF3110A00C5A0A980001010000000020F78101FF"))
    lane.record(RECEIVED, bytes.fromhex("BF31038001009000"))
    trace.close()
    facts = gather(folder)
    text = check_page(render(facts)).text
    assert f"{BOOT} bootstrap BOOT, provisioning ● enabled ■ disabled {OPER} ■ disabled ● enabled" in text
    assert f"then its results: {OPER} enabled" in text
    assert "EID 89049032123451234512345678901235 ×2 card lane apdu:card" in text
    assert "energy 50.5 J supply power samples of psu1" in text
    assert power.by_phase(facts) and sources.sources(facts)


def test_the_signal_at_the_moment_of_failure_stands_with_it(tmp_path: Path) -> None:
    def radio_at(folder: Path, seconds_before: int) -> str:
        facts = gather(folder)
        end = facts.failing[0].ended_ns
        assert end is not None
        made = Measurement("at:+QENG", end - seconds_before * 10**9, 1, rat="LTE", rsrp=-121.0)
        scanner, found = folder.parent / "again", TraceWriter.open(folder.parent / "again" / places.TRACE, run_id="r")
        assert scanner.is_dir()
        found.lane("radio").record(RECEIVED, made.packet(), time_ns=made.t_ns)
        found.lane("steps").record(RECEIVED, b'{"step": "x", "verdict": "fail"}', time_ns=end)
        found.close()
        window = scan(scanner).windows["x", 0]
        return exchange_table(window, end, "the step ended", Clocks())

    folder = run_folder(tmp_path)
    for seconds_before, words in ((3, "Signal 3.00 s before: +QENG: LTE RSRP -121 dBm"), (90, "")):
        (tmp_path / "again").mkdir()
        page = radio_at(folder, seconds_before)
        assert words in page and ("Signal" in page) == bool(words)
        (tmp_path / "again" / places.TRACE).unlink()
        (tmp_path / "again").rmdir()
