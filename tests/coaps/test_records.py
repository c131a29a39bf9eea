"""DTLS records from outside: a literal ClientHello, and anything else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fixtures.coaps import records

RANDOM = bytes(range(32))
HELLO = bytes.fromhex(
    "16 feff 0000 000000000000 0036"  # record: handshake, DTLS 1.0, epoch 0, number 0, 54 bytes
    "01 00002a 0000 000000 00002a"  # ClientHello, 42 bytes, message 0, whole
    f"fefd {RANDOM.hex()} 00 00 0002 c02b 01 00"  # DTLS 1.2, no session, no cookie, one suite, null compression
)


def test_a_client_hello() -> None:
    assert records.client_hello(HELLO) == records.ClientHello(RANDOM, b"", b"")
    cookie = bytes.fromhex("00112233")
    body = HELLO[25:59] + bytes.fromhex("02 abcd") + b"\x04" + cookie + HELLO[61:]
    message = b"\x01" + len(body).to_bytes(3, "big") + b"\0\1" + b"\0\0\0" + len(body).to_bytes(3, "big") + body
    second = HELLO[:11] + len(message).to_bytes(2, "big") + message
    assert records.client_hello(second) == records.ClientHello(RANDOM, bytes.fromhex("abcd"), cookie)


def test_the_session_of_a_server_hello() -> None:
    hello = bytes.fromhex(
        f"16 fefd 0000 000000000001 0034 02 000028 0001 000000 000028fefd {RANDOM.hex()} 04 01020304 c02b 00"
    )
    assert records.server_session(hello) == bytes.fromhex("01020304")
    assert records.server_session(HELLO) == b"" == records.server_session(b"")
    assert records.server_session(hello[:3] + b"\0\1" + hello[5:]) == b"", "of another epoch"


def test_what_is_no_client_hello() -> None:
    changed = {
        "another record type": HELLO[:0] + b"\x17" + HELLO[1:],
        "another epoch": HELLO[:3] + b"\0\1" + HELLO[5:],
        "ClientKeyExchange, as a repeated last flight begins": HELLO[:13] + b"\x10" + HELLO[14:],
        "a fragment": HELLO[:22] + b"\0\0\x10" + HELLO[25:],
        "a later fragment": HELLO[:19] + b"\0\0\1" + HELLO[22:],
        "cut short": HELLO[:-1],
        "a cookie beyond the end": HELLO[:60] + b"\xff" + HELLO[61:],
        "a session beyond the end": HELLO[:59] + b"\xff" + HELLO[60:],
        "TLS": HELLO[:1] + b"\x03\x01" + HELLO[3:],
        "nothing": b"",
    }
    for what, datagram in changed.items():
        assert records.client_hello(datagram) is None, what


def test_one_record_a_datagram() -> None:
    other = bytes.fromhex("15 fefd 0001 000000000007 0002 0100")
    assert records.split(HELLO + other + HELLO) == [HELLO, other, HELLO]
    assert records.split(b"") == []


@given(st.binary(max_size=120), st.integers(0, len(HELLO)), st.binary(max_size=8))
def test_any_bytes(junk: bytes, at: int, inserted: bytes) -> None:
    for datagram in (junk, HELLO[:at] + inserted + HELLO[at + len(inserted) :], b"\x16\xfe\xfd" + junk):
        found = records.client_hello(datagram)
        assert found is None or (len(found.random) == 32 and found.cookie in datagram)
        assert b"".join(records.split(datagram)) in (datagram, datagram[: len(b"".join(records.split(datagram)))])
        if not records.plausible(datagram):
            assert found is None
