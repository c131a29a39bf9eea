"""Other encodings and behaviours seen in the field: each is injected by a name, and tolerated or refused by a test.

One row a line of the notes on the field. ``injected``: how any party of the bench is made to do it, by the name of a
wire form (bench.rsp.forms), an option of the interpretation log, or a misbehaviour; ``shown``: the tests that hold
our parties to what is said. The names are checked against the code, so that no row outlives what it speaks of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.rsp.forms import Form
from bench.rsp.interpretation import NAMES
from fixtures.service.misbehaviour import KINDS

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Row:
    """``what`` was seen; ``tolerated``: our parties take it, else they refuse it or end what would go on for ever."""

    what: str
    tolerated: bool
    injected: tuple[str, ...]
    shown: tuple[str, ...]


FORMS, CARDS = (
    "rsp/test_forms.py::test_a_form_means_what_the_standards_form_means",
    "ipa/test_forms.py::test_a_card_that_writes_other_forms",
)
ROWS = (
    Row("public key or certificate of eIM configuration as A5{A0{30}}", True, ("NESTED_PUBLIC_KEY",), (FORMS, CARDS)),
    Row("public key or certificate of eIM configuration as A5{30}", True, ("BARE_PUBLIC_KEY",), (FORMS, CARDS)),
    Row("EPR as BF51{30}, errors likewise", True, ("BARE_PACKAGE_RESULT",), (FORMS, CARDS)),
    Row("profile list as A0{30{E3}}", True, ("NESTED_PROFILE_LIST",), (FORMS, CARDS)),
    Row("profile list's error as INTEGER", True, ("PROFILE_LIST_ERROR_INTEGER",), (FORMS, CARDS)),
    Row("profile list's error in A1", True, ("PROFILE_LIST_ERROR_EXPLICIT",), (FORMS, CARDS)),
    Row("certificates of IpaEuiccData nested in 30", True, ("NESTED_CERTIFICATE",), (FORMS, CARDS)),
    Row("IpaEuiccDataResponse bare", True, ("BARE_IPA_EUICC_DATA",), (FORMS,)),
    Row("IpaEuiccDataResponse of a lone A0 with notifications", True, (),
        ("rsp/test_field_findings.py::test_a_lone_list",)),
    Row("signatures in DER", False, ("signature_format", "package-signature", "signature"),
        ("recipes/test_negative.py::test_misbehaviours_have_their_reactions",
         "smdpp/test_smdpp_misbehaviour.py::test_the_device_finds_out_where_it_must")),
    Row("nothing appended to the signature's input without a token", False, ("token_when_none", "package-signature"),
        ("rsp/test_packages.py::test_signature_over_the_data_alone_is_taken_only_when_asked",)),
    Row("RetrieveNotificationsList's filter without A0", True, ("FILTER_WITHOUT_A0",), (FORMS,)),
    Row("BIT STRING without its count of unused bits", True, ("BITS_WITHOUT_COUNT",), (FORMS, CARDS)),
    Row("one long R-APDU instead of 61xx", True, ("extended_length",),
        ("euicc/test_extended_length.py::test_a_long_answer_at_once",
         "apdu/test_exchange.py::test_61xx_is_collected_until_the_end")),
    Row("refresh flags, CI key identifier and rollback flag with the other tag class", True,
        ("UNIVERSAL_REFRESH_FLAG", "UNIVERSAL_CI_KEY_ID", "CONTEXT_ROLLBACK_RESULT", "CONTEXT_ROLLBACK_FLAG",
         "encoding"),
        (FORMS, "eim/test_misbehaviour.py::test_encodings_that_were_seen")),
    Row("a relay that encodes again", False, ("relay-changed",),
        ("eim/test_download.py::test_a_download_byte_for_byte", "ipa/test_download.py::test_a_whole_download")),
    Row("acknowledgements with other numbers than those of notifications and EPRs", False,
        ("no-acknowledgement", "foreign-acknowledgement"),
        ("recipes/test_negative.py::test_misbehaviours_have_their_reactions",
         "ipa/test_poll.py::test_a_result_that_is_not_acknowledged_stays_on_the_card")),
    Row("5A or BF2D in a tag list", False, ("unknown_tag_in_list",),
        ("ipa/test_poll.py::test_tag_lists_that_are_wrong",)),
    Row("a result without eidValue", True, (), ("ipa/test_dialect.py::test_results_go_out_without_eid_and_alone",)),
    Row("an unsigned or undecodable result, and the same package for ever", False, ("old-package",),
        ("eim/test_rules.py::test_unsigned_error_ends_the_order",
         "eim/test_rules.py::test_undecodable_result_ends_the_order",
         "eim/test_rules.py::test_a_package_without_result_is_not_handed_out_for_ever",
         "eim/test_guard.py::test_whatever_is_repeated")),
    Row("6985 to every command after an enable, or a REFRESH to be fetched", True, ("enable_refreshes",),
        ("euicc/test_packages.py::test_enable_locks_the_isd_r_until_reset",
         "euicc/test_packages.py::test_enable_with_fetched_refresh",
         "apdu/test_es10.py::test_6985_to_everything_after_an_enable_needs_a_reset")),
    Row("AddInitialEim while an eIM is associated", False, (),
        ("apdu/test_es10.py::test_add_initial_eim_refused_is_a_device_failure_with_its_name",)),
    Row("EUM name constraints that a verifier does not enforce", False, (),
        ("rsp/test_certs.py::test_a_name_constraint_must_be_critical",)),
    Row("success told although nothing was done", False, (),
        ("recipes/test_negative_ways.py::test_a_device_without_what_the_rows_expect",
         "recipes/test_negative.py::test_each_row_fails_where_its_reaction_does_not_come")),
)  # fmt: skip


def test_every_form_is_in_a_row() -> None:
    injected = {name for row in ROWS for name in row.injected}
    assert set(Form.__members__) <= injected
    assert injected <= {*Form.__members__, *NAMES, *KINDS}, "names that inject nothing"


@pytest.mark.parametrize("row", ROWS, ids=[row.what for row in ROWS])
def test_each_row_is_shown(row: Row) -> None:
    for where in row.shown:
        path, _, name = where.partition("::")
        assert re.search(rf"^(?:async )?def {name}\(", (TESTS / path).read_text(), re.MULTILINE), where


def test_a_lone_list() -> None:
    from bench.rsp import tlv
    from fixtures.eim import messages

    note = tlv.build(0xBF2F, bytes.fromhex("80010181020780"))
    raw = tlv.build(0xBF52, tlv.build(0xA0, tlv.build(0x30, note)))
    assert [item.raw for item in messages.read_euicc_data(tlv.first(raw)).notifications] == [tlv.build(0x30, note)]
