"""Collecting a whole answer: 61xx and GET RESPONSE, 6Cxx and the right Le (ISO 7816-3 12.2, TS 102 221 7.3).

The rules are a generator from responses to commands, so they can be tested and reused without a card;
``transceive`` and ``drive`` take it over a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace

from bench.apdu.channel import LogicalChannel, converse
from bench.apdu.errors import StatusWordError
from bench.apdu.iso7816 import Command, Response, get_response
from bench.apdu.status import describe

MAX_ANSWER = 1 << 18
"""Bytes of one collected answer; four times what 256 STORE DATA blocks can ask for."""

_REFUSES_CLASS = (0x6E00, 0x6D00)

Collector = Generator[Command, Response, Response]


@dataclass
class ResponseClass:
    """Class byte of GET RESPONSE that a card takes: 00 by TS 102 221, 80 on some; kept over the life of a channel."""

    value: int = 0x00


def collect(command: Command, *, limit: int = MAX_ANSWER, response_class: ResponseClass | None = None) -> Collector:
    """Yield the commands to send and be sent their responses; return the whole answer with its final status word.

    - ``61xx``: GET RESPONSE for xx bytes (00 = 256), again until something else comes; a card that refuses its class
      (6E00, 6D00) is asked once more with the other one, 0n or 8n, which ``response_class`` remembers;
    - ``6Cxx``: the same command once more with Le = xx;
    - ``9Fxx``: as 61xx, the 2G form;
    - everything else ends the answer: judging the status word is the caller's.

    Raises StatusWordError when a card asks for GET RESPONSE without ever giving a byte, answers 6Cxx to its own Le, or
    gives more than ``limit`` bytes.
    """
    data = bytearray()
    current = command
    corrected = False
    known = response_class if response_class is not None else ResponseClass()
    other_class = False
    while True:
        response = yield current
        data += response.data
        if len(data) > limit:
            raise StatusWordError(
                f"the card answered more than {limit} bytes to {command}",
                status_word=response.status_word,
                where=str(command),
            )
        if current.ins == 0xC0 and response.status_word in _REFUSES_CLASS and not other_class:
            other_class = True
            known.value ^= 0x80
            current = replace(current, cla=known.value)
            continue
        if response.sw1 == 0x6C:
            if corrected:
                raise StatusWordError(
                    f"the card refuses the Le it asked for: {describe(response.status_word)}",
                    status_word=response.status_word,
                    where=str(current),
                )
            corrected = True
            current = current.with_le(response.sw2)
            continue
        if response.sw1 in (0x61, 0x9F):
            if current.ins == 0xC0 and not response.data:
                raise StatusWordError(
                    f"the card announces data ({describe(response.status_word)}) and gives none",
                    status_word=response.status_word,
                    where=str(command),
                )
            corrected = False
            current = replace(get_response(response.sw2), cla=known.value)
            continue
        return Response(bytes(data), response.status_word)


async def transceive(
    channel: LogicalChannel, command: Command, *, timeout: float | None = None, limit: int = MAX_ANSWER
) -> Response:
    """Send a command and collect its whole answer. ``timeout`` in seconds for each APDU.

    Raises what the channel raises (CardGone, InstrumentTimeout) and StatusWordError for a card that breaks the rules
    of ``collect``; an unwelcome status word is returned, not raised.
    """
    return await drive(channel, collect(command, limit=limit), timeout=timeout)


async def drive(
    channel: LogicalChannel,
    collector: Collector,
    *,
    timeout: float | None = None,
    before: Callable[[], None] = lambda: None,
) -> Response:
    """Send what ``collector`` yields, as one conversation where the channel can; return what it returns.

    ``before`` is called before each command but the first, possibly in another thread; what it raises ends the
    exchange and is raised here, as is what the collector raises.
    """
    whole: Response | None = None
    failure: BaseException | None = None

    def following(response: bytes) -> bytes | None:
        nonlocal whole, failure
        try:
            outgoing = collector.send(Response.parse(response))
            before()
            return bytes(outgoing)
        except StopIteration as end:
            whole = end.value
        except BaseException as error:
            failure = error
        return None

    await converse(channel, bytes(next(collector)), following, timeout=timeout)
    if failure is not None:
        raise failure
    assert whole is not None
    return whole


def expect(response: Response, command: Command | str, *, allowed: Iterable[int] = (), hint: str = "") -> Response:
    """Return ``response`` when it says success (9000, 91xx, 92xx) or one of ``allowed``, else raise StatusWordError."""
    if response.ok or response.status_word in allowed:
        return response
    raise StatusWordError(
        f"the card answered {describe(response.status_word)}",
        status_word=response.status_word,
        where=str(command),
        hint=hint,
    )
