"""A scripted UICC: files by path, AUTHENTICATE with Milenage, proactive commands. Enough for a modem, no eUICC."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from fixtures.sim.milenage import AMF, Milenage
from fixtures.sim.plmn import encode_plmn

AID = bytes.fromhex("A0000000871002FF49FF0589")
K = bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc")
OPC = bytes.fromhex("cd63cb71954a9f4e48a5994e37a02baf")


def imsi_file(imsi: str) -> bytes:
    nibbles = f"9{imsi}" if len(imsi) % 2 else f"1{imsi}F"
    packed = bytes(int(nibbles[i + 1] + nibbles[i], 16) for i in range(0, len(nibbles), 2))
    return bytes([len(packed)]) + packed.ljust(8, b"\xff")


def swap(digits: str, length: int) -> bytes:
    digits = digits.ljust(2 * length, "F")
    return bytes(int(digits[i + 1] + digits[i], 16) for i in range(0, 2 * length, 2))


@dataclass
class FakeProfile:
    imsi: str = "001010000000001"
    iccid: str = "8900101000000000019"
    mnc_length: int = 2
    k: bytes = K
    opc: bytes = OPC
    sqn: int = 0
    files: dict[int, bytearray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        defaults = {
            0x6F07: imsi_file(self.imsi),
            0x6FAD: bytes([0, 0, 0, self.mnc_length]),
            0x6F7B: b"\xff" * 12,
            0x6F31: b"\x0a",
            0x6FE3: b"\xff" * 17 + b"\x01",
            0x6F60: b"\xff\xff\xff\x00\x00" * 8,
            0x6F61: b"\xff\xff\xff\x00\x00" * 8,
        }
        for fid, content in defaults.items():
            self.files.setdefault(fid, bytearray(content))

    def set_list(self, fid: int, *entries: tuple[str, int]) -> None:
        data = b"".join(encode_plmn(plmn) + bits.to_bytes(2, "big") for plmn, bits in entries)
        self.files[fid] = bytearray(data.ljust(40, b"\xff"))

    def fplmn(self) -> list[str]:
        data = self.files[0x6F7B]
        return [bytes(data[i : i + 3]).hex().upper() for i in range(0, len(data), 3)]


class FakeCard:
    def __init__(self, profile: FakeProfile | None = None) -> None:
        self.profile = profile or FakeProfile()
        self.pending: bytes | None = None
        """Proactive command that waits."""
        self.next_profile: FakeProfile | None = None
        self.powered = False
        self.commands: list[bytes] = []
        self.responses: list[bytes] = []
        self.channels: set[int] = set()
        self._selected: bytearray | None = None
        self._record_file = False

    def power_on(self) -> bytes:
        self.powered = True
        self.channels = {0}
        self.pending = None
        if self.next_profile is not None:
            self.profile, self.next_profile = self.next_profile, None
        return bytes.fromhex("3B9F96801FC7")

    def power_off(self) -> None:
        self.powered = False

    def switch(self, profile: FakeProfile, qualifier: int = 4) -> None:
        """Enable another profile at the next reset, and ask for a REFRESH."""
        self.next_profile = profile
        self.pending = bytes([0xD0, 0x09, 0x81, 0x03, 0x01, 0x01, qualifier, 0x82, 0x02, 0x81, 0x82])

    def transmit(self, command: bytes) -> bytes:
        assert self.powered
        self.commands.append(command)
        answer = self._answer(command)
        if answer[-2:] == b"\x90\x00" and self.pending is not None:
            answer = answer[:-2] + bytes([0x91, len(self.pending)])
        return answer

    def _fcp(self, content: bytearray, record: int = 0) -> bytes:
        descriptor = bytes([130, 5, 66, 33, 0, record, 1]) if record else bytes([130, 2, 65, 33])
        body = descriptor + bytes([0x80, 2]) + len(content).to_bytes(2, "big")
        return bytes([0x62, len(body)]) + body + b"\x90\x00"

    def _answer(self, c: bytes) -> bytes:
        channel = c[0] & 3
        if channel not in self.channels:
            return b"\x68\x81"
        ins = c[1]
        if ins == 0xA4:
            return self._select(c)
        if ins == 0xB0:
            if self._selected is None:
                return b"\x69\x86"
            offset = c[2] << 8 | c[3]
            return bytes(self._selected[offset : offset + (c[4] or 256)]) + b"\x90\x00"
        if ins == 0xB2:
            if self._selected is None or c[2] > 1:
                return b"\x6a\x83"
            return bytes(self._selected) + b"\x90\x00"
        if ins == 0xD6:
            if self._selected is None or len(c) < 5 or 5 + c[4] != len(c) or c[4] > len(self._selected):
                return b"\x67\x00"
            self._selected[: c[4]] = c[5:]
            return b"\x90\x00"
        if ins == 0x88:
            return self._authenticate(c)
        if ins == 0x70:
            if c[2] == 0x80:
                self.channels.discard(c[3])
                return b"\x90\x00"
            free = next((n for n in (1, 2, 3) if n not in self.channels), None)
            if free is None:
                return b"\x6a\x81"
            self.channels.add(free)
            return bytes([free]) + b"\x90\x00"
        if ins == 0x12:
            pending, self.pending = self.pending, None
            return (pending or b"") + b"\x90\x00" if pending else b"\x6f\x00"
        if ins == 0x14:
            self.responses.append(c[5:])
            return b"\x90\x00"
        if ins == 0x20:
            return b"\x63\xc3"
        if ins in (0x10, 0xAA, 0xF2):
            return b"\x90\x00"
        if ins == 0xE2:
            return bytes.fromhex("BF3E125A10") + bytes(16) + b"\x90\x00"
        return b"\x6d\x00"

    def _select(self, c: bytes) -> bytes:
        data = c[5 : 5 + c[4]]
        if c[2] == 0x04:
            if AID.startswith(data) or data == AID:
                return self._fcp(bytearray())
            return b"\x90\x00" if data.startswith(bytes.fromhex("A000000559")) else b"\x6a\x82"
        if data[-2:] == b"\x3f\x00":
            self._selected = None
            return self._fcp(bytearray())
        if data == b"\x2f\xe2":
            self._selected = bytearray(swap(self.profile.iccid, 10))
            return self._fcp(self._selected)
        if data == b"\x2f\x00":
            self._selected = bytearray(bytes([0x61, len(AID) + 2, 0x4F, len(AID)]) + AID)
            return self._fcp(self._selected, record=len(self._selected))
        content = self.profile.files.get(int.from_bytes(data[-2:], "big")) if data[:2] == b"\x7f\xff" else None
        if content is None:
            return b"\x6a\x82"
        self._selected = content
        return self._fcp(content)

    def _authenticate(self, c: bytes) -> bytes:
        rand, autn = c[6:22], c[23:39]
        functions = Milenage(self.profile.k, self.profile.opc)
        res, ak = functions.f2_f5(rand)
        sqn = bytes(a ^ b for a, b in zip(autn[:6], ak, strict=True))
        mac, _ = functions.f1(rand, sqn, autn[6:8])
        if autn[6:8] != AMF or not hmac.compare_digest(mac, autn[8:]):
            return b"\x98\x62"
        value = int.from_bytes(sqn, "big")
        if value <= self.profile.sqn:
            own = self.profile.sqn.to_bytes(6, "big")
            _, macs = functions.f1(rand, own, bytes(2))
            concealed = bytes(a ^ b for a, b in zip(own, functions.f5_star(rand), strict=True))
            return b"\xdc\x0e" + concealed + macs + b"\x90\x00"
        self.profile.sqn = value
        ck, ik = functions.f3_f4(rand)
        return bytes([0xDB, len(res)]) + res + b"\x10" + ck + b"\x10" + ik + b"\x90\x00"
