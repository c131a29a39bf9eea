"""Whoever has no good token, or no certificate of an operator, changes nothing at the SM-DP+, by any call there is."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from conftest import World

from fixtures.service.misbehaviour import Misbehaviours
from fixtures.smdpp import admin
from fixtures.smdpp.service import SERVICE
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


def asked(url: str, token: str, body: bytes | None = None) -> int:
    """Return the status of a request with a token."""
    request = urllib.request.Request(url, data=body, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_token_is_in_no_log_and_no_file(tmp_path: Path) -> None:
    """After good calls, refused ones and headers that are none; nor is a confirmation code."""
    code = "4711-0815-2342"
    process = subprocess.Popen(
        SERVICE.argv(tmp_path, {"with_parent": True}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        told = json.loads(process.stdout.readline())
        token, admin_side = Path(told["token_file"]).read_text().strip(), told["admin"]
        order = json.dumps({"profile": "operational", "confirmation_code": code}).encode()
        assert asked(f"{admin_side}/orders", token, order) == 201
        assert asked(f"{admin_side}/orders", token, order.replace(b"operational", b"opertional")) == 400
        assert asked(f"{admin_side}/orders", token, b"{") == 400
        assert asked(f"{admin_side}/nothing", token) == 404
        assert asked(f"{admin_side}/orders", f"{token}x") == 401
        host, port = admin_side.removeprefix("http://").rsplit(":", 1)
        for header in (f"Authorization: Bearer {token}\0", f"Authorization : Bearer {token}", token):
            with socket.create_connection((host, int(port)), timeout=20) as connection:
                connection.sendall(f"GET /orders HTTP/1.1\r\nHost: x\r\n{header}\r\nConnection: close\r\n\r\n".encode())
                assert connection.recv(4096).startswith((b"HTTP/1.1 400", b"HTTP/1.0 400", b"HTTP/1.1 401"))
    finally:
        process.stdin.close()
        written = process.stderr.read() if process.stderr is not None else b""
        process.wait(20)
        process.stdout.close()
        assert process.stderr is not None
        process.stderr.close()
    places = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.name == "smdpp.sqlite" for path in places)
    for secret in (token.encode(), code.encode()):
        assert secret not in written
        kept = [path for path, data in places.items() if secret in data and str(path) != told["token_file"]]
        assert kept == []
