"""The operator's side of an eIM in this process, over HTTP, and a fingerprint of everything that it keeps."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from fixtures.eim.es9plus import Routes
from fixtures.eim.rest import Operator
from fixtures.eim.roles import Role, Tokens
from fixtures.pki import Pki

from .parties import Lab, lab

HOME_TOKEN = "home-token-of-the-tests-0123456789"


@dataclass
class Side:
    lab: Lab
    client: TestClient[Any, Any]
    routes: Routes
    tokens: dict[str, str]
    """Token by role, and ``second`` of another administrator."""

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = HOME_TOKEN, **options: Any
    ) -> tuple[int, Any]:
        """Return status and answer; ``token`` None sends none."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self.client.request(method, path, json=body, headers=headers, **options) as answer:
            content = await answer.read()
            good = answer.content_type == "application/json"
            return answer.status, await answer.json() if good else content

    async def order(self, kind: str, eid: str, *, token: str = HOME_TOKEN, **values: Any) -> dict[str, Any]:
        status, answer = await self.call("POST", "/orders", {"eid": eid, "kind": kind, **values}, token=token)
        assert status == 201, answer
        return dict(answer)

    def state(self) -> str:
        """Return a digest of everything that the eIM keeps: every row, the routes, and what it does wrong."""
        text = "\n".join(self.lab.context.store.db.iterdump())
        memory = repr((sorted(self.routes.targets.items()), self.lab.context.misbehaviour.public()))
        return hashlib.sha256((text + memory).encode()).hexdigest()


@asynccontextmanager
async def side(pki: Pki, folder: Path, *, rate: float = 1e6, **options: Any) -> AsyncIterator[Side]:
    async with lab(pki, folder, **options) as made:
        routes = Routes()
        application = Operator(made.context, made.esipa, routes).application(HOME_TOKEN, rate=rate)
        tokens = Tokens(made.context.store, HOME_TOKEN)
        given = {role.word: tokens.add(role.word, role, by="tests") for role in Role}
        given["second"] = tokens.add("second", Role.ADMINISTER, by="tests")
        async with TestClient(TestServer(application)) as client:
            yield Side(made, client, routes, given)
