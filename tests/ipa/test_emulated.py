"""A consumer eUICC managed by an eIM: the IPA verifies, executes and answers; the virtual card in consumer mode."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from by_hand import tlv

from bench.apdu.errors import CardGone, Es10Error, StatusWordError
from bench.errors import DeviceFailure, InstrumentError
from bench.rsp import packages
from bench.rsp import tlv as walk
from bench.rsp.packages import PackageResult
from fixtures.ipa.emulated_state import FIRST_SEQUENCE, EmulatedState

from .fakes import EID, Answer, Tls
from .lab import BOOTSTRAP, OPERATIONAL, Lab
from .relay import EIM_ID, RelayEim

pytestmark = pytest.mark.timeout(60)
TAGS = bytes.fromhex("5A9F70")


@dataclass
class HybridEim(RelayEim):
    """An eIM that takes results that no eUICC has signed, and keeps them as they came."""

    came: list[PackageResult] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def _result(self, found: walk.Tlv) -> Answer:
        both = found.find(0x30)
        raw = (both or found).find(0xBF51)
        assert raw is not None
        result = packages.parse_result(raw.raw)
        self.raw.append(raw.raw)
        self.came.append(result)
        if result.form != "error-unsigned":
            assert result.signature == bytes(64)
            euicc = self.pki.euicc(self.eid).key.public_key()
            assert not packages.verify_result(result, euicc, self.token)
            if result.form == "signed" and result.counter in self.sent:
                self.delivered[raw.raw] += 1
        if self.orders:
            self.sent.pop(result.counter or 0, None)
            self.counter = max(self.counter, result.counter or 0)
            self.orders.pop(0)
        acknowledged = [] if result.seq is None else [result.seq.to_bytes(4, "big")]
        notifications = both.find(0xA0) if both is not None else None
        for pending in notifications.children() if notifications is not None else ():
            self._take(pending)
            seq = pending.find(0xBF2F, 0x80) or pending.find(0xBF27, 0xBF2F, 0x80)
            assert seq is not None
            acknowledged.append(seq.value)
        if not acknowledged:
            return bytes.fromhex("bf50023000")
        return tlv("BF50", tlv("BF53", *(tlv("80", seq) for seq in acknowledged)))

    @property
    def results(self) -> list[list[Any]]:
        return [result.results for result in self.came]


class HybridLab(Lab):
    @classmethod
    def make(cls, base: Path, home: Path, tls: Tls, *, emergency: bool = False, **options: object) -> HybridLab:
        made = super().make(base, home, tls, mode="consumer", **options)
        assert isinstance(made, HybridLab)
        made.relay = HybridEim(made.relay.pki, made.relay.smdpp, made.relay.eid)
        made.eim.answer = made.relay
        return made

    async def __aenter__(self) -> HybridLab:
        await self.start_eim()
        self.use()
        if EmulatedState.open(self.home / "ipa", EID) is None:
            await self.ipa.associate_emulated(self.relay.configuration(self.tls.ca))
        state = self.state
        self.relay.token = state.eims[0].token if state.eims else None
        return self

    @property
    def state(self) -> EmulatedState:
        found = EmulatedState.open(self.home / "ipa", EID)
        assert found is not None
        return found

    @property
    def hybrid(self) -> HybridEim:
        assert isinstance(self.relay, HybridEim)
        return self.relay

    def order_eco(self, *commands: bytes) -> None:
        """One package with these eCOs, made and signed here."""
        counter = max([self.relay.counter, *self.relay.sent]) + 1
        self.relay.sent[counter] = packages.build_request(
            eim_id=EIM_ID,
            eid=EID,
            counter=counter,
            ecos=list(commands),
            key=self.relay.pki.eim.key,
            association_token=self.relay.token,
        )
        self.relay.orders.append(("psmo", b""))


def scene(base: Path, home: Path, tls: Tls, play: Callable[[HybridLab], Awaitable[None]], **card: object) -> None:
    async def run() -> None:
        async with HybridLab.make(base, home, tls, **card) as lab:
            await play(lab)
            assert lab.card.euicc.faults == 0

    asyncio.run(run())


async def provisioned(lab: HybridLab, *, rollback: bool = False) -> None:
    lab.order_download()
    result = await lab.ipa.poll()
    assert result.downloads[0]["installed"], result
    lab.order_enable(rollback=rollback)
    result = await lab.ipa.poll()
    assert result.profile_changed and result.emulated
    assert lab.hybrid.came == []  # delivered on the new profile
    await lab.card.reset()
    assert lab.enabled == OPERATIONAL


def test_provisioning_of_a_consumer_card(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: HybridLab) -> None:
        assert await lab.ipa.eims() == [EIM_ID]
        await provisioned(lab)
        await lab.ipa.poll()
        assert lab.hybrid.results == [[("enable", 0)]]
        (result,) = lab.hybrid.came
        assert (result.form, result.counter, result.seq) == ("signed", 1, FIRST_SEQUENCE)
        # BF51{A0{30 data, 5F37 40 00...}}: literal
        data = tlv(
            "30",
            tlv("80", EIM_ID.encode()),
            tlv("81", b"\x01"),
            tlv("83", b"\x01\x00\x00\x00"),
            tlv("30", bytes.fromhex("830100")),
        )
        assert lab.hybrid.raw == [tlv("BF51", tlv("A0", data, tlv("5F37", bytes(64))))]
        # What the eUICC signs is there and genuine: install, disable and enable were believed by the SM-DP+.
        assert lab.card.euicc.state().notifications == ()
        assert lab.state.results == []
        lab.order(packages.delete(BOOTSTRAP))
        await lab.ipa.poll()
        assert lab.hybrid.results[-1] == [("delete", 0)]
        assert [profile.iccid for profile in lab.card.euicc.state().profiles] == [OPERATIONAL]

    scene(base, home, server_tls, play)


def test_the_eim_s_signature_is_verified_over_the_bytes(base: Path, home: Path, server_tls: Tls) -> None:
    """Every octet of a package counts: flipped, it is refused unsigned, the counter stays, the card is not asked."""

    async def play(lab: HybridLab) -> None:
        lab.order_enable(BOOTSTRAP)
        request = packages.build_request(
            eim_id=EIM_ID, eid=EID, counter=5, psmos=[packages.disable(BOOTSTRAP)], key=lab.relay.pki.eim.key,
            association_token=lab.relay.token,
        )  # fmt: skip
        async with lab.ipa._isd_r() as es10:
            for at in range(len(request)):
                bad = request[:at] + bytes((request[at] ^ 1,)) + request[at + 1 :]
                result = packages.parse_result(await es10.load_euicc_package(bad))
                assert result.form == "error-unsigned", (at, result)
            assert lab.enabled == BOOTSTRAP
            assert lab.state.eims[0].counter == 0
            # another key, another token, DER in place of r and s
            for changes in ({"key": lab.relay.pki.eim_tls.key}, {"association_token": 77}, {"signature_format": "der"}):
                values: dict[str, Any] = {"key": lab.relay.pki.eim.key, "association_token": lab.relay.token, **changes}
                other = packages.build_request(
                    eim_id=EIM_ID, eid=EID, counter=5, psmos=[packages.disable(BOOTSTRAP)], **values
                )
                result = packages.parse_result(await es10.load_euicc_package(other))
                assert (result.form, result.association_token) == ("error-unsigned", lab.relay.token)
            assert packages.parse_result(await es10.load_euicc_package(request)).results == [("disable", 0)]

    scene(base, home, server_tls, play)


def test_signed_errors(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: HybridLab) -> None:
        async def loaded(counter: int, eid: str = EID) -> PackageResult:
            request = packages.build_request(
                eim_id=EIM_ID, eid=eid, counter=counter, transaction_id=b"\x0a\x0b", key=lab.relay.pki.eim.key,
                psmos=[packages.list_profile_info()], association_token=lab.relay.token,
            )  # fmt: skip
            async with lab.ipa._isd_r() as es10:
                return packages.parse_result(await es10.load_euicc_package(request))

        assert (await loaded(3, "89049032123451234512345678901334")).error_code == 3
        assert (await loaded(7)).results[0][0] == "listProfileInfo"
        for counter in (7, 6, 0):
            refused = await loaded(counter)
            assert (refused.form, refused.error_code, refused.seq) == ("error-signed", 4, None)
            assert refused.transaction_id == b"\x0a\x0b"
        assert (await loaded(0x800000)).error_code == 6
        assert (await loaded(0x7FFFFF)).form == "signed"

    scene(base, home, server_tls, play)


@pytest.mark.parametrize(
    ("psmos", "results"),
    [
        ([packages.enable("8900101000000000035", False)], [("enable", 1)]),
        ([packages.enable(BOOTSTRAP, False)], [("enable", 2)]),
        ([packages.disable(OPERATIONAL)], [("disable", 2)]),
        ([packages.delete(BOOTSTRAP)], [("delete", 2)]),
        ([packages.delete("8900101000000000035")], [("delete", 1)]),
        ([packages.set_fallback_attribute(BOOTSTRAP)], [("setFallbackAttribute", 2)]),
        ([packages.set_fallback_attribute("8900101000000000035")], [("setFallbackAttribute", 1)]),
        ([packages.unset_fallback_attribute()], [("unsetFallbackAttribute", 2)]),
        ([packages.set_default_dp_address("dp.test")], [("setDefaultDpAddress", 0)]),
        ([packages.configure_immediate_enable(flag=True)], [("configureImmediateEnable", 0)]),
        ([packages.delete(OPERATIONAL), packages.delete(OPERATIONAL)], [("delete", 0), ("delete", 1)]),
        ([bytes.fromhex("a300")], [("processingTerminated", 2)]),
        ([bytes.fromhex("ae00")], [("processingTerminated", 2)]),
        ([packages.delete(OPERATIONAL), packages.list_profile_info()], [("delete", 0), ("listProfileInfo", 11)]),
    ],
)  # fmt: skip
def test_psmos(psmos: list[bytes], results: list[Any], base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: HybridLab) -> None:
        lab.order_download()
        await lab.ipa.poll()
        lab.order(*psmos)
        await lab.ipa.poll()
        assert lab.hybrid.results == [results]
        if psmos == [packages.set_default_dp_address("dp.test")]:
            assert (await lab.ipa.describe()).default_smdp == "dp.test"

    scene(base, home, server_tls, play)


def test_lists_and_rules(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: HybridLab) -> None:
        lab.order(packages.list_profile_info(), packages.get_rat())
        lab.order(bytes.fromhex("bf2d0a" + "5c085a9f709f7b9f2692"))
        await lab.ipa.poll()
        (listed, rules), (second,) = lab.hybrid.results
        assert listed[0] == "listProfileInfo" and rules[0] == "getRAT" and len(rules[1]) == 1
        assert len(listed[1]) == 1
        assert second[0] == "listProfileInfo" and len(second[1]) == 1
        raw = walk.first(lab.hybrid.raw[1]).find(0xA0, 0x30, 0x30, 0xBF2D, 0xA0, 0xE3)
        assert raw is not None and [child.tag for child in raw.children()] == [0x5A, 0x9F70, 0x92]

    scene(base, home, server_tls, play)


def test_a_package_that_goes_on_after_the_reset(base: Path, home: Path, server_tls: Tls) -> None:
    """Disable and enable are one switch, and the delete of what was left follows when the card was reset."""

    async def play(lab: HybridLab) -> None:
        lab.order_download()
        await lab.ipa.poll()
        lab.order(packages.disable(BOOTSTRAP), packages.enable(OPERATIONAL, False), packages.delete(BOOTSTRAP))
        before = [entry.event for entry in await lab.ipa.notifications()]
        result = await lab.ipa.poll()
        assert result.profile_changed and before == []
        await lab.card.reset()
        assert (lab.enabled, len(lab.card.euicc.state().profiles)) == (OPERATIONAL, 2)
        await lab.ipa.close()
        lab.use()
        await lab.ipa.poll()
        assert lab.hybrid.results == [[("disable", 0), ("enable", 0), ("delete", 0)]]
        assert [profile.iccid for profile in lab.card.euicc.state().profiles] == [OPERATIONAL]

    scene(base, home, server_tls, play)


def test_a_second_enable_in_a_package_is_refused(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: HybridLab) -> None:
        lab.order_download()
        await lab.ipa.poll()
        lab.order(packages.enable(OPERATIONAL, False), packages.enable(BOOTSTRAP, False))
        assert (await lab.ipa.poll()).profile_changed
        await lab.card.reset()
        await lab.ipa.poll()
        assert lab.hybrid.results == [[("enable", 0), ("processingTerminated", 2)]]
        assert lab.enabled == OPERATIONAL

    scene(base, home, server_tls, play)


def test_rollback(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: HybridLab) -> None:
        await provisioned(lab, rollback=True)
        lab.order_enable()  # the order whose result comes
        lab.relay.orders.pop()
        assert await lab.ipa.rollback()
        await lab.card.reset()
        assert lab.enabled == BOOTSTRAP
        assert (await lab.ipa.poll()).rolled_back
        assert lab.hybrid.results == [[("rollback", 0)]]
        assert not await lab.ipa.rollback()  # the authorisation is used up
        lab.order_enable(rollback=True)
        await lab.ipa.poll()
        await lab.card.reset()
        lab.order(packages.list_profile_info())
        await lab.ipa.poll()
        assert not await lab.ipa.rollback()  # another package was accepted since

    scene(base, home, server_tls, play)


def test_a_rollback_target_is_not_deleted(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: HybridLab) -> None:
        lab.order_download()
        await lab.ipa.poll()
        lab.order(packages.enable(OPERATIONAL, True), packages.delete(BOOTSTRAP))
        await lab.ipa.poll()
        await lab.card.reset()
        await lab.ipa.poll()
        assert lab.hybrid.results == [[("enable", 0), ("delete", 20)]]
        assert len(lab.card.euicc.state().profiles) == 2

    scene(base, home, server_tls, play)


@pytest.mark.parametrize("address", ["", "SMDPP.bench.example", "other.example"])
def test_immediate_enable(address: str, base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: HybridLab) -> None:
        lab.order(packages.configure_immediate_enable(flag=True, smdp_address=address or None))
        await lab.ipa.poll()
        lab.order_download()
        result = await lab.ipa.poll()
        assert result.immediate_enabled is (address != "other.example")
        await lab.card.reset()
        assert lab.enabled == (BOOTSTRAP if address == "other.example" else OPERATIONAL)

    scene(base, home, server_tls, play)


def test_eim_configuration_operations(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: HybridLab) -> None:
        second = walk.first(lab.relay.configuration(lab.tls.ca)).children()
        fields = [tlv("80", b"second.test") if child.tag == 0x80 else child.raw for child in second]
        lab.order_eco(walk.build(0xA8, *fields), bytes.fromhex("ab00"))
        await lab.ipa.poll()
        added, listed = lab.hybrid.results[0]
        assert added == ("addEim", {"associationToken": 2})
        assert [item["eimId"] for item in listed[1]] == [EIM_ID, "second.test"]
        assert await lab.ipa.eims() == [EIM_ID, "second.test"]
        (_, configuration) = await lab.ipa.eim_configurations()
        assert configuration.association_token == 2
        assert walk.first(configuration.raw).find(0x83) is None  # counterValue is never read back
        for command in (
            walk.build(0xA8, *fields),
            packages.delete_eim("third.test"),
            packages.delete_eim("second.test"),
        ):
            lab.order_eco(command)
            await lab.ipa.poll()
        lab.order_eco(packages.delete_eim(EIM_ID))
        await lab.ipa.poll()
        with pytest.raises(DeviceFailure, match="no eIM is associated"):
            await lab.ipa.poll()
        assert lab.hybrid.results[1:] == [
            [("addEim", 2)], [("deleteEim", 1)], [("deleteEim", 0)], [("deleteEim", 2)],
        ]  # fmt: skip
        await lab.ipa.associate_emulated(lab.relay.configuration(lab.tls.ca))
        assert (await lab.ipa.eim_configurations())[0].association_token == 3  # never used twice

    scene(base, home, server_tls, play)


def test_what_cannot_be_emulated_is_refused_by_name(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: HybridLab) -> None:
        assert await lab.ipa.execute_fallback() == "fallbackNotAvailable"
        assert await lab.ipa.return_from_fallback() == "fallbackNotAvailable"
        assert await lab.ipa.enable_emergency_profile() == "ecallNotAvailable"
        assert await lab.ipa.connectivity() is None
        with pytest.raises(Es10Error, match="associatedEimAlreadyExists"):
            await lab.ipa.associate_emulated(lab.relay.configuration(lab.tls.ca))
        assert (await lab.ipa.certificates()).euicc == b""
        lab.order_download()
        await lab.ipa.poll()
        shown = await lab.ipa.certificates()
        assert shown.euicc == lab.relay.pki.euicc(EID).certificate
        assert shown.euicc_raw.startswith(b"\xa6\x82") and shown.eum_raw.startswith(b"\xa5\x82")
        before = lab.state
        assert await lab.ipa.forget_emulated()
        assert not await lab.ipa.forget_emulated()
        with pytest.raises(StatusWordError):
            await lab.ipa.eims()  # the card is again what it is
        await lab.ipa.associate_emulated(lab.relay.configuration(lab.tls.ca))
        assert lab.state.next_seq == before.next_seq  # an eIM takes no number twice
        assert lab.state.next_token == before.next_token + 1

    scene(base, home, server_tls, play)


def test_an_iot_card_is_never_emulated(base: Path, home: Path, server_tls: Tls) -> None:
    async def run() -> None:
        async with Lab.make(base, home, server_tls) as lab:
            with pytest.raises(DeviceFailure, match=r"SGP\.32"):
                await lab.ipa.associate_emulated(lab.relay.configuration(lab.tls.ca))
            path = EmulatedState.path_of(lab.home / "ipa", EID)
            assert not path.exists()

    asyncio.run(run())


@pytest.mark.parametrize("content", ["", "{", '{"schema": 2}', '{"schema": 1, "eims": 3}', "[]", "null"])
def test_a_damaged_memory_is_named(content: str, tmp_path: Path) -> None:
    EmulatedState.path_of(tmp_path, EID).write_text(content)
    with pytest.raises(InstrumentError, match="cannot be read"):
        EmulatedState.open(tmp_path, EID)


def test_the_memory_is_on_the_disk(tmp_path: Path) -> None:
    state = EmulatedState(EmulatedState.path_of(tmp_path, EID))
    state.write()
    content = json.loads(state.path.read_text())
    assert content["schema"] == 1
    assert EmulatedState.open(tmp_path, EID) == state
    assert [path.name for path in tmp_path.iterdir()] == [state.path.name]


async def quiet(lab: HybridLab) -> None:
    for _ in range(8):
        try:
            result = await lab.ipa.poll()
        except CardGone:
            await lab.card.reset()
            await lab.ipa.close()
            lab.use()
            continue
        if result.profile_changed:
            await lab.card.reset()
            continue
        if not lab.relay.orders and not lab.card.euicc.state().notifications and not lab.state.results:
            return
    raise AssertionError("the bench does not come to rest")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cut_at_every_apdu_of_a_package(when: str, base: Path, quick_path: Path, server_tls: Tls) -> None:
    """Disable, enable and delete in one package: executed once each, answered once, whatever the moment of the cut."""

    async def ready(home: Path) -> None:
        async with HybridLab.make(base, home, server_tls) as lab:
            lab.order_download()
            await lab.ipa.poll()
            kept.append(lab.relay)

    async def once(home: Path, cut: int | None) -> int:
        bench = HybridLab.make(home, home, server_tls)
        bench.relay.go_on(kept[0])
        async with bench as lab:
            lab.order(packages.disable(BOOTSTRAP), packages.enable(OPERATIONAL, False), packages.delete(BOOTSTRAP))
            start = lab.card.apdus
            if cut is not None:
                lab.card.cut = (start + cut, when)
            await quiet(lab)
            assert lab.card.cut is None, f"APDU {cut} was never reached"
            assert lab.hybrid.results == [[("disable", 0), ("enable", 0), ("delete", 0)]]
            assert [profile.iccid for profile in lab.card.euicc.state().profiles] == [OPERATIONAL]
            assert lab.enabled == OPERATIONAL
            assert set(lab.relay.delivered.values()) == {1}, "delivered twice"
            return lab.card.apdus - start

    kept: list[RelayEim] = []
    asyncio.run(ready(quick_path / "ready"))
    whole = asyncio.run(once(Path(shutil.copytree(quick_path / "ready", quick_path / "whole")), None))
    for cut in range(whole):
        home = Path(shutil.copytree(quick_path / "ready", quick_path / f"cut-{cut}"))
        try:
            asyncio.run(once(home, cut))
        except AssertionError as error:
            raise AssertionError(f"cut {when} APDU {cut} of {whole}: {error}") from error
        shutil.rmtree(home)
