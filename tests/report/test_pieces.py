"""Values as people read them, ticks, exchanges, curves."""

from __future__ import annotations

import html.parser
import itertools
import math
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report import values
from bench.report.exchanges import Exchange, exchanges
from bench.report.svg import COLUMNS, place, stretches, thinned, ticks
from bench.report.text import e
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


def packet(lane: str, comment: str, *, answer: bool = False, at: int = 0) -> Packet:
    return Packet(lane, at, Direction.RECEIVED if answer else Direction.SENT, b"x", comment)


def poll(lane: str, question: str, answer: str, at: int) -> list[Packet]:
    return [packet(lane, question, at=at), packet(lane, answer, answer=True, at=at + 1)]


def shown(found: list[Exchange]) -> list[tuple[str, str, int]]:
    return [(exchange.sent, exchange.received, exchange.count) for exchange in found]


def test_rounds_of_polling_are_counted_with_their_last_answers() -> None:
    packets = [packet("at:m", "ATE0")]
    for n in range(50):
        packets += poll("at:m", "AT+CEREG?", f"+CEREG: {n}", 10 * n)
        packets += poll("at:m", "AT+COPS?", "+COPS: 0", 10 * n + 4)
    assert shown(exchanges([packets])) == [
        ("ATE0", "", 1),
        ("AT+CEREG?", "+CEREG: 49", 50),
        ("AT+COPS?", "+COPS: 0", 50),
    ]


def test_card_commands_with_other_answers_are_never_merged() -> None:
    packets = poll("apdu:card", "GET RESPONSE 5", "A", 0) + poll("apdu:card", "GET RESPONSE 5", "B", 2)
    assert [received for _, received, _ in shown(exchanges([packets]))] == ["A", "B"]


def test_no_lane_crowds_out_another_and_time_orders_them() -> None:
    busy = [each for n in range(100) for each in poll("scpi:p", f"CMD {n}", "1", 1000 + n)]
    rare = poll("apdu:card", "STORE DATA: GetEID", "ok", 1050)
    found = exchanges([busy, rare])
    assert len(found) == 20
    found = exchanges([busy[-10:], rare])
    assert [exchange.time_ns for exchange in found] == sorted(exchange.time_ns for exchange in found)
    assert any(re.match("STORE DATA", exchange.sent) for exchange in found)


def test_what_the_at_lane_says_of_card_commands_is_left_out() -> None:
    at = [
        packet("at:m", "AT+CGLA STORE DATA: GetEID"),
        packet("at:m", "+CGLA 6115 21 bytes to fetch", answer=True),
        packet("at:m", "OK", answer=True),
        packet("at:m", "+CEREG: 1", answer=True),
    ]
    apdu = poll("apdu:card", "STORE DATA: GetEID", "6115 21 bytes to fetch", 0)
    assert shown(exchanges([at, apdu])) == [
        ("", "+CEREG: 1", 1),
        ("STORE DATA: GetEID", "6115 21 bytes to fetch", 1),
    ]
    assert [exchange.sent for exchange in exchanges([at])] == ["AT+CGLA STORE DATA: GetEID"]  # all there is without one


def test_an_echo_is_no_answer() -> None:
    packets = [packet("at:m", "AT"), packet("at:m", "AT", answer=True), packet("at:m", "OK", answer=True)]
    assert shown(exchanges([packets])) == [("AT", "OK", 1)]
