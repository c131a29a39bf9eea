"""Instruments: outputs switched by hand, AT, APDU, SCPI and console lines. A manual session is a run of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from rich.style import Style
from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal

from bench.client.overview import STALE, Output, StationState
from bench.errors import BenchError
from bench.tui.keys import INSTRUMENTS
from bench.tui.screens.dialogs import Ask, Confirm, Interlock
from bench.tui.screens.page import Page, bindings
from bench.tui.starting import Starting
from bench.tui.widgets.line_log import LineLog
from bench.tui.widgets.row_list import Cell, Column, Row, RowList

COLUMNS = (
    Column("station", 12),
    Column("kind", 5),
    Column("supply", 10, optional=100),
    Column("output", 18),
    Column("volts", 8, right=True),
    Column("amps", 8, right=True),
    Column("read", 9, right=True, optional=100),
    Column("owner", 12, 1),
)
SNIPPETS: Final = {
    "at": ("ATI", "AT+CPIN?", "AT+CEREG?", "AT+CSQ", "AT+COPS?", "AT+CGPADDR"),
    "apdu": ("80E2910006BF3E035C015A", "80E2910003BF2D00", "80E2910003BF2200"),
    "scpi": ("*IDN?", "MEAS:VOLT?", "MEAS:CURR?", "SYST:ERR?"),
    "console": ("help", "version"),
    "network": ("status", "cell off", "rsrp -115"),
}
"""What is asked most: ATI ...; GetEuiccData (EID), GetProfilesInfo, GetEuiccInfo2; who the supply is; the radio."""


class InstrumentsPage(Page):
    """Every output, and the session on the selected station."""

    PAGE = INSTRUMENTS
    BINDINGS = bindings(INSTRUMENTS)
    AUTO_FOCUS = "#outputs"

    def __init__(self) -> None:
        super().__init__()
        self.kind = "at"
        self._said: dict[str, list[tuple[str, Style]]] = {}
        self._shown_for = ""

    def body(self) -> ComposeResult:
        """Build the page."""
        yield RowList(COLUMNS, id="outputs", classes="pane")
        with Horizontal(id="session-row"):
            yield LineLog(id="session", classes="pane", cursor=True)
            yield LineLog(id="session-help", classes="pane wide-only")

    def on_mount(self) -> None:
        """Say what can be done."""
        self.query_one("#session-help", LineLog).following = False

    # --- drawing ------------------------------------------------------------------------------------------------------

    def filled(self) -> None:
        """Show the outputs as they were last read."""
        rows = []
        for station in self.overview.stations:
            for output in station.outputs or (Output(station.name, "", "off"),):
                rows.append(Row(f"{station.name}/{output.supply}", self._cells(station, output)))
        table = self.query_one("#outputs", RowList)
        table.show(rows)
        on = self.overview.outputs
        if table.selected.partition("/")[0] != self.bench.station:
            key = next((row.key for row in rows if row.key.partition("/")[0] == self.bench.station), "")
            table.select(key)
        subtitle = f"? not read for {STALE:.0f} s, or by nobody"
        self.set_title(table, f"Outputs ({len(on)} on or not known)", subtitle)
        self._session()

    def _cells(self, station: StationState, output: Output) -> list[Cell]:
        look = self.bench.look
        word = {"on": "ON", "off": "OFF", "unknown": "not known"}[output.state] if station.outputs else "no supply"
        none = look.glyph("none")
        return [
            station.name,
            station.kind,
            output.supply or none,
            (look.said(output.state if station.outputs else "none", word), look.style(output.state)),
            f"{output.volts:.3f}" if output.volts is not None else none,
            f"{output.amps:.3f}" if output.amps is not None else none,
            f"{output.age:.0f} s ago" if output.age is not None else "never",
            station.held_by or "free",
        ]

    def _session(self) -> None:
        look, name = self.bench.look, self.bench.station
        log = self.query_one("#session", LineLog)
        folder = self.folder()
        lines = self._said.get(name, [])
        if not lines:
            word = "s begins one: a run of its own, recorded, made safe at its end" if folder is None else ""
            lines = [(look.text(word or "c types a line; o and 0 switch the output"), look.style("pending"))]
        log.show(lines)
        title = f"Session on {name}: {folder.name}" if folder is not None else f"No session on {name}"
        self.set_title(log, title, f"{self.kind.upper()} lines; s ends it" if folder is not None else "")
        plain, head = look.style(""), look.style("heading")
        told = [("s", "begin or end the session"), ("c", "type a line"), ("o", "output on (asks)")]
        told += [
            ("0", "output off (no question)"),
            ("v", "set the voltage (asks)"),
            ("^s", "keep the session as a recipe"),
        ]
        helped = [(f"{key:>3}  {text}", plain) for key, text in told]
        helped += [("", plain), ("a line begins with its kind:", head)]
        helped += [(f"{kind:<8} {'  '.join(self.snippets(kind)[:3])}", plain) for kind in SNIPPETS]
        helped += [("", plain), ("without one it is of the last kind", plain)]
        self.query_one("#session-help", LineLog).show((look.text(text), style) for text, style in helped)
        self.set_title(self.query_one("#session-help"), "Manual control")

    def _tell_line(self, station: str, text: str, state: str = "") -> None:
        lines = self._said.setdefault(station, [])
        lines.append((self.bench.look.text(f"{time.strftime('%H:%M:%S')} {text}"), self.bench.look.style(state)))
        del lines[:-5000]
        if self.is_mounted:
            self._session()

    def snippets(self, kind: str) -> list[str]:
        """Return the lines of a kind that are at hand: the station's own of bench.toml, then those of every station."""
        own = self.station.snippets.get(kind, ()) if self.station is not None else ()
        return list(dict.fromkeys([*own, *SNIPPETS[kind]]))

    # --- the session --------------------------------------------------------------------------------------------------

    def folder(self) -> Path | None:
        """Return the run folder of the live session on the selected station, None when there is none."""
        station = self.station
        if station is None or station.live is None or not station.mine:
            return None
        return station.live.folder if station.live.recipe.rpartition(":")[2] == "session" else None

    def _refused(self, station: StationState | None) -> str:
        if station is None:
            return "no station is selected"
        if station.owner is None:
            return f"no session on {station.name}: s begins one"
        held = station.live.run_id if station.live is not None else station.owner.run
        return f"{station.name} is held by {station.held_by} ({held}): no manual control until that ends"

    def action_session(self) -> None:
        """Begin or end a session on the selected station."""
        station, folder = self.station, self.folder()
        if folder is not None:
            self.bench.say(f"bench stop {folder.name}")
            self._end(folder)
        elif station is not None and station.owner is None:
            self.bench.say(f"a session on {station.name} begins ...")
            self._begin(station.name, station.simulated, self.bench.starts(station.name))
        else:
            self.bench.say(self._refused(station))

    @work(thread=True, group="session", exit_on_error=False)
    def _begin(self, station: str, simulated: bool, starting: Starting) -> None:
        folder, trouble = None, "the session could not be started"
        try:
            clock = "real" if simulated else ""
            folder, trouble = self.bench.control.begin_session(station, starting.withdrawn, clock=clock)
        finally:
            self.bench.has_started(starting, folder)
        if folder is None:
            self.app.call_from_thread(self._tell_line, station, trouble, "fail")
            return
        until = time.monotonic() + 60.0
        while time.monotonic() < until:
            try:
                answer = self.bench.control.tell(folder, {"op": "reading"})
            except BenchError as error:
                if not self._lives(folder):
                    self.app.call_from_thread(self._tell_line, station, f"it ended before it began: {error}", "fail")
                    return
                time.sleep(0.1)
                continue
            output = f", output {'on' if answer['on'] else 'off'}" if "on" in answer else ""
            switches = "; o switches the output on, 0 off" if output else ""
            self.app.call_from_thread(self._tell_line, station, f"session {folder.name} is ready{output}", "ok")
            self.app.call_from_thread(self.bench.say, f"c types a line{switches}")
            break
        self.app.call_from_thread(self.bench.refresh_overview)

    @staticmethod
    def _lives(folder: Path) -> bool:
        from bench.run.liveness import alive

        return alive(folder)

    @work(thread=True, exclusive=True, group="session", exit_on_error=False)
    def _end(self, folder: Path) -> None:
        trouble = self.bench.control.stop(folder)
        text = trouble or f"session {folder.name} is stopped and made safe"
        self.app.call_from_thread(self._tell_line, self.bench.station, text, "fail" if trouble else "")
        self.app.call_from_thread(self.bench.refresh_overview)

    @work(thread=True, group="tell", exit_on_error=False)
    def _tell(self, folder: Path, station: str, request: dict[str, Any], shown: str) -> None:
        self.app.call_from_thread(self._tell_line, station, f"> {shown}", "running")
        try:
            answer = self.bench.control.tell(folder, request)
        except BenchError as error:
            answer = {"error": str(error)}
        if "error" in answer:
            hint = f" ({answer['hint']})" if answer.get("hint") else ""
            self.app.call_from_thread(self._tell_line, station, f"  {answer['error']}{hint}", "fail")
        for line in answer.get("lines", ()):
            self.app.call_from_thread(self._tell_line, station, f"< {line}", "")
        if "volts" in answer:
            text = f"< {answer['volts']:.3f} V  {answer['amps']:.3f} A"
            self.app.call_from_thread(self._tell_line, station, text, "on" if answer.get("on") else "off")

    def action_command(self) -> None:
        """Type a line."""
        folder = self.folder()
        if folder is None:
            self.bench.say(self._refused(self.station))
            return
        station = self.bench.station

        def typed(text: str | None) -> None:
            if not text:
                return
            word, _, rest = text.partition(" ")
            if word.lower() in SNIPPETS and rest:
                self.kind, text = word.lower(), rest.strip()
            elif text.upper().startswith("AT"):
                self.kind = "at"
            self._line(folder, station, text)

        hint = "  ".join(self.snippets(self.kind)[:8])
        known = [*self.snippets(self.kind), *(f"{kind} {line}" for kind in SNIPPETS for line in self.snippets(kind))]
        explained = (
            f"A line of {self.kind.upper()}, or: at ..., apdu ..., scpi ...?, console ..., network ...\nsuch as {hint}"
        )
        self.app.push_screen(Ask(f"Line for {station}", f"{explained}\nright arrow completes", known=known), typed)

    def _line(self, folder: Path, station: str, text: str) -> None:
        """Have a line carried out; what transmits is asked for first, what the card cannot undo needs a typed name."""
        request, shown = {"op": self.kind, "line": text}, f"{self.kind} {text}"
        state = self.overview.station(station)
        lost = destroys(text) if self.kind == "apdu" and state is not None and not state.expendable else ""
        if state is None or not (lost or (self.kind == "network" and radiates(text))):
            self._tell(folder, station, request, shown)
            return
        facts = [f"station {station} ({state.kind})   owner {state.held_by}", f"{shown}: {lost or 'it transmits'}"]

        def answered(yes: bool | None) -> None:
            if yes:
                self._tell(folder, station, request, shown)

        title, verb = ("Send what cannot be undone?", "Send") if lost else ("Switch the cell on?", "Switch on")
        locks = self._locks(state, folder)
        self.app.push_screen(Confirm(title, facts, verb, interlocks=locks, typed=station if lost else ""), answered)

    def _locks(self, station: StationState, folder: Path | None) -> list[Interlock]:
        return [
            Interlock(folder is not None, "the station is held by your session", station.held_by or "nobody", True),
            Interlock(not station.unsafe, "no run has left it unsafe", "", True),
            Interlock(True, "voltage and current limits of bench.toml", "checked by the driver"),
        ]

    def action_output_on(self) -> None:
        """Switch the output on, asked first."""
        station, folder = self.station, self.folder()
        if station is None or folder is None:
            self.bench.say(self._refused(station))
            return
        reading = next(iter(station.outputs), None)
        facts = [
            f"station {station.name} ({station.kind})   owner {station.held_by}",
            f"output  {reading.supply or 'supply' if reading else 'supply'}: on, at the voltage of bench.toml or of v",
        ]

        def answered(yes: bool | None) -> None:
            if yes:
                self._tell(folder, station.name, {"op": "output", "on": True}, "output on")

        self.app.push_screen(
            Confirm("Switch the output on?", facts, "Switch on", interlocks=self._locks(station, folder)), answered
        )

    def action_output_off(self) -> None:
        """Switch the output off at once."""
        folder = self.folder()
        if folder is None:
            self.bench.say(self._refused(self.station))
        else:
            self._tell(folder, self.bench.station, {"op": "output", "on": False}, "output off")

    def action_voltage(self) -> None:
        """Set the voltage: asked, with the limit; beyond it the driver refuses, whoever confirms."""
        station, folder = self.station, self.folder()
        if station is None or folder is None:
            self.bench.say(self._refused(station))
            return

        def typed(text: str | None) -> None:
            try:
                value = float((text or "").removesuffix("V").strip())
            except ValueError:
                if text:
                    self.bench.say(f"'{text}' is no voltage")
                return
            facts = [f"station {station.name} ({station.kind})   owner {station.held_by}", f"voltage {value:g} V"]

            def answered(yes: bool | None) -> None:
                if yes:
                    self._tell(folder, station.name, {"op": "voltage", "value": value}, f"voltage {value:g} V")

            question = Confirm("Set the voltage?", facts, "Set it", interlocks=self._locks(station, folder))
            self.app.push_screen(question, answered)

        self.app.push_screen(Ask(f"Voltage of {station.name}", "Volts; the limit of bench.toml holds."), typed)

    def action_save_preset(self) -> None:
        """Keep the last minutes of the session as a recipe."""
        station = self.station
        folder = self.folder() or (station.last.folder if station is not None and station.last is not None else None)
        if folder is None:
            self.bench.say("there is no session to keep")
            return

        def named(text: str | None) -> None:
            if not text:
                return
            name, _, minutes = text.partition(" ")
            try:
                last = float(minutes) * 60 if minutes else None
                path = self.bench.control.save_session(folder, name, last)
                self.bench.say(f"written: {path}; bench run {path.name} --station {self.bench.station}")
            except (BenchError, OSError, ValueError) as error:
                self.bench.say(f"cannot be kept: {error}")

        hint = "A name, and how many of the last minutes (all without): try-it 5"
        self.app.push_screen(Ask("Keep the session as a recipe", hint), named)

    # --- lists --------------------------------------------------------------------------------------------------------

    def moved(self, view: Any) -> None:
        """Another station."""
        if view.id == "outputs":
            self.bench.choose_station(view.selected.partition("/")[0])
            self._session()

    def opened(self, view: Any) -> None:
        """Type a line, or show the run that holds the station."""
        if self.folder() is not None:
            self.action_command()
        elif self.station is not None and self.station.live is not None:
            self.bench.show_run(self.station.live.folder)
        else:
            self.bench.say(self._refused(self.station))


def radiates(line: str) -> bool:
    """Return whether a line for the network emulator switches a transmitter on."""
    from bench.client.session_radio import parse

    try:
        call = parse(line)
    except BenchError:
        return False  # the session says what is wrong with it
    return call is not None and call.radiates


_STORE_DATA = 0xE2
_FUNCTIONS = {
    "BF33": "DeleteProfile (SGP.22 section 5.7.18)",
    "BF34": "eUICCMemoryReset (SGP.22 section 5.7.19)",
    "BF64": "eUICCMemoryReset (SGP.32 section 5.9.5)",
}
"""Tags of ES10 commands after which a profile is gone."""
_COMMANDS = {
    0xE4: "DELETE (GlobalPlatform, ETSI TS 102 222)",
    0xE6: "TERMINATE DF (ETSI TS 102 222 section 6.7)",
    0xE8: "TERMINATE EF (ETSI TS 102 222 section 6.8)",
    0xFE: "TERMINATE CARD USAGE (ETSI TS 102 222 section 6.9)",
}


def destroys(line: str) -> str:
    """Return what an APDU would do that the card cannot undo; empty when it is none, or nothing to fear."""
    try:
        command = bytes.fromhex(line)
    except ValueError:
        return ""  # the session says what is wrong with it
    if len(command) < 4:
        return ""
    if command[1] == _STORE_DATA:
        return _FUNCTIONS.get(command[5:7].hex().upper(), "")
    return _COMMANDS.get(command[1], "")
