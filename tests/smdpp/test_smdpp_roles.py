"""Whoever has no good token, or no certificate of an operator, changes nothing at the SM-DP+, by any call there is."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest
from aiohttp.test_utils import TestClient, TestServer
from conftest import World

from fixtures.service.misbehaviour import Misbehaviours
from fixtures.smdpp import admin
from fixtures.smdpp.status import REFUSALS

TOKEN = "token-of-the-tests-0123456789"
BODIES = {
    "/orders": {"profile": "operational"},
    "/codes": {"profiles": ["operational"]},
    "/codes/take": {"pool": "default"},
    "/misbehaviour": {"name": "drop"},
}
BAD = {
    "none": {},
    "empty": {"Authorization": ""},
    "no scheme": {"Authorization": TOKEN},
    "basic": {"Authorization": f"Basic {TOKEN}"},
    "wrong": {"Authorization": "Bearer wrong"},
    "longer": {"Authorization": f"Bearer {TOKEN}x"},
    "shorter": {"Authorization": f"Bearer {TOKEN[:-1]}"},
    "cookie": {"Cookie": f"token={TOKEN}"},
}


def digest(world: World, misbehaviour: Misbehaviours | None = None) -> str:
    """Return a digest of every row, and of what the server was told to do wrong."""
    text = "\n".join(world.store.db.iterdump()) + repr(misbehaviour.public() if misbehaviour else None)
    return hashlib.sha256(text.encode()).hexdigest()


def test_without_the_token_no_call_does_anything(world: World) -> None:
    """The calls are those that the application has, so that none can be forgotten."""

    async def use() -> None:
        misbehaviour = Misbehaviours("smdpp")
        application = admin.application(world.orders, TOKEN, world.es9.progress, misbehaviour)
        order = str(world.place().id)
        async with TestClient(TestServer(application)) as client:
            before = digest(world, misbehaviour)
            calls = [(route.method, route.resource) for route in application.router.routes()]
            assert len(calls) >= 20
            for method, resource in calls:
                assert resource is not None
                path = resource.canonical.replace("{order}", order)
                for headers in BAD.values():
                    body = BODIES.get(resource.canonical)
                    async with client.request(method, path, json=body, headers=headers) as answer:
                        assert answer.status == 401, (method, path, answer.status)
                        assert method == "HEAD" or (await answer.json())["error"]["what"]
            assert digest(world, misbehaviour) == before
            good = {"Authorization": f"Bearer {TOKEN}"}
            for path, body in BODIES.items():
                async with client.post(path, json=body, headers=good) as answer:
                    assert answer.status in (200, 201, 409), (path, await answer.text())  # 409: none is left
            assert digest(world, misbehaviour) != before

    asyncio.run(use())


@pytest.mark.parametrize("function", [name for name in REFUSALS if name.endswith(("Order", "Profile"))])
@pytest.mark.parametrize("operator", ["", "nobody"])
def test_without_an_operators_certificate_no_function_does_anything(world: World, function: str, operator: str) -> None:
    world.order_by("downloadOrder", iccid="8900101000000000027")
    before = digest(world)
    header = {"functionRequesterIdentifier": "2.999.31", "functionCallIdentifier": "1"}
    body = {
        "header": header,
        "iccid": "8900101000000000027",
        "releaseFlag": True,
        "finalProfileStatusIndicator": "Available",
    }
    answer = world.es2_raw(function, json.loads(json.dumps(body)), operator)
    data = answer["header"]["functionExecutionStatus"]["statusCodeData"]
    assert (data["subjectCode"], data["reasonCode"]) == ("1.1", "1.1")
    assert digest(world) == before
