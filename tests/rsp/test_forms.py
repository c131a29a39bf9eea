"""Forms seen in the field: the standard's bytes and the other form's, both written down, and one meaning."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.rsp import codec, forms
from bench.rsp.errors import DecodeError
from bench.rsp.forms import Form

from .notation import octets
from .vectors import vectors

KEY = "30{} 03:00AA"
CERTIFICATE = "30{} 30{} 03:00AA"
EPR = "30{80:65 81:01 83:03 30{83:00}} 5F37:BB"
EPE = "30{80:65 81:01 02:04} 5F37:BB"

CASES = [
    (
        Form.NESTED_PUBLIC_KEY,
        "EimConfigurationData",
        f"30{{80:65 A5{{A0{{{KEY}}}}}}}",
        f"30{{80:65 A5{{A0{{30{{{KEY}}}}}}}}}",
    ),
    (
        Form.NESTED_PUBLIC_KEY,
        "EimConfigurationData",
        f"30{{80:65 A6{{A1{{{CERTIFICATE}}}}}}}",
        f"30{{80:65 A6{{A1{{30{{{CERTIFICATE}}}}}}}}}",
    ),
    (Form.BARE_PUBLIC_KEY, "EimConfigurationData", f"30{{80:65 A5{{A0{{{KEY}}}}}}}", f"30{{80:65 A5{{30{{{KEY}}}}}}}"),
    (
        Form.BARE_PUBLIC_KEY,
        "EimConfigurationData",
        f"30{{80:65 A6{{A1{{{CERTIFICATE}}}}}}}",
        f"30{{80:65 A6{{30{{{CERTIFICATE}}}}}}}",
    ),
    (
        Form.BARE_PUBLIC_KEY,
        "AddInitialEimRequest",
        f"BF57{{A0{{30{{80:65 A5{{A0{{{KEY}}}}}}}}}}}",
        f"BF57{{A0{{30{{80:65 A5{{30{{{KEY}}}}}}}}}}}",
    ),
    (Form.BARE_PUBLIC_KEY, "Eco", f"A8{{80:65 A5{{A0{{{KEY}}}}}}}", f"A8{{80:65 A5{{30{{{KEY}}}}}}}"),
    (Form.BARE_PACKAGE_RESULT, "EuiccPackageResult", f"BF51{{A0{{{EPR}}}}}", f"BF51{{{EPR}}}"),
    (Form.BARE_PACKAGE_RESULT, "EuiccPackageResult", f"BF51{{A1{{{EPE}}}}}", f"BF51{{{EPE}}}"),
    (Form.BARE_PACKAGE_RESULT, "ProvideEimPackageResult", f"BF50{{BF51{{A0{{{EPR}}}}}}}", f"BF50{{BF51{{{EPR}}}}}"),
    (
        Form.BARE_PACKAGE_RESULT,
        "EsipaMessageFromIpaToEim",
        f"BF50{{30{{BF51{{A0{{{EPR}}}}} A0{{}}}}}}",
        f"BF50{{30{{BF51{{{EPR}}} A0{{}}}}}}",
    ),
    (
        Form.NESTED_PROFILE_LIST,
        "ProfileInfoListResponse",
        "BF2D{A0{E3{9F70:01} E3{91:42}}}",
        "BF2D{A0{30{E3{9F70:01} E3{91:42}}}}",
    ),
    (Form.NESTED_PROFILE_LIST, "ProfileInfoListResponse", "BF2D{A0{}}", "BF2D{A0{30{}}}"),
    (Form.PROFILE_LIST_ERROR_INTEGER, "ProfileInfoListResponse", "BF2D{81:0B}", "BF2D{02:0B}"),
    (Form.PROFILE_LIST_ERROR_INTEGER, "EuiccResultData", "BF2D{81:0B}", "BF2D{02:0B}"),
    (Form.PROFILE_LIST_ERROR_EXPLICIT, "ProfileInfoListResponse", "BF2D{81:0B}", "BF2D{A1{02:0B}}"),
    (
        Form.NESTED_CERTIFICATE,
        "GetCertsResponse",
        f"BF56{{A0{{A5{{{CERTIFICATE}}} A6{{{CERTIFICATE}}}}}}}",
        f"BF56{{A0{{A5{{30{{{CERTIFICATE}}}}} A6{{30{{{CERTIFICATE}}}}}}}}}",
    ),
    (
        Form.NESTED_CERTIFICATE,
        "IpaEuiccDataResponse",
        f"BF52{{A0{{A6{{{CERTIFICATE}}}}}}}",
        f"BF52{{A0{{A6{{30{{{CERTIFICATE}}}}}}}}}",
    ),
    (Form.BARE_IPA_EUICC_DATA, "IpaEuiccDataResponse", "BF52{A0{81:61 87:01}}", "BF52{81:61 87:01}"),
    (
        Form.BARE_IPA_EUICC_DATA,
        "IpaEuiccDataResponse",
        "BF52{A0{A0{BF37{BF27{80:01 BF2F{80:01 81:0780 0C:61} 06:8837 A2{A1{80:00 81:01}}} 5F37:BB}}}}",
        "BF52{A0{BF37{BF27{80:01 BF2F{80:01 81:0780 0C:61} 06:8837 A2{A1{80:00 81:01}}} 5F37:BB}}}",
    ),
    (Form.FILTER_WITHOUT_A0, "RetrieveNotificationsListRequest", "BF2B{A0{80:07}}", "BF2B{80:07}"),
    (Form.FILTER_WITHOUT_A0, "RetrieveNotificationsListRequest", "BF2B{A0{82:}}", "BF2B{82:}"),
    (Form.BITS_WITHOUT_COUNT, "NotificationMetadata", "BF2F{80:01 81:0780 0C:61}", "BF2F{80:01 81:01 0C:61}"),
    (Form.BITS_WITHOUT_COUNT, "NotificationMetadata", "BF2F{80:01 81:0410 0C:61}", "BF2F{80:01 81:08 0C:61}"),
    (Form.BITS_WITHOUT_COUNT, "RetrieveNotificationsListRequest", "BF2B{A0{81:0640}}", "BF2B{A0{81:02}}"),
    (Form.BITS_WITHOUT_COUNT, "ListNotificationRequest", "BF28{81:04F0}", "BF28{81:0F}"),
    (Form.UNIVERSAL_REFRESH_FLAG, "ProfileRollbackRequest", "BF58{80:FF}", "BF58{01:FF}"),
    (Form.UNIVERSAL_REFRESH_FLAG, "ExecuteFallbackMechanismRequest", "BF5D{80:00}", "BF5D{01:00}"),
    (Form.UNIVERSAL_CI_KEY_ID, "GetCertsRequest", "BF56{80:AABB}", "BF56{04:AABB}"),
    (
        Form.CONTEXT_ROLLBACK_RESULT,
        "ProfileRollbackResponse",
        f"BF58{{02:00 BF51{{A0{{{EPR}}}}}}}",
        f"BF58{{80:00 BF51{{A0{{{EPR}}}}}}}",
    ),
    (Form.CONTEXT_ROLLBACK_FLAG, "Psmo", "A3{5A:98 05:}", "A3{5A:98 81:}"),
]


@pytest.mark.parametrize(("form", "name", "standard", "other"), CASES, ids=lambda item: getattr(item, "name", ""))
def test_a_form_means_what_the_standards_form_means(form: Form, name: str, standard: str, other: str) -> None:
    ours, theirs = octets(standard), octets(other)
    value = codec.decode(name, ours, accept=())
    assert codec.encode(name, value).hex() == ours.hex()
    assert codec.decode(name, theirs) == value
    assert codec.decode(name, theirs, accept={form}) == value
    assert forms.deviate(ours, form).hex() == theirs.hex()


@pytest.mark.parametrize(("form", "name", "standard", "other"), CASES, ids=lambda item: getattr(item, "name", ""))
def test_a_form_that_is_not_accepted_is_refused_or_not_understood(
    form: Form, name: str, standard: str, other: str
) -> None:
    value = codec.decode(name, octets(standard), accept=())
    accept = forms.ALL - {form}
    try:
        assert codec.decode(name, octets(other), accept=accept) != value
    except DecodeError:
        return


def test_every_form_has_a_case() -> None:
    assert {form for form, *_ in CASES} == set(Form)


@pytest.mark.parametrize("form", Form, ids=lambda form: form.name)
def test_what_the_form_is_not_about_stays(form: Form) -> None:
    for name, value, data in vectors():
        if form is Form.UNIVERSAL_REFRESH_FLAG and name.endswith("Response"):
            continue  # a form of requests, which have the tags of their responses
        assert codec.decode(name, forms.deviate(data, form)) == value, name


@settings(deadline=None, database=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(vectors()), st.sampled_from(list(Form)), st.sampled_from(list(Form)))
def test_forms_combine(vector: tuple[str, object, bytes], first: Form, second: Form) -> None:
    name, value, data = vector
    if Form.UNIVERSAL_REFRESH_FLAG not in (first, second) or not name.endswith("Response"):
        assert codec.decode(name, forms.deviate(forms.deviate(data, first), second)) == value
