"""IPA, virtual eUICC and SM-DP+ together, with real cryptography, and power cut at every APDU of it."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import pytest
from sweeps import Sweep

from bench.apdu.errors import CardNeedsReset
from bench.rsp import ecdsa
from bench.rsp import tlv as walk
from bench.station.clock import RealClock
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import create

from .fakes import EID, FQDN, Tls
from .lab import BOOTSTRAP, OPERATIONAL, Lab, finish


def test_bootstrap_to_operational(base: Path, tmp_path: Path, server_tls: Tls) -> None:
    async def run() -> None:
        async with Lab.make(base, tmp_path / "home", server_tls) as lab:
            assert await lab.ipa.eid() == EID
            assert lab.enabled == BOOTSTRAP
            matching_id = lab.order_download()
            lab.order_enable()
            started = time.perf_counter()
            first = await lab.ipa.poll()
            assert first.downloads[0]["installed"], first.downloads
            assert first.downloads[0]["iccid"] == OPERATIONAL
            assert first.profile_changed
            await lab.card.reset()
            second = await lab.ipa.poll()
            elapsed = time.perf_counter() - started
            assert second.results[0]["results"] == (("enable", 0),)
            assert second.notifications == 2, "disable and enable"
            lab.check_provisioned(matching_id)
            assert {profile.iccid: profile.enabled for profile in await lab.ipa.profiles()} == {
                BOOTSTRAP: False,
                OPERATIONAL: True,
            }
            assert set(lab.relay.delivered.values()) == {1}
            assert elapsed < 5.0, f"{elapsed:.3f} s"
            print(f"provisioning {elapsed:.3f} s, {lab.card.apdus} APDUs, {first.bytes_received} bytes")

    asyncio.run(run())


@pytest.mark.parametrize("protocol", ["T=0", "T=1"])
@pytest.mark.parametrize("segment", [120, 255])
def test_segments_and_protocols(protocol: str, segment: int, base: Path, tmp_path: Path, server_tls: Tls) -> None:
    async def run() -> None:
        async with Lab.make(base, tmp_path / "home", server_tls, protocol=protocol) as lab:
            options = {"route": {FQDN: f"127.0.0.1:{lab.eim.port}"}, "segment": segment}
            ipa = create(lab.card, HostDataPath(), RealClock(), options=options, home=lab.home)
            lab.order_download()
            assert (await ipa.poll()).downloads[0]["installed"]

    asyncio.run(run())


def test_a_card_locked_until_reset(base: Path, tmp_path: Path, server_tls: Tls) -> None:
    async def run() -> None:
        async with Lab.make(base, tmp_path / "home", server_tls, refresh="locked") as lab:
            matching_id = lab.order_download()
            lab.order_enable()
            assert (await lab.ipa.poll()).profile_changed
            with pytest.raises(CardNeedsReset):
                await lab.ipa.poll()
            await lab.card.reset()
            await lab.ipa.poll()
            lab.check_provisioned(matching_id)

    asyncio.run(run())


def test_rollback(base: Path, tmp_path: Path, server_tls: Tls) -> None:
    async def run() -> None:
        async with Lab.make(base, tmp_path / "home", server_tls) as lab:
            lab.order_download()
            lab.order_enable()
            assert (await lab.ipa.poll()).profile_changed
            await lab.card.reset()
            assert lab.enabled == OPERATIONAL
            assert await lab.ipa.rollback() is True
            await lab.card.reset()
            assert lab.enabled == BOOTSTRAP
            result = await lab.ipa.poll()
            assert result.rolled_back
            assert [done.results for done in lab.relay.done] == [[("rollback", 0)]]
            assert await lab.ipa.rollback() is False
            assert lab.card.euicc.state().notifications == ()

    asyncio.run(run())


def test_an_eim_with_another_key(base: Path, tmp_path: Path, server_tls: Tls) -> None:
    async def run() -> None:
        async with Lab.make(base, tmp_path / "home", server_tls) as lab:
            lab.relay.key = ecdsa.generate("secp256r1")
            lab.order_enable(BOOTSTRAP)
            result = await lab.ipa.poll()
            assert result.results[0]["form"] == "error-unsigned"
            assert lab.relay.failed == ["unsigned"]
            assert lab.enabled == BOOTSTRAP
            assert (await lab.ipa.poll()).results == ()

    asyncio.run(run())


def test_a_matching_id_the_smdpp_refuses(base: Path, tmp_path: Path, server_tls: Tls) -> None:
    async def run() -> None:
        async with Lab.make(base, tmp_path / "home", server_tls) as lab:
            lab.relay.orders.append(("download", "NO-SUCH-ID"))
            report = (await lab.ipa.poll()).downloads[0]
            assert not report["installed"]
            assert (report["subject_code"], report["reason_code"]) == ("8.2.6", "3.8")
            assert len(lab.card.euicc.state().profiles) == 1

    asyncio.run(run())


@pytest.mark.parametrize("tag", [0xBF23, 0x87, 0x88, 0x86])
def test_a_flipped_byte_of_the_package_names_its_command(tag: int, base: Path, tmp_path: Path, server_tls: Tls) -> None:
    commands = {
        0xBF23: "initialiseSecureChannel",
        0x87: "configureISDP",
        0x88: "storeMetadata",
        0x86: "loadProfileElements",
    }

    async def run() -> None:
        async with Lab.make(base, tmp_path / "home", server_tls) as lab:
            lab.order_download()
            usual = lab.relay._bound

            def flipped(found: object) -> object:
                answer = bytearray(usual(found))  # type: ignore[arg-type]
                marker = {0xBF23: b"\x5f\x37\x40", 0x87: b"\x87\x18", 0x88: b"\x88", 0x86: b"\x86\x82"}[tag]
                start = answer.index(b"\xbf\x23") if tag == 0xBF23 else answer.index(b"\x87\x18")
                at = answer.index(marker, start + (26 if tag in (0x88, 0x86) else 0))
                if tag == 0x88:  # in its MAC: the IPA compares what it protects
                    _, header, length = walk.header(bytes(answer[at:]))
                    answer[at + header + length - 1] ^= 0x01
                else:
                    answer[at + 10] ^= 0x01
                return bytes(answer)

            lab.relay._bound = flipped  # type: ignore[method-assign, assignment]
            result = await lab.ipa.poll(packages=1)
            report = result.downloads[0]
            assert not report["installed"]
            assert commands[tag] in str(report["error"])
            assert len(lab.card.euicc.state().profiles) == 1
            assert result.notifications == 1, "the failed result was delivered and removed"

    asyncio.run(run())


def test_metadata_that_are_not_those_shown_cancel_the_session(base: Path, tmp_path: Path, server_tls: Tls) -> None:
    async def run() -> None:
        async with Lab.make(base, tmp_path / "home", server_tls) as lab:
            lab.order_download()
            usual = lab.relay._bound

            def other(found: object) -> object:
                answer = bytearray(usual(found))  # type: ignore[arg-type]
                at = answer.index(b"\xbf\x25", answer.index(b"\x87\x18"))  # StoreMetadata is not encrypted
                answer[answer.index(b"\x91", at) + 2] ^= 0x20
                return bytes(answer)

            lab.relay._bound = other  # type: ignore[method-assign, assignment]
            report = (await lab.ipa.poll(packages=1)).downloads[0]
            assert "metadata" in str(report["error"])
            assert lab.relay.failed == ["cancelled"]
            sent = b"".join(command for command, _ in lab.card.log if b"\xbf\x41" in command)
            assert sent.endswith(bytes.fromhex("810104")), "CancelSession with metadataMismatch"

    asyncio.run(run())


@pytest.mark.parametrize("when", ["before", "after"])
def test_power_cut_at_every_apdu(when: str, base: Path, quick_path: Path, server_tls: Tls, sweep: Sweep) -> None:
    async def provision(name: str, cut: int | None) -> int:
        home = quick_path / name
        async with Lab.make(base, home, server_tls) as lab:
            matching_id = lab.order_download()
            lab.order_enable()
            start = lab.card.apdus
            if cut is not None:
                lab.card.cut = (start + cut, when)
            await finish(lab)
            assert lab.card.cut is None, f"APDU {cut} was never reached"
            lab.check_provisioned(matching_id)
            assert set(lab.relay.delivered.values()) == {1}, f"cut at {cut}: delivered twice"
            count = lab.card.apdus - start
        shutil.rmtree(home)
        return count

    whole = asyncio.run(provision("whole", None))
    for index in sweep(whole, first=2 * (when == "after")):
        asyncio.run(provision(f"cut-{index}", index))
