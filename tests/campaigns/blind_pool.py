"""Conditions for blind tests on the simulated bench: causes that end the main job in ways of their own, and noise."""

from __future__ import annotations

import random
from typing import Final

from bench.reproduce.conditions import Condition, Moment
from bench.reproduce.scenario import Scenario
from bench.reproduce.signature import Expected, Signature

RECIPE: Final = "bootstrap-to-operational"

CAUSES: Final = (
    ("old-counter", "eim-misbehave", {"name": "wrong-counter", "count": 0}, Moment(step="switch")),
    ("expired", "smdpp-misbehave", {"name": "expired-certificate", "count": 0}, Moment()),
    ("refused", "card-status", {"sw": "6985", "ins": "E2"}, Moment(step="deliver-result")),
    ("no-data", "link-block", {}, Moment(step="data-operational")),
    ("sag", "brown-out", {"volts": 2.0, "seconds": 0.5}, Moment(step="download/poll", apdu=20)),
    ("card-lost", "card-remove", {}, Moment(step="switch/poll", apdu=8)),
    ("bad-bpp", "smdpp-misbehave", {"name": "bpp", "count": 0, "parameters": {"form": "mac"}}, Moment()),
    ("port-gone", "port-gone", {"seconds": 200.0}, Moment(step="switch/refresh", after=0.1)),
)  # fmt: skip
"""Each ends the job by itself."""

NOISE: Final = (
    ("weaker", "cell-power", {"rsrp": -88.0, "seconds": 5.0}, Moment(step="register-bootstrap")),
    ("weaker-2", "cell-power", {"cell": 2, "rsrp": -90.0, "seconds": 5.0}, Moment(step="register-operational")),
    ("weaker-3", "cell-power", {"rsrp": -86.0}, Moment(step="download")),
    ("slow-eim", "server-slow", {"name": "eim.bench.example", "delay": 0.2}, Moment(step="download")),
    ("slow-smdp", "server-slow", {"name": "smdpp.bench.example", "delay": 0.3}, Moment()),
    ("slow-link", "link-delay", {"delay": 0.1, "seconds": 20.0}, Moment(step="switch")),
    ("slow-link-2", "link-delay", {"delay": 0.05}, Moment(step="deliver-result")),
    ("lost", "datagram-lose", {"count": 1}, Moment(step="download")),
    ("twice", "datagram-duplicate", {"count": 2}, Moment(step="https")),
    ("twice-2", "datagram-duplicate", {"count": 1}, Moment(step="switch")),
    ("nat", "nat-forget", {}, Moment(step="power-cycle")),
    ("nat-2", "nat-forget", {}, Moment(step="data-bootstrap")),
    ("dip", "brown-out", {"volts": 3.6, "seconds": 0.01}, Moment(step="register-bootstrap")),
    ("dip-2", "brown-out", {"volts": 3.5, "seconds": 0.02}, Moment(step="register-operational")),
    ("dip-3", "brown-out", {"volts": 3.6, "seconds": 0.05}, Moment(step="modem-ready", after=1.0)),
    ("leads", "world", {"set": {"lead_resistance": 0.15}}, Moment()),
    ("bigger-capacitor", "world", {"set": {"capacitance": 0.00047}}, Moment()),
    ("second-slow", "server-slow", {"name": "other.example", "delay": 9.0}, Moment()),
)  # fmt: skip
"""None of them ends the job, alone or with others."""


def condition(entry: tuple[str, str, dict[str, object], Moment], number: int = 0) -> Condition:
    name, do, figures, at = entry
    return Condition(name if not number else f"{name}-{number}", do, dict(figures), at)


def twenty() -> Scenario:
    """Twenty conditions of which two are decisive: the signature has the effect of either."""
    conditions = [condition(entry) for entry in NOISE]
    conditions.insert(5, Condition("refresh-ignored", "world", {"set": {"refresh": "ignored"}}))
    conditions.insert(14, condition(CAUSES[2]))
    signature = Signature(
        "any",
        "deliver-result",
        calls=(
            Expected("AT+CFUN=*", "at:*", step="switch/refresh"),
            Expected(lane="apdu:*", result="6985*", step="deliver-result*"),
        ),
    )
    return Scenario("Twenty conditions", RECIPE, signature, tuple(conditions), seed=11)


def sometimes(seed: int) -> Scenario:
    """A failure of about 30 %: the card refuses from one of the next 30 APDUs on, the step has fewer; noise around."""
    draw = random.Random(seed)
    conditions = [condition(entry) for entry in draw.sample(NOISE, 4)]
    name, do, figures, _ = CAUSES[2]
    flaky = Condition(name, do, dict(figures), Moment(step="deliver-result", apdu=(1, 30)))
    conditions.insert(draw.randrange(5), flaky)
    return Scenario(
        "Fails three times of ten",
        RECIPE,
        Signature("any", "deliver-result", calls=(Expected(lane="apdu:*", result="6985*"),)),
        tuple(conditions),
        seed=1000 * seed,
    )


CHAINS: Final = (
    (("rejects", "reject", {"cause": 17, "cell": 2}, Moment(step="switch")),
     ("lock-up", "modem-hang", {"until": "supply"}, Moment(log="nas", match={"cause": 17}, count=2))),
    (("rejects", "reject", {"cause": 17}, Moment(step="register-bootstrap")),
     ("card-out", "card-remove", {}, Moment(log="nas", match={"cause": 17}, count=1))),
    (("rejects", "reject", {"cause": 17}, Moment(step="register-bootstrap")),
     ("congested", "reject", {"cause": 22}, Moment(log="nas", match={"cause": 17}, count=1)),
     ("lock-up", "modem-hang", {"until": "supply"}, Moment(log="nas", match={"cause": 22}, count=1))),
)  # fmt: skip
"""Each comes only because of those before it, and the run ends otherwise without it."""


def blind(number: int) -> tuple[Scenario, set[str]]:
    """One random mix of three to eight harmless conditions and one to three decisive ones; the names of these."""
    draw = random.Random(number)
    noise = [condition(entry) for entry in draw.sample(NOISE, draw.randint(3, 8))]
    chosen = draw.choice(CHAINS) if draw.random() < 0.4 else (draw.choice(CAUSES),)
    causes = [condition(entry) for entry in chosen]
    conditions = [*noise, *causes]
    draw.shuffle(conditions)
    made = Scenario(f"Blind {number}", RECIPE, Signature(), tuple(conditions), seed=draw.randrange(1 << 31))
    return made, {item.name for item in causes}
