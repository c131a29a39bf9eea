"""NAS and RRC messages of the simulated DIAG port, held against decoders that others wrote."""

from __future__ import annotations

import pytest

from fixtures.sim import diag_nas as nas
from fixtures.sim import diag_rrc as rrc

IMSI = "001010123456789"
GUTI = "00101000010000000007"


def test_an_attach_request_is_the_literal_of_the_reference():
    """Made by pycrate and dissected by tshark (traces.md section 1.4)."""
    assert nas.attach_request("", IMSI, "", "IP").hex() == "07417108091010103254769802e0e000040201d011"


def test_an_attach_reject_is_the_literal_of_the_reference():
    assert nas.attach_reject(15, None).hex() == "07440f"


NAS = [
    (nas.attach_request("", IMSI, "bootstrap.iot", "IPV4V6"), "EMMAttachRequest"),
    (nas.attach_request(GUTI, IMSI, "", "IP"), "EMMAttachRequest"),
    (nas.attach_accept("00101", 1, GUTI, "bootstrap.iot", "10.64.0.2", 50), "EMMAttachAccept"),
    (nas.attach_complete(), "EMMAttachComplete"),
    (nas.attach_reject(19, 27), "EMMAttachReject"),
    (nas.identity_request(), "EMMIdentityRequest"),
    (nas.identity_response(IMSI), "EMMIdentityResponse"),
    (nas.authentication_request(bytes(range(16)), bytes(range(16, 32))), "EMMAuthenticationRequest"),
    (nas.authentication_response(bytes(8)), "EMMAuthenticationResponse"),
    (nas.authentication_failure(21, bytes(14)), "EMMAuthenticationFailure"),
    (nas.authentication_failure(20, b""), "EMMAuthenticationFailure"),
    (nas.authentication_reject(), "EMMAuthenticationReject"),
    (nas.tracking_area_update_request(GUTI, IMSI, periodic=True), "EMMTrackingAreaUpdateRequest"),
    (nas.tracking_area_update_accept(), "EMMTrackingAreaUpdateAccept"),
    (nas.tracking_area_update_reject(10), "EMMTrackingAreaUpdateReject"),
    (nas.detach_request(GUTI, IMSI, switch_off=True), "EMMDetachRequestMO"),
]


@pytest.mark.parametrize(("message", "name"), NAS)
def test_pycrate_reads_every_nas_message(message, name):
    decoder = pytest.importorskip("pycrate_mobile.NASLTE", reason="pycrate is needed as independent decoder")
    wanted_direction = decoder.parse_NASLTE_MO if _uplink(name) else decoder.parse_NASLTE_MT
    found, error = wanted_direction(message, inner=True)
    assert error == 0
    assert type(found).__name__ == name
    assert found.to_bytes() == message


def _uplink(name):
    return any(word in name for word in ("AttachRequest", "Complete", "Response", "Failure", "UpdateRequest", "MO"))


RRC = [
    ("BCCH_DL_SCH_Message", rrc.system_information_1("00101", 0x1234, 0x0ABCDEF, 20), "systemInformationBlockType1"),
    ("BCCH_DL_SCH_Message", rrc.system_information_1("310410", 7, 1, 12), "systemInformationBlockType1"),
    ("UL_CCCH_Message", rrc.connection_request(rrc.MO_SIGNALLING, None, 0x123456789A), "rrcConnectionRequest"),
    ("UL_CCCH_Message", rrc.connection_request(rrc.MO_DATA, (1, 7)), "rrcConnectionRequest"),
    ("DL_CCCH_Message", rrc.connection_setup(), "rrcConnectionSetup"),
    ("UL_DCCH_Message", rrc.connection_setup_complete(NAS[0][0]), "rrcConnectionSetupComplete"),
    ("DL_DCCH_Message", rrc.downlink_information(bytes(200)), "dlInformationTransfer"),
    ("UL_DCCH_Message", rrc.uplink_information(NAS[6][0]), "ulInformationTransfer"),
    ("DL_DCCH_Message", rrc.connection_release(), "rrcConnectionRelease"),
    ("PCCH_Message", rrc.paging((1, 7)), "paging"),
]


@pytest.mark.parametrize(("channel", "message", "name"), RRC)
def test_pycrate_reads_every_rrc_message(channel, message, name):
    module = pytest.importorskip("pycrate_asn1dir.RRCLTE", reason="pycrate is needed as independent decoder")
    kind = getattr(module.EUTRA_RRC_Definitions, channel)
    kind.from_uper(message)
    value = kind.get_val()
    assert value["message"][1][0] == name
    kind.set_val(value)
    assert kind.to_uper() == message, "nothing but padding is behind it"
    if channel == "BCCH_DL_SCH_Message":
        access = value["message"][1][1]["cellAccessRelatedInfo"]
        assert access["trackingAreaCode"][0] in (0x1234, 7)
        identity = access["plmn-IdentityList"][0]["plmn-Identity"]
        assert ("".join(map(str, identity["mcc"] + identity["mnc"]))) in ("00101", "310410")
    if name == "dlInformationTransfer":
        assert len(value["message"][1][1]["criticalExtensions"][1][1]["dedicatedInfoType"][1]) == 200
