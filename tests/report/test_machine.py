"""JUnit XML as Jenkins and Surefire take it, and result.json by its own schema."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bench.cli.main import bench
from bench.report.schema import RESULT
from bench.run import folder as places
from bench.run import junit as junit_xml
from bench.run import summary
from bench.run.events import normalise

from .folders import run_folder
from .test_report import KEYS, MANIFEST_KEYS, json_values, odd_events

TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]{0,3})?")
"""SUREFIRE_TIME of junit-10.xsd (jenkinsci/xunit-plugin), word for word."""
NUMBER = re.compile(r"[0-9]+")
STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")
ANY = re.compile(r".*", re.DOTALL)
# What both schemas allow: attributes (pattern, required), and the elements within.
ELEMENTS: dict[str, tuple[dict[str, tuple[re.Pattern[str], bool]], tuple[str, ...]]] = {
    "testsuites": (
        {"tests": (NUMBER, False), "failures": (NUMBER, False), "errors": (NUMBER, False), "time": (TIME, False)},
        ("testsuite",),
    ),
    "testsuite": (
        {
            "name": (ANY, True), "tests": (NUMBER, True), "failures": (NUMBER, True), "errors": (NUMBER, True),
            "skipped": (NUMBER, True), "time": (TIME, True), "timestamp": (STAMP, False),
        },
        ("properties", "testcase"),
    ),
    "properties": ({}, ("property",)),
    "property": ({"name": (ANY, True), "value": (ANY, True)}, ()),
    "testcase": (
        {"name": (ANY, True), "classname": (ANY, True), "time": (TIME, True)},
        ("failure", "error", "system-out"),
    ),
    "failure": ({"type": (ANY, True), "message": (ANY, True)}, ()),
    "error": ({"type": (ANY, True), "message": (ANY, True)}, ()),
    "system-out": ({}, ()),
}  # fmt: skip


def check(text: str) -> ET.Element:
    """Hold a file against the schema."""
    root = ET.fromstring(text.encode("utf-8"))
    assert root.tag == "testsuites"
    for element in root.iter():
        attributes, within = ELEMENTS[element.tag]
        assert set(element.attrib) <= set(attributes), element.attrib
        for name, (pattern, required) in attributes.items():
            assert name in element.attrib or not required, (element.tag, name)
            assert pattern.fullmatch(element.attrib.get(name, "0")) or name == "timestamp", (name, element.attrib)
        assert all(child.tag in within for child in element), [child.tag for child in element]
        if element.tag == "testcase":
            assert len(element.findall("failure") + element.findall("error")) <= 1
            assert [child.tag for child in element] == sorted((child.tag for child in element), key=within.index)
    for suite in root:
        assert [child.tag for child in suite][:1] == ["properties"]
        for name, found in (("tests", "testcase"), ("failures", "testcase/failure"), ("errors", "testcase/error")):
            assert int(suite.attrib[name]) == len(suite.findall(found)) == int(root.attrib[name])
        names = [case.attrib["name"] for case in suite.iter("testcase")]
        assert len(set(names)) == len(names)
    return root


def test_a_run_as_literal_junit(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    root = check(junit_xml.junit(summary.result(folder)))
    (suite,) = root
    assert suite.attrib["name"] == "bootstrap-to-operational on sim"
    assert suite.attrib["timestamp"] == "2026-11-21T10:41:55"
    assert {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")} == {
        "run": folder.name, "device": "fail", "bench": "pass", "simulated": "true",
        "register/attach: time_to_register": "20.5 s", "register/attach: rsrp": "-84.0 dBm",
    }  # fmt: skip
    cases = {case.attrib["name"]: case for case in suite.iter("testcase")}
    assert list(cases) == ["start-state", "register", "register/attach", "run"]
    assert ET.tostring(cases["start-state"]).strip() == (
        b'<testcase classname="bootstrap-to-operational on sim" name="start-state" time="10.000" />'
    )
    failed = cases["register/attach"]
    assert failed.find("failure").attrib == {  # type: ignore[union-attr]
        "type": "fail", "message": "modem /dev/ttyUSB2: not registered within 20 s: searching",
    }  # fmt: skip
    assert (failed.findtext("system-out") or "").splitlines() == [
        "time_to_register = 20.5 s (limit <= 20.0 s: fail)",
        "rsrp = -84.0 dBm, from at",
    ]


def test_times_have_at_most_three_decimals_and_steps_their_own_names() -> None:
    events = []
    for elapsed in (1e-05, 0.1234567891, 12345.6789, float("nan"), None, -1.0):
        events += [
            normalise({"type": "step-start", "step": "poll"}),
            normalise({"type": "step-end", "step": "poll", "data": {"verdict": "pass", "elapsed": elapsed}}),
        ]
    text = junit_xml.junit(summary.summarise({}, [event for event in events if event is not None]))
    cases = [case.attrib for case in check(text).iter("testcase")][:-1]
    assert [case["time"] for case in cases] == ["0.000", "0.123", "12345.679", "0.000", "0.000", "0.000"]
    assert [case["name"] for case in cases] == ["poll", *(f"poll ({n})" for n in range(2, 7))]


@pytest.mark.skipif(shutil.which("xmllint") is None, reason="xmllint is needed")
def test_another_parser_takes_it(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    summary.derive(folder)
    done = subprocess.run(["xmllint", "--noout", folder / places.JUNIT], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


validator = Draft202012Validator(RESULT)


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from(MANIFEST_KEYS), json_values), st.lists(odd_events, max_size=12))
def test_whatever_a_record_holds_both_files_keep_to_their_schema(manifest: dict[str, Any], events: list[Any]) -> None:
    read = [event for one in events if (event := normalise(json.loads(json.dumps(one)))) is not None]
    found = summary._plain(summary.summarise(manifest, read))
    validator.validate(json.loads(json.dumps(found, default=str), parse_constant=no_constant))
    check(junit_xml.junit(found).encode("utf-8", "replace").decode())


def test_the_schema_is_one_and_holds_a_run_with_power(tmp_path: Path) -> None:
    Draft202012Validator.check_schema(RESULT)
    found = summary.result(run_folder(tmp_path))
    validator.validate(found)
    assert found["power"]["psu1"]["energy_J"] == 50.5
    assert (found["duration"], found["clock"], found["seed"]) == (31.0, "instant", 1458459442)
    assert set(KEYS)  # what damaged records of the property tests are made of
    printed = CliRunner().invoke(bench, ["report", "--schema"], catch_exceptions=False).stdout
    assert json.loads(printed) == RESULT
    for name in RESULT["required"]:  # what programs rely on: taking one away is a new schema number
        broken = {key: value for key, value in found.items() if key != name}
        assert not validator.is_valid(broken), name


def test_not_a_number_is_null_in_result_json(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    with (folder / places.JOURNAL).open("a") as journal:  # our own writer writes words for them
        journal.write('{"type": "result", "data": {"name": "odd", "value": [NaN, {"deep": Infinity}]}}\n')
    summary.derive(folder)
    text = (folder / places.RESULT).read_text()
    assert json.loads(text, parse_constant=no_constant)["results"]["odd"] == [None, {"deep": None}]
