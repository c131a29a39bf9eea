"""Answers of cards: the standard's forms by literal hex, and the others that were seen (field findings)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.apdu import es10_views as views
from bench.apdu.errors import CardAnswerError
from bench.apdu.es10_answers import changes_profile
from bench.rsp import tlv
from bench.rsp.errors import DecodeError

PROFILE = "e316" + "5a0a98101032547698103214" + "9f700101" + "910141" + "950102"
CERTIFICATE_CONTENT = "3003020101" + "3002" + "0500" + "03020011"
SPKI = tlv.build(0x30, bytes.fromhex("301306072a8648ce3d020106082a8648ce3d0301070303000102"))
CERTIFICATE = tlv.build(0x30, bytes.fromhex(CERTIFICATE_CONTENT))
META = "bf2f1c" + "800107" + "81020780" + "0c07" + "64702e74657374" + "5a0a98101032547698103214"
SIGNED = "301b800465696d31810101820801020304050607088301073003830100"
SIGNATURE = "5f3740" + "11" * 64


def at(raw: str, tag: int) -> tlv.Tlv:
    return views.answer(bytes.fromhex(raw), tag)


@pytest.mark.parametrize(
    "raw",
    [
        "bf2d1a" + "a018" + PROFILE,
        "bf2d1c" + "a01a" + "3018" + PROFILE,
        "bf2d1a" + "3018" + PROFILE,
        "bf2d18" + PROFILE,
    ],
    ids=["standard", "extra SEQUENCE", "SEQUENCE for A0", "bare"],
)
def test_profile_list(raw: str) -> None:
    (profile,) = views.profiles(at(raw, 0xBF2D))
    assert profile.raw.hex() == PROFILE
    assert profile.iccid == "89010123456789012341"
    assert profile.enabled is True
    assert profile.provider == "A"
    assert profile.profile_class == "operational"


def test_profile_list_of_none_and_of_two() -> None:
    assert views.profiles(at("bf2d02a000", 0xBF2D)) == ()
    assert len(views.profiles(at("bf2d32a030" + PROFILE + PROFILE, 0xBF2D))) == 2


@pytest.mark.parametrize("raw", ["bf2d0381010b", "bf2d0302010b", "bf2d05a10302010b"])
def test_profile_list_errors_in_all_forms(raw: str) -> None:
    assert views.error_code(at(raw, 0xBF2D), 0x81) == 11


@pytest.mark.parametrize("raw", ["bf2d02a000", "bf2d1aa018" + PROFILE, "bf2d00"])
def test_no_error(raw: str) -> None:
    assert views.error_code(at(raw, 0xBF2D), 0x81) is None


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (tlv.build(0xA0, SPKI[2:]), "spki"),
        (tlv.build(0xA0, SPKI), "spki"),
        (SPKI, "spki"),
        (tlv.build(0xA1, CERTIFICATE[2:]), "certificate"),
        (tlv.build(0xA1, CERTIFICATE), "certificate"),
        (CERTIFICATE, "certificate"),
    ],
    ids=["A0 implicit", "A0 explicit", "bare key", "A1 implicit", "A1 explicit", "bare certificate"],
)
@pytest.mark.parametrize("tag", [0xA5, 0xA6])
def test_public_key_data_in_all_forms(tag: int, content: bytes, kind: str) -> None:
    found = views.key_data(tlv.first(tlv.build(tag, content)))
    assert found.kind == kind
    assert found.der == (SPKI if kind == "spki" else CERTIFICATE)


def test_public_key_data_that_is_none() -> None:
    with pytest.raises(CardAnswerError, match="neither public key nor certificate"):
        views.key_data(tlv.first(bytes.fromhex("a503020101")))


@pytest.mark.parametrize("explicit", [False, True])
def test_certificates_as_siblings_or_nested(explicit: bool) -> None:
    eum = tlv.build(0xA5, CERTIFICATE if explicit else CERTIFICATE[2:])
    euicc = tlv.build(0xA6, CERTIFICATE if explicit else CERTIFICATE[2:])
    found = views.certificates(tlv.first(tlv.build(0xBF56, tlv.build(0xA0, eum, euicc))))
    assert (found.eum_raw, found.euicc_raw) == (eum, euicc)
    assert found.eum == found.euicc == CERTIFICATE


EIM1 = "3010" + "800465696d31" + "8101" + "61" + "820102" + "87020780"
EIM2 = "3009" + "800465696d32" + "840107"


@pytest.mark.parametrize(
    "build",
    [
        lambda: tlv.build(0xBF55, tlv.build(0xA0, bytes.fromhex(EIM1), bytes.fromhex(EIM2))),
        lambda: tlv.build(0xBF55, tlv.build(0xA0, bytes.fromhex(EIM1)), tlv.build(0xA0, bytes.fromhex(EIM2))),
        lambda: tlv.build(0xBF55, tlv.build(0xA0, bytes.fromhex(EIM1)[2:]), tlv.build(0xA0, bytes.fromhex(EIM2)[2:])),
        lambda: tlv.build(0xBF55, bytes.fromhex(EIM1), bytes.fromhex(EIM2)),
    ],
    ids=["standard", "an A0 for each", "A0 for SEQUENCE", "no A0"],
)
def test_eim_configurations_in_all_forms(build: Callable[[], bytes]) -> None:
    first, second = views.eim_configurations(views.answer(build(), 0xBF55))
    assert (first.eim_id, first.fqdn, first.id_type, first.protocols) == ("eim1", "a", 2, frozenset({0}))
    assert (second.eim_id, second.association_token) == ("eim2", 7)


def test_no_eim() -> None:
    assert views.eim_configurations(at("bf5500", 0xBF55)) == ()
    assert views.eim_configurations(at("bf5502a000", 0xBF55)) == ()


def test_notification_metadata() -> None:
    (metadata,) = views.metadata_list(at("bf2821a01f" + META, 0xBF28))
    assert (metadata.seq, metadata.event, metadata.address) == (7, "install", "dp.test")
    assert metadata.iccid == "89010123456789012341"
    assert metadata.raw.hex() == META


@pytest.mark.parametrize("extra", [False, True], ids=["standard", "extra SEQUENCE"])
def test_pending_notifications(extra: bool) -> None:
    other = tlv.build(0x30, bytes.fromhex(META), bytes.fromhex("5f370111"), bytes.fromhex("3000"), b"\x30\x00")
    result = tlv.build(0xBF37, tlv.build(0xBF27, b"\x80\x01\x01", bytes.fromhex(META)), bytes.fromhex("5f370111"))
    listed = other + result
    raw = tlv.build(0xBF2B, tlv.build(0xA0, tlv.build(0x30, listed) if extra else listed))
    first, second = views.notifications(views.answer(raw, 0xBF2B))
    assert (first.raw, first.kind) == (other, "other")
    assert (second.raw, second.kind) == (result, "installation-result")
    assert first.metadata is not None
    assert first.metadata.seq == 7


def test_one_pending_notification_is_not_taken_for_a_list() -> None:
    other = tlv.build(0x30, bytes.fromhex(META), bytes.fromhex("5f370111"))
    (found,) = views.notifications(views.answer(tlv.build(0xBF2B, tlv.build(0xA0, other)), 0xBF2B))
    assert found.raw == other


STANDARD = bytes.fromhex("bf5162a060" + SIGNED + SIGNATURE)
BARE = bytes.fromhex("bf5160" + SIGNED + SIGNATURE)
NESTED = bytes.fromhex("bf5164a0623060" + SIGNED + SIGNATURE)
ERROR_SIGNED = bytes.fromhex("bf5153a151300c800465696d31810101020104" + SIGNATURE)
ERROR_UNSIGNED = bytes.fromhex("bf510ea20c800465696d318401018f017f")


@pytest.mark.parametrize("raw", [STANDARD, BARE, NESTED], ids=["standard", "bare", "nested"])
def test_package_results(raw: bytes) -> None:
    assert views.package_result_seq(raw) == 7
    assert views.package_result_eim(raw) == "eim1"
    assert changes_profile(raw)
    answer = tlv.build(0xBF2B, tlv.build(0xA2, raw, raw))
    assert views.package_results(views.answer(answer, 0xBF2B)) == (raw, raw)


@pytest.mark.parametrize("group", [0xA0, 0xA2])
def test_package_results_in_other_groups(group: int) -> None:
    answer = tlv.build(0xBF2B, tlv.build(group, STANDARD))
    assert views.package_results(views.answer(answer, 0xBF2B)) == (STANDARD,)
    old = tlv.build(0xBF2B, tlv.build(0xA3, tlv.build(0xA0), tlv.build(0xA1, STANDARD)))
    assert views.package_results(views.answer(old, 0xBF2B)) == (STANDARD,)


@pytest.mark.parametrize("raw", [ERROR_SIGNED, ERROR_UNSIGNED])
def test_error_results_have_no_number(raw: bytes) -> None:
    assert views.package_result_seq(raw) is None
    assert views.package_result_eim(raw) == "eim1"
    assert not changes_profile(raw)


@pytest.mark.parametrize(
    ("result", "changed"),
    [("830100", True), ("830102", False), ("840100", True), ("8c0100", True), ("850100", False), ("840105", False)],
)
def test_which_results_change_the_profile(result: str, changed: bool) -> None:
    signed = tlv.build(0x30, bytes.fromhex("800465696d31810101830107"), tlv.build(0x30, bytes.fromhex(result)))
    assert changes_profile(tlv.build(0xBF51, tlv.build(0xA0, signed, bytes.fromhex(SIGNATURE)))) is changed


SUCCESS = "a217a015" + "4f10" + "a0000005591010ffffffff8900001100" + "0401" + "30"
FAILURE = "a208a106" + "800105" + "810108"


def result(final: str) -> bytes:
    data = tlv.build(
        0xBF27, bytes.fromhex("80020102"), bytes.fromhex(META), bytes.fromhex("06028837"), bytes.fromhex(final)
    )
    return tlv.build(0xBF37, data, bytes.fromhex(SIGNATURE))


def test_installation_result() -> None:
    done = views.installation_result(result(SUCCESS))
    assert done.installed
    assert done.error == ""
    assert done.transaction_id == b"\x01\x02"
    assert done.metadata.seq == 7
    assert done.aid.hex() == "a0000005591010ffffffff8900001100"
    failed = views.installation_result(result(FAILURE))
    assert not failed.installed
    assert failed.error == "loadProfileElements: scp03tSecurityError"


@pytest.mark.parametrize("raw", ["", "bf37", "bf3700", "bf2d00", "bf3703bf2700", "9000"])
def test_installation_results_that_are_none(raw: str) -> None:
    with pytest.raises(CardAnswerError):
        views.installation_result(bytes.fromhex(raw))


READERS: list[tuple[int, Callable[[tlv.Tlv], object]]] = [
    (0xBF2D, views.profiles),
    (0xBF28, views.metadata_list),
    (0xBF2B, views.notifications),
    (0xBF2B, views.package_results),
    (0xBF55, views.eim_configurations),
    (0xBF56, views.certificates),
]
TAGS = [0xA0, 0xA1, 0xA2, 0x30, 0xE3, 0xBF51, 0xBF37, 0xBF27, 0xBF2F, 0xA5, 0xA6, 0x5A, 0x80, 0x81, 0x03, 0x0C, 0x9F70]


def nodes(depth: int) -> st.SearchStrategy[bytes]:
    leaf = st.builds(tlv.build, st.sampled_from(TAGS), st.binary(max_size=12))
    if depth == 0:
        return leaf
    inner = st.builds(
        lambda tag, parts: tlv.build(tag, *parts), st.sampled_from(TAGS[:9]), st.lists(nodes(depth - 1), max_size=3)
    )
    return leaf | inner


@given(st.sampled_from(READERS), st.lists(nodes(4), max_size=4))
def test_any_answer_is_read_or_refused(reader: tuple[int, Callable[[tlv.Tlv], object]], parts: list[bytes]) -> None:
    tag, read = reader
    try:
        read(views.answer(tlv.build(tag, *parts), tag))
    except (CardAnswerError, DecodeError):
        pass


@given(st.lists(nodes(4), max_size=4) | st.lists(st.binary(max_size=40), max_size=1))
def test_any_result_is_read_or_refused(parts: list[bytes]) -> None:
    for tag, read in (
        (0xBF51, views.package_result_seq),
        (0xBF51, changes_profile),
        (0xBF37, views.installation_result),
    ):
        try:
            read(tlv.build(tag, *parts))
        except (CardAnswerError, DecodeError):
            pass
