"""The interpretation log: every point on which the text at hand leaves room, as one named option.

No GSMA document was at hand when this was written: where sources disagree, or only one was seen, the decision is taken
here and nowhere else. Every field of :class:`Interpretation` is such a point, with the decision as its default; reason
and source are in ``interpretation.toml`` (bench.rsp.interpretation_table reads it). It serves twice. Given to a party
(virtual eUICC, IPA, eIM) as option it is an injected fault: the party then behaves as another reading would have it.
And each point says what our own parties take from their peers, whatever is decided: the tolerance.

Wire forms are points too: ``emit`` names those that a party writes, ``accept`` those it reads (bench.rsp.forms has the
rewriting, bench.rsp.interpretation_table reason and source). Messages of SGP.32 v1.0 are no interpretation but another
version: bench.rsp.dialect.

Sources: "fact sheet" are the notes on SGP.32 that this bench was built from, by their sections, with the confidence
they give: (H) high, (m) medium, (l) low; "field findings" what programs and silicon were seen to do.

``python -m bench.rsp.interpretation`` prints the log (``--json`` for programs), with the points that no code of the
bench depends on yet.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from bench.errors import ConfigurationError
from bench.rsp import forms
from bench.rsp.forms import Form


@dataclass(frozen=True, slots=True)
class Interpretation:
    """One reading of the standard. The defaults are the bench's; another value makes a party of another reading.

    What each option asks, what its values mean and why it is decided so: ``interpretation.toml`` beside this file.
    """

    # wire forms
    emit: frozenset[Form] = frozenset()
    accept: frozenset[Form] = forms.ALL
    signature_format: Literal["raw", "der"] = "raw"
    token_when_none: Literal["zero", "nothing"] = "zero"
    result_signs: Literal["token", "eim-signature"] = "token"

    # eUICC Packages
    after_failure: Literal["ends", "processing-terminated"] = "ends"
    unsigned_error_code: Literal["absent", "undefined"] = "absent"
    ecall_check: Literal["after-eid", "before-signature"] = "after-eid"
    counter_maximum: int = 0x7FFFFF
    package_rules: Literal["enforced", "ignored"] = "enforced"
    list_after_change: Literal["profile-change-ongoing", "listed"] = "profile-change-ongoing"
    listed_by_default: Literal["sgp32", "sgp22"] = "sgp32"
    result_of_error_kept: bool = False
    enable_refreshes: bool = True
    refresh_qualifier: int = 4
    refresh_before_profile: bool = False
    signed_info2: Literal["sgp32", "sgp22"] = "sgp32"

    # eIM configuration
    add_eim_needs_counter: bool = True
    lower_counter: Literal["with-key", "never", "always"] = "with-key"

    # profiles
    immediate_enable_checks_server: bool = True
    fallback_notifications: bool = True
    emergency_notifications: bool = False
    es10c_switching: Literal["refused", "allowed"] = "refused"
    test_profiles_exempt: bool = True
    longest_segment: int = 1036
    extended_length: bool = False

    # file system and network access
    search_not_found: Literal["6282", "6A83"] = "6282"
    test_algorithm_sqn: Literal["any", "fresh"] = "any"
    empty_verify: Literal["done", "invalidated"] = "done"

    # IPA
    terminal_capability: bytes = bytes.fromhex("A903830107")
    rollback_after: float = 30.0
    immediate_enable_first: bool = True
    trigger_with_data: Literal["by-version", "direct", "indirect"] = "by-version"
    without_confirmation_code: Literal["timeout", "postponed", "end-user-rejection"] = "timeout"
    trigger_result_in: Literal["handle-notification", "provide-result"] = "handle-notification"
    unknown_tag_in_list: Literal["error", "ignored"] = "error"
    json_plmn_key: Literal["rPlmn", "rPLMN"] = "rPlmn"
    compact_after: Literal["transaction-id", "capability"] = "transaction-id"
    other_session: Literal["refused", "taken"] = "refused"
    coap_uri_host: Literal["omitted", "sent"] = "omitted"

    # eIM
    old_sequence: Literal["discarded", "taken"] = "discarded"
    activation_code_prefix: bool = False
    notification_answer: Literal[204, 200] = 204
    nothing_to_acknowledge: Literal["empty-response", "empty-list"] = "empty-response"
    json_values: Literal["tagged", "bare"] = "tagged"
    json_result_error: Literal["provideEimPackageResultError", "eimPackageError"] = "provideEimPackageResultError"
    coap_answer: Literal["changed", "content"] = "changed"
    coap_content_format: Literal["omitted", "named"] = "omitted"

    # SM-DP+
    failed_installation: Literal["permanent-ends", "may-retry"] = "permanent-ends"
    deleted_profile: Literal["available", "unavailable"] = "available"
    repeated_call: Literal["same-answer", "new-call"] = "same-answer"
    repeated_step: Literal["same-answer", "refused"] = "same-answer"
    es2_iccid: Literal["padded", "digits"] = "padded"
    cancel_point: Literal["failed", "reached"] = "failed"
    event_points: Literal["none", "5-101-102", "6-7-8"] = "none"

    @classmethod
    def read(cls, values: Mapping[str, object], *, where: str = "interpretation") -> Interpretation:
        """Return the reading with the options of a table (bench.toml, service options, command line).

        Forms are lists of names, bytes hexadecimal text. Raises ConfigurationError for unknown names and values.
        """
        made: dict[str, Any] = {}
        for name, value in values.items():
            if name not in NAMES:
                import difflib

                close = difflib.get_close_matches(name, NAMES, 1)
                hint = f"did you mean {close[0]!r}?" if close else "python -m bench.rsp.interpretation lists them"
                raise ConfigurationError(f"no option {name!r} of interpretation", where=where, hint=hint)
            made[name] = _checked(name, value, f"{where}.{name}")
        return cls(**made)

    @property
    def changed(self) -> dict[str, Any]:
        """The options that differ from the decision, for the record of a run."""
        return {name: getattr(self, name) for name in NAMES if getattr(self, name) != getattr(DEFAULT, name)}


def _checked(name: str, value: object, where: str) -> Any:
    kind, default = _types()[name], getattr(DEFAULT, name)
    choices = get_args(kind)
    if isinstance(default, frozenset):
        items = value if isinstance(value, list | tuple | set | frozenset) else [value]
        if all(isinstance(item, Form) or str(item) in Form.__members__ for item in items):
            return frozenset(item if isinstance(item, Form) else Form[str(item)] for item in items)
        fits = ", ".join(Form.__members__)
    elif choices:
        if value in choices:
            return value
        fits = ", ".join(map(repr, choices))
    elif isinstance(default, bool):
        if isinstance(value, bool):
            return value
        fits = "true, false"
    elif isinstance(default, bytes):
        if isinstance(value, bytes):
            return value
        try:
            return bytes.fromhex(str(value))
        except ValueError:
            fits = "hexadecimal text"
    else:
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return type(default)(value)
        fits = "a number from 0 on"
    raise ConfigurationError(f"{value!r} does not fit {name}", where=where, hint=f"allowed: {fits}")


NAMES: tuple[str, ...] = tuple(item.name for item in dataclasses.fields(Interpretation))
"""The points: names of the options."""
DEFAULT = Interpretation()
"""The bench's reading."""


@functools.cache
def _types() -> dict[str, Any]:
    """Return the types of the options; not worked out before somebody sets one."""
    return get_type_hints(Interpretation)


if __name__ == "__main__":
    from bench.rsp.interpretation_table import main

    main()
