"""Each misbehaviour of the SM-DP+ makes an eUICC that checks everything by hand refuse at one point, and only there."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import World
from cryptography.exceptions import InvalidSignature
from smdpp_device import EID, Device, Refused, b64, parts, unb64, value_of

from bench.errors import ConfigurationError
from fixtures.pki import Pki
from fixtures.service.misbehaviour import Misbehaviours
from fixtures.service.repeats import Repeats
from fixtures.smdpp.guard import MAX_AUTHENTICATIONS
from fixtures.smdpp.misbehaviour import Misbehaving, _current
from fixtures.smdpp.notifications import Received
from fixtures.smdpp.service import SERVICE
from fixtures.smdpp.status import Refusal, failure, success

INITIATE, AUTHENTICATE, BIND = "initiateAuthentication", "authenticateClient", "getBoundProfilePackage"


class Bad:
    """An SM-DP+ that misbehaves, and a device that talks to it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.table = Misbehaviours("smdpp")
        self.misbehaving = Misbehaving(self.table, world.es9)
        self.guard = self.misbehaving.guard
        self.device = Device(world.pki, self.call)

    def call(self, function: str, body: dict[str, Any]) -> Any:
        exchange = self.misbehaving.begin(function, body)
        raw = json.dumps(body).encode()
        if why := self.guard.refused(function, raw, body):
            raise TooMany(why)
        try:
            _current.set(exchange)
            result = self.world.es9.functions[function](body)
        except Refusal as refusal:
            return {"header": failure(refusal)}
        return None if isinstance(result, Received) else {"header": success(), **result}

    def tell(self, **entry: Any) -> None:
        self.table.tell([entry])

    @property
    def done(self) -> int:
        return int(self.table.public()["misbehaviours"][0]["done"])


class TooMany(Exception):
    """HTTP 429."""


@pytest.fixture
def bad(world: World) -> Bad:
    return Bad(world)


def before_binding(bad: Bad) -> None:
    bad.device.initiate()
    bad.device.authenticate(bad.world.place().matching_id)


# what is wrong: the step at which the device finds out, and by which check
AT: dict[str, tuple[dict[str, Any], str, type[Exception]]] = {
    "wrong signature 1": ({"name": "signature", "function": INITIATE}, INITIATE, InvalidSignature),
    "foreign signature 1": ({"name": "signature", "function": INITIATE, "form": "foreign"}, INITIATE, InvalidSignature),
    "challenge": ({"name": "wrong-challenge"}, INITIATE, AssertionError),
    "address": ({"name": "wrong-address"}, INITIATE, AssertionError),
    "transaction": ({"name": "wrong-transaction-id", "function": INITIATE}, INITIATE, AssertionError),
    "foreign certificate": ({"name": "certificate", "function": INITIATE, "form": "foreign"}, INITIATE, Exception),
    "wrong signature 2": ({"name": "signature", "function": AUTHENTICATE}, AUTHENTICATE, InvalidSignature),
    "transaction 2": ({"name": "wrong-transaction-id", "function": AUTHENTICATE}, AUTHENTICATE, AssertionError),
    "channel signature": ({"name": "signature", "function": BIND}, BIND, InvalidSignature),
    "another one-time key": ({"name": "bpp", "form": "key"}, BIND, InvalidSignature),
    "another EID": ({"name": "bpp", "form": "eid"}, BIND, AssertionError),
    "MAC": ({"name": "bpp", "form": "mac"}, BIND, AssertionError),
    "transaction 3": ({"name": "wrong-transaction-id", "function": BIND}, BIND, AssertionError),
    "no BPP": ({"name": "bpp", "form": "nested"}, BIND, StopIteration),
}


@pytest.mark.parametrize("name", AT)
def test_the_device_finds_out_where_it_must(name: str, bad: Bad) -> None:
    entry, step, error = AT[name]
    order = bad.world.place()
    reached: list[str] = []

    def play() -> None:
        bad.device.initiate()
        reached.append(INITIATE)
        bad.device.authenticate(order.matching_id)
        reached.append(AUTHENTICATE)
        bad.device.load(bad.device.get_bpp())
        reached.append(BIND)

    bad.tell(**entry)
    with pytest.raises(error):
        play()
    steps = [INITIATE, AUTHENTICATE, BIND]
    assert reached == steps[: steps.index(step)] and bad.done == 1
    bad.table.clear()
    reached.clear()
    play()
    assert reached == steps, "it behaves again, and the order is still there"


def test_signed_with_the_right_key(bad: Bad) -> None:
    """A wrong challenge is under a right signature: only one thing is wrong."""
    from cryptography.x509 import load_der_x509_certificate
    from smdpp_device import verify

    bad.tell(name="wrong-challenge")
    answer = bad.call(
        INITIATE,
        {"euiccChallenge": b64(bytes(16)), "euiccInfo1": b64(bad.device.info1()), "smdpAddress": "smdpp.bench.example"},
    )
    certificate, signed = unb64(answer["serverCertificate"]), unb64(answer["serverSigned1"])
    verify(certificate, unb64(answer["serverSignature1"]), signed)
    assert value_of(signed, 0x30, 0x81) == bytes(15) + b"\x01"
    bad.tell(name="certificate", function=INITIATE, form="expired")
    answer = bad.call(
        INITIATE,
        {"euiccChallenge": b64(bytes(16)), "euiccInfo1": b64(bad.device.info1()), "smdpAddress": "smdpp.bench.example"},
    )
    shown = load_der_x509_certificate(unb64(answer["serverCertificate"]))
    assert shown.not_valid_after_utc < shown.not_valid_before_utc.now(shown.not_valid_after_utc.tzinfo)
    verify(unb64(answer["serverCertificate"]), unb64(answer["serverSignature1"]), unb64(answer["serverSigned1"]))


def test_other_forms(bad: Bad) -> None:
    bad.tell(name="bare-values", count=0)
    body = {"euiccChallenge": b64(bytes(16)), "euiccInfo1": b64(bad.device.info1()),
            "smdpAddress": "smdpp.bench.example"}  # fmt: skip
    answer = bad.call(INITIATE, body)
    assert len(unb64(answer["serverSignature1"])) == 64 and len(unb64(answer["euiccCiPKIdToBeUsed"])) == 20
    bad.tell(name="signature", function=INITIATE, form="der")
    der = value_of(
        unb64(bad.call(INITIATE, {**body, "euiccChallenge": b64(bytes(15) + b"1")})["serverSignature1"]), 0x5F37
    )
    assert der[0] == 0x30 and 68 <= len(der) <= 72
    bad.table.clear()
    before_binding(bad)
    bad.tell(name="old-bpp")
    bad.device.get_bpp()
    assert bad.done == 0, "there is none yet"
    first = bad.device.bpp
    before_binding(bad)
    assert bad.device.get_bpp() == first and bad.done == 1


def test_code_metadata_and_status(bad: Bad) -> None:
    order = bad.world.place()
    bad.device.initiate()
    bad.tell(name="code-asked-for")
    bad.device.authenticate(order.matching_id)
    assert bad.device.code_required
    bad.device.initiate()
    bad.tell(name="metadata")
    bad.device.authenticate(order.matching_id)
    assert b"another profile" in bad.device.metadata
    assert {tag: value for tag, value, _ in parts(value_of(bad.device.metadata, 0xBF25))}[0x92]
    bad.tell(name="status", function=INITIATE, subject="1.2", reason="3.4")
    with pytest.raises(Refused) as caught:
        bad.device.initiate()
    assert caught.value.code == ("1.2", "3.4") and len(bad.world.es9.sessions) == 2, "nothing is carried out"


def test_for_one_eid(bad: Bad) -> None:
    bad.tell(name="signature", function=AUTHENTICATE, eid="89044045930000000000002153893210", count=0)
    before_binding(bad)
    assert bad.done == 0
    bad.tell(name="bpp", form="mac", eid=EID)
    with pytest.raises(AssertionError):
        bad.device.load(bad.device.get_bpp())


def test_a_certificate_that_cannot_be_made_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from fixtures.pki import NotInSet

    bad = Bad(world)

    def missing(*_: object) -> bytes:
        raise NotInSet("the key of credential ci is not there")

    monkeypatch.setattr(Pki, "load", missing)
    with pytest.raises(ConfigurationError, match="ci is not there"):
        bad.tell(name="certificate")


# --- loops ------------------------------------------------------------------------------------------------------------


def repeat(bad: Bad, function: str, body: dict[str, Any], times: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(times):
        try:
            answer = bad.call(function, body)
            found.append("taken" if answer is None else answer["header"]["functionExecutionStatus"]["status"])
        except TooMany as refused:
            found.append(str(refused))
    return found


def test_the_same_package_is_not_given_for_ever(bad: Bad) -> None:
    order = bad.world.place()
    bad.device.initiate()
    bad.device.authenticate(order.matching_id)
    body = bad.device.prepare_body()
    found = repeat(bad, BIND, body, 22)
    assert found[:20] == ["Executed-Success"] * 20
    assert all("repeated 20 times within 60 s and nothing changed" in item for item in found[20:])
    ended = bad.world.order(order)
    assert (ended.state, ended.retry) == ("error", 0) and "nothing changed" in ended.error
    with pytest.raises(Refused) as caught:
        before = bad.device
        before.initiate()
        before.authenticate(order.matching_id)
    assert caught.value.code == ("8.2.6", "3.8")


def test_the_same_challenge_and_notification(bad: Bad) -> None:
    body = {"euiccChallenge": b64(bytes(16)), "euiccInfo1": b64(bad.device.info1()),
            "smdpAddress": "smdpp.bench.example"}  # fmt: skip
    assert repeat(bad, INITIATE, body, 21)[-1].startswith(INITIATE)
    assert len(bad.world.es9.sessions) == 20, "no session is begun for what is refused"
    note = {"pendingNotification": b64(bad.device.event(1, "8900101000000000027"))}
    found = repeat(bad, "handleNotification", note, 21)
    assert found[:20] == ["taken"] * 20 and "nothing changed" in found[20]


def test_an_order_that_is_only_authenticated_ends(bad: Bad) -> None:
    order = bad.world.place(max_attempts=100)
    for _ in range(MAX_AUTHENTICATIONS):
        bad.device.initiate()
        bad.device.authenticate(order.matching_id)
    bad.device.initiate()
    with pytest.raises(Refused) as caught:
        bad.device.authenticate(order.matching_id)
    assert caught.value.code == ("8.8.5", "6.4") and "never asked for its package" in caught.value.message
    assert bad.world.order(order).state == "error"


def test_a_package_in_between_is_progress(bad: Bad) -> None:
    order = bad.world.place(max_attempts=100)
    for round_ in range(MAX_AUTHENTICATIONS + 5):
        bad.device.initiate()
        bad.device.authenticate(order.matching_id)
        if round_ % 10 == 9:
            bad.device.get_bpp()
    assert bad.world.order(order).state == "downloaded"


def test_attempts_end_the_order(bad: Bad) -> None:
    order = bad.world.place(max_attempts=2)
    for _ in range(2):
        bad.device.initiate()
        bad.device.authenticate(order.matching_id)
        bad.device.get_bpp()
    bad.device.initiate()
    with pytest.raises(Refused) as caught:
        bad.device.authenticate(order.matching_id)
    assert caught.value.code == ("8.8.5", "6.4")
    assert (bad.world.order(order).state, bad.world.order(order).error) == ("error", "download retries")


def test_who_is_many_is_no_loop(bad: Bad) -> None:
    bad.guard.repeats = Repeats(limit=2)
    for _ in range(10):
        before_binding(bad)
        bad.device.load(bad.device.get_bpp())


# --- as a process -----------------------------------------------------------------------------------------------------


def test_over_https(tmp_path: Path) -> None:
    """Told by option and by the operator; what leaves is what was told, and a loop is answered 429."""
    import ssl

    import aiohttp

    async def play() -> None:
        argv = SERVICE.argv(
            tmp_path, {"misbehave": [{"name": "content-type", "type": "text/plain"}], "with_parent": True}
        )
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        announcement = json.loads(await process.stdout.readline())
        client = SERVICE.client(announcement, tmp_path)
        context = ssl.create_default_context(cafile=announcement["ca"])
        port = announcement["https"].rpartition(":")[2]
        headers = {"X-Admin-Protocol": "gsma/rsp/v2.2.2", "Content-Type": "application/json"}
        url = f"https://localhost:{port}/gsma/rsp2/es9plus/handleNotification"
        async with aiohttp.ClientSession(headers=headers) as session:

            async def post() -> tuple[int, str, str]:
                async with session.post(url, data=b'{"pendingNotification": "AAAA"}', ssl=context) as answer:
                    return answer.status, answer.headers.get("Content-Type", ""), await answer.text()

            assert (await post())[:2] == (200, "text/plain")
            assert (await post())[:2] == (200, "application/json;charset=UTF-8")
            await client.misbehave({"name": "http-status", "status": 418})
            assert (await post())[0] == 418
            await client.misbehave({"name": "status", "subject": "9.1", "reason": "2.3"})
            assert re.search(r'"subjectCode": "9.1"', (await post())[2])
            assert (await client.misbehaviour())["requests"] == {"handleNotification": 1}
            await client.misbehave(
                {"name": "truncated", "octets": 2}, {"name": "status", "subject": "8.8.1", "reason": "3.8"}
            )
            asn1 = {**headers, "Content-Type": "application/x-gsma-rsp-asn1"}
            unknown = bytes.fromhex("a20bbf3b088001aabf3802a000")  # authenticateClient for transaction AA
            where = f"https://localhost:{port}/gsma/rsp2/asn1"
            async with session.post(where, data=unknown, headers=asn1, ssl=context) as answer:
                assert (answer.status, await answer.read()) == (200, bytes.fromhex("a206bf3b0381")), (
                    "A2{BF3B{81 01 7F}}, its end missing"
                )
            async with session.post(where, data=unknown, headers=asn1, ssl=context) as answer:
                assert (answer.status, await answer.read()) == (200, bytes.fromhex("a206bf3b0381010a"))
            await client.misbehave()
            statuses = [(await post())[0] for _ in range(21)]
            assert statuses[0] == 200 and statuses[-1] == 429
        with pytest.raises(ConfigurationError, match="no misbehaviour"):
            await client.misbehave({"name": "wrong-eid"})
        await client.close()
        process.terminate()
        assert await process.wait() == 0

    async def within() -> None:
        async with asyncio.timeout(40):
            await play()

    asyncio.run(within())
