"""Milenage against the published test sets of TS 35.207/208, the XOR test algorithm, SQN and AUTS."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.profiles import aka
from fixtures.profiles.image import NaaKeys

# K, RAND, SQN, AMF, OP, OPc, f1, f1*, f2, f5, f3, f4, f5*
SETS = {
    1: "465b5ce8b199b49faa5f0a2ee238a6bc 23553cbe9637a89d218ae64dae47bf35 ff9bb4d0b607 b9b9 "
    "cdc202d5123e20f62b6d676ac72cb318 cd63cb71954a9f4e48a5994e37a02baf 4a9ffac354dfafb3 01cfaf9ec4e871e9 "
    "a54211d5e3ba50bf aa689c648370 b40ba9a3c58b2a05bbf0d987b21bf8cb f769bcd751044604127672711c6d3441 451e8beca43b",
    2: "0396eb317b6d1c36f19c1c84cd6ffd16 c00d603103dcee52c4478119494202e8 fd8eef40df7d af17 "
    "ff53bade17df5d4e793073ce9d7579fa 53c15671c60a4b731c55b4a441c0bde2 5df5b31807e258b0 a8c016e51ef4a343 "
    "d3a628ed988620f0 c47783995f72 58c433ff7a7082acd424220f2b67c556 21a8c1f929702adb3e738488b9f5c5da 30f1197061c1",
    3: "fec86ba6eb707ed08905757b1bb44b8f 9f7c8d021accf4db213ccff0c7f71a6a 9d0277595ffc 725c "
    "dbc59adcb6f9a0ef735477b7fadf8374 1006020f0a478bf6b699f15c062e42b3 9cabc3e99baf7281 95814ba2b3044324 "
    "8011c48c0c214ed2 33484dc2136b 5dbdbb2954e8f3cde665b046179a5098 59a92d3b476a0443487055cf88b2307b deacdd848cc6",
    4: "9e5944aea94b81165c82fbf9f32db751 ce83dbc54ac0274a157c17f80d017bd6 0b604a81eca8 9e09 "
    "223014c5806694c007ca1eeef57f004f a64a507ae1a2a98bb88eb4210135dc87 74a58220cba84c49 ac2cc74a96871837 "
    "f365cd683cd92e96 f0b9c08ad02e e203edb3971574f5a94b0d61b816345d 0c4524adeac041c4dd830d20854fc46b 6085a86c6f63",
    5: "4ab1deb05ca6ceb051fc98e77d026a84 74b0cd6031a1c8339b2b6ce2b8c4a186 e880a1b580b6 9f07 "
    "2d16c5cd1fdf6b22383584e3bef2a8d8 dcf07cbd51855290b92a07a9891e523e 49e785dd12626ef2 9e85790336bb3fa2 "
    "5860fc1bce351e7e 31e11a609118 7657766b373d1c2138f307e3de9242f9 1c42e960d89b8fa99f2744e0708ccb53 fe2555e54aa9",
    6: "6c38a116ac280c454f59332ee35c8c4f ee6466bc96202c5a557abbeff8babf63 414b98222181 4464 "
    "1ba00a1a7c6700ac8c3ff3e96ad08725 3803ef5363b947c6aaa225e58fae3934 078adfb488241a57 80246b8d0186bcf1 "
    "16c8233f05a0ac28 45b0f69ab06c 3f8c7587fe8e4b233af676aede30ba3b a7466cc1e6b2a1337d49d3b66e95d7b4 1f53cd2b1113",
}


@pytest.mark.parametrize("number", SETS)
def test_milenage_published_set(number: int) -> None:
    k, rand, sqn, amf, op, opc, f1, f1_star, f2, f5, f3, f4, f5_star = (bytes.fromhex(x) for x in SETS[number].split())
    assert aka.Milenage.opc(k, op) == opc
    functions = aka.Milenage(k, opc)
    out = functions.authenticate(rand, sqn, amf)
    assert (out.mac, out.res, out.ck, out.ik, out.ak) == (f1, f2, f3, f4, f5)
    assert functions.resynchronise(rand, sqn, amf) == (f1_star, f5_star)
    assert functions.anonymity_key(rand) == f5


def set_1() -> tuple[aka.Milenage, bytes]:
    values = SETS[1].split()
    return aka.Milenage(bytes.fromhex(values[0]), bytes.fromhex(values[5])), bytes.fromhex(values[1])


def test_gsm_conversion_of_set_1() -> None:
    functions, rand = set_1()
    assert [x.hex() for x in aka.Aka(functions).gsm(rand)] == ["46f8416a", "eae4be823af9a08b"]


def test_autn_and_auts_of_set_1() -> None:
    functions, rand = set_1()
    sqn = 0xFF9BB4D0B607
    made = aka.vector(functions, sqn=sqn, amf=bytes.fromhex("b9b9"), rand=rand)
    assert made.autn.hex() == "55f328b43577b9b94a9ffac354dfafb3"
    seq, ind = sqn >> 5, sqn & 31
    state = [0] * 32
    state[ind] = seq
    refused = aka.Aka(functions, sqn=state).authenticate(rand, made.autn)
    assert isinstance(refused, aka.SyncFailure)
    assert refused.auts.hex() == "ba853f3c123ccf44e93596e355c6"
    assert aka.resynchronise(functions, rand=rand, auts=refused.auts) == sqn


def test_auts_of_another_key_is_refused_by_the_network() -> None:
    functions, rand = set_1()
    assert aka.resynchronise(functions, rand=rand, auts=bytes(14)) is None
    assert aka.resynchronise(functions, rand=rand, auts=b"") is None


def test_card_accepts_each_sqn_once_and_names_the_reason() -> None:
    functions, rand = set_1()
    card = aka.Aka(functions)
    first = aka.vector(functions, sqn=32, amf=b"\x80\0", rand=rand)
    good = card.authenticate(rand, first.autn)
    assert isinstance(good, aka.Accepted)
    assert (good.res, good.ck, good.ik) == (first.xres, first.ck, first.ik)
    again = card.authenticate(rand, first.autn)
    assert isinstance(again, aka.SyncFailure)
    assert aka.resynchronise(functions, rand=rand, auts=again.auts) == 32
    wrong = bytearray(first.autn)
    wrong[15] ^= 1
    assert isinstance(card.authenticate(rand, bytes(wrong)), aka.MacFailure)
    # another IND has its own SEQ: an older SEQ under it is still fresh
    other = aka.vector(functions, sqn=32 + 1, amf=b"\x80\0", rand=rand)
    assert isinstance(card.authenticate(rand, other.autn), aka.Accepted)
    # a jump of more than delta is not
    jump = aka.vector(functions, sqn=((aka.DEFAULT_DELTA + 2) << 5), amf=b"\x80\0", rand=rand)
    assert isinstance(card.authenticate(rand, jump.autn), aka.SyncFailure)


def test_xor_test_algorithm() -> None:
    functions = aka.XorTest(bytes(range(16)))
    rand = bytes.fromhex("23553cbe9637a89d218ae64dae47bf35")
    out = functions.authenticate(rand, bytes(6), bytes(2))
    assert out.res.hex() == "23543ebd9232ae9a2983ec46a24ab13a"
    assert out.ck.hex() == "543ebd9232ae9a2983ec46a24ab13a23"
    assert out.ik.hex() == "3ebd9232ae9a2983ec46a24ab13a2354"
    assert out.ak.hex() == "bd9232ae9a29"


def test_the_test_algorithm_takes_every_sqn_and_resynchronises_when_asked() -> None:
    keys = NaaKeys(aka.Algorithm.XOR, 2, bytes(range(16)), b"")
    functions, rand = keys.functions(), bytes(16)
    card = keys.aka()
    made = aka.vector(functions, sqn=64, amf=b"\x80\0", rand=rand)
    for _ in range(2):  # what is not fresh with Milenage is accepted here
        accepted = card.authenticate(rand, made.autn)
        assert isinstance(accepted, aka.Accepted)
        assert len(accepted.res) == 16
    wrong = aka.vector(aka.XorTest(bytes(16)), sqn=64, amf=b"\x80\0", rand=rand)
    assert isinstance(card.authenticate(rand, wrong.autn), aka.MacFailure)
    asked = aka.vector(functions, sqn=64, amf=aka.RESYNC_REQUEST, rand=rand)
    refused = card.authenticate(rand, asked.autn)
    assert isinstance(refused, aka.SyncFailure)
    assert aka.resynchronise(functions, rand=rand, auts=refused.auts) == 64
    assert len(NaaKeys(aka.Algorithm.XOR, 1, bytes(16), b"").functions().authenticate(rand, bytes(6), b"00").res) == 8


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16), st.integers(1, (1 << 33) - 1))
def test_card_and_network_agree(k: bytes, rand: bytes, sqn: int) -> None:
    for functions in (aka.Milenage(k, k[::-1]), aka.XorTest(k)):
        made = aka.vector(functions, sqn=sqn, amf=b"\x80\0", rand=rand)
        answer = aka.Aka(functions).authenticate(rand, made.autn)
        assert isinstance(answer, aka.Accepted) == (0 < sqn >> 5 <= aka.DEFAULT_DELTA)


def test_wrong_key_lengths() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        aka.Milenage(bytes(15), bytes(16))
    with pytest.raises(ValueError, match="16 bytes"):
        aka.XorTest(bytes(17))
