"""Who may what: every operator's call with every role; without a good token nothing changes; tokens are in no log."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from fixtures.eim.calls import CALLS, Call
from fixtures.eim.ratelimit import MOST, REFUSED_BURST, Limiter
from fixtures.eim.roles import Role, Tokens
from fixtures.pki import Pki
from fixtures.service import HttpRefusal

from .operator_side import HOME_TOKEN, Side, side
from .parties import EID, ICCID, OTHER_EID
from .test_process import Running

V, O, A = "view", "operate", "administer"  # noqa: E741 - a table
TABLE = {
    "status": V,
    "openapi": V,
    "list_euiccs": V,
    "show_euicc": V,
    "put_euicc": O,
    "put_euicc with a body": A,
    "new_association": A,
    "list_state_changes": V,
    "initial_configuration": V,
    "create_order": O,
    "create_orders": O,
    "list_orders": V,
    "show_order": V,
    "order_messages": V,
    "cancel_order": O,
    "repeat_order": O,
    "approve_order": A,
    "reject_order": A,
    "list_notifications": V,
    "list_routes": V,
    "put_route": A,
    "delete_route": A,
    "show_misbehaviour": V,
    "put_misbehaviour": A,
    "add_misbehaviour": A,
    "clear_misbehaviour": A,
    "list_tokens": A,
    "add_token": A,
    "revoke_token": A,
    "list_audit": A,
    "verify_audit": A,
    "export": A,
    "import_": A,
}
"""Least role of every call, by hand: the program's own table is held against it."""
RANK = (V, O, A)
ORDER = {"eid": EID, "kind": "list"}
BODIES: dict[str, Any] = {
    "create_order": ORDER,
    "create_orders": {"orders": [ORDER]},
    "put_euicc with a body": {"counter": 7},
    "put_route": {"target": "127.0.0.1:1"},
    "put_misbehaviour": {"misbehaviours": [{"name": "drop"}]},
    "add_misbehaviour": {"name": "drop"},
    "add_token": {"name": "somebody", "role": "view"},
}
SAME_AFTER = {"put_euicc", "delete_route", "clear_misbehaviour", "import_"}
"""Calls that find everything as they leave it, as they are made here."""
VARIANTS = [*((call, "") for call in CALLS), *((call, " with a body") for call in CALLS if call.body_role is not None)]


def names(variant: tuple[Call, str]) -> str:
    return variant[0].name + variant[1]


async def prepared(made: Side, call: Call) -> str:
    """Return the path of a call that would succeed."""
    path = call.path
    if "/orders/{id}" in path:
        kind = (
            {"iccid": ICCID, "kind": "delete"} if call.name in ("approve_order", "reject_order") else {"kind": "list"}
        )
        order = await made.order(kind.pop("kind"), EID, **kind)
        if call.name == "repeat_order":
            await made.call("POST", f"/orders/{order['order_id']}/cancel")
        path = path.replace("{id}", order["order_id"])
    if call.name == "revoke_token":
        await made.call("POST", "/tokens", {"name": "gone", "role": "view"})
    return path.replace("{eid}", EID).replace("{name}", "gone")


def test_the_table_has_every_call() -> None:
    assert {names(variant) for variant in VARIANTS} == TABLE.keys()
    for call in CALLS:
        assert call.role.word == TABLE[call.name]
    assert [role.word for role in Role] == list(RANK)


def test_the_server_has_no_call_beside_the_table(pki: Pki, tmp_path: Path) -> None:
    """A route that is added without a role, or forgotten above, is seen here."""

    async def use() -> None:
        async with side(pki, tmp_path) as made:
            served = [
                (route.method, route.resource.canonical if route.resource is not None else "")
                for route in made.client.app.router.routes()
            ]
            assert sorted(served) == sorted((call.method, call.path) for call in CALLS)

    asyncio.run(use())


@pytest.mark.parametrize("variant", VARIANTS, ids=names)
def test_every_call_with_every_role(variant: tuple[Call, str], pki: Pki, tmp_path: Path) -> None:
    call, least = variant[0], TABLE[names(variant)]

    async def use() -> None:
        async with side(pki, tmp_path, approval=frozenset({"delete"})) as made:
            for role in RANK:
                path = await prepared(made, call)
                before = made.state()
                audit = made.lab.context.store.count("audit")
                status, answer = await made.call(call.method, path, BODIES.get(names(variant)), token=made.tokens[role])
                if RANK.index(role) >= RANK.index(least):
                    assert status in (200, 201), (role, status, answer)
                    if call.method == "GET" and call.name != "export":
                        assert made.state() == before
                    elif call.name != "export" and names(variant) not in SAME_AFTER:
                        assert made.state() != before, "the digest sees what the call does"
                    if call.name == "add_token":
                        made.lab.context.store.db.execute("DELETE FROM tokens WHERE name = 'somebody'")
                else:
                    assert status == 403, (role, status, answer)
                    assert "needs the role" in answer["error"]["what"]
                    made.lab.context.store.db.execute("DELETE FROM audit WHERE id > ?", (audit,))
                    made.lab.context.store.forget()
                    assert made.state() == before
                    continue

    asyncio.run(use())


def test_head_is_no_call(pki: Pki, tmp_path: Path) -> None:
    """It would be one beside the table; HEAD of the export once sent the export to whoever may view."""

    async def use() -> None:
        async with side(pki, tmp_path) as made:
            for call in (call for call in CALLS if call.method == "GET"):
                path = await prepared(made, call)
                for token in made.tokens.values():
                    async with made.client.head(path, headers={"Authorization": f"Bearer {token}"}) as answer:
                        assert answer.status == 405, call.name

    asyncio.run(use())


def test_a_refused_role_is_in_the_audit_log(pki: Pki, tmp_path: Path) -> None:
    async def use() -> None:
        async with side(pki, tmp_path) as made:
            await made.call("DELETE", "/routes/x", token=made.tokens["view"])
            (entry,) = (await made.call("GET", "/audit?who=view"))[1]
            assert entry["what"] == "refused"
            assert entry["details"]["call"] == "DELETE /routes/x"

    asyncio.run(use())


def bad_tokens(made: Side) -> dict[str, dict[str, str]]:
    good = made.tokens[A]
    tokens = Tokens(made.lab.context.store, HOME_TOKEN)
    old = tokens.add("old", Role.ADMINISTER, by="tests", expires=time.time() - 1)
    gone = tokens.add("gone2", Role.ADMINISTER, by="tests")
    tokens.revoke("gone2")
    return {
        "none": {},
        "empty": {"Authorization": ""},
        "no scheme": {"Authorization": good},
        "basic": {"Authorization": f"Basic {good}"},
        "wrong": {"Authorization": "Bearer wrong"},
        "longer": {"Authorization": f"Bearer {good}x"},
        "shorter": {"Authorization": f"Bearer {good[:-1]}"},
        "two": {"Authorization": f"Bearer {good} {good}"},
        "expired": {"Authorization": f"Bearer {old}"},
        "revoked": {"Authorization": f"Bearer {gone}"},
        "name": {"Authorization": "Bearer administer"},
        "cookie": {"Cookie": f"token={good}"},
        "other bytes": {"Authorization": "Bearer \u00e9\u00e9"},
    }


def test_without_a_good_token_nothing_changes(pki: Pki, tmp_path: Path) -> None:
    """Every call, with every kind of bad token: 401 (later 429), and not one row or route is another."""

    async def use() -> None:
        async with side(pki, tmp_path, approval=frozenset({"delete"})) as made:
            paths = {call.name: await prepared(made, call) for call in CALLS}
            bad = bad_tokens(made)
            before, seen = made.state(), set()
            for variant in VARIANTS:
                call = variant[0]
                for headers in bad.values():
                    status, answer = await made.call(
                        call.method, paths[call.name], BODIES.get(names(variant)), token=None, headers=headers
                    )
                    seen.add(status)
                    assert answer["error"]["what"]
            query = f"/orders?access_token={made.tokens[A]}"
            assert (await made.call("GET", query, token=None))[0] in (401, 429)
            assert seen == {401, 429}
            assert made.state() == before
            # Who has a good token is not held up by strangers at the same address.
            assert (await made.call("GET", "/status", token=made.tokens[V]))[0] == 200

    asyncio.run(use())


def test_what_is_not_there_is_told_only_with_a_token(pki: Pki, tmp_path: Path) -> None:
    async def use() -> None:
        async with side(pki, tmp_path) as made:
            assert (await made.call("GET", "/nothing", token=None))[0] == 401
            assert (await made.call("GET", "/nothing"))[0] == 404
            status, answer = await made.call("PATCH", "/orders")
            assert status == 405 and answer["error"]["what"]
            async with made.client.get("/status") as answer:
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            async with made.client.get("/status", headers={"Authorization": "bearer x"}) as answer:
                assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
            lower = {"Authorization": f"bearer {HOME_TOKEN}"}  # schemes are case-insensitive (RFC 9110 section 11.1)
            assert (await made.call("GET", "/status", token=None, headers=lower))[0] == 200

    asyncio.run(use())


def test_tokens_are_used_once_and_end(pki: Pki, tmp_path: Path) -> None:
    async def use() -> None:
        async with side(pki, tmp_path) as made:
            body = {"name": "alice", "role": "operate", "expires_in": 3600}
            status, answer = await made.call("POST", "/tokens", body)
            assert status == 201 and answer["token"].startswith("eim_") and len(answer["token"]) > 40
            alice = answer["token"]
            assert (await made.call("GET", "/status", token=alice))[1]["role"] == "operate"
            assert (await made.call("POST", "/tokens", body))[0] == 409
            assert (await made.call("POST", "/tokens", {"name": "eim", "role": "view"}))[0] == 400
            assert (await made.call("POST", "/tokens", {"name": "a b", "role": "view"}))[0] == 400
            assert (await made.call("POST", "/tokens", {"name": "bob", "role": "root"}))[0] == 400
            assert (await made.call("DELETE", "/tokens/bench"))[0] == 409
            assert (await made.call("DELETE", "/tokens/nobody"))[0] == 404
            assert (await made.call("DELETE", "/tokens/alice"))[0] == 200
            assert (await made.call("GET", "/status", token=alice))[0] == 401
            assert (await made.call("POST", "/tokens", body))[0] == 409, "a name stands for one token in the audit log"
            listed = (await made.call("GET", "/tokens"))[1]
            assert alice not in json.dumps(listed)
            assert [item["revoked"] is not None for item in listed if item["name"] == "alice"] == [True]

    asyncio.run(use())


def test_a_token_of_the_store_cannot_be_read_back(pki: Pki, tmp_path: Path) -> None:
    async def use() -> None:
        async with side(pki, tmp_path) as made:
            dump = "\n".join(made.lab.context.store.db.iterdump())
            assert not [token for token in (HOME_TOKEN, *made.tokens.values()) if token in dump or token[4:] in dump]

    asyncio.run(use())


def test_roles_are_words() -> None:
    assert Role.of("view") is Role.VIEW
    for word in ("VIEW", "", None, 3, "admin"):
        with pytest.raises(HttpRefusal):
            Role.of(word)


# --- rate -----------------------------------------------------------------------------------------------------------


def test_a_token_has_its_rate_and_others_theirs(pki: Pki, tmp_path: Path) -> None:
    async def use() -> None:
        async with side(pki, tmp_path, rate=0.01) as made:  # two hundredths of a request at once: none
            status, answer = await made.call("POST", "/orders", ORDER)
            assert status == 429 and "requests a second" in answer["error"]["what"]
            assert made.lab.context.store.orders() == []
        async with side(pki, tmp_path / "more", rate=2.0) as made:
            found = [(await made.call("GET", "/status", token=made.tokens[V]))[0] for _ in range(6)]
            assert found[:4] == [200] * 4 and 429 in found
            async with made.client.get("/status", headers={"Authorization": f"Bearer {made.tokens[V]}"}) as answer:
                assert answer.status == 200 or int(answer.headers["Retry-After"]) >= 1
            assert (await made.call("GET", "/status", token=made.tokens[O]))[0] == 200

    (tmp_path / "more").mkdir()
    asyncio.run(use())


def test_strangers_wait_sooner(pki: Pki, tmp_path: Path) -> None:
    async def use() -> None:
        async with side(pki, tmp_path) as made:
            found = [(await made.call("GET", "/status", token="wrong"))[0] for _ in range(int(REFUSED_BURST) + 5)]
            assert found[: int(REFUSED_BURST)] == [401] * int(REFUSED_BURST)
            assert 429 in found[int(REFUSED_BURST) :]

    asyncio.run(use())


def test_a_token_has_so_many_requests_at_once(pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for ever takes nobody else's place, and has their own back afterwards."""
    monkeypatch.setattr("fixtures.eim.ratelimit.AT_ONCE", 3)

    async def use() -> None:
        async with side(pki, tmp_path) as made:
            order = await made.order("list", EID)
            path = f"/orders/{order['order_id']}?wait=60"
            waiting = [asyncio.create_task(made.call("GET", path, token=made.tokens[V])) for _ in range(3)]
            while len(made.lab.context.changes._waiting) < 3:  # noqa: ASYNC110 - they say nothing themselves
                await asyncio.sleep(0)
            status, answer = await made.call("GET", "/status", token=made.tokens[V])
            assert status == 429 and "3 requests" in answer["error"]["what"]
            assert (await made.call("POST", f"/orders/{order['order_id']}/cancel", token=made.tokens[O]))[0] == 200
            assert [(await task)[1]["state"] for task in waiting] == ["cancelled"] * 3
            assert (await made.call("GET", "/status", token=made.tokens[V]))[0] == 200

    asyncio.run(use())


def test_the_limiter() -> None:
    now = [0.0]
    limiter = Limiter(2.0, 3.0, clock=lambda: now[0])
    assert [limiter.take("a") for _ in range(3)] == [0.0] * 3
    assert limiter.take("a") == 0.5
    now[0] = 0.5
    assert limiter.take("a") == 0.0
    assert limiter.take("a") == 0.5
    now[0] = 100.0
    assert [limiter.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    now[0] = 99.0  # a clock that goes back gives nothing
    assert limiter.take("a") == 0.5
    for number in range(3 * MOST):
        limiter.take(str(number))
    assert len(limiter._buckets) == MOST


# --- logs -----------------------------------------------------------------------------------------------------------


def malformed(running: Running, header: str) -> None:
    """Send a request with a header that is none."""
    host, port = running.announcement["operator"].removeprefix("http://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(f"GET /status HTTP/1.1\r\nHost: x\r\n{header}\r\nConnection: close\r\n\r\n".encode())
        answer = connection.recv(4096)
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400", b"HTTP/1.1 401")), answer


def test_tokens_are_in_no_log_and_no_file(tmp_path: Path) -> None:
    """After good calls, refused calls and a broken store, no token is in what the process wrote, but for its file."""
    running = Running(tmp_path)
    assert running.process.stderr is not None
    secrets = [running.token]
    for role in RANK:
        status, made = running.operator("POST", "/tokens", {"name": f"x-{role}", "role": role})
        assert status == 201
        secrets.append(made["token"])
    running.operator("PUT", f"/euiccs/{OTHER_EID}")
    for token in (*secrets, "stranger-" + secrets[1]):
        for method, path, body in (
            ("GET", "/orders", None),
            ("POST", "/orders", {"eid": OTHER_EID, "kind": "list"}),
            ("POST", "/orders", {"eid": OTHER_EID, "kind": "dance"}),
            ("DELETE", "/routes/none", None),
            ("GET", "/nothing", None),
        ):
            running.operator(method, path, body, token=token)
    for header in ("Authorization: Bearer {}\0", "Authorization : Bearer {}", "Authorization: Bearer\n {}\x01", "{}"):
        malformed(running, header.format(secrets[1]))
    import sqlite3

    other = sqlite3.connect(tmp_path / "eim" / "eim.sqlite")
    other.execute("ALTER TABLE orders RENAME TO elsewhere")
    status, answer = running.operator("GET", "/orders")
    assert status == 503 and "store" in answer["error"]["what"]
    other.execute("ALTER TABLE elsewhere RENAME TO orders")
    other.close()
    running.process.terminate()
    running.process.wait(10)
    written = running.process.stderr.read()
    assert b"store of the eIM" in written
    running.stop()
    places = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    places = {path: data for path, data in places.items() if path.name != "operator.token"}
    assert any(path.name == "eim.sqlite" for path in places)
    for secret in secrets:
        assert secret.encode() not in written
        assert [path for path, data in places.items() if secret.encode() in data] == []
