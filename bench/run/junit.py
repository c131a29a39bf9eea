"""``junit.xml`` of a run: a test case a step and one for the run itself, as Jenkins and Maven Surefire read it.

Held to what both of their schemas allow (junit-10.xsd of Jenkins' xUnit plug-in, surefire-test-report.xsd): their
attributes and elements only, times with at most three decimals, nothing that XML 1.0 cannot hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FAILED = ("fail", "inconclusive")
_NO_TIME = ' time="0.000"'
"""Required by the schemas, also where it is not known."""
_CONTROL = {number: "�" for number in range(32) if number not in (9, 10, 13)} | {0xFFFE: "�", 0xFFFF: "�"}


# What xml.sax.saxutils does, without its imports: it takes the whole of urllib along, 20 ms of every run.
_ESCAPED = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
_QUOTED = {**_ESCAPED, ord('"'): "&quot;", 9: "&#9;", 10: "&#10;", 13: "&#13;"}


def _content(text: str) -> str:
    """Return text as the content of an element."""
    return text.translate(_ESCAPED)


def _attribute(text: str) -> str:
    """Return text as the value of an attribute, in its quotes."""
    return f'"{text.translate(_QUOTED)}"'


def _text(value: object) -> str:
    """Return text that XML 1.0 can hold."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return text.translate(_CONTROL)


def junit(result: Mapping[str, Any]) -> str:
    """Return the result as JUnit XML; ``result`` as ``bench.run.summary.summarise`` makes it.

    A step that comes again has its count behind its name, so that no reader takes two for one. What was measured
    stands in the case's output, and as properties of the suite.
    """
    suite = _text(f"{result['recipe']} on {result['station']}")
    cases: list[str] = []
    counts = {"failures": 0, "errors": 0}
    seen: dict[str, int] = {}
    properties = [("run", result["run"]), ("device", result["device"]), ("bench", result["bench"])]
    properties.append(("simulated", str(result["simulated"]).lower()))
    for step in result["steps"]:
        path = step["path"]
        seen[path] = seen.get(path, 0) + 1
        name = path if seen[path] == 1 else f"{path} ({seen[path]})"
        said = [_measured(measured) for measured in step["measurements"]]
        cases.append(_case(suite, name, step["elapsed"], step["verdict"], step["message"], counts, said))
        for measured in step["measurements"]:
            unit = f" {measured['unit']}" if measured.get("unit") else ""
            properties.append((f"{name}: {measured.get('name')}", f"{measured.get('value')}{unit}"))
    told = "; ".join(str(error.get("what", "")) for error in result["errors"]) or result["summary"]
    cases.append(_case(suite, "run", result["real"], result["verdict"], told, counts, []))
    listed = "".join(
        f"   <property name={_attribute(_text(name))} value={_attribute(_text(value))}/>\n"
        for name, value in properties
    )
    numbers = f'tests="{len(cases)}" failures="{counts["failures"]}" errors="{counts["errors"]}"'
    time = _time(result["real"]) or _NO_TIME
    began = _text(result["started"])[:19]
    stamp = f" timestamp={_attribute(began)}" if len(began) == 19 and began[10] == "T" else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {numbers}{time}>\n'
        f' <testsuite name={_attribute(suite)} {numbers} skipped="0"{time}{stamp}>\n'
        f"  <properties>\n{listed}  </properties>\n{''.join(cases)} </testsuite>\n</testsuites>\n"
    )


def _time(seconds: object) -> str:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e12:
        return ""
    return f' time="{seconds:.3f}"'


def _measured(data: Mapping[str, Any]) -> str:
    unit = f" {data['unit']}" if data.get("unit") else ""
    bounds = [f"{sign} {data[key]}{unit}" for key, sign in (("lower", ">="), ("upper", "<=")) if key in data]
    limits = f" (limit {' and '.join(bounds)}: {data.get('verdict')})" if bounds else ""
    source = f", from {data['source']}" if data.get("source") else ""
    return _text(f"{data.get('name')} = {data.get('value')}{unit}{limits}{source}")


def _case(
    suite: str, name: str, seconds: object, verdict: str, message: str, counts: dict[str, int], said: list[str]
) -> str:
    time = _time(seconds) or _NO_TIME
    head = f"  <testcase classname={_attribute(suite)} name={_attribute(_text(name))}{time}"
    out = f"   <system-out>{_content(chr(10).join(said))}</system-out>\n" if said else ""
    if verdict == "pass":
        return f"{head}>\n{out}  </testcase>\n" if out else f"{head}/>\n"
    kind, count = ("failure", "failures") if verdict in _FAILED else ("error", "errors")
    counts[count] += 1
    text = _text(message)
    first = text.splitlines()[0] if text else _text(verdict)
    return (
        f"{head}>\n   <{kind} type={_attribute(_text(verdict))} message={_attribute(first)}>"
        f"{_content(text)}</{kind}>\n{out}  </testcase>\n"
    )
