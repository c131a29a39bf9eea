"""Flows of SGP.32 section 3 on the card side: real virtual eUICC and SM-DP+, an eIM that goes out of reach."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bench.apdu.errors import CardNeedsReset
from bench.errors import ConfigurationError
from bench.rsp import packages
from bench.rsp.forms import Form
from bench.rsp.interpretation import Interpretation
from fixtures.ipa import inventory
from fixtures.ipa.errors import EimUnreachable
from fixtures.ipa.messages import DataRequest
from fixtures.sim.euicc.rules import PPR1, PPR2, Operator, Rule

from .fakes import Tls
from .lab import BOOTSTRAP, OPERATIONAL, Lab

PROMPT: dict[str, object] = {"rollback_after": 0.05, "try_again": 0.01}


def scene(
    base: Path, home: Path, tls: Tls, play: Callable[[Lab], Awaitable[None]], *, emergency: bool = False, **card: object
) -> None:
    async def run() -> None:
        async with Lab.make(base, home, tls, emergency=emergency, **card) as lab:
            await play(lab)
            assert lab.card.euicc.faults == 0

    asyncio.run(run())


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


# --- what cards do differently --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "card",
    [
        {"forms": frozenset({Form.NESTED_PUBLIC_KEY, Form.NESTED_PROFILE_LIST, Form.NESTED_CERTIFICATE})},
        {"forms": frozenset({Form.BARE_PUBLIC_KEY, Form.BARE_PACKAGE_RESULT, Form.CONTEXT_ROLLBACK_RESULT})},
        {"long_responses": True},
        {"protocol": "T=1"},
        {"interpretation": Interpretation(after_failure="processing-terminated")},
    ],
    ids=["nested", "bare", "long", "T=1", "processing-terminated"],
)
def test_cards_of_other_forms(card: dict[str, Any], base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        matching_id = lab.order_download()
        lab.order_enable(rollback=True)
        assert (await lab.ipa.poll()).profile_changed
        await lab.card.reset()
        await lab.ipa.poll()
        lab.check_provisioned(matching_id)
        assert [profile.enabled for profile in await lab.ipa.profiles()] == [False, True]
        assert (await lab.ipa.certificates()).euicc.startswith(b"\x30\x82")
        (eim,) = await lab.ipa.eim_configurations()
        assert eim.public_key is not None
        assert eim.public_key.kind == "spki"
        lab.order_enable(BOOTSTRAP, rollback=True)
        assert (await lab.ipa.poll()).profile_changed
        await lab.card.reset()
        assert await lab.ipa.rollback()
        await lab.card.reset()
        assert (await lab.ipa.poll()).rolled_back
        assert lab.enabled == OPERATIONAL

    scene(base, home, server_tls, play, **card)


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


def test_the_card_takes_the_forms_of_other_ipas(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        lab.use(emit=["FILTER_WITHOUT_A0", "UNIVERSAL_REFRESH_FLAG", "UNIVERSAL_CI_KEY_ID"])
        await lab.on_operational(rollback=True)
        sent = b"".join(command for command, _ in lab.card.log)
        assert bytes.fromhex("bf2b028200") in sent
        assert await lab.ipa.rollback()
        assert any(bytes.fromhex("bf58030101ff") in command for command, _ in lab.card.log)
        await lab.card.reset()
        assert (await lab.ipa.poll()).rolled_back
        assert lab.card.euicc.state().notifications == ()
        key_id = (await lab.ipa.describe()).info1.signing_key_ids[0]
        assert (await lab.ipa.certificates(key_id)).eum
        assert any(bytes.fromhex("bf56160414") + key_id in command for command, _ in lab.card.log)

    scene(base, home, server_tls, play)


@pytest.mark.parametrize("length", [4, 19, 20])
def test_a_truncated_ci_key_id_in_a_data_request(length: int, base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        key_id = (await lab.ipa.describe()).info1.signing_key_ids[0]
        (eim,) = await lab.ipa.eim_configurations()

        async def answered(asked: bytes) -> bytes:
            request = DataRequest((inventory.EUICC_CERTIFICATE,), asked, None, None, None, None)
            async with lab.ipa._isd_r() as es10:
                return (await inventory.answer(es10, request, eim=eim, device_info=b""))[0]

        assert b"\xa6\x82" in await answered(key_id[:length])
        wrong = bytes((key_id[0] ^ 1,)) + key_id[1:length]
        assert (await answered(wrong)).hex() == "bf5205a103020105"

    scene(base, home, server_tls, play)


def test_the_card_described(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        found = await lab.ipa.describe()
        assert found.selection.iot
        assert found.info2.generation == "1.2"
        assert found.info2.ipa_mode == "ipad"
        assert found.info1.signing_key_ids == found.info2.signing_key_ids
        memory = await lab.ipa.memory()
        assert memory.applications == 1
        assert memory.free_non_volatile == found.info2.resource.free_non_volatile
        assert await lab.ipa.set_default_smdp("dp.test") == "ok"
        assert (await lab.ipa.describe()).default_smdp == "dp.test"
        assert await lab.ipa.set_default_smdp("") == "ok"
        assert (await lab.ipa.describe()).default_smdp == ""
        assert [rule.pprs for rule in await lab.ipa.rules()] == [{"ppr1", "ppr2"}]
        connectivity = await lab.ipa.connectivity()
        assert connectivity is None or connectivity.http
        assert await lab.ipa.set_nickname(BOOTSTRAP, "bench") == "ok"
        assert await lab.ipa.set_nickname(OPERATIONAL, "bench") == "iccidNotFound"
        with pytest.raises(ConfigurationError, match="64 bytes"):
            await lab.ipa.set_nickname(BOOTSTRAP, "ä" * 33)
        await lab.on_operational(rollback=False)
        waiting = await lab.ipa.notifications()
        assert sorted(entry.event for entry in waiting) == ["disable", "enable", "package-result"]
        assert [entry.seq for entry in waiting] == sorted(entry.seq for entry in waiting)

    scene(base, home, server_tls, play)


def test_a_registered_plmn_is_told_once(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        told = bytes.fromhex("820362f210")
        with pytest.raises(ConfigurationError, match="no PLMN"):
            lab.ipa.registered("2620")
        lab.ipa.registered("26201")
        await lab.ipa.poll()
        await lab.ipa.poll()
        assert [told in message for message in lab.eim.of("BF4F")] == [True, False]
        lab.ipa.registered("26202")
        await lab.ipa.poll()
        assert lab.eim.of("BF4F")[-1].endswith(bytes.fromhex("820362f220"))
        lab.use()
        lab.ipa.registered("26202")
        await lab.ipa.poll()
        assert b"\x82\x03" not in lab.eim.of("BF4F")[-1][21:]

    scene(base, home, server_tls, play)


def test_a_consumer_card_by_es10c(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: Lab) -> None:
        found = await lab.ipa.describe()
        assert found.info2.generation == "consumer"
        assert await lab.ipa.enable_profile(BOOTSTRAP) == "profileNotInDisabledState"
        assert await lab.ipa.disable_profile(BOOTSTRAP) == "ok"
        await lab.card.reset()
        assert lab.enabled == ""
        assert await lab.ipa.enable_profile(BOOTSTRAP) == "ok"
        await lab.card.reset()
        assert lab.enabled == BOOTSTRAP
        assert await lab.ipa.delete_profile(BOOTSTRAP) == "profileNotInDisabledState"
        assert await lab.ipa.delete_profile(OPERATIONAL) == "iccidOrAidNotFound"
        with pytest.raises(ConfigurationError, match="of this card"):
            await lab.ipa.memory_reset("resetEimConfigData")
        assert await lab.ipa.memory_reset("resetDefaultSmdpAddress") in (
            {"resetResult": "ok"},
            {"resetResult": "nothingToDelete"},
        )

    async def run() -> None:
        made = Lab.make(base, home, server_tls, mode="consumer")
        await made.start_eim()
        made.use()
        try:
            await play(made)
        finally:
            await made.stop_eim()
            made.relay.smdpp.store.close()

    asyncio.run(run())
