"""The card through the IPA: what it says of itself, cards of other forms, consumer cards, data for the eIM."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bench.errors import ConfigurationError
from bench.rsp.forms import Form
from bench.rsp.interpretation import Interpretation
from fixtures.ipa import inventory
from fixtures.ipa.requests import DataRequest

from .fakes import Tls
from .lab import BOOTSTRAP, OPERATIONAL, Lab, scene


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
