"""What the eIM does on demand, over CoAPS: the connection's misbehaviours, and those of the handshake."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiocoap.numbers import codes
from eim import parties as eim

from fixtures.coaps.errors import CoapError, DtlsError
from fixtures.eim import coap
from fixtures.pki import Pki
from fixtures.service import Observer
from fixtures.service.misbehaviour_wire import Handshakes

from .parties import client, serving, trusting

POLL = bytes.fromhex("bf4f125a1089049032123451234512345678901235")
NOTHING = bytes.fromhex("bf4f03020101")
PATH = ("gsma", "rsp2", "asn1")


async def ask(made: Any) -> tuple[Any, bytes]:
    found: tuple[Any, bytes] = await made.exchange(code=codes.POST, path=PATH, body=POLL, longest=1 << 20)
    return found


def play(pki: Pki, folder: Path, *steps: tuple[dict[str, Any], Any], handshakes: bool = False) -> None:
    """Tell one misbehaviour after the other and poll; ``(code, body)``, or the error that the client sees, is due."""

    async def run() -> None:
        async with asyncio.timeout(30), eim.lab(pki, folder) as lab:
            table = lab.context.misbehaviour
            async with serving(pki, coap.handler(lab.esipa, Observer(None))) as (_, port):
                for entry, expected in steps:
                    table.tell([entry])
                    async with client(port, trusting(pki)) as made:
                        if isinstance(expected, type):
                            with pytest.raises(expected):
                                await ask(made)
                            assert not made.up
                        else:
                            assert await ask(made) == expected
                            assert made.up
                    table.tell([])
                    async with client(port, trusting(pki)) as made:
                        assert await ask(made) == (codes.CHANGED, NOTHING), entry

    asyncio.run(run())


def test_the_connection_misbehaves(pki: Pki, tmp_path: Path) -> None:
    play(
        pki,
        tmp_path,
        ({"name": "drop", "when": "before"}, DtlsError),
        ({"name": "drop", "when": "after"}, DtlsError),
        ({"name": "cut", "octets": 3}, DtlsError),
        ({"name": "http-status", "status": 503}, (codes.SERVICE_UNAVAILABLE, b"")),
        ({"name": "http-status", "status": 404}, (codes.NOT_FOUND, b"")),
        ({"name": "http-status", "status": 418}, (codes.BAD_REQUEST, b"")),
        ({"name": "truncated", "octets": 2}, (codes.CHANGED, NOTHING[:-2])),
        ({"name": "empty"}, (codes.CHANGED, b"")),
        ({"name": "content-type", "type": "text/html"}, (codes.CHANGED, NOTHING)),
        ({"name": "delay", "seconds": 0.2}, (codes.CHANGED, NOTHING)),
    )


def test_the_beginning_of_an_answer(pki: Pki, tmp_path: Path) -> None:
    """64 bytes of one that is longer, and no more."""

    async def run() -> None:
        async with asyncio.timeout(30), eim.lab(pki, tmp_path) as lab:
            async with serving(pki, coap.handler(lab.esipa, Observer(None))) as (_, port):
                lab.context.misbehaviour.tell([{"name": "oversized", "octets": 3000}, {"name": "cut", "octets": 100}])
                async with client(port, trusting(pki)) as made:
                    with pytest.raises((DtlsError, CoapError)):
                        await ask(made)
                    assert not made.up

    asyncio.run(run())


def test_certificates_that_are_not_what_they_should_be(pki: Pki, tmp_path: Path) -> None:
    """Chosen for each handshake, also of a client that has a session: that is forgotten when the eIM is told."""

    async def run() -> None:
        async with asyncio.timeout(30), eim.lab(pki, tmp_path) as lab:
            table = lab.context.misbehaviour
            handshakes = Handshakes(table, pki, "eim_tls", eim.EIM_ID)
            table.checks += [handshakes.prepare]

            def choose() -> Any:
                from fixtures.coaps.contexts import server_context

                name = handshakes.chosen()
                return handshakes.with_files(name, server_context) if name else None

            async with serving(pki, coap.handler(lab.esipa, Observer(None)), choose=choose) as (server, port):
                handshakes.at_rearming(server.end_all)
                trust = trusting(pki)
                for name, words in (("expired-certificate", "expired"), ("foreign-certificate", "issuer|self-signed")):
                    async with client(port, trust) as made:
                        assert (await ask(made))[1] == NOTHING
                        table.tell([{"name": name}])
                        trust.session = None
                        with pytest.raises(DtlsError, match=words):
                            async with client(port, trust):
                                pass
                        table.tell([])
                    async with client(port, trust) as made:
                        assert (await ask(made))[1] == NOTHING

    asyncio.run(run())
