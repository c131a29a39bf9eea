"""JSON Schema of ``result.json`` (draft 2020-12): what a program may rely on.

Version 1. What is required stays, with its type and its unit; a later version only adds, and adds only what is not
required. Times are seconds, ``elapsed`` and ``duration`` of station time, ``real`` of the host's.
"""

from __future__ import annotations

from typing import Any, Final

_VERDICTS: Final = ["pass", "inconclusive", "fail", "aborted", "error", "bench-error"]
_SECONDS: Final = {"type": ["number", "null"], "description": "seconds; null when it is not known"}
_TEXT: Final = {"type": "string"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None, told: str = "") -> dict[str, Any]:
    made = {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}
    return {**made, "description": told} if told else made


def _list(of: dict[str, Any], told: str = "") -> dict[str, Any]:
    return {"type": "array", "items": of, **({"description": told} if told else {})}


_MEASUREMENT: Final = _object(
    {},
    {
        "name": {},
        "value": {"description": "number, text, boolean, or null when it could not be measured"},
        "unit": {},
        "lower": {"description": "least allowed value, in unit"},
        "upper": {"description": "highest allowed value, in unit"},
        "verdict": {},
        "source": {"description": "who measured it, where that is not the station's instrument"},
    },
    "as the recipe recorded it",
)
_STEP: Final = _object(
    {
        "path": {"type": "string", "description": "names of the step and those around it, joined with /"},
        "verdict": {"type": "string", "description": "as of the run; aborted when it never ended"},
        "elapsed": _SECONDS,
        "real": _SECONDS,
        "message": _TEXT,
        "measurements": _list(_MEASUREMENT),
    }
)
_RANGE: Final = _object({"min": {"type": ["number", "null"]}, "mean": {"type": ["number", "null"]},
                         "max": {"type": ["number", "null"]}})  # fmt: skip
_POWER: Final = _object(
    {
        "samples": {"type": "integer"},
        "gaps": {"type": "integer", "description": "measurements that failed"},
        "covered_s": {"type": ["number", "null"]},
        "off_s": {"type": ["number", "null"]},
        "longest_interval_s": {"type": ["number", "null"]},
        "energy_J": {"type": ["number", "null"]},
        "energy_mWh": {"type": ["number", "null"]},
        "charge_C": {"type": ["number", "null"]},
        "volts": _RANGE,
        "amps": _RANGE,
        "interval_s": {"type": "number"},
    },
    {"channel": {}},
    "figures of one supply, by the trapezoidal rule over the covered time",
)

RESULT: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:esim-bench:result:1",
    "title": "result.json of a bench run",
    **_object(
        {
            "schema": {"type": "integer", "minimum": 1},
            "run": {"type": "string", "description": "id of the run, the name of its folder"},
            "recipe": _TEXT,
            "station": _TEXT,
            "simulated": {"type": "boolean", "description": "true when anything of the station was simulated"},
            "started": {"type": "string", "description": "ISO 8601, UTC"},
            "ended": {"type": "string", "description": "ISO 8601, UTC; empty when the record breaks off"},
            "device": {"type": "string", "description": f"verdict of the device: {', '.join(_VERDICTS)}"},
            "bench": {"type": "string", "description": f"verdict of the bench: {', '.join(_VERDICTS)}"},
            "verdict": {"enum": _VERDICTS, "description": "the worse of the two, in this order"},
            "exit_code": {"type": ["integer", "null"], "description": "of 'bench run'; null when it breaks off"},
            "summary": {"type": "string", "description": "why it did not pass"},
            "real": _SECONDS,
            "duration": _SECONDS,
            "clock": {"type": "string", "description": "real, instant or scaled:FACTOR"},
            "label": _TEXT,
            "seed": {"type": ["integer", "null"]},
            "parameters": {"type": "object"},
            "identities": {"type": "object", "additionalProperties": _TEXT},
            "steps": _list(_STEP, "in the order of their start"),
            "measurements": _list(_MEASUREMENT, "outside of all steps"),
            "results": {"type": "object", "description": "the last value of what the run was to find out, by name"},
            "errors": _list(_object({}, {"what": {}, "where": {}, "hint": {}, "stack": {}})),
            "safe": _list(_object({}, {"name": {}, "verified": {}, "reading": {}, "message": {}, "by": {}})),
            "observations_lost": {"type": "object", "additionalProperties": {"type": "integer"}},
            "lanes_not_recorded": {"type": "object", "additionalProperties": _TEXT},
        },
        {"power": {"type": "object", "additionalProperties": _POWER, "description": "by supply, where sampled"}},
    ),
}
