"""Values as people read them, ticks, exchanges, curves."""

from __future__ import annotations

import html.parser
import itertools
import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report import values
from bench.report.exchanges import KEPT_OF_CARD, Row, rows_around
from bench.report.failures import exchange_table
from bench.report.lanes import Window
from bench.report.svg import COLUMNS, place, stretches, thinned, ticks
from bench.report.text import e
from bench.trace.clocks import Clocks, LaneClock
from bench.trace.lane import Direction
from bench.trace.reader import Packet


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0 ms"),
        (0.00025, "250 µs"),
        (0.0123, "12.3 ms"),
        (0.41, "410 ms"),
        (0.9996, "1.00 s"),
        (9.996, "10.0 s"),
        (119.96, "2 min 00 s"),
        (245.2, "4 min 05 s"),
        (7620, "2 h 07 min"),
        (200_000, "2 d 07 h"),
        (-3.0, "−3.00 s"),
        (None, ""),
    ],
)
def test_seconds(value: float | None, shown: str) -> None:
    assert values.seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0123, "12.3 mA"),
        (1.5, "1.5 A"),
        (0.99999, "1 A"),
        (0, "0 A"),
        (4.2e-7, "420 nA"),
        (-0.002, "-2 mA"),
        (None, "–"),
    ],
)
def test_scaled(value: float | None, shown: str) -> None:
    assert values.scaled(value, "A") == shown


@given(st.floats() | st.integers() | st.text() | st.none() | st.booleans() | st.binary())
def test_no_value_is_too_odd(value: object) -> None:
    values.text(value)
    values.quantity(value, "V")
    values.wall(value)
    number = values.number(value)
    assert number is None or math.isfinite(number)
    values.seconds(number)
    values.scaled(number, "A")


def test_wall_time_is_read_to_the_nanosecond() -> None:
    assert values.wall_ns("2026-11-21T10:41:55.155361Z") == 1_795_257_715_155_361_000
    assert values.wall_ns("2026-11-21T10:41:55Z") == 1_795_257_715_000_000_000
    assert values.wall_ns("yesterday") is None


MARKUP = ["<script>", "</title>", "</style>", "-->", "<!--", "]]>", "&lt;", "&#60;", "&", '"', "'", "`", " onx=", "js:"]
UNSEEN = [
    "\x00",
    "\x1b[2J",
    "\r",
    "\x85",
    "\u2028",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\ud800",
    "\U000e0041",
    "a" + 5 * "\u0301",
]
FRAGMENTS = st.sampled_from(MARKUP + UNSEEN)
hostile = st.lists(FRAGMENTS | st.text(max_size=4), max_size=12).map("".join)


class Read(html.parser.HTMLParser):
    """What a browser makes of a piece of HTML."""

    def __init__(self, piece: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.tags = "", []  # type: ignore[var-annotated]
        self.feed(piece)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment  # type: ignore[assignment]


@given(hostile)
def test_text_from_outside_is_read_as_it_was_said(said: str) -> None:
    element = Read(f"<td>{e(said)}</td>")
    assert [tag for tag, _ in element.tags] == ["td"]
    assert element.text == values.visible(said)
    quoted = Read(f'<td title="{e(said)}">')
    assert quoted.tags == [("td", {"title": values.visible(said)})]
    assert all(c in "\n\t" or c.isprintable() for c in element.text)


@given(st.text(), st.integers(1, 50))
def test_what_cannot_be_seen_is_shown_and_nothing_else_changes(said: str, limit: int) -> None:
    shown = values.visible(said)
    assert all(c in "\n\t" or c.isprintable() for c in shown)
    if said.isprintable() and not any(unicodedata.combining(c) for c in said):
        assert shown == said
    assert len(values.text(said, limit)) <= limit


def test_controls_by_name() -> None:
    assert values.visible("a\x1b[31m\x00\r\nb\rc\u202e\U000e0041\ud800") == (
        "a\\x1b[31m\\x00\nb\\x0dc\\u202e\\U000e0041\\ud800"
    )
    assert values.visible("e\u0301" + "\u0301" * 4) == "e\u0301\u0301\u0301\\u0301\\u0301"  # nothing paints over lines


@given(st.floats(1e-6, 1e9))
def test_ticks_are_few_even_and_within(duration: float) -> None:
    found = ticks(duration)
    assert 2 <= len(found) <= 14
    assert found[0] == 0
    assert found[-1] <= duration * 1.001
    steps = {round((b - a) / duration, 6) for a, b in itertools.pairwise(found)}
    assert len(steps) == 1


@given(st.floats(-10, 1000), st.floats(-10, 1000), st.floats(0, 1000))
def test_places_stay_within(start: float, end: float, duration: float) -> None:
    left, width = place(start, end, duration)
    assert 0 <= left <= 100
    assert width >= 0
    assert left + width <= 100 + 1e-9


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20_000))
def test_a_thinned_curve_keeps_its_peaks(heights: list[float]) -> None:
    points = [(1000 * n / len(heights), height) for n, height in enumerate(heights)]
    thin = list(thinned(points, len(points)))
    assert len(thin) <= max(len(points) if len(points) <= 4 * COLUMNS else 0, 4 * (COLUMNS + 1))
    assert min(y for _, y in thin) == min(heights)
    assert max(y for _, y in thin) == max(heights)
    assert [x for x, _ in thin] == sorted(x for x, _ in thin)
    # Nor is a peak moved: what every column had, it still has.
    for column in range(0, COLUMNS, 97):
        had = [y for x, y in points if int(x * COLUMNS / 1000) == column]
        has = [y for x, y in thin if int(x * COLUMNS / 1000) == column]
        assert (min(had), max(had)) == (min(has), max(has)) if had else not has


@given(st.integers(0, 6000), st.integers(1, 4))
def test_a_curve_in_pieces_stays_small_and_whole(pieces: int, each: int) -> None:
    found = [(n * (each + 1), n * (each + 1) + each - 1) for n in range(pieces)]
    rows = max(1, pieces * (each + 1))
    drawn = stretches(found, lambda row: (1000 * row / rows, 100.0 if row == 0 else 50.0), "amps")
    assert len(drawn) < 140_000
    assert not found or "100" in drawn


def packet(lane: str, data: bytes | str, *, answer: bool = False, at: int = 0) -> Packet:
    raw = data if isinstance(data, bytes) else bytes.fromhex(data)
    return Packet(lane, at, Direction.RECEIVED if answer else Direction.SENT, raw, "")


def poll(lane: str, question: bytes | str, answer: bytes | str, at: int) -> list[Packet]:
    return [packet(lane, question, at=at), packet(lane, answer, answer=True, at=at + 1)]


def rows(*lanes: list[Packet], after: list[Packet] | None = None, goes_on: bool = False) -> list[Row]:
    before, behind = rows_around({each[0].lane: each for each in lanes}, after or [], goes_on=goes_on)
    return before + behind


def shown(found: list[Row]) -> list[tuple[str, str, int]]:
    return [(row.function, row.result, row.count) for row in found]


GET_EID = "81E2910006BF3E035C015A00"
EID = "BF3E125A10890490321234512345123456789012359000"


def test_rounds_of_polling_are_counted_with_their_last_answers() -> None:
    packets = poll("at:m", b"ATE0\r", b"OK\r\n", 0)
    for n in range(50):
        packets += poll("at:m", b"AT+CEREG?\r", b"+CEREG: 0,%d\r\nOK\r\n" % (n % 2 + 1), 10 * n)
        packets += poll("at:m", b"AT+COPS?\r", b"+COPS: 0\r\nOK\r\n", 10 * n + 4)
    assert shown(rows(packets)) == [
        ("ATE0", "OK", 1),
        ("AT+CEREG?", "+CEREG: 0,2 (searching) | OK", 50),
        ("AT+COPS?", "+COPS: 0 | OK", 50),
    ]


def test_functions_of_a_card_are_one_row_with_named_fields_and_only_equal_answers_are_counted() -> None:
    fetched = [
        packet("apdu:card", GET_EID, at=10),
        packet("apdu:card", "6115", answer=True, at=11),
        packet("apdu:card", "81C0000015", at=12),
        packet("apdu:card", EID, answer=True, at=10 + 2 * 10**6),
    ]
    refused = poll("apdu:card", GET_EID, "6985", 10**7)
    both, no = rows(fetched + fetched + refused)
    assert (both.function, both.result, both.count) == ("ch1 GetEID", "89049032123451234512345678901235 - 9000 ok", 2)
    assert (both.seconds, both.sent, both.received) == (0.002, 17, 25)
    assert [line.strip() for line in both.fields if "eid" in line] == ["eidValue: 89049032123451234512345678901235"]
    assert both.raw == [f"→ {GET_EID[:-2]}", f"← {EID}"]  # without Le
    assert (no.count, no.ok) == (1, False) and "6985" in no.result


def test_keys_and_pins_are_in_no_row() -> None:
    secret = "A5" * 16
    answer = f"DB08{'11' * 8}10{secret}10{secret}"
    packets = poll("apdu:card", f"008800812210{'22' * 16}10{'33' * 16}00", f"{answer}9000", 0)
    packets += poll("apdu:card", f"008800812210{'22' * 16}10{'33' * 16}00", f"04{secret}9000", 10)  # another form
    packets += poll("apdu:card", "002000010831323334FFFFFFFF", "9000", 20)
    told = repr(rows(packets))
    assert "AUTHENTICATE" in told and secret not in told.upper()
    assert "31323334" not in told and "1234" not in told


def test_a_whole_package_is_one_row_however_many_blocks_it_has() -> None:
    body = bytes(range(250)) * 400
    package = b"\xbf\x36\x83" + len(body).to_bytes(3, "big") + body
    packets: list[Packet] = []
    blocks = [package[at : at + 255] for at in range(0, len(package), 255)]
    for n, block in enumerate(blocks[:250]):
        header = bytes((0x81, 0xE2, 0x11, n, len(block)))
        packets += poll("apdu:card", header + block, "9000", n * 10)
    assert len(packets) < KEPT_OF_CARD
    (row,) = rows(packets, goes_on=True)
    assert row.function == "ch1 LoadBoundProfilePackage"
    assert sum(len(line) for line in row.raw) < 900 and len(row.fields) <= 41


def test_an_answer_behind_the_moment_finds_its_request_and_what_is_open_is_not_called_unanswered() -> None:
    asked = packet("apdu:card", GET_EID, at=5)
    (row,) = rows([asked], after=[packet("apdu:card", EID, answer=True, at=9)], goes_on=True)
    assert row.result.endswith("9000 ok")
    assert [row.result for row in rows([asked], goes_on=True)] == ["not over yet"]
    assert [(row.result, row.ok) for row in rows([asked])] == [("no answer", False)]


def test_no_lane_crowds_out_another_and_time_orders_them() -> None:
    busy = [each for n in range(100) for each in poll("scpi:p", b"VOLT %d\n" % n, b"1\n", 1000 + n)]
    rare = poll("apdu:card", GET_EID, EID, 1050)
    assert len(rows(busy, rare)) == 20
    found = rows(busy[-10:], rare)
    assert [row.time_ns for row in found] == sorted(row.time_ns for row in found)
    assert any(row.function == "ch1 GetEID" for row in found)


def test_what_the_at_lane_says_of_card_commands_is_left_out() -> None:
    at = poll("at:m", b'AT+CGLA=1,24,"%s"\r' % GET_EID.encode(), b'+CGLA: 46,"%s"\r\nOK\r\n' % EID.encode(), 0)
    at.append(packet("at:m", b"+CEREG: 1\r\n", answer=True, at=2))
    apdu = poll("apdu:card", GET_EID, EID, 0)
    both = [(row.lane, row.function, row.result[:9]) for row in rows(at, apdu)]
    assert both == [("apdu:card", "ch1 GetEID", "890490321"), ("at:m", "", "+CEREG: 1")]
    alone = [(row.lane, row.function) for row in rows(at)]  # all there is without a card's lane: the card command in it
    assert alone == [("at:m", "ch1 GetEID"), ("at:m", "")]
    refused = poll("at:m", b'AT+CGLA=1,24,"%s"\r' % GET_EID.encode(), b"+CME ERROR: 13\r\n", 4)
    assert [row.ok for row in rows(refused, apdu) if row.lane == "at:m"] == [False]


def test_an_echo_is_no_answer() -> None:
    packets = [
        packet("at:m", b"AT\r"),
        packet("at:m", b"AT\r\r\n", answer=True),
        packet("at:m", b"OK\r\n", answer=True),
    ]
    assert shown(rows(packets)) == [("AT", "OK", 1)]


def test_lines_nearer_to_each_other_than_their_clocks_are_sure_are_marked() -> None:
    def made(lane: str, ms: int) -> Row:
        return Row(lane, ms * 10**6, lane, "ok")

    window = Window([made("at:m", 0), made("scpi:p", 5), made("scpi:p", 6), made("at:m", 900)], [made("at:m", 5000)])
    page = exchange_table(window, 1_000_000_000, "the step ended", Clocks())
    marked = ["unsure" in part for part in page.split("<tr")[2:]]
    assert marked == [False, True, False, False, False, False]
    assert "nearer to it than the clocks" in page
    sure = Clocks(
        {"at:m": LaneClock("x", uncertainty=1e-4).describe(), "scpi:p": LaneClock("x", uncertainty=1e-4).describe()}
    )
    assert "unsure" not in exchange_table(window, 1_000_000_000, "the step ended", sure)
    assert "unsure" in exchange_table(window, 900_000_000, "the step ended", Clocks())  # the moment has a clock too
