"""What each recipe is given in the matrix, whether a station can run it, and which way its ESipa took.

A cell is a recipe on a station with one way of ESipa. What a station lacks is computed from what the recipe declares
(``Recipe.needs_on``) and from the station's table, never listed here.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.engine.checks import why
from bench.engine.recipe import load
from bench.engine.station import parts_known
from bench.station import config
from bench.trace import reader

TESTS = Path(__file__).parents[1]
WAYS: Mapping[str, Mapping[str, object]] = {
    "asn1": {},
    "json": {"binding": "json"},
    "coaps": {"transport": "coaps"},
    "compact": {"compact": True},
    "json-compact": {"binding": "json", "compact": True},
    "coaps-json": {"transport": "coaps", "binding": "json"},
}
"""Options of the IPA for the ways that ESipa can take; ``asn1``: over HTTPS, as by default."""
STATIONS = ("sim", "sim-pcsc", "sim-device")
OWN = "esipa-transport-compare"
"""It takes every way by itself."""
SILENT = ("baseline-check",)
"""They ask card and eIM for their state and poll nothing."""


@dataclass(frozen=True)
class Given:
    """``own``: on a home of its own, not on the one that all share. ``before``: recipes that must pass there first.

    ``outside``: the server that runs by itself meanwhile. ``seconds``: real ones that a run may take.
    """

    sets: tuple[str, ...] = ()
    world: tuple[str, ...] = ()
    own: bool = False
    before: tuple[str, ...] = ()
    outside: str = ""
    flash: bool = False
    seconds: float = 300.0


_HANG = json.dumps([{"at": 60, "do": "modem-hang", "until": "supply"}])
GIVEN: Mapping[str, Given] = {
    "attach-reject-sweep": Given(sets=("causes=3,8,11,12,15,17,22,25,42,96",), own=True),
    "baseline-check": Given(own=True, before=("baseline-restore",)),
    "brown-out-sweep": Given(sets=("depths=2", "widths=2")),
    "device-flash": Given(sets=("image={folder}/meter.bin", "version=1.5.0"), own=True, flash=True),
    "esipa-transport-compare": Given(sets=("live_limit=330",), world=("rat=lte", "fixed=true")),
    "euicc-apdu": Given(sets=("apdus=80E2910006BF3E035C015A",)),
    "euicc-download": Given(sets=("activation_code={code}",), own=True, outside="smdpp"),
    "euicc-download-bundled": Given(sets=("profile=operational",), own=True),
    "euicc-release": Given(own=True, before=("euicc-adopt",)),
    "fplmn-recovery": Given(own=True),
    "hybrid-consumer-euicc": Given(world=("card_mode=consumer",), own=True),
    "ipa-poll": Given(own=True, before=("ipa-poll-bundled",), outside="eim"),
    "modem-lockup-watchdog": Given(sets=("hangs_within=600", "mildest=supply"), world=(f"faults={_HANG}",)),
    "modem-qualification": Given(sets=("bands=3,8,20", "firmware=EG25GG"), own=True),
    "negative-eim": Given(own=True, seconds=900.0),
    "negative-smdp": Given(own=True, seconds=900.0),
    "poor-signal-download": Given(sets=("steps=-85,-105,-125",)),
}
"""The recipes that need something to be meaningful here; every other one runs as it is.

Those of modem and network take the profile that is enabled as it is: on a shared home it may be any, so they begin with
a new card.
"""
_DEFAULT = Given()


def given(recipe: str) -> Given:
    """Return what a recipe is given."""
    return GIVEN.get(recipe, _DEFAULT)


def toml(way: str, curve: str, station: str, recipe: str, route: Mapping[str, str]) -> str:
    """Return the bench.toml of a cell. ``route``: to a server outside, for an IPA that takes the host's network."""
    options: dict[str, object] = dict(WAYS[way])
    if route and station == "sim-pcsc":
        options["route"] = route
    found = f"[ipa]\noptions = {_inline(options)}\n"
    if curve == "brainpool":
        found += '[eim]\noptions = { curve = "brainpoolP256r1" }\n'
    if given(recipe).flash:
        found += _with_flash()
    return found


def _inline(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_inline(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def _with_flash() -> str:
    """Return the built-in sim-device with a program that flashes it."""
    text = Path(config.__file__).with_name("builtin.toml").read_text()
    table = text[text.index("[stations.sim-device]") :]
    command = json.dumps([sys.executable, str(TESTS / "recipes/flasher.py"), "$world.control", "{image}"])
    return table.replace(
        'sample = "simulated"', f'sample = "simulated"\nflash = {{ command = {command}, timeout = 20 }}'
    )


def world(way: str, curve: str, station: str, recipe: str, route: Mapping[str, str]) -> tuple[str, ...]:
    """Return the options of the world of a cell; the device's own IPA has its options from there."""
    found = list(given(recipe).world)
    if curve == "brainpool":
        found.append("card_curves=brainpoolP256r1")
    if station == "sim-device":
        found += [f"ipa_option={name}={json.dumps(value).strip(chr(34))}" for name, value in WAYS[way].items()]
    if station == "sim":
        found += [f"route={name}={target}" for name, target in route.items()]
    return tuple(found)


# --- what a station lacks -------------------------------------------------------------------------------------------


def lacks(recipe: str, station: str, bench_toml: Path) -> tuple[str, ...]:
    """Return what the recipe declares to need and the station's table does not have."""
    table = config.load(bench_toml).station(station)
    known = parts_known(table)
    needs = (need for need in load(recipe).needs_on(table) if need != "person" and ":" not in need)
    return tuple(need for need in needs if not known.get(need, False))


def refusal(recipe: str, missing: tuple[str, ...], code: int, words: str) -> str:
    """Return what is wrong with the refusal of a recipe whose station lacks something, '' when it is as it must be."""
    if code != 2:
        return f"exit code {code}, not 2, though the station lacks {', '.join(missing)}"
    due = (f"recipe {recipe} needs {', '.join(missing)}, which station", why(missing))
    return "".join(f"the refusal does not say: {text}; " for text in due if text not in words)


# --- which way ESipa took -------------------------------------------------------------------------------------------


@dataclass
class Evidence:
    """``messages``: of ESipa as the eIM received and sent them, by ``transport binding``; ``links``: what the device's
    radio link was opened to at the eIM, by ``udp`` or ``tcp`` and port."""

    messages: Counter[str] = field(default_factory=Counter)
    links: Counter[str] = field(default_factory=Counter)

    def told(self) -> dict[str, Any]:
        """Return it for a line of the matrix."""
        return {"esipa": dict(self.messages), "links": dict(self.links)}

    def wrong(self, recipe: str, station: str, way: str, bench_toml: Path) -> str:
        """Return what contradicts the way, '' for nothing: ``coaps`` cannot be HTTPS without being seen here."""
        options = WAYS[way]
        due = f"{options.get('transport', 'https')} {options.get('binding', 'asn1')}"
        if recipe == OWN:
            ways = {f"{transport} {options.get('binding', 'asn1')}" for transport in ("https", "coaps")}
            return "" if ways <= set(self.messages) else f"it compared {dict(self.messages)}"
        transport = due.split(maxsplit=1)[0]
        others = {kind: count for kind, count in self.messages.items() if kind not in (due, f"{transport} garbled")}
        if others:
            return f"ESipa messages that are not {due}: {others}"
        table = config.load(bench_toml).station(station)
        needs = load(recipe).needs_on(table)
        if not speaks_esipa(recipe, needs):
            return ""
        if not self.messages[due]:
            return f"no ESipa message that is {due}"
        # The link is another witness than the eIM, where the IPA's traffic takes it.
        by_link = station == "sim-device" or (table.data is not None and table.data.path != "host")
        if by_link and bool(self.links["udp 5684"]) != (options.get("transport") == "coaps"):
            return f"the device's link was opened to {dict(self.links)} of the eIM"
        return ""


def speaks_esipa(recipe: str, needs: tuple[str, ...]) -> bool:
    """Whether a run of the recipe polls an eIM."""
    if recipe in SILENT:
        return False
    return ("eim" in needs and bool({"ipa", "device-ipa"} & set(needs))) or recipe == "ipa-poll"


def kind_of(comment: str, data: bytes) -> str:
    """Return transport and binding of an observed ESipa message; ``garbled`` for what a misbehaving eIM made of one."""
    binding = {b"{": "json", b"\xbf": "asn1"}.get(data[:1], "garbled")
    return f"{'coaps' if comment.endswith(', CoAPS') else 'https'} {binding}"


def evidence(folder: Path, home: Path, station: str) -> Evidence:
    """Read the trace of a run and the log of its world."""
    found = Evidence()
    trace = folder / "trace.pcapng"
    if trace.exists():
        for packet in reader.read(trace):
            if packet.lane.partition(":")[0] == "esipa" and packet.data:
                found.messages[kind_of(packet.comment, packet.data)] += 1
    log = home / "sim" / station / "world.jsonl"
    if log.exists():
        for entry in map(json.loads, log.read_text().splitlines()):
            if entry.get("what") == "link-open" and str(entry.get("host")).startswith("eim."):
                found.links[f"{'udp' if entry.get('udp') else 'tcp'} {entry['port']}"] += 1
    return found


@contextmanager
def serving(what: str, home: Path) -> Iterator[Mapping[str, Any]]:
    """Run the bundled eIM or SM-DP+ by itself on a home; yields its announcement, and ``kinds``: ESipa that it saw."""
    import socket
    import subprocess
    import tempfile
    import threading

    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{folder}/observe")
        listener.listen()

        def observe() -> None:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    item = json.loads(line)
                    if item.get("lane") == "esipa":
                        kinds[kind_of(str(item.get("comment", "")), bytes.fromhex(item["data"]))] += 1

        thread = threading.Thread(target=observe, daemon=True)
        thread.start()
        command = [sys.executable, "-m", f"fixtures.{what}", "serve", "--home", str(home), "--json", "--with-parent"]
        command += ["--observe", f"{folder}/observe"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None and process.stdout is not None
        try:
            yield {**json.loads(process.stdout.readline()), "kinds": kinds}
        finally:
            process.stdin.close()
            process.wait(timeout=20.0)
            process.stdout.close()
            listener.close()
            thread.join(timeout=5.0)
