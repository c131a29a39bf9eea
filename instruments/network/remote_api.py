"""Amarisoft's remote API: JSON objects over WebSocket, one connection to a process (eNB 9001, MME 9000).

The server speaks first (``ready``, or ``authenticate`` where a password is set). A request carries ``message`` and
``message_id``, which the answer gives back; what failed carries ``error``. Answers may come late or out of order: only
the one with the same ``message_id`` is taken. Secrets never reach the lane.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from bench.errors import InstrumentError, InstrumentTimeout
from bench.station.clock import Clock
from bench.trace.lane import Direction, Lane
from instruments.scpi.link import ConnectionLost
from instruments.scpi.parse import AnswerError

if TYPE_CHECKING:
    import aiohttp

ANSWER: Final = 5.0
"""Real seconds for one answer."""
CONNECT: Final = 3.0
"""Real seconds for a connection."""
CLOSE: Final = 0.3
"""Real seconds for a farewell, which a process that hangs does not answer."""
LIMIT: Final = 16 << 20
"""Longest message in bytes."""


class RemoteApiError(InstrumentError):
    """The process answered with ``error``."""


def parse_message(text: str) -> dict[str, Any]:
    """Read one message. Raises AnswerError."""
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise AnswerError(f"{text[:60]!r} is no JSON object") from None
    if not isinstance(found, dict):
        raise AnswerError(f"{text[:60]!r} is no JSON object")
    return found


def _no_number(word: str) -> float:
    """Refuse NaN and Infinity, which are no JSON: every comparison with NaN would be a wrong answer."""
    raise ValueError(word)


class RemoteApi:
    """One process of a callbox. Open with ``RemoteApi.open``."""

    def __init__(self, url: str, *, name: str, lane: Lane, clock: Clock) -> None:
        self.url = url
        self.name = name
        self.ready: Mapping[str, Any] = {}
        """The first message of the server."""
        self._lane = lane
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._turn = asyncio.Lock()
        self._id = 0

    @classmethod
    async def open(cls, url: str, *, name: str, lane: Lane, clock: Clock) -> RemoteApi:
        """Connect and wait for ``ready``. Raises InstrumentError."""
        made = cls(url, name=name, lane=lane, clock=clock)
        try:
            with clock.busy():
                await made._connect()
        except BaseException:
            await made.close()
            raise
        return made

    async def close(self) -> None:
        """Close the connection."""
        socket, self._socket = self._socket, None
        session, self._session = self._session, None
        try:
            if socket is not None:
                async with asyncio.timeout(CLOSE):
                    await socket.close()
        except TimeoutError:
            pass  # the session's end closes the connection without a farewell
        finally:
            if session is not None:
                await session.close()

    async def _connect(self) -> None:
        """Connect anew; a process that is not the one of before is spoken with no further."""
        await self.close()
        try:
            await self._open()
            self.ready = await self._greeting()
        except BaseException:
            await self.close()
            raise

    async def _open(self) -> None:
        import aiohttp

        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT))
        try:
            async with asyncio.timeout(CONNECT):
                # The server refuses a client without Origin.
                self._socket = await self._session.ws_connect(
                    self.url, origin="bench", max_msg_size=LIMIT, autoping=True
                )
        except TimeoutError:
            raise ConnectionLost(
                f"{self.name}: no connection within {CONNECT:g} s",
                where=self.url,
                hint="does the process run, and is the address right?",
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ConnectionLost(
                f"{self.name}: cannot connect: {_reason(error)}",
                where=self.url,
                hint="does the process run, and does its com_addr listen on this address?",
            ) from error

    async def _greeting(self) -> dict[str, Any]:
        """Return the server's first message. Raises InstrumentError for any other than before."""
        first = await self._receive("ready", ANSWER)
        if first.get("message") == "authenticate":
            raise InstrumentError(
                f"{self.name} asks for a password", where=self.url, hint="take com_password out of its configuration"
            )
        if first.get("message") != "ready":
            raise AnswerError(
                f"{str(first)[:60]} instead of 'ready'", where=self.url, hint="is this the port of an eNB or MME?"
            )
        if self.ready and (self.ready.get("type"), self.ready.get("name")) != (first.get("type"), first.get("name")):
            raise InstrumentError(
                f"another process answers after the connection was lost: {first.get('type')} {first.get('name')}",
                where=self.url,
                hint=f"the station was opened with {self.ready.get('type')} {self.ready.get('name')}",
            )
        return first

    async def _receive(self, what: str, seconds: float) -> dict[str, Any]:
        import aiohttp

        assert self._socket is not None
        try:
            async with asyncio.timeout(seconds):
                message = await self._socket.receive()
        except TimeoutError:
            await self.close()  # a peer that has gone without a word would be waited for again and again
            raise InstrumentTimeout(
                f"no answer within {ANSWER:g} s",
                where=f"{self.url}: {what}",
                hint="does the process hang? the next request connects anew",
            ) from None
        if message.type is aiohttp.WSMsgType.TEXT:
            text = str(message.data)
            self._lane.record(Direction.RECEIVED, text.encode() + b"\n")
            try:
                return parse_message(text)
            except AnswerError as error:
                error.where = f"{self.url}: {what}"
                await self.close()  # nobody knows what else is wrong with it
                raise
        await self.close()
        hint = "it is connected to anew with the next request"
        if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
            raise ConnectionLost("the server closed the connection", where=f"{self.url}: {what}", hint=hint)
        raise ConnectionLost(f"the connection broke: {_reason(message.data)}", where=f"{self.url}: {what}", hint=hint)

    async def ask(
        self, message: str, *, repeat: bool = True, secret: object = None, **fields: object
    ) -> dict[str, Any]:
        """Send a request and return its answer.

        A connection found closed is opened again before sending; with ``repeat`` a request whose connection broke is
        sent once more. ``secret``: ``fields`` as the lane may show them. Raises RemoteApiError with the process's own
        words, InstrumentTimeout, ConnectionLost, AnswerError.
        """
        with self._clock.busy():
            async with self._turn:
                if self._socket is None or self._socket.closed:
                    await self._connect()
                try:
                    return await self._exchange(message, fields, secret)
                except ConnectionLost as error:
                    if not repeat:
                        error.what += "; it is not known whether it was carried out"
                        raise
                await self._connect()
                return await self._exchange(message, fields, secret)

    async def _exchange(self, message: str, fields: Mapping[str, object], secret: object) -> dict[str, Any]:
        assert self._socket is not None
        self._id += 1
        identity = f"b{self._id}"
        request = {"message": message, "message_id": identity, **fields}
        shown = request if secret is None else {"message": message, "message_id": identity, "secret": secret}
        self._lane.record(Direction.SENT, json.dumps(shown).encode() + b"\n")
        try:
            await self._socket.send_str(json.dumps(request))
        except (OSError, RuntimeError) as error:
            await self.close()
            raise ConnectionLost(f"the connection broke: {_reason(error)}", where=f"{self.url}: {message}") from error
        loop = asyncio.get_running_loop()
        until = loop.time() + ANSWER
        while True:
            answer = await self._receive(message, max(until - loop.time(), 0.0))
            if answer.get("message_id") == identity:
                break
        if "error" in answer:
            raise RemoteApiError(
                str(answer["error"])[:300],
                where=f"{self.name}: {message}",
                hint="these are the process's own words: does its release have the request?",
            )
        return answer


def _reason(error: object) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()  # aiohttp puts a text of its own into strerror
    return str(error) or type(error).__name__


def warm() -> None:
    """Import aiohttp before the first connection."""
    import aiohttp  # noqa: F401
