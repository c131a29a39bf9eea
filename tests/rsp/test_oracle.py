"""Every type of our ASN.1 text by asn1tools as we use it and by pycrate: same bytes, same values."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings

from bench.rsp import codec, forms
from bench.rsp.asn1.schema import SCHEMA

from . import oracle

# Types that carry a time (of a CRL extension) are in no message of the bench.
TYPES = [
    (module, name)
    for module in ("SGP32Definitions", "RSPDefinitions")
    for name in SCHEMA[module]["types"]
    if name != "ExpirationDate"
]


@pytest.mark.parametrize("chunk", range(6))
def test_both_implementations_agree_on_every_type(compiled: ModuleType, chunk: int) -> None:
    for module, name in TYPES[chunk::6]:
        check(compiled, module, name)


def check(compiled: ModuleType, module: str, name: str) -> None:
    descriptor = {"type": name}
    foreign = oracle.pycrate_type(compiled, module, name)

    @settings(
        max_examples=30,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(oracle.values(module, descriptor))
    def agree(value: object) -> None:
        ours = codec.encode(name, value, module=module)
        foreign.set_val(oracle.to_pycrate(module, descriptor, value))
        assert ours.hex() == foreign.to_der().hex(), (module, name, value)
        for accept in (forms.ALL, ()):
            back = codec.decode(name, ours, module=module, accept=accept)
            assert oracle.without_defaults(module, descriptor, back) == value, (module, name, accept)
        foreign.from_ber(ours)
        theirs = oracle.from_pycrate(module, descriptor, foreign.get_val())
        assert oracle.without_defaults(module, descriptor, theirs) == value

    agree()


def test_types_are_enough() -> None:
    assert len(TYPES) > 250


def test_a_choice_that_is_tagged_again_as_the_standard_writes_it(compiled: ModuleType) -> None:
    """Our text splits such types (T, TChoice); the probe is written as the standard is."""
    request = compiled.Probe.Request
    request.set_val({"transactionId": b"\x01\x02", "response": ("error", 5)})
    value = {"transactionId": b"\x01\x02", "cancelSessionResponse": ("cancelSessionResponseError", 5)}
    assert codec.encode("CancelSessionRequestEsipa", value) == request.to_der()
