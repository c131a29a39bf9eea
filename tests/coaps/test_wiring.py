"""How CoAPS reaches a run: addresses, bench.toml, the link that waits for an answer, and the eIM's process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from eim.system import Process, prepare

from bench.errors import ConfigurationError
from bench.station import config, routes
from fixtures.coaps.errors import DtlsError
from fixtures.ipa.options import IpaOptions
from fixtures.pki import Pki
from fixtures.sim.datagram import carries_a_message
from fixtures.sim.service import make_parser, world_options

from .parties import client, post, trusting, until, way

ANNOUNCED = {"https": "https://127.0.0.1:8443", "coaps": "coaps://127.0.0.1:40000", "fqdn": "eim.bench.example"}


def test_the_eims_coaps_address_by_its_name() -> None:
    assert routes.coaps(ANNOUNCED) == {"eim.bench.example:5684": "127.0.0.1:40000"}
    assert routes.coaps({**ANNOUNCED, "coaps": "coaps://[::1]"}) == {"eim.bench.example:5684": "[::1]:5684"}
    assert routes.coaps(None) == routes.coaps({"https": "https://127.0.0.1:1", "fqdn": "a"}) == {}


def test_options_of_the_ipa_in_bench_toml(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text('[ipa]\noptions = { transport = "coaps", dtls_idle = 5 }\n')
    found = config.load(path).ipa.options
    assert IpaOptions.read(found).transport == "coaps"
    path.write_text('[ipa]\ntransport = "coaps"\n')
    with pytest.raises(ConfigurationError, match="transport"):
        config.load(path)


def test_options_of_the_devices_own_ipa() -> None:
    def read(*values: str) -> object:
        flags = [part for value in values for part in ("--ipa-option", value)]
        return world_options(make_parser().parse_args(["up", *flags])).ipa_options

    assert read() == {}
    assert read("transport=coaps", "dtls_idle=5.0") == {"transport": "coaps", "dtls_idle": 5.0}
    with pytest.raises(ConfigurationError, match="transport"):
        read("transport=tcp")
    with pytest.raises(ConfigurationError, match="no value"):
        read("transport")


def test_which_datagrams_the_simulated_link_waits_for() -> None:
    header = bytes.fromhex("fefd 0001 000000000001")
    assert carries_a_message(b"\x17" + header + bytes(30 + 16))
    assert carries_a_message(b"\x16" + header + bytes(20))
    assert not carries_a_message(b"\x17" + header + bytes(2 + 28)), "an acknowledgement"
    assert not carries_a_message(b"\x15" + header + bytes(28)), "an alert"
    assert not carries_a_message(b"") and not carries_a_message(bytes(60))


def test_ipas_go_on_with_other_options() -> None:
    before = IpaOptions.read({"route": {"*": "127.0.0.1:1"}, "emit": ["FILTER_WITHOUT_A0"], "segment": 120})
    after = before.changed({"transport": "coaps"})
    assert (after.transport, after.route, after.emit, after.segment) == ("coaps", before.route, before.emit, 120)
    with pytest.raises(ConfigurationError, match="transports"):
        before.changed({"transports": "coaps"})


def resident(pid: int) -> int:
    """Memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_the_eim_as_a_process_takes_a_flood(tmp_path: Path) -> None:
    """10 000 ClientHellos without a cookie, from 200 ports: no state, no memory, and clients go on."""
    home = tmp_path / "home"
    prepare(home)
    pki = Pki.open(home)

    async def run() -> None:
        eim = await Process.start("fixtures.eim", home)
        port = int(eim.announcement["coaps"].rsplit(":", 1)[1])
        pid = eim.process.pid
        async with asyncio.timeout(60):
            async with way(port) as between, client(between.port, trusting(pki)) as made:
                with pytest.raises(AssertionError):  # 4.04: it has no such path, but it answers
                    await post(made)
                hello = between.seen_up[0]
                loop = asyncio.get_running_loop()
                answered = 0

                class Source(asyncio.DatagramProtocol):
                    def datagram_received(self, data: bytes, addr: object) -> None:
                        nonlocal answered
                        assert data[0] == 22 and data[13] == 3 and len(data) < len(hello), "HelloVerifyRequest"
                        answered += 1

                for batch in range(210):
                    if batch == 10:
                        before = resident(pid)
                    source, _ = await loop.create_datagram_endpoint(Source, remote_addr=("127.0.0.1", port))
                    expected = answered + 50
                    for number in range(50):
                        source.sendto(hello[:30] + (batch * 50 + number).to_bytes(4, "big") + hello[34:])
                    await until(lambda expected=expected: answered >= expected)  # type: ignore[misc]
                    source.close()
                assert answered == 10_500
                assert resident(pid) - before < 2 << 20
                with pytest.raises(AssertionError):
                    await post(made)
                assert made.up
            # a client of another CI has no part in it
            with pytest.raises(DtlsError, match=r"issuer|self-signed"):
                async with client(port, trusting(Pki.open(tmp_path / "other"))):
                    pass
        assert await eim.stop() == 0

    asyncio.run(run())
