"""The lab of ``lab.py`` with an SM-DP+ that the IPA itself reaches: the real one behind TLS, its calls kept."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from by_hand import tlv

from bench.rsp import tlv as walk
from bench.station.clock import RealClock
from fixtures import service
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import create
from fixtures.smdpp.server import application

from .fakes import FQDN, Answer, Tls
from .lab import Lab
from .relay import SMDPP, RelayEim

Interpose = Callable[[str, dict[str, Any]], web.StreamResponse | int | None]
"""Function and request to what is answered instead; an int is an HTTP status, 0 breaks the connection."""


@dataclass
class DirectEim(RelayEim):
    """An eIM whose orders ("direct", TLV of the download data) become triggers with that data."""

    triggers: int = 0
    told: list[bytes] = field(default_factory=list)
    """ProfileDownloadTriggerResults, in order of arrival."""
    answers: list[Answer] = field(default_factory=list)
    """Given to the next trigger results instead of 204."""
    tries_again: bool = False
    """A failed installation does not end the order."""

    def _package(self, found: walk.Tlv) -> Answer:
        if self.orders and self.orders[0][0] == "direct":
            data = self.orders[0][1]
            assert isinstance(data, bytes)
            self.triggers += 1
            return tlv("BF4F", tlv("BF54", tlv("A0", data), tlv("82", b"order-1")))
        return super()._package(found)

    def _notification(self, found: walk.Tlv) -> Answer:
        result = found.find(0xBF50, 0xBF54)
        if result is None:
            return super()._notification(found)
        self.told.append(result.raw)
        if self.answers:
            return self.answers.pop(0)
        transaction = result.find(0x82)
        assert transaction is not None and transaction.value == b"order-1"
        failed = result.find(0xBF37, 0xBF27, 0xA2, 0xA1) is not None  # interrupted: this eIM tries once more
        if self.orders and self.orders[0][0] == "direct" and not (failed and self.tries_again):
            self.orders.pop(0)
        return 204


@dataclass
class DirectLab(Lab):
    """``calls``: ES9+ functions and requests as they came in; ``interpose`` decides first."""

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    interpose: Interpose | None = None
    port: int = 0

    @classmethod
    def make(cls, base: Path, home: Path, tls: Tls, *, emergency: bool = False, **options: object) -> DirectLab:
        made = super().make(base, home, tls, emergency=emergency, **options)
        assert isinstance(made, DirectLab)
        made.relay = DirectEim(made.relay.pki, made.relay.smdpp, made.relay.eid)
        made.eim.answer = made.relay
        return made

    async def __aenter__(self) -> DirectLab:
        self._stack = AsyncExitStack()
        app = application(self.relay.smdpp, service.Observer(None))
        app.middlewares.append(self._middleware)
        pki = self.relay.pki
        tls = service.tls_context(*pki.dp_tls.tls_files())
        self.port = await service.listen(app, self._stack, host="127.0.0.1", tls=tls)
        await super().__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await super().__aexit__(*details)
        await self._stack.aclose()

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        function, body = request.path.rpartition("/")[2], json.loads(await request.read())
        self.calls.append((function, body))
        self.headers.append(dict(request.headers))
        instead = self.interpose(function, body) if self.interpose is not None else None
        if instead == 0:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(instead, int):
            return web.Response(status=instead)
        response: web.StreamResponse = instead if instead is not None else await handler(request)
        return response

    @property
    def functions(self) -> list[str]:
        return [function for function, _ in self.calls]

    def of(self, function: str) -> list[dict[str, Any]]:
        return [body for name, body in self.calls if name == function]

    @property
    def eim_of_direct(self) -> DirectEim:
        assert isinstance(self.relay, DirectEim)
        return self.relay

    def use(self, **options: object) -> None:
        routes = {FQDN: f"127.0.0.1:{self.eim.port}", SMDPP: f"127.0.0.1:{self.port}"}
        settings = {"route": routes, "retry_delay": 0.001, "retries": 0, **options}
        self.ipa = create(self.card, HostDataPath(), RealClock(), options=settings, home=self.home)

    def order_direct(self, *, tail: str = "", **more: Any) -> str:
        """A profile made ready, and the order of the eIM that names it; ``tail``: behind the matchingId."""
        order = self.relay.smdpp.orders.place("operational", rebinding="allow", **more)
        code = f"1${SMDPP}${order.matching_id}{tail}"
        self.relay.orders.append(("direct", tlv("80", code.encode())))
        return order.matching_id

    def order_state(self, matching_id: str) -> str:
        order = self.relay.smdpp.store.newest("matching_id", matching_id)
        assert order is not None
        return order.state


def copy(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))


def decoded(body: dict[str, Any], key: str) -> bytes:
    return base64.b64decode(body[key], validate=True)
