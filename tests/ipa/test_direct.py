"""Direct profile download: the IPA at the real SM-DP+; the eIM is told of the result, both sides of a cancellation."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from by_hand import tlv

from bench.rsp import packages
from bench.rsp import tlv as walk
from bench.station.clock import RealClock
from fixtures.ipa import inventory, requests
from fixtures.ipa.direct import is_direct
from fixtures.ipa.errors import EimUnreachable
from fixtures.ipa.hostpath import HostDataPath
from fixtures.ipa.ipa import create
from fixtures.ipa.options import IpaOptions

from .direct_lab import DirectLab, decoded
from .fakes import EID, FQDN, FakeLink, Tls
from .lab import BOOTSTRAP, OPERATIONAL
from .relay import SMDPP

pytestmark = pytest.mark.timeout(60)


def scene(base: Path, home: Path, tls: Tls, play: Callable[[DirectLab], Awaitable[None]], **card: object) -> None:
    async def run() -> None:
        async with DirectLab.make(base, home, tls, **card) as lab:
            await play(lab)
            assert lab.card.euicc.faults == 0

    asyncio.run(run())


def refused(subject: str, reason: str) -> web.Response:
    data = {"subjectCode": subject, "reasonCode": reason, "message": "no"}
    return web.json_response({"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": data}}})


def installed(lab: DirectLab) -> bool:
    return [profile.iccid for profile in lab.card.euicc.state().profiles] == [BOOTSTRAP, OPERATIONAL]


def told_reason(lab: DirectLab) -> int:
    """The reason in the only ProfileDownloadTriggerResult that the eIM has, an error."""
    (result,) = lab.eim_of_direct.told
    reason = walk.first(result).find(0x30, 0x80)
    assert reason is not None
    return reason.value[0]


def test_both_servers_get_the_result(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        matching_id = lab.order_direct()
        result = await lab.ipa.poll()
        (report,) = result.downloads
        assert report["installed"] and report["direct"] and report["iccid"] == OPERATIONAL
        assert installed(lab)
        assert lab.functions == [
            "initiateAuthentication",
            "authenticateClient",
            "getBoundProfilePackage",
            "handleNotification",
        ]
        assert lab.eim.of("BF39") == [] and lab.eim.of("BF3B") == []  # the eIM takes no part in the session
        # BF3D{BF50{5A EID, BF54{82 order, BF37 of the card}}}: literal, and the same BF37 for the SM-DP+.
        sent = decoded(lab.of("handleNotification")[0], "pendingNotification")
        (message,) = lab.eim.of("BF3D")
        told = tlv("BF54", tlv("82", b"order-1"), sent)
        assert message == tlv("BF3D", tlv("BF50", tlv("5A", bytes.fromhex(EID)), told))
        assert sent.startswith(b"\xbf\x37")
        assert lab.order_state(matching_id) == "installed"
        assert lab.card.euicc.state().notifications == ()
        assert result.notifications == 1
        headers = lab.headers[0]
        assert headers["User-Agent"] == "gsma-rsp-lpad"
        assert headers["X-Admin-Protocol"] == "gsma/rsp/v2.2.2"
        assert headers["Content-Type"] == "application/json;charset=UTF-8"
        initiate = lab.of("initiateAuthentication")[0]
        assert set(initiate) == {"euiccChallenge", "euiccInfo1", "smdpAddress"}
        assert len(decoded(initiate, "euiccChallenge")) == 16
        assert decoded(initiate, "euiccInfo1").startswith(b"\xbf\x20")
        assert re.fullmatch("[0-9A-F]{2,32}", lab.of("authenticateClient")[0]["transactionId"])
        assert set(lab.of("authenticateClient")[0]) == {"transactionId", "authenticateServerResponse"}
        assert (await lab.ipa.poll()).packages == 0

    scene(base, home, server_tls, play)


def test_the_default_smdp_of_the_card(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        assert await lab.ipa.set_default_smdp(SMDPP) == "ok"
        order = lab.relay.smdpp.orders.place("operational", eid=EID)
        lab.relay.orders.append(("direct", tlv("81")))
        (report,) = (await lab.ipa.poll()).downloads
        assert report["installed"], report
        assert lab.order_state(order.matching_id) == "installed"
        # no matchingId: ctxParams1 begins with deviceInfo (A1)
        answer = decoded(lab.of("authenticateClient")[0], "authenticateServerResponse")
        context = walk.first(answer).find(0xA0, 0x30, 0xA0)
        assert context is not None and context.children()[0].tag == 0xA1

    scene(base, home, server_tls, play)


def test_a_card_without_default_smdp(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        lab.relay.orders.append(("direct", tlv("81")))
        (report,) = (await lab.ipa.poll()).downloads
        assert "no default SM-DP+" in str(report["error"])
        assert told_reason(lab) == 127
        assert lab.calls == []

    scene(base, home, server_tls, play)


def test_confirmation_code(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        lab.use(confirmation_code="4711")
        lab.order_direct(tail="$$1", confirmation_code="4711")
        (report,) = (await lab.ipa.poll()).downloads
        assert report["installed"], report

    scene(base, home, server_tls, play)


def test_a_wrong_confirmation_code_leaves_the_order_open(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        lab.use(confirmation_code="4712")
        matching_id = lab.order_direct(confirmation_code="4711")
        (report,) = (await lab.ipa.poll()).downloads
        assert (report["subject_code"], report["reason_code"]) == ("8.2.7", "3.8")
        assert told_reason(lab) == 127
        assert "cancelSession" not in lab.functions  # that would end the order at the SM-DP+
        lab.use(confirmation_code="4711")
        lab.relay.orders.append(("direct", tlv("80", f"1${SMDPP}${matching_id}".encode())))
        assert (await lab.ipa.poll()).downloads[0]["installed"]

    scene(base, home, server_tls, play)


def cancel_reason(lab: DirectLab) -> int:
    """The reason that card and SM-DP+ agree on: euiccCancelSessionSigned in ES9+.cancelSession."""
    (body,) = lab.of("cancelSession")
    reason = walk.first(decoded(body, "cancelSessionResponse")).find(0xA0, 0x30, 0x82)
    assert reason is not None
    return reason.value[0]


@pytest.mark.parametrize(
    ("options", "order", "reason", "state"),
    [
        ({"consent": "no"}, {}, 0, "error"),
        ({"consent": "later"}, {}, 1, "released"),
        ({"consent": "none"}, {}, 2, "released"),
        ({}, {"confirmation_code": "4711"}, 2, "released"),
    ],
)
def test_cancelled_on_both_sides(
    options: dict[str, Any], order: dict[str, Any], reason: int, state: str, base: Path, home: Path, server_tls: Tls
) -> None:
    async def play(lab: DirectLab) -> None:
        lab.use(**options)
        matching_id = lab.order_direct(**order)
        (report,) = (await lab.ipa.poll()).downloads
        assert not report["installed"]
        assert cancel_reason(lab) == reason
        assert told_reason(lab) == 127
        assert lab.order_state(matching_id) == state
        assert not installed(lab)

    scene(base, home, server_tls, play)


@pytest.mark.parametrize(
    ("without_confirmation_code", "reason", "state"),
    [("timeout", 2, "released"), ("postponed", 1, "released"), ("end-user-rejection", 0, "error")],
)
def test_a_code_that_nobody_has_given(
    without_confirmation_code: str, reason: int, state: str, base: Path, home: Path, server_tls: Tls
) -> None:
    async def play(lab: DirectLab) -> None:
        lab.use(without_confirmation_code=without_confirmation_code)
        matching_id = lab.order_direct(tail="$$1", confirmation_code="4711")
        (report,) = (await lab.ipa.poll()).downloads
        assert "asks for a confirmation code" in str(report["error"])
        assert (cancel_reason(lab), lab.order_state(matching_id)) == (reason, state)

    scene(base, home, server_tls, play)


@pytest.mark.parametrize(
    ("trigger_with_data", "old", "direct"),
    [("by-version", False, True), ("by-version", True, False), ("direct", True, True), ("indirect", False, False)],
)
def test_who_speaks_to_the_smdp(trigger_with_data: str, old: bool, direct: bool) -> None:
    options = IpaOptions.read({"trigger_with_data": trigger_with_data})
    for source, able in (("activation-code", True), ("default-smdp", True), ("eim", False), ("smds", False)):
        trigger = requests.Trigger(source, "", None)
        assert is_direct(trigger, options, old=old) is (direct and able)


def test_policy_rules_that_the_card_forbids(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        lab.order_direct(policy_rules=0x40)
        (report,) = (await lab.ipa.poll()).downloads
        assert "do not allow ppr1" in str(report["error"])
        assert cancel_reason(lab) == 3
        assert report["cancel_reason"] == "pprNotAllowed"

    scene(base, home, server_tls, play, rat=())


def altered(lab: DirectLab, function: str, key: str, change: Callable[[bytes], bytes]) -> None:
    """Let the SM-DP+ answer ``function`` with ``key`` changed."""
    genuine = lab.relay.smdpp.functions[function]

    def answer(body: Any) -> Any:
        found = genuine(body)
        assert isinstance(found, dict)
        return {**found, key: base64.b64encode(change(decoded(found, key))).decode()}

    lab.relay.smdpp.functions[function] = answer


def test_metadata_that_differ_from_those_shown(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        altered(lab, "authenticateClient", "profileMetadata", lambda raw: raw.replace(b"OPER", b"EVIL"))
        matching_id = lab.order_direct()
        (report,) = (await lab.ipa.poll()).downloads
        assert "not those shown before" in str(report["error"])
        assert (cancel_reason(lab), report["cancel_reason"]) == (4, "metadataMismatch")
        assert lab.order_state(matching_id) == "error"
        assert not installed(lab) and told_reason(lab) == 127

    scene(base, home, server_tls, play)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: b"\xbf\x36\x00", "no Bound Profile Package"),
        (lambda raw: walk.build(0xBF36, *(child.raw for child in walk.first(raw).children()[:-1])), "no Bound Profile"),
    ],
)
def test_a_package_that_cannot_be_loaded(
    change: Callable[[bytes], bytes], words: str, base: Path, home: Path, server_tls: Tls
) -> None:
    async def play(lab: DirectLab) -> None:
        altered(lab, "getBoundProfilePackage", "boundProfilePackage", change)
        lab.order_direct()
        (report,) = (await lab.ipa.poll()).downloads
        assert words in str(report["error"])
        assert (cancel_reason(lab), told_reason(lab)) == (5, 127)
        assert not installed(lab) and lab.card.euicc.state().notifications == ()

    scene(base, home, server_tls, play)


def test_a_flipped_bit_of_the_package_is_the_card_s_to_tell(base: Path, home: Path, server_tls: Tls) -> None:
    """The card refuses by an installation result, which both servers get; nothing is left to cancel."""

    async def play(lab: DirectLab) -> None:
        altered(lab, "getBoundProfilePackage", "boundProfilePackage", lambda raw: raw[:-1] + bytes((raw[-1] ^ 1,)))
        matching_id = lab.order_direct()
        (report,) = (await lab.ipa.poll()).downloads
        assert "scp03tSecurityError" in str(report["error"])
        assert "cancelSession" not in lab.functions
        assert lab.order_state(matching_id) == "error"
        (told,) = lab.eim_of_direct.told
        assert walk.first(told).find(0xBF37) is not None

    scene(base, home, server_tls, play)


def test_a_card_that_refuses_is_shown_to_the_smdp(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        lab.order_direct()
        (report,) = (await lab.ipa.poll()).downloads
        assert "AuthenticateServer: invalidCertificate 1" in str(report["error"])
        shown = decoded(lab.of("authenticateClient")[0], "authenticateServerResponse")
        code = walk.first(shown).find(0xA1, 0x02)
        assert code is not None and code.value == b"\x01"

    scene(base, home, server_tls, play, force={"AuthenticateServer": 1})


def test_a_failed_installation_is_told_to_both(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        matching_id = lab.order_direct()
        (report,) = (await lab.ipa.poll()).downloads
        assert not report["installed"]
        assert "loadProfileElements" in str(report["error"])
        assert lab.order_state(matching_id) == "error"
        (told,) = lab.eim_of_direct.told
        assert walk.first(told).find(0xBF37, 0xBF27, 0xA2, 0xA1) is not None
        assert lab.card.euicc.state().notifications == ()

    scene(base, home, server_tls, play, force={"LoadBoundProfilePackage.loadProfileElements": 12})


@pytest.mark.parametrize(
    ("tail", "words"), [("$1.2.3", "the activation code asks for 1.2.3"), ("$9.9.9$1", "asks for 9.9.9")]
)
def test_another_smdp_than_the_activation_code_names(
    tail: str, words: str, base: Path, home: Path, server_tls: Tls
) -> None:
    async def play(lab: DirectLab) -> None:
        lab.order_direct(tail=tail)
        (report,) = (await lab.ipa.poll()).downloads
        assert words in str(report["error"])
        assert lab.functions == ["initiateAuthentication"]
        assert told_reason(lab) == 127

    scene(base, home, server_tls, play)


def test_an_smdp_that_nobody_trusts(base: Path, home: Path, server_tls: Tls, other_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        other = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=other_tls.context)
        async with other:
            port = other.sockets[0].getsockname()[1]
            routes = {FQDN: f"127.0.0.1:{lab.eim.port}", SMDPP: f"127.0.0.1:{port}"}
            lab.use(route=routes)
            lab.order_direct()
            (report,) = (await lab.ipa.poll()).downloads
            assert "TLS certificate is not trusted" in str(report["error"])
            assert lab.calls == []
            assert told_reason(lab) == 127

    scene(base, home, server_tls, play)


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        ("initiateAuthentication", 0),
        ("initiateAuthentication", 404),
        ("authenticateClient", 0),
        ("authenticateClient", 500),
        ("getBoundProfilePackage", 0),
        ("getBoundProfilePackage", 503),
        ("getBoundProfilePackage", web.json_response({"header": {}, "boundProfilePackage": "!"})),
        ("authenticateClient", web.Response(text="<html>")),
        ("initiateAuthentication", web.json_response([])),
    ],
)
def test_an_smdp_that_fails_in_the_session(function: str, answer: Any, base: Path, home: Path, server_tls: Tls) -> None:
    """The poll goes on, the eIM is told, the card is as it was, and the same order succeeds later."""

    async def play(lab: DirectLab) -> None:
        def once(name: str, _: dict[str, Any]) -> Any:
            return answer if name == function and lab.interpose is not None else None

        lab.interpose = once
        matching_id = lab.order_direct()
        (report,) = (await lab.ipa.poll()).downloads
        assert not report["installed"] and report["error"]
        assert told_reason(lab) == 127
        assert not installed(lab) and lab.card.euicc.state().notifications == ()
        lab.interpose = None
        lab.eim_of_direct.told.clear()
        again = lab.relay.smdpp.orders.place("operational", rebinding="allow")
        assert again.matching_id != matching_id
        lab.relay.orders.append(("direct", tlv("80", f"LPA:1${SMDPP}${again.matching_id}".encode())))
        assert (await lab.ipa.poll()).downloads[0]["installed"]

    scene(base, home, server_tls, play)


@pytest.mark.parametrize("answer", [0, 500, 503])
def test_the_result_waits_for_an_smdp_that_is_away(answer: int, base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        lab.interpose = lambda name, _: answer if name == "handleNotification" else None
        matching_id = lab.order_direct()
        assert (await lab.ipa.poll()).downloads[0]["installed"]
        assert len(lab.eim_of_direct.told) == 1
        assert len(lab.card.euicc.state().notifications) == 1
        lab.use()  # another process of the same home
        assert (await lab.ipa.poll()).notifications == 0
        lab.interpose = None
        assert (await lab.ipa.poll()).notifications == 1
        assert len(lab.eim_of_direct.told) == 1  # not told twice
        assert lab.order_state(matching_id) == "installed"
        assert lab.card.euicc.state().notifications == ()

    scene(base, home, server_tls, play)


def test_an_smdp_that_refuses_the_result_for_ever(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        lab.interpose = lambda name, _: refused("8.10.1", "3.9") if name == "handleNotification" else None
        lab.order_direct()
        for _ in range(5):
            await lab.ipa.poll()
        assert len(lab.of("handleNotification")) == 3
        assert lab.card.euicc.state().notifications == ()

    scene(base, home, server_tls, play)


def test_an_eim_that_is_lost_before_the_result(base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        lab.eim_of_direct.answers = [None]
        matching_id = lab.order_direct()
        with pytest.raises(EimUnreachable):
            await lab.ipa.poll()
        assert installed(lab)
        assert lab.of("handleNotification") == []
        await lab.ipa.poll()
        assert lab.relay.orders == [] and lab.eim_of_direct.triggers == 1
        assert len(lab.eim_of_direct.told) == 2
        assert lab.order_state(matching_id) == "installed"
        assert lab.functions.count("initiateAuthentication") == 1

    scene(base, home, server_tls, play)


def test_an_eim_that_forgets_the_result_gets_it_again(base: Path, home: Path, server_tls: Tls) -> None:
    """It answered 204 and hands the trigger out again while the SM-DP+ still waits: no second download."""

    async def play(lab: DirectLab) -> None:
        lab.eim_of_direct.answers = [204]
        lab.interpose = lambda name, _: 503 if name == "handleNotification" else None
        lab.order_direct()
        await lab.ipa.poll()
        assert lab.functions.count("initiateAuthentication") == 1
        assert lab.eim_of_direct.triggers == 2
        lab.interpose = None
        await lab.ipa.poll()
        assert lab.functions.count("initiateAuthentication") == 1
        assert lab.relay.orders == []
        assert len(lab.eim_of_direct.told) == 2
        assert lab.card.euicc.state().notifications == ()

    scene(base, home, server_tls, play)


@pytest.mark.parametrize("first", [True, False])
def test_immediate_enable(first: bool, base: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        lab.use(immediate_enable_first=first)
        lab.order(packages.configure_immediate_enable(flag=True))
        await lab.ipa.poll()
        matching_id = lab.order_direct()
        result = await lab.ipa.poll()
        assert result.immediate_enabled and result.profile_changed
        assert len(lab.of("handleNotification")) == (0 if first else 1)
        await lab.card.reset()
        assert lab.enabled == OPERATIONAL
        await lab.ipa.poll()
        assert lab.causes() == [5]
        assert len(lab.eim_of_direct.told) == 1
        assert lab.order_state(matching_id) == "installed"
        assert lab.card.euicc.state().notifications == ()

    scene(base, home, server_tls, play)


def test_what_the_eim_acknowledges_stays_for_the_smdp(base: Path, home: Path, server_tls: Tls) -> None:
    """The result also went to the eIM in IpaEuiccData: the card must keep it until the SM-DP+ has it."""

    async def play(lab: DirectLab) -> None:
        lab.interpose = lambda name, _: 503 if name == "handleNotification" else None
        lab.order_direct()
        await lab.ipa.poll()
        (waiting,) = await lab.ipa.notifications()
        delivery = lab.ipa._loop
        assert delivery is not None
        assert delivery._direct.keep((waiting.seq, 77)) == (77,)

    scene(base, home, server_tls, play)


def test_the_device_s_link_goes_down(base: Path, home: Path, server_tls: Tls) -> None:
    """The link is the device's: the poll ends, the order stays, and the next poll does it."""

    async def play(lab: DirectLab) -> None:
        link = FakeLink({f"{FQDN}:443": lab.eim.port, f"{SMDPP}:443": lab.port})
        async with link.serve() as proxy:
            path = HostDataPath()
            path.proxy = proxy
            settings = {"retry_delay": 0.001, "retries": 0}
            lab.ipa = create(lab.card, path, RealClock(), options=settings, home=lab.home)

            def cut(name: str, _: dict[str, Any]) -> int | None:
                link.refuse = "504 no PDP context"
                return 0 if name == "initiateAuthentication" else None

            lab.interpose = cut
            lab.order_direct()
            lab.eim_of_direct.answers = [None]
            with pytest.raises(EimUnreachable):
                await lab.ipa.poll()
            lab.interpose, link.refuse = None, ""
            lab.eim_of_direct.answers = []
            while lab.relay.orders:
                await lab.ipa.poll()
            assert SMDPP + ":443" in link.connects

    scene(base, home, server_tls, play)


def test_an_ipa_without_any_ci_tells_the_eim(base: Path, tmp_path: Path, home: Path, server_tls: Tls) -> None:
    async def play(lab: DirectLab) -> None:
        routes = {FQDN: f"127.0.0.1:{lab.eim.port}"}
        lab.ipa = create(
            lab.card, HostDataPath(), lab.ipa._clock, options={"route": routes}, home=tmp_path / "elsewhere"
        )
        lab.order_direct()
        (report,) = (await lab.ipa.poll()).downloads
        assert "no CI is known" in str(report["error"])
        assert told_reason(lab) == 127

    scene(base, home, server_tls, play)


def test_the_features_that_are_announced() -> None:
    assert inventory.capabilities().hex() == "a808800203f881020780"
    assert inventory.capabilities(direct=False).hex() == "a8088002037881020780"
    assert inventory.capabilities(compact=True).hex() == "a808800202fc81020780"


def test_json_that_is_none_never_breaks_the_reader() -> None:
    from bench.rsp import es9plus
    from bench.rsp.errors import DecodeError

    assert es9plus.answer(b"") == {}
    for body in (b"[]", b"nonsense", b"[" * 100_000, b"\xff"):
        with pytest.raises(DecodeError):
            es9plus.answer(body)
    for found in ({}, {"header": 1}, {"header": {"functionExecutionStatus": []}}):
        assert es9plus.refusal(found) is None
    failed = json.loads('{"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": 7}}}')
    assert es9plus.refusal(failed) == es9plus.Refusal("", "", "")
