"""The lanes of a run on one time line: any number of packets, drawn from the file as they become visible."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final

from rich.style import Style

from bench.client.packets import Chosen, TraceIndex
from bench.tui.themes import Look
from bench.tui.widgets.line_view import Line, LineView

MODES: Final = ("clock", "since start", "since line before")
_PLAIN: Final = Style()
_DIM: Final = Style(dim=True)


class PacketView(LineView):
    """Packets of chosen lanes."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.mode = 0
        self.held: int | None = None
        """Packets of the file that are shown while paused; None: all."""
        self.following = True
        self._chosen: Chosen | None = None
        """What is shown of the trace; None: there is no trace."""

    @property
    def index(self) -> TraceIndex | None:
        """The trace that is shown."""
        return self._chosen.trace if self._chosen is not None else None

    def show(self, index: TraceIndex | None, wanted: Callable[[str], bool] | None = None) -> None:
        """Show the packets of a trace, of wanted lanes alone when given."""
        kept = self.packet if index is self.index else None
        if index is not self.index:
            self.forget()
        self._chosen = Chosen(index, wanted) if index is not None else None
        self.held = None
        self.came()
        if kept is not None and not self.following:
            self.show_packet(kept)

    def came(self) -> bool:
        """Take in packets that the index has got; whether there were any."""
        if self._chosen is None:
            self.changed()
            return False
        there = len(self._chosen.trace)
        total = there if self.held is None else min(self.held, there)
        if total == self._chosen.seen:
            return False
        self._chosen.grow(total)
        self.changed()
        return True

    def count(self) -> int:
        """Return how many packets are shown."""
        return 0 if self._chosen is None else len(self._chosen)

    def _number(self, row: int) -> int:
        return row if self._chosen is None else self._chosen[row]

    @property
    def packet(self) -> int | None:
        """Number of the packet under the cursor, None when there is none."""
        return self._number(self.cursor) if self.cursor < self.count() else None

    def show_packet(self, number: int, *, centre: bool = False) -> None:
        """Put the cursor on a packet, or on the one before it that is shown."""
        import bisect

        row = bisect.bisect_right(self._chosen or (), number) - 1
        self.following = False
        self.move_to(max(0, row), centre=centre)
        self.refresh()

    @property
    def newer(self) -> int:
        """Packets that came while paused."""
        return 0 if self.index is None or self.held is None else max(0, len(self.index) - self.held)

    def made_of(self, row: int) -> Hashable:
        """Return the packet's number and how its time is shown: the file never changes what it has."""
        before = self._number(row - 1) if self.mode == 2 and row else 0
        return self._number(row), self.mode, before

    def line(self, row: int) -> Line:
        """Return one packet as a line."""
        index = self.index
        if index is None:
            return ()
        number = self._number(row)
        try:
            packet = index.at(number)
        except IndexError:
            return (("(no longer in the file)", _DIM),)
        look: Look = self.app.look  # type: ignore[attr-defined]
        sign = " " if packet.direction is None else look.glyph("arrow-in" if packet.direction else "arrow-out")
        said = look.text(packet.comment.partition("\n")[0] or packet.data[:24].hex())
        style = look.lane(packet.lane)
        return (
            (f"{self.moment(row, packet.time_ns)} ", _DIM),
            (f"{packet.lane[:10]:<10} {sign} ", style),
            (said, style if _is_bad(said) is False else look.style("fail")),
        )

    def moment(self, row: int, time_ns: int) -> str:
        """Return a moment as the chosen mode has it, twelve cells."""
        assert self.index is not None
        if self.mode == 0:
            clock = time.strftime("%H:%M:%S", time.localtime(time_ns // 1_000_000_000))
            return f"{clock}.{time_ns // 1_000_000 % 1000:03d}"
        since = self.index.times[0] if self.mode == 1 else self.index.times[self._number(max(0, row - 1))]
        return f"{(time_ns - since) / 1e9:>+12.3f}"


def _is_bad(text: str) -> bool:
    """Whether the line of a packet tells of a failure."""
    if "rror" in text or "reject" in text or "refus" in text or "timeout" in text or "fail" in text:
        return "noError" not in text
    at = text.rfind(" - ")
    word = text[at + 3 : at + 5] if at >= 0 else text[:2]
    return word in ("64", "65", "67", "68", "69", "6A", "6B", "6D", "6E", "6F", "98") and len(text) > 4
