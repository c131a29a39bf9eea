"""The interpretation log: every point on which the text at hand leaves room, as one named option.

No GSMA document was at hand when this was written: where sources disagree, or only one was seen, the decision is taken
here and nowhere else. Every field of :class:`Interpretation` is such a point, with the decision as its default, the
reason and the source. It serves twice. Given to a party (virtual eUICC, IPA, eIM) as option it is an injected fault:
the party then behaves as another reading would have it. And each point says what our own parties take from their
peers, whatever is decided: the tolerance.

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
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_type_hints

from bench.errors import ConfigurationError
from bench.rsp import forms
from bench.rsp.forms import Form

Party = Literal["card", "ipa", "eim", "reader"]


@dataclass(frozen=True, slots=True)
class Point:
    """One uncertain point. ``parties`` follow the option; ``accepted`` is what ours take from a peer in any case."""

    question: str
    parties: tuple[Party, ...]
    reason: str
    source: str
    accepted: str
    effects: Mapping[str, str] = field(default_factory=dict)
    """What each value means, by its text; for numbers and bytes: what the value is."""


def _point(
    default: Any, parties: str, question: str, effects: Mapping[str, str], *, reason: str, source: str, accepted: str
) -> Any:
    known: tuple[Party, ...] = ("card", "ipa", "eim", "reader")
    who = tuple(party for party in known if party in parties.split())
    return field(default=default, metadata={"point": Point(question, who, reason, source, accepted, effects)})


@dataclass(frozen=True, slots=True)
class Interpretation:
    """One reading of the standard. The defaults are the bench's; another value makes a party of another reading."""

    # --- wire forms ---------------------------------------------------------------------------------------------------

    emit: frozenset[Form] = _point(
        frozenset(),
        "card ipa eim",
        "Which wire forms other than the standard's does the party write?",
        {"": "the standard's only; names of bench.rsp.forms.Form"},
        reason="X.680 automatic tagging leaves one form; each other form has a known victim",
        source="fact sheet 0.3, field findings",
        accepted="every form: see `accept`",
    )
    accept: frozenset[Form] = _point(
        forms.ALL,
        "card ipa eim",
        "Which wire forms other than the standard's does the party read for what they mean?",
        {"": "the names of the forms; none is strict"},
        reason="cards and eIMs that send them are in the field and mean no harm",
        source="field findings",
        accepted="every form",
    )
    signature_format: Literal["raw", "der"] = _point(
        "raw",
        "card eim",
        "How are ECDSA signatures written in 5F37?",
        {"raw": "r and s, 64 bytes (BSI TR-03111)", "der": "Ecdsa-Sig-Value, as X.509 has it"},
        reason="SGP.22 section 2.6.7 names TR-03111; cards refuse the other",
        source="fact sheet 0.3; one eIM in the field emits DER",
        accepted="raw only by card and SM-DP+ (as silicon does); both by the eIM's check of results",
    )
    token_when_none: Literal["zero", "nothing"] = _point(
        "zero",
        "card eim",
        "What follows the signed data when the eIM has no associationToken?",
        {"zero": "the DO 84 01 00", "nothing": "nothing: the signature is over the data alone"},
        reason="two independent sources agree, and silicon confirms it",
        source="fact sheet 0.3 and B.1 (H-), field findings",
        accepted="zero only by the card; both by the eIM's check of results",
    )
    result_signs: Literal["token", "eim-signature"] = _point(
        "token",
        "card",
        "What follows the signed data of an eUICC Package Result?",
        {"token": "the associationToken DO", "eim-signature": "the eimSignature DO of the request (text of v1.0)"},
        reason="changed in section 2.11.2.1 between v1.0 and v1.2; peers of v1.0 already signed the token",
        source="fact sheet B.1, G row 13",
        accepted="token; eim-signature too from a peer of dialect 1.0",
    )

    # --- eUICC Packages -----------------------------------------------------------------------------------------------

    after_failure: Literal["ends", "processing-terminated"] = _point(
        "ends",
        "card",
        "What stands after the result of a PSMO or eCO that failed?",
        {
            "ends": "nothing: its result is the last one",
            "processing-terminated": "a further processingTerminated (02 01 02)",
        },
        reason="section 3.3.1 step 5 as cited by one reader",
        source="fact sheet 0.3, I.6 (m)",
        accepted="both",
    )
    unsigned_error_code: Literal["absent", "undefined"] = _point(
        "absent",
        "card",
        "Does an unsigned error for an unknown eIM or a wrong signature carry 8F?",
        {"absent": "no code", "undefined": "8F 01 7F undefinedError"},
        reason="the code is optional, and v1.0 readers do not know it",
        source="fact sheet B.3 step 2 ('8F code?')",
        accepted="both",
    )
    ecall_check: Literal["after-eid", "before-signature"] = _point(
        "after-eid",
        "card",
        "When is the active emergency profile seen in LoadEuiccPackage?",
        {
            "after-eid": "after signature and eidValue: signed error 104",
            "before-signature": "first of all, as soon as the eIM is known",
        },
        reason="an error that is signed presumes a verified request",
        source="fact sheet B.3 step 4, I.4",
        accepted="both",
    )
    counter_maximum: int = _point(
        0x7FFFFF,
        "card",
        "Above which counterValue does the eUICC answer counterValueOutOfRange?",
        {"": "the largest value that is taken"},
        reason="two sources agree on 8 388 607",
        source="fact sheet B.3 step 5 (m-H)",
        accepted="any counter of a card that the eIM has counted up to",
    )
    package_rules: Literal["enforced", "ignored"] = _point(
        "enforced",
        "card",
        "Is a package with two enables, two disables, or a disable after an enable damaged?",
        {"enforced": "processingTerminated at the offending PSMO", "ignored": "executed in order"},
        reason="section 2.11.1.1 and 3.4.1 to 3.4.3 as cited",
        source="fact sheet B.3 step 7 (m)",
        accepted="the eIM orders no such package by itself",
    )
    list_after_change: Literal["profile-change-ongoing", "listed"] = _point(
        "profile-change-ongoing",
        "card",
        "What answers a listProfileInfo after enable, disable or delete in the same package?",
        {"profile-change-ongoing": "error 11", "listed": "the list as before the change"},
        reason="the code exists for this",
        source="fact sheet B.3 step 7 (m)",
        accepted="both",
    )
    listed_by_default: Literal["sgp32", "sgp22"] = _point(
        "sgp32",
        "card",
        "Which fields does the PSMO listProfileInfo give without a tag list?",
        {"sgp32": "5A 4F 9F70 91 92 95 9F7B 9F26 9F67", "sgp22": "5A 4F 9F70 90 91 92 93 94 95"},
        reason="one reader of v1.3 lists them so",
        source="fact sheet A.4 (m)",
        accepted="any fields",
    )
    result_of_error_kept: bool = _point(
        False,
        "card",
        "Is an error result of a package kept until it is acknowledged?",
        {"False": "no: it has no sequence number", "True": "yes, with a number of its own in the list of results"},
        reason="there is no seqNumber in error results to acknowledge",
        source="fact sheet B.3",
        accepted="both",
    )
    enable_refreshes: bool = _point(
        True,
        "card",
        "Does enable or disable in a package always issue REFRESH?",
        {"True": "yes, as with refreshFlag TRUE", "False": "no: effective at once, the device resets the card"},
        reason="a package has no refreshFlag, and the device must hear of the change",
        source="fact sheet I.5",
        accepted="both: the IPA resets a card that has no REFRESH to fetch",
    )
    refresh_qualifier: int = _point(
        4,
        "card",
        "With which qualifier is REFRESH issued after a change of the enabled profile?",
        {"": "4 UICC reset, 9 eUICC profile state change"},
        reason="every terminal knows 4; 9 only where the terminal announced it",
        source="fact sheet F.5 (m)",
        accepted="any qualifier",
    )

    refresh_before_profile: bool = _point(
        False,
        "card",
        "Is REFRESH announced (91xx) to a terminal that has sent no TERMINAL PROFILE?",
        {"False": "no: 9000, and the switch waits for the reset", "True": "yes"},
        reason="a terminal shows by TERMINAL PROFILE that it fetches; one foreign IPA takes 91xx for an error",
        source="TS 102 223 section 6.2 from memory (m); field findings: cards that hold a REFRESH",
        accepted="both: the IPA resets a card at a reader after every switch",
    )
    signed_info2: Literal["sgp32", "sgp22"] = _point(
        "sgp32",
        "card",
        "Has the EUICCInfo2 in euiccSigned1 the members of SGP.32 (90 ipaMode, B4 iotSpecificInfo)?",
        {"sgp32": "yes", "sgp22": "no: as in RSPDefinitions, which v1.0 used here"},
        reason="v1.2 has an EuiccSigned1 of its own; an IPA of v1.0 that encodes again loses them, and the signature",
        source="fact sheet appendix 4 (EuiccSigned1 only in v1.2); seen with a foreign IPA",
        accepted="both: signatures are verified over received bytes",
    )

    # --- eIM configuration --------------------------------------------------------------------------------------------

    add_eim_needs_counter: bool = _point(
        True,
        "card",
        "Is an addEim or AddInitialEim without counterValue refused?",
        {"True": "commandError 7", "False": "the counter starts at 0"},
        reason="needed when adding, says one source; a counter left open would allow replay",
        source="fact sheet B.4 (m)",
        accepted="the eIM always sends it",
    )
    lower_counter: Literal["with-key", "never", "always"] = _point(
        "with-key",
        "card",
        "May updateEim set a counterValue below the present one?",
        {"with-key": "only together with a new key", "never": "commandError 7", "always": "yes"},
        reason="with the old key every package signed before could be replayed",
        source="fact sheet B.4 (m)",
        accepted="the eIM lowers it only with a new key",
    )

    # --- profiles -----------------------------------------------------------------------------------------------------

    immediate_enable_checks_server: bool = _point(
        True,
        "card",
        "Must the SM-DP+ of the session be the configured one for ImmediateEnable?",
        {"True": "OID and address are compared where configured", "False": "they are not"},
        reason="they would serve no purpose otherwise",
        source="fact sheet B.6 (m)",
        accepted="both",
    )
    fallback_notifications: bool = _point(
        True,
        "card",
        "Do ExecuteFallbackMechanism and ReturnFromFallback queue enable and disable notifications?",
        {"True": "as every change of state", "False": "none"},
        reason="every state change queues one (SGP.22)",
        source="fact sheet B.7 (m)",
        accepted="both",
    )
    emergency_notifications: bool = _point(
        False,
        "card",
        "Do Enable- and DisableEmergencyProfile queue notifications?",
        {"False": "none", "True": "as every change of state"},
        reason="one source says so; the emergency profile is to be quick",
        source="fact sheet A.3 (m)",
        accepted="both",
    )
    es10c_switching: Literal["refused", "allowed"] = _point(
        "refused",
        "card",
        "Does an IoT eUICC execute unsigned EnableProfile, DisableProfile and DeleteProfile?",
        {"refused": "6A88, as a function that is not there", "allowed": "as a consumer eUICC"},
        reason="in SGP.32 the state changes by signed packages or the functions of ES10b",
        source="fact sheet A.3 (m)",
        accepted="the bench's IPA sends them to consumer eUICCs only",
    )
    test_profiles_exempt: bool = _point(
        True,
        "card",
        "Are test profiles exempt from Profile Policy Rules?",
        {"True": "PPR1 and PPR2 do not bind them", "False": "they do"},
        reason="SGP.22 section 2.9 from memory",
        source="fact sheet F.6 (m)",
        accepted="both",
    )
    longest_segment: int = _point(
        1036,
        "card",
        "How long may a segment of a Bound Profile Package be, with tag, length and MAC?",
        {"": "bytes; 1020 is the limit of SGP.22"},
        reason="one widely used test SM-DP+ makes 1036, padding after it has cut; what silicon does is not known here",
        source="fact sheet D.4; seen with a foreign SM-DP+",
        accepted="1036 bytes by the card; the SM-DP+ never makes more than 1020",
    )
    extended_length: bool = _point(
        False,
        "card",
        "Does the card take APDUs of extended length?",
        {"False": "6700", "True": "yes"},
        reason="not required by SGP.22",
        source="fact sheet F.3 (m)",
        accepted="the bench never sends them",
    )

    # --- file system and network access -------------------------------------------------------------------------------

    search_not_found: Literal["6282", "6A83"] = _point(
        "6282",
        "card",
        "What does SEARCH RECORD answer when no record matches?",
        {"6282": "warning: unsuccessful search", "6A83": "record not found"},
        reason="TS 102 221 lists 6282 as 'end of file reached ... or unsuccessful search'; a fact sheet has 6A83",
        source="TS 102 221 table 10.9 as a card tool quotes it; profile_packages 11",
        accepted="both",
    )
    test_algorithm_sqn: Literal["any", "fresh"] = _point(
        "any",
        "card",
        "Does the test algorithm of TS 34.108 (GSMA's test profiles) check that SQN is fresh?",
        {"any": "every SQN is taken; AMF FFFF asks for AUTS", "fresh": "as Milenage: an old SQN gives AUTS"},
        reason="the schema of profile packages says of all SQN options 'ignored in case of usim-test-algorithm'",
        source="TCA SAIP schema, PE-AKAParameter; TS 34.108 section 8.1.2.2 from memory",
        accepted="both: the simulated network steps SQN and resynchronises",
    )
    empty_verify: Literal["done", "invalidated"] = _point(
        "done",
        "card",
        "What does VERIFY without data answer for a PIN that is disabled?",
        {"done": "9000: nothing has to be verified (ISO/IEC 7816-4)", "invalidated": "6984, as with data"},
        reason="modems ask this way at start, and count attempts only when there are any",
        source="ISO/IEC 7816-4 section 11.5.6; profile_packages 11 and 13",
        accepted="both",
    )

    # --- IPA ----------------------------------------------------------------------------------------------------------

    terminal_capability: bytes = _point(
        bytes.fromhex("A903830107"),
        "reader",
        "Which TERMINAL CAPABILITY announces an IPA?",
        {"": "content of the command; 83: 01 LUId, 02 LPDd, 04 LDSd"},
        reason="no bit of SGP.32 was found: what LPAs send makes hidden ISD-Rs appear",
        source="fact sheet F.2, I.7",
        accepted="any content",
    )
    rollback_after: float = _point(
        30.0,
        "ipa",
        "How long does the IPA try to reach the eIM on the new profile before it rolls back?",
        {"": "seconds after the first attempt failed"},
        reason="implementation-defined; longer than an attach with one retry",
        source="fact sheet B.5 (m)",
        accepted="any time",
    )
    immediate_enable_first: bool = _point(
        True,
        "ipa",
        "Is ImmediateEnable called before the installation result is delivered?",
        {"True": "right after BF37, in the same session", "False": "after the result went out"},
        reason="one IPA does, and the session context must still be there",
        source="fact sheet B.6",
        accepted="the eIM takes results before and after",
    )
    trigger_result_in: Literal["handle-notification", "provide-result"] = _point(
        "handle-notification",
        "ipa",
        "Which function carries the result of a direct download to the eIM?",
        {
            "handle-notification": "HandleNotification (BF3D{BF50{BF54}})",
            "provide-result": "ProvideEimPackageResult (BF50{BF54}), as v1.0 and some peers",
        },
        reason="section 3.1.1.1 as cited by one reader",
        source="fact sheet C.2, D.1",
        accepted="both by the eIM",
    )
    unknown_tag_in_list: Literal["error", "ignored"] = _point(
        "error",
        "ipa",
        "What answers an IpaEuiccDataRequest with a tag that IpaEuiccData does not have (5A, BF2D)?",
        {"error": "incorrectTagList 1", "ignored": "the other fields"},
        reason="the code exists for this",
        source="field findings (5A and BF2D are not allowed), B.9",
        accepted="both: the eIM asks for no such tag",
    )

    # --- eIM ----------------------------------------------------------------------------------------------------------

    old_sequence: Literal["discarded", "taken"] = _point(
        "discarded",
        "eim",
        "What becomes of a result whose seqNumber is not above the last seen from this eUICC?",
        {"discarded": "it is not used, and the order goes on waiting", "taken": "it is used"},
        reason="a test of one peer says so; it protects against replayed results",
        source="fact sheet B.3",
        accepted="the same number again for the same result",
    )
    activation_code_prefix: bool = _point(
        False,
        "eim",
        "Does the activation code in a trigger (BF54) begin with LPA:?",
        {"False": "no: 1$address$matchingId", "True": "yes: LPA:1$address$matchingId"},
        reason="the vectors at hand have none, and it costs radio",
        source="fact sheet D.6",
        accepted="both by the IPA",
    )
    notification_answer: Literal[204, 200] = _point(
        204,
        "eim",
        "With which HTTP status is HandleNotification answered?",
        {"204": "no content", "200": "an empty body"},
        reason="section 5.14.7 has no response message",
        source="fact sheet C.1, C.2",
        accepted="both by the IPA",
    )
    nothing_to_acknowledge: Literal["empty-response", "empty-list"] = _point(
        "empty-response",
        "eim",
        "What answers a result that has no sequence number to acknowledge?",
        {"empty-response": "BF50{30 00}", "empty-list": "BF50{BF53 00}"},
        reason="the alternative exists for this",
        source="field findings (emptyResponse)",
        accepted="both by the IPA, and BF50 00 of v1.0",
    )

    @classmethod
    def read(cls, values: Mapping[str, object], *, where: str = "interpretation") -> Interpretation:
        """Return the reading with the options of a table (bench.toml, service options, command line).

        Forms are lists of names, bytes hexadecimal text. Raises ConfigurationError for unknown names and values.
        """
        made: dict[str, Any] = {}
        for name, value in values.items():
            if name not in POINTS:
                import difflib

                close = difflib.get_close_matches(name, POINTS, 1)
                hint = f"did you mean {close[0]!r}?" if close else "python -m bench.rsp.interpretation lists them"
                raise ConfigurationError(f"no option {name!r} of interpretation", where=where, hint=hint)
            made[name] = _checked(name, value, f"{where}.{name}")
        return cls(**made)

    @property
    def changed(self) -> dict[str, Any]:
        """The options that differ from the decision, for the record of a run."""
        return {name: getattr(self, name) for name in POINTS if getattr(self, name) != getattr(DEFAULT, name)}


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


POINTS: dict[str, Point] = {item.name: item.metadata["point"] for item in dataclasses.fields(Interpretation)}
"""Every point by the name of its option."""
DEFAULT = Interpretation()
"""The bench's reading."""


@functools.cache
def _types() -> dict[str, Any]:
    """Return the types of the options; not worked out before somebody sets one."""
    return get_type_hints(Interpretation)


if __name__ == "__main__":
    from bench.rsp.interpretation_table import main

    main()
