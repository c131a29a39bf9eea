"""The key table: one meaning a key, on every screen. Bindings, footer, help and palette are made from it.

No key that tmux or screen keep for themselves (ctrl+b, ctrl+a) and none that a terminal cannot tell from another
(ctrl+i is tab, ctrl+m enter, ctrl+h backspace).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EVERYWHERE: Final = ""
STATIONS, STATION, RECIPES, RUN, SOAK, HISTORY, INSTRUMENTS, EIM = PAGES = (
    "stations",
    "station",
    "recipes",
    "run",
    "soak",
    "history",
    "instruments",
    "eim",
)


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what it does, where, and what it says."""

    key: str
    """Textual's name of it; several with the same meaning joined with commas."""
    action: str
    short: str
    """In the footer; empty: only in the help."""
    help: str
    shown: str = ""
    """How the key is written, the key itself when empty."""
    where: tuple[str, ...] = ()
    """Pages on which it works; empty: on all."""
    priority: bool = False
    """Works in input fields and dialogs too."""
    changes: bool = False
    """It changes something outside this screen: off with --readonly."""

    @property
    def label(self) -> str:
        """How the key is written in footer and help."""
        return self.shown or self.key

    @property
    def keys(self) -> tuple[str, ...]:
        """Textual's names, one by one."""
        return tuple(self.key.split(","))

    def on(self, page: str) -> bool:
        """Whether it works on a page."""
        return not self.where or page in self.where


KEYS: Final[tuple[Key, ...]] = (
    # --- what a page is for, first in its footer
    Key("r", "run_job", "run", "Run the main job on the selected station", where=(STATIONS, STATION), changes=True),
    Key("enter", "open", "open", "Open what is selected; decode the selected packet", "↵"),
    Key("ctrl+r", "start", "run", "Start the recipe with the values of the form", "^r", (RECIPES,), True, True),
    Key("ctrl+o", "dry_run", "dry run", "Check everything without touching anything", "^o", (RECIPES,), True),
    Key(
        "ctrl+s",
        "save_preset",
        "keep",
        "Keep this: the form as a preset, a session as a recipe",
        "^s",
        (RECIPES, INSTRUMENTS),
        True,
    ),
    Key("ctrl+l", "load_preset", "preset", "Fill the form from the next preset", "^l", (RECIPES,), True),
    Key("o", "output_on", "output on", "Switch the output on (asks)", where=(INSTRUMENTS,), changes=True),
    Key(
        "0", "output_off", "output off", "Switch the output off, without a question", where=(INSTRUMENTS,), changes=True
    ),
    Key("v", "voltage", "set V", "Set the voltage (asks, shows the limits)", where=(INSTRUMENTS,), changes=True),
    Key("c", "command", "command", "Type an AT, APDU, SCPI or console line", where=(INSTRUMENTS,), changes=True),
    Key(
        "s",
        "session",
        "session",
        "Begin or end a manual session on the selected station",
        where=(INSTRUMENTS,),
        changes=True,
    ),
    Key("p", "start_plan", "plan", "Start a soak plan on the selected station (asks)", where=(SOAK,), changes=True),
    Key("u", "resume", "resume", "Go on with the selected soak (asks)", where=(SOAK,), changes=True),
    Key("w", "why", "why", "Go to where it failed: reason, exchange and plot at that moment", where=(RUN,)),
    Key("l", "lanes", "lanes", "Show the next selection of lanes", where=(RUN,)),
    Key("t", "times", "times", "Time of day, seconds since the start, or since the line before", where=(RUN,)),
    Key("h", "hex", "hex", "Bytes of the selected packet instead of its decoded tree", where=(RUN,)),
    Key("space", "pause", "pause", "Hold the lanes still; recording goes on", "space", (RUN, STATION)),
    Key("f", "follow", "follow", "Follow the newest line again", where=(RUN, STATION)),
    Key("m", "mark_note", "note", "Write a note on the shown run or the selected station", changes=True),
    Key("d", "diff", "diff", "Compare the marked run with the selected one", where=(HISTORY,)),
    Key("a", "mark_run", "mark A", "Mark the selected run as A: how it should be", where=(HISTORY,)),
    Key("b", "order", "order", "Order something for the selected eUICC (asks)", where=(EIM,), changes=True),
    Key("X", "cancel_order", "cancel order", "Cancel the selected order (asks)", where=(EIM,), changes=True),
    Key("i", "repair", "repair", "Repair the counter of the selected eUICC (asks)", where=(EIM,), changes=True),
    Key("slash", "filter", "filter", "Filter the list; find in the lanes", "/"),
    Key("n", "find_next", "next", "Next place found", where=(RUN,)),
    Key("N", "find_previous", "", "Previous place found", where=(RUN,)),
    Key(
        "x",
        "stop_run",
        "stop",
        "Stop the shown run: teardown, then safe; end the selected soak (asks)",
        where=(RUN, STATIONS, STATION, SOAK),
        changes=True,
    ),
    Key("left_square_bracket", "station_before", "", "Previous station or part", "["),
    Key("right_square_bracket", "station_after", "", "Next station or part", "]"),
    Key("z", "zoom", "zoom", "Give the focused pane the whole screen, and back"),
    Key("y", "copy", "copy", "Copy the selected line; on Recipes the command line"),
    Key("e", "export", "export", "Write what the list shows to a file"),
    Key("H", "hand_over", "", "Hand-over page: what runs, what is unsafe, notes"),
    Key("T", "theme", "", "Next theme: colour-blind safe, light, grey"),
    # --- the same on every page, at the end of the footer
    Key("f12,ctrl+g", "safe", "SAFE", "Make safe what you hold; twice within 2 s: the whole host", "F12", (), True),
    Key("question_mark,f1", "help", "help", "This list", "?"),
    Key("ctrl+p", "command_palette", "palette", "Find an action by its name", "^p"),
    Key("q,ctrl+q", "quit", "quit", "Leave the screen; runs go on", "q"),
    Key("escape", "back", "", "Back; close a dialog; leave a field", "esc"),
    *(
        Key(str(number), f"page('{name}')", "", f"Page {name.capitalize() if name != EIM else 'eIM'}")
        for number, name in enumerate(PAGES, 1)
    ),
)

RESERVED: Final = frozenset(
    {"ctrl+b", "ctrl+a", "ctrl+i", "ctrl+m", "ctrl+h", "ctrl+enter", "ctrl+space", "ctrl+slash"}
)
"""Keys that do not arrive through tmux or screen, or cannot be told from others."""


def keys_of(page: str) -> tuple[Key, ...]:
    """Return the keys that work on a page, in the order of footer and help."""
    return tuple(key for key in KEYS if key.on(page))
