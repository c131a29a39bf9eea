"""What recipes decide without a device: which profile is the bootstrap, how lists differ, what is said."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from bench import errors
from bench.engine.recipe import Station
from bench.errors import DeviceFailure
from bench.station.interfaces import CardProfile, EimOrder, ProfileState, Registration
from recipes import fplmn_recovery, profile_inventory, start, words
from recipes.job import Job
from recipes.servers import FORWARDED_WITHIN

A, B, C = "8900101000000000019", "8900101000000000027", "8900101000000010018"


def profile(iccid: str, **more: Any) -> CardProfile:
    return CardProfile(**{"iccid": iccid, "enabled": False, "name": "n", "aid": b"\xa0", **more})


def order(kind: str, state: str = "done", **result: Any) -> EimOrder:
    return EimOrder("1", "eid", kind, state, result)


def test_the_bootstrap_profile() -> None:
    two = [profile(A, enabled=True), profile(B)]
    assert start.bootstrap_of(two, B, "").iccid == A
    three = [*two, profile(C)]
    assert start.bootstrap_of(three, B, A).iccid == A
    # What this eIM has downloaded is no bootstrap profile.
    assert start.bootstrap_of(three, B, "", [order("download", iccid=C)]).iccid == A
    for wanted, orders in (("", []), (B, []), ("", [order("download", "failed", iccid=C)])):
        with pytest.raises(DeviceFailure, match="could be the bootstrap"):
            start.bootstrap_of(three, B, wanted, orders)
    with pytest.raises(DeviceFailure, match="0 profiles"):
        start.bootstrap_of([profile(B)], B, "")


def listed(iccid: str, **more: Any) -> dict[str, Any]:
    return {"iccid": iccid, "enabled": False, "name": "n", "provider": "", "profile_class": "operational", **more}


@pytest.mark.parametrize(
    ("signed", "words_due"),
    [
        ([listed(A, aid="a0")], "the signed list holds"),
        ([listed(A, aid="a0"), listed(B, aid="a0"), listed(B, aid="a0")], "the signed list holds"),
        ([listed(A, aid="a0", enabled=True), listed(B, aid="a0")], f"enabled of {A} is True in the signed list"),
        ([listed(A, aid="a0"), listed(B, aid="a0", name="other")], f"name of {B} is 'other' in the signed list, 'n'"),
        ([listed(A, aid="a1"), listed(B, aid="a0")], f"aid of {A}"),
        ([listed(A, aid="a0", fallback=True), listed(B, aid="a0")], f"fallback of {A}"),
    ],
)
def test_lists_that_differ(signed: list[dict[str, Any]], words_due: str) -> None:
    on_card = [profile(A), profile(B)]
    profile_inventory._compare([listed(A, aid="a0"), listed(B, aid="a0")], on_card)
    with pytest.raises(DeviceFailure, match=words_due):
        profile_inventory._compare(signed, on_card)


def test_reasons_are_told_in_one_line() -> None:
    error = {"subject_code": "8.2.6", "reason_code": "3.8", "message": "unknown id"}
    failed = EimOrder("7", "eid", "download", "failed", {}, error)
    text = str(words.order_failed(failed, None, "the download"))
    assert text == "eIM order 7: the download failed: order failed: SM-DP+ subject 8.2.6 reason 3.8, unknown id"
    assert "no reason was given" in str(words.order_failed(order("list", "failed"), None, "it"))
    assert words.results_of(order("package", results="odd")) == []


class Servers:
    """An SM-DP+ and an eIM that forwards what it took only when somebody waits for it, or never."""

    def __init__(self, *, forwards: bool) -> None:
        self.arrived, self.waited = ["install"], 0.0
        self._forwards = forwards
        self.eim = self.smdpp = self

    async def state(self, matching_id: str) -> ProfileState:
        return ProfileState(matching_id, "installed", B, notifications=tuple({"event": it} for it in self.arrived))

    async def notifications(self, eid: str, *, wait: float = 0.0) -> list[dict[str, Any]]:
        self.waited += wait
        if self._forwards and wait:
            self.arrived = ["install", "enable"]
        state = "forwarded" if self._forwards else "queued"
        return [{"event": "enable", "state": state, "last_error": "smdpp.example: connection refused"}]


def test_what_the_eim_acknowledged_is_given_time_to_reach_the_server() -> None:
    servers = Servers(forwards=True)
    asyncio.run(Job(cast(Station, servers)).require_events("ID", "install", "enable"))
    assert servers.waited == FORWARDED_WITHIN
    asyncio.run(Job(cast(Station, servers)).require_events("ID", "install", "enable"))
    assert servers.waited == FORWARDED_WITHIN, "what is there is not waited for"


def test_what_never_reaches_the_server_fails_with_the_reason_of_the_eim() -> None:
    with pytest.raises(DeviceFailure, match="installed with notifications") as failed:
        asyncio.run(Job(cast(Station, Servers(forwards=False))).require_events("ID", "install", "enable"))
    assert failed.value.hint == "the eIM could not forward 1: smdpp.example: connection refused"


class Looked:
    """A station whose modem is seen registered on one network after the other, a look a second."""

    def __init__(self, *plmns: str) -> None:
        self.modem = self.clock = self
        self.measured: dict[str, float] = {}
        self._plmns, self._now = list(plmns), 100.0

    async def registration(self) -> Registration:
        plmn = self._plmns.pop(0) if self._plmns else ""
        return Registration(bool(plmn), plmn=plmn, status=1 if plmn else 2)

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += seconds

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[Looked]:
        yield self

    def measure(self, name: str, value: float, **limits: Any) -> None:
        self.measured[name] = value


def test_a_device_that_takes_a_forbidden_network_fails() -> None:
    taken = Looked("", "", "26201")
    words_due = "the device registered on 26201 after 2.0 s although EF.FPLMN forbids it"
    with pytest.raises(DeviceFailure, match=words_due) as failed:
        asyncio.run(fplmn_recovery._left_alone(cast(Station, taken), "26201", quiet=10.0))
    assert failed.value.where == "+CEREG stat 1" and "home network" in failed.value.hint
    other = Looked("", "99970", "99970")
    asyncio.run(fplmn_recovery._left_alone(cast(Station, other), "26201", quiet=10.0))
    assert other.measured == {"quiet_time": 10.0}


RECIPES_FOLDER = Path(start.__file__).parent
ERRORS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}


def test_every_error_of_a_recipe_says_what_to_do() -> None:
    """But where its text is somebody else's: what eIM, SM-DP+ and card gave as reasons, what a socket said."""
    without = []
    for path in sorted(RECIPES_FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            fails = called in ERRORS or (called == "fail" and len(node.args) == 1)
            if fails and not any(keyword.arg == "hint" for keyword in node.keywords):
                without.append(f"{path.name}: {ast.unparse(node.args[0])}")
    assert without == ["probes.py: str(gone)", "words.py: f'{what} failed: order {order.state}: {text}'"]
