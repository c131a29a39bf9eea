"""ES10 answers: literal bytes, and what two ASN.1 implementations make of them. The card shares no codec with them."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from rsp.oracle import compiled_by_pycrate

from bench.rsp import certs, codec, ecdsa, ids, packages, tlv
from bench.rsp.forms import Form
from bench.rsp.tlv import build
from fixtures.pki import Pki
from fixtures.sim.euicc import EuiccOptions, functions, rules

from . import parties
from .parties import ADDRESS, BOOT_ICCID, EID, EIM_ID, OPER_ICCID, Bench, Eim, Refused, Smdpp, Terminal, install, pir


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """pycrate's reading of the ASN.1 modules."""
    pytest.importorskip("pycrate_asn1c", reason="pycrate is needed as second ASN.1 implementation")
    return compiled_by_pycrate()


def agreed(oracle: ModuleType, name: str, raw: bytes, module: str = "SGP32Definitions") -> Any:
    """Decode strictly with both; both must encode the same bytes again."""
    value = codec.decode(name, raw, module=module, accept=())
    assert codec.encode(name, value, module=module) == raw
    holder = getattr(oracle, module)
    foreign = getattr(holder, name.replace("-", "_"), None) or getattr(oracle.RSPDefinitions, name.replace("-", "_"))
    foreign.from_ber(raw)
    assert foreign.to_der() == raw
    return value


def test_isd_r_select_literal(bench: Bench) -> None:
    card = bench.card()
    card.power_on()
    terminal = Terminal(card)
    terminal.ok("0070000001")
    fci = terminal.ok(b"\x01\xa4\x04\x00\x10" + parties.ISD_R)
    assert fci.hex() == ("6f258410a0000005591010ffffffff8900000100a5049f6501ffe0058203020500e10480020640")
    ecasd = terminal.ok("01a4040010a0000005591010ffffffff8900000200")
    assert ecasd.hex() == "6f188410a0000005591010ffffffff8900000200a5049f6501ff"
    assert terminal.ok("81ca005a12").hex() == "5a10" + EID


def test_info(terminal: Terminal, pki: Pki, oracle: ModuleType) -> None:
    ski = certs.subject_key_id(pki.ci.certificate).hex()
    info1 = terminal.es10(bytes.fromhex("bf2000"))
    assert info1.hex() == f"bf20358203020500a9160414{ski}aa160414{ski}"
    agreed(oracle, "EUICCInfo1", info1, "RSPDefinitions")
    info2 = terminal.es10(bytes.fromhex("bf2200"))
    value = agreed(oracle, "EUICCInfo2", info2)
    assert value["ipaMode"] == 0
    assert value["iotSpecificInfo"]["iotVersion"] == [bytes((1, 2, 0))]
    # named bits: usim, isim, milenage, test algorithm, ber-tlv, get-identity; no CSIM, no applet ever runs
    octets, count = value["uiccCapability"]
    named = {n for n in range(count) if octets[n // 8] >> (7 - n % 8) & 1}
    assert named >= {1, 2, 4, 8, 19, 22}
    assert not named & {3, 14, 15}
    assert value["rspCapability"] == (b"\xd0", 4)  # additional profiles, CRLs, test profiles
    assert value["iotSpecificInfo"] == {
        "iotVersion": [bytes((1, 2, 0))],
        "ecallSupported": None,
        "fallbackSupported": None,
    }
    resource = {part.tag: int.from_bytes(part.value, "big") for part in tlv.parse(value["extCardResource"])}
    assert resource[0x81] == 1
    before = resource[0x82]
    assert pir(install(terminal, pki))[0] == "ok"
    after = codec.decode("EUICCInfo2", terminal.es10(bytes.fromhex("bf2200")))["extCardResource"]
    resource = {part.tag: int.from_bytes(part.value, "big") for part in tlv.parse(after)}
    assert resource[0x81] == 2
    assert resource[0x82] < before - 970  # what it says of its memory is true


def test_small_functions_literal(terminal: Terminal, oracle: ModuleType) -> None:
    cases = {
        "bf3e035c015a": "bf3e125a10" + EID,
        "bf4300": "bf4318a016301480020560a10b30098003eeeeee81008200820100",
        "bf3c00": "bf3c11810f6c70612e64732e67736d612e636f6d",
        "bf5500": "bf5502a000",
        "bf5f00": "bf5f17a0158113350103470e09626f6f74737472617003696f74",
        "bf2b00": "bf2b02a000",
        "bf2b04a0028200": "bf2b02a200",
        "bf2800": "bf2802a000",
        "bf3003800105": "bf3003800101",
        "bf58038001ff": "bf5803020101",
        "bf58030101ff": "bf5803020101",
        "bf5a038001ff": "bf5a03800101",
        "bf5d038001ff": "bf5d03800106",
        "bf5e038001ff": "bf5e03800106",
        "bf5b038001ff": "bf5b03800108",
        "bf420480020680": "bf4203800101",
        "bf5614" + "8012" + "11" * 18: "bf5603810101",
        "bf4106800101810105": "bf4103810105",
        "bf640482020204": "bf6406800101810101",
        "bf650480027465": "bf6503800100",
    }
    for request, expected in cases.items():
        assert terminal.es10(bytes.fromhex(request)).hex() == expected, request
    assert terminal.es10(bytes.fromhex("bf3c00")).hex().startswith("bf3c1580027465810f")
    agreed(oracle, "EuiccConfiguredAddressesResponse", terminal.es10(bytes.fromhex("bf3c00")), "RSPDefinitions")
    agreed(oracle, "GetRatResponse", bytes.fromhex(cases["bf4300"]), "RSPDefinitions")
    agreed(oracle, "EuiccMemoryResetResponse", bytes.fromhex(cases["bf640482020204"]))


@pytest.mark.parametrize(
    ("name", "raw", "module"),
    [
        ("LoadCRLResponse", "bf3502a000", "RSPDefinitions"),
        ("LoadCRLResponse", "bf350aa008a006020102020103", "RSPDefinitions"),
        ("LoadCRLResponse", "bf3503810106", "RSPDefinitions"),
        ("EnableProfileResponse", "bf3103800104", "RSPDefinitions"),
        ("DisableProfileResponse", "bf3203800100", "RSPDefinitions"),
        ("DeleteProfileResponse", "bf3303800103", "RSPDefinitions"),
        ("EuiccMemoryResetResponse", "bf3403800105", "RSPDefinitions"),
        ("EuiccMemoryResetResponse", "bf6409800100810100820100", "SGP32Definitions"),
        ("EuiccMemoryResetResponse", "bf6403800168", "SGP32Definitions"),
        ("ConfigureImmediateProfileEnablingResponse", "bf5903800102", "SGP32Definitions"),
        ("EnableEmergencyProfileResponse", "bf5b03800102", "SGP32Definitions"),
        ("DisableEmergencyProfileResponse", "bf5c03800108", "SGP32Definitions"),
        ("ExecuteFallbackMechanismResponse", "bf5d03800168", "SGP32Definitions"),
        ("ReturnFromFallbackResponse", "bf5e03800107", "SGP32Definitions"),
        ("ImmediateEnableResponse", "bf5a03800105", "SGP32Definitions"),
        ("EuiccPackageResult", "bf510ca20a800178820201028f010f", "SGP32Definitions"),
        ("RetrieveNotificationsListResponse", "bf2b0381017f", "SGP32Definitions"),
        ("CancelSessionResponse", "bf410381017f", "SGP32Definitions"),
        ("AuthenticateServerResponse", "bf3808a106800101020103", "SGP32Definitions"),
    ],
)
def test_answers_as_the_card_writes_them(oracle: ModuleType, name: str, raw: str, module: str) -> None:
    """The literal answers of the other test modules are what both ASN.1 implementations take and write again."""
    agreed(oracle, name, bytes.fromhex(raw), module)


def test_answers_of_every_kind_of_card_by_both_implementations(bench: Bench, pki: Pki, oracle: ModuleType) -> None:
    table = rules.table("ppr1:00101+99970:consent,ppr2:999E70,any")
    both = bench.with_options("both", curves=("P-256", "brainpoolP256r1"), forbidden_rules=0x20, rat=table, ecall=False)
    value = agreed(oracle, "EUICCInfo2", both.es10(bytes.fromhex("bf2200")))
    assert len(value["euiccCiPKIdListForSigning"]) == 2
    agreed(oracle, "EUICCInfo1", both.es10(bytes.fromhex("bf2000")), "RSPDefinitions")
    agreed(oracle, "GetRatResponse", both.es10(bytes.fromhex("bf4300")), "RSPDefinitions")
    eim = Eim(pki.eim)
    eim.associate(both)
    commands = [packages.get_rat(), packages.set_default_dp_address("a.example"), packages.enable(OPER_ICCID)]
    agreed(oracle, "EuiccPackageResult", both.es10(eim.package(*commands)))
    other = Eim(pki.issue("eim"), "other.example").configuration(token=True)
    ecos = [
        packages.add_eim(other),
        packages.list_eim(),
        packages.delete_eim("other.example"),
        packages.delete_eim("x"),
    ]
    agreed(oracle, "EuiccPackageResult", both.es10(eim.package(ecos=ecos)))
    agreed(oracle, "EuiccPackageResult", both.es10(eim.package(packages.get_rat(), counter=0)))
    consumer = bench.with_options("consumer", mode="consumer")
    agreed(oracle, "EUICCInfo2", consumer.es10(bytes.fromhex("bf2200")), "RSPDefinitions")
    agreed(oracle, "ProfileInfoListResponse", consumer.es10(bytes.fromhex("bf2d00")), "RSPDefinitions")


def test_certificates_are_implicit(terminal: Terminal, pki: Pki, oracle: ModuleType) -> None:
    raw = terminal.es10(bytes.fromhex("bf5600"))
    kind, value = agreed(oracle, "GetCertsResponse", raw)
    assert kind == "certs"
    assert value == {"eumCertificate": pki.eum.certificate, "euiccCertificate": pki.euicc(EID).certificate}
    inner = tlv.first(raw).find(0xA0, 0xA5)
    assert inner is not None
    assert [part.tag for part in inner.children()] == [0x30, 0x30, 0x03]  # not A5{30{...}}
    wanted = build(0xBF56, build(0x80, certs.subject_key_id(pki.ci.certificate)))
    assert terminal.es10(wanted) == raw


def test_profile_list(terminal: Terminal, pki: Pki, oracle: ModuleType) -> None:
    raw = terminal.es10(bytes.fromhex("bf2d00"))
    assert raw.hex() == (
        "bf2d3aa038"
        "e336"
        "5a0a980001010000000010f9"
        "4f10a0000005591010ffffffff8900001000"
        "9f700101"
        "9104424f4f54"
        "9209626f6f747374726170"
        "950101"
    )
    agreed(oracle, "ProfileInfoListResponse", raw)
    assert pir(install(terminal, pki))[0] == "ok"
    kind, listed = agreed(oracle, "ProfileInfoListResponse", terminal.es10(bytes.fromhex("bf2d055c035a9f70")))
    assert kind == "profileInfoListOk"
    assert [(ids.iccid_digits(entry["iccid"]), entry["profileState"]) for entry in listed] == [
        (BOOT_ICCID, 1),
        (OPER_ICCID, 0),
    ]
    searches = {
        "a00c5a0a980001010000000020f7": [OPER_ICCID],
        "a0124f10a0000005591010ffffffff8900001000": [BOOT_ICCID],
        "a003950102": [OPER_ICCID],
        "a003950100": [],
    }
    for criterion, expected in searches.items():
        raw = terminal.es10(build(0xBF2D, bytes.fromhex(criterion)))
        value = agreed(oracle, "ProfileInfoListResponse", raw)[1]
        assert [ids.iccid_digits(entry["iccid"]) for entry in value] == expected
    assert terminal.es10(bytes.fromhex("bf2d05a003960102")).hex() == "bf2d03810101"
    assert terminal.es10(bytes.fromhex("bf2d035c019f")).hex() == "bf2d03810101"
    everything = terminal.es10(bytes.fromhex("bf2d0d5c0b5a4f9f70919295b6b7b899"))
    value = agreed(oracle, "ProfileInfoListResponse", everything)[1]
    assert len(value[1]["notificationConfigurationInfo"]) == 4


def test_nickname(terminal: Terminal) -> None:
    iccid = ids.iccid_bytes(BOOT_ICCID)
    assert terminal.es10(build(0xBF29, build(0x5A, iccid), build(0x90, b"lab"))).hex() == "bf2903800100"
    assert b"\x90\x03lab" in terminal.es10(bytes.fromhex("bf2d00"))
    assert terminal.es10(build(0xBF29, build(0x5A, bytes(10)), build(0x90, b"lab"))).hex() == "bf2903800101"


def test_whole_download_by_both_implementations(terminal: Terminal, pki: Pki, oracle: ModuleType) -> None:
    smdpp = Smdpp(pki)
    challenge = terminal.es10(bytes.fromhex("bf2e00"))
    assert challenge.hex().startswith("bf2e128010")
    agreed(oracle, "GetEuiccChallengeResponse", challenge, "RSPDefinitions")
    answer = terminal.es10(smdpp.initiate(challenge[5:]))
    kind, value = agreed(oracle, "AuthenticateServerResponse", answer)
    assert kind == "authenticateResponseOk"
    signed = value["euiccSigned1"]
    assert signed["transactionId"] == smdpp.transaction_id
    assert signed["serverAddress"] == ADDRESS
    assert signed["ctxParams1"][1]["matchingId"] == "M"
    answer = terminal.es10(smdpp.authenticated(answer))
    agreed(oracle, "PrepareDownloadResponse", answer)
    result = parties.load(terminal, smdpp.bind(answer, parties.operational()))
    value = agreed(oracle, "ProfileInstallationResult", result)
    data = value["profileInstallationResultData"]
    assert data["smdpOid"] == "2.999.10"
    assert data["transactionId"] == smdpp.transaction_id
    assert data["notificationMetadata"]["notificationAddress"] == ADDRESS
    assert data["notificationMetadata"]["iccid"] == ids.iccid_bytes(OPER_ICCID)
    assert data["finalResult"] == (
        "successResult",
        {
            "aid": bytes.fromhex("a0000005591010ffffffff8900001100"),
            "simaResponse": bytes.fromhex("3007a0053003800100"),
        },
    )
    raw_data = tlv.first(result).children()[0].raw
    assert ecdsa.verify(smdpp.euicc_public, value["euiccSignPIR"], raw_data)
    listed = agreed(oracle, "RetrieveNotificationsListResponse", terminal.es10(bytes.fromhex("bf2b00")))
    assert [kind for kind, _ in listed[1]] == ["profileInstallationResult", "otherSignedNotification"]
    agreed(oracle, "ListNotificationResponse", terminal.es10(bytes.fromhex("bf2800")), "RSPDefinitions")


def test_eim_configuration(terminal: Terminal, pki: Pki, oracle: ModuleType) -> None:
    eim = Eim(pki.eim)
    answer = eim.associate(terminal, token=True)
    assert answer.hex() == "bf5705a003840101"
    agreed(oracle, "AddInitialEimResponse", answer)
    assert eim.associate(terminal).hex() == "bf5703810102"
    raw = terminal.es10(bytes.fromhex("bf5500"))
    (entry,) = agreed(oracle, "GetEimConfigurationDataResponse", raw)["eimConfigurationDataList"]
    assert entry["eimId"] == EIM_ID
    assert entry["associationToken"] == 1
    assert "counterValue" not in entry
    assert entry["eimPublicKeyData"] == ("eimPublicKey", pki.eim.spki)
    assert entry["eimSupportedProtocol"] == (b"\x80", 1)
    name = EIM_ID.encode()
    assert terminal.es10(build(0xBF55, build(0xA0, build(0x80, name)))) == raw
    assert terminal.es10(build(0xBF55, build(0xA0, build(0x80, b"x")))).hex() == "bf5502a000"


@pytest.mark.parametrize(
    "form", ["implicit", "explicit", "bare", "certificate", "explicit certificate", "bare certificate"]
)
def test_every_form_of_the_public_key_is_taken_and_one_is_emitted(terminal: Terminal, pki: Pki, form: str) -> None:
    spki, certificate = pki.eim.spki, pki.eim.certificate
    key = {
        "implicit": build(0xA0, tlv.first(spki).value),
        "explicit": build(0xA0, spki),
        "bare": spki,
        "certificate": build(0xA1, tlv.first(certificate).value),
        "explicit certificate": build(0xA1, certificate),
        "bare certificate": certificate,
    }[form]
    entry = build(0x30, build(0x80, EIM_ID.encode()), build(0x83, b"\x00"), build(0xA5, key))
    assert terminal.es10(build(0xBF57, build(0xA0, entry))).hex() == "bf5704a0020500"
    found = tlv.first(terminal.es10(bytes.fromhex("bf5500"))).find(0xA0, 0x30, 0xA5)
    assert found is not None
    emitted = build(0xA1, tlv.first(certificate).value) if "certificate" in form else build(0xA0, tlv.first(spki).value)
    assert found.value == emitted
    eim = Eim(pki.eim)
    assert parties.results(terminal.es10(eim.package(packages.list_profile_info([0x5A]))))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ("80 83 84=07 A5", 5),
        ("80 83=00800000 A5", 6),
        ("80 83=ff A5", 6),
        ("80 A5", 7),
        ("80 83", 7),
        ("80 83 A5 88=0102", 3),
        ("80 83 A5=3000", 7),
    ],
)
def test_add_initial_eim_errors_keep_nothing(terminal: Terminal, pki: Pki, fields: str, code: int) -> None:
    defaults = {0x80: EIM_ID.encode(), 0x83: b"\x00", 0xA5: build(0xA0, tlv.first(pki.eim.spki).value)}
    parts = []
    for item in fields.split():
        tag, _, value = item.partition("=")
        parts.append(build(int(tag, 16), bytes.fromhex(value) if value else defaults[int(tag, 16)]))
    good = Eim(pki.eim, "good").configuration(token=True)
    request = build(0xBF57, build(0xA0, good, build(0x30, *parts)))
    assert terminal.es10(request).hex() == f"bf57038101{code:02x}"
    assert terminal.card.state().eims == ()
    assert Eim(pki.eim).associate(terminal, token=True).hex() == "bf5705a003840101"  # the token was not used up


def test_store_data_chaining(terminal: Terminal, pki: Pki) -> None:
    whole = terminal.es10(bytes.fromhex("bf5600"))
    assert len(whole) > 512
    assert terminal.log[-1][1][-2:].hex() == "9000"
    assert sum(answer[-2] == 0x61 for _, answer in terminal.log[-5:]) >= 2
    # blocks of any size give the same
    request = Smdpp(pki).initiate(bytes(16))
    for block in (255, 120, 7):
        assert terminal.es10(request, block).hex().startswith("bf38")
    # a wrong block number ends the chain
    terminal.ok("81e2110002bf3e")
    assert terminal.apdu("81e2910204035c015a")[1] == 0x6A86
    assert terminal.apdu("81e2910104035c015a")[1] == 0x6A86
    terminal.ok("81e2110002bf3e")
    assert terminal.ok("81e2910104035c015a").hex() == "bf3e125a10" + EID
    # a new block 0 begins anew
    terminal.ok("81e2110002bf3e")
    assert terminal.ok("81e2910006bf3e035c015a").hex() == "bf3e125a10" + EID
    assert terminal.apdu("81e2120006bf3e035c015a")[1] == 0x6A86
    assert terminal.apdu("01e2910006bf3e035c015a")[1] == 0x6E00


@pytest.mark.parametrize(
    ("request_hex", "status"),
    [
        ("bf3e035c01", 0x6A80),
        ("bf3e035c0180", 0x6A80),
        ("bf3e00", 0x6A80),
        ("bf3e035c015a00", 0x6A80),
        ("bf7f00", 0x6A88),
        ("a003", 0x6985),
        ("8600", 0x6985),
        ("30", 0x6A88),
        ("bf5100", 0x6A80),
        ("bf36028000", 0x6985),
    ],
)
def test_requests_that_cannot_be_read(terminal: Terminal, request_hex: str, status: int) -> None:
    with pytest.raises(Refused, match=f"{status:04X}"):
        terminal.es10(bytes.fromhex(request_hex))
    assert terminal.card.faults == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("challenge", 6),
        ("signature", 2),
        ("ci", 7),
        ("certificate", 1),
        ("role", 1),
        ("oid", 5),
        ("no session", 4),
        ("twice", 4),
    ],
)
def test_authenticate_server_errors(terminal: Terminal, pki: Pki, change: str, code: int, oracle: ModuleType) -> None:
    smdpp = Smdpp(pki)
    if change == "certificate":
        smdpp.auth = pki.issue("ci")
    if change == "oid":
        smdpp.auth = pki.issue("dp_auth", oid=None)
    if change == "role":
        smdpp.auth = pki.dp_pb
    challenge = b"" if change == "no session" else terminal.es10(bytes.fromhex("bf2e00"))[5:]
    wrong = {"challenge": bytes(16), "signature": bytes(64), "ci": bytes(20)}
    request = smdpp.initiate(challenge or bytes(16), **{key: wrong[key] for key in (change,) if key in wrong})
    answer = terminal.es10(request)
    if change == "twice":
        answer = terminal.es10(request)
    kind, value = agreed(oracle, "AuthenticateServerResponse", answer)
    assert (kind, value["authenticateErrorCode"]) == ("authenticateResponseError", code)
    assert value["transactionId"] == smdpp.transaction_id
    # a refused session is over
    again = terminal.es10(smdpp.prepare())
    if change != "twice":
        assert codec.decode("PrepareDownloadResponse", again)[1]["downloadErrorCode"] == 4


def test_prepare_download_errors(terminal: Terminal, pki: Pki, oracle: ModuleType) -> None:
    smdpp = Smdpp(pki)
    smdpp.authenticated(parties.authenticate(terminal, smdpp))

    def code(request: bytes) -> int:
        kind, value = agreed(oracle, "PrepareDownloadResponse", terminal.es10(request))
        assert kind == "downloadResponseError"
        return int(value["downloadErrorCode"])

    assert code(smdpp.prepare(transaction_id=b"\x09" * 16)) == 5
    assert code(smdpp.prepare(signature=bytes(64))) == 2
    smdpp.pb = pki.dp_auth
    assert code(smdpp.prepare()) == 1
    smdpp.pb = pki.issue("dp_pb", oid="2.999.12")
    assert code(smdpp.prepare()) == 1  # DPauth and DPpb of different SM-DP+
    smdpp.pb = pki.dp_pb
    assert codec.decode("PrepareDownloadResponse", terminal.es10(smdpp.prepare()))[0] == "downloadResponseOk"


def test_cancel_session(terminal: Terminal, pki: Pki, oracle: ModuleType) -> None:
    smdpp = Smdpp(pki)
    answer = parties.authenticate(terminal, smdpp)
    smdpp.authenticated(answer)
    wrong = build(0xBF41, build(0x80, b"\x01"), build(0x81, b"\x05"))
    assert terminal.es10(wrong).hex() == "bf4103810105"
    request = build(0xBF41, build(0x80, smdpp.transaction_id), build(0x81, b"\x05"))
    raw = terminal.es10(request)
    kind, value = agreed(oracle, "CancelSessionResponse", raw)
    assert kind == "cancelSessionResponseOk"
    signed = value["euiccCancelSessionSigned"]
    assert (signed["smdpOid"], signed["reason"]) == ("2.999.10", 5)
    data = tlv.first(raw).find(0xA0, 0x30)
    assert data is not None
    assert ecdsa.verify(smdpp.euicc_public, value["euiccCancelSessionSignature"], data.raw)
    assert terminal.es10(request).hex() == "bf4103810105"


def test_notifications_are_found_filtered_and_removed(terminal: Terminal, pki: Pki, oracle: ModuleType) -> None:
    install(terminal, pki)
    eim = Eim(pki.eim)
    eim.associate(terminal)
    terminal.es10(eim.package(packages.enable(OPER_ICCID)))
    terminal.card.reset()
    terminal.open_isd_r()
    view = terminal.card.state()
    assert [(n.seq, n.kind, n.event) for n in view.notifications] == [
        (1, "pir", "install"),
        (2, "event", "install"),
        (3, "epr", ""),
        (4, "event", "disable"),
        (5, "event", "enable"),
    ]
    counts = {"bf2b00": 4, "bf2b05a003800104": 1, "bf2b06a00481020640": 1, "bf2b06a00481020560": 2}
    for request, expected in counts.items():
        kind, found = agreed(oracle, "RetrieveNotificationsListResponse", terminal.es10(bytes.fromhex(request)))
        assert (kind, len(found)) == ("notificationList", expected), request
    for request in ("bf2b04a0028200", "bf2b05a003800103"):
        kind, found = agreed(oracle, "RetrieveNotificationsListResponse", terminal.es10(bytes.fromhex(request)))
        assert (kind, len(found)) == ("euiccPackageResultList", 1)
    listed = agreed(
        oracle, "ListNotificationResponse", terminal.es10(bytes.fromhex("bf280481020640")), "RSPDefinitions"
    )
    assert [entry["seqNumber"] for entry in listed[1]] == [5]
    for seq in (3, 1):
        assert terminal.es10(bytes.fromhex(f"bf30038001{seq:02x}")).hex() == "bf3003800100"
        assert terminal.es10(bytes.fromhex(f"bf30038001{seq:02x}")).hex() == "bf3003800101"
    assert [n.seq for n in terminal.card.state().notifications] == [2, 4, 5]
    # notifications carry a signature over the BF2F as it stands
    other = tlv.first(terminal.es10(bytes.fromhex("bf2b05a003800104"))).find(0xA0, 0x30)
    assert other is not None
    metadata, signature, certificate, eum = other.children()
    assert certs.check_chain(certificate.raw, [eum.raw], [pki.ci.certificate], certs.Role.EUICC)
    assert ecdsa.verify(certs.public_key(certificate.raw), signature.value, metadata.raw)


def test_full_store_drops_the_oldest_result(bench: Bench, pki: Pki) -> None:
    bench.options = EuiccOptions(results=3)
    terminal = bench.terminal()
    eim = Eim(pki.eim)
    eim.associate(terminal)
    for _ in range(5):
        terminal.es10(eim.package(packages.list_profile_info([0x5A])))
    assert [n.seq for n in terminal.card.state().notifications] == [3, 4, 5]


def test_memory_reset(terminal: Terminal, pki: Pki) -> None:
    install(terminal, pki)
    Eim(pki.eim).associate(terminal)
    # eIM configuration and operational profiles; the bootstrap profile is a provisioning one
    assert terminal.es10(bytes.fromhex("bf640482020284")).hex() == "bf6406800100810100"
    view = terminal.card.state()
    assert [profile.iccid for profile in view.profiles] == [BOOT_ICCID]
    assert view.eims == ()
    assert [(n.kind, n.event) for n in view.notifications][-1] == ("event", "delete")
    assert terminal.es10(bytes.fromhex("bf640482020284")).hex() == "bf6406800101810101"
    assert terminal.es10(bytes.fromhex("bf640482020308")).hex() == "bf6403800100"
    assert terminal.card.state().switch_pending
    terminal.card.reset()
    assert terminal.card.state().profiles == ()


def test_answers_in_the_forms_of_other_cards(bench: Bench, pki: Pki) -> None:
    bench.options = EuiccOptions(forms=frozenset((Form.NESTED_PROFILE_LIST, Form.NESTED_CERTIFICATE)))
    terminal = bench.terminal()
    assert terminal.es10(bytes.fromhex("bf2d035c015a")).hex() == "bf2d12a010300ee30c5a0a980001010000000010f9"
    nested = tlv.first(terminal.es10(bytes.fromhex("bf5600"))).find(0xA0, 0xA6)
    assert nested is not None
    assert nested.value == pki.euicc(EID).certificate
    bench.options = EuiccOptions(forms=frozenset((Form.BARE_PACKAGE_RESULT,)))
    terminal = bench.terminal("second")
    eim = Eim(pki.eim)
    eim.associate(terminal)
    bare = tlv.first(terminal.es10(eim.package(packages.get_rat())))
    assert [part.tag for part in bare.children()] == [0x30, 0x5F37]


def test_long_responses_of_a_faulty_card(bench: Bench) -> None:
    bench.options = EuiccOptions(long_responses=True)
    terminal = bench.terminal()
    assert len(terminal.raw(bytes.fromhex("81e2910003bf5600"))) > 1000


def test_an_internal_error_is_6f00_with_the_state_before(
    terminal: Terminal, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    eim = Eim(pki.eim)
    eim.associate(terminal)

    def broken(*_: object) -> bytes:
        terminal.card._core.state.eims.clear()
        raise RuntimeError("a fault of the simulator")

    with monkeypatch.context() as context:
        context.setitem(terminal.card._isd_r._functions, 0xBF43, replace(functions.COMMON[0xBF43], execute=broken))
        with pytest.raises(Refused, match="6F00"):
            terminal.es10(bytes.fromhex("bf4300"))
    assert terminal.card.faults == 1
    assert len(terminal.card.state().eims) == 1
    assert terminal.es10(bytes.fromhex("bf4300"))
