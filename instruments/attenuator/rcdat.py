"""Mini-Circuits RCDAT and RC4DAT: steps of 0.25 dB over HTTP (``http://HOST``) or telnet (``telnet://HOST:23``).

The same text both ways: ``SETATT=10.75`` (several channels: ``:CHAN:1:SETATT:10.75``), ``ATT?``, ``MN?``,
``SN?``. A setting is answered with 1 (done), 0 (failed) or 2 (out of range); what is unknown with
``-99 Unrecognized Command``. The attenuator takes one telnet client at a time, so a connection lasts for one
exchange, and a busy one is tried again.
"""

from __future__ import annotations

import asyncio
import re
import urllib.parse
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from bench.errors import ConfigurationError, InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions
from bench.station.interfaces import Identity
from bench.trace.lane import Direction
from instruments.scpi.link import ConnectionLost
from instruments.scpi.parse import AnswerError

if TYPE_CHECKING:
    from bench.station.interfaces import Attenuator

    def _fits(attenuator: MiniCircuitsRcdat) -> Attenuator:
        return attenuator


T = TypeVar("T")

STEP: Final = 0.25
"""dB."""
ANSWER: Final = 2.0
"""Real seconds for one answer."""
BUSY: Final = 5.0
"""Real seconds for which a busy attenuator is tried again."""
_AGAIN: Final = 0.1
_LIMIT: Final = 4096
_MODEL = re.compile(r"RC(?P<channels>[248]?)[SU]?DAT-\d+-(?P<highest>\d{2,3})", re.IGNORECASE)
_DB = re.compile(r"[+-]?\d{1,3}(?:\.\d{1,3})?")


def value_of(answer: str, name: str) -> str:
    """Return what stands behind ``MN=`` or ``SN=``. Raises AnswerError."""
    found = re.fullmatch(rf"{name}\s*[=:]\s*(\S+)", answer.strip(), re.IGNORECASE)
    if found is None:
        raise AnswerError(f"'{answer[:60]}' is no answer to {name}?")
    return found[1]


def attenuations(answer: str) -> list[float]:
    """Read ``ATT?``: one number in dB, or one a channel. Raises AnswerError."""
    parts = answer.replace(",", " ").split()
    if not parts or any(not _DB.fullmatch(part) for part in parts):
        raise AnswerError(f"'{answer[:60]}' is no attenuation")
    return [float(part) for part in parts]


class MiniCircuitsRcdat:
    """An attenuator (interfaces.Attenuator). Option ``channels``: those of the station, else ``channel``."""

    def __init__(self, options: DriverOptions, url: urllib.parse.SplitResult) -> None:
        self.identity = Identity()
        self.channels: tuple[int, ...] = (1,)
        self.step = STEP
        self.highest = 0.0
        self._options = options
        self._url = url
        self._count = 1
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, options: DriverOptions) -> MiniCircuitsRcdat:
        """Read model and serial number; nothing is changed. Raises InstrumentError, ConfigurationError."""
        extra = options.known_extra("channels")
        url = urllib.parse.urlsplit(options.resource)
        if url.scheme not in ("http", "telnet") or not url.hostname:
            raise ConfigurationError(
                f"'{options.resource}' is no address of an attenuator",
                where=options.origin,
                hint="http://192.0.2.20 or telnet://192.0.2.20:23",
            )
        made = cls(options, url)
        model = await made._value("MN?", partial(value_of, name="MN"))
        serial = await made._value("SN?", partial(value_of, name="SN"))
        found = _MODEL.search(model)
        if found is None:
            raise InstrumentError(
                f"{options.name} is a {model}, which is no RCDAT",
                where=options.resource,
                hint="is the address right, and 'driver' the one for this instrument?",
            )
        made._count = int(found["channels"] or 1)
        made.highest = float(found["highest"])
        made.identity = Identity("Mini-Circuits", model, serial)
        given = extra.get("channels", [options.channel])
        wanted = tuple(given) if isinstance(given, list | tuple) else (given,)
        if not wanted or any(not isinstance(item, int) or not 1 <= item <= made._count for item in wanted):
            raise ConfigurationError(
                f"{options.name} ({model}) has channels 1 to {made._count}",
                where=options.origin or options.resource,
                hint="as in options = { channels = [1] }",
            )
        made.channels = wanted
        return made

    async def close(self) -> None:
        """Nothing is held between two exchanges; the attenuation stays."""

    def _known(self, channel: int | None) -> tuple[int, ...]:
        if channel is None:
            return self.channels
        if channel not in self.channels:
            raise Refused(
                f"channel {channel} is not one of this station's ({', '.join(map(str, self.channels))})",
                where=self._options.name,
                hint="'channels' in bench.toml says which channels the station may use",
            )
        return (channel,)

    async def set_attenuation(self, attenuation: float, *, channel: int | None = None) -> None:
        """Program a channel (None: all of the station's) in dB and read it back. Raises Refused, InstrumentError."""
        channels = self._known(channel)
        if not 0 <= attenuation <= self.highest:
            raise Refused(
                f"{attenuation:g} dB is outside of 0 to {self.highest:g} dB",
                where=self._options.name,
                hint=f"that is the range of an {self.identity.model}; nothing was sent",
            )
        if abs(attenuation / STEP - round(attenuation / STEP)) > 1e-6:
            raise Refused(
                f"{attenuation:g} dB is no multiple of {STEP} dB",
                where=self._options.name,
                hint=f"{round(attenuation / STEP) * STEP:g} dB is; nothing was sent",
            )
        for number in channels:
            command = f"SETATT={attenuation:.2f}" if self._count == 1 else f":CHAN:{number}:SETATT:{attenuation:.2f}"
            answer = (await self._ask(command)).strip()
            if answer != "1":
                words = {"0": "it failed", "2": "out of range"}.get(answer, f"it answered '{answer[:60]}'")
                raise InstrumentError(
                    f"not set: {words}",
                    where=f"{self._options.name}: {command}",
                    hint="does the model have this range?",
                )
            found = await self._read(number)
            if abs(found - attenuation) > STEP / 2:
                raise InstrumentError(
                    f"channel {number} reads {found:g} dB after {attenuation:g} dB was set",
                    where=f"{self._options.name}: {command}",
                    hint="does another program, or a hand at its front, set it too?",
                )

    async def attenuation(self, *, channel: int | None = None) -> float:
        """Return the attenuation of a channel in dB; None: the station's first."""
        return await self._read(self._known(channel)[0])

    async def _read(self, channel: int) -> float:
        return (await self._value("ATT?", self._all))[channel - 1]

    def _all(self, answer: str) -> list[float]:
        """Read the attenuation of every channel there is. Raises AnswerError."""
        found = attenuations(answer)
        if len(found) != self._count:
            raise AnswerError(f"{len(found)} attenuations of {self._count} channels")
        if any(not 0 <= value <= self.highest for value in found):
            raise AnswerError(f"'{answer[:60]}' is beyond the {self.highest:g} dB of an {self.identity.model}")
        return found

    # --- exchanges ------------------------------------------------------------------------------------------------

    async def _value(self, command: str, read: Callable[[str], T]) -> T:
        """Return what ``read`` makes of an answer. Raises as ``_ask`` does, and AnswerError with the question."""
        answer = await self._ask(command)
        try:
            return read(answer)
        except AnswerError as error:
            error.where = f"{self._options.name}: {command}"
            error.hint = "is there an attenuator at this address?"
            raise

    async def _ask(self, command: str) -> str:
        """Do one exchange on a connection of its own. Raises ConnectionLost, InstrumentTimeout, AnswerError."""
        way = self._http if self._url.scheme == "http" else self._telnet
        async with self._turn:
            with self._options.clock.busy():
                self._options.lane.record(Direction.SENT, command.encode("ascii", "replace") + b"\r\n")
                answer = await self._again(way, command)
                self._options.lane.record(Direction.RECEIVED, answer.encode("latin-1", "replace") + b"\r\n")
        if answer.startswith("-99"):
            raise InstrumentError(
                answer[:120],
                where=f"{self._options.name}: {command}",
                hint="this model or firmware does not have the command",
            )
        return answer

    async def _again(self, way: Callable[[str], Awaitable[str]], command: str) -> str:
        """Try again where the connection came to nothing: every command may be sent twice."""
        loop = asyncio.get_running_loop()
        until = loop.time() + BUSY
        while True:
            try:
                async with asyncio.timeout(ANSWER):
                    return (await way(command)).strip()
            except TimeoutError:
                raise InstrumentTimeout(
                    f"no answer within {ANSWER:g} s",
                    where=f"{self._options.resource}: {command}",
                    hint="is it on, and does no other program hold its only telnet session?",
                ) from None
            except ConnectionRefusedError as error:
                raise ConnectionLost(
                    f"{self._options.name}: cannot connect: connection refused",
                    where=self._options.resource,
                    hint="is it on, and is the address right?",
                ) from error
            except OSError as error:
                if loop.time() + _AGAIN >= until:
                    raise ConnectionLost(
                        f"the connection broke: {error.strerror or error}",
                        where=f"{self._options.resource}: {command}",
                        hint="it takes one telnet client at a time: does another program hold it?",
                    ) from error
            await asyncio.sleep(_AGAIN)

    async def _telnet(self, command: str) -> str:
        reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port or 23, limit=_LIMIT)
        try:
            writer.write(command.encode("ascii") + b"\r\n")
            await writer.drain()
            while True:
                line = await reader.readline()
                if not line.endswith(b"\n"):  # 10.7 may be the beginning of 10.75
                    raise ConnectionResetError("closed before the end of the answer")
                if line.strip():
                    return line.decode("latin-1")
        except ValueError as error:
            raise AnswerError("an answer without end", where=f"{self._options.resource}: {command}") from error
        finally:
            writer.close()

    async def _http(self, command: str) -> str:
        """HTTP as the attenuator speaks it: one request a connection, the answer is the body.

        An answer that does not tell its length may have been cut off: then the next one must be the same.
        """
        where = f"{self._options.resource}: {command}"
        answer, whole = http_body(await self._http_raw(command), where=where)
        if whole:
            return answer
        again, _ = http_body(await self._http_raw(command), where=where)
        if again != answer:
            raise AnswerError(f"'{answer[:40]}', then '{again[:40]}'", where=where)
        return answer

    async def _http_raw(self, command: str) -> bytes:
        host = self._url.hostname
        reader, writer = await asyncio.open_connection(host, self._url.port or 80, limit=_LIMIT)
        try:
            path = urllib.parse.quote(command, safe="=?:.")
            writer.write(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii"))
            await writer.drain()
            raw = b""
            while more := await reader.read(_LIMIT):
                raw += more
                if len(raw) > _LIMIT:
                    raise AnswerError("an answer without end", where=f"{self._options.resource}: {command}")
        finally:
            writer.close()
        return raw


def http_body(raw: bytes, *, where: str) -> tuple[str, bool]:
    """Return the body of an HTTP answer, and whether it is known to be whole (it told its length).

    Raises AnswerError, and ConnectionResetError where it is cut off.
    """
    head, mark, body = raw.partition(b"\r\n\r\n")
    if not raw:
        raise ConnectionResetError("closed before the answer")
    if (raw.startswith(b"HTTP/") or b"HTTP/".startswith(raw)) and not mark:
        raise ConnectionResetError("closed in the middle of the answer")
    status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    if not mark or status is None:
        # Some firmware answers with the bare text.
        text = raw.decode("latin-1").strip()
        if re.fullmatch(r"[\x20-\x7e]{1,200}", text) and not text.startswith(("HTTP", "<")):
            return text, False
        raise AnswerError(f"{raw[:40]!r} is no HTTP answer", where=where)
    if status[1] != b"200":
        raise AnswerError(f"HTTP {status[1].decode()}", where=where)
    length = re.search(rb"^content-length:\s*(\d{1,6})\s*$", head, re.IGNORECASE | re.MULTILINE)
    if length is None:
        return body.decode("latin-1").strip(), False
    if len(body) < int(length[1]):
        raise ConnectionResetError("closed in the middle of the answer")
    return body[: int(length[1])].decode("latin-1").strip(), True
