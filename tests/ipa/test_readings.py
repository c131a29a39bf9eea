"""The IPA in other readings of the standard (bench.rsp.interpretation), byte by byte against a scripted eIM."""

from __future__ import annotations

from pathlib import Path

import pytest

from .bench import poll
from .fakes import FakeCard, FakeEim, Tls, script, tlv
from .test_poll import ask, result_envelope

UNKNOWN_SOURCE = tlv("BF54", tlv("A0", tlv("A2", b"")), tlv("82", b"\x01\x02"))
"""A trigger that asks for an SM-DS, which the IPA has no way to."""


@pytest.mark.parametrize(
    ("reading", "answer"),
    [
        ("error", bytes.fromhex("bf5205a103020101")),
        ("ignored", tlv("BF52", tlv("A0", tlv("81", b"default.test")))),
    ],
)
def test_unknown_tag_in_list(reading: str, answer: bytes, home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([ask("5a81bf2d")]))
    poll(FakeCard(), eim, server_tls, home, unknown_tag_in_list=reading)
    assert eim.of("BF50") == [result_envelope(answer)]


@pytest.mark.parametrize("reading", ["handle-notification", "provide-result"])
def test_trigger_result_in(reading: str, home: Path, server_tls: Tls) -> None:
    eim = FakeEim(script([UNKNOWN_SOURCE]))
    poll(FakeCard(), eim, server_tls, home, trigger_result_in=reading)
    if reading == "handle-notification":
        (message,) = eim.of("BF3D")
        message = message[3:] if message[2] < 0x80 else message[4:]
    else:
        (message,) = eim.of("BF50")
    assert message[:2].hex() == "bf50"
    assert bytes.fromhex("bf54") in message
    assert bytes.fromhex("82020102") in message
    assert not eim.of("BF50" if reading == "handle-notification" else "BF3D")
