"""One call of a template over HTTP: filled in, sent, repeated where that is harmless, its answer read.

What a repetition may do is stated by the template (``repeat``): ``safe`` calls are repeated as they are, ``key`` calls
with the same ``{key}``, by which the server knows them again; a call with ``never`` is repeated only when certainly
nothing of it was sent. Every failure is an InstrumentError with a remedy: the device is not to blame.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.errors import InstrumentError, InstrumentTimeout
from bench.trace.lane import Direction, Lane
from instruments.external import credentials, pointer
from instruments.external.filling import fill, fill_path
from instruments.external.rules import RULES
from instruments.external.template import Operation, Template

if TYPE_CHECKING:
    import aiohttp

MAX_ANSWER: Final = 4 << 20
"""Bytes of an answer."""
_SHOWN: Final = 200
"""Characters of an answer in a message."""
_LONGEST_WAIT: Final = 60.0
"""Seconds that a Retry-After may ask for."""


class Unsure(InstrumentTimeout):
    """A call that may have been carried out: nothing came back, and it must not be repeated."""


class NotFound(InstrumentError):
    """HTTP 404: the server does not know whom or what the call is about."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one operation."""

    operation: Operation
    document: Any
    where: str

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value by its name in the template; ``default`` where the template or the answer has none."""
        tokens = self.operation.answer.get(name)
        if tokens is None:
            return default
        try:
            found = pointer.find(self.document, tokens)
        except pointer.NotThere:
            return default
        return default if found is None else found

    def need(self, name: str) -> Any:
        """Return a value that must be there. Raises InstrumentError that says where it was looked for."""
        tokens = self.operation.answer[name]
        try:
            found = pointer.find(self.document, tokens)
        except pointer.NotThere as error:
            raise InstrumentError(
                f"the answer has no {name} at {pointer.text_of(tokens)}: {error}",
                where=self.where,
                hint=f"correct the pointer: {self.operation.origin}",
            ) from None
        if found is None or found == "":
            raise InstrumentError(
                f"the answer's {name} at {pointer.text_of(tokens)} is empty",
                where=self.where,
                hint=f"is it told later, or elsewhere? {self.operation.origin}",
            )
        return found

    def text(self, name: str, *, needed: bool = False) -> str:
        """Return a text or number as text, '' when it is not told. Raises InstrumentError for lists and objects."""
        found = self.need(name) if needed else self.get(name)
        if found is None:
            return ""
        if isinstance(found, str | int | float) and not isinstance(found, bool):
            return str(found)
        raise self.wrong(name, found, "a text or a number")

    def flag(self, name: str) -> bool | None:
        """Return true or false, None when it is not told; also as text, and 0 and 1."""
        found = self.get(name)
        if found is None or isinstance(found, bool):
            return found
        text = str(found).lower()
        if text in ("true", "yes", "1", "enabled"):
            return True
        if text in ("false", "no", "0", "disabled"):
            return False
        raise self.wrong(name, found, "true or false")

    def items(self, name: str) -> list[Answer]:
        """Return the items of a list, each to be asked like an answer. Raises InstrumentError when it is none."""
        found = self.get(name, [])
        if not isinstance(found, list):
            raise self.wrong(name, found, "a list")
        return [Answer(self.operation, item, self.where) for item in found]

    def wrong(self, name: str, found: Any, due: str) -> InstrumentError:
        """Return the error of a value that is another thing than it should be."""
        kind = "an object" if isinstance(found, dict) else "a list" if isinstance(found, list) else repr(found)[:80]
        return InstrumentError(
            f"the answer's {name} is {kind}, {due} is due",
            where=self.where,
            hint=f"correct the pointer: {self.operation.origin}",
        )


class RestConnection:
    """Calls one server. Use in one event loop; ``close`` when done."""

    def __init__(self, template: Template, title: str, lane: Lane) -> None:
        self.template = template
        self._title = title
        self._lane = lane
        self._session: aiohttp.ClientSession | None = None
        self._token = ""

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def has(self, name: str) -> bool:
        """Whether the template has an operation."""
        return name in self.template.operations

    async def call(self, name: str, values: Mapping[str, Any]) -> Answer:
        """Carry out an operation. ``values``: what its request is filled with.

        Raises NotFound, Unsure (it may have been carried out), InstrumentTimeout, InstrumentError, ConfigurationError.
        """
        operation = self.template.operations[name]
        known = dict.fromkeys(RULES[self.template.role][name].values)
        filled = {**known, **self.template.values, **values}
        server = self.template.server
        target = server.url + fill_path(operation.path, filled, operation.origin)
        where = f"{self._title} {operation.method} {target}"
        request = self._request(operation, filled)
        failure: InstrumentError | None = None
        for attempt in range(server.retries + 1):
            if attempt:
                asked = getattr(failure, "retry_after", None)
                await asyncio.sleep(min(asked if asked is not None else server.retry_after * 2 ** (attempt - 1), 60.0))
            try:
                return await self._attempt(operation, target, request, where)
            except _Again as again:
                failure = again.error
                if not again.harmless and operation.repeat == "never":
                    break
        assert failure is not None
        raise failure

    def _request(self, operation: Operation, values: Mapping[str, Any]) -> dict[str, Any]:
        request: dict[str, Any] = {"headers": {"Accept": "application/json"}}
        for key, value in fill(operation.headers, values).items():
            request["headers"][key] = "".join(each for each in _plain(value) if each.isprintable())
        if operation.query:
            request["params"] = {key: _plain(value) for key, value in fill(operation.query, values).items()}
        if operation.body is not None:
            request["data"] = json.dumps(fill(operation.body, values), ensure_ascii=False).encode()
            request["headers"].setdefault("Content-Type", "application/json")
        return request

    async def _attempt(self, operation: Operation, target: str, request: Mapping[str, Any], where: str) -> Answer:
        import aiohttp

        server = self.template.server
        session = self._open()
        body: bytes = request.get("data", b"")
        self._lane.record(Direction.SENT, body or target.encode(), comment=f"{operation.name}: {where}")
        try:
            async with asyncio.timeout(server.timeout):
                async with session.request(
                    operation.method,
                    target,
                    headers={**request["headers"], **self._credentials()},
                    params=request.get("params"),
                    data=request.get("data"),
                    allow_redirects=False,
                ) as response:
                    raw = await _read(response)
                    status, headers = response.status, response.headers
        except TimeoutError:
            raise self._lost(operation, f"no answer within {server.timeout:g} s", where) from None
        except aiohttp.ClientSSLError as error:
            raise InstrumentError(
                f"TLS failed: {_reason(error)}",
                where=where,
                hint="'ca' or 'pin' of [server]: is it this server's, and does its certificate name the host?",
            ) from error
        except ssl.SSLError as error:
            hint = "'pin' of [server] is another server's, or its key was exchanged"
            raise InstrumentError(f"TLS failed: {_reason(error)}", where=where, hint=hint) from error
        except aiohttp.ClientConnectorError as error:
            told = getattr(error.os_error, "strerror", None) or str(error)
            hint = "does it run, is 'url' of [server] right, does a firewall let this host through?"
            raise _Again(
                InstrumentError(f"the {self._title} cannot be reached: {told}", where=where, hint=hint), harmless=True
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._lost(operation, f"the connection broke: {_reason(error)}", where) from error
        shown = self._scrubbed(raw)
        self._lane.record(Direction.RECEIVED, shown, comment=f"{operation.name}: HTTP {status}")
        if 200 <= status < 300 or status in operation.accept:
            answer = Answer(operation, self._document(operation, raw, where), where)
            self._require_success(operation, answer, shown)
            return answer
        raise self._refusal(operation, status, headers, shown, where)

    def check_again(self, name: str) -> None:
        """Raise Unsure where the operation may have been carried out before an interruption, and must not be again."""
        operation = self.template.operations[name]
        if operation.repeat == "never":
            where = f"{self._title} {operation.method} {self.template.server.url}"
            raise self._lost(operation, "the bench was interrupted as it was sent", where).error

    def _lost(self, operation: Operation, what: str, where: str) -> _Again:
        if operation.repeat == "never":
            return _Again(
                Unsure(
                    f"{what}: whether the {self._title} has taken it is not known",
                    where=where,
                    hint=f"look there before it is ordered again; repeat = 'key' makes it safe: {operation.origin}",
                ),
                harmless=False,
            )
        hint = "a slow server needs a longer 'timeout' in [server]; its own log says what it did"
        return _Again(InstrumentTimeout(what, where=where, hint=hint), harmless=False)

    def _require_success(self, operation: Operation, answer: Answer, shown: bytes) -> None:
        """Raise InstrumentError when the body of a good status says that the call failed, as ES2+ does."""
        server = self.template.server
        if not server.success:
            return
        try:
            told = pointer.find(answer.document, pointer.parse(server.success))
        except pointer.NotThere:
            return
        if str(told) not in server.success_is:
            reason = self._reason_of(shown)
            raise InstrumentError(
                f"the {self._title} refused '{operation.name}' ({str(told)[:80]}" + (f": {reason})" if reason else ")"),
                where=answer.where,
                hint=f"does the request fit what it expects? {operation.origin}",
            )

    def _document(self, operation: Operation, raw: bytes, where: str) -> Any:
        if not operation.answer and not (self.template.server.success and raw):
            return None
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            begin = self._scrubbed(raw)[:_SHOWN].decode("utf-8", "replace")
            raise InstrumentError(
                f"the answer is no JSON: {_printable(begin) or 'it is empty'}",
                where=where,
                hint="is this path the REST interface, or a login page or proxy before it?",
            ) from None

    def _refusal(
        self, operation: Operation, status: int, headers: Mapping[str, str], shown: bytes, where: str
    ) -> Exception:
        reason = self._reason_of(shown)
        told = f"HTTP {status}" + (f": {reason}" if reason else "")
        if status in (401, 403):
            server = self.template.server
            place = f"${server.token_env}" if server.token_env else server.token_file or server.client_certificate
            who = f"the one of {place}" if place else "none is configured: token_file, token_env, client_certificate"
            may = "it is refused" if status == 401 else "it may not do this"
            hint = f"token or client certificate: {may} - {who}"
            return InstrumentError(f"the {self._title} does not let the bench in ({told})", where=where, hint=hint)
        if status == 404:
            hint = f"is the path right? {operation.origin}; else: it does not know whom or what this is about"
            return NotFound(f"the {self._title} knows nothing there ({told})", where=where, hint=hint)
        if status in (429, 502, 503, 504):
            wait = headers.get("Retry-After", "")
            # 429 and 503 say that it was not carried out (RFC 6585 section 4, RFC 9110 section 15.6.4).
            error = _Busy(f"the {self._title} is busy ({told})", where=where, hint="look at its load and its log")
            if wait.isascii() and wait.isdecimal() and len(wait) < 6:
                error.retry_after = min(float(wait), _LONGEST_WAIT)
            return _Again(error, harmless=status in (429, 503))
        if 300 <= status < 400:
            hint = "correct 'url' of [server]: it leads elsewhere, and tokens are not sent to another place"
            return InstrumentError(f"the {self._title} sends the bench elsewhere ({told})", where=where, hint=hint)
        if status >= 500:
            error = _Busy(f"the {self._title} failed ({told})", where=where, hint="its own log says why")
            return _Again(error, harmless=False)
        hint = f"does the request fit what it expects? {operation.origin}"
        return InstrumentError(f"the {self._title} refused '{operation.name}' ({told})", where=where, hint=hint)

    def _reason_of(self, shown: bytes) -> str:
        """Return what an error's answer says: at the pointer ``reason`` of [server], else its beginning."""
        text = shown[:_SHOWN].decode("utf-8", "replace")
        if self.template.server.reason:
            try:
                found = pointer.find(json.loads(shown), pointer.parse(self.template.server.reason))
                text = found if isinstance(found, str) else json.dumps(found)
            except (ValueError, RecursionError, LookupError):
                pass
        return _printable(text)[:_SHOWN]

    def _credentials(self) -> dict[str, str]:
        server = self.template.server
        self._token = credentials.token(server)
        return {server.token_header: server.token_form.replace("{token}", self._token)} if self._token else {}

    def _scrubbed(self, raw: bytes) -> bytes:
        """Return an answer without the token, should the server repeat it."""
        return raw.replace(self._token.encode(), b"(token)") if self._token else raw

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            tls = credentials.context(self.template.server)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls) if tls is not None else None,
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
            if hasattr(self._session, "_retry_connection"):  # 'repeat' alone says what is sent again, also of PUT
                self._session._retry_connection = False
        return self._session


class _Again(Exception):
    """An attempt that failed and may be made again. ``harmless``: the server has certainly not carried it out."""

    def __init__(self, error: InstrumentError, *, harmless: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.harmless = harmless


class _Busy(InstrumentError):
    """The server cannot now. ``retry_after``: seconds, as it asked."""

    retry_after: float | None = None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > MAX_ANSWER:
            raise ValueError(f"the answer is longer than {MAX_ANSWER} bytes")
    return bytes(raw)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text).strip()


def _reason(error: BaseException) -> str:
    return _printable(getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error))[:_SHOWN]
