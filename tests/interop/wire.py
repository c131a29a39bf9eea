"""Bytes without our codec: BER-TLV by hand, signatures by openssl, the card through AT commands that socat types."""

from __future__ import annotations

import re
from pathlib import Path

import by_hand
from by_hand import tlv as make

from .foreign import Stream, run

ISD_R = "A0000005591010FFFFFFFF8900000100"


def split(data: bytes) -> list[tuple[str, bytes, bytes]]:
    """Return tag (hexadecimal), value and whole TLV of each of the TLVs in ``data``."""
    return [(tag.hex(), content, raw) for tag, content, raw in by_hand.split(data)]


def inside(data: bytes, *tags: str) -> bytes:
    """Return the value below the first TLV of each tag in turn."""
    for tag in tags:
        data = next(value for found, value, _ in split(data) if found == tag)
    return data


def whole(data: bytes, *tags: str) -> bytes:
    """Return the whole TLV that the tags lead to."""
    return next(raw for tag, _, raw in split(inside(data, *tags[:-1])) if tag == tags[-1])


class OpenSsl:
    """Certificates and signatures as the openssl program judges them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, name: str, data: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(data)
        return path

    def public_key(self, certificate: bytes) -> Path:
        """Return a PEM file of the public key in a DER certificate."""
        path = self._file("certificate.der", certificate)
        return self._file("key.pem", run("openssl", "x509", "-inform", "DER", "-in", path, "-noout", "-pubkey").stdout)

    def signed(self, key: Path, signature: bytes, data: bytes) -> bool:
        """Whether raw r and s (64 bytes, BSI TR-03111) are an ECDSA signature with SHA-256 of ``data``."""
        assert len(signature) == 64
        numbers = (number.lstrip(b"\0") for number in (signature[:32], signature[32:]))
        encoded = make("30", *(make("02", (b"\0" if number[0] & 0x80 else b"") + number) for number in numbers))
        done = run(
            *("openssl", "dgst", "-sha256", "-verify", key, "-signature", self._file("signature", encoded)),
            self._file("data", data),
            ok=(0, 1),
        )
        return done.stdout == b"Verified OK\n"

    def under(self, ca: Path, certificate: bytes) -> bool:
        """Whether a DER certificate is one of the CA."""
        path = self._file("leaf.der", certificate)
        pem = self._file("leaf.pem", run("openssl", "x509", "-inform", "DER", "-in", path).stdout)
        return run("openssl", "verify", "-CAfile", ca, "-x509_strict", pem, ok=(0, 2)).returncode == 0

    def structure(self, data: bytes) -> str:
        """Return openssl's view of one TLV; an encoding that it cannot read fails."""
        return run("openssl", "asn1parse", "-inform", "DER", data=data).stdout.decode()


class Card:
    """ISD-R of the card behind a modem: AT+CCHO, AT+CGLA and AT+CCHC (27.007 section 8) on a stream of the port."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._session = self._answer(f'AT+CCHO="{ISD_R}"', rb"\+CCHO: (\d+)")

    def close(self) -> None:
        """Close the logical channel."""
        self._stream.write(f"AT+CCHC={self._session}\r".encode())
        self._stream.until(rb"\r\nOK\r\n")

    def _answer(self, command: str, pattern: bytes) -> str:
        self._stream.write(command.encode() + b"\r")
        found = self._stream.until(rb"(?s)\r\n(?:" + pattern + rb"\r\n\r\nOK|ERROR|\+CME ERROR: [^\r]*)\r\n", 30.0)
        assert found[1] is not None, f"{command}: {found.group()!r}"
        return found[1].decode()

    def apdu(self, command: bytes) -> bytes:
        """Send one APDU; fetch what waits (61xx); return the data. Anything but 9000 and 91xx fails."""
        data = b""
        while True:
            text = f'AT+CGLA={self._session},{2 * len(command)},"{command.hex().upper()}"'
            answer = bytes.fromhex(self._answer(text, rb'\+CGLA: \d+,"?([0-9A-Fa-f]+)"?'))
            data += answer[:-2]
            if answer[-2] != 0x61:
                assert answer[-2] in (0x90, 0x91), f"{command.hex()} -> {answer[-2:].hex()}"
                return data
            command = bytes([0x81, 0xC0, 0x00, 0x00, answer[-1]])

    def store(self, data: bytes) -> bytes:
        """STORE DATA in blocks of 120 bytes, as lpac cuts them (SGP.22 section 5.7.2)."""
        blocks = [data[at : at + 120] for at in range(0, len(data), 120)]
        answer = b""
        for number, block in enumerate(blocks):
            last = number == len(blocks) - 1
            answer = self.apdu(bytes([0x81, 0xE2, 0x91 if last else 0x11, number, len(block)]) + block)
            assert last or not answer
        return answer


def upper(data: bytes) -> str:
    """Return hexadecimal digits as JSON bindings have them."""
    text = data.hex().upper()
    assert re.fullmatch(r"(?:[0-9A-F]{2})+", text)
    return text
