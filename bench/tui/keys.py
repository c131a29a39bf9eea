"""The key table: one meaning a key, everywhere. Footer, help and bindings are made from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what it is bound to and what it says."""

    key: str
    action: str
    short: str
    """In the footer."""
    help: str
    shown: str = ""
    """How the key is written, the key itself when empty."""
    priority: bool = False

    @property
    def label(self) -> str:
        """How the key is written in footer and help."""
        return self.shown or self.key


KEYS: tuple[Key, ...] = (
    Key("r", "run_job", "run", "Start the main job on the selected station"),
    Key("x", "stop_run", "stop", "Stop the shown run: teardown, then safe (asks)"),
    Key("enter", "open", "open", "Show the last run of the selected station", "↵"),
    Key("space", "pause", "pause", "Hold the lanes still; recording goes on", "space"),
    Key("f", "follow", "follow", "Follow the newest line again"),
    Key("f12", "safe", "SAFE", "Make safe what this screen holds; twice within 2 s: the whole host", "F12", True),
    Key("question_mark", "help", "help", "This list", "?"),
    Key("q", "quit", "quit", "Leave the screen; runs go on"),
)
