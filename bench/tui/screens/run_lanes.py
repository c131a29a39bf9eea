"""The lanes of the page Run: which are shown, what the cursor is on, searching, and where it failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from textual import work

from bench.tui.feed import RunFeed
from bench.tui.screens.decoding import decoded, failing, hex_lines
from bench.tui.screens.dialogs import Ask
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.packet_view import MODES, PacketView

if TYPE_CHECKING:
    from bench.tui.screens.page import Page

    Base = Page
else:
    Base = object

LANES: Final = (
    ("all but SCPI", ("-scpi",)),
    ("all", ()),
    ("card", ("apdu",)),
    ("AT", ("at", "console")),
    ("eIM and SM-DP+", ("esipa", "es9plus", "es2plus", "ip")),
    ("power", ("power", "scpi")),
    ("radio", ("radio",)),
    ("steps", ("steps",)),
)


class RunLanes(Base):
    """What the page Run does with packets."""

    feed: RunFeed | None
    lanes: int
    as_hex: bool
    mark: int | None
    decoded_packet: int
    found: str
    part: str
    _next_plots: float

    def _show_part(self) -> None:
        raise NotImplementedError

    def _lanes_title(self) -> None:
        lanes = self.query_one("#lanes", PacketView)
        look = self.bench.look
        assert self.feed is not None
        title = f"Lanes: {LANES[self.lanes][0]}  {lanes.count():,} of {len(self.feed.index):,} packets"
        if self.feed.index.trouble:
            title += f"  {look.glyph('warning')} {self.feed.index.trouble}"
        if lanes.held is not None:
            state = f"PAUSED {look.glyph('paused')} {lanes.newer} newer"
        else:
            state = "FOLLOW" if lanes.following else "held at the cursor, f follows"
        self.set_title(lanes, title, f"{MODES[lanes.mode]}  {state}")

    # --- the selected packet ------------------------------------------------------------------------------------------

    def moved(self, view: Any) -> None:
        """Decode what the cursor is on."""
        if view.id == "lanes":
            self._select()

    def _select(self) -> None:
        lanes = self.query_one("#lanes", PacketView)
        packet, feed = lanes.packet, self.feed
        if packet is None or feed is None or lanes.following:
            return
        self.mark = feed.index.times[packet]
        self._next_plots = 0.0
        self._lanes_title()
        self._decode(feed, packet, self.as_hex)

    @work(thread=True, exclusive=True, group="decode", exit_on_error=False)
    def _decode(self, feed: RunFeed, packet: int, as_hex: bool) -> None:
        look = self.bench.look
        lines = hex_lines(feed.index, packet, look) if as_hex else decoded(feed.index, packet, look)
        self.app.call_from_thread(self._decoded, feed, packet, lines)

    def _decoded(self, feed: RunFeed, packet: int, lines: Any) -> None:
        if feed is not self.feed or not self.is_mounted:
            return
        self.decoded_packet = packet
        log = self.query_one("#decode", LineLog)
        log.cursor = 0
        log.show(lines)
        log.scroll_to(y=0, animate=False)
        self.set_title(
            log, f"Packet {packet + 1} {'bytes' if self.as_hex else 'decoded'}", "h tree" if self.as_hex else "h bytes"
        )

    def opened(self, view: Any) -> None:
        """Enter: decode the packet; on a step, go to its packets."""
        if view.id == "lanes":
            self.query_one("#lanes", PacketView).following = False
            self._select()
            if self.has_class("-narrow") or self.has_class("-tiny"):
                self.part = "decode"
                self._show_part()
        elif view.id == "steps" and self.feed is not None:
            steps = self.feed.view.steps
            if view.cursor < len(steps):
                self._go_to_station_time(steps[view.cursor].started)
        elif view.id == "findings":
            self.action_why()

    def _go_to_station_time(self, moment: float) -> None:
        feed = self.feed
        if feed is None or not feed.moments:
            return
        wall = next((ns for ns, t in feed.moments if t >= moment), feed.moments[-1][0])
        lanes = self.query_one("#lanes", PacketView)
        lanes.show_packet(feed.index.nearest(wall), centre=True)
        self._select()

    # --- keys ---------------------------------------------------------------------------------------------------------

    def action_why(self) -> None:
        """Go to where it failed."""
        feed = self.feed
        if feed is None or not feed.failures:
            self.bench.say("nothing has failed in this run" if feed is not None else "no run is shown")
            return
        moment, line = feed.failures[0]
        if self.lanes:
            self.lanes = 0
            self.query_one("#lanes", PacketView).show(feed.index, wanted(LANES[0][1]))
        self.bench.say(f"{self.bench.look.glyph('fail')} {line}")
        self._find_failure(feed, moment)

    @work(thread=True, exclusive=True, group="find", exit_on_error=False)
    def _find_failure(self, feed: RunFeed, moment: int) -> None:
        number = failing(feed.index, moment)
        self.app.call_from_thread(self._go, feed, number)

    def _go(self, feed: RunFeed, number: int | None) -> None:
        if feed is not self.feed or number is None:
            return
        lanes = self.query_one("#lanes", PacketView)
        lanes.held = None
        lanes.came()
        lanes.show_packet(number, centre=True)
        self._select()
        if (self.has_class("-narrow") or self.has_class("-tiny")) and self.part != "lanes":
            self.part = "decode"
            self._show_part()

    def action_lanes(self) -> None:
        """Show the next selection of lanes that has packets."""
        feed = self.feed
        if feed is None:
            return
        present = {lane.partition(":")[0] for lane in feed.index.lanes}
        for step in range(1, len(LANES) + 1):
            at = (self.lanes + step) % len(LANES)
            kinds = LANES[at][1]
            if _some_of(kinds, present):
                break
        self.lanes = at
        view = self.query_one("#lanes", PacketView)
        view.show(feed.index, wanted(kinds))
        self._lanes_title()

    def action_times(self) -> None:
        """Show times in another way."""
        lanes = self.query_one("#lanes", PacketView)
        lanes.mode = (lanes.mode + 1) % len(MODES)
        lanes.refresh()
        self._lanes_title()

    def action_hex(self) -> None:
        """Bytes or tree."""
        self.as_hex = not self.as_hex
        self.query_one("#lanes", PacketView).following = False
        self._select()

    def action_pause(self) -> None:
        """Hold the lanes still; what comes meanwhile is in the file."""
        lanes = self.query_one("#lanes", PacketView)
        lanes.held = len(self.feed.index) if lanes.held is None and self.feed is not None else None
        lanes.came()
        self._lanes_title()

    def action_follow(self) -> None:
        """Follow the newest line."""
        lanes = self.query_one("#lanes", PacketView)
        lanes.held = None
        lanes.following = True
        self.mark = None
        self._next_plots = 0.0
        lanes.came()
        lanes.changed()
        self._lanes_title()

    def action_filter(self) -> None:
        """Find in the lanes."""

        def given(text: str | None) -> None:
            if text:
                self.found = text
                self.action_find_next()

        self.app.push_screen(
            Ask("Find in the lanes", "In what a line says or in the name of its lane.", self.found), given
        )

    def action_find_next(self) -> None:
        """Next place found."""
        self._find(1)

    def action_find_previous(self) -> None:
        """Previous place found."""
        self._find(-1)

    def _find(self, step: int) -> None:
        feed = self.feed
        if feed is None or not self.found:
            self.bench.say("/ asks what to find")
            return
        at = self.query_one("#lanes", PacketView).packet
        kinds = LANES[self.lanes][1]
        self._search(feed, self.found, (at if at is not None else -1) + step, step, kinds)

    @work(thread=True, exclusive=True, group="find", exit_on_error=False)
    def _search(self, feed: RunFeed, text: str, start: int, step: int, kinds: tuple[str, ...]) -> None:
        number = feed.index.find(text, max(0, start), step=step, wanted=wanted(kinds))
        again = ""
        if number is None:
            number = feed.index.find(text, 0 if step > 0 else len(feed.index) - 1, step=step, wanted=wanted(kinds))
            again = " (round the end)"
        if number is None:
            self.app.call_from_thread(self.bench.say, f"'{text}' is nowhere in {LANES[self.lanes][0]}")
        else:
            self.app.call_from_thread(self._go, feed, number)
            self.app.call_from_thread(self.bench.say, f"'{text}': packet {number + 1}{again}; n next, N previous")


def wanted(kinds: tuple[str, ...]) -> Callable[[str], bool] | None:
    """Return what chooses lanes by their kinds; a kind with a minus is left out."""
    if not kinds:
        return None
    if kinds[0].startswith("-"):
        return lambda lane: f"-{lane.partition(':')[0]}" not in kinds
    return lambda lane: lane.partition(":")[0] in kinds


def _some_of(kinds: tuple[str, ...], present: set[str]) -> bool:
    choice = wanted(kinds)
    return choice is None or any(choice(kind) for kind in present)
