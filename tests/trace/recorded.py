"""Traces of real parties, recorded in the test's own process: virtual eUICC, IPA, relaying eIM and SM-DP+.

A provisioning from the bootstrap profile to the operational one, with every APDU, ESipa and ES9+ message on its lane. A
fault is planted between two parties, or in one of them, and what follows is what they really do. Time is a counter, a
millisecond a packet, so that two recordings differ only in what the parties made different.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ipa.fakes import EID, Tls, make_tls
from ipa.lab import Lab

from bench.errors import BenchError
from bench.trace.decode import one_liner
from bench.trace.lane import Direction
from bench.trace.reader import Packet
from fixtures.pki import Pki
from fixtures.profiles import ensure_default_packages
from fixtures.smdpp.status import Refusal, failure

BEGIN = 1_790_000_000_000_000_000
TICK = 1_000_000
LIST_PROFILES = bytes.fromhex("bf2d00")

Change = Callable[[bytes], bytes | int | None]
"""What becomes of a message: other bytes, an HTTP status, or None: it does not arrive."""


@dataclass
class Fault:
    """``change`` is done to the messages on ``lane`` in ``direction`` that contain ``marker``; all but ``skip``.

    A short marker is looked for at the beginning only: a random number or a signature may contain it.
    """

    lane: str
    direction: int
    marker: bytes
    change: Change
    skip: int = 0
    seen: int = 0

    def __call__(self, lane: str, direction: int, data: bytes) -> bytes | int | None:
        where = data[:12] if len(self.marker) < 3 else data
        if (lane, direction) != (self.lane, self.direction) or self.marker not in where:
            return data
        self.seen += 1
        return self.change(data) if self.seen > self.skip else data


@dataclass
class Recorder:
    """Keeps packets; ``now`` is the time of the next one."""

    packets: list[Packet] = field(default_factory=list)
    now: int = BEGIN

    def __call__(self, lane: str, direction: int, data: bytes) -> None:
        self.now += TICK
        self.packets.append(
            Packet(
                lane,
                self.now,
                Direction(direction),
                data,
                one_liner(lane, direction, data),
                number=len(self.packets) + 1,
            )
        )

    def step(self, path: str, verdict: str | None = None) -> None:
        told: dict[str, Any] = {"step": path}
        told |= {"title": path} if verdict is None else {"verdict": verdict, "elapsed": 1.5, "message": ""}
        self("steps", 0 if verdict is None else 1, json.dumps(told).encode())


@dataclass
class Base:
    """A bench home that recordings start from, and the TLS of their eIM."""

    home: Path
    tls: Tls

    @classmethod
    def make(cls, folder: Path) -> Base:
        home = folder / "base"
        Pki.open(home).euicc(EID)
        ensure_default_packages(home)
        return cls(home, make_tls(folder / "tls"))


class _Smdpp:
    """The SM-DP+ behind its JSON binding, recorded; everything else is its own."""

    def __init__(self, inner: Any, record: Recorder, fault: Callable[[str, int, bytes], bytes | int | None]) -> None:
        self._inner = inner
        self._record = record
        self._fault = fault
        self.functions = {name: self._call(name, function) for name, function in inner.functions.items()}
        self.initiate_authentication = self.functions["initiateAuthentication"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _call(self, name: str, function: Callable[..., Any]) -> Callable[[dict[str, Any]], Any]:
        def call(body: dict[str, Any]) -> Any:
            sent = json.dumps(body).encode()
            self._record("es9plus", 0, sent)
            try:
                told = function(body)
            except Refusal as refusal:
                self._record("es9plus", 1, json.dumps({"header": failure(refusal)}).encode())
                raise
            answer = {"header": {"functionExecutionStatus": {"status": "Executed-Success"}}, **told}
            changed = self._fault("es9plus", 1, json.dumps(answer).encode())
            assert isinstance(changed, bytes)
            self._record("es9plus", 1, changed)
            return {key: value for key, value in json.loads(changed).items() if key != "header"}

        return call


def wire(lab: Lab, record: Recorder, fault: Callable[[str, int, bytes], bytes | int | None]) -> None:
    """Put the recorder and the fault between the parties of a lab."""
    transmit, relay = lab.card.euicc.transmit, lab.relay

    def card(command: bytes) -> bytes:
        record("apdu:card", 0, command)
        answer = transmit(command)
        changed = fault("apdu:card", 1, answer)
        if isinstance(changed, bytes) and changed:
            by_command = fault("command", 1, command)  # a fault may look at the command that is answered
            changed = by_command if by_command != command else changed
        if not isinstance(changed, bytes) or not changed:
            return b""
        record("apdu:card", 1, changed)
        return changed

    def eim(message: bytes, index: int) -> Any:
        record("esipa", 0, message)
        answer = relay(message, index)
        if isinstance(answer, bytes):
            answer = fault("esipa", 1, answer)  # type: ignore[assignment]
        if isinstance(answer, bytes):
            record("esipa", 1, answer)
        return answer

    lab.card.euicc.transmit = card  # type: ignore[method-assign]
    lab.eim.answer = eim
    relay.smdpp = _Smdpp(relay.smdpp, record, fault)  # type: ignore[assignment]


async def _provision(lab: Lab, record: Recorder, prepare: Callable[[Lab], None] | None) -> None:
    steps = (
        ("look", lab.ipa.profiles),
        ("download", lab.ipa.poll),
        ("switched", lab.ipa.poll),
        ("list", lab.ipa.poll),
    )
    for name, act in steps:
        record.step(name)
        if name == "download":
            lab.order_download()
            lab.order_enable()
        elif name == "list":
            lab.order(LIST_PROFILES)
        if name == "download" and prepare is not None:
            prepare(lab)
        try:
            await act()
        except (BenchError, AssertionError) as error:
            record.step(name, "fail")
            del error
            return
        record.step(name, "pass")
        if name == "download":
            await lab.card.reset()


def provisioning(
    base: Base,
    home: Path,
    fault: Callable[[str, int, bytes], bytes | int | None] | None = None,
    *,
    prepare: Callable[[Lab], None] | None = None,
    **card: object,
) -> list[Packet]:
    """Return the packets of one provisioning; ``prepare`` is called before the download is polled for."""
    record = Recorder()

    async def run() -> None:
        async with Lab.make(base.home, home, base.tls, **card) as lab:
            wire(lab, record, fault or (lambda _lane, _direction, data: data))
            if prepare is not None:
                lab.notes["record"] = record
            await asyncio.wait_for(_provision(lab, record, prepare), 60)
            await lab.ipa.close()

    asyncio.run(run())
    return record.packets
