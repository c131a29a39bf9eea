"""APDUs of extended length (ISO/IEC 7816-4 section 5.2): refused, or taken by a card of that reading."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.rsp.interpretation import DEFAULT
from fixtures.sim.euicc import EuiccOptions

from . import parties

READING = replace(DEFAULT, extended_length=True)


def card(bench: parties.Bench, **options: object) -> parties.Terminal:
    bench.options = EuiccOptions(**options)  # type: ignore[arg-type]
    return bench.terminal()


def test_refused_by_default(bench: parties.Bench) -> None:
    terminal = card(bench)
    assert terminal.raw("81e291000000 03 bf2e00".replace(" ", "")).hex() == "6700"


@pytest.mark.parametrize("le", ["", "0000"])
def test_data_in_one_command(le: str, bench: parties.Bench) -> None:
    terminal = card(bench, interpretation=READING, protocol="T=1")
    answer = terminal.raw("81e29100000003bf2e00" + le)
    assert answer[:5].hex() == "bf2e128010"
    assert answer[-2:].hex() == "9000"
    long = "bf29" + "820109" + "5a0a" + "98001010000000000091" + "9081fa" + "41" * 250
    assert terminal.raw("81e291000001 0e".replace(" ", "") + long).hex() == "6a80"  # a nickname has 64 bytes


def test_a_long_answer_at_once(bench: parties.Bench) -> None:
    terminal = card(bench, interpretation=READING, protocol="T=1")
    answer = terminal.raw("81e29100000003bf56000000")
    assert len(answer) > 500
    assert answer[-2:].hex() == "9000"


@pytest.mark.parametrize(
    "wrong", ["81e2910000", "81e291000000", "81e29100000003bf2e", "81e2910000000000", "81e29100000003bf2e0000"]
)
def test_wrong_lengths(wrong: str, bench: parties.Bench) -> None:
    terminal = card(bench, interpretation=READING, protocol="T=1")
    assert terminal.raw(wrong)[-2:].hex() in ("6700", "6a86")
