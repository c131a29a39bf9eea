"""The LPA: download by activation code without an eIM, and notifications that are delivered or kept, never lost."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bench.apdu.errors import CardGone
from bench.errors import ConfigurationError, InstrumentTimeout
from fixtures.ipa.errors import EimUnreachable

from .direct_lab import DirectLab, decoded
from .fakes import Tls
from .lab import BOOTSTRAP, OPERATIONAL
from .relay import SMDPP

pytestmark = pytest.mark.timeout(60)


class LpaLab(DirectLab):
    """No eIM is associated: the card may be of either kind."""

    async def associate(self) -> None:
        """Nothing: a consumer card has no eIM, and an LPA asks for none."""

    def ready(self, **more: object) -> str:
        order = self.relay.smdpp.orders.place("operational", rebinding="allow", **more)  # type: ignore[arg-type]
        return f"LPA:1${SMDPP}${order.matching_id}"


def scene(base: Path, home: Path, tls: Tls, play: Callable[[LpaLab], Awaitable[None]], **card: object) -> None:
    async def run() -> None:
        async with LpaLab.make(base, home, tls, **card) as lab:
            assert isinstance(lab, LpaLab)
            await play(lab)
            assert lab.card.euicc.faults == 0

    asyncio.run(run())


@pytest.mark.parametrize("mode", ["iot", "consumer"])
def test_download(mode: str, base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: LpaLab) -> None:
        stages: list[tuple[str, int, int]] = []
        code = lab.ready()
        found = await lab.ipa.download(code, progress=lambda *told: stages.append(told))
        assert (found.installed, found.iccid, found.provider, found.error) == (True, OPERATIONAL, "OPER", "")
        assert (found.delivered, found.kept, found.undelivered) == (1, (), "")
        assert [stage for stage, _, _ in stages][:3] == ["authenticate", "prepare", "load"]
        loaded = [done for stage, done, _ in stages if stage == "load"]
        assert loaded == sorted(loaded) and loaded[0] == 0
        assert lab.order_state(code.rpartition("$")[2]) == "installed"
        assert found.bytes_received > 3000 and found.apdus > 10
        assert lab.eim.messages == []

    scene(base, home, server_tls, play, mode=mode)


def test_notifications_are_kept_until_they_are_wanted(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: LpaLab) -> None:
        code = lab.ready()
        found = await lab.ipa.download(code, deliver=False)
        assert (found.delivered, [item.event for item in found.kept]) == (0, ["install"])
        assert await lab.ipa.enable_profile(OPERATIONAL) == "ok"
        await lab.card.reset()
        lab.interpose = lambda name, _: 503 if name == "handleNotification" else None
        found = await lab.ipa.download(f"LPA:1${SMDPP}$NO-SUCH")
        assert not found.installed and "HTTP 503" in found.undelivered
        assert [item.event for item in found.kept] == ["install", "disable", "enable"]
        lab.interpose = None
        found = await lab.ipa.download(f"LPA:1${SMDPP}$NO-SUCH")
        assert (found.delivered, found.kept, found.subject_code) == (3, (), "8.2.6")
        sent = [decoded(body, "pendingNotification")[:1] for body in lab.of("handleNotification")[-3:]]
        assert sent == [b"\xbf", b"\x30", b"\x30"]  # in the order of their numbers

    scene(base, home, server_tls, play, mode="consumer")


@pytest.mark.parametrize(
    ("given", "reason"), [({"confirmation_code": "4711"}, ""), ({"confirmation_code": "1"}, ""), ({}, "timeout")]
)
def test_confirmation_code(given: dict[str, str], reason: str, base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: LpaLab) -> None:
        found = await lab.ipa.download(lab.ready(confirmation_code="4711") + "$$1", **given)
        assert found.installed is (given.get("confirmation_code") == "4711")
        assert found.cancel_reason == reason
        assert ("cancelSession" in lab.functions) is bool(reason)
        if given.get("confirmation_code") == "1":
            assert (found.subject_code, found.reason_code) == ("8.2.7", "3.8")

    scene(base, home, server_tls, play)


def test_the_default_smdp(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: LpaLab) -> None:
        with pytest.raises(ConfigurationError, match="no default SM-DP"):
            await lab.ipa.download("")
        assert await lab.ipa.set_default_smdp(SMDPP) == "ok"
        lab.ready(eid=lab.relay.eid)
        assert (await lab.ipa.download("")).installed
        with pytest.raises(ConfigurationError, match="no activation code"):
            await lab.ipa.download("LPA:2$x$y")

    scene(base, home, server_tls, play, mode="consumer")


def test_the_result_of_a_trigger_is_left_to_the_poll(base: Path, home: Path, server_tls: Tls) -> None:
    """The SM-DP+ was away when the eIM's download ended: the LPA must not take the result from under the eIM."""

    async def play(lab: LpaLab) -> None:
        await DirectLab.associate(lab)
        lab.eim_of_direct.answers = [None]
        matching_id = lab.order_direct()
        with pytest.raises(EimUnreachable):  # it broke off when it was to get the result
            await lab.ipa.poll()
        found = await lab.ipa.download(f"LPA:1${SMDPP}$NO-SUCH")
        assert (found.delivered, len(found.kept)) == (0, 1)
        assert lab.of("handleNotification") == []
        await lab.ipa.poll()
        assert len(lab.of("handleNotification")) == 1 and lab.relay.orders == []
        assert lab.order_state(matching_id) == "installed"

    scene(base, home, server_tls, play)


def test_a_server_that_never_answers(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: LpaLab) -> None:
        silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        async with silent:
            lab.use(route={"*": f"127.0.0.1:{silent.sockets[0].getsockname()[1]}"}, request_timeout=0.2)
            found = await lab.ipa.download(f"LPA:1${SMDPP}$AB")
            assert "no answer within 0.2 s" in found.error
            lab.use(route={"*": f"127.0.0.1:{silent.sockets[0].getsockname()[1]}"})
            with pytest.raises(InstrumentTimeout, match=r"did not end within 0\.2 s"):
                await lab.ipa.download(f"LPA:1${SMDPP}$AB", timeout=0.2)

    scene(base, home, server_tls, play)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cut_at_every_apdu(when: str, base: Path, quick_path: Path, server_tls: Tls) -> None:
    """Whatever the moment: the profile comes on the card, and the SM-DP+ hears of each result once."""

    async def once(home: Path, cut: int | None) -> int:
        async with LpaLab.make(base, home, server_tls, mode="consumer") as lab:
            assert isinstance(lab, LpaLab)
            code = lab.ready()
            start = lab.card.apdus
            if cut is not None:
                lab.card.cut = (start + cut, when)
            for _ in range(4):
                try:
                    found = await lab.ipa.download(code)
                except CardGone:
                    await lab.card.reset()
                    lab.use()
                    continue
                if lab.order_state(code.rpartition("$")[2]) == "installed" and not found.kept:
                    break
            assert lab.card.cut is None, f"APDU {cut} was never reached"
            state = lab.card.euicc.state()
            assert [profile.iccid for profile in state.profiles] == [BOOTSTRAP, OPERATIONAL]
            assert state.notifications == ()
            assert lab.order_state(code.rpartition("$")[2]) == "installed"
            sent = [decoded(body, "pendingNotification") for body in lab.of("handleNotification")]
            assert len(sent) == len(set(sent)), "a result was delivered twice"
            assert lab.card.euicc.faults == 0
            return lab.card.apdus - start

    whole = asyncio.run(once(quick_path / "whole", None))
    for cut in range(whole):
        try:
            asyncio.run(once(quick_path / f"cut-{cut}", cut))
        except AssertionError as error:
            raise AssertionError(f"cut {when} APDU {cut} of {whole}: {error}") from error
        shutil.rmtree(quick_path / f"cut-{cut}")
