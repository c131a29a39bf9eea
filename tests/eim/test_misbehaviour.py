"""Each misbehaving package of the eIM has one thing wrong and everything else right, checked without its own code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.errors import BenchError, ConfigurationError
from fixtures.eim.client import EimClient
from fixtures.eim.misbehaviour import check
from fixtures.eim.service import SERVICE, arguments
from fixtures.pki import Pki
from fixtures.service.misbehaviour import read

from .parties import EID, EIM_ID, Lab, Package, down, get_package, lab, parts, provide, split, tlv, verify
from .system import Process, prepare

TOKEN = bytes.fromhex("840100")
NO_PACKAGE = bytes.fromhex("bf4f03020101")


def run(pki: Pki, folder: Path, use: Callable[[Lab], Awaitable[None]], **options: Any) -> None:
    async def play() -> None:
        async with lab(pki, folder, known="0560", **options) as made:
            made.context.misbehaviour.checks.append(check)
            await use(made)

    asyncio.run(play())


async def told(lab: Lab, kind: str = "enable", /, **entry: Any) -> tuple[str, bytes, dict[str, bytes], bytes, bytes]:
    """Order with a misbehaviour told: order, BF51, members of the signed part, signed part, signature."""
    lab.context.misbehaviour.tell([entry])
    order = lab.order(kind, **({"iccid": "8900101000000000027"} if kind == "enable" else {}))
    raw = down(await lab.poll(), "BF4F")
    package = next(whole for tag, _, whole in split(raw) if tag.hex() == "bf51")
    (_, content, signed), (_, signature, _) = split(down(package, "BF51"))
    assert lab.context.misbehaviour.public()["misbehaviours"][0]["done"] == 1
    return order, package, parts(content), signed, signature


def good(lab: Lab, signature: bytes, signed: bytes) -> None:
    verify(lab.context.key.public_key(), signature, signed + TOKEN)


@pytest.mark.parametrize(
    ("entry", "field", "value"),
    [
        ({"name": "wrong-counter", "counter": "4711"}, "81", bytes.fromhex("1267")),
        ({"name": "wrong-counter", "counter": "beyond"}, "81", bytes.fromhex("00800000")),
        ({"name": "wrong-counter"}, "81", b"\x00"),
        ({"name": "wrong-eid"}, "5A", bytes.fromhex("89049032000000000000000000000055")),
        ({"name": "wrong-eim-id", "value": "x.example"}, "80", b"x.example"),
    ],
)
def test_one_field_is_wrong_and_signed(
    entry: dict[str, Any], field: str, value: bytes, pki: Pki, tmp_path: Path
) -> None:
    async def use(lab: Lab) -> None:
        order, _, fields, signed, signature = await told(lab, **entry)
        good(lab, signature, signed)
        right = {"80": EIM_ID.encode(), "5A": bytes.fromhex(EID), "81": b"\x01"}
        assert {name: fields[name] for name in right} == {**right, field: value}
        if field == "81":
            assert lab.show(order)["counter"] == int.from_bytes(value, "big"), "what was sent is what is kept"

    run(pki, tmp_path, use)


@pytest.mark.parametrize("form", ["wrong", "foreign", "der", "token"])
def test_signatures(form: str, pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        _, _, fields, signed, signature = await told(lab, name="package-signature", form=form)
        assert fields["81"] == b"\x01" and fields["5A"] == bytes.fromhex(EID)
        if form == "der":
            lab.context.key.public_key().verify(signature, signed + TOKEN, ec.ECDSA(hashes.SHA256()))
            assert signature[0] == 0x30 and len(signature) > 64
            return
        assert len(signature) == 64
        with pytest.raises(InvalidSignature):
            good(lab, signature, signed)
        if form == "wrong":
            good(lab, signature[:-1] + bytes((signature[-1] ^ 1,)), signed)

    run(pki, tmp_path, use)


def test_structures(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        _, _, fields, signed, signature = await told(lab, name="two-lists")
        good(lab, signature, signed)
        assert fields["A0"].startswith(b"\xa3") and fields["A1"] == b"\xab\x00"
        lab.esipa.orders.cancel(2)
        _, _, fields, signed, signature = await told(lab, name="unknown-command")
        good(lab, signature, signed)
        assert fields["A0"].startswith(bytes.fromhex("bf7f028000a3"))
        lab.esipa.orders.cancel(3)
        _, package, fields, signed, signature = await told(lab, name="oversized-package", octets=50_000)
        good(lab, signature, signed)
        assert len(package) > 50_000
        lab.esipa.orders.cancel(4)
        lab.context.misbehaviour.tell([{"name": "truncated-package", "octets": 5}])
        lab.order("enable", iccid="8900101000000000027")
        answer = await lab.poll()
        assert answer[:3] == b"\xbf\x4f\x81" and len(answer) == 4 + answer[3], "the message is whole"

    run(pki, tmp_path, use)


def test_encodings_that_were_seen(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        lab.context.misbehaviour.tell([{"name": "encoding", "form": "CONTEXT_ROLLBACK_FLAG"}])
        lab.order("enable", iccid="8900101000000000027", rollback=True)
        package = Package.of(await lab.poll())
        assert parts(split(down(package.raw, "BF51"))[0][1])["A0"].endswith(bytes.fromhex("8100"))
        verify(lab.context.key.public_key(), parts(down(package.raw, "BF51"))["5F37"], signed_of(package.raw) + TOKEN)

    run(pki, tmp_path, use)


def signed_of(raw: bytes) -> bytes:
    return split(down(raw, "BF51"))[0][2]


def test_answers(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        tell = lab.context.misbehaviour.tell
        order, package = await lab.package()
        result = provide(lab.card.result(package, "830100"))
        tell([{"name": "error", "function": "provideEimPackageResult", "code": 3}])
        assert await lab.send(result) == bytes.fromhex("bf5003020103")
        assert lab.show(order)["state"] == "sent", "nothing is carried out"
        tell([{"name": "no-acknowledgement"}])
        assert await lab.send(result) == bytes.fromhex("bf50023000")
        assert lab.show(order)["state"] == "done"
        tell([{"name": "foreign-acknowledgement", "offset": 5}])
        assert await lab.send(result) == bytes.fromhex("bf5006bf5303800106")
        tell([{"name": "old-package", "count": 2}])
        assert Package.of(await lab.poll()).raw == package.raw
        assert Package.of(await lab.poll()).raw == package.raw
        assert await lab.poll() == NO_PACKAGE
        lab.order("list")
        tell([{"name": "unknown-package"}])
        assert await lab.poll() == bytes.fromhex("bf4f06bf7f03800100")
        tell([{"name": "error", "eid": EID, "code": 4}])
        assert await lab.poll("89044045930000000000002153893210") == bytes.fromhex("bf4f03020102"), "another device"
        assert await lab.poll() == bytes.fromhex("bf4f03020104")

    run(pki, tmp_path, use)


def test_on_the_wire_of_both_bindings(pki: Pki, tmp_path: Path) -> None:
    """What is told of the bytes is done to those that leave, JSON as well as ASN.1; the recording says so."""

    async def use(lab: Lab) -> None:
        from fixtures.eim.bindings import JSON_PATH, PATH, Bindings, Reply
        from fixtures.service import Observer

        bindings = Bindings(lab.esipa, Observer(None))
        lab.order("enable", iccid="8900101000000000027")
        query = {PATH: get_package(EID), JSON_PATH + "getEimPackage": json.dumps({"eidValue": EID}).encode()}
        for path, body in query.items():

            async def told(path: str = path, body: bytes = body, **entry: Any) -> Reply:
                lab.context.misbehaviour.tell([entry] if entry else [])
                return await bindings.answer(path, "", body, lab.peer)

            good = await told()
            assert good.status == 200 and good.comment is None
            short = await told(name="truncated", octets=3)
            assert short.body == good.body[:-3] and short.comment == "misbehaviour on demand: truncated"
            assert (await told(name="cut", octets=4)).cut == 4
            assert (await told(name="drop")).cut == -1
            assert len((await told(name="oversized", octets=5000)).body) > 5000
            assert (await told(name="empty")).body == b""
            assert (await told(name="content-type")).content_type == "text/html"
            assert (await told(name="http-status", status=503)).status == 503
            assert (await told(name="garbage")).status == 200
            lab.esipa.orders.cancel(int(lab.order("list")))
            assert (await told(name="stale-answer")).body == good.body

    run(pki, tmp_path, use, max_hand_outs=100)


@pytest.mark.parametrize(
    "entry",
    [{"name": "wrong-counter", "counter": "many"}, {"name": "wrong-eid", "value": "8904"},
     {"name": "encoding", "form": "NESTED"}],
)  # fmt: skip
def test_what_cannot_be_is_refused(entry: dict[str, Any]) -> None:
    armed = read(entry, "eim")
    with pytest.raises(BenchError) as caught:
        check(armed)
    assert str(caught.value)


def test_a_refused_counter_is_not_the_euiccs(pki: Pki, tmp_path: Path) -> None:
    """What is repaired afterwards counts from the last package that was executed, not from a refused one."""

    async def use(lab: Lab) -> None:
        order, first = await lab.package()
        await lab.send(provide(lab.card.result(first, "830100")))
        lab.context.misbehaviour.tell([{"name": "wrong-counter", "counter": "beyond"}])
        order, package = await lab.package()
        await lab.send(provide(lab.card.error(package, 6)))
        assert lab.show(order)["state"] == "pending", "it is made again"
        again = Package.of(await lab.poll())
        assert again.counter == first.counter + 1
        owner = lab.context.store.euicc(EID)
        assert owner is not None and owner.confirmed == first.counter

    run(pki, tmp_path, use)


def test_a_result_for_another_eim_ends_the_order_it_belongs_to(pki: Pki, tmp_path: Path) -> None:
    async def use(lab: Lab) -> None:
        order, package = await lab.package()
        unsigned = tlv("BF51", tlv("A2", tlv("80", b"other.example"), tlv("82", package.transaction_id)))
        await lab.send(provide(unsigned))
        shown = lab.show(order)
        assert shown["state"] == "failed" and "answered for the eIM other.example" in shown["error"]["what"]
        other, _ = await lab.package("list")
        foreign = tlv("BF51", tlv("A2", tlv("80", b"other.example"), tlv("82", b"\x09" * 8)))
        await lab.send(provide(foreign))
        assert lab.show(other)["state"] == "sent", "somebody else's result is not ours to judge"

    run(pki, tmp_path, use)


def test_as_an_option_and_by_the_operator(tmp_path: Path) -> None:
    """serve --misbehave, and PUT and DELETE /misbehaviour of the running process."""

    async def play() -> None:
        eim = await Process.start("fixtures.eim", tmp_path, "--misbehave", json.dumps([{"name": "garbage"}]))
        try:
            async with EimClient.from_announcement(eim.announcement) as client:
                shown = await client.misbehaviour()
                assert [item["name"] for item in shown["misbehaviours"]] == ["garbage"]
                await client.misbehave({"name": "drop", "count": 0}, {"name": "foreign-certificate"})
                assert len((await client.misbehaviour())["misbehaviours"]) == 2
                with pytest.raises(ConfigurationError, match="did you mean drop"):
                    await client.misbehave({"name": "dorp"})
                await client.misbehave()
                assert (await client.misbehaviour())["misbehaviours"] == []
        finally:
            assert await eim.stop() == 0

    prepare(tmp_path)
    asyncio.run(play())


def test_in_bench_toml() -> None:
    argv = SERVICE.argv(Path("/home"), {"misbehave": [{"name": "drop", "count": 2}]})
    assert arguments(argv[3:]).misbehave == [{"name": "drop", "count": 2}]
    assert arguments(SERVICE.argv(Path("/home"), {"misbehave": "drop"})[3:]).misbehave == [{"name": "drop"}]
