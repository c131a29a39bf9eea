"""Wire forms beside the standard's that cards, eIMs and IPAs in the field send.

The codec always emits the standard's form. On decoding it takes each form named here for what it means, unless the
caller accepts fewer. Tests and fault injection make any of them from the standard's form with ``deviate``.

Every form is one pair of functions from the bytes of a TLV to its bytes in the other form; they return None where the
TLV is not in the form they start from. Hooks are by ASN.1 type, since the same tag means different things in requests,
responses and eIM configuration data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from bench.rsp import tlv
from bench.rsp.tlv import Tlv, build

_EIM_CONFIGURATION = ("EimConfigurationData",)
_REFRESH_REQUESTS = (
    "ProfileRollbackRequest",
    "ImmediateEnableRequest",
    "ExecuteFallbackMechanismRequest",
    "ReturnFromFallbackRequest",
    "EnableEmergencyProfileRequest",
    "DisableEmergencyProfileRequest",
)


class Form(Enum):
    """A wire form seen in the field; the value is the standard's form and the other one."""

    NESTED_PUBLIC_KEY = "A5{A0{content of SPKI}} as A5{A0{30{...}}}, likewise A6 and certificates in A1"
    BARE_PUBLIC_KEY = "A5{A0{content of SPKI}} as A5{30{...}}, likewise A6 and certificates"
    BARE_PACKAGE_RESULT = "BF51{A0{30, 5F37}} as BF51{30, 5F37}, likewise A1"
    NESTED_PROFILE_LIST = "BF2D{A0{E3...}} as BF2D{A0{30{E3...}}}"
    PROFILE_LIST_ERROR_INTEGER = "BF2D{81} as BF2D{02}"
    PROFILE_LIST_ERROR_EXPLICIT = "BF2D{81} as BF2D{A1{02}}"
    NESTED_CERTIFICATE = "A5{tbs, algorithm, signature} as A5{30{...}}, likewise A6"
    BARE_IPA_EUICC_DATA = "BF52{A0{fields}} as BF52{fields}"
    FILTER_WITHOUT_A0 = "BF2B{A0{80}} as BF2B{80}"
    BITS_WITHOUT_COUNT = "81 02 07 80 (notificationInstall) as 81 01 01"
    UNIVERSAL_REFRESH_FLAG = "BF58{80 01 FF} as BF58{01 01 FF}, likewise BF5A to BF5E"
    UNIVERSAL_CI_KEY_ID = "BF56{80} as BF56{04}"
    CONTEXT_ROLLBACK_RESULT = "BF58{02} as BF58{80}"
    CONTEXT_ROLLBACK_FLAG = "A3{5A, 05 00} as A3{5A, 81 00}"


ALL: frozenset[Form] = frozenset(Form)
STRICT: frozenset[Form] = frozenset()
COMMANDS = frozenset(
    (Form.FILTER_WITHOUT_A0, Form.UNIVERSAL_REFRESH_FLAG, Form.UNIVERSAL_CI_KEY_ID, Form.CONTEXT_ROLLBACK_FLAG)
)
"""Forms of what a card is sent; it has no use for them in its answers, where the same tags mean other things."""

_Rewrite = Callable[[Tlv], bytes | None]


@dataclass(frozen=True)
class _Rule:
    types: tuple[str, ...]
    """ASN.1 types whose TLV ``repair`` is applied to."""
    tags: tuple[int, ...]
    """Tags of the TLVs that ``deviate`` is applied to."""
    repair: _Rewrite
    deviate: _Rewrite


def deviate(data: bytes, form: Form) -> bytes:
    """Return the message with everything in it that ``form`` is about written in that form, at any depth.

    TLVs are known by their tags alone, so give a request or a response, as the form says: ``BF5A 80 01 00`` may be
    either. Signed parts are rewritten like any other: sign afterwards. Raises DecodeError for bytes that are no TLVs.
    """
    rule = _RULES[form]

    def walk(node: Tlv) -> bytes:
        content = b"".join(walk(child) for child in node.children()) if node.constructed else node.value
        whole = build(node.tag, content)
        changed = rule.deviate(tlv.first(whole)) if node.tag in rule.tags else None
        return whole if changed is None else changed

    return b"".join(walk(node) for node in tlv.parse(data))


def hooked(type_name: str, accept: Iterable[Form]) -> tuple[_Rewrite, ...]:
    """Return the functions that bring a TLV of the ASN.1 type from the accepted forms into the standard's."""
    return tuple(_RULES[form].repair for form in Form if form in accept and type_name in _RULES[form].types)


def only_child(node: Tlv, *tags: int) -> Tlv | None:
    """Return the single child of ``node`` when it has one of ``tags``, else None."""
    children = node.children()
    return children[0] if len(children) == 1 and children[0].tag in tags else None


def _tags(node: Tlv) -> tuple[int, ...]:
    return tuple(child.tag for child in node.children())


def _replace(node: Tlv, rewrite: _Rewrite) -> bytes | None:
    """Rewrite the children for which ``rewrite`` has something else; None when there is none."""
    children = node.children()
    changed = [rewrite(child) for child in children]
    if all(item is None for item in changed):
        return None
    return build(node.tag, *(child.raw if new is None else new for child, new in zip(children, changed, strict=True)))


def _renamed(old: int, new: int) -> _Rewrite:
    """Return the function that gives the children with tag ``old`` the tag ``new``."""
    return lambda node: _replace(node, lambda child: build(new, child.value) if child.tag == old else None)


# --- public keys of EimConfigurationData ----------------------------------------------------------------------------

_KEY, _CERTIFICATE = (0x30, 0x03), (0x30, 0x30, 0x03)
_KEY_FIELDS = (0xA5, 0xA6)


def _nested_key_deviate(node: Tlv) -> bytes | None:
    inner = only_child(node, 0xA0, 0xA1)
    if inner is None or _tags(inner) not in (_KEY, _CERTIFICATE):
        return None
    return build(node.tag, build(inner.tag, build(0x30, inner.value)))


def _bare_key_repair(child: Tlv) -> bytes | None:
    inner = only_child(child, 0x30) if child.tag in _KEY_FIELDS else None
    if inner is None or _tags(inner) not in (_KEY, _CERTIFICATE):
        return None
    return build(child.tag, build(0xA0 if _tags(inner) == _KEY else 0xA1, inner.value))


def _bare_key_deviate(node: Tlv) -> bytes | None:
    inner = only_child(node, 0xA0, 0xA1)
    if inner is None or _tags(inner) not in (_KEY, _CERTIFICATE):
        return None
    return build(node.tag, build(0x30, inner.value))


# --- the other messages ---------------------------------------------------------------------------------------------


def _package_result_repair(node: Tlv) -> bytes | None:
    children = node.children()
    if not children or children[0].tag != 0x30:
        return None
    signed = _tags(children[0])
    if 0x5A in signed:  # an EuiccPackageRequest has the same outer tag and names the EID
        return None
    return build(node.tag, build(0xA1 if 0x02 in signed else 0xA0, node.value))


def _package_result_deviate(node: Tlv) -> bytes | None:
    inner = only_child(node, 0xA0, 0xA1)
    return build(node.tag, inner.value) if inner is not None and _tags(inner)[:1] == (0x30,) else None


def _profile_list_repair(node: Tlv) -> bytes | None:
    inner = only_child(node, 0xA0)
    nested = only_child(inner, 0x30) if inner is not None else None
    return build(node.tag, build(0xA0, nested.value)) if nested is not None else None


def _profile_list_deviate(node: Tlv) -> bytes | None:
    inner = only_child(node, 0xA0)
    if inner is None or any(tag != 0xE3 for tag in _tags(inner)):
        return None
    return build(node.tag, build(0xA0, build(0x30, inner.value)))


def _explicit_error_repair(node: Tlv) -> bytes | None:
    inner = only_child(node, 0xA1)
    number = only_child(inner, 0x02) if inner is not None else None
    return build(node.tag, build(0x81, number.value)) if number is not None else None


def _explicit_error_deviate(node: Tlv) -> bytes | None:
    number = only_child(node, 0x81)
    return build(node.tag, build(0xA1, build(0x02, number.value))) if number is not None else None


def _integer_error_repair(node: Tlv) -> bytes | None:
    number = only_child(node, 0x02)
    return build(node.tag, build(0x81, number.value)) if number is not None else None


def _integer_error_deviate(node: Tlv) -> bytes | None:
    number = only_child(node, 0x81)
    return build(node.tag, build(0x02, number.value)) if number is not None else None


def _certificate_deviate(node: Tlv) -> bytes | None:
    return build(node.tag, build(0x30, node.value)) if _tags(node) == _CERTIFICATE else None


def _ipa_data_repair(node: Tlv) -> bytes | None:
    children = node.children()
    if not children or (len(children) == 1 and children[0].tag == 0xA1):
        return None
    # One A0: the standard's, unless what is in it are notifications (BF37, 30) rather than fields.
    if len(children) == 1 and children[0].tag == 0xA0 and _tags(children[0])[:1] not in ((0xBF37,), (0x30,)):
        return None
    return build(node.tag, build(0xA0, node.value))


def _ipa_data_deviate(node: Tlv) -> bytes | None:
    inner = only_child(node, 0xA0)
    return build(node.tag, inner.value) if inner is not None and inner.value else None


def _filter_repair(node: Tlv) -> bytes | None:
    return build(node.tag, build(0xA0, node.value)) if _tags(node)[:1] in ((0x80,), (0x81,), (0x82,)) else None


def _filter_deviate(node: Tlv) -> bytes | None:
    inner = only_child(node, 0xA0)
    criterion = only_child(inner, 0x80, 0x81, 0x82) if inner is not None else None
    return build(node.tag, criterion.raw) if criterion is not None else None


def _event_deviate(node: Tlv) -> bytes | None:
    """Write NotificationEvent fields (80 in B6{30}, 81 elsewhere) as one octet, lowest bit first."""

    def rewrite(child: Tlv) -> bytes | None:
        if child.tag == 0x30:  # B6{30{80 events, 81 address}}
            return _replace(child, lambda field: _loose(field) if field.tag == 0x80 else None)
        if child.tag == 0xA0:  # BF2B{A0{81 events}}
            return _replace(child, lambda field: _loose(field) if field.tag == 0x81 else None)
        return _loose(child) if child.tag == 0x81 else None

    return _replace(node, rewrite)


def _loose(field: Tlv) -> bytes | None:
    if len(field.value) != 2 or field.value[0] > 7:
        return None
    return build(field.tag, bytes((int(f"{field.value[1]:08b}"[::-1], 2),)))


def _unchanged(node: Tlv) -> bytes | None:
    """Stand for what the codec's types do themselves on decoding."""
    return None


def _rollback_flag(old: int, new: int) -> _Rewrite:
    def rewrite(node: Tlv) -> bytes | None:
        return _renamed(old, new)(node) if node.tag == 0xA3 and 0x5A in _tags(node) else None

    return rewrite


_BF2D = (0xBF2D,)
_REFRESH_TAGS = (0xBF58, 0xBF5A, 0xBF5B, 0xBF5C, 0xBF5D, 0xBF5E)
_EVENT_TAGS = (0xBF2F, 0xBF28, 0xBF2B, 0xB6)

_RULES: dict[Form, _Rule] = {
    Form.NESTED_PUBLIC_KEY: _Rule((), _KEY_FIELDS, _unchanged, _nested_key_deviate),
    Form.BARE_PUBLIC_KEY: _Rule(
        _EIM_CONFIGURATION, _KEY_FIELDS, lambda node: _replace(node, _bare_key_repair), _bare_key_deviate
    ),
    Form.BARE_PACKAGE_RESULT: _Rule(
        ("EuiccPackageResult",), (0xBF51,), _package_result_repair, _package_result_deviate
    ),
    Form.NESTED_PROFILE_LIST: _Rule(("ProfileInfoListResponse",), _BF2D, _profile_list_repair, _profile_list_deviate),
    Form.PROFILE_LIST_ERROR_INTEGER: _Rule(
        ("ProfileInfoListResponse",), _BF2D, _integer_error_repair, _integer_error_deviate
    ),
    Form.PROFILE_LIST_ERROR_EXPLICIT: _Rule(
        ("ProfileInfoListResponse",), _BF2D, _explicit_error_repair, _explicit_error_deviate
    ),
    Form.NESTED_CERTIFICATE: _Rule((), _KEY_FIELDS, _unchanged, _certificate_deviate),
    Form.BARE_IPA_EUICC_DATA: _Rule(("IpaEuiccDataResponse",), (0xBF52,), _ipa_data_repair, _ipa_data_deviate),
    Form.FILTER_WITHOUT_A0: _Rule(("RetrieveNotificationsListRequest",), (0xBF2B,), _filter_repair, _filter_deviate),
    Form.BITS_WITHOUT_COUNT: _Rule((), _EVENT_TAGS, _unchanged, _event_deviate),
    Form.UNIVERSAL_REFRESH_FLAG: _Rule(_REFRESH_REQUESTS, _REFRESH_TAGS, _renamed(0x01, 0x80), _renamed(0x80, 0x01)),
    Form.UNIVERSAL_CI_KEY_ID: _Rule(("GetCertsRequest",), (0xBF56,), _renamed(0x04, 0x80), _renamed(0x80, 0x04)),
    Form.CONTEXT_ROLLBACK_RESULT: _Rule(
        ("ProfileRollbackResponse",), (0xBF58,), _renamed(0x80, 0x02), _renamed(0x02, 0x80)
    ),
    Form.CONTEXT_ROLLBACK_FLAG: _Rule(("Psmo",), (0xA3,), _rollback_flag(0x81, 0x05), _rollback_flag(0x05, 0x81)),
}
