"""A wire between a driver and its simulated instrument on which everything happens that happens to real ones.

A TCP proxy on 127.0.0.1: it knows where an answer begins and ends (``lines``, ``whole``, ``frames``) and nothing else.
``arm`` one fault for the n-th answer from now; ``disarm`` tells whether it came to that.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from typing import Final

from exchanges import Armed  # type: ignore[import-not-found] # no installed package

Cut = Callable[[bytes, bool], tuple[bytes, bytes]]
"""Returns the first whole answer in a buffer (empty: none yet), and the rest. The flag: nothing follows."""
FAULTS: Final = (
    "closed", "closed-mid-answer", "late", "silent", "half-and-silent", "half-and-late", "garbage",
    "garbage-before-answer", "surplus", "fragmented", "reboot", "second-client", "exchanged",
)  # fmt: skip
"""What happens on any wire; with the last three the instrument is not there, or not for this client, for a while."""
ANSWERS: Final = (b'-410,"Query INTERRUPTED"\n',)
"""Garbage that is an answer, if to another question: no client can tell when one comes and the right one after it."""
QUEUED: Final = (*FAULTS, "refused-in-queue")
"""And on one to an instrument with an error queue, which puts an error into it and says nothing."""


def lines(buffer: bytes, ended: bool) -> tuple[bytes, bytes]:
    """SCPI and telnet: an answer is a line."""
    end = buffer.find(b"\n") + 1
    return buffer[:end], buffer[end:]


def whole(buffer: bytes, ended: bool) -> tuple[bytes, bytes]:
    """HTTP with ``Connection: close``: an answer is all there is."""
    return (buffer, b"") if ended else (b"", buffer)


def frames(buffer: bytes, ended: bool) -> tuple[bytes, bytes]:
    """WebSocket (RFC 6455 section 5.2): an answer is a frame of the server, which masks none; so is its handshake."""
    if buffer.startswith(b"HTTP/"):
        end = buffer.find(b"\r\n\r\n")
        return (b"", buffer) if end < 0 else (buffer[: end + 4], buffer[end + 4 :])
    if len(buffer) < 2:
        return b"", buffer
    size, at = buffer[1] & 127, 2
    if size >= 126:
        at += 2 if size == 126 else 8
        if len(buffer) < at:
            return b"", buffer
        size = int.from_bytes(buffer[2:at], "big")
    return (buffer[: at + size], buffer[at + size :]) if len(buffer) >= at + size else (b"", buffer)


def frame(payload: bytes, *, opcode: int = 1) -> bytes:
    """Return a frame of a WebSocket server: text by default."""
    size = len(payload)
    length = bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return bytes((0x80 | opcode,)) + length + payload


class FaultyWire(Armed):
    """Proxies for the ports of one instrument, which fail together."""

    def __init__(
        self,
        ports: Sequence[int],
        cut: Cut,
        chance: random.Random,
        *,
        garbage: Sequence[bytes],
        late: float,
        reboot: Callable[[], object] = lambda: None,
        refuse: Callable[[], object] = lambda: None,
        foreign: Callable[[bytes], bytes] = lambda answer: answer,
        between: float = 0.0,
    ) -> None:
        """``garbage``: whole answers that are none; ``late``: the client's patience in seconds.

        ``between``: seconds from one connection to the next, for an instrument that takes one at a time.

        ``reboot`` is called when the instrument restarts, ``refuse`` when it puts an error into its queue instead of an
        answer out; ``foreign`` makes another instrument's answer of an answer.
        """
        super().__init__(chance)
        self.ports: list[int] = []
        self.here = asyncio.Event()
        """Set while the instrument is there, and for this client."""
        self.here.set()
        self._targets = tuple(ports)
        self._cut = cut
        self._garbage = garbage
        self._late = late
        self._reboot = reboot
        self._refuse = refuse
        self._foreign = foreign
        self._between = between
        self._serving = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._away = ""
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on free ports, then on the same ones."""
        wanted = self.ports or [0] * len(self._targets)
        self._servers = [
            await asyncio.start_server(
                lambda reader, writer, target=target: self._serve(reader, writer, target), "127.0.0.1", port
            )
            for target, port in zip(self._targets, wanted, strict=True)
        ]
        self.ports = [server.sockets[0].getsockname()[1] for server in self._servers]

    def _listen_no_more(self) -> None:
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()

    async def close(self) -> None:
        """End everything."""
        self._listen_no_more()
        self.drop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with asyncio.timeout(5.0):
            await self._idle.wait()

    def drop(self) -> None:
        """Break every connection."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    @property
    def away(self) -> bool:
        """Whether the instrument is not there for this client."""
        return not self.here.is_set()

    # --- connections ----------------------------------------------------------------------------------------------

    async def _serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter, target: int) -> None:
        if self._away == "closing":
            answers.transport.abort()
            return
        self._serving += 1
        self._idle.clear()
        try:
            await self._carry(client, answers, target)
        finally:
            self._serving -= 1
            if not self._serving:
                self._idle.set()

    async def _carry(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter, target: int) -> None:
        try:
            await asyncio.sleep(self._between)
            instrument, questions = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            answers.transport.abort()
            return
        self._writers |= {answers, questions}
        pumps = [
            asyncio.ensure_future(self._ask(client, questions)),
            asyncio.ensure_future(self._answer(instrument, answers)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for writer in (answers, questions):
                self._writers.discard(writer)
                writer.close()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _ask(self, client: asyncio.StreamReader, questions: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await client.read(65536):
                questions.write(data)

    async def _answer(self, instrument: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        buffer, ended = b"", False
        with contextlib.suppress(OSError):
            while not ended:
                data = await instrument.read(65536)
                ended = not data
                buffer += data
                while True:
                    answer, buffer = self._cut(buffer, ended)
                    if not answer:
                        break
                    await self._pass(answer, answers)

    async def _pass(self, answer: bytes, to: asyncio.StreamWriter) -> None:
        if self._away == "silent":
            return
        if self._away == "exchanged":
            answer = self._foreign(answer)
        elif fault := self.due():
            await self._fail(fault, answer, to)
            return
        to.write(answer)

    # --- what happens ---------------------------------------------------------------------------------------------

    async def _fail(self, fault: str, answer: bytes, to: asyncio.StreamWriter) -> None:
        half = self.part(answer)
        match fault:
            case "closed" | "closed-mid-answer":
                to.write(half if fault == "closed-mid-answer" else b"")
                raise ConnectionResetError
            case "late":
                await self._too_long()
                to.write(answer)
            case "half-and-silent":
                to.write(half)
                await asyncio.Event().wait()  # a stream loses nothing in its middle: nothing comes any more at all
            case "half-and-late":
                to.write(half)
                await self._too_long()
                to.write(answer[len(half) :])
            case "garbage":
                to.write(self._chance.choice(self._garbage))
            case "garbage-before-answer":
                to.write(self._chance.choice([line for line in self._garbage if line not in ANSWERS]))
                await asyncio.sleep(self._chance.choice((0.0, 0.001, 0.005)))
                to.write(answer)
            case "surplus":
                to.write(answer + self._chance.choice(self._garbage))
            case "fragmented":
                async for piece in self.pieces(answer, self._late):
                    to.write(piece)
            case "silent":
                pass
            case "refused-in-queue":
                self._refuse()
            case "reboot" | "second-client" | "exchanged":
                self._leave(fault)
                raise ConnectionResetError
            case _:
                raise AssertionError(fault)

    async def _too_long(self) -> None:
        await asyncio.sleep(self._late * self._chance.uniform(1.1, 1.7))

    def _leave(self, fault: str) -> None:
        """Go away for up to 0.4 s: restarted with its settings lost, held by another client, or another instrument."""
        self.here.clear()
        self._away = "exchanged"
        if fault == "reboot":
            self._reboot()
            self._away = self._chance.choice(("refused", "closing"))
        elif fault == "second-client":
            self._away = self._chance.choice(("silent", "closing"))
        if self._away == "refused":
            self._listen_no_more()
        self.drop()
        task = asyncio.ensure_future(self._return(self._chance.uniform(0.02, 0.4)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _return(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        refused, self._away = self._away == "refused", ""
        if refused:
            await self.start()
        else:
            self.drop()  # who was kept waiting, or spoke with the other instrument, has to come again
        self.here.set()
