"""Block-wise transfers: our two sides, the limits, and whatever order a peer sends blocks in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiocoap import Message
from aiocoap.numbers import codes
from hypothesis import given
from hypothesis import strategies as st

from fixtures.coaps import blockwise
from fixtures.coaps.blockwise import Blocks, Budget, Reply
from fixtures.coaps.errors import CoapError


def request(payload: bytes = b"", **options: Any) -> Any:
    made = Message(code=codes.POST, payload=payload)
    made.opt.uri_path = ("a",)
    for name, value in options.items():
        setattr(made.opt, name, value)
    return made


def blocks(limit: int = 1 << 20, longest: int = 1 << 16) -> tuple[Blocks, Budget]:
    budget = Budget(limit)
    return Blocks(budget, longest), budget


class Wire:
    """A server in one function: what ``exchange`` sends is encoded, decoded and answered."""

    def __init__(self, longest: int = 1 << 16) -> None:
        self.blocks, self.budget = blocks(longest=longest)
        self.seen: list[Any] = []
        self.answer: Any = lambda body: Reply(codes.CHANGED, body)

    async def __call__(self, message: Any) -> Any:
        message.mid, message.mtype, message.token = 1, 0, b""
        asked = Message.decode(message.encode())
        self.seen.append(asked)
        part = self.blocks.more(asked)
        if part is None:
            body = self.blocks.take(asked)
            part = self.blocks.answer(asked, body if isinstance(body, Reply) else self.answer(body))
        part.mid, part.mtype, part.token = 1, 2, b""
        return Message.decode(part.encode())


def run(wire: Any, body: bytes = b"", **options: Any) -> tuple[Any, bytes]:
    settings = {"code": codes.POST, "path": ("a",), "longest": 1 << 16, "tag": b"\x07", **options}
    return asyncio.run(blockwise.exchange(wire, body=body, **settings))


@given(st.binary(max_size=5000), st.integers(0, 6))
def test_any_body_comes_back(body: bytes, block: int) -> None:
    wire = Wire()
    assert run(wire, body, block=block) == (codes.CHANGED, body)
    assert wire.budget.used == 0
    size = 16 << block
    assert len(wire.seen) == max(1, -(-len(body) // size)) + max(0, -(-len(body) // size) - 1)
    assert all(len(message.payload) <= size for message in wire.seen)


def test_a_body_in_one_message_has_no_options_of_blocks() -> None:
    wire = Wire()
    run(wire, bytes(1024))
    assert [int(option.number) for option in wire.seen[0].opt.option_list()] == [11]


def test_a_body_in_blocks_has_its_length_first_and_its_tag_in_each() -> None:
    wire = Wire()
    run(wire, bytes(3000))
    assert [message.opt.size1 for message in wire.seen] == [3000, None, None, None, None]
    assert {message.opt.request_tag for message in wire.seen} == {(b"\x07",)}


def test_a_server_that_wants_smaller_blocks() -> None:
    """4.13 with a size to the first block (RFC 7959 section 2.9.3), or a smaller size in 2.31 to go on with."""

    class Small(Wire):
        async def __call__(self, message: Any) -> Any:
            asked = message.opt.block1
            if asked is not None and asked.size_exponent > 2:
                answer = Message(code=codes.REQUEST_ENTITY_TOO_LARGE)
                answer.opt.block1 = (0, False, 2)
                return answer
            return await super().__call__(message)

    body = bytes(range(256)) * 12
    wire = Small()
    wire.answer = lambda body: Reply(codes.CHANGED, len(body).to_bytes(4, "big"))
    assert run(wire, body) == (codes.CHANGED, len(body).to_bytes(4, "big"))
    assert {message.opt.block1.size_exponent for message in wire.seen} == {2}


def test_refusals_end_a_transfer() -> None:
    wire = Wire(longest=2000)
    assert run(wire, bytes(3000))[0] == codes.REQUEST_ENTITY_TOO_LARGE
    assert len(wire.seen) == 1, "the length came with the first block"
    wire = Wire()
    wire.answer = lambda body: Reply(codes.NOT_FOUND, b"no")
    assert run(wire, bytes(3000)) == (codes.NOT_FOUND, b"no")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"block2": (1, True, 0)}, "begins with its block 1"),
        ({"block2": (0, True, 1)}, "not as long as it says"),
        ({"block2": (0, True, 7)}, "not as long as it says"),
    ],
)
def test_answers_that_break_the_rules(changes: dict[str, Any], words: str) -> None:
    async def wrong(message: Any) -> Any:
        answer = Message(code=codes.CHANGED, payload=bytes(16))
        for name, value in changes.items():
            setattr(answer.opt, name, value)
        return answer

    with pytest.raises(CoapError, match=words):
        run(wrong)


@pytest.mark.parametrize("fault", ["etag", "number", "endless", "none"])
def test_blocks_that_do_not_belong_together(fault: str) -> None:
    async def wrong(message: Any) -> Any:
        asked = message.opt.block2
        number = asked.block_number if asked is not None else 0
        answer = Message(code=codes.CHANGED, payload=bytes(16))
        if number == 0 or fault != "none":
            answer.opt.block2 = (number + (fault == "number" and number > 0), True, 0)
        answer.opt.etag = b"\1" if fault == "etag" and number else b"\0"
        return answer

    words = "longer than 1000" if fault == "endless" else "do not belong together"
    with pytest.raises(CoapError, match=words):
        run(wrong, longest=1000)


def test_a_peer_has_two_transfers_at_a_time_and_all_have_a_budget() -> None:
    made, budget = blocks(limit=3000)
    for tag in (b"a", b"b", b"c"):
        reply = made.take(request(bytes(1024), block1=(0, True, 6), request_tag=(tag,)))
        assert isinstance(reply, Reply) and reply.code == codes.CONTINUE
    assert budget.used == 2048, "the first has gone"
    reply = made.take(request(bytes(1024), block1=(1, True, 6), request_tag=(b"c",)))
    assert isinstance(reply, Reply) and reply.code == codes.SERVICE_UNAVAILABLE
    assert made.take(request(b"end", block1=(1, False, 6), request_tag=(b"b",))) == bytes(1024) + b"end"
    made.close()
    assert budget.used == 0


def test_a_block_again_is_taken_once_and_another_in_its_place_is_not() -> None:
    made, _ = blocks()
    first, second = bytes(16), b"\1" * 16
    assert made.take(request(first, block1=(0, True, 0))).code == codes.CONTINUE  # type: ignore[union-attr]
    for _ in range(2):
        assert made.take(request(second, block1=(1, True, 0))).code == codes.CONTINUE  # type: ignore[union-attr]
    refused = made.take(request(first, block1=(1, True, 0)))
    assert isinstance(refused, Reply) and refused.code == codes.REQUEST_ENTITY_INCOMPLETE
    assert made.take(request(b"end", block1=(2, False, 0))) == first + second + b"end"


def test_an_old_transfer_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    made, budget = blocks()
    made.take(request(bytes(16), block1=(0, True, 0)))
    monkeypatch.setattr(blockwise, "_LIFETIME", -1.0)
    refused = made.take(request(bytes(16), block1=(1, True, 0)))
    assert isinstance(refused, Reply) and refused.code == codes.REQUEST_ENTITY_INCOMPLETE
    assert budget.used == 0


def test_two_requests_at_once_are_told_apart_by_their_tags() -> None:
    made, _ = blocks()
    for tag in (b"x", b"y"):
        made.take(request(tag * 16, block1=(0, True, 0), request_tag=(tag,)))
    for tag in (b"x", b"y"):
        assert made.take(request(tag, block1=(1, False, 0), request_tag=(tag,))) == tag * 17


def test_the_rest_of_an_answer_is_found_without_the_tag() -> None:
    """A client may leave the Request-Tag out where the request has no blocks any more."""
    made, budget = blocks()
    asked = request(bytes(16), block1=(1, False, 0), request_tag=(b"t",))
    made.answer(asked, Reply(codes.CHANGED, b"a" * 1024 + b"b"))
    assert budget.used == 1025
    rest = made.more(request(block2=(1, False, 6)))
    assert rest.payload == b"b" and rest.opt.block2 == (1, False, 6)
    assert budget.used == 0
    assert made.more(request(block2=(1, False, 6))).code == codes.REQUEST_ENTITY_INCOMPLETE


options = st.fixed_dictionaries(
    {},
    optional={
        "block1": st.tuples(st.integers(0, 80), st.booleans(), st.integers(0, 7)),
        "block2": st.tuples(st.integers(0, 80), st.booleans(), st.integers(0, 7)),
        "size1": st.integers(0, 1 << 20),
        "request_tag": st.lists(st.binary(max_size=8), min_size=1, max_size=2).map(tuple),
    },
)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 15, 16, 17, 64, 1024]), options), max_size=40))
def test_any_sequence_stays_in_its_limits(sequence: list[tuple[int, dict[str, Any]]]) -> None:
    made, budget = blocks(limit=6000, longest=3000)
    for length, chosen in sequence:
        asked = request(bytes(length), **chosen)
        answer = made.more(asked)
        if answer is None:
            body = made.take(asked)
            assert isinstance(body, Reply) or len(body) <= 3000 or asked.opt.block1 is None
            answer = made.answer(asked, body if isinstance(body, Reply) else Reply(codes.CHANGED, body * 3))
        assert len(answer.payload) <= 1024
        assert 0 <= budget.used <= 6000
    made.close()
    assert budget.used == 0
