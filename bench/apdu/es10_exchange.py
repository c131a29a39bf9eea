"""The exchange below the ES10 functions: STORE DATA chains, whole answers, deadlines, status words, result codes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol

from bench.apdu import es10_views as views
from bench.apdu.channel import LogicalChannel
from bench.apdu.errors import CardAnswerError, CardNeedsReset, Es10Error, StatusWordError
from bench.apdu.es10_results import function_name, result_name
from bench.apdu.exchange import Collector, ResponseClass, collect, drive
from bench.apdu.iso7816 import Command, Response
from bench.apdu.status import describe
from bench.apdu.store_data import DEFAULT_SEGMENT, chain
from bench.errors import InstrumentTimeout
from bench.rsp import forms, tlv
from bench.rsp.errors import RspError
from bench.rsp.forms import Form

ORDINARY_DEADLINE = 10.0
"""Seconds for one APDU."""
LOADING_DEADLINE = 240.0
"""Seconds for LoadBoundProfilePackage or LoadEuiccPackage as a whole."""

_CONDITIONAL = frozenset({0xBF21, 0xBF36, 0xBF38, 0xBF41, 0xBF5A})
"""Functions that a healthy card may answer with 6985: they need a download session in the right state."""
_OURS = frozenset((*range(0xBF28, 0xBF2C), *range(0xBF55, 0xBF60)))
"""Functions whose requests are made here, with nothing in them that anybody has signed."""
_RESET_HINT = "reset the card and open ISD-R again"


class Now(Protocol):
    """A clock in seconds, such as the station's."""

    def now(self) -> float:
        """Return seconds since an arbitrary start."""


class Es10Exchange:
    """One open channel to ISD-R: requests in, whole answers out. ``Es10`` documents parameters and errors."""

    def __init__(
        self,
        channel: LogicalChannel,
        *,
        segment: int = DEFAULT_SEGMENT,
        clock: Now | None = None,
        deadline: float = ORDINARY_DEADLINE,
        loading_deadline: float = LOADING_DEADLINE,
        on_exchange: Callable[[int, bytes, bytes], None] | None = None,
        old: bool = False,
        emit: Iterable[Form] = (),
    ) -> None:
        self._channel = channel
        self._segment = segment
        self._clock = clock
        self._deadline = deadline
        self._loading_deadline = loading_deadline
        self._on_exchange = on_exchange
        self._old = old
        self._emit = tuple(emit)
        self.apdus = 0
        """Command APDUs sent, GET RESPONSE and repeats included."""
        self.calls: Counter[str] = Counter()
        """Functions called, by name."""
        self.switched = False
        """A function of this channel changed the enabled profile."""
        self.proactive: int | None = None
        """Length of the proactive command (REFRESH, say) that the card announced last with 91xx."""
        self._response_class = ResponseClass()
        self._answers: deque[tuple[bytes, Response]] = deque()
        """Commands sent ahead of their calls, with the card's answers."""

    @property
    def channel(self) -> LogicalChannel:
        """The channel that this client works on."""
        return self._channel

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    # --- the exchange ---------------------------------------------------------------------------------------------

    async def call(self, request: bytes, *, whole: float | None = None, tag: int | None = None) -> bytes:
        """Send one ES10 request (or unit of a BPP) and return the card's whole answer, b'' when it has none.

        ``whole``: seconds for all APDUs of it together, instead of the ordinary deadline for each. ``tag`` names the
        function where the request does not begin with its tag.
        """
        if tag is None:
            tag = _tag(request)
        self.calls[function_name(tag)] += 1
        request = self._written(request, tag)
        until = None if whole is None or self._clock is None else self._clock.now() + whole
        commands = list(chain(request, segment=self._segment))
        # A deadline for the whole is looked at before each block.
        parts = [commands] if whole is None else [[command] for command in commands]
        data = b""
        for part in parts:
            command, response = await self._transceive(part, tag, whole, until)
            if not response.ok:
                self._refused(tag, command, response)
            if response.proactive is not None:
                self.proactive = response.proactive
            data = response.data
            if data:
                break  # an answer before the last block ends the function: the card refused the rest of a BPP
        if self._on_exchange is not None:
            self._on_exchange(tag, request, data)
        if self._old and data:
            data = self._converted(data, "response", "1.2", tag)
        return data

    async def ahead(self, *requests: bytes) -> None:
        """Send requests of one block each in one conversation; the calls that follow in this order find their answers.

        A carrier that takes turns (a thread, a modem's line) is waited for once, not once a request. The first request
        of several blocks, and the first that the card refuses, end it; what is not called next is forgotten.
        """
        commands = []
        for request in requests:
            blocks = list(chain(self._written(request, _tag(request)), segment=self._segment))
            if len(blocks) > 1:
                break
            commands += blocks
        if len(commands) < 2:
            return  # nothing to be gained
        self._answers.clear()
        answers: list[tuple[bytes, Response]] = []

        def several() -> Collector:
            for command in commands:
                response = yield from collect(command, response_class=self._response_class)
                answers.append((bytes(command), response))
                if not response.ok:
                    break
            return response

        await self._driven(several(), self._deadline)
        self._answers.extend(answers)

    def _written(self, request: bytes, tag: int) -> bytes:
        """Return a request as this card is to be given it: its version's, in the forms of the options."""
        if self._old and tag >= 0xBF00 and tag != 0xBF36:
            request = self._converted(request, "command", "1.0", tag)
        if self._emit and tag in _OURS:
            for form in self._emit:
                request = forms.deviate(request, form)
        return request

    @staticmethod
    def _converted(data: bytes, kind: Literal["command", "response"], to: Literal["1.0", "1.2"], tag: int) -> bytes:
        from bench.rsp import dialect

        try:
            return dialect.convert(data, kind=kind, to=to)
        except RspError as error:
            raise CardAnswerError(f"between SGP.32 v1.0 and v1.2: {error}", where=function_name(tag)) from error

    async def _transceive(
        self, commands: Sequence[Command], tag: int, whole: float | None, until: float | None
    ) -> tuple[Command, Response]:
        """Exchange the blocks of a chain up to the first answer that says more than 9000; return that block and it."""
        if self._answers:
            sent, response = self._answers.popleft()
            if [sent] == [bytes(command) for command in commands]:
                return commands[0], response
            self._answers.clear()  # something else happens first: they may not be true any more

        def left() -> float:
            if until is None or self._clock is None:
                return self._deadline if whole is None else whole
            seconds = until - self._clock.now()
            if seconds <= 0:
                raise InstrumentTimeout(
                    f"the card did not end it within {whole:g} s",
                    where=function_name(tag),
                    hint="raise the deadline for a slow card or carrier, or look for a card that is stuck",
                )
            return seconds

        last = commands[0]

        def blocks() -> Collector:
            nonlocal last
            for last in commands:
                response = yield from collect(last, response_class=self._response_class)
                if not response.ok or response.data:
                    break
                if response.proactive is not None:
                    self.proactive = response.proactive
            return response

        response = await self._driven(blocks(), left(), check=left)
        return last, response

    async def _driven(
        self, collector: Collector, timeout: float, *, check: Callable[[], object] = lambda: None
    ) -> Response:
        def before() -> None:
            check()
            self.apdus += 1

        self.apdus += 1
        return await drive(self._channel, collector, timeout=timeout, before=before)

    def _refused(self, tag: int, command: Command, response: Response) -> None:
        where = f"{function_name(tag)}, {command}"
        word = response.status_word
        if word == 0x6985 and (self.switched or tag not in _CONDITIONAL):
            raise CardNeedsReset(
                "the card answers 6985 to every function"
                + (" since the enabled profile changed" if self.switched else ""),
                status_word=word,
                where=where,
                hint=_RESET_HINT,
            )
        raise StatusWordError(f"the card answered {describe(word)}", status_word=word, where=where, hint=_hint(word))

    # --- what the functions are made of ---------------------------------------------------------------------------

    async def _function(self, request: bytes) -> tlv.Tlv:
        tag = _tag(request)
        return views.answer(await self.call(request), tag)

    async def _result(self, request: bytes, *, allowed: Iterable[int] = (0,)) -> int:
        """Call a function that answers one number; raise Es10Error unless it is one of ``allowed``."""
        tag = _tag(request)
        code = views.result_code(await self.call(request), tag)
        if code not in allowed:
            raise Es10Error(function_name(tag), code, result_name(tag, code))
        return code

    def _no_error(self, found: tlv.Tlv, *tags: int) -> tlv.Tlv:
        code = views.error_code(found, *tags)
        if code is not None:
            raise Es10Error(function_name(found.tag), code, result_name(found.tag, code))
        return found

    async def _switch(self, request: bytes) -> None:
        """Call a function that changes the enabled profile."""
        await self._result(request)
        self.switched = True


def _tag(request: bytes) -> int:
    """Return the outer tag of a request, two bytes for BFxx."""
    if len(request) >= 2 and request[0] & 0x1F == 0x1F:
        return int.from_bytes(request[:2], "big")
    return request[0] if request else 0


def _hint(word: int) -> str:
    if word == 0x6881:
        return "the logical channel is closed, as after a reset: open it again"
    if word == 0x9300:
        return "a proactive session of the card is under way: fetch its command and answer it, or reset the card"
    if word in (0x6700, 0x6A80, 0x6F00):
        return "if it comes with long requests only, try segment = 120"
    return ""
