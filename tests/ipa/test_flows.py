"""Flows of SGP.32 section 3 on the card side: real virtual eUICC and SM-DP+, an eIM that goes out of reach."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bench.apdu.errors import CardNeedsReset
from bench.errors import ConfigurationError
from bench.rsp import packages
from fixtures.ipa.errors import EimUnreachable
from fixtures.sim.euicc.rules import PPR1, PPR2, Operator, Rule

from .fakes import Tls
from .lab import BOOTSTRAP, OPERATIONAL, Lab, scene

PROMPT: dict[str, object] = {"rollback_after": 0.05, "try_again": 0.01}


# --- rollback -------------------------------------------------------------------------------------------------------


def test_the_ipa_rolls_back_when_the_eim_stays_out_of_reach(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        await lab.on_operational(rollback=True)
        await lab.stop_eim()
        lab.use(rollback="auto", **PROMPT)
        result = await lab.ipa.poll()
        assert result.rolled_back
        assert result.profile_changed
        await lab.card.reset()
        assert lab.enabled == BOOTSTRAP
        await lab.start_eim()
        result = await lab.ipa.poll()
        assert result.rolled_back, "the result of the rollback is what the eIM gets"
        assert [done.results for done in lab.relay.done] == [[("rollback", 0)]]
        assert lab.card.euicc.state().notifications == ()
        assert set(lab.relay.delivered.values()) == {1}

    scene(base, home, server_tls, play)


def test_an_eim_that_comes_back_in_time_gets_the_enable(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        await lab.on_operational(rollback=True)
        await lab.stop_eim()
        lab.use(rollback="auto", rollback_after=30.0, try_again=0.01)
        tried, failed = asyncio.Event(), lab.ipa._reach.failed

        def noting(now: float) -> float:
            tried.set()
            return failed(now)

        lab.ipa._reach.failed = noting  # type: ignore[method-assign]
        polling = asyncio.create_task(lab.ipa.poll())
        await tried.wait()
        await lab.start_eim()
        result = await polling
        assert not result.rolled_back
        assert lab.enabled == OPERATIONAL
        assert [done.results for done in lab.relay.done] == [[("enable", 0)]]

    scene(base, home, server_tls, play)


def test_no_rollback_without_its_flag(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        await lab.on_operational(rollback=False)
        await lab.stop_eim()
        lab.use(rollback="auto", **PROMPT)
        with pytest.raises(EimUnreachable):
            await lab.ipa.poll()
        assert lab.enabled == OPERATIONAL

    scene(base, home, server_tls, play)


def test_no_rollback_of_what_the_eim_knows(base: Path, home: Path, server_tls: Tls) -> None:
    """Out of reach later on: the enable was delivered, there is nothing to go back for."""

    async def play(lab: Lab) -> None:
        await lab.on_operational(rollback=True)
        await lab.ipa.poll()
        await lab.stop_eim()
        lab.use(rollback="auto", **PROMPT)
        with pytest.raises(EimUnreachable):
            await lab.ipa.poll()
        assert lab.enabled == OPERATIONAL

    scene(base, home, server_tls, play)


def test_the_caller_rolls_back_by_default(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        await lab.on_operational(rollback=True)
        await lab.stop_eim()
        with pytest.raises(EimUnreachable):
            await lab.ipa.poll()
        assert lab.enabled == OPERATIONAL
        assert await lab.ipa.rollback()

    scene(base, home, server_tls, play)


# --- fallback -------------------------------------------------------------------------------------------------------


async def with_fallback_profile(lab: Lab) -> None:
    """The bootstrap profile has the attribute, the operational one is enabled, and the eIM knows both."""
    lab.order(packages.set_fallback_attribute(BOOTSTRAP))
    await lab.ipa.poll()
    assert [profile.fallback for profile in await lab.ipa.profiles()] == [True]
    await lab.on_operational(rollback=False)
    await lab.ipa.poll()
    lab.eim.messages.clear()


def test_fallback_on_loss_of_connectivity_and_return(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        await with_fallback_profile(lab)
        await lab.stop_eim()
        lab.use(fallback_after=0.05, try_again=0.01, return_after=0.01)
        result = await lab.ipa.poll()
        assert result.fallback == "executed"
        assert result.profile_changed
        await lab.card.reset()
        assert lab.enabled == BOOTSTRAP
        await lab.start_eim()
        while (result := await lab.ipa.poll()).fallback != "returned":
            assert not result.profile_changed
        assert result.profile_changed
        await lab.card.reset()
        assert lab.enabled == OPERATIONAL
        assert (await lab.ipa.poll()).fallback == ""
        assert lab.causes() == [1, 1], "each change is told once"
        assert lab.card.euicc.state().notifications == ()

    scene(base, home, server_tls, play)


def test_no_fallback_without_a_fallback_profile(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        await lab.on_operational(rollback=False)
        await lab.stop_eim()
        lab.use(fallback_after=0.03, try_again=0.01)
        with pytest.raises(EimUnreachable):
            await lab.ipa.poll()
        await lab.start_eim()
        await lab.ipa.poll()
        assert lab.causes() == []

    scene(base, home, server_tls, play)


def test_fallback_by_hand(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        assert await lab.ipa.execute_fallback() == "fallbackNotAvailable"
        assert await lab.ipa.return_from_fallback() == "fallbackNotAvailable"
        await with_fallback_profile(lab)
        assert await lab.ipa.execute_fallback() == "ok"
        await lab.card.reset()
        assert lab.enabled == BOOTSTRAP
        assert await lab.ipa.execute_fallback() == "profileNotInDisabledState"
        await lab.ipa.poll()
        assert await lab.ipa.return_from_fallback() == "ok"
        await lab.card.reset()
        assert lab.enabled == OPERATIONAL
        await lab.ipa.poll()
        await lab.ipa.poll()
        assert lab.causes() == [1, 1]

    scene(base, home, server_tls, play)


# --- immediate enable -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
def test_immediate_enable(first: bool, base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        lab.order(packages.configure_immediate_enable(flag=True))
        await lab.ipa.poll()
        lab.use(immediate_enable_first=first)
        lab.order_download()
        result = await lab.ipa.poll()
        assert result.downloads[0]["installed"]
        assert result.immediate_enabled
        assert result.profile_changed
        assert result.notifications == (0 if first else 1)
        await lab.card.reset()
        assert lab.enabled == OPERATIONAL
        result = await lab.ipa.poll()
        assert not result.immediate_enabled
        assert lab.causes() == [5]
        assert lab.relay.orders == []
        assert lab.card.euicc.state().notifications == ()
        assert set(lab.relay.delivered.values()) == {1}

    scene(base, home, server_tls, play)


@pytest.mark.parametrize(
    ("configuration", "enabled"),
    [
        ({"smdp_address": "smdpp.bench.example"}, True),
        ({"smdp_address": "other.example"}, False),
        ({"smdp_oid": "2.999.99"}, False),
    ],
)
def test_immediate_enable_for_one_smdp_only(
    configuration: dict[str, Any], enabled: bool, base: Path, home: Path, server_tls: Tls
) -> None:
    async def play(lab: Lab) -> None:
        lab.order(packages.configure_immediate_enable(flag=True, **configuration))
        await lab.ipa.poll()
        lab.order_download()
        result = await lab.ipa.poll()
        assert result.downloads[0]["installed"]
        assert (result.immediate_enabled, result.profile_changed) == (enabled, enabled)
        await lab.card.reset()
        assert lab.enabled == (OPERATIONAL if enabled else BOOTSTRAP)
        await lab.ipa.poll()
        assert lab.causes() == ([5] if enabled else [])

    scene(base, home, server_tls, play)


def test_immediate_enable_is_configured_only_without_an_eim(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        assert await lab.ipa.configure_immediate_enable(flag=True) == "associatedEimAlreadyExists"
        with pytest.raises(ConfigurationError, match="no object identifier"):
            await lab.ipa.configure_immediate_enable(flag=True, smdp_oid="2.x")
        found = await lab.ipa.memory_reset("resetEimConfigData")
        assert found["resetEimResult"] == "ok"
        assert await lab.ipa.configure_immediate_enable(flag=True, smdp_oid="2.999.10") == "ok"
        assert await lab.ipa.eims() == []

    scene(base, home, server_tls, play)


# --- cancel session -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("consent", "reason"), [("no", 0), ("later", 1), ("none", 2)])
def test_the_end_user_does_not_consent(consent: str, reason: int, base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        lab.order_download()
        lab.use(consent=consent)
        (report,) = (await lab.ipa.poll()).downloads
        assert not report["installed"]
        cancelled(lab, reason)

    scene(base, home, server_tls, play)


def cancelled(lab: Lab, reason: int) -> None:
    """The card signed a cancellation with this reason, and the SM-DP+ took it."""
    assert lab.relay.failed == ["cancelled"]
    (sent,) = [command for command, _ in lab.card.log if command[5:7] == b"\xbf\x41"]
    assert sent.endswith(bytes((0x81, 0x01, reason)))
    assert len(lab.card.euicc.state().profiles) == 1


@pytest.mark.parametrize(
    ("rules", "name", "rat"),
    [
        (PPR1, "ppr1", ()),
        (PPR2, "ppr2", (Rule(PPR2, (Operator(bytes.fromhex("62F210")),)),)),
        (PPR2, "ppr2", (Rule(PPR1, (Operator(b"\xee\xee\xee"),)),)),
    ],
    ids=["no rule", "another operator", "another rule"],
)
def test_policy_rules_that_the_card_does_not_allow(
    rules: int, name: str, rat: tuple[Rule, ...], base: Path, home: Path, server_tls: Tls
) -> None:
    async def play(lab: Lab) -> None:
        lab.order_download(policy_rules=rules)
        (report,) = (await lab.ipa.poll()).downloads
        assert name in str(report["error"])
        cancelled(lab, 3)

    scene(base, home, server_tls, play, rat=rat)


@pytest.mark.parametrize("plmn", ["eeeeee", "99f907", "e9fe07"])
def test_policy_rules_that_the_card_allows(plmn: str, base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        lab.order_download(policy_rules=PPR2)
        (report,) = (await lab.ipa.poll()).downloads
        assert report["installed"], report

    scene(base, home, server_tls, play, rat=(Rule(PPR1 | PPR2, (Operator(bytes.fromhex(plmn)),)),))


# --- emergency ------------------------------------------------------------------------------------------------------


def test_while_the_emergency_profile_is_enabled(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        lab.order(packages.set_fallback_attribute(BOOTSTRAP))
        await lab.ipa.poll()
        assert await lab.ipa.disable_emergency_profile() == "profileNotInEnabledState"
        assert await lab.ipa.enable_emergency_profile() == "ok"
        await lab.card.reset()
        seen = [(profile.ecall, profile.enabled) for profile in await lab.ipa.profiles()]
        assert seen == [(False, False), (True, True)]
        lab.order(packages.list_profile_info())
        (result,) = (await lab.ipa.poll(packages=1)).results
        assert (result["form"], result["name"]) == ("error-signed", "ecallActive")
        lab.relay.orders.clear()
        lab.relay.sent.clear()
        lab.order_download()
        (report,) = (await lab.ipa.poll()).downloads
        assert not report["installed"]
        told = bytes.fromhex(lab.relay.failed[-1])
        assert told.endswith(bytes.fromhex("bf5405" + "3003800168"))
        assert await lab.ipa.execute_fallback() == "ecallActive"
        assert await lab.ipa.memory_reset("deleteOperationalProfiles") == {"resetResult": "ecallActive"}
        assert await lab.ipa.disable_emergency_profile() == "ok"
        await lab.card.reset()
        assert lab.enabled == BOOTSTRAP
        await lab.ipa.poll()
        assert lab.causes() == [2, 2]

    scene(base, home, server_tls, play, emergency=True)


# --- carriers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refresh", ["fetch", "locked"])
def test_a_reader_resets_the_card_where_nobody_else_does(refresh: str, base: Path, home: Path, server_tls: Tls) -> None:
    """No reset by the test: the IPA sees to it after the enable, and to the functions with refreshFlag FALSE."""

    async def play(lab: Lab) -> None:
        lab.card.local, lab.card.carries_refresh = True, False
        matching_id = lab.order_download()
        lab.order_enable(rollback=True)
        assert (await lab.ipa.poll()).profile_changed
        assert lab.enabled == OPERATIONAL
        await lab.ipa.poll()
        lab.check_provisioned(matching_id)
        lab.order_enable(BOOTSTRAP, rollback=True)
        assert (await lab.ipa.poll()).profile_changed
        assert lab.enabled == BOOTSTRAP
        assert await lab.ipa.rollback()
        assert any(b"\xbf\x58\x03\x80\x01\x00" in command for command, _ in lab.card.log)
        assert lab.enabled == OPERATIONAL
        assert (await lab.ipa.poll()).rolled_back

    scene(base, home, server_tls, play, refresh=refresh)


def test_a_card_that_was_left_locked_is_reset_in_a_reader(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        await lab.installed()
        lab.order_enable(rollback=True)
        assert (await lab.ipa.poll()).profile_changed
        with pytest.raises(CardNeedsReset):
            await lab.ipa.poll()
        lab.card.local = True
        result = await lab.ipa.poll()
        assert result.results[0]["results"] == (("enable", 0),)
        assert lab.enabled == OPERATIONAL

    scene(base, home, server_tls, play, refresh="locked")


def test_after_a_switch_the_card_is_asked_for_the_notifications_with_the_result(
    base: Path, home: Path, server_tls: Tls
) -> None:
    """A reader's card: reset with the channel open, which need not be closed; nothing is asked twice afterwards."""

    async def play(lab: Lab) -> None:
        await lab.installed()
        lab.card.local, lab.card.carries_refresh = True, False
        lab.order_enable(rollback=True)
        lab.card.log.clear()
        asked = lambda: [command[5:7].hex() for command, _ in lab.card.log if command[1] == 0xE2]  # noqa: E731
        open_at_reset: list[frozenset[int]] = []
        reset = lab.card.reset

        async def noted() -> None:
            open_at_reset.append(frozenset(lab.card.euicc.state().channels))
            await reset()

        lab.card.reset = noted  # type: ignore[method-assign]
        assert (await lab.ipa.poll()).profile_changed
        assert lab.enabled == OPERATIONAL
        assert asked() == ["bf3e", "bf55", "bf2b", "bf28", "bf51"]
        assert [1 in channels for channels in open_at_reset] == [True]
        lab.card.log.clear()
        result = await lab.ipa.poll()
        assert (result.notifications, len(result.results)) == (2, 1)
        assert asked() == ["bf3e", "bf55", "bf2b", "bf2b", "bf30", "bf30", "bf30"]

    scene(base, home, server_tls, play)


@pytest.mark.parametrize("takes_both", [True, False])
def test_notifications_go_with_the_result_where_the_eim_takes_it(
    takes_both: bool, base: Path, home: Path, server_tls: Tls
) -> None:
    async def play(lab: Lab) -> None:
        lab.relay.takes_both = takes_both
        await lab.on_operational(rollback=False)
        lab.eim.messages.clear()
        result = await lab.ipa.poll()
        assert result.notifications == 2, "disable and enable"
        assert lab.relay.together == (2 if takes_both else 0)
        assert len(lab.eim.of("BF50")) == (1 if takes_both else 2)
        assert len(lab.eim.of("BF3D")) == (0 if takes_both else 2)
        assert lab.card.euicc.state().notifications == ()
        assert [done.results for done in lab.relay.done] == [[("enable", 0)]]

    scene(base, home, server_tls, play)
