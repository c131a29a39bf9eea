"""Every function of ESipa over CoAPS and over HTTPS in both bindings, from the IPA with a virtual eUICC to the bundled
eIM, which is in this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from ipa import test_bundled as bundled
from ipa.fakes import EID
from ipa.test_bundled import OPERATIONAL, lab

from bench.rsp import esipa_json
from bench.station import routes
from bench.station.clock import RealClock
from fixtures.eim import coap, http
from fixtures.eim import service as eim_service
from fixtures.ipa.esipa import EsipaConnection
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import create
from fixtures.service import Observer

SERVERS = (http, coap)
"""The eIM loads them as it starts; the coverage table looks at what there is before a test."""
FQDN = "eim.bench.example"
FUNCTIONS = {
    "initiateAuthentication": "BF39",
    "authenticateClient": "BF3B",
    "getBoundProfilePackage": "BF3A",
    "handleNotification": "BF3D",
    "cancelSession": "BF41",
    "getEimPackage": "BF4F",
    "provideEimPackageResult": "BF50",
}


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The announcement of the eIM, which runs in this process and not in one of its own."""
    told: dict[str, Any] = {}
    process = bundled.service

    @asynccontextmanager
    async def service(module: str, home: Path, *arguments: str) -> AsyncIterator[Mapping[str, Any]]:
        if module != "fixtures.eim":
            async with process(module, home, *arguments) as announcement:
                yield announcement
            return
        async with AsyncExitStack() as stack:
            given = eim_service.arguments(["serve", "--home", str(home), *arguments])
            told.update(await eim_service.opening(given, Observer(None), stack))
            yield told

    monkeypatch.setattr(bundled, "service", service)
    return told


@pytest.mark.parametrize("binding", ["asn1", "json"])
@pytest.mark.parametrize(
    ("transport", "compact"), [("https", False), ("coaps", False), ("coaps", True)], ids=["https", "coaps", "compact"]
)
def test_provisioning_and_a_cancelled_download(
    binding: str, transport: str, compact: bool, home: Path, announced: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, bytes]] = []
    original = EsipaConnection.request

    async def request(esipa: EsipaConnection, message: bytes) -> bytes:
        sent.append((esipa.url(int.from_bytes(message[:2], "big")), message))
        return await original(esipa, message)

    monkeypatch.setattr(EsipaConnection, "request", request)

    async def run() -> None:
        async with asyncio.timeout(60), lab(home) as bench:
            options = {
                "transport": transport,
                "binding": binding,
                "compact": compact,
                "route": routes.coaps(announced) | {FQDN: announced["https"].removeprefix("https://")},
                "consent": "no",
            }
            refusing = create(bench.card, HostDataPath(), RealClock(), options=options, home=home)
            bench.ipa = refusing
            refused, _ = await bench.order_download()
            await refusing.poll()
            assert (await bench.eim.show(refused.order_id)).state == "failed"
            await refusing.close()
            del options["consent"]
            bench.ipa = create(bench.card, HostDataPath(), RealClock(), options=options, home=home)
            for _ in range(1 + compact):
                placed = await bench.smdpp.order("operational", confirmation_code="4711")
                download = await bench.eim.order_download(EID, placed.activation_code, confirmation_code="4711")
                enable = await bench.eim.order_enable(EID, OPERATIONAL, rollback=False)
                await bench.finish()
                await bench.done(download)
                await bench.done(enable)
                assert bench.enabled == OPERATIONAL
                await bench.back_to_bootstrap()
            await bench.ipa.close()

    asyncio.run(run())
    tail = {function: "asn1" if binding == "asn1" else f"esipa/{function}" for function in esipa_json.FUNCTIONS}
    for function, tag in FUNCTIONS.items():
        urls = {url for url, message in sent if message.startswith(bytes.fromhex(tag))}
        assert urls == {f"{transport}://{FQDN}/gsma/rsp2/{tail[function]}"}, function
