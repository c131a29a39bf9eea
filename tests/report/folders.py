"""Run folders made by the writers themselves, as a run would leave them."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
from pathlib import Path
from typing import Any

from bench.run import folder as places
from bench.run.journal import Journal
from bench.run.samples import SampleWriter
from bench.trace.lane import Direction
from bench.trace.writer import TraceWriter

MANIFEST: dict[str, Any] = {
    "recipe": "bootstrap-to-operational",
    "station": "sim",
    "started": "2026-11-21T10:41:55.069184Z",
    "simulated": True,
    "label": "sample A7",
    "seed": 1458459442,
    "clock": "instant",
    "bearer": "proxy:http://127.0.0.1:35607",
    "parameters": {"hold": 2.0, "apn": "internet", "rat": ""},
    "order": {
        "title": "Bootstrap to operational",
        "sources": {"hold": "default", "apn": "command line", "rat": "default"},
        "by": "root@lab",
        "clock": None,
        "world": {"faults": [{"at": 3}]},
    },
    "instruments": {
        "power": {
            "driver": "keysight-e36300",
            "at": "TCPIP::127.0.0.1::42827::SOCKET",
            "simulated": True,
            "identity": "Keysight Technologies/E36312A/MY00000001",
            "firmware": "2.1.0",
        },
        "modem": {"driver": "at-modem", "at": "/dev/ttyUSB2", "simulated": True, "identity": "", "firmware": ""},
    },
    "host": {"name": "lab", "system": "Linux 6.1"},
    "versions": {"python": "3.11.7", "esim-bench": "0.1.0"},
}


HIDDEN = "\x7f\u200b\u200e\u200f\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
"""Characters that would change what a reader sees without being seen."""


class StationTime:
    """What the journal asks for the time."""

    def __init__(self) -> None:
        self.t = 100.0

    def __call__(self) -> float:
        return self.t


def run_folder(runs: Path, *, failing: bool = True, end: bool = True, **manifest: Any) -> Path:
    """Make the folder of a run that powered up, read the EID and did not register."""
    folder = places.create(runs, "sim")
    places.write_manifest(folder, {**MANIFEST, "run": folder.name, **manifest})
    journal = Journal.open(folder / places.JOURNAL, background=False)
    trace = TraceWriter.open(folder / places.TRACE, run_id=folder.name)
    clock = StationTime()
    journal.write("run-start", {"schema": 1, "run": folder.name, "recipe": "r", "station": "sim", "simulated": True})
    journal.write("service-start", {"name": "eim", "pid": 4711, "announcement": {"https": "https://127.0.0.1:1"}})
    journal.clock = clock
    journal.write("station", {"name": "sim", "clock": "instant"})
    steps, apdu = trace.lane("steps"), trace.lane("apdu:card")
    at, scpi, esipa = trace.lane("at:modem"), trace.lane("scpi:power"), trace.lane("esipa")

    def begin(path: str, **data: Any) -> None:
        journal.write("step-start", {"title": path, **data}, step=path)
        steps.record(Direction.SENT, json.dumps({"step": path}).encode(), comment=f"step {path} starts")

    def finish(path: str, verdict: str, elapsed: float, message: str = "") -> None:
        data = {"verdict": verdict, "elapsed": elapsed, "message": message}
        steps.record(Direction.RECEIVED, json.dumps({"step": path, **data}).encode(), comment=f"step {path}: {verdict}")
        journal.write("step-end", data, step=path)

    begin("start-state")
    for _ in range(2):
        apdu.record(Direction.SENT, bytes.fromhex("81E2910006BF3E035C015A00"))  # ES10c.GetEID
        apdu.record(Direction.RECEIVED, bytes.fromhex("6115"))
        apdu.record(Direction.SENT, bytes.fromhex("81C0000015"))
        apdu.record(Direction.RECEIVED, bytes.fromhex("BF3E125A10890490321234512345123456789012359000"))
    apdu.record(Direction.SENT, bytes.fromhex("81E2910003BF200000"))  # ES10b.GetEUICCInfo1, refused
    apdu.record(Direction.RECEIVED, bytes.fromhex("6985"))
    esipa.record(Direction.SENT, bytes.fromhex("BF4F125A1089049032123451234512345678901235"))
    esipa.record(Direction.RECEIVED, bytes.fromhex("BF4F03020101"))
    journal.write(
        "identity", {"name": "eid", "value": "89049032123451234512345678901235", "source": "card"}, step="start-state"
    )
    journal.write("note", {"text": "8900101000000000019 bootstrap (enabled)"}, step="start-state")
    clock.t += 10.0
    finish("start-state", "pass", 10.0)
    begin("register")
    begin("register/attach", timeout=20.0)
    for n in range(30):
        at.record(Direction.SENT, b"AT+CEREG?\r")
        at.record(Direction.RECEIVED, b"\r\n+CEREG: 5,2\r\n")
        at.record(Direction.RECEIVED, b"\r\nOK\r\n")
        scpi.record(Direction.SENT, b"MEAS:VOLT? (@1)\n")
        scpi.record(Direction.RECEIVED, b"+3.8%d0000E+00\n" % (n % 10))
    clock.t += 20.0
    journal.write(
        "measurement",
        {
            "name": "time_to_register",
            "value": 20.5,
            "unit": "s",
            "upper": 20.0,
            "verdict": "fail" if failing else "pass",
        },
        step="register/attach",
    )
    journal.write(
        "measurement",
        {"name": "rsrp", "value": -84.0, "unit": "dBm", "source": "at", "verdict": "pass"},
        step="register/attach",
    )
    message = "modem /dev/ttyUSB2: not registered within 20 s: searching" if failing else ""
    verdict = "fail" if failing else "pass"
    finish("register/attach", verdict, 20.0, message)
    finish("register", verdict, 20.0, message)
    journal.write("verdict", {"device": verdict, "reason": message}, step="register/attach")
    if failing:
        data = {
            "what": "not registered within 20 s: searching",
            "where": "modem /dev/ttyUSB2",
            "hint": "is the antenna on?",
        }
        journal.write("error", {**data, "stack": "Traceback <most recent>"})
    places.write_json(
        folder / places.PLAN, {"actions": [{"name": "network.off"}, {"name": "power.off", "dead_voltage": 0.3}]}
    )
    journal.write("safe", {"name": "network.off", "verified": True, "reading": "cells on: none", "by": "runner"})
    clock.t += 1.0
    if end:
        journal.write(
            "safe", {"name": "power.off", "verified": True, "reading": 0.288, "message": "0.288 V", "by": "runner"}
        )
        code = 1 if failing else 0
        journal.write(
            "run-end", {"device": verdict, "bench": "pass", "exit_code": code, "summary": message, "by": "runner"}
        )
    journal.close()
    trace.close()
    writer = SampleWriter.create(
        folder,
        "psu1",
        start=100.0,
        wall_ns=1_790_000_000_000_000_000,
        interval=1.0,
        supply={"identity": "K/E/1"},
        channel=2,
    )
    writer.extend((100.0 + n, 4.0, 0.25 if n < 10 else 0.5) for n in range(31))
    writer.close()
    return folder


class Page(html.parser.HTMLParser):
    """A page as a browser would read it, with what a report must not have."""

    VOID = frozenset(("meta", "br", "link", "img", "input"))

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()
        if self.open:
            self.wrong.append(f"never closed: {self.open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and "nav" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def check_page(text: str) -> Page:
    """Check what holds for every report: well-formed, self-contained, nothing that runs, no section given up."""
    page = Page(text)
    assert page.wrong == []
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base", "form", "img"), tag
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style", tag  # the content security policy would refuse it
            if name in ("href", "src"):
                assert (value or "").startswith(("#", "./")), value
    styles = [part.partition("</style>")[0] for part in text.split("<style>")[1:]]
    assert len(styles) == 1
    assert "url(" not in styles[0] and "http" not in styles[0]
    digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    (policy,) = [
        attributes["content"]
        for tag, attributes in page.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not [c for c in text if (ord(c) < 32 and c not in "\n\t") or c in HIDDEN]
    assert "@import" not in text
    assert "This part cannot be made" not in text
    return page
