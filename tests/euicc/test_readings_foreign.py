"""Readings of the standard under which foreign programs work, or which they were seen to need."""

from __future__ import annotations

import pytest

from bench.rsp import bsp, tlv
from bench.rsp.interpretation import Interpretation
from bench.rsp.tlv import Tlv
from fixtures.pki import Pki

from .parties import Bench, Smdpp, Terminal, authenticate, install, pir
from .test_download import large


def terminal_of(bench: Bench, **reading: object) -> Terminal:
    return bench.with_options(interpretation=Interpretation(**reading))  # type: ignore[arg-type]


def info2_in_signed1(terminal: Terminal, pki: Pki) -> tuple[Tlv, Tlv]:
    """EUICCInfo2 as GetEUICCInfo gives it, and as it is in euiccSigned1."""
    own = tlv.first(terminal.es10(bytes.fromhex("bf2200")))
    signed = tlv.first(authenticate(terminal, Smdpp(pki))).find(0xA0, 0x30, 0xBF22)
    assert signed is not None
    return own, signed


def test_euicc_signed1_of_v1_2_has_the_members_of_sgp32(bench: Bench, pki: Pki) -> None:
    own, signed = info2_in_signed1(terminal_of(bench), pki)
    assert signed.raw == own.raw
    assert signed.find(0x90) is not None and signed.find(0xB4) is not None


def test_euicc_signed1_for_relays_of_v1_0(bench: Bench, pki: Pki) -> None:
    """An IPA and an eIM of v1.0 write euiccSigned1 anew by RSPDefinitions: what they do not know is lost."""
    own, signed = info2_in_signed1(terminal_of(bench, signed_info2="sgp22"), pki)
    assert own.find(0x90) is not None
    assert [part.raw for part in signed.children()] == [
        part.raw for part in own.children() if part.tag not in (0x90, 0xB4)
    ]


@pytest.mark.parametrize(
    ("reading", "expected"),
    [({}, ("ok", bytes.fromhex("3007a0053003800100"))), ({"longest_segment": 1020}, ("error", (5, 7)))],
)
def test_segments_of_a_test_smdpp_that_pads_after_it_has_cut(
    bench: Bench, pki: Pki, monkeypatch: pytest.MonkeyPatch, reading: dict[str, int], expected: object
) -> None:
    """1008 bytes of plaintext make a segment of 1036: taken, or scp03tStructureError (7) at loadProfileElements (5)."""
    monkeypatch.setattr(bsp, "PLAINTEXT_LIMIT", 1008)
    answer = pir(install(terminal_of(bench, **reading), pki, large()))
    assert answer == expected
