"""The example template of an SM-DP+ is ES2+ as SGP.22 has it: tried at an ES2+ server, with its client certificate."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from bench.errors import InstrumentError
from bench.station import services
from bench.station.external import AdapterContext
from bench.station.model import SmdppConfig
from bench.station.order_key import same_order
from bench.station.tables import Document
from bench.trace.lane import NullLane
from fixtures.pki import Pki
from instruments.external import credentials, template
from instruments.external.smdpp import RestSmdpp

EID = "89049032123451234512345678901235"
EXAMPLE = Path(__file__).parents[2] / "recipes" / "external_smdpp.toml"


def adapter(folder: Path, url: str, certificate: Path, key: Path, pin: str, *, profile: str) -> RestSmdpp:
    """Fit the example to a server, as a person would: address, trust, certificate; without what ES2+ cannot do."""
    text = EXAMPLE.read_text().partition("[operations.state]")[0] + '[states]\nReleased = "released"\n'
    for old, new in (
        ('url = "https://smdpp.lab.example"', f'url = "{url}"'),
        ('ca = "lab-ca.pem"', f'pin = "sha256:{pin}"'),
        ("operator.crt.pem", str(certificate)),
        ("operator.key.pem", str(key)),
        ("IOT-OPERATIONAL", profile),
    ):
        assert old in text
        text = text.replace(old, new)
    read = template.read(Document(text, "smdpp.toml"), "smdpp", folder)
    config = SmdppConfig(kind="external", adapter="rest", advertise="smdpp.bench.example")
    return RestSmdpp(config, read, AdapterContext(folder / "bench", NullLane, lambda text: None))


def test_example_orders_over_es2plus(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()

    async def main() -> None:
        lifeline, kept = os.pipe()
        server = await services.start("smdpp", home=home, log=tmp_path / "smdpp.log", lifeline=lifeline)
        made: list[Any] = []
        try:
            certificate, key = Pki.open(home).operator("operator", oid="2.999.30").tls_files()
            url = server.announcement["es2plus"]
            port = int(url.rpartition(":")[2])
            pem = await asyncio.to_thread(_certificate, port, certificate, key)
            pin = credentials.key_hash(ssl.PEM_cert_to_DER_cert(pem)).hex()
            packages = await server.client.packages()
            kind = next(item["profile_type"] for item in packages if item["name"] == "operational")
            smdpp = adapter(tmp_path, url, certificate, key, pin, profile=kind)
            made.append(smdpp)
            order = await smdpp.order("operational", eid=EID)
            assert order.smdp_address == "smdpp.bench.example"
            assert order.activation_code == f"LPA:1$smdpp.bench.example${order.matching_id}"
            known = await server.client.show(order.matching_id)  # what the other side has of it
            assert (known["state"], known["iccid"].rstrip("F"), known["eid"]) == ("released", order.iccid, EID)
            state = await smdpp.state(order.matching_id)
            assert (state.state, state.notifications_told, state.iccid.rstrip("F")) == ("unknown", False, order.iccid)
            await server.client.cancel(order.matching_id, available=True)  # there is one profile of its type
            before = len(await server.client.orders(eid=EID))
            with same_order("cycle 5"):  # interrupted behind the first call, and again behind the last
                for at, reached in (("confirm", False), ("state", True), ("state", True)):
                    one = adapter(tmp_path, url, certificate, key, pin, profile=kind)
                    made.append(one)
                    cut_off(one, at)
                    if not reached:
                        with pytest.raises(KeyboardInterrupt):
                            await one.order("operational", eid=EID)
                        continue
                    order = await one.order("operational", eid=EID)
                    assert (await server.client.show(order.matching_id))["state"] == "released"
            assert len(await server.client.orders(eid=EID)) == before + 1
            wrong = adapter(tmp_path, url, certificate, key, pin, profile="NO-SUCH-TYPE")
            made.append(wrong)
            with pytest.raises(InstrumentError, match=r"refused 'order' \(Failed") as caught:  # HTTP 200 it is
                await wrong.order("operational", eid=EID)
            assert "subjectCode" in caught.value.what
            impostor = adapter(tmp_path, url, certificate, key, "00" * 32, profile=kind)
            made.append(impostor)
            with pytest.raises(InstrumentError, match="TLS failed"):
                await impostor.order("operational", eid=EID)
        finally:
            for client in made:
                await client.close()
            await server.client.close()
            await server.stop()
            os.close(lifeline)
            os.close(kept)

    asyncio.run(main())


def cut_off(smdpp: RestSmdpp, at: str) -> None:
    """Have the run end where it is about to make the call ``at``."""
    call = smdpp._rest.call

    async def until(operation: str, values: Any) -> Any:
        if operation == at:
            raise KeyboardInterrupt
        return await call(operation, values)

    smdpp._rest.call = until  # type: ignore[method-assign]


def _certificate(port: int, certificate: Path, key: Path) -> str:
    """Return the server's certificate as a person would read it for the pin."""
    import socket

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        with context.wrap_socket(plain) as tls:
            der = tls.getpeercert(binary_form=True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der)
