"""The interpretation log (bench.rsp.interpretation) for people and programs: options, wire forms, what is still open.

Here is why each wire form of bench.rsp.forms is decided as it is, and which points no code depends on yet.
"""

from __future__ import annotations

import argparse
import json
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from bench.rsp.forms import Form
from bench.rsp.interpretation import DEFAULT, NAMES

Party = Literal["card", "ipa", "eim", "smdpp", "reader"]


@dataclass(frozen=True, slots=True)
class Point:
    """One uncertain point. ``parties`` follow the option; ``accepted`` is what ours take from a peer in any case.

    ``values``: what each value means, by its text; under the empty text, for numbers and bytes, what the value is.
    """

    parties: tuple[Party, ...]
    question: str
    values: Mapping[str, str]
    reason: str
    source: str
    accepted: str


def _points() -> dict[str, Point]:
    """Read the table. Raises ValueError when it does not have exactly the options, in their order."""
    table = tomllib.loads(files("bench.rsp").joinpath("interpretation.toml").read_text("utf-8"))
    if tuple(table) != NAMES:
        raise ValueError(f"interpretation.toml does not fit the options: {sorted(set(table) ^ set(NAMES)) or 'order'}")
    return {name: Point(**{**row, "parties": tuple(row["parties"])}) for name, row in table.items()}


POINTS: dict[str, Point] = _points()
"""Every point by the name of its option."""

FORMS: dict[Form, tuple[str, str]] = {
    Form.NESTED_PUBLIC_KEY: ("IMPLICIT TAGS: A0 and A1 replace the 30", "field findings: eimPublicKeyData"),
    Form.BARE_PUBLIC_KEY: ("the CHOICE has tags, so that one of A0 and A1 must stand", "field findings"),
    Form.BARE_PACKAGE_RESULT: (
        "the CHOICE in BF51 is tagged; production silicon writes A0",
        "fact sheet 0.3: a known-answer test of one eIM is bare",
    ),
    Form.NESTED_PROFILE_LIST: ("A0 is the SEQUENCE OF itself; production silicon writes A0{E3}", "field findings"),
    Form.PROFILE_LIST_ERROR_INTEGER: ("alternative [1] of a CHOICE: 81", "field findings: error as bare INTEGER"),
    Form.PROFILE_LIST_ERROR_EXPLICIT: ("IMPLICIT TAGS: 81 holds the number", "field findings: error as A1"),
    Form.NESTED_CERTIFICATE: (
        "IMPLICIT: A5 and A6 replace the 30, as silicon writes them",
        "fact sheet 0.3: nested in the field",
    ),
    Form.BARE_IPA_EUICC_DATA: ("the CHOICE in BF52 is tagged", "field findings: bare, or a lone A0 of notifications"),
    Form.FILTER_WITHOUT_A0: (
        "searchCriteria [0] of a CHOICE is tagged explicitly: A0{80}",
        "field findings: notifications stuck for weeks",
    ),
    Form.BITS_WITHOUT_COUNT: (
        "a BIT STRING begins with the number of unused bits",
        "field findings: 81 01 01 for notificationInstall",
    ),
    Form.UNIVERSAL_REFRESH_FLAG: ("automatic tagging: 80", "fact sheet 0.3: one IPA sends 01"),
    Form.UNIVERSAL_CI_KEY_ID: ("automatic tagging: 80", "fact sheet 0.3: one IPA sends 04"),
    Form.CONTEXT_ROLLBACK_RESULT: (
        "a sibling is tagged, so there is no automatic tagging: 02",
        "fact sheet 0.3: one card sends 80",
    ),
    Form.CONTEXT_ROLLBACK_FLAG: (
        "a sibling is tagged, so there is no automatic tagging: 05 00",
        "fact sheet 0.3: one eIM sends 81",
    ),
}
"""Why the standard's form is what it is, and who sends the other."""

OPEN: dict[str, str] = {
    "emulated eUICC Packages": (
        "how an IPA marks results that it made for a consumer eUICC: here 64 zero octets in place of the signature; one"
        " IPA sends 32 R and 32 S, and its eIM omits the check for cards that it was told of"
    ),
    "CoAP binding": "Uri-Path, method, response codes and DTLS suites by the text (fact sheet C.5, I.1)",
    "X-Admin-Protocol": "value of v1.2 and v1.3: the IPA's option admin_protocol, the servers echo it (I.2)",
    "rPLMN in JSON": "key of the JSON binding, and the status code mapping of CR12011 (C.4, I.3)",
    "v1.3": "changes below the level of types are not known (I.8)",
    "eIM certificate": "object identifiers of a profile for CERT.EIM; cards check the stored key only (E.4, I.9)",
    "absent fields of AddInitialEim": "what CR12010 says about them was not seen (B.4)",
}
"""Points without an option: nothing in the bench depends on them, or their text was not seen."""


def rows() -> list[dict[str, Any]]:
    """Return every point: name, decision, values, parties, question, reason, source, accepted."""
    return [
        {
            "name": name,
            "decision": shown(getattr(DEFAULT, name)),
            "question": point.question,
            "values": dict(point.values),
            "parties": list(point.parties),
            "reason": point.reason,
            "source": point.source,
            "accepted": point.accepted,
        }
        for name, point in POINTS.items()
    ]


def shown(value: Any) -> str:
    """Return a value as a table of options has it."""
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, frozenset):
        names = sorted(form.name for form in value)
        return "all" if len(names) == len(Form) else ", ".join(names) or "none"
    return str(value)


def text() -> str:
    """Return the whole log as text."""
    out: list[str] = []
    for row in rows():
        out.append(f"{row['name']} = {row['decision']}   ({', '.join(row['parties'])})")
        out.append(f"    {row['question']}")
        out += [f"    {value or 'value'}: {effect}" for value, effect in row["values"].items()]
        out.append(f"    because {row['reason']}")
        out.append(f"    source  {row['source']}")
        out.append(f"    taken   {row['accepted']}")
        out.append("")
    out.append("Wire forms (emit, accept)")
    for form, (reason, source) in FORMS.items():
        out += [f"    {form.name}: {form.value}", f"        {reason}; {source}"]
    out += ["", "Open"]
    out += [f"    {name}: {why}" for name, why in OPEN.items()]
    return "\n".join(
        part
        for line in out
        for part in textwrap.wrap(line, 118, subsequent_indent=" " * (len(line) - len(line.lstrip()) + 4)) or [""]
    )


def main() -> None:
    """Print the log; ``--json`` for programs."""
    parser = argparse.ArgumentParser(prog="python -m bench.rsp.interpretation", description="The interpretation log")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    if parser.parse_args().json:
        forms = {form.name: {"form": form.value, "reason": why, "source": who} for form, (why, who) in FORMS.items()}
        print(json.dumps({"options": rows(), "forms": forms, "open": OPEN}, indent=2))
    else:
        print(text())
